"""Pooling: one number for each window, its largest or its mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.node import Array
from chainrule.nn.arguments import flag, integer, place, spread
from chainrule.nn.functional.convolution import Pair, batch_of, check_fit
from chainrule.nn.functional.layers import along
from chainrule.primitives import windows
from chainrule.primitives.rules import show
from chainrule.primitives.sliding import dilated
from chainrule.tensor import Tensor, as_tensor, wrap


def max_pool2d(
    x: Any,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest number of each window; what is padded does not count.

    The derivative goes to it, and to the first of equals.

    Args:
        x: (N, C, H, W), or (C, H, W).
        kernel_size, stride, padding, dilation, ceil_mode, return_indices: see
            :class:`chainrule.nn.MaxPool2d`.

    >>> max_pool2d([[[1.0, 2.0, 7.0, 4.0]]], (1, 2))
    tensor([[[2., 7.]]])
    """
    kind = "MaxPool2d"
    x, single = batch_of(kind, "pool", as_tensor(x), 2)
    reach = spread(kind, "dilation", dilation, 2)
    window, steps, pads = _windows(
        kind, x, kernel_size, stride, padding, reach, ceil_mode
    )
    attrs: dict[str, Any] = {
        "axes": (2, 3),
        "window": window,
        "strides": steps,
        "padding": pads,
        "dilation": reach,
    }
    made = [wrap(windows.window_max(x.value, **attrs))]
    if flag(kind, "return_indices", return_indices):
        made.append(wrap(windows.window_argmax(x.value, **attrs)))
    made = [t.squeeze(0) if single else t for t in made]
    return tuple(made) if return_indices else made[0]


def avg_pool2d(
    x: Any,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window.

    Args:
        x: (N, C, H, W), or (C, H, W).
        kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override:
            see :class:`chainrule.nn.AvgPool2d`.

    >>> avg_pool2d([[[1.0, 2.0, 7.0, 4.0]]], (1, 2))
    tensor([[[1.5, 5.5]]])
    """
    kind, ones = "AvgPool2d", (1, 1)
    x, single = batch_of(kind, "pool", as_tensor(x), 2)
    if not x.dtype.is_float:
        x = x.astype("float32")
    window, steps, pads = _windows(
        kind, x, kernel_size, stride, padding, ones, ceil_mode
    )
    sums = wrap(
        windows.window_sum(
            x.value,
            axes=(2, 3),
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
        shares = np.multiply.outer(*counts).astype(x.dtype.numpy)
        y = sums / (float(shares.flat[0]) if np.ptp(shares) == 0 else Tensor(shares))
    return y.squeeze(0) if single else y


def _windows(
    kind: str,
    x: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    reach: Any,
    ceil_mode: Any,
) -> tuple[Any, Any, Any]:
    """Windows, steps and padding of each axis; a last step that is not whole may be
    made good by more padding.
    """
    window = spread(kind, "kernel_size", kernel_size, 2)
    steps = window if stride is None else spread(kind, "stride", stride, 2)
    edges = spread(kind, "padding", padding, 2, least=0)
    if any(2 * n > dilated(k, r) for n, k, r in zip(edges, window, reach)):
        raise ArgumentError(
            f"{kind} pads by half a window at most.",
            expected=f"padding up to {tuple(k // 2 for k in window)}",
            got=f"padding={padding}, kernel_size={kernel_size}",
        )
    pads = [(n, n) for n in edges]
    check_fit(kind, x.shape, window, pads, reach)
    if flag(kind, "ceil_mode", ceil_mode):
        for i, (k, s, n, r) in enumerate(zip(window, steps, edges, reach)):
            length = int(x.shape[i + 2])
            last = -(-(length + 2 * n - dilated(k, r)) // s) * s  # where it begins
            last -= s if last >= length + n else 0
            pads[i] = (n, max(last + dilated(k, r) - length - n, n))
    return window, steps, tuple(pads)


def _counted(length: int, k: int, s: int, pads: Any, padded: bool) -> Array:
    """By how many each sum along an axis is divided."""
    low, high = pads
    start = np.arange(0, length + low + high - k + 1, s) - low
    end = np.minimum(start + k, length + (low if padded else 0))
    return end - (start if padded else np.maximum(start, 0))


def adaptive_avg_pool2d(
    x: Any, output_size: int | tuple[int | None, int | None]
) -> Tensor:
    """Means that make height and width these: :class:`chainrule.nn.AdaptiveAvgPool2d`.

    Args:
        x: (N, C, H, W), or (C, H, W).
        output_size: both, or one for both; None keeps what there is.

    >>> adaptive_avg_pool2d([[[1.0, 2.0, 6.0]]], (1, 2))
    tensor([[[1.5, 4. ]]])
    """
    kind = "AdaptiveAvgPool2d"
    x = as_tensor(x)
    batch_of(kind, "pool", x, 2)
    if not x.dtype.is_float:
        x = x.astype("float32")
    for axis, wanted in zip((-2, -1), output_sizes(output_size)):
        length = x.shape[axis]
        if wanted is None:
            continue
        if not isinstance(length, int) or not length:
            raise ShapeError(
                f"{place(kind)} divides axes whose lengths are known.",
                expected="(N, C, H, W), H and W of at least 1",
                got=show(x.shape),
            )
        at = np.arange(wanted)
        start, end = at * length // wanted, -(-(at + 1) * length // wanted)
        inside = np.arange(length)
        rows = (start[:, None] <= inside) & (inside < end[:, None])
        x = along(x, axis, rows / (end - start)[:, None])
    return x


def output_sizes(given: Any) -> tuple[int | None, ...]:
    """Two sizes, each of which may be None."""
    pair = isinstance(given, tuple | list)
    known = [1 if n is None else n for n in given] if pair else given
    sizes = spread("AdaptiveAvgPool2d", "output_size", known, 2)
    kept = [n is None for n in given] if pair else [False] * 2
    return tuple(None if keep else n for keep, n in zip(kept, sizes))
