"""Schedules of random programs: their rules hold, and planted faults are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from chainrule.engines.schedule.assign_layouts import assign_layouts, laid_out
from chainrule.engines.schedule.layout import blocked_values, choose_blocked
from chainrule.engines.schedule.machine import machine
from chainrule.engines.schedule.maps import fused, in_loops
from chainrule.engines.schedule.order import ordered
from chainrule.engines.schedule.schedule import Schedule, Step, verify
from chainrule.errors import GraphError
from chainrule.graph.emit import trace
from chainrule.graph.interpret import evaluate
from chainrule.graph.program import Entry, Program
from chainrule.graph.types import ArrayType, DType, SymbolicDim
from chainrule.graph.verify import verify as verify_graph
from chainrule.primitives.elementwise import add, convert, exp, maximum, mul, sub
from chainrule.primitives.indexing import take
from chainrule.primitives.matmul import dot
from chainrule.primitives.movement import broadcast_to, full_like, reduce_sum
from tests.engines.test_random_graphs import programs

FEW = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
N = SymbolicDim("N")


def anywhere(node, partition) -> bool:
    """An engine that divides every node along any axis of a row-major result."""
    return True


def schedule_of(entry: Entry, n: int, threads: int):
    """The schedule of an entry point, and where its values lie."""
    entry = in_loops(entry)
    blocked = choose_blocked([entry])
    entry = entry.with_graph(assign_layouts(entry.graph, entry, blocked))
    views = laid_out(entry.graph, blocked_values(entry, blocked)).known
    made = ordered(entry, views, {"N": n}, machine(threads), anywhere)
    return made, laid_out(made.entry.graph, blocked_values(made.entry, blocked)).known


@FEW
@given(made=programs())
def test_fused_programs_compute_the_same(made: tuple[Program, int]) -> None:
    program, n = made
    entry = program.entries["main"]
    rng = np.random.default_rng(0)
    arrays = [
        np.asarray(
            abs(rng.uniform(-1, 1, [n if d == N else d for d in v.shape])), np.float32
        )
        for v in entry.graph.inputs
    ]
    other = in_loops(entry).graph
    verify_graph(other)
    pairs = zip(evaluate(other, arrays), evaluate(entry.graph, arrays), strict=True)
    for mine, wanted in pairs:
        scale = max(1.0, float(np.max(np.abs(wanted), initial=0.0)))
        np.testing.assert_allclose(mine, wanted, rtol=0, atol=1e-4 * scale)


@FEW
@given(made=programs())
def test_schedules_keep_the_rules(made: tuple[Program, int]) -> None:
    program, n = made
    for threads in (1, 2, 3):
        schedule, views = schedule_of(program.entries["main"], n, threads)
        verify(schedule, views)
        assert str(schedule).startswith("schedule main")


def network(n: int = 4096):
    """Two layers forward, a gradient and its update: several phases."""

    def step(x, w, u):
        a = maximum(dot(x, w, "ni,oi->no"), full_like(dot(x, w, "ni,oi->no"), 0.0))
        y = dot(a, u, "no,po->np")
        grad = dot(y, a, "np,no->po")
        rate = full_like(u, 0.1)
        return reduce_sum(y, axes=(0, 1)), sub(u, mul(grad, rate))

    types = [ArrayType(s, DType.float32) for s in ((N, 64), (128, 64), (64, 128))]
    graph = trace(step, types, name="main")
    for name, value in zip(("x", "w", "u"), graph.inputs):
        value.name = name
    entry = Entry("main", graph, ("x",), (), ("w", "u"), {"u": 1}, 1)
    return schedule_of(entry, n, 2)


def test_a_network_forward_is_a_phase_where_threads_divide_the_batch() -> None:
    schedule, _ = network()
    phases = [[s for s in phase if not s.free] for phase in schedule.phases]
    first = [s for s in phases[0] if s.node.primitive.name == "dot_general"]
    assert len(first) == 2
    assert all(s.partition and s.partition.units == N for s in first)
    assert len(phases) <= 3
    assert "N parts of axis 0" in str(schedule)


def moved(schedule: Schedule, phases: list[list[Step]]) -> Schedule:
    return replace(schedule, phases=tuple(map(tuple, phases)))


def test_planted_faults_are_refused() -> None:
    schedule, views = network()
    verify(schedule, views)
    phases = [list(phase) for phase in schedule.phases]
    steps = [s for phase in phases for s in phase]
    faults = {
        "one phase": [steps],
        "back to front": [steps[::-1]],
        "a step is missing": [[s] for s in steps[:-1]],
        "a step stands twice": [[s] for s in [*steps, steps[-1]]],
    }
    for fault in faults.values():
        with pytest.raises(GraphError, match="schedule breaks a rule"):
            verify(moved(schedule, fault), views)


def gathered(n: int = 64):
    """A batch is gathered and scaled, and a layer learns from it."""

    def step(x, rows, w):
        pixels = convert(take(x, rows), dtype=DType.float32)
        scaled = mul(pixels, full_like(pixels, 1 / 255))
        y = exp(dot(scaled, w, "ni,oi->no"))
        rate = full_like(w, 1e-4)
        return y, sub(w, mul(dot(y, scaled, "no,ni->oi"), rate))

    kinds = ((1000, 784), DType.uint8), ((N,), DType.int32), ((128, 784), DType.float32)
    graph = trace(step, [ArrayType(*kind) for kind in kinds], name="main")
    for name, value in zip(("x", "rows", "w"), graph.inputs):
        value.name = name
    entry = Entry("main", graph, ("x", "rows"), (), ("w",), {"w": 1}, 1)
    return entry, *schedule_of(entry, n, 2)


def made(schedule: Schedule):
    """The shapes of what each thread has for itself."""
    return {v.shape for node in schedule.own for v in node.outputs if v is not None}


def test_what_is_cheaper_made_than_fetched_each_thread_has_for_itself() -> None:
    _, schedule, views = gathered()
    assert (N, 784) in made(schedule)
    assert "f32[N,784] = convert·mul(%1), each thread for itself" in str(schedule)
    verify(schedule, views)
    _, large, _ = gathered(n=1024)
    assert (N, 784) not in made(large), "what no core could keep is not made twice"


def test_planted_faults_of_what_is_each_threads_own_are_refused() -> None:
    _, schedule, views = gathered()
    phases = [list(phase) for phase in schedule.phases]
    made = schedule.entry.graph.outputs[-1].node
    outward = [[replace(s, own=s.own or s.node is made) for s in p] for p in phases]
    shared = [[replace(s, own=False) for s in p] for p in phases]
    for fault, rule in (
        (outward, "where it is an output"),
        (shared, "within its phase"),
    ):
        with pytest.raises(GraphError, match=rule):
            verify(moved(schedule, fault), views)


# -- fusing ----------------------------------------------------------------------------


def fused_nodes(function, *shapes):
    graph = trace(function, [ArrayType(s, DType.float32) for s in shapes], name="f")
    for i, value in enumerate(graph.inputs):
        value.name = f"x{i}"
    names = tuple(v.name or "" for v in graph.inputs)
    entry = Entry("f", graph, names, (), (), {}, len(graph.outputs))
    made = in_loops(entry).graph
    return [n for n in made.nodes if n.primitive is fused], made


def test_a_chain_is_one_loop() -> None:
    loops, graph = fused_nodes(lambda x, y: exp(mul(add(x, y), y)), (8, 3), (8, 3))
    assert len(loops) == 1
    assert len(graph.nodes) == 1
    assert len(loops[0].attrs["body"].nodes) == 3


def test_what_somebody_else_reads_in_between_ends_a_loop() -> None:
    def function(x):
        y = exp(x)
        return mul(y, broadcast_to(reduce_sum(y, axes=(0,)), shape=y.shape))

    loops, graph = fused_nodes(function, (8, 3))
    assert not loops
    assert [n.primitive.name for n in graph.nodes if not n.primitive.view] == [
        "exp",
        "reduce_sum",
        "mul",
    ]


def test_results_of_a_loop_that_others_read_are_kept() -> None:
    def function(x):
        y = exp(x)
        z = mul(y, y)
        return z, reduce_sum(y, axes=(1,))

    loops, _ = fused_nodes(function, (8, 3))
    assert [len(loop.outputs) for loop in loops] == [2]


def test_a_whole_sum_is_a_fold_of_its_loop() -> None:
    loops, graph = fused_nodes(lambda x: reduce_sum(mul(x, x), axes=(0, 1)), (128, 100))
    assert len(loops) == 1
    assert loops[0].attrs["partial_sums"] == (2,)
    array = np.random.default_rng(0).uniform(-1, 1, (128, 100)).astype(np.float32)
    np.testing.assert_allclose(evaluate(graph, [array])[0], (array**2).sum(), rtol=1e-5)


# -- as it is shown --------------------------------------------------------------------


def test_a_schedule_says_for_what_it_is_and_what_all_of_it_costs() -> None:
    schedule, _ = network(256)
    head, first, *_ = str(schedule).splitlines()
    assert head == "schedule main for N = 256 on 2 threads"
    assert first.startswith("phase 1, ")
    total = sum(schedule.cost_of(step) for step in schedule.steps)
    assert schedule.cost == pytest.approx(total)
    assert schedule.on(1).cost > 1.5 * schedule.cost
    assert "on one thread" in str(schedule.on(1))


def test_what_a_loop_repeats_counts_as_often() -> None:
    inner, _ = network(256)
    once = [replace(step, once=True) for step in inner.steps]
    (first, *_), *_ = inner.phases
    outer = replace(inner, phases=((first,),), bodies={first.node: (inner,)})
    assert outer.cost == pytest.approx(inner.cost)
    ten = replace(outer, bodies={first.node: (replace(inner, rounds=10),)})
    assert ten.cost == pytest.approx(10 * inner.cost)
    steady = replace(inner, rounds=10, phases=(tuple(once),))
    assert steady.cost == pytest.approx(inner.cost)
    by_size = replace(inner, rounds=N)
    assert by_size.cost == pytest.approx(256 * inner.cost)


def test_a_weight_that_all_have_read_is_taken_back() -> None:
    schedule, _ = network()
    (update,) = [s for s in schedule.steps if s.taken]
    assert "sub" in update.does
    bare = replace(update, taken=0.0)
    assert schedule.cost_of(update) == schedule.cost_of(bare) + update.taken
    alone = schedule.on(1)
    assert alone.cost_of(update) == alone.cost_of(bare)
