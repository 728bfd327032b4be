"""Windows of a time series: views of its rows, with the rows that follow as targets.

    rows      0 1 2 3 4 5 6 7 …        length 3, horizon 2
    window 0  x x x y y
    window 1    x x x y y              with stride 1

Training rows are gathered from the series, so its windows take no memory of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule.data.checks import check_finite, check_rounding, numbers, shortened
from chainrule.data.column import Column
from chainrule.data.frames import Columns
from chainrule.data.tables.cells import ISO, dated
from chainrule.data.tables.source import require
from chainrule.errors import ArgumentError, DataError
from chainrule.text import _, ngettext
from chainrule.util import validation


@dataclass(frozen=True)
class Windows:
    """The windows that the rows of a data set are.

    Attributes:
        length: the number of rows of a window.
        horizon: the number of following rows that are predicted.
        columns: the names of what a window holds, or None.
        targets: the names of what is predicted, or None.
        starts: the row of its series on which each window begins.
        groups: the number of the series of each window.
    """

    length: int
    horizon: int
    columns: tuple[str, ...] | None
    targets: tuple[str, ...] | None
    starts: np.ndarray
    groups: np.ndarray

    @property
    def format(self) -> dict[str, Any] | None:
        """The names of columns and targets, as a Trainer keeps them."""
        if self.columns is None or self.targets is None:
            return None
        names = {"columns": list(self.columns), "targets": list(self.targets)}
        return {"kind": "windows", **names}

    def part(self, rows: Any) -> Windows:
        """Return the description of some windows."""
        fields = {
            **vars(self),
            "starts": self.starts[rows],
            "groups": self.groups[rows],
        }
        return Windows(**fields)

    def halves(self, share: float, gap: int) -> tuple[Any, Any]:
        """Split windows by time, so that the second half's targets come later.

        Of each series the first share of windows is the first part. Those of the second
        begin to predict ``gap`` rows, or more, behind the last row that a window of the
        first part holds or predicts.

        Raises:
            ArgumentError: one part is empty.
        """
        first = np.zeros(len(self.starts), bool)
        second = first.copy()
        for group in np.unique(self.groups):
            of = np.flatnonzero(self.groups == group)
            of = of[np.argsort(self.starts[of], kind="stable")]
            count = round(share * len(of))
            first[of[:count]] = True
            end = 0
            if count:
                end = self.starts[of[count - 1]] + self.length + self.horizon + gap
            later = self.starts[of] + self.length >= end
            later[:count] = False
            second[of[later]] = True
        if not first.any() or not second.any():
            raise ArgumentError(
                _("One part of the windows would be empty."),
                expected=ngettext(
                    "{n} row and more between the parts",
                    "{n} rows and more between the parts",
                    n=self.horizon - 1 + gap,
                ),
                got=_(
                    "{first} and {second} windows",
                    first=first.sum(),
                    second=second.sum(),
                ),
                fix=_("a smaller gap, shorter windows, or a longer series"),
            )
        return _rows(first), _rows(second)


def check_columns(format: Any, trained: Any) -> None:
    """Refuse windows whose columns or targets are not those of training.

    Args:
        format: of the windows.
        trained: the format of the data that were trained on.
    """
    if any((known or {}).get("kind") != "windows" for known in (format, trained)):
        return
    for what in ("columns", "targets"):
        if format[what] != trained[what]:
            raise DataError(
                _("The windows have other {what} than those of training.", what=what),
                expected=shortened(", ".join(trained[what]), 200),
                got=shortened(", ".join(format[what]), 200),
                fix=f"Dataset.windows(frame[[…]], …, targets={trained['targets']!r})",
            )


def _rows(chosen: np.ndarray) -> Any:
    """Return chosen rows as a slice, where they are in a row: a view and no copy."""
    rows = np.flatnonzero(chosen)
    if rows[-1] - rows[0] + 1 == len(rows):
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


@dataclass(frozen=True)
class Cut:
    """Windows that are cut from a series: features, targets, and what they are.

    Attributes:
        x: of shape (windows, length, columns).
        y: of shape (windows, targets); (windows, horizon) for a horizon above 1 and
            one target, (windows, horizon, targets) for several.
        lines: the row of the first target.
        windows: what the rows are.
    """

    x: np.ndarray
    y: np.ndarray
    lines: np.ndarray
    windows: Windows


def cut(
    series: Any,
    length: int,
    *,
    horizon: int,
    stride: int,
    targets: Any,
    group: Any,
    time: Any,
) -> Cut:
    """Cut a series into windows; see :meth:`chainrule.data.Dataset.windows`."""
    length = validation.whole("length", length)
    horizon = validation.whole("horizon", horizon)
    stride = validation.whole("stride", stride)
    values, names, labels, times = _series(series, group, time)
    columns = _targets(targets, names, values.shape[1])
    order = np.argsort(labels, kind="stable")  # the rows of each series together
    check_finite(Column(values), "series")
    bounds = np.flatnonzero(np.diff(labels[order], prepend=-1, append=-2))
    if len(bounds) > 2 or (order[1:] < order[:-1]).any():
        values = values[order]
    xs, ys, starts, groups = [], [], [], []
    for number, (low, high) in enumerate(pairwise(bounds)):
        if times is not None:
            _check_order(times[order[low:high]], time, order[low:high])
        if high - low < length + horizon:
            continue
        rows = values[low:high]
        x = np.lib.stride_tricks.sliding_window_view(rows, length, axis=0)
        y = np.lib.stride_tricks.sliding_window_view(rows[length:], horizon, axis=0)
        xs.append(x[: len(y) : stride].transpose(0, 2, 1))
        ys.append(y[::stride].transpose(0, 2, 1)[..., columns])
        starts.append(np.arange(0, len(y), stride))
        groups.append(np.full(len(starts[-1]), number))
    if not xs:
        longest = int(np.diff(bounds).max(initial=0))
        raise DataError(
            _("The series is shorter than a window and what it predicts."),
            expected=ngettext(
                "{n} row at least", "{n} rows at least", n=length + horizon
            ),
            got=ngettext("{n} row", "{n} rows", n=longest),
            fix=_("a smaller length or horizon"),
        )
    x = xs[0] if len(xs) == 1 else np.concatenate(xs)
    y = ys[0] if len(ys) == 1 else np.concatenate(ys)
    if horizon == 1:
        y = y[:, 0]
    elif len(columns) == 1:
        y = y[..., 0]
    kept = Windows(
        length,
        horizon,
        names,
        None if names is None else tuple(names[i] for i in columns),
        np.concatenate(starts),
        np.concatenate(groups),
    )
    lines = order[bounds[kept.groups] + kept.starts + length]
    return Cut(x, y, lines, kept)


def _series(
    series: Any, group: Any, time: Any
) -> tuple[np.ndarray, tuple[str, ...] | None, np.ndarray, np.ndarray | None]:
    """Return a series' numbers, their names, and the group and the time of each row."""
    frame = Columns.of(series)
    if frame is None:
        values = numbers(series, "series")
        for name, given in (("group", group), ("time", time)):
            if isinstance(given, str):
                raise ArgumentError(
                    _("The columns of an array have no names."),
                    expected=_("one value a row, or a frame"),
                    got=f"{name}={given!r}",
                    fix=_("{name}=array", name=name),
                )
        names = None
    else:
        apart = {name for name in (group, time) if isinstance(name, str)}
        if missing := apart.difference(frame.names):
            raise DataError(
                _("The series has no column '{name}'.", name=shortened(min(missing))),
                expected=shortened(", ".join(frame.names), 200),
                got=repr(min(missing)),
            )
        names = tuple(name for name in frame.names if name not in apart)
        group = frame.column(group) if isinstance(group, str) else group
        time = frame.column(time) if isinstance(time, str) else time
        values = frame.array("series", names)
    kept = Column(values)
    check_rounding(values, kept.dtype)
    values = kept[...]
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2:
        raise ArgumentError(
            _("A series has one row for each moment."),
            expected=_("shape (rows,) or (rows, columns)"),
            got=_("shape {shape}", shape=values.shape),
        )
    labels = np.zeros(len(values), np.int64)
    if group is not None:
        labels = _codes(np.asarray(group))
    times = None if time is None else _times(np.asarray(time))
    for name, part in (("group", labels), ("time", times)):
        if part is not None and len(part) != len(values):
            raise ArgumentError(
                _("{name} says something about each row.", name=name),
                expected=ngettext("{n} value", "{n} values", n=len(values)),
                got=f"{len(part)}",
            )
    return values, names, labels, times


