"""Conversion of a graph to float64, for what needs more digits than float32 has.

Difference quotients need all the digits there are, and what float32 has rounded cannot
tell a wrong formula from a right one where numbers cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from chainrule.graph.emit import tracing
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.types import DType

#: Records a node with other inputs; returns the outputs that the graph has.
Recorder = Callable[[Node, tuple[Value, ...]], Iterable[Value]]


def upcast(graph: Graph, record: Recorder) -> tuple[Graph, dict[Value, Value]]:
    """Return a graph converted to float64, and a mapping from old to new values.

    Args:
        graph: in any dtypes; integers and truth values stay.
        record: records a node in float64, given its new inputs.

    >>> from chainrule.graph.emit import emit, trace
    >>> from chainrule.graph.types import ArrayType
    >>> from chainrule.primitives.elementwise import exp
    >>> graph = trace(exp, [ArrayType((2,), DType.float32)])
    >>> wide, _ = upcast(graph, lambda node, inputs: emit(node.primitive, inputs, {}))
    >>> [v.dtype.name for v in wide.values()]
    ['float64', 'float64']
    """
    new: dict[Value, Value] = {}
    for v in graph.inputs:
        dtype = upcast_dtype(v.dtype)
        new[v] = Value(None, v.shape, dtype, name=v.name, tracked=v.tracked)
    with tracing():
        for node in graph.nodes:
            outputs = record(node, tuple([new[v] for v in node.inputs]))
            old_outputs = [v for v in node.outputs if v is not None]
            for old, output in zip(old_outputs, outputs, strict=True):
                output.tracked = old.tracked
                new[old] = output
    ends = [new[v] for v in graph.inputs], [new[v] for v in graph.outputs]
    return Graph(graph.name, *ends), new


def upcast_dtype(dtype: DType) -> DType:
    """Return float64 for a floating dtype, and any other dtype itself."""
    return DType.float64 if dtype.is_float else dtype


def upcast_attrs(attrs: Mapping[str, Any], record: Recorder) -> dict[str, Any]:
    """Return a node's attributes with dtypes and graphs converted to float64."""

    def converted(item: Any) -> Any:
        if isinstance(item, Graph):
            return upcast(item, record)[0]
        return upcast_dtype(item) if isinstance(item, DType) else item

    return {name: converted(item) for name, item in attrs.items()}
