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
from chainrule.functions.elementwise import where
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


def checked(t: Tensor, check: Callable[[Any], Any]) -> Tensor:
    """Return ``t`` after ``check`` of its values, deferred for a traced tensor."""
    known = numbers(t)
    if known is None:
        return check(t)
    check(known)
    return t


def is_integer(values: Array | Tensor) -> bool:
    """Return whether an array or a tensor holds integers."""
    if isinstance(values, Tensor):
        return values.dtype.is_integer
    return values.dtype.kind in "iu"


def _or(a: Any, b: Any) -> Any:
    return where(a, True, b) if isinstance(a, Tensor) else a | b


def _and(a: Any, b: Any) -> Any:
    return where(a, b, False) if isinstance(a, Tensor) else a & b


def _require(
    values: Any, bad: Any, problem: Callable[[], dict[str, Any]], shown: Any = None
) -> Any:
    """Return ``values``; raise an error if ``bad`` is true anywhere.

    Args:
        values: an array, or a traced tensor, which is checked when the graph runs.
        bad: which of them are not allowed.
        problem: makes ``what``, ``expected`` and ``fix`` of the message. Of an array it
            is called where something is wrong alone.
        shown: ``got`` of the message; by default the first of the bad values.
    """
    if isinstance(values, Tensor):
        answers = problem()
        what, holds = answers.pop("what"), where(bad, False, True)
        got = _("a number that is not, in a compiled function")
        return wrap(require_all(values.value, holds.value, what, got=got, **answers))
    if bad.any():
        answers = problem()
        raise ArgumentError(
            answers.pop("what"), got=shown or _first(values, bad), **answers
        )
    return values


def check_labels(labels: Numbers, classes: int, ignored: int | None = None) -> Numbers:
    """Refuse labels outside 0 … classes−1 that are not ``ignored``."""
    y: Any = labels.astype("int64") if isinstance(labels, Tensor) else labels
    bad = _or(y < 0, y >= classes)
    if ignored is not None:
        bad = _and(bad, y != ignored)

    def problem() -> dict[str, Any]:
        fix = _("number the classes from 0")
        if not isinstance(labels, Tensor):
            lowest, highest = int(labels[bad].min()), int(labels.max())
            if lowest < 0:
                fix = _(
                    "{fix}; ignore_index={worst} leaves them out", fix=fix, worst=lowest
                )
            if highest >= classes:
                fix = _(
                    "{fix}, or end in nn.Linear(…, {most})", fix=fix, most=highest + 1
                )
        return {
            "what": _(
                "A label is outside the {classes} classes that the network scores.",
                classes=classes,
            ),
            "expected": f"0 … {classes - 1}",
            "fix": fix,
        }

    return _require(labels, bad, problem)


def check_counts(kind: str, counts: Numbers, low: int, high: Dim) -> Numbers:
    """Refuse sequence lengths outside of ``low`` … ``high``."""
    n: Any = counts
    limit: Any = high
    if isinstance(counts, Tensor):
        n, limit = counts.astype("int64"), count_of(high, DType.int64)

    def problem() -> dict[str, Any]:
        return {
            "what": _(
                "{what} takes the lengths of sequences, and one does not fit.",
                what=kind,
            ),
            "expected": f"{low} … {high}",
            "fix": _("a length counts steps that are there; leave empty sequences out")
            if low
            else _("a length counts steps that are there"),
        }

    return _require(counts, _or(n < low, n > limit), problem)


def check_symbols(labels: Numbers, classes: int, blank: int) -> Numbers:
    """Refuse labels outside 0 … classes−1, and the blank label."""

    def problem() -> dict[str, Any]:
        return {
            "what": _("A label is none of the classes, or the blank."),
            "expected": _(
                "0 … {classes}, other than {blank}", classes=classes - 1, blank=blank
            ),
            "fix": _("CTCLoss(blank=…) says which class is no label"),
        }

    bad = _or(_or(labels < 0, labels >= classes), labels == blank)
    return _require(labels, bad, problem)


