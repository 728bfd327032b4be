"""Learning rates that fall as the epochs pass, by PyTorch's names and formulas."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.optim.checks import above_zero, real, whole
from chainrule.optim.schedule import CountedSchedule


class StepLR(CountedSchedule):
    """γ times the rate after every ``step_size`` epochs.

        η(t) = η₀ γ^⌊t / step_size⌋

    Args:
        lr: η₀.
        step_size: epochs between two steps.
        gamma: γ.
        unit: what t counts: ``"epoch"`` or ``"step"`` (updates).
        steps_per_epoch: updates an epoch; a Trainer fills it in.

    Source: PyTorch, ``torch.optim.lr_scheduler.StepLR``.

    >>> lr = StepLR(0.1, step_size=2, gamma=0.5, steps_per_epoch=10)
    >>> lr(19), lr(20), lr(40)
    (0.1, 0.05, 0.025)
    """

    def __init__(
        self,
        lr: float,
        step_size: int,
        gamma: float = 0.1,
        *,
        unit: str = "epoch",
        steps_per_epoch: int | None = None,
    ) -> None:
        super().__init__(lr, unit, steps_per_epoch)
        self.step_size = whole("step_size", step_size)
        self.gamma = above_zero("gamma", gamma, finite=True)

    def __call__(self, step: int) -> float:
        """η at update ``step``."""
        return _scaled(self.lr, self.gamma, self.count(step) // self.step_size)

    def arguments(self) -> dict[str, Any]:
        """η₀, the distance of the steps, γ."""
        own = {"lr": self.lr, "step_size": self.step_size, "gamma": self.gamma}
        return own | super().arguments()


class MultiStepLR(CountedSchedule):
    """γ times the rate at each of the ``milestones``.

        η(t) = η₀ γ^(number of milestones ≤ t)

    Args:
        lr: η₀.
        milestones: epochs, each later than the one before.
        gamma: γ.
        unit: what t counts: ``"epoch"`` or ``"step"`` (updates).
        steps_per_epoch: updates an epoch; a Trainer fills it in.

    Source: PyTorch, ``torch.optim.lr_scheduler.MultiStepLR``.

    >>> lr = MultiStepLR(1.0, [3, 5], gamma=0.5, unit="step")
    >>> lr.values(7)
    array([1.  , 1.  , 1.  , 0.5 , 0.5 , 0.25, 0.25])
    """

    def __init__(
        self,
        lr: float,
        milestones: Sequence[int],
        gamma: float = 0.1,
        *,
        unit: str = "epoch",
        steps_per_epoch: int | None = None,
    ) -> None:
        super().__init__(lr, unit, steps_per_epoch)
        try:
            marks = [whole("a milestone", m) for m in milestones]
        except (TypeError, ArgumentError):
            marks = []
        if not marks or any(a >= b for a, b in pairwise(marks)):
            raise ArgumentError(
                "The milestones of MultiStepLR follow each other.",
                expected="whole numbers ≥ 1, each larger than the one before: [30, 60]",
                got=f"milestones={milestones!r:.80}",
            )
        self.milestones, self.gamma = marks, above_zero("gamma", gamma, finite=True)

    def __call__(self, step: int) -> float:
        """η at update ``step``."""
        passed = bisect_right(self.milestones, self.count(step))
        return _scaled(self.lr, self.gamma, passed)

    def arguments(self) -> dict[str, Any]:
        """η₀, the milestones, γ."""
        own = {"lr": self.lr, "milestones": self.milestones, "gamma": self.gamma}
        return own | super().arguments()


class ExponentialLR(CountedSchedule):
    """γ times the rate after every epoch.

        η(t) = η₀ γᵗ

    Args:
        lr: η₀.
        gamma: γ.
        unit: what t counts: ``"epoch"`` or ``"step"`` (updates).
        steps_per_epoch: updates an epoch; a Trainer fills it in.

    Source: PyTorch, ``torch.optim.lr_scheduler.ExponentialLR``.

    >>> ExponentialLR(1.0, 0.5, unit="step").values(4)
    array([1.   , 0.5  , 0.25 , 0.125])
    """

    def __init__(
        self,
        lr: float,
        gamma: float,
        *,
        unit: str = "epoch",
        steps_per_epoch: int | None = None,
    ) -> None:
        super().__init__(lr, unit, steps_per_epoch)
        self.gamma = above_zero("gamma", gamma, finite=True)

    def __call__(self, step: int) -> float:
        """η at update ``step``."""
        return _scaled(self.lr, self.gamma, self.count(step))

    def arguments(self) -> dict[str, Any]:
        """η₀ and γ."""
        return {"lr": self.lr, "gamma": self.gamma} | super().arguments()


class CosineAnnealingLR(CountedSchedule):
    """From the rate down to ``eta_min`` along half a cosine.

        η(t) = η_min + (η₀ − η_min) (1 + cos(π t / T)) / 2

    Beyond T the cosine goes on: the rate climbs again, as in PyTorch.

    Args:
        lr: η₀.
        T_max: T; by default the length of the run, which a Trainer fills in. A run
            beyond that length is refused.
        eta_min: η_min.
        unit: what t counts: ``"epoch"`` or ``"step"`` (updates; the smoother curve).
        steps_per_epoch: updates an epoch; a Trainer fills it in.

    Source: Loshchilov & Hutter 2017 (SGDR), equation 5, without restarts.

    >>> lr = CosineAnnealingLR(0.1, T_max=100, unit="step")
    >>> round(lr(0), 6), round(lr(50), 6), round(lr(100), 6)
    (0.1, 0.05, 0.0)
    """

    def __init__(
        self,
        lr: float,
        T_max: int | None = None,
        eta_min: float = 0.0,
        *,
        unit: str = "epoch",
        steps_per_epoch: int | None = None,
    ) -> None:
        super().__init__(lr, unit, steps_per_epoch)
        self.T_max = None if T_max is None else whole("T_max", T_max)
        self.eta_min = real("eta_min", eta_min, least=0.0)
        self._length: int | None = None

    def bind(
        self,
        total_steps: int | None,
        steps_per_epoch: int | None = None,
        *,
        first: int = 0,
    ) -> None:
        """Learn the length of the run, unless it was given or is known already."""
        super().bind(total_steps, steps_per_epoch, first=first)
        unknown = self.T_max is None and self.total_steps is None
        if unknown and total_steps is not None:
            self.total_steps = whole("total_steps", total_steps)
            self._length = max(1, self.count(total_steps))

    def __call__(self, step: int) -> float:
        """η at update ``step``."""
        length = self.T_max or self._length
        if length is None:
            raise ArgumentError(
                "CosineAnnealingLR does not know how long the run is.",
                expected="T_max, or a Trainer that fills it in",
                got="None",
                fix="in a loop of your own: "
                'CosineAnnealingLR(lr, T_max=updates, unit="step")',
            )
        wave = (1 + math.cos(math.pi * self.count(step) / length)) / 2
        return self.eta_min + (self.lr - self.eta_min) * wave

    def arguments(self) -> dict[str, Any]:
        """η₀, T and η_min."""
        own = {"lr": self.lr, "T_max": self.T_max, "eta_min": self.eta_min}
        return own | super().arguments()

    def state(self) -> dict[str, Any]:
        """The count of epochs, and the length of the run."""
        if self._length is None:
            return super().state()
        length = {"total_steps": self.total_steps, "length": self._length}
        return super().state() | length

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over what was known of the run."""
        super().load_state(state)
        if "length" in state:
            self.total_steps = whole("total_steps", state["total_steps"])
            self._length = whole("length", state["length"])


def _scaled(lr: float, gamma: float, times: int) -> float:
    """η₀ γⁿ; infinite where γ > 1 has made it larger than any number."""
    try:
        return lr * gamma**times
    except OverflowError:
        return math.copysign(math.inf, lr)
