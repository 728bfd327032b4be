"""The execution schedule of an entry point: nodes in phases, divided among threads.

It can be printed, and checked against the rules of schedules (:func:`verify`),
without running anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from chainrule.engines.schedule.alignment import aligned
from chainrule.engines.schedule.convolution import shares_itself
from chainrule.engines.schedule.layout import StridedView
from chainrule.engines.schedule.machine import FREE, NESTED, Machine, machine
from chainrule.engines.schedule.maps import elementwise_inputs, partial_sums_of, tiled
from chainrule.engines.schedule.sharing import (
    ONE,
    Access,
    AccessPattern,
    Partition,
    Pending,
    pattern_of,
)
from chainrule.engines.schedule.work import arithmetic, written
from chainrule.errors import GraphError
from chainrule.graph.node import Node, Value
from chainrule.graph.program import Entry
from chainrule.graph.text_writer import value_names
from chainrule.graph.types import Dim, Sizes, resolve
from chainrule.primitives.checks import require
from chainrule.text import _, tr


@dataclass(frozen=True)
class Step:
    """A step of a schedule: a graph node with its division among threads and cost.

    Attributes:
        node: what is computed.
        partition: how threads divide it; None for thread 0 alone.
        work: µs that one thread is expected to take for it.
        taken: µs more where others have read what it writes, so that each of several
            threads has to take it back.
        once: whether it stands before the loop in whose body it is.
        own: whether each thread does all of it, into memory of its own.
    """

    node: Node
    partition: Partition | None
    work: float = 0.0
    taken: float = 0.0
    once: bool = False
    own: bool = False

    @property
    def free(self) -> bool:
        """A flag that is true if a step's node computes nothing: a view or constant."""
        primitive = self.node.primitive
        return primitive in FREE or (primitive.view and primitive is not require)

    @property
    def does(self) -> str:
        """The name of a schedule step's operation, or of all in its fused loop."""
        node = self.node
        if node.primitive in NESTED or "body" not in node.attrs:
            return node.primitive.name
        names = [n.primitive.name for n in arithmetic(node)]
        names += ["sum"] * sum(map(bool, partial_sums_of(node)))
        return "·".join(["dot_general"] * (node.primitive is tiled) + names)

    @property
    def who(self) -> str:
        """The threads that run a schedule's step, as text."""
        if self.node.primitive in NESTED or shares_itself(self.node):
            return tr("all threads")
        if self.own:
            return tr("each thread for itself")
        partition = self.partition
        if partition is None:
            return tr("one thread")
        return tr("{n} parts of axis {axis}", n=partition.units, axis=partition.axis)


