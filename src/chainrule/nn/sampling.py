"""Resampling of images at arbitrary positions, by bilinear or nearest interpolation."""

from __future__ import annotations

from typing import Any, Literal

from chainrule.errors import ShapeError
from chainrule.functions import arange, stack, where
from chainrule.nn.arguments import flag
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _
from chainrule.util.validation import choice

__all__ = ["affine_grid", "grid_sample"]


def affine_grid(theta: Any, size: Any, align_corners: bool = False) -> Tensor:
    """Return the sampling grid of an affine map of images, for ``grid_sample``.

    Args:
        theta: (N, 2, 3), a map for each image.
        size: of the result, (N, C, H, W).
        align_corners: whether −1 and 1 are the middles of the outermost pixels; else
            their outer edges.

    Returns:
        (N, H, W, 2), pairs (x, y) for :func:`grid_sample`.

    >>> affine_grid([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]], (1, 1, 1, 2))
    tensor([[[[-0.5,  0. ],
              [ 0.5,  0. ]]]])
    """
    theta = as_tensor(theta)
    if theta.ndim != 3 or theta.shape[1:] != (2, 3) or len(size) != 4:
        raise ShapeError(
            _("affine_grid takes an affine map of the plane for each image."),
            expected=_("theta (N, 2, 3) and size (N, C, H, W)"),
            got=_("{shape} and {size!r:.80}", shape=show(theta.shape), size=size),
        )

    corners = flag("affine_grid", "align_corners", align_corners)

    def line(n: Any) -> Tensor:
        at = arange(n, dtype=theta.dtype)
        if corners:
            return at * (2 / max(n - 1, 1)) - (1 if n > 1 else 0)
        return (2 * at + 1) / n - 1

    x, y = line(size[3]), line(size[2])[:, None]
    rows = theta[:, :, :, None, None]  # (N, 2, 3, 1, 1)
    axes = [rows[:, i, 0] * x + rows[:, i, 1] * y + rows[:, i, 2] for i in (0, 1)]
    return stack(axes, axis=-1)


def grid_sample(
    input: Any,
    grid: Any,
    mode: Literal["bilinear", "nearest"] = "bilinear",
    padding_mode: Literal["zeros", "border"] = "zeros",
    align_corners: bool = False,
) -> Tensor:
    """Sample images at the positions of a grid, with interpolation; differentiable.

    Args:
        input: (N, C, H, W).
        grid: (N, H′, W′, 2), positions (x, y), with −1 and 1 at the edges.
        mode: ``"bilinear"``, straight between the four pixels around, or
            ``"nearest"``, the pixel that is nearest.
        padding_mode: what is outside: ``"zeros"``, or the ``"border"``.
        align_corners: see :func:`affine_grid`.

    Returns:
        (N, C, H′, W′).

    Source: Jaderberg et al. 2015, "Spatial transformer networks".

    >>> grid_sample([[[[1.0, 3.0]]]], [[[[0.0, 0.0], [0.5, 0.0]]]])
    tensor([[[[2., 3.]]]])
    """
    input, grid = as_tensor(input), as_tensor(grid)
    if input.ndim != 4 or grid.ndim != 4 or grid.shape[3] != 2:
        raise ShapeError(
            _("grid_sample reads images at places."),
            expected=_("x (N, C, H, W) and grid (N, H, W, 2)"),
            got=_(
                "{shape} and {grid_shape}",
                shape=show(input.shape),
                grid_shape=show(grid.shape),
            ),
        )
    height, width = input.shape[2:]
    corners = flag("grid_sample", "align_corners", align_corners)

    def pixel(at: Tensor, n: int) -> Tensor:
        return (at + 1) * ((n - 1) / 2) if corners else ((at + 1) * n - 1) / 2

    columns, rows = pixel(grid[..., 0], width), pixel(grid[..., 1], height)
    return sample(input, rows, columns, mode, padding_mode)


def sample(
    x: Tensor,
    rows: Tensor,
    columns: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
) -> Tensor:
    """Sample images (N, C, H, W) at positions in pixels, (N, H′, W′), interpolated."""
    mode = choice("bilinear", "nearest")("mode", mode)
    border = choice("zeros", "border")("padding_mode", padding_mode) == "border"
    if mode == "nearest":
        return _read(x, rows.round(), columns.round(), border)
    if border:
        rows = rows.clamp(0, x.shape[2] - 1)
        columns = columns.clamp(0, x.shape[3] - 1)
    top, left = rows.detach().floor(), columns.detach().floor()
    down, right = (rows - top).unsqueeze(1), (columns - left).unsqueeze(1)
    upper = _read(x, top, left, border) * (1 - right)
    upper = upper + _read(x, top, left + 1, border) * right
    lower = _read(x, top + 1, left, border) * (1 - right)
    lower = lower + _read(x, top + 1, left + 1, border) * right
    return upper * (1 - down) + lower * down


def _read(x: Tensor, rows: Tensor, columns: Tensor, border: bool) -> Tensor:
    """Read image pixels at integer positions; outside 0, or the nearest edge pixel."""
    height, width = x.shape[2:]
    near = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    indices = (near[0] * width + near[1]).astype("int32")
    values = x.flatten(2).take_along_dim(indices.flatten(1).unsqueeze(1), 2)
    values = values.unflatten(2, indices.shape[1:])
    if border:
        return values
    inside = (near[0] == rows) & (near[1] == columns)
    return where(inside.unsqueeze(1), values, 0.0)
