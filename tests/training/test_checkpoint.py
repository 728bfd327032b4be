"""Checkpoints: whole or not at all, verified before use, never executed."""

from __future__ import annotations

import errno
import json
import os
import signal
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, metrics, nn, optim
from chainrule.training import Callback, LambdaCallback, checkpoint
from chainrule.util import atomic_files

from .conftest import CtrlC, Make, StopAt, raising, same, small_network, without_time


@pytest.fixture
def saved(make: Make, data: cr.data.Dataset, tmp_path: Path) -> Path:
    """A checkpoint after one epoch of training."""
    trainer = make()
    trainer.fit(data, epochs=1, batch_size=16, validation=data, progress=False)
    path = tmp_path / "run.ckpt"
    trainer.save(path)
    return path


def test_everything_comes_back(
    make: Make, data: cr.data.Dataset, tmp_path: Path
) -> None:
    trainer = make(dropout=0.25, seed=7)
    trainer.notes = {"who": "me", "list": [1, 2.5, None, "η"]}
    trainer.fit(data, epochs=2, batch_size=16, validation=data, progress=False)
    trainer.save(tmp_path / "run.ckpt")
    cr.manual_seed(3)
    before = cr.uniform(2).tolist()
    cr.manual_seed(3)
    loaded = cr.Trainer.load(tmp_path / "run.ckpt")
    assert cr.uniform(2).tolist() == before, "the user's random stream has moved"
    assert same(loaded.model, trainer.model)
    assert repr(loaded.model) == repr(trainer.model)
    assert repr(loaded.optimizer) == repr(trainer.optimizer)
    assert loaded.optimizer.steps == trainer.optimizer.steps == 8
    assert (loaded.engine, loaded.seed, loaded.notes) == ("numpy", 7, trainer.notes)
    assert (loaded.epoch, loaded.step, loaded.plan) == (2, 0, trainer.plan)
    assert loaded.history.to_dict() == trainer.history.to_dict()
    assert loaded.seconds_training == trainer.seconds_training
    assert loaded.evaluate(data) == trainer.evaluate(data)
    assert loaded.finished


def test_an_untrained_trainer(make: Make, tmp_path: Path, data: Any) -> None:
    trainer = make()
    trainer.save(tmp_path / "new.ckpt")
    loaded = cr.Trainer.load(tmp_path / "new.ckpt")
    for t in (trainer, loaded):
        t.fit(data, epochs=1, batch_size=16, progress=False)
    assert same(trainer.model, loaded.model)
    assert list(loaded.history.steps) == list(trainer.history.steps)


@pytest.mark.one_in(2)
@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize(
    ("stop", "at"), [(StopAt, 1), (CtrlC, 4), (StopAt, 5), (StopAt, 8), (CtrlC, 9)]
)
def test_resumed_anywhere_the_bits_are_the_same(
    make: Make, data: cr.data.Dataset, tmp_path: Path, stop: type[StopAt], at: int
) -> None:
    """Steps 4 and 8 are the partial batches at the end of an epoch."""
    run: Any = {"epochs": 3, "batch_size": 16}
    options: Any = {"validation": data, "progress": False}
    whole, part, ended = make(dropout=0.3), make(dropout=0.3), []
    expected = whole.fit(data, **run, **options)
    calls = [stop(at), LambdaCallback(on_end=ended.append)]
    with pytest.raises(KeyboardInterrupt) if stop is CtrlC else nullcontext():
        part.fit(data, callbacks=calls, checkpoint=tmp_path, **run, **options)
    assert ended == [part]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    loaded = cr.Trainer.load(tmp_path)
    assert loaded.optimizer.steps == part.optimizer.steps == at
    for one, place in ((loaded, tmp_path), (part, None)):  # the latter in its session
        resumed = one.resume(data, checkpoint=place, **options)
        assert same(one.model, whole.model)
        assert without_time(resumed.epochs) == without_time(expected.epochs)
        assert resumed.to_dict()["steps"] == expected.to_dict()["steps"]
    assert same(cr.Trainer.load(tmp_path).model, whole.model)


@pytest.mark.usefixtures("single_steps")
def test_checkpoints_within_an_epoch(
    make: Make, data: cr.data.Dataset, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []

    class Look(Callback):
        def on_chunk(self, trainer: cr.Trainer) -> None:
            loaded = cr.Trainer.load(tmp_path)
            seen.append((loaded.epoch, loaded.step))

    make().fit(
        data,
        epochs=2,
        batch_size=16,
        callbacks=[Look()],
        progress=False,
        checkpoint=tmp_path,
        checkpoint_every=0,
    )
    assert seen == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3)]


