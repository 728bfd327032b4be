"""Hostile NPZ files: a clear error, or what numpy.load makes of the same file."""

import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from chainrule.data import read_npz
from tests.data.hostile import damaged, fuzzed, outcome


def npy(array: np.ndarray) -> bytes:
    made = io.BytesIO()
    np.save(made, array)
    return made.getvalue()


def npz(x: bytes, y: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in (("x.npy", x), ("y.npy", y)):
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return made.getvalue()


ARRAYS = [
    npy(np.arange(6).astype(dtype).reshape(3, 2, order=order))
    for dtype in ("<f4", ">f8", "u1", "i8", "f2", "b1")
    for order in "CF"
]
TARGETS = [
    npy(np.array(y))
    for y in ([0, 1, 2], [0.5, 1, 2], ["a", "bc", "d"], [[1], [2], [3]])
]
FILES = [npz(x, TARGETS[i % 4], 8 * (i % 2)) for i, x in enumerate(ARRAYS)]
WORDS = [b"'descr'", b"(3, 2)", b"0" * 30, b"'|O'", b"<U9", b"PK\x01\x02", b"\xff" * 4]
INPUT = (
    damaged(FILES, WORDS)
    # Damage inside of the zip file, whose own checksums are right.
    | st.builds(npz, damaged(ARRAYS, WORDS), st.sampled_from(TARGETS), st.just(0))
    | st.builds(npz, st.sampled_from(ARRAYS), damaged(TARGETS, WORDS), st.just(8))
    | st.builds(npz, damaged(ARRAYS, WORDS), damaged(TARGETS, WORDS), st.just(8))
    | st.binary(max_size=60)
)


def check(path: Path, content: bytes) -> None:
    made: Any = outcome(path, content, lambda: read_npz(path))
    if made is None:
        return
    with warnings.catch_warnings(action="ignore"), np.load(path) as arrays:
        x, y = arrays["x"], arrays["y"]
    if x.dtype != bool:  # where we make 0 and 1 of other bytes
        np.testing.assert_array_equal(made.x.stored, x)
    if y.dtype.kind == "U":
        np.testing.assert_array_equal(np.array(made.class_names)[made.y], y)
    elif y.dtype != bool:
        np.testing.assert_array_equal(made.y.reshape(y.shape), y)


test_a_few, test_many = fuzzed(check, INPUT)
