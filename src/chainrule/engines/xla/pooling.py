"""The derivative of max pooling as one operation, in place of an addition by index.

XLA adds by index one element after the other. Where each window's gradient goes to one
of its own elements, that is a choice for each element instead.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.engines.xla.backend import Array, jnp, lax
from chainrule.graph.declare import Operation
from chainrule.graph.emit import emit
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.primitive import Primitive
from chainrule.graph.types import ArrayType, Shape
from chainrule.passes.rewrite import rewrite
from chainrule.primitives.creation import constant
from chainrule.primitives.indexing import scatter_add_along
from chainrule.primitives.movement import broadcast_to, reshape, transpose
from chainrule.primitives.sliding import Ints, Pads
from chainrule.primitives.windows import window_argmax, window_best


def _spread_type(
    places: ArrayType, g: ArrayType, *, shape: Shape, **attrs: Any
) -> ArrayType:
    return ArrayType(shape, g.dtype)


#: Zeros of a shape with g added at the places that ``window_argmax`` has found.
window_spread = Operation(name="window_spread", rule=_spread_type, internal=True)


def spread_windows(graph: Graph) -> Graph:
    """Return the graph with ``window_spread`` in place of additions by index."""

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.primitive is not scatter_add_along or not _is_zero(node.inputs[0]):
            return None
        chain: list[Node] = []
        places = inputs[1]
        while (made := places.node) is not None and made.primitive in (
            reshape,
            transpose,
        ):
            chain.append(made)
            places = made.inputs[0]
        window = places.node
        if window is None or window.primitive not in (window_best, window_argmax):
            return None
        x, axes = window.inputs[0], window.attrs["axes"]
        order = (*(i for i in range(len(x.shape)) if i not in axes), *axes)
        if not _lines(chain, order) or node.attrs["axis"] != len(order) - len(axes):
            return None
        g = inputs[2]
        for step in chain:
            back = {"shape": step.inputs[0].shape}
            if step.primitive is transpose:
                back = {"axes": tuple(np.argsort(step.attrs["axes"]).tolist())}
            (g,) = emit(step.primitive, (g,), back, node)
        attrs = {**window.attrs, "shape": x.shape}
        (whole,) = emit(window_spread, (places, g), attrs, node)
        if order != tuple(range(len(order))):
            (whole,) = emit(transpose, (whole,), {"axes": order}, node)
        return emit(reshape, (whole,), {"shape": node.inputs[0].shape}, node)

    return rewrite(graph, rule)


def _is_zero(value: Value) -> bool:
    node = value.node
    while node is not None and node.primitive in (broadcast_to, reshape):
        node = node.inputs[0].node
    return (
        node is not None and node.primitive is constant and not any(node.attrs["value"])
    )


def _lines(chain: list[Node], order: Ints) -> bool:
    """Return whether nodes, the last first, put axes in order and then in a line."""
    if order == tuple(range(len(order))):
        return all(node.primitive is reshape for node in chain)
    names = [node.primitive for node in chain]
    return names == [reshape, transpose] and chain[1].attrs["axes"] == order


def _spread(
    places: Array,
    g: Array,
    *,
    shape: Ints,
    axes: Ints,
    window: Ints,
    strides: Ints,
    padding: Pads,
    dilation: Ints,
) -> Array:
    """Return zeros of a shape with g added where windows have their largest element."""
    rank = len(shape)
    step = [math.prod(shape[a] for a in axes[i + 1 :]) for i in range(len(axes))]
    beside = window == strides and not any(map(any, padding)) and set(dilation) <= {1}
    if beside:
        number = sum(
            lax.broadcasted_iota(places.dtype, shape, a) * s
            for a, s in zip(axes, step, strict=True)
        )
        wide = [_repeated(item, shape, axes, window) for item in (places, g)]
        zero = jnp.zeros(shape, g.dtype)
        return lax.select(lax.eq(wide[0], jnp.asarray(number)), wide[1], zero)
    total = jnp.zeros(shape, g.dtype)
    for tap in np.ndindex(*window):
        position, pads = jnp.zeros((), places.dtype), [(0, 0, 0)] * rank
        for i, (a, k) in enumerate(zip(axes, tap, strict=True)):
            first = k * dilation[i] - padding[i][0]
            count = lax.broadcasted_iota(places.dtype, places.shape, a)
            position = position + step[i] * (strides[i] * count + first)
            reach = (places.shape[a] - 1) * strides[i] + 1 + first
            pads[a] = (first, shape[a] - reach, strides[i] - 1)
        here = jnp.where(places == position, g, jnp.zeros_like(g))
        total = total + lax.pad(here, g.dtype.type(0), pads)
    return total


def _repeated(x: Array, shape: Ints, axes: Ints, window: Ints) -> Array:
    """Return an array with each element as large as its window; −1 or 0 behind."""
    times = dict(zip(axes, window, strict=True))
    apart, wide, whole = list[int](), list[int](), list[int]()
    for i, n in enumerate(x.shape):
        apart += [n, 1] if i in times else [n]
        wide += [n, times[i]] if i in times else [n]
        whole.append(n * times.get(i, 1))
    x = jnp.broadcast_to(x.reshape(apart), wide).reshape(whole)
    fill = x.dtype.type(0 if jnp.issubdtype(x.dtype, np.floating) else -1)
    rest = [(0, n - m, 0) for n, m in zip(shape, whole, strict=True)]
    return lax.pad(x, fill, rest)


POOLING: dict[Primitive, Any] = {window_spread: _spread}
