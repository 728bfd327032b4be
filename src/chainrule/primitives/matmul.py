"""Primitives for tensor products (matrix products), with axes named as in ``einsum``.

``dims="no,oi->ni"`` names every axis of both operands and of the result:

- a letter of both operands that the result lacks is contracted (summed over);
- a letter of one operand and the result is free;
- a letter of all three is a batch axis.

With that the derivative needs no case distinctions: for C = A·B in dims ``A,B->C``
the cotangent of A is the product of C's cotangent with B in dims ``C,B->A``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from chainrule import notation as write
from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.graph.batching import product
from chainrule.graph.declare import declare
from chainrule.graph.node import Array, Value
from chainrule.graph.primitive import Case
from chainrule.graph.types import ArrayType, Dim, DType
from chainrule.primitives.blas import check_blas
from chainrule.primitives.rules import need_dtype, show
from chainrule.text import _, ngettext

if TYPE_CHECKING:
    from chainrule.notation.expressions import Expr

Axes = tuple[int, ...]


@dataclass(frozen=True)
class Dims:
    """The axis letters of a tensor product, grouped as batch, free and contracted."""

    lhs: str
    rhs: str
    out: str
    batch: str
    left: str
    right: str
    contracted: str
    window: str


@lru_cache(maxsize=256)
def parse_dims(dims: str) -> Dims:
    """Parse a tensor product's axis letters, such as ``"ni,oi->no"``, into groups."""
    operands, arrow, out = dims.partition("->")
    lhs, comma, rhs = operands.partition(",")
    window = "".join(sorted(c for c in out if c.isdigit()))
    letters = [[c for c in part if not c.isdigit()] for part in (lhs, rhs, out)]
    counts = {c: sum(c in part for part in letters) for part in letters for c in part}
    digits = ["".join(c for c in part if c.isdigit()) for part in (lhs, rhs, out)]
    if (
        not (arrow and comma)
        or any(len(set(part)) != len(part) for part in letters)
        or any(n < 2 for n in counts.values())
        or any("".join(sorted(d)) != window for d in digits)
        or len(set(window)) != len(window)
        or not (lhs + rhs + out).isascii()
        or not all(map(str.isalnum, lhs + rhs + out))
    ):
        raise ArgumentError(
            _("{dims!r} is not a description of a product.", dims=dims),
            expected=_(
                "every letter in two or three of lhs, rhs and out, once in each"
            ),
            got=dims,
            fix=_('for example "ni,oi->no" for x·Wᵀ, or "nc01,oc01->no01" to convolve'),
        )
    in_l, in_r, in_o = letters
    return Dims(
        lhs,
        rhs,
        out,
        batch="".join(c for c in in_o if c in in_l and c in in_r),
        left="".join(c for c in in_o if c in in_l and c not in in_r),
        right="".join(c for c in in_o if c in in_r and c not in in_l),
        contracted="".join(c for c in in_l if c in in_r and c not in in_o),
        window=window,
    )


def letter_sizes(
    name: str, d: Dims, lhs: ArrayType, rhs: ArrayType, accumulate: DType
) -> dict[str, Dim]:
    """Return the sizes of a tensor product's axis letters; check its operands."""
    need_dtype(name, lhs.dtype, rhs.dtype)
    if accumulate.kind != lhs.dtype.kind:
        raise DTypeError(
            _("{name} adds up in a dtype of its operands' kind.", name=name),
            expected=lhs.dtype.kind,
            got=accumulate.name,
            fix=f"accumulate={lhs.dtype.name}",
        )
    sizes: dict[str, Dim] = {}
    for operand, letters in ((lhs, d.lhs), (rhs, d.rhs)):
        if len(operand.shape) != len(letters):
            raise ShapeError(
                ngettext(
                    "{name} '{lhs},{rhs}->{out}' names {n} axis.",
                    "{name} '{lhs},{rhs}->{out}' names {n} axes.",
                    n=len(letters),
                    name=name,
                    lhs=d.lhs,
                    rhs=d.rhs,
                    out=d.out,
                ),
                expected=_("a value of rank {letters}", letters=len(letters)),
                got=show(operand.shape),
            )
        for letter, dim in zip(letters, operand.shape):
            if letter.isdigit():
                continue
            if sizes.setdefault(letter, dim) != dim:
                raise ShapeError(
                    _(
                        "{name} '{lhs},{rhs}->{out}' cannot multiply {shape} by "
                        "{rhs_shape}.",
                        name=name,
                        lhs=d.lhs,
                        rhs=d.rhs,
                        out=d.out,
                        shape=show(lhs.shape),
                        rhs_shape=show(rhs.shape),
                    ),
                    expected=_(
                        "axis {letter!r} of length {sizes}",
                        letter=letter,
                        sizes=sizes[letter],
                    ),
                    got=str(dim),
                    fix=_("the axes that share a letter must have the same length"),
                )
    return sizes


def _dot_rule(
    lhs: ArrayType, rhs: ArrayType, *, dims: str, accumulate: DType
) -> ArrayType:
    d = parse_dims(dims)
    if d.window:
        raise ArgumentError(
            _("dot_general '{dims}' names spatial axes.", dims=dims),
            expected=_("letters alone"),
            got=dims,
            fix=_("use conv where a window moves over an axis"),
        )
    sizes = letter_sizes("dot_general", d, lhs, rhs, accumulate)
    return ArrayType(tuple(sizes[c] for c in d.out), lhs.dtype)


