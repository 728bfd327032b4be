"""The thinking questions of 2.10 and 3.11 that a number can answer."""

from __future__ import annotations

import numpy as np
import pytest
from mpmath import mp, mpf

import chainrule as cr
from chainrule import optim
from chainrule.errors import ChainruleWarning
from tests.textbook.oracle import close


def descend_on_a_parabola(rate: float, steps: int = 40, curvature: float = 2.0):
    """θ after gradient descent on L = cθ²/2 from θ = 1: it is (1 − ηc)ᵗ."""
    t = cr.tensor(np.array(1.0), requires_grad=True)
    optimizer = optim.SGD([t], lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        (t * t * (curvature / 2)).backward()
        optimizer.step()
    close(t.item(), (1 - mpf(rate) * mpf(curvature)) ** steps, mpf("1e-12"))
    return t.item()


def test_2_10_question_1_descent_converges_for_small_enough_steps():
    """Each step multiplies θ by 1 − ηc, which shrinks it where 0 < η < 2/c."""
    assert abs(descend_on_a_parabola(0.125)) < 1e-4
    assert abs(descend_on_a_parabola(0.875)) < 1e-4


def test_2_10_question_2_relu_passes_gradients_on_and_sigmoid_does_not():
    """Through twenty active neurons in a row: 1 for ReLU, at most ¼²⁰ for sigmoid."""
    slopes = {}
    for name in ("relu", "sigmoid"):
        x = cr.tensor(np.array(0.5), requires_grad=True)
        y = x
        for _ in range(20):
            y = getattr(y, name)()
        y.backward()
        slopes[name] = x.grad.item()
    assert slopes["relu"] == 1.0
    assert 0 < slopes["sigmoid"] <= 0.25**20


def test_2_10_question_3_a_rate_too_large_diverges_and_one_too_small_creeps():
    """η > 2/c makes |θ| grow; a tiny η leaves it almost where it was."""
    assert abs(descend_on_a_parabola(1.125)) > 1e3
    assert descend_on_a_parabola(2.0**-20) > 0.9999


def test_3_11_question_2_saturated_activations_make_gradients_vanish():
    """At |z| = 10 the slope of sigmoid is 4.5·10⁻⁵, that of tanh 8·10⁻⁹, ReLU's 1."""
    for name, slope in (
        ("sigmoid", mp.exp(-10) / (1 + mp.exp(-10)) ** 2),
        ("tanh", 1 / mp.cosh(10) ** 2),
        ("relu", mpf(1)),
    ):
        x = cr.tensor(np.array(10.0), requires_grad=True)
        getattr(x, name)().backward()
        close(x.grad.item(), slope, floor=1e-15)


def test_3_11_question_4_a_negative_rate_climbs():
    """θ grows by 1 + |η|c a step, and the loss with it; Chainrule warns and does it."""
    with pytest.warns(ChainruleWarning, match="climbs"):
        assert descend_on_a_parabola(-0.125, steps=20) > 50
