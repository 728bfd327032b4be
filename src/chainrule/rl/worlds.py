"""The environments of agents, side by side, from whatever may stand for ``env``."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.graph.node import Array
from chainrule.text import _
from chainrule.training import Environments, Transition
from chainrule.training.environment_checks import EnvironmentChecks
from chainrule.util.validation import seed as seeded
from chainrule.util.validation import whole


class VectorWorld(EnvironmentChecks):
    """A vector of environments that steps itself, ``gymnasium.vector.VectorEnv``.

    It has what :class:`~chainrule.training.Environments` has but ``state()``, since
    gymnasium's vectors cannot go back: no checkpoints. All three ways in which they
    begin the next episode (``AutoresetMode``) lead to the same transitions.

    Args:
        env: the vector.
        seed: of its random numbers.

    Attributes:
        observations, steps, episodes: as those of ``Environments``.
    """

    def __init__(self, env: Any, *, seed: int = 0) -> None:
        self.env, self.name = env, _name(env)
        mode = env.metadata.get("autoreset_mode")
        self._mode = str(getattr(mode, "name", mode))
        if self._mode not in ("NEXT_STEP", "SAME_STEP", "DISABLED"):
            raise ArgumentError(
                _("{name} does not say how its episodes begin.", name=self.name),
                expected="gymnasium.vector.AutoresetMode in env.metadata",
                got=f"{mode!r:.80}",
            )
        one = SimpleNamespace(
            action_space=env.single_action_space,
            observation_space=env.single_observation_space,
        )
        super().__init__(one)
        self.observations = self._seen(env.reset(seed=seeded("seed", seed))[0])
        count = len(self.observations)
        self._over = np.zeros(count, bool)  # whose next step begins an episode
        self._returns, self._lengths = np.zeros(count), np.zeros(count, np.int64)
        self.steps = 0
        self.episodes: list[tuple[int, float, int]] = []

    def step(self, actions: Array) -> Transition:
        """Step every environment of a vector once, with one action each."""
        self._check_actions(actions, len(self._over))
        given = actions.astype(self.env.action_space.dtype, copy=False)
        seen, rewards, ended, cut, info = self.env.step(given)
        after, moved = self._seen(seen), ~self._over
        rewards = np.asarray(rewards, np.float32)
        if not np.isfinite(rewards).all():
            raise self._not_finite("reward", rewards, self.steps)
        ended, cut = np.array(ended, bool), np.array(cut, bool)
        over, self.observations = ended | cut, after
        if over.any():
            if self._mode == "SAME_STEP":
                after = after.copy()
                for i in np.flatnonzero(over):
                    after[i] = self._numbers(info["final_obs"][i])
            elif self._mode == "DISABLED":
                self.observations = self._seen(
                    self.env.reset(options={"reset_mask": over})[0]
                )
        self._note(rewards, moved, over)
        self._over = over & (self._mode == "NEXT_STEP")
        self.moved = moved
        return Transition(after, rewards, ended, cut)

    def _note(self, rewards: Array, moved: Array, over: Array) -> None:
        """Record the returns of a vector's episodes."""
        self.steps += int(moved.sum())
        self._returns += rewards * moved
        self._lengths += moved
        for i in np.flatnonzero(over):
            row = self.steps, float(self._returns[i]), int(self._lengths[i])
            self.episodes.append(row)
        self._returns[over], self._lengths[over] = 0, 0

    def _seen(self, observations: Any) -> Array:
        """Return a vector's observations as float32, in an array of their own."""
        seen = np.array(observations, np.float32)
        if not np.isfinite(seen).all():
            raise self._not_finite("observation", seen, self.steps)
        return seen

    def state(self) -> NoReturn:
        """Refuse a checkpoint: a vector of gymnasium's has no state."""
        raise ArgumentError(
            _("The episodes of {name} cannot be written down.", name=self.name),
            expected=_("an environment, its name, or a function that makes one"),
            got=type(self.env).__name__,
            fix=_("n_envs=… in place of a vector, or no checkpoint="),
        )

    def load_state(self, state: Any) -> NoReturn:
        """Refuse a checkpoint: a vector of gymnasium's has no state."""
        self.state()

    def close(self) -> None:
        """Close the environments of a vector."""
        self.env.close()


#: What an agent acts in.
World = Environments | VectorWorld


def as_world(env: Any, n_envs: int, seed: int) -> tuple[World, Any]:
    """Return an agent's environments, and a maker of further ones.

    Args:
        env: a name, an environment, a function that makes one, a vector of
            environments, or :class:`~chainrule.training.Environments`.
        n_envs: how many; what is there already is as many as it is.
        seed: of their random numbers.

    Returns:
        The world, and a name or a function from which others are made; an environment
        that is there already; or None.

    Raises:
        ArgumentError: nothing of these, several where there is one, no spaces.
    """
    count = whole("n_envs", n_envs)
    if isinstance(env, Environments):
        return _with_spaces(env), None
    if isinstance(env, str):
        return Environments(env, count, seed=seed), env
    if is_vector(env):
        # What wraps or extends it may change what is seen, so that steps itself.
        if type(env) is importlib.import_module("gymnasium").vector.SyncVectorEnv:
            return _side_by_side(env.envs, seed), None
        return VectorWorld(env, seed=seed), None
    if is_made(env):
        if count > 1:
            raise ArgumentError(
                _("There is one environment, and no more."),
                expected=_("a name, or a function that makes one: env=lambda: Mine()"),
                got=f"n_envs={count}",
            )
        return _with_spaces(_side_by_side([env], seed)), env
    if not callable(env):
        raise ArgumentError(
            _("An agent acts in an environment."),
            expected=_("a name that gymnasium.make knows, an environment, a vector"),
            got=f"{env!r:.80}",
        )
    return _with_spaces(Environments(env, count, seed=seed)), env


def is_made(env: Any) -> bool:
    """Return whether ``env`` is an environment, not what makes one."""
    return hasattr(env, "step") and not isinstance(env, type)


def is_vector(env: Any) -> bool:
    """Return whether an environment is a vector of gymnasium's."""
    if not hasattr(env, "num_envs"):
        return False
    return isinstance(env, importlib.import_module("gymnasium").vector.VectorEnv)


def _side_by_side(envs: list[Any], seed: int) -> Environments:
    """Return environments that are there already as one world."""
    rest = iter(envs)
    make: Callable[[], Any] = lambda: next(rest)  # noqa: E731 - it has a type
    world = Environments(make, len(envs), seed=seed)
    world.name = _name(envs[0])
    return world


def _name(env: Any) -> str:
    """Return the name of an environment."""
    return str(getattr(getattr(env, "spec", None), "id", type(env).__name__))


def _with_spaces(world: Environments) -> Environments:
    """Refuse environments that do not say what they take and show."""
    for name in ("observation_space", "action_space"):
        if getattr(world, name) is None:
            raise ArgumentError(
                _("{env} does not say what its {name} is.", env=world.name, name=name),
                expected=f"env.{name}, a space of gymnasium",
                got=_("none"),
                fix="class Mine(gymnasium.Env)",
            )
    return world