# -- files that are not what they should be -------------------------------------------


def refused(path: Path, *parts: str, **options: Any) -> None:
    with raising(errors.CheckpointError, *parts):
        cr.Trainer.load(path, **options)


def test_altered_anywhere(saved: Path, tmp_path: Path) -> None:
    """No single flipped bit goes unnoticed, in the header or in the numbers."""
    content = saved.read_bytes()
    rng = np.random.default_rng(0)
    header = 8 + int.from_bytes(content[:8], "little")
    places = [*rng.integers(0, header, 150), *rng.integers(header, len(content), 50)]
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1 << rng.integers(8)
        (tmp_path / "bad.ckpt").write_bytes(changed)
        refused(tmp_path / "bad.ckpt")


def test_exchanged_tensors_are_an_alteration(saved: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load, save

    content = saved.read_bytes()
    size = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + size])["__metadata__"]
    tensors = load(content)
    a, b = "optimizer/0.weight/m", "optimizer/0.weight/v"
    tensors[a], tensors[b] = tensors[b], tensors[a]
    (tmp_path / "bad.ckpt").write_bytes(save(tensors, metadata=metadata))
    refused(tmp_path / "bad.ckpt", "SHA-256", "altered")


def test_another_version(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "VERSION", 2)
    refused(saved, "another version", "version 2", "'1'")


def test_other_files(tmp_path: Path, saved: Path) -> None:
    from safetensors.numpy import save

    (tmp_path / "model.safetensors").write_bytes(save({"w": np.zeros(3)}))
    refused(tmp_path / "model.safetensors", "no checkpoint of Chainrule")
    (tmp_path / "notes.txt").write_text("weights, somewhere")
    refused(tmp_path / "notes.txt", "no checkpoint of Chainrule")
    refused(tmp_path / "nothing.ckpt", "cannot be read", "No such file")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "last.ckpt", "No such file")


def test_more_patterns_than_anybody_has(saved: Path) -> None:
    """Each is held against each name: a small file would keep a core for hours."""
    document, tensors = checkpoint.read(saved)
    held = sum(name.startswith(("model/", "optimizer/")) for name in tensors)
    document["probes"] = ["weight_norm/*"] * (1_000_000 // held)
    checkpoint.write(saved, document, tensors)
    assert cr.Trainer.load(saved, probes=()).probes.patterns == ()
    document["optimizer"]["params"] = [{"params": ["*.bias", "*"]}]
    checkpoint.write(saved, document, tensors)
    with pytest.raises(errors.CheckpointError, match="patterns times tensors"):
        cr.Trainer.load(saved)


def test_what_was_frozen_stays_frozen(tmp_path: Path) -> None:
    data = cr.data.moons(64, seed=0)
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2))
    model[0].weight.requires_grad_(False)
    trainer = cr.Trainer(model, loss=nn.CrossEntropyLoss(), optimizer=optim.Adam())
    trainer.fit(data, epochs=1, batch_size=16, progress=False)
    trainer.save(tmp_path / "half.ckpt")
    again = cr.Trainer.load(tmp_path / "half.ckpt")
    start = model.state_dict()
    for one in (trainer, again):
        tracked = [p.requires_grad for p in one.model.parameters()]
        assert tracked == [False, True, True, True]
        one.fit(data, epochs=1, batch_size=16, progress=False)
        end = one.model.state_dict()
        same = [bool((start[name] == end[name]).all()) for name in start]
        assert same == [True, False, False, False]


def test_metrics_of_ones_own(make: Make, data: Any, tmp_path: Path) -> None:
    class Mine(metrics.Accuracy):
        name = "mine"

    trainer = make(metrics=[Mine(), "top2", metrics.Accuracy(0.25)])
    trainer.save(tmp_path / "own.ckpt")
    refused(tmp_path / "own.ckpt", "a class of its author's own", "metrics=[…]")
    loaded = cr.Trainer.load(tmp_path / "own.ckpt", metrics=[Mine()])
    assert list(loaded.evaluate(data)) == ["loss", "mine"]
    ours = make(metrics=["top2", metrics.Accuracy(0.25)])
    ours.save(tmp_path / "ours.ckpt")
    again = cr.Trainer.load(tmp_path / "ours.ckpt")
    assert repr(again.metrics) == "(TopK(k=2), Accuracy(threshold=0.25))"
    ours = make(metrics=["top2", "confusion_matrix"])
    ours.save(tmp_path / "ours.ckpt")
    measured = cr.Trainer.load(tmp_path / "ours.ckpt").evaluate(data)
    assert measured["top2"] == ours.evaluate(data)["top2"]
    assert measured["confusion_matrix"].sum() == len(data)


