"""Proximal policy optimisation (PPO): policy updates in small, clipped steps (1.3).

DQN learns what actions are worth and takes the best. Here a network gives the policy
itself, π(a | s; θ), from which actions are drawn; a second one, the critic, says what
a state is worth, V(s; φ). The agent acts for 128 steps in several environments at once.
What was better than the critic thought shall become more likely (Schulman et al. 2016):

    δₜ = rₜ + γ V(sₜ₊₁) − V(sₜ)        Aₜ = δₜ + γλ δₜ₊₁ + (γλ)² δₜ₊₂ + …

Then the same 128 steps are learned from several times over. That is only right as long
as the policy is nearly the one that has acted, so the ratio of the two is clipped: from
where it leaves 1 ± 0.2 there is nothing more to be gained (Schulman et al. 2017):

    ρ = π(a | s; θ) / π(a | s; θ_old)
    ℒ = − mean of min(ρ A, clip(ρ, 1 − ε, 1 + ε) A) + c ½ (V − R)² − β entropy

What to look at: the return of the episodes, which hardly ever falls back, as DQN's
does; the entropy, which says how undecided the policy still is; the share of samples
that are clipped; the films. The same code steers a cart (500 steps at most), swings up
two links, and holds up a pendulum, whose action is a real number: there the network
gives the mean of a normal distribution.

The settings are those of CleanRL but for one thing: where the limit of time cuts an
episode short, V says what would have followed.

    pip install 'chainrule[rl]'
    chainrule train ppo
    python -m chainrule.recipes.ppo
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, viz
from chainrule.recipes import Experiment, Reference
from chainrule.text import _, say
from chainrule.training import Environments

SUMMARY = _("proximal policy optimisation: CartPole, Acrobot and Pendulum")
SECONDS = 60
REFERENCES = [
    Reference("CartPole-v1.test", at_least=490, source="CleanRL, ppo.py: 492.4 ± 13.1"),
    Reference("Acrobot-v1.test", at_least=-89.9, source="CleanRL, ppo.py: −89.9 ± 6.3"),
    Reference("Pendulum-v1.test", at_least=-172.2, source="RL Zoo3: −172.2 ± 104.2"),
]


@dataclass(frozen=True)
class Settings:
    """The hyperparameters of an agent; those of CleanRL's ppo.py."""

    total_steps: int = 500_000  # in all environments together
    environments: int = 4
    rollout: int = 128  # steps of each environment between two phases of learning
    minibatches: int = 4
    update_epochs: int = 4
    lr: float = 2.5e-4  # at the beginning; it falls to 0 on a straight line
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip: float = 0.2  # ε
    entropy: float = 0.01  # β
    value: float = 0.5  # c
    clip_norm: float = 0.5
    reward_scale: float = 1.0
    episodes: int = 100  # that the agent is tested in

    @property
    def batch(self) -> int:
        """The number of steps of a round, in all environments together."""
        return self.environments * self.rollout

    @property
    def rounds(self) -> int:
        """The number of rounds of acting and learning."""
        return self.total_steps // self.batch

    @property
    def updates(self) -> int:
        """The number of updates in a round."""
        return self.update_epochs * self.minibatches


#: The pendulum's were chosen on seed 100. With γ = 0.9, as in RL Baselines3 Zoo, it
#: swings up too lazily: ten steps ahead are too few.
PENDULUM = Settings(
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
)
WORLDS = {"CartPole-v1": Settings(), "Acrobot-v1": Settings(), "Pendulum-v1": PENDULUM}
#: The quick run's changes of these settings.
QUICK = {
    "CartPole-v1": {"total_steps": 25_000, "lr": 1e-3, "episodes": 20},
    "Acrobot-v1": {"total_steps": 50_000, "lr": 1e-3, "episodes": 20},
    "Pendulum-v1": {"total_steps": 50_000, "episodes": 20},
}

# -- the networks ----------------------------------------------------------------------


