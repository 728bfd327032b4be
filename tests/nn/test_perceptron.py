"""Rosenblatt's rule: by hand, where it succeeds, and where it cannot."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError, ShapeError
from tests.mistakes import explained

CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])


def rosenblatt(x, y, passes, lr=1.0):
    """The rule in plain Python: w ← w + η(y − ŷ)x, b ← b + η(y − ŷ)."""
    w, b, mistakes = np.zeros(x.shape[1]), 0.0, []
    for _ in range(passes):
        wrong = 0
        for row, label in zip(x, y):
            guess = 1 if row @ w + b >= 0 else 0
            wrong += guess != label
            w, b = w + lr * (label - guess) * row, b + lr * (label - guess)
        mistakes.append(wrong)
    return w, b, mistakes


def test_it_is_rosenblatts_rule():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    y = (x @ [1.0, -2.0, 0.5] + 0.3 > 0).astype(int)
    neuron = nn.Perceptron(3, dtype="float64")
    made = [neuron.learn(x, y, lr=0.5) for _ in range(5)]
    w, b, mistakes = rosenblatt(x, y, 5, lr=0.5)
    assert made == mistakes
    np.testing.assert_allclose(neuron.weight.numpy(), [w], rtol=1e-14)
    np.testing.assert_allclose(neuron.bias.numpy(), [b], rtol=1e-14)


def test_a_sum_of_zero_counts_as_one():
    neuron = nn.Perceptron(2)
    assert neuron(CORNERS).tolist() == [[1.0]] * 4  # all starts at 0
    assert neuron.score([1.0, 2.0]).tolist() == [0.0]


@pytest.mark.parametrize("labels", [[0, 0, 0, 1], [0, 1, 1, 1], [1, 0, 0, 0]])
def test_it_learns_what_a_line_separates(labels):
    neuron = nn.Perceptron(2)
    passes = [neuron.learn(CORNERS, labels) for _ in range(20)]
    assert passes[-1] == 0
    assert neuron(CORNERS).numpy()[:, 0].tolist() == labels


def test_it_never_learns_xor():
    neuron = nn.Perceptron(2)
    passes = [neuron.learn(CORNERS, [0, 1, 1, 0]) for _ in range(30)]
    assert min(passes) > 0


def test_novikoffs_bound_holds():
    """At most (R/margin)² mistakes, whatever the order (Novikoff 1962)."""
    rng = np.random.default_rng(1)
    direction = np.array([0.6, -0.8, 0.0])  # with the bias as third weight
    x = rng.uniform(-1, 1, (200, 2))
    extended = np.column_stack([x, np.ones(len(x))])
    away = abs(extended @ direction) > 0.1
    x, extended = x[away], extended[away]
    y = (extended @ direction > 0).astype(int)
    neuron = nn.Perceptron(2, dtype="float64")
    total = 0
    while mistakes := neuron.learn(x, y):
        total += mistakes
    radius = np.linalg.norm(extended, axis=1).max()
    margin = abs(extended @ direction).min()
    assert total <= (radius / margin) ** 2


def test_eta_scales_the_weights_and_nothing_else():
    small, large = nn.Perceptron(2), nn.Perceptron(2)
    for _ in range(4):
        made = small.learn(CORNERS, [0, 0, 0, 1], lr=0.25)
        assert made == large.learn(CORNERS, [0, 0, 0, 1])
    np.testing.assert_array_equal(4 * small.weight.numpy(), large.weight.numpy())


def test_several_neurons_learn_side_by_side():
    y = np.array([[0, 0], [0, 1], [0, 1], [1, 1]])  # and, or
    neurons = nn.Perceptron(2, 2)
    while neurons.learn(CORNERS, y):
        pass
    assert neurons(CORNERS).tolist() == y.astype(float).tolist()


def test_no_gradient_reaches_through_the_step():
    neuron = nn.Perceptron(2)
    neuron(cr.tensor(CORNERS)).sum().backward()
    assert not neuron.weight.grad.numpy().any()


#: What is written, by its error, and words of the message.
MISTAKES = {
    ArgumentError: {
        "nn.Perceptron(2).learn(CORNERS, [-1, -1, -1, 1])": "0 or 1.*-1.*HingeLoss",
        "nn.Perceptron(0)": "in_features",
    },
    ShapeError: {
        "nn.Perceptron(2).learn(CORNERS, [0, 1])": r"x \(n, 2\).*y \(2, 1\)",
        "nn.Perceptron(3).learn(CORNERS, [0] * 4)": r"\(n, 3\)",
    },
}
test_mistakes_are_explained = explained(MISTAKES, globals())