@dataclass(frozen=True)
class Schedule:
    """An execution schedule: nodes of an entry point in phases between barriers.

    ``print(schedule)`` shows what runs when, who has which part, and what it costs.

    Attributes:
        entry: the entry point, or the body of a loop.
        phases: the steps of each phase.
        sizes: the largest sizes that it is made for.
        machine: what things cost.
        rounds: how often a body runs.
        bodies: the schedules within loops, and within branches (the true one first).
    """

    entry: Entry
    phases: tuple[tuple[Step, ...], ...]
    sizes: Sizes
    machine: Machine
    rounds: Dim = 1
    bodies: Mapping[Node, tuple[Schedule, ...]] = field(
        default_factory=dict[Node, "tuple[Schedule, ...]"]
    )

    @property
    def steps(self) -> Iterator[Step]:
        """The steps (graph nodes) of all phases of a schedule in execution order."""
        for phase in self.phases:
            yield from phase

    @property
    def partitions(self) -> dict[Node, Partition | None]:
        """The division of each node among threads in a schedule."""
        return {step.node: step.partition for step in self.steps}

    @property
    def own(self) -> frozenset[Node]:
        """The nodes of a schedule that each thread computes for itself."""
        return frozenset(step.node for step in self.steps if step.own)

    @property
    def cost(self) -> float:
        """The expected µs of a schedule, in all rounds of its loop."""
        return sum(map(self.cost_of, self.steps))

    def cost_of(self, step: Step) -> float:
        """Return the expected µs of a schedule's kernel, in all rounds of its loop.

        Of two branches the more expensive one counts.
        """
        within = [body.cost for body in self.within(step)]
        alone = self.machine.busiest(step.partition, step.work, self.sizes)
        if shares_itself(step.node):
            alone = step.work / self.machine.threads
        if self.machine.threads > 1:
            alone += step.taken
        each = max(within, default=alone)
        return each * self.times(step)

    def on(self, threads: int) -> Schedule:
        """Return the same execution schedule for another number of threads."""
        return replace(self, machine=machine(threads))

    def times(self, step: Step) -> int:
        """Return the number of times that a schedule's step runs."""
        return 1 if step.once else resolve((self.rounds,), self.sizes)[0]

    def within(self, step: Step) -> list[Schedule]:
        """Return the schedules of a step's loop bodies or branches."""
        bodies = self.bodies.get(step.node, ())
        return [replace(b, machine=self.machine, sizes=self.sizes) for b in bodies]

    @property
    def title(self) -> str:
        """The title of a schedule as text: entry point, sizes and number of threads."""
        sizes = ", ".join(f"{name} = {size}" for name, size in self.sizes.items())
        number = self.machine.threads
        who = tr("one thread") if number == 1 else tr("{n} threads", n=number)
        size = tr(" for {sizes}", sizes=sizes) if sizes else ""
        return f"{self.entry.name}{size}{tr(' on {who}', who=who)}"

    def __str__(self) -> str:
        return "\n".join([tr("schedule {title}", title=self.title), *self._lines()])

    def _lines(self) -> Iterator[str]:
        names = value_names(self.entry.graph)
        working = [[step for step in phase if not step.free] for phase in self.phases]
        for number, phase in enumerate(filter(None, working), 1):
            cost = f"{sum(map(self.cost_of, phase)):.1f}"
            yield tr("phase {n}, {cost} µs", n=number, cost=cost)
            for step in phase:
                yield f"  {described(step, names)}, {self.cost_of(step):.1f} µs"
                for body in self.within(step):
                    yield from (f"    {line}" for line in body._lines())


class Schedules(tuple[Schedule, ...]):
    """The execution schedules of several entry points, printed one after another."""

    def __str__(self) -> str:
        return "\n\n".join(map(str, self)) or tr("nothing has run yet")

    __repr__ = __str__


def described(step: Step, names: Mapping[Value, str]) -> str:
    """Return a schedule's step as a line: results, operation, inputs, threads."""
    node = step.node
    results = ", ".join(f"%{names[v]}: {v.type}" for v in written(node))
    operands = ", ".join(f"%{names.get(v, '?')}" for v in node.inputs)
    where = f"{node.scope}: " if node.scope else ""
    return f"{where}{results} = {step.does}({operands}), {step.who}"


