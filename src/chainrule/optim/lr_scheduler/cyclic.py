"""Schedulers that raise the rate and let it fall again."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Literal

from chainrule.errors import ArgumentError
from chainrule.optim.lr_scheduler.base import LRScheduler, one_per_group
from chainrule.text import _, ngettext
from chainrule.util import validation


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
        self.max_lrs = one_per_group("max_lr", max_lr, groups)
        self.lower = one_per_group("base_lr", base_lr, groups)
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
        self.peaks = one_per_group("max_lr", max_lr, groups)
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
                expected=ngettext(
                    "at most {n} step", "at most {n} steps", n=self.total_steps
                ),
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
