"""A learning rate that climbs first, and all schedules by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.optim.checks import above_zero, known_names, whole
from chainrule.optim.decays import (
    CosineAnnealingLR,
    ExponentialLR,
    MultiStepLR,
    OneCycleLR,
    StepLR,
)
from chainrule.optim.plateau import ReduceLROnPlateau
from chainrule.optim.schedule import Count, Schedule


class LinearWarmup(Schedule):
    """Up to a schedule's first rate on a straight line, and then the schedule.

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

    def __init__(
        self,
        schedule: Schedule | float | Mapping[str, Any],
        steps: int,
        start_factor: float = 1 / 3,
    ) -> None:
        self.schedule = as_schedule(schedule)
        self.lr = self.schedule.lr
        self.monitor, self.mode = self.schedule.monitor, self.schedule.mode
        self.steps = whole("steps", steps)
        self.start_factor = above_zero("start_factor", start_factor)
        if self.start_factor > 1:
            raise ArgumentError(
                "A warm-up starts below the rate that it leads to.",
                expected="0 < start_factor ≤ 1",
                got=f"start_factor={start_factor!r}",
            )
        self._add_up()

    def _add_up(self) -> None:
        rest = self.schedule.total_steps
        self.total_steps = None if rest is None else rest + self.steps

    def bind(
        self, total_steps: Count, steps_per_epoch: Count = None, *, first: int = 0
    ) -> None:
        """Tell the wrapped schedule of what is left of the run."""
        self.schedule.bind(
            None if total_steps is None else max(1, total_steps - self.steps),
            steps_per_epoch,
            first=max(0, first - self.steps),
        )
        self._add_up()

    def observe(self, row: Mapping[str, Any]) -> None:
        """Hand the epoch on."""
        self.schedule.observe(row)

    def __call__(self, step: int) -> float:
        """η at update ``step``."""
        if step >= self.steps:
            return self.schedule(step - self.steps)
        rise = (1 - self.start_factor) * step / self.steps
        return self.schedule(0) * (self.start_factor + rise)

    def arguments(self) -> dict[str, Any]:
        """The arguments, with the settings of the wrapped schedule."""
        return super().arguments() | {"schedule": self.schedule.settings()}

    def __repr__(self) -> str:
        inner = repr(self.schedule.lr)
        if type(self.schedule) is not Schedule:
            inner = repr(self.schedule)
        return (
            f"LinearWarmup({inner}, steps={self.steps}, "
            f"start_factor={self.start_factor!r})"
        )


#: Every schedule by its name, for checkpoints and runs from a file.
SCHEDULES: dict[str, type[Schedule]] = {
    kind.__name__: kind
    for kind in (
        Schedule,
        StepLR,
        MultiStepLR,
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
    """The schedule with these settings, which :meth:`Schedule.settings` gave.

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
            "The settings of a schedule are a dictionary.",
            expected='{"name": "StepLR", "lr": 0.1, "step_size": 30}',
            got=repr(settings)[:80],
        )
    name = settings.get("name")
    classes = {**SCHEDULES, **(own or {})}
    known_names("A schedule", [name], classes)
    kind = classes[str(name)]
    arguments = {k: v for k, v in settings.items() if k not in ("name", "state")}
    try:
        made = kind(**arguments)
    except TypeError as error:
        raise ArgumentError(
            f"{name} cannot be made from these settings.",
            expected=f"the arguments of chainrule.optim.{name}",
            got=", ".join(arguments) or "none",
            fix=str(error),
        ) from error
    if "state" not in settings:
        return made
    state = settings["state"]
    try:
        made.load_state(state)
        if made.state() != state:
            raise ValueError(f"{name} has {made.state()!r:.200}")
    except (KeyError, TypeError, ValueError) as error:
        raise ArgumentError(
            f"{name} cannot go on from this state.",
            expected="what its state() gave",
            got=f"{state!r:.80}: {error}",
        ) from error
    return made


def as_schedule(
    lr: float | Schedule | Mapping[str, Any],
    own: Mapping[str, type[Schedule]] | None = None,
) -> Schedule:
    """A schedule: ``lr`` itself, from its settings, or a constant rate."""
    if isinstance(lr, Mapping):
        return build_schedule(lr, own)
    return lr if isinstance(lr, Schedule) else Schedule(lr)
