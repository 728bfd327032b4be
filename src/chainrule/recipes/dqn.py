"""Deep Q-learning (DQN): a Q-network trained from a replay memory (1.3).

CartPole's states are four real numbers: no table holds them. A network gives the value
Q(s, a; θ) of every action at once, and each step of learning moves it towards

    y = r + γ maxₐ′ Q(s′, a′; θ⁻)     (y = r where the episode has ended)
    ℒ = mean of (y − Q(s, a; θ))²                              (Mnih et al. 2013, 2015)

Two things keep it from chasing itself. What happened goes into a memory, from which
batches are drawn at random, so that one batch is not one moment of one episode. And
θ⁻, the target network, is a copy of θ that is renewed only now and then.

What to look at: the return of the episodes while ε falls; how it goes up, and down
again, as it does in the papers; Q(s, a) beside what really came of it; the film. A cart
that has to keep a pole up (500 at most), and two links that have to swing up (the fewer
steps the better). Settings are CleanRL's, as is the network, 120 and 84 ReLU.

The agent that is tested is the best of ten that are kept on the way; they are compared
on episodes of their own, and the best one is then tested on others.

    pip install 'chainrule[rl]'
    chainrule train dqn
    python -m chainrule.recipes.dqn
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import errors, nn, optim, viz
from chainrule.recipes import Experiment, Reference, memory
from chainrule.text import _, say
from chainrule.training import Environments

SUMMARY = _("deep Q-learning: replay memory, target network; CartPole and Acrobot")
SECONDS = 120
REFERENCES = [
    Reference("CartPole-v1.test", at_least=488, source="CleanRL, dqn.py: 488.7 ± 16.1"),
    Reference("Acrobot-v1.test", at_least=-91.5, source="CleanRL, dqn.py: −91.5 ± 7.2"),
]


@dataclass(frozen=True)
class Settings:
    """The hyperparameters of an agent; those of CleanRL's dqn.py."""

    total_steps: int = 500_000  # in the environment
    buffer_size: int = 10_000
    learning_starts: int = 10_000
    train_every: int = 10  # steps of acting
    target_update: int = 500  # steps after which the target network is renewed
    batch_size: int = 128
    exploration: float = 0.5  # the share of the steps over which ε falls from 1
    epsilon: float = 0.05  # at the end
    gamma: float = 0.99
    lr: float = 2.5e-4
    tests: int = 10  # of the agent on the way; the best one is kept
    test_episodes: int = 20  # that they are compared on
    episodes: int = 100  # that the best one is tested in

    @property
    def updates(self) -> int:
        """The number of updates between two renewals of the target network."""
        return self.target_update // self.train_every

    @property
    def rounds(self) -> int:
        """The number of renewals of the target network."""
        return (self.total_steps - self.learning_starts) // self.target_update


NAMES = ("CartPole-v1", "Acrobot-v1")
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

# -- the networks ----------------------------------------------------------------------


class Agent(nn.Module):
    """The online Q-network and its copy, the target network."""

    def __init__(self, observations: int, actions: int) -> None:
        self.actions = actions
        self.online, self.target = (network(observations, actions) for __ in range(2))
        self.target.load_state_dict(self.online.state_dict())


def network(observations: int, actions: int) -> nn.Sequential:
    """Return a Q-network: from an observation to the value of each action."""
    return nn.Sequential(
        nn.Linear(observations, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, actions),
    )


def learning(
    experiment: Experiment, agent: Agent, adam: optim.Adam, gamma: float
) -> Any:
    """Compile a step of learning: from transitions to the loss and the mean Q-value."""

    @experiment.compile
    def learn(
        observations: cr.Tensor,
        actions: cr.Tensor,
        rewards: cr.Tensor,
        following: cr.Tensor,
        terminated: cr.Tensor,
    ) -> tuple[cr.Tensor, cr.Tensor]:
        following_q = agent.target(following).amax(1).detach()
        target = rewards + gamma * (1 - terminated) * following_q
        chosen = nn.functional.one_hot(actions, agent.actions)
        q = (agent.online(observations) * chosen).sum(1)
        loss = ((target - q) ** 2).mean()
        agent.zero_grad()
        loss.backward()
        adam.step()
        return loss, q.mean()

    return learn


