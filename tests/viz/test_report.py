"""report.html: its sections, figures at a glance, sick networks, bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn, optim
from chainrule.html.pictures import as_pictures, grey_or_colour, picture_shape
from chainrule.viz import drawing, write_report

from .conftest import Make
from .pages import pixels
from .reports import ALL, Write, keys, section, trained, trainer_of


def test_sections(make: Make, data: cr.data.Dataset, write: Write) -> None:
    whole = write(trained(make, data), data, ALL, title="A title")
    expected = "glance curves confusion classes mistakes gradients network epochs"
    expected += " abbreviations"
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
