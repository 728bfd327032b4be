"""The usual pictures: what stands in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.viz import drawing, gallery


def test_rows_of_images_by_name() -> None:
    groups = {"first": np.eye(100)[:3], "second": np.ones((2, 10, 10))}
    with drawing.figure(drawing.PAPER, 4, 3) as figure:
        gallery.rows(figure, groups)
        assert [axes.get_ylabel() for axes in figure.axes] == [
            *("first", "", ""),
            *("second", "", ""),
        ]
        shown = [[np.asarray(i.get_array()) for i in a.images] for a in figure.axes]
        assert [len(images) for images in shown] == [1, 1, 1, 1, 1, 0]
        np.testing.assert_array_equal(shown[2][0], np.eye(100)[2].reshape(10, 10))
        assert all(a.images[0].get_clim() == (0, 1) for a in figure.axes[:5])


@pytest.mark.parametrize(("labels", "sign"), [((1, 8), True), (("$", "ab"), False)])
def test_points_are_drawn_as_their_labels(labels: Any, sign: bool) -> None:
    """One sign is taller than it is wide; ``$1$`` spelt out would not be."""
    places = np.array([[0.0, 1.0], [1.0, 0.0]])
    with drawing.figure(drawing.PAPER, 4, 3) as figure:
        gallery.points(figure, places, np.array(labels))
        (axes,) = figure.axes
        assert len(axes.collections) == 2
        for drawn in axes.collections:
            box = drawn.get_paths()[0].get_extents()
            assert (box.height > 1.2 * box.width) == sign
        assert (axes.get_legend() is None) == sign  # what it would say is drawn
        assert drawing.png(figure, "points")


def test_powers_of_ten_are_numbers() -> None:
    """Along a logarithmic axis no formula of TeX is left to be read."""
    with drawing.figure(drawing.PAPER, 4, 3) as figure:
        gallery.lines(figure, {"a": np.array([1.0, 0.1, 0.01])}, log=True)
        drawing.png(figure, "curves")
        axis = figure.axes[0].yaxis
        texts = [tick.label1.get_text() for tick in axis.get_major_ticks()]
        small = [tick.label1.get_text() for tick in axis.get_minor_ticks()]
    assert {"0.01", "0.1", "1"} <= set(texts)
    assert set(small) <= {""}


def test_a_mosaic() -> None:
    ones = np.ones((3, 3))
    made = gallery.mosaic([[ones, 2 * ones], [3 * ones, 4 * ones]])
    gap = np.full(3, np.nan)
    np.testing.assert_array_equal(made[1], [1, 1, 1, np.nan, 2, 2, 2])
    np.testing.assert_array_equal(made[5], [3, 3, 3, np.nan, 4, 4, 4])
    np.testing.assert_array_equal(made[3, :3], gap)
    assert made.shape == (7, 7)


def test_mosaics_beside_each_other() -> None:
    parts = [[[np.eye(4)]], [[np.ones((2, 2))] * 3] * 2]
    with drawing.figure(drawing.PAPER, 4, 2) as figure:
        gallery.mosaics(figure, parts, titles=["an image"], colours="magma")
        one, other = figure.axes
        assert [one.get_title(loc="left"), other.get_title(loc="left")] == [
            "an image",
            "",
        ]
        shown = [np.asarray(axes.images[0].get_array()) for axes in (one, other)]
        np.testing.assert_array_equal(shown[0], np.eye(4))
        assert shown[1].shape == (5, 8)
        assert [axes.images[0].get_cmap().name for axes in (one, other)] == [
            "gray",
            "magma",
        ]
