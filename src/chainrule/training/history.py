"""The record of a training run: one row an epoch, one number a step and probe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.graph.node import Array

#: Columns of the table: key, heading, format.
_COLUMNS = (
    ("epoch", "epoch", "{:d}"),
    ("train_loss", "train loss", "{:.4f}"),
    ("validation_loss", "val. loss", "{:.4f}"),
    ("validation_accuracy", "val. accuracy", "{:.2%}"),
    ("lr", "lr", "{:.3g}"),
    ("seconds", "seconds", "{:.2f}"),
)


class History:
    """What happened in training so far; ``print`` shows a table.

    Attributes:
        epochs: for each finished epoch a row with ``epoch`` (from 1), ``train_loss``
            (the mean over its samples, each at the weights of its own step), ``lr``
            (of its last step) and ``seconds`` (in the training loop); with validation
            data also ``validation_loss`` and, for classification,
            ``validation_accuracy`` from 0 to 1.

    >>> from chainrule.training import History
    >>> history = History()
    >>> history.extend({"loss": np.array([0.75, 0.25], np.float32)})
    >>> history.epochs.append({"epoch": 1, "train_loss": 0.5, "lr": 0.1, "seconds": 2})
    >>> history
    epoch  train loss   lr  seconds
        1      0.5000  0.1     2.00
    >>> history.steps["loss"]
    array([0.75, 0.25], dtype=float32)
    """

    def __init__(self) -> None:
        self.epochs: list[dict[str, Any]] = []
        self._chunks: list[dict[str, Array]] = []

    def __len__(self) -> int:
        """The number of steps recorded."""
        return sum(len(chunk["loss"]) for chunk in self._chunks)

    @property
    def steps(self) -> dict[str, Array]:
        """For ``loss`` and each probe, such as ``grad_norm/0.weight``, all steps."""
        if len(self._chunks) > 1:
            names = dict.fromkeys(name for chunk in self._chunks for name in chunk)
            self._chunks = [
                {
                    name: np.concatenate(
                        [_probe(chunk, name) for chunk in self._chunks]
                    )
                    for name in names
                }
            ]
        return dict(self._chunks[0]) if self._chunks else {"loss": np.zeros(0, "f4")}

    def recent(self, steps: int = 100) -> float:
        """The mean loss of the last ``steps`` steps (NaN where there are none)."""
        last: list[Array] = []
        for chunk in reversed(self._chunks):
            last.append(chunk["loss"][-steps:])
            steps -= len(last[-1])
            if steps <= 0:
                break
        return float(np.concatenate(last).mean()) if last else float("nan")

    def extend(self, chunk: Mapping[str, Array]) -> None:
        """Append the steps of a chunk: arrays of equal length, ``loss`` among them."""
        if len(chunk["loss"]):
            self._chunks.append(dict(chunk))

    def truncate(self, steps: int) -> None:
        """Forget all but the first ``steps`` steps."""
        kept = {name: array[:steps] for name, array in self.steps.items()}
        self._chunks = []
        self.extend(kept)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON."""
        return {
            "epochs": [dict(row) for row in self.epochs],
            "steps": {key: array.tolist() for key, array in self.steps.items()},
        }

    def __repr__(self) -> str:
        columns = [c for c in _COLUMNS if any(c[0] in row for row in self.epochs)]
        if not columns:
            return f"History({len(self)} steps, no finished epoch)"
        table = [[heading for _, heading, _ in columns]]
        table += [
            [form.format(row[key]) if key in row else "" for key, _, form in columns]
            for row in self.epochs
        ]
        widths = [max(map(len, column)) for column in zip(*table)]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths))
            for line in table
        )


def _probe(chunk: Mapping[str, Array], name: str) -> Array:
    """A probe's numbers, NaN for steps that it was not part of."""
    return chunk[name] if name in chunk else np.full(len(chunk["loss"]), np.nan, "f4")
