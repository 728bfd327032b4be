"""Regression losses: three squared losses, MAE, Huber's, and Poisson's."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from chainrule.composites import losses
from chainrule.functions import maximum, where
from chainrule.graph.types import Shape
from chainrule.nn.arguments import ReductionName, flag, number
from chainrule.nn.function import as_loss_function
from chainrule.nn.losses.base import ElementwiseLoss
from chainrule.nn.losses.checks import check_nonnegative
from chainrule.tensor import Tensor, wrap
from chainrule.text import _

__all__ = [
    "HalfMSELoss",
    "HalfSquaredErrorLoss",
    "HuberLoss",
    "L1Loss",
    "MSELoss",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "huber_loss",
    "l1_loss",
    "mse_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
]


class MSELoss(ElementwiseLoss):
    """The mean squared error 1/n Σ (y − ŷ)² over all n elements (2.5.1).

    ∂ℒ/∂ŷ = 2 (ŷ − y)/n. The book has three squared losses that differ by a factor:
    this one, :class:`HalfMSELoss` (3.3) and :class:`HalfSquaredErrorLoss` (2.6.1, 3.7).

    Raises:
        ShapeError: other shapes; (n, 1) and (n,) too, which broadcasting would compare
            all with all.

    >>> import chainrule as cr
    >>> cr.nn.MSELoss()(cr.tensor([1.0, 2.0]), cr.tensor([0.0, 0.0]))
    tensor(2.5)
    """

    quantities: ClassVar[bool] = True

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the squared error (ŷ − y)² of each element."""
        error = prediction - target
        return error * error


class HalfMSELoss(ElementwiseLoss):
    """Half of the mean squared error, 1/2n Σ (y − ŷ)² over all n elements (3.3 (1)).

    ∂ℒ/∂ŷ = (ŷ − y)/n: the ½ cancels the 2 of the square.

    >>> import chainrule as cr
    >>> cr.nn.HalfMSELoss()(cr.tensor([1.0, 2.0]), cr.tensor([0.0, 0.0]))
    tensor(1.25)
    """

    quantities: ClassVar[bool] = True

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the half squared error ½ (ŷ − y)² of each element."""
        error = prediction - target
        return error * error * 0.5


class HalfSquaredErrorLoss(ElementwiseLoss):
    """The half squared error of a sample, ½ Σ (ŷ − y)² over its outputs (2.6.1, 3.7).

    For one sample ∂ℒ/∂ŷ = ŷ − y, without any n; for a batch the mean over its samples.
    With k outputs a sample it is k times :class:`HalfMSELoss`.

    Shapes:
        prediction and target (n, …) of one shape, the outputs of a sample in a row;
        integer targets are converted.

    >>> import chainrule as cr
    >>> cr.nn.HalfSquaredErrorLoss()(cr.tensor([[1.0, 2.0]]), cr.tensor([[0.0, 0.0]]))
    tensor(2.5)
    """

    quantities: ClassVar[bool] = True

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the half squared error ½ Σ (ŷ − y)² of each sample."""
        error = prediction - target
        square = error * error
        if square.ndim > 1:
            square = square.sum(tuple(range(1, square.ndim)))
        return square * 0.5


