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
The loss and the round of acting and learning are to be read in ``chainrule/rl/ppo.py``.

    pip install 'chainrule[rl]'
    chainrule train ppo
    python -m chainrule.recipes.ppo
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule import rl
from chainrule.recipes import Experiment, Reference
from chainrule.recipes.pictures.agent_report import report_agent
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


def agent_of(
    world: Environments, s: Settings, seed: int, experiment: Experiment
) -> rl.PPO:
    """Return the untrained PPO agent of an environment's settings."""
    return rl.PPO(
        world,
        learning_rate=lambda left: s.lr * left,
        n_steps=s.rollout,
        batch_size=s.rollout * s.environments // s.minibatches,
        n_epochs=s.update_epochs,
        gamma=s.gamma,
        gae_lambda=GAE_LAMBDA,
        clip_range=CLIP,
        clip_range_vf=CLIP,
        ent_coef=s.entropy,
        vf_coef=VALUE / 2,
        max_grad_norm=CLIP_NORM,
        reward_scale=s.reward_scale,
        seed=seed,
        **experiment.engine_options,
    )


def train(experiment: Experiment, name: str, s: Settings) -> dict[str, Any]:
    """Train a PPO agent in an environment, and test it."""
    seeds = np.random.SeedSequence([experiment.seed, list(ENVIRONMENTS).index(name)])
    world_seed, agent_seed, test_seed = map(int, seeds.generate_state(3))
    experiment.package("gymnasium", "chainrule[rl]")
    world = Environments(name, s.environments, seed=world_seed)
    agent, size = agent_of(world, s, agent_seed, experiment), s.rollout * s.environments
    agent.rng = np.random.default_rng([world_seed, 1])
    rounds = s.total_steps // size
    agent.begin(rounds * size)
    for __ in experiment.steps(name, rounds, **agent.parts()):
        agent.round()

    frames: list[np.ndarray] = []
    test = Environments(name, s.episodes, seed=test_seed)
    returns, __ = test.play(
        lambda x: agent.predict(x, deterministic=True)[0], frames.append
    )
    curves = {name: agent.log[name] for name in (_("entropy"), _("clipped"))}
    return report_agent(experiment, world, returns, frames, curves)


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
