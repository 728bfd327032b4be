r"""Reverse-mode automatic differentiation: the chain rule over a graph.

If :math:`y = f(u)` and :math:`u = g(x)`, then dy/dx = dy/du · du/dx (3.4.1). A network
is a composition of many functions, so back-propagation applies that one rule node after
node, from the loss to the inputs, carrying for each value v its *cotangent* ∂ℒ/∂v:

    for each node, last first:
        cotangents of its inputs += its derivative rule(cotangents of its outputs)

For a layer's weighted input z⁽ˡ⁾ that cotangent is the book's error term δ⁽ˡ⁾
(3.4.2); for a weight it is the gradient ∂ℒ/∂W⁽ˡ⁾. The derivative rules are written in
primitives, so what comes out is a graph again: it can be differentiated once more,
compiled and explained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chainrule.errors import GradientError
from chainrule.graph.apply import apply
from chainrule.graph.context import absolute_scope, context, recording
from chainrule.graph.emit import clone
from chainrule.graph.graph import Graph, ancestors
from chainrule.graph.hooks import gradient_hooks
from chainrule.graph.node import Cotangent, Node, Value
from chainrule.graph.primitive import DERIVATIVES, as_tuple
from chainrule.primitives.elementwise import add
from chainrule.primitives.movement import reshape
from chainrule.text import _


def cotangents(
    roots: Mapping[Value, Value],
    *,
    stop: Sequence[Value] = (),
    keep: Callable[[Value], bool] | None = None,
    free: bool = False,
) -> dict[Value, Value]:
    """Return the gradients ∂ℒ/∂v of all values v that the roots depend on.

    Args:
        roots: the outputs and their cotangents; for a scalar loss ``{loss: 1}``.
        stop: values behind which the walk does not go.
        keep: whether the cotangent of a computed value is wanted; all are by default.
            The others go as soon as the walk has passed the node that computed them.
        free: forget each node as soon as the walk has passed it.

    Returns:
        A map from each forward value to its cotangent, of the same shape.
    """
    known = dict(roots)
    hooked = gradient_hooks.version > 0
    for node in reversed(ancestors(roots, stop)):
        outputs = node.outputs
        if hooked:
            for y in outputs:
                if y is not None and y in known:
                    known[y] = gradient_hooks.called(y, known[y])
        # Lists, not generators: eager code comes here for every operation.
        gs = tuple([None if y is None else known.get(y) for y in outputs])
        if gs.count(None) == len(gs):
            continue
        if "freed" in node.attrs:
            why = node.attrs["freed"]
            raise GradientError(
                **why, got=_("a freed {name}", name=node.primitive.name)
            )
        needed = tuple([v.tracked and v.dtype.is_float for v in node.inputs])
        if True not in needed:
            continue
        with absolute_scope(node.scope, "backward", node):
            rule = DERIVATIVES[node.primitive]
            contributions = rule(gs, outputs, node.inputs, needed, **node.attrs)
            for value, g, need in zip(node.inputs, contributions, needed, strict=True):
                if g is not None and need:
                    known[value] = plus(known[value], g) if value in known else g
        if keep is not None:
            for y in outputs:
                if y is not None and not keep(y):
                    known.pop(y, None)
        if free:
            node.free()
    if hooked:  # of leaves, whose cotangents are whole now
        for value, g in known.items():
            if value.node is None or value.owner is not None:
                known[value] = gradient_hooks.called(value, g)
    return known


def plus(first: Value, second: Value) -> Value:
    """Return the sum of two cotangents; that of rows of a table has these rows."""
    rows = first.joined(second)
    return add(first, second) if rows is None else rows


def vjp(
    function: Callable[..., Any],
    inputs: tuple[Value, ...],
    gs: Sequence[Cotangent],
    needed: Sequence[bool],
    attrs: dict[str, Any],
) -> list[Cotangent]:
    """Compute the vector-Jacobian product of a function, from its outputs' gradients.

    This is the derivative of a composite, taken from its body.
    """
    pairs = zip(inputs, needed, strict=True)
    inputs = tuple([_tracked(v) if need else v for v, need in pairs])
    with recording():
        ys: tuple[Value, ...] = as_tuple(function(*inputs, **attrs))
    roots: dict[Value, Value] = {}
    for y, g in zip(ys, gs, strict=True):
        if g is not None:
            roots[y] = add(roots[y], g) if y in roots else g
    known = cotangents(roots, stop=inputs)
    # A value that is given twice has one cotangent, the sum: hand it out once.
    return [
        known.get(v) if need and v not in inputs[:i] else None
        for i, (v, need) in enumerate(zip(inputs, needed, strict=True))
    ]


def _tracked(value: Value) -> Value:
    """Return a value that records derivatives here.

    In a trace, numbers from outside are a constant, which does not.
    """
    here = value if context.trace is None else context.trace.operand(value)
    if here.tracked:
        return here
    copy = reshape(here, shape=here.shape)
    copy.tracked = True
    return copy


def inline(
    graph: Graph,
    inputs: Sequence[Value],
    *,
    origin: Node | None = None,
    keep_constants: bool = False,
) -> tuple[Value, ...]:
    """Apply a graph to other values, by copying or evaluating its nodes.

    The nodes keep their scope and role; with ``origin`` they take that node's instead.
    With ``keep_constants`` what was recorded without derivatives has none here either.
    """
    known = dict(zip(graph.inputs, inputs, strict=True))
    symbolic = context.trace is not None
    for node in graph.nodes:
        arguments = tuple([known[v] for v in node.inputs])
        if symbolic:
            results = clone(node, arguments, origin=origin)
        else:
            results = as_tuple(apply(node.primitive, arguments, node.attrs))
        for old, new in zip(node.outputs, results, strict=True):
            if old is not None:
                known[old] = new
                if keep_constants and not old.tracked:
                    new.tracked = False
    return tuple(known[v] for v in graph.outputs)
