"""Losses: how far the prediction ŷ is from the truth y (2.5)."""

from __future__ import annotations

import numpy as np

from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.nn.module import Module
from chainrule.primitives import losses
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor, wrap


class CrossEntropyLoss(Module):
    """The mean over the batch of −ln softmax(z)[y] (2.5.1, 3.3 (2)), from scores z.

    With it δ⁽ᴸ⁾ = (ŷ − y)/n for a batch of n. The softmax is part of the loss: the
    network ends in scores ("logits").

    Shapes:
        scores (n, C) of any floating type; labels (n,) of integers 0 … C−1.

    >>> import chainrule as cr
    >>> cr.nn.CrossEntropyLoss()(cr.tensor([[0.0, 0.0]]), cr.tensor([1]))
    tensor(0.6931472)
    """

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean loss, a scalar."""
        logits, labels = as_tensor(logits), as_tensor(labels)
        if not labels.dtype.is_integer:
            raise DTypeError(
                "CrossEntropyLoss takes class indices as labels.",
                expected="integers of shape (n,)",
                got=f"{labels.dtype.name} of shape {show(labels.shape)}",
                fix="y.astype('int32'), or y.argmax(axis=1) for one-hot rows",
            )
        if labels._value.array is not None and logits.ndim == 2:
            check_labels(labels.numpy(), int(logits.shape[-1]))
        labels = labels.astype("int32")
        return wrap(losses.cross_entropy(logits.value, labels.value)).mean()


def check_labels(labels: np.ndarray, classes: int) -> None:
    """Refuse labels outside 0 … classes−1."""
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        bad = int(np.flatnonzero((labels < 0) | (labels >= classes))[0])
        raise ArgumentError(
            f"A label is outside the {classes} classes that the network scores.",
            expected=f"0 … {classes - 1}",
            got=f"{labels.ravel()[bad]} in row {bad}",
            fix=f"number the classes from 0, or end in nn.Linear(…, "
            f"{int(labels.max()) + 1})",
        )


class MSELoss(Module):
    """The mean squared error 1/n Σ (y − ŷ)² over all elements (2.5.1).

    >>> import chainrule as cr
    >>> cr.nn.MSELoss()(cr.tensor([1.0, 2.0]), cr.tensor([0.0, 0.0]))
    tensor(2.5)
    """

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The mean loss, a scalar."""
        prediction = as_tensor(prediction)
        target = as_tensor(target).astype(prediction.dtype)
        if prediction.shape != target.shape:
            raise ShapeError(
                "MSELoss compares element by element.",
                expected=show(prediction.shape),
                got=show(target.shape),
                fix="reshape the target: y.reshape(-1, 1)",
            )
        error = prediction - target
        return (error * error).mean()
