"""Numbers that a loss is not defined for, refused where the numbers are known."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.graph.node import Array
from chainrule.nn.arguments import is_known
from chainrule.tensor import Tensor

#: How far from 1 the sum of probabilities may be: more than rounding in float32
#: explains, less than any mistake.
TOLERANCE = 1e-3


def numbers(t: Tensor) -> Array | None:
    """The numbers of a tensor; None for one that is only traced."""
    return t.numpy() if is_known(t) else None


def check_labels(labels: Array, classes: int, ignored: int | None = None) -> None:
    """Refuse labels outside 0 … classes−1 that are not ``ignored``."""
    if not labels.size or 0 <= labels.min() <= labels.max() < classes:
        return
    bad = (labels < 0) | (labels >= classes)
    if ignored is not None:
        bad &= labels != ignored
    if bad.any():
        worst = int(labels[bad].min())
        raise ArgumentError(
            f"A label is outside the {classes} classes that the network scores.",
            expected=f"0 … {classes - 1}",
            got=_first(labels, bad),
            fix=f"number the classes from 0; ignore_index={worst} leaves them out"
            if worst < 0
            else "number the classes from 0, or end in nn.Linear(…, "
            f"{int(labels.max()) + 1})",
        )


def check_unit(loss: str, what: str, given: Array, fix: str) -> None:
    """Refuse numbers outside 0 … 1."""
    bad = (given < 0) | (given > 1)
    if bad.any():
        raise ArgumentError(
            f"{loss} takes probabilities, and {what} has a number that is none.",
            expected="numbers from 0 to 1",
            got=_first(given, bad),
            fix=fix,
        )


def check_least(loss: str, what: str, given: Array, fix: str) -> None:
    """Refuse negative numbers."""
    bad = given < 0
    if bad.any():
        raise ArgumentError(
            f"{loss} takes numbers that are not negative, and {what} has one.",
            expected="numbers ≥ 0",
            got=_first(given, bad),
            fix=fix,
        )


def check_rows(loss: str, what: str, given: Array, fix: str, axis: int = -1) -> None:
    """Refuse rows of which one is no distribution: negative, or not of sum 1."""
    check_unit(loss, what, given, fix)
    total = given.sum(axis=axis, dtype=np.float64)
    bad = np.abs(total - 1) > TOLERANCE
    if bad.any():
        raise ArgumentError(
            f"{loss} takes rows of probabilities, and {what} has a row that is none.",
            expected="rows that sum to 1",
            got=f"the sum {_first(total, bad)}",
            fix=fix,
        )


def check_among(
    loss: str, given: Array, allowed: tuple[float, float], other: Any, fix: str
) -> None:
    """Refuse all but two numbers; ``fix`` turns the pair ``other`` into them."""
    low, high = allowed
    bad = (given != low) & (given != high)
    if not bad.any():
        return
    swapped = bool(np.isin(given, other).all())
    raise ArgumentError(
        f"{loss} takes the labels {low:g} and {high:g}.",
        expected=f"y = {low:g} or y = {high:g}",
        got=f"the labels {other[0]:g} and {other[1]:g}"
        if swapped
        else _first(given, bad),
        fix=fix if swapped else f"relabel the two classes as {low:g} and {high:g}",
    )


def _first(given: Array, bad: Array) -> str:
    """The first bad number and where it stands."""
    place = tuple(int(i) for i in np.argwhere(bad)[0])
    names = ("row", "column", "axis 2 at", "axis 3 at")
    where = ", ".join(f"{name} {i}" for name, i in zip(names, place))
    number = f"{given[place]:g}"
    if float(number) != given[place]:
        number = str(given[place])  # 1.0000001 is no 1, and no integer is 4.3e+09
    return number + (f" in {where}" if where else "")
