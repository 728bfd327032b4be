"""Every loss that PyTorch has, value and derivative, in float64."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn

torch = pytest.importorskip(
    "torch", reason="PyTorch is not installed: pip install -e '.[parity]'"
)
pytestmark = pytest.mark.parity

TOLERANCE = 1e-10
N, C = 7, 4
WEIGHT = [0.5, 1.0, 2.0, 0.25]
LAYERS = torch.nn


def drawn(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "scores": rng.normal(scale=2.0, size=(N, C)),
        "numbers": rng.normal(scale=2.0, size=(N, C)),
        "unit": rng.uniform(0.01, 0.99, (N, C)),
        "soft": rng.uniform(0.0, 1.0, (N, C)),
        "yes or no": rng.integers(0, 2, (N, C)).astype(np.float64),
        "signs": rng.integers(0, 2, (N, C)) * 2.0 - 1.0,
        "distributions": rng.dirichlet(np.ones(C), N),
        "others": rng.dirichlet(np.ones(C), N),
        "labels": rng.integers(0, C, N),
    }


def their_half(reduction):
    return lambda p, y: 0.5 * LAYERS.MSELoss(reduction=reduction)(p, y)


def their_divergence(reduction):
    """KL(p‖q): PyTorch takes ln q, and calls the mean over samples "batchmean"."""
    name = {"mean": "batchmean"}.get(reduction, reduction)
    each = LAYERS.KLDivLoss(reduction=name)
    return lambda q, p: each(q.log(), p).sum(1) if name == "none" else each(q.log(), p)


def their_cross_entropy_of_probabilities(reduction):
    each = LAYERS.NLLLoss(weight=torch.tensor(WEIGHT).double(), reduction=reduction)
    return lambda q, y: each(q.log(), y)


def their_hinge(reduction):
    """max(0, 1 − y z) is the margin ranking loss of z over 0."""
    each = LAYERS.MarginRankingLoss(margin=1.0, reduction=reduction)
    return lambda z, y: each(z, torch.zeros_like(z), y)


def weighted(layer, **options):
    tensors = {k: torch.tensor(v).double() for k, v in options.items()}
    return lambda reduction: layer(reduction=reduction, **tensors)


def plain(layer, **options):
    return lambda reduction: layer(reduction=reduction, **options)


def smooth(**options):
    weight = torch.tensor(WEIGHT).double() if options.pop("weight", None) else None
    return plain(LAYERS.CrossEntropyLoss, weight=weight, **options)


#: Name → (our loss, theirs, which prediction, which target).
CASES = {
    "mse": (nn.MSELoss, plain(LAYERS.MSELoss), "scores", "numbers"),
    "half mse": (nn.HalfMSELoss, their_half, "scores", "numbers"),
    "mae": (nn.L1Loss, plain(LAYERS.L1Loss), "scores", "numbers"),
    "huber": (nn.HuberLoss, plain(LAYERS.HuberLoss), "scores", "numbers"),
    "huber, delta": (
        lambda **o: nn.HuberLoss(0.3, **o),
        plain(LAYERS.HuberLoss, delta=0.3),
        "scores",
        "numbers",
    ),
    "binary": (nn.BCELoss, plain(LAYERS.BCELoss), "unit", "yes or no"),
    "binary, soft": (nn.BCELoss, plain(LAYERS.BCELoss), "unit", "soft"),
    "binary from scores": (
        nn.BCEWithLogitsLoss,
        plain(LAYERS.BCEWithLogitsLoss),
        "scores",
        "soft",
    ),
    "binary, pos_weight": (
        lambda **o: nn.BCEWithLogitsLoss(pos_weight=2.5, **o),
        weighted(LAYERS.BCEWithLogitsLoss, pos_weight=2.5),
        "scores",
        "soft",
    ),
    "binary, pos_weight for each": (
        lambda **o: nn.BCEWithLogitsLoss(pos_weight=WEIGHT, **o),
        weighted(LAYERS.BCEWithLogitsLoss, pos_weight=WEIGHT),
        "scores",
        "yes or no",
    ),
    "from probabilities": (
        lambda **o: nn.CrossEntropyLoss(WEIGHT, from_logits=False, **o),
        their_cross_entropy_of_probabilities,
        "distributions",
        "labels",
    ),
    "hinge": (nn.HingeLoss, their_hinge, "scores", "signs"),
    "divergence": (nn.KLDivLoss, their_divergence, "distributions", "others"),
}
for _p, _margin, _weight in ((1, 1.0, None), (2, 1.0, None), (1, 0.3, 1), (2, 2.5, 1)):
    _theirs = torch.tensor(WEIGHT).double() if _weight else None
    CASES[f"margins, p={_p}, margin={_margin}, weight={_weight}"] = (
        lambda p=_p, m=_margin, w=_weight, **o: nn.MultiMarginLoss(
            p, m, WEIGHT if w else None, **o
        ),
        plain(LAYERS.MultiMarginLoss, p=_p, margin=_margin, weight=_theirs),
        "scores",
        "labels",
    )
for _target in ("labels", "distributions"):
    for _weight in (None, WEIGHT):
        for _smoothing in (0.0, 0.1, 1.0):
            CASES[f"{_target}, weight={_weight}, smoothing={_smoothing}"] = (
                lambda w=_weight, s=_smoothing, **o: nn.CrossEntropyLoss(
                    w, label_smoothing=s, **o
                ),
                smooth(weight=_weight, label_smoothing=_smoothing),
                "scores",
                _target,
            )


def their_result(loss, p, y, cotangent):
    """PyTorch's losses, and the derivatives along a cotangent."""
    prediction = torch.tensor(p, requires_grad=True)
    target = torch.tensor(y, requires_grad=y.dtype.kind == "f")
    made = loss(prediction, target)
    made.backward(torch.tensor(cotangent(tuple(made.shape))))
    slopes = [prediction.grad, target.grad if target.requires_grad else None]
    return made.detach().numpy(), [None if g is None else g.numpy() for g in slopes]


