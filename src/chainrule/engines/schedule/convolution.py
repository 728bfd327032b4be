"""Convolutions as matrix products: the roles of their axes, and the memory order.

A convolution with one letter of each kind is a product of matrices whose rows of A are
read through the sliding window: *implicit*, since the windows are never written out.
Channels stand last in memory, whatever order the axes have, so that a tap of the
window is a row of channels.

    forward   out[n, p, o] = Σ over taps and c   x[n, p·s + tap, c] · w[tap, c, o]
    weights   out[tap, c, o] = Σ over n and p    x[n, p·s + tap, c] · g[n, p, o]

The second is how the derivative of the kernel reads: many places add up to few. Which
of the two is taken, and with it the order of the sum, follows from the shapes: the one
with the shorter window, unless its channels are a named size. Groups of channels are
such convolutions one after the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from chainrule.graph.node import Node
from chainrule.primitives.conv import conv
from chainrule.primitives.matmul import parse_dims


@dataclass(frozen=True)
class Convolution:
    """A convolution's axis letters by role (images, channels, …), as a matrix product.

    Attributes:
        images: counts the images: free in ``forward``, else contracted.
        channels: the other letter of the input.
        right: the letter of the kernel and the result alone.
        group: counts the groups; empty where there are none.
        window: the digits of the sliding axes.
        forward: which of the two sums it is.
    """

    images: str
    channels: str
    right: str
    group: str
    window: str
    forward: bool

    @property
    def lhs(self) -> str:
        """The axis letters of a convolution's input in the best memory order."""
        return self.images + self.window + self.group + self.channels

    @property
    def rhs(self) -> str:
        """The axis letters of a convolution's kernel in the best memory order."""
        if self.forward:
            return self.group + self.window + self.channels + self.right
        return self.images + self.window + self.group + self.right

    @property
    def out(self) -> str:
        """The axis letters of a convolution's result in the best memory order."""
        if self.forward:
            return self.images + self.window + self.group + self.right
        return self.group + self.window + self.channels + self.right


def shares_itself(node: Node) -> bool:
    """Return whether threads divide a convolution by images (a kernel gradient)."""
    convolution = as_convolution(node)
    return convolution is not None and not convolution.forward


def as_convolution(node: Node) -> Convolution | None:
    """Return a convolution node as a matrix product with axis roles, or None."""
    if node.primitive is not conv:
        return None
    d = parse_dims(node.attrs["dims"])
    lhs, rhs = node.inputs
    (out,) = node.outputs
    assert out is not None
    if (
        len(d.batch) > 1
        or not len(d.left) == len(d.right) == len(d.contracted) == 1
        or not out.dtype.is_float
        or node.attrs["accumulate"].itemsize > out.dtype.itemsize
        or any(size == 0 for v in (lhs, rhs, out) for size in v.shape)
    ):
        return None
    taps = math.prod(rhs.shape[d.rhs.index(w)] for w in d.window)
    places = math.prod(out.shape[d.out.index(w)] for w in d.window)
    letters = {True: (d.left, d.contracted), False: (d.contracted, d.left)}
    fixed = [lhs.shape[d.lhs.index(g)] for g in d.batch]
    fixed.append(rhs.shape[d.rhs.index(d.right)])
    if not all(isinstance(size, int) for size in fixed):
        return None
    for forward in (taps <= places, taps > places):
        images, channels = letters[forward]
        if isinstance(lhs.shape[d.lhs.index(channels)], int):
            return Convolution(images, channels, d.right, d.batch, d.window, forward)
    return None
