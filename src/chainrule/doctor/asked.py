"""The task that a loss sets its outputs: classes, values, or something else.

Such a loss is a function, and says nothing of itself. It is called: on right, undecided
and wrong answers, and on numbers near the targets. A loss of classes is smallest where
answers are right, one of values where they are the targets, and to both sides alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule.graph.context import no_grad
from chainrule.graph.node import Array
from chainrule.tensor import tensor

#: So many rows are asked about; of large outputs fewer, so many numbers.
ROWS, FEWEST, NUMBERS = 256, 8, 1 << 20
#: Answers of right, undecided and wrong rows, of the right class and of the others: as
#: scores, and as probabilities.
SCORES = ((2.0, -2.0), (0.0, 0.0), (-2.0, 2.0))
SHARES = ((0.95, 0.05), (0.5, 0.5), (0.05, 0.95))
#: Distances from the targets, in deviations.
DISTANCES = (0.0, 0.5, 1.0, 2.0)
#: So far outputs go, one way.
WAYS = (10.0, 1e3, 1e5)
#: A loss that rises by a smaller share of itself does not rise; of a loss of values the
#: two sides of the targets differ by no more than this share.
RISE, SIDES = 1e-3, 0.05
#: Quantities are so many numbers or more.
MANY = 20


@dataclass(frozen=True)
class Asked:
    """The task that a loss sets its outputs.

    Attributes:
        task: ``classes``, ``binary``, ``quantities``, or ``unknown``.
        cut: from which output on class 1 is meant, of two classes by one output.
    """

    task: str
    cut: float | None = None


def is_one_hot(y: Array) -> bool:
    """Return whether rows of targets are 0 but for a single 1.

    >>> is_one_hot(np.eye(3)), is_one_hot(np.array([[1, 1], [0, 1]]))
    (True, False)
    """
    return are_labels(y) and bool((y.sum(1) == 1).all())


def are_labels(y: Array) -> bool:
    """Return whether targets are rows of 0 and 1: one class of several, or labels."""
    return y.ndim == 2 and y.shape[1] > 1 and bool(np.isin(y, (0, 1)).all())


def asked(
    loss: Callable[..., Any], y: Array, shape: tuple[Any, ...], *, shares: bool = False
) -> Asked:
    """Return what a loss of one's own asks, given targets and an output's shape.

    Args:
        loss: is called as ``loss(outputs, targets)``.
        y: the targets, as the loss gets them.
        shape: of the outputs, behind the axis of the rows.
        shares: whether the outputs are shares, as behind a sigmoid: a loss that
            prefers the wrong ones asks for them all the same. Of others the least may
            win, such as of distances.
    """
    if not all(isinstance(size, int) for size in shape):
        return Asked("unknown")
    width = int(np.prod(shape))
    y = y[: max(FEWEST, min(ROWS, NUMBERS // max(width, 1)))]
    if len(shape) > 1 and y.shape[1:] != shape:
        return Asked("unknown")
    if y.dtype.kind in "iu" and y.ndim == 1 and width > 1:
        if not 0 <= y.min() <= y.max() < width:
            return Asked("classes")  # which the data's own symptom says
        right = np.eye(width)[y]
        # One that refuses such answers may still be of classes, and one of the wrong
        # sign prefers the wrong ones; of an embedding, it is all the same.
        tells = [_tells(loss, y, answers) for answers in (right, 1 - right)]
        return Asked("classes" if None in tells or any(tells) else "unknown")
    flat = y.reshape(len(y), -1)
    if flat.shape[1] != width or y.dtype.kind not in "fiu":
        return Asked("unknown")
    if np.isin(y, (0, 1)).all() and 0 < flat.mean() < 1:
        for form in dict.fromkeys([(len(y), *shape), y.shape]):
            if scale := _tells(loss, y, flat.reshape(form)):
                task = "classes" if is_one_hot(flat) else "binary"
                return Asked(task, 0.0 if scale is SCORES else 0.5)
    if np.isin(y, (-1, 1)).all() and (flat < 0).any() and (flat > 0).any():
        for form in dict.fromkeys([(len(y), *shape), y.shape]):
            # Margins, such as the hinge loss: the sign is the class.
            if _tells(loss, y, flat.reshape(form) > 0, (SCORES,)):
                return Asked("binary", 0.0)
    if _values(loss, y, shape):
        return Asked("quantities")
    if shares and np.isin(y, (0, 1)).all() and 0 < flat.mean() < 1:
        for form in dict.fromkeys([(len(y), *shape), y.shape]):
            if _tells(loss, y, 1 - flat.reshape(form), (SHARES,)):
                return Asked("classes" if is_one_hot(flat) else "binary", 0.5)
    return Asked("unknown")


def _tells(loss: Any, y: Array, right: Array, scales: Any = (SCORES, SHARES)) -> Any:
    """Return the scale on which a loss is smaller, the surer right answers are.

    Empty: it is not; None: it takes no such answers. One that prefers wrong answers may
    be of outputs of which the least wins, such as distances.
    """
    found: dict[float, Any] = {}
    taken = False
    for scale in scales:
        losses = [
            _loss(loss, np.where(right > 0.5, high, low), y) for high, low in scale
        ]
        taken |= bool(np.isfinite(losses).all())
        if _rises(losses):
            found.setdefault(min(losses), scale)
    if found:
        return found[min(found)]
    return () if taken else None


def _values(loss: Any, y: Array, shape: tuple[Any, ...]) -> bool:
    """Return whether a loss is least at the targets, and alike to both sides.

    Both sides of the targets, and beyond them as short of them, which margins are not.
    """
    truth = y.astype(np.float64)
    spread = float(truth.std())
    if not np.isfinite(spread) or not spread:
        return False
    noise = np.random.default_rng(0).normal(size=y.shape) * spread
    for form in dict.fromkeys([(len(y), *shape), y.shape]):
        losses = [
            0.5
            * sum(
                _loss(loss, (truth + s * d * noise).reshape(form), y) for s in (-1, 1)
            )
            for d in DISTANCES
        ]
        low, high = (
            _loss(loss, (truth + s * 0.5 * spread).reshape(form), y) for s in (-1, 1)
        )
        beyond, short = (
            _loss(loss, (truth + s * 0.5 * (truth - truth.mean())).reshape(form), y)
            for s in (1, -1)
        )
        alike = _alike(low, high) and _alike(beyond, short)
        moved = _rises([losses[0], low]) and _rises([losses[0], high])
        if _rises(losses) and alike and moved:
            return True
    return False


def applies_sigmoid(loss: Callable[..., Any], y: Array, shape: tuple[Any, ...]) -> bool:
    """Return whether a loss of 0 and 1 is the cross-entropy of scores, by its values.

    That is, mean of ln(1 + eᶻ) − z y over rows, or a multiple of it, however written.

    Args:
        loss, y, shape: as of :func:`asked`.
    """
    y = y[:ROWS]
    known = all(isinstance(n, int) for n in shape)
    if not known or y.size != len(y) * int(np.prod(shape)) or not y.size:
        return False
    if not np.isin(y, (0, 1)).all():
        return False
    draw = np.random.default_rng(0)
    ratios: list[float] = []
    for spread in (0.5, 2.0, 4.0):
        z = spread * draw.normal(size=y.shape)
        entropy = float((np.logaddexp(0, z) - z * y).mean())
        ratios.append(_loss(loss, z.reshape(len(y), *shape), y) / entropy)
    if not np.isfinite(ratios).all():
        return False
    return ratios[0] > 0 and max(ratios) - min(ratios) <= RISE * ratios[0]


def is_endless(loss: Callable[..., Any], y: Array, shape: tuple[Any, ...]) -> bool:
    """Return whether a loss falls without end, as outputs go one way for ever.

    Such as the cross-entropy of scores, of targets that are not within 0 and 1: no
    outputs are its best ones. Losses of distances have a least value, at the targets;
    one that rewards distance is of the wrong sign, which is something else.

    Args:
        loss, y, shape: as of :func:`asked`.
    """
    losses = _of_one_way(loss, y, shape)
    falls = bool(losses) and _rises(losses[::-1])
    return falls and losses[-1] < -abs(losses[0]) * WAYS[0]


def asks_sides(loss: Callable[..., Any], y: Array, shape: tuple[Any, ...]) -> bool:
    """Return whether a loss asks for the sides of quantities alone, as a margin does.

    Outputs that go one way for ever are better for it than the targets, but it does
    not fall without end. The targets are one column of many numbers.

    Args:
        loss, y, shape: as of :func:`asked`.
    """
    values, counts = np.unique(y[:ROWS], return_counts=True)
    if len(values) < MANY or counts.max() > len(y[:ROWS]) / 4 or y[:1].size != 1:
        return False
    losses = _of_one_way(loss, y, shape)
    here = _loss(loss, y[:ROWS].astype(np.float64), y[:ROWS])
    falling = all(later <= earlier for earlier, later in pairwise(losses))
    return bool(losses) and falling and losses[-1] < here - SIDES * abs(here)


def _of_one_way(loss: Any, y: Array, shape: tuple[Any, ...]) -> list[float]:
    """Return the loss of outputs that go on and on against its derivatives.

    Empty where nothing is known: of targets that are no quantities like the outputs,
    of losses without finite numbers, and of those of the wrong sign.
    """
    y = y[:ROWS]
    known = all(isinstance(n, int) for n in shape)
    if y.dtype.kind != "f" or not known or y.shape[1:] != shape or not y.size:
        return []
    if len(np.unique(y)) <= 2:
        return []  # of two kinds of rows, a critic of them has no end either
    at = np.random.default_rng(0).normal(size=y.shape)
    try:
        with np.errstate(all="ignore"):
            outputs = tensor(at.astype(np.float32)).requires_grad_()
            loss(outputs, tensor(y)).backward()
        slopes = outputs.grad.numpy().astype(np.float64)
    except Exception:  # noqa: BLE001 - of the user's loss
        return []
    steepest = float(np.abs(slopes).max(initial=0.0))
    if not np.isfinite(slopes).all() or not steepest:
        return []
    truth, off = y.astype(np.float64), float(y.std()) * at
    far = 0.5 * (_loss(loss, truth + off, y) + _loss(loss, truth - off, y))
    here = _loss(loss, truth, y)
    if not far >= here - RISE * abs(here):
        return []
    losses = [_loss(loss, at - t * slopes / steepest, y) for t in WAYS]
    return losses if np.isfinite([here, *losses]).all() else []


def _alike(a: float, b: float) -> bool:
    return abs(a - b) <= SIDES * abs(a + b) / 2


def _rises(losses: list[float]) -> bool:
    """Return whether losses rise from each to the next, beyond rounding."""
    if not np.isfinite(losses).all():
        return False
    return all(b - a > RISE * max(abs(a), abs(b)) for a, b in pairwise(losses))


def _loss(loss: Any, outputs: Array, y: Array) -> float:
    """Return the loss of some outputs; NaN where it takes no such ones."""
    try:
        with no_grad(), np.errstate(all="ignore"):
            return float(loss(tensor(outputs.astype(np.float32)), tensor(y)).item())
    except Exception:  # noqa: BLE001 - of the user's loss
        return float("nan")
