"""Supervised data: n rows of features x, and a target y for each.

Data stay in the dtype that they came in. 60,000 images of MNIST are 47 MB as
bytes and would be 188 MB as float32, so an engine converts only the rows of the
batch that it is about to use. The conversion is the same everywhere:

    x = float32(stored) · float32(scale)
"""

import operator
from collections.abc import Iterator
from typing import Any, overload

import numpy as np

from chainrule.errors import (
    ArgumentError,
    DataError,
    DTypeError,
    NonFiniteError,
    ShapeError,
)

_CHUNK = 1 << 20  # values looked at together in the search for NaN and infinity


class Column:
    """A stored array, and the factor that turns it into features.

    Formula:
        x = float32(stored) · float32(scale), rounded once after each of the two
        steps. Without a scale, x = float32(stored); float64 stays float64.

    Args:
        stored: the array as it came, of shape (n, …): booleans, integers or
            floating-point numbers.
        scale: a factor (1/255 takes grey values from 0…255 to 0…1), or None.

    Attributes:
        stored: the array as it came; an engine gathers rows of it.
        scale: the factor, or None.
        shape: the shape of the stored array.
        dtype: the dtype of the features: float64 where float64 is stored and
            there is no scale, float32 otherwise.

    Indexing gives plain NumPy arrays of features. As in NumPy, a slice of floats
    that need no conversion is a view of what is stored; all else is a new array.

    Raises:
        ArgumentError: a scale that is zero, infinite or not a number.

    Example:
        >>> pixels = Column(np.array([[0, 51], [255, 102]], np.uint8), scale=1 / 255)
        >>> pixels.shape, pixels.dtype, pixels.stored.dtype
        ((2, 2), dtype('float32'), dtype('uint8'))
        >>> pixels[1]
        array([1.        , 0.40000004], dtype=float32)
    """

    def __init__(self, stored: np.ndarray, scale: float | None = None) -> None:
        self.stored = stored
        self.scale = None if scale is None else _checked_scale(scale)
        exact = scale is None and stored.dtype == np.float64
        self.dtype = np.dtype(np.float64 if exact else np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the stored array: (n, …)."""
        return self.stored.shape

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, key: Any) -> np.ndarray:
        values = self.stored[key]
        if self.scale is None:
            return values.astype(self.dtype, copy=False)
        return values.astype(np.float32) * np.float32(self.scale)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[row] for row in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        wanted = self.dtype if dtype is None else np.dtype(dtype)
        as_stored = self.scale is None and self.stored.dtype == wanted == self.dtype
        if copy is False and not as_stored:
            raise ValueError(
                f"{self!r} cannot become an array of {wanted} without a copy."
            )
        return self[...].astype(wanted, copy=bool(copy) and as_stored)

    def __repr__(self) -> str:
        factor = "" if self.scale is None else f", scale={self.scale:.6g}"
        return f"Column(shape={self.shape}, stored={self.stored.dtype}{factor})"


class Dataset:
    """A supervised data set: row i of x goes with row i of y.

    Args:
        x: features of shape (n, …), from anything with ``__array__`` or
            ``__dlpack__``, from nested lists of numbers, or a `Column`. They stay
            in the dtype that they came in and are not copied. Numbers from lists,
            which name no dtype, become float32.
        y: targets, n rows, from the same sources. Booleans and integers become
            int32, floats keep their dtype.
        scale: the factor of x = float32(stored) · float32(scale), or None.
        name: what to call the data set in reports.
        classes: the number of classes, for classification: then y has shape (n,)
            and holds the integers 0 … classes − 1.

    Attributes:
        x: the features, a `Column`; ``x[:3]`` is a NumPy array of float32 (of
            float64 where float64 came without a scale).
        y: the targets, a NumPy array of int32, float32 or float64.
        name: the name.
        classes: the number of classes, or None.

    Raises:
        ShapeError: x and y of different lengths, or a rank that does not fit.
        ArgumentError: no rows, or a label outside 0 … classes − 1.
        DTypeError: text, objects, complex numbers or dates; labels that are floats.
        NonFiniteError: NaN or infinity in x or y, with its row and column.
        DataError: something that is not an array at all.

    Example:
        >>> xor = Dataset([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], classes=2)
        >>> len(xor), xor.x.shape, xor.y
        (4, (4, 2), array([0, 1, 1, 0], dtype=int32))
        >>> xor.x[1:3]
        array([[0., 1.],
               [1., 0.]], dtype=float32)
        >>> train, test = xor.split(0.75, seed=0)
        >>> len(train), len(test)
        (3, 1)
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        *,
        scale: float | None = None,
        name: str = "data",
        classes: int | None = None,
    ) -> None:
        if isinstance(x, Column):
            if scale is not None:
                raise ArgumentError(
                    "x is a Column, which has its own scale.",
                    expected="scale=None with a Column",
                    got=f"scale={scale!r}",
                    fix="pass its stored array: Dataset(x.stored, y, scale=...)",
                )
            x, scale = x.stored, x.scale
        column = Column(_numbers(x, "x"), scale)
        targets = _targets(_numbers(y, "y"))
        _check_lengths(column, targets)
        if classes is not None:
            _check_labels(targets, classes)
        _check_finite(column, "x")
        _check_finite(Column(targets), "y")
        self.x, self.y, self.name, self.classes = column, targets, name, classes

    def __len__(self) -> int:
        return len(self.y)

    @overload
    def __getitem__(self, key: slice) -> "Dataset": ...

    @overload
    def __getitem__(self, key: Any) -> tuple[np.ndarray, Any]: ...

    def __getitem__(self, key: Any) -> "Dataset | tuple[np.ndarray, Any]":
        """Rows: ``data[:100]`` is a `Dataset`, ``data[3]`` the pair (x, y) of a row.

        A slice shares the memory of its data set; nothing is copied.

        Raises:
            ArgumentError: a slice without rows, or a key of another kind.
            IndexError: a row that is not there.
        """
        if isinstance(key, slice):
            return self._rows(key)
        try:
            row = operator.index(key)
        except TypeError:
            raise ArgumentError(
                f"The data set '{self.name}' cannot be indexed like this.",
                expected="a row number or a slice, such as data[3] or data[:100]",
                got=f"{key!r}",
                fix="index its arrays instead: data.x[rows], data.y[rows]",
            ) from None
        return self.x[row], self.y[row]

    def __iter__(self) -> Iterator[tuple[np.ndarray, Any]]:
        return ((self.x[row], self.y[row]) for row in range(len(self)))

    def take(self, n: int) -> "Dataset":
        """The first n rows, sharing memory with this data set.

        Args:
            n: how many rows, 1 … len(self).

        Raises:
            ArgumentError: fewer than one row, or more than there are.

        Example:
            >>> Dataset([[1.0], [2.0], [3.0]], [2.0, 4.0, 6.0]).take(2).y
            array([2., 4.], dtype=float32)
        """
        if not 1 <= n <= len(self):
            raise ArgumentError(
                f"Cannot take {n} rows from the data set '{self.name}'.",
                expected=f"1 to {len(self)} rows",
                got=f"{n}",
                fix="data.take(min(n, len(data))) takes as many as there are",
            )
        return self._rows(slice(n))

    def split(self, first: float, seed: int = 0) -> tuple["Dataset", "Dataset"]:
        """Deal the rows at random into two data sets.

        The order is the argsort of n raw 64-bit words from NumPy's Philox
        generator. NumPy promises that this stream never changes, so a seed gives
        the same split on every machine and in every version. Rows are copied, in
        the dtype that they are stored in.

        Args:
            first: the share of the first data set, as a fraction between 0 and 1
                (rounded to whole rows) or as a number of rows.
            seed: which split, an integer of at least 0.

        Returns:
            The first data set and the rest: no row in both, none lost.

        Raises:
            ArgumentError: a share that leaves one of the two empty, or a negative
                seed.

        Example:
            >>> data = Dataset([[0], [1], [2], [3], [4]], [0, 1, 2, 3, 4])
            >>> train, validation = data.split(0.6, seed=1)
            >>> sorted([*train.y.tolist(), *validation.y.tolist()])
            [0, 1, 2, 3, 4]
        """
        n = len(self)
        if isinstance(first, (int, np.integer)):
            count = int(first)
        else:
            count = round(first * n) if 0 < first < 1 else 0
        if not 0 < count < n:
            raise ArgumentError(
                f"Cannot split the data set '{self.name}' of {n} rows at {first!r}.",
                expected="a fraction between 0 and 1, or a number of rows between "
                f"1 and {n - 1}, so that neither part is empty",
                got=f"{first!r}",
                fix="train, validation = data.split(0.9, seed=0)",
            )
        if not isinstance(seed, (int, np.integer)) or seed < 0:
            raise ArgumentError(
                f"Cannot split the data set '{self.name}' with this seed.",
                expected="an integer of at least 0",
                got=f"{seed!r}",
                fix="train, validation = data.split(0.9, seed=0)",
            )
        order = np.argsort(np.random.Philox(seed).random_raw(n), kind="stable")
        return self._rows(order[:count]), self._rows(order[count:])

    def _rows(self, rows: slice | np.ndarray) -> "Dataset":
        """Some rows as a data set; they were checked when this one was made."""
        part = object.__new__(Dataset)
        part.x = Column(self.x.stored[rows], self.x.scale)
        part.y, part.name, part.classes = self.y[rows], self.name, self.classes
        _check_lengths(part.x, part.y)
        return part

    def __repr__(self) -> str:
        classes = "" if self.classes is None else f", {self.classes} classes"
        return (
            f"Dataset('{self.name}': {len(self)} rows, x {self.x!r}, "
            f"y {self.y.dtype} {self.y.shape}{classes})"
        )


