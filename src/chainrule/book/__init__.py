"""An index of a neural-network textbook's chapters 1 to 3, with search.

Each formula, table row, step, question and exercise, with what shows it, what tests
it, and our notes.

The entries are data (``index.toml``); a test holds every one of them to what exists.

The room has everything that teaches the textbook: ``searching`` and ``pictures`` of the
index; ``derivation`` of back-propagation (``cr.derive``); ``marking`` of numbers worked
out by hand, and worksheets (``cr.check_work``), with the files of answers in ``work``
and ``answers``; ``experiments`` on the book's questions. What explains a network of
one's own is in :mod:`chainrule.explanation`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from typing import Any

from chainrule.book import searching
from chainrule.errors import ArgumentError, nearest
from chainrule.text import _, joined, tr
from chainrule.text.catalogue import current
from chainrule.text.languages import known, language
from chainrule.text.numbers import width
from chainrule.text.tables import wrapped

#: Columns of a page, and those in front of what stands beside a word.
_WIDTH, _MARGIN = 88, 13


@dataclass(frozen=True)
class Entry:
    """A textbook index entry: a formula, table row, step, question or exercise.

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

    def title(self, lang: str | None = None) -> str:
        """Return the title of a textbook index entry in a language."""
        return self.en if known(lang) == "en" else self.zh

    def note(self, lang: str | None = None) -> str:
        """Return our note on a textbook index entry in a language, or ""."""
        return self.note_en if known(lang) == "en" else self.note_zh


@cache
def _data() -> dict[str, Any]:
    text = resources.files("chainrule.book").joinpath("index.toml").read_text("utf-8")
    return tomllib.loads(text)


def sections() -> dict[str, dict[str, str]]:
    """Return textbook section numbers with titles in each language (``en``, ``zh``).

    >>> sections()["3.4.2"]["en"]
    'The error term'
    """
    return _data()["sections"]


def entries(section: str | None = None) -> list[Entry]:
    """Return the index entries of a textbook section and its subsections, or of all.

    Raises:
        ArgumentError: the book has no such section.

    >>> [entry.formula for entry in entries("2.6.2")]
    ['θₜ₊₁ = θₜ − η ∂L/∂θₜ']
    """
    if section is not None and section not in sections():
        near = nearest(section, sections())
        raise ArgumentError(
            _(
                "The textbook has no section {section} in chapters 1 to 3.",
                section=repr(section),
            ),
            expected=_("a number such as 3, 3.4 or 3.4.2"),
            got=section,
            fix=_("chainrule book {near}", near=near) if near else _("chainrule book"),
        )
    every = _every()
    if section is None:
        return every
    return [e for e in every if f"{e.section}.".startswith(f"{section}.")]


def _every() -> list[Entry]:
    return [_read(item) for item in _data()["entry"]]


def _read(item: dict[str, Any]) -> Entry:
    lists: dict[str, Any] = {k: tuple(item.get(k, ())) for k in ("shows", "tests")}
    return Entry(**(item | lists))


def search(*words: str, section: str | None = None) -> list[Entry]:
    """Return the textbook index entries that contain all of the words, in order.

    Titles in both languages, those of their sections, formulas, notes and the names of
    what shows them are looked through. ``delta`` finds δ.

    Args:
        words: as people type them.
        section: look there only.

    Raises:
        ArgumentError: no entry has them; the nearest words are offered.

    >>> [entry.en for entry in search("梯度爆炸")], search("momentum")[0].section
    (['Exploding gradients'], '2.6.3')
    """
    among = entries(section)
    texts = [searching.folded(_text(entry)) for entry in among]
    indices = searching.matching(texts, words)
    if not indices:
        raise _nothing(words, texts)
    return [among[i] for i in indices]


def _text(entry: Entry) -> str:
    """Return the searchable text of a textbook index entry."""
    of_section = " ".join(sections()[entry.section].values())
    named = entry.zh, entry.en, of_section, entry.formula, *entry.shows
    return " ".join((*named, entry.note_zh, entry.note_en))


