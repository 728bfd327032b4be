"""Columns of pandas, polars and pyarrow as arrays, in the memory that they are in.

A copy is made only where NumPy has no such layout: values in several chunks, missing
ones, booleans (a bit each in Arrow), texts and dictionaries, and times with a zone.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def array_of(column: Any) -> np.ndarray:
    """Return a column as an array of any dtype; lists of one length as its rows.

    >>> import polars
    >>> array_of(polars.Series([[1, 2], [3, 4]], dtype=polars.Array(polars.Int8, 2)))
    array([[1, 2],
           [3, 4]], dtype=int8)
    """
    extension: Any = getattr(column, "array", None)  # a pandas Series of Arrow memory
    if hasattr(extension, "__arrow_array__"):
        arrow: Any = extension.__arrow_array__()
        if str(arrow.type) in _NUMBERS and not arrow.null_count:
            column = arrow
    kind: Any = getattr(column, "type", None)
    if str(kind).startswith("dictionary"):
        column = column.cast(kind.value_type)  # to_numpy loses its gaps
    if (rows := _fixed_rows(column)) is not None:
        return rows
    to_numpy = getattr(column, "to_numpy", None)
    if to_numpy is None:
        return np.asarray(column)
    if hasattr(column, "type") and not hasattr(column, "chunks"):  # a pyarrow Array
        return to_numpy(zero_copy_only=False)
    return to_numpy()


#: Arrow's names of the types that NumPy has.
_NUMBERS = frozenset(
    [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
    + ["halffloat", "float", "double"]
)


def _fixed_rows(column: Any) -> np.ndarray | None:
    """Return pyarrow's lists of one length as an array of rows; None for others."""
    kind: Any = getattr(column, "type", None)
    if not str(kind).startswith("fixed_size_list") or column.null_count:
        return None  # lists that are missing are none of a length
    chunks = getattr(column, "chunks", [column])
    parts = [chunk.flatten() for chunk in chunks]
    if any(part.null_count for part in parts):
        return None
    inner = [array_of(part) for part in parts] or [np.empty(0)]
    flat = inner[0] if len(inner) == 1 else np.concatenate(inner)
    return flat.reshape(len(column), kind.list_size, *flat.shape[1:])
