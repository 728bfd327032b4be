"""Callbacks: when they are called, what a failure leaves, what they remember."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, optim
from chainrule.training import Callback, LambdaCallback, RunState

from .conftest import Make, StopAt, raising


class Note(Callback):
    def __init__(self, calls: list[str], stop_at: str = "") -> None:
        self.calls, self.stop_at = calls, stop_at

    def _note(self, what: str, trainer: cr.Trainer) -> None:
        self.calls.append(what)
        if what == self.stop_at:
            trainer.stop()

    def check(self, columns: Any) -> None:
        self.calls.append("check")

    def on_start(self, trainer: cr.Trainer) -> None:
        self._note("start", trainer)

    def on_chunk(self, trainer: cr.Trainer) -> None:
        self._note(f"{trainer.epoch}.{trainer.step}", trainer)

    def on_epoch(self, trainer: cr.Trainer) -> None:
        self._note(f"epoch {trainer.epoch}", trainer)

    def on_finish(self, trainer: cr.Trainer) -> None:
        self._note("finish", trainer)

    def on_end(self, trainer: cr.Trainer) -> None:
        self._note("end", trainer)


@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize(
    ("stop_at", "calls"),
    [
        ("", "check start 0.1 0.2 epoch_1 1.1 1.2 epoch_2 finish end"),
        ("epoch 1", "check start 0.1 0.2 epoch_1 finish end"),
        ("1.1", "check start 0.1 0.2 epoch_1 1.1 end"),
        ("1.2", "check start 0.1 0.2 epoch_1 1.1 1.2 epoch_2 finish end"),
        ("start", "check start end"),
    ],
)
def test_when_they_are_called(
    make: Make, data: cr.data.Dataset, stop_at: str, calls: str
) -> None:
    note = Note([], stop_at)
    make().fit(data, epochs=2, batch_size=25, callbacks=note, progress=False)
    assert " ".join(c.replace(" ", "_") for c in note.calls) == calls


@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize(
    ("at", "saved"),
    [
        (2, [(0, 0), (1, 0)]),  # an epoch's last step: it is finished first
        (3, [(0, 0), (1, 0), (1, 1)]),
        (9, [(0, 0), (1, 0), (2, 0)]),
    ],
)
def test_each_checkpoint_is_written_once(
    make: Make,
    data: cr.data.Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at: int,
    saved: list[tuple[int, int]],
) -> None:
    made: list[tuple[int, int]] = []
    save = cr.Trainer.save

    def noted(trainer: cr.Trainer, path: Path) -> None:
        made.append((trainer.epoch, trainer.step))
        save(trainer, path)

    monkeypatch.setattr(cr.Trainer, "save", noted)
    options: Any = {"epochs": 2, "batch_size": 25, "progress": False}
    make().fit(data, callbacks=StopAt(at), checkpoint=tmp_path, **options)
    assert made == saved


def test_ends_are_called_for_each_that_was_started(
    make: Make, data: cr.data.Dataset
) -> None:
    def fail(trainer: cr.Trainer) -> None:
        raise ZeroDivisionError

    calls: list[str] = []
    late: list[str] = []
    callbacks = [Note(calls), LambdaCallback(on_start=fail), Note(late)]
    with pytest.raises(ZeroDivisionError):
        make().fit(data, epochs=1, callbacks=callbacks, progress=False)
    assert calls == ["check", "start", "end"]
    assert late == ["check"]


def test_an_end_does_not_hide_what_came_first(
    make: Make, data: cr.data.Dataset
) -> None:
    """A callback that could not start has nothing to end; later errors are notes."""

    class Log(Callback):
        def __init__(self, starts: bool) -> None:
            self.starts = starts

        def on_start(self, trainer: Any) -> None:
            if not self.starts:
                raise FileNotFoundError("no such log")
            self.file = "open"

        def on_end(self, trainer: Any) -> None:
            assert self.file == "open"
            raise RuntimeError("cannot close")

    options: Any = {"epochs": 1, "batch_size": 25, "progress": False}
    with pytest.raises(FileNotFoundError, match="no such log"):
        make().fit(data, callbacks=Log(False), **options)
    with pytest.raises(FileNotFoundError, match="no such log") as caught:
        make().fit(data, callbacks=[Log(True), Log(False)], **options)
    assert caught.value.__notes__ == [
        "Log.on_end failed too: RuntimeError: cannot close"
    ]
    with pytest.raises(RuntimeError, match="cannot close") as late:
        make().fit(data, callbacks=[Log(True), Log(True)], **options)
    assert len(late.value.__notes__) == 1  # of the other one


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ([Note], ("the class Note", "Note(…) with parentheses")),
        (Note, ("the class Note", "Note(…) with parentheses")),
        (["early stopping"], ("'early stopping'", "[LambdaCallback")),
        ([lambda trainer: None], ("<function", "LambdaCallback(on_epoch=…)")),
        (7, ("7", "LambdaCallback(")),
    ],
)
def test_what_is_no_callback(
    make: Make, data: cr.data.Dataset, given: Any, parts: tuple[str, ...]
) -> None:
    trainer = make()
    with raising(errors.ArgumentError, "callbacks is of another kind", *parts):
        trainer.fit(data, epochs=1, callbacks=given)
    assert trainer.plan is None


def test_methods_that_nothing_calls(make: Make, data: cr.data.Dataset) -> None:
    class Keras(Callback):
        def on_epoch_end(self, trainer: cr.Trainer) -> None:
            raise AssertionError

    with pytest.warns(errors.ChainruleWarning) as warned:
        make().fit(data, epochs=1, callbacks=Keras(), progress=False)
    text = str(warned[0].message)
    for part in ("Keras has a method on_epoch_end", "did you mean 'on_epoch'?"):
        assert part in text
    assert warned[0].filename == __file__


def test_functions(make: Make, data: cr.data.Dataset) -> None:
    seen: list[Any] = []
    names = ["on_start", "on_epoch", "on_finish", "on_end"]
    hooks: dict[str, Any] = {
        name: lambda trainer, name=name: seen.append((name, trainer.epoch))
        for name in names
    }
    make().fit(data, epochs=1, callbacks=LambdaCallback(**hooks), progress=False)
    assert seen == list(zip(names, (0, 1, 1, 1)))
    with pytest.raises(errors.ArgumentError, match="on_epoch is of another kind"):
        LambdaCallback(on_epoch=3)  # type: ignore[arg-type]
    with pytest.raises(errors.ArgumentError, match="did you mean 'on_epoch'"):
        LambdaCallback(on_epoch_end=print)


# -- what they remember ---------------------------------------------------------------


class Remember(Callback):
    """Counts epochs and adds up weights; forgets for a new run."""

    def __init__(self) -> None:
        self.load_state({})

    def on_epoch(self, trainer: cr.Trainer) -> None:
        self.epochs += 1
        self.total = self.total + trainer.model.state_dict()["0.bias"]

    def state(self) -> dict[str, Any]:
        return {"epochs": self.epochs, "total/of biases": self.total}

    def load_state(self, state: Any) -> None:
        self.epochs = state.get("epochs", 0)
        self.total = state.get("total/of biases", np.zeros(8, np.float32))


@pytest.mark.one_in(2)
@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize(
    ("at", "reload"), [(1, True), (2, False), (3, True), (5, False)]
)
def test_states_travel_with_checkpoints(
    make: Make, data: cr.data.Dataset, tmp_path: Path, at: int, reload: bool
) -> None:
    whole = [Remember(), Remember()]
    make().fit(data, epochs=3, batch_size=25, callbacks=whole, progress=False)
    trainer = make()
    trainer.fit(
        data,
        epochs=3,
        batch_size=25,
        callbacks=[Remember(), StopAt(at), Remember()],
        progress=False,
        checkpoint=tmp_path,
    )
    if reload:
        trainer = cr.Trainer.load(tmp_path)
        trainer.save(tmp_path / "again.ckpt")  # nothing is lost before resume
        trainer = cr.Trainer.load(tmp_path / "again.ckpt")
    later = [Remember(), Remember()]
    trainer.resume(data, callbacks=later, progress=False)
    for mine, other in zip(later, whole):
        assert mine.epochs == other.epochs == 3
        assert mine.total.tobytes() == other.total.tobytes()


def test_a_new_run_begins_with_nothing(make: Make, data: cr.data.Dataset) -> None:
    remember = Remember()
    for _ in range(2):
        trainer = make(optimizer=optim.Adam())
        trainer.fit(data, epochs=2, callbacks=remember, progress=False)
        assert remember.epochs == 2
    trainer.fit(data, epochs=1, callbacks=remember, progress=False)
    assert remember.epochs == 1
    trainer.resume(data, callbacks=remember, progress=False)
    assert remember.epochs == 1, "of a finished run nothing is left to do"


def test_states_in_the_document(make: Make, data: Any, tmp_path: Path) -> None:
    trainer = make()
    callbacks = [Remember(), Remember()]
    trainer.fit(data, epochs=1, callbacks=callbacks, progress=False)
    trainer.save(tmp_path / "run.ckpt")
    from chainrule.training import checkpoint

    document, tensors = checkpoint.read(tmp_path / "run.ckpt")
    name = "callbacks/Remember#1/total/of biases"
    assert document["callbacks"]["Remember#1"] == {
        "epochs": 1,
        "total/of biases": {"__array__": name},
    }
    assert tensors[name].tobytes() == callbacks[1].total.tobytes()
    state = RunState.unpack(
        Path("x"),
        json.loads(json.dumps(document)),
        {n: a for n, a in tensors.items() if n.startswith(("history/", "callbacks/"))},
    )
    assert state.callbacks.keys() == {"Remember", "Remember#1"}
    assert state.callbacks["Remember"]["epochs"] == 1
