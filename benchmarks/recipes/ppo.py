"""PPO beside PyTorch: CleanRL's ppo.py and ppo_continuous_action.py.

    python benchmarks/recipes/ppo.py CartPole-v1 --seeds 3
    python benchmarks/recipes/ppo.py Pendulum-v1 --steps 100000

Both act in the same environments through the same class, with the same settings, and
both take what V says where the limit of time cuts an episode short. PyTorch acts in
inference_mode, draws and measures with its tensors as CleanRL does but without the
checks of its distributions, and steps its fused Adam. The agents at the end of training
are tested with their likeliest actions.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from turns import Run, Side, Trial, arguments, compare

import chainrule as cr
from chainrule.recipes import ppo
from chainrule.training import Environments

ACTIONS = {"CartPole-v1": 2, "Acrobot-v1": 3, "Pendulum-v1": 1}
PIECES = 25


def tested(world: Environments, name: str, seed: int, act: Any) -> dict[str, float]:
    """What the agent at the end does, and what training gave."""
    returns, _ = Environments(name, 50, seed=1000 + seed).play(act)
    training = float(np.mean([r for _, r, _ in world.episodes[-100:]]))
    return {"greedy": float(returns.mean()), "training": training}


def ours(name: str, s: ppo.Settings) -> Side:
    """The recipe's loop."""
    real, actions = name == "Pendulum-v1", ACTIONS[name]

    def side(trial: Trial) -> Run:
        cr.manual_seed(trial.seed)
        world = Environments(name, s.environments, seed=trial.seed)
        rng = np.random.default_rng([trial.seed, 1])
        agent = ppo.Agent(world.seen.shape[1], actions, real)
        policy = ppo.Normal(agent) if real else ppo.Categorical(agent)
        act = ppo.acting(trial, agent, policy)
        learn = ppo.learning(trial, policy, ppo.adam(agent, s), s)
        yield
        for round_ in range(s.rounds):
            batch = ppo.rollout(world, act, policy, rng, s)
            order = [rng.permutation(s.batch) for __ in range(s.update_epochs)]
            for rows in np.concatenate(order).reshape(s.updates, -1):
                learn(*(column[rows] for column in batch))
            if (round_ + 1) * PIECES // s.rounds > round_ * PIECES // s.rounds:
                yield

        def likeliest(rows: np.ndarray) -> np.ndarray:
            return act(rows, np.zeros((len(rows), actions), np.float32))[0].numpy()

        return tested(world, name, trial.seed, likeliest)

    return side


class Agent(nn.Module):
    """CleanRL's."""

    def __init__(self, seen: int, actions: int, real: bool) -> None:
        super().__init__()

        def layer(inputs: int, outputs: int, gain: float = math.sqrt(2)) -> nn.Linear:
            made = nn.Linear(inputs, outputs)
            nn.init.orthogonal_(made.weight, gain)
            nn.init.zeros_(made.bias)
            return made

        def network(outputs: int, gain: float) -> nn.Module:
            return nn.Sequential(
                *(layer(seen, 64), nn.Tanh(), layer(64, 64), nn.Tanh()),
                layer(64, outputs, gain),
            )

        self.actor, self.critic = network(actions, 0.01), network(1, 1.0)
        self.spread = nn.Parameter(torch.zeros(actions)) if real else None

    def policy(self, seen: torch.Tensor) -> Any:
        """The distribution of actions."""
        scores = self.actor(seen)
        if self.spread is None:
            return torch.distributions.Categorical(logits=scores, validate_args=False)
        normal = torch.distributions.Normal
        return torch.distributions.Independent(
            normal(scores, self.spread.exp().expand_as(scores), validate_args=False),
            1,
            validate_args=False,
        )


