"""Algebraic simplification of formulas read from a graph.

A graph repeats itself where a person would not: ``½·(ŷ−y) + (ŷ−y)·½`` is ``ŷ − y``.
Each rule here rewrites an expression to an equal one.

>>> from chainrule.notation.functions import symbol
>>> u, v, W = map(symbol, "uvW")
>>> print(tidy((u - v) / 2 + (u - v) / 2), tidy(W.T.T @ u), sep="   ")
u − v   W u
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from functools import lru_cache

from chainrule.notation.expressions import (
    Along,
    Atom,
    Computed,
    Contracted,
    Expr,
    Indexed,
    Number,
    Picked,
    Power,
    Product,
    Quotient,
    Reduced,
    Relation,
    Sum,
    Transposed,
)

#: Numbers that differ by less, relatively, are one number that was rounded.
_ROUNDING = 1e-14
_FLIPPED = {"<": Atom(">"), ">": Atom("<")}


#: Kinds whose value depends on the shape of their parts, and not on numbers alone.
_SHAPED = (Reduced, Along, Transposed, Indexed, Picked, Contracted, Computed)


@lru_cache(maxsize=2048)
def tidy(e: Expr) -> Expr:
    """Return an equal, simplified formula; zeros may lose their shape.

    Where a part has to keep its shape, because a sum goes over its axes or a matrix is
    multiplied, nothing vanishes from it:

    >>> from chainrule.notation.functions import symbol, total
    >>> x, b = symbol("x"), symbol("b")
    >>> print(tidy(x - x + b), tidy(total(x - x + b)), sep="   ")
    b   ∑ (x − x + b)
    """
    if _is_linear(e) and Number(0) in map(tidy, e.parts()):
        return Number(0)
    if isinstance(e, _SHAPED) or (isinstance(e, Product) and e.kind == "dot"):
        e = e.mapped(_in_shape)
        return _transposed(e) if isinstance(e, Transposed) else e
    e = e.mapped(tidy)
    if isinstance(e, Product) and e.kind in ("odot", "scale"):
        return _compose(*_factors(e))
    if isinstance(e, Quotient) and not e.bar:
        return _compose(*_factors(e))
    if isinstance(e, Sum):
        return _sum(e)
    if type(e) is Relation and isinstance(e.items[0], Number):
        flipped = [_FLIPPED.get(sign.text()) for sign in e.signs]
        if len(flipped) == 1 and flipped[0]:
            return Relation(e.items[::-1], (flipped[0],))
    return e


def _in_shape(e: Expr) -> Expr:
    """Return a formula simplified, or unchanged if a symbol would vanish."""
    tidied = tidy(e)
    return tidied if _symbols(tidied) == _symbols(e) else e


def _symbols(e: Expr) -> set[Expr]:
    return {leaf for leaf in e.leaves() if not isinstance(leaf, Number)}


def _is_linear(e: Expr) -> bool:
    """Return whether a formula is 0 if a part is 0, such as a matrix product."""
    matrices = isinstance(e, Product) and e.kind == "dot"
    sums = isinstance(e, Reduced) and e.name in ("∑", "mean")
    return matrices or sums or isinstance(e, Transposed | Contracted)


def _transposed(e: Transposed) -> Expr:
    inner = e.base
    if isinstance(inner, Transposed):
        return inner.base
    if isinstance(inner, Product) and inner.kind == "dot":  # (A B)ᵀ = Bᵀ Aᵀ
        turned = [tidy(Transposed(f)) for f in inner.factors[::-1]]
        return Product("dot", tuple(turned))
    return e


def _factors(e: Expr) -> tuple[float, list[Expr], list[Expr], list[Expr]]:
    """Return a symbolic product's coefficient, scalars, factors and divisors."""
    if isinstance(e, Number):
        return e.value, [], [], []
    if isinstance(e, Sum) and len(e.terms) == 1 and e.terms[0][0] < 0:
        coefficient, scalars, factors, bottoms = _factors(e.terms[0][1])
        return -coefficient, scalars, factors, bottoms
    if isinstance(e, Quotient) and not e.bar:
        coefficient, scalars, factors, bottoms = _factors(e.top)
        if isinstance(e.bottom, Number) and e.bottom.value:
            return coefficient / e.bottom.value, scalars, factors, bottoms
        if isinstance(e.bottom, Product) and e.bottom.kind == "scale":
            number, *rest = e.bottom.factors
            if isinstance(number, Number) and number.value and rest:
                return coefficient / number.value, scalars, factors, [*bottoms, *rest]
        return coefficient, scalars, factors, [*bottoms, e.bottom]
    if isinstance(e, Product) and e.kind in ("odot", "scale"):
        coefficient, scalars, factors, bottoms = 1.0, [], [], []
        for i, factor in enumerate(e.factors):
            c, s, f, b = _factors(factor)
            coefficient *= c
            scalars += s
            if e.kind == "scale" and i < len(e.factors) - 1:
                scalars += f
            else:
                factors += f
            bottoms += b
        return coefficient, scalars, factors, bottoms
    return 1.0, [], [e], []


