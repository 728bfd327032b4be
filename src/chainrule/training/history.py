"""The record of a training run: one row per epoch, one number per step and probe.

:mod:`.loop` adds to it. It prints as a table; :mod:`chainrule.viz` draws it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.graph.node import Array
from chainrule.graph.types import is_narrow
from chainrule.text import ngettext, tr
from chainrule.text.numbers import measure, number
from chainrule.text.tables import text_table

_VALIDATION = "validation_"
#: Rows of epochs, and steps of each entry point.
Mark = tuple[int, dict[str, int]]


class _Record:
    """The recorded steps of one entry point of a run: a column per quantity."""

    def __init__(self) -> None:
        self.chunks: list[dict[str, Array]] = []
        self.length = 0

    def extend(self, chunk: Mapping[str, Array]) -> None:
        self.length += _rows(chunk)  # first: a chunk that is not counted would stay
        self.chunks.append(
            {k: a.astype(np.float32) if is_narrow(a) else a for k, a in chunk.items()}
        )

    def columns(self) -> dict[str, Array]:
        """Return the recorded columns of all steps, NaN where a step lacks a value."""
        if len(self.chunks) > 1:
            names = dict.fromkeys(name for chunk in self.chunks for name in chunk)
            parts = {name: [_part(c, name) for c in self.chunks] for name in names}
            self.chunks = [{name: np.concatenate(p) for name, p in parts.items()}]
        return dict(self.chunks[0]) if self.chunks else {}

    def since(self, start: int) -> dict[str, Array]:
        """Return the recorded columns of the steps from ``start`` on, as views."""
        last: list[dict[str, Array]] = []
        before = self.length
        while before > start:
            chunk = self.chunks[len(self.chunks) - 1 - len(last)]
            before -= _rows(chunk)
            last.insert(0, chunk)
        tail = _Record()
        tail.chunks = last
        skipped = max(start - before, 0)
        return {name: a[skipped:] for name, a in tail.columns().items()}


def _rows(chunk: Mapping[str, Array]) -> int:
    return len(next(iter(chunk.values())))


def _part(chunk: Mapping[str, Array], name: str) -> Array:
    return chunk[name] if name in chunk else np.full(_rows(chunk), np.nan, "f4")


class History:
    """The record of a training run: a row per epoch, and the values of all steps.

    Attributes:
        epochs: for each finished epoch a row with ``epoch`` (from 1), ``train_loss``
            (the mean over its samples, each at the weights of its own step), ``lr``
            (of its last step) and ``seconds`` (in the training loop); with validation
            data also ``validation_loss`` and ``validation_`` with the name of each
            metric that is one number.
        validation_name: what the validation data are called where they are shown.
        entry: the entry point whose steps ``steps`` are.

    >>> from chainrule.training import History
    >>> history = History()
    >>> history.extend({"loss": np.array([0.75, 0.25], np.float32)})
    >>> history.epochs.append({"epoch": 1, "train_loss": 0.5, "lr": 0.1, "seconds": 2})
    >>> history
    epoch  train loss   lr  seconds
        1         0.5  0.1        2
    >>> history.steps["loss"]
    array([0.75, 0.25], dtype=float32)
    """

    def __init__(self, entry: str = "train") -> None:
        self.epochs: list[dict[str, Any]] = []
        self.validation_name = "validation"
        self.entry = entry
        self._records: dict[str, _Record] = {}

    def __len__(self) -> int:
        """Return the number of recorded training steps."""
        return self._of(self.entry).length

    def _of(self, entry: str) -> _Record:
        return self._records.get(entry) or _Record()

    @property
    def entries(self) -> list[str]:
        """The names of the entry points of a run that have recorded steps."""
        return [entry for entry, record in self._records.items() if record.length]

    @property
    def steps(self) -> dict[str, Array]:
        """The recorded values of all training steps: ``loss``, and probes by name."""
        return self.steps_of(self.entry) or {"loss": np.zeros(0, "f4")}

    def steps_of(self, entry: str) -> dict[str, Array]:
        """Return the recorded values of all steps of an entry point, by name."""
        return self._of(entry).columns()

    def since(self, start: int, entry: str | None = None) -> dict[str, Array]:
        """Return the recorded values of an entry point's steps from ``start`` on.

        Only the last chunks are read: it may be asked often in a long run.
        """
        return self._of(entry or self.entry).since(start)

    def recent(self, steps: int = 100) -> float:
        """Return the mean loss of the last ``steps`` training steps, NaN for none."""
        last: list[Array] = []
        for chunk in reversed(self._of(self.entry).chunks):
            if "loss" in chunk:
                last.append(chunk["loss"][-steps:])
                steps -= len(last[-1])
            if steps <= 0:
                break
        return float(np.concatenate(last).mean()) if last else float("nan")

    def extend(self, chunk: Mapping[str, Array], entry: str | None = None) -> None:
        """Append the values of a chunk of steps to the record of a run."""
        if chunk and len(next(iter(chunk.values()))):
            self._records.setdefault(entry or self.entry, _Record()).extend(chunk)

    def snapshot(self) -> Mark:
        """Return the current lengths of the record of a run, for ``restore``."""
        lengths = {entry: record.length for entry, record in self._records.items()}
        return len(self.epochs), lengths

    def restore(self, mark: Mark) -> None:
        """Delete all rows and steps recorded after ``mark`` from a run's record."""
        rows, lengths = mark
        del self.epochs[rows:]
        for entry, record in list(self._records.items()):
            length = lengths.get(entry, 0)
            if record.length > length:
                shorter = _Record()
                if length:
                    columns = record.columns().items()
                    shorter.extend({name: a[:length] for name, a in columns})
                self._records[entry] = shorter

    def to_dict(self) -> dict[str, Any]:
        """Return a run's history as JSON-able values: NaN and infinity become None."""
        return {
            "epochs": [plain(row) for row in self.epochs],
            "steps": {
                key: [v if math.isfinite(v) else None for v in array.tolist()]
                for key, array in self.steps.items()
            },
        }

    def _table(self, last: int = 0) -> list[list[str]]:
        """Return the history's headings and rows as text; all epochs, or the last."""
        keys = sorted(
            dict.fromkeys(key for row in self.epochs for key in row), key=place
        )
        if not keys:
            return []
        rows = [
            [shown(key, row[key]) if key in row else "" for key in keys]
            for row in self.epochs[-last:]
        ]
        return [[heading(key, self.validation_name) for key in keys], *rows]

    def __repr__(self) -> str:
        table = self._table()
        if not table:
            return tr(
                ngettext(
                    "History({n} step, no finished epoch)",
                    "History({n} steps, no finished epoch)",
                    n=len(self),
                )
            )
        return "\n".join(text_table(table))

    def _repr_html_(self) -> str:
        from chainrule.html import views  # which notebooks alone need

        shown = self._table(views.ROWS)
        if not shown:
            return views.view(views.paragraph(repr(self)))
        note = ""
        if (count := len(self.epochs)) > views.ROWS:
            text = tr("the last {n} of {all} epochs", n=views.ROWS, all=count)
            note = views.paragraph(text, "note")
        losses = {
            heading(key, self.validation_name): np.array(
                [row.get(key, np.nan) for row in self.epochs], np.float64
            )
            for key in ("train_loss", "validation_loss")
            if any(key in row for row in self.epochs)
        }
        epochs = np.array([row["epoch"] for row in self.epochs], np.float64)
        across, up = tr("epoch"), tr("loss")
        drawn = views.chart(losses, epochs, across=across, up=up) if losses else ""
        return views.view(drawn, note, views.table(shown))


