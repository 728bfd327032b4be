"""Tensor functions for products of matrices and vectors, and Einstein summation."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.apply import apply
from chainrule.graph.node import Value
from chainrule.graph.types import DType
from chainrule.operations.arguments import axis_of
from chainrule.operations.arithmetic import add, is_one, mul, times
from chainrule.operations.autocasting import dot, is_mixed
from chainrule.operations.op import op
from chainrule.operations.operands import (
    astype,
    broadcast_shapes,
    is_number,
    promote,
    promoted,
    value_of,
)
from chainrule.operations.reductions import sum_
from chainrule.operations.shapes import diagonal_of, permutation, reshaped
from chainrule.primitives import movement
from chainrule.primitives.matmul import dot_general
from chainrule.primitives.rules import show
from chainrule.text import _, ngettext

LETTERS = "abcdefghijlopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _summable(v: Value, w: Value) -> tuple[Value, Value]:
    """Return two factors in their common dtype; truth values are counted in int64."""
    if v.dtype is w.dtype is not DType.bool:
        return v, w
    dtype = promote(v.dtype, w.dtype)
    if dtype is DType.bool:
        dtype = DType.int64
    return astype(v, dtype), astype(w, dtype)


@op(operator="matmul")
def matmul(x: Value, other: Any) -> Value:
    """Return the matrix product of tensors, with NumPy's rules for vectors and stacks.

    >>> import chainrule as cr
    >>> cr.matmul(cr.tensor([[1.0, 2.0]]), cr.tensor([[3.0], [4.0]]))
    tensor([[11.]])
    """
    v, w = _summable(x, value_of(other))
    m, n = len(v.shape), len(w.shape)
    if m == 2 and n == 2:
        if is_mixed(v.dtype):
            return dot(v, w, "mk,kn->mn")
        attrs = {"dims": "mk,kn->mn", "accumulate": v.dtype}
        return apply(dot_general, (v, w), attrs)
    if not m or not n:
        raise ShapeError(
            _("@ multiplies vectors and matrices."), got=_("a scalar"), fix="*"
        )
    core = (min(m, 2), min(n, 2))
    left = "mk"[2 - core[0] :]
    right = "kn"[: core[1]] if core[1] == 2 else "k"
    return batched(v, w, left, right, "".join(c for c in "mn" if c in left + right))


@op
def mm(x: Value, other: Any) -> Value:
    """Return the product of two matrices."""
    return _product_of(x, other, 2, 2, "mm")


@op
def bmm(x: Value, other: Any) -> Value:
    """Return the matrix products of two stacks (batches) of matrices."""
    return _product_of(x, other, 3, 3, "bmm")


@op
def mv(x: Value, other: Any) -> Value:
    """Return the product of a matrix and a vector."""
    return _product_of(x, other, 2, 1, "mv")


@op(name="dot")
def inner(x: Value, other: Any) -> Value:
    """Return the inner product of two vectors."""
    return _product_of(x, other, 1, 1, "dot")


def _product_of(x: Value, other: Any, m: int, n: int, name: str) -> Value:
    w = value_of(other)
    if (len(x.shape), len(w.shape)) != (m, n):
        raise ShapeError(
            _("{name} takes tensors of {m} and {n} axes.", name=name, m=m, n=n),
            expected=_("{m} and {n}", m=m, n=n),
            got=_("{shape} and {w_shape}", shape=show(x.shape), w_shape=show(w.shape)),
            fix="x @ y",
        )
    return matmul(x, w)


def _scaled_sum(x: Value, product: Value, beta: Any, alpha: Any) -> Value:
    """Return beta · x + alpha · product; with beta = 0 nothing of x, not its NaN."""
    scales = [n for n in (alpha, beta) if not is_one(n)]
    fractions = any(value_of(n).dtype.is_float for n in scales)
    if fractions and not (product.dtype.is_float or x.dtype.is_float):
        raise ArgumentError(
            _("Sums and products of integers are scaled by integers."),
            expected=_("whole numbers for alpha and beta, or floats"),
            got=f"alpha={alpha!r:.40}, beta={beta!r:.40}",
            fix="x.double()",
        )
    if not is_one(alpha):
        product = times(product, alpha)
    if broadcast_shapes(x.shape, product.shape) != product.shape:
        raise ShapeError(
            _("What is added to a product has its shape, or is broadcast to it."),
            expected=show(product.shape),
            got=show(x.shape),
        )
    if is_number(beta) and beta == 0:
        return astype(product, promote(product.dtype, x.dtype))
    return add(*promoted(product, x if is_one(beta) else times(x, beta)))


@op(in_place=True)
def addmm(
    x: Value, mat1: Any, mat2: Any, *, beta: float = 1, alpha: float = 1
) -> Value:
    """Return beta · x + alpha · mat1 @ mat2, a scaled matrix product and sum."""
    return _scaled_sum(x, mm(value_of(mat1), mat2), beta, alpha)


@op(in_place=True)
def addmv(x: Value, mat: Any, vec: Any, *, beta: float = 1, alpha: float = 1) -> Value:
    """Return beta · x + alpha · mat @ vec, of a matrix and a vector."""
    return _scaled_sum(x, mv(value_of(mat), vec), beta, alpha)


@op(in_place=True)
def addr(x: Value, vec1: Any, vec2: Any, *, beta: float = 1, alpha: float = 1) -> Value:
    """Return beta · x + alpha times the outer product; bool stays bool, as or."""
    v, w = value_of(vec1), value_of(vec2)
    result = _scaled_sum(x, outer(v, w), beta, alpha)
    truths = x.dtype is v.dtype is w.dtype is DType.bool
    return astype(result, DType.bool) if truths else result


@op(in_place=True)
def baddbmm(
    x: Value, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1
) -> Value:
    """Return beta · x + alpha times the matrix products of two stacks of matrices."""
    return _scaled_sum(x, bmm(value_of(batch1), batch2), beta, alpha)


@op(in_place=True)
def addbmm(
    x: Value, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1
) -> Value:
    """Return beta · x + alpha times the sum of a stack's matrix products."""
    product = bmm(value_of(batch1), batch2)
    return _scaled_sum(x, sum_(product, 0, dtype=product.dtype), beta, alpha)


