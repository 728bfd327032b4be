"""Vectors of a pooling's results: which elements their windows take, and what is made.

A group of results whose windows lie within the array, and that fills a vector, is
computed without masks; any other one with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from llvmlite import ir

from chainrule.engines.native.loops import vectors
from chainrule.engines.native.loops.kernels import advance, for_loop, running, times
from chainrule.engines.native.loops.lines import unit_of
from chainrule.engines.native.math.scalar import (
    I1,
    I8,
    I32,
    I64,
    combined,
    memory_type,
)
from chainrule.engines.native.math.scalar import number as constant
from chainrule.graph.types import DType

#: How many numbers come in at run time for an axis over which the window slides.
PER_AXIS = 5
#: Of more taps than these the outer ones are visited in a loop.
UNROLLED = 16


@dataclass(frozen=True)
class Geometry:
    """The settings that the code of a pooling depends on, sizes of arrays apart.

    Attributes:
        what: "sum", "max", "argmax", "best" (both), or "pullback" (of the maximum).
        dtype: of the elements.
        axes: over which the window slides.
        order: the axes of the results' loops but that of the lanes, outermost first.
        lane: the axis along which vectors lie; None where there is none.
        steps: for each operand the distance of its lanes, if that is 1, else None.
        window, strides, dilation, gaps: for each sliding axis.
        far: whether numbers of elements within a window need 64 bits.
        lanes: the number of results in a vector.
    """

    what: str
    dtype: DType
    axes: tuple[int, ...]
    order: tuple[int, ...]
    lane: int | None
    steps: tuple[int | None, ...]
    window: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    gaps: tuple[int, ...]
    far: bool
    lanes: int

    @property
    def slides(self) -> int | None:
        """The place of the vectors' axis among those over which the window slides."""
        return self.axes.index(self.lane) if self.lane in self.axes else None

    @property
    def apart(self) -> bool:
        """A flag that is true if no element lies in two windows."""
        reach = [(w - 1) * r + 1 for w, r in zip(self.window, self.dilation)]
        return all(s >= n for s, n in zip(self.strides, reach))


