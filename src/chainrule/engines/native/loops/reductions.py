"""LLVM kernels of reductions: sums, products, maxima and sums of products along axes.

The order of a reduction is fixed by its shape, and the processor is busy all the same:

* Where the elements of a line are neighbours, element j goes on lane j mod n of n
  accumulators (:func:`lanes_for`), which a tree combines: halves are added, and halves
  of that. Several lines run side by side and share the instructions of their trees.
* Where the lines themselves are neighbours, a vector holds an element of each, and each
  lane goes through its own line from the first to the last.
* Other lines, and very short ones, go one element after the other, some side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from llvmlite import ir

from chainrule.engines.native.loops.kernels import (
    Kernels,
    advance,
    combine,
    for_loop,
    running,
    times,
)
from chainrule.engines.native.loops.nests import Loops, collapsed
from chainrule.engines.native.math import mathlib
from chainrule.engines.native.math.scalar import (
    I1,
    I32,
    I64,
    POINTER,
    memory_type,
    store,
)
from chainrule.engines.native.target import host_target
from chainrule.graph.types import Dim, DType

#: Accumulators of a long line, and the elements from which on a line is long.
LANES, LANES_FROM = 64, 256
#: Those of a shorter line of neighbours; still shorter ones have one.
FEW, FEW_FROM = 16, 8
#: Lines that run side by side, one element after the other.
ROWS = 8


def lanes_for(length: int, *, neighbours: bool) -> int:
    """Return the number of accumulators of a line, which is a rule on shapes alone.

    Args:
        length: how many elements it has.
        neighbours: whether they lie side by side in memory.
    """
    if length >= LANES_FROM:
        return LANES
    return FEW if neighbours and length >= FEW_FROM else 1


def _unit(op: str, dtype: DType) -> Any:
    """Return what a reduction of nothing is, as a constant of the type in memory."""
    kind = memory_type(dtype)
    if op != "max":
        return ir.Constant(kind, int(op == "prod"))
    if dtype.is_float:
        return ir.Constant(kind, -math.inf)
    return ir.Constant(kind, -(2 ** (kind.width - 1)) if dtype.kind == "int" else 0)


@dataclass(frozen=True)
class Reduction:
    """The loops of a reduction: over its results, and within the line of each.

    Attributes:
        op: ``"sum"``, ``"prod"``, ``"max"``; or ``"dot"`` of two operands, the chain
            fma(x, y, sum).
        dtype: of the elements.
        kept: over the results, those of the result first, then those of each operand.
        reduced: within a line, of each operand.
    """

    op: str
    dtype: DType
    kept: Loops
    reduced: Loops

    @classmethod
    def of(cls, op: str, dtype: DType, kept: Loops, reduced: Loops) -> Reduction:
        """Return a reduction whose loops are merged where all lie without gaps."""
        kept = kept if kept[0] else [((1, 0),)] * len(kept)
        reduced = reduced if reduced[0] else [((1, 0),)] * len(reduced)
        return cls(op, dtype, collapsed(kept), collapsed(reduced))

    @property
    def numbers(self) -> list[Dim]:
        """The kernel's arguments after the pointers: sizes and strides."""
        numbers = [size for size, _ in (*self.kept[0], *self.reduced[0])]
        for kept, reduced in zip(self.kept[1:], self.reduced):
            numbers += [step for _, step in (*kept, *reduced)]
        return numbers + [step for _, step in self.kept[0]]

    def kernel(self, kernels: Kernels) -> ir.Function:
        """Return the LLVM kernel of a reduction.

        Its arguments: the pointers of the result and of each operand, the numbers,
        begin and end of the outermost loop.
        """
        kept, reduced = len(self.kept[0]), len(self.reduced[0])
        size, beside = self.kept[0][-1]
        inner = [mine[-1][1] for mine in self.reduced]
        across = [mine[-1][1] for mine in self.kept[1:]]
        if size != 1 and beside == 1 and across == [1] and inner != [1]:
            return columns_kernel(kernels, self.op, self.dtype, kept, reduced)
        return _lines_kernel(
            kernels,
            self.op,
            self.dtype,
            kept,
            reduced,
            [step if step in (0, 1) else None for step in inner],  # type: ignore
            self.reduced[0][-1][0],
            beside == 1,
            [step == 0 for step in across],
        )