@pytest.mark.parametrize(
    ("layers", "expected", "got"),
    [
        ([nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 3)], "out_features=9", "=8"),
        ([nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)], "Tanh() for layer 1", "ReLU("),
        ([nn.Linear(6, 8), nn.ReLU()], "2 layers in the model", "3 layers"),
    ],
)
def test_another_architecture(
    saved: Path, layers: list[nn.Module], expected: str, got: str
) -> None:
    model = nn.Sequential(*layers)
    before = model.state_dict()
    refused(saved, "another architecture", expected, got, model=model)
    after = model.state_dict()
    assert all((after[k] == before[k]).all() for k in before)


def test_another_optimiser_has_other_state(saved: Path) -> None:
    refused(saved, "optimizer/0.weight/", optimizer=optim.SGD(momentum=0.9))


class Twice(nn.Module):
    def __init__(self) -> None:
        self.layer = nn.Linear(6, 3)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.layer(x) * 2.0


def test_a_network_of_ones_own(
    make: Make, data: cr.data.Dataset, tmp_path: Path
) -> None:
    trainer = make(model=Twice())
    trainer.fit(data, epochs=1, progress=False)
    trainer.save(tmp_path / "own.ckpt")
    refused(tmp_path / "own.ckpt", "class of its author's own", "model=…", "Twice(")
    loaded = cr.Trainer.load(tmp_path / "own.ckpt", model=Twice())
    assert loaded.evaluate(data) == trainer.evaluate(data)
    wrong = nn.Sequential(nn.Linear(6, 3))
    refused(tmp_path / "own.ckpt", "model/0.weight", model=wrong)


def test_a_loss_of_ones_own(make: Make, data: cr.data.Dataset, tmp_path: Path) -> None:
    def loss(scores: cr.Tensor, labels: cr.Tensor) -> cr.Tensor:
        return (scores * scores).mean()

    trainer = make(loss=loss)
    trainer.save(tmp_path / "own.ckpt")
    refused(tmp_path / "own.ckpt", "loss=…")
    loaded = cr.Trainer.load(tmp_path / "own.ckpt", loss=loss)
    assert loaded.evaluate(data) == trainer.evaluate(data)


def test_an_optimiser_of_ones_own(make: Make, tmp_path: Path) -> None:
    class Mine(optim.SGD):
        pass

    make(optimizer=Mine()).save(tmp_path / "own.ckpt")
    refused(tmp_path / "own.ckpt", "optimizer=…", "Mine")
    assert cr.Trainer.load(tmp_path / "own.ckpt", optimizer=Mine())


# -- places that cannot be written to ------------------------------------------------


def failing(code: int) -> Any:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_no_space_harms_nothing(
    make: Make, saved: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    content = saved.read_bytes()
    monkeypatch.setattr(atomic_files.os, call, failing(errno.ENOSPC))
    with raising(
        errors.SaveError, "checkpoint cannot be written", "No space left", "bytes"
    ):
        make().save(saved)
    assert saved.read_bytes() == content
    assert os.listdir(saved.parent) == [saved.name], "nothing is left behind"


def test_a_run_that_cannot_be_saved_does_not_begin(
    make: Make, data: cr.data.Dataset, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    trainer = make()
    with pytest.raises(errors.SaveError, match="directory for the run"):
        trainer.fit(data, epochs=1, checkpoint=tmp_path / "file" / "run")
    assert trainer.optimizer.steps == 0
    assert same(trainer.model, small_network())


def test_the_old_file_stays_until_the_new_one_is_whole(
    make: Make, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the moment of the exchange both files are complete."""
    content = saved.read_bytes()
    replace = os.replace

    def look(source: Any, target: Any) -> None:
        assert Path(target).read_bytes() == content
        checkpoint.read(Path(source))
        replace(source, target)

    monkeypatch.setattr(atomic_files.os, "replace", look)
    make(seed=9).save(saved)
    assert cr.Trainer.load(saved).seed == 9