def _compose(
    coefficient: float, scalars: list[Expr], factors: list[Expr], bottoms: list[Expr]
) -> Expr:
    """Return the symbolic product of a coefficient, scalars, factors and divisors."""
    if coefficient == 0:
        return Number(0)
    factors = _powers(factors)
    front: list[Expr] = list(scalars)
    size = abs(coefficient)
    if not factors:
        factors, front = ([front[0]], front[1:]) if front else ([Number(size)], [])
        size = 1.0 if factors == [Number(size)] else size
    first = factors[0]
    above, below = _ratio(size, bool(bottoms))
    if below != 1:
        bottoms = [Number(below), *bottoms]  # ½ u/n is u/(2n), ⅓ u is u/3
    if above != 1:
        front = [Number(above), *front]
    if front:
        first = Product("scale", (*front, first))
    if bottoms:
        many = len(bottoms) > 1
        first = Quotient(
            first, Product("scale", tuple(bottoms)) if many else bottoms[0]
        )
    product = first if len(factors) == 1 else Product("odot", (first, *factors[1:]))
    return product if coefficient > 0 else Sum(((-1, product),))


def _powers(factors: list[Expr]) -> list[Expr]:
    """Return a product's distinct factors as powers: u² ⊙ u is u³."""
    exponents: dict[Expr, float] = {}
    for factor in factors:
        base, exponent = factor, 1.0
        if isinstance(factor, Power) and isinstance(factor.above, Number):
            power = float(factor.above.value)
            if power >= 1 and power.is_integer():
                base, exponent = factor.base, power
        exponents[base] = exponents.get(base, 0.0) + exponent
    return [b if n == 1 else Power(b, Number(n)) for b, n in exponents.items()]


def _ratio(size: float, divided: bool) -> tuple[float, float]:
    """Return a formula's coefficient as a readable numerator and denominator.

    ½ stands in front unless something is divided anyway; 0.4 stays a decimal.
    """
    near = Fraction(size).limit_denominator(1000)
    if abs(float(near) - size) > _ROUNDING * size:
        return size, 1
    short = near.numerator != 1 and 1000 % near.denominator == 0
    if not divided and (near.denominator == 2 or short):
        return size, 1
    return near.numerator, near.denominator


def _sum(e: Sum) -> Expr:
    """Return a symbolic sum with equal terms combined and zeros left out."""
    coefficients: dict[Expr, float] = {}
    constant = 0.0
    repeated = {t for t, n in Counter(t for _, t in e.terms).items() if n > 1}

    def collect(term: Expr, sign: float) -> None:
        nonlocal constant
        if isinstance(term, Sum) and term not in repeated:  # (u − v) + (u − v) stays
            for s, inner in term.terms:
                collect(inner, sign * s)
            return
        coefficient, *parts = _factors(term)
        if not any(parts):
            constant += sign * coefficient
            coefficients.setdefault(
                Number(0), 0.0
            )  # where the number stands in the sum
            return
        core = _compose(1.0, *parts)
        coefficients[core] = coefficients.get(core, 0.0) + sign * coefficient

    for sign, term in e.terms:
        collect(term, sign)
    terms: list[tuple[int, Expr]] = []
    for core, coefficient in coefficients.items():
        if core == Number(0):
            core, coefficient = Number(abs(constant)), constant
        elif coefficient:
            core = _compose(abs(coefficient), *_factors(core)[1:])
        if coefficient:
            terms.append((1 if coefficient > 0 else -1, core))
    if not terms:
        return Number(0)
    return terms[0][1] if terms == [(1, terms[0][1])] else Sum(tuple(terms))


def without(e: Expr, factor: Expr) -> Expr | None:
    """Return a formula divided by an elementwise factor of it, or None.

    >>> from chainrule.notation.functions import symbol
    >>> g, a, u = map(symbol, "gau")
    >>> print(without(g * a * (1 - a), g), without(g * a + u * g, g), sep="   ")
    a ⊙ (1 − a)   a + u
    >>> without(a * (g - u), g) is None
    True
    """
    if isinstance(e, Sum):
        parts = [(sign, without(term, factor)) for sign, term in e.terms]
        terms = tuple((sign, part) for sign, part in parts if part is not None)
        return tidy(Sum(terms)) if len(terms) == len(parts) else None
    coefficient, scalars, factors, bottoms = _factors(e)
    if factors.count(factor) != 1:
        return None
    factors.remove(factor)
    rest = _compose(coefficient, scalars, factors, bottoms)
    return None if rest.holds(factor) else rest
