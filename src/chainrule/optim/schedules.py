"""Learning-rate schedules, with PyTorch's names and formulas, and a table by name.

Each is one class: its arguments with their checks, and its formula.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, field
from functools import partial
from itertools import pairwise
from math import inf
from numbers import Real
from typing import Any, Literal

from chainrule.errors import ArgumentError
from chainrule.optim.arguments import (
    limit,
    nonnegative,
    option,
    positive,
    positive_int,
    rate,
    share,
)
from chainrule.optim.better import is_better
from chainrule.optim.schedule import Count, CountedSchedule, Schedule
from chainrule.text import _, ngettext
from chainrule.util.validation import (
    choice,
    count,
    did_you_mean,
    known_names,
    number,
    refused,
    text,
    whole,
)

_part = partial(number, least=0, most=1, what=_("{name} is a share."))
_key = partial(text, what=_("{name} is a key of history.epochs."))


def _milestones(name: str, value: Any) -> list[int]:
    """Check a schedule's milestones: integers ≥ 1, each larger than the one before."""
    try:
        marks = [whole(_("a milestone"), m) for m in value]
    except (TypeError, ArgumentError):
        marks = []
    if not marks or any(a >= b for a, b in pairwise(marks)):
        ranges = _("whole numbers ≥ 1, each larger than the one before: [30, 60]")
        raise refused(name, value, _("{name} must follow each other."), ranges)
    return marks


def _rates(name: str, value: Any) -> list[float]:
    """Check a schedule's rates: finite numbers."""
    if not isinstance(value, list | tuple) or not value:
        what = _("{name} are learning rates.", name=name)
        raise refused(name, value, what, _("finite numbers: [0.01, 0.003]"))
    return [rate(name, number) for number in value]


