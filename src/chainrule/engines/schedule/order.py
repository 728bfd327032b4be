"""In which order nodes run, and how threads divide them.

Between two barriers stands a *phase*. Whatever can run without one does so before the
threads meet: nodes are taken in the order of the graph, and one that would have to wait
for another thread's results is put off until the next phase. So a network's way
forward and back is one phase where threads divide the batch, its weight gradients and
their updates another.

For each node the divisions that its operands have already, and some fresh ones, are
weighed: the work of the busiest thread, bytes that another core has written, a barrier.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from chainrule.engines.schedule.alignment import aligned
from chainrule.engines.schedule.layout import StridedView
from chainrule.engines.schedule.machine import (
    FREE,
    NESTED,
    Machine,
    bytes_of,
)
from chainrule.engines.schedule.maps import domain_of, folds_of, is_elementwise
from chainrule.engines.schedule.sharing import (
    ONE,
    Access,
    Key,
    Pending,
    Share,
    key_of,
    share_of,
)
from chainrule.graph.build import replay, tracing
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.program import Entry
from chainrule.graph.types import Sizes, resolve
from chainrule.primitives.checks import require

#: Columns of a unit, the widest first: whole cache lines.
COLUMNS = (64, 32, 16)

Divides = Callable[[Node, Share], bool]


@dataclass
class Placed:
    """A node in the order, and its division; None for thread 0 alone."""

    node: Node
    share: Share | None


@dataclass
class Order:
    """The nodes of an entry point phase by phase."""

    phases: list[list[Placed]] = field(default_factory=list[list[Placed]])


def fold_share(node: Node) -> Share:
    """The division of a loop that adds up: its shape alone says so."""
    units, rows = max(folds_of(node)), domain_of(node)[0]
    assert isinstance(rows, int)
    return Share(0, rows // units, units)


class _Orderer:
    """The walk that finds an order."""

    def __init__(
        self,
        entry: Entry,
        views: Mapping[Value, StridedView],
        sizes: Sizes,
        machine: Machine,
        divides: Divides,
        owners: Mapping[str, Key],
    ) -> None:
        self.entry, self.views, self.sizes = entry, views, sizes
        self.machine, self.divides = machine, divides
        graph = entry.graph
        self.held = dict(
            zip(graph.inputs[len(entry.inputs) :], entry.state, strict=True)
        )
        self.memory: dict[Value, object] = dict(self.held)
        self.owner: dict[object, Key] = dict(owners)
        self.after = self._overwritten()
        self.pending = Pending()

    def _overwritten(self) -> dict[Node, set[Node]]:
        """For nodes that may write over a state: those that read it before."""
        graph, entry = self.entry.graph, self.entry
        old = {name: value for value, name in self.held.items()}
        writer: dict[Value, Node] = {}
        for name, index in entry.replaces.items():
            new = graph.outputs[index]
            if new.node is not None and new is not old[name]:
                writer[old[name]] = new.node
                if is_elementwise(new.node):
                    self.memory.setdefault(new, name)
        written: dict[Node, list[Value]] = {}
        for value, node in writer.items():
            written.setdefault(node, []).append(value)
        after: dict[Node, set[Node]] = {}
        readers: dict[Value, set[Node]] = {}
        for node in graph.nodes:
            before = [readers.get(value, set()) for value in written.get(node, [])]
            if any(before):
                after[node] = set().union(*before)
            for value in node.inputs:
                readers.setdefault(self.views[value].root, set()).add(node)
        return after

    def find(self, first: frozenset[Node]) -> Order:
        """All nodes, phase by phase."""
        order, nodes = Order(), self.entry.graph.nodes
        self._add(order, [node for node in nodes if node in first])
        self._add(order, [node for node in nodes if node not in first])
        return order

    def _add(self, order: Order, waiting: list[Node]) -> None:
        """Add the phases of some nodes."""
        late = {v for node in waiting for v in node.outputs}
        undone = set(waiting)
        while waiting:
            phase: list[Placed] = []
            put_off: list[Node] = []
            self.pending.clear()
            for node in waiting:
                ready = not any(v in late for v in node.inputs)
                if ready and not (self.after.get(node, set()) & undone):
                    placed = self._place(node)
                    if placed is not None:
                        phase.append(placed)
                        undone.discard(node)
                        late.difference_update(node.outputs)
                        continue
                put_off.append(node)
            order.phases.append(phase)
            waiting = put_off

    # -- one node ----------------------------------------------------------------------

    def _place(self, node: Node) -> Placed | None:
        """A node's division in this phase; None to put it off."""
        if node.primitive in FREE or (
            node.primitive.view and node.primitive is not require
        ):
            return Placed(node, None)
        if node.primitive in NESTED:
            if self.pending:
                return None
            self._note(node, None)
            return Placed(node, None)
        work = self.machine.seconds(node, self.sizes)
        best: tuple[float, bool, Share | None] | None = None
        quiet: tuple[float, Share | None] | None = None
        for share in self._options(node):
            cost, waits = self._cost(node, share, work)
            if best is None or cost < best[0]:
                best = (cost, waits, share)
            if not waits and (quiet is None or cost < quiet[0]):
                quiet = (cost, share)
        assert best is not None
        if not best[1]:
            chosen = best[2]
        elif quiet is not None and quiet[0] <= best[0] + self.machine.barrier:
            chosen = quiet[1]
        else:
            return None
        self._note(node, chosen)
        return Placed(node, chosen)

    def _options(self, node: Node) -> list[Share | None]:
        """The divisions that are weighed: those of operands, fresh ones, none."""
        found: dict[Share | None, None] = {}
        if self.machine.threads > 1:
            domain = domain_of(node)
            for i, value in enumerate(node.inputs):
                owner = self.owner.get(self._root(value))
                share = share_of(self.views[value], owner, value.dtype.itemsize)
                axis = None if share is None else aligned(node, i)[share.axis]
                if share is None or axis is None:
                    continue
                if domain[axis] == share.granule * share.units:
                    found[replace(share, axis=axis)] = None
            found |= dict.fromkeys(self._fresh(node))
        allowed = [
            s
            for s in found
            if s is not None and self._several(s) and self.divides(node, s)
        ]
        return [*allowed, None]

    def _fresh(self, node: Node) -> list[Share]:
        if any(folds_of(node)):
            return [fold_share(node)]
        out = node.outputs[0]
        assert out is not None
        width, shape = self.views[out].blocking, out.shape
        if not shape:
            return []
        rows, columns = shape[0], shape[-1]
        if width:
            assert isinstance(rows, int)
            return [Share(0, width, rows // width)]
        found = [Share(0, 1, rows)]
        if isinstance(columns, int):
            fitting = (w for w in COLUMNS if columns % w == 0 and columns > w)
            if wide := next(fitting, 0):
                found.append(Share(len(shape) - 1, wide, columns // wide))
        return found

    def _several(self, share: Share) -> bool:
        return resolve((share.units,), self.sizes)[0] > 1

    def _root(self, value: Value) -> object:
        root = self.views[value].root
        return self.memory.get(root, root)

    def _accesses(self, node: Node, share: Share | None) -> list[Access]:
        """What a node reads and writes with a division."""
        found: list[Access] = []
        first = node.outputs[0]
        for value, units in zip(node.outputs, folds_of(node), strict=True):
            assert value is not None
            assert first is not None
            mine = share
            if share is not None and units:
                mine = Share(0, 1, units)
            elif share is not None and value.shape != first.shape:
                mine = None
            key = self._key(value, mine, single=share is None)
            found.append(Access(self._root(value), 0, 1, True, key))
        for i, value in enumerate(node.inputs):
            key = ONE if share is None else self._input_key(node, i, share)
            found.append(Access(self._root(value), 0, 1, False, key))
        return found

    def _key(self, value: Value, share: Share | None, *, single: bool = False) -> Key:
        if share is None:
            return ONE if single else None
        view = self.views[value]
        if share.axis >= len(view.shape):
            return None
        return key_of(view, share, value.dtype.itemsize)

    def _cost(self, node: Node, share: Share | None, work: float) -> tuple[float, bool]:
        """µs of the busiest thread, and whether the threads have to meet before."""
        machine, threads = self.machine, 1
        if share is not None:
            units = resolve((share.units,), self.sizes)[0]
            rounds = -(-units // machine.threads)
            threads = units / rounds
        cost = machine.call + (work - machine.call) / threads
        waits = False
        for access in self._accesses(node, share):
            waits = waits or self.pending.conflict(access)
        for i, value in enumerate(node.inputs):
            owner = self.owner.get(self._root(value))
            if owner is None:
                continue
            key = ONE if share is None else self._input_key(node, i, share)
            if key != owner:
                foreign = bytes_of(value, self.sizes) * (1 - 1 / machine.threads)
                cost += foreign * machine.foreign_byte
        if (
            share is not None
            and share.axis
            and not self.views[node.outputs[0]].blocking
        ):
            cost += machine.barrier  # whoever reads whole rows will have to wait
        return cost, waits

    def _input_key(self, node: Node, i: int, share: Share) -> Key:
        axes = aligned(node, i)
        if share.axis not in axes:
            return None
        mine = Share(axes.index(share.axis), share.granule, share.units)
        return self._key(node.inputs[i], mine)

    def _note(self, node: Node, share: Share | None) -> None:
        for access in self._accesses(node, share):
            self.pending.add(access)
            if access.write:
                self.owner[access.space] = access.key


def ordered(
    entry: Entry,
    views: Mapping[Value, StridedView],
    sizes: Sizes,
    machine: Machine,
    divides: Divides,
    first: frozenset[Node] = frozenset(),
) -> tuple[Entry, dict[Node, Share | None]]:
    """An entry point with its nodes in a good order, and how threads divide them.

    Args:
        entry: the entry point.
        views: where its values lie.
        sizes: the largest sizes.
        machine: what things cost.
        divides: whether the engine can divide a node like that.
        first: nodes that come before all others.
    """
    owners: dict[str, Key] = {}
    order = Order()
    for _ in range(2):  # who owns the state at the start is known at the end
        orderer = _Orderer(entry, views, sizes, machine, divides, owners)
        order = orderer.find(first)
        owners = {
            name: orderer.owner[name] for name in entry.state if name in orderer.owner
        }
    graph = entry.graph
    new: dict[Value, Value] = {}
    shares: dict[Node, Share | None] = {}
    with tracing():
        for phase in order.phases:
            for placed in phase:
                node = placed.node
                made = replay(node, [new.get(v, v) for v in node.inputs])
                for old, value in zip(node.outputs, made, strict=True):
                    assert old is not None
                    new[old] = value
                its = made[0].node
                assert its is not None
                shares[its] = placed.share
    outputs = [new.get(v, v) for v in graph.outputs]
    return entry.with_graph(Graph(graph.name, graph.inputs, outputs)), shares
