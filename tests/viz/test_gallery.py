"""The usual pictures of a recipe."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from chainrule.viz import drawing, gallery


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
