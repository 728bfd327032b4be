"""Run a graph node by node with the NumPy references.

This is the semantics of a graph: slow, obvious, and what every engine is held against.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from chainrule.errors import ShapeError
from chainrule.graph.graph import Graph
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.types import Shape, Size, resolve


def solve_n(shapes: Sequence[tuple[Shape, tuple[int, ...]]]) -> int | None:
    """N, from pairs of a symbolic shape and the shape that came; None without any N."""
    n: int | None = None
    for want, got in shapes:
        for dim, size in zip(want, got, strict=False):
            if isinstance(dim, Size):
                if size % dim.factor or (n is not None and n != size // dim.factor):
                    raise ShapeError(
                        "The inputs disagree about the number of samples N.",
                        expected=f"{dim} with N = {n}" if n else f"a multiple: {dim}",
                        got=str(size),
                        fix="give x and y the same number of rows",
                    )
                n = size // dim.factor
    return n


def run_nodes(
    graph: Graph, arrays: Sequence[Any], n: int | None = None
) -> Iterator[tuple[Node, dict[Value, Array]]]:
    """Run a graph, pausing after each node with the numbers known so far."""
    known: dict[Value, Array] = {}
    for value, array in zip(graph.inputs, arrays, strict=True):
        known[value] = np.asarray(array)
    if n is None:
        n = solve_n([(v.shape, known[v].shape) for v in graph.inputs])
    for node in graph.nodes:
        attrs = {k: resolve(a, n) for k, a in node.attrs.items()}
        results = node.primitive.reference(*(known[v] for v in node.inputs), **attrs)
        if not isinstance(results, tuple):
            results = (results,)
        for value, array in zip(node.outputs, results, strict=True):
            if value is not None:
                known[value] = np.asarray(array)
        yield node, known


def evaluate(
    graph: Graph, arrays: Sequence[Any], n: int | None = None
) -> tuple[Array, ...]:
    """The outputs of ``graph`` for these input arrays."""
    tape = graph.tape
    known: list[Any] = [None] * tape.slots
    known[: len(arrays)] = map(np.asarray, arrays)
    for i, array in tape.constants:
        known[i] = array
    if n is None and graph.symbolic:
        n = solve_n([(v.shape, a.shape) for v, a in zip(graph.inputs, known)])
    for reference, attrs, symbolic, ins, outs in tape.steps:
        if symbolic:
            attrs = {k: resolve(a, n) for k, a in attrs.items()}
        results = reference(*[known[i] for i in ins], **attrs)
        if type(results) is not tuple:
            known[outs[0]] = results
        else:
            for i, result in zip(outs, results):
                known[i] = result
    return tuple(np.asarray(known[i]) for i in tape.outputs)


def evaluate_all(
    graph: Graph,
    arrays: Sequence[Any],
    n: int | None = None,
    *,
    watch: Callable[[Node, dict[Value, Array]], None] | None = None,
) -> dict[Value, Array]:
    """Every value of ``graph`` by itself; ``watch`` sees each node as it runs."""
    known = {v: np.asarray(a) for v, a in zip(graph.inputs, arrays, strict=True)}
    for node, known in run_nodes(graph, arrays, n):
        if watch is not None:
            watch(node, known)
    return known
