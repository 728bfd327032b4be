"""Words to build formulas with, as declarations use them.

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
import unicodedata
from collections.abc import Callable
from typing import Any

from chainrule.notation.expressions import (
    Along,
    Atom,
    Call,
    Choice,
    Computed,
    Expr,
    Fence,
    Listing,
    Number,
    Picked,
    Power,
    Prefix,
    Product,
    Quotient,
    Reduced,
    Relation,
    Script,
    Spread,
    Sum,
    Written,
    as_expr,
    axis_letters,
)

E, PI = Number(math.e), Number(math.pi)

#: The LaTeX of marks above letters.
_ACCENTS = {"\u0302": r"\hat", "\u0304": r"\bar", "\u0303": r"\tilde"}
#: The LaTeX of names that have a command of their own.
_COMMANDS = {
    "ln": r"\ln",
    "exp": r"\exp",
    "tanh": r"\tanh",
    "sin": r"\sin",
    "cos": r"\cos",
    "max": r"\max",
    "min": r"\min",
    "argmax": r"\arg\max",
    "argmin": r"\arg\min",
    "∑": r"\sum",
    "∏": r"\prod",
    "α": r"\alpha",
    "β": r"\beta",
    "γ": r"\gamma",
    "δ": r"\delta",
    "ε": r"\varepsilon",
    "η": r"\eta",
    "θ": r"\theta",
    "λ": r"\lambda",
    "μ": r"\mu",
    "π": r"\pi",
    "ρ": r"\rho",
    "σ": r"\sigma",
    "φ": r"\phi",
    "Φ": r"\Phi",
    "∇": r"\nabla",
    "∂": r"\partial",
    "ℒ": r"\mathcal{L}",
    "…": r"\ldots",
}


def symbol(text: str, *, tag: str = "", index: str | None = None) -> Atom:
    """A symbol: a letter, a Greek letter, a letter with a hat (x̂), a word.

    Args:
        text: as a terminal shows it.
        tag: tells it from others that look the same.
        index: a letter for each of its axes.

    >>> [symbol(text).latex() for text in ("x", "δ", "x̂", "class_weight")]
    ['x', '\\\\delta', '\\\\hat{x}', '\\\\text{class\\\\_weight}']
    """
    letter, accent = text, ""
    if len(apart := unicodedata.normalize("NFD", text)) == 2 and apart[1] in _ACCENTS:
        letter, accent = apart[0], _ACCENTS[apart[1]]
    if letter in _COMMANDS or len(letter) == 1:
        source = _COMMANDS.get(letter, letter)
        source = f"{accent}{{{source}}}" if accent else source
    else:
        source = r"\text{" + text.replace("_", r"\_") + "}"
    return Atom(source, text, tag, index=index)


def named(name: str) -> Atom:
    """The name of a function, upright as they are."""
    if name in _COMMANDS or len(name) == 1:
        return Atom(_COMMANDS.get(name, name), name)
    return Atom(r"\operatorname{" + name.replace("_", r"\_") + "}", name)


# -- functions of elements -------------------------------------------------------------


def apply(name: str, *arguments: Written) -> Call:
    """A function by its name: ``apply("max", x, 0)`` is max(x, 0)."""
    return Call(named(name), tuple(map(as_expr, arguments)))


def prefixed(name: str, x: Written) -> Prefix:
    """A function whose simple argument needs no parentheses: sin x, sin(x + y)."""
    return Prefix(named(name), as_expr(x))


def ln(x: Written) -> Prefix:
    """The natural logarithm."""
    return prefixed("ln", x)


def exp(x: Written) -> Power:
    """e to the power of x."""
    return Power(E, as_expr(x))


def tanh(x: Written) -> Prefix:
    """The hyperbolic tangent."""
    return prefixed("tanh", x)


def sigmoid(x: Written) -> Call:
    """σ(x) = 1/(1 + e⁻ˣ)."""
    return apply("σ", x)


def absolute(x: Written) -> Fence:
    """|x|."""
    return Fence(Atom("|"), as_expr(x), Atom("|"))


def root(x: Written) -> Fence:
    """The square root: √x, √(x + y)."""
    return Fence(Atom(r"\sqrt{", "√("), as_expr(x), Atom("}", ")"))


def floor(x: Written) -> Fence:
    """⌊x⌋, the largest integer not above."""
    return Fence(Atom(r"\lfloor", "⌊"), as_expr(x), Atom(r"\rfloor", "⌋"))


def scale(number: Written, x: Written) -> Product:
    """A number times an array: η g, without a sign."""
    return Product("scale", (as_expr(number), as_expr(x)))


def fraction(top: Written, bottom: Written) -> Quotient:
    """A quotient that LaTeX writes with a bar, and that stays together."""
    return Quotient(as_expr(top), as_expr(bottom), bar=True)


def operated(sign: str, x: Written, y: Written) -> Product:
    """A sign between two: ``mod``, ``and``, ``or``, ``xor``, ``conv``."""
    return Product(sign, (as_expr(x), as_expr(y)))


def negated(x: Written) -> Prefix:
    """¬x, bit by bit."""
    return Prefix(Atom(r"\lnot", "¬"), as_expr(x), "tight")


# -- conditions ------------------------------------------------------------------------


def related(x: Written, sign: str, y: Written) -> Relation:
    """x and y with a sign between them."""
    source = {"≤": r"\le", "≥": r"\ge", "←": r"\leftarrow"}.get(sign, sign)
    return Relation((as_expr(x), as_expr(y)), (Atom(source, sign),))


def less(x: Written, y: Written) -> Relation:
    """x < y."""
    return related(x, "<", y)


def greater(x: Written, y: Written) -> Relation:
    """x > y."""
    return related(x, ">", y)


def at_least(x: Written, y: Written) -> Relation:
    """x ≥ y."""
    return related(x, "≥", y)


def equals(x: Written, y: Written) -> Relation:
    """x = y."""
    return related(x, "=", y)


def bracket(condition: Expr) -> Fence:
    """Iverson's bracket: 1 where the condition holds, else 0.

    >>> bracket(less(symbol("a"), symbol("b"))).text()
    '[a < b]'
    """
    return Fence(Atom("["), condition, Atom("]"))


def choice(x: Written, condition: Expr, y: Written) -> Choice:
    """x where the condition holds, else y; a bracket around it is left out."""
    words = tuple([Atom(rf"\text{{ {word} }}", word) for word in ("if", "else")])
    return Choice((as_expr(x), condition, as_expr(y)), words)


# -- over axes -------------------------------------------------------------------------


def _index(x: Expr, axes: tuple[int, ...], rank: int | None) -> tuple[str, bool]:
    """The letters of x's axes; where nothing tells, ``axes`` are taken for the last."""
    index = index_of(x)
    if index is not None and rank in (None, len(index)):
        return index, True
    known = rank is not None
    return axis_letters(rank if known else max(axes, default=-1) + 1), known


