"""The base class of agents: learning in rounds, predictions, tests, files."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np

from chainrule import random
from chainrule.compilation.api import compile
from chainrule.compilation.modes import mode
from chainrule.engines import EngineName
from chainrule.engines.spread import Devices
from chainrule.errors import ArgumentError
from chainrule.graph.node import Array
from chainrule.nn import Module
from chainrule.rl.spaces import Actions, Observations
from chainrule.rl.worlds import as_world, is_made, is_vector
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.training import Environments, checkpoint, resumable
from chainrule.util import processes
from chainrule.util.validation import count, maybe, number, path, seed, whole

#: What may stand for a learning rate: a number, or a function of what is left, 1 … 0.
Rate = float | Callable[[float], float]


class Agent:
    """The base class of agents: they act in environments, and learn in rounds.

    A subclass sets up its networks and its optimiser in ``__init__``, and defines
    :meth:`round` and :meth:`_act`.

    Args:
        env: what to act in: see :func:`~chainrule.rl.worlds.as_world`.
        n_envs: how many environments.
        seed: of the weights, of actions and of the environments.
        engine, threads, devices: of compiled steps, as for :func:`chainrule.compile`.
        arguments: of the subclass, from which a file makes the agent again.

    Attributes:
        world: the environments.
        policy: the networks, one module.
        num_timesteps: how many steps the agent has learned from.
        log: figures of the rounds, by name.
    """

    policy: Module
    optimizer: Any
    #: Steps of all environments in a round of learning.
    steps_a_round: int
    #: The schedule of the learning rate, as it was given.
    learning_rate: Rate

    def __init__(
        self,
        env: Any,
        n_envs: int,
        seed: int,
        engine: EngineName,
        threads: int | None,
        arguments: Mapping[str, Any],
        devices: Devices | None = None,
    ) -> None:
        _refuse_policy_name(type(self).__name__, env)
        self.seed = _seed(seed)
        self.world, self._make = as_world(env, n_envs, self.seed)
        self.observations = Observations(self.world.observation_space)
        self.actions = Actions(self.world.action_space)
        self.rng = np.random.default_rng([self.seed, 1])
        self.num_timesteps = self._begin = 0
        self._total = 1
        self.log: dict[str, list[float]] = {}
        self._engine = {"engine": engine, "threads": threads, "devices": devices}
        self._arguments = {
            name: value
            for name, value in arguments.items()
            if name not in ("self", "env", *self._engine, "__class__")
        }

    # -- what an agent defines ---------------------------------------------------------

    def round(self) -> None:
        """Act for a round of steps, and learn from them."""
        raise NotImplementedError

    def _act(self, observations: Array, deterministic: bool) -> Array:
        """Return an agent's actions for rows of observations."""
        raise NotImplementedError

    # -- learning ----------------------------------------------------------------------

    def learn(
        self,
        total_timesteps: int,
        *,
        callback: Callable[[Self], Any] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float = 60.0,
    ) -> Self:
        """Act and learn for some steps more; return the agent.

        Args:
            total_timesteps: steps of all environments together, rounded up to rounds.
            callback: called with the agent after each round; False ends the learning.
            checkpoint: a directory: the same call in a new process goes on from what
                is stored there, bit for bit, after a kill too.
            checkpoint_every: seconds between two checkpoints.

        Raises:
            NonFiniteError: a reward, an observation or a weight is no finite number.
            ArgumentError: the state of the environments cannot be stored.
            CheckpointError: what is stored is damaged, or of another agent.
        """
        total = count("total_timesteps", total_timesteps)
        self.begin(total)
        rounds = -(-total // self.steps_a_round)
        directory = maybe(path)("checkpoint", checkpoint)
        every = number("checkpoint_every", checkpoint_every, least=0, infinite=True)
        state = self.parts()
        if directory is None:
            del state["world"]
        else:
            self.world.state()  # or it is refused
        for __ in resumable.steps(directory, rounds, state, every=every):
            self.round()
            going_on = None if callback is None else callback(self)
            if isinstance(going_on, bool | np.bool_) and not going_on:
                break
        return self

    def begin(self, total_timesteps: int) -> None:
        """Begin to learn for some steps, over which an agent's schedules run.

        For loops of one's own, in which :meth:`round` follows.
        """
        self._total = max(1, count("total_timesteps", total_timesteps))
        self._begin = self.num_timesteps

    def left(self) -> float:
        """Return the share of an agent's steps that is left, from 1 to 0."""
        return max(0.0, 1 - (self.num_timesteps - self._begin) / self._total)

    def parts(self) -> dict[str, Any]:
        """Return by name all that an agent's rounds change, for a checkpoint."""
        parts = {"agent": self, "policy": self.policy, "optimizer": self.optimizer}
        return parts | {"rng": self.rng, "world": self.world, "log": self.log}

    def state(self) -> dict[str, int]:
        """Return an agent's counts, for a checkpoint."""
        return {"num_timesteps": self.num_timesteps, "begin": self._begin}

    def load_state(self, state: Mapping[str, int]) -> None:
        """Restore an agent's counts from a checkpoint."""
        self.num_timesteps, self._begin = state["num_timesteps"], state["begin"]

    def _set_rate(self) -> None:
        """Set the optimiser's learning rate where a function gives it."""
        if callable(self.learning_rate):
            self.optimizer.lr = self.learning_rate(self.left())

    # -- acting ------------------------------------------------------------------------

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]:
        """Return an agent's action for an observation, or a row for each of several.

        Args:
            observation: one, or rows of them.
            state, episode_start: of recurrent policies; they are passed on.
            deterministic: take the likeliest action instead of drawing one.

        Returns:
            Actions as the environment takes them, and ``state``.

        Raises:
            ArgumentError: observations of another shape.
        """
        rows, single = self.observations.checked(observation)
        actions = self.actions.taken(self._act(rows, deterministic))
        return (actions[0] if single else actions), state

    def evaluate(
        self,
        episodes: int = 10,
        *,
        env: Any = None,
        deterministic: bool = True,
        seed: int = 10_000,
    ) -> tuple[float, float]:
        """Return mean and standard deviation of the returns of whole episodes.

        The episodes that the agent learns from stay where they are, and so do its
        random numbers.

        Args:
            episodes: how many.
            env: where, by default environments such as those of the training.
            deterministic: take the likeliest actions.
            seed: of the environments, and of actions that are drawn.

        Raises:
            ArgumentError: an agent of a vector of environments, without ``env``; a
                vector as ``env``.
        """
        episodes, first = whole("episodes", episodes), _seed(seed)
        make = self._make if env is None else env
        if make is None or is_vector(make):
            raise ArgumentError(
                _("An agent of a vector has no environment for tests."),
                expected=_("env=, a name, an environment, or a function"),
                got=f"env={env!r:.40}",
                fix='agent.evaluate(env="CartPole-v1")',
            )

        def act(rows: Array) -> Array:
            return self.predict(rows, deterministic=deterministic)[0]

        made = is_made(make)
        if made:  # one episode after another
            worlds = (
                Environments(lambda: make, seed=first + i) for i in range(episodes)
            )
        else:
            worlds = iter([Environments(make, episodes, seed=first)])
        mine = self.world if isinstance(self.world, Environments) else None
        saved, used = mine and mine.state(), False
        rng, self.rng = self.rng, np.random.default_rng([first, 1])
        returns: list[float] = []
        try:
            for world in worlds:
                used = used or (mine is not None and world.overlaps(mine))
                returns += world.play(act)[0].tolist()
                if not made and not used:
                    world.close()
        finally:
            self.rng = rng
            if mine is not None and saved is not None and used:
                mine.load_state(saved)
        return float(np.mean(returns)), float(np.std(returns))

    # -- files -------------------------------------------------------------------------

    def save(self, path: Any) -> None:
        """Write an agent's networks, optimiser and arguments to a file.

        Episodes that are going on, and a memory of transitions, are not in it:
        ``learn(checkpoint=…)`` stores all.
        """
        usual = inspect.signature(type(self)).parameters
        known = {k: v for k, v in self._arguments.items() if _is_json(v)}
        again = [
            name
            for name, value in self._arguments.items()
            if name not in known and value is not usual[name].default
        ]
        kind = type(self).__name__
        document = {"agent": kind, "arguments": known, "again": again}
        if isinstance(self._make, str):
            document["env"] = self._make
        resumable.save(_place(path), self._saved_parts(), document)

    @classmethod
    def load(cls, path: Any, env: Any = None, **arguments: Any) -> Self:
        """Return the agent of a file that ``save`` has written.

        Args:
            path: of the file.
            env: what to act in; by default the environment of the name that is stored.
            arguments: others than those that are stored; functions and modules must be
                given again.

        Raises:
            CheckpointError: no such file, a damaged one, or networks of other sizes.
            ArgumentError: an agent of another kind; no environment.
        """
        place = _place(path)
        document, __ = content = checkpoint.read(place)
        kind, env = document.get("agent"), document.get("env") if env is None else env
        if kind != cls.__name__ or env is None:
            raise ArgumentError(
                _(
                    "This file holds no agent {kind} with its environment.",
                    kind=cls.__name__,
                ),
                expected=_("a file of {kind}.save", kind=cls.__name__),
                got=f"{kind}, env={env!r:.40}",
                fix=f"rl.{kind or cls.__name__}.load(path, env=…)",
            )
        if absent := [name for name in document["again"] if name not in arguments]:
            raise ArgumentError(
                _("Functions and modules are not in an agent's file."),
                expected=", ".join(f"{name}=" for name in absent),
                got=", ".join(arguments) or _("none"),
                fix=_("pass what the agent was made with"),
            )
        stored = document["arguments"] | ({"n_envs": 1} if is_made(env) else {})
        agent = cls(env, **stored | arguments)
        resumable.restore(place, agent._saved_parts(), content)
        return agent

    def _saved_parts(self) -> dict[str, Any]:
        """Return the parts of an agent that its file holds."""
        left_out = ("world", "buffer")
        return {k: v for k, v in self.parts().items() if k not in left_out}

    def close(self) -> None:
        """Close an agent's environments."""
        self.world.close()

    # -- for agents --------------------------------------------------------------------

    def _compile(self, function: Callable[..., Any]) -> Any:
        return compile(function, **self._engine)

    def _compile_learning(self, function: Callable[..., Any]) -> Any:
        """Compile a step of learning on columns of rows.

        Over several devices, or processes, the rows are divided: their number is a size
        with a name.
        """
        if self._engine["devices"] is None and processes.count() == 1:
            return self._compile(function)
        return _Learning(function, self._engine)

    def _compile_acting(self, function: Callable[..., Any]) -> Any:
        """Compile a function in which the networks are in prediction mode."""

        def acting(*arrays: Tensor) -> Any:
            with mode(self.policy, training=False):
                return function(*arrays)

        return self._compile(acting)

    def _fresh(self) -> Any:
        """Return a block in which an agent's weights are drawn from its own seed."""
        return random.stream(random.Generator(self.seed))


