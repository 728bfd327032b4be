"""Cross-entropy: which of C classes is it?"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.graph.node import Array
from chainrule.graph.types import Shape
from chainrule.nn.losses.base import Loss
from chainrule.nn.losses.checks import check_labels, check_rows
from chainrule.nn.losses.origin import behind, refuse, warn_of_scores
from chainrule.primitives.elementwise import convert
from chainrule.primitives.indexing import one_hot_mask, take
from chainrule.primitives.rules import show
from chainrule.regions import losses
from chainrule.tensor import Tensor, wrap


class CrossEntropyLoss(Loss):
    """Cross-entropy −Σᵢ yᵢ ln ŷᵢ over the classes (2.5.1, 3.3 (2)).

    By default the prediction is a row of scores z ("logits") and the loss applies the
    softmax, ŷ = softmax(z): then δ⁽ᴸ⁾ = (ŷ − y)/n for a batch of n. With
    ``from_logits=False`` the prediction is ŷ itself, for a network that ends in
    ``nn.Softmax()`` as the book's does (3.2.3). Both compute the same: a softmax in
    front of the loss is computed together with it, from its scores. Elsewhere a ŷ below
    the smallest normal number of its dtype counts as that number, so that a class of
    probability 0 costs 87.3 in float32 and 708.4 in float64, with derivative 0; where
    yᵢ = 0 the term is 0.

    The target is a class index, y one-hot, or a row of probabilities y. With class
    weights w and smoothing ε

        ℓ = −Σᵢ wᵢ y′ᵢ ln ŷᵢ,   y′ = (1 − ε) y + ε/C,

    and the mean is Σ ℓ / Σ w_y over class indices, Σ ℓ / n over rows (PyTorch's rule).
    In a batch in which only classes of weight 0 occur it is 0.

    Args:
        weight: one factor a class, for classes of unequal size; 1 each by default.
        label_smoothing: ε, from 0 to 1 (Szegedy et al. 2016).
        from_logits: whether the prediction is scores; else it is probabilities.
        reduction: ``"mean"``, ``"sum"`` or ``"none"`` (one loss a sample).

    Shapes:
        prediction (n, C) of any floating type; target (n,) of integers 0 … C−1, or
        (n, C) of one-hot rows or probabilities.

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
        label_smoothing: float = 0.0,
        from_logits: bool = True,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        number = isinstance(label_smoothing, int | float)
        if not number or not 0 <= label_smoothing <= 1:
            raise ArgumentError(
                "CrossEntropyLoss smooths labels by a share of the probability.",
                expected="0 ≤ label_smoothing ≤ 1",
                got=repr(label_smoothing),
                fix="label_smoothing=0.1",
            )
        self.weight = class_weights("CrossEntropyLoss", weight)
        self.label_smoothing = float(label_smoothing)
        self.from_logits = bool(from_logits)

    def match(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Labels as int32, rows of probabilities in the dtype of the prediction."""
        if prediction.ndim != 2:
            raise ShapeError(
                "CrossEntropyLoss takes one row of scores a sample.",
                expected="a prediction of shape (n, C)",
                got=show(prediction.shape),
                fix="one sample is a row too: x.reshape(1, -1)"
                if prediction.ndim < 2
                else "one row for each label: z.reshape(-1, C) and y.reshape(-1)",
            )
        self._refuse(prediction)
        if target.shape == prediction.shape:
            fit_weights("CrossEntropyLoss", prediction, self.weight)
            return prediction, target.astype(prediction.dtype)
        return prediction, labels_of(
            "CrossEntropyLoss", prediction, target, self.weight
        )

    def check_target(self, y: Array, prediction_shape: Shape) -> None:
        """Refuse labels outside the classes, and rows that are no distributions."""
        classes = prediction_shape[-1] if len(prediction_shape) == 2 else None
        if not isinstance(classes, int):
            return
        if y.ndim == 1 and y.dtype.kind in "iu":
            check_labels(y, classes)
        elif y.ndim == 2 and y.shape[1] == classes:
            fix = (
                "divide each row by its sum; where several classes hold at once, take "
                "nn.BCEWithLogitsLoss()"
            )
            check_rows("CrossEntropyLoss", "the target", y, fix)

    def check_prediction(self, prediction: Array) -> None:
        """Refuse rows that are no distributions, where they should be."""
        if not self.from_logits:
            fix = "end the network in nn.Softmax(), or leave out from_logits=False"
            check_rows("CrossEntropyLoss", "the prediction", prediction, fix)

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """One loss a row, its class weights inside."""
        scores = self._scores(prediction)
        labels = target.dtype.is_integer
        if labels and not self.label_smoothing and scores is not None:
            made = wrap(losses.cross_entropy(scores.value, target.value))
            return made if self.weight is None else made * self._weight_of(target, made)
        rows = self._rows(prediction, target) if labels else self._smooth(target)
        if self.weight is not None:
            rows = rows * self.weight.astype(rows.dtype)
        if scores is not None:
            return wrap(losses.soft_cross_entropy(scores.value, rows.value))
        return wrap(losses.log_score(prediction.value, rows.value)).sum(1)

    def weights(self, prediction: Tensor, target: Tensor) -> Tensor | None:
        """The weight of each sample's class; 1 each for rows of probabilities."""
        if self.weight is None or not target.dtype.is_integer:
            return None
        return self._weight_of(target, prediction)

    def settings(self) -> dict[str, Any]:
        """The arguments that are not the default ones."""
        made = weight_settings("weight", self.weight)
        if self.label_smoothing:
            made["label_smoothing"] = self.label_smoothing
        if not self.from_logits:
            made["from_logits"] = False
        return {**made, **super().settings()}

    def _refuse(self, prediction: Tensor) -> None:
        """Refuse a network whose end is another than this loss takes."""
        if self.from_logits:
            refuse(
                "CrossEntropyLoss",
                prediction,
                ("softmax", "log_softmax"),
                expected="scores: the loss applies the softmax itself",
                fix="remove the Softmax from the network, or, after nn.Softmax(), take "
                "nn.CrossEntropyLoss(from_logits=False)",
            )
        else:
            refuse(
                "CrossEntropyLoss(from_logits=False)",
                prediction,
                ("log_softmax",),
                expected="probabilities, not their logarithms",
                fix="end the network in nn.Softmax(), or leave out from_logits=False",
            )

    def _scores(self, prediction: Tensor) -> Tensor | None:
        """The scores behind the prediction; None where it is probabilities alone."""
        if self.from_logits:
            return prediction
        scores = behind(prediction, "softmax", axis=1)
        if scores is None:
            fix = "end the network in nn.Softmax(), or leave out from_logits=False"
            warn_of_scores("CrossEntropyLoss(from_logits=False)", prediction, fix)
        return scores

    def _rows(self, prediction: Tensor, labels: Tensor) -> Tensor:
        """Labels as one-hot rows, smoothed."""
        classes = prediction.shape[-1]
        assert isinstance(classes, int)
        mask = one_hot_mask(labels.value, classes)
        return self._smooth(wrap(convert(mask, dtype=prediction.dtype)))

    def _smooth(self, rows: Tensor) -> Tensor:
        """(1 − ε) y + ε/C."""
        if not self.label_smoothing:
            return rows
        classes = rows.shape[-1]
        assert isinstance(classes, int)
        kept, share = 1 - self.label_smoothing, self.label_smoothing / classes
        return rows * kept + share

    def _weight_of(self, labels: Tensor, like: Tensor) -> Tensor:
        """The weight of each label."""
        assert self.weight is not None
        weight = self.weight.astype(like.dtype)
        return wrap(take(weight.value, labels.value))


def class_weights(loss: str, given: Any) -> Tensor | None:
    """Weights of the classes as a tensor; None for none."""
    if given is None:
        return None
    array = factors(given)
    if array is None or array.ndim != 1 or not array.any():
        raise ArgumentError(
            f"{loss} needs a weight for each class.",
            expected="a list of finite numbers ≥ 0, not all 0",
            got=repr(given)[:80],
            fix="weight=[1.0, 2.0, …], one number a class",
        )
    weight = Tensor(array)
    weight.name = "class_weight"
    return weight


def factors(given: Any) -> Array | None:
    """Finite numbers ≥ 0 as a float64 array; None where they are something else."""
    try:
        array = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        return None
    return array if np.isfinite(array).all() and (array >= 0).all() else None


def weight_settings(name: str, weight: Tensor | None) -> dict[str, Any]:
    """Weights as JSON-able settings; nothing where there are none."""
    return {} if weight is None else {name: weight.numpy().tolist()}


def fit_weights(loss: str, prediction: Tensor, weight: Tensor | None) -> None:
    """Refuse weights of another number than the classes."""
    if weight is not None and weight.shape != prediction.shape[1:]:
        raise ShapeError(
            f"{loss} has another number of weights than the prediction has classes.",
            expected=f"weight of shape {show(prediction.shape[1:])}",
            got=show(weight.shape),
            fix="give one weight a class",
        )


def labels_of(
    loss: str, prediction: Tensor, target: Tensor, weight: Tensor | None
) -> Tensor:
    """Class indices as int32, once they are seen to fit the rows of scores."""
    if not target.dtype.is_integer:
        raise DTypeError(
            f"{loss} takes class indices as labels.",
            expected=f"integers of shape {show(prediction.shape[:1])}",
            got=f"{target.dtype.name} of shape {show(target.shape)}",
            fix="y.astype('int32'), or y.argmax(1) for one-hot rows",
        )
    if target.shape != prediction.shape[:1]:
        raise ShapeError(
            f"{loss} takes one label a row of scores.",
            expected=f"labels of shape {show(prediction.shape[:1])}",
            got=show(target.shape),
            fix="give class indices: y.reshape(-1), or y.argmax(1) for one-hot "
            "rows of other classes",
        )
    fit_weights(loss, prediction, weight)
    return target.astype("int32")
