"""Orthogonal polynomials by their recurrences (Abramowitz & Stegun, 22.7).

p₀ = 1, p₁ = a x + b, pₖ₊₁ = (αₖ x + βₖ) pₖ − γₖ pₖ₋₁. The degree is a number or a
tensor, without its fraction, up to 1000; where it is negative, the polynomial is 0. A
tensor of degrees is needed in numbers, so a traced function takes a number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.graph.node import Value
from chainrule.operations.arithmetic import add, mul, number
from chainrule.operations.elementwise import trunc
from chainrule.operations.op import op
from chainrule.operations.operands import (
    TensorBase,
    is_number,
    promoted,
    value_of,
)
from chainrule.primitives.elementwise import equal, sub, where
from chainrule.util import validation

Step = Callable[[int], tuple[float, float, float]]


def _line(x: Value, a: float, b: float) -> Value:
    return add(mul(number(a, x), x), number(b, x))


def _polynomial(x: Value, n: Any, first: tuple[float, float], step: Step) -> Value:
    """Return the polynomial of degree n that starts with the line ``first``."""
    degrees, highest = None, -1
    if is_number(n):
        highest = int(n)
    else:
        degrees = value_of(n)
        highest = int(TensorBase._new(degrees).numpy().max(initial=-1))
        x, degrees = promoted(x, degrees)
        degrees = trunc(degrees)
    validation.whole("n", highest, least=None, most=1000)
    result = before = number(0, x)
    now = number(1, x)
    for k in range(highest + 1):
        if k == 1:
            before, now = now, _line(x, *first)
        elif k > 1:
            alpha, beta, gamma = step(k - 1)
            ahead = mul(_line(x, alpha, beta), now)
            before, now = now, sub(ahead, mul(number(gamma, x), before))
        if degrees is None:
            result = now
        else:
            result = where(equal(degrees, number(k, x)), now, result)
    return result


def _chebyshev(k: int) -> tuple[float, float, float]:
    return 2, 0, 1


def _shifted(x: Value) -> Value:
    return _line(x, 2, -1)


@op(module="special", floats=True)
def chebyshev_polynomial_t(x: Value, n: Any) -> Value:
    """Return Chebyshev's Tₙ(x) of the first kind: T₁ = x, Tₖ₊₁ = 2x Tₖ − Tₖ₋₁.

    >>> import chainrule as cr
    >>> cr.special.chebyshev_polynomial_t(cr.tensor([0.5, 2.0]), 3)
    tensor([-1., 26.])
    """
    return _polynomial(x, n, (1, 0), _chebyshev)


@op(module="special", floats=True)
def chebyshev_polynomial_u(x: Value, n: Any) -> Value:
    """Return Chebyshev's Uₙ(x) of the second kind: U₁ = 2x, otherwise as Tₙ."""
    return _polynomial(x, n, (2, 0), _chebyshev)


@op(module="special", floats=True)
def chebyshev_polynomial_v(x: Value, n: Any) -> Value:
    """Return Chebyshev's Vₙ(x) of the third kind: V₁ = 2x − 1, otherwise as Tₙ."""
    return _polynomial(x, n, (2, -1), _chebyshev)


@op(module="special", floats=True)
def chebyshev_polynomial_w(x: Value, n: Any) -> Value:
    """Return Chebyshev's Wₙ(x) of the fourth kind: W₁ = 2x + 1, otherwise as Tₙ."""
    return _polynomial(x, n, (2, 1), _chebyshev)


@op(module="special", floats=True)
def shifted_chebyshev_polynomial_t(x: Value, n: Any) -> Value:
    """Return Chebyshev's Tₙ(2x − 1), for 0 ≤ x ≤ 1."""
    return chebyshev_polynomial_t(_shifted(x), n)


@op(module="special", floats=True)
def shifted_chebyshev_polynomial_u(x: Value, n: Any) -> Value:
    """Return Chebyshev's Uₙ(2x − 1), for 0 ≤ x ≤ 1."""
    return chebyshev_polynomial_u(_shifted(x), n)


@op(module="special", floats=True)
def shifted_chebyshev_polynomial_v(x: Value, n: Any) -> Value:
    """Return Chebyshev's Vₙ(2x − 1), for 0 ≤ x ≤ 1."""
    return chebyshev_polynomial_v(_shifted(x), n)


@op(module="special", floats=True)
def shifted_chebyshev_polynomial_w(x: Value, n: Any) -> Value:
    """Return Chebyshev's Wₙ(2x − 1), for 0 ≤ x ≤ 1."""
    return chebyshev_polynomial_w(_shifted(x), n)


@op(module="special", floats=True)
def hermite_polynomial_h(x: Value, n: Any) -> Value:
    """Return the physicists' Hermite polynomial: H₁ = 2x, Hₖ₊₁ = 2x Hₖ − 2k Hₖ₋₁."""
    return _polynomial(x, n, (2, 0), lambda k: (2, 0, 2 * k))


@op(module="special", floats=True)
def hermite_polynomial_he(x: Value, n: Any) -> Value:
    """Return the probabilists' Hermite polynomial: He₁ = x, Heₖ₊₁ = x Heₖ − k Heₖ₋₁."""
    return _polynomial(x, n, (1, 0), lambda k: (1, 0, k))


@op(module="special", floats=True)
def laguerre_polynomial_l(x: Value, n: Any) -> Value:
    """Return Laguerre's Lₙ(x): L₁ = 1 − x, (k + 1) Lₖ₊₁ = (2k + 1 − x) Lₖ − k Lₖ₋₁."""

    def step(k: int) -> tuple[float, float, float]:
        return -1 / (k + 1), (2 * k + 1) / (k + 1), k / (k + 1)

    return _polynomial(x, n, (-1, 1), step)


@op(module="special", floats=True)
def legendre_polynomial_p(x: Value, n: Any) -> Value:
    """Return Legendre's Pₙ: P₁ = x, (k + 1) Pₖ₊₁ = (2k + 1) x Pₖ − k Pₖ₋₁."""

    def step(k: int) -> tuple[float, float, float]:
        return (2 * k + 1) / (k + 1), 0, k / (k + 1)

    return _polynomial(x, n, (1, 0), step)
