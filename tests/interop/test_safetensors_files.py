"""Safetensors files: what their library reads and refuses, read once."""

from __future__ import annotations

import io
import json
import random
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import load, save

import chainrule as cr
from chainrule.errors import CheckpointError
from chainrule.interop.safetensors_files import CODES

TABLE = {
    "b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a": np.array(7, np.int64),
    "empty": np.zeros((0, 4), np.uint8),
    "truth": np.array([True, False]),
    "half": np.array([0.5, -2], np.float16),
}


def file_of(header: Any, content: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


def read(content: bytes) -> dict[str, np.ndarray] | None:
    try:
        return cr.load(io.BytesIO(content))
    except CheckpointError:
        return None


def read_by_the_library(content: bytes) -> dict[str, np.ndarray] | None:
    try:
        return load(content)
    except (SafetensorError, KeyError, ValueError, OverflowError):
        return None


def same(content: bytes) -> bool:
    ours, theirs = read(content), read_by_the_library(content)
    if ours is None or theirs is None:
        assert ours is theirs, content
        return False
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        assert array.dtype == ours[name].dtype
        assert array.shape == ours[name].shape
        assert array.tobytes() == ours[name].tobytes()
    return True


@pytest.mark.parametrize("dtype", [code for code in CODES.values() if code != "?"])
def test_every_dtype(dtype: str) -> None:
    assert same(save({"x": np.arange(12).astype(dtype).reshape(3, 1, 4)}))


#: Of an entry of a header: what stands there, and what may stand there instead.
ENTRIES: list[dict[str, Any]] = [
    {"data_offsets": [0, 20]},
    {"data_offsets": [4, 28]},
    {"data_offsets": [24, 0]},
    {"data_offsets": [-4, 20]},
    {"data_offsets": [0, 24, 24]},
    {"data_offsets": [0.0, 24]},
    {"data_offsets": "ab"},
    {"data_offsets": None},
    {"shape": [2, 2]},
    {"shape": [-2, -3]},
    {"shape": [6.0]},
    {"shape": [True, 6]},
    {"shape": 6},
    {"shape": [2**62, 2**62, 0]},
    {"shape": []},
    {"dtype": "F64"},
    {"dtype": "I32"},
    {"dtype": "BF16"},
    {"dtype": "F4"},
    {"dtype": "F128"},
    {"dtype": 32},
    {"dtype": ["F32"]},
    {"further": 1},
]


@pytest.mark.parametrize("change", ENTRIES, ids=str)
def test_damaged_entries(change: dict[str, Any]) -> None:
    entry = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
    numbers = TABLE["b"].tobytes()
    assert same(file_of({"x": entry}, numbers))
    found = same(file_of({"x": {**entry, **change}}, numbers))
    assert found == (change in ({"dtype": "I32"}, {"further": 1}))
    for name in entry:
        assert not same(
            file_of({"x": {k: entry[k] for k in entry if k != name}}, numbers)
        )


@pytest.mark.parametrize(
    ("header", "content", "right"),
    [
        ({}, b"", True),
        ({}, b"1", False),
        ([], b"", False),
        ({"x": 1}, b"", False),
        ({"__metadata__": None}, b"", True),
        ({"__metadata__": {"a": "b"}}, b"", True),
        ({"__metadata__": {"a": 1}}, b"", False),
        ({"__metadata__": []}, b"", False),
    ],
)
def test_damaged_headers(header: Any, content: bytes, right: bool) -> None:
    assert same(file_of(header, content)) == right


def test_slips_are_refused_where_the_library_refuses_them() -> None:
    """Bytes of a header at random: the same tensors, or the same refusal."""
    draw, whole = random.Random(0), save(TABLE, metadata={"a": "b"})
    size = 8 + int.from_bytes(whole[:8], "little")
    read_rightly = 0
    for _ in range(3000):
        damaged = bytearray(whole)
        for _ in range(draw.choice([1, 1, 2])):
            at = draw.randrange(8, size)
            damaged[at] = draw.choice(b'0123456789[]{},:"FI368 BOLU-.e')
        read_rightly += same(bytes(damaged))
    assert 100 < read_rightly < 2900


def test_cut_files() -> None:
    whole = save(TABLE)
    for n in range(len(whole)):
        assert not same(whole[:n])
    assert not same(whole + b"x")


@pytest.mark.parametrize("reader", [cr.load, cr.load_torch])
def test_numbers_are_in_memory_once(tmp_path: Path, reader: Any) -> None:
    path, size = tmp_path / "x.safetensors", 4_000_000
    path.write_bytes(save({f"x{i}": np.ones(size // 8, np.float32) for i in range(2)}))
    reader(path)
    tracemalloc.start()
    try:
        arrays = reader(path)
        peak = tracemalloc.get_traced_memory()[1]
        del arrays["x0"]
        left = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert peak < 1.1 * size
    assert left < 0.6 * size, "an array is freed without the others"


@pytest.mark.parametrize("reader", [cr.load, cr.load_torch])
def test_what_becomes_of_the_file_changes_no_numbers(
    tmp_path: Path, reader: Any
) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(save(TABLE))
    arrays = reader(path)
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
        file.truncate(9)
    for name, array in TABLE.items():
        np.testing.assert_array_equal(arrays[name], array)
