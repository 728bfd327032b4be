"""Regions: parts of a graph that are one operator, though no composite marks them.

A region is described by the function of the library that records it. That is traced for
the types at hand, and what it records is looked for: the same primitives in the same
places. A number that is free (an ε, a scale) is traced as :data:`FREE`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.composites.activations import softmax
from chainrule.graph.emit import trace
from chainrule.graph.graph import Graph
from chainrule.graph.node import Value
from chainrule.graph.primitive import Primitive
from chainrule.graph.types import ArrayType, DType, SymbolicDim
from chainrule.interop.onnx.writer.emitter import Ref
from chainrule.interop.onnx.writer.table import Call
from chainrule.nn import dot_product_attention as attention
from chainrule.nn.batch_normalization import batch_norm
from chainrule.nn.normalization import rms_norm
from chainrule.passes import merge_common, simplify
from chainrule.primitives.creation import constant
from chainrule.primitives.elementwise import add, mul, where
from chainrule.primitives.matmul import dot_general
from chainrule.primitives.movement import broadcast_to
from chainrule.tensor import Tensor, wrap

Types = tuple[ArrayType, ...] | None
#: A number that stands for any.
FREE = float(np.float32(0.1234567))


@dataclass(frozen=True)
class Region:
    """A part of a graph that is one operator of ONNX.

    Attributes:
        root: the primitive that computes its result.
        types: the types of its inputs for a result of a type; None where it has none.
        function: records it, of tensors of these types.
        emit: writes the operator: the call, its inputs and the free number.
        since: the first opset that has the operator.
        once: a primitive whose result nothing else may read, so that it is not needed.
    """

    root: Primitive
    types: Callable[[Call], Types]
    function: Callable[..., Tensor]
    emit: Callable[[Call, Sequence[Value], float], Ref]
    since: int = 13
    once: Primitive | None = None


def region(c: Call) -> Ref | None:
    """Return a node's result as that of a whole region, or None.

    ONNX Runtime has these operators for float32 alone.
    """
    if c.out.dtype is not DType.float32:
        return None
    for candidate in REGIONS:
        if candidate.root is not c.node.primitive or c.e.opset < candidate.since:
            continue
        types = candidate.types(c)
        if types is None:
            continue
        found = _Match(_pattern(candidate.function, types))
        (result,) = found.graph.outputs
        (out,) = c.node.outputs
        if out is None or not found.same(result, out):
            continue
        if candidate.once is None or _read_once(c, found, candidate.once):
            inputs = [found.values[v] for v in found.graph.inputs]
            return candidate.emit(c, inputs, found.free)
    return None


@functools.lru_cache(maxsize=64)
def _pattern(function: Callable[..., Tensor], types: tuple[ArrayType, ...]) -> Graph:
    """Return the simplified graph of a function of tensors of given types."""

    def record(*values: Value) -> Value:
        return function(*map(wrap, values)).value

    return merge_common(simplify(trace(record, types, name="region")))


class _Match:
    """A walk back from two results, along a pattern and along a graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.free = graph, FREE
        self.values: dict[Value, Value] = {}

    def same(self, pattern: Value, value: Value) -> bool:
        """Return whether a value is computed as that of the pattern is."""
        known = self.values.get(pattern)
        if known is not None:
            return known is value
        if pattern.type != value.type:
            return False
        node, other = pattern.node, value.node
        self.values[pattern] = value
        if node is None:
            return True
        if other is None or node.primitive is not other.primitive:
            return False
        if node.primitive is constant and node.attrs["value"] == (FREE,):
            (self.free,) = other.attrs["value"]
            return True
        return (
            repr(node.attrs) == repr(other.attrs)
            and len(node.inputs) == len(other.inputs)
            and all(map(self.same, node.inputs, other.inputs))
        )


