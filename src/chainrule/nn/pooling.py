"""Pooling layers: images that become smaller, a number for each window."""

from __future__ import annotations

from typing import Any

from chainrule.checks import maybe, whole
from chainrule.nn import functional
from chainrule.nn.arguments import flag, spread
from chainrule.nn.functional.convolution import Pair
from chainrule.nn.functional.pooling import output_sizes
from chainrule.nn.module import Module
from chainrule.tensor import Tensor


class _Pool(Module):
    """Base: a window and how it slides."""

    def _set(self, kernel_size: Any, stride: Any, padding: Any, ceil_mode: Any) -> None:
        kind = type(self).__name__
        spread(kind, "kernel_size", kernel_size, 2)
        spread(kind, "padding", padding, 2, least=0)
        if stride is not None:
            spread(kind, "stride", stride, 2)
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.ceil_mode = flag(kind, "ceil_mode", ceil_mode)


class MaxPool2d(_Pool):
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
        spread("MaxPool2d", "dilation", dilation, 2)
        self.dilation = dilation
        self.return_indices = flag("MaxPool2d", "return_indices", return_indices)

    def forward(self, x: Tensor) -> Any:
        """The largest numbers, and their places where these are asked for."""
        slides = (self.kernel_size, self.stride, self.padding, self.dilation)
        return functional.max_pool2d(x, *slides, self.ceil_mode, self.return_indices)


class AvgPool2d(_Pool):
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

    def forward(self, x: Tensor) -> Tensor:
        """The means."""
        slides = (self.kernel_size, self.stride, self.padding, self.ceil_mode)
        counted = (self.count_include_pad, self.divisor_override)
        return functional.avg_pool2d(x, *slides, *counted)


class AdaptiveAvgPool2d(Module):
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

    def __init__(self, output_size: int | tuple[int | None, int | None]) -> None:
        output_sizes(output_size)
        self.output_size = output_size

    def forward(self, x: Tensor) -> Tensor:
        """The means."""
        return functional.adaptive_avg_pool2d(x, self.output_size)
