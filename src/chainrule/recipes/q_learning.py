"""Q-learning: action values in a table, learned by trial and error (1.3).

An agent is in a state s, acts, gets a reward r and finds itself in s′. Nobody tells it
what would have been right. It keeps a table Q(s, a) of what it expects from there on,
and after each step moves one entry of it towards what it now knows better:

    Q(s, a) ← Q(s, a) + α [r + γ maxₐ′ Q(s′, a′) − Q(s, a)]        (Watkins 1989)

With probability ε it tries an action at random, else it takes the best one of its
table. Three worlds of gymnasium, in the order in which to look at them:

    cliff          48 cells, each step costs 1, the cliff 100. The table finds the
                   shortest way, right along the edge, and falls off it while it still
                   tries things. SARSA, whose target is r + γ Q(s′, a′) with the action
                   that it is really going to take, knows that it will: it walks further
                   away from the edge (Sutton & Barto 2018, example 6.6).
    frozen lake    16 cells of ice on which one slides: of three steps one goes where it
                   should. A reward of 1 at the goal alone; holes end the episode.
    taxi           500 states: fetch a passenger, bring them to their hotel.

The three are small enough for the truth to be computed from the worlds' own rules P:
the best that any policy can do within the time limit, by value iteration backwards from
the end, and what the learned policy does, exactly. Learning itself never looks at P.

    pip install 'chainrule[rl]'
    chainrule train q-learning
    python -m chainrule.recipes.q_learning
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import viz
from chainrule.recipes import Experiment, Reference
from chainrule.text import _, say, tr

SUMMARY = _("a table of what actions are worth, learned by trial: lake, cliff, taxi")
SEEDS = 3
SECONDS = 11
REFERENCES = [
    Reference("cliff.worst", at_least=-13, source=_("the shortest way, by hand")),
    Reference(
        "lake.worst", at_least=0.70, source=_("the threshold that gymnasium sets")
    ),
    Reference(
        "taxi.worst", at_least=7.9, source=_("value iteration on the same rules")
    ),
]


@dataclass(frozen=True)
class World:
    """An environment, with the settings for learning its table.

    Attributes:
        name: of the environment in gymnasium.
        shape: its cells, rows and columns.
        arrows: what each action is drawn as.
        limit: steps that an episode may take.
        episodes: that are played; the rate and ε fall over them.
        rate, greed: α and ε at the beginning and at the end.
        discount: γ.
    """

    name: str
    shape: tuple[int, int]
    arrows: str
    limit: int
    episodes: int
    rate: tuple[float, float]
    greed: tuple[float, float]
    discount: float


#: Chosen on seeds that no run uses (100 and up).
WORLDS = {
    "cliff": World(
        "CliffWalking-v1", (4, 12), "↑→↓←", 1000, 1000, (0.5, 0.05), (0.1, 0.1), 1.0
    ),
    "lake": World(
        "FrozenLake-v1", (4, 4), "←↓→↑", 100, 6000, (0.2, 0.002), (1.0, 0.1), 0.99
    ),
    "taxi": World("Taxi-v4", (5, 5), "↓↑→←PD", 200, 3000, (1.0, 1.0), (1.0, 0.1), 0.99),
}

# -- learning --------------------------------------------------------------------------


def learn(
    gymnasium: Any, world: World, seed: int, episodes: int, *, sarsa: bool = False
) -> dict[str, Any]:
    """Learn a table; return it at some episodes, and the return of each episode."""
    environment = gymnasium.make(world.name, max_episode_steps=world.limit)
    dice = np.random.default_rng(seed)
    actions = len(world.arrows)
    # Rows of a few numbers: lists are faster than arrays here.
    q = np.zeros((environment.observation_space.n, actions)).tolist()
    moments = sorted({max(1, round(episodes * f)) for f in (0.02, 0.1, 0.3, 1.0)})
    returns, tables = np.zeros(episodes), []
    state, __ = environment.reset(seed=seed)
    for episode in range(episodes):
        if episode:
            state, __ = environment.reset()
        done = episode / max(1, episodes - 1)
        rate, greed = (a + (b - a) * done for a, b in (world.rate, world.greed))
        action, over, total = choose(q[state], greed, dice), False, 0.0
        while not over:
            after, reward, ended, cut, __ = environment.step(action)
            if sarsa:
                chosen = choose(q[after], greed, dice)
                worth = q[after][chosen]
            else:
                worth = max(q[after])
            target = reward + world.discount * (0.0 if ended else worth)
            q[state][action] += rate * (target - q[state][action])
            # The table has changed: Q-learning chooses by what it says now.
            action = chosen if sarsa else choose(q[after], greed, dice)
            state, over, total = after, ended or cut, total + reward
        returns[episode] = total
        if episode + 1 in moments:
            tables.append(np.array(q))
    environment.close()
    return {"moments": moments, "tables": tables, "returns": returns}


def choose(worth: list[float], greed: float, dice: np.random.Generator) -> int:
    """Choose the best action or, with probability ε, any action."""
    if dice.random() < greed:
        return int(dice.integers(len(worth)))
    return worth.index(max(worth))


# -- the truth -------------------------------------------------------------------------


def rules(environment: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return P(s′ | s, a) of the environment, mean rewards, and start probabilities."""
    inner = environment.unwrapped
    states, actions = len(inner.P), len(inner.P[0])
    onward, reward = np.zeros((states, actions, states)), np.zeros((states, actions))
    for state, row in inner.P.items():
        for action, outcomes in row.items():
            for share, after, gain, ended in outcomes:
                reward[state, action] += share * gain
                onward[state, action, after] += 0.0 if ended else share
    return onward, reward, np.asarray(inner.initial_state_distrib)