def _numbers(value: Any, what: str) -> np.ndarray:
    """`value` as an array of real numbers in native byte order, not copied."""
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            array = np.from_dlpack(value)
        else:
            array = np.asarray(value)
    except Exception as error:
        raise DataError(
            f"{what} cannot be read as an array.",
            expected="an array on the CPU (anything with __array__ or __dlpack__), "
            "or lists of equal length",
            got=f"{type(value).__name__}: {error}",
            fix="make it an array first, such as numpy.array(rows); a PyTorch "
            "tensor needs .detach().cpu()",
        ) from error
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise DTypeError(
            f"{what} does not hold real numbers.",
            expected="booleans, integers or floats of up to 64 bits",
            got=f"dtype {array.dtype}",
            fix="turn text and dates into numbers first, such as "
            "numpy.unique(labels, return_inverse=True)[1] for names of classes; "
            "a sparse matrix needs .toarray(), a table only its numeric columns",
        )
    if isinstance(value, (list, tuple)) and array.dtype == np.float64:
        array = array.astype(np.float32)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _targets(y: np.ndarray) -> np.ndarray:
    """Targets in the dtypes that losses take: int32, float32 or float64."""
    if y.dtype.kind == "f":
        return y.astype(np.float32) if y.dtype == np.float16 else y
    if y.dtype.itemsize >= 4 and y.dtype != np.int32 and y.size:
        limit = np.iinfo(np.int32)
        wrong = (y > limit.max) | (y < limit.min)
        if wrong.any():
            where = np.argwhere(wrong)[0]
            raise ArgumentError(
                f"y holds an integer too large for a label at {_place(where)}.",
                expected=f"integers from {limit.min} to {limit.max}",
                got=f"{y[tuple(where)]}",
                fix="for a target that is a quantity, pass floats: y.astype('float32')",
            )
    return y.astype(np.int32, copy=False)


