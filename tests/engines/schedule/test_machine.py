"""What nodes are expected to cost: how costs compare, since times are the machine's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chainrule.engines.schedule.assign_layouts import assign_layouts, laid_out
from chainrule.engines.schedule.layout import blocked_values, choose_blocked
from chainrule.engines.schedule.machine import machine
from chainrule.engines.schedule.maps import in_loops
from chainrule.engines.schedule.sharing import Partition
from chainrule.engines.schedule.work import flops, innermost, moved
from chainrule.graph.emit import trace
from chainrule.graph.node import Node, Value
from chainrule.graph.program import Entry
from chainrule.graph.types import ArrayType, DType, SymbolicDim
from chainrule.primitives.elementwise import add, div, exp, mul
from chainrule.primitives.indexing import take
from chainrule.primitives.matmul import dot
from chainrule.primitives.movement import (
    broadcast_to,
    copy,
    full_like,
    reduce_sum,
    transpose,
)
from chainrule.primitives.reduce import reduce_max

N = SymbolicDim("N")
SIZES = {"N": 64}


def last(function: Callable[..., Any], *shapes: Any) -> tuple[Node, Any]:
    """The last node of a function that works, and where values lie."""
    types = [s if isinstance(s, ArrayType) else f32(*s) for s in shapes]
    graph = trace(function, types, name="f")
    for i, value in enumerate(graph.inputs):
        value.name = f"x{i}"
    names = tuple(v.name or "" for v in graph.inputs)
    entry = in_loops(Entry("f", graph, names, (), (), {}, len(graph.outputs)))
    blocked = choose_blocked([entry])
    made = assign_layouts(entry.graph, entry, blocked)
    views = laid_out(made, blocked_values(entry, blocked)).known
    return [n for n in made.nodes if not n.primitive.view][-1], views


def f32(*shape: Any) -> ArrayType:
    return ArrayType(shape, DType.float32)


def cost(function: Callable[..., Any], *shapes: Any) -> float:
    node, views = last(function, *shapes)
    return machine(1).microseconds(node, SIZES, views)


def product(x: Value, w: Value) -> Value:
    return dot(x, w, "nk,km->nm")


def rows(x: Value, bias: Value) -> Value:
    return add(x, broadcast_to(bias, shape=x.shape))


S = (N, 512)
CHEAP_DEAR = {
    "more rows": ((product, (32, 64), (64, 64)), (product, (64, 64), (64, 64))),
    "a function": ((lambda x: add(x, x), S), (lambda x: exp(x), S)),
    "more operations": (
        (lambda x: mul(x, x), S),
        (lambda x: exp(mul(exp(x), full_like(x, 0.5))), S),
    ),
    "quotients": (
        (lambda x: mul(x, mul(x, x)), S),
        (lambda x: div(x, div(x, x)), S),
    ),
    "short rows": ((rows, (N, 512), (512,)), (rows, (N * 128, 4), (4,))),
    "a turn": (
        (lambda x: copy(x), (256, 512)),
        (lambda x: copy(transpose(x, axes=(1, 0))), (512, 256)),
    ),
    "one sum at a time": (
        (lambda x: reduce_max(x, axes=(1,)), (N, 128)),
        (lambda x: reduce_sum(x, axes=(2,)), (N, 32, 4)),
    ),
    "main memory": (
        (lambda x, i: take(x, i), (100, 784), ArrayType((N,), DType.int32)),
        (lambda x, i: take(x, i), (60_000, 784), ArrayType((N,), DType.int32)),
    ),
    "twice the bytes of a number": (
        (product, (64, 64), (64, 64)),
        (product, *[ArrayType((64, 64), DType.float64)] * 2),
    ),
}


@pytest.mark.parametrize("why", CHEAP_DEAR)
def test_what_is_dearer(why: str) -> None:
    cheap, dear = (cost(function, *shapes) for function, *shapes in CHEAP_DEAR[why])
    assert cheap * 1.2 < dear


def test_products_are_made_of_whole_vectors() -> None:
    ten, sixteen, more = (cost(product, (N, 64), (64, m)) for m in (10, 16, 17))
    assert ten == pytest.approx(sixteen)
    assert more == pytest.approx(2 * sixteen, rel=0.1)


def test_what_is_repeated_is_read_once() -> None:
    node, _ = last(rows, (N, 512), (512,))
    assert moved(node, SIZES) == 4 * (2 * 64 * 512 + 512)


def test_what_is_looked_up_is_read_alone() -> None:
    index = ArrayType((N,), DType.int32)
    node, _ = last(lambda x, i: take(x, i), (60_000, 784), index)
    assert moved(node, SIZES) == 4 * 64 * (2 * 784 + 1)
    assert flops(node, SIZES) == 0


def test_flops_are_those_of_all_that_is_fused() -> None:
    node, views = last(lambda x: reduce_sum(mul(exp(x), x), axes=(0, 1)), (32, 64))
    assert flops(node, SIZES) == 3 * 32 * 64
    assert innermost(node, SIZES, views) == (32 * 64, 0)


@pytest.mark.parametrize(
    ("units", "threads", "most"), [(64, 2, 32), (3, 2, 2), (1, 4, 1), (None, 4, 1)]
)
def test_the_busiest_thread(units: int | None, threads: int, most: int) -> None:
    partition = None if units is None else Partition(0, 1, units)
    of, call = machine(threads), machine(threads).call
    part = of.busiest(partition, call + 100.0, SIZES) - call
    assert part == pytest.approx(100.0 * most / (units or 1))