def our_result(loss, p, y, cotangent):
    prediction = cr.tensor(p, requires_grad=True)
    target = cr.tensor(y, requires_grad=y.dtype.kind == "f")
    made = loss(prediction, target)
    made.backward(cr.tensor(cotangent(made.shape)))
    slopes = [prediction.grad, target.grad]
    return made.numpy(), [None if g is None else g.numpy() for g in slopes]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", CASES)
def test_value_and_derivatives(name, reduction, seed):
    ours, theirs, prediction, target = CASES[name]
    data = drawn(seed)
    p, y = data[prediction], data[target]

    def cotangent(shape):
        return np.random.default_rng(9).normal(size=shape)

    wanted, slopes = their_result(theirs(reduction), p, y, cotangent)
    made, found = our_result(ours(reduction=reduction), p, y, cotangent)
    assert made.shape == wanted.shape
    np.testing.assert_allclose(made, wanted, rtol=TOLERANCE, atol=TOLERANCE)
    for got, slope in zip(found, slopes, strict=True):
        if slope is not None:
            np.testing.assert_allclose(got, slope, rtol=TOLERANCE, atol=TOLERANCE)


EXTREME = {
    "cross-entropy": (nn.CrossEntropyLoss, LAYERS.CrossEntropyLoss, (N, C), "labels"),
    "soft": (nn.CrossEntropyLoss, LAYERS.CrossEntropyLoss, (N, C), "distributions"),
    "binary": (nn.BCEWithLogitsLoss, LAYERS.BCEWithLogitsLoss, (N, C), "yes or no"),
    "margins": (nn.MultiMarginLoss, LAYERS.MultiMarginLoss, (N, C), "labels"),
    "huber": (nn.HuberLoss, LAYERS.HuberLoss, (N, C), "numbers"),
}


@pytest.mark.parametrize("scale", [1e-4, 30.0, 1e4])
@pytest.mark.parametrize("name", EXTREME)
def test_far_from_ordinary_numbers(name, scale):
    ours, theirs, shape, target = EXTREME[name]
    p = np.random.default_rng(2).uniform(-scale, scale, shape)
    p[0] = 0.0  # ties between classes, and δ = −½ of binary cross-entropy
    y = drawn(2)[target]
    one = np.ones
    wanted, (slope, _) = their_result(theirs(), p, y, one)
    made, (found, _) = our_result(ours(), p, y, one)
    np.testing.assert_allclose(made, wanted, rtol=TOLERANCE, atol=TOLERANCE)
    np.testing.assert_allclose(found, slope, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("ours", "theirs", "after"),
    [
        (
            lambda z, y: nn.CrossEntropyLoss(from_logits=False)(z.softmax(), y),
            LAYERS.CrossEntropyLoss(),
            "labels",
        ),
        (
            lambda z, y: nn.BCELoss()(z.sigmoid(), y),
            LAYERS.BCEWithLogitsLoss(),
            "soft",
        ),
        (
            lambda z, p: nn.KLDivLoss()(z.softmax(), p),
            lambda z, p: LAYERS.KLDivLoss(reduction="batchmean")(z.log_softmax(1), p),
            "others",
        ),
    ],
    ids=["softmax", "sigmoid", "divergence"],
)
def test_an_activation_in_front_is_computed_with_the_loss(ours, theirs, after):
    for scale in (1.0, 1e4):
        z = scale * drawn(4)["scores"]
        wanted, (slope, _) = their_result(theirs, z, drawn(4)[after], np.ones)
        made, (found, _) = our_result(ours, z, drawn(4)[after], np.ones)
        np.testing.assert_allclose(made, wanted, rtol=TOLERANCE, atol=TOLERANCE)
        np.testing.assert_allclose(found, slope, rtol=TOLERANCE, atol=TOLERANCE)


def test_every_loss_is_here_or_has_no_counterpart():
    tried = {type(ours(reduction="mean")) for ours, *_ in CASES.values()}
    named = {getattr(nn, name) for name in nn.__all__}
    losses = {c for c in named if isinstance(c, type) and issubclass(c, nn.Loss)}
    # HalfSquaredErrorLoss is HalfMSELoss times the outputs a sample, and PyTorch has no
    # perceptron criterion: tests/nn/test_losses.py works both out by hand.
    ours_alone = {nn.Loss, nn.HalfSquaredErrorLoss, nn.PerceptronLoss}
    assert losses - ours_alone == tried
