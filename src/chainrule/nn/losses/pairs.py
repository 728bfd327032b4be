"""Losses of pairs, of triplets, and of a predicted mean and variance."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from chainrule.errors import ShapeError
from chainrule.functions import maximum, where
from chainrule.graph.context import get_default_dtype
from chainrule.nn.arguments import ReductionName, flag, number
from chainrule.nn.function import as_loss_function
from chainrule.nn.losses.base import Reduction
from chainrule.nn.losses.checks import check_nonnegative, check_two_labels, checked
from chainrule.nn.similarity import pairwise_distance
from chainrule.operations.narrow import from_single
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _

__all__ = [
    "CosineEmbeddingLoss",
    "GaussianNLLLoss",
    "MarginRankingLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
    "cosine_embedding_loss",
    "gaussian_nll_loss",
    "margin_ranking_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]


class PairLoss(Reduction):
    """Base class of losses with other inputs than a prediction and a target: pairs."""

    def same_shape(self, **inputs: Any) -> list[Tensor]:
        """Check that a loss's inputs have one shape; convert them to one dtype."""
        tensors = {name: as_tensor(x) for name, x in inputs.items()}
        first = next(iter(tensors.values()))
        if not first.dtype.is_float:
            first = first.astype(get_default_dtype())
        for name, t in tensors.items():
            if t.shape != first.shape:
                raise ShapeError(
                    _("{kind} takes tensors of one shape.", kind=type(self).__name__),
                    expected=_(
                        "{name} of shape {shape}", name=name, shape=show(first.shape)
                    ),
                    got=show(t.shape),
                )
        return [t.astype(first.dtype) for t in tensors.values()]

    def signs(self, target: Any, like: Tensor, shape: Any) -> Tensor:
        """Check the labels ±1 of pairs, and return them in the dtype of ``like``."""
        y = as_tensor(target)
        if y.shape != shape:
            raise ShapeError(
                _("{kind} takes one label a pair.", kind=type(self).__name__),
                expected=show(shape),
                got=show(y.shape),
            )
        allowed = (type(self).__name__, (-1, 1), (0, 1), "y = 2*y - 1")
        y = checked(y, lambda a: check_two_labels(allowed[0], a, *allowed[1:]))
        return y.astype(like.dtype)


class MarginRankingLoss(PairLoss):
    """max(0, margin − y (x₁ − x₂)): x₁ shall be above x₂ where y = 1, below for −1.

    Args:
        margin: by how much.

    >>> import chainrule as cr
    >>> x1, x2 = cr.tensor([1.0, 3.0]), cr.tensor([2.0, 0.0])
    >>> cr.nn.MarginRankingLoss()(x1, x2, cr.tensor([1, 1]))
    tensor(0.5)
    """

    def __init__(
        self, margin: float = 0.0, *, reduction: ReductionName = "mean"
    ) -> None:
        super().__init__(reduction=reduction)
        self.margin = number("MarginRankingLoss", "margin", margin)

    @from_single
    def forward(
        self, input1: Any, input2: Any, target: Any, sample_weight: Any = None
    ) -> Tensor:
        """Compute the margin ranking loss of pairs (x₁, x₂) with labels ±1."""
        a, b = self.same_shape(input1=input1, input2=input2)
        y = self.signs(target, a, a.shape)
        losses = (self.margin - y * (a - b)).relu()
        return self.reduced(losses, None, sample_weight)


class CosineEmbeddingLoss(PairLoss):
    """1 − cos(x₁, x₂) where y = 1, max(0, cos(x₁, x₂) − margin) where y = −1.

    Args:
        margin: the cosine that things of different kinds may have.

    Shapes:
        x₁ and x₂ (n, d) or (d,), y (n,) or ().

    >>> import chainrule as cr
    >>> x1, x2 = cr.tensor([[1.0, 0.0]]), cr.tensor([[0.0, 1.0]])
    >>> cr.nn.CosineEmbeddingLoss()(x1, x2, cr.tensor([1]))
    tensor(1.)
    """

    def __init__(
        self, margin: float = 0.0, *, reduction: ReductionName = "mean"
    ) -> None:
        super().__init__(reduction=reduction)
        self.margin = number("CosineEmbeddingLoss", "margin", margin)

    @from_single
    def forward(
        self, input1: Any, input2: Any, target: Any, sample_weight: Any = None
    ) -> Tensor:
        """Compute the cosine embedding loss of pairs of vectors with labels ±1."""
        a, b = self.same_shape(input1=input1, input2=input2)
        if a.ndim not in (1, 2):
            raise ShapeError(
                _("CosineEmbeddingLoss takes vectors."),
                expected=_("(n, d) or (d,)"),
                got=show(a.shape),
            )
        y = self.signs(target, a, a.shape[:-1])
        tiny = 1e-12
        lengths = ((a * a).sum(-1) + tiny) * ((b * b).sum(-1) + tiny)
        cosine = (a * b).sum(-1) / lengths.sqrt()
        losses = where(y == 1.0, 1.0 - cosine, (cosine - self.margin).relu())
        return self.reduced(losses, None, sample_weight)


