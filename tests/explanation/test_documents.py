"""Explanations as HTML, Markdown, LaTeX and JSON."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.dom import minidom

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.book.marking.worksheet import worksheet
from chainrule.explanation import Explanation, example
from chainrule.explanation.latex import TRADITIONAL
from chainrule.html.arrays import POLICY, colours
from chainrule.notation.expressions import Atom, Number
from chainrule.notation.mathml import mathml
from chainrule.text.languages import language
from tests.explanation.models import LAYERS, around

NAMES = ["Conv2d", "LSTM", "TransformerEncoderLayer False", "Own"]
VOID = {"meta", "img", "br"}


@cache
def made(name: str, lang: str = "en") -> Explanation:
    """Return an explanation in a language; nothing that writes it changes it."""
    with language(lang):
        return explained(name)


def explained(name: str) -> Explanation:
    if name == "example":
        return example()
    rng = np.random.default_rng(0)
    if name == "update":
        model = around(nn.Tanh())
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        x = rng.normal(size=(3, 3))
        return cr.explain(model, x, [0, 1, 0], nn.CrossEntropyLoss(), optimizer)
    model, shape = LAYERS[name]
    x = rng.normal(size=(2, *shape))
    return cr.explain(model, x, [0, 1], nn.CrossEntropyLoss())


class Balanced(HTMLParser):
    """Every tag is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.one_in(3)
@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("name", ["example", "update", *NAMES])
def test_html(name: str, lang: str) -> None:
    e = made(name, lang)
    page = e._repr_html_()
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert {"math", "svg", "table"} <= parser.seen
    assert not {"script", "link", "iframe"} & parser.seen
    assert "//" not in re.sub(r"data:image/png;base64,[^\"]*", "", page)
    for formula in re.findall(r"<math.*?</math>", page):
        minidom.parseString(formula)
    # A picture has the names of classes.
    text = re.sub(r"<figure>.*?</figure>", " ", page, flags=re.S)
    words = re.sub(r"<style>.*?</style>|<math.*?</math>|<[^>]*>", " ", text, flags=re.S)
    if lang == "zh":
        known = " ".join(e.run.tensors.values())
        shown = set(re.findall(r"[a-zA-Z]{3,}", words)) - {"bias", "false", "Linear"}
        assert {w for w in shown if w not in known} <= {
            "model",
            "eval",
            "softmax",
            "max",
            "diag",
            "False",
            "dropout",
        }


PAGES: dict[str, Any] = {
    "derivation": lambda: cr.derive("2-2sigmoid-1"),
    "worksheet": lambda: worksheet("2-2sigmoid-1"),
}


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_loads_nothing(kind: str) -> None:
    """It has the policy of reports, in front of all that it could forbid."""
    page = PAGES[kind]().to_html()
    head, policy, _ = page.partition(POLICY)
    assert policy == POLICY
    assert "content=\"default-src 'none';" in policy
    assert "script-src" not in policy
    assert "<style" not in head
    assert "<body" not in head


def test_latex_in_chinese_has_a_font_for_every_character(tmp_path: Path) -> None:
    text = made("Conv2d", "zh").to_latex()
    assert all(f"IfFontExistsTF{{{font}}}" in text for font in TRADITIONAL)
    if not shutil.which("xelatex") or not shutil.which("fc-list"):
        return
    fonts = subprocess.run(["fc-list", ":", "family"], check=True, capture_output=True)
    if not any(font in fonts.stdout.decode() for font in TRADITIONAL):
        return
    (tmp_path / "e.tex").write_text(text, "utf-8")
    command = ["xelatex", "-interaction=nonstopmode", "-halt-on-error", "e.tex"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    log = (tmp_path / "e.log").read_text("utf-8", "replace")
    assert "Missing character" not in log


@pytest.mark.parametrize("name", ["example", "update", *NAMES])
def test_latex(name: str, tmp_path: Path) -> None:
    text = made(name).to_latex()
    assert text.isascii()
    assert text.count(r"\begin{") == text.count(r"\end{")
    for cell in re.findall(r"align\*\}\n(.*?)\n\\end", text, re.S):
        assert cell.count("{") == cell.count("}")
    if not shutil.which("pdflatex"):
        return
    (tmp_path / "e.tex").write_text(text)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "e.tex"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]


@pytest.mark.parametrize("name", ["example", "update", *NAMES])
def test_markdown_and_data(name: str) -> None:
    e = made(name)
    text = e.to_markdown()
    assert text.count("$$") % 2 == 0
    data = json.loads(json.dumps(e.to_json()))
    shown = [q["text"] for s in data["sections"] for q in s["forward"] + s["backward"]]
    direct = [q.text() for s in e.sections for q in (*s.forward, *s.backward)]
    assert shown == direct
    assert data["check"]["ok"]
    for layer in e.layers:
        symbol = layer.symbol(layer.weight_name)
        np.testing.assert_array_equal(data["numbers"][symbol], layer.W)


def test_mathml_follows_the_same_precedence() -> None:
    a, b, c = map(Atom, "abc")
    assert mathml(a * (b + c)).count("<mo>(</mo>") == 1
    assert mathml(a + b * c).count("<mo>(</mo>") == 0
    assert mathml((a + b) ** Number(2)).startswith("<math><msup><mrow><mo>(</mo>")


def test_colours_of_numbers() -> None:
    """White is zero, red positive, blue negative, black no number."""
    made_ = colours(np.array([0.0, 2.0, -2.0, 1.0, np.nan]))
    assert tuple(made_[0]) == (255, 255, 255)
    assert made_[1][0] > made_[1][2]
    assert made_[2][2] > made_[2][0]
    assert made_[3].sum() > made_[1].sum()
    assert tuple(made_[4]) == (0, 0, 0)
