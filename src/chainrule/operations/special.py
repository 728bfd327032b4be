"""Special functions: of the gamma family, of the normal distribution, of Bessel.

Those that PyTorch has in ``torch.special`` alone are in ``chainrule.special`` alone.
"""

from __future__ import annotations

import math
from typing import Any

from chainrule.composites import activations, bessel, bessel_waves, gamma, normal
from chainrule.composites.polynomials import horner
from chainrule.graph.node import Value
from chainrule.operations.arithmetic import add, clamp, div, isnan, mul, number
from chainrule.operations.op import op
from chainrule.operations.operands import floating, value_of
from chainrule.primitives import elementwise as prims
from chainrule.primitives import trigonometry
from chainrule.primitives.elementwise import log, log1p, where
from chainrule.primitives.integers import bitwise_and, bitwise_not, bitwise_or
from chainrule.util import validation

# -- the gamma function ---------------------------------------------------------------


@op(floats=True, in_place=True)
def lgamma(x: Value) -> Value:
    r"""Return ln \|Γ(x)\|, the logarithm of the gamma function; ∞ at its poles.

    >>> import chainrule as cr
    >>> cr.lgamma(cr.tensor([1.0, 5.0])).exp()
    tensor([ 1., 24.])
    """
    return gamma.lgamma(x)


@op(floats=True, in_place=True)
def digamma(x: Value) -> Value:
    """Return ψ(x) = Γ′(x)/Γ(x), the derivative of :func:`lgamma`."""
    return gamma.digamma(x)


@op(method=False)
def polygamma(n: int, x: Any) -> Value:
    """Return the n-th derivative of :func:`digamma`, n ≥ 0.

    For n ≥ 1 it is (−1)ⁿ⁺¹ n! ζ(n + 1, x).
    """
    return polygamma_of(floating(value_of(x)), n)


@op(name="polygamma", floats=True, in_place=True, public=False)
def polygamma_of(x: Value, n: int) -> Value:
    """Return the n-th derivative of :func:`digamma` at the tensor's elements."""
    n = validation.whole("n", n, least=0, most=170)
    if n == 0:
        return gamma.digamma(x)
    factor = math.factorial(n) * (-1.0) ** (n + 1)
    return mul(number(factor, x), gamma.zeta(number(n + 1, x), x))


@op(floats=True, in_place=True)
def mvlgamma(x: Value, p: int) -> Value:
    """Return the logarithm of the multivariate gamma function of dimension p ≥ 1.

    ¼ p (p − 1) ln π + Σ ln Γ(x − j/2) over j = 0 … p − 1; p is 1000 at most.
    """
    p = validation.whole("p", p, least=1, most=1000)
    total = number(p * (p - 1) / 4 * math.log(math.pi), x)
    for j in range(p):
        total = add(total, gamma.lgamma(prims.sub(x, number(j / 2, x))))
    return total


@op(module="special", floats=True)
def zeta(x: Value, other: Value) -> Value:
    """Return Hurwitz's zeta function ζ(x, q) = Σ 1/(q + k)ˣ over k ≥ 0, q = other."""
    return gamma.zeta(x, other)


# -- the normal distribution and the error function -----------------------------------


@op(floats=True, in_place=True)
def erfinv(x: Value) -> Value:
    """Return the inverse of the error function: the y with erf y = x."""
    return normal.erfinv(x)


@op(module="special", floats=True)
def erfcx(x: Value) -> Value:
    """Return e^(x²) erfc x, the scaled complementary error function."""
    return normal.erfcx(x)


@op(module="special", floats=True)
def ndtr(x: Value) -> Value:
    """Return Φ(x), the probability that a standard normal number is below x.

    >>> import chainrule as cr
    >>> cr.special.ndtr(cr.tensor([0.0, 1.96])), cr.special.ndtri(0.5)
    (tensor([0.5      , 0.9750021]), tensor(0.))
    """
    return activations.normal_distribution(x)


@op(module="special", floats=True)
def log_ndtr(x: Value) -> Value:
    """Return ln Φ(x), the logarithm of :func:`ndtr`, without underflow."""
    return normal.log_normal_distribution(x)


@op(module="special", floats=True)
def ndtri(x: Value) -> Value:
    """Return the inverse of :func:`ndtr`: the quantile of the normal distribution."""
    return normal.normal_quantile(x)


# -- Bessel functions -----------------------------------------------------------------


@op(floats=True, in_place=True)
def i0(x: Value) -> Value:
    """Return I₀(x), the modified Bessel function of the first kind of order 0."""
    return bessel.bessel_i(x, order=0)


@op("modified_bessel_i1", module="special", floats=True)
def i1(x: Value) -> Value:
    """Return I₁(x), the modified Bessel function of the first kind of order 1."""
    return bessel.bessel_i(x, order=1)


