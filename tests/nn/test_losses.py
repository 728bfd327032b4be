"""Losses against numbers worked out by hand, in fractions and with mpmath."""

from __future__ import annotations

import itertools
from fractions import Fraction

import mpmath
import numpy as np
import pytest

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn
from tests.nn.loss_helpers import close, t64, value_and_slope
from tests.ways import WAYS

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


def test_probability_zero_costs_100_and_learns():
    for dtype in (np.float32, np.float64):
        q = cr.tensor(np.array([[0.0, 1.0]], dtype), requires_grad=True)
        loss = nn.CrossEntropyLoss(from_logits=False)
        made = loss(q, cr.tensor([0]))
        made.backward()
        assert made.item() == 100
        np.testing.assert_allclose(q.grad.numpy(), [[-1e12, 0.0]], rtol=1e-6)
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
    loss = nn.KLDivergence(reduction="none")
    q, p = t64([[0.0, 1.0], [0.0, 1.0]], requires_grad=True), [[0.0, 1.0], [0.5, 0.5]]
    made = loss(q, np.array(p))
    assert made.tolist() == [0.0, np.inf]  # 0 · ln 0 = 0; q = 0 < p
    made.sum().backward()
    assert np.isfinite(q.grad.numpy()).all()


def test_the_divergence_of_gaussians_is_the_integral_of_its_definition():
    """By the trapezoidal rule, an axis at a time; 0 of a distribution from itself."""
    p, q = [(0.5, -1.0), (-2.0, 0.25)], [(1.0, 0.5), (0.0, -0.5)]

    def log_density(x, mean, logvar):
        return -0.5 * ((x - mean) ** 2 / np.exp(logvar) + logvar + np.log(2 * np.pi))

    def divergence(a, b):
        x = np.linspace(a[0] - 15, a[0] + 15, 3001)
        own = log_density(x, *a)
        return np.trapezoid(np.exp(own) * (own - log_density(x, *b)), x)

    loss = nn.GaussianKLDivLoss(reduction="none")
    given = [t64([column]) for pair in (p, q) for column in zip(*pair)]
    close(loss(*given).item(), float(sum(map(divergence, p, q))), rtol=1e-12)
    standard = float(sum(divergence(a, (0.0, 0.0)) for a in p))
    close(loss(*given[:2]).item(), standard, rtol=1e-12)
    assert loss(*given[:2], *given[:2]).item() == 0


# -- alignment -------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [[1], [2, 1], [1, 1], [1, 2, 1], [2, 2, 2], []])
def test_ctc_adds_up_every_path(labels):
    """Of four steps and three classes there are 81; the blank is 0."""
    scores = np.random.default_rng(0).normal(size=(4, 3))
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    total = 0.0
    for path in itertools.product(range(3), repeat=4):
        merged = [c for c, _ in itertools.groupby(path) if c]
        total += np.prod(p[range(4), path]) * (merged == labels)
    with np.errstate(divide="ignore"):
        wanted = -np.log(total)
    padded = np.array([labels + [0] * (3 - len(labels))])
    for targets, n in ((padded, [len(labels)]), (padded[0], len(labels))):
        steps = t64(np.log(p)) if isinstance(n, int) else t64(np.log(p)[:, None])
        length = 4 if isinstance(n, int) else [4]
        made = nn.CTCLoss(reduction="none")(steps, targets, length, n)
        close(made.item(), wanted)
    free = nn.CTCLoss(zero_infinity=True)
    if np.isinf(wanted):
        value, slope = value_and_slope(
            lambda z, y: free(z, y, 4, len(labels)), np.log(p), padded[0]
        )
        assert (value, abs(slope).max()) == (0, 0)


Z = cr.tensor([[1.0, 2.0], [0.0, 3.0]])
IGNORED, FIRST = cr.tensor([-100, -100]), cr.tensor([0, 0])
#: Means over nothing: of each loss of classes, in each way to leave all of it out.
NOTHING_COUNTS = {
    "ignored": lambda z: F.cross_entropy(z, IGNORED, ignore_index=-100),
    "ignored, by the module": lambda z: nn.CrossEntropyLoss(ignore_index=-100)(
        z, IGNORED
    ),
    "ignored and smoothed": lambda z: F.cross_entropy(
        z, IGNORED, ignore_index=-100, label_smoothing=0.1
    ),
    "of probabilities": lambda z: F.cross_entropy(
        z.softmax(1), IGNORED, ignore_index=-100, from_logits=False
    ),
    "of logarithms": lambda z: F.nll_loss(z.log_softmax(1), IGNORED, ignore_index=-100),
    "a class of weight 0": lambda z: F.cross_entropy(z, FIRST, weight=[0.0, 1.0]),
    "samples of weight 0": lambda z: F.cross_entropy(z, FIRST, sample_weight=[0, 0]),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NOTHING_COUNTS)
def test_where_nothing_counts_the_mean_is_0_and_nothing_moves(
    name: str, way: str
) -> None:
    run = cr.value_and_grad(NOTHING_COUNTS[name])
    run = run if way == "eager" else cr.compile(run, engine=way)
    value, slope = run(Z)
    assert value.item() == 0
    assert not slope.numpy().any()
