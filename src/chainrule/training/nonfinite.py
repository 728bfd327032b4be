"""A loss that is no longer a number: the node where it began.

The loop finds the step by a replay; here that step is walked through once more, node by
node, by the NumPy references.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chainrule.compiled import CompiledProgram
from chainrule.errors import NonFiniteError
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import run_nodes
from chainrule.graph.node import Array, Node
from chainrule.regions import losses


def all_finite(*arrays: Array) -> bool:
    """Whether the arrays hold neither NaN nor infinity; integers never do."""
    return all(a.dtype.kind != "f" or bool(np.isfinite(a).all()) for a in arrays)


def describe(
    program: CompiledProgram, inputs: Mapping[str, Any], loss: float
) -> Callable[..., NonFiniteError]:
    """The error for a training step that goes wrong on the program's present state.

    Args:
        program: with the entry point ``train``.
        inputs: of that one step.
        loss: what the step gave.

    Returns:
        A function of the step's name, η and the last checkpoint (or None).
    """
    found = first_node(program, inputs)
    if np.isfinite(loss):
        what = f"A weight stopped being a finite number in the update (loss {loss:g})"
    else:
        what = f"The loss is {loss}"
    where = "no node by the NumPy references: the engines round differently there"
    if found is not None:
        where = _place(*found)
    hint = "" if found is None else _hint(found[0])

    def error(step: str, lr: float, checkpoint: str | None) -> NonFiniteError:
        kept = "the model keeps the weights of before this step"
        if checkpoint is not None:
            kept += f"; last good checkpoint: {checkpoint}"
        return NonFiniteError(
            f"{what} at {step}.",
            expected="finite numbers in the loss, the gradients and the weights",
            got=f"the first value that is not finite: {where}",
            fix=hint + _of_rate(lr) + f"look for huge values in the data; {kept}",
        )

    return error


def _of_rate(lr: float) -> str:
    """What to do about the learning rate."""
    if lr < 0:
        return f"take a positive learning rate (it was {lr:.3g} at this step), and "
    return f"lower the learning rate (it was {lr:.3g} at this step), and "


def _hint(node: Node) -> str:
    """What to do first where the logarithm of a probability is at fault."""
    if node.primitive is not losses.log_score:
        return ""
    return (
        "the loss takes probabilities: end the network in nn.Sigmoid() or "
        "nn.Softmax(), or take the loss of scores, nn.BCEWithLogitsLoss() or "
        "nn.CrossEntropyLoss(); "
    )


def first_node(
    program: CompiledProgram, inputs: Mapping[str, Any]
) -> tuple[Node, Array] | None:
    """The first node of the training step whose result is not finite, and that."""
    traced = program.traced["train"]
    entry = traced.entry
    # A probe may overflow (a sum of squares) where training does not: leave them out.
    outputs = entry.graph.outputs
    graph = Graph("step", entry.graph.inputs, (outputs[0], *outputs[entry.outputs :]))
    rows: dict[int, Any] = {}
    arrays: list[Array] = []
    names = (*entry.inputs, *entry.state)
    for i, (name, value) in enumerate(zip(names, entry.graph.inputs, strict=True)):
        if i >= len(entry.inputs):
            array = program.tensors[name].numpy()
        elif name in traced.tables:
            _, table, key = traced.tables[name]
            if id(table) not in rows:
                rows[id(table)] = table.rows(1)
            array = rows[id(table)][key][0]
        else:
            array = inputs[name]
        with np.errstate(over="ignore"):
            arrays.append(np.asarray(array).astype(value.dtype.numpy, copy=False))
    with np.errstate(all="ignore"):
        for node, known in run_nodes(graph, arrays, {"N": len(inputs["index"])}):
            for value in node.outputs:
                if value is not None and not all_finite(known[value]):
                    return node, known[value]
    return None


def _place(node: Node, array: Array) -> str:
    """``inf in 3 of 320 numbers of exp in '2' (forward, train.py:12)``."""
    wrong = np.ravel(array)[~np.isfinite(np.ravel(array))]
    count = f" in {wrong.size} of {array.size} numbers" if array.size > 1 else ""
    where = f" in '{node.scope}'" if node.scope else ""
    origin = ", ".join(part for part in (node.role, node.source) if part)
    return f"{wrong[0]}{count} of {node.primitive.name}{where} ({origin})"
