"""LLVM kernels of reductions: sums, products and maxima along axes.

The order of summation is fixed, and the processor is busy all the same: elements of
one accumulator are added in order, and many accumulators run side by side.
"""

from __future__ import annotations

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
from chainrule.engines.native.math.scalar import (
    I32,
    I64,
    POINTER,
    load,
    memory_type,
    number,
    store,
)
from chainrule.graph.types import DType

#: Elements that a sum adds up side by side before it combines them.
LANES = 64
#: Inner sums shorter than this run one after the other.
LANES_FROM = 256
#: Sums that run side by side.
ROWS = 8
#: What a sum and a product of nothing are.
_UNIT = {"sum": 0, "prod": 1}


def reduce_kernel(
    kernels: Kernels, op: str, dtype: DType, outer: int, reduced: int, inner: int | None
) -> ir.Function:
    """Return the LLVM kernel of a reduction: sum, product or max over axes.

    A long inner sum runs on LANES accumulators, element j on lane j mod LANES,
    which a fixed tree combines. Of others ROWS run side by side, since one alone
    would wait for each of its additions. Arguments after (out, x): sizes of
    the kept and the reduced loops, strides of x for both, strides of out, begin,
    end.
    """
    rank = outer + reduced

    def emit(b: ir.IRBuilder, pointers: list[Any], numbers: list[Any]) -> None:
        out, x = pointers
        sizes = numbers[:rank]
        x_steps = numbers[rank : 2 * rank]
        if inner is not None:
            x_steps = [*x_steps[:-1], I64(inner)]
        out_steps = numbers[2 * rank : 2 * rank + outer]
        begin, end = numbers[-2:]
        in_lanes = op == "sum" and dtype.is_float

        def reduced_lines(xs: list[Any], level: int, sums: list[Any]) -> list[Any]:
            """Emit a reduction's loops from a nesting level on; return the results."""
            if level == rank:
                return [
                    combine(b, op, dtype, known, load(b, at, dtype))
                    for known, at in zip(sums, xs)
                ]

            def step(i: Any, sums: list[Any]) -> list[Any]:
                move = times(b, i, x_steps[level])
                further = [advance(b, at, dtype, move) for at in xs]
                return reduced_lines(further, level + 1, sums)

            size = sizes[level]
            if in_lanes and level == rank - 1 and len(xs) == 1:
                done, sums = _lanes(b, dtype, xs[0], size, x_steps[level], sums[0])
                size = b.sub(size, done)
                xs = [advance(b, xs[0], dtype, times(b, done, x_steps[level]))]
            return running(b, size, f"r{level}", sums, step)

        def reduce_lines(lines: list[tuple[Any, Any]]) -> None:
            """Emit code that reduces several lines of an array side by side."""
            xs = [at for at, _ in lines]
            begun = [
                load(b, at, dtype) if op == "max" else number(dtype, _UNIT[op])
                for at in xs
            ]
            for value, (_, at) in zip(reduced_lines(xs, outer, begun), lines):
                store(b, value, at, dtype)

        def nest(axis: int, px: Any, po: Any) -> None:
            start = begin if axis == 0 else I64(0)
            stop = end if axis == 0 else sizes[axis]

            def line(i: Any) -> tuple[Any, Any]:
                return (
                    advance(b, px, dtype, times(b, i, x_steps[axis])),
                    advance(b, po, dtype, times(b, i, out_steps[axis])),
                )

            if axis < outer - 1:
                with for_loop(b, start, stop, f"i{axis}") as i:
                    nest(axis + 1, *line(i))
                return
            groups = b.sdiv(b.sub(stop, start), I64(ROWS))
            if in_lanes:
                long = b.icmp_signed(">=", sizes[-1], I64(LANES_FROM))
                groups = b.select(long, I64(0), groups)
            with for_loop(b, I64(0), groups, "rows") as group:
                first = b.add(start, b.mul(group, I64(ROWS)))
                reduce_lines([line(b.add(first, I64(i))) for i in range(ROWS)])
            first = b.add(start, b.mul(groups, I64(ROWS)))
            with for_loop(b, first, stop, f"i{axis}") as i:
                reduce_lines([line(i)])

        nest(0, x, out)

    key = ("reduce", op, dtype, outer, reduced, inner)
    count = 2 * rank + outer + 2
    return kernels.once(key, f"reduce_{op}", 2, count, emit, passes=False)


