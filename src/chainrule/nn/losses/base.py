"""The base classes of losses: preparation of inputs, and reduction."""

from __future__ import annotations

import inspect
import math
from typing import Any, ClassVar, Literal

from chainrule.errors import ArgumentError, ShapeError
from chainrule.functions import where
from chainrule.graph.context import get_default_dtype
from chainrule.graph.node import Array
from chainrule.graph.types import Shape
from chainrule.nn.arguments import ReductionName
from chainrule.nn.losses.checks import (
    are_targets_checked,
    check_nonnegative,
    checked,
    numbers,
)
from chainrule.nn.module import Module
from chainrule.operations.narrow import wide
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor, count_of
from chainrule.text import _
from chainrule.util import validation

__all__ = ["Loss"]


class Reduction(Module):
    """Base class of losses that reduce a batch's losses ℓ to one number.

    Args:
        reduction: ``"mean"``, Σ ℓ / Σ w; ``"sum"``, Σ ℓ; both are scalars. ``"none"``:
            the losses ℓ themselves. The weights w are 1 each, or those of classes and
            samples, which are factors of the losses too.
    """

    reduction: ReductionName | Literal["batchmean"] = "mean"
    #: What a class of losses accepts.
    reductions: ClassVar[tuple[str, ...]] = ("mean", "sum", "none")

    def __init__(self, *, reduction: ReductionName = "mean") -> None:
        what = _("{kind} has no such {name}.", kind=type(self).__name__)
        check = validation.choice(*self.reductions, what=what)
        self.reduction = check("reduction", reduction)

    def reduced(
        self, losses: Tensor, weights: Tensor | None = None, sample_weight: Any = None
    ) -> Tensor:
        """Reduce weighted losses to their mean or sum, or not at all: ``reduction``."""
        losses, weights = self._with_samples(losses, weights, sample_weight)
        if self.reduction == "none":
            return losses
        if self.reduction == "sum":
            return losses.sum()
        if losses.size == 0:
            raise ArgumentError(
                _(
                    "{kind} takes a mean, and an empty batch has none.",
                    kind=type(self).__name__,
                ),
                expected=_("at least one sample"),
                got=_("losses of shape {shape}", shape=show(losses.shape)),
                fix=_('leave empty batches out, or use reduction="sum"'),
            )
        if weights is None:
            return losses.mean()
        total = weights.sum()
        return losses.sum() / where(total == 0.0, math.inf, total)  # 0 where none count

    def _with_samples(
        self, losses: Tensor, weights: Tensor | None, sample_weight: Any
    ) -> tuple[Tensor, Tensor | None]:
        """Multiply the losses of a batch and their weights by the sample weights."""
        if sample_weight is None:
            return losses, weights
        w = as_tensor(sample_weight)
        kind = type(self).__name__
        if w.shape not in (losses.shape, losses.shape[:1]):
            raise ShapeError(
                _("{kind} takes one weight a sample, or one a loss.", kind=kind),
                expected=_(
                    "sample_weight of shape {shape}", shape=show(losses.shape[:1])
                ),
                got=show(w.shape),
            )
        fix = _("leave a sample out by the weight 0")
        w = checked(w, lambda a: check_nonnegative(kind, "sample_weight", a, fix))
        w = w.astype(losses.dtype)
        if w.shape != losses.shape:
            column = w.reshape(*w.shape, *[1] * (losses.ndim - 1))
            w = column.broadcast_to(*losses.shape)
        return losses * w, w if weights is None else weights * w


