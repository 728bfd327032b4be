"""The Dataset class: supervised data, n rows of features x and a target y for each."""

import operator
from collections.abc import Iterator
from functools import partial
from operator import itemgetter
from typing import Any, overload

import numpy as np

from chainrule.data import splitting
from chainrule.data.checks import (
    check_finite,
    check_labels,
    check_lengths,
    check_one_each,
    checked_batch_size,
    checked_classes,
    checked_feature_names,
    checked_format,
    checked_target_names,
    numbers,
    targets,
)
from chainrule.data.column import Column
from chainrule.data.frames import Columns, Named, in_order, labels_of
from chainrule.data.memory import on_disk
from chainrule.data.sources import Sources
from chainrule.data.tables.table_reader import TableReport
from chainrule.data.windows import Windows, check_columns
from chainrule.errors import ArgumentError
from chainrule.random import permutation
from chainrule.text import _, ngettext
from chainrule.util import validation
from chainrule.util.keywords import strict
from chainrule.util.pytree import is_nest, leaves, mapped, named


@strict
class Dataset(Sources):
    """A supervised data set: features x and a target y for each row.

    Args:
        x: features of shape (n, …), from anything with ``__array__`` or
            ``__dlpack__``, from nested lists of numbers, a frame of numbers (pandas,
            polars, pyarrow …), or a `Column`. They stay in the dtype that they came in
            and are not copied. Numbers from lists, which name no dtype, become float32;
            float64 where whole numbers need it. Several inputs are a dictionary, by
            the names of the network's arguments, or a tuple, in their order; a list is
            one array.
        y: targets, n rows, from the same sources. Booleans and integers become
            int32, floats keep their dtype. Several targets are a dictionary or a tuple.
        scale: the factor of x = float32(stored) · float32(scale), or None; of several
            inputs each has its own, as a `Column`.
        name: the name of the data set in reports.
        classes: the number of classes, for classification: then y has shape (n,)
            and holds the integers 0 … classes − 1.
        class_names: the name of each class, in the order of the labels, instead of
            ``classes``.
        feature_names: the name of each column of x, for x of shape (n, columns); None:
            those of a frame. A Trainer finds columns by them, whatever their order.
        target_names: the name of each column of y, likewise.
        format: the format of the file that the rows were read from, as readers
            describe it; :func:`chainrule.data.read` reads another file with it.

    Attributes:
        x: the features, a `Column`; ``x[:3]`` is a NumPy array of float32 (of
            float64 where float64 came without a scale). Of several inputs a dictionary
            or a tuple of columns.
        y: the targets, a NumPy array of int32, float32 or float64, or several.
        name: the name.
        classes: the number of classes, or None.
        class_names: a tuple of texts, or None.
        feature_names: a tuple of texts, or None.
        target_names: a tuple of texts where y has several columns, or None.
        format: a dictionary that JSON can hold, or None.
        lines: for rows of a table the line on which each begins, else None.
        report: the changes to a table while it was read, else None.
        of_windows: what the rows of :meth:`windows` are, else None.

    Raises:
        ShapeError: x and y of different lengths, or a rank that does not fit.
        ArgumentError: no rows, a label outside 0 … classes − 1, or names that do not
            fit.
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
        >>> pairs = Dataset({"user": [0, 1], "item": [5, 3]}, [4.0, 1.5])
        >>> pairs[1]
        ({'user': np.float32(1.0), 'item': np.float32(3.0)}, np.float32(1.5))
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        *,
        scale: float | None = None,
        name: str = "data",
        classes: int | None = None,
        class_names: Any = None,
        feature_names: Any = None,
        target_names: Any = None,
        format: Any = None,
    ) -> None:
        if not is_nest(x):
            if isinstance(x, Column) and scale is not None:
                raise ArgumentError(
                    _("x is a Column, which has its own scale."),
                    expected=_("scale=None with a Column"),
                    got=f"scale={scale!r}",
                    fix=_("pass its stored array: Dataset(x.stored, y, scale=...)"),
                )
            if (frame := Columns.of(x)) is not None:
                x = frame.array("x")
                if feature_names is None and x.shape[1:] == (len(frame.names),):
                    feature_names = frame.names
        if not is_nest(y) and (frame := Columns.of(y)) is not None:
            y = frame.array("y")
            target_names = frame.names if target_names is None else target_names
        check_one_each(
            x, y, (scale, feature_names), (classes, class_names, target_names)
        )
        column = mapped(partial(_column, scale=scale), named(x, "x"), x)
        y_array = mapped(
            lambda what, part: targets(numbers(part, what)), named(y, "y"), y
        )
        check_lengths(column, y_array, lists=_lists(x) or _lists(y))
        classes, class_names = checked_classes(classes, class_names)
        if classes is not None:
            check_labels(y_array, classes)
        if feature_names is not None:
            feature_names = checked_feature_names(feature_names, column.shape)
        if target_names is not None:
            target_names = checked_target_names(target_names, y_array.shape)
        for what, part in _columns(column, y_array).items():
            if not on_disk(part.stored):  # else rows are checked when they are read
                check_finite(part, what)
        self.x: Any = column
        self.y: Any = y_array
        self.name, self.classes = name, classes
        # Each is None where there is none; ``| Any`` spares readers to ask.
        self.class_names: tuple[str, ...] | Any = class_names
        self.feature_names: tuple[str, ...] | Any = feature_names
        self.target_names: tuple[str, ...] | Any = target_names
        self.format: dict[str, Any] | Any = (
            None if format is None else checked_format(format)
        )
        self.lines: np.ndarray | Any = None
        self.report: TableReport | Any = None
        self.of_windows: Windows | Any = None

    def __len__(self) -> int:
        return len(next(iter(leaves(self.y, "y").values())))

    @overload
    def __getitem__(self, key: slice) -> "Dataset": ...

    @overload
    def __getitem__(self, key: Any) -> tuple[Any, Any]: ...

    def __getitem__(self, key: Any) -> "Dataset | tuple[Any, Any]":
        """Return a data set's rows: ``data[:100]`` a `Dataset`, ``data[3]`` a pair.

        A slice shares the memory of its data set; nothing is copied.

        Raises:
            ArgumentError: a slice without rows, or a key of another kind.
            IndexError: a row that is not there.
        """
        if isinstance(key, slice):
            return self._part(key)
        try:
            row = operator.index(key)
        except TypeError:
            raise ArgumentError(
                _("The data set '{name}' cannot be indexed like this.", name=self.name),
                expected=_("a row number or a slice, such as data[3] or data[:100]"),
                got=f"{key!r}",
                fix=_(
                    "for several rows, data.rows([3, 1, 4]); else index its "
                    "arrays: data.x[rows], data.y[rows]"
                ),
            ) from None
        return self._at(row)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return (self._at(row) for row in range(len(self)))

    def _at(self, key: Any) -> tuple[Any, Any]:
        """Return features and targets of some rows, as arrays."""
        return mapped(itemgetter(key), self.x), mapped(itemgetter(key), self.y)

    def take(self, n: int) -> "Dataset":
        """Return a data set of the first n rows, which shares memory.

        Args:
            n: the number of rows, 1 … len(self).

        Raises:
            ArgumentError: fewer than one row, or more than there are.

        Example:
            >>> Dataset([[1.0], [2.0], [3.0]], [2.0, 4.0, 6.0]).take(2).y
            array([2., 4.], dtype=float32)
        """
        if not 1 <= n <= len(self):
            raise ArgumentError(
                ngettext(
                    "Cannot take {n} row from the data set '{name}'.",
                    "Cannot take {n} rows from the data set '{name}'.",
                    n=n,
                    name=self.name,
                ),
                expected=_("1 to {self} rows", self=len(self)),
                got=f"{n}",
                fix=_("data.take(min(n, len(data))) takes as many as there are"),
            )
        return self._part(slice(n))

    def rows(self, index: Any) -> "Dataset":
        """Return a data set of the rows with given indices, in order.

        Args:
            index: integers, negative ones counted from the end; or one boolean a row:
                those that are true.

        Raises:
            ArgumentError: a number that is no row, no rows at all, or an index of
                another kind.

        Example:
            >>> data = Dataset([[1.0], [2.0], [3.0]], [2.0, 4.0, 6.0])
            >>> data.rows([2, 0]).y, data.rows(data.y > 3).y
            (array([6., 2.], dtype=float32), array([4., 6.], dtype=float32))
        """
        return self._part(splitting.row_numbers(index, len(self), self.name))

    def batches(
        self,
        batch_size: int | None = 32,
        *,
        shuffle: bool = True,
        seed: int = 0,
        epoch: int = 0,
        drop_last: bool = False,
    ) -> Iterator[tuple[Any, Any]]:
        """Yield the batches (x, y) of one pass over the data set.

        ``batch_size=None`` is batch gradient descent (all rows make one step),
        ``batch_size=1`` stochastic gradient descent, and what is between is
        mini-batch gradient descent.

        The order is :func:`chainrule.random.permutation` of (n, seed, epoch): a
        Trainer with this seed visits the rows of that epoch in the same order.

        Args:
            batch_size: rows a batch, 1 … len(self); None for all.
            shuffle: whether to draw the order; False keeps it.
            seed: of the order.
            epoch: the number of the pass, from 0: each has an order of its own.
            drop_last: whether to leave out a last batch that is not full.

        Returns:
            An iterator of pairs: features of shape (rows, …), as ``x[…]`` gives them,
            and targets.

        Raises:
            ArgumentError: a batch larger than the data, or a seed or an epoch that is
                no whole number.

        Example:
            >>> data = Dataset([[1.0], [2.0], [3.0]], [2.0, 4.0, 6.0])
            >>> [y.tolist() for x, y in data.batches(2, shuffle=False)]
            [[2.0, 4.0], [6.0]]
            >>> [len(y) for x, y in data.batches(2, drop_last=True)]
            [2]
        """
        n = len(self)
        size = checked_batch_size(batch_size, n)
        epoch = validation.count("epoch", epoch)
        order = np.arange(n)
        if validation.truth("shuffle", shuffle):
            order = permutation(n, validation.seed("seed", seed), epoch)
        end = n - n % size if validation.truth("drop_last", drop_last) else n
        pieces = (order[i : i + size] for i in range(0, end, size))
        return map(self._at, pieces)

    def split(
        self,
        first: float,
        seed: int = 0,
        *,
        stratify: bool = False,
        shuffle: bool = True,
        gap: int = 0,
    ) -> tuple["Dataset", "Dataset"]:
        """Split the rows at random into two data sets, such as training and test.

        A seed gives the same split on every machine and in every version. Rows are
        copied, in the dtype that they are stored in.

        With ``stratify``, class i gets nᵢ·count/n rows in the first part, rounded by
        the largest remainder, and each class is in both parts where they have the
        rows for it.

        Args:
            first: the share of the first data set, as a fraction between 0 and 1
                (rounded to whole rows) or as a number of rows.
            seed: the seed of the split, an integer of at least 0.
            stratify: whether to keep each class's share of the rows.
            shuffle: False splits by the order of the rows, without a copy. Of windows
                (:meth:`windows`) it is the order of time in each series, and the second
                part predicts nothing that a window of the first holds or predicts.
            gap: rows between the two parts that are in neither, without ``shuffle``.

        Returns:
            The first data set and the rest: no row in both, none lost but for ``gap``,
            and windows on the boundary.

        Raises:
            ArgumentError: a share that leaves one of the two empty, a negative seed,
                a class of one row with ``stratify``, or windows that are shuffled.
            DTypeError: ``stratify`` where y holds no labels.

        Example:
            >>> data = Dataset([[0], [1], [2], [3], [4]], [0, 1, 2, 3, 4])
            >>> train, validation = data.split(0.6, seed=1)
            >>> sorted([*train.y.tolist(), *validation.y.tolist()])
            [0, 1, 2, 3, 4]
            >>> even = Dataset([[i] for i in range(6)], [0, 0, 1, 1, 1, 1])
            >>> sorted(even.split(3, seed=0, stratify=True)[0].y.tolist())
            [0, 1, 1]
        """
        count = splitting.part_of(first, len(self), self.name)
        seed, gap = validation.seed("seed", seed), validation.count("gap", gap)
        by_order = not validation.truth("shuffle", shuffle)
        if validation.truth("stratify", stratify):
            splitting.check_strata(self.y, self.name, self.class_names)
        splitting.check_order(by_order, gap, stratify)
        if by_order and self.of_windows is not None:
            parts = self.of_windows.halves(count / len(self), gap)
        elif by_order:
            splitting.part_of(count + gap, len(self), self.name)
            parts = slice(count), slice(count + gap, None)
        elif self.of_windows is not None:
            raise splitting.overlapping(self.name)
        elif stratify:
            parts = splitting.stratified_halves(self.y, count, seed)
        else:
            parts = splitting.halves(len(self), count, seed)
        return self._part(parts[0]), self._part(parts[1])

    def folds(
        self, k: int, seed: int = 0, *, stratify: bool = False
    ) -> Iterator[tuple["Dataset", "Dataset"]]:
        """Yield the pairs (training, validation) of k-fold cross-validation.

        Args:
            k: the number of folds, 2 … len(self). Their sizes differ by at most one.
            seed: the seed of the folds, an integer of at least 0.
            stratify: whether to deal class by class: then a class's rows in two folds
                differ by one at most as well.

        Returns:
            An iterator of k pairs (training, validation).

        Raises:
            ArgumentError: fewer than two folds or more than rows, a negative seed, or
                a class of one row with ``stratify``.
            DTypeError: ``stratify`` where y holds no labels.

        Example:
            >>> data = Dataset([[i] for i in range(7)], list(range(7)))
            >>> [len(validation) for train, validation in data.folds(3)]
            [3, 2, 2]
        """
        example = _("for train, validation in data.folds(5, seed=0): ...")
        k, seed = validation.whole("k", k, least=2), validation.seed("seed", seed)
        if k > len(self):
            raise ArgumentError(
                ngettext(
                    "The data set '{name}' cannot be dealt into {n} fold.",
                    "The data set '{name}' cannot be dealt into {n} folds.",
                    n=k,
                    name=self.name,
                ),
                expected=_(
                    "2 to {self} folds, as many as there are rows", self=len(self)
                ),
                got=f"{k}",
                fix=example,
            )
        if validation.truth("stratify", stratify):
            splitting.check_strata(self.y, self.name, self.class_names)
        if self.of_windows is not None:
            raise splitting.overlapping(self.name)
        labels = self.y if stratify else None
        parts = splitting.folds(len(self), k, seed, labels)
        return (
            (self._part(rest), self._part(validation)) for rest, validation in parts
        )

    def _part(self, rows: slice | np.ndarray) -> "Dataset":
        """Return some of a data set's rows; those copied from a file are checked."""
        part = object.__new__(Dataset)
        part.__dict__.update(self.__dict__)
        part.x = mapped(lambda column: column.part(rows), self.x)
        part.y = mapped(itemgetter(rows), self.y)
        part.lines = None if self.lines is None else self.lines[rows]
        if self.of_windows is not None:
            part.of_windows = self.of_windows.part(rows)
        check_lengths(part.x, part.y)
        if not isinstance(rows, slice):
            copied = _columns(part.x, part.y)
            for what, column in _columns(self.x, self.y).items():
                if on_disk(column.stored):
                    check_finite(copied[what], what, rows=rows)
        return part

    def like(self, other: Named) -> "Dataset":
        """Return a data set with columns and labels ordered as in another data set.

        Columns are found by their names, where both have some, and labels by the names
        of their classes. Further columns are left out.

        Args:
            other: another data set, or a Trainer's ``plan``.

        Raises:
            DataError: a column of the other that is not here, or a class that is not
                there; windows of other columns.

        Example:
            >>> here = Dataset([[1.0, 2.0]], [3.0], feature_names=("b", "a"))
            >>> here.like(Dataset([[0.0, 0.0]], [0.0], feature_names=("a", "b"))).x[0]
            array([2., 1.], dtype=float32)
        """
        data = self._part(slice(None))
        check_columns(self.format, other.format)
        trained, names = other.feature_names, self.feature_names
        if trained is not None and names is not None and names != trained:
            positions = in_order(names, trained, _("a feature"))
            data.x = Column(self.x.stored[:, positions], self.x.scale)
            if on_disk(self.x.stored):
                check_finite(data.x, "x")
            data.feature_names = trained
        trained, names = other.target_names, self.target_names
        if trained is not None and names is not None and names != trained:
            data.y = self.y[:, in_order(names, trained, _("a target"))]
            data.target_names = trained
        trained, names = other.class_names, self.class_names
        if trained is not None and names is not None and names != trained:
            data.y = labels_of(names, trained)[self.y]
            data.classes, data.class_names = len(trained), trained
        return data

    def __repr__(self) -> str:
        classes = (
            ""
            if self.classes is None
            else ngettext(", {n} class", ", {n} classes", n=self.classes)
        )
        x = ", ".join(f"{k} {c!r}" for k, c in leaves(self.x, "x").items())
        y = ", ".join(
            f"{k} {a.dtype} {a.shape}" for k, a in leaves(self.y, "y").items()
        )
        rows = ngettext("{n} row", "{n} rows", n=len(self))
        return f"Dataset('{self.name}': {rows}, {x}, {y}{classes})"

    def _repr_html_(self) -> str:
        from chainrule.data.view import dataset_view  # which notebooks alone need

        return dataset_view(self)


def _lists(given: Any) -> bool:
    """Return whether data came as a list of arrays."""
    return isinstance(given, list) and any(hasattr(a, "shape") for a in given)


def _columns(x: Any, y: Any) -> dict[str, Column]:
    """Return all inputs and targets as columns, by name."""
    targets = {name: Column(array) for name, array in leaves(y, "y").items()}
    return leaves(x, "x") | targets


def _column(what: str, x: Any, scale: float | None) -> Column:
    """Return one input of a data set as a column."""
    if isinstance(x, Column):
        x, scale = x.stored, x.scale
    return Column(numbers(x, what), scale)
