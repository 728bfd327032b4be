"""Tensor functions of signals in time: short-time Fourier transforms, and windows.

Transforms are pairs of real numbers, as those of :mod:`chainrule.fft`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.batching import moved
from chainrule.graph.context import dtype_or_default
from chainrule.graph.node import Array, Value
from chainrule.graph.room import check_room
from chainrule.operations.arguments import whole
from chainrule.operations.creation import zeros
from chainrule.operations.fourier import fft, irfft, rfft
from chainrule.operations.joining import PadMode, pad
from chainrule.operations.op import op
from chainrule.operations.operands import (
    astype,
    broadcast_to,
    floating,
    promote,
    value_of,
)
from chainrule.operations.shapes import cut, reshaped, window_places, windows
from chainrule.operations.writing import index_add
from chainrule.primitives.checks import require_all
from chainrule.primitives.elementwise import div, less, mul
from chainrule.primitives.movement import full, full_like
from chainrule.primitives.rules import show
from chainrule.text import _
from chainrule.util import validation

# -- windows ---------------------------------------------------------------------------


def _window(
    n: Any, periodic: bool, dtype: Any, shape: Callable[[Array], Array]
) -> Value:
    """Return a window as a function of the angle, which goes around once.

    A periodic one is without its last point, which is the first one of the next period.
    """
    n, kind = whole("window_length", n, least=0), dtype_or_default(dtype)
    if not kind.is_float:
        raise ArgumentError(
            _("A window has fractions."), expected="float32, float64", got=kind.name
        )
    check_room((n,), 8)
    turns = np.arange(n) / max(n if periodic else n - 1, 1)
    made = shape(2 * np.pi * turns) if n > 1 else np.ones(n)
    return value_of(made, kind)


@op(creates=True, method=False)
def hann_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None
) -> Value:
    """Return the Hann window, ½ − ½ cos 2πt, of so many points.

    Args:
        window_length: their number.
        periodic: whether t goes up to 1 − 1/n, for a transform, or up to 1, for a
            symmetric window.
        dtype: float32 or float64.

    >>> import chainrule as cr
    >>> cr.hann_window(4)
    tensor([0. , 0.5, 1. , 0.5])
    """
    return hamming_window(window_length, periodic, 0.5, 0.5, dtype=dtype)


@op(creates=True, method=False)
def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    *,
    dtype: Any = None,
) -> Value:
    """Return the Hamming window, α − β cos 2πt, of so many points."""
    a, b = validation.number("alpha", alpha), validation.number("beta", beta)
    return _window(window_length, periodic, dtype, lambda t: a - b * np.cos(t))


@op(creates=True, method=False)
def blackman_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None
) -> Value:
    """Return Blackman's window, 0.42 − ½ cos 2πt + 0.08 cos 4πt, of so many points."""
    return _window(
        window_length,
        periodic,
        dtype,
        lambda t: 0.42 - 0.5 * np.cos(t) + 0.08 * np.cos(2 * t),
    )


# -- short-time transforms -------------------------------------------------------------


