"""Conversion of a graph to float64.

Difference quotients need all the digits there are, and networks are float32. So the
graph of a function is recorded anew with float64 in place of float32 everywhere. A
value that the function itself rounds from float64 to float32 is rounded there, too.
"""

from __future__ import annotations

from typing import Any

from chainrule.graph.context import recording
from chainrule.graph.emit import emit, tracing
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.types import DType
from chainrule.primitives.elementwise import convert


def widened(graph: Graph) -> tuple[Graph, dict[Value, Value]]:
    """Return a graph converted to float64, and a mapping from old to new values.

    >>> from chainrule.graph.emit import trace
    >>> from chainrule.graph.types import ArrayType
    >>> from chainrule.primitives.elementwise import exp
    >>> graph, _ = widened(trace(exp, [ArrayType((2,), DType.float32)]))
    >>> [v.dtype.name for v in graph.values()]
    ['float64', 'float64']
    """
    new: dict[Value, Value] = {}
    for v in graph.inputs:
        made = Value(None, v.shape, _wide(v.dtype), name=v.name, tracked=v.tracked)
        new[v] = made
    with tracing(), recording():
        for node in graph.nodes:
            made = _again(node, tuple([new[v] for v in node.inputs]))
            for old, w in zip(node.outputs, made, strict=True):
                if old is not None:
                    w.tracked = old.tracked
                    new[old] = w
    ends = [new[v] for v in graph.inputs], [new[v] for v in graph.outputs]
    return Graph(graph.name, *ends), new


def _again(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
    if node.primitive is convert and _rounds(node):
        inputs = emit(convert, inputs, node.attrs, node)
    return emit(node.primitive, inputs, _attrs(node.attrs), node)


def _rounds(node: Node) -> bool:
    """Return whether a node converts float64 to float32."""
    narrow = node.attrs["dtype"] is DType.float32
    return narrow and node.inputs[0].dtype is DType.float64


def _attrs(attrs: dict[str, Any]) -> dict[str, Any]:
    wide: dict[str, Any] = {}
    for name, item in attrs.items():
        if isinstance(item, Graph):
            wide[name] = widened(item)[0]
        else:
            wide[name] = _wide(item) if isinstance(item, DType) else item
    return wide


def _wide(dtype: DType) -> DType:
    return DType.float64 if dtype is DType.float32 else dtype
