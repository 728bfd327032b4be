"""Networks of agents: Q-networks of dqn, actors and critics of ppo."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn
from chainrule.recipes import dqn, ppo
from chainrule.recipes.networks.declared import network
from chainrule.recipes.networks.inspection import Applied, Inspection, Subject
from chainrule.rl.rollouts import gae, rollout
from chainrule.training import Environments

#: Steps of acting that give the samples.
STEPS = 32


def remembered(
    inspection: Inspection, name: str
) -> tuple[Any, dqn.Settings, tuple[np.ndarray, ...]]:
    """Return an agent, its settings, and transitions out of its memory."""
    s = dqn.QUICK if inspection.quick else dqn.Settings()
    inspection.package("gymnasium", "chainrule[rl]")
    world = Environments(name, seed=inspection.seed)
    agent = dqn.agent_of(world, s, inspection.seed, inspection)
    agent.begin(s.total_steps)
    list(inspection.steps(name, s.total_steps, **agent.parts()))
    if inspection.trained is None:
        for __ in range(STEPS):
            agent.round()
    batch = agent.buffer.sample(STEPS, np.random.default_rng(inspection.seed))
    return agent, s, tuple(map(np.asarray, batch))


def _values(inspection: Inspection, name: str) -> Subject:
    """Q(s, a; θ) towards y = r + γ maxₐ′ Q(s′, a′; θ⁻), which is given."""
    agent, s, batch = remembered(inspection, name)
    observations, actions, rewards, after, terminated = batch
    online = agent.policy.online
    with cr.no_grad():
        best = agent.policy.target(cr.tensor(after)).numpy().max(1)
    y = (rewards + s.gamma * (1 - terminated) * best).astype(np.float32)

    def chosen(x: cr.Tensor, a: cr.Tensor) -> cr.Tensor:
        return (online(x) * nn.functional.one_hot(a, agent.policy.actions)).sum(1)

    model, x = Applied(chosen, online=online), (observations, actions)
    return Subject(model, x, y, nn.functional.mse_loss, inspection.optimizer())


for _name in dqn.NAMES:
    network("dqn", _name)(partial(_values, name=_name))


def acted(inspection: Inspection, name: str) -> tuple[Any, ppo.Settings, Any, Any]:
    """Return an agent, its settings, steps of acting and their advantages."""
    s = replace(ppo.ENVIRONMENTS[name], **(ppo.QUICK if inspection.quick else {}))
    inspection.package("gymnasium", "chainrule[rl]")
    world = Environments(name, s.environments, seed=inspection.seed)
    agent = ppo.agent_of(world, s, inspection.seed, inspection)
    list(inspection.steps(name, 0, **agent.parts()))
    noise = agent.actions.noise(
        np.random.default_rng(inspection.seed),
        (STEPS, s.environments, agent.actions.outputs),
    )

    def act(x: np.ndarray, noise: np.ndarray) -> tuple[Any, Any, Any]:
        with cr.no_grad():
            policy, V = agent.policy(cr.tensor(x))
            action = policy.sample(cr.tensor(noise))
            return action, policy.log_prob(action), V

    steps = rollout(agent.world, act, noise, agent.actions.taken)
    return agent, s, steps, gae(steps, s.gamma, ppo.GAE_LAMBDA, s.reward_scale)


def _rows(column: np.ndarray) -> np.ndarray:
    return column.reshape(-1, *column.shape[2:])


def _actor(inspection: Inspection, name: str) -> Subject:
    """π(a | s; θ): −mean of min(ρ A, clip(ρ, 1 − ε, 1 + ε) A) − β entropy."""
    agent, s, steps, A = acted(inspection, name)
    networks = agent.policy
    y = _rows((A - A.mean()) / (A.std(ddof=1) + 1e-8)).astype(np.float32)

    def forward(x: Any, actions: Any, log_probs: Any) -> tuple[Any, Any]:
        policy, __ = networks(x)
        ρ = (policy.log_prob(actions) - log_probs).exp()
        return ρ, policy.entropy()

    def loss(prediction: Any, y: cr.Tensor) -> cr.Tensor:
        ρ, entropy = prediction
        clipped = ρ.clamp(1 - ppo.CLIP, 1 + ppo.CLIP)
        return -cr.minimum(ρ * y, clipped * y).mean() - s.entropy * entropy.mean()

    parts: dict[str, Any] = {"actor": networks.actor}
    if networks.log_std is not None:
        parts["log_std"] = networks.log_std
    x = tuple(map(_rows, (steps.observations, steps.actions, steps.log_probs)))
    return Subject(Applied(forward, **parts), x, y, loss, inspection.optimizer())


def _critic(inspection: Inspection, name: str) -> Subject:
    """V(s; φ): c times the larger of the squared errors of V and of the clipped V."""
    agent, __, steps, A = acted(inspection, name)
    networks, ε = agent.policy, ppo.CLIP
    old = _rows(steps.values)

    def forward(x: Any, old: Any) -> tuple[Any, Any]:
        V = networks.critic(x)[:, 0]
        return V, old + (V - old).clamp(-ε, ε)

    def loss(prediction: Any, y: cr.Tensor) -> cr.Tensor:
        V, near = prediction
        return ppo.VALUE / 2 * cr.maximum((V - y) ** 2, (near - y) ** 2).mean()

    x = _rows(steps.observations), old
    model, R = Applied(forward, critic=networks.critic), old + _rows(A)
    return Subject(model, x, R, loss, inspection.optimizer())


for _name in ppo.ENVIRONMENTS:
    network("ppo", f"{_name}/actor")(partial(_actor, name=_name))
    network("ppo", f"{_name}/critic")(partial(_critic, name=_name))
