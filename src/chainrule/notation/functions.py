"""Functions that build the formulas which primitives declare: ln x, |x|, √x.

>>> x, y = symbol("x", index="si"), symbol("y", index="si")
>>> print(-total(y * ln(softmax(x, axis=1)), over=(1,)))
−∑ᵢ y ⊙ ln softmax(x)
>>> print(choice(x, greater(x, 0), 0.01 * x), mean(x**2, over=(0,)), sep="   ")
x if x > 0 else 0.01x   meanₛ(x²)

Whatever is built so can be worked out, :func:`chainrule.notation.arithmetic.computed`;
and what cannot be said in full is written as well as it can be and carries the function
that works it out: :func:`computed`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from chainrule.notation.axes import (
    along,
    head_along,
    index_of,
    largest,
    mean,
    picked,
    product_of,
    reduced,
    softmax,
    spread,
    total,
    variance,
)
from chainrule.notation.expressions import (
    Atom,
    Call,
    Choice,
    Computed,
    Expr,
    Fence,
    Listing,
    Number,
    Power,
    Prefix,
    Product,
    Quotient,
    Relation,
    Written,
    as_expr,
)
from chainrule.notation.names import named, symbol

__all__ = [
    "PI",
    "E",
    "absolute",
    "along",
    "apply",
    "at_least",
    "become",
    "bracket",
    "choice",
    "computed",
    "equals",
    "exp",
    "floor",
    "fraction",
    "greater",
    "head_along",
    "index_of",
    "largest",
    "less",
    "listing",
    "ln",
    "mean",
    "named",
    "negated",
    "operated",
    "picked",
    "prefixed",
    "product_of",
    "reduced",
    "related",
    "root",
    "scale",
    "sigmoid",
    "softmax",
    "spread",
    "symbol",
    "tanh",
    "total",
    "variance",
    "where",
]

E, PI = Number(math.e), Number(math.pi)


# -- functions of elements -------------------------------------------------------------


def apply(name: str, *arguments: Written) -> Call:
    """Return the symbolic call of a function by its name.

    >>> print(apply("max", symbol("x"), 0), apply("φ", symbol("x")), sep="   ")
    max(x, 0)   φ(x)
    """
    return Call(named(name), tuple(map(as_expr, arguments)))


def prefixed(name: str, x: Written) -> Prefix:
    """Return a symbolic function without parentheses if its argument is simple: ln x.

    >>> print(prefixed("sin", symbol("x")), prefixed("sin", symbol("x") + 1), sep="   ")
    sin x   sin(x + 1)
    """
    return Prefix(named(name), as_expr(x))


def ln(x: Written) -> Prefix:
    """Return the formula of the natural logarithm ln x.

    >>> print(ln(symbol("x")), ln(1 + symbol("x")), sep="   ")
    ln x   ln(1 + x)
    """
    return prefixed("ln", x)


def exp(x: Written) -> Power:
    """Return the formula of the exponential function e^x.

    >>> print(exp(symbol("x")), exp(symbol("x") / 2), sep="   ")
    eˣ   e^(x/2)
    """
    return Power(E, as_expr(x))


def tanh(x: Written) -> Prefix:
    """Return the formula of the hyperbolic tangent tanh x.

    >>> print(tanh(symbol("x")))
    tanh x
    """
    return prefixed("tanh", x)


def sigmoid(x: Written) -> Call:
    """Return the formula of the sigmoid σ(x) = 1/(1 + e⁻ˣ).

    >>> print(sigmoid(symbol("z") + 1))
    σ(z + 1)
    """
    return apply("σ", x)


def absolute(x: Written) -> Fence:
    """Return the formula of the absolute value |x|.

    >>> print(absolute(symbol("x") - 1))
    |x − 1|
    """
    return Fence(Atom("|"), as_expr(x), Atom("|"))


def root(x: Written) -> Fence:
    """Return the formula of the square root √x.

    >>> print(root(symbol("x")), root(symbol("x") + 1), sep="   ")
    √x   √(x + 1)
    """
    return Fence(Atom(r"\sqrt{", "√("), as_expr(x), Atom("}", ")"))


def floor(x: Written) -> Fence:
    """Return the formula ⌊x⌋ of the largest integer that is not above x.

    >>> print(floor(symbol("x") / 2))
    ⌊x/2⌋
    """
    return Fence(Atom(r"\lfloor", "⌊"), as_expr(x), Atom(r"\rfloor", "⌋"))


def scale(number: Written, x: Written) -> Product:
    """Return the formula of a number times an array, without a sign: η g.

    >>> print(symbol("θ") - scale(symbol("η"), symbol("g")))
    θ − η g
    """
    return Product("scale", (as_expr(number), as_expr(x)))


def fraction(top: Written, bottom: Written) -> Quotient:
    """Return a symbolic quotient that LaTeX writes as a fraction.

    >>> print(fraction(symbol("x"), symbol("n")).latex())
    \\frac{x}{n}
    """
    return Quotient(as_expr(top), as_expr(bottom), bar=True)


def operated(sign: str, x: Written, y: Written) -> Product:
    """Return the formula of x and y with an operator: ``mod``, ``and``, ``conv``, ….

    >>> W, x = symbol("W"), symbol("x")
    >>> print(operated("mod", x, 2), operated("conv", W, x), sep="   ")
    x mod 2   W ∗ x
    """
    return Product(sign, (as_expr(x), as_expr(y)))


def negated(x: Written) -> Prefix:
    """Return the formula of the bitwise negation ¬x.

    >>> print(negated(symbol("m")))
    ¬m
    """
    return Prefix(Atom(r"\neg", "¬"), as_expr(x), "tight")


# -- conditions ------------------------------------------------------------------------


def related(x: Written, sign: str, y: Written) -> Relation:
    """Return a symbolic relation of x and y with a sign.

    >>> print(related(symbol("x"), "≤", 1).latex())
    x \\leq 1
    """
    source = {"≤": r"\leq", "≥": r"\geq", "←": r"\leftarrow"}.get(sign, sign)
    return Relation((as_expr(x), as_expr(y)), (Atom(source, sign),))


def less(x: Written, y: Written) -> Relation:
    """Return the symbolic relation x < y.

    >>> print(less(symbol("x"), 1))
    x < 1
    """
    return related(x, "<", y)


def greater(x: Written, y: Written) -> Relation:
    """Return the symbolic relation x > y.

    >>> print(greater(symbol("x"), 1))
    x > 1
    """
    return related(x, ">", y)


def at_least(x: Written, y: Written) -> Relation:
    """Return the symbolic relation x ≥ y.

    >>> print(at_least(symbol("x"), 1))
    x ≥ 1
    """
    return related(x, "≥", y)


def equals(x: Written, y: Written) -> Relation:
    """Return the symbolic relation x = y.

    >>> print(equals(symbol("x"), symbol("y")))
    x = y
    """
    return related(x, "=", y)


def bracket(condition: Expr) -> Fence:
    """Return the formula of Iverson's bracket: 1 if the condition holds, else 0.

    >>> bracket(less(symbol("a"), symbol("b"))).text()
    '[a < b]'
    """
    return Fence(Atom("["), condition, Atom("]"))


def choice(x: Written, condition: Expr, y: Written) -> Choice:
    """Return the conditional formula: x if the condition holds, else y."""
    words = tuple([Atom(rf"\text{{ {word} }}", word) for word in ("if", "else")])
    return Choice((as_expr(x), condition, as_expr(y)), words)


# -- in steps, and otherwise -----------------------------------------------------------


def become(name: Expr, value: Expr) -> Relation:
    """Return the symbolic assignment ``name ← value``, a step of a list of formulas.

    >>> print(become(symbol("v"), symbol("v") + 1))
    v ← v + 1
    """
    return related(name, "←", value)


def where(name: Expr, value: Expr) -> Relation:
    """Return the definition ``name = value`` for later formulas of a list.

    >>> x = symbol("x")
    >>> print(listing(where(symbol("u"), x + 1), symbol("u") ** 2))
    u = x + 1, u²
    """
    return equals(name, value)


def listing(*items: Expr) -> Listing:
    """Return a list of formulas as steps, of which the last is the value.

    >>> v, g = symbol("v", tag="new"), symbol("g")
    >>> print(listing(become(v, g + 0.9 * symbol("v")), symbol("θ") - 0.1 * v))
    v ← g + 0.9v, θ − 0.1v
    """
    return Listing(items)


def computed(
    shown: Expr, *arguments: Expr, how: Callable[..., Any], key: object = None
) -> Computed:
    """Return a formula whose value a Python function ``how`` computes.

    Args:
        shown: how it is written.
        arguments: what it is computed from.
        how: computes it from their numbers.
        key: tells it from others that look the same and have the same arguments.

    >>> x = symbol("x")
    >>> print(computed(apply("sort", x), x, how=sorted))
    sort(x)
    """
    return Computed(shown, arguments, how, key)
