r"""Forward mode: the derivative of every value of a graph along a direction.

    for each node, first one first:
        ẏ = ∂y/∂x · ẋ,   where uᵀ ∂y/∂x is its derivative rule

A rule of the reverse mode is linear in u, so its own derivative is the map that forward
mode needs: there are no rules beside those. What a node's map is, as a graph, is worked
out once for its types.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.autodiff import cotangents, inline
from chainrule.errors import GradientError
from chainrule.graph.context import absolute_scope, context, no_grad, recording
from chainrule.graph.emit import any_tracked, trace
from chainrule.graph.graph import Graph, ancestors
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Node, Value
from chainrule.graph.primitive import DERIVATIVES
from chainrule.primitives.elementwise import add
from chainrule.primitives.movement import full_like
from chainrule.text import _
from chainrule.util.bounded import Bounded

Values = Sequence[Value]
Maybe = Sequence[Value | None]

#: The maps of nodes, by primitive, types and attributes.
_maps: Bounded[Any, Graph] = Bounded(1024)


def tangents(roots: Values, seeds: Mapping[Value, Value]) -> dict[Value, Value]:
    """Return ∂v/∂x · ẋ of all values v on the way from the seeds to the roots.

    Args:
        roots: the results.
        seeds: the directions ẋ, by the values x.
    """
    known = dict(seeds)
    for node in ancestors(roots, list(seeds)):
        directions = tuple([known.get(v) for v in node.inputs])
        outputs = [y for y in node.outputs if y is not None]
        if not any_tracked(tuple(outputs)) or all(t is None for t in directions):
            continue
        with absolute_scope(node.scope, context.role, node):
            known.update(zip(outputs, _pushed(node, directions, outputs), strict=True))
    return known


def _pushed(node: Node, directions: Maybe, outputs: Values) -> Values:
    """Return the derivatives of a node's outputs along its inputs' directions."""
    given = [t for t in directions if t is not None]
    values = (*node.inputs, *given, *outputs)
    own = node.primitive.internal or any(
        isinstance(item, Graph) for item in node.attrs.values()
    )
    if own and context.trace is None:  # a user's function, or a body that is new
        return _map(node, directions, (*values, *map(_zeros, outputs)))
    key = (
        *(node.primitive, *((v.shape, v.dtype) for v in values)),
        *(t is None for t in directions),
        *(y is None for y in node.outputs),
        *node.attrs.values(),
    )
    graph = None if own else _maps.get(key)
    if graph is None:
        # A composite's rule looks for what is tracked in its body.
        graph = trace(
            lambda *values: _map(node, directions, values),
            [v.type for v in (*values, *outputs)],
            name=f"{node.primitive.name}_jvp",
            tracked=True,
        )
        if not own:
            _maps[key] = graph
    recorded = context.trace is not None or (context.grad and any_tracked(values))
    values = (*values, *map(_zeros, outputs))
    if recorded:
        return inline(graph, values)
    return [Value(array) for array in evaluate(graph, [v.array for v in values])]


def _zeros(y: Value) -> Value:
    """Return zeros as the cotangent u of a value: no result depends on its numbers."""
    if context.trace is not None:
        return full_like(y, 0)
    assert y.array is not None
    zeros = np.broadcast_to(np.zeros((), y.dtype.numpy), y.array.shape)
    return Value(zeros, tracked=y.dtype.is_float)


def _map(node: Node, directions: Maybe, values: Values) -> Values:
    """Compute ∂y/∂x · ẋ as the derivative of u ↦ uᵀ ∂y/∂x, which is linear in u.

    ``values`` are the inputs x, the directions ẋ that there are, the outputs y and u.
    """
    rest = iter(values)
    inputs = tuple([next(rest) for _v in node.inputs])
    along = [None if t is None else next(rest) for t in directions]
    outputs = tuple([None if y is None else next(rest) for y in node.outputs])
    starts = list(rest)
    each = iter(starts)
    gs = tuple([None if y is None else next(each) for y in outputs])
    needed = tuple([t is not None for t in directions])
    with recording():
        rule = DERIVATIVES[node.primitive]
        pulled = rule(gs, outputs, inputs, needed, **node.attrs)
    roots: dict[Value, Value] = {}
    for v, t in zip(pulled, along, strict=True):
        if v is not None and t is not None and v.tracked:
            roots[v] = add(roots[v], t) if v in roots else t
    known = cotangents(roots, stop=values)
    missing = [u for u in starts if u not in known]
    if missing and node.primitive.internal:  # a user's function
        probes = {u: _probe(u) for u in missing}
        each = iter([probes.get(u, u) for u in starts])
        gs = tuple([None if y is None else next(each) for y in outputs])
        with no_grad():
            pulled = rule(gs, outputs, inputs, needed, **node.attrs)
        pairs = zip(pulled, along, strict=True)
        found = [v for v, t in pairs if v is not None and t is not None]
        if _depend(found, probes.values()):
            raise _unrecorded(node)
    return [known[u] if u in known else full_like(u, 0) for u in starts]


def _probe(u: Value) -> Value:
    """Return numbers of no regularity, of which a linear map that is not 0 makes some.

    While tracing there are none, and u stays.
    """
    if u.array is None or not u.dtype.is_float:
        return u
    numbers = np.cos(np.arange(u.array.size)) + 2
    return Value(numbers.reshape(u.array.shape).astype(u.array.dtype))


def _depend(results: Values, probes: Iterable[Value]) -> bool:
    """Return whether what a linear function gives for these numbers depends on them."""
    if context.trace is None:
        return any(v.array is not None and v.array.any() for v in results)
    nodes = ancestors(results)
    read = {id(v) for v in (*results, *[v for node in nodes for v in node.inputs])}
    return any(id(u) in read for u in probes)


def _unrecorded(node: Node) -> GradientError:
    name = getattr(node.attrs.get("call"), "name", node.primitive.name)
    return GradientError(
        _("{name}.backward is not made of operations that are recorded.", name=name),
        expected=_("a backward that has a derivative, which forward mode needs"),
        got=_("NumPy's functions, no_grad() or once_differentiable within it"),
        fix=_("cr.jacobian(f)(x) @ t, or tensors' operations in {name}", name=name),
    )
