"""Data augmentation layers: random changes of images during training only.

They stand in front of a network and are part of its step: what they draw comes from the
step's own random bits, so a run stays the same on every engine, for any number of
threads, and across interruptions. In evaluation mode each passes its input on as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from chainrule.errors import ShapeError
from chainrule.functions import arange, cat, full, where
from chainrule.nn.arguments import layer_name, number, per_axis
from chainrule.nn.module import Module
from chainrule.nn.sampling import sample
from chainrule.primitives.rules import show
from chainrule.random import uniform
from chainrule.tensor import Tensor, as_tensor, tensor
from chainrule.text import _
from chainrule.util.validation import choice, refused, truth

__all__ = [
    "RandomAffine",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomVerticalFlip",
]


class Augmentation(Module):
    """Base class of augmentation layers; a subclass defines :meth:`change`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return randomly changed images in training, else :meth:`keep` of them."""
        x = as_tensor(x)
        kind = type(self).__name__
        if x.ndim != 4:
            raise ShapeError(
                _("{kind} changes images.", kind=layer_name(kind)),
                expected="(N, C, H, W)",
                got=show(x.shape),
                fix=_("nn.Unflatten(1, (1, 28, 28)) in front makes images of rows"),
            )
        if not self.training:
            return self.keep(x)
        x = x if x.dtype.is_float else x.float()
        return self.change(x)

    def keep(self, x: Tensor) -> Tensor:
        """Return the images as an augmentation layer passes them on in prediction."""
        return x

    def change(self, x: Tensor) -> Tensor:
        """Return images (N, C, H, W), each changed at random, for training."""
        raise NotImplementedError


class RandomHorizontalFlip(Augmentation):
    """In training, mirror each image left to right with probability p.

    Args:
        p: 0 ≤ p ≤ 1.

    >>> import chainrule as cr
    >>> cr.nn.RandomHorizontalFlip(1.0)(cr.tensor([[[[1.0, 2.0]]]]))
    tensor([[[[2., 1.]]]])
    """

    axis = 3

    def __init__(self, p: float = 0.5) -> None:
        self.p = number(type(self).__name__, "p", p, least=0, most=1)

    def change(self, x: Tensor) -> Tensor:
        """Mirror randomly chosen images of a batch."""
        return where(uniform(x.shape[0], 1, 1, 1) < self.p, x.flip(self.axis), x)


class RandomVerticalFlip(RandomHorizontalFlip):
    """In training, mirror each image upside down with probability p.

    Args:
        p: 0 ≤ p ≤ 1.
    """

    axis = 2


class RandomCrop(Augmentation):
    """Cut out a part of each image: at random, padded, in training; else the middle.

    Of an image's own size that shifts it, by up to ``padding`` in each direction.
    Otherwise the part in the middle is taken where nothing is trained.

    Args:
        size: of the part, one number for both sides or (height, width).
        padding: how much is added on each side, one number or (down, across).
        padding_mode: what is added: ``"constant"`` for 0, or ``"edge"``.

    >>> import chainrule as cr
    >>> cr.manual_seed(0)
    >>> cr.nn.RandomCrop((1, 3), (0, 1))(cr.tensor([[[[1.0, 2.0, 3.0]]]]))
    tensor([[[[2., 3., 0.]]]])
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        padding: int | tuple[int, int] = 0,
        padding_mode: Literal["constant", "edge"] = "constant",
    ) -> None:
        per_axis("RandomCrop", "size", size, 2)
        per_axis("RandomCrop", "padding", padding, 2, least=0)
        self.size, self.padding = size, padding
        self.padding_mode = choice("constant", "edge")("padding_mode", padding_mode)

    def keep(self, x: Tensor) -> Tensor:
        """Return the central crop of each image, for prediction."""
        (top, height), (left, width) = ((c // 2, n) for n, __, c in self._axes(x))
        if (height, width) == x.shape[2:]:
            return x
        return x[:, :, top : top + height, left : left + width]

    def change(self, x: Tensor) -> Tensor:
        """Return a crop of each image at a random position, for training."""
        for axis, (size, pad, spare) in zip((2, 3), self._axes(x)):
            if spare + pad == 0:
                continue
            n = spare + size
            # A uniform number is below 1; places from −pad to spare + pad.
            first = (uniform(x.shape[0], 1) * (spare + 2 * pad + 1)).floor() - pad
            wanted = (arange(size, dtype="float32") + first).astype("int32")
            inside = wanted.clamp(0, n - 1)
            shape = (-1, 1, size, 1) if axis == 2 else (-1, 1, 1, size)
            x = x.take_along_dim(inside.reshape(shape), axis)
            if self.padding_mode == "constant":
                x = where((inside == wanted).reshape(shape), x, 0.0)
        return x

    def _axes(self, x: Tensor) -> list[tuple[int, int, int]]:
        """Return a random crop's size, padding and spare length per image axis."""
        sizes = per_axis("RandomCrop", "size", self.size, 2)
        pads = per_axis("RandomCrop", "padding", self.padding, 2, least=0)
        spare = [n - size for n, size in zip(_sides(x), sizes)]
        if min(spare) < 0:
            raise ShapeError(
                _(
                    "{place} cuts out more than there is.",
                    place=layer_name("RandomCrop"),
                ),
                expected=_(
                    "images of at least {sizes} × {sizes1}",
                    sizes=sizes[0],
                    sizes1=sizes[1],
                ),
                got=show(x.shape),
                fix=f"nn.RandomCrop({tuple(x.shape[2:])}, padding=…)",
            )
        return list(zip(sizes, pads, spare))


class RandomResizedCrop(Augmentation):
    """Cut a part out of each image, at random in training, and resize it.

    Its area is a share of the image from U(scale), its width over its height e^U(ln
    ratio), its place anywhere inside. Of ten such parts the first that fits is taken,
    else the middle, in a ratio within the limits. Where nothing is trained it is the
    largest part in the middle with the sides' ratio of ``size``.

    Args:
        size: of the result, one number for both sides or (height, width).
        scale: (least, most) of the share of the area.
        ratio: (least, most) of width over height.
        antialias: whether each pixel is a mean of all those that it stands for, where
            the part becomes smaller; else of the four around.

    Source: torchvision.transforms.v2.RandomResizedCrop, bilinear.

    >>> import chainrule as cr
    >>> image = cr.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
    >>> cr.nn.RandomResizedCrop((1, 1), (1.0, 1.0), (1.0, 1.0))(image)
    tensor([[[[1.5]]]])
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        antialias: bool = True,
    ) -> None:
        per_axis("RandomResizedCrop", "size", size, 2)
        self.size = size
        self.scale = pair("RandomResizedCrop", "scale", scale, above=0, most=1)
        self.ratio = pair("RandomResizedCrop", "ratio", ratio, above=0)
        self.antialias = truth("antialias", antialias)

    def keep(self, x: Tensor) -> Tensor:
        """Return the middle of each image in the size, for prediction."""
        x = x if x.dtype.is_float else x.float()
        (height, width), (rows, columns) = _sides(x), self._size()
        factor = min(height / rows, width / columns)
        sides = [max(1, round(side * factor)) for side in (rows, columns)]
        places = [(whole - side) // 2 for whole, side in zip((height, width), sides)]
        return self._resized(x, *[tensor([[float(n)]]) for n in (*places, *sides)])

    def change(self, x: Tensor) -> Tensor:
        """Return a random part of each image in the size, for training."""
        n, (height, width) = x.shape[0], _sides(x)
        area = uniform(n, 10, low=self.scale[0], high=self.scale[1]) * (height * width)
        low, high = (math.log(r) for r in self.ratio)
        root = (uniform(n, 10, low=low, high=high) / 2).exp()
        rows, columns = (area.sqrt() / root).round(), (area.sqrt() * root).round()
        fits = (rows > 0) & (rows <= height) & (columns > 0) & (columns <= width)
        # The middle stands behind the ten, and fits.
        middle = _within(height, width, self.ratio)
        rows, columns = (
            cat([side, full((n, 1), float(last))], 1)
            for side, last in zip((rows, columns), middle)
        )
        first = cat([fits.astype("int32"), full((n, 1), 1, dtype="int32")], 1)
        chosen = first.argmax(1, keepdim=True)
        rows, columns = (side.gather(1, chosen) for side in (rows, columns))
        places = [
            where(
                chosen == 10,
                float((whole - last) // 2),
                (uniform(n, 1) * (whole - side + 1)).floor(),
            )
            for whole, side, last in zip((height, width), (rows, columns), middle)
        ]
        return self._resized(x, *places, rows, columns)

    def _size(self) -> tuple[int, int]:
        height, width = per_axis("RandomResizedCrop", "size", self.size, 2)
        return height, width

    def _resized(
        self, x: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor
    ) -> Tensor:
        """Return parts of images resized, by places and sides of shape (N, 1)."""
        (rows, columns), (all_rows, all_columns) = self._size(), _sides(x)
        down = self._weights(top, height, all_rows, rows)
        across = self._weights(left, width, all_columns, columns)
        x = down[:, None].astype(x.dtype) @ x
        return x @ across[:, None].astype(x.dtype).transpose(2, 3)

    def _weights(self, first: Tensor, side: Tensor, whole: int, size: int) -> Tensor:
        """Return by how much each pixel counts in each of a part's new pixels.

        A triangle over the middle of the new pixel, as wide as two old pixels, or as
        two new ones where these are larger and ``antialias``: (N, size, whole).
        """
        step = (side / size)[..., None]
        middle = (arange(size, dtype="float32")[:, None] + 0.5) * step
        at = arange(whole, dtype="float32")[None, None] - first[..., None] + 0.5
        inside = (at > 0) & (at < side[..., None])
        if not self.antialias:
            middle = middle.maximum(0.5).minimum(side[..., None] - 0.5)
        reach = step.clamp(min=1) if self.antialias else 1.0
        weight = where(inside, (1 - ((at - middle) / reach).abs()).clamp(min=0), 0.0)
        return weight / weight.sum(2, keepdim=True)


def _within(height: int, width: int, ratio: tuple[float, float]) -> tuple[int, int]:
    """Return the sides of the largest part whose width over height is within limits.

    >>> _within(4, 12, (0.75, 1.5)), _within(9, 1, (3.0, 4.0))
    ((4, 6), (1, 1))
    """
    if width / height < ratio[0]:
        return max(1, round(width / ratio[0])), width
    if width / height > ratio[1]:
        return height, max(1, round(height * ratio[1]))
    return height, width


class RandomAffine(Augmentation):
    """In training, turn, move and scale each image about its middle.

    Straight lines between the four pixels around (bilinear); outside is 0.

    Args:
        degrees: turns by an angle from U(−degrees, degrees), or a pair (least, most).
        translate: how far at most, (across, down) as shares of width and height; None
            stays.
        scale: (least, most) of the factor; None keeps the size.

    >>> import chainrule as cr
    >>> turned = cr.nn.RandomAffine((90, 90))(cr.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    >>> turned.round()
    tensor([[[[2., 4.],
              [1., 3.]]]])
    """

    def __init__(
        self,
        degrees: float | tuple[float, float],
        translate: tuple[float, float] | None = None,
        scale: tuple[float, float] | None = None,
    ) -> None:
        _ends("RandomAffine", "degrees", degrees)
        if translate is not None:
            translate = pair("RandomAffine", "translate", translate, least=0, most=1)
        if scale is not None:
            scale = pair("RandomAffine", "scale", scale, above=0)
        self.degrees, self.translate, self.scale = degrees, translate, scale

    def change(self, x: Tensor) -> Tensor:
        """Turn, move and scale each image of a batch by a random affine map."""
        height, width = _sides(x)
        low, high = _ends("RandomAffine", "degrees", self.degrees)

        def draw(least: float, most: float) -> Tensor:
            return uniform(x.shape[0], 1, 1, low=least, high=most)

        angle = draw(math.radians(low), math.radians(high))
        across = arange(width, dtype="float32") - (width - 1) / 2
        down = (arange(height, dtype="float32") - (height - 1) / 2)[:, None]
        if self.translate is not None:
            right, lower = self.translate[0] * width, self.translate[1] * height
            across = across - draw(-right, right)
            down = down - draw(-lower, lower)
        cos, sin = angle.cos(), angle.sin()
        if self.scale is not None:
            factor = draw(*self.scale)
            cos, sin = cos / factor, sin / factor
        # Counterclockwise as seen, with rows counted downwards.
        rows = across * sin + down * cos + (height - 1) / 2
        columns = across * cos - down * sin + (width - 1) / 2
        return sample(x, rows, columns).astype(x.dtype)


class RandomRotation(RandomAffine):
    """In training, turn each image about its middle: :class:`RandomAffine` alone.

    Args:
        degrees: by an angle from U(−degrees, degrees), or a pair (least, most).
    """

    def __init__(self, degrees: float | tuple[float, float]) -> None:
        super().__init__(degrees)


class RandomErasing(Augmentation):
    """In training, blot out a rectangle of each image with probability p.

    Its area is a share of the image from U(scale), its height over its width e^U(ln
    ratio), its place anywhere inside. A side longer than the image is cut to it.

    Args:
        p: 0 ≤ p ≤ 1.
        scale: (least, most) of the share, at most 1.
        ratio: (least, most) of height over width.
        value: what it is filled with.

    Source: Zhong et al. 2020, "Random erasing data augmentation"; DeVries and Taylor
    2017, "Cutout".

    >>> import chainrule as cr
    >>> image = cr.ones(1, 1, 2, 2)
    >>> cr.nn.RandomErasing(1.0, (1.0, 1.0), (1.0, 1.0))(image)
    tensor([[[[0., 0.],
              [0., 0.]]]])
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 3.3),
        value: float = 0.0,
    ) -> None:
        self.p = number("RandomErasing", "p", p, least=0, most=1)
        self.scale = pair("RandomErasing", "scale", scale, least=0, most=1)
        self.ratio = pair("RandomErasing", "ratio", ratio, above=0)
        self.value = number("RandomErasing", "value", value)

    def change(self, x: Tensor) -> Tensor:
        """Overwrite a random rectangle of randomly chosen images with ``value``."""
        n, (height, width) = x.shape[0], _sides(x)
        low, high = self.scale
        area = uniform(n, 1, low=low, high=high) * (height * width)
        low, high = (math.log(r) for r in self.ratio)
        root = (uniform(n, 1, low=low, high=high) / 2).exp()
        chosen = uniform(n, 1) < self.p
        sides = (area.sqrt() * root, height), (area.sqrt() / root, width)
        inside = []
        for side, whole in sides:
            side = side.round().clamp(0, whole)
            first = (uniform(n, 1) * (whole - side + 1)).floor()
            at = arange(whole, dtype="float32")
            inside.append((at >= first) & (at < first + side) & chosen)
        rows, columns = inside
        covered = rows[:, None, :, None] & columns[:, None, None, :]
        return where(covered, self.value, x)


def _sides(x: Tensor) -> tuple[int, int]:
    """Return the height and width of a batch of images; refuse symbolic sizes.

    Raises:
        ShapeError: one of them is only named.
    """
    height, width = x.shape[2:]
    if isinstance(height, int) and isinstance(width, int):
        return height, width
    raise ShapeError(
        _("Images are changed whose height and width are known."), got=show(x.shape)
    )


def pair(kind: str, name: str, value: Any, **limits: Any) -> tuple[float, float]:
    """Check an augmentation's pair of finite numbers within limits, and return it."""
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        first, second = (number(kind, name, n, **limits) for n in value)
        if name == "translate" or first <= second:
            return first, second
    what = _("{kind} takes two numbers for {name}.", kind=kind, name=name)
    expected = _("(across, down)") if name == "translate" else _("(least, most)")
    raise refused(name, value, what, expected)


def _ends(kind: str, name: str, value: Any) -> tuple[float, float]:
    """Return an augmentation's interval: (−d, d) for a number d, or checked ends."""
    if isinstance(value, tuple | list):
        return pair(kind, name, value)
    most = number(kind, name, value, least=0)
    return -most, most
