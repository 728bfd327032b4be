"""Products whose tiles go straight into an optimiser: the same bits as one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import chainrule as cr
from chainrule import nn, optim
from chainrule.engines.native.loops import kernels
from chainrule.engines.native.products import gemm
from chainrule.engines.native.runtime import compiler
from chainrule.engines.native.target import Target
from chainrule.engines.schedule.maps import tiled

OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "adam": lambda p: optim.Adam(p, lr=0.01),
    "adamw": lambda p: optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.01),
}


def trained(
    make: Callable[..., Any],
    sizes: tuple[int, int, int],
    dtype: str,
    threads: int,
    steps: int = 3,
) -> tuple[list[np.ndarray[Any, Any]], set[str]]:
    """All that a few steps change, with norms of gradients; and the primitives run."""
    batch, inputs, outputs = sizes
    rng = np.random.default_rng(3)
    x = rng.standard_normal((batch, inputs)).astype(dtype)
    y = rng.standard_normal((batch, outputs)).astype(dtype)
    cr.manual_seed(1)
    layer = nn.Linear(inputs, outputs)
    layer.to(dtype)
    optimizer = make(layer.parameters())

    def step(x: cr.Tensor, y: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
        optimizer.zero_grad()
        loss = ((layer(x) - y) ** 2).mean()
        loss.backward()
        gradient = layer.weight.grad
        assert gradient is not None
        norm = (gradient * gradient).sum()
        optimizer.step()
        layer.weight.grad = None
        layer.bias.grad = None
        return loss, norm

    run = cr.compile(step, engine="native", threads=threads)
    made = [run(cr.tensor(x), cr.tensor(y)) for _ in range(steps)]
    executable = run.programs[0].executable
    (schedule,) = executable.schedules.values()
    kinds = {node.primitive.name for node in schedule.entry.graph.nodes}
    held = [executable.read(name) for name in sorted(executable.state)]
    return [*held, *(t.numpy() for pair in made for t in pair)], kinds


#: Batch, inputs and outputs.
SIZES = [
    (32, 48, 128),
    (1, 7, 128),
    (3, 65, 64),
    (64, 33, 32),
    (5, 1, 256),
    (17, 131, 48),
    (9, 33, 192),
]


def cases() -> list[Any]:
    """Each size and both dtypes with one optimiser, others with one; the rest is slow.

    What is read for an element differs between optimisers, where it lies between sizes.
    """
    found: list[Any] = []
    for name in OPTIMIZERS:
        for sizes in SIZES:
            for dtype in ("float32", "float64"):
                few = SIZES if name == "adam" and dtype == "float32" else SIZES[2:3]
                few = few if dtype == "float32" or name == "adam" else []
                marks = () if sizes in few else pytest.mark.slow
                label = f"{name}-{sizes}-{dtype}"
                found.append(pytest.param(name, sizes, dtype, id=label, marks=marks))
    return found


@pytest.mark.one_in(3)
@pytest.mark.parametrize(("name", "sizes", "dtype"), cases())
def test_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, name: str, sizes: tuple[int, int, int], dtype: str
) -> None:
    made, kinds = trained(OPTIMIZERS[name], sizes, dtype, 1)
    assert tiled.name in kinds
    for threads in (2, 3):
        other, _ = trained(OPTIMIZERS[name], sizes, dtype, threads)
        for a, b in zip(made, other, strict=True):
            np.testing.assert_array_equal(a, b)
    monkeypatch.setattr(
        compiler, "passes_on", lambda sizes: lambda product, loop: False
    )
    apart, kinds = trained(OPTIMIZERS[name], sizes, dtype, 1)
    assert tiled.name not in kinds
    for a, b in zip(made, apart, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("target", [Target(32, 16), Target(16, 32), Target(16, 16)])
def test_other_vector_units(monkeypatch: pytest.MonkeyPatch, target: Target) -> None:
    """A panel is narrower than a block there."""
    monkeypatch.setattr(kernels, "_known", {})
    monkeypatch.setattr(gemm, "host_target", lambda: target)
    made, _ = trained(OPTIMIZERS["adam"], (6, 29, 128), "float32", 2)
    monkeypatch.undo()
    other, _ = trained(OPTIMIZERS["adam"], (6, 29, 128), "float32", 2)
    for a, b in zip(made, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("sizes", "why"),
    [((65, 48, 128), "long sums"), ((8, 48, 30), "no blocks of whole vectors")],
)
def test_what_stays_apart(sizes: tuple[int, int, int], why: str) -> None:
    _, kinds = trained(OPTIMIZERS["adam"], sizes, "float32", 1, steps=1)
    assert tiled.name not in kinds, why
