"""Deep Q-learning (DQN): a Q-network trained from a replay memory (1.3).

CartPole's states are four real numbers: no table holds them. A network gives the value
Q(s, a; θ) of every action at once, and each step of learning moves it towards

    y = r + γ maxₐ′ Q(s′, a′; θ⁻)     (y = r where the episode has ended)
    ℒ = mean of (y − Q(s, a; θ))²                              (Mnih et al. 2013, 2015)

Two things keep the targets from running away. Transitions go into a replay memory, from
which batches are drawn at random, so that a batch is not one moment of one episode. And
θ⁻, the target network, is a copy of θ that is renewed only now and then.

What to look at: the return of the episodes while ε falls; how it goes up, and down
again, as it does in the papers; the mean Q-value; the film. CartPole has to keep a pole
up (500 steps at most), Acrobot to swing up two links (the fewer steps the better).

The loss and the round of acting and learning are to be read in ``chainrule/rl/dqn.py``.
The agent that is tested is the best of ten on the way: they are compared on episodes of
their own, and the best one is then tested on others.

    pip install 'chainrule[rl]'
    chainrule train dqn
    python -m chainrule.recipes.dqn
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import nn, rl
from chainrule.recipes import Experiment, Reference
from chainrule.recipes.pictures.agent_report import report_agent
from chainrule.text import _, ngettext, say
from chainrule.training import Environments

SUMMARY = _("deep Q-learning: replay memory, target network; CartPole and Acrobot")
SECONDS = 120
REFERENCES = [
    Reference("CartPole-v1.test", at_least=488, source="CleanRL, dqn.py: 488.7 ± 16.1"),
    Reference("Acrobot-v1.test", at_least=-91.5, source="CleanRL, dqn.py: −91.5 ± 7.2"),
]
NAMES = ("CartPole-v1", "Acrobot-v1")


@dataclass(frozen=True)
class Settings:
    """The hyperparameters of a deep Q-learning agent; those of CleanRL's dqn.py."""

    total_steps: int = 500_000  # in the environment
    buffer_size: int = 10_000
    learning_starts: int = 10_000
    train_every: int = 10  # steps of acting
    target_update: int = 500  # steps of acting; a multiple of train_every
    batch_size: int = 128
    exploration: float = 0.5  # the share of the steps over which ε falls from 1
    epsilon: float = 0.05  # at the end
    gamma: float = 0.99
    lr: float = 2.5e-4
    tests: int = 10  # of the agent on the way; the best one is kept
    test_episodes: int = 20  # that they are compared on
    episodes: int = 100  # that the best one is tested in


QUICK = Settings(
    total_steps=25_000,
    learning_starts=1000,
    train_every=5,
    target_update=250,
    lr=1e-3,
    tests=4,
    test_episodes=10,
    episodes=20,
)


def agent_of(
    world: Environments, s: Settings, seed: int, experiment: Experiment
) -> rl.DQN:
    """Return the untrained deep Q-learning agent of an environment's settings."""
    return rl.DQN(
        world,
        policy=(120, 84),
        learning_rate=s.lr,
        buffer_size=s.buffer_size,
        learning_starts=s.learning_starts,
        batch_size=s.batch_size,
        gamma=s.gamma,
        train_freq=s.train_every,
        target_update_interval=s.target_update,
        exploration_fraction=s.exploration,
        exploration_final_eps=s.epsilon,
        max_grad_norm=None,
        double_q=False,
        loss=nn.functional.mse_loss,
        seed=seed,
        **experiment.engine_options,
    )


def train(experiment: Experiment, name: str, s: Settings) -> dict[str, Any]:
    """Train a deep Q-learning agent in an environment, and test it."""
    seeds = np.random.SeedSequence([experiment.seed, NAMES.index(name)])
    world_seed, agent_seed, choice_seed, test_seed = map(int, seeds.generate_state(4))
    experiment.package("gymnasium", "chainrule[rl]")
    world = Environments(name, seed=world_seed)
    agent = agent_of(world, s, agent_seed, experiment)
    agent.rng = np.random.default_rng([world_seed, 1])
    agent.begin(s.total_steps)

    def greedy(observations: np.ndarray) -> np.ndarray:
        return agent.predict(observations, deterministic=True)[0]

    choice = Environments(name, s.test_episodes, seed=choice_seed)
    scores: list[float] = []
    best: dict[str, np.ndarray] = {}
    agent.log["Q(s, a)"] = []
    state = {**agent.parts(), "scores": scores, "best": best}
    for step in experiment.steps(name, s.total_steps, **state):
        agent.round()
        if step < s.learning_starts:
            continue
        if step % s.target_update == 0:
            agent.log["Q(s, a)"].append(agent.mean_q.item())
        if (step + 1) % (s.total_steps // s.tests) == 0:
            scores.append(float(choice.play(greedy)[0].mean()))
            if scores[-1] == max(scores):
                best.update(agent.policy.online.state_dict())

    agent.policy.online.load_state_dict(best)
    frames: list[np.ndarray] = []
    test = Environments(name, s.episodes, seed=test_seed)
    returns, __ = test.play(greedy, frames.append)
    results = report_agent(experiment, world, returns, frames, agent.log)
    say(
        "   {agents} on {episodes} of their own: {scores}",
        scores=", ".join(f"{score:.0f}" for score in scores),
        agents=ngettext("{n} agent", "{n} agents", n=s.tests),
        episodes=ngettext("{n} episode", "{n} episodes", n=s.test_episodes),
    )
    return {**results, "scores": scores}


def run(experiment: Experiment) -> dict[str, Any]:
    """Train and test deep Q-learning agents in two environments."""
    s = QUICK if experiment.quick else Settings()
    say("ℒ = mean of (r + γ maxₐ′ Q(s′, a′; θ⁻) − Q(s, a; θ))²")
    return {name: train(experiment, name, s) for name in NAMES}


if __name__ == "__main__":
    run(Experiment("dqn"))
