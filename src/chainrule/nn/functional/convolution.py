"""Convolutions: kernels that slide over the axes behind (N, C)."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.checks import choice
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.types import Shape
from chainrule.nn.arguments import integer, place, spread
from chainrule.nn.functional.layers import same_dtype
from chainrule.primitives import conv as convolution
from chainrule.primitives.rules import show
from chainrule.primitives.sliding import dilated
from chainrule.tensor import Tensor, as_tensor, wrap

#: What stands beyond the edges, by NumPy's names for it.
EDGES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
Pair = int | tuple[int, int]


def conv1d(
    x: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int] = 1,
    padding: int | tuple[int] | str = 0,
    dilation: int | tuple[int] = 1,
    groups: int = 1,
) -> Tensor:
    """y[n, o, p] = bₒ + Σ_c Σ_k W[o, c, k] x[n, c, p·stride + k·dilation − padding].

    Args:
        x: (N, C, L), or (C, L).
        weight: W, (O, C/groups, K).
        bias: b, (O,), or None.
        stride, padding, dilation, groups: see :class:`chainrule.nn.Conv1d`.

    Returns:
        (N, O, L′), or (O, L′).

    >>> conv1d([[[1.0, 2.0, 4.0, 8.0]]], Tensor([[[-1.0, 1.0]]]))
    tensor([[[1., 2., 4.]]])
    """
    return conv("Conv1d", 1, x, weight, bias, stride, padding, dilation, groups)


def conv2d(
    x: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair | str = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Y = b + W ∗ X over height and width: :func:`conv1d` with pairs of places.

    Args:
        x: (N, C, H, W), or (C, H, W).
        weight: W, (O, C/groups, K, L).
        bias: b, (O,), or None.
        stride, padding, dilation, groups: see :class:`chainrule.nn.Conv2d`.

    Returns:
        (N, O, H′, W′), or (O, H′, W′).

    >>> conv2d([[[1.0, 2.0], [3.0, 4.0]]], Tensor([[[[1.0, 1.0]]]]), padding="valid")
    tensor([[[3.],
             [7.]]])
    """
    return conv("Conv2d", 2, x, weight, bias, stride, padding, dilation, groups)


