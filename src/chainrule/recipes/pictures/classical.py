"""The picture of the recipe ``classical``: histograms of oriented gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.text import ngettext, tr
from chainrule.viz.seen import seen


def _of_stars(images: np.ndarray, cells: np.ndarray) -> str:
    return tr(
        ngettext(
            "{n} image, and below it its {rows} × {columns} cells: a star with a ray "
            "along each edge that is found there, the longer the stronger.",
            "{n} images, and below each its {rows} × {columns} cells: a star with a "
            "ray along each edge that is found there, the longer the stronger.",
            n=len(images),
            rows=cells.shape[1],
            columns=cells.shape[2],
        )
    )


@seen(_of_stars)
def stars(figure: Any, images: np.ndarray, cells: np.ndarray) -> None:
    """Draw images, and below them their HOG cells as stars of edge directions.

    Args:
        figure: what to draw into.
        images: (n, h, w).
        cells: (n, rows, columns, bins), the mean size of the gradient in each cell and
            bin of its unsigned angle.
    """
    shares = cells / cells.max(axis=(1, 2, 3), keepdims=True)
    side, bins = images.shape[1] / cells.shape[1], cells.shape[-1]
    axes = figure.subplots(2, len(images))
    for above, below, image, histograms in zip(*axes, images, shares):
        above.imshow(image, cmap="gray", interpolation="nearest")
        below.set(xlim=(0, image.shape[1]), ylim=(image.shape[0], 0), aspect="equal")
        below.set_facecolor("black")
        for (i, j, k), share in np.ndenumerate(histograms):
            # An edge is at right angles to its gradient; rows count downwards.
            angle = np.deg2rad((k + 0.5) * 180 / bins + 90)
            centre = np.array([(j + 0.5) * side, (i + 0.5) * side])
            ray = share * side / 2 * np.array([np.cos(angle), np.sin(angle)])
            ends = np.array([centre - ray, centre + ray]).T
            below.plot(*ends, color="white", linewidth=1.4, alpha=float(share))
        for part in (above, below):
            part.grid(visible=False)
            part.set(xticks=[], yticks=[])
