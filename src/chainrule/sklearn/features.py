"""X as an array of features: numbers with gaps, or the columns of a table."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, validate_data

from chainrule.data.frames import Columns
from chainrule.data.tables.columns import Number
from chainrule.data.tables.schema import Schema
from chainrule.data.tables.source import Frame
from chainrule.data.tables.table_reader import TableReader
from chainrule.graph.node import Array

#: The name of a frame in messages.
NAME = "X"


class Features:
    """The features of an estimator, as they were at its first fit.

    Numbers keep their type, float32 or else float64. NaN is a gap: it becomes the mean
    of its column, and a column that had gaps in training gets another one that says
    where. A frame in which some columns are no numbers is read as
    :meth:`chainrule.data.Dataset.from_frame` reads it: one 0/1 feature a category,
    dates as days, in float32; truth values are numbers; columns that tell nothing are
    left out.

    Attributes:
        schema: the columns of a table; None for numbers.
        columns: the names of a table's columns, in their order.
        means: the mean of each column of numbers.
        gaps: the columns of numbers that had gaps.
        left_out: columns of a table that are no features, with the reason.
    """

    def __init__(self) -> None:
        self.schema: Schema | None = None
        self.columns: tuple[str, ...] = ()
        self.means, self.gaps = np.zeros(0), np.zeros(0, np.intp)
        self.left_out: dict[str, str] = {}

    def fit(self, estimator: Any, X: Any, weights: Array | None) -> Array:
        """Learn the features from the rows X that count; return those of all rows.

        Args:
            estimator: gets ``n_features_in_`` and ``feature_names_in_``.
            X: an array, or a frame.
            weights: of the rows, or None.
        """
        if (declared := _declared(X)) is not None:
            validate_data(estimator, X, reset=True, skip_check_array=True)
            frame = _table(X, kept=declared)
            reader = TableReader.of_features(frame, dtype=declared)
            self.columns, self.schema = frame.columns, reader.schema
            self.left_out = dict(reader.report.left_out)
            return reader.all().x
        X = _numbers(estimator, X, reset=True)
        missing = np.isnan(X)
        known: Any = np.ma.array(X, mask=missing)
        means: Any = np.ma.average(known, axis=0, weights=weights)
        self.means = means.filled(0.0)
        self.gaps = np.flatnonzero(missing.any(0))
        return self._filled(X, missing)

    def __call__(self, estimator: Any, X: Any) -> Array:
        """Return the features of new rows.

        Raises:
            ValueError: other columns than at the first fit, as scikit-learn says it.
            DataError: a cell that does not suit its column.
        """
        if self.schema is None:
            X = _numbers(estimator, X, reset=False)
            return self._filled(X, np.isnan(X))
        validate_data(estimator, X, reset=False, skip_check_array=True)
        if Columns.of(X) is None:  # an array: its columns count by their places
            X = dict(zip(self.columns, np.asarray(X, object).T, strict=True))
        kept = [c.name for c in self.schema.columns if not isinstance(c, Number)]
        return TableReader(_table(X, kept), self.schema, target=False).all().x

    def names(self, given: Array) -> list[str]:
        """Return the names of the features, from those of the columns of X."""
        if self.schema is not None:
            return self.schema.feature_names() or []
        return [*map(str, given), *(f"{given[i]} is missing" for i in self.gaps)]

    def _filled(self, X: Array, missing: Array) -> Array:
        """Return numbers without gaps, with the columns that say where they were."""
        if missing.any():
            X = np.where(missing, self.means.astype(X.dtype), X)
        if self.gaps.size:
            X = np.hstack([X, missing[:, self.gaps].astype(X.dtype)])
        return X


def as_array(value: Any, name: str, dtype: Any) -> Array:
    """Return weights, targets or codes as an array; refuse as scikit-learn does."""
    check: Any = check_array
    return check(value, ensure_2d=False, dtype=dtype, input_name=name)


def _numbers(estimator: Any, X: Any, *, reset: bool) -> Array:
    """Return X as an array of numbers and NaN; refuse all else as scikit-learn does."""
    validate: Any = validate_data
    return validate(
        estimator,
        X,
        reset=reset,
        dtype=[np.float64, np.float32],
        ensure_all_finite="allow-nan",
    )


def _declared(X: Any) -> dict[str, str] | None:
    """Return the columns that a frame declares as categories.

    None for arrays, and for frames of numbers alone.
    """
    columns = None if isinstance(X, dict) else Columns.of(X)
    if columns is None or not hasattr(X, "__getitem__"):
        return None
    declared, table = {}, False
    for name, label in columns.labels.items():
        dtype = getattr(X[label], "dtype", None)
        if str(dtype) == "category":
            declared[name] = "category"
        kind = getattr(dtype, "kind", None) or columns.column(name).dtype.kind
        table = table or name in declared or kind not in "biuf"
    return declared if table else None


def _table(X: Any, kept: Collection[str]) -> Frame:
    """Return a frame as a table, in which truth values are the numbers 0 and 1.

    As texts, "True" would be none of the categories where 1 was learnt, in silence.

    Args:
        X: the frame.
        kept: columns that stay as they are.
    """
    frame = Frame.of(X, NAME)
    arrays = {
        name: array if name in kept else _truth_as_numbers(array)
        for name, array in frame.arrays.items()
    }
    return replace(frame, arrays=arrays)


def _truth_as_numbers(column: Array) -> Array:
    """Return a column of truth values as 0, 1 and NaN; others as they are."""
    if column.dtype.kind == "b":
        return column.astype(np.float64)
    if column.dtype.kind == "O":  # with gaps, or out of an array of objects
        import pandas

        missing = pandas.isna(column)
        if all(isinstance(item, bool | np.bool_) for item in column[~missing]):
            return np.where(missing, np.nan, column).astype(np.float64)
    return column
