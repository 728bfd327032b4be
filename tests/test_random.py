"""Random numbers: the same bits everywhere, distributions, seeds that reach."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import random
from chainrule.errors import ArgumentError, ChainruleError, DTypeError, ShapeError
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


REFUSED: dict[str, Any] = {
    "a dtype": lambda: cr.rand(2, dtype="int64", requires_grad=True),
    "an end": lambda: cr.uniform(2, low=cr.ones(3)),
    "a mean": lambda: cr.normal(2, mean=cr.ones(3)),
    "a dtype of randint": lambda: cr.randint(0, 3, (2,), dtype="number"),
    "a size": lambda: cr.bernoulli(cr.tensor([0.5, 0.5]), size=(3,)),
    "an axis": lambda: cr.categorical(cr.ones(3, 4), dim=5),
    "too many": lambda: cr.multinomial(cr.tensor([0.5, 0.5]), 5),
    "a padding row": lambda: cr.nn.Embedding(3, 4, padding_idx=9),
    "like": lambda: cr.rand_like(cr.ones(3), dtype="int32", requires_grad=True),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_has_drawn_nothing(name: str) -> None:
    cr.manual_seed(4)
    expected = cr.rand(3).tolist()
    cr.manual_seed(4)
    with pytest.raises((ArgumentError, DTypeError, ShapeError)):
        REFUSED[name]()
    assert cr.rand(3).tolist() == expected


@pytest.mark.parametrize("way", WAYS)
def test_a_module_that_is_refused_has_drawn_nothing(way: str) -> None:
    """And so goes on with the same numbers, eagerly and compiled."""

    class Words(cr.nn.Module):
        def __init__(self) -> None:
            self.table, self.dropout = cr.nn.Embedding(5, 4), cr.nn.Dropout(0.5)

        def forward(self, x: cr.Tensor, words: cr.Tensor) -> cr.Tensor:
            return self.dropout(x) + self.table(words)

    cr.manual_seed(1)
    module = Words()
    run = module if way == "eager" else cr.compile(module, engine=way)
    x, words = cr.ones(2, 4), cr.tensor([1, 2])
    cr.manual_seed(4)
    expected = run(x, words).tolist()
    cr.manual_seed(4)
    for _ in range(2):
        with pytest.raises(ChainruleError):
            run(x, words + 4)
    assert run(x, words).tolist() == expected


def test_what_another_thread_has_drawn_stays_drawn() -> None:
    cr.manual_seed(4)
    both = cr.rand(2).tolist(), cr.rand(2).tolist(), cr.rand(2).tolist()
    cr.manual_seed(4)
    seen: list[Any] = []

    class Late(cr.nn.Module):
        def forward(self, x: cr.Tensor) -> cr.Tensor:
            seen.append(cr.rand(2).tolist())
            thread = threading.Thread(target=lambda: seen.append(cr.rand(2).tolist()))
            thread.start()
            thread.join()
            return x @ cr.ones(7)

    with pytest.raises(ShapeError):
        Late()(cr.ones(2))
    assert (*seen, cr.rand(2).tolist()) == both
