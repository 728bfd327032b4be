"""Resizing of images and volumes, by scales or to sizes.

Each axis is resized by itself: what an output takes from the inputs is a row of a
matrix, which the sizes alone decide. So one function has every mode of the standard.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import functions as fn
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.room import check_room
from chainrule.interop.onnx.reader.operators.elementwise import as_constant
from chainrule.interop.onnx.reader.operators.shapes import axes_of
from chainrule.interop.onnx.reader.operators.windows import Ints
from chainrule.interop.onnx.reader.table import Known, operator
from chainrule.nn import functional
from chainrule.tensor import Tensor, tensor
from chainrule.text import _

Array = np.ndarray[Any, Any]

# -- positions -------------------------------------------------------------------------


def _positions(
    rule: str, n: int, m: int, scale: Any, roi: tuple[float, float]
) -> Array:
    """Return the input coordinate of each of m outputs, by the standard's rule.

    They are computed in the dtype of ``scale``.
    """
    at = np.arange(m, dtype=scale.dtype)
    whole = scale * n
    if rule == "asymmetric":
        return at / scale
    if rule == "half_pixel":
        return (at + 0.5) / scale - 0.5
    if rule == "pytorch_half_pixel":
        return (at + 0.5) / scale - 0.5 if m > 1 else np.zeros(m)
    if rule == "half_pixel_symmetric":
        centre = n / 2 * (1 - m / whole)
        return centre + (at + 0.5) / scale - 0.5
    if rule == "align_corners":
        return at * (n - 1) / (whole - 1) if whole != 1 else np.zeros(m)
    if rule == "tf_half_pixel_for_nn":
        return (at + 0.5) / scale
    if rule == "tf_crop_and_resize":
        first, last = roi
        if m == 1:
            return np.full(m, 0.5 * (first + last) * (n - 1))
        return first * (n - 1) + at * (last - first) * (n - 1) / (m - 1)
    raise unknown("coordinate_transformation_mode", rule)


def unknown(attribute: str, value: str) -> ArgumentError:
    """Return the error for a word that the standard does not know."""
    return ArgumentError(
        _("There is no such {a}.", a=attribute),
        expected=_("one of the standard's"),
        got=f"{value!r:.40}",
    )


def _nearest(mode: str, at: Array, n: int, scale: float) -> Array:
    """Return the index of the input that is nearest to a position.

    Before opset 11 there was one mode, here ``simple``.
    """
    if mode == "simple":
        index = np.floor(at) if scale >= 1 else np.ceil(at)
    elif mode == "round_prefer_floor":
        index = np.ceil(at - 0.5)
    elif mode == "round_prefer_ceil":
        index = np.floor(at + 0.5)
    elif mode == "floor":
        index = np.floor(at)
    elif mode == "ceil":
        index = np.ceil(at)
    else:
        raise unknown("nearest_mode", mode)
    return np.clip(index, 0, n - 1).astype(np.int64)


def _linear(d: Array) -> Array:
    return np.maximum(0, 1 - np.abs(d))


def _cubic(a: float) -> Any:
    """Return Keys' cubic kernel (Keys 1981) with a parameter."""

    def kernel(d: Array) -> Array:
        d = np.abs(d)
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        return np.where(d <= 1, near, np.where(d < 2, far, 0.0))

    return kernel


def _matrix(
    at: Array,
    n: int,
    scale: float,
    kernel: Any,
    reach: int,
    antialias: bool,
    inside: bool,
) -> Array:
    """Return the interpolation weights of an axis, (outputs, inputs).

    Args:
        at: positions of the outputs.
        n: the number of inputs; those beyond are the first and the last one.
        scale: of the sizes.
        kernel, reach: the weight at a distance, and how far it goes.
        antialias: whether the kernel is as wide as the outputs lie apart.
        inside: whether inputs beyond count nothing (``exclude_outside``).
    """
    check_room((len(at), n), 8)
    wide = max(1.0, 1 / scale) if antialias else 1.0
    span = math.ceil(reach * wide)
    first = np.floor(at).astype(np.int64)
    result = np.zeros((len(at), n))
    rows = np.arange(len(at))
    taps = range(-span + 1, span + 1)
    check_room((len(at), len(taps)), 8)
    every = [kernel((first + tap - at) / wide) for tap in taps]
    if inside:
        every = [
            np.where((first + tap >= 0) & (first + tap < n), w, 0)
            for tap, w in zip(taps, every)
        ]
    total = np.sum(every, axis=0)
    for tap, weight in zip(taps, every):
        share = weight / total if inside or antialias else weight
        np.add.at(result, (rows, np.clip(first + tap, 0, n - 1)), share)
    return result


def _length(n: int, scale: float) -> int:
    """Return how many outputs there are, of a product of float32: 10 · 0.7 are 7."""
    return math.floor(np.float32(n) * np.float32(scale))


# -- Resize ----------------------------------------------------------------------------


