"""Primitives for pooling: sums and maxima over sliding windows.

Which elements a window takes says ``sliding``. The derivative of the sum is again such
a sum: strides and input dilation change places; where windows lie side by side it is
a copy for each element. The maximum has no input dilation; its
derivative goes to the first of the largest elements, as in PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from chainrule import notation as write
from chainrule.errors import ArgumentError
from chainrule.graph.batching import shifted
from chainrule.graph.declare import Operation, declare
from chainrule.graph.node import Array, Value
from chainrule.graph.primitive import REFERENCES, Case, TypeRule, as_tuple, of_any
from chainrule.graph.types import ArrayType, Dim, DType, Shape
from chainrule.primitives.elementwise import where
from chainrule.primitives.indexing import gather
from chainrule.primitives.movement import (
    broadcast_to,
    pad,
    reshape,
    transpose,
)
from chainrule.primitives.rules import need_axes, need_type
from chainrule.primitives.sliding import Ints, Sliding
from chainrule.text import _


def _lengths(shape: tuple[Any, ...], axes: Ints) -> Ints:
    return tuple(shape[axis] for axis in axes)


def _shape(name: str, x: ArrayType, axes: Ints, a: Sliding) -> Shape:
    need_axes(name, axes, len(x.shape))
    lengths = dict(zip(axes, a.places(name, _lengths(x.shape, axes))))
    return tuple(lengths.get(i, dim) for i, dim in enumerate(x.shape))


# -- the sum --------------------------------------------------------------------------


def _sum_rule(x: ArrayType, *, axes: Ints, **attrs: Any) -> ArrayType:
    return ArrayType(_shape("window_sum", x, axes, Sliding(**attrs)), x.dtype)


def _sum_vjp(g: Value, y: Value, x: Value, *, axes: Ints, **attrs: Any) -> Value:
    a = Sliding(**attrs)
    if a.side_by_side:
        return _spread(g, x, axes, a.window)
    pads, __ = a.backwards(_lengths(x.shape, axes), _lengths(y.shape, axes))
    turned = a._replace(strides=a.base_dilation, padding=pads, base_dilation=a.strides)
    return window_sum(g, axes=axes, **turned._asdict())


def _spread(g: Value, x: Value, axes: Ints, window: Ints) -> Value:
    """Return a pooling's gradient with each element repeated over its window."""
    apart: list[Dim] = []
    wide: list[Dim] = []
    for i, n in enumerate(g.shape):
        apart += [n, 1] if i in axes else [n]
        wide += [n, window[axes.index(i)]] if i in axes else [n]
    times = dict(zip(axes, window))
    shape = tuple([n * times.get(i, 1) for i, n in enumerate(g.shape)])
    spread = broadcast_to(reshape(g, shape=tuple(apart)), shape=tuple(wide))
    spread = reshape(spread, shape=shape)
    none = (0,) * len(shape)
    rest = tuple([x.shape[i] - n if i in axes else 0 for i, n in enumerate(shape)])
    return pad(spread, low=none, high=rest, interior=none) if any(rest) else spread


def _case(x: str, axes: Ints, window: Ints, *, base: bool, **changes: Any) -> Case:
    rank = len(axes)
    ones = (1,) * rank
    attrs = Sliding(window, ones, ((0, 0),) * rank, ones, ones)._asdict()
    if not base:
        del attrs["base_dilation"]
    return Case((x,), {"axes": axes} | attrs | changes)


def _cases(*, base: bool) -> tuple[Case, ...]:
    return (
        _case("f[7]", (0,), (3,), base=base),
        _case("f[2,3,8]", (2,), (2,), strides=(2,), base=base),
        _case("f[2,3,6,5]", (2, 3), (3, 2), padding=((1, 1), (0, 1)), base=base),
        _case("f[2,6,5,3]", (1, 2), (2, 2), strides=(2, 3), base=base),
        _case("f[1,9]", (1,), (3,), dilation=(2,), padding=((1, 2),), base=base),
        _case("f[0,4]", (1,), (2,), base=base),
        _case("f[3,2]", (), (), base=base),
    )


@declare(
    rule=_sum_rule,
    vjp=(_sum_vjp,),
    batch=shifted("axes"),
    shown=of_any(lambda *x, **attrs: write.windowed("∑", *x, **attrs)),
    source="Goodfellow, Bengio & Courville 2016, 9.3 (average pooling without 1/w)",
    linear=True,
    cases=(
        *_cases(base=True),
        _case("f[2,4]", (1,), (3,), base_dilation=(2,), padding=((1, 0),), base=True),
        _case("f[9]", (0,), (3,), padding=((-1, -2),), base=True),
    ),
)
def window_sum(x: Array, *, axes: Ints, **attrs: Any) -> Array:
    (__, out), *taps = Sliding(**attrs).seen(x, axes)
    out = out.copy()
    for __, tap in taps:
        out += tap
    return out


# -- the maximum ----------------------------------------------------------------------


