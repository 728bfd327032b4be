"""``chainrule export``: the file takes raw data and predicts what the run predicts."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

import chainrule as cr
from chainrule import nn, optim
from chainrule.cli import run
from tests.cli import data
from tests.cli.conftest import one_message

KINDS = ("oak", "elm", "fir")


def predicted(path: Path | str, **inputs: Any) -> dict[str, np.ndarray]:
    onnx.checker.check_model(str(path), full_check=True)
    evaluator = ReferenceEvaluator(str(path))
    return dict(zip(evaluator.output_names, evaluator.run(None, inputs), strict=True))


def trained(train: Any, model: nn.Module, loss: nn.Loss) -> cr.Trainer:
    trainer = cr.Trainer(model, optimizer=optim.SGD(lr=0.01), loss=loss, engine="numpy")
    trainer.fit(train, epochs=1, batch_size=8, progress=False)
    Path("run").mkdir()
    trainer.save("run/last.ckpt")
    return trainer


@pytest.fixture
def trees(chainrule: Any) -> Path:
    """A table with gaps, texts, dates and numbers; nothing in it is regular."""
    draw = np.random.default_rng(0)
    path = Path("trees.csv")
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["age", "kind", "planted", "height"])
        for i in range(60):
            minutes = np.timedelta64(int(draw.integers(0, 14_000_000)), "m")
            day = np.datetime64("1996-02-20T00:10") + minutes
            age = "" if i % 7 == 3 else f"{draw.uniform(1, 90):.2f}"
            kind = "" if i % 11 == 5 else KINDS[int(draw.integers(3))]
            when = "" if i % 13 == 4 else str(day.astype("datetime64[m]"))
            table.writerow([age, kind, when, f"{draw.uniform(1, 30):.1f}"])
    return path


def columns(path: Path) -> dict[str, np.ndarray]:
    """The columns of the table as the file takes them."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    ages = [float(row["age"] or "nan") for row in rows]
    times = [np.datetime64(row["planted"] or "NaT", "ms") for row in rows]
    return {
        "age": np.array(ages, np.float32),
        "kind": np.array([row["kind"] for row in rows], object),
        "planted": np.array(times).astype(np.int64),
    }


def test_a_table(trees: Path, chainrule: Any) -> None:
    train = cr.data.read_csv(trees, target="height")
    width = train.x.shape[1]
    model = nn.Sequential(nn.Standardize.of(train.x), nn.Linear(width, 1))
    trainer = trained(train, model, nn.MSELoss())
    told = chainrule("export", "run").out
    assert "run/model.onnx: ONNX, opset 23" in told
    assert "input   kind: string[N]" in told
    assert "input   planted: int64[N]" in told
    assert "output  values: float32[N,1]" in told
    given = columns(trees)
    wanted = trainer.predict(train.x)
    (got,) = predicted("run/model.onnx", **given).values()
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
    one = {name: column[:1] for name, column in given.items()}
    (first,) = predicted("run/model.onnx", **one).values()
    np.testing.assert_allclose(first, wanted[:1], rtol=1e-5, atol=1e-5)


def test_gaps_in_any_case_and_unknown_texts(trees: Path, chainrule: Any) -> None:
    train = cr.data.read_csv(trees, target="height")
    model = nn.Sequential(nn.Standardize.of(train.x), nn.Linear(train.x.shape[1], 1))
    trainer = trained(train, model, nn.MSELoss())
    assert chainrule("export", "run", "--out", "t.onnx").code == 0
    texts = ["NaN", "N/a", "?", "birch", "Oak", "oak"]
    Path("new.csv").write_text(
        "age,kind,planted\n" + "".join(f"3,{t},2024-02-29 13:45\n" for t in texts)
    )
    new, __ = cr.data.read("new.csv", format=train.format, target=False)
    when = np.datetime64("2024-02-29T13:45", "ms").astype(np.int64)
    (got,) = predicted(
        "t.onnx",
        age=np.full(6, 3, np.float32),
        kind=np.array(texts, object),
        planted=np.full(6, when),
    ).values()
    np.testing.assert_allclose(got, trainer.predict(new), rtol=1e-5, atol=1e-5)


def test_a_cell_that_the_run_refuses(trees: Path, chainrule: Any) -> None:
    train = cr.data.read_csv(trees, target="height", missing="drop")
    width = train.x.shape[1]
    model = nn.Sequential(nn.Standardize.of(train.x), nn.Linear(width, 1))
    trained(train, model, nn.MSELoss())
    assert chainrule("export", "run").code == 0
    full = {k: v[:3] for k, v in columns(trees).items()}
    assert predicted("run/model.onnx", **full)["values"].shape == (3, 1)
    for name, value in (("age", np.nan), ("age", np.inf), ("kind", "")):
        bad = {k: v.copy() for k, v in full.items()}
        bad[name][1] = value
        with pytest.raises(Exception, match="out of bounds"):
            predicted("run/model.onnx", **bad)


