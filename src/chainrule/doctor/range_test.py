"""The range test of learning rates: ``lr_find``.

On a copy the rate grows by the same factor with every step (Smith 2017, *Cyclical
learning rates*, section 3.3), and the loss of each batch is recorded. Where it falls
steepest, and a tenth of where it is lowest (both usual rules), are candidates; what is
proposed has been held for some steps on a further copy, and its loss fell and did not
rise on the way.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from chainrule.doctor.changes import peak
from chainrule.doctor.setup import Setup, raised
from chainrule.doctor.subject import Subject, need_trainer
from chainrule.errors import (
    ArgumentError,
    ChainruleError,
    ChainruleWarning,
    NonFiniteError,
)
from chainrule.graph.node import Array
from chainrule.html import views
from chainrule.optim.schedule import Schedule
from chainrule.text import _, ngettext, tr, translated
from chainrule.text.numbers import number
from chainrule.text.tables import wrapped
from chainrule.training import Callback, Trainer
from chainrule.util.blocks import opened, settle
from chainrule.util.validation import maybe, whole
from chainrule.util.validation import number as checked

#: The rates where nobody names others, and the factors by which they are then extended.
LOWEST, HIGHEST = 1e-7, 10.0
LOWER, HIGHER, EXTENDED = 1e-5, 1e4, 2
#: Standard deviation of the window that smooths the curve, in steps.
WINDOW = 4
#: The share of the steps, at the lowest rates, that show how much batches differ.
PLATEAU = 0.1
#: A fall or a rise counts beyond so many standard errors: the least of some hundred
#: smoothed numbers lies three below their mean, and as far from the largest again. And
#: beyond so large a share of the first loss (a fall), or of what has fallen (a rise).
FALL_ERRORS, RISE_ERRORS, FALLS, RISES = 5.0, 8.0, 0.005, 0.1
#: A step whose loss is so many times the first loss above it ends the test.
DIVERGED = 9.0
#: The share of the steps for which a candidate is held.
HELD = 0.5
#: How often a third of the lowest candidate is tried where none stands.
RETRIES = 3


@dataclass
class RangeTest:
    """The result of a range test of learning rates.

    Attributes:
        rates: η of each step; of the optimiser, groups keep their ratio to it.
        losses: the loss of each step's batch, before its update.
        smoothed: the losses without the differences of batches.
        suggestion: a rate, or None where the curve supports none.
        reason: why, in words.
        before: what the optimiser has, such as ``lr=0.001``.
        held: of rates that were held, the losses at the start and at the end.
        steps: training steps altogether.
        interrupted: whether Ctrl-C ended it early.
    """

    rates: Array
    losses: Array
    smoothed: Array
    suggestion: float | None
    reason: str
    before: str
    held: Mapping[float, tuple[float, float]] = field(
        default_factory=dict[float, tuple[float, float]]
    )
    steps: int = 0
    interrupted: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the range test as data for JSON."""
        return {
            "suggestion": self.suggestion,
            "reason": translated(self.reason),
            "before": self.before,
            "rates": self.rates.tolist(),
            "losses": self.losses.tolist(),
            "held": [[r, *ends] for r, ends in self.held.items()],
            "steps": self.steps,
            "interrupted": self.interrupted,
        }

    def __str__(self) -> str:
        lines = [self._headline(), *wrapped(translated(self.reason), 78)]
        for rate, (first, last) in sorted(self.held.items()):
            lines.append("  " + self._told(rate, first, last))
        steps = tr(
            ngettext(
                "{n:,} training step on copies",
                "{n:,} training steps on copies",
                n=self.steps,
            )
        )
        return "\n".join([*lines, steps])

    def __repr__(self) -> str:
        return str(self)

    def _headline(self) -> str:
        if self.suggestion is None:
            return tr("No learning rate is proposed.")
        return tr(
            "Proposed: lr={rate} (now {before})",
            rate=number(self.suggestion),
            before=self.before,
        )

    def _told(self, rate: float, first: float, last: float) -> str:
        ended = number(last) if math.isfinite(last) else tr("no number")
        return tr(
            "held at lr={rate}: loss {first} → {last}",
            rate=number(rate),
            first=number(first),
            last=ended,
        )

    def _repr_html_(self) -> str:
        parts = [views.paragraph(self._headline())]
        if len(self.rates) > 1:
            lines = {tr("loss"): self.losses, tr("smoothed"): self.smoothed}
            across = tr("log₁₀ of the learning rate")
            logs = np.log10(self.rates)
            parts.append(views.chart(lines, logs, across=across, up=tr("loss")))
        parts.append(views.paragraph(translated(self.reason)))
        told = (self._told(r, *ends) for r, ends in sorted(self.held.items()))
        if listed := "\n".join(told):
            parts.append(f"<pre>{escape(listed)}</pre>")
        return views.view(*parts)


