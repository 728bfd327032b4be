"""Generation of LLVM code for ``scan`` and ``cond``, whose bodies are graphs.

The body becomes a BodyBuilder of its own, whose memory lies in the scratch of the node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from chainrule.engines.memory_plan import MemoryPlan
from chainrule.engines.native.emit.body import BodyBuilder, plan_memory
from chainrule.engines.native.loops.kernels import for_loop
from chainrule.engines.native.loops.loop_nodes import advanced
from chainrule.engines.native.loops.work_splitting import divides
from chainrule.engines.native.math.scalar import I64, load
from chainrule.engines.schedule.assign_layouts import (
    Layouts,
    assign_layouts,
    laid_out,
)
from chainrule.engines.schedule.layout import StridedView, row_major
from chainrule.engines.schedule.machine import machine
from chainrule.engines.schedule.maps import in_loops
from chainrule.engines.schedule.order import ordered
from chainrule.engines.schedule.schedule import Schedule
from chainrule.engines.threads import available_cores
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.program import Entry
from chainrule.graph.types import Dim, DType, Sizes, size_of
from chainrule.primitives.creation import constant

Scratch = Callable[[Node, Sizes], int]
#: A body's memory, where its values lie, and its schedule.
Planned = tuple[MemoryPlan, Layouts, Schedule]


def _planned(
    entry: Entry, largest: Sizes, scratch: Scratch, steady: int = 0
) -> Planned:
    """Prepare a loop body or branch for code generation: memory and schedule.

    Its first ``steady`` inputs are the same in each round.
    """
    entry = in_loops(entry)
    entry = entry.with_graph(assign_layouts(entry.graph, entry, {}))
    views = laid_out(entry.graph, {}).known
    cost = machine(available_cores())
    first = frozenset(invariant(entry.graph, steady))
    schedule = ordered(entry, views, largest, cost, divides(views), first)
    entry = schedule.entry
    graph = entry.graph
    invariants = [v for node in invariant(graph, steady) for v in node.outputs if v]
    entry = entry.with_graph(
        Graph(graph.name, graph.inputs, (*graph.outputs, *invariants))
    )
    layouts = laid_out(entry.graph, {})
    plan = plan_memory(
        entry, layouts, largest, lambda inner: scratch(inner, largest), within=True
    )
    for inner in plan.entry.graph.nodes:
        for value in inner.outputs:
            if value is not None and value not in layouts.known:
                layouts.add(inner)
    return plan, layouts, schedule


def invariant(graph: Graph, steady: int) -> list[Node]:
    """Return the nodes of a loop body that compute the same value in every step."""
    same = set(graph.inputs[:steady])
    nodes: list[Node] = []
    for node in graph.nodes if steady else ():
        if all(v in same for v in node.inputs):
            same.update(v for v in node.outputs if v is not None)
            nodes.append(node)
    return nodes


# -- loops -----------------------------------------------------------------------------


def scan_plan(node: Node, largest: Sizes, scratch: Scratch) -> Planned:
    """Plan the code of a ``scan`` body, an entry point whose state is the carry."""
    body, constants = node.attrs["body"], node.attrs["constants"]
    carries = node.attrs["carries"]
    fixed = constants + carries
    inputs = (*body.inputs[:constants], *body.inputs[fixed:])
    ys = body.outputs[carries:]
    names = tuple(f"carry{i}" for i in range(carries))
    graph = Graph(
        body.name,
        (*inputs, *body.inputs[constants:fixed]),
        (*ys, *body.outputs[:carries]),
    )
    entry = Entry(
        name=body.name,
        graph=graph,
        inputs=tuple(f"in{i}" for i in range(len(inputs))),
        each=(),
        state=names,
        replaces={name: len(ys) + i for i, name in enumerate(names)},
        outputs=len(ys),
    )
    return _planned(entry, largest, scratch, constants)


def scan(builder: BodyBuilder, node: Node) -> None:
    """Lower ``scan`` to LLVM: a loop over steps that updates the carry in place."""
    code, b = builder.code, builder.b
    constants, carries = node.attrs["constants"], node.attrs["carries"]
    fixed = constants + carries
    outputs = [v for v in node.outputs if v is not None]
    for source, target in zip(node.inputs[constants:fixed], outputs):
        builder.partition = builder.share_like(source)
        builder.copy(source, target)
    plan, layouts, schedule = scan_plan(node, code.largest, code.scratch)
    length = node.attrs["length"]
    schedule = replace(schedule, rounds=length, bodies=code.bodies)
    code.bodies[node] = (schedule,)
    base, low, _ = builder.arena_space
    offset = builder.plan.scratch.get(node, 0)
    space = (base, low + offset, 0)
    inner = BodyBuilder(code, plan, layouts, schedule.partitions, space, schedule.own)
    entry = plan.entry
    graph = entry.graph
    sequences = node.inputs[fixed:]
    for value, outer in zip(graph.inputs[:constants], node.inputs):
        view = builder.view(outer)
        layouts.known[value] = StridedView(value, value.shape, view.strides)
        inner.bind(value, partial(builder.pointer, outer), builder.resources[view.root])
    for value, target in zip(graph.inputs[len(entry.inputs) :], outputs):
        resource = builder.resources[builder.view(target).root]
        inner.bind(value, partial(builder.pointer, target), resource)
    states = dict(zip(entry.state, graph.inputs[len(entry.inputs) :]))
    for value, name in plan.state_of.items():
        target = states[name]
        inner.bind(value, inner.pointers[target], inner.resources[target])
    _rebase(layouts, plan)
    before = invariant(graph, constants)
    inner.run(before)
    every = [n for n in graph.nodes if n not in set(before)]
    loop = code.new_counter()
    with for_loop(b, I64(0), code.dim(length), "t") as i, code.repeated():
        t = b.sub(b.sub(code.dim(length), I64(1)), i) if node.attrs["reverse"] else i
        code.count(loop, t)
        for value, outer in zip(graph.inputs[constants : len(entry.inputs)], sequences):
            view = builder.view(outer)
            layouts.known[value] = StridedView(value, value.shape, view.strides[1:])
            at = partial(_entry_of, builder, outer, view.strides[0], loop)
            inner.bind(value, at, builder.resources[view.root])
        _rebase(layouts, plan)
        stacked = list(zip(graph.outputs[: entry.outputs], outputs[carries:]))
        made_there: set[Value] = set()
        for value, outer in stacked:
            if _is_computed_in_place(value, inner, layouts):
                made_there.add(value)
                start = partial(_entry_of, builder, outer, size_of(value.shape), loop)
                inner.bind(value, start, builder.resources[builder.view(outer).root])
        inner.run(every)
        for value, outer in stacked:
            if value in made_there:
                made_there.discard(value)  # a second time it is a copy
                continue
            row = Value(None, value.shape, value.dtype)
            layouts.known[row] = layouts.own(row)
            start = partial(_entry_of, builder, outer, size_of(row.shape), loop)
            inner.bind(row, start, builder.resources[builder.view(outer).root])
            inner.partition = inner.share_like(value)
            inner.copy(value, row)
        for value, name in plan.copies:
            inner.partition = inner.share_like(value)
            inner.copy(value, states[name])


def _is_computed_in_place(value: Value, inner: BodyBuilder, layouts: Layouts) -> bool:
    """Return whether a loop step can compute its result in the stacked output."""
    view = layouts.known[value]
    return (
        value.node is not None
        and value.node.primitive is not constant  # which lies in the code
        and view.root is value
        and view.strides == row_major(value.shape)
        and value not in inner.pointers
    )


def _entry_of(builder: BodyBuilder, sequence: Value, step: Dim, loop: int) -> Any:
    """Emit the address of a sequence's entry for a loop's current step."""
    count = builder.code.counter(loop)
    return advanced(builder, builder.pointer(sequence), sequence.dtype, step, count)


def _rebase(layouts: Layouts, plan: MemoryPlan) -> None:
    """Recompute the memory views of a loop body after its inputs were placed."""
    for node in plan.entry.graph.nodes:
        layouts.add(node)


# -- branches --------------------------------------------------------------------------


def cond_plans(node: Node, largest: Sizes, scratch: Scratch) -> list[Planned]:
    """Plan the code of the two branches of ``cond``, the true one first."""
    plans: list[Planned] = []
    for name in ("true", "false"):
        graph = node.attrs[name]
        inputs = tuple([f"in{i}" for i in range(len(graph.inputs))])
        entry = Entry(graph.name, graph, inputs, (), (), {}, len(graph.outputs))
        plans.append(_planned(entry, largest, scratch))
    return plans


def cond(builder: BodyBuilder, node: Node) -> None:
    """Lower ``cond`` to LLVM: all threads run the branch that is selected."""
    code, b = builder.code, builder.b
    which, *operands = node.inputs
    outputs = [v for v in node.outputs if v is not None]
    base, low, _ = builder.arena_space
    offset = builder.plan.scratch.get(node, 0)
    if code.pending:
        code.barrier()
    taken = load(b, builder.pointer(which), DType.bool)
    plans = cond_plans(node, code.largest, code.scratch)
    code.bodies[node] = tuple([replace(s, bodies=code.bodies) for *_, s in plans])
    with b.if_else(taken) as branches:
        for branch, (plan, layouts, schedule) in zip(branches, plans, strict=True):
            with branch:
                space = (base, low + offset, 0)
                inner = BodyBuilder(
                    code, plan, layouts, schedule.partitions, space, schedule.own
                )
                graph = plan.entry.graph
                for value, outer in zip(graph.inputs, operands, strict=True):
                    view = builder.view(outer)
                    layouts.known[value] = StridedView(value, value.shape, view.strides)
                    resource = builder.resources[view.root]
                    inner.bind(value, partial(builder.pointer, outer), resource)
                _rebase(layouts, plan)
                inner.run(graph.nodes)
                for value, outer in zip(graph.outputs, outputs, strict=True):
                    copy = Value(None, value.shape, value.dtype)
                    layouts.known[copy] = layouts.own(copy)
                    resource = builder.resources[builder.view(outer).root]
                    inner.bind(copy, partial(builder.pointer, outer), resource)
                    inner.partition = inner.share_like(value)
                    inner.copy(value, copy)
                code.barrier()
