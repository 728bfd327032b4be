"""What a call of ``fit`` is to do, and the data that it does it with."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.data import Column, Dataset
from chainrule.errors import ArgumentError
from chainrule.graph.node import Array
from chainrule.graph.types import DType
from chainrule.tensor import as_tensor


@dataclass(frozen=True)
class Plan:
    """A training run: everything that its steps depend on besides the weights.

    Attributes:
        first: the epoch that it starts with, counted from 0 over a Trainer's life.
        epochs: how many epochs.
        batch_size: rows a step; the last step of an epoch takes what is left.
        rows: rows of the training data.
        checksum: CRC-32 of the training data, as stored.
    """

    first: int
    epochs: int
    batch_size: int
    rows: int
    checksum: int

    @property
    def steps_per_epoch(self) -> int:
        """Steps an epoch, the last partial one included."""
        return -(-self.rows // self.batch_size)

    @property
    def end(self) -> int:
        """The epoch before which the run ends."""
        return self.first + self.epochs


@dataclass(frozen=True)
class Data:
    """Training data as a program takes them: whole arrays in a dtype of ours.

    Attributes:
        x: stored features, contiguous.
        y: targets, contiguous.
        scale: the factor from stored to features, or None.
    """

    x: Array
    y: Array
    scale: float | None

    @classmethod
    def of(cls, data: Dataset) -> Data:
        """The arrays of a data set, copied only where an engine cannot read them."""
        stored, scale = data.x.stored, data.x.scale
        if stored.dtype not in {d.numpy for d in DType}:  # int16, float16, …
            stored, scale = data.x[...], None
        return cls(np.ascontiguousarray(stored), np.ascontiguousarray(data.y), scale)

    def checksum(self) -> int:
        """CRC-32 of all rows: resuming on other data is noticed."""
        crc = zlib.crc32(repr((self.x.dtype, self.x.shape, self.scale)).encode())
        crc = zlib.crc32(self.x.reshape(-1).view(np.uint8).data, crc)
        return zlib.crc32(self.y.reshape(-1).view(np.uint8).data, crc)


def as_dataset(data: Any) -> Dataset:
    """A data set: ``data`` itself, or made from a pair (x, y)."""
    if isinstance(data, Dataset):
        return data
    if isinstance(data, tuple | list) and len(data) == 2:
        return Dataset(*data)
    raise ArgumentError(
        "A Trainer takes a data set.",
        expected="a cr.data.Dataset, or a pair (x, y) of arrays",
        got=type(data).__name__,
        fix="cr.data.Dataset(x, y)",
    )


def as_column(x: Any) -> Column:
    """Features: a Column, those of a Dataset, or anything that makes a tensor."""
    if isinstance(x, Column):
        return x
    if isinstance(x, Dataset):
        return x.x
    if getattr(getattr(x, "dtype", None), "kind", None) in tuple("biuf"):
        return Column(np.asarray(x))
    return Column(as_tensor(x).numpy())


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
