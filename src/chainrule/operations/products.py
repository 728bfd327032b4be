"""Products of matrices, vectors and stacks of matrices; Einstein summation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.build import bind
from chainrule.graph.node import Value
from chainrule.graph.types import DType
from chainrule.operations.arguments import axis_of
from chainrule.operations.movement import diagonal, permute, reshape
from chainrule.operations.operands import alike, broadcast_shapes, cast, promote
from chainrule.operations.reductions import total
from chainrule.primitives.elementwise import mul
from chainrule.primitives.matmul import dot, dot_general
from chainrule.primitives.rules import show
from chainrule.text import _

LETTERS = "abcdefghijlopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def together(v: Value, w: Value) -> tuple[Value, Value]:
    if v.dtype is w.dtype is not DType.bool:
        return v, w
    dtype = promote(v.dtype, w.dtype)
    if dtype is DType.bool:
        dtype = DType.int64
    return cast(v, dtype), cast(w, dtype)


def matmul(v: Value, w: Value) -> Value:
    """Return the matrix product, with NumPy's rules for vectors and stacks."""
    v, w = together(v, w)
    m, n = len(v.shape), len(w.shape)
    if m == 2 and n == 2:
        attrs = {"dims": "mk,kn->mn", "accumulate": v.dtype}
        return bind(dot_general, (v, w), attrs)
    if not m or not n:
        raise ShapeError(
            _("@ multiplies vectors and matrices."), got=_("a scalar"), fix="*"
        )
    core = (min(m, 2), min(n, 2))
    left = "mk"[2 - core[0] :]
    right = "kn"[: core[1]] if core[1] == 2 else "k"
    return batched(v, w, left, right, "".join(c for c in "mn" if c in left + right))


def batched(v: Value, w: Value, left: str, right: str, out: str) -> Value:
    """Return a product over last axes named by letters, with first axes broadcast."""
    a, b = v.shape[: len(v.shape) - len(left)], w.shape[: len(w.shape) - len(right)]
    lead = broadcast_shapes(a, b)
    names = LETTERS[: len(lead)]
    v, left_names = _without_ones(v, a, b, names)
    w, right_names = _without_ones(w, b, a, names)
    letters = "".join(c for c in names if c in left_names or c in right_names)
    made = dot(v, w, f"{left_names}{left},{right_names}{right}->{letters}{out}")
    return reshape(made, (*lead, *made.shape[len(letters) :]))


def _without_ones(
    v: Value, own: tuple[Any, ...], other: tuple[Any, ...], names: str
) -> tuple[Value, str]:
    """Return ``v`` without broadcast leading axes, and its other axes' letters."""
    full = (1,) * (len(names) - len(other)) + other
    mine = names[len(names) - len(own) :]
    kept = [
        i
        for i, (c, size) in enumerate(zip(mine, own))
        if size != 1 or full[names.index(c)] == 1
    ]
    shape = (*[own[i] for i in kept], *v.shape[len(own) :])
    return reshape(v, shape), "".join([mine[i] for i in kept])


def vecdot(v: Value, w: Value, axis: Any = -1) -> Value:
    """Return the sum of products along one axis, counted from the end."""
    if not isinstance(axis, int) or axis >= 0:
        smaller = min(len(v.shape), len(w.shape))
        if not isinstance(axis, int) or not smaller or axis >= smaller:
            axis_of(v.shape if len(v.shape) == smaller else w.shape, axis)
        if len(v.shape) != len(w.shape):
            raise ShapeError(
                _("vecdot counts its axis from the end."),
                expected=_("a negative axis where the ranks differ"),
                got=_(
                    "axis={axis} for {shape} and {w_shape}",
                    axis=axis,
                    shape=show(v.shape),
                    w_shape=show(w.shape),
                ),
            )
    a, b = axis_of(v.shape, axis), axis_of(w.shape, axis)
    if v.shape[a] != w.shape[b]:
        raise ShapeError(
            _("vecdot multiplies vectors of one length."),
            expected=_("axis {axis} of length {shape}", axis=axis, shape=v.shape[a]),
            got=str(w.shape[b]),
        )
    v, w = alike(*together(v, w))
    return total(mul(v, w), axis if axis < 0 else a, False, v.dtype)


