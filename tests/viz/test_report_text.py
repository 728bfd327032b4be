"""The text of reports: two languages, hostile names, contrast."""

from __future__ import annotations

import re
import string
from dataclasses import asdict

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes.experiment.report import Block
from chainrule.viz.report import sections
from chainrule.viz.report.page import render_experiment
from chainrule.viz.words import LANGUAGES, read_words

from .conftest import Make
from .pages import read
from .reports import (
    ALL,
    CHINESE,
    HOSTILE,
    Write,
    picture_data,
    picture_trainer,
    section,
    trained,
)


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
