"""Resizing of signals, images and volumes by interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.context import get_default_dtype
from chainrule.graph.node import Array
from chainrule.graph.room import check_room
from chainrule.nn.affine import along
from chainrule.nn.arguments import Size, flag, integer, number, per_axis
from chainrule.nn.function import as_function
from chainrule.nn.module import Module
from chainrule.operations.narrow import in_single
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _
from chainrule.util.validation import choice

__all__ = [
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
    "interpolate",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]

#: Ways to compute elements between those of the input.
ResizeMode = Literal["nearest", "linear", "bilinear", "bicubic", "trilinear"]
MODES = get_args(ResizeMode)
MODES += ("area", "nearest-exact")
#: Those of them that have corners to align.
STRAIGHT = ("linear", "bilinear", "bicubic", "trilinear")


class Upsample(Module):
    """Resize signals, images and volumes; as a function it is called ``interpolate``.

    ``"nearest"`` repeats the element that is nearest, counted from the edge that comes
    first (``"nearest-exact"``: from the middle of elements); ``"linear"``,
    ``"bilinear"`` and ``"trilinear"`` are the same, straight between neighbours along
    each axis by itself; ``"bicubic"`` is cubic (Keys 1981, a = −¾); ``"area"`` is the
    mean of what an element covers. ``align_corners=None``, PyTorch's default, is False.

    Args:
        size: of the axes behind (N, C), a number for each or one for all.
        scale_factor: by which they grow or shrink, instead of a size.
        mode: how elements are computed.
        align_corners: whether first and last elements keep their positions; else the
            edges of the picture do.
        recompute_scale_factor: whether positions follow from the sizes, rounded as
            they are; else from ``scale_factor``.
        antialias: whether a smaller picture is a mean over all elements, with the
            weights of the mode stretched (and a = −½); of bilinear and bicubic.

    Shapes:
        (N, C, L) becomes (N, C, L′), (N, C, H, W) becomes (N, C, H′, W′), where L′ is
        ``size``, or L · ``scale_factor`` rounded down.

    Raises:
        ArgumentError: a size and a scale_factor, or neither, or one that is not
            positive; another mode; ``align_corners`` with ``"nearest"``.

    >>> import chainrule as cr
    >>> x = cr.tensor([[[1.0, 3.0]]])
    >>> cr.nn.Upsample(scale_factor=2)(x)
    tensor([[[1., 1., 3., 3.]]])
    >>> cr.nn.functional.interpolate([[[1.0, 2.0]]], scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    >>> cr.nn.Upsample(size=3, mode="linear", align_corners=True)(x)
    tensor([[[1., 2., 3.]]])
    """

    def __init__(
        self,
        size: Size | None = None,
        scale_factor: float | tuple[float, ...] | None = None,
        mode: ResizeMode = "nearest",
        align_corners: bool | None = False,
        recompute_scale_factor: bool | None = None,
        antialias: bool = False,
    ) -> None:
        kind = "Upsample"
        self.size, self.scale_factor = size, scale_factor
        self.mode = choice(*MODES, what=_("{kind} knows no such {name}."), kind=kind)(
            "mode", mode
        )
        self.align_corners = align_corners
        if align_corners is None:  # as in PyTorch
            self.align_corners = False
        elif flag(kind, "align_corners", align_corners) and mode not in STRAIGHT:
            raise ArgumentError(
                _("{kind} keeps corners in place between neighbours alone.", kind=kind),
                expected=_("mode='linear' or 'bilinear' with align_corners=True"),
                got=f"mode={mode!r}",
            )
        if (size is None) == (scale_factor is None):
            raise ArgumentError(
                _("{kind} takes a size or a scale_factor.", kind=kind),
                expected=_("one of the two"),
                got=f"size={size!r:.40}, scale_factor={scale_factor!r:.40}",
            )
        again = recompute_scale_factor
        again = again if again is None else flag(kind, "recompute_scale_factor", again)
        self.recompute_scale_factor = again
        if again and scale_factor is None:
            raise ArgumentError(
                _("{kind} recomputes a scale_factor.", kind=kind),
                expected=_("a scale_factor"),
                got=f"size={size!r:.40}",
            )
        self.antialias = flag(kind, "antialias", antialias)
        if self.antialias and mode not in ("bilinear", "bicubic"):
            raise ArgumentError(
                _("{kind} smooths what lies between neighbours.", kind=kind),
                expected=_("mode='bilinear' or 'bicubic' with antialias=True"),
                got=f"mode={mode!r}",
            )
        self._per_axis(_length(scale_factor if size is None else size))

    @in_single
    def forward(self, x: Tensor) -> Tensor:
        """Return signals or images resized by interpolation."""
        x = as_tensor(x)
        axes, nearest = x.ndim - 2, self.mode.startswith("nearest")
        if axes < 1:
            raise ShapeError(
                _("interpolate resizes the axes behind (N, C)."),
                expected=_("(N, C, L), (N, C, H, W) or more axes"),
                got=show(x.shape),
                fix=_("x.unsqueeze(0) for one sample"),
            )
        if not nearest and not x.dtype.is_float:
            x = x.astype(get_default_dtype())
        corners = bool(self.align_corners)
        for axis, wanted in enumerate(self._per_axis(axes), start=2):
            length = x.shape[axis]
            if not isinstance(length, int) or not length:
                raise ShapeError(
                    _("interpolate needs sizes that are known."),
                    expected=_(
                        "a number of samples alone that varies, sizes of at least 1"
                    ),
                    got=show(x.shape),
                )
            new = int(wanted if self.scale_factor is None else length * wanted)
            integer("Upsample", "size", new, least=1)
            scaled = self.scale_factor is not None and not self.recompute_scale_factor
            step = 1 / wanted if scaled and self.mode != "area" else length / new
            if new != length or (step != 1 and not corners):
                check_room((new, length), 8)
                resizing = _smooth if self.antialias else _resizing
                x = along(x, axis, resizing(length, new, step, self.mode, corners))
        return x

    def _per_axis(self, axes: int) -> Sequence[float]:
        """Return the new size, or the scale factor, of each axis that is resized."""
        if self.size is not None:
            return per_axis("Upsample", "size", self.size, axes)
        return _scales("Upsample", self.scale_factor, axes)


interpolate = as_function(Upsample, "interpolate")


def _length(value: Any) -> int:
    """Return the number of axes that a resizing's ``size`` or scale factor is for."""
    return max(1, len(value)) if isinstance(value, tuple | list) else 1


def _scales(kind: str, value: Any, axes: int) -> list[float]:
    """Return a resizing's scale factor per axis; a single factor is repeated."""
    several = list(value) if isinstance(value, tuple | list) else [value] * axes
    if len(several) != axes:
        raise ArgumentError(
            _("{kind} needs a scale_factor for each axis behind (N, C).", kind=kind),
            expected=_("one number, or {axes} of them", axes=axes),
            got=f"scale_factor={value}",
        )
    return [number(kind, "scale_factor", s, above=0) for s in several]


def _resizing(
    length: int, new: int, step: float, mode: str, align_corners: bool
) -> Array:
    """Return the interpolation matrix that resizes an axis: (new, old length)."""
    at, matrix = np.arange(new), np.zeros((new, length))
    if mode == "area":
        start, end = at * length // new, -(-(at + 1) * length // new)
        inside = np.arange(length)
        rows = (start[:, None] <= inside) & (inside < end[:, None])
        return rows / (end - start)[:, None]
    taps: list[tuple[Any, Any]] = [(0, 1.0)]  # offsets from the element, and weights
    if mode.startswith("nearest"):  # the last digit decides: as PyTorch, in float32
        middle = np.float32(0.5 * (mode == "nearest-exact"))
        position = np.floor((at.astype(np.float32) + middle) * np.float32(step))
        low = position.astype(int)
    else:
        position = (at + 0.5) * step - 0.5
        if align_corners:
            position = at * ((length - 1) / max(new - 1, 1))
        if mode != "bicubic":
            position = np.maximum(position, 0)
        low = np.floor(position).astype(int)
        share = position - low
        taps = [(0, 1 - share), (1, share)]
        if mode == "bicubic":
            taps = [(n, _cubic(share - n, -0.75)) for n in (-1, 0, 1, 2)]
    for offset, weight in taps:
        np.add.at(matrix, (at, np.clip(low + offset, 0, length - 1)), weight)
    return matrix


def _smooth(
    length: int, new: int, step: float, mode: str, align_corners: bool
) -> Array:
    """Return the matrix that resizes an axis by means over what elements cover."""
    if align_corners:
        step = (length - 1) / (new - 1) if new > 1 else 0.0
    stretch = max(step, 1.0)
    reach = (2.0 if mode == "bicubic" else 1.0) * stretch
    middle = (np.arange(new) + 0.5)[:, None] * step
    inside = np.arange(length)
    start = np.maximum((middle - reach + 0.5).astype(int), 0)
    end = np.minimum((middle + reach + 0.5).astype(int), length)
    far = (inside + 0.5 - middle) / stretch
    weights = _cubic(far, -0.5) if mode == "bicubic" else np.maximum(1 - abs(far), 0)
    weights = np.where((start <= inside) & (inside < end), weights, 0.0)
    return weights / weights.sum(1, keepdims=True)


def _cubic(far: Array, a: float) -> Array:
    """Compute the weight of cubic interpolation of an element at a distance."""
    x = abs(far)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    return np.where(x <= 1, near, np.where(x < 2, a * (((x - 5) * x + 8) * x - 4), 0.0))


class UpsamplingNearest2d(Upsample):
    """:class:`Upsample` of images by the nearest element.

    Args:
        size, scale_factor: see :class:`Upsample`.
    """

    def __init__(
        self,
        size: Size | None = None,
        scale_factor: float | tuple[float, ...] | None = None,
    ) -> None:
        super().__init__(size, scale_factor)


class UpsamplingBilinear2d(Upsample):
    """:class:`Upsample` of images by straight lines, with corners that stay.

    Args:
        size, scale_factor: see :class:`Upsample`.
    """

    def __init__(
        self,
        size: Size | None = None,
        scale_factor: float | tuple[float, ...] | None = None,
    ) -> None:
        super().__init__(size, scale_factor, "bilinear", True)


def upsample(
    input: Any,
    size: Size | None = None,
    scale_factor: float | tuple[float, ...] | None = None,
    mode: ResizeMode = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """Resize as ``interpolate``, whose older name this is.

    >>> upsample([[[1.0, 2.0]]], 4)
    tensor([[[1., 1., 2., 2.]]])
    """
    return interpolate(input, size, scale_factor, mode, align_corners)


upsample_bilinear = as_function(UpsamplingBilinear2d, "upsample_bilinear")
upsample_nearest = as_function(UpsamplingNearest2d, "upsample_nearest")