def theirs(name: str, s: ppo.Settings) -> Side:
    """CleanRL's."""
    real = name == "Pendulum-v1"

    def side(trial: Trial) -> Run:
        torch.set_num_threads(trial.threads)
        torch.manual_seed(trial.seed)
        world = Environments(name, s.environments, seed=trial.seed)
        agent = Agent(world.seen.shape[1], ACTIONS[name], real)
        adam = torch.optim.Adam(agent.parameters(), lr=s.lr, eps=1e-5, fused=True)
        pieces = [s.rounds * piece // PIECES for piece in range(1, PIECES + 1)]
        yield
        for turn in range(s.rounds):
            adam.param_groups[0]["lr"] = s.lr * (1 - turn / s.rounds)
            update(agent, adam, gather(agent, world, s), s)
            if turn + 1 in pieces:
                yield

        def act(rows: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                scores = agent.actor(torch.from_numpy(rows))
                return (scores if real else scores.argmax(1)).numpy()

        return tested(world, name, trial.seed, act)

    return side


@torch.inference_mode()
def gather(agent: Agent, world: Environments, s: ppo.Settings) -> list[torch.Tensor]:
    """A rollout: seen, action, log π, V, A, R."""
    kept: list[list[torch.Tensor]] = [[], [], [], []]
    rewards = np.zeros((s.rollout, s.environments), np.float32)
    not_done = np.ones((s.rollout, s.environments), np.float32)
    for t in range(s.rollout):
        seen = torch.from_numpy(world.seen)
        policy = agent.policy(seen)
        action = policy.sample()
        row = seen, action, policy.log_prob(action), agent.critic(seen)[:, 0]
        for column, value in zip(kept, row):
            column.append(value)
        moved = world.step(action.numpy())
        rewards[t] = moved.rewards * s.reward_scale
        if moved.truncated.any():
            cut = moved.truncated & ~moved.terminated
            later = agent.critic(torch.from_numpy(moved.after))[:, 0].numpy()
            rewards[t] += s.gamma * later * cut
        not_done[t] -= moved.terminated | moved.truncated
    last = agent.critic(torch.from_numpy(world.seen))[:, 0]
    seen, action, log, value = (torch.stack(column) for column in kept)
    values = torch.cat([value, last[None]]).numpy()
    gains = torch.from_numpy(ppo.advantages(rewards, values, not_done, s))
    found = [seen, action, log, value, gains, gains + value]
    return [part.flatten(0, 1).clone() for part in found]


def update(agent: Agent, adam: Any, rows: list[Any], s: ppo.Settings) -> None:
    """The passes over it."""
    size = s.batch // s.minibatches
    for _ in range(s.update_epochs):
        order = torch.randperm(s.batch)
        for at in range(0, s.batch, size):
            chosen = order[at : at + size]
            seen, action, log, value, gain, target = (part[chosen] for part in rows)
            policy = agent.policy(seen)
            ratio = (policy.log_prob(action) - log).exp()
            gain = (gain - gain.mean()) / (gain.std() + 1e-8)
            near = ratio.clamp(1 - s.clip, 1 + s.clip)
            better = torch.min(ratio * gain, near * gain).mean()
            now = agent.critic(seen)[:, 0]
            close = value + (now - value).clamp(-s.clip, s.clip)
            miss = torch.max((now - target) ** 2, (close - target) ** 2).mean()
            loss = 0.5 * s.value * miss - better
            loss = loss - s.entropy * policy.entropy().mean()
            adam.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), s.clip_norm, foreach=True)
            adam.step()


def main() -> None:
    """Race in one environment."""
    options = {"world": {"choices": list(ACTIONS)}, "steps": {"type": int}}
    given = arguments(__doc__, **options)
    s, name = ppo.WORLDS[given.world], given.world
    if given.steps or given.quick:
        s = replace(s, total_steps=given.steps or 4 * s.batch)
    what = f"PPO, {name}, {s.total_steps} steps"
    sides = {"Chainrule": ours(name, s), "PyTorch": theirs(name, s)}
    compare(given, "ppo", what, sides)


if __name__ == "__main__":
    main()
