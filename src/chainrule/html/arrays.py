"""Arrays as HTML: small ones as tables, large ones as heat maps with a summary.

A tensor in a notebook and every page of :mod:`chainrule.explanation` are made of these.
"""

from __future__ import annotations

import base64
import hashlib
import math
import struct
import zlib
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.text import tr
from chainrule.text.numbers import number, percent

Array = NDArray[Any]

#: The content security policy of every page: it loads nothing from outside.
POLICY = (
    '<meta http-equiv="Content-Security-Policy" content="'
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
)
#: Rows and columns of a table of numbers; a larger array is a picture.
TABLE = 12
#: Blue, white, red: negative, zero, positive.
COLD, WARM = np.array([33, 102, 172]), np.array([178, 24, 43])
#: A heat map has at most so many rows and columns of pixels.
PIXELS = 256


def policy(script: str = "") -> str:
    """Return the content security policy of a page as an HTML element.

    Args:
        script: the one script of the page, which runs by its hash; none by default.
    """
    if not script:
        return POLICY
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return POLICY.replace("style-src", f"script-src 'sha256-{digest}'; style-src")


def array_html(array: Array, off: Array | None = None, digits: int = 4) -> str:
    """Return an array as HTML: a table, or a heat map with a summary.

    Args:
        array: the numbers.
        off: how far each may be from what it should be; see :func:`spelled`.
        digits: of the largest number.
    """
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    if array.ndim <= 2 and max(array.shape, default=1) <= TABLE:
        return f'<div class="value">{table(array, off, digits)}</div>'
    notes = "<br>".join(map(escape, summary(array)))
    picture = heat_map(array) + (histogram(array) if array.dtype.kind == "f" else "")
    return f'<div class="value large">{picture}<span>{notes}</span></div>'


def table(array: Array, off: Array | None = None, digits: int = 4) -> str:
    """Return a small array as an HTML table; a single number without a table."""
    cells = spelled(array, digits, off)
    if len(cells) == 1 and len(cells[0]) == 1:
        return f"<span>{cells[0][0]}</span>"
    rows = ("".join(f"<td>{c}</td>" for c in row) for row in cells)
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def spelled(array: Array, digits: int = 4, off: Array | None = None) -> list[list[str]]:
    """Return a matrix' numbers as text, with only the digits that are certain.

    Exact zeros are a bare ``0``: a dead unit is told from a small number.

    Args:
        array: the numbers.
        digits: of the largest number.
        off: how far each may be from what it should be; what this makes worthless is
            left out, and the last decimal is right to one.

    >>> spelled(np.array([[0.5, 0.0], [-0.25, 12.5]]))
    [['0.50', '0'], ['-0.25', '12.50']]
    >>> spelled(np.array([[1 / 3, 1e-9]]))
    [['0.3333', '0.0000']]
    >>> spelled(np.array([[5.722e-5, 5.96e-8]]), off=np.array([[3e-8, 3e-8]]))
    [['5.72e-05', '1e-07']]
    """
    rows = np.atleast_2d(array)
    if rows.dtype.kind in "biu":
        return [[str(int(v)) for v in row] for row in rows]
    known = rows[np.isfinite(rows)]
    top = float(np.max(np.abs(known), initial=0.0))
    wrong = np.zeros(rows.shape) if off is None else np.broadcast_to(off, rows.shape)
    exponent = math.floor(math.log10(top)) if top else 0
    whole = len(known) == rows.size and np.all(rows == np.round(rows)) and top < 1e6
    places = 0 if whole else -1
    right = _decimals(float(wrong.max(initial=0.0)))
    if not whole and -3 <= exponent < 6:
        more = -exponent if exponent > 0 else -1 - min(exponent, -1)
        most = max(digits + more, 0)
        noise = 4 * top * np.finfo(rows.dtype).eps
        exact = (p for p in range(most) if np.all(abs(known.round(p) - known) <= noise))
        places = min(next(exact, most), right)
    if places == 0:
        bare = (rows.round() == 0) & ((rows != 0) | (wrong > 0))
        if bare.any():  # which would look like exact zeros
            places = 1 if right >= 1 and top else -1
    if places < 0:
        return [
            [_scientific(float(v), digits - 2, float(w)) for v, w in zip(*pair)]
            for pair in zip(rows, wrong)
        ]
    return [
        ["0" if v == w == 0 else f"{v + 0.0:.{places}f}" for v, w in zip(*pair)]
        for pair in zip(rows, wrong)
    ]


def _decimals(off: float) -> int:
    """Return the number of correct decimals of a number with a given error."""
    return math.floor(-math.log10(2 * off)) if off > 0 else 99


def _scientific(value: float, digits: int, off: float) -> str:
    """Return a number in scientific notation with only its correct digits."""
    if value == 0 and not off:
        return "0"
    if not math.isfinite(value):
        return f"{value}"
    known = _decimals(off)
    value = round(value, known) if known < 99 else value
    if value == 0:
        return f"0e{-known:+03d}"
    exponent = math.floor(math.log10(abs(value)) + 1e-12)
    return f"{value:.{min(max(exponent + known, 0), digits)}e}"


