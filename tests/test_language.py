"""What is said in other languages: nothing is missing, and the right one is chosen."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from chainrule import language, translation
from chainrule.errors import ArgumentError

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
    token = translation.chosen.set(None)
    assert translation.current() == wanted
    translation.chosen.reset(token)
    translation.of_the_system.cache_clear()


def test_a_language_is_set_until_another_one_is() -> None:
    token = translation.chosen.set("en")
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
        translation.chosen.reset(token)


def test_a_block_ends_as_it_began() -> None:
    with language.language("zh"), language.language("en"):
        assert translation.tr("chain rule") == "chain rule"
    with language.language("zh"):
        assert translation.tr("chain rule") == "鏈式法則"
