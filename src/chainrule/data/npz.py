"""NPZ files: several NumPy arrays in one zip file.

The header of each array is read here, by a pattern that takes plain arrays of numbers
and text alone. So nothing in a file is ever executed, and what a header promises is
held against the length of the content before any memory is taken.
"""

import math
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from chainrule.data.checks import checked_names, shortened
from chainrule.data.dataset import Dataset
from chainrule.data.files import (
    Features,
    check_memory,
    check_promise,
    checked_path,
    damaged,
    fill,
    reading,
)
from chainrule.errors import ArgumentError, DataError, nearest

if TYPE_CHECKING:
    from zipfile import ZipFile

WHAT = "an NPZ file"
FIX = "write it with numpy.savez(path, x=features, y=targets)"
SIZE = r" *(?:0|[1-9][0-9]{0,14}) *"
HEADER = re.compile(
    r"\{ *'descr': *'([<>|=]?[biufUS][0-9]{1,9})',"
    r" *'fortran_order': *(True|False),"
    rf" *'shape': *\(( *|{SIZE}, *|{SIZE}(?:,{SIZE})+,? *)\),? *\}} *\n?"
)
LARGEST_HEADER = 10_000
AXES = 32
VERSIONS = (b"\1\0", b"\2\0", b"\3\0")
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
    n = len(features) if features.ndim else 1
    data = Dataset(features, np.zeros(n, np.int32), scale=scale)  # for its checks
    return Features(data.x, tuple(f"row {i}" for i in range(n)))


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
                fix=_meant(text, names) + "correct it, or add it to class_names",
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
    with reading(found, WHAT, FIX), _opened(found) as archive:
        return found, [_member(archive, found, name) for name in wanted]


@contextmanager
def _opened(path: Path) -> "Iterator[ZipFile]":
    from zipfile import ZipFile  # here, as it takes a while to load

    with path.open("rb") as file:
        begin = file.read(6)
        if begin == b"\x93NUMPY":
            raise damaged(path, WHAT, "a single array (.npy)", FIX)
        if begin[:4] not in (b"PK\3\4", b"PK\5\6"):
            shown = f"a file that begins {begin.hex(' ')}" if begin else "an empty file"
            raise damaged(path, WHAT, shown, FIX)
        with ZipFile(file) as archive:
            yield archive


def _member(archive: "ZipFile", path: Path, name: str) -> np.ndarray:
    """The array of this name."""
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    info = members.get(name)
    if info is None:
        known = shortened(", ".join(members) or "none", 200)
        raise DataError(
            f"'{path}' has no array '{shortened(name)}'.",
            expected=f"one of its arrays: {known}",
            got=repr(shortened(name)),
            fix=_meant(name, members) + "say which: read_npz(path, x=…, y=…)",
        )
    what = f"an NPZ file with a plain array '{shortened(name)}'"
    if info.compress_type not in (STORED, DEFLATED):
        raise damaged(path, what, f"compression of type {info.compress_type}", FIX)
    packed = min(info.compress_size, path.stat().st_size)
    if info.compress_type == STORED:
        check_memory(path, info.file_size, "cr.data.Stream")
        if info.file_size > packed:
            raise damaged(path, what, f"{packed:,} of {info.file_size:,} bytes", FIX)
    else:
        check_promise(path, info.file_size, packed, what, FIX)
    with archive.open(info) as stream:
        return _array(stream, info.file_size, path, what)


def _array(stream: IO[bytes], size: int, path: Path, what: str) -> np.ndarray:
    """An array in NumPy's format of ``size`` bytes, header included."""
    start, dtype, fortran, shape = _header(stream, path, what)
    count = math.prod(shape)
    if start + count * dtype.itemsize != size:
        raise damaged(
            path,
            what,
            f"{size - start:,} bytes of numbers, where its header promises "
            f"{count * dtype.itemsize:,}",
            FIX,
        )
    array = fill(stream, count, dtype)
    if array is None or stream.read(1):  # the end: here the checksum is compared
        raise damaged(path, what, "an array that ends early", FIX)
    return _sound(array, path, what).reshape(shape, order="F" if fortran else "C")


def _header(
    stream: IO[bytes], path: Path, what: str
) -> tuple[int, np.dtype, bool, tuple[int, ...]]:
    """Where the numbers start, their type, their order and the shape."""
    magic = stream.read(8)
    if len(magic) < 8 or magic[:6] != b"\x93NUMPY" or magic[6:] not in VERSIONS:
        raise damaged(path, what, f"an array that begins {magic.hex(' ')}", FIX)
    width, form = (2, "<H") if magic[6] == 1 else (4, "<I")
    (length,) = struct.unpack(form, stream.read(width))
    text = stream.read(min(length, LARGEST_HEADER + 1)).decode("latin-1")
    match = HEADER.fullmatch(text)
    if len(text) != length or match is None:
        raise damaged(
            path,
            f"{what}: numbers or text, no objects and no records",
            f"the header {shortened(text.strip())}",
            "save numbers, such as numpy.asarray(x, dtype='float32')",
        )
    sizes = [int(size) for size in re.findall("[0-9]+", match[3])]
    if len(sizes) > AXES:
        raise damaged(path, what, f"a shape of ({shortened(match[3])})", FIX)
    start = 8 + width + length
    return start, np.dtype(match[1]), match[2] == "True", tuple(sizes)


def _sound(array: np.ndarray, path: Path, what: str) -> np.ndarray:
    """Booleans that are 0 or 1, and text that is Unicode."""
    if array.dtype.kind == "b":
        return array.view(np.uint8) != 0
    if array.dtype.kind == "U":
        order = array.dtype.byteorder
        codes = array.view(np.dtype(np.uint32).newbyteorder(order))
        if array.size and ((codes > 0x10FFFF) | (codes >> 11 == 0x1B)).any():
            raise damaged(path, what, "text that is not Unicode", FIX)
    return array


def _meant(name: str, known: Any) -> str:
    close = nearest(name, known)
    return f"did you mean '{close}'? " if close else ""