class L1Loss(ElementwiseLoss):
    """The mean absolute error (MAE), 1/n Σ |ŷ − y| over all n elements.

    ∂ℒ/∂ŷ = sign(ŷ − y)/n, and 0 where ŷ = y. Its minimum over constants is the median
    (Laplace 1774), which outliers do not move.

    >>> import chainrule as cr
    >>> cr.nn.L1Loss()(cr.tensor([1.0, -2.0]), cr.tensor([0.0, 0.0]))
    tensor(1.5)
    """

    quantities: ClassVar[bool] = True

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the absolute error |ŷ − y| of each element."""
        return abs(prediction - target)


class HuberLoss(ElementwiseLoss):
    """The Huber loss: squared for small errors, absolute for large ones.

    With e = ŷ − y:

        ½ e² where |e| ≤ δ,  δ (|e| − ½ δ) elsewhere.

    ∂ℓ/∂ŷ is e clipped to [−δ, δ] (Huber 1964, "Robust estimation of a location
    parameter").

    Args:
        delta: where it turns linear, δ > 0.

    Raises:
        ArgumentError: a δ that is not positive.

    >>> import chainrule as cr
    >>> loss = cr.nn.HuberLoss(reduction="none")
    >>> loss(cr.tensor([0.5, 3.0]), cr.tensor([0.0, 0.0]))
    tensor([0.125, 2.5  ])
    """

    quantities: ClassVar[bool] = True

    def __init__(
        self, delta: float = 1.0, *, reduction: ReductionName = "mean"
    ) -> None:
        super().__init__(reduction=reduction)
        self.delta = number("HuberLoss", "delta", delta, above=0)

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the Huber loss of each element."""
        values = prediction.value, target.value
        return wrap(losses.huber(*values, delta=self.delta))


class SmoothL1Loss(ElementwiseLoss):
    """The Huber loss over β: squared for small errors, absolute for large ones.

    With e = ŷ − y:

        ½ e²/β where |e| < β,  |e| − ½ β elsewhere.

    That is :class:`HuberLoss` with δ = β, divided by β.

    Args:
        beta: where it turns linear, β ≥ 0; with 0 it is :class:`L1Loss`.

    Source: Girshick 2015, "Fast R-CNN".

    >>> import chainrule as cr
    >>> loss = cr.nn.SmoothL1Loss(beta=0.5, reduction="none")
    >>> loss(cr.tensor([0.25, 2.0]), cr.tensor([0.0, 0.0]))
    tensor([0.0625, 1.75  ])
    """

    quantities: ClassVar[bool] = True

    def __init__(self, beta: float = 1.0, *, reduction: ReductionName = "mean") -> None:
        super().__init__(reduction=reduction)
        self.beta = number("SmoothL1Loss", "beta", beta, least=0)

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the smooth L1 loss of each element."""
        if not self.beta:
            return abs(prediction - target)
        values = prediction.value, target.value
        return wrap(losses.huber(*values, delta=self.beta)) / self.beta


class PoissonNLLLoss(ElementwiseLoss):
    """The negative log-likelihood of counts y under a Poisson distribution of mean λ.

        ℓ = λ − y ln λ + ln y!

    ln y! does not depend on λ and is left out, or approximated.

    Args:
        log_input: whether the prediction is ln λ; else it is λ, and ℓ has ln(λ + ε).
        full: whether ln y! is added, by Stirling's y ln y − y + ½ ln 2πy where y > 1.
        eps: ε.

    Raises:
        ArgumentError: a negative count, or a negative λ.

    >>> import chainrule as cr
    >>> cr.nn.PoissonNLLLoss()(cr.tensor([0.0]), cr.tensor([3]))  # λ = 1
    tensor(1.)
    """

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        *,
        eps: float = 1e-8,
        reduction: ReductionName = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        self.log_input = flag("PoissonNLLLoss", "log_input", log_input)
        self.full = flag("PoissonNLLLoss", "full", full)
        self.eps = number("PoissonNLLLoss", "eps", eps, least=0)

    def right_target(self, y: Any, prediction_shape: Shape) -> Any:
        """Check that the Poisson loss's targets are counts ≥ 0, and return them."""
        return check_nonnegative(
            "PoissonNLLLoss", _("the target"), y, _("count from 0")
        )

    def right_prediction(self, prediction: Any) -> Any:
        """Check that the Poisson loss's predicted means are ≥ 0, and return them."""
        if self.log_input:
            return prediction
        fix = _("log_input=True for logarithms, or nn.Softplus() at the end")
        return check_nonnegative("PoissonNLLLoss", _("the prediction"), prediction, fix)

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the Poisson loss (negative log-likelihood) of each element."""
        if self.log_input:
            result = prediction.exp() - target * prediction
        else:
            result = prediction - target * (prediction + self.eps).log()
        if not self.full:
            return result
        y = maximum(target, 1.0)
        stirling = y * y.log() - y + 0.5 * (2 * math.pi * y).log()
        return result + where(target > 1.0, stirling, 0.0)


huber_loss = as_loss_function(HuberLoss, "huber_loss")
l1_loss = as_loss_function(L1Loss, "l1_loss")
mse_loss = as_loss_function(MSELoss, "mse_loss")
poisson_nll_loss = as_loss_function(PoissonNLLLoss, "poisson_nll_loss")
smooth_l1_loss = as_loss_function(SmoothL1Loss, "smooth_l1_loss")
