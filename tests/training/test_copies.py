"""Copies of a Trainer: by ``copy.deepcopy``, by ``pickle``, by an open file."""

from __future__ import annotations

import copy
import gc
import gzip
import io
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError, CheckpointError, SaveError
from chainrule.training import LambdaCallback

X = np.random.default_rng(0).normal(size=(23, 3)).astype(np.float32)
Y = (X[:, :1] * 2 - X[:, 1:2]).astype(np.float32)


def absolute(prediction: cr.Tensor, truth: cr.Tensor) -> cr.Tensor:
    """A loss of one's own, with a name in a module."""
    return (prediction - truth).abs().mean()


def fresh(engine: str, loss: Any = None) -> cr.Trainer:
    cr.manual_seed(3)
    model = nn.Sequential(
        *(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3)),
        nn.Linear(8, 1),
    )
    return cr.Trainer(
        model,
        loss=loss or nn.MSELoss(),
        optimizer=optim.Adam(
            lr=optim.ReduceLROnPlateau(0.01, monitor="train_loss", patience=0)
        ),
        metrics=["r2"],
        probes=["grad_norm"],
        engine=engine,
        seed=5,
    )


def pickled(trainer: cr.Trainer) -> cr.Trainer:
    return pickle.loads(pickle.dumps(trainer))


def filed(trainer: cr.Trainer) -> cr.Trainer:
    file = io.BytesIO()
    trainer.save(file)
    file.seek(0)
    return cr.Trainer.load(file)


WAYS: dict[str, Callable[[cr.Trainer], cr.Trainer]] = {
    "deepcopy": copy.deepcopy,
    "pickle": pickled,
    "file": filed,
}


def numbers(trainer: cr.Trainer) -> dict[str, np.ndarray]:
    """All that a Trainer holds, but for times."""
    found = {n: t.numpy().copy() for n, t in trainer.model.named_tensors()}
    for name, moments in trainer.optimizer.state.items():
        found |= {f"{name}/{k}": t.numpy().copy() for k, t in moments.items()}
    steps = trainer.history.steps
    found |= {f"steps/{name}": np.array(steps[name]) for name in steps}
    rows = [sorted({**row, "seconds": 0}.items()) for row in trainer.history.epochs]
    found["epochs"] = np.array(repr(rows))
    at = (trainer.epoch, trainer.step, trainer.optimizer.steps)
    return found | {"at": np.array(at)}


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def fit(trainer: cr.Trainer, **how: Any) -> None:
    trainer.fit((X, Y), epochs=2, batch_size=4, progress=False, **how)


def cut_short(trainer: cr.Trainer) -> None:
    """Stop in the midst of an epoch."""

    def stop(face: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fit(trainer, callbacks=LambdaCallback(on_epoch=stop))


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("engine", "when", "ways"),
    [
        ("numpy", "before", ["deepcopy"]),
        ("numpy", "cut short", [*WAYS]),
        ("native", "evaluated", [*WAYS]),
    ],
    indirect=["engine"],
)
def test_a_copy_goes_on_bit_for_bit(engine: str, when: str, ways: list[str]) -> None:
    trainer = fresh(engine)
    if when == "evaluated":
        fit(trainer)
        trainer.evaluate((X, Y))
    if when == "cut short":
        cut_short(trainer)
    start = numbers(trainer)
    made = [WAYS[way](trainer) for way in ways]
    for each in (*made, trainer):
        assert same(numbers(each), start)  # each is a Trainer of its own
        parameters = {id(p) for p in each.model.parameters()}
        assert {id(p) for p in each.optimizer.params.values()} == parameters
        if when == "cut short":
            each.resume((X, Y), progress=False)
        fit(each)
        assert same(numbers(each), numbers(made[0]))
        assert each.evaluate((X, Y)) == made[0].evaluate((X, Y))
    del each, made
    gc.collect()


def test_a_copy_from_within_a_run() -> None:
    trainer, made = fresh("numpy"), list[cr.Trainer]()

    def take(face: Any) -> None:
        if face.epoch == 1:
            made.extend((copy.deepcopy(face), pickled(face)))

    fit(trainer, callbacks=LambdaCallback(on_epoch=take))
    for each in made:
        assert each.epoch == 1
        each.resume((X, Y), progress=False)
        assert same(numbers(each), numbers(trainer))


def test_a_copy_shares_what_was_shared() -> None:
    trainer = fresh("numpy")
    model, made = copy.deepcopy((trainer.model, trainer))
    assert made.model is model
    model, made = pickle.loads(pickle.dumps((trainer.model, trainer)))
    assert made.model is model


def test_a_copy_in_another_process() -> None:
    trainer = fresh("numpy", absolute)
    fit(trainer)
    code = (
        "import pickle, sys, numpy as np\n"
        "t, x, y = pickle.load(sys.stdin.buffer)\n"
        "t.fit((x, y), epochs=2, batch_size=4, progress=False)\n"
        "pickle.dump(t, sys.stdout.buffer)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps((trainer, X, Y)),
        capture_output=True,
        check=True,
    )
    made = pickle.loads(done.stdout)
    fit(trainer)
    assert same(numbers(made), numbers(trainer))
    assert done.stderr == b""


def test_what_cannot_be_pickled() -> None:
    class Local(nn.Linear):
        pass

    lambdas = fresh("numpy", lambda p, y: (p - y).abs().mean())
    for trainer, part in (
        (lambdas, "loss"),
        (
            cr.Trainer(Local(3, 1), loss=nn.MSELoss(), optimizer=optim.SGD(lr=0.1)),
            "model",
        ),
    ):
        with pytest.raises(SaveError, match=f"The Trainer's {part} cannot be pickled"):
            pickle.dumps(trainer)
        fit(copy.deepcopy(trainer))  # functions and classes stay what they are
    lambdas = fresh("numpy")
    lambdas.notes = {"x": lambda: 0}
    with pytest.raises(SaveError, match="notes"):
        pickle.dumps(lambdas)


def test_open_files(tmp_path: Path) -> None:
    trainer = fresh("numpy")
    fit(trainer)
    trainer.save(tmp_path / "a")
    last = trainer.last_checkpoint
    with gzip.open(tmp_path / "b", "wb") as file:
        trainer.save(file)
    assert trainer.last_checkpoint == last  # which has a place
    with gzip.open(tmp_path / "b", "rb") as file, open(tmp_path / "a", "rb") as other:
        assert same(numbers(cr.Trainer.load(file)), numbers(cr.Trainer.load(other)))
    with pytest.raises(ArgumentError, match="not open for bytes"):
        trainer.save(io.StringIO())
    with pytest.raises(ArgumentError, match="not open for bytes"):
        cr.Trainer.load(io.StringIO("x"))
    for content in (b"", b"PK\x03\x04" + bytes(30), (tmp_path / "a").read_bytes()[:-9]):
        with pytest.raises(CheckpointError):
            cr.Trainer.load(io.BytesIO(content))
