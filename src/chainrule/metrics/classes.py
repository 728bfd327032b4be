"""Metrics of classification, with the conventions of scikit-learn."""

from __future__ import annotations

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
from chainrule.text import _
from chainrule.util import validation


class ClassMetric(Metric):
    """Base class of classification metrics, which regression cannot use."""


class _Decided(ClassMetric):
    """Base class of classification metrics of the predicted and the true class."""

    arguments = ("threshold",)

    def __init__(self, threshold: float | None = None) -> None:
        self.threshold = validation.maybe(validation.number)("threshold", threshold)

    def for_loss(self, loss: Any) -> Metric:
        """Return the classification metric with the loss's decision threshold."""
        cut = semantics.threshold(loss)
        if self.threshold is not None or cut is None:
            return self
        return type(self)(threshold=cut)


class Accuracy(_Decided, Mean):
    """The accuracy: the share of correct predictions, from 0 to 1.

    With C scores a sample the largest one decides (the first of equals). A binary
    output decides for class 1 from a threshold on: 0 for scores (``BCEWithLogitsLoss``,
    ``HingeLoss``, ``PerceptronLoss``), ½ for probabilities (``BCELoss``) and for a
    single output of any other network. With a binary loss and several outputs each of
    them is a decision.

    Args:
        threshold: from which output on class 1 is meant; None: by the loss.

    Targets may be class numbers, one-hot rows, or for binary outputs {0, 1} or ±1.

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


class TopK(ClassMetric, Mean):
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


class F1(_Counted):
    """The F₁ score 2 TP / (2 TP + FP + FN): harmonic mean of precision and recall.

    Decisions are made as for :class:`Accuracy`. Of two classes it is the F₁ of class 1;
    of more the mean over the classes that occur, in the truth or in the decisions
    (macro). A class that is never hit has 0.

    Args:
        average: ``"binary"``, the F₁ of class 1, or ``"macro"``; None: what suits the
            number of classes.
        threshold: see :class:`Accuracy`.

    Source: scikit-learn, ``f1_score``, with ``zero_division=0``.

    >>> import chainrule as cr
    >>> scores = cr.tensor([[2.0, 1.0], [0.0, 3.0], [0.0, 1.0]])
    >>> f1 = cr.metrics.measure("f1", scores, cr.tensor([0, 0, 1]))
    >>> round(f1, 4)
    0.6667
    """

    name = "f1"
    arguments = ("average", "threshold")

    def __init__(
        self,
        average: Literal["binary", "macro"] | None = None,
        threshold: float | None = None,
    ) -> None:
        super().__init__(threshold)
        known = validation.choice("binary", "macro")
        self.average = validation.maybe(known)("average", average)

    def batch(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Compute a batch's confusion matrix; refuse a binary F₁ of many classes."""
        classes = semantics.number_of_classes(prediction.shape, self.threshold)
        if self.average == "binary" and classes > 2:
            raise ArgumentError(
                _("average='binary' is the F₁ of class 1 of two."),
                expected=_("two classes"),
                got=_("{classes} classes", classes=classes),
                fix=_("average='macro', or leave it out"),
            )
        return super().batch(prediction, target)

    def of(self, matrix: Array) -> float:
        """Compute F₁ = 2 TP / (2 TP + FP + FN) from a confusion matrix."""
        sizes = matrix.sum(0) + matrix.sum(1)
        each = 2 * np.diag(matrix) / np.maximum(sizes, 1)
        if len(matrix) == 2 and self.average != "macro":
            return float(each[1])
        return float(each[sizes > 0].mean())


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
        return float((np.diag(matrix)[there] / owned[there]).mean())