def lr_find(
    trainer: Trainer,
    data: Any,
    *,
    min_lr: float | None = None,
    max_lr: float | None = None,
    steps: int = 200,
    batch_size: int | None = None,
) -> RangeTest:
    """Find a learning rate by a range test on a copy, or say that there is none.

    The rate of step t of T is η(t) = η_min (η_max / η_min)^(t / (T − 1)). The rates at
    which the loss falls steepest, and a tenth and a third of that at which it is
    lowest, are then held for T/2 steps each; the one with the lowest loss is proposed.
    A rate at which the loss has risen, in the test or while it was held, never is. The
    Trainer is not touched, and the same seed gives the same result.

    Args:
        trainer: its weights are where the test begins. The rate of a schedule is its
            peak; groups with rates of their own keep their ratio to the optimiser's.
        data: the training data, as ``trainer.fit`` takes them; of a stream the first
            rows.
        min_lr, max_lr: the lowest and the highest rate. None: 10⁻⁷ and 10, and further
            where the loss falls or rises at once, or does not rise at all.
        steps: the steps of a test, at least 20.
        batch_size: samples a step; None: that of the Trainer's last run, else 32.

    Returns:
        A :class:`~chainrule.doctor.RangeTest`: ``suggestion``, ``reason``, ``rates``,
        ``losses``.

    Raises:
        ArgumentError: something that is no Trainer, or cannot be copied; rates that are
            not positive and increasing.
        ChainruleError: what ``fit`` raises for this model and these data, but for a
            loss that is no number.

    >>> import chainrule as cr
    >>> from chainrule import nn, optim
    >>> cr.manual_seed(0)
    >>> model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
    >>> trainer = cr.Trainer(model, loss=nn.CrossEntropyLoss(),
    ...                      optimizer=optim.SGD(lr=1e-5), engine="numpy")
    >>> found = cr.lr_find(trainer, cr.data.moons(300, seed=0))
    >>> 0.01 < found.suggestion < 10
    True
    """
    need_trainer(trainer, _("A range test needs a Trainer."))
    low, high = (
        maybe(_rate)(name, rate)
        for name, rate in (("min_lr", min_lr), ("max_lr", max_lr))
    )
    ends = low or LOWEST, high or HIGHEST
    if ends[0] >= ends[1]:
        raise ArgumentError(
            _("The rates of a range test grow."),
            expected="min_lr < max_lr",
            got=f"{ends[0]:g}, {ends[1]:g}",
            fix="lr_find(trainer, data, min_lr=1e-6, max_lr=1)",
        )
    length = max(20, whole("steps", steps))
    size = maybe(whole)("batch_size", batch_size)
    return _Test(trainer, data, length, size).run(low, high)


def _rate(name: str, value: Any) -> float:
    return checked(name, value, above=0)


