"""Metrics of a ranking of samples by their scores, without a threshold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.graph.node import Array
from chainrule.metrics.base import Batches, Metric
from chainrule.metrics.classes import ClassMetric
from chainrule.nn import output_semantics as semantics
from chainrule.tensor import Tensor
from chainrule.util import validation


class _Ranked(ClassMetric):
    """Base class of metrics of the ranking of all samples, class by class.

    Args:
        from_logits: whether C outputs are scores before a softmax, or probabilities.
            None: by the loss; without one, rows of numbers from 0 to 1 that sum to 1
            are probabilities.
    """

    arguments = ("from_logits",)

    def __init__(self, from_logits: bool | None = None) -> None:
        self.threshold: float | None = None
        self.from_logits = validation.maybe(validation.truth)(
            "from_logits", from_logits
        )

    def for_loss(self, loss: Any) -> Metric:
        """Return the metric with the loss's threshold and kind of outputs."""
        metric: Any = super().for_loss(loss)
        metric.threshold = semantics.threshold(loss)
        if metric.from_logits is None:
            metric.from_logits = semantics.from_logits(loss)
        return metric

    def batch(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return a batch's scores and true classes."""
        n, who = prediction.shape[0], type(self).__name__
        target = self.known(target)
        truth = semantics.decisions(who, prediction, target, self.threshold)[1]
        width = math.prod(prediction.shape[1:])
        single = self.threshold is None and width > 1  # one of C classes
        return {
            "scores": prediction.reshape(n, width),
            "truth": truth.reshape(n, 1 if single else width),
        }

    def rankings(self, batches: Batches) -> tuple[Array, Array]:
        """Return scores (n, k) and which samples are positive, for k rankings."""
        scores = np.concatenate([b["scores"] for b in batches]).astype(np.float64)
        labels = np.concatenate([b["truth"] for b in batches])
        if scores.shape[1] > labels.shape[1]:  # one of C classes
            return self._against_the_rest(scores, labels)
        return scores, labels > 0

    def _against_the_rest(self, scores: Array, labels: Array) -> tuple[Array, Array]:
        """Return, per class, scores and class membership one against the rest.

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


class ROCAUC(_Ranked):
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

    def value(self, batches: Batches, counts: Array) -> float:
        """Compute the mean area under the ROC curves of the classes or outputs."""
        scores, positive = self.rankings(batches)
        areas = np.array([_area(s, t) for s, t in zip(scores.T, positive.T)])
        known = areas[~np.isnan(areas)]
        return float(known.mean()) if len(known) else math.nan


class AveragePrecision(_Ranked):
    """The average precision Σₙ (Rₙ − Rₙ₋₁) Pₙ: the area under precision over recall.

    Precision Pₙ and recall Rₙ of the class are those of the threshold at each different
    score, from the highest down; samples of equal scores come together. The share of
    positive samples is chance.

    Of two classes it is that of class 1; of more (or of several binary outputs) that of
    each against the rest, averaged. A class without samples has none and is left out
    (scikit-learn counts 0 and warns); NaN where that leaves nothing.

    Args:
        average: ``"macro"``, the mean; ``"weighted"``, by how many samples a class has;
            ``"micro"``, of all classes' rankings in one.
        from_logits: see :class:`ROCAUC`.

    Source: scikit-learn, ``average_precision_score``.

    >>> import chainrule as cr
    >>> value = cr.metrics.measure("average_precision",
    ...                            cr.tensor([0.1, 0.4, 0.35, 0.8]),
    ...                            cr.tensor([0, 0, 1, 1]))
    >>> round(value, 4)
    0.8333
    """

    name = "average_precision"
    arguments = ("average", "from_logits")

    def __init__(self, average: str = "macro", from_logits: bool | None = None) -> None:
        super().__init__(from_logits)
        check = validation.choice("macro", "micro", "weighted")
        self.average = check("average", average)

    def value(self, batches: Batches, counts: Array) -> float:
        """Compute the average precision of the classes or outputs, averaged."""
        scores, positive = self.rankings(batches)
        if self.average == "micro":
            scores, positive = scores.reshape(-1, 1), positive.reshape(-1, 1)
        each = np.array([_precision(s, t) for s, t in zip(scores.T, positive.T)])
        known, sizes = ~np.isnan(each), positive.sum(0)
        if not known.any():
            return math.nan
        weights = sizes[known] if self.average == "weighted" else None
        return float(np.average(each[known], weights=weights))


def _precision(scores: Array, positive: Array) -> float:
    """Compute the average precision of one class; NaN where no sample is of it.

    >>> _precision(np.array([1.0, 2.0, 2.0]), np.array([True, True, False]))
    0.5833333333333333
    """
    ones = int(positive.sum())
    if not ones:
        return math.nan
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(positive[order])
    last = np.append(ranked[1:] != ranked[:-1], True)  # of those with equal scores
    found, taken = hits[last], np.flatnonzero(last) + 1
    return float(np.diff(found, prepend=0) @ (found / taken) / ones)


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
