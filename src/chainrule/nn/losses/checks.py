"""Checks of values for losses: at once, or when a compiled graph runs.

The checks take an array, and raise; or a tensor that is only traced, and give it back
on a condition that every engine looks at (``primitives/checks.py``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.graph.context import get_default_dtype
from chainrule.graph.node import Array
from chainrule.graph.types import Dim, DType
from chainrule.nn.arguments import is_known
from chainrule.primitives.checks import require_all
from chainrule.tensor import Tensor, count_of, wrap
from chainrule.text import _
from chainrule.util.blocks import Block

#: How far from 1 the sum of probabilities may be: more than rounding in float32
#: explains, less than any mistake.
TOLERANCE = 1e-3

Numbers = TypeVar("Numbers", Array, Tensor)


class _Local(threading.local):
    targets = False


_checked = _Local()


class targets_checked(Block):  # noqa: N801 - used like a function
    """Skip the checks of losses' targets in traces within the block.

    For what has called ``loss.check_target`` with all of them before.
    """

    def saved(self) -> bool:
        return _checked.targets

    def change(self) -> None:
        _checked.targets = True

    def undo(self, saved: bool) -> None:
        _checked.targets = saved


def are_targets_checked() -> bool:
    """Return whether losses' targets are already checked: in ``targets_checked``."""
    return _checked.targets


def numbers(t: Tensor) -> Array | None:
    """Return a tensor's values for a check; None for a traced tensor without values."""
    return t.numpy() if is_known(t) else None


def checked(t: Tensor, check: Callable[[Any], Any]) -> Tensor:
    """Return a tensor after a check of its values, which is deferred while traced."""
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


class Rule(NamedTuple):
    """The error texts of a check of a loss's values, with placeholders.

    Attributes:
        what: the sentence of the error.
        expected: the values that are allowed.
    """

    what: str
    expected: str


LABELS = Rule(
    _("A label is outside the classes that the network scores."),
    "0 … {most}",
)
LENGTHS = Rule(
    _("{what} takes the lengths of sequences, and one does not fit."), "{low} … {high}"
)
SYMBOLS = Rule(
    _("A label is none of the classes, or the blank."),
    _("0 … {classes}, other than {blank}"),
)
CAPACITY = Rule(_("{what} has no room for so many positions."), _("at most {room}"))
UNIT = Rule(
    _("{loss} takes probabilities, and {what} has a number that is none."),
    _("numbers from 0 to 1"),
)
NONNEGATIVE = Rule(
    _("{loss} takes numbers that are not negative, and {what} has one."), "numbers ≥ 0"
)
LOGARITHMS = Rule(
    _("{loss} takes logarithms of probabilities; {what} has no negative number."),
    _("ln q ≤ 0"),
)
POSITIVE = Rule(
    _("{kind} takes positive numbers, and {what} has one that is not."), "numbers > 0"
)
DISTRIBUTIONS = Rule(
    _("{loss} takes rows of probabilities, and {what} has a row that is none."),
    _("rows that sum to 1"),
)
TWO_LABELS = Rule(
    _("{loss} takes the labels {low:g} and {high:g}."),
    _("y = {low:g} or y = {high:g}"),
)


def _require(
    values: Any, bad: Any, rule: Rule, fix: str, got: Any = None, **texts: Any
) -> Any:
    """Return a loss's ``values``; raise a check's error if ``bad`` is true anywhere.

    Args:
        values: an array, or a traced tensor, which is checked when the graph runs.
        bad: which of them are not allowed.
        rule: the texts of the message.
        fix: the remedy.
        got: what was found; by default the first of the bad values.
        texts: the values of the rule's placeholders.
    """
    traced = isinstance(values, Tensor)
    if not traced and not bad.any():
        return values
    what, expected = (text.format(**texts) for text in rule)
    if traced:
        got, holds = _("a number that is not, in a compiled function"), ~bad
        answers = {"expected": expected, "got": got, "fix": fix}
        return wrap(require_all(values.value, holds.value, what, **answers))
    raise ArgumentError(
        what, expected=expected, got=got or _first(values, bad), fix=fix
    )


def check_labels(labels: Numbers, classes: int, ignored: int | None = None) -> Numbers:
    """Refuse class labels outside 0 … classes−1, except the ``ignored`` label."""
    y: Any = labels.astype("int64") if isinstance(labels, Tensor) else labels
    bad: Any = (y < 0) | (y >= classes)
    if ignored is not None:
        bad = bad & (y != ignored)
    fix = _("number the classes from 0")
    if not isinstance(labels, Tensor) and bad.any():
        lowest, highest = int(labels[bad].min()), int(labels.max())
        if lowest < 0:
            fix = _(
                "{fix}; ignore_index={worst} leaves them out", fix=fix, worst=lowest
            )
        if highest >= classes:
            fix = _("{fix}, or end in nn.Linear(…, {most})", fix=fix, most=highest + 1)
    return _require(labels, bad, LABELS, fix, most=classes - 1)


