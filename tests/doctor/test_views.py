"""What a diagnosis shows: text, HTML and JSON, in any language."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.doctor import Change, Comparison, Diagnosis, Finding, examples, labels
from chainrule.doctor.diagnosis import ranked
from chainrule.doctor.registry import registered
from chainrule.doctor.view import depths, picture
from chainrule.html import views
from chainrule.text import messages
from chainrule.text.languages import language


@functools.cache
def sick() -> Diagnosis:
    """A rate too large: gradients explode, and units die, of it."""
    trainer, data, given = examples.example(optimizer=optim.SGD(lr=100.0))
    return cr.diagnose(trainer, data, **given)


@functools.cache
def healthy() -> Diagnosis:
    trainer, data, given = examples.example()
    return cr.diagnose(trainer, data, **given)


class Read(HTMLParser):
    """The texts, tags and classes of a page; each tag that is opened is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.classes: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.classes += (dict(attrs).get("class") or "").split()
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(  # of SVG
        self, tag: str, attrs: list[tuple[str, str | None]]
    ) -> None: ...

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and self.open[-1] not in ("style", "title"):
            self.texts.append(data)


def test_a_consequence_stands_below_its_cause_and_further_in() -> None:
    codes = ("learning-rate-too-large", "exploding-gradient", "dead-units")
    shown = sick().findings
    assert [f.code for f in shown] == [*codes]
    assert depths(shown) == [0, 1, 2]
    text = str(sick())
    for depth, code in enumerate(codes):
        line = next(x for x in text.splitlines() if re.match(rf" *\w+: {code} ", x))
        assert len(line) - len(line.lstrip()) == 4 * depth
    assert f"↳ a consequence of {codes[0]}:" in text
    page = sick().to_html()
    assert [int(d) for d in re.findall(r"--depth:(\d)", page)] == [0, 1, 2]
    assert f"↳ a consequence of {codes[1]}" in page


def test_a_consequence_whose_cause_is_a_later_consequence() -> None:
    def made(code: str) -> Finding:
        return Finding(code, "data", "risk", "", {}, "", "")

    order = ranked(
        [made("dead-units"), made("exploding-gradient"), made("does-not-learn")],
        registered(),
    )
    assert depths(order) == [0, 1, 2]


def test_a_change_is_shown_as_a_diff() -> None:
    assert "\n      - lr=100\n      + lr=1\n" in str(sick())
    page = sick()._repr_html_()
    assert "<del>- lr=100</del><ins>+ lr=1</ins>" in page


def test_charts_say_what_their_axes_are_of() -> None:
    read = Read(sick().to_html())
    for words in ("step", "loss (logarithmic)", "‖∂L/∂θ‖ (logarithmic)"):
        assert words in read.texts
    assert "accuracy of a constant answer" in read.texts
    assert "loss by step: " in str(sick())


def test_where_says_what_kind_of_thing_it_is() -> None:
    where = {f.code: f.where for f in sick().findings}
    assert where["dead-units"] == "module '3' (ReLU)"
    assert "where: module '3' (ReLU)" in str(sick())
    model = examples.mlp()
    nn.init.zeros_(model[0].weight)
    trainer, data, given = examples.example(model)
    found = cr.diagnose(trainer, data, **given)
    where = {f.code: f.where for f in found.findings}
    assert where["constant-weights"] == "parameter '0.weight'"


class Twice(nn.Module):
    """A network of one's own that ends in a softmax."""

    def __init__(self) -> None:
        self.inner = examples.mlp()

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.inner(x).softmax(-1)


def test_where_names_lines_of_the_model_and_none_that_asks_for_a_diagnosis() -> None:
    def where(model: nn.Module) -> str:
        trainer, data, given = examples.example(model, epochs=1)
        (found,) = [
            f
            for f in cr.diagnose(trainer, data, **given).findings
            if f.code == "output-activation-twice"
        ]
        return found.where

    assert where(examples.mlp().append(nn.Softmax())) == "softmax in '5'"
    assert re.fullmatch(r"softmax at test_views\.py:\d+", where(Twice()))


def test_a_healthy_run_gets_a_short_clean_bill() -> None:
    found = healthy()
    assert found.findings == []
    text = str(found)
    assert text.startswith("Healthy: nothing was found that costs learning.\n\nLooked")
    assert len(text.splitlines()) <= 15
    for key in ("data", "network", "trial_run", "score"):
        assert f"\n  {labels.part(key)}: " in text
    assert "Looked at" in Read(found.to_html()).texts


