"""The report of a classifier: confusions, rates, mistakes, decision regions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn

from .conftest import Make
from .pages import pixels
from .reports import (
    Write,
    keys,
    logits,
    picture_data,
    picture_trainer,
    section,
    trained,
    trainer_of,
)


def test_confusions_and_rates_of_classes(
    make: Make, data: cr.data.Dataset, write: Write
) -> None:
    from sklearn import metrics

    trainer = trained(make, data, epochs=1)
    decided = logits(trainer, data).argmax(1)
    whole = write(trainer, data)
    heading, *rows = section(whole, "confusion").find("table")[0].rows()
    assert heading[1:] == ["0", "1", "2"]
    for c, counts in enumerate(metrics.confusion_matrix(data.y, decided)):
        shares = [f"{count}{count / counts.sum():.1%}" for count in counts]
        assert rows[c] == [str(c), *(s if n else "0" for s, n in zip(shares, counts))]
    expected = metrics.precision_recall_fscore_support(
        data.y, decided, zero_division=np.nan
    )
    _, *rows = section(whole, "classes").find("table")[0].rows()
    for c, row in enumerate(rows):
        rates = [cell.removesuffix("%") for cell in row[1:4]]
        shown = [np.nan if rate == "–" else float(rate) / 100 for rate in rates]
        np.testing.assert_allclose(shown, [e[c] for e in expected[:3]], atol=5.1e-5)
        assert row[4] == str(expected[3][c])


def worst_first(trainer: cr.Trainer, data: cr.data.Dataset) -> tuple[list[int], Any]:
    """Wrong rows by −ln ŷ of the true class, and these losses, with NumPy alone."""
    z = logits(trainer, data)
    z -= z.max(1, keepdims=True)
    losses = np.log(np.exp(z).sum(1)) - z[np.arange(len(z)), data.y]
    wrong = [i for i in range(len(z)) if z[i].argmax() != data.y[i]]
    return sorted(wrong, key=lambda i: -losses[i]), losses


def test_worst_mistakes_as_a_table(
    make: Make, data: cr.data.Dataset, write: Write
) -> None:
    trainer = trained(make, data, epochs=1)
    order, losses = worst_first(trainer, data)
    mistakes = section(write(trainer, data), "mistakes")
    assert f"{len(order)} of 50. Shown: {min(24, len(order))}" in mistakes.text
    _, *rows = mistakes.find("table")[0].rows()
    assert len(order) > 3
    assert [int(row[0]) for row in rows] == order[:24]
    for row in rows:
        i = int(row[0])
        z = logits(trainer, data)[i]
        assert row[1:3] == [str(data.y[i]), str(z.argmax())]
        share = np.exp(z.max()) / np.exp(z).sum()
        assert float(row[3].removesuffix("%")) == pytest.approx(100 * share, abs=0.01)
        assert float(row[4]) == pytest.approx(losses[i], rel=1e-3)


def test_worst_mistakes_as_pictures(write: Write) -> None:
    data, trainer = picture_data(), picture_trainer()
    order, losses = worst_first(trainer, data)
    items = section(write(trainer, data), "mistakes").find("li")
    assert [int(item["data-row"]) for item in items] == order[:24]
    for item, row in zip(items, order, strict=False):
        (image,) = item.find("img")
        np.testing.assert_array_equal(
            pixels(image["src"])[..., 0], data.x.stored[row].reshape(8, 8)
        )
        assert image["alt"].startswith(f"Row {row}: true {data.y[row]}, predicted ")
        shown = re.search(r"loss: ([\d.]+)", item.text)
        assert shown
        assert float(shown[1]) == pytest.approx(losses[row], rel=1e-3)


def test_first_layer_as_pictures(write: Write) -> None:
    data, trainer = picture_data(), picture_trainer()
    weight = np.full((5, 64), 1e-3, np.float32)
    weight[:, 0], weight[:, 63] = 2.0, -2.0
    trainer.model[0].weight.copy_(weight)  # type: ignore[index]
    weights = section(write(trainer, data), "weights")
    shown = weights.find("li")
    assert [li.text for li in shown] == ["0", "1", "2", "3", "4"]
    assert shown[3].find("img")[0]["alt"] == "Weights of neuron 3, from -2 to 2"
    picture = pixels(shown[3].find("img")[0]["src"]).astype(int)
    assert picture.shape == (8, 8, 3)
    assert picture[0, 0, 0] > picture[0, 0, 2] + 50, "positive: red"
    assert picture[7, 7, 2] > picture[7, 7, 0] + 50, "negative: blue"
    assert picture[4, 4].min() > 230, "about 0: white"
    (scale,) = weights.find("p", class_="scale")
    assert scale.text == "≤ -2≥ 2"
    bar = pixels(scale.find("img")[0]["src"]).astype(int)
    assert bar[0, 0, 2] > bar[0, 0, 0]
    assert bar[0, -1, 0] > bar[0, -1, 2]


def test_decision_regions_of_two_features(write: Write) -> None:
    data = cr.data.Dataset(
        [[0, 0], [0, 1], [1, 0], [1, 1]],
        [0, 1, 1, 0],
        classes=2,
        feature_names=("寬", "<i>"),
    )
    trainer = trainer_of(nn.Linear(2, 2), nn.CrossEntropyLoss())
    regions = section(write(trainer, data, "plane"), "regions")
    assert [li.text.strip() for li in regions.find("li")] == [
        "● 0",
        "■ 1",
        "◯ predicted wrongly",
    ]
    assert {"寬", "<i>"} < {e.text for e in regions.find("text")}
    assert pixels(regions.find("image")[0]["href"]).std() > 5


def test_a_matrix_is_as_wide_as_its_columns(write: Write) -> None:
    """One class of thousands widens its own column alone; a telephone has 21 rem."""
    labels = np.repeat(np.arange(10), [1200] + 9 * [9])
    x = np.eye(10, dtype=np.float32)[labels]
    data = cr.data.Dataset(x, labels, classes=10)
    whole = write(trainer_of(nn.Linear(10, 10), nn.CrossEntropyLoss()), data)
    part = section(whole, "confusion")
    (hint,) = part.find("span", class_="hint")
    assert 10 < float(re.findall(r"--room:([\d.]+)rem", hint["style"])[0]) < 21
    (below,) = part.find("span", class_="below")  # hidden where the shares are
    assert "shares of the row" in below.text
    assert "shares" not in str(part.find("figcaption")[0].inner[0])


@pytest.mark.one_in(3)
@pytest.mark.parametrize(("classes", "fits"), [(2, True), (10, True), (20, False)])
def test_a_confusion_matrix_fits_a_phone(
    classes: int, fits: bool, write: Write
) -> None:
    """Its letters are as small as the page wants, and no smaller than 9 pixels."""
    y = np.arange(1000) % classes
    data = cr.data.Dataset(np.eye(classes, dtype=np.float32)[y], y, classes=classes)
    whole = write(trainer_of(nn.Linear(classes, classes), nn.CrossEntropyLoss()), data)
    (matrix,) = section(whole, "confusion").find("table")
    ems = float(matrix["style"].removeprefix("--ems:"))
    assert ems >= 0.6 * classes * 3
    assert ((360 - 48) / ems >= 9) == fits


def test_one_class_and_no_mistakes(write: Write) -> None:
    data = cr.data.Dataset(np.ones((5, 2)), [0] * 5, classes=2)
    model = nn.Linear(2, 2)
    model.bias.copy_(np.array([50.0, -50.0], np.float32))  # type: ignore[union-attr]
    trainer = trainer_of(model, nn.CrossEntropyLoss())
    whole = write(trainer, data)
    assert "There are none" in section(whole, "mistakes").text
    _, first, second = section(whole, "classes").find("table")[0].rows()
    assert first[1:] == ["100.00%"] * 3 + ["5"]
    assert second[1:] == ["–", "–", "–", "0"]
    assert "not trained yet" in section(whole, "glance").text
    assert "curves" not in keys(whole)


def test_a_hundred_classes(write: Write, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = cr.data.Dataset(
        rng.normal(size=(500, 4)), rng.integers(0, 100, 500), classes=100
    )
    trainer = trainer_of(nn.Linear(4, 100, dtype="float64"), nn.CrossEntropyLoss())
    whole = write(trainer, data)
    confusion = section(whole, "confusion")
    (svg,) = [e for e in confusion.find("svg") if "aria-label" in e.attributes]
    decided = trainer.predict(data).argmax(1)
    right = int((decided == data.y).sum())
    assert f": {right} of 500 rows" in svg["aria-label"]
    pairs: dict[tuple[int, int], int] = {}
    for pair in zip(data.y.tolist(), decided.tolist()):
        if pair[0] != pair[1]:
            pairs[pair] = pairs.get(pair, 0) + 1
    _, *rows = confusion.find("table")[0].rows()
    assert len(rows) == 15
    most = sorted(pairs.values(), reverse=True)[:15]
    assert [int(row[2]) for row in rows] == most
    assert all(pairs[int(row[0]), int(row[1])] == int(row[2]) for row in rows)
    worst, every = section(whole, "classes").find("table")
    assert len(worst.rows()) == 16
    assert len(every.rows()) == 101
    assert (tmp_path / "report.html").stat().st_size < 300_000


def binary(loss: nn.Module, *layers: nn.Module) -> cr.Trainer:
    cr.manual_seed(1)
    return trainer_of(nn.Sequential(nn.Linear(3, 1), *layers), loss)


@pytest.mark.parametrize(
    ("loss", "layers", "threshold", "low"),
    [
        (nn.BCEWithLogitsLoss(), (), 0.0, 0.0),
        (nn.BCELoss(), (nn.Sigmoid(),), 0.5, 0.0),
        (nn.HingeLoss(), (), 0.0, -1.0),
    ],
)
def test_two_classes_from_one_output(
    loss: nn.Module, layers: Any, threshold: float, low: float, write: Write
) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3)).astype(np.float32)
    truth = rng.integers(0, 2, 40)
    y = np.where(truth == 1, 1.0, low).astype(np.float32).reshape(-1, 1)
    trainer = binary(loss, *layers)
    data = cr.data.Dataset(x, y)
    decided = (trainer.predict(data)[:, 0] >= threshold).astype(int)
    counts = np.zeros((2, 2), int)
    np.add.at(counts, (truth, decided), 1)
    whole = write(trainer, data)
    cells = section(whole, "confusion").find("td")
    shown = np.reshape([int(str(cell.inner[0])) for cell in cells], (2, 2))
    np.testing.assert_array_equal(shown, counts)
    _, *mistakes = section(whole, "mistakes").find("table")[0].rows()
    losses = [float(row[4]) for row in mistakes]
    assert losses == sorted(losses, reverse=True)
    assert (mistakes[0][3] == "–") == isinstance(loss, nn.HingeLoss)


def test_several_decisions_a_row_have_no_matrix(write: Write) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, (20, 4)).astype(np.float32)
    data = cr.data.Dataset(rng.normal(size=(20, 3)).astype(np.float32), y)
    trainer = trainer_of(nn.Linear(3, 4), nn.BCEWithLogitsLoss())
    assert keys(write(trainer, data)) == [
        "glance",
        "network",
        "abbreviations",
    ]
