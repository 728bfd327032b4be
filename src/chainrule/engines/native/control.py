"""Lowerings of graphs within graphs: loops and branches.

The body becomes a frame of its own, whose memory lies in the scratch of the node.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from chainrule.engines.native.arrange import Places, arrange
from chainrule.engines.native.emit import Frame, plan_memory
from chainrule.engines.native.kernels import counting
from chainrule.engines.native.layout import Place
from chainrule.engines.native.loops import advanced
from chainrule.engines.native.scalar import I64, load
from chainrule.engines.plan import Plan, is_elementwise
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.program import Entry
from chainrule.graph.types import Dim, DType, Sizes, size_of
from chainrule.passes import prepare

Scratch = Callable[[Node, Sizes], int]


def _planned(entry: Entry, largest: Sizes, scratch: Scratch) -> tuple[Plan, Places]:
    """A body as an entry point, prepared, with its memory."""
    entry = entry.with_graph(prepare(entry.graph, keep=is_elementwise))
    entry = entry.with_graph(arrange(entry.graph, entry, {}))
    places = Places({})
    places.add_inputs(entry.graph)
    for inner in entry.graph.nodes:
        places.add(inner)
    plan = plan_memory(entry, places, largest, lambda inner: scratch(inner, largest))
    for inner in plan.entry.graph.nodes:
        for value in inner.outputs:
            if value is not None and value not in places.known:
                places.add(inner)
    return plan, places


# -- loops -----------------------------------------------------------------------------


def scan_plan(node: Node, largest: Sizes, scratch: Scratch) -> tuple[Plan, Places]:
    """A scan's body as an entry point whose state is the carry, with its memory."""
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
    return _planned(entry, largest, scratch)


def scan(frame: Frame, node: Node) -> None:
    """A loop over steps; the outputs that are carries hold them while it runs."""
    session, b = frame.session, frame.b
    constants, carries = node.attrs["constants"], node.attrs["carries"]
    fixed = constants + carries
    outputs = [v for v in node.outputs if v is not None]
    for source, held in zip(node.inputs[constants:fixed], outputs):
        frame.copy(source, held)
    plan, places = scan_plan(node, session.largest, session.scratch)
    base, low, _ = frame.arena_space
    offset = frame.plan.scratch.get(node, 0)
    inner = Frame(session, plan, places, (base, low + offset, 0))
    entry = plan.entry
    graph = entry.graph
    sequences = node.inputs[fixed:]
    for value, outer in zip(graph.inputs[:constants], node.inputs):
        place = frame.place(outer)
        places.known[value] = Place(value, value.shape, place.strides)
        inner.bind(value, partial(frame.pointer, outer), frame.resources[place.root])
    for value, held in zip(graph.inputs[len(entry.inputs) :], outputs):
        resource = frame.resources[frame.place(held).root]
        inner.bind(value, partial(frame.pointer, held), resource)
    states = dict(zip(entry.state, graph.inputs[len(entry.inputs) :]))
    for value, name in plan.state_of.items():
        held = states[name]
        inner.bind(value, inner.pointers[held], inner.resources[held])
    if session.pending:
        session.barrier()
    length, loop = node.attrs["length"], session.new_counter()
    with counting(b, I64(0), session.dim(length), "t") as i:
        t = b.sub(b.sub(session.dim(length), I64(1)), i) if node.attrs["reverse"] else i
        session.count(loop, t)
        for value, outer in zip(graph.inputs[constants : len(entry.inputs)], sequences):
            place = frame.place(outer)
            places.known[value] = Place(value, value.shape, place.strides[1:])
            at = partial(_entry_of, frame, outer, place.strides[0], loop)
            inner.bind(value, at, frame.resources[place.root])
        _rebase(places, plan)
        inner.run(graph.nodes)
        for value, outer in zip(graph.outputs[: entry.outputs], outputs[carries:]):
            row = Value(None, value.shape, value.dtype)
            places.known[row] = places.own(row)
            start = partial(_entry_of, frame, outer, size_of(row.shape), loop)
            inner.bind(row, start, frame.resources[frame.place(outer).root])
            inner.copy(value, row)
        for value, name in plan.copies:
            inner.copy(value, states[name])
        session.barrier()


def _entry_of(frame: Frame, sequence: Value, step: Dim, loop: int) -> Any:
    """The address of a sequence's entry for the step at which a loop stands."""
    count = frame.session.counter(loop)
    return advanced(frame, frame.pointer(sequence), sequence.dtype, step, count)


def _rebase(places: Places, plan: Plan) -> None:
    """Work out the views again, now that the inputs lie where the loop has them."""
    for node in plan.entry.graph.nodes:
        places.add(node)


# -- branches --------------------------------------------------------------------------


def cond_plans(
    node: Node, largest: Sizes, scratch: Scratch
) -> list[tuple[Plan, Places]]:
    """The branches of a ``cond`` as entry points, the true one first."""
    plans: list[tuple[Plan, Places]] = []
    for name in ("true", "false"):
        graph = node.attrs[name]
        inputs = tuple([f"in{i}" for i in range(len(graph.inputs))])
        entry = Entry(graph.name, graph, inputs, (), (), {}, len(graph.outputs))
        plans.append(_planned(entry, largest, scratch))
    return plans


def cond(frame: Frame, node: Node) -> None:
    """The branch that the truth value names, on every thread the same one."""
    session, b = frame.session, frame.b
    which, *operands = node.inputs
    outputs = [v for v in node.outputs if v is not None]
    base, low, _ = frame.arena_space
    offset = frame.plan.scratch.get(node, 0)
    if session.pending:
        session.barrier()
    taken = load(b, frame.pointer(which), DType.bool)
    plans = cond_plans(node, session.largest, session.scratch)
    with b.if_else(taken) as branches:
        for branch, (plan, places) in zip(branches, plans, strict=True):
            with branch:
                inner = Frame(session, plan, places, (base, low + offset, 0))
                graph = plan.entry.graph
                for value, outer in zip(graph.inputs, operands, strict=True):
                    place = frame.place(outer)
                    places.known[value] = Place(value, value.shape, place.strides)
                    resource = frame.resources[place.root]
                    inner.bind(value, partial(frame.pointer, outer), resource)
                _rebase(places, plan)
                inner.run(graph.nodes)
                for value, outer in zip(graph.outputs, outputs, strict=True):
                    made = Value(None, value.shape, value.dtype)
                    places.known[made] = places.own(made)
                    resource = frame.resources[frame.place(outer).root]
                    inner.bind(made, partial(frame.pointer, outer), resource)
                    inner.copy(value, made)
                session.barrier()
