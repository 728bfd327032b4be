"""The kernels of reductions: sums, products and maxima along axes.

How their order stays what it is while they keep the processor busy: elements that go on
one accumulator follow each other, and many accumulators run side by side.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from chainrule.engines.native.kernels import (
    Kernels,
    advance,
    combine,
    for_loop,
    running,
    times,
)
from chainrule.engines.native.scalar import (
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
    kernels: Kernels, op: str, dtype: DType, kept: int, reduced: int, inner: int | None
) -> ir.Function:
    """out[i…] = Σ, Π or max over r… of x[i…, r…], in the order of r….

    A long inner sum runs on LANES accumulators, element j on lane j mod LANES,
    which a fixed tree combines. Of others ROWS run side by side, since one alone
    would wait for each of its additions. Arguments after (out, x): sizes of
    the kept and the reduced loops, strides of x for both, strides of out, begin,
    end.
    """
    rank = kept + reduced

    def emit(b: ir.IRBuilder, pointers: list[Any], numbers: list[Any]) -> None:
        out, x = pointers
        sizes = numbers[:rank]
        x_steps = numbers[rank : 2 * rank]
        if inner is not None:
            x_steps = [*x_steps[:-1], I64(inner)]
        out_steps = numbers[2 * rank : 2 * rank + kept]
        begin, end = numbers[-2:]
        total = b.alloca(memory_type(dtype))

        def sum_up(px: Any, po: Any) -> None:
            initial = load(b, px, dtype) if op == "max" else number(dtype, _UNIT[op])
            store(b, initial, total, dtype)
            _accumulate(b, op, dtype, px, sizes[kept:], x_steps[kept:], total)
            store(b, load(b, total, dtype), po, dtype)

        def side_by_side(xs: list[Any], level: int, sums: list[Any]) -> list[Any]:
            """The sums of several lines after the loops from this one on."""
            if level == rank:
                return [
                    combine(b, op, dtype, known, load(b, at, dtype))
                    for known, at in zip(sums, xs)
                ]

            def step(i: Any, sums: list[Any]) -> list[Any]:
                move = times(b, i, x_steps[level])
                further = [advance(b, at, dtype, move) for at in xs]
                return side_by_side(further, level + 1, sums)

            return running(b, sizes[level], f"r{level}", sums, step)

        def nest(axis: int, px: Any, po: Any) -> None:
            start = begin if axis == 0 else I64(0)
            stop = end if axis == 0 else sizes[axis]

            def line(i: Any) -> tuple[Any, Any]:
                return (
                    advance(b, px, dtype, times(b, i, x_steps[axis])),
                    advance(b, po, dtype, times(b, i, out_steps[axis])),
                )

            if axis < kept - 1:
                with for_loop(b, start, stop, f"i{axis}") as i:
                    nest(axis + 1, *line(i))
                return
            groups = b.sdiv(b.sub(stop, start), I64(ROWS))
            if op == "sum" and dtype.is_float:
                long = b.icmp_signed(">=", sizes[-1], I64(LANES_FROM))
                groups = b.select(long, I64(0), groups)
            with for_loop(b, I64(0), groups, "rows") as group:
                first = b.add(start, b.mul(group, I64(ROWS)))
                lines = [line(b.add(first, I64(i))) for i in range(ROWS)]
                xs = [at for at, _ in lines]
                begun = [
                    load(b, at, dtype) if op == "max" else number(dtype, _UNIT[op])
                    for at in xs
                ]
                made = side_by_side(xs, kept, begun)
                for value, (_, at) in zip(made, lines):
                    store(b, value, at, dtype)
            first = b.add(start, b.mul(groups, I64(ROWS)))
            with for_loop(b, first, stop, f"i{axis}") as i:
                sum_up(*line(i))

        nest(0, x, out)

    key = ("reduce", op, dtype, kept, reduced, inner)
    return kernels.once(key, f"reduce_{op}", 2, 2 * rank + kept + 2, emit)


def _accumulate(
    b: ir.IRBuilder,
    op: str,
    dtype: DType,
    x: Any,
    sizes: list[Any],
    steps: list[Any],
    total: Any,
) -> None:
    """Add (or compare) the elements of some nested loops into ``total``."""
    *outer, last = range(len(sizes))

    def nest(axis: int, px: Any) -> None:
        if axis in outer:
            with for_loop(b, I64(0), sizes[axis], f"r{axis}") as i:
                nest(axis + 1, advance(b, px, dtype, times(b, i, steps[axis])))
            return
        first = I64(0)
        if op == "sum" and dtype.is_float:
            first = _lanes(b, dtype, px, sizes[last], steps[last], total)
        with for_loop(b, first, sizes[last], "r") as i:
            value = load(b, advance(b, px, dtype, times(b, i, steps[last])), dtype)
            known = load(b, total, dtype)
            store(b, combine(b, op, dtype, known, value), total, dtype)

    nest(0, x)


def _lanes(
    b: ir.IRBuilder, dtype: DType, x: Any, size: Any, step: Any, total: Any
) -> Any:
    """Add whole groups of LANES elements; the index after them."""
    kind = ir.VectorType(memory_type(dtype), LANES)
    with b.goto_entry_block():
        view = b.alloca(kind)
        view.type = POINTER  # addressed by lane and as a whole
    long = b.icmp_signed(">=", size, I64(LANES_FROM))
    groups = b.select(long, b.sdiv(size, I64(LANES)), I64(0))
    b.store(ir.Constant(kind, None), view)
    with for_loop(b, I64(0), groups, "group") as i:
        at = advance(b, x, dtype, times(b, b.mul(i, I64(LANES)), step))
        if isinstance(step, ir.Constant) and step.constant == 1:
            more = b.load(at, typ=kind, align=dtype.itemsize)
            b.store(b.fadd(b.load(view, typ=kind), more), view)
        else:
            with for_loop(b, I64(0), I64(LANES), "lane") as lane:
                value = load(b, advance(b, at, dtype, times(b, lane, step)), dtype)
                mine = advance(b, view, dtype, lane)
                store(b, b.fadd(load(b, mine, dtype), value), mine, dtype)
    with b.if_then(long):
        lane = tree(b, b.load(view, typ=kind))
        store(b, b.fadd(load(b, total, dtype), lane), total, dtype)
    return b.mul(groups, I64(LANES))


def column_sums(kernels: Kernels, op: str, dtype: DType) -> ir.Function:
    """out[c] = Σ, Π or max over r of x[r, c], r after r, for columns begin … end.

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
            """Some columns, whose sums stay in registers."""
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

    return kernels.once(("columns", op, dtype), f"columns_{op}", 2, 4, emit)


def accumulators(blocking: int) -> int:
    """On how many accumulators a fold over an array in such blocks adds up.

    The columns of narrow blocks have one each.
    """
    return blocking if blocking in (LANES // 4, LANES // 2) else LANES


def tree(b: ir.IRBuilder, vector: Any) -> Any:
    """The sum of a vector's elements, a power of two: halves onto each other."""
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
    """out = the sum of as many accumulators at x, by the tree. Arguments: (out, x)."""

    def emit(b: ir.IRBuilder, pointers: list[Any], _: list[Any]) -> None:
        out, x = pointers
        kind = ir.VectorType(memory_type(dtype), width)
        total = tree(b, b.load(x, typ=kind, align=dtype.itemsize))
        store(b, total, out, dtype)

    return kernels.once(("lanes", dtype, width), "lanes", 2, 0, emit)
