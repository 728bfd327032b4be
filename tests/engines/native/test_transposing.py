"""Copies between layouts that lie across each other."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

import chainrule as cr
from chainrule.engines import load_engine
from chainrule.graph.emit import trace
from chainrule.graph.node import Value
from chainrule.graph.types import ArrayType, DType
from chainrule.primitives.movement import reshape, transpose
from tests.conformance.test_engines import program_of

SHAPES = [
    *[(32, 48), (64, 128), (20, 17), (100, 50), (16, 16), (15, 64), (1, 64)],
    *[(3, 40, 33), (2, 64, 10), (5, 16, 16, 4), (2, 17, 3, 18)],
]


@pytest.mark.one_in(3)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["float64", "int32", "bool"])  # of 8, 4, 1 bytes
def test_every_permutation(shape: tuple[int, ...], dtype: str) -> None:
    """A flat result forces a copy of what was turned."""
    x = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
    orders = list(permutations(range(len(shape))))

    def turned(value: Value) -> list[Value]:
        return [reshape(transpose(value, axes=a), shape=(x.size,)) for a in orders]

    graph = trace(turned, [ArrayType(shape, DType[dtype])], name="main")
    program = program_of(graph)
    executable = load_engine("native", program, threads=2)
    for threads in (1, 2, 3):
        executable.threads = threads
        inputs = {program.entries["main"].inputs[0]: x}
        made = executable.run("main", inputs, steps=1, sizes={})
        for axes, (flat,) in zip(orders, made, strict=True):
            np.testing.assert_array_equal(flat, x.transpose(axes).reshape(-1))


@pytest.mark.parametrize("outputs", [32, 64, 96, 100])
def test_weights_out_of_their_blocks(outputs: int) -> None:
    """The way back through a layer reads its weight the other way round."""
    rng = np.random.default_rng(outputs)
    w, x, d = (
        rng.integers(-8, 8, shape).astype(np.float32)
        for shape in ((outputs, 48), (8, 48), (8, outputs))
    )
    weight = cr.tensor(w, requires_grad=True)

    def back(x: cr.Tensor, d: cr.Tensor) -> cr.Tensor:
        x = x.detach().requires_grad_()
        loss = ((x @ weight.T) * d).sum()
        return cr.gradients(loss, [x])[0]

    made = cr.compile(back, engine="native")(cr.tensor(x), cr.tensor(d))
    np.testing.assert_array_equal(made.numpy(), d @ w)
