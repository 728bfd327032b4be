"""Lines of neighbours in memory, added up on the lanes of vectors, some side by side.

Element j of a line goes on lane j mod n of n accumulators (:func:`lanes_for`). At its
end a tree combines them: halves are added, and halves of that. The trees of several
lines share instructions: the halves of two vectors, a line's in each, make two vectors
that hold half of each line, and their sum holds both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from llvmlite import ir

from chainrule.engines.native.loops.kernels import (
    advance,
    combine,
    for_loop,
    running,
    times,
)
from chainrule.engines.native.loops.vectors import (
    chosen,
    every,
    in_all,
    iota,
    some,
    spread,
    whole,
)
from chainrule.engines.native.math import mathlib
from chainrule.engines.native.math.scalar import I32, I64, memory_type
from chainrule.engines.native.target import host_target
from chainrule.graph.types import DType

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


def unit_of(op: str, dtype: DType) -> Any:
    """Return what a reduction of nothing is, as a constant of the type in memory."""
    kind = memory_type(dtype)
    if op != "max":
        return ir.Constant(kind, int(op == "prod"))
    if dtype.is_float:
        return ir.Constant(kind, -math.inf)
    return ir.Constant(kind, -(2 ** (kind.width - 1)) if dtype.kind == "int" else 0)


class Lines:
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
        self.itemsize, self.unit = dtype.itemsize, unit_of(op, dtype)
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
            begun = in_all(begun, self.lanes)
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
                number = iota(self.lanes)
                mask = b.icmp_signed("<", number, spread(b, left, self.lanes))
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
        fixed = step.constant if isinstance(step, ir.Constant) else None
        if fixed == 1 and mask is None:
            return whole(b, at, self.dtype, lanes)
        mask, unit = mask or every(lanes), in_all(self.unit, lanes)
        places = None
        if fixed != 1:
            places = b.mul(iota(lanes), spread(b, step, lanes))
        return some(b, at, self.dtype, mask, unit, places)

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
            low, high = masks
            vectors = [
                combined(chosen(b, pair, low), chosen(b, pair, high)) for pair in pairs
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
        chosen = list[list[int]]()
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
