"""Checks of reinforcement-learning environments, and of what they return."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, NonFiniteError, nearest
from chainrule.graph.node import Array
from chainrule.text import _, ngettext

#: The result of a step that was cut short.
NOTHING = object()


class EnvironmentChecks:
    """Base class of :class:`Environments`: checks of actions and observations.

    Args:
        environment: one of them, whose ``action_space`` says what it takes.
    """

    name: str
    #: Where the last step was one; None for everywhere. A vector of gymnasium's may
    #: begin an episode instead.
    moved: Array | None = None

    def __init__(self, environment: Any) -> None:
        self.action_space = space = getattr(environment, "action_space", None)
        self.observation_space = getattr(environment, "observation_space", None)
        self._takes = getattr(space, "shape", None)  # of an action
        self._real = getattr(getattr(space, "dtype", None), "kind", "") == "f"
        self._shape: tuple[int, ...] | None = None  # of an observation

    def _explain(
        self, environment: Any, action: Any, result: Any, error: Exception
    ) -> None:
        """Raise a clear error for an exception in an environment's step.

        Args:
            environment: whose step it was.
            action: its action.
            result: of the step; ``NOTHING`` where the exception came from within.
            error: the exception.
        """
        if result is not NOTHING:
            if type(result) is tuple and len(result) == 5:
                self._numbers(result[0])
            raise self._strange("step", result) from error
        space = getattr(environment, "action_space", None)
        if space is not None and not space.contains(action):
            raise ArgumentError(
                _("The environment {name} does not take this action.", name=self.name),
                expected=_("an action in {space}", space=space),
                got=f"{action!r:.80}",
            ) from error

    def _check_actions(self, actions: Any, count: int) -> None:
        """Refuse an array that is not one valid action for each environment."""
        if isinstance(actions, np.ndarray):
            fits = actions.shape[:1] == (count,)
            fits &= self._takes is None or actions.shape[1:] == self._takes
            if fits and not (self._real and actions.dtype.kind != "f"):
                return
        shape = f"({count}, …)" if self._takes is None else f"{(count, *self._takes)}"
        raise ArgumentError(
            ngettext(
                "These are no actions for {n} environment {name}.",
                "These are no actions for {n} environments {name}.",
                n=count,
                name=self.name,
            ),
            expected=_(
                "an array {shape} of real numbers, a row for each environment",
                shape=shape,
            )
            if self._real
            else _("an array {shape}, a row for each environment", shape=shape),
            got=_(
                "an array {shape} of {dtype}", shape=actions.shape, dtype=actions.dtype
            )
            if isinstance(actions, np.ndarray)
            else f"{type(actions).__name__}: {actions!r:.80}",
            fix=_("np.array(actions), with as many rows as there are observations"),
        )

    def _numbers(self, seen: Any) -> Array:
        """Return an environment's observation as a float32 array.

        Raises:
            ArgumentError: it is none, or of another shape than those before.
        """
        try:
            numbers = np.asarray(seen, np.float32)
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                _("What is seen in {name} is no array of numbers.", name=self.name),
                expected=_("observations that are numbers, or arrays of one shape"),
                got=f"{seen!r:.100}",
                fix="gymnasium.wrappers.FlattenObservation",
            ) from error
        if self._shape is not None and numbers.shape != self._shape:
            raise ArgumentError(
                _("What is seen in {name} has changed its shape.", name=self.name),
                expected=_(
                    "observations of one shape, {shape} as at first", shape=self._shape
                ),
                got=f"{numbers.shape}",
            )
        return numbers

    def _strange(self, what: str, got: Any) -> ArgumentError:
        wanted = {
            "reset": _("reset(seed=…) → (observation, info)"),
            "step": _(
                "step(action) → (observation, reward, terminated, truncated, info)"
            ),
            "reward": _("a reward that is one number"),
            "np_random": _("np_random, a numpy.random.Generator"),
        }
        return ArgumentError(
            _("{name} is no environment of gymnasium's interface.", name=self.name),
            expected=wanted[what],
            got=f"{type(got).__name__}: {got!s:.80}",
            fix=_("gymnasium.Env says what each of them gives"),
        )

    def _not_finite(self, what: str, value: Any, step: int) -> NonFiniteError:
        asked = _(
            "The observation of the environment {name} is no finite number.",
            name=self.name,
        )
        if what == "reward":
            asked = _(
                "The reward of the environment {name} is no finite number.",
                name=self.name,
            )
        return NonFiniteError(
            asked,
            expected=_("finite numbers"),
            got=_("{value!r:.80} at step {step} of an episode", value=value, step=step),
            fix=_("look at the environment's step(): nothing can be learned from it"),
        )


def gymnasium_maker(name: str) -> Callable[[], Any]:
    """Return a function that creates the gymnasium environment ``name``.

    Raises:
        ArgumentError: no gymnasium, or no such environment.
    """
    try:
        import gymnasium
    except ModuleNotFoundError as error:
        raise ArgumentError(
            _("The environment {name!r} needs gymnasium.", name=name),
            expected=_("the extra 'rl'"),
            got=_("no gymnasium"),
            fix=_("pip install 'chainrule[rl]'"),
        ) from error

    def build() -> Any:
        try:
            return gymnasium.make(name)
        except gymnasium.error.Error as error:
            near = nearest(name, [n for n in gymnasium.registry if n != name])
            raise ArgumentError(
                _("gymnasium makes no environment {name!r}.", name=name),
                expected=_("a name in gymnasium.registry, and what it needs installed"),
                got=f"{type(error).__name__}: {error}"[:200],
                fix=_("did you mean {near!r}?", near=near) if near else None,
            ) from error

    return build
