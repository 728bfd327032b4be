"""The loss of a text, against all of its windows at once."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes import gpt
from chainrule.recipes.evaluation import language_models


def test_the_loss_of_a_text() -> None:
    """The mean over windows of unequal groups."""
    s = gpt.QUICK
    cr.manual_seed(1)
    model = gpt.GPT(70, s)
    loss = cr.compile(cr.no_grad()(model.loss), engine="numpy")
    text = np.random.default_rng(0).integers(0, 70, 50 * s.block + 5)
    windows = np.stack([text[i * 32 : i * 32 + 33] for i in range(50)])
    z = model(cr.tensor(windows[:, :-1]))[0].numpy().astype(float)
    z = z - np.log(np.exp(z).sum(-1, keepdims=True))
    losses = -np.take_along_axis(z, windows[:, 1:, None], 2)
    nats = language_models.nats(loss, text, s.block)
    assert nats == pytest.approx(losses.mean(), abs=1e-5)
    nats = language_models.nats(loss, text, s.block, most=10)
    assert nats == pytest.approx(losses[::5].mean(), abs=1e-5)
