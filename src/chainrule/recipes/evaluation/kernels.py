"""Measures of edges and strokes in the kernels of a CNN's first convolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class EdgesAndStrokes:
    """The shares of an edge and of a stroke in convolution kernels, and directions.

    Attributes:
        edge, stroke: the shares of the slope and of the ridge, from 0 to 1, (n,).
        degrees: the direction in which the slope rises, counted from the right, upwards
            positive, (n,).
    """

    edge: np.ndarray
    stroke: np.ndarray
    degrees: np.ndarray


def edges_and_strokes(kernels: np.ndarray) -> EdgesAndStrokes:
    """Measure how much of each convolution kernel is an edge or a stroke.

        slope   W ≈ a + b·x + c·y                  an edge
        ridge   W ≈ a + d·x² + e·xy + f·y²         a stroke

    A share is that of the squares about the kernel's mean. The two are orthogonal, so
    that the shares add up to 1 at most.

    Args:
        kernels: (n, k, k) with an odd k.

    >>> shares = edges_and_strokes(np.array([[[-1, 0, 1]] * 3, [[-1, 2, -1]] * 3]))
    >>> shares.edge.round(3), shares.stroke.round(3)
    (array([1., 0.]), array([0., 1.]))
    """
    side = kernels.shape[-1]
    down, right = (axis.ravel() - (side - 1) / 2 for axis in np.indices((side, side)))
    squares = np.stack([right**2, right * down, down**2], 1)
    ridges, __ = np.linalg.qr(squares - squares.mean(0))
    slopes = np.stack([right, down], 1) / np.linalg.norm(right)
    rows = kernels.reshape(len(kernels), -1)
    centred = rows - rows.mean(1, keepdims=True)
    total = np.square(centred).sum(1)
    slope, ridge = centred @ slopes, centred @ ridges
    return EdgesAndStrokes(
        edge=np.square(slope).sum(1) / total,
        stroke=np.square(ridge).sum(1) / total,
        degrees=np.degrees(np.arctan2(-slope[:, 1], slope[:, 0])),
    )
