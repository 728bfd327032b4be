"""``[data] target_transform``: the last layer and the loss of a run's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import DataError
from chainrule.runs.problems import RunFileError
from tests.runs.test_building import file, small

LINEAR = 'layers = [{ class = "Linear", out_features = 4 }, "Tanh", "Linear"]'


def made(folder: Path, source: str, model: str, more: str = "") -> Any:
    if source == "a.csv":
        more += 'target = "y"\n'
    text = f'[data]\nsource = "{source}"\n{more}[model]\n{model}\n'
    run = file.parse(text, name="a.toml", folder=folder, options={"engine": "numpy"})
    return run.trainer(run.parts())


def incomes(folder: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 2))
    y = np.exp(8 + x @ [1.0, -0.5])
    rows = "".join(f"{a},{b},{c}\n" for (a, b), c in zip(x.tolist(), y.tolist()))
    (folder / "a.csv").write_text(f"a,b,y\n{rows}", encoding="utf-8")


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        ("log", nn.LogTarget),
        ("quantile", nn.QuantileTarget),
        ("none", nn.Unstandardize),
    ],
)
@pytest.mark.parametrize("standardize", ["true", "false"])
def test_layer_and_loss(
    tmp_path: Path, kind: str, layer: type, standardize: str
) -> None:
    incomes(tmp_path)
    model = f"standardize = {standardize}\n{LINEAR}"
    more = f'target_transform = "{kind}"\n'
    *_, last = (trainer := made(tmp_path, "a.csv", model, more)).model
    if kind == "none":
        assert type(last) is (layer if standardize == "true" else nn.Linear)
        assert isinstance(trainer.loss, nn.MSELoss)
        return
    assert type(last) is layer
    assert isinstance(trainer.loss, nn.TransformedTargetLoss)
    assert isinstance(trainer.loss.loss, nn.MSELoss)
    z = trainer.loss.target.transform(
        np.loadtxt(tmp_path / "a.csv", delimiter=",", skiprows=1)[:, 2:]
    ).numpy()
    assert abs(z.mean()) < 0.3
    assert 0.7 < z.std() < 1.3
    huber = made(tmp_path, "a.csv", f'{model}\n[loss]\nclass = "HuberLoss"', more)
    assert isinstance(huber.loss.loss, nn.HuberLoss)


@pytest.mark.parametrize(
    ("source", "model", "words"),
    [
        ("f.csv", LINEAR, "3 classes"),
        ("a.csv", LINEAR.replace('"Linear"]', '"Linear", "Softplus"]'), "Softplus"),
        ("a.csv", f'{LINEAR}\n[loss]\nclass = "PoissonNLLLoss"', "PoissonNLLLoss"),
        ("moons", LINEAR, "it is for"),
    ],
)
def test_where_it_has_no_meaning(
    tmp_path: Path, source: str, model: str, words: str
) -> None:
    incomes(tmp_path)
    small.flowers(tmp_path / "f.csv")
    more = 'target_transform = "log"\n'
    more += 'target = "kind"\n' if source == "f.csv" else ""
    with pytest.raises((RunFileError, DataError)) as error:
        made(tmp_path, source, model, more)
    assert "[data] target_transform" in str(error.value)
    assert words in str(error.value)


def test_a_run(tmp_path: Path) -> None:
    """Its predictions are in the unit of the target, and so are those of its copy."""
    incomes(tmp_path)
    model = f"{LINEAR}\n[optimizer]\nlr = 0.02"
    trainer = made(tmp_path, "a.csv", model, 'target_transform = "log"\n')
    table = np.loadtxt(tmp_path / "a.csv", delimiter=",", skiprows=1)
    x, y = table[:, :2].astype("f4"), table[:, 2:]
    trainer.fit((x, y.astype("f4")), epochs=80, batch_size=16, progress=False)
    trainer.save(tmp_path / "a.ckpt")
    for one in (trainer, cr.Trainer.load(tmp_path / "a.ckpt")):
        assert np.median(abs(np.log(one.predict(x) / y))) < 0.5


def test_several_targets_count_alike(tmp_path: Path) -> None:
    """A million of one weighs no more than a half of the other."""
    x = np.random.default_rng(1).normal(size=(200, 2)).astype("f4")
    y = np.stack([np.tanh(x[:, 0]), 1e7 + 1e6 * np.sin(2 * x[:, 1])], axis=1)
    np.savez(tmp_path / "b.npz", x=x, y=y.astype("f4"))
    model = f"{LINEAR.replace('4', '16')}\n[optimizer]\nlr = 0.02"
    trainer = made(tmp_path, "b.npz", model, "validation = 0\ntest = 0\n")
    trainer.fit((x, y.astype("f4")), epochs=60, progress=False)
    error = ((trainer.predict(x) - y) ** 2).mean(0) / y.var(0)
    assert (error < 0.05).all()
