"""3.3: the loss in the forward phase."""

from __future__ import annotations

import numpy as np
from mpmath import mp

import chainrule as cr
from chainrule import nn
from tests.textbook.oracle import close, exact, mean, softmax


def test_3_3_1_half_the_mean_squared_error(rng):
    """L = 1/2n Σ (yᵢ − ŷᵢ)²; ∂L/∂ŷᵢ = (ŷᵢ − yᵢ)/n."""
    p, y = rng.normal(size=6), rng.normal(size=6)
    t = cr.tensor(p, requires_grad=True)
    loss = nn.HalfMSELoss()(t, cr.tensor(y))
    loss.backward()
    errors = [a - b for a, b in zip(exact(p), exact(y))]
    close(loss.item(), sum(e**2 for e in errors) / 12)
    close(t.grad.numpy(), [e / 6 for e in errors])


def test_3_3_the_three_squared_losses_differ_by_a_factor_alone(rng):
    """1/n (2.5.1), 1/2n (3.3) and ½ (2.6.1, 3.7) of the same sum."""
    p, y = rng.normal(size=(1, 5)), rng.normal(size=(1, 5))
    total = sum((a - b) ** 2 for a, b in zip(exact(p)[0], exact(y)[0]))
    for loss, factor in (
        (nn.MSELoss(), mp.mpf(1) / 5),
        (nn.HalfMSELoss(), mp.mpf(1) / 10),
        (nn.HalfSquaredErrorLoss(), mp.mpf(1) / 2),
    ):
        close(loss(cr.tensor(p), cr.tensor(y)).item(), factor * total)


def test_3_3_2_cross_entropy_over_the_classes(rng):
    """L = −Σᵢ yᵢ ln ŷᵢ, i = 1 … C; over a batch its mean."""
    z, labels = rng.normal(size=(4, 10)), np.array([3, 0, 9, 3])
    rows = [-mp.log(softmax(row)[k]) for row, k in zip(exact(z), labels)]
    close(nn.CrossEntropyLoss()(cr.tensor(z), cr.tensor(labels)).item(), mean(rows))
    ended = nn.CrossEntropyLoss(from_logits=False)
    predicted = cr.tensor(z).softmax(1)
    close(ended(predicted, cr.tensor(labels)).item(), mean(rows))
    close(ended(predicted, cr.tensor(np.eye(10)[labels])).item(), mean(rows))
