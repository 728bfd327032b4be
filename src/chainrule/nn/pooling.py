"""Pooling layers: one number for each window of a signal or image."""

from __future__ import annotations

from typing import Any, ClassVar

from chainrule.nn.arguments import flag, spread
from chainrule.nn.functional.convolution import Pair
from chainrule.nn.functional.pooling import (
    One,
    Sizes,
    adaptive_avg_pool,
    adaptive_max_pool,
    avg_pool,
    max_pool,
    output_sizes,
)
from chainrule.nn.module import Module
from chainrule.tensor import Tensor
from chainrule.util.validation import maybe, whole


class _Pool(Module):
    """Base class of pooling layers: window, stride and padding."""

    axes: ClassVar[int]

    def _set(self, kernel_size: Any, stride: Any, padding: Any, ceil_mode: Any) -> None:
        kind = type(self).__name__
        spread(kind, "kernel_size", kernel_size, self.axes)
        spread(kind, "padding", padding, self.axes, least=0)
        if stride is not None:
            spread(kind, "stride", stride, self.axes)
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.ceil_mode = flag(kind, "ceil_mode", ceil_mode)


class _MaxPool(_Pool):
    """Base class of max pooling layers."""

    def _also(self, dilation: Any, return_indices: Any) -> None:
        kind = type(self).__name__
        spread(kind, "dilation", dilation, self.axes)
        self.dilation = dilation
        self.return_indices = flag(kind, "return_indices", return_indices)

    def forward(self, x: Tensor) -> Any:
        """Return the maximum of each window, and its index if requested."""
        slides = (self.kernel_size, self.stride, self.padding, self.dilation)
        options = (self.ceil_mode, self.return_indices)
        return max_pool(type(self).__name__, self.axes, x, *slides, *options)


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

    def __init__(
        self,
        kernel_size: One,
        stride: One | None = None,
        padding: One = 0,
        dilation: One = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self._set(kernel_size, stride, padding, ceil_mode)
        self._also(dilation, return_indices)


class MaxPool2d(_MaxPool):
    """The largest number of each window, for each channel by itself.

    Its derivative goes to that number, and to the first of equals (row by row).

    Args:
        kernel_size: the height and width of a window, one number for both or a pair.
        stride: from one window to the next; by default they touch.
        padding: how far windows reach beyond each edge, half a window at most; what is
            there does not count.
        dilation: from one element that a window sees to the next.
        return_indices: whether the places of the largest numbers are given too, int64,
            counted row by row.
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

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        dilation: Pair = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self._set(kernel_size, stride, padding, ceil_mode)
        self._also(dilation, return_indices)


class _AvgPool(_Pool):
    """Base class of average pooling layers."""

    count_include_pad: bool
    divisor_override: int | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean of each window."""
        slides = (self.kernel_size, self.stride, self.padding, self.ceil_mode)
        counted = (self.count_include_pad, self.divisor_override)
        return avg_pool(type(self).__name__, self.axes, x, *slides, *counted)


class AvgPool1d(_AvgPool):
    """The mean of each window of a signal, for each channel by itself.

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
        kernel_size: One,
        stride: One | None = None,
        padding: One = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self._set(kernel_size, stride, padding, ceil_mode)
        counted = flag("AvgPool1d", "count_include_pad", count_include_pad)
        self.count_include_pad = counted


class AvgPool2d(_AvgPool):
    """The mean of each window, for each channel by itself.

    Args:
        kernel_size, stride: see :class:`MaxPool2d`.
        padding: how many zeros are put at each edge, half a window at most.
        ceil_mode: see :class:`MaxPool2d`; what lies beyond the padding never counts.
        count_include_pad: whether zeros of the padding count.
        divisor_override: what sums are divided by, instead of how many numbers count.

    Shapes:
        as of :class:`MaxPool2d`.

    >>> import chainrule as cr
    >>> cr.nn.AvgPool2d(2)(cr.tensor([[[1.0, 2.0, 5.0], [4.0, 3.0, 6.0]]]))
    tensor([[[2.5]]])
    """

    axes = 2

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self._set(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = flag(
            "AvgPool2d", "count_include_pad", count_include_pad
        )
        divisor = maybe(whole)("divisor_override", divisor_override)
        self.divisor_override = divisor


class _Adaptive(Module):
    """Base class of adaptive pooling layers, which have a fixed output size."""

    axes: ClassVar[int]

    def _set(self, output_size: Any) -> None:
        output_sizes(type(self).__name__, output_size, self.axes)
        self.output_size = output_size


class _AdaptiveAvgPool(_Adaptive):
    """Base class of adaptive average pooling layers."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean of each part."""
        kind = type(self).__name__
        return adaptive_avg_pool(kind, self.axes, x, self.output_size)


class _AdaptiveMaxPool(_Adaptive):
    """Base class of adaptive max pooling layers."""

    def _set(self, output_size: Any, return_indices: Any = False) -> None:
        super()._set(output_size)
        kind = type(self).__name__
        self.return_indices = flag(kind, "return_indices", return_indices)

    def forward(self, x: Tensor) -> Any:
        """Return the maximum of each part, and its index if requested."""
        kind, wanted = type(self).__name__, self.return_indices
        return adaptive_max_pool(kind, self.axes, x, self.output_size, wanted)


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means over as many parts of a signal as are wanted.

    Args:
        output_size: the length of the result; see :class:`AdaptiveAvgPool2d`.

    Shapes:
        (N, C, L) or (C, L).

    >>> import chainrule as cr
    >>> cr.nn.AdaptiveAvgPool1d(2)(cr.tensor([[1.0, 2.0, 6.0]]))
    tensor([[1.5, 4. ]])
    """

    axes = 1

    def __init__(self, output_size: One) -> None:
        self._set(output_size)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means over as many parts of height and width as are wanted.

    Part i of m along an axis of length L is the elements ⌊i L/m⌋ … ⌈(i+1) L/m⌉ − 1.

    Args:
        output_size: height and width of the result, one number for both or a pair; None
            keeps what there is. 1 is the mean of each channel.

    Shapes:
        (N, C, H, W) or (C, H, W).

    >>> import chainrule as cr
    >>> cr.nn.AdaptiveAvgPool2d(1)(cr.tensor([[[1.0, 2.0], [4.0, 5.0]]]))
    tensor([[[3.]]])
    """

    axes = 2

    def __init__(self, output_size: Sizes) -> None:
        self._set(output_size)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest numbers of as many parts of a signal as are wanted.

    Args:
        output_size: the length of the result; see :class:`AdaptiveAvgPool2d`.
        return_indices: see :class:`MaxPool2d`.

    Shapes:
        (N, C, L) or (C, L).

    >>> import chainrule as cr
    >>> cr.nn.AdaptiveMaxPool1d(2)(cr.tensor([[1.0, 2.0, 6.0]]))
    tensor([[2., 6.]])
    """

    axes = 1

    def __init__(self, output_size: One, return_indices: bool = False) -> None:
        self._set(output_size, return_indices)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest numbers of as many parts of height and width as are wanted.

    Args:
        output_size: see :class:`AdaptiveAvgPool2d`.
        return_indices: see :class:`MaxPool2d`.

    Shapes:
        (N, C, H, W) or (C, H, W).

    >>> import chainrule as cr
    >>> cr.nn.AdaptiveMaxPool2d(1)(cr.tensor([[[1.0, 2.0], [4.0, 3.0]]]))
    tensor([[[4.]]])
    """

    axes = 2

    def __init__(self, output_size: Sizes, return_indices: bool = False) -> None:
        self._set(output_size, return_indices)
