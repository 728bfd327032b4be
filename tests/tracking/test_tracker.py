"""What trackers get, and when; JSON Lines, which need no package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn, optim, tracking
from chainrule.compilation.program import CompiledProgram
from chainrule.compilation.tracing import Input, trace_entry
from chainrule.graph.types import ArrayType, DType
from chainrule.tracking import JSONLines, Tracker
from chainrule.training import BatchSource, LambdaCallback, Loop, StepInputs
from tests.training.test_loop import example

from .conftest import (
    EPOCHS,
    KILLS,
    STEPS,
    KillAt,
    Killed,
    dataset,
    fit,
    killed,
    points,
    resume,
    trainer,
)


class Notes(Tracker):
    """All that a tracker gets, in a list."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.got: list[tuple[Any, ...]] = []

    def begin(self, run_id: str | None, config: Mapping[str, Any], step: int) -> str:
        self.got.append(("begin", run_id, dict(config), step))
        return run_id or "a run"

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        self.got.append(("scalars", dict(values), step))

    def histogram(self, name: str, array: Any, step: int) -> None:
        self.got.append(("histogram", name, array.shape, step))

    def image(self, name: str, pixels: Any, step: int) -> None:
        self.got.append(("image", name, pixels, step))

    def graph(self, graph: Any) -> None:
        self.got.append(("graph", graph))

    def finish(self, run: Any, completed: bool) -> None:
        self.got.append(("finish", completed))

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [item[1:] for item in self.got if item[0] == kind]


def lines(path: Path) -> list[dict[str, Any]]:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    text = path.read_text().splitlines()
    return [json.loads(line, parse_constant=refuse) for line in text]


