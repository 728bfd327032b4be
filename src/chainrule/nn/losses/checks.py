"""Checks of values for losses: at once, or when a compiled graph runs.

The checks take an array, and raise; or a tensor that is only traced, and give it back
on a condition that every engine looks at (``primitives/checks.py``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.functions import where
from chainrule.graph.node import Array
from chainrule.graph.types import Dim, DType
from chainrule.nn.arguments import is_known
from chainrule.primitives.checks import require_all
from chainrule.tensor import Tensor, count_of, wrap
from chainrule.text import _

#: How far from 1 the sum of probabilities may be: more than rounding in float32
#: explains, less than any mistake.
TOLERANCE = 1e-3

Numbers = TypeVar("Numbers", Array, Tensor)


class _Local(threading.local):
    targets = False


_checked = _Local()


@contextmanager
def targets_checked() -> Generator[None]:
    """Skip the check of traced losses' targets within the block.

    For what has called ``loss.check_target`` with all of them before.
    """
    saved, _checked.targets = _checked.targets, True
    try:
        yield
    finally:
        _checked.targets = saved


def are_targets_checked() -> bool:
    """Return whether the code runs in a ``targets_checked`` block."""
    return _checked.targets


def numbers(t: Tensor) -> Array | None:
    """Return the values of a tensor; None for a traced tensor without values."""
    return t.numpy() if is_known(t) else None


def looked_at(t: Tensor, check: Callable[[Any], Any]) -> Tensor:
    """Return ``t`` after ``check`` of its values, deferred for a traced tensor."""
    known = numbers(t)
    if known is None:
        return check(t)
    check(known)
    return t


def is_integer(given: Array | Tensor) -> bool:
    """Return whether an array or a tensor holds integers."""
    if isinstance(given, Tensor):
        return given.dtype.is_integer
    return given.dtype.kind in "iu"


def _either(a: Any, b: Any) -> Any:
    return where(a, True, b) if isinstance(a, Tensor) else a | b


def _both(a: Any, b: Any) -> Any:
    return where(a, b, False) if isinstance(a, Tensor) else a & b


def _refuse(
    given: Any, bad: Any, what: str, *, shown: Any = None, **answers: str
) -> Any:
    """Return ``given``; raise an error if ``bad`` is true anywhere."""
    if isinstance(given, Tensor):
        holds = where(bad, False, True)
        got = _("a number that is not, in a compiled function")
        return wrap(require_all(given.value, holds.value, what, got=got, **answers))
    if bad.any():
        raise ArgumentError(what, got=shown or _first(given, bad), **answers)
    return given


def check_labels(labels: Numbers, classes: int, ignored: int | None = None) -> Numbers:
    """Refuse labels outside 0 … classes−1 that are not ``ignored``."""
    y: Any = labels.astype("int64") if isinstance(labels, Tensor) else labels
    bad = _either(y < 0, y >= classes)
    if ignored is not None:
        bad = _both(bad, y != ignored)
    fix = _("number the classes from 0")
    if not isinstance(labels, Tensor) and bad.any():
        worst, most = int(labels[bad].min()), int(labels.max())
        if worst < 0:
            fix = _("{fix}; ignore_index={worst} leaves them out", fix=fix, worst=worst)
        if most >= classes:
            fix = _("{fix}, or end in nn.Linear(…, {most})", fix=fix, most=most + 1)
    return _refuse(
        labels,
        bad,
        _(
            "A label is outside the {classes} classes that the network scores.",
            classes=classes,
        ),
        expected=f"0 … {classes - 1}",
        fix=fix,
    )


def check_counts(what: str, counts: Numbers, least: int, most: Dim) -> Numbers:
    """Refuse sequence lengths outside of ``least`` … ``most``."""
    n: Any = counts
    if isinstance(counts, Tensor):
        n, limit = counts.astype("int64"), count_of(most, DType.int64)
    else:
        limit = most
    return _refuse(
        counts,
        _either(n < least, n > limit),
        _("{what} takes the lengths of sequences, and one does not fit.", what=what),
        expected=f"{least} … {most}",
        fix=_("a length counts steps that are there; leave empty sequences out")
        if least
        else _("a length counts steps that are there"),
    )


def check_symbols(labels: Numbers, classes: int, blank: int) -> Numbers:
    """Refuse labels outside 0 … classes−1, and the blank label."""
    bad = _either(_either(labels < 0, labels >= classes), labels == blank)
    return _refuse(
        labels,
        bad,
        _("A label is none of the classes, or the blank."),
        expected=_(
            "0 … {classes}, other than {blank}", classes=classes - 1, blank=blank
        ),
        fix=_("CTCLoss(blank=…) says which class is no label"),
    )


def check_room(what: str, end: Numbers, room: int, fix: str) -> Numbers:
    """Refuse a position ``end`` beyond the capacity ``room``."""
    return _refuse(
        end,
        end > room,
        _("{what} has no room for so many positions.", what=what),
        expected=_("at most {room}", room=room),
        fix=fix,
    )


def check_unit(loss: str, what: str, given: Numbers, fix: str) -> Numbers:
    """Refuse numbers outside 0 … 1."""
    return _refuse(
        given,
        _either(given < 0, given > 1),
        _(
            "{loss} takes probabilities, and {what} has a number that is none.",
            loss=loss,
            what=what,
        ),
        expected=_("numbers from 0 to 1"),
        fix=fix,
    )


def check_least(loss: str, what: str, given: Numbers, fix: str) -> Numbers:
    """Refuse negative numbers."""
    return _refuse(
        given,
        given < 0,
        _(
            "{loss} takes numbers that are not negative, and {what} has one.",
            loss=loss,
            what=what,
        ),
        expected="numbers ≥ 0",
        fix=fix,
    )


def check_above(kind: str, what: str, given: Numbers, fix: str) -> Numbers:
    """Refuse numbers that are not positive."""
    return _refuse(
        given,
        given <= 0,
        _(
            "{kind} takes positive numbers, and {what} has one that is not.",
            kind=kind,
            what=what,
        ),
        expected="numbers > 0",
        fix=fix,
    )


def check_rows(
    loss: str, what: str, given: Numbers, fix: str, axis: int = -1
) -> Numbers:
    """Refuse rows that are not distributions: negative, or not of sum 1."""
    given = check_unit(loss, what, given, fix)
    shown = None
    if isinstance(given, Tensor):
        floats = given if given.dtype.is_float else given.astype("float32")
        bad: Any = abs(floats.sum(axis) - 1.0) > TOLERANCE
    else:
        total = given.sum(axis=axis, dtype=np.float64)
        bad = np.abs(total - 1) > TOLERANCE
        shown = _("the sum {first}", first=_first(total, bad)) if bad.any() else None
    return _refuse(
        given,
        bad,
        _(
            "{loss} takes rows of probabilities, and {what} has a row that is none.",
            loss=loss,
            what=what,
        ),
        shown=shown,
        expected=_("rows that sum to 1"),
        fix=fix,
    )


def check_among(
    loss: str, given: Numbers, allowed: tuple[float, float], other: Any, fix: str
) -> Numbers:
    """Refuse values other than two; ``fix`` converts the pair ``other``."""
    low, high = allowed
    bad, shown = _both(given != low, given != high), None
    if not isinstance(given, Tensor) and bad.any():
        if bool(np.isin(given, other).all()):
            shown = f"the labels {other[0]:g} and {other[1]:g}"
        else:
            fix = _(
                "relabel the two classes as {low:g} and {high:g}", low=low, high=high
            )
    return _refuse(
        given,
        bad,
        _(
            "{loss} takes the labels {low:g} and {high:g}.",
            loss=loss,
            low=low,
            high=high,
        ),
        shown=shown,
        expected=_("y = {low:g} or y = {high:g}", low=low, high=high),
        fix=fix,
    )


def _first(given: Array, bad: Array) -> str:
    """Describe the first invalid number and its position."""
    place = tuple(int(i) for i in np.argwhere(bad)[0])
    names = ("row", "column", "axis 2 at", "axis 3 at")
    where = ", ".join(f"{name} {i}" for name, i in zip(names, place))
    number = f"{given[place]:g}"
    if float(number) != given[place]:
        number = str(given[place])  # 1.0000001 is no 1
    return _("{number} in {where}", number=number, where=where) if where else number
