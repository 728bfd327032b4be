"""The report of a regression: fit, residuals, baseline, importance, wide tables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.viz.report import charts

from .conftest import Make
from .reports import Write, keys, section, trained, trainer_of


def test_regression_with_two_targets(write: Write) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2500, 3)).astype(np.float32)
    y = np.stack([x[:, 0] ** 2, 3 * x[:, 1]], axis=1)
    data = cr.data.Dataset(x, y, name="two targets")
    cr.manual_seed(0)
    trainer = trainer_of(nn.Linear(3, 2), nn.MSELoss())
    trainer.fit(data, epochs=3, batch_size=50, progress=False)
    whole = write(trainer, data, "residual0")
    assert "confusion" not in keys(whole)
    fit = section(whole, "fit")
    assert len(fit.find("svg")) == 4
    predicted = x.astype(float) @ trainer.model.weight.numpy().T.astype(float)  # type: ignore[attr-defined]
    predicted += trainer.model.bias.numpy()  # type: ignore[attr-defined]
    error = predicted - y
    expected = np.stack(
        [
            1 - (error**2).mean(0) / y.astype(float).var(0),
            abs(error).mean(0),
            np.sqrt((error**2).mean(0)),
        ],
        axis=1,
    )
    _, *rows = fit.find("table")[-1].rows()
    for i, row in enumerate(rows):
        assert row[0] == f"target {i + 1}"
        shown = [float(cell.replace("−", "-")) for cell in row[1:]]
        np.testing.assert_allclose(shown, expected[i], rtol=2e-3, atol=1e-4)
    assert "of 2500 rows are drawn" in fit.text
    # A point for each row that is drawn, the worst among them.
    points = len(fit.find("svg")[1].find("use"))
    assert 900 < points < 1100


def test_the_worst_residuals_are_drawn() -> None:
    size = np.zeros(5000)
    size[[7, 1234, 4998]] = [3, 2, 1]
    drawn = charts._some(size)
    assert {7, 1234, 4998} <= set(drawn.tolist())
    assert len(drawn) <= 1000
    assert charts._some(np.zeros(10)).tolist() == list(range(10))


def test_many_targets_and_constant_ones(write: Write) -> None:
    x = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    data = cr.data.Dataset(x, np.ones((30, 20), np.float32))
    trainer = trainer_of(nn.Linear(2, 20), nn.MSELoss())
    fit = section(write(trainer, data), "fit")
    assert len(fit.find("svg")) == 6
    assert "The first 3 of 20 targets" in fit.text
    assert fit.find("table")[-1].rows()[1][1] == "–", "no R² without variance"


def houses() -> cr.data.Dataset:
    x = np.arange(40, dtype=np.float32).reshape(20, 2)
    y = np.float32(2e5) + 1e4 * x[:, :1]
    y[7] += 1e6
    form = {"kind": "csv", "target": "$price_{<b>}$", "features": ["size", "年"]}
    names = ("size", "年")
    return cr.data.Dataset(x, y, name="<i>", feature_names=names, format=form)


@pytest.mark.parametrize("known", [False, True])
def test_worst_rows_with_line_and_values(
    known: bool, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = houses()
    trainer = trainer_of(nn.Linear(2, 1), nn.MSELoss())
    if known:

        def rows_of(path: Path, form: Any, lines: list[int]) -> list[dict[str, str]]:
            assert (str(path), form) == ("houses.csv", data.format)
            own = {"size": "12 m²", "$price_{<b>}$": "9", "city": "<b>臺北"}
            return [own | {"size": f"of line {line}"} for line in lines]

        data.lines = np.arange(2, 42, 2)  # type: ignore[attr-defined]
        monkeypatch.setattr(cr.data, "rows_of", rows_of, raising=False)
    whole = write(trainer, data, source="houses.csv")
    heading, first, *_ = section(whole, "mistakes").find("table")[0].rows()
    answers = ["true", "predicted", "predicted − true"]
    assert first[1] == "1.34e6"
    if known:
        assert heading == ["line", *answers, "size", "city"]
        assert [first[0], *first[4:]] == ["16", "of line 16", "<b>臺北"]
    else:
        assert heading == ["row", *answers, "size", "年"]
        assert [first[0], *first[4:]] == ["7", "14", "15"]


def test_baseline_and_importance(
    make: Make, data: cr.data.Dataset, write: Write
) -> None:
    """Of what is no table no column is ranked."""
    whole = write(trained(make, data), data)
    assert "by one answer for all" in section(whole, "glance").text
    assert "importance" not in keys(whole)
    table = houses()
    untrained = trainer_of(nn.Linear(2, 1), nn.MSELoss())
    whole = write(untrained, table, "bars|fit0|residual0")
    (svg,) = section(whole, "importance").find("svg")
    texts = {e.text for e in svg.find("text")}
    assert set(table.feature_names or ()) <= texts
    fit = section(whole, "fit")
    texts = {e.text for e in fit.find("text")}
    assert {"$price_{<b>}$, true", "$price_{<b>}$, predicted"} < texts
    assert all("“<i>”" in e.text for e in fit.find("figcaption")[:2])
    assert fit.find("table")[-1].rows()[1][0] == "$price_{<b>}$"


def test_a_wide_table_says_that_it_scrolls(write: Write) -> None:
    """How much room it needs is an estimate: within a third of what it is."""
    x = np.random.default_rng(0).normal(size=(30, 12)).astype(np.float32)
    names = [f"a column of length {i}" for i in range(12)]
    data = cr.data.Dataset(x, x[:, :1], feature_names=names)
    whole = write(trainer_of(nn.Linear(12, 1), nn.MSELoss()), data)
    rooms = {}
    for key in ("fit", "mistakes"):
        hint = section(whole, key).find("span", class_="hint")[0]
        assert "scroll" in hint.text
        rooms[key] = float(re.findall(r"--room:([\d.]+)rem", hint["style"])[0])
    assert 20 < rooms["fit"] < 40
    assert 130 < rooms["mistakes"] < 200
