"""``chainrule book``: the index on the command line."""

from __future__ import annotations

import json

import pytest

from chainrule.cli import run


def test_its_line_in_the_help_is_whole(capsys):
    assert run(["--help"]) == 0
    line = "book      Look up what shows and what tests the textbook."
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


@pytest.mark.parametrize("section", ["4", "3.4.33", "x"])
def test_a_section_that_is_none(capsys, section):
    assert run(["book", section]) == 2
    message = capsys.readouterr().err
    for part in (f"no section '{section}'", "expected:", "got:", "fix:"):
        assert part in message
