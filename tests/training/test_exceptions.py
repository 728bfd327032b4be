"""Whatever interrupts a run, at any moment: state and position stay together."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.training import BestCheckpoint, Callback, EarlyStopping

from .conftest import Make, pixels, same, without_time
from .interruptions import at_random_times
from .test_feed import stream_of


def made(make: Make, engine: str) -> cr.Trainer:
    rate = optim.ReduceLROnPlateau(0.05, "train_loss", patience=0, threshold=0.3)
    model = nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 3)
    )
    return make(engine=engine, model=model, optimizer=optim.AdamW(lr=rate))


def compare(trainer: cr.Trainer, whole: cr.Trainer) -> None:
    assert same(trainer.model, whole.model)
    assert without_time(trainer.history.epochs) == without_time(whole.history.epochs)
    loss = trainer.history.steps["loss"]
    assert loss.tobytes() == whole.history.steps["loss"].tobytes()
    assert trainer.optimizer.steps == whole.optimizer.steps == len(loss)
    for name, moments in trainer.optimizer.state.items():
        for key, t in moments.items():
            other = whole.optimizer.state[name][key].numpy()
            assert t.numpy().tobytes() == other.tobytes()


def interrupted(
    make: Make, engine: str, times: int, *, stream: bool, tmp_path: Any
) -> None:
    """A run hit by exceptions at random times against one that was not."""
    data: Any = pixels(200)
    validation = pixels(30, seed=1)
    if stream:
        data = stream_of(data)
    trainers, calls = [], []
    for name in ("hit", "whole"):
        cr.manual_seed(0)
        trainers.append(made(make, engine))
        stop = EarlyStopping("train_loss", patience=3, min_delta=0.01)
        calls.append([stop, BestCheckpoint(tmp_path / f"{name}.ckpt")])
        # Both compile, and each has a run behind it.
        trainers[-1].fit(data, epochs=1, batch_size=8, progress=False)
    options: Any = {"validation": validation, "progress": False}
    hit, whole = trainers
    started = time.perf_counter()
    whole.fit(data, epochs=12, batch_size=8, callbacks=calls[1], **options)
    seconds = time.perf_counter() - started
    fresh = hit.plan

    def run() -> None:
        options["callbacks"] = calls[0]
        if hit.plan is fresh:
            hit.fit(data, epochs=12, batch_size=8, **options)
        else:
            hit.resume(data, **options)

    assert at_random_times(run, seconds, times)
    compare(hit, whole)
    assert calls[0][0].state().keys() == calls[1][0].state().keys()
    assert calls[0][0].best == calls[1][0].best
    loaded = [cr.Trainer.load(tmp_path / f"{n}.ckpt") for n in ("hit", "whole")]
    compare(*loaded)


@pytest.mark.parametrize("stream", [False, True])
def test_a_signal_handler(make: Make, engine: str, tmp_path: Any, stream: bool) -> None:
    interrupted(make, engine, 5, stream=stream, tmp_path=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
def test_a_signal_handler_200_times(
    make: Make, engine: str, tmp_path: Any, stream: bool
) -> None:
    for _ in range(20):
        interrupted(make, engine, 10, stream=stream, tmp_path=tmp_path)


class Fails(Callback):
    """Raises once, and changes weights before."""

    def __init__(self, where: str, at: int) -> None:
        self.left = at
        setattr(self, where, self.fail)

    def fail(self, trainer: cr.Trainer) -> None:
        self.left -= 1
        if self.left == 0:
            next(trainer.model.parameters()).copy_(np.ones((8, 6), np.float32))
            trainer.optimizer.lr = 3.0
            trainer.notes["seen"] = True
            raise ZeroDivisionError


@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize("where", ["on_start", "on_chunk", "on_epoch", "on_finish"])
@pytest.mark.parametrize("at", [1, 2])
def test_a_callback(make: Make, where: str, at: int) -> None:
    """What it did before it failed is undone as well."""
    if at == 2 and where in ("on_start", "on_finish"):
        at = 1
    data = pixels(50)
    cr.manual_seed(0)
    trainer = made(make, "numpy")
    cr.manual_seed(0)
    whole = made(make, "numpy")
    options: Any = {"progress": False}
    fails = Fails(where, at)
    with pytest.raises(ZeroDivisionError):
        trainer.fit(data, epochs=3, batch_size=20, callbacks=fails, **options)
    assert not trainer.notes
    assert trainer.optimizer.lr != 3.0
    assert trainer.optimizer.steps == len(trainer.history)
    trainer.resume(data, **options)
    whole.fit(data, epochs=3, batch_size=20, **options)
    compare(trainer, whole)


def test_a_source(make: Make) -> None:
    """A stream that fails in its second pass, and not when it is read again."""
    data, passes = pixels(50), 0

    def rows() -> Any:
        nonlocal passes
        passes += 1
        for i, row in enumerate(zip(data.x.stored, data.y)):
            if passes == 3 and i == 30:
                raise ConnectionError
            yield row

    cr.manual_seed(0)
    trainer = made(make, "numpy")
    cr.manual_seed(0)
    whole = made(make, "numpy")
    stream = cr.data.Stream(rows, scale=1 / 255, classes=3)
    with pytest.raises(cr.ChainruleError, match="ConnectionError"):
        trainer.fit(stream, epochs=3, batch_size=10, progress=False)
    assert trainer.epoch == 1
    trainer.resume(stream, progress=False)
    whole.fit(stream, epochs=3, batch_size=10, progress=False)
    compare(trainer, whole)


def test_reading_a_weight_while_an_exception_comes(make: Make) -> None:
    """The numbers that an engine holds are not lost on the way."""
    trainer, data = make(), pixels(50)
    trainer.fit(data, epochs=1, progress=False)
    weight = next(trainer.model.parameters())
    executable = trainer._programs.training.program.executable  # type: ignore[union-attr]
    read = executable.read

    def fails(name: str) -> Any:
        raise TimeoutError

    expected = read("0.weight")
    weight.defer(lambda: fails("0.weight"))
    with pytest.raises(TimeoutError):
        weight.numpy()
    weight._pending = lambda: read("0.weight")
    assert weight.numpy().tobytes() == expected.tobytes()
