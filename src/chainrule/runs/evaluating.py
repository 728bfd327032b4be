"""``chainrule evaluate``: a run's metrics compared with a constant baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import data
from chainrule.data import Dataset
from chainrule.metrics import evaluation
from chainrule.metrics.evaluation import Baseline, Importance, Mistake
from chainrule.runs import results, source
from chainrule.runs.trained import Trained
from chainrule.text import ngettext, numbers, tr
from chainrule.text.tables import shorten, text_table
from chainrule.training import Devices
from chainrule.training.history import called

#: More classes than this do not fit side by side: the most frequent mistakes instead.
ACROSS = 12
#: So many confusions of classes are listed.
MISTAKES = 10
#: So many rows that are most wrong, and so many columns.
WORST, SHOWN = 5, 10
#: The longest line about a mistake.
LINE = 96


def evaluate(
    place: Path,
    path: Path | None,
    *,
    threads: int | None = None,
    devices: Devices | None = None,
    seed: int = 0,
) -> tuple[dict[str, Any], str]:
    """Evaluate a run: metrics and baseline, importance of columns, worst mistakes.

    Args:
        place: its directory, or a checkpoint.
        path: the data; None for the run's own test part.
        threads: of the native engine.
        devices: of the engine xla, a number or ``"all"``.
        seed: of the shuffles that tell how important a column is.

    Returns:
        The numbers, and the same as text.
    """
    trained = Trained.load(place, threads=threads, devices=devices)
    trainer = trained.trainer
    if path is None:
        name, part, file = trained.own_data()
        data_name, rows = results.PARTS[name], len(part)
    else:
        part, data_name, file = trained.measurable(path), str(path), path
        rows = source.rows_of(part)
    outputs = trainer.predict(part)
    measured = evaluation.metrics_for(trainer, part, outputs)
    brief = trainer.evaluate(part)
    figures = {**brief}
    for metric in measured:
        if metric.name not in figures:
            figures[metric.name] = evaluation.value_of(metric, outputs, part.y)
    matrix = figures.pop("confusion_matrix", None)
    single = {n: float(v) for n, v in figures.items() if np.ndim(v) == 0}
    baseline = evaluation.baseline(trainer, part, outputs, measured)
    ranked: list[Importance] = []
    if measured and measured[0].scalar:
        ranked = evaluation.permutation_importance(
            trainer, part, measured[0], seed=seed
        )
    wrong = evaluation.mistakes(trainer, part, outputs, WORST)
    worst = _mistakes(part, trainer.class_names, file, wrong)
    targets = (trainer.format or {}).get("target") or "target"
    target = targets if isinstance(targets, str) else ", ".join(targets)
    classes = None if matrix is None else _names(trainer.class_names, len(matrix))
    answer = None if baseline is None else _answer(baseline, classes)
    result: dict[str, Any] = {
        "run": trained.name,
        "checkpoint": str(trained.place),
        "data": str(data_name),
        "target": target,
        "samples": len(part),
        "incomplete_rows": rows - len(part),
        **single,
        "baseline": None if baseline is None else {"answer": answer, **baseline.values},
        "importance": [vars(item) for item in ranked],
        "importance_of": measured[0].name if ranked else None,
        "mistakes": worst,
    }
    values = (results.format_metric(n, single[n]) for n in brief if n in single)
    names = {"run": trained.name, "words": tr(", ").join(values)}
    lines = [
        tr("{run}: {words} on the {part}", part=data_name, **names)
        if path is None
        else tr("{run}: {words} on {file}", file=data_name, **names)
    ]
    count = f"{len(part):,}{results.omitted(rows - len(part), rows)}"
    lines.append(tr("  samples   {count}", count=count))
    lines += ["", *_comparison(single, baseline, answer)]
    if ranked:
        lines += ["", *_columns(ranked, measured[0].name)]
    if worst:
        lines += ["", *_rows(worst, target)]
    if matrix is not None and classes is not None:
        result |= {"classes": classes, "confusion_matrix": matrix}
        lines += ["", *table(np.asarray(matrix), classes)]
    return result, "\n".join(lines)


def _answer(baseline: Baseline, classes: Sequence[str] | None) -> str:
    """Describe a baseline's constant answer, such as ``always the mean, 352.1``.

    Or ``always cat``.
    """
    if isinstance(baseline.says, int):
        name = str(baseline.says) if classes is None else classes[baseline.says]
        return tr("always {answer}", answer=name)
    mean = ", ".join(numbers.number(v) for v in baseline.says[:3])
    return tr("always the mean, {mean}", mean=mean) + ", …" * (len(baseline.says) > 3)


def _names(names: Sequence[str] | None, count: int) -> list[str]:
    """Return the names of the classes for a report, or their numbers as texts."""
    if names is not None and len(names) == count:
        return list(names)
    return [str(i) for i in range(count)]


def _mistakes(
    part: Dataset,
    names: Sequence[str] | None,
    file: Path | None,
    worst: Sequence[Mistake],
) -> list[dict[str, Any]]:
    """Return the worst mistakes of an evaluation, with line numbers and cells.

    They are as the file has them where its lines are known, else as the features tell.
    """
    known, format = part.lines is not None and file is not None, part.format
    lines = [] if part.lines is None else part.lines[[m.row for m in worst]].tolist()
    if known and format is not None:
        columns = {column["name"] for column in format["columns"]}
        rows = data.rows_of(file, format, lines)
        cells = [{k: v for k, v in row.items() if k in columns} for row in rows]
    else:
        cells = [evaluation.cells_of(part, item.row) for item in worst]

    def named(target: int | list[float]) -> Any:
        if not isinstance(target, int):
            return target
        return names[target] if names and target < len(names) else str(target)

    return [
        {
            "row": item.row,
            **({"line": lines[i]} if lines else {}),
            "truth": named(item.truth),
            "predicted": named(item.predicted),
            "cost": item.cost,
            "cells": cells[i],
        }
        for i, item in enumerate(worst)
    ]


# -- as text ---------------------------------------------------------------------------


def _comparison(
    single: Mapping[str, float], baseline: Baseline | None, answer: str | None
) -> list[str]:
    """Return a text table of an evaluation's metrics beside those of the baseline."""
    rows = [["", tr("this run")]]
    rows += [[called(name), numbers.measure(name, v)] for name, v in single.items()]
    if baseline is not None:
        for row, name in zip(rows, ["", *single]):
            against = numbers.measure(name, baseline.values.get(name))
            row.append(against if name else str(answer))
    return _indented(rows)


