"""The picture of the recipe ``clustering``: a map of an encoder's codes."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.recipes.evaluation.projection import principal_plane
from chainrule.text import tr
from chainrule.viz import gallery
from chainrule.viz.seen import neighbours, seen


def _of_codes(codes: np.ndarray, labels: np.ndarray) -> str:
    return tr(
        "{n} images, drawn as their digits. In the space of all {d} numbers the nearest"
        " other image shows the same digit for {share} of them.",
        n=min(len(codes), 1000),
        d=codes.shape[1],
        share=neighbours(codes, labels),
    )


@seen(_of_codes)
def codes(figure: Any, codes: np.ndarray, labels: np.ndarray) -> None:
    """Draw an encoder's codes in the plane of largest variance, as digit labels.

    Args:
        figure: what to draw into.
        codes: (n, d); the first 1,000 are drawn, the plane is that of all.
        labels: (n,), digits.
    """
    axes = {"across": tr("direction of largest variance"), "up": tr("the next one")}
    gallery.points(figure, principal_plane(codes)[:1000], labels[:1000], **axes)
