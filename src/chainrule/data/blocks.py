"""Rows put together into blocks of one size, and checked."""

from collections.abc import Iterator

import numpy as np

from chainrule.data.checks import check_finite, check_labels
from chainrule.data.column import Column
from chainrule.data.source import Pair, Source, Stopped
from chainrule.errors import DataError
from chainrule.graph.types import NO_SIZES, ArrayType, resolve


class Blocks:
    """Makes the blocks of one pass over a source.

    Args:
        source: of the rows.
        rows: rows of a block.
        types: of a row of x, and of a row of y.
        scale: of x.
        classes: how many, or None.
        stopped: whether nobody wants more.
    """

    def __init__(
        self,
        source: Source,
        rows: int,
        types: tuple[ArrayType, ArrayType],
        scale: float | None,
        classes: int | None,
        stopped: Stopped,
    ) -> None:
        self.source, self.rows, self.types = source, rows, types
        self.scale, self.classes, self.stopped = scale, classes, stopped
        self.pieces = source.pieces(stopped)
        self.left: Pair | None = None  # what the last block left of a batch
        self.number = 0  # of the first sample of the next block

    def __iter__(self) -> Iterator[Pair]:
        """The blocks; nothing here holds on to one that was given away."""
        block = self._block()
        if block is None and not self.stopped():
            raise self.source.empty()
        while block is not None:
            yield block
            del block
            block = self._block()

    def _block(self) -> Pair | None:
        """The next block, or None at the end."""
        x, y = (self._room(row) for row in self.types)
        done = 0
        while done < self.rows and (piece := self._piece()) is not None:
            count = min(len(piece[0]), self.rows - done)
            x[done : done + count] = piece[0][:count]
            y[done : done + count] = piece[1][:count]
            if count < len(piece[0]):
                self.left = piece[0][count:], piece[1][count:]
            done += count
        if not done or self.stopped():
            return None
        x, y = x[:done], y[:done]
        check_finite(Column(x, self.scale), "x", self.number)
        check_finite(Column(y), "y", self.number)
        if self.classes is not None:
            check_labels(y, self.classes, self.number)
        self.number += done
        return x, y

    def _room(self, row: ArrayType) -> np.ndarray:
        return np.empty((self.rows, *resolve(row.shape, NO_SIZES)), row.dtype.numpy)

    def _piece(self) -> Pair | None:
        """Rows that are left over, or the next ones of the source."""
        if self.left is not None:
            piece, self.left = self.left, None
            return piece
        number, piece = next(self.pieces, (0, None))
        for what, got, wanted in zip("xy", piece or (), self.types, strict=False):
            if got.shape[1:] != wanted.shape or got.dtype != wanted.dtype.numpy:
                raise DataError(
                    f"Sample {number} of the stream '{self.source.name}' is not like "
                    f"the first one: {what} differs.",
                    expected=f"shape {wanted.shape}, dtype {wanted.dtype.name}",
                    got=f"shape {got.shape[1:]}, dtype {got.dtype}",
                    fix="give all samples one shape and one dtype: "
                    "numpy.asarray(x, dtype='float32')",
                )
        return piece
