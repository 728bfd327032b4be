"""lenet and cnn: their sizes, sums by hand, a kill, the accuracy of the literature."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import cli, recipes
from chainrule.recipes import cnn, lenet
from tests.ways import ENGINES

from .runs import cut_short

SHAPES = {
    "lenet": [(6, 1, 5, 5), (16, 6, 5, 5), (120, 400), (84, 120), (10, 84)],
    "cnn": [(32, 1, 3, 3), (64, 32, 3, 3), (128, 9216), (10, 128)],
}
COUNTS = {"lenet": 61_706, "cnn": 1_199_882}


@pytest.mark.parametrize("name", SHAPES)
def test_the_networks_of_the_literature(name: str) -> None:
    recipe = recipes.find(name)
    shapes = [p.shape for p in recipe.network(1).parameters()]
    assert [s for s in shapes if len(s) > 1] == SHAPES[name]
    assert sum(int(np.prod(s)) for s in shapes) == COUNTS[name]
    assert f"{COUNTS[name]:,}" in recipe.__doc__
    first = recipe.network(seed=1).state_dict()["1.weight"]
    assert (recipe.network(seed=1).state_dict()["1.weight"] == first).all()
    assert (recipe.network(seed=2).state_dict()["1.weight"] != first).any()


def convolved(a: np.ndarray, w: np.ndarray, b: np.ndarray, border: int) -> np.ndarray:
    """The formula of the recipe, place by place."""
    a = np.pad(a, ((0, 0), (border, border), (border, border)))
    k = w.shape[-1]
    height, width = a.shape[1] - k + 1, a.shape[2] - k + 1
    z = np.empty((len(w), height, width))
    for i in range(height):
        for j in range(width):
            z[:, i, j] = (w * a[:, i : i + k, j : j + k]).sum((1, 2, 3)) + b
    return z


def pooled(a: np.ndarray) -> np.ndarray:
    c, h, w = a.shape
    return a.reshape(c, h // 2, 2, w // 2, 2).max((2, 4))


@pytest.mark.parametrize("engine", ENGINES)
def test_the_scores_by_hand(engine: str) -> None:
    """Both networks, image by image in float64; dropout changes nothing here."""
    x = cr.data.mnist()[1].x[:2]
    for recipe in (lenet, cnn):
        model = recipe.network(3)
        made = recipe.trainer(model, engine=engine, threads=1).predict(x)
        w = [np.asarray(p.numpy(), "f8") for p in model.parameters()]
        for row, scores in zip(x, made):
            a = row.reshape(1, 28, 28).astype("f8")
            if recipe is lenet:
                a = pooled(np.maximum(0, convolved(a, w[0], w[1], 2)))
                a = pooled(np.maximum(0, convolved(a, w[2], w[3], 0))).ravel()
            else:
                a = np.maximum(0, convolved(a, w[0], w[1], 0))
                a = pooled(np.maximum(0, convolved(a, w[2], w[3], 0))).ravel()
            for weight, bias in zip(w[4:-2:2], w[5:-2:2]):
                a = np.maximum(0, weight @ a + bias)
            np.testing.assert_allclose(scores, w[-2] @ a + w[-1], atol=2e-5)


def trained(recipe: Any, place: Path | None, rows: int) -> dict[str, Any]:
    """An epoch on some rows, begun or gone on with in ``place``."""
    train, _ = recipe.data(limit=rows)
    how: dict[str, Any] = {"progress": False}
    if place is not None:
        how |= {"checkpoint": place, "checkpoint_every": 0}
    if place is not None and (place / "last.ckpt").exists():
        run = cr.Trainer.load(place, threads=1)
        run.resume(train, **how)
    else:
        run = recipe.trainer(recipe.network(0), engine="numpy", threads=1)
        run.fit(train, epochs=1, batch_size=16, **how)
    return run.model.state_dict()


@pytest.mark.parametrize(("name", "rows"), [("lenet", 400), ("cnn", 96)])
def test_killed_it_goes_on_bit_for_bit(name: str, rows: int, tmp_path: Path) -> None:
    recipe = recipes.find(name)
    whole = trained(recipe, None, rows)
    cut_short(lambda: trained(recipe, tmp_path / "run", rows), [1, 0, 2])
    again = trained(recipe, tmp_path / "run", rows)
    assert all((again[name] == w).all() for name, w in whole.items())


def test_a_short_run_learns() -> None:
    train, test = lenet.data(limit=3000)
    run = lenet.trainer(lenet.network(), threads=1)
    run.fit(train, epochs=2, batch_size=32, progress=False)
    assert run.evaluate(test)["accuracy"] > 0.85


@pytest.mark.parametrize(("name", "bar"), [("lenet", 0.85), ("cnn", 0.75)])
def test_the_quick_run(name: str, bar: float, tmp_path: Path) -> None:
    """``chainrule train NAME --quick``, as a user types it."""
    out = tmp_path / "run"
    assert cli.run(["train", name, "--quick", "--out", str(out)]) == 0
    summary = json.loads((out / "metrics.json").read_text("utf-8"))
    quick = recipes.find(name).QUICK
    assert (summary["epochs"], summary["limit"]) == tuple(quick.values())
    assert summary["test_accuracy"] > bar


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_the_accuracy_of_the_literature(name: str) -> None:
    recipe = recipes.find(name)
    train, test = recipe.data()
    run = recipe.trainer(recipe.network(0))
    how = {"epochs": recipe.EPOCHS, "batch_size": recipe.BATCH_SIZE}
    run.fit(train, progress=False, **how)
    summary = {"test_accuracy": run.evaluate(test)["accuracy"]}
    (figure,) = recipes.compared(recipe.REFERENCES, summary)
    assert figure["reached"], figure


class Drawn:
    """A study that keeps what it is told to draw."""

    def __init__(self) -> None:
        self.pictures: dict[str, tuple[Any, dict[str, Any]]] = {}

    def draw(self, name: str, how: Any, what: Any, **options: Any) -> None:
        self.pictures[name] = (what, options)


@pytest.mark.parametrize("name", SHAPES)
def test_the_pictures_are_of_weights_and_activations(name: str) -> None:
    """Filters as they are; maps by the formula, place by place, from the digit."""
    recipe, experiment = recipes.find(name), Drawn()
    model = recipe.network(5)
    recipe.pictures(experiment, model)
    w = [np.asarray(p.numpy(), "f8") for p in model.parameters()]
    filters, how = experiment.pictures["filters"]
    assert (filters == w[0][:, 0]).all()
    assert how["signed"]
    digit = cr.data.mnist()[1].x[0].reshape(1, 28, 28).astype("f8")
    first = np.maximum(0, convolved(digit, w[0], w[1], 2 if recipe is lenet else 0))
    second = pooled(first) if recipe is lenet else first
    second = np.maximum(0, convolved(second, w[2], w[3], 0))
    parts, how = experiment.pictures["maps"]
    assert (np.array(parts[0]) == digit).all()
    for part, wanted, title in zip(parts[1:], (first, second), how["titles"][1:]):
        shown = np.array([image for row in part for image in row])
        np.testing.assert_allclose(shown, wanted / wanted.max(), atol=1e-5)
        count, height, width = wanted.shape
        assert title.endswith(f"{count} maps of {height} × {width}")


@pytest.mark.parametrize(("name", "rows"), [("lenet", 300), ("cnn", 100)])
def test_the_command_draws_them_and_a_resumed_one_again(
    name: str, rows: int, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "run"
    short = ["--epochs", "1", "--limit", str(rows), "--out", str(out)]
    assert cli.run(["train", name, *short, "--json"]) == 0
    made = {f: (out / f"{f}.png").read_bytes() for f in ("filters", "maps")}
    for file in made:
        (out / f"{file}.png").unlink()
    report = (out / "report.html").read_text("utf-8")
    assert report.count('class="drawn"') == 2
    assert cli.run(["train", name, "--resume", str(out), "--json"]) == 0
    assert made == {f: (out / f"{f}.png").read_bytes() for f in made}
    chinese = ["--lang", "zh-TW", "--resume", str(out)]
    assert cli.run(["train", name, *chinese, "--json"]) == 0
    assert "第一個卷積" in (out / "report.html").read_text("utf-8")
