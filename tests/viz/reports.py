"""Reports that are written and read, for the tests of their parts."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.viz import drawing, write_report
from tests.training.conftest import Make

from .pages import Element, pixels, read

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
        elif "href" in e.attributes:  # there is no explanation to lead to
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
        if section["id"] != "abbreviations":
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
