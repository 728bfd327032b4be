"""What the tests of losses share."""

from __future__ import annotations

import numpy as np

import chainrule as cr


def t64(data, **options):
    return cr.tensor(np.asarray(data, np.float64), **options)


def value_and_slope(loss, prediction, target):
    """The loss, and ∂ℒ/∂prediction, eagerly."""
    p = t64(prediction, requires_grad=True)
    made = loss(p, target)
    made.backward()
    return float(made), p.grad.numpy()


def close(got, wanted, rtol=1e-13):
    np.testing.assert_allclose(
        np.asarray(got, np.float64), np.asarray(wanted, np.float64), rtol=rtol, atol=0
    )
