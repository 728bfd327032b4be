"""2.5: the table of losses, value and gradient."""

from __future__ import annotations

import numpy as np
import pytest
from mpmath import mp, mpf

import chainrule as cr
from chainrule import nn
from tests.textbook.oracle import close, exact, softmax


def value_and_gradient(loss, prediction, target):
    p = cr.tensor(np.asarray(prediction, np.float64), requires_grad=True)
    result = loss(p, cr.tensor(target))
    result.backward()
    return result.item(), p.grad.numpy()


def test_2_5_1_mean_squared_error(rng):
    """L = 1/n Σ (yᵢ − ŷᵢ)²; ∂L/∂ŷᵢ = 2(ŷᵢ − yᵢ)/n."""
    p, y = rng.normal(size=7), rng.normal(size=7)
    value, gradient = value_and_gradient(nn.MSELoss(), p, y)
    errors = [a - b for a, b in zip(exact(p), exact(y))]
    close(value, sum(e**2 for e in errors) / 7)
    close(gradient, [2 * e / 7 for e in errors])


def test_2_5_1_cross_entropy_from_probabilities(rng):
    """L = −Σ yᵢ ln ŷᵢ for one sample; ∂L/∂ŷᵢ = −yᵢ/ŷᵢ."""
    p = rng.dirichlet(np.ones(4))
    y = rng.dirichlet(np.ones(4))
    loss = nn.CrossEntropyLoss(from_logits=False)
    value, gradient = value_and_gradient(loss, p[None], y[None])
    P, Y = exact(p), exact(y)
    close(value, -sum(t * mp.log(q) for t, q in zip(Y, P)))
    close(gradient, [[-t / q for t, q in zip(Y, P)]])


def test_2_5_1_cross_entropy_from_scores(rng):
    """The same of ŷ = softmax(z), from z: ∂L/∂z = ŷ − y."""
    z, label = rng.normal(size=5), 3
    value, gradient = value_and_gradient(nn.CrossEntropyLoss(), z[None], [label])
    predicted = softmax(exact(z))
    close(value, -mp.log(predicted[label]))
    close(gradient, [[p - (i == label) for i, p in enumerate(predicted)]])


@pytest.mark.parametrize("score", [-2.5, 0.25, 0.75, 1.5])
@pytest.mark.parametrize("truth", [-1.0, 1.0])
def test_2_5_1_hinge_loss(score, truth):
    """L = max(0, 1 − y ŷ), y = ±1; the slope is −y inside of the margin, else 0."""
    value, gradient = value_and_gradient(nn.HingeLoss(), [score], [truth])
    margin = mpf(truth) * mpf(score)
    close(value, max(mpf(0), 1 - margin))
    close(gradient, [-mpf(truth) if margin < 1 else mpf(0)])


def test_2_5_1_kullback_leibler_divergence(rng):
    """L = Σ pᵢ ln(pᵢ/qᵢ), p the truth and q the prediction; ∂L/∂qᵢ = −pᵢ/qᵢ."""
    q, p = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(4))
    value, gradient = value_and_gradient(nn.KLDivergence(), q[None], p[None])
    P, Q = exact(p), exact(q)
    close(value, sum(a * mp.log(a / b) for a, b in zip(P, Q)))
    close(gradient, [[-a / b for a, b in zip(P, Q)]])


def test_2_5_1_what_the_divergence_is_where_a_probability_is_zero():
    """0·ln 0 = 0; p > 0 where q = 0 is infinitely surprising."""
    loss = nn.KLDivergence()
    p, q = cr.tensor([[0.0, 1.0]]), cr.tensor([[0.5, 0.5]])
    assert loss(q, p).item() == pytest.approx(float(mp.log(2)))
    assert loss(p, q).item() == np.inf
