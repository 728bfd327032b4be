"""Scheduling: the execution order of graph nodes, and their division among threads.

Between two barriers stands a *phase*. Whatever can run without one does so before the
threads meet: nodes are taken in the order of the graph, and one that would have to wait
for another thread's results is put off until the next phase. So a network's way
forward and back is one phase where threads divide the batch, its weight gradients and
their updates another.

For each node the divisions that its operands have already, and some fresh ones, are
weighed: the work of the busiest thread, bytes that another core has written, a barrier.
What costs less than to read what others have made of it, each thread does for itself.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from functools import partial
from heapq import heappop, heappush
from typing import Any, NamedTuple

from chainrule.engines.schedule.alignment import aligned
from chainrule.engines.schedule.layout import StridedView
from chainrule.engines.schedule.machine import CACHE, NESTED, Machine
from chainrule.engines.schedule.maps import domain_of, is_elementwise, partial_sums_of
from chainrule.engines.schedule.schedule import Memory, Schedule, Step, overwritten
from chainrule.engines.schedule.sharing import (
    ONE,
    Access,
    AccessPattern,
    Partition,
    Pending,
    partition_of,
)
from chainrule.engines.schedule.work import bytes_of, written
from chainrule.graph.emit import clone, tracing
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.program import Entry
from chainrule.graph.types import Sizes, resolve
from chainrule.primitives.indexing import take
from chainrule.primitives.movement import copy

#: How many nodes are tried as something that each thread does for itself.
TRIED = 4
#: Columns of a unit, the widest first: whole cache lines.
COLUMNS = (64, 32, 16)

Divides = Callable[[Node, Partition], bool]


def reduction_partition(node: Node) -> Partition:
    """Return the division of partial sums among threads, from the shape alone."""
    units, rows = max(partial_sums_of(node)), domain_of(node)[0]
    assert isinstance(rows, int)
    return Partition(0, rows // units, units)


class _Option(NamedTuple):
    """A candidate division of a node among threads: cost in µs, memory accesses."""

    cost: float
    partition: Partition | None
    accesses: list[Access]


class _Known:
    """The cached costs, divisions and accesses of nodes for all schedules searched."""

    def __init__(
        self,
        views: Mapping[Value, StridedView],
        sizes: Sizes,
        machine: Machine,
        divides: Divides,
    ) -> None:
        def microseconds(node: Node) -> float:
            return machine.microseconds(node, sizes, views)

        def divided(node: Node, partition: Partition) -> bool:
            return resolve((partition.units,), sizes)[0] > 1 and divides(
                node, partition
            )

        def length(value: Value) -> int:
            return bytes_of(value, sizes)

        self.microseconds = functools.cache(microseconds)
        self.divides = functools.cache(divided)
        self.bytes = functools.cache(length)
        self.accesses: dict[tuple[Node, Partition | None], list[Access]] = {}
        self.options: dict[Any, list[tuple[Partition | None, float]]] = {}


class _Orderer:
    """The search for an execution order of an entry point's nodes, by cost."""

    def __init__(
        self,
        entry: Entry,
        views: Mapping[Value, StridedView],
        sizes: Sizes,
        machine: Machine,
        owners: Mapping[object, AccessPattern],
        own: frozenset[Node],
        known: _Known,
    ) -> None:
        self.entry, self.views, self.sizes = entry, views, sizes
        self.machine, self.known = machine, known
        self.memory = Memory(entry, views, own)
        self.total = 0.0  # µs
        self.crossing: dict[Value, float] = {}  # µs to read what others have made
        self.owner: dict[object, AccessPattern] = dict(owners)
        self.after = overwritten(entry, views)
        self.pending = Pending()
        self.spread: set[object] = set()  # what every thread has read

    def find(self, first: frozenset[Node]) -> list[list[Step]]:
        """Return all nodes in execution order, as phases of a schedule's steps."""
        nodes = self.entry.graph.nodes
        phases = self._phases([node for node in nodes if node in first])
        return phases + self._phases([node for node in nodes if node not in first])

    def _phases(self, nodes: list[Node]) -> list[list[Step]]:
        """Return the remaining nodes as phases: groups of steps without barriers."""
        number = {node: i for i, node in enumerate(nodes)}
        unmet: dict[Node, int] = {}
        followers: dict[Node, list[Node]] = {}
        for node in nodes:
            before = {v.node for v in node.inputs} | self.after.get(node, set())
            earlier = [other for other in before if other in number]
            unmet[node] = len(earlier)
            for other in earlier:
                followers.setdefault(other, []).append(node)
        ready = [i for i, node in enumerate(nodes) if not unmet[node]]
        phases: list[list[Step]] = []
        while ready:
            phase: list[Step] = []
            put_off: list[int] = []
            self.pending.clear()
            while ready:  # the first of the graph first
                node = nodes[i := heappop(ready)]
                step = self._place(node)
                if step is None:
                    put_off.append(i)
                    continue
                phase.append(step)
                for other in followers.get(node, ()):
                    unmet[other] -= 1
                    if not unmet[other]:
                        heappush(ready, number[other])
            phases.append(phase)
            ready = put_off
            self.total += self.machine.barrier * any(not step.free for step in phase)
        return phases

    # -- one node ----------------------------------------------------------------------

    def _place(self, node: Node) -> Step | None:
        """Return a node with its division among threads, or None to postpone it."""
        step = Step(node, None)
        if step.free:
            return step
        if node.primitive in NESTED:
            if self.pending:
                return None
            self._note(self.memory.accesses(node, None))
            for value in written(node):  # by all threads, as the body divides it
                self.owner.pop(self.memory.place(value), None)
            return step
        work = self.known.microseconds(node)
        best: _Option | None = None
        quiet: _Option | None = None
        for partition, busiest in self._options(node, work):
            accesses = self._accesses(node, partition)
            cost, waits = self._cost(node, accesses, busiest)
            option = _Option(cost, partition, accesses)
            if best is None or cost < best.cost:
                best = option
            if not waits and (quiet is None or cost < quiet.cost):
                quiet = option
        assert best is not None
        if best is not quiet:
            if quiet is None or quiet.cost > best.cost + self.machine.barrier:
                return None
            best = quiet
        taken = self._taken(node)
        self.total += best.cost + taken
        for value in self._crossing(node, best.accesses):
            root = self.views[value].root
            self.crossing[root] = self._foreign(self.known.bytes(root))
        self._note(best.accesses)
        return Step(node, best.partition, work, taken, own=node in self.memory.own)

    def _options(self, node: Node, work: float) -> list[tuple[Partition | None, float]]:
        """Return the candidate divisions of a node, each with its busiest thread's µs.

        They depend on who owns its operands alone, so one search finds them for all.
        """
        if self.machine.threads == 1 or node in self.memory.own:
            return [(None, work)]
        place, owner = self.memory.place, self.owner
        owners = tuple([owner.get(place(value)) for value in node.inputs])
        options = self.known.options.get((node, owners))
        if options is None:
            busiest, sizes = self.machine.busiest, self.sizes
            fitting = filter(partial(self.known.divides, node), self._fit(node, owners))
            options = [(p, busiest(p, work, sizes)) for p in (*fitting, None)]
            self.known.options[node, owners] = options
        return options

    def _fit(self, node: Node, owners: Iterable[AccessPattern]) -> Iterable[Partition]:
        """Return the divisions of a node that its operands have, and fresh ones."""
        options: dict[Partition, None] = {}
        domain = domain_of(node)
        for i, (value, owner) in enumerate(zip(node.inputs, owners)):
            partition = partition_of(self.views[value], owner, value.dtype.itemsize)
            axis = None if partition is None else aligned(node, i)[partition.axis]
            if partition is None or axis is None:
                continue
            if domain[axis] == partition.unit_size * partition.units:
                options[replace(partition, axis=axis)] = None
        return options | dict.fromkeys(self._fresh(node))

    def _accesses(self, node: Node, partition: Partition | None) -> list[Access]:
        """Return a node's memory reads and writes, cached where possible."""
        memory = self.memory
        if memory.own and (node in memory.own or any(map(memory.is_own, node.inputs))):
            return memory.accesses(node, partition)
        key = node, partition
        accesses = self.known.accesses.get(key)
        if accesses is None:
            accesses = self.known.accesses[key] = memory.accesses(node, partition)
        return accesses

    def _fresh(self, node: Node) -> list[Partition]:
        if any(partial_sums_of(node)):
            return [reduction_partition(node)]
        out = node.outputs[0]
        assert out is not None
        width, shape = self.views[out].blocking, out.shape
        if not shape:
            return []
        rows, columns = shape[0], shape[-1]
        if width:
            assert isinstance(rows, int)
            return [Partition(0, width, rows // width)]
        partitions = [Partition(0, 1, rows)]
        if isinstance(columns, int):
            fitting = (w for w in COLUMNS if columns % w == 0 and columns > w)
            if wide := next(fitting, 0):
                partitions.append(Partition(len(shape) - 1, wide, columns // wide))
        return partitions

    def _cost(
        self, node: Node, accesses: Sequence[Access], cost: float
    ) -> tuple[float, bool]:
        """Return a node's cost in µs, and whether a barrier is needed before it."""
        waits = any(map(self.pending.conflict, accesses))
        for value in self._crossing(node, accesses):
            cost += self._foreign(self.known.bytes(value))
        for value, access in self._reads(node, accesses):
            written_anew = access.key is None and access.space in self.entry.replaces
            if written_anew and not self._seen(value):
                cost += self._taken_back(self.known.bytes(value))
        write_key = next((access.key for access in accesses if access.write), ONE)
        if write_key is None or write_key[0] == "columns":
            cost += self.machine.barrier  # whoever reads whole rows will have to wait
        return cost, waits

    def _reads(
        self, node: Node, accesses: Sequence[Access]
    ) -> Iterator[tuple[Value, Access]]:
        """Return the values that a node reads from shared memory, with the accesses."""
        values = [v for v in node.inputs if not self.memory.is_own(v)]
        reads = [access for access in accesses if not access.write]
        return zip(values, reads, strict=True)

    def _crossing(self, node: Node, accesses: Sequence[Access]) -> Iterator[Value]:
        """Yield the values that a node reads and that other cores have computed."""
        for value, access in self._reads(node, accesses):
            owner = self.owner.get(access.space)
            if owner is not None and access.key != owner and not self._seen(value):
                yield value

    def _seen(self, value: Value) -> bool:
        """Return whether every core has a graph value in its cache."""
        spread = self.memory.place(value) in self.spread
        return spread and self.known.bytes(value) <= CACHE.own_bytes

    def _taken(self, node: Node) -> float:
        """Return the µs it costs to overwrite memory that all threads have read."""
        mine = [v for v in written(node) if self.memory.place(v) in self.spread]
        return self._taken_back(sum(map(self.known.bytes, mine)))

    def _foreign(self, length: int) -> float:
        machine = self.machine
        return length * (1 - 1 / machine.threads) * machine.foreign_byte

    def _taken_back(self, length: int) -> float:
        return length / self.machine.threads * self.machine.taken_byte

    def _note(self, accesses: Sequence[Access]) -> None:
        for access in accesses:
            self.pending.add(access)
            if access.write:
                self.owner[access.space] = access.key
                self.spread.discard(access.space)
            elif access.key is None:
                self.spread.add(access.space)


class _Repeating:
    """The search for cheap nodes that each thread should compute for itself.

    That pays for cheap nodes with large results that other threads read, such as those
    that gather and scale the batch.
    """

    def __init__(self, orderer: _Orderer, first: frozenset[Node]) -> None:
        entry, views = orderer.entry, orderer.views
        self.orderer, self._excluded = orderer, set[Value]()
        for value in entry.graph.outputs:
            self._excluded.add(views[value].root)
        for node in entry.graph.nodes:
            if node.primitive in NESTED or node in first:
                values = (*node.inputs, *written(node))
                self._excluded.update(views[v].root for v in values)

    def best(self, steps: Iterable[Step], tried: Set[Node]) -> Node | None:
        """Return the node that is best computed by each thread for itself, or None."""
        gains = {s.node: self._gain(s) for s in steps if s.node not in tried}
        node = max(gains, key=gains.__getitem__, default=None)
        return node if node and gains[node] > 0 else None

    def _gain(self, step: Step) -> float:
        """Return the µs that a schedule saves if each thread computes a node itself."""
        node, orderer = step.node, self.orderer
        crossing = sum(orderer.crossing.get(v, 0.0) for v in written(node))
        simple = is_elementwise(node) or node.primitive in (take, copy)
        if not (crossing and simple) or any(partial_sums_of(node)):
            return 0.0
        if any(v in self._excluded for v in written(node)):
            return 0.0
        if sum(bytes_of(v, orderer.sizes) for v in written(node)) > CACHE.own_bytes:
            return 0.0
        alone = orderer.machine.busiest(step.partition, step.work, orderer.sizes)
        return crossing + 2 * orderer.machine.barrier - (step.work - alone)


def ordered(
    entry: Entry,
    views: Mapping[Value, StridedView],
    sizes: Sizes,
    machine: Machine,
    divides: Divides,
    first: frozenset[Node] = frozenset(),
) -> Schedule:
    """Return the execution schedule of an entry point: node order and division.

    Args:
        entry: the entry point.
        views: where its values lie.
        sizes: the largest sizes.
        machine: what things cost.
        divides: whether the engine can divide a node like that.
        first: nodes that come before all others.
    """
    owners: dict[object, AccessPattern] = {}

    known = _Known(views, sizes, machine, divides)

    def search(own: frozenset[Node]) -> tuple[_Orderer, list[list[Step]]]:
        orderer = _Orderer(entry, views, sizes, machine, owners, own, known)
        return orderer, orderer.find(first)

    orderer, _ = search(frozenset())
    # Who owns the state at the start is known at the end.
    owners |= {n: orderer.owner[n] for n in entry.state if n in orderer.owner}
    best, phases = search(frozenset())
    tried = set[Node]()
    while len(tried) < TRIED:
        steps = itertools.chain.from_iterable(phases)
        node = _Repeating(best, first).best(steps, tried)
        if node is None:
            break
        tried.add(node)
        other, its = search(best.memory.own | {node})
        if other.total < best.total:
            best, phases = other, its
    graph = entry.graph
    new: dict[Value, Value] = {}

    def anew(step: Step) -> Step:
        """Return a schedule's step with its node recorded again, in execution order."""
        node = step.node
        clones = clone(node, [new.get(v, v) for v in node.inputs])
        for old, value in zip(node.outputs, clones, strict=True):
            assert old is not None
            new[old] = value
        its = clones[0].node
        assert its is not None
        return replace(step, node=its, once=node in first)

    with tracing():
        clones = tuple([tuple([anew(step) for step in phase]) for phase in phases])
    outputs = [new.get(v, v) for v in graph.outputs]
    turned = entry.with_graph(Graph(graph.name, graph.inputs, outputs))
    return Schedule(turned, clones, sizes, machine)
