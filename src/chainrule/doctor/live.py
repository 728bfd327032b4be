"""Live watching: what goes wrong in a training is said once, as it happens.

A callback reads what the engine records anyway, the loss and the norms of the gradients
of weight matrices, in windows of :data:`STEPS` steps: what it says depends on the steps
alone and not on how they were cut into chunks. After the epochs 1, 2, 4, 8 … it looks
at the outputs of units, on a copy of the model. It changes no number of the training.

    loss-diverges        the mean loss is far above that at the start, or has come back
                         above it
    loss-oscillates      the loss jumps more than at the start, and does not fall
    loss-stalls          the loss has not fallen since the start
    vanishing-gradient   ‖∂L/∂W‖ of the first weights is a thousandth of that of the
                         last ones, and the loss does not fall
    exploding-gradient   ‖∂L/∂W‖ of all weights is a thousand times that at the start
    dead-units           most units of a ReLU layer are 0 for all rows looked at
    saturated-units      most outputs of a sigmoid or tanh layer are at its ends
    overfitting          the validation loss rises while the training loss falls
    non-finite-loss      the run has ended in a number that is not finite
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any, ClassVar

import numpy as np

from chainrule.doctor import labels
from chainrule.doctor.finding import Finding, shown
from chainrule.doctor.live_rules import RULES, finding
from chainrule.doctor.network import RELU, SIGMOID, TANH, dead_share, seen
from chainrule.errors import ChainruleError, NonFiniteError, visible
from chainrule.graph.context import no_grad
from chainrule.graph.node import Array
from chainrule.nn import Module
from chainrule.random import Generator
from chainrule.random.generator import stream
from chainrule.tensor import tensor
from chainrule.text import _, tr, translated
from chainrule.text.safe_stderr import Outlet
from chainrule.training.callbacks import Callback
from chainrule.util.validation import instance, maybe, text

#: Steps of a window.
STEPS = 20
#: So many complete windows are read together within an epoch: reading has its price.
TOGETHER = 3
#: So many windows in a row must agree.
AGREE = 3
#: The loss diverges from this multiple of its mean in the first window on; or where it
#: is above that mean again after it had fallen to this share of it. Ours.
DIVERGED, HAD_FALLEN = 3.0, 0.5
#: It oscillates where its deviation is so many times that of the first window while its
#: mean is not below this share of the first mean. Ours.
JUMPS, NOT_BELOW = 3.0, 0.9
#: It stalls where after so many windows, and this share of the run, no window is below
#: the first one by this share, or by twice the standard errors. Ours.
STALL_WINDOWS, STALL_SHARE, STALL_FALL = 15, 0.1, 0.02
#: ‖∂L/∂W‖ of the first weights against that of the last: AutoTrainer (Zhang et al.
#: 2021) calls a ratio below 10⁻³ vanishing; and against that of the first window: 70
#: and more is exploding there, and a thousandfold growth is ours.
VANISHED, LARGE, GROWN = 1e-3, 70.0, 1e3
#: Rows of a batch from which on its loss says something.
BATCH = 8
#: Shares of dead and of saturated units: AutoTrainer has 70 % of the units; and how
#: near to the ends of its range an output is saturated.
DEAD, SATURATED, NEAR = 0.7, 0.8, 0.005
#: Rows that units are looked at on: this share of the data, at least and at most.
SHARE, FEWEST, ROWS = 50, 32, 128
#: Validation loss against the least one, the share of its gain that is lost again, and
#: the epochs below which nothing is said, as of the symptom ``overfitting``.
NOTED, RISEN, EPOCHS = 1.15, 0.25, 5
_GRADIENT = "grad_norm/"


class Watch(Callback):
    """A callback that watches a training and says once what goes wrong.

    ``trainer.fit(…, doctor=True)`` is its usual face. It reads what is recorded of each
    step and changes no number of the training. Under a
    :class:`~chainrule.training.Loop` nobody knows which number is to fall: name it,
    else gradients and the end of the run alone are watched.

    Args:
        loss: the name of the recorded number that training brings down; None: the loss
            of a Trainer, and nothing of another loop.
        rows: features, on some rows of which units are looked at; None: they are not.
        say: gets each message; None: they go to standard error.
        entry: the entry point of a loop whose steps are watched; None: its first one.

    Attributes:
        findings: a :class:`~chainrule.doctor.Finding` for each thing that was seen.
        not_examined: what is not watched, with the reason.

    >>> import chainrule as cr
    >>> from chainrule import nn, optim
    >>> cr.manual_seed(0)
    >>> model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
    >>> trainer = cr.Trainer(model, loss=nn.CrossEntropyLoss(),
    ...                      optimizer=optim.SGD(lr=100.0), engine="numpy")
    >>> watch = Watch(say=lambda message: None)
    >>> history = trainer.fit(cr.data.moons(300, seed=0), epochs=20, callbacks=watch,
    ...                       progress=False)
    >>> watch.findings[0].code
    'loss-diverges'
    """

    # The steps are the same in all processes: one of them tells.
    everywhere: ClassVar[bool] = False

    def __init__(
        self,
        loss: str | None = None,
        rows: Any = None,
        say: Callable[[str], Any] | None = None,
        *,
        entry: str | None = None,
    ) -> None:
        self.loss, self.entry = maybe(text)("loss", loss), maybe(text)("entry", entry)
        self.rows = None
        if rows is not None:
            self.rows = np.asarray(rows[: min(max(len(rows) // SHARE, FEWEST), ROWS)])
        if say is not None:
            instance("say", say, Callable, "print")
        self.say = say
        self.findings: list[Finding] = []
        self.not_examined: dict[str, str] = {}
        self._said: set[str] = set()
        self._loss: str | None = None
        self._windows, self._first_epoch = _Windows(), 0
        self._units: _Units | None = None

    # -- hooks -------------------------------------------------------------------------

    def on_start(self, trainer: Any) -> None:
        """Begin to watch; what an earlier part of the run has said is not repeated."""
        plan = getattr(trainer, "plan", None)
        self.findings.clear()
        self.not_examined = {}
        self._loss = "loss" if self.loss is None and plan is not None else self.loss
        if self._loss is None:
            self.not_examined["loss"] = _(
                "the loop does not say which number is to fall: Watch(loss='…') does"
            )
        self._units = None if self.rows is None else _Units()
        if self.rows is None or plan is None:
            self.not_examined["units"] = _("the outputs of units: there are no rows")
        begin = self._first_epoch = 0
        if plan is not None:
            epochs, each = trainer.epoch - plan.first, plan.steps_per_epoch
            self._first_epoch = len(trainer.history.epochs) - epochs
            if not epochs or each is not None:
                begin = len(trainer.history) - epochs * (each or 0) - trainer.step
        self._windows = _Windows(begin, self.entry)
        for __ in self._windows.complete(trainer.history, self._loss):
            pass

    def on_chunk(self, trainer: Any) -> None:
        """Read the windows that are complete, several at a time."""
        if self._windows.ready(trainer.history) >= TOGETHER:
            self._read(trainer)

    def _read(self, trainer: Any) -> None:
        for window in self._windows.complete(trainer.history, self._loss):
            self._losses(trainer, window)
            self._gradients(window)

    def on_epoch(self, trainer: Any) -> None:
        """Look at units now and then, and at the validation loss."""
        self._read(trainer)
        rows = trainer.history.epochs[self._first_epoch :]
        self._overfitting(rows)
        if self._units is not None and len(rows).bit_count() == 1:
            self._activations(trainer, self._units)

    def on_end(self, trainer: Any) -> None:
        """Name a number that is not finite, where it has ended the run."""
        error = sys.exception()  # that is passing through the loop
        if isinstance(error, NonFiniteError):
            self._found("non-finite-loss", {"got": error.got})

    def state(self) -> dict[str, Any]:
        """Return what was said already, for checkpoints."""
        return {"said": sorted(self._said)} if self._said else {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what was said already."""
        said = state.get("said", [])
        if not isinstance(said, list) or not RULES.keys() >= set(said):
            raise self.strange(state)
        self._said = set(said)

    # -- rules -------------------------------------------------------------------------

    def _losses(self, trainer: Any, now: _Window) -> None:
        """Look whether the loss diverges, oscillates or stalls."""
        seen = self._windows
        first, recent = seen.first, seen.last
        if first is None or seen.count <= AGREE:
            return
        if any(math.isnan(window.mean) for window in (first, *recent)):
            return
        plan = getattr(trainer, "plan", None)
        # Of a batch of some rows the first loss is that of the untrained network; of
        # few rows it is chance, and the first window has to do.
        known = plan is not None and plan.batch_size >= BATCH
        start = seen.untrained if known else first.mean
        size = abs(start)
        noise = min(first.deviation, DIVERGED * size)
        means = np.array([w.mean for w in recent], np.float64)
        spread = np.array([w.deviation for w in recent])
        evidence: dict[str, Any] = {"loss_at_first_steps": start, "loss_now": now.mean}
        evidence |= {"step": now.end}
        high = means > start + (DIVERGED - 1) * max(size, noise)
        back = seen.least < start - HAD_FALLEN * size
        above = means > start + noise
        if high.all() or (back and above.all()):
            self._found("loss-diverges", evidence | {"least_loss": seen.least})
        if "loss-diverges" in self._said:  # which says it all
            return
        still = means > start - (1 - NOT_BELOW) * size
        jumps = spread > JUMPS * max(noise, 1e-3 * size)
        if still.all() and jumps.all():
            deviations = {
                "deviation_at_first_steps": noise,
                "deviation_now": now.deviation,
            }
            self._found("loss-oscillates", evidence | deviations)
        total = None if plan is None else plan.total_steps
        share = 0 if total is None else int(STALL_SHARE * total / STEPS)
        if seen.count >= max(STALL_WINDOWS, share):
            error = 2 * math.hypot(noise / STEPS**0.5, seen.least_error)
            if start - seen.least < max(STALL_FALL * size, error):
                self._found("loss-stalls", evidence)

    def _gradients(self, now: _Window) -> None:
        """Look whether gradients explode or vanish."""
        seen = self._windows
        first, recent = seen.first, seen.last
        if first is None or not now.norms:
            return
        if now.largest > max(LARGE, GROWN * first.total) and first.total > 0:
            sizes = {
                "grad_norm_at_first_steps": first.total,
                "largest_grad_norm": now.largest,
            }
            self._found("exploding-gradient", sizes | {"step": now.end})
        names = list(now.norms)
        if len(names) < 3 or seen.count <= AGREE or math.isnan(first.mean):
            return
        if not all(w.norms.get(names[-1], 0.0) > 0 for w in recent):
            return
        ratios = [w.norms[names[0]] / w.norms[names[-1]] for w in recent]
        flat = seen.least > first.mean - STALL_FALL * abs(first.mean)
        if flat and max(ratios) < VANISHED:
            sizes = {
                "grad_norm_of_first_weights": now.norms[names[0]],
                "grad_norm_of_last_weights": now.norms[names[-1]],
                "grad_norm_ratio": ratios[-1],
            }
            self._found("vanishing-gradient", sizes | {"step": now.end}, names[0])

    def _activations(self, trainer: Any, units: _Units) -> None:
        """Look at the outputs of units on some rows."""
        assert self.rows is not None
        try:
            dead, saturated = units.shares(trainer.model, self.rows)
        except Exception as error:  # noqa: BLE001 - of the user's own model
            what = error.what if isinstance(error, ChainruleError) else repr(error)[:80]
            self.not_examined["units"] = _("the outputs of units: {what}", what=what)
            self._units = None
            return
        for code, key, shares, most in (
            ("dead-units", "share_of_dead_units", dead, DEAD),
            ("saturated-units", "share_of_outputs_at_ends", saturated, SATURATED),
        ):
            worst = max(shares, key=lambda path: shares[path], default="")
            if worst and shares[worst] >= most:
                evidence = {key: shares[worst], "rows": len(self.rows)}
                self._found(code, evidence, worst)

    def _overfitting(self, rows: list[dict[str, Any]]) -> None:
        """Look whether the validation loss rises while the training loss falls."""
        known = [r for r in rows if "validation_loss" in r and "train_loss" in r]
        if len(known) < EPOCHS:
            return
        held, train = (
            np.array([r[name] for r in known], np.float64)
            for name in ("validation_loss", "train_loss")
        )
        if not np.isfinite(held).all() or not np.isfinite(train).all():
            return
        # Validation losses jump: the least of the last ones counts.
        best, last = int(held.argmin()), float(held[-AGREE:].min())
        risen = (last - held[best]) / max(float(held[0] - held[best]), 1e-12)
        if last < NOTED * held[best] or risen < RISEN or train[-1] > 0.95 * train[best]:
            return
        evidence = {
            "least_validation_loss": float(held[best]),
            "epoch_of_least": int(known[best]["epoch"]),
            "last_validation_loss": last,
            "last_train_loss": float(train[-1]),
            "epochs": len(known),
        }
        self._found("overfitting", evidence)

    # -- saying ------------------------------------------------------------------------

    def _found(self, code: str, evidence: dict[str, Any], where: str = "") -> None:
        """Keep a finding and say it, the first time."""
        if code in self._said:
            return
        self._said.add(code)
        found = finding(code, evidence, where)
        self.findings.append(found)
        message = visible(told(found))
        if self.say is None:
            Outlet().write(f"{message}\n")
        else:
            self.say(message)


