"""What of a sample the loss depends on: |∂ℒ/∂x|, number by number.

It is that of the network as it answers, in evaluation mode. Of texts, whose tokens are
no quantities, it is the length of the derivative by a token's row of the embedding,
‖∂ℒ/∂eₜ‖ = √Σᵢ (∂ℒ/∂eₜᵢ)².

Source: Simonyan, Vedaldi & Zisserman 2014, "Deep Inside Convolutional Networks".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.data import Dataset
from chainrule.data.text import texts_of
from chainrule.explanation import Explanation
from chainrule.graph.node import Array, Value

#: Columns that are told one by one, the strongest of them.
COLUMNS = 40


def salient(
    explanation: Explanation, data: Dataset
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return what of one sample the loss depends on: as JSON, and its numbers.

    Each item is an input of the network. Its ``kind`` is ``"numbers"`` (then its array
    has the shape of the sample), or ``"columns"``, or ``"tokens"``.

    Args:
        explanation: of the sample, with derivatives by it.
        data: the training data, which know the names of columns and tokens.
    """
    run = explanation.run
    items: list[dict[str, Any]] = []
    arrays: dict[str, Array] = {}
    for place, value in enumerate(run.x):
        name = explanation.names.of[value].text()
        x = run.arrays[value][0]
        key = f"saliency{place}"
        item: dict[str, Any] = {"name": name, "array": key}
        if value in run.cotangents:
            share = np.abs(run.arrays[run.cotangents[value]][0])
            item |= _of_numbers(share, x, data)
        elif (share := _of_tokens(explanation, value)) is not None:
            item |= {"kind": "tokens", "tokens": tokens(x, data)}
        else:
            continue
        arrays[key] = np.asarray(share, np.float32)
        items.append(item)
    return {"items": items, "loss": explanation.loss}, arrays


def _of_numbers(share: Array, x: Array, data: Dataset) -> dict[str, Any]:
    names = data.feature_names
    if share.ndim != 1 or names is None or len(names) != len(share):
        return {"kind": "numbers", "shape": list(share.shape)}
    order = np.argsort(-share, kind="stable")[:COLUMNS]
    return {
        "kind": "columns",
        "columns": [
            {"name": str(names[i]), "place": int(i), "value": float(x[i])}
            for i in order
        ],
        "all": len(share),
    }


def _of_tokens(explanation: Explanation, x: Value) -> Array | None:
    """Return ‖∂ℒ/∂eₜ‖ of each token's row e of an embedding table; None: no table."""
    run = explanation.run
    length = run.arrays[x].shape[1:]
    for value, g in run.cotangents.items():
        node = value.node
        if node is None or value.ndim != len(length) + 2:
            continue
        rows = run.arrays[g]
        if x in _before(value) and rows.shape[1:-1] == length:
            return np.sqrt((rows[0].astype(np.float64) ** 2).sum(-1))
    return None


def _before(value: Value) -> set[Value]:
    """Return the values that a value is computed from at once, or by its indices."""
    node = value.node
    assert node is not None
    near = set(node.inputs)
    for each in node.inputs:  # indices are checked, and wrapped, on their way
        found = each
        while found.node is not None and not found.dtype.is_float:
            near |= set(found.node.inputs)
            found = found.node.inputs[0]
    return near


def tokens(x: Array, data: Dataset) -> list[str]:
    """Return the tokens of a row as texts: "" for padding, □ for an unknown one."""
    column = texts_of(data)
    if column is None:
        return [str(int(i)) for i in np.ravel(x)]
    return [column.token(int(i)) for i in np.ravel(x)]
