"""``chainrule predict``: a run's predictions for new data, as a table."""

from __future__ import annotations

import csv
import io
import math
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np

from chainrule import data
from chainrule.data.tables.cells import MARKS, parsed
from chainrule.data.tables.file import File
from chainrule.data.tables.reader import reading_of
from chainrule.errors import warn
from chainrule.nn import output_semantics
from chainrule.runs.trained import DIGITS, Trained, reading_input
from chainrule.text import _, ngettext
from chainrule.training import Devices
from chainrule.util.atomic_files import refusals

#: So many lines that were left out are named.
LINES = 20
#: Bytes of a table of predictions that are kept in memory; the rest is on the disk.
IN_MEMORY = 8 << 20

#: Some rows: what each is called, its cells, and its features.
Rows = tuple[Sequence[str], list[list[str]], Any]


@dataclass
class Predictions:
    """A run's predictions for the rows of a file, computed while they are written.

    Attributes:
        trained: the run.
        kind: ``classes``, ``probabilities``, ``logits`` or ``values``.
        classes: the names of the classes, or None.
        head: the names of all columns, those of the data in front.
        columns: the names of the predicted columns, the last ones of ``head``.
        parts: some rows after the other, predicted.
        rows: how many rows were written.
        omitted: the lines of rows that were left out for empty cells.
        notes: what was odd about the data, one sentence each.
    """

    trained: Trained
    kind: str
    classes: list[str] | None
    head: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    parts: Iterable[Rows] = ()
    rows: int = 0
    omitted: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def write(
        self, *, safe: bool = True, rows: list[dict[str, Any]] | None = None
    ) -> IO[bytes]:
        """Write all predictions as a temporary CSV file in UTF-8, and return it.

        Args:
            safe: whether cells that a spreadsheet would take for formulas get a ``'``
                in front.
            rows: also takes the predictions, a dictionary a row.

        Raises:
            SaveError: there is no room for it.
        """
        file: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
        text = io.TextIOWrapper(file, "utf-8", newline="")
        clean = harmless if safe else list
        writer = csv.writer(text, lineterminator="\n")
        with refusals(
            _("The table of predictions cannot be written."),
            expected=_("room in {gettempdir}", gettempdir=tempfile.gettempdir()),
            fix=_("free some space, or set TMPDIR to another directory"),
        ):
            writer.writerow(clean(self.head))
            for names, data_rows, predicted in self.parts:
                cells = predicted.reshape(len(data_rows), -1).tolist()
                for row, own in zip(data_rows, cells, strict=True):
                    writer.writerow(clean([*row, *map(_text, own)]))
                self.rows += len(data_rows)
                if rows is not None:
                    rows += [
                        {"row": name, **dict(zip(self.columns, own))}
                        for name, own in zip(names, cells, strict=True)
                    ]
            text.flush()
        text.detach()
        file.seek(0)
        return file

    def report(self, predictions: list[dict[str, Any]], out: Path | None) -> Any:
        """Return a report of the written predictions, JSON-able."""
        return {
            "run": self.trained.name,
            "output": self.kind,
            "classes": self.classes,
            "rows": self.rows,
            "rows_left_out": self.omitted,
            "notes": self.notes,
            "out": None if out is None else str(out),
            "predictions": predictions,
        }

    def read(self, path: Path) -> Iterator[Rows]:
        """Yield the rows of a file or folder to predict, in chunks."""
        format = self.trained.format_for(path)
        if format["kind"] in ("csv", "text"):
            yield from self._of_table(path, format)
            return
        with reading_input(path):
            x, names = data.read(path, format=format, target=False)
        if format is DIGITS:
            _warn_of_paper(np.asarray(x[:16]), path)
        self.head = ["file" if format["kind"] == "images" else "row"]
        yield names, [[name.removeprefix("row ")] for name in names], x

    def _of_table(self, path: Path, format: dict[str, Any]) -> Iterator[Rows]:
        """Yield the rows to predict of a table, in chunks; report invalid cells."""
        with reading_input(path):
            reading = reading_of(path, format)
            source = reading.source
            assert isinstance(source, File)
            self.head, count = list(source.columns), 0
            for rows in reading:
                if len(rows.x):
                    count += len(rows.x)
                    names = [
                        _("line {line}", line=line) for line in rows.lines.tolist()
                    ]
                    yield names, list(source.split(rows.records)), rows.x
            if not count:
                reading.all()  # says that there is nothing
        report = reading.report
        self.omitted = report.lines
        self.notes = [note for note in report.notes() if note not in report.seen]
        if lines := self.omitted:
            shown = ", ".join(map(str, lines[:LINES])) + " …" * (len(lines) > LINES)
            warn(
                ngettext(
                    "{n} of {rows} left out for empty cells: line {shown}",
                    "{n} of {rows} left out for empty cells: lines {shown}",
                    n=len(lines),
                    rows=ngettext("{n} row", "{n} rows", n=report.rows),
                    shown=shown,
                ),
                fix=_('fill the cells in, or train with missing = "fill"'),
            )

    def name_columns(self, width: int) -> None:
        """Add the predictions' column names, different from those of the data."""
        for column in self._columns(width):
            free, number = column, 2
            while free in self.head:
                free, number = f"{column} {number}", number + 1
            self.head.append(free)
            self.columns.append(free)

    def _columns(self, count: int) -> list[str]:
        if self.kind == "values":
            targets = (self.trained.trainer.format or {}).get("target") or ()
            targets = [targets] if isinstance(targets, str) else list(targets)
            if len(targets) == count:
                return [_("predicted {name}", name=name) for name in targets]
        if self.kind in ("values", "classes"):
            names = [_("prediction {i}", i=i + 1) for i in range(count)]
            return ["prediction"] if count == 1 else names
        word = "probability" if self.kind == "probabilities" else "logit"
        classes = self.classes
        if count == 1:  # one number says how much class 1 is meant
            return [
                _("{word} of {value}", word=word, value=classes[-1] if classes else 1)
            ]
        names = classes if classes and len(classes) == count else range(count)
        return [_("{word} of {name}", word=word, name=name) for name in names]


