"""Rows of a CSV file that are left out because cells of theirs are empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chainrule.data.table import Table


def left_out(path: Path, format: Mapping[str, Any], names: Sequence[str]) -> list[int]:
    """The lines of the rows that were not read, where those of ``names`` were.

    Args:
        path: a file.
        format: how it was read.
        names: of the rows that were read, such as ``line 6``.
    """
    if format.get("missing") != "drop":
        return []
    table, read = _table(path, format), set(names)
    lines = map(table.line, range(table.rows))
    return [line for line in lines if f"line {line}" not in read]


def rows_of(path: Path, format: Mapping[str, Any] | None, read: int) -> int:
    """How many rows a file has, where ``read`` of them were read."""
    if format is None or format.get("missing") != "drop":
        return read
    return _table(path, format).rows


def told(missing: int, rows: int) -> str:
    """The count in brackets, or nothing where no row is left out.

    >>> told(43, 400), told(0, 400)
    (' (43 of 400 rows left out for empty cells)', '')
    """
    if not missing:
        return ""
    return f" ({missing:,} of {rows:,} rows left out for empty cells)"


def _table(path: Path, format: Mapping[str, Any]) -> Table:
    options = {k: format[k] for k in ("delimiter", "encoding") if k in format}
    return Table.of(path, **options)
