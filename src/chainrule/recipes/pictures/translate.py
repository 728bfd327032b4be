"""The drawings of the recipe ``translate``: attention as text and in colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.text import _, tr
from chainrule.viz import gallery
from chainrule.viz.seen import seen


def print_attention(
    weights: np.ndarray, source: Sequence[str], target: Sequence[str]
) -> None:
    """Print the source tokens with the largest attention for each target token.

    Args:
        weights: (T, S) of cross-attention, in which rows and columns may follow.
        source, target: the tokens.

    >>> print_attention(np.array([[0.1, 0.9, 0.0]]), ["March", "5", ","], ["05"])
       05  ←  5 0.90   March 0.10   , 0.00
    """
    for token, row in zip(target, weights):
        most = np.argsort(-row[: len(source)])[:3]
        print(
            f"   {token}  ←  " + "   ".join(f"{source[i]} {row[i]:.2f}" for i in most)
        )


def _of_attention(
    weights: np.ndarray, source: Sequence[str], target: Sequence[str]
) -> str:
    looked = np.asarray(weights)[: len(target), : len(source)].argmax(1)
    same = sum(source[int(i)] == token for i, token in zip(looked, target))
    return tr(
        "A row for each token that it wrote; bright is where it looked. {same} of"
        " {n} looked most at the same token of the source.",
        same=int(same),
        n=len(target),
    )


@seen(_of_attention)
def attention(
    figure: Any, weights: np.ndarray, source: Sequence[str], target: Sequence[str]
) -> None:
    """Draw a translation's attention weights: target tokens as rows, source across.

    Args:
        figure: to draw into.
        weights, source, target: as for :func:`print_attention`.
    """
    shown = weights[: len(target), : len(source)]
    gallery.heat(
        figure, shown, rows=target, columns=source, across=_("read"), up=_("written")
    )
