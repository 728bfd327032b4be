"""Learning-rate schedulers that one steps, as in PyTorch.

    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=30)
    for epoch in range(epochs):
        for x, y in batches:
            …
            optimizer.step()
        scheduler.step()

Each sets ``group["lr"]`` of its optimiser's groups, also of one whose steps are
compiled. The formulas are those of :mod:`chainrule.optim.schedules`, where they are
there too: such a schedule is a part of the optimiser, and needs no steps.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from chainrule.errors import ArgumentError, unknown_name, warn
from chainrule.optim import schedules
from chainrule.optim.schedule import Schedule
from chainrule.text import _
from chainrule.util import validation

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]


class LRScheduler:
    """The base class of schedulers; a subclass defines :meth:`get_lr`.

    Args:
        optimizer: whose rates are set.
        last_epoch: −1. To go on, load the state of the scheduler.

    Attributes:
        base_lrs: the rates of the groups at the start.
        last_epoch: how often it was stepped.

    Raises:
        ArgumentError: no optimiser, one whose rate is a schedule already, another
            ``last_epoch``.

    >>> from chainrule import nn, optim
    >>> class Halving(LRScheduler):
    ...     def get_lr(self):
    ...         return [lr * 0.5**self.last_epoch for lr in self.base_lrs]
    >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.8)
    >>> scheduler = Halving(optimizer)
    >>> scheduler.get_last_lr()
    [0.8]
    """

    def __init__(self, optimizer: Any, last_epoch: int = -1) -> None:
        kind = type(self).__name__
        if not hasattr(optimizer, "param_groups"):
            raise ArgumentError(
                _("{kind} sets the rates of an optimiser.", kind=kind),
                expected=f"lr_scheduler.{kind}(optimizer, …)",
                got=f"{optimizer!r:.80}",
                fix=_("optim.{kind}(lr, …) for a schedule as the rate", kind=kind),
            )
        if last_epoch != -1:
            raise ArgumentError(
                _("A scheduler begins at the start."),
                expected="last_epoch=-1",
                got=f"last_epoch={last_epoch!r:.40}",
                fix="scheduler.load_state_dict(state)",
            )
        self.optimizer = optimizer
        for schedule in getattr(optimizer, "schedules", list)():
            if type(schedule) is not Schedule:
                raise ArgumentError(
                    _("The optimiser's rate is a schedule already."),
                    expected=_("a number"),
                    got=f"lr={schedule!r:.80}",
                    fix=_("one of both: the schedule, or the scheduler"),
                )
        self.base_lrs = [_initial(group) for group in optimizer.param_groups]
        self.last_epoch = -1
        self._updates = getattr(optimizer, "steps", None)
        self._last_lr = list(self.base_lrs)
        self._advance(0)

    # -- what a scheduler defines ------------------------------------------------------

    def get_lr(self) -> Sequence[float]:
        """Return the rates of the groups now; every scheduler defines this."""
        raise ArgumentError(
            _("{kind} has no get_lr().", kind=type(self).__name__),
            expected=_("a method get_lr(self), with a rate for each group"),
            fix=_("define it in the class"),
        )

    # -- steps -------------------------------------------------------------------------

    def step(self, epoch: int | None = None) -> None:
        """Go on by one epoch, or by one update: set the rates that follow.

        Args:
            epoch: go there instead.
        """
        steps = getattr(self.optimizer, "steps", None)
        if self.last_epoch == 0 and steps is not None and steps == self._updates:
            warn(
                _("The scheduler was stepped before the optimiser."),
                expected=_("optimizer.step(), and scheduler.step() after it"),
                got=_("no step of the optimiser since the scheduler was made"),
                fix=_("the other order: the first rate is left out else"),
            )
        if epoch is None:
            self._advance(self.last_epoch + 1)
        else:
            self._jump(epoch)

    def _advance(self, epoch: int) -> None:
        self.last_epoch = epoch
        self._set(self.get_lr())

    def _jump(self, epoch: int) -> None:
        """Go to a step from any other one."""
        self._advance(epoch)

    def _set(self, rates: Sequence[float]) -> None:
        for group, lr in zip(self.optimizer.param_groups, rates):
            if group["lr"] != lr:
                group["lr"] = lr
        self._last_lr = [float(lr) for lr in rates]

    def get_last_lr(self) -> list[float]:
        """Return the rates that the scheduler has set last."""
        return list(self._last_lr)

    def _rates(self) -> list[float]:
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    # -- state -------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return the scheduler's state, without its optimiser and its functions."""
        return {
            key: value
            for key, value in vars(self).items()
            if key != "optimizer" and not _has_functions(value)
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the state that :meth:`state_dict` returned."""
        vars(self).update(state_dict)


def _initial(group: Any) -> float:
    """Return the rate of a group before its first scheduler, and note it there."""
    if isinstance(group, dict):
        return group.setdefault("initial_lr", group["lr"])
    return vars(group).setdefault("initial_lr", float(group["lr"]))


def _has_functions(value: Any) -> bool:
    items = value if isinstance(value, list | tuple) else [value]
    return any(callable(item) or isinstance(item, LRScheduler) for item in items)


# -- by a formula ----------------------------------------------------------------------


class _ByFormula(LRScheduler):
    """The base class of schedulers with a closed formula η(t) of the first rate.

    A rate that is not the formula's is moved on in the formula's proportion, as
    PyTorch's recursions do: so several schedulers of one optimiser work together.
    """

    #: What the rate falls to, which proportions leave out.
    floor = 0.0

    def formula(self, base: float, t: int) -> float:
        """Return the rate of a group at step t, for its rate at the start."""
        raise NotImplementedError

    def get_lr(self) -> list[float]:
        """Return the rates of the groups now."""
        t, rates = self.last_epoch, []
        for base, lr in zip(self.base_lrs, self._rates(), strict=True):
            before = self.formula(base, t - 1) if t > 0 else base
            wanted = self.formula(base, t)
            if before != self.floor and not math.isclose(lr, before, rel_tol=1e-12):
                share = (wanted - self.floor) / (before - self.floor)
                wanted = self.floor + (lr - self.floor) * share
            rates.append(wanted)
        return rates

    def _jump(self, epoch: int) -> None:
        self.last_epoch = epoch
        self._set([self.formula(base, epoch) for base in self.base_lrs])


class StepLR(_ByFormula):
    """γ times the rate after every ``step_size`` steps.

    Args:
        optimizer: whose rates are set.
        step_size: steps between two reductions.
        gamma: γ.
        last_epoch: −1.

    >>> from chainrule import nn, optim
    >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    >>> scheduler = StepLR(optimizer, step_size=2, gamma=0.5)
    >>> [scheduler.formula(0.1, t) for t in range(5)]
    [0.1, 0.1, 0.05, 0.05, 0.025]
    """

    def __init__(
        self, optimizer: Any, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def formula(self, base: float, t: int) -> float:
        return schedules.StepLR(base, self.step_size, self.gamma, unit="step")(t)


class MultiStepLR(_ByFormula):
    """γ times the rate at each milestone.

    Args:
        optimizer: whose rates are set.
        milestones: steps, each later than the one before.
        gamma: γ.
        last_epoch: −1.
    """

    def __init__(
        self,
        optimizer: Any,
        milestones: Sequence[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        self.milestones, self.gamma = list(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def formula(self, base: float, t: int) -> float:
        marks = self.milestones
        return schedules.MultiStepLR(base, marks, self.gamma, unit="step")(t)


class ExponentialLR(_ByFormula):
    """γ times the rate at every step.

    Args:
        optimizer: whose rates are set.
        gamma: γ.
        last_epoch: −1.
    """

    def __init__(self, optimizer: Any, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def formula(self, base: float, t: int) -> float:
        return schedules.ExponentialLR(base, self.gamma, unit="step")(t)


class CosineAnnealingLR(_ByFormula):
    """A rate that falls to ``eta_min`` along half a cosine, and climbs after it.

    Args:
        optimizer: whose rates are set.
        T_max: the steps of the fall.
        eta_min: η_min.
        last_epoch: −1.
    """

    def __init__(
        self,
        optimizer: Any,
        T_max: int,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        self.T_max, self.eta_min = T_max, eta_min
        self.floor = eta_min
        super().__init__(optimizer, last_epoch)

    def formula(self, base: float, t: int) -> float:
        fall = schedules.CosineAnnealingLR(base, self.T_max, self.eta_min, unit="step")
        return fall(t)


class ConstantLR(_ByFormula):
    """``factor`` times the rate during the first ``total_iters`` steps.

    Args:
        optimizer: whose rates are set.
        factor: between 0 and 1.
        total_iters: the number of steps.
        last_epoch: −1.
    """

    def __init__(
        self,
        optimizer: Any,
        factor: float = 1 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.factor = validation.number("factor", factor, least=0, most=1)
        self.total_iters = validation.whole("total_iters", total_iters, least=0)
        super().__init__(optimizer, last_epoch)

    def formula(self, base: float, t: int) -> float:
        return base if t >= self.total_iters else base * self.factor


class LinearLR(_ByFormula):
    """A share of the rate that goes linearly from one factor to another.

    Args:
        optimizer: whose rates are set.
        start_factor: the share at the start, in (0, 1].
        end_factor: the share from step ``total_iters`` on.
        total_iters: the number of steps between.
        last_epoch: −1.
    """

    def __init__(
        self,
        optimizer: Any,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor = validation.number(
            "start_factor", start_factor, above=0, most=1
        )
        self.end_factor = validation.number("end_factor", end_factor, least=0, most=1)
        self.total_iters = validation.whole("total_iters", total_iters)
        super().__init__(optimizer, last_epoch)

    def formula(self, base: float, t: int) -> float:
        share = min(t, self.total_iters) / self.total_iters
        return base * (
            self.start_factor + (self.end_factor - self.start_factor) * share
        )


class PolynomialLR(_ByFormula):
    """A rate that falls to 0 as (1 − t/T)^p.

    Args:
        optimizer: whose rates are set.
        total_iters: T.
        power: p.
        last_epoch: −1.
    """

    def __init__(
        self,
        optimizer: Any,
        total_iters: int = 5,
        power: float = 1.0,
        last_epoch: int = -1,
    ) -> None:
        self.total_iters = validation.whole("total_iters", total_iters)
        self.power = validation.number("power", power)
        super().__init__(optimizer, last_epoch)

    def formula(self, base: float, t: int) -> float:
        return base * (1 - min(t, self.total_iters) / self.total_iters) ** self.power


# -- that set the rate whatever it was -------------------------------------------------


class LambdaLR(LRScheduler):
    """The first rate times a function of the step.

    Args:
        optimizer: whose rates are set.
        lr_lambda: the function, or a list with one for each group.
        last_epoch: −1.

    >>> from chainrule import nn, optim
    >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.8)
    >>> scheduler = LambdaLR(optimizer, lambda t: 1 / (1 + t))
    >>> scheduler.last_epoch = 1; scheduler.get_lr()
    [0.4]
    """

    def __init__(
        self,
        optimizer: Any,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        groups = len(getattr(optimizer, "param_groups", ()))
        self.lr_lambdas = (
            [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        )
        if len(self.lr_lambdas) != groups:
            raise _of_each("lr_lambda", groups, len(self.lr_lambdas))
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the rates of the groups now."""
        pairs = zip(self.base_lrs, self.lr_lambdas, strict=True)
        return [base * function(self.last_epoch) for base, function in pairs]


