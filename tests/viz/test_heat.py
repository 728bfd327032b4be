"""The gallery: numbers in the cells of a matrix."""

from __future__ import annotations

from typing import Any

import matplotlib.figure as plt
import numpy as np
import pytest

from chainrule.viz import gallery


@pytest.mark.parametrize(
    ("matrix", "numbers", "texts"),
    [
        ([[3, 0], [12, 1]], "d", ["3", "0", "12", "1"]),
        (np.array([[0.5, 0.25]]), ".1f", ["0.5", "0.2"]),
        ([[0, 0]], "d", ["0", "0"]),
    ],
)
def test_numbers_as_they_are(matrix: Any, numbers: str, texts: list[str]) -> None:
    """Whole numbers take formats of whole numbers."""
    figure = plt.Figure()
    gallery.heat(figure, matrix, numbers=numbers)
    assert [text.get_text() for text in figure.axes[0].texts] == texts