def told(found: Finding) -> str:
    """Return what is said of a finding while a run goes on, in one line."""
    place = f" ({translated(found.where)})" if found.where else ""
    numbers = tr("; ").join(
        tr("{label} {value}", label=labels.evidence(k), value=shown(k, v))
        for k, v in found.evidence.items()
    )
    return tr(
        "doctor: {code}{place}: {cause}; {numbers}; try: {advice}",
        code=found.code,
        place=place,
        cause=translated(found.cause),
        numbers=numbers,
        advice=translated(found.advice),
    )


class _Window:
    """The statistics of a window of steps.

    Attributes:
        end: the step behind it, counted from the start of the history.
        mean, deviation: of the loss; NaN where no loss is watched.
        norms: the mean ‖∂L/∂W‖ by parameter, in the model's order.
        total, largest: of all these together, the median and the largest.
    """

    __slots__ = ("deviation", "end", "largest", "mean", "norms", "total")

    def __init__(self, end: int) -> None:
        self.end = end
        self.mean = math.nan
        self.deviation = self.total = self.largest = 0.0
        self.norms: dict[str, float] = {}


class _Windows:
    """The windows of a run so far: the first, the last few, and the least loss.

    ``untrained`` is the loss of the very first step.

    Args:
        begin: where in the history the run begins.
        entry: whose steps are read; None: those of the history's own.
    """

    def __init__(self, begin: int = 0, entry: str | None = None) -> None:
        self.begin, self.entry, self.count = begin, entry, 0
        self.first: _Window | None = None
        self.last: list[_Window] = []
        self.least, self.least_error = math.inf, 0.0
        self.untrained = math.nan

    def ready(self, history: Any) -> int:
        """Return how many windows have become complete since the last was read."""
        lengths: dict[str, int] = history.snapshot()[1]
        steps = lengths.get(self.entry or history.entry, 0)
        return (steps - self.begin) // STEPS - self.count

    def complete(self, history: Any, loss: str | None) -> Iterator[_Window]:
        """Yield the windows that have become complete, each as the last one."""
        start = self.begin + STEPS * self.count
        ready = self.ready(history)
        if ready <= 0:
            return
        cut = {
            k: v[: ready * STEPS].reshape(ready, STEPS)
            for k, v in history.since(start, self.entry).items()
            if _watched(k, loss)
        }
        losses = cut.pop(loss, None) if loss is not None else None
        if losses is not None:
            means = losses.mean(1, dtype=np.float64).tolist()
            deviations = losses.std(1, dtype=np.float64).tolist()
            if not self.count:
                self.untrained = float(losses[0, 0])
        if cut:
            names = [k.removeprefix(_GRADIENT) for k in cut]
            norms = np.stack([*cut.values()]).astype(np.float64)
            whole = np.sqrt((norms * norms).sum(0))
            each = norms.mean(2).T.tolist()
            totals, largest = np.median(whole, 1).tolist(), whole.max(1).tolist()
        for i in range(ready):
            window = _Window(start + (i + 1) * STEPS)
            if losses is not None and math.isfinite(means[i]):
                window.mean, window.deviation = means[i], deviations[i]
                if window.mean < self.least:
                    self.least = window.mean
                    self.least_error = window.deviation / STEPS**0.5
            if cut:
                window.norms = dict(zip(names, each[i]))
                window.total, window.largest = totals[i], largest[i]
            self.first = self.first or window
            self.count += 1
            self.last = [*self.last, window][-AGREE:]
            yield window


