"""Reading and parsing of TOML files such as run files, with lines of keys."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from chainrule.data.files import checked_path, opened
from chainrule.errors import DataError
from chainrule.runs.problems import Where
from chainrule.text import _

#: No file that a person writes is as large.
BYTES_AT_MOST = 256 * 1024
#: Brackets within brackets, and dots in a key; a person needs five.
DEEPEST = 40
_DOTTED = re.compile(
    rf"(?<![\w\"'-])(?:[\w\"'-]++[ \t]*+\.[ \t]*+){{{DEEPEST}}}"  # in linear time
)
#: What may close a statement that goes on below the line: brackets, quotes.
_CLOSINGS = ("", "]", "}]", "]]", "]}]", '"""', "'''")
#: So many characters are parsed to find lines; the file of a person needs 100,000.
_SEARCHED_AT_MOST = 2**20
_HINTS = {
    "key part": _("an inline table { … } stands on one line; keys have no spaces"),
    "Cannot declare|Cannot overwrite": _("write every section and every key once"),
}


def text_of(path: Path, fix: str) -> str:
    """Read the text of a TOML file, such as a run file.

    Args:
        path: of the file.
        fix: what to do where there is none.

    Raises:
        DataError: no such file, or one that is no text.
    """
    with opened(checked_path(path, _("TOML file")), _("a TOML file"), fix) as file:
        content = file.read(BYTES_AT_MOST + 1)
    return decoded(content, path.name, _("TOML text in UTF-8, as the format demands"))


def decoded(content: bytes, name: str, expected: str) -> str:
    """Return the text of a file's bytes, in UTF-8 with or without a mark in front.

    Raises:
        DataError: for bytes in another coding.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            _("{name} is not in UTF-8.", name=name),
            expected=expected,
            got=_(
                "the byte 0x{content:02x} in line {line}",
                content=content[error.start],
                line=line,
            ),
            fix=_("save it as UTF-8 in your editor"),
        ) from error


def document(
    text: str,
    name: str,
    hints: Mapping[str, str],
    parse_float: Callable[[str], Any] = float,
    lines: str = _("lines such as epochs = 10 below lines such as [training]"),
) -> dict[str, Any]:
    """Parse a TOML text, such as a run file, into a dictionary.

    ``tomllib`` calls itself for every bracket and its time grows with the square of a
    dotted key, so both are bounded beforehand.

    Args:
        text: of the file.
        name: of the file.
        hints: what to do, by a pattern of what ``tomllib`` says; ``""`` for all else.
        parse_float: what becomes of numbers with a point.
        lines: what is expected.

    Raises:
        DataError: for what is no TOML.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    dotted = _DOTTED.search(text) if size <= BYTES_AT_MOST else None
    try:
        if size > BYTES_AT_MOST:
            raise ValueError(
                _("{size:,} bytes, too large for what a person writes", size=size)
            )
        if dotted is not None:
            raise ValueError(
                _("a key of very many parts, {dotted}…", dotted=dotted[0][:40])
            )
        return tomllib.loads(text, parse_float=parse_float)
    except tomllib.TOMLDecodeError as error:
        raise DataError(
            _("{name} is not TOML.", name=name),
            expected=lines,
            got=str(error),
            fix=_hint(str(error), hints),
        ) from error
    except (RecursionError, ValueError) as error:
        raise DataError(
            _("{name} cannot be read as TOML.", name=name),
            expected=_(
                "at most {BYTES_AT_MOST:,} bytes, {DEEPEST} brackets "
                "within each other, {DEEPEST} parts of a key, and numbers "
                "of a few digits",
                BYTES_AT_MOST=BYTES_AT_MOST,
                DEEPEST=DEEPEST,
            ),
            got=f"{error}"[:80],
            fix=_(
                "give the file that was asked for, not data; look for a "
                "bracket or a number that is not meant"
            ),
        ) from error


def _hint(message: str, hints: Mapping[str, str]) -> str:
    """Return a suggested fix for a common TOML syntax error."""
    every = {**_HINTS, **hints}
    every[""] = every.pop("")  # last
    return next(every[pattern] for pattern in every if re.search(pattern, message))


def lines_of(text: str) -> dict[Where, int]:
    """Return the line, from 1, of every section, key and list item of a TOML text.

    ``tomllib`` reports no positions. So each statement is parsed by itself: a key has
    the first line up to which the statement, closed there, contains the key.

    >>> lines_of("[model]\\nlayers = [\\n  'ReLU',\\n]")[("model", "layers", 0)]
    3
    """
    lines: dict[Where, int] = {}
    counts: dict[Where, int] = {}
    section: Where = ()
    statement, room = "", _SEARCHED_AT_MOST
    for number, line in enumerate(text.split("\n"), 1):
        statement += line + "\n"
        for closing in _CLOSINGS:
            room -= len(statement)
            try:
                parsed = tomllib.loads(statement + closing)
            except (ValueError, RecursionError):
                continue
            paths: Iterable[Where] = _paths(parsed)
            if statement.lstrip().startswith("["):
                section, paths = _header(parsed, counts), [()]
            for path in paths:
                lines.setdefault((*section, *path), number)
            if not closing:
                statement = ""
            break
        if room < 0:
            break
    return lines


def _paths(value: Any) -> Iterator[Where]:
    """Yield the path of every key and list item within a TOML value."""
    items = value.items() if isinstance(value, dict) else ()
    for name, inner in enumerate(value) if isinstance(value, list) else items:
        yield (name,)
        yield from ((name, *path) for path in _paths(inner))


def _header(parsed: Any, counts: dict[Where, int]) -> Where:
    """Return the path of the table that a TOML header ``[a.b]`` or ``[[a.b]]`` opens.

    Args:
        parsed: the header alone as a document.
        counts: the number of tables so far of each ``[[a.b]]``; it is updated.
    """
    path: Where = ()
    while parsed:
        ((name, parsed),) = parsed.items()
        path = (*path, name)
        if isinstance(parsed, list):
            counts[path], (parsed,) = counts.get(path, 0) + 1, parsed
        if path in counts:
            path = (*path, counts[path] - 1)
    return path
