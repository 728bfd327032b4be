"""Code generation for convolutions, by the matrix product's LLVM tile kernel.

Image by image, rows of A are read through the sliding window: a table says where the
window starts for each row, and contraction loops go over its taps and channels. Where
there is padding, or channels do not stand last, the image is first packed into memory
that the thread has for itself; the zeros around it are written once.

The gradient of a kernel adds up over all images. Threads share them by *slabs* of a
fixed number of images, each with a sum of its own, and the slabs are added in their
order: so the result does not depend on the threads. Where the kernel is so large that
this costs more than it gains, they share the rows of the result instead.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir

from chainrule.engines.native.emit.body import BodyBuilder
from chainrule.engines.native.loops import loop_nodes
from chainrule.engines.native.loops.kernels import Operand, for_loop
from chainrule.engines.native.loops.nests import Loops, Part, collapsed
from chainrule.engines.native.loops.reductions import columns_kernel
from chainrule.engines.native.math.scalar import I1, I8, I64, POINTER
from chainrule.engines.native.products.matmul import Edge, choose_tile, emit_matmul
from chainrule.engines.native.target import host_target
from chainrule.engines.schedule.convolution import Convolution, as_convolution
from chainrule.engines.schedule.layout import StridedView, row_major
from chainrule.engines.schedule.sharing import Access
from chainrule.graph.node import Node, Value
from chainrule.graph.types import Dim, Sizes, resolve
from chainrule.primitives.matmul import Dims, parse_dims
from chainrule.primitives.sliding import dilated

#: Elements of a kernel's gradient up to which threads share images by slabs.
SLABS_TO = 1 << 16
#: Images of a slab.
SLAB = 8
#: Elements of a vector, at which slabs are added up.
VECTOR = 16


@dataclass(frozen=True)
class _Geometry:
    """The sizes and strides of a convolution, for code generation.

    Attributes:
        plan: which letters play which part.
        lengths, padded: of the input's sliding axes, as they are and with padding.
        places, taps: of the result's and of the kernel's sliding axes.
        steps, reach: how far a place and a tap move the window.
        low, gap: zeros before the input (negative: what is cut off), and steps between
            its elements.
        channels, right: sizes of those letters.
        images, groups: how many.
        direct: whether the input is read as it lies.
        spatial, channel: strides of what is read.
    """

    plan: Convolution
    lengths: tuple[int, ...]
    padded: tuple[int, ...]
    places: tuple[int, ...]
    taps: tuple[int, ...]
    steps: tuple[int, ...]
    reach: tuple[int, ...]
    low: tuple[int, ...]
    gap: tuple[int, ...]
    channels: int
    right: int
    images: Dim
    groups: int
    direct: bool
    spatial: tuple[int, ...]
    channel: int

    @property
    def packed(self) -> int:
        """The number of elements of a convolution's input image with its padding."""
        return math.prod(self.padded) * self.channels

    @property
    def rows(self) -> list[int]:
        """The offsets in a convolution's input from which the result's rows read."""
        axes = [
            [place * step * stride for place in range(count)]
            for count, step, stride in zip(self.places, self.steps, self.spatial)
        ]
        if not self.plan.forward:
            axes.append([c * self.channel for c in range(self.channels)])
        return [sum(parts) for parts in itertools.product(*axes)]

    @property
    def contraction(self) -> list[tuple[int, int, int]]:
        """A convolution's summed loops, as (length, step in A, step in B)."""
        dims = [
            (count, reach * stride)
            for count, reach, stride in zip(self.taps, self.reach, self.spatial)
        ]
        if self.plan.forward:
            dims.append((self.channels, self.channel))
        line = self.right if self.plan.forward else self.right * self.groups
        b = row_major((*(count for count, _ in dims), line))
        merged: list[tuple[int, int, int]] = []
        for (count, step), across in zip(dims, b):
            assert isinstance(across, int)
            if count == 1:
                continue
            if merged and merged[-1][1] == step * count:  # no gap between the two
                merged[-1] = (merged[-1][0] * count, step, across)
            else:
                merged.append((count, step, across))
        return merged or [(1, 0, 0)]


