"""The methods that fill tensors with random numbers: distributions, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, DTypeError, GradientError

N = 40_000
#: The method, its arguments, and the distribution function of its numbers.
CONTINUOUS = {
    "normal_": ((1.0, 2.0), lambda x: 0.5 * (1 + math.erf((x - 1) / math.sqrt(8)))),
    "uniform_": ((2.0, 4.0), lambda x: (x - 2) / 2),
    "exponential_": ((2.0,), lambda x: 1 - math.exp(-2 * x)),
    "log_normal_": (
        (0.5, 0.75),
        lambda x: 0.5 * (1 + math.erf((math.log(x) - 0.5) / (0.75 * math.sqrt(2)))),
    ),
    "cauchy_": ((1.0, 3.0), lambda x: 0.5 + math.atan((x - 1) / 3) / math.pi),
}


@pytest.mark.parametrize("name", CONTINUOUS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_follow_the_distribution(name: str, dtype: str) -> None:
    """Kolmogorov and Smirnov: the gap is below 2/√N but once in 1500 times."""
    arguments, distribution = CONTINUOUS[name]
    cr.manual_seed(3)
    x = cr.zeros(N, dtype=dtype)
    assert getattr(x, name)(*arguments) is x
    assert x.dtype.name == dtype
    below = np.vectorize(distribution)(np.sort(x.numpy().astype(np.float64)))
    gap = np.abs(below - (np.arange(N) + 0.5) / N).max()
    assert gap < 2 / math.sqrt(N)


def test_integers_and_truth_values() -> None:
    cr.manual_seed(4)
    for dtype, end in (("uint8", 255), ("int8", 127), ("bool", 1)):
        x = cr.zeros(N).astype(dtype).random_().numpy()
        assert (x.min(), x.max()) == (0, end)
    assert set(cr.zeros(100).random_(3, 6).tolist()) == {3, 4, 5}
    assert set(cr.zeros(100, dtype="int64").random_(3).tolist()) == {0, 1, 2}
    assert 2**23 < cr.zeros(N).random_().numpy().max() <= 2**24
    draws = cr.zeros(N).geometric_(0.25).numpy()
    assert draws.min() == 1
    assert abs(draws.mean() - 4) < 0.1
    assert abs(cr.zeros(N).bernoulli_(0.25).mean().item() - 0.25) < 0.01
    sure = cr.zeros(2, 3).bernoulli_(cr.tensor([0.0, 1.0, 1.0]))
    assert sure.tolist() == [[0, 1, 1], [0, 1, 1]]


def test_a_generator_of_ones_own_repeats_its_numbers() -> None:
    generator = cr.random.Generator(7)
    first = cr.zeros(5).normal_(generator=generator).tolist()
    assert cr.zeros(5).normal_(generator=generator.manual_seed(7)).tolist() == first
    base = cr.zeros(2, 3)
    base[0].uniform_(1.0, 2.0)
    assert (base[0] >= 1).all()
    assert base[1].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: cr.zeros(2, dtype="int64").normal_(), DTypeError),
        (lambda: cr.zeros(2).astype("bool").geometric_(0.5), DTypeError),
        (lambda: cr.zeros(2, requires_grad=True).uniform_(), GradientError),
        (lambda: cr.zeros(2).normal_(0, -1), ArgumentError),
        (lambda: cr.zeros(2).uniform_(1, 0), ArgumentError),
        (lambda: cr.zeros(2).exponential_(0), ArgumentError),
        (lambda: cr.zeros(2).geometric_(1), ArgumentError),
        (lambda: cr.zeros(2).bernoulli_(1.5), ArgumentError),
        (lambda: cr.zeros(2).cauchy_(sigma=0), ArgumentError),
        (lambda: cr.zeros(2).random_(3, 3), ArgumentError),
        (lambda: cr.zeros(2).astype("uint8").random_(0, 300), ArgumentError),
        (lambda: cr.zeros(2).normal_(generator=3), ArgumentError),
    ],
)
def test_mistakes_are_refused(call, error) -> None:
    with pytest.raises(error):
        call()
