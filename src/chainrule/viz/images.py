"""Weights as images: PNG files as data URIs in an HTML page."""

from __future__ import annotations

import base64
import io
from typing import Any, cast

import numpy as np

from chainrule.graph.node import Array


def diverging(pictures: Array, bound: float) -> list[str]:
    """Return arrays as images from blue (−bound) over white to red (bound).

    Pictures in colour are shown channel by channel, with grey for 0.
    """
    scaled = np.clip((pictures / (bound or 1.0) + 1) / 2, 0, 1)
    return [_uri(picture, "RdBu_r") for picture in scaled]


def colour_scale() -> str:
    """Return the blue-white-red colour scale of ``diverging`` as a data URI."""
    return _uri(np.linspace(0, 1, 256)[None], "RdBu_r")


def png_uri(file: bytes) -> str:
    """Return a PNG or GIF file as a data URI."""
    kind = "gif" if file.startswith(b"GIF8") else "png"
    return f"data:image/{kind};base64," + base64.b64encode(file).decode()


def _uri(picture: Array, colours: str | None = None) -> str:
    """Return an image (h, w) or (h, w, 3) from 0 to 1 as a PNG data URI."""
    from matplotlib.image import imsave

    file, unsaid = io.BytesIO(), cast(Any, {"Software": None})
    imsave(file, picture, cmap=colours, vmin=0, vmax=1, format="png", metadata=unsaid)
    return png_uri(file.getvalue())


def width(picture: bytes) -> int:
    """Return how many pixels wide a PNG or GIF file is; 0 for no file."""
    if picture[:3] == b"GIF":
        return int.from_bytes(picture[6:8], "little")
    return int.from_bytes(picture[16:20], "big")
