"""Rows of products of tensors, convolutions and sliding windows.

ONNX's Conv and its pools want (N, C, …) and have code for float32. Other orders of axes
are brought into this one; other types are computed one element of the window at a time.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

from chainrule.graph.types import Dim, DType, Shape, SymbolicDim
from chainrule.interop.onnx.writer.emitter import Emitter, Ref
from chainrule.interop.onnx.writer.kernels import Refusal
from chainrule.interop.onnx.writer.rows.movement import dilated, flipped, padded
from chainrule.interop.onnx.writer.table import Call, row
from chainrule.primitives import windows
from chainrule.primitives.conv import conv
from chainrule.primitives.matmul import Dims, dot_general, parse_dims
from chainrule.primitives.movement import flip
from chainrule.primitives.sliding import Sliding
from chainrule.text import _

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


# -- products --------------------------------------------------------------------------


@row(dot_general)
def of_dot_general(c: Call) -> Ref:
    return product(c.e, c.x, c.y, c.attrs["dims"])


def product(e: Emitter, a: Ref, b: Ref, dims: str) -> Ref:
    """Return a product with named axes by Gemm or MatMul, or else by Einsum."""
    d = parse_dims(dims)
    if len(d.contracted) == 1:
        if not d.batch and len(d.left) <= 1 < len(d.right):
            a, b = b, a
            dims = f"{d.rhs},{d.lhs}->{d.out}"
            d = parse_dims(dims)
        plain = _matrices(e, a, b, d)
        if plain is not None:
            return plain
    return e.op("Einsum", a, b, equation=_equation(dims))


def _matrices(e: Emitter, a: Ref, b: Ref, d: Dims) -> Ref | None:
    """Return a product with one contracted axis by Gemm or MatMul, if it is one."""
    k = d.contracted
    if d.batch:
        if not (len(d.left) == len(d.right) == 1):
            return None
        order = d.batch + d.left + d.right
        want = d.batch + d.left + k, d.batch + k + d.right
    elif len(d.right) == 1 and d.left:
        order, want = d.left + d.right, (d.left + k, k + d.right)
    else:
        return None
    order_back = [order.index(letter) for letter in d.out]
    if len(d.lhs) == len(d.rhs) == 2 and a.dtype.is_float and d.out == order:
        turned = [int(have != need) for have, need in zip((d.lhs, d.rhs), want)]
        return e.op("Gemm", a, b, transA=turned[0], transB=turned[1])
    a, b = (
        e.transpose(x, [have.index(letter) for letter in need])
        for x, have, need in ((a, d.lhs, want[0]), (b, d.rhs, want[1]))
    )
    return e.transpose(e.op("MatMul", a, b), order_back)


def _equation(dims: str) -> str:
    """Return the letters of a product as Einsum takes them, digits as letters too."""
    known: dict[str, str] = {}
    for letter in dims:
        if letter.isalnum():
            known.setdefault(letter, _LETTERS[len(known)])
    return "".join(known.get(letter, letter) for letter in dims)


# -- convolution -----------------------------------------------------------------------


@row(conv)
def of_conv(c: Call) -> Ref:
    attrs, d = c.attrs, parse_dims(c.attrs["dims"])
    slides = Sliding(
        tuple(int(n) for n in _of(d.rhs, c.values[1].shape, d.window)),  # type: ignore[arg-type]
        attrs["strides"],
        attrs["padding"],
        attrs["rhs_dilation"],
        attrs["lhs_dilation"],
    )
    if c.x.dtype is not DType.float32 or not 1 <= len(d.window) <= 3:
        return _tap_by_tap(c, d, slides)
    return _Convolution(c, d, slides).emit()


def _of(letters: str, shape: Shape, wanted: str) -> tuple[Dim, ...]:
    return tuple(shape[letters.index(letter)] for letter in wanted)


def _size(dims: Sequence[Dim]) -> Dim:
    total: Dim = 1
    for dim in dims:
        total = total * dim
    return total


class _Convolution:
    """A convolution by ONNX's Conv, or by ConvTranspose where the input is dilated."""

    def __init__(self, c: Call, d: Dims, slides: Sliding) -> None:
        self.c, self.e, self.d, self.slides = c, c.e, d, slides
        x, w = c.values
        self.left = _of(d.lhs, x.shape, d.left)
        self.batch = _of(d.lhs, x.shape, d.batch)
        self.right = _of(d.rhs, w.shape, d.right)
        self.inner = _of(d.lhs, x.shape, d.contracted)
        self.groups = _size(self.batch)
        if isinstance(self.groups, SymbolicDim):
            raise Refusal(_("a convolution with a named number of groups"))
        self.lengths = tuple(int(n) for n in _of(d.lhs, x.shape, d.window))  # type: ignore[arg-type]

    def emit(self) -> Ref:
        """Return the convolution in the order of axes of ours."""
        d, e = self.d, self.e
        x = self._ordered(self.c.x, d.lhs, (d.left, d.batch + d.contracted), 0)
        if any(n != 1 for n in self.slides.base_dilation):
            result = self._transposed(x)
        else:
            result = self._plain(x)
        order = d.left + d.batch + d.right + d.window
        places = _of(d.out, self.c.out.shape, d.window)
        shape = (*self.left, *self.batch, *self.right, *places)
        if len(d.left) != 1 or len(d.batch + d.right) != 1:
            result = e.reshape(result, shape)
        return e.transpose(result, [order.index(letter) for letter in d.out])

    def _ordered(self, x: Ref, letters: str, parts: tuple[str, str], i: int) -> Ref:
        """Return an operand with two axes and the spatial ones behind them."""
        d, shape = self.d, self.c.values[i].shape
        order = "".join(parts) + d.window
        x = self.e.transpose(x, [letters.index(letter) for letter in order])
        if len(parts[0]) == len(parts[1]) == 1:
            return x
        sizes = [_size(_of(letters, shape, part)) for part in parts]
        return self.e.reshape(x, (*sizes, *_of(letters, shape, d.window)))

    def _kernel(self, w: Ref) -> Ref:
        d = self.d
        return self._ordered(w, d.rhs, (d.batch + d.right, d.contracted), 1)

    def _plain(self, x: Ref) -> Ref:
        slides, pads = self.slides, self.slides.padding
        if any(n < 0 for ends in pads for n in ends):
            crop = [[0, 0, *(min(ends[i], 0) for ends in pads)] for i in (0, 1)]
            x = padded(self.e, x, *crop)
        return self.e.op(
            "Conv",
            x,
            self._kernel(self.c.y),
            kernel_shape=list(slides.window),
            strides=list(slides.strides),
            dilations=list(slides.dilation),
            pads=[max(ends[i], 0) for i in (0, 1) for ends in pads],
            group=int(self.groups),  # type: ignore[arg-type]
        )

    def _transposed(self, x: Ref) -> Ref:
        """Return a convolution over a dilated input: ConvTranspose, turned round."""
        s, d = self.slides, self.d
        reach = [(w - 1) * r for w, r in zip(s.window, s.dilation)]
        before = [far - lo for far, (lo, __) in zip(reach, s.padding)]
        behind = [far - hi for far, (__, hi) in zip(reach, s.padding)]
        more = [max(-n, 0) for n in behind]
        fits = (
            all(n == 1 for n in s.strides)
            and min(before) >= 0
            and all(n < max(a, b) for n, a, b in zip(more, s.base_dilation, s.dilation))
        )
        if not fits:
            gaps = {i + 2: n - 1 for i, n in enumerate(s.base_dilation)}
            channels = _size((*self.batch, *self.inner))
            shape = (_size(self.left), channels, *self.lengths)
            x = dilated(self.e, x, shape, gaps)
            self.slides = s._replace(base_dilation=(1,) * len(s.window))
            return self._plain(x)
        node = self.c.values[1].node
        axes = tuple(d.rhs.index(letter) for letter in d.window)
        if node is not None and node.primitive is flip and node.attrs["axes"] == axes:
            w = self.c.lowering.ref(node.inputs[0])
        else:
            w = flipped(self.e, self.c.y, axes)
        parts = (d.batch + d.contracted, d.right)
        w = self._ordered(w, d.rhs, parts, 1)
        return self.e.op(
            "ConvTranspose",
            x,
            w,
            kernel_shape=list(s.window),
            strides=list(s.base_dilation),
            dilations=list(s.dilation),
            pads=[max(n, 0) for n in (*before, *behind)],
            output_padding=more if any(more) else None,
            group=int(self.groups),  # type: ignore[arg-type]
        )


