"""The base class of learning-rate schedules, which is the constant schedule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY
from typing import Any, Literal, cast

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.graph.node import Array
from chainrule.optim.arguments import Declared, names_of, option, positive_int, rate
from chainrule.text import _
from chainrule.util.validation import Check, choice, count, number, whole

#: A number of updates, or None where nobody knows.
Count = int | None


def _mark(name: str, value: Any) -> list[int]:
    start, epoch, length = value
    return [count(name, start), count(name, epoch), whole("steps_per_epoch", length)]


#: What schedules may have learnt, each with its check.
LEARNT: dict[str, Check] = {
    "bad_epochs": count,
    "best": number,
    "cooling": count,
    "length": whole,
    "lr": number,
    "mark": _mark,
    "total_steps": whole,
}


class Schedule(Declared):
    """A constant learning rate, and the base class of learning-rate schedules.

    Schedules are functions: ``schedule(t)`` is η of update number t, counted from 0.
    A Trainer tells them how long the run is (:meth:`bind`) and what came out of each
    epoch (:meth:`observe`); in a loop of your own do the same where a schedule needs
    it. The optimiser asks for the rate by itself: there is no ``scheduler.step()``.

    Args:
        lr: η. Zero and negative rates are allowed, with a warning.

    Raises:
        ArgumentError: an argument outside of its range.

    >>> Schedule(0.1)(5)
    0.1
    """

    lr: float = option(check=rate)

    # Without annotations, for they are no arguments.
    #: Fingerprints compare its attributes: a change makes readers be traced anew.
    compared_by_value = True
    #: Number of updates after which the schedule has nothing to say; None: never.
    total_steps = cast("Count", None)
    #: The key of ``history.epochs`` that is watched, and whether less of it is better
    #: (``"min"``) or more (``"max"``).
    monitor = cast("str | None", None)
    mode = cast("str | None", None)
    #: What it has learnt since it was made, by name; None for what it may learn yet.
    #: It is replaced, not written into.
    learnt = cast("dict[str, Any]", {})

    def __call__(self, step: int) -> float:
        """Return the schedule's learning rate η at update ``step``, counted from 0."""
        return self.lr

    def bind(
        self, total_steps: Count, steps_per_epoch: Count = None, *, first: int = 0
    ) -> None:
        """Set the length of the run in the schedule; values already set are kept.

        Args:
            total_steps: updates until the end of the run, those of earlier runs
                included; None where nobody knows.
            steps_per_epoch: updates an epoch; None where nobody knows.
            first: updates that were made before this run.
        """

    def observe(self, row: Mapping[str, Any]) -> None:
        """Pass an epoch's results, a row of ``history.epochs``, to the schedule."""

    def arguments(self) -> dict[str, Any]:
        """Return the constructor arguments of the learning-rate schedule, JSON-able.

        They are the attributes of the same names; a class of your own that keeps them
        otherwise says here what they are.
        """
        names = names_of(type(self))
        unknown = [name for name in names if not hasattr(self, name)]
        if unknown:
            raise ArgumentError(
                _(
                    "{kind} does not say with which arguments it was made.",
                    kind=type(self).__name__,
                ),
                expected=_("an attribute for each argument, or a method arguments()"),
                got=_("no attribute {names}", names=", ".join(unknown)),
            )
        return {name: getattr(self, name) for name in names}

    def state(self) -> dict[str, Any]:
        """Return the learning-rate schedule's state, JSON-able, for checkpoints."""
        unknown = (None, math.inf, -math.inf)
        return {k: v for k, v in self.learnt.items() if v not in unknown}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the learning-rate schedule's state that ``state`` returned."""
        known = {k: LEARNT[k](k, v) for k, v in state.items() if v is not None}
        if strange := known.keys() - self.learnt.keys():
            raise KeyError(min(strange))
        self.learnt = {**self.learnt, **known}

    def settings(self) -> Any:
        """Return a learning-rate schedule's arguments and state, JSON-able.

        ``chainrule.optim.build_schedule`` makes the schedule again. A constant rate
        is its number.
        """
        if type(self) is Schedule:
            return self.lr
        state = self.state()
        settings = {"name": type(self).__name__, **self.arguments()}
        return settings | ({"state": state} if state else {})

    def values(self, n: int) -> Array:
        """Return the schedule's learning rates of the first n updates.

        >>> Schedule(0.5).values(3)
        array([0.5, 0.5, 0.5])
        """
        return np.array([self(step) for step in range(n)], np.float64)

    def shown(self) -> Any:
        return self.lr if type(self) is Schedule else self


class CountedSchedule(Schedule):
    """Base class of learning-rate schedules that count epochs, or updates.

    A later run may have other batches: the epochs so far stay counted as they were. An
    epoch that was cut short counts as one.

    Args:
        lr: η₀, the rate at the start.
        gamma: γ.
        unit: what t counts: ``"epoch"``, as PyTorch's users do, or ``"step"``
            (updates).
        steps_per_epoch: updates an epoch; a Trainer fills it in.
    """

    __: KW_ONLY
    unit: Literal["epoch", "step"] = option(
        default="epoch", check=choice("epoch", "step")
    )
    steps_per_epoch: int | None = positive_int(default=None)

    def __post_init__(self) -> None:
        known = self.unit == "step" or self.steps_per_epoch is not None
        #: mark: an update, its epoch, updates an epoch from there on.
        self.learnt = {} if known else {"mark": None}

    def bind(
        self, total_steps: Count, steps_per_epoch: Count = None, *, first: int = 0
    ) -> None:
        if steps_per_epoch is None or "mark" not in self.learnt:
            return
        start, epoch, length = self.learnt["mark"] or (0, 0, steps_per_epoch)
        epoch -= (start - first) // length
        self.learnt = {**self.learnt, "mark": [first, epoch, steps_per_epoch]}

    def count(self, step: int) -> int:
        """Return the number of epochs (or updates) before update ``step``."""
        if self.unit == "step":
            return step
        mark: Any = self.learnt.get("mark", (0, 0, self.steps_per_epoch))
        if mark is None:
            name = type(self).__name__
            raise ArgumentError(
                _(
                    "{name} counts epochs and does not know how many updates one has.",
                    name=name,
                ),
                expected=_("steps_per_epoch, which a Trainer fills in"),
                got="None",
                fix=_(
                    "in your own loop: {name}(…, steps_per_epoch=n // "
                    'batch_size), or count updates: {name}(…, unit="step")',
                    name=name,
                ),
            )
        start, epoch, length = mark
        return max(0, epoch + (step - start) // length)
