"""``new``, ``evaluate`` and ``predict``: how they fail, and what is odd about data."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import cli
from chainrule.runs import evaluating
from chainrule.text.numbers import width
from tests.cli import data
from tests.cli.conftest import one_message

QUICK = ["--engine", "numpy", "--epochs", "2"]
#: Small data of each kind, and what trains on them long enough.
KINDS = {
    "houses.csv": ["--epochs", "60"],
    "flowers.csv": ["--epochs", "25"],
    "shades": ["--epochs", "60", "--batch-size", "8"],
    "arrays.npz": ["--epochs", "20"],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small data of each kind, and a run with each."""
    folder = tmp_path_factory.mktemp("kinds")
    data.houses(folder / "houses.csv")
    data.flowers(folder / "flowers.csv")
    data.shades(folder / "shades")
    data.arrays(folder / "arrays.npz")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("chainrule.viz.can_plot", lambda: False)
        for place, how in KINDS.items():
            file = Path(place).with_suffix(".toml")
            assert cli.run(["new", str(file), "--data", place]) == 0
            text = file.read_text(encoding="utf-8").replace("test = 0 ", "test = 0.1 ")
            file.write_text(text, encoding="utf-8")
            out = ["--engine", "numpy", "--out", f"r-{file.stem}"]
            assert cli.run(["train", str(file), *how, *out]) == 0
    return folder


@pytest.fixture
def at(chainrule: Any, runs: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command line, in the folder with the runs."""
    monkeypatch.chdir(runs)
    return chainrule


def table(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


# -- new -------------------------------------------------------------------------------


def test_new_tells_what_it_wrote(chainrule: Any) -> None:
    result = chainrule("new")
    assert "run.toml is written" in result.out
    assert "chainrule train run.toml" in result.out
    assert '  source   "moons"' in result.out.splitlines()
    before = Path("run.toml").read_text(encoding="utf-8")
    one_message(chainrule("new"), 2, "'run.toml' is there already", "fix:")
    assert Path("run.toml").read_text(encoding="utf-8") == before
    told = chainrule("new", "b.toml", "--data", "blobs", "--json").json
    assert told == {"file": "b.toml", "data": {"source": "blobs", "samples": 400}}


def test_new_tells_the_task_and_the_gaps(chainrule: Any) -> None:
    Path("a.csv").write_text("a,b\n1,1\n,2\n3,3\n")
    said = chainrule("new", "a.toml", "--data", "a.csv").out
    assert "the target is 'b', the task a regression" in said
    assert 'for the other: task = "classification"' in said
    assert "1 cell is empty in 3 rows: a 1" in said


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (["--data", "none.csv"], ["There are no data 'none.csv'", "fix:"]),
        (["--data", "moons", "--target", "y"], ["--target names a column"]),
        (["a", "b"], ["unexpected extra argument"]),
    ],
)
def test_new_with_bad_input(chainrule: Any, args: list[str], parts: list[str]) -> None:
    one_message(chainrule("new", *args), 2, *parts)
    assert os.listdir() == []


def test_the_reference(chainrule: Any) -> None:
    shown = chainrule("new", "--reference").out
    assert "## `[optimizer]`" in shown
    assert "### `AdamW`" in shown
    told = chainrule("new", "--reference", "--json").json
    assert told["reference"].rstrip("\n") == shown.rstrip("\n")
    assert os.listdir() == []


# -- evaluate --------------------------------------------------------------------------


def test_evaluate_in_words(at: Any) -> None:
    first, samples, *rest = at("evaluate", "r-flowers").out.splitlines()
    assert first.startswith("flowers.toml: loss ")
    assert first.endswith(" on the test set")
    assert samples == "  samples   15"
    assert any(line.split()[:3] == ["true", "\\", "predicted"] for line in rest)
    assert "玫瑰" in rest[-1] + rest[-2]
    first, *_ = at("evaluate", "r-houses", "houses.csv").out.splitlines()
    assert first.endswith(" on houses.csv")


def test_evaluate_the_own_test_part(at: Any) -> None:
    metrics = json.loads(Path("r-houses/metrics.json").read_text(encoding="utf-8"))
    assert metrics["samples"] == {"train": 96, "validation": 12, "test": 12}
    assert metrics["test_r2"] > 0.9
    measured = at("evaluate", "r-houses", "--json").json
    assert (measured["samples"], measured["r2"]) == (12, metrics["test_r2"])
    assert measured["mae"] == metrics["test_mae"]
    assert at("evaluate", "r-houses", "houses.csv", "--json").json["samples"] == 120
    told = at("evaluate", "r-flowers", "--json").json
    assert told["classes"] == sorted(["iris", "玫瑰", "百合"])
    matrix = np.array(told["confusion_matrix"])
    assert matrix.sum() == told["samples"] == 15
    assert np.trace(matrix) / 15 == pytest.approx(told["accuracy"])
    shades = at("evaluate", "r-shades", "shades", "--json").json
    assert (shades["accuracy"], shades["importance"]) == (1, [])
    assert shades["baseline"]["accuracy"] >= 0.5
    assert at("evaluate", "r-arrays", "arrays.npz", "--json").json["accuracy"] > 0.9


def test_evaluate_beside_a_baseline(at: Any) -> None:
    """Figures, columns and mistakes, as text and as JSON."""
    told = at("evaluate", "r-houses", "houses.csv", "--json").json
    assert told["target"] == "房價"
    assert told["baseline"]["r2"] == 0
    with open("houses.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    prices = np.array([float(row["房價"]) for row in rows])
    off = abs(prices - prices.mean()).mean()
    assert told["baseline"]["mae"] == pytest.approx(off, rel=1e-5)
    assert {item["column"] for item in told["importance"]} == {"面積", "房間", "城市"}
    assert told["importance_of"] == "r2"
    means = [item["mean"] for item in told["importance"]]
    assert means == sorted(means, reverse=True)
    worst = [abs(item["cost"]) for item in told["mistakes"]]
    assert worst == sorted(worst, reverse=True)
    for item in told["mistakes"]:
        own = rows[item["row"]]
        assert item["truth"] == [float(own["房價"])]
        assert item["cells"]["城市"] == own["城市"]
        assert float(item["cells"]["面積"]) == pytest.approx(float(own["面積"]))
    again = at("evaluate", "r-houses", "houses.csv", "--json", "--seed", 1).json
    assert again["mistakes"] == told["mistakes"]
    assert again["importance"] != told["importance"]
    said = at("evaluate", "r-houses", "houses.csv").out
    for part in ("always the mean", "What r2 loses", "面積 ", "The worst mistakes"):
        assert part in said
    told = at("evaluate", "r-flowers", "--json").json
    assert told["baseline"]["answer"].removeprefix("always ") in told["classes"]
    assert told["baseline"]["balanced_accuracy"] == pytest.approx(1 / 3)
    assert told["baseline"]["roc_auc"] == 0.5
    assert {"accuracy", "balanced_accuracy", "f1", "roc_auc"} <= told.keys()


def test_evaluate_weights_that_are_no_numbers(at: Any, tmp_path: Path) -> None:
    trainer = cr.Trainer.load("r-flowers")
    weight = next(iter(trainer.model.parameters()))
    weight.copy_(cr.tensor(np.full(weight.shape, np.nan, "f4")))
    trainer.save(tmp_path / "bad.ckpt")
    for command in ("evaluate", "predict"):
        result = at(command, tmp_path / "bad.ckpt", "flowers.csv")
        one_message(result, 1, "gives no numbers", "weight", "fix:")


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (["none"], ["cannot be read", "none"]),
        (["houses.csv"], ["damaged, or no checkpoint"]),
        (["r-houses", "none.csv"], ["none.csv"]),
        (["r-houses", "flowers.csv"], ["flowers.csv", "no column"]),
        (["r-houses", "shades"], ["'shades' is of another kind", "a CSV file", "fix:"]),
        (["r-flowers", "shades"], ["a folder with one folder of images a class"]),
        (["r-flowers", "shades/light/00.png"], ["got:      an image"]),
        (["r-flowers", "run.bin"], ["no CSV file 'run.bin'", "fix:"]),
        (["r-shades", "houses.csv"], ["expected: an image, or a folder of images"]),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_bad_input(at: Any, command: str, args: list[str], parts: list[str]) -> None:
    if command == "evaluate" or len(args) > 1:
        one_message(at(command, *args), 2, *parts)


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_numbers_that_are_not_finite(at: Any, command: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.npz"
    np.savez(bad, x=np.full((3, 2, 3), np.inf, np.float32), y=[0, 1, 0])
    one_message(at(command, "r-arrays", bad), 2, "bad.npz", "not a finite", "fix:")


def test_confusion_matrices() -> None:
    matrix = np.diag(np.arange(20)) + 0
    names = [f"class {i}" for i in range(20)]
    assert evaluating.table(matrix, names) == ["There are no mistakes."]
    matrix[3, 7], matrix[0, 1] = 5, 9
    assert evaluating.table(matrix, names) == [
        "The commonest mistakes of 20 classes:",
        "       9  class 0 taken for class 1",
        "       5  class 3 taken for class 7",
    ]
    lines = evaluating.table(np.array([[12, 3], [0, 145]]), ["玫瑰", "iris"])
    assert {width(line) for line in lines} == {28}


# -- predict ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "code", "parts"),
    [
        (["predict", "r-houses"], 2, ["Missing argument", "DATA"]),
        (["--output", "classes"], 2, ["mean no classes"]),
        (["--output", "logits"], 2, ["no logits"]),
        (["--output", "names"], 2, ["--output", "'names'"]),
        (["--out", "none/p.csv"], 1, ["table of predictions cannot be written"]),
        (["new", "none/a.toml"], 1, ["starting file cannot be written"]),
    ],
)
def test_what_cannot_be(at: Any, args: list[str], code: int, parts: list[str]) -> None:
    head = ["predict", "r-houses", "houses.csv"] if args[0].startswith("-") else []
    one_message(at(*head, *args), code, *parts)


def test_an_image_of_another_size_is_scaled(at: Any, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (50, 30), (250, 250, 250)).save(tmp_path / "white.jpg")
    (_, row) = table(at("predict", "r-shades", tmp_path / "white.jpg").out)
    assert row[0] == "white.jpg"
    assert row[1] in ("light", "暗")


def test_predict_quantities(at: Any, tmp_path: Path) -> None:
    """New houses, whose prices nobody knows."""
    new = data.houses(tmp_path / "new.csv", 7, price=False)
    head, *rows = table(at("predict", "r-houses", new).out)
    assert head == ["面積", "房間", "城市", "predicted 房價"]
    trainer = cr.Trainer.load("r-houses")
    x, _ = cr.data.read(new, format=trainer.format, target=False)
    expected = trainer.predict(x)[:, 0]
    assert np.allclose([float(row[-1]) for row in rows], expected, rtol=1e-6)
    priced = tmp_path / "priced.csv"
    told = at("predict", "r-houses", new, "--out", priced, "--json")
    assert "priced.csv: 7 predictions" in told.err
    assert told.json["predictions"][0]["row"] == "line 2"
    assert told.json["output"] == "values"
    assert table(priced.read_text(encoding="utf-8")) == [head, *rows]


def test_predict_classes(at: Any) -> None:
    head, *rows = table(at("predict", "r-flowers", "flowers.csv").out)
    assert head == ["length", "width", "kind", "prediction"]
    right = np.mean([row[2] == row[3] for row in rows])
    told = at("evaluate", "r-flowers", "flowers.csv", "--json").json
    assert 0.9 < right == pytest.approx(told["accuracy"])
    args = ["predict", "r-flowers", "flowers.csv", "--output"]
    head, *rows = table(at(*args, "probabilities").out)
    assert head[3:] == [f"probability of {name}" for name in told["classes"]]
    assert np.allclose([sum(map(float, row[3:])) for row in rows], 1, atol=1e-5)
    logits = at(*args, "logits", "--json").json
    assert logits["classes"] == told["classes"]
    names = {"row", *(f"logit of {name}" for name in told["classes"])}
    assert set(logits["predictions"][0]) == names


def test_predict_images(at: Any) -> None:
    made = table(at("predict", "r-shades", "shades/暗/03.png").out)
    assert made == [["file", "prediction"], ["03.png", "暗"]]
    told = at("predict", "r-shades", "shades", "--json").json
    assert told["rows"] == 24
    assert all(p["prediction"] == p["row"].split("/")[0] for p in told["predictions"])


def test_mnist_from_a_file(chainrule: Any, tmp_path: Path) -> None:
    from PIL import Image

    assert chainrule("new", "--data", "mnist").code == 0
    args = ["--limit", 640, "--out", "r", "--json"]
    made = chainrule("train", "run.toml", *QUICK, *args).json
    assert made["samples"] == {"train": 576, "validation": 64, "test": 640}
    assert made["test_accuracy"] > 0.3
    _, test = cr.data.mnist()
    image = (255 * test.x[0].reshape(28, 28)).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "digit.png")
    Image.fromarray(255 - image).save(tmp_path / "paper.png")
    trainer = cr.Trainer.load("r")
    expected = str(trainer.predict(test.x[:1], "classes")[0])
    read = chainrule("predict", "r", "digit.png")
    assert table(read.out)[1:] == [["digit.png", expected]]
    assert "Warning" not in read.err
    bright = chainrule("predict", "r", "paper.png")
    assert "white on black" in bright.err
    assert "fix:" in bright.err


def test_raw_values_of_a_classification(at: Any) -> None:
    args = ["predict", "r-arrays", "arrays.npz", "--output", "values"]
    head, *rows = table(at(*args).out)
    assert head == ["row", "prediction 1", "prediction 2"]
    expected = cr.Trainer.load("r-arrays").predict(np.load("arrays.npz")["x"])
    found = [list(map(float, row[1:])) for row in rows]
    assert np.allclose(found, expected, rtol=1e-5)


def test_rows_of_a_table_come_back_as_they_are(at: Any, tmp_path: Path) -> None:
    """Columns in another order, cells of several lines, a name that is taken."""
    path = tmp_path / "odd.csv"
    path.write_text(
        'width,prediction,note,length\n0.1,old,"two\nlines",2\n\n'
        '1.0,old,"a ""quoted"" one",5\n',
        encoding="utf-8-sig",
    )
    head, *rows = table(at("predict", "r-flowers", path).out)
    assert head == ["width", "prediction", "note", "length", "prediction 2"]
    assert [row[:4] for row in rows] == [
        ["0.1", "old", "two\nlines", "2"],
        ["1.0", "old", 'a "quoted" one', "5"],
    ]
    told = at("predict", "r-flowers", path, "--json").json["predictions"]
    assert [item["row"] for item in told] == ["line 2", "line 5"]
    assert [item["prediction 2"] for item in told] == [row[4] for row in rows]


def test_formulas_are_harmless(at: Any, tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text("length,width,note,@x\n2,-0.1,=1+1,-5\n2,+0.1, -1+cmd,-\n")
    head, *rows = table(at("predict", "r-flowers", path).out)
    assert head[2:4] == ["note", "'@x"]
    assert [row[1:4] for row in rows] == [
        ["-0.1", "'=1+1", "-5"],
        ["+0.1", "'-1+cmd", "-"],
    ]
    _, *rows = table(at("predict", "r-flowers", path, "--no-safe-csv").out)
    assert [row[2] for row in rows] == ["=1+1", "-1+cmd"]


def test_rows_that_are_left_out(chainrule: Any, tmp_path: Path) -> None:
    path = data.flowers(tmp_path / "f.csv")
    text = path.read_text(encoding="utf-8").replace("length,width", "長;度,width")
    path.write_text(text.replace(",", "\t"), encoding="cp950")
    lines = path.read_text(encoding="cp950").splitlines()
    lines[3] = "\t" + lines[3].split("\t", 1)[1]
    path.write_text("\n".join(lines), encoding="cp950")
    assert chainrule("new", "f.toml", "--data", "f.csv").code == 0
    text = Path("f.toml").read_text(encoding="utf-8")
    text = text.replace("[data]", '[data]\nmissing = "drop"')
    Path("f.toml").write_text(text, encoding="utf-8")
    assert chainrule("train", "f.toml", *QUICK, "--out", "r").code == 0
    made = chainrule("predict", "r", "f.csv")
    assert "1 of 150 rows left out for empty cells: line 4" in made.err
    told = chainrule("predict", "r", "f.csv", "--json").json
    assert (told["rows"], told["rows_left_out"]) == (149, [4])
    said = chainrule("evaluate", "r", "f.csv").out
    assert "samples   149 (1 of 150 rows left out for empty cells)" in said
    said = chainrule("train", "f.toml", *QUICK, "--out", "r2").out
    assert "validation (1 of 150 rows left out for empty cells)" in said
    head, *rows = table(made.out)
    assert head == ["長;度", "width", "kind", "prediction"]
    assert len(rows) == 149
    assert [row[:3] for row in rows[:3]] == [
        line.split("\t") for line in (*lines[1:3], lines[4])
    ]


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("loss", "last", "values"),
    [
        ("BCEWithLogitsLoss", '"Linear"', {"probabilities", "logits", "classes"}),
        ("BCELoss", '"Linear", "Sigmoid"', {"probabilities", "logits", "classes"}),
        ("HingeLoss", '"Linear"', {"classes"}),
        ("PerceptronLoss", '"Linear"', {"classes"}),
        ("MultiMarginLoss", '"Linear"', {"classes"}),
        ("CrossEntropyLoss", '"Linear"', {"probabilities", "logits", "classes"}),
    ],
)
def test_every_loss_for_two_classes(
    chainrule: Any, loss: str, last: str, values: set[str]
) -> None:
    y = np.where(np.arange(80) % 2, "狗", "cat")
    x = np.random.default_rng(0).normal(0, 0.3, (80, 2)) + (y == "狗")[:, None]
    np.savez("pets.npz", x=x.astype(np.float32), y=y)
    Path("a.toml").write_text(
        f'[data]\nsource = "pets.npz"\n[model]\nlayers = [{last}]\n'
        f'[loss]\nclass = "{loss}"\n[optimizer]\nlr = 0.1\n',
        encoding="utf-8",
    )
    args = ["--epochs", 30, "--engine", "numpy", "--json", "--out", "r"]
    made = chainrule("train", "a.toml", *args)
    assert made.code == 0, made.err
    told = chainrule("evaluate", "r", "pets.npz", "--json").json
    assert told["accuracy"] > 0.9
    assert told["classes"] == ["cat", "狗"]
    assert np.trace(told["confusion_matrix"]) / 80 == pytest.approx(told["accuracy"])
    _, *rows = table(chainrule("predict", "r", "pets.npz").out)
    right = np.mean([row[1] == name for row, name in zip(rows, y, strict=True)])
    assert right == pytest.approx(told["accuracy"])
    for output in ("probabilities", "logits"):
        result = chainrule("predict", "r", "pets.npz", "--output", output)
        assert (result.code == 0) == (output in values), result.err


# -- as a process ----------------------------------------------------------------------


def process(*args: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "chainrule", *args],
        capture_output=True,
        cwd=cwd,
        env=os.environ | env,
        check=False,
    )


def test_names_come_out_whole_in_any_encoding(runs: Path) -> None:
    args = ["predict", "r-shades", "shades"]
    made = process(*args, cwd=runs, PYTHONIOENCODING="cp1252")
    assert made.returncode == 0, made.stderr
    assert "暗/00.png" in made.stdout.decode()