def batched(v: Value, w: Value, left: str, right: str, out: str) -> Value:
    """Return a product over last axes named by letters, with leading axes broadcast."""
    a, b = v.shape[: len(v.shape) - len(left)], w.shape[: len(w.shape) - len(right)]
    lead = broadcast_shapes(a, b)
    names = LETTERS[: len(lead)]
    v, left_names = _without_ones(v, a, b, names)
    w, right_names = _without_ones(w, b, a, names)
    letters = "".join(c for c in names if c in left_names or c in right_names)
    product = dot(v, w, f"{left_names}{left},{right_names}{right}->{letters}{out}")
    return reshaped(product, (*lead, *product.shape[len(letters) :]))


def _without_ones(
    v: Value, own: tuple[Any, ...], other: tuple[Any, ...], names: str
) -> tuple[Value, str]:
    """Return a factor of a product without its broadcast leading axes, and letters."""
    full = (1,) * (len(names) - len(other)) + other
    mine = names[len(names) - len(own) :]
    positions = [
        i
        for i, (c, size) in enumerate(zip(mine, own))
        if size != 1 or full[names.index(c)] == 1
    ]
    shape = (*[own[i] for i in positions], *v.shape[len(own) :])
    return reshaped(v, shape), "".join([mine[i] for i in positions])


@op(method=False)
def vecdot(x: Value, other: Any, *, axis: int = -1) -> Value:
    """Return the inner product of vectors along an axis, counted from the end.

    >>> import chainrule as cr
    >>> cr.vecdot(cr.tensor([1.0, 2.0]), cr.tensor([3.0, 4.0]))
    tensor(11.)
    """
    v, w = x, value_of(other)
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
    v, w = promoted(*_summable(v, w))
    return sum_(mul(v, w), axis if axis < 0 else a, dtype=v.dtype)


@op(method=False)
def tensordot(x: Value, other: Any, dims: Any = 2) -> Value:
    """Return a tensor product summed over last axes of x and first of ``other``.

    Args:
        x, other: tensors.
        dims: a number of axes, or the axes of x and those of ``other`` that go with
            them.

    >>> import chainrule as cr
    >>> cr.tensordot(cr.tensor([[1.0, 2.0]]), cr.tensor([[3.0], [4.0]]), 1)
    tensor([[11.]])
    """
    axes = dims
    v, w = _summable(x, value_of(other))
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
    for a, b in zip(first, second):  # one element goes with all of the other's
        if v.shape[a] == 1 != w.shape[b]:
            w = sum_(w, b, True, dtype=w.dtype)
        elif w.shape[b] == 1 != v.shape[a]:
            v = sum_(v, a, True, dtype=v.dtype)
    right = [*LETTERS[len(v.shape) : len(v.shape) + len(w.shape)]]
    for a, b in zip(first, second):
        right[b] = left[a]
    out = [c for c in left if c not in right] + [c for c in right if c not in left]
    return dot(v, w, f"{left},{''.join(right)}->{''.join(out)}")