def _undilated(axes: Ints, attrs: dict[str, Any]) -> Sliding:
    return Sliding(base_dilation=(1,) * len(axes), **attrs)


def _max_rule(name: str, result: DType | None = None) -> TypeRule:
    def rule(x: ArrayType, *, axes: Ints, **attrs: Any) -> ArrayType:
        a = _undilated(axes, attrs)
        shape = _shape(name, x, axes, a)
        lengths, places = _lengths(x.shape, axes), _lengths(shape, axes)
        for length, count, w, s, (lo, hi), r, __ in zip(lengths, places, *a):
            for start in range(-lo, count * s, s)[:count]:
                if not any(0 <= start + k * r < length for k in range(w)):
                    raise ArgumentError(
                        _("A window of {name} sees padding alone.", name=name),
                        expected=_("padding of less than a window of {w}", w=w),
                        got=_(
                            "{hi} on an axis of length {length}",
                            hi=(lo, hi),
                            length=length,
                        ),
                        fix=_("use less padding or a larger window"),
                    )
        return ArrayType(shape, result or x.dtype)

    return rule


def _largest(x: Array, axes: Ints, a: Sliding) -> Array:
    """Return the largest element of each pooling window, found axis by axis."""
    for axis, part in zip(axes, zip(*a)):
        one = Sliding(*[(item,) for item in part])  # type: ignore[arg-type]
        (__, out), *taps = one.seen(x, (axis,), _least(x.dtype))
        x = out.copy() if not taps else np.maximum(out, taps[0][1])
        for __, tap in taps[1:]:
            np.maximum(x, tap, out=x)
    return x if axes else x.copy()


def _least(dtype: np.dtype[Any]) -> Any:
    """Return the smallest number of a dtype; −∞ for floats."""
    if dtype.kind == "f":
        return -np.inf
    return False if dtype.kind == "b" else np.iinfo(dtype).min


def _hits(x: Array, best: Array, axes: Ints, a: Sliding) -> Iterator[Array]:
    """Yield for each element of a pooling window whether it is the largest, or NaN."""
    unordered = bool((best != best).any())
    inside = np.ones([n if i in axes else 1 for i, n in enumerate(x.shape)], bool)
    for (__, tap), (__, there) in zip(a.seen(x, axes), a.seen(inside, axes)):
        found = tap == best
        if unordered:
            found |= tap != tap
        if not there.all():
            found &= there
        yield found


def _first(x: Array, best: Array, axes: Ints, a: Sliding) -> Array:
    """Return the position of each window's largest element, of several the first.

    From the last element of a window to its first, each that is the largest leaves its
    number within the window; then numbers become positions.
    """
    number = np.zeros(best.shape, np.min_scalar_type(math.prod(a.window)))
    for i, found in reversed([*enumerate(_hits(x, best, axes, a))]):
        here = found.astype(number.dtype)  # 0 or 1, which is faster than where
        number *= 1 - here
        here *= number.dtype.type(i)
        number += here
    within: Any = np.zeros(1, np.int64)
    first: Any = np.zeros((1,) * x.ndim, np.int64)
    for i, (axis, w) in enumerate(zip(axes, a.window)):
        step = math.prod(_lengths(x.shape, axes[i + 1 :]))
        places: Array = np.arange(best.shape[axis], dtype=np.int64)
        start: Array = step * (a.strides[i] * places - a.padding[i][0])
        first = first + np.expand_dims(start, _but(axis, x.ndim))
        taps: Array = np.arange(w, dtype=np.int64)
        within = (within[:, None] + step * a.dilation[i] * taps).reshape(-1)
    positions: Array = within[number]
    positions += first
    return positions


def _but(axis: int, rank: int) -> Ints:
    return tuple(i for i in range(rank) if i != axis)


def _best(x: Array, axes: Ints, attrs: dict[str, Any]) -> tuple[Array, Array]:
    """Return the largest element of each pooling window, and its position."""
    a = _undilated(axes, attrs)
    best = _largest(x, axes, a)
    return best, _first(x, best, axes, a)


def _max_vjp(g: Value, y: Value, x: Value, **attrs: Any) -> Value:
    return window_max_pullback(g, x, **attrs)


@declare(
    rule=_max_rule("window_max"),
    vjp=(_max_vjp,),
    batch=shifted("axes"),
    shown=of_any(lambda *x, **attrs: write.windowed("max", *x, **attrs)),
    source="Goodfellow, Bengio & Courville 2016, 9.3 (max pooling)",
    kinks=_("ties, where the derivative goes to the first"),
    cases=_cases(base=False),
)
def window_max(x: Array, *, axes: Ints, **attrs: Any) -> Array:
    return _largest(x, axes, _undilated(axes, attrs))


