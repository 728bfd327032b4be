"""Loops over elements piece by piece: every result, whatever lies over what."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from chainrule.engines import load_engine
from chainrule.engines.numpy import loops
from chainrule.engines.schedule.maps import fused
from chainrule.graph.emit import emit, tracing
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Value
from chainrule.graph.program import Entry, Program
from chainrule.graph.types import DType
from chainrule.primitives.elementwise import add, exp, mul, sub
from chainrule.primitives.movement import broadcast_to, transpose

SHAPES = [(), (0,), (7,), (41,), (5, 3), (2, 100), (3, 7, 11), (1, 1, 90), (30, 1, 2)]


@pytest.mark.parametrize("shape", SHAPES)
def test_pieces_are_everything_once(shape) -> None:
    counts = np.zeros(shape)
    for part in loops.pieces(shape, 20):
        piece = counts[(*part, ...)]
        piece += 1
        assert piece.size <= 20
    np.testing.assert_array_equal(counts, 1)


def over(scalar: Value, like: Value) -> Value:
    return broadcast_to(scalar, shape=like.shape) if like.shape else scalar


def read_again(x: Value, y: Value, s: Value) -> Sequence[Value]:
    total = add(x, y)
    product = mul(x, total)
    return total, sub(product, y)


#: Results of loops over x, y and a scalar, of which the last may be summed.
BODIES: dict[str, tuple[Callable[..., Sequence[Value]], int]] = {
    "operands": (lambda x, y, s: (y, x), 0),
    "an operand": (lambda x, y, s: (y, add(x, y)), 0),
    "read again": (read_again, 0),
    "two terms": (lambda x, y, s: (y, add(mul(x, x), exp(mul(x, over(s, x))))), 0),
    "one twice": (lambda x, y, s: (mul(x, y),) * 2, 0),
    "a number": (lambda x, y, s: (over(s, x), add(x, y)), 0),
    "sums": (lambda x, y, s: (add(x, y), exp(y), mul(x, x), x, over(s, x)), 3),
    "only sums": (lambda x, y, s: (y, mul(x, y)), 2),
    "an array and its sum": (lambda x, y, s: (add(x, y), y, add(x, y)), 1),
}


@pytest.mark.parametrize(
    ("shape", "turned"), [((6, 5), False), ((6, 5), True), ((), False)]
)
@pytest.mark.parametrize("cache", [40, 150, 1 << 20])
@pytest.mark.parametrize("name", BODIES)
def test_every_result_of_a_loop(name, cache, shape, turned, rng, monkeypatch) -> None:
    """The first two replace what the loop reads, so they may be stored over it."""
    monkeypatch.setattr(loops, "CACHE", cache)
    function, folded = BODIES[name]
    x, y = (Value(None, shape, DType.float32, name=name) for name in "xy")
    s = Value(None, (), DType.float32, name="s")
    inner = [Value(None, v.shape, v.dtype) for v in (x, y, s)]
    with tracing():
        results = function(*inner)
        sums = (0,) * (len(results) - folded) + (1,) * folded
        attrs = {"body": Graph("fused", inner, results), "partial_sums": sums}
        other = y
        if turned:
            square = Value(None, (5, 6), DType.float32, name="y")
            other, y = transpose(square, axes=(1, 0)), square
        made = emit(fused, (x, other, s), attrs)
        replaced = dict(zip("xy", made)) if not any(sums[:2]) else {}
        if turned and replaced:
            replaced["y"] = transpose(replaced["y"], axes=(1, 0))
    graph = Graph("main", [s, x, y], [*made, *replaced.values()])
    places = {k: len(made) + i for i, k in enumerate(replaced)}
    entry = Entry("main", graph, ("s",), (), ("x", "y"), places, len(made))
    executable = load_engine("numpy", Program({"main": entry}), threads=1)
    held = [rng.uniform(-1, 1, v.shape).astype(np.float32) for v in (s, x, y)]
    for state, array in zip("xy", held[1:]):
        executable.write(state, array)
    for _ in range(2):
        wanted = evaluate(graph, held)
        got = executable.run("main", {"s": held[0]}, steps=1, sizes={})
        for (mine,), value in zip(got, wanted):
            np.testing.assert_allclose(mine, value, rtol=1e-5, atol=1e-6)
        for state, index in places.items():
            held["sxy".index(state)] = wanted[index]
            np.testing.assert_allclose(executable.read(state), wanted[index], rtol=1e-5)
