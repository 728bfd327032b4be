"""Histograms of oriented gradients (HOG): handcrafted features of images.

    g = (∂I/∂x, ∂I/∂y),  |g| is counted at the angle of g, cell by cell, in 9 bins of
    20°;  the cells of each block of 2 × 2 become v / √(‖v‖² + ε²), cut off at 0.2 and
    scaled once more.

Source: Dalal & Triggs 2005, "Histograms of oriented gradients for human detection".
"""

from __future__ import annotations

import numpy as np

BINS = 9


def cells(images: np.ndarray, side: int) -> np.ndarray:
    """Return the mean gradient by image cell and angle bin, (n, rows, columns, 9).

    Args:
        images: (n, h, w).
        side: of a cell, in pixels.
    """
    images = images.astype(float)
    down, across = np.zeros_like(images), np.zeros_like(images)
    down[:, 1:-1] = images[:, 2:] - images[:, :-2]
    across[:, :, 1:-1] = images[:, :, 2:] - images[:, :, :-2]
    angle = np.rad2deg(np.arctan2(down, across)) % 180
    bins = np.minimum(angle // (180 / BINS), BINS - 1)
    n, height, width = images.shape
    shape = n, height // side, side, width // side, side
    sizes = [np.where(bins == k, np.hypot(down, across), 0) for k in range(BINS)]
    return np.stack([size.reshape(shape).mean((2, 4)) for size in sizes], axis=-1)


def histograms(images: np.ndarray, side: int) -> np.ndarray:
    """Return images' HOG features: normalised histograms of oriented gradients.

    Args:
        images: (n, h, w).
        side: of a cell, in pixels; a block is 2 × 2 cells.
    """
    counts = cells(images, side)
    rows, columns = counts.shape[1] - 1, counts.shape[2] - 1
    corners = [counts[:, i:, j:][:, :rows, :columns] for i in (0, 1) for j in (0, 1)]
    blocks = normalised(np.concatenate(corners, axis=-1))
    return normalised(np.minimum(blocks, 0.2)).reshape(len(images), -1)


def normalised(v: np.ndarray) -> np.ndarray:
    """Return vectors of unit length, v / √(‖v‖² + ε²), along the last axis."""
    return v / np.sqrt((v**2).sum(-1, keepdims=True) + 1e-5**2)
