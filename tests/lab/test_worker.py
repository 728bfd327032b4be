"""The training process: it does what it is asked, and trains as any Trainer does."""

from __future__ import annotations

import io
import math
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError
from chainrule.lab.maps import confusion
from chainrule.lab.settings import run_file
from chainrule.lab.sharing import python
from chainrule.lab.watching import modules_of
from chainrule.runs import RunFileError, Session
from tests.lab.runs import DENSE, Asked, circles, same

#: Steps of an epoch of ``circles``.
EACH = 5


def by_hand(folder: Path, run: dict[str, Any]) -> cr.Trainer:
    """The same run without a lab."""
    session = Session.begin(run_file(run, folder), folder / "alone")
    options = session.origin.fit_options(session.parts.train)
    session.trainer.fit(
        session.parts.train,
        validation=session.parts.validation,
        progress=False,
        **options,
    )
    return session.trainer


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_what_the_lab_trains_is_what_a_trainer_trains(
    tmp_path: Path, engine: str
) -> None:
    run = circles(engine=engine)
    lab = Asked(tmp_path, run)
    lab.ask("train")
    lab.run()
    assert lab.last("status")["stage"] == "finished"
    same(lab.worker.session.trainer, by_hand(tmp_path, run))


def test_steps_pauses_and_looks_change_no_number(tmp_path: Path) -> None:
    lab = Asked(tmp_path)
    for steps in (1, 1, 3, 7):
        lab.ask("step", steps=steps)
        lab.ask("look", step=0)
        lab.ask("sample", row=0, part="train", lang="en")
        lab.ask("look", step=None)
    lab.ask("step", steps=8)
    lab.run()
    assert lab.last("status")["step"] == 4 * EACH
    same(lab.worker.session.trainer, by_hand(tmp_path, circles()))


def test_a_step_is_one_step(tmp_path: Path) -> None:
    lab = Asked(tmp_path)
    lab.ask("step", steps=1)
    reached: list[int] = []

    def next_step() -> None:
        steps = lab.worker.session.trainer.optimizer.steps
        reached.append(steps)
        if len(reached) < 4:
            lab.ask("step", steps=len(reached))
        else:
            lab.inbox.put(None)

    usual = lab.worker._rest
    lab.worker._rest = lambda: (usual(), next_step())
    lab.worker.run()
    assert reached[:4] == [1, 2, 4, 7]


def test_a_page_sees_what_was_built(tmp_path: Path) -> None:
    lab = Asked(tmp_path)
    built, data, maps = map(lab.last, ("built", "data", "maps"))
    assert built["parameters"] == 2 * 4 + 4 + 4 * 2 + 2
    assert [layer["units"] for layer in built["layers"]] == [4, 2]
    assert built["sizes"] == {"train": 80, "validation": 10, "test": 10}
    assert data["arrays"]["x"].shape == (80, 2)
    assert data["arrays"]["x_other"].shape == (20, 2)  # validation and test
    assert maps["arrays"]["layer0"].shape == (4, 48, 48)
    assert lab.last("status")["stage"] == "ready"


def test_layers_are_named_by_what_gives_their_answer(tmp_path: Path) -> None:
    run = circles()
    dropout = {"class": "Dropout", "p": 0.1}
    run["model"] = {"layers": [*DENSE[:2], dropout, "Linear"]}
    built = Asked(tmp_path, run).last("built")
    assert [layer["kind"] for layer in built["layers"]] == ["Tanh, Dropout", "Linear"]


@pytest.mark.parametrize("what", ["toml", "python"])
def test_a_recipe_is_no_file_of_settings(tmp_path: Path, what: str) -> None:
    lab = Asked(tmp_path)
    lab.begin(open="mnist")
    asked = lab.ask("share", what=what, lang="en")
    lab.run()
    refused = lab.answer(asked)
    assert refused["type"] == "refused"
    assert "recipe" in str(refused["error"]["what"])