def _codes(groups: np.ndarray) -> np.ndarray:
    """Return the number of each row's series; refuse rows that belong to none."""
    cells = groups.tolist()
    for row, cell in enumerate(cells):
        if cell is None or type(cell).__name__ == "NAType" or cell != cell:
            raise DataError(
                _("A row belongs to no series."),
                expected=_("a value of group in each row"),
                got=_("row {row}: {cell}", row=row, cell=cell),
                fix=_("leave it out"),
            )
    if groups.dtype != object:
        return np.unique(groups, return_inverse=True)[1]
    known = sorted(set(cells), key=lambda cell: (str(cell), type(cell).__name__))
    codes = {cell: i for i, cell in enumerate(known)}
    return np.array([codes[cell] for cell in cells], np.int64)


def _times(times: np.ndarray) -> np.ndarray:
    """Return times that can be compared: of texts the dates that they are."""
    texts = times.tolist()
    if not any(isinstance(text, str) for text in texts):
        return times
    require("pandas", "data")
    dates = dated([str(text) for text in texts], ISO)
    if np.isnat(dates).any():
        row = int(np.isnat(dates).argmax())
        raise DataError(
            _("A text among the times is no date."),
            expected="2024-12-31, 2024-12-31 23:59",
            got=_("row {row}: {cell}", row=row, cell=shortened(str(texts[row]))),
            fix="pandas.to_datetime(…, format=…)",
        )
    return dates


def _targets(targets: Any, names: tuple[str, ...] | None, width: int) -> list[int]:
    """Return the numbers of the columns to predict."""
    if targets is None:
        return list(range(width))
    given = targets if isinstance(targets, list | tuple) else [targets]
    known = {name: i for i, name in enumerate(names or ())}
    known |= {i: i for i in range(width)}
    for name in given:
        if not isinstance(name, str | int) or name not in known:
            raise DataError(
                _("The series has no column {name!r} to predict.", name=name),
                expected=", ".join(map(repr, names or range(width)))[:200],
                got=repr(name),
                fix=validation.did_you_mean(name, names or ()),
            )
    return [known[name] for name in given]


def _check_order(times: np.ndarray, name: Any, rows: np.ndarray) -> None:
    """Refuse rows of a series that are not in the order of time."""
    wrong = np.flatnonzero(~(times[1:] > times[:-1]))
    if len(wrong):
        row = int(rows[wrong[0] + 1])
        raise DataError(
            _("The rows of a series are in the order of time."),
            expected=_("a later time in each row"),
            got=_("row {row}: {time}", row=row, time=times[wrong[0] + 1]),
            fix=_("sort them: frame.sort_values({name!r})", name=name)
            if isinstance(name, str)
            else _("sort them first"),
        )
