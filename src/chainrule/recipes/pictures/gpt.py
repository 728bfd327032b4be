"""The drawing of the recipe ``gpt``: the attention weights of each head."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.text import tr
from chainrule.text.numbers import percent
from chainrule.viz.seen import seen


def _of_attention(weights: np.ndarray, text: str) -> str:
    before = np.diagonal(weights, -1, axis1=2, axis2=3).mean(2)
    layer, head = np.unravel_index(int(before.argmax()), before.shape)
    return tr(
        "Row by row where each of {n} characters looks. Head {head} of layer {layer}"
        " gives {share} to the character before it, more than any other head.",
        n=len(text),
        head=int(head) + 1,
        layer=int(layer) + 1,
        share=percent(float(before.max())),
    )


@seen(_of_attention)
def attention(figure: Any, weights: np.ndarray, text: str) -> None:
    """Draw a GPT's attention weights as images, queries as rows.

    Args:
        figure: to draw into.
        weights: (layers, heads, T, T).
        text: the T characters.
    """
    names = [{"\n": "⏎", " ": "␣"}.get(c, c) for c in text]
    grid = figure.subplots(*weights.shape[:2], squeeze=False)
    for (i, j), axes in np.ndenumerate(grid):
        drawn = axes.imshow(
            weights[i, j], cmap="Blues", interpolation="nearest", vmin=0, vmax=1
        )
        axes.grid(visible=False)
        axes.set_title(tr("layer {i}, head {j}", i=i + 1, j=j + 1), fontsize=8, pad=2)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks(range(len(names)), labels=names, fontsize=4)
            axis.set_tick_params(length=0, pad=1)
    figure.colorbar(drawn, ax=grid, shrink=0.6)
