"""The page of an explanation: cells are the numbers that they say, and it runs no other
script than its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError
from chainrule.explanation import Explanation, example, interactive
from chainrule.explanation.interactive.words import words
from chainrule.text.languages import language
from tests.explanation.models import LAYERS, around
from tests.explanation.sheet import Sheet

HERE = Path(interactive.__file__).parent
SCRIPTS = ["entries.js", "panel.js", "page.js"]
CE = nn.CrossEntropyLoss()


class Page(HTMLParser):
    """The ids, links, scripts and tables of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.policy = ""
        self.tags: set[str] = set()
        self.tables: list[tuple[dict[str, str | None], list[list[str]]]] = []
        self.words = ""
        self._in: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.tags.add(tag)
        if known.get("id"):
            self.ids.append(known["id"] or "")
        if tag == "a":
            self.links.append(known.get("href") or "")
        if known.get("http-equiv") == "Content-Security-Policy":
            self.policy = known["content"] or ""
        if tag == "script":
            self.scripts.append((known, ""))
        if tag == "table":
            self.tables.append((known, []))
        if tag == "tr" and self.tables:
            self.tables[-1][1].append([])
        if tag == "td" and self.tables:
            self.tables[-1][1][-1].append("")
        if tag not in ("meta", "img", "br", "input"):
            self._in.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._in.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._in and self._in[-1] == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = attrs, text + data
        elif self._in and self._in[-1] == "td" and "table" in self._in:
            self.tables[-1][1][-1][-1] += data
        elif self._in and self._in[-1] != "style":
            self.words += data

    @property
    def entries(self) -> Any:
        return json.loads(next(t for a, t in self.scripts if a.get("id") == "entries"))


def made(name: str) -> Explanation:
    rng = np.random.default_rng(0)
    if name == "example":
        return example()
    if name == "wide":
        model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 15))
        x = rng.normal(size=(9, 20)).astype(np.float32)
        return cr.explain(model, x, rng.integers(0, 15, 9), CE)
    model, shape = LAYERS[name]
    return cr.explain(model, rng.normal(size=(2, *shape)), [0, 1], CE)


NAMES = ["example", "wide", "Conv2d", "LSTM", "TransformerEncoderLayer True", "Own"]


@pytest.mark.parametrize("name", NAMES)
def test_cells_are_the_numbers_that_they_say(name: str) -> None:
    """A cell's row and column lead to the element whose number is written in it."""
    page = Page(made(name).to_html())
    sheet = Sheet(page.entries)
    checked = 0
    for attrs, rows in page.tables:
        if "data-v" not in attrs:
            continue
        v, kind = int(attrs["data-v"] or 0), attrs["data-kind"]
        shape = sheet.values[v]["shape"]
        array = numbers(sheet, v, kind).reshape(shape)
        while array.ndim > 2:
            array = array[0]
        paper = np.atleast_1d(array)
        if paper.ndim == 1:
            paper = paper[None] if len(rows) == 1 else paper[:, None]
        elif "data-columns" in attrs and len(shape) == 2:
            paper = paper.T
        shown = np.array(rows, float)
        wanted = paper[: shown.shape[0], : shown.shape[1]]
        most = max(
            np.abs(wanted).max(initial=0), 1e-9
        )  # and what is 0 but for rounding
        assert shown.shape == wanted.shape or shown.shape == (8, 1)
        assert np.abs(shown - wanted).max(initial=0) <= 6e-3 * most, (name, attrs)
        checked += 1
    assert checked >= 10


def numbers(sheet: Sheet, v: int, kind: str | None) -> np.ndarray:
    if kind == "value":
        return sheet.numbers(v)
    if "gradient" in sheet.values[v]:
        return sheet.numbers(v, "gradient")
    return np.array([sum(sheet.products(v, k)) for k in range(sheet.size(v))])


@pytest.mark.parametrize("lang", ["en", "zh-TW"])
@pytest.mark.parametrize("name", ["example", "Conv2d"])
def test_links_lead_somewhere(name: str, lang: str) -> None:
    with language(lang):
        page = Page(made(name).to_html())
    assert len(set(page.ids)) == len(page.ids)
    assert {f"#{key}" for key in page.ids} >= set(page.links)
    assert {"#picture", "#inputs", "#layer-1", "#layer-2", "#loss"} <= set(page.links)
    assert {"math", "svg", "details", "nav", "main", "aside"} <= page.tags
    assert page.links.count("#layer-1") >= 2  # in the contents, and in the picture