@pytest.mark.usefixtures("single_steps")
def test_what_a_tracker_gets() -> None:
    notes = Notes(log_every_n_steps=5, histogram_freq=2, images=True)
    made = fit(notes)
    (begin,), (graph,) = notes.of("begin"), notes.of("graph")
    assert begin[0] is None
    assert begin[2] == 0
    assert graph[0] is made.program.traced["train"].entry.graph
    assert [step for __, step in notes.of("scalars")] == points()
    for values, step in notes.of("scalars"):
        if step % STEPS == 0:
            row = made.history.epochs[step // STEPS - 1]
            assert {k: values[k] for k in row} == row
        if step % 5 == 0:
            for name, column in made.history.steps.items():
                mean = column[step - 5 : step].mean(dtype=np.float64)
                assert values[f"step/{name}"] == mean
    shapes = {name: shape for name, shape, __ in notes.of("histogram")}
    assert {step for *__, step in notes.of("histogram")} == {2 * STEPS}
    assert shapes["weights/0.weight"] == (8, 6)
    assert shapes["step/activation_mean/0"] == (STEPS,)
    pictures = {name: picture.shape for name, picture, __ in notes.of("image")}
    assert pictures == {"images/0.weight": (8, 6, 3), "images/2.weight": (3, 8, 3)}
    assert notes.got[-1] == ("finish", True)


def test_the_configuration_is_that_of_the_run() -> None:
    notes, made = Notes(), trainer()
    made.notes = {"who": {"name": "me"}}
    fit(notes, made)
    config = notes.of("begin")[0][1]
    assert made.plan is not None
    assert config["data.crc32"] == f"{made.plan.checksum:08x}"
    assert config["data.rows"] == STEPS * 16
    assert config["parameters"] == 6 * 8 + 8 + 8 * 3 + 3
    assert (config["optimizer.name"], config["optimizer.lr"]) == ("Adam", 1e-2)
    assert config["losses.loss"] == "CrossEntropyLoss()"
    assert (config["batch_size"], config["epochs"]) == (16, EPOCHS)
    assert config["versions.chainrule"] == cr.__version__
    assert config["versions.numpy"] == np.__version__
    assert config["notes.who.name"] == "me"
    assert all(isinstance(v, str | int | float | None) for v in config.values())


class Pair(nn.Module):
    """A network of two outputs."""

    def __init__(self) -> None:
        self.inner = nn.Linear(6, 1)

    def forward(self, x: cr.Tensor) -> dict[str, cr.Tensor]:
        return {"a": self.inner(x), "b": self.inner(x)}


def test_the_weights_of_losses_are_settings() -> None:
    notes, x = Notes(), np.ones((4, 6), "f4")
    made = cr.Trainer(
        Pair(),
        loss={"a": nn.MSELoss(), "b": nn.L1Loss()},
        loss_weights={"a": 1.0, "b": 0.25},
        optimizer=optim.SGD(),
        engine="numpy",
    )
    data = x, {"a": x[:, :1], "b": x[:, :1]}
    made.fit(data, epochs=1, batch_size=4, callbacks=notes, progress=False)
    config = notes.of("begin")[0][1]
    assert (config["losses.b"], config["loss_weights.b"]) == ("L1Loss()", 0.25)


def test_a_stream_has_no_fingerprint() -> None:
    notes, data = Notes(), dataset()
    stream = cr.data.Stream(lambda: zip(data.x[:], data.y), classes=3)
    trainer().fit(stream, epochs=1, callbacks=notes, progress=False)
    assert "data.crc32" not in notes.of("begin")[0][1]


@pytest.mark.usefixtures("single_steps")
def test_a_loop_of_several_entries() -> None:
    loop = example("loop_gan").make("numpy")
    notes = Notes(log_every_n_steps=10, histogram_freq=1)
    loop.callbacks.append(notes)
    loop.run(epochs=2)
    assert notes.of("begin")[0][1]["optimizers.Adam.lr"] > 0
    (first, last) = notes.of("scalars")
    assert last[1] == loop.state.updates
    start = loop.state.history.steps_of("generator")["loss"]
    half = start[len(start) // 2 :]
    assert last[0]["step/generator/loss"] == half.mean(dtype=np.float64)
    assert first[0]["epoch"] == 1
    names = {name for name, *__ in notes.of("histogram")}
    assert "step/discriminator/made" in names
    assert any(name.startswith("weights/") for name in names)


def counting(entries: list[str]) -> Loop:
    """A loop without end; what "train" returns is recorded, of "keep" nothing is."""
    total = cr.tensor([0.0])

    def train(x: Any) -> Any:
        total.add_(x)
        return {"loss": total.sum()}

    def keep(x: Any) -> Any:
        return {"pair": x + total + cr.zeros(2)}

    def one() -> Input:
        return Input("x", ArrayType((1,), DType.float32), each=True)

    class Turns(BatchSource):
        def take(self, state: Any, most: int) -> StepInputs | None:
            if state.step == 12:
                return None
            entry = entries[state.step % len(entries)]
            return StepInputs({"x": np.ones((1, 1), "f4")}, 1, entry=entry)

    traced = [trace_entry(f.__name__, f, [one()]) for f in (train, keep)]
    return Loop(CompiledProgram(traced, engine="numpy"), "train", Turns())


@pytest.mark.usefixtures("single_steps")
def test_steps_that_record_nothing_shift_no_mean() -> None:
    loop, notes = counting(["train", "keep"]), Notes(log_every_n_steps=4)
    loop.callbacks.append(notes)
    loop.run(epochs=2)
    means = [(step, values["step/loss"]) for values, step in notes.of("scalars")]
    assert means == [(12, np.mean([1, 2, 3, 4, 5, 6])), (24, np.mean(range(7, 13)))]


@pytest.mark.usefixtures("single_steps")
def test_a_loop_that_ends_by_its_updates_is_completed() -> None:
    loop, notes = counting(["train"]), Notes(log_every_n_steps=4)
    loop.callbacks.append(notes)
    loop.run(updates=8)
    assert [step for __, step in notes.of("scalars")] == [4, 8]
    assert notes.of("finish") == [(True,)]
    loop.run(updates=10)
    loop.run(updates=16)
    assert [step for __, step in notes.of("scalars")] == [4, 8, 12, 16]


@pytest.mark.usefixtures("single_steps")
def test_another_loop_is_another_run() -> None:
    notes = Notes(log_every_n_steps=4)
    for __ in range(2):
        loop = counting(["train"])
        loop.callbacks.append(notes)
        loop.run(epochs=1)
    assert [(run, step) for run, __, step in notes.of("begin")] == [(None, 0)] * 2
    assert [step for __, step in notes.of("scalars")] == [4, 8, 12] * 2


def test_numbers_of_numpy_are_numbers() -> None:
    def add(made: cr.Trainer) -> None:
        made.history.epochs[-1] |= {"a": np.float32(0.5), "b": np.int64(2), "c": "no"}

    notes = Notes(log_every_n_steps=0)
    fit([LambdaCallback(on_epoch=add), notes], epochs=1)
    ((values, __),) = notes.of("scalars")
    assert (values["a"], values["b"]) == (0.5, 2.0)
    assert all(type(v) in (int, float) for v in values.values())


def test_a_second_fit_is_a_new_run() -> None:
    notes, made = Notes(log_every_n_steps=0), trainer()
    for __ in range(2):
        fit(notes, made, epochs=1)
    assert [(run, step) for run, __, step in notes.of("begin")] == (
        [(None, 0), (None, STEPS)]
    )
    assert [step for __, step in notes.of("scalars")] == [STEPS, 2 * STEPS]


@pytest.mark.usefixtures("single_steps")
def test_the_points_of_a_second_fit_are_its_own() -> None:
    notes, made = Notes(log_every_n_steps=5), trainer()
    for __ in range(2):
        fit(notes, made, epochs=1)
    means = {
        step: v["step/loss"] for v, step in notes.of("scalars") if "step/loss" in v
    }
    loss = made.history.steps["loss"]
    assert means == {
        5: loss[:5].mean(dtype=np.float64),
        10: loss[7:10].mean(dtype=np.float64),
    }


@pytest.mark.usefixtures("single_steps")
def test_what_a_tracker_missed_it_gets_when_the_run_goes_on(tmp_path: Path) -> None:
    with pytest.warns(errors.ChainruleWarning):
        fit(Broken("scalars"), checkpoint=tmp_path, epochs=2)
    made = cr.Trainer.load(tmp_path)
    made.state.callbacks["Notes"] = made.state.callbacks.pop("Broken")
    notes = Notes(log_every_n_steps=5)
    made.resume(dataset(), epochs=3, callbacks=notes, progress=False)
    steps = [step for values, step in notes.of("scalars") if "step/loss" in values]
    assert steps == [5, 10, 15, 20]


def test_short_steps_have_fewer_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """However dear a point is, their number grows with the logarithm alone."""
    monkeypatch.setattr("chainrule.tracking.tracker.SHARE", 0.0)
    monkeypatch.setattr("chainrule.training.loop.CHUNK", 0.0)
    notes = Notes(log_every_n_steps=1)
    fit(notes)
    steps = [step for values, step in notes.of("scalars") if "step/loss" in values]
    assert steps == [1, 8]


# -- what fails ------------------------------------------------------------------------


class Broken(Notes):
    """A server that is gone at some moment."""

    def __init__(self, method: str, **options: Any) -> None:
        super().__init__(log_every_n_steps=5, histogram_freq=1, **options)

        def fail(*args: Any) -> Any:
            raise ConnectionError("nobody answers")

        setattr(self, method, fail)


@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize("method", ["begin", "scalars", "histogram", "finish", "graph"])
def test_a_tracker_that_fails_does_not_end_the_run(method: str) -> None:
    broken, whole = Broken(method), Notes(log_every_n_steps=5)
    with pytest.warns(errors.ChainruleWarning) as caught:
        made = fit([broken, whole])
    (warning,) = caught
    assert "Broken could not go on" in str(warning.message)
    assert "ConnectionError: nobody answers" in str(warning.message)
    assert made.finished
    assert len(whole.of("scalars")) == len(points())
    assert bool(broken.of("finish")) == (method not in ("begin", "finish"))


def test_what_is_interrupted_is_no_fault_of_the_tracker() -> None:
    class Interrupted(Notes):
        def scalars(self, values: Mapping[str, float], step: int) -> None:
            raise KeyboardInterrupt

    made = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        fit(made)
    assert made.of("finish") == [(False,)]


def test_a_tracker_is_of_one_run_at_a_time() -> None:
    notes = Notes(log_every_n_steps=0)
    nested = LambdaCallback(on_epoch=lambda made: fit(notes))
    for callbacks in ([notes, nested], [notes, notes]):
        notes.got.clear()
        with pytest.raises(errors.ArgumentError, match="Notes is tracking a run"):
            fit(callbacks)
        assert len(notes.of("begin")) == len(notes.of("finish")) == 1
    fit(notes, epochs=1)


def test_a_run_that_is_interrupted_as_it_begins() -> None:
    class Interrupted(Notes):
        def graph(self, graph: Any) -> None:
            raise KeyboardInterrupt

    made = Interrupted()
    for __ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fit(made)
        assert made.got[-1] == ("finish", False)


def test_arguments_that_cannot_be(tmp_path: Path) -> None:
    for options, part in (
        ({"log_every_n_steps": -1}, "log_every_n_steps ≥ 0"),
        ({"histogram_freq": -1}, "histogram_freq ≥ 0"),
        ({"images": True}, "histogram_freq=1"),
        ({"images": "yes", "histogram_freq": 1}, "images"),
    ):
        with pytest.raises(errors.ArgumentError, match=part):
            Notes(**options)


class Absent(Notes):
    package = "a_tracker_that_nobody_has"


def test_a_package_that_is_missing() -> None:
    with pytest.raises(errors.ArgumentError) as error:
        Absent()
    assert "pip install 'chainrule[a_tracker_that_nobody_has]'" in str(error.value)


@pytest.mark.parametrize(
    ("picture", "good"),
    [
        (np.zeros((4, 5), np.uint8), True),
        (np.full((4, 5, 3), 0.5), True),
        (np.ones((4, 5, 1)), True),
        (np.full((4, 5), 2.0), False),
        (np.full((4, 5), np.nan), False),
        (np.zeros(4, np.uint8), False),
        (np.zeros((0, 5), np.uint8), False),
        (np.zeros((4, 5, 2), np.uint8), False),
    ],
)
def test_pictures(picture: Any, good: bool) -> None:
    notes = Notes(histogram_freq=1, images=lambda trainer: {"a": picture})
    if good:
        fit(notes, epochs=1)
        ((name, pixels, step),) = notes.of("image")
        assert (name, pixels.shape, step) == ("a", (4, 5, 3), STEPS)
        assert pixels[0, 0].tolist() == [round(255 * float(picture.flat[0]))] * 3
        return
    with pytest.warns(errors.ChainruleWarning, match="is no picture"):
        fit(notes, epochs=1)


@pytest.mark.parametrize(
    "state",
    [{"run_id": 5}, {"run_id": "a", "logged": -1}, {"run_id": "a", "doubled": 10**6}],
)
def test_a_state_that_no_tracker_gave(state: dict[str, Any]) -> None:
    with pytest.raises(errors.CheckpointError, match="Notes cannot go on"):
        Notes().load_state(state)


# -- JSON Lines ------------------------------------------------------------------------


@pytest.mark.usefixtures("single_steps")
def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "a" / "log.jsonl"
    made = fit(JSONLines(path, log_every_n_steps=5))
    head, *rest = lines(path)
    assert head["config"]["optimizer.name"] == "Adam"
    assert [record["step"] for record in rest] == points()
    rows = [record for record in rest if "epoch" in record]
    assert [{k: r[k] for k in made.history.epochs[0]} for r in rows] == (
        made.history.epochs
    )


@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize("kill", KILLS)
def test_a_killed_run_has_the_same_lines(tmp_path: Path, kill: str) -> None:
    def tracker(name: str) -> JSONLines:
        return JSONLines(tmp_path / f"{name}.jsonl", log_every_n_steps=5)

    fit(tracker("whole"))
    torn = tmp_path / "part.jsonl"

    def tear() -> JSONLines:
        if torn.exists():  # the kill was in the middle of a line
            with torn.open("a") as file:
                file.write('{"step": 3, "train_lo')
        return tracker("part")

    killed(tear, tmp_path / "run", kill)
    whole, part = (lines(tmp_path / f"{name}.jsonl") for name in ("whole", "part"))
    for record in [*whole, *part]:
        record.pop("seconds", None)
        record.pop("run_id", None)
    assert part == whole


def test_a_log_that_another_run_has_replaced_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with pytest.raises(Killed):
        fit([JSONLines(path), KillAt(epoch=2)], checkpoint=tmp_path / "run")
    other = trainer()
    other.optimizer.lr = 0.5
    fit(JSONLines(path), other)
    text = path.read_text()
    with pytest.warns(errors.ChainruleWarning, match="is the log of another run"):
        assert resume(tmp_path / "run", JSONLines(path)).finished
    assert path.read_text() == text


def test_two_runs_at_once_do_not_share_a_log(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"

    def another(made: cr.Trainer) -> None:
        if made.epoch == 1:
            fit(JSONLines(path), epochs=1)

    with pytest.warns(errors.ChainruleWarning, match="is the log of another run"):
        fit([JSONLines(path), LambdaCallback(on_epoch=another)])
    head, *rest = lines(path)
    assert head["config"]["epochs"] == 1
    assert [record["step"] for record in rest] == [STEPS]


def test_json_has_neither_nan_nor_infinity(tmp_path: Path) -> None:
    def spoil(trainer: cr.Trainer) -> None:
        trainer.history.epochs[-1]["validation_odd"] = float("inf")

    log = JSONLines(tmp_path / "log.jsonl")
    fit([LambdaCallback(on_epoch=spoil), log], epochs=1)
    assert lines(log.path)[1]["validation_odd"] is None


def test_half_a_character_is_json_too(tmp_path: Path) -> None:
    made, log = trainer(), JSONLines(tmp_path / "log.jsonl")
    made.notes = {"file": "名\udc80"}  # as os.fsdecode gives it
    fit(log, made, epochs=1)
    assert lines(log.path)[0]["config"]["notes.file"] == "名\udc80"
    assert "名" in log.path.read_text("utf-8")


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.warns(errors.ChainruleWarning, match="SaveError"):
        assert fit(JSONLines(tmp_path / "file" / "log"), epochs=1).finished


def test_a_run_file_has_trackers(tmp_path: Path) -> None:
    from chainrule.runs import parse

    text = (
        'data.source = "moons"\nmodel.layers = ["Linear"]\n'
        '[[callbacks]]\nclass = "JSONLines"\nlog_every_n_steps = 20\n'
    )
    (log,) = parse(text).callbacks(tmp_path)
    assert (log.path, log.log_every_n_steps) == (tmp_path / "log.jsonl", 20)
    for key in ("tracking_uri", "images"):
        value = '"http://elsewhere"' if key == "tracking_uri" else '"a"'
        with pytest.raises(errors.ChainruleError, match=key):
            parse(text.replace("JSONLines", "MLflow") + f"{key} = {value}\n")


def test_every_tracker_is_a_callback_of_run_files() -> None:
    from chainrule.runs.schema import CALLBACKS

    known = {n for n in tracking.__all__ if n not in ("Tracker", "OptunaPruning")}
    assert known < {*CALLBACKS.classes}