def _geometry(node: Node, view: StridedView | None, plan: Convolution) -> _Geometry:
    """Return the sizes and strides of a convolution node, for code generation.

    ``view``: the input's location; None: packed.
    """
    d, attrs = parse_dims(node.attrs["dims"]), node.attrs
    x, kernel = node.inputs
    (out,) = node.outputs
    assert out is not None
    lengths = _sizes(d.lhs, d, x)
    taps, places = _sizes(d.rhs, d, kernel), _sizes(d.out, d, out)
    gap = tuple(attrs["lhs_dilation"])
    pads = attrs["padding"]
    padded = tuple(
        dilated(length, step) + lo + hi
        for length, step, (lo, hi) in zip(lengths, gap, pads)
    )
    axis = d.lhs.index(plan.channels)
    channels, right = x.shape[axis], kernel.shape[d.rhs.index(plan.right)]
    assert isinstance(channels, int)
    assert isinstance(right, int)
    groups = x.shape[d.lhs.index(plan.group)] if plan.group else 1
    assert isinstance(groups, int)
    direct, spatial, channel = False, row_major((*padded, channels))[:-1], 1
    whole = gap == (1,) * len(gap) and all(max(pair) <= 0 for pair in pads)
    if view is not None and whole:
        strides = [view.strides[d.lhs.index(w)] for w in plan.window]
        known = all(isinstance(s, int) for s in strides)
        if known and (view.strides[axis] == 1 or channels == 1):
            direct, spatial, channel = True, tuple(strides), 1
    assert all(isinstance(s, int) for s in spatial)
    return _Geometry(
        plan,
        lengths,
        padded,
        places,
        taps,
        tuple(attrs["strides"]),
        tuple(attrs["rhs_dilation"]),
        tuple(lo for lo, _ in pads),
        gap,
        channels,
        right,
        x.shape[d.lhs.index(plan.images)],
        groups,
        direct,
        tuple(int(s) for s in spatial if isinstance(s, int)),
        channel,
    )