def _columns(ranked: Sequence[Importance], metric: str) -> list[str]:
    """Return a text table of the most important columns of an evaluation."""
    most = max(abs(ranked[0].mean), ranked[0].std) or 1.0
    decimals = max(0, 2 - math.floor(math.log10(most)))
    shown = [
        [item.column, f"{item.mean:,.{decimals}f}", f"± {item.std:,.{decimals}f}"]
        for item in ranked[:SHOWN]
    ]
    more = len(ranked) - len(shown)
    head = tr("What {metric} loses when a column is shuffled:", metric=called(metric))
    rest = (
        [
            tr(
                ngettext(
                    "  and {n} column more, with less",
                    "  and {n} columns more, each with less",
                    n=more,
                )
            )
        ]
        if more
        else []
    )
    return [head, *_indented(shown), *rest]


def _rows(worst: Sequence[Mapping[str, Any]], target: str) -> list[str]:
    """Return text lines about the worst mistakes of an evaluation."""
    lines = [tr("The worst mistakes:")]
    for item in worst:
        position = tr("row {row}", row=item["row"])
        if "line" in item:
            position = tr("line {line}", line=item["line"])
        true, predicted = (
            value if isinstance(value, str) else ", ".join(map(numbers.number, value))
            for value in (item["truth"], item["predicted"])
        )
        cells = ", ".join(f"{k} = {v}" for k, v in item["cells"].items())
        line = tr(
            "  {where}: {target} {true}, predicted {said}",
            where=position,
            target=target,
            true=true,
            said=predicted,
        )
        lines.append(shorten(line, LINE))
        if cells:
            lines.append(shorten(f"    {cells}", LINE))
    return lines


def _indented(rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"  {line}".rstrip() for line in text_table(rows, left=1)]


def table(matrix: np.ndarray, names: Sequence[str]) -> list[str]:
    """Return a confusion matrix as text; for many classes, frequent mistakes.

    >>> print(*table(np.array([[5, 1], [0, 4]]), ["cat", "狗"]), sep="\\n")
    true \\ predicted  cat  狗
                 cat    5   1
                  狗    0   4
    """
    if len(names) <= ACROSS:
        rows = [[name, *map(str, row)] for name, row in zip(names, matrix.tolist())]
        return text_table([[tr("true \\ predicted"), *names], *rows])
    wrong = matrix * (1 - np.eye(len(matrix), dtype=matrix.dtype))
    order = np.argsort(-wrong, axis=None, kind="stable")[:MISTAKES]
    lines = [tr("The commonest mistakes of {count} classes:", count=len(names))]
    for index in order.tolist():
        true, predicted = divmod(index, len(names))
        if count := int(wrong[true, predicted]):
            pair = {"true": names[true], "said": names[predicted]}
            what = tr("{true} taken for {said}", **pair)
            lines.append(f"  {count:6}  {what}")
    return lines if len(lines) > 1 else [tr("There are no mistakes.")]