def test_a_map_is_what_the_units_answer(tmp_path: Path) -> None:
    lab = Asked(tmp_path)
    model, maps = lab.worker.session.trainer.model, lab.last("maps")["arrays"]
    left, right, bottom, top = lab.last("built")["range"]
    for row, column in ((0, 0), (10, 40), (47, 3)):
        x = left + (right - left) * column / 47
        y = bottom + (top - bottom) * row / 47
        a = model[1](model[0](cr.tensor([[x, y]]))).numpy()[0]
        scale = maps["scale"][1]
        got = (maps["layer0"][:, row, column].astype(float) - 128) / 127 * scale
        np.testing.assert_allclose(got, a, atol=scale / 100)
        p = model(cr.tensor([[x, y]])).softmax(-1).numpy()[0]
        got = (maps["output"][:, row, column].astype(float) - 128) / 127
        np.testing.assert_allclose(got * maps["scale"][0], p, atol=0.01)


def test_the_confusion_counts_validation_samples(tmp_path: Path) -> None:
    lab = Asked(tmp_path)
    lab.ask("step", steps=10)
    lab.run()
    session = lab.worker.session
    part = session.parts.validation
    decided = session.trainer.model(cr.tensor(part.x[:])).numpy().argmax(1)
    wanted = [[sum((part.y == i) & (decided == j)) for j in (0, 1)] for i in (0, 1)]
    assert lab.last("confusion")["arrays"]["matrix"].tolist() == wanted


def test_confusion_by_hand() -> None:
    made = confusion(np.array([0, 1, 2, 2]), np.array([0, 2, 2, 1]), 3)
    assert made.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 1]]


def test_samples_of_a_cell_are_in_it(tmp_path: Path) -> None:
    lab = Asked(tmp_path)
    ids = [lab.ask("cell", truth=i, decided=j) for i in (0, 1) for j in (0, 1)]
    lab.run()
    rows = [lab.answer(id)["rows"] for id in ids]
    assert sorted(row for some in rows for row in some) == [*range(10)]
    assert [len(some) for some in rows] == [lab.answer(id)["count"] for id in ids]


def test_one_looks_at_the_past(tmp_path: Path) -> None:
    lab = Asked(tmp_path)
    before = lab.last("maps")["arrays"]["weight0"]
    lab.ask("step", steps=12)
    lab.run()
    assert np.abs(lab.last("maps")["arrays"]["weight0"] - before).max() > 1e-3
    lab.ask("look", step=0)
    lab.run()
    past = lab.last("maps")
    assert (past["step"], past["past"]) == (0, True)
    np.testing.assert_array_equal(past["arrays"]["weight0"], before)
    id = lab.ask("sample", row=3, part="train", lang="en")
    lab.run()
    np.testing.assert_array_equal(lab.answer(id)["arrays"]["W⁽¹⁾"], before)
    assert lab.answer(id)["step"] == 0


def test_a_sample_is_explained_and_a_number_has_its_path(tmp_path: Path) -> None:
    lab = Asked(tmp_path)
    id = lab.ask("sample", row=2, part="validation", lang="en")
    path = lab.ask("element", evaluated=False, name="W⁽¹⁾", index=[1, 0], lang="en")
    strange = lab.ask("element", evaluated=False, name="W⁽¹⁾", index=[9, 0], lang="en")
    lab.run()
    sample = lab.answer(id)
    steps = {s["key"]: s for s in sample["steps"] if s.get("layer") == 1 and "key" in s}
    assert steps["delta"]["book"] == "3.4.2"
    assert (steps["dW"]["of"], steps["delta"]["of"]) == ("W⁽¹⁾", "z⁽¹⁾")
    gradient = sample["arrays"]["∂ℒ/∂W⁽¹⁾"]
    np.testing.assert_allclose(lab.answer(path)["gradient"], gradient[1, 0], rtol=1e-5)
    assert lab.answer(strange)["error"]["what"]["en"] == "There is no such element."
    x = lab.worker.session.parts.validation.x[2]
    z = sample["arrays"]["W⁽¹⁾"] @ x + sample["arrays"]["b⁽¹⁾"]
    np.testing.assert_allclose(sample["arrays"]["z⁽¹⁾"][0], z, rtol=1e-5, atol=1e-6)