def index_of(x: Expr) -> str | None:
    """The letters of the axes of an expression, as far as they are known.

    >>> index_of(symbol("x", index="si") + symbol("b", index="i"))
    'si'
    """
    if x.index is not None or (isinstance(x, Reduced) and not x.keep):
        return x.index
    if isinstance(x, Prefix | Fence | Sum | Power | Choice | Relation) or (
        isinstance(x, Product) and x.kind != "dot"
    ):
        known = [i for i in map(index_of, x.parts()) if i is not None]
        return max(known, key=len, default=None)
    return None


Axes = tuple[int, ...] | None


def reduced(
    name: str,
    x: Written,
    over: Axes = None,
    *,
    rank: int | None = None,
    keep: bool = True,
) -> Expr:
    """A reduction over some axes, or over all of them.

    Args:
        name: what is done: ``"∑"``, ``"mean"``, ``"argmax"`` …
        x: what is reduced.
        over: the axes, counted in memory; None for all, none of them is x itself.
        rank: how many axes x has, where its ``index`` does not say so.
        keep: whether the axes stay, with length 1.
    """
    x, reach = as_expr(x), "wide" if name in ("∑", "∏") else "call"
    if over == ():
        return x
    head: Expr = named(name)
    if over is None:
        return Reduced(head, x, reach, keep=keep)
    index, known = _index(x, over, rank)
    over = tuple(sorted(over))
    if len(over) < len(index):
        head = Script(head, below=Atom("".join(index[a] for a in over)))
    elif known:
        over = None
    return Reduced(head, x, reach, over, keep)


