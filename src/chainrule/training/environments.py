"""Vectorised reinforcement-learning environments, stepped together by a loop's source.

An environment has no state that could be written down in general. What can be is how
its episode came about: where its random numbers stood when the episode began, and the
actions since. To go back is to act them again; the last observation says whether that
led to the same place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from chainrule.errors import (
    ArgumentError,
    ChainruleError,
    CheckpointError,
    NonFiniteError,
    nearest,
)
from chainrule.graph.node import Array
from chainrule.text import _
from chainrule.util.keywords import strict
from chainrule.util.validation import seed as seeded
from chainrule.util.validation import whole

#: What a reward may be, and how large.
_NUMBERS = float, int, np.floating, np.integer, np.bool_
_MOST = float(np.finfo(np.float32).max)
_LEAST = -_MOST
_NOTHING = object()


class Transition(NamedTuple):
    """The result of a step: one row for each environment.

    Attributes:
        after: the observations that the actions led to, of an ended episode its last.
        rewards: float32.
        terminated: where the episode has ended by its own rules: nothing follows.
        truncated: where it was cut short, by a limit of time: more would have followed.
    """

    after: Array
    rewards: Array
    terminated: Array
    truncated: Array


@strict
class Environments:
    """A vector of environments with gymnasium's interface, stepped together.

    Where an episode ends, the next one begins at once: :attr:`seen` is what the next
    actions are chosen by, :class:`Transition` says what came before. State and random
    numbers of all of them can be written down as JSON and arrays, for a checkpoint.

    Args:
        make: a name that ``gymnasium.make`` knows (``pip install 'chainrule[rl]'``), or
            a function without arguments that makes an environment with ``reset``,
            ``step`` and ``np_random``, from which comes all that is random in it.
        count: how many.
        seed: of their random numbers, each has its own.

    Attributes:
        seen: the present observations, (count, …) float32.
        steps: made so far, all environments together.
        episodes: of every episode that has ended: ``steps`` at its end, its return (the
            sum of its rewards), its length.

    A step happens whole or not at all: after an error the state is that before it, and
    the next step begins by playing the episodes again up to there.

    Raises:
        ArgumentError: no gymnasium, no environment of that name, or one of another
            interface; (from :meth:`step`) actions that it does not take.
        NonFiniteError: a reward or an observation that is no finite number.

    >>> class Coin:
    ...     "Guess the next of three tosses."
    ...     def reset(self, *, seed=None):
    ...         if seed is not None:
    ...             self.np_random = np.random.default_rng(seed)
    ...         self.left = 3
    ...         return np.array([self.left]), {}
    ...     def step(self, action):
    ...         self.left -= 1
    ...         reward = float(action == self.np_random.integers(2))
    ...         return np.array([self.left]), reward, self.left == 0, False, {}
    >>> coins = Environments(Coin, count=2, seed=0)
    >>> for _ in range(6):
    ...     moved = coins.step(np.array([0, 1]))
    >>> moved.terminated, coins.seen[:, 0], coins.steps, len(coins.episodes)
    (array([ True,  True]), array([3., 3.], dtype=float32), 12, 4)
    """

    def __init__(
        self, make: str | Callable[[], Any], count: int = 1, *, seed: int = 0
    ) -> None:
        self.name = make if isinstance(make, str) else getattr(make, "__name__", "")
        build = _maker(make) if isinstance(make, str) else make
        count = whole("count", count)
        self._all: list[tuple[int, Any]] = [(i, build()) for i in range(count)]
        seeds = np.random.SeedSequence(seeded("seed", seed)).generate_state(count)
        self.steps = 0
        self.episodes: list[tuple[int, float, int]] = []
        # The actions of each step, and from which one on those of an episode stand.
        self._log: list[Any] = []
        self._first, self._returns = [0] * count, [0.0] * count
        self._torn = False  # whether the environments stand elsewhere than noted here
        space = getattr(self._all[0][1], "action_space", None)
        self._fits, self._dtype, self._whole = None, None, False  # actions seen before
        self._takes = getattr(space, "shape", None)  # of an action
        self._real = getattr(getattr(space, "dtype", None), "kind", "") == "f"
        self._shape: tuple[int, ...] | None = None
        for i, number in enumerate(seeds):
            self._shape = np.shape(self._reset(i, seed=int(number)))
        # Every episode begins with a reset without a seed, the first one too.
        try:
            self._began = [_stand(environment) for __, environment in self._all]
        except AttributeError as error:
            raise self._strange("np_random", error) from error
        self.seen: Array = np.array([self._reset(i) for i in range(count)], np.float32)
        self._wide = self.seen.shape

    def step(self, actions: Array) -> Transition:
        """Step every environment once.

        Args:
            actions: a row for each: whole numbers, or vectors.
        """
        if self._torn:
            self.load_state(self.state())
        if (
            type(actions) is not np.ndarray
            or actions.shape != self._fits
            or actions.dtype is not self._dtype
        ):
            self._check_actions(actions, len(self._all))
            self._fits, self._dtype = actions.shape, actions.dtype
            self._whole = actions.dtype.kind in "iu"
        rows = actions.tolist() if self._whole else actions.copy()
        count = len(self._all)
        after = np.empty(self._wide, np.float32)
        rewards = np.empty(count, np.float32)
        terminated, truncated = np.zeros(count, bool), np.zeros(count, bool)
        self._torn = True
        over = self._advance(self._all, rows, after, rewards, self._returns)
        flat = after.reshape(-1)
        if not math.isfinite(flat.dot(flat)):
            self._check_finite(after)
        seen = after
        if over:
            seen = after.copy()
            for i, ended, cut in over:
                terminated[i], truncated[i] = ended, cut
            begun = [(i, _stand(self._all[i][1]), self._reset(i)) for i, *__ in over]
            for i, __, first in begun:
                seen[i] = first
            self._note(rows, begun)
        else:
            self._log.append(rows)
            self.steps += count
        self.seen = seen
        self._torn = False
        return Transition(after, rewards, terminated, truncated)

    def _note(self, rows: Any, begun: list[tuple[int, dict[str, Any], Array]]) -> None:
        """Record a step, and the episodes that have begun after the step."""
        self._log.append(rows)
        self.steps += len(self._all)
        for i, stand, __ in begun:
            length = len(self._log) - self._first[i]
            self.episodes.append((self.steps, float(self._returns[i]), length))
            self._began[i], self._returns[i] = stand, 0.0
            self._first[i] = len(self._log)
        if oldest := min(self._first):
            del self._log[:oldest]
            self._first = [first - oldest for first in self._first]

    def _advance(
        self,
        which: Iterable[tuple[int, Any]],
        rows: Iterable[Any],
        seen: Array,
        rewards: Array,
        returns: Any,
        before: Any = None,
    ) -> list[tuple[int, Any, Any]]:
        """Step some of the environments once.

        Args:
            which, rows: these with their numbers, and an action for each.
            seen, rewards: become what it led to.
            returns: to these the rewards are added.
            before: steps of the episodes so far; None: as many as are noted.

        Returns:
            Whose episode is over: its number, whether it ended, whether it was cut.

        Raises:
            ArgumentError: an environment gives something else, or takes no such action.
            NonFiniteError: a reward is no finite number of float32.
        """
        over: list[tuple[int, Any, Any]] = []
        shape = self._shape
        for (i, environment), action in zip(which, rows):
            told: Any = _NOTHING
            try:
                told = environment.step(action)
                found, reward, ended, cut, __ = told
                if getattr(found, "shape", None) != shape:
                    found = self._numbers(found)
                seen[i] = found
                if reward.__class__ is not float and not isinstance(reward, _NUMBERS):
                    raise self._strange("reward", reward)
                rewards[i] = reward
                returns[i] += reward
            except ChainruleError:
                raise
            except Exception as error:
                self._explain(i, action, told, error)
                raise
            if not _LEAST <= reward <= _MOST:
                steps = self._steps_of(i) if before is None else int(before[i])
                raise self._not_finite("reward", reward, steps + 1)
            if ended or cut:
                over.append((i, ended, cut))
        return over

    def _explain(self, i: int, action: Any, told: Any, error: Exception) -> None:
        """Raise a clear error for an exception in a step, if its cause is known.

        Args:
            i: which one.
            action: what it was given.
            told: what it gave; ``_NOTHING`` where the exception came from within.
            error: the exception.
        """
        if told is not _NOTHING:
            if type(told) is tuple and len(told) == 5:
                self._numbers(told[0])
            raise self._strange("step", told) from error
        space = getattr(self._all[i][1], "action_space", None)
        if space is not None and not space.contains(action):
            raise ArgumentError(
                _("The environment {name} does not take this action.", name=self.name),
                expected=_("an action in {space}", space=space),
                got=f"{action!r:.80}",
            ) from error

    def play(
        self, act: Callable[[Array], Array], watch: Callable[[Array], Any] | None = None
    ) -> tuple[Array, Array]:
        """Play one whole episode in each environment, and leave the state unchanged.

        Args:
            act: from observations (n, …) to actions, a row for each.
            watch: is told each observation of the first environment's episode.

        Returns:
            Returns and lengths, float64 and int64, a number for each environment.
        """
        count, kept = len(self._all), self.state()
        if self._torn:
            self.load_state(kept)
        self._torn = True
        seen = np.array([self._reset(i) for i in range(count)], np.float32)
        returns, lengths = np.zeros(count), np.zeros(count, np.int64)
        rewards = np.empty(count, np.float32)
        left = np.arange(count)
        while len(left):
            if watch is not None and left[0] == 0:
                watch(seen[0].copy())
            actions = act(seen[left])
            self._check_actions(actions, len(left))
            rows = actions.tolist() if actions.dtype.kind in "iu" else actions
            which = [self._all[i] for i in left]
            over = self._advance(which, rows, seen, rewards, returns, lengths)
            lengths[left] += 1
            ended = {i for i, *__ in over}
            going = [i for i in left.tolist() if i not in ended]
            self._check_finite(seen, lengths - 1)
            if watch is not None and left[0] == 0 and (not going or going[0]):
                watch(seen[0].copy())
            left = np.array(going, np.int64)
        self.load_state(kept)
        return returns, lengths

    def close(self) -> None:
        """Close all environments, and with them resources such as windows."""
        for __, environment in self._all:
            getattr(environment, "close", lambda: None)()

    # -- as part of a checkpoint -----------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return the state for :meth:`load_state`: JSON values and arrays."""
        return {
            "steps": self.steps,
            "episodes": np.array(self.episodes, np.float64).reshape(-1, 3),
            "began": list(self._began),
            "actions": [
                np.array([row[i] for row in self._log[first:]])
                for i, first in enumerate(self._first)
            ],
            "seen": self.seen.copy(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore a state by replaying the episodes up to the saved step.

        Raises:
            CheckpointError: they do not lead to what was seen then.
        """
        self._torn = True
        seen, returns = np.empty_like(self.seen), [0.0] * len(self._all)
        played: list[list[Any]] = []
        rewards = np.empty(len(self._all), np.float32)
        for i, environment in self._all:
            _dice(environment).bit_generator.state = state["began"][i]
            seen[i], actions = self._reset(i), state["actions"][i]
            rows = actions.tolist() if actions.dtype.kind in "iu" else list(actions)
            for step, action in enumerate(rows):
                self._advance(
                    [(i, environment)], [action], seen, rewards, returns, {i: step}
                )
            played.append(rows)
        self._check_finite(seen, [len(rows) - 1 for rows in played])
        if not np.array_equal(seen, state["seen"]):
            raise CheckpointError(
                _("The environment {name} does not repeat itself.", name=self.name),
                expected=_(
                    "the observations of the checkpoint, when an episode is "
                    "played again from the same random numbers by the same actions"
                ),
                got=_(
                    "{seen!r:.80} instead of {seen2!r:.80}",
                    seen=seen,
                    seen2=state["seen"],
                ),
                fix=_(
                    "draw all that is random from env.np_random, and use the "
                    "version of the environment that the checkpoint was made "
                    "with"
                ),
            )
        self.steps = int(state["steps"])
        self.episodes = [(int(n), r, int(k)) for n, r, k in state["episodes"].tolist()]
        most = max(map(len, played))
        self._first = [most - len(rows) for rows in played]
        filled = [[None] * (most - len(rows)) + rows for rows in played]
        self._log = [list(rows) for rows in zip(*filled)]
        self._began, self._returns, self.seen = list(state["began"]), returns, seen
        self._torn = False

    # -- what is taken, and what is given --------------------------------------------

    def _steps_of(self, i: int) -> int:
        """Return the number of steps in an environment's current episode."""
        return len(self._log) - self._first[i]

    def _check_actions(self, actions: Any, count: int) -> None:
        """Refuse an array that is not one valid action for each environment."""
        if isinstance(actions, np.ndarray):
            fits = actions.shape[:1] == (count,)
            fits &= self._takes is None or actions.shape[1:] == self._takes
            if fits and not (self._real and actions.dtype.kind != "f"):
                return
        shape = f"({count}, …)" if self._takes is None else f"{(count, *self._takes)}"
        raise ArgumentError(
            _(
                "These are no actions for {count} environments {name}.",
                count=count,
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

    def _reset(self, i: int, **seed: int) -> Array:
        """Begin an episode of one environment; return its first observation.

        Raises:
            ArgumentError: the environment is of another interface.
            NonFiniteError: what is seen is no finite number.
        """
        try:
            told = self._all[i][1].reset(**seed)
        except (TypeError, AttributeError) as error:
            raise self._strange("reset", error) from error
        if type(told) is not tuple or len(told) != 2:
            raise self._strange("reset", told)
        seen = self._numbers(told[0])
        if not np.isfinite(seen).all():
            raise self._not_finite("observation", seen, 0)
        return seen

    def _numbers(self, seen: Any) -> Array:
        """Return an observation as a float32 array.

        Raises:
            ArgumentError: it is none, or of another shape than those before.
        """
        try:
            found = np.asarray(seen, np.float32)
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                _("What is seen in {name} is no array of numbers.", name=self.name),
                expected=_("observations that are numbers, or arrays of one shape"),
                got=f"{seen!r:.100}",
                fix="gymnasium.wrappers.FlattenObservation",
            ) from error
        if self._shape is not None and found.shape != self._shape:
            raise ArgumentError(
                _("What is seen in {name} has changed its shape.", name=self.name),
                expected=_(
                    "observations of one shape, {shape} as at first", shape=self._shape
                ),
                got=f"{found.shape}",
            )
        return found

    def _check_finite(self, seen: Array, before: Any = None) -> None:
        """Refuse observations that are NaN or infinite."""
        flat = seen.reshape(-1)
        if not math.isfinite(flat.dot(flat)) and not np.isfinite(flat).all():
            i = int(np.isfinite(seen.reshape(len(seen), -1)).all(1).argmin())
            steps = self._steps_of(i) if before is None else int(before[i])
            raise self._not_finite("observation", seen[i], steps + 1)

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


def _dice(environment: Any) -> np.random.Generator:
    """Return an environment's random number generator."""
    return getattr(environment, "unwrapped", environment).np_random


def _stand(environment: Any) -> dict[str, Any]:
    """Return the state of an environment's random number generator."""
    return dict(_dice(environment).bit_generator.state)


def _maker(name: str) -> Callable[[], Any]:
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
