"""Sums of a product that others read too: multiplied once more, within the sum.

Adam's second moment and a gradient's norm both need its square. XLA would write what
two read into memory, which takes longer than a second multiplication.
"""

from __future__ import annotations

from typing import Any

from chainrule.engines.xla.backend import Array, jnp, lax
from chainrule.graph.declare import Operation
from chainrule.graph.emit import emit
from chainrule.graph.graph import Graph, users
from chainrule.graph.node import Node, Value
from chainrule.graph.primitive import Primitive
from chainrule.graph.types import ArrayType
from chainrule.passes.rewrite import rewrite
from chainrule.primitives.elementwise import mul
from chainrule.primitives.movement import broadcast_to, reduce_sum


def _inner_type(a: ArrayType, b: ArrayType) -> ArrayType:
    return ArrayType((), a.dtype)


#: ∑ a b over all elements.
inner_sum = Operation(name="inner_sum", rule=_inner_type, internal=True)


def inner_sums(graph: Graph) -> Graph:
    """Return the graph with an ``inner_sum`` for each sum of a product with readers."""
    readers = users(graph)

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.primitive is not reduce_sum:
            return None
        (product,) = node.inputs
        made, rank = product.node, len(product.shape)
        if made is None or made.primitive is not mul or len(readers[product]) < 2:
            return None
        if len(node.attrs["axes"]) < rank or not product.dtype.is_float:
            return None
        if any(
            v.node is not None and v.node.primitive is broadcast_to for v in made.inputs
        ):
            return None
        assert inputs[0].node is not None
        return emit(inner_sum, inputs[0].node.inputs, {}, node)

    return rewrite(graph, rule)


def _inner(a: Array, b: Array) -> Array:
    a, b = lax.optimization_barrier((a, b))
    return jnp.sum(a * b, dtype=a.dtype)


SUMS: dict[Primitive, Any] = {inner_sum: _inner}
