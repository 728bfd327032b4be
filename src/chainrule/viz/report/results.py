"""The results of a recipe's run as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chainrule.text import translated
from chainrule.text.numbers import number, width
from chainrule.viz.words import Words

#: Rows of a table that are shown, and columns.
ROWS, COLUMNS = 40, 8


def named(path: Sequence[str], words: Words, recipe: str = "") -> str:
    """Return a result's name in words; names that are not in the texts as they are.

    Where a recipe means something of its own by a name, the texts have it under the
    recipe's name and the path, or the recipe's name and the last part of it.

    Args:
        path: the keys that lead to the result.
        words: the texts of the page's language.
        recipe: its name.

    >>> from chainrule.viz.words import read_words
    >>> words = read_words("en")
    >>> named(["test_accuracy"], words), named(["GRU"], words)
    ('test accuracy', 'GRU')
    >>> named(["gain"], words), named(["gain"], words, "hierarchy")
    ('gain', 'layer 3 ahead of pixels, by nearest mean')
    """
    key = path[-1]
    own = f"results.{recipe}."
    known = (own + ".".join(path), own + key, f"results.{key}")
    return next((words[name] for name in known if name in words), key)


def path_named(path: Sequence[str], words: Words, recipe: str = "") -> str:
    """Return the name of a nested result in words: ``codes · 30 · network``."""
    return " · ".join(named(path[: i + 1], words, recipe) for i in range(len(path)))


def tables(
    result: Mapping[str, Any], words: Words, recipe: str = ""
) -> list[dict[str, Any]]:
    """Return the numbers of nested results as tables of text.

    Where several entries of one name have the same keys, each is a row, and the keys
    are the columns; what stands alone is a row with its number. Lists (curves,
    matrices) are left to the pictures.

    Args:
        result: what a recipe returned, plain data.
        words: the texts of the page's language.
        recipe: its name.

    >>> nets = {"a": {"r": 1}, "b": {"r": 2}}
    >>> from chainrule.viz.words import read_words
    >>> first, second = tables({"loss": 0.5, "nets": nets}, read_words("en"))
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
            head = ["", *(named((*paths[0], name), words, recipe) for name in names)]
            body = [
                [named(path, words, recipe), *_texts(rows[path].values(), words)]
                for path in paths
            ]
            made.append(_table(path_named(parent or (), words, recipe), head, body))
            continue
        for path in paths:
            body = [
                [named((*path, name), words, recipe), *_texts([value], words)]
                for name, value in rows[path].items()
            ]
            made.append(_table(path_named(path, words, recipe), [], body))
    return made


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """Yield the single numbers and short texts in nested results, with their paths."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _leaves(part, (*path, str(key)))
    elif path and isinstance(value, bool | int | float | str) and len(str(value)) < 60:
        yield path, value


def _texts(values: Any, words: Words) -> list[str]:
    return [
        ("✓" if value else "✗")
        if isinstance(value, bool)
        else named([translated(value)], words)
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
