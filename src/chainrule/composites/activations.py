"""Activation functions (ReLU, GELU, softmax, …) as graph operations with a formula.

Each is computed so that neither its value nor its derivative overflows or becomes NaN
for large |x|: what would overflow in the branch that ``where`` does not take is given a
harmless argument there.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from chainrule import notation as write
from chainrule.composites.composite import composite
from chainrule.graph.batching import shifted
from chainrule.graph.node import Value
from chainrule.graph.primitive import Case
from chainrule.primitives.elementwise import (
    abs_,
    add,
    div,
    erfc,
    exp,
    expm1,
    less,
    log,
    log1p,
    maximum,
    minimum,
    mul,
    neg,
    sigmoid,
    sign,
    sub,
    tanh,
    where,
)
from chainrule.primitives.movement import expand, full_like, reduce_sum
from chainrule.primitives.reduce import reduce_max
from chainrule.text import _

if TYPE_CHECKING:
    from chainrule.notation.expressions import Expr

_LINES = tuple(Case((f"f[{s}]",)) for s in ("", "0", "7", "3,4", "1031"))
_ROWS = (
    Case(("f[5]",), {"axis": 0}),
    Case(("f[4,10]",), {"axis": 1}),
    Case(("f[3,2,7]",), {"axis": 1}),
    Case(("f[1,1]",), {"axis": 1}),
)


def relu(x: Value) -> Value:
    """Return max(x, 0), the rectified linear unit, with ReLU′(0) = 0."""
    return maximum(x, full_like(x, 0.0))


def _times(number: float, x: Value) -> Value:
    return mul(full_like(x, number), x)


def _above_zero(x: Value) -> Value:
    """Return a mask that is true where x > 0, for ReLU-like functions."""
    return less(full_like(x, 0.0), x)


def _kinked(g: Value, x: Value, below: Value) -> Value:
    """Return the gradient of a ReLU-like function: g for x > 0, else slope times g."""
    return mul(g, where(_above_zero(x), full_like(x, 1.0), below))


@composite(
    vjp=(lambda g, y, x, alpha: _kinked(g, x, full_like(x, alpha)),),
    formula=lambda x, alpha: write.choice(x, write.greater(x, 0), alpha * x),
    source="textbook 2.7; Maas, Hannun & Ng 2013",
    kinks=_("x = 0, where the derivative is taken as α"),
    cases=tuple(Case(case.inputs, {"alpha": 0.01}) for case in _LINES),
)
def leaky_relu(x: Value, alpha: float) -> Value:
    """Return x where x > 0, else αx: leaky ReLU.

    Its derivative is 1 or α, and α at 0 by declaration.
    """
    return where(_above_zero(x), x, _times(alpha, x))


@composite(
    formula=lambda x: write.apply("φ", x),
    source="Abramowitz & Stegun, 26.2.1: φ(x) = e^(−x²/2)/√(2π)",
    cases=_LINES,
)
def normal_density(x: Value) -> Value:
    """Return φ(x) = e^(−x²/2) / √(2π), the density of the normal distribution.

    Its derivative is −x φ(x).
    """
    return _times(1 / math.sqrt(2 * math.pi), exp(_times(-0.5, mul(x, x))))


@composite(
    vjp=(lambda g, y, x: mul(g, normal_density(x)),),
    formula=lambda x: write.apply("Φ", x),
    source="Abramowitz & Stegun, 26.2.2 and 26.2.29: Φ(x) = ½ erfc(−x/√2), which loses"
    " nothing for x < 0, as ½ (1 + erf(x/√2)) does",
    cases=_LINES,
)
def normal_distribution(x: Value) -> Value:
    """Return Φ(x), the probability that a standard normal number is below x.

    Its derivative is φ(x).
    """
    return _times(0.5, erfc(_times(-math.sqrt(0.5), x)))


@composite(
    formula=lambda x: x * write.apply("Φ", x),
    source="textbook 2.7; Hendrycks & Gimpel 2016",
    cases=_LINES,
)
def gelu(x: Value) -> Value:
    """Return x Φ(x), the Gaussian error linear unit (GELU).

    Its derivative is Φ(x) + x φ(x).
    """
    return mul(x, normal_distribution(x))


_GELU_TANH = math.sqrt(2 / math.pi), 0.044715


def _gelu_tanh_parts(x: Value) -> tuple[Value, Value]:
    """Return the parts x² and tanh(√(2/π) (x + 0.044715x³)) of approximate GELU."""
    scale, cubic = _GELU_TANH
    square = mul(x, x)
    return square, tanh(_times(scale, add(x, _times(cubic, mul(square, x)))))


def _gelu_tanh_vjp(g: Value, y: Value, x: Value) -> Value:
    """Return the derivative of the tanh approximation of GELU, times g."""
    scale, cubic = _GELU_TANH
    square, t = _gelu_tanh_parts(x)
    one = full_like(x, 1.0)
    inner = _times(scale, add(one, _times(3 * cubic, square)))
    bend = mul(_times(0.5, x), mul(sub(one, mul(t, t)), inner))
    return mul(g, add(_times(0.5, add(one, t)), bend))


@composite(
    vjp=(_gelu_tanh_vjp,),
    formula=lambda x: (
        0.5
        * x
        * (1 + write.tanh(write.scale(write.root(2 / write.PI), x + 0.044715 * x**3)))
    ),
    source="Hendrycks & Gimpel 2016, the approximation of GELU by tanh",
    cases=_LINES,
)
def gelu_tanh(x: Value) -> Value:
    """Return GELU by the tanh approximation ½x (1 + tanh(√(2/π) (x + 0.044715x³)))."""
    __, t = _gelu_tanh_parts(x)
    return mul(_times(0.5, x), add(full_like(x, 1.0), t))


@composite(
    formula=lambda x: x * write.sigmoid(x),
    source="Elfwing, Uchibe & Doya 2018; swish of Ramachandran, Zoph & Le 2017",
    cases=_LINES,
)
def silu(x: Value) -> Value:
    """Return x σ(x), the sigmoid linear unit (SiLU, swish).

    Its derivative is σ(x) + x σ(x) (1 − σ(x)).
    """
    return mul(x, sigmoid(x))


@composite(
    vjp=(lambda g, y, x: mul(g, sigmoid(x)),),
    formula=lambda x: write.ln(1 + write.exp(x)),
    source="Dugas et al. 2001; as max(x, 0) + ln(1 + e^(−|x|)), so nothing overflows",
    cases=_LINES,
)
def softplus(x: Value) -> Value:
    """Return ln(1 + eˣ), a smooth form of ReLU; its derivative is σ(x)."""
    return add(relu(x), log1p(exp(neg(abs_(x)))))


def _below_zero(x: Value) -> Value:
    """Return min(0, x), with derivative 1 at 0: the part of ELU below zero."""
    return minimum(full_like(x, 0.0), x)


def _elu_written(x: Expr, alpha: float) -> Expr:
    return write.choice(x, write.greater(x, 0), alpha * (write.exp(x) - 1))


@composite(
    vjp=(lambda g, y, x, alpha: _kinked(g, x, _times(alpha, exp(_below_zero(x)))),),
    formula=_elu_written,
    source="Clevert, Unterthiner & Hochreiter 2016",
    kinks=_("x = 0, where derivatives are taken as those from below, first of them α"),
    cases=tuple(
        Case(case.inputs, {"alpha": a}) for case in _LINES for a in (1.0, 0.5, 2.0)
    ),
)
def elu(x: Value, alpha: float) -> Value:
    """Return ELU, the exponential linear unit: x where x > 0, else α(eˣ − 1).

    Its derivative is 1 or αeˣ.
    """
    return where(_above_zero(x), x, _times(alpha, expm1(_below_zero(x))))


#: α and λ for which activations of mean 0 and variance 1 keep both (Klambauer et al.).
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


@composite(
    formula=lambda x: SELU_SCALE * _elu_written(x, SELU_ALPHA),
    source="Klambauer, Unterthiner, Mayr & Hochreiter 2017",
    kinks=_("x = 0, where derivatives are taken as those from below, first of them λα"),
    cases=_LINES,
)
def selu(x: Value) -> Value:
    """Return SELU, λ · elu(x, α), which keeps mean 0, variance 1 in deep networks."""
    return _times(SELU_SCALE, elu(x, alpha=SELU_ALPHA))


def _softsign_vjp(g: Value, y: Value, x: Value) -> Value:
    """Return the derivative of ``softsign``, 1/(1 + |x|)², without cancellation.

    1/(1 + |x|) − |x|/(1 + |x|)² would be a difference of equal numbers.
    """
    d = add(full_like(x, 1.0), abs_(x))
    return div(div(g, d), d)


@composite(
    vjp=(_softsign_vjp,),
    formula=lambda x: x / (1 + write.absolute(x)),
    source="Turian, Bergstra & Bengio 2009",
    kinks=_("x = 0, where derivatives from the second on are taken as 0"),
    cases=_LINES,
)
def softsign(x: Value) -> Value:
    """Return x/(1 + |x|), the softsign function; its derivative is 1/(1 + |x|)²."""
    return div(x, add(full_like(x, 1.0), abs_(x)))


@composite(
    formula=lambda x: write.bracket(write.at_least(x, 0)),
    source="Rosenblatt 1958; the perceptron's threshold",
    kinks=_("x = 0, where it jumps; the derivative is 0 everywhere by declaration"),
    cases=_LINES,
)
def heaviside(x: Value) -> Value:
    """Return 1 where x ≥ 0, else 0: the step function, with derivative 0.

    Nothing can be learned through that derivative: see ``Perceptron``.
    """
    shifted = add(sign(x), full_like(x, 0.5))  # −½, ½ or 3⁄2
    return _times(0.5, add(full_like(x, 1.0), sign(shifted)))


def _total(x: Value, axis: int) -> Value:
    """Return the sum of x along an axis, broadcast to the shape of x, for softmax."""
    return expand(reduce_sum(x, axes=(axis,)), x, (axis,))


def _shifted_exp(x: Value, axis: int) -> tuple[Value, Value, Value]:
    """Return x − max x, its exponential and the sum of that, for a stable softmax."""
    shifted = sub(x, expand(reduce_max(x, axes=(axis,)), x, (axis,)))
    e = exp(shifted)
    return shifted, e, reduce_sum(e, axes=(axis,))


@composite(
    vjp=(lambda g, y, x, axis: mul(y, sub(g, _total(mul(g, y), axis))),),
    batch=shifted("axis"),
    formula=lambda x, axis: write.softmax(x, axis),
    source="textbook 3.2.3; Bridle 1990; shifted by the maximum so nothing overflows",
    cases=_ROWS,
)
def softmax(x: Value, axis: int) -> Value:
    """Return the softmax along ``axis``: e^xᵢ / Σⱼ e^xⱼ.

    Its derivative is δ = Jᵀg = y ⊙ (g − Σ g ⊙ y).
    """
    __, e, total = _shifted_exp(x, axis)
    return div(e, expand(total, x, (axis,)))


@composite(
    vjp=(lambda g, y, x, axis: sub(g, mul(softmax(x, axis=axis), _total(g, axis))),),
    batch=shifted("axis"),
    formula=lambda x, axis: write.ln(write.softmax(x, axis)),
    source="logarithm of softmax without forming it: x − max x − ln Σ e^(x − max x)",
    cases=_ROWS,
)
def log_softmax(x: Value, axis: int) -> Value:
    """Return the logarithm of the softmax: xᵢ − ln Σⱼ e^xⱼ along ``axis``."""
    shifted, __, total = _shifted_exp(x, axis)
    return sub(shifted, expand(log(total), x, (axis,)))
