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


def test_the_books_half_square_is_that_of_one_sample():
    """2.6.1 and 3.7: ℒ = ½(ŷ − y)², ∂ℒ/∂ŷ = ŷ − y, for one sample and any outputs."""
    made, slope = value_and_slope(nn.HalfSquaredErrorLoss(), [[0.75]], [[1.0]])
    assert (made, slope.tolist()) == (0.03125, [[-0.25]])
    made, slope = value_and_slope(nn.HalfSquaredErrorLoss(), [[0.5, 2.0]], [[1, 0]])
    assert (made, slope.tolist()) == (2.125, [[-0.5, 2.0]])


def test_half_squared_error_of_one_number_a_sample_and_of_images():
    flat = nn.HalfSquaredErrorLoss(reduction="none")(t64([1, 3]), t64([0, 1]))
    assert flat.tolist() == [0.5, 2.0]
    deep = nn.HalfSquaredErrorLoss(reduction="none")(
        t64(np.full((2, 3, 4), 2.0)), t64(np.ones((2, 3, 4)))
    )
    assert deep.tolist() == [6.0, 6.0]


def test_absolute_errors():
    made, slope = value_and_slope(nn.L1Loss(), P, np.asarray(Y, np.float64))
    assert made == float(sum(map(abs, ERRORS)) / 4)
    assert slope.tolist() == [[-0.25, 0.0], [0.25, -0.25]]  # 0 where ŷ = y


def test_hubers_loss_is_square_inside_and_straight_outside():
    errors = [Fraction(-3), Fraction(-1, 2), Fraction(0), Fraction(3, 2), Fraction(2)]
    delta = Fraction(3, 2)
    inside = [abs(e) <= delta for e in errors]
    wanted = [
        e * e / 2 if i else delta * (abs(e) - delta / 2) for e, i in zip(errors, inside)
    ]
    loss = nn.HuberLoss(1.5, reduction="sum")
    made, slope = value_and_slope(loss, errors, np.zeros(5))
    assert made == float(sum(wanted))
    assert slope.tolist() == [-1.5, -0.5, 0.0, 1.5, 1.5]  # e clipped
    each = nn.HuberLoss(np.float32(1.5), reduction="none")(t64(errors), np.zeros(5))
    assert each.tolist() == [float(w) for w in wanted]


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


def softmax_by_mpmath(row):
    powers = [mpmath.e ** mpmath.mpf(z) for z in row]
    return [p / sum(powers) for p in powers]


def worked_cross_entropy(rows, weight, smoothing, indexed):
    """ℓ of each sample, the mean's denominator and the loss by the documented rule."""
    with mpmath.workdps(40):
        losses, total = [], mpmath.mpf(0)
        for z, y in zip(Z, rows):
            soft = [
                (1 - mpmath.mpf(smoothing)) * v + mpmath.mpf(smoothing) / 3 for v in y
            ]
            logs = [mpmath.log(p) for p in softmax_by_mpmath(z)]
            losses.append(-sum(w * s * p for w, s, p in zip(weight, soft, logs)))
            total += sum(w * v for w, v in zip(weight, y)) if indexed else 1
        return [float(v) for v in losses], float(sum(losses) / total)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weight", [None, WEIGHTS])
@pytest.mark.parametrize("indexed", [True, False])
def test_cross_entropy_by_hand(indexed, weight, smoothing, from_logits):
    one_hot = np.eye(3)[LABELS]
    rows = one_hot if indexed else np.array(ROWS)
    each, mean = worked_cross_entropy(rows, weight or [1, 1, 1], smoothing, indexed)
    target = np.array(LABELS) if indexed else rows
    prediction = t64(Z) if from_logits else t64(Z).softmax()  # no node: not fused
    options = {"label_smoothing": smoothing, "from_logits": from_logits}
    for reduction, wanted in (("none", each), ("sum", sum(each)), ("mean", mean)):
        loss = nn.CrossEntropyLoss(weight, reduction=reduction, **options)
        close(loss(prediction, target).numpy(), wanted)


