"""Exercises for nbgrader and for pytest: both mark by what the teacher keeps."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chainrule.book.classroom import graded, to_nbgrader, to_pytest
from chainrule.book.marking.worksheet import worksheet

SHEETS = [
    ("2-2sigmoid-1sigmoid", "half_squared", 1),
    ("3-2relu-2softmax", "cross_entropy", 2),
    ("1-1", "mse", 1),
]


def cells(spec: str, loss: str, samples: int, lang: str = "en") -> list[Any]:
    sheet = worksheet(spec, loss, samples=samples, seed=5, lang=lang)
    return json.loads(to_nbgrader(sheet))["cells"]


def run(cell: Any, names: dict[str, Any]) -> tuple[Any, str]:
    """Run a cell as a notebook does; return its last value, and what it prints."""
    tree = ast.parse(cell["source"])
    last = tree.body.pop()
    assert isinstance(last, ast.Expr)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(tree, "cell", "exec"), names)
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    return value, said.getvalue()


@pytest.mark.parametrize(("spec", "loss", "samples"), SHEETS)
def test_a_notebook_with_its_solutions_has_all_points(
    spec: str, loss: str, samples: int
) -> None:
    made, names = cells(spec, loss, samples), dict[str, Any]()
    solutions = [c for c in made if c["metadata"]["nbgrader"]["solution"]]
    for cell in solutions:
        exec(cell["source"], names)
    *__, marks = made
    points, said = run(marks, names)
    assert points == marks["metadata"]["nbgrader"]["points"] == len(solutions)
    assert f"{points} of {points} points" in said


def test_the_marks_name_the_slip_and_credit_what_follows() -> None:
    made, names = cells(*SHEETS[0]), dict[str, Any]()
    for cell in made:
        if cell["metadata"]["nbgrader"]["solution"]:
            exec(cell["source"], names)
    names["loss"] = -names["loss"]
    names["x"] = names["weights"] = "what a student calls so is nobody's business"
    del names["db1"]
    names["dW1"] = "many"
    points, said = run(made[-1], names)
    assert points == 12
    assert "the sign of ℒ is wrong" in said
    assert "dW1 must be numbers" in said
    assert run(made[-1], {})[0] == 0  # nothing filled in


def test_cells_are_as_the_schema_of_nbgrader_says() -> None:
    made = cells(*SHEETS[1])
    names = [cell["metadata"]["nbgrader"]["grade_id"] for cell in made]
    assert len(set(names)) == len(names)
    for cell in made:
        meta = cell["metadata"]["nbgrader"]
        assert set(meta) - {"points"} == {
            *("grade", "locked", "solution", "task"),
            *("grade_id", "cell_type", "schema_version"),
        }
        assert meta["cell_type"] == cell["cell_type"]
        assert ("points" in meta) == meta["grade"]
        assert meta["locked"] != meta["solution"]
        text = cell["source"]
        assert text.count("### BEGIN") == text.count("### END")
        assert ("### BEGIN SOLUTION" in text) == meta["solution"]
        assert ("### BEGIN HIDDEN TESTS" in text) == meta["grade"]


def test_what_students_get_has_no_answer() -> None:
    sheet = worksheet(*SHEETS[0][:2], seed=5)
    answer = f"{sheet.values('loss'):.4g}".lstrip("0")
    tests = to_pytest(sheet)
    assert answer not in tests
    for cell in cells(*SHEETS[0]):
        if not cell["metadata"]["nbgrader"]["solution"]:
            assert answer not in cell["source"]


@pytest.mark.slow
@pytest.mark.parity
def test_nbgrader_itself(tmp_path: Path) -> None:
    """It makes the students' notebook, and gives 15, 14 and 13 points."""
    pytest.importorskip("nbgrader", reason="needs nbgrader: pip install it")
    source = tmp_path / "source" / "step" / "step.ipynb"
    source.parent.mkdir(parents=True)
    sheet = worksheet("2-2sigmoid-1sigmoid")
    source.write_text(to_nbgrader(sheet), "utf-8")

    # It calls alembic, which lies beside the Python that has both.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

    def nbgrader(*arguments: str) -> None:
        code = "from nbgrader.apps.nbgraderapp import main; main()"
        made = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"HOME": str(tmp_path), "PATH": path},
        )
        assert made.returncode == 0, made.stderr[-2000:]

    nbgrader("generate_assignment", "step", "--create")
    release = tmp_path / "release" / "step" / "step.ipynb"
    text = release.read_text("utf-8")
    assert "NotImplementedError" in text
    assert "graded" not in text
    solutions = {
        cell["metadata"]["nbgrader"]["grade_id"]: cell["source"]
        for cell in json.loads(source.read_text("utf-8"))["cells"]
    }
    wrong = {
        "ada": {},
        "bob": {"answer-delta1": "delta1 = [9, 9]"},
        "eve": {"answer-z1": "z1 = 'x'", "answer-b2": "", "marks": "15"},
    }
    for student, changes in wrong.items():
        notebook = json.loads(text)
        for cell in notebook["cells"]:
            name = cell["metadata"]["nbgrader"]["grade_id"]
            if name.startswith("answer-"):
                cell["source"] = "".join(solutions[name])
            cell["source"] = changes.get(name, cell["source"])
        place = tmp_path / "submitted" / student / "step" / "step.ipynb"
        place.parent.mkdir(parents=True)
        place.write_text(json.dumps(notebook), "utf-8")
    nbgrader("autograde", "step", "--create")
    import sqlite3

    with contextlib.closing(sqlite3.connect(tmp_path / "gradebook.db")) as book:
        found = dict(
            book.execute(
                "select student_id, sum(auto_score) from grade g"
                " join submitted_notebook n on g.notebook_id = n.id"
                " join submitted_assignment a on n.assignment_id = a.id"
                " group by student_id"
            )
        )
    assert found == {"ada": 15, "bob": 14, "eve": 13}


# -- pytest ----------------------------------------------------------------------------


def outcome(folder: Path) -> tuple[int, str]:
    made = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env=os.environ | {"PYTHONUTF8": "1", "PYTEST_ADDOPTS": ""},
    )
    return made.returncode, made.stdout


def test_tests_for_pytest(tmp_path: Path) -> None:
    sheet = worksheet("2-2sigmoid-1sigmoid", seed=5)
    (tmp_path / "test_step.py").write_text(to_pytest(sheet), "utf-8")
    text = sheet.solved().to_toml()
    row = next(line for line in text.splitlines() if line.startswith("L ="))
    answers = tmp_path / "answers.toml"
    answers.write_text(text.replace(row, row.replace("= ", "= -")), "utf-8")
    code, said = outcome(tmp_path)
    assert code == 1
    assert "1 failed, 14 passed" in said
    assert "the sign of ℒ is wrong" in said
    # The exercise of the file of answers is not asked.
    answers.write_text(text.replace("lr = ", "lr = 7"), "utf-8")
    assert outcome(tmp_path)[0] == 0


def test_answers_that_cannot_be_read_have_no_points(tmp_path: Path) -> None:
    task = worksheet("1-1").to_toml()
    path = tmp_path / "answers.toml"
    path.write_text("z1 = [", "utf-8")
    marks = graded(task, path)
    assert marks.points == 0
    assert "answers.toml is not TOML" in marks.about("z1")
    assert graded(task, {}).points == 0
