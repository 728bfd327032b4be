"""Kinds of values in a run's file: what is taken, and how it is called in messages."""

from __future__ import annotations

import itertools
import math
import unicodedata
from dataclasses import dataclass
from typing import Any

from chainrule.errors import nearest

#: A whole number that every part of the framework can count with.
LARGEST = 2**31 - 1


class WrongValueError(Exception):
    """A value of another kind; caught where the key is known, never shown as it is."""

    def __init__(self, expected: str, fix: str | None = None) -> None:
        super().__init__(expected)
        self.expected, self.fix = expected, fix


@dataclass(frozen=True)
class Kind:
    """A kind of values.

    Attributes:
        expected: what it is called, after "expected: ".
    """

    @property
    def expected(self) -> str:
        """In words."""
        return "a value"

    def take(self, value: Any) -> Any:
        """``value``, ready for use.

        Raises:
            WrongValueError: it is of another kind.
        """
        raise WrongValueError(self.expected)


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number from ``low`` to ``high``."""

    low: int = -LARGEST
    high: int = LARGEST

    @property
    def expected(self) -> str:
        """With its bounds."""
        if self.low == -LARGEST and self.high == LARGEST:
            return "a whole number"
        if self.high == LARGEST:
            return f"a whole number ≥ {self.low}"
        return f"a whole number from {self.low} to {self.high:,}"

    def take(self, value: Any) -> int:
        """A number within the bounds; true and false are none."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise WrongValueError(self.expected)
        if not self.low <= value <= self.high:
            raise WrongValueError(self.expected)
        return value


