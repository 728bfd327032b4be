"""Tokenisation of a table's text column into indices of words or characters."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from chainrule.data.checks import shortened
from chainrule.data.tables.cells import Cells, MissingValues
from chainrule.data.tables.columns import Encoded
from chainrule.data.tables.source import Source
from chainrule.errors import DataError
from chainrule.text import _, ngettext
from chainrule.util import validation

#: The indices of padding, of an unknown token, and of the vocabulary's first token.
PADDING, UNKNOWN, FIRST = 0, 1, 2
#: The largest length of a row; the largest default, and the share of texts that are not
#: cut by the default.
LONGEST, USUAL, WHOLE = 10_000, 500, 0.95
#: Less frequent tokens are unknown, so that training has examples of unknown ones.
OFTEN = 2

Units = Literal["words", "characters"]
_APOSTROPHE = re.compile(r"(?<!\w)['’]|['’](?!\w)")


class _Spaced(dict[int, str]):
    """A character translation that puts spaces around characters that are tokens."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        mark = unicodedata.category(char)[0] in "PS" and char not in "'’"
        name = unicodedata.name(char, "")
        is_word = mark or name.startswith(("CJK UNIFIED", "HIRAGANA"))
        self[code] = f" {char} " if is_word else char
        return self[code]


_SPACED = _Spaced()


def words(text: str) -> list[str]:
    """Split a text into words, punctuation marks and single Chinese characters.

    >>> words("Don't panic: 3.5%!"), words("我愛NLP。")
    (["Don't", 'panic', ':', '3', '.', '5', '%', '!'], ['我', '愛', 'NLP', '。'])
    """
    return _APOSTROPHE.sub(r" \g<0> ", text).translate(_SPACED).split()


@dataclass(frozen=True)
class Texts:
    """A text column of a table, as indices of tokens, padded with 0 in front.

    Attributes:
        name: the name of the column.
        units: ``"words"`` or ``"characters"``.
        length: the number of tokens of a row.
        vocabulary: the tokens with the indices 2, 3, …; any other one has the index 1.
        lowercase: whether capitals are replaced by small letters.
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

    @property
    def width(self) -> int:
        """The number of tokens of a row of a text column."""
        return self.length

    def names(self) -> list[str]:
        """Return the names of a text column's token positions."""
        return [f"{self.name} {i + 1}" for i in range(self.length)]

    def cut(self, text: str) -> list[str]:
        """Split a text of the column into tokens: words or characters."""
        text = unicodedata.normalize("NFC", text)
        text = text.lower() if self.lowercase else text
        return words(text) if self.units == "words" else [*" ".join(text.split())]

    def encode(
        self, cells: Cells, marks: MissingValues, dtype: Any = np.int32
    ) -> Encoded:
        """Encode a text column's cells as token indices, padded in front."""
        indices = {token: i for i, token in enumerate(self.vocabulary, FIRST)}
        values = np.full((len(cells), self.length), PADDING, dtype)
        encoded = Encoded(values, np.zeros(len(cells), bool))
        for row, text, count in zip(values, cells.texts, cells.counts().tolist()):
            tokens = [indices.get(t, UNKNOWN) for t in self.cut(text)[: self.length]]
            if tokens:
                row[-len(tokens) :] = tokens
                encoded.rare += count * tokens.count(UNKNOWN)
        return encoded

    def shown(self, row: Sequence[int]) -> str:
        """Decode a row of token indices to text; □ is an unknown token."""
        between = " " if self.units == "words" else ""
        return between.join(self.token(i) for i in row if i != PADDING)

    def token(self, index: int) -> str:
        """Return the token of an index: "" for padding, □ for an unknown one."""
        if index < FIRST:
            return "" if index == PADDING else "□"
        return self.vocabulary[index - FIRST]


@dataclass
class _Counts:
    """The counts of tokens and of text lengths in a text column."""

    units: Counter[str]
    lengths: Counter[int]
    different: bool

    @classmethod
    def of(cls, source: Source, column: Texts) -> _Counts:
        counts, first = cls(Counter(), Counter(), different=False), None
        for chunk in source.chunks([column.name]):
            cells = chunk.cells[column.name]
            for text, count in zip(cells.texts, cells.counts().tolist()):
                tokens = column.cut(text)
                first = tokens if first is None else first
                counts.different |= tokens != first
                counts.lengths[len(tokens)] += count
                for token in tokens:
                    counts.units[token] += count
        return counts

    def length(self) -> int:
        """Return the number of tokens within which most texts of a column end."""
        complete, total = 0, self.lengths.total()
        for length in sorted(self.lengths):
            complete += self.lengths[length]
            if complete >= WHOLE * total:
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
    """Learn the vocabulary and length of a text column for tokenisation.

    Raises:
        ArgumentError: an invalid argument.
        DataError: texts from which nothing can be learned.
    """
    validation.choice(*get_args(Units))("units", units)
    limit = validation.whole("vocabulary", vocabulary)
    if length is not None:
        length = validation.whole("length", length, most=LONGEST)
    lowercase = validation.truth("lowercase", lowercase)
    source.require([name], _("the text"))
    column = Texts(name, units, 1, (), lowercase)  # pyright: ignore[reportArgumentType]
    counts = _Counts.of(source, column)
    frequent = [unit for unit, count in counts.units.items() if count >= OFTEN]
    kept_tokens = sorted(frequent, key=lambda unit: (-counts.units[unit], unit))[:limit]
    _check(source.name, column, counts, kept_tokens)
    length = length or counts.length()
    total = counts.units.total()
    share = sum(counts.units[unit] for unit in kept_tokens) / total
    longer = sum(n for size, n in counts.lengths.items() if size > length)
    notes = [
        _(
            "the vocabulary of '{name}' has {kept:,} of {units_count:,} {units}, "
            "{share:.1%} of what the texts hold",
            name=shortened(name),
            kept=len(kept_tokens),
            units_count=len(counts.units),
            units=units,
            share=share,
        )
    ]
    if longer:
        notes.append(
            ngettext(
                "{n:,} text is cut behind the first {length} {units}",
                "{n:,} texts are cut behind the first {length} {units}",
                n=longer,
                length=length,
                units=units,
            )
        )
    return Texts(name, column.units, length, tuple(kept_tokens), lowercase), notes


def _check(
    source: str, column: Texts, counts: _Counts, vocabulary: Sequence[str]
) -> None:
    """Refuse a text column from which no vocabulary can be learnt."""
    got, fix = shortened(", ".join(counts.units)), _("is it the right column?")
    if not counts.units:
        what, expected, got = _("is empty"), "texts", _("empty cells alone")
    elif not counts.different:
        what, expected = _("has the same text in all rows"), _("texts that differ")
    elif not vocabulary:
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