@declare(
    rule=_max_rule("window_argmax", DType.int64),
    batch=shifted("axes"),
    shown=of_any(lambda *x, **attrs: write.windowed("argmax", *x, **attrs)),
    source=(
        "where the largest element of a window stands, counted along ``axes`` as one"
        " line; the first of equals, NaN the largest"
    ),
    cases=_cases(base=False),
)
def window_argmax(x: Array, *, axes: Ints, **attrs: Any) -> Array:
    return _best(x, axes, attrs)[1]


# -- the derivative of the maximum -----------------------------------------------------


def _pullback_rule(g: ArrayType, x: ArrayType, **attrs: Any) -> ArrayType:
    name = "window_max_pullback"
    (made,) = as_tuple(_max_rule(name)(x, **attrs))
    need_type(name, _("g of the pooling's result"), made, g)
    return x


def _chosen(
    c: Value, y: Value, g: Value, x: Value, *, axes: Ints, **attrs: Any
) -> Value:
    """Return c at the positions of the maxima: what is linear in g, turned round."""
    if not axes:
        return c
    rest = tuple(i for i in range(len(x.shape)) if i not in axes)
    order = (*rest, *axes)

    def lined(value: Value) -> Value:
        turned = transpose(value, axes=order)
        length: Dim = 1
        for a in axes:
            length = value.shape[a] * length
        return reshape(turned, shape=(*turned.shape[: len(rest)], length))

    index = window_argmax(x, axes=axes, **attrs)
    chosen = gather(lined(c), lined(index), axis=len(rest))
    shape = tuple(g.shape[i] for i in order)
    inverse = tuple(order.index(i) for i in range(len(order)))
    return transpose(reshape(chosen, shape=shape), axes=inverse)


def _of_gradients(cases: Iterable[Case]) -> Iterator[Case]:
    """Yield cases with what comes back from the result, before x."""
    for case in cases:
        (x,), attrs = case.inputs, dict(case.attrs)
        shape = [int(n) for n in x[2:-1].split(",")]
        axes = attrs.pop("axes")
        places = _undilated(axes, attrs).places("", _lengths(tuple(shape), axes))
        for axis, n in zip(axes, places):
            shape[axis] = n
        yield Case((f"f[{','.join(map(str, shape))}]", x), case.attrs)


@declare(
    rule=_pullback_rule,
    vjp=(_chosen, None),
    batch=shifted("axes"),
    shown=of_any(lambda *x, **attrs: write.pulled_back("max", x[1], x[0])),
    source="the derivative of max pooling: g where the maxima stood, 0 elsewhere",
    kinks=_("ties, where the derivative goes to the first"),
    cases=(
        *_of_gradients(_cases(base=False)),
        *_of_gradients(
            (
                _case("f[2,3,9,37]", (2, 3), (2, 2), strides=(2, 2), base=False),
                _case(
                    *("f[2,3,9,37]", (2, 3), (3, 3)),
                    strides=(2, 2),
                    padding=((1, 1), (1, 1)),
                    base=False,
                ),
                _case("f[2,9,8,18]", (1, 2), (2, 2), strides=(2, 2), base=False),
            )
        ),
    ),
)
def window_max_pullback(g: Array, x: Array, *, axes: Ints, **attrs: Any) -> Array:
    a = _undilated(axes, attrs)
    hits, rest = list[Array](), np.ones(g.shape, bool)
    for hit in _hits(x, _largest(x, axes, a), axes, a):
        hit &= rest  # the first of several
        rest ^= hit
        hits.append(hit)
    shape, inside = list(x.shape), [slice(None)] * x.ndim
    for axis, (lo, hi) in zip(axes, a.padding):
        shape[axis] += max(lo, 0) + max(hi, 0)
        inside[axis] = slice(max(lo, 0), max(lo, 0) + x.shape[axis])
    out = np.zeros(shape, x.dtype)
    crop = [slice(None)] * x.ndim
    for axis, (lo, hi) in zip(axes, a.padding):
        crop[axis] = slice(max(-lo, 0), shape[axis] - max(-hi, 0))
    seen = [tap for __, tap in a.under(out[tuple(crop)], axes)]
    zeros: Array = np.broadcast_to(x.dtype.type(0), g.shape)
    for hit, tap in reversed([*zip(hits, seen, strict=True)]):  # by windows, in order
        chosen = REFERENCES[where](hit, g, zeros)
        if a.apart:
            tap[...] = chosen
        else:
            tap += chosen
    return np.ascontiguousarray(out[tuple(inside)])


# -- the maximum and its place ---------------------------------------------------------


def _best_rule(x: ArrayType, **attrs: Any) -> tuple[ArrayType, ArrayType]:
    value = _max_rule("window_best")(x, **attrs)
    assert isinstance(value, ArrayType)
    return value, ArrayType(value.shape, DType.int64)


def _best_reference(x: Array, *, axes: Ints, **attrs: Any) -> Any:
    return _best(x, axes, attrs)


#: ``window_max`` and ``window_argmax`` in one; engines make it where both are wanted.
window_best = Operation(name="window_best", rule=_best_rule, internal=True)
REFERENCES[window_best] = _best_reference
