"""The geometry of sliding windows, for the primitives of convolution and pooling.

Along each axis, with window w, stride s, window dilation r, input dilation d and
padding (lo, hi), output p takes the elements

    p·s + k·r − lo,    k = 0 … w−1,

of the input dilated by d, those of them that exist. Negative padding crops.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from chainrule.errors import ShapeError
from chainrule.graph.node import Array
from chainrule.graph.types import Shape
from chainrule.primitives.rules import show
from chainrule.text import _, ngettext

Ints = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]


def dilated(size: int, dilation: int) -> int:
    """Return the length of a window of ``size`` elements with a given dilation."""
    return (size - 1) * dilation + 1 if size else 0


def padded(x: Array, axes: Ints, dilation: Ints, pads: Pads, fill: float = 0) -> Array:
    """Return an array with ``fill`` between its elements (dilation) and around them."""
    shape, inside = list(x.shape), [slice(None)] * x.ndim
    crop = [slice(None)] * x.ndim
    for axis, step, (lo, hi) in zip(axes, dilation, pads):
        length = dilated(x.shape[axis], step)
        shape[axis] = length + max(lo, 0) + max(hi, 0)
        inside[axis] = slice(max(lo, 0), max(lo, 0) + length, step)
        crop[axis] = slice(max(-lo, 0), shape[axis] - max(-hi, 0))
    out = np.full(shape, fill, x.dtype)
    out[tuple(inside)] = x
    return out[tuple(crop)]


class Sliding(NamedTuple):
    """A sliding window of convolution or pooling: size, stride, padding, dilations."""

    window: Ints
    strides: Ints
    padding: Pads
    dilation: Ints
    base_dilation: Ints

    @property
    def apart(self) -> bool:
        """A flag that is true if no element lies in two sliding windows."""
        steps = zip(self.window, self.strides, self.dilation)
        return all(s >= dilated(w, r) for w, s, r in steps)

    @property
    def side_by_side(self) -> bool:
        """A flag that is true if sliding windows neither overlap nor are padded."""
        ones = (1,) * len(self.window)
        padded = any(lo or hi for lo, hi in self.padding)
        plain = self.dilation == self.base_dilation == ones
        return self.strides == self.window and plain and not padded

    def places(self, name: str, lengths: Shape) -> Ints:
        """Return the number of a sliding window's positions on axes of an array."""
        if any(len(item) != len(lengths) for item in self):
            raise ShapeError(
                ngettext(
                    "{name} slides over {n} axis.",
                    "{name} slides over {n} axes.",
                    n=len(lengths),
                    name=name,
                ),
                expected=_("one window, stride, padding and dilation for each"),
                got=_(
                    "strides {strides}, padding {padding}",
                    strides=self.strides,
                    padding=self.padding,
                ),
            )
        if any(n < 1 for n in (*self.strides, *self.dilation, *self.base_dilation)):
            raise ShapeError(
                _("{name} slides and stretches by whole steps.", name=name),
                expected=_("strides and dilations of at least 1"),
                got=_(
                    "strides {strides}, dilations {dilation} and {base_dilation}",
                    strides=self.strides,
                    dilation=self.dilation,
                    base_dilation=self.base_dilation,
                ),
            )
        counts: list[int] = []
        for i, (length, w, s, (lo, hi), r, d) in enumerate(zip(lengths, *self)):
            if not isinstance(length, int):
                raise ShapeError(
                    _("{name} does not slide over a named size.", name=name),
                    expected=_("axes of fixed length"),
                    got=show(lengths),
                )
            padded = dilated(length, d) + lo + hi
            reach = padded - dilated(w, r)
            if reach < 0 or w < 1:
                raise ShapeError(
                    _("{name}'s window does not fit into its padded input.", name=name),
                    expected=_(
                        "a window of 1 to {padded}, dilation included", padded=padded
                    ),
                    got=_("{w} with dilation {r} on sliding axis {i}", w=w, r=r, i=i),
                    fix=_("use a smaller window or more padding"),
                )
            counts.append(reach // s + 1)
        return tuple(counts)

    def backwards(self, lengths: Ints, places: Ints) -> tuple[Pads, Pads]:
        """Return the padding with which sliding windows compute their two derivatives.

        The first walks over the outputs, dilated by the stride, with the window turned
        round; the second over the input, with the outputs as the window.
        """
        for_input: list[tuple[int, int]] = []
        for_window: list[tuple[int, int]] = []
        for length, place, w, s, (lo, __), r, d in zip(lengths, places, *self):
            before = dilated(w, r) - 1 - lo
            behind = dilated(length, d) - dilated(place, s) + lo
            for_input.append((before, behind))
            for_window.append((lo, before - behind + lo))
        return tuple(for_input), tuple(for_window)

    def seen(
        self, x: Array, axes: Ints, fill: float = 0
    ) -> Iterator[tuple[Ints, Array]]:
        """Yield each offset in a sliding window, and a view of elements under it."""
        return self.under(self.spread(x, axes, fill), axes)

    def spread(self, x: Array, axes: Ints, fill: float = 0) -> Array:
        """Return the input of a sliding window, dilated and padded."""
        if all(d == 1 for d in self.base_dilation) and not any(map(any, self.padding)):
            return x
        return padded(x, axes, self.base_dilation, self.padding, fill)

    def under(self, x: Array, axes: Ints) -> Iterator[tuple[Ints, Array]]:
        """Yield what ``seen`` yields, of an array that is dilated and padded."""
        for tap in np.ndindex(*self.window):
            cut = [slice(None)] * x.ndim
            for axis, k, w, s, __, r, __ in zip(axes, tap, *self):
                last = x.shape[axis] - dilated(w, r) + k * r
                cut[axis] = slice(k * r, last + 1, s)
            yield tap, x[tuple(cut)]