class Agent(nn.Module):
    """Actor and critic networks; with real actions also log σ."""

    def __init__(self, observations: int, actions: int, real: bool) -> None:
        self.actions = actions
        self.actor = network(observations, actions, 0.01)
        self.critic = network(observations, 1, 1.0)
        self.log_std: Any = None
        if real:
            self.log_std = nn.Parameter(np.zeros(actions, np.float32))


def network(inputs: int, outputs: int, gain: float) -> nn.Sequential:
    """Return a network with two layers of 64 tanh and orthogonal initial weights."""
    layers: list[Any]
    layers = [nn.Linear(inputs, 64), nn.Linear(64, 64), nn.Linear(64, outputs)]
    for layer, g in zip(layers, (math.sqrt(2), math.sqrt(2), gain)):
        nn.init.orthogonal_(layer.weight, g)
        nn.init.zeros_(layer.bias)
    first, second, last = layers
    return nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), last)


class Categorical:
    """A policy with discrete actions 0, 1, …, drawn with softmax probabilities."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    @staticmethod
    def noise(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw Gumbel noise: argmax(scores + noise) is a draw from their softmax."""
        return rng.gumbel(size=shape).astype(np.float32)

    def sample(self, scores: cr.Tensor, noise: cr.Tensor) -> Any:
        """Return one action a row; with noise 0 the most likely one."""
        return (scores + noise).argmax(1)

    def log_prob(self, scores: cr.Tensor, action: cr.Tensor) -> Any:
        """Return log π(a | s) of the actions, one a row."""
        logs = nn.functional.log_softmax(scores)
        return (logs * nn.functional.one_hot(action, self.agent.actions)).sum(1)

    def entropy(self, scores: cr.Tensor) -> Any:
        """Return the policy's entropy −Σ p log p for each row."""
        logs = nn.functional.log_softmax(scores)
        return -(logs.exp() * logs).sum(1)


