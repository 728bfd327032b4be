"""Layers that change the shape of their input, and the identity."""

from __future__ import annotations

from typing import Any, Literal

from chainrule.errors import ShapeError
from chainrule.functions import concat
from chainrule.nn.arguments import integer, layer_name
from chainrule.nn.function import as_function
from chainrule.nn.module import Module
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _, ngettext
from chainrule.util.validation import choice, refused

__all__ = [
    "ChannelShuffle",
    "Flatten",
    "Identity",
    "PixelShuffle",
    "PixelUnshuffle",
    "Steps",
    "Transpose",
    "Unflatten",
    "channel_shuffle",
    "pixel_shuffle",
    "pixel_unshuffle",
]


class Identity(Module):
    """f(x) = x, in place of a layer that is left out.

    Args:
        args, kwargs: anything; they are ignored.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        """Return the identity layer's input x unchanged."""
        return x


class Flatten(Module):
    """Merge axes into one: images to rows.

    Args:
        start_dim: the first axis to merge; 1 keeps the samples apart.
        end_dim: the last one.

    >>> import chainrule as cr
    >>> cr.nn.Flatten()(cr.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[1., 2., 3., 4.]])
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = integer("Flatten", "start_dim", start_dim)
        self.end_dim = integer("Flatten", "end_dim", end_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's input with several axes merged into one."""
        x = as_tensor(x)
        ends = (self.start_dim, self.end_dim)
        first, last = (d + x.ndim if d < 0 else d for d in ends)
        if not 0 <= first <= last < x.ndim:
            raise ShapeError(
                _(
                    "{place} merges axes {start_dim} to {end_dim}, which the input "
                    "does not have.",
                    place=layer_name("Flatten"),
                    start_dim=self.start_dim,
                    end_dim=self.end_dim,
                ),
                expected=ngettext(
                    "at least {n} axis",
                    "at least {n} axes",
                    n=max(self.start_dim, self.end_dim) + 1,
                ),
                got=show(x.shape),
                fix=_("feed a batch: x.reshape(1, …) for one sample"),
            )
        return x.flatten(first, last)


