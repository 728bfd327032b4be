"""Choices of rows as row numbers: splits of data sets, cross-validation folds.

The order of a split is the argsort of n raw 64-bit words from NumPy's Philox
generator. NumPy promises that this stream never changes, so a seed gives the same
split on every machine and in every version.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, DTypeError
from chainrule.text import _, ngettext
from chainrule.util.pytree import is_nest


def shuffled(n: int, seed: int) -> np.ndarray:
    """Return the row numbers 0 … n − 1 in an order determined by the seed."""
    return np.argsort(np.random.Philox(seed).random_raw(n), kind="stable")


def halves(n: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split n row numbers at random into the first ``count`` and the rest."""
    order = shuffled(n, seed)
    return order[:count], order[count:]


def stratified_halves(
    labels: np.ndarray, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split row numbers at random, with each class's share the same in both parts.

    Args:
        labels: integers, one a row; no class has a single row.
        count: the number of rows of the first part.
        seed: the seed of the split.
    """
    order = shuffled(len(labels), seed)
    __, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    quota = class_counts(sizes.tolist(), count)
    rank = _rank_in_class(codes[order], sizes)
    first = rank < np.array(quota)[codes[order]]
    return order[first], order[~first]


def class_counts(sizes: list[int], count: int) -> list[int]:
    """Return the number of rows of each class in a stratified part of a data set.

    Formula:
        qᵢ = sizeᵢ · count / Σ size, rounded down; what is left goes to the largest
        remainders, the first class where they are equal. Then a class that would be
        missing from one of the two parts gets a row there from the class that has
        most to spare, where there is one.

    >>> class_counts([50, 30, 20], 25), class_counts([98, 2], 10)
    ([13, 7, 5], [9, 1])
    """
    total = sum(sizes)
    counts = [size * count // total for size in sizes]
    remainders = [size * count % total for size in sizes]
    by_remainder = sorted(range(len(sizes)), key=lambda i: -remainders[i])
    for i in by_remainder[: count - sum(counts)]:
        counts[i] += 1
    _leave_one(counts)
    rest = [size - n for size, n in zip(sizes, counts, strict=True)]
    _leave_one(rest)
    return [size - n for size, n in zip(sizes, rest, strict=True)]


def _leave_one(counts: list[int]) -> None:
    """Move one row from a split's largest class to each class without rows."""
    for i, n in enumerate(counts):
        most = max(range(len(counts)), key=counts.__getitem__)
        if n == 0 and counts[most] > 1:
            counts[most] -= 1
            counts[i] = 1


def folds(
    n: int, k: int, seed: int, labels: np.ndarray | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the k pairs (training rows, validation rows) of cross-validation.

    Without labels the shuffled rows are dealt like cards, one to each fold in turn.
    With labels they are dealt class after class, so that the folds' shares of a class
    differ by one row at most, and so do their sizes.
    """
    order = shuffled(n, seed)
    turn = np.arange(n)
    if labels is not None:
        turn[np.argsort(labels[order], kind="stable")] = np.arange(n)
    for fold in range(k):
        validation = turn % k == fold
        yield order[~validation], order[validation]


def _rank_in_class(codes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return each row's number of earlier rows of its class, for stratified splits."""
    by_class = np.argsort(codes, kind="stable")
    starts = np.cumsum(sizes) - sizes
    rank = np.empty(len(codes), np.int64)
    rank[by_class] = np.arange(len(codes)) - np.repeat(starts, sizes)
    return rank


# -- checks of arguments ---------------------------------------------------------------


def part_of(first: Any, n: int, name: str) -> int:
    """Convert a split's size, a fraction or a number of rows, to a number of rows."""
    if isinstance(first, int | np.integer) and not isinstance(first, bool):
        count = int(first)
    elif isinstance(first, float | np.floating) and 0 < first < 1:
        count = round(float(first) * n)
    else:
        count = 0
    if not 0 < count < n:
        raise ArgumentError(
            ngettext(
                "Cannot split the data set '{name}' of {n} row at {first!r}.",
                "Cannot split the data set '{name}' of {n} rows at {first!r}.",
                n=n,
                name=name,
                first=first,
            ),
            expected=_(
                "a fraction between 0 and 1, or a number of rows between "
                "1 and {n}, so that neither part is empty",
                n=n - 1,
            ),
            got=f"{first!r}",
            fix=_("train, validation = data.split(0.9, seed=0)"),
        )
    return count


def check_order(by_order: bool, gap: int, stratify: bool) -> None:
    """Refuse settings of a split in order beside those of one at random."""
    wrong = ("stratify=True", "shuffle=False") if by_order and stratify else None
    if gap and not by_order:
        wrong = f"gap={gap}", "shuffle=True"
    if wrong:
        raise ArgumentError(
            _("{name} has no meaning beside {other}.", name=wrong[0], other=wrong[1]),
            expected=_("one of both"),
            got=_("{name}, and {other}", name=wrong[0], other=wrong[1]),
            fix=_("leave one of them out"),
        )


def overlapping(name: str) -> ArgumentError:
    """Return the error for windows of a series that would be split at random."""
    return ArgumentError(
        _(
            "Windows of the series '{name}' overlap: at random, some of a part would "
            "hold what those of the other predict.",
            name=name,
        ),
        expected=_("a split by time"),
        got=_("a split at random"),
        fix=_("train, validation = data.split(0.8, shuffle=False)"),
    )


def check_strata(y: Any, name: str, class_names: tuple[str, ...] | None) -> None:
    """Refuse to stratify a split by targets that are no classes or too rare ones."""
    several = is_nest(y)
    if several or y.ndim != 1 or y.dtype.kind == "f":
        raise DTypeError(
            _("The data set '{name}' has no classes to stratify by.", name=name),
            expected=_("y of shape (n,) with integers, one label a row"),
            got=_("several targets")
            if several
            else _(
                "y of shape {shape} and dtype {dtype}", shape=y.shape, dtype=y.dtype
            ),
            fix=_("leave out stratify=True for regression"),
        )
    labels, rows, sizes = np.unique(y, return_index=True, return_counts=True)
    if sizes.min() == 1:
        smallest = int(sizes.argmin())
        label = int(labels[smallest])
        shown = f"{label}" if class_names is None else f"{label} ({class_names[label]})"
        raise ArgumentError(
            _(
                "Class {shown} of the data set '{name}' has one row only, which "
                "cannot be in both parts.",
                shown=shown,
                name=name,
            ),
            expected=_("at least two rows of each class"),
            got=_("one, row {rows} (counting from 0)", rows=rows[smallest]),
            fix=_(
                "collect more of that class, leave it out, or leave out stratify=True"
            ),
        )


def row_numbers(index: Any, n: int, name: str) -> np.ndarray:
    """Convert an index of a data set to row numbers from 0 to n − 1."""
    try:
        rows = np.asarray(index)
    except (TypeError, ValueError):  # ragged lists
        rows = np.empty((), object)
    mask = rows.dtype.kind == "b" and rows.shape == (n,)
    if not mask and (rows.ndim != 1 or (rows.dtype.kind not in "iu" and rows.size)):
        raise ArgumentError(
            _("Rows of the data set '{name}' cannot be chosen like this.", name=name),
            expected=ngettext(
                "a list of row numbers, or {n} boolean",
                "a list of row numbers, or {n} booleans",
                n=n,
            ),
            got=_(
                "{kind} of shape {shape}, dtype {dtype}",
                kind=type(index).__name__,
                shape=rows.shape,
                dtype=rows.dtype,
            ),
            fix=_("data.rows([0, 2]), or data.rows(data.y == 1)"),
        )
    if mask:
        return np.flatnonzero(rows)
    wrong = (rows >= n) | (rows < -n)
    if wrong.any():
        raise ArgumentError(
            _("The data set '{name}' has no such row.", name=name),
            expected=_(
                "numbers from 0 to {n}, or negative ones down to {n2}", n=n - 1, n2=-n
            ),
            got=f"{rows[wrong][0]}",
            fix=_("len(data) is the number of rows, and they count from 0"),
        )
    return rows.astype(np.int64)