def test_a_step_is_told_again_in_another_language(tmp_path: Path) -> None:
    lab = Asked(tmp_path)
    lab.ask("step", steps=1)
    lab.run()
    first = lab.ask("sample", row=3, part="train", lang="en")
    lab.run()
    lab.ask("step", steps=2)
    lab.run()
    again = lab.ask("sample", row=3, part="train", lang="zh-TW", again=True)
    other = lab.ask("sample", row=4, part="train", lang="zh-TW", again=True)
    lab.run()
    said, told, new = (lab.answer(i) for i in (first, again, other))
    assert told["loss"] == said["loss"]
    assert told["step"] == said["step"] == 1
    assert new["step"] == 3
    remarks = [[s.get("remark") for s in m["steps"]] for m in (said, told)]
    assert remarks[0] != remarks[1]
    assert [s["text"] for s in told["steps"]] == [s["text"] for s in said["steps"]]


def test_every_symbol_that_can_be_clicked_has_a_path(tmp_path: Path) -> None:
    lab = Asked(tmp_path)
    id = lab.ask("sample", row=0, part="train", lang="en")
    lab.run()
    seen = set()
    for step in lab.answer(id)["steps"]:
        if step.get("of") and step["of"] not in seen:
            seen.add(step["of"])
            index = [0] * len(step["shape"])
            assert lab.worker.shown.path(step["of"], index)["steps"]
    assert {"W⁽¹⁾", "b⁽²⁾", "z⁽¹⁾", "a⁽¹⁾"} <= seen


def test_nan_is_shown_where_it_began_and_the_weights_are_kept(tmp_path: Path) -> None:
    run = circles()
    run["loss"] = {"class": "MSELoss"}
    run["data"] = {"source": "data-x.npz", "validation": 0, "test": 0}
    x = np.linspace(1, 2, 64, dtype=np.float32)[:, None]
    np.savez(tmp_path / "data-x.npz", x=x, y=x)
    run["model"] = {"layers": ["Linear"], "standardize": False}
    run["optimizer"] = {"class": "SGD", "lr": 1e3}
    run["training"]["epochs"] = 100
    lab = Asked(tmp_path, run)
    lab.ask("train")
    lab.run()
    status = lab.last("status")
    assert status["stage"] == "failed"
    assert status["error"]["kind"] == "NonFiniteError"
    assert "the first value that is not finite" in status["error"]["got"]["en"]
    assert np.isfinite(lab.last("maps")["arrays"]["weight0"]).all()
    refused = lab.ask("train")
    lab.run()
    assert (
        "stopped by an error cannot train" in lab.answer(refused)["error"]["what"]["en"]
    )


def test_a_run_goes_on_after_its_end(tmp_path: Path) -> None:
    lab = Asked(tmp_path)
    lab.ask("train")
    lab.run()
    assert lab.last("status")["stage"] == "finished"
    same(lab.worker.session.trainer, by_hand(tmp_path, circles()))
    lab.ask("again")
    lab.run()
    assert lab.last("status")["step"] == 8 * EACH


def test_a_saved_run_goes_on_in_another_process(tmp_path: Path) -> None:
    lab = Asked(tmp_path)
    lab.ask("step", steps=7)
    lab.run()
    assert lab.last("saved")["step"] == 7
    (tmp_path / "lab.toml").write_text(lab.last("built")["text"])
    other = Asked(tmp_path)
    other.begin(run=circles(), restore=True)
    assert other.last("status")["stage"] == "paused"
    other.ask("train")
    other.run()
    same(other.worker.session.trainer, by_hand(tmp_path, circles()))


