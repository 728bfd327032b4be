"""Answer sets by brute force, proofs and reasons."""

from __future__ import annotations

import itertools

import pytest

from chainrule.recipes.answer_sets import Rule, answer_sets, default, proofs, reason

from .runs import need

need("clingo")


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
    literals = sorted({head for head, _, _ in grounded})
    found = []
    for size in range(len(literals) + 1):
        for chosen in map(set, itertools.combinations(literals, size)):
            if any(f"-{literal}" in chosen for literal in chosen):
                continue
            reduct = [(h, b) for h, b, unless in grounded if not chosen & {*unless}]
            least: set[str] = set()
            for _ in grounded:
                least |= {h for h, b in reduct if least >= {*b}}
            if least == chosen:
                found.append({tuple(literal.split()) for literal in chosen})
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
    assert answer_sets(program) == stable(program)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_proof_rests_on_what_stands_above_it(name: str) -> None:
    program = PROGRAMS[name]
    for answer in answer_sets(program):
        proved = proofs(program, answer)
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
    assert proofs(program, {("p", "a"), ("q", "a")}) == {}


def test_rules_as_text() -> None:
    assert str(default("bird", "fly")) == "fly(X) :- bird(X), not -fly(X)."
    assert str(default("ant", "-fly")) == "-fly(X) :- ant(X), not fly(X)."
    assert str(Rule("bird", about="robin")) == "bird(robin)."


def test_reasons() -> None:
    program = PROGRAMS["exception"]
    (answer,) = answer_sets(program)
    proved = proofs(program, answer)
    texts = {literal: reason(literal, program, proved) for literal in proved}
    assert texts["bird", "a"] == "a fact"
    assert texts["fly", "a"] == "since bird; exceptions not met: penguin"
    assert texts["-fly", "b"] == "since penguin"
    last = reason(("fly", "a"), PROGRAMS["chain"], proved)
    assert last.endswith("none exists")
