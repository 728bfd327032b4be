"""Metrics: measures of a network's quality, besides its loss.

A metric is part of the graph that evaluates: for each batch it computes a few small
tensors, in the engine; from those of all batches the host works out its value in
float64. So a metric is exact however the data are cut into batches, and costs no pass
of its own over them.
"""

from chainrule.metrics.base import FunctionMetric, Mean, Metric, total
from chainrule.metrics.classes import (
    F1,
    Accuracy,
    BalancedAccuracy,
    ConfusionMatrix,
    Precision,
    Recall,
    TopK,
)
from chainrule.metrics.named import measure
from chainrule.metrics.outputs import OutputMetric
from chainrule.metrics.probabilities import BrierScore, LogLoss
from chainrule.metrics.quantities import MAE, MSE, R2, RMSE
from chainrule.metrics.ranking import ROCAUC, AveragePrecision

__all__ = [
    "F1",
    "MAE",
    "MSE",
    "R2",
    "RMSE",
    "ROCAUC",
    "Accuracy",
    "AveragePrecision",
    "BalancedAccuracy",
    "BrierScore",
    "ConfusionMatrix",
    "FunctionMetric",
    "LogLoss",
    "Mean",
    "Metric",
    "OutputMetric",
    "Precision",
    "Recall",
    "TopK",
    "measure",
    "total",
]
