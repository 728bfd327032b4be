"""On which line of a TOML file each key stands; ``tomllib`` does not say.

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
    r"|(?P<newline>\n)"
    r"|(?P<mark>[\[\]{}=,.])"
    r"|(?P<word>[^\s\[\]{}=,.#\"']+)",
    re.DOTALL,
)


def places(text: str) -> dict[Where, int]:
    """The line, from 1, of every section, key and list item of a TOML text.

    >>> places("[model]\\nlayers = [\\n  'ReLU',\\n]")[("model", "layers", 0)]
    3
    """
    try:
        return _Reader(text).read()
    except (IndexError, ValueError, RecursionError):
        return {}  # messages do without


class _Reader:
    """A walk over the tokens of a text; ``at`` is the next one."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str, int]] = []
        line = 1
        for match in _TOKEN.finditer(text):
            kind, token = match.lastgroup or "", match.group()
            if kind != "comment":
                self.tokens.append((kind, token, line))
            line += token.count("\n")
        self.at = 0
        self.lines: dict[Where, int] = {}
        self.counts: dict[Where, int] = {}

    def read(self) -> dict[Where, int]:
        """Statement by statement."""
        section: Where = ()
        while self.at < len(self.tokens):
            if self._next() == "\n":
                self.at += 1
            elif self._next() == "[":
                section = self._header()
            else:
                self._pair(section)
        return self.lines

    def _next(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def _take(self) -> tuple[str, str, int]:
        self.at += 1
        return self.tokens[self.at - 1]

    def _header(self) -> Where:
        """``[a.b]`` or ``[[a.b]]``; the path of the table that it opens."""
        line = self.tokens[self.at][2]
        self.at += 1
        many = self._next() == "["
        self.at += many
        path: Where = ()
        *outer, last = self._keys("]")
        self.at += 1 + many
        for name in outer:
            path = self._within((*path, name))
        path = (*path, last)
        if many:
            self.lines.setdefault(path, line)
            self.counts[path] = self.counts.get(path, 0) + 1
        path = self._within(path)
        self.lines.setdefault(path, line)
        return path

    def _within(self, path: Where) -> Where:
        """In a list of tables, its last one."""
        return (*path, self.counts[path] - 1) if path in self.counts else path

    def _keys(self, end: str) -> list[str]:
        """A dotted key up to the mark ``end``, which is not taken."""
        keys = []
        while self._next() != end:
            kind, token, _ = self._take()
            if kind == "string":
                keys.append(tomllib.loads(f"k = {token}")["k"])
            elif kind == "word":
                keys.append(token)
        return keys

    def _pair(self, outer: Where) -> None:
        """``key = value``."""
        line = self.tokens[self.at][2]
        path = outer
        for name in self._keys("="):
            path = (*path, name)
            self.lines.setdefault(path, line)
        self.at += 1
        self._value(path)

    def _value(self, path: Where) -> None:
        mark = self._next()
        if mark not in ("[", "{"):
            while self._next() not in (",", "]", "}", "\n", ""):
                self.at += 1
            return
        self.at += 1
        index = 0
        while self._next() not in ("]", "}", ""):
            if self._next() in ("\n", ","):
                self.at += 1
            elif mark == "[":
                item = (*path, index)
                self.lines[item] = self.tokens[self.at][2]
                self._value(item)
                index += 1
            else:
                self._pair(path)
        self.at += 1
