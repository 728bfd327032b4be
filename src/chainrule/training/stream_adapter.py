"""The adapter of a stream to a run's batches, and the mark of where it stands.

A stream comes in blocks of a fixed number of rows, a multiple of the batch size, each
shuffled in itself while a thread of the stream's prepares the next one: so it may be
longer than memory, and its epochs are the function of (seed, epoch, block) that
resuming needs.
"""

from __future__ import annotations

import zlib
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from chainrule.data import Stream
from chainrule.data.adapter import check_representable, kinds
from chainrule.data.positions import Position
from chainrule.data.source import rows_of
from chainrule.errors import ArgumentError, CheckpointError, DataError
from chainrule.graph.node import Array
from chainrule.graph.types import (
    ArrayType,
    DType,
)
from chainrule.random import permutation
from chainrule.text import _, ngettext
from chainrule.training.block import Block, DataAdapter, divided, padded
from chainrule.training.class_weights import ClassWeights
from chainrule.training.entries import Step
from chainrule.training.state import Plan
from chainrule.util import processes
from chainrule.util.pytree import leaves


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
    return zlib.crc32(digest.to_bytes(8, "little"), checksum)


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
        self.step = Step(of_rows, weight, accumulate, self.by_rows)
        self._alone = self.by_rows and stream.reads_alone()
        self._counted = dict[int, Array]()
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
        """Return a stream's position: its present block, and the next pass' draws."""
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
        if (
            self._mark.epoch == epoch - 1
            and not self.stream.takes_epochs
            and self._mark.end
        ):
            at = {**self._mark.end, "rows": 0, "left": {}}
        known = mark.position is not None or (self._alone and mark.number >= 0)
        if known and mark.number <= step // each:
            number, at, checksum = mark.number - 1, mark.position, mark.before
        rows = (number + 1) * plan.block
        self.stream.start_epoch(self.seed, epoch)
        with closing(self._read(plan, epoch, number + 1, at)) as source:
            for (x, y), count, first, behind, digest in source:
                number += 1
                before, checksum = checksum, _chained(checksum, digest)
                if number == mark.number and checksum != mark.behind:
                    raise _other_rows(self.stream.name)
                position, at = (at if first is None else first), behind
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
                order = self._order(count, epoch, number)
                if self.by_rows:
                    own, order = divided(order, self.own(count, plan.batch_size))
                if self.by_rows and not self._alone:
                    kept = {k: a[own] for k, a in arrays.items()}
                elif self.by_rows:
                    kept = arrays
                else:
                    kept = {k: padded(a, self._types[k]) for k, a in arrays.items()}
                placed = self.placed(kept)
                del x, y, arrays, kept
                self._mark = Mark(
                    epoch, number, position, before, checksum, draws, behind
                )
                first_step = number * each
                block = Block(
                    placed,
                    order,
                    epoch,
                    first_step,
                    plan,
                    passing=True,
                    by_rows=self.by_rows,
                )
                if block.end > max(step, block.first):
                    yield block
                del placed, block
        if rows < max(1, (step - 1) * plan.batch_size + 1):
            raise _too_short(rows, plan.batch_size)
        self.epoch_rows = rows

    def _read(
        self, plan: Plan, epoch: int, number: int, at: Position | None
    ) -> Generator[Any]:
        """Yield the blocks of a pass: rows, how many, positions, and a checksum.

        Where this process reads its own rows alone they are these, and there are no
        positions. The checksum is of all rows in any case.

        Args:
            plan: of the run.
            epoch: the epoch.
            number: of the first block.
            at: the source's position in front of it, if it has one.
        """
        assert plan.block is not None
        if not self._alone:
            with closing(self.stream.positions(plan.block, at)) as blocks:
                for pair, first, behind, digest in blocks:
                    if self.by_rows:
                        _same(number, f"{digest:016x}")
                    yield pair, rows_of(pair[1]), first, behind, digest
                    number += 1
                    del pair
            return

        def wanted(number: int, count: int) -> Array:
            order = self._order(count, epoch, number)
            return divided(order, self.own(count, plan.batch_size))[0]

        with closing(self.stream.own_rows(plan.block, number, wanted)) as blocks:
            for pair, numbers, where, digests in blocks:
                count = len(numbers)
                _same(number, f"{zlib.crc32(repr(numbers).encode()):08x}")
                order = self._order(count, epoch, number)
                mine = order[self._first(count, plan.batch_size)]
                part = digests[np.searchsorted(where, mine)].sum(dtype=np.uint64)
                yield pair, count, None, None, processes.total(int(part))
                number += 1
                del pair

    def _order(self, rows: int, epoch: int, number: int) -> Array:
        """Return the order of the rows of a block."""
        return permutation(rows, self.seed, epoch, number)

    def _first(self, rows: int, size: int) -> Array:
        """Return where, in the order of a block, rows are that this process counts.

        Several processes may have the same row: the first of them counts it.
        """
        if rows not in self._counted:
            own = np.zeros(rows, bool)
            own[self.own(rows, size)] = True
            first = np.array(processes.first_of(own.tobytes()))
            self._counted[rows] = np.flatnonzero(first == processes.index())
        return self._counted[rows]


def _same(number: int, digest: str) -> None:
    """Refuse rows of a stream that are not the same in all processes."""
    processes.require_same(
        {_("block {number} of the stream", number=number): digest},
        _(
            "let the stream give the same rows in each process, from which a Trainer "
            "takes those of its own: seed what it draws, without a DistributedSampler"
        ),
    )


def _sorted(tree: Any) -> Any:
    """Return a nest whose dictionaries are in the order of their keys."""
    if isinstance(tree, dict):
        return {key: _sorted(tree[key]) for key in sorted(tree)}
    return tuple(map(_sorted, tree)) if type(tree) is tuple else tree


def _too_short(rows: int, batch_size: int) -> ArgumentError:
    return ArgumentError(
        _("The stream ended too early."),
        expected=ngettext(
            "at least a batch of {n} row, and as many in each epoch",
            "at least a batch of {n} rows, and as many in each epoch",
            n=batch_size,
        ),
        got=ngettext("{n} row", "{n} rows", n=rows),
        fix=_(
            "look at what its function yields (it is called anew for each "
            "epoch), or take a smaller batch_size"
        ),
    )