def _lanes(
    b: ir.IRBuilder, dtype: DType, x: Any, size: Any, step: Any, total: Any
) -> tuple[Any, list[Any]]:
    """Emit code that sums a long line in vector lanes; return length and sum."""
    kind = ir.VectorType(memory_type(dtype), LANES)
    long = b.icmp_signed(">=", size, I64(LANES_FROM))
    groups = b.select(long, b.sdiv(size, I64(LANES)), I64(0))
    none: Any = ir.Constant(kind, None)

    def start_of(group: Any) -> Any:
        return advance(b, x, dtype, times(b, b.mul(group, I64(LANES)), step))

    if isinstance(step, ir.Constant) and step.constant == 1:

        def add(group: Any, sums: list[Any]) -> list[Any]:
            more = b.load(start_of(group), typ=kind, align=dtype.itemsize)
            return [b.fadd(sums[0], more)]

        (sums,) = running(b, groups, "group", [none], add)
    else:
        with b.goto_entry_block():
            view = b.alloca(kind)
            view.type = POINTER  # addressed by lane and as a whole
        b.store(none, view)
        with (
            for_loop(b, I64(0), groups, "group") as group,
            for_loop(b, I64(0), I64(LANES), "lane") as lane,
        ):
            at = advance(b, start_of(group), dtype, times(b, lane, step))
            mine = advance(b, view, dtype, lane)
            store(b, b.fadd(load(b, mine, dtype), load(b, at, dtype)), mine, dtype)
        sums = b.load(view, typ=kind)
    before = b.block
    with b.if_then(long):
        more = b.fadd(total, tree(b, sums))
        within = b.block
    phi = b.phi(total.type)
    phi.add_incoming(total, before)
    phi.add_incoming(more, within)
    return b.mul(groups, I64(LANES)), [phi]


def column_sums(kernels: Kernels, op: str, dtype: DType) -> ir.Function:
    """Return the LLVM kernel that reduces each column of a matrix over its rows.

    Arguments after (out, x): rows, the stride of rows.
    """

    kind = memory_type(dtype)
    line = 64 // dtype.itemsize
    widths = [(count, line) for count in (8, 4, 2, 1)]
    widths += [(1, lanes) for lanes in (line // 2, line // 4, 1) if lanes]
    if dtype is DType.bool:  # a bit in registers, a byte in memory
        widths = widths[-1:]

    def emit(b: ir.IRBuilder, pointers: list[Any], numbers: list[Any]) -> None:
        out, x = pointers
        rows, step, first, end = numbers

        def block(column: Any, vectors: int, lanes: int) -> None:
            """Emit code that reduces some columns of a matrix in vector registers."""
            across = ir.VectorType(kind, lanes) if lanes > 1 else kind

            def places(line: Any) -> list[Any]:
                offsets = [I64(i * lanes) for i in range(vectors)]
                return [
                    advance(b, line, dtype, b.add(column, more)) for more in offsets
                ]

            def read(line: Any) -> list[Any]:
                if lanes == 1:
                    return [load(b, at, dtype) for at in places(line)]
                align = dtype.itemsize
                return [b.load(at, typ=across, align=align) for at in places(line)]

            def add(r: Any, sums: list[Any]) -> list[Any]:
                more = read(advance(b, x, dtype, b.mul(r, step)))
                pairs = zip(sums, more)
                return [combine(b, op, dtype, known, one) for known, one in pairs]

            unit = [number(dtype, _UNIT.get(op, 0))] * lanes
            none = ir.Constant(across, unit) if lanes > 1 else unit[0]
            begun = read(x) if op == "max" else [none] * vectors
            for value, at in zip(running(b, rows, "r", begun, add), places(out)):
                store(b, value, at, dtype)

        for vectors, lanes in widths:
            width = vectors * lanes
            count = b.sdiv(b.sub(end, first), I64(width))
            with for_loop(b, I64(0), count, f"c{width}") as c:
                block(b.add(first, b.mul(c, I64(width))), vectors, lanes)
            first = b.add(first, b.mul(count, I64(width)))

    key = ("columns", op, dtype)
    return kernels.once(key, f"columns_{op}", 2, 4, emit, passes=False)


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
