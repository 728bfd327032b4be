"""Adapters of training data, a data set or a stream, to a run's batches.

An epoch is a sequence of *blocks*, arrays of rows with an order in which their batches
are cut. Data in memory are one block. A stream comes in blocks of a fixed number of
rows, a multiple of the batch size, each shuffled in itself while a thread of the
stream's prepares the next one: so a stream may be longer than memory, and its epochs
are the function of (seed, epoch, block) that resuming needs.

The loop takes its steps from here; evaluation reads rows in their order, by
:mod:`chainrule.data.adapter`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from chainrule.compilation.program import CompiledProgram
from chainrule.data import Column, Dataset, Stream
from chainrule.data.adapter import Kinds, check_representable, checked_weights, kinds
from chainrule.data.source import STORED, Position, rows_of
from chainrule.errors import ArgumentError, CheckpointError, DataError
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
from chainrule.text import _
from chainrule.training.class_weights import ClassWeights
from chainrule.training.entries import Step
from chainrule.training.objective import Objective
from chainrule.training.source import BatchSource, StepInputs
from chainrule.training.state import Plan, RunState
from chainrule.util.pytree import leaves

#: Bytes of a stream's block, about: two of them are in memory at a time.
BLOCK_BYTES = 32 << 20
#: Its rows, about: a source that takes a millisecond for each makes training wait 16
#: seconds before the first step.
BLOCK_ROWS = 1 << 14

Check = Callable[[Any], None]


@dataclass(frozen=True)
class Block:
    """A block of training rows, and the steps of an epoch that use these rows.

    Attributes:
        inputs: x and y as stored; of a stream's last block only the first rows count.
        order: the rows in the order in which batches take them, int32.
        epoch: the epoch.
        first: the number, within the epoch, of the first step.
        plan: of the run.
    """

    inputs: Mapping[str, Any]
    order: Array
    epoch: int
    first: int
    plan: Plan

    @property
    def end(self) -> int:
        """The number of the first step of an epoch after a block of rows."""
        return self.first + self.plan.steps(len(self.order))

    def holds(self, epoch: int, step: int) -> bool:
        """Return whether a step of an epoch uses the rows of this block."""
        return epoch == self.epoch and self.first <= step < self.end

    def work(self, step: int, most: int) -> StepInputs:
        """Return the inputs of at most ``most`` training steps on the block's rows.

        Where several batches make up an update, all but the last of these add up their
        gradients. A block begins with an update.
        """
        size, streams = self.plan.batch_size, self.plan.block is not None
        whole, turns = self.first + len(self.order) // size, self.plan.accumulate
        steps = min(most, whole - step) if step < whole else 1
        inputs, entry = dict(self.inputs), None
        if turns > 1:
            turn = (step - self.first) % turns
            update = min(step - turn + turns, self.end) - 1
            entry = "train" if step == update else "accumulate"
            steps = min(steps, max(1, update - step))
            inputs["turn"] = np.arange(turn, turn + steps, dtype=np.uint32)
        start, over = (step - self.first) * size, step + steps == self.end
        inputs["index"] = self.order[start : start + steps * size].reshape(steps, -1)
        return StepInputs(
            inputs,
            steps=steps,
            entry=entry,
            last=over and not streams,
            snapshot=over and streams,
        )


class DataAdapter(BatchSource):
    """Base class of adapters from training data to the batches of a training loop.

    Attributes:
        kinds: the inputs and targets, with the types of a row.
        step: what a training step on them is traced for.
        checksum: what tells other data by.
        targets: all of them, where they are here; of a stream None.
        rows: all stored features by name, where they are here.
        dtypes: what the model takes features as, by name.
        check: looks at targets that come later, before they are used.
        epoch_rows: the rows of the present epoch, once it is over.
    """

    kinds: Kinds
    step: Step
    checksum: int
    targets: Any = None
    rows: Mapping[str, Array] = MappingProxyType({})
    dtypes: Mapping[str, DType] = MappingProxyType({})
    epoch_rows = 0

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.block: Block | None = None
        self.check: Check = lambda y: None

    @property
    def block_rows(self) -> int | None:
        """The rows of a stream that are held at a time; None for data in memory."""
        return None

    def bind(self, program: CompiledProgram) -> None:
        """Prepare the adapter to place rows in the memory of a program's engine."""
        self._put = partial(program.put, "train")
        self.close()

    def placed(self, arrays: Mapping[str, Array]) -> dict[str, Any]:
        """Return training rows, placed in the memory of the program's engine."""
        return {name: self._put(name, array) for name, array in arrays.items()}

    def next_block(self, plan: Plan, epoch: int, step: int) -> Block | None:
        """Return the block of rows for a step of an epoch; None at its end."""
        raise NotImplementedError

    def take(self, state: RunState, most: int) -> StepInputs | None:
        """Return the inputs of the epoch's next training steps; None at its end."""
        assert state.plan is not None
        if self.block is None or not self.block.holds(state.epoch, state.step):
            self.block = self.next_block(state.plan, state.epoch, state.step)
        return None if self.block is None else self.block.work(state.step, most)

    def close(self) -> None:
        """Release the current block of training rows."""
        self.block = None


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
        self.step = Step(replace(self.kinds, types=all_rows), weight, accumulate)
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
        return Block(self._placed, order, epoch, 0, plan)