def _nothing(words: Sequence[str], texts: Sequence[str]) -> ArgumentError:
    lacking = [word for word in words if not searching.matching(texts, [word])]
    offered = [near for word in lacking for near in searching.near(word, texts)]
    fix = joined(" or ", [_("chainrule book {near}", near=near) for near in offered])
    if not lacking:
        fix = _("chainrule book {words}", words=words[0])
    return ArgumentError(
        _("The index has nothing with {words}.", words=repr(" ".join(words))),
        expected=_("a section such as 3.4.2, or words of a title, formula or note"),
        got=" ".join(words),
        fix=fix or _("chainrule book"),
    )


def page(section: str | None = None, lang: str | None = None) -> str:
    """Return the index entries of a textbook section as text.

    Args:
        section: a number of the book; None for all.
        lang: ``"en"`` or ``"zh-TW"``; None for the language in use.

    Raises:
        ArgumentError: an unknown section or language.

    >>> print(page("3.4.2", "en"))
    3.4.2 The error term
    <BLANKLINE>
      formula    The error term
                 δ⁽ˡ⁾ = ∂ℒ/∂z⁽ˡ⁾
        shown by chainrule.explanation, chainrule derive 2-2sigmoid-1sigmoid, chainrule
                 worksheet 2-2sigmoid-1sigmoid, chainrule check-work mine.toml
        held by  tests/textbook/test_3_4_backpropagation.py::test_3_4_2_the_error_term_is_the_derivative_by_z
    <BLANKLINE>
      formula    The recursion
                 δ⁽ˡ⁾ = ((W⁽ˡ⁺¹⁾)ᵀ δ⁽ˡ⁺¹⁾) ⊙ f′(z⁽ˡ⁾)
        shown by chainrule.explanation, chainrule train two-two-one, chainrule derive
                 2-2sigmoid-1sigmoid, chainrule worksheet 2-2sigmoid-1sigmoid, chainrule
                 check-work mine.toml
        held by  tests/textbook/test_3_4_backpropagation.py::test_3_4_2_the_recursion
        note     For an elementwise f; in general δ = Jᵀ∇ℒ.
    """  # noqa: E501
    with language(lang):
        chosen = entries(section)
        if section is not None and not chosen:
            nothing = tr("nothing to show or to compute")
            return f"{section} {section_title(section)}\n\n  {nothing}"
        return text(chosen)


def section_title(section: str) -> str:
    """Return the title of a textbook section in the current language."""
    return sections()[section]["en" if current() == "en" else "zh"]


def text(entries: Sequence[Entry]) -> str:
    """Return textbook index entries as text, by section, in the current language."""
    blocks: list[str] = []
    for number in sections():
        here = [_entry(entry) for entry in entries if entry.section == number]
        if here:
            blocks.append("\n\n".join([f"{number} {section_title(number)}", *here]))
    return "\n\n".join(blocks)


def _kinds() -> dict[str, str]:
    return {
        "formula": tr("formula"),
        "table": tr("table"),
        "step": tr("step"),
        "statement": tr("statement"),
        "system": tr("system"),
        "question": tr("question"),
        "exercise": tr("exercise"),
    }


def _entry(entry: Entry) -> str:
    lines = [_row(2, _kinds()[entry.kind], entry.title())]
    if entry.formula:
        lines.append(" " * _MARGIN + entry.formula)
    if entry.shows:
        lines += _rows(tr("shown by"), tr(", ").join(entry.shows))
    lines += [
        _row(4, tr("held by") if i == 0 else "", test)
        for i, test in enumerate(entry.tests)
    ]
    if entry.note():
        lines += _rows(tr("note"), entry.note())
    return "\n".join(lines)


def _rows(word: str, text: str) -> list[str]:
    first, *rest = wrapped(text, _WIDTH - _MARGIN)
    return [_row(4, word, first), *(" " * _MARGIN + line for line in rest)]


def _row(indent: int, word: str, text: str) -> str:
    return " " * indent + word + " " * (_MARGIN - indent - width(word)) + text


def to_json(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return textbook index entries as plain dictionaries, ready for JSON."""
    return [asdict(entry) for entry in entries]