class StepLR(CountedSchedule):
    """γ times the rate after every ``step_size`` epochs: η(t) = η₀ γ^⌊t / step_size⌋.

    Args:
        step_size: epochs between two steps.

    Source: PyTorch, ``torch.optim.lr_scheduler.StepLR``.

    >>> lr = StepLR(0.1, step_size=2, gamma=0.5, steps_per_epoch=10)
    >>> lr(19), lr(20), lr(40)
    (0.1, 0.05, 0.025)
    """

    step_size: int = positive_int()
    gamma: float = positive(default=0.1)

    def __call__(self, step: int) -> float:
        return _scaled(self.lr, self.gamma, self.count(step) // self.step_size)


def _passed(milestones: Sequence[int], at: float) -> int:
    """Return how many milestones lie behind a place."""
    return bisect_right(milestones, at)


class MultiStepLR(CountedSchedule):
    """γ times the rate at each milestone: η(t) = η₀ γ^(number of milestones ≤ t).

    Args:
        milestones: epochs, each later than the one before.

    Source: PyTorch, ``torch.optim.lr_scheduler.MultiStepLR``.

    >>> lr = MultiStepLR(1.0, [3, 5], gamma=0.5, unit="step")
    >>> lr.values(7)
    array([1.  , 1.  , 1.  , 0.5 , 0.5 , 0.25, 0.25])
    """

    milestones: Sequence[int] = option(check=_milestones)
    gamma: float = positive(default=0.1)

    def __call__(self, step: int) -> float:
        passed = _passed(self.milestones, self.count(step))
        return _scaled(self.lr, self.gamma, passed)


class PiecewiseConstantLR(CountedSchedule):
    """Another constant rate from each milestone on: η(t) = rates[milestones ≤ t].

    Args:
        milestones: epochs, each later than the one before.
        rates: the rate from each milestone on; before the first one it is ``lr``.

    Raises:
        ArgumentError: not as many rates as milestones.

    Source: Keras, ``PiecewiseConstantDecay``, whose boundaries are the last updates
    before the next rate.

    >>> lr = PiecewiseConstantLR(1.0, [2, 4], [0.1, 0.3], unit="step")
    >>> lr.values(6)
    array([1. , 1. , 0.1, 0.1, 0.3, 0.3])
    """

    milestones: Sequence[int] = option(check=_milestones)
    rates: Sequence[float] = option(check=_rates)

    def checked(self, name: str, value: Any) -> Any:
        value = super().checked(name, value)
        other = {"milestones": "rates", "rates": "milestones"}.get(name)
        known = vars(self).get(other) if other is not None else None
        if known is not None and len(known) != len(value):
            what = _("{name} and {other} go together.", name=name, other=other)
            raise refused(
                name, value, what, ngettext("{n} number", "{n} numbers", n=len(known))
            )
        return value

    def __call__(self, step: int) -> float:
        passed = _passed(self.milestones, self.count(step))
        return self.rates[passed - 1] if passed else self.lr


class ExponentialLR(CountedSchedule):
    """γ times the rate after every epoch: η(t) = η₀ γᵗ.

    Source: PyTorch, ``torch.optim.lr_scheduler.ExponentialLR``.

    >>> ExponentialLR(1.0, 0.5, unit="step").values(4)
    array([1.   , 0.5  , 0.25 , 0.125])
    """

    gamma: float = positive()

    def __call__(self, step: int) -> float:
        return _scaled(self.lr, self.gamma, self.count(step))


def _scaled(lr: float, gamma: float, times: int) -> float:
    """Compute a schedule's rate η₀ γⁿ; infinity on overflow."""
    try:
        return lr * gamma**times
    except OverflowError:
        return math.copysign(math.inf, lr)


class CosineAnnealingLR(CountedSchedule):
    """A learning rate that falls to ``eta_min`` along half a cosine.

        η(t) = η_min + (η₀ − η_min) (1 + cos(π t / T)) / 2

    Beyond T the cosine goes on: the rate climbs again, as in PyTorch.

    Args:
        T_max: T; by default the length of the run, which a Trainer fills in. A run
            beyond that length is refused.
        eta_min: η_min.

    Source: Loshchilov & Hutter 2017 (SGDR), equation 5, without restarts.

    >>> lr = CosineAnnealingLR(0.1, T_max=100, unit="step")
    >>> round(lr(0), 6), round(lr(50), 6), round(lr(100), 6)
    (0.1, 0.05, 0.0)
    """

    T_max: int | None = positive_int(default=None)
    eta_min: float = nonnegative(default=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.T_max is None:
            self.learnt |= {"total_steps": None, "length": None}

    @property
    def total_steps(self) -> Count:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.learnt.get("total_steps")

    def bind(
        self, total_steps: Count, steps_per_epoch: Count = None, *, first: int = 0
    ) -> None:
        super().bind(total_steps, steps_per_epoch, first=first)
        if total_steps is not None and self.learnt.get("length", 0) is None:
            total = whole("total_steps", total_steps)
            run = {"total_steps": total, "length": max(1, self.count(total))}
            self.learnt = {**self.learnt, **run}

    def __call__(self, step: int) -> float:
        length = self.T_max or self.learnt["length"]
        if length is None:
            raise _unknown_length(self, "T_max", 'T_max=updates, unit="step"')
        return _cosine(self.lr, self.eta_min, self.count(step) / length)

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        if ("total_steps" in state) != ("length" in state):
            raise KeyError(_("total_steps and length go together"))


class OneCycleLR(Schedule):
    """A learning rate that rises to max_lr, then falls to almost 0, on cosines.

    With s = pct_start·T − 1 the last step of the climb, lo = max_lr/div_factor and
    end = lo/final_div_factor:

        η(t) = lo → max_lr      for t = 0 … s
        η(t) = max_lr → end     for t = s … T − 1

    each along a half cosine (Smith & Topin 2018; PyTorch's formula). Only the rate
    moves; PyTorch's schedule moves the momentum too, unless told not to.

    Args:
        max_lr: the peak.
        total_steps: the length T; a Trainer fills it in.
        pct_start: the share of steps that climb.
        div_factor: the peak over the first rate.
        final_div_factor: the first rate over the last.

    >>> lr = OneCycleLR(0.1, total_steps=100)
    >>> round(lr(0), 6), round(lr(29), 6), round(lr(99), 9)
    (0.004, 0.1, 4e-07)
    """

    lr: float = field(init=False)
    max_lr: float = option(check=rate)
    total_steps: int | None = positive_int(default=None)
    __: KW_ONLY
    pct_start: float = option(default=0.3, check=_part)
    div_factor: float = positive(default=25.0, check=limit)
    final_div_factor: float = positive(default=1e4, check=limit)

    def __post_init__(self) -> None:
        self.lr = self.max_lr

    def bind(
        self, total_steps: Count, steps_per_epoch: Count = None, *, first: int = 0
    ) -> None:
        if self.total_steps is None:
            self.total_steps = total_steps

    def __call__(self, step: int) -> float:
        """Return the one-cycle learning rate at update ``step``."""
        if self.total_steps is None:
            length = "total_steps=epochs * steps_per_epoch"
            raise _unknown_length(self, "total_steps", length)
        first = self.lr / self.div_factor
        peak, end = self.pct_start * self.total_steps - 1, self.total_steps - 1
        step = min(step, end)
        if step <= peak:
            return _cosine(first, self.lr, step / peak if peak else 1.0)
        last = first / self.final_div_factor
        return _cosine(self.lr, last, (step - peak) / (end - peak))


def _cosine(start: float, end: float, share: float) -> float:
    """Interpolate a learning rate along half a cosine, at fraction ``share``."""
    return end + (start - end) * ((1 + math.cos(math.pi * share)) / 2)


def _unknown_length(schedule: Schedule, name: str, example: str) -> ArgumentError:
    kind = type(schedule).__name__
    return ArgumentError(
        _("{kind} does not know how long the run is.", kind=kind),
        expected=_("{name}, or a Trainer that fills it in", name=name),
        got="None",
        fix=_("in a loop of your own: {kind}(lr, {given})", kind=kind, given=example),
    )


class LinearWarmup(Schedule):
    """A learning rate that rises on a straight line until another schedule begins.

    With f = start_factor, T₀ = steps and the wrapped schedule η̂:

        η(t) = (f + (1 − f) t / T₀) η̂(0)      for t = 0 … T₀ − 1
        η(t) = η̂(t − T₀)                      from then on

    The wrapped schedule begins where the warm-up ends, epochs included, and is told of
    a run that is T₀ updates shorter: a cosine ends with the run.

    Args:
        schedule: what follows, a schedule or a constant rate.
        steps: T₀, in updates.
        start_factor: f, the share of the rate at the first update, 0 < f ≤ 1.

    Source: Goyal et al. 2017, section 2.2 (gradual warm-up); PyTorch's ``LinearLR``
    followed by the schedule in a ``SequentialLR``.

    >>> LinearWarmup(0.4, steps=4, start_factor=0.25).values(6)
    array([0.1  , 0.175, 0.25 , 0.325, 0.4  , 0.4  ])
    """

    lr: float = field(init=False)
    schedule: Any
    steps: int = positive_int()
    start_factor: float = option(
        default=1 / 3, check=partial(_part, least=-inf, above=0)
    )

    def __post_init__(self) -> None:
        self.schedule = after = as_schedule(self.schedule)
        self.lr, self.monitor, self.mode = after.lr, after.monitor, after.mode

    @property
    def total_steps(self) -> Count:  # pyright: ignore[reportIncompatibleVariableOverride]
        rest = self.schedule.total_steps
        return None if rest is None else rest + self.steps

    def bind(
        self, total_steps: Count, steps_per_epoch: Count = None, *, first: int = 0
    ) -> None:
        """Set the remaining length of the run in the schedule after the warm-up."""
        rest = None if total_steps is None else max(1, total_steps - self.steps)
        begun = max(0, first - self.steps)
        self.schedule.bind(rest, steps_per_epoch, first=begun)

    def observe(self, row: Mapping[str, Any]) -> None:
        self.schedule.observe(row)

    def __call__(self, step: int) -> float:
        if step >= self.steps:
            return self.schedule(step - self.steps)
        rise = (1 - self.start_factor) * step / self.steps
        return self.schedule(0) * (self.start_factor + rise)

    def arguments(self) -> dict[str, Any]:
        return super().arguments() | {"schedule": self.schedule.settings()}


class ReduceLROnPlateau(Schedule):
    """``factor`` times the rate once a quantity has not improved for some epochs.

    After each epoch the value m of ``monitor`` is compared with the best so far. It is
    better where

        m < best (1 − threshold)   or   m < best − threshold   (``"rel"``, ``"abs"``)

    and with ``mode="max"`` where m > best (1 + threshold) or m > best + threshold. More
    than ``patience`` epochs in a row without a better one reduce the rate.

    A Trainer calls :meth:`observe` after each epoch; in a loop of your own call
    ``schedule.observe({"validation_loss": …})``.

    Args:
        lr: the rate at the start.
        monitor: the key of ``history.epochs`` to watch.
        mode: ``"min"`` where less is better (losses), ``"max"`` where more is.
        factor: what the rate is multiplied by, 0 ≤ factor < 1.
        patience: epochs without improvement that are borne.
        threshold: how much better counts as better.
        threshold_mode: ``"rel"``, a share of the best, or ``"abs"``.
        cooldown: epochs after a reduction in which nothing is held against it.
        min_lr: the rate does not fall below.
        eps: a reduction by no more than this is left out.

    Source: PyTorch, ``torch.optim.lr_scheduler.ReduceLROnPlateau``.

    >>> lr = ReduceLROnPlateau(0.1, factor=0.5, patience=1)
    >>> rates = []
    >>> for loss in (1.0, 0.9, 0.95, 0.91, 0.92):
    ...     lr.observe({"validation_loss": loss})
    ...     rates.append(lr(0))
    >>> rates
    [0.1, 0.1, 0.1, 0.05, 0.05]
    """

    monitor: str = option(default="validation_loss", check=_key)
    __: KW_ONLY
    mode: Literal["min", "max"] = option(default="min", check=choice("min", "max"))
    factor: float = share(default=0.1, of=_("the rate"))
    patience: int = option(default=10, check=count)
    threshold: float = nonnegative(default=1e-4)
    threshold_mode: Literal["rel", "abs"] = option(
        default="rel", check=choice("rel", "abs")
    )
    cooldown: int = option(default=0, check=count)
    min_lr: float = nonnegative(default=0.0)
    eps: float = nonnegative(default=1e-8)

    def __post_init__(self) -> None:
        best = math.inf if self.mode == "min" else -math.inf
        self.learnt = {"lr": self.lr, "best": best, "bad_epochs": 0, "cooling": 0}

    def __call__(self, step: int) -> float:
        """Return the current learning rate, which plateaus have reduced."""
        return self.learnt["lr"]

    def observe(self, row: Mapping[str, Any]) -> None:
        """Compare an epoch's result with the best; reduce the rate on a plateau.

        Raises:
            ArgumentError: the row has no such key, or no number there.
        """
        value, (lr, best, bad, cooling) = self._value(row), self.learnt.values()
        relative = self.threshold_mode == "rel"
        if is_better(value, best, self.mode, by=self.threshold, relative=relative):
            best, bad = value, 0
        else:
            bad += 1
        if cooling:
            cooling, bad = cooling - 1, 0
        if bad > self.patience:
            bad, cooling = 0, self.cooldown
            lower = max(lr * self.factor, self.min_lr)
            lr = lower if lr - lower > self.eps else lr
        self.learnt = {"lr": lr, "best": best, "bad_epochs": bad, "cooling": cooling}

    def _value(self, row: Mapping[str, Any]) -> float:
        key = self.monitor
        value = row.get(key)
        if isinstance(value, Real) and not isinstance(value, bool):
            return float(value)
        fix = _('fit(…, validation=…) measures it, or monitor="train_loss"')
        if key not in row and (meant := did_you_mean(key, row)):
            fix = _("{meant} Else: {fix}", meant=meant, fix=fix)
        raise ArgumentError(
            _(
                "ReduceLROnPlateau watches {key!r}, of which the epoch has no number.",
                key=key,
            ),
            expected=_(
                "one of {known}",
                known=", ".join(k for k, v in row.items() if isinstance(v, Real)),
            ),
            got=_("nothing") if value is None else repr(value)[:80],
            fix=fix,
        )


#: Every schedule by its name, for checkpoints and runs from a file.
SCHEDULES: dict[str, type[Schedule]] = {
    kind.__name__: kind
    for kind in (
        Schedule,
        StepLR,
        MultiStepLR,
        PiecewiseConstantLR,
        ExponentialLR,
        CosineAnnealingLR,
        OneCycleLR,
        LinearWarmup,
        ReduceLROnPlateau,
    )
}


def build_schedule(
    settings: Mapping[str, Any], own: Mapping[str, type[Schedule]] | None = None
) -> Schedule:
    """Build a learning-rate schedule from the settings that it had returned.

    Args:
        settings: ``{"name": "StepLR", "lr": 0.1, "step_size": 30}``, with the state
            where there is one.
        own: classes of the user's own by their names, besides Chainrule's.

    Raises:
        ArgumentError: a name, an argument or a state that no schedule has.

    >>> build_schedule({"name": "StepLR", "lr": 0.1, "step_size": 30})
    StepLR(lr=0.1, step_size=30, gamma=0.1, unit='epoch')
    """
    if not isinstance(settings, Mapping):
        raise ArgumentError(
            _("The settings of a schedule are a dictionary."),
            expected='{"name": "StepLR", "lr": 0.1, "step_size": 30}',
            got=repr(settings)[:80],
        )
    name = settings.get("name")
    classes = {**SCHEDULES, **(own or {})}
    known_names(_("A schedule"), [name], classes)
    kind = classes[str(name)]
    arguments = {k: v for k, v in settings.items() if k not in ("name", "state")}
    try:
        schedule = kind(**arguments)
    except TypeError as error:
        raise ArgumentError(
            _("{name} cannot be made from these settings.", name=name),
            expected=_("the arguments of chainrule.optim.{name}", name=name),
            got=", ".join(arguments) or _("none"),
            fix=str(error),
        ) from error
    if "state" not in settings:
        return schedule
    state = settings["state"]
    try:
        schedule.load_state(state)
        if schedule.state() != state:
            raise ValueError(
                _("{name} has {state!r:.200}", name=name, state=schedule.state())
            )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArgumentError(
            _("{name} cannot go on from this state.", name=name),
            expected=_("what its state() gave"),
            got=f"{state!r:.80}: {error}",
        ) from error
    return schedule


def as_schedule(
    lr: float | Schedule | Mapping[str, Any],
    own: Mapping[str, type[Schedule]] | None = None,
) -> Schedule:
    """Return a learning-rate schedule from ``lr``: a schedule, settings or a number."""
    if isinstance(lr, Mapping):
        return build_schedule(lr, own)
    return lr if isinstance(lr, Schedule) else Schedule(lr)
