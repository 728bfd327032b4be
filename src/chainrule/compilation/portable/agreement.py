"""The check that a graph with named sizes agrees with graphs of fixed sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.compilation.tracing import Traced
from chainrule.errors import ChainruleError
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Array
from chainrule.graph.types import NO_SIZES, Sizes, has_floats, resolve


def agree(
    traced: Traced, fixed: Traced, sizes: Sizes, examples: Sequence[Array]
) -> bool:
    """Return whether a graph is for some sizes what a trace with these gave.

    It is if both are the same nodes; or if they give the same numbers for arrays like
    some examples. Sizes that one of them refuses are nobody's.
    """
    alike = _form(traced.entry.graph, sizes) == _form(fixed.entry.graph)
    if alike and _outside(traced) == _outside(fixed):
        return True
    shapes = [v.shape for v in fixed.entry.graph.inputs]
    arrays = [_away(_resized(a, shape)) for a, shape in zip(examples, shapes)]
    try:
        results = [_evaluated(t, arrays) for t in (traced, fixed)]
    except ChainruleError:
        return True
    return len(results[0]) == len(results[1]) and all(
        a.shape == b.shape
        and a.dtype == b.dtype
        and np.allclose(a, b, rtol=1e-4, atol=1e-6, equal_nan=True)
        for a, b in zip(*results)
    )


def _resized(array: Array, shape: Sequence[Any]) -> Array:
    """Return an array of other sizes, with the numbers of a given one over again."""
    if not array.size:
        return np.zeros(shape, array.dtype)
    for axis, size in enumerate(shape):
        if size != array.shape[axis]:
            array = np.take(array, np.arange(size) % array.shape[axis], axis)
    return array


def _away(array: Array) -> Array:
    """Return numbers near others, but not at 0, where much is equal."""
    if not has_floats(array):
        return array
    noise = np.random.default_rng(0).uniform(0.2, 0.6, array.shape)
    return (array + (np.abs(array) + 0.5) * noise).astype(array.dtype)


def _form(graph: Graph, sizes: Sizes = NO_SIZES) -> list[Any]:
    """Return a graph for some sizes as numbers and texts, to compare with another."""
    number = {v: i for i, v in enumerate(graph.values())}
    nodes = [
        (
            node.primitive,
            [number[v] for v in node.inputs],
            [
                _form(a, sizes) if isinstance(a, Graph) else repr(resolve(a, sizes))
                for __, a in sorted(node.attrs.items())
            ],
            [v and v.type.at(sizes) for v in node.outputs],
        )
        for node in graph.nodes
    ]
    return [nodes, [number[v] for v in graph.outputs]]


def _outside(traced: Traced) -> list[int]:
    """Return the identities of outside tensors that are inputs of a traced graph."""
    return [id(traced.slots[key].current()) for key in traced.entry.state]


def _evaluated(traced: Traced, arrays: list[Array]) -> tuple[Array, ...]:
    weights = map(_away, weights_of(traced).values())
    graph = traced.entry.graph
    with np.errstate(all="ignore"):
        return evaluate(graph, [*arrays, *weights])[: traced.entry.outputs]


def weights_of(traced: Traced) -> dict[str, Array]:
    """Return the arrays outside of a traced function by name, as they are now."""
    weights: dict[str, Array] = {}
    for key in traced.entry.state:
        tensor = traced.slots[key].current()
        assert tensor is not None
        weights[key] = tensor.numpy()
    return weights
