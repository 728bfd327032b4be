"""Margin losses of raw scores: hinge, multi-class hinge, perceptron criterion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from chainrule.composites import activations, losses
from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.functions import where
from chainrule.graph.types import Shape
from chainrule.nn.affine import floats
from chainrule.nn.arguments import ReductionName, number
from chainrule.nn.function import as_loss_function
from chainrule.nn.losses.base import ElementwiseLoss, Reduction
from chainrule.nn.losses.checks import check_labels, check_two_labels, checked
from chainrule.nn.losses.classes import ClassLoss
from chainrule.operations.narrow import from_single
from chainrule.primitives.indexing import one_hot_mask
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _

__all__ = [
    "HingeEmbeddingLoss",
    "HingeLoss",
    "MultiLabelMarginLoss",
    "MultiMarginLoss",
    "PerceptronLoss",
    "SoftMarginLoss",
    "hinge_embedding_loss",
    "hinge_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "perceptron_loss",
    "soft_margin_loss",
]


class SignLoss(ElementwiseLoss):
    """Base class of margin losses whose labels are −1 and 1."""

    def match(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Convert labels ±1 to the prediction's dtype; refuse dtypes without −1."""
        if target.dtype.kind in ("bool", "uint"):
            raise DTypeError(
                _("{kind} takes the labels -1 and 1.", kind=type(self).__name__),
                expected=_("a dtype that can hold −1"),
                got=_("{name}, so y is 0 or 1", name=target.dtype.name),
                fix="y = 2 * y.astype('int32') - 1",
            )
        return super().match(prediction, target)

    def right_target(self, y: Any, prediction_shape: Shape) -> Any:
        """Check that a margin loss's labels are −1 or 1, and return them."""
        return check_two_labels(type(self).__name__, y, (-1, 1), (0, 1), "y = 2*y - 1")


class HingeLoss(SignLoss):
    """The hinge loss max(0, 1 − y ŷ) of a raw score ŷ and a label y = ±1 (2.5.1).

    ∂ℓ/∂ŷ = −y where y ŷ < 1, else 0. The label is the sign that ŷ should have, and the
    score goes in as it is: without a sigmoid, and with y = −1 for the other class. With
    {0, 1} a sample of class 0 would cost 1 whatever its score, so {0, 1} are refused.

    Shapes:
        prediction and target of one shape, such as (n, 1).

    Raises:
        ArgumentError: labels other than ±1.
        ShapeError: other shapes.

    Source: Cortes & Vapnik 1995, "Support-vector networks".

    >>> import chainrule as cr
    >>> cr.nn.HingeLoss()(cr.tensor([0.5, -2.0]), cr.tensor([1, -1]))
    tensor(0.25)
    """

    decides_from: ClassVar[float | None] = 0.0
    hint: ClassVar[str] = _(
        "one score a sample; for several classes: nn.MultiMarginLoss()"
    )

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the hinge loss of each element."""
        return wrap(losses.hinge(prediction.value, target.value))


class PerceptronLoss(ElementwiseLoss):
    """The perceptron criterion ℓ = (step(z) − y) z of a score z and a label y = 0 or 1.

    It is 0 where the neuron step(z) is right and |z| where it is wrong. Its derivative
    δ = step(z) − y makes gradient descent with η into Rosenblatt's rule
    w ← w + η (y − ŷ) x. z = 0 counts as step(z) = 1.

    Shapes:
        prediction (the score z, not step(z)) and target of one shape, such as (n, 1).

    Raises:
        ArgumentError: labels other than 0 and 1.
        ShapeError: other shapes.

    Source: Rosenblatt 1958; Bishop 2006, eq. 4.54, with labels ±1.

    >>> import chainrule as cr
    >>> z = cr.tensor([-2.0, 0.0, 3.0], requires_grad=True)
    >>> loss = cr.nn.PerceptronLoss(reduction="sum")(z, cr.tensor([1, 0, 1]))
    >>> loss.backward()
    >>> loss.item(), z.grad
    (2.0, tensor([-1.,  1.,  0.]))
    """

    decides_from: ClassVar[float | None] = 0.0
    hint: ClassVar[str] = _("one score and one label a neuron")

    def right_target(self, y: Any, prediction_shape: Shape) -> Any:
        """Check that the perceptron criterion's labels are 0 or 1, and return them."""
        return check_two_labels("PerceptronLoss", y, (0, 1), (-1, 1), "y = (y + 1) / 2")

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the perceptron criterion of each element."""
        return wrap(losses.perceptron_criterion(prediction.value, target.value))


class SoftMarginLoss(SignLoss):
    """ln(1 + e^(−y ŷ)) of a raw score ŷ and a label y = ±1: logistic regression's loss.

    >>> import chainrule as cr
    >>> cr.nn.SoftMarginLoss()(cr.tensor([0.0]), cr.tensor([-1]))  # ln 2
    tensor(0.6931472)
    """

    decides_from: ClassVar[float | None] = 0.0

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the logistic loss ln(1 + e^(−y ŷ)) of each element."""
        return wrap(activations.softplus((-target * prediction).value))


