"""The LLVM kernel of an elementwise loop that also sums some of its results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from chainrule.engines.native.loops.kernels import (
    Body,
    Kernels,
    Operand,
    advance,
    for_loop,
    grouped,
    times,
)
from chainrule.engines.native.loops.reductions import tree
from chainrule.engines.native.math.scalar import I64, POINTER, load, memory_type, store
from chainrule.graph.types import DType


def partial_reduction_kernel(
    kernels: Kernels,
    key: Any,
    label: str,
    rank: int,
    outs: Sequence[Operand],
    sums: Sequence[DType],
    ins: Sequence[Operand],
    body: Body,
    width: int,
) -> ir.Function:
    """Return the LLVM kernel of an elementwise loop that also sums some results.

    Within a unit element j goes on accumulator j mod ``width``, and a fixed tree
    combines them. Arguments after the pointers (outs, sums, ins): ``rank`` sizes
    within a unit, then for each operand of outs and ins that is not fixed its
    stride from unit to unit and ``rank`` strides within, then begin and end.
    ``body`` gives the elements of outs, then those to add up.
    """
    operands = (*outs, *ins)
    loose = [i for i, o in enumerate(operands) if not o.fixed]

    def emit(b: ir.IRBuilder, pointers: list[Any], numbers: list[Any]) -> None:
        partial = pointers[len(outs) : len(outs) + len(sums)]
        pointers = [*pointers[: len(outs)], *pointers[len(outs) + len(sums) :]]
        sizes, rest = numbers[:rank], numbers[rank:]
        begin, end = rest[-2:]
        steps: dict[int, list[Any]] = {}
        for k, i in enumerate(loose):
            mine = rest[k * (rank + 1) : (k + 1) * (rank + 1)]
            if (inner := operands[i].inner) is not None:
                mine = [*mine[:-1], I64(inner)]
            steps[i] = mine
        fixed = {
            i: load(b, pointers[i], o.dtype) for i, o in enumerate(operands) if o.fixed
        }
        lanes = [b.alloca(ir.VectorType(memory_type(dtype), width)) for dtype in sums]
        for lane in lanes:
            lane.type = POINTER

        def moved(starts: list[Any], level: int, i: Any) -> list[Any]:
            return [
                p if o.fixed else advance(b, p, o.dtype, times(b, i, steps[k][level]))
                for k, (p, o) in enumerate(zip(starts, operands))
            ]

        def element(starts: list[Any], i: Any, lane: Any, group: Any) -> None:
            """Emit code for one element, with its part in the loop's sums."""
            here = moved(starts, rank, i)
            values = [
                fixed[k] if k in fixed else grouped(b, here[k], o.dtype, group)
                for k, o in enumerate(operands)
                if k >= len(outs)
            ]
            results = body(b, values, [])
            for value, p, o in zip(results, here, outs):
                instruction = store(b, value, p, o.dtype)
                instruction.set_metadata("llvm.access.group", group)
            for value, kind, room in zip(results[len(outs) :], sums, lanes):
                at = advance(b, room, kind, lane)
                total = b.fadd(grouped(b, at, kind, group), value)
                instruction = store(b, total, at, kind)
                instruction.set_metadata("llvm.access.group", group)

        def line(starts: list[Any], first: Any) -> None:
            """Emit code for the innermost loop of an elementwise kernel with sums."""
            if rank == 1:
                groups = b.sdiv(sizes[-1], I64(width))
                with for_loop(b, I64(0), groups, "group") as g:
                    base = b.mul(g, I64(width))
                    group, mark = kernels.marks.new()
                    with for_loop(b, I64(0), I64(width), "lane", mark=mark) as lane:
                        element(starts, b.add(base, lane), lane, group)
                base = b.mul(groups, I64(width))
                group, mark = kernels.marks.new()
                left = b.sub(sizes[-1], base)
                with for_loop(b, I64(0), left, "left", mark=mark) as lane:
                    element(starts, b.add(base, lane), lane, group)
                return
            group, _ = kernels.marks.new()
            with for_loop(b, I64(0), sizes[-1], "i") as i:
                lane = b.and_(b.add(first, i), I64(width - 1))
                element(starts, i, lane, group)

        def nest(level: int, starts: list[Any], count: Any) -> None:
            """Emit code for the nested loops within a unit of partial sums."""
            if level == rank - 1:
                line(starts, count)
                return
            inside: Any = I64(1)
            for size in sizes[level + 1 :]:
                inside = times(b, inside, size)
            with for_loop(b, I64(0), sizes[level], f"i{level}") as i:
                before = b.add(count, b.mul(i, inside))
                nest(level + 1, moved(starts, level + 1, i), before)

        with for_loop(b, begin, end, "unit") as u:
            for room, dtype in zip(lanes, sums):
                kind = ir.VectorType(memory_type(dtype), width)
                b.store(ir.Constant(kind, None), room)
            nest(0, moved(pointers, 0, u), I64(0))
            for room, dtype, target in zip(lanes, sums, partial):
                kind = ir.VectorType(memory_type(dtype), width)
                total = tree(b, b.load(room, typ=kind))
                store(b, total, advance(b, target, dtype, u), dtype)

    count = rank + (1 + rank) * len(loose) + 2
    full = ("partial_reduction", key, width, rank, tuple(outs), tuple(sums), tuple(ins))
    return kernels.once(full, label, len(operands) + len(sums), count, emit)
