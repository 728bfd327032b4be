"""Quantisation: integers that stand for (x − zero point) · scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import functions as fn
from chainrule.interop.onnx.reader.operators.convolution import conv
from chainrule.interop.onnx.reader.operators.shapes import padded
from chainrule.interop.onnx.reader.operators.types import dtype_of
from chainrule.interop.onnx.reader.operators.windows import Ints, windows
from chainrule.interop.onnx.reader.table import axis_of, operator
from chainrule.tensor import Tensor


def _along(x: Tensor, part: Tensor, axis: int, block: int) -> Tensor:
    """Return scales or zero points in a shape that goes with x."""
    if part.ndim == 0 or (part.ndim == 1 and part.shape[0] == 1 and not block):
        return fn.reshape(part, ())
    axis = axis_of(axis, x.ndim)
    if block:
        part = fn.repeat_interleave(part, block, dim=axis)
        return part[tuple(slice(0, n) for n in x.shape)]
    shape = [1] * x.ndim
    shape[axis] = -1
    return fn.reshape(part, shape)


def _saturated(x: Tensor, dtype: Any) -> Tensor:
    """Return whole numbers as integers, those out of range as the nearest one."""
    info = np.iinfo(np.dtype(dtype))
    wide = x.astype("float64")
    return fn.clamp(wide, float(info.min), float(info.max)).astype(dtype)


@operator("QuantizeLinear", since=10)
def quantize_linear(
    x: Tensor,
    scale: Tensor,
    zero: Tensor | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
    precision: int = 0,
    saturate: int = 1,
) -> Tensor:
    dtype = dtype_of(output_dtype) if output_dtype else "uint8"
    if zero is not None:
        dtype = zero.dtype.name
    y = fn.round(x.astype(scale.dtype) / _along(x, scale, axis, block_size))
    if zero is not None:
        y = y + _along(x, zero, axis, block_size).astype(y.dtype)
    return _saturated(y, dtype)


@operator("DequantizeLinear", since=10)
def dequantize_linear(
    x: Tensor,
    scale: Tensor,
    zero: Tensor | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
) -> Tensor:
    wide = x.astype("int64")
    if zero is not None:
        wide = wide - _along(x, zero, axis, block_size).astype("int64")
    y = wide.astype(scale.dtype) * _along(x, scale, axis, block_size)
    return y.astype(dtype_of(output_dtype)) if output_dtype else y


@operator("DynamicQuantizeLinear", since=11)
def dynamic_quantize_linear(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """To uint8, by the range of the numbers, which is made to include 0."""
    high, low = fn.clamp_min(fn.amax(x), 0.0), fn.clamp_max(fn.amin(x), 0.0)
    scale = (high - low) / 255.0
    zero = fn.clamp(fn.round(-low / scale), 0.0, 255.0)
    y = fn.clamp(fn.round(x / scale) + zero, 0.0, 255.0)
    return y.astype("uint8"), scale, zero.astype("uint8")


def _shifted(x: Tensor, zero: Tensor | None, axis: int) -> Tensor:
    """Return integers less their zero point, as float64, in which sums are exact."""
    wide = x.astype("float64")
    if zero is None:
        return wide
    if zero.ndim == 0 or zero.size == 1:
        return wide - fn.reshape(zero.astype("float64"), ())
    shape: list[Any] = [1] * x.ndim
    shape[axis] = -1
    return wide - (zero if zero.ndim == x.ndim else fn.reshape(zero, shape)).astype(
        "float64"
    )


@operator("MatMulInteger", since=10)
def matmul_integer(
    a: Tensor, b: Tensor, a_zero: Tensor | None = None, b_zero: Tensor | None = None
) -> Tensor:
    row = -2 if a.ndim > 1 else 0
    y = fn.matmul(_shifted(a, a_zero, row), _shifted(b, b_zero, -1))
    return y.astype("int32")


@operator("QLinearMatMul", since=10)
def qlinear_matmul(
    a: Tensor,
    a_scale: Tensor,
    a_zero: Tensor,
    b: Tensor,
    b_scale: Tensor,
    b_zero: Tensor,
    y_scale: Tensor,
    y_zero: Tensor,
) -> Tensor:
    y = fn.matmul(_shifted(a, a_zero, -2), _shifted(b, b_zero, -1))
    factor = _row(a_scale, a) * _column(b_scale, b) / _row(y_scale, a)
    y = fn.round(y * factor) + _row(y_zero, a)
    return _saturated(y, y_zero.dtype.name)


def _row(part: Tensor, x: Tensor) -> Tensor:
    part = part.astype("float64")
    if part.size == 1:
        return fn.reshape(part, ())
    return part if part.ndim == x.ndim else fn.reshape(part, (-1, 1))


def _column(part: Tensor, x: Tensor) -> Tensor:
    part = part.astype("float64")
    return fn.reshape(part, ()) if part.size == 1 else part


@operator("ConvInteger", since=10)
def conv_integer(
    x: Tensor,
    weight: Tensor,
    x_zero: Tensor | None = None,
    weight_zero: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Ints | None = None,
    group: int = 1,
    kernel_shape: Ints | None = None,
    pads: Ints | None = None,
    strides: Ints | None = None,
) -> Tensor:
    """Convolve quantised integers; what padding adds stands for 0."""
    w = windows(
        tuple(x.shape[2:]),
        tuple(weight.shape[2:]),
        strides=strides,
        dilations=dilations,
        pads=pads,
        auto_pad=auto_pad,
    )
    shifted = padded(_shifted(x, x_zero, 1), (0, 0, *w.begins, 0, 0, *w.ends))
    y = conv(
        shifted,
        _shifted(weight, weight_zero, 0),
        dilations=w.dilations,
        group=group,
        strides=w.strides,
    )
    return y.astype("int32")


@operator("QLinearConv", since=10)
def qlinear_conv(
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor,
    weight: Tensor,
    weight_scale: Tensor,
    weight_zero: Tensor,
    y_scale: Tensor,
    y_zero: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Ints | None = None,
    group: int = 1,
    kernel_shape: Ints | None = None,
    pads: Ints | None = None,
    strides: Ints | None = None,
) -> Tensor:
    y = conv_integer(
        x,
        weight,
        x_zero,
        weight_zero,
        auto_pad=auto_pad,
        dilations=dilations,
        group=group,
        kernel_shape=kernel_shape,
        pads=pads,
        strides=strides,
    ).astype("float64")
    shape = (-1, *[1] * (x.ndim - 2))
    if bias is not None:
        y = y + fn.reshape(bias, shape).astype("float64")
    factor = x_scale.astype("float64") * weight_scale.astype("float64")
    factor = factor / y_scale.astype("float64")
    factor = fn.reshape(factor, () if factor.size == 1 else shape)
    y = fn.round(y * factor) + fn.reshape(y_zero, ()).astype("float64")
    return _saturated(y, y_zero.dtype.name)