class ROCAUC(_Decided):
    """The area under the ROC curve (AUC).

    The share of all pairs, of one sample of the class and one of another class, in
    which the first has the higher score; equal scores count ½ (Mann & Whitney 1947).
    ½ is chance. It is exact: the scores of all batches are compared, and no threshold
    is used.

    With C > 2 scores a sample the mean over the classes, each against the rest, ranked
    by its probability; of several binary outputs the mean over them. A class that all
    samples have, or none, has no area and is left out; NaN where that leaves nothing.

    Args:
        from_logits: whether C outputs are scores before a softmax, or probabilities.
            None: by the loss; without one, rows of numbers from 0 to 1 that sum to 1
            are probabilities.

    Source: scikit-learn, ``roc_auc_score(…, multi_class="ovr")``, which refuses absent
    classes.

    >>> import chainrule as cr
    >>> cr.metrics.measure("roc_auc", cr.tensor([0.1, 0.4, 0.35, 0.8]),
    ...                    cr.tensor([0, 0, 1, 1]))
    0.75
    """

    name = "roc_auc"
    arguments = ("from_logits",)

    def __init__(self, from_logits: bool | None = None) -> None:
        super().__init__(None)
        self.from_logits = validation.maybe(validation.truth)(
            "from_logits", from_logits
        )

    def for_loss(self, loss: Any) -> Metric:
        """Return the ROC AUC metric with the loss's threshold and kind of outputs."""
        metric = ROCAUC(self.from_logits)
        metric.threshold = semantics.threshold(loss)
        if metric.from_logits is None:
            metric.from_logits = semantics.from_logits(loss)
        return metric

    def batch(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return a batch's scores and true classes, for the ROC curve."""
        n = prediction.shape[0]
        pair = semantics.decisions("ROCAUC", prediction, target, self.threshold)
        return {"scores": prediction.reshape(n, -1), "truth": pair[1].reshape(n, -1)}

    def value(self, batches: Batches, counts: Array) -> float:
        """Compute the mean area under the ROC curves of the classes or outputs."""
        scores = np.concatenate([b["scores"] for b in batches]).astype(np.float64)
        labels = np.concatenate([b["truth"] for b in batches])
        if scores.shape[1] > labels.shape[1]:  # one of C classes
            scores, labels = self._against_the_rest(scores, labels)
        areas = np.array([_area(s, t > 0) for s, t in zip(scores.T, labels.T)])
        known = areas[~np.isnan(areas)]
        return float(known.mean()) if len(known) else math.nan

    def _against_the_rest(self, scores: Array, labels: Array) -> tuple[Array, Array]:
        """Return, per class, scores and class membership for a one-vs-rest ROC curve.

        Of two classes the second alone. Of scores z the log-odds ln p − ln (1 − p) rank
        as the probabilities do, and do not run into 1.
        """
        classes = scores.shape[1]
        there = (labels[:, 0] >= 0) & (labels[:, 0] < classes)
        scores, labels = scores[there], labels[there]
        probabilities = self.from_logits is False or (
            self.from_logits is None
            and bool(((scores >= 0) & (scores <= 1)).all())
            and bool((np.abs(scores.sum(1) - 1) < 1e-3).all())
        )
        if not probabilities:
            z = scores - scores.max(1, keepdims=True)
            # In order, so that rows of the same numbers are equal to the last bit.
            rest = [np.sort(np.delete(z, c, axis=1)) for c in range(classes)]
            most = np.stack([r[:, -1] for r in rest], 1)
            sums = [np.exp(r - r[:, -1:]).sum(1) for r in rest]
            scores = z - most - np.log(np.stack(sums, 1))
        own = np.arange(classes) == labels
        first = 1 if classes == 2 else 0
        return scores[:, first:], own[:, first:]


def _area(scores: Array, positive: Array) -> float:
    """Compute the area under the ROC curve of one class; NaN without any pair.

    >>> _area(np.array([1.0, 2.0, 2.0]), np.array([False, True, False]))
    0.75
    """
    ones = int(positive.sum())
    pairs = ones * (len(positive) - ones)
    if not pairs:
        return math.nan
    __, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # equal ones share the mean
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / pairs)
