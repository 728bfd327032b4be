"""Convolution in any number of spatial axes, closed under its own derivative.

``conv`` is a product (see ``matmul``) with windows. The letters of ``dims`` say which
axes are contracted, free or shared, as in ``dot_general``; the digits 0, 1, … name
spatial axes: ``"nc01,oc01->no01"`` is a 2-d convolution with channels first,
``"n01c,01co->n01o"`` one with channels last, ``"ngc01,goc01->ngo01"`` a grouped one.

Along each spatial axis, with stride s, kernel dilation r, input dilation d and padding
(lo, hi), the input is dilated by d, padded, and

    out[p] = Σₖ padded[p·s + k·r] · kernel[k]

(cross-correlation, which the field calls convolution). Both derivatives are again of
this form: the roles of s, r and d change places.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from chainrule.errors import ShapeError
from chainrule.graph.build import declare
from chainrule.graph.node import Array, Value
from chainrule.graph.primitive import Case
from chainrule.graph.types import ArrayType, DType, is_symbolic
from chainrule.primitives.matmul import letter_sizes, parse_dims
from chainrule.primitives.movement import flip
from chainrule.primitives.rules import show

Ints = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]


def dilated(size: int, dilation: int) -> int:
    """The length of ``size`` elements that stand ``dilation`` apart."""
    return (size - 1) * dilation + 1 if size else 0


def spatial_sizes(letters: str, window: str, shape: tuple[Any, ...]) -> Ints:
    """The sizes of the axes named 0, 1, … in ``letters``."""
    return tuple(shape[letters.index(w)] for w in window)


class _Conv(NamedTuple):
    """The attributes of a convolution."""

    dims: str
    strides: Ints
    padding: Pads
    lhs_dilation: Ints
    rhs_dilation: Ints
    accumulate: DType


def _rule(lhs: ArrayType, rhs: ArrayType, **attrs: Any) -> ArrayType:
    dims, strides, padding, lhs_dilation, rhs_dilation, accumulate = _Conv(**attrs)
    d = parse_dims(dims)
    sizes = letter_sizes("conv", d, lhs, rhs, accumulate)
    given = (strides, padding, lhs_dilation, rhs_dilation)
    if any(len(item) != len(d.window) for item in given):
        raise ShapeError(
            f"conv '{dims}' has {len(d.window)} spatial axes.",
            expected="one stride, padding and dilation for each",
            got=f"strides {strides}, padding {padding}",
        )
    if any(n < 1 for n in (*strides, *lhs_dilation, *rhs_dilation)):
        raise ShapeError(
            f"conv '{dims}' moves and stretches by whole steps.",
            expected="strides and dilations of at least 1",
            got=f"strides {strides}, dilations {lhs_dilation} and {rhs_dilation}",
        )
    inputs = spatial_sizes(d.lhs, d.window, lhs.shape)
    kernels = spatial_sizes(d.rhs, d.window, rhs.shape)
    if is_symbolic((*inputs, *kernels)):
        raise ShapeError(
            f"conv '{dims}' does not slide over the batch axis N.",
            expected="spatial axes of fixed length",
            got=f"input {show(lhs.shape)}, kernel {show(rhs.shape)}",
        )
    for i, w in enumerate(d.window):
        lo, hi = padding[i]
        padded = dilated(inputs[i], lhs_dilation[i]) + lo + hi
        reach = padded - dilated(kernels[i], rhs_dilation[i])
        if reach < 0 or kernels[i] == 0:
            raise ShapeError(
                f"conv's kernel is larger than its padded input on spatial axis {w}.",
                expected=f"a kernel of 1 to {padded}, dilation included",
                got=f"input {show(lhs.shape)}, kernel {show(rhs.shape)}",
                fix="use a smaller kernel or more padding",
            )
        sizes[w] = reach // strides[i] + 1
    return ArrayType(tuple(sizes[c] for c in d.out), lhs.dtype)


def _reference(lhs: Array, rhs: Array, **attrs: Any) -> Array:
    a = _Conv(**attrs)
    d, dtype = parse_dims(a.dims), lhs.dtype
    if a.accumulate.numpy.itemsize > dtype.itemsize:
        lhs, rhs = lhs.astype(a.accumulate.numpy), rhs.astype(a.accumulate.numpy)
    axes = tuple(map(d.lhs.index, d.window))
    kernels = spatial_sizes(d.rhs, d.window, rhs.shape)
    lhs = dilate_and_pad(lhs, axes, a.lhs_dilation, a.padding)
    # One product a kernel tap: shifted input times that tap's weights.
    taps = "".join(c for c in d.rhs if not c.isdigit())
    letters = _codes(d.lhs), _codes(taps), _codes(d.out)
    terms: list[Array] = []
    for tap, seen in seen_by_taps(lhs, axes, kernels, a.strides, a.rhs_dilation):
        pick: list[Any] = [slice(None)] * rhs.ndim
        for i, w in enumerate(d.window):
            pick[d.rhs.index(w)] = tap[i]
        weights = rhs[tuple(pick)]
        terms.append(np.einsum(seen, letters[0], weights, letters[1], letters[2]))
    return functools.reduce(np.add, terms).astype(dtype, copy=False)


def _codes(letters: str) -> list[int]:
    """Letters and digits as the integers that einsum takes for axes."""
    alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP"
    return [alphabet.index(c) for c in letters]


def dilate_and_pad(
    x: Array, axes: Ints, dilation: Ints, padding: Pads, fill: int = 0
) -> Array:
    """``fill`` between elements, then around them (negative padding crops)."""
    shape, inside = list(x.shape), [slice(None)] * x.ndim
    crop = [slice(None)] * x.ndim
    for axis, step, (lo, hi) in zip(axes, dilation, padding):
        length = dilated(x.shape[axis], step)
        shape[axis] = length + max(lo, 0) + max(hi, 0)
        inside[axis] = slice(max(lo, 0), max(lo, 0) + length, step)
        crop[axis] = slice(max(-lo, 0), shape[axis] - max(-hi, 0))
    out = np.full(shape, fill, x.dtype)
    out[tuple(inside)] = x
    return out[tuple(crop)]


def seen_by_taps(
    x: Array, axes: Ints, window: Ints, strides: Ints, dilation: Ints
) -> Iterator[tuple[Ints, Array]]:
    """Each tap of a window, and as a view what it sees of ``x`` as it slides."""
    for tap in np.ndindex(*window):
        cut = [slice(None)] * x.ndim
        for i, axis in enumerate(axes):
            start = tap[i] * dilation[i]
            last = x.shape[axis] - dilated(window[i], dilation[i]) + start
            cut[axis] = slice(start, last + 1, strides[i])
        yield tap, x[tuple(cut)]


def _vjp_lhs(g: Value, y: Value, x: Value, kernel: Value, **attrs: Any) -> Value:
    """g, dilated by the stride, convolved with the flipped kernel."""
    a = _Conv(**attrs)
    d = parse_dims(a.dims)
    inputs = spatial_sizes(d.lhs, d.window, x.shape)
    kernels = spatial_sizes(d.rhs, d.window, kernel.shape)
    outputs = spatial_sizes(d.out, d.window, y.shape)
    pads: list[tuple[int, int]] = []
    for i in range(len(d.window)):
        reach = dilated(kernels[i], a.rhs_dilation[i]) - 1
        lo = reach - a.padding[i][0]
        need = dilated(inputs[i], a.lhs_dilation[i]) + reach
        pads.append((lo, need - dilated(outputs[i], a.strides[i]) - lo))
    changes = {
        "dims": f"{d.out},{d.rhs}->{d.lhs}",
        "strides": a.lhs_dilation,
        "padding": tuple(pads),
        "lhs_dilation": a.strides,
    }
    flipped = flip(kernel, axes=tuple(map(d.rhs.index, d.window)))
    return conv(g, flipped, **attrs | changes)


def _vjp_rhs(g: Value, y: Value, x: Value, kernel: Value, **attrs: Any) -> Value:
    """The input convolved with g as a kernel that is dilated by the stride."""
    a = _Conv(**attrs)
    d = parse_dims(a.dims)
    inputs = spatial_sizes(d.lhs, d.window, x.shape)
    kernels = spatial_sizes(d.rhs, d.window, kernel.shape)
    outputs = spatial_sizes(d.out, d.window, y.shape)
    pads: list[tuple[int, int]] = []
    for i in range(len(d.window)):
        lo = a.padding[i][0]
        reach = dilated(kernels[i], a.rhs_dilation[i]) - 1
        need = reach + dilated(outputs[i], a.strides[i])
        pads.append((lo, need - dilated(inputs[i], a.lhs_dilation[i]) - lo))
    changes = {
        "dims": f"{d.lhs},{d.out}->{d.rhs}",
        "strides": a.rhs_dilation,
        "padding": tuple(pads),
        "rhs_dilation": a.strides,
    }
    return conv(x, g, **attrs | changes)


def _case(lhs: str, rhs: str, dims: str, **changes: Any) -> Case:
    rank = len(parse_dims(dims).window)
    ones = (1,) * rank
    plain = _Conv(dims, ones, ((0, 0),) * rank, ones, ones, DType.float64)
    return Case((lhs, rhs), plain._asdict() | changes)


conv = declare(
    "conv",
    rule=_rule,
    reference=_reference,
    vjp=(_vjp_lhs, _vjp_rhs),
    formula="{0} * {1}",
    source="Goodfellow, Bengio & Courville 2016, 9.1 and 9.5",
    cases=(
        _case("f[2,3,7]", "f[4,3,3]", "nc0,oc0->no0"),
        _case("f[2,3,6,5]", "f[4,3,3,2]", "nc01,oc01->no01"),
        _case("f[2,6,5,3]", "f[3,2,3,4]", "n01c,01co->n01o", padding=((1, 1), (0, 1))),
        _case("f[2,3,8]", "f[4,3,3]", "nc0,oc0->no0", strides=(2,), padding=((1, 2),)),
        _case("f[1,2,9]", "f[3,2,3]", "nc0,oc0->no0", strides=(3,), rhs_dilation=(2,)),
        _case("f[1,2,4]", "f[2,2,3]", "nc0,oc0->no0", lhs_dilation=(2,)),
        _case("f[2,2,3,5]", "f[2,4,3,2]", "ngc0,goc0->ngo0", padding=((1, 0),)),
        _case("f[1,1,6]", "f[1,1,2]", "nc0,oc0->no0", padding=((-1, -2),)),
        _case(
            "f[2,6,5]",
            "f[2,3,2]",
            "c01,c10->01",
            strides=(1, 2),
            padding=((0, 1), (1, 0)),
        ),
    ),
)
