"""Saliency: the size of the derivative of the loss by a sample, |∂ℒ/∂x|.

It is that of the network as it answers, in evaluation mode. Of texts, whose tokens are
no quantities, it is the length of the derivative by a token's row of the embedding,
‖∂ℒ/∂eₜ‖ = √Σᵢ (∂ℒ/∂eₜᵢ)².

Source: Simonyan, Vedaldi & Zisserman 2014, "Deep Inside Convolutional Networks".
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import numpy as np

from chainrule.data import Dataset
from chainrule.data.text import texts_of
from chainrule.explanation import Explanation
from chainrule.graph.graph import Graph
from chainrule.graph.node import Array, Value
from chainrule.lab.characters import characters_of
from chainrule.nn import Embedding, Module
from chainrule.nn.picture.attention import attentions, is_view

#: Columns that are told one by one, the strongest of them.
COLUMNS = 40


def salient(
    explanation: Explanation, data: Dataset, model: Module
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return what of one sample the loss depends on: as JSON, and its numbers.

    Each item is an input of the network. Its ``kind`` is ``"numbers"`` (then its array
    has the shape of the sample), or ``"columns"``, or ``"tokens"``. Where the network
    attends, ``attention`` has the shares A of each block, of shape (heads, T, T).

    Args:
        explanation: of the sample, with derivatives by it.
        data: the training data, which know the names of columns and tokens.
        model: the network.
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
        elif (share := _of_tokens(explanation, value, model)) is not None:
            item |= {"kind": "tokens", "tokens": tokens(x, data)}
        else:
            continue
        arrays[key] = np.asarray(share, np.float32)
        items.append(item)
    shares = attention(explanation)
    for place, (__, share) in enumerate(shares):
        arrays[f"attention{place}"] = share.astype(np.float32)
    return {
        "items": items,
        "attention": [name for name, __ in shares],
        "loss": explanation.loss,
    }, arrays


def attention(explanation: Explanation) -> list[tuple[str, Array]]:
    """Return the shares A of Y = A V of each attention in a step, by its module.

    Each is of shape (heads, T, T): whom a position listens to is a row.
    """
    run = explanation.run
    found: list[tuple[str, Array]] = []
    for each in attentions(run.graph.nodes):
        (value,) = each.softmax.outputs
        if value is None:
            continue
        shares = run.arrays[value]
        square = shares.shape[-2:]
        found.append((each.softmax.scope or "", shares.reshape(-1, *square)))
    return found


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


def _of_tokens(explanation: Explanation, x: Value, model: Module) -> Array | None:
    """Return ‖∂ℒ/∂eₜ‖ of each token's rows e of embedding tables; None: no table.

    Where tokens are looked up several times, e is all of their rows, one below another.
    """
    run, square = explanation.run, np.zeros(())
    tables = {path for path, m in model.named_modules() if isinstance(m, Embedding)}
    for value in _looked_up(run.graph, x, tables):
        if value in run.cotangents:
            g = run.arrays[run.cotangents[value]]
            if g.shape[:-1] == run.arrays[x].shape:
                square = square + (g[0].astype(np.float64) ** 2).sum(-1)
    return np.sqrt(square) if square.ndim else None


def _looked_up(graph: Graph, x: Value, tables: Container[str | None]) -> list[Value]:
    """Return what embedding tables give for tokens, and not for anything else.

    Tokens are followed as long as they are whole numbers at their own places: not to
    comparisons, and not to where their order is another one.
    """
    tokens, rows = {x}, dict[Value, None]()
    for node in graph.nodes:
        of_rows = [v for v in node.inputs if v in rows]
        if node.role != "forward" or not (of_rows or tokens & {*node.inputs}):
            continue
        outputs = [v for v in node.outputs if v is not None]
        if node.scope in tables and all(v.dtype.is_float for v in outputs):
            for value in of_rows:  # the last one is what the module returns
                rows.pop(value, None)
            rows |= dict.fromkeys(outputs)
        elif not of_rows and (is_view(node) or node.primitive.elementwise):
            tokens |= {v for v in outputs if v.dtype.is_integer}
    return [*rows]


def tokens(x: Array, data: Dataset) -> list[str]:
    """Return the tokens of a row as texts: "" for padding, □ for an unknown one."""
    column = texts_of(data) or characters_of(data)
    if column is None:
        return [str(int(i)) for i in np.ravel(x)]
    return [column.token(int(i)) for i in np.ravel(x)]
