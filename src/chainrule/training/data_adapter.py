"""Adapters of a data set to a run's batches, and the choice of an adapter.

Data in memory are one block. Of a file that is mapped into memory a thread gathers the
rows of one block after another. The loop takes its steps from here; evaluation reads
rows in their order, by :mod:`chainrule.data.adapter`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.compilation.program import CompiledProgram
from chainrule.data import Column, Dataset, Stream
from chainrule.data.adapter import check_representable, checked_weights, kinds
from chainrule.data.checks import check_finite
from chainrule.data.memory import (
    TOGETHER,
    fingerprint,
    kept_apart,
    on_disk,
    release,
)
from chainrule.data.prefetcher import prefetched
from chainrule.data.source import STORED
from chainrule.graph.node import Array
from chainrule.graph.types import (
    NO_SIZES,
    ArrayType,
    DType,
    resolve,
    size_of,
    type_of,
)
from chainrule.random import permutation
from chainrule.training.block import Block, DataAdapter, divided, padded
from chainrule.training.class_weights import ClassWeights
from chainrule.training.entries import Step
from chainrule.training.objective import Objective
from chainrule.training.state import Plan
from chainrule.training.stream_adapter import StreamAdapter
from chainrule.util.pytree import leaves, mapped

#: Bytes of a block, about: two of them are in memory at a time.
BLOCK_BYTES = 32 << 20
#: Its rows, about: a source that takes a millisecond for each makes training wait 16
#: seconds before the first step.
BLOCK_ROWS = 1 << 14


class DatasetAdapter(DataAdapter):
    """An adapter of a data set in memory to the batches of a training loop.

    Args:
        data: the data set.
        seed: of the order.
        weights: of the rows, float32, or None.
        accumulate: how many batches make up an update.
    """

    def __init__(
        self,
        data: Dataset,
        seed: int,
        weights: Array | None = None,
        accumulate: int = 1,
    ) -> None:
        super().__init__(seed)
        columns = {k: _readable(c) for k, c in leaves(data.x, "x").items()}
        arrays = {name: column.stored for name, column in columns.items()}
        arrays |= leaves(data.y, "y")
        self.kinds = replace(
            kinds(data),
            scales={k: c.scale for k, c in columns.items() if c.scale is not None},
        )
        if weights is not None:
            arrays["weight"] = weights
        self._arrays = {k: np.ascontiguousarray(a) for k, a in arrays.items()}
        self.rows, self.targets = {k: self._arrays[k] for k in columns}, data.y
        self._placed: dict[str, Any] = {}
        all_rows = {k: type_of(a) for k, a in self._arrays.items()}
        weight = all_rows.pop("weight", None)
        of_rows = replace(self.kinds, types=all_rows)
        self.step = Step(of_rows, weight, accumulate, self.by_rows)
        self.epoch_rows = len(data)
        self.checksum = 0
        for __, column in sorted(columns.items()):  # in any order of a dictionary
            kind = repr((column.stored.dtype, column.stored.shape, column.scale))
            self.checksum = zlib.crc32(kind.encode(), self.checksum)
        for array in map(self._arrays.__getitem__, _in_order(self._arrays)):
            raw = array.reshape(-1).view(np.uint8).data
            self.checksum = zlib.crc32(raw, self.checksum)

    def bind(self, program: CompiledProgram) -> None:
        super().bind(program)
        self._placed = self.placed(self._arrays)

    def next_block(self, plan: Plan, epoch: int, step: int) -> Block | None:
        if step >= plan.steps(self.epoch_rows):
            return None
        order = permutation(self.epoch_rows, self.seed, epoch)
        return Block(
            self._placed, order, epoch, 0, plan, last=True, by_rows=self.by_rows
        )


class GatheredAdapter(DataAdapter):
    """An adapter of a data set whose rows are not to be copied as a whole.

    Such are files that are mapped into memory (``np.memmap``), which may be larger than
    it, and windows that overlap. A thread gathers the rows of the next block in the
    order of the epoch, and checks them; so the batches are those of the same data in
    memory, bit for bit.

    Args:
        data: the data set.
        seed: of the order.
        weights: of the rows, float32, or None.
        accumulate: how many batches make up an update.
        rows: of a block; a multiple of the rows of an update.
    """

    def __init__(
        self,
        data: Dataset,
        seed: int,
        weights: Array | None,
        accumulate: int,
        rows: int,
    ) -> None:
        super().__init__(seed)
        self.kinds, self.epoch_rows, self._rows = kinds(data), len(data), rows
        columns = leaves(data.x, "x")
        self._arrays = {name: column.stored for name, column in columns.items()}
        self._arrays |= leaves(data.y, "y")
        if weights is not None:
            self._arrays["weight"] = weights
        self.targets = (
            None if any(map(on_disk, leaves(data.y, "y").values())) else data.y
        )
        self._types = {
            name: ArrayType((rows, *kind.shape), kind.dtype)
            for name, kind in self.kinds.types.items()
        }
        weight = None if weights is None else ArrayType((rows,), DType.float32)
        of_rows = replace(self.kinds, types=dict(self._types))
        self.step = Step(of_rows, weight, accumulate, self.by_rows)
        if weight is not None:
            self._types["weight"] = weight
        self.checksum = 0
        for name in _in_order(self._arrays):
            array = self._arrays[name]
            kind = repr((array.dtype, array.shape, self.kinds.scales.get(name)))
            self.checksum = zlib.crc32(kind.encode(), self.checksum)
            self.checksum = fingerprint(array, self.checksum)
        self._pass: Generator[Block] | None = None

    def bind(self, program: CompiledProgram) -> None:
        super().bind(program)
        for array in self._arrays.values():
            release(array)

    def next_block(self, plan: Plan, epoch: int, step: int) -> Block | None:
        before, self.block = self.block, None  # not held while the next one is made
        following = before is not None and (before.epoch, before.end) == (epoch, step)
        del before
        if self._pass is None or not following:
            self.close()
            self._pass = self._blocks(plan, epoch, step)
        try:
            return next(self._pass, None)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        super().close()
        if self._pass is not None:
            self._pass.close()
            self._pass = None

    def _blocks(self, plan: Plan, epoch: int, step: int) -> Generator[Block]:
        """Yield the blocks of an epoch, from the one that a step needs."""
        if step >= plan.steps(self.epoch_rows):
            return
        each = self._rows // plan.batch_size  # steps on a whole block
        drawn = permutation(self.epoch_rows, self.seed, epoch)
        numbers = range(step // each, -(-self.epoch_rows // self._rows))

        def gathered(stopped: Callable[[], bool]) -> Iterator[Any]:
            for number in numbers:
                if stopped():
                    return
                chosen = drawn[number * self._rows : (number + 1) * self._rows]
                own = self.own(len(chosen), plan.batch_size)
                yield number, *self._gathered(chosen, own)

        with closing(prefetched(gathered)) as blocks:
            for number, arrays, turns in blocks:
                self.check(_nest(self.kinds.y, arrays))
                first, last = number * each, number == numbers[-1]
                placed = self.placed(arrays)
                del arrays
                block = Block(
                    placed, turns, epoch, first, plan, last=last, by_rows=self.by_rows
                )
                if block.end > max(step, first):
                    yield block
                del placed, block

    def _gathered(self, chosen: Array, own: Array) -> tuple[dict[str, Array], Array]:
        """Return rows in the order in which they lie, and in which turn they come.

        Of a block's rows those of this process.
        """
        numbers, order = divided(chosen, own)
        arrays = dict[str, Array]()
        for name, array in self._arrays.items():
            rows, scale = _taken(array, numbers), self.kinds.scales.get(name)
            if on_disk(array):
                check_finite(Column(rows, scale), name, rows=numbers)
            if name in self.dtypes:
                check_representable(rows, scale, self.dtypes[name])
            arrays[name] = rows if self.by_rows else padded(rows, self._types[name])
        return arrays, order


def _taken(array: Array, rows: Array) -> Array:
    """Return rows of an array, in the dtype in which a program reads them.

    Of a file a few at a time: the system maps pages around each of them.
    """
    dtype = array.dtype if array.dtype in STORED else np.float32
    taken = np.empty((len(rows), *array.shape[1:]), dtype)
    for start in range(0, len(rows), TOGETHER):
        part = slice(start, start + TOGETHER)
        taken[part] = array[rows[part]]
        release(array)
    return taken


def _nest(names: Any, arrays: Mapping[str, Array]) -> Any:
    return mapped(arrays.__getitem__, names)


def _in_order(names: Iterable[str]) -> list[str]:
    """Return names of inputs, targets and weights in an order that they alone decide.

    >>> _in_order(["x.b", "x.a", "y", "weight"])
    ['x.a', 'x.b', 'y', 'weight']
    """
    return sorted(names, key=lambda name: (name == "weight", name))


def _readable(column: Column) -> Column:
    """Return features as a program reads them: float16 and longdouble as float32."""
    return column if column.stored.dtype in STORED else Column(column[...])


def adapter_of(
    data: Dataset | Stream,
    batch_size: int,
    seed: int,
    *,
    block: int | None = None,
    weights: Array | None = None,
    class_weights: ClassWeights | None = None,
    accumulate: int = 1,
) -> DataAdapter:
    """Return the adapter of a data set or a stream to a training loop's batches.

    Blocks of a stream, or of a file, have the rows that a run has begun with, or else
    whole updates, as many as both limits allow, at least one.
    """
    if isinstance(data, Dataset):
        if class_weights is not None:
            weights = class_weights.beside(weights, data.y)
        stored = [column.stored for column in leaves(data.x, "x").values()]
        if not any(map(kept_apart, [*stored, *leaves(data.y, "y").values()])):
            return DatasetAdapter(data, seed, weights, accumulate)
    if block is None:
        types = kinds(data).types.values()
        each = sum(
            resolve(size_of(k.shape), NO_SIZES) * k.dtype.itemsize for k in types
        )
        rows, size = (
            min(BLOCK_ROWS, BLOCK_BYTES // max(1, each)),
            batch_size * accumulate,
        )
        block = size * max(1, rows // size)
    if isinstance(data, Dataset):
        block = min(block, size * -(-len(data) // size))
        return GatheredAdapter(data, seed, weights, accumulate, block)
    return StreamAdapter(data, block, seed, class_weights, accumulate)


def as_weights(
    sample_weight: Any, data: Dataset | Stream, objective: Objective
) -> Array | None:
    """Check sample weights for a data set and loss; return them as float32, or None.

    Raises:
        ArgumentError: no weights of these rows, or a loss that takes none.
    """
    if sample_weight is None:
        return None
    objective.check_takes_weights()
    return checked_weights(sample_weight, data)
