"""Binary cross-entropy of probabilities and of scores (logits)."""

from __future__ import annotations

from typing import Any, ClassVar

from chainrule.composites import activations, losses
from chainrule.errors import ShapeError
from chainrule.graph.types import Shape
from chainrule.nn.arguments import ReductionName, factors
from chainrule.nn.function import as_loss_function
from chainrule.nn.losses.base import ElementwiseLoss
from chainrule.nn.losses.checks import check_unit
from chainrule.nn.losses.origin import behind, is_output_of, refuse, warn_of_scores
from chainrule.primitives.movement import full_like
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, wrap
from chainrule.text import _

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "MultiLabelSoftMarginLoss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "multilabel_soft_margin_loss",
]

_FIX = _("y = 1 for yes, y = 0 for no, or a probability between")


class BinaryLoss(ElementwiseLoss):
    """Base class of binary cross-entropy losses, with targets from 0 to 1."""

    hint: ClassVar[str] = _(
        "one target an output; for one class among several: nn.CrossEntropyLoss()"
    )

    weight: Tensor | None

    def __init__(
        self, weight: Any = None, *, reduction: ReductionName = "mean"
    ) -> None:
        super().__init__(reduction=reduction)
        self.register_buffer("weight", self._factors("weight", weight))

    def _factors(self, name: str, value: Any) -> Tensor | None:
        return None if value is None else factors(type(self).__name__, name, value)

    def match(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Convert binary cross-entropy's target to a fitting dtype; check shapes."""
        self._fit("weight", self.weight, prediction.shape)
        return super().match(prediction, target)

    def _fit(self, name: str, factor: Tensor | None, shape: Shape) -> None:
        """Refuse weights of binary cross-entropy that do not broadcast to losses."""
        if factor is None or factor.ndim == 0:
            return
        last = shape[len(shape) - factor.ndim :]
        fits = all(a in (1, b) for a, b in zip(factor.shape, last))
        if factor.ndim > len(shape) or not fits:
            raise ShapeError(
                _(
                    "{kind} takes one {name}, or one for each output.",
                    kind=type(self).__name__,
                    name=name,
                ),
                expected=_("{shape} or a number", shape=show(shape[-1:])),
                got=show(factor.shape),
                fix=_("factors of samples: loss(prediction, target, sample_weight)"),
            )

    def right_target(self, y: Any, prediction_shape: Shape) -> Any:
        """Check that binary cross-entropy's targets are from 0 to 1; return them."""
        return check_unit(type(self).__name__, _("the target"), y, _FIX)

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the binary cross-entropy of each element, weighted."""
        result = self.unweighted(prediction, target)
        return (
            result if self.weight is None else result * self.weight.astype(result.dtype)
        )

    def unweighted(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the binary cross-entropy of each element, without ``weight``."""
        raise NotImplementedError


class BCELoss(BinaryLoss):
    """Binary cross-entropy −y ln ŷ − (1 − y) ln(1 − ŷ) of a probability ŷ.

    The cross-entropy of 3.3 (2) for two classes with the probabilities ŷ and 1 − ŷ.
    Where ŷ is the output of a sigmoid, it is computed from the score z in front of it,
    so that nothing underflows and δ = σ(z) − y. Elsewhere, as in PyTorch, a logarithm
    is at least −100 and the derivative −1/ŷ at least −10¹²: ŷ = 0 with y = 1 costs 100,
    and learns.

    Args:
        weight: a factor for each loss: a number, one for each output, or what else
            broadcasts. The mean divides by the number of elements all the same.

    Shapes:
        prediction and target of one shape, such as (n, 1), both from 0 to 1.

    Raises:
        ArgumentError: a target or a prediction outside 0 … 1.

    >>> import chainrule as cr
    >>> loss = cr.nn.BCELoss()(cr.tensor([0.5, 0.75]), cr.tensor([1, 1]))
    >>> round(loss.item(), 4)  # (ln 2 + ln 4/3) / 2
    0.4904
    """

    decides_from: ClassVar[float | None] = 0.5

    def is_sure(self, prediction: Tensor) -> bool:
        """Return whether predictions are valid as a sigmoid's or softmax's output."""
        return is_output_of(prediction, activations.sigmoid, activations.softmax)

    def right_prediction(self, prediction: Any) -> Any:
        """Check that predicted probabilities are from 0 to 1, and return them."""
        fix = _(
            "end the network in nn.Sigmoid(), or take nn.BCEWithLogitsLoss() for scores"
        )
        return check_unit("BCELoss", _("the prediction"), prediction, fix)

    def unweighted(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the binary cross-entropy of each predicted probability."""
        scores = behind(prediction, activations.sigmoid)
        if scores is not None:
            return wrap(losses.binary_cross_entropy(scores.value, target.value))
        fix = _("end the network in nn.Sigmoid(), or take nn.BCEWithLogitsLoss()")
        warn_of_scores("BCELoss", prediction, fix)
        yes = wrap(losses.log_score(prediction.value, target.value))
        no = losses.log_score((1.0 - prediction).value, (1.0 - target).value)
        return yes + wrap(no)


class BCEWithLogitsLoss(BinaryLoss):
    """Binary cross-entropy of a score z, with ŷ = σ(z): δ = σ(z) − y.

        ℓ = −p y ln σ(z) − (1 − y) ln(1 − σ(z))

    It is computed as max(z, 0) − z y + ln(1 + e^(−|z|)), which neither overflows nor
    loses digits. The sigmoid is part of the loss: the network ends in scores.

    Args:
        weight: a factor for each loss: a number, one for each output, or what else
            broadcasts.
        pos_weight: p, how much a "yes" counts: a number, or one for each output; 1 by
            default. n_no/n_yes balances rare positives.
        reduction: ``"mean"``, ``"sum"`` or ``"none"`` (one loss an element). The mean
            divides by the number of elements, whatever the factors are.

    Shapes:
        prediction and target of one shape, such as (n, 1) or (n, k); the factors
        () or (k,).

    Raises:
        ArgumentError: a target outside 0 … 1; a network that ends in a sigmoid.

    >>> import chainrule as cr
    >>> z = cr.tensor([0.0], requires_grad=True)
    >>> loss = cr.nn.BCEWithLogitsLoss()(z, cr.tensor([1]))
    >>> loss.backward()
    >>> round(loss.item(), 4), z.grad  # ln 2, σ(0) − 1
    (0.6931, tensor([-0.5]))
    """

    decides_from: ClassVar[float | None] = 0.0
    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Any = None,
        *,
        pos_weight: Any = None,
        reduction: ReductionName = "mean",
    ) -> None:
        super().__init__(weight, reduction=reduction)
        self.register_buffer("pos_weight", self._factors("pos_weight", pos_weight))

    def match(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Refuse a sigmoid's outputs as scores; match the target's dtype and shape."""
        refuse(
            type(self).__name__,
            prediction,
            (activations.sigmoid,),
            expected=_("scores: the loss applies the sigmoid itself"),
            fix=_("remove the Sigmoid, or take nn.BCELoss()"),
        )
        self._fit("pos_weight", self.pos_weight, prediction.shape)
        return super().match(prediction, target)

    def unweighted(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the binary cross-entropy of each score, with ``pos_weight``."""
        z = prediction.value
        if self.pos_weight is None:
            return wrap(losses.binary_cross_entropy(z, target.value))
        yes = wrap(losses.binary_cross_entropy(z, full_like(z, 1.0)))
        no = wrap(losses.binary_cross_entropy(z, full_like(z, 0.0)))
        weight = self.pos_weight.astype(prediction.dtype)
        return weight * target * yes + (1.0 - target) * no


class MultiLabelSoftMarginLoss(BCEWithLogitsLoss):
    """Binary cross-entropy of C scores of a sample, averaged over them.

        ℓ = −1/C Σᵢ wᵢ (yᵢ ln σ(zᵢ) + (1 − yᵢ) ln(1 − σ(zᵢ)))

    Args:
        weight: w, one factor a class; 1 each by default.

    Shapes:
        prediction and target (…, C).

    >>> import chainrule as cr
    >>> loss = cr.nn.MultiLabelSoftMarginLoss()
    >>> loss(cr.tensor([[0.0, 0.0]]), cr.tensor([[1, 0]]))  # ln 2
    tensor(0.6931472)
    """

    def __init__(
        self, weight: Any = None, *, reduction: ReductionName = "mean"
    ) -> None:
        super().__init__(weight, reduction=reduction)

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the binary cross-entropy of each sample, the mean over its scores."""
        return super().pointwise(prediction, target).mean(-1)


binary_cross_entropy = as_loss_function(BCELoss, "binary_cross_entropy")
binary_cross_entropy_with_logits = as_loss_function(
    BCEWithLogitsLoss, "binary_cross_entropy_with_logits"
)
multilabel_soft_margin_loss = as_loss_function(
    MultiLabelSoftMarginLoss, "multilabel_soft_margin_loss"
)
