"""Random programs: both engines against the references, whatever the graph.

Memory is planned (views, reuse, results written over operands, state replaced in
place) and threads meet only at barriers that the emitter thought necessary. Wrong plans
show only for some graphs, so graphs are drawn at random: movements, products,
reductions and elementwise chains over a few matrices, with state that the program
changes and reads again.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from chainrule.engines import load_engine
from chainrule.graph.build import Trace, constant, tracing
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Value
from chainrule.graph.program import Entry, Program
from chainrule.graph.types import DType, Size
from chainrule.primitives.elementwise import add, maximum, mul, sub, tanh
from chainrule.primitives.matmul import dot
from chainrule.primitives.movement import (
    broadcast_to,
    flip,
    full_like,
    reduce_sum,
    reshape,
    slice_,
    transpose,
)
from chainrule.primitives.reduce import reduce_max
from chainrule.regions.activations import relu, sigmoid, softmax
from chainrule.regions.updates import adam_update

ENGINES = ["numpy"]
if importlib.util.find_spec("llvmlite") is not None:
    ENGINES.append("native")
#: Sizes that meet every path: a vector's width, panels, odd ones, work for threads.
WIDTHS = [1, 3, 16, 33, 64, 128]


def grow(draw, pool: list[Value]) -> None:
    """Add one value computed from the pool."""
    x = draw(st.sampled_from(pool))
    alike = [v for v in pool if v.shape == x.shape]
    y = draw(st.sampled_from(alike))
    kind = draw(st.integers(0, 11))
    if kind == 0:
        made = draw(st.sampled_from([add, sub, mul, maximum]))(x, y)
    elif kind == 1:
        made = draw(st.sampled_from([tanh, sigmoid, relu]))(x)
    elif kind == 2 and len(x.shape) == 2:
        made = transpose(x, axes=(1, 0))
    elif kind == 3 and len(x.shape) == 2:
        made = softmax(x, axis=draw(st.integers(0, 1)))
    elif kind == 4 and x.shape:
        axis = draw(st.integers(0, len(x.shape) - 1))
        op = draw(st.sampled_from([reduce_sum, reduce_max]))
        made = op(x, axes=(axis,))
    elif kind == 5:
        made = broadcast_to(
            reduce_sum(x, axes=tuple(range(len(x.shape)))), shape=x.shape
        )
    elif kind == 6 and len(x.shape) == 2:
        partners = [
            (v, dims)
            for v in pool
            if len(v.shape) == 2
            for dims, fits in (
                ("ik,kj->ij", x.shape[1] == v.shape[0]),
                ("ik,jk->ij", x.shape[1] == v.shape[1]),
                ("ki,kj->ij", x.shape[0] == v.shape[0]),
                ("ik,jk->ji", x.shape[1] == v.shape[1]),
            )
            if fits and not (isinstance(x.shape[dims.startswith("k")], Size))
        ]
        if not partners:
            return
        v, dims = draw(st.sampled_from(partners))
        out_sizes = [x.shape["ik".index("i")] if dims[0] == "i" else x.shape[1]]
        out_sizes.append(v.shape[dims.split(",")[1].split("-")[0].index("j")])
        if sum(isinstance(s, Size) for s in out_sizes) > 1:
            return
        made = mul(dot(x, v, dims), full_like(dot(x, v, dims), 0.05))
    elif kind == 7 and x.shape and isinstance(x.shape[-1], int):
        made = flip(x, axes=(len(x.shape) - 1,))
    elif kind == 8 and len(x.shape) == 2 and isinstance(x.shape[1], int):
        first = draw(st.integers(0, x.shape[1] - 1))
        rows = x.shape[0]
        made = slice_(x, starts=(0, first), stops=(rows, x.shape[1]), strides=(1, 1))
    elif kind == 9 and len(x.shape) == 1:
        made = reshape(x, shape=(*x.shape, 1))
    elif kind == 10 and len(x.shape) == 2 and all(isinstance(d, int) for d in x.shape):
        made = reshape(x, shape=(x.shape[0] * x.shape[1],))
    elif kind == 11:
        made = mul(x, full_like(x, 0.5))
    else:
        return
    if len(made.shape) <= 2:
        pool.append(made)


@st.composite
def programs(draw) -> tuple[Program, int]:
    """A program with a batch, two states of one shape and a weight with its moments."""
    few = draw(st.lists(st.sampled_from(WIDTHS), min_size=1, max_size=2))
    a, b, c = (draw(st.sampled_from(few)) for _ in range(3))
    n = Size("N")

    def given_value(name: str, *shape: Any) -> Value:
        return Value(None, shape, DType.float32, name=name)

    batch, other = given_value("batch", n, a), given_value("other", c, b)
    weight, m, v = (given_value(k, b, a) for k in ("weight", "m", "v"))
    left, right = (given_value(k, a, c) for k in ("left", "right"))
    inputs, states = [batch, other], [weight, m, v, left, right]
    with tracing(Trace()):
        pool = [batch, other, weight, left, right]
        pool.append(dot(batch, weight, "ni,oi->no"))
        for _ in range(draw(st.integers(3, 14))):
            grow(draw, pool)
        fixed = [p for p in pool if p.shape == weight.shape]
        gradient = draw(st.sampled_from(fixed))
        scalars = [constant(s, "float32") for s in (0.9, 0.1, 0.99, 0.01, 0.01, 0.1)]
        new = adam_update(weight, gradient, m, v, *scalars)
        alike = [p for p in pool if p.shape == left.shape]
        replaced = {"weight": new[0], "m": new[1], "v": new[2]}
        for state in ("left", "right"):
            if draw(st.booleans()):
                replaced[state] = draw(st.sampled_from([*alike, left, right]))
        visible = draw(st.lists(st.sampled_from([*pool, *new]), min_size=1, max_size=4))
    graph = Graph("main", [*inputs, *states], [*visible, *replaced.values()])
    names = tuple(s.name or "" for s in states)
    places = {k: len(visible) + i for i, k in enumerate(replaced)}
    entry = Entry("main", graph, ("batch", "other"), (), names, places, len(visible))
    return Program({"main": entry}), draw(st.sampled_from([1, 2, 5, 40]))


@pytest.mark.parametrize("engine", ENGINES)
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(made=programs())
def test_random_programs(engine: str, made: tuple[Program, int]) -> None:
    check(engine, *made)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=programs())
def test_many_random_programs(engine: str, made: tuple[Program, int]) -> None:
    check(engine, *made)


def check(engine: str, program: Program, n: int) -> None:
    """Two steps on the engine, with 1, 2 and 3 threads, against the references."""
    note(f"N = {n}\n{program}")
    entry = program.entries["main"]
    rng = np.random.default_rng(0)
    arrays = {
        v.name: np.asarray(
            rng.uniform(
                -1, 1, [d.at({"N": n}) if isinstance(d, Size) else d for d in v.shape]
            ),
            np.float32,
        )
        for v in entry.graph.inputs
    }
    arrays["v"] = abs(arrays["v"])
    bits: list[list[bytes]] = []
    for threads in (1, 2, 3) if engine == "native" else (1,):
        executable = load_engine(engine, program, threads=threads)
        held = dict(arrays)
        for name in entry.state:
            executable.write(name, held[name])
        seen: list[bytes] = []
        for _ in range(2):
            wanted = evaluate(entry.graph, [held[v.name] for v in entry.graph.inputs])
            given_arrays = {k: held[k] for k in entry.inputs}
            got = executable.run("main", given_arrays, steps=1, sizes={"N": n})
            for value, (mine,) in zip(wanted, got):
                close(mine, value)
            for name, index in entry.replaces.items():
                mine = executable.read(name)
                close(mine, wanted[index])
                held[name] = mine  # rounding must not add up over steps
                seen.append(mine.tobytes())
            seen += [a.tobytes() for a in got]
        bits.append(seen)
    assert all(b == bits[0] for b in bits[1:]), "the bits depend on the threads"


def close(got: np.ndarray, wanted: np.ndarray) -> None:
    scale = max(1.0, float(np.max(np.abs(wanted), initial=0.0)))
    np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-4 * scale)