def check_counts(kind: str, counts: Numbers, low: int, high: Dim) -> Numbers:
    """Refuse sequence lengths outside of ``low`` … ``high``."""
    n: Any = counts
    limit: Any = high
    if isinstance(counts, Tensor):
        n, limit = counts.astype("int64"), count_of(high, DType.int64)
    fix = _("a length counts steps that are there")
    if low:
        fix = _("a length counts steps that are there; leave empty sequences out")
    bad = (n < low) | (n > limit)
    return _require(counts, bad, LENGTHS, fix, what=kind, low=low, high=high)


def check_symbols(labels: Numbers, classes: int, blank: int) -> Numbers:
    """Refuse CTC labels that are outside 0 … classes−1, or the blank label."""
    bad = (labels < 0) | (labels >= classes) | (labels == blank)
    fix = _("CTCLoss(blank=…) says which class is no label")
    return _require(labels, bad, SYMBOLS, fix, classes=classes - 1, blank=blank)


def check_capacity(kind: str, end: Numbers, capacity: int, fix: str) -> Numbers:
    """Refuse a position beyond the capacity of a cache or positional encoding."""
    return _require(end, end > capacity, CAPACITY, fix, what=kind, room=capacity)


def check_unit(loss: str, name: str, values: Numbers, fix: str) -> Numbers:
    """Refuse a loss's probabilities outside 0 … 1."""
    bad = (values < 0) | (values > 1)
    return _require(values, bad, UNIT, fix, loss=loss, what=name)


def check_nonnegative(loss: str, name: str, values: Numbers, fix: str) -> Numbers:
    """Refuse negative numbers in a loss's prediction or target."""
    return _require(values, values < 0, NONNEGATIVE, fix, loss=loss, what=name)


def check_logarithms(loss: str, name: str, values: Numbers, fix: str) -> Numbers:
    """Refuse numbers none of which is negative as a loss's logarithms of probabilities.

    A density's logarithm may be positive; a row of probabilities has no other sign.
    """
    bad = (values > 0) & ~(values < 0).any()
    return _require(values, bad, LOGARITHMS, fix, loss=loss, what=name)


def check_positive(kind: str, name: str, values: Numbers, fix: str) -> Numbers:
    """Refuse targets or other values that are not positive."""
    return _require(values, values <= 0, POSITIVE, fix, kind=kind, what=name)


def check_distributions(
    loss: str, name: str, values: Numbers, fix: str, axis: int = -1
) -> Numbers:
    """Refuse rows that are not probability distributions, for a loss."""
    values = check_unit(loss, name, values, fix)
    got = None
    if isinstance(values, Tensor):
        floats = values if values.dtype.is_float else values.astype(get_default_dtype())
        bad: Any = abs(floats.sum(axis) - 1.0) > TOLERANCE
    else:
        total = values.sum(axis=axis, dtype=np.float64)
        bad = np.abs(total - 1) > TOLERANCE
        got = _("the sum {first}", first=_first(total, bad)) if bad.any() else None
    return _require(values, bad, DISTRIBUTIONS, fix, got, loss=loss, what=name)


def check_two_labels(
    loss: str, labels: Numbers, allowed: tuple[float, float], other: Any, fix: str
) -> Numbers:
    """Refuse a binary loss's labels other than two; the fix converts the other pair."""
    low, high = allowed
    bad, got = (labels != low) & (labels != high), None
    if not isinstance(labels, Tensor) and bad.any():
        if bool(np.isin(labels, other).all()):
            got = f"the labels {other[0]:g} and {other[1]:g}"
        else:
            fix = _(
                "relabel the two classes as {low:g} and {high:g}", low=low, high=high
            )
    return _require(labels, bad, TWO_LABELS, fix, got, loss=loss, low=low, high=high)


def _first(values: Array, bad: Array) -> str:
    """Describe the first value that a loss's check refuses, and its position."""
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    axes = ("row", "column", "axis 2 at", "axis 3 at")
    position = ", ".join(f"{axis} {i}" for axis, i in zip(axes, index))
    number = f"{values[index]:g}"
    if float(number) != values[index]:
        number = str(values[index])  # 1.0000001 is no 1
    if not position:
        return number
    return _("{number} in {where}", number=number, where=position)
