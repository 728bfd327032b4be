"""Generation of LLVM code for the nodes of an entry point or loop body.

Lowerings get all that they need from the :class:`BodyBuilder`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from llvmlite import ir

from chainrule.engines.memory_plan import MemoryPlan, make_plan
from chainrule.engines.native.emit.entry_points import REPORT, FunctionBuilder
from chainrule.engines.native.loops.kernels import (
    Body,
    Operand,
    advance,
    for_loop,
    times,
)
from chainrule.engines.native.loops.nests import (
    Loops,
    Part,
    collapsed,
    divided_loops,
    in_tiles,
    operand,
    over,
    quotient,
)
from chainrule.engines.native.loops.partial_reductions import partial_reduction_kernel
from chainrule.engines.native.loops.reductions import accumulators
from chainrule.engines.native.loops.transposing import (
    crossing,
    transposing_kernel,
    turned_along,
    turned_map_kernel,
)
from chainrule.engines.native.math.scalar import I64, checked
from chainrule.engines.runtime_checks import Condition
from chainrule.engines.schedule.alignment import aligned
from chainrule.engines.schedule.assign_layouts import Layouts
from chainrule.engines.schedule.layout import StridedView
from chainrule.engines.schedule.maps import elementwise_inputs, partial_sums_of
from chainrule.engines.schedule.sharing import (
    ONE,
    OWN,
    Access,
    AccessPattern,
    Partition,
    partition_of,
    pattern_of,
)
from chainrule.graph.node import Node, Value
from chainrule.graph.program import Entry
from chainrule.graph.types import Dim, Sizes, resolve, size_of
from chainrule.primitives.checks import require
from chainrule.primitives.indexing import (
    dynamic_update_slice,
    put_rows,
    scatter_add,
    scatter_add_along,
)

#: Bytes of an array that is copied by one thread.
COPIED_ALONE = 16 * 1024
#: Memory of fewer bytes is not used twice within a step.
REUSE_FROM = 32 * 1024
#: Nodes of one function.
SEGMENT = 64


class BodyBuilder:
    """The builder of LLVM code for the nodes of one entry point or loop body."""

    def __init__(
        self,
        code: FunctionBuilder,
        plan: MemoryPlan,
        layouts: Layouts,
        partitions: Mapping[Node, Partition | None],
        arena_space: Any,
        own: Set[Node] = frozenset(),
    ) -> None:
        self.code, self.plan, self.layouts = code, plan, layouts
        self.partitions, self.arena_space, self.own = partitions, arena_space, own
        self.partition: Partition | None = None
        self._owners: dict[Any, AccessPattern] = {}
        self.pointers: dict[Value, Callable[[], Any]] = {}
        self.resources: dict[Value, tuple[Any, int, int]] = {}

    @property
    def b(self) -> ir.IRBuilder:
        """The LLVM instruction builder at the current position of generated code."""
        return self.code.b

    # -- memory --------------------------------------------------------------------

    def view(self, value: Value) -> StridedView:
        """Return the location (strided view) of a graph value in memory."""
        return self.layouts.known[value]

    def bind(
        self, root: Value, pointer: Callable[[], Any], resource: tuple[Any, int, int]
    ) -> None:
        """Set the memory in which generated code finds a graph value."""
        self.pointers[root] = pointer
        self.resources[root] = resource

    def memory(self, offset: int) -> Any:
        """Emit code for an address in the arena, the memory of temporary values."""
        _, low, _ = self.arena_space
        return self.code.in_arena(low + offset)

    def bytes_of(self, value: Value) -> int:
        """Return the most bytes that a graph value needs in memory."""
        count = size_of(resolve(value.shape, self.code.largest))
        assert isinstance(count, int)
        return count * value.dtype.itemsize

    def bind_outputs(self, node: Node) -> None:
        """Set the planned memory of a node's outputs in generated code."""
        base, low, _ = self.arena_space
        for value in node.outputs:
            assert value is not None
            view = self.view(value)
            if view.root in self.pointers or view.root is not value:
                continue
            if node in self.own:
                memory = self.code.own(self.bytes_of(value))
                self.bind(value, memory, ((OWN, value), 0, 1))
                continue
            offset = self.plan.offsets[value]
            size = self.plan.sizes[value]
            self.bind(
                value,
                functools.partial(self.memory, offset),
                (base, low + offset, low + offset + size),
            )

    def pointer(self, value: Value) -> Any:
        """Emit code for the address of a graph value's first element."""
        view = self.view(value)
        base = self.pointers[view.root]()
        for term in view.offset:
            base = advance(self.b, base, value.dtype, self.code.dim(term))
        return base

    # -- how threads divide values -------------------------------------------------

    def partition_for(self, value: Value) -> Partition | None:
        """Return the division of a node's value among threads in generated code."""
        partition, shape = self.partition, value.shape
        if partition is None or not shape:
            return None
        axis = partition.axis
        if axis < len(shape) and shape[axis] == partition.unit_size * partition.units:
            return partition
        return self._by_rows(value)

    def _by_rows(self, value: Value) -> Partition:
        width, rows = self.view(value).blocking, value.shape[0]
        if not width:
            return Partition(0, 1, rows)
        assert isinstance(rows, int)
        return Partition(0, width, rows // width)

    def share_like(self, value: Value) -> Partition | None:
        """Return the division of a copy among threads: like its source, or by rows."""
        view = self.view(value)
        owner = self._owners.get(self.resources[view.root])
        partition = partition_of(view, owner, value.dtype.itemsize)
        alone = owner == ONE or self.bytes_of(value) <= COPIED_ALONE
        return partition or (None if alone or not value.shape else self._by_rows(value))

    def part(self, value: Value, each: Dim = 1) -> Part:
        """Return the division among threads of a loop over a result's first axis.

        Args:
            value: what the node makes.
            each: iterations for an index of that axis.
        """
        partition = self.partition_for(value)
        if partition is None:
            return Part(value.shape[0] if value.shape else 1, each, single=True)
        return Part(partition.units, each * partition.unit_size)

    def access(
        self, value: Value, key: AccessPattern, *, write: bool = False
    ) -> Access:
        """Return a record of a kernel's access to the memory of a value."""
        resource = self.resources[self.view(value).root]
        if resource[0][0] == OWN:
            key = OWN  # never another thread's
        elif self.code.everyone and key == ONE:
            key = None
        if write:
            self._owners[resource] = key
        return Access(*resource, write, key)

    def divided(
        self, value: Value, partition: Partition | None, *, write: bool = False
    ) -> Access:
        """Return a record of a kernel's access to a value that threads divide."""
        space, low, _ = self.resources[self.view(value).root]
        key = pattern_of(self.view(value), partition, value.dtype.itemsize, space, low)
        return self.access(value, key, write=write)

    def accesses(self, node: Node) -> list[Access]:
        """Return records of a node's memory accesses, divided as scheduled."""
        accesses: list[Access] = []
        for value in node.outputs:
            assert value is not None
            accesses.append(self.divided(value, self.partition_for(value), write=True))
        for i, value in enumerate(node.inputs):
            partition = self.partition
            if partition is None:
                accesses.append(self.access(value, ONE))
                continue
            axes = aligned(node, i)
            if partition.axis not in axes:
                accesses.append(self.access(value, None))
                continue
            mine = replace(partition, axis=axes.index(partition.axis))
            accesses.append(self.divided(value, mine))
        return accesses

    # -- loops over elements ---------------------------------------------------------

    def map(
        self,
        key: Any,
        label: str,
        outs: Sequence[tuple[Value, StridedView]],
        ins: Sequence[tuple[Value, StridedView]],
        body: Body,
    ) -> None:
        """Emit an elementwise loop over a node's outputs, as a kernel call."""
        operands = [*outs, *ins]
        partition = self.partition_for(outs[0][0])
        part, loops = self._loops([view for _, view in operands], partition)
        if any(size == 0 for size, _ in loops[0]):
            return
        fixed, cut = (0 if part.single else 1), None
        axis = turned_along(loops, [value.dtype for value, _ in operands], fixed)
        if axis is None:
            loops, cut = in_tiles(loops, fixed=fixed)
        else:  # last but one
            loops = [(*m[:axis], *m[axis + 1 : -1], m[axis], m[-1]) for m in loops]
        part = over(loops, part)
        sizes = [size for size, _ in loops[0]]
        described: list[Operand] = []
        strides: list[Any] = []
        for i, ((value, _), mine) in enumerate(zip(operands, loops)):
            steps = [step for _, step in mine]
            described.append(operand(value, steps, fixed=i >= len(outs)))
            if not described[-1].fixed:
                strides += [self.code.dim(s) for s in steps]
        kernels, kinds = (
            self.code.kernels,
            (described[: len(outs)], described[len(outs) :]),
        )
        function = (
            kernels.map(key, label, len(sizes), *kinds, body)
            if axis is None
            else turned_map_kernel(kernels, key, label, *kinds, loops, body)
        )
        self._touch(operands, partition, writes=len(outs))
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

    def partial_reduction(
        self,
        key: Any,
        label: str,
        outs: Sequence[tuple[Value, StridedView]],
        sums: Sequence[tuple[Value, StridedView]],
        ins: Sequence[tuple[Value, StridedView]],
        body: Body,
    ) -> None:
        """Emit an elementwise loop that also computes partial sums of some results."""
        operands = [*outs, *ins]
        views = [view for _, view in operands if view.shape]
        order = next((view for view in views if view.blocking), views[0])
        (units,) = sums[0][0].shape
        rows = order.shape[0]
        assert isinstance(units, int)
        assert isinstance(rows, int)
        partition = self.partition and Partition(0, rows // units, units)
        across: list[Dim] = []
        inner: Loops = []
        for _, view in operands:
            (blocks, step), *rest = view.loops(order)
            many = quotient(blocks, units)
            across.append(step * many)
            inner.append(((many, step), *rest))
        inner = collapsed(inner)
        described: list[Operand] = []
        strides: list[Any] = []
        for i, ((value, _), mine) in enumerate(zip(operands, inner)):
            steps = [across[i], *(step for _, step in mine)]
            described.append(operand(value, steps, fixed=i >= len(outs)))
            if not described[-1].fixed:
                strides += [self.code.dim(s) for s in steps]
        function = partial_reduction_kernel(
            self.code.kernels,
            key,
            label,
            len(inner[0]),
            described[: len(outs)],
            [value.dtype for value, _ in sums],
            described[len(outs) :],
            body,
            accumulators(order.blocking),
        )
        by_unit = partition and Partition(0, 1, units)
        added = [self.divided(value, by_unit, write=True) for value, _ in sums]
        self._touch(operands, partition, writes=len(outs), further=added)
        pointers = [self.pointer(v) for v, _ in (*outs, *sums, *ins)]
        numbers = [self.code.dim(size) for size, _ in inner[0]]
        part = Part(units, single=partition is None)
        self.code.call(function, [*pointers, *numbers, *strides], part)

    def copy(self, source: Value, target: Value) -> None:
        """Emit code that copies a graph value into the memory of another value."""
        operands = [(target, self.view(target)), (source, self.view(source))]
        if self._same_memory(*operands):
            return
        partition = self.partition_for(target)
        part, loops = self._loops([view for _, view in operands], partition)
        loops = crossing(loops, target.dtype, fixed=0 if part.single else 1)
        if loops is None:
            body: Body = lambda b, values, indices: values  # noqa: E731
            self.map(("copy",), "copy", operands[:1], operands[1:], body)
            return
        if len(loops[0]) == 2:
            loops = [((1, 0), *mine) for mine in loops]
        *outer, columns, rows = [size for size, _ in loops[0]]
        (*out_steps, out_step, _), (*x_steps, _, x_step) = [
            [step for _, step in mine] for mine in loops
        ]
        function = transposing_kernel(self.code.kernels, target.dtype, len(outer))
        self._touch(operands, partition, writes=1)
        dims = [*outer, *out_steps, *x_steps, columns, rows, out_step, x_step]
        pointers = [self.pointer(value) for value, _ in operands]
        numbers = [self.code.dim(d) for d in dims]
        self.code.call(function, [*pointers, *numbers], over(loops, part))

    def _same_memory(self, *operands: tuple[Value, StridedView]) -> bool:
        """Return whether two graph values are the same elements of the same memory."""
        (_, one), (_, other) = operands
        return (
            self.resources[one.root] == self.resources[other.root]
            and (one.shape, one.strides) == (other.shape, other.strides)
            and (one.offset, one.blocking) == (other.offset, other.blocking)
        )

    def _loops(
        self, views: Sequence[StridedView], partition: Partition | None
    ) -> tuple[Part, Loops]:
        """Return nested loops over operands' elements, divided among threads.

        Their order is that of an operand in blocks, else that of the first operand.
        """
        order = next((view for view in views if view.blocking), views[0])
        place = 0
        if partition is not None and not order.blocking:
            place = order.axes.index(partition.axis)
        loops = [view.loops(order) for view in views]
        part, loops = divided_loops(loops, partition, place)
        return part, collapsed(loops)

    def _touch(
        self,
        operands: Sequence[tuple[Value, StridedView]],
        partition: Partition | None,
        *,
        writes: int,
        further: Sequence[Access] = (),
    ) -> None:
        """Declare a loop's memory accesses, so that barriers are placed."""
        accesses = [
            self.access(value, None, write=i < writes)
            if partition is not None and not view.shape
            else self.divided(value, partition, write=i < writes)
            for i, (value, view) in enumerate(operands)
        ]
        self.code.touch([*accesses, *further])

    # -- nodes ---------------------------------------------------------------------

    def run(self, nodes: Sequence[Node]) -> None:
        """Emit the LLVM code of nodes in execution order."""
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
            self.partition = self.partitions.get(node)
            self.code.everyone = node in self.own
            if not node.primitive.view or node.primitive is require:
                with self.code.clocked(node), self._reporting(node):
                    self.code.lower(self, node)
        self.code.everyone = False

    @contextmanager
    def _reporting(self, node: Node) -> Generator[None]:
        """Declare, around a node's code, that the node may report a run-time error.

        Before, so that no thread looks for what an earlier step has reported, and
        behind, since the threads may have met within.
        """
        refuses = node.primitive.refuses is not None
        if refuses:
            self.code.touch([REPORT])
        yield
        if refuses:
            self.code.touch([REPORT])

    def check(self, condition: Condition) -> None:
        """Emit code that checks a later node's run-time condition in advance."""
        node, value = condition.node, condition.value
        assert value is not None
        code = self.code
        with self._reporting(node):
            if condition.rows is None:
                code.lower(self, node)
                return
            code.touch([self.access(value, ONE)])
            with code.one_thread():
                rows = code.dim(condition.rows)
                checked(self.b, self.pointer(value), value.dtype, rows, code.status)


def _changed_in_part(node: Node, old: Value) -> bool:
    """Return whether a node may update a value in place, such as some of its rows."""
    first, *others = node.inputs
    parts = (dynamic_update_slice, put_rows, scatter_add, scatter_add_along)
    return node.primitive in parts and first is old and old not in others


def plan_memory(
    entry: Entry,
    layouts: Layouts,
    largest: Sizes,
    scratch: Callable[[Node], int],
    *,
    within: bool = False,
) -> MemoryPlan:
    """Plan where an entry point's or loop body's values are stored in memory."""

    def is_view(node: Node, root: dict[Value, Value]) -> bool:
        del root
        return node.primitive.view

    def in_place(node: Node, old: Value, new: Value) -> bool:
        return (
            old.type == new.type
            and (old in elementwise_inputs(node) or _changed_in_part(node, old))
            and not partial_sums_of(node)[node.outputs.index(new)]
            and layouts.known[old].root is old
            and layouts.known[old].blocking == layouts.known[new].blocking
            and layouts.known[old].strides == layouts.known[new].strides
        )

    def size(value: Value) -> int:
        count = size_of(resolve(value.shape, largest))
        assert isinstance(count, int)
        return count * value.dtype.itemsize

    def as_output(root: Value, value: Value) -> bool:
        own, view = layouts.known[root], layouts.known[value]
        whole = size_of(root.shape) == size_of(value.shape)
        return not within and whole and own.contiguous and view.contiguous

    return make_plan(
        entry,
        is_view=is_view,
        in_place=in_place,
        size=size,
        scratch=scratch,
        as_output=as_output,
        reuse_from=REUSE_FROM,
        within=within,
    )