def summary(array: Array) -> list[str]:
    """Return a large array's summary as text: shape, range, mean, share of zeros."""
    shape = " × ".join(map(str, array.shape))
    if not array.size:
        return [shape]
    with np.errstate(over="ignore", invalid="ignore"):  # of infinities, the mean
        low, high, mean = array.min(), array.max(), array.astype(np.float64).mean()
    zeros = float(np.mean(array == 0))
    return [
        shape,
        tr("from {low} to {high}", low=number(low), high=number(high)),
        tr("mean {mean}", mean=number(mean)),
        tr("zeros {share}", share=percent(zeros, 1)),
    ]


# -- pictures --------------------------------------------------------------------------


def colours(array: Array) -> Array:
    """Return an array's numbers as heat-map colours: blue, white at zero, red."""
    known = np.where(np.isfinite(array), array, 0.0).astype(np.float64)
    top = float(np.max(np.abs(known), initial=0.0)) or 1.0
    share = np.abs(known)[..., None] / top
    ends = np.where((known < 0)[..., None], COLD, WARM)
    pixels = np.rint(255 + share * (ends - 255)).astype(np.uint8)
    pixels[~np.isfinite(array)] = (0, 0, 0)
    return pixels


def png(pixels: Array) -> bytes:
    """Return an RGB image, uint8 (H, W, 3), as the bytes of a PNG file."""
    rows, columns, _ = pixels.shape
    lines = np.concatenate(
        [np.zeros((rows, 1), np.uint8), pixels.reshape(rows, -1)], axis=1
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
    return (
        data + chunk(b"IDAT", zlib.compress(lines.tobytes(), 6)) + chunk(b"IEND", b"")
    )


def png_url(pixels: Array) -> str:
    """Return an RGB image as a PNG ``data:`` address for HTML."""
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode("ascii")


def heat_pixels(array: Array, most: int = PIXELS) -> Array:
    """Return an array of any rank as the pixels of a heat map, uint8 (H, W, 3).

    Of a larger one than ``most`` rows or columns every second or further one is shown.
    """
    flat = _flat(array)
    rows, columns = (-(-size // most) or 1 for size in flat.shape)
    return colours(flat[::rows, ::columns])


def heat_map(array: Array, most: int = PIXELS) -> str:
    """Return an array as a heat map, an HTML ``<img>``; further axes side by side."""
    shown = heat_pixels(array, most)
    if not shown.size:
        return ""
    shape = " × ".join(map(str, array.shape))
    scale = max(1, min(8, 220 // max(shown.shape)))
    size = shown.shape[1] * scale, shown.shape[0] * scale
    alt = escape(tr("{shape} numbers as colours", shape=shape))
    return (
        f'<img alt="{alt}" width="{size[0]}" height="{size[1]}" src="{png_url(shown)}">'
    )


def _flat(array: Array) -> Array:
    """Return an array of any rank as a matrix, for its heat map."""
    array = np.atleast_2d(array)
    if not array.size:
        return np.zeros((0, 0))
    if array.ndim == 2 and 1 in array.shape:  # a line, folded
        width = math.isqrt(array.size - 1) + 1
        sheet = np.zeros(-(-array.size // width) * width)
        sheet[: array.size] = array.ravel()
        return sheet.reshape(-1, width)
    if array.ndim == 2:
        return array
    *lead, rows, columns = array.shape
    pictures = array.reshape(-1, rows, columns)[:64]
    wide = max(1, min(len(pictures), lead[-1], 16))
    high = -(-len(pictures) // wide)
    sheet = np.zeros((high * (rows + 1), wide * (columns + 1)))
    for i, picture in enumerate(pictures):
        r, c = (i // wide) * (rows + 1), (i % wide) * (columns + 1)
        sheet[r : r + rows, c : c + columns] = picture
    return sheet[:-1, :-1]


def histogram(array: Array, bins: int = 24) -> str:
    """Return a histogram of an array's numbers as an SVG element for HTML."""
    known = array[np.isfinite(array)].astype(np.float64)
    across = float(known.max()) - float(known.min()) if known.size else 0.0
    if not 0 < across < math.inf:
        return ""
    counts, edges = np.histogram(known, bins)
    bars = "".join(
        f'<rect x="{8 * i}" y="{60 - h:.1f}" width="7" height="{h:.1f}"/>'
        for i, h in enumerate(58 * counts / counts.max())
    )
    low, high = f"{edges[0]:.3g}", f"{edges[-1]:.3g}"
    return (
        f'<svg viewBox="0 0 {8 * bins} 76" width="{8 * bins}" height="76" role="img">'
        f'<g fill="#5b8aa6">{bars}</g><g font-size="11" fill="currentColor">'
        f'<text x="0" y="73">{low}</text>'
        f'<text x="{8 * bins}" y="73" text-anchor="end">{high}</text></g></svg>'
    )
