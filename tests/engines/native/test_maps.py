"""Elementwise loops: operands in every layout, results where they are returned."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest

import chainrule as cr

DTYPES = ["float32", "float64", "int32", "uint8", "bool"]


def numbers(shape: tuple[int, ...], dtype: str) -> np.ndarray[Any, Any]:
    return np.random.default_rng(len(shape)).integers(0, 100, shape).astype(dtype)


def same(made: Any, wanted: Any) -> None:
    for one, two in zip(made, wanted, strict=True):
        np.testing.assert_array_equal(one.numpy(), two)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 129, 300])
def test_elements_with_gaps_between(dtype: str, width: int) -> None:
    x = numbers((7, width), dtype)
    y = numbers((7, -(-width // 2)), dtype)

    def run(x: Any, y: Any) -> Any:
        return [
            x[:, ::2] == y,
            x[1:, 1::2] == y[1:, : width // 2],
            x[:, ::3] == x[:, :1],
            x[::2, ::2] == y[::2],
        ]

    wanted = run(x, y)
    for threads in (1, 2, 3):
        step = cr.compile(run, engine="native", threads=threads)
        same(step(cr.tensor(x), cr.tensor(y)), wanted)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape",
    [(16, 16), (64, 64), (65, 130), (20, 17), (3, 40, 33), (5, 64, 16), (2, 17, 3, 18)],
    ids=str,
)
def test_operands_that_lie_across(dtype: str, shape: tuple[int, ...]) -> None:
    x = numbers(shape, dtype)
    orders = list(permutations(range(len(shape))))
    others = [numbers(tuple(shape[a] for a in order), dtype) for order in orders]

    def run(x: Any, others: Any) -> Any:
        return [x.transpose(order) == y for order, y in zip(orders, others)]

    def compiled(x: cr.Tensor, others: list[cr.Tensor]) -> Any:
        return [x.permute(order) == y for order, y in zip(orders, others)]

    wanted = run(x, others)
    for threads in (1, 2, 3):
        step = cr.compile(compiled, engine="native", threads=threads)
        same(step(cr.tensor(x), [cr.tensor(y) for y in others]), wanted)


def results(x: cr.Tensor, y: cr.Tensor) -> list[cr.Tensor]:
    """Results of each kind: computed once, twice, through views, not at all."""
    a, b = x * 2, x + y
    return [
        a,
        a,  # again
        b.reshape(-1),
        b,
        b[1:],
        b.T,
        x,  # an argument
        x.T,
        (x - y).sum(1),
        cr.ones(3, 2),  # a constant
        (a + 1).expand(2, *a.shape),
        (x.T @ y).T,
        cr.cat([a, b]),
    ]


def wanted_of(x: Any, y: Any) -> list[Any]:
    a, b = x * 2, x + y
    return [
        *(a, a, b.reshape(-1), b, b[1:], b.T, x, x.T, (x - y).sum(1)),
        *(np.ones((3, 2)), np.broadcast_to(a + 1, (2, *a.shape)), (x.T @ y).T),
        np.concatenate([a, b]),
    ]


@pytest.mark.parametrize("rows", [3, 200])
def test_results_are_their_own(rows: int) -> None:
    for threads in (1, 2, 3):
        step = cr.compile(results, engine="native", threads=threads)
        kept: list[tuple[Any, Any]] = []
        for seed in range(3):
            x, y = np.random.default_rng(seed).integers(0, 9, (2, rows, 16)) * 1.0
            kept.append((step(cr.tensor(x), cr.tensor(y)), wanted_of(x, y)))
        for made, wanted in kept:  # what a later call computes lies elsewhere
            same(made, wanted)
            made[0].mul_(0)
            np.testing.assert_array_equal(made[1].numpy(), wanted[1])


def test_a_result_that_is_state_too_is_a_copy() -> None:
    total = cr.zeros(1000)

    def add(x: cr.Tensor) -> cr.Tensor:
        total.add_(x)
        return total.clone()

    step = cr.compile(add, engine="native")
    first, second = step(cr.ones(1000)), step(cr.ones(1000))
    assert first.numpy().tolist() == [1.0] * 1000
    assert second.numpy().tolist() == [2.0] * 1000
    assert total.numpy().tolist() == [2.0] * 1000


def test_results_are_computed_where_they_are_returned() -> None:
    x = cr.ones(512, 512)
    step = cr.compile(lambda x: (x * 2).reshape(-1), engine="native")
    step(x)
    (program,) = step.programs
    (compiled,) = program.executable._compiled.values()  # type: ignore[attr-defined]
    assert compiled.arena_bytes < 1000  # a number


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_a_constant_is_a_result_of_each_step_of_a_loop(engine: str) -> None:
    three = [1.0, 2.0, 3.0]

    def run(x: cr.Tensor) -> Any:
        return cr.scan(lambda c, v: (c + v, (cr.tensor(three), c)), x[0], x)[1]

    x = numbers((4, 5), "float64")
    made = cr.compile(run, engine=engine)(cr.tensor(x))
    before = x[0] + np.concatenate([0 * x[:1], x[:-1]]).cumsum(0)
    same(made, [[three] * 4, before])
