"""The native engine's compiler: from a program to its entry points' machine code.

A process imports this module only if it does not find the code in the cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from llvmlite import ir

from chainrule.engines.native.emit.body import BodyBuilder, plan_memory
from chainrule.engines.native.emit.entry_points import (
    Clock,
    FunctionBuilder,
    as_written,
)
from chainrule.engines.native.emit.lower import lower, scratch_bytes
from chainrule.engines.native.loops.kernels import Kernels, for_loop, remember, times
from chainrule.engines.native.loops.work_splitting import divides, passes_on
from chainrule.engines.native.math.scalar import I8, I32, I64, POINTER
from chainrule.engines.native.runtime import jit
from chainrule.engines.native.runtime.code import Code, link_kernels
from chainrule.engines.native.runtime.thread_pool import (
    emit_flush_denormals,
    emit_restore_denormals,
)
from chainrule.engines.runtime_checks import ahead
from chainrule.engines.schedule.assign_layouts import assign_layouts, laid_out
from chainrule.engines.schedule.layout import blocked_values, choose_blocked
from chainrule.engines.schedule.machine import machine
from chainrule.engines.schedule.maps import in_loops
from chainrule.engines.schedule.order import ordered
from chainrule.engines.schedule.schedule import Schedule
from chainrule.engines.schedule.tiles import in_tiles
from chainrule.engines.threads import available_cores
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.program import Entry, Program
from chainrule.graph.types import Sizes, size_of


class LoweredProgram:
    """A program after the graph passes, with the memory layout of its state.

    Attributes:
        blocked: the width of the blocks in which a state lies, by its name.
        entries: the entry points, with copies where a kernel needs another layout.
    """

    def __init__(self, program: Program) -> None:
        looped = {name: in_loops(entry) for name, entry in program.entries.items()}
        self.blocked = choose_blocked(looped.values())
        self.entries = {
            name: entry.with_graph(assign_layouts(entry.graph, entry, self.blocked))
            for name, entry in looped.items()
        }


@dataclass(frozen=True)
class Emitted:
    """The generated LLVM IR of an entry point, with its kernels and schedule.

    Attributes:
        text: LLVM IR of the entry point itself.
        kernels: those that no entry point has needed before, by their keys.
        called: the names of all that it calls.
        schedule: its nodes in order, and how threads divide them.
        arena_bytes, private_bytes, conditions: see :class:`Code`.
        clock: the place of each node's ticks; none where nobody counts them.
    """

    text: str
    kernels: Mapping[Any, jit.Kernel]
    called: tuple[str, ...]
    schedule: Schedule
    arena_bytes: int
    private_bytes: int
    conditions: list[Mapping[str, str]]
    clock: Clock

    def compiled(self) -> Code:
        """Compile an entry point's LLVM IR to machine code, with its kernels loaded."""
        packs = link_kernels(self.kernels.values(), self.called)
        remember(self.kernels)
        return Code(
            jit.entry_code(self.text),
            self.arena_bytes,
            self.private_bytes,
            [dict(condition) for condition in self.conditions],
            packs,
        )


