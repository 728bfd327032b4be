"""xor against brute force: the perceptron's cycle, the impossibility, the drawings."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule import recipes
from chainrule.recipes import Experiment, xor

ROWS = [(0, 0), (0, 1), (1, 0), (1, 1)]
LABELS = {
    "AND": [0, 0, 0, 1],
    "OR": [0, 1, 1, 1],
    "NAND": [1, 1, 1, 0],
    "XOR": [0, 1, 1, 0],
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One run with pictures; ``text`` is what it printed."""
    import contextlib
    import io

    out = tmp_path_factory.mktemp("xor") / "a new" / "directory"
    with contextlib.redirect_stdout(io.StringIO()) as text:
        told = recipes.perform(Experiment("xor", engine="numpy", out=out))
    return {"result": told["result"], "text": text.getvalue(), "out": out}


def rosenblatt(
    labels: list[int], passes: int
) -> tuple[list[Any], list[int], list[Any]]:
    """In whole numbers: weights after each pass, mistakes, weights sample by sample."""
    w1 = w2 = b = 0
    states, mistakes, each = [[0, 0, 0]], [], []
    for _ in range(passes):
        wrong = 0
        for (x1, x2), y in zip(ROWS, labels):
            error = y - (1 if w1 * x1 + w2 * x2 + b >= 0 else 0)
            wrong += error != 0
            w1, w2, b = w1 + error * x1, w2 + error * x2, b + error
            each.append([w1, w2, b])
        states.append([w1, w2, b])
        mistakes.append(wrong)
    return states, mistakes, each


@pytest.mark.one_in(2)
@pytest.mark.parametrize("name", LABELS)
def test_rosenblatts_rule_by_hand(whole: dict[str, Any], name: str) -> None:
    found = whole["result"]["perceptrons"][name]
    passes = len(found["mistakes"])
    states, mistakes, _ = rosenblatt(LABELS[name], passes)
    assert found["states"] == states
    assert found["mistakes"] == mistakes
    assert found["converged"] == (name != "XOR")
    # The first repetition, and no earlier one.
    first, last = found["repeats"]
    assert last == passes
    assert states[first] == states[last]
    assert len({tuple(s) for s in states[:-1]}) == passes
    if found["converged"]:
        w1, w2, b = states[-1]
        said = [int(w1 * x1 + w2 * x2 + b >= 0) for x1, x2 in ROWS]
        assert said == LABELS[name]


def test_the_cycle_goes_on_for_ever(whole: dict[str, Any]) -> None:
    found = whole["result"]["perceptrons"]["XOR"]
    first, last = found["repeats"]
    length = last - first
    states, mistakes, each = rosenblatt(LABELS["XOR"], 1000)
    for i in range(first, 1000 - length):
        assert states[i] == states[i + length]
    assert min(mistakes) > 0
    assert found["cycle"][0] == found["cycle"][-1] == states[first]
    assert found["cycle"][1:] == each[4 * first : 4 * last]


def test_the_table_of_passes(whole: dict[str, Any]) -> None:
    lines = whole["text"].split("then right, of 4\n")[1].split("\n\n")[0].splitlines()
    states, mistakes, _ = rosenblatt(LABELS["XOR"], len(lines) - 1)
    x = np.array([[x1, x2, 1] for x1, x2 in ROWS])
    for i, (line, s) in enumerate(zip(lines, states)):
        right = int(((x @ s >= 0) == np.array(LABELS["XOR"], bool)).sum())
        made = [mistakes[i - 1]] if i else []
        wanted = [i, *made, *s, right]
        assert [int(n) for n in line.split()] == wanted


def test_the_table_of_learned_functions(whole: dict[str, Any]) -> None:
    lines = whole["text"].split("in each pass\n")[1].split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in lines] == ["AND", "OR", "NAND"]
    for line in lines:
        name, *numbers = line.split()
        found = whole["result"]["perceptrons"][name]
        assert list(map(int, numbers)) == [*found["states"][-1], *found["mistakes"]]


def test_three_perceptrons_do_it(whole: dict[str, Any]) -> None:
    assert whole["result"]["composed"] == LABELS["XOR"]
    table = whole["text"].split("x₁ x₂   h₁ h₂   ŷ\n")[1].split("\n\n")[0]
    rows = [[int(n) for n in line.split()] for line in table.splitlines()]
    either, not_both, exclusive = (LABELS[n] for n in ("OR", "NAND", "XOR"))
    assert rows == [
        [*x, h1, h2, y] for x, h1, h2, y in zip(ROWS, either, not_both, exclusive)
    ]


def test_the_network_can(whole: dict[str, Any]) -> None:
    network = whole["result"]["network"]
    assert network["accuracy"] == 1
    shares = network["probabilities"]
    assert [round(p) for p in shares] == LABELS["XOR"]
    right = [p if y else 1 - p for p, y in zip(shares, LABELS["XOR"])]
    assert network["loss"] == pytest.approx(-np.log(right).mean(), rel=1e-4)
    assert network["loss"] < 0.01
    assert "4 of 4 right" in whole["text"]
    json.dumps(whole["result"])


def test_from_any_initial_weights() -> None:
    for seed in range(1, 5):
        model = xor.two_layers(Experiment(seed=seed, engine="numpy"))
        assert model(xor.X).numpy().argmax(1).tolist() == LABELS["XOR"]


def planes(text: str) -> list[list[str]]:
    """The drawings: lists of 13 lines of 33 characters."""
    lines = [line[8:41] for line in text.splitlines() if line[8:9] in ("▒", "·")]
    assert len(lines) == 26
    return [lines[:13], lines[13:]]


def test_the_drawn_line_of_the_perceptron(whole: dict[str, Any]) -> None:
    """Character by character, with the weights of the last pass in whole numbers."""
    (drawn, _), (w1, w2, b) = planes(whole["text"]), rosenblatt(LABELS["XOR"], 3)[0][3]
    corners = {(9, 8): "0", (3, 8): "1", (9, 24): "1", (3, 24): "0"}
    for row, line in enumerate(drawn):
        for column, seen in enumerate(line):
            # 48 times x₁ = −½ + column/16 and x₂ = 3/2 − row/6
            x1, x2 = 3 * column - 24, 72 - 8 * row
            one = w1 * x1 + w2 * x2 + 48 * b >= 0
            assert seen == corners.get((row, column), "▒" if one else "·")


def test_the_drawn_regions_of_the_network(whole: dict[str, Any]) -> None:
    _, drawn = planes(whole["text"])
    for (row, column), label in {(9, 8): 0, (3, 8): 1, (9, 24): 1, (3, 24): 0}.items():
        assert drawn[row][column] == str(label)
        around = [drawn[row + i][column + j] for i in (-1, 0, 1) for j in (-1, 1)]
        assert around == ["▒" if label else "·"] * 6


def test_the_pictures(whole: dict[str, Any]) -> None:
    for name in ("perceptron.png", "network.png"):
        file = whole["out"] / name
        assert file.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert file.stat().st_size > 5000


def test_it_works_without_matplotlib(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [m for m in sys.modules if m.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    recipes.perform(Experiment("xor", engine="numpy", out=tmp_path / "xor"))
    assert "▒" in capsys.readouterr().out
    files = {p.name for p in (tmp_path / "xor").iterdir()}
    assert files == {"recipe.json", "metrics.json", "network"}
