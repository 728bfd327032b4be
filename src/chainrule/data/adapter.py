"""Conversion of a Trainer's data arguments to Column, Dataset or Stream.

Evaluation and prediction take a Column, a Dataset or a Stream alike: as batches of rows
in the dtype of a model's input.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from chainrule.data.checks import (
    check_finite,
    check_nest,
    check_rounding,
    numbers,
    shortened,
)
from chainrule.data.column import Column
from chainrule.data.dataset import Dataset
from chainrule.data.features import Features
from chainrule.data.frames import Columns, Named, in_order
from chainrule.data.loaders import is_loader, loader_stream
from chainrule.data.memory import fingerprint, on_disk, release
from chainrule.data.source import rows_of
from chainrule.data.stream import Stream
from chainrule.data.tables.reader import features_again, read_again
from chainrule.data.tables.schema import Schema
from chainrule.engines import Parts
from chainrule.errors import ArgumentError, DataError, ShapeError
from chainrule.graph.node import Array
from chainrule.graph.types import NUMPY_DTYPES, ArrayType, DType, as_dtype
from chainrule.tensor import as_tensor
from chainrule.text import _, joined, ngettext
from chainrule.util import processes
from chainrule.util.pytree import is_nest, leaves, mapped, named

#: The dtypes of stored numbers that a program takes without conversion.
_KNOWN = {dtype.numpy for dtype in NUMPY_DTYPES}
#: A column, or a dictionary or tuple of columns; a data set; a stream.
Rows = Any


@dataclass(frozen=True)
class Kinds:
    """The inputs and targets of data: what they are called, and the types of a row.

    Attributes:
        x: the names of the inputs, in the nest that the model takes: ``"x"`` of a
            single one, or ``{"image": "x.image", …}``.
        y: likewise of the targets, ``"y"`` …; None for features alone.
        types: of a row, as stored, by name.
        scales: the factors from stored numbers to features, of inputs that have one.
    """

    x: Any
    y: Any
    types: dict[str, ArrayType]
    scales: dict[str, float]

    def types_of(self, nest: Any) -> dict[str, ArrayType]:
        """Return the types of a row of all inputs, or of all targets, by name."""
        return {name: self.types[name] for name in leaves(nest, "").values()}


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
    elif is_loader(data):
        data = loader_stream(data)
    if isinstance(data, Stream):
        return data if trained is None else _same_names(data, trained)
    pair = isinstance(data, tuple | list) and not isinstance(data, Features)
    if pair and len(data) == 2:
        x, y = data
        if trained is None or (frame := _frame(x, trained)) is None:
            data = Dataset(x, y)
        else:
            data = Dataset(_in_order(frame, trained), y)
            data.feature_names = trained.feature_names or data.feature_names
        pair = False
    elif trained and (format := _table(trained)) and Columns.of(data) is not None:
        data = read_again(data, format)
    if isinstance(data, Dataset):
        return data if trained is None else data.like(trained)
    raise ArgumentError(
        _("A Trainer takes a data set."),
        expected=_("a data set, stream or loader of pairs, or a pair (x, y) of arrays"),
        got=_("a {kind} of {data}", kind=type(data).__name__, data=len(data))
        if pair
        else type(data).__name__,
        fix=_("(inputs, targets), each of which may be a dictionary or a tuple")
        if isinstance(data, dict)
        else "cr.data.Dataset.from_huggingface(data, target='label')"
        if hasattr(data, "with_format")
        else _(
            "cr.data.Dataset(x, y); cr.data.Stream(samples) for a function "
            "that gives samples (x, y) one by one"
        ),
    )


def _frame(x: Any, trained: Named | None) -> Columns | None:
    """Return features' columns: of a frame, or of a row where columns were trained."""
    if trained is not None and (isinstance(x, Mapping) or hasattr(x, "iloc")):
        names = trained.feature_names or ()
        if (format := _table(trained)) is not None:
            schema = Schema.restored(format)
            names = [column.name for column in schema.columns]
        if names and (row := Columns.of_row(x, names)) is not None:
            return row
        if isinstance(x, Mapping) and names:
            return Columns.of(x)
    return None if is_nest(x) else Columns.of(x)


