"""The drawing of the recipe ``names``: embeddings of letters."""

from __future__ import annotations

from typing import Any

import numpy as np


def embeddings(figure: Any, table: np.ndarray, letters: str) -> None:
    """Draw letters at their embeddings, in the plane of largest variance.

    Args:
        figure: to draw into.
        table: (letters, width), the embeddings.
        letters: the sign of each row; vowels have a colour of their own.
    """
    axes, centred = figure.subplots(), table - table.mean(0)
    plane = centred @ np.linalg.svd(centred)[2][:2].T
    for letter, (x, y) in zip(letters, plane):
        colour = "#c2570c" if letter in "aeiouy" else "#2563c9"
        axes.text(x, y, letter, color=colour, ha="center", va="center", fontsize=13)
    axes.set(xlim=(plane[:, 0].min() - 0.3, plane[:, 0].max() + 0.3))
    axes.set(ylim=(plane[:, 1].min() - 0.3, plane[:, 1].max() + 0.3))
