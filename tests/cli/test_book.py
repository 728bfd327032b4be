"""``chainrule book``: the index on the command line."""

from __future__ import annotations

import json

import pytest

from chainrule.cli import run
from chainrule.text import catalogue, languages


def test_its_line_in_the_help_is_whole(capsys):
    assert run(["--help"]) == 0
    line = "book        Look up what shows and what tests the textbook."
    assert line in capsys.readouterr().out


def test_a_section_as_text(capsys):
    assert run(["book", "3.4.2"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("3.4.2 The error term")
    assert "δ⁽ˡ⁾ = ∂ℒ/∂z⁽ˡ⁾" in text


def test_the_books_own_language(capsys):
    assert run(["book", "3.5", "--lang", "zh-TW"]) == 0
    text = capsys.readouterr().out
    assert "1️⃣ 初始化參數" in text
    assert "缺少偏置" in text


def test_everything_as_json(capsys):
    assert run(["book", "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)["entries"]
    assert len(entries) > 100
    assert {"section", "kind", "en", "zh", "shows", "tests"} <= set(entries[0])


@pytest.mark.parametrize("section", ["4", "3.4.33", "４.1"])
def test_a_section_that_is_none(capsys, section):
    assert run(["book", section]) == 2
    message = capsys.readouterr().err
    shown = section.replace("４", "4")
    for part in (f"no section '{shown}'", "expected:", "got:", "fix:"):
        assert part in message


@pytest.mark.parametrize("lang", ["zh", "ZH-tw", "zh_TW.UTF-8"])
def test_any_name_of_the_language(capsys, lang):
    assert run(["book", "2.7", "--lang", lang]) == 0
    assert "激活函數" in capsys.readouterr().out


def test_the_language_of_the_locale(capsys, monkeypatch):
    monkeypatch.setenv("LANGUAGE", "zh_TW")
    catalogue.of_the_system.cache_clear()
    languages.set_language(None)
    try:
        assert run(["book", "2.7"]) == 0
        assert "展示" in capsys.readouterr().out
        assert run(["book", "2.7", "--lang", "en"]) == 0
        assert "shown by" in capsys.readouterr().out
    finally:
        catalogue.of_the_system.cache_clear()
        languages.set_language("en")


def test_a_language_that_is_not_spoken(capsys):
    assert run(["book", "2.7", "--lang", "fr"]) == 2
    said = capsys.readouterr()
    assert not said.out
    assert "Error: Chainrule does not speak this language." in said.err


def test_a_word(capsys):
    assert run(["book", "clipping"]) == 0
    text = capsys.readouterr().out
    assert "Remedy 4: gradient clipping" in text
    assert "chainrule explore exploding" in text
    assert run(["book", "3.8", "梯度裁剪", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["entries"]
    assert entry["section"] == "3.8"


def test_a_word_that_is_nowhere(capsys):
    assert run(["book", "梯度消滅", "--lang", "zh"]) == 2
    message = capsys.readouterr().err
    assert "索引裡找不到 '梯度消滅'" in message
    assert "chainrule book 梯度消失" in message


def test_a_picture(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    assert run(["book", "2.7", "--out", str(tmp_path / "p")]) == 0
    said = capsys.readouterr()
    assert "Written: " in said.err
    assert (tmp_path / "p/book-2.7.png").read_bytes().startswith(b"\x89PNG")
    assert run(["book", "3.5", "--out", str(tmp_path / "q")]) == 2
    message = capsys.readouterr().err
    assert "no picture of this section" in message
    assert "2.5.1, 2.7" in message
    assert not (tmp_path / "q").exists()
