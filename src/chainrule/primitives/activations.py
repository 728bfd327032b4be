"""Regions: activation functions that are more than one primitive."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.graph.node import Value
from chainrule.graph.primitive import Case, Cotangent, region
from chainrule.primitives.elementwise import (
    abs_,
    add,
    div,
    exp,
    less,
    log,
    maximum,
    mul,
    neg,
    sub,
    where,
)
from chainrule.primitives.reduce import expand, reduce_max, reduce_sum
from chainrule.primitives.rules import full_like

# Of a region with one output a derivative is asked for only when that has a cotangent.
Cotangents = tuple[Value]
Outputs = tuple[Value]
Inputs = tuple[Value, ...]

_ROWS = (
    Case(("f[5]",), {"axis": 0}),
    Case(("f[4,10]",), {"axis": 1}),
    Case(("f[3,2,7]",), {"axis": 1}),
    Case(("f[1,1]",), {"axis": 1}),
)


def relu(x: Value) -> Value:
    """max(x, 0), with ReLU′(0) = 0 as ``maximum`` declares."""
    return maximum(x, full_like(x, 0.0))


def _sigmoid_vjp(
    gs: Cotangents, ys: Outputs, inputs: Inputs, needed: Sequence[bool]
) -> Sequence[Cotangent]:
    (g,), (a,) = gs, ys
    return (mul(g, mul(a, sub(full_like(a, 1.0), a))),)


@region(
    "sigmoid",
    vjp=_sigmoid_vjp,
    formula=r"\sigma({0})",
    source="textbook 2.7; σ(x) = 1/(1+e⁻ˣ), with e^(−|x|) so that nothing overflows",
    cases=tuple(Case((f"f[{s}]",)) for s in ("", "0", "7", "3,4")),
)
def sigmoid(x: Value) -> Value:
    """σ(x) = 1 / (1 + e⁻ˣ); its derivative is σ(x)(1 − σ(x))."""
    e = exp(neg(abs_(x)))
    one = full_like(x, 1.0)
    return div(where(less(x, full_like(x, 0.0)), e, one), add(one, e))


def _shifted_exp(x: Value, axis: int) -> tuple[Value, Value, Value]:
    """x − max x, its exponential and the sum of that: what stable softmax shares."""
    shifted = sub(x, expand(reduce_max(x, axes=(axis,)), x, (axis,)))
    e = exp(shifted)
    return shifted, e, reduce_sum(e, axes=(axis,))


def _softmax_vjp(
    gs: Cotangents, ys: Outputs, inputs: Inputs, needed: Sequence[bool], *, axis: int
) -> Sequence[Cotangent]:
    (g,), (y,) = gs, ys
    inner = expand(reduce_sum(mul(g, y), axes=(axis,)), y, (axis,))
    return (mul(y, sub(g, inner)),)


@region(
    "softmax",
    vjp=_softmax_vjp,
    formula=r"\operatorname{{softmax}}({0})",
    source="textbook 3.2.3; Bridle 1990; shifted by the maximum so nothing overflows",
    cases=_ROWS,
)
def softmax(x: Value, axis: int) -> Value:
    """e^xᵢ / Σⱼ e^xⱼ along ``axis``; δ = Jᵀg = y ⊙ (g − Σ g ⊙ y)."""
    _, e, total = _shifted_exp(x, axis)
    return div(e, expand(total, x, (axis,)))


def _log_softmax_vjp(
    gs: Cotangents, ys: Outputs, inputs: Inputs, needed: Sequence[bool], *, axis: int
) -> Sequence[Cotangent]:
    (g,), (x,) = gs, inputs
    total = expand(reduce_sum(g, axes=(axis,)), g, (axis,))
    return (sub(g, mul(softmax(x, axis=axis), total)),)


@region(
    "log_softmax",
    vjp=_log_softmax_vjp,
    formula=r"\ln\operatorname{{softmax}}({0})",
    source="logarithm of softmax without forming it: x − max x − ln Σ e^(x − max x)",
    cases=_ROWS,
)
def log_softmax(x: Value, axis: int) -> Value:
    """xᵢ − ln Σⱼ e^xⱼ along ``axis``."""
    shifted, _, total = _shifted_exp(x, axis)
    return sub(shifted, expand(log(total), x, (axis,)))
