"""Rows of data as pictures: what may be one, and its address in a page."""

from __future__ import annotations

import math

import numpy as np

from chainrule.html.arrays import Array, png_url

#: Sides of what may be a picture.
_SMALLEST = 8
#: Channels in front or behind: grey, or red, green and blue.
_CHANNELS = (1, 3)


def picture_shape(row: tuple[int, ...]) -> tuple[int, int, int] | None:
    """Return (channels, height, width) if data rows of a shape are images, else None.

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
    """Return n data rows as images: (n, h, w) or (n, h, w, 3)."""
    shape = picture_shape(rows.shape[1:])
    assert shape is not None
    if rows.ndim == 4 and rows.shape[1:] != shape:  # channels behind
        pixels = rows
    else:
        pixels = rows.reshape(-1, *shape).transpose(0, 2, 3, 1)
    return pixels if shape[0] == 3 else pixels[..., 0]


def grey_or_colour(pictures: Array) -> list[str]:
    """Return images as PNG data URIs, scaled from least to largest number.

    Numbers within 0 … 1 keep that range, so that all pictures of bytes look as stored.
    """
    low, high = float(pictures.min()), float(pictures.max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scaled = np.rint((pictures - low) / (high - low or 1.0) * 255).astype(np.uint8)
    if scaled.ndim == 3:
        scaled = np.repeat(scaled[..., None], 3, axis=3)
    return [png_url(picture) for picture in scaled]
