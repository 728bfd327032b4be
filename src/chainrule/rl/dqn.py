"""Deep Q-learning (DQN): the values of actions, learned from a memory of transitions.

    y = r + γ Q(s′, a′; θ⁻)        (y = r where the episode has ended by its rules)
    ℒ = mean of loss(Q(s, a; θ), y)

a′ is the best action by θ⁻ (Mnih et al. 2015), or by θ: the network that chooses is
then not the one that values, which would favour what it overrates (double Q-learning,
van Hasselt, Guez & Silver 2016). θ⁻ is a copy of θ, renewed now and then.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from chainrule import nn, optim
from chainrule.compilation.modes import mode
from chainrule.engines import EngineName
from chainrule.engines.spread import Devices
from chainrule.errors import ArgumentError
from chainrule.graph.context import no_grad
from chainrule.graph.node import Array
from chainrule.rl.agent import Agent, Rate
from chainrule.rl.networks import Policy, dense, features_of, sizes_of
from chainrule.rl.replay import ReplayBuffer
from chainrule.rl.spaces import Observations
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.util.keywords import strict
from chainrule.util.validation import count, number, truth, whole

#: From Q(s, a) and its target to the loss.
Loss = Callable[[Tensor, Tensor], Tensor]


class QNetworks(nn.Module):
    """The networks of a deep Q-learning agent: Q(s, ·; θ) and its copy, the target.

    Args:
        observations: what they read.
        actions: how many actions they value.
        policy: sizes of hidden layers, ReLU; or a module that gives features.

    Attributes:
        online, target: from observations to the value of each action.
    """

    def __init__(
        self, observations: Observations, actions: int, policy: Policy = (64, 64)
    ) -> None:
        hidden = sizes_of(policy)
        if hidden is None:
            features, width = features_of(policy, observations)
            self.online = nn.Sequential(features, nn.Linear(width, actions))
        else:
            self.online = dense(observations, hidden, actions, nn.ReLU)
        self.actions, self.target = actions, copy.deepcopy(self.online)


def q_loss(
    networks: QNetworks,
    *batch: Tensor,
    gamma: float = 0.99,
    double_q: bool = True,
    loss: Loss = nn.functional.smooth_l1_loss,
) -> tuple[Tensor, Tensor]:
    """Return the deep Q-learning loss and the mean Q-value of transitions.

    Args:
        networks: the agent's.
        batch: observations, actions, rewards, next observations, terminated.
        gamma: γ.
        double_q: whether θ chooses a′ which θ⁻ values.
        loss: from Q(s, a) and y to a number.
    """
    observations, actions, rewards, after, terminated = batch
    one_hot = nn.functional.one_hot
    with mode(networks.target, training=False):
        next_q = networks.target(after)
    if double_q:
        best = one_hot(networks.online(after).argmax(1), networks.actions)
        next_q = (next_q * best).sum(1).detach()
    else:
        next_q = next_q.amax(1).detach()
    y = rewards + gamma * (1 - terminated) * next_q
    chosen = one_hot(actions, networks.actions)
    q = (networks.online(observations) * chosen).sum(1)
    return loss(q, y), q.mean()


@strict
class DQN(Agent):
    """An agent that learns the values of discrete actions by deep Q-learning.

    Args:
        env: the name of an environment, an environment, a function that makes one, or
            a vector of gymnasium's; its actions are ``Discrete``.
        policy: sizes of hidden layers, or a module that gives features
            (rows, …) → (rows, features).
        learning_rate: of Adam; a number, or a function of the share that is left, from
            1 to 0.
        buffer_size: transitions in the memory.
        learning_starts: transitions in the memory before the first step of learning;
            a loaded agent, whose memory is empty, collects them anew.
        batch_size: transitions in a step of learning.
        tau: how far the target network goes towards θ; 1 for a copy.
        gamma: γ, the discount.
        train_freq: steps of acting between two phases of learning.
        gradient_steps: steps of learning in a phase.
        target_update_interval: steps of acting between two renewals of θ⁻.
        exploration_fraction: the share of ``learn``'s steps over which ε falls.
        exploration_initial_eps, exploration_final_eps: ε at first and at last.
        max_grad_norm: to which the gradient's norm is clipped; None for no limit.
        double_q: whether θ chooses the action that θ⁻ values.
        loss: of Q-values and their targets; ``nn.functional.mse_loss`` is the papers'.
        n_envs, seed, engine, threads, devices: as of :class:`PPO`.

    Where an episode was cut short by a limit of time, the value of its last observation
    counts as ever: it has not ended. Other attributes: see :class:`Agent`; ``buffer``
    is the memory, ``mean_q`` the mean Q-value of the last batch.

    Raises:
        ArgumentError: other actions; hyper-parameters out of range; a memory that does
            not fit the machine.

    >>> from chainrule import rl
    >>> agent = rl.DQN("CartPole-v1", buffer_size=500, learning_starts=50, seed=0)
    >>> len(agent.learn(200).buffer)
    200
    """

    policy: QNetworks  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(
        self,
        env: Any,
        policy: Policy = (64, 64),
        learning_rate: Rate = 1e-4,
        buffer_size: int = 1_000_000,
        learning_starts: int = 100,
        batch_size: int = 32,
        tau: float = 1.0,
        gamma: float = 0.99,
        train_freq: int = 4,
        gradient_steps: int = 1,
        target_update_interval: int = 10_000,
        exploration_fraction: float = 0.1,
        exploration_initial_eps: float = 1.0,
        exploration_final_eps: float = 0.05,
        max_grad_norm: float | None = 10.0,
        *,
        double_q: bool = True,
        loss: Loss = nn.functional.smooth_l1_loss,
        n_envs: int = 1,
        seed: int = 0,
        engine: EngineName = "auto",
        threads: int | None = None,
        devices: Devices | None = None,
    ) -> None:
        super().__init__(env, n_envs, seed, engine, threads, dict(locals()), devices)
        if not self.actions.single:
            raise ArgumentError(
                _("DQN has a value for each of a number of actions."),
                expected="gymnasium.spaces.Discrete",
                got=f"{self.actions.space!r:.80}",
                fix="rl.PPO(env)",
            )
        self.learning_rate = learning_rate
        self.learning_starts = count("learning_starts", learning_starts)
        self.batch_size = whole("batch_size", batch_size)
        self.tau = number("tau", tau, least=0, most=1)
        self.gamma = number("gamma", gamma, least=0, most=1)
        self.train_freq = whole("train_freq", train_freq)
        self.gradient_steps = whole("gradient_steps", gradient_steps)
        count_of = len(self.world.observations)
        every = whole("target_update_interval", target_update_interval)
        self._renewal = max(1, every // count_of)
        self.exploration_fraction = number(
            "exploration_fraction", exploration_fraction, least=0, most=1
        )
        self._epsilons = tuple(
            number(name, value, least=0, most=1)
            for name, value in (
                ("exploration_initial_eps", exploration_initial_eps),
                ("exploration_final_eps", exploration_final_eps),
            )
        )
        options = {"gamma": self.gamma, "loss": loss}
        options["double_q"] = truth("double_q", double_q)
        shape, dtype = self.observations.shape, self.observations.dtype
        self.buffer = ReplayBuffer(whole("buffer_size", buffer_size), shape, dtype)
        self.steps_a_round, self._choices = count_of, self.actions.outputs
        with self._fresh():
            self.policy = networks = QNetworks(self.observations, self._choices, policy)
        rate = learning_rate(1.0) if callable(learning_rate) else learning_rate
        self.optimizer = optimizer = optim.Adam(
            networks.online.parameters(), lr=rate, clip_norm=max_grad_norm
        )
        self.mean_q: Any = None

        def learn(
            observations: Tensor,
            actions: Tensor,
            rewards: Tensor,
            next_observations: Tensor,
            terminated: Tensor,
        ) -> Tensor:
            batch = observations, actions, rewards, next_observations, terminated
            loss, q = q_loss(networks, *batch, **options)
            networks.zero_grad()
            loss.backward()
            optimizer.step()
            return q

        self._learn = self._compile_learning(learn)
        self._best = self._compile_acting(lambda x: networks.online(x).argmax(1))

    def epsilon(self) -> float:
        """Return the exploration rate ε of the next step: it falls linearly."""
        first, last = self._epsilons
        steps = self.exploration_fraction * self._total
        if not steps:
            return last
        slope = (last - first) / steps
        value = first + slope * (self.num_timesteps - self._begin)
        return max(value, last) if slope < 0 else min(value, last)

    def round(self) -> None:
        """Act for one step in each environment, and learn when it is time to."""
        observations, known = self.world.observations, self.buffer.count
        actions = self._chosen(observations, self.epsilon())
        after, rewards, terminated, __ = self.world.step(self.actions.taken(actions))
        moved = self.world.moved
        # An episode that a time limit cut short has not terminated.
        rows = zip(observations, actions, rewards, after, terminated, strict=True)
        for i, row in enumerate(rows):
            if moved is None or moved[i]:
                self.buffer.add(*row)
        turn = self.num_timesteps // self.steps_a_round
        self.num_timesteps += self.steps_a_round
        if known < self.learning_starts or not len(self.buffer):
            return
        if turn % self.train_freq == 0:
            self._set_rate()
            for __ in range(self.gradient_steps):
                batch = self.buffer.sample(self.batch_size, self.rng)
                self.mean_q = self._learn(*batch)
        if turn % self._renewal == 0:
            self.renew_target()

    def renew_target(self) -> None:
        """Move a Q-learning agent's target network towards the online network."""
        online, target = self.policy.online, self.policy.target
        if self.tau == 1:
            target.load_state_dict(online.state_dict())
            return
        with no_grad():
            for new, old in zip(online.parameters(), target.parameters()):
                old.copy_(self.tau * new + (1 - self.tau) * old)
            for new, old in zip(online.buffers(), target.buffers()):
                old.copy_(new)

    def parts(self) -> dict[str, Any]:
        """Return by name all that an agent's rounds change, for a checkpoint."""
        return {**super().parts(), "buffer": self.buffer}

    def _chosen(self, observations: Array, ε: float) -> Array:
        """Return ε-greedy actions: the best or, with probability ε, any."""
        if self.rng.random() < ε:
            return self.rng.integers(self._choices, size=len(observations))
        return self._best(observations).numpy()

    def _act(self, observations: Array, deterministic: bool) -> Array:
        if deterministic:
            return self._best(observations).numpy()
        return self._chosen(observations, self._epsilons[1])
