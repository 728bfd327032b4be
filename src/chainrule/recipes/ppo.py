"""Proximal policy optimisation (PPO): policy updates in small, clipped steps (1.3).

DQN learns the values of actions and takes the best. Here one network, the actor, gives
the policy itself, π(a | s; θ), from which actions are drawn; another one, the critic,
gives the value of a state, V(s; φ). The agent acts for 128 steps in several
environments at once. An action that led to more than the critic expected becomes more
likely, by its generalised advantage estimate (GAE, Schulman et al. 2016):

    δₜ = rₜ + γ V(sₜ₊₁) − V(sₜ)        Aₜ = δₜ + γλ δₜ₊₁ + (γλ)² δₜ₊₂ + …

The same steps are learned from several times. That is right only while the policy is
nearly the one that has acted, so the ratio of the two is clipped: outside of 1 ± 0.2
there is nothing more to be gained (Schulman et al. 2017):

    ρ = π(a | s; θ) / π(a | s; θ_old)
    ℒ = − mean of min(ρ A, clip(ρ, 1 − ε, 1 + ε) A) + c ½ (V − R)² − β entropy

What to look at: the return, which hardly ever falls back, as DQN's does; the entropy,
which says how undecided the policy still is; the share of clipped ratios; the films.
The actions of CartPole and Acrobot are discrete; Pendulum's is real, with mean and σ.

    pip install 'chainrule[rl]'
    chainrule train ppo
    python -m chainrule.recipes.ppo
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes import Experiment, Reference
from chainrule.recipes import reinforcement as rl
from chainrule.text import _, say
from chainrule.training import Environments

SUMMARY = _("proximal policy optimisation: CartPole, Acrobot and Pendulum")
SECONDS = 60
REFERENCES = [
    Reference("CartPole-v1.test", at_least=490, source="CleanRL, ppo.py: 492.4 ± 13.1"),
    Reference("Acrobot-v1.test", at_least=-89.9, source="CleanRL, ppo.py: −89.9 ± 6.3"),
    Reference("Pendulum-v1.test", at_least=-172.2, source="RL Zoo3: −172.2 ± 104.2"),
]
GAE_LAMBDA, CLIP, VALUE, CLIP_NORM = 0.95, 0.2, 0.5, 0.5  # λ, ε, c, max ‖∇ℒ‖


@dataclass(frozen=True)
class Settings:
    """The hyperparameters of a PPO agent; those of CleanRL's ppo.py."""

    total_steps: int = 500_000  # in all environments together
    environments: int = 4
    rollout: int = 128  # steps of each environment between two phases of learning
    minibatches: int = 4
    update_epochs: int = 4
    lr: float = 2.5e-4  # at the beginning; it falls to 0 on a straight line
    gamma: float = 0.99
    entropy: float = 0.01  # β
    reward_scale: float = 1.0
    episodes: int = 100  # of the test


#: Pendulum's were chosen on seed 100; RL Baselines3 Zoo's γ = 0.9 is too short-sighted.
ENVIRONMENTS = {
    "CartPole-v1": Settings(),
    "Acrobot-v1": Settings(),
    "Pendulum-v1": Settings(
        total_steps=300_000,
        environments=8,
        rollout=256,
        minibatches=32,
        update_epochs=10,
        lr=1e-3,
        gamma=0.98,
        entropy=0.0,
        reward_scale=0.02,
        episodes=400,
    ),
}
QUICK = {"total_steps": 50_000, "lr": 1e-3, "episodes": 20}  # changes of these


class Agent(nn.Module):
    """A PPO agent: the actor π(a | s) and the critic V(s)."""

    def __init__(self, observations: int, actions: int, continuous: bool) -> None:
        self.actor = network(observations, actions, gain=0.01)
        self.critic = network(observations, 1, gain=1.0)
        self.log_std = nn.Parameter(cr.zeros(actions)) if continuous else None

    def policy(self, observations: cr.Tensor) -> rl.Categorical | rl.Normal:
        """Return a PPO agent's distribution of actions, π(· | s), for observations."""
        scores = self.actor(observations)
        if self.log_std is None:
            return rl.Categorical(scores)
        return rl.Normal(scores, self.log_std)


def network(inputs: int, outputs: int, gain: float) -> nn.Sequential:
    """Return an actor or critic network: two layers of 64 tanh, orthogonal weights."""
    layers: Any = nn.Linear(inputs, 64), nn.Linear(64, 64), nn.Linear(64, outputs)
    for layer, scale in zip(layers, (2**0.5, 2**0.5, gain)):
        nn.init.orthogonal_(layer.weight, scale)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])


