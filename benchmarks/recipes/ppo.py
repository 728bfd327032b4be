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
from chainrule.training import Environments, Loop

ACTIONS = {"CartPole-v1": 2, "Acrobot-v1": 3, "Pendulum-v1": 1}
PIECES = 25


def tested(world: Environments, name: str, seed: int, act: Any) -> dict[str, float]:
    """What the agent at the end does, and what training gave."""
    returns, _ = Environments(name, 50, seed=1000 + seed).play(act)
    training = float(np.mean([r for _, r, _ in world.episodes[-100:]]))
    return {"greedy": float(returns.mean()), "training": training}


def ours(name: str, how: ppo.Settings) -> Side:
    """The recipe's loop."""
    real, actions = name == "Pendulum-v1", ACTIONS[name]

    def side(trial: Trial) -> Run:
        cr.manual_seed(trial.seed)
        seen = Environments(name).seen.shape[1]
        agent = ppo.Agent(seen, actions, real)
        policy = ppo.Normal(agent) if real else ppo.Categorical(agent)
        program = ppo.compiled(agent, policy, how, threads=trial.threads)
        source = ppo.Rollouts(name, policy, how, trial.seed)
        loop = Loop(program, "learn", source)
        yield
        for piece in range(1, PIECES + 1):
            loop.run(updates=how.rounds * piece // PIECES * how.each)
            yield

        def act(rows: np.ndarray) -> np.ndarray:
            noise = np.zeros((len(rows), actions), np.float32)
            return program.run("act", {"seen": rows, "noise": noise})["action"]

        return tested(source.world, name, trial.seed, act)

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


def theirs(name: str, how: ppo.Settings) -> Side:
    """CleanRL's."""
    real = name == "Pendulum-v1"

    def side(trial: Trial) -> Run:
        torch.set_num_threads(trial.threads)
        torch.manual_seed(trial.seed)
        world = Environments(name, how.count, seed=trial.seed)
        agent = Agent(world.seen.shape[1], ACTIONS[name], real)
        adam = torch.optim.Adam(agent.parameters(), lr=how.lr, eps=1e-5, fused=True)
        pieces = [how.rounds * piece // PIECES for piece in range(1, PIECES + 1)]
        yield
        for turn in range(how.rounds):
            adam.param_groups[0]["lr"] = how.lr * (1 - turn / how.rounds)
            update(agent, adam, gather(agent, world, how), how)
            if turn + 1 in pieces:
                yield

        def act(rows: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                scores = agent.actor(torch.from_numpy(rows))
                return (scores if real else scores.argmax(1)).numpy()

        return tested(world, name, trial.seed, act)

    return side


@torch.inference_mode()
def gather(agent: Agent, world: Environments, how: ppo.Settings) -> list[torch.Tensor]:
    """A rollout: seen, action, log π, V, A, R."""
    kept: list[list[torch.Tensor]] = [[], [], [], []]
    rewards = np.zeros((how.length, how.count), np.float32)
    on = np.ones((how.length, how.count), np.float32)
    for t in range(how.length):
        seen = torch.from_numpy(world.seen)
        policy = agent.policy(seen)
        action = policy.sample()
        row = seen, action, policy.log_prob(action), agent.critic(seen)[:, 0]
        for column, value in zip(kept, row):
            column.append(value)
        moved = world.step(action.numpy())
        rewards[t] = moved.rewards * how.scale
        if moved.truncated.any():
            cut = moved.truncated & ~moved.terminated
            later = agent.critic(torch.from_numpy(moved.after))[:, 0].numpy()
            rewards[t] += how.discount * later * cut
        on[t] -= moved.terminated | moved.truncated
    last = agent.critic(torch.from_numpy(world.seen))[:, 0]
    seen, action, log, value = (torch.stack(column) for column in kept)
    values = torch.cat([value, last[None]]).numpy()
    gains = torch.from_numpy(ppo.advantages(rewards, values, on, how))
    found = [seen, action, log, value, gains, gains + value]
    return [part.flatten(0, 1).clone() for part in found]


def update(agent: Agent, adam: Any, rows: list[Any], how: ppo.Settings) -> None:
    """The passes over it."""
    size = how.batch // how.parts
    for _ in range(how.passes):
        order = torch.randperm(how.batch)
        for at in range(0, how.batch, size):
            chosen = order[at : at + size]
            seen, action, log, value, gain, target = (part[chosen] for part in rows)
            policy = agent.policy(seen)
            ratio = (policy.log_prob(action) - log).exp()
            gain = (gain - gain.mean()) / (gain.std() + 1e-8)
            near = ratio.clamp(1 - how.clip, 1 + how.clip)
            better = torch.min(ratio * gain, near * gain).mean()
            now = agent.critic(seen)[:, 0]
            close = value + (now - value).clamp(-how.clip, how.clip)
            miss = torch.max((now - target) ** 2, (close - target) ** 2).mean()
            loss = 0.5 * how.critic * miss - better
            loss = loss - how.entropy * policy.entropy().mean()
            adam.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), how.norm, foreach=True)
            adam.step()


def main() -> None:
    """Race in one environment."""
    options = {"world": {"choices": list(ACTIONS)}, "steps": {"type": int}}
    given = arguments(__doc__, **options)
    how, name = ppo.WORLDS[given.world], given.world
    if given.steps or given.quick:
        how = replace(how, steps=given.steps or 4 * how.batch)
    what = f"PPO, {name}, {how.steps} steps"
    sides = {"Chainrule": ours(name, how), "PyTorch": theirs(name, how)}
    compare(given, "ppo", what, sides)


if __name__ == "__main__":
    main()
