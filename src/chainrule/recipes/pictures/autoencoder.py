"""Drawings of the recipe ``autoencoder``: maps of two-dimensional codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule import viz
from chainrule.text import tr, translated
from chainrule.viz.seen import neighbours, seen


def _of_maps(maps: Mapping[str, np.ndarray], labels: np.ndarray) -> str:
    told = "; ".join(
        f"{translated(name)}: {neighbours(codes, labels)}"
        for name, codes in maps.items()
    )
    return tr(
        "Of the first {n} images so many have one of the same digit as their nearest:"
        " {told}. The outermost 3 % on each side are not drawn.",
        n=min(len(labels), 1000),
        told=told,
    )


@seen(_of_maps)
def code_maps(figure: Any, maps: Mapping[str, np.ndarray], labels: np.ndarray) -> None:
    """Draw scatter plots of autoencoders' two-dimensional codes side by side.

    Args:
        figure: what to draw into.
        maps: codes (n, 2) by the names of the maps.
        labels: the classes (n,).
    """
    for part, (name, codes) in zip(figure.subfigures(1, len(maps)), maps.items()):
        drawn = codes[:2000]
        low, high = np.percentile(drawn, [3, 97], axis=0)
        inside = ((low <= drawn) & (drawn <= high)).all(1)
        axes = {"across": tr("first number"), "up": tr("second number")}
        viz.gallery.points(part, drawn[inside], labels[:2000][inside], **axes)
        part.suptitle(translated(name))
