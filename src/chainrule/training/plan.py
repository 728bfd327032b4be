"""What a call of ``fit`` is to do, and the kinds of data that a Trainer takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.data import Column, Dataset, Features, Stream
from chainrule.data.checks import check_finite
from chainrule.errors import ArgumentError
from chainrule.graph.node import Array
from chainrule.tensor import as_tensor


@dataclass(frozen=True)
class Plan:
    """A training run: everything that its steps depend on besides the weights.

    Attributes:
        first: the epoch that it starts with, counted from 0 over a Trainer's life.
        epochs: how many epochs.
        batch_size: rows a step; the last step of an epoch takes what is left.
        rows: rows of the training data; None for a stream before its first end.
        checksum: CRC-32 of the training data, as stored (of a stream: of its types).
        drop_last: whether what is left at the end of an epoch is left out.
        block: rows of a stream that are held, and shuffled, at a time; None for data
            in memory.
    """

    first: int
    epochs: int
    batch_size: int
    rows: int | None
    checksum: int
    drop_last: bool = False
    block: int | None = None

    @property
    def steps_per_epoch(self) -> int | None:
        """Steps an epoch, the last partial one included; None where unknown."""
        return None if self.rows is None else self.steps(self.rows)

    @property
    def total_steps(self) -> int | None:
        """Steps of the whole run; None where unknown."""
        each = self.steps_per_epoch
        return None if each is None else self.epochs * each

    @property
    def end(self) -> int:
        """The epoch before which the run ends."""
        return self.first + self.epochs

    def steps(self, rows: int) -> int:
        """Into how many batches some rows are cut."""
        whole = rows // self.batch_size
        return whole if self.drop_last else -(-rows // self.batch_size)

    def sizes(self, rows: int) -> Array:
        """The rows of each batch of an epoch, float64."""
        sizes = np.full(self.steps(rows), float(self.batch_size))
        if not self.drop_last and rows % self.batch_size:
            sizes[-1] = rows % self.batch_size
        return sizes


def as_data(data: Any) -> Dataset | Stream:
    """A data set or a stream: ``data`` itself, or a data set of a pair (x, y)."""
    if isinstance(data, Dataset | Stream):
        return data
    pair = isinstance(data, tuple | list) and not isinstance(data, Features)
    if pair and len(data) == 2:
        return Dataset(*data)
    raise ArgumentError(
        "A Trainer takes a data set.",
        expected="a cr.data.Dataset, a cr.data.Stream, or a pair (x, y) of arrays",
        got=type(data).__name__,
        fix="cr.data.Dataset(x, y)",
    )


def as_column(x: Any) -> Column | Stream:
    """Features: a Column, a data set's, or anything that makes a tensor.

    Raises:
        NonFiniteError: NaN or infinity among them.
    """
    if isinstance(x, Stream):
        return x
    if isinstance(x, Dataset):
        return x.x
    if isinstance(x, Features):
        x = x.x
    if isinstance(x, Column):
        column = x
    elif getattr(getattr(x, "dtype", None), "kind", None) in tuple("biuf"):
        column = Column(np.asarray(x))
    else:
        column = Column(as_tensor(x).numpy())
    check_finite(column, "x")
    return column


def positive(name: str, value: Any, example: str) -> int:
    """``value`` as an integer of at least 1."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < 1:
        raise ArgumentError(
            f"{name} must be a positive whole number.",
            expected="an integer ≥ 1",
            got=repr(value),
            fix=example,
        )
    return int(value)
