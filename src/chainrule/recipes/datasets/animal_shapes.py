"""Shapes of ten animals, 28 × 28, of the package animal-shape-mnist."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

#: The classes by number.
ANIMALS = [
    *("bear", "bird", "cat", "cow", "dog"),
    *("elephant", "giraffe", "horse", "sheep", "zebra"),
]


def pickled_bytes(content: bytes, length: int) -> bytes:
    """Return a pickled array's bytes, found after their length, without unpickling."""
    mark = b"B" + length.to_bytes(4, "little")
    start = content.index(mark) + len(mark)
    return content[start : start + length]


def read_shapes(package: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return 9,716 images of animal shapes (n, 28, 28), white on black, and classes.

    Args:
        package: the folder of ``animal_shape_mnist.benchmarker``.
    """
    folder = package / "data" / "Animal Shape"
    images, labels = (
        gzip.decompress((folder / f"animal_{part}_version_3.gz").read_bytes())
        for part in ("data", "label")
    )
    x = np.frombuffer(pickled_bytes(images, 10_000 * 784), np.uint8)
    x = x.reshape(-1, 28, 28)
    y = np.frombuffer(pickled_bytes(labels, 10_000 * 8), "<i8")
    __, first = np.unique(x.reshape(len(x), -1), axis=0, return_index=True)
    first.sort()
    return x[first], y[first]


def write_shapes(package: Path, folder: Path, count: int) -> None:
    """Write images of animal shapes as PNG files, a folder for each animal.

    Args:
        package: as for :func:`read_shapes`.
        folder: the folder to write to; it is made.
        count: the images of each animal.
    """
    from PIL import Image

    x, y = read_shapes(package)
    for label, name in enumerate(ANIMALS):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, pixels in enumerate(x[y == label][:count]):
            Image.fromarray(pixels).save(folder / name / f"{number:03}.png")
