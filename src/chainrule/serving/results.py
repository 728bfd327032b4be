"""Outputs of a program as the rows of an answer, in JSON or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.compilation.portable.loaded import LoadedProgram
from chainrule.graph.node import Array
from chainrule.runs.predicting import harmless
from chainrule.serving.rows import Rows


def named(program: LoadedProgram, outputs: Sequence[Array]) -> dict[str, Any]:
    """Return the outputs of some rows by name, with the names of classes."""
    found: dict[str, Any] = {}
    classes = classes_of(program)
    for name, array in zip(program.outputs, outputs):
        values = array.tolist()
        if name == "classes" and classes and array.ndim == 1:
            values = [_class(classes, i) for i in values]
        found[name] = values
    return found


def classes_of(program: LoadedProgram) -> list[str]:
    """Return the names of a program's classes; none where its metadata have others."""
    classes: Any = program.metadata.get("classes")
    decided = program.outputs.get("classes")
    right = isinstance(classes, list) and all(isinstance(c, str) for c in classes)
    if not right or (decided is not None and decided.dtype.is_float):
        return []
    return classes


def _class(classes: list[str], code: int) -> str | int:
    """Return the name of a class, or its number where it has none."""
    code = max(code, 0)  # a sign is −1 or 1
    return classes[code] if code < len(classes) else code


def said_of(rows: Rows, columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return results with the warnings of each row, if any row has some."""
    if not rows.warnings:
        return columns
    name, number = "warnings", 2
    while name in columns:
        name, number = f"warnings {number}", number + 1
    said = [rows.warnings.get(i, []) for i in range(rows.count)]
    return {
        **columns,
        name: ["; ".join(s) for s in said] if rows.form == "csv" else said,
    }


def answer(columns: Mapping[str, list[Any]], form: str) -> Any:
    """Return results in the form of the request."""
    if form == "columns":
        return columns
    rows = [dict(zip(columns, values)) for values in zip(*columns.values())]
    return rows[0] if form == "row" else rows


def as_csv(program: LoadedProgram, columns: Mapping[str, list[Any]]) -> str:
    """Return results as a CSV text: a line a row, several numbers in several cells."""
    classes = classes_of(program)
    head: list[str] = []
    cells: list[Iterable[Any]] = []
    for name, values in columns.items():
        if not isinstance(values[0], list):
            head.append(name)
            cells.append(values)
            continue
        flat = np.asarray(values).reshape(len(values), -1)
        few = flat.shape[1] == len(classes)
        parts = classes if few else range(flat.shape[1])
        head += [f"{name} {part}" for part in parts]
        cells += flat.T.tolist()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(harmless(head))
    writer.writerows(harmless([*map(str, row)]) for row in zip(*cells))
    return text.getvalue()