class _Test:
    """A range test: a setup, and what was spent and found."""

    def __init__(self, trainer: Trainer, data: Any, steps: int, size: int | None):
        subject = Subject(trainer, data, epochs=1, batch_size=size)
        if subject.refused is not None:
            raise subject.refused
        self.trainer, self.length = trainer, steps
        #: At the Trainer's own weights, and before the first update of the optimiser.
        self.setup = Setup.of(
            trainer,
            subject.train,
            subject.train,
            1,
            min(
                subject.setup.batch_size * subject.setup.accumulate, len(subject.train)
            ),
        )
        self.setup.accumulate, self.setup.drop_last = 1, False
        self.setup.rewind()
        self.spent = 0
        self.held: dict[float, tuple[float, float]] = {}

    @property
    def before(self) -> str:
        schedule = self.trainer.optimizer.schedule
        return f"lr={schedule.shown()!r}"

    def run(self, low: float | None, high: float | None) -> RangeTest:
        """Test, extend the rates where they are too narrow, and hold candidates."""
        empty = np.zeros(0)
        result = RangeTest(empty, empty, empty, None, "", self.before)
        ends = [low or LOWEST, high or HIGHEST]
        outer = opened.top
        try:
            for __ in range(1 + EXTENDED):
                result = self._swept(*ends)
                curve = _Curve(result, self.length)
                if curve.early and low is None:
                    ends[0] *= LOWER
                elif curve.late and high is None:
                    ends[1] *= HIGHER
                else:
                    break
            curve = _Curve(result, self.length)
            result.suggestion, result.reason = self._chosen(curve, result)
        except KeyboardInterrupt:
            result.interrupted = True
            result.suggestion, result.reason = None, _("it was interrupted")
        if result.interrupted:
            settle(outer)
        result.held, result.steps = self.held, self.spent
        return result

    def _swept(self, low: float, high: float) -> RangeTest:
        """Return the curve of losses at growing rates."""
        rates = np.geomspace(low, high, self.length)
        losses = self._losses(rates)
        rates = rates[: len(losses)]
        return RangeTest(rates, losses, _smoothed(losses), None, "", self.before)

    def _losses(self, rates: Array) -> Array:
        """Train a copy with these rates; return the losses, until they diverge."""
        setup, steps = self.setup.copy(), len(rates)
        setup.epochs = -(-steps // setup.steps_per_epoch)
        _set_rates(setup, rates)
        stop = _Stop(steps)
        trainer = setup.trainer()
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", ChainruleWarning)
            try:
                trainer.fit(
                    setup.train,
                    epochs=setup.epochs,
                    batch_size=setup.batch_size,
                    callbacks=stop,
                    progress=False,
                )
            except NonFiniteError:
                pass
            except ChainruleError:
                raise
            except Exception as error:
                raise raised(error) from error
        losses = np.asarray(trainer.history.steps["loss"][:steps], np.float64)
        losses = losses[: _end(losses)]
        self.spent += len(losses)
        return losses

    def _chosen(self, curve: _Curve, result: RangeTest) -> tuple[float | None, str]:
        """Return the rate to propose, or None, and the reason."""
        if not len(result.losses):
            return None, _("the loss is not a finite number at the first step")
        if not curve.falls:
            return None, curve.why
        candidates = curve.candidates()
        for __ in range(1 + RETRIES):
            good = [r for r in candidates if self._holds(r, curve)]
            if good:
                best = min(good, key=lambda r: (self.held[r][1], r))
                return best, _(
                    "the loss falls from lr={first} on and is lowest at lr={lowest}; "
                    "of the rates that were held, this one has the lowest loss",
                    first=number(float(result.rates[curve.begins]), 2),
                    lowest=number(float(result.rates[curve.lowest]), 2),
                )
            candidates = [_rounded(min(candidates) / 3)]
        return None, _(
            "the loss falls in the test, and at no rate that was held: what falls is "
            "the difference of batches, or the network does not learn"
        )

    def _holds(self, rate: float, curve: _Curve) -> bool:
        """Hold a rate; return whether the loss falls, and does not rise on the way."""
        steps = max(10, int(HELD * self.length))
        losses = self._losses(np.full(steps, rate))
        if len(losses) < steps:
            self.held[rate] = float(losses[0]) if len(losses) else math.nan, math.inf
            return False
        smoothed, part = _smoothed(losses), max(2, steps // 5)
        last = float(losses[-part:].mean())
        self.held[rate] = curve.start, last
        fallen = curve.start - last
        error = curve.noise / math.sqrt(part)
        top = float(smoothed.max()) - curve.start
        if not fallen > max(FALL_ERRORS * error, 0.0):
            return False
        return top <= max(RISE_ERRORS * curve.error, RISES * fallen)


class _Curve:
    """A smoothed curve of losses by rate: where it falls, and where it rises.

    Attributes:
        start: the loss at the lowest rates.
        noise: the standard deviation of losses there; ``error`` that of smoothed ones.
        lowest: the step of the lowest loss before the first rise.
        risen: the step at which the loss has risen, or None.
        begins: the step at which the loss has begun to fall.
    """

    def __init__(self, result: RangeTest, length: int) -> None:
        smoothed, losses = result.smoothed, result.losses
        self.rates, self.smoothed = result.rates, smoothed
        self.complete = len(losses) == length
        plateau = losses[: max(2, int(PLATEAU * length))]
        self.start = float(plateau.mean()) if len(plateau) else math.nan
        self.noise = float(plateau.std(ddof=1)) if len(plateau) > 1 else 0.0
        self.noise = max(self.noise, 1e-7 * abs(self.start))
        self.error = self.noise / math.sqrt(2 * math.sqrt(math.pi) * WINDOW)
        self.risen, self.lowest, self.begins = None, 0, 0
        least = math.inf
        for i, value in enumerate(smoothed):
            if value < least:
                least, self.lowest = float(value), i
            fallen = max(self.start - least, 0.0)
            if value - least > max(RISE_ERRORS * self.error, RISES * fallen):
                self.risen = i
                break
        if not self.complete and self.risen is None:
            self.risen = len(losses)
        self.fallen = self.start - least if math.isfinite(least) else 0.0
        # Less than the batches differ, or next to nothing, is no fall.
        least_fall = max(FALL_ERRORS * self.error, FALLS * abs(self.start))
        self.falls = self.fallen > least_fall
        if self.falls:
            below = smoothed < self.start - max(0.1 * self.fallen, 2 * self.error)
            self.begins = int(below.argmax())

    @property
    def early(self) -> bool:
        """A flag: the loss falls or rises at the lowest rates already."""
        if not len(self.rates):
            return False
        first = self.begins if self.falls else self.risen
        return first is not None and first < 2 * PLATEAU * len(self.rates) + WINDOW

    @property
    def late(self) -> bool:
        """A flag: the loss does not rise at the highest rates."""
        return self.risen is None

    @property
    def why(self) -> str:
        """The reason where the loss does not fall."""
        told = {
            "low": number(float(self.rates[0]), 2),
            "high": number(float(self.rates[-1]), 2),
            "loss": number(self.start),
        }
        if self.risen is not None:
            return _(
                "from lr={low} on the loss, {loss} at the start, does not fall before "
                "it rises: no gradient leads down from these weights, or they are "
                "where training ends",
                **told,
            )
        return _(
            "the loss stays at {loss} from lr={low} to lr={high}: no gradient reaches "
            "the weights, or nothing is left to learn",
            **told,
        )

    def candidates(self) -> Sequence[float]:
        """Return the rates to hold, all below that of the lowest loss."""
        logs, end = np.log(self.rates), max(self.lowest, 1)
        slope = -np.gradient(self.smoothed, logs)[: end + 1]
        steepest = float(self.rates[int(slope.argmax())])
        lowest = float(self.rates[end])
        rates = {min(r, lowest / 2) for r in (steepest, lowest / 10, lowest / 3)}
        return sorted({_rounded(r) for r in rates})


def _rounded(rate: float) -> float:
    """Return a rate with two digits, not above it."""
    exponent = math.floor(math.log10(rate)) - 1
    return float(f"{math.floor(rate / 10.0**exponent + 1e-9)}e{exponent}")


def _smoothed(losses: Array) -> Array:
    """Return losses averaged over neighbours, weighed by a bell of :data:`WINDOW`."""
    n = len(losses)
    if n < 2:
        return losses.copy()
    reach = np.arange(-3 * WINDOW, 3 * WINDOW + 1)
    bell = np.exp(-0.5 * (reach / WINDOW) ** 2)
    weight = np.convolve(np.ones(n), bell)[3 * WINDOW : 3 * WINDOW + n]
    return np.convolve(losses, bell)[3 * WINDOW : 3 * WINDOW + n] / weight


def _end(losses: Array) -> int:
    """Return how many losses there are before they diverge."""
    if not len(losses):
        return 0
    plateau = losses[: max(1, int(PLATEAU * len(losses)))]
    first = float(losses[0])
    size = max(abs(first), float(np.ptp(plateau)) if len(plateau) < 3 else 0.0)
    above = losses > first + DIVERGED * max(size, 1e-12)
    return int(above.argmax()) if above.any() else len(losses)


class _Stop(Callback):
    """A callback that ends a test after so many steps, or where the loss diverges."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_chunk(self, trainer: Any) -> None:
        losses = trainer.history.steps["loss"]
        if len(losses) >= self.steps or _end(losses) < len(losses):
            trainer.stop()


class _Given(Schedule):
    """A schedule of given rates, times the factor ``lr``; the last one goes on."""

    def __init__(self, rates: Array, factor: float) -> None:
        super().__init__(factor)
        self.rates = rates

    def __call__(self, step: int) -> float:
        return self.lr * float(self.rates[min(step, len(self.rates) - 1)])


def _set_rates(setup: Setup, rates: Array) -> None:
    """Give an optimiser rates by step; its groups keep their ratio."""
    optimizer = setup.optimizer
    base = peak(optimizer.schedule)
    for group in optimizer.param_groups:
        if "lr" not in group.own:
            continue
        own = peak(group.own["lr"])
        factor = 1.0  # of a schedule of one's own nobody knows
        if base is not None and own is not None and base > 0 <= own:
            factor = own / base
        group.own["lr"] = _Given(rates, factor)
    optimizer.defaults["lr"] = _Given(rates, 1.0)