def conv(
    kind: str,
    axes: int,
    x: Any,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    mode: str = "zeros",
) -> Tensor:
    """A convolution over so many axes; ``mode`` says what stands beyond the edges.

    Raises:
        ShapeError: channels that are not there, or are not C; groups that do not
            divide them; a kernel larger than the padded input.
        ArgumentError: settings that no convolution has.
    """
    x, weight = as_tensor(x), as_tensor(weight)
    groups = integer(kind, "groups", groups, least=1)
    _check_weight(kind, axes, weight.shape, groups)
    outputs, channels, *window = (int(d) for d in weight.shape)
    x = same_dtype(kind, x, weight)
    x, single = batch_of(kind, "convolve", x, axes, channels * groups)
    steps, reach = (
        spread(kind, "stride", stride, axes),
        spread(kind, "dilation", dilation, axes),
    )
    pads = paddings(kind, padding, window, steps, reach)
    if mode != "zeros":
        for axis, (low, high) in enumerate(pads, start=2):
            x = _continued(kind, x, axis, low, high, mode)
        pads = ((0, 0),) * axes
    check_fit(kind, x.shape, window, pads, reach)
    places = "".join(map(str, range(axes)))
    dims = f"nc{places},oc{places}->no{places}"
    if groups > 1:
        dims = f"ngc{places},goc{places}->ngo{places}"
        x = x.reshape(x.shape[0], groups, channels, *x.shape[2:])
        weight = weight.reshape(groups, outputs // groups, channels, *window)
    y = wrap(
        convolution.conv(
            x.value,
            weight.value,
            dims=dims,
            strides=steps,
            padding=pads,
            lhs_dilation=(1,) * axes,
            rhs_dilation=reach,
            accumulate=x.dtype,
        )
    )
    if groups > 1:
        y = y.reshape(y.shape[0], outputs, *y.shape[3:])
    if bias is not None:
        y = y + bias.reshape(-1, *[1] * axes)
    return y.squeeze(0) if single else y


def _check_weight(kind: str, axes: int, shape: Shape, groups: int) -> None:
    if len(shape) == axes + 2 and not int(shape[0]) % groups:
        return
    raise ShapeError(
        f"{place(kind)} has no kernels for {groups} groups."
        if groups > 1
        else f"{place(kind)} has no kernels.",
        expected="a weight of shape (out, in/groups, "
        + ", ".join(["kernel"] * axes)
        + "), out a multiple of groups",
        got=show(shape),
    )


def batch_of(
    kind: str, doing: str, x: Tensor, axes: int, channels: int | None = None
) -> tuple[Tensor, bool]:
    """``x`` as (N, C, …), and whether it is one sample (C, …).

    Raises:
        ShapeError: other axes, or other channels than these.
    """
    lengths = "L" if axes == 1 else "H, W"
    named = "C" if channels is None else str(channels)
    at = x.ndim - axes - 1
    if at in (0, 1) and (channels is None or x.shape[at] == channels):
        return (x, False) if at else (x.unsqueeze(0), True)
    fix = f"x.reshape(-1, {named}, {lengths}), or nn.Unflatten(1, ({named}, {lengths}))"
    if at == 0:
        fix = "x.unsqueeze(1) gives a batch of grey images its axis of channels"
        fix += "" if channels == 1 else f", for nn.{kind}(1, …)"
    elif at == 1 and x.shape[-1] == channels:
        fix = f"x.movedim(-1, 1): channels come before {lengths}"
    elif at == 1:
        fix = f"build nn.{kind}({x.shape[at]}, …)"
    raise ShapeError(
        f"{place(kind)} cannot {doing} its input.",
        expected=f"(N, {named}, {lengths}), or ({named}, {lengths}) for one sample",
        got=show(x.shape),
        fix=fix,
    )


def paddings(
    kind: str, padding: Any, window: Any, steps: Any, reach: Any
) -> tuple[tuple[int, int], ...]:
    """How many elements are put before and behind each axis."""
    axes = len(window)
    if not isinstance(padding, str):
        return tuple((n, n) for n in spread(kind, "padding", padding, axes, least=0))
    words = "{} is a number, or a word that " + kind + " knows."
    if choice("same", "valid", what=words)("padding", padding) == "valid":
        return ((0, 0),) * axes
    if any(step != 1 for step in steps):
        raise ArgumentError(
            f"{kind} gives as many places as it takes in steps of one alone.",
            expected="padding='same' with stride=1",
            got=f"padding='same', stride={steps}",
            fix="padding=(kernel_size − 1) // 2 divides the places by the stride",
        )
    more = [dilated(k, r) - 1 for k, r in zip(window, reach)]
    return tuple((n // 2, n - n // 2) for n in more)


def check_fit(kind: str, shape: Shape, window: Any, pads: Any, reach: Any) -> None:
    """Refuse a window that is larger than the padded input."""
    for axis, (k, (low, high), r) in enumerate(zip(window, pads, reach), start=2):
        length, needed = shape[axis], dilated(k, r) - low - high
        if not isinstance(length, int):
            raise ShapeError(
                f"{place(kind)} slides over axes whose lengths are known.",
                expected="a number of samples alone that varies",
                got=show(shape),
            )
        if length < max(needed, 1):
            raise ShapeError(
                f"{place(kind)}'s window is larger than its padded input.",
                expected=f"at least {max(needed, 1)} along axis {axis}",
                got=show(shape),
                fix="a smaller kernel or dilation, or more padding",
            )


def _continued(
    kind: str, x: Tensor, axis: int, low: int, high: int, mode: str
) -> Tensor:
    """``x`` longer along an axis, by elements of its own."""
    length, side = x.shape[axis], max(low, high)
    if not side:
        return x
    needed = {"reflect": side + 1, "replicate": 1, "circular": side}[mode]
    if not isinstance(length, int) or length < needed:
        raise ShapeError(
            f"{place(kind)} continues its input by elements that it has not.",
            expected=f"at least {needed} along axis {axis}",
            got=show(x.shape),
            fix="less padding, or padding_mode='zeros'",
        )
    which: Any = EDGES[mode]
    return x.index_select(axis, np.pad(np.arange(length), (low, high), mode=which))
