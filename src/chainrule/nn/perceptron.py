"""The perceptron, trained by Rosenblatt's rule instead of gradient descent."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.context import no_grad
from chainrule.graph.node import Array
from chainrule.nn.activations import heaviside
from chainrule.nn.affine import linear
from chainrule.nn.arguments import Count, floating, positive_integers
from chainrule.nn.losses.margins import PerceptronLoss
from chainrule.nn.module import Module, Parameter
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor, tensor
from chainrule.text import _

__all__ = ["Perceptron"]


class Perceptron(Module):
    """The perceptron ŷ = step(W x + b): 1 where the weighted sum reaches 0, else 0.

    Rosenblatt 1958 (textbook 1.3). The derivative of ``step`` is 0 almost everywhere,
    so gradient descent cannot train it. Rosenblatt's rule does, sample by sample:

        W ← W + η (y − ŷ) xᵀ,    b ← b + η (y − ŷ)

    which changes nothing where ŷ is right. If some hyperplane separates the classes, it
    finds one after finitely many mistakes (Novikoff 1962); if none does, as for XOR
    (Minsky & Papert 1969), it never stops making them.

    Args:
        in_features: the number of inputs.
        out_features: the number of neurons, each with labels of its own.
        dtype: of the parameters.

    Shapes:
        ``weight`` (m, n) and ``bias`` (m,), both start at 0; input (…, n).

    >>> import chainrule as cr
    >>> x, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1]
    >>> neuron = cr.nn.Perceptron(2)
    >>> [neuron.learn(x, y) for _ in range(6)]
    [2, 3, 3, 2, 1, 0]
    >>> neuron(x).tolist()
    [[0.0], [0.0], [0.0], [1.0]]
    """

    def __init__(
        self,
        in_features: Count,
        out_features: Count = 1,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self.in_features, self.out_features = positive_integers(
            "Perceptron", in_features=in_features, out_features=out_features
        )
        kind = floating("Perceptron", dtype, device).numpy
        self.weight = Parameter(np.zeros((self.out_features, self.in_features), kind))
        self.bias = Parameter(np.zeros(self.out_features, kind))

    def score(self, x: Any) -> Tensor:
        """Compute the perceptron's score z = W x + b, whose sign gives the class."""
        return linear(x, self.weight, self.bias)

    def forward(self, x: Any) -> Tensor:
        """Compute the perceptron's decision step(W x + b): zeros and ones."""
        return heaviside(self.score(x))

    def learn(self, x: Any, y: Any, lr: float = 1.0) -> int:
        """Train the perceptron by one pass of Rosenblatt's rule over the samples.

        The change of each sample is −η times the gradient of
        :class:`~chainrule.nn.PerceptronLoss`, whose δ is ŷ − y by declaration.

        Args:
            x: (n, in_features).
            y: labels 0 and 1: (n, out_features), or (n,) for one neuron.
            lr: η. From weights of 0 it scales all of them and changes no decision.

        Returns:
            The number of mistakes that were met, each when its sample had its turn.

        Raises:
            ShapeError: x and y do not fit.
            ArgumentError: other labels than 0 and 1.
        """
        rows, labels = self._samples(x, y)
        rule, mistakes = PerceptronLoss(reduction="sum"), 0
        for row, label in zip(rows, labels):
            self.zero_grad()
            z = self.score(tensor(row[None]))
            wrong = heaviside(z.detach()).numpy()[0] != label
            mistakes += int(wrong.sum())
            rule(z, tensor(label[None])).backward()
            with no_grad():
                for p in self.parameters():
                    assert p.grad is not None
                    p.copy_(p - p.grad * float(lr))
        self.zero_grad()
        return mistakes

    def _samples(self, x: Any, y: Any) -> tuple[Array, Array]:
        dtype = self.weight.dtype.numpy
        rows = as_tensor(x).numpy().astype(dtype)
        labels = as_tensor(y).numpy().astype(dtype)
        if labels.ndim == 1 and self.out_features == 1:
            labels = labels[:, None]
        fits = rows.ndim == 2 and rows.shape[1] == self.in_features
        if not fits or labels.shape != (len(rows), self.out_features):
            raise ShapeError(
                _("Perceptron.learn takes one row and one label a sample."),
                expected=f"x (n, {self.in_features}), y (n, {self.out_features})",
                got=f"x {show(rows.shape)}, y {show(labels.shape)}",
            )
        known = (labels == 0) | (labels == 1)
        if not known.all():
            raise ArgumentError(
                _("A perceptron's labels are 0 and 1."),
                expected="0 or 1",
                got=f"{labels[~known][0]:g}",
                fix=_("(y + 1) / 2 for labels −1 and 1, or nn.HingeLoss with them"),
            )
        return rows, labels
