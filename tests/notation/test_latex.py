"""The LaTeX of every declared formula is set by TeX, and by matplotlib."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from chainrule.graph.types import DType
from chainrule.notation.functions import symbol
from tests.conformance.cases import examples
from tests.conformance.test_formulas import formula_of

DOCUMENT = r"""
\documentclass{article}
\usepackage{amsmath}
\begin{document}
%s
\end{document}
"""


def formulas() -> dict[str, str]:
    """Where each formula comes from."""
    names = ("ŷ", "δ̄", "class_weight", "ε", "ℒ", "∇", "…", "x̂")
    found = {symbol(name).latex(): name for name in names}
    for example in examples((DType.float64,)):
        found.setdefault(formula_of(example).latex(), example.primitive.name)
    return found


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no TeX here")
def test_tex_sets_every_formula(tmp_path: Path) -> None:
    lines = "\n\n".join(f"${latex}$" for latex in formulas())
    (tmp_path / "all.tex").write_text(DOCUMENT % lines)
    made = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert made.returncode == 0, made.stdout[-2000:]
    assert "Missing character" not in (tmp_path / "all.log").read_text(errors="replace")


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_matplotlib_sets_every_formula(every: int) -> None:
    mathtext = pytest.importorskip("matplotlib.mathtext")
    parser = mathtext.MathTextParser("path")
    for latex, name in list(formulas().items())[::every]:
        try:
            parser.parse(f"${latex}$")
        except ValueError as error:
            pytest.fail(f"{name}: {latex}: {error}")
