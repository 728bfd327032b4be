"""Hostile idx files: a clear error, or what NumPy makes of the same bytes."""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from chainrule.data import read_idx
from chainrule.data.idx import read_array
from tests.data.hostile import damaged, fuzzed, outcome

NUMBERS = bytes(range(1, 97))
FILES = [
    struct.pack(f">BBBB{len(shape)}I", 0, 0, code, len(shape), *shape)
    + NUMBERS[: math.prod(shape) * width]
    for code, width in ((8, 1), (9, 1), (0x0B, 2), (0x0C, 4), (0x0D, 4), (0x0E, 8))
    for shape in ((3,), (2, 2), (2, 1, 3), (0, 4))
]
PACKED = [gzip.compress(content, mtime=0) for content in FILES[:6]]
WORDS = [b"\0\0\x08\x03", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x1f\x8b\x08"]
INPUT = (
    damaged(FILES, WORDS)
    | damaged(PACKED, WORDS)
    | damaged(FILES, WORDS).map(lambda content: gzip.compress(content, 1, mtime=0))
    | st.binary(max_size=40)
)


def check(path: Path, content: bytes) -> None:
    array = outcome(path, content, lambda: read_array(path))
    if array is not None:
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        rank = content[3]
        shape = struct.unpack_from(f">{rank}I", content, 4)
        dtype = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}[
            content[2]
        ]
        wanted = np.frombuffer(content[4 + 4 * rank :], dtype).reshape(shape)
        np.testing.assert_array_equal(array, wanted)
    made: Any = outcome(path, content, lambda: read_idx(path, path))
    if made is not None:
        assert len(made) > 0
        assert np.isfinite(made.x[:]).all()


test_a_few, test_many = fuzzed(check, INPUT)


def test_the_check_can_fail(tmp_path: Path) -> None:
    """An error of another kind, as an unguarded reader would raise it, is seen."""
    path, broken = tmp_path / "a", gzip.compress(FILES[0])[:-9]
    path.write_bytes(broken)
    with pytest.raises((EOFError, zlib.error)):
        gzip.decompress(broken)
    with pytest.raises(EOFError):
        outcome(path, broken, lambda: gzip.decompress(path.read_bytes()))
