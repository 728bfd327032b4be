"""Early stopping and the best checkpoint; both survive any interruption."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn, optim
from chainrule.metrics import Metric
from chainrule.training import BestCheckpoint, Callback, EarlyStopping

from .conftest import CtrlC, Make, pixels, raising, same


class Script(Metric):
    """A number for each evaluation, whatever the model does."""

    name = "scripted"

    def __init__(self, values: Sequence[float], mode: str = "min") -> None:
        self.values, self.mode = list(values), mode

    def batch(self, prediction: cr.Tensor, target: cr.Tensor) -> dict[str, cr.Tensor]:
        return {"nothing": prediction.sum()}

    def value(self, batches: Any, counts: np.ndarray) -> float:
        return self.values.pop(0)


def run(
    make: Make, values: Sequence[float], callback: Callback, mode: str = "min"
) -> tuple[cr.Trainer, list[dict[str, np.ndarray]]]:
    """Train while the metric takes these values; the weights after each epoch."""
    weights: list[dict[str, np.ndarray]] = []

    class Keep(Callback):
        def on_epoch(self, trainer: cr.Trainer) -> None:
            weights.append(trainer.model.state_dict())

    trainer = make(metrics=[Script(values, mode)], optimizer=optim.SGD(lr=0.1))
    trainer.fit(
        pixels(),
        epochs=len(values),
        batch_size=25,
        validation=pixels(),
        callbacks=[Keep(), callback],
        progress=False,
    )
    return trainer, weights


def as_in(trainer: cr.Trainer, weights: dict[str, np.ndarray]) -> bool:
    state = trainer.model.state_dict()
    return all(state[k].tobytes() == a.tobytes() for k, a in weights.items())


@pytest.mark.parametrize(
    ("values", "options", "epochs", "best"),
    [
        ([5, 4, 3, 2, 1], {"patience": 1}, 5, 5),
        ([5, 4, 4, 4, 1], {"patience": 2}, 4, 2),
        ([5, 4, 4.5, 3, 3.5, 3.5, 1], {"patience": 2}, 6, 4),
        ([5, 4.8, 4.6, 4.7, 4.2], {"patience": 2, "min_delta": 0.3}, 5, 5),
        ([5, 4.9, 4.85, 4.8, 4.6], {"patience": 2, "min_delta": 0.3}, 3, 1),
        ([5, math.nan, math.inf, 1, 9], {"patience": 3}, 5, 4),
        ([math.nan, math.nan, 1], {"patience": 2}, 2, None),
        ([5, 4, 3, 2, 1], {"patience": 2, "mode": "max"}, 3, 1),
        ([1, 2, 3, 2.5, 9], {"patience": 1, "metric": "max"}, 4, 3),
    ],
)
def test_when_it_stops(
    make: Make, values: list[float], options: Any, epochs: int, best: int | None
) -> None:
    better = options.get("metric", "min")
    options = {k: v for k, v in options.items() if k != "metric"}
    stop = EarlyStopping("validation_scripted", **options)
    trainer, weights = run(make, values, stop, better)
    assert len(trainer.history.epochs) == epochs
    assert stop.best_epoch == best
    assert stop.stopped == (epochs < len(values) or stop.waited >= stop.patience)
    if best is not None:
        assert stop.best == values[best - 1]
        assert as_in(trainer, weights[best - 1])


def test_the_weights_may_stay(make: Make) -> None:
    stop = EarlyStopping("validation_scripted", patience=1, restore_best=False)
    trainer, weights = run(make, [1, 2, 3], stop)
    assert as_in(trainer, weights[1])


def test_statistics_come_back_too(make: Make) -> None:
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    stop = EarlyStopping("validation_scripted", patience=1)
    means: list[np.ndarray] = []

    class Keep(Callback):
        def on_epoch(self, trainer: cr.Trainer) -> None:
            means.append(trainer.model.state_dict()["1.running_mean"])

    data = pixels()
    trainer = make(model=model, metrics=[Script([1, 2])], optimizer=optim.SGD(lr=0.1))
    trainer.fit(
        data,
        epochs=2,
        batch_size=25,
        validation=data,
        callbacks=[stop, Keep()],
        progress=False,
    )
    assert (means[0] != means[1]).any()
    assert (model.state_dict()["1.running_mean"] == means[0]).all()


# -- interrupted ----------------------------------------------------------------------


def stopping_run(make: Make, **options: Any) -> cr.Trainer:
    """Dropout and a large step: the validation loss goes up and down."""
    return make(dropout=0.4, optimizer=optim.Adam(lr=0.1), **options)


FIT: dict[str, Any] = {"epochs": 40, "batch_size": 16, "progress": False}


@pytest.fixture
def whole(make: Make, data: cr.data.Dataset) -> cr.Trainer:
    """A run that stopped early, with its best weights."""
    trainer = stopping_run(make)
    stop = EarlyStopping(patience=4)
    trainer.fit(data, validation=pixels(seed=1), callbacks=[stop], **FIT)
    assert 6 <= trainer.epoch < 40, "it stopped, and not at once"
    assert stop.best_epoch == trainer.epoch - 4
    return trainer


@pytest.mark.one_in(2)
@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize(
    "share",
    [
        0.1,
        0.35,
        *(pytest.param(x, marks=pytest.mark.slow) for x in (0.5, 0.8)),
        0.99,
        1.0,
    ],
)
def test_stops_at_the_same_epoch_after_an_interruption(
    make: Make, data: cr.data.Dataset, tmp_path: Path, whole: cr.Trainer, share: float
) -> None:
    steps = whole.optimizer.steps
    at = max(1, round(share * steps))
    part = stopping_run(make)
    with pytest.raises(KeyboardInterrupt):
        part.fit(
            data,
            validation=pixels(seed=1),
            callbacks=[EarlyStopping(patience=4), CtrlC(at)],
            checkpoint=tmp_path,
            **FIT,
        )
    loaded = cr.Trainer.load(tmp_path)
    assert loaded.optimizer.steps == at
    again = EarlyStopping(patience=4)
    loaded.resume(data, validation=pixels(seed=1), callbacks=[again], progress=False)
    assert loaded.epoch == whole.epoch
    assert same(loaded.model, whole.model)
    assert again.stopped


@pytest.mark.usefixtures("whole")
def test_a_stopped_run_stays_stopped(
    make: Make, data: cr.data.Dataset, tmp_path: Path
) -> None:
    trainer = stopping_run(make)
    options: dict[str, Any] = {"validation": pixels(seed=1), "checkpoint": tmp_path}
    stop = EarlyStopping(patience=4)
    trainer.fit(data, callbacks=[stop], **options, **FIT)
    loaded = cr.Trainer.load(tmp_path)
    assert same(loaded.model, trainer.model), "the last checkpoint has the best weights"
    epochs = loaded.epoch
    with pytest.warns(errors.ChainruleWarning, match="stopped early"):
        loaded.resume(
            data, callbacks=[EarlyStopping(patience=4)], progress=False, **options
        )
    assert loaded.epoch == epochs
    assert same(loaded.model, trainer.model)
    loaded.resume(data, progress=False, **options)  # without it the run goes on
    assert loaded.epoch == 40


# -- the best checkpoint --------------------------------------------------------------


def test_best_checkpoint(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "best.ckpt"
    best = BestCheckpoint(path, "validation_scripted")
    trainer, weights = run(make, [3, 1, 2, 5], best)
    assert not as_in(trainer, weights[1])
    loaded = cr.Trainer.load(path, metrics=())
    assert as_in(loaded, weights[1])
    assert (loaded.epoch, best.best, best.best_epoch) == (2, 1, 2)


def test_a_run_goes_on_from_its_best_checkpoint(
    make: Make, data: cr.data.Dataset, tmp_path: Path, whole: cr.Trainer
) -> None:
    """The last of the callbacks saves what those in front of it remember."""
    path = tmp_path / "best.ckpt"
    options: dict[str, Any] = {"validation": pixels(seed=1)}
    callbacks: list[Callback] = [EarlyStopping(patience=4), BestCheckpoint(path)]
    stopping_run(make).fit(data, callbacks=callbacks, **options, **FIT)
    loaded = cr.Trainer.load(path)
    assert loaded.epoch == whole.epoch - 4
    again = EarlyStopping(patience=4)
    loaded.resume(data, callbacks=[again], progress=False, **options)
    assert loaded.epoch == whole.epoch
    assert again.stopped
    assert same(loaded.model, whole.model)


# -- what cannot be -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("monitor", "validated", "parts"),
    [
        ("validation_acuracy", True, ("did you mean 'validation_accuracy'?",)),
        ("val_loss", True, ("did you mean 'validation_loss'?",)),
        ("validation_loss", False, ("pass validation=…", "monitor='train_loss'")),
        ("anything", True, ("train_loss, validation_loss, validation_accuracy, lr",)),
    ],
)
@pytest.mark.parametrize("kind", ["stop", "best", "schedule"])
def test_numbers_that_are_not_measured(
    make: Make,
    data: cr.data.Dataset,
    tmp_path: Path,
    kind: str,
    monitor: str,
    validated: bool,
    parts: tuple[str, ...],
) -> None:
    """Refused before anything is begun: a second try finds everything as it was."""
    optimizer = optim.SGD(lr=0.1)
    callbacks: list[Callback] = []
    if kind == "schedule":
        optimizer = optim.SGD(lr=optim.ReduceLROnPlateau(0.1, monitor))
    elif kind == "stop":
        callbacks = [EarlyStopping(monitor)]
    else:
        callbacks = [BestCheckpoint(tmp_path / "best.ckpt", monitor)]
    trainer = make(optimizer=optimizer)
    with raising(errors.ArgumentError, f"cannot watch {monitor!r}", *parts):
        trainer.fit(
            data,
            epochs=1,
            validation=data if validated else None,
            callbacks=callbacks,
            checkpoint=tmp_path / "run",
        )
    assert trainer.plan is None
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"patience": 0}, "patience ≥ 1"),
        ({"patience": 2.5}, "patience ≥ 1"),
        ({"mode": "up"}, "mode='min' or mode='max'"),
        ({"min_delta": -1}, "min_delta ≥ 0"),
        ({"min_delta": math.inf}, "min_delta ≥ 0"),
        ({"min_delta": math.nan}, "min_delta ≥ 0"),
    ],
)
def test_arguments(options: dict[str, Any], part: str) -> None:
    with raising(errors.ArgumentError, part, fix=False):
        EarlyStopping(**options)
