"""Conversion of a Trainer's data arguments to Column, Dataset or Stream.

Evaluation and prediction take a Column, a Dataset or a Stream alike: as batches of rows
in the dtype of a model's input.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Any

import numpy as np

from chainrule.data.checks import check_finite, numbers, shortened
from chainrule.data.column import Column, unrepresentable
from chainrule.data.dataset import Dataset
from chainrule.data.features import Features
from chainrule.data.frames import Columns, Named, in_order
from chainrule.data.stream import Stream
from chainrule.data.tables.reader import features_again, read_again
from chainrule.errors import ArgumentError, ChainruleError, DataError, warn
from chainrule.graph.node import Array
from chainrule.graph.types import NO_SIZES, ArrayType, DType, as_dtype, resolve
from chainrule.tensor import as_tensor
from chainrule.text import _

Rows = Column | Dataset | Stream


def as_data(data: Any, trained: Named | None = None) -> Dataset | Stream:
    """Convert a Trainer's data argument, such as a pair (x, y), to a data set.

    Args:
        data: the data; also a frame, if training used a table.
        trained: the data, or the plan, of training: columns and classes are brought
            into its order.

    Raises:
        DataError: columns or classes that do not fit these.
    """
    if hasattr(data, "to_data"):  # a loader of chainrule.utils.data
        data = data.to_data()
    if isinstance(data, Stream):
        return data if trained is None else _same_names(data, trained)
    pair = isinstance(data, tuple | list) and not isinstance(data, Features)
    if pair and len(data) == 2:
        x, y = data
        data = Dataset(x if trained is None else _in_order(x, trained), y)
        if trained is not None and Columns.of(x) is not None:
            data.feature_names = trained.feature_names or data.feature_names
        pair = False
    elif trained is not None and _is_of_table(data, trained):
        assert trained.format is not None
        data = read_again(data, trained.format)
    if isinstance(data, Dataset):
        return data if trained is None else data.like(trained)
    raise ArgumentError(
        _("A Trainer takes a data set."),
        expected=_("a data set, stream or loader of pairs, or a pair (x, y) of arrays"),
        got=_("a {kind} of {data}", kind=type(data).__name__, data=len(data))
        if pair
        else type(data).__name__,
        fix=_(
            "cr.data.Dataset(x, y); cr.data.Stream(samples) for a function "
            "that gives samples (x, y) one by one"
        ),
    )


def _is_of_table(data: Any, trained: Named) -> bool:
    """Return whether data are a data frame whose training data came from a table."""
    kind = (trained.format or {}).get("kind")
    return kind in ("csv", "text") and Columns.of(data) is not None


def _in_order(x: Any, trained: Named) -> Any:
    """Sort a data frame's columns as in training; return other data unchanged.

    Raises:
        DataError: columns that are not there; rows that the format leaves out.
    """
    frame = Columns.of(x)
    if frame is None:
        return x
    if _is_of_table(x, trained):
        assert trained.format is not None
        column = features_again(x, trained.format).x
        rows = len(frame.column(frame.names[0]))
        if len(column) != rows:
            raise DataError(
                _(
                    "Rows of the frame have missing cells, and training left such rows "
                    "out."
                ),
                expected=_("{rows} rows that can be used", rows=rows),
                got=f"{len(column)}",
                fix=_(
                    "fill the gaps or drop these rows before; data.read(frame, "
                    "format=trainer.format, target=False) drops them and names "
                    "the rest"
                ),
            )
        return column
    names = trained.feature_names
    if names is not None:
        in_order(frame.names, names, _("a feature"))
    return frame.array("x", names)


def _same_names(stream: Stream, trained: Named) -> Stream:
    """Refuse a stream whose column or class names differ from those in training."""
    for what in ("feature_names", "target_names", "class_names"):
        names, expected = getattr(stream, what), getattr(trained, what)
        if (
            names is not None
            and expected is not None
            and tuple(names) != tuple(expected)
        ):
            raise DataError(
                _(
                    "The stream '{name}' has other {what} than the data that were "
                    "trained on.",
                    name=stream.name,
                    what=what,
                ),
                expected=shortened(", ".join(expected), 200),
                got=shortened(", ".join(names), 200),
                fix=_(
                    "yield the columns in the order of training, or a Dataset, "
                    "whose columns are found by their names"
                ),
            )
    return stream


def as_column(x: Any, trained: Named | None = None) -> Column | Stream:
    """Convert a Trainer's features argument to a Column, from an array or Dataset.

    Args:
        x: the features.
        trained: the data or the plan of training, as for :func:`as_data`.

    Raises:
        DataError: columns that do not fit these.
        NonFiniteError: NaN or infinity among them.
        ArgumentError: a pair (x, y), or something else that is no rows of numbers.
    """
    if isinstance(x, Stream):
        return x if trained is None else _same_names(x, trained)
    if isinstance(x, Dataset):
        return x.x if trained is None else x.like(trained).x
    if isinstance(x, Features):
        x = x.x
    if (frame := Columns.of(x)) is not None:
        x = frame.array("x") if trained is None else _in_order(x, trained)
    if not isinstance(x, Column):
        kind = getattr(getattr(x, "dtype", None), "kind", None)
        x = Column(np.asarray(x) if kind in tuple("biuf") else _array(x))
    if not x.stored.ndim:
        raise ArgumentError(
            _("predict takes rows of features."),
            expected=_("an array of shape (n, …)"),
            got=_("a single number, {stored}", stored=x.stored),
            fix=_("predict([[number]]) for one sample of one feature"),
        )
    check_finite(x, "x")
    return x


def _array(x: Any) -> Array:
    try:
        array = as_tensor(x).numpy()
        if isinstance(x, list | tuple) and (abs(array) > 2**24).any():
            return numbers(x, "x")  # in float64, where whole numbers need it
        return array
    except ChainruleError as error:
        if not isinstance(x, tuple) or len(x) != 2:
            raise
        raise ArgumentError(
            _("predict takes features alone."),
            expected=_("x of shape (n, …)"),
            got=_("a pair"),
            fix=_("predict(x); evaluate((x, y)) takes the targets too"),
        ) from error


def checked_weights(sample_weight: Any, data: Dataset | Stream) -> Array:
    """Check the sample weights of a data set, and return them as float32.

    Raises:
        ArgumentError: not one finite number ≥ 0 a row, or all of them 0; a stream.
    """
    if isinstance(data, Stream):
        raise ArgumentError(
            _("A stream's rows have no weights."),
            expected=_("a data set in memory with sample_weight="),
            got=_("a stream"),
            fix=_(
                "leave sample_weight out, or make a Dataset of what fits into memory"
            ),
        )
    weights = as_tensor(sample_weight).numpy()
    got = _("shape {shape}, {dtype}", shape=weights.shape, dtype=weights.dtype)
    if weights.shape == data.y.shape[:1] and weights.dtype.kind in "fiub":
        with np.errstate(over="ignore"):
            narrow = np.ascontiguousarray(weights, np.float32)
        if np.isfinite(narrow).all() and (narrow >= 0).all() and narrow.any():
            return narrow
        got = _(
            "numbers from {min:g} to {max:g}",
            min=float(weights.min()),
            max=float(weights.max()),
        )
    raise ArgumentError(
        _("sample_weight says how much each row counts."),
        expected=_("{data} finite numbers ≥ 0, not all of them 0", data=len(data)),
        got=got,
        fix=_("one number a row, in the order of the rows"),
    )


def stored_as(data: Rows) -> tuple[np.dtype, float | None]:
    """Return the dtype of a data set's stored features, and their scale factor."""
    if isinstance(data, Stream):
        return data.row.dtype.numpy, data.scale
    column = data.x if isinstance(data, Dataset) else data
    return column.stored.dtype, column.scale


