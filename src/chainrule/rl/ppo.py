"""Proximal policy optimisation (PPO): an actor and a critic, in small clipped steps.

The actor gives π(a | s; θ), from which actions are drawn, the critic V(s; φ). What was
better than the critic expected becomes more likely, as long as the new policy is near
the one that has acted (Schulman et al. 2017):

    ρ = π(a | s; θ) / π(a | s; θ_old)
    ℒ = − mean of min(ρ A, clip(ρ, 1 − ε, 1 + ε) A) + c (V − R)² − β entropy
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from chainrule import nn, optim
from chainrule.engines import EngineName
from chainrule.engines.spread import Devices
from chainrule.errors import ArgumentError
from chainrule.functions import maximum, minimum, zeros
from chainrule.graph.node import Array
from chainrule.rl.agent import Agent, Rate
from chainrule.rl.networks import Policy, dense, features_of, sizes_of
from chainrule.rl.rollouts import gae, rollout
from chainrule.rl.spaces import Actions, Observations
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.util.keywords import strict
from chainrule.util.validation import maybe, number, truth, whole


class ActorCritic(nn.Module):
    """The networks of a PPO agent: the actor π(a | s) and the critic V(s).

    Args:
        observations, actions: what they read and give.
        policy: sizes of the hidden layers of either network, tanh; or a module that
            gives features for both.

    Attributes:
        actor: from observations, or features, to the outputs of a distribution.
        critic: to V(s).
        log_std: log σ of real actions, else None.
    """

    def __init__(
        self, observations: Observations, actions: Actions, policy: Policy = (64, 64)
    ) -> None:
        hidden, self.features = sizes_of(policy), None
        if hidden is None:
            self.features, width = features_of(policy, observations)

        def network(outputs: int, gain: float) -> nn.Sequential:
            if hidden is None:
                return _orthogonal(nn.Sequential(nn.Linear(width, outputs)), gain)
            return _orthogonal(dense(observations, hidden, outputs, nn.Tanh), gain)

        self.actor, self.critic = network(actions.outputs, 0.01), network(1, 1.0)
        real = actions.continuous
        self.log_std = nn.Parameter(zeros(actions.outputs)) if real else None
        self._actions = actions

    def forward(self, observations: Tensor) -> tuple[Any, Tensor]:
        """Return a PPO agent's distribution π(· | s), and V(s), for observations."""
        x = observations if self.features is None else self.features(observations)
        policy = self._actions.distribution(self.actor(x), self.log_std)
        return policy, self.critic(x)[:, 0]


def _orthogonal(network: nn.Sequential, gain: float) -> nn.Sequential:
    """Draw orthogonal weights, √2 times, and ``gain`` times in the last layer."""
    layers: Any = [part for part in network if isinstance(part, nn.Linear)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight, gain if layer is layers[-1] else 2**0.5)
        nn.init.zeros_(layer.bias)
    return network


def ppo_loss(
    networks: ActorCritic,
    *batch: Tensor,
    clip_range: float = 0.2,
    clip_range_vf: float | None = None,
    ent_coef: float = 0.0,
    vf_coef: float = 0.5,
    normalize_advantage: bool = True,
) -> tuple[Tensor, ...]:
    """Return the PPO loss, the entropy and the share of clipped ratios ρ.

    Args:
        networks: the agent's.
        batch: observations, actions, log π and V of the policy that has acted, A.
        clip_range: ε.
        clip_range_vf: how far V may move; None for no limit.
        ent_coef: β.
        vf_coef: c.
        normalize_advantage: whether A is standardised in each batch.
    """
    observations, actions, log_probs, values, A = batch
    R = values + A
    if normalize_advantage:
        A = (A - A.mean()) / (A.std() + 1e-8)
    policy, V = networks(observations)
    ρ = (policy.log_prob(actions) - log_probs).exp()
    gain = minimum(ρ * A, ρ.clamp(1 - clip_range, 1 + clip_range) * A).mean()
    square = (V - R) ** 2
    if clip_range_vf is not None:
        near = values + (V - values).clamp(-clip_range_vf, clip_range_vf)
        square = maximum(square, (near - R) ** 2)
    entropy = policy.entropy().mean()
    clipped = ((ρ - 1).abs() > clip_range).astype("float32").mean()
    return vf_coef * square.mean() - gain - ent_coef * entropy, entropy, clipped


