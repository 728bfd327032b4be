"""Layers: linear, embedding, dropout, and changes of shape."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from chainrule.errors import ShapeError
from chainrule.functions import concat
from chainrule.nn import functional
from chainrule.nn import init as initialisers
from chainrule.nn.arguments import (
    Count,
    counts,
    flag,
    floating,
    integer,
    option,
    place,
)
from chainrule.nn.functional.layers import check_resizing, padding_row
from chainrule.nn.module import Module, Parameter
from chainrule.primitives.rules import show
from chainrule.random import normal, uniform
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _
from chainrule.util.validation import choice, refused


class Linear(Module):
    """A layer of neurons before its activation: z = W x + b (2.2.2).

    On a batch, whose samples are rows, that is Z = X Wᵀ + b.

    Args:
        in_features: the number of inputs n.
        out_features: the number of neurons m.
        bias: whether there is a b.
        init: how W starts: the name of a function of :mod:`chainrule.nn.init`, such as
            ``"xavier_uniform"`` (for tanh and sigmoid), ``"kaiming_normal"`` (for
            ReLU), ``"lecun_normal"`` (for SELU) or ``"orthogonal"``; b then starts
            from 0. Without it both start from U(−1/√n, 1/√n), as PyTorch's do.
        dtype: of the parameters.

    Shapes:
        ``weight`` (m, n), ``bias`` (m,); input (…, n), output (…, m).

    The default has a third of LeCun's variance 1/n (LeCun et al. 1998, "Efficient
    BackProp"): small networks learn well from it, deep ones want a name.

    >>> import chainrule as cr
    >>> cr.nn.Linear(784, 128)(cr.tensor([[0.0] * 784])).shape
    (1, 128)
    >>> cr.nn.Linear(2, 3, init="orthogonal")
    Linear(in_features=2, out_features=3, init='orthogonal')
    """

    def __init__(
        self,
        in_features: Count,
        out_features: Count,
        bias: bool = True,
        *,
        init: str | None = None,
        dtype: str = "float32",
    ) -> None:
        self.in_features, self.out_features = counts(
            "Linear", in_features=in_features, out_features=out_features
        )
        self.init = init
        fill = None if init is None else initialisers.by_name(init)
        bound = 1 / math.sqrt(self.in_features)
        draw = {"low": -bound, "high": bound, "dtype": floating("Linear", dtype)}
        self.weight = Parameter(uniform(self.out_features, self.in_features, **draw))
        biased = flag("Linear", "bias", bias)
        self.bias = Parameter(uniform(self.out_features, **draw)) if biased else None
        if fill is not None:
            fill(self.weight)
            if self.bias is not None:
                initialisers.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Compute Z = X Wᵀ + b."""
        return functional.linear(x, self.weight, self.bias)


