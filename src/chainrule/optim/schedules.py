"""Learning rates that change with the step."""

from __future__ import annotations

import math
from typing import Any

from chainrule.errors import ArgumentError


class Schedule:
    """A learning rate as a function of the step; this one is constant.

    Args:
        lr: η.

    >>> Schedule(0.1)(5)
    0.1
    """

    def __init__(self, lr: float) -> None:
        if not isinstance(lr, int | float) or not math.isfinite(lr):
            raise ArgumentError(
                "A learning rate is a finite number.",
                expected="for example lr=1e-3",
                got=repr(lr),
            )
        self.lr = float(lr)

    def bind(self, total_steps: int) -> None:
        """Learn how long the run will be; a constant rate does not care."""

    def __call__(self, step: int) -> float:
        """η at update ``step``, counted from 0."""
        return self.lr

    def settings(self) -> Any:
        """For logs and checkpoints."""
        return self.lr


class OneCycleLR(Schedule):
    """Up from max_lr/div_factor to max_lr, then down to almost nothing, on cosines.

    With s = pct_start·T − 1 the last step of the climb, lo = max_lr/div_factor and
    end = lo/final_div_factor:

        η(t) = lo → max_lr      for t = 0 … s
        η(t) = max_lr → end     for t = s … T − 1

    each along a half cosine (Smith & Topin 2018; PyTorch's formula).

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
        if not 0 <= pct_start <= 1:
            raise ArgumentError(
                "pct_start is a share of the steps.",
                expected="0 … 1",
                got=repr(pct_start),
            )
        self.total_steps, self.pct_start = total_steps, pct_start
        self.div_factor, self.final_div_factor = div_factor, final_div_factor

    def bind(self, total_steps: int) -> None:
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

    def settings(self) -> Any:
        """For logs and checkpoints."""
        return {
            "name": "OneCycleLR",
            "max_lr": self.lr,
            "total_steps": self.total_steps,
            "pct_start": self.pct_start,
            "div_factor": self.div_factor,
            "final_div_factor": self.final_div_factor,
        }


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


def as_schedule(lr: float | Schedule) -> Schedule:
    """A schedule: ``lr`` itself, or a constant rate."""
    return lr if isinstance(lr, Schedule) else Schedule(lr)