class Loss(Reduction):
    """Base class of losses of a prediction and a target, reduced over a batch.

    A loss of your own defines :meth:`pointwise`, and :meth:`weights` where its losses
    do not count 1 each. ``forward``, ``totals`` and the reductions follow.

    Args:
        reduction: ``"mean"``, Σ ℓ / Σ w; ``"sum"``, Σ ℓ; both are scalars. ``"none"``:
            the losses ℓ themselves.

    Attributes:
        quantities: whether targets are quantities; a class of losses for a regression
            says True.
        decides_from: from which output on class 1 is meant; a class of losses for two
            classes says it, such as 0.0 for scores.

    Raises:
        ArgumentError: an unknown reduction; the mean of an empty batch; numbers that
            the loss is not defined for.
        ShapeError, DTypeError: a prediction and a target that do not fit together.

    >>> import chainrule as cr
    >>> class FourthPower(cr.nn.Loss):
    ...     def pointwise(self, prediction, target):
    ...         return (prediction - target) ** 4
    >>> prediction, target = cr.tensor([1.0, 3.0]), cr.tensor([0.0, 1.0])
    >>> FourthPower()(prediction, target)
    tensor(8.5)
    >>> FourthPower(reduction="none")(prediction, target)
    tensor([ 1., 16.])
    >>> FourthPower()(prediction, target, sample_weight=[3, 1])  # (3 + 16) / 4
    tensor(4.75)
    """

    quantities: ClassVar[bool] = False
    decides_from: ClassVar[float | None] = None

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the loss ℓ of each element or sample; each loss class defines this.

        Class weights and the like are inside them already. Called with what
        :meth:`match` gave.
        """
        raise ArgumentError(
            _("{kind} has no pointwise().", kind=type(self).__name__),
            expected=_(
                "a method pointwise(self, prediction, target) → tensor of losses"
            ),
            fix=_("define it in the class"),
        )

    def weights(self, prediction: Tensor, target: Tensor) -> Tensor | None:
        """Return the weights of the losses, which divide their mean; None: 1 each."""
        return None

    def match(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Convert a loss's prediction and target to the types ``pointwise`` needs."""
        return prediction, target

    def check_target(self, y: Array, prediction_shape: Shape) -> None:
        """Refuse targets whose values the loss does not accept.

        ``forward`` calls it where the numbers are known. A Trainer calls it with the
        targets of a whole data set before it compiles anything.

        Args:
            y: the targets as they came, one row a sample.
            prediction_shape: of the predictions; its first size may be N.
        """
        self.right_target(y, prediction_shape)

    def right_target(self, y: Any, prediction_shape: Shape) -> Any:
        """Return a loss's target after a check of its values, deferred while traced."""
        return y

    def right_prediction(self, prediction: Any) -> Any:
        """Return a loss's prediction after a check of its values."""
        return prediction

    def is_sure(self, prediction: Tensor) -> bool:
        """Return whether a prediction's origin guarantees values valid for the loss."""
        return False

    def prepare(self, prediction: Any, target: Any) -> tuple[Tensor, Tensor]:
        """Return a loss's prediction and target as checked tensors of matching types.

        Known values are checked at once. In a graph they are checked when it
        runs; targets are not within :func:`~chainrule.nn.losses.targets_checked`.
        """
        output, truth = wide(as_tensor(prediction)), as_tensor(target)
        if not output.dtype.is_float:
            output = output.astype(get_default_dtype())
        y = numbers(truth)
        if y is None and not are_targets_checked():
            truth = self.right_target(truth, output.shape)
        prediction, target = self.match(output, truth)
        if y is not None:
            self.check_target(y, output.shape)
        if not self.is_sure(prediction):
            prediction = checked(prediction, self.right_prediction)
        return prediction, target

    def forward(
        self, prediction: Any, target: Any, sample_weight: Any = None
    ) -> Tensor:
        """Compute the loss of a batch, reduced to its mean or sum.

        Of bfloat16 it is float32: a mean of many losses has more digits than these.

        Args:
            prediction: what the network says.
            target: what is right.
            sample_weight: how much each sample counts, (n,): a factor of its losses and
                of their weights in the mean.
        """
        prediction, target = self.prepare(prediction, target)
        losses = self.pointwise(prediction, target)
        mean = self.reduction not in ("sum", "none")
        weights = self.weights(prediction, target) if mean else None
        return self.reduced(losses, weights, sample_weight)

    def totals(
        self, prediction: Any, target: Any, sample_weight: Any = None
    ) -> tuple[Tensor, Tensor]:
        """Compute a batch's sum of losses Σ ℓ and of weights Σ w, both scalars.

        Added up over the batches of a data set, their quotient is the mean over the
        whole set, however it was cut.

        >>> import chainrule as cr
        >>> cr.nn.MSELoss().totals(cr.tensor([1.0, 3.0]), cr.tensor([0.0, 0.0]))
        (tensor(10.), tensor(2.))
        """
        prediction, target = self.prepare(prediction, target)
        losses = self.pointwise(prediction, target)
        weights = self.weights(prediction, target)
        losses, weights = self._with_samples(losses, weights, sample_weight)
        if weights is None:
            return losses.sum(), count_of(losses.size, losses.dtype)
        return losses.sum(), weights.sum()


class ElementwiseLoss(Loss):
    """Base class of losses of a target and a prediction of the same shape.

    They give one loss an element where they do not say otherwise; integer targets are
    converted to the prediction's dtype, other shapes are refused.
    """

    #: What else to do about shapes that differ by more than an axis of length 1.
    hint: ClassVar[str] = _("give one target for each number that the network predicts")

    def match(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Convert a loss's target to the prediction's dtype; require equal shapes."""
        if prediction.shape != target.shape:
            raise ShapeError(
                _("{kind} compares element by element.", kind=type(self).__name__),
                expected=_("a target of shape {shape}", shape=show(prediction.shape)),
                got=show(target.shape),
                fix=_fix(prediction.shape, target.shape) or self.hint,
            )
        return prediction, target.astype(prediction.dtype)


def _fix(prediction: Shape, target: Shape) -> str | None:
    """Return a fix for a prediction and target that differ by an axis of length 1.

    Broadcasting (n, 1) against (n,) would compare each prediction with each target.
    """
    if prediction == (*target, 1):
        if len(target) != 1:
            return "y.unsqueeze(-1)"
        return _(
            "y.reshape(-1, 1); of a data set: cr.data.Dataset(x, y.reshape(-1, 1))"
        )
    if target == (*prediction, 1):
        return "y.reshape(-1)" if len(prediction) == 1 else "y.squeeze(-1)"
    return None


def check_takes_weights(loss: Any) -> None:
    """Refuse a user's loss function that does not accept sample weights."""
    if isinstance(loss, Loss):
        return
    try:
        known = "sample_weight" in inspect.signature(loss).parameters
    except (TypeError, ValueError):
        known = False
    if not known:
        raise ArgumentError(
            _("This loss takes no weights of samples."),
            expected=_(
                "a loss of chainrule.nn, or function(prediction, target, sample_weight)"
            ),
            got=getattr(loss, "__name__", repr(loss))[:80],
            fix=_("leave sample_weight out, or take it as a third argument"),
        )
