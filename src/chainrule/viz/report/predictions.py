"""A trained network's predictions on a data set, with their accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.data import Dataset
from chainrule.errors import ArgumentError
from chainrule.graph.node import Array
from chainrule.metrics import evaluation
from chainrule.metrics.evaluation import Mistake
from chainrule.nn import output_semantics as semantics
from chainrule.viz.decision_regions import class_names


@dataclass(frozen=True)
class Classified:
    """A classifier's predictions with the true classes.

    Attributes:
        names: of the classes.
        truth: (n,) true classes.
        predicted: (n,) predicted classes.
        shares: (n, classes) probabilities, or None where the network gives none.
    """

    names: list[str]
    truth: Array
    predicted: Array
    shares: Array | None

    @property
    def confusion(self) -> Array:
        """A classifier's confusion matrix of counts: a row for each true class."""
        size = len(self.names)
        pairs = np.bincount(self.truth * size + self.predicted, minlength=size**2)
        return pairs.reshape(size, size)

    def answer(self, wrong: Mistake) -> dict[str, Any]:
        """Return a misclassified row: true and predicted class, probability, loss."""
        said = int(self.predicted[wrong.row])
        return {
            "row": wrong.row,
            "true": self.names[int(self.truth[wrong.row])],
            "predicted": self.names[said],
            "probability": None
            if self.shares is None
            else self.shares[wrong.row, said],
            "loss": None if np.isnan(wrong.cost) else wrong.cost,
        }

    def confused(self, most: int) -> list[dict[str, Any]]:
        """Return a classifier's most frequent confusions of one class with another."""
        counts = self.confusion
        owned = counts.sum(1)
        np.fill_diagonal(counts, 0)
        confusions = []
        for place in np.argsort(-counts, axis=None, kind="stable")[:most].tolist():
            true, said = divmod(place, len(self.names))
            if count := int(counts[true, said]):
                pair = {"true": self.names[true], "predicted": self.names[said]}
                confusions.append(
                    {**pair, "count": count, "share": count / owned[true]}
                )
        return confusions

    def by_class(self) -> list[dict[str, Any]]:
        """Return precision, recall, F₁ and row count of each class."""
        counts = self.confusion
        right, called, owned = np.diag(counts), counts.sum(0), counts.sum(1)
        rates = _ratio(right, called), _ratio(right, owned)
        f1 = _ratio(2 * right, called + owned)
        keys = ("class", "precision", "recall", "f1", "rows")
        rows = zip(self.names, *rates, f1, owned.tolist())
        return [dict(zip(keys, row)) for row in rows]

    def weakest(self, most: int) -> list[dict[str, Any]]:
        """Return the classes with the lowest F₁, undefined values last."""
        rows = self.by_class()
        return sorted(rows, key=lambda row: 2 if row["f1"] is None else row["f1"])[
            :most
        ]


@dataclass(frozen=True)
class Regressed:
    """A regression's predictions with the true values, (n, targets) each."""

    names: list[str]
    truth: Array
    predicted: Array

    @property
    def residuals(self) -> Array:
        """The residuals ŷ − y of a regression."""
        return self.predicted - self.truth

    def answer(self, wrong: Mistake) -> dict[str, Any]:
        """Return a badly predicted row: true and predicted value, and residual."""
        row, i = wrong.row, wrong.target
        named = {"target": self.names[i]} if len(self.names) > 1 else {}
        true, said = float(self.truth[row, i]), float(self.predicted[row, i])
        answer = {"true": true, "predicted": said, "residual": wrong.cost}
        return {"row": row, **named, **answer}

    def measures(self) -> list[dict[str, Any]]:
        """Return R² (None for a constant target), MAE and RMSE of each target."""
        error = self.residuals
        around = self.truth - self.truth.mean(0)
        left = _ratio((error**2).sum(0), (around**2).sum(0))
        r2 = [None if part is None else 1 - part for part in left]
        mae, rmse = np.abs(error).mean(0), np.sqrt((error**2).mean(0))
        keys = ("target", "r2", "mae", "rmse")
        rows = zip(self.names, r2, mae.tolist(), rmse.tolist())
        return [dict(zip(keys, row)) for row in rows]


def classified(trainer: Any, data: Dataset, outputs: Array) -> Classified | None:
    """Return network outputs as predicted classes, or None for a regression."""
    pair = evaluation.decisions(trainer, data, outputs)
    if pair is None:
        return None
    predicted, truth = pair
    cut = semantics.threshold(trainer.loss)
    classes = max(semantics.number_of_classes(outputs.shape, cut), int(truth.max()) + 1)
    names = class_names(data, trainer.class_names)[:classes]
    names += [str(c) for c in range(len(names), classes)]
    return Classified(names, truth, predicted, _shares(trainer, data))


def regressed(
    trainer: Any, data: Dataset, outputs: Array, names: list[str]
) -> Regressed | None:
    """Return network outputs as a regression's predictions, or None for classes."""
    if evaluation.is_classification(trainer, data, outputs):
        return None
    n = len(data)
    truth = np.asarray(data.y, np.float64).reshape(n, -1)
    predicted = np.asarray(outputs, np.float64).reshape(n, -1)
    return (
        Regressed(names, truth, predicted) if truth.shape == predicted.shape else None
    )


def _shares(trainer: Any, data: Dataset) -> Array | None:
    """Return predicted (n, classes) probabilities, or None if there are none."""
    try:
        predicted = trainer.predict(data, output="probabilities")
    except ArgumentError:
        return None
    shares = np.asarray(predicted, np.float64).reshape(len(data), -1)
    return shares if shares.shape[1] > 1 else np.hstack([1 - shares, shares])


def _ratio(part: Array, whole: Array) -> list[float | None]:
    """Return the ratios part / whole of two arrays, None where the whole is 0."""
    return [p / w if w else None for p, w in zip(part.tolist(), whole.tolist())]
