"""Resizing of signals and images, by nearest or by linear interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.context import get_default_dtype
from chainrule.graph.node import Array
from chainrule.graph.room import check_room
from chainrule.nn.affine import along
from chainrule.nn.arguments import Size, flag, integer, number, per_axis
from chainrule.nn.function import as_function
from chainrule.nn.module import Module
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _
from chainrule.util.validation import choice

__all__ = ["Upsample", "interpolate"]


#: Ways to compute elements between those of the input.
MODES = ("nearest", "linear", "bilinear")


class Upsample(Module):
    """Resize signals and images; as a function it is called ``interpolate``.

    ``"nearest"`` repeats the element that is nearest; the others are straight between
    neighbours, along each axis by itself. ``align_corners=None``, PyTorch's default, is
    False.

    Args:
        size: of the axes behind (N, C), a number for each or one for all.
        scale_factor: by which they grow or shrink, instead of a size.
        mode: ``"nearest"``, ``"linear"`` or ``"bilinear"``; the last two are the same.
        align_corners: whether first and last elements keep their positions; else the
            edges of the picture do.

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
        mode: Literal["nearest", "linear", "bilinear"] = "nearest",
        align_corners: bool | None = False,
    ) -> None:
        kind = "Upsample"
        self.size, self.scale_factor = size, scale_factor
        self.mode = choice(*MODES, what=_("{kind} knows no such {name}."), kind=kind)(
            "mode", mode
        )
        self.align_corners = align_corners
        if align_corners is None:  # as in PyTorch
            self.align_corners = False
        elif flag(kind, "align_corners", align_corners) and mode == "nearest":
            raise ArgumentError(
                _("{kind} keeps corners in place between neighbours alone.", kind=kind),
                expected=_("mode='linear' or 'bilinear' with align_corners=True"),
                got="mode='nearest'",
            )
        if (size is None) == (scale_factor is None):
            raise ArgumentError(
                _("{kind} takes a size or a scale_factor.", kind=kind),
                expected=_("one of the two"),
                got=f"size={size!r:.40}, scale_factor={scale_factor!r:.40}",
            )
        self._per_axis(_length(scale_factor if size is None else size))

    def forward(self, x: Tensor) -> Tensor:
        """Return signals or images resized by interpolation."""
        x = as_tensor(x)
        axes, nearest = x.ndim - 2, self.mode == "nearest"
        if axes < 1:
            raise ShapeError(
                _("interpolate resizes the axes behind (N, C)."),
                expected=_("(N, C, L), (N, C, H, W) or more axes"),
                got=show(x.shape),
                fix=_("x.unsqueeze(0) for one sample"),
            )
        if not nearest and not x.dtype.is_float:
            x = x.astype(get_default_dtype())
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
            step = length / new if self.scale_factor is None else 1 / wanted
            if new != length or (step != 1 and not self.align_corners):
                corners = bool(self.align_corners)
                x = along(x, axis, _resizing(length, new, step, nearest, corners))
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
    length: int, new: int, step: float, nearest: bool, align_corners: bool
) -> Array:
    """Return the interpolation matrix that resizes an axis: (new, old length)."""
    check_room((new, length), 8)
    at = np.arange(new)
    if nearest:  # the last digit decides: as PyTorch, in float32
        position = np.floor(at.astype(np.float32) * np.float32(step))
        position = np.minimum(position, length - 1)
    elif align_corners:
        position = at * ((length - 1) / max(new - 1, 1))
    else:
        position = np.maximum((at + 0.5) * step - 0.5, 0)
    low = np.minimum(position.astype(int), length - 1)
    high, share = np.minimum(low + 1, length - 1), position - low
    matrix = np.zeros((new, length))
    np.add.at(matrix, (at, low), 1 - share)
    np.add.at(matrix, (at, high), share)
    return matrix
