"""An exercise for other systems: a notebook of nbgrader, a file of tests for pytest.

Both have the exercise in what the teacher keeps, and mark by :func:`graded`: with
credit for what follows from an earlier wrong answer, and the slip of a wrong one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from chainrule.book.classroom.collecting import Collected
from chainrule.book.classroom.report import Marked
from chainrule.book.classroom.submission import Student, Submission, readable
from chainrule.book.marking.worksheet import Worksheet
from chainrule.book.work import read_exercise
from chainrule.data.files import checked_path, opened
from chainrule.errors import ChainruleError
from chainrule.explanation import latex
from chainrule.explanation.parts import Heading
from chainrule.runs import toml
from chainrule.text import _, tr
from chainrule.text.languages import language

#: nbgrader's version of the metadata of its cells, and the format of the notebook.
SCHEMA, FORMAT = 3, (4, 5)


def graded(
    task: str,
    answers: Mapping[str, Any] | str | PathLike[str],
    *,
    lang: str | None = None,
) -> Marked:
    """Mark one student's answers to an exercise; return the marks.

    Args:
        task: the exercise as a form, in TOML: what is asked is what is blank in it.
        answers: numbers by name, such as ``globals()`` of a notebook: other names in it
            do not count. Or the path of a form that was filled in; the exercise that it
            states does not count.
        lang: ``"en"`` or ``"zh-TW"``; by default that of the locale.

    Raises:
        DataError, RunFileError: a task that cannot be read, or no such file.

    >>> from chainrule.book.marking.worksheet import worksheet
    >>> sheet = worksheet("1-1", seed=1)
    >>> marks = graded(sheet.to_toml(), {"z1": sheet.values("z1"), "a1": "half"})
    >>> marks.points, len(marks.questions), marks.status("a1")
    (1, 8, 'blank')
    """
    with language(lang):
        exercise = read_exercise(task, "task.toml")
        student = Student(1, "", "", 0, exercise)
        questions = tuple(map(exercise.key_of, exercise.document.get("answers", {})))
        made = Marked(student, questions)
        try:
            if isinstance(answers, Mapping):
                asked = {key: answers[key] for key in questions if key in answers}
                known, problems = readable(asked, exercise)
            else:
                known, problems = _file(Path(answers)).answers(exercise)
            made = made.but(problems=tuple(problems))
            return made.but(report=exercise.marked(known)) if known else made
        except ChainruleError as error:
            return made.but(error=error)


def _file(path: Path) -> Submission:
    fix = _("fill in the form that was written with the task")
    what = _("file of answers")
    with opened(checked_path(path, what), _("a form in TOML"), fix) as file:
        content = file.read(toml.BYTES_AT_MOST)
    submission = Submission.of(Collected(path.name, content))
    if submission.error is not None:
        raise submission.error
    return submission


# -- nbgrader --------------------------------------------------------------------------


def to_nbgrader(sheet: Worksheet) -> str:
    """Return an exercise as a notebook of nbgrader, with solutions and hidden tests.

    Each answer is a cell with its solution; one cell marks them all, and gives a point
    each. ``nbgrader generate_assignment`` takes solutions and tests away.
    """
    with language(sheet.lang):
        head = [Heading(tr("One training step by hand")), *sheet.exercise()]
        cells = [_text("exercise", latex.markdown(head))]
        for i, (title, why, asked) in enumerate(sheet.questions(), 1):
            cells.append(_text(f"question-{i}", f"## {i}. {title}\n\n{why}"))
            for key in asked:
                values = sheet.values(key)
                if sheet.samples == 1 and values.shape[-1:] == (1,):
                    values = values.ravel()
                given = f"{key} = {values.tolist()}"
                source = f"### BEGIN SOLUTION\n{given}\n### END SOLUTION"
                cells.append(_code(f"answer-{key}", source, solution=True))
        marking = "\n".join(
            [
                "# "
                + tr("The marks: a point for each answer that is right, or follows."),
                "### BEGIN HIDDEN TESTS",
                "from chainrule.book.classroom import graded",
                "",
                f"task = {_quoted(sheet.named('').to_toml())}",
                f"marks = graded(task, globals(), lang={sheet.lang!r})",
                "print(marks.page())",
                "marks.points",
                "### END HIDDEN TESTS",
            ]
        )
        cells.append(_text("marking", "## " + tr("marks")))
        cells.append(_code("marks", marking, points=len(sheet.keys)))
    notebook = {
        "cells": cells,
        "metadata": {
            "kernelspec": {
                "display_name": "Python 3",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
        },
        "nbformat": FORMAT[0],
        "nbformat_minor": FORMAT[1],
    }
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"


def _grading(name: str, kind: str, **more: Any) -> dict[str, Any]:
    """Return the metadata of a cell as nbgrader's schema has them."""
    usual = {"grade": False, "locked": True, "solution": False, "task": False}
    rest = {"grade_id": name, "cell_type": kind, "schema_version": SCHEMA}
    return {"nbgrader": usual | rest | more}


def _text(name: str, source: str) -> dict[str, Any]:
    meta = _grading(name, "markdown")
    return {"cell_type": "markdown", "id": name, "metadata": meta, "source": source}


def _code(
    name: str, source: str, *, solution: bool = False, points: int | None = None
) -> dict[str, Any]:
    more: dict[str, Any] = {"solution": True, "locked": False} if solution else {}
    if points is not None:
        more = {"grade": True, "points": points}
    return {
        "cell_type": "code",
        "id": name,
        "metadata": _grading(name, "code", **more),
        "source": source,
        "execution_count": None,
        "outputs": [],
    }


def _quoted(text: str) -> str:
    """Return a text of TOML as a literal of Python, on lines as they are."""
    return f"'''\\\n{text.replace(chr(92), chr(92) * 2)}'''"


# -- pytest ----------------------------------------------------------------------------

_TESTS = '''\
"""{about}

{how}
"""

from pathlib import Path

import pytest

from chainrule.book.classroom import graded

ANSWERS = Path(__file__).with_name("answers.toml")
TASK = {task}


@pytest.fixture(scope="module")
def marks():
    return graded(TASK, ANSWERS, lang={lang!r})


@pytest.mark.parametrize("quantity", {questions})
def test_step(marks, quantity):
    assert marks.status(quantity) in ("right", "consequence"), marks.about(quantity)
'''


def to_pytest(sheet: Worksheet) -> str:
    """Return an exercise as a file of tests for pytest, one for each answer.

    It marks ``answers.toml`` beside it: the form of the exercise, filled in. A test
    fails with the mark of its answer, and the slip that gives it.
    """
    with language(sheet.lang):
        return _TESTS.format(
            about=tr("Tests of one training step, worked out by hand."),
            how=tr(
                "They read answers.toml beside this file, the form filled in. Right is"
                " also what follows from an earlier wrong answer."
            ),
            task=_quoted(sheet.named("").to_toml()),
            questions=json.dumps(sheet.keys),
            lang=sheet.lang,
        )
