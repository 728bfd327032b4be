"""Texts in the lab: which column has them, how they are cut, and typed ones."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.data import Dataset
from chainrule.data.tables.cells import Cells
from chainrule.data.tables.file import source_of
from chainrule.data.tables.texts import FIRST, PADDING, UNKNOWN, words
from chainrule.data.text import texts_of
from chainrule.errors import ArgumentError
from chainrule.explanation import explain
from chainrule.graph.node import Array
from chainrule.lab.characters import characters_of
from chainrule.lab.saliency import salient, tokens
from chainrule.lab.watching import View
from chainrule.text import _

#: Cells that are looked at; words of a cell, on average, that make it a text; and the
#: share of them that are different.
LOOKED_AT, LONG, DIFFERENT = 1000, 3.0, 0.5


def column(path: Path, target: str | None) -> str | None:
    """Return the column of a table that has texts; None where others tell something.

    A table is taken as one of texts where every column but the target has either texts
    or the numbers of its rows.

    Args:
        path: of the table.
        target: the column to predict, or None.
    """
    source = source_of(path)
    names = [name for name in source.columns if name not in (target, *source.index)]
    first = next(iter(source.chunks(names)), None)
    texts = [n for n in names if first is not None and _are_texts(first.cells[n])]
    others = len(names) - len(texts) - (target is None)
    return texts[0] if len(texts) == 1 and others <= 0 else None


def _are_texts(cells: Cells) -> bool:
    lengths = [len(words(cell)) for cell in cells.texts[:LOOKED_AT] if cell]
    if not lengths or sum(lengths) < LONG * len(lengths):
        return False
    return len({*cells.texts}) >= DIFFERENT * int(cells.counts().sum())


def shown_tokens(part: Dataset, row: int) -> list[str] | None:
    """Return the tokens of a data set's row, without padding; None: it has no texts."""
    if texts_of(part) is None and characters_of(part) is None:
        return None
    x: Any = part.x
    return [token for token in tokens(x.stored[row], part) if token]


def understood(view: View, text: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return a network's answer to a typed text, and what it depends on.

    Of classes that is the loss where the class that the network decides for were the
    truth. A quantity has no such loss.

    Raises:
        ArgumentError: the network does not read texts, or the text has no token.
    """
    texts, train = view.texts, view.session.parts.train
    if texts is None:
        raise ArgumentError(
            _("This network does not read texts."),
            expected=_("a network of a column of texts"),
            fix=_("drop a CSV file with a column of sentences onto the page"),
        )
    cut = texts.cut(text)
    if not cut:
        raise ArgumentError(
            _("There is nothing to read in this text."), expected=_("a word, at least")
        )
    known = {token: i for i, token in enumerate(texts.vocabulary, FIRST)}
    indices = [known.get(token, UNKNOWN) for token in cut[: texts.length]]
    row = np.full((1, texts.length), PADDING, np.int32)
    row[0, -len(indices) :] = indices
    weights = view.weights()[1]
    answer = np.ravel(view.answers.to(row, weights))
    content: dict[str, Any] = {
        "answer": answer.tolist(),
        "tokens": cut[: texts.length],
        "unknown": [i for i, index in enumerate(indices) if index == UNKNOWN],
        "left_out": max(0, len(cut) - texts.length),
        "decided": None,
        "items": [],
        "attention": [],
    }
    model = copy.deepcopy(view.trainer.model).eval()
    model.load_state_dict(weights)
    y = np.asarray(train.rows([0]).y)
    if view.classes() is not None:
        decided = int(
            answer.argmax() if len(answer) > 1 else answer[0] > view.answers.cut
        )
        content["decided"] = decided
        y = np.full_like(y, decided)
    explanation = explain(model, row, y, view.trainer.loss)
    found, arrays = salient(explanation, train, model)
    if view.classes() is None:  # a loss by some truth says nothing
        found["items"] = []
    return {**content, **found, "loss": explanation.loss}, arrays