def _read_once(c: Call, found: _Match, primitive: Primitive) -> bool:
    """Return whether the values of a primitive in a region are read in it alone."""
    inner = {v.node for v in found.values.values()}
    made = (v for v in inner if v is not None and v.primitive is primitive)
    return all(
        inner.issuperset(c.lowering.readers(value))
        for node in made
        for value in node.outputs
        if value is not None
    )


# -- normalisation ---------------------------------------------------------------------


def _repeated(value: Value) -> Value | None:
    """Return the operand of a broadcast; None for another value."""
    node = value.node
    return node.inputs[0] if node and node.primitive is broadcast_to else None


def _rms_types(c: Call) -> Types:
    """Return the types of x and γ, which is repeated along the axes in front."""
    out, scale = c.out, _repeated(c.values[1])
    rank = 0 if scale is None else len(scale.shape)
    if scale is None or not 0 < rank < len(out.shape):
        return None
    return (out, scale.type) if out.shape[-rank:] == scale.shape else None


def _rms(x: Tensor, weight: Tensor) -> Tensor:
    return rms_norm(x, [int(n) for n in weight.shape], weight, FREE)


def _emit_rms(c: Call, inputs: Sequence[Value], eps: float) -> Ref:
    x, weight = map(c.lowering.ref, inputs)
    axis = -len(inputs[1].shape)
    return c.e.op("RMSNormalization", x, weight, axis=axis, epsilon=eps)


def _batch_types(c: Call) -> Types:
    """Return the types of x, and of what there is one of for each channel."""
    shape = c.out.shape
    if len(shape) < 2 or isinstance(shape[1], SymbolicDim):
        return None
    return (c.out, *[ArrayType((shape[1],), c.out.dtype)] * 4)


def _batch(x: Tensor, mean: Tensor, var: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    return batch_norm(x, mean, var, gamma, beta, eps=FREE)


def _emit_batch(c: Call, inputs: Sequence[Value], eps: float) -> Ref:
    x, mean, var, gamma, beta = map(c.lowering.ref, inputs)
    return c.e.op("BatchNormalization", x, gamma, beta, mean, var, epsilon=eps)


# -- attention -------------------------------------------------------------------------


def _attention_types(c: Call) -> Types:
    """Return the types of Q, K and V with an axis of heads, (N, H, L, E)."""
    weights, values = c.values
    if c.attrs["dims"] != "abmk,abkn->abmn":
        return None
    score: Value | None = weights
    while score is not None and score.node is not None:
        primitive, inputs = score.node.primitive, score.node.inputs
        if primitive is dot_general:
            batch, (steps, keys) = weights.shape[:2], weights.shape[2:]
            size = inputs[0].shape[-1]
            shapes = ((*batch, steps, size), (*batch, keys, size))
            types = [ArrayType(shape, c.out.dtype) for shape in shapes]
            return (*types, values.type)
        score = {where: inputs[1:2], softmax: inputs}.get(primitive, (None,))[0]
    return None


def _attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return attention.attend(q, k, v, (), 0.0, FREE)[0]


def _causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    mask = attention.causal((q.shape[-2], k.shape[-2]))
    return attention.attend(q, k, v, (mask,), 0.0, FREE)[0]


def _emit_attention(
    c: Call, inputs: Sequence[Value], scale: float, causal: int = 0
) -> Ref:
    q, k, v = map(c.lowering.ref, inputs)
    return c.e.op("Attention", q, k, v, scale=scale, is_causal=causal or None)


#: The regions; the first that fits is taken.
REGIONS = (
    Region(mul, _rms_types, _rms, _emit_rms, since=23),
    Region(add, _batch_types, _batch, _emit_batch, since=15),
    Region(
        dot_general,
        _attention_types,
        _attention,
        _emit_attention,
        since=23,
        once=softmax,
    ),
    Region(
        dot_general,
        _attention_types,
        _causal,
        functools.partial(_emit_attention, causal=1),
        since=23,
        once=softmax,
    ),
)
