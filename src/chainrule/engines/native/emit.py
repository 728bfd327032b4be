"""Emit one entry point: a function that every thread runs.

    entry(context, tid, threads):
        for i in range(steps):
            kernel(…my part…)
            barrier                 ← only where a thread reads what another wrote
            kernel(…my part…)
            …

The emitter knows for every kernel which memory it reads and writes and how threads
share that, and puts a barrier exactly where two accesses since the last one conflict.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from llvmlite import ir

from chainrule.engines.memory_plan import MemoryPlan, make_plan
from chainrule.engines.native.kernels import (
    Body,
    Kernels,
    Operand,
    advance,
    for_loop,
    times,
)
from chainrule.engines.native.scalar import I8, I32, I64, POINTER
from chainrule.engines.native.thread_pool import emit_barrier, emit_ticks
from chainrule.engines.schedule.alignment import aligned
from chainrule.engines.schedule.assign_layouts import Layouts
from chainrule.engines.schedule.layout import StridedView
from chainrule.engines.schedule.maps import folds_of, is_elementwise
from chainrule.engines.schedule.sharing import (
    ONE,
    Access,
    Key,
    Pending,
    Share,
    key_of,
    share_of,
)
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.program import Entry
from chainrule.graph.types import Dim, Sizes, SymbolicDim, resolve, size_of
from chainrule.primitives.checks import require

#: Bytes of an array that is copied by one thread.
COPIED_ALONE = 16 * 1024

#: Nodes of one function.
SEGMENT = 64
#: The type of entries and segments: context, counters, thread, threads.
ENTRY = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, I32, I32])

#: Memory of fewer bytes is not used twice within a step.
REUSE_FROM = 32 * 1024


@dataclass(frozen=True)
class Part:
    """How the outermost loop of a kernel is shared.

    Attributes:
        units: how many units there are.
        scale: iterations in a unit.
        single: whether one thread does them all.
    """

    units: Dim
    scale: Dim = 1
    single: bool = False


class _Head:
    """What the first kernels of a loop's body access, before the first barrier."""

    def __init__(self) -> None:
        self.accesses: list[Access] = []
        self.open = True


def as_written(function: ir.Function) -> None:
    """Have a list of calls translated as it stands: there is nothing to gain in it."""
    for attribute in ("noinline", "nounwind", "optnone"):
        function.attributes.add(attribute)