class HingeEmbeddingLoss(SignLoss):
    """ŷ where y = 1, max(0, margin − ŷ) where y = −1: of a distance ŷ of two things.

    Args:
        margin: how far apart things of different kinds shall be.

    >>> import chainrule as cr
    >>> cr.nn.HingeEmbeddingLoss()(cr.tensor([0.5, 0.25]), cr.tensor([1, -1]))
    tensor(0.625)
    """

    def __init__(
        self, margin: float = 1.0, *, reduction: ReductionName = "mean"
    ) -> None:
        super().__init__(reduction=reduction)
        self.margin = number("HingeEmbeddingLoss", "margin", margin)

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the hinge embedding loss of each predicted distance."""
        return where(target == 1.0, prediction, (self.margin - prediction).relu())


class MultiMarginLoss(ClassLoss):
    """The hinge loss of several classes: the right score shall lead each other one.

    With scores z and the class y of a sample:

        ℓ = w_y / C · Σ over the other classes i of max(0, margin − z_y + z_i)ᵖ.

    Args:
        p: 1, or 2 for squares.
        margin: by how much the right score shall lead, > 0.
        weight: one factor w a class; 1 each by default. The mean still divides by n.

    Shapes:
        prediction (n, C) or (C,), raw scores; target (n,) or (), class indices
        0 … C−1.

    Raises:
        ArgumentError: labels outside 0 … C−1, another p, a margin that is not positive.
        ShapeError, DTypeError: other shapes; targets that are no integers.

    Source: Weston & Watkins 1999, "Support vector machines for multi-class pattern
    recognition".

    >>> import chainrule as cr
    >>> scores = cr.tensor([[0.25, 0.5, 1.0, 2.0]])
    >>> cr.nn.MultiMarginLoss()(scores, cr.tensor([2]))  # (¼ + ½ + 2) / 4
    tensor(0.6875)
    """

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Any = None,
        *,
        reduction: ReductionName = "mean",
    ) -> None:
        super().__init__(weight, reduction=reduction)
        if p not in (1, 2):
            raise ArgumentError(
                _("MultiMarginLoss takes the violations or their squares."),
                expected=_("p=1 or p=2"),
                got=f"p={p!r}",
            )
        self.p = int(p)
        self.margin = number("MultiMarginLoss", "margin", margin, above=0)

    def match(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Check the multi-class hinge loss's shapes; convert the labels to int32."""
        if prediction.ndim > 2:
            raise ShapeError(
                _("MultiMarginLoss takes one row of scores a sample."),
                expected=_("a prediction of shape (n, C) or (C,)"),
                got=show(prediction.shape),
            )
        return super().match(prediction, target)

    def weights(self, prediction: Tensor, target: Tensor) -> Tensor | None:
        """Return no weights of the losses: each sample counts 1 in their mean."""
        return None

    def of_rows(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the multi-class hinge loss of each row of scores."""
        scores, labels = prediction.value, target.value
        result = losses.multi_margin(scores, labels, margin=self.margin, p=self.p)
        if self.weight is None:
            return wrap(result)
        return wrap(result) * self._weight_of(target, prediction)


class MultiLabelMarginLoss(Reduction):
    """The hinge loss of several right classes: each shall lead each wrong one.

        ℓ = 1/C · Σ over right classes j and wrong ones i of max(0, 1 − (z_j − z_i)),

    where a right class that is named twice counts twice.

    Shapes:
        prediction (n, C) or (C,), raw scores; target of the same shape: the right
        classes, in any order, then −1 (what follows does not count). One loss a row.

    >>> import chainrule as cr
    >>> scores = cr.tensor([[0.5, 0.0, 1.0]])
    >>> cr.nn.MultiLabelMarginLoss()(scores, cr.tensor([[2, -1, 0]]))  # (½ + 0)/3
    tensor(0.16666667)
    """

    @from_single
    def forward(
        self, prediction: Any, target: Any, sample_weight: Any = None
    ) -> Tensor:
        """Compute the hinge loss of rows of scores with several right classes."""
        z, labels = floats(prediction), as_tensor(target)
        kind = type(self).__name__
        if z.shape != labels.shape or z.ndim > 2 or not labels.dtype.is_integer:
            raise ShapeError(
                _("{kind} takes a row of classes for each row of scores.", kind=kind),
                expected=_("integers of shape {shape}", shape=show(z.shape)),
                got=f"{labels.dtype.name} {show(labels.shape)}",
            )
        if not z.ndim:
            z, labels = z.reshape(1), labels.reshape(1)
        classes = int(z.shape[-1])
        labels = checked(labels, lambda a: check_labels(a, classes, -1))
        counted = (labels == -1).astype("int64").cumsum(-1) == 0
        right = one_hot_mask(where(counted, labels, classes).value, classes + 1)
        wrong = ~wrap(right).any(-2)[..., :classes]
        own = z.take_along_dim(where(counted, labels, 0).astype("int64"), -1)
        gap = 1 - (own.unsqueeze(-1) - z.unsqueeze(-2))
        pairs = counted.unsqueeze(-1) & wrong.unsqueeze(-2)
        losses = where(pairs, gap.relu(), 0.0).sum((-2, -1)) / classes
        return self.reduced(losses, None, sample_weight)


hinge_embedding_loss = as_loss_function(HingeEmbeddingLoss, "hinge_embedding_loss")
hinge_loss = as_loss_function(HingeLoss, "hinge_loss")
multi_margin_loss = as_loss_function(MultiMarginLoss, "multi_margin_loss")
multilabel_margin_loss: Callable[..., Tensor] = as_loss_function(
    MultiLabelMarginLoss, "multilabel_margin_loss"
)
perceptron_loss = as_loss_function(PerceptronLoss, "perceptron_loss")
soft_margin_loss = as_loss_function(SoftMarginLoss, "soft_margin_loss")
