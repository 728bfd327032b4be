"""report.html: whole, harmless, readable, and right in its numbers."""

from __future__ import annotations

import html
import re
import string
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn, optim
from chainrule.html.pictures import as_pictures, grey_or_colour, picture_shape
from chainrule.recipes.experiment.report import Block
from chainrule.viz import drawing, write_report
from chainrule.viz.report import charts, sections
from chainrule.viz.report.page import render_experiment
from chainrule.viz.words import LANGUAGES, read_words

from .conftest import Make
from .pages import Element, pixels, read

#: What a name may hold to break out of its place.
HOSTILE = (
    """</title></td><script>alert(1)</script><img src=x onerror="alert('1')">&lt;"""
)
CHINESE = ("紅色", "綠色", "藍色")

Write = Callable[..., Element]


#: The names of all figures.
ALL = ".*"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a report and read it.

    ``figures`` matches the names of those that are drawn, which takes most of the time
    of a report; all others are empty.
    """
    svg = drawing.svg

    def written(
        trainer: cr.Trainer, data: cr.data.Dataset, figures: str = "", **options: Any
    ) -> Element:
        def drawn(figure: Any, name: str, label: str) -> str:
            if re.fullmatch(figures, name):
                return svg(figure, name, label)
            return f'<svg role="img" aria-label="{html.escape(label)}"></svg>'

        monkeypatch.setattr(drawing, "svg", drawn)
        write_report(trainer, tmp_path / "report.html", data=data, **options)
        text = (tmp_path / "report.html").read_text(encoding="utf-8")
        whole = read(text)
        check_page(whole, text)
        return whole

    return written


def check_page(whole: Element, text: str) -> None:
    """What holds for every report."""
    assert text.startswith("<!DOCTYPE html>")
    assert not re.search(r"https?:|//|@import|javascript:", _without_data(text))
    tags = {e.tag for e in whole.every()}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base", "form"}
    for e in whole.every():
        assert not [name for name in e.attributes if name.startswith("on")]
        if e.tag == "img":
            assert e["src"].startswith("data:image/png;base64,")
            assert e["alt"].strip()
            pixels(e["src"])
        elif e.tag == "image":
            assert e["href"].startswith("data:image/png;base64,")
        elif "href" in e.attributes:
            assert e["href"].startswith("#")
        if e.tag == "svg":
            hidden = e.attributes.get("aria-hidden") == "true"
            assert hidden or (e["role"] == "img" and e["aria-label"].strip())
    ids = [e["id"] for e in whole.every() if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text)) <= {
        pair for name in ids for pair in ((name, ""), ("", name))
    }
    assert len(whole.find("h1")) == 1
    sections = whole.find("section")
    assert [a["href"] for a in whole.find("nav")[0].find("a")] == [
        f"#{section['id']}" for section in sections
    ]
    for section in sections:
        assert len(section.find("h2")) == 1
        assert len(section.find("p")[0].text) > 20, "says what there is to see"
        assert re.search(r"\d\.\d", section.find("p", class_="book")[0].text)
    for figure in whole.find("figure"):
        assert len(figure.find("figcaption")) == 1
    for table in whole.find("table"):
        assert table["aria-label"]
        widths = {len(row) for row in table.rows()}
        assert len(widths) == 1, "every row has every column"
    policy = whole.find("meta", **{"http-equiv": "Content-Security-Policy"})
    assert "default-src 'none'" in policy[0]["content"]


def _without_data(text: str) -> str:
    return re.sub(r"data:image/png;base64,[\w+/=]*", "", text)


def section(whole: Element, key: str) -> Element:
    (found,) = whole.find("section", id=key)
    return found


def keys(whole: Element) -> list[str]:
    return [e["id"] for e in whole.find("section")]


def logits(trainer: cr.Trainer, data: cr.data.Dataset) -> np.ndarray:
    """The outputs in float64, computed anew with NumPy, layer by layer."""
    a = data.x[...].astype(np.float64)
    for layer in trainer.model:  # type: ignore[attr-defined]
        if isinstance(layer, nn.Linear):
            a = a @ layer.weight.numpy().astype(np.float64).T + layer.bias.numpy()
        else:
            assert isinstance(layer, nn.ReLU)
            a = np.maximum(a, 0)
    return a


def trainer_of(model: nn.Module, loss: Any) -> cr.Trainer:
    return cr.Trainer(model, loss=loss, optimizer=optim.SGD(lr=0.1), engine="numpy")


def trained(make: Make, data: cr.data.Dataset, epochs: int = 3) -> cr.Trainer:
    trainer = make(optimizer=optim.Adam(lr=0.02))
    trainer.fit(data, epochs=epochs, batch_size=10, validation=data, progress=False)
    return trainer


# -- classes -----------------------------------------------------------------------


def test_sections(make: Make, data: cr.data.Dataset, write: Write) -> None:
    whole = write(trained(make, data), data, ALL, title="A title")
    expected = "glance curves confusion classes mistakes gradients network epochs"
    assert keys(whole) == expected.split()
    assert whole.find("h1")[0].text == whole.find("title")[0].text == "A title"
    assert whole.find("html")[0]["lang"] == "en"


def test_headline(make: Make, data: cr.data.Dataset, write: Write) -> None:
    trainer = trained(make, data)
    options = {"recipe": "pixels", "limit": None, "seed": 9}
    glance = section(write(trainer, data, options=options), "glance")
    tiles = {
        li.find("span")[0].text.partition(" (")[0]: li.find("b")[0].text
        for li in glance.find("li")
    }
    measured = trainer.evaluate(data)
    assert tiles["loss"] == f"{measured['loss']:.4g}"
    assert tiles["accuracy"] == f"{measured['accuracy']:.2%}"
    assert tiles["parameters"] == f"{6 * 8 + 8 + 8 * 3 + 3:,}"
    assert tiles["steps"] == "15"
    names, values = glance.find("dt"), glance.find("dd")
    pairs = {k.text: v.text for k, v in zip(names, values)}
    assert pairs["epochs"] == "3 × 5 steps"
    assert pairs["batch size"] == "10"
    assert pairs["engine"] == "numpy"
    assert pairs["seed"] == "0", "the Trainer's own settings stand"
    assert pairs["recipe"] == "pixels"
    assert "limit" not in pairs


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


def picture_data(rows: int = 60) -> cr.data.Dataset:
    rng = np.random.default_rng(3)
    x = rng.integers(0, 256, (rows, 64)).astype(np.uint8)
    return cr.data.Dataset(x, rng.integers(0, 4, rows), scale=1 / 255, classes=4)


def picture_trainer() -> cr.Trainer:
    cr.manual_seed(0)
    return trainer_of(
        nn.Sequential(nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 4)),
        nn.CrossEntropyLoss(),
    )


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


# -- quantities --------------------------------------------------------------------


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
    _, *rows = fit.find("table")[0].rows()
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
    assert fit.find("table")[0].rows()[1][1] == "–", "no R² without variance"


# -- tables, and what was measured besides -------------------------------------------


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
    assert fit.find("table")[0].rows()[1][0] == "$price_{<b>}$"


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
    assert "shares" not in part.find("figcaption")[0].inner[0]


def test_columns_of_chinese_text_stay_in_line() -> None:
    """A wide character takes two columns, whatever font the browser has for it."""
    text = render_experiment(
        "zh-TW",
        title="t",
        summary="s",
        references=(),
        blocks=[asdict(Block(text="週期  <D>\n   1  0.5"))],
    )
    assert ".wide {" in text
    (lines,) = read(text).find("pre")
    assert lines.text.splitlines() == ["週期  <D>", "   1  0.5"]
    assert [e.text for e in lines.find("span", class_="wide")] == ["週", "期"]


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


# -- odd data ----------------------------------------------------------------------


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
    assert keys(write(trainer, data)) == ["glance", "network"]


@pytest.mark.parametrize("weight", [3e37, float("nan")])
@pytest.mark.parametrize("loss", ["MSELoss", "CrossEntropyLoss", "BCEWithLogitsLoss"])
def test_a_sick_network(weight: float, loss: str, write: Write) -> None:
    """Its outputs are infinite or no numbers; that is shown, and nothing breaks."""
    x = 100 * np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    several = loss == "CrossEntropyLoss"
    y = np.arange(30) % 3 if several else (x[:, :1] > 0).astype(np.float32)
    model = nn.Linear(2, 3 if several else 1)
    model.weight.copy_(np.full(model.weight.shape, weight, np.float32))
    trainer = trainer_of(model, getattr(nn, loss)())
    glance = section(write(trainer, cr.data.Dataset(x, y)), "glance")
    assert glance.find("b")[0].text in ("nan", "inf")


def test_a_loss_of_ones_own(make: Make, data: cr.data.Dataset, write: Write) -> None:
    def loss(scores: cr.Tensor, labels: cr.Tensor) -> cr.Tensor:
        return nn.CrossEntropyLoss()(scores, labels) * 2.0

    trainer = make(loss=loss, optimizer=optim.SGD(lr=0.1))
    whole = write(trainer, data)
    assert "loss" in [e.text for e in section(whole, "glance").find("dt")]
    _, *rows = section(whole, "mistakes").find("table")[0].rows()
    assert [row[4] for row in rows] == ["–"] * len(rows)


# -- curves, gradients, probes -----------------------------------------------------


def test_gradients_and_probes(make: Make, data: cr.data.Dataset, write: Write) -> None:
    trainer = trained(make, data)
    history = trainer.history
    rng = np.random.default_rng(0)
    chunk = {
        "loss": rng.random(1000),
        "grad_norm/2.weight": rng.random(1000),
        "grad_norm/0.weight": np.full(1000, np.nan),
        f"{HOSTILE}/0": rng.random(1000),
        "activation_mean/1": rng.random(1000),
        "histogram/1": rng.random((1000, 4)),
    }
    history.restore((0, {}))
    history.extend({name: a.astype(np.float32) for name, a in chunk.items()})
    whole = write(trainer, data, "steps-.*")
    gradients = section(whole, "gradients")
    assert [li.text.strip() for li in gradients.find("li")] == ["0.weight", "2.weight"]
    (svg,) = gradients.find("svg", role="img")
    assert "0.weight: no finite number; 2.weight from" in svg["aria-label"]
    assert "groups of 5 steps" in gradients.text
    probes = section(whole, "probes")
    texts = [e.text for e in probes.find("text")]
    assert "activation mean" in texts
    assert not any("histogram" in text for text in texts)


def test_groups_of_steps_keep_the_extremes() -> None:
    values = np.ones(10_000, np.float32)
    values[4321], values[8765], values[5] = 100.0, 0.5, np.nan
    panel, remarks = charts.of_steps({"a": values}, "k", "up", read_words("en"))
    (line,) = panel.lines
    assert line.band is not None
    assert line.band[0].min() == 0.5
    assert line.band[1].max() == 100.0
    assert len(line.x) <= 240
    assert 0 < line.x[0] < line.x[-1] <= 10_000
    assert remarks == [
        "Lines are means, bands reach from the least to the largest, over "
        "groups of 42 steps"
    ]
    many = {str(i): values[:3] for i in range(50)}
    panel, remarks = charts.of_steps(many, "k", "up", read_words("en"))
    labels = [line.label for line in panel.lines]
    assert len(labels) == 10
    assert labels[0] == "0"
    assert labels[-1] == "49"
    assert remarks == ["10 of 50 are shown"]
    panel, _ = charts.of_steps({"a": values, "b": values}, "k", "up", read_words("en"))
    assert [line.band for line in panel.lines] == [None, None], "bands would overlap"


def test_table_of_epochs(make: Make, data: cr.data.Dataset, write: Write) -> None:
    trainer = trained(make, data, epochs=2)
    row = dict(trainer.history.epochs[-1])
    for i in range(3, 101):
        loss = float("nan") if i == 100 else 0.5
        trainer.history.epochs.append(row | {"epoch": i, "train_loss": loss})
    del trainer.history.epochs[0]["validation_loss"]
    heading, *rows = section(write(trainer, data), "epochs").find("table")[0].rows()
    assert heading[:2] == ["epoch", "training loss"]
    assert {"validation accuracy", "learning rate", "seconds"} < set(heading)
    assert len(rows) == 60
    assert [rows[0][0], rows[-1][0]] == ["1", "100"]
    assert rows[-1][1] == "nan"
    assert "–" in rows[0]


# -- languages and hostile text ----------------------------------------------------


def test_chinese(
    make: Make, data: cr.data.Dataset, write: Write, recwarn: pytest.WarningsRecorder
) -> None:
    named = cr.data.Dataset(
        data.x, data.y, name="像素", class_names=CHINESE, classes=None
    )
    whole = write(
        trained(make, named), named, ALL, title="手寫數字\x00\ud800\u202e", lang="zh-TW"
    )
    assert whole.find("html")[0]["lang"] == "zh-TW"
    assert whole.find("h1")[0].text == r"手寫數字\x00\ud800\u202e"
    assert section(whole, "glance").find("h2")[0].text == "總覽"
    (table,) = section(whole, "confusion").find("table")
    assert table.rows()[0][1:] == list(CHINESE)
    texts = [e.text for e in section(whole, "curves").find("text")]
    assert "損失" in texts, "text of the picture stays text"
    assert "Noto Sans CJK TC" in str(whole.find("style")[0].inner[0])
    assert not recwarn.list


def test_injection(make: Make, data: cr.data.Dataset, write: Write) -> None:
    """``check_page`` sees that nothing of it becomes an element."""
    names = [HOSTILE + str(c) for c in range(3)]
    named = cr.data.Dataset(data.x, data.y, name=HOSTILE, class_names=names)
    trainer = trained(make, named)
    row = trainer.history.epochs[-1]
    row[f"validation_{HOSTILE}"] = 1.0
    whole = write(trainer, named, ALL, title=HOSTILE, options={HOSTILE: HOSTILE})
    assert whole.find("h1")[0].text == HOSTILE
    pairs = {
        k.text: v.text
        for k, v in zip(*(section(whole, "glance").find(tag) for tag in ("dt", "dd")))
    }
    assert pairs[HOSTILE] == HOSTILE
    first = section(whole, "confusion").find("table")[0].rows()[1][0]
    assert first.endswith("…")
    assert HOSTILE.startswith(first[:-1])


def test_languages_say_the_same_things() -> None:
    english, chinese = map(read_words, LANGUAGES)
    assert english.keys() == chinese.keys()

    def fields(text: str) -> set[str | None]:
        return {name for _, name, *_ in string.Formatter().parse(text)} - {None}

    for key, text in english.items():
        if key == "network.see":  # θ = {W, b} is no field
            continue
        assert fields(text) == fields(chinese[key]), key


# -- the rest ----------------------------------------------------------------------


def _luminance(colour: np.ndarray) -> float:
    c = colour / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(a: np.ndarray, b: np.ndarray) -> float:
    """WCAG's contrast of two colours, 1 … 21."""
    low, high = sorted((_luminance(a), _luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast(theme: str, write: Write) -> None:
    style = write(picture_trainer(), picture_data()).find("style")[0].inner[0]
    held = re.findall(r":root ?\{([^}]*)\}", str(style))
    declared = held[0 if theme == "light" else 1]
    colours: dict[str, np.ndarray] = {}
    for name, value in re.findall(r"--([\w-]+): ([^;]+)", declared):
        if value.startswith("#"):
            digits = value[1:] if len(value) == 7 else "".join(2 * c for c in value[1:])
            colours[name] = np.array([int(digits[i : i + 2], 16) for i in (0, 2, 4)])
        elif re.fullmatch(r"[\d ]+", value):
            colours[name] = np.array([int(part) for part in value.split()])
    for paper in ("card", "paper"):
        for ink in ("ink", "soft", "link"):
            assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper)
    for i in range(1, 9):
        assert contrast(colours[f"cr-{i}"], colours["card"]) >= 3, i
    for tint in ("right", "wrong"):
        opaque = sections.STRONGEST
        cell = opaque * colours[tint] + (1 - opaque) * colours["card"]
        assert contrast(colours["ink"], cell) >= 4.5, tint


@pytest.mark.parametrize(
    ("row", "shape"),
    [
        ((64,), (1, 8, 8)),
        ((63,), None),
        ((49,), None),
        ((28, 28), (1, 28, 28)),
        ((28, 4), None),
        ((3, 32, 24), (3, 32, 24)),
        ((32, 24, 3), (3, 32, 24)),
        ((5, 32, 32), None),
        ((2, 3, 32, 32), None),
        ((), None),
    ],
)
def test_what_looks_like_a_picture(
    row: tuple[int, ...], shape: tuple[int, int, int] | None
) -> None:
    assert picture_shape(row) == shape
    if shape is not None:
        channels, height, width = shape
        made = as_pictures(np.zeros((2, *row)))
        assert made.shape == (2, height, width) + ((3,) if channels == 3 else ())


def test_colours_of_pictures() -> None:
    front = np.zeros((1, 3, 8, 9))
    front[0, 0, 2, 5] = 1.0  # red, third row, sixth column
    behind = front.transpose(0, 2, 3, 1)
    for rows in (front, behind):
        (uri,) = grey_or_colour(as_pictures(rows))
        picture = pixels(uri)
        assert picture.shape == (8, 9, 3)
        assert picture[2, 5].tolist() == [255, 0, 0]
    (uri,) = grey_or_colour(np.array([[[-2.0, 0.0], [2.0, 0.0]]]))
    assert pixels(uri)[..., 0].tolist() == [[0, 128], [255, 128]]
    (uri,) = grey_or_colour(np.full((1, 2, 2), 7.0))
    assert not pixels(uri).any()


def test_mnist(write: Write, tmp_path: Path) -> None:
    """Images of digits and 128 neurons make a page that can be mailed."""
    from chainrule.recipes import mnist

    test = cr.data.mnist()[1].take(1000)
    trainer = mnist.trainer(mnist.network(0), engine="numpy")
    whole = write(trainer, test, title="mnist")
    assert len(section(whole, "weights").find("li")) == 128
    assert len(section(whole, "mistakes").find("li")) == 24
    assert (tmp_path / "report.html").stat().st_size < 2_000_000


def test_bad_input(
    make: Make, data: cr.data.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, path = make(optimizer=optim.Adam()), tmp_path / "report.html"
    with pytest.raises(errors.ArgumentError, match="lang has no such choice") as caught:
        write_report(trainer, path, data=data, lang="zh-tw")
    assert "did you mean 'zh-TW'" in str(caught.value)
    with pytest.raises(errors.ArgumentError, match="on a data set"):
        write_report(trainer, path, data=(data.x[...], data.y))  # type: ignore[arg-type]
    with pytest.raises(errors.SaveError, match="report"):
        write_report(trainer, tmp_path / "no" / "report.html", data=data)
    monkeypatch.setattr(drawing, "can_plot", lambda: False)
    with pytest.raises(errors.ArgumentError, match=r"chainrule\[plot\]"):
        write_report(trainer, path, data=data)
    assert not path.exists()
