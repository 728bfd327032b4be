"""The record of a training run: one row an epoch, one number a step and probe.

:mod:`.loop` adds the steps, :mod:`.run` the epochs. It prints as a table here; pictures
of it are in :mod:`.curve`.
"""

from __future__ import annotations

import html
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.graph.node import Array


class History:
    """What happened in training so far; ``print`` shows a table, a notebook too.

    Attributes:
        epochs: for each finished epoch a row with ``epoch`` (from 1), ``train_loss``
            (the mean over its samples, each at the weights of its own step), ``lr``
            (of its last step) and ``seconds`` (in the training loop); with validation
            data also ``validation_loss`` and ``validation_`` with the name of each
            metric that is one number.
        validation_name: what the validation data are called where they are shown.

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
        self.validation_name = "validation"
        self._chunks: list[dict[str, Array]] = []
        self._recorded = 0

    def __len__(self) -> int:
        """The number of steps recorded."""
        return self._recorded

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
            self._recorded += len(chunk["loss"])

    def truncate(self, steps: int) -> None:
        """Forget all but the first ``steps`` steps."""
        kept = {name: array[:steps] for name, array in self.steps.items()}
        self._chunks, self._recorded = [], 0
        self.extend(kept)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON: NaN and infinity become None."""
        return {
            "epochs": [plain(row) for row in self.epochs],
            "steps": {
                key: [v if math.isfinite(v) else None for v in array.tolist()]
                for key, array in self.steps.items()
            },
        }

    def plot(self, path: str | os.PathLike[str] | None = None) -> Picture | None:
        """The learning curves: loss, metrics and the learning rate over the epochs.

        Args:
            path: the PNG file to write; None gives a picture, which a notebook shows.

        Raises:
            ArgumentError: no finished epoch, or no matplotlib (the extra ``plot``).
            SaveError: the file cannot be written.
        """
        from chainrule.training import curve

        if path is None:
            return Picture(curve.curve_svg(self))
        curve.save_curve(self, Path(path))
        return None

    def _table(self) -> list[list[str]]:
        """Headings and rows as text; empty without a finished epoch."""
        keys = sorted(
            dict.fromkeys(key for row in self.epochs for key in row), key=_place
        )
        if not keys:
            return []
        table = [[heading(key, self.validation_name) for key in keys]]
        table += [
            [shown(key, row[key]) if key in row else "" for key in keys]
            for row in self.epochs
        ]
        return table

    def __repr__(self) -> str:
        table = self._table()
        if not table:
            return f"History({len(self)} steps, no finished epoch)"
        widths = [max(map(len, column)) for column in zip(*table)]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths))
            for line in table
        )

    def _repr_html_(self) -> str:
        """The table for a notebook."""
        table = self._table()
        return html_table(table) if table else f"<p>{html.escape(repr(self))}</p>"


@dataclass(frozen=True)
class Picture:
    """Learning curves that a notebook shows.

    Attributes:
        svg: an ``<svg>`` element.
    """

    svg: str

    def _repr_html_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"Picture(SVG, {len(self.svg):,} characters)"


#: How some columns are printed.
_FIXED = {"epoch": "{:d}", "lr": "{:.3g}", "seconds": "{:.2f}"}
_VALIDATION = "validation_"


def is_share(metric: str) -> bool:
    """Whether a metric of this name is a share, shown in per cent."""
    return metric == "accuracy" or re.fullmatch(r"top\d+", metric) is not None


def heading(key: str, validation: str = "validation") -> str:
    """What stands above a column.

    >>> heading("validation_accuracy"), heading("validation_r2", "test")
    ('val. accuracy', 'test r2')
    """
    short = "val." if validation == "validation" else validation
    name = key.removeprefix(_VALIDATION).replace("_", " ")
    return f"{short} {name}" if key.startswith(_VALIDATION) else name


def shown(key: str, value: Any) -> str:
    """A value of a column as text.

    >>> shown("validation_accuracy", 0.98765), shown("validation_mae", 1234.5678)
    ('98.77%', '1234.5678')
    """
    if not isinstance(value, int | float):
        return str(value)
    if key in _FIXED:
        return _FIXED[key].format(value)
    if is_share(key.removeprefix(_VALIDATION)):
        return f"{value:.2%}"
    small = value != 0 and abs(value) < 1e-3
    return f"{value:.3g}" if small or abs(value) >= 1e6 else f"{value:.4f}"


def _place(key: str) -> int:
    """Epoch and losses first, the rate and the time last, the metrics between."""
    first, last = ["epoch", "train_loss", "validation_loss"], ["lr", "seconds"]
    if key in first:
        return first.index(key)
    return 100 + last.index(key) if key in last else 50


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without NaN and infinity, which JSON does not have: None instead.

    >>> plain({"epoch": 1, "train_loss": float("inf")})
    {'epoch': 1, 'train_loss': None}
    """
    return {
        key: None if isinstance(v, float) and not math.isfinite(v) else v
        for key, v in row.items()
    }


def html_table(table: Sequence[Sequence[str]]) -> str:
    """Headings and rows as a small HTML table.

    >>> html_table([["a<b"], ["1"]])
    '<table><thead><tr><th>a&lt;b</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>'
    """

    def line(cells: Sequence[str], kind: str) -> str:
        inner = "".join(f"<{kind}>{html.escape(cell)}</{kind}>" for cell in cells)
        return f"<tr>{inner}</tr>"

    head, body = line(table[0], "th"), "".join(line(row, "td") for row in table[1:])
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"


def _probe(chunk: Mapping[str, Array], name: str) -> Array:
    """A probe's numbers, NaN for steps that it was not part of."""
    return chunk[name] if name in chunk else np.full(len(chunk["loss"]), np.nan, "f4")