def test_one_hot_rows_and_class_indices_are_one_thing_but_for_the_weighted_mean():
    one_hot = np.eye(3)[LABELS]
    for rows in (one_hot, one_hot.astype(np.int64), one_hot.astype(bool)):
        plain = nn.CrossEntropyLoss()
        close(plain(t64(Z), rows).numpy(), plain(t64(Z), np.array(LABELS)).numpy())
    weighted = nn.CrossEntropyLoss(WEIGHTS)
    ratio = weighted(t64(Z), np.array(LABELS)) / weighted(t64(Z), one_hot)
    close(ratio.numpy(), 4 / sum(WEIGHTS[k] for k in LABELS))  # Σ w_y against n


def test_delta_is_prediction_minus_truth_also_through_a_softmax():
    """z = (1, 2, ½), class 2 (the second): δ = ŷ − y = (0.231, −0.371, 0.140)."""
    book = [[0.231, -0.371, 0.140]]
    for target in (np.array([1]), np.array([[0.0, 1.0, 0.0]])):
        z = t64([[1.0, 2.0, 0.5]], requires_grad=True)
        nn.CrossEntropyLoss(from_logits=False)(nn.Softmax()(z), target).backward()
        np.testing.assert_allclose(z.grad.numpy(), book, atol=5e-4)
        exact = [float(p) for p in softmax_by_mpmath([1, 2, 0.5])]
        close(z.grad.numpy(), [[exact[0], exact[1] - 1, exact[2]]], rtol=1e-14)


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


def test_soft_targets_have_derivatives_too():
    y = t64(ROWS, requires_grad=True)
    nn.CrossEntropyLoss(reduction="sum")(t64(Z), y).backward()
    logs = [[-float(mpmath.log(p)) for p in softmax_by_mpmath(z)] for z in Z]
    close(y.grad.numpy(), logs, rtol=1e-12)


# -- binary cross-entropy --------------------------------------------------------------


def test_binary_cross_entropy_at_logit_zero():
    """δ = σ(0) − 1 = −½; the max(z, 0) and |z| of its parts would give −1."""
    for loss in (nn.BCEWithLogitsLoss(), nn.BCEWithLogitsLoss(pos_weight=1.0)):
        made, slope = value_and_slope(loss, [0.0], [1.0])
        close(made, float(mpmath.log(2)))
        assert slope.tolist() == [-0.5]
    loss = nn.BCEWithLogitsLoss(pos_weight=3.0)
    assert value_and_slope(loss, [0.0], [1.0])[1] == [-1.5]


def test_binary_cross_entropy_by_hand():
    z, y = [-2.0, 0.5, 3.0, 0.0], [0.0, 1.0, 0.25, 1.0]
    weight = Fraction(5, 2)
    with mpmath.workdps(30):
        sigma = [1 / (1 + mpmath.e ** -mpmath.mpf(v)) for v in z]
        plain = [
            -y * mpmath.log(s) - (1 - y) * mpmath.log(1 - s) for s, y in zip(sigma, y)
        ]
        more = [
            -2.5 * y * mpmath.log(s) - (1 - y) * mpmath.log(1 - s)
            for s, y in zip(sigma, y)
        ]
        slopes = [(s - y) / 4 for s, y in zip(sigma, y)]
    made, slope = value_and_slope(nn.BCEWithLogitsLoss(), z, y)
    close(made, sum(map(float, plain)) / 4)
    close(slope, slopes, rtol=1e-12)
    each = nn.BCEWithLogitsLoss(pos_weight=float(weight), reduction="none")(t64(z), y)
    close(each.numpy(), [float(v) for v in more])
    probabilities = t64([float(s) for s in sigma])
    each = nn.BCELoss(reduction="none")(probabilities, y)
    close(each.numpy(), [float(v) for v in plain])