def best_of_all(rule: tuple[np.ndarray, ...], limit: int) -> float:
    """Return the mean return of the optimal, time-dependent policy.

    V₀ = 0 and Vₜ₊₁(s) = maxₐ [R(s, a) + Σ P(s′ | s, a) Vₜ(s′)], t steps before the end.
    """
    onward, reward, begin = rule
    value = np.zeros(len(reward))
    for __ in range(limit):
        value = (reward + onward @ value).max(axis=1)
    return float(begin @ value)


def worth_of(rule: tuple[np.ndarray, ...], policy: np.ndarray, limit: int) -> float:
    """Return the exact mean return of a policy within the time limit."""
    onward, reward, begin = rule
    rows, value = np.arange(len(policy)), np.zeros(len(policy))
    for __ in range(limit):
        value = reward[rows, policy] + onward[rows, policy] @ value
    return float(begin @ value)


# -- drawing ---------------------------------------------------------------------------


def cells(key: str, table: np.ndarray) -> np.ndarray:
    """Return the rows of a table that are drawn, one for each cell of the map."""
    if key == "taxi":  # ((row · 5 + column) · 5 + passenger) · 4 + hotel
        return table.reshape(25, 5, 4, -1)[:, 4, 0]  # aboard, to the red hotel
    return table


