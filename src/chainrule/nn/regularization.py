"""Dropout: elements or channels that are left out at random in training."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from chainrule.errors import ShapeError
from chainrule.functions import where
from chainrule.graph.types import Shape
from chainrule.nn.activations import put
from chainrule.nn.arguments import flag, layer_name, number
from chainrule.nn.module import Module
from chainrule.primitives.rules import show
from chainrule.random import bits
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _

__all__ = [
    "AlphaDropout",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
    "alpha_dropout",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "feature_alpha_dropout",
]

#: The limit of SELU for z → −∞, −λα, which alpha dropout puts in place of elements.
LEAST = -1.7580993408473766


class Dropout(Module):
    """In training, zero each element with probability p and scale the rest by 1/(1−p).

    Srivastava et al. 2014, "inverted" so that prediction changes nothing.

    Args:
        p: the probability of dropping, from 0 to 1.
        inplace: whether the input itself is changed.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        self.p = number(type(self).__name__, "p", p, least=0, most=1)
        self.inplace = flag(type(self).__name__, "inplace", inplace)

    def forward(self, x: Tensor) -> Tensor:
        """Apply dropout to elements in training; return x unchanged otherwise."""
        return dropout(x, self.p, self.training, self.inplace)


class Dropout1d(Dropout):
    """:class:`Dropout` of whole channels: neighbours in a signal are much alike.

    Tompson et al. 2015, "Efficient object localization using convolutional networks".

    Args:
        p: the probability of dropping a channel of a sample, from 0 to 1.
        inplace: whether the input itself is changed.

    Shapes:
        (N, C, L) or (C, L).
    """

    axes: ClassVar[int] = 1

    def forward(self, x: Tensor) -> Tensor:
        """Apply dropout to whole channels in training; return x otherwise."""
        options = (self.p, self.training, self.inplace)
        return _channel_dropout(type(self).__name__, self.axes, x, *options)


class Dropout2d(Dropout1d):
    """:class:`Dropout1d` of images.

    Args:
        p: the probability of dropping a channel of an image, from 0 to 1.
        inplace: whether the input itself is changed.

    Shapes:
        (N, C, H, W).
    """

    axes = 2


class Dropout3d(Dropout1d):
    """:class:`Dropout1d` of volumes (N, C, D, H, W) or (C, D, H, W)."""

    axes = 3


class AlphaDropout(Dropout):
    """Dropout for SELU: mean and variance of the activations stay, 0 and 1.

    In training y = a x + b for an element that is kept, and a α′ + b in place of one
    that is dropped, with α′ = −λα of SELU, a = 1/√((1 − p)(1 + p α′²)), b = −a α′ p
    (Klambauer et al. 2017).

    Args:
        p: the probability of dropping an element, from 0 to 1.
        inplace: whether the input itself is changed.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply alpha dropout to elements in training; return x unchanged otherwise."""
        return alpha_dropout(x, self.p, self.training, self.inplace)


class FeatureAlphaDropout(Dropout):
    """:class:`AlphaDropout` of whole channels: of (N, C, …).

    Args:
        p: the probability of dropping a channel of a sample, from 0 to 1.
        inplace: whether the input itself is changed.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply alpha dropout to whole channels in training; return x otherwise."""
        return feature_alpha_dropout(x, self.p, self.training, self.inplace)


def dropout(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Apply :class:`Dropout`; without ``training`` x is returned unchanged.

    >>> dropout([1.0, 2.0], training=False)
    tensor([1., 2.])
    """
    input = as_tensor(input)
    return _dropped("Dropout", input, input.shape, p, training, inplace)


def dropout1d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Apply :class:`Dropout1d`; without ``training`` x is returned unchanged.

    >>> dropout1d([[1.0, 2.0]], training=False)
    tensor([[1., 2.]])
    """
    return _channel_dropout("Dropout1d", 1, input, p, training, inplace)


def dropout2d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Apply :class:`Dropout2d`; without ``training`` x is returned unchanged.

    >>> dropout2d([[[[1.0, 2.0]]]], training=False)
    tensor([[[[1., 2.]]]])
    """
    return _channel_dropout("Dropout2d", 2, input, p, training, inplace)


def dropout3d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Apply :class:`Dropout3d`; without ``training`` x is returned unchanged.

    >>> dropout3d([[[[1.0, 2.0]]]], training=False)
    tensor([[[[1., 2.]]]])
    """
    return _channel_dropout("Dropout3d", 3, input, p, training, inplace)


def alpha_dropout(
    input: Any, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Apply :class:`AlphaDropout` with ``training``; else x is returned unchanged.

    >>> alpha_dropout([1.0, 2.0])
    tensor([1., 2.])
    """
    input = as_tensor(input)
    return _dropped("AlphaDropout", input, input.shape, p, training, inplace, LEAST)


def feature_alpha_dropout(
    input: Any, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Apply :class:`FeatureAlphaDropout` with ``training``; else x stays unchanged.

    >>> feature_alpha_dropout([[1.0, 2.0]])
    tensor([[1., 2.]])
    """
    input = as_tensor(input)
    if input.ndim < 2:
        raise _no_channels("FeatureAlphaDropout", input, "(N, C, …)")
    channels = (*input.shape[:2], *[1] * (input.ndim - 2))
    return _dropped("FeatureAlphaDropout", input, channels, p, training, inplace, LEAST)


def _no_channels(
    kind: str, x: Tensor, expected: str, fix: str | None = None
) -> ShapeError:
    asked = _("{kind} drops whole channels.", kind=layer_name(kind))
    return ShapeError(asked, expected=expected, got=show(x.shape), fix=fix)


def _channel_dropout(
    kind: str, axes: int, x: Any, p: Any, training: bool, inplace: bool
) -> Tensor:
    """Apply dropout to whole channels, in front of the last ``axes`` axes."""
    x = as_tensor(x)
    if axes == 2 and x.ndim != 4:
        fix = _("x.unsqueeze(0) for one image, nn.Dropout1d for (N, C, L)")
        raise _no_channels(kind, x, "(N, C, H, W)", fix)
    if x.ndim not in (axes + 1, axes + 2):
        lengths = ("L", "", "D, H, W")[axes - 1]
        wanted = _("(N, C, {n}), or (C, {n}) for one sample", n=lengths)
        raise _no_channels(kind, x, wanted)
    shape = (*x.shape[:-axes], *[1] * axes)
    return _dropped(kind, x, shape, p, training, inplace)


def _dropped(
    kind: str,
    x: Tensor,
    shape: Shape,
    p: Any,
    training: bool,
    inplace: bool,
    least: float = 0.0,
) -> Tensor:
    """Apply dropout with one draw per element of ``shape``, broadcast to ``x``.

    What is dropped becomes ``least``; then mean and variance are restored (a, b).
    """
    p, inplace = number(kind, "p", p, least=0, most=1), flag(kind, "inplace", inplace)
    if not flag(kind, "training", training) or p == 0:
        return x
    if p == 1:
        return put(x, x * 0.0, inplace)
    mask = bits(shape) < min(round((1 - p) * 2**32), 2**32 - 1)
    if not least:
        return put(x, where(mask, x * (1 / (1 - p)), 0.0), inplace)
    a = 1 / math.sqrt((1 - p) * (1 + p * least**2))
    b = -a * least * p
    return put(x, where(mask, x * a + b, a * least + b), inplace)
