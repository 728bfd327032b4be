"""The results of a recipe's run as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chainrule.text.numbers import number, width

#: Rows of a table that are shown, and columns.
ROWS, COLUMNS = 40, 8


def tables(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the numbers of nested results as tables of text.

    Where several entries of one name have the same keys, each is a row, and the keys
    are the columns; what stands alone is a row with its number. Lists (curves,
    matrices) are left to the pictures.

    Args:
        result: what a recipe returned, plain data.

    >>> nets = {"a": {"r": 1}, "b": {"r": 2}}
    >>> first, second = tables({"loss": 0.5, "nets": nets})
    >>> first["rows"], second["head"], second["rows"]
    ([['loss', '0.5']], ['', 'r'], [['a', '1'], ['b', '2']])
    """
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for path, value in _leaves(result):
        rows.setdefault(path[:-1], {})[path[-1]] = value
    groups: dict[tuple[Any, ...], list[tuple[str, ...]]] = {}
    for path, values in rows.items():
        parent = path[:-1] if path else None
        groups.setdefault((parent, tuple(values)), []).append(path)
    made = []
    for (parent, names), paths in groups.items():
        if len(paths) > 1 and len(names) <= COLUMNS:
            head = ["", *names]
            body = [[path[-1], *_texts(rows[path].values())] for path in paths]
            made.append(_table(" · ".join(parent or ()), head, body))
            continue
        for path in paths:
            body = [[name, *_texts([value])] for name, value in rows[path].items()]
            made.append(_table(" · ".join(path), [], body))
    return made


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """Yield the single numbers and short texts in nested results, with their paths."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _leaves(part, (*path, str(key)))
    elif path and isinstance(value, bool | int | float | str) and len(str(value)) < 60:
        yield path, value


def _texts(values: Any) -> list[str]:
    return [
        ("✓" if value else "✗")
        if isinstance(value, bool)
        else value
        if isinstance(value, str)
        else number(value)
        for value in values
    ]


def _table(caption: str, head: list[str], body: list[list[str]]) -> dict[str, Any]:
    columns = zip(head or body[0], *body)
    room = sum(1.25 + 0.5 * max(map(width, column)) for column in columns)
    kinds = ["", *["number"] * (len(body[0]) - 1)]
    shown = {"caption": caption, "head": head, "rows": body[:ROWS], "kinds": kinds}
    return {**shown, "room": room, "left": max(len(body) - ROWS, 0)}
