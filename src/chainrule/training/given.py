"""Data as they are given, and their rows in order, for evaluation and prediction.

What a Trainer trains on comes shuffled, and in blocks: see :mod:`.feed`.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator
from contextlib import closing
from typing import Any, cast

import numpy as np

from chainrule.data import Column, Dataset, Features, Stream
from chainrule.data.checks import check_finite
from chainrule.errors import ArgumentError, ChainruleError
from chainrule.graph.node import Array
from chainrule.graph.types import NO_SIZES, ArrayType, DType, as_dtype, resolve
from chainrule.nn import Loss
from chainrule.tensor import as_tensor


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
    if isinstance(x, Column):
        column = x
    elif getattr(getattr(x, "dtype", None), "kind", None) in tuple("biuf"):
        column = Column(np.asarray(x))
    else:
        column = Column(_array(x))
    if not column.stored.ndim:
        raise ArgumentError(
            "predict takes rows of features.",
            expected="an array of shape (n, …)",
            got=f"a single number, {column.stored}",
            fix="predict([[number]]) for one sample of one feature",
        )
    check_finite(column, "x")
    return column


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


def as_weights(given: Any, data: Dataset | Stream, loss: Any) -> Array | None:
    """The weights of the rows of a data set as float32, or None.

    Raises:
        ArgumentError: not one finite number ≥ 0 a row, or all of them 0; a stream; a
            loss that takes no weights.
    """
    if given is None:
        return None
    if isinstance(data, Stream):
        raise ArgumentError(
            "A stream's rows have no weights.",
            expected="a data set in memory with sample_weight=",
            got="a stream",
            fix="leave sample_weight out, or make a Dataset of what fits into memory",
        )
    if not isinstance(loss, Loss) and not _takes_weights(loss):
        raise ArgumentError(
            "This loss takes no weights of samples.",
            expected="a loss of chainrule.nn, or function(prediction, target, "
            "sample_weight)",
            got=getattr(loss, "__name__", repr(loss))[:80],
            fix="leave sample_weight out, or take it as a third argument",
        )
    weights = as_tensor(given).numpy()
    kinds = weights.dtype.kind in "fiub"
    if weights.shape != (len(data),) or not kinds or not _counts(weights):
        shown = f"shape {weights.shape}, {weights.dtype}"
        if weights.shape == (len(data),) and kinds:
            shown = f"numbers from {weights.min():g} to {weights.max():g}"
        raise ArgumentError(
            "sample_weight says how much each row counts.",
            expected=f"{len(data)} finite numbers ≥ 0, not all of them 0",
            got=shown,
            fix="one number a row, in the order of the rows",
        )
    return np.ascontiguousarray(weights, np.float32)


def _counts(weights: Array) -> bool:
    with np.errstate(over="ignore"):
        w = weights.astype(np.float32)
    return bool(np.isfinite(w).all() and (w >= 0).all() and w.any())


def _takes_weights(loss: Any) -> bool:
    try:
        return "sample_weight" in inspect.signature(loss).parameters
    except (TypeError, ValueError):
        return False


def stored_as(data: Column | Dataset | Stream) -> tuple[np.dtype, float | None]:
    """The dtype of stored numbers, and the factor that makes them features."""
    if isinstance(data, Stream):
        return data.row.dtype.numpy, data.scale
    column = data.x if isinstance(data, Dataset) else data
    return column.stored.dtype, column.scale


def kinds(data: Column | Dataset | Stream) -> tuple[tuple[int, ...], ArrayType | None]:
    """The shape of one row of features, and the type of one row of targets."""
    if isinstance(data, Column):
        return data.shape[1:], None
    if isinstance(data, Dataset):
        return data.x.shape[1:], ArrayType(data.y.shape[1:], as_dtype(data.y.dtype))
    return resolve(data.row.shape, NO_SIZES), data.target


def batches(
    data: Column | Dataset | Stream, size: int, dtype: DType
) -> Generator[tuple[Array, Array]]:
    """Features (in ``dtype``) and targets, ``size`` rows at a time, in their order."""
    if isinstance(data, Stream):
        with one_pass(data, size) as source:
            for x, y in source:
                yield _features(x, data.scale, dtype), y
        return
    x, y = (data, data.stored) if isinstance(data, Column) else (data.x, data.y)
    for start in range(0, len(x), size):
        part = slice(start, start + size)
        yield _features(x.stored[part], x.scale, dtype), y[part]


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


def one_pass(stream: Stream, rows: int) -> closing[Generator[tuple[Array, Array]]]:
    """The blocks of a stream; its thread ends with the block of code around them."""
    return closing(cast(Generator[tuple[Array, Array]], stream.blocks(rows)))
