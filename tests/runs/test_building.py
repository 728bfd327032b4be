"""What a run's file describes, built: scales of the data, and what does not fit it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule import nn
from chainrule.errors import ChainruleWarning
from chainrule.runs import building, file
from tests.cli import data as small


def made(folder: Path, source: str, model: str, more: str = "") -> Any:
    text = f'[data]\nsource = "{source}"\n{more}[model]\n{model}\n'
    run = file.parse(text, name="a.toml", folder=folder, options={"engine": "numpy"})
    return building.build(run)[1]


def prices(folder: Path, scale: float) -> None:
    x = np.random.default_rng(0).normal(7, 3, (50, 2))
    np.savez(folder / "a.npz", x=x, y=scale * (x @ [1.0, -2.0]))


# -- standardising without being asked to ----------------------------------------------


def test_tables_are_standardised(tmp_path: Path) -> None:
    prices(tmp_path, 10)
    model = made(tmp_path, "a.npz", 'layers = ["Linear"]').model
    first, _, last = model
    assert isinstance(first, nn.Standardize)
    assert isinstance(last, nn.Unstandardize)
    small.flowers(tmp_path / "f.csv")
    model = made(tmp_path, "f.csv", 'layers = ["Linear"]', 'target = "kind"\n').model
    assert [type(m).__name__ for m in model] == ["Standardize", "Linear"]


def test_tables_stay_as_they_are_where_the_file_says_so(tmp_path: Path) -> None:
    prices(tmp_path, 10)
    model = made(tmp_path, "a.npz", 'standardize = false\nlayers = ["Linear"]').model
    assert [type(m).__name__ for m in model] == ["Linear"]


@pytest.mark.parametrize("source", ["moons", "b.npz", "shades", "words.npz"])
def test_other_data_are_not_standardised(tmp_path: Path, source: str) -> None:
    small.arrays(tmp_path / "b.npz")
    small.shades(tmp_path / "shades")
    words = np.arange(60).reshape(20, 3) % 9
    np.savez(tmp_path / "words.npz", x=words, y=[0, 1] * 10)
    embedding = '{ class = "Embedding", num_embeddings = 9, embedding_dim = 4 }, '
    layers = f'{embedding if source == "words.npz" else ""}"Flatten", "Linear"'
    model = made(tmp_path, source, f"layers = [{layers}]").model
    assert not any(isinstance(m, nn.Standardize) for m in model)


def test_an_activation_at_the_end_keeps_its_range(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(50, 2))
    np.savez(tmp_path / "a.npz", x=x, y=1 / (1 + np.exp(-3 * x[:, 0])))
    trainer = made(tmp_path, "a.npz", 'layers = ["Linear", "Sigmoid"]')
    names = [type(m).__name__ for m in trainer.model]
    assert names == ["Standardize", "Linear", "Sigmoid"]
    assert 0 < trainer.predict(x).min() < trainer.predict(x).max() < 1


# -- targets of a large scale ----------------------------------------------------------

SGD = 'layers = ["Linear"]\n[optimizer]\nclass = "SGD"\n'


def test_sgd_on_large_targets_is_warned_of(tmp_path: Path) -> None:
    prices(tmp_path, 1e6)
    with pytest.warns(ChainruleWarning, match=r"(?s)SGD.*as if lr were.*Adam") as found:
        trainer = made(tmp_path, "a.npz", SGD)
    last = trainer.model[-1]
    assert isinstance(last, nn.Unstandardize)
    deviation = float(last.std.numpy()[0])
    advice = str(found[0].message).split("or lr = ")[1]
    assert float(advice) * deviation**2 == pytest.approx(0.01, rel=0.5)


def test_the_rate_that_the_warning_names_learns(tmp_path: Path) -> None:
    prices(tmp_path, 1e6)
    with pytest.warns(ChainruleWarning, match="SGD") as found:
        made(tmp_path, "a.npz", SGD)
    advice = str(found[0].message).split("or lr = ")[1]
    text = f'[data]\nsource = "a.npz"\n[model]\n{SGD}lr = {advice}\n'
    run = file.parse(text, folder=tmp_path, options={"engine": "numpy"})
    parts, trainer = building.build(run)
    trainer.fit(parts.train, epochs=100, batch_size=10)
    assert trainer.evaluate(parts.train)["r2"] > 0.99


@pytest.mark.parametrize(
    ("scale", "rest"),
    [
        (1.0, SGD + "lr = 0.001\n"),
        (1e6, SGD + "clip_norm = 1.0\n"),
        (1e6, 'layers = ["Linear"]'),
        (1e6, SGD + '[loss]\nclass = "L1Loss"\n'),
    ],
)
def test_no_warning_where_there_is_no_reason(
    tmp_path: Path, scale: float, rest: str
) -> None:
    prices(tmp_path, scale)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made(tmp_path, "a.npz", rest)
