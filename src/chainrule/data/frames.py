"""Data frames as arrays, with columns matched by name instead of by position.

A frame is a table of pandas, polars, pyarrow …, or a dictionary of columns. The columns
of new data are brought into the order of training by their names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Sized
from typing import Any, NamedTuple, Protocol

import numpy as np

from chainrule.data.arrow import array_of
from chainrule.data.checks import check_rounding, large, numbers, shortened
from chainrule.errors import ArgumentError, DataError, DTypeError
from chainrule.graph.node import Array
from chainrule.text import _

Names = tuple[str, ...]


class Named(Protocol):
    """A protocol of data with names of columns and classes, such as a Dataset."""

    @property
    def feature_names(self) -> Names | None: ...
    @property
    def target_names(self) -> Names | None: ...
    @property
    def class_names(self) -> Names | None: ...
    @property
    def format(self) -> dict[str, Any] | None: ...


class Columns(NamedTuple):
    """The columns of a data frame (pandas, polars, …), by name.

    Attributes:
        frame: the table.
        labels: the table's own labels of the columns, by their names as texts.
    """

    frame: Any
    labels: dict[str, Any]

    @classmethod
    def of(cls, value: Any) -> Columns | None:
        """Return the columns of a data frame; None for data that are no frame.

        Raises:
            ArgumentError: two columns of one name.
        """
        if isinstance(value, Columns):
            return value
        labels = value if isinstance(value, Mapping) else None
        for attribute in ("column_names", "columns"):  # pyarrow's columns are arrays
            if labels is None:
                labels = getattr(value, attribute, None)
        if labels is None or isinstance(labels, str) or callable(labels):
            return None
        labels = list(labels)
        names = [str(label) for label in labels]
        if len(set(names)) < len(names):
            duplicate, __ = Counter(names).most_common(1)[0]
            raise ArgumentError(
                _("Two columns of a frame have one name."),
                expected=_("names that differ: columns are found by them"),
                got=repr(shortened(duplicate)),
                fix=_(
                    "rename one of them, or pass the numbers alone: frame.to_numpy()"
                ),
            )
        return cls(value, dict(zip(names, labels, strict=True)))

    @classmethod
    def of_row(cls, value: Any, known: Collection[str]) -> Columns | None:
        """Return the columns of a single row: a dictionary of cells, a pandas Series.

        Args:
            value: the row, or a frame of pandas with one; a Series is a row if its
                labels are names of columns.
            known: the names of columns.
        """
        if not isinstance(value, Mapping):
            if not hasattr(value, "iat") or (value.ndim == 2 and len(value) != 1):
                return None
            labels = value.columns if value.ndim == 2 else value.index
            if not labels.is_unique:
                return None
            labels = labels.tolist()
            if not any(str(label) in known for label in labels):
                return None
            if value.ndim == 2:  # iloc brings the cells to one type, and rounds some
                cell = value.iat
                cells = [cell[0, i] for i in range(len(labels))]
            else:
                cells = value.tolist()
            value = dict(zip(labels, cells, strict=True))
        if not value or any(map(_is_column, value.values())):
            return None
        return cls.of({name: [cell] for name, cell in value.items()})

    @property
    def names(self) -> Names:
        """The names of the data frame's columns."""
        return tuple(self.labels)

    def column(self, name: str) -> Array:
        """Return a data frame's column as an array of any dtype.

        Raises:
            ArgumentError: a frame whose columns cannot be taken, such as a lazy one.
        """
        try:
            series = self.frame[self.labels[name]]
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            raise not_a_frame(self.frame, problem) from error
        if isinstance(series, list) and len(series) == 1:  # of a row
            return np.array(series, None if _is_number(series[0]) else object)
        try:
            return array_of(series)
        except ValueError:
            return np.asarray(series, object)

    def array(self, what: str, names: Names | None = None) -> Array:
        """Return columns of a data frame as an array of shape (n, columns).

        Args:
            what: ``"x"`` or ``"y"``, for messages.
            names: the names of the columns, in their order.

        Raises:
            DTypeError: a column that holds no numbers.
            ArgumentError: columns of different lengths.

        A single column is not copied, and one of lists of one length is an array of
        shape (n, length, …).
        """
        chosen = self.names if names is None else names
        one = len(chosen) == 1
        if not one and chosen == self.names and not isinstance(self.frame, Mapping):
            whole = np.asarray(self.frame)
            if whole.ndim == 2 and whole.dtype.kind in "biuf" and not large(whole):
                return whole  # as it is, where all columns have one type
        columns = [self._numbers(what, name, one) for name in chosen]
        require_one_length(columns, what)
        if one:
            return columns[0].reshape(len(columns[0]), *columns[0].shape[1:] or (1,))
        array = np.stack(columns, axis=1)
        for column in columns:  # of several types: float64 has not all of int64
            if column.dtype.kind in "iu" and array.dtype.kind == "f":
                check_rounding(column, array.dtype)
        return array

    def _numbers(self, what: str, name: str, one: bool) -> Array:
        """Return one of a data frame's columns of numbers; refuse other columns."""
        column = self.column(name)
        if (column.ndim == 1 or (one and column.ndim)) and column.dtype.kind in "biuf":
            series = self.frame[self.labels[name]]
            return numbers(series, what) if isinstance(series, list | tuple) else column
        raise DTypeError(
            _(
                "Column '{name}' of {what} does not hold real numbers.",
                name=shortened(name),
                what=what,
            ),
            expected=_("booleans, integers or floats, one a row"),
            got=_(
                "dtype {dtype}, shape {shape}", dtype=column.dtype, shape=column.shape
            ),
            fix=_(
                "cr.data.Dataset.from_frame(frame, target=…) reads texts, "
                "dates and gaps; or leave the column out"
            ),
        )


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float | np.number | np.bool_)


