"""Which convolutions are products: also those with a window larger than the result."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.engines.schedule.convolution import as_convolution
from chainrule.primitives.conv import conv

SIZES = [(4, 3), (5, 5), (3, 3), (9, 3)]


@pytest.mark.parametrize("kind", ["plain", "groups", "stride"])
@pytest.mark.parametrize(("size", "window"), SIZES)
def test_any_number_of_images_is_a_product(size: int, window: int, kind: str) -> None:
    options = {"plain": {}, "groups": {"groups": 2}, "stride": {"stride": 2}}[kind]
    layer = cr.nn.Conv2d(4, 6, window, **options)

    def loss(x: cr.Tensor) -> cr.Tensor:
        found = (layer(x) ** 2).sum()
        layer.zero_grad()
        found.backward()
        return found

    step = cr.compile(loss, shapes={"x": ("N", 4, size, size)})
    graph = step.graph(np.ones((5, 4, size, size), np.float32))
    nodes = [node for node in graph.nodes if node.primitive is conv]
    assert len(nodes) >= 2  # forward, and the derivative of the kernel
    assert all(as_convolution(node) for node in nodes)


@pytest.mark.parametrize(("size", "window"), SIZES)
def test_engines_agree(size: int, window: int, engine: str) -> None:
    rng = np.random.default_rng(0)
    layer = cr.nn.Conv2d(4, 6, window, dtype="float64")
    x = rng.normal(size=(5, 4, size, size))
    step = cr.compile(
        lambda x: (layer(x) ** 2).sum(),
        engine=engine,
        shapes={"x": ("N", 4, size, size)},
    )
    step(cr.tensor(x)).backward()
    found = layer.weight.grad.numpy()
    layer.zero_grad()
    (layer(cr.tensor(x)) ** 2).sum().backward()
    np.testing.assert_allclose(found, layer.weight.grad.numpy(), rtol=1e-10)
