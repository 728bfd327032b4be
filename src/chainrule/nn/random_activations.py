"""Activations that draw: randomised slopes, and samples of classes."""

from __future__ import annotations

from typing import Any

from chainrule.functions import where
from chainrule.nn.activations import InPlace, put
from chainrule.nn.arguments import flag, number
from chainrule.nn.axis_activations import softmax
from chainrule.operations.arguments import axis_of
from chainrule.operations.operands import floating
from chainrule.primitives.indexing import one_hot_mask
from chainrule.random import gumbel, uniform
from chainrule.tensor import Tensor, as_tensor, wrap

__all__ = ["RReLU", "gumbel_softmax", "rrelu"]


class RReLU(InPlace):
    """f(z) = z where z > 0, else a z; in training a is drawn from U(lower, upper).

    In prediction a is the mean, (lower + upper)/2 (Xu et al. 2015, "Empirical
    evaluation of rectified activations").

    Args:
        lower, upper: the range of the slopes of negative numbers.
        inplace: whether the input itself is changed.
    """

    def __init__(
        self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False
    ) -> None:
        super().__init__(inplace)
        self.lower = number("RReLU", "lower", lower)
        self.upper = number("RReLU", "upper", upper, least=self.lower)

    def forward(self, x: Any) -> Tensor:
        """Compute the RReLU of x, with slopes drawn in training."""
        return rrelu(x, self.lower, self.upper, self.training, self.inplace)


def rrelu(
    input: Any,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """Compute :class:`RReLU`, with slopes drawn where ``training``.

    >>> rrelu([-2.0, 3.0], 0.25, 0.75)
    tensor([-1.,  3.])
    """
    input, lower = as_tensor(input), number("rrelu", "lower", lower)
    upper = number("rrelu", "upper", upper, least=lower)
    slope: Any = (lower + upper) / 2
    if flag("rrelu", "training", training):
        slope = uniform(input.shape, low=lower, high=upper, dtype=input.dtype)
    return put(
        input, where(input > 0, input, input * slope), flag("rrelu", "inplace", inplace)
    )


def gumbel_softmax(
    logits: Any, tau: float = 1.0, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """Compute the softmax of (logits + Gumbel noise)/τ: a sample that has a derivative.

    Jang, Gu & Poole 2017, "Categorical reparameterization with Gumbel-softmax".

    Args:
        logits: unnormalised log-probabilities.
        tau: τ > 0, the temperature; the smaller, the nearer to one-hot vectors.
        hard: whether the result is one-hot; its derivative is the soft one's.
        eps: without an effect, as in PyTorch.
        dim: the axis of the classes.

    >>> gumbel_softmax([[0.0, 99.0]], hard=True)
    tensor([[0., 1.]])
    """
    logits, tau = as_tensor(logits), number("gumbel_softmax", "tau", tau, above=0)
    logits = wrap(floating(logits.value))
    noise = gumbel(logits.shape, dtype=logits.dtype)
    soft = softmax((logits + noise) / tau, dim)
    if not flag("gumbel_softmax", "hard", hard):
        return soft
    axis = axis_of(soft.shape, dim)
    classes = wrap(one_hot_mask(soft.argmax(axis).value, int(soft.shape[axis])))
    one_hot = classes.movedim(-1, axis).astype(soft.dtype)
    return one_hot - soft.detach() + soft
