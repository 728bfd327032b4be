"""Texts in the language in use.

Texts stand in the code in English. There are two kinds:

* what is made to be read, with ``tr("layer {k} of {depth}", k=2, depth=3)``: the text
  is looked up and its braces are filled, by :mod:`gettext`;
* what is written as an f-string where it arises: the answers of errors, the lines that
  recipes print. ``retold`` finds the template that such a text was made from, and fills
  the translated template with what stood in its places. Code that raises stays plain.

Traditional Chinese is in ``locale/zh_TW``: ``.po`` files, one for a part of the
package. ``python tools/words.py`` reads the texts and templates off the source, says
which have no line there, and makes ``chainrule.mo`` and ``templates.json`` of them.

This module is below the errors; :mod:`chainrule.language` chooses the language.
"""

from __future__ import annotations

import gettext
import json
import locale
import os
import re
import string
from contextvars import ContextVar
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

#: The language that was chosen; None: that of the system.
chosen: ContextVar[str | None] = ContextVar("language", default=None)

#: Where a text may be cut when no template fits the whole (lines, sentences, parts),
#: what of it stays with the first piece, and what joins them when that was told again.
_CUTS = {"\n": ("", "\n"), ". ": (".", ""), "; ": ("", "；"), ": ": ("", "：")}
#: What begins a name or a piece of code, which is nobody's sentence.
_QUOTED = re.compile(r"\s*['\"`]")


def current() -> str:
    """The language in use: ``"en"`` or ``"zh-TW"``.

    The one that :mod:`chainrule.language` chose, else that of ``LANGUAGE``, ``LC_ALL``,
    ``LC_MESSAGES``, ``LANG`` or the system's settings; English where none of them is
    Chinese.
    """
    return chosen.get() or of_the_system()


def meant(name: str) -> str | None:
    """The language that a name means (``zh``, ``ZH_TW.UTF-8``), or None."""
    word = name.replace("_", "-").partition(".")[0].lower()
    if word == "zh" or word.startswith("zh-"):
        return "zh-TW"
    return "en" if word == "en" or word.startswith("en-") else None


@cache
def of_the_system() -> str:
    """The language of the environment's variables or the system's settings."""
    names = [os.environ.get("LANGUAGE", "").partition(":")[0]]
    names += [os.environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG")]
    names.append(locale.getlocale()[0] or "")
    given = next((name for name in names if name), "en")
    return meant(given) or "en"


def tr(text: str, /, **values: Any) -> str:
    """``text`` in the language in use, with ``values`` in its braces."""
    made = _catalogue(current()).gettext(text) if text else text
    return made.format(**values) if values else made


def retold(text: str) -> str:
    """``text``, made of a template of the source, in the language in use.

    A text that no template fits is cut into lines, then sentences; a piece that none
    fits stays as it is.
    """
    return text if current() == "en" else _retold(text)


def untold(text: str) -> list[str]:
    """The pieces of a text that no template fits, as a test asks for them."""
    left: list[str] = []
    _retold.cache_clear()
    _told(text, left)
    return left


# -- templates -------------------------------------------------------------------------


class Template(NamedTuple):
    """An f-string of the source: what stands between its places, and their names."""

    chunks: tuple[str, ...]
    names: tuple[str, ...]
    said: str

    @property
    def weight(self) -> int:
        """Characters that a text must have to fit."""
        return sum(map(len, self.chunks))

    def places(self, text: str) -> dict[str, str] | None:
        """What stands in the places of a text that fits, or None."""
        first, last = self.chunks[0], self.chunks[-1]
        if not text.startswith(first) or not text.endswith(last):
            return None
        at, end = len(first), len(text) - len(last)
        found: dict[str, str] = {}
        for name, chunk in zip(self.names, [*self.chunks[1:-1], None]):
            to = end if chunk is None else text.find(chunk, at, end)
            if to < at or found.get(name, text[at:to]) != text[at:to]:
                return None
            found[name] = text[at:to]
            at = to + len(chunk or "")
        return found


def template(english: str, said: str) -> Template:
    """A template of two texts with names in braces."""
    chunks, names = [""], list[str]()
    for between, name, _, _ in string.Formatter().parse(english):
        chunks[-1] += between
        if name is not None:
            names.append(name)
            chunks.append("")
    return Template(tuple(chunks), tuple(names), said)


@lru_cache(4096)
def _retold(text: str) -> str:
    return _told(text, [])


def _told(text: str, left: list[str]) -> str:
    """The text told again; pieces that no template fits are added to ``left``."""
    body = text.strip()
    if body != text:  # templates have no blanks around them
        start = len(text) - len(text.lstrip())
        return text[:start] + _told(body, left) + text[start + len(body) :]
    whole = _fitting(text)
    if whole is not None:
        return whole
    for cut, (kept, joint) in _CUTS.items():
        head, found, tail = text.partition(cut)
        if found:
            head += kept
            told = _told(head, left)
            between = cut.removeprefix(kept) if told == head else joint
            return told + between + _told(tail, left)
    if body:
        left.append(body)
    return text


def _fitting(text: str) -> str | None:
    plain, shaped = _templates()
    if text in plain:
        return plain[text]
    for each in shaped:  # the most telling ones first
        places = each.places(text)
        if places is not None:
            return each.said.format(**{k: _place(v) for k, v in places.items()})
    return None


def _place(value: str) -> str:
    """What stands in a place: a word of ours is told again, a name or number is not."""
    return value if _QUOTED.match(value) else _told(value, [])


@cache
def _templates() -> tuple[dict[str, str], tuple[Template, ...]]:
    pairs: list[list[str]] = json.loads(_file("templates.json").read_bytes())
    shaped = [template(*pair) for pair in pairs]
    plain = {t.chunks[0]: t.said.format() for t in shaped if not t.names}
    rest = (t for t in shaped if t.names)
    return plain, tuple(sorted(rest, key=lambda t: -t.weight))


# -- files -----------------------------------------------------------------------------


@cache
def _catalogue(name: str) -> gettext.NullTranslations:
    if name == "en":
        return gettext.NullTranslations()
    with _file("chainrule.mo").open("rb") as file:
        return gettext.GNUTranslations(file)


def _file(name: str) -> Path:
    return Path(__file__).parent / "locale" / "zh_TW" / name