def _framing(
    x: Value, n_fft: Any, hop_length: Any, win_length: Any, window: Any
) -> tuple[Value, int, int, Value | None]:
    """Return x, the length of frames, the step, and the window between zeros if any.

    x and the window have one dtype then.
    """
    x = floating(x)
    n = whole("n_fft", n_fft, least=1)
    hop = whole("hop_length", n // 4 if hop_length is None else hop_length, least=1)
    length = whole("win_length", n if win_length is None else win_length, least=1)
    if length > n:
        raise ArgumentError(
            _("A window lies within a frame."),
            expected=f"win_length <= {n}",
            got=str(length),
        )
    line = None if window is None else value_of(window)
    if line is not None and line.shape != (length,):
        raise ShapeError(
            _("A window is a vector of win_length numbers."),
            expected=f"({length},)",
            got=show(line.shape),
        )
    if line is None and length == n:
        return x, n, hop, None
    line = full(1.0, x.dtype, (length,)) if line is None else line
    dtype = promote(x.dtype, line.dtype)
    left = (n - length) // 2
    line = pad(astype(line, dtype), (left, n - length - left))
    return astype(x, dtype), n, hop, line


def _times(x: Value, line: Value | None) -> Value:
    """Return a product with what lies along the last axis."""
    return x if line is None else mul(x, broadcast_to(line, x.shape))


@op
def stft(
    x: Value,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = None,
    center: bool = True,
    pad_mode: PadMode = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool = False,
) -> Value:
    """Return Fourier transforms of overlapping frames of real signals, as pairs.

    Args:
        x: a signal (T,) or several (N, T).
        n_fft: the length of a frame.
        hop_length: the step from frame to frame; n_fft // 4 by default.
        win_length: the length of the window, which lies in the middle of a frame;
            n_fft by default.
        window: what frames are multiplied by, a vector; ones by default.
        center: whether frame t is around x[t · hop_length]; the signal is continued at
            both ends then. Else it begins there.
        pad_mode: how it is continued; see :func:`chainrule.pad`.
        normalized: whether transforms are divided by √n_fft.
        onesided: whether there are the frequencies 0 … ⌊n_fft/2⌋ alone, as by default.
        return_complex: False; there are no complex numbers.

    Returns:
        (N, frequencies, frames, 2), as PyTorch's with ``view_as_real``.

    >>> import chainrule as cr
    >>> cr.stft(cr.ones(8), 4, window=cr.hann_window(4))[:, 1]
    tensor([[ 2.,  0.],
            [-1.,  0.],
            [ 0.,  0.]])
    """
    if return_complex:
        raise ArgumentError(
            _("There are no complex numbers."),
            expected="return_complex=False",
            got=f"{return_complex!r:.40}",
            fix=_("the result is what PyTorch's view_as_real gives of its own"),
        )
    if len(x.shape) not in (1, 2):
        raise ShapeError(
            _("stft takes a real signal, or several of one length."),
            expected="(T,), (N, T)",
            got=show(x.shape),
        )
    x, n, hop, line = _framing(x, n_fft, hop_length, win_length, window)
    if center:
        lead = (1,) * (3 - len(x.shape))
        padded = pad(reshaped(x, (*lead, *x.shape)), (n // 2, n // 2), pad_mode)
        x = reshaped(padded, (*x.shape[:-1], padded.shape[-1]))
    axis, total = len(x.shape) - 1, int(x.shape[-1])
    if n > total:
        raise ShapeError(
            _("A frame lies within the signal."),
            expected=_("n_fft of at most {total}", total=total),
            got=str(n),
        )
    frames = _times(windows(x, axis, n, hop), line)
    norm = "ortho" if normalized else "backward"
    if onesided or onesided is None:
        y = rfft(frames, norm=norm)
    else:
        pairs = pad(reshaped(frames, (*frames.shape, 1)), (0, 1))
        y = fft(pairs, norm=norm)
    return moved(y, axis, axis + 1)


@op
def istft(
    x: Value,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Value:
    """Return the real signals of which ``stft`` gives x: its least-squares inverse.

    Frames are added up where they overlap, and divided by the sum of the squares of
    their windows (Griffin & Lim 1984).

    Args:
        x: pairs, (frequencies, frames, 2) or (N, frequencies, frames, 2).
        n_fft, hop_length, win_length, window, center, normalized: as they were given to
            ``stft``.
        onesided: whether x has the frequencies 0 … ⌊n_fft/2⌋ alone, by default as it
            looks; others are not read, since the signal is real.
        length: of the signals; zeros follow where the frames end before.
        return_complex: False; the signal is real.

    Raises:
        ArgumentError: a part of the signal lies in no window.

    >>> import chainrule as cr
    >>> x, window = cr.arange(8.0), cr.hann_window(4)
    >>> cr.istft(cr.stft(x, 4, window=window), 4, window=window).round()
    tensor([0., 1., 2., 3., 4., 5., 6., 7.])
    """
    x, n, hop, line = _framing(x, n_fft, hop_length, win_length, window)
    half, rank = n // 2 + 1, len(x.shape)
    bins = (half, n) if onesided is None else (half if onesided else n,)
    if rank not in (3, 4) or x.shape[-1] != 2 or x.shape[-3] not in bins:
        raise ShapeError(
            _("istft takes pairs, as stft gives them."),
            expected=_("(N, {bins}, frames, 2)", bins=bins[0]),
            got=show(x.shape),
        )
    if return_complex:
        raise ArgumentError(
            _("istft returns real numbers."),
            expected="return_complex=False",
            got=f"{return_complex!r:.40}",
        )
    y = moved(cut(x, rank - 3, 0, half), rank - 3, rank - 2)
    frames = irfft(y, n, norm="ortho" if normalized else "backward")
    count = int(frames.shape[-2])
    total = n + hop * (count - 1) if count else 0
    start = n // 2 if center else 0
    stop = total - start if length is None else start + whole("length", length, least=1)
    if count < 1 or stop <= start or start >= total:
        raise ShapeError(
            _("istft takes frames that reach beyond the padding at both ends."),
            expected=_("more frames"),
            got=str(count),
        )
    inside = min(stop, total)
    line = full(1.0, x.dtype, (n,)) if line is None else line
    squares = broadcast_to(mul(line, line), (count, n))
    signal = _added_up(_times(frames, line), total, hop)
    weight = _added_up(squares, total, hop)
    signal, weight = (cut(v, len(v.shape) - 1, start, inside) for v in (signal, weight))
    weight = require_all(
        weight,
        less(full_like(weight, 1e-11), weight),
        _("Each part of the signal lies in a window."),
        expected=_("windows whose squares add up to more than 0"),
        got=_("a gap"),
        fix=_("a smaller hop_length, center=True, or a window without zeros"),
    )
    signal = div(signal, broadcast_to(weight, signal.shape))
    return pad(signal, (0, stop - inside)) if stop > inside else signal


def _added_up(frames: Value, total: int, hop: int) -> Value:
    """Return the sums of frames (…, count, n) where they lie along a signal."""
    shape: Any = frames.shape  # without names, as that of all windows
    *lead, count, n = shape
    places = reshaped(window_places(count, n, hop), (-1,))
    blank = zeros(*lead, total, dtype=frames.dtype)
    return index_add(blank, len(lead), places, reshaped(frames, (*lead, count * n)))
