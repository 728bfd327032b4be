"""tabular against scikit-learn's own scores, and what it says about them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule import errors
from chainrule.recipes import Experiment, tabular


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    """Two splits of both tables; ``text`` is what was printed."""
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()) as text:
        result = tabular.run(Experiment(engine="numpy"), splits=2)
    return {"result": result, "text": text.getvalue()}


def tasks() -> dict[str, tabular.Task]:
    return {"diabetes": tabular.diabetes(), "breast cancer": tabular.breast_cancer()}


def test_the_tables() -> None:
    found = tasks()
    assert found["diabetes"].data.x.shape == (442, 10)
    assert found["diabetes"].data.y.shape == (442, 1)
    y = found["diabetes"].data.y
    assert (y.min(), y.max()) == (25, 346)
    assert found["breast cancer"].data.x.shape == (569, 30)
    assert np.bincount(found["breast cancer"].data.y).tolist() == [212, 357]


def test_both_models_are_worth_something(whole: dict[str, Any]) -> None:
    results = whole["result"]["tasks"]
    for who in ("network", "linear"):
        for row in results["diabetes"]["splits"]:
            assert 0.25 < row[who]["r2"] < 0.7
            assert 30 < row[who]["mae"] < 60
        for row in results["breast cancer"]["splits"]:
            assert 0.9 < row[who]["accuracy"] <= 1
    json.dumps(whole["result"])


@pytest.mark.parametrize("name", ["diabetes", "breast cancer"])
def test_the_linear_model_scored_by_scikit_learn(
    whole: dict[str, Any], name: str
) -> None:
    from sklearn import metrics

    scores: dict[str, Callable[..., float]] = {
        "r2": metrics.r2_score,
        "mae": metrics.mean_absolute_error,
        "accuracy": metrics.accuracy_score,
    }
    task = tasks()[name]
    stratify = name == "breast cancer"
    for row in whole["result"]["tasks"][name]["splits"]:
        known, test = task.data.split(0.8, seed=row["seed"], stratify=stratify)
        assert len(test) == round(0.2 * len(task.data))
        linear = task.linear.fit(known.x[:], known.y.ravel())
        predicted = linear.predict(test.x[:])
        for metric, found in row["linear"].items():
            expected = scores[metric](test.y.ravel(), predicted)
            assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["diabetes", "breast cancer"])
def test_the_network_scored_by_scikit_learn(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scores of the network that was chosen, from its predictions."""
    from sklearn import metrics

    import chainrule as cr

    trainers: list[cr.Trainer] = []
    evaluated: list[tuple[cr.Trainer, Any]] = []

    class Watched(cr.Trainer):
        def fit(self, *args: Any, **kwargs: Any) -> Any:
            trainers.append(self)
            made = super().fit(*args, **kwargs)
            evaluated.clear()  # what follows is the recipe's own
            return made

        def evaluate(self, data: Any, *args: Any, **kwargs: Any) -> Any:
            evaluated.append((self, data))
            return super().evaluate(data, *args, **kwargs)

    monkeypatch.setattr(cr, "Trainer", Watched)
    task = tasks()[name]
    row = tabular.one_split(Experiment(engine="numpy"), task, 3, engine="numpy")
    assert len(trainers) == len(tabular.SETTINGS)
    ((chosen, test),) = evaluated  # one look at the test rows, by one network
    predicted = chosen.predict(test.x[:])
    if name == "diabetes":
        assert row["network"]["r2"] == pytest.approx(
            metrics.r2_score(test.y, predicted), abs=1e-5
        )
        expected = metrics.mean_absolute_error(test.y, predicted)
        assert row["network"]["mae"] == pytest.approx(expected, rel=1e-5)
    else:
        expected = metrics.accuracy_score(test.y, predicted.argmax(1))
        assert row["network"]["accuracy"] == pytest.approx(expected, abs=1e-9)

    # It is the one with the lowest loss on the validation rows, at its best epoch.
    lowest = [min(r["validation_loss"] for r in t.history.epochs) for t in trainers]
    assert chosen is trainers[int(np.argmin(lowest))]
    assert row["settings"] == tabular.SETTINGS[int(np.argmin(lowest))]
    known, _ = task.data.split(0.8, seed=3, stratify=name != "diabetes")
    _, validation = known.split(0.75, seed=3, stratify=name != "diabetes")
    assert chosen.evaluate(validation)["loss"] == pytest.approx(min(lowest), rel=1e-5)
    assert chosen.epoch == tabular.EPOCHS or chosen.epoch == 1 + tabular.PATIENCE + int(
        np.argmin([r["validation_loss"] for r in chosen.history.epochs])
    )


def test_it_learns_from_its_training_rows_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first layer has the mean of the 60 % that it was trained on."""
    network, rows = tabular.network, []

    def watched(train: Any, hidden: int) -> Any:
        rows.append(len(train))
        model = network(train, hidden)
        state = model.state_dict()
        np.testing.assert_allclose(
            np.ravel(state["0.mean"]), train.x[:].mean(0, dtype=np.float64), rtol=1e-6
        )
        np.testing.assert_allclose(
            np.ravel(state["4.mean"]), train.y.mean(dtype=np.float64), rtol=1e-6
        )
        return model

    monkeypatch.setattr(tabular, "EPOCHS", 1)
    monkeypatch.setattr(tabular, "network", watched)
    tabular.one_split(Experiment(), tabular.diabetes(), 0, engine="numpy")
    assert rows in ([266] * 3, [265] * 3)


def test_the_printed_table(whole: dict[str, Any]) -> None:
    diabetes, cancer = whole["text"].split("breast cancer: ")
    for text, name in ((diabetes, "diabetes"), (cancer, "breast cancer")):
        found = whole["result"]["tasks"][name]
        lines = [line for line in text.splitlines() if re.match(r"  +\d", line)]
        printed = [[float(n) for n in line.split()] for line in lines]
        expected = [
            [row[model][metric] for model in ("network", "linear")]
            + [*row["settings"].values(), row["epochs"]]
            for metric in found["splits"][0]["network"]
            for row in found["splits"]
        ]
        for numbers, wanted in zip(printed, expected, strict=True):
            assert numbers == pytest.approx(wanted, abs=5.1e-4)
        for metric in found["splits"][0]["network"]:
            network, linear = (
                np.array([row[model][metric] for row in found["splits"]])
                for model in ("network", "linear")
            )
            for label, values in (
                ("network", network),
                ("linear", linear),
                ("difference", network - linear),
            ):
                mean, std = sum(values) / 2, abs(values[0] - values[1]) / np.sqrt(2)
                assert f"{label} {mean:.3f} ± {std:.3f}" in text
        assert found["verdict"] in text


@pytest.mark.parametrize("splits", [0, -1])
def test_no_splits_are_refused(splits: int) -> None:
    with pytest.raises(errors.ArgumentError, match="splits ≥ 1"):
        tabular.run(Experiment(), splits=splits)


def test_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [m for m in sys.modules if m.split(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(errors.ArgumentError) as caught:
        tabular.run(Experiment("tabular"))
    assert str(caught.value).splitlines() == [
        "The recipe 'tabular' needs sklearn.",
        "  expected: sklearn installed",
        "  got:      no module sklearn",
        "  fix:      pip install 'chainrule[sklearn]'",
    ]
