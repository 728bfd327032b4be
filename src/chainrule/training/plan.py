"""The plan of a run: what a call of ``fit`` is to do, as far as its steps depend on it.

It is part of every checkpoint, so that ``resume`` does what is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.graph.node import Array


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
        class_names: what the classes of the data are called, or None.
        format: how the data were read from their file, or None.
        scale: the factor from stored numbers to features, or None.
    """

    first: int
    epochs: int
    batch_size: int
    rows: int | None
    checksum: int
    drop_last: bool = False
    block: int | None = None
    class_names: tuple[str, ...] | None = None
    format: dict[str, Any] | None = None
    scale: float | None = None

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