def _tap_by_tap(c: Call, d: Dims, slides: Sliding) -> Ref:
    """Return a convolution as the sum of products, one for each kernel element."""
    axes = [d.lhs.index(letter) for letter in d.window]
    taps = [d.rhs.index(letter) for letter in d.window]
    letters = "".join(letter for letter in d.rhs if not letter.isdigit())
    total: Ref | None = None
    for tap, seen in _seen(c, axes, slides):
        weights = c.e.cut(c.y, taps, tap, [n + 1 for n in tap])
        weights = c.e.squeeze(weights, *taps) if taps else weights
        term = c.e.op(
            "Einsum", seen, weights, equation=_equation(f"{d.lhs},{letters}->{d.out}")
        )
        total = term if total is None else total + term
    assert total is not None
    return total


def _seen(
    c: Call, axes: Sequence[int], slides: Sliding
) -> Iterator[tuple[tuple[int, ...], Ref]]:
    """Yield each offset in a sliding window, and what it sees of the first input."""
    e, shape = c.e, c.values[0].shape
    gaps = {axis: n - 1 for axis, n in zip(axes, slides.base_dilation)}
    x = dilated(e, c.x, shape, gaps)
    ends = dict(zip(axes, slides.padding))
    sides = [[ends.get(i, (0, 0))[side] for i in range(len(shape))] for side in (0, 1)]
    x = padded(e, x, *sides)
    lengths = [int(shape[axis]) for axis in axes]  # type: ignore[arg-type]
    places = slides.places("window", tuple(lengths))
    for tap in itertools.product(*map(range, slides.window)):
        starts = [k * r for k, r in zip(tap, slides.dilation)]
        stops = [b + (n - 1) * s + 1 for b, n, s in zip(starts, places, slides.strides)]
        yield tap, e.cut(x, axes, starts, stops, slides.strides)