def tensordot(v: Value, w: Value, axes: Any = 2) -> Value:
    """Return the sum of products over last axes of v and first of w, or over pairs."""
    v, w = together(v, w)
    if isinstance(axes, int):
        if not 0 <= axes <= min(len(v.shape), len(w.shape)):
            raise ShapeError(
                _("tensordot sums over axes that both have."),
                expected=_("from 0 to {shape}", shape=min(len(v.shape), len(w.shape))),
                got=str(axes),
            )
        pairs: Any = (range(len(v.shape) - axes, len(v.shape)), range(axes))
    else:
        pairs = [[d] if isinstance(d, int) else d for d in axes]
    first = [axis_of(v.shape, d) for d in pairs[0]]
    second = [axis_of(w.shape, d) for d in pairs[1]]
    if len(first) != len(second):
        raise ShapeError(
            _("tensordot pairs axes."), expected=_("as many of each"), got=f"{axes}"
        )
    left = LETTERS[: len(v.shape)]
    right = [*LETTERS[len(v.shape) : len(v.shape) + len(w.shape)]]
    for a, b in zip(first, second):
        right[b] = left[a]
    out = [c for c in left if c not in right] + [c for c in right if c not in left]
    return dot(v, w, f"{left},{''.join(right)}->{''.join(out)}")


def outer(v: Value, w: Value) -> Value:
    """Return the outer product of two vectors."""
    if len(v.shape) != 1 or len(w.shape) != 1:
        raise ShapeError(
            _("outer multiplies two vectors."),
            expected=_("one axis each"),
            got=_("{shape} and {w_shape}", shape=show(v.shape), w_shape=show(w.shape)),
        )
    return dot(*together(v, w), "m,n->mn")


# -- Einstein's convention ------------------------------------------------------------


def einsum(equation: str, values: Sequence[Value]) -> Value:
    """Return an Einstein summation: axes named by letters, two operands at a time."""
    terms, out = _parsed(equation, values)
    work: list[tuple[str, Value]] = []
    for letters, v in zip(terms, values):
        work.append(_without_twins(letters, v))
    letters, made = work[0]
    for i, (more, w) in enumerate(work[1:], start=2):
        later = out + "".join(term for term, __ in work[i:])
        letters, made = _product(letters, made, more, w, later)
    letters, made = _summed(letters, made, out)
    return permute(made, [letters.index(c) for c in out])


def _product(
    left: str, v: Value, right: str, w: Value, later: str
) -> tuple[str, Value]:
    left, v = _summed(left, v, right + later)
    right, w = _summed(right, w, left + later)
    names = dict.fromkeys(left + right)
    out = "".join(c for c in names if c in later)
    return out, dot(*together(v, w), f"{left},{right}->{out}")


def _summed(letters: str, v: Value, kept: str) -> tuple[str, Value]:
    """Sum over the axes whose letters are not in ``kept``."""
    axes = [i for i, c in enumerate(letters) if c not in kept]
    if axes:
        v = total(v, axes, False, None if v.dtype.is_float else v.dtype)
    return "".join(c for c in letters if c in kept), v


def _without_twins(letters: str, v: Value) -> tuple[str, Value]:
    """Return the diagonal for each letter that names two axes of an operand."""
    while len(set(letters)) < len(letters):
        c = next(c for c in letters if letters.count(c) > 1)
        a = letters.index(c)
        b = letters.index(c, a + 1)
        v = diagonal(v, 0, a, b)
        letters = letters[:a] + letters[a + 1 : b] + letters[b + 1 :] + c
    return letters, v


def _parsed(equation: str, values: Sequence[Value]) -> tuple[list[str], str]:
    """Return the letters of each operand and of the result, an ellipsis expanded."""
    text = equation.replace(" ", "")
    left, arrow, out = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(values) or not values:
        raise ArgumentError(
            _(
                "einsum {equation!r} describes {terms} operands.",
                equation=equation,
                terms=len(terms),
            ),
            expected=_("as many as are given, {values}", values=len(values)),
            got=str(len(terms)),
        )
    spare = [c for c in LETTERS + "kmn" if c not in text]
    most = 0
    for i, (term, v) in enumerate(zip(terms, values)):
        if "..." in term:
            extra = len(v.shape) - len(term.replace("...", ""))
            if extra < 0:
                raise _wrong(equation, term, v)
            most = max(most, extra)
            names = "".join(spare[:26][-extra:]) if extra else ""
            terms[i] = term.replace("...", names)
        if (not terms[i].isalpha() and terms[i]) or len(terms[i]) != len(v.shape):
            raise _wrong(equation, term, v)
    shared = "".join(spare[:26][-most:]) if most else ""
    every = "".join(terms)
    if not arrow:
        once = sorted(c for c in set(every) if every.count(c) == 1 and c not in shared)
        return terms, shared + "".join(once)
    out = out.replace("...", shared)
    if len(set(out)) < len(out) or not set(out) <= set(every):
        raise ArgumentError(
            _(
                "einsum {equation!r} asks for axes that it does not have once.",
                equation=equation,
            ),
            expected=_("letters of the operands, each once"),
            got=out,
        )
    return terms, out


def _wrong(equation: str, term: str, v: Value) -> ShapeError:
    return ShapeError(
        _(
            "einsum {equation!r} names the axes of an operand {term!r}.",
            equation=equation,
            term=term,
        ),
        expected=_("a letter for each axis"),
        got=show(v.shape),
    )