def predict(
    place: Path,
    path: Path,
    output: str | None = None,
    *,
    threads: int | None = None,
    devices: Devices | None = None,
) -> Predictions:
    """Prepare a run's predictions for the rows of new data.

    Args:
        place: its directory, or a checkpoint.
        path: a table, an NPZ file, an image, or a folder of images.
        output: ``classes``, ``probabilities``, ``logits`` or ``values``; None for
            classes where the network decides, else values.
        threads: of the native engine.
        devices: of the engine xla, a number or ``"all"``.

    Raises:
        CheckpointError, DataError, ArgumentError: what cannot be read, or does not fit.
    """
    trained = Trained.load(place, threads=threads, devices=devices)
    trainer = trained.trainer
    decides = output_semantics.is_classification(trainer.loss)
    kind = output or ("classes" if decides else "values")
    named = decides and trainer.class_names is not None
    classes = list(trainer.class_names or ()) if named else None
    predictions = Predictions(trained, kind, classes)
    asked = None if kind == "values" else kind
    parts = (
        (names, rows, trainer.predict(x, asked))
        for names, rows, x in predictions.read(path)
    )
    first = next(parts)  # what is wrong with the data shows before anything is written
    predictions.name_columns(first[2].reshape(len(first[1]), -1).shape[1])
    predictions.parts = chain([first], parts)
    return predictions


def _text(value: Any) -> str:
    """Return a cell of the predictions' table as text, numbers to seven digits."""
    return f"{value:.7g}" if isinstance(value, float) else str(value)


#: What may be a formula, at the beginning of a line: no plain number is.
_SUSPECT = re.compile(
    r"^\s*(?:[=@]|[+-](?![0-9]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?$))|^[\t\r]", re.M
)


def harmless(row: list[str]) -> list[str]:
    """Return a row of the predictions' table, safe from formulas in spreadsheets.

    Numbers are not changed.

    >>> harmless(["=1+2", " @sum", "-3.5", "-1.100,00 €", "-"])
    ["'=1+2", "' @sum", '-3.5', '-1.100,00 €', '-']
    """
    if not _SUSPECT.search("\n".join(row)):
        return row
    return [f"'{cell}" if _is_formula(cell) else cell for cell in row]


def _is_formula(cell: str) -> bool:
    begins = cell.lstrip()
    if not begins.startswith(("=", "+", "-", "@")) and cell[:1] not in ("\t", "\r"):
        return False
    number = any(not math.isnan(parsed([begins], mark)[0]) for mark in MARKS)
    return len(begins) > 1 and not number


def _warn_of_paper(images: np.ndarray, path: Path) -> None:
    """Warn of a bright image to predict by MNIST, whose digits are white on black."""
    if images.mean() > 0.5:
        warn(
            _(
                "'{name}' is bright, and the digits that the network knows are "
                "white on black.",
                name=path.name,
            ),
            expected=_("a dark background (0) and a light digit (1)"),
            got=_("a mean brightness of {mean:.2f}", mean=images.mean()),
            fix=_("invert the image: 255 − grey value"),
        )
