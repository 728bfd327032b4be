"""``/explain``: a training step of a run on one row of a request."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic_core import from_json

from chainrule.data import Dataset
from chainrule.data.tables.columns import Classes, InvalidCellError
from chainrule.errors import ArgumentError
from chainrule.explanation import Explanation, explain
from chainrule.graph.node import Array
from chainrule.runs import exporting, source
from chainrule.runs.trained import Trained
from chainrule.serving.model import Served
from chainrule.serving.results import classes_of
from chainrule.serving.rows import RowError, TableReader, cells_of
from chainrule.tensor import tensor
from chainrule.text import _

#: A model is put into another mode while it is traced.
_one_at_a_time = threading.Lock()


def explained(served: Served, trained: Trained, body: bytes) -> Explanation:
    """Explain a training step of a run on one row of JSON.

    The truth is the row's target (its column, or ``y`` beside arrays); without one,
    what the network predicts. What is odd about the row's cells is among the notes.

    Raises:
        RowError: rows that do not fit, or several.
    """
    trainer = trained.trainer
    rows = served.reader.from_json(body)
    if rows.count != 1:
        got = str(rows.count)
        raise RowError.at(_("One row is explained at a time."), _("one row"), got)
    content: Any = from_json(body)
    row = content[0] if isinstance(content, list) else content
    y = _target(served, row)
    if y is None:
        found = dict(zip(served.program.outputs, served.predict(rows.arrays, 1)))
        y = found.get("classes", found.get("values"))
    if y is None:
        raise RowError.at(
            _("The row has no target, and the network decides nothing."),
            ", ".join(served.reader.optional),
            _("none"),
        )
    features = exporting.front_of(trained).features
    given = {n: tensor(a) for n, a in zip(served.program.inputs, rows.arrays)}
    x: Any = features(**given)
    x = {k: v.numpy() for k, v in x.items()} if isinstance(x, dict) else x.numpy()
    whole = Dataset(x, y, class_names=trainer.class_names)
    data = source.for_loss(whole, trainer.loss).rows([0])
    explanation = explain(
        trainer.model, data.x, data.y, trainer.loss, trainer.optimizer
    )
    notes = (*explanation.notes, *rows.warnings.get(0, ()))
    return replace(explanation, notes=notes)


def shown(served: Served, trained: Trained, body: bytes, html: bool) -> Any:
    """Return the explanation of one row as a page, or as JSON data."""
    with _one_at_a_time:
        explanation = explained(served, trained, body)
    return explanation.to_html() if html else explanation.to_json()


def nothing_to_explain(served: Served) -> ArgumentError:
    """Return the error for a program file, which has no loss."""
    return ArgumentError(
        _("A program file has no loss, so there is no step to explain."),
        expected=_("the directory of a run"),
        got=served.name,
        fix="chainrule serve RUN",
    )


def _target(served: Served, row: dict[str, Any]) -> Array | None:
    """Return the target that stands in a row; None where there is none."""
    reader = served.reader
    names = [name for name in reader.optional if name in row]
    if not names or len(names) < len(reader.optional):
        return None
    if not isinstance(reader, TableReader):
        value = row[names[0]]
        classes = classes_of(served.program)
        value = classes.index(value) if value in classes else value
        try:
            y = np.asarray(value if isinstance(value, list) else [value])
        except ValueError:
            y = np.asarray(None)
        if y.dtype.kind not in "biuf":
            raise RowError.at(
                _("The target does not fit."),
                ", ".join(classes) or _("a number"),
                f"{value!r:.40}",
                column=names[0],
            )
        return y
    columns: list[Array] = []
    for target in reader.schema.targets:
        truths = isinstance(target, Classes)
        cells = cells_of(target.name, [row[target.name]], truths=truths)
        try:
            columns.append(target.encode(cells, reader.marks).values)
        except InvalidCellError as error:
            raise RowError.at(
                _("A cell of the column {name!r} does not fit.", name=target.name),
                error.expected,
                repr(error.text)[:80],
                column=target.name,
            ) from error
    return columns[0] if columns[0].ndim == 1 else np.concatenate(columns, axis=1)
