"""Elementwise loops on the NumPy engine, in pieces that fit the processor's cache.

A loop of the schedule is a graph of elementwise nodes over one domain. Over a whole
weight, each of its ufuncs would stream the operands through the memory. So the domain
is cut into pieces that stay in the cache, and all ufuncs run over one before the next:

    for x, t, y in pieces:       # views, made when the program is written
        multiply(x, x, out=t)
        add(t, y, out=y)

Temporaries are scratch buffers as large as a piece, used again as soon as they are
dead. A sum over everything adds up each piece while it is in the cache.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.engines.numpy.lower import LOWERINGS, UFUNCS, Writer, reference
from chainrule.engines.schedule.maps import scalar_broadcast
from chainrule.graph.graph import Graph
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import REFERENCES
from chainrule.primitives.creation import constant

#: Bytes of a core's cache that a piece may take, with all that is read and made of it.
CACHE = 1 << 20
#: Loops over fewer elements gain by company: a call costs as much as some thousand.
SMALL = 32768

Shape = tuple[int, ...]
Part = tuple[slice, ...]
#: What is computed, where it goes, and whether it is added up.
Result = tuple[Value, Array, int]


def pieces(shape: Shape, limit: int) -> list[Part]:
    """Return slices that cut an array into pieces of at most ``limit`` elements."""
    if math.prod(shape) <= limit:
        return [()]
    rows, row = shape[0], math.prod(shape[1:])
    if row > limit:
        inner = pieces(shape[1:], limit)
        return [(slice(i, i + 1), *part) for i in range(rows) for part in inner]
    many = -(-rows // (limit // row))
    each = -(-rows // many)
    return [(slice(i, min(i + each, rows)),) for i in range(0, rows, each)]


def _limit(body: Graph) -> int:
    """Return the size of an elementwise loop's pieces, which all fit the cache."""
    sizes = [v.dtype.itemsize for v in (*body.inputs, *body.outputs) if v.shape]
    return CACHE // (sum(sizes) + 2 * max(sizes, default=8))


def emit_loop(
    w: Writer,
    body: Graph,
    shape: Shape,
    operands: Sequence[Array | str],
    targets: Sequence[Array],
    sums: Sequence[int],
) -> None:
    """Write an elementwise loop as Python statements for the NumPy engine.

    Args:
        w: what is being written.
        body: what it computes for each element.
        shape: the domain, in numbers.
        operands: what it reads: memory, or a name where its place is not known yet.
        targets: where its results go.
        sums: for each result 1, if it is the sum over the domain, else 0.
    """
    whole = [t for t, is_sum in zip(targets, sums, strict=True) if not is_sum]
    known = [a for a in operands if not isinstance(a, str) and a.shape]
    lead = next(iter([*whole, *known]), None)
    if lead is not None and lead.T.flags.c_contiguous and not lead.flags.c_contiguous:
        shape = shape[::-1]  # it lies the other way round, so its last axis is cut
        inputs = zip(body.inputs, operands)
        operands = [_turned(w, a) if v.shape else a for v, a in inputs]
        targets = [t if is_sum else t.T for t, is_sum in zip(targets, sums)]
    _Loop(w, body, shape, operands, targets, sums).emit()


def _turned(w: Writer, array: Array | str) -> Array | str:
    return w.turn(array) if isinstance(array, str) else array.T


def _homes(body: Graph, results: Sequence[Result]) -> dict[Value, Array]:
    """Return output arrays that can hold temporary values of an elementwise loop.

    These values are the results, and temporaries that only lead to one result: so
    their memory is in the cache already when the result is stored.
    """
    homes: dict[Value, Array] = {}
    for value, target, is_sum in results:
        if not is_sum:
            homes.setdefault(value, target)
    readers = Counter(v for node in body.nodes for v in set(node.inputs))
    last = {value for value, _, _ in results}
    for node in reversed(body.nodes):
        (out,) = node.outputs
        if out is not None and out in homes:
            for v in node.inputs:
                if readers[v] == 1 and v.type == out.type and v not in last:
                    homes.setdefault(v, homes[out])
    return homes


