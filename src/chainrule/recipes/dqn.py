"""Deep Q-learning (DQN): a Q-network trained from a replay memory (1.3).

CartPole's states are four real numbers: no table holds them. A network gives the worth
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

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import errors, nn, optim, viz
from chainrule.recipes import Experiment, Reference, memory
from chainrule.text import _, say
from chainrule.training import (
    Callback,
    Environments,
    Loop,
    RunState,
    Source,
    Work,
    compile_program,
)

SUMMARY = _("deep Q-learning: replay memory, target network; CartPole and Acrobot")
REFERENCES = [
    Reference("CartPole-v1.test", at_least=488, source="CleanRL, dqn.py: 488.7 ± 16.1"),
    Reference("Acrobot-v1.test", at_least=-91.5, source="CleanRL, dqn.py: −91.5 ± 7.2"),
]


@dataclass(frozen=True)
class Settings:
    """The hyperparameters of an agent.

    Attributes:
        steps: in the environment altogether.
        room: how many of them the memory holds.
        start: steps before learning begins.
        every: steps of acting for one of learning.
        follow: steps after which the target network becomes the network.
        batch: how many memories a step of learning is made of.
        exploring: the share of the steps over which ε falls from 1 to ``greed``.
        greed: the last ε.
        discount, lr: γ and η.
        tests: how many agents are kept on the way, and compared.
        choice: the episodes that they are compared on.
        episodes: that the best one is tested in.
    """

    steps: int = 500_000
    room: int = 10_000
    start: int = 10_000
    every: int = 10
    follow: int = 500
    batch: int = 128
    exploring: float = 0.5
    greed: float = 0.05
    discount: float = 0.99
    lr: float = 2.5e-4
    tests: int = 10
    choice: int = 20
    episodes: int = 100

    @property
    def cycle(self) -> int:
        """The number of updates from one renewal of the target network to the next."""
        return self.follow // self.every + 1

    @property
    def updates(self) -> int:
        """The number of updates of the whole run."""
        return (self.steps - self.start) // self.follow * self.cycle


NAMES = ("CartPole-v1", "Acrobot-v1")
QUICK = Settings(steps=4000, start=500, follow=250, tests=2, choice=5, episodes=10)

# -- the networks ----------------------------------------------------------------------


class Agent(nn.Module):
    """The online Q-network and its copy, the target network."""

    def __init__(self, seen: int, actions: int) -> None:
        self.online, self.target = (self.network(seen, actions) for __ in range(2))
        self.target.load_state_dict(self.online.state_dict())

    @staticmethod
    def network(seen: int, actions: int) -> nn.Sequential:
        """Return a Q-network: from an observation to the value of each action."""
        return nn.Sequential(
            *(nn.Linear(seen, 120), nn.ReLU()),
            *(nn.Linear(120, 84), nn.ReLU()),
            nn.Linear(84, actions),
        )


def compiled(
    agent: Agent, seen: int, actions: int, how: Settings, **engine: Any
) -> Any:
    """Compile acting, learning and renewal of the target network as one program."""
    adam = optim.Adam(agent.online.parameters(), lr=how.lr)

    def act(seen: cr.Tensor) -> Any:
        worth = agent.online(seen)
        return {"action": worth.argmax(1), "worth": worth.amax(1)}

    def learn(rows: cr.Tensor) -> Any:
        before, after = rows[:, :seen], rows[:, seen : 2 * seen]
        action, reward, ended = (rows[:, 2 * seen + i] for i in range(3))
        later = agent.target(after).amax(1).detach()
        target = reward + how.discount * (1 - ended) * later
        chosen = nn.functional.one_hot(action.astype("int32"), actions)
        worth = (agent.online(before) * chosen).sum(1)
        loss = ((target - worth) ** 2).mean()
        agent.zero_grad()
        loss.backward()
        adam.step()
        return {"loss": loss, "worth": worth.mean()}

    def follow() -> Any:
        pairs = zip(agent.target.parameters(), agent.online.parameters())
        for theirs, mine in pairs:
            theirs.copy_(mine)
        return {"renewed": cr.ones(1).sum()}

    functions = {"act": act, "learn": learn, "follow": follow}
    types = {"seen": f"f32[N,{seen}]", "rows": f"f32[{how.batch},{2 * seen + 3}]"}
    return compile_program(functions, types, model=agent, optimizers=[adam], **engine)


# -- acting and remembering ------------------------------------------------------------


class Experience(Source):
    """A source of batches from a replay memory that acts in an environment.

    A memory is a row: what was seen before and after, the action, the reward, and
    whether the episode ended there. An episode that was cut short did not end.
    """

    def __init__(self, name: str, actions: int, how: Settings, seed: int) -> None:
        self.world, self.actions, self.how = Environments(name, seed=seed), actions, how
        self.dice = np.random.default_rng([seed, 1])
        self.seen = self.world.seen.shape[1]
        self.memory = room(how.room, 2 * self.seen + 3)
        self.program: Any = None

    def bind(self, program: Any) -> None:
        """Set the program that chooses actions."""
        self.program = program

    def take(self, state: RunState, most: int) -> Work | None:
        """Act, then return a batch for an update or renew the target network."""
        how = self.how
        last = (state.updates + 1) % (how.updates // how.tests) == 0
        if state.updates % how.cycle == how.cycle - 1:
            return Work({}, entry="follow", last=last)
        self.act(how.every if state.updates else how.start + how.every)
        held = min(self.world.steps, how.room)
        rows = self.memory[self.dice.integers(held, size=how.batch)]
        return Work({"rows": rows}, last=last)

    def act(self, steps: int) -> None:
        """Act in the environment, with the best action or, with probability ε, any."""
        world, seen, room = self.world, self.seen, self.how.room
        explore = self.dice.random(steps)
        tries = self.dice.integers(self.actions, size=steps)
        greed = epsilon(world.steps + np.arange(steps), self.how)
        blind = (explore < greed).tolist()
        for i in range(steps):
            before = world.seen
            if blind[i]:
                action = tries[i : i + 1]
            else:
                action = self.program.run("act", {"seen": before})["action"]
            row = self.memory[world.steps % room]
            moved = world.step(action)
            row[:seen], row[seen : 2 * seen] = before[0], moved.after[0]
            row[2 * seen :] = action[0], moved.rewards[0], moved.terminated[0]

    def state(self) -> dict[str, Any]:
        """Return the state of the environment, the memory and the generator."""
        dice = self.dice.bit_generator.state
        return {"world": self.world.state(), "memory": self.memory, "dice": dice}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the state of the environment, the memory and the generator."""
        self.world.load_state(state["world"])
        self.memory, self.dice.bit_generator.state = state["memory"], state["dice"]