def _check_lengths(x: Column, y: np.ndarray) -> None:
    for what, shape in (("x", x.shape), ("y", y.shape)):
        if not shape:
            raise ShapeError(
                f"{what} is a single number and has no rows.",
                expected="shape (n, …), one row a sample",
                got="shape ()",
                fix=f"for a single sample, pass [{what}]",
            )
    if len(x) != len(y):
        raise ShapeError(
            "x and y have different lengths.",
            expected="as many targets as samples",
            got=f"{len(x)} rows of x {x.shape} and {len(y)} rows of y {y.shape}",
            fix="pair them up again; if samples are columns, pass x.T",
        )
    if not len(x) or 0 in x.shape or 0 in y.shape:
        raise ArgumentError(
            "The data set is empty.",
            expected="at least one row with at least one value",
            got=f"x of shape {x.shape} and y of shape {y.shape}",
            fix="look at the file, filter or slice that the rows came from",
        )


def _check_labels(y: np.ndarray, classes: int) -> None:
    if not isinstance(classes, (int, np.integer)) or classes < 2:
        raise ArgumentError(
            "classes is not a number of classes.",
            expected="an integer of at least 2, or None for regression",
            got=f"{classes!r}",
            fix="classes=10 for the ten digits",
        )
    if y.ndim != 1:
        one_hot = y.shape == (len(y), classes)
        fix = "y.argmax(axis=1)" if one_hot else "y.reshape(-1)"
        raise ShapeError(
            f"y has the wrong rank for labels of {classes} classes.",
            expected=f"shape ({len(y)},), one label a row",
            got=f"shape {y.shape}",
            fix=f"pass {fix}, or leave out classes=",
        )
    if y.dtype.kind == "f":
        raise DTypeError(
            f"y holds floats where labels of {classes} classes are asked for.",
            expected=f"integers from 0 to {classes - 1}",
            got=f"dtype {y.dtype}",
            fix="pass y.astype('int32'), or leave out classes= for regression",
        )
    wrong = (y < 0) | (y >= classes)
    if wrong.any():
        row = int(wrong.argmax())
        if y.min() == 1 and y.max() == classes:
            fix = "labels count from 0: pass y - 1"
        elif y.min() < 0:
            fix = "number the classes: numpy.unique(y, return_inverse=True)[1]"
        else:
            fix = f"correct the label, or pass classes={y.max() + 1}"
        raise ArgumentError(
            f"y holds a label that is none of {classes} classes at {_place([row])}.",
            expected=f"labels from 0 to {classes - 1}",
            got=f"{y[row]}",
            fix=fix,
        )


