"""The features of rows: numbers of one unit, which are judged and scaled together.

Of a table they are its columns. All pixels of a picture are one, whichever place they
have: a corner that is nearly always blank is no badly scaled column. Of signals and
sequences they are the channels, at all places and steps.
"""

from __future__ import annotations

import numpy as np

from chainrule.graph.node import Array
from chainrule.html.pictures import picture_shape

#: A column of pixels reaches over this share of all numbers' range, or so large a share
#: of its numbers lies at one end.
SPAN, BLANK = 0.5, 0.9


def shared_axes(
    x: Array, windows: tuple[int, ...] | None, *, named: bool = False
) -> tuple[int, ...]:
    """Return the axes of data along which numbers are of the same feature.

    Args:
        x: rows of data, as they are stored.
        windows: the shape of a row, channels first, that a convolution reads first.
        named: whether each column has a name, as those of tables have.

    >>> x = np.random.default_rng(0).normal(size=(20, 4, 6))
    >>> shared_axes(x[:, 0], None), shared_axes(x, None), shared_axes(x, (4, 6))
    ((0,), (0, 1), (0, 2))
    """
    row = x.shape[1:]
    planes = windows is not None and len(windows) == 3
    alike = not named and picture_shape(row) is not None
    if alike and (planes or _are_alike(x)):
        return tuple(range(x.ndim))
    if windows is not None and windows == row and len(row) > 1:
        return 0, *range(2, x.ndim)
    return tuple(range(max(x.ndim - 1, 1)))


def _are_alike(x: Array) -> bool:
    """Return whether columns are of one unit, as pixels are.

    Each reaches over half of all numbers' range, or is nearly always at one end of its
    own, as those at the border of a picture are. A column in another unit does neither.
    """
    if not x.size or not np.isfinite(x).all():
        return False
    flat = x.reshape(len(x), -1)
    low, high = flat.min(0), flat.max(0)
    small = (high > low) & (high - low < SPAN * (high.max() - low.min()))
    ends = [(flat[:, small] == end[small]).mean(0) for end in (low, high)]
    return bool((np.maximum(*ends) >= BLANK).all()) and bool((high > low).any())


def as_columns(rows: Array, shape: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    """Return flat rows as a matrix with a column for each feature.

    Args:
        rows: of shape (n, …), flat.
        shape: of a row of the data.
        axes: see :func:`shared_axes`.
    """
    x = rows.reshape(-1, *shape)
    own = [i for i in range(x.ndim) if i not in axes]
    width = int(np.prod([x.shape[i] for i in own], dtype=int))
    return x.transpose(*axes, *own).reshape(-1, width)
