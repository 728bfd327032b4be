"""Everything at once: a five-layer network trains alike on both engines."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.engines import native_problem

pytestmark = pytest.mark.skipif(
    native_problem() is not None, reason="the native engine cannot run here"
)


def deep(engine: str) -> cr.Trainer:
    """Five linear layers, four with batch normalisation, GELU and dropout."""
    cr.manual_seed(0)
    layers: list[nn.Module] = []
    sizes = [20, 64, 64, 48, 32]
    for a, b in itertools.pairwise(sizes):
        layers += [nn.Linear(a, b), nn.BatchNorm1d(b), nn.GELU(), nn.Dropout(0.2)]
    optimizer = optim.AdamW(
        [{"params": "*.bias", "weight_decay": 0.0}, {"params": "*"}],
        lr=optim.OneCycleLR(3e-3),
        weight_decay=0.05,
        clip_norm=0.5,
    )
    return cr.Trainer(
        nn.Sequential(*layers, nn.Linear(32, 4)),
        loss=nn.CrossEntropyLoss(label_smoothing=0.1),
        optimizer=optimizer,
        metrics=["accuracy", "top2"],
        probes=["dead/*", "delta_norm/2", "update_ratio/*.weight"],
        engine=engine,
    )


def test_the_engines_agree_over_200_steps() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 20)).astype(np.float32)
    y = (x[:, :4] + 0.5 * rng.normal(size=(1000, 4))).argmax(1)
    made = {engine: deep(engine) for engine in ("numpy", "native")}
    for trainer in made.values():
        trainer.fit((x, y), epochs=7, batch_size=32, progress=False)
    steps = [made[engine].history.steps for engine in ("numpy", "native")]
    assert len(steps[0]["loss"]) == 224
    np.testing.assert_allclose(steps[0]["loss"], steps[1]["loss"], rtol=1e-5)
    for name in steps[0]:
        # A unit at the edge may be dead by rounding; the smallest layer has 32.
        atol = 1 / 32 if name.startswith("dead/") else 1e-7
        np.testing.assert_allclose(
            steps[0][name], steps[1][name], rtol=1e-3, atol=atol, err_msg=name
        )
    measured = [trainer.evaluate((x, y)) for trainer in made.values()]
    assert measured[0]["loss"] == pytest.approx(measured[1]["loss"], rel=1e-5)
    assert measured[0]["accuracy"] > 0.75


def test_masks_of_dropout_are_the_same_bits() -> None:
    """Each loss is the number whose binary digits are the mask."""
    rows, units = 64, 20
    losses = []
    for engine in ("numpy", "native"):
        model = nn.Sequential(nn.Linear(1, units), nn.Dropout(0.5))
        model[0].weight.copy_(np.zeros((units, 1), np.float32))
        model[0].bias.copy_(np.ones(units, np.float32))
        digits = cr.tensor(2.0 ** np.arange(units, dtype=np.float32))

        def loss(
            kept: cr.Tensor, y: cr.Tensor, digits: cr.Tensor = digits
        ) -> cr.Tensor:
            return (kept * digits).sum() * 0.5

        trainer = cr.Trainer(
            model, loss=loss, optimizer=optim.SGD(lr=1e-30), engine=engine, seed=3
        )
        data = (np.zeros((rows, 1), np.float32), np.zeros((rows, 1), np.float32))
        trainer.fit(data, epochs=1, batch_size=1, progress=False)
        losses.append(trainer.history.steps["loss"])
    masks = losses[0].astype(np.uint32)
    assert (masks == losses[0]).all(), "whole numbers"
    assert len(set(masks.tolist())) > 60, "another mask in each step"
    assert losses[0].tobytes() == losses[1].tobytes()