class TripletMarginLoss(PairLoss):
    """max(0, d(a, p) − d(a, n) + margin): an anchor, one of its kind, one of another.

    d(x, y) = ‖x − y + ε‖ₚ.

    Args:
        margin: by how much the other shall be farther away, > 0.
        p: of the norm, > 0.
        eps: ε, which keeps the derivative finite where x = y.
        swap: whether d(p, n) counts in place of d(a, n) where it is smaller.

    Shapes:
        all three (…, d).

    Source: Balntas et al. 2016, "Learning local feature descriptors with triplets".

    >>> import chainrule as cr
    >>> anchor, near, far = ([[0.0]], [[1.0]], [[1.5]])
    >>> cr.nn.TripletMarginLoss(p=1, eps=0)(anchor, near, far)
    tensor(0.5)
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        *,
        reduction: ReductionName = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        kind = "TripletMarginLoss"
        self.margin = number(kind, "margin", margin, above=0)
        self.p = number(kind, "p", p, above=0)
        self.eps = number(kind, "eps", eps, least=0)
        self.swap = flag(kind, "swap", swap)

    @from_single
    def forward(
        self, anchor: Any, positive: Any, negative: Any, sample_weight: Any = None
    ) -> Tensor:
        """Compute the triplet margin loss of (anchor, positive, negative)."""
        a, near, far = self.same_shape(
            anchor=anchor, positive=positive, negative=negative
        )

        def distance(x: Tensor, y: Tensor) -> Tensor:
            return (x - y + self.eps).norm(self.p, -1)

        apart = distance(a, far)
        if self.swap:
            apart = -maximum(-apart, -distance(near, far))
        losses = (distance(a, near) - apart + self.margin).relu()
        return self.reduced(losses, None, sample_weight)


class TripletMarginWithDistanceLoss(PairLoss):
    """:class:`TripletMarginLoss` with a distance of your own.

    Args:
        distance_function: of two tensors; by default the Euclidean one,
            ``nn.PairwiseDistance()``.
        margin: by how much the other shall be farther away, > 0.
        swap: whether d(p, n) counts in place of d(a, n) where it is smaller.

    >>> import chainrule as cr
    >>> loss = cr.nn.TripletMarginWithDistanceLoss(
    ...     distance_function=lambda x, y: (x - y).abs().sum(-1)
    ... )
    >>> loss([[0.0]], [[1.0]], [[1.5]])
    tensor(0.5)
    """

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: ReductionName = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        kind = "TripletMarginWithDistanceLoss"
        self.distance_function = distance_function or pairwise_distance
        self.margin = number(kind, "margin", margin, above=0)
        self.swap = flag(kind, "swap", swap)

    @from_single
    def forward(
        self, anchor: Any, positive: Any, negative: Any, sample_weight: Any = None
    ) -> Tensor:
        """Compute the triplet margin loss of (anchor, positive, negative)."""
        inputs = {"anchor": anchor, "positive": positive, "negative": negative}
        a, near, far = self.same_shape(**inputs)
        distance = self.distance_function
        apart = distance(a, far)
        if self.swap:
            apart = -maximum(-apart, -distance(near, far))
        losses = (distance(a, near) - apart + self.margin).relu()
        return self.reduced(losses, None, sample_weight)


class GaussianNLLLoss(PairLoss):
    """The negative log-likelihood of targets y under N(ŷ, σ²), both predicted.

        ℓ = ½ (ln σ² + (ŷ − y)²/σ²) [+ ½ ln 2π],    σ² at least ε.

    Args:
        full: whether the constant ½ ln 2π is added.
        eps: ε; a smaller variance counts as that, and its derivative is taken there.

    Shapes:
        prediction and target of one shape; the variance too, or with axes of length 1,
        or without the last axis, or a number.

    Raises:
        ArgumentError: a negative variance.
        ShapeError: other shapes.

    Source: Nix & Weigend 1994, "Estimating the mean and variance of the target".

    >>> import chainrule as cr
    >>> cr.nn.GaussianNLLLoss()(cr.tensor([1.0]), cr.tensor([3.0]), cr.tensor([4.0]))
    tensor(1.1931472)
    """

    def __init__(
        self,
        *,
        full: bool = False,
        eps: float = 1e-6,
        reduction: ReductionName = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        self.full = flag("GaussianNLLLoss", "full", full)
        self.eps = number("GaussianNLLLoss", "eps", eps, above=0)

    @from_single
    def forward(
        self, input: Any, target: Any, var: Any, sample_weight: Any = None
    ) -> Tensor:
        """Compute the Gaussian loss of predicted means and variances."""
        mean, y = self.same_shape(input=input, target=target)
        var = as_tensor(var).astype(mean.dtype)
        fix = "end this output in nn.Softplus(), or take its exponential"
        what = ("GaussianNLLLoss", _("the variance"))
        var = checked(var, lambda a: check_nonnegative(*what, a, fix))
        if var.shape == mean.shape[:-1] and mean.ndim and var.shape != mean.shape:
            var = var.reshape(*var.shape, 1)
        if var.ndim and not (
            var.ndim == mean.ndim
            and all(n in (m, 1) for n, m in zip(var.shape, mean.shape))
        ):
            raise ShapeError(
                _("GaussianNLLLoss takes a variance for each prediction."),
                expected=show(mean.shape),
                got=show(var.shape),
            )
        clamped = var + (maximum(var, self.eps) - var).detach()
        error = mean - y
        losses = 0.5 * (clamped.log() + error * error / clamped)
        if self.full:
            losses = losses + 0.5 * math.log(2 * math.pi)
        return self.reduced(losses, None, sample_weight)


cosine_embedding_loss: Callable[..., Tensor] = as_loss_function(
    CosineEmbeddingLoss, "cosine_embedding_loss"
)
gaussian_nll_loss: Callable[..., Tensor] = as_loss_function(
    GaussianNLLLoss, "gaussian_nll_loss"
)
margin_ranking_loss: Callable[..., Tensor] = as_loss_function(
    MarginRankingLoss, "margin_ranking_loss"
)
triplet_margin_loss: Callable[..., Tensor] = as_loss_function(
    TripletMarginLoss, "triplet_margin_loss"
)
triplet_margin_with_distance_loss: Callable[..., Tensor] = as_loss_function(
    TripletMarginWithDistanceLoss, "triplet_margin_with_distance_loss"
)