class FunctionBuilder:
    """What belongs to one entry point: functions, threads, sizes, pending accesses.

    Long lists of nodes are cut into segments, functions that the entry calls, since the
    compiler's time for one function grows faster than its length. All of them have the
    same four arguments: the context (words that the caller has filled), the counters of
    the loops around, the thread's number and the number of threads. A value that is
    used in several of them is made anew in each, from these.

    Attributes:
        words: where in the context the words stand, by name.
        largest: the sizes that memory is planned for.
        lower, scratch: emit a node, and tell the memory that it needs for itself.
        clock: for each node the place of its ticks; None where nobody counts them.
    """

    def __init__(
        self,
        module: ir.Module,
        kernels: Kernels,
        words: Mapping[str, int],
        largest: Sizes,
        lower: Callable[[BodyBuilder, Node], None],
        scratch: Callable[[Node, Sizes], int],
        clock: dict[Node, int] | None = None,
    ) -> None:
        self.clock = clock
        self.module, self.kernels, self.words = module, kernels, words
        self.largest, self.lower, self.scratch = largest, lower, scratch
        self.conditions: list[Mapping[str, str]] = []
        self.pending = Pending()
        self.constants = 0
        self.private_bytes = 0
        self.loops = 0
        self._functions = 0
        self._heads: list[_Head] = []

    # -- functions and what they know -------------------------------------------------

    def begin(self, b: ir.IRBuilder, arguments: Sequence[Any], counters: Any) -> None:
        """From here on code goes where ``b`` stands, in a function of its own."""
        self.b, self.counters = b, counters
        self._known: dict[str, Any] = {}  # computed where the function begins
        self.context: Any = arguments[0]
        self.tid: Any = arguments[1]
        self.threads: Any = arguments[2]

    @contextmanager
    def segment(self) -> Generator[None]:
        """Within the block code goes into a function of its own, which is called."""
        name = f"segment.{self._functions}"
        self._functions += 1
        function = ir.Function(self.module, ENTRY, name)
        function.linkage = "internal"
        as_written(function)
        arguments = [self.context, self.counters, self.tid, self.threads]
        self.b.call(function, arguments)
        b, known, (context, counters, tid, threads) = self.b, self._known, arguments
        inside: list[Any] = list(function.args)
        start = ir.IRBuilder(function.append_basic_block("start"))
        self.begin(start, (inside[0], *inside[2:]), inside[1])
        yield
        self.b.ret_void()
        self.begin(b, (context, tid, threads), counters)
        self._known = known

    def word(self, name: str) -> Any:
        """A word of the context, read where the function begins."""
        return self._read(name, name, I64)

    def address(self, name: str) -> Any:
        """A word of the context that is an address."""
        return self._read(f"*{name}", name, POINTER)

    def _read(self, key: str, name: str, kind: ir.Type) -> Any:
        if key not in self._known:
            with self.b.goto_entry_block():
                at = self.b.gep(self.context, [I64(self.words[name])], source_etype=I64)
                self._known[key] = self.b.load(at, typ=kind)
        return self._known[key]

    def in_arena(self, offset: int) -> Any:
        """An address in the arena, known where a function begins."""
        key = f"arena {offset}"
        if key not in self._known:
            arena = self.address("arena")
            with self.b.goto_entry_block():
                at = self.b.gep(arena, [I64(offset)], source_etype=I8)
                self._known[key] = at
        return self._known[key]

    def private(self, length: int) -> Any:
        """The address of memory that each thread has for itself, for one kernel."""
        self.private_bytes = max(self.private_bytes, -(-length // 64) * 64)
        if "private" not in self._known:
            base, each = self.address("private"), self.word("private bytes")
            tid, _, _ = self.thread_numbers()
            with self.b.goto_entry_block():
                mine = self.b.mul(tid, each)
                self._known["private"] = self.b.gep(base, [mine], source_etype=I8)
        return self._known["private"]

    @property
    def status(self) -> Any:
        """Where conditions that do not hold are reported."""
        return self.address("status")

    def new_counter(self) -> int:
        """The place of one more loop's counter."""
        self.loops += 1
        return self.loops - 1

    def _counter_at(self, loop: int) -> Any:
        return self.b.gep(self.counters, [I64(loop)], source_etype=I64)

    def count(self, loop: int, value: Any) -> None:
        """Write down where a loop stands."""
        self.b.store(value, self._counter_at(loop), align=8)

    def counter(self, loop: int) -> Any:
        """Where a loop around stands."""
        return self.b.load(self._counter_at(loop), typ=I64, align=8)

    def dim(self, dim: Dim) -> Any:
        """A size or stride as an i64."""
        if not isinstance(dim, SymbolicDim):
            return I64(dim)
        key = f"size {dim!r}"
        if key not in self._known:
            made, *others = [self.word(name) for name in dim.names]
            if dim.factor != 1:
                others.append(I64(dim.factor))
            with self.b.goto_entry_block():
                for other in others:
                    made = self.b.mul(made, other)
            self._known[key] = made
        return self._known[key]

    def constant(self, array: Array) -> Any:
        """The address of numbers in the module's read-only memory."""
        kind = ir.ArrayType(I8, array.nbytes)
        data = ir.GlobalVariable(self.module, kind, f"constant.{self.constants}")
        self.constants += 1
        data.global_constant = True
        data.linkage = "internal"
        data.align = 64
        data.initializer = ir.Constant(kind, bytearray(array.tobytes()))
        return data.bitcast(POINTER)

    @contextmanager
    def clocked(self, node: Node) -> Generator[None]:
        """Add up the ticks that thread 0 spends in the block, where that is asked for.

        What stands in a loop's body counts for the loop's node too.
        """
        if self.clock is None:
            yield
            return
        place = self.clock.setdefault(node, len(self.clock))
        before = emit_ticks(self.b)
        yield
        after = emit_ticks(self.b)
        with self.one_thread():
            at = self.b.gep(self.address("clock"), [I64(place)], source_etype=I64)
            more = self.b.sub(after, before)
            total = self.b.add(self.b.load(at, typ=I64, align=8), more)
            self.b.store(total, at, align=8)

    def barrier(self) -> None:
        """Have all threads meet."""
        b = self.b
        b.call(emit_barrier(self.module), [self.address("barrier"), self.threads])
        self.pending.clear()
        for head in self._heads:
            head.open = False

    @contextmanager
    def repeated(self) -> Generator[None]:
        """Within the block stands the body of a loop.

        The threads meet at its end only where its last accesses and its first ones,
        which follow in the next round, would conflict.
        """
        head = _Head()
        self._heads.append(head)
        yield
        self._heads.remove(head)
        if any(map(self.pending.conflict, head.accesses)):
            self.barrier()

    def touch(self, accesses: Sequence[Access]) -> None:
        """Announce what the next kernel reads and writes."""
        if any(map(self.pending.conflict, accesses)):
            self.barrier()
        for access in accesses:
            self.pending.add(access)
        for head in self._heads:
            if head.open:
                head.accesses += accesses

    def share(self, part: Part) -> tuple[Any, Any]:
        """(begin, end) of this thread's iterations, known where a function begins."""
        key = f"share {part.units!r} {part.scale!r}"
        if key not in self._known:
            units, scale, b = self.dim(part.units), self.dim(part.scale), self.b
            tid, following, threads = self.thread_numbers()
            with b.goto_entry_block():
                ends = [b.sdiv(b.mul(units, t), threads) for t in (tid, following)]
                if part.scale != 1:
                    ends = [b.mul(end, scale) for end in ends]
            self._known[key] = tuple(ends)
        return self._known[key]

    def thread_numbers(self) -> tuple[Any, Any, Any]:
        """The thread's number, the next one's, and the number of threads, as i64."""
        if "threads" not in self._known:
            b = self.b
            with b.goto_entry_block():
                tid, threads = b.sext(self.tid, I64), b.sext(self.threads, I64)
                self._known["threads"] = tid, b.add(tid, I64(1)), threads
        return self._known["threads"]

    def call(self, function: ir.Function, arguments: Sequence[Any], part: Part) -> None:
        """Call a kernel for this thread's part; begin and end are appended."""
        b = self.b
        if part.single:
            with self.one_thread():
                total = times(b, self.dim(part.units), self.dim(part.scale))
                b.call(function, [*arguments, I64(0), total])
        else:
            b.call(function, [*arguments, *self.share(part)])

    @contextmanager
    def one_thread(self) -> Generator[None]:
        """Emit a block that thread 0 alone runs."""
        with self.b.if_then(self.b.icmp_signed("==", self.tid, I32(0))):
            yield


class BodyBuilder:
    """One entry point (or loop body) being emitted."""

    def __init__(
        self,
        code: FunctionBuilder,
        plan: MemoryPlan,
        layouts: Layouts,
        shares: Mapping[Node, Share | None],
        arena_space: Any,
    ) -> None:
        self.code, self.plan, self.layouts = code, plan, layouts
        self.shares, self.arena_space = shares, arena_space
        self.share: Share | None = None
        self._owners: dict[Any, Key] = {}
        self.pointers: dict[Value, Callable[[], Any]] = {}
        self.resources: dict[Value, tuple[Any, int, int]] = {}

    @property
    def b(self) -> ir.IRBuilder:
        """The builder."""
        return self.code.b

    # -- memory --------------------------------------------------------------------

    def view(self, value: Value) -> StridedView:
        """Where a value lies."""
        return self.layouts.known[value]

    def bind(
        self, root: Value, pointer: Callable[[], Any], resource: tuple[Any, int, int]
    ) -> None:
        """Give a root its memory; ``pointer`` emits its address wherever it is used."""
        self.pointers[root] = pointer
        self.resources[root] = resource

    def memory(self, offset: int) -> Any:
        """An address in the arena."""
        _, low, _ = self.arena_space
        return self.code.in_arena(low + offset)

    def bytes_of(self, value: Value) -> int:
        """The bytes of a value at the largest sizes."""
        count = size_of(resolve(value.shape, self.code.largest))
        assert isinstance(count, int)
        return count * value.dtype.itemsize

    def bind_outputs(self, node: Node) -> None:
        """Memory for what a node computes, as planned."""
        base, low, _ = self.arena_space
        for value in node.outputs:
            assert value is not None
            view = self.view(value)
            if view.root in self.pointers or view.root is not value:
                continue
            offset = self.plan.offsets[value]
            size = self.plan.sizes[value]
            self.bind(
                value,
                functools.partial(self.memory, offset),
                (base, low + offset, low + offset + size),
            )

    def pointer(self, value: Value) -> Any:
        """The address of a value's first element."""
        view = self.view(value)
        base = self.pointers[view.root]()
        for term in view.offset:
            base = advance(self.b, base, value.dtype, self.code.dim(term))
        return base

    # -- how threads divide values -------------------------------------------------

    def share_for(self, value: Value) -> Share | None:
        """How threads divide a value that the node at hand makes."""
        share, shape = self.share, value.shape
        if share is None or not shape:
            return None
        axis = share.axis
        if axis < len(shape) and shape[axis] == share.granule * share.units:
            return share
        return self._by_rows(value)

    def _by_rows(self, value: Value) -> Share:
        width, rows = self.view(value).blocking, value.shape[0]
        if not width:
            return Share(0, 1, rows)
        assert isinstance(rows, int)
        return Share(0, width, rows // width)

    def share_like(self, value: Value) -> Share | None:
        """How threads divide a copy of a value: as it was made, or by its size."""
        view = self.view(value)
        owner = self._owners.get(self.resources[view.root])
        share = share_of(view, owner, value.dtype.itemsize)
        alone = owner == ONE or self.bytes_of(value) <= COPIED_ALONE
        return share or (None if alone or not value.shape else self._by_rows(value))

    def part(self, value: Value, each: Dim = 1) -> Part:
        """How threads share a loop over the first axis of a value.

        Args:
            value: what the node makes.
            each: iterations for an index of that axis.
        """
        share = self.share_for(value)
        if share is None:
            return Part(value.shape[0] if value.shape else 1, each, single=True)
        return Part(share.units, each * share.granule)

    def access(self, value: Value, key: Key, *, write: bool = False) -> Access:
        """An access to the memory of a value."""
        resource = self.resources[self.view(value).root]
        if write:
            self._owners[resource] = key
        return Access(*resource, write, key)

    def divided(
        self, value: Value, share: Share | None, *, write: bool = False
    ) -> Access:
        """An access in which each thread touches its share; None: thread 0 alone."""
        space, low, _ = self.resources[self.view(value).root]
        key = key_of(self.view(value), share, value.dtype.itemsize, space, low)
        return self.access(value, key, write=write)

    def accesses(self, node: Node) -> list[Access]:
        """What a node that is divided as scheduled reads and writes."""
        found: list[Access] = []
        for value in node.outputs:
            assert value is not None
            found.append(self.divided(value, self.share_for(value), write=True))
        for i, value in enumerate(node.inputs):
            share = self.share
            if share is None:
                found.append(self.access(value, ONE))
                continue
            axes = aligned(node, i)
            if share.axis not in axes:
                found.append(self.access(value, None))
                continue
            mine = replace(share, axis=axes.index(share.axis))
            found.append(self.divided(value, mine))
        return found

    # -- loops over elements ---------------------------------------------------------

    def map(
        self,
        key: Any,
        label: str,
        outs: Sequence[tuple[Value, StridedView]],
        ins: Sequence[tuple[Value, StridedView]],
        body: Body,
    ) -> None:
        """Emit a loop over the elements of the outputs; see ``Kernels.map``."""
        operands = [*outs, *ins]
        blocked_views = [p for _, p in operands if p.blocking]
        order = blocked_views[0] if blocked_views else outs[0][1]
        share = self.share_for(outs[0][0])
        loops = [view.loops(order) for _, view in operands]
        if any(size == 0 for size, _ in loops[0]):
            return
        place = 0
        if share is not None and not order.blocking:
            place = order.axes.index(share.axis)
        part, loops = divided_loops(loops, share, place)
        loops, cut = in_tiles(collapsed(loops), fixed=0 if part.single else 1)
        sizes = [size for size, _ in loops[0]]
        if part.single:
            part = Part(sizes[0], single=True)
        elif sizes[0] != part.units:
            part = replace(part, scale=_quotient(sizes[0], part.units))
        described: list[Operand] = []
        strides: list[Any] = []
        accesses: list[Access] = []
        for i, ((value, view), mine) in enumerate(zip(operands, loops)):
            steps = [step for _, step in mine]
            described.append(_operand(value, steps, fixed=i >= len(outs)))
            if not described[-1].fixed:
                strides += [self.code.dim(s) for s in steps]
            write = i < len(outs)
            if share is not None and not view.shape:
                accesses.append(self.access(value, None, write=write))
            else:
                accesses.append(self.divided(value, share, write=write))
        function = self.code.kernels.map(
            key,
            label,
            len(sizes),
            described[: len(outs)],
            described[len(outs) :],
            body,
        )
        self.code.touch(accesses)
        pointers = [self.pointer(v) for v, _ in operands]
        numbers = [*(self.code.dim(s) for s in sizes), *strides]
        if not cut:
            self.code.call(function, [*pointers, *numbers], part)
            return
        tiles, steps = cut
        with for_loop(self.b, I64(0), I64(tiles), "tile") as tile:
            moved = [
                advance(self.b, p, v.dtype, times(self.b, tile, self.code.dim(step)))
                for p, (v, _), step in zip(pointers, operands, steps)
            ]
            self.code.call(function, [*moved, *numbers], part)

    def fold(
        self,
        key: Any,
        label: str,
        outs: Sequence[tuple[Value, StridedView]],
        sums: Sequence[tuple[Value, StridedView]],
        ins: Sequence[tuple[Value, StridedView]],
        body: Body,
    ) -> None:
        """Emit a loop that adds up some of its results; see ``Kernels.fold``."""
        operands = [*outs, *ins]
        views = [view for _, view in operands if view.shape]
        order = next((view for view in views if view.blocking), views[0])
        (units,) = sums[0][0].shape
        rows = order.shape[0]
        assert isinstance(units, int)
        assert isinstance(rows, int)
        share = self.share and Share(0, rows // units, units)
        across: list[Dim] = []
        inner: Loops = []
        for _, view in operands:
            (blocks, step), *rest = view.loops(order)
            many = _quotient(blocks, units)
            across.append(step * many)
            inner.append(((many, step), *rest))
        inner = collapsed(inner)
        described: list[Operand] = []
        strides: list[Any] = []
        accesses: list[Access] = []
        for i, ((value, view), mine) in enumerate(zip(operands, inner)):
            steps = [across[i], *(step for _, step in mine)]
            described.append(_operand(value, steps, fixed=i >= len(outs)))
            if not described[-1].fixed:
                strides += [self.code.dim(s) for s in steps]
            write, whole = i < len(outs), share is not None and not view.shape
            accesses.append(
                self.access(value, None)
                if whole
                else self.divided(value, share, write=write)
            )
        made = share and Share(0, 1, units)
        accesses += [self.divided(value, made, write=True) for value, _ in sums]
        function = self.code.kernels.fold(
            key,
            label,
            len(inner[0]),
            described[: len(outs)],
            [value.dtype for value, _ in sums],
            described[len(outs) :],
            body,
        )
        self.code.touch(accesses)
        pointers = [self.pointer(v) for v, _ in (*outs, *sums, *ins)]
        numbers = [self.code.dim(size) for size, _ in inner[0]]
        part = Part(units, single=share is None)
        self.code.call(function, [*pointers, *numbers, *strides], part)

    def copy(self, source: Value, target: Value) -> None:
        """Copy the elements of one value into the memory of another."""
        self.map(
            ("copy",),
            "copy",
            [(target, self.view(target))],
            [(source, self.view(source))],
            lambda b, values, indices: values,
        )

    # -- nodes ---------------------------------------------------------------------

    def run(self, nodes: Sequence[Node]) -> None:
        """Emit nodes in order."""
        for start in range(0, len(nodes), SEGMENT):
            part = nodes[start : start + SEGMENT]
            if len(nodes) <= SEGMENT:
                self._run(part)
            else:
                with self.code.segment():
                    self._run(part)

    def _run(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            self.bind_outputs(node)
            self.share = self.shares.get(node)
            if not node.primitive.view or node.primitive is require:
                with self.code.clocked(node):
                    self.code.lower(self, node)


def plan_memory(
    entry: Entry, layouts: Layouts, largest: Sizes, scratch: Callable[[Node], int]
) -> MemoryPlan:
    """Plan an arranged entry point."""

    def is_view(node: Node, root: dict[Value, Value]) -> bool:
        del root
        return node.primitive.view

    def in_place(node: Node, old: Value, new: Value) -> bool:
        return (
            old.type == new.type
            and is_elementwise(node)
            and not folds_of(node)[node.outputs.index(new)]
            and layouts.known[old].root is old
            and layouts.known[old].blocking == layouts.known[new].blocking
            and layouts.known[old].strides == layouts.known[new].strides
        )

    def size(value: Value) -> int:
        count = size_of(resolve(value.shape, largest))
        assert isinstance(count, int)
        return count * value.dtype.itemsize

    return make_plan(
        entry,
        is_view=is_view,
        in_place=in_place,
        size=size,
        scratch=scratch,
        reuse_from=REUSE_FROM,
    )


Loops = list[tuple[tuple[Dim, Dim], ...]]


def _operand(value: Value, steps: Sequence[Dim], *, fixed: bool) -> Operand:
    """An operand with these strides; ``fixed``: it may be a single element."""
    inner = steps[-1] if steps[-1] in (0, 1) else None
    assert inner is None or isinstance(inner, int)
    return Operand(value.dtype, inner, fixed and all(s == 0 for s in steps))


def divided_loops(loops: Loops, share: Share | None, place: int) -> tuple[Part, Loops]:
    """Nested loops with the one that threads share, number ``place``, outermost."""
    if share is None or not loops[0]:
        return Part(1, single=True), [mine or ((1, 0),) for mine in loops]
    part = Part(share.units)
    if all(size == 1 for size, _ in loops[0][:place]):
        return part, [mine[place:] for mine in loops]
    turned: Loops = []
    for mine in loops:
        step = mine[place][1]
        across = (share.units, step * share.granule)
        within = (share.granule, step)
        turned.append((across, *mine[:place], within, *mine[place + 1 :]))
    return part, turned


def collapsed(loops: Loops) -> Loops:
    """Merge neighbouring loops that every operand walks through without a gap."""
    axes = list(range(len(loops[0])))
    kept = [a for a in axes if loops[0][a][0] != 1] or axes[-1:]
    rows = [[mine[a] for a in kept] for mine in loops]
    i = 0
    while i + 1 < len(rows[0]):
        if all(r[i + 1][1] * r[i + 1][0] == r[i][1] for r in rows):
            for r in rows:
                size = r[i][0] * r[i + 1][0]
                r[i : i + 2] = [(size, r[i + 1][1])]
        else:
            i += 1
    return [tuple(r) for r in rows]


#: Elements along which a tile of a map is cut: a cache line of most.
LINE = 16


def in_tiles(loops: Loops, *, fixed: int) -> tuple[Loops, tuple[int, list[Dim]] | None]:
    """Loops over a tile of operands that lie across each other, and over the tiles.

    Where one operand lies in lines along the innermost loop and another along a loop
    outside of it, each line of the second would be fetched once for each of its
    elements. Within tiles of LINE elements it stays in the cache.

    Args:
        loops: those of each operand, the results first.
        fixed: how many of the outer loops have to stay.

    Returns:
        the loops within a tile; how many tiles there are, with the step of each operand
        from one to the next, or None where there is only one.
    """
    sizes = [size for size, _ in loops[0]]
    last = len(sizes) - 1
    for mine in loops:
        across = [a for a in range(last) if mine[a][1] == 1 and _wide(mine[last][1])]
        if not across or (not _cuts(sizes[last]) and mine is not loops[0]):
            continue
        axis = across[0] if mine is loops[0] else last
        if axis < fixed or not _cuts(sizes[axis]):
            continue
        size = sizes[axis]
        assert isinstance(size, int)
        steps = [other[axis][1] * LINE for other in loops]
        within = [
            (*other[:axis], *other[axis + 1 :], (LINE, other[axis][1]))
            for other in loops
        ]
        return within, (size // LINE, steps)
    return loops, None


def _wide(step: Dim) -> bool:
    return not isinstance(step, int) or step >= LINE


def _cuts(size: Dim) -> bool:
    return isinstance(size, int) and size % LINE == 0 and size > LINE


def _quotient(a: Dim, b: Dim) -> Dim:
    """a / b for a b that divides a."""
    if isinstance(a, SymbolicDim):
        return a // b
    assert isinstance(b, int)
    return a // b
