"""Whatever interrupts a run, at any moment: state and position stay together."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.training import BestCheckpoint, Callback, EarlyStopping, checkpoint
from chainrule.training.lock import LOCK, RunDirectory

from .conftest import Make, pixels, same, without_time
from .interruptions import LateError, at_moments, counted, unclosed
from .moments import traceable
from .test_data_adapter import stream_of


def made(make: Make, engine: str, width: int = 8) -> cr.Trainer:
    rate = optim.ReduceLROnPlateau(0.05, "train_loss", patience=0, threshold=0.3)
    model = nn.Sequential(
        nn.Linear(6, width), nn.BatchNorm1d(width), nn.Dropout(0.3), nn.Linear(width, 3)
    )
    groups = [{"params": "*.bias", "weight_decay": 0.001}, {"params": "*"}]
    return make(engine=engine, model=model, optimizer=optim.AdamW(groups, lr=rate))


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


@unclosed
@traceable
@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
def test_a_signal_handler(
    make: Make, engine: str, tmp_path: Path, stream: bool
) -> None:
    """A run with exceptions anywhere in the library against one without."""
    data: Any = pixels(60)
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
    options["checkpoint_every"] = 0
    hit, whole = trainers
    places = [tmp_path / f"run {i}" for i in range(2)]
    options |= {"callbacks": calls[1], "checkpoint": places[1]}
    total = counted(lambda: whole.fit(data, epochs=5, batch_size=8, **options))
    fresh = hit.plan
    options |= {"callbacks": calls[0], "checkpoint": places[0]}

    def run() -> None:
        if hit.plan is fresh:
            hit.fit(data, epochs=5, batch_size=8, **options)
        else:
            hit.resume(data, **options)

    assert at_moments(run, total // 10, 20) > 10
    compare(hit, whole)
    assert calls[0][0].state().keys() == calls[1][0].state().keys()
    assert calls[0][0].best == calls[1][0].best
    loaded = [cr.Trainer.load(tmp_path / f"{n}.ckpt") for n in ("hit", "whole")]
    compare(*loaded)
    for place in places:
        compare(cr.Trainer.load(place), whole)
        assert {path.name for path in place.iterdir()} == {checkpoint.FILE}


@traceable
@pytest.mark.slow
def test_a_signal_handler_while_it_compiles(make: Make, engine: str) -> None:
    """A first run, most of which is tracing and compiling, and its evaluation."""
    data = pixels(50)
    trainers = []
    for _ in range(2):
        cr.manual_seed(0)
        trainers.append(made(make, engine))
    hit, whole = trainers
    seen = []

    def run(trainer: cr.Trainer) -> None:
        if trainer.plan is None:
            trainer.fit(data, epochs=2, batch_size=8, progress=False)
        trainer.resume(data, progress=False)
        measured = trainer.evaluate(data, batch_size=3)
        seen.append((measured, trainer.predict(data, "classes", batch_size=2).tolist()))

    total = counted(lambda: run(whole))
    assert at_moments(lambda: run(hit), total // 4, 8) > 4
    assert seen[0] == seen[1]
    compare(hit, whole)
    for t in (hit, whole):
        t.fit(data, epochs=1, batch_size=8, progress=False)
    compare(hit, whole)


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
            trainer.optimizer.param_groups[0]["weight_decay"] = 3.0
            trainer.notes["seen"] = True
            raise ZeroDivisionError


@pytest.mark.one_in(2)
@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize(
    ("where", "at"),
    [
        ("on_start", 1),
        ("on_chunk", 2),
        *(("on_epoch", n) for n in (1, 2)),
        ("on_finish", 1),
    ],
)
def test_a_callback(make: Make, tmp_path: Path, where: str, at: int) -> None:
    """What it did before it failed is undone as well, and what was saved goes on."""
    data = pixels(50)
    cr.manual_seed(0)
    trainer = made(make, "numpy")
    cr.manual_seed(0)
    whole = made(make, "numpy")
    options: Any = {"progress": False, "checkpoint_every": 0}
    fails, place = Fails(where, at), tmp_path / "run"
    with pytest.raises(ZeroDivisionError) as error:
        trainer.fit(
            data, epochs=3, batch_size=20, callbacks=fails, checkpoint=place, **options
        )
    assert error.traceback[-1].name == "fail"
    assert not trainer.notes
    assert trainer.optimizer.lr != 3.0
    assert trainer.optimizer.param_groups[0]["weight_decay"] != 3.0
    assert trainer.optimizer.steps == len(trainer.history)
    whole.fit(data, epochs=3, batch_size=20, **options)
    if where == "on_start":
        assert not place.exists()
    else:
        loaded = cr.Trainer.load(place)
        loaded.resume(data, **options)
        compare(loaded, whole)
    trainer.resume(data, **options)
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


def test_an_exception_between_a_checkpoint_and_the_note_of_it(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is in its place, and the run knows it for its own."""
    trainer, whole, data = make(), make(), pixels(50)
    options: Any = {"progress": False, "checkpoint": tmp_path}
    usual = os.replace

    def late(*args: Any) -> None:
        usual(*args)
        monkeypatch.setattr(os, "replace", usual)
        raise LateError

    monkeypatch.setattr(os, "replace", late)
    with pytest.raises(LateError):
        trainer.fit(data, epochs=2, batch_size=8, **options)
    assert cr.Trainer.load(tmp_path).plan == trainer.plan
    trainer.resume(data, **options)
    whole.fit(data, epochs=2, batch_size=8, progress=False)
    compare(trainer, whole)
    compare(cr.Trainer.load(tmp_path), whole)


@pytest.mark.parametrize("where", ["flock", "open", "stat", "unlink"])
def test_an_exception_within_a_call_of_the_system(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A TimeoutError is an OSError, and is not taken for one of the system's."""
    fcntl = pytest.importorskip("fcntl")
    trainer, data = make(), pixels(50)
    module = fcntl if where == "flock" else os
    usual = getattr(module, where)

    def late(*args: Any, **options: Any) -> Any:
        if where == "flock" or LOCK in str(args[0]):
            monkeypatch.setattr(module, where, usual)
            raise TimeoutError
        return usual(*args, **options)

    monkeypatch.setattr(module, where, late)
    with pytest.raises(TimeoutError):
        trainer.fit(data, epochs=1, progress=False, checkpoint=tmp_path)
    assert getattr(module, where) is usual
    if trainer.plan is None:
        trainer.fit(data, epochs=1, progress=False, checkpoint=tmp_path)
    trainer.resume(data, progress=False, checkpoint=tmp_path)
    assert cr.Trainer.load(tmp_path).finished


@pytest.mark.usefixtures("single_steps")
def test_an_exception_as_the_end_of_a_run_begins(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory is still held, by this very run, which may go on."""
    trainer, data = make(optimizer=optim.SGD(lr=0.1)), pixels(50)
    usual = RunDirectory.__exit__

    def late(*args: Any) -> None:
        monkeypatch.setattr(RunDirectory, "__exit__", usual)
        raise LateError

    monkeypatch.setattr(RunDirectory, "__exit__", late)
    options: Any = {"progress": False, "checkpoint": tmp_path}
    with pytest.raises(LateError):
        trainer.fit(data, epochs=1, **options)
    trainer.fit(data, epochs=1, **options)
    assert {path.name for path in tmp_path.iterdir()} == {checkpoint.FILE}
    cr.Trainer.load(tmp_path).fit(data, epochs=1, **options)
