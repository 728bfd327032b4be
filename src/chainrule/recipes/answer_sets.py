"""Logic programs with exceptions: rules, their answer sets, and proofs.

    fly(X) :- bird(X), not -fly(X).          a default: birds fly unless they do not
    -fly(X) :- penguin(X).                   its exception

A set S of conclusions is an answer set of a program P if it is the least model of the
reduct Pˢ: P without the rules whose exceptions are in S, and without the exceptions of
the others (Gelfond and Lifschitz 1991). clingo searches for S; :func:`proofs` computes
the least model itself, rule by rule.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chainrule.text import tr

#: A conclusion and its object: ("fly", "robin"), ("-fly", "pingu").
Literal = tuple[str, str]


@dataclass(frozen=True)
class Rule:
    """A logic program's rule ``head(X) :- body(X), …, not unless(X)``.

    Attributes:
        head, body: the conclusion (``"fly"`` or ``"-fly"``), and its conditions.
        unless: its exception; in a default the contrary of the head.
        about: the one object; None for all.
    """

    head: str
    body: tuple[str, ...] = ()
    unless: str | None = None
    about: str | None = None

    def __str__(self) -> str:
        x = self.about or "X"
        conditions = [f"{condition}({x})" for condition in self.body]
        conditions += [f"not {self.unless}({x})"] if self.unless else []
        body = f" :- {', '.join(conditions)}" if conditions else ""
        return f"{self.head}({x}){body}."


def default(body: str, head: str) -> Rule:
    """Return a default rule: the head follows from the body unless contradicted."""
    return Rule(head, (body,), unless=contrary(head))


def contrary(head: str) -> str:
    """Return the classical negation of a predicate: of ``fly`` ``-fly``, and back."""
    return head.removeprefix("-") if head.startswith("-") else f"-{head}"


def answer_sets(rules: Sequence[Rule]) -> list[set[Literal]]:
    """Return all answer sets of a logic program, by clingo."""
    import clingo

    control, sets = clingo.Control(["0"]), []
    control.add("base", [], "\n".join(map(str, rules)))
    control.ground([("base", [])])
    with control.solve(yield_=True) as models:
        for model in models:
            texts = [str(symbol)[:-1] for symbol in model.symbols(atoms=True)]
            sets.append({(head, x) for head, x in (t.split("(") for t in texts)})
    return sorted(sets, key=sorted)


def proofs(rules: Sequence[Rule], answer: set[Literal]) -> dict[Literal, Rule]:
    """Return a logic program's conclusions, each with the rule it was derived by.

    The conditions of a rule are conclusions before it. The answer set is proved if it
    equals this model.

    >>> birds = [Rule("bird", about="robin"), default("bird", "fly")]
    >>> answer = {("bird", "robin"), ("fly", "robin")}
    >>> for conclusion, rule in proofs(birds, answer).items():
    ...     print(conclusion, "from", rule)
    ('bird', 'robin') from bird(robin).
    ('fly', 'robin') from fly(X) :- bird(X), not -fly(X).
    """
    objects = sorted({rule.about for rule in rules if rule.about})
    proved: dict[Literal, Rule] = {}
    while True:
        before = len(proved)
        for rule in rules:
            for x in [rule.about] if rule.about else objects:
                blocked = rule.unless is not None and (rule.unless, x) in answer
                follows = all((condition, x) in proved for condition in rule.body)
                if follows and not blocked:
                    proved.setdefault((rule.head, x), rule)
        if len(proved) == before:
            return proved


def reason(literal: Literal, rules: Sequence[Rule], proved: dict[Literal, Rule]) -> str:
    """Return the conditions of a logical conclusion, and its exceptions, as a text."""
    (head, x), rule = literal, proved[literal]
    text = tr("since {body}", body=", ".join(rule.body)) if rule.body else tr("a fact")
    if rule.unless is None:
        return text
    against = [r for r in rules if r.head == contrary(head) and r.about in (None, x)]
    unmet = [c for r in against for c in r.body if (c, x) not in proved]
    exceptions = ", ".join(unmet) or tr("none exists")
    return tr("{reason}; exceptions not met: {unmet}", reason=text, unmet=exceptions)


def explain(
    literals: Iterable[Literal], rules: Sequence[Rule], proved: dict[Literal, Rule]
) -> None:
    """Print a logic program's conclusions with their reasons."""
    for literal in literals:
        begin = f"   {'{}({})'.format(*literal):27}"
        text = begin + reason(literal, rules, proved)
        print(textwrap.fill(text, 88, subsequent_indent=" " * len(begin)))
