"""Faults of how data are prepared, which the studies of real faults name."""

from typing import Any

import numpy as np
from networks import Spec
from rows import Rows

#: What a value that is missing is often written as.
CODE = -999.0


def order(spec: Spec, read: Rows, drawn: Any) -> Any:
    """Return the order of the rows before they are split: drawn, or by the targets."""
    if spec["split"] == "sorted":
        return drawn[np.argsort(np.asarray(read.y)[drawn], kind="stable")]
    return drawn


def coded(spec: Spec, x: Any) -> Any:
    """Return features of which a share is missing, and coded as a number."""
    if spec["coded"]:
        x[np.random.default_rng(2).uniform(size=x.shape) < spec["coded"]] = CODE
    return x


def prepared(spec: Spec, x: Any, cut: int) -> Any:
    """Return features that are scaled in a wrong way.

    ``rows``: each row is standardised, not each column. ``span``: between 0 and 1, by
    the least and the greatest of all numbers. ``signs``: what is above the mean, and
    what is not. ``clipped``: standardised, and cut off below 0 and above 1. ``apart``:
    the training rows are standardised, the validation rows are not.
    """
    how, known = spec["prepared"], x[:cut]
    deviation = known.std(0)
    usual = (x - known.mean(0)) / np.where(deviation > 0, deviation, 1.0)
    if how == "rows":
        axes = tuple(range(1, x.ndim))
        deviation = x.std(axes, keepdims=True)
        middle = x.mean(axes, keepdims=True)
        return (x - middle) / np.where(deviation > 0, deviation, 1.0)
    if how == "span":
        return (x - known.min()) / (known.max() - known.min())
    if how == "signs":
        return (usual > 0).astype(float)
    if how == "clipped":
        return usual.clip(0.0, 1.0)
    usual[cut:] = x[cut:]
    return usual


def mixed(spec: Spec, y: Any) -> Any:
    """Return quantities of which a share is permuted."""
    rng = np.random.default_rng(3)
    some = np.flatnonzero(rng.uniform(size=len(y)) < spec["mixed"])
    y[some] = y[rng.permutation(some)]
    return y
