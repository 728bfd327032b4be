"""The numbers of a report: what a trained network says about a data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.data import Dataset
from chainrule.errors import ArgumentError
from chainrule.graph.node import Array
from chainrule.nn import output_semantics as semantics
from chainrule.tensor import Tensor
from chainrule.viz.decision_regions import class_names


@dataclass(frozen=True)
class Classified:
    """Predictions of classes.

    Attributes:
        names: of the classes.
        truth: (n,) true classes.
        predicted: (n,) predicted classes.
        confusion: (classes, classes) counts; rows true, columns predicted.
        shares: (n, classes) probabilities, or None where the network gives none.
        losses: (n,) the loss of each row, NaN where it cannot be told apart.
    """

    names: list[str]
    truth: Array
    predicted: Array
    confusion: Array
    shares: Array | None
    losses: Array

    @property
    def wrong(self) -> Array:
        """Rows that are predicted wrongly, the highest loss first."""
        rows = np.flatnonzero(self.predicted != self.truth)
        # NaN stands last, whatever the order of the rest.
        order = np.argsort(np.nan_to_num(-self.losses[rows], nan=np.inf), kind="stable")
        return rows[order]

    def by_class(self) -> Array:
        """(classes, 4): precision, recall, F₁ (NaN where undefined), rows."""
        right = np.diag(self.confusion).astype(np.float64)
        called, owned = self.confusion.sum(0), self.confusion.sum(1)
        rates = [_ratio(right, called), _ratio(right, owned)]
        rates.append(_ratio(2 * right, called + owned))
        return np.stack([*rates, owned], axis=1)


@dataclass(frozen=True)
class Regressed:
    """Predictions of quantities: (n, targets) true values and predictions."""

    truth: Array
    predicted: Array

    @property
    def residuals(self) -> Array:
        """ŷ − y."""
        return self.predicted - self.truth

    def measures(self) -> Array:
        """(targets, 3): R² (NaN for targets that are all equal), MAE, RMSE."""
        error = self.residuals
        around = self.truth - self.truth.mean(0)
        left = _ratio((error**2).sum(0), (around**2).sum(0))
        spread = [np.abs(error).mean(0), np.sqrt((error**2).mean(0))]
        return np.stack([1 - left, *spread], axis=1)


def classified(trainer: Any, data: Dataset, outputs: Array) -> Classified | None:
    """The outputs as predictions of classes; None where they are something else."""
    labels = data.y.ndim == 1 and data.y.dtype.kind == "i" and outputs.ndim == 2
    known = data.classes is not None or semantics.is_classification(trainer.loss)
    scores = (
        labels and outputs.shape[1] > 1 and not semantics.is_regression(trainer.loss)
    )
    if not (known or scores):
        return None
    cut = semantics.threshold(trainer.loss)
    pair = semantics.decisions("The report", Tensor(outputs), Tensor(data.y), cut)
    predicted, truth = (t.numpy().astype(np.intp) for t in pair)
    if len(predicted) != len(data):  # several decisions a row
        return None
    classes = max(semantics.number_of_classes(outputs.shape, cut), int(truth.max()) + 1)
    names = class_names(data, trainer.class_names)[:classes]
    names += [str(c) for c in range(len(names), classes)]
    shares = _shares(trainer, data)
    return Classified(
        names,
        truth,
        predicted,
        np.bincount(truth * classes + predicted, minlength=classes**2).reshape(
            classes, classes
        ),
        shares,
        row_losses(trainer.loss, outputs, data.y, shares, truth),
    )


def regressed(trainer: Any, data: Dataset, outputs: Array) -> Regressed | None:
    """The outputs as predictions of quantities; None where they are something else."""
    if semantics.is_classification(trainer.loss):
        return None
    n = len(data)
    truth = np.asarray(data.y, np.float64).reshape(n, -1)
    predicted = np.asarray(outputs, np.float64).reshape(n, -1)
    return Regressed(truth, predicted) if truth.shape == predicted.shape else None


def row_losses(
    loss: Any, outputs: Array, y: Array, shares: Array | None, truth: Array
) -> Array:
    """(n,) the loss of each row.

    A loss of ``chainrule.nn`` gives one for each row. For a function of the user's own
    it is −ln ŷ of the true class, where there are probabilities.
    """
    n = len(truth)
    if isinstance(loss, nn.Loss):
        each = loss.pointwise(*loss.prepare(outputs, y)).numpy()
        return each.astype(np.float64).reshape(n, -1).mean(1)
    if shares is None or truth.max() >= shares.shape[1]:
        return np.full(n, np.nan)
    with np.errstate(divide="ignore"):
        return -np.log(shares[np.arange(n), truth])


def _shares(trainer: Any, data: Dataset) -> Array | None:
    """(n, classes) probabilities, where the network gives any."""
    try:
        made = trainer.predict(data, output="probabilities")
    except ArgumentError:
        return None
    shares = np.asarray(made, np.float64).reshape(len(data), -1)
    return shares if shares.shape[1] > 1 else np.hstack([1 - shares, shares])


def _ratio(part: Array, whole: Array) -> Array:
    """part / whole, NaN where the whole is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, part / whole, np.nan)
