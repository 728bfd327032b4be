"""Normalisation: of batches, instances, groups, layers, neighbouring channels."""

from __future__ import annotations

from typing import Any

from chainrule import functions as fn
from chainrule.errors import ArgumentError, ShapeError
from chainrule.interop.onnx.reader.operators.shapes import axes_of
from chainrule.interop.onnx.reader.operators.types import dtype_of
from chainrule.interop.onnx.reader.table import axis_of, operator
from chainrule.nn import functional
from chainrule.tensor import Tensor
from chainrule.text import _


def _by_channel(x: Tensor, weight: Tensor) -> Tensor:
    """Return a number for each channel in a shape that goes with (N, C, …)."""
    return fn.reshape(weight, (-1, *[1] * (x.ndim - 2)))


@operator("BatchNormalization", since=9, states=(3, 4))
def batch_normalization(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    mean: Tensor,
    var: Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
) -> tuple[Tensor, ...]:
    """By given statistics, or by those of the batch, which are two more outputs."""
    if not training_mode:
        y = functional.batch_norm(x, mean, var, scale, shift, eps=epsilon)
        return (y.astype(x.dtype),)
    axes = (0, *range(2, x.ndim))
    now = fn.mean(x, dim=axes, keepdim=True)
    spread = fn.mean((x - now) ** 2, dim=axes, keepdim=True)
    y = (x - now) * fn.rsqrt(spread + epsilon) * _by_channel(x, scale)
    new = [
        old * momentum + fn.reshape(batch, (-1,)) * (1 - momentum)
        for old, batch in ((mean, now), (var, spread))
    ]
    return y + _by_channel(x, shift), *new


@operator("BatchNormalization", since=7, states=(3, 4))
def batch_normalization_7(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    mean: Tensor,
    var: Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    spatial: int = 1,
) -> tuple[Tensor, ...]:
    if not spatial:
        y = (x - mean) / fn.sqrt(var + epsilon) * scale + shift
        return (y,)
    return batch_normalization(x, scale, shift, mean, var, epsilon=epsilon)


@operator("BatchNormalization", since=6, states=(3, 4))
def batch_normalization_6(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    mean: Tensor,
    var: Tensor,
    *,
    epsilon: float = 1e-5,
    is_test: int = 0,
    momentum: float = 0.9,
    spatial: int = 1,
) -> tuple[Tensor, ...]:
    if not is_test:
        raise ArgumentError(
            _("A BatchNormalization of opset 6 trains."),
            expected="is_test = 1",
            got="is_test = 0",
        )
    return batch_normalization_7(
        x, scale, shift, mean, var, epsilon=epsilon, spatial=spatial
    )


def _standardized(x: Tensor, axes: Any, epsilon: float) -> Tensor:
    centred = x - fn.mean(x, dim=axes, keepdim=True)
    return centred * fn.rsqrt(fn.mean(centred**2, dim=axes, keepdim=True) + epsilon)


@operator("InstanceNormalization", since=6)
def instance_normalization(
    x: Tensor, scale: Tensor, shift: Tensor, *, epsilon: float = 1e-5
) -> Tensor:
    if x.ndim < 3:
        raise ShapeError(
            _("An instance has spatial axes."),
            expected=_("(N, C, …) of three axes or more"),
            got=str(tuple(x.shape)),
        )
    y = _standardized(x, tuple(range(2, x.ndim)), epsilon)
    return y * _by_channel(x, scale) + _by_channel(x, shift)


@operator("GroupNormalization", since=21)
def group_normalization(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    *,
    num_groups: int,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> Tensor:
    return functional.group_norm(x, num_groups, scale, shift, eps=epsilon)


@operator("GroupNormalization", since=18)
def group_normalization_18(
    x: Tensor, scale: Tensor, shift: Tensor, *, num_groups: int, epsilon: float = 1e-5
) -> Tensor:
    """With a scale and a shift for each group."""
    n, c, *rest = x.shape
    parts = fn.reshape(x, (n, num_groups, -1))
    y = _standardized(parts, (2,), epsilon)
    y = y * fn.reshape(scale, (-1, 1)) + fn.reshape(shift, (-1, 1))
    return fn.reshape(y, (n, c, *rest))


@operator("LayerNormalization", since=17)
def layer_normalization(
    x: Tensor,
    scale: Tensor,
    shift: Tensor | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
    node: Any,
) -> tuple[Tensor, ...]:
    """Over all axes from ``axis`` on; the mean and 1/σ are two more outputs."""
    axes = tuple(range(axis_of(axis, x.ndim), x.ndim))
    shape = tuple(x.shape[axes[0] :])
    same = tuple(scale.shape) == shape and (
        shift is None or tuple(shift.shape) == shape
    )
    if same and not (node.wants(1) or node.wants(2)):
        return (functional.layer_norm(x, shape, scale, shift, eps=epsilon),)
    stash = dtype_of(stash_type)
    wide = x.astype(stash)
    mean = fn.mean(wide, dim=axes, keepdim=True)
    inverse = fn.rsqrt(fn.mean((wide - mean) ** 2, dim=axes, keepdim=True) + epsilon)
    y = ((wide - mean) * inverse).astype(x.dtype) * scale
    return (y if shift is None else y + shift), mean, inverse


@operator("RMSNormalization", since=23)
def rms_normalization(
    x: Tensor,
    scale: Tensor,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> Tensor:
    axes = tuple(range(axis_of(axis, x.ndim), x.ndim))
    wide = x.astype(dtype_of(stash_type))
    inverse = fn.rsqrt(fn.mean(wide**2, dim=axes, keepdim=True) + epsilon)
    return (wide * inverse).astype(x.dtype) * scale


@operator("LRN", since=1)
def lrn(
    x: Tensor, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0
) -> Tensor:
    """Over neighbouring channels: from ⌊(size−1)/2⌋ before to ⌈(size−1)/2⌉ after."""
    if size < 1:
        raise ArgumentError(_("LRN has a size."), expected=">= 1", got=str(size))
    channels = x.shape[1]
    before, after = min((size - 1) // 2, channels), min(size // 2, channels)
    squares = fn.pad(fn.movedim(x * x, 1, -1), (before, after))
    total = squares[..., :channels]
    for i in range(1, before + after + 1):
        total = total + squares[..., i : i + channels]
    return x / (bias + alpha / size * fn.movedim(total, -1, 1)) ** beta


@operator("LpNormalization", since=1)
def lp_normalization(x: Tensor, *, axis: int = -1, p: int = 2) -> Tensor:
    """x/‖x‖ₚ along an axis; where the norm is 0 the result is."""
    axis = axis_of(axis, x.ndim)
    if p == 1:
        length = fn.sum(fn.abs(x), dim=axis, keepdim=True)
    else:
        length = fn.norm(x, p, dim=axis, keepdim=True)
    zero = length == 0
    return fn.where(
        zero, fn.zeros_like(x), x / fn.where(zero, fn.ones_like(length), length)
    )


@operator("MeanVarianceNormalization", since=9)
def mean_variance_normalization(
    x: Tensor, *, axes: tuple[int, ...] = (0, 2, 3)
) -> Tensor:
    which = axes_of(axes or range(x.ndim), x.ndim)
    centred = x - fn.mean(x, dim=which, keepdim=True)
    spread = fn.sqrt(fn.mean(centred**2, dim=which, keepdim=True))
    return centred / (spread + 1e-9)
