"""A run that goes on longer than planned ends as one that was begun so long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from chainrule import errors, optim
from chainrule.training import BestCheckpoint, Callback, EarlyStopping
from chainrule.training.stopping import Stopped

from .conftest import CtrlC, Make, pixels
from .killing import content, killed_at_moments
from .moments import traceable

Data = cr.data.Dataset
FIT: dict[str, Any] = {"batch_size": 16, "progress": False}


def watching(directory: Path | None = None) -> list[Callback]:
    """Early stopping that takes the first epoch for the best, so none is the last."""
    found: list[Callback] = [EarlyStopping(patience=50, mode="max")]
    return [*found, BestCheckpoint(directory / "best.ckpt")] if directory else found


def ended(trainer: cr.Trainer, path: Path) -> dict[str, Any]:
    trainer.save(path)
    return content(path)


RATES = {
    "constant": lambda: 0.05,
    "epochs counted": lambda: optim.StepLR(0.05, step_size=3),
    "a cosine of its own length": lambda: optim.CosineAnnealingLR(0.05, T_max=20),
    "a cycle that is long enough": lambda: optim.OneCycleLR(0.05, total_steps=1000),
    "what the loss asks for": lambda: optim.ReduceLROnPlateau(0.05, patience=1),
}


def longer_run(make: Make, rate: str = "constant") -> cr.Trainer:
    return make(dropout=0.4, optimizer=optim.Adam(lr=RATES[rate]()))


@pytest.mark.one_in(3)
@pytest.mark.parametrize("rate", RATES)
def test_after_its_end(make: Make, data: Data, tmp_path: Path, rate: str) -> None:
    """The best weights that it ended with are none that it goes on from."""
    ways = []
    for lengths in ([9], [4, 9], [4, 4, 5, 9]):
        trainer = longer_run(make, rate)
        options = {"validation": pixels(seed=1), "progress": False}
        first, *rest = lengths
        trainer.fit(data, epochs=first, callbacks=watching(), **FIT | options)
        for i, epochs in enumerate(rest):
            trainer.save(tmp_path / "cut.ckpt")
            if i % 2:
                trainer = cr.Trainer.load(tmp_path / "cut.ckpt")
            trainer.resume(data, epochs=epochs, callbacks=watching(), **options)
            assert trainer.epoch == epochs
        ways.append(ended(trainer, tmp_path / "end.ckpt"))
    assert ways[0] == ways[1] == ways[2]
    stopped = Stopped.of(trainer)
    assert stopped is not None
    assert stopped.epoch is None
    assert stopped.best_epoch not in (None, 4, 5, 9), "weights that are not the last"


@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize("at", [0.2, 0.9])
def test_interrupted_and_longer(
    make: Make, data: Data, tmp_path: Path, at: float, engine: str
) -> None:
    options = {"validation": pixels(seed=1), "progress": False}
    whole = longer_run(make)
    whole.fit(data, epochs=9, callbacks=watching(), **FIT | options)
    trainer = longer_run(make)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(
            data,
            epochs=4,
            callbacks=[*watching(), CtrlC(int(at * len(whole.history) * 4 / 9))],
            checkpoint=tmp_path / "run",
            **FIT | options,
        )
    loaded = cr.Trainer.load(tmp_path / "run")
    loaded.resume(data, epochs=9, callbacks=watching(), **options)
    assert ended(loaded, tmp_path / "b") == ended(whole, tmp_path / "a")


@pytest.mark.slow
@traceable
def test_killed_in_between(make: Make, data: Data, tmp_path: Path) -> None:
    """Begun with 3 epochs, made longer twice; SIGKILL anywhere."""
    part = data[:400] if len(data) > 400 else data

    def run(directory: Path) -> None:
        lengths, trainer = [3, 6, 10], longer_run(make)
        options: dict[str, Any] = {
            "validation": pixels(seed=1),
            "callbacks": watching(directory),
            "checkpoint": directory,
            "checkpoint_every": 0,
            "progress": False,
        }
        if (directory / "last.ckpt").exists():
            trainer = cr.Trainer.load(directory)
        else:
            trainer.fit(part, epochs=lengths[0], **FIT | options)
        assert trainer.plan is not None
        if not trainer.finished:
            trainer.resume(part, **options)
        for epochs in lengths:  # the last anyway: it tidies up after a kill
            if epochs > trainer.plan.epochs or epochs == lengths[-1]:
                trainer.resume(part, epochs=epochs, **options)

    killed_at_moments(run, tmp_path, 2)


def test_stopped_early(make: Make, data: Data, tmp_path: Path) -> None:
    """It stays stopped and says so; told how long, it goes on where it had come to."""
    options = {"validation": pixels(seed=1), "progress": False}

    def stop() -> EarlyStopping:
        return EarlyStopping(patience=3)

    trainer = make(dropout=0.4, optimizer=optim.Adam(lr=0.1))
    trainer.fit(data, epochs=90, callbacks=stop(), **FIT | options)
    at = trainer.epoch
    assert at < 80
    assert Stopped.of(trainer) == Stopped(at, at - 3, restored=True)
    trainer.save(tmp_path / "stopped.ckpt")
    with pytest.warns(errors.ChainruleWarning, match="stopped early"):
        trainer.resume(data, callbacks=stop(), **options)
    assert trainer.epoch == at
    before = ended(trainer, tmp_path / "same.ckpt")
    assert before == content(tmp_path / "stopped.ckpt")
    again = stop()
    trainer.resume(data, epochs=at + 2, callbacks=again, **options)
    assert (trainer.epoch, again.waited in (0, 1, 2)) == (at + 2, True)
    # The steps are those of a run that nothing stopped.
    whole = make(dropout=0.4, optimizer=optim.Adam(lr=0.1))
    whole.fit(data, epochs=at + 2, **FIT | options)
    assert trainer.history.to_dict()["steps"] == whole.history.to_dict()["steps"]


def test_as_long_as_planned(make: Make, data: Data, tmp_path: Path) -> None:
    """A run that is finished is left as it is, with the weights that it ended with."""
    options = {"validation": pixels(seed=1), "progress": False}
    trainer = longer_run(make)
    trainer.fit(data, epochs=9, callbacks=watching(), **FIT | options)
    before = ended(trainer, tmp_path / "a")
    trainer.resume(data, epochs=9, callbacks=watching(), **options)
    assert ended(trainer, tmp_path / "b") == before


@pytest.mark.parametrize(
    "rate",
    [
        optim.OneCycleLR(0.05),
        optim.CosineAnnealingLR(0.05),
        optim.LinearWarmup(optim.CosineAnnealingLR(0.05), steps=5),
    ],
    ids=lambda rate: type(rate).__name__,
)
def test_a_rate_that_was_planned(make: Make, data: Data, rate: Any) -> None:
    trainer = make(optimizer=optim.Adam(lr=rate))
    trainer.fit(data, epochs=3, **FIT)
    for epochs in (4, 30):
        with pytest.raises(errors.ArgumentError, match="planned for 3 epochs"):
            trainer.resume(data, epochs=epochs, progress=False)
    trainer.resume(data, epochs=3, progress=False)
    assert (trainer.epoch, trainer.plan and trainer.plan.epochs) == (3, 3)


def test_a_cycle_of_a_later_run(make: Make, data: Data) -> None:
    """Updates of earlier runs count: 3 epochs lie before a cycle over all of them."""
    steps = -(-len(data) // 16)
    cycle = optim.OneCycleLR(0.05, total_steps=7 * steps)
    trainer = make(optimizer=optim.Adam(lr=cycle))
    trainer.fit(data, epochs=3, **FIT)
    trainer.fit(data, epochs=2, **FIT)
    with pytest.raises(errors.ArgumentError, match="planned for 2 epochs"):
        trainer.resume(data, epochs=5, progress=False)
    assert len(trainer.resume(data, epochs=4, progress=False).epochs) == 7


@pytest.mark.parametrize("epochs", [0, -1, 2.5, True, "9", 3])
def test_lengths_that_cannot_be(make: Make, data: Data, epochs: Any) -> None:
    trainer = longer_run(make)
    trainer.fit(data, epochs=4, **FIT)
    with pytest.raises(errors.ArgumentError, match="epochs"):
        trainer.resume(data, epochs=epochs, progress=False)
    assert trainer.finished
