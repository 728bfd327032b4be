"""Losses of the standard: the negative log-likelihood and the cross-entropy."""

from __future__ import annotations

from typing import Any

from chainrule import functions as fn
from chainrule.errors import ArgumentError
from chainrule.interop.onnx.reader.table import operator
from chainrule.tensor import Tensor
from chainrule.text import _


@operator("NegativeLogLikelihoodLoss", since=12)
def negative_log_likelihood(
    logs: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int | None = None,
    reduction: str = "mean",
) -> Tensor:
    """−w_y ln p_y of (N, C, …) at labels (N, …); ignored ones weigh 0."""
    label = target.astype("int64")
    ignored = None if ignore_index is None else label == ignore_index
    if ignored is not None:
        label = fn.where(ignored, fn.zeros_like(label), label)
    picked = fn.squeeze(fn.gather(logs, 1, fn.unsqueeze(label, 1)), 1)
    if weight is None:
        share = fn.ones_like(picked)
    else:
        share = fn.reshape(
            fn.take(weight, fn.reshape(label, (-1,)), dim=0), tuple(label.shape)
        )
    if ignored is not None:
        share = fn.where(ignored, fn.zeros_like(share), share)
    loss = fn.where(share == 0, fn.zeros_like(picked), -picked * share)
    if reduction == "none":
        return loss
    if reduction == "sum":
        return fn.sum(loss)
    if reduction != "mean":
        raise ArgumentError(
            _("There is no such reduction."),
            expected="none, sum, mean",
            got=f"{reduction!r:.40}",
        )
    if weight is None and ignored is None:
        return fn.mean(loss)
    return fn.sum(loss) / fn.sum(share)


@operator("SoftmaxCrossEntropyLoss", since=12)
def softmax_cross_entropy(
    scores: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int | None = None,
    reduction: str = "mean",
) -> tuple[Any, ...]:
    """The loss, and the logarithms of the probabilities."""
    logs = fn.log_softmax(scores, dim=1)
    loss = negative_log_likelihood(
        logs, target, weight, ignore_index=ignore_index, reduction=reduction
    )
    return loss, logs
