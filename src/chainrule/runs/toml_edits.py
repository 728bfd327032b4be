"""Edits of a TOML text in place: values, keys and list items; all else stays.

Comments, order and layout are those of the text. It must be valid TOML: whoever edits
it parses the result, and compares it with what it should say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.runs.problems import Where

_KEY = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|[\w-]+')
_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_SCALAR = re.compile(r"[^\s,\]}#]+")
#: What may follow an item or a key of an inline table: its comma.
_COMMA = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*,")
_REST_OF_LINE = re.compile(r"[ \t\r]*(?:#[^\n]*)?(?=\n|\Z)")


@dataclass(frozen=True)
class Span:
    """The place of a value in a TOML text.

    Attributes:
        key: where its statement begins: its key, its header, or an item itself.
        start, end: of the value; of a section with a header its last statement's end.
        kind: ``"key"`` of a line, ``"inline"`` of an inline table, ``"item"`` of a
            list, ``"header"``.
    """

    key: int
    start: int
    end: int
    kind: str


class _Scan:
    """The places of all values of a valid TOML text."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.found: dict[Where, Span] = {}
        self.counts: dict[Where, int] = {}
        section: Where = ()
        while self._skip() < len(text):
            start = self.at
            if text[start] == "[":
                section = self._header()
                self.found[section] = Span(start, self.at, self.at, "header")
                continue
            self._statement(section, "key")
            if section in self.found:
                header = self.found[section]
                self.found[section] = Span(
                    header.key, header.start, self.at, header.kind
                )

    def _skip(self) -> int:
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at

    def _path(self) -> Where:
        path: list[str] = []
        while match := _KEY.match(self.text, self._skip()):
            token, self.at = match[0], match.end()
            path.append(json.loads(token) if token[0] == '"' else token.strip("'"))
            if self.text[self._skip()] != ".":
                break
            self.at += 1
        return tuple(path)

    def _header(self) -> Where:
        many = self.text.startswith("[[", self.at)
        self.at += 2 if many else 1
        names = self._path()
        self.at += 2 if many else 1
        path: Where = ()
        for i, name in enumerate(names):
            path = (*path, name)
            if many and i == len(names) - 1:
                self.counts[path] = self.counts.get(path, -1) + 1
            if path in self.counts:
                path = (*path, self.counts[path])
        return path

    def _statement(self, within: Where, kind: str) -> None:
        key = self.at
        path = (*within, *self._path())
        self.at += 1  # the sign =
        self._value(path, key, kind)

    def _value(self, path: Where, key: int | None, kind: str) -> None:
        start = self._skip()
        first = self.text[start]
        if first == "[":
            self.at, i = start + 1, 0
            while self.text[self._skip()] != "]":
                self._value((*path, i), None, "item")
                i += 1
                if self.text[self._skip()] == ",":
                    self.at += 1
            self.at += 1
        elif first == "{":
            self.at = start + 1
            while self.text[self._skip()] != "}":
                self._statement(path, "inline")
                if self.text[self._skip()] == ",":
                    self.at += 1
            self.at += 1
        else:
            match = (_STRING if first in "\"'" else _SCALAR).match(self.text, start)
            assert match is not None
            self.at = match.end()
        self.found[path] = Span(start if key is None else key, start, self.at, kind)


def spans(text: str) -> dict[Where, Span]:
    """Return the place of each value, item and section of a valid TOML text.

    >>> text = "model.layers = ['ReLU', { p = 0.5 }]"
    >>> place = spans(text)["model", "layers", 1, "p"]
    >>> text[place.key : place.end]
    'p = 0.5'
    """
    return _Scan(text).found


def shown(value: Any) -> str:
    """Return a value as TOML has it.

    >>> shown({"class": "Dropout", "p": 0.1}), shown([1, True])
    ('{ class = "Dropout", p = 0.1 }', '[1, true]')
    """
    if isinstance(value, str | bool):
        return json.dumps(value)
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{k} = {shown(v)}' for k, v in value.items())} }}"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(shown, value))}]"
    return repr(value)


