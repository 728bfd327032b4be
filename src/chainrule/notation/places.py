"""Formulas of moved elements: slices, windows, running sums, new shapes.

None of it can be worked out from what is written alone: declarations pair it with a
function that does, see :func:`chainrule.notation.functions.computed`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from chainrule.notation.expressions import (
    Atom,
    Call,
    Expr,
    Fence,
    Indexed,
    Listing,
    Number,
    Prefix,
    Relation,
    Script,
    Span,
    Written,
    as_expr,
    axis_letters,
)
from chainrule.notation.functions import (
    apply,
    become,
    head_along,
    index_of,
    less,
    named,
    operated,
    related,
    scale,
)

__all__ = [
    "added",
    "alike",
    "along_axis",
    "apart",
    "at",
    "block",
    "concatenated",
    "convolved",
    "every",
    "group",
    "letters_of",
    "on_axes",
    "overwritten",
    "padded",
    "pulled_back",
    "recurrence",
    "running",
    "shaped",
    "sliced",
    "windowed",
]

Ints = tuple[int, ...]
Pads = Sequence[tuple[int, int]]


def letters_of(x: Expr, axes: Ints) -> str:
    """Return an index letter for each axis of an expression, as far as known."""
    index = index_of(x)
    return axis_letters(max(axes, default=-1) + 1) if index is None else index


def group(items: Iterable[Written], fence: str = "()") -> Expr:
    """Return the formula of items in brackets, separated by commas.

    >>> print(group((1, 2)), group((1, group((2, 3), "[]")), "[]"))
    (1, 2) [1, [2, 3]]
    """
    inner = Listing(tuple(map(as_expr, items)))
    return Fence(Atom(fence[0]), inner, Atom(fence[1]))


def alike(items: Sequence[Any], written: Sequence[Written]) -> list[Written]:
    """Return sizes as one written item if all are equal, else as all of them."""
    return [written[0]] if len(set(items)) == 1 else list(written)


# -- picked and put --------------------------------------------------------------------


def at(x: Expr, *places: Written) -> Expr:
    """Return the formula of an array's element at positions: x[i, j].

    >>> print(at(Atom("x"), Atom("s"), 3))
    x[s, 3]
    """
    if not places:
        return x
    return Call(x, tuple(map(as_expr, places)), "[]")


def sliced(x: Expr, starts: Sequence[Any], stops: Sequence[Any], strides: Ints) -> Expr:
    """Return the formula of a slice with Python's colons: x[:, 2:5].

    >>> from chainrule.notation.functions import symbol
    >>> print(sliced(symbol("x"), (0, 2), ("N", 5), (1, 2)))
    x[:, 2:5:2]
    """
    spans: list[Expr] = []
    for start, stop, stride in zip(starts, stops, strides):
        fixed = isinstance(stop, int)
        first = Number(start) if start else None
        spans.append(Span(first, Number(stop) if fixed else None, stride))
    return at(x, *spans)


def block(x: Expr, *starts: Expr, sizes: Sequence[Any]) -> Expr:
    """Return the formula of a block of an array with computed start positions.

    >>> print(block(Atom("x"), Atom("i"), Number(1), sizes=(3, 2)))
    x[i:i + 3, 1:3]
    """
    spans: list[Expr] = []
    for start, size in zip(starts, sizes):
        end = as_expr(start.value + size) if isinstance(start, Number) else start + size
        spans.append(Span(start, end))
    return at(x, *spans)


def along_axis(x: Expr, i: Expr, axis: int) -> Expr:
    """Return the formula of an array's elements at some indices along an axis.

    >>> print(along_axis(Atom("x", index="si"), Atom("y"), 1))
    x[s, y]
    """
    letters = letters_of(x, (axis,))
    return at(x, *(i if a == axis else Atom(c) for a, c in enumerate(letters)))


def overwritten(x: Expr, update: Expr, *starts: Expr) -> Expr:
    """Return the formula that assigns ``update`` to a block of an array.

    >>> print(overwritten(Atom("x"), Atom("u"), Atom("i"), Number(0)))
    x[i:, 0:] ← u
    """
    return become(at(x, *(Span(start, None) for start in starts)), update)


def added(place: Expr, u: Expr) -> Expr:
    """Return the formula of an addition in place: x[i] += u.

    >>> print(added(at(Atom("x"), Atom("i")), Atom("u")))
    x[i] += u
    """
    return Relation((place, u), (Atom(r"\;{+}{=}\;", "+="),))


def concatenated(*xs: Expr, axis: int) -> Expr:
    """Return the formula of a concatenation of arrays along an axis.

    >>> x = Atom("x", index="si")
    >>> print(concatenated(x, x, axis=1), concatenated(x, x, axis=0))
    concat(x, x) concatₛ(x, x)
    """
    return Call(head_along("concat", xs[0], axis), xs)


# -- shapes ----------------------------------------------------------------------------


def shaped(name: str, x: Expr, shape: Sequence[Any]) -> Expr:
    """Return the formula of a function of an array and a shape: reshape(x, n × 3).

    >>> print(shaped("reshape", Atom("x"), ("N", 4)), shaped("reshape", Atom("x"), ()))
    reshape(x, n × 4) reshape(x)
    """
    if not shape:
        return apply(name, x)
    sizes = [s if isinstance(s, str) else repr(s) for s in shape]
    sizes = [size.replace("*", "").replace("N", "n") for size in sizes]
    return apply(name, x, Atom(r" \times ".join(sizes), " × ".join(sizes)))


def on_axes(name: str, x: Expr, axes: Ints, *more: Expr) -> Expr:
    """Return the formula of a function along some axes, with their letters.

    >>> x = Atom("x", index="si")
    >>> print(on_axes("flip", x, (0,)), on_axes("flip", x, (0, 1)))
    flipₛ(x) flip(x)
    """
    letters = letters_of(x, axes)
    head: Expr = named(name)
    if len(axes) < len(letters):
        head = Script(head, below=Atom("".join(letters[a] for a in sorted(axes))))
    return Call(head, (x, *more))


def padded(x: Expr, pads: Pads) -> Expr:
    """Return the formula of an array padded with zeros: pad(x, 1).

    >>> from chainrule.notation.functions import symbol
    >>> print(padded(symbol("x"), [(1, 1), (1, 1)]), padded(symbol("x"), [(1, 0)]))
    pad(x, 1) pad(x, (1, 0))
    """
    if not any(lo or hi for lo, hi in pads):
        return x
    written = [lo if lo == hi else group((lo, hi)) for lo, hi in pads]
    return apply("pad", x, *alike(pads, written))


def apart(x: Expr, steps: Ints) -> Expr:
    """Return the formula of an array upsampled with zeros in between: x ↑ 2.

    >>> x = Atom("x")
    >>> print(apart(x, (2, 2)), apart(x, (1, 2)), apart(x, (1,)), sep="   ")
    x ↑ 2   x ↑ (1, 2)   x
    """
    return _stepped(x, "up", steps)


def every(x: Expr, steps: Ints) -> Expr:
    """Return the formula of an array downsampled to each n-th element: x ↓ 2.

    >>> print(every(Atom("x"), (2,)))
    x ↓ 2
    """
    return _stepped(x, "down", steps)


def _stepped(x: Expr, sign: str, steps: Ints) -> Expr:
    if all(n == 1 for n in steps):
        return x
    (*several,) = alike(steps, steps)
    number = as_expr(several[0]) if len(several) == 1 else group(several)
    return operated(sign, x, number)


# -- windows ---------------------------------------------------------------------------


def convolved(
    x: Expr,
    kernel: Expr,
    *,
    dims: str = "",
    accumulate: object = None,
    strides: Ints,
    padding: Pads,
    lhs_dilation: Ints,
    rhs_dilation: Ints,
) -> Expr:
    """Return the formula of a convolution W ∗ x with padding, dilation and strides.

    Which axes ``dims`` names does not show, nor what it is added up in.

    >>> from chainrule.notation.functions import symbol
    >>> x, w = symbol("x"), symbol("W")
    >>> ones = {"lhs_dilation": (1, 1), "rhs_dilation": (1, 1)}
    >>> print(convolved(x, w, strides=(2, 2), padding=[(1, 1), (1, 1)], **ones))
    (W ∗ pad(x, 1)) ↓ 2
    """
    del dims, accumulate
    seen = padded(apart(x, lhs_dilation), padding)
    return every(operated("conv", apart(kernel, rhs_dilation), seen), strides)


def windowed(
    name: str,
    x: Expr,
    axes: Ints,
    *,
    window: Ints,
    strides: Ints,
    padding: Pads,
    dilation: Ints,
    base_dilation: Ints = (),
) -> Expr:
    """Return the formula of a sum or maximum over windows (pooling).

    >>> from chainrule.notation.functions import symbol
    >>> one = {"padding": [(0, 1)], "dilation": (1,)}
    >>> print(windowed("max", symbol("x"), (1,), window=(3,), strides=(2,), **one))
    max_(k < 3) x_(s, 2i + k)
    """
    if not axes:
        return x
    letters = letters_of(x, axes)
    counters = [c for c in "klmuvw" if c not in letters]
    places: list[Expr] = [Atom(c) for c in letters]
    bounds: list[Expr] = []
    for k, axis, w, s, (low, _), r in zip(
        counters, axes, window, strides, padding, dilation
    ):
        count = Atom(k)
        bounds.append(less(count, w))
        place = _times(s, places[axis]) + _times(r, count)
        places[axis] = place - low if low > 0 else place + -low if low else place
    whole = len(places) == 1
    below = places[0] if whole else Listing(tuple(places))
    limits = bounds[0] if len(bounds) == 1 else Listing(tuple(bounds))
    element = Indexed(apart(x, base_dilation), below=below)
    return Prefix(Script(named(name), below=limits), element, "wide")


def pulled_back(name: str, x: Expr, g: Expr) -> Expr:
    """Return the formula of a derivative at x, transposed, times g: J_max(x)ᵀ g.

    >>> from chainrule.notation.functions import symbol
    >>> print(pulled_back("max", symbol("x"), symbol("g")))
    J_max(x)ᵀ g
    """
    return Call(Script(Atom("J"), below=named(name)), (x,)).T @ g


def _times(number: int, x: Expr) -> Expr:
    return x if number == 1 else scale(number, x)


# -- one after the other ---------------------------------------------------------------


def running(name: str, x: Expr, axis: int, *, reverse: bool) -> Expr:
    """Return the formula of a running sum or product: ∑_(k ≤ i) xₖ.

    >>> from chainrule.notation.functions import symbol
    >>> x = symbol("x", index="sti")
    >>> print(running("∑", x, 1, reverse=True))
    ∑_(k ≥ t) xₛₖᵢ
    """
    letters = letters_of(x, (axis,))
    k = next(c for c in "klmuvw" if c not in letters)
    limit = related(Atom(k), "≥" if reverse else "≤", Atom(letters[axis]))
    below = Atom(letters[:axis] + k + letters[axis + 1 :])
    head = Script(named(name), below=limit)
    return Prefix(head, Indexed(x, below=below), "wide")


def recurrence(a: Expr, b: Expr, axis: int, *, reverse: bool) -> Expr:
    """Return the formula of a linear recurrence yᵢ = aᵢ yᵢ₋₁ + bᵢ.

    >>> from chainrule.notation.functions import symbol
    >>> print(recurrence(symbol("a"), symbol("b"), 0, reverse=False))
    aₛ yₛ₋₁ + bₛ
    """
    letters = letters_of(a, (axis,))
    here, before = Atom(letters), [Atom(c) for c in letters]
    place = before[axis] + 1 if reverse else before[axis] - 1
    others = (*before[:axis], place, *before[axis + 1 :])
    below = place if len(letters) == 1 else Listing(others)
    y = Script(Atom("y", tag="result"), below=below)
    return scale(Indexed(a, below=here), y) + Indexed(b, below=here)