def _in_order(names: Iterable[str]) -> list[str]:
    """Return names of inputs, targets and weights in an order that they alone decide.

    >>> _in_order(["x.b", "x.a", "y", "weight"])
    ['x.a', 'x.b', 'y', 'weight']
    """
    return sorted(names, key=lambda name: (name == "weight", name))


def _sorted(tree: Any) -> Any:
    """Return a nest whose dictionaries are in the order of their keys."""
    if isinstance(tree, dict):
        return {key: _sorted(tree[key]) for key in sorted(tree)}
    return tuple(map(_sorted, tree)) if type(tree) is tuple else tree


def _readable(column: Column) -> Column:
    """Return features as a program reads them: float16 and longdouble as float32."""
    return column if column.stored.dtype in STORED else Column(column[...])


@dataclass(frozen=True)
class Mark:
    """A mark of where a block of a stream begins, for a run that goes on within it.

    Attributes:
        epoch, number: those of the block; −1 for none.
        position: the source's; None where it has none.
        before, behind: checksums of the rows of the epoch in front of the block, and of
            these and its own.
        draws: what the order of the pass was drawn from.
        end: the position behind the block: the next pass may depend on it.
    """

    epoch: int = -1
    number: int = -1
    position: Position | None = None
    before: int = 0
    behind: int = 0
    draws: Mapping[str, Any] | None = None
    end: Position | None = None

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """Return the mark that a checkpoint holds.

        Raises:
            CheckpointError: it holds something else.
        """
        kinds = {"epoch": int, "number": int, "before": int, "behind": int}
        right = not fields or fields.keys() == cls.__dataclass_fields__.keys()
        for name, kind in kinds.items() if fields and right else ():
            right = right and type(fields[name]) is kind
        for name in ("position", "draws", "end") if fields and right else ():
            right = right and isinstance(fields[name], dict | None)
        if not right:
            raise CheckpointError(
                _("The checkpoint does not say where its stream stood."),
                expected=", ".join(cls.__dataclass_fields__),
                got=f"{dict(fields)!r}"[:200],
                fix=_("train anew, or take an earlier checkpoint"),
            )
        return cls(**fields)


def _chained(checksum: int, digest: int) -> int:
    """Return the checksum of rows and of a further block."""
    return zlib.crc32(digest.to_bytes(4, "little"), checksum)


def _other_rows(name: str) -> DataError:
    return DataError(
        _("The stream '{name}' does not give the rows that it gave before.", name=name),
        expected=_("the same rows in each pass, or in an order drawn from the epoch"),
        got=_("others, up to where the run was interrupted"),
        fix=_(
            "def start_epoch(self, seed, epoch) where the order is drawn; or "
            "state_dict() and load_state_dict(), which tell where the source stands. "
            "Weights and position are kept"
        ),
    )


