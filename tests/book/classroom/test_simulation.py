"""Whole classes with planted slips: each is named, and rounding is never wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chainrule.book.classroom import classroom, mark_class
from chainrule.book.classroom.slips import general
from tests.book.classroom.simulated import CLASSES, RIGHT, Tally, hand_in, tally

#: How many students a class has.
MANY = 30


def simulated(folder: Path, which: int, seed: int, total: Tally) -> None:
    spec, loss, samples = CLASSES[which]
    names = [f"Student {i}" for i in range(1, MANY + 1)]
    classroom(spec, names, loss, seed=1000 * seed, samples=samples).save(folder)
    planted = hand_in(folder, np.random.default_rng(seed))
    tally(mark_class(folder), planted, total)


def test_a_class_of_thirty(tmp_path: Path) -> None:
    total = Tally()
    simulated(tmp_path / "class", 3, 0, total)
    assert total.missed == []
    assert len(total.planted) > 15
    assert total.planted[RIGHT] == 4


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("which", range(len(CLASSES)))
def test_many_classes(tmp_path: Path, which: int, seed: int) -> None:
    total = Tally()
    simulated(tmp_path / "class", which, seed, total)
    assert total.missed == []


def test_the_teacher_reads_how_many_forgot_it(tmp_path: Path) -> None:
    """Twelve of thirty forget f′ in δ⁽¹⁾, and five the bias."""
    from tests.book.classroom.simulated import task_of, write
    from tests.book.marking.student import Student

    folder = tmp_path / "class"
    names = [f"Student {i}" for i in range(1, MANY + 1)]
    classroom("2-2sigmoid-1sigmoid", names).save(folder)
    for i, form in enumerate(sorted((folder / "forms").iterdir())):
        slip, key = ("", "")
        if i < 12:
            slip, key = "slope_forgotten", "delta1"
        elif i < 17:
            slip, key = "bias_forgotten", f"z{1 + i % 2}"
        student = Student(task_of(form), slip, key, 4)
        write(form, folder / "answers" / form.name, student.answers, 4)
    report = mark_class(folder)
    said = [c.kind.sentence(len(c.students), MANY) for c in report.slips]
    assert said == ["12 of 30 forgot f′", "5 of 30 forgot b"]
    assert dict(report.slips[1].where) == {"z⁽¹⁾": 3, "z⁽²⁾": 2} or dict(
        report.slips[1].where
    ) == {"z⁽¹⁾": 2, "z⁽²⁾": 3}
    assert "12 of 30 forgot f′" in report.to_html()
    rest = [m.points for m in report.students]
    assert rest == [14] * 17 + [15] * 13  # what follows has its point


def test_kinds_of_slips_have_no_layer() -> None:
    assert general("W⁽²⁾ in place of (W⁽²⁾)ᵀ") == "W in place of Wᵀ"
    assert general("the sign of (W⁽¹²⁾)′ is wrong") == "the sign of W′ is wrong"
