"""``chainrule evaluate``: loss, metrics and the classes that a run confuses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.metrics import ConfusionMatrix
from chainrule.nn import output_semantics
from chainrule.runs import gaps, results
from chainrule.runs.trained import Trained
from chainrule.runs.values import width

#: More classes than this do not fit side by side: the most frequent mistakes instead.
ACROSS = 12
#: So many mistakes are listed.
MISTAKES = 10


def evaluate(
    place: Path, path: Path | None, *, threads: int | None = None
) -> tuple[dict[str, Any], str]:
    """Measure a run.

    Args:
        place: its directory, or a checkpoint.
        path: the data; None for the run's own test part.
        threads: of the native engine.

    Returns:
        The numbers, ready for JSON, and the same as text.
    """
    trained = Trained.load(place, threads)
    trainer = trained.trainer
    if path is None:
        name, part = trained.own_data()
        where, rows = results.PARTS[name], len(part)
    else:
        part, where = trained.measurable(path), str(path)
        rows = gaps.rows(part)
    if output_semantics.is_classification(trainer.loss):
        trainer = _with_confusion(trained)
    measured = dict(trainer.evaluate(part))
    matrix = measured.pop("confusion_matrix", None)
    result: dict[str, Any] = {
        "run": trained.name,
        "checkpoint": str(trained.place),
        "data": where,
        "samples": len(part),
        "incomplete_rows": rows - len(part),
        **{name: results.number(float(v)) for name, v in measured.items()},
    }
    words = ", ".join(results.worded(n, result[n]) for n in measured)
    lines = [f"{trained.name}: {words} on the {where}"]
    if path is not None:
        lines = [f"{trained.name}: {words} on {where}"]
    lines.append(f"  samples   {len(part):,}{gaps.told(rows - len(part), rows)}")
    if matrix is not None:
        names = _names(trainer.class_names, len(matrix))
        result |= {"classes": names, "confusion_matrix": matrix.tolist()}
        lines += ["", *table(np.asarray(matrix), names)]
    return result, "\n".join(lines)


def _with_confusion(trained: Trained) -> Any:
    """The Trainer, measuring the confusion matrix too."""
    from chainrule.training import Trainer

    trainer = trained.trainer
    metrics = trainer.metrics
    if metrics is None:
        metrics = ("accuracy",)
    if any(isinstance(metric, ConfusionMatrix) for metric in metrics):
        return trainer
    return Trainer.load(
        trained.place,
        metrics=[*metrics, ConfusionMatrix()],
        threads=trainer.threads,
    )


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
    head = "true \\ predicted"
    left = max(width(head), *map(width, names))
    columns = [max(width(n), len(f"{c.max()}")) for n, c in zip(names, matrix.T)]
    lines = ["  ".join([fit(head, left), *map(fit, names, columns)])]
    for name, row in zip(names, matrix):
        cells = (fit(f"{n}", w) for n, w in zip(row, columns))
        lines.append("  ".join([fit(name, left), *cells]))
    return lines


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


def fit(text: str, columns: int) -> str:
    """``text`` at the right of so many columns."""
    return " " * (columns - width(text)) + text
