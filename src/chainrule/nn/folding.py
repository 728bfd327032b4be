"""Blocks of images as columns and back, and the inverse of max pooling."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from chainrule.errors import ShapeError
from chainrule.functions import pad, where, zeros
from chainrule.graph.node import Array
from chainrule.nn.arguments import Size, per_axis
from chainrule.nn.convolution import batch_of, check_fit
from chainrule.nn.function import as_function
from chainrule.nn.module import Module
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _

__all__ = [
    "Fold",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "Unfold",
    "fold",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "unfold",
]


class _Blocks(Module):
    """Base class of layers of sliding blocks of images."""

    def _set(self, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> None:
        kind = type(self).__name__
        self.kernel_size, self.dilation = kernel_size, dilation
        self.padding, self.stride = padding, stride
        self._window = per_axis(kind, "kernel_size", kernel_size, 2)
        self._dilations = per_axis(kind, "dilation", dilation, 2)
        self._pads = per_axis(kind, "padding", padding, 2, least=0)
        self._strides = per_axis(kind, "stride", stride, 2)

    def _places(self, shape: Any, single: bool) -> list[Array]:
        """Return the positions of all blocks' elements: (kernel, blocks) per axis."""
        pads = [(n, n) for n in self._pads]
        slides = (self._window, pads, self._dilations)
        check_fit(type(self).__name__, shape, *slides, single)
        places: list[Array] = []
        sizes = zip(shape[2:], self._window, self._pads, self._dilations, self._strides)
        for length, k, p, d, s in sizes:
            start = np.arange(0, length + 2 * p - d * (k - 1), s)
            places.append(d * np.arange(k)[:, None] + start)
        return places


