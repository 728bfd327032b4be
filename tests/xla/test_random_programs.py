"""Random programs on XLA: graphs, programs that are cut, optimisers, images.

What the other engines are held to, and networks of images beside it: convolutions leave
their results with channels last there, and whatever reads them must know.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import chainrule as cr
from chainrule import nn
from chainrule.engines import load_engine
from chainrule.graph.program import Program
from tests import test_random_programs as cut
from tests.engines import test_random_graphs as graphs
from tests.optim import programs as steps

F = nn.functional
Draw = random.Random


def run_graph(program: Program, n: int) -> None:
    held = graphs.inputs_of(program, n)
    executable: Any = load_engine("xla", program)
    graphs.two_steps(executable, program, held, n, compared=True)


def many(examples: int) -> Any:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),  # pyright: ignore
    )


@many(4)
@given(made=graphs.programs())
def test_random_graphs(made: tuple[Program, int]) -> None:
    run_graph(*made)


@pytest.mark.slow
@many(100)
@given(made=graphs.programs())
def test_many_random_graphs(made: tuple[Program, int]) -> None:
    run_graph(*made)


@pytest.mark.parametrize(
    "part", [0, *(pytest.param(i, marks=pytest.mark.slow) for i in range(1, 20))]
)
def test_programs_are_the_same_however_they_are_cut(part: int) -> None:
    cut.run(range(3000 + 2 * part, 3002 + 2 * part), ["xla"])


@pytest.mark.parametrize(
    "part", [0, *(pytest.param(i, marks=pytest.mark.slow) for i in range(1, 20))]
)
def test_optimisers_are_the_same_however_they_are_cut(part: int) -> None:
    for seed in range(3000 + part, 3001 + part):
        program = steps.draw(seed, ["xla"])
        wrong = steps.failure(program)
        if wrong is not None:
            pytest.fail(f"{program}\n\n{wrong}")


# -- images ----------------------------------------------------------------------------


def numbers(*shape: int) -> cr.Tensor:
    """Other numbers at each place, so that none is taken for another."""
    count = cr.arange(int(np.prod(shape)), dtype=cr.float64)
    return (count * 0.7).cos().reshape(shape)


def axes(draw: Draw, most: int = 4) -> list[int]:
    return sorted(draw.sample(range(4), draw.randint(1, most)))


def convolution(draw: Draw) -> Callable[[cr.Tensor], cr.Tensor]:
    out, size, stride = (
        draw.randint(1, 4),
        draw.choice([1, 2, 3]),
        draw.choice([1, 1, 2]),
    )
    return lambda t: F.conv2d(
        t, numbers(out, t.shape[1], size, size), stride=stride, padding=size // 2
    )


def pooling(draw: Draw) -> Callable[[cr.Tensor], cr.Tensor]:
    size, stride = draw.choice([2, 3]), draw.choice([1, 2, 3])
    padding, pool = (
        draw.randint(0, size // 2),
        draw.choice([F.max_pool2d, F.avg_pool2d]),
    )

    def layer(t: cr.Tensor) -> cr.Tensor:
        fits = min(t.shape[2:]) + 2 * padding >= size
        return pool(t, size, stride, padding) if fits else t

    return layer


def turned(draw: Draw) -> Callable[[cr.Tensor], cr.Tensor]:
    order = draw.sample(range(4), 4)
    return lambda t: t.permute(order)


def along(draw: Draw) -> Callable[[cr.Tensor], cr.Tensor]:
    of, each, axis = axes(draw, 3), axes(draw), draw.randrange(4)
    return draw.choice(
        [
            lambda t: t - t.mean(of, keepdim=True),
            lambda t: t.flip(each),
            lambda t: t.softmax(axis),
            lambda t: cr.cat([t, t * 0.5, numbers(*t.shape)], dim=axis),
            lambda t: t.amax(of, keepdim=True) + t,
            lambda t: t.cumsum(axis) * 0.3,
            lambda t: t.narrow(axis, 0, max(1, t.shape[axis] - 1)),
        ]
    )


def alike(draw: Draw) -> Callable[[cr.Tensor], cr.Tensor]:
    pad = [draw.randint(0, 1) for _ in range(6)]
    return draw.choice(
        [
            lambda t: t.relu(),
            lambda t: numbers(*t.shape) + t,
            lambda t: cr.where(numbers(*t.shape) > 0, t, t * 0.1),
            lambda t: t * numbers(t.shape[1]).reshape(1, -1, 1, 1),
            lambda t: F.pad(t, pad),
        ]
    )


def network(draw: Draw) -> Callable[[cr.Tensor], cr.Tensor]:
    """A network of images whose result tells each of its elements apart."""
    kinds = [convolution, convolution, pooling, turned, along, along, alike]
    layers = [convolution(draw)]
    layers += [draw.choice(kinds)(draw) for _ in range(draw.randint(2, 6))]
    left = axes(draw, 3)

    def run(t: cr.Tensor) -> cr.Tensor:
        for layer in layers:
            if 0 < t.size < 4000 and (made := layer(t)).size:
                t = made / (1 + made.abs().amax().detach())
        part = t.sum(left)
        return (t * numbers(*t.shape)).sum() + (part * numbers(*part.shape)).sum()

    return run


@pytest.mark.parametrize(
    "part", [0, *(pytest.param(i, marks=pytest.mark.slow) for i in range(1, 20))]
)
def test_networks_of_images(part: int) -> None:
    """Values and derivatives, in float64, beside eager code."""
    for seed in range(5 * part, 5 * part + 5):
        f = cr.value_and_grad(network(Draw(seed)))
        x = numbers(2, 3, 7, 6)
        for name, here, there in zip(
            ("value", "derivative"), f(x), cr.compile(f, engine="xla")(x), strict=True
        ):
            np.testing.assert_allclose(
                there.numpy(), here.numpy(), 1e-8, 1e-9, err_msg=f"{name} of {seed}"
            )
