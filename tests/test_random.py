"""Random numbers: the same bits everywhere, distributions, seeds that reach."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import random
from chainrule.errors import ArgumentError, ShapeError
from tests.ways import ENGINES, WAYS

DRAWS: dict[str, Any] = {
    "uniform": lambda: cr.uniform(5, 3, low=-1.0, high=2.0),
    "normal": lambda: cr.normal(7, mean=1.0, std=2.0, dtype="float64"),
    "randint": lambda: cr.randint(-3, 9, (40,)),
    "bernoulli": lambda: cr.bernoulli(cr.tensor([0.1, 0.5, 0.9]), (20, 3)),
    "categorical": lambda: cr.categorical(cr.tensor([[0.0, 1.0], [2.0, -1.0]])),
    "multinomial": lambda: cr.multinomial(cr.tensor([1.0, 2.0, 3.0]), 2),
    "randperm": lambda: cr.randperm(11),
    "rand_like": lambda: cr.rand_like(cr.zeros(3, 2)),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_compiled_function_draws_what_eager_code_draws(name: str) -> None:
    """Twice in a call, and in a second call: the counter moves on as it does eager."""
    draw = DRAWS[name]
    cr.manual_seed(3)
    eager = [draw().numpy() for _ in range(4)]
    assert any((a != b).any() for a, b in itertools.pairwise(eager))
    for engine in ENGINES:
        run = cr.compile(lambda: (draw(), draw()), engine=engine)
        cr.manual_seed(3)
        made = [*run(), *run()]
        for a, b in zip(made, eager, strict=True):
            assert a.dtype.name == b.dtype.name
            if name == "normal":  # an engine's logarithm may differ in the last place
                np.testing.assert_allclose(a.numpy(), b, rtol=1e-13)
            else:
                np.testing.assert_array_equal(a.numpy(), b)


def test_draws_of_named_sizes(engine: str) -> None:
    run = cr.compile(
        lambda x: (x + cr.normal(x.shape[0], 2), cr.randperm(x.shape[0])),
        engine=engine,
        shapes={"x": ("N", 2)},
    )
    for n in (3, 6):
        cr.manual_seed(1)
        wanted = (cr.normal(n, 2).numpy(), cr.randperm(n).numpy())
        cr.manual_seed(1)
        noise, order = run(np.zeros((n, 2), np.float32))
        np.testing.assert_allclose(noise.numpy(), wanted[0], rtol=1e-6)
        np.testing.assert_array_equal(order.numpy(), wanted[1])
    assert len(run.programs) == 1


def test_distributions() -> None:
    """Within five standard deviations of a mean of 40,000 draws."""
    cr.manual_seed(0)
    n = 40_000
    z = cr.normal(n).numpy()
    assert abs(z.mean()) < 5 / n**0.5
    assert abs(z.std() - 1) < 5 / (2 * n) ** 0.5
    assert abs((z**3).mean()) < 5 * (15 / n) ** 0.5
    u = cr.uniform(n).numpy()
    counts, _ = np.histogram(u, 10, (0, 1))
    assert np.abs(counts - n / 10).max() < 5 * (n * 0.09) ** 0.5
    k = cr.randint(0, 7, (n,)).numpy()
    assert np.abs(np.bincount(k) - n / 7).max() < 5 * (n * 6 / 49) ** 0.5
    b = cr.bernoulli(cr.full((n,), 0.3)).numpy()
    assert abs(b.mean() - 0.3) < 5 * (0.21 / n) ** 0.5
    p = np.array([0.1, 0.2, 0.7])
    c = cr.categorical(cr.tensor(np.log(p)).broadcast_to(n, 3)).numpy()
    assert np.abs(np.bincount(c) / n - p).max() < 5 * (0.25 / n) ** 0.5
    m = cr.multinomial(cr.tensor(p), n, replacement=True).numpy()
    assert np.abs(np.bincount(m) / n - p).max() < 5 * (0.25 / n) ** 0.5


def test_an_order_has_every_number_once() -> None:
    assert sorted(cr.randperm(100).tolist()) == list(range(100))
    without = cr.multinomial(cr.ones(6), 6).tolist()
    assert sorted(without) == list(range(6))


def test_ends_and_extremes() -> None:
    assert cr.randint(5, (3,)).shape == (3,)
    assert cr.randint(2**62, 2**63 - 1, (2,)).numpy().min() >= 2**62
    assert cr.bernoulli(cr.tensor([0.0, 1.0])).tolist() == [0.0, 1.0]
    assert cr.uniform(0, 3).shape == (0, 3)
    assert cr.randn(2, requires_grad=True).requires_grad
    with pytest.raises(ArgumentError, match="low < high"):
        cr.randint(3, 3, (1,))
    with pytest.raises(ShapeError, match="integers ≥ 0"):
        cr.uniform(-1)


def test_a_stream_belongs_to_its_thread() -> None:
    seen: list[Any] = []
    with random.stream(random.Generator(5)):
        thread = threading.Thread(
            target=lambda: seen.append(cr.graph.build.context.stream)
        )
        thread.start()
        thread.join()
        mine = cr.uniform(3).tolist()
    assert seen == [None]
    with random.stream(random.Generator(5)):
        assert cr.uniform(3).tolist() == mine


# -- numbers that are no distribution -------------------------------------------------

NAN, INF = float("nan"), float("inf")
#: Draws, each with rows of numbers from which nothing can be drawn.
REFUSED: dict[str, tuple[Any, list[list[float]]]] = {
    "multinomial": (
        lambda p: cr.multinomial(p, 1),
        [[NAN, 1.0], [1.0, -1e-6], [INF, 1.0], [0.0, 0.0], [-INF, 1.0]],
    ),
    "multinomial, twice": (
        lambda p: cr.multinomial(p, 2),
        [[NAN, 1.0], [1.0, 0.0], [1.0, -1.0]],
    ),
    "multinomial, with replacement": (
        lambda p: cr.multinomial(p, 3, replacement=True),
        [[NAN, 1.0], [0.0, 0.0], [1.0, -1.0], [INF, 1.0]],
    ),
    "categorical": (cr.categorical, [[NAN, 0.0], [INF, 0.0], [-INF, -INF]]),
    "categorical, along 0": (
        lambda z: cr.categorical(z.T, 0),
        [[NAN, 0.0], [INF, 0.0], [-INF, -INF]],
    ),
    "bernoulli": (cr.bernoulli, [[NAN, 0.0], [-1e-6, 0.0], [1.1, 0.0], [INF, 0.0]]),
}
RIGHT = {"multinomial, twice": [0.5, 0.5]}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_distribution_is_refused(name: str, way: str) -> None:
    """By every engine, wherever the row stands; and what is one is drawn from."""
    draw, rows = REFUSED[name]
    run = draw if way == "eager" else cr.compile(draw, engine=way)
    right = RIGHT.get(name, [1.0, 0.0])
    for row in rows:
        for bad in ([row, right], [right, row]):
            with pytest.raises(ArgumentError, match="draws"):
                run(cr.tensor(bad))
    assert run(cr.tensor([right, right])).shape[0] == 2


def test_a_refused_draw_takes_no_bits() -> None:
    cr.manual_seed(4)
    wanted = cr.uniform(3).tolist()
    cr.manual_seed(4)
    for draw, rows in REFUSED.values():
        with pytest.raises(ArgumentError):
            draw(cr.tensor([rows[0]]))
    assert cr.uniform(3).tolist() == wanted