def _is_column(cell: Any) -> bool:
    """Return whether a dictionary's value is a column of cells and not one cell."""
    if isinstance(cell, str | float | int):
        return False
    return np.ndim(cell) > 0 if hasattr(cell, "shape") else isinstance(cell, Sized)


def not_a_frame(value: Any, problem: str) -> ArgumentError:
    """Return the error for a value that is no data frame."""
    return ArgumentError(
        _("This is not a data frame that can be read."),
        expected=_("a frame of pandas, polars, pyarrow … whose columns differ"),
        got=shortened(f"{type(value).__name__}: {problem}", 200),
        fix=_("for arrays of numbers: Dataset(x, y)"),
    )


def require_one_length(columns: Sequence[Array], what: str) -> None:
    """Refuse data frame columns of different lengths, or no columns at all."""
    lengths = {len(column) for column in columns}
    if len(lengths) != 1:
        raise ArgumentError(
            _("The columns of {what} have different lengths.", what=what),
            expected=_("one number a row in each column"),
            got=", ".join(map(str, sorted(lengths))) or _("no columns"),
            fix=_("look at how the frame was made"),
        )


def in_order(names: Sequence[str], trained: Names, what: str) -> list[int]:
    """Return the positions of training's columns among new data's columns.

    Args:
        names: the names of the columns of new data.
        trained: the names of the columns in training.
        what: the role of the columns in training: "a feature", "a target".

    Raises:
        DataError: a column is missing.
    """
    positions = {name: i for i, name in enumerate(names)}
    missing = [name for name in trained if name not in positions]
    if missing:
        listed = shortened(", ".join(repr(name) for name in missing), 200)
        raise DataError(
            _(
                "The data have no column {listed}, in training {what}.",
                listed=listed,
                what=what,
            ),
            expected=shortened(", ".join(trained), 200),
            got=shortened(", ".join(names), 200),
            fix=_(
                "rename the columns as they were, or pass an array, whose columns "
                "count by their places"
            ),
        )
    return [positions[name] for name in trained]


def labels_of(names: Names, trained: Names) -> Array:
    """Return training's label for each class of new data.

    Raises:
        DataError: a class that was not there.
    """
    new = [name for name in names if name not in set(trained)]
    if new:
        listed = shortened(", ".join(repr(name) for name in new), 200)
        raise DataError(
            _(
                "The data have classes that were not there in training: {listed}.",
                listed=listed,
            ),
            expected=shortened(", ".join(trained), 200),
            got=shortened(", ".join(names), 200),
            fix=_(
                "leave these rows out, name the classes as they were, or train "
                "a new Trainer"
            ),
        )
    return np.array([trained.index(name) for name in names], np.int32)