def check_capacity(kind: str, end: Numbers, capacity: int, fix: str) -> Numbers:
    """Refuse a position ``end`` beyond the capacity."""

    def problem() -> dict[str, Any]:
        return {
            "what": _("{what} has no room for so many positions.", what=kind),
            "expected": _("at most {room}", room=capacity),
            "fix": fix,
        }

    return _require(end, end > capacity, problem)


def check_unit(loss: str, name: str, values: Numbers, fix: str) -> Numbers:
    """Refuse numbers outside 0 … 1."""

    def problem() -> dict[str, Any]:
        return {
            "what": _(
                "{loss} takes probabilities, and {what} has a number that is none.",
                loss=loss,
                what=name,
            ),
            "expected": _("numbers from 0 to 1"),
            "fix": fix,
        }

    return _require(values, _or(values < 0, values > 1), problem)


def check_nonnegative(loss: str, name: str, values: Numbers, fix: str) -> Numbers:
    """Refuse negative numbers."""

    def problem() -> dict[str, Any]:
        return {
            "what": _(
                "{loss} takes numbers that are not negative, and {what} has one.",
                loss=loss,
                what=name,
            ),
            "expected": "numbers ≥ 0",
            "fix": fix,
        }

    return _require(values, values < 0, problem)


def check_positive(kind: str, name: str, values: Numbers, fix: str) -> Numbers:
    """Refuse numbers that are not positive."""

    def problem() -> dict[str, Any]:
        return {
            "what": _(
                "{kind} takes positive numbers, and {what} has one that is not.",
                kind=kind,
                what=name,
            ),
            "expected": "numbers > 0",
            "fix": fix,
        }

    return _require(values, values <= 0, problem)


def check_distributions(
    loss: str, name: str, values: Numbers, fix: str, axis: int = -1
) -> Numbers:
    """Refuse rows that are not distributions: negative, or not of sum 1."""
    values = check_unit(loss, name, values, fix)
    shown = None
    if isinstance(values, Tensor):
        floats = values if values.dtype.is_float else values.astype("float32")
        bad: Any = abs(floats.sum(axis) - 1.0) > TOLERANCE
    else:
        total = values.sum(axis=axis, dtype=np.float64)
        bad = np.abs(total - 1) > TOLERANCE
        shown = _("the sum {first}", first=_first(total, bad)) if bad.any() else None

    def problem() -> dict[str, Any]:
        return {
            "what": _(
                "{loss} takes rows of probabilities, and {what} has a row that is "
                "none.",
                loss=loss,
                what=name,
            ),
            "expected": _("rows that sum to 1"),
            "fix": fix,
        }

    return _require(values, bad, problem, shown)


def check_two_labels(
    loss: str, labels: Numbers, allowed: tuple[float, float], other: Any, fix: str
) -> Numbers:
    """Refuse labels other than two; ``fix`` converts the pair ``other``."""
    low, high = allowed
    bad, shown = _and(labels != low, labels != high), None
    if not isinstance(labels, Tensor) and bad.any():
        if bool(np.isin(labels, other).all()):
            shown = f"the labels {other[0]:g} and {other[1]:g}"
        else:
            fix = _(
                "relabel the two classes as {low:g} and {high:g}", low=low, high=high
            )

    def problem() -> dict[str, Any]:
        return {
            "what": _(
                "{loss} takes the labels {low:g} and {high:g}.",
                loss=loss,
                low=low,
                high=high,
            ),
            "expected": _("y = {low:g} or y = {high:g}", low=low, high=high),
            "fix": fix,
        }

    return _require(labels, bad, problem, shown)


def _first(values: Array, bad: Array) -> str:
    """Describe the first bad number and its position."""
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    axes = ("row", "column", "axis 2 at", "axis 3 at")
    position = ", ".join(f"{axis} {i}" for axis, i in zip(axes, index))
    number = f"{values[index]:g}"
    if float(number) != values[index]:
        number = str(values[index])  # 1.0000001 is no 1
    if not position:
        return number
    return _("{number} in {where}", number=number, where=position)