def test_a_page_is_whole_and_loads_nothing() -> None:
    page = sick().to_html()
    assert page.startswith('<!DOCTYPE html><html lang="en">')
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=", page)
    assert "width=device-width" in page
    assert "color-scheme:light dark" in page
    assert {"finding", "diff", "bars", "sick"} <= {*Read(page).classes}
    with language("zh-TW"):
        assert '<html lang="zh-TW">' in sick().to_html()


#: Words that no language translates: codes, names of the library, sources, numbers.
_NAMES = re.compile(
    r"[a-z]+(-[a-z]+)+|\w+=\S+|[-+] .*|\d: \w+\(\)|[\d,.%e→]+|optimizer|↳|·"
)


def test_every_word_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a language that marks what it translates nothing is left without a mark."""
    sick().fix()
    monkeypatch.setattr(messages, "lookup", lambda text: f"⟦{text}⟧" if text else text)
    monkeypatch.setattr(
        messages,
        "lookup_counted",
        lambda one, several, n: f"⟦{one if n == 1 else several}⟧",
    )
    unmarked = [
        text
        for text in Read(sick().to_html()).texts
        if "⟦" not in text and not _NAMES.fullmatch(text.strip())
    ]
    assert unmarked == []
    document = sick().to_dict()
    for found in document["findings"]:
        for words in (found["cause"], found["fix"], found["reference"]):
            assert "⟦" in words
        assert "⟦" not in "".join([found["code"], *found["evidence"]])
    assert all("⟦" in text for text in document["examined"].values())
    rest = re.sub(r"(?m)^ *[-+] .*$", "", str(sick()))
    while (shorter := re.sub(r"⟦[^⟦⟧]*⟧", "", rest)) != rest:
        rest = shorter
    assert set(re.findall(r"\b[a-z][a-z-]{2,}", rest)) <= {
        f.code for f in sick().findings
    } | {"optimizer"}


def test_json_is_the_same_in_its_keys_in_every_language() -> None:
    def keys(found: object) -> object:
        if isinstance(found, dict):
            return {k: keys(v) for k, v in found.items()}
        return [keys(v) for v in found] if isinstance(found, list) else None

    english = json.loads(json.dumps(sick().to_dict()))
    with language("zh-TW"):
        chinese = json.loads(json.dumps(sick().to_dict()))
    assert keys(english) == keys(chinese)
    assert english["findings"][0]["cause"] != chinese["findings"][0]["cause"]
    for key in ("code", "component", "severity", "confidence"):
        assert english["findings"][0][key] == chinese["findings"][0][key]


def test_small_pictures() -> None:
    assert picture([]) == picture([float("nan")]) == ""
    assert picture([2.0, 2.0]) == "▁▁"
    assert picture([1.0, 10.0, 100.0]) == "▁▅█"
    assert len(picture(list(range(1000)))) == 32
    assert picture([1.0, float("inf"), 2.0]) == "▁ █"


def test_a_score_that_is_no_number_is_a_bar_of_nothing() -> None:
    change = Change("a change", "a", "b", lambda setup: None)
    compared = Comparison(change, "r2", (None,), (-0.5,), 0.0, 0.0, True)
    found = Finding("dead-units", "data", "sick", "", {}, "c", "a", change, compared)
    read = Read(Diagnosis([found], {}, {}, 1.0, 0.0, 0).to_html())
    assert "no number" in read.texts
    assert "R² with the change" in read.texts


def test_what_was_not_looked_at_is_not_called_healthy() -> None:
    trainer, data, given = examples.example(optimizer=optim.SGD(lr=0.01))
    found = cr.diagnose(trainer, data, **{**given, "seconds": 1e-4})
    assert found.healthy
    assert "rates" in found.unknown
    assert str(found).startswith("Not known: nothing was found that costs learning;")
    assert "Healthy" not in found.to_html()
    assert not healthy().unknown


def test_of_an_interrupted_diagnosis_the_rest_is_unknown() -> None:
    found = healthy()
    assert replace(found, interrupted=True).unknown == ["rest"]


@pytest.mark.parametrize("size", [-1.2345e-10, 0.5, 999_999.0])
def test_labels_of_a_chart_have_room(size: float) -> None:
    """Digits are at most ten units wide, at the size that a phone shows."""
    y = np.linspace(size, 3 * size, 5)
    chart = views.chart({"a": y, "b": y}, np.arange(1.0, 6), across="step", up="loss")
    ends = re.findall(r'<text x="(\d+)" y="\d+" text-anchor="end">([^<]*)<', chart)
    assert len(ends) == 3
    for at, text in ends:
        assert int(at) >= 10 * len(text)
    assert "<text" not in chart.split('class="key"')[1]