class Unfold(_Blocks):
    """The blocks under a kernel that slides over images, as columns (im2col).

    Args:
        kernel_size: the height and width of a block, K and L; one for both or a pair.
        dilation: from one element of a block to the next.
        padding: the number of zeros added at each edge.
        stride: from one block to the next.

    Shapes:
        (N, C, H, W) or (C, H, W); output (N, C·K·L, blocks), counted row by row.

    >>> import chainrule as cr
    >>> cr.nn.Unfold((1, 2))(cr.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[1., 2.],
            [2., 3.]])
    """

    def __init__(
        self, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
    ) -> None:
        self._set(kernel_size, dilation, padding, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return the blocks of images as columns."""
        x, single = batch_of("Unfold", "unfold", as_tensor(x), 2)
        rows, columns = self._places(x.shape, single)
        top, left = self._pads
        x = pad(x, (left, left, top, top))
        x = x.index_select(2, rows.ravel()).index_select(3, columns.ravel())
        x = x.unflatten(3, columns.shape).unflatten(2, rows.shape)  # (N, C, k, h, l, w)
        x = x.movedim(4, 3).flatten(4).flatten(1, 3)
        return x.squeeze(0) if single else x


class Fold(_Blocks):
    """Images as the sums of blocks, the adjoint of :class:`Unfold` (col2im).

    Args:
        output_size: the height and width of the images.
        kernel_size, dilation, padding, stride: see :class:`Unfold`.

    Shapes:
        (N, C·K·L, blocks) or (C·K·L, blocks); output (N, C, H, W) or (C, H, W).

    >>> import chainrule as cr
    >>> cr.nn.Fold((1, 3), (1, 2))(cr.tensor([[1.0, 2.0], [2.0, 3.0]]))
    tensor([[[1., 4., 3.]]])
    """

    def __init__(
        self,
        output_size: Size,
        kernel_size: Size,
        dilation: Size = 1,
        padding: Size = 0,
        stride: Size = 1,
    ) -> None:
        self._set(kernel_size, dilation, padding, stride)
        self.output_size = output_size
        self._lengths = per_axis("Fold", "output_size", output_size, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return images of blocks, which add up where they overlap."""
        x = as_tensor(x)
        single = x.ndim == 2
        x = x.unsqueeze(0) if single else x
        height, width = self._lengths
        rows, columns = self._places((1, 1, height, width), False)
        block, count = int(np.prod(self._window)), rows.shape[1] * columns.shape[1]
        if x.ndim != 3 or x.shape[1] % block or x.shape[2] != count or not x.shape[1]:
            raise ShapeError(
                _("Fold adds up the blocks of images."),
                expected=_(
                    "(N, C, {count}), C a multiple of {block}", count=count, block=block
                ),
                got=show(x.shape[single:]),
            )
        (k, h), (n, w) = rows.shape, columns.shape
        x = x.unflatten(2, (h, w)).unflatten(1, (-1, k, n))  # (N, C, k, l, h, w)
        x = x.movedim(4, 3).flatten(4).flatten(2, 3)
        (top, left), first = self._pads, x.shape[:2]
        empty = zeros((*first, height + 2 * top, x.shape[3]), dtype=x.dtype)
        x = empty.index_add(2, rows.ravel(), x)
        empty = zeros((*x.shape[:3], width + 2 * left), dtype=x.dtype)
        x = empty.index_add(3, columns.ravel(), x)
        x = pad(x, (-left, -left, -top, -top))
        return x.squeeze(0) if single else x


class MaxUnpool1d(Module):
    """The inverse of :class:`MaxPool1d`: maxima at their positions, 0 elsewhere.

    Args:
        kernel_size, stride, padding: of the pooling.

    Shapes:
        maxima and indices (N, C, L) or (C, L), as ``MaxPool1d(…,
        return_indices=True)`` gives them; output of length (L − 1)·stride − 2·padding +
        kernel_size, or ``output_size``, which is given to the call.

    >>> import chainrule as cr
    >>> x = cr.tensor([[1.0, 5.0, 4.0, 3.0]])
    >>> cr.nn.MaxUnpool1d(2)(*cr.nn.MaxPool1d(2, return_indices=True)(x))
    tensor([[0., 5., 4., 0.]])
    """

    axes: ClassVar[int] = 1

    def __init__(
        self, kernel_size: Size, stride: Size | None = None, padding: Size = 0
    ) -> None:
        kind = type(self).__name__
        stride = kernel_size if stride is None or stride == () else stride
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self._window = per_axis(kind, "kernel_size", kernel_size, self.axes)
        self._strides = per_axis(kind, "stride", stride, self.axes)
        self._pads = per_axis(kind, "padding", padding, self.axes, least=0)

    def forward(self, x: Tensor, indices: Any, output_size: Any = None) -> Tensor:
        """Return the maxima of a pooling at their positions.

        Args:
            x: the maxima.
            indices: their positions, counted row by row.
            output_size: the lengths of the result, or its shape.
        """
        kind, axes = type(self).__name__, self.axes
        x, places = as_tensor(x), as_tensor(indices)
        if places.shape != x.shape:
            raise ShapeError(
                _("{kind} takes a position for each maximum.", kind=kind),
                expected=_("indices of shape {shape}", shape=show(x.shape)),
                got=show(places.shape),
            )
        x, single = batch_of(kind, "unpool", x, axes)
        sizes = [
            (int(n) - 1) * s - 2 * p + k
            for n, k, s, p in zip(x.shape[2:], self._window, self._strides, self._pads)
        ]
        if output_size is not None:
            wanted = tuple(output_size)[-axes:]
            if len(wanted) != axes or any(
                not n - s < m < n + s for n, m, s in zip(sizes, wanted, self._strides)
            ):
                raise ShapeError(
                    _("{kind} gives sizes within a stride.", kind=kind),
                    expected=_("an output_size near {sizes}", sizes=tuple(sizes)),
                    got=f"{output_size}",
                )
            sizes = [int(n) for n in wanted]
        if min(sizes) < 1:
            raise ShapeError(
                _("{kind}'s padding leaves nothing of its result.", kind=kind),
                expected=_("a result of at least 1 along each axis"),
                got=show(tuple(sizes)),
            )
        empty = zeros((*x.shape[:2], int(np.prod(sizes))), dtype=x.dtype)
        flat = places.reshape(x.shape).flatten(2).astype("int64")
        maxima = x.flatten(2)
        if all(s >= k for k, s in zip(self._window, self._strides)):
            y = empty.scatter(2, flat, maxima)
        else:  # several may have one position: the last is there, all have a derivative
            y = empty.scatter(2, flat, maxima.detach())
            finite = where(maxima.isfinite(), maxima, 0.0)
            y = y + empty.scatter_add(2, flat, finite - finite.detach())
        y = y.unflatten(2, sizes)
        return y.squeeze(0) if single else y


class MaxUnpool2d(MaxUnpool1d):
    """:class:`MaxUnpool1d` of images: the inverse of :class:`MaxPool2d`."""

    axes = 2


class MaxUnpool3d(MaxUnpool1d):
    """:class:`MaxUnpool1d` of volumes: the inverse of :class:`MaxPool3d`."""

    axes = 3


def _unpooling(layer: type[MaxUnpool1d], name: str) -> Any:
    """Return the function of an unpooling layer; ``output_size`` comes last."""

    def function(
        x: Any,
        indices: Any,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        output_size: Any = None,
    ) -> Tensor:
        return layer(kernel_size, stride, padding).forward(x, indices, output_size)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Apply :class:`{layer.__name__}`: maxima at their positions."
    return function


fold = as_function(Fold, "fold")
max_unpool1d = _unpooling(MaxUnpool1d, "max_unpool1d")
max_unpool2d = _unpooling(MaxUnpool2d, "max_unpool2d")
max_unpool3d = _unpooling(MaxUnpool3d, "max_unpool3d")
unfold = as_function(Unfold, "unfold")
