"""Functions that build formulas over axes: sums, means, softmax, broadcasts."""

from __future__ import annotations

from typing import Any

from chainrule.notation.expressions import (
    Along,
    Atom,
    Choice,
    Expr,
    Fence,
    Number,
    Picked,
    Power,
    Prefix,
    Product,
    Reduced,
    Relation,
    Script,
    Spread,
    Sum,
    Written,
    as_expr,
    axis_letters,
)
from chainrule.notation.names import named


def _index(x: Expr, axes: tuple[int, ...], rank: int | None) -> tuple[str, bool]:
    """Return the index letters of an expression's axes, and whether they are known."""
    index = index_of(x)
    if index is not None and rank in (None, len(index)):
        return index, True
    known = rank is not None
    return axis_letters(rank if known else max(axes, default=-1) + 1), known


def index_of(x: Expr) -> str | None:
    """Return the index letters of an expression's axes, or None if unknown.

    >>> index_of(Atom("x", index="si") + Atom("b", index="i"))
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
    """Return the formula of a reduction over some axes, or over all of them.

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
    """Return the formula of a sum over axes; see :func:`reduced`.

    >>> x = Atom("x", index="sti")
    >>> print(total(x), total(x, over=(0,)), total(x, over=(1, 2)))
    ∑ x ∑ₛ x ∑ₜᵢ x
    """
    return reduced("∑", x, over, **options)


def product_of(x: Written, over: Axes = None, **options: Any) -> Expr:
    """Return the formula of a product over axes; see :func:`reduced`.

    >>> print(product_of(Atom("x", index="si"), over=(1,)))
    ∏ᵢ x
    """
    return reduced("∏", x, over, **options)


def mean(x: Written, over: Axes = None, **options: Any) -> Expr:
    """Return the formula of a mean over axes; see :func:`reduced`.

    >>> print(mean(Atom("x", index="si") ** 2, over=(0,)))
    meanₛ(x²)
    """
    return reduced("mean", x, over, **options)


def variance(x: Written, over: Axes = None, **options: Any) -> Expr:
    """Return the formula of a variance over axes; see :func:`reduced`.

    >>> print(variance(Atom("x", index="si"), over=(0,)))
    varₛ(x)
    """
    return reduced("var", x, over, **options)


def largest(x: Written, over: Axes = None, **options: Any) -> Expr:
    """Return the formula of a maximum over axes; see :func:`reduced`.

    >>> print(largest(Atom("x")))
    max(x)
    """
    return reduced("max", x, over, **options)


def head_along(name: str, x: Expr, axis: int) -> Expr:
    """Return a function's symbol, with the axis letter if it is not the last axis.

    >>> x = Atom("x", index="scpq")
    >>> print(head_along("softmax", x, 3), head_along("softmax", x, 1))
    softmax softmax_c
    """
    index, _ = _index(x, (axis,), None)
    head, last = named(name), axis in (-1, len(index) - 1)
    return head if last else Script(head, below=Atom(index[axis]))


def along(name: str, x: Expr, axis: int) -> Along:
    """Return the formula of a function applied along one axis, such as softmax(z).

    >>> print(along("argsort", Atom("x", index="sti"), 1))
    argsortₜ(x)
    """
    return Along(head_along(name, x, axis), (x,), axis=axis)


def softmax(x: Expr, axis: int = -1) -> Along:
    """Return the formula of softmax e^xᵢ / Σⱼ e^xⱼ along an axis.

    >>> print(softmax(Atom("z")))
    softmax(z)
    """
    return along("softmax", x, axis)


def picked(x: Expr, label: Expr) -> Picked:
    """Return the formula of each row's element that a label names: softmax(z)_y.

    >>> print(picked(softmax(Atom("z")), Atom("y")))
    softmax(z)_y
    """
    return Picked(x, label)


def spread(
    b: Expr,
    axes: tuple[int, ...],
    like: Expr,
    *,
    rank: int | None = None,
    letters: bool = True,
) -> Expr:
    """Return the formula of ``b`` broadcast to the axes of ``like``.

    Where they are the last axes of ``like`` nothing needs to be written.

    Args:
        b: what is repeated.
        axes: where its axes stand among those of ``like``.
        like: what it is repeated for.
        rank: how many axes that has, where its ``index`` does not say so.
        letters: whether to write the letters of the axes.

    >>> x, b = Atom("x", index="scpq"), Atom("b", index="i")
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