class Memory:
    """The memory that a schedule's nodes access, and its division among threads.

    Args:
        entry: the entry point.
        views: where its values lie.
        own: what each thread does for itself: nobody else sees that.
    """

    def __init__(
        self,
        entry: Entry,
        views: Mapping[Value, StridedView],
        own: frozenset[Node] = frozenset(),
    ) -> None:
        self.views, self.own = views, own
        graph = entry.graph
        states = graph.inputs[len(entry.inputs) :]
        self._names: dict[Value, object] = dict(zip(states, entry.state, strict=True))
        for name, index in entry.replaces.items():
            new = graph.outputs[index]
            if new.node is not None and elementwise_inputs(new.node):
                self._names.setdefault(new, name)  # it may be computed in place

    def place(self, value: Value) -> object:
        """Return a key that identifies a graph value's memory."""
        root = self.views[value].root
        return self._names.get(root, root)

    def read_pattern(
        self, node: Node, i: int, partition: Partition | None
    ) -> AccessPattern:
        """Return the division among threads in which a node reads its input ``i``."""
        if partition is None:
            return None if node in self.own else ONE
        axes = aligned(node, i)
        if partition.axis not in axes:
            return None
        value = node.inputs[i]
        mine = Partition(
            axes.index(partition.axis), partition.unit_size, partition.units
        )
        return pattern_of(self.views[value], mine, value.dtype.itemsize)

    def accesses(self, node: Node, partition: Partition | None) -> list[Access]:
        """Return a graph node's memory accesses, to find where barriers are needed."""
        accesses: list[Access] = []
        first = node.outputs[0]
        assert first is not None
        for value, units in zip(node.outputs, partial_sums_of(node), strict=True):
            assert value is not None
            key = ONE
            if partition is not None:
                mine = Partition(0, 1, units) if units else partition
                alike = bool(units) or value.shape == first.shape
                size = value.dtype.itemsize
                key = pattern_of(self.views[value], mine, size) if alike else None
            if node not in self.own:
                accesses.append(Access(self.place(value), 0, 1, True, key))
        for i, value in enumerate(node.inputs):
            if not self.is_own(value):
                key = self.read_pattern(node, i, partition)
                accesses.append(Access(self.place(value), 0, 1, False, key))
        return accesses

    def is_own(self, value: Value) -> bool:
        """Return whether each thread has its own copy of a graph value."""
        return self.views[value].root.node in self.own


def overwritten(
    entry: Entry, views: Mapping[Value, StridedView]
) -> dict[Node, set[Node]]:
    """Return the nodes that must read a state before each node that overwrites it."""
    written: dict[Node, list[Value]] = {}
    for old, new in entry.replaced().items():
        if new.node is not None and new is not old:
            written.setdefault(new.node, []).append(old)
    after: dict[Node, set[Node]] = {}
    readers: dict[Value, set[Node]] = {}
    for node in entry.graph.nodes:
        before = [readers.get(value, set()) for value in written.get(node, [])]
        if any(before):
            after[node] = set[Node]().union(*before)
        for value in node.inputs:
            readers.setdefault(views[value].root, set()).add(node)
    return after


def verify(schedule: Schedule, views: Mapping[Value, StridedView]) -> None:
    """Check that a schedule is valid: node order, no conflicting accesses in a phase.

    - every node of the graph stands in it once, behind those whose results it reads;
    - within a phase no thread touches what another one writes;
    - what each thread has for itself is no output.

    New state is computed in the place of the old one only where nothing reads that
    afterwards: the memory planner sees to it, for any order.

    Raises:
        GraphError: naming the node and the rule that it breaks.
    """
    entry = schedule.entry
    memory, done = Memory(entry, views, schedule.own), set[Node]()
    for value in filter(memory.is_own, entry.graph.outputs):
        assert value.node is not None
        raise _broken(value.node, _("is no thread's own where it is an output"))
    for phase in schedule.phases:
        pending = Pending()
        for step in phase:
            node = step.node
            missing = [v.node for v in node.inputs if v.node and v.node not in done]
            if node in done or missing:
                raise _broken(node, _("stands behind what it reads, and once"))
            done.add(node)
            if step.free:
                continue
            accesses = memory.accesses(node, step.partition)
            nested = node.primitive in NESTED
            if not nested and any(map(pending.conflict, accesses)):
                raise _broken(node, _("waits for no other thread within its phase"))
            for access in accesses:
                pending.add(access)
    if done != set(entry.graph.nodes):
        node = next(iter(set(entry.graph.nodes) - done))
        raise _broken(node, _("stands in the schedule"))


def _broken(node: Node, rule: str) -> GraphError:
    return GraphError(
        _("A schedule breaks a rule at {name}.", name=node.primitive.name),
        expected=_("a node that {rule}", rule=rule),
        got=repr(node.primitive.name),
    )