# -- windows ---------------------------------------------------------------------------


class _Pool:
    """A pool of the last input by one of ONNX's operators: other axes in front."""

    def __init__(self, c: Call, slides: Sliding) -> None:
        self.c, self.e, self.slides, self.x = c, c.e, slides, c.inputs[-1]
        self.shape, self.axes = c.values[-1].shape, c.attrs["axes"]
        others = tuple(i for i in range(len(self.shape)) if i not in self.axes)
        self.order = (*others, *self.axes)
        self.front = [self.shape[i] for i in others]

    def emit(self, operator: str, count: int = 1, **options: Any) -> list[Ref]:
        """Return the operator's results in the order of axes of ours."""
        s = self.slides
        x = self.e.transpose(self.x, self.order)
        plain = len(self.front) == 2
        spatial = tuple(self.shape[a] for a in self.axes)
        if not plain:
            x = self.e.reshape(x, (_size(self.front), 1, *spatial))
        kinds = [x.dtype, DType.int64][:count]
        dilations = list(s.dilation) if any(n != 1 for n in s.dilation) else None
        made = self.e.node(
            operator,
            [x],
            list(kinds),
            kernel_shape=list(s.window),
            strides=list(s.strides),
            pads=[ends[i] for i in (0, 1) for ends in s.padding],
            dilations=dilations,
            **options,
        )
        back = [self.order.index(i) for i in range(len(self.order))]
        lengths = tuple([int(self.shape[a]) for a in self.axes])  # type: ignore[arg-type]
        places = s.places("window", lengths)
        if not plain:
            made = [self.e.reshape(y, (*self.front, *places)) for y in made]
        return [self.e.transpose(y, back) for y in made]

    def misfit(self, *dtypes: DType) -> str | None:
        """Return why ONNX Runtime has no code for this pool; None where it has."""
        if self.x.dtype not in dtypes:
            return _("ONNX Runtime pools float32 and float64 alone")
        if not 1 <= len(self.axes) <= 3:
            return _("ONNX pools along one to three axes")
        if 0 in self.shape:
            return _("ONNX Runtime pools no arrays without elements")
        if not self._padded_less():
            return _("ONNX pools with less padding than the window is wide")
        return None

    def need(self) -> None:
        """Refuse a pool that ONNX Runtime has no code for."""
        reason = self.misfit(DType.float32, DType.float64)
        if reason is not None:
            raise Refusal(reason)

    def _padded_less(self) -> bool:
        s = self.slides
        reach = [(w - 1) * r + 1 for w, r in zip(s.window, s.dilation)]
        return all(0 <= n < far for ends, far in zip(s.padding, reach) for n in ends)