def emitted(
    entry: Entry,
    blocked: dict[str, int],
    largest: Sizes,
    clock: Clock | None = None,
) -> Emitted:
    """Generate the LLVM IR of a program's entry point for sizes up to ``largest``.

    ``clock``: filled with the place of each node's ticks, which are then counted.
    """
    views = laid_out(entry.graph, blocked_values(entry, blocked)).known
    entry = in_tiles(entry, views, passes_on(largest))
    views = laid_out(entry.graph, blocked_values(entry, blocked)).known
    cost = machine(available_cores())
    first = ahead(entry.graph) if entry.replaces else frozenset[Node]()
    schedule = ordered(entry, views, largest, cost, divides(views), first)
    entry, partitions, own = schedule.entry, schedule.partitions, schedule.own
    layouts = laid_out(entry.graph, blocked_values(entry, blocked))
    plan = plan_memory(
        entry, layouts, largest, lambda node: scratch_bytes(node, largest)
    )
    entry = plan.entry
    # Copies that the planner has added lie like the state that they become.
    layouts.blocked.update(blocked_values(entry, blocked))
    for node in entry.graph.nodes:
        if any(v not in layouts.known for v in node.outputs if v is not None):
            layouts.add(node)

    module = ir.Module(entry.name)
    kind = ir.FunctionType(ir.VoidType(), [POINTER, I32, I32])
    function = ir.Function(module, kind, "entry")
    as_written(function)
    b = ir.IRBuilder(function.append_basic_block("start"))
    saved = emit_flush_denormals(b)
    names = ["steps", "arena", "barrier", "status", "private", "private bytes"]
    names += ["clock", "completed"]
    names += largest
    names += [f"state/{name}" for name in entry.state]
    names += [f"input/{name}" for name in entry.inputs]
    names += [f"output/{i}" for i in range(entry.outputs)]
    words = {name: i for i, name in enumerate(names)}
    code = FunctionBuilder(
        module, Kernels(module), words, largest, lower, scratch_bytes, clock
    )
    counters = b.alloca(ir.ArrayType(I64, _loops(entry.graph)))
    counters.type = POINTER
    code.begin(b, function.args, counters)
    builder = BodyBuilder(code, plan, layouts, partitions, ("arena", 0, 0), own)
    graph = entry.graph
    for value, name in plan.state_of.items():
        builder.bind(
            value,
            partial(code.address, f"state/{name}"),
            (("state", name), 0, 1),
        )
    loop = code.new_counter()
    steps = for_loop(b, I64(0), code.word("steps"), "step")
    with code.clocked(None), steps as step, code.repeated():
        code.count(loop, step)
        for value in graph.inputs[: len(entry.inputs)]:
            at = partial(code.address, f"input/{value.name}")
            if value.name in entry.each:
                at = partial(_row, code, f"input/{value.name}", value, loop)
            builder.bind(value, at, (("input", value.name), 0, 1))
        for value, i in plan.output_of.items():
            at = partial(_row, code, f"output/{i}", value, loop)
            builder.bind(value, at, (("output", i), 0, 1))
        builder.run(graph.nodes[: plan.commit])
        for condition in plan.checks:
            builder.check(condition)
        if plan.commit:
            code.commit(lambda: emit_restore_denormals(b, saved))
        builder.run(graph.nodes[plan.commit :])
        for i, value in enumerate(graph.outputs[: entry.outputs]):
            if plan.output_of.get(plan.root[value]) == i:
                continue
            out = Value(None, value.shape, value.dtype)
            layouts.known[out] = layouts.own(out)
            at = partial(_row, code, f"output/{i}", value, loop)
            builder.bind(out, at, (("output", i), 0, 1))
            builder.partition = builder.share_like(value)
            builder.copy(value, out)
        states = dict(zip(entry.state, graph.inputs[len(entry.inputs) :]))
        for value, name in plan.copies:
            builder.partition = builder.share_like(value)
            builder.copy(value, states[name])
        code.count_step()
    emit_restore_denormals(b, saved)
    b.ret_void()
    return Emitted(
        str(module),
        code.kernels.new,
        tuple(code.kernels.called),
        replace(schedule, bodies=code.bodies),
        plan.arena,
        code.private_bytes,
        code.conditions,
        clock or {},
    )


def _loops(graph: Graph) -> int:
    """Return an upper bound of the loop counters that an entry point's code needs."""
    bodies = [a for n in graph.nodes for a in n.attrs.values() if isinstance(a, Graph)]
    return 1 + sum(map(_loops, bodies))


def _row(code: FunctionBuilder, name: str, value: Value, loop: int) -> Any:
    """Emit the address of the current step's row in an input or output array."""
    b = code.b
    size = times(b, code.dim(size_of(value.shape)), I64(value.dtype.itemsize))
    offset = times(b, size, code.counter(loop))
    return b.gep(code.address(name), [offset], source_etype=I8)
