"""The tables of a clinic: what a patient shows of one thing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from chainrule.text import tr
from chainrule.text.numbers import number, percent
from chainrule.text.tables import Table


def _of_losses(run: Mapping[str, Any]) -> Table:
    head = tr("epoch"), tr("training loss"), tr("test loss"), tr("accuracy")
    rows = [
        (
            str(i + 1),
            number(row["train_loss"]),
            number(row["validation_loss"]),
            percent(row["accuracy"], 1),
        )
        for i, row in enumerate(run["epochs"])
    ]
    return [head, *rows]


def _of_gradients(run: Mapping[str, Any]) -> Table:
    head = tr("weights"), tr("at the first step"), tr("at the last")
    rows = [
        (row["layer"], number(row["first"]), number(row["last"]))
        for row in run["gradients"]
    ]
    return [head, *rows]


def _of_activations(run: Mapping[str, Any]) -> Table:
    head = tr("layer"), tr("at the first step"), tr("at the last"), tr("dead units")
    rows = [
        (
            row["layer"],
            number(row["first"]),
            number(row["last"]),
            percent(run["dead"][row["layer"]], 0),
        )
        for row in run["activations"]
    ]
    return [head, *rows]


def _of_weights(run: Mapping[str, Any]) -> Table:
    head = tr("weights"), tr("std"), tr("least"), tr("greatest"), "‖ΔW‖/‖W‖"
    rows = [
        (
            row["layer"],
            *(number(row[k]) for k in ("std", "least", "greatest")),
            number(row["update"]) if math.isfinite(row["update"]) else "–",
        )
        for row in run["weights"]
    ]
    return [head, *rows]


def _of_data(run: Mapping[str, Any]) -> Table:
    found = run["data"]
    words = {
        "rows": tr("rows"),
        "columns": tr("columns"),
        "least": tr("least number"),
        "greatest": tr("greatest number"),
        "mean": tr("mean"),
        "std": tr("std"),
    }
    rows = [(words[k], number(found[k])) for k in words]
    classes = tr(", ").join(map(str, found["classes"]))
    return [(tr("inputs"), ""), *rows, (tr("rows of each class"), classes)]


def _of_outputs(run: Mapping[str, Any]) -> Table:
    outputs = run["outputs"]
    head = tr("row"), *map(str, range(len(outputs[0]))), tr("sum")
    rows = [
        (str(i + 1), *(number(v, 2) for v in row), number(sum(row)))
        for i, row in enumerate(outputs)
    ]
    return [head, *rows]


def _of_program(run: Mapping[str, Any]) -> Table:
    return [(tr("program"),), *((line,) for line in run["program"].splitlines())]


TABLES: dict[str, Callable[[Mapping[str, Any]], Table]] = {
    "loss": _of_losses,
    "gradients": _of_gradients,
    "activations": _of_activations,
    "weights": _of_weights,
    "data": _of_data,
    "outputs": _of_outputs,
    "program": _of_program,
}
