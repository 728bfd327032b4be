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


def test_3_3_2_cross_entropy_over_the_classes(rng):
    """L = −Σᵢ yᵢ ln ŷᵢ, i = 1 … C; over a batch its mean."""
    z, labels = rng.normal(size=(4, 10)), np.array([3, 0, 9, 3])
    rows = [-mp.log(softmax(row)[k]) for row, k in zip(exact(z), labels)]
    close(nn.CrossEntropyLoss()(cr.tensor(z), cr.tensor(labels)).item(), mean(rows))
    ended = nn.CrossEntropyLoss(from_logits=False)
    predicted = cr.tensor(z).softmax(1)
    close(ended(predicted, cr.tensor(labels)).item(), mean(rows))
    close(ended(predicted, cr.tensor(np.eye(10)[labels])).item(), mean(rows))