def test_whole_numbers_that_float32_cannot_hold(chainrule: Any) -> None:
    numbers = [2**40 + 7 * i for i in range(40)]
    rows = "".join(f"{n},{i % 9}.5\n" for i, n in enumerate(numbers))
    Path("wide.csv").write_text("n,y\n" + rows)
    train = cr.data.read_csv("wide.csv", target="y", dtype={"n": "number"})
    model = nn.Sequential(nn.Standardize.of(train.x), nn.Linear(1, 1)).to("float64")
    trainer = trained(train, model, nn.MSELoss())
    assert chainrule("export", "run").code == 0
    given = np.array(numbers, np.float64)
    got = predicted("run/model.onnx", n=given)["values"]
    np.testing.assert_allclose(got, trainer.predict(train.x), rtol=1e-12)
    given[1] = 1e39  # no number of float32: a run refuses it
    refused = pytest.raises(Exception, match="out of bounds")
    with np.errstate(over="ignore"), refused:
        predicted("run/model.onnx", n=given)


def test_images_as_bytes_and_classes(chainrule: Any) -> None:
    train = cr.data.image_folder(data.shades(Path("shades")), mode="L")
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(32, 2))
    trainer = trained(train, model, nn.CrossEntropyLoss())
    report = chainrule("export", "run", "--json").json
    assert report["inputs"] == {"image": "uint8[N,1,6,6]"}
    assert list(report["outputs"]) == ["logits", "probabilities", "classes"]
    got = predicted("run/model.onnx", image=train.x.stored)
    np.testing.assert_allclose(
        got["probabilities"], trainer.predict(train.x, "probabilities"), rtol=1e-4
    )
    props = {p.key: p.value for p in onnx.load("run/model.onnx").metadata_props}
    names = json.loads(props["classes"])
    assert names == list(train.class_names)
    decided = [names[i] for i in got["classes"]]
    assert decided == trainer.predict(train.x, "classes").tolist()


def test_texts_as_tokens(chainrule: Any) -> None:
    Path("said.csv").write_text("said,mood\n" + "so good,glad\nso so bad,sad\n" * 8)
    train = cr.data.read_text("said.csv", text="said", target="mood", length=4)
    model = nn.Sequential(nn.Embedding(9, 3), nn.Flatten(), nn.Linear(12, 2))
    trainer = trained(train, model, nn.CrossEntropyLoss())
    assert chainrule("export", "run").code == 0
    got = predicted("run/model.onnx", tokens=train.x.stored)["logits"]
    np.testing.assert_allclose(got, trainer.predict(train.x), rtol=1e-4, atol=1e-6)


def test_a_run_of_arrays(chainrule: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chainrule.viz.can_plot", lambda: False)
    data.arrays(Path("arrays.npz"))
    assert run(["new", "a.toml", "--data", "arrays.npz"]) == 0
    options = ["--engine", "numpy", "--epochs", "1", "--out", "r"]
    assert run(["train", "a.toml", *options]) == 0
    assert chainrule("export", "r", "--opset", "17").code == 0
    x = np.load("arrays.npz")["x"]
    got = predicted("r/model.onnx", x=x)
    trainer = cr.Trainer.load("r")
    np.testing.assert_allclose(
        got["probabilities"], trainer.predict(x, "probabilities"), rtol=1e-4
    )


def test_what_is_no_run(chainrule: Any) -> None:
    one_message(chainrule("export", "none"), 2, "none")


def test_a_program_file(trees: Path, chainrule: Any) -> None:
    train = cr.data.read_csv(trees, target="height")
    model = nn.Sequential(nn.Standardize.of(train.x), nn.Linear(train.x.shape[1], 1))
    trainer = trained(train, model, nn.MSELoss())
    told = chainrule("export", "run", "--out", "trees.safetensors").out
    assert "trees.safetensors: a program" in told
    assert "input   kind: text[N]" in told
    given = columns(trees)
    program = cr.load_program("trees.safetensors", engine="numpy")
    given["planted"] = given["planted"].astype("datetime64[ms]")
    got = program(given)["values"]
    np.testing.assert_allclose(got, trainer.predict(train.x), rtol=1e-5)
    assert program.metadata["format"]["target"] == "height"
    report = chainrule("export", "run", "--out", "b.safetensors", "--json").json
    assert report["inputs"]["age"] == "f32[N]"
