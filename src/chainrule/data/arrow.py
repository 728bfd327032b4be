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
    # A column of polars takes long to say that it has not a name; its class does not.
    extension: Any = column.array if hasattr(type(column), "array") else None
    if type(extension).__name__ == "ArrowExtensionArray":
        arrow: Any = extension.__arrow_array__()
        if str(arrow.type) in _NUMBERS:
            column = arrow
    elif hasattr(extension, "_mask") and not extension.isna().any():
        return column.to_numpy(extension.dtype.numpy_dtype)
    kind: Any = column.type if hasattr(type(column), "type") else None
    if str(kind).startswith("dictionary"):
        column = column.cast(kind.value_type)  # to_numpy loses its gaps
    if kind is not None and (rows := _fixed_rows(column)) is not None:
        return rows
    to_numpy = getattr(column, "to_numpy", None)
    if to_numpy is None:
        return np.asarray(column)
    if kind is not None and not hasattr(column, "chunks"):  # a pyarrow Array
        array = to_numpy(zero_copy_only=False)
    else:
        array = to_numpy()
    kind = getattr(column, "dtype", kind)
    gaps = array.dtype.kind == "f" and str(kind).lower() in ("int64", "uint64")
    if gaps and (np.abs(array) >= 2**53).any():  # float64 has not all whole numbers
        whole = column.to_pylist if hasattr(column, "to_pylist") else column.to_list
        return np.array(whole(), object)
    return array


_LISTS = "fixed_size_list", "list<", "large_list<"
#: Arrow's names of the types that NumPy has.
_NUMBERS = frozenset(
    [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
    + ["halffloat", "float", "double"]
)


def _fixed_rows(column: Any) -> np.ndarray | None:
    """Return pyarrow's lists of one length as an array of rows; None for others."""
    kind: Any = getattr(column, "type", None)
    if not str(kind).startswith(_LISTS) or column.null_count or not len(column):
        return None  # lists that are missing are none of a length
    chunks = [part for part in getattr(column, "chunks", [column]) if len(part)]
    lengths = {getattr(kind, "list_size", None)}
    if lengths == {None}:
        lengths = {n for part in chunks for n in part.value_lengths().unique().tolist()}
    if len(lengths) > 1:
        return None
    parts = [chunk.flatten() for chunk in chunks]
    if any(part.null_count for part in parts):
        return None
    inner = [array_of(part) for part in parts]
    flat = inner[0] if len(inner) == 1 else np.concatenate(inner)
    return flat.reshape(len(column), *lengths, *flat.shape[1:])
