"""LLVM kernels of reductions: sums, products, maxima and sums of products along axes.

The order of a reduction is fixed by its shape, and the processor is busy all the same:

* Where the elements of a line are neighbours, element j goes on lane j mod n of n
  accumulators (:mod:`.lines`), which a tree combines: halves are added, and halves
  of that. Several lines run side by side and share the instructions of their trees.
* Where the lines themselves are neighbours, a vector holds an element of each, and each
  lane goes through its own line from the first to the last.
* Other lines, and very short ones, go one element after the other, some side by side.

A long sum of floats is one of sums (:func:`.lines.cascade`): one after the other, a
million terms of one sign would lose four of float32's seven digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from chainrule.engines.native.loops.kernels import (
    Kernels,
    advance,
    combine,
    for_loop,
)
from chainrule.engines.native.loops.lines import (
    CHAIN,
    FEW,
    FEW_FROM,
    LANES,
    LANES_FROM,
    Lines,
    cascade,
    is_rounded,
    lanes_for,
    unit_of,
)
from chainrule.engines.native.loops.nests import Loops, collapsed
from chainrule.engines.native.math.scalar import I32, I64, memory_type, store
from chainrule.graph.types import Dim, DType


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

    @property
    def long(self) -> list[bool]:
        """Flags: each loop within a line may have more than ``CHAIN`` rounds."""
        return [not isinstance(n, int) or n > CHAIN for n, _ in self.reduced[0]]

    def kernel(self, kernels: Kernels) -> ir.Function:
        """Return the LLVM kernel of a reduction.

        Its arguments: the pointers of the result and of each operand, the numbers,
        begin and end of the outermost loop.
        """
        kept = len(self.kept[0])
        size, beside = self.kept[0][-1]
        inner = [mine[-1][1] for mine in self.reduced]
        across = [mine[-1][1] for mine in self.kept[1:]]
        if size != 1 and beside == 1 and across == [1] and inner != [1]:
            return columns_kernel(kernels, self.op, self.dtype, kept, self.long)
        return _lines_kernel(
            kernels,
            self.op,
            self.dtype,
            kept,
            self.long,
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
    long: Sequence[bool],
    inner: Sequence[int | None],
    length: Dim,
    beside: bool,
    still: Sequence[bool],
) -> ir.Function:
    """Return the LLVM kernel of a reduction line by line.

    Args:
        kernels: where it goes.
        op, dtype: see :class:`Reduction`.
        kept: the number of loops over results.
        long: see :attr:`Reduction.long`.
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
        long = [*long[:-1], length > CHAIN * lanes]
    cascaded = tuple([lasts and is_rounded(op, dtype) for lasts in long])

    def emit(b: ir.IRBuilder, pointers: list[Any], numbers: list[Any]) -> None:
        how = (op, dtype, kept, cascaded, inner, beside, still)
        lines = Lines(b, *how, pointers, numbers)
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

    key = ("reduce", op, dtype, kept, cascaded, tuple(inner), lanes, rest, beside)
    key += tuple(still)
    rank = kept + len(long)
    count = rank * (1 + len(inner)) + kept + 2
    return kernels.once(key, f"reduce_{op}", 1 + len(inner), count, emit, passes=False)


def columns_kernel(
    kernels: Kernels, op: str, dtype: DType, kept: int, long: Sequence[bool]
) -> ir.Function:
    """Return the LLVM kernel that reduces lines which are neighbours of each other.

    Arguments after (out, x): sizes of the kept and of the reduced loops, the strides
    of x for both, the strides of out, begin and end of the outermost loop. Along the
    last of the kept loops elements of x and of out are neighbours.

    ``long``: whether each of the reduced loops may have more than ``CHAIN`` rounds.
    """
    rank, kind = kept + len(long), memory_type(dtype)
    cascaded = [lasts and is_rounded(op, dtype) for lasts in long]
    line = 64 // dtype.itemsize
    widths = [(count, line) for count in (8, 4, 2, 1)]
    widths += [(1, lanes) for lanes in (line // 2, line // 4, 1) if lanes]
    unit = unit_of(op, dtype)

    def emit(b: ir.IRBuilder, pointers: list[Any], numbers: list[Any]) -> None:
        sizes, x_steps = numbers[:rank], numbers[rank : 2 * rank]
        out_steps, (begin, end) = numbers[2 * rank : -2], numbers[-2:]

        def block(px: Any, po: Any, vectors: int, lanes: int) -> None:
            """Emit code that reduces some columns of a matrix in vector registers."""
            across = ir.VectorType(kind, lanes) if lanes > 1 else kind
            offsets = [I64(i * lanes) for i in range(vectors)]

            def inside(level: int, px: Any) -> list[Any]:
                def values(i: Any) -> list[Any]:
                    there = advance(b, px, dtype, b.mul(i, x_steps[level]))
                    if level < rank - 1:
                        return inside(level + 1, there)
                    return list(map(read, places(there)))

                def added(i: Any, totals: list[Any]) -> list[Any]:
                    return both(totals, values(i))

                units, many = [begun] * vectors, cascaded[level - kept]
                return cascade(b, sizes[level], f"r{level}", units, added, both, many)

            def both(totals: list[Any], others: list[Any]) -> list[Any]:
                return [combine(b, op, dtype, *pair) for pair in zip(totals, others)]

            def places(pointer: Any) -> list[Any]:
                return [advance(b, pointer, dtype, offset) for offset in offsets]

            def read(at: Any) -> Any:
                return b.load(at, typ=across, align=dtype.itemsize)

            begun = ir.Constant(across, [unit] * lanes) if lanes > 1 else unit
            totals = inside(kept, px)
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
                    at, to = (advance(b, p, dtype, column) for p in (px, po))
                    block(at, to, vectors, lanes)
                first = b.add(first, b.mul(count, I64(width)))

        nest(0, pointers[1], pointers[0])

    key = ("columns", op, dtype, kept, tuple(cascaded))
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
