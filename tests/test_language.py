"""What is said in other languages: nothing is missing, and the right one is chosen."""

from __future__ import annotations

import contextvars
import importlib.util
import io
import re
from collections import Counter
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import chainrule as cr
from chainrule import language, retelling, translation
from chainrule.errors import ArgumentError
from chainrule.formatting import width

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def words() -> Any:
    spec = importlib.util.spec_from_file_location("words", ROOT / "tools/words.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_text_is_missing_in_chinese(words: Any) -> None:
    assert words.problems() == []


def test_the_compiled_file_is_that_of_the_sources(words: Any) -> None:
    made = "run python tools/words.py"
    assert words.MADE.read_bytes() == words.compiled(), made
    assert words.SHAPED.read_bytes() == words.shaped(), made


def test_no_translation_is_of_a_text_that_is_gone(words: Any) -> None:
    known = words.everything()
    assert [m.id for m in words.gathered() if m.id and m.id not in known] == []


def test_a_text_has_one_translation(words: Any) -> None:
    """A second one, in another file, would never be shown."""
    texts = [
        str(message.id)
        for path in sorted(words.FOLDER.glob("*.po"))
        for message in words.read_po(io.BytesIO(path.read_bytes()), locale="zh_TW")
        if message.id
    ]
    assert [text for text, n in Counter(texts).items() if n > 1] == []


@pytest.mark.parametrize("name", ["zh", "ZH-tw", "zh_TW.UTF-8", "zh-Hant", "zh-TW"])
def test_names_of_chinese(name: str) -> None:
    assert language.known(name) == "zh-TW"


@pytest.mark.parametrize("name", ["fr", "", "zhx", 3])
def test_a_language_that_is_not_known(name: Any) -> None:
    with pytest.raises(ArgumentError, match="does not speak"):
        language.known(name)


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({"LANG": "zh_TW.UTF-8"}, "zh-TW"),
        ({"LANG": "zh_TW.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_US", "LC_MESSAGES": "zh_TW"}, "zh-TW"),
        ({"LANGUAGE": "zh_TW:en", "LANG": "de_DE"}, "zh-TW"),
        ({"LANG": "C"}, "en"),
    ],
)
def test_the_language_of_the_locale(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], wanted: str
) -> None:
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    translation.of_the_system.cache_clear()
    cr.set_language(None)
    try:
        assert translation.current() == wanted
    finally:
        cr.set_language("en")
        translation.of_the_system.cache_clear()


def test_a_language_is_set_until_another_one_is() -> None:
    try:
        cr.set_language("zh")
        with pytest.raises(ArgumentError) as refused:
            cr.set_language("fr")
        assert "應為： 'en' 或 'zh-TW'" in str(refused.value)
        cr.set_language("en")
        assert "expected: 'en' or 'zh-TW'" in str(refused.value)
        cr.set_language(None)
        assert translation.current() == translation.of_the_system()
    finally:
        cr.set_language("en")


def test_all_threads_speak_the_language_that_was_set() -> None:
    heard: list[str] = []

    def hear() -> None:
        heard.append(translation.current())

    try:
        with language.language("en"):
            cr.set_language("zh-TW")
            hear()  # at once
            thread = Thread(target=hear)
            thread.start()
            thread.join()
        contextvars.Context().run(hear)  # as cells of a notebook may run
    finally:
        cr.set_language("en")
    hear()
    assert heard == ["zh-TW", "zh-TW", "zh-TW", "en"]


def test_a_block_ends_as_it_began() -> None:
    with language.language("zh"), language.language("en"):
        assert translation.tr("chain rule") == "chain rule"
    with language.language("zh"):
        assert translation.tr("chain rule") == "鏈式法則"


# -- what recipes print ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("\n2  The same on XOR\n", "\n2  換成 XOR\n"),
        ("   strict rules:", "   嚴格的規則："),
        ("  linear    0.85", "  線性      0.85"),
        ("   the network         2.210", "   網絡                2.210"),
        ("   pixels, k-means    0.50   0.61", "   像素、k-means      0.50   0.61"),
        ("   network, augmented   0.50", "   網絡，資料增強       0.50"),
        ("r2        network 0.4 ± 0.1", "r2        網絡 0.4 ± 0.1"),
        ("── after it ─────────", "── 更新之後 ─────────"),
        ("To be, or not to be: to sleep", "To be, or not to be: to sleep"),
        ("   no, not the network", "   no, not the network"),
        ("", ""),
        ("\n", "\n"),
    ],
)
def test_a_line_of_a_recipe(english: str, chinese: str) -> None:
    with language.language("zh"):
        assert translation.reprinted(english) == chinese
    assert translation.reprinted(english) == english


def test_columns_stay_where_they_are() -> None:
    row = f"   {'how often it comes':22}{0.5:9.3f}   {'accuracy':>12}   {1:5}"
    with language.language("zh"):
        told = translation.reprinted(row)
    assert "出現的次數" in told
    for end in ("0.500", "1"):
        at, now = row.index(end), told.index(end)
        assert width(told[:now]) == at
    assert width(told[: told.index("準確率")]) + 6 == row.index("accuracy") + 8


def test_a_long_text_of_nobody_is_left_alone() -> None:
    text = "\n".join(f"line {i}  of  anybody's" for i in range(3000))
    with language.language("zh"):
        assert translation.reprinted(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "'cats and dogs.csv' has no column 'age is high', the target.",
        "one of a, b, none, the loss, Size of house",
        "chainrule new run.toml --data 'cats and dogs'",
    ],
)
def test_names_of_users_stay_as_they_are(text: str) -> None:
    with language.language("zh"):
        told = translation.retold(text)
    names = re.findall(r"'[^']*'", text) or ["a, b, none, the loss, Size of house"]
    assert all(name in told for name in names)


def test_code_in_a_fix_stays_code() -> None:
    with language.language("zh"):
        told = translation.retold("dtype={'price': 'number'}: the units do not count")
    assert told == "dtype={'price': 'number'}：不管單位"


def test_a_message_is_always_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    many = ArgumentError("a, b. " * 2000, got=", ".join("xyz" * 2000))
    with language.language("zh"):
        assert len(str(many)) < 2500
        assert translation.reprinted(", ".join(["one"] * 3000)).startswith("one, one")
        monkeypatch.setattr(retelling, "TEMPLATES", Path("nowhere.json"))
        retelling.teller.cache_clear()
        retelling.told.cache_clear()
        try:
            assert "no such file" in str(ArgumentError("There is no such file here."))
        finally:
            retelling.teller.cache_clear()