class StreamAdapter(DataAdapter):
    """An adapter of a stream, read block by block, to a training loop's batches.

    Args:
        stream: the stream.
        rows: of a block; a multiple of the rows of an update.
        seed: of the order.
        weigh: gives the weights of rows from their targets, or None.
        accumulate: how many batches make up an update.
    """

    def __init__(
        self,
        stream: Stream,
        rows: int,
        seed: int,
        weigh: ClassWeights | None = None,
        accumulate: int = 1,
    ) -> None:
        super().__init__(seed)
        self.stream, self.weigh, self.kinds = stream, weigh, kinds(stream)
        self._rows = rows
        self._types = {
            name: ArrayType((rows, *kind.shape), kind.dtype)
            for name, kind in self.kinds.types.items()
        }
        weight = None
        if weigh is not None:
            weight = ArrayType(self._types["y"].shape, DType.float32)
        of_rows = replace(self.kinds, types=dict(self._types))
        self.step = Step(of_rows, weight, accumulate)
        if weight is not None:
            self._types["weight"] = weight
        text = f"{_sorted(stream.row)} {_sorted(stream.target)} {stream.scale}"
        text += "" if weigh is None else f" {weigh}"
        self.checksum = zlib.crc32(text.encode())
        self._pass: Generator[Block] | None = None
        self._mark = Mark()
        self._next: Mapping[str, Any] | None = None

    @property
    def block_rows(self) -> int | None:
        return self._rows

    def next_block(self, plan: Plan, epoch: int, step: int) -> Block | None:
        before = self.block
        self.block = None  # not held while the next one is made
        following = before is not None and (before.epoch, before.end) == (epoch, step)
        del before
        try:
            if self._pass is None or not following:
                self.close()
                self._pass = self._blocks(plan, epoch, step)
            return next(self._pass, None)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        super().close()
        if self._pass is not None:
            self._pass.close()
            self._pass = None

    def state(self) -> dict[str, Any]:
        """Return where the present block begins, and how the next pass is drawn."""
        mark, next_draws = self._mark, self.stream.draws()
        if mark.epoch < 0:
            return {"next": next_draws} if next_draws else {}
        return {**vars(mark), "next": next_draws}

    def load_state(self, state: Mapping[str, Any]) -> None:
        fields = dict(state)
        self._next = fields.pop("next", None)
        self._mark = Mark.of(fields)

    def _blocks(self, plan: Plan, epoch: int, step: int) -> Generator[Block]:
        """Yield the blocks of training rows of one pass over a stream."""
        assert plan.block is not None
        each = plan.block // plan.batch_size  # steps on a whole block
        least = plan.batch_size * (plan.accumulate if plan.drop_last else 1)
        mark = self._mark if self._mark.epoch == epoch else Mark(epoch)
        self.stream.load_draws(self._next if mark.number < 0 else mark.draws)
        self._next = None
        draws = self.stream.draws()
        number, at, checksum = -1, None, 0
        if self._mark.epoch == epoch - 1 and not self.stream.told and self._mark.end:
            at = {**self._mark.end, "rows": 0, "left": {}}
        if mark.position is not None and mark.number <= step // each:
            number, at, checksum = mark.number - 1, mark.position, mark.before
        rows = (number + 1) * plan.block
        self.stream.start_epoch(self.seed, epoch)
        with closing(self.stream.positions(plan.block, at)) as source:
            for (x, y), first, behind, digest in source:
                number += 1
                before, checksum = checksum, _chained(checksum, digest)
                if number == mark.number and checksum != mark.behind:
                    raise _other_rows(self.stream.name)
                position, at = (at if first is None else first), behind
                count = rows_of(y)
                rows += count
                if number < step // each:
                    continue
                if not number and count < least:
                    raise _too_short(count, least)
                self.check(y)
                arrays = leaves(x, "x")
                for name, part in arrays.items():
                    scale = self.kinds.scales.get(name)
                    check_representable(part, scale, self.dtypes[name])
                arrays |= leaves(y, "y")
                if self.weigh is not None:
                    arrays["weight"] = self.weigh(y)
                order = permutation(count, self.seed, epoch, number)
                padded = {k: _padded(a, self._types[k]) for k, a in arrays.items()}
                placed = self.placed(padded)
                del x, y, arrays, padded
                self._mark = Mark(
                    epoch, number, position, before, checksum, draws, behind
                )
                block = Block(placed, order, epoch, number * each, plan)
                if block.end > max(step, block.first):
                    yield block
                del placed, block
        if rows < max(1, (step - 1) * plan.batch_size + 1):
            raise _too_short(rows, plan.batch_size)
        self.epoch_rows = rows


def _padded(rows: Array, kind: ArrayType) -> Array:
    """Return the rows of a block of a stream, with zeros up to the block size."""
    if len(rows) == kind.shape[0]:
        return np.ascontiguousarray(rows)
    whole = np.zeros(resolve(kind.shape, NO_SIZES), kind.dtype.numpy)
    whole[: len(rows)] = rows
    return whole


def _too_short(rows: int, batch_size: int) -> ArgumentError:
    return ArgumentError(
        _("The stream ended too early."),
        expected=_(
            "at least a batch of {batch_size} rows, and as many in each epoch",
            batch_size=batch_size,
        ),
        got=_("{rows} rows", rows=rows),
        fix=_(
            "look at what its function yields (it is called anew for each "
            "epoch), or take a smaller batch_size"
        ),
    )


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

    A stream's blocks have the rows that a run has begun with, or else whole updates, as
    many as both limits allow, at least one.
    """
    if isinstance(data, Dataset):
        if class_weights is not None:
            weights = class_weights.beside(weights, data.y)
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