@dataclass
class Groups:
    """The generator of the code for a line of results, a vector at a time.

    Args:
        b: where the code goes.
        geometry: what it depends on.
        at: the addresses of the operands, and of the status.
        rest: the numbers that come in at run time.
        p: the indices of the results' loops.

    Attributes:
        masked: whether lanes of the group are masked.
        odd: 1 under a tap at an odd distance from its window's first, along the lanes.
        held: what goes there, until that goes with it which lies before each.
    """

    b: ir.IRBuilder
    geometry: Geometry
    at: list[Any]
    rest: list[Any]
    p: list[Any]
    masked: bool = field(init=False)
    odd: int = field(init=False, default=0)
    held: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        s = self.geometry
        count = len(s.steps)
        self.width, *rest = self.rest
        self.steps = [
            I64(1) if step == 1 else number
            for step, number in zip(s.steps, rest[:count])
        ]
        rest = rest[count:]
        self.numbers = [
            rest[i * PER_AXIS : (i + 1) * PER_AXIS] for i in range(len(s.axes))
        ]
        self.ends = self.at[: count - self._elements]
        self.within = self.at[count - self._elements : count]
        self.kind = ir.VectorType(memory_type(s.dtype), s.lanes)
        self.order = I64 if s.far or s.dtype.itemsize == 8 else I32

    @property
    def _elements(self) -> int:
        return 2 if self.geometry.what == "pullback" else 1

    def emit(self) -> None:
        """Emit the loop over groups, each with masks or without."""
        b, s = self.b, self.geometry
        lanes = I64(s.lanes)
        starts: list[Any] = []
        fits: Any = I1(1)
        for i, axis in enumerate(s.axes):
            length, low, *_ = self.numbers[i]
            if i == s.slides:
                starts.append(b.neg(low))
                continue
            place = self.p[s.order.index(axis)]
            starts.append(b.sub(times(b, place, I64(s.strides[i])), low))
            last = b.add(starts[i], I64((s.window[i] - 1) * s.dilation[i]))
            fits = b.and_(fits, b.icmp_signed(">=", starts[i], I64(0)))
            fits = b.and_(fits, b.icmp_signed("<", last, length))
        groups = b.sdiv(b.add(self.width, I64(s.lanes - 1)), lanes)
        with for_loop(b, I64(0), groups, "group") as group:
            c = b.mul(group, lanes)
            self.c, self.starts = c, list(starts)
            full = b.and_(fits, b.icmp_signed("<=", b.add(c, lanes), self.width))
            if (j := s.slides) is not None:
                step = s.strides[j]
                begin = b.add(starts[j], times(b, c, I64(step)))
                reach = (s.window[j] - 1) * s.dilation[j] + step * s.lanes
                end = b.add(begin, I64(reach))
                full = b.and_(full, b.icmp_signed(">=", begin, I64(0)))
                full = b.and_(full, b.icmp_signed("<=", end, self.numbers[j][0]))
                self.starts[j] = begin
            if any(gap != 1 for gap in s.gaps):
                self._group(masked=True)
                return
            with b.if_else(full) as (plain, partly):
                with plain:
                    self._group(masked=False)
                with partly:
                    self._group(masked=True)

    def _group(self, *, masked: bool) -> None:
        """Emit the code of one vector of results."""
        b, s = self.b, self.geometry
        self.masked = masked
        self.active = vectors.every(s.lanes)
        if masked:
            self.active = vectors.between(b, I64(0), b.sub(self.width, self.c), s.lanes)
        if s.what == "sum":
            # −0 + x is x, for any x.
            unit = constant(s.dtype, -0.0) if s.dtype.is_float else self.kind.element(0)
            (total,) = self._taps([vectors.in_all(unit, s.lanes)], self._added)
            self._store(0, total)
            return
        unit = unit_of("max", s.dtype)
        none = self.order(-1 if masked else 0)
        known = [vectors.in_all(unit, s.lanes), vectors.in_all(none, s.lanes)]
        if s.what == "max":
            (best,) = self._taps(known[:1], self._larger)
            self._store(0, best)
            return
        best, where = self._taps(known, self._larger)
        if s.what == "pullback":
            zero = vectors.in_all(self.kind.element(0), s.lanes)
            g = self._end(0, zero)
            self._back(where, g, zero)
            return
        if s.what == "best":
            self._store(0, best)
        self._store(-1, self._place(where), DType.int64)

    # -- taps ------------------------------------------------------------------------

    def _taps(
        self, values: list[Any], visit: Callable[..., list[Any]], *, back: bool = False
    ) -> list[Any]:
        """Emit the loops over a window's elements; return what they have made.

        Args:
            values: before the first.
            visit: (the spots along the axes, the number of the element, whether it
                exists, values) gives the following values.
            back: from the last element to the first.
        """
        b, s = self.b, self.geometry

        def level(
            i: int, spots: list[Any], number: Any, there: Any, values: list[Any]
        ) -> list[Any]:
            if i == len(s.axes):
                return visit(spots, number, there, values)
            length, _, after, *_ = self.numbers[i]
            window, gap = s.window[i], s.gaps[i]

            def tap(k: Any, values: list[Any]) -> list[Any]:
                if back:
                    last = I64(window - 1)
                    known = isinstance(k, ir.Constant)
                    k = I64(window - 1 - k.constant) if known else b.sub(last, k)
                ahead = times(b, k, I64(s.dilation[i]))
                if i == s.slides and isinstance(ahead, ir.Constant):
                    self.odd = ahead.constant % 2
                spot, exists = b.add(self.starts[i], ahead), there
                if self.masked and i != s.slides:
                    exists = b.and_(exists, b.icmp_signed(">=", spot, I64(0)))
                    if gap != 1:
                        whole = b.icmp_signed("==", b.srem(spot, I64(gap)), I64(0))
                        exists, spot = b.and_(exists, whole), b.sdiv(spot, I64(gap))
                    exists = b.and_(exists, b.icmp_signed("<", spot, length))
                further = b.add(number, times(b, ahead, after))
                return level(i + 1, [*spots, spot], further, exists, values)

            if math.prod(s.window[i:]) > UNROLLED:
                return running(b, I64(window), f"k{i}", values, tap)
            for k in range(window):
                values = tap(I64(k), values)
            return values

        return level(0, [], I64(0), I1(1), values)

    def _added(
        self, spots: list[Any], _: Any, there: Any, values: list[Any]
    ) -> list[Any]:
        zero = vectors.in_all(self.kind.element(0), self.geometry.lanes)
        value, _ = self._read(spots, there, zero)
        return [combined(self.b, "sum", self.geometry.dtype, values[0], value)]

    def _larger(
        self, spots: list[Any], number: Any, there: Any, values: list[Any]
    ) -> list[Any]:
        """Emit the choice between what is known and an element, with its number.

        Of equals the first one stays, and so does the first NaN.
        """
        b, s = self.b, self.geometry
        known, *where = values
        least = vectors.in_all(unit_of("max", s.dtype), s.lanes)
        value, mask = self._read(spots, there, least)
        if s.dtype.is_float:
            take = b.and_(
                b.fcmp_unordered(">", value, known), b.fcmp_ordered("ord", known, known)
            )
        elif s.dtype.kind == "int":
            take = b.icmp_signed(">", value, known)
        else:
            take = b.icmp_unsigned(">", value, known)
        if where and self.masked:
            none = vectors.in_all(self.order(0), s.lanes)
            take = b.or_(take, b.icmp_signed("<", where[0], none))
            take = b.and_(take, mask)
        made = [b.select(take, value, known)]
        if where:
            made.append(b.select(take, self._number(number), where[0]))
        return made

    def _number(self, number: Any) -> Any:
        short = number if self.order is I64 else self.b.trunc(number, I32)
        return vectors.spread(self.b, short, self.geometry.lanes)

    def _place(self, where: Any) -> Any:
        """Emit the positions of elements from their distances from a window's first."""
        b, s = self.b, self.geometry
        if self.order is not I64:
            where = b.sext(where, ir.VectorType(I64, s.lanes))
        first: Any = I64(0)
        for start, (_, _, after, *_) in zip(self.starts, self.numbers):
            first = b.add(first, b.mul(start, after))
        place = b.add(where, vectors.spread(b, first, s.lanes))
        if s.slides is not None:
            step = b.mul(I64(s.strides[s.slides]), self.numbers[s.slides][2])
            ahead = b.mul(vectors.iota(s.lanes), vectors.spread(b, step, s.lanes))
            place = b.add(place, ahead)
        return place

    def _back(self, where: Any, g: Any, zero: Any) -> None:
        """Emit the addition of g to the element that was the largest of each window.

        From the last tap to the first, so that an element gets what comes from its
        windows in their order.
        """
        b = self.b

        def visit(
            spots: list[Any], number: Any, there: Any, values: list[Any]
        ) -> list[Any]:
            hit = b.icmp_unsigned("==", where, self._number(number))
            self._add(spots, there, b.select(hit, g, zero))
            return values

        self._taps([], visit, back=True)

    # -- memory ----------------------------------------------------------------------

    def _spot(self, i: int, spots: list[Any]) -> Any:
        """Emit the address of the elements under a tap, in an operand of the windows.

        Along a sliding axis of the lanes it is that of the line.
        """
        b, s = self.b, self.geometry
        place = self.within[i]
        for k, spot in enumerate(spots):
            if k != s.slides:
                move = b.mul(spot, self.numbers[k][3 + i])
                place = advance(b, place, s.dtype, move)
        return place

    def _mask(self, first: Any, there: Any, length: Any) -> Any:
        """Emit which of neighbours from an index on exist on a line."""
        b, lanes = self.b, self.geometry.lanes
        some = vectors.between(b, b.neg(first), b.sub(length, first), lanes)
        return b.and_(some, vectors.spread(b, there, lanes))

    def _apart(self, spot: Any, there: Any) -> tuple[Any, Any]:
        """Emit the indices on a line of elements that lie apart, and which exist."""
        b, s = self.b, self.geometry
        j = s.slides
        assert j is not None
        step = vectors.in_all(I64(s.strides[j]), s.lanes)
        places = b.add(
            vectors.spread(b, spot, s.lanes), b.mul(vectors.iota(s.lanes), step)
        )
        zero = vectors.in_all(I64(0), s.lanes)
        exists = b.and_(
            vectors.spread(b, there, s.lanes), b.icmp_signed(">=", places, zero)
        )
        if s.gaps[j] != 1:
            gap = vectors.in_all(I64(s.gaps[j]), s.lanes)
            exists = b.and_(exists, b.icmp_signed("==", b.srem(places, gap), zero))
            places = b.sdiv(places, gap)
        length = vectors.spread(b, self.numbers[j][0], s.lanes)
        return places, b.and_(exists, b.icmp_signed("<", places, length))

    def _read(self, spots: list[Any], there: Any, other: Any) -> tuple[Any, Any]:
        """Emit the load of the elements under a tap, and the mask of those that exist.

        The others have a number.
        """
        b, s = self.b, self.geometry
        value, mask = self._elements_of(0, spots, there, other)
        if s.dtype is DType.bool:
            zero = vectors.in_all(I8(0), s.lanes)
            value = b.zext(b.icmp_unsigned("!=", value, zero), self.kind)
        return value, mask

    def _elements_of(
        self, i: int, spots: list[Any], there: Any, other: Any
    ) -> tuple[Any, Any]:
        b, s, dtype = self.b, self.geometry, self.geometry.dtype
        place, j = self._spot(i, spots), s.slides
        if j is None:
            step = self.steps[len(self.ends) + i]
            place = advance(b, place, dtype, times(b, self.c, step))
            mask = b.and_(self.active, vectors.spread(b, there, s.lanes))
            return self._load(place, dtype, step, mask, other), mask
        if self._by_index(self.steps[len(self.ends) + i]):
            places, mask = self._apart(spots[j], there)
            places = b.mul(places, vectors.spread(b, self.numbers[j][3 + i], s.lanes))
            return vectors.some(b, place, dtype, mask, other, places), mask
        pieces: list[Any] = []
        masks: list[Any] = []
        odd = self.odd if s.strides[j] == 2 else 0
        for at, mask in self._line(place, b.sub(spots[j], I64(odd)), there):
            pieces.append(self._load(at, dtype, I64(1), mask, other))
            masks.append(mask)
        if s.strides[j] == 1:
            return pieces[0], masks[0]
        second = range(odd, 2 * s.lanes, 2)
        return vectors.chosen(b, pieces, second), vectors.chosen(b, masks, second)

    def _by_index(self, step: Any) -> bool:
        """Return whether elements along a sliding axis are reached one by one."""
        s, j = self.geometry, self.geometry.slides
        return j is not None and (s.strides[j] > 2 or s.gaps[j] != 1 or step != I64(1))

    def _line(self, place: Any, spot: Any, there: Any) -> Iterator[tuple[Any, Any]]:
        """Yield the addresses and masks of the vectors on a line under some lanes."""
        b, s, j = self.b, self.geometry, self.geometry.slides
        assert j is not None
        place = advance(b, place, s.dtype, spot)
        for k in range(s.strides[j]):
            ahead, mask = I64(k * s.lanes), vectors.every(s.lanes)
            if self.masked:
                mask = self._mask(b.add(spot, ahead), there, self.numbers[j][0])
            yield advance(b, place, s.dtype, ahead), mask

    def _add(self, spots: list[Any], there: Any, value: Any) -> None:
        """Emit the addition of a vector to the elements under a tap.

        Where windows lie apart, an element is written once, by its only window.
        """
        b, s, dtype = self.b, self.geometry, self.geometry.dtype
        place, j = self._spot(1, spots), s.slides
        zero = vectors.in_all(self.kind.element(0), s.lanes)
        step: Any = self.steps[-1]
        if j is None:
            place = advance(b, place, dtype, times(b, self.c, step))
            mask = b.and_(self.active, vectors.spread(b, there, s.lanes))
            if not s.apart:
                known = self._load(place, dtype, step, mask, zero)
                value = combined(b, "sum", dtype, known, value)
            self._put(value, place, dtype, step, mask)
        elif self._by_index(step):
            places, mask = self._apart(spots[j], there)
            mask = b.and_(mask, self.active)
            places = b.mul(places, vectors.spread(b, self.numbers[j][4], s.lanes))
            if not s.apart:
                known = vectors.some(b, place, dtype, mask, zero, places)
                value = combined(b, "sum", dtype, known, value)
            vectors.put(b, value, place, dtype, mask, places)
        else:
            beside = [value, zero][: s.strides[j]]
            if s.apart and s.strides[j] == 2:
                if self.odd:  # its neighbours come next
                    self.held = value
                    return
                beside = [value, zero if self.held is None else self.held]
                self.held = None
            pieces = beside
            if s.strides[j] == 2:
                order = [i // 2 + s.lanes * (i % 2) for i in range(2 * s.lanes)]
                halves = order[: s.lanes], order[s.lanes :]
                pieces = [vectors.chosen(b, beside, half) for half in halves]
            line = self._line(place, spots[j], there)
            for piece, (at, mask) in zip(pieces, line, strict=True):
                if not s.apart:
                    known = self._load(at, dtype, I64(1), mask, zero)
                    piece = combined(b, "sum", dtype, known, piece)
                self._put(piece, at, dtype, I64(1), mask)

    def _end(self, i: int, other: Any) -> Any:
        """Emit the load of what is there once a window."""
        step, dtype = self.steps[i], self.geometry.dtype
        place = advance(self.b, self.ends[i], dtype, times(self.b, self.c, step))
        return self._load(place, dtype, step, self.active, other)

    def _store(self, i: int, value: Any, dtype: DType | None = None) -> None:
        """Emit the store of what is there once a window."""
        dtype = dtype or self.geometry.dtype
        count = len(self.ends)
        step = self.steps[i % count]
        place = advance(self.b, self.ends[i], dtype, times(self.b, self.c, step))
        self._put(value, place, dtype, step, self.active)

    def _load(self, at: Any, dtype: DType, step: Any, mask: Any, other: Any) -> Any:
        """Emit the load of lanes at a distance from each other."""
        b, lanes = self.b, self.geometry.lanes
        if step == I64(1):
            if not self.masked:
                return vectors.whole(b, at, dtype, lanes)
            return vectors.some(b, at, dtype, mask, other)
        places = b.mul(vectors.iota(lanes), vectors.spread(b, step, lanes))
        return vectors.some(b, at, dtype, mask, other, places)

    def _put(self, value: Any, at: Any, dtype: DType, step: Any, mask: Any) -> None:
        """Emit the store of lanes at a distance from each other."""
        b, lanes = self.b, self.geometry.lanes
        if step == I64(1) and not self.masked:
            b.store(value, at, align=dtype.itemsize)
        elif step == I64(1):
            vectors.put(b, value, at, dtype, mask)
        else:
            places = b.mul(vectors.iota(lanes), vectors.spread(b, step, lanes))
            vectors.put(b, value, at, dtype, mask, places)
