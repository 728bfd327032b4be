"""Pooling: maxima, means and norms of windows, and of whole channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import functions as fn
from chainrule.errors import ShapeError
from chainrule.interop.onnx.reader.operators.convolution import CONV, spatial
from chainrule.interop.onnx.reader.operators.elementwise import as_constant
from chainrule.interop.onnx.reader.operators.shapes import padded
from chainrule.interop.onnx.reader.operators.windows import Ints, Windows, windows
from chainrule.interop.onnx.reader.table import Known, operator
from chainrule.nn import functional
from chainrule.tensor import Tensor
from chainrule.text import _

MAX = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)
MEAN = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)


@operator("MaxPool", since=1)
def max_pool(
    x: Tensor,
    *,
    kernel_shape: Ints,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Ints | None = None,
    pads: Ints | None = None,
    storage_order: int = 0,
    strides: Ints | None = None,
    node: Any,
) -> tuple[Tensor, ...]:
    """Maxima of windows, and their places in the whole tensor as one line."""
    rank = spatial(x, "MaxPool")
    w = windows(
        tuple(x.shape[2:]),
        kernel_shape,
        strides=strides,
        dilations=dilations,
        pads=pads,
        auto_pad=auto_pad,
        ceil_mode=ceil_mode,
        pooled=True,
    )
    asked = node.wants(1)
    fits = all(2 * p <= k for p, k in zip(w.begins, w.kernel))
    if w.symmetric and fits and not asked:
        return (MAX[rank - 1](x, w.kernel, w.strides, w.begins, w.dilations),)
    ends = tuple(e + more for e, more in zip(w.ends, w.extra))
    low = -np.inf if x.dtype.is_float else np.iinfo(x.dtype.numpy).min
    wide = padded(x, (0, 0, *w.begins, 0, 0, *ends), value=low)
    if not asked:
        return (MAX[rank - 1](wide, w.kernel, w.strides, 0, w.dilations),)
    y, at = MAX[rank - 1](
        wide, w.kernel, w.strides, 0, w.dilations, return_indices=True
    )
    return y, _places(x, at, tuple(wide.shape[2:]), w, bool(storage_order))


def _places(x: Tensor, at: Tensor, wide: Any, w: Windows, columns: bool) -> Tensor:
    """Return places within a padded channel as places in the whole tensor."""
    sizes = tuple(x.shape[2:])
    parts = []
    for n in reversed(wide):
        parts.insert(0, at % n)
        at = at // n
    place = fn.zeros_like(at)
    order = range(len(sizes))
    for axis in reversed(order) if columns else order:
        place = place * sizes[axis] + (parts[axis] - w.begins[axis])
    channels = np.arange(x.shape[0] * x.shape[1]).reshape(x.shape[0], x.shape[1])
    channels = channels.reshape(*channels.shape, *[1] * len(sizes))
    return place + as_constant(channels * int(np.prod(sizes)), place)


@operator("AveragePool", since=1)
def average_pool(
    x: Tensor,
    *,
    kernel_shape: Ints,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Ints | None = None,
    pads: Ints | None = None,
    strides: Ints | None = None,
) -> Tensor:
    """Means of windows, of what lies within, or with the padding's zeros."""
    rank = spatial(x, "AveragePool")
    w = windows(
        tuple(x.shape[2:]),
        kernel_shape,
        strides=strides,
        dilations=dilations,
        pads=pads,
        auto_pad=auto_pad,
        ceil_mode=ceil_mode,
        pooled=True,
    )
    plain = not any((*w.begins, *w.ends, *w.extra))
    if plain and set(w.dilations) == {1}:
        return MEAN[rank - 1](x, w.kernel, w.strides)
    total = window_sums(x, w)
    if plain:
        return total / int(np.prod(w.kernel))
    sizes = tuple(map(int, x.shape[2:]))
    count = np.ones((1,) * x.ndim)
    for axis, n in enumerate(sizes):
        inside = np.ones(n)
        if count_include_pad:
            inside = np.ones(n + w.begins[axis] + w.ends[axis])
            inside = np.pad(inside, (0, w.extra[axis]))
        else:
            inside = np.pad(inside, (w.begins[axis], w.ends[axis] + w.extra[axis]))
        span = (w.kernel[axis] - 1) * w.dilations[axis] + 1
        held = [
            inside[at : at + span : w.dilations[axis]].sum()
            for at in range(0, len(inside) - span + 1, w.strides[axis])
        ]
        count = count * np.reshape(
            held, [-1 if a == axis + 2 else 1 for a in range(x.ndim)]
        )
    return total / as_constant(count, x)