@strict
class PPO(Agent):
    """An agent that learns a policy by proximal policy optimisation.

    Args:
        env: the name of an environment, an environment, a function that makes one, or
            a vector of gymnasium's.
        policy: sizes of hidden layers of an actor and a critic, or a module that gives
            features (rows, …) → (rows, features) for both.
        learning_rate: of Adam; a number, or a function of the share that is left, from
            1 to 0.
        n_steps: steps of each environment between two phases of learning.
        batch_size: rows of a minibatch, about: a rollout is split evenly.
        n_epochs: how often a rollout is learned from.
        gamma: γ, the discount.
        gae_lambda: λ of the advantages.
        clip_range: ε.
        clip_range_vf: how far V may move in a phase of learning; the larger of the two
            errors counts, that of V or of the clipped one. None for no limit.
        normalize_advantage: whether advantages are standardised in each minibatch.
        ent_coef, vf_coef: the weights of entropy and critic in the loss.
        max_grad_norm: to which the gradient's norm is clipped; None for no limit.
        reward_scale: by which rewards are multiplied.
        n_envs: how many environments act, where ``env`` is a name or a function.
        seed: of weights, actions and environments.
        engine, threads: of compiled steps.
        devices: how many devices the engine ``"xla"`` divides the batches of learning
            over, or ``"all"``; a batch that they do not divide is computed whole on
            each. Acting is computed on each of them.

    Observations are ``Box``, ``Discrete``, ``MultiDiscrete`` or ``MultiBinary``,
    actions too; real actions are drawn from N(μ, σ²) and clipped to their space. Where
    an episode was cut short by a limit of time, V of its last observation stands for
    what would have followed. Other attributes: see :class:`Agent`; its ``log`` has
    ``entropy`` and ``clipped`` of each round.

    Raises:
        ArgumentError: another environment, or hyper-parameters out of range.

    >>> from chainrule import rl
    >>> agent = rl.PPO("Pendulum-v1", n_steps=64, batch_size=32, n_epochs=2, seed=0)
    >>> agent.learn(128).log["entropy"][0] > 1
    True
    >>> agent.predict([1.0, 0.0, 0.0], deterministic=True)[0].shape
    (1,)
    """

    policy: ActorCritic  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(
        self,
        env: Any,
        policy: Policy = (64, 64),
        learning_rate: Rate = 3e-4,
        n_steps: int = 2048,
        batch_size: int = 64,
        n_epochs: int = 10,
        gamma: float = 0.99,
        gae_lambda: float = 0.95,
        clip_range: float = 0.2,
        clip_range_vf: float | None = None,
        normalize_advantage: bool = True,
        ent_coef: float = 0.0,
        vf_coef: float = 0.5,
        max_grad_norm: float | None = 0.5,
        *,
        reward_scale: float = 1.0,
        n_envs: int = 1,
        seed: int = 0,
        engine: EngineName = "auto",
        threads: int | None = None,
        devices: Devices | None = None,
    ) -> None:
        super().__init__(env, n_envs, seed, engine, threads, dict(locals()), devices)
        self.learning_rate = learning_rate
        self.n_steps = whole("n_steps", n_steps)
        self.n_epochs = whole("n_epochs", n_epochs)
        self.batch_size = whole("batch_size", batch_size, least=2)
        self.gamma = number("gamma", gamma, least=0, most=1)
        self.gae_lambda = number("gae_lambda", gae_lambda, least=0, most=1)
        self.reward_scale = number("reward_scale", reward_scale)
        self.steps_a_round = self.n_steps * len(self.world.observations)
        if self.steps_a_round < 2:
            raise ArgumentError(
                _("Advantages of one step cannot be standardised."),
                expected=_("n_steps · n_envs of at least 2"),
                got=str(self.steps_a_round),
            )
        options = {
            "clip_range": number("clip_range", clip_range, least=0),
            "clip_range_vf": maybe(partial(number, least=0))(
                "clip_range_vf", clip_range_vf
            ),
            "ent_coef": number("ent_coef", ent_coef),
            "vf_coef": number("vf_coef", vf_coef),
            "normalize_advantage": truth("normalize_advantage", normalize_advantage),
        }
        with self._fresh():
            self.policy = networks = ActorCritic(
                self.observations, self.actions, policy
            )
        rate = learning_rate(1.0) if callable(learning_rate) else learning_rate
        self.optimizer = optimizer = optim.Adam(
            networks.parameters(), lr=rate, eps=1e-5, clip_norm=max_grad_norm
        )
        self.log = {"entropy": [], "clipped": []}

        @self._compile_acting
        def act(observations: Tensor, noise: Tensor) -> Any:
            policy, V = networks(observations)
            action = policy.sample(noise)
            return action, policy.log_prob(action), V

        def learn(
            observations: Tensor,
            actions: Tensor,
            log_probs: Tensor,
            values: Tensor,
            advantages: Tensor,
        ) -> tuple[Tensor, ...]:
            batch = observations, actions, log_probs, values, advantages
            loss, entropy, clipped = ppo_loss(networks, *batch, **options)
            networks.zero_grad()
            loss.backward()
            optimizer.step()
            return entropy, clipped

        self._sample, self._learn = act, self._compile_learning(learn)
        self._likeliest = self._compile_acting(lambda x: networks(x)[0].mode())

    def round(self) -> None:
        """Act for ``n_steps`` in each environment, and learn from them."""
        self._set_rate()
        count = len(self.world.observations)
        noise = self.actions.noise(
            self.rng, (self.n_steps, count, self.actions.outputs)
        )
        steps = rollout(self.world, self._sample, noise, self.actions.taken)
        A = gae(steps, self.gamma, self.gae_lambda, self.reward_scale)
        batch = steps.observations, steps.actions, steps.log_probs, steps.values, A
        batch = [column.reshape(-1, *column.shape[2:]) for column in batch]
        if not steps.moved.all():
            kept = np.flatnonzero(steps.moved.reshape(-1))
            batch = [column[kept] for column in batch]
        self.num_timesteps += self.steps_a_round
        rows = len(batch[0])
        if rows < 2:  # the others have begun episodes
            return
        parts = max(1, rows // self.batch_size)
        orders = [self.rng.permutation(rows) for __ in range(self.n_epochs)]
        figures: Any = None
        for order in orders:
            for chosen in np.array_split(order, parts):
                figures = self._learn(*(column[chosen] for column in batch))
        for name, figure in zip(self.log, figures):
            self.log[name].append(figure.item())

    def _act(self, observations: Array, deterministic: bool) -> Array:
        if deterministic:
            return self._likeliest(observations).numpy()
        noise = self.actions.noise(self.rng, (len(observations), self.actions.outputs))
        return self._sample(observations, noise)[0].numpy()
