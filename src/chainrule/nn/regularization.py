"""Dropout: elements or channels that are set to 0 at random in training."""

from __future__ import annotations

from typing import Any

from chainrule.errors import ShapeError
from chainrule.functions import where
from chainrule.graph.types import Shape
from chainrule.nn.arguments import flag, layer_name, number
from chainrule.nn.module import Module
from chainrule.primitives.rules import show
from chainrule.random import bits
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _

__all__ = ["Dropout", "Dropout1d", "Dropout2d", "dropout", "dropout1d", "dropout2d"]


class Dropout(Module):
    """In training, zero each element with probability p and scale the rest by 1/(1−p).

    Srivastava et al. 2014, "inverted" so that prediction changes nothing.

    Args:
        p: the probability of dropping, 0 ≤ p < 1.
    """

    def __init__(self, p: float = 0.5) -> None:
        self.p = number(type(self).__name__, "p", p, least=0, below=1)

    def forward(self, x: Tensor) -> Tensor:
        """Apply dropout to elements in training; return x unchanged otherwise."""
        return dropout(x, self.p, self.training)


class Dropout1d(Dropout):
    """:class:`Dropout` of whole channels: neighbours in a signal are much alike.

    Tompson et al. 2015, "Efficient object localization using convolutional networks".

    Args:
        p: the probability of dropping a channel of a sample, 0 ≤ p < 1.

    Shapes:
        (N, C, L) or (C, L).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply dropout to channels of signals in training; return x otherwise."""
        return dropout1d(x, self.p, self.training)


class Dropout2d(Dropout):
    """:class:`Dropout1d` of images.

    Args:
        p: the probability of dropping a channel of an image, 0 ≤ p < 1.

    Shapes:
        (N, C, H, W).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply dropout to channels of images in training; return x otherwise."""
        return dropout2d(x, self.p, self.training)


def dropout(x: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Apply :class:`Dropout`; without ``training`` x is returned unchanged.

    >>> dropout([1.0, 2.0], training=False)
    tensor([1., 2.])
    """
    x = as_tensor(x)
    return _dropped("Dropout", x, x.shape, p, training)


def dropout1d(x: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Apply :class:`Dropout1d`; without ``training`` x is returned unchanged.

    >>> dropout1d([[1.0, 2.0]], training=False)
    tensor([[1., 2.]])
    """
    x = as_tensor(x)
    if x.ndim not in (2, 3):
        raise _no_channels("Dropout1d", x, _("(N, C, L), or (C, L) for one sample"))
    return _dropped("Dropout1d", x, (*x.shape[:-1], 1), p, training)


def dropout2d(x: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Apply :class:`Dropout2d`; without ``training`` x is returned unchanged.

    >>> dropout2d([[[[1.0, 2.0]]]], training=False)
    tensor([[[[1., 2.]]]])
    """
    x = as_tensor(x)
    if x.ndim != 4:
        fix = _("x.unsqueeze(0) for one image, nn.Dropout1d for (N, C, L)")
        raise _no_channels("Dropout2d", x, "(N, C, H, W)", fix)
    return _dropped("Dropout2d", x, (*x.shape[:2], 1, 1), p, training)


def _no_channels(
    kind: str, x: Tensor, expected: str, fix: str | None = None
) -> ShapeError:
    asked = _("{kind} drops whole channels.", kind=layer_name(kind))
    return ShapeError(asked, expected=expected, got=show(x.shape), fix=fix)


def _dropped(kind: str, x: Tensor, shape: Shape, p: Any, training: bool) -> Tensor:
    """Apply dropout with one draw per element of ``shape``, broadcast to ``x``."""
    p = number(kind, "p", p, least=0, below=1)
    if not flag(kind, "training", training) or p == 0:
        return x
    mask = bits(shape) < min(round((1 - p) * 2**32), 2**32 - 1)
    return where(mask, x * (1 / (1 - p)), 0.0)