@dataclass(frozen=True)
class Number(Kind):
    """A finite number between ``low`` and ``high``."""

    low: float = -math.inf
    high: float = math.inf
    strict: bool = False

    @property
    def expected(self) -> str:
        """With its bounds."""
        low, high = f"{self.low:g}", f"{self.high:g}"
        if math.isfinite(self.low) and math.isfinite(self.high):
            between = "strictly between" if self.strict else "from"
            joint = "and" if self.strict else "to"
            return f"a number {between} {low} {joint} {high}"
        if math.isfinite(self.low):
            return f"a number {'>' if self.strict else '≥'} {low}"
        return "a finite number"

    def take(self, value: Any) -> float:
        """A finite number within the bounds."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise WrongValueError(self.expected)
        try:
            number = float(value)
        except OverflowError:
            raise WrongValueError(self.expected) from None
        outside = not self.low <= number <= self.high
        if self.strict and number in (self.low, self.high):
            outside = True
        if outside or not math.isfinite(number):
            raise WrongValueError(self.expected)
        return number


@dataclass(frozen=True)
class Flag(Kind):
    """True or false."""

    @property
    def expected(self) -> str:
        """Both."""
        return "true or false"

    def take(self, value: Any) -> bool:
        """A truth value; 0 and 1 are none."""
        if not isinstance(value, bool):
            raise WrongValueError(self.expected)
        return value


@dataclass(frozen=True)
class Text(Kind):
    """Text without control characters, called ``what``; ``blank`` may be a tab."""

    what: str = "text in quotes"
    blank: bool = False

    @property
    def expected(self) -> str:
        """Its name."""
        return self.what

    def take(self, value: Any) -> str:
        """Text with something in it."""
        if not isinstance(value, str) or not value:
            raise WrongValueError(self.expected)
        if value.isspace():
            if self.blank and value in "\t ":
                return value
            raise WrongValueError(self.expected)
        # Surrogates cannot come out of TOML, but out of a document made elsewhere.
        if any(ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in value):
            raise WrongValueError(f"{self.expected}, without control characters")
        return value


@dataclass(frozen=True)
class Choice(Kind):
    """One of some words."""

    names: tuple[str, ...]

    @property
    def expected(self) -> str:
        """All of them."""
        return " or ".join(f'"{name}"' for name in self.names)

    def take(self, value: Any) -> str:
        """One of them."""
        if value in self.names and isinstance(value, str):
            return value
        near = nearest(value, self.names) if isinstance(value, str) else None
        raise WrongValueError(
            self.expected, f'did you mean "{near}"?' if near else None
        )


@dataclass(frozen=True)
class ListOf(Kind):
    """A list of values of one kind."""

    kind: Kind
    what: str
    shortest: int = 1
    longest: int = LARGEST

    @property
    def expected(self) -> str:
        """Its name."""
        return self.what

    def take(self, value: Any) -> list[Any]:
        """The list, each item taken."""
        if not isinstance(value, list) or not (
            self.shortest <= len(value) <= self.longest
        ):
            raise WrongValueError(self.expected)
        taken = []
        for item in value:
            try:
                taken.append(self.kind.take(item))
            except WrongValueError as wrong:
                within = f"{self.expected}; {show(item)} is none of its items"
                raise WrongValueError(within, wrong.fix) from None
        return taken


@dataclass(frozen=True)
class Either(Kind):
    """A value of one of several kinds; the first that takes it counts."""

    kinds: tuple[Kind, ...]

    @property
    def expected(self) -> str:
        """All of them."""
        return ", or ".join(kind.expected for kind in self.kinds)

    def take(self, value: Any) -> Any:
        """By the first kind that takes it."""
        fixes = []
        for kind in self.kinds:
            try:
                return kind.take(value)
            except WrongValueError as wrong:
                fixes.append(wrong.fix)
        raise WrongValueError(self.expected, next(filter(None, fixes), None))


@dataclass(frozen=True)
class Table(Kind):
    """A table from text to values of one kind."""

    kind: Kind
    what: str

    @property
    def expected(self) -> str:
        """Its name."""
        return self.what

    def take(self, value: Any) -> dict[str, Any]:
        """The table, each value taken."""
        if not isinstance(value, dict):
            raise WrongValueError(self.expected)
        taken = {}
        for key, item in value.items():
            try:
                taken[key] = self.kind.take(item)
            except WrongValueError as wrong:
                raise WrongValueError(
                    f"{wrong.expected} for {key!r} in {self.expected}", wrong.fix
                ) from None
        return taken


@dataclass(frozen=True)
class Options(Kind):
    """A table whose keys are looked at elsewhere, called ``what``."""

    what: str

    @property
    def expected(self) -> str:
        """Its name."""
        return self.what

    def take(self, value: Any) -> dict[str, Any]:
        """Any table."""
        if not isinstance(value, dict):
            raise WrongValueError(self.expected)
        return value


@dataclass(frozen=True)
class Plain(Kind):
    """Numbers, text, truth values, and short lists of them: what JSON holds."""

    @property
    def expected(self) -> str:
        """In words."""
        return "a number, text, true or false, or a list of them"

    def take(self, value: Any) -> Any:
        """Such a value."""
        items = value if isinstance(value, list) else [value]
        for item in items:
            if isinstance(item, str):
                Text().take(item)
            elif isinstance(item, bool):
                continue
            elif isinstance(item, int):
                Whole().take(item)
            else:
                Number().take(item)
        return value


def show(value: Any, room: int = 60) -> str:
    """``value`` as a person would write it in TOML, shortened to ``room`` characters.

    >>> show(True), show("a"), show([1, "b"]), show({"p": 0.5})
    ('true', '"a"', '[1, "b"]', '{p = 0.5}')
    """
    text = written(value, depth=4, items=50)
    return text if len(text) <= room else text[: room - 1] + "…"


def written(value: Any, *, depth: int = 100, items: int = 10**9) -> str:
    """``value`` as TOML, down to ``depth`` brackets and up to ``items`` in each.

    >>> written({"size": [28, 28], "mode": "L"})
    '{size = [28, 28], mode = "L"}'
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, list | dict) and not depth:
        return "…"
    few = {"depth": depth - 1, "items": items}
    if isinstance(value, list):
        return f"[{', '.join(written(v, **few) for v in value[:items])}]"
    if isinstance(value, dict):
        pairs = itertools.islice(value.items(), items)
        inner = (f"{key(k)} = {written(v, **few)}" for k, v in pairs)
        return "{" + ", ".join(inner) + "}"
    if isinstance(value, int) and abs(value) > 10**30:
        return "a number of very many digits"
    return str(value)


def quote(text: str) -> str:
    r"""``text`` as a TOML string.

    >>> quote('C:\\data "new"')
    '"C:\\\\data \\"new\\""'
    """
    short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    inner = "".join(
        short.get(c, f"\\u{ord(c):04X}" if ord(c) < 32 or ord(c) == 127 else c)
        for c in text
    )
    return f'"{inner}"'


def key(name: str) -> str:
    """``name`` as a TOML key, quoted where it must be.

    >>> key("lr"), key("*.bias"), key("房價")
    ('lr', '"*.bias"', '"房價"')
    """
    bare = name and all(c.isascii() and (c.isalnum() or c in "_-") for c in name)
    return name if bare else quote(name)


def width(text: str) -> int:
    """Columns that a terminal gives a text: two for a Chinese character.

    >>> width("iris"), width("玫瑰")
    (4, 4)
    """
    return sum(
        0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )
