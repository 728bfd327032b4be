"""As a new user would: data, ``new``, ``train``, ``evaluate``, ``predict``."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from tests.cli import data

QUICK = ["--engine", "numpy", "--epochs", "3"]


def table(text: str) -> tuple[list[str], list[list[str]]]:
    head, *rows = csv.reader(io.StringIO(text))
    return head, rows


def test_a_regression_from_a_table(chainrule: Any, tmp_path: Path) -> None:
    data.houses(tmp_path / "房屋.csv")
    made = chainrule("new", "run.toml", "--data", "房屋.csv", "--target", "房價")
    assert made.code == 0, made.err
    text = Path("run.toml").read_text(encoding="utf-8")
    assert 'features = ["面積", "房間", "城市"]' in text
    Path("run.toml").write_text(text.replace("test = 0 ", "test = 0.1 "), "utf-8")

    result = chainrule("train", "run.toml", *QUICK, "--epochs", 60, "--out", "r")
    assert result.code == 0, result.err
    assert "run.toml: loss " in result.out
    assert "96 train, 12 validation, 12 test" in result.out
    metrics = json.loads(Path("r/metrics.json").read_text(encoding="utf-8"))
    assert metrics["test_r2"] > 0.9

    # The test part again, from the directory alone.
    Path("run.toml").unlink()
    measured = chainrule("evaluate", "r", "--json").json
    assert measured["samples"] == 12
    assert measured["r2"] == metrics["test_r2"]
    assert measured["mae"] == metrics["test_mae"]
    assert "mae" in chainrule("evaluate", "r").out
    whole = chainrule("evaluate", "r", "房屋.csv", "--json").json
    assert whole["samples"] == 120

    # New houses, whose prices nobody knows.
    data.houses(tmp_path / "new.csv", 7, price=False)
    head, rows = table(chainrule("predict", "r", "new.csv").out)
    assert head == ["面積", "房間", "城市", "predicted 房價"]
    trainer = cr.Trainer.load("r")
    x, _ = cr.data.read("new.csv", format=trainer.format, target=False)
    expected = trainer.predict(x)[:, 0]
    assert np.allclose([float(row[-1]) for row in rows], expected, rtol=1e-6)

    told = chainrule("predict", "r", "new.csv", "--out", "priced.csv", "--json")
    assert "priced.csv: 7 predictions" in told.err
    assert told.json["predictions"][0]["row"] == "line 2"
    assert told.json["output"] == "values"
    assert table(Path("priced.csv").read_text(encoding="utf-8")) == (head, rows)


def test_a_classification_from_a_table(chainrule: Any, tmp_path: Path) -> None:
    data.flowers(tmp_path / "flowers.csv")
    assert chainrule("new", "f.toml", "--data", "flowers.csv").code == 0
    result = chainrule("train", "f.toml", *QUICK, "--epochs", 25, "--out", "r")
    assert result.code == 0, result.err
    assert "accuracy" in result.out

    shown = chainrule("evaluate", "r").out
    assert "true \\ predicted" in shown
    assert "玫瑰" in shown
    told = chainrule("evaluate", "r", "--json").json
    assert told["classes"] == sorted(["iris", "玫瑰", "百合"])
    matrix = np.array(told["confusion_matrix"])
    assert matrix.sum() == told["samples"] == 15
    assert np.trace(matrix) / 15 == pytest.approx(told["accuracy"])

    head, rows = table(chainrule("predict", "r", "flowers.csv").out)
    assert head == ["length", "width", "kind", "prediction"]
    right = np.mean([row[2] == row[3] for row in rows])
    whole = chainrule("evaluate", "r", "flowers.csv", "--json").json
    assert right == pytest.approx(whole["accuracy"])
    assert right > 0.9

    args = ["predict", "r", "flowers.csv", "--output"]
    head, rows = table(chainrule(*args, "probabilities").out)
    assert head[3:] == [f"probability of {name}" for name in told["classes"]]
    sums = [sum(map(float, row[3:])) for row in rows]
    assert np.allclose(sums, 1, atol=1e-5)
    logits = chainrule(*args, "logits", "--json").json
    assert logits["classes"] == told["classes"]
    assert set(logits["predictions"][0]) == {
        "row",
        *(f"logit of {name}" for name in told["classes"]),
    }


def test_a_folder_of_images(chainrule: Any, tmp_path: Path) -> None:
    data.shades(tmp_path / "shades")
    assert chainrule("new", "s.toml", "--data", "shades").code == 0
    assert 'mode = "L"' in Path("s.toml").read_text(encoding="utf-8")
    args = ["--epochs", 60, "--batch-size", 8, "--out", "r"]
    result = chainrule("train", "s.toml", *QUICK, *args)
    assert result.code == 0, result.err
    assert chainrule("evaluate", "r", "shades", "--json").json["accuracy"] == 1

    head, rows = table(chainrule("predict", "r", "shades/暗/03.png").out)
    assert (head, rows) == (["file", "prediction"], [["03.png", "暗"]])
    told = chainrule("predict", "r", "shades", "--json").json
    assert told["rows"] == 24
    assert {p["prediction"] == p["row"].split("/")[0] for p in told["predictions"]} == {
        True
    }


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
    assert table(read.out)[1] == [["digit.png", expected]]
    assert "Warning" not in read.err
    bright = chainrule("predict", "r", "paper.png")
    assert "white on black" in bright.err
    assert "fix:" in bright.err
