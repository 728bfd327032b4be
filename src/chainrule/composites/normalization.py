"""Composites for normalisation layers: scale to mean 0 and variance 1.

    x̂ = (x − μ) / √(σ² + ε),    y = γ ⊙ x̂ + β

The kinds differ in what μ and σ² are taken over: layer normalisation over the features
of one sample, batch normalisation over the samples for one feature. σ² is the mean of
(x − μ)², the biased variance. Neither is elementwise, so δ = Jᵀ∇ℒ:

    ∂ℒ/∂x = (ĝ − mean ĝ − x̂ ⊙ mean(ĝ ⊙ x̂)) / √(σ² + ε),    ĝ = γ ⊙ ∂ℒ/∂y.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from chainrule import notation as write
from chainrule.composites.composite import composite
from chainrule.graph.apply import constant
from chainrule.graph.batching import Samples, shifted
from chainrule.graph.declare import DerivativeRule
from chainrule.graph.node import Value
from chainrule.graph.primitive import Case
from chainrule.graph.types import ArrayType, Dim, SymbolicDim, size_of
from chainrule.primitives.creation import size
from chainrule.primitives.elementwise import add, div, less, mul, sqrt, sub, where
from chainrule.primitives.movement import (
    broadcast_to,
    expand,
    full,
    full_like,
    reduce_sum,
    reshape,
)
from chainrule.primitives.rules import need_axes, need_type
from chainrule.text import _

if TYPE_CHECKING:
    from chainrule.notation.expressions import Expr

Axes = tuple[int, ...]


def _hat(x: Expr, axes: Axes, eps: float) -> tuple[Expr, Expr]:
    """Return the formulas that show the normalised x̂ and √(σ² + ε)."""
    deviation = write.root(write.variance(x, over=axes) + eps)
    return write.fraction(x - write.mean(x, over=axes), deviation), deviation


def _written(x: Expr, gamma: Expr, beta: Expr, axes: Axes, eps: float) -> Expr:
    expression, __ = _hat(x, axes, eps)
    if not _all(gamma, 1):
        expression = gamma * expression
    return expression if _all(beta, 0) else expression + beta


def _all(e: Expr, number: float) -> bool:
    """Return whether a formula's expression is an array that repeats ``number``."""
    return isinstance(e, write.Computed) and e.shown == write.Number(number)


def _batch_written(x: Expr, gamma: Expr, beta: Expr, axes: Axes, eps: float) -> Expr:
    """Return the formula that shows batch normalisation.

    γ and β have index letters where their axes are not the last.
    """
    rank = len(write.index_of(x) or "") or max(axes) + 1
    others = tuple(a for a in range(rank) if a not in axes)
    if not _all(gamma, 1):
        gamma = write.spread(gamma, others, x, rank=rank)
    if not _all(beta, 0):
        beta = write.spread(beta, others, x, rank=rank)
    return _written(x, gamma, beta, axes, eps)


def _pullback_written(g: Expr, x: Expr, axes: Axes, eps: float) -> Expr:
    normalised, deviation = _hat(x, axes, eps)
    hat = write.symbol("x\u0302").with_index(write.index_of(x))
    turn = hat * write.mean(g * hat, over=axes)
    whole = write.fraction(g - write.mean(g, over=axes) - turn, deviation)
    return write.listing(write.where(hat, normalised), whole)


def count(x: Value, axes: Axes) -> Value:
    """Return the number of an array's elements along ``axes``, as a scalar value."""
    total: Dim = size_of(tuple(x.shape[a] for a in axes))
    if isinstance(total, SymbolicDim):
        return size(dim=total, dtype=x.dtype)
    return constant(float(total), x.dtype)


def mean(x: Value, axes: Axes) -> Value:
    """Return the mean of an array over ``axes``, which the result lacks."""
    total = reduce_sum(x, axes=axes)
    return div(total, broadcast_to(count(x, axes), shape=total.shape))


def moments(x: Value, axes: Axes) -> tuple[Value, Value, Value]:
    """Return mean μ over ``axes``, deviations x − μ and the sum of their squares."""
    need_axes("normalisation", axes, len(x.shape))
    mu = mean(x, axes)
    deviations = sub(x, expand(mu, x, axes))
    return mu, deviations, reduce_sum(mul(deviations, deviations), axes=axes)


def without_overflow(x: Value) -> Value:
    """Return x with ∞ replaced by NaN, so that normalisation shows overflow as NaN."""
    return where(less(x, full_like(x, math.inf)), x, full_like(x, math.nan))


def _normalised(x: Value, axes: Axes, eps: float) -> tuple[Value, Value]:
    """Return the normalised x̂ (mean 0, variance 1) and the deviation √(σ² + ε).

    Both are NaN where the squares overflow.
    """
    __, deviations, squares = moments(x, axes)
    variance = div(squares, broadcast_to(count(x, axes), shape=squares.shape))
    variance = without_overflow(add(variance, full_like(variance, eps)))
    deviation = expand(sqrt(variance), x, axes)
    return div(deviations, deviation), deviation


def _spread(name: str, parameter: Value, x: Value, along: Axes) -> Value:
    """Return a normalisation's γ or β broadcast to the shape of x."""
    wanted = tuple(x.shape[a] for a in along)
    expected = ArrayType(wanted, parameter.dtype)
    need_type(name, _("a γ and a β for each feature"), expected, parameter.type)
    shape = tuple(d if a in along else 1 for a, d in enumerate(x.shape))
    return broadcast_to(reshape(parameter, shape=shape), shape=x.shape)


