"""Sums and maxima over windows that slide over some axes: what pooling is made of.

Along each of ``axes``, with window w, stride s, window dilation r, input dilation d and
padding (lo, hi), output p takes the elements

    p·s + k·r − lo,    k = 0 … w−1,

of the input dilated by d, those of them that exist. The derivative of the sum is again
such a sum: strides and input dilation change places. The maximum has no input
dilation; its derivative goes to the first of the largest elements, as in PyTorch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.build import declare
from chainrule.graph.node import Array, Value
from chainrule.graph.primitive import Case, TypeRule
from chainrule.graph.types import ArrayType, Dim, DType, Shape
from chainrule.primitives.conv import dilate_and_pad, dilated, seen_by_taps
from chainrule.primitives.indexing import scatter_add_along
from chainrule.primitives.movement import full_like, reshape, transpose
from chainrule.primitives.rules import need_axes, show

Ints = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]


class _Window(NamedTuple):
    """The attributes of a window; a maximum has no input dilation."""

    axes: Ints
    window: Ints
    strides: Ints
    padding: Pads
    dilation: Ints
    base_dilation: Ints


def _shape(name: str, x: ArrayType, attrs: _Window) -> Shape:
    axes, window, strides, padding, dilation, base_dilation = attrs
    need_axes(name, axes, len(x.shape))
    given = attrs[1:]
    if any(len(item) != len(axes) for item in given):
        raise ShapeError(
            f"{name} slides over {len(axes)} axes.",
            expected="one window, stride, padding and dilation for each",
            got=f"window {window}, strides {strides}, padding {padding}",
        )
    if any(n < 1 for n in (*window, *strides, *dilation, *base_dilation)):
        raise ShapeError(
            f"{name} slides and stretches by whole steps.",
            expected="windows, strides and dilations of at least 1",
            got=f"window {window}, strides {strides}, dilation {dilation}",
        )
    shape: list[Dim] = list(x.shape)
    for i, axis in enumerate(axes):
        length = shape[axis]
        if not isinstance(length, int):
            raise ShapeError(
                f"{name} does not slide over a named size.",
                expected="axes of fixed length",
                got=show(x.shape),
            )
        padded = dilated(length, base_dilation[i]) + sum(padding[i])
        reach = padded - dilated(window[i], dilation[i])
        if reach < 0:
            raise ShapeError(
                f"{name}'s window is larger than its padded input on axis {axis}.",
                expected=f"a window of at most {padded}, dilation included",
                got=f"{window[i]} with dilation {dilation[i]}",
                fix="use a smaller window or more padding",
            )
        shape[axis] = reach // strides[i] + 1
    return tuple(shape)


def _taps(x: Array, fill: int, a: _Window) -> list[Array]:
    """What each tap of the window sees, in the order of the input, as views."""
    padded = dilate_and_pad(x, a.axes, a.base_dilation, a.padding, fill)
    seen = seen_by_taps(padded, a.axes, a.window, a.strides, a.dilation)
    return [part for _, part in seen]


# -- the sum --------------------------------------------------------------------------


def _sum_rule(x: ArrayType, **attrs: Any) -> ArrayType:
    return ArrayType(_shape("window_sum", x, _Window(**attrs)), x.dtype)


def _sum(x: Array, **attrs: Any) -> Array:
    out, *taps = _taps(x, 0, _Window(**attrs))
    out = out.copy()
    for tap in taps:
        out += tap
    return out


def _sum_vjp(g: Value, y: Value, x: Value, **attrs: Any) -> Value:
    a = _Window(**attrs)
    pads: list[tuple[int, int]] = []
    for i, axis in enumerate(a.axes):
        length, count = x.shape[axis], y.shape[axis]
        assert isinstance(length, int)
        assert isinstance(count, int)
        reach = dilated(a.window[i], a.dilation[i]) - 1
        lo = reach - a.padding[i][0]
        need = dilated(length, a.base_dilation[i]) + reach
        pads.append((lo, need - dilated(count, a.strides[i]) - lo))
    turned = a._replace(
        strides=a.base_dilation, padding=tuple(pads), base_dilation=a.strides
    )
    return window_sum(g, **turned._asdict())


def _case(x: str, axes: Ints, window: Ints, *, base: bool, **changes: Any) -> Case:
    rank = len(axes)
    ones = (1,) * rank
    attrs = _Window(axes, window, ones, ((0, 0),) * rank, ones, ones)._asdict()
    if not base:
        del attrs["base_dilation"]
    return Case((x,), attrs | changes)


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


window_sum = declare(
    "window_sum",
    rule=_sum_rule,
    reference=_sum,
    vjp=(_sum_vjp,),
    formula=r"\sum_{{k}} {0}_{{p s + k}}",
    source="Goodfellow, Bengio & Courville 2016, 9.3 (average pooling without 1/w)",
    linear=True,
    cases=(
        *_cases(base=True),
        _case("f[2,4]", (1,), (3,), base_dilation=(2,), padding=((1, 0),), base=True),
        _case("f[9]", (0,), (3,), padding=((-1, -2),), base=True),
    ),
)


# -- the maximum ----------------------------------------------------------------------


def _max_window(axes: Ints, **attrs: Any) -> _Window:
    return _Window(axes, base_dilation=(1,) * len(axes), **attrs)


def _max_rule(name: str, result: DType | None = None) -> TypeRule:
    def rule(x: ArrayType, **attrs: Any) -> ArrayType:
        a = _max_window(**attrs)
        shape = _shape(name, x, a)
        for i, axis in enumerate(a.axes):
            length, count, stride = x.shape[axis], shape[axis], a.strides[i]
            assert isinstance(length, int)
            assert isinstance(count, int)
            steps = range(0, a.window[i] * a.dilation[i], a.dilation[i])
            for start in range(-a.padding[i][0], count * stride, stride)[:count]:
                if not any(0 <= start + step < length for step in steps):
                    raise ArgumentError(
                        f"A window of {name} sees padding alone.",
                        expected=f"padding of less than a window of {a.window[i]}",
                        got=f"{a.padding[i]} on axis {axis} of length {length}",
                        fix="use less padding or a larger window",
                    )
        return ArrayType(shape, result or x.dtype)

    return rule


def _best(x: Array, attrs: dict[str, Any]) -> tuple[Array, Array]:
    """The largest element of each window, and where it stands."""
    a = _max_window(**attrs)
    line = tuple(x.shape[axis] for axis in a.axes)
    order = tuple(int(i) for i in np.argsort(a.axes))
    count = np.arange(int(np.prod(line)), dtype=np.int64).reshape(line)
    count = count.transpose(order).reshape(
        [n if i in a.axes else 1 for i, n in enumerate(x.shape)]
    )
    places = _taps(np.broadcast_to(count, x.shape), -1, a)
    numbers = _taps(x, 0, a)
    best, where = numbers[0].copy(), places[0].copy()
    for number, place in zip(numbers[1:], places[1:]):
        larger = (number > best) | ((number != number) & (best == best))
        take = (place >= 0) & (larger | (where < 0))
        best, where = np.where(take, number, best), np.where(take, place, where)
    return best, where


def _max(x: Array, **attrs: Any) -> Array:
    return _best(x, attrs)[0]


def _argmax(x: Array, **attrs: Any) -> Array:
    return _best(x, attrs)[1]


def _max_vjp(g: Value, y: Value, x: Value, **attrs: Any) -> Value:
    """g goes to the winners: the windowed axes as one line, each g to its index."""
    axes: Ints = attrs["axes"]
    if not axes:
        return g
    rest = tuple(i for i in range(len(x.shape)) if i not in axes)
    order = (*rest, *axes)

    def lined(value: Value) -> Value:
        turned = transpose(value, axes=order)
        length: Dim = 1
        for a in axes:
            length = value.shape[a] * length
        return reshape(turned, shape=(*turned.shape[: len(rest)], length))

    index = lined(window_argmax(x, **attrs))
    onto = lined(full_like(x, 0.0))
    back = scatter_add_along(onto, index, lined(g), axis=len(rest))
    shape = tuple(x.shape[i] for i in order)
    inverse = tuple(order.index(i) for i in range(len(order)))
    return transpose(reshape(back, shape=shape), axes=inverse)


window_max = declare(
    "window_max",
    rule=_max_rule("window_max"),
    reference=_max,
    vjp=(_max_vjp,),
    formula=r"\max_{{k}} {0}_{{p s + k}}",
    source="Goodfellow, Bengio & Courville 2016, 9.3 (max pooling)",
    kinks="ties, where the derivative goes to the first",
    cases=_cases(base=False),
)

window_argmax = declare(
    "window_argmax",
    rule=_max_rule("window_argmax", DType.int64),
    reference=_argmax,
    formula=r"\arg\max_{{k}} {0}_{{p s + k}}",
    source=(
        "where the largest element of a window stands, counted along ``axes`` as one"
        " line; the first of equals, NaN the largest"
    ),
    cases=_cases(base=False),
)
