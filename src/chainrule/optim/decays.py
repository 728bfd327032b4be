"""Learning rates that change as the epochs pass, by PyTorch's names and formulas."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.optim.checks import above_zero, real, whole
from chainrule.optim.schedule import Count, CountedSchedule, Schedule


class StepLR(CountedSchedule):
    """γ times the rate after every ``step_size`` epochs: η(t) = η₀ γ^⌊t / step_size⌋.

    Args:
        step_size: epochs between two steps.

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
        return _scaled(self.lr, self.gamma, self.count(step) // self.step_size)


class MultiStepLR(CountedSchedule):
    """γ times the rate at each milestone: η(t) = η₀ γ^(number of milestones ≤ t).

    Args:
        milestones: epochs, each later than the one before.

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
        passed = bisect_right(self.milestones, self.count(step))
        return _scaled(self.lr, self.gamma, passed)


class ExponentialLR(CountedSchedule):
    """γ times the rate after every epoch: η(t) = η₀ γᵗ.

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
        return _scaled(self.lr, self.gamma, self.count(step))


def _scaled(lr: float, gamma: float, times: int) -> float:
    """η₀ γⁿ; infinite where γ > 1 has made it larger than any number."""
    try:
        return lr * gamma**times
    except OverflowError:
        return math.copysign(math.inf, lr)


class CosineAnnealingLR(CountedSchedule):
    """From the rate down to ``eta_min`` along half a cosine.

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
        self, total_steps: Count, steps_per_epoch: Count = None, *, first: int = 0
    ) -> None:
        """Learn the length of the run, unless it was given or is known already."""
        super().bind(total_steps, steps_per_epoch, first=first)
        unknown = self.T_max is None and self.total_steps is None
        if unknown and total_steps is not None:
            self.total_steps = whole("total_steps", total_steps)
            self._length = max(1, self.count(total_steps))

    def __call__(self, step: int) -> float:
        length = self.T_max or self._length
        if length is None:
            raise ArgumentError(
                "CosineAnnealingLR does not know how long the run is.",
                expected="T_max, or a Trainer that fills it in",
                got="None",
                fix="in a loop of your own: "
                'CosineAnnealingLR(lr, T_max=updates, unit="step")',
            )
        return _cosine(self.lr, self.eta_min, self.count(step) / length)

    def state(self) -> dict[str, Any]:
        if self._length is None:
            return super().state()
        length = {"total_steps": self.total_steps, "length": self._length}
        return super().state() | length

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        if "length" in state:
            self.total_steps = whole("total_steps", state["total_steps"])
            self._length = whole("length", state["length"])


class OneCycleLR(Schedule):
    """Up from max_lr/div_factor to max_lr, then down to almost nothing, on cosines.

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

    def __init__(
        self,
        max_lr: float,
        total_steps: int | None = None,
        *,
        pct_start: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ) -> None:
        super().__init__(max_lr)
        self.max_lr = self.lr
        if total_steps is not None:
            total_steps = whole("total_steps", total_steps)
        self.total_steps = total_steps
        self.pct_start = real("pct_start", pct_start, least=0.0)
        if self.pct_start > 1:
            raise ArgumentError(
                "pct_start is a share of the steps.",
                expected="0 … 1",
                got=repr(pct_start),
            )
        self.div_factor = above_zero("div_factor", div_factor)
        self.final_div_factor = above_zero("final_div_factor", final_div_factor)

    def bind(
        self, total_steps: Count, steps_per_epoch: Count = None, *, first: int = 0
    ) -> None:
        """Set the length of the run, unless it was given."""
        if self.total_steps is None:
            self.total_steps = total_steps

    def __call__(self, step: int) -> float:
        """η at update ``step``; after the end it stays at the last rate."""
        if self.total_steps is None:
            raise ArgumentError(
                "OneCycleLR does not know how long the run is.",
                expected="total_steps",
                got="None",
                fix="OneCycleLR(max_lr, total_steps=epochs * steps_per_epoch)",
            )
        first = self.lr / self.div_factor
        last = first / self.final_div_factor
        peak = self.pct_start * self.total_steps - 1
        end = self.total_steps - 1
        step = min(step, end)
        if step <= peak:
            return _cosine(first, self.lr, step / peak if peak else 1.0)
        return _cosine(self.lr, last, (step - peak) / (end - peak))


def _cosine(start: float, end: float, share: float) -> float:
    """From start to end along half a cosine, where ``share`` of it is over."""
    return end + (start - end) * ((1 + math.cos(math.pi * share)) / 2)