class _Learning:
    """A compiled step of learning whose number of rows is a size with a name.

    How many axes its columns have is known when the first come.

    Args:
        function: of columns of rows.
        how: ``engine``, ``threads`` and ``devices``.
    """

    def __init__(self, function: Callable[..., Any], how: Mapping[str, Any]) -> None:
        self._function, self._how = function, how
        self._compiled: Any = None

    @property
    def programs(self) -> tuple[Any, ...]:
        """The programs that were made so far."""
        return () if self._compiled is None else self._compiled.programs

    def __call__(self, *batch: Any) -> Any:
        if self._compiled is None:
            names = inspect.signature(self._function).parameters
            shapes = {
                name: ("N", *column.shape[1:])
                for name, column in zip(names, batch, strict=True)
            }
            self._compiled = compile(self._function, **self._how, shapes=shapes)
        return self._compiled(*batch)


def _refuse_policy_name(kind: str, env: Any) -> None:
    """Refuse the name of a policy of Stable-Baselines3's as an environment."""
    if isinstance(env, str) and env.endswith("Policy"):
        raise ArgumentError(
            _("{kind} begins with the environment.", kind=kind),
            expected=f'rl.{kind}("CartPole-v1", policy=(64, 64))',
            got=repr(env),
            fix=_("leave the name of the policy out"),
        )


def _seed(value: Any) -> int:
    return seed("seed", value)


def _place(value: Any) -> Any:
    return value if hasattr(value, "read") else path("path", value)


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True
