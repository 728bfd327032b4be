"""Loops whose bodies have named sizes, with what needs memory of its own inside."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.composites.control import scan
from chainrule.engines import load_engine
from chainrule.graph.emit import trace, tracing
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Value
from chainrule.graph.types import ArrayType, DType, SymbolicDim
from chainrule.primitives.creation import iota
from chainrule.primitives.elementwise import add, convert, mul
from chainrule.primitives.indexing import dynamic_slice, gather
from chainrule.primitives.movement import (
    concatenate,
    expand,
    flip,
    full_like,
    reduce_sum,
    reshape,
    slice_,
)
from chainrule.primitives.reduce import cumsum
from chainrule.primitives.sorting import argsort
from tests.conformance.test_engines import ENGINES, assert_close, program_of

N, T = SymbolicDim("N"), SymbolicDim("T")


def body() -> Graph:
    """Carries a (2, N) and counts; gives its rows sorted, cut and put together."""
    carry = Value(None, (2, N), DType.float32, name="carry")
    count = Value(None, (), DType.int32, name="count")
    row = Value(None, (N,), DType.float32, name="row")
    with tracing():
        total = add(carry, expand(reshape(row, shape=(1, N)), carry, (0,)))
        order = argsort(total, axis=1, descending=False)
        ordered = flip(gather(total, order, axis=1), axes=(1,))
        steps = convert(iota(shape=(2, N), axis=1, dtype=DType.int32), dtype=row.dtype)
        new = add(
            mul(cumsum(ordered, axis=1, reverse=False), full_like(steps, 0.1)), steps
        )
        first = slice_(new, starts=(1, 0), stops=(2, N), strides=(1, 1))
        both = concatenate(first, new, axis=0)
        zero = reduce_sum(mul(count, full_like(count, 0)), axes=())
        picked = dynamic_slice(both, count, zero, sizes=(1, N))
        after = add(count, full_like(count, 1))
    return Graph("body", (carry, count, row), (new, after, picked))


@pytest.mark.parametrize("reverse", [False, True])
def test_a_body_over_named_sizes(reverse: bool, rng: np.random.Generator) -> None:
    kinds = [
        ArrayType((2, N), DType.float32),
        ArrayType((), DType.int32),
        ArrayType((T, N), DType.float32),
    ]
    inner = body()

    def function(*values: Value) -> tuple[Value, ...]:
        loop = {"length": T, "constants": 0, "carries": 2, "reverse": reverse}
        return scan(*values, body=inner, **loop)

    graph = trace(function, kinds, name="main")
    loaded = [load_engine(e, program_of(graph), threads=2) for e in ENGINES]
    for n, t in ((4, 2), (9, 3), (1, 1), (2, 2)):
        carry, rows = rng.uniform(-1, 1, (2, n)), rng.uniform(-1, 1, (t, n))
        arrays = [carry.astype("f4"), np.int32(0), rows.astype("f4")]
        wanted = evaluate(graph, arrays)
        names = {v.name or "": np.asarray(a) for v, a in zip(graph.inputs, arrays)}
        for executable in loaded:
            got = executable.run("main", names, steps=1, sizes={"N": n, "T": t})
            for mine, want in zip(got, wanted, strict=True):
                assert_close(mine[0], want, f"{executable.engine}, N = {n}, T = {t}")


@pytest.mark.parametrize("length", [0, 1, 3])
def test_carries_that_change_places(length: int, rng: np.random.Generator) -> None:
    """What a step gives back it was given: nothing may lie over it before."""
    kind = ArrayType((2, 3), DType.float32)

    def step(k: Value, h: Value, c: Value, x: Value) -> tuple[Value, ...]:
        return c, h, h, x, k, mul(k, c)

    inner = trace(step, [kind] * 4, name="step")
    loop = {"length": length, "constants": 1, "carries": 2, "reverse": False}
    rows = ArrayType((length, 2, 3), DType.float32)
    graph = trace(
        lambda *values: scan(*values, body=inner, **loop),
        [kind, kind, kind, rows],
        name="main",
    )
    arrays = [rng.uniform(-1, 1, v.shape).astype("f4") for v in graph.inputs]
    names = dict(zip([v.name or "" for v in graph.inputs], arrays))
    wanted = evaluate(graph, arrays)
    for engine in ENGINES:
        executable = load_engine(engine, program_of(graph), threads=1)
        for _ in range(2):
            got = executable.run("main", names, steps=1, sizes={})
            for mine, want in zip(got, wanted, strict=True):
                assert_close(mine[0], want, engine)
