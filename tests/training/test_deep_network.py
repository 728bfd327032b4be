"""Everything at once: a five-layer network trains alike on both engines."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.engines import native_problem
from tests.ways import ENGINES

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


@pytest.mark.slow
def test_the_engines_agree_over_128_steps() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 20)).astype(np.float32)
    y = (x[:, :4] + 0.5 * rng.normal(size=(1000, 4))).argmax(1)
    made = {engine: deep(engine) for engine in ENGINES}
    for trainer in made.values():
        trainer.fit((x, y), epochs=4, batch_size=32, progress=False)
    steps = [made[engine].history.steps for engine in ENGINES]
    assert len(steps[0]["loss"]) == 128
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
