"""Further ways in which the rows of a program are spoilt before it sees them."""

from typing import Any

import numpy as np

Spec = dict[str, Any]
#: What stands where a number is missing.
MISSING = -999.0


def inputs(spec: Spec, x: Any, cut: int, rng: Any) -> Any:
    """Return inputs that are spoilt; ``cut`` rows are trained on, the rest judge."""
    halves = (slice(None, cut), slice(cut, None))
    if spec["reshaped"]:  # they lay in columns; reshaped, where transposed was meant
        for half in halves:
            some = x[half]
            x[half] = some.reshape(len(some), -1).T.reshape(some.shape)
    if spec["missing"]:
        x[rng.uniform(size=x.shape) < spec["missing"]] = MISSING
    if spec["bytes"]:  # cast to bytes, which go round
        x = np.mod(np.floor(x * spec["bytes"]), 256).astype(x.dtype)
    if spec["row_wise"] != "none":
        x = _row_wise(x, spec["row_wise"])
    if spec["reordered"]:  # the columns, or steps, of the rows that judge
        x[cut:] = x[cut:][:, rng.permutation(x.shape[1])]
    if spec["mirrored"]:
        some = rng.uniform(size=cut) < spec["mirrored"]
        x[:cut][some] = x[:cut][some][:, ::-1]
    if spec["padded"]:  # behind a sequence
        more = np.zeros((len(x), spec["padded"], *x.shape[2:]), x.dtype)
        x = np.concatenate([x, more], 1)
    return x


def _row_wise(x: Any, how: str) -> Any:
    """Return rows that are each scaled by themselves."""
    axes = tuple(range(1, x.ndim))
    if how == "unit":
        norm = np.sqrt((x * x).sum(axes, keepdims=True))
        return x / np.where(norm > 0, norm, 1).astype(x.dtype)
    low, high = x.min(axes, keepdims=True), x.max(axes, keepdims=True)
    return (x - low) / np.where(high > low, high - low, 1).astype(x.dtype)


def trained(spec: Spec, kept: Any, y: Any) -> Any:
    """Return which rows are trained on, of those that are kept."""
    if spec["absent"]:  # the rows were sorted by their targets when they were split
        kept = kept[y[kept] <= np.quantile(y, 1 - spec["absent"])]
    if spec["repeated"] < 1.0:
        few = kept[: max(8, int(spec["repeated"] * len(kept)))]
        kept = np.resize(few, len(kept))
    return kept


def targets(spec: Spec, y: Any, cut: int, rng: Any) -> Any:
    """Return targets that are spoilt, as they come out of a table."""
    if spec["cast"]:  # to whole numbers, of what lies between 0 and 1
        y[:cut] = np.zeros_like(y[:cut])
    if spec["outliers"]:
        some = rng.uniform(size=cut) < spec["outliers"]
        y[:cut][some] *= 1000
    if spec["units"] != 1.0:  # the targets that judge are not scaled as the others
        y[cut:] = y[cut:] * spec["units"] + spec["units"]
    return y


def overlapped(spec: Spec, x: Any, y: Any, classes: Any) -> tuple[Any, Any]:
    """Return training rows, of which some stand there again, as another class."""
    first, other = (np.flatnonzero(classes == which) for which in (0, 1))
    again = first[: round(spec["overlap"] * len(first))]
    if not len(again) or not len(other):
        return x, y
    labels = y[other[np.zeros(len(again), int)]]
    return np.concatenate([x, x[again]]), np.concatenate([y, labels])