# -- acting and remembering ------------------------------------------------------------


class ReplayBuffer:
    """The last transitions of an environment, overwritten in a circle.

    Args:
        size: how many.
        observations: the numbers of an observation.

    Raises:
        ArgumentError: the machine has not enough RAM for it and for the copies that a
            checkpoint takes.
    """

    def __init__(self, size: int, observations: int) -> None:
        width = 2 * observations + 3
        need, have = 4 * 4 * size * width, memory()
        if need > have:
            raise errors.ArgumentError(
                _("A memory of {rows} steps does not fit this machine.", rows=size),
                expected=_(
                    "at most {have_width} steps of {width} numbers each, in "
                    "float32 and with the copies that a checkpoint takes",
                    have_width=have // (16 * width),
                    width=width,
                ),
                got=_(
                    "{need:.1f} GiB; at most {have:.1f} GiB may be taken",
                    need=need / 2**30,
                    have=have / 2**30,
                ),
                fix=_("a smaller Settings.buffer_size"),
            )
        self.size, self.count = size, 0
        self.columns = {
            "observations": np.zeros((size, observations), np.float32),
            "actions": np.zeros(size, np.int64),
            "rewards": np.zeros(size, np.float32),
            "following": np.zeros((size, observations), np.float32),
            "terminated": np.zeros(size, np.float32),
        }

    def add(self, *transition: Any) -> None:
        """Add a transition: a value for each column."""
        for column, value in zip(self.columns.values(), transition):
            column[self.count % self.size] = value
        self.count += 1

    def sample(self, batch_size: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Draw transitions; return the columns of a batch for :func:`learning`."""
        rows = rng.integers(min(self.count, self.size), size=batch_size)
        return [column[rows] for column in self.columns.values()]

    def state(self) -> dict[str, Any]:
        """Return the transitions, for a checkpoint."""
        return {"count": self.count, **self.columns}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the transitions of a checkpoint."""
        self.count = state["count"]
        for name, column in self.columns.items():
            column[:] = state[name]


def explore(
    world: Environments,
    greedy: Callable[[np.ndarray], np.ndarray],
    buffer: ReplayBuffer,
    rng: np.random.Generator,
    steps: int,
    s: Settings,
    actions: int,
) -> None:
    """Act with the best action or, with probability ε, any; remember what came."""
    at_random = rng.random(steps) < epsilon(world.steps + np.arange(steps), s)
    random_actions = rng.integers(actions, size=(steps, 1))
    for i in range(steps):
        before = world.seen
        if at_random[i]:
            action = random_actions[i]
        else:
            action = greedy(before)
        moved = world.step(action)
        ended = moved.terminated[0]  # an episode that was cut short did not end
        buffer.add(before[0], action[0], moved.rewards[0], moved.after[0], ended)


def epsilon(step: Any, s: Settings) -> Any:
    """Return ε at a step: linear decay from 1, then constant."""
    slope = (s.epsilon - 1) / (s.exploration * s.total_steps)
    return np.maximum(1 + slope * step, s.epsilon)


# -- the lesson ------------------------------------------------------------------------


def train(experiment: Experiment, name: str, s: Settings) -> dict[str, Any]:
    """Train an agent in an environment, test it, and draw its results."""
    seeds = np.random.SeedSequence([experiment.seed, NAMES.index(name)])
    world_seed, agent_seed, choice_seed, test_seed = map(int, seeds.generate_state(4))
    gymnasium = experiment.package("gymnasium", "chainrule[rl]")
    actions = int(gymnasium.make(name).action_space.n)
    world = Environments(name, seed=world_seed)
    rng = np.random.default_rng([world_seed, 1])
    buffer = ReplayBuffer(s.buffer_size, world.seen.shape[1])
    cr.manual_seed(agent_seed)
    agent = Agent(world.seen.shape[1], actions)
    adam = optim.Adam(agent.online.parameters(), lr=s.lr)
    learn = learning(experiment, agent, adam, s.gamma)
    q_values = experiment.compile(agent.online)

    def greedy(observations: np.ndarray) -> np.ndarray:
        return q_values(observations).numpy().argmax(1)

    choice = Environments(name, s.test_episodes, seed=choice_seed)
    scores: list[float] = []
    best: dict[str, np.ndarray] = {}
    mean_q: list[float] = []
    state: dict[str, Any] = {"agent": agent, "adam": adam, "world": world, "rng": rng}
    state |= {"buffer": buffer, "scores": scores, "best": best, "q": mean_q}
    for round_ in experiment.steps(name, s.rounds, **state):
        for __ in range(s.updates):
            steps = s.train_every if buffer.count else s.learning_starts + s.train_every
            explore(world, greedy, buffer, rng, steps, s, actions)
            __, q = learn(*buffer.sample(s.batch_size, rng))
            mean_q.append(q.item())
        agent.target.load_state_dict(agent.online.state_dict())
        if (round_ + 1) % (s.rounds // s.tests) == 0:
            score = float(choice.play(greedy)[0].mean())
            if score > max(scores, default=-np.inf):
                best.update(agent.online.state_dict())
            scores.append(score)

    agent.online.load_state_dict(best)
    frames: list[np.ndarray] = []
    others = Environments(name, s.episodes, seed=test_seed)
    returns, __ = others.play(greedy, frames.append)
    episodes = np.array(world.episodes)
    training = float(episodes[-100:, 1].mean())
    say(
        "\n{name}: {steps} steps, {episodes} episodes, {updates} updates",
        name=name,
        steps=world.steps,
        episodes=len(episodes),
        updates=len(mean_q),
    )
    say(
        "   {tests} agents on {choice} episodes of their own:",
        end=" ",
        tests=s.tests,
        choice=s.test_episodes,
    )
    print(", ".join(f"{score:.0f}" for score in scores))
    say(
        "   the best of them on {episodes} others: {mean:.1f}",
        end="",
        episodes=s.episodes,
        mean=returns.mean(),
    )
    print(f" ± {returns.std():.1f}")
    say(
        "   the last 100 episodes of training, ε = {greed}: {training:.1f}",
        greed=s.epsilon,
        training=training,
    )
    expected = float(q_values(frames[0][None]).numpy().max())
    came = discounted(float(returns[0]), s.gamma)
    say(
        "   one episode: Q is {expected:.1f} at its beginning; what came "
        "was {total:g}, discounted {came:.1f}",
        expected=expected,
        total=float(returns[0]),
        came=came,
    )
    show(experiment, name, mean_q, episodes, frames)
    return {
        "test": float(returns.mean()),
        "spread": float(returns.std()),
        "training": training,
        "scores": scores,
        "episodes": len(episodes),
        "expected": expected,
        "came": came,
    }


def discounted(total: float, gamma: float) -> float:
    """Return the discounted return of an episode whose steps are worth 1, or −1, each.

    So the return says how many steps they were.
    """
    return float(np.sign(total) * (1 - gamma ** round(abs(total))) / (1 - gamma))


def show(
    experiment: Experiment,
    name: str,
    mean_q: list[float],
    episodes: np.ndarray,
    frames: list[np.ndarray],
) -> None:
    """Draw the learning curves, and the first test episode as a film."""
    experiment.draw(
        f"{name}-returns",
        viz.scenes.returns,
        episodes,
        title=f"{name}: the return of the episodes",
    )
    experiment.draw(
        f"{name}-q-values",
        viz.gallery.lines,
        {"Q(s, a)": mean_q[:: max(1, len(mean_q) // 2000)]},
        title=_("{name}: the mean worth of a batch", name=name),
        across=_("step of learning, thinned out"),
        up="Q",
        log=False,
    )
    experiment.film(
        name,
        viz.scenes.SCENES[name],
        frames[:: 25 if experiment.quick else 1 + len(frames) // 100],
        title=_("{name}: an episode", name=name),
        seconds=0.05,
    )


def run(experiment: Experiment) -> dict[str, Any]:
    """Train and test an agent in both environments.

    Args:
        experiment: the seed of weights, environments and exploration.
    """
    experiment.package("gymnasium", "chainrule[rl]")
    s = QUICK if experiment.quick else Settings()
    say("ℒ = mean of (r + γ maxₐ′ Q(s′, a′; θ⁻) − Q(s, a; θ))²")
    return {name: train(experiment, name, s) for name in NAMES}


if __name__ == "__main__":
    run(Experiment("dqn"))
