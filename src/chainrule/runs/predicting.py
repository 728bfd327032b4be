"""``chainrule predict``: what a run's network makes of new data, as a table."""

from __future__ import annotations

import csv
import io
import math
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from chainrule.data.tables.cells import MARKS, parsed
from chainrule.data.tables.file import File
from chainrule.data.tables.reader import reading_of
from chainrule.data.tables.reading import Reading
from chainrule.disk import refusals
from chainrule.errors import warn
from chainrule.nn import output_semantics
from chainrule.runs import results
from chainrule.runs.trained import DIGITS, Trained, reading_input

#: So many lines that were left out are named.
LINES = 20
#: Bytes of a table of predictions that are kept in memory; the rest is on the disk.
IN_MEMORY = 8 << 20


@dataclass
class Predictions:
    """Predictions, row by row; they are made while they are written.

    Attributes:
        run: what the run is called.
        kind: ``classes``, ``probabilities``, ``logits`` or ``values``.
        head: the names of all columns, those of the data in front.
        columns: the names of the predicted columns, the last ones of ``head``.
        classes: the names of the classes, or None.
        parts: some rows after the other: what each is called, its cells, and its
            predictions.
        rows: how many rows were written.
        left_out: the lines of rows that were left out for empty cells.
        notes: what was odd about the data, one sentence each.
    """

    run: str
    kind: str
    head: list[str]
    columns: list[str]
    classes: list[str] | None
    parts: Iterator[tuple[Sequence[str], list[list[str]], list[list[Any]]]]
    rows: int = 0
    left_out: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def written(
        self, *, safe: bool = True, told: list[dict[str, Any]] | None = None
    ) -> IO[bytes]:
        """All of them as a temporary file of CSV in UTF-8.

        Args:
            safe: whether cells that a spreadsheet would take for formulas get a ``'``
                in front.
            told: also takes the predictions, ready for JSON.

        Raises:
            SaveError: there is no room for it.
        """
        file: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
        text = io.TextIOWrapper(file, "utf-8", newline="")
        clean = _harmless if safe else list
        writer = csv.writer(text, lineterminator="\n")
        with refusals(
            "The table of predictions cannot be written.",
            expected=f"room in {tempfile.gettempdir()}",
            fix="free some space, or set TMPDIR to another directory",
        ):
            writer.writerow(clean(self.head))
            for names, rows, predicted in self.parts:
                for row, own in zip(rows, predicted, strict=True):
                    writer.writerow(clean([*row, *map(_text, own)]))
                self.rows += len(rows)
                if told is not None:
                    told += [
                        {"row": name, **dict(zip(self.columns, map(_plain, cells)))}
                        for name, cells in zip(names, predicted, strict=True)
                    ]
            text.flush()
        text.detach()
        file.seek(0)
        return file

    def as_json(self, told: list[dict[str, Any]], out: Path | None) -> dict[str, Any]:
        """The predictions, ready for JSON."""
        return {
            "run": self.run,
            "output": self.kind,
            "classes": self.classes,
            "rows": self.rows,
            "rows_left_out": self.left_out,
            "notes": self.notes,
            "out": None if out is None else str(out),
            "predictions": told,
        }


def predict(
    place: Path, path: Path, output: str | None = None, *, threads: int | None = None
) -> Predictions:
    """Predict with a run.

    Args:
        place: its directory, or a checkpoint.
        path: a table, an NPZ file, an image, or a folder of images.
        output: ``classes``, ``probabilities``, ``logits`` or ``values``; None for
            classes where the network decides, else values.
        threads: of the native engine.

    Raises:
        CheckpointError, DataError, ArgumentError: what cannot be read, or does not fit.
    """
    trained = Trained.load(place, threads)
    trainer = trained.trainer
    decides = output_semantics.is_classification(trainer.loss)
    kind = output or ("classes" if decides else "values")
    classes = None if trainer.class_names is None else list(trainer.class_names)
    made = Predictions(
        trained.name, kind, [], [], classes if decides else None, iter(())
    )
    format = trained.format_for(path)
    if format["kind"] == "csv":
        with reading_input(path):
            reading = reading_of(path, format)
        made.head = list(reading.source.columns)
        parts = _of_table(made, trained, reading, path)
    else:
        x, names = trained.features(path)
        if format is DIGITS:
            _warn_of_paper(np.asarray(x[:16]), path)
        made.head = ["file" if format["kind"] == "images" else "row"]
        rows = [[name.removeprefix("row ")] for name in names]
        parts = iter([(names, rows, x)])
    first = next(parts)
    asked = None if kind == "values" else kind
    predicted = trainer.predict(first[2], asked)
    columns = _columns(trained, kind, predicted[:1], classes)
    made.columns = [_free(column, made.head) for column in columns]
    made.head += made.columns

    def all_parts() -> Iterator[tuple[Sequence[str], list[list[str]], list[list[Any]]]]:
        yield first[0], first[1], _cells(predicted)
        for names, rows, x in parts:
            yield names, rows, _cells(trainer.predict(x, asked))

    made.parts = all_parts()
    return made


