"""Convolutions: over one to three spatial axes, transposed, deformable."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import functions as fn
from chainrule.errors import ArgumentError, ShapeError
from chainrule.interop.onnx.reader.operators.shapes import padded
from chainrule.interop.onnx.reader.operators.windows import Ints, windows
from chainrule.interop.onnx.reader.table import Known, operator
from chainrule.nn import functional
from chainrule.tensor import Tensor
from chainrule.text import _

CONV = (functional.conv1d, functional.conv2d, functional.conv3d)
TRANSPOSED = (
    functional.conv_transpose1d,
    functional.conv_transpose2d,
    functional.conv_transpose3d,
)


def spatial(x: Tensor, name: str) -> int:
    """Return the number of spatial axes, one to three.

    Raises:
        ShapeError: there are none, or more.
    """
    if not 3 <= x.ndim <= 5:
        raise ShapeError(
            _("{name} has one to three spatial axes.", name=name),
            expected=_("(N, C, …) of three to five axes"),
            got=str(tuple(x.shape)),
        )
    return x.ndim - 2


@operator("Conv", since=1, one_dtype=True)
def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Ints | None = None,
    group: int = 1,
    kernel_shape: Ints | None = None,
    pads: Ints | None = None,
    strides: Ints | None = None,
) -> Tensor:
    rank = spatial(x, "Conv")
    kernel = tuple(weight.shape[2:])
    if kernel_shape is not None and tuple(kernel_shape) != kernel:
        raise ShapeError(
            _("The kernel has another shape than the node says."),
            expected=str(tuple(kernel_shape)),
            got=str(kernel),
        )
    w = windows(
        tuple(x.shape[2:]),
        kernel,
        strides=strides,
        dilations=dilations,
        pads=pads,
        auto_pad=auto_pad,
    )
    padding: Any = w.begins
    if not w.symmetric:
        x, padding = padded(x, (0, 0, *w.begins, 0, 0, *w.ends)), 0
    return CONV[rank - 1](x, weight, bias, w.strides, padding, w.dilations, group)


@operator("ConvTranspose", since=1, one_dtype=True)
def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Ints | None = None,
    group: int = 1,
    kernel_shape: Ints | None = None,
    output_padding: Ints | None = None,
    output_shape: Ints | None = None,
    pads: Ints | None = None,
    strides: Ints | None = None,
) -> Tensor:
    """The full result, cut at both ends by the padding; ``output_padding`` adds."""
    rank = spatial(x, "ConvTranspose")
    one, none = (1,) * rank, (0,) * rank
    strides, dilations = strides or one, dilations or one
    more, pads = output_padding or none, pads or (*none, *none)
    kernel = tuple(weight.shape[2:])
    if not len(strides) == len(dilations) == len(more) == len(pads) // 2 == rank:
        raise ShapeError(
            _("The attributes of a window have a number for each spatial axis."),
            expected=str(rank),
            got=f"{len(strides)}, {len(dilations)}, {len(more)}, {len(pads)}",
        )
    begins, ends = pads[:rank], pads[rank:]
    if output_shape is not None or auto_pad.startswith("SAME"):
        sizes = tuple(map(int, x.shape[2:]))
        full = _full(sizes, kernel, strides, dilations)
        wanted = tuple(output_shape or (n * s for n, s in zip(sizes, strides)))[-rank:]
        both = [max(f + m - n, 0) for f, m, n in zip(full, more, wanted)]
        if output_shape is not None:
            more = tuple(max(m, n - f) for m, n, f in zip(more, wanted, full))
        small = tuple(p // 2 for p in both)
        large = tuple(p - p // 2 for p in both)
        begins, ends = (large, small) if auto_pad == "SAME_LOWER" else (small, large)
    elif auto_pad == "VALID":
        begins = ends = none
    plain = all(m < max(s, d) for m, s, d in zip(more, strides, dilations))
    if begins == ends and plain:
        return TRANSPOSED[rank - 1](
            x, weight, bias, strides, begins, more, group, dilations
        )
    y = TRANSPOSED[rank - 1](x, weight, None, strides, 0, 0, group, dilations)
    cut = [m - e for m, e in zip(more, ends)]
    y = padded(y, (0, 0, *(-b for b in begins), 0, 0, *cut))
    return y if bias is None else y + fn.reshape(bias, (-1, *one))


def _full(sizes: Ints, kernel: Ints, strides: Ints, dilations: Ints) -> Ints:
    """Return the sizes of a transposed convolution's whole result."""
    return tuple(
        (n - 1) * s + (k - 1) * d + 1
        for n, k, s, d in zip(sizes, kernel, strides, dilations)
    )


@operator("CausalConvWithState", since=27)
def causal_conv_with_state(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    past: Tensor | None = None,
    *,
    activation: str = "none",
) -> tuple[Tensor, Tensor]:
    """Each channel's convolution with what came before; the state is its last part."""
    before = weight.shape[-1] - 1
    if past is None:
        past = fn.zeros((x.shape[0], x.shape[1], before), dtype=x.dtype)
    whole = fn.concat([past, x], dim=2)
    y = functional.conv1d(whole, weight, bias, groups=weight.shape[0])
    if activation in ("silu", "swish"):
        y = functional.silu(y)
    elif activation != "none":
        raise ArgumentError(
            _("There is no such activation."),
            expected="none, silu, swish",
            got=f"{activation!r:.40}",
        )
    return y, whole[:, :, whole.shape[2] - before :]


@operator("Col2Im", since=18)
def col2im(
    x: Tensor,
    image_shape: Known,
    block_shape: Known,
    *,
    dilations: Ints | None = None,
    pads: Ints | None = None,
    strides: Ints | None = None,
) -> Tensor:
    """Blocks added up where they overlap: what a transposed convolution with 1 does."""
    rank = image_shape.size
    block, image = tuple(map(int, block_shape)), tuple(map(int, image_shape))
    pads = pads or (0,) * (2 * rank)
    area = int(np.prod(block))
    n, channels = x.shape[0], x.shape[1] // area
    w = windows(
        image, block, strides=strides, dilations=dilations, pads=pads, auto_pad="NOTSET"
    )
    columns = fn.reshape(x, (n * channels, area, *w.counts(image)))
    unit = fn.reshape(fn.eye(area, dtype=x.dtype), (area, 1, *block))
    y = TRANSPOSED[rank - 1](columns, unit, None, w.strides, 0, 0, 1, w.dilations)
    cut = [i + a - int(full) for i, a, full in zip(image, w.begins, y.shape[2:])]
    y = padded(y, (0, 0, *(-b for b in w.begins), 0, 0, *cut))
    return fn.reshape(y, (n, channels, *image))
