"""Whatever is given as data, as one of three kinds; and their rows in their order.

A Column, a Dataset and a Stream differ in what they hold. Whoever evaluates or predicts
sees rows of one type, as batches that a model takes.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Any

import numpy as np

from chainrule.data.checks import check_finite
from chainrule.data.column import Column
from chainrule.data.dataset import Dataset
from chainrule.data.features import Features
from chainrule.data.stream import Stream
from chainrule.errors import ArgumentError, ChainruleError
from chainrule.graph.node import Array
from chainrule.graph.types import NO_SIZES, ArrayType, DType, as_dtype, resolve
from chainrule.tensor import as_tensor

Rows = Column | Dataset | Stream


def as_data(data: Any) -> Dataset | Stream:
    """A data set or a stream: ``data`` itself, or a data set of a pair (x, y)."""
    if isinstance(data, Dataset | Stream):
        return data
    pair = isinstance(data, tuple | list) and not isinstance(data, Features)
    if pair and len(data) == 2:
        return Dataset(*data)
    raise ArgumentError(
        "A Trainer takes a data set.",
        expected="a cr.data.Dataset, a cr.data.Stream, or a pair (x, y) of arrays",
        got=f"a {type(data).__name__} of {len(data)}" if pair else type(data).__name__,
        fix="cr.data.Dataset(x, y); cr.data.Stream(samples) for a function that gives "
        "samples (x, y) one by one",
    )


def as_column(x: Any) -> Column | Stream:
    """Features: a Column, a data set's, or anything that makes a tensor.

    Raises:
        NonFiniteError: NaN or infinity among them.
        ArgumentError: a pair (x, y), or something else that is no rows of numbers.
    """
    if isinstance(x, Stream):
        return x
    if isinstance(x, Dataset):
        return x.x
    if isinstance(x, Features):
        x = x.x
    if not isinstance(x, Column):
        kind = getattr(getattr(x, "dtype", None), "kind", None)
        x = Column(np.asarray(x) if kind in tuple("biuf") else _array(x))
    if not x.stored.ndim:
        raise ArgumentError(
            "predict takes rows of features.",
            expected="an array of shape (n, …)",
            got=f"a single number, {x.stored}",
            fix="predict([[number]]) for one sample of one feature",
        )
    check_finite(x, "x")
    return x


def _array(x: Any) -> Array:
    try:
        return as_tensor(x).numpy()
    except ChainruleError as error:
        if not isinstance(x, tuple) or len(x) != 2:
            raise
        raise ArgumentError(
            "predict takes features alone.",
            expected="x of shape (n, …)",
            got="a pair",
            fix="predict(x); evaluate((x, y)) takes the targets too",
        ) from error


def checked_weights(given: Any, data: Dataset | Stream) -> Array:
    """How much each row counts, as float32.

    Raises:
        ArgumentError: not one finite number ≥ 0 a row, or all of them 0; a stream.
    """
    if isinstance(data, Stream):
        raise ArgumentError(
            "A stream's rows have no weights.",
            expected="a data set in memory with sample_weight=",
            got="a stream",
            fix="leave sample_weight out, or make a Dataset of what fits into memory",
        )
    weights = as_tensor(given).numpy()
    got = f"shape {weights.shape}, {weights.dtype}"
    if weights.shape == data.y.shape[:1] and weights.dtype.kind in "fiub":
        with np.errstate(over="ignore"):
            made = np.ascontiguousarray(weights, np.float32)
        if np.isfinite(made).all() and (made >= 0).all() and made.any():
            return made
        got = f"numbers from {float(weights.min()):g} to {float(weights.max()):g}"
    raise ArgumentError(
        "sample_weight says how much each row counts.",
        expected=f"{len(data)} finite numbers ≥ 0, not all of them 0",
        got=got,
        fix="one number a row, in the order of the rows",
    )


def stored_as(data: Rows) -> tuple[np.dtype, float | None]:
    """The dtype of stored numbers, and the factor that makes them features."""
    if isinstance(data, Stream):
        return data.row.dtype.numpy, data.scale
    column = data.x if isinstance(data, Dataset) else data
    return column.stored.dtype, column.scale


def kinds(data: Rows) -> tuple[tuple[int, ...], ArrayType | None]:
    """The shape of one row of features, and the type of one row of targets."""
    if isinstance(data, Column):
        return data.shape[1:], None
    if isinstance(data, Dataset):
        return data.x.shape[1:], ArrayType(data.y.shape[1:], as_dtype(data.y.dtype))
    return resolve(data.row.shape, NO_SIZES), data.target


def batches(data: Rows, size: int, dtype: DType) -> Generator[tuple[Array, Array]]:
    """Features (in ``dtype``) and targets, ``size`` rows at a time, in their order."""
    _, scale = stored_as(data)
    blocks = data.blocks(size) if isinstance(data, Stream) else _cut(data, size)
    with closing(blocks):
        for x, y in blocks:
            yield _features(x, scale, dtype), y


def _cut(data: Column | Dataset, size: int) -> Generator[tuple[Array, Array]]:
    x, y = (data, data.stored) if isinstance(data, Column) else (data.x, data.y)
    for start in range(0, len(x), size):
        yield x.stored[start : start + size], y[start : start + size]


def _features(stored: Array, scale: float | None, dtype: DType) -> Array:
    """Stored rows as a model takes them: ``entries.features`` in NumPy."""
    if dtype.is_integer:  # not by way of floats, which end at 2²⁴
        check_indices(stored)
        return np.ascontiguousarray(stored, dtype.numpy)
    return np.ascontiguousarray(Column(stored, scale)[...], dtype.numpy)


def check_indices(stored: Array) -> None:
    """Refuse fractions where a model takes the numbers of an embedding's rows."""
    if stored.dtype.kind == "f" and (stored % 1 != 0).any():
        raise ArgumentError(
            "The model begins with an Embedding, and that takes the numbers of rows.",
            expected="whole numbers",
            got=f"{stored[stored % 1 != 0].flat[0]:g} among the features",
            fix="x.astype('int64') for row numbers; nn.Linear for measurements",
        )
