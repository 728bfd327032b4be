"""Pooling functions: the maximum or the mean of each window."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.node import Array
from chainrule.nn.arguments import flag, integer, place, spread
from chainrule.nn.functional.convolution import Pair, batch_of, check_fit
from chainrule.nn.functional.layers import along, floats
from chainrule.primitives import windows
from chainrule.primitives.rules import show
from chainrule.primitives.sliding import dilated
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _

One = int | tuple[int]
Sizes = int | tuple[int | None, int | None]


def max_pool1d(
    x: Any,
    kernel_size: One,
    stride: One | None = None,
    padding: One = 0,
    dilation: One = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Compute the maximum of each window of a signal: see :func:`max_pool2d`.

    Args:
        x: (N, C, L), or (C, L).
        kernel_size, stride, padding, dilation, ceil_mode, return_indices: see
            :class:`chainrule.nn.MaxPool1d`.

    >>> max_pool1d([[1.0, 2.0, 7.0, 4.0]], 2)
    tensor([[2., 7.]])
    """
    slides = (kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    return max_pool("MaxPool1d", 1, x, *slides)


def max_pool2d(
    x: Any,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Compute the maximum of each window of an image; padding is ignored.

    The derivative goes to it, and to the first of equals.

    Args:
        x: (N, C, H, W), or (C, H, W).
        kernel_size, stride, padding, dilation, ceil_mode, return_indices: see
            :class:`chainrule.nn.MaxPool2d`.

    >>> max_pool2d([[[1.0, 2.0, 7.0, 4.0]]], (1, 2))
    tensor([[[2., 7.]]])
    """
    slides = (kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    return max_pool("MaxPool2d", 2, x, *slides)


def max_pool(
    kind: str,
    axes: int,
    x: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: Any,
    return_indices: Any,
) -> Any:
    """Compute window maxima over ``axes`` axes, and their indices if requested."""
    x, single = batch_of(kind, "pool", as_tensor(x), axes)
    reach = spread(kind, "dilation", dilation, axes)
    slides = _windows(kind, x, single, kernel_size, stride, padding, reach, ceil_mode)
    made = _largest(x, *slides, reach, flag(kind, "return_indices", return_indices))
    made = [t.squeeze(0) if single else t for t in made]
    return tuple(made) if return_indices else made[0]


def _largest(
    x: Tensor, window: Any, steps: Any, pads: Any, reach: Any, places: bool
) -> list[Tensor]:
    """Compute window maxima over the last axes, and their indices if requested."""
    attrs: dict[str, Any] = {
        "axes": tuple(range(2, x.ndim)),
        "window": window,
        "strides": steps,
        "padding": pads,
        "dilation": reach,
    }
    made = [wrap(windows.window_max(x.value, **attrs))]
    if places:
        made.append(wrap(windows.window_argmax(x.value, **attrs)))
    return made


def avg_pool1d(
    x: Any,
    kernel_size: One,
    stride: One | None = None,
    padding: One = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Compute the mean of each window of a signal.

    Args:
        x: (N, C, L), or (C, L).
        kernel_size, stride, padding, ceil_mode, count_include_pad: see
            :class:`chainrule.nn.AvgPool1d`.

    >>> avg_pool1d([[1.0, 2.0, 7.0, 4.0]], 2)
    tensor([[1.5, 5.5]])
    """
    slides = (kernel_size, stride, padding, ceil_mode, count_include_pad)
    return avg_pool("AvgPool1d", 1, x, *slides)


def avg_pool2d(
    x: Any,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Compute the mean of each window of an image.

    Args:
        x: (N, C, H, W), or (C, H, W).
        kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override:
            see :class:`chainrule.nn.AvgPool2d`.

    >>> avg_pool2d([[[1.0, 2.0, 7.0, 4.0]]], (1, 2))
    tensor([[[1.5, 5.5]]])
    """
    slides = (kernel_size, stride, padding, ceil_mode, count_include_pad)
    return avg_pool("AvgPool2d", 2, x, *slides, divisor_override)


def avg_pool(
    kind: str,
    axes: int,
    x: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: Any,
    count_include_pad: Any,
    divisor_override: Any = None,
) -> Tensor:
    """Compute window means over ``axes`` axes."""
    x, single = batch_of(kind, "pool", floats(x), axes)
    ones = (1,) * axes
    window, steps, pads = _windows(
        kind, x, single, kernel_size, stride, padding, ones, ceil_mode
    )
    sums = wrap(
        windows.window_sum(
            x.value,
            axes=tuple(range(2, x.ndim)),
            window=window,
            strides=steps,
            padding=pads,
            dilation=ones,
            base_dilation=ones,
        )
    )
    if divisor_override is not None:
        y = sums / integer(kind, "divisor_override", divisor_override, least=1)
    else:
        padded = flag(kind, "count_include_pad", count_include_pad)
        counts = [
            _counted(int(x.shape[a]), *at, padded)
            for a, at in enumerate(zip(window, steps, pads), start=2)
        ]
        shares = functools.reduce(np.multiply.outer, counts).astype(x.dtype.numpy)
        y = sums / (float(shares.flat[0]) if np.ptp(shares) == 0 else Tensor(shares))
    return y.squeeze(0) if single else y


def _windows(
    kind: str,
    x: Tensor,
    single: bool,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    reach: Any,
    ceil_mode: Any,
) -> tuple[Any, Any, Any]:
    """Return windows, steps and padding of each axis, with ``ceil_mode`` as padding."""
    axes = len(reach)
    window = spread(kind, "kernel_size", kernel_size, axes)
    steps = window if stride is None else spread(kind, "stride", stride, axes)
    edges = spread(kind, "padding", padding, axes, least=0)
    if any(2 * n > dilated(k, r) for n, k, r in zip(edges, window, reach)):
        raise ArgumentError(
            _("{kind} pads by half a window at most.", kind=kind),
            expected=_("padding up to {window}", window=tuple(k // 2 for k in window)),
            got=f"padding={padding}, kernel_size={kernel_size}",
        )
    pads = [(n, n) for n in edges]
    check_fit(kind, x.shape, window, pads, reach, single)
    if flag(kind, "ceil_mode", ceil_mode):
        for i, (k, s, n, r) in enumerate(zip(window, steps, edges, reach)):
            length = int(x.shape[i + 2])
            last = -(-(length + 2 * n - dilated(k, r)) // s) * s  # where it begins
            last -= s if last >= length + n else 0
            pads[i] = (n, max(last + dilated(k, r) - length - n, n))
    return window, steps, tuple(pads)


def _counted(length: int, k: int, s: int, pads: Any, padded: bool) -> Array:
    """Return the divisors of the window sums along an axis."""
    low, high = pads
    start = np.arange(0, length + low + high - k + 1, s) - low
    end = np.minimum(start + k, length + (low if padded else 0))
    return end - (start if padded else np.maximum(start, 0))


# -- as many parts as are wanted -------------------------------------------------------


def adaptive_avg_pool1d(x: Any, output_size: One) -> Tensor:
    """Average a signal to a fixed length: :class:`chainrule.nn.AdaptiveAvgPool1d`.

    Args:
        x: (N, C, L), or (C, L).
        output_size: the length.

    >>> adaptive_avg_pool1d([[1.0, 2.0, 6.0]], 2)
    tensor([[1.5, 4. ]])
    """
    return adaptive_avg_pool("AdaptiveAvgPool1d", 1, x, output_size)


def adaptive_avg_pool2d(x: Any, output_size: Sizes) -> Tensor:
    """Average images to a fixed size: :class:`chainrule.nn.AdaptiveAvgPool2d`.

    Args:
        x: (N, C, H, W), or (C, H, W).
        output_size: both, or one for both; None keeps what there is.

    >>> adaptive_avg_pool2d([[[1.0, 2.0, 6.0]]], (1, 2))
    tensor([[[1.5, 4. ]]])
    """
    return adaptive_avg_pool("AdaptiveAvgPool2d", 2, x, output_size)


def adaptive_avg_pool(kind: str, axes: int, x: Any, output_size: Any) -> Tensor:
    """Average the parts of ``axes`` axes to a fixed output size."""
    x = floats(x)
    batch_of(kind, "pool", x, axes)
    for axis, start, end in _parts(kind, x, axes, output_size):
        inside = np.arange(int(x.shape[axis]))
        rows = (start[:, None] <= inside) & (inside < end[:, None])
        x = along(x, axis, rows / (end - start)[:, None])
    return x


def adaptive_max_pool1d(x: Any, output_size: One, return_indices: bool = False) -> Any:
    """Compute maxima of the parts of a signal: see :func:`adaptive_avg_pool1d`.

    Args:
        x: (N, C, L), or (C, L).
        output_size, return_indices: see :class:`chainrule.nn.AdaptiveMaxPool1d`.

    >>> adaptive_max_pool1d([[1.0, 2.0, 6.0]], 2)
    tensor([[2., 6.]])
    """
    return adaptive_max_pool("AdaptiveMaxPool1d", 1, x, output_size, return_indices)


def adaptive_max_pool2d(
    x: Any, output_size: Sizes, return_indices: bool = False
) -> Any:
    """Compute maxima of the parts of images: see :func:`adaptive_avg_pool2d`.

    Args:
        x: (N, C, H, W), or (C, H, W).
        output_size, return_indices: see :class:`chainrule.nn.AdaptiveMaxPool2d`.

    >>> adaptive_max_pool2d([[[1.0, 2.0, 6.0]]], (1, 2))
    tensor([[[2., 6.]]])
    """
    return adaptive_max_pool("AdaptiveMaxPool2d", 2, x, output_size, return_indices)


def adaptive_max_pool(
    kind: str, axes: int, x: Any, output_size: Any, return_indices: Any
) -> Any:
    """Compute maxima of the parts of ``axes`` axes, for a fixed output size.

    Parts become windows of one size that lie side by side: shorter ones have their
    last element several times, of which the first counts.
    """
    x, single = batch_of(kind, "pool", as_tensor(x), axes)
    lengths, ones, none = x.shape[2:], (1,) * axes, ((0, 0),) * axes
    check_fit(kind, x.shape, ones, none, ones, single)
    window, seen = list(ones), [np.arange(int(n)) for n in lengths]
    for axis, start, end in _parts(kind, x, axes, output_size):
        wide = int((end - start).max())
        at = np.minimum(start[:, None] + np.arange(wide), end[:, None] - 1).ravel()
        x = x if len(at) == x.shape[axis] else x.index_select(axis, at)
        window[axis], seen[axis] = wide, at
    wanted = flag(kind, "return_indices", return_indices)
    made = _largest(x, tuple(window), tuple(window), none, ones, wanted)
    if wanted:
        places = np.ravel_multi_index(np.ix_(*seen), [int(n) for n in lengths])
        made[1] = Tensor(places.ravel()).take(made[1], 0)
    made = [t.squeeze(0) if single else t for t in made]
    return tuple(made) if wanted else made[0]


def _parts(
    kind: str, x: Tensor, axes: int, output_size: Any
) -> Iterator[tuple[int, Array, Array]]:
    """Yield the start and end of the parts of each axis; skip unchanged axes."""
    sizes = output_sizes(kind, output_size, axes)
    for axis, wanted in enumerate(sizes, start=-axes):
        length = x.shape[axis]
        if wanted is None:
            continue
        if not isinstance(length, int) or not length:
            lengths = "L" if axes == 1 else "H, W"
            raise ShapeError(
                _("{kind} divides axes whose lengths are known.", kind=place(kind)),
                expected=_(
                    "(N, C, {lengths}), {lengths} of at least 1", lengths=lengths
                ),
                got=show(x.shape),
            )
        at = np.arange(wanted)
        yield axis, at * length // wanted, -(-(at + 1) * length // wanted)


def output_sizes(kind: str, given: Any, axes: int) -> tuple[int | None, ...]:
    """Return one output size per axis; None leaves an axis unchanged."""
    several = isinstance(given, tuple | list)
    known = [1 if n is None else n for n in given] if several else given
    sizes = spread(kind, "output_size", known, axes)
    kept = [n is None for n in given] if several else [False] * axes
    return tuple(None if keep else n for keep, n in zip(kept, sizes))
