"""Hostile images: a clear error, or an image of the size that was asked for."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from chainrule.data import read
from tests.data.hostile import damaged, fuzzed, outcome

PICTURE = Image.effect_mandelbrot((24, 16), (-2, -1, 1, 1), 20)


def file(mode: str, kind: str, **options: Any) -> bytes:
    made = io.BytesIO()
    PICTURE.convert(mode).save(made, kind, **options)
    return made.getvalue()


FILES = [
    *(file(mode, "png") for mode in ("L", "RGB", "RGBA", "P", "1", "LA")),
    file("L", "png", bits=4, transparency=3),
    *(file(mode, "jpeg", quality=30) for mode in ("L", "RGB", "CMYK")),
    file("RGB", "jpeg", progressive=True),
    *(file(mode, "bmp") for mode in ("1", "L", "P", "RGB", "RGBA")),
    file("P", "gif"),
    file("L", "gif", save_all=True, append_images=[PICTURE.rotate(90)]),
    *(file("RGB", "webp", lossless=lossless) for lossless in (True, False)),
    *(
        file("RGB", "tiff", compression=how)
        for how in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
    ),
    *(file(mode, "ppm") for mode in ("1", "L", "RGB")),
    b"P3 2 1 255\n1 2 3 4 5 6\n",
    b"P2 3 1 15\n1 2 3\n",
]
WORDS = [b"\xff" * 4, b"\0" * 4, b"IHDR", b"IDAT", b"GIF89a", b"P6 99999 99999 255\n"]
SIZES = st.sampled_from([(4, 5), None, (1, 1)])


def with_checksums(content: bytes) -> bytes:
    """A PNG file whose chunks have the right checksums again, as far as they go."""
    made, at = bytearray(content[:8]), 8
    while at + 8 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        body = content[at + 4 : at + 8 + length]
        made += content[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return bytes(made)


INPUT = (
    damaged(FILES, WORDS)
    | damaged(FILES[:7], WORDS).map(with_checksums)
    | st.binary(max_size=60)
)


def check(path: Path, content: bytes, size: Any, mode: str) -> None:
    format = {"kind": "images", "size": size, "mode": mode}
    made = outcome(path, content, lambda: read(path, format=format, target=False))
    if made is None:
        return
    pixels = made.x.stored
    assert pixels.dtype == np.uint8
    assert pixels.shape[:2] == (1, 3 if mode == "RGB" else 1)
    assert size is None or pixels.shape[2:] == size


test_a_few, test_many = fuzzed(check, INPUT, SIZES, st.sampled_from(["L", "RGB"]))
