"""Worksheets: numbers that can be worked out by hand, and their answers."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import numpy as np
import pytest

from chainrule.book.derivation.formulas import split
from chainrule.book.marking.worksheet import worksheet
from chainrule.book.work import read_work
from chainrule.errors import ArgumentError, ParseError

SHEETS = [
    ("2-2sigmoid-1sigmoid", "half_squared"),
    ("3-2relu-2softmax", "cross_entropy"),
    ("2-3tanh-1sigmoid", "binary_cross_entropy"),
    ("2-3relu-2relu-1", "mse"),
    ("2-2leakyrelu-2", "hinge"),
    ("3-3gelu-3tanh", "half_mse"),
    ("1-1", "half_squared"),
]

#: Those of seed 1, for 2-2sigmoid-1.
WEIGHTS = {
    "W1": [[-0.1, -0.1], [0.3, 0.6]],
    "b1": [-0.5, -0.5],
    "W2": [[0.7, -0.2]],
    "b2": [0.3],
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize(("spec", "loss"), SHEETS)
def test_the_answers_are_marked_right(spec: str, loss: str, samples: int) -> None:
    for seed in range(2):
        sheet = worksheet(spec, loss, seed=seed, samples=samples, answers=True)
        report = read_work(sheet.to_toml()).marked()
        assert report.ok, report.text()
        assert len(report.marks) == len(sheet.to_json()["questions"])
        assert not any(mark.remarks for mark in report.marks)


@pytest.mark.parametrize(("spec", "loss"), SHEETS)
def test_numbers_are_friendly(spec: str, loss: str) -> None:
    for seed in range(10):
        drawn = worksheet(spec, loss, seed=seed, samples=1 + seed % 3).drawn
        for array in (drawn.x, *drawn.parameters.values()):
            assert (np.round(array, 1) == array).all()
            assert np.all((array != 0) & (np.abs(array) <= 3))
        for k in drawn.formulas.network.layers:
            z, delta = drawn.of(f"z{k}").array, drawn.of(f"delta{k}").array
            assert np.abs(z).min() >= 0.05
            assert np.abs(delta).max() >= 0.004
            name = drawn.formulas.network.activation(k)
            if name == "relu":
                assert (z > 0).any(axis=1).all()
            if name in ("sigmoid", "tanh"):
                assert np.abs(z).max() <= 2.5


def test_the_same_seed_gives_the_same_sheet() -> None:
    """Fixed numbers: they come from ``random.random`` alone, on every machine."""
    sheet = worksheet("2-2sigmoid-1", seed=1)
    assert sheet.to_toml() == worksheet("2-2sigmoid-1", seed=1).to_toml()
    assert sheet.to_toml() != worksheet("2-2sigmoid-1", seed=2).to_toml()
    held = tomllib.loads(sheet.to_toml())
    assert (held["x"], held["lr"]) == ([1.5, -1.0], 0.2)
    assert held["weights"] == WEIGHTS


def test_the_questions_come_in_the_order_of_the_book() -> None:
    questions = worksheet("2-2sigmoid-1").to_json()["questions"]
    kinds = [split(key)[0] for key in questions]
    assert kinds[:5] == ["z", "a", "z", "a", "loss"]
    assert kinds[5:] == ["delta"] * 2 + ["dW", "db"] * 2 + ["W", "b"] * 2
    assert questions.index("delta2") < questions.index("delta1")
    assert questions.index("dW2") < questions.index("dW1") < questions.index("W1")


def test_questions_have_no_answers() -> None:
    sheet, solved = (
        worksheet("2-2sigmoid-1sigmoid", seed=3, answers=answers)
        for answers in (False, True)
    )
    answer = f"{sheet.drawn.of('loss').array:.4g}"
    for form in ("text", "to_markdown", "to_latex", "to_html"):
        assert answer not in getattr(sheet, form)()
        assert answer.lstrip("0") in getattr(solved, form)()
    assert answer not in sheet.to_toml()
    assert answer in solved.to_toml()
    assert "answers" not in sheet.to_json()


def test_a_form_that_is_not_filled_in_is_refused() -> None:
    with pytest.raises(ArgumentError, match="all blank"):
        read_work(worksheet("2-2sigmoid-1").to_toml()).marked()


@pytest.mark.parametrize("lang", ["en", "zh-TW"])
def test_languages(lang: str) -> None:
    sheet = worksheet("2-2sigmoid-1", lang=lang)
    solved = worksheet("2-2sigmoid-1", lang=lang, answers=True)
    assert ("練習" in sheet.text()) == (lang == "zh-TW")
    assert ("解答" in solved.text()) == (lang == "zh-TW")
    read_work(solved.to_toml()).marked()


@pytest.mark.parametrize(
    ("spec", "loss", "more"),
    [
        ("2-9-1", "mse", {}),
        ("2-2-2-2-2-2", "mse", {}),
        ("2-1", "mse", {"samples": 9}),
        ("2-1", "mse", {"samples": 0}),
        ("2-1", "mse", {"seed": -1}),
        ("2-1", "mse", {"seed": True}),
        ("2-1", "huber", {}),
        ("2-1", "cross_entropy", {}),
    ],
)
def test_refused(spec: str, loss: str, more: dict[str, int]) -> None:
    with pytest.raises(ArgumentError):
        worksheet(spec, loss, **more)


def test_no_description() -> None:
    with pytest.raises(ParseError):
        worksheet("2-3tnah-1")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
@pytest.mark.parametrize("answers", [False, True])
def test_latex_compiles(tmp_path: Path, answers: bool) -> None:
    sheet = worksheet("3-2relu-2softmax", "cross_entropy", samples=2, answers=answers)
    (tmp_path / "sheet.tex").write_text(sheet.to_latex(), "utf-8")
    made = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "sheet.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    if "not found" in made.stdout and ".sty" in made.stdout:
        pytest.skip("a LaTeX without amsmath")
    assert made.returncode == 0, made.stdout[-800:]