@op(module="special", floats=True)
def i0e(x: Value) -> Value:
    r"""Return e^(−\|x\|) I₀(x), which does not overflow."""
    return bessel.scaled_bessel_i(x, order=0)


@op(module="special", floats=True)
def i1e(x: Value) -> Value:
    r"""Return e^(−\|x\|) I₁(x), which does not overflow."""
    return bessel.scaled_bessel_i(x, order=1)


@op(module="special", floats=True)
def bessel_j0(x: Value) -> Value:
    """Return J₀(x), the Bessel function of the first kind of order 0."""
    return bessel_waves.bessel_j(x, order=0)


@op(module="special", floats=True)
def bessel_j1(x: Value) -> Value:
    """Return J₁(x), the Bessel function of the first kind of order 1."""
    return bessel_waves.bessel_j(x, order=1)


@op(module="special", floats=True)
def bessel_y0(x: Value) -> Value:
    """Return Y₀(x), the Bessel function of the second kind of order 0; NaN below 0."""
    return bessel_waves.bessel_y(x, order=0)


@op(module="special", floats=True)
def bessel_y1(x: Value) -> Value:
    """Return Y₁(x), the Bessel function of the second kind of order 1; NaN below 0."""
    return bessel_waves.bessel_y(x, order=1)


@op(module="special", floats=True)
def modified_bessel_k0(x: Value) -> Value:
    """Return K₀(x), the modified Bessel function of the second kind of order 0."""
    return bessel_waves.bessel_k(x, order=0)


@op(module="special", floats=True)
def modified_bessel_k1(x: Value) -> Value:
    """Return K₁(x), the modified Bessel function of the second kind of order 1."""
    return bessel_waves.bessel_k(x, order=1)


@op(module="special", floats=True)
def scaled_modified_bessel_k0(x: Value) -> Value:
    """Return eˣ K₀(x), which does not underflow."""
    return bessel_waves.scaled_bessel_k(x, order=0)


@op(module="special", floats=True)
def scaled_modified_bessel_k1(x: Value) -> Value:
    """Return eˣ K₁(x), which does not underflow."""
    return bessel_waves.scaled_bessel_k(x, order=1)


# -- logarithms and a wave ------------------------------------------------------------


def _product(x: Value, other: Value, least: float, function: Any) -> Value:
    """Return x · f(other), 0 where x is 0, for a logarithm f from ``least`` on."""
    usual = prims.less(number(least, x), other)
    usual = bitwise_and(usual, prims.less(other, number(math.inf, x)))
    zero = prims.equal(x, number(0, x))
    odd = bitwise_and(zero, bitwise_not(bitwise_or(usual, isnan(other))))
    return mul(x, function(where(odd, number(least + 1, x), other)))


@op(floats=True, in_place=True)
def xlogy(x: Value, other: Value) -> Value:
    """Return x ln y of two tensors, 0 where x is 0 and y is not NaN.

    >>> import chainrule as cr
    >>> cr.xlogy(cr.tensor([0.0, 2.0]), cr.tensor([0.0, 1.0]))
    tensor([0., 0.])
    """
    return _product(x, other, 0.0, log)


@op(module="special", floats=True)
def xlog1py(x: Value, other: Value) -> Value:
    """Return x ln(1 + y) of two tensors, 0 where x is 0 and y is not NaN."""
    return _product(x, other, -1.0, log1p)


@op(module="special", floats=True)
def entr(x: Value) -> Value:
    """Return the entropy −x ln x of each element, 0 at 0 and −∞ below."""
    return normal.entropy(x)


@op(floats=True, in_place=True)
def logit(x: Value, eps: float | None = None) -> Value:
    """Return ln(x / (1 − x)), with x clipped to ``eps`` … 1 − ``eps`` first."""
    if eps is not None:
        eps = validation.number("eps", eps)
        x = clamp(x, eps, 1 - eps)
    return prims.sub(log(x), log1p(prims.neg(x)))


def _wave(t: Value) -> Value:
    """Return sin(t)/t, 1 at 0; near 0 by its series, with all derivatives."""
    near, one = prims.less(prims.abs_(t), number(1, t)), number(1, t)
    z = where(near, t, number(0, t))
    terms = [(-1) ** k / math.factorial(2 * k + 1) for k in range(11, -1, -1)]
    far = where(near, one, t)
    return where(near, horner(mul(z, z), terms), div(trigonometry.sin(far), far))


@op(floats=True, in_place=True)
def sinc(x: Value) -> Value:
    """Return sin(πx) / (πx) of each element of a tensor, 1 at 0."""
    return _wave(mul(x, number(math.pi, x)))


@op(module="special", floats=True)
def spherical_bessel_j0(x: Value) -> Value:
    """Return sin(x) / x, the spherical Bessel function of order 0; 1 at 0."""
    return _wave(x)
