"""Schedulers whose rate is a formula of the step, or a function of one's own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from chainrule.optim import schedules
from chainrule.optim.lr_scheduler.base import LRScheduler, wrong_count
from chainrule.util import validation


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
            raise wrong_count("lr_lambda", groups, len(self.lr_lambdas))
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
