"""Metrics: measures of a network's quality, besides its loss.

A metric is part of the graph that evaluates: for each batch it computes a few small
tensors, in the engine; from those of all batches the host works out its value in
float64. So a metric is exact however the data are cut into batches, and costs no pass
of its own over them.
"""

from chainrule.metrics.base import Mean, Metric, total
from chainrule.metrics.classes import (
    F1,
    ROCAUC,
    Accuracy,
    BalancedAccuracy,
    ConfusionMatrix,
    TopK,
)
from chainrule.metrics.named import measure
from chainrule.metrics.quantities import MAE, MSE, R2, RMSE

__all__ = [
    "F1",
    "MAE",
    "MSE",
    "R2",
    "RMSE",
    "ROCAUC",
    "Accuracy",
    "BalancedAccuracy",
    "ConfusionMatrix",
    "Mean",
    "Metric",
    "TopK",
    "measure",
    "total",
]