def total(x: Written, over: Axes = None, **options: Any) -> Expr:
    """The sum over some axes, or over all of them; see :func:`reduced`.

    >>> x = symbol("x", index="sti")
    >>> print(total(x), total(x, over=(0,)), total(x, over=(1, 2)))
    ∑ x ∑ₛ x ∑ₜᵢ x
    """
    return reduced("∑", x, over, **options)


def product_of(x: Written, over: Axes = None, **options: Any) -> Expr:
    """The product over axes; see :func:`reduced`."""
    return reduced("∏", x, over, **options)


def mean(x: Written, over: Axes = None, **options: Any) -> Expr:
    """The mean over axes; see :func:`reduced`."""
    return reduced("mean", x, over, **options)


def variance(x: Written, over: Axes = None, **options: Any) -> Expr:
    """The mean of the squared deviations from the mean; see :func:`reduced`."""
    return reduced("var", x, over, **options)


def largest(x: Written, over: Axes = None, **options: Any) -> Expr:
    """The largest element over axes; see :func:`reduced`."""
    return reduced("max", x, over, **options)


def head_along(name: str, x: Expr, axis: int) -> Expr:
    """A function's name, with the letter of the axis where it is not the last one.

    >>> x = symbol("x", index="scpq")
    >>> print(head_along("softmax", x, 3), head_along("softmax", x, 1))
    softmax softmax_c
    """
    index, _ = _index(x, (axis,), None)
    head = named(name)
    return (
        head if axis in (-1, len(index) - 1) else Script(head, below=Atom(index[axis]))
    )


def along(name: str, x: Expr, axis: int) -> Along:
    """A function of what stands along one axis, such as softmax."""
    return Along(head_along(name, x, axis), (x,), axis=axis)


def softmax(x: Expr, axis: int = -1) -> Along:
    """e^xᵢ / Σⱼ e^xⱼ along an axis."""
    return along("softmax", x, axis)


def picked(x: Expr, label: Expr) -> Picked:
    """Of each row the element that its label names: softmax(z)_y."""
    return Picked(x, label)


def spread(
    b: Expr,
    axes: tuple[int, ...],
    like: Expr,
    *,
    rank: int | None = None,
    letters: bool = True,
) -> Expr:
    """``b``, whose axes are those ``axes`` of ``like``, beside it.

    Where they are the last axes of ``like`` nothing needs to be written.

    Args:
        b: what is repeated.
        axes: where its axes stand among those of ``like``.
        like: what it is repeated for.
        rank: how many axes that has, where its ``index`` does not say so.
        letters: whether to write the letters of the axes.

    >>> x, b = symbol("x", index="scpq"), symbol("b", index="i")
    >>> (x + spread(b, (1,), x)).text()
    'x + b_c'
    """
    index, _ = _index(like, axes, rank)
    if (
        isinstance(b, Number)
        or axes == tuple(range(len(index)))[len(index) - len(axes) :]
    ):
        return b
    below = Atom("".join(index[a] for a in axes)) if letters and axes else None
    return Spread(b, below=below, axes=axes, rank=len(index))


# -- in steps, and otherwise -----------------------------------------------------------


def become(name: Expr, value: Expr) -> Relation:
    """``name ← value``: a step of a listing."""
    return related(name, "←", value)


def where(name: Expr, value: Expr) -> Relation:
    """``name = value``, for the items of a listing behind it."""
    return equals(name, value)


def listing(*items: Expr) -> Listing:
    """Steps, and behind them what they come to.

    >>> v, g = symbol("v", tag="new"), symbol("g")
    >>> print(listing(become(v, g + 0.9 * symbol("v")), symbol("θ") - 0.1 * v))
    v ← g + 0.9v, θ − 0.1v
    """
    return Listing(items)


def computed(
    shown: Expr, *arguments: Expr, how: Callable[..., Any], key: object = None
) -> Computed:
    """What cannot be worked out from the way it is written.

    Args:
        shown: how it is written.
        arguments: what it is computed from.
        how: computes it from their numbers.
        key: tells it from others that look the same and have the same arguments.
    """
    return Computed(shown, arguments, how, key)
