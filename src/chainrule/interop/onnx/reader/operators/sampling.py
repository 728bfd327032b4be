"""Sampling at positions: grids, regions, and windows that are moved by offsets."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from chainrule import functions as fn
from chainrule.errors import ShapeError
from chainrule.graph.room import check_room
from chainrule.interop.onnx.reader.operators.elementwise import as_constant
from chainrule.interop.onnx.reader.operators.resizing import unknown
from chainrule.interop.onnx.reader.operators.windows import Ints
from chainrule.interop.onnx.reader.table import Known, operator
from chainrule.tensor import Tensor, tensor
from chainrule.text import _

Array = np.ndarray[Any, Any]

# -- grids -----------------------------------------------------------------------------


def _picked(x: Tensor, index: list[Tensor], outside: str) -> Tensor:
    """Return x (N, C, …) at whole positions, each (N, P), as (N, C, P).

    Args:
        x: the tensor.
        index: a position along each spatial axis, as floats.
        outside: ``zeros``, or what is outside has been moved inside already.
    """
    sizes = x.shape[2:]
    flat = fn.reshape(x, (x.shape[0], x.shape[1], -1))
    at, there = None, None
    for i, n in zip(index, sizes):
        within = (i >= 0) & (i <= n - 1)
        there = within if there is None else there & within
        whole = fn.clamp(i, 0, n - 1).astype("int64")
        at = whole if at is None else at * n + whole
    assert at is not None
    assert there is not None
    shape = (x.shape[0], x.shape[1], at.shape[1])
    y = fn.gather(flat, 2, fn.broadcast_to(fn.unsqueeze(at, 1), shape))
    if outside != "zeros":
        return y
    return fn.where(fn.unsqueeze(there, 1), y, fn.zeros_like(y))


def sampled(x: Tensor, positions: list[Tensor], outside: str = "zeros") -> Tensor:
    """Return x (N, C, …) linearly interpolated at positions, each (N, P): (N, C, P)."""
    low = [fn.floor(p) for p in positions]
    total = None
    for corner in itertools.product((0, 1), repeat=len(positions)):
        weight = None
        for p, first, one in zip(positions, low, corner):
            share = p - first if one else 1 - (p - first)
            weight = share if weight is None else weight * share
        assert weight is not None
        index = [first + one for first, one in zip(low, corner)]
        part = _picked(x, index, outside) * fn.unsqueeze(weight, 1)
        total = part if total is None else total + part
    assert total is not None
    return total


def _mirrored(p: Tensor, low: float, high: float) -> Tensor:
    """Return positions that are reflected at both ends until they lie between."""
    if high <= low:
        return fn.zeros_like(p)
    span = high - low
    d = fn.abs(p - low)
    turns, rest = fn.floor(d / span), fn.fmod(d, as_constant(span, d))
    odd = fn.remainder(turns, as_constant(2, d)) == 1
    return fn.where(odd, span - rest, rest) + low


@operator("GridSample", since=16)
def grid_sample(
    x: Tensor,
    grid: Tensor,
    *,
    align_corners: int = 0,
    mode: str = "linear",
    padding_mode: str = "zeros",
) -> Tensor:
    """x at positions from −1 to 1, of which the grid has the last axis' first."""
    kind = {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
    rank = x.ndim - 2
    if grid.ndim != x.ndim or grid.shape[-1] != rank or rank < 1:
        raise ShapeError(
            _("A grid has a position for each spatial axis."),
            expected=f"(N, …, {rank})",
            got=str(tuple(grid.shape)),
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise unknown("padding_mode", padding_mode)
    sizes = [int(n) for n in x.shape[2:]]
    outer = tuple(grid.shape[1:-1])
    flat = fn.reshape(grid, (grid.shape[0], -1, rank))
    positions = []
    for axis, n in enumerate(sizes):
        p = flat[..., rank - 1 - axis]
        p = (p + 1) * ((n - 1) / 2) if align_corners else ((p + 1) * n - 1) / 2
        positions.append(p)

    def inside(p: Tensor, n: int) -> Tensor:
        if padding_mode == "border":
            return fn.clamp(p, 0, n - 1)
        if padding_mode == "reflection":
            ends = (0, n - 1) if align_corners else (-0.5, n - 0.5)
            return fn.clamp(_mirrored(p, *ends), 0, n - 1)
        return p

    if kind == "cubic":
        y = _cubic_sampled(x, positions, sizes, inside, padding_mode)
    else:
        positions = [inside(p, n) for p, n in zip(positions, sizes)]
        if kind == "linear":
            y = sampled(x, positions, padding_mode)
        elif kind == "nearest":
            y = _picked(x, [fn.round(p) for p in positions], padding_mode)
        else:
            raise unknown("mode", mode)
    return fn.reshape(y, (x.shape[0], x.shape[1], *outer))


def _cubic_sampled(
    x: Tensor, positions: list[Tensor], sizes: list[int], inside: Any, outside: str
) -> Tensor:
    """Return x at positions by Keys' cubics, from four neighbours along each axis."""
    low = [fn.floor(p) for p in positions]
    weights = [_cubic_weights(p - first) for p, first in zip(positions, low)]
    total = None
    for taps in itertools.product(range(4), repeat=len(positions)):
        index = [
            inside(first + (tap - 1), n) for first, tap, n in zip(low, taps, sizes)
        ]
        weight = weights[0][taps[0]]
        for axis, tap in enumerate(taps[1:], 1):
            weight = weight * weights[axis][tap]
        part = _picked(x, [fn.round(i) for i in index], outside) * fn.unsqueeze(
            weight, 1
        )
        total = part if total is None else total + part
    assert total is not None
    return total


def _cubic_weights(t: Tensor, a: float = -0.75) -> list[Tensor]:
    """Return the weights of the neighbours at −1, 0, 1 and 2."""

    def near(d: Tensor) -> Tensor:
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d: Tensor) -> Tensor:
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


@operator("AffineGrid", since=20)
def affine_grid(theta: Tensor, size: Known, *, align_corners: int = 0) -> Tensor:
    """Positions from −1 to 1 in each axis, mapped by an affine matrix."""
    n, __, *sizes = (int(d) for d in size.reshape(-1))
    check_room((n, *sizes, len(sizes)), 8)
    lines = [
        np.linspace(-1, 1, d) if align_corners else (2 * np.arange(d) + 1) / d - 1
        for d in sizes
    ]
    mesh = np.meshgrid(*lines, indexing="ij")
    points = np.stack([*mesh[::-1], np.ones(sizes)], axis=-1).reshape(
        -1, len(sizes) + 1
    )
    grid = fn.matmul(as_constant(points, theta), fn.matrix_transpose(theta))
    return fn.reshape(grid, (n, *sizes, len(sizes)))


# -- regions ---------------------------------------------------------------------------


@operator("RoiAlign", since=16)
def roi_align(
    x: Tensor,
    rois: Known,
    batch: Known,
    *,
    coordinate_transformation_mode: str = "half_pixel",
    mode: str = "avg",
    output_height: int = 1,
    output_width: int = 1,
    sampling_ratio: int = 0,
    spatial_scale: float = 1.0,
) -> Tensor:
    """Means, or maxima, of samples in the cells of regions: (regions, C, h, w)."""
    shift = 0.5 if coordinate_transformation_mode == "half_pixel" else 0.0
    cells, parts = (output_height, output_width), []
    for box, n in zip(np.asarray(rois, np.float64), batch.reshape(-1)):
        begin = box[1::-1] * spatial_scale - shift
        size = box[:1:-1] * spatial_scale - shift - begin
        if not shift:
            size = np.maximum(size, 1.0)
        lines = []
        for first, whole, count in zip(begin, size, cells):
            samples = sampling_ratio or max(math.ceil(whole / count), 0)
            check_room((count, samples), 8)
            steps = (np.arange(count * samples) + 0.5) / max(samples, 1)
            lines.append(first + steps * whole / count)
        parts.append(_region(x, int(n), lines, cells, mode))
    if not parts:
        return fn.zeros((0, x.shape[1], *cells), dtype=x.dtype)
    return fn.concat(parts, dim=0)


@operator("RoiAlign", since=10)
def roi_align_10(
    x: Tensor,
    rois: Known,
    batch: Known,
    *,
    mode: str = "avg",
    output_height: int = 1,
    output_width: int = 1,
    sampling_ratio: int = 0,
    spatial_scale: float = 1.0,
) -> Tensor:
    return roi_align(
        x,
        rois,
        batch,
        coordinate_transformation_mode="output_half_pixel",
        mode=mode,
        output_height=output_height,
        output_width=output_width,
        sampling_ratio=sampling_ratio,
        spatial_scale=spatial_scale,
    )


def _region(x: Tensor, n: int, lines: list[Array], cells: Ints, mode: str) -> Tensor:
    """Return one region: samples at rows and columns, summarised by cells."""
    sizes, channels = x.shape[2:], x.shape[1]
    indices, weights = [], []
    for line, size in zip(lines, sizes):
        there = (line >= -1) & (line <= size)
        at = np.clip(line, 0, size - 1)
        low = np.minimum(np.floor(at), size - 1).astype(np.int64)
        high = np.minimum(low + 1, size - 1)
        share = at - low
        indices.append((low, high))
        weights.append(((1 - share) * there, share * there))
    shape = [
        part
        for count, line in zip(cells, lines)
        for part in (count, len(line) // count)
    ]
    terms = []
    for a, b in itertools.product((0, 1), repeat=2):
        flat = (indices[0][a][:, None] * sizes[1] + indices[1][b]).reshape(-1)
        weight = (weights[0][a][:, None] * weights[1][b]).reshape(-1)
        picked = fn.take(fn.reshape(x[n], (channels, -1)), tensor(flat), dim=1)
        term = picked * as_constant(weight, x)
        terms.append(fn.reshape(term, (1, channels, *shape)))
    if mode == "max":  # of the four terms of each sample, as ONNX Runtime has it
        best = _largest(terms)
        return fn.amax(best, dim=(3, 5))
    return fn.mean(terms[0] + terms[1] + terms[2] + terms[3], dim=(3, 5))


def _largest(terms: list[Tensor]) -> Tensor:
    """Return the largest of several tensors, element by element."""
    result = terms[0]
    for term in terms[1:]:
        result = fn.maximum(result, term)
    return result


@operator("DeformConv", since=19)
def deform_conv(
    x: Tensor,
    weight: Tensor,
    offset: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    *,
    dilations: Ints | None = None,
    group: int = 1,
    kernel_shape: Ints | None = None,
    offset_group: int = 1,
    pads: Ints | None = None,
    strides: Ints | None = None,
) -> Tensor:
    """A convolution of images whose window is moved, element by element, by offsets."""
    n, channels = x.shape[:2]
    kernel = tuple(int(k) for k in weight.shape[2:])
    strides, dilations = strides or (1, 1), dilations or (1, 1)
    pads = pads or (0, 0, 0, 0)
    outer = tuple(int(d) for d in offset.shape[2:])
    taps = kernel[0] * kernel[1]
    moves = fn.reshape(offset, (n, offset_group, taps, 2, *outer))
    each = channels // offset_group
    columns = []
    for g in range(offset_group):
        part = x[:, g * each : (g + 1) * each]
        for tap, (i, j) in enumerate(np.ndindex(*kernel)):
            rows = (
                np.arange(outer[0])[:, None] * strides[0] - pads[0] + i * dilations[0]
            )
            cols = np.arange(outer[1])[None] * strides[1] - pads[1] + j * dilations[1]
            at = [
                fn.reshape(moves[:, g, tap, axis] + as_constant(base, x), (n, -1))
                for axis, base in enumerate((rows, cols))
            ]
            value = sampled(part, at)
            if mask is not None:
                factor = fn.reshape(mask[:, g * taps + tap], (n, 1, -1))
                value = value * factor
            columns.append(value)
    stacked = fn.stack(columns, dim=2)  # (n, each, groups·taps, positions)
    stacked = fn.reshape(stacked, (n, each, offset_group, taps, -1))
    stacked = fn.reshape(
        fn.movedim(stacked, 2, 1), (n, group, channels // group * taps, -1)
    )
    filters = fn.reshape(weight, (group, weight.shape[0] // group, -1))
    y = fn.reshape(fn.matmul(filters, stacked), (n, weight.shape[0], *outer))
    return y if bias is None else y + fn.reshape(bias, (-1, 1, 1))