def _check_finite(column: Column, what: str) -> None:
    """Look at the features as an engine will see them, a chunk at a time."""
    if column.stored.dtype.kind != "f":
        return
    rows = max(1, _CHUNK * len(column) // max(1, column.stored.size))
    for start in range(0, len(column), rows):
        with np.errstate(over="ignore"):
            wrong = ~np.isfinite(column[start : start + rows])
        if wrong.any():
            where = np.argwhere(wrong)[0]
            where[0] += start
            raise NonFiniteError(
                f"{what} holds a value that is not a finite number at {_place(where)}.",
                expected=f"finite numbers that fit {column.dtype}",
                got=f"{column.stored[tuple(where)]}",
                fix="drop such rows, such as keep = numpy.isfinite(x).all(axis=1), "
                "or fill the gaps, such as numpy.nan_to_num(x)",
            )


def _place(where: Any) -> str:
    """Where a value stands, counting from 0."""
    row, *rest = (int(i) for i in where)
    if not rest:
        return f"row {row} (counting from 0)"
    column = rest[0] if len(rest) == 1 else tuple(rest)
    return f"row {row}, column {column} (counting from 0)"


def _checked_scale(scale: float) -> float:
    limit = np.finfo(np.float32)
    if not float(limit.tiny) <= abs(scale) <= float(limit.max):
        raise ArgumentError(
            "The scale of x is not a usable factor.",
            expected="a finite number other than 0 that fits float32",
            got=f"{scale!r}",
            fix="scale=1/255 for bytes; scale=None to leave x as it is",
        )
    return float(scale)
