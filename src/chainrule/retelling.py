"""Texts told again in another language, from the templates that they were made of.

A template is an f-string of the source: ``"{name} has {n} rows"``. ``templates.json``
has each with its translation, as ``tools/words.py`` reads them off the source.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from chainrule.formatting import width

#: Names that the user gave, words of data: told again in no language.
given: ContextVar[frozenset[str]] = ContextVar("given", default=frozenset())
TEMPLATES = Path(__file__).parent / "locale/zh_TW/templates.json"

#: Where a text may be cut when no template fits the whole (lines, sentences, parts),
#: what of it stays with the first piece, and what joins them when that was told again.
_CUTS = {
    "\n": ("", "\n"),
    ". ": (".", ""),
    "; ": ("", "；"),
    ": ": ("", "："),
    " or ": ("", " 或 "),
    ", ": ("", "，"),
    " = ": ("", " = "),
    " ≥ ": ("", " ≥ "),
}
#: What ends what these begin.
_QUOTES = "'\"`"
_CLOSING = {"(": ")", "[": "]", "{": "}", "'": "'", '"': '"', "`": "`"}
#: Words that are told again as whole answers only: elsewhere they may be names.
_ALONE = ("nothing", "none", "integers", "numbers", "neither")
#: Cuts that names and code have, too.
_WEAK = (": ", " or ", ", ", " = ", " ≥ ")
#: A template of fewer characters takes numbers, shapes and what is quoted, no words.
_THIN = 8
_DATA = re.compile(r"[^a-z]*|(\w+ )?\S*\d\S*|(['\"`]).*\2|[\[({].*[\])}]")
_WORDS = re.compile(r"[a-z]{2,} [a-z]{2,}")
_PHRASE = re.compile(r"[a-z]{2,} [a-z]{2,}|\n|[.;:] ")
#: What begins a name or a piece of code, which is nobody's sentence.
_QUOTED = re.compile(r"\s*['\"`]")
#: Letters of a template that says too little to know a line of text by.
_FEW = 5
#: A name and a number, and more blanks than a line of text begins with.
_NAMED, _INDENTED = re.compile(r"(.+?) ([-+−(]?\d.*)"), 8
#: What stands between two cells of a line.
_GAP = re.compile(r"( {2,})")


class Template(NamedTuple):
    """An f-string of the source.

    Attributes:
        chunks, names: what stands between its places, and their names.
        said: the translated template.
        weight: characters that a text must have to fit.
        thin: whether it says so little that any text might fit it.
    """

    chunks: tuple[str, ...]
    names: tuple[str, ...]
    said: str
    weight: int
    thin: bool

    def swallows(self, text: str) -> bool:
        """Whether the end of a sentence would lie within the last place."""
        return not self.chunks[-1] and text.endswith(".")

    def places(self, text: str) -> dict[str, str] | None:
        """What stands in the places of a text that fits, or None."""
        first, last = self.chunks[0], self.chunks[-1]
        if not text.startswith(first) or not text.endswith(last):
            return None
        at, end = len(first), len(text) - len(last)
        found: dict[str, str] = {}
        for name, chunk in zip(self.names, [*self.chunks[1:-1], None]):
            to = end if chunk is None else text.find(chunk, at, end)
            value = text[at:to]
            if to < at or found.get(name, value) != value:
                return None
            if self.thin and not _DATA.fullmatch(value):
                return None
            found[name] = value
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
    weight = sum(map(len, chunks))
    thin = weight < _THIN and sum(map(str.isalpha, chunks[0])) <= 2
    return Template(tuple(chunks), tuple(names), said, weight, thin)


class Teller:
    """Tells texts again that were made of templates.

    Args:
        templates: of one kind of texts, with their translations.
    """

    def __init__(self, templates: Iterable[Template]) -> None:
        known = list(templates)
        self._plain = {t.chunks[0]: t.said.format() for t in known if not t.names}
        shaped = sorted((t for t in known if t.names), key=lambda t: -t.weight)
        # By how they begin; the most telling first.
        starts = {t.chunks[0][:2] for t in shaped} | {""}
        self._shaped = {
            start: [t for t in shaped if start.startswith(t.chunks[0][:2])]
            for start in starts
        }

    def whole(self, text: str) -> str:
        """A whole text told again; a word of :data:`_ALONE` may be all of it."""
        word = self._word(text)
        return self.told(text, []) if word is None else word

    def _word(self, text: str) -> str | None:
        """A text without places told again; not one that the user gave."""
        return None if _given(text) else self._plain.get(text)

    def told(self, text: str, left: list[str]) -> str:
        """The text told again; pieces that no template fits are added to ``left``."""
        start, body, end = _bare(text)
        if body != text:  # templates have no blanks around them
            return start + self.told(body, left) + end
        whole = self._fitting(text)
        if whole is not None:
            return whole
        head, found, tail = _cut(text, ": ")
        if found and not _WORDS.search(head):  # a name or code, and what is said of it
            whole = self._fitting(tail)
            if whole is not None:
                return f"{head}：{whole}"
        for cut, (kept, joint) in _CUTS.items():
            head, found, tail = _cut(text, cut)
            if found:
                head += kept
                missing: list[str] = []
                told, rest = self.told(head, missing), self.told(tail, missing)
                if cut in _WEAK and any(map(_PHRASE.search, missing)):
                    continue  # half a sentence in each language is none
                left += missing
                same = told == head and (rest == tail or cut not in _WEAK)
                return told + (cut[len(kept) :] if same else joint) + rest
        if body:
            left.append(body)
        return text

    def _fitting(self, text: str) -> str | None:
        if _given(text):
            return text
        if text in self._plain and (" " in text or text not in _ALONE):
            return self._plain[text]
        found: tuple[Template, dict[str, str]] | None = None
        starts = (text[:2], text[:1], "")
        for each in next(self._shaped[s] for s in starts if s in self._shaped):
            places = each.places(text)
            if places is None or not self._may_be(each, places):
                continue
            if found is None or not each.swallows(text):
                found = each, places
                if not each.swallows(text):
                    break
        if found is None:
            inner = text[:1].lower() + text[1:]  # at the head of a sentence
            return self._fitting(inner) if text[:1] != inner[:1] else None
        return found[0].said.format(**self._places(*found))

    def _may_be(self, template: Template, places: dict[str, str]) -> bool:
        """Whether a text that fits was made of this template, as far as one can say."""
        return True

    def _places(self, template: Template, places: dict[str, str]) -> dict[str, str]:
        """What stands in its places, told again; what the template quotes is a name."""
        before = dict(zip(template.names, template.chunks))
        return {
            name: value if before[name].endswith(tuple(_QUOTES)) else self._place(value)
            for name, value in places.items()
        }

    def _place(self, value: str) -> str:
        """In a place a word of ours is told again, a name or number is not."""
        if _QUOTED.match(value):
            return value
        told = self.told(value, [])
        return value if told == value else told.strip()


class Printer(Teller):
    """Tells what is printed: line by line, cell by cell, each in its own columns."""

    def told(self, text: str, left: list[str]) -> str:
        lines: list[str] = []
        while True:  # the longest that fits: a text of several lines, then one line
            start, body, end = _bare(text)
            whole = self._fitting(body) if body else body
            if whole is not None:
                return "".join([*lines, start, whole, _room(end, body, whole)])
            line, found, text = text.partition("\n")
            lines += [self._line(line, left), found]
            if not found:
                return "".join(lines)

    def _may_be(self, template: Template, places: dict[str, str]) -> bool:
        few = sum(map(str.isalpha, "".join(template.chunks))) <= _FEW
        return not few or not any(" " in value.strip() for value in places.values())

    def _places(self, template: Template, places: dict[str, str]) -> dict[str, str]:
        made = super()._places(template, places)
        for name, behind in zip(template.names, template.chunks[1:]):
            if behind.startswith("  "):  # a cell
                made[name] += " " * (len(places[name]) - width(made[name]))
        return made

    def _place(self, value: str) -> str:
        if _QUOTED.match(value):
            return value
        start, body, end = _bare(value)
        told = self.told(body, []) if body else body
        return _room(start, body, told) + told + _room(end, body, told)

    def _line(self, line: str, left: list[str]) -> str:
        """A line: its cells stand at least two blanks apart."""
        start, body, end = _bare(line)
        first, *rest = _GAP.split(body)
        told = self._cell(first, left, among=rest)
        if not rest:
            return start + told + _room(end, body, told)
        made, gap = start + told, len(first) - width(told)
        many = len(rest) > 2 or len(start) > _INDENTED
        for blanks, cell in zip(rest[::2], rest[1::2]):
            told = self._cell(cell, left, among=rest)
            gap += len(blanks)
            more = len(cell) - width(told)
            ends = many and told != cell  # below each other; others begin so
            gap += more if ends else 0
            made += " " * max(gap, 2) + told
            gap = min(gap - 2, 0) + (0 if ends else more)
        return made + end

    def _cell(self, cell: str, left: list[str], among: Sequence[str]) -> str:
        """A text, or a heading; among others several names, or a name and a number."""
        word = self._word(cell[:-1]) if cell.endswith(":") else None
        if word is not None:
            return word + "："
        if not among or cell in self._plain:
            return super().told(cell, left) if cell else cell
        names = cell.split(", ")
        if len(names) > 1 and any(map(self._word, names)):
            return "、".join(self._word(name) or name for name in names)
        named = _NAMED.fullmatch(cell)
        word = self._word(named[1]) if named else None
        if named and word is not None:
            return f"{word} {named[2]}"
        return super().told(cell, left) if cell else cell


def _given(text: str) -> bool:
    """Whether all of a text is names that the user gave."""
    names = given.get()
    return bool(names) and (text in names or names.issuperset(text.split(", ")))


def _cut(text: str, mark: str) -> tuple[str, str, str]:
    """``text.partition(mark)``, but never within quotes or brackets: that is code."""
    if mark not in text:
        return text, "", ""
    waiting: list[str] = []
    for i, character in enumerate(text):
        if not waiting and text.startswith(mark, i):
            return text[:i], mark, text[i + len(mark) :]
        if waiting and character == waiting[-1]:
            waiting.pop()
        elif character in _CLOSING and not (waiting and waiting[-1] in _QUOTES):
            apostrophe = character == "'" and text[:i][-1:].isalnum()
            if not apostrophe:
                waiting.append(_CLOSING[character])
    return text.partition(mark) if waiting else (text, "", "")  # cut short itself


def _bare(text: str) -> tuple[str, str, str]:
    """What stands around a text: blanks, and a rule behind a heading."""
    inner = text.lstrip()
    start, body = text[: len(text) - len(inner)], inner.rstrip()
    unruled = body.rstrip("─")
    if unruled != body and unruled.endswith(" "):
        body = unruled[:-1]
    return start, body, inner[len(body) :]


def _room(blanks: str, before: str, after: str) -> str:
    """The blanks, or the rule, that go with another text in the same columns."""
    more = len(before) - width(after)  # Python pads by characters
    mark = "─" if "─" in blanks else " "
    padded = len(blanks) > 1 or (blanks and before[-1].isalnum())
    if not padded or not more or "\n" in blanks:
        return blanks
    room = max(blanks.count(mark) + more, 1)
    return re.sub(f"{mark}+", mark * room, blanks, count=1)


@lru_cache(maxsize=256)
def told(kind: str, text: str, names: frozenset[str]) -> str:
    """A text of a kind, ``errors`` or ``recipes``, told again.

    ``names`` are those of :data:`given`, which stay as they are: with others the same
    text is another one.
    """
    return teller(kind).whole(text)


@lru_cache(maxsize=2)
def teller(kind: str) -> Teller:
    """What tells the texts of a kind."""
    pairs: dict[str, list[list[str]]] = json.loads(TEMPLATES.read_bytes())
    made = Printer if kind == "recipes" else Teller
    return made(template(*pair) for pair in pairs[kind])
