"""CSV files: columns of numbers, categories and a target, by pandas.

The file is read a chunk of rows at a time, and only the numbers of a chunk are kept,
so a file needs little more memory than the features that come out of it.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.data.cells import FILL, MISSING, MOST, Numbers, Texts, parsed
from chainrule.data.checks import shortened
from chainrule.data.csv_choices import Choices
from chainrule.data.dataset import Column, Dataset
from chainrule.data.files import Features, check_memory
from chainrule.data.table import Table
from chainrule.errors import ArgumentError, DataError, nearest

Arrays = dict[str, np.ndarray]


def read_csv(
    path: Any,
    *,
    target: Any,
    features: Any = None,
    categorical: Any = (),
    classes: Any = None,
    missing: Any = "error",
    delimiter: str = ",",
    encoding: str = "utf-8",
    dtype: Any = "float32",
    name: str | None = None,
) -> Dataset:
    """A table with a header line, one row a sample. Needs the extra ``csv`` (pandas).

    A target of numbers makes a regression, a target of text a classification whose
    classes are the sorted texts. Labels that are written as numbers need
    ``classes=True``. Spaces around cells do not count.

    Args:
        path: the file.
        target: the column to predict, or a list of several columns of numbers.
        features: the columns to predict it from; None: all others.
        categorical: the features that are categories. Each becomes as many columns as
            it has different texts: 1 in the column of its own text, 0 in the others.
            A dictionary gives the texts of each: ``{"colour": ["blue", "red"]}``.
        classes: None: see above. True: the target names classes. False: it holds
            numbers. A list: the names of the classes, in the order of the labels.
        missing: what to do with an empty cell; in a column of numbers NA, N/A, NaN,
            null and none are empty too. ``"error"``: refuse it. ``"drop"``: leave out
            the row. ``"mean"``: put the mean of a feature's column there. A dictionary
            gives a number for each column.
        delimiter: what stands between cells.
        encoding: how the file is encoded, such as ``"cp950"``.
        dtype: ``"float32"``, or ``"float64"`` to keep every digit.
        name: of the data set; None: the name of the file.

    Shapes:
        x: (n, columns) of ``dtype``; ``feature_names`` says which.
        y: (n, targets) of ``dtype`` for a regression, as a ``Linear(…, targets)``
            predicts it; (n,) int32 for a classification.

    Raises:
        DataError: a file that is missing or no table; a column that is not there; text
            in a column of numbers, a missing value or an unknown category, with its
            line, row and column.
        NonFiniteError: infinity, or a number that the dtype cannot hold.
        ArgumentError: an argument that is no choice, or pandas is not installed.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("flats.csv").write_text(
        ...     "area,city,price\\n52,Tainan,8.5\\n40,Taipei,21\\n75,Tainan,12\\n")
        >>> data = read_csv("flats.csv", target="price", categorical="city")
        >>> data.feature_names
        ('area', 'city=Tainan', 'city=Taipei')
        >>> data.x[0], data.y[0]
        (array([52.,  1.,  0.], dtype=float32), array([8.5], dtype=float32))
        >>> read_csv("flats.csv", target="city").class_names
        ('Tainan', 'Taipei')
    """
    choices = Choices.of(
        target, features, categorical, classes, missing, delimiter, encoding, dtype
    )
    reading = Reading(Table.of(path, delimiter, encoding), choices)
    x, y, _ = reading.all()
    fitted = reading.fitted()
    return Dataset(
        x,
        y,
        name=name or reading.table.path.name,
        class_names=fitted.classes or None,
        feature_names=reading.feature_names(),
        format=fitted.format(),
    )


def csv_features(
    path: Any,
    *,
    target: Any = None,
    features: Any = None,
    categorical: Any = (),
    classes: Any = None,
    missing: Any = "error",
    delimiter: str = ",",
    encoding: str = "utf-8",
    dtype: Any = "float32",
) -> Features:
    """The features alone, with the arguments of :func:`read_csv`.

    The column of the target is not looked at, and need not be there.
    """
    choices = Choices.of(
        target, features, categorical, classes, missing, delimiter, encoding, dtype
    )
    reading = Reading(Table.of(path, delimiter, encoding), choices, with_target=False)
    x, _, rows = reading.all()
    names = tuple(f"line {reading.table.line(row)}" for row in rows.tolist())
    return Features(Column(x), names)


class Reading:
    """One pass over a table: what its columns hold is learned on the way.

    Args:
        table: the file.
        choices: what to do with its columns.
        with_target: whether the target is read.

    Attributes:
        features: how the column of each feature is read.
        targets: how that of each target is.
    """

    def __init__(
        self, table: Table, choices: Choices, *, with_target: bool = True
    ) -> None:
        self.table, self.choices = table, choices
        if with_target:
            if not choices.target:
                raise ArgumentError(
                    "No column is named as the target.",
                    expected="the column to predict, or several of numbers",
                    got="target=None",
                    fix="target='price'; for features alone: "
                    "data.read(path, format=…, target=False)",
                )
            table.require(choices.target, "the target")
        names = choices.features
        if names is None:
            names = _all_but(choices.target, table)
        table.require(names, "a feature")
        table.require(tuple(choices.categorical), "a categorical feature")
        _check_fillings(choices, names)
        self.features = {name: self._feature(name) for name in names}
        wanted = choices.target if with_target else ()
        self.targets = {name: self._target(name) for name in wanted}

    def _feature(self, name: str) -> Numbers | Texts:
        missing = self.choices.missing
        if name in self.choices.categorical:
            known = self.choices.categorical[name]
            keep = missing == "drop"
            return Texts(self.table, name, keep, "category", known, MOST)
        fix = (
            f"correct the cell; categorical=['{shortened(name)}'] if the column holds "
            "categories; or leave it out: features=[…]"
        )
        keep = name in missing if isinstance(missing, dict) else missing != "error"
        return Numbers(self.table, name, keep, self.choices.dtype, fix)

    def _target(self, name: str) -> Numbers | Texts:
        classes, keep = self.choices.classes, self.choices.missing == "drop"
        if classes is False or len(self.choices.target) > 1:
            fix = "correct the cell; or classes=True if they are names of classes"
            return Numbers(self.table, name, keep, self.choices.dtype, fix)
        known = classes if isinstance(classes, tuple) else None
        kind = "number or class" if classes is None else "class"
        return Texts(self.table, name, keep, kind, known)

    # -- reading -------------------------------------------------------------------

    def chunks(self) -> Iterator[tuple[int, Arrays]]:
        """The columns of a chunk of rows after the other, and its first row."""
        columns = self.features | self.targets
        for first, cells in self.table.chunks(list(columns)):
            rows = range(first, first + len(next(iter(cells.values()))))
            made = {name: columns[name].values(rows, cells[name]) for name in columns}
            yield first, made

    def all(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Features, targets and the numbers of the rows, of the whole table."""
        parts = [columns for _, columns in self.chunks()]
        names = [*self.features, *self.targets]
        columns = {name: np.concatenate([p[name] for p in parts]) for name in names}
        del parts
        x, y, rows = self.arrays(0, columns)
        if not len(rows):
            raise DataError(
                f"'{self.table.path}' has no row without a missing value.",
                expected="at least one complete row",
                got=f"{self.table.rows} rows, all with gaps",
                fix="leave out the columns with the gaps, or missing='mean'",
            )
        return x, y, rows

    def arrays(
        self, first: int, columns: Arrays
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Features, targets and row numbers of some rows; incomplete ones left out."""
        n = len(next(iter(columns.values())))
        y, keep = self._y(n, columns)
        width = len(self.feature_names())
        check_memory(
            self.table.path,
            n * width * self.choices.dtype.itemsize,
            "take fewer columns, or stream it: cr.data.Stream.from_csv",
        )
        x, at = np.zeros((n, width), self.choices.dtype), 0
        for name, column in self.features.items():
            values = columns[name]
            if isinstance(column, Texts):
                names, place = column.ordered()
                there = np.flatnonzero(values >= 0)
                x[there, at + place[values[there]]] = 1
                keep[values < 0] = False
                at += len(names)
            else:
                x[:, at] = values
                self._fill(name, column, x[:, at], keep)
                at += 1
        rows = np.flatnonzero(keep)
        if len(rows) < n:
            x, y = x[rows], y[rows]
        return x, y, rows + first

    def _fill(
        self, name: str, column: Numbers, values: np.ndarray, keep: np.ndarray
    ) -> None:
        """Put a number into the gaps, or leave out their rows."""
        gaps, missing = np.isnan(values), self.choices.missing
        if not gaps.any():
            return
        if missing == "drop":
            keep[gaps] = False
        else:
            values[gaps] = missing[name] if isinstance(missing, dict) else column.mean

    # -- the target ----------------------------------------------------------------

    def _y(self, n: int, columns: Arrays) -> tuple[np.ndarray, np.ndarray]:
        """The target, and which rows have one."""
        if not self.targets:
            return np.zeros(n, np.int32), np.ones(n, bool)
        made = []
        for name, column in self.targets.items():
            values = columns[name]
            if isinstance(column, Texts):
                if self._is_labels(column):
                    _, place = column.ordered()
                    labels = np.append(place, -1)[values].astype(np.int32)
                    return labels, values >= 0
                numbers = self._numbers(column)
                values = np.append(numbers, np.nan)[values]
            made.append(values)
        y = np.stack(made, axis=1).astype(self.choices.dtype, copy=False)
        return y, ~np.asarray(np.isnan(y).any(axis=1))

    def _is_labels(self, column: Texts) -> bool:
        """Whether the target names classes.

        Raises:
            DataError: it holds numbers and text.
        """
        if self.choices.classes is not None:
            return True
        texts = list(column.place)
        strange = np.flatnonzero(np.isnan(parsed(texts))).tolist()
        words = [texts[i] for i in strange if texts[i].lower() not in MISSING]
        if words and len(strange) < len(texts):
            row = column.first[column.place[words[0]]]
            raise DataError(
                "The target holds numbers and text in "
                f"'{self.table.path}': {self.table.place(row, column.name)}.",
                expected="numbers for a regression, or names of classes",
                got=repr(shortened(words[0])),
                fix="correct the cell; or classes=True if all of them name classes",
            )
        return bool(words)

    def _numbers(self, column: Texts) -> np.ndarray:
        """The numbers that the texts of the target are; NaN where one is missing."""
        reader = Numbers(
            self.table, column.name, column.keep_missing, self.choices.dtype, FILL
        )
        return reader.values(column.first, list(column.place))

    # -- what was learned ----------------------------------------------------------

    def feature_names(self) -> list[str]:
        """The names of the columns of x."""
        names: list[str] = []
        for name, column in self.features.items():
            if isinstance(column, Texts):
                names += [f"{name}={text}" for text in column.ordered()[0]]
            else:
                names.append(name)
        return names

    def fitted(self) -> Choices:
        """The choices that read another file as this one was read."""
        known = {
            name: column.ordered()[0]
            for name, column in self.features.items()
            if isinstance(column, Texts)
        }
        missing = self.choices.missing
        if missing == "mean":
            missing = {
                name: column.mean
                for name, column in self.features.items()
                if isinstance(column, Numbers)
            }
        return replace(
            self.choices,
            features=tuple(self.features),
            categorical=known,
            classes=self._class_names() or False,
            missing=missing,
        )

    def _class_names(self) -> tuple[str, ...] | None:
        (column, *_) = self.targets.values()
        if not isinstance(column, Texts) or not self._is_labels(column):
            return None
        names, _ = column.ordered()
        if len(names) < 2:
            raise DataError(
                f"Column '{shortened(column.name)}' of '{self.table.path}' names one "
                "class only.",
                expected="at least two classes",
                got=shortened(", ".join(names)),
                fix="is it the right target? classes=[…] names classes that do not "
                "come up",
            )
        return names


def _check_fillings(choices: Choices, names: tuple[str, ...]) -> None:
    """Refuse numbers for the gaps of columns that hold none, or are no features."""
    numeric = dict.fromkeys(n for n in names if n not in choices.categorical)
    for name in choices.missing if isinstance(choices.missing, dict) else ():
        if name not in numeric:
            close = nearest(name, numeric)
            raise ArgumentError(
                f"missing names '{shortened(name)}', which is no feature of numbers.",
                expected=f"among {shortened(', '.join(numeric), 200)}",
                got=repr(shortened(name)),
                fix=f"did you mean '{close}'?" if close else "leave it out",
            )


def _all_but(target: tuple[str, ...], table: Table) -> tuple[str, ...]:
    """All columns that are not the target; they have names."""
    if "" in table.columns:
        place = table.columns.index("") + 1
        raise DataError(
            f"Column {place} of '{table.path}' has no name.",
            expected="a name for each column in the header line",
            got="an empty name; pandas writes the number of each row so",
            fix="say which columns are the features: features=[…]; or write the file "
            "with to_csv(path, index=False)",
        )
    names = tuple(name for name in table.columns if name not in target)
    if not names:
        raise DataError(
            f"'{table.path}' has no features.",
            expected="at least one column besides the target",
            got=f"the columns {shortened(', '.join(table.columns))}",
            fix="is the delimiter another one? delimiter=';' or delimiter='\\t'",
        )
    return names
