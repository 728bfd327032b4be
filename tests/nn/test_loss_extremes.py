"""Losses of scores of ±1e4 and of probabilities 0 and 1, on every engine."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from tests.ways import EXTREME

BIG = 1e4


def extremes():
    """(loss, prediction, target, wanted ℓ, wanted ∂Σℓ/∂prediction)."""
    z = [[BIG, 0.0, -BIG], [-BIG, BIG, BIG], [0.0, 0.0, BIG]]
    hot, soft = np.eye(3), np.array([[0.25, 0.25, 0.5], [1.0, 0, 0], [0, 0, 1.0]])
    shares = np.array([[1, 0, 0], [0, 0.5, 0.5], [0, 0, 1.0]])
    ln2 = float(mpmath.log(2))
    labels, by_label = np.array([1, 0, 2]), [BIG, 2 * BIG + ln2, 0.0]
    by_row = [0.25 * BIG + 0.5 * 2 * BIG, 2 * BIG + ln2, 0.0]
    entropy = np.array([-1.5 * ln2, 0.0, 0.0])  # Σ p ln p

    def from_scores(loss, after=lambda t: t):
        return lambda x, y: loss(after(x), y)

    softmax, sigmoid = nn.Softmax(), nn.Sigmoid()
    plain = nn.CrossEntropyLoss(reduction="none")
    book = nn.CrossEntropyLoss(from_logits=False, reduction="none")
    yield "cross-entropy", plain, z, labels, by_label, shares - hot[labels]
    yield "soft", plain, z, soft, by_row, shares - soft
    after = from_scores(book, softmax)
    yield "softmax, cross-entropy", after, z, labels, by_label, shares - hot[labels]
    after = from_scores(book, softmax)
    yield "softmax, soft", after, z, soft, by_row, shares - soft
    after = from_scores(nn.KLDivergence(reduction="none"), softmax)
    yield "softmax, divergence", after, z, soft, by_row + entropy, shares - soft
    z, y = [BIG, BIG, -BIG, -BIG], np.array([0.0, 1.0, 0.0, 1.0])
    costs, slopes = [BIG, 0, 0, BIG], [1.0, 0, 0, -1]
    yield "binary", nn.BCEWithLogitsLoss(reduction="none"), z, y, costs, slopes
    after = from_scores(nn.BCELoss(reduction="none"), sigmoid)
    yield "sigmoid, binary", after, z, y, costs, slopes
    loss = nn.BCEWithLogitsLoss(pos_weight=2.0, reduction="none")
    yield "weighted binary", loss, z, y, [BIG, 0, 0, 2 * BIG], [1.0, 0, 0, -2]
    yield "perceptron", nn.PerceptronLoss(reduction="none"), z, y, costs, slopes
    loss = nn.HingeLoss(reduction="none")
    yield "hinge", loss, z, 2 * y - 1, [BIG + 1, 0, 0, BIG + 1], slopes
    loss = nn.MultiMarginLoss(reduction="none")
    scores = [[BIG, 0.0, -BIG], [BIG, 0.0, -BIG]]
    costs = [(2 + 3 * BIG) / 3, 0]
    slopes = np.array([[1, 1, -2], [0, 0, 0]]) / 3
    yield "margins", loss, scores, np.array([2, 0]), costs, slopes
    loss = nn.MultiMarginLoss(p=2, reduction="none")
    costs = [((1 + BIG) ** 2 + (1 + 2 * BIG) ** 2) / 3, 0]
    slopes = 2 * np.array([[1 + 2 * BIG, 1 + BIG, -2 - 3 * BIG], [0, 0, 0]]) / 3
    yield "squared margins", loss, scores, np.array([2, 0]), costs, slopes
    p, y, n = [BIG, -BIG], np.zeros(2), "none"
    signs, square = [1, -1], BIG * BIG
    yield "mse", nn.MSELoss(reduction=n), p, y, [square] * 2, [2 * BIG, -2 * BIG]
    yield "half mse", nn.HalfMSELoss(reduction=n), p, y, [square / 2] * 2, p
    loss = nn.HalfSquaredErrorLoss(reduction=n)
    yield "half square", loss, p, y, [square / 2] * 2, p
    yield "mae", nn.L1Loss(reduction=n), p, y, [BIG] * 2, signs
    yield "huber", nn.HuberLoss(reduction=n), p, y, [BIG - 0.5] * 2, signs


@pytest.mark.one_in(2)
@pytest.mark.parametrize(("engine", "dtype"), EXTREME)
@pytest.mark.parametrize(
    ("loss", "z", "y", "costs", "slopes"),
    [pytest.param(*case[1:], id=case[0]) for case in extremes()],
)
def test_extremes(loss, z, y, costs, slopes, dtype, engine):
    """Exact in value and derivative at ±1e4, without a warning (they are errors)."""

    def both(x, y):
        losses = loss(x, y)
        return losses, cr.grad(lambda x: loss(x, y).sum())(x)

    run = both if engine == "eager" else cr.compile(both, engine=engine)
    target = np.asarray(y, dtype if y.dtype.kind == "f" else "int32")
    tracked = engine == "eager"  # so that a softmax is remembered, as it is in a trace
    x = cr.tensor(np.asarray(z, dtype), requires_grad=tracked)
    made, slope = run(x, cr.tensor(target))
    rtol = 1e-6 if dtype == "float32" else 1e-14
    np.testing.assert_allclose(made.numpy(), costs, rtol=rtol, atol=0)
    np.testing.assert_allclose(slope.numpy(), slopes, rtol=rtol, atol=0)


@pytest.mark.parametrize(("engine", "dtype"), EXTREME)
def test_zero_probabilities_on_every_engine(dtype, engine):
    """From probabilities alone: 0 costs 100, and a divergence ∞."""

    def each(q, p):
        return (
            nn.CrossEntropyLoss(from_logits=False, reduction="none")(q, p),
            nn.BCELoss(reduction="none")(q, p),
            nn.KLDivergence(reduction="none")(q, p),
        )

    run = each if engine == "eager" else cr.compile(each, engine=engine)
    q = cr.tensor(np.array([[0.0, 1.0], [1.0, 0.0]], dtype))
    p = cr.tensor(np.array([[0.0, 1.0], [0.5, 0.5]], dtype))
    cross, binary, divergence = (t.numpy() for t in run(q, p))
    np.testing.assert_allclose(cross, [0, 50], rtol=1e-6)
    np.testing.assert_allclose(binary, [[0, 0], [50, 50]], rtol=1e-6)
    np.testing.assert_array_equal(divergence, [0, np.inf])
