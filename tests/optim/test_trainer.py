"""Optimisers within a Trainer: groups, limits and schedules, kept in checkpoints."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError, NonFiniteError
from tests.ways import ENGINES

EPOCHS, ROWS, BATCH = 6, 40, 8
MAKERS = {
    "groups and a plateau": lambda: optim.SGD(
        [
            {
                "params": "*.bias",
                "weight_decay": 0.0,
                "lr": optim.StepLR(0.2, 2, 0.5),
            },
            {"params": "0.*", "momentum": 0.0},
            {"params": "*"},
        ],
        lr=optim.ReduceLROnPlateau(
            0.1, "train_loss", patience=0, threshold=0.5, factor=0.5
        ),
        momentum=0.9,
        weight_decay=0.1,
    ),
    "limits and a cosine": lambda: optim.AdamW(
        lr=optim.LinearWarmup(optim.CosineAnnealingLR(0.05), steps=5),
        clip_norm=0.25,
        clip_value=0.1,
    ),
}


def data() -> cr.data.Dataset:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(ROWS, 3)).astype(np.float32)
    return cr.data.Dataset(x, (x @ [[1.0], [-2.0], [0.5]]).astype(np.float32))


def trainer(
    optimizer: optim.RuleOptimizer, engine: str = "numpy", loss=None
) -> cr.Trainer:
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    loss = loss or nn.MSELoss()
    return cr.Trainer(model, loss=loss, optimizer=optimizer, engine=engine)


def fit(made: cr.Trainer, **options) -> cr.Trainer:
    made.fit(data(), epochs=EPOCHS, batch_size=BATCH, progress=False, **options)
    return made


@pytest.mark.one_in(2)
@pytest.mark.parametrize("name", MAKERS)
def test_a_run_interrupted_anywhere_goes_on_bit_for_bit(name, tmp_path) -> None:
    whole = fit(trainer(MAKERS[name]()))
    rates = [row["lr"] for row in whole.history.epochs]
    assert len(set(rates)) > 2, "the schedule moves"
    for epoch in range(1, EPOCHS):
        part = trainer(MAKERS[name]())

        class Stop(cr.training.Callback):
            def on_epoch(self, trainer, at=epoch):
                if trainer.epoch == at:
                    trainer.stop()

        fit(part, callbacks=[Stop()])
        part.save(tmp_path / "part.ckpt")
        again = cr.Trainer.load(tmp_path / "part.ckpt")
        assert again.optimizer.settings() == part.optimizer.settings()
        again.resume(data(), progress=False)
        assert [row["lr"] for row in again.history.epochs] == rates
        losses = whole.history.steps["loss"]
        np.testing.assert_array_equal(again.history.steps["loss"], losses)
        for key, wanted in whole.model.state_dict().items():
            np.testing.assert_array_equal(again.model.state_dict()[key], wanted)


def test_epochs_are_those_of_the_run() -> None:
    made = fit(trainer(optim.SGD(lr=optim.StepLR(0.1, 2, 0.5))))
    rates = [row["lr"] for row in made.history.epochs]
    assert rates == [0.1, 0.1, 0.05, 0.05, 0.025, 0.025]
    made.fit(data(), epochs=2, batch_size=ROWS, progress=False)
    rates = [row["lr"] for row in made.history.epochs]
    assert rates[6:] == [0.0125, 0.0125], "batches of another size, the same epochs"


def test_a_cosine_ends_with_the_run() -> None:
    made = trainer(optim.SGD(lr=optim.CosineAnnealingLR(0.1, unit="step")))
    fit(made)
    assert made.optimizer.lr == pytest.approx(0.0, abs=1e-16)
    with pytest.raises(ArgumentError, match="ends before the run does"):
        fit(made)


def test_some_of_the_parameters_are_trained_and_the_rest_stay(tmp_path) -> None:
    made = trainer(optim.Adam(["2.*"], lr=0.1))
    before = made.model.state_dict()
    fit(made).save(tmp_path / "some.ckpt")
    after = made.model.state_dict()
    assert [k for k in before if (before[k] != after[k]).any()] == [
        "2.weight",
        "2.bias",
    ]
    again = cr.Trainer.load(tmp_path / "some.ckpt")
    assert list(again.optimizer.params) == ["2.weight", "2.bias"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_gradient_that_is_not_finite_is_reported(engine) -> None:
    if engine == "native":
        pytest.importorskip("llvmlite", reason="llvmlite has no wheel here")

    def steep(prediction, y):
        return (0.0 * prediction).mean().sqrt()  # 0, with a slope of 1/0

    limits = {"clip_norm": 1.0, "clip_value": 1.0}
    made = trainer(optim.SGD(lr=0.1, **limits), engine, steep)
    with pytest.raises(NonFiniteError, match="A weight stopped being a finite number"):
        fit(made)
    assert made.optimizer.steps == 0
    assert all(np.isfinite(p.numpy()).all() for p in made.model.parameters())


def test_a_pattern_that_fits_no_parameter_is_refused_at_once() -> None:
    with pytest.raises(ArgumentError, match="fits no parameter"):
        trainer(optim.SGD([{"params": "1.*", "lr": 0.5}, {"params": "*"}]))
