"""Losses of one class among C: cross-entropy, of scores and of log-probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.composites import activations, losses
from chainrule.errors import DTypeError, ShapeError
from chainrule.functions import where
from chainrule.graph.types import Shape
from chainrule.nn.arguments import ReductionName, factors, flag, integer, number
from chainrule.nn.function import as_loss_function
from chainrule.nn.losses.base import Loss
from chainrule.nn.losses.checks import check_distributions, check_labels, is_integer
from chainrule.nn.losses.origin import behind, refuse, warn_of_scores
from chainrule.primitives.elementwise import convert
from chainrule.primitives.indexing import one_hot_mask, take
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, wrap
from chainrule.text import _

__all__ = ["CrossEntropyLoss", "NLLLoss", "cross_entropy", "nll_loss"]

OfRows = Callable[[Tensor, Tensor], Tensor]


class ClassLoss(Loss):
    """Base class of classification losses, whose target is a class index.

    The classes are the second axis of the prediction, or its only one.

    Args:
        weight: one factor a class; 1 each by default.
        ignore_index: a label whose samples cost nothing and do not count, or None.
        reduction: see :class:`Loss`.
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Any = None,
        *,
        ignore_index: int | None = None,
        reduction: ReductionName = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        kind = type(self).__name__
        factor = None if weight is None else factors(kind, "weight", weight, ndim=1)
        self.register_buffer("weight", factor)
        if ignore_index is not None:
            ignore_index = integer(kind, "ignore_index", ignore_index)
        self.ignore_index = ignore_index

    def match(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Check a classification loss's shapes, and convert the labels to int32."""
        kind = type(self).__name__
        if not prediction.ndim:
            raise ShapeError(
                _("{kind} takes one row of scores a sample.", kind=kind),
                expected=_("a prediction of shape (n, C), (n, C, …) or (C,)"),
                got=show(prediction.shape),
            )
        classes = prediction.shape[_axis(prediction.shape)]
        if self.weight is not None and self.weight.shape != (classes,):
            raise ShapeError(
                _(
                    "{kind} has another number of weights than the prediction has "
                    "classes.",
                    kind=kind,
                ),
                expected=_("weight of shape {classes}", classes=show((classes,))),
                got=show(self.weight.shape),
                fix=_("give one weight a class"),
            )
        return prediction, self._labels(prediction, target)

    def _labels(self, prediction: Tensor, target: Tensor) -> Tensor:
        kind, wanted = type(self).__name__, _without_classes(prediction.shape)
        if not target.dtype.is_integer:
            raise DTypeError(
                _("{kind} takes class indices as labels.", kind=kind),
                expected=_("integers of shape {wanted}", wanted=show(wanted)),
                got=_(
                    "{name} of shape {shape}",
                    name=target.dtype.name,
                    shape=show(target.shape),
                ),
                fix=_("y.astype('int32'), or y.argmax(1) for one-hot rows"),
            )
        if target.shape != wanted:
            raise ShapeError(
                _("{kind} takes one label a row of scores.", kind=kind),
                expected=_("labels of shape {wanted}", wanted=show(wanted)),
                got=show(target.shape),
                fix=_(
                    "give class indices: y.reshape(-1), or y.argmax(1) for one-hot "
                    "rows of other classes"
                ),
            )
        return target.astype("int32")

    def right_target(self, y: Any, prediction_shape: Shape) -> Any:
        """Check that labels are valid class indices of a prediction; return them."""
        if not prediction_shape or not is_integer(y):
            return y
        classes = prediction_shape[_axis(prediction_shape)]
        if isinstance(classes, int) and y.ndim == len(prediction_shape) - 1:
            return check_labels(y, classes, self.ignore_index)
        return y

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the classification loss of each sample, with its class weight."""
        return self._by_rows(self.of_rows, prediction, target)

    def of_rows(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of each row of scores, for labels or probabilities."""
        raise NotImplementedError

    def _by_rows(self, of_rows: OfRows, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute a classification loss row by row, without the class axis."""
        shape = _without_classes(prediction.shape)
        ignored = self._ignored(target)
        if target.shape == prediction.shape:
            target = _rows(target)
        else:
            labels = target if ignored is None else where(ignored, 0, target)
            target = labels if labels.ndim == 1 else labels.reshape(-1)
        result = of_rows(_rows(prediction), target)
        result = result if result.shape == shape else result.reshape(*shape)
        return result if ignored is None else where(ignored, 0.0, result)

    def weights(self, prediction: Tensor, target: Tensor) -> Tensor | None:
        """Return each sample's class weight in the loss; None if all count 1."""
        ignored = self._ignored(target)
        indices = target.dtype.is_integer
        if not indices or (self.weight is None and ignored is None):
            return None
        if self.weight is None:
            return (target != self.ignore_index).astype(prediction.dtype)
        labels = target if ignored is None else where(ignored, 0, target)
        result = self._weight_of(labels, prediction)
        return result if ignored is None else where(ignored, 0.0, result)

    def _ignored(self, target: Tensor) -> Tensor | None:
        if self.ignore_index is None or not target.dtype.is_integer:
            return None
        return target == self.ignore_index

    def _weight_of(self, labels: Tensor, like: Tensor) -> Tensor:
        """Return the weight of each label's class in the loss."""
        assert self.weight is not None
        weight = self.weight.astype(like.dtype)
        return wrap(take(weight.value, labels.value))


def _axis(shape: Shape) -> int:
    """Return the class axis of a prediction's shape: 1, or 0 for a single sample."""
    return 1 if len(shape) > 1 else 0


def _without_classes(shape: Shape) -> Shape:
    return shape[:1] + shape[2:] if len(shape) > 1 else ()


def _rows(x: Tensor) -> Tensor:
    """Reshape scores (N, C, d…) to one row per sample, (N · d…, C)."""
    if x.ndim == 2:
        return x
    if x.ndim > 2:
        x = x.permute(0, *range(2, x.ndim), 1)
    return x.reshape(-1, x.shape[-1])


def _distribution(classes: int) -> str:
    """Return what helps where targets of so many classes are no distributions."""
    if classes == 1:
        return _(
            "a single output tells yes from no: nn.BCEWithLogitsLoss(), or "
            "nn.BCELoss() behind nn.Sigmoid(); or one output a class"
        )
    return _(
        "where several classes hold at once, or none, nn.BCEWithLogitsLoss(), or "
        "nn.BCELoss() behind nn.Sigmoid(); else divide each row by its sum"
    )


class CrossEntropyLoss(ClassLoss):
    """Cross-entropy −Σᵢ yᵢ ln ŷᵢ over the classes (2.5.1, 3.3 (2)).

    By default the prediction is a row of scores z ("logits") and the loss applies the
    softmax, ŷ = softmax(z): then δ⁽ᴸ⁾ = (ŷ − y)/n for a batch of n. With
    ``from_logits=False`` the prediction is ŷ itself, for a network that ends in
    ``nn.Softmax()`` as the book's does (3.2.3). Both compute the same: a softmax in
    front of the loss is computed together with it, from its scores. Elsewhere a
    class of probability 0 costs 100, with derivative −10¹² (PyTorch's numbers in its
    BCELoss): −ln ŷ is cut off at 100, and its derivative is −1/max(ŷ, 10⁻¹²). Where
    yᵢ = 0 the term is 0.

    The target is a class index, y one-hot, or a row of probabilities y. With class
    weights w and smoothing ε

        ℓ = −Σᵢ wᵢ y′ᵢ ln ŷᵢ,   y′ = (1 − ε) y + ε/C,

    and the mean is Σ ℓ / Σ w_y over class indices, Σ ℓ / n over rows (PyTorch's rule).
    In a batch in which nothing counts (every label is ``ignore_index``, only classes or
    samples of weight 0) the mean is 0 with derivative 0, where PyTorch's is NaN: a
    batch of padding says nothing, and must not end a run or move a weight.

    Args:
        weight: one factor a class, for classes of unequal size; 1 each by default.
        ignore_index: a label whose samples cost nothing and do not count, such as −100
            (PyTorch's default); None for none.
        label_smoothing: ε, from 0 to 1 (Szegedy et al. 2016).
        from_logits: whether the prediction is scores; else it is probabilities.

    Shapes:
        prediction (n, C), (n, C, d₁, …) or (C,) of any floating type; target of
        integers 0 … C−1 without the axis of classes, or of the prediction's shape:
        one-hot rows or probabilities.

    Raises:
        ArgumentError: labels outside 0 … C−1; rows that are no probabilities; a network
            that ends in a softmax where scores are taken.
        ShapeError, DTypeError: a target of another shape; labels that are no integers.

    >>> import chainrule as cr
    >>> cr.nn.CrossEntropyLoss()(cr.tensor([[0.0, 0.0]]), cr.tensor([1]))
    tensor(0.6931472)
    >>> loss = cr.nn.CrossEntropyLoss(from_logits=False)
    >>> loss(cr.tensor([[0.5, 0.5]]), cr.tensor([[0.0, 1.0]]))
    tensor(0.6931472)
    """

    def __init__(
        self,
        weight: Any = None,
        *,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        from_logits: bool = True,
        reduction: ReductionName = "mean",
    ) -> None:
        super().__init__(weight, ignore_index=ignore_index, reduction=reduction)
        kind = "CrossEntropyLoss"
        self.label_smoothing = number(
            kind, "label_smoothing", label_smoothing, least=0, most=1
        )
        self.from_logits = flag(kind, "from_logits", from_logits)

    def match(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Convert cross-entropy's labels to int32; refuse unsuitable activations."""
        self._refuse(prediction)
        return super().match(prediction, target)

    def _labels(self, prediction: Tensor, target: Tensor) -> Tensor:
        if target.shape == prediction.shape:
            return target.astype(prediction.dtype)
        return super()._labels(prediction, target)

    def right_target(self, y: Any, prediction_shape: Shape) -> Any:
        """Check cross-entropy's labels, or rows of probabilities, and return them."""
        y = super().right_target(y, prediction_shape)
        if y.ndim and y.ndim == len(prediction_shape):
            axis = _axis(prediction_shape)
            if y.shape[axis] == prediction_shape[axis]:
                fix = _distribution(y.shape[axis])
                return check_distributions(
                    "CrossEntropyLoss", _("the target"), y, fix, axis
                )
        return y

    def is_sure(self, prediction: Tensor) -> bool:
        """Return whether cross-entropy's prediction needs no check of its values."""
        axis = _axis(prediction.shape)
        result = (
            None if self.from_logits else behind(prediction, activations.softmax, axis)
        )
        return self.from_logits or result is not None

    def right_prediction(self, prediction: Any) -> Any:
        """Check that cross-entropy's predictions are distributions, and return them."""
        fix = _("end the network in nn.Softmax(), or leave out from_logits=False")
        what, axis = _("the prediction"), _axis(prediction.shape)
        return check_distributions("CrossEntropyLoss", what, prediction, fix, axis)

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the cross-entropy of each sample, with class weights."""
        if self.from_logits:
            return self._by_rows(self._of_scores, prediction, target)
        scores = behind(prediction, activations.softmax, axis=_axis(prediction.shape))
        if scores is not None:
            return self._by_rows(self._of_scores, scores, target)
        fix = _("end the network in nn.Softmax(), or leave out from_logits=False")
        warn_of_scores("CrossEntropyLoss(from_logits=False)", prediction, fix)
        return self._by_rows(self._of_probabilities, prediction, target)

    def _of_scores(self, scores: Tensor, target: Tensor) -> Tensor:
        if self.label_smoothing or not target.dtype.is_integer:
            rows = self._truth(scores, target)
            return wrap(losses.soft_cross_entropy(scores.value, rows.value))
        result = wrap(losses.cross_entropy(scores.value, target.value))
        return (
            result if self.weight is None else result * self._weight_of(target, result)
        )

    def _of_probabilities(self, prediction: Tensor, target: Tensor) -> Tensor:
        rows = self._truth(prediction, target)
        return wrap(losses.log_score(prediction.value, rows.value)).sum(1)

    def _truth(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return cross-entropy's smoothed target rows w ⊙ ((1 − ε) y + ε/C)."""
        classes = int(prediction.shape[-1])
        if target.dtype.is_integer:
            mask = one_hot_mask(target.value, classes)
            target = wrap(convert(mask, dtype=prediction.dtype))
        if self.label_smoothing:
            rest, share = 1 - self.label_smoothing, self.label_smoothing / classes
            target = target * rest + share
        return (
            target if self.weight is None else target * self.weight.astype(target.dtype)
        )

    def _refuse(self, prediction: Tensor) -> None:
        """Refuse a last activation that cross-entropy does not take."""
        if self.from_logits:
            refuse(
                "CrossEntropyLoss",
                prediction,
                (activations.softmax, activations.log_softmax),
                expected=_("scores: the loss applies the softmax itself"),
                fix=_(
                    "remove the Softmax from the network, or, after "
                    "nn.Softmax(), take nn.CrossEntropyLoss(from_logits=False)"
                ),
            )
        else:
            refuse(
                "CrossEntropyLoss(from_logits=False)",
                prediction,
                (activations.log_softmax,),
                expected=_("probabilities, not their logarithms"),
                fix=_(
                    "end the network in nn.Softmax(), or leave out from_logits=False"
                ),
            )


class NLLLoss(ClassLoss):
    """The negative log-likelihood −w_y ln ŷ_y of logarithms of probabilities ln ŷ.

    For a network that ends in ``nn.LogSoftmax()``. :class:`CrossEntropyLoss` does both
    at once, from scores. The mean is Σ ℓ / Σ w_y.

    Args:
        weight: one factor a class; 1 each by default.
        ignore_index: a label whose samples cost nothing and do not count; None for
            none.

    Shapes:
        prediction (n, C), (n, C, d₁, …) or (C,); target of integers 0 … C−1 without the
        axis of classes.

    Raises:
        ArgumentError: labels outside 0 … C−1; a network that ends in a softmax.
        ShapeError, DTypeError: a target of another shape; labels that are no integers.

    >>> import chainrule as cr
    >>> cr.nn.NLLLoss()(cr.tensor([[-0.5, -2.0]]), cr.tensor([1]))
    tensor(2.)
    """

    def match(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Refuse predictions that are no log-probabilities; convert labels to int32."""
        fix = _("end the network in nn.LogSoftmax(), or take nn.CrossEntropyLoss()")
        refuse(
            "NLLLoss",
            prediction,
            (activations.softmax,),
            expected=_("logarithms of probabilities"),
            fix=fix,
        )
        warn_of_scores("NLLLoss", prediction, fix)
        return super().match(prediction, target)

    def of_rows(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the negative log-likelihood −w_y ln ŷ_y of each row."""
        classes = int(prediction.shape[-1])
        own = wrap(one_hot_mask(target.value, classes))
        result = -where(own, prediction, 0.0).sum(1)
        return (
            result if self.weight is None else result * self._weight_of(target, result)
        )


cross_entropy = as_loss_function(CrossEntropyLoss, "cross_entropy")
nll_loss = as_loss_function(NLLLoss, "nll_loss")
