"""Rows of discrete Fourier transforms: ONNX's DFT, whose inverse is divided by n."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.graph.types import DType, Shape
from chainrule.interop.onnx.writer.emitter import Ref
from chainrule.interop.onnx.writer.rows.movement import flipped
from chainrule.interop.onnx.writer.table import Call, row
from chainrule.primitives import fourier


def _dft(c: Call, x: Ref, shape: Shape, inverse: bool, onesided: bool = False) -> Ref:
    """Return the transform of (…, n, 1 or 2) with the factor that the node asks for."""
    axis, n = len(shape) - 2, shape[-2]
    assert isinstance(n, int)
    if inverse and x.dtype is DType.float64:
        # ONNX Runtime rounds its 1/n to float32: the conjugate of the conjugate's.
        signs = _conjugate(c, x)
        return _dft(c, x * signs, shape, False) * signs
    flags: dict[str, Any] = {"inverse": int(inverse), "onesided": int(onesided)}
    if c.e.opset < 20:
        y = c.e.op("DFT", x, axis=axis, **flags)
    else:
        at = c.e.constant(np.array(axis, np.int64))
        y = c.e.node("DFT", [x, None, at], [x.dtype], **flags)[0]
    factor = _factor(c, n) * (n if inverse else 1)
    return y if factor == 1 else y * factor


def _factor(c: Call, n: int) -> float:
    """Return the factor that a node asks for."""
    inverse = c.attrs.get("inverse", c.node.primitive is fourier.irfft)
    kind = fourier.ADJOINT[c.attrs["norm"]] if inverse else c.attrs["norm"]
    return {"backward": 1.0, "ortho": n**-0.5, "forward": 1 / n}[kind]


def _conjugate(c: Call, x: Ref) -> Ref:
    """Return the factors (1, −1), which turn pairs into their conjugates."""
    return c.e.constant(np.array([1, -1], x.dtype.numpy))


@row(fourier.fft, since=17)
def of_fft(c: Call) -> Ref:
    return _dft(c, c.x, c.values[0].shape, c.attrs["inverse"])


@row(fourier.rfft, since=17)
def of_rfft(c: Call) -> Ref:
    shape = (*c.values[0].shape, 1)
    return _dft(c, c.e.reshape(c.x, shape), shape, False, onesided=True)


@row(fourier.irfft, since=17)
def of_irfft(c: Call) -> Ref:
    """The other half of the frequencies is the conjugate of this one."""
    *lead, count, __ = c.values[0].shape
    n, axis = c.attrs["n"], len(lead)
    assert isinstance(count, int)
    rest = c.e.cut(c.x, [axis], [1], [1 + n - count])
    rest = flipped(c.e, rest, [axis]) * _conjugate(c, rest)
    whole = c.e.concat([c.x, rest], axis)
    y = _dft(c, whole, (*lead, n, 2), inverse=True)
    return c.e.squeeze(c.e.cut(y, [axis + 1], [0], [1]), axis + 1)
