"""Regression metrics: R², and the errors in the unit of the targets."""

from __future__ import annotations

import numpy as np

from chainrule.errors import ShapeError
from chainrule.graph.node import Array
from chainrule.metrics.base import Batches, Mean, Metric, total
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor
from chainrule.text import _


class R2(Metric):
    """The coefficient of determination R² = 1 − Σ (y − ŷ)² / Σ (y − ȳ)².

    1 is perfect, 0 is what the mean of the targets would give. With several outputs
    the mean over them; an output whose targets are all equal counts as 1 where it is
    predicted exactly, else 0 (as in scikit-learn).

    Each batch is centred on its own mean and the parts are merged as in Chan, Golub &
    LeVeque 1983, "Algorithms for computing the sample variance", so that nothing
    cancels for targets that lie far from 0.

    >>> import chainrule as cr
    >>> cr.metrics.measure("r2", cr.tensor([1.0, 2.0]), cr.tensor([1.0, 3.0]))
    0.5
    """

    name = "r2"

    def batch(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Compute a batch's target mean, spread and residual Σ (y − ŷ)², for R²."""
        y, error = _errors("R2", prediction, target)
        mean = y.mean(0)
        around = y - mean
        return {
            "mean": mean,
            "spread": (around * around).sum(0),
            "residual": (error * error).sum(0),
        }

    def value(self, batches: Batches, counts: Array) -> float:
        """Compute R², the mean of 1 − residual / spread over the outputs."""
        means = np.array([b["mean"] for b in batches], np.float64)
        away = means - counts @ means / counts.sum()
        spread = total(batches, "spread") + counts @ (away * away)
        residual = total(batches, "residual")
        known = spread > 0
        explained = 1 - residual / np.where(known, spread, 1.0)
        return float(np.where(known, explained, residual == 0).mean())


class MAE(Mean):
    """The mean absolute error, 1/n Σ |y − ŷ| over all elements.

    >>> import chainrule as cr
    >>> cr.metrics.measure("mae", cr.tensor([1.0, 2.0]), cr.tensor([1.0, 5.0]))
    1.5
    """

    name, mode = "mae", "min"

    def items(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the absolute errors |y − ŷ|, whose mean is the metric."""
        return _errors("MAE", prediction, target)[1].abs()


class MSE(Mean):
    """The mean squared error, 1/n Σ (y − ŷ)² over all elements."""

    name, mode = "mse", "min"

    def items(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the squared errors (y − ŷ)², whose mean the metric is."""
        error = _errors(type(self).__name__, prediction, target)[1]
        return error * error


class RMSE(MSE):
    """The root mean squared error (RMSE), in the unit of the targets."""

    name = "rmse"

    def value(self, batches: Batches, counts: Array) -> float:
        """Compute the root of the mean squared error."""
        return float(np.sqrt(super().value(batches, counts)))


def _errors(who: str, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return targets and errors y − ŷ for a metric, in float64 (N, outputs)."""
    if prediction.reshape(-1).shape != target.reshape(-1).shape:
        raise ShapeError(
            _("{who} compares outputs with targets one by one.", who=who),
            expected=_("targets of shape {shape}", shape=show(prediction.shape)),
            got=show(target.shape),
            fix=_("reshape the targets, or leave the metric out"),
        )
    n = prediction.shape[0]
    y = target.astype("float64").reshape(n, -1)
    return y, y - prediction.astype("float64").reshape(n, -1)