def gae(steps: rl.Rollout, s: Settings) -> np.ndarray:
    """Return generalised advantages Aₜ = δₜ + γλ Aₜ₊₁ of a rollout."""
    A = s.reward_scale * steps.rewards + s.gamma * steps.next_values - steps.values
    for t in range(len(A) - 2, -1, -1):
        A[t] += s.gamma * GAE_LAMBDA * steps.not_done[t] * A[t + 1]
    return A


def ppo_loss(agent: Agent, β: float, *batch: cr.Tensor) -> tuple[cr.Tensor, ...]:
    """Return the PPO loss, the entropy and the share of clipped ratios ρ."""
    observations, actions, log_probs, values, A = batch
    R = values + A
    A = (A - A.mean()) / (A.std() + 1e-8)
    policy = agent.policy(observations)
    ρ = (policy.log_prob(actions) - log_probs).exp()
    gain = cr.minimum(ρ * A, ρ.clamp(1 - CLIP, 1 + CLIP) * A).mean()
    V = agent.critic(observations)[:, 0]
    near = values + (V - values).clamp(-CLIP, CLIP)
    error = cr.maximum((V - R) ** 2, (near - R) ** 2).mean()
    entropy = policy.entropy().mean()
    clipped = ((ρ - 1).abs() > CLIP).astype("float32").mean()
    return VALUE * (0.5 * error) - gain - β * entropy, entropy, clipped


def train(experiment: Experiment, name: str, s: Settings) -> dict[str, Any]:
    """Train a PPO agent in an environment, and test it."""
    seeds = np.random.SeedSequence([experiment.seed, list(ENVIRONMENTS).index(name)])
    world_seed, agent_seed, test_seed = map(int, seeds.generate_state(3))
    space = experiment.package("gymnasium", "chainrule[rl]").make(name).action_space
    continuous = space.dtype.kind == "f"
    actions = int(space.shape[0] if continuous else space.n)
    world = Environments(name, s.environments, seed=world_seed)
    rng = np.random.default_rng([world_seed, 1])
    cr.manual_seed(agent_seed)
    agent = Agent(world.observations.shape[1], actions, continuous)
    optimizer = optim.Adam(agent.parameters(), eps=1e-5, clip_norm=CLIP_NORM)

    @experiment.compile
    def act(observations: cr.Tensor, noise: cr.Tensor) -> Any:
        policy = agent.policy(observations)
        action = policy.sample(noise)
        return action, policy.log_prob(action), agent.critic(observations)[:, 0]

    @experiment.compile
    def learn(*batch: cr.Tensor) -> tuple[cr.Tensor, ...]:
        loss, entropy, clipped = ppo_loss(agent, s.entropy, *batch)
        agent.zero_grad()
        loss.backward()
        optimizer.step()
        return entropy, clipped

    draw_noise = (rl.Normal if continuous else rl.Categorical).noise
    size = s.rollout * s.environments
    rounds = s.total_steps // size
    log: dict[str, list[float]] = {"entropy": [], "clipped": []}
    state = {"agent": agent, "optimizer": optimizer, "world": world, "rng": rng}
    for round_ in experiment.steps(name, rounds, **state, log=log):
        optimizer.lr = s.lr * (1 - round_ / rounds)
        noise = draw_noise(rng, (s.rollout, s.environments, actions))
        steps = rl.rollout(world, act, noise)
        A = gae(steps, s)
        batch = steps.observations, steps.actions, steps.log_probs, steps.values, A
        batch = [column.reshape(size, *column.shape[2:]) for column in batch]
        orders = [rng.permutation(size) for __ in range(s.update_epochs)]
        for rows in np.reshape(orders, (s.update_epochs * s.minibatches, -1)):
            entropy, clipped = learn(*(column[rows] for column in batch))
        log["entropy"].append(entropy.item())
        log["clipped"].append(clipped.item())

    frames: list[np.ndarray] = []
    likeliest = experiment.compile(lambda x: agent.policy(x).mode())
    test = Environments(name, s.episodes, seed=test_seed)
    returns, __ = test.play(lambda x: likeliest(x).numpy(), frames.append)
    return rl.report_agent(experiment, world, returns, frames, log)


def run(experiment: Experiment) -> dict[str, Any]:
    """Train and test PPO agents in three environments."""
    say("ℒ = − mean of min(ρ A, clip(ρ, 1 − ε, 1 + ε) A) + c ½ (V − R)² − β entropy")
    quick = QUICK if experiment.quick else {}
    results = {}
    for name, s in ENVIRONMENTS.items():
        results[name] = train(experiment, name, replace(s, **quick))
    return results


if __name__ == "__main__":
    run(Experiment("ppo"))
