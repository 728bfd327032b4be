"""The sources of data sets: frames, Parquet, Hugging Face, windows of a series.

A further source is one more classmethod here, which calls the constructor.
"""

from collections.abc import Mapping
from typing import Any, Self

from chainrule.data.column import Column
from chainrule.data.huggingface import HuggingFace
from chainrule.data.tables.parquet import Parquet
from chainrule.data.tables.source import Frame
from chainrule.data.tables.table_reader import TableReader
from chainrule.data.windows import cut
from chainrule.text import _
from chainrule.util.keywords import strict
from chainrule.util.validation import known_names


@strict
class Sources:
    """Base class of :class:`chainrule.data.Dataset`: what one is made of."""

    def __init__(self, x: Any, y: Any, **options: Any) -> None:
        raise NotImplementedError

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        *,
        target: Any,
        name: str = "data",
        **options: Any,
    ) -> Self:
        """Make a data set of a data frame (pandas, polars, …), one row per sample.

        Needs the extra ``data``. ``lines`` are the numbers of the rows, from 0.

        Args:
            frame: the data frame.
            target: the column to predict, or a list of several columns of numbers.
            name: of the data set.
            **options: features, dtype, task, classes, missing, missing_values, unknown
                and decimal, as :func:`chainrule.data.read_csv` takes them. Numbers that
                pandas has as a ``category`` are codes, as dtype could say; a target of
                them is of classes.

        Raises:
            ArgumentError: no frame, or an argument that is no choice.
            DataError: a missing column, or a question.

        Example:
            >>> import pandas
            >>> frame = pandas.DataFrame({"a": [1, 2, 3], "k": ["u", "v", "u"]})
            >>> from chainrule.data import Dataset
            >>> data = Dataset.from_frame(frame, target="k")
            >>> data.class_names, data.y
            (('u', 'v'), array([0, 1, 0], dtype=int32))
        """
        source = Frame.of(frame, name)
        given = options.get("dtype") or {}
        if source.codes and isinstance(given, Mapping):
            targets = target if isinstance(target, list | tuple) else [target]
            coded = [n for n in source.codes if n not in targets]
            options["dtype"] = {**dict.fromkeys(coded, "category"), **given}
            if target in source.codes:
                options.setdefault("task", "classification")
        return cls._of_table(
            TableReader.inferred(source, target=target, **options), name
        )

    @classmethod
    def from_parquet(
        cls,
        path: Any,
        *,
        target: Any,
        columns: Any = None,
        name: str | None = None,
        **options: Any,
    ) -> Self:
        """Make a data set of a Parquet file, or of several, one row per sample.

        Needs the extra ``parquet`` (pyarrow). Only the columns that are used are read,
        50,000 rows at a time. ``lines`` are the numbers of the rows, from 0 on, over
        all files. :meth:`Stream.from_parquet` is for what is larger than memory.

        Args:
            path: the file, or a list of files with the same columns.
            target: the column to predict, or a list of several columns of numbers.
            columns: the columns to read, the target among them; None: all.
            name: of the data set; None: that of the file.
            **options: as :meth:`from_frame` takes them.

        Raises:
            ArgumentError: pyarrow is not installed; an argument that is no choice.
            DataError: a file that is missing, or no Parquet file, or has other columns
                than the first; a missing column; a question.
        """
        source = Parquet.of(path, columns)
        return cls._of_table(
            TableReader.inferred(source, target=target, **options), name
        )

    @classmethod
    def from_huggingface(
        cls,
        data: Any,
        *,
        target: Any,
        features: Any = None,
        name: str = "data",
        **options: Any,
    ) -> Self:
        """Make a data set of a ``datasets.Dataset`` of Hugging Face.

        Where all features are single values, it is a table and is read as one. Else
        each column is an input: images, or arrays of one shape; lists of one length
        that nothing reordered are not copied.

        Args:
            data: the data set, of one split.
            target: the column to predict. Of a ``ClassLabel`` the numbers of the
                classes stay, and ``class_names`` are theirs.
            features: the columns to predict it from, or a single one; None: all others.
            name: of the data set.
            **options: of a table, as :meth:`from_frame` takes them.

        Raises:
            ArgumentError: something else; a data set with a transform, for which there
                is :meth:`Stream.from_huggingface`.
            DataError: a missing column; rows that differ in shape.
        """
        chosen = HuggingFace(data, target, features)
        if chosen.is_table:
            if chosen.class_names is not None:
                options.setdefault("classes", chosen.class_names)
            columns = list(chosen.features)
            return cls.from_frame(
                chosen.table(), target=target, features=columns, name=name, **options
            )
        if options:
            known_names(_("An option of images and arrays"), options, ())
        x, y, names = chosen.arrays()
        return cls(x, y, class_names=names, name=name)

    @classmethod
    def windows(
        cls,
        series: Any,
        length: int,
        *,
        horizon: int = 1,
        stride: int = 1,
        targets: Any = None,
        group: Any = None,
        time: Any = None,
        name: str = "series",
    ) -> Self:
        """Cut a time series into windows, to predict the rows behind each of them.

        The windows of one series are views, and a Trainer gathers its batches from
        them. Those of several series are copied.

        Args:
            series: rows in the order of time: a frame of numbers, or an array of shape
                (rows,) or (rows, columns). Whole numbers become float32; float64 where
                they need it.
            length: rows of a window.
            horizon: how many of the following rows are predicted.
            stride: rows from one window to the next.
            targets: the columns to predict, by name or number; None: all.
            group: what tells several series apart, a column or one value a row. No
                window reaches from one into another; series that are too short are
                left out.
            time: a column, or one value a row, that has to grow within a series; no
                feature. Texts are dates of ISO 8601.
            name: of the data set.

        Shapes:
            x: (windows, length, columns).
            y: (windows, targets); for a horizon above 1 (windows, horizon) of one
                target, (windows, horizon, targets) of several.

        ``lines`` are the rows of the series that are predicted first: predictions
        belong to ``frame.iloc[data.lines]``. ``data.of_windows`` has the names of the
        columns, and a Trainer takes windows of these alone. Only ``split(…,
        shuffle=False)`` splits windows.

        Raises:
            ArgumentError: a length, horizon or stride that is no count.
            DataError: a series that is too short; rows that are not in the order of
                time; a column that is not there.
            NonFiniteError: a gap in the series.

        Example:
            >>> from chainrule.data import Dataset
            >>> data = Dataset.windows([0.0, 1.0, 2.0, 3.0, 4.0], 3)
            >>> data.x[:, :, 0].tolist(), data.y.tolist(), data.lines.tolist()
            ([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]], [[3.0], [4.0]], [3, 4])
        """
        found = cut(
            series,
            length,
            horizon=horizon,
            stride=stride,
            targets=targets,
            group=group,
            time=time,
        )
        data: Any = cls(found.x[:1], found.y[:1], name=name)  # all numbers are checked
        data.x, data.y, data.lines = Column(found.x), found.y, found.lines
        data.of_windows, data.format = found.windows, found.windows.format
        return data

    @classmethod
    def _of_table(cls, reader: TableReader, name: str | None = None) -> Self:
        """Make a data set of all rows of a table, with its schema."""
        rows = reader.all()
        data: Any = cls(
            rows.x,
            rows.y,
            name=name or reader.source.name,
            **reader.schema.description(),
        )
        data.lines, data.report = rows.lines, reader.report
        return data