class Embedding(Module):
    """A table with a row of d numbers for each of V things: a⁽⁰⁾ = row x of W.

    The same as a ``Linear`` without bias on one-hot inputs, without the zeros. Only the
    rows that a batch names have a gradient; a row named twice gets the sum.

    Args:
        num_embeddings: how many things, V.
        embedding_dim: numbers for each, d.
        padding_idx: the number of a row that starts at 0 and is not trained, such as
            that of a filler word; −1 is the last.
        dtype: of the table.

    Shapes:
        ``weight`` (V, d), from N(0, 1) as PyTorch's; input: integers 0 … V−1 of any
        shape (…), output (…, d).

    >>> import chainrule as cr
    >>> cr.nn.Embedding(10, 4)(cr.tensor([[1, 2, 1]])).shape
    (1, 3, 4)
    """

    def __init__(
        self,
        num_embeddings: Count,
        embedding_dim: Count,
        padding_idx: int | None = None,
        *,
        dtype: str = "float32",
    ) -> None:
        self.num_embeddings, self.embedding_dim = shape = counts(
            "Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim
        )
        self.padding_idx = padding_idx
        if padding_idx is not None:
            self.padding_idx = padding_row(padding_idx, shape[0])
        drawn = normal(*shape, dtype=floating("Embedding", dtype))
        if self.padding_idx is not None:
            table = np.array(drawn.numpy())
            table[self.padding_idx] = 0
            drawn = table
        self.weight = Parameter(drawn)

    def forward(self, x: Tensor) -> Tensor:
        """Return the rows of the table at the indices ``x``."""
        return functional.embedding(x, self.weight, self.padding_idx)


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
        """Return the input with several axes merged."""
        x = as_tensor(x)
        ends = (self.start_dim, self.end_dim)
        first, last = (d + x.ndim if d < 0 else d for d in ends)
        if not 0 <= first <= last < x.ndim:
            raise ShapeError(
                _(
                    "{place} merges axes {start_dim} to {end_dim}, which the input "
                    "does not have.",
                    place=place("Flatten"),
                    start_dim=self.start_dim,
                    end_dim=self.end_dim,
                ),
                expected=_(
                    "at least {end_dim} axes",
                    end_dim=max(self.start_dim, self.end_dim) + 1,
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
        """Return the input with one axis split into several."""
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
        """Return the input with two axes exchanged."""
        return as_tensor(x).transpose(self.dim0, self.dim1)


class Steps(Module):
    """From the steps of a sequence to one row: (N, T, C) to (N, C).

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
        """Return one row per sequence, or for ``"all"`` the whole sequence."""
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
                    place=place("Steps"),
                    dim=self.dim,
                ),
                expected=_("sequences, such as (N, T, C)"),
                got=show(x.shape),
            )
        if self.take == "last":
            return x.select(self.dim, -1)
        return x.mean(self.dim) if self.take == "mean" else x.amax(self.dim)


class Dropout(Module):
    """In training, zero each element with probability p and scale the rest by 1/(1−p).

    Srivastava et al. 2014, "inverted" so that prediction changes nothing.

    Args:
        p: the probability of dropping, 0 ≤ p < 1.
    """

    def __init__(self, p: float = 0.5) -> None:
        self.p = option(type(self).__name__, "p", p)

    def forward(self, x: Tensor) -> Tensor:
        """Zero and scale elements in training; return x unchanged otherwise."""
        return functional.dropout(x, self.p, self.training)


class Dropout1d(Dropout):
    """:class:`Dropout` of whole channels: neighbours in a signal are much alike.

    Tompson et al. 2015, "Efficient object localization using convolutional networks".

    Args:
        p: the probability of dropping a channel of a sample, 0 ≤ p < 1.

    Shapes:
        (N, C, L) or (C, L).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Zero and scale channels in training; return x unchanged otherwise."""
        return functional.dropout1d(x, self.p, self.training)


class Dropout2d(Dropout):
    """:class:`Dropout1d` of images.

    Args:
        p: the probability of dropping a channel of an image, 0 ≤ p < 1.

    Shapes:
        (N, C, H, W).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Zero and scale channels in training; return x unchanged otherwise."""
        return functional.dropout2d(x, self.p, self.training)


class Identity(Module):
    """f(x) = x, in place of a layer that is left out.

    Args:
        args, kwargs: anything; nothing is made of it.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        """Return the input x unchanged."""
        return x


class Upsample(Module):
    """Signals and images of another size: :func:`functional.interpolate` as a layer.

    ``"nearest"`` repeats the element that is nearest; the others are straight between
    neighbours, along each axis by itself. ``align_corners=None``, PyTorch's default, is
    False.

    Args:
        size: of the axes behind (N, C), a number for each or one for all.
        scale_factor: by which they grow or shrink, instead of a size.
        mode: ``"nearest"``, ``"linear"`` or ``"bilinear"``; the last two are the same.
        align_corners: whether first and last elements keep their places; else the
            edges of the picture do.

    Shapes:
        (N, C, L) becomes (N, C, L′), (N, C, H, W) becomes (N, C, H′, W′), where L′ is
        ``size``, or L · ``scale_factor`` rounded down.

    Raises:
        ArgumentError: a size and a scale_factor, or neither, or one that is not
            positive; another mode; corners that keep their places with ``"nearest"``.

    >>> import chainrule as cr
    >>> x = cr.tensor([[[1.0, 3.0]]])
    >>> cr.nn.Upsample(scale_factor=2)(x)
    tensor([[[1., 1., 3., 3.]]])
    >>> cr.nn.Upsample(size=3, mode="linear", align_corners=True)(x)
    tensor([[[1., 2., 3.]]])
    """

    def __init__(
        self,
        size: int | tuple[int, ...] | None = None,
        scale_factor: float | tuple[float, ...] | None = None,
        mode: Literal["nearest", "linear", "bilinear"] = "nearest",
        align_corners: bool | None = False,
    ) -> None:
        check_resizing("Upsample", size, scale_factor, mode, align_corners)
        self.size, self.scale_factor = size, scale_factor
        self.mode, self.align_corners = mode, align_corners

    def forward(self, x: Tensor) -> Tensor:
        """Return the input resized."""
        return functional.interpolate(
            x, self.size, self.scale_factor, self.mode, self.align_corners
        )


class PixelShuffle(Module):
    """Channels as finer places: (…, C·r², H, W) becomes (…, C, H·r, W·r).

    Shi et al. 2016, "Real-time single image and video super-resolution".

    Args:
        upscale_factor: r.

    >>> import chainrule as cr
    >>> cr.nn.PixelShuffle(2)(cr.zeros(3, 8, 5, 5)).shape
    (3, 2, 10, 10)
    """

    def __init__(self, upscale_factor: int) -> None:
        r = integer("PixelShuffle", "upscale_factor", upscale_factor, least=1)
        self.upscale_factor = r

    def forward(self, x: Tensor) -> Tensor:
        """Return the input with channels rearranged to pixels."""
        return functional.pixel_shuffle(x, self.upscale_factor)
