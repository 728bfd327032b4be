"""``chainrule evaluate``: what a run has learnt, beside what needs no learning."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import data, evaluation, formatting
from chainrule.data import Dataset
from chainrule.errors import visible
from chainrule.evaluation import Baseline, Importance, Mistake
from chainrule.metrics import Metric
from chainrule.runs import gaps, results
from chainrule.runs.trained import Trained
from chainrule.tables import text_table

#: More classes than this do not fit side by side: the most frequent mistakes instead.
ACROSS = 12
#: So many confusions of classes are listed.
MISTAKES = 10
#: So many rows that are most wrong, and so many columns.
WORST, SHOWN = 5, 10


def evaluate(
    place: Path, path: Path | None, *, threads: int | None = None, seed: int = 0
) -> tuple[dict[str, Any], str]:
    """Measure a run: figures beside a baseline, columns by importance, mistakes.

    Args:
        place: its directory, or a checkpoint.
        path: the data; None for the run's own test part.
        threads: of the native engine.
        seed: of the shuffles that tell how important a column is.

    Returns:
        The numbers, ready for JSON, and the same as text.
    """
    trained = Trained.load(place, threads)
    trainer = trained.trainer
    if path is None:
        name, part = trained.own_data()
        where, rows, file = results.PARTS[name], len(part), trained.file_of(name)
    else:
        part, where, file = trained.measurable(path), str(path), path
        rows = gaps.rows(part)
    outputs = trainer.predict(part)
    measured = evaluation.metrics_for(trainer, part, outputs)
    found = dict(trainer.evaluate(part))
    brief = list(found)
    for metric in measured:
        if metric.name not in found:
            found[metric.name] = evaluation.value_of(metric, outputs, part.y)
    matrix = found.pop("confusion_matrix", None)
    single = {n: float(v) for n, v in found.items() if np.ndim(v) == 0}
    beside = evaluation.baseline(trainer, part, outputs, measured)
    ranked = _ranked(trainer, part, measured, seed)
    told = _Told.of(trainer, part, file)
    worst = evaluation.mistakes(trainer, part, outputs, WORST)
    shown = told.mistakes(worst)
    classes = None if matrix is None else _names(trainer.class_names, len(matrix))
    result: dict[str, Any] = {
        "run": trained.name,
        "checkpoint": str(trained.place),
        "data": where,
        "target": told.target,
        "samples": len(part),
        "incomplete_rows": rows - len(part),
        **{name: results.number(v) for name, v in single.items()},
        "baseline": None if beside is None else _plain(beside, classes),
        "importance": [vars(item) for item in ranked],
        "importance_of": measured[0].name if ranked else None,
        "mistakes": shown,
    }
    words = ", ".join(results.worded(n, result[n]) for n in brief if n in single)
    on = f"the {where}" if path is None else where
    lines = [f"{trained.name}: {words} on {on}"]
    lines.append(f"  samples   {len(part):,}{gaps.told(rows - len(part), rows)}")
    lines += ["", *_beside(single, beside, classes)]
    if ranked:
        lines += ["", *_columns(ranked, measured[0].name)]
    if shown:
        lines += ["", *_rows(shown, told)]
    if matrix is not None and classes is not None:
        result |= {"classes": classes, "confusion_matrix": matrix.tolist()}
        lines += ["", *table(np.asarray(matrix), classes)]
    return result, "\n".join(lines)


def _ranked(
    trainer: Any, part: Dataset, measured: Sequence[Metric], seed: int
) -> list[Importance]:
    """The columns by what the first metric loses without them."""
    if not measured or not measured[0].scalar:
        return []
    return evaluation.permutation_importance(trainer, part, measured[0], seed=seed)


def _plain(beside: Baseline, classes: Sequence[str] | None) -> dict[str, Any]:
    """A baseline, ready for JSON."""
    values = {name: results.number(v) for name, v in beside.values.items()}
    return {"answer": _answer(beside, classes), **values}


def _answer(beside: Baseline, classes: Sequence[str] | None) -> str:
    """``always the mean, 352.1``, or ``always cat``."""
    if isinstance(beside.says, int):
        name = str(beside.says) if classes is None else classes[beside.says]
        return f"always {name}"
    mean = ", ".join(formatting.number(v) for v in beside.says[:3])
    return f"always the mean, {mean}" + ", …" * (len(beside.says) > 3)


def _beside(
    single: Mapping[str, float], beside: Baseline | None, classes: Sequence[str] | None
) -> list[str]:
    """Each figure, and beside it what one answer for all rows gets."""
    against = {} if beside is None else beside.values
    head = ["", "this run", *([] if beside is None else [_answer(beside, classes)])]
    rows = [
        [name, formatting.measure(name, value)]
        + ([] if beside is None else [formatting.measure(name, against.get(name))])
        for name, value in single.items()
    ]
    return _indented([head, *rows])


def _columns(ranked: Sequence[Importance], metric: str) -> list[str]:
    """The most important columns, with three digits of the first."""
    most = max(abs(ranked[0].mean), ranked[0].std) or 1.0
    decimals = max(0, 2 - math.floor(math.log10(most)))
    shown = [
        [item.column, f"{item.mean:,.{decimals}f}", f"± {item.std:,.{decimals}f}"]
        for item in ranked[:SHOWN]
    ]
    more = len(ranked) - len(shown)
    head = f"What {metric} loses when a column is shuffled:"
    rest = [f"  and {more} columns more, each with less"] if more else []
    return [head, *_indented(shown), *rest]


def _rows(shown: Sequence[Mapping[str, Any]], told: _Told) -> list[str]:
    """The worst mistakes, with what stands in their rows."""
    lines = ["The worst mistakes:"]
    for item in shown:
        where = f"line {item['line']}" if "line" in item else f"row {item['row']}"
        true, said = (told.value(item[key]) for key in ("truth", "predicted"))
        cells = ", ".join(f"{k} = {v}" for k, v in item["cells"].items())
        line = f"  {where}: {told.target} {true}, predicted {said}"
        lines.append(fitted(visible(line)))
        if cells:
            lines.append(fitted(visible(f"    {cells}")))
    return lines


def fitted(text: str, columns: int = 96) -> str:
    """``text``, cut where it is longer than a line.

    >>> fitted("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= columns else text[: columns - 1] + "…"


def _indented(rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"  {line}".rstrip() for line in text_table(rows, left=1)]


@dataclass(frozen=True)
class _Told:
    """What the rows of the data are called.

    Attributes:
        part: the data.
        target: the name of what is predicted.
        names: of the classes, or None.
        file: that the rows come from, or None.
    """

    part: Dataset
    target: str
    names: Sequence[str] | None
    file: Path | None

    @classmethod
    def of(cls, trainer: Any, part: Dataset, file: Path | None) -> _Told:
        """Of a run's Trainer."""
        target = (trainer.format or {}).get("target") or "target"
        if not isinstance(target, str):
            target = ", ".join(target)
        return cls(part, target, trainer.class_names, file)

    def value(self, given: Any) -> str:
        """A class by its name, quantities as numbers."""
        if isinstance(given, str):
            return given
        return ", ".join(formatting.number(v) for v in given)

    def mistakes(self, worst: Sequence[Mistake]) -> list[dict[str, Any]]:
        """Each mistake with its line and the cells of its row."""
        rows = [item.row for item in worst]
        lines, cells = self._lines(rows), self._cells(rows)
        made: list[dict[str, Any]] = []
        for i, item in enumerate(worst):
            found: dict[str, Any] = {"row": item.row}
            if lines is not None:
                found["line"] = lines[i]
            found |= {
                "truth": self._named(item.truth),
                "predicted": self._named(item.predicted),
                "cost": results.number(item.cost),
                "cells": cells[i],
            }
            made.append(found)
        return made

    def _named(self, given: int | list[float]) -> Any:
        if not isinstance(given, int):
            return given
        known = self.names is not None and given < len(self.names)
        return self.names[given] if known and self.names else str(given)

    def _lines(self, rows: Sequence[int]) -> list[int] | None:
        """The lines of rows in their file, where a reader has kept them."""
        lines = self.part.lines
        return None if lines is None else [int(lines[row]) for row in rows]

    def _cells(self, rows: Sequence[int]) -> list[dict[str, str]]:
        """What stands in rows: as their file has it, else as their features tell."""
        lines, format = self._lines(rows), self.part.format
        if lines is not None and self.file is not None and format is not None:
            found = data.rows_of(self.file, format, lines)
            known = evaluation.columns_of(self.part)
            return [{k: v for k, v in row.items() if k in known} for row in found]
        return [evaluation.cells_of(self.part, row) for row in rows]


def _names(names: Sequence[str] | None, count: int) -> list[str]:
    """The classes' names, or their numbers."""
    if names is not None and len(names) == count:
        return list(names)
    return [str(i) for i in range(count)]


def table(matrix: np.ndarray, names: Sequence[str]) -> list[str]:
    """A confusion matrix as lines of text; of many classes the commonest mistakes.

    >>> print(*table(np.array([[5, 1], [0, 4]]), ["cat", "狗"]), sep="\\n")
    true \\ predicted  cat  狗
                 cat    5   1
                  狗    0   4
    """
    if len(names) > ACROSS:
        return _mistakes(matrix, names)
    rows = [[name, *map(str, row)] for name, row in zip(names, matrix.tolist())]
    return text_table([["true \\ predicted", *names], *rows])


def _mistakes(matrix: np.ndarray, names: Sequence[str]) -> list[str]:
    """``cat taken for dog  12 times``."""
    wrong = matrix * (1 - np.eye(len(matrix), dtype=matrix.dtype))
    order = np.argsort(-wrong, axis=None, kind="stable")[:MISTAKES]
    lines = [f"The commonest mistakes of {len(names)} classes:"]
    for place in order.tolist():
        true, taken = divmod(place, len(names))
        if count := int(wrong[true, taken]):
            lines.append(f"  {count:6}  {names[true]} taken for {names[taken]}")
    return lines if len(lines) > 1 else ["There are no mistakes."]
