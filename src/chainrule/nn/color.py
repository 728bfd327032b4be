"""Random changes of the colours of images, with torchvision's names and formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.errors import DTypeError, ShapeError
from chainrule.functions import stack, where
from chainrule.nn.arguments import layer_name, number
from chainrule.nn.augmentation import Augmentation, pair
from chainrule.primitives.rules import show
from chainrule.random import uniform
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _

__all__ = ["ColorJitter"]

Change = Callable[[Tensor, Tensor], Tensor]


class ColorJitter(Augmentation):
    """In training, change brightness, contrast, saturation and hue of each image.

    A number d stands for a factor from U(max(0, 1 − d), 1 + d), for the hue for a part
    of the circle of colours from U(−d, d). The changes come in an order that is drawn
    for each image, and each keeps numbers within 0 and 1:

        brightness  f x
        contrast    f x + (1 − f) · mean of the grey image
        saturation  f x + (1 − f) · grey image,  0.2989 r + 0.587 g + 0.114 b
        hue         the hue of HSV plus f, modulo 1

    Args:
        brightness: a number ≥ 0, or (least, most) of the factor.
        contrast: likewise.
        saturation: likewise; images of one channel have none.
        hue: from 0 to 1/2, or (least, most) from −1/2 to 1/2; likewise.

    Shapes:
        (N, 3, H, W) or (N, 1, H, W), numbers from 0 to 1: in front of a Normalize.

    Raises:
        DTypeError: whole numbers, such as bytes from 0 to 255.

    Source: torchvision.transforms.v2.ColorJitter.

    >>> import chainrule as cr
    >>> jitter = cr.nn.ColorJitter(brightness=(0.5, 0.5))
    >>> jitter(cr.full((1, 1, 1, 2), 0.8))
    tensor([[[[0.4, 0.4]]]])
    """

    def __init__(
        self,
        brightness: float | tuple[float, float] = 0.0,
        contrast: float | tuple[float, float] = 0.0,
        saturation: float | tuple[float, float] = 0.0,
        hue: float | tuple[float, float] = 0.0,
    ) -> None:
        for name, value in zip(CHANGES, (brightness, contrast, saturation, hue)):
            _limits(name, value)
        self.brightness, self.contrast = brightness, contrast
        self.saturation, self.hue = saturation, hue

    def forward(self, x: Tensor) -> Tensor:
        x = as_tensor(x)
        if not x.dtype.is_float:
            raise DTypeError(
                _("{kind} changes colours.", kind=layer_name("ColorJitter")),
                expected=_("floats from 0 to 1"),
                got=x.dtype.name,
                fix=_("images / 255, or a data set with scale=1/255"),
            )
        return super().forward(x)

    def change(self, x: Tensor) -> Tensor:
        """Change the colours of each image, in an order of its own."""
        if x.shape[1] not in (1, 3):
            raise ShapeError(
                _("{kind} changes colours.", kind=layer_name("ColorJitter")),
                expected="(N, 3, H, W), (N, 1, H, W)",
                got=show(x.shape),
            )
        changes: list[tuple[Change, Tensor]] = []
        for name, change in CHANGES.items():
            low, high = _limits(name, getattr(self, name))
            grey = x.shape[1] == 1 and name in ("saturation", "hue")
            if (low, high) != (NEUTRAL[name],) * 2 and not grey:
                factor = uniform(x.shape[0], 1, 1, 1, low=low, high=high)
                changes.append((change, factor.astype(x.dtype)))
        if len(changes) == 1:
            return changes[0][0](x, changes[0][1])
        drawn = [uniform(x.shape[0], 1, 1, 1) for __ in changes]
        ranks = [sum((other < own).astype("int32") for other in drawn) for own in drawn]
        for turn in range(len(changes)):
            before = x
            for (change, factor), rank in zip(changes, ranks):
                x = where(rank == turn, change(before, factor), x)
        return x


def adjust_brightness(x: Tensor, factor: Tensor) -> Tensor:
    """Return images times a factor, within 0 and 1."""
    return (x * factor).clamp(0, 1)


def adjust_contrast(x: Tensor, factor: Tensor) -> Tensor:
    """Return images between the mean of their grey image and themselves, or beyond."""
    mean = _grey(x).mean((1, 2, 3), keepdim=True)
    return (x * factor + mean * (1 - factor)).clamp(0, 1)


def adjust_saturation(x: Tensor, factor: Tensor) -> Tensor:
    """Return images between their grey image and themselves, or beyond."""
    return (x * factor + _grey(x) * (1 - factor)).clamp(0, 1)


def adjust_hue(x: Tensor, shift: Tensor) -> Tensor:
    """Return images with another hue, which is a part of the circle from 0 to 1."""
    r, g, b = (x[:, i : i + 1] for i in range(3))
    most, least = x.amax(1, keepdim=True), x.amin(1, keepdim=True)
    spread = most - least
    plain = spread == 0
    divisor = where(plain, 1.0, spread)
    rc, gc, bc = ((most - part) / divisor for part in (r, g, b))
    red, green = most == r, (most == g) & (most != r)
    sector = where(red, bc - gc, where(green, 2 + rc - bc, 4 + gc - rc))
    hue = (sector / 6 + 1) % 1
    hue = where(plain, 0.0, hue)
    hue = (hue + shift) % 1
    parts = []
    # f(n) = v − v s max(0, min(k, 4 − k, 1)),  k = (n + 6 h) mod 6,  and v s = spread.
    for n in (5, 3, 1):
        k = (n + hue * 6) % 6
        parts.append(most - spread * k.minimum(4 - k).clamp(0, 1))
    return stack([part[:, 0] for part in parts], 1)


#: By the name of the argument; each also as torchvision's functional has it.
CHANGES: dict[str, Change] = {
    "brightness": adjust_brightness,
    "contrast": adjust_contrast,
    "saturation": adjust_saturation,
    "hue": adjust_hue,
}
#: The factors that change nothing.
NEUTRAL = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0}


def _grey(x: Tensor) -> Tensor:
    """Return images in one channel, as grey as ITU-R 601-2 says."""
    if x.shape[1] == 1:
        return x
    return 0.2989 * x[:, :1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:]


def _limits(name: str, value: Any) -> tuple[float, float]:
    """Return the interval of a factor, checked."""
    hue = name == "hue"
    limits: dict[str, Any] = {"least": -0.5, "most": 0.5} if hue else {"least": 0}
    if isinstance(value, tuple | list):
        return pair("ColorJitter", name, value, **limits)
    most = number("ColorJitter", name, value, **{**limits, "least": 0})
    return (-most, most) if hue else (max(0.0, 1 - most), 1 + most)
