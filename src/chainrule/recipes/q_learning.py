"""Q-learning: action values in a table, learned by trial and error (1.3).

An agent is in a state s, acts, gets a reward r and finds itself in s′. Nobody says what
would have been right. It has a table Q(s, a) of the return that it expects from there
on, and after each step moves one entry of it towards what it now knows better:

    Q(s, a) ← Q(s, a) + α [r + γ maxₐ′ Q(s′, a′) − Q(s, a)]        (Watkins 1989)

With probability ε it tries an action at random, else it takes the best one of its
table. Three environments of gymnasium, in the order in which to look at them:

    cliff          48 cells, each step costs 1, the cliff 100. The table finds the
                   shortest way, right along the edge, and falls off it while it still
                   tries things. SARSA, whose target is r + γ Q(s′, a′) with the action
                   that it is really going to take, knows that it will: it walks further
                   away from the edge (Sutton & Barto 2018, example 6.6).
    frozen lake    16 cells of ice on which one slides: of three steps one goes where it
                   should. A reward of 1 at the goal alone; holes end the episode.
    taxi           500 states: fetch a passenger, bring them to their hotel.

The three are small enough for exact returns, computed from their transition
probabilities: that of the best policy within the time limit, and that of the learned
one. Learning itself never looks at the probabilities.

    pip install 'chainrule[rl]'
    chainrule train q-learning
    python -m chainrule.recipes.q_learning
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import viz
from chainrule.recipes import Experiment, Reference
from chainrule.recipes.evaluation import dynamic_programming as dp
from chainrule.recipes.pictures import q_learning as pictures
from chainrule.text import _, ngettext, say

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
class Settings:
    """An environment of gymnasium, and the settings for learning its Q-table."""

    name: str
    shape: tuple[int, int]  # the rows and columns of its map
    arrows: str  # a character for each action
    limit: int  # steps that an episode may take
    episodes: int
    alpha: tuple[float, float]  # at the first and at the last episode
    epsilon: tuple[float, float]
    gamma: float


#: Chosen on seeds that no run uses (100 and up).
ENVIRONMENTS = {
    "cliff": Settings(
        "CliffWalking-v1", (4, 12), "↑→↓←", 1000, 1000, (0.5, 0.05), (0.1, 0.1), 1.0
    ),
    "lake": Settings(
        "FrozenLake-v1", (4, 4), "←↓→↑", 100, 6000, (0.2, 0.002), (1.0, 0.1), 0.99
    ),
    "taxi": Settings(
        "Taxi-v4", (5, 5), "↓↑→←PD", 200, 3000, (1.0, 1.0), (1.0, 0.1), 0.99
    ),
}


def learn(
    gymnasium: Any, s: Settings, seed: int, episodes: int, *, sarsa: bool = False
) -> dict[str, Any]:
    """Learn a Q-table by Q-learning or SARSA; return snapshots, and all returns."""
    environment = gymnasium.make(s.name, max_episode_steps=s.limit)
    rng = np.random.default_rng(seed)
    # Rows of a few numbers: lists are faster than arrays here.
    q = np.zeros((environment.observation_space.n, len(s.arrows))).tolist()
    snapshots = {max(1, round(episodes * share)) for share in (0.02, 0.1, 0.3, 1.0)}
    returns, tables = np.zeros(episodes), []
    for episode in range(episodes):
        state, __ = environment.reset(seed=None if episode else seed)
        progress = episode / max(1, episodes - 1)
        α, ε = (a + (b - a) * progress for a, b in (s.alpha, s.epsilon))
        action, done = epsilon_greedy(q[state], ε, rng), False
        while not done:
            after, reward, terminated, truncated, __ = environment.step(action)
            chosen = epsilon_greedy(q[after], ε, rng) if sarsa else None
            next_q = q[after][chosen] if sarsa else max(q[after])
            target = reward + s.gamma * (0.0 if terminated else next_q)
            q[state][action] += α * (target - q[state][action])
            # The table has changed: Q-learning chooses by what it says now.
            action = chosen if sarsa else epsilon_greedy(q[after], ε, rng)
            state, done = after, terminated or truncated
            returns[episode] += reward
        if episode + 1 in snapshots:
            tables.append(np.array(q))
    environment.close()
    return {"episodes": sorted(snapshots), "tables": tables, "returns": returns}


def epsilon_greedy(q: list[float], ε: float, rng: np.random.Generator) -> int:
    """Return the ε-greedy action: the best or, with probability ε, any."""
    if rng.random() < ε:
        return int(rng.integers(len(q)))
    return q.index(max(q))


def study(experiment: Experiment, gymnasium: Any, key: str) -> dict[str, Any]:
    """Learn an environment's Q-table with each seed; evaluate and draw the tables."""
    s = ENVIRONMENTS[key]
    model = dp.transition_model(gymnasium.make(s.name))
    optimum = dp.optimal_return(model, s.limit)
    episodes = s.episodes // 3 if experiment.quick else s.episodes
    say(
        "\n{name}: {states}, {actions}, {episodes}",
        name=s.name,
        states=ngettext("{n} state", "{n} states", n=len(model.rewards)),
        actions=ngettext("{n} action", "{n} actions", n=len(s.arrows)),
        episodes=ngettext("{n} episode", "{n} episodes", n=episodes),
    )
    say("   the best of all policies by value iteration   {best:9.4f}", best=optimum)
    runs = {}
    for i in range(1 if experiment.quick else SEEDS):
        seed = int(np.random.SeedSequence([experiment.seed, i]).generate_state(1)[0])
        run = experiment.cached(f"{key}-{i}", learn, gymnasium, s, seed, episodes)
        runs[f"Q-learning {i + 1}"] = run
    if key == "cliff":
        options = {"seed": experiment.seed, "episodes": episodes, "sarsa": True}
        runs["SARSA"] = experiment.cached("cliff-sarsa", learn, gymnasium, s, **options)
    curves, returns, width = {}, {}, max(10, episodes // 20)
    for name, run in runs.items():
        policy = np.argmax(run["tables"][-1], axis=1)
        returns[name] = dp.policy_return(model, policy, s.limit)
        average = np.convolve(run["returns"], np.ones(width) / width, "valid")
        curves[name] = np.arange(width, episodes + 1), average
        say(
            "   greedy policy of {name:12}{exact:26.4f}   while learning {last:.2f}",
            name=name,
            exact=returns[name],
            last=np.mean(run["returns"][-100:]),
        )
        if name in ("Q-learning 1", "SARSA"):
            print(pictures.policy_map(run["tables"][-1], s.shape, s.arrows))
    experiment.draw(
        f"{key}-table",
        pictures.draw_tables,
        runs["Q-learning 1"]["tables"],
        titles=[
            ngettext("{n} episode", "{n} episodes", n=n)
            for n in runs["Q-learning 1"]["episodes"]
        ],
        shape=s.shape,
        arrows=s.arrows,
        title=_("{name}: maxₐ Q and the best action, as the table fills", name=s.name),
        size=(11.0, 2.7 if s.shape[0] == s.shape[1] else 4.6),
    )
    experiment.draw(
        f"{key}-returns",
        viz.gallery.lines,
        curves,
        title=ngettext(
            "{name}: mean return of {n} episode",
            "{name}: mean return of {n} episodes",
            n=width,
            name=s.name,
        ),
        across=_("episode"),
        up=_("return"),
        log=False,
    )
    worst = min(exact for name, exact in returns.items() if name != "SARSA")
    return {
        "optimum": optimum,
        "episodes": episodes,
        "returns": returns,
        "worst": worst,
    }


def run(experiment: Experiment) -> dict[str, Any]:
    """Learn three environments' Q-tables, and compare with exact returns."""
    gymnasium = experiment.package("gymnasium", "chainrule[rl]")
    print("Q(s, a) ← Q(s, a) + α [r + γ maxₐ′ Q(s′, a′) − Q(s, a)]")
    return {key: study(experiment, gymnasium, key) for key in ENVIRONMENTS}


if __name__ == "__main__":
    run(Experiment("q-learning"))