def with_value(text: str, where: Where, value: Any) -> str:
    """Return a TOML text with a key's value, or an item, replaced or added.

    >>> print(with_value("[optimizer]\\nlr = 1.0  # fast", ("optimizer", "lr"), 0.1))
    [optimizer]
    lr = 0.1  # fast
    """
    known = spans(text)
    place = known.get(where)
    if place is not None:
        return text[: place.start] + shown(value) + text[place.end :]
    *section, key = where
    line, table = f"{key} = {shown(value)}", known.get(tuple(section))
    new = _new_line(text)
    if table is None:
        name = ".".join(map(str, section))
        dotted = [s for w, s in known.items() if w[:-1] == tuple(section)]
        if dotted:  # keys such as optimizer.lr
            end = _end_of_line(text, max(s.end for s in dotted))
            return f"{text[:end]}{new}{name}.{line}{text[end:]}"
        body = text.rstrip("\r\n")
        return f"{body}{new}{new}[{name}]{new}{line}{new}"
    if table.kind == "header":
        end = _end_of_line(text, table.start)
        return f"{text[:end]}{new}{line}{text[end:]}"
    inner = [s.end for w, s in known.items() if w[:-1] == tuple(section)]
    if not inner:
        return f"{text[: table.start]}{{ {line} }}{text[table.end :]}"
    return f"{text[: max(inner)]}, {line}{text[max(inner) :]}"


def without(text: str, where: Where) -> str:
    """Return a TOML text without a key, an item of a list, or a section.

    >>> without("layers = ['Linear', 'Softmax']", ("layers", 1))
    "layers = ['Linear']"
    """
    known = spans(text)
    place = known[where]
    start, end = place.key, place.end
    if place.kind in ("key", "header"):
        return _without_lines(text, start, _end_of_line(text, end))
    after = _COMMA.match(text, end)
    line = text.rfind("\n", 0, start) + 1
    if after is not None:
        rest = _REST_OF_LINE.match(text, after.end())
        if place.kind == "item" and not text[line:start].strip() and rest:
            return _without_lines(text, start, rest.end())
        end = after.end()
        while end < len(text) and text[end] in " \t":
            end += 1
        return text[:start] + text[end:]
    rest = _REST_OF_LINE.match(text, end)
    if place.kind == "item" and not text[line:start].strip() and rest:
        return _without_lines(text, start, rest.end())  # a comma before it may stay
    before = [
        s.end for w, s in known.items() if w[:-1] == where[:-1] and s.end <= start
    ]
    return text[: max(before, default=start)] + text[end:]


def with_item(text: str, where: Where, value: Any) -> str:
    """Return a TOML text with an item of a list behind the one at a place.

    >>> with_item("layers = ['Linear', 'Linear']", ("layers", 0), "ReLU")
    'layers = [\\'Linear\\', "ReLU", \\'Linear\\']'
    """
    known = spans(text)
    place, new = known[where], _new_line(text)
    if place.kind == "header":
        table = {"class": value} if isinstance(value, str) else value
        name = ".".join(str(part) for part in where[:-1])
        lines = [f"[[{name}]]", *(f"{k} = {shown(v)}" for k, v in table.items())]
        end = _end_of_line(text, place.end)
        return f"{text[:end]}{new}{new}{new.join(lines)}{text[end:]}"
    line = text.rfind("\n", 0, place.key) + 1
    indent, after = text[line : place.key], _COMMA.match(text, place.end)
    rest = None if after is None else _REST_OF_LINE.match(text, after.end())
    if after is not None and rest is not None and not indent.strip():
        end = rest.end() - (text[: rest.end()].endswith("\r"))
        return f"{text[:end]}{new}{indent}{shown(value)},{text[end:]}"
    return f"{text[: place.end]}, {shown(value)}{text[place.end :]}"


def _new_line(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _end_of_line(text: str, position: int) -> int:
    """Return where the line of a position ends, before its line break."""
    end = text.find("\n", position)
    end = len(text) if end < 0 else end
    return end - 1 if text[:end].endswith("\r") else end


def _without_lines(text: str, start: int, end: int) -> str:
    """Return a text without the lines from one position to another."""
    first, last = text.rfind("\n", 0, start) + 1, text.find("\n", end)
    return text[:first] + ("" if last < 0 else text[last + 1 :])
