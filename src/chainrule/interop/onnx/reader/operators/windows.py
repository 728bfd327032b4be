"""The geometry of windows: padding of convolutions and pooling along each axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chainrule.errors import ArgumentError, ShapeError
from chainrule.text import _

Ints = tuple[int, ...]


@dataclass(frozen=True)
class Windows:
    """The windows that slide over spatial axes.

    Attributes:
        kernel, strides, dilations: for each axis.
        begins, ends: what is added to each axis.
        extra: what a last window beyond the end needs more (``ceil_mode``).
    """

    kernel: Ints
    strides: Ints
    dilations: Ints
    begins: Ints
    ends: Ints
    extra: Ints

    @property
    def symmetric(self) -> bool:
        """Return whether the padding at both ends of each axis is equal."""
        return self.begins == self.ends and not any(self.extra)

    def counts(self, sizes: Any) -> Ints:
        """Return how many windows there are along each axis."""
        return tuple(
            (n + a + b + more - (k - 1) * d - 1) // s + 1
            for n, k, s, d, a, b, more in zip(
                *(sizes, self.kernel, self.strides, self.dilations),
                *(self.begins, self.ends, self.extra),
            )
        )


def windows(
    sizes: Any,
    kernel: Any,
    *,
    strides: Ints | None,
    dilations: Ints | None,
    pads: Ints | None,
    auto_pad: str,
    ceil_mode: int = 0,
    pooled: bool = False,
) -> Windows:
    """Return the windows that a node's attributes say.

    Args:
        sizes: of the spatial axes; numbers where the padding depends on them.
        kernel: the window's size along each.
        strides, dilations, pads, auto_pad, ceil_mode: as in the standard.
        pooled: whether each window has an element of the input, so that less than a
            window is added.
    """
    rank = len(kernel)
    strides, dilations = strides or (1,) * rank, dilations or (1,) * rank
    pads = pads or (0,) * (2 * rank)
    if (
        not len(strides) == len(dilations) == len(sizes) == rank
        or len(pads) != 2 * rank
    ):
        raise ShapeError(
            _("The attributes of a window have a number for each spatial axis."),
            expected=str(len(sizes)),
            got=f"{rank}, {len(strides)}, {len(dilations)}, {len(pads)}",
        )
    if min((*kernel, *strides, *dilations, 1)) < 1 or min((*pads, 0)) < 0:
        raise ArgumentError(
            _("Windows, strides and dilations are at least 1, padding at least 0."),
            expected=">= 1",
            got=f"{kernel}, {strides}, {dilations}, {pads}",
        )
    begins, ends = pads[:rank], pads[rank:]
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    if pooled and any(p >= span for p, span in zip(pads, spans * 2)):
        raise ArgumentError(
            _("A pool adds less than a window to each end of an axis."),
            expected=f"< {tuple(spans)}",
            got=str(pads),
        )
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        both = [
            max((-(-int(n) // s) - 1) * s + (k - 1) * d + 1 - int(n), 0)
            for n, k, s, d in zip(sizes, kernel, strides, dilations)
        ]
        small = tuple(p // 2 for p in both)
        large = tuple(p - p // 2 for p in both)
        begins, ends = (small, large) if auto_pad == "SAME_UPPER" else (large, small)
    elif auto_pad == "VALID":
        begins = ends = (0,) * rank
    elif auto_pad != "NOTSET":
        raise ArgumentError(
            _("There is no such auto_pad."),
            expected="NOTSET, SAME_UPPER, SAME_LOWER, VALID",
            got=f"{auto_pad!r:.40}",
        )
    extra = (0,) * rank
    if ceil_mode and auto_pad == "NOTSET":
        extra = tuple(
            _beyond(int(n), k, s, d, a, b)
            for n, k, s, d, a, b in zip(sizes, kernel, strides, dilations, begins, ends)
        )
    return Windows(tuple(kernel), strides, dilations, begins, ends, extra)


def _beyond(n: int, k: int, s: int, d: int, begin: int, end: int) -> int:
    """Return how far the last window reaches beyond an axis, which it begins within."""
    free = n + begin + end - (k - 1) * d - 1
    more = -free % s
    if more and (free + more) // s * s >= n + begin:
        return 0
    return more
