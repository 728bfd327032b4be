"""Primitives that reshape, transpose, broadcast, slice or pad arrays, and sum axes.

The sum is here because broadcasting and summation are each other's derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import notation as write
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.apply import constant as number_of
from chainrule.graph.batching import Samples, pointwise, shifted
from chainrule.graph.context import context
from chainrule.graph.declare import declare
from chainrule.graph.node import Array, Cotangent, Value
from chainrule.graph.primitive import Case, TypeRule, of_any
from chainrule.graph.types import (
    ArrayType,
    Dim,
    DType,
    Shape,
    as_number,
    is_symbolic,
    size_of,
)
from chainrule.primitives.long_sums import added_up
from chainrule.primitives.rules import need_axes, need_dtype, need_some, same, show
from chainrule.primitives.sliding import Ints, dilated, padded
from chainrule.text import _, ngettext
from chainrule.util.bounded import Bounded

if TYPE_CHECKING:
    from chainrule.notation.expressions import Expr


def _broadcast_rule(x: ArrayType, *, shape: Shape) -> ArrayType:
    lead = len(shape) - len(x.shape)
    if lead < 0 or any(a not in (1, b) for a, b in zip(x.shape, shape[lead:])):
        raise ShapeError(
            _(
                "A value of shape {shape} does not repeat into {shape2}.",
                shape=show(x.shape),
                shape2=show(shape),
            ),
            expected=_("each axis, counted from the last, equal to the target's or 1"),
            got=show(x.shape),
            fix=_("reshape it so that the missing axes have length 1"),
        )
    return ArrayType(shape, x.dtype)


def _broadcast_vjp(g: Value, y: Value, x: Value, shape: Shape) -> Value:
    lead = len(shape) - len(x.shape)
    repeated = tuple(
        i for i, d in enumerate(shape) if i < lead or x.shape[i - lead] != d
    )
    total = reduce_sum(g, axes=repeated) if repeated else g
    return total if total.shape == x.shape else reshape(total, shape=x.shape)


def _broadcast_samples(s: Samples) -> Value:
    (x,), shape = s.inputs, s.attrs["shape"]
    ones = (1,) * (len(shape) + 1 - len(x.shape))
    return s.apply(
        reshape(x, shape=(s.size, *ones, *x.shape[1:])), shape=(s.size, *shape)
    )


@declare(
    view=True,
    rule=_broadcast_rule,
    vjp=(_broadcast_vjp,),
    batch=_broadcast_samples,
    shown=lambda x, shape: write.shaped("broadcast", x, shape),
    source="NumPy's broadcasting rules",
    linear=True,
    cases=(
        Case(("f[]",), {"shape": (2, 3)}),
        Case(("f[3]",), {"shape": (2, 3)}),
        Case(("f[2,1]",), {"shape": (2, 3)}),
        Case(("f[1,3,1]",), {"shape": (4, 2, 3, 5)}),
        Case(("f[3]",), {"shape": (0, 3)}),
    ),
)
def broadcast_to(x: Array, *, shape: Ints) -> Array:
    if not x.flags.c_contiguous:
        return np.broadcast_to(x, shape)
    # The same view as NumPy's, made without its general machinery.
    lead = len(shape) - x.ndim
    strides = [0] * lead
    for have, want, step in zip(x.shape, shape[lead:], x.strides):
        strides.append(step if have == want else 0)
    view = np.ndarray(shape, x.dtype, x, 0, tuple(strides))
    view.flags.writeable = False
    return view


#: Numbers that were broadcast before.
_full: Bounded[Any, Value] = Bounded(512)


def full(number: Any, dtype: DType, shape: Shape) -> Value:
    """Return an array of ``shape`` filled with a number, as a broadcast scalar."""
    if context.trace is not None:
        value = number_of(number, dtype)
        return value if shape == () else broadcast_to(value, shape=shape)
    # Zero has two signs, which compare equal.
    key = (number or repr(number), dtype, shape)
    value = _full.get(key)
    if value is None:
        value = broadcast_to(number_of(number, dtype), shape=shape)
        _full[key] = value
    return value


def full_like(x: Value, number: float) -> Value:
    """Return an array like ``x`` filled with ``number``, as a broadcast scalar."""
    return full(number, x.dtype, x.shape)


def without(shape: Shape, axes: tuple[int, ...]) -> Shape:
    return tuple(d for i, d in enumerate(shape) if i not in axes)


def reduction_rule(name: str, *, of_none: bool = True) -> TypeRule:
    """Return the type rule of a primitive that reduces an array over ``axes``.

    ``of_none``: whether a reduction of no elements has a result.
    """

    def rule(x: ArrayType, *, axes: Ints) -> ArrayType:
        need_axes(name, axes, len(x.shape))
        if not of_none:
            need_some(name, axes, x.shape)
        return ArrayType(without(x.shape, axes), x.dtype)

    return rule


#: Examples of reductions.
REDUCTIONS = (
    Case(("f[7]",), {"axes": (0,)}),
    Case(("f[3,4]",), {"axes": (0,)}),
    Case(("f[3,4]",), {"axes": (1,)}),
    Case(("f[2,3,5]",), {"axes": (0, 2)}),
    Case(("f[2,3,5]",), {"axes": (1,)}),
    Case(("f[3,131]",), {"axes": (1,)}),
    Case(("f[67,33]",), {"axes": (0, 1)}),
    Case(("f[1,1]",), {"axes": (0, 1)}),
    Case(("f[3]",), {"axes": ()}),
)


@declare(
    rule=reduction_rule("reduce_sum"),
    vjp=(lambda g, y, x, axes: expand(g, x, axes),),
    batch=shifted("axes"),
    formula=lambda x, axes: write.total(x, axes, keep=False),
    source="finite sum; engines may order it by their own fixed rule",
    linear=True,
    cases=(
        *REDUCTIONS,
        Case(("f[0,3]",), {"axes": (0,)}),
        Case(("i32[4]",), {"axes": (0,)}),
    ),
)
def reduce_sum(x: Array, *, axes: tuple[int, ...]) -> Array:
    return added_up(x, axes)


def expand(y: Value, x: Value, axes: tuple[int, ...]) -> Value:
    """Return a reduction of ``x`` over ``axes``, broadcast to the shape of x again."""
    shape = tuple(1 if i in axes else d for i, d in enumerate(x.shape))
    return broadcast_to(reshape(y, shape=shape), shape=x.shape)


def _reshape_rule(x: ArrayType, *, shape: Shape) -> ArrayType:
    if size_of(x.shape) != size_of(shape):
        raise ShapeError(
            _(
                "A value of shape {shape} cannot take the shape {shape2}.",
                shape=show(x.shape),
                shape2=show(shape),
            ),
            expected=_("elements: {size}", size=size_of(x.shape)),
            got=_("elements: {size}", size=size_of(shape)),
        )
    return ArrayType(shape, x.dtype)


def _reshape_vjp(g: Value, y: Value, x: Value, shape: Shape) -> Value:
    return reshape(g, shape=x.shape)


def _reshape_samples(s: Samples) -> Value:
    return s.apply(*s.inputs, shape=(s.size, *s.attrs["shape"]))


@declare(
    view=True,
    rule=_reshape_rule,
    vjp=(_reshape_vjp,),
    batch=_reshape_samples,
    shown=lambda x, shape: write.shaped("reshape", x, shape),
    source="row-major order of elements",
    linear=True,
    cases=(
        Case(("f[2,6]",), {"shape": (3, 4)}),
        Case(("f[6]",), {"shape": (2, 1, 3)}),
        Case(("f[1]",), {"shape": ()}),
        Case(("f[0,3]",), {"shape": (3, 0)}),
    ),
)
def reshape(x: Array, *, shape: Ints) -> Array:
    return x.reshape(shape)


def _transpose_rule(x: ArrayType, *, axes: Ints) -> ArrayType:
    need_axes("transpose", axes, len(x.shape))
    if len(axes) != len(x.shape):
        raise ShapeError(
            _("transpose needs every axis once."),
            expected=ngettext("{n} axis", "{n} axes", n=len(x.shape)),
            got=str(axes),
        )
    return ArrayType(tuple(x.shape[a] for a in axes), x.dtype)


def _turned_back(g: Value, y: Value, x: Value, axes: Ints) -> Value:
    return transpose(g, axes=tuple(np.argsort(axes).tolist()))


def _transpose_samples(s: Samples) -> Value:
    return s.apply(*s.inputs, axes=(0, *(a + 1 for a in s.attrs["axes"])))


@declare(
    view=True,
    rule=_transpose_rule,
    vjp=(_turned_back,),
    batch=_transpose_samples,
    shown=lambda x, axes: x.T if axes == (1, 0) else write.apply("permute", x, *axes),
    source="permutation of axes",
    linear=True,
    cases=(
        Case(("f[3,4]",), {"axes": (1, 0)}),
        Case(("f[2,3,5]",), {"axes": (2, 0, 1)}),
        Case(("f[0,2]",), {"axes": (1, 0)}),
    ),
)
def transpose(x: Array, *, axes: Ints) -> Array:
    return x.transpose(axes)


def _slice_rule(
    x: ArrayType, *, starts: Shape, stops: Shape, strides: Ints
) -> ArrayType:
    if not len(starts) == len(stops) == len(strides) == len(x.shape):
        raise ShapeError(
            _("slice needs a start, a stop and a stride for every axis."),
            expected=_("{shape} of each", shape=len(x.shape)),
            got=_(
                "{starts}, {stops} and {strides}",
                starts=len(starts),
                stops=len(stops),
                strides=len(strides),
            ),
        )
    shape: list[Dim] = []
    for dim, start, stop, stride in zip(x.shape, starts, stops, strides):
        if start == 0 and stop == dim and stride == 1:
            shape.append(dim)
            continue
        if is_symbolic((dim, start, stop)):
            raise ShapeError(
                _("The batch axis N is sliced whole or not at all."),
                expected=f"0:{dim}:1",
                got=f"{start}:{stop}:{stride}",
            )
        if not (0 <= start <= stop <= dim and stride >= 1):
            raise ShapeError(
                _("slice reaches outside of the value."),
                expected=_("0 ≤ start ≤ stop ≤ {dim} and stride ≥ 1", dim=dim),
                got=f"{start}:{stop}:{stride}",
            )
        shape.append(-(-(stop - start) // stride))
    return ArrayType(tuple(shape), x.dtype)


def _slice_vjp(
    g: Value, y: Value, x: Value, starts: Ints, stops: Ints, strides: Ints
) -> Value:
    high = tuple(
        0 if full == dim else int(full) - start - dilated(int(dim), stride)
        for full, dim, start, stride in zip(x.shape, g.shape, starts, strides)
    )
    return pad(g, low=starts, high=high, interior=tuple(s - 1 for s in strides))


def _slice_samples(s: Samples) -> Value:
    first = {"starts": 0, "stops": s.size, "strides": 1}
    return s.apply(*s.inputs, **{k: (n, *s.attrs[k]) for k, n in first.items()})


@declare(
    view=True,
    rule=_slice_rule,
    vjp=(_slice_vjp,),
    batch=_slice_samples,
    shown=lambda x, starts, stops, strides: write.sliced(x, starts, stops, strides),
    source="NumPy's basic slicing with positive strides",
    linear=True,
    cases=(
        Case(("f[7]",), {"starts": (2,), "stops": (6,), "strides": (1,)}),
        Case(("f[7]",), {"starts": (1,), "stops": (7,), "strides": (3,)}),
        Case(("f[4,5]",), {"starts": (0, 2), "stops": (4, 3), "strides": (2, 1)}),
        Case(("f[4]",), {"starts": (2,), "stops": (2,), "strides": (1,)}),
        Case(("f[4,7]",), {"starts": (0, 1), "stops": (4, 6), "strides": (1, 2)}),
        Case(("f[7,4]",), {"starts": (3, 0), "stops": (6, 4), "strides": (1, 1)}),
    ),
)
def slice_(x: Array, *, starts: Ints, stops: Ints, strides: Ints) -> Array:
    return x[_slices(starts, stops, strides)]


@lru_cache(maxsize=512)
def _slices(starts: Ints, stops: Ints, strides: Ints) -> tuple[slice, ...]:
    return tuple(map(slice, starts, stops, strides))


def section(x: Value, axis: int, start: int, stop: int) -> Value:
    """Return the slice ``start`` … ``stop`` of an array along one axis."""
    rank = len(x.shape)
    starts = tuple([start if i == axis else 0 for i in range(rank)])
    stops = (*x.shape[:axis], stop, *x.shape[axis + 1 :])
    return slice_(x, starts=starts, stops=stops, strides=(1,) * rank)


def _pad_rule(x: ArrayType, *, low: Ints, high: Ints, interior: Ints) -> ArrayType:
    if not len(low) == len(high) == len(interior) == len(x.shape) or any(
        n < 0 for n in (*low, *high, *interior)
    ):
        raise ShapeError(
            _("pad needs low, high and interior counts ≥ 0 for every axis."),
            expected=_("{shape} of each", shape=len(x.shape)),
            got=f"{low}, {high}, {interior}",
        )
    shape: list[Dim] = []
    for dim, lo, hi, gap in zip(x.shape, low, high, interior):
        if isinstance(dim, int):
            shape.append(lo + dilated(dim, gap + 1) + hi)
        elif lo or hi or gap:
            raise ShapeError(
                _("The batch axis N cannot be padded."),
                expected=_("0, 0 and 0 for it"),
                got=_("{lo}, {hi} and {gap}", lo=lo, hi=hi, gap=gap),
            )
        else:
            shape.append(dim)
    return ArrayType(tuple(shape), x.dtype)


def _pad_vjp(
    g: Value, y: Value, x: Value, low: Ints, high: Ints, interior: Ints
) -> Value:
    strides = tuple(gap + 1 for gap in interior)
    stops = tuple(
        lo + dilated(dim, stride) if isinstance(dim, int) else dim
        for dim, lo, stride in zip(x.shape, low, strides)
    )
    return slice_(g, starts=low, stops=stops, strides=strides)


def _padded(x: Expr, low: Ints, high: Ints, interior: Ints) -> Expr:
    inside = write.apart(x, tuple([gap + 1 for gap in interior]))
    return write.padded(inside, tuple(zip(low, high)))


def _pad_samples(s: Samples) -> Value:
    return s.apply(*s.inputs, **{k: (0, *counts) for k, counts in s.attrs.items()})


@declare(
    rule=_pad_rule,
    vjp=(_pad_vjp,),
    batch=_pad_samples,
    shown=_padded,
    moves=True,
    source="zeros before, after and between the elements of an axis",
    linear=True,
    cases=(
        Case(("f[3]",), {"low": (1,), "high": (2,), "interior": (0,)}),
        Case(("f[2,3]",), {"low": (0, 1), "high": (1, 0), "interior": (2, 1)}),
        Case(("f[0]",), {"low": (1,), "high": (1,), "interior": (0,)}),
        Case(("f[4,3]",), {"low": (0, 1), "high": (0, 2), "interior": (0, 1)}),
        Case(("f[3,4]",), {"low": (1, 0), "high": (1, 0), "interior": (1, 0)}),
    ),
)
def pad(x: Array, *, low: Ints, high: Ints, interior: Ints) -> Array:
    dilation = tuple(gap + 1 for gap in interior)
    return padded(x, tuple(range(x.ndim)), dilation, tuple(zip(low, high)))


def _flip_rule(x: ArrayType, *, axes: Ints) -> ArrayType:
    need_axes("flip", axes, len(x.shape))
    return x


def _flipped_back(g: Value, y: Value, x: Value, axes: Ints) -> Value:
    return flip(g, axes=axes)


@declare(
    view=True,
    rule=_flip_rule,
    vjp=(_flipped_back,),
    batch=shifted("axes"),
    shown=lambda x, axes: write.on_axes("flip", x, axes),
    source="reversed order of elements along axes",
    linear=True,
    cases=(Case(("f[5]",), {"axes": (0,)}), Case(("f[2,3]",), {"axes": (0, 1)})),
)
def flip(x: Array, *, axes: Ints) -> Array:
    return np.flip(x, axes)


def _concatenate_rule(*xs: ArrayType, axis: int) -> ArrayType:
    if not xs:
        raise ArgumentError(
            _("concatenate takes values."), expected=_("1 or more"), got="0"
        )
    first = xs[0]
    need_axes("concatenate", (axis,), len(first.shape))
    total: Dim = first.shape[axis]
    for x in xs[1:]:
        need_dtype("concatenate", first.dtype, x.dtype)
        others = without(x.shape, (axis,)) == without(first.shape, (axis,))
        if len(x.shape) != len(first.shape) or not others:
            raise ShapeError(
                _(
                    "concatenate joins values that differ along axis {axis} alone.",
                    axis=axis,
                ),
                expected=show(first.shape),
                got=show(x.shape),
            )
        more = x.shape[axis]
        if not isinstance(total, int) or not isinstance(more, int):
            raise ShapeError(
                _("The sum of named sizes has no name."),
                expected=_("fixed lengths along axis {axis}", axis=axis),
                got=_("{total} and {more}", total=total, more=more),
                fix=_("join along another axis; {other}", other=as_number(total, more)),
            )
        total += more
    return ArrayType(
        (*first.shape[:axis], total, *first.shape[axis + 1 :]), first.dtype
    )


def _concatenate_vjp(
    gs: tuple[Value],
    ys: tuple[Value],
    inputs: tuple[Value, ...],
    needed: Sequence[bool],
    *,
    axis: int,
) -> Sequence[Cotangent]:
    (g,), parts, at = gs, list[Cotangent](), 0
    if len(inputs) == 1:
        return [g]
    for x, need in zip(inputs, needed):
        end = at + int(x.shape[axis])
        parts.append(section(g, axis, at, end) if need else None)
        at = end
    return parts


@declare(
    rule=_concatenate_rule,
    joint_vjp=_concatenate_vjp,
    batch=shifted("axis"),
    shown=of_any(lambda *xs, **attrs: write.concatenated(*xs, **attrs)),
    moves=True,
    source="values one behind the other along an axis",
    linear=True,
    cases=(
        Case(("f[2]", "f[3]"), {"axis": 0}),
        Case(("f[2,3]", "f[2,3]", "f[2,1]"), {"axis": 1}),
        Case(("f[2,3]", "f[0,3]", "f[4,3]"), {"axis": 0}),
        Case(("f[3,2,2]", "f[3,5,2]"), {"axis": 1}),
        Case(("f[3]",), {"axis": 0}),
    ),
)
def concatenate(*xs: Array, axis: int) -> Array:
    return np.concatenate(xs, axis)


@declare(
    rule=same("copy", 1),
    vjp=(lambda g, y, x: g,),
    batch=pointwise,
    shown=lambda x: write.apply("copy", x),
    moves=True,
    source="the same elements in memory of their own, in row-major order",
    linear=True,
    cases=(Case(("f[3,2]",)), Case(("i32[4]",)), Case(("f[0]",)), Case(("f[]",))),
)
def copy(x: Array) -> Array:
    return np.array(x)
