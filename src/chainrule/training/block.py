"""Blocks of training rows, and the base class of what gives them to a loop.

An epoch is a sequence of *blocks*, arrays of rows with an order in which their batches
are cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from chainrule.compilation.program import CompiledProgram
from chainrule.data.adapter import Kinds
from chainrule.graph.node import Array
from chainrule.graph.types import (
    NO_SIZES,
    ArrayType,
    DType,
    resolve,
)
from chainrule.training.entries import Step
from chainrule.training.source import BatchSource, StepInputs, gathered
from chainrule.training.state import Plan, RunState
from chainrule.util import processes

Check = Callable[[Any], None]


@dataclass(frozen=True)
class Block:
    """A block of training rows, and the steps of an epoch that use these rows.

    Attributes:
        inputs: x and y as stored; of a stream's last block only the first rows count.
        order: the rows in the order in which batches take them, int32; −1 for those
            that other processes have.
        epoch: the epoch.
        first: the number, within the epoch, of the first step.
        plan: of the run.
        last: whether the epoch is known to end with it.
        passing: whether its rows cannot be had again.
        by_rows: whether steps take the rows themselves, of which a process has its own;
            otherwise all rows, and the numbers of those of a batch.
    """

    inputs: Mapping[str, Any]
    order: Array
    epoch: int
    first: int
    plan: Plan
    last: bool = False
    passing: bool = False
    by_rows: bool = False

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
        size, turns = self.plan.batch_size, self.plan.accumulate
        whole = self.first + len(self.order) // size
        steps = min(most, whole - step) if step < whole else 1
        inputs, entry = dict(self.inputs), None
        if turns > 1:
            turn = (step - self.first) % turns
            update = min(step - turn + turns, self.end) - 1
            entry = "train" if step == update else "accumulate"
            steps = min(steps, max(1, update - step))
            inputs["turn"] = np.arange(turn, turn + steps, dtype=np.uint32)
        start, over = (step - self.first) * size, step + steps == self.end
        index = self.order[start : start + steps * size].reshape(steps, -1)
        if self.by_rows:
            note = f"{self.epoch} {step}"
            for name, array in self.inputs.items():
                inputs[name] = gathered(array, index, note)
        else:
            inputs["index"] = index
        return StepInputs(
            inputs,
            steps=steps,
            entry=entry,
            last=over and self.last,
            snapshot=over and self.passing,
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
        by_rows: whether steps take the rows themselves: in several processes, each of
            which has its own.
    """

    kinds: Kinds
    step: Step
    checksum: int
    targets: Any = None
    rows: Mapping[str, Array] = MappingProxyType({})
    dtypes: Mapping[str, DType] = MappingProxyType({})
    epoch_rows = 0

    def __init__(self, seed: int) -> None:
        self.seed, self.by_rows = seed, processes.count() > 1
        self.block: Block | None = None
        self.check: Check = lambda y: None

    @property
    def block_rows(self) -> int | None:
        """The rows of a stream that are held at a time; None for data in memory."""
        return None

    def bind(self, program: CompiledProgram) -> None:
        """Prepare the adapter to place rows in the memory of a program's engine."""
        self._put = partial(program.put, "train")
        self._share = partial(program.share, "train")
        self.close()

    def placed(self, arrays: Mapping[str, Array]) -> dict[str, Any]:
        """Return training rows, placed in the memory of the program's engine.

        Where steps take the rows themselves they stay here.
        """
        if self.by_rows:
            return dict(arrays)
        return {name: self._put(name, array) for name, array in arrays.items()}

    def own(self, rows: int, size: int) -> Array:
        """Return where, in the order of a block of rows, those of this process are.

        Args:
            rows: of the block.
            size: of a batch.
        """
        if not self.by_rows:
            return np.arange(rows)
        steps, left = divmod(rows, size)
        parts = [np.arange(steps)[:, None] * size + self._share(size)]
        if left:
            parts.append(steps * size + self._share(left)[None])
        return np.concatenate([part.reshape(-1) for part in parts])

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


def divided(order: Array, own: Array) -> tuple[Array, Array]:
    """Return the rows that a process keeps, sorted, and the order of batches over them.

    Args:
        order: the rows in the order in which batches take them.
        own: where in it those of this process are.

    >>> rows, order = divided(np.array([30, 10, 40, 20]), np.array([0, 3]))
    >>> rows.tolist(), order.tolist()
    ([20, 30], [1, -1, -1, 0])
    """
    rows = np.sort(order[own])
    kept = np.full(len(order), -1, np.int32)
    kept[own] = np.searchsorted(rows, order[own])
    return rows, kept


def padded(rows: Array, kind: ArrayType) -> Array:
    """Return the rows of a block of a stream, with zeros up to the block size."""
    if len(rows) == kind.shape[0]:
        return np.ascontiguousarray(rows)
    whole = np.zeros(resolve(kind.shape, NO_SIZES), kind.dtype.numpy)
    whole[: len(rows)] = rows
    return whole
