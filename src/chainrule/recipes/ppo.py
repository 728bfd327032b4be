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
episode short, V says what would have followed. All steps of learning between two
rollouts are one run of the compiled program.

    pip install 'chainrule[rl]'
    chainrule train ppo
    python -m chainrule.recipes.ppo
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, viz
from chainrule.recipes import Experiment, Reference
from chainrule.text import _, say
from chainrule.training import Environments, Loop, RunState, Source, Work
from chainrule.training import compile_program as compiled_together

SUMMARY = _("proximal policy optimisation: CartPole, Acrobot and Pendulum")
REFERENCES = [
    Reference("CartPole-v1.test", at_least=490, source="CleanRL, ppo.py: 492.4 ± 13.1"),
    Reference("Acrobot-v1.test", at_least=-89.9, source="CleanRL, ppo.py: −89.9 ± 6.3"),
    Reference("Pendulum-v1.test", at_least=-172.2, source="RL Zoo3: −172.2 ± 104.2"),
]


@dataclass(frozen=True)
class Settings:
    """The hyperparameters of an agent; those of CleanRL's ppo.py.

    Attributes:
        steps, count: in all environments together, and how many environments.
        length: steps of each between two phases of learning.
        parts, passes: minibatches that these are cut into; how often they are used.
        lr: η at the beginning; it falls to 0 on a straight line.
        discount, trace, clip, entropy, critic: γ, λ, ε, β and c.
        norm, scale: what a gradient is clipped to; what rewards are multiplied by.
        episodes: that the agent is tested in.
    """

    steps: int = 500_000
    count: int = 4
    length: int = 128
    parts: int = 4
    passes: int = 4
    lr: float = 2.5e-4
    discount: float = 0.99
    trace: float = 0.95
    clip: float = 0.2
    entropy: float = 0.01
    critic: float = 0.5
    norm: float = 0.5
    scale: float = 1.0
    episodes: int = 100

    @property
    def batch(self) -> int:
        """The number of steps of a round, in all environments together."""
        return self.count * self.length

    @property
    def rounds(self) -> int:
        """The number of rounds of acting and learning."""
        return self.steps // self.batch

    @property
    def each(self) -> int:
        """The number of updates in a round."""
        return self.passes * self.parts


#: The pendulum's were chosen on seed 100. With γ = 0.9, as in RL Baselines3 Zoo, it
#: swings up too lazily: ten steps ahead are too few.
PENDULUM: dict[str, Any] = {"steps": 300_000, "count": 8, "length": 256, "parts": 32}
PENDULUM |= {"passes": 10, "lr": 1e-3, "discount": 0.98, "entropy": 0.0}
PENDULUM |= {"scale": 0.02, "episodes": 400}
WORLDS = {"CartPole-v1": Settings(), "Acrobot-v1": Settings()}
WORLDS["Pendulum-v1"] = Settings(**PENDULUM)

# -- the networks ----------------------------------------------------------------------


class Agent(nn.Module):
    """Actor and critic networks; with ``real`` actions also a standard deviation."""

    def __init__(self, seen: int, actions: int, real: bool) -> None:
        self.seen, self.actions = seen, actions
        self.actor = network(seen, actions, 0.01)
        self.critic = network(seen, 1, 1.0)
        self.spread: Any = None
        if real:  # log σ
            self.spread = nn.Parameter(np.zeros(actions, np.float32))


