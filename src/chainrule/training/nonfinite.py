"""Diagnosis of a non-finite loss: the first graph node with NaN or infinity.

The loop finds the step by a replay; here that step is walked through once more, node by
node, by the NumPy references.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from chainrule.compilation.program import CompiledProgram
from chainrule.compilation.step_scalars import Supply
from chainrule.composites import losses
from chainrule.engines import Buffer, Parts
from chainrule.errors import NonFiniteError
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import run_nodes
from chainrule.graph.node import Array, Node
from chainrule.graph.types import has_floats
from chainrule.optim import RuleOptimizer
from chainrule.text import _, ngettext
from chainrule.training.source import StepInputs


def all_finite(*arrays: Array | Buffer) -> bool:
    """Return whether all arrays are free of NaN and infinity."""
    return all(
        a.is_finite()
        if isinstance(a, Buffer)
        else not has_floats(a) or bool(np.isfinite(a).all())
        for a in arrays
    )


def describe(
    program: CompiledProgram,
    entry: str,
    work: StepInputs,
    watched: Mapping[str, float],
    *,
    step: str,
    checkpoint: str | None,
) -> NonFiniteError:
    """Return the error for a training step with NaN or infinity, and its cause.

    Args:
        program: the program.
        entry: the entry point that ran.
        work: what it was given, one step.
        watched: the numbers that should have been finite.
        step: which step it was.
        checkpoint: the last one, or None.
    """
    tables = [table for table, __ in program.traced[entry].steps]
    if not tables:  # it adds up gradients for the step of another entry
        tables = [table for t in program.traced.values() for table, __ in t.steps]
    rates = [t.lr for t in tables if isinstance(t, RuleOptimizer)]
    first = first_node(program, entry, work)
    bad = next((k for k, number in watched.items() if not np.isfinite(number)), None)
    losses = ", ".join(f"{name} {number:g}" for name, number in watched.items())
    if bad is not None:
        what = _(
            "The {bad} is {watched} at {step}.",
            bad=bad,
            watched=watched[bad],
            step=step,
        )
    else:
        with_losses = f" ({losses})" if losses else ""
        what = _(
            "A weight stopped being a finite number in the update{with_losses} "
            "at {step}.",
            with_losses=with_losses,
            step=step,
        )
    where = _("no node by the NumPy references: the engines round differently there")
    if first is not None:
        where = _place(*first)
    elif not _complete(work):
        where = _("not looked for, since no process has all rows of the step")
    fixes = [] if first is None else _hints(first[0])
    for rate in rates[:1]:
        if rate < 0:
            fixes.append(
                _("take a positive learning rate (it was {rate:.3g})", rate=rate)
            )
        else:
            fixes.append(
                _("lower the learning rate (it was {rate:.3g} at this step)", rate=rate)
            )
    fixes.append(_("look for huge values in the data"))
    fixes.append(_("the model keeps the weights of before this step"))
    if checkpoint:
        fixes.append(_("last good checkpoint: {checkpoint}", checkpoint=checkpoint))
    return NonFiniteError(
        what,
        expected=_("finite numbers in the loss, the gradients and the weights"),
        got=_("the first value that is not finite: {where}", where=where),
        fix="; ".join(fixes),
    )


#: Operations that have a result at points where their derivative is not finite.
POLES = {"sqrt", "rsqrt", "pow", "log", "log1p", "div"}
POLES |= {"asin", "acos", "acosh", "atanh"}


def _hints(node: Node) -> list[str]:
    """Return suggested fixes for a derivative, and for the log of a probability."""
    if node.derived is not None and node.derived.primitive.name in POLES:
        forward = node.derived.primitive.name
        return [
            _(
                "keep the input of {forward} off the point where its derivative is not "
                "finite, such as 0 of a root",
                forward=forward,
            )
        ]
    if node.primitive is not losses.log_score:
        return []
    return [
        _(
            "the loss takes probabilities: end the network in nn.Sigmoid() or "
            "nn.Softmax(), or take the loss of scores, nn.BCEWithLogitsLoss() or "
            "nn.CrossEntropyLoss()"
        )
    ]


def first_node(
    program: CompiledProgram, name: str, work: StepInputs
) -> tuple[Node, Array] | None:
    """Find the first graph node of a training step whose result is not finite."""
    if not _complete(work):
        return None
    graph, arrays = step_of(program, name, work)
    with np.errstate(all="ignore"):
        for node, known in run_nodes(graph, arrays):
            for value in node.outputs:
                if value is not None and not all_finite(known[value]):
                    return node, known[value]
    return None


def _complete(work: StepInputs) -> bool:
    """Return whether this process has all rows of a step."""
    inputs = work.inputs.values()
    return all(item.complete for item in inputs if isinstance(item, Parts))


def step_of(
    program: CompiledProgram, name: str, work: StepInputs
) -> tuple[Graph, list[Array]]:
    """Return the graph of a training step, without probes, and what it is given.

    The loss is its first output; the new state follows.
    """
    traced = program.traced[name]
    entry = traced.entry
    # A probe may overflow (a sum of squares) where training does not: leave them out.
    outputs = entry.graph.outputs
    losses = outputs[: min(1, entry.outputs)]
    graph = Graph("step", entry.graph.inputs, (*losses, *outputs[entry.outputs :]))
    rows: dict[str, Array] = {}
    for table in traced.steps:
        Supply(*table, traced.tables.values()).supply(rows, None)
    arrays: list[Array] = []
    names = (*entry.inputs, *entry.state)
    for i, (name, value) in enumerate(zip(names, entry.graph.inputs, strict=True)):
        if i >= len(entry.inputs):
            tensor = program.slots[name].current()  # a gradient may not be there yet
            array = np.zeros(value.shape) if tensor is None else tensor.numpy()
        elif name in rows:
            array = rows[name]
        else:
            item = work.inputs[name]
            array = item.numpy() if isinstance(item, Buffer) else np.asarray(item)
            if work.steps is not None and name in entry.each:
                array = array[0]
        with np.errstate(over="ignore"):
            arrays.append(np.asarray(array).astype(value.dtype.numpy, copy=False))
    return graph, arrays


def _place(node: Node, array: Array) -> str:
    """Describe a graph node with NaN or infinity: operation, layer and source line."""
    wrong = np.ravel(array)[~np.isfinite(np.ravel(array))]
    name = node.primitive.name
    if node.derived is not None:
        forward = node.derived.primitive.name
        name = _("{name} of the derivative of {forward}", name=name, forward=forward)
    if node.scope:
        name = _("{name} in '{scope}'", name=name, scope=node.scope)
    source = (node.derived or node).source or node.source
    origin = ", ".join(part for part in (node.role, source) if part)
    if array.size == 1:
        return _(
            "{wrong} of {name} ({origin})", wrong=wrong[0], name=name, origin=origin
        )
    return ngettext(
        "{wrong} in {size} of {n} number of {name} ({origin})",
        "{wrong} in {size} of {n} numbers of {name} ({origin})",
        n=array.size,
        wrong=wrong[0],
        size=wrong.size,
        name=name,
        origin=origin,
    )
