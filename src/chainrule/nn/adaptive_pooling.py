"""Adaptive pooling: a fixed number of parts of a signal or image, whatever its size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from chainrule.errors import ShapeError
from chainrule.graph.node import Array
from chainrule.nn.affine import along, floats
from chainrule.nn.arguments import LENGTHS, flag, layer_name, per_axis
from chainrule.nn.convolution import batch_of, check_fit
from chainrule.nn.function import as_function
from chainrule.nn.module import Module
from chainrule.nn.pooling import one_or_several, window_maxima
from chainrule.operations.narrow import in_single
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor, tensor
from chainrule.text import _

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
]

OutputSize = int | tuple[int | None, ...]


class _AdaptivePool(Module):
    """Base class of adaptive pooling layers, which have a fixed output size."""

    axes: ClassVar[int]

    def _set(self, output_size: Any) -> None:
        self.output_size = output_size
        self._sizes()

    def _sizes(self) -> tuple[int | None, ...]:
        """Return an adaptive pooling layer's output size per axis; None: unchanged."""
        wanted, several = self.output_size, isinstance(self.output_size, tuple | list)
        known = [1 if n is None else n for n in wanted] if several else wanted
        sizes = per_axis(type(self).__name__, "output_size", known, self.axes)
        unchanged = [n is None for n in wanted] if several else [False] * self.axes
        return tuple(None if same else n for same, n in zip(unchanged, sizes))

    def _parts(self, x: Tensor) -> Iterator[tuple[int, Array, Array]]:
        """Yield the start and end of each axis's parts, for adaptive pooling."""
        for axis, size in enumerate(self._sizes(), start=-self.axes):
            length = x.shape[axis]
            if size is None:
                continue
            if not isinstance(length, int) or not length:
                kind, lengths = type(self).__name__, LENGTHS[self.axes - 1]
                raise ShapeError(
                    _(
                        "{kind} divides axes whose lengths are known.",
                        kind=layer_name(kind),
                    ),
                    expected=_(
                        "(N, C, {lengths}), {lengths} of at least 1", lengths=lengths
                    ),
                    got=show(x.shape),
                )
            part = np.arange(size)
            yield axis, part * length // size, -(-(part + 1) * length // size)


class _AdaptiveAvgPool(_AdaptivePool):
    """Base class of adaptive average pooling layers."""

    def __init__(self, output_size: OutputSize) -> None:
        self._set(output_size)

    @in_single
    def forward(self, x: Tensor) -> Tensor:
        """Return the mean of each part of the input, for adaptive average pooling."""
        x = floats(x)
        batch_of(type(self).__name__, "pool", x, self.axes)
        for axis, start, end in self._parts(x):
            inside = np.arange(int(x.shape[axis]))
            rows = (start[:, None] <= inside) & (inside < end[:, None])
            x = along(x, axis, rows / (end - start)[:, None])
        return x


class _AdaptiveMaxPool(_AdaptivePool):
    """Base class of adaptive max pooling layers.

    Parts become windows of one size that lie side by side: shorter ones have their
    last element several times, of which the first counts.
    """

    def __init__(self, output_size: OutputSize, return_indices: bool = False) -> None:
        self._set(output_size)
        kind = type(self).__name__
        self.return_indices = flag(kind, "return_indices", return_indices)

    def forward(self, x: Tensor) -> Tensor:
        """Return the maximum of each part of the input, for adaptive max pooling."""
        kind, axes = type(self).__name__, self.axes
        x, single = batch_of(kind, "pool", as_tensor(x), axes)
        lengths, ones, none = x.shape[2:], (1,) * axes, ((0, 0),) * axes
        check_fit(kind, x.shape, ones, none, ones, single)
        window, positions = list(ones), [np.arange(int(n)) for n in lengths]
        for axis, start, end in self._parts(x):
            width = int((end - start).max())
            at = np.minimum(start[:, None] + np.arange(width), end[:, None] - 1).ravel()
            x = x if len(at) == x.shape[axis] else x.index_select(axis, at)
            window[axis], positions[axis] = width, at
        windows = (tuple(window), tuple(window), none, ones)
        maxima = window_maxima(x, *windows, self.return_indices)
        if self.return_indices:
            sizes = [int(n) for n in lengths]
            flat = np.ravel_multi_index(np.ix_(*positions), sizes)
            maxima[1] = tensor(flat.ravel()).take(maxima[1], 0)
        return one_or_several(maxima, single)


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Adaptive average pooling of signals: means over a given number of parts.

    Args:
        output_size: the length of the result; see :class:`AdaptiveAvgPool2d`.

    Shapes:
        (N, C, L) or (C, L).

    >>> import chainrule as cr
    >>> cr.nn.AdaptiveAvgPool1d(2)(cr.tensor([[1.0, 2.0, 6.0]]))
    tensor([[1.5, 4. ]])
    """

    axes = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Adaptive average pooling of images: means over a given number of parts.

    Part i of m along an axis of length L is the elements ⌊i L/m⌋ … ⌈(i+1) L/m⌉ − 1.

    Args:
        output_size: height and width of the result, one number for both or a pair; None
            leaves an axis as it is. 1 is the mean of each channel.

    Shapes:
        (N, C, H, W) or (C, H, W).

    >>> import chainrule as cr
    >>> cr.nn.AdaptiveAvgPool2d(1)(cr.tensor([[[1.0, 2.0], [4.0, 5.0]]]))
    tensor([[[3.]]])
    """

    axes = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Adaptive average pooling of volumes: means over a given number of parts.

    Args:
        output_size: see :class:`AdaptiveAvgPool2d`; one number for all axes, or three.

    Shapes:
        (N, C, D, H, W) or (C, D, H, W).
    """

    axes = 3


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Adaptive max pooling of signals: maxima of a given number of parts.

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


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Adaptive max pooling of images: maxima of a given number of parts.

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


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Adaptive max pooling of volumes: maxima of a given number of parts.

    Args:
        output_size: see :class:`AdaptiveAvgPool3d`.
        return_indices: see :class:`MaxPool2d`.

    Shapes:
        (N, C, D, H, W) or (C, D, H, W).
    """

    axes = 3


adaptive_avg_pool1d = as_function(AdaptiveAvgPool1d, "adaptive_avg_pool1d")
adaptive_avg_pool2d = as_function(AdaptiveAvgPool2d, "adaptive_avg_pool2d")
adaptive_avg_pool3d = as_function(AdaptiveAvgPool3d, "adaptive_avg_pool3d")
adaptive_max_pool1d = as_function(AdaptiveMaxPool1d, "adaptive_max_pool1d")
adaptive_max_pool2d = as_function(AdaptiveMaxPool2d, "adaptive_max_pool2d")
adaptive_max_pool3d = as_function(AdaptiveMaxPool3d, "adaptive_max_pool3d")
