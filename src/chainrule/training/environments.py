"""Vectorised reinforcement-learning environments, stepped together in a loop.

``gymnasium.vector`` steps and resets environments too, but cannot go back: its vectors
have no state. That is what most of this file is about, and environments of one's own
need no gymnasium here.

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

from chainrule.errors import ArgumentError, ChainruleError, CheckpointError
from chainrule.graph.node import Array
from chainrule.text import _
from chainrule.training.environment_checks import (
    NOTHING,
    EnvironmentChecks,
    gymnasium_maker,
)
from chainrule.util.keywords import strict
from chainrule.util.validation import seed as seeded
from chainrule.util.validation import whole

#: What a reward may be, and how large.
_NUMBERS = float, int, np.floating, np.integer, np.bool_
_MOST = float(np.finfo(np.float32).max)
_LEAST = -_MOST


class Transition(NamedTuple):
    """The result of a step of several RL environments: one row for each.

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
class Environments(EnvironmentChecks):
    """A vector of reinforcement-learning environments, stepped together.

    Where an episode ends, the next one begins at once: the next actions are chosen by
    :attr:`observations`, :class:`Transition` says what came before. State and random
    numbers of all of them can be written down as JSON and arrays, for a checkpoint.

    Args:
        make: a name that ``gymnasium.make`` knows (``pip install 'chainrule[rl]'``), or
            a function without arguments that makes an environment with ``reset``,
            ``step`` and ``np_random``, from which comes all that is random in it.
        count: how many.
        seed: of their random numbers, each has its own.

    Attributes:
        observations: of the present states, (count, …) float32.
        observation_space, action_space: gymnasium's; None where there are none.
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
    >>> moved.terminated, coins.observations[:, 0], coins.steps, len(coins.episodes)
    (array([ True,  True]), array([3., 3.], dtype=float32), 12, 4)
    """

    def __init__(
        self, make: str | Callable[[], Any], count: int = 1, *, seed: int = 0
    ) -> None:
        self.name = make if isinstance(make, str) else getattr(make, "__name__", "")
        build = gymnasium_maker(make) if isinstance(make, str) else make
        count = whole("count", count)
        self._all: list[tuple[int, Any]] = [(i, build()) for i in range(count)]
        if len(self._bodies()) < count:
            raise ArgumentError(
                _("There is one environment, and no more."),
                expected=_("a name, or a function that makes one: env=lambda: Mine()"),
                got=f"{make!r:.80}",
            )
        seeds = np.random.SeedSequence(seeded("seed", seed)).generate_state(count)
        self.steps = 0
        self.episodes: list[tuple[int, float, int]] = []
        # The actions of each step, and from which one on those of an episode stand.
        self._log: list[Any] = []
        self._first, self._returns = [0] * count, [0.0] * count
        self._inconsistent = False  # whether a step was cut short
        self._fits, self._dtype, self._whole = None, None, False  # actions seen before
        super().__init__(self._all[0][1])
        for i, number in enumerate(seeds):
            self._shape = np.shape(self._reset(i, seed=int(number)))
        # Every episode begins with a reset without a seed, the first one too.
        try:
            self._began = [
                _generator_state(environment) for __, environment in self._all
            ]
        except AttributeError as error:
            raise self._strange("np_random", error) from error
        self.observations: Array = np.array(
            [self._reset(i) for i in range(count)], np.float32
        )
        self._wide = self.observations.shape

    def step(self, actions: Array) -> Transition:
        """Step every environment once, with one action each.

        Args:
            actions: a row for each: whole numbers, or vectors.
        """
        if self._inconsistent:
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
        self._inconsistent = True
        over = self._advance(self._all, rows, after, rewards, self._returns)
        flat = after.reshape(-1)
        if not math.isfinite(flat.dot(flat)):
            self._check_finite(after)
        seen = after
        if over:
            seen = after.copy()
            for i, ended, cut in over:
                terminated[i], truncated[i] = ended, cut
            begun = [
                (i, _generator_state(self._all[i][1]), self._reset(i))
                for i, *__ in over
            ]
            for i, __, first in begun:
                seen[i] = first
            self._note(rows, begun)
        else:
            self._log.append(rows)
            self.steps += count
        self.observations = seen
        self._inconsistent = False
        return Transition(after, rewards, terminated, truncated)

    def _note(self, rows: Any, begun: list[tuple[int, dict[str, Any], Array]]) -> None:
        """Record a step of the environments, and the episodes that it began."""
        self._log.append(rows)
        self.steps += len(self._all)
        for i, start, __ in begun:
            length = len(self._log) - self._first[i]
            self.episodes.append((self.steps, float(self._returns[i]), length))
            self._began[i], self._returns[i] = start, 0.0
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
        """Step some of the environments once, with their actions.

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
            result: Any = NOTHING
            try:
                result = environment.step(action)
                observation, reward, ended, cut, __ = result
                if getattr(observation, "shape", None) != shape:
                    observation = self._numbers(observation)
                seen[i] = observation
                if reward.__class__ is not float and not isinstance(reward, _NUMBERS):
                    raise self._strange("reward", reward)
                rewards[i] = reward
                returns[i] += reward
            except ChainruleError:
                raise
            except Exception as error:
                self._explain(environment, action, result, error)
                raise
            if not _LEAST <= reward <= _MOST:
                steps = self._steps_of(i) if before is None else int(before[i])
                raise self._not_finite("reward", reward, steps + 1)
            if ended or cut:
                over.append((i, ended, cut))
        return over

    def play(
        self, act: Callable[[Array], Array], watch: Callable[[Array], Any] | None = None
    ) -> tuple[Array, Array]:
        """Play one whole episode in each environment, and leave the state unchanged.

        Args:
            act: from observations (n, …) to actions, a row for each.
            watch: gets each observation of the first environment's episode.

        Returns:
            Returns and lengths, float64 and int64, a number for each environment.
        """
        count, saved = len(self._all), self.state()
        if self._inconsistent:
            self.load_state(saved)
        self._inconsistent = True
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
        self.load_state(saved)
        return returns, lengths

    def _steps_of(self, i: int) -> int:
        """Return the number of steps in one environment's current episode."""
        return len(self._log) - self._first[i]

    def _reset(self, i: int, **seed: int) -> Array:
        """Begin an episode of one environment; return its first observation.

        Raises:
            ArgumentError: the environment is of another interface.
            NonFiniteError: what is seen is no finite number.
        """
        try:
            result = self._all[i][1].reset(**seed)
        except (TypeError, AttributeError) as error:
            raise self._strange("reset", error) from error
        if type(result) is not tuple or len(result) != 2:
            raise self._strange("reset", result)
        seen = self._numbers(result[0])
        if not np.isfinite(seen).all():
            raise self._not_finite("observation", seen, 0)
        return seen

    def _check_finite(self, seen: Array, before: Any = None) -> None:
        """Refuse environments' observations that are NaN or infinite."""
        flat = seen.reshape(-1)
        if not math.isfinite(flat.dot(flat)) and not np.isfinite(flat).all():
            i = int(np.isfinite(seen.reshape(len(seen), -1)).all(1).argmin())
            steps = self._steps_of(i) if before is None else int(before[i])
            raise self._not_finite("observation", seen[i], steps + 1)

    def _bodies(self) -> set[int]:
        """Return the identities of the environments inside of all wrappers."""
        bodies = [getattr(each, "unwrapped", each) for __, each in self._all]
        return set(map(id, bodies))

    def overlaps(self, other: Environments) -> bool:
        """Return whether one of the environments is another vector's too."""
        return not self._bodies().isdisjoint(other._bodies())

    def close(self) -> None:
        """Close all environments, and with them windows or other resources."""
        for __, environment in self._all:
            getattr(environment, "close", lambda: None)()

    # -- as part of a checkpoint -----------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return the state of all environments, for a checkpoint."""
        return {
            "steps": self.steps,
            "episodes": np.array(self.episodes, np.float64).reshape(-1, 3),
            "began": list(self._began),
            "actions": [
                np.array([row[i] for row in self._log[first:]])
                for i, first in enumerate(self._first)
            ],
            "observations": self.observations.copy(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the environments' state by replaying their current episodes.

        Raises:
            CheckpointError: they do not lead to what was seen then.
        """
        self._inconsistent = True
        seen, returns = np.empty_like(self.observations), [0.0] * len(self._all)
        played: list[list[Any]] = []
        rewards = np.empty(len(self._all), np.float32)
        for i, environment in self._all:
            _generator(environment).bit_generator.state = state["began"][i]
            seen[i], actions = self._reset(i), state["actions"][i]
            rows = actions.tolist() if actions.dtype.kind in "iu" else list(actions)
            for step, action in enumerate(rows):
                self._advance(
                    [(i, environment)], [action], seen, rewards, returns, {i: step}
                )
            played.append(rows)
        self._check_finite(seen, [len(rows) - 1 for rows in played])
        if not np.array_equal(seen, state["observations"]):
            raise CheckpointError(
                _("The environment {name} does not repeat itself.", name=self.name),
                expected=_(
                    "the observations of the checkpoint, when an episode is "
                    "played again from the same random numbers by the same actions"
                ),
                got=_(
                    "{seen!r:.80} instead of {seen2!r:.80}",
                    seen=seen,
                    seen2=state["observations"],
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
        rows_of = [[None] * (most - len(rows)) + rows for rows in played]
        self._log = [list(rows) for rows in zip(*rows_of)]
        self._began, self._returns = list(state["began"]), returns
        self.observations = seen
        self._inconsistent = False


def _generator(environment: Any) -> np.random.Generator:
    """Return the random number generator of an environment."""
    return getattr(environment, "unwrapped", environment).np_random


def _generator_state(environment: Any) -> dict[str, Any]:
    """Return the state of an environment's random number generator."""
    return dict(_generator(environment).bit_generator.state)
