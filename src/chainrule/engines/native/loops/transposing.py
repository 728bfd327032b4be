"""LLVM kernels of arrays that lie across each other: transposed in tiles of vectors.

Where the elements of one operand are neighbours along r and those of the other along c,
a loop over elements moves them one by one. Here ``lanes`` vectors of x are turned into
as many of out while they are in registers, in log₂ lanes rounds: round h swaps the
blocks of h × h that lie off the diagonal of each block of 2h × 2h.
"""

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
    in_pieces,
    times,
)
from chainrule.engines.native.loops.nests import STEPS, Loops
from chainrule.engines.native.math.scalar import (
    I32,
    I64,
    POINTER,
    load,
    memory_type,
    store,
)
from chainrule.engines.native.target import host_target
from chainrule.graph.types import Dim, DType


def lanes_of(dtype: DType) -> int:
    """Return the number of elements of a dtype in a vector register."""
    return host_target().vector_bytes // dtype.itemsize


def crossing(loops: Loops, dtype: DType, fixed: int) -> Loops | None:
    """Return a copy's loops in the order for a transposing kernel, or None.

    The first operand's elements are neighbours along the last loop, those of the second
    along the last but one.

    Args:
        loops: of the two operands, see :data:`Loops`.
        dtype: of their elements.
        fixed: how many of the outer loops have to stay.
    """
    if dtype.itemsize not in (4, 8):
        return None

    def along(mine: Sequence[tuple[Dim, Dim]]) -> int | None:
        """Return the long loop along which a copy's operand is contiguous, or None."""
        unit_steps = [
            i for i, (size, step) in enumerate(mine) if step == 1 and size != 1
        ]
        if not unit_steps or unit_steps[0] < fixed:
            return None
        size = mine[unit_steps[0]][0]
        return (
            unit_steps[0] if isinstance(size, int) and size >= lanes_of(dtype) else None
        )

    r, c = map(along, loops)
    if r is None or c is None or r == c:
        return None
    others = [i for i in range(len(loops[0])) if i not in (r, c)]
    return [tuple(mine[i] for i in (*others, c, r)) for mine in loops]


def transposing_kernel(kernels: Kernels, dtype: DType, outer: int) -> ir.Function:
    """Return the LLVM kernel of a transposing copy: out[…, c, r] = x[…, c, r].

    Arguments after (out, x): the sizes of ``outer`` loops, their strides for out and
    for x, the sizes of c and r, the stride of out along c and of x along r, begin and
    end of the outermost loop.
    """
    lanes = lanes_of(dtype)

    def emit(b: ir.IRBuilder, pointers: list[Any], numbers: list[Any]) -> None:
        sizes, steps = numbers[:outer], (numbers[outer : 2 * outer],)
        steps += (numbers[2 * outer : 3 * outer],)
        columns, rows, out_step, x_step, begin, end = numbers[3 * outer :]

        def nest(level: int, at: list[Any]) -> None:
            if level == outer:
                _plane(b, dtype, lanes, at, (columns, rows), (out_step, x_step))
                return
            start, stop = (I64(0), sizes[level]) if level else (begin, end)
            with for_loop(b, start, stop, f"i{level}") as i:
                moves = [times(b, i, step[level]) for step in steps]
                nest(level + 1, [advance(b, p, dtype, m) for p, m in zip(at, moves)])

        nest(0, pointers)

    key = ("transposing", dtype, outer)
    return kernels.once(key, "transposing", 2, 3 * outer + 6, emit, passes=False)


#: Rows and columns of a tile in which the operands of a map are turned, on the stack;
#: and how many operands at most.
SIDE, TURNED = 64, 4


def turned_along(loops: Loops, dtypes: Sequence[DType], fixed: int) -> int | None:
    """Return the loop along which operands of a map lie in lines, across its results.

    Args:
        loops: of the operands, the first result first.
        dtypes: of their elements.
        fixed: how many of the outer loops have to stay.
    """
    *outer, last = loops[0]
    if last[1] != 1:
        return None
    for mine, dtype in zip(loops[1:], dtypes[1:]):
        for axis in range(fixed, len(outer)):
            if _is_turned(mine, axis, dtype):
                return axis
    return None


def _is_turned(mine: Sequence[tuple[Dim, Dim]], axis: int, dtype: DType) -> bool:
    """Return whether an operand lies in lines along an axis, across the last one."""
    if dtype.itemsize not in (4, 8):
        return False
    sizes, step = (mine[axis][0], mine[-1][0]), mine[-1][1]
    wide = all(isinstance(n, int) and n >= lanes_of(dtype) for n in sizes)
    return wide and mine[axis][1] == 1 and step not in STEPS


