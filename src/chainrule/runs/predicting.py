"""``chainrule predict``: what a run's network makes of new data, as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.disk import replace
from chainrule.errors import warn
from chainrule.nn import output_semantics
from chainrule.runs import gaps, results
from chainrule.runs.trained import DIGITS, Trained

#: So many lines that were left out are named.
LINES = 20


@dataclass(frozen=True)
class Predictions:
    """A table of predictions.

    Attributes:
        run: what the run is called.
        kind: ``classes``, ``probabilities``, ``logits`` or ``values``.
        head: the names of all columns.
        table: the cells of each row, those of the data in front.
        columns: the names of the predicted columns, the last ones of ``head``.
        names: what to call each row.
        predicted: the cells of the predicted columns.
        classes: the names of the classes, or None.
        left_out: the lines of rows that were left out for empty cells.
    """

    run: str
    kind: str
    head: list[str]
    table: list[list[Any]]
    columns: list[str]
    names: list[str]
    predicted: list[list[Any]]
    classes: list[str] | None
    left_out: list[int]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.table)

    def csv(self) -> str:
        """The table as CSV."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.head)
        writer.writerows(self.table)
        return text.getvalue()

    def write(self, path: Path) -> None:
        """Write the table into a file, in UTF-8.

        Raises:
            SaveError: the file cannot be written.
        """
        replace(path, self.csv().encode(), "table of predictions")

    def as_json(self, out: Path | None) -> dict[str, Any]:
        """The predictions, ready for JSON."""
        made = [
            {"row": name, **dict(zip(self.columns, map(_plain, cells)))}
            for name, cells in zip(self.names, self.predicted)
        ]
        return {
            "run": self.run,
            "output": self.kind,
            "classes": self.classes,
            "rows": self.rows,
            "rows_left_out": self.left_out,
            "out": None if out is None else str(out),
            "predictions": made,
        }


def predict(
    place: Path, path: Path, output: str | None = None, *, threads: int | None = None
) -> Predictions:
    """Predict with a run.

    Args:
        place: its directory, or a checkpoint.
        path: a CSV or NPZ file, an image, or a folder of images.
        output: ``classes``, ``probabilities``, ``logits`` or ``values``; None for
            classes where the network decides, else values.
        threads: of the native engine.

    Raises:
        CheckpointError, DataError, ArgumentError: what cannot be read, or does not fit.
    """
    trained = Trained.load(place, threads)
    trainer = trained.trainer
    x, names = trained.features(path)
    if trained.format_for(path) is DIGITS:
        _warn_of_paper(np.asarray(x[:16]), path)
    missing = gaps.left_out(path, trained.format_for(path), names)
    if missing:
        _warn_of_gaps(missing, len(missing) + len(names))
    decides = output_semantics.is_classification(trainer.loss)
    kind = output or ("classes" if decides else "values")
    made = trainer.predict(x, None if kind == "values" else kind)
    classes = None if trainer.class_names is None else list(trainer.class_names)
    columns, cells = _columns(trained, kind, made, classes)
    if trained.reading(path) == "csv":
        head, rows = _rows(path, trained.format_for(path), names)
    else:
        head = ["file" if trained.reading(path) == "images" else "row"]
        rows = [[name.removeprefix("row ")] for name in names]
    columns = [_free(column, head) for column in columns]
    return Predictions(
        run=trained.name,
        kind=kind,
        head=[*head, *columns],
        table=[[*row, *map(_text, own)] for row, own in zip(rows, cells)],
        columns=columns,
        names=list(names),
        predicted=cells,
        classes=classes if decides else None,
        left_out=missing,
    )


def _columns(
    trained: Trained, kind: str, made: np.ndarray, classes: list[str] | None
) -> tuple[list[str], list[list[Any]]]:
    """The names of the predicted columns, and their cells."""
    flat = made.reshape(len(made), -1)
    cells: list[list[Any]] = flat.tolist()
    count = flat.shape[1]
    if kind == "values":
        targets = (trained.trainer.format or {}).get("target") or ()
        targets = [targets] if isinstance(targets, str) else list(targets)
        if len(targets) == count:
            return [f"predicted {name}" for name in targets], cells
    if kind in ("values", "classes"):
        names = [f"prediction {i + 1}" for i in range(count)]
        return (["prediction"] if count == 1 else names), cells
    word = "probability" if kind == "probabilities" else "logit"
    if count == 1:  # one number says how much class 1 is meant
        return [f"{word} of {classes[-1] if classes else 1}"], cells
    names = classes if classes is not None and len(classes) == count else range(count)
    return [f"{word} of {name}" for name in names], cells


def _rows(
    path: Path, format: dict[str, Any], names: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
    """The column names and the cells of those rows of a CSV file that were read."""
    encoding = format.get("encoding", "utf-8")
    encoding = "utf-8-sig" if encoding.lower().replace("-", "") == "utf8" else encoding
    found: dict[str, list[str]] = {}
    with path.open(encoding=encoding, newline="") as file:
        reader = csv.reader(file, delimiter=format.get("delimiter", ","))
        line = 1
        for row in reader:
            found[f"line {line}"] = row
            line = reader.line_num + 1
    head = next(row for row in found.values() if row)
    if not all(name in found for name in names):  # numbered in another way
        return ["row"], [[name] for name in names]
    return head, [found[name] for name in names]


def _free(name: str, taken: Sequence[str]) -> str:
    """``name``, or with a number where a column has that name already."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name} {number}", number + 1
    return free


def _text(value: Any) -> Any:
    """A cell of the table: numbers with as many digits as float32 has."""
    return f"{value:.7g}" if isinstance(value, float) else value


def _plain(value: Any) -> Any:
    return results.number(value) if isinstance(value, float) else value


def _warn_of_gaps(lines: list[int], rows: int) -> None:
    """Rows without a prediction are named."""
    shown = ", ".join(map(str, lines[:LINES])) + (" …" if len(lines) > LINES else "")
    warn(
        f"{len(lines)} of {rows} rows left out for empty cells: lines {shown}",
        fix='fill the cells in, or train with missing = "mean"',
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
