"""Metrics of probabilities: log loss and Brier score."""

from __future__ import annotations

import math
from typing import Any

from chainrule import nn
from chainrule.errors import ArgumentError
from chainrule.functions import where
from chainrule.graph.types import DType
from chainrule.metrics.base import Batches, Metric, total
from chainrule.metrics.classes import ClassMetric
from chainrule.nn import output_semantics as semantics
from chainrule.nn.losses.checks import check_distributions, check_unit, checked
from chainrule.primitives.indexing import one_hot_mask
from chainrule.tensor import Tensor, wrap
from chainrule.text import _
from chainrule.util import validation

#: Losses behind which outputs are probabilities, or scores of some.
_LOSSES = (
    *(nn.CrossEntropyLoss, nn.NLLLoss),
    *(nn.KLDivergence, nn.KLDivLoss),
    *(nn.BCELoss, nn.BCEWithLogitsLoss),
)


class _OfProbabilities(ClassMetric):
    """Base class of means over samples of a function of probabilities and the truth.

    Args:
        from_logits: whether outputs are scores, before a softmax or a sigmoid. None: by
            the loss; without one of probabilities, outputs have to be some.
    """

    arguments = ("from_logits",)
    mode = "min"

    def __init__(self, from_logits: bool | None = None) -> None:
        self.binary = False
        self.from_logits = validation.maybe(validation.truth)(
            "from_logits", from_logits
        )

    def for_loss(self, loss: Any) -> Metric:
        """Return the metric with the loss's kind of outputs.

        Raises:
            ArgumentError: a loss of scores that are no probabilities, as of margins.
        """
        metric: Any = super().for_loss(loss)
        metric.binary = semantics.threshold(loss) is not None
        if isinstance(loss, _LOSSES):
            if metric.from_logits is None:
                binary = isinstance(loss, nn.BCEWithLogitsLoss)
                metric.from_logits = binary or bool(semantics.from_logits(loss))
        elif semantics.is_classification(loss) and self.from_logits is None:
            raise ArgumentError(
                _(
                    "{metric} needs probabilities, and a network under {loss} gives "
                    "other scores.",
                    metric=type(self).__name__,
                    loss=type(loss).__name__,
                ),
                expected=_("a loss of probabilities, such as nn.CrossEntropyLoss()"),
                got=type(loss).__name__,
                fix=_("leave the metric out"),
            )
        return metric

    def batch(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Compute a batch's sum and number of samples; labels of no class are left out.

        Raises:
            ArgumentError: outputs that are no probabilities.
        """
        z, target = prediction.astype("float64"), self.known(target)
        if self.binary or prediction.ndim == 1 or prediction.shape[-1] == 1:
            return self._of_two(z.reshape(-1), prediction, target)
        classes = prediction.shape[-1]
        if target.shape == prediction.shape:
            rows = target.astype("float64")
            counted = rows.sum(-1) * 0 + 1
        else:
            cut = semantics.decisions(type(self).__name__, prediction, target, None)
            assert isinstance(classes, int)
            mask = wrap(one_hot_mask(cut[1].value, classes))
            rows = mask.astype("float64")
            counted = rows.sum(-1)
        if self.from_logits:
            logs = z.log_softmax(-1)
        else:
            fix = _("from_logits=True for scores before a softmax")
            who, what = type(self).__name__, _("the prediction")
            z = checked(z, lambda a: check_distributions(who, what, a, fix))
            logs = self._log(z, prediction.dtype)
        each = self.of_rows(logs, z.softmax(-1) if self.from_logits else z, rows)
        return {"sum": where(counted > 0, each, 0.0).sum(), "count": counted.sum()}

    def _of_two(
        self, z: Tensor, prediction: Tensor, target: Tensor
    ) -> dict[str, Tensor]:
        """Compute a batch's sum and number of binary outputs."""
        who = type(self).__name__
        y = semantics.decisions(who, prediction, target, 0.5)[1].astype("float64")
        if self.from_logits:
            logs = [nn.functional.logsigmoid(z), nn.functional.logsigmoid(-z)]
            p = z.sigmoid()
        else:
            fix = _("from_logits=True for scores before a sigmoid")
            p = checked(z, lambda a: check_unit(who, _("the prediction"), a, fix))
            logs = [self._log(p, prediction.dtype), self._log(1 - p, prediction.dtype)]
        each = self.of_two(logs[0], logs[1], p, y)
        return {"sum": each.sum(), "count": (y * 0 + 1).sum()}

    @staticmethod
    def _log(p: Tensor, dtype: DType) -> Tensor:
        """Return ln p, with p from ε of its dtype to 1 − ε, as scikit-learn cuts it."""
        eps = float(dtype.limits.eps) if dtype.is_float else 0.0
        return p.clamp(eps, 1 - eps).log()

    def of_rows(self, logs: Tensor, p: Tensor, y: Tensor) -> Tensor:
        """Compute the numbers of samples, of ln p, p and y, all (n, C)."""
        raise self._lacks("of_rows", _("(self, logs, p, y) → tensor"))

    def of_two(self, ones: Tensor, zeros: Tensor, p: Tensor, y: Tensor) -> Tensor:
        """Compute the numbers of binary outputs, of ln p, ln (1 − p), p and y."""
        raise self._lacks("of_two", _("(self, ones, zeros, p, y) → tensor"))

    def value(self, batches: Batches, counts: Any) -> float:
        """Compute the mean over the samples of all batches; NaN of none."""
        count = total(batches, "count")
        return float(total(batches, "sum") / count) if count else math.nan


class LogLoss(_OfProbabilities):
    """The log loss −Σ y ln p, a mean over samples: the cross-entropy, in float64.

    Of scores ln p is worked out as a log-softmax; of probabilities p counts as at least
    the ε of its dtype, as in scikit-learn. Targets are class numbers, rows y (one-hot
    or shares), or for binary outputs 0 and 1 or ±1.

    Args:
        from_logits: whether outputs are scores; None: by the loss, else probabilities.

    Source: scikit-learn, ``log_loss``.

    >>> import chainrule as cr
    >>> p, y = cr.tensor([[0.5, 0.5], [0.25, 0.75]]), cr.tensor([0, 1])
    >>> round(cr.metrics.measure("log_loss", p, y), 4)  # (ln 2 + ln 4/3) / 2
    0.4904
    """

    name = "log_loss"

    def of_rows(self, logs: Tensor, p: Tensor, y: Tensor) -> Tensor:
        """Compute −Σ y ln p of each sample."""
        return -where(y == 0.0, 0.0, y * logs).sum(-1)

    def of_two(self, ones: Tensor, zeros: Tensor, p: Tensor, y: Tensor) -> Tensor:
        """Compute −ln p where y is 1, else −ln (1 − p)."""
        return -where(y == 1.0, ones, zeros)


class BrierScore(_OfProbabilities):
    """The Brier score Σ (p − y)² over the classes, a mean over samples.

    Of two classes it is (p₁ − y)², half of that sum, as in scikit-learn.

    Args:
        from_logits: see :class:`LogLoss`.

    Source: Brier 1950; scikit-learn, ``brier_score_loss``.

    >>> import chainrule as cr
    >>> cr.metrics.measure("brier_score", cr.tensor([0.5, 1.0]), cr.tensor([0, 1]))
    0.125
    """

    name = "brier_score"

    def of_rows(self, logs: Tensor, p: Tensor, y: Tensor) -> Tensor:
        """Compute Σ (p − y)² of each sample, halved of two classes."""
        squares = ((p - y) ** 2).sum(-1)
        return squares / 2 if p.shape[-1] == 2 else squares

    def of_two(self, ones: Tensor, zeros: Tensor, p: Tensor, y: Tensor) -> Tensor:
        """Compute (p − y)²."""
        return (p - y) ** 2