def _others(x: Value, axes: Axes) -> Axes:
    return tuple(a for a in range(len(x.shape)) if a not in axes)


def _normalise(
    name: str, x: Value, gamma: Value, beta: Value, axes: Axes, along: Axes, eps: float
) -> Value:
    normalised, __ = _normalised(x, axes, eps)
    scaled = mul(_spread(name, gamma, x, along), normalised)
    return add(scaled, _spread(name, beta, x, along))


@composite(
    batch=shifted("axes"),
    formula=_pullback_written,
    source="Ioffe & Szegedy 2015, section 3: the chain rule through μ and σ²",
    cases=(
        Case(("f[6,3]", "f[6,3]"), {"axes": (0,), "eps": 1e-5}),
        Case(("f[2,3,5]", "f[2,3,5]"), {"axes": (1, 2), "eps": 1e-3}),
    ),
)
def normalised_pullback(g: Value, x: Value, axes: Axes, eps: float) -> Value:
    """Return the derivative of the normalised x̂ (mean 0, variance 1) to x, times g.

    It is (g − mean g − x̂ ⊙ mean(g ⊙ x̂)) / √(σ² + ε), where g is ∂ℒ/∂x̂.
    """
    normalised, deviation = _normalised(x, axes, eps)
    centre = expand(mean(g, axes), x, axes)
    turn = expand(mean(mul(g, normalised), axes), x, axes)
    return div(sub(sub(g, centre), mul(normalised, turn)), deviation)


def _derivatives(
    name: str, along: Callable[[Value, Axes], Axes]
) -> tuple[DerivativeRule, ...]:
    """Return the derivative rules of a normalisation layer to x, γ and β.

    δ = Jᵀ∇ℒ as above; ∂ℒ/∂γ and ∂ℒ/∂β are sums over all that share them.
    """

    def back_x(g: Value, x: Value, gamma: Value, axes: Axes, eps: float) -> Value:
        scaled = mul(_spread(name, gamma, x, along(x, axes)), g)
        return normalised_pullback(scaled, x, axes=axes, eps=eps)

    def shared(g: Value, x: Value, axes: Axes) -> Value:
        return reduce_sum(g, axes=_others(x, along(x, axes)))

    return (
        lambda g, y, x, gamma, beta, axes, eps: back_x(g, x, gamma, axes, eps),
        lambda g, y, x, gamma, beta, axes, eps: shared(
            mul(g, _normalised(x, axes, eps)[0]), x, axes
        ),
        lambda g, y, x, gamma, beta, axes, eps: shared(g, x, axes),
    )


def _layer_norm_samples(s: Samples) -> Value:
    """Normalise all samples; those with a γ and a β of their own by x̂ alone."""
    x, gamma, beta = s.whole(0), *s.inputs[1:]
    axes: Axes = tuple([a + 1 for a in s.attrs["axes"]])
    if not any(s.batched[1:]):
        return s.apply(x, gamma, beta, axes=axes)
    plain = ArrayType(tuple([x.shape[a] for a in axes]), x.dtype)
    one, zero = (full(n, plain.dtype, plain.shape) for n in (1.0, 0.0))
    hat = s.apply(x, one, zero, axes=axes)
    scaled = mul(_spread("layer_norm", s.whole(1), x, (0, *axes)), hat)
    return add(scaled, _spread("layer_norm", s.whole(2), x, (0, *axes)))


@composite(
    vjp=_derivatives("layer_norm", lambda __, axes: axes),
    batch=_layer_norm_samples,
    formula=_written,
    source="Ba, Kiros & Hinton 2016, Layer normalization",
    cases=(
        Case(("f[4,7]", "f[7]", "f[7]"), {"axes": (1,), "eps": 1e-5}),
        Case(("f[2,3,5]", "f[3,5]", "f[3,5]"), {"axes": (1, 2), "eps": 1e-5}),
        Case(("f[2,3,5]", "f[5]", "f[5]"), {"axes": (2,), "eps": 1e-3}),
        Case(("f[6]", "f[6]", "f[6]"), {"axes": (0,), "eps": 1e-5}),
        Case(("f[0,3]", "f[3]", "f[3]"), {"axes": (1,), "eps": 1e-5}),
    ),
)
def layer_norm(x: Value, gamma: Value, beta: Value, axes: Axes, eps: float) -> Value:
    """Return γ ⊙ (x − μ)/√(σ² + ε) + β, layer normalisation over ``axes``.

    γ and β have the same axes.
    """
    return _normalise("layer_norm", x, gamma, beta, axes, axes, eps)


@composite(
    vjp=_derivatives("batch_norm", _others),
    batch=shifted("axes"),
    formula=_batch_written,
    source="Ioffe & Szegedy 2015, algorithm 1: μ and σ² of the batch, for each feature",
    cases=(
        Case(("f[6,3]", "f[3]", "f[3]"), {"axes": (0,), "eps": 1e-5}),
        Case(("f[4,3,5]", "f[3]", "f[3]"), {"axes": (0, 2), "eps": 1e-5}),
        Case(("f[67,5]", "f[5]", "f[5]"), {"axes": (0,), "eps": 1e-3}),
    ),
)
def batch_norm(x: Value, gamma: Value, beta: Value, axes: Axes, eps: float) -> Value:
    """Return γ ⊙ (x − μ)/√(σ² + ε) + β, batch normalisation over ``axes``.

    γ and β have the other axes.
    """
    return _normalise("batch_norm", x, gamma, beta, axes, _others(x, axes), eps)