class Normal(Categorical):
    """A policy with normally distributed action vectors."""

    @staticmethod
    def noise(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw standard normal noise."""
        return rng.standard_normal(shape, np.float32)

    def sample(self, scores: cr.Tensor, noise: cr.Tensor) -> Any:
        """Return actions: the mean plus the noise times the standard deviation."""
        return scores + self.agent.log_std.exp() * noise

    def log_prob(self, scores: cr.Tensor, action: cr.Tensor) -> Any:
        """Return log π(a | s) = Σ −½ ((a − μ)/σ)² − log σ − ½ log 2π."""
        log_std = self.agent.log_std
        z = (action - scores) * (-log_std).exp()
        return (-0.5 * z * z - log_std - 0.5 * math.log(2 * math.pi)).sum(1)

    def entropy(self, scores: cr.Tensor) -> Any:
        """Return the entropy Σ ½ + ½ log 2π + log σ, the same for every row."""
        each = self.agent.log_std + 0.5 + 0.5 * math.log(2 * math.pi)
        return (scores * 0 + each).sum(1)


class LinearAnnealing(optim.Schedule):
    """A learning-rate schedule: linear from lr to 0, constant in each round."""

    updates: int = 1
    rounds: int = 1

    def __call__(self, step: int) -> float:
        """Return the learning rate η of update ``step``."""
        return self.lr * (1 - step // self.updates / self.rounds)


def adam(agent: Agent, s: Settings) -> optim.Adam:
    """Return the optimiser of an agent."""
    lr = LinearAnnealing(s.lr, s.updates, s.rounds)
    return optim.Adam(agent.parameters(), lr=lr, eps=1e-5, clip_norm=s.clip_norm)


def acting(experiment: Experiment, agent: Agent, policy: Categorical) -> Any:
    """Compile acting: from observations and noise to actions, log π and V."""

    @experiment.compile
    def act(observations: cr.Tensor, noise: cr.Tensor) -> Any:
        scores = agent.actor(observations)
        action = policy.sample(scores, noise)
        log_prob = policy.log_prob(scores, action)
        return action, log_prob, agent.critic(observations)[:, 0]

    return act


def learning(
    experiment: Experiment, policy: Categorical, optimizer: optim.Adam, s: Settings
) -> Any:
    """Compile a step of learning from a minibatch."""
    agent = policy.agent

    @experiment.compile
    def learn(
        observations: Any,
        actions: Any,
        log_probs: Any,
        values: Any,
        advantages: Any,
        returns: Any,
    ) -> Any:
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        scores = agent.actor(observations)
        ratio = (policy.log_prob(scores, actions) - log_probs).exp()
        clipped_ratio = ratio.clamp(1 - s.clip, 1 + s.clip)
        gain = cr.minimum(ratio * advantages, clipped_ratio * advantages).mean()
        value = agent.critic(observations)[:, 0]
        near = values + (value - values).clamp(-s.clip, s.clip)
        errors = cr.maximum((value - returns) ** 2, (near - returns) ** 2)
        value_loss = 0.5 * errors.mean()
        entropy = policy.entropy(scores).mean()
        loss = s.value * value_loss - gain - s.entropy * entropy
        agent.zero_grad()
        loss.backward()
        optimizer.step()
        clipped = ((ratio - 1).abs() > s.clip).astype("float32").mean()
        return loss, value_loss, entropy, clipped

    return learn


# -- acting ----------------------------------------------------------------------------


def rollout(
    world: Environments, act: Any, policy: Categorical, rng: Any, s: Settings
) -> list[np.ndarray]:
    """Act in the environments; return the columns of a batch for :func:`learning`.

    They are observations, actions, log π, V, advantages and returns, a row a step.
    """
    shape = s.rollout, s.environments
    noise = policy.noise(rng, (*shape, policy.agent.actions))
    steps = []
    rewards = np.zeros(shape, np.float32)
    values = np.zeros((s.rollout + 1, s.environments), np.float32)
    not_done = np.ones(shape, np.float32)
    for t in range(s.rollout):
        observations = world.seen
        action, log_prob, value = (a.numpy() for a in act(observations, noise[t]))
        values[t] = value
        moved = world.step(action)
        steps.append((observations, action, log_prob))
        rewards[t] = moved.rewards * s.reward_scale
        if moved.truncated.any():  # it would have gone on: as well as V says
            cut = moved.truncated & ~moved.terminated
            rewards[t] += s.gamma * act(moved.after, noise[t])[2].numpy() * cut
        not_done[t] -= moved.terminated | moved.truncated
    values[-1] = act(world.seen, noise[0])[2].numpy()
    gains = advantages(rewards, values, not_done, s)
    columns = [np.stack(column) for column in zip(*steps)]
    columns += [values[:-1], gains, gains + values[:-1]]
    return [column.reshape(s.batch, *column.shape[2:]) for column in columns]


def advantages(
    rewards: np.ndarray, values: np.ndarray, not_done: np.ndarray, s: Settings
) -> np.ndarray:
    """Return the advantage of every step, computed backwards: Aₜ = δₜ + γλ Aₜ₊₁.

    All are (steps, environments); ``values`` has one more row, V of the observations
    at the end; ``not_done`` is 0 where an episode ends with the step, else 1.
    """
    delta = rewards + s.gamma * not_done * values[1:] - values[:-1]
    for t in range(len(delta) - 2, -1, -1):
        delta[t] += s.gamma * s.gae_lambda * not_done[t] * delta[t + 1]
    return delta


# -- the lesson ------------------------------------------------------------------------


def train(experiment: Experiment, name: str, s: Settings) -> dict[str, Any]:
    """Train an agent in an environment, test it, and draw its results."""
    number = list(WORLDS).index(name)
    seeds = np.random.SeedSequence([experiment.seed, number]).generate_state(3)
    space = experiment.package("gymnasium", "chainrule[rl]").make(name).action_space
    real = space.dtype.kind == "f"
    actions = int(space.shape[0] if real else space.n)
    world = Environments(name, s.environments, seed=int(seeds[0]))
    tests = Environments(name, s.episodes, seed=int(seeds[2]))
    cr.manual_seed(int(seeds[1]))
    agent = Agent(tests.seen.shape[1], actions, real)
    policy = Normal(agent) if real else Categorical(agent)
    optimizer = adam(agent, s)
    act = acting(experiment, agent, policy)
    learn = learning(experiment, policy, optimizer, s)
    rng = np.random.default_rng([int(seeds[0]), 1])

    def likeliest(observations: np.ndarray) -> np.ndarray:
        noise = np.zeros((len(observations), actions), np.float32)
        return act(observations, noise)[0].numpy()

    def drawn(observations: np.ndarray) -> np.ndarray:
        noise = policy.noise(test_rng, (len(observations), actions))
        return act(observations, noise)[0].numpy()

    test_rng = np.random.default_rng([int(seeds[2]), 1])
    untrained = float(tests.play(drawn)[0].mean())
    log: list[list[float]] = []  # losses, entropy, share clipped, by update
    state = {"agent": agent, "optimizer": optimizer, "world": world, "rng": rng}
    for __ in experiment.steps(name, s.rounds, **state, log=log):
        batch = rollout(world, act, policy, rng, s)
        epochs = [rng.permutation(s.batch) for __ in range(s.update_epochs)]
        for rows in np.concatenate(epochs).reshape(s.updates, -1):
            figures = learn(*(column[rows] for column in batch))
            log.append([figure.item() for figure in figures])

    frames: list[np.ndarray] = []
    returns, __ = tests.play(likeliest, frames.append)
    episodes = np.array(world.episodes)
    training = float(episodes[-100:, 1].mean())
    __, __, entropy, clipped = np.transpose(log)
    first, last = float(entropy[: s.updates].mean()), float(entropy[-1])
    say(
        "\n{name}: {steps} steps, {episodes} episodes, {updates} updates\n"
        "   the likeliest action, {tests} episodes: {test:.1f} ± {spread:.1f}\n"
        "   the last 100 episodes of training, actions drawn: {training:.1f}\n"
        "   entropy {first:.3f} → {last:.3f}; of all samples {clipped:.1%} clipped",
        name=name,
        steps=world.steps,
        episodes=len(episodes),
        updates=len(log),
        tests=s.episodes,
        test=returns.mean(),
        spread=returns.std(),
        training=training,
        first=first,
        last=last,
        clipped=clipped.mean(),
    )
    say("   before training, actions drawn: {untrained:.1f}", untrained=untrained)
    title = f"{name}: the return of the episodes"
    experiment.draw(f"{name}-returns", viz.scenes.returns, episodes, title=title)
    thin = max(1, len(entropy) // 1000)
    experiment.draw(
        f"{name}-policy",
        viz.gallery.lines,
        {"entropy": entropy[::thin], "clipped": clipped[::thin]},
        title=f"{name}: entropy, and the share that is clipped",
        across=_("step of learning, one of {thin}", thin=thin),
        log=False,
    )
    shown = frames[:: 25 if experiment.quick else 1 + len(frames) // 100]
    title = _("{name}: an episode", name=name)
    experiment.film(name, viz.scenes.SCENES[name], shown, title=title, seconds=0.05)
    return {
        "test": float(returns.mean()),
        "spread": float(returns.std()),
        "untrained": untrained,
        "training": training,
        "clipped": float(clipped.mean()),
        "entropy": [first, last],
    }


def run(experiment: Experiment) -> dict[str, Any]:
    """Train and test an agent in each of three environments.

    Args:
        experiment: the seed of weights, environments and actions.
    """
    say("ℒ = − mean of min(ρ A, clip(ρ, 1 − ε, 1 + ε) A) + c ½ (V − R)² − β entropy")
    results = {}
    for name, s in WORLDS.items():
        if experiment.quick:
            s = replace(s, **QUICK[name])
        results[name] = train(experiment, name, s)
    return results


if __name__ == "__main__":
    run(Experiment("ppo"))
