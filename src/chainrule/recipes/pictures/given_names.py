"""The drawing of the recipe ``names``: embeddings of letters."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.text import tr
from chainrule.text.numbers import number
from chainrule.viz.seen import seen

#: The letters that have a colour of their own.
VOWELS = "aeiouy"


def _of_embeddings(table: np.ndarray, letters: str) -> str:
    vowels = np.array([letter in VOWELS for letter in letters])
    apart = np.sqrt(((table[:, None] - table[None]) ** 2).sum(2))
    among = apart[np.ix_(vowels, vowels)][~np.eye(int(vowels.sum()), dtype=bool)]
    others = np.array([letter.isalpha() for letter in letters]) & ~vowels
    return tr(
        "Orange: the vowels {vowels}; the point: where a name begins and ends. In the"
        " space of all {d} numbers two vowels are {among} apart on average, a vowel and"
        " a consonant {between}.",
        vowels=" ".join(VOWELS),
        d=table.shape[1],
        among=number(float(among.mean()), 3),
        between=number(float(apart[np.ix_(vowels, others)].mean()), 3),
    )


@seen(_of_embeddings)
def embeddings(figure: Any, table: np.ndarray, letters: str) -> None:
    """Draw letters at their embeddings, in the plane of largest variance.

    Args:
        figure: to draw into.
        table: (letters, width), the embeddings.
        letters: the sign of each row; vowels have a colour of their own.
    """
    axes, centred = figure.subplots(), table - table.mean(0)
    plane = centred @ np.linalg.svd(centred)[2][:2].T
    for letter, (x, y) in zip(letters, plane):
        colour = "#c2570c" if letter in VOWELS else "#2563c9"
        axes.text(x, y, letter, color=colour, ha="center", va="center", fontsize=13)
    axes.set(xlabel=tr("direction of largest variance"), ylabel=tr("the next one"))
    axes.set(xlim=(plane[:, 0].min() - 0.3, plane[:, 0].max() + 0.3))
    axes.set(ylim=(plane[:, 1].min() - 0.3, plane[:, 1].max() + 0.3))
