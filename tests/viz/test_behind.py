"""Tables behind charts: the numbers that are drawn, and no others."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import chainrule as cr
from chainrule.text.numbers import number
from chainrule.viz import behind, gallery, scenes
from chainrule.viz.seen import table_of

from .conftest import Make
from .reports import Write, section, trained


def test_a_long_table_is_thinned_and_its_numbers_are_those_of_their_steps() -> None:
    losses = np.random.default_rng(0).random(1234).astype(np.float32)
    table = behind.of_steps({"": losses}, "step", "loss")
    assert table.head == ["step", "loss"]
    steps = [int(row[0].replace(",", "")) for row in table.rows]
    assert (steps[0], steps[-1], len(steps)) == (1, 1234, behind.ROWS)
    assert len(set(np.diff(steps))) <= 2, "evenly chosen"
    own = [number(float(losses[step - 1])) for step in steps]
    assert [row[1] for row in table.rows] == own
    assert table.note.startswith("60 of 1,234 rows")
    assert behind.of_steps({"": losses[:9]}, "step", "loss").note == ""


def test_curves_of_other_places_leave_gaps() -> None:
    """A curve has a number where it has a point, and nowhere else."""
    curves = {"all": [5.0, 4.0, 3.0], "some": ([0, 2], [9.0, 8.0]), "one": [7.0]}
    table = table_of(gallery.lines, curves, across="epoch")
    assert table is not None
    assert table.head == ["epoch", "all", "some", "one"]
    assert table.rows == [
        ["0", "", "9", ""],
        ["1", "5", "", "7"],
        ["2", "4", "8", ""],
        ["3", "3", "", ""],
    ]
    long = table_of(gallery.lines, {"a": np.arange(500.0)})
    assert long is not None
    assert all(row[1] == number(float(row[0]) - 1) for row in long.rows)
    assert long.note.startswith("60 of 500 rows")


def test_bars_matrices_points_and_returns() -> None:
    bars = table_of(gallery.bars, {"a": 0.5, "b": -1.0}, across="gain")
    assert bars is not None
    assert (bars.head, bars.rows) == (["", "gain"], [["a", "0.5"], ["b", "-1"]])
    matrix = np.array([[3, 1], [0, 2]])
    heat = table_of(gallery.heat, matrix, rows="xy", columns="uv", up="is", across="as")
    assert heat is not None
    assert heat.head == ["is ↓ as →", "u", "v"]
    assert heat.rows == [["x", "3", "1"], ["y", "0", "2"]]
    assert table_of(gallery.heat, np.zeros((31, 2))) is None
    places = [[0.0, 1.0], [2.0, 3.0]]
    points = table_of(gallery.points, places, [1, 0], names=["a", "b"])
    assert points is not None
    assert points.rows == [["b", "0", "1"], ["a", "2", "3"]]
    returns = table_of(scenes.returns, [[200, -5.0, 0], [350, 7.5, 1]])
    assert returns is not None
    assert returns.rows == [["1", "200", "-5"], ["2", "350", "7.5"]]


@pytest.mark.parametrize("name", ["lines", "bars", "heat", "points"])
def test_each_chart_of_the_gallery_has_a_table(name: str) -> None:
    """And its table takes what the drawing takes."""
    draw, table = getattr(gallery, name), getattr(behind, f"of_{name}")
    drawn = list(inspect.signature(draw).parameters)[1:]
    assert list(inspect.signature(table).parameters) == drawn


def test_the_loss_by_step_has_a_table(
    make: Make, data: cr.data.Dataset, write: Write
) -> None:
    trainer = trained(make, data)
    losses = trainer.history.steps["loss"]
    curves = section(write(trainer, data), "curves")
    (folded,) = curves.find("details")
    heading, *rows = folded.find("table")[0].rows()
    assert heading == ["step", "loss"]
    assert len(rows) == len(losses) == 15
    assert [row[1] for row in rows] == [number(float(loss)) for loss in losses]


def test_each_layers_gradient_has_a_column(
    make: Make, data: cr.data.Dataset, write: Write
) -> None:
    trainer = trained(make, data)
    heading, *rows = section(write(trainer, data), "gradients").find("table")[0].rows()
    steps = trainer.history.steps
    for i, layer in enumerate(heading[1:], 1):
        norms = steps[f"grad_norm/{layer}"]
        assert [row[i] for row in rows] == [number(float(norm)) for norm in norms]
    assert len(heading) == 3
