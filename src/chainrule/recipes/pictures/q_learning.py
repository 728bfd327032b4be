"""Maps of a Q-learning table of action values, in colours and as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.text import tr, translated
from chainrule.text.numbers import percent
from chainrule.viz.seen import seen


def cells(table: Any, shape: tuple[int, int]) -> np.ndarray:
    """Return the rows of a Q-table that belong to the cells of the map.

    Of Taxi's states, ((row · 5 + column) · 5 + passenger) · 4 + hotel, these are the
    ones with the passenger aboard, on the way to the red hotel.
    """
    table = np.asarray(table)
    if len(table) == shape[0] * shape[1]:
        return table
    return table.reshape(shape[0] * shape[1], 5, 4, -1)[:, 4, 0]


def _of_tables(
    tables: Sequence[Any],
    *,
    titles: Sequence[str],
    shape: tuple[int, int],
    arrows: str,
) -> str:
    told = "; ".join(
        tr(
            "after {title} {share} of the entries are not 0",
            title=translated(title),
            share=percent(float((np.asarray(table) != 0).mean())),
        )
        for title, table in zip(titles, tables)
    )
    how = tr(
        "An arrow is the best action of a cell, bright is a large maxₐ Q, on a scale of"
        " its own in each picture; white is a cell of which nothing is known."
    )
    if np.shape(tables[0])[0] != shape[0] * shape[1]:
        how += tr(
            " Shown are the cells with the passenger aboard, on the way to the red"
            " hotel; P is to pick up, D to let out."
        )
    return how + tr(" Of the whole table: {told}.", told=told)


@seen(_of_tables)
def draw_tables(
    figure: Any,
    tables: Sequence[Any],
    *,
    titles: Sequence[str],
    shape: tuple[int, int],
    arrows: str,
) -> None:
    """Draw maps of a Q-table's maxₐ Q in colours, with arrows for best actions.

    Args:
        figure: what to draw into.
        tables: Q (states, actions); a row of zeros, of a cell in which nothing was
            learned, stays empty.
        titles: one for each map.
        shape: the rows and columns of the map.
        arrows: a character for each action.
    """
    across = len(tables) if shape[0] == shape[1] else 2
    grid = figure.subplots(-(-len(tables) // across), across, squeeze=False)
    for axes, title, table in zip(grid.reshape(-1), titles, tables):
        table = cells(table, shape)
        known = table.any(axis=1)
        values = np.where(known, table.max(axis=1), np.nan).reshape(shape)
        image = axes.imshow(values, cmap="viridis")
        for (i, j), value in np.ndenumerate(values):
            if np.isnan(value):
                continue
            arrow = arrows[table[i * shape[1] + j].argmax()]
            colour = "white" if image.norm(value) < 0.6 else "black"
            axes.text(j, i, arrow, ha="center", va="center", color=colour)
        axes.set_title(translated(title))
        axes.set(xticks=[], yticks=[])
        axes.grid(visible=False)
        axes.spines[:].set_visible(True)  # of a map without a value there is no more
        if known.any():
            figure.colorbar(image, ax=axes, shrink=0.7)


def policy_map(table: Any, shape: tuple[int, int], arrows: str) -> str:
    """Return a Q-table's greedy policy as lines of arrows; a dot without values.

    Args:
        table, shape, arrows: as for :func:`draw_tables`.

    >>> print(policy_map([[0, 1], [2, 1], [0, 0]], (1, 3), "←→").strip())
    → ← ·
    """
    rows = cells(table, shape)
    signs = [arrows[row.argmax()] if row.any() else "·" for row in rows]
    lines = np.reshape(signs, shape)
    return "\n".join("      " + " ".join(line) for line in lines)
