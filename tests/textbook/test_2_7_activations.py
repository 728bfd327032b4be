"""2.7: the table of activation functions: formula, derivative, range."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mpmath import mp, mpf

import chainrule as cr
from chainrule import nn
from tests.textbook.oracle import ACTIVATIONS, close, exact

POINTS = np.array([-30.0, -5.5, -1.0, -0.75, -1e-3, 1e-9, 0.3, 1.0, 2.5, 6.0, 25.0])

#: Name → (infimum, supremum) over the real line, as the table has them; GELU's is ours.
RANGES = {
    "Sigmoid": (0.0, 1.0),
    "Tanh": (-1.0, 1.0),
    "ReLU": (0.0, math.inf),
    "LeakyReLU": (-math.inf, math.inf),
    "GELU": (-0.16997120747990369, math.inf),
}


def value_and_slope(name, x):
    t = cr.tensor(np.asarray(x, np.float64), requires_grad=True)
    y = getattr(nn, name)()(t)
    y.sum().backward()
    return y.numpy(), t.grad.numpy()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_2_7_formula_and_derivative(name):
    """f and f′ at points from deep in one tail to deep in the other."""
    value, slope = value_and_slope(name, POINTS)
    f, df = ACTIVATIONS[name]
    # σ(1 − σ) and 1 − tanh² subtract nearly equal numbers in the tails, in the book as
    # here: there the error is an ulp of 1.
    tail = 25 * np.finfo(float).eps
    close(value, [f(x) for x in exact(POINTS)])
    close(slope, [df(x) for x in exact(POINTS)], floor=tail)


@pytest.mark.parametrize("name", RANGES)
def test_2_7_range(name):
    """The values fill the range of the table, and never leave it."""
    low, high = RANGES[name]
    x = np.concatenate([np.linspace(-40, 40, 8001), [-1e4, 1e4]])
    value, _ = value_and_slope(name, x)
    assert value.min() >= low
    assert value.max() <= high
    assert value.min() == pytest.approx(low, abs=1e-6) if low > -math.inf else True
    assert value.max() == pytest.approx(high, abs=1e-6) if high < math.inf else True
    if low == -math.inf:
        assert value.min() < -50
    if high == math.inf:
        assert value.max() > 5000


def test_2_7_the_least_value_of_gelu():
    """The table has (−∞, ∞); the least value is where Φ(x) + xφ(x) = 0."""
    at = mp.findroot(ACTIVATIONS["GELU"][1], mpf("-0.75"))
    close(value_and_slope("GELU", [float(at)])[0], [ACTIVATIONS["GELU"][0](at)])
    close(RANGES["GELU"][0], ACTIVATIONS["GELU"][0](at))


def test_2_7_the_derivatives_at_the_kinks_are_declared():
    """ReLU′(0) = 0 and leaky ReLU′(0) = 0.01."""
    assert value_and_slope("ReLU", [0.0])[1] == [0.0]
    assert value_and_slope("LeakyReLU", [0.0])[1] == [0.01]


def test_2_7_sigmoid_saturates_and_relu_does_not():
    """The gradient of a sigmoid vanishes in its tails; that of ReLU is 1 or 0."""
    _, slope = value_and_slope("Sigmoid", [-20.0, 0.0, 20.0])
    assert slope[1] == 0.25
    assert max(slope[0], slope[2]) < 1e-8
    _, slope = value_and_slope("ReLU", [-20.0, 0.5, 20.0])
    assert slope.tolist() == [0.0, 1.0, 1.0]
    _, slope = value_and_slope("LeakyReLU", [-20.0, 0.5, 20.0])
    assert slope.tolist() == [0.01, 1.0, 1.0]
