"""Basis expansion: its terms are their formulas, derivatives too; mistakes."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError, DTypeError, ShapeError
from tests.ways import WAYS

#: Each term, what it is, and its derivatives by x₁ and x₂.
TERMS = {
    "x1": (lambda x, y: x, lambda x, y: 1, lambda x, y: 0),
    "x2": (lambda x, y: y, lambda x, y: 0, lambda x, y: 1),
    "x1^2": (lambda x, y: x**2, lambda x, y: 2 * x, lambda x, y: 0),
    "x2^3": (lambda x, y: y**3, lambda x, y: 0, lambda x, y: 3 * y**2),
    "x1*x2": (lambda x, y: x * y, lambda x, y: y, lambda x, y: x),
    "x1*x1": (lambda x, y: x * x, lambda x, y: 2 * x, lambda x, y: 0),
    "sin(x1)": (lambda x, y: np.sin(x), lambda x, y: np.cos(x), lambda x, y: 0),
    "cos(x2)": (lambda x, y: np.cos(y), lambda x, y: 0, lambda x, y: -np.sin(y)),
    "x1^2*sin(x2)": (
        lambda x, y: x**2 * np.sin(y),
        lambda x, y: 2 * x * np.sin(y),
        lambda x, y: x**2 * np.cos(y),
    ),
}
POINTS = np.array([[0.0, 0.0], [-1.5, 0.0], [0.0, -2.0], [0.7, 3.1], [-3.0, -0.2]])


@pytest.mark.parametrize("way", WAYS)
def test_terms_are_their_formulas_and_so_are_their_derivatives(way):
    """At zeros and of negative numbers too, where a power by logarithms would fail."""
    layer = nn.BasisExpansion([*TERMS])
    weights = np.random.default_rng(0).normal(size=len(TERMS))

    def weighted(x):
        return (layer(x) * cr.tensor(weights)).sum()

    def both(x):
        return layer(x), cr.grad(weighted)(x)

    function = both if way == "eager" else cr.compile(both, engine=way)
    values, gradient = function(cr.tensor(POINTS))
    wanted = np.zeros((len(POINTS), len(TERMS)))
    slopes = np.zeros_like(POINTS)
    for j, (value, *by) in enumerate(TERMS.values()):
        for i, point in enumerate(POINTS):
            wanted[i, j] = value(*point)
            slopes[i] += [weights[j] * d(*point) for d in by]
    np.testing.assert_allclose(values.numpy(), wanted, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(gradient.numpy(), slopes, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("way", WAYS)
def test_derivatives_are_differences(way):
    layer, step = nn.BasisExpansion([*TERMS]), 1e-5
    weights = cr.tensor(np.random.default_rng(1).normal(size=len(TERMS)))

    def weighted(x):
        return (layer(x) * weights).sum()

    slope = cr.grad(weighted)
    if way != "eager":
        slope = cr.compile(slope, engine=way)
    found = slope(cr.tensor(POINTS)).numpy()
    for place in np.ndindex(*POINTS.shape):
        ends = [POINTS.copy(), POINTS.copy()]
        ends[0][place] += step
        ends[1][place] -= step
        up, down = (weighted(cr.tensor(end)).item() for end in ends)
        assert found[place] == pytest.approx((up - down) / (2 * step), abs=1e-7)


def test_any_number_of_axes_and_a_single_term():
    layer = nn.BasisExpansion("x3 * x1")
    assert layer.terms == ("x3*x1",)
    x = np.arange(24.0).reshape(2, 3, 4)
    wanted = x[..., 2:3] * x[..., :1]
    np.testing.assert_array_equal(layer(cr.tensor(x)).numpy(), wanted)
    np.testing.assert_array_equal(layer(cr.tensor(x[0, 0])).numpy(), wanted[0, 0])


def test_an_explanation_writes_the_terms_and_checks_them():
    model = nn.Sequential(nn.BasisExpansion(["x1", "x1^2", "sin(x2)"]), nn.Linear(3, 1))
    x, y = np.array([[0.5, -1.0]], np.float32), np.ones((1, 1), np.float32)
    text = str(cr.explain(model, x, y, nn.MSELoss()))
    assert "x[:, :1]²" in text
    assert "sin x[:, 1:2]" in text
    assert "formulas worked out in float64" in text


@pytest.mark.parametrize(
    "terms",
    [
        *(
            "exp(x1)",
            "x0",
            "x1^0",
            "x1^-1",
            "x1^1.5",
            "x1+x2",
            "",
            "sin(x1",
            "x",
            "x1**2",
        ),
        *("x1^100", "x1234567", "x１"),
        *([], ["x1", "tan(x2)"], [1], None, {"x1": 1}),
    ],
)
def test_what_is_no_term_is_refused(terms):
    with pytest.raises(ArgumentError, match=r"(?s)x1\*x2.*got: "):
        nn.BasisExpansion(terms)


@pytest.mark.parametrize(
    ("x", "error", "said"),
    [
        (cr.ones((4, 1)), ShapeError, "C ≥ 2"),
        (cr.tensor(1.0), ShapeError, "C ≥ 2"),
        (cr.tensor([[1, 2]]), DTypeError, "floats"),
    ],
)
def test_other_inputs_are_refused(x, error, said):
    with pytest.raises(error, match=said):
        nn.BasisExpansion(["x1", "x2"])(x)