def _lines_kernel(
    kernels: Kernels,
    op: str,
    dtype: DType,
    kept: int,
    reduced: int,
    inner: Sequence[int | None],
    length: Dim,
    beside: bool,
    still: Sequence[bool],
) -> ir.Function:
    """Return the LLVM kernel of a reduction line by line.

    Args:
        kernels: where it goes.
        op, dtype: see :class:`Reduction`.
        kept, reduced: the numbers of loops.
        inner: the stride of each operand along a line, if that is 0 or 1, else None.
        length: the size of the innermost loop.
        beside: whether results are neighbours along the last of the kept loops.
        still: whether each operand is the same for all lines of that loop.
    """
    neighbours = all(step == 1 for step in inner)
    lanes = rest = None
    if isinstance(length, int):
        lanes = lanes_for(length, neighbours=neighbours)
        rest = length % lanes != 0

    def emit(b: ir.IRBuilder, pointers: list[Any], numbers: list[Any]) -> None:
        how = (op, dtype, kept, reduced, inner, beside, still)
        lines = _Lines(b, *how, pointers, numbers)
        if lanes is not None:
            lines.emit(lanes, rest=bool(rest))
            return
        size = lines.sizes[-1]
        with b.if_else(b.icmp_signed(">=", size, I64(LANES_FROM))) as (long, short):
            with long:
                lines.emit(LANES, rest=True)
            with short:
                if not neighbours:
                    lines.emit(1, rest=False)
                    return
                several = b.icmp_signed(">=", size, I64(FEW_FROM))
                with b.if_else(several) as (few, one):
                    with few:
                        lines.emit(FEW, rest=True)
                    with one:
                        lines.emit(1, rest=False)

    key = ("reduce", op, dtype, kept, reduced, tuple(inner), lanes, rest, beside)
    key += tuple(still)
    rank = kept + reduced
    count = rank * (1 + len(inner)) + kept + 2
    return kernels.once(key, f"reduce_{op}", 1 + len(inner), count, emit, passes=False)


