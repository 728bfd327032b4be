"""Classes of students who work with NumPy alone: some slip once, some only round.

Every file is written as a student writes it: a form of the class filled in by hand, to
so many significant digits or decimals, with rounded numbers carried on.
"""

from __future__ import annotations

import tomllib
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.book.classroom import ClassReport
from chainrule.book.classroom.slips import kinds_of
from tests.book.marking.student import KINDS, Student, Task, named, rounded

#: Slips that are no slip of a formula.
RIGHT, COPIED = "rounding alone", "copied wrong"
#: Networks, losses and numbers of samples of classes.
CLASSES = [
    ("2-2sigmoid-1sigmoid", "half_squared", 1),
    ("2-2tanh-2sigmoid", "mse", 2),
    ("3-2relu-2softmax", "cross_entropy", 1),
    ("2-3sigmoid-3softmax", "cross_entropy", 3),
    ("2-2sigmoid-1sigmoid", "binary_cross_entropy", 2),
    ("3-3tanh-3sigmoid-2", "half_squared", 1),
]


@dataclass
class Planted:
    """What was planted in one student's file."""

    number: int
    slip: str
    key: str


@dataclass
class Tally:
    """What the marking said of planted slips, by slip.

    Attributes:
        planted: how often each was.
        named: how often it is among the slips that the report names.
        alone: how often the report names no other one.
        missed: those that were not named, in words.
    """

    planted: Counter[str] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)


def task_of(form: Path) -> Task:
    """The exercise of a form, as a student reads it."""
    given = tomllib.loads(form.read_text("utf-8"))
    parts = given["network"].split("-")
    sizes = [int("".join(c for c in part if c.isdigit())) for part in parts]
    names = ["".join(c for c in part if not c.isdigit()) for part in parts[1:]]
    many = given.get("samples") == "columns"
    x, y = np.array(given["x"], float), np.array(given["y"], float)
    x = x.T if many else x[None]
    if given["loss"] == "cross_entropy":
        y = np.eye(sizes[-1])[np.atleast_1d(np.array(given["y"], int))]
    else:
        y = y.T if many else y[None]
    parameters = {k: np.array(v, float) for k, v in given["weights"].items()}
    return Task(sizes, names, given["loss"], parameters, x, y, given["lr"])


def possible(
    task: Task, digits: int | None, places: list[tuple[str, str]]
) -> Iterator[Student]:
    """The students of slips, of those that change a rounded number visibly."""
    right = Student(task, digits=digits).answers
    for key, slip in places:
        made = Student(task, slip, key, digits)
        if made.done and _differs(made.answers[key], right[key]):
            yield made


def places_of(task: Task) -> list[tuple[str, str]]:
    """Every slip with every quantity in which it may be made."""
    places: list[tuple[str, str]] = []
    for kind, slips in KINDS.items():
        layers = [""] if kind == "loss" else map(str, range(1, task.depth + 1))
        places += [(f"{kind}{layer}", slip) for layer in layers for slip in slips]
    return places


def _differs(a: Any, b: Any) -> bool:
    if np.shape(a) != np.shape(b):
        return True
    if not np.isfinite(a).all():
        return False
    return bool(np.abs(a - b).max() > 0.02 * max(np.abs(b).max(), 1e-3))


def hand_in(folder: Path, rng: np.random.Generator) -> list[Planted]:
    """Fill in the forms of a class; every seventh student only rounds.

    Slips are dealt out so that each kind comes up as often as the others.
    """
    planted: list[Planted] = []
    queue: dict[str, int] = {}
    for number, form in enumerate(sorted((folder / "forms").glob("*.toml")), 1):
        digits = (None, 3, 4, 4, 5)[int(rng.integers(5))]
        task = task_of(form)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            places = [places_of(task)[i] for i in rng.permutation(len(places_of(task)))]
            places.sort(key=lambda place: queue.get(place[1], 0))
            chosen = next(possible(task, digits, places))
        slip, key = chosen.slip, chosen.key
        answers = dict(chosen.answers)
        if number % 7 == 0:
            slip, key = RIGHT, ""
            digits = (None, 3, 4, 5, -3, -4)[int(rng.integers(6))]
            answers = Student(task, digits=digits).answers
        elif number % 7 == 3:
            slip, key, answers = COPIED, *_copied(Student(task, digits=digits), rng)
        queue[slip] = queue.get(slip, 0) + 1
        answers = {k: v for k, v in answers.items() if np.isfinite(v).all()}
        write(form, folder / "answers" / form.name, answers, digits)
        planted.append(Planted(number, slip, key))
    return planted


def _copied(student: Student, rng: np.random.Generator) -> tuple[str, dict[str, Any]]:
    """Answers with a digit misread in one that later ones are worked out from."""
    key = ("a1", "delta2", "dW1")[int(rng.integers(3))]
    wrong = np.array(student.answers[key], float)
    flat = wrong.reshape(-1)
    at = int(np.argmax(np.abs(flat)))
    flat[at] *= 1.37 if rng.integers(2) else 10
    return key, student.answers | {key: rounded(wrong, 4)}


def write(form: Path, path: Path, answers: dict[str, Any], digits: int | None) -> None:
    """Write answers into a form, a column a sample, in place of its blanks."""
    text = form.read_text("utf-8")
    head, __, blanks = text.partition("[answers]\n")
    many = 'samples = "columns"' in head
    lines: list[str] = []
    for line in blanks.splitlines():
        name = line.partition(" = ")[0]
        key = "loss" if name == "L" else name
        if key not in answers:
            lines.append(line)
            continue
        value = np.asarray(answers[key])
        if key.startswith(("z", "a", "delta")) and value.ndim == 2:
            value = value.T if many else value[0] if len(value) == 1 else value
        lines.append(f"{name} = {_toml(value, digits)}")
    path.write_text("\n".join([head + "[answers]", *lines, ""]), "utf-8")


def _toml(value: Any, digits: int | None) -> str:
    if np.ndim(value):
        return f"[{', '.join(_toml(v, digits) for v in value)}]"
    number = float(value)
    if digits is not None and digits < 0:
        return f"{number:.{-digits}f}"
    return f"{number:#.{digits or 8}g}" if number else "0"


def tally(report: ClassReport, planted: list[Planted], total: Tally) -> None:
    """Compare what a class's report says with what was planted."""
    for each in planted:
        m = report.students[each.number - 1]
        assert m.report is not None, m.notes()
        wrong = [mark for mark in m.marks.values() if mark.status == "wrong"]
        mark = m.marks.get(each.key)
        kinds = kinds_of(mark) if mark is not None else []
        if each.slip == RIGHT:
            found = alone = m.points == len(m.questions)
        elif each.slip == COPIED:
            found = wrong == [mark] and "copied" in wrong[0].remarks
            alone = found and m.points == len(m.questions) - 1
        else:
            names = [slip.name for slip in mark.slips] if mark is not None else []
            found = named(each.slip) in names and m.report.first == each.key
            found = found and wrong == [mark]  # all that follows has its point
            alone = found and len(kinds) == 1
        total.planted[each.slip] += 1
        total.named[each.slip] += found
        total.alone[each.slip] += alone
        if not found:
            said = [(w.key, [s.name for s in w.slips], w.remarks) for w in wrong]
            total.missed.append(f"{each}: {said}")
