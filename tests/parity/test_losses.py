"""Losses far from ordinary numbers and behind activations, in float64."""

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
