"""Line numbers of the keys in a TOML file, which ``tomllib`` does not report.

The text has been read by ``tomllib`` before, so it is known to be right, and a reader
of brackets, strings and commas is enough.
"""

from __future__ import annotations

import re
import tomllib

from chainrule.runs.problems import Where

_TOKEN = re.compile(
    r"(?P<comment>#[^\n]*)"
    r'|(?P<string>"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}'
    r"|\"(?:\\.|[^\"\\\n])*\"|'[^'\n]*')"
    r"|(?P<mark>[\n\[\]{}=,.])"
    r"|(?P<word>[^\s\[\]{}=,.#\"']+)",
    re.DOTALL,
)


def places(text: str) -> dict[Where, int]:
    """Return the line, from 1, of every section, key and list item of a TOML text.

    >>> places("[model]\\nlayers = [\\n  'ReLU',\\n]")[("model", "layers", 0)]
    3
    """
    reader = _Reader(text)
    try:
        reader.read()
    except (IndexError, ValueError, RecursionError):
        return {}  # messages do without
    return reader.lines


class _Reader:
    """A parser of TOML tokens that records the line of each key."""

    def __init__(self, text: str) -> None:
        tokens: list[tuple[str, str, int]] = [("mark", "", 0)]
        line = 1
        for match in _TOKEN.finditer(text):
            kind, token = str(match.lastgroup), match.group()
            if kind != "comment":
                tokens.append((kind, token, line))
            line += token.count("\n")
        tokens.append(tokens.pop(0))
        self.tokens = tokens[::-1]
        self.lines: dict[Where, int] = {}
        self.counts: dict[Where, int] = {}

    def read(self) -> None:
        """Parse all statements of the text."""
        section: Where = ()
        while self._next():
            if self._next() == "\n":
                self.tokens.pop()
            elif self._next() == "[":
                section = self._header()
            else:
                self._pair(section)

    def _next(self) -> str:
        return self.tokens[-1][1]

    def _header(self) -> Where:
        """Parse a header ``[a.b]`` or ``[[a.b]]``; return the path of its table."""
        line = self.tokens.pop()[2]
        many = self._next() == "["
        path: Where = ()
        for name in self._keys("]"):
            # In a list of tables, its last one.
            if path in self.counts:
                path = (*path, self.counts[path] - 1)
            path = (*path, name)
        if many:
            self.lines.setdefault(path, line)
            self.counts[path] = self.counts.get(path, 0) + 1
            path = (*path, self.counts[path] - 1)
        self.lines.setdefault(path, line)
        while self._next() == "]":
            self.tokens.pop()
        return path

    def _keys(self, end: str) -> list[str]:
        """Parse a dotted key up to the mark ``end``, which is not consumed."""
        keys = []
        while self._next() != end:
            kind, token, _ = self.tokens.pop()
            if kind != "mark":
                keys.append(
                    tomllib.loads(f"k = {token}")["k"] if kind == "string" else token
                )
        return keys

    def _pair(self, path: Where) -> None:
        """Parse a statement ``key = value``, and record its line."""
        line = self.tokens[-1][2]
        for name in self._keys("="):
            path = (*path, name)
            self.lines.setdefault(path, line)
        self.tokens.pop()
        self._value(path)

    def _value(self, path: Where) -> None:
        """Parse a value after ``=`` or in a list."""
        mark, index = self._next(), 0
        if mark not in ("[", "{"):
            while self._next() not in (",", "]", "}", "\n", ""):
                self.tokens.pop()
            return
        self.tokens.pop()
        while self._next() not in ("]", "}", ""):
            if self._next() in ("\n", ","):
                self.tokens.pop()
            elif mark == "{":
                self._pair(path)
            else:
                self.lines[(*path, index)] = self.tokens[-1][2]
                self._value((*path, index))
                index += 1
        self.tokens.pop()
