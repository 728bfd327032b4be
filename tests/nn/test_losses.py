"""Losses against numbers worked out by hand, in fractions and with mpmath."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from tests.nn.loss_helpers import close, t64, value_and_slope

# -- regression, in fractions ----------------------------------------------------------

P = [[Fraction(1), Fraction(-2)], [Fraction(5, 2), Fraction(3)]]
Y = [[Fraction(3), Fraction(-2)], [Fraction(1), Fraction(7, 2)]]
ERRORS = [p - y for row, truth in zip(P, Y) for p, y in zip(row, truth)]


@pytest.mark.parametrize(
    ("loss", "factor"),
    [
        (nn.MSELoss(), Fraction(1, 4)),  # 1/n, n = 4 elements (2.5.1)
        (nn.HalfMSELoss(), Fraction(1, 8)),  # 1/2n (3.3)
        (nn.HalfSquaredErrorLoss(), Fraction(1, 4)),  # ½ a sample, 2 samples (3.7)
        (nn.MSELoss(reduction="sum"), Fraction(1)),
        (nn.HalfMSELoss(reduction="sum"), Fraction(1, 2)),
        (nn.HalfSquaredErrorLoss(reduction="sum"), Fraction(1, 2)),
    ],
    ids=repr,
)
def test_the_three_squared_losses(loss, factor):
    loss_value, slope = value_and_slope(loss, P, np.asarray(Y, np.float64))
    assert loss_value == float(factor * sum(e * e for e in ERRORS))
    assert slope.ravel().tolist() == [float(2 * factor * e) for e in ERRORS]


def test_integer_targets_are_converted():
    made = nn.MSELoss()(cr.tensor([1.5, 2.0]), np.array([1, 4], np.uint8))
    assert made.dtype is cr.float32
    assert made.item() == 2.125
    assert nn.MSELoss()(cr.tensor([1, 2]), cr.tensor([0, 0])).item() == 2.5


# -- cross-entropy ---------------------------------------------------------------------

Z = [[1.0, 2.0, 0.5], [0.25, -1.0, 3.0], [-0.5, 0.0, 0.0], [2.0, 2.0, -4.0]]
LABELS = [1, 2, 0, 1]
WEIGHTS = [1.0, 0.5, 2.0]
ROWS = [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0], [0.25, 0.25, 0.5], [0.125, 0.75, 0.125]]


def test_probability_zero_costs_the_logarithm_of_the_smallest_normal_number():
    for dtype, worst in ((np.float32, 87.3365), (np.float64, 708.3964)):
        q = cr.tensor(np.array([[0.0, 1.0]], dtype), requires_grad=True)
        loss = nn.CrossEntropyLoss(from_logits=False)
        made = loss(q, cr.tensor([0]))
        made.backward()
        assert made.item() == pytest.approx(worst, abs=1e-4)
        assert made.item() == pytest.approx(-np.log(np.finfo(dtype).tiny), rel=1e-6)
        assert q.grad.tolist() == [[0.0, 0.0]]
        assert loss(q, cr.tensor([1])).item() == 0.0  # y = 0 contributes 0


def test_a_batch_of_classes_without_weight_has_loss_zero():
    loss = nn.CrossEntropyLoss([0.0, 1.0, 1.0])
    z = t64([[1.0, 2.0, 3.0]], requires_grad=True)
    made = loss(z, cr.tensor([0]))
    made.backward()
    assert made.item() == 0
    assert z.grad.tolist() == [[0, 0, 0]]
    smooth = nn.CrossEntropyLoss([0.0, 1.0, 1.0], label_smoothing=0.5)
    assert smooth(z, cr.tensor([0])).item() == 0


# -- binary cross-entropy --------------------------------------------------------------


def test_binary_cross_entropy_at_logit_zero():
    """δ = σ(0) − 1 = −½; the max(z, 0) and |z| of its parts would give −1."""
    for loss in (nn.BCEWithLogitsLoss(), nn.BCEWithLogitsLoss(pos_weight=1.0)):
        made, slope = value_and_slope(loss, [0.0], [1.0])
        close(made, float(mpmath.log(2)))
        assert slope.tolist() == [-0.5]
    loss = nn.BCEWithLogitsLoss(pos_weight=3.0)
    assert value_and_slope(loss, [0.0], [1.0])[1] == [-1.5]


# -- margins ---------------------------------------------------------------------------


def test_hinge_by_hand():
    score, y = [0.5, -2.0, 3.0, 1.0], [1, -1, -1, 1]
    made, slope = value_and_slope(nn.HingeLoss(), score, cr.tensor(y))
    assert made == float((Fraction(1, 2) + 0 + 4 + 0) / 4)
    assert slope.tolist() == [-0.25, 0.0, 0.25, 0.0]  # 0 on the margin itself


def test_the_perceptrons_derivative_is_rosenblatts():
    z, y = [-2.0, -1.0, 0.0, 0.0, 3.0, 4.0], [0, 1, 0, 1, 0, 1]
    made, slope = value_and_slope(nn.PerceptronLoss(reduction="sum"), z, cr.tensor(y))
    assert made == 1 + 0 + 3
    assert slope.tolist() == [0, -1, 1, 0, 1, 0]  # step(z) − y with step(0) = 1


# -- divergence ------------------------------------------------------------------------


def test_zero_probabilities():
    loss = nn.KLDivLoss(reduction="none")
    q, p = t64([[0.0, 1.0], [0.0, 1.0]], requires_grad=True), [[0.0, 1.0], [0.5, 0.5]]
    made = loss(q, np.array(p))
    assert made.tolist() == [0.0, np.inf]  # 0 · ln 0 = 0; q = 0 < p
    made.sum().backward()
    assert np.isfinite(q.grad.numpy()).all()