class _Loop:
    """An elementwise loop of NumPy statements under construction."""

    def __init__(
        self,
        w: Writer,
        body: Graph,
        shape: Shape,
        operands: Sequence[Array | str],
        targets: Sequence[Array],
        sums: Sequence[int],
    ) -> None:
        self.w, self.body = w, body
        self.operands = dict(zip(body.inputs, operands, strict=True))
        self.results = list(zip(body.outputs, targets, sums, strict=True))
        self.parts = pieces(shape, _limit(body))
        like = np.broadcast_to(np.empty(()), shape)
        self.shapes = [like[part].shape for part in self.parts]
        self.last = {v: i for i, node in enumerate(body.nodes) for v in node.inputs}
        self.homes = _homes(body, self.results)
        self.inside: dict[str, Value] = {}
        self.places: dict[int, str] = {}
        self.names: dict[Value, str] = {}
        self.free: list[tuple[np.dtype[Any], str]] = []
        self.owned: dict[Value, tuple[np.dtype[Any], str]] = {}
        self.slots = 0
        self.late: list[tuple[str, str]] = []
        self.sums: list[tuple[Array, Array]] = []

    def emit(self) -> None:
        """Write the NumPy statements of an elementwise loop."""
        with self.w.repeated():
            for value, operand in self.operands.items():
                self._read(value, operand)
            for i, node in enumerate(self.body.nodes):
                self._node(i, node)
            for target, source in self.late:
                self.w.line(f"copyto({target}, {source})")
        for partial, total in self.sums:
            reduce, parts = self.w.name(np.add.reduce), self.w.name(partial)
            self.w.line(f"{reduce}({parts}, None, None, {self.w.name(total)})")

    # -- memory --------------------------------------------------------------------

    def _pieces(self, array: Array) -> str:
        """Return a variable for the pieces of an array, in turn, in generated code."""
        parts = self.parts if array.shape else [()] * len(self.parts)
        return self.w.each([array[(*part, ...)] for part in parts])

    def _scratch(self, dtype: np.dtype[Any]) -> tuple[np.dtype[Any], str]:
        """Return a temporary array of an elementwise loop, at best the last used."""
        fit = [slot for slot in self.free if slot[0] == dtype]
        if fit:
            self.free.remove(fit[-1])
            return fit[-1]
        counts = [math.prod(shape) for shape in self.shapes]
        line = self.w.scratch(self.slots, max(counts), dtype)
        self.slots += 1
        views = [line[:n].reshape(s) for n, s in zip(counts, self.shapes)]
        return dtype, self.w.each(views)

    def _home(self, i: int, value: Value) -> str | None:
        """Return the name of an output where an elementwise node can compute, or None.

        No later node reads an operand or another value from that memory.
        """
        target = self.homes.get(value)
        if target is None:
            return None
        for v, operand in self.operands.items():
            late = self.last.get(v, -1) > i and not isinstance(operand, str)
            if late and np.may_share_memory(operand, target):
                return None
        place = self.places.get(id(target))
        if place is None:
            place = self.places[id(target)] = self._pieces(target)
        elif self.last[self.inside[place]] > i:
            return None
        self.inside[place] = value
        return place

    # -- values --------------------------------------------------------------------

    def _read(self, value: Value, operand: Array | str) -> None:
        """Name an operand of an elementwise loop, cut into pieces if needed."""
        if not isinstance(operand, str):
            whole = operand.shape == ()
            self.names[value] = self.w.name(operand) if whole else self._pieces(operand)
        elif value.shape and len(self.parts) > 1:
            self.names[value] = self.w.name(None)
            part = self.w.each(self.parts)
            self.w.line(f"{self.names[value]} = {operand}[{part}]")
        else:
            self.names[value] = operand
        self._preserve(value)

    def _node(self, i: int, node: Node) -> None:
        (out,) = node.outputs
        assert out is not None
        if node.primitive is constant:
            self.names[out] = self.w.name(REFERENCES[constant](**node.attrs))
            self._preserve(out)
        elif scalar_broadcast(node):
            self.names[out] = self.names[node.inputs[0]]
            self._preserve(out)
        else:
            self._compute(i, node, out)

    def _preserve(self, value: Value) -> None:
        """Copy an elementwise loop's operand that is a result too, into a temporary."""
        if any(v is value for v, _, _ in self.results):
            slot = self._scratch(value.dtype.numpy)
            self.w.line(f"copyto({slot[1]}, {self.names[value]})")
            self.names[value] = slot[1]
            self._store(value, None)

    def _compute(self, i: int, node: Node, out: Value) -> None:
        for v in dict.fromkeys(node.inputs):  # every lowering may write over them
            if self.last[v] == i and v in self.owned:
                self.free.append(self.owned.pop(v))
        results = [t for v, t, is_sum in self.results if v is out and not is_sum]
        place = self._home(i, out)
        if place is not None:
            self.names[out] = place
        elif out.shape == () and self.shapes[0]:
            self.names[out] = self.w.name(np.empty((), out.dtype.numpy))
        else:
            self.owned[out] = slot = self._scratch(out.dtype.numpy)
            self.names[out] = slot[1]
            if results:
                self.last[out] = len(self.body.nodes)
        operands = [self.names[v] for v in node.inputs]
        if node.primitive in UFUNCS:
            ufunc = self.w.name(UFUNCS[node.primitive])
            self.w.line(f"{ufunc}({', '.join(operands)}, out={self.names[out]})")
        else:
            lower = LOWERINGS.get(node.primitive, reference)
            lower(self.w, node, operands, self.names[out])
        self._store(out, results[0] if results and place is not None else None)
        if out in self.owned and self.last.get(out, i) <= i:  # only added up
            self.free.append(self.owned.pop(out))

    def _store(self, value: Value, stored: Array | None) -> None:
        """Write the store of an elementwise loop's result, or its addition to a sum."""
        for v, target, is_sum in self.results:
            if v is not value or target is stored:
                continue
            if not is_sum:
                self.late.append((self._pieces(target), self.names[value]))
                continue
            partial = target
            if len(self.parts) > 1:
                partial = np.empty(len(self.parts), target.dtype)
                self.sums.append((partial, target[0, ...]))
            slots = self.w.each([partial[k, ...] for k in range(len(partial))])
            reduce = self.w.name(np.add.reduce)
            self.w.line(f"{reduce}({self.names[value]}, None, None, {slots})")