class _Lines:
    """The generator of a reduction's loops over lines of neighbours, or of others."""

    def __init__(
        self,
        b: ir.IRBuilder,
        op: str,
        dtype: DType,
        kept: int,
        reduced: int,
        inner: Sequence[int | None],
        beside: bool,
        still: Sequence[bool],
        pointers: list[Any],
        numbers: list[Any],
    ) -> None:
        self.b, self.op, self.dtype, self.pointers = b, op, dtype, pointers
        self.kept, self.rank, self.beside = kept, kept + reduced, beside
        self.itemsize, self.unit = dtype.itemsize, _unit(op, dtype)
        rank = self.rank
        self.sizes, rest = numbers[:rank], numbers[rank:]
        self.steps: list[list[Any]] = []
        for step, same in zip(inner, still):
            mine, rest = list(rest[:rank]), rest[rank:]
            if step is not None:
                mine[-1] = I64(step)
            if same:
                mine[kept - 1] = I64(0)
            self.steps.append(mine)
        self.out_steps, (self.first, self.end) = rest[:kept], rest[kept:]
        if beside:
            self.out_steps = [*self.out_steps[:-1], I64(1)]

    def emit(self, lanes: int, *, rest: bool) -> None:
        """Emit all lines on so many accumulators each.

        ``rest``: whether they may end within a group of lanes.
        """
        self.lanes, self.rest = lanes, rest
        if lanes == 1:
            self.several = ROWS
        elif lanes == FEW:  # as many as half of the registers hold
            target = host_target()
            room = target.registers * target.vector_bytes // (2 * FEW * self.itemsize)
            self.several = max(1, min(FEW, room))
        else:
            self.several = 1
        out, *operands = self.pointers
        self._kept(0, operands, out)

    def _kept(self, axis: int, operands: list[Any], out: Any) -> None:
        """Emit the loops over lines from a nesting level on."""
        b, last = self.b, axis == self.kept - 1
        start = self.first if axis == 0 else I64(0)
        stop = self.end if axis == 0 else self.sizes[axis]

        def moved(i: Any) -> tuple[list[Any], Any]:
            return self._moved(operands, axis, i, {}), advance(
                b, out, self.dtype, times(b, i, self.out_steps[axis])
            )

        if not last:
            with for_loop(b, start, stop, f"i{axis}") as i:
                self._kept(axis + 1, *moved(i))
            return
        if self.several > 1:
            many = I64(self.several)
            groups = b.sdiv(b.sub(stop, start), many)
            with for_loop(b, I64(0), groups, "lines") as group:
                first = b.add(start, b.mul(group, many))
                self._some([moved(b.add(first, I64(i))) for i in range(self.several)])
            start = b.add(start, b.mul(groups, many))
        with for_loop(b, start, stop, f"i{axis}") as i:
            self._some([moved(i)])

    def _moved(
        self, operands: list[Any], level: int, i: Any, known: dict[Any, Any]
    ) -> list[Any]:
        """Emit the operands' addresses ``i`` steps further in a loop.

        ``known``: those that other lines have had, by the address before.
        """
        for at, steps in zip(operands, self.steps):
            if at not in known:
                move = times(self.b, i, steps[level])
                known[at] = advance(self.b, at, self.dtype, move)
        return [known[at] for at in operands]

    def _some(self, lines: list[tuple[list[Any], Any]]) -> None:
        """Emit code that reduces some lines side by side, and stores what they give."""
        b, dtype = self.b, self.dtype
        order = tree_order(len(lines), self.lanes)
        lines = [lines[i] for i in order]
        begun = self.unit
        if self.lanes > 1:
            kind = ir.VectorType(begun.type, self.lanes)
            begun = ir.Constant(kind, [begun] * self.lanes)
        totals = self._reduced([at for at, _ in lines], self.kept, [begun] * len(lines))
        results = [at for _, at in lines]
        if self.lanes == 1:
            for value, at in zip(totals, results):
                b.store(value, at, align=self.itemsize)
            return
        total = self._tree(totals)
        if len(lines) > 1 and self.beside:
            where = results[order.index(0)]
            b.store(total, where, align=self.itemsize)
            return
        if len(lines) == 1:
            b.store(total, results[0], align=self.itemsize)
            return
        for i in range(len(lines)):
            at = results[order.index(i)]
            b.store(b.extract_element(total, I32(i)), at, align=dtype.itemsize)

    def _reduced(
        self, lines: list[list[Any]], level: int, totals: list[Any]
    ) -> list[Any]:
        """Emit the loops within lines from a nesting level on; return the totals."""
        b, size = self.b, self.sizes[level]
        if level < self.rank - 1:

            def further(i: Any, totals: list[Any]) -> list[Any]:
                known: dict[Any, Any] = {}
                there = [self._moved(at, level, i, known) for at in lines]
                return self._reduced(there, level + 1, totals)

            return running(b, size, f"r{level}", totals, further)

        def step(left: Any, group: Any, totals: list[Any]) -> list[Any]:
            first = times(b, group, I64(self.lanes))
            mask = None
            if left is not None:
                every = _iota(self.lanes)
                mask = b.icmp_signed("<", every, _spread(b, left, self.lanes))
            known: dict[Any, Any] = {}
            read: dict[Any, Any] = {}
            return [
                self._added(total, self._moved(at, level, first, known), mask, read)
                for total, at in zip(totals, lines)
            ]

        groups = b.sdiv(size, I64(self.lanes)) if self.lanes > 1 else size
        totals = running(b, groups, "group", totals, partial(step, None))
        if self.lanes == 1 or not self.rest:
            return totals
        done = b.mul(groups, I64(self.lanes))
        left = b.sub(size, done)
        some = b.zext(b.icmp_signed(">", left, I64(0)), I64)

        def last(i: Any, totals: list[Any]) -> list[Any]:
            return step(left, groups, totals)

        return running(b, some, "left", totals, last)

    def _added(
        self, total: Any, operands: list[Any], mask: Any, read: dict[Any, Any]
    ) -> Any:
        """Emit code that adds a group of a line's elements to its accumulators.

        ``read``: groups that other lines have read, by their addresses.
        """
        for at, step in zip(operands, self.steps):
            if at not in read:
                read[at] = self._read(at, step[-1], mask)
        values = [read[at] for at in operands]
        if self.op == "dot":
            return mathlib.Emitter(self.b, total).intrinsic("fma", *values, total)
        return combine(self.b, self.op, self.dtype, total, values[0])

    def _read(self, at: Any, step: Any, mask: Any) -> Any:
        """Emit the load of a group of elements; those outside of a mask are units."""
        b, lanes, align = self.b, self.lanes, self.itemsize
        if lanes == 1:
            return b.load(at, typ=self.unit.type, align=align)
        kind = ir.VectorType(self.unit.type, lanes)
        fixed = step.constant if isinstance(step, ir.Constant) else None
        if fixed == 1 and mask is None:
            return b.load(at, typ=kind, align=align)
        masks = ir.VectorType(I1, lanes)
        every = ir.Constant(masks, [I1(1)] * lanes) if mask is None else mask
        unit = ir.Constant(kind, [self.unit] * lanes)
        if fixed == 1:
            arguments, what, where = [at], "load", "p0"
        else:
            places = b.mul(_iota(lanes), _spread(b, step, lanes))
            arguments, what = [_gep(b, at, places, self.unit.type)], "gather"
            where = f"v{lanes}p0"
        element = f"f{8 * align}" if self.dtype.is_float else f"i{8 * align}"
        name = f"llvm.masked.{what}.v{lanes}{element}.{where}"
        function = b.module.globals.get(name)
        if function is None:
            kinds = [arguments[0].type, I32, masks, kind]
            function = ir.Function(b.module, ir.FunctionType(kind, kinds), name)
        return b.call(function, [*arguments, I32(align), every, unit])

    def _tree(self, totals: list[Any]) -> Any:
        """Emit the trees of some lines' accumulators; return a vector, or one total."""
        b, combined = self.b, partial(combine, self.b, self.adds, self.dtype)
        vectors = list(totals)
        part = self.lanes
        while part > 1:
            part //= 2
            if len(vectors) > 1:
                pairs = list(zip(vectors[::2], vectors[1::2]))
                masks = [_halves(self.lanes, part, high) for high in (False, True)]
            else:
                pairs = [(vectors[0], vectors[0])]
                lanes = range(vectors[0].type.count)
                masks = [[i for i in lanes if i // part % 2 == high] for high in (0, 1)]
            kind = ir.VectorType(I32, len(masks[0]))
            constants = [ir.Constant(kind, [I32(i) for i in mask]) for mask in masks]
            vectors = [
                combined(*(b.shuffle_vector(x, y, mask) for mask in constants))
                for x, y in pairs
            ]
        (total,) = vectors
        return total if len(totals) > 1 else b.extract_element(total, I32(0))

    @property
    def adds(self) -> str:
        """The operation that combines two accumulators."""
        return "sum" if self.op == "dot" else self.op


def _halves(lanes: int, part: int, high: bool) -> list[int]:
    """Return which lanes of two vectors, one after the other, make one half of each.

    Each vector has blocks of 2·part lanes, a line in each. Of blocks of four lanes and
    fewer one of each vector stand by turns, which processors do within a quarter.
    """
    blocks = range(0, lanes, 2 * part)
    first = [[i + high * part + j for j in range(part)] for i in blocks]
    second = [[lanes + i for i in block] for block in first]
    if part >= 4:
        chosen = first + second
    else:
        each = 4 // (2 * part)  # blocks of a quarter
        chosen = []
        for i in range(0, len(first), each):
            chosen += first[i : i + each] + second[i : i + each]
    return [i for block in chosen for i in block]


def tree_order(lines: int, lanes: int) -> list[int]:
    """Return for each line that a tree takes the place of its total in the result."""
    if lines == 1 or lanes == 1:
        return list(range(lines))
    vectors = [[i] for i in range(lines)]
    part = lanes
    while len(vectors) > 1:
        part //= 2
        merged: list[list[int]] = []
        for x, y in zip(vectors[::2], vectors[1::2]):
            owners = [line for v in (x, y) for line in v for _ in range(2 * part)]
            taken = [owners[i] for i in _halves(lanes, part, high=False)]
            merged.append(taken[::part])
        vectors = merged
    (places,) = vectors
    return [places.index(i) for i in range(lines)]


def _iota(lanes: int) -> Any:
    return ir.Constant(ir.VectorType(I64, lanes), [I64(i) for i in range(lanes)])


def _spread(b: ir.IRBuilder, value: Any, lanes: int) -> Any:
    """Emit a vector of a number in all lanes."""
    undef = ir.Constant(ir.VectorType(I64, lanes), ir.Undefined)
    first = b.insert_element(undef, value, I32(0))
    zeros = ir.Constant(ir.VectorType(I32, lanes), [I32(0)] * lanes)
    return b.shuffle_vector(first, undef, zeros)


def _gep(b: ir.IRBuilder, at: Any, places: Any, element: Any) -> Any:
    """Emit a vector of the addresses of elements at some places after a pointer."""
    pointers = b.gep(at, [places], source_etype=element)
    pointers.type = ir.VectorType(POINTER, places.type.count)
    return pointers


def columns_kernel(
    kernels: Kernels, op: str, dtype: DType, kept: int, reduced: int
) -> ir.Function:
    """Return the LLVM kernel that reduces lines which are neighbours of each other.

    Arguments after (out, x): sizes of the kept and of the reduced loops, the strides
    of x for both, the strides of out, begin and end of the outermost loop. Along the
    last of the kept loops elements of x and of out are neighbours.
    """
    rank, kind = kept + reduced, memory_type(dtype)
    line = 64 // dtype.itemsize
    widths = [(count, line) for count in (8, 4, 2, 1)]
    widths += [(1, lanes) for lanes in (line // 2, line // 4, 1) if lanes]
    unit = _unit(op, dtype)

    def emit(b: ir.IRBuilder, pointers: list[Any], numbers: list[Any]) -> None:
        sizes, x_steps = numbers[:rank], numbers[rank : 2 * rank]
        out_steps, (begin, end) = numbers[2 * rank : -2], numbers[-2:]

        def block(px: Any, po: Any, vectors: int, lanes: int) -> None:
            """Emit code that reduces some columns of a matrix in vector registers."""
            across = ir.VectorType(kind, lanes) if lanes > 1 else kind
            offsets = [I64(i * lanes) for i in range(vectors)]

            def inside(level: int, px: Any, totals: list[Any]) -> list[Any]:
                def step(i: Any, totals: list[Any]) -> list[Any]:
                    there = advance(b, px, dtype, b.mul(i, x_steps[level]))
                    if level < rank - 1:
                        return inside(level + 1, there, totals)
                    return [
                        combine(b, op, dtype, total, value)
                        for total, value in zip(totals, map(read, places(there)))
                    ]

                return running(b, sizes[level], f"r{level}", totals, step)

            def places(pointer: Any) -> list[Any]:
                return [advance(b, pointer, dtype, offset) for offset in offsets]

            def read(at: Any) -> Any:
                return b.load(at, typ=across, align=dtype.itemsize)

            begun = ir.Constant(across, [unit] * lanes) if lanes > 1 else unit
            totals = inside(kept, px, [begun] * vectors)
            for value, at in zip(totals, places(po)):
                b.store(value, at, align=dtype.itemsize)

        def nest(axis: int, px: Any, po: Any) -> None:
            first = begin if axis == 0 else I64(0)
            stop = end if axis == 0 else sizes[axis]
            if axis < kept - 1:
                with for_loop(b, first, stop, f"i{axis}") as i:
                    here = advance(b, px, dtype, b.mul(i, x_steps[axis]))
                    nest(
                        axis + 1, here, advance(b, po, dtype, b.mul(i, out_steps[axis]))
                    )
                return
            for vectors, lanes in widths:
                width = vectors * lanes
                count = b.sdiv(b.sub(stop, first), I64(width))
                with for_loop(b, I64(0), count, f"c{width}") as c:
                    column = b.add(first, b.mul(c, I64(width)))
                    at = (advance(b, p, dtype, column) for p in (px, po))
                    block(*at, vectors, lanes)
                first = b.add(first, b.mul(count, I64(width)))

        nest(0, pointers[1], pointers[0])

    key = ("columns", op, dtype, kept, reduced)
    count = 2 * rank + kept + 2
    return kernels.once(key, f"columns_{op}", 2, count, emit, passes=False)


def accumulators(blocking: int) -> int:
    """Return the number of accumulators (lanes) for the partial sums of an array.

    The columns of narrow blocks have one each.
    """
    return blocking if blocking in (LANES // 4, LANES // 2) else LANES


def tree(b: ir.IRBuilder, vector: Any) -> Any:
    """Emit code that sums a vector's elements by adding halves (a tree)."""
    width: int = vector.type.count
    while width > 1:
        width //= 2
        undef = ir.Constant(vector.type, ir.Undefined)
        kind = ir.VectorType(I32, width)
        low, high = (
            ir.Constant(kind, [I32(start + i) for i in range(width)])
            for start in (0, width)
        )
        vector = b.fadd(
            b.shuffle_vector(vector, undef, low), b.shuffle_vector(vector, undef, high)
        )
    return b.extract_element(vector, I32(0))


def lanes_sum(kernels: Kernels, dtype: DType, width: int) -> ir.Function:
    """Return the LLVM kernel that sums ``width`` accumulators by a tree.

    Arguments: (out, x).
    """

    def emit(b: ir.IRBuilder, pointers: list[Any], _: list[Any]) -> None:
        out, x = pointers
        kind = ir.VectorType(memory_type(dtype), width)
        total = tree(b, b.load(x, typ=kind, align=dtype.itemsize))
        store(b, total, out, dtype)

    return kernels.once(("lanes", dtype, width), "lanes", 2, 0, emit, passes=False)