def window_sums(x: Tensor, w: Windows) -> Tensor:
    """Return the sum of each window: a convolution with ones, a channel by itself."""
    n, channels, *sizes = x.shape
    ends = tuple(e + more for e, more in zip(w.ends, w.extra))
    alone = fn.reshape(x, (n * channels, 1, *sizes))
    alone = padded(alone, (0, 0, *w.begins, 0, 0, *ends))
    ones = fn.ones((1, 1, *w.kernel), dtype=x.dtype)
    y = CONV[len(sizes) - 1](alone, ones, None, w.strides, 0, w.dilations)
    return fn.reshape(y, (n, channels, *y.shape[2:]))


@operator("LpPool", since=2)
def lp_pool(
    x: Tensor,
    *,
    kernel_shape: Ints,
    p: int = 2,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Ints | None = None,
    pads: Ints | None = None,
    strides: Ints | None = None,
) -> Tensor:
    spatial(x, "LpPool")
    w = windows(
        tuple(x.shape[2:]),
        kernel_shape,
        strides=strides,
        dilations=dilations,
        pads=pads,
        auto_pad=auto_pad,
        ceil_mode=ceil_mode,
        pooled=True,
    )
    return window_sums(fn.abs(x) ** p, w) ** (1 / p)


def _axes(x: Tensor) -> tuple[int, ...]:
    """Return the spatial axes, of which there is at least one."""
    if x.ndim < 3:
        raise ShapeError(
            _("A pool of whole channels has spatial axes."),
            expected=_("(N, C, …) of three axes or more"),
            got=str(tuple(x.shape)),
        )
    return tuple(range(2, x.ndim))


@operator("GlobalAveragePool", since=1)
def global_average_pool(x: Tensor) -> Tensor:
    return fn.mean(x, dim=_axes(x), keepdim=True)


@operator("GlobalMaxPool", since=1)
def global_max_pool(x: Tensor) -> Tensor:
    return fn.amax(x, dim=_axes(x), keepdim=True)


@operator("GlobalLpPool", since=2)
def global_lp_pool(x: Tensor, *, p: int = 2) -> Tensor:
    return fn.sum(fn.abs(x) ** p, dim=_axes(x), keepdim=True) ** (1 / p)


@operator("MaxUnpool", since=9)
def max_unpool(
    x: Tensor,
    indices: Tensor,
    output_shape: Known | None = None,
    *,
    kernel_shape: Ints,
    pads: Ints | None = None,
    strides: Ints | None = None,
) -> Tensor:
    """Maxima at their places in the whole tensor as one line, zeros elsewhere."""
    rank = spatial(x, "MaxUnpool")
    strides, pads = strides or (1,) * rank, pads or (0,) * (2 * rank)
    sizes = [
        (n - 1) * s + k - pads[a] - pads[a + rank]
        for a, (n, s, k) in enumerate(zip(x.shape[2:], strides, kernel_shape))
    ]
    inner = (*x.shape[:2], *sizes)
    outer = inner if output_shape is None else tuple(map(int, output_shape))
    at = fn.reshape(indices, (-1,))
    flat = fn.zeros(int(np.prod(inner)), dtype=x.dtype)
    y = fn.reshape(fn.scatter(flat, 0, at, fn.reshape(x, (-1,))), inner)
    grown = [o - i for o, i in zip(outer, inner)]
    return padded(y, (*[0] * x.ndim, *grown))
