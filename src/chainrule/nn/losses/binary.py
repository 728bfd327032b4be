"""Binary cross-entropy, from probabilities and from scores."""

from __future__ import annotations

from typing import Any, ClassVar

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.node import Array
from chainrule.graph.types import Shape
from chainrule.nn.losses.base import ElementwiseLoss
from chainrule.nn.losses.checks import check_unit
from chainrule.nn.losses.classes import factors, weight_settings
from chainrule.nn.losses.origin import behind, refuse, warn_of_scores
from chainrule.primitives.movement import full_like
from chainrule.primitives.rules import show
from chainrule.regions import losses
from chainrule.tensor import Tensor, wrap

_FIX = "y = 1 for yes, y = 0 for no, or a probability between"


class _BinaryLoss(ElementwiseLoss):
    """What both forms share: targets from 0 to 1."""

    hint: ClassVar[str] = (
        "one target an output; for one class among several: nn.CrossEntropyLoss()"
    )

    def check_target(self, y: Array, prediction_shape: Shape) -> None:
        """Refuse targets outside 0 … 1."""
        check_unit(type(self).__name__, "the target", y, _FIX)


class BCELoss(_BinaryLoss):
    """Binary cross-entropy −y ln ŷ − (1 − y) ln(1 − ŷ) of a probability ŷ.

    The cross-entropy of 3.3 (2) for two classes with the probabilities ŷ and 1 − ŷ.
    Where ŷ is the output of a sigmoid, it is computed from the score z in front of it,
    so that nothing underflows and δ = σ(z) − y. Elsewhere a probability below the
    smallest normal number of its dtype counts as that number: ŷ = 0 with y = 1 costs
    87.3 in float32 and 708.4 in float64 (in PyTorch 100), with derivative 0.

    Args:
        reduction: ``"mean"``, ``"sum"`` or ``"none"`` (one loss an element).

    Shapes:
        prediction and target of one shape, such as (n, 1), both from 0 to 1.

    Raises:
        ArgumentError: a target or a prediction outside 0 … 1.
        ShapeError: other shapes.

    >>> import chainrule as cr
    >>> loss = cr.nn.BCELoss()(cr.tensor([0.5, 0.75]), cr.tensor([1, 1]))
    >>> round(loss.item(), 4)  # (ln 2 + ln 4/3) / 2
    0.4904
    """

    def check_prediction(self, prediction: Array) -> None:
        """Refuse predictions outside 0 … 1."""
        fix = (
            "end the network in nn.Sigmoid(), or take nn.BCEWithLogitsLoss() for scores"
        )
        check_unit("BCELoss", "the prediction", prediction, fix)

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """One loss an element."""
        scores = behind(prediction, "sigmoid")
        if scores is not None:
            return wrap(losses.binary_cross_entropy(scores.value, target.value))
        fix = "end the network in nn.Sigmoid(), or take nn.BCEWithLogitsLoss()"
        warn_of_scores("BCELoss", prediction, fix)
        yes = wrap(losses.log_score(prediction.value, target.value))
        no = losses.log_score((1.0 - prediction).value, (1.0 - target).value)
        return yes + wrap(no)


class BCEWithLogitsLoss(_BinaryLoss):
    """Binary cross-entropy of a score z, with ŷ = σ(z): δ = σ(z) − y.

        ℓ = −p y ln σ(z) − (1 − y) ln(1 − σ(z))

    It is computed as max(z, 0) − z y + ln(1 + e^(−|z|)), which neither overflows nor
    loses digits. The sigmoid is part of the loss: the network ends in scores.

    Args:
        pos_weight: p, how much a "yes" counts: a number, or one for each output; 1 by
            default. n_no/n_yes balances rare positives.
        reduction: ``"mean"``, ``"sum"`` or ``"none"`` (one loss an element). The mean
            divides by the number of elements, whatever p is.

    Shapes:
        prediction and target of one shape, such as (n, 1) or (n, k); ``pos_weight``
        () or (k,).

    Raises:
        ArgumentError: a target outside 0 … 1; a network that ends in a sigmoid.
        ShapeError: other shapes.

    >>> import chainrule as cr
    >>> z = cr.tensor([0.0], requires_grad=True)
    >>> loss = cr.nn.BCEWithLogitsLoss()(z, cr.tensor([1]))
    >>> loss.backward()
    >>> round(loss.item(), 4), z.grad  # ln 2, σ(0) − 1
    (0.6931, tensor([-0.5]))
    """

    def __init__(self, pos_weight: Any = None, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.pos_weight = None if pos_weight is None else _pos_weight(pos_weight)

    def match(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The target in the dtype of the prediction, once all shapes agree."""
        refuse(
            "BCEWithLogitsLoss",
            prediction,
            ("sigmoid",),
            expected="scores: the loss applies the sigmoid itself",
            fix="remove the Sigmoid, or take nn.BCELoss()",
        )
        weight = self.pos_weight
        if weight is not None and weight.shape not in ((), prediction.shape[-1:]):
            raise ShapeError(
                "BCEWithLogitsLoss takes one pos_weight, or one for each output.",
                expected=f"{show(prediction.shape[-1:])} or a number",
                got=show(weight.shape),
            )
        return super().match(prediction, target)

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """One loss an element."""
        z = prediction.value
        if self.pos_weight is None:
            return wrap(losses.binary_cross_entropy(z, target.value))
        yes = wrap(losses.binary_cross_entropy(z, full_like(z, 1.0)))
        no = wrap(losses.binary_cross_entropy(z, full_like(z, 0.0)))
        weight = self.pos_weight.astype(prediction.dtype)
        return weight * target * yes + (1.0 - target) * no

    def settings(self) -> dict[str, Any]:
        """The weight of "yes", and the reduction."""
        own = weight_settings("pos_weight", self.pos_weight)
        return {**own, **super().settings()}


def _pos_weight(given: Any) -> Tensor:
    array = factors(given)
    if array is None or array.ndim > 1:
        raise ArgumentError(
            "BCEWithLogitsLoss needs a pos_weight that it can multiply by.",
            expected="a finite number ≥ 0, or one for each output",
            got=repr(given)[:80],
            fix="pos_weight=(y == 0).sum() / (y == 1).sum()",
        )
    weight = Tensor(array)
    weight.name = "pos_weight"
    return weight
