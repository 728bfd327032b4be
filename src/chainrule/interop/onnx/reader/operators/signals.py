"""Signals: discrete Fourier transforms, windows, mel filters."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import fft
from chainrule import functions as fn
from chainrule.errors import ArgumentError
from chainrule.graph.room import check_room
from chainrule.interop.onnx.reader.operators.types import dtype_of
from chainrule.interop.onnx.reader.table import Known, axis_of, operator
from chainrule.tensor import Tensor, tensor
from chainrule.text import _


def _transformed(
    x: Tensor, axis: int, length: int, inverse: bool, half: bool
) -> Tensor:
    """Return the DFT of (…, 1) or (…, 2), real and imaginary parts, along an axis."""
    if half and not inverse and x.shape[-1] == 1:
        return fft.rfft(x[..., 0], length, axis)
    if x.shape[-1] == 1:
        x = fn.pad(x, (0, 1))
    if half and inverse:
        return fn.unsqueeze(fft.irfft(x, length, axis), -1)
    y = (fft.ifft if inverse else fft.fft)(x, length, axis)
    return fn.narrow(y, axis, 0, length // 2 + 1) if half else y


@operator("DFT", since=20)
def dft(
    x: Tensor,
    dft_length: Known | None = None,
    axis: Known | None = None,
    *,
    inverse: int = 0,
    onesided: int = 0,
) -> Tensor:
    which = -2 if axis is None else int(axis.reshape(()))
    return _dft(x, dft_length, which, inverse, onesided)


@operator("DFT", since=17)
def dft_17(
    x: Tensor,
    dft_length: Known | None = None,
    *,
    axis: int = 1,
    inverse: int = 0,
    onesided: int = 0,
) -> Tensor:
    return _dft(x, dft_length, axis, inverse, onesided)


def _dft(x: Tensor, given: Known | None, axis: int, inverse: int, half: int) -> Tensor:
    axis = axis_of(axis, x.ndim)
    length = int(x.shape[axis])
    if given is not None:
        length = int(given.reshape(()))
    elif inverse and half:
        length = 2 * (length - 1)
    return _transformed(x, axis, length, bool(inverse), bool(half))


@operator("STFT", since=17)
def stft(
    signal: Tensor,
    frame_step: Known,
    window: Tensor | None = None,
    frame_length: Known | None = None,
    *,
    onesided: int = 1,
) -> Tensor:
    """DFTs of windows of (N, T, 1 or 2): (N, frames, frequencies, 2)."""
    step, total = int(frame_step.reshape(())), int(signal.shape[1])
    length = total if window is None else int(window.shape[0])
    if frame_length is not None:
        length = int(frame_length.reshape(()))
    if step < 1 or not 0 < length <= total:
        raise ArgumentError(
            _("Frames have a step, and a length within the signal."),
            expected=f">= 1, 1 … {total}",
            got=f"{step}, {length}",
        )
    count = (total - length) // step + 1
    check_room((count, length), 8)
    at = np.arange(count)[:, None] * step + np.arange(length)
    frames = fn.take(signal, tensor(at.reshape(-1)), dim=1)
    frames = fn.reshape(frames, (signal.shape[0], count, length, signal.shape[2]))
    if window is not None:
        frames = frames * fn.reshape(window, (-1, 1))
    return _transformed(frames, 2, length, False, bool(onesided))


def _window(name: str, function: Any, *coefficients: float) -> None:
    @operator(name, since=17)
    def row(size: Known, *, output_datatype: int = 1, periodic: int = 1) -> Tensor:
        n, dtype = int(size.reshape(())), dtype_of(output_datatype)
        window = function(n, bool(periodic), *coefficients, dtype="float64")
        return window.astype(dtype)


_window("HannWindow", fn.hann_window)
_window("HammingWindow", fn.hamming_window, 25 / 46, 21 / 46)
_window("BlackmanWindow", fn.blackman_window)


@operator("MelWeightMatrix", since=17)
def mel_weight_matrix(
    bins: Known,
    dft_length: Known,
    sample_rate: Known,
    lower: Known,
    upper: Known,
    *,
    output_datatype: int = 1,
) -> Tensor:
    """Triangles at equal distances of pitch (mel), as weights of frequencies."""
    n, length = int(bins.reshape(())), int(dft_length.reshape(()))
    check_room((length // 2 + 1, n), 8)
    low, high = (
        2595 * np.log10(1 + float(f.reshape(())) / 700) for f in (lower, upper)
    )
    mel = np.arange(n + 2) * ((high - low) / (n + 2)) + low
    hertz = 700 * (10 ** (mel / 2595) - 1)
    edges = ((length + 1) * hertz // int(sample_rate.reshape(()))).astype(int)
    weights = np.zeros((length // 2 + 1, n))
    for i in range(n):
        first, middle, last = edges[i : i + 3]
        if middle == first:
            weights[middle, i] = 1
        else:
            rise = np.arange(first, middle + 1)
            weights[rise, i] = (rise - first) / (middle - first)
        if last > middle:
            fall = np.arange(middle, last)
            weights[fall, i] = (last - fall) / (last - middle)
    return tensor(weights).astype(dtype_of(output_datatype))