def test_a_pos_weight_for_each_output():
    loss = nn.BCEWithLogitsLoss(pos_weight=[1.0, 3.0], reduction="none")
    made = loss(t64([[0.0, 0.0]]), [[1.0, 1.0]]).numpy()
    close(made, [[np.log(2), 3 * np.log(2)]])


def test_delta_of_a_sigmoid_in_front_of_binary_cross_entropy():
    z = t64([-40.0, 800.0], requires_grad=True)
    loss = nn.BCELoss(reduction="sum")(nn.Sigmoid()(z), np.array([1.0, 0.0]))
    loss.backward()
    close(loss.item(), 840.0)
    close(z.grad.numpy(), [-1.0, 1.0])


def test_certain_probabilities():
    loss = nn.BCELoss(reduction="none")
    made = loss(cr.tensor([0.0, 0.0, 1.0, 1.0]), cr.tensor([0, 1, 0, 1])).numpy()
    worst = -np.log(np.finfo(np.float32).tiny)
    np.testing.assert_allclose(made, [0, worst, worst, 0], rtol=1e-6)


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


def test_multi_class_margin_by_hand():
    z, y, w = [[0.5, 2.0, -1.0], [1.0, 0.5, 3.0]], [0, 2], [3.0, 1.0, 1.0]
    # margin 1: 1 − 0.5 + 2 = 2.5 and 1 − 0.5 − 1 < 0; 1 − 3 + 1 < 0 and 1 − 3 + ½ < 0
    made, slope = value_and_slope(nn.MultiMarginLoss(), z, cr.tensor(y))
    close(made, Fraction(5, 2) / 3 / 2)
    close(slope, np.array([[-1, 1, 0], [0, 0, 0]]) / 6)
    # squares, margin 2.5: 4², 1², and 0.5², 0
    loss = nn.MultiMarginLoss(p=2, margin=2.5, reduction="none")
    close(loss(t64(z), cr.tensor(y)).numpy(), [Fraction(17, 3), Fraction(1, 12)])
    loss = nn.MultiMarginLoss(weight=w)
    close(loss(t64(z), cr.tensor(y)).numpy(), 3 * Fraction(5, 2) / 3 / 2)


# -- divergence ------------------------------------------------------------------------


def test_divergence_is_of_the_target_from_the_prediction():
    q, p = t64([[0.25, 0.75], [0.5, 0.5]]), t64([[0.5, 0.5], [1.0, 0.0]])
    ln = mpmath.log
    forward = [float(ln(2) / 2 + ln(mpmath.mpf(2) / 3) / 2), float(ln(2))]
    close(nn.KLDivLoss(reduction="none")(q, p).numpy(), forward, rtol=1e-12)
    close(nn.KLDivLoss()(q, p).numpy(), sum(forward) / 2, rtol=1e-12)
    backward = float(ln(mpmath.mpf(1) / 2) / 4 + 3 * ln(mpmath.mpf(3) / 2) / 4)
    made = nn.KLDivLoss(reduction="none")(p[:1], q[:1]).numpy()
    close(made, [backward], rtol=1e-12)


def test_zero_probabilities():
    loss = nn.KLDivLoss(reduction="none")
    q, p = t64([[0.0, 1.0], [0.0, 1.0]], requires_grad=True), [[0.0, 1.0], [0.5, 0.5]]
    made = loss(q, np.array(p))
    assert made.tolist() == [0.0, np.inf]  # 0 · ln 0 = 0; q = 0 < p
    made.sum().backward()
    assert np.isfinite(q.grad.numpy()).all()


def test_divergence_of_one_distribution_and_of_stacks():
    q, p = np.full((2, 3, 4), 0.25), np.full((2, 3, 4), 0.25)
    p[0, 0] = [0.5, 0.5, 0, 0]
    made = nn.KLDivLoss(reduction="none")(q, p)
    assert made.shape == (2, 3)
    close(made.numpy()[0, 0], np.log(2))
    close(nn.KLDivLoss()(t64(q[0, 0]), t64(p[0, 0])).numpy(), np.log(2))