def test_a_digit_is_read_as_the_samples_are(tmp_path: Path) -> None:
    run = circles()
    run["data"] = {"source": "mnist", "limit": 200}
    lab = Asked(tmp_path, run)
    data = lab.worker.session.parts.train.x
    id = lab.ask("digit", pixels=[int(v) for v in np.ravel(data.stored[5])])
    few = lab.ask("digit", pixels=[0] * 10)
    lab.run()
    row = cr.tensor(data[5:6])
    wanted = lab.worker.session.trainer.model(row).softmax(-1).numpy()[0]
    np.testing.assert_allclose(lab.answer(id)["answer"], wanted, rtol=1e-5, atol=1e-7)
    assert "grey pictures" in lab.answer(few)["error"]["expected"]["en"]
    assert lab.last("maps")["arrays"]["pictures"].shape == (4, 28, 28)


def test_what_cannot_be_built_says_where_it_is_wrong(tmp_path: Path) -> None:
    run = circles()
    run["model"] = {"layers": [*DENSE[:2], {"class": "Dropout", "p": 2}, "Linear"]}
    with pytest.raises(RunFileError) as caught:
        run_file(run, tmp_path)
    (problem,) = caught.value.problems
    assert problem.where[:3] == ("model", "layers", 2)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"data": {"source": "../secret.csv", "target": "x"}}, "no such data"),
        ({"data": {"source": "/etc/passwd", "format": "csv"}}, "no such data"),
        ({"data": {"source": ["a", "b"]}}, "no such data"),
        ({"data": {"source": "circles", "test": "/etc/passwd"}}, "no such data"),
        ({"data": {}}, "no such data"),
        ({"callbacks": [{"class": "CSVLogger"}]}, "does not know such a part"),
        ({"output": {"directory": "x"}}, "does not know such a part"),
        ({"model": {"layers": ["Linear"] * 20_000}}, "too long"),
    ],
)
def test_a_page_cannot_name_other_files(
    tmp_path: Path, change: dict[str, Any], what: str
) -> None:
    with pytest.raises(ArgumentError, match=what):
        run_file({**circles(), **change}, tmp_path)


def test_text_in_a_run_stays_text(tmp_path: Path) -> None:
    run = circles()
    run["model"] = {"layers": [{"class": 'Linear"]\n[callbacks]\n', "out_features": 2}]}
    with pytest.raises(RunFileError) as caught:
        run_file(run, tmp_path)
    assert caught.value.problems[0].where[:2] == ("model", "layers")


def test_the_python_of_a_run_trains_the_same(tmp_path: Path) -> None:
    run = circles()
    run["schedule"] = {"class": "OneCycleLR"}
    run["loss"] = {"class": "BCEWithLogitsLoss"}
    lab = Asked(tmp_path, run)
    text = python(lab.worker.view, lab.worker.session.origin)
    assert "nn.Linear(in_features=2, out_features=4)" in text
    found: dict[str, Any] = {}
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        exec(compile(text, "run.py", "exec"), found)
    same(found["trainer"], by_hand(tmp_path, run))


class OwnParameter(nn.Module):
    def __init__(self) -> None:
        self.scale = nn.Parameter([1.0, 2.0])
        self.inner = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.inner(x) * self.scale


SHARED = nn.Linear(2, 2)


@pytest.mark.parametrize(
    "model",
    [
        nn.Linear(2, 3),
        nn.Sequential(SHARED, nn.Tanh(), SHARED),
        nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16), nn.Linear(8, 2)),
        OwnParameter(),
        nn.Sequential(OwnParameter(), nn.LSTM(2, 3)),
    ],
)
def test_the_parameters_of_the_list_are_those_of_the_network(model: nn.Module) -> None:
    listed = modules_of(model)
    assert sum(m["parameters"] for m in listed) == sum(
        math.prod(p.shape) for p in model.parameters()
    )
    assert len({m["path"] for m in listed}) == len(listed)