def _resized(
    x: Tensor,
    axes: Ints,
    outputs: Ints,
    scales: tuple[float, ...],
    rois: list[tuple[float, float]],
    *,
    mode: str,
    rule: str,
    nearest: str = "round_prefer_floor",
    cubic: float = -0.75,
    antialias: bool = False,
    inside: bool = False,
    beyond: float = 0.0,
) -> Tensor:
    """Resize axes one after the other."""
    outside: Any = False
    for axis, m, scale, roi in zip(axes, outputs, scales, rois):
        n = int(x.shape[axis])
        crop = rule == "tf_crop_and_resize"
        if n == m and scale == 1 and not crop:
            continue
        if not n and m:
            raise ShapeError(
                _("Resize makes no elements of none."), expected=">= 1", got="0"
            )
        # Scales are float32: what lies between two inputs does so in these alone.
        single = np.float32 if mode == "nearest" else np.float64
        at = _positions(rule, n, m, single(scale), roi)
        if crop:
            shape = [-1 if a == axis else 1 for a in range(x.ndim)]
            outside = outside | ((at < 0) | (at > n - 1)).reshape(shape)
        if mode == "nearest":
            x = fn.take(x, tensor(_nearest(nearest, at, n, scale)), dim=axis)
            continue
        if mode == "linear":
            matrix = _matrix(at, n, scale, _linear, 1, antialias, inside)
        elif mode == "cubic":
            matrix = _matrix(at, n, scale, _cubic(cubic), 2, antialias, inside)
        else:
            raise unknown("mode", mode)
        weights = as_constant(matrix, x) if x.dtype.is_float else tensor(matrix)
        moved = fn.movedim(x, axis, -1)
        wide = moved if x.dtype.is_float else moved.astype("float64")
        y = functional.linear(wide, weights)
        if not x.dtype.is_float:
            y = fn.trunc(y).astype(x.dtype)
        x = fn.movedim(y, -1, axis)
    if np.any(outside):
        return fn.where(tensor(np.asarray(outside)), as_constant(beyond, x), x)
    return x


@operator("Resize", since=11)
def resize(
    x: Tensor,
    roi: Known | None = None,
    scales: Known | None = None,
    sizes: Known | None = None,
    *,
    antialias: int = 0,
    axes: Ints | None = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
) -> Tensor:
    which = tuple(range(x.ndim)) if axes is None else axes_of(axes, x.ndim)
    by_scale = scales is not None and scales.size > 0
    given = scales if by_scale else sizes
    if given is None or given.size != len(which):
        raise ShapeError(
            _("Resize has a scale or a size for each axis."),
            expected=str(len(which)),
            got=str(0 if given is None else given.size),
        )
    inputs = [int(x.shape[a]) for a in which]
    wanted = [float(v) for v in given.reshape(-1)]
    if min(wanted, default=1) < 0 or not np.isfinite(wanted).all():
        raise ArgumentError(
            _("Sizes are at least 0."), expected=">= 0", got=str(wanted)
        )
    rois = [(0.0, 1.0)] * len(which)
    if coordinate_transformation_mode == "tf_crop_and_resize" and roi is not None:
        flat = [float(v) for v in roi.reshape(-1)]
        rois = list(zip(flat[: len(which)], flat[len(which) :]))
    if by_scale:
        shares = [last - first for first, last in rois]
        outputs = [_length(n, share * s) for n, share, s in zip(inputs, shares, wanted)]
        factors = wanted
    elif keep_aspect_ratio_policy in ("not_larger", "not_smaller"):
        choose = min if keep_aspect_ratio_policy == "not_larger" else max
        factor = choose(m / n for m, n in zip(wanted, inputs))
        outputs = [math.floor(factor * n + 0.5) for n in inputs]
        factors = [factor] * len(which)
    else:
        outputs = [int(m) for m in wanted]
        factors = [m / n if n else 1.0 for m, n in zip(wanted, inputs)]
    check_room(outputs, 8)
    return _resized(
        x,
        which,
        tuple(outputs),
        tuple(factors),
        rois,
        mode=mode,
        rule=coordinate_transformation_mode,
        nearest=nearest_mode,
        cubic=cubic_coeff_a,
        antialias=bool(antialias),
        inside=bool(exclude_outside),
        beyond=extrapolation_value,
    )


@operator("Resize", since=10)
def resize_10(x: Tensor, scales: Known, *, mode: str = "nearest") -> Tensor:
    return _upsampled(x, scales, mode)


@operator("Upsample", since=9)
def upsample_9(x: Tensor, scales: Known, *, mode: str = "nearest") -> Tensor:
    return _upsampled(x, scales, mode)


@operator("Upsample", since=7)
def upsample_7(
    x: Tensor, *, scales: tuple[float, ...], mode: str = "nearest"
) -> Tensor:
    return _upsampled(x, np.array(scales), mode)


def _upsampled(x: Tensor, scales: Array, mode: str) -> Tensor:
    """Resize as the standard did before opset 11: positions i/scale."""
    factors = tuple(float(s) for s in scales.reshape(-1))
    if len(factors) != x.ndim:
        raise ShapeError(
            _("Resize has a scale or a size for each axis."),
            expected=str(x.ndim),
            got=str(len(factors)),
        )
    outputs = tuple(_length(int(n), s) for n, s in zip(x.shape, factors))
    return _resized(
        x,
        tuple(range(x.ndim)),
        outputs,
        factors,
        [(0.0, 1.0)] * x.ndim,
        mode="linear" if mode == "bilinear" else mode,
        rule="asymmetric",
        nearest="simple",
    )
