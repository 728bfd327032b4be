"""The columns of a history as people read them: names, order, numbers, tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from chainrule.formatting import measure, number

_VALIDATION = "validation_"


def heading(key: str, validation: str = "validation") -> str:
    """What stands above a column.

    >>> heading("validation_accuracy"), heading("validation_r2", "test")
    ('val. accuracy', 'test r2')
    """
    short = "val." if validation == "validation" else validation
    name = key.removeprefix(_VALIDATION).replace("_", " ")
    return f"{short} {name}" if key.startswith(_VALIDATION) else name


def shown(key: str, value: Any) -> str:
    """A value of a column as text.

    >>> shown("validation_accuracy", 0.98765), shown("validation_mae", 1234.5678)
    ('98.77%', '1,235')
    """
    if not isinstance(value, int | float):
        return str(value)
    if key == "seconds":
        return number(float(value), 3)
    return measure(key.removeprefix(_VALIDATION), value)


def place(key: str) -> int:
    """Epoch and losses first, the rate and the time last, the metrics between."""
    first, last = ["epoch", "train_loss", "validation_loss"], ["lr", "seconds"]
    if key in first:
        return first.index(key)
    return 100 + last.index(key) if key in last else 50


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without NaN and infinity, which JSON does not have: None instead.

    >>> plain({"epoch": 1, "train_loss": float("inf")})
    {'epoch': 1, 'train_loss': None}
    """
    return {
        key: None if isinstance(v, float) and not math.isfinite(v) else v
        for key, v in row.items()
    }