def epsilon(step: Any, how: Settings) -> Any:
    """Return ε at a step: linear decay from 1, then constant."""
    slope = (how.greed - 1) / (how.exploring * how.steps)
    return np.maximum(1 + slope * step, how.greed)


def room(rows: int, width: int) -> np.ndarray:
    """Return an empty replay memory of ``rows`` steps, if the machine has enough RAM.

    Raises:
        ArgumentError: it has not, with the copies that outlive a kill.
    """
    need, have = 4 * 4 * rows * width, memory()
    if need > have:
        raise errors.ArgumentError(
            _("A memory of {rows} steps does not fit this machine.", rows=rows),
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
            fix=_("a smaller Settings.room"),
        )
    return np.zeros((rows, width), np.float32)


class Best(Callback):
    """A callback that tests the agent after each epoch and stores the best weights."""

    def __init__(self, agent: Agent, tests: Environments) -> None:
        self.agent, self.tests = agent, tests
        self.scores: list[float] = []
        self.weights: dict[str, np.ndarray] = {}

    def on_epoch(self, trainer: Any) -> None:
        """Test the agent; its test episodes begin alike each time."""
        score = float(self.tests.play(greedy(trainer.program))[0].mean())
        if score > max(self.scores, default=-np.inf):
            self.weights = self.agent.online.state_dict()
        self.scores.append(score)

    def state(self) -> dict[str, Any]:
        """Return the scores, and the best weights."""
        return {"scores": list(self.scores), "weights": dict(self.weights)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the scores, and the best weights."""
        self.scores, self.weights = state["scores"], state["weights"]


def greedy(program: Any) -> Any:
    """Return the greedy policy, for a batch of environments."""
    return lambda seen: program.run("act", {"seen": seen})["action"]


# -- the whole -------------------------------------------------------------------------


def learn(experiment: Experiment, name: str, how: Settings) -> dict[str, Any]:
    """Train an agent in an environment, test it, and draw its results."""
    seeds = np.random.SeedSequence([experiment.seed, NAMES.index(name)]).generate_state(
        4
    )
    gymnasium = experiment.package("gymnasium", "chainrule[rl]")
    actions = int(gymnasium.make(name).action_space.n)
    source = Experience(name, actions, how, int(seeds[0]))
    cr.manual_seed(int(seeds[1]))
    agent = Agent(source.seen, actions)
    program = compiled(agent, source.seen, actions, how, **experiment.engine_options)
    best = Best(agent, Environments(name, how.choice, seed=int(seeds[2])))
    loop = Loop(program, "learn", source, observers=[best])
    loop = experiment.loop(name, loop, epochs=how.tests)

    episodes = np.array(source.world.episodes)
    training = float(episodes[-100:, 1].mean())
    agent.online.load_state_dict(best.weights)
    frames: list[np.ndarray] = []
    others = Environments(name, how.episodes, seed=int(seeds[3]))
    returns, __ = others.play(greedy(program), frames.append)
    say(
        "\n{name}: {steps} steps, {episodes} episodes, {updates} updates",
        name=name,
        steps=source.world.steps,
        episodes=len(episodes),
        updates=loop.state.updates,
    )
    say(
        "   {tests} agents on {choice} episodes of their own:",
        end=" ",
        tests=how.tests,
        choice=how.choice,
    )
    print(", ".join(f"{score:.0f}" for score in best.scores))
    say(
        "   the best of them on {episodes} others: {mean:.1f}",
        end="",
        episodes=how.episodes,
        mean=returns.mean(),
    )
    print(f" ± {returns.std():.1f}")
    say(
        "   the last 100 episodes of training, ε = {greed}: {training:.1f}",
        greed=how.greed,
        training=training,
    )
    found = calibration(program, frames, float(returns[0]), how)
    show(experiment, name, loop, source, episodes, frames)
    return {
        "test": float(returns.mean()),
        "spread": float(returns.std()),
        "training": training,
        "scores": best.scores,
        "episodes": len(episodes),
        **found,
    }


def calibration(
    program: Any, frames: list[np.ndarray], total: float, how: Settings
) -> dict[str, float]:
    """Compare the expected return at an episode's start with the actual return.

    Every step but the goal's is worth 1, or −1: so the return says how many they were.
    """
    steps = round(abs(total))
    came = np.sign(total) * (1 - how.discount**steps) / (1 - how.discount)
    expected = float(program.run("act", {"seen": frames[0][None]})["worth"][0])
    say(
        "   one episode: Q is {expected:.1f} at its beginning; what came "
        "was {total:g}, discounted {came:.1f}",
        expected=expected,
        total=total,
        came=came,
    )
    return {"expected": expected, "came": float(came)}


def show(
    experiment: Experiment,
    name: str,
    loop: Loop,
    source: Experience,
    episodes: np.ndarray,
    frames: list[np.ndarray],
) -> None:
    """Draw the learning curves, and the first test episode as a film."""
    what = f"{name}: the return of the episodes"
    experiment.draw(f"{name}-returns", viz.scenes.returns, episodes, title=what)
    worth = loop.history.steps_of("learn")["worth"]
    experiment.draw(
        f"{name}-worth",
        viz.gallery.lines,
        {"Q(s, a)": worth[:: max(1, len(worth) // 2000)]},
        title=_("{name}: the mean worth of a batch", name=name),
        across=_("step of learning, thinned out"),
        up="Q",
        log=False,
    )
    scene = viz.scenes.SCENES[name]
    shots = frames[:: 25 if experiment.quick else 1 + len(frames) // 100]
    experiment.film(
        name, scene, shots, title=_("{name}: an episode", name=name), seconds=0.05
    )


def run(experiment: Experiment) -> dict[str, Any]:
    """Train and test an agent in both environments.

    Args:
        experiment: the seed is that of weights, environments and exploration.
    """
    experiment.package("gymnasium", "chainrule[rl]")
    how = QUICK if experiment.quick else Settings()
    say("ℒ = mean of (r + γ maxₐ′ Q(s′, a′; θ⁻) − Q(s, a; θ))²")
    return {name: learn(experiment, name, how) for name in NAMES}


if __name__ == "__main__":
    run(Experiment("dqn"))
