"""Metrics of classification, with the conventions of scikit-learn."""

from __future__ import annotations

import copy
import math
from typing import Any, Literal

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.functions import where
from chainrule.graph.node import Array
from chainrule.graph.types import DType
from chainrule.metrics.base import Batches, Mean, Metric, total
from chainrule.nn import output_semantics as semantics
from chainrule.primitives.creation import iota
from chainrule.primitives.indexing import one_hot_mask
from chainrule.primitives.matmul import dot
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, wrap
from chainrule.text import _, ngettext
from chainrule.util import validation


class ClassMetric(Metric):
    """Base class of classification metrics, which regression cannot use.

    Attributes:
        ignored: the label of samples that count nowhere, or None.
    """

    ignored: int | None = None

    def for_loss(self, loss: Any) -> Metric:
        """Return the classification metric with the label that the loss ignores."""
        metric = copy.copy(self)  # with the name that it may have got
        metric.ignored = getattr(loss, "ignore_index", None)
        return metric

    def known(self, target: Tensor) -> Tensor:
        """Return targets with −1, a label of no class, where they are ignored."""
        if self.ignored is None or not target.dtype.is_integer:
            return target
        return where(target == self.ignored, -1, target.astype("int32"))


class _Hits(ClassMetric, Mean):
    """Base class of shares of samples that are classified well."""

    def batch(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Compute a batch's number of hits and of samples that count."""
        if self.ignored is None or not target.dtype.is_integer:
            return super().batch(prediction, target)
        target = self.known(target)
        hits = self.items(prediction, target).reshape(-1)
        there = target.reshape(-1) >= 0
        return {
            "sum": where(there, hits, False).astype("int32").sum(),
            "count": there.astype("int32").sum(),
        }

    def value(self, batches: Batches, counts: Array) -> float:
        """Compute the share of hits; NaN of no samples that count."""
        counted = total(batches, "count").any()
        return super().value(batches, counts) if counted else math.nan


class _Decided(ClassMetric):
    """Base class of classification metrics of the predicted and the true class."""

    arguments = ("threshold",)

    def __init__(self, threshold: float | None = None) -> None:
        self.threshold = validation.maybe(validation.number)("threshold", threshold)

    def for_loss(self, loss: Any) -> Metric:
        """Return the classification metric with the loss's decision threshold."""
        metric: Any = super().for_loss(loss)
        if self.threshold is None:
            metric.threshold = semantics.threshold(loss)
        return metric


class Accuracy(_Decided, _Hits):
    """The accuracy: the share of correct predictions, from 0 to 1.

    With C scores a sample the largest one decides (the first of equals). A binary
    output decides for class 1 from a threshold on: 0 for scores (``BCEWithLogitsLoss``,
    ``HingeLoss``, ``PerceptronLoss``), ½ for probabilities (``BCELoss``) and for a
    single output of any other network. With a binary loss and several outputs each of
    them is a decision.

    Args:
        threshold: from which output on class 1 is meant; None: by the loss.

    Targets may be class numbers, one-hot rows, or for binary outputs {0, 1} or ±1. Rows
    whose label is the loss's ``ignore_index`` are left out.

    >>> import chainrule as cr
    >>> scores, labels = cr.tensor([[2.0, 1.0], [0.0, 3.0]]), cr.tensor([0, 0])
    >>> cr.metrics.measure("accuracy", scores, labels)
    0.5
    """

    name = "accuracy"

    def items(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return, for each prediction, whether its class is right."""
        pair = semantics.decisions("Accuracy", prediction, target, self.threshold)
        return pair[0] == pair[1]


class TopK(_Hits):
    """The top-k accuracy: the share of true classes among the k largest scores.

    Of equal scores those of the lower classes count as larger, so that ``TopK(1)`` is
    the accuracy.

    Args:
        k: how many classes may be named, at least 1.

    >>> import chainrule as cr
    >>> scores = cr.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    >>> cr.metrics.measure("top2", scores, cr.tensor([1, 2]))
    0.5
    """

    arguments = ("k",)

    def __init__(self, k: int = 5) -> None:
        self.k = validation.whole("k", k)
        self.name = f"top{self.k}"

    def items(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return, for each sample, whether the true class is among the top k."""
        if prediction.ndim != 2 or prediction.shape[1] == 1:
            raise ShapeError(
                _("TopK needs one score a class."),
                expected=_("outputs of shape (N, C)"),
                got=show(prediction.shape),
                fix=_("leave the metric out"),
            )
        truth = semantics.decisions("TopK", prediction, target, None)[1].reshape(-1, 1)
        label = wrap(iota(shape=prediction.shape, axis=1, dtype=DType.int32))
        own = where(label == truth, prediction, 0.0).sum(1, keepdim=True)
        ties = where(label < truth, prediction == own, False)
        ahead = where(prediction > own, True, ties).astype("int32").sum(1)
        return ahead.reshape(-1, 1) < self.k


class _Counted(_Decided):
    """Base class of classification metrics computed from the confusion matrix."""

    def batch(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Compute the confusion matrix of a batch, for a classification metric."""
        who = type(self).__name__
        target = self.known(target)
        pair = semantics.decisions(who, prediction, target, self.threshold)
        classes = semantics.number_of_classes(prediction.shape, self.threshold)
        decided, truth = (
            wrap(one_hot_mask(labels.value, classes)).astype("float32")
            for labels in pair
        )
        return {"counts": wrap(dot(truth.value, decided.value, "nt,nd->td"))}

    def value(self, batches: Batches, counts: Array) -> Any:
        """Compute a classification metric from all batches' confusion matrix."""
        return self.of(total(batches, "counts"))

    def of(self, matrix: Array) -> Any:
        """Compute a classification metric of a confusion matrix (rows: true)."""
        raise self._lacks("of", _("(self, matrix) → number"))


class ConfusionMatrix(_Counted):
    """The confusion matrix: numbers of samples by true and predicted class.

    Decisions are made as for :class:`Accuracy`. The value is an array of shape (C, C)
    of int64; ``History``, whose rows hold single numbers, leaves it out.

    Args:
        threshold: see :class:`Accuracy`.

    >>> import chainrule as cr
    >>> scores = cr.tensor([[2.0, 1.0], [0.0, 3.0], [0.0, 1.0]])
    >>> labels = cr.tensor([0, 0, 1])
    >>> cr.metrics.measure("confusion_matrix", scores, labels)
    array([[1, 1],
           [0, 1]])
    """

    name = "confusion_matrix"
    scalar = False

    def of(self, matrix: Array) -> Array:
        """Return the confusion matrix as int64."""
        return matrix.astype(np.int64)


class _Averaged(_Counted):
    """Base class of metrics of a class against the rest, averaged over classes.

    Of each class TP + FP samples are decided for it, TP + FN belong to it, TP both. 0/0
    counts as 0, as with scikit-learn's ``zero_division=0``.
    """

    arguments = ("average", "threshold")

    def __init__(
        self,
        average: Literal["binary", "macro", "micro", "weighted"] | None = None,
        threshold: float | None = None,
    ) -> None:
        super().__init__(threshold)
        known = validation.choice("binary", "macro", "micro", "weighted")
        self.average = validation.maybe(known)("average", average)

    def batch(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Compute a batch's confusion matrix; refuse a binary one of many classes."""
        classes = semantics.number_of_classes(prediction.shape, self.threshold)
        if self.average == "binary" and classes > 2:
            raise ArgumentError(
                _(
                    "average='binary' is the {name} of class 1 of two.",
                    name=type(self).__name__,
                ),
                expected=_("two classes"),
                got=ngettext("{n} class", "{n} classes", n=classes),
                fix=_("average='macro', or leave it out"),
            )
        return super().batch(prediction, target)

    def of(self, matrix: Array) -> float:
        """Compute the metric, averaged, from a confusion matrix."""
        hits, decided, there = np.diag(matrix), matrix.sum(0), matrix.sum(1)
        if not matrix.sum():
            return math.nan
        if self.average == "micro":
            return float(self.share(hits.sum(), decided.sum(), there.sum()))
        each = self.share(hits, decided, there)
        if self.average == "binary" or (self.average is None and len(matrix) == 2):
            return float(each[1])
        if self.average == "weighted":
            return float(each @ there / there.sum())
        return float(each[decided + there > 0].mean())

    def share(self, hits: Any, decided: Any, there: Any) -> Any:
        """Compute the metric of TP, TP + FP and TP + FN."""
        raise self._lacks("share", _("(self, hits, decided, there) → numbers"))


class F1(_Averaged):
    """The F₁ score 2 TP / (2 TP + FP + FN): harmonic mean of precision and recall.

    Decisions are made as for :class:`Accuracy`. Of two classes it is the F₁ of class 1;
    of more the mean over the classes that occur, in the truth or in the decisions
    (macro). A class that is never hit has 0. NaN of no samples.

    Args:
        average: ``"binary"``, the F₁ of class 1; ``"macro"``, the mean over classes;
            ``"weighted"``, that mean by how many samples a class has; ``"micro"``, of
            all classes' counts together. None: what suits the number of classes.
        threshold: see :class:`Accuracy`.

    Source: scikit-learn, ``f1_score``, with ``zero_division=0``.

    >>> import chainrule as cr
    >>> scores = cr.tensor([[2.0, 1.0], [0.0, 3.0], [0.0, 1.0]])
    >>> f1 = cr.metrics.measure("f1", scores, cr.tensor([0, 0, 1]))
    >>> round(f1, 4)
    0.6667
    """

    name = "f1"

    def share(self, hits: Any, decided: Any, there: Any) -> Any:
        """Compute F₁ = 2 TP / (2 TP + FP + FN)."""
        return 2 * hits / np.maximum(decided + there, 1)


class Precision(_Averaged):
    """The precision TP / (TP + FP): the share of decisions for a class that are right.

    Args:
        average, threshold: see :class:`F1`. A class that is never decided for has 0.

    Source: scikit-learn, ``precision_score``, with ``zero_division=0``.

    >>> import chainrule as cr
    >>> cr.metrics.measure("precision", cr.tensor([0.9, 0.8, 0.2]),
    ...                    cr.tensor([1, 0, 1]))
    0.5
    """

    name = "precision"

    def share(self, hits: Any, decided: Any, there: Any) -> Any:
        """Compute TP / (TP + FP)."""
        return hits / np.maximum(decided, 1)


class Recall(_Averaged):
    """The recall TP / (TP + FN): the share of a class's samples that are found.

    Args:
        average, threshold: see :class:`F1`. A class without samples has 0.

    Source: scikit-learn, ``recall_score``, with ``zero_division=0``.

    >>> import chainrule as cr
    >>> cr.metrics.measure("recall", cr.tensor([0.9, 0.8, 0.2]), cr.tensor([1, 0, 1]))
    0.5
    """

    name = "recall"

    def share(self, hits: Any, decided: Any, there: Any) -> Any:
        """Compute TP / (TP + FN)."""
        return hits / np.maximum(there, 1)


class BalancedAccuracy(_Counted):
    """The balanced accuracy: the mean recall over the classes, Σ TP / (TP + FN) / C.

    Decisions are made as for :class:`Accuracy`. Classes that the truth does not have
    are left out. Whoever always names the commonest class gets 1/C.

    Args:
        threshold: see :class:`Accuracy`.

    Source: scikit-learn, ``balanced_accuracy_score``.

    >>> import chainrule as cr
    >>> scores = cr.tensor([[2.0, 1.0], [0.0, 3.0], [0.0, 1.0]])
    >>> cr.metrics.measure("balanced_accuracy", scores, cr.tensor([0, 0, 1]))
    0.75
    """

    name = "balanced_accuracy"

    def of(self, matrix: Array) -> float:
        """Compute the balanced accuracy, mean TP / (TP + FN), of a confusion matrix."""
        owned = matrix.sum(1)
        there = owned > 0
        if not there.any():
            return math.nan
        return float((np.diag(matrix)[there] / owned[there]).mean())
