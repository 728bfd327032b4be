"""A paired comparison of two models, measured on the same splits of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.text import _, tr

Spread = dict[str, float | None]


def spread(values: Any) -> Spread:
    """Return mean and standard deviation of a score over data splits.

    >>> spread([1.0, 2.0, 3.0])
    {'mean': 2.0, 'std': 1.0}
    """
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "std": deviation}


def spreads(
    scores: Sequence[Mapping[str, Mapping[str, float]]], metric: str
) -> dict[str, Spread]:
    """Return mean and deviation of two models' scores and of their difference.

    Args:
        scores: for each split the metrics of ``"network"`` and ``"linear"``.
        metric: the metric's name.
    """
    network, linear = (
        np.array([split[model][metric] for split in scores])
        for model in ("network", "linear")
    )
    pairs = {_("network"): network, _("linear"): linear}
    pairs[_("difference")] = network - linear
    return {name: spread(values) for name, values in pairs.items()}


def line(spreads: Mapping[str, Spread]) -> str:
    """Return means and standard deviations of scores as a text.

    >>> line({"network": {"mean": 0.5, "std": 0.1}, "linear": {"mean": 1, "std": None}})
    'network 0.500 ± 0.100,  linear 1.000'
    """
    parts = [
        f"{tr(name)} {found['mean']:.3f}"
        + ("" if found["std"] is None else f" ± {found['std']:.3f}")
        for name, found in spreads.items()
    ]
    return ",  ".join(parts)


def verdict(difference: Spread, splits: int) -> str:
    """Return a sentence that names the better of two models, from score differences.

    Two standard errors are a rule of thumb; splits share rows, so it is a mild one.
    """
    mean, deviation = difference["mean"] or 0.0, difference["std"]
    if deviation is None or abs(mean) <= 2 * deviation / np.sqrt(splits):
        return _("the two cannot be told apart: their difference is within the spread")
    names = _("network"), _("linear model")
    better, other = names if mean > 0 else names[::-1]
    return _("the {better} is better than the {other}", better=better, other=other)
