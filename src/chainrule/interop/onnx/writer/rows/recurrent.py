"""Loops that are recurrent layers, which ONNX has as single operators.

A loop is one if its body is what a layer's step records: that of the same types is
traced and compared, node by node. Loops with masks or projections stay loops.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from chainrule.graph.emit import trace
from chainrule.graph.graph import Graph
from chainrule.graph.node import Value
from chainrule.graph.types import DType
from chainrule.interop.onnx.writer.emitter import Emitter, Ref
from chainrule.interop.onnx.writer.table import Call, number_in
from chainrule.nn import recurrent_cells as cells
from chainrule.primitives.elementwise import add
from chainrule.primitives.matmul import dot_general
from chainrule.primitives.movement import broadcast_to, reshape
from chainrule.tensor import wrap


@dataclass(frozen=True)
class _Kind:
    """An operator of ONNX for a recurrent layer.

    Attributes:
        operator: its name.
        order: which of our gates its rows of weights are.
        states: how many states it carries.
        attrs: its attributes.
    """

    operator: str
    order: tuple[int, ...]
    states: int
    attrs: dict[str, Any] = field(default_factory=dict[str, Any])


#: The operators, by the rule of a step: a new kind of layer is one row.
KINDS: dict[cells.Rule, _Kind] = {
    cells.lstm: _Kind("LSTM", (0, 3, 1, 2), 2),
    cells.gru: _Kind("GRU", (1, 0, 2), 1, {"linear_before_reset": 1}),
    cells.elman_tanh: _Kind("RNN", (0,), 1),
    cells.elman_relu: _Kind("RNN", (0,), 1, {"activations": ["Relu"]}),
}


def layer(c: Call) -> Sequence[Ref] | None:
    """Return a recurrent layer's results by one operator; None for another loop."""
    constants, carries = c.attrs["constants"], c.attrs["carries"]
    single = c.values[0].dtype is DType.float32  # ONNX Runtime has code for it alone
    if (
        not single
        or not 1 <= constants <= 2
        or len(c.inputs) != constants + carries + 1
    ):
        return None
    kind = _kind(c.attrs["body"], constants, carries)
    weights = c.values[0]
    product = _Product.of(c.values[-1]) if kind is not None else None
    if kind is None or product is None:
        return None
    e, ref = c.e, c.lowering.ref
    units = weights.shape[1]
    assert isinstance(units, int)
    inputs = [
        ref(product.x),
        _gates(e, ref(product.weight), kind, units),
        _gates(e, c.inputs[0], kind, units),
        _bias(c, product, kind, units),
        None,
        *_states(c, c.values[constants : constants + carries]),
    ]
    dtype = weights.dtype
    outputs = e.node(
        kind.operator,
        inputs,
        [dtype] * (1 + kind.states),
        hidden_size=units,
        direction="reverse" if c.attrs["reverse"] else None,
        **kind.attrs,
    )
    y, *last = outputs
    return [*(e.squeeze(state, 0) for state in last), e.squeeze(y, 1)]


def _kind(body: Graph, constants: int, carries: int) -> _Kind | None:
    """Return ONNX's recurrent operator that a scan's body computes, or None."""
    own = _form(body)
    for rule, kind in KINDS.items():
        if kind.states != carries or len(body.outputs) != carries + 1:
            continue

        def step(*values: Value, rule: cells.Rule = rule) -> list[Value]:
            tensors = [wrap(v) for v in values]
            weights = (tensors[0], tensors[1] if constants > 1 else None, None)
            state = tuple(tensors[constants : constants + carries])
            new = cells.next_states(rule, weights, state, tensors[-1])
            return [t.value for t in (*new, new[0])]

        rows, columns = body.inputs[0].shape[0], body.inputs[0].shape[-1]
        if rows != len(kind.order) * columns:
            continue
        if _form(trace(step, [v.type for v in body.inputs], name="step")) == own:
            return kind
    return None


def _form(graph: Graph) -> list[Any]:
    """Return a graph as numbers of values, primitives and attributes, to compare."""
    number = {v: i for i, v in enumerate(graph.values())}
    nodes = [
        (n.primitive, [number[v] for v in n.inputs], sorted(map(repr, n.attrs.items())))
        for n in graph.nodes
    ]
    return [[v.type for v in graph.inputs], nodes, [number[v] for v in graph.outputs]]


@dataclass(frozen=True)
class _Product:
    """W x + b for all steps at once, as a layer computes it before its loop."""

    x: Value
    weight: Value
    bias: Value | None

    @classmethod
    def of(cls, value: Value) -> _Product | None:
        """Return the product that a loop's sequence is, or None."""
        rank, steps = len(value.shape), value.shape[:2]
        made = _made(value, reshape)
        value = made[0] if made else value
        bias: Value | None = None
        if parts := _made(value, add):
            repeated = _made(parts[1], broadcast_to)
            if repeated is None or len(repeated[0].shape) != 1:
                return None
            value, bias = parts[0], repeated[0]
        factors = _made(value, dot_general)
        node = value.node
        if factors is None or node is None or node.attrs["dims"] != "ni,oi->no":
            return None
        x, weight = factors
        if source := _made(x, reshape):
            (x,) = source
        if rank != 3 or len(x.shape) != 3 or x.shape[:2] != steps:
            return None
        return cls(x, weight, bias)


def _made(value: Value, primitive: Any) -> tuple[Value, ...] | None:
    """Return the inputs of the primitive that computes a value, or None."""
    node = value.node
    return node.inputs if node is not None and node.primitive is primitive else None


def _gates(e: Emitter, weights: Ref, kind: _Kind, units: int) -> Ref:
    """Return weights with the rows of gates in ONNX's order, for one direction."""
    return e.unsqueeze(_ordered(e, weights, kind, units), 0)


def _ordered(e: Emitter, weights: Ref, kind: _Kind, units: int) -> Ref:
    if kind.order == tuple(range(len(kind.order))):
        return weights
    rows = [gate * units + i for gate in kind.order for i in range(units)]
    return e.gather(weights, e.ints(rows), 0)


def _bias(c: Call, product: _Product, kind: _Kind, units: int) -> Ref | None:
    """Return both biases as one, zeros for one that is not there."""
    e, ref = c.e, c.lowering.ref
    inner = c.inputs[1] if c.attrs["constants"] > 1 else None
    outer = None if product.bias is None else ref(product.bias)
    if inner is None and outer is None:
        return None

    def parts() -> Iterator[Ref]:
        for bias in (outer, inner):
            if bias is None:
                zero = e.scalar(0.0, c.inputs[0].dtype)
                yield e.expand(zero, (len(kind.order) * units,))
            else:
                yield _ordered(e, bias, kind, units)

    return e.unsqueeze(e.concat(list(parts()), 0), 0)


def _states(c: Call, states: Sequence[Value]) -> list[Ref | None]:
    """Return the first states, each for one direction; None where all are 0."""
    if all(number_in(state) == 0 for state in states):
        return []
    return [c.e.unsqueeze(c.lowering.ref(state), 0) for state in states]
