"""What a trained network says about a data set, and how right it is."""

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
        shares: (n, classes) probabilities, or None where the network gives none.
        losses: (n,) the loss of each row, NaN where it cannot be told apart.
    """

    names: list[str]
    truth: Array
    predicted: Array
    shares: Array | None
    losses: Array

    @property
    def confusion(self) -> Array:
        """(classes, classes) counts; rows true, columns predicted."""
        size = len(self.names)
        pairs = np.bincount(self.truth * size + self.predicted, minlength=size**2)
        return pairs.reshape(size, size)

    @property
    def worst(self) -> Array:
        """Rows that are predicted wrongly, the highest loss first, NaN last."""
        rows = np.flatnonzero(self.predicted != self.truth)
        order = np.argsort(np.nan_to_num(-self.losses[rows], nan=np.inf), kind="stable")
        return rows[order]

    def answer(self, row: int) -> dict[str, Any]:
        """What a row is, what was said, how surely, and what that cost."""
        said, loss = int(self.predicted[row]), float(self.losses[row])
        return {
            "true": self.names[int(self.truth[row])],
            "predicted": self.names[said],
            "probability": None if self.shares is None else self.shares[row, said],
            "loss": None if np.isnan(loss) else loss,
        }

    def confused(self, most: int) -> list[dict[str, Any]]:
        """The most frequent confusions of a class with another."""
        counts = self.confusion
        owned = counts.sum(1)
        np.fill_diagonal(counts, 0)
        found = []
        for place in np.argsort(-counts, axis=None, kind="stable")[:most].tolist():
            true, said = divmod(place, len(self.names))
            if count := int(counts[true, said]):
                pair = {"true": self.names[true], "predicted": self.names[said]}
                found.append({**pair, "count": count, "share": count / owned[true]})
        return found

    def by_class(self) -> list[dict[str, Any]]:
        """Precision, recall, F₁ (None where undefined) and rows of each class."""
        counts = self.confusion
        right, called, owned = np.diag(counts), counts.sum(0), counts.sum(1)
        rates = _ratio(right, called), _ratio(right, owned)
        f1 = _ratio(2 * right, called + owned)
        keys = ("class", "precision", "recall", "f1", "rows")
        rows = zip(self.names, *rates, f1, owned.tolist())
        return [dict(zip(keys, row)) for row in rows]

    def weakest(self, most: int) -> list[dict[str, Any]]:
        """The classes with the lowest F₁; those without one stand last."""
        rows = self.by_class()
        return sorted(rows, key=lambda row: 2 if row["f1"] is None else row["f1"])[
            :most
        ]


@dataclass(frozen=True)
class Regressed:
    """Predictions of quantities: names of the targets, (n, targets) of each."""

    names: list[str]
    truth: Array
    predicted: Array

    @property
    def residuals(self) -> Array:
        """ŷ − y."""
        return self.predicted - self.truth

    @property
    def worst(self) -> Array:
        """Rows by their largest error, each target measured by its own spread."""
        return np.argsort(-self._sizes().max(1), kind="stable")

    def _sizes(self) -> Array:
        spread = self.truth.std(0)
        return np.abs(self.residuals) / np.where(spread > 0, spread, 1)

    def answer(self, row: int) -> dict[str, Any]:
        """What a row is and what was said, of its target with the largest error."""
        i = int(self._sizes()[row].argmax())
        named = {"target": self.names[i]} if len(self.names) > 1 else {}
        true, said = float(self.truth[row, i]), float(self.predicted[row, i])
        return {**named, "true": true, "predicted": said, "residual": said - true}

    def measures(self) -> list[dict[str, Any]]:
        """R² (None for a target that never changes), MAE and RMSE of each target."""
        error = self.residuals
        around = self.truth - self.truth.mean(0)
        left = _ratio((error**2).sum(0), (around**2).sum(0))
        r2 = [None if part is None else 1 - part for part in left]
        mae, rmse = np.abs(error).mean(0), np.sqrt((error**2).mean(0))
        keys = ("target", "r2", "mae", "rmse")
        rows = zip(self.names, r2, mae.tolist(), rmse.tolist())
        return [dict(zip(keys, row)) for row in rows]


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
    losses = row_losses(trainer.loss, outputs, data.y, shares, truth)
    return Classified(names, truth, predicted, shares, losses)


def regressed(
    trainer: Any, data: Dataset, outputs: Array, names: list[str]
) -> Regressed | None:
    """The outputs as predictions of quantities; None where they are something else."""
    if semantics.is_classification(trainer.loss):
        return None
    n = len(data)
    truth = np.asarray(data.y, np.float64).reshape(n, -1)
    predicted = np.asarray(outputs, np.float64).reshape(n, -1)
    return (
        Regressed(names, truth, predicted) if truth.shape == predicted.shape else None
    )


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


def _ratio(part: Array, whole: Array) -> list[float | None]:
    """part / whole, None where the whole is 0."""
    return [p / w if w else None for p, w in zip(part.tolist(), whole.tolist())]