def turned_map_kernel(
    kernels: Kernels,
    key: Any,
    label: str,
    outs: Sequence[Operand],
    ins: Sequence[Operand],
    loops: Loops,
    body: Body,
) -> ir.Function:
    """Return the kernel of an elementwise loop, some of whose operands lie across it.

    Arguments are those of a map (:meth:`Kernels.map`). Along the last but one of the
    loops lie the lines of the operands that lie across; of these a tile is turned in
    memory that stays in the cache, where the loop over elements reads it.
    """
    operands, rank = (*outs, *ins), len(loops[0])
    turned = [
        i
        for i, (o, mine) in enumerate(zip(operands, loops))
        if i >= len(outs) and not o.fixed and _is_turned(mine, rank - 2, o.dtype)
    ][:TURNED]
    loose = [i for i, o in enumerate(operands) if not o.fixed]

    def emit(b: ir.IRBuilder, pointers: list[Any], numbers: list[Any]) -> None:
        sizes, rest = numbers[:rank], numbers[rank:]
        begin, end = rest[-2:]
        steps: dict[int, list[Any]] = {}
        for k, i in enumerate(loose):
            mine = rest[k * rank : (k + 1) * rank]
            if (inner := operands[i].inner) is not None:
                mine = [*mine[:-1], I64(inner)]
            steps[i] = mine
        known = {
            i: load(b, pointers[i], o.dtype) for i, o in enumerate(operands) if o.fixed
        }
        room: dict[int, Any] = {}
        for i in turned:
            kind = ir.ArrayType(memory_type(operands[i].dtype), SIDE * SIDE)
            room[i] = b.alloca(kind)
            room[i].align, room[i].type = 64, POINTER

        def moved(starts: list[Any], axis: int, i: Any, skip: Any = ()) -> list[Any]:
            return [
                p
                if k in known or k in skip
                else advance(b, p, o.dtype, times(b, i, steps[k][axis]))
                for k, (p, o) in enumerate(zip(starts, operands))
            ]

        def nest(axis: int, starts: list[Any]) -> None:
            start = begin if axis == 0 else I64(0)
            stop = end if axis == 0 else sizes[axis]
            if axis < rank - 2:
                with for_loop(b, start, stop, f"i{axis}") as i:
                    nest(axis + 1, moved(starts, axis, i))
                return
            with (
                in_pieces(b, start, stop, SIDE, "high") as (c, columns),
                in_pieces(b, I64(0), sizes[-1], SIDE, "wide") as (r, rows),
            ):
                tile(moved(moved(starts, axis, c), axis + 1, r), columns, rows)

        def tile(starts: list[Any], columns: Any, rows: Any) -> None:
            for i in turned:
                dtype = operands[i].dtype
                way = (I64(SIDE), steps[i][-1])
                at = (room[i], starts[i])
                _plane(b, dtype, lanes_of(dtype), at, (columns, rows), way)
            starts = [room.get(i, p) for i, p in enumerate(starts)]
            with for_loop(b, I64(0), columns, "c") as c:
                lines = moved(starts, rank - 2, c, room)
                for i in turned:
                    dtype = operands[i].dtype
                    lines[i] = advance(b, room[i], dtype, b.mul(c, I64(SIDE)))
                early = dict(known)
                for i, o in enumerate(operands[len(outs) :], len(outs)):
                    if i not in known and o.inner == 0:
                        early[i] = load(b, lines[i], o.dtype)
                group, mark = kernels.marks.new()
                with for_loop(b, I64(0), rows, "r", mark=mark) as r:
                    here = moved(lines, rank - 1, r, room)
                    for i in turned:
                        here[i] = advance(b, lines[i], operands[i].dtype, r)
                    values = [
                        early[i] if i in early else grouped(b, here[i], o.dtype, group)
                        for i, o in enumerate(operands)
                        if i >= len(outs)
                    ]
                    for value, p, o in zip(body(b, values, []), here, outs):
                        instruction = store(b, value, p, o.dtype)
                        instruction.set_metadata("llvm.access.group", group)

        nest(0, pointers)

    count = rank * (1 + len(loose)) + 2
    full = ("turned", key, rank, tuple(outs), tuple(ins), tuple(turned))
    return kernels.once(full, label, len(operands), count, emit)


def _plane(
    b: ir.IRBuilder,
    dtype: DType,
    lanes: int,
    at: Sequence[Any],
    sizes: tuple[Any, Any],
    steps: tuple[Any, Any],
) -> None:
    """Emit code that copies a matrix to the transposed layout, tile by tile."""
    out, x = at
    columns, rows = sizes
    out_step, x_step = steps
    wide, high = (b.sdiv(size, I64(lanes)) for size in sizes)
    across, down = (b.mul(count, I64(lanes)) for count in (wide, high))

    def place(pointer: Any, step: Any, line: Any, element: Any) -> Any:
        return advance(b, pointer, dtype, b.add(b.mul(line, step), element))

    kind = ir.VectorType(memory_type(dtype), lanes)
    with for_loop(b, I64(0), wide, "wide") as i, for_loop(b, I64(0), high, "high") as j:
        c, r = b.mul(i, I64(lanes)), b.mul(j, I64(lanes))
        lines = [place(x, x_step, b.add(r, I64(k)), c) for k in range(lanes)]
        vectors = [b.load(line, typ=kind, align=dtype.itemsize) for line in lines]
        for k, vector in enumerate(transposed(b, vectors)):
            line = place(out, out_step, b.add(c, I64(k)), r)
            b.store(vector, line, align=dtype.itemsize)

    def elements(first: Any, last: Any, row: Any) -> None:
        """Emit code that copies some columns of a matrix one element at a time."""
        with for_loop(b, first, last, "c") as c, for_loop(b, row, rows, "r") as r:
            value = load(b, place(x, x_step, r, c), dtype)
            store(b, value, place(out, out_step, c, r), dtype)

    elements(I64(0), across, down)
    elements(across, columns, I64(0))


def transposed(b: ir.IRBuilder, vectors: Sequence[Any]) -> list[Any]:
    """Emit code that transposes a square of vectors in registers."""
    rows, lanes = list(vectors), range(len(vectors))
    kind = ir.VectorType(I32, len(rows))
    half = 1
    while half < len(rows):
        low = [v if not v & half else v - half + len(rows) for v in lanes]
        high = [v + half if not v & half else v + len(rows) for v in lanes]
        masks = [ir.Constant(kind, [I32(v) for v in mask]) for mask in (low, high)]
        for i in lanes:
            if not i & half:
                pair = rows[i], rows[i | half]
                shuffled = [b.shuffle_vector(*pair, mask) for mask in masks]
                rows[i], rows[i | half] = shuffled
        half *= 2
    return rows