def _table(trained: Named) -> dict[str, Any] | None:
    """Return the format of training data that came from a table; None of others."""
    format = trained.format
    known = format is not None and format.get("kind") in ("csv", "text")
    return format if known else None


def _in_order(frame: Columns, trained: Named) -> Any:
    """Sort a data frame's columns as in training.

    Raises:
        DataError: columns that are not there; rows that the format leaves out.
    """
    if (format := _table(trained)) is not None:
        column = features_again(frame, format).x
        rows = len(frame.column(frame.names[0]))
        if len(column) != rows:
            raise DataError(
                _(
                    "Rows of the frame have missing cells, and training left such rows "
                    "out."
                ),
                expected=ngettext(
                    "{n} row that can be used", "{n} rows that can be used", n=rows
                ),
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


def as_column(x: Any, trained: Named | None = None) -> Rows:
    """Convert a Trainer's features argument to columns, from arrays or a Dataset.

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
    if is_loader(x) or hasattr(x, "to_data"):  # which may be in any order
        raise ArgumentError(
            _("predict takes rows of features."),
            expected=_("an array of shape (n, …)"),
            got=type(x).__name__,
            fix="predict(x); evaluate(loader)",
        )
    if isinstance(x, Features):
        x = x.x
    if (frame := _frame(x, trained)) is not None:
        x = frame.array("x") if trained is None else _in_order(frame, trained)
    if is_nest(x):
        check_nest(x, "x")
    columns = mapped(_as_column, named(x, "x"), x)
    lengths = {len(column) for column in leaves(columns, "x").values()}
    if len(lengths) > 1:
        raise ShapeError(
            _("The inputs have different lengths."),
            expected=_("one row a sample in each"),
            got=joined(
                ", ",
                [
                    ngettext(
                        "{name}: {n} row", "{name}: {n} rows", n=len(column), name=name
                    )
                    for name, column in leaves(columns, "x").items()
                ],
            ),
            fix=_("give the same rows of each input"),
        )
    return columns


def _as_column(what: str, x: Any) -> Column:
    """Return one input of a prediction as a column of finite numbers."""
    if not isinstance(x, Column):
        kind = getattr(getattr(x, "dtype", None), "kind", None)
        if kind in tuple("OUSMm") or x is None or isinstance(x, Mapping):
            x = numbers(x, what)  # which refuses it by its name
        x = Column(np.asarray(x) if kind in tuple("biuf") else _array(x))
    if not x.stored.ndim:
        raise ArgumentError(
            _("predict takes rows of features."),
            expected=_("an array of shape (n, …)"),
            got=_("a single number, {stored}", stored=x.stored),
            fix=_("predict([[number]]) for one sample of one feature"),
        )
    check_finite(x, what)
    return x


def _array(x: Any) -> Array:
    array = as_tensor(x).numpy()
    if isinstance(x, list) and (abs(array) > 2**24).any():
        return numbers(x, "x")  # in float64, where whole numbers need it
    return array


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
    several = isinstance(sample_weight, Mapping)
    weights = np.zeros(0) if several else as_tensor(sample_weight).numpy()
    got = _("shape {shape}, {dtype}", shape=weights.shape, dtype=weights.dtype)
    if several:
        got = f"{type(sample_weight).__name__}: {', '.join(map(str, sample_weight))}"
    elif weights.shape == (len(data),) and weights.dtype.kind in "fiub":
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
        expected=ngettext(
            "{n} finite number > 0",
            "{n} finite numbers ≥ 0, not all of them 0",
            n=len(data),
        ),
        got=got,
        fix=_("one number a row, in the order of the rows"),
    )


def kinds(data: Rows) -> Kinds:
    """Return the names, row types and scales of a data set's inputs and targets."""
    if isinstance(data, Stream):
        x, y = data.row, data.target
        types = leaves(x, "x") | leaves(y, "y")
        scales = {"x": data.scale}
        return Kinds(named(x, "x"), named(y, "y"), types, _known(scales))
    x, y = (data.x, data.y) if isinstance(data, Dataset) else (data, None)
    columns = leaves(x, "x")
    types = {name: _row_type(column.stored) for name, column in columns.items()}
    scales = {name: column.scale for name, column in columns.items()}
    if y is None:
        return Kinds(named(x, "x"), None, types, _known(scales))
    types |= {name: _row_type(array) for name, array in leaves(y, "y").items()}
    return Kinds(named(x, "x"), named(y, "y"), types, _known(scales))


def _known(scales: dict[str, float | None]) -> dict[str, float]:
    return {name: scale for name, scale in scales.items() if scale is not None}


def _row_type(stored: Array) -> ArrayType:
    """Return the type of a row of stored numbers; float16 and the like are float32."""
    known = stored.dtype in _KNOWN
    return ArrayType(
        stored.shape[1:], as_dtype(stored.dtype) if known else DType.float32
    )


def batches(
    data: Rows, size: int, dtypes: Mapping[str, DType]
) -> Generator[tuple[dict[str, Array], Any]]:
    """Yield a data set's batches of ``size`` rows each, in their order.

    Args:
        data: the data.
        size: of a batch.
        dtypes: what the model takes each input as, by name.

    Returns:
        A generator of inputs and targets by name, and the targets in their nest (None
        for features alone).
    """
    blocks = data.blocks(size) if isinstance(data, Stream) else _cut(data, size)
    scales = {"x": data.scale} if isinstance(data, Stream) else None
    several = processes.count() > 1 and scales is None
    if several:
        _compare(data)
    number = 0
    with closing(blocks):
        for x, y in blocks:
            arrays: dict[str, Any] = {}
            for name, part in leaves(x, "x").items():
                scale = part.scale if scales is None else scales.get(name)
                stored = part.stored if scales is None else part
                read = partial(_read, stored, scale, name, number, dtypes[name])
                arrays[name] = (
                    Parts(stored.shape, dtypes[name].numpy, read, f"{name} {number}")
                    if several
                    else read((slice(None),))
                )
            if y is not None:
                for name, part in leaves(y, "y").items():
                    if on_disk(part):
                        check_finite(Column(part), name, number)
                    arrays[name] = part
            number += rows_of(x)
            yield arrays, y


def _read(
    stored: Array,
    scale: float | None,
    name: str,
    number: int,
    dtype: DType,
    where: tuple[slice, ...],
) -> Array:
    """Return a part of some rows of features, as the model takes them."""
    if on_disk(stored):  # not looked at before
        start = where[0].indices(len(stored))[0]
        check_finite(Column(stored[where[0]], scale), name, number + start)
        release(stored)
    return _features(stored[where], scale, dtype)


def _compare(data: Rows) -> None:
    """Refuse data that are not the same in all processes, which read their own rows."""
    x, y = (data.x, data.y) if isinstance(data, Dataset) else (data, None)
    columns = dict(leaves(x, "x"))
    if y is not None:
        columns |= {name: Column(array) for name, array in leaves(y, "y").items()}
    processes.require_same(
        {_("the data {name!r}", name=name): _told(c) for name, c in columns.items()},
        _("give all processes the same data"),
    )


def _told(column: Column) -> str:
    array = column.stored
    kind = f"{array.dtype}{[*array.shape]} × {column.scale}"
    return f"{kind} {fingerprint(array):08x}"


def _cut(data: Rows, size: int) -> Generator[tuple[Any, Any]]:
    x, y = (data.x, data.y) if isinstance(data, Dataset) else (data, None)
    for start in range(0, rows_of(x), size):
        rows = itemgetter(slice(start, start + size))
        part = mapped(partial(_rows_of_column, rows), x)
        yield part, None if y is None else mapped(rows, y)


def _rows_of_column(rows: Callable[[Array], Array], column: Column) -> Column:
    return Column(rows(column.stored), column.scale)


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
    check_rounding(stored, dtype.numpy)


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