class Unflatten(Module):
    """Cut one axis into several: rows to images.

    Args:
        dim: the axis.
        unflattened_size: the sizes that it is cut into; −1 for what is left.

    >>> import chainrule as cr
    >>> cr.nn.Unflatten(1, (1, 2, -1))(cr.tensor([[1.0, 2.0, 3.0, 4.0]])).shape
    (1, 1, 2, 2)
    """

    def __init__(self, dim: int, unflattened_size: tuple[int, ...]) -> None:
        self.dim = integer("Unflatten", "dim", dim)
        if not isinstance(unflattened_size, tuple | list):
            what = _("Unflatten cuts an axis into several.")
            example = _("sizes in a tuple, such as (1, 28, 28)")
            raise refused("unflattened_size", unflattened_size, what, example)
        self.unflattened_size = tuple(
            integer("Unflatten", "unflattened_size", n, least=-1)
            for n in unflattened_size
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's input with one axis split into several."""
        return as_tensor(x).unflatten(self.dim, self.unflattened_size)


class Transpose(Module):
    """Exchange two axes: steps by features to features by steps, as `Conv1d` reads.

    Args:
        dim0: one axis; axis 0 is that of the samples.
        dim1: the other one.

    >>> import chainrule as cr
    >>> cr.nn.Transpose()(cr.zeros(8, 20, 3)).shape
    (8, 3, 20)
    """

    def __init__(self, dim0: int = 1, dim1: int = 2) -> None:
        self.dim0 = integer("Transpose", "dim0", dim0)
        self.dim1 = integer("Transpose", "dim1", dim1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's input with two axes exchanged."""
        return as_tensor(x).transpose(self.dim0, self.dim1)


class Steps(Module):
    """Reduce the steps of a sequence to one row: (N, T, C) to (N, C).

    Behind a recurrent layer it takes its output and leaves its states:
    ``nn.Sequential(nn.GRU(3, 8, batch_first=True), nn.Steps(), nn.Linear(8, 2))``.

    Args:
        take: ``"last"``, the last step; behind a recurrent layer its last state, which
            of two directions is what each has read in the end. ``"mean"`` and
            ``"max"``, of all steps, feature by feature. ``"all"`` leaves them as they
            are, without the states of a recurrent layer.
        dim: the axis of the steps: 1, or 0 for ``batch_first=False``, or −1 behind
            `Conv1d`.

    >>> import chainrule as cr
    >>> x = cr.tensor([[[1.0, 9.0], [2.0, 4.0]]])
    >>> cr.nn.Steps()(x), cr.nn.Steps("max")(x)
    (tensor([[2., 4.]]), tensor([[2., 9.]]))
    """

    def __init__(
        self, take: Literal["last", "mean", "max", "all"] = "last", dim: int = 1
    ) -> None:
        self.take = choice("last", "mean", "max", "all")("take", take)
        self.dim = integer("Steps", "dim", dim)

    def forward(self, x: Any) -> Tensor:
        """Return one row per sequence: its last step, mean or maximum; or all steps."""
        x, states = x if isinstance(x, tuple) else (x, None)
        x = as_tensor(x)
        if self.take == "all":
            return x
        if self.take == "last" and states is not None:
            h = states[0] if isinstance(states, tuple) else states
            directions = x.shape[-1] // h.shape[-1]
            return concat([h[-i] for i in range(directions, 0, -1)], axis=-1)
        if not -x.ndim <= self.dim < x.ndim or x.ndim < 2:
            raise ShapeError(
                _(
                    "{place} takes steps along axis {dim}, which the input does "
                    "not have.",
                    place=layer_name("Steps"),
                    dim=self.dim,
                ),
                expected=_("sequences, such as (N, T, C)"),
                got=show(x.shape),
            )
        if self.take == "last":
            return x.select(self.dim, -1)
        return x.mean(self.dim) if self.take == "mean" else x.amax(self.dim)


class PixelShuffle(Module):
    """Channels rearranged to pixels: (…, C·r², H, W) becomes (…, C, H·r, W·r).

    Shi et al. 2016, "Real-time single image and video super-resolution".

    Args:
        upscale_factor: r.

    >>> import chainrule as cr
    >>> cr.nn.PixelShuffle(2)(cr.zeros(3, 8, 5, 5)).shape
    (3, 2, 10, 10)
    >>> cr.nn.functional.pixel_shuffle([[[1.0]], [[2.0]], [[3.0]], [[4.0]]], 2)
    tensor([[[1., 2.],
             [3., 4.]]])
    """

    def __init__(self, upscale_factor: int) -> None:
        r = integer("PixelShuffle", "upscale_factor", upscale_factor, least=1)
        self.upscale_factor = r

    def forward(self, x: Tensor) -> Tensor:
        """Return the input's channels rearranged to pixels of a larger image."""
        x, r = as_tensor(x), self.upscale_factor
        channels = x.shape[-3] if x.ndim > 2 else None
        if not isinstance(channels, int) or channels % r**2:
            raise ShapeError(
                _(
                    "{place} makes finer places out of channels.",
                    place=layer_name("PixelShuffle"),
                ),
                expected=_("(…, C, H, W), C a multiple of {r}", r=r**2),
                got=show(x.shape),
            )
        x = x.unflatten(-3, (channels // r**2, r, r))  # (…, c, i, j, h, w)
        x = x.movedim((-4, -3), (-3, -1))  # (…, c, h, i, w, j)
        return x.flatten(-2, -1).flatten(-3, -2)


class PixelUnshuffle(Module):
    """Pixels rearranged to channels: (…, C, H·r, W·r) becomes (…, C·r², H, W).

    The inverse of :class:`PixelShuffle`.

    Args:
        downscale_factor: r.

    >>> import chainrule as cr
    >>> cr.nn.PixelUnshuffle(2)(cr.zeros(3, 2, 10, 10)).shape
    (3, 8, 5, 5)
    """

    def __init__(self, downscale_factor: int) -> None:
        r = integer("PixelUnshuffle", "downscale_factor", downscale_factor, least=1)
        self.downscale_factor = r

    def forward(self, x: Tensor) -> Tensor:
        """Return the input's pixels rearranged to channels of a smaller image."""
        x, r = as_tensor(x), self.downscale_factor
        if x.ndim < 3 or any(not isinstance(n, int) or n % r for n in x.shape[-2:]):
            raise ShapeError(
                _(
                    "{place} makes channels out of blocks of pixels.",
                    place=layer_name("PixelUnshuffle"),
                ),
                expected=_("(…, C, H, W), H and W multiples of {r}", r=r),
                got=show(x.shape),
            )
        height, width = (int(n) // r for n in x.shape[-2:])
        x = x.unflatten(-1, (width, r)).unflatten(-3, (height, r))  # (…, c, h, i, w, j)
        return x.movedim((-3, -1), (-4, -3)).flatten(-5, -3)


class ChannelShuffle(Module):
    """Channels of several groups, interleaved: one of each group after the other.

    Zhang et al. 2018, "ShuffleNet".

    Args:
        groups: the number of groups, of which the number of channels is a multiple.

    >>> import chainrule as cr
    >>> cr.nn.ChannelShuffle(2)(cr.arange(4.0).reshape(1, 4, 1)).flatten()
    tensor([0., 2., 1., 3.])
    """

    def __init__(self, groups: int) -> None:
        self.groups = integer("ChannelShuffle", "groups", groups, least=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the input with the channels of its groups interleaved."""
        x = as_tensor(x)
        channels = x.shape[1] if x.ndim > 2 else None
        if not isinstance(channels, int) or channels % self.groups:
            raise ShapeError(
                _(
                    "{place} interleaves groups of channels.",
                    place=layer_name("ChannelShuffle"),
                ),
                expected=_("(N, C, L, …), C a multiple of {r}", r=self.groups),
                got=show(x.shape),
            )
        if not x.size:
            return x
        return x.unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)


channel_shuffle = as_function(ChannelShuffle, "channel_shuffle")
pixel_unshuffle = as_function(PixelUnshuffle, "pixel_unshuffle")
pixel_shuffle = as_function(PixelShuffle, "pixel_shuffle")
