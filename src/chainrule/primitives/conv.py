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

from typing import Any

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


def _rule(
    lhs: ArrayType,
    rhs: ArrayType,
    *,
    dims: str,
    strides: Ints,
    padding: Pads,
    lhs_dilation: Ints,
    rhs_dilation: Ints,
    accumulate: DType,
) -> ArrayType:
    d = parse_dims(dims)
    sizes = letter_sizes("conv", d, lhs, rhs, accumulate)
    counts = [len(x) for x in (strides, padding, lhs_dilation, rhs_dilation)]
    if any(count != len(d.window) for count in counts):
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


def _reference(
    lhs: Array,
    rhs: Array,
    *,
    dims: str,
    strides: Ints,
    padding: Pads,
    lhs_dilation: Ints,
    rhs_dilation: Ints,
    accumulate: DType,
) -> Array:
    d = parse_dims(dims)
    dtype = lhs.dtype
    if accumulate.numpy.itemsize > dtype.itemsize:
        lhs, rhs = lhs.astype(accumulate.numpy), rhs.astype(accumulate.numpy)
    lhs = _dilate_and_pad(lhs, d.lhs, d.window, lhs_dilation, padding)
    kernels = spatial_sizes(d.rhs, d.window, rhs.shape)
    counts = [
        (lhs.shape[d.lhs.index(w)] - dilated(k, r)) // s + 1
        for w, k, r, s in zip(d.window, kernels, rhs_dilation, strides)
    ]
    # One product a kernel tap: shifted input times that tap's weights.
    taps = "".join(c for c in d.rhs if not c.isdigit())
    out = None
    for tap in np.ndindex(*kernels):
        window: list[Any] = [slice(None)] * lhs.ndim
        pick: list[Any] = [slice(None)] * rhs.ndim
        for i, w in enumerate(d.window):
            start = tap[i] * rhs_dilation[i]
            window[d.lhs.index(w)] = slice(
                start, start + dilated(counts[i], strides[i]), strides[i]
            )
            pick[d.rhs.index(w)] = tap[i]
        term = np.einsum(
            lhs[tuple(window)],
            _codes(d.lhs),
            rhs[tuple(pick)],
            _codes(taps),
            _codes(d.out),
        )
        out = term if out is None else out + term
    assert out is not None
    return out.astype(dtype, copy=False)


def _codes(letters: str) -> list[int]:
    """Letters and digits as the integers that einsum takes for axes."""
    alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP"
    return [alphabet.index(c) for c in letters]


def _dilate_and_pad(
    x: Array, letters: str, window: str, dilation: Ints, padding: Pads
) -> Array:
    """Zeros between elements, then zeros around them (negative padding crops)."""
    shape, where = list(x.shape), [slice(None)] * x.ndim
    crop = [slice(None)] * x.ndim
    for i, w in enumerate(window):
        axis = letters.index(w)
        lo, hi = padding[i]
        length = dilated(x.shape[axis], dilation[i])
        shape[axis] = length + max(lo, 0) + max(hi, 0)
        where[axis] = slice(max(lo, 0), max(lo, 0) + length, dilation[i])
        crop[axis] = slice(max(-lo, 0), shape[axis] - max(-hi, 0))
    out = np.zeros(shape, x.dtype)
    out[tuple(where)] = x
    return out[tuple(crop)]


def _vjp_lhs(
    g: Value,
    y: Value,
    x: Value,
    kernel: Value,
    dims: str,
    strides: Ints,
    padding: Pads,
    lhs_dilation: Ints,
    rhs_dilation: Ints,
    accumulate: DType,
) -> Value:
    """g, dilated by the stride, convolved with the flipped kernel."""
    d = parse_dims(dims)
    inputs = spatial_sizes(d.lhs, d.window, x.shape)
    kernels = spatial_sizes(d.rhs, d.window, kernel.shape)
    outputs = spatial_sizes(d.out, d.window, y.shape)
    pads: list[tuple[int, int]] = []
    for i in range(len(d.window)):
        reach = dilated(kernels[i], rhs_dilation[i]) - 1
        lo = reach - padding[i][0]
        need = dilated(inputs[i], lhs_dilation[i]) + reach
        pads.append((lo, need - dilated(outputs[i], strides[i]) - lo))
    return conv(
        g,
        flip(kernel, axes=tuple(d.rhs.index(w) for w in d.window)),
        dims=f"{d.out},{d.rhs}->{d.lhs}",
        strides=lhs_dilation,
        padding=tuple(pads),
        lhs_dilation=strides,
        rhs_dilation=rhs_dilation,
        accumulate=accumulate,
    )


def _vjp_rhs(
    g: Value,
    y: Value,
    x: Value,
    kernel: Value,
    dims: str,
    strides: Ints,
    padding: Pads,
    lhs_dilation: Ints,
    rhs_dilation: Ints,
    accumulate: DType,
) -> Value:
    """The input convolved with g as a kernel that is dilated by the stride."""
    d = parse_dims(dims)
    inputs = spatial_sizes(d.lhs, d.window, x.shape)
    kernels = spatial_sizes(d.rhs, d.window, kernel.shape)
    outputs = spatial_sizes(d.out, d.window, y.shape)
    pads: list[tuple[int, int]] = []
    for i in range(len(d.window)):
        lo = padding[i][0]
        need = (
            dilated(kernels[i], rhs_dilation[i]) - 1 + dilated(outputs[i], strides[i])
        )
        pads.append((lo, need - dilated(inputs[i], lhs_dilation[i]) - lo))
    return conv(
        x,
        g,
        dims=f"{d.lhs},{d.out}->{d.rhs}",
        strides=rhs_dilation,
        padding=tuple(pads),
        lhs_dilation=lhs_dilation,
        rhs_dilation=strides,
        accumulate=accumulate,
    )


def _case(lhs: str, rhs: str, dims: str, **changes: Any) -> Case:
    rank = len(parse_dims(dims).window)
    attrs: dict[str, Any] = {
        "dims": dims,
        "strides": (1,) * rank,
        "padding": ((0, 0),) * rank,
        "lhs_dilation": (1,) * rank,
        "rhs_dilation": (1,) * rank,
        "accumulate": DType.float64,
    }
    return Case((lhs, rhs), attrs | changes)


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
