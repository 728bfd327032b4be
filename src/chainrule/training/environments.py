"""Environments side by side, for agents: what a source of a loop acts in.

An environment has no state that could be written down in general. What can be is how
its episode came about: where its random numbers stood when the episode began, and the
actions since. To go back is to act them again; the last observation says whether that
led to the same place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from chainrule.checks import seed as seeded
from chainrule.checks import whole
from chainrule.errors import ArgumentError, CheckpointError, NonFiniteError, nearest
from chainrule.graph.node import Array


class Moved(NamedTuple):
    """What a step has led to, a row for each environment.

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


class Environments:
    """Environments of gymnasium's interface, stepped together.

    Where an episode ends, the next one begins at once: :attr:`seen` is what the next
    actions are chosen by, :class:`Moved` says what came before. State and random
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

    Raises:
        ArgumentError: no gymnasium, or no environment of that name.
        NonFiniteError: (from :meth:`step`) a reward or an observation that is no
            finite number.

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
        self._all: list[Any] = [build() for _ in range(whole("count", count))]
        seeds = np.random.SeedSequence(seeded("seed", seed)).generate_state(count)
        self.steps = 0
        self.episodes: list[tuple[int, float, int]] = []
        self._actions: list[list[Any]] = [[] for _ in self._all]
        self._returns = [0.0] * count
        first = [e.reset(seed=int(s))[0] for e, s in zip(self._all, seeds)]
        self._began: list[dict[str, Any]] = [{} for _ in self._all]
        try:
            self.seen = np.array(first, np.float32)
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                f"What is seen in {self.name} is no array of numbers.",
                expected="observations that are numbers, or arrays of one shape",
                got=f"{first[0]!r:.100}",
                fix="gymnasium.wrappers.FlattenObservation",
            ) from error
        # Every episode begins with a reset without a seed, the first one too.
        for i in range(count):
            self._begin(i)

    def _begin(self, i: int) -> None:
        """A new episode of one environment."""
        environment = self._all[i]
        self._began[i] = dict(_dice(environment).bit_generator.state)
        self._actions[i] = []
        self._returns[i] = 0.0
        self.seen[i] = environment.reset()[0]

    def step(self, actions: Array) -> Moved:
        """One step of each environment.

        Args:
            actions: a row for each: whole numbers, or vectors.
        """
        count, rows = len(self._all), actions
        if actions.dtype.kind in "iu":
            rows = actions.tolist()
        after = np.empty_like(self.seen)
        rewards = np.empty(count, np.float32)
        terminated, truncated = np.zeros(count, bool), np.zeros(count, bool)
        over: list[int] = []
        for i, environment in enumerate(self._all):
            action = rows[i]
            after[i], reward, ended, cut, _ = environment.step(action)
            self._actions[i].append(action)
            self._returns[i] += reward
            rewards[i] = reward
            if ended or cut:
                terminated[i], truncated[i] = ended, cut
                over.append(i)
            if not math.isfinite(reward):
                raise self._not_finite("reward", reward, i)
        self.steps += count
        flat = after.reshape(-1)
        if not math.isfinite(flat.dot(flat)) and not np.isfinite(after).all():
            raise self._not_finite("observation", after, 0)
        self.seen = after
        if over:
            self.seen = after.copy()
            for i in over:
                ended = self.steps, float(self._returns[i]), len(self._actions[i])
                self.episodes.append(ended)
                self._begin(i)
        return Moved(after, rewards, terminated, truncated)

    def play(
        self, act: Callable[[Array], Array], watch: Callable[[Array], Any] | None = None
    ) -> tuple[Array, Array]:
        """One whole episode of each, from its beginning, that changes nothing else.

        Args:
            act: from observations (n, …) to actions, a row for each.
            watch: is told each observation of the first environment's episode.

        Returns:
            Returns and lengths, float64 and int64, a number for each environment.
        """
        count, kept = len(self._all), self.state()
        seen = np.array([e.reset()[0] for e in self._all], np.float32)
        returns, lengths = np.zeros(count), np.zeros(count, np.int64)
        left = np.arange(count)
        while len(left):
            if watch is not None and left[0] == 0:
                watch(seen[0].copy())
            chosen, going = act(seen[left]), []
            for i, action in zip(left.tolist(), chosen):
                row = action.item() if np.ndim(action) == 0 else action
                seen[i], reward, ended, cut, _ = self._all[i].step(row)
                returns[i] += reward
                lengths[i] += 1
                if not (ended or cut):
                    going.append(i)
            if watch is not None and left[0] == 0 and (not going or going[0]):
                watch(seen[0].copy())
            left = np.array(going, np.int64)
        self.load_state(kept)
        return returns, lengths

    def close(self) -> None:
        """Let go of what environments hold, such as windows."""
        for environment in self._all:
            getattr(environment, "close", lambda: None)()

    # -- as part of a checkpoint -----------------------------------------------------

    def state(self) -> dict[str, Any]:
        """What :meth:`load_state` needs: JSON values and arrays."""
        return {
            "steps": self.steps,
            "episodes": np.array(self.episodes, np.float64).reshape(-1, 3),
            "began": list(self._began),
            "actions": [np.array(actions) for actions in self._actions],
            "seen": self.seen.copy(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Stand where :meth:`state` was asked for: the episodes are played up to there.

        Raises:
            CheckpointError: they do not lead to what was seen then.
        """
        self.steps = int(state["steps"])
        self.episodes = [(int(n), r, int(k)) for n, r, k in state["episodes"].tolist()]
        seen = np.empty_like(self.seen)
        for i, environment in enumerate(self._all):
            began = state["began"][i]
            _dice(environment).bit_generator.state = began
            self._began[i] = began
            found, actions = environment.reset()[0], state["actions"][i]
            rows = actions.tolist() if actions.dtype.kind in "iu" else list(actions)
            self._actions[i], total = rows, 0.0
            for action in rows:
                found, reward, *_ = environment.step(action)
                total += reward
            self._returns[i], seen[i] = total, found
        if not np.array_equal(seen, state["seen"]):
            raise CheckpointError(
                f"The environment {self.name} does not repeat itself.",
                expected="the observations of the checkpoint, when an episode is "
                "played again from the same random numbers by the same actions",
                got=f"{seen!r:.80} instead of {state['seen']!r:.80}",
                fix="draw all that is random from env.np_random, and use the version "
                "of the environment that the checkpoint was made with",
            )
        self.seen = seen

    def _not_finite(self, what: str, value: Any, i: int) -> NonFiniteError:
        return NonFiniteError(
            f"The environment {self.name} gave a {what} that is no finite number.",
            expected="finite numbers",
            got=f"{value!r:.80} at step {len(self._actions[i])} of an episode",
            fix="look at the environment's step(): nothing can be learned from it",
        )


def _dice(environment: Any) -> np.random.Generator:
    """Where an environment's random numbers come from."""
    return getattr(environment, "unwrapped", environment).np_random


def _maker(name: str) -> Callable[[], Any]:
    """What makes an environment of gymnasium.

    Raises:
        ArgumentError: no gymnasium, or no such environment.
    """
    try:
        import gymnasium
    except ModuleNotFoundError as error:
        raise ArgumentError(
            f"The environment {name!r} needs gymnasium.",
            expected="the extra 'rl'",
            got="no gymnasium",
            fix="pip install 'chainrule[rl]'",
        ) from error

    def build() -> Any:
        try:
            return gymnasium.make(name)
        except gymnasium.error.Error as error:
            near = nearest(name, [n for n in gymnasium.registry if n != name])
            raise ArgumentError(
                f"gymnasium makes no environment {name!r}.",
                expected="a name in gymnasium.registry, and what it needs installed",
                got=f"{type(error).__name__}: {error}"[:200],
                fix=f"did you mean {near!r}?" if near else None,
            ) from error

    return build
