"""Losses of regression: the book's three squared losses, MAE, and Huber's."""

from __future__ import annotations

from typing import Any

from chainrule.nn.arguments import positive
from chainrule.nn.losses.base import ElementwiseLoss
from chainrule.regions import losses
from chainrule.tensor import Tensor, wrap


class MSELoss(ElementwiseLoss):
    """The mean squared error 1/n Σ (y − ŷ)² over all n elements (2.5.1).

    ∂ℒ/∂ŷ = 2 (ŷ − y)/n. The book has three squared losses that differ by a factor:
    this one, :class:`HalfMSELoss` (3.3) and :class:`HalfSquaredErrorLoss` (2.6.1, 3.7).

    Args:
        reduction: ``"mean"``, ``"sum"`` or ``"none"`` (one loss an element).

    Shapes:
        prediction and target of one shape; integer targets are converted.

    Raises:
        ShapeError: other shapes; (n, 1) and (n,) too, which broadcasting would compare
            all with all.

    >>> import chainrule as cr
    >>> cr.nn.MSELoss()(cr.tensor([1.0, 2.0]), cr.tensor([0.0, 0.0]))
    tensor(2.5)
    """

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(ŷ − y)², one an element."""
        error = prediction - target
        return error * error


class HalfMSELoss(ElementwiseLoss):
    """Half of the mean squared error, 1/2n Σ (y − ŷ)² over all n elements (3.3 (1)).

    ∂ℒ/∂ŷ = (ŷ − y)/n: the ½ cancels the 2 of the square.

    Args:
        reduction: ``"mean"``, ``"sum"`` or ``"none"`` (one loss an element).

    Shapes:
        prediction and target of one shape; integer targets are converted.

    Raises:
        ShapeError: other shapes.

    >>> import chainrule as cr
    >>> cr.nn.HalfMSELoss()(cr.tensor([1.0, 2.0]), cr.tensor([0.0, 0.0]))
    tensor(1.25)
    """

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """½ (ŷ − y)², one an element."""
        error = prediction - target
        return error * error * 0.5


class HalfSquaredErrorLoss(ElementwiseLoss):
    """The half squared error of a sample, ½ Σ (ŷ − y)² over its outputs (2.6.1, 3.7).

    For one sample ∂ℒ/∂ŷ = ŷ − y, without any n; for a batch the mean over its samples.
    With k outputs a sample it is k times :class:`HalfMSELoss`.

    Args:
        reduction: ``"mean"``, ``"sum"`` or ``"none"`` (one loss a sample).

    Shapes:
        prediction and target (n, …) of one shape, the outputs of a sample in a row;
        integer targets are converted.

    Raises:
        ShapeError: other shapes.

    >>> import chainrule as cr
    >>> cr.nn.HalfSquaredErrorLoss()(cr.tensor([[1.0, 2.0]]), cr.tensor([[0.0, 0.0]]))
    tensor(2.5)
    """

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """½ Σ (ŷ − y)² over all axes but the first, one a sample."""
        error = prediction - target
        square = error * error
        if square.ndim > 1:
            square = square.sum(tuple(range(1, square.ndim)))
        return square * 0.5


class L1Loss(ElementwiseLoss):
    """The mean absolute error (MAE), 1/n Σ |ŷ − y| over all n elements.

    ∂ℒ/∂ŷ = sign(ŷ − y)/n, and 0 where ŷ = y. Its minimum over constants is the median
    (Laplace 1774), which outliers do not move.

    Args:
        reduction: ``"mean"``, ``"sum"`` or ``"none"`` (one loss an element).

    Shapes:
        prediction and target of one shape; integer targets are converted.

    Raises:
        ShapeError: other shapes.

    >>> import chainrule as cr
    >>> cr.nn.L1Loss()(cr.tensor([1.0, -2.0]), cr.tensor([0.0, 0.0]))
    tensor(1.5)
    """

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """|ŷ − y|, one an element."""
        return abs(prediction - target)


class HuberLoss(ElementwiseLoss):
    """Squared for small errors, absolute for large ones: with e = ŷ − y

        ½ e² where |e| ≤ δ,  δ (|e| − ½ δ) elsewhere.

    ∂ℓ/∂ŷ is e clipped to [−δ, δ] (Huber 1964, "Robust estimation of a location
    parameter").

    Args:
        delta: where it turns linear, δ > 0.
        reduction: ``"mean"``, ``"sum"`` or ``"none"`` (one loss an element).

    Shapes:
        prediction and target of one shape; integer targets are converted.

    Raises:
        ShapeError: other shapes.
        ArgumentError: a δ that is not positive.

    >>> import chainrule as cr
    >>> loss = cr.nn.HuberLoss(reduction="none")
    >>> loss(cr.tensor([0.5, 3.0]), cr.tensor([0.0, 0.0]))
    tensor([0.125, 2.5  ])
    """

    def __init__(self, delta: float = 1.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.delta = positive("HuberLoss", "delta", delta)

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """One loss an element."""
        values = prediction.value, target.value
        return wrap(losses.huber(*values, delta=self.delta))

    def settings(self) -> dict[str, Any]:
        """δ, and the reduction."""
        return {"delta": self.delta, **super().settings()}