@op("ger")
def outer(x: Value, other: Any) -> Value:
    """Return the outer product of two vectors."""
    v, w = x, value_of(other)
    if len(v.shape) != 1 or len(w.shape) != 1:
        raise ShapeError(
            _("outer multiplies two vectors."),
            expected=_("one axis each"),
            got=_("{shape} and {w_shape}", shape=show(v.shape), w_shape=show(w.shape)),
        )
    if v.dtype is w.dtype is DType.bool:
        return mul(*promoted(reshaped(v, (-1, 1)), w))
    return dot(*_summable(v, w), "m,n->mn")


# -- Einstein's convention ------------------------------------------------------------


@op(method=False)
def einsum(equation: Any, *operands: Any) -> Value:
    """Return an Einstein summation of tensors, such as ``einsum("ij,jk->ik", a, b)``.

    Operands are multiplied two at a time, from left to right. Axes may be numbered
    instead: ``einsum(x, [0, 1], y, [1, 2], [0, 2])``.

    >>> import chainrule as cr
    >>> cr.einsum("ij,jk->ik", cr.tensor([[1.0, 2.0]]), cr.tensor([[3.0], [4.0]]))
    tensor([[11.]])
    """
    if not isinstance(equation, str):
        equation, operands = _in_letters((equation, *operands))
    elif len(operands) == 1 and isinstance(operands[0], tuple | list):
        operands = tuple(operands[0])
    values = [value_of(x) for x in operands]
    terms, out = _parsed(equation, values)
    work: list[tuple[str, Value]] = []
    for letters, v in zip(terms, values):
        work.append(_without_twins(letters, v))
    letters, value = work[0]
    for i, (more, w) in enumerate(work[1:], start=2):
        later = out + "".join(term for term, __ in work[i:])
        letters, value = _product(letters, value, more, w, later)
    letters, value = _summed(letters, value, out)
    order = permutation(value.shape, [letters.index(c) for c in out])
    return movement.transpose(value, axes=order)


def _in_letters(arguments: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """Return einsum's equation for operands that alternate with lists of axes."""

    def letters(axes: Any) -> str:
        if not isinstance(axes, tuple | list) or not all(n in range(52) for n in axes):
            raise ArgumentError(
                _("einsum reads letters or numbers for axes."),
                expected=_(
                    "einsum('ij,jk->ik', x, y), or numbers up to 51: "
                    "einsum(x, [0, 1], y, [1, 2])"
                ),
                got=f"{axes!r:.60}",
            )
        return "".join(string.ascii_letters[n] for n in axes)

    pairs = len(arguments) // 2
    terms = [letters(axes) for axes in arguments[1 : 2 * pairs : 2]]
    out = f"->{letters(arguments[-1])}" if len(arguments) % 2 else ""
    return ",".join(terms) + out, arguments[: 2 * pairs : 2]


def _product(
    left: str, v: Value, right: str, w: Value, later: str
) -> tuple[str, Value]:
    left, v = _summed(left, v, right + later)
    right, w = _summed(right, w, left + later)
    names = dict.fromkeys(left + right)
    out = "".join(c for c in names if c in later)
    return out, dot(*_summable(v, w), f"{left},{right}->{out}")


def _summed(letters: str, v: Value, remaining: str) -> tuple[str, Value]:
    """Sum an einsum operand over the axes whose letters are not in ``remaining``."""
    axes = [i for i, c in enumerate(letters) if c not in remaining]
    if axes:
        v = sum_(v, axes, dtype=None if v.dtype.is_float else v.dtype)
    return "".join(c for c in letters if c in remaining), v


def _without_twins(letters: str, v: Value) -> tuple[str, Value]:
    """Return an einsum operand's diagonal for each letter that occurs twice."""
    while len(set(letters)) < len(letters):
        c = next(c for c in letters if letters.count(c) > 1)
        a = letters.index(c)
        b = letters.index(c, a + 1)
        v = diagonal_of(v, 0, a, b)
        letters = letters[:a] + letters[a + 1 : b] + letters[b + 1 :] + c
    return letters, v


def _parsed(equation: str, values: Sequence[Value]) -> tuple[list[str], str]:
    """Parse an einsum equation into the letters of each operand and of the result."""
    text = equation.replace(" ", "")
    left, arrow, out = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(values) or not values:
        raise ArgumentError(
            ngettext(
                "einsum {equation!r} describes {n} operand.",
                "einsum {equation!r} describes {n} operands.",
                n=len(terms),
                equation=equation,
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
