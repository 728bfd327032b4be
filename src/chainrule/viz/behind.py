"""Tables behind charts: the numbers that are drawn, for readers and for copying.

A table stands beside the function that draws, as its sentence does (:mod:`.seen`), and
is made from what is drawn. Long ones are thinned: rows are left out, and no number is
made up, averaged or moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.graph.node import Array
from chainrule.text import tr, translated
from chainrule.text.numbers import number

#: Rows of a table, or points of each curve in it, at most.
ROWS = 60
#: Rows and columns of a matrix that is shown as a table, at most.
CELLS = 30


@dataclass(frozen=True)
class Behind:
    """The table of the numbers behind a chart.

    Attributes:
        head: of its columns.
        rows: texts; the first of each is what the row is about.
        note: how rows were chosen; empty: all are there.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def chosen(count: int) -> list[int]:
    """Return the rows of a table that are shown: evenly chosen, both ends among them.

    >>> chosen(3), len(chosen(1000)), chosen(1000)[-1]
    ([0, 1, 2], 60, 999)
    """
    picked = np.linspace(0, count - 1, min(count, ROWS)).round().astype(int)
    return picked.tolist()


def thinned(shown: int, count: int) -> str:
    """Return the sentence that says which rows of a table are shown."""
    if shown == count:
        return ""
    return tr(
        "{shown} of {all} rows, evenly chosen, the first and the last among them; each"
        " number is that of its row, none is a mean of several.",
        shown=number(shown),
        all=number(count),
    )


def of_steps(steps: Mapping[str, Array], across: str, up: str) -> Behind:
    """Return the table behind curves of one number a step, counted from 1.

    Args:
        steps: the numbers of each curve by its name; all have the same length.
        across: what is counted.
        up: what a single curve without a name is.
    """
    count = max(map(len, steps.values()))
    picked = chosen(count)
    rows = [
        [number(i + 1), *(number(float(values[i])) for values in steps.values())]
        for i in picked
    ]
    head = [across, *(name or up for name in steps)]
    return Behind(head, rows, thinned(len(rows), count))


def of_lines(
    curves: Mapping[str, Any], *, across: str = "", up: str = "", log: Any = None
) -> Behind:
    """Return the table behind a line chart: a row for each place, a column a curve."""
    places: set[float] = set()
    known: dict[str, dict[float, Any]] = {}
    dense = 0
    for name, curve in curves.items():
        x, y = curve if isinstance(curve, tuple) else (1 + np.arange(len(curve)), curve)
        x = [float(at) for at in x]
        known[name] = dict(zip(x, y))
        dense = max(dense, len(known[name]))
        sparse = [*known[name]]
        places.update(sparse[i] for i in chosen(len(sparse)))
    rows = [
        [
            number(int(at) if at.is_integer() else at),
            *(_cell(values.get(at)) for values in known.values()),
        ]
        for at in sorted(places)
    ]
    head = [translated(across), *map(translated, curves)]
    note = (
        "" if dense <= ROWS else thinned(len(rows), len(set().union(*known.values())))
    )
    return Behind(head, rows, note)


def of_bars(values: Mapping[str, float], *, across: str = "", low: Any = 0.0) -> Behind:
    """Return the table behind a bar chart: a row a bar."""
    rows = [[translated(name), number(value)] for name, value in values.items()]
    return Behind(["", translated(across)], rows)


def of_heat(
    matrix: Any,
    *,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    across: str = "",
    up: str = "",
    signed: bool = False,
    numbers: str = "",
) -> Behind | None:
    """Return the table behind a matrix in colours, or None for a large one."""
    written, (high, wide) = np.asarray(matrix), np.shape(matrix)
    if max(high, wide) > CELLS:
        return None
    corner = f"{translated(up)} ↓ {translated(across)} →" if across or up else ""
    head = [translated(name) for name in columns] or [str(j) for j in range(wide)]
    names = [translated(name) for name in rows] or [str(i) for i in range(high)]
    body = [[name, *map(number, line.tolist())] for name, line in zip(names, written)]
    return Behind([corner, *head], body)


def of_points(
    places: Any, labels: Any, *, names: Any = (), across: str = "", up: str = ""
) -> Behind:
    """Return the table behind a scatter plot: its points, each with its class."""
    places, labels = np.asarray(places, float), np.asarray(labels)
    picked = chosen(len(places))
    rows = [
        [
            translated(names[int(labels[i])]) if len(names) else str(labels[i]),
            *map(number, places[i].tolist()),
        ]
        for i in picked
    ]
    head = [tr("class"), translated(across) or "1", translated(up) or "2"]
    return Behind(head, rows, thinned(len(rows), len(places)))


def of_returns(episodes: Any, *, width: int = 50) -> Behind:
    """Return the table behind an agent's returns: its episodes."""
    episodes = np.asarray(episodes, float)
    picked = chosen(len(episodes))
    rows = [
        [number(i + 1), number(int(episodes[i, 0])), number(float(episodes[i, 1]))]
        for i in picked
    ]
    head = [tr("episode"), tr("step in the environment"), tr("return of an episode")]
    return Behind(head, rows, thinned(len(rows), len(episodes)))


def _cell(value: Any) -> str:
    return (
        ""
        if value is None
        else number(value if isinstance(value, int) else float(value))
    )
