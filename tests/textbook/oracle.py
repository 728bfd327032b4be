"""Arithmetic with 50 digits on plain lists: the textbook's formulas, worked out alone.

Nothing here knows Chainrule or NumPy's arithmetic. Vectors are lists and matrices lists
of rows, of ``mpf``; a double becomes an ``mpf`` exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from mpmath import mp, mpf

mp.dps = 50

#: How far a double may be off, relative to the number with 50 digits.
TOLERANCE = mpf("1e-12")

Vector = list[Any]
Matrix = list[list[Any]]


def exact(numbers: Any) -> Any:
    """Numbers as nested lists of ``mpf``, without rounding."""
    array = np.asarray(numbers, dtype=np.float64)
    if array.ndim == 0:
        return mpf(float(array))
    return [exact(row) for row in array]


def close(
    found: Any, expected: Any, tolerance: Any = TOLERANCE, floor: float = 0.0
) -> None:
    """Every number within the relative tolerance of its oracle; zeros are exact.

    ``floor`` is an absolute tolerance, for formulas that subtract nearly equal numbers.
    """
    found = np.asarray(found, dtype=np.float64)
    if isinstance(expected, list):
        assert len(found) == len(expected), f"{found.shape}, {len(expected)} expected"
        for part, other in zip(found, expected):
            close(part, other, tolerance, floor)
        return
    assert found.shape == (), found.shape
    error = abs(mpf(float(found)) - expected)
    assert error <= tolerance * abs(expected) + floor, (
        f"{float(found)!r}, not {expected}"
    )


def dot(u: Vector, v: Vector) -> Any:
    assert len(u) == len(v)
    return mp.fdot(u, v)


def apply(W: Matrix, x: Vector) -> Vector:
    """W x."""
    return [dot(row, x) for row in W]


def plus(u: Vector, v: Vector) -> Vector:
    assert len(u) == len(v)
    return [a + b for a, b in zip(u, v)]


def times(u: Vector, v: Vector) -> Vector:
    """u ⊙ v."""
    assert len(u) == len(v)
    return [a * b for a, b in zip(u, v)]


def outer(u: Vector, v: Vector) -> Matrix:
    """u vᵀ."""
    return [[a * b for b in v] for a in u]


def transpose(W: Matrix) -> Matrix:
    return [list(column) for column in zip(*W)]


def each(f: Callable[[Any], Any], v: Any) -> Any:
    """f, element by element."""
    return [each(f, x) for x in v] if isinstance(v, list) else f(v)


def descend(theta: Any, gradient: Any, rate: Any) -> Any:
    """θ − η ∂ℒ/∂θ."""
    if isinstance(theta, list):
        return [descend(t, g, rate) for t, g in zip(theta, gradient)]
    return theta - rate * gradient


def mean(parts: list[Any]) -> Any:
    """The mean of numbers, vectors or matrices of one shape."""
    if isinstance(parts[0], list):
        return [mean(list(items)) for items in zip(*parts)]
    return sum(parts, mpf(0)) / len(parts)


# -- the table of 2.7: f and f′ -------------------------------------------------------


def sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def normal_cdf(x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2


def normal_density(x: Any) -> Any:
    return mp.exp(-(x**2) / 2) / mp.sqrt(2 * mp.pi)


#: Name → (f, f′).
ACTIVATIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "Sigmoid": (sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x))),
    "Tanh": (
        lambda x: (mp.exp(x) - mp.exp(-x)) / (mp.exp(x) + mp.exp(-x)),
        lambda x: 4 / (mp.exp(x) + mp.exp(-x)) ** 2,
    ),
    "ReLU": (lambda x: max(mpf(0), x), lambda x: mpf(x > 0)),
    "LeakyReLU": (
        lambda x: max(mpf(0.01) * x, x),
        lambda x: mpf(1) if x > 0 else mpf(0.01),
    ),
    "GELU": (
        lambda x: x * normal_cdf(x),
        lambda x: normal_cdf(x) + x * normal_density(x),
    ),
}


def softmax(z: Vector) -> Vector:
    e = [mp.exp(v) for v in z]
    return [v / sum(e) for v in e]


# -- whole networks -------------------------------------------------------------------


class Pass:
    """Forward and backward through layers (W, b, name of f), one sample, ½‖ŷ − y‖².

    Attributes:
        z, a: of layer l at index l; a[0] is x.
        delta, dW: of layer l at index l.
    """

    def __init__(
        self, layers: list[tuple[Matrix, Vector, str]], x: Vector, y: Vector
    ) -> None:
        self.z: list[Vector] = [[]]
        self.a: list[Vector] = [x]
        for W, b, name in layers:
            self.z.append(plus(apply(W, self.a[-1]), b))
            self.a.append(each(ACTIVATIONS[name][0], self.z[-1]))
        error = [p - t for p, t in zip(self.a[-1], y)]
        self.loss = dot(error, error) / 2
        count = len(layers)
        self.delta: list[Vector] = [[]] * (count + 1)
        back = error
        for l in range(count, 0, -1):  # noqa: E741 - the book's letter
            slope = each(ACTIVATIONS[layers[l - 1][2]][1], self.z[l])
            self.delta[l] = times(back, slope)
            back = apply(transpose(layers[l - 1][0]), self.delta[l])
        self.dW = [[], *(outer(self.delta[i + 1], self.a[i]) for i in range(count))]


#: 3.2.2: two inputs, two sigmoids and one output, with a sample. The explanation's
#: example, the recipe two-two-one and the tour have these numbers.
TWO_TWO_ONE: dict[str, Any] = {
    "0.weight": [[0.1, 0.4], [-0.2, 0.3]],
    "0.bias": [0.1, -0.1],
    "2.weight": [[0.5, -0.6]],
    "2.bias": [0.2],
}


def two_two_one() -> Pass:
    """Every number of it for x = (1, ½) and y = 1."""
    W1, b1, W2, b2 = map(exact, TWO_TWO_ONE.values())
    layers = [(W1, b1, "Sigmoid"), (W2, b2, "Sigmoid")]
    return Pass(layers, exact([1.0, 0.5]), exact([1.0]))
