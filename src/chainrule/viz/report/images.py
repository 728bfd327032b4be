"""Rows and weights as pictures: PNG files within the page."""

from __future__ import annotations

import base64
import io
import math
from typing import Any

import numpy as np

from chainrule.graph.node import Array

#: Sides of what may be a picture.
_SMALLEST = 8
#: Channels in front or behind: grey, or red, green and blue.
_CHANNELS = (1, 3)


def picture_shape(row: tuple[int, ...]) -> tuple[int, int, int] | None:
    """(channels, height, width) where rows of this shape look like images, else None.

    Images are (h, w), (c, h, w) or (h, w, c) with one channel or three, or a flat row
    whose length is the square of eight or more.

    >>> picture_shape((784,)), picture_shape((3, 32, 32)), picture_shape((10,))
    ((1, 28, 28), (3, 32, 32), None)
    """
    if len(row) == 1:
        side = math.isqrt(row[0])
        row = (side, side) if side * side == row[0] else (0, 0)
    if len(row) == 2:
        row = (1, *row)
    if len(row) == 3 and row[0] not in _CHANNELS and row[2] in _CHANNELS:
        row = (row[2], row[0], row[1])
    if len(row) != 3 or row[0] not in _CHANNELS or min(row[1:]) < _SMALLEST:
        return None
    return row[0], row[1], row[2]


def as_pictures(rows: Array) -> Array:
    """(n, h, w) or (n, h, w, 3) from n rows that look like images."""
    shape = picture_shape(rows.shape[1:])
    assert shape is not None
    if rows.ndim == 4 and rows.shape[1:] != shape:  # channels behind
        made = rows
    else:
        made = rows.reshape(-1, *shape).transpose(0, 2, 3, 1)
    return made if shape[0] == 3 else made[..., 0]


def grey_or_colour(pictures: Array) -> list[str]:
    """Pictures as data URIs: the least number of all is black, the largest white.

    Numbers within 0 … 1 keep that range, so that all pictures of bytes look as stored.
    """
    low, high = float(pictures.min()), float(pictures.max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scaled = (pictures - low) / (high - low or 1.0) * 255
    return [_uri(picture) for picture in np.rint(scaled).astype(np.uint8)]


def diverging(pictures: Array, bound: float) -> list[str]:
    """Numbers from −bound (blue) over 0 (white) to bound (red), as data URIs.

    Pictures in colour are shown channel by channel, with grey for 0.
    """
    scaled = np.clip(pictures / (bound or 1.0), -1, 1)
    bytes_ = np.rint((scaled + 1) * 127.5).astype(np.uint8)
    palette = None if pictures.ndim == 4 else _palette()
    return [_uri(picture, palette) for picture in bytes_]


def colour_scale() -> str:
    """All colours of ``diverging`` from left to right, as a data URI."""
    return _uri(np.arange(256, dtype=np.uint8)[None], _palette())


def _palette() -> bytes:
    """256 colours, blue over white to red."""
    from matplotlib import colormaps

    colours = colormaps["RdBu_r"](np.arange(256) / 255)[:, :3]
    return np.rint(255 * colours).astype(np.uint8).tobytes()


def _uri(picture: Array, palette: bytes | None = None) -> str:
    """(h, w) or (h, w, 3) bytes as a PNG file in a data URI."""
    from PIL import Image

    made: Any = Image.fromarray(np.ascontiguousarray(picture))
    if palette is not None:
        made.putpalette(palette)
    file = io.BytesIO()
    made.save(file, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
