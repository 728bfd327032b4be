"""Rows of a table that are left out because cells of theirs are empty."""

from __future__ import annotations

from chainrule.data import Dataset


def rows(read: Dataset) -> int:
    """How many rows the table of a data set has, those that were left out included."""
    return len(read) if read.report is None else read.report.rows


def told(missing: int, rows: int) -> str:
    """The count in brackets, or nothing where no row is left out.

    >>> told(43, 400), told(0, 400)
    (' (43 of 400 rows left out for empty cells)', '')
    """
    if not missing:
        return ""
    return f" ({missing:,} of {rows:,} rows left out for empty cells)"
