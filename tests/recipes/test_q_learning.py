"""q-learning: updates replayed by hand, ε-greedy actions, maps, the quick run."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from chainrule.recipes import q_learning
from chainrule.recipes.pictures import q_learning as pictures
from chainrule.text import ngettext
from chainrule.text.languages import language
from chainrule.viz import drawing

from .runs import check, need

RECIPE = "q-learning"

need("gymnasium")
gymnasium = pytest.importorskip("gymnasium")


class Recording:
    """gymnasium, whose environments write down what happens in them."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    def make(self, name: str, **how: Any) -> Any:
        environment = gymnasium.make(name, **how)
        reset, step, rows = environment.reset, environment.step, self.rows

        def begin(**options: Any) -> Any:
            rows.append(["begin", made := reset(**options)])
            return made

        def go(action: int) -> Any:
            rows.append([action, made := step(action)])
            return made

        return SimpleNamespace(
            observation_space=environment.observation_space,
            reset=begin,
            step=go,
            close=environment.close,
        )


@pytest.mark.parametrize("sarsa", [False, True])
@pytest.mark.parametrize("key", ["cliff", "lake"])
def test_the_table_by_hand(key: str, sarsa: bool) -> None:
    """The formula, with a dictionary, from what has happened."""
    settings = replace(q_learning.ENVIRONMENTS[key], alpha=(0.5, 0.1))
    known = Recording()
    run = q_learning.learn(known, settings, 3, 50, sarsa=sarsa)
    table: dict[int, list[float]] = defaultdict(lambda: [0.0] * 4)
    episode, state, returns = -1, 0, []
    for i, (action, made) in enumerate(known.rows):
        if action == "begin":
            episode, state = episode + 1, made[0]
            returns.append(0.0)
            continue
        after, reward, ended, _, _ = made
        rate = 0.5 + (0.1 - 0.5) * episode / 49
        later = known.rows[i + 1][0] if i + 1 < len(known.rows) else "begin"
        if later == "begin":  # the action that was never taken: not known here
            later = None
        worth = max(table[after]) if not sarsa else None
        if sarsa and later is not None:
            worth = table[after][later]
        if ended:
            worth = 0.0
        if worth is None:  # cut short
            return
        row = table[state]
        row[action] += rate * (reward + settings.gamma * worth - row[action])
        state = after
        returns[-1] += reward
    assert returns == list(run["returns"])
    made = run["tables"][-1]
    assert run["episodes"][-1] == 50
    for s in range(len(made)):
        assert made[s] == pytest.approx(table[s], abs=1e-12)
    assert np.abs(made).max() > 0.01


def test_ties_and_trials() -> None:
    rng = np.random.default_rng(0)
    q = [0.0, 2.0, 1.0]
    drawn = [q_learning.epsilon_greedy(q, 0.3, rng) for _ in range(20_000)]
    shares = np.bincount(drawn, minlength=3) / 20_000
    # 0.3 / 3 each by trial; three standard deviations
    assert shares == pytest.approx([0.1, 0.8, 0.1], abs=0.0085)


def test_maps() -> None:
    """Cells in rows; of Taxi's states those with the passenger aboard, to hotel 0."""
    lake = np.zeros((16, 4))
    lake[1, 2] = lake[6, 0] = -1
    lake[6, 1:] = -2
    lines = pictures.policy_map(lake, (4, 4), "←↓→↑").split("\n")
    assert [line.split() for line in lines] == [
        ["·", "←", "·", "·"],
        ["·", "·", "←", "·"],
        ["·"] * 4,
        ["·"] * 4,
    ]
    environment = gymnasium.make("Taxi-v4").unwrapped
    taxi = np.arange(500)[:, None] * np.ones((1, 6))
    cells = pictures.cells(taxi, (5, 5))[:, 0].astype(int).tolist()
    states = [list(environment.decode(cell)) for cell in cells]
    assert states == [[row, column, 4, 0] for row in range(5) for column in range(5)]


def test_the_drawn_maps() -> None:
    pytest.importorskip("matplotlib")
    q = np.array([[0.0, 1.0], [3.0, 2.0], [0.0, 0.0], [5.0, 6.0]])
    titles = ["first", ngettext("{n} episode", "{n} episodes", n=7)]
    with drawing.figure(drawing.PAPER, 4, 3) as figure, language("zh-TW"):
        options = {"titles": titles, "shape": (2, 2), "arrows": "←→"}
        pictures.draw_tables(figure, [q * 0, q], **options)
        first, last = [axes for axes in figure.axes if axes.get_title()]
    assert last.get_title() == "7 個回合"
    assert not first.texts
    written = {text.get_position(): text.get_text() for text in last.texts}
    assert written == {(0, 0): "→", (1, 0): "←", (1, 1): "→"}
    values = np.ma.filled(last.images[0].get_array(), np.nan)
    assert np.array_equal(values, [[1, 3], [np.nan, 6]], equal_nan=True)


def test_the_quick_run(whole: dict[str, Any]) -> None:
    """Every table is near the best of all policies."""
    result = whole["result"]
    assert result["cliff"]["worst"] == result["cliff"]["optimum"] == -13
    assert result["cliff"]["returns"]["SARSA"] < -13
    assert result["lake"]["worst"] > 0.7
    assert result["taxi"]["worst"] > 6
    best = "the best of all policies by value iteration      0.7442"
    assert best in whole["text"]
    what = ("table", "returns")
    check(whole, *(f"{key}-{w}" for key in q_learning.ENVIRONMENTS for w in what))