@row(windows.window_sum)
def of_window_sum(c: Call) -> Ref:
    attrs = {k: v for k, v in c.attrs.items() if k != "axes"}
    slides = Sliding(**attrs)
    ones = (1,) * len(slides.window)
    pool = _Pool(c, slides)
    plain = slides.base_dilation == ones
    if plain and slides.dilation == ones and pool.misfit(DType.float32) is None:
        (mean,) = pool.emit("AveragePool", count_include_pad=1)
        return mean * float(math.prod(slides.window))
    total: Ref | None = None
    for __, seen in _seen(c, c.attrs["axes"], slides):
        total = seen if total is None else total + seen
    assert total is not None
    return total


def _undilated(c: Call) -> Sliding:
    attrs = {k: v for k, v in c.attrs.items() if k != "axes"}
    return Sliding(**attrs, base_dilation=(1,) * len(c.attrs["axes"]))


@row(windows.window_max)
def of_window_max(c: Call) -> Ref:
    slides = _undilated(c)
    pool = _Pool(c, slides)
    if pool.misfit(DType.float32, DType.float64) is None:
        return pool.emit("MaxPool")[0]
    if any(n for ends in slides.padding for n in ends):
        pool.need()
    best: Ref | None = None
    for __, seen in _seen(c, c.attrs["axes"], slides):
        best = seen if best is None else best.op("Max", seen)
    assert best is not None
    return best


@row(windows.window_argmax)
def of_window_argmax(c: Call) -> Ref:
    pool = _Pool(c, _undilated(c))
    pool.need()
    index = pool.emit("MaxPool", 2)[1]
    # Counted over the whole array there, over the window's axes here.
    length = _size([c.values[0].shape[a] for a in c.attrs["axes"]])
    return index.op("Mod", int(length))  # type: ignore[arg-type]


@row(windows.window_max_pullback, since=16)
def of_window_max_pullback(c: Call) -> Ref:
    pool = _Pool(c, _undilated(c))
    pool.need()
    e, order = c.e, pool.order
    whole = tuple([pool.shape[a] for a in order])
    count = _size(c.values[0].shape)
    places = pool.emit("MaxPool", 2)[1]  # counted over the whole array
    g, places = (e.reshape(e.transpose(x, order), (count,)) for x in (c.x, places))
    base = e.expand(e.scalar(0, g.dtype), (_size(whole),))
    line = base.op("ScatterElements", places, g, axis=0, reduction="add")
    back = [order.index(i) for i in range(len(order))]
    return e.transpose(e.reshape(line, whole), back)