def network(seen: int, outputs: int, gain: float) -> nn.Sequential:
    """Return a network with two layers of 64 tanh and orthogonal initial weights."""
    layers: list[Any]
    layers = [nn.Linear(seen, 64), nn.Linear(64, 64), nn.Linear(64, outputs)]
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
    def noise(dice: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw Gumbel noise: argmax(scores + noise) is a draw from their softmax."""
        return dice.gumbel(size=shape).astype(np.float32)

    def draw(self, scores: cr.Tensor, noise: cr.Tensor) -> Any:
        """Return one action a row; with noise 0 the most likely one."""
        return (scores + noise).argmax(1)

    def log(self, scores: cr.Tensor, action: cr.Tensor) -> Any:
        """Return log π(a | s) of actions passed as (n, 1) floats."""
        logs = nn.functional.log_softmax(scores)
        number = action[:, 0].astype("int32")
        chosen = nn.functional.one_hot(number, self.agent.actions)
        return (logs * chosen).sum(1)

    def entropy(self, scores: cr.Tensor) -> Any:
        """Return the policy's entropy −Σ p log p for each row."""
        logs = nn.functional.log_softmax(scores)
        return -(logs.exp() * logs).sum(1)


class Normal(Categorical):
    """A policy with normally distributed action vectors."""

    @staticmethod
    def noise(dice: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw standard normal noise."""
        return dice.standard_normal(shape, np.float32)

    def draw(self, scores: cr.Tensor, noise: cr.Tensor) -> Any:
        """Return actions: the mean plus the noise times the standard deviation."""
        return scores + self.agent.spread.exp() * noise

    def log(self, scores: cr.Tensor, action: cr.Tensor) -> Any:
        """Return log π(a | s) = Σ −½ ((a − μ)/σ)² − log σ − ½ log 2π."""
        spread = self.agent.spread
        apart = (action - scores) * (-spread).exp()
        each = -0.5 * apart * apart - spread - 0.5 * math.log(2 * math.pi)
        return each.sum(1)

    def entropy(self, scores: cr.Tensor) -> Any:
        """Return the entropy Σ ½ + ½ log 2π + log σ, the same for every row."""
        each = self.agent.spread + 0.5 + 0.5 * math.log(2 * math.pi)
        return (scores * 0 + each).sum(1)


class LinearAnnealing(optim.Schedule):
    """A learning-rate schedule: linear from lr to 0, constant in each round."""

    each: int = 1
    rounds: int = 1

    def __call__(self, step: int) -> float:
        """Return the learning rate η of update ``step``."""
        return self.lr * (1 - step // self.each / self.rounds)


def compiled(agent: Agent, policy: Categorical, how: Settings, **engine: Any) -> Any:
    """Compile acting and learning as one program."""
    seen, actions = agent.seen, agent.actions
    taken = actions if agent.spread is not None else 1
    lr = LinearAnnealing(how.lr, how.each, how.rounds)
    adam = optim.Adam(agent.parameters(), lr=lr, eps=1e-5, clip_norm=how.norm)

    def act(seen: cr.Tensor, noise: cr.Tensor) -> Any:
        scores = agent.actor(seen)
        action = policy.draw(scores, noise)
        rows = action.astype("float32").reshape(-1, taken)
        value = agent.critic(seen)[:, 0]
        return {"action": action, "log": policy.log(scores, rows), "value": value}

    def learn(rows: cr.Tensor) -> Any:
        action, rest = rows[:, seen : seen + taken], rows[:, seen + taken :]
        log, value, advantage, target = (rest[:, i] for i in range(4))
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        scores = agent.actor(rows[:, :seen])
        ratio = (policy.log(scores, action) - log).exp()
        near = ratio.clamp(1 - how.clip, 1 + how.clip)
        gain = cr.minimum(ratio * advantage, near * advantage).mean()
        now = agent.critic(rows[:, :seen])[:, 0]
        close = value + (now - value).clamp(-how.clip, how.clip)
        miss = 0.5 * cr.maximum((now - target) ** 2, (close - target) ** 2).mean()
        undecided = policy.entropy(scores).mean()
        loss = how.critic * miss - gain - how.entropy * undecided
        agent.zero_grad()
        loss.backward()
        adam.step()
        clipped = ((ratio - 1).abs() > how.clip).astype("float32").mean()
        return {"loss": loss, "critic": miss, "entropy": undecided, "clipped": clipped}

    types = {"seen": f"f32[N,{seen}]", "noise": f"f32[N,{actions}]"}
    types["rows"] = f"f32[{how.batch // how.parts},{seen + taken + 4}]"
    functions = {"act": act, "learn": learn}
    return compiled_together(
        functions, types, model=agent, optimizers=[adam], each=["rows"], **engine
    )


# -- acting ----------------------------------------------------------------------------


class Rollouts(Source):
    """A source of minibatches: acts for a while, and computes the advantages."""

    def __init__(self, name: str, policy: Any, how: Settings, seed: int) -> None:
        self.world = Environments(name, how.count, seed=seed)
        self.policy, self.how = policy, how
        self.dice = np.random.default_rng([seed, 1])
        self.program: Any = None
        #: What is learned from, and in which order.
        self.rows = np.zeros((0, 0), np.float32)
        self.order = np.zeros((0, 0), np.int64)

    def bind(self, program: Any) -> None:
        """Set the program that chooses actions."""
        self.program = program

    def take(self, state: RunState, most: int) -> Work | None:
        """Return the next minibatches; gather new steps after the last pass."""
        how = self.how
        at = state.updates % how.each
        if at == 0:
            self.gather()
            passes = [self.dice.permutation(how.batch) for __ in range(how.passes)]
            self.order = np.concatenate(passes).reshape(how.each, -1)
        count = min(most, how.each - at)
        rows = self.rows[self.order[at : at + count]]
        return Work({"rows": rows}, steps=count)

    def gather(self) -> None:
        """Act in the environments; record the steps with advantages A and returns R."""
        how, world, run = self.how, self.world, self.program.run
        shape = how.length, how.count, self.policy.agent.actions
        noise = self.policy.noise(self.dice, shape)
        lived, rewards = [], np.zeros((how.length, how.count), np.float32)
        values = np.zeros((how.length + 1, how.count), np.float32)
        on = np.ones((how.length, how.count), np.float32)
        for t in range(how.length):
            seen = world.seen
            made = run("act", {"seen": seen, "noise": noise[t]})
            action, values[t] = made["action"], made["value"]
            moved = world.step(action)
            lived.append((seen, action.reshape(how.count, -1), made["log"][:, None]))
            rewards[t] = moved.rewards * how.scale
            if moved.truncated.any():  # it would have gone on: as well as V says
                cut = moved.truncated & ~moved.terminated
                later = run("act", {"seen": moved.after, "noise": noise[t]})["value"]
                rewards[t] += how.discount * later * cut
            on[t] -= moved.terminated | moved.truncated
        values[-1] = run("act", {"seen": world.seen, "noise": noise[0]})["value"]
        gains = advantages(rewards, values, on, how)
        parts = [np.stack(part) for part in zip(*lived)]
        more = [a[..., None] for a in (values[:-1], gains, gains + values[:-1])]
        rows = np.concatenate([*parts, *more], axis=2, dtype=np.float32)
        self.rows = rows.reshape(how.batch, -1)

    def state(self) -> dict[str, Any]:
        """Return the state of the environments, the generator and the open round."""
        kept = {"world": self.world.state(), "dice": self.dice.bit_generator.state}
        return kept | {"rows": self.rows, "order": self.order}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the state of the environments, the generator and the open round."""
        self.world.load_state(state["world"])
        self.dice.bit_generator.state = state["dice"]
        self.rows, self.order = state["rows"], state["order"]


def advantages(
    rewards: np.ndarray, values: np.ndarray, on: np.ndarray, how: Settings
) -> np.ndarray:
    """Return the advantage of every step, computed backwards: Aₜ = δₜ + γλ Aₜ₊₁.

    All are (steps, environments); ``values`` has one more row, V of what is seen at the
    end; ``on`` is 0 where an episode ends with the step, else 1.
    """
    delta = rewards + how.discount * on * values[1:] - values[:-1]
    fade = how.discount * how.trace * on
    for t in range(len(delta) - 2, -1, -1):
        delta[t] += fade[t] * delta[t + 1]
    return delta


# -- the whole -------------------------------------------------------------------------


def learn(experiment: Experiment, name: str, how: Settings) -> dict[str, Any]:
    """Train an agent in an environment, test it, and draw its results."""
    number = list(WORLDS).index(name)
    seeds = np.random.SeedSequence([experiment.seed, number]).generate_state(3)
    space = experiment.package("gymnasium", "chainrule[rl]").make(name).action_space
    real = space.dtype.kind == "f"
    actions = int(space.shape[0] if real else space.n)
    others = Environments(name, how.episodes, seed=int(seeds[2]))
    cr.manual_seed(int(seeds[1]))
    agent = Agent(others.seen.shape[1], actions, real)
    policy = Normal(agent) if real else Categorical(agent)
    program = compiled(agent, policy, how, **experiment.engine_options)
    source = Rollouts(name, policy, how, int(seeds[0]))
    loop = Loop(program, "learn", source)
    loop = experiment.loop(name, loop, updates=how.rounds * how.each)

    def likeliest(seen: np.ndarray) -> np.ndarray:
        noise = np.zeros((len(seen), actions), np.float32)
        return program.run("act", {"seen": seen, "noise": noise})["action"]

    frames: list[np.ndarray] = []
    returns, __ = others.play(likeliest, frames.append)
    episodes = np.array(source.world.episodes)
    training = float(episodes[-100:, 1].mean())
    columns = loop.history.steps_of("learn")
    first, last = (float(columns["entropy"][at].mean()) for at in (slice(how.each), -1))
    figures = {"test": float(returns.mean()), "spread": float(returns.std())}
    figures |= {"training": training, "clipped": float(columns["clipped"].mean())}
    say(
        "\n{name}: {steps} steps, {episodes} episodes, {updates} updates\n"
        "   the likeliest action, {tests} episodes: {test:.1f} ± {spread:.1f}\n"
        "   the last 100 episodes of training, actions drawn: {training:.1f}\n"
        "   entropy {first:.3f} → {last:.3f}; of all samples {clipped:.1%} clipped",
        **dict(figures, name=name, episodes=len(episodes), first=first, last=last),
        steps=source.world.steps,
        tests=how.episodes,
        updates=loop.state.updates,
    )
    show(experiment, name, episodes, columns, frames)
    return figures | {"entropy": [first, last]}


def show(
    experiment: Experiment, name: str, episodes: Any, columns: Any, frames: Any
) -> None:
    """Draw the learning curves, and the first test episode as a film."""
    what = f"{name}: the return of the episodes"
    experiment.draw(f"{name}-returns", viz.scenes.returns, episodes, title=what)
    thin = max(1, len(columns["loss"]) // 1000)
    curves = {key: columns[key][::thin] for key in ("entropy", "clipped")}
    axis = {"across": _("step of learning, one of {thin}", thin=thin), "log": False}
    what = f"{name}: entropy, and the share that is clipped"
    experiment.draw(f"{name}-policy", viz.gallery.lines, curves, title=what, **axis)
    shots = frames[:: 25 if experiment.quick else 1 + len(frames) // 100]
    what = _("{name}: an episode", name=name)
    experiment.film(name, viz.scenes.SCENES[name], shots, title=what, seconds=0.05)


def run(experiment: Experiment) -> dict[str, Any]:
    """Train and test an agent in each of three environments.

    Args:
        experiment: the seed is that of weights, environments and actions.
    """
    say("ℒ = − mean of min(ρ A, clip(ρ, 1 − ε, 1 + ε) A) + c ½ (V − R)² − β entropy")
    results = {}
    for name, how in WORLDS.items():
        less = {"steps": 4 * how.batch, "episodes": 5} if experiment.quick else {}
        results[name] = learn(experiment, name, replace(how, **less))
    return results


if __name__ == "__main__":
    run(Experiment("ppo"))
