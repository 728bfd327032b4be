"""What all losses share: preparing what came, and reducing what was computed."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from chainrule.errors import ArgumentError, ShapeError, nearest
from chainrule.graph.node import Array
from chainrule.graph.types import Shape
from chainrule.nn.losses.checks import numbers
from chainrule.nn.module import Module
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor, count_of, where

REDUCTIONS = ("mean", "sum", "none")


class Loss(Module):
    """Base of the losses: ℒ = Σ ℓ / Σ w over the losses ℓ of one batch.

    A loss of your own defines :meth:`pointwise`, and :meth:`weights` where its losses
    do not count 1 each. ``forward``, ``totals`` and the reductions follow.

    Args:
        reduction: ``"mean"``, Σ ℓ / Σ w; ``"sum"``, Σ ℓ; both are scalars. ``"none"``:
            the losses ℓ themselves.

    Raises:
        ArgumentError: an unknown reduction; the mean of an empty batch; numbers that
            the loss is not defined for.
        ShapeError, DTypeError: a prediction and a target that do not fit together.

    >>> import chainrule as cr
    >>> class FourthPower(cr.nn.Loss):
    ...     def pointwise(self, prediction, target):
    ...         return (prediction - target) ** 4
    >>> FourthPower()(cr.tensor([1.0, 3.0]), cr.tensor([0.0, 1.0]))
    tensor(8.5)
    >>> FourthPower(reduction="none")(cr.tensor([1.0, 3.0]), cr.tensor([0.0, 1.0]))
    tensor([ 1., 16.])
    """

    reduction: str = "mean"

    def __init__(self, *, reduction: str = "mean") -> None:
        if reduction not in REDUCTIONS:
            near = nearest(str(reduction), REDUCTIONS)
            raise ArgumentError(
                f"{type(self).__name__} does not know this reduction.",
                expected='"mean", "sum" or "none"',
                got=repr(reduction),
                fix=f'did you mean "{near}"?' if near else 'reduction="mean"',
            )
        self.reduction = reduction

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The losses ℓ, one an element or one a sample; each loss defines this.

        Class weights and the like are inside them already. Called with what
        :meth:`match` gave.
        """
        raise ArgumentError(
            f"{type(self).__name__} has no pointwise().",
            expected="a method pointwise(self, prediction, target) → tensor of losses",
            fix="define it in the class",
        )

    def weights(self, prediction: Tensor, target: Tensor) -> Tensor | None:
        """How much each loss counts in the denominator of the mean; None: 1 each."""
        return None

    def match(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Both in the types that :meth:`pointwise` computes with, or an error."""
        return prediction, target

    def check_target(self, y: Array, prediction_shape: Shape) -> None:
        """Refuse numbers that are no targets of this loss.

        ``forward`` calls it where the numbers are known. A Trainer calls it with the
        targets of a whole data set before it compiles anything.

        Args:
            y: the targets as they came, one row a sample.
            prediction_shape: of the predictions; its first size may be N.
        """

    def check_prediction(self, prediction: Array) -> None:
        """Refuse numbers that are no predictions for this loss."""

    def prepare(self, prediction: Any, target: Any) -> tuple[Tensor, Tensor]:
        """Tensors that fit together, their numbers checked where they are known."""
        given, truth = as_tensor(prediction), as_tensor(target)
        if not given.dtype.is_float:
            given = given.astype("float32")
        made = self.match(given, truth)
        if (known := numbers(truth)) is not None:
            self.check_target(known, given.shape)
        if (known := numbers(given)) is not None:
            self.check_prediction(known)
        return made

    def forward(
        self, prediction: Any, target: Any, sample_weight: Any = None
    ) -> Tensor:
        """The loss of a batch, reduced."""
        if sample_weight is not None:
            total, weight = self.totals(prediction, target, sample_weight=sample_weight)
            if self.reduction == "sum":
                return total
            return total / where(weight == 0.0, math.inf, weight)
        prediction, target = self.prepare(prediction, target)
        losses = self.pointwise(prediction, target)
        if self.reduction == "none":
            return losses
        if self.reduction == "sum":
            return losses.sum()
        weights = self.weights(prediction, target)
        if losses.size == 0:
            raise ArgumentError(
                f"{type(self).__name__} takes a mean, and an empty batch has none.",
                expected="at least one sample",
                got=f"a prediction of shape {show(prediction.shape)}",
                fix='leave empty batches out, or use reduction="sum"',
            )
        if weights is None:
            return losses.mean()
        total = weights.sum()
        return losses.sum() / where(
            total == 0.0, math.inf, total
        )  # 0, where none counts

    def totals(
        self, prediction: Any, target: Any, sample_weight: Any = None
    ) -> tuple[Tensor, Tensor]:
        """(Σ ℓ, Σ w) of a batch, both scalars.

        Added up over the batches of a data set, their quotient is the mean over the
        whole set, however it was cut.

        >>> import chainrule as cr
        >>> cr.nn.MSELoss().totals(cr.tensor([1.0, 3.0]), cr.tensor([0.0, 0.0]))
        (tensor(10.), tensor(2.))
        """
        prediction, target = self.prepare(prediction, target)
        losses = self.pointwise(prediction, target)
        weights = self.weights(prediction, target)
        if sample_weight is not None:
            w = as_tensor(sample_weight).astype(losses.dtype)
            w = w.reshape(-1, *[1] * (losses.ndim - 1))
            one = losses * 0.0 + 1.0 if weights is None else weights
            return (losses * w).sum(), (one * w).sum()
        if weights is None:
            return losses.sum(), count_of(losses.size, losses.dtype)
        return losses.sum(), weights.sum()

    def settings(self) -> dict[str, Any]:
        """The reduction, where it is not the mean."""
        return {} if self.reduction == "mean" else {"reduction": self.reduction}


class ElementwiseLoss(Loss):
    """Base of the losses that compare a target with a prediction of the same shape."""

    #: What else to do about shapes that differ by more than an axis of length 1.
    hint: ClassVar[str] = "give one target for each number that the network predicts"

    def match(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The target in the dtype of the prediction, once the shapes agree."""
        if prediction.shape != target.shape:
            raise ShapeError(
                f"{type(self).__name__} compares element by element.",
                expected=f"a target of shape {show(prediction.shape)}",
                got=show(target.shape),
                fix=_fix(prediction.shape, target.shape) or self.hint,
            )
        return prediction, target.astype(prediction.dtype)


def _fix(prediction: Shape, target: Shape) -> str | None:
    """What to write where the shapes differ by an axis of length 1, else None.

    Broadcasting (n, 1) against (n,) would compare each prediction with each target.
    """
    if prediction == (*target, 1):
        if len(target) != 1:
            return "y.unsqueeze(-1)"
        return "y.reshape(-1, 1); of a data set: cr.data.Dataset(x, y.reshape(-1, 1))"
    if target == (*prediction, 1):
        return "y.reshape(-1)" if len(prediction) == 1 else "y.squeeze(-1)"
    return None
