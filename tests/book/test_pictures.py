"""The pictures of the book's tables: curves against their formulas."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule import book, nn
from chainrule.book import pictures
from chainrule.errors import ArgumentError

matplotlib = pytest.importorskip("matplotlib")


@pytest.mark.parametrize("section", pictures.PICTURES)
def test_a_panel_for_each_row_of_the_table(section: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    draw, _ = pictures.PICTURES[section]
    draw(figure)
    rows = [e for e in book.entries(section) if e.kind == "table"]
    drawn = [axes for axes in figure.axes if len(axes.lines) == 2]
    assert len(drawn) == len(rows)
    for axes in drawn:
        value, slope = axes.lines
        _is_derivative(value.get_xdata(), value.get_ydata(), slope.get_ydata())


def _is_derivative(x: Any, value: Any, slope: Any) -> None:
    """By difference quotients, where the curve is smooth and not too steep."""
    quotient = (value[2:] - value[:-2]) / (x[2:] - x[:-2])
    seen = np.isfinite(slope[1:-1]) & (np.abs(slope[1:-1]) < 4)
    assert seen.mean() > 0.7
    off = np.abs(quotient - slope[1:-1])[seen]
    assert np.sort(off)[:-3].max() < 0.02  # but at a kink


def test_values_and_derivatives() -> None:
    value, slope = pictures.curve(nn.GELU(), np.array([0.5]))
    normal = math.exp(-0.125) / math.sqrt(2 * math.pi)
    below = (1 + math.erf(0.5 / math.sqrt(2))) / 2
    assert value[0] == pytest.approx(0.5 * below)
    assert slope[0] == pytest.approx(below + 0.5 * normal)


def test_saving(tmp_path: Path) -> None:
    written = pictures.save(["2.5.1", "2.5.1", "3.4"], tmp_path / "new")
    assert [path.name for path in written] == ["book-2.5.1.png"]
    with pytest.raises(ArgumentError, match="no picture"):
        pictures.save(["3.4"], tmp_path)
