"""Pooling layers: the maximum or mean of each window of a signal or image."""

from __future__ import annotations

import functools
import math
from typing import Any, ClassVar

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.functions import div
from chainrule.graph.node import Array
from chainrule.graph.types import DType
from chainrule.nn.affine import floats
from chainrule.nn.arguments import Size, flag, number, per_axis
from chainrule.nn.convolution import batch_of, check_fit
from chainrule.nn.function import as_function
from chainrule.nn.module import Module
from chainrule.primitives import windows
from chainrule.primitives.sliding import dilated
from chainrule.tensor import Tensor, as_tensor, tensor, wrap
from chainrule.text import _
from chainrule.util.validation import maybe, refused, whole

__all__ = [
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
]


class _Pool(Module):
    """Base class of pooling layers: window, stride and padding over ``axes`` axes."""

    axes: ClassVar[int]

    def _set(
        self,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        ceil_mode: Any,
        dilation: Any = 1,
    ) -> None:
        kind = type(self).__name__
        stride = stride or None if isinstance(stride, tuple | list) else stride
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.dilation, self.ceil_mode = dilation, flag(kind, "ceil_mode", ceil_mode)
        window, __, pads, dilations = self._sizes()
        if any(2 * n > dilated(k, d) for n, k, d in zip(pads, window, dilations)):
            limit = tuple(dilated(k, d) // 2 for k, d in zip(window, dilations))
            spread = f", dilation={dilation}" if dilation != 1 else ""
            raise ArgumentError(
                _("{kind} pads by half a window at most.", kind=kind),
                expected=_("padding up to {window}", window=limit),
                got=f"padding={padding}, kernel_size={kernel_size}{spread}",
            )

    def _sizes(self) -> tuple[tuple[int, ...], ...]:
        """Return a pooling layer's window, strides, padding and dilations, per axis."""
        kind, axes = type(self).__name__, self.axes
        window = per_axis(kind, "kernel_size", self.kernel_size, axes)
        strides = window
        if self.stride is not None:
            strides = per_axis(kind, "stride", self.stride, axes)
        pads = per_axis(kind, "padding", self.padding, axes, least=0)
        return window, strides, pads, per_axis(kind, "dilation", self.dilation, axes)

    def _windows(self, x: Tensor, single: bool) -> tuple[Any, Any, Any, Any]:
        """Return a pooling layer's windows over an input, with its padding."""
        window, strides, edges, dilations = self._sizes()
        pads = [(n, n) for n in edges]
        check_fit(type(self).__name__, x.shape, window, pads, dilations, single)
        if self.ceil_mode:
            for i, (k, s, n, d) in enumerate(zip(window, strides, edges, dilations)):
                length = int(x.shape[i + 2])
                last = -(-(length + 2 * n - dilated(k, d)) // s) * s  # where it begins
                last -= s if last >= length + n else 0
                pads[i] = (n, max(last + dilated(k, d) - length - n, n))
        return window, strides, tuple(pads), dilations

    def _sums(self, x: Tensor, single: bool) -> tuple[Tensor, Any]:
        """Return the sum of each window of a pooling layer, and the windows."""
        slides = self._windows(x, single)
        window, strides, pads, dilations = slides
        sums = windows.window_sum(
            x.value,
            axes=tuple(range(2, x.ndim)),
            window=window,
            strides=strides,
            padding=pads,
            dilation=dilations,
            base_dilation=dilations,
        )
        return wrap(sums), slides


class _MaxPool(_Pool):
    """Base class of max pooling layers."""

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self._set(kernel_size, stride, padding, ceil_mode, dilation)
        kind = type(self).__name__
        self.return_indices = flag(kind, "return_indices", return_indices)

    def forward(self, x: Tensor) -> Tensor:
        """Return each window's maximum (and index, if requested), for max pooling."""
        x, single = batch_of(type(self).__name__, "pool", as_tensor(x), self.axes)
        y = window_maxima(x, *self._windows(x, single), self.return_indices)
        return one_or_several(y, single)


class MaxPool1d(_MaxPool):
    """The largest number of each window of a signal, for each channel by itself.

    Args:
        kernel_size: the length of a window, K.
        stride, padding, dilation, return_indices, ceil_mode: see :class:`MaxPool2d`.

    Shapes:
        (N, C, L) or (C, L); L′ as H′ of :class:`MaxPool2d`.

    >>> import chainrule as cr
    >>> cr.nn.MaxPool1d(2)(cr.tensor([[1.0, 2.0, 5.0, 4.0, 3.0]]))
    tensor([[2., 5.]])
    """

    axes = 1


class MaxPool2d(_MaxPool):
    """The largest number of each window, for each channel by itself.

    Its derivative goes to that number, and to the first of equals (row by row).

    Args:
        kernel_size: the height and width of a window, one number for both or a pair.
        stride: from one window to the next; by default they touch.
        padding: how far windows reach beyond each edge, half a dilated window at most;
            what is there does not count.
        dilation: from one element of a window to the next.
        return_indices: whether the positions of the largest numbers are returned too,
            int64, counted row by row.
        ceil_mode: whether a last window may reach beyond the edge, so that nothing is
            left out.

    Shapes:
        (N, C, H, W) or (C, H, W); H′ = ⌊(H + 2·padding − dilation·(K − 1) − 1)/stride⌋
        + 1, with ⌈ ⌉ for ``ceil_mode``.

    >>> import chainrule as cr
    >>> cr.nn.MaxPool2d(2)(cr.tensor([[[1.0, 2.0, 5.0], [4.0, 3.0, 6.0]]]))
    tensor([[[4.]]])
    >>> cr.nn.MaxPool2d(2, ceil_mode=True)(cr.zeros(1, 3, 5, 5)).shape
    (1, 3, 3, 3)
    """

    axes = 2


class MaxPool3d(_MaxPool):
    """The largest number of each window of a volume, for each channel by itself.

    Args:
        kernel_size: the depth, height and width of a window; one number for all.
        stride, padding, dilation, return_indices, ceil_mode: see :class:`MaxPool2d`.

    Shapes:
        (N, C, D, H, W) or (C, D, H, W); lengths as of :class:`MaxPool2d`.
    """

    axes = 3


_max_pool1d = as_function(MaxPool1d, "max_pool1d")


def max_pool1d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Apply :class:`MaxPool1d`; PyTorch has the last two arguments in this order.

    >>> max_pool1d([[1.0, 2.0, 7.0, 4.0]], 2)
    tensor([[2., 7.]])
    """
    slides = (kernel_size, stride, padding, dilation)
    return _max_pool1d(input, *slides, return_indices, ceil_mode)


_max_pool2d = as_function(MaxPool2d, "max_pool2d")


def max_pool2d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Apply :class:`MaxPool2d`; PyTorch has the last two arguments in this order.

    >>> max_pool2d([[[1.0, 2.0, 7.0, 4.0]]], (1, 2))
    tensor([[[2., 7.]]])
    """
    slides = (kernel_size, stride, padding, dilation)
    return _max_pool2d(input, *slides, return_indices, ceil_mode)


_max_pool3d = as_function(MaxPool3d, "max_pool3d")


def max_pool3d(
    input: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Apply :class:`MaxPool3d`; PyTorch has the last two arguments in this order.

    >>> max_pool3d([[[[1.0, 2.0, 7.0, 4.0]]]], (1, 1, 2)).tolist()
    [[[[2.0, 7.0]]]]
    """
    slides = (kernel_size, stride, padding, dilation)
    return _max_pool3d(input, *slides, return_indices, ceil_mode)


def window_maxima(
    x: Tensor, window: Any, strides: Any, pads: Any, dilations: Any, indices: bool
) -> list[Tensor]:
    """Compute window maxima, and their indices if requested, for max pooling."""
    attrs: dict[str, Any] = {
        "axes": tuple(range(2, x.ndim)),
        "window": window,
        "strides": strides,
        "padding": pads,
        "dilation": dilations,
    }
    maxima = [wrap(windows.window_max(x.value, **attrs))]
    if indices:
        maxima.append(wrap(windows.window_argmax(x.value, **attrs)))
    return maxima


def one_or_several(results: list[Tensor], single: bool) -> Any:
    """Return pooling's result or results, without a single sample's batch axis."""
    results = [t.squeeze(0) if single else t for t in results]
    return tuple(results) if len(results) > 1 else results[0]


class _AvgPool(_Pool):
    """Base class of average pooling layers."""

    count_include_pad: bool
    divisor_override: int | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean of each window, for average pooling."""
        x = as_tensor(x)
        x = x if x.dtype is DType.int64 else floats(x)
        x, single = batch_of(type(self).__name__, "pool", x, self.axes)
        sums, (window, strides, pads, __) = self._sums(x, single)
        divisor = self.divisor_override
        if divisor is None:
            counts = [
                _counts(int(x.shape[a]), *sizes, self.count_include_pad)
                for a, sizes in enumerate(zip(window, strides, pads), start=2)
            ]
            table = functools.reduce(np.multiply.outer, counts).astype(x.dtype.numpy)
            divisor = float(table.flat[0]) if np.ptp(table) == 0 else tensor(table)
        whole = "trunc" if x.dtype.is_integer else None  # as PyTorch
        y = div(sums, divisor, rounding_mode=whole).astype(x.dtype)
        return y.squeeze(0) if single else y


class AvgPool1d(_AvgPool):
    """The mean of each window of a signal, for each channel by itself.

    Of int64 it is int64, cut off at the point, as in PyTorch.

    Args:
        kernel_size: the length of a window, K.
        stride, ceil_mode: see :class:`MaxPool2d`.
        padding, count_include_pad: see :class:`AvgPool2d`.

    Shapes:
        (N, C, L) or (C, L); L′ as H′ of :class:`MaxPool2d`.

    >>> import chainrule as cr
    >>> cr.nn.AvgPool1d(2)(cr.tensor([[1.0, 2.0, 5.0, 4.0, 3.0]]))
    tensor([[1.5, 4.5]])
    """

    axes = 1

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self._set(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = flag(
            "AvgPool1d", "count_include_pad", count_include_pad
        )


class _SpatialAvgPool(_AvgPool):
    """Base class of average pooling layers whose divisor can be given."""

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        kind = type(self).__name__
        self._set(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = flag(kind, "count_include_pad", count_include_pad)
        what = _("{kind} divides by this {name}.")
        check = functools.partial(whole, least=None, what=what, kind=kind)
        self.divisor_override = maybe(check)("divisor_override", divisor_override)
        if self.divisor_override == 0:
            raise refused(
                "divisor_override", 0, what, _("an integer other than 0"), kind=kind
            )


class AvgPool2d(_SpatialAvgPool):
    """The mean of each window, for each channel by itself.

    Args:
        kernel_size, stride: see :class:`MaxPool2d`.
        padding: the number of zeros added at each edge, half a window at most.
        ceil_mode: see :class:`MaxPool2d`; what lies beyond the padding never counts.
        count_include_pad: whether zeros of the padding count.
        divisor_override: the divisor of the sums, instead of how many numbers count.

    Shapes:
        as of :class:`MaxPool2d`.

    >>> import chainrule as cr
    >>> cr.nn.AvgPool2d(2)(cr.tensor([[[1.0, 2.0, 5.0], [4.0, 3.0, 6.0]]]))
    tensor([[[2.5]]])
    """

    axes = 2


class AvgPool3d(_SpatialAvgPool):
    """The mean of each window of a volume, for each channel by itself.

    Args:
        kernel_size, stride: see :class:`MaxPool3d`.
        padding, ceil_mode, count_include_pad, divisor_override: see
            :class:`AvgPool2d`.

    Shapes:
        as of :class:`MaxPool3d`.
    """

    axes = 3


class LPPool1d(_Pool):
    """The norm of each window of a signal, (Σ xᵖ)^(1/p), for each channel by itself.

    Powers are of x itself, as in PyTorch, so odd p are for x ≥ 0. A window that
    ``ceil_mode`` cuts off counts by its mean, times the size of a whole one.

    Args:
        norm_type: p; 1 is the sum, ∞ the largest |x|.
        kernel_size, stride, ceil_mode: see :class:`MaxPool1d`.

    Shapes:
        (N, C, L) or (C, L); L′ as H′ of :class:`MaxPool2d`.

    >>> import chainrule as cr
    >>> cr.nn.LPPool1d(2, 2)(cr.tensor([[3.0, 4.0, 0.0, 1.0]]))
    tensor([[5., 1.]])
    """

    axes = 1

    def __init__(
        self,
        norm_type: float,
        kernel_size: Size,
        stride: Size | None = None,
        ceil_mode: bool = False,
    ) -> None:
        infinite = norm_type in (math.inf, -math.inf)
        self.norm_type = (
            norm_type if infinite else number("LPPool", "norm_type", norm_type)
        )
        self._set(kernel_size, stride, 0, ceil_mode)

    def forward(self, x: Tensor) -> Tensor:
        """Return the p-norm of each window."""
        x, p, axes = floats(x), self.norm_type, self.axes
        slides = (self.kernel_size, self.stride, 0)
        if abs(p) == math.inf:
            largest = MAXIMA[axes - 1](*slides, ceil_mode=self.ceil_mode)
            return largest(x.abs()) if p > 0 else -largest(-x.abs())
        mean = AVERAGES[axes - 1](*slides, self.ceil_mode)(x**p)
        size = math.prod(per_axis("LPPool", "kernel_size", self.kernel_size, axes))
        return (mean.sign() * mean.abs().relu() * size) ** (1 / p)


class LPPool2d(LPPool1d):
    """:class:`LPPool1d` of images: (N, C, H, W) or (C, H, W)."""

    axes = 2


class LPPool3d(LPPool1d):
    """:class:`LPPool1d` of volumes: (N, C, D, H, W) or (C, D, H, W)."""

    axes = 3


#: The pooling layers, by their numbers of axes.
AVERAGES = (AvgPool1d, AvgPool2d, AvgPool3d)
MAXIMA = (MaxPool1d, MaxPool2d, MaxPool3d)


def _counts(length: int, k: int, s: int, pads: Any, padded: bool) -> Array:
    """Return the number of elements in each window of an axis, for average pooling."""
    low, high = pads
    start = np.arange(0, length + low + high - k + 1, s) - low
    end = np.minimum(start + k, length + (low if padded else 0))
    return end - (start if padded else np.maximum(start, 0))


avg_pool1d = as_function(AvgPool1d, "avg_pool1d")
avg_pool2d = as_function(AvgPool2d, "avg_pool2d")
avg_pool3d = as_function(AvgPool3d, "avg_pool3d")
lp_pool1d = as_function(LPPool1d, "lp_pool1d")
lp_pool2d = as_function(LPPool2d, "lp_pool2d")
lp_pool3d = as_function(LPPool3d, "lp_pool3d")