def _remaining(length: int, padded: int, low: int, gap: int) -> tuple[int, int]:
    """Return first and number of an axis' elements that negative padding leaves."""
    first = -(min(low, 0) // gap)
    last = min(length, -(-(padded - low) // gap))
    return first, max(last - first, 0)


def _sizes(letters: str, d: Dims, value: Value) -> tuple[int, ...]:
    sizes = [value.shape[letters.index(w)] for w in d.window]
    assert all(isinstance(size, int) for size in sizes)
    return tuple(size for size in sizes if isinstance(size, int))


def scratch_bytes(node: Node, largest: Sizes) -> int:
    """Return the bytes of temporary memory that a convolution's code needs."""
    plan = as_convolution(node)
    if plan is None:
        return 0
    g = _geometry(node, None, plan)
    if not _by_slabs(g):
        return 0
    images = resolve((g.images,), largest)[0]
    itemsize = node.inputs[0].dtype.itemsize
    return -(-images // SLAB) * len(g.rows) * g.right * itemsize


def _by_slabs(g: _Geometry) -> bool:
    return not g.plan.forward and len(g.rows) * g.right <= SLABS_TO


def convolve(builder: BodyBuilder, node: Node) -> None:
    """Lower ``conv`` to LLVM: by the matrix tile kernel, or in plain loops."""
    plan = as_convolution(node)
    if plan is None:
        loop_nodes.contraction(builder, node)
    else:
        _Emitter(builder, node, plan).emit()


class _Emitter:
    """The generator of LLVM code for one convolution."""

    def __init__(self, builder: BodyBuilder, node: Node, plan: Convolution) -> None:
        self.builder, self.node, self.code = builder, node, builder.code
        self.x, self.kernel = node.inputs
        (out,) = node.outputs
        assert out is not None
        self.out, self.dtype = out, out.dtype
        self.d = parse_dims(node.attrs["dims"])
        self.g = _geometry(node, builder.view(self.x), plan)
        self.group: Any = None

    @property
    def b(self) -> ir.IRBuilder:
        """The LLVM instruction builder at the current position of generated code."""
        return self.builder.b

    def emit(self) -> None:
        """Emit LLVM code for a convolution, one channel group after another."""
        if self.g.groups == 1:
            self._emit()
            return
        count = I64(self.g.groups)
        with for_loop(self.b, I64(0), count, "group") as group, self.code.repeated():
            self.group = group
            self._emit()

    def _emit(self) -> None:
        """Emit LLVM code for one group of a convolution, divided among threads."""
        if self.g.plan.forward:
            self._forward()
        elif _by_slabs(self.g):
            self._slabs()
        else:
            self._rows()

    # -- memory --------------------------------------------------------------------

    def _pointer(self, value: Value, letters: str) -> Any:
        """Emit the address of the current group's part of a convolution array."""
        pointer = self.builder.pointer(value)
        if self.group is None:
            return pointer
        step = self.builder.view(value).strides[letters.index(self.g.plan.group)]
        return loop_nodes.advanced(self.builder, pointer, value.dtype, step, self.group)

    def _moved(self, value: Value, letters: str, index: Any) -> Any:
        """Emit the address of image ``index`` in a convolution's array."""
        axis = letters.index(self.g.plan.images)
        step = self.builder.view(value).strides[axis]
        pointer = self._pointer(value, letters)
        return loop_nodes.advanced(self.builder, pointer, value.dtype, step, index)

    def _clear(self, address: Any, length: Any) -> None:
        """Emit LLVM code that fills a memory range with zero bytes."""
        fill = self.b.module.declare_intrinsic("llvm.memset", [POINTER, I64])
        self.b.call(fill, [address, I8(0), length, I1(0)])

    def _read(self, image: Any, index: Any) -> Any:
        """Emit code that packs a convolution's input image; return its address."""
        g, builder = self.g, self.builder
        source = self._moved(self.x, self.d.lhs, index)
        view = builder.view(self.x)
        strides = [view.strides[self.d.lhs.index(w)] for w in g.plan.window]
        ranges = [_remaining(*axis) for axis in zip(g.lengths, g.padded, g.low, g.gap)]
        for stride, (first, _) in zip(strides, ranges):
            if first:
                source = loop_nodes.advanced(
                    builder, source, self.dtype, stride * first
                )
        if g.direct:
            return source
        strides.append(view.strides[self.d.lhs.index(g.plan.channels)])
        sizes = (*(count for _, count in ranges), g.channels)
        within = [stride * gap for stride, gap in zip(g.spatial, g.gap)] + [1]
        starts = [
            first * gap + low for (first, _), gap, low in zip(ranges, g.gap, g.low)
        ]
        start = sum(stride * at for stride, at in zip(g.spatial, starts))
        nested: Loops = [tuple(zip(sizes, within)), tuple(zip(sizes, strides))]
        to, of = collapsed(nested)
        ends = [mine[-1][1] if mine[-1][1] in (0, 1) else None for mine in (to, of)]
        operands = [
            Operand(self.dtype, end if isinstance(end, int) else None) for end in ends
        ]
        function = self.code.kernels.map(
            ("copy",),
            "copy",
            len(to),
            operands[:1],
            operands[1:],
            lambda b, values, indices: values,
        )
        target = loop_nodes.advanced(builder, image, self.dtype, start)
        numbers = [size for size, _ in to]
        numbers += [step for mine in (to, of) for _, step in mine]
        bounds = [I64(0), self.code.dim(to[0][0])]
        arguments = [*map(self.code.dim, numbers), *bounds]
        self.b.call(function, [target, source, *arguments])
        return image

    # -- the product ---------------------------------------------------------------

    def _product(self, *, accumulate: bool) -> Any:
        """Return a function that emits the matrix product of a convolution's rows."""
        g, code = self.g, self.code
        *outer, (k, a_k, _) = g.contraction
        b_k, c_m = g.right, g.right
        if g.plan.forward:  # groups lie side by side
            c_m *= g.groups
        else:
            b_k *= g.groups
        tile = choose_tile(self.dtype.name, host_target())
        edge, one = Edge.of(g.right, tile), 1 if a_k == 1 else None
        late = [k, *([] if one else [a_k]), b_k, c_m, *(n for o in outer for n in o)]
        count = 4 + len(late)
        kind = ir.FunctionType(ir.VoidType(), [POINTER] * 4 + [I64] * count)
        function = code.kernels.function(
            ("convolution", self.dtype, accumulate, len(outer), tuple(edge), one),
            kind,
            lambda module: emit_matmul(
                module,
                self.dtype.name,
                tile,
                edge=edge,
                a_k=one,
                accumulate=accumulate,
                table=True,
                outer=len(outer),
            ),
        )
        table = code.constant(np.array(g.rows, np.int64))

        def call(a: Any, b: Any, c: Any, low: Any, high: Any) -> None:
            bounds = [low, high, I64(0), I64(g.right)]
            self.b.call(function, [a, b, c, table, *bounds, *map(I64, late)])

        return call

    # -- the three ways to share ---------------------------------------------------

    def _forward(self) -> None:
        """Emit LLVM code for a forward convolution; threads divide the images."""
        builder, code, g = self.builder, self.code, self.g
        axis = self.d.out.index(g.plan.images)
        partition = builder.partition_for(self.out)
        assert partition is None or partition.axis == axis
        code.touch(builder.accesses(self.node))
        product = self._product(accumulate=False)
        kernel = self._pointer(self.kernel, self.d.rhs)

        def run(begin: Any, end: Any) -> None:
            image = self._prepared()
            with for_loop(self.b, begin, end, "image") as n:
                there = self._read(image, n)
                to = self._moved(self.out, self.d.out, n)
                product(there, kernel, to, I64(0), I64(len(g.rows)))

        if partition is None:
            with code.one_thread():
                run(I64(0), code.dim(g.images))
        else:
            run(*code.partition(Part(partition.units, partition.unit_size)))

    def _prepared(self) -> Any:
        """Emit a thread's zeroed buffer for one padded image; None if unneeded."""
        if self.g.direct:
            return None
        length = self.g.packed * self.dtype.itemsize
        image = self.code.private(length)
        self._clear(image, I64(length))
        return image

    def _slabs(self) -> None:
        """Emit a convolution's kernel gradient; threads sum slabs of images."""
        builder, code, g = self.builder, self.code, self.g
        length = len(g.rows) * g.right
        space, low, _ = builder.arena_space
        at = builder.plan.scratch[self.node]
        images = resolve((g.images,), code.largest)[0]
        most = -(-images // SLAB) * length * self.dtype.itemsize
        room = (space, low + at, low + at + most)
        reads = [builder.access(v, None) for v in (self.x, self.kernel)]
        code.touch([*reads, Access(*room, True, None)])
        sums, many, b = builder.memory(at), code.dim(g.images), self.b
        slabs = b.sdiv(b.add(many, I64(SLAB - 1)), I64(SLAB))
        tid, following, threads = code.thread_numbers()
        begin, end = (b.sdiv(b.mul(slabs, t), threads) for t in (tid, following))
        image = self._prepared()
        product = self._product(accumulate=True)
        with for_loop(b, begin, end, "slab") as s:
            mine = loop_nodes.advanced(builder, sums, self.dtype, length, s)
            self._clear(mine, I64(length * self.dtype.itemsize))
            first = b.mul(s, I64(SLAB))
            last = b.add(first, I64(SLAB))
            last = b.select(b.icmp_signed("<", last, many), last, many)
            with for_loop(b, first, last, "image") as n:
                there = self._read(image, n)
                other = self._moved(self.kernel, self.d.rhs, n)
                product(there, other, mine, I64(0), I64(len(g.rows)))
        single = length % VECTOR != 0
        part = Part(length, single=True) if single else Part(length // VECTOR, VECTOR)
        step = VECTOR * self.dtype.itemsize
        space, low, _ = builder.resources[builder.view(self.out).root]
        key = ("one",) if single else ("rows", length // VECTOR, step, space, low)
        key = key if g.groups == 1 else None
        code.touch(
            [Access(*room, False, None), builder.access(self.out, key, write=True)]
        )
        function = columns_kernel(code.kernels, "sum", self.dtype, 1, [True])
        out = self._pointer(self.out, self.d.out)
        numbers = [I64(length), slabs, I64(1), I64(length), I64(1)]
        code.call(function, [out, sums, *numbers], part)

    def _rows(self) -> None:
        """Emit a convolution's kernel gradient; threads divide its rows."""
        builder, code, g, b = self.builder, self.code, self.g, self.b
        rows, step = len(g.rows), g.right * self.dtype.itemsize
        space, low, _ = builder.resources[builder.view(self.out).root]
        reads = [builder.access(v, None) for v in (self.x, self.kernel)]
        key = ("rows", rows, step, space, low) if g.groups == 1 else None
        written = builder.access(self.out, key, write=True)
        code.touch([*reads, written])
        begin, end = code.partition(Part(rows))
        image = self._prepared()
        product = self._product(accumulate=True)
        out = self._pointer(self.out, self.d.out)
        mine = loop_nodes.advanced(builder, out, self.dtype, g.right, begin)
        self._clear(mine, b.mul(b.sub(end, begin), I64(step)))
        with for_loop(b, I64(0), code.dim(g.images), "image") as n:
            there = self._read(image, n)
            other = self._moved(self.kernel, self.d.rhs, n)
            product(there, other, out, begin, end)