def kinds(data: Rows) -> tuple[tuple[int, ...], ArrayType | None]:
    """Return a data set's shape of a row of features, and type of a row of targets."""
    if isinstance(data, Column):
        return data.shape[1:], None
    if isinstance(data, Dataset):
        return data.x.shape[1:], ArrayType(data.y.shape[1:], as_dtype(data.y.dtype))
    return resolve(data.row.shape, NO_SIZES), data.target


def batches(data: Rows, size: int, dtype: DType) -> Generator[tuple[Array, Array]]:
    """Yield a data set's batches (x, y) of ``size`` rows each, in their order."""
    __, scale = stored_as(data)
    blocks = data.blocks(size) if isinstance(data, Stream) else _cut(data, size)
    with closing(blocks):
        for x, y in blocks:
            yield _features(x, scale, dtype), y


def _cut(data: Column | Dataset, size: int) -> Generator[tuple[Array, Array]]:
    x, y = (data, data.stored) if isinstance(data, Column) else (data.x, data.y)
    for start in range(0, len(x), size):
        yield x.stored[start : start + size], y[start : start + size]


def _features(stored: Array, scale: float | None, dtype: DType) -> Array:
    """Convert stored rows of features to the model's input, scaled if requested."""
    if scale is None:
        check_representable(stored, scale, dtype)
        with np.errstate(over="ignore"):  # infinity is found in the results
            return np.ascontiguousarray(stored, dtype.numpy)
    return np.ascontiguousarray(Column(stored, scale)[...], dtype.numpy)


def check_representable(stored: Array, scale: float | None, dtype: DType) -> None:
    """Refuse, or warn of, features whose values change in the model's input dtype.

    Args:
        stored: features as they are stored.
        scale: of them, or None; numbers with one are measurements.
        dtype: the dtype of the model's input.

    Raises:
        ArgumentError: fractions, or numbers that are too large, as indices.

    Warns:
        ChainruleWarning: whole numbers that a float has not, such as 2²⁴ + 1.
    """
    if scale is not None:
        return
    if dtype.is_integer:
        _check_indices(stored, dtype)
        return
    if (number := unrepresentable(stored, dtype.numpy)) is not None:
        rounded = np.asarray(number).astype(dtype.numpy)
        warn(
            _(
                "Whole numbers among the features become others in {name}, and "
                "different ones become equal.",
                name=dtype.name,
            ),
            expected=_(
                "whole numbers that {name} has, or a network that takes "
                "them as they are",
                name=dtype.name,
            ),
            got=_("{number:.0f}, which becomes {made:.0f}", number=number, made=rounded)
            if stored.dtype.kind == "f"
            else _("{number}, which becomes {made}", number=number, made=int(rounded)),
            fix=_(
                "nn.Standardize.of(train.x) as the first layer for quantities; "
                "leave out ids, or look them up: nn.Embedding"
            ),
        )


def _check_indices(stored: Array, dtype: DType) -> None:
    """Refuse features that are no valid indices, for a model such as an embedding."""
    if stored.dtype.kind != "f":
        return
    limits = np.iinfo(dtype.numpy)
    wrong = (stored % 1 != 0) | (stored > limits.max) | (stored < limits.min)
    if wrong.any():
        raise ArgumentError(
            _("The model takes the numbers of rows first, as an Embedding does."),
            expected=_("whole numbers that {name} holds", name=dtype.name),
            got=_("{flat:g} among the features", flat=stored[wrong].flat[0]),
            fix=_("x.astype('int64') for row numbers; nn.Linear for measurements"),
        )
