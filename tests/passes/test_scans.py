"""Loops that share their work compute what they computed apart."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.autodiff import vjp
from chainrule.composites.control import scan
from chainrule.graph.emit import trace
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Value
from chainrule.graph.types import ArrayType, DType
from chainrule.graph.verify import verify
from chainrule.passes.scans import share_scans
from chainrule.primitives.elementwise import add, mul, tanh
from chainrule.primitives.matmul import dot, dot_general
from chainrule.primitives.movement import full_like, reduce_sum

T, B, H = 5, 3, 4
F64 = DType.float64


def body(function, *shapes) -> Graph:
    types = [ArrayType(s, F64) for s in shapes]
    return trace(function, types, name="step", tracked=True)


def recurrent(gated: bool) -> Graph:
    """The loss of a recurrent layer, and its derivatives."""

    def step(w, h, x):
        new = tanh(add(dot(h, w, "ni,oi->no"), x))
        if gated:
            new = mul(new, tanh(add(x, h)))
        return new, mul(new, new)

    cell = body(step, (H, H), (B, H), (B, H))

    def loss(w, h, xs):
        last, ys = scan(
            w, h, xs, body=cell, length=T, constants=1, carries=1, reverse=False
        )
        total = reduce_sum(last, axes=(0, 1))
        return add(total, reduce_sum(ys, axes=(0, 1, 2)))

    def both(w, h, xs):
        one = full_like(reduce_sum(w, axes=(0, 1)), 1.0)
        back = vjp(loss, (w, h, xs), [one], [True] * 3, {})
        return loss(w, h, xs), *back

    types = [ArrayType(s, F64) for s in ((H, H), (B, H), (T, B, H))]
    return trace(both, types, name="main", tracked=True)


def scans(graph: Graph) -> list:
    return [node for node in graph.nodes if node.primitive is scan]


def same(one: Graph, other: Graph, rng: np.random.Generator) -> None:
    verify(other)
    arrays = [rng.uniform(-1, 1, v.shape).astype(v.dtype.numpy) for v in one.inputs]
    pairs = zip(evaluate(one, arrays), evaluate(other, arrays), strict=True)
    for wanted, mine in pairs:
        np.testing.assert_allclose(mine, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("gated", [False, True])
def test_a_layer_runs_forwards_once_and_back_once(
    gated: bool, rng: np.random.Generator
) -> None:
    graph = recurrent(gated)
    assert len(scans(graph)) == 3
    shared = share_scans(graph)
    same(graph, shared, rng)
    _, back = scans(shared)
    names = [n.primitive.name for n in back.attrs["body"].nodes]
    assert "tanh" not in names  # they are read
    assert names.count("dot_general") == 1  # that of the carry; ∂L/∂W comes after
    after = [n for n in shared.nodes if n.primitive is dot_general]
    assert any(n.outputs[0].shape == (H, H) for n in after)


def test_a_sum_goes_on_from_where_it_starts(rng: np.random.Generator) -> None:
    """Products and small terms, forwards and back, from a start that is not zero."""

    def step(total, few, x, y):
        more = dot(x, y, "ni,no->io")
        return add(total, more), add(reduce_sum(mul(x, y), axes=(0,)), few)

    cell = body(step, (H, H), (H,), (B, H), (B, H))
    for reverse in (False, True):
        attrs = {"length": T, "constants": 0, "carries": 2, "reverse": reverse}

        def function(*values: Value, attrs=attrs):
            return scan(*values, body=cell, **attrs)

        shapes = ((H, H), (H,), (T, B, H), (T, B, H))
        graph = trace(function, [ArrayType(s, F64) for s in shapes], name="main")
        shared = share_scans(graph)
        same(graph, shared, rng)
        assert all(n.attrs["carries"] == 0 for n in scans(shared))


def test_what_a_loop_reads_of_its_sum_stays_in_it(rng: np.random.Generator) -> None:
    def step(total, x):
        new = add(total, x)
        return new, tanh(new)

    cell = body(step, (H,), (H,))

    def function(start, xs):
        return scan(
            start, xs, body=cell, length=T, constants=0, carries=1, reverse=False
        )

    types = [ArrayType((H,), F64), ArrayType((T, H), F64)]
    graph = trace(function, types, name="main")
    shared = share_scans(graph)
    same(graph, shared, rng)
    assert [n.attrs["carries"] for n in scans(shared)] == [1]


def test_loops_that_differ_stay_apart(rng: np.random.Generator) -> None:
    cells = [
        body(lambda h, x: (add(h, mul(x, x)), h), (H,), (H,)),
        body(lambda h, x: (add(mul(h, h), x), h), (H,), (H,)),
    ]

    def function(start, xs):
        made = []
        for cell in cells:
            made += scan(
                start, xs, body=cell, length=T, constants=0, carries=1, reverse=False
            )
        return tuple(made)

    types = [ArrayType((H,), F64), ArrayType((T, H), F64)]
    graph = trace(function, types, name="main")
    shared = share_scans(graph)
    assert len(scans(shared)) == 2
    same(graph, shared, rng)
