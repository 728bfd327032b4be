"""Where a training run's batches come from: rows in memory, or a stream of blocks.

An epoch is a sequence of *blocks*, arrays of rows with an order in which their batches
are cut. Data in memory are one block. A stream comes in blocks of a fixed number of
rows, a multiple of the batch size, each shuffled in itself while a thread of the
stream's prepares the next one: so a stream may be longer than memory, and its epochs
are the function of (seed, epoch, block) that resuming needs.

The loop takes its steps from here; evaluation reads rows in their order, by
:mod:`.given`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from chainrule.data import Dataset, Stream
from chainrule.errors import ArgumentError
from chainrule.graph.node import Array
from chainrule.graph.primitive import REFERENCES
from chainrule.graph.types import (
    NO_SIZES,
    ArrayType,
    DType,
    resolve,
    size_of,
    type_of,
)
from chainrule.primitives.random import random_bits, seed_key
from chainrule.random import permutation
from chainrule.training.given import one_pass
from chainrule.training.plan import Plan

#: Bytes of a stream's block, about: two of them are in memory at a time.
BLOCK_BYTES = 32 << 20
#: Its rows, about: a source that takes a millisecond for each makes training wait 16
#: seconds before the first step.
BLOCK_ROWS = 1 << 14


@dataclass(frozen=True)
class Block:
    """Some rows, and the steps that are made on them.

    Attributes:
        x, y: rows as stored; of a stream's last block only the first ones count.
        order: the rows in the order in which batches take them, int32.
        first: the number, within the epoch, of the first step.
        batch_size: rows a step.
        whole: how many steps have whole batches.
        steps: how many steps there are.
    """

    x: Array
    y: Array
    order: Array
    first: int
    batch_size: int
    whole: int
    steps: int

    @classmethod
    def of(cls, x: Array, y: Array, order: Array, first: int, plan: Plan) -> Block:
        """The block that follows ``first`` steps of an epoch of ``plan``."""
        size, rows = plan.batch_size, len(order)
        return cls(x, y, order, first, size, rows // size, plan.steps(rows))

    @property
    def end(self) -> int:
        """The number of the step behind the last."""
        return self.first + self.steps

    def inputs(self, step: int, count: int) -> dict[str, Any]:
        """What the entry point takes for ``count`` steps from ``step`` of the epoch."""
        start = (step - self.first) * self.batch_size
        index = self.order[start : start + count * self.batch_size]
        return {"x": self.x, "y": self.y, "index": index.reshape(count, -1)}


class Feed(Protocol):
    """Training data as a program takes them."""

    @property
    def x(self) -> ArrayType:
        """The type of the features that a step takes rows from."""
        ...

    @property
    def y(self) -> ArrayType:
        """The type of the targets that a step takes rows from."""
        ...

    @property
    def scale(self) -> float | None:
        """The factor from stored numbers to features, or None."""
        ...

    @property
    def checksum(self) -> int:
        """What tells other data by."""
        ...

    @property
    def epoch_rows(self) -> int:
        """The rows of the epoch that :meth:`blocks` went through last."""
        ...

    def watch(self, check: Callable[[Array], None]) -> None:
        """Have ``check`` look at all targets before they are used."""
        ...

    def blocks(self, plan: Plan, seed: int, epoch: int, step: int) -> Generator[Block]:
        """The blocks of an epoch, from the one on that holds step number ``step``."""
        ...


class Rows:
    """A data set in memory, copied only where an engine cannot read it.

    Args:
        data: the data set.
    """

    def __init__(self, data: Dataset) -> None:
        stored, self.scale = data.x.stored, data.x.scale
        if stored.dtype not in {d.numpy for d in DType}:  # int16, float16, …
            stored, self.scale = data.x[...], None
        self._x, self._y = np.ascontiguousarray(stored), np.ascontiguousarray(data.y)
        self.x, self.y = type_of(self._x), type_of(self._y)
        self.epoch_rows = len(self._y)
        self.checksum = self._crc()

    def _crc(self) -> int:
        """CRC-32 of all rows: resuming on other data is noticed."""
        x, y = self._x, self._y
        crc = zlib.crc32(repr((x.dtype, x.shape, self.scale)).encode())
        crc = zlib.crc32(x.reshape(-1).view(np.uint8).data, crc)
        return zlib.crc32(y.reshape(-1).view(np.uint8).data, crc)

    def watch(self, check: Callable[[Array], None]) -> None:
        """Look at all of them now."""
        check(self._y)

    def blocks(self, plan: Plan, seed: int, epoch: int, step: int) -> Generator[Block]:
        """All rows as one block."""
        order = permutation(self.epoch_rows, seed, epoch)
        yield Block.of(self._x, self._y, order, 0, plan)


class Blocks:
    """A stream, a block at a time.

    Args:
        stream: the stream.
        rows: of a block; a multiple of the batch size.
    """

    def __init__(self, stream: Stream, rows: int) -> None:
        self.stream, self.scale = stream, stream.scale
        self.epoch_rows = 0
        row, target = stream.row, stream.target
        self.x = ArrayType((rows, *row.shape), row.dtype)
        self.y = ArrayType((rows, *target.shape), target.dtype)
        self.checksum = zlib.crc32(f"{row} {target} {stream.scale}".encode())
        self._check: Callable[[Array], None] = lambda y: None

    def watch(self, check: Callable[[Array], None]) -> None:
        """Look at the targets of each block when it comes."""
        self._check = check

    def blocks(self, plan: Plan, seed: int, epoch: int, step: int) -> Generator[Block]:
        """The blocks of a new pass, those before ``step`` left out."""
        assert plan.block is not None
        each = plan.block // plan.batch_size  # steps on a whole block
        self.epoch_rows = 0
        with one_pass(self.stream, plan.block) as source:
            for number, (x, y) in enumerate(source):
                self.epoch_rows += len(y)
                if number < step // each:
                    continue
                if not number and len(y) < plan.batch_size:
                    raise _too_short(len(y), plan.batch_size)
                self._check(y)
                order, first = _order(len(y), seed, epoch, number), number * each
                x, y = _filled(x, self.x), _filled(y, self.y)
                yield Block.of(x, y, order, first, plan)
        if self.epoch_rows < max(1, (step - 1) * plan.batch_size + 1):
            raise _too_short(self.epoch_rows, plan.batch_size)


def _filled(rows: Array, kind: ArrayType) -> Array:
    """Rows of a block; those of a last one with zeros behind them."""
    if len(rows) == kind.shape[0]:
        return np.ascontiguousarray(rows)
    whole = np.zeros(resolve(kind.shape, NO_SIZES), kind.dtype.numpy)
    whole[: len(rows)] = rows
    return whole


def feed_of(data: Dataset | Stream, batch_size: int, block: int | None = None) -> Feed:
    """Training data as a program takes them.

    Args:
        data: a data set or a stream.
        batch_size: rows a step.
        block: rows of a stream's blocks, where a run has begun with some already.
    """
    if isinstance(data, Dataset):
        return Rows(data)
    return Blocks(data, block or _block_rows(data, batch_size))


def _block_rows(stream: Stream, batch_size: int) -> int:
    """Rows of a block: whole batches, as many as both limits allow, at least one."""
    each = sum(
        resolve(size_of(kind.shape), NO_SIZES) * kind.dtype.itemsize
        for kind in (stream.row, stream.target)
    )
    rows = min(BLOCK_ROWS, BLOCK_BYTES // max(1, each))
    return batch_size * max(1, rows // batch_size)


def _order(n: int, seed: int, epoch: int, block: int) -> Array:
    """The order of a block's rows; that of the first is a data set's."""
    if block == 0:
        return permutation(n, seed, epoch)
    drawn = REFERENCES[random_bits](
        seed_key(seed), np.uint32(epoch), shape=(n,), stream=f"shuffle#{block}"
    )
    return np.argsort(np.asarray(drawn), kind="stable").astype(np.int32)


def _too_short(rows: int, batch_size: int) -> ArgumentError:
    return ArgumentError(
        "The stream ended too early.",
        expected=f"at least a batch of {batch_size} rows, and as many in each epoch",
        got=f"{rows} rows",
        fix="look at what its function yields (it is called anew for each epoch), or "
        "take a smaller batch_size",
    )
