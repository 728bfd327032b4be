"""Memory plans: where an engine stores all values of a graph, with memory reused.

Given a prepared graph, decide once which values are views of others, which new state
can be computed right where the old one lies, and where in one arena everything else
lives. After that a step allocates nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from chainrule.engines.runtime_checks import Condition, place_commit
from chainrule.graph.emit import emit
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.program import Entry
from chainrule.primitives.creation import constant
from chainrule.primitives.movement import copy

ALIGNMENT = 64


@dataclass
class MemoryPlan:
    """The locations in memory of all values of a program's entry point.

    Attributes:
        entry: the entry point, its graph prepared.
        root: for each value the one whose memory it shows (itself, if no view).
        last: for each root the index of the last node that reads it (the number of
            nodes, where it is an output).
        state_of: for a root that lies in a state's memory, that state's name.
        output_of: for a root that is computed right where an output is wanted, which.
        copies: pairs (value, state name) to be copied at the end of a step.
        commit: the index of the node before which a refused run ends (0: none refuses).
        checks: conditions of later nodes that are checked before the commit point.
        offsets: for every other computed root its place in the arena.
        scratch: for a node that needs memory of its own while it runs, its place.
        sizes: the bytes that each place in the arena holds.
        arena: bytes needed.
    """

    entry: Entry
    root: dict[Value, Value] = field(default_factory=dict[Value, Value])
    last: dict[Value, int] = field(default_factory=dict[Value, int])
    state_of: dict[Value, str] = field(default_factory=dict[Value, str])
    output_of: dict[Value, int] = field(default_factory=dict[Value, int])
    copies: list[tuple[Value, str]] = field(default_factory=list[tuple[Value, str]])
    commit: int = 0
    checks: list[Condition] = field(default_factory=list[Condition])
    offsets: dict[Value, int] = field(default_factory=dict[Value, int])
    scratch: dict[Node, int] = field(default_factory=dict[Node, int])
    sizes: dict[Value, int] = field(default_factory=dict[Value, int])
    arena: int = 0


def make_plan(
    entry: Entry,
    *,
    is_view: Callable[[Node, dict[Value, Value]], bool],
    in_place: Callable[[Node, Value, Value], bool],
    size: Callable[[Value], int],
    scratch: Callable[[Node], int] = lambda _: 0,
    as_output: Callable[[Value, Value], bool] = lambda root, value: False,
    reuse_from: int = 0,
    within: bool = False,
) -> MemoryPlan:
    """Plan the memory of an entry point's values: views, in-place updates, arena.

    Args:
        entry: the entry point, after the passes.
        is_view: whether a node shows memory that exists already.
        in_place: ``in_place(node, old, new)``: whether ``node`` may write its output
            ``new`` over its input ``old``, element by element.
        size: bytes that a value needs.
        scratch: bytes that a node needs for itself while it runs.
        as_output: ``as_output(root, value)``: whether the memory of an output is that
            of its root, element by element.
        reuse_from: smaller values keep their memory to themselves; threads then need
            not wait for each other before it is used again.
        within: whether this is the body of a loop, whose state nobody keeps where the
            run is refused.
    """
    plan = MemoryPlan(_set_aside(entry, is_view))
    graph = plan.entry.graph
    root, last = plan.root, plan.last
    end = len(graph.nodes)
    for value in graph.inputs:
        root[value] = value
    for i, node in enumerate(graph.nodes):
        view = is_view(node, root)
        for value in node.outputs:
            assert value is not None
            root[value] = root[node.inputs[0]] if view else value
            last[root[value]] = i
        for value in node.inputs:
            last[root[value]] = i
    for value in graph.outputs:
        last[root[value]] = end
    _place_state(plan, in_place, end, within)
    _place_outputs(plan, as_output)
    _place_arena(plan, in_place, size, scratch, reuse_from)
    return plan


def _set_aside(
    entry: Entry, is_view: Callable[[Node, dict[Value, Value]], bool]
) -> Entry:
    """Insert copies where a program's new state is an input, or a view of one.

    After that no new state shows memory that another replacement may overwrite.
    """
    graph = entry.graph
    root: dict[Value, Value] = {v: v for v in graph.inputs}
    for node in graph.nodes:
        view = is_view(node, root)
        for value in node.outputs:
            assert value is not None
            root[value] = root[node.inputs[0]] if view else value
    states = dict(zip(entry.state, graph.inputs[len(entry.inputs) :], strict=True))
    outputs = list(graph.outputs)
    for name, index in entry.replaces.items():
        value = outputs[index]
        if root[value].node is None and value is not states[name]:
            outputs[index] = emit(copy, (value,), {})[0]
    return entry.with_graph(Graph(graph.name, graph.inputs, outputs))


def _place_state(
    plan: MemoryPlan,
    in_place: Callable[[Node, Value, Value], bool],
    end: int,
    within: bool,
) -> None:
    """Plan a program's new state into the old state's memory where that is safe.

    Safe means: nothing reads the old value after the node that computes the new one,
    that node reads it element by element, if at all, and nothing is refused from there
    on.
    """
    entry, graph = plan.entry, plan.entry.graph
    states = dict(zip(entry.state, graph.inputs[len(entry.inputs) :], strict=True))
    for name, value in states.items():
        plan.state_of[value] = name
    position = {node: i for i, node in enumerate(graph.nodes)}
    placed: dict[Value, tuple[str, int]] = {}
    for name, index in entry.replaces.items():
        old, new = states[name], graph.outputs[index]
        node = new.node
        if new is old:
            continue
        if (
            node is None
            or node.primitive is constant  # which is written once, and not at each run
            or plan.root[new] is not new
            or new in placed
        ):
            plan.copies.append((new, name))
            continue
        at, last = position[node], plan.last.get(old, -1)
        reads = [v for v in node.inputs if plan.root[v] is old]
        safe = last < at or (
            last == at and all(v is old and in_place(node, v, new) for v in reads)
        )
        if safe and last != end:
            placed[new] = name, at
        else:
            plan.copies.append((new, name))
    if entry.replaces and not within:
        writes = [at for _, at in placed.values()]
        plan.commit, plan.checks = place_commit(graph.nodes, writes)
    for new, (name, at) in placed.items():
        if at >= plan.commit:
            plan.state_of[new] = name
        else:
            plan.copies.append((new, name))


def _place_outputs(plan: MemoryPlan, as_output: Callable[[Value, Value], bool]) -> None:
    """Plan computed values right into the memory of outputs, where no copy is needed.

    A second output of the same memory is a copy, as is one that lies in a state.
    """
    for i, value in enumerate(plan.entry.graph.outputs[: plan.entry.outputs]):
        root = plan.root[value]
        computed = root.node is not None and root.node.primitive is not constant
        elsewhere = root in plan.state_of or root in plan.output_of
        if computed and not elsewhere and as_output(root, value):
            plan.output_of[root] = i


def _place_arena(
    plan: MemoryPlan,
    in_place: Callable[[Node, Value, Value], bool],
    size: Callable[[Value], int],
    scratch: Callable[[Node], int],
    reuse_from: int,
) -> None:
    """Plan the offsets of all remaining values in the arena, with memory reused."""
    graph = plan.entry.graph
    free: list[tuple[int, int]] = []  # (offset, bytes), sorted
    sizes = plan.sizes

    def allocate(need: int) -> int:
        best = min(
            (hole for hole in free if hole[1] >= need), key=lambda h: h[1], default=None
        )
        if best is None:
            offset = plan.arena
            plan.arena += need
            return offset
        free.remove(best)
        if best[1] > need:
            free.append((best[0] + need, best[1] - need))
        return best[0]

    def release(offset: int, length: int) -> None:
        if length < reuse_from:
            return
        free.append((offset, length))
        free.sort()
        merged: list[tuple[int, int]] = []
        for start, extent in free:
            if merged and merged[-1][0] + merged[-1][1] == start:
                merged[-1] = (merged[-1][0], merged[-1][1] + extent)
            else:
                merged.append((start, extent))
        free[:] = merged

    for i, node in enumerate(graph.nodes):
        taken: set[Value] = set()
        for out in node.outputs:
            assert out is not None
            if plan.root[out] is not out or out in plan.state_of:
                continue
            if out in plan.output_of:
                continue
            need = _aligned(max(size(out), 1))
            for old in node.inputs:
                if (
                    old in plan.offsets
                    and plan.root[old] is old
                    and plan.last[old] == i
                    and sizes[old] == need
                    and old not in taken
                    and all(v is old or plan.root[v] is not old for v in node.inputs)
                    and in_place(node, old, out)
                ):
                    taken.add(old)
                    plan.offsets[out] = plan.offsets[old]
                    break
            else:
                plan.offsets[out] = allocate(need)
            sizes[out] = need
        if need := _aligned(scratch(node)):
            plan.scratch[node] = allocate(need)
            release(plan.scratch[node], need)
        for value in {plan.root[v] for v in node.inputs} | set(node.outputs):
            if value in plan.offsets and plan.last[value] == i and value not in taken:
                release(plan.offsets[value], sizes[value])


def _aligned(length: int) -> int:
    return -(-length // ALIGNMENT) * ALIGNMENT