def _of_table(
    made: Predictions, trained: Trained, reading: Reading, path: Path
) -> Iterator[tuple[Sequence[str], list[list[str]], Any]]:
    """The rows of a table, some at a time; in the end what was odd about them."""
    source = reading.source
    assert isinstance(source, File)
    count = 0
    with reading_input(path):
        for rows in reading:
            if len(rows.x):
                count += len(rows.x)
                names = [f"line {line}" for line in rows.lines.tolist()]
                yield names, list(source.split(rows.records)), rows.x
        if not count:
            reading.all()  # says that there is nothing
    report = reading.report
    made.left_out = report.lines
    made.notes = [note for note in report.notes() if note not in report.seen]
    if made.left_out:
        _warn_of_gaps(made.left_out, report.rows)


def _columns(
    trained: Trained, kind: str, made: np.ndarray, classes: list[str] | None
) -> list[str]:
    """The names of the predicted columns."""
    count = made.reshape(len(made), -1).shape[1]
    if kind == "values":
        targets = (trained.trainer.format or {}).get("target") or ()
        targets = [targets] if isinstance(targets, str) else list(targets)
        if len(targets) == count:
            return [f"predicted {name}" for name in targets]
    if kind in ("values", "classes"):
        names = [f"prediction {i + 1}" for i in range(count)]
        return ["prediction"] if count == 1 else names
    word = "probability" if kind == "probabilities" else "logit"
    if count == 1:  # one number says how much class 1 is meant
        return [f"{word} of {classes[-1] if classes else 1}"]
    names = classes if classes is not None and len(classes) == count else range(count)
    return [f"{word} of {name}" for name in names]


def _cells(made: np.ndarray) -> list[list[Any]]:
    """The predicted cells of each row."""
    return made.reshape(len(made), -1).tolist()


def _free(name: str, taken: Sequence[str]) -> str:
    """``name``, or with a number where a column has that name already."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name} {number}", number + 1
    return free


def _text(value: Any) -> str:
    """A cell of the table: numbers with as many digits as float32 has."""
    return f"{value:.7g}" if isinstance(value, float) else str(value)


#: What may be a formula, at the beginning of a line: no plain number is.
_SUSPECT = re.compile(
    r"^\s*(?:[=@]|[+-](?![0-9]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?$))|^[\t\r]", re.M
)


def _harmless(row: list[str]) -> list[str]:
    """A row whose cells no spreadsheet takes for formulas; numbers stay as they are.

    >>> _harmless(["=1+2", " @sum", "-3.5", "-1.100,00 €", "-"])
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


def _plain(value: Any) -> Any:
    return results.number(value) if isinstance(value, float) else value


def _warn_of_gaps(lines: list[int], rows: int) -> None:
    """Rows without a prediction are named."""
    shown = ", ".join(map(str, lines[:LINES])) + (" …" if len(lines) > LINES else "")
    warn(
        f"{len(lines)} of {rows} rows left out for empty cells: lines {shown}",
        fix='fill the cells in, or train with missing = "fill"',
    )


def _warn_of_paper(images: np.ndarray, path: Path) -> None:
    """MNIST's digits are white on black."""
    if images.mean() > 0.5:
        warn(
            f"'{path.name}' is bright, and the digits that the network knows are white "
            "on black.",
            expected="a dark background (0) and a light digit (1)",
            got=f"a mean brightness of {images.mean():.2f}",
            fix="invert the image: 255 − grey value",
        )
