"""Tokenisation of texts: rows of token indices, of words or of characters."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from chainrule.data.checks import shortened
from chainrule.data.tables.cells import Cells, Nothing
from chainrule.data.tables.columns import Written
from chainrule.data.tables.source import Source
from chainrule.errors import DataError
from chainrule.text import _
from chainrule.util import validation

#: The numbers of what is no unit of the vocabulary, and of its first one.
PADDING, UNKNOWN, FIRST = 0, 1, 2
#: Units that a row may have; and those where nothing is said, and what share of the
#: texts shall be whole.
LONGEST, USUAL, WHOLE = 10_000, 500, 0.95
#: Units that come up less often are unknown: so the network learns what to make of it.
OFTEN = 2

Units = Literal["words", "characters"]
_APOSTROPHE = re.compile(r"(?<!\w)['’]|['’](?!\w)")


class _Apart(dict[int, str]):
    """A character translation that puts spaces around characters that are words."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        mark = unicodedata.category(char)[0] in "PS" and char not in "'’"
        name = unicodedata.name(char, "")
        alone = mark or name.startswith(("CJK UNIFIED", "HIRAGANA"))
        self[code] = f" {char} " if alone else char
        return self[code]


_APART = _Apart()


def words(text: str) -> list[str]:
    """Split a text into words, punctuation marks and single Chinese characters.

    >>> words("Don't panic: 3.5%!"), words("我愛NLP。")
    (["Don't", 'panic', ':', '3', '.', '5', '%', '!'], ['我', '愛', 'NLP', '。'])
    """
    return _APOSTROPHE.sub(r" \g<0> ", text).translate(_APART).split()


@dataclass(frozen=True)
class Texts:
    """A text column: the indices of each text's first tokens, padded with 0 in front.

    Attributes:
        name: of the column.
        units: what a text is cut into.
        length: how many of them a row has.
        vocabulary: the units that have a number, from 2 on; 1 is any other one.
        lowercase: whether capitals are taken for small letters.
    """

    name: str
    units: Units
    length: int
    vocabulary: tuple[str, ...]
    lowercase: bool = True
    kind: Literal["text"] = "text"

    def __post_init__(self) -> None:
        if not 1 <= self.length <= LONGEST:  # as a file may say
            raise ValueError(
                _(
                    "a length of 1 to {LONGEST}, not {length}",
                    LONGEST=LONGEST,
                    length=self.length,
                )
            )

    def names(self) -> list[str]:
        """Return the names of the token positions."""
        return [f"{self.name} {i + 1}" for i in range(self.length)]

    def cut(self, text: str) -> list[str]:
        """Split a text into tokens; several spaces count as one."""
        text = unicodedata.normalize("NFC", text)
        text = text.lower() if self.lowercase else text
        return words(text) if self.units == "words" else [*" ".join(text.split())]

    def write(self, cells: Cells, out: np.ndarray, nothing: Nothing) -> Written:
        """Write the token indices of some rows into ``out``, padded in front."""
        place = {unit: i for i, unit in enumerate(self.vocabulary, FIRST)}
        made, met = np.full((cells.distinct, self.length), PADDING, np.int32), Written()
        for row, text, count in zip(made, cells.texts, cells.counts().tolist()):
            found = [place.get(u, UNKNOWN) for u in self.cut(text)[: self.length]]
            if found:
                row[-len(found) :] = found
                met.rare += count * found.count(UNKNOWN)
        out[:] = cells.spread(made)
        return met

    def shown(self, row: Sequence[int]) -> str:
        """Return the text of a row of token indices; □ is an unknown token."""
        known = ("", "□", *self.vocabulary)
        between = " " if self.units == "words" else ""
        return between.join(known[i] for i in row if i != PADDING)


@dataclass
class _Counts:
    """The token counts and lengths of a column's texts."""

    units: Counter[str]
    lengths: Counter[int]
    different: bool

    @classmethod
    def of(cls, source: Source, column: Texts) -> _Counts:
        made, first = cls(Counter(), Counter(), different=False), None
        for chunk in source.chunks([column.name]):
            cells = chunk.cells[column.name]
            for text, count in zip(cells.texts, cells.counts().tolist()):
                own = column.cut(text)
                first = own if first is None else first
                made.different |= own != first
                made.lengths[len(own)] += count
                for unit in own:
                    made.units[unit] += count
        return made

    def length(self) -> int:
        """Return the number of tokens at which most texts are complete."""
        seen, all_of_them = 0, self.lengths.total()
        for length in sorted(self.lengths):
            seen += self.lengths[length]
            if seen >= WHOLE * all_of_them:
                return min(max(length, 1), USUAL)
        return 1


def learned(
    source: Source,
    name: str,
    *,
    units: str = "words",
    length: int | None = None,
    vocabulary: int = 10_000,
    lowercase: bool = True,
) -> tuple[Texts, list[str]]:
    """Learn the vocabulary and length of a text column; return it with notes.

    Raises:
        ArgumentError: an argument that is no choice.
        DataError: texts that tell nothing.
    """
    validation.choice(*get_args(Units))("units", units)
    most = validation.whole("vocabulary", vocabulary)
    if length is not None:
        length = validation.whole("length", length, most=LONGEST)
    lowercase = validation.truth("lowercase", lowercase)
    source.require([name], _("the text"))
    column = Texts(name, units, 1, (), lowercase)  # pyright: ignore[reportArgumentType]
    found = _Counts.of(source, column)
    often = [unit for unit, count in found.units.items() if count >= OFTEN]
    kept = sorted(often, key=lambda unit: (-found.units[unit], unit))[:most]
    _check(source.name, column, found, kept)
    length = length or found.length()
    total = found.units.total()
    share = sum(found.units[unit] for unit in kept) / total
    longer = sum(n for size, n in found.lengths.items() if size > length)
    notes = [
        _(
            "the vocabulary of '{name}' has {kept:,} of {units_count:,} {units}, "
            "{share:.1%} of what the texts hold",
            name=shortened(name),
            kept=len(kept),
            units_count=len(found.units),
            units=units,
            share=share,
        )
    ]
    if longer:
        notes.append(
            _(
                "{longer:,} texts are cut behind the first {length} {units}",
                longer=longer,
                length=length,
                units=units,
            )
        )
    made = Texts(name, column.units, length, tuple(kept), lowercase)
    return made, notes


def _check(source: str, column: Texts, found: _Counts, kept: Sequence[str]) -> None:
    """Refuse a text column from which nothing can be learned."""
    got, fix = shortened(", ".join(found.units)), _("is it the right column?")
    if not found.units:
        what, expected, got = _("is empty"), "texts", _("empty cells alone")
    elif not found.different:
        what, expected = _("has the same text in all rows"), _("texts that differ")
    elif not kept:
        what = _(
            "has no vocabulary: none of its {units} comes up twice", units=column.units
        )
        expected = _("{units} that come up again and again", units=column.units)
        fix = "units='characters'" if column.units == "words" else _("more texts")
    else:
        return
    what = _(
        "Column '{name}' of '{source}' {what}.",
        name=shortened(column.name),
        source=source,
        what=what,
    )
    raise DataError(what, expected=expected, got=got, fix=fix)
