"""Schedulers made of other schedulers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.optim.lr_scheduler.base import LRScheduler, initial_rate
from chainrule.text import _


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
            group["lr"] = initial_rate(group)
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
