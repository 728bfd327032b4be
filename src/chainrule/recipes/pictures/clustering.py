"""The picture of the recipe ``clustering``: a map of an encoder's codes."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.recipes.evaluation.projection import principal_plane
from chainrule.viz import gallery


def codes(figure: Any, codes: np.ndarray, labels: np.ndarray) -> None:
    """Draw an encoder's codes in the plane of largest variance, as digit labels.

    Args:
        figure: what to draw into.
        codes: (n, d); the first 1,000 are drawn, the plane is that of all.
        labels: (n,), digits.
    """
    gallery.points(figure, principal_plane(codes)[:1000], labels[:1000])
