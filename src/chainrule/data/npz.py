"""NPZ files: several NumPy arrays in one zip file.

NumPy itself reads the arrays, and executes nothing on the way. What a header promises
is held against the length of the content before any memory is taken.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from chainrule.data.checks import checked_names, shortened
from chainrule.data.dataset import Dataset
from chainrule.data.features import Features
from chainrule.data.files import (
    check_promise,
    checked_path,
    damaged,
    meant,
    opened,
)
from chainrule.errors import ArgumentError, DataError

if TYPE_CHECKING:
    from zipfile import ZipFile

WHAT = "an NPZ file"
FIX = "write it with numpy.savez(path, x=features, y=targets)"
LARGEST_HEADER = 10_000
STORED, DEFLATED = 0, 8  # how zip files name what numpy.savez does


def read_npz(
    path: Any,
    *,
    x: str = "x",
    y: str = "y",
    scale: float | None = None,
    classes: int | None = None,
    class_names: Any = None,
    name: str | None = None,
) -> Dataset:
    """Features and targets from an NPZ file.

    Args:
        path: the file, as ``numpy.savez`` writes it.
        x: the name of the array of features.
        y: the name of the array of targets.
        scale: the factor of x = float32(stored) · float32(scale), or None.
        classes: the number of classes, for targets that are labels.
        class_names: the name of each class. Targets of text are looked up in it; None:
            the sorted texts themselves.
        name: of the data set; None: the name of the file.

    Shapes:
        x: (n, …), stored as it is.
        y: integers stay as they are, and text becomes (n,) int32. Floats of shape (n,)
            are one quantity a row: (n, 1), as a ``Linear(…, 1)`` predicts it.

    Raises:
        DataError: a file that is missing, damaged, truncated, or has no such array;
            arrays of objects, which are programs rather than data.
        ArgumentError: a label outside the classes.
        ShapeError: x and y of different lengths.
        NonFiniteError: NaN or infinity.

    Example:
        >>> np.savez("points.npz", x=np.eye(3), y=np.array(["a", "b", "a"]))
        >>> data = read_npz("points.npz")
        >>> data.x.shape, data.y, data.class_names
        ((3, 3), array([0, 1, 0], dtype=int32), ('a', 'b'))
    """
    found, (features, wanted) = _arrays(path, [x, y])
    if wanted.dtype.kind == "U":
        wanted, class_names = _coded(wanted, class_names, found, y)
    elif wanted.dtype.kind == "f" and wanted.ndim == 1:
        wanted = wanted[:, None]
    data = Dataset(
        features,
        wanted,
        scale=scale,
        name=name or found.name,
        classes=classes,
        class_names=class_names,
    )
    data.format = {
        "kind": "npz",
        "x": x,
        "y": y,
        "scale": data.x.scale,
        "classes": data.classes,
        "class_names": None if data.class_names is None else list(data.class_names),
    }
    return data


def npz_features(
    path: Any,
    *,
    x: str = "x",
    y: Any = None,
    scale: float | None = None,
    classes: Any = None,
    class_names: Any = None,
) -> Features:
    """The features alone, with the arguments of :func:`read_npz`."""
    _, (features,) = _arrays(path, [x])
    return Features.of(features, scale)


def _coded(
    texts: np.ndarray, names: Any, path: Path, array: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels for texts, and the names of the classes."""
    if texts.ndim != 1 or not len(texts):
        raise damaged(path, "names of classes", f"text of shape {texts.shape}", FIX)
    found, codes = np.unique(texts, return_inverse=True)
    if names is None:
        return codes.astype(np.int32), tuple(str(text) for text in found)
    names = checked_names(names, "class_names", "class_names=('cat', 'dog')")
    place = {name: i for i, name in enumerate(names)}
    for text in found.tolist():
        if text not in place:
            row = int(np.argmax(texts == text))
            raise DataError(
                f"'{path}' names an unknown class in '{array}' at row {row} "
                "(counting from 0).",
                expected=f"one of {shortened(', '.join(names), 200)}",
                got=repr(shortened(text)),
                fix=meant(text, names) + "correct it, or add it to class_names",
            )
    known = np.array([place[text] for text in found.tolist()], np.int32)
    return known[codes], names


def _arrays(path: Any, wanted: list[str]) -> tuple[Path, list[np.ndarray]]:
    found = checked_path(path, "NPZ file")
    for name in wanted:
        if not isinstance(name, str):
            raise ArgumentError(
                "An array in an NPZ file is asked for by its name.",
                expected="a text",
                got=shortened(repr(name)),
                fix="read_npz(path, x='x', y='y')",
            )
    with opened(found, WHAT, FIX) as file:
        archive = _archive(file, found)
        return found, [_member(archive, found, name) for name in wanted]


def _archive(file: BinaryIO, path: Path) -> "ZipFile":
    from zipfile import ZipFile  # here, as it takes a while to load

    begin = file.read(6)
    if begin == b"\x93NUMPY":
        raise damaged(path, WHAT, "a single array (.npy)", FIX)
    if begin[:4] not in (b"PK\3\4", b"PK\5\6"):
        shown = f"a file that begins {begin.hex(' ')}" if begin else "an empty file"
        raise damaged(path, WHAT, shown, FIX)
    return ZipFile(file)


def _member(archive: "ZipFile", path: Path, name: str) -> np.ndarray:
    """The array of this name."""
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    info = members.get(name)
    if info is None:
        raise DataError(
            f"'{path}' has no array '{shortened(name)}'.",
            expected="one of its arrays: "
            + shortened(", ".join(members) or "none", 200),
            got=repr(shortened(name)),
            fix=meant(name, members) + "say which: read_npz(path, x=…, y=…)",
        )
    what = f"an NPZ file with a plain array '{shortened(name)}'"
    if info.compress_type not in (STORED, DEFLATED):
        raise damaged(path, what, f"compression of type {info.compress_type}", FIX)
    packed = min(info.compress_size, path.stat().st_size)
    check_promise(path, info.file_size, packed, what, FIX)
    from numpy.lib import format

    with archive.open(info) as stream:
        version = format.read_magic(stream)
        header = format.read_array_header_1_0
        if version != (1, 0):
            header = format.read_array_header_2_0
        shape, _, dtype = header(stream, max_header_size=LARGEST_HEADER)
        promised = math.prod(shape) * dtype.itemsize
        held = info.file_size - stream.tell()
    if promised != held or not dtype.itemsize or 0 in shape:
        got = f"{held:,} bytes of numbers, where shape {shape} of {dtype} promises"
        raise damaged(path, what, f"{got} {promised:,}", FIX)
    with archive.open(info) as stream:
        array = format.read_array(
            stream, allow_pickle=False, max_header_size=LARGEST_HEADER
        )
    return _sound(array, path, what)


def _sound(array: np.ndarray, path: Path, what: str) -> np.ndarray:
    """Booleans that are 0 or 1, and text that is Unicode."""
    if array.dtype == bool:
        return array.view(np.uint8) != 0
    if array.dtype.kind == "U":
        order = array.dtype.byteorder
        codes = array.view(np.dtype(np.uint32).newbyteorder(order))
        if ((codes > 0x10FFFF) | (codes >> 11 == 0x1B)).any():
            raise damaged(path, what, "text that is not Unicode", FIX)
    return array
