"""Tables for spreadsheets: CSV that they open as text and numbers, and as nothing else.

>>> print(as_csv([("name", "points"), ("=1+1", 3), ("陳小明", -1)]), end="")
\ufeffname,points
'=1+1,3
陳小明,-1
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

#: What a spreadsheet takes for a formula where a text begins with it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(rows: Iterable[Iterable[Any]]) -> str:
    """Return rows as the text of a CSV file that spreadsheets open in UTF-8.

    A text that a spreadsheet would take for a formula has an apostrophe in front.
    """
    file = io.StringIO()
    file.write("\ufeff")  # else some spreadsheets read another coding
    writer = csv.writer(file, lineterminator="\n")
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return file.getvalue()


def _cell(value: Any) -> str:
    text = str(value)
    risky = isinstance(value, str) and text.startswith(_FORMULA)
    return f"'{text}" if risky else text
