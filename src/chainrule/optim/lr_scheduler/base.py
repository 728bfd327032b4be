"""The base class of the schedulers that one steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.errors import ArgumentError, warn
from chainrule.optim.schedule import Schedule
from chainrule.text import _
from chainrule.util import validation


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
        self.base_lrs = [initial_rate(group) for group in optimizer.param_groups]
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
            if key != "optimizer" and not has_functions(value)
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the state that :meth:`state_dict` returned."""
        vars(self).update(state_dict)


def initial_rate(group: Any) -> float:
    """Return the rate of a group before its first scheduler, and note it there."""
    if isinstance(group, dict):
        return group.setdefault("initial_lr", group["lr"])
    return vars(group).setdefault("initial_lr", float(group["lr"]))


def has_functions(value: Any) -> bool:
    """Return whether a value, or an item of a list, is a function or scheduler."""
    items = value if isinstance(value, list | tuple) else [value]
    return any(callable(item) or isinstance(item, LRScheduler) for item in items)


def one_per_group(name: str, value: Any, groups: int) -> list[float]:
    """Return a number for each group."""
    if not isinstance(value, list | tuple):
        return [validation.number(name, value)] * groups
    if len(value) != groups:
        raise wrong_count(name, groups, len(value))
    return [validation.number(name, item) for item in value]


def wrong_count(name: str, groups: int, count: int) -> ArgumentError:
    """Return the error for a list that has not one item a group."""
    return ArgumentError(
        _("{name} is one for all groups, or one for each.", name=name),
        expected=_("{groups} of them", groups=groups),
        got=str(count),
    )


# -- of others -------------------------------------------------------------------------