# -- columns as people read them ---------------------------------------------------


def heading(key: str, validation: str = "validation") -> str:
    """Return the heading of a column of the history's table.

    >>> heading("validation_accuracy"), heading("validation_r2", "test")
    ('val. accuracy', 'test r2')
    """
    name = called(key.removeprefix(_VALIDATION))
    if not key.startswith(_VALIDATION):
        return name
    short = tr("val.") if validation == "validation" else called(validation)
    return tr("{part} {name}", part=short, name=name)


def called(name: str) -> str:
    """Return the display name of a history column, a metric or a part of data.

    >>> called("balanced_accuracy"), called("mae")
    ('balanced accuracy', 'mae')
    """
    known = {
        "epoch": tr("epoch"),
        "loss": tr("loss"),
        "train_loss": tr("train loss"),
        "seconds": tr("seconds"),
        "lr": tr("lr"),
        "accuracy": tr("accuracy"),
        "balanced_accuracy": tr("balanced accuracy"),
        "precision": tr("precision"),
        "recall": tr("recall"),
        "train": tr("train"),
        "validation": tr("validation"),
        "test": tr("test"),
    }
    return known.get(name, name.replace("_", " "))


def shown(key: str, value: Any) -> str:
    """Format a value of a history column as text.

    >>> shown("validation_accuracy", 0.98765), shown("validation_mae", 1234.5678)
    ('98.77%', '1,235')
    """
    if not isinstance(value, int | float):
        return str(value)
    if key == "seconds":
        return number(float(value), 3)
    return measure(key.removeprefix(_VALIDATION), value)


def place(key: str) -> int:
    """Return the sort key of a history column: epoch and losses first, time last."""
    first, last = ["epoch", "train_loss", "validation_loss"], ["lr", "seconds"]
    if key in first:
        return first.index(key)
    return 100 + last.index(key) if key in last else 50


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of the history with None in place of NaN and infinity, for JSON.

    >>> plain({"epoch": 1, "train_loss": float("inf")})
    {'epoch': 1, 'train_loss': None}
    """
    return {
        key: None if isinstance(v, float) and not math.isfinite(v) else v
        for key, v in row.items()
    }
