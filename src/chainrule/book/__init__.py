"""The textbook's index: each formula, table row, step, question and exercise of its
chapters 1 to 3, with what shows it, what tests it, and our notes.

The entries are data (``index.toml``); a test holds every one of them to what exists.
"""

from __future__ import annotations

import textwrap
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from typing import Any

from chainrule.errors import ArgumentError, nearest

#: The languages that titles and notes come in.
LANGUAGES = ("en", "zh-TW")

_WORDS = {
    "en": {
        "formula": "formula",
        "table": "table",
        "step": "step",
        "statement": "statement",
        "system": "system",
        "question": "question",
        "exercise": "exercise",
        "shows": "shown by",
        "tests": "held by",
        "note": "note",
    },
    "zh-TW": {
        "formula": "公式",
        "table": "表格",
        "step": "步驟",
        "statement": "敘述",
        "system": "系統",
        "question": "思考題",
        "exercise": "練習題",
        "shows": "展示",
        "tests": "測試",
        "note": "附註",
    },
}
_WIDTH = 88


@dataclass(frozen=True)
class Entry:
    """One thing that the book says.

    Attributes:
        section: the book's number, such as ``"2.5.1"``.
        kind: ``formula``, ``table``, ``step``, ``statement``, ``system``, ``question``
            or ``exercise``.
        en, zh: what it is called.
        formula: as a terminal shows it.
        shows: command lines (they begin with ``chainrule``) and Python names.
        tests: the tests that hold it, ``FILE::FUNCTION``; ``*`` means the whole file.
        note_en, note_zh: what we add where the book is silent, short or wrong.
    """

    section: str
    kind: str
    en: str
    zh: str
    formula: str = ""
    shows: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    note_en: str = ""
    note_zh: str = ""

    def title(self, lang: str) -> str:
        """What it is called, in one of :data:`LANGUAGES`."""
        return self.en if lang == "en" else self.zh

    def note(self, lang: str) -> str:
        """Our note, in one of :data:`LANGUAGES`; empty where there is none."""
        return self.note_en if lang == "en" else self.note_zh


@cache
def _data() -> dict[str, Any]:
    text = resources.files("chainrule.book").joinpath("index.toml").read_text("utf-8")
    return tomllib.loads(text)


def sections() -> dict[str, dict[str, str]]:
    """Number → title in each language (``en``, ``zh``), in the book's order.

    >>> sections()["3.4.2"]["en"]
    'The error term'
    """
    return _data()["sections"]


def entries(section: str | None = None) -> list[Entry]:
    """The entries of a section and of those within it; all of them without one.

    Raises:
        ArgumentError: the book has no such section.

    >>> [entry.formula for entry in entries("2.6.2")]
    ['θₜ₊₁ = θₜ − η ∂L/∂θₜ']
    """
    if section is not None and section not in sections():
        near = nearest(section, sections())
        raise ArgumentError(
            f"The textbook has no section {section!r} in chapters 1 to 3.",
            expected="a number such as 3, 3.4 or 3.4.2",
            got=section,
            fix=f"chainrule book {near}" if near else "chainrule book lists them all",
        )
    every = [_read(item) for item in _data()["entry"]]
    if section is None:
        return every
    return [e for e in every if f"{e.section}.".startswith(f"{section}.")]


def _read(item: dict[str, Any]) -> Entry:
    lists: dict[str, Any] = {k: tuple(item.get(k, ())) for k in ("shows", "tests")}
    return Entry(**(item | lists))


def page(section: str | None = None, lang: str = "en") -> str:
    """The entries as text.

    Args:
        section: a number of the book; None for all.
        lang: ``"en"`` or ``"zh-TW"``.

    Raises:
        ArgumentError: an unknown section or language.

    >>> print(page("3.4.2"))
    3.4.2 The error term
    <BLANKLINE>
      formula    The error term
                 δ⁽ˡ⁾ = ∂ℒ/∂z⁽ˡ⁾
        shown by chainrule.explanation
        held by  tests/textbook/test_3_4_backpropagation.py::test_3_4_2_the_error_term_is_the_derivative_by_z
    <BLANKLINE>
      formula    The recursion
                 δ⁽ˡ⁾ = ((W⁽ˡ⁺¹⁾)ᵀ δ⁽ˡ⁺¹⁾) ⊙ f′(z⁽ˡ⁾)
        shown by chainrule.explanation, chainrule train two-two-one
        held by  tests/textbook/test_3_4_backpropagation.py::test_3_4_2_the_recursion
        note     For an elementwise f; in general δ = Jᵀ∇ℒ.
    """  # noqa: E501
    if lang not in LANGUAGES:
        raise ArgumentError(
            f"The index is not written in {lang!r}.",
            expected=" or ".join(LANGUAGES),
            got=lang,
            fix="--lang zh-TW",
        )
    found = entries(section)
    blocks: list[str] = []
    numbers = list(sections())
    for number in numbers:
        here = [entry for entry in found if entry.section == number]
        if here:
            title = sections()[number]["en" if lang == "en" else "zh"]
            blocks.append("\n\n".join([f"{number} {title}", *_entries(here, lang)]))
    if not blocks:
        title = sections()[section or "1"]["en" if lang == "en" else "zh"]
        nothing = {"en": "nothing to show or to compute", "zh-TW": "沒有公式或練習"}
        return f"{section} {title}\n\n  {nothing[lang]}"
    return "\n\n".join(blocks)


def _entries(items: Sequence[Entry], lang: str) -> list[str]:
    return [_entry(entry, lang) for entry in items]


def _entry(entry: Entry, lang: str) -> str:
    words = _WORDS[lang]
    lines = [_row(2, words[entry.kind], entry.title(lang))]
    if entry.formula:
        lines.append(" " * 13 + entry.formula)
    if entry.shows:
        lines.append(_row(4, words["shows"], ", ".join(entry.shows)))
    lines += [
        _row(4, words["tests"] if i == 0 else "", test)
        for i, test in enumerate(entry.tests)
    ]
    if entry.note(lang):
        first, *rest = _wrap(entry.note(lang))
        lines.append(_row(4, words["note"], first))
        lines += [" " * 13 + line for line in rest]
    return "\n".join(lines)


def _row(indent: int, word: str, text: str) -> str:
    from rich.cells import cell_len

    return " " * indent + word + " " * (13 - indent - cell_len(word)) + text


def _wrap(text: str) -> list[str]:
    """Lines that fit beside the words; Chinese characters take two columns."""
    from rich.cells import cell_len

    if cell_len(text) == len(text):
        return textwrap.wrap(text, _WIDTH - 13)
    lines = [""]
    for character in text:
        if (
            cell_len(lines[-1] + character) > _WIDTH - 13
            and character not in "，。；：）"
        ):
            lines.append("")
        lines[-1] += character
    return lines


def to_json(found: Sequence[Entry]) -> list[dict[str, Any]]:
    """Entries as plain dictionaries, ready for JSON."""
    return [asdict(entry) for entry in found]