def _watched(name: str, loss: str | None) -> bool:
    return name == loss or name.startswith(_GRADIENT)


class _Units:
    """The layers of a model that are nothing but an activation, and their outputs.

    Whether a module is ReLU, sigmoid or tanh is told by what it computes.
    """

    def __init__(self) -> None:
        self.kinds: dict[str, str] | None = None

    def shares(
        self, model: Module, rows: Array
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Return the shares of dead and of saturated units by layer, on a copy."""
        model = deepcopy(model).eval()
        if self.kinds is None:
            self.kinds = _kinds(model)
        dtype = next((p.dtype for p in model.parameters()), None)
        x = tensor(np.ascontiguousarray(rows))
        x = x.astype(dtype) if dtype is not None and x.dtype.is_float else x
        dead, saturated = dict[str, float](), dict[str, float]()
        if not self.kinds:
            return dead, saturated
        # The draws of what is random when it predicts are not those of the training.
        with stream(Generator(0)):
            outputs = seen(model, x)
        for path, kind in self.kinds.items():
            if path not in outputs:
                continue
            a = outputs[path]
            if kind == RELU:
                dead[path] = dead_share(a)
            else:
                a = a.astype(np.float64)
                a = a if kind == SIGMOID else (a + 1) / 2
                saturated[path] = float(((a < NEAR) | (a > 1 - NEAR)).mean())
        return dead, saturated


def _kinds(model: Module) -> dict[str, str]:
    """Return the modules that compute ReLU, sigmoid or tanh, by path."""
    x = np.array([[-3.0, -1.0, -0.5, 0.0, 0.5, 2.0]], np.float32)
    known = {
        RELU: np.maximum(x, 0),
        SIGMOID: 1 / (1 + np.exp(-x)),
        TANH: np.tanh(x),
    }
    found: dict[str, str] = {}
    for path, module in model.named_modules():
        if not path or any(module.named_children()) or any(module.named_tensors()):
            continue
        try:
            with no_grad(), stream(Generator(0)):
                y = module(tensor(x)).numpy()
        except Exception:  # noqa: BLE001 - it takes other inputs
            continue
        for kind, expected in known.items():
            if y.shape == x.shape and np.allclose(y, expected, rtol=0, atol=1e-6):
                found[path] = kind
    return found
