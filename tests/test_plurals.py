"""Counts agree with their nouns: templates of one number, and of two."""

from __future__ import annotations

import ast
import copy
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo

from chainrule.lab.texts import texts
from chainrule.text import Counted, _, catalogue, joined, languages, ngettext, tr
from chainrule.viz.seen import of_heat, of_images
from tests.test_language import tool

__all__ = ["tool"]
SOURCE = Path(__file__).resolve().parent.parent / "src/chainrule"
#: A count, and behind it a noun in the plural, perhaps an adjective before it.
COUNTED = re.compile(r"\{\w+(?::[^{}]*)?\} (?:[a-z]+ )?([a-z]{3,}s)\b")
#: Verbs and others that end as plurals do.
NONE = {"this", "has", "was", "its", "does", "takes", "needs", "opens", "looks"}
NONE |= {"holds", "answers", "uses", "gives"}
#: Templates whose count is not 1: a limit, or what is only said of several.
SEVERAL = {
    "{done} of {all} files",
    "the last {shown} of {all} tokens",
    "picture of {shape} numbers; arrow keys move, Enter opens a path",
    "{rows} × {n} of {height} × {width} pixels",
    "{share} % of the first {n} samples are right ({part}, at step {step})",
    "{name} = {value}. It is computed from {many} numbers.",
    "{slope} = {value}, the sum of {many} products.",
    "{n} errors are the most frequent, {times} each.",
    "{shape} numbers as colours",
}


def plain(path: Path) -> list[str]:
    """The templates of a file that are no pair of singular and plural."""
    tree = ast.parse(path.read_text("utf-8"))
    return [
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("_", "tr", "say")
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    ]


def wrong(path: Path) -> list[str]:
    return [
        text
        for text in plain(path)
        if text not in SEVERAL
        and not text.startswith(("at most ", "more than ", "at least "))
        and any(noun not in NONE for noun in COUNTED.findall(text))
    ]


@pytest.mark.parametrize("place", ["lab/texts.py", "viz/seen.py", "cli", "html"])
def test_a_count_of_one_has_a_singular(place: str) -> None:
    path = SOURCE / place
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    assert files
    assert [text for file in files for text in wrong(file)] == []


def test_a_count_without_a_singular_is_found(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("_('{n} findings:', n=1)\nngettext('{n} row', '{n} rows', n=1)\n")
    assert wrong(file) == ["{n} findings:"]


# -- messages --------------------------------------------------------------------------


def rows(n: int) -> Counted:
    return ngettext("{n:,} row of {name}", "{n:,} rows of {name}", n=n, name="x")


def test_the_number_of_the_count() -> None:
    assert [rows(n) for n in (0, 1, 2, 1200)] == [
        "0 rows of x",
        "1 row of x",
        "2 rows of x",
        "1,200 rows of x",
    ]
    later = ngettext("{n} row of {name}", "{n} rows of {name}", n=1)
    assert later.format(name="a") == "1 row of a"
    assert _("{a}, {b}", a=rows(1), b=rows(2)) == "1 row of x, 2 rows of x"


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda m: m])
def test_a_copy_is_counted_too(again: Any) -> None:
    for n in (1, 2):
        made = pickle.loads(pickle.dumps(again(rows(n))))
        assert (type(made), made, made.n) == (Counted, rows(n), n)


def test_a_catalogue_chooses_its_form(monkeypatch: pytest.MonkeyPatch) -> None:
    class Polish:
        """Three forms, as one, few and many."""

        def gettext(self, text: str) -> str:
            return text

        def ngettext(self, one: str, many: str, n: int) -> str:
            few = 2 <= n % 10 <= 4 and not 12 <= n % 100 <= 14
            return "{n} wiersz" if n == 1 else "{n} wiersze" if few else "{n} wierszy"

    monkeypatch.setattr(catalogue, "_catalogue", lambda name: Polish())
    with languages.language("zh"):
        said = [tr(ngettext("{n} row", "{n} rows", n=n)) for n in (1, 3, 5)]
        assert said == ["1 wiersz", "3 wiersze", "5 wierszy"]
        both = joined("; ", [ngettext("{n} row", "{n} rows", n=n) for n in (1, 2)])
        assert tr(both) == "1 wiersz; 2 wiersze"


def test_the_page_has_both(tool: Any) -> None:
    english = texts("en")
    assert english["sick"] == {
        "one": "{n} finding:",
        "other": "{n} findings, the likeliest cause first:",
    }
    for name in ("en", "zh-TW"):
        for key, text in texts(name).items():
            assert isinstance(text, dict) == isinstance(english[key], dict)
    found = [text for text, __ in tool.texts() if text == ("{n} row", "{n} rows")]
    assert found


def test_a_plural_that_stood_alone_gives_its_translation(
    tool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "zh_TW" / "LC_MESSAGES" / "chainrule.po"
    path.parent.mkdir(parents=True)
    path.write_text(
        'msgid ""\nmsgstr ""\n"Plural-Forms: nplurals=1; plural=0;\\n"\n'
        '"Content-Type: text/plain; charset=utf-8\\n"\n\n'
        'msgid "{n} rows"\nmsgstr "{n} 列"\n',
        "utf-8",
    )
    new = Catalog(charset="utf-8")
    new.add(("{n} row", "{n} rows"), locations=[("a.py", None)])
    new.add(("{n} cat", "{n} cats"), locations=[("a.py", None)])
    monkeypatch.setattr(tool, "template", lambda: new)
    tool.update(path)
    tool.compile_catalogue(path)
    with path.with_suffix(".mo").open("rb") as file:
        compiled = [tuple(m.id) for m in read_mo(file) if m.id]
    assert compiled == [("{n} row", "{n} rows")]  # the other stays in English
    kept = {m.id: m.string for m in tool.read(path) if m.id}
    assert kept["{n} row", "{n} rows"] == ("{n} 列",)
    assert tool.missing(path) == ["a.py: ('{n} cat', '{n} cats')"]


# -- captions --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        ([[9, 1], [0, 9]], "The only error: 0 taken for 1."),
        ([[9, 1], [4, 9]], "The most frequent error: 1 taken for 0, 4 times."),
        (
            [[9, 2], [2, 9]],
            "The most frequent errors, 2 times each: 0 taken for 1; 1 taken for 0.",
        ),
        ([[9, 1, 1], [1, 9, 0], [0, 1, 9]], "4 errors are the most frequent, 1 time"),
    ],
)
def test_errors_as_frequent_as_others(matrix: Any, said: str) -> None:
    assert said in of_heat(matrix, numbers="d")


def test_one_image() -> None:
    assert of_images([[[0.0, 1.0]]]).startswith("An image of numbers from 0 to 1.")
