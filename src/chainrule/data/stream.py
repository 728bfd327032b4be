"""The Stream class: data larger than memory, read in blocks ahead of their use."""

from collections.abc import Generator, Iterator
from contextlib import closing
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.data.checks import (
    check_finite,
    check_labels,
    check_one_each,
    checked_classes,
    checked_format,
    checked_names,
)
from chainrule.data.checksums import digest, digests
from chainrule.data.column import Column
from chainrule.data.huggingface import SCALE, HuggingFace, HuggingFaceRows
from chainrule.data.own_rows import Wanted, own_blocks, read_alone
from chainrule.data.positions import Position, portable, restored
from chainrule.data.prefetcher import prefetched
from chainrule.data.source import Pair, Source, Stopped, rows_of
from chainrule.data.tables.file import File
from chainrule.data.tables.parquet import Parquet
from chainrule.data.tables.table_reader import TableReader
from chainrule.errors import ShapeError
from chainrule.graph.types import ArrayType, as_dtype
from chainrule.text import _, ngettext
from chainrule.util import validation
from chainrule.util.keywords import strict
from chainrule.util.pytree import leaves, mapped


@strict
class Stream:
    """A stream of supervised data, read in blocks: one pass per epoch.

    Only two blocks of rows are in memory: the one in use, and the next, which a thread
    makes in the meantime. Samples come in the order of the source; it is the source
    that shuffles them, if they are to be shuffled.

    Args:
        make: a function without arguments that opens the source: it returns an iterable
            of samples (x, y), from the first on, each time that it is called. A
            generator function is one. Or an object whose ``__iter__`` begins anew, or
            a sequence (``__getitem__`` and ``__len__``). Several inputs or targets are
            a dictionary or a tuple, as in a `Dataset`; a list is one array.
        batched: whether the source gives batches, x of shape (rows, …) and as many
            targets, instead of single samples. Their sizes do not matter.
        scale: the factor of x = float32(stored) · float32(scale), or None.
        name: the name of the stream in messages and reports.
        classes: the number of classes, for classification: then the targets are the
            integers 0 … classes − 1.
        class_names: the name of each class, instead of ``classes``.
        feature_names: the name of each feature, for samples of shape (features,).
        target_names: the name of each target, where a sample has several.
        format: the format of the file that the rows were read from, as in a `Dataset`.

    A run that was interrupted goes on with the very next row. What ``make`` returns, or
    the object, may have ``state_dict()`` and ``load_state_dict(state)``, as torchdata's
    loaders do: then it is opened where it stood, and so is a sequence. Any other source
    is read again from the first sample; a checksum tells whether its rows are those of
    before, and where they are not, ``resume`` refuses them. ``start_epoch(seed,
    epoch)`` and ``set_epoch(epoch)``, where there is one, are called before each pass,
    so that an order can depend on them alone.

    All samples have the shape and the dtype of the first one. Lists of numbers, which
    name no dtype, become float32, and their targets int32 or float32.

    Raises:
        ArgumentError: something that is no function, such as a generator that can be
            run through only once.

    Example:
        >>> def squares():
        ...     for i in range(5):
        ...         yield [i, 1.0], [i * i]
        >>> stream = Stream(squares)
        >>> stream.row.shape, stream.target.dtype
        ((2,), chainrule.int32)
        >>> [y[:, 0].tolist() for x, y in stream.blocks(2)]
        [[0, 1], [4, 9], [16]]
    """

    def __init__(
        self,
        make: Any,
        *,
        batched: bool = False,
        scale: float | None = None,
        name: str = "stream",
        classes: int | None = None,
        class_names: Any = None,
        feature_names: Any = None,
        target_names: Any = None,
        format: Any = None,
    ) -> None:
        self._source = Source(make, batched, name)
        self.name = name
        self.scale = Column(np.zeros(1, np.uint8), scale).scale
        self.classes, self.class_names = checked_classes(classes, class_names)
        self.feature_names: tuple[str, ...] | None = None
        if feature_names is not None:
            self.feature_names = checked_names(
                feature_names, "feature_names", "feature_names=('length', 'width')"
            )
        self.target_names: tuple[str, ...] | None = None
        if target_names is not None and len(target_names) > 1:
            self.target_names = checked_names(
                target_names, "target_names", "target_names=('width', 'height')"
            )
        self.format: dict[str, Any] | None = (
            None if format is None else checked_format(format)
        )

    @classmethod
    def from_csv(
        cls,
        path: Any,
        *,
        target: Any,
        delimiter: Any = None,
        encoding: Any = None,
        header: Any = True,
        name: str | None = None,
        **options: Any,
    ) -> "Stream":
        """Make a stream of a CSV table larger than memory; arguments as ``read_csv``.

        The whole file is read once at the beginning, to learn its columns; then once
        for each epoch, in the order of its rows.

        Raises:
            DataError: see :func:`chainrule.data.read_csv`.
            ArgumentError: likewise.

        Example:
            >>> from pathlib import Path
            >>> _ = Path("sums.csv").write_text("a,b,sum\\n1,2,3\\n4,5,9\\n6,1,7\\n")
            >>> stream = Stream.from_csv("sums.csv", target="sum")
            >>> [len(x) for x, y in stream.blocks(2)]
            [2, 1]
        """
        source = File.of(path, delimiter, encoding, header)
        return cls._of_table(source, name, target=target, **options)

    @classmethod
    def from_parquet(
        cls,
        path: Any,
        *,
        target: Any,
        columns: Any = None,
        name: str | None = None,
        **options: Any,
    ) -> "Stream":
        """Make a stream of Parquet files larger than memory.

        Arguments as :meth:`Dataset.from_parquet`; passes as :meth:`from_csv`.

        Raises:
            DataError, ArgumentError: see :meth:`Dataset.from_parquet`.
        """
        source = Parquet.of(path, columns)
        return cls._of_table(source, name, target=target, **options)

    @classmethod
    def from_huggingface(
        cls, data: Any, *, target: Any, features: Any = None, name: str = "stream"
    ) -> "Stream":
        """Make a stream of an ``IterableDataset``, or a ``Dataset``, of Hugging Face.

        Columns as :meth:`Dataset.from_huggingface`; several single numbers are one row
        of features. What a transform returns is left as it is. A shuffled one is told
        the epoch, and shuffles anew for each; one that is not goes on where it stood.

        Raises:
            ArgumentError: something else.
            DataError: a missing column.
        """
        chosen = HuggingFace(data, target, features)
        return cls(
            HuggingFaceRows(chosen),
            scale=SCALE if chosen.is_images else None,
            name=name,
            class_names=chosen.class_names,
        )

    @classmethod
    def _of_table(cls, source: Any, name: str | None, **options: Any) -> "Stream":
        """Make a stream of a table's rows, with a schema inferred from all of them."""
        schema = TableReader.inferred(source, **options).schema

        def make() -> Iterator[Pair]:
            reader = TableReader(source, schema)
            return ((rows.x, rows.y) for rows in reader if len(rows.x))

        return cls(make, batched=True, name=name or source.name, **schema.description())

    @property
    def row(self) -> Any:
        """The type of one sample's features in a stream, as stored, before scaling.

        Of several inputs a dictionary or a tuple of types.

        Raises:
            DataError: the source gives no samples, or none that can be used.
        """
        return self._types[0]

    @property
    def target(self) -> Any:
        """The type of one sample's target in a stream, or of several.

        Raises:
            DataError: the source gives no samples, or none that can be used.
        """
        return self._types[1]

    def start_epoch(self, seed: int, epoch: int) -> None:
        """Tell a stream's source, if it has such a method, which pass comes next.

        Args:
            seed: of the training run.
            epoch: counted from 0.
        """
        if hasattr(make := self._source.make, "start_epoch"):
            make.start_epoch(seed, epoch)
        elif hasattr(make, "set_epoch"):
            make.set_epoch(epoch)

    @property
    def takes_epochs(self) -> bool:
        """Return whether a stream's source takes the number of its pass."""
        names = "start_epoch", "set_epoch"
        return any(hasattr(self._source.make, name) for name in names)

    def draws(self) -> dict[str, Any]:
        """Return the state of what the source draws the order of its next pass from.

        It is what ``draws()`` of the source gives, where it has that; ``load_draws``
        takes it back.
        """
        return portable(getattr(self._source.make, "draws", dict)())

    def load_draws(self, state: Any) -> None:
        """Restore what :meth:`draws` returned before the pass that is to come again."""
        if state:
            self._source.make.load_draws(restored(state))

    def blocks(self, rows: int) -> Generator[Pair]:
        """Yield the blocks of one pass over the stream, prefetched by a thread.

        Args:
            rows: the number of samples of a block; the last one holds the rest.

        Returns:
            A generator of pairs: x of shape (rows, …) as stored (``Column(x,
            stream.scale)[:]`` are the features), and y. Closing it ends the thread.

        Raises:
            ArgumentError: rows that are no count; a label outside the classes; in the
                course of the iteration.
            DataError: an error in the source, with the number of the sample; no
                samples; or samples that differ in shape or dtype.
            NonFiniteError: NaN or infinity.
        """
        return _pairs(self.positions(validation.whole("rows", rows)))

    def positions(
        self, rows: int, at: Position | None = None
    ) -> Generator[tuple[Pair, Position | None, Position | None, int]]:
        """Yield the blocks of a pass with their positions and a checksum.

        Args:
            rows: of a block.
            at: the position to begin at, such as came with an earlier block; None for
                the first sample. Of the end of another pass only the state is taken.

        Returns:
            A generator of blocks, the position at which the first one of a pass begins,
            that behind each, and a checksum of its rows. Positions are None where the
            source has none.
        """
        types = self._types

        def checked(stopped: Stopped) -> Iterator[Any]:
            number = 0 if at is None else at["rows"]
            blocks = self._source.blocks(rows, types, stopped, at)
            for (x, y), first, behind in blocks:
                self._check(x, y, number + np.arange(rows_of(y)))
                number += rows_of(y)
                yield (x, y), first, behind, digest((x, y))
                del x, y

        return prefetched(checked)

    def reads_alone(self) -> bool:
        """Return whether each of several processes can read its own rows alone.

        So it is with a source whose samples have numbers (a sequence, a loader of a
        data set by index), where reading one draws no random numbers and gives the same
        again. Else the first process warns that all rows are read in each.
        """
        return read_alone(self._source)

    def own_rows(
        self, rows: int, number: int, wanted: Wanted
    ) -> Generator[tuple[Pair, list[Any], np.ndarray, np.ndarray]]:
        """Yield, of the blocks of a pass, the rows that this process computes with.

        Args:
            rows: of a block.
            number: of the first block.
            wanted: from a block's number and its rows to those that are wanted.

        Returns:
            A generator of these rows, of the numbers of all samples of the block, of
            where in it these rows are, and of a checksum of each.
        """
        types = self._types

        def checked(stopped: Stopped) -> Iterator[Any]:
            start = number * rows
            blocks = own_blocks(self._source, rows, number, types, stopped, wanted)
            for (x, y), numbers, where in blocks:
                self._check(x, y, start + where)
                start += rows
                yield (x, y), numbers, where, digests((x, y), where)
                del x, y

        return prefetched(checked)

    def _check(self, x: Any, y: Any, where: np.ndarray) -> None:
        """Refuse rows that are not finite, or labels that are no classes."""
        for what, part in leaves(x, "x").items():
            check_finite(Column(part, self.scale), what, rows=where)
        for what, part in leaves(y, "y").items():
            check_finite(Column(part), what, rows=where)
        if self.classes is not None:
            check_labels(y, self.classes, rows=where)

    @cached_property
    def _types(self) -> Pair:
        """The types of a row of features x and of targets y in a stream."""
        x, y = self._source.first()
        names = self.feature_names
        check_one_each(
            x,
            y,
            (self.scale, names),
            (self.classes, self.class_names, self.target_names),
        )
        if names is not None and x.shape[1:] != (len(names),):
            raise ShapeError(
                _("feature_names do not fit the samples of '{name}'.", name=self.name),
                expected=_(
                    "samples of shape ({names},), one name a number", names=len(names)
                ),
                got=_("shape {shape}", shape=x.shape[1:]),
                fix=_("leave them out for images and sequences"),
            )
        return mapped(lambda a: ArrayType(a.shape[1:], as_dtype(a.dtype)), (x, y))

    def __repr__(self) -> str:
        kind = "batches" if self._source.batched else "samples"
        classes = (
            ""
            if self.classes is None
            else ngettext(", {n} class", ", {n} classes", n=self.classes)
        )
        return f"Stream('{self.name}': {kind}{classes})"


def _pairs(blocks: Generator[Any]) -> Generator[Pair]:
    """Yield blocks without their positions."""
    with closing(blocks):
        for pair, *__ in blocks:
            yield pair
            del pair