class MultiplicativeLR(LambdaLR):
    """The rate so far times a function of the step.

    Args:
        optimizer: whose rates are set.
        lr_lambda: the function, or a list with one for each group.
        last_epoch: −1.
    """

    def get_lr(self) -> list[float]:
        """Return the rates of the groups now."""
        if self.last_epoch == 0:
            return self._rates()
        pairs = zip(self._rates(), self.lr_lambdas, strict=True)
        return [lr * function(self.last_epoch) for lr, function in pairs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """A rate that falls along half a cosine, again and again.

    Args:
        optimizer: whose rates are set.
        T_0: the steps of the first fall.
        T_mult: each fall is so many times as long as the one before.
        eta_min: what the rate falls to.
        last_epoch: −1.

    Source: Loshchilov & Hutter 2017 (SGDR), equation 5.
    """

    def __init__(
        self,
        optimizer: Any,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        self.T_0 = validation.whole("T_0", T_0)
        self.T_mult = validation.whole("T_mult", T_mult)
        self.eta_min = validation.number("eta_min", eta_min)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the rates of the groups now."""
        start, length = 0, self.T_0
        while self.last_epoch >= start + length:
            start, length = start + length, length * self.T_mult
        share = (1 + math.cos(math.pi * (self.last_epoch - start) / length)) / 2
        return [self.eta_min + (lr - self.eta_min) * share for lr in self.base_lrs]


class _Momenta(LRScheduler):
    """The base class of cycles, which may move the momentum against the rate."""

    cycle_momentum = False

    def _momentum_key(self) -> str:
        group = self.optimizer.param_groups[0]
        return "betas" if "betas" in group else "momentum"

    def _set_momenta(self, momenta: Sequence[float]) -> None:
        key = self._momentum_key()
        for group, momentum in zip(self.optimizer.param_groups, momenta):
            new = (momentum, group["betas"][1]) if key == "betas" else momentum
            group[key] = new

    def _check_momentum(self, optimizer: Any) -> None:
        groups = getattr(optimizer, "param_groups", ())
        if any("betas" not in g and not g.get("momentum") for g in groups):
            raise ArgumentError(
                _("{kind} moves the momentum.", kind=type(self).__name__),
                expected=_("an optimiser with momentum or betas"),
                got=f"{optimizer!r:.80}",
                fix="cycle_momentum=False",
            )


class CyclicLR(_Momenta):
    """A rate that climbs and falls between two limits, again and again.

    Args:
        optimizer: whose rates are set.
        base_lr: the lower limit, or a list with one for each group.
        max_lr: the upper limit, or a list with one for each group.
        step_size_up: the steps of a climb.
        step_size_down: the steps of a fall; None for as many.
        mode: ``"triangular"``; ``"triangular2"``, where each cycle is half as high; or
            ``"exp_range"``, where the height is times γ at each step.
        gamma: γ.
        scale_fn: the height of a cycle instead, in [0, 1], by its number or the step.
        scale_mode: what ``scale_fn`` takes: ``"cycle"`` or ``"iterations"``.
        cycle_momentum: whether the momentum goes the other way.
        base_momentum: its lower limit.
        max_momentum: its upper limit.
        last_epoch: −1.

    Source: Smith 2017, Cyclical learning rates for training neural networks.
    """

    def __init__(
        self,
        optimizer: Any,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: Literal["cycle", "iterations"] = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float = 0.8,
        max_momentum: float = 0.9,
        last_epoch: int = -1,
    ) -> None:
        groups = len(getattr(optimizer, "param_groups", ()))
        self.max_lrs = _each("max_lr", max_lr, groups)
        self.lower = _each("base_lr", base_lr, groups)
        self.step_size_up = validation.whole("step_size_up", step_size_up)
        down = step_size_up if step_size_down is None else step_size_down
        self.step_size_down = validation.whole("step_size_down", down)
        modes = validation.choice("triangular", "triangular2", "exp_range")
        self.mode, self.gamma = modes("mode", mode), gamma
        self.scale_fn = scale_fn
        wanted = validation.choice("cycle", "iterations")("scale_mode", scale_mode)
        by_step = mode == "exp_range" and scale_fn is None
        self.scale_mode = "iterations" if by_step else wanted
        self.cycle_momentum = cycle_momentum
        self.base_momentum, self.max_momentum = base_momentum, max_momentum
        if cycle_momentum:
            self._check_momentum(optimizer)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = list(self.lower)

    def get_lr(self) -> list[float]:
        """Return the rates of the groups now, and set the momentum."""
        length = self.step_size_up + self.step_size_down
        cycle, place = divmod(self.last_epoch, length)
        climbs = place <= self.step_size_up
        rest = (length - place) / self.step_size_down
        height = place / self.step_size_up if climbs else rest
        at = cycle + 1 if self.scale_mode == "cycle" else self.last_epoch
        height *= self._scale(at)
        if self.cycle_momentum:
            span = self.max_momentum - self.base_momentum
            momentum = self.max_momentum - span * height
            self._set_momenta([momentum] * len(self.lower))
        pairs = zip(self.lower, self.max_lrs, strict=True)
        return [low + (high - low) * height for low, high in pairs]

    def _scale(self, at: int) -> float:
        if self.scale_fn is not None:
            return self.scale_fn(at)
        if self.mode == "triangular":
            return 1.0
        return 1 / 2.0 ** (at - 1) if self.mode == "triangular2" else self.gamma**at


class OneCycleLR(_Momenta):
    """A rate that climbs to ``max_lr`` and falls to almost 0, once.

    Args:
        optimizer: whose rates are set.
        max_lr: the peak, or a list with one for each group.
        total_steps: the number of steps; or ``epochs`` and ``steps_per_epoch``.
        epochs, steps_per_epoch: their product is the number of steps.
        pct_start: the share of steps that climb.
        anneal_strategy: ``"cos"`` or ``"linear"``.
        cycle_momentum: whether the momentum goes the other way.
        base_momentum: its lower limit.
        max_momentum: its upper limit.
        div_factor: the peak over the first rate.
        final_div_factor: the first rate over the last.
        three_phase: whether the fall is as long as the climb, with a third phase.
        last_epoch: −1.

    Source: Smith & Topin 2018.
    """

    def __init__(
        self,
        optimizer: Any,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None and epochs is not None and steps_per_epoch is not None:
            total_steps = epochs * steps_per_epoch
        self.total_steps = validation.whole("total_steps", total_steps)
        groups = len(getattr(optimizer, "param_groups", ()))
        self.peaks = _each("max_lr", max_lr, groups)
        share = validation.number("pct_start", pct_start, least=0, most=1)
        choice = validation.choice("cos", "linear")
        self.anneal_strategy = choice("anneal_strategy", anneal_strategy)
        climb, end = share * self.total_steps - 1, self.total_steps - 1
        low, last = 1 / div_factor, 1 / div_factor / final_div_factor
        #: The phases: their last step, and the share of the peak there.
        self.phases = [(0.0, low), (climb, 1.0), (end, last)]
        if three_phase:
            fall = 2 * share * self.total_steps - 2
            self.phases = [(0.0, low), (climb, 1.0), (fall, low), (end, last)]
        self.cycle_momentum = cycle_momentum
        self.base_momentum, self.max_momentum = base_momentum, max_momentum
        if cycle_momentum:
            self._check_momentum(optimizer)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the rates of the groups now, and set the momentum."""
        t = self.last_epoch
        if t >= self.total_steps:
            raise ArgumentError(
                _("OneCycleLR was stepped beyond its end."),
                expected=_("at most {total} steps", total=self.total_steps),
                got=str(t + 1),
                fix="total_steps=…",
            )
        ends = [end for end, __ in self.phases[1:]]
        i = min(bisect_right([end - 1e-9 for end in ends], t), len(ends) - 1)
        (start, a), (end, b) = self.phases[i : i + 2]
        share = (t - start) / (end - start) if end > start else 1.0
        if self.cycle_momentum:
            high, low = self.max_momentum, self.base_momentum
            first, last = [high, low, high, high][i : i + 2]
            momentum = self._between(first, last, share)
            self._set_momenta([momentum] * len(self.peaks))
        return [self._between(a * peak, b * peak, share) for peak in self.peaks]

    def _between(self, start: float, end: float, share: float) -> float:
        if self.anneal_strategy == "linear":
            return start + (end - start) * share
        return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _each(name: str, value: Any, groups: int) -> list[float]:
    """Return a number for each group."""
    if not isinstance(value, list | tuple):
        return [validation.number(name, value)] * groups
    if len(value) != groups:
        raise _of_each(name, groups, len(value))
    return [validation.number(name, item) for item in value]


def _of_each(name: str, groups: int, count: int) -> ArgumentError:
    return ArgumentError(
        _("{name} is one for all groups, or one for each.", name=name),
        expected=_("{groups} of them", groups=groups),
        got=str(count),
    )


# -- of others -------------------------------------------------------------------------


class SequentialLR(LRScheduler):
    """Several schedulers one after another.

    Args:
        optimizer: whose rates are set.
        schedulers: the schedulers, each made with that optimiser.
        milestones: the step at which each but the first one begins.
        last_epoch: −1.
    """

    def __init__(
        self,
        optimizer: Any,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        _check_same(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ArgumentError(
                _("A milestone stands between two schedulers."),
                expected=str(len(schedulers) - 1),
                got=str(len(milestones)),
            )
        self._schedulers, self._milestones = list(schedulers), list(milestones)
        for group in optimizer.param_groups:  # to which all have done their first step
            group["lr"] = _initial(group)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the rates that the scheduler of this step sets."""
        i = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[i]
        if self.last_epoch == 0 or self.last_epoch in self._milestones:
            scheduler._jump(0)
        else:
            scheduler._advance(scheduler.last_epoch + 1)
        return scheduler.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all schedulers."""
        own = super().state_dict()
        return own | {"_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the state that :meth:`state_dict` returned."""
        rest = dict(state_dict)
        pairs = zip(self._schedulers, rest.pop("_schedulers"), strict=True)
        for scheduler, state in pairs:
            scheduler.load_state_dict(state)
        super().load_state_dict(rest)


class ChainedScheduler:
    """Several schedulers that are stepped together.

    Args:
        schedulers: the schedulers, all made with one optimiser.
        optimizer: that optimiser; it may be left out.
    """

    def __init__(
        self, schedulers: Sequence[LRScheduler], optimizer: Any = None
    ) -> None:
        optimizer = schedulers[0].optimizer if optimizer is None else optimizer
        _check_same(optimizer, schedulers)
        self.optimizer, self._schedulers = optimizer, list(schedulers)

    def step(self) -> None:
        """Go on by one step, with each of the schedulers."""
        for scheduler in self._schedulers:
            scheduler.step()

    def get_last_lr(self) -> list[float]:
        """Return the rates that were set last."""
        return self._schedulers[-1].get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all schedulers."""
        return {"_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the state that :meth:`state_dict` returned."""
        states = state_dict["_schedulers"]
        for scheduler, state in zip(self._schedulers, states, strict=True):
            scheduler.load_state_dict(state)


def _check_same(optimizer: Any, schedulers: Sequence[LRScheduler]) -> None:
    if not schedulers or any(s.optimizer is not optimizer for s in schedulers):
        raise ArgumentError(
            _("Schedulers that follow each other have one optimiser."),
            expected=_("schedulers of this optimiser, at least one"),
            got=_("none, or those of another one"),
        )


class ReduceLROnPlateau(LRScheduler):
    """``factor`` times the rate once a quantity has not improved for some epochs.

    Args:
        optimizer: whose rates are set.
        mode: ``"min"`` where less is better, ``"max"`` where more is.
        factor: what the rate is multiplied by, 0 ≤ factor < 1.
        patience: epochs without improvement that are borne.
        threshold: how much better counts as better.
        threshold_mode: ``"rel"``, a share of the best, or ``"abs"``.
        cooldown: epochs after a reduction in which nothing is held against it.
        min_lr: the rate does not fall below; or a list with one for each group.
        eps: a reduction by no more than this is left out.

    >>> from chainrule import nn, optim
    >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    >>> scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in (1.0, 0.9, 0.95, 0.91):
    ...     scheduler.step(loss)
    >>> optimizer.param_groups[0]["lr"]
    0.05
    """

    def __init__(
        self,
        optimizer: Any,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        options: dict[str, Any] = {"mode": mode, "factor": factor, "eps": eps}
        options |= {"patience": patience, "cooldown": cooldown}
        options |= {"threshold": threshold, "threshold_mode": threshold_mode}
        groups = getattr(optimizer, "param_groups", ())
        limits = _each("min_lr", min_lr, len(groups))
        self._plateaus = [
            schedules.ReduceLROnPlateau(float(group["lr"]), min_lr=least, **options)
            for group, least in zip(groups, limits, strict=True)
        ]
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        """Return the rates of the groups now."""
        return [plateau(0) for plateau in self._plateaus]

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Compare a quantity with its best, and reduce the rates on a plateau.

        Args:
            metrics: the quantity, a number or a tensor of one.
            epoch: the number of the epoch; one more by default.
        """
        for plateau, lr in zip(self._plateaus, self._rates(), strict=True):
            plateau.learnt = {**plateau.learnt, "lr": lr}
            plateau.observe({plateau.monitor: float(metrics)})
        self._advance(self.last_epoch + 1 if epoch is None else epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return the scheduler's state, without its optimiser."""
        state = {k: v for k, v in vars(self).items() if k != "optimizer"}
        return state | {"_plateaus": [dict(p.learnt) for p in self._plateaus]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the state that :meth:`state_dict` returned."""
        rest = dict(state_dict)
        for plateau, learnt in zip(self._plateaus, rest.pop("_plateaus"), strict=True):
            plateau.learnt = dict(learnt)
        super().load_state_dict(rest)


#: PyTorch's old name of the base class.
_LRScheduler = LRScheduler

if not TYPE_CHECKING:  # type checkers know the names

    def __getattr__(name: str) -> Any:
        """Raise an error for an unknown name of the module; suggest another."""
        raise unknown_name(__name__, name, __all__)
