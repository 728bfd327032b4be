"""Messages and their translations, and the language in use."""

from __future__ import annotations

import ast
import contextvars
import copy
import importlib.util
import pickle
import warnings
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from babel.messages.mofile import read_mo

import chainrule as cr
from chainrule import errors
from chainrule.errors import ArgumentError
from chainrule.text import Message, _, catalogue, joined, languages, tr, translated
from chainrule.text.numbers import width

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def tool() -> Any:
    path = ROOT / "tools/translations.py"
    spec = importlib.util.spec_from_file_location("translations", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- the catalogues --------------------------------------------------------------------


def test_a_translation_names_what_its_text_names(tool: Any) -> None:
    wrong = []
    for path in tool.catalogues():
        for message in tool.read(path):
            texts = message.id if isinstance(message.id, tuple) else (message.id,)
            strings = message.string
            strings = strings if isinstance(strings, tuple) else (strings,)
            for said in filter(None, strings) if message.id else ():
                named = [set(tool.placeholders(text)) for text in texts]
                if set(tool.placeholders(said)) not in named:
                    wrong.append((texts, said))
    assert not wrong


def untranslatable(path: Path) -> list[str]:
    """Return the titles of pictures in a file that are plain strings with words."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        values: list[Any] = []
        if isinstance(node, ast.keyword) and node.arg == "title":
            values = [node.value]
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                names, parts = [target], [node.value]
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    names, parts = target.elts, node.value.elts
                values += [
                    part
                    for name, part in zip(names, parts)
                    if isinstance(name, ast.Name) and name.id == "title"
                ]
        for value in values:
            if isinstance(value, ast.Constant | ast.JoinedStr):
                words = [
                    str(part.value)
                    for part in ast.walk(value)
                    if isinstance(part, ast.Constant)
                ]
                if any(map(str.isalpha, "".join(words))):
                    found.append(f"{path.name}:{value.lineno}")
    return found


def test_titles_of_the_recipes_pictures_can_be_translated(tmp_path: Path) -> None:
    files = sorted((ROOT / "src/chainrule/recipes").rglob("*.py"))
    assert len(files) > 50
    assert not [place for path in files for place in untranslatable(path)]
    plain = tmp_path / "plain.py"
    plain.write_text('title, n = "a", 1\ntitle = _("a")\nf(title=f"{n} b")\n', "utf-8")
    assert untranslatable(plain) == ["plain.py:1", "plain.py:3"]


def test_a_name_has_one_format_in_a_text(tool: Any) -> None:
    texts = [text for text, __ in tool.texts() if isinstance(text, str)]
    assert len(texts) > 4000
    for text in texts:
        tool.placeholders(text)


def test_the_binary_catalogue_has_the_translations_of_the_text(tool: Any) -> None:
    for path in tool.catalogues():
        with path.with_suffix(".mo").open("rb") as file:
            compiled = translations(read_mo(file))
        texts = translations(tool.read(path))
        assert compiled == texts, "run python tools/translations.py compile"


def translations(catalog: Any) -> dict[str, str]:
    """By the text, or the first of two, its translation, or the first of several."""
    first = {False: lambda x: x, True: lambda x: x[0]}
    return {
        first[isinstance(m.id, list | tuple)](m.id): first[
            isinstance(m.string, list | tuple)
        ](m.string)
        for m in catalog
        if m.id and any(m.string)
    }


def test_a_text_that_no_catalogue_has_is_listed(
    tool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "new.py"
    file.write_text("_('Something {new!r} that nobody has translated.', new=1)")
    monkeypatch.setattr(tool, "PACKAGE", tmp_path / "package")
    monkeypatch.setattr(tool, "BENCHMARKS", tmp_path)
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    (path,) = tool.catalogues()
    listed = "new.py: Something {new!r} that nobody has translated."
    assert listed in tool.missing(path)


# -- messages --------------------------------------------------------------------------

LAYERS = "layer {k} of {depth}"


def test_a_message_is_english_wherever_a_string_is_expected() -> None:
    with languages.language("zh"):
        message = _(LAYERS, k=2, depth=3)
        assert message == str(message) == f"{message}" == "layer 2 of 3"
        assert message.translated() == tr(LAYERS, k=2, depth=3) == "第 2 層，共 3 層"
    assert message.translated() == message


def test_a_message_without_translation_is_english() -> None:
    with languages.language("zh"):
        assert _("Nobody has {seen!r} this.", seen="x").translated() == (
            "Nobody has 'x' this."
        )
        assert translated("plain strings stay") == "plain strings stay"


def test_messages_within_a_message_are_translated_with_it() -> None:
    inner = _(LAYERS, k=1, depth=2)
    message = _("{place}: {what}", place=inner, what=joined(", ", [inner, "relu"]))
    assert message == "layer 1 of 2: layer 1 of 2, relu"
    with languages.language("zh"):
        assert message.translated() == "第 1 層，共 2 層：第 1 層，共 2 層、relu"


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy])
def test_a_message_that_was_copied_is_one(again: Any) -> None:
    for made in (again, lambda m: pickle.loads(pickle.dumps(m))):
        message = made(_(LAYERS, k=_(LAYERS, k=1, depth=1), depth=object))
        assert type(message) is Message
        with languages.language("zh"):
            assert message.translated().startswith("第 第 1 層，共 1 層 層")


def test_a_message_keeps_no_object_alive() -> None:
    kept = _("{x}", x=[1, 2]).values
    assert kept == {"x": "[1, 2]"}


def test_a_padded_message_takes_as_many_columns() -> None:
    inner = _(LAYERS, k=2, depth=3)
    row = _("{name:22}{share:9.3f}", name=inner, share=0.5)
    with languages.language("zh"):
        said = row.translated()
        assert said.startswith(inner.translated() + " ")
    assert width(said) == width(row) == 31


def test_values_may_come_later() -> None:
    part = _("{kind} needs a positive {name}.", kind="Linear")
    assert part == "Linear needs a positive {name}."
    with languages.language("zh"):
        assert part.format(name="p").translated() == "Linear 的 p 必須是正數。"
    assert part.format(name="p") == "Linear needs a positive p."


def test_braces_without_values_are_characters() -> None:
    assert _('write { class = "…", … }') == 'write { class = "…", … }'
    with languages.language("zh"):
        assert "{ class" in _('write { class = "…", … }').translated()


# -- errors and warnings ---------------------------------------------------------------


def wrong_call() -> ArgumentError:
    with pytest.raises(ArgumentError) as refused:
        cr.nn.Dropout(2)
    return refused.value


def test_an_error_is_english_and_shown_in_the_language_in_use() -> None:
    with languages.language("zh"):
        error = wrong_call()
        assert str(error).splitlines()[1] == "  expected: 0 ≤ p ≤ 1"
        assert error.translated().splitlines() == [
            "Dropout 的 p 必須是有限的數。",
            "  應為： 0 ≤ p ≤ 1",
            "  實際： p=2",
        ]
    assert error.translated() == str(error)


@pytest.mark.parametrize("name", ["nothing", "the loss", "one of a, b", "none"])
def test_a_users_word_is_never_translated(name: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        cr.nn.Sequential(cr.nn.ReLU()).get_submodule(name)
    with languages.language("zh"):
        assert refused.value.translated().count(repr(name)) == 2


def test_an_error_that_was_pickled_is_translated() -> None:
    error = pickle.loads(pickle.dumps(wrong_call()))
    with languages.language("zh"):
        assert "必須是有限的數" in error.translated()


def test_a_notebook_shows_the_language_in_use() -> None:
    error = wrong_call()
    with languages.language("zh"):
        last = error._render_traceback_()[-1]
    assert last.startswith("chainrule.errors.ArgumentError: Dropout 的 p")
    assert "Dropout needs" in error._render_traceback_()[-1]


def test_a_missing_name_is_translated() -> None:
    with pytest.raises(errors.MissingAttributeError) as refused:
        _(getattr(cr.nn, "Lineer"))  # noqa: B009
    assert str(refused.value).endswith("; did you mean nn.Linear?")
    with languages.language("zh"):
        assert errors.message_of(refused.value).endswith("；是不是指 nn.Linear？")


def test_a_warning_has_the_answers_of_an_error() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        errors.warn(_(LAYERS, k=1, depth=2), fix=_("leave it away"))
    (warning,) = seen
    assert issubclass(warning.category, errors.ChainruleWarning)
    assert str(warning.message) == "layer 1 of 2\n  fix:      leave it away"
    assert warning.filename == __file__
    with languages.language("zh"):
        assert "第 1 層，共 2 層" in errors.message_of(warning.message)  # type: ignore[arg-type]


def test_a_long_answer_loses_its_middle() -> None:
    many = ArgumentError("a, b. " * 2000, got=", ".join("xyz" * 2000))
    with languages.language("zh"):
        assert len(many.translated()) < 2500
    assert len(str(many)) < 2500


# -- the language in use ---------------------------------------------------------------


@pytest.mark.parametrize("name", ["zh", "ZH-tw", "zh_TW.UTF-8", "zh-Hant", "zh-TW"])
def test_names_of_chinese(name: str) -> None:
    assert languages.known(name) == "zh-TW"


@pytest.mark.parametrize("name", ["fr", "", "zhx", 3])
def test_a_language_that_is_not_known(name: Any) -> None:
    with pytest.raises(ArgumentError, match="does not speak"):
        languages.known(name)


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
    catalogue.of_the_system.cache_clear()
    cr.set_language(None)
    try:
        assert catalogue.current() == wanted
    finally:
        cr.set_language("en")
        catalogue.of_the_system.cache_clear()


def test_a_language_is_set_until_another_one_is() -> None:
    try:
        cr.set_language("zh")
        with pytest.raises(ArgumentError) as refused:
            cr.set_language("fr")
        assert "應為： 'en' 或 'zh-TW'" in refused.value.translated()
        cr.set_language("en")
        assert "expected: 'en' or 'zh-TW'" in str(refused.value)
        cr.set_language(None)
        assert catalogue.current() == catalogue.of_the_system()
    finally:
        cr.set_language("en")


def test_all_threads_speak_the_language_that_was_set() -> None:
    heard: list[str] = []

    def hear() -> None:
        heard.append(catalogue.current())

    try:
        with languages.language("en"):
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
    with languages.language("zh"), languages.language("en"):
        assert tr("chain rule") == "chain rule"
    with languages.language("zh"):
        assert tr("chain rule") == "鏈式法則"