def draw_tables(
    figure: Any, tables: list[np.ndarray], world: World, titles: list[str]
) -> None:
    """Draw maps of maxₐ Q in colours, with an arrow for the best action."""
    across = len(tables) if world.shape[0] == world.shape[1] else 2
    places = figure.subplots(-(-len(tables) // across), across, squeeze=False)
    for axes, table, title in zip(places.reshape(-1), tables, titles):
        known = table.any(axis=1)  # where it has been, and acted
        worth = np.where(known, table.max(axis=1), np.nan).reshape(world.shape)
        drawn = axes.imshow(worth, cmap="viridis")
        for (i, j), value in np.ndenumerate(worth):
            if np.isnan(value):
                continue
            row = table[i * world.shape[1] + j]
            colour = "white" if drawn.norm(value) < 0.6 else "black"
            arrow = world.arrows[row.argmax()]
            axes.text(j, i, arrow, ha="center", va="center", color=colour)
        axes.set_title(title)
        axes.set(xticks=[], yticks=[])
        axes.grid(visible=False)
        figure.colorbar(drawn, ax=axes, shrink=0.7)


def put_map(world: World, table: np.ndarray) -> None:
    """Print the policy as text; a dot where the table has no values."""
    for row in table.reshape(*world.shape, -1):
        signs = [world.arrows[r.argmax()] if r.any() else "·" for r in row]
        print("      " + " ".join(signs))


def smooth(returns: np.ndarray, width: int) -> np.ndarray:
    """Return the moving average over the last ``width`` episodes."""
    sums = np.cumsum(np.concatenate([[0.0], returns]))
    return (sums[width:] - sums[:-width]) / width


# -- the whole -------------------------------------------------------------------------


def world_by_world(experiment: Experiment, gymnasium: Any, key: str) -> dict[str, Any]:
    """Learn an environment with each seed, evaluate the tables, and draw them."""
    world = WORLDS[key]
    environment = gymnasium.make(world.name)
    rule = rules(environment)
    best = best_of_all(rule, world.limit)
    episodes = max(200, world.episodes // 20) if experiment.quick else world.episodes
    seeds = 1 if experiment.quick else SEEDS
    say(
        "\n{name}: {rule} states, {arrows} actions, {episodes} episodes, γ "
        "= {discount}",
        name=world.name,
        rule=len(rule[1]),
        arrows=len(world.arrows),
        episodes=episodes,
        discount=world.discount,
    )
    say("   the best of all policies by value iteration   {best:9.4f}", best=best)
    runs, found = [], []
    for i in range(seeds):
        seed = int(np.random.SeedSequence([experiment.seed, i]).generate_state(1)[0])
        run = experiment.cached(f"{key}-{i}", learn, gymnasium, world, seed, episodes)
        table = np.array(run["tables"][-1])
        found.append(worth_of(rule, table.argmax(axis=1), world.limit))
        last = float(np.mean(run["returns"][-100:]))
        say(
            "   greedy policy of table {i}, exactly{found:22.4f}   while "
            "learning {last:.2f}",
            i=i + 1,
            found=found[-1],
            last=last,
        )
        runs.append(run)
    tables = [cells(key, np.array(table)) for table in runs[0]["tables"]]
    say(
        "   table 1{key}:\n",
        key=tr(", passenger aboard, to the red hotel") * (key == "taxi"),
    )
    put_map(world, tables[-1])
    titles = [f"{n} episodes" for n in runs[0]["moments"]]
    wide = world.shape[0] != world.shape[1]
    experiment.draw(
        f"{key}-table",
        draw_tables,
        tables,
        world,
        titles,
        title=_(
            "{name}: maxₐ Q and the best action, as the table fills", name=world.name
        ),
        size=(11.0, 4.6) if wide else (11.0, 2.7),
    )
    curves = {f"table {i + 1}": run["returns"] for i, run in enumerate(runs)}
    if key == "cliff":
        other = experiment.cached(
            "cliff-sarsa",
            learn,
            gymnasium,
            world,
            experiment.seed,
            episodes,
            sarsa=True,
        )
        curves |= show_sarsa(world, rule, other, runs[0])
    draw_returns(experiment, key, curves, episodes)
    return {
        "optimum": best,
        "returns": found,
        "worst": min(found),
        "episodes": episodes,
        "learning": [float(np.mean(run["returns"][-100:])) for run in runs],
    }


def show_sarsa(
    world: World, rule: Any, other: Mapping[str, Any], mine: Mapping[str, Any]
) -> dict[str, Any]:
    """Print SARSA's policy on the cliff, and compare its return with Q-learning's."""
    table = np.array(other["tables"][-1])
    exact = worth_of(rule, table.argmax(axis=1), world.limit)
    earned, rivals = (np.mean(run["returns"][-100:]) for run in (mine, other))
    say("\n   SARSA, which learns what its own trying costs:\n")
    put_map(world, table)
    say(
        "\n   Its greedy policy returns {exact:g}; in the last 100 "
        "episodes of learning it\n   earned {rivals:.1f} each, and "
        "Q-learning {earned:.1f}.",
        exact=exact,
        rivals=rivals,
        earned=earned,
    )
    return {"SARSA": other["returns"]}


def draw_returns(
    experiment: Experiment, key: str, curves: Mapping[str, Any], episodes: int
) -> None:
    """Draw the moving average of returns over the course of learning."""
    width = max(10, episodes // 20)
    shown = {
        name: (np.arange(width, episodes + 1), smooth(np.array(returns), width))
        for name, returns in curves.items()
    }
    experiment.draw(
        f"{key}-returns",
        viz.gallery.lines,
        shown,
        title=_(
            "{name}: mean return of {width} episodes",
            name=WORLDS[key].name,
            width=width,
        ),
        across=_("episode"),
        up=_("return"),
        log=False,
    )


def run(experiment: Experiment) -> dict[str, Any]:
    """Learn three environments, and compare with exact values.

    Args:
        experiment: the seed of the worlds and of what is tried in them.
    """
    gymnasium = experiment.package("gymnasium", "chainrule[rl]")
    print("Q(s, a) ← Q(s, a) + α [r + γ maxₐ′ Q(s′, a′) − Q(s, a)]")
    return {key: world_by_world(experiment, gymnasium, key) for key in WORLDS}


if __name__ == "__main__":
    run(Experiment("q-learning"))
