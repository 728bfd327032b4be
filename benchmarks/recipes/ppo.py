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

from chainrule import rl
from chainrule.recipes import ppo
from chainrule.training import Environments

ACTIONS = {"CartPole-v1": 2, "Acrobot-v1": 3, "Pendulum-v1": 1}
PIECES = 25


def tested(world: Environments, name: str, seed: int, act: Any) -> dict[str, float]:
    """What the agent at the end does, and what training gave."""
    returns, _ = Environments(name, 50, seed=1000 + seed).play(act)
    training = float(np.mean([r for _, r, _ in world.episodes[-100:]]))
    return {"greedy": float(returns.mean()), "training": training}


def advantages(steps: rl.Rollout, s: ppo.Settings) -> np.ndarray:
    """A, with the recipe's settings."""
    return rl.gae(steps, s.gamma, ppo.GAE_LAMBDA, s.reward_scale)


def rounds_of(s: ppo.Settings) -> int:
    """The rounds of acting and learning."""
    return s.total_steps // (s.rollout * s.environments)


def ours(name: str, s: ppo.Settings) -> Side:
    """The agent, with the recipe's settings."""

    def side(trial: Trial) -> Run:
        world = Environments(name, s.environments, seed=trial.seed)
        size, rounds = s.rollout * s.environments, rounds_of(s)
        agent = rl.PPO(
            world,
            learning_rate=lambda left: s.lr * left,
            n_steps=s.rollout,
            batch_size=size // s.minibatches,
            n_epochs=s.update_epochs,
            gamma=s.gamma,
            gae_lambda=ppo.GAE_LAMBDA,
            clip_range=ppo.CLIP,
            clip_range_vf=ppo.CLIP,
            ent_coef=s.entropy,
            vf_coef=ppo.VALUE / 2,
            max_grad_norm=ppo.CLIP_NORM,
            reward_scale=s.reward_scale,
            seed=trial.seed,
            **trial.engine_options,
        )
        agent.begin(rounds * size)
        yield
        for round_ in range(rounds):
            agent.round()
            if (round_ + 1) * PIECES // rounds > round_ * PIECES // rounds:
                yield

        def act(rows: np.ndarray) -> np.ndarray:
            return agent.predict(rows, deterministic=True)[0]

        return tested(world, name, trial.seed, act)

    return side


class Agent(nn.Module):
    """CleanRL's."""

    def __init__(self, seen: int, actions: int, continuous: bool) -> None:
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
        self.log_std = nn.Parameter(torch.zeros(actions)) if continuous else None

    def policy(self, seen: torch.Tensor) -> Any:
        """The distribution of actions."""
        scores = self.actor(seen)
        if self.log_std is None:
            return torch.distributions.Categorical(logits=scores, validate_args=False)
        normal = torch.distributions.Normal
        return torch.distributions.Independent(
            normal(scores, self.log_std.exp().expand_as(scores), validate_args=False),
            1,
            validate_args=False,
        )


def theirs(name: str, s: ppo.Settings) -> Side:
    """CleanRL's."""
    continuous = name == "Pendulum-v1"

    def side(trial: Trial) -> Run:
        torch.set_num_threads(trial.threads)
        torch.manual_seed(trial.seed)
        world = Environments(name, s.environments, seed=trial.seed)
        agent = Agent(world.observations.shape[1], ACTIONS[name], continuous)
        adam = torch.optim.Adam(agent.parameters(), lr=s.lr, eps=1e-5, fused=True)
        rounds = rounds_of(s)
        pieces = [rounds * piece // PIECES for piece in range(1, PIECES + 1)]
        yield
        for turn in range(rounds):
            adam.param_groups[0]["lr"] = s.lr * (1 - turn / rounds)
            update(agent, adam, gather(agent, world, s), s)
            if turn + 1 in pieces:
                yield

        def act(rows: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                scores = agent.actor(torch.from_numpy(rows))
                return (scores if continuous else scores.argmax(1)).numpy()

        return tested(world, name, trial.seed, act)

    return side


@torch.inference_mode()
def gather(agent: Agent, world: Environments, s: ppo.Settings) -> list[torch.Tensor]:
    """A rollout: observations, actions, log π, V, A, R."""
    columns: list[list[torch.Tensor]] = [[], [], [], []]
    rewards, cut_values = np.zeros((2, s.rollout, s.environments), np.float32)
    not_done = np.ones((s.rollout, s.environments), np.float32)
    for t in range(s.rollout):
        observations = torch.from_numpy(world.observations)
        policy = agent.policy(observations)
        action = policy.sample()
        value = agent.critic(observations)[:, 0]
        row = observations, action, policy.log_prob(action), value
        for column, x in zip(columns, row):
            column.append(x)
        transition = world.step(action.numpy())
        rewards[t] = transition.rewards
        if transition.truncated.any():
            cut = transition.truncated & ~transition.terminated
            later = agent.critic(torch.from_numpy(transition.after))[:, 0].numpy()
            cut_values[t] = later * cut
        not_done[t] -= transition.terminated | transition.truncated
    last = agent.critic(torch.from_numpy(world.observations))[:, 0]
    observations, action, log_prob, value = (torch.stack(column) for column in columns)
    next_values = torch.cat([value[1:], last[None]]).numpy() * not_done + cut_values
    acted = observations.numpy(), action.numpy(), log_prob.numpy(), value.numpy()
    A = torch.from_numpy(
        advantages(rl.Rollout(*acted, rewards, next_values, not_done), s)
    )
    batch = [observations, action, log_prob, value, A, A + value]
    return [x.flatten(0, 1).clone() for x in batch]


def update(agent: Agent, adam: Any, rows: list[Any], s: ppo.Settings) -> None:
    """The passes over it."""
    batch = s.rollout * s.environments
    size = batch // s.minibatches
    for _ in range(s.update_epochs):
        order = torch.randperm(batch)
        for at in range(0, batch, size):
            chosen = order[at : at + size]
            seen, action, log, value, gain, target = (part[chosen] for part in rows)
            policy = agent.policy(seen)
            ratio = (policy.log_prob(action) - log).exp()
            gain = (gain - gain.mean()) / (gain.std() + 1e-8)
            near = ratio.clamp(1 - ppo.CLIP, 1 + ppo.CLIP)
            better = torch.min(ratio * gain, near * gain).mean()
            now = agent.critic(seen)[:, 0]
            close = value + (now - value).clamp(-ppo.CLIP, ppo.CLIP)
            miss = torch.max((now - target) ** 2, (close - target) ** 2).mean()
            loss = 0.5 * ppo.VALUE * miss - better
            loss = loss - s.entropy * policy.entropy().mean()
            adam.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), ppo.CLIP_NORM, foreach=True)
            adam.step()


def main() -> None:
    """Race in one environment."""
    options = {"world": {"choices": list(ACTIONS)}, "steps": {"type": int}}
    given = arguments(__doc__, **options)
    s, name = ppo.ENVIRONMENTS[given.world], given.world
    if given.steps or given.quick:
        s = replace(s, total_steps=given.steps or 4 * s.rollout * s.environments)
    what = f"PPO, {name}, {s.total_steps} steps"
    sides = {"Chainrule": ours(name, s), "PyTorch": theirs(name, s)}
    compare(given, "ppo", what, sides)


if __name__ == "__main__":
    main()