def test_only_the_pages_own_script_runs() -> None:
    page = Page(example().to_html())
    run = [text for attrs, text in page.scripts if attrs.get("type") == "module"]
    data = [a for a, _ in page.scripts if a.get("type") == "application/json"]
    assert len(run) == 1
    assert len(data) == 2
    assert len(page.scripts) == 3
    digest = base64.b64encode(hashlib.sha256(run[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page.policy
    assert page.policy.startswith("default-src 'none'")
    assert "unsafe-inline" not in page.policy.partition("script-src")[2].split(";")[0]
    assert "unsafe-eval" not in page.policy


@pytest.mark.parametrize("file", SCRIPTS)
def test_scripts_take_no_text_as_html_or_code(file: str) -> None:
    text = (HERE / file).read_text("utf-8")
    assert len(text.splitlines()) <= 500
    for word in ("innerHTML", "outerHTML", "insertAdjacent", "eval(", "Function(",
                 "document.write", "fetch(", "XMLHttp", "import(", "http"):  # fmt: skip
        assert word not in text, word


def test_names_are_text() -> None:
    """Names of modules that are HTML are shown as they are, and end no element."""
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    model = nn.Sequential()
    model.add_module(evil.replace(".", ""), nn.Linear(2, 2))
    page = cr.explain(model, [1.0, 2.0], [1], CE).to_html()
    read = Page(page)
    assert evil in read.words
    assert "img" not in read.tags
    assert len(read.scripts) == 3
    assert any(evil in v.get("name", "") for v in read.entries["values"])


def test_the_script_has_its_texts() -> None:
    """Every text that the script asks for is there, and none that it does not."""
    text = "".join((HERE / file).read_text("utf-8") for file in SCRIPTS)
    asked = set(re.findall(r"words\.(\w+)", text))
    assert asked == set(words())


def test_layers_that_are_chosen() -> None:
    model = around(nn.Tanh())
    e = cr.explain(model, [[1.0, 2, 3]], [1], CE, layer=2)
    page = Page(e.to_html())
    assert "layer-2" in page.ids
    assert "layer-1" not in page.ids
    assert "picture" not in page.ids
    assert {f"#{key}" for key in page.ids} >= set(page.links)


def test_the_page_of_the_mnist_network_is_small() -> None:
    from chainrule.recipes import mnist

    x = np.random.default_rng(0).random((1, 784), np.float32)
    page = cr.explain(mnist.network(), x, [3], CE).to_html()
    assert len(page.encode()) <= 1_000_000
    assert "left out, and" not in page


@pytest.mark.slow
def test_the_page_of_a_gpt_is_bounded() -> None:
    from chainrule.recipes.gpt import FULL, GPT

    cr.manual_seed(0)
    text = np.random.default_rng(0).integers(0, 65, (1, 65))

    def loss(made: Any, y: cr.Tensor) -> cr.Tensor:
        return nn.functional.cross_entropy(made[0].flatten(0, 1), y.flatten())

    e = cr.explain(GPT(65, FULL), text[:, :-1], text[:, 1:], loss)
    page = e.to_html()
    assert len(page.encode()) <= 5_000_000
    assert "left out, and" in page
    assert "explanation.element(NAME, INDEX)" in page


def test_documents_are_saved_by_their_ending(tmp_path: Path) -> None:
    e = example()
    assert e.save(tmp_path / "a" / "x.html").read_text("utf-8") == e.to_html()
    assert e.save(tmp_path / "x.md").read_text("utf-8") == e.to_markdown()
    assert e.save(tmp_path / "x.tex").read_text("utf-8") == e.to_latex()
    assert e.save(tmp_path / "x.txt").read_text("utf-8") == e.text() + "\n"
    with pytest.raises(ArgumentError, match="is saved as a page") as error:
        e.save(tmp_path / "x.pdf")
    assert error.value.fix == str(tmp_path / "x.html")
