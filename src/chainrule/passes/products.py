"""A graph pass that merges axes of tensor products, to get plain matrix products."""

from __future__ import annotations

from chainrule.graph.emit import emit
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.types import Dim
from chainrule.passes.rewrite import rewrite
from chainrule.primitives.matmul import dot_general, parse_dims
from chainrule.primitives.movement import reshape


def merge_letters(graph: Graph) -> Graph:
    """Return the graph with neighbouring axes of each tensor product merged.

    Two contracted letters, or two that belong to one operand and the result, are one
    axis where they stand side by side, in one order, wherever they occur. Then
    ``nti,oi->nto`` is a product of matrices; the operands are reshaped, and the result.
    """

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.primitive is not dot_general:
            return None
        d = parse_dims(node.attrs["dims"])
        parts = [d.lhs, d.rhs, d.out]
        sizes: list[dict[str, Dim]] = [
            dict(zip(part, v.shape)) for part, v in zip(parts, inputs)
        ]
        dims = sizes[0] | sizes[1]
        for group in (d.left, d.right, d.contracted):
            for first in group:
                while follower := _follower(first, group, parts):
                    dims[first] = dims[first] * dims[follower]
                    parts = [part.replace(follower, "") for part in parts]
        if parts[2] == d.out and parts[0] == d.lhs:
            return None
        operands: list[Value] = []
        for part, value in zip(parts, inputs):
            shape = tuple(dims[c] for c in part)
            if len(shape) != len(value.shape):
                (value,) = emit(reshape, (value,), {"shape": shape}, node)
            operands.append(value)
        attrs = node.attrs | {"dims": f"{parts[0]},{parts[1]}->{parts[2]}"}
        (product,) = emit(dot_general, tuple(operands), attrs, node)
        (out,) = node.outputs
        assert out is not None
        return emit(reshape, (product,), {"shape": out.shape}, node)

    return rewrite(graph, rule)


def _follower(first: str, group: str, parts: list[str]) -> str:
    """Return the axis letter that always follows ``first`` in a tensor product, or "".

    Letters of one group occur in the same operands.
    """
    followers = {part[part.index(first) + 1 :][:1] for part in parts if first in part}
    letter = followers.pop() if len(followers) == 1 else ""
    return letter if letter and letter in group else ""
