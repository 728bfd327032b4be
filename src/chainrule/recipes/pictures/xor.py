"""The regions of a classifier of two inputs, printed in the terminal."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: The plane that is drawn, in columns and lines of characters.
ACROSS, UP = np.linspace(-0.5, 1.5, 33), np.linspace(1.5, -0.5, 13)


def print_plane(
    classify: Callable[[np.ndarray], np.ndarray], x: np.ndarray, labels: np.ndarray
) -> None:
    """Print a classifier's regions of class 1 (▒) and 0 (·), with labelled samples.

    Args:
        classify: from points (n, 2) to classes 0 and 1 (n,).
        x, labels: samples (n, 2) and their classes.
    """
    points = np.array([[x1, x2] for x2 in UP for x1 in ACROSS], np.float32)
    classes = np.asarray(classify(points)).reshape(len(UP), len(ACROSS))
    lines = [["▒" if one else "·" for one in line] for line in classes]
    for (x1, x2), label in zip(x, labels):
        row, column = np.abs(UP - x2).argmin(), np.abs(ACROSS - x1).argmin()
        lines[row][column] = str(label)
    for x2, line in zip(UP, lines):
        mark = f"{x2:4.0f}" if x2 in (0, 1) else "    "
        print(f"   {mark} {''.join(line)}{'  x₂' if x2 == UP[0] else ''}")
    print(f"   {'0':>13}{'1':>16}{'x₁':>10}   ▒ ŷ = 1   · ŷ = 0")
