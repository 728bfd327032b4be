"""The criterion for improvement of a monitored quantity, such as the loss."""

from __future__ import annotations

import math


def is_better(
    value: float,
    best: float | None,
    mode: str,
    *,
    by: float = 0.0,
    relative: bool = False,
) -> bool:
    """Return whether a monitored ``value`` improves on ``best``; NaN never does.

    Args:
        value: the new number.
        best: the best so far; None before the first.
        mode: ``"min"`` where less is better, ``"max"`` where more is.
        by: how much better it must be.
        relative: whether ``by`` is a share of ``best``.

    >>> is_better(0.8, 1.0, "min", by=0.1), is_better(0.95, 1.0, "min", by=0.1)
    (True, False)
    >>> is_better(1.0, None, "max"), is_better(math.nan, 1.0, "min")
    (True, False)
    """
    sign = 1 if mode == "min" else -1
    if best is None:
        return not math.isnan(value)
    bound = best * (1 - sign * by) if relative else best - sign * by
    return sign * value < sign * bound