@dataclass(frozen=True)
class Permutations:
    """Axis permutations that turn a tensor product into a batched matrix product."""

    lhs: Axes
    rhs: Axes
    out: Axes
    batch: int
    left: int
    contracted: int
    plain: bool


@lru_cache(maxsize=256)
def plan_product(dims: str) -> Permutations:
    """Return the axis permutations that turn a tensor product into a matrix product."""
    d = parse_dims(dims)
    order = d.batch + d.left + d.right
    matrices = len(d.left) == len(d.right) == len(d.contracted) == 1
    in_order = (d.lhs, d.rhs) == (
        d.batch + d.left + d.contracted,
        d.batch + d.contracted + d.right,
    )
    return Permutations(
        tuple(d.lhs.index(c) for c in d.batch + d.left + d.contracted),
        tuple(d.rhs.index(c) for c in d.batch + d.contracted + d.right),
        tuple(order.index(c) for c in d.out),
        len(d.batch),
        len(d.left),
        len(d.contracted),
        plain=matrices and in_order and order == d.out,
    )


def _dot_vjp_lhs(g: Value, y: Value, a: Value, b: Value, **attrs: Any) -> Value:
    d = parse_dims(attrs["dims"])
    return dot_general(g, b, **attrs | {"dims": f"{d.out},{d.rhs}->{d.lhs}"})


def _dot_vjp_rhs(g: Value, y: Value, a: Value, b: Value, **attrs: Any) -> Value:
    d = parse_dims(attrs["dims"])
    return dot_general(g, a, **attrs | {"dims": f"{d.out},{d.lhs}->{d.rhs}"})


def _written(a: Expr, b: Expr, dims: str, accumulate: DType) -> Expr:
    """Return the formula of a tensor product, as matrices or with indexed letters.

    A letter that both have and the result lacks is summed over, so it stands last in
    the left factor and first in the right one.
    """
    d = parse_dims(dims)
    ranks = len(d.lhs), len(d.rhs), len(d.out)
    if len(d.contracted) > 1 or d.batch or not all(ranks[:2]) or max(ranks) > 2:
        return write.Contracted((a, b), (d.lhs, d.rhs), d.out)
    left, right = (a, d.lhs), (b, d.rhs)
    if d.out and d.out[0] in d.rhs:
        left, right = right, left
    inner = d.contracted
    first = left[0] if left[1][1:] == inner else left[0].T
    last = right[0] if right[1][: len(inner)] == inner and len(inner) else right[0].T
    return first @ last


def _case(lhs: str, rhs: str, dims: str) -> Case:
    return Case((lhs, rhs), {"dims": dims, "accumulate": DType.float64})


@declare(
    rule=_dot_rule,
    vjp=(_dot_vjp_lhs, _dot_vjp_rhs),
    batch=product,
    formula=_written,
    source="Golub & Van Loan, Matrix Computations, 1.1; Einstein's convention",
    cases=(
        _case("f[3,5]", "f[4,5]", "ni,oi->no"),
        _case("f[3,5]", "f[5,4]", "mk,kn->mn"),
        _case("f[3,5]", "f[3,4]", "ni,no->oi"),
        _case("f[7]", "f[7]", "i,i->"),
        _case("f[3]", "f[4]", "i,j->ij"),
        _case("f[3,4]", "f[4]", "oi,i->o"),
        _case("f[2,3,5]", "f[2,5,4]", "bik,bkj->bij"),
        _case("f[2,3,4,5]", "f[3,2,6,5]", "bhqd,hbkd->bhqk"),
        _case("f[0,5]", "f[4,5]", "ni,oi->no"),
        _case("f[3,0]", "f[4,0]", "ni,oi->no"),
        _case("f[1,1]", "f[1,1]", "ni,oi->no"),
        _case("f[37,131]", "f[101,131]", "ni,oi->no"),
        _case("f[33,17]", "f[33,70]", "ni,no->oi"),
    ),
)
def dot_general(lhs: Array, rhs: Array, *, dims: str, accumulate: DType) -> Array:
    check_blas()
    p = plan_product(dims)
    dtype = lhs.dtype
    if accumulate.itemsize > dtype.itemsize:
        lhs, rhs = lhs.astype(accumulate.numpy), rhs.astype(accumulate.numpy)
    elif p.plain:
        return lhs @ rhs
    a, b = lhs.transpose(p.lhs), rhs.transpose(p.rhs)
    if p.batch == 0 and p.left == 1 and p.contracted == 1 and b.ndim == 2:
        product = a @ b
    else:
        nb, nl = p.batch, p.left
        batch, left = a.shape[:nb], a.shape[nb : nb + nl]
        right = b.shape[nb + p.contracted :]
        k = math.prod(a.shape[nb + nl :])
        a = a.reshape(*batch, math.prod(left), k)
        b = b.reshape(*batch, k, math.prod(right))
        product = (a @ b).reshape((*batch, *left, *right))
    return product.transpose(p.out).astype(dtype, copy=False)


def dot(lhs: Value, rhs: Value, dims: str) -> Value:
    """Return a tensor product that accumulates in the dtype of its operands."""
    return dot_general(lhs, rhs, dims=dims, accumulate=lhs.dtype)
