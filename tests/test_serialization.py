"""``cr.save`` and ``cr.load``: what comes back, what is refused."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError, CheckpointError, SaveError


def test_there_and_back(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    path = tmp_path / "model.safetensors"
    cr.save(model.state_dict(), path)
    state = cr.load(path)
    assert list(state) == sorted(model.state_dict())
    for name, array in model.state_dict().items():
        assert state[name].dtype == array.dtype
        assert state[name].shape == array.shape
        np.testing.assert_array_equal(state[name], array)
    assert [p.name for p in tmp_path.iterdir()] == [path.name], "nothing is left over"


def test_what_goes_in(tmp_path: Path) -> None:
    path = tmp_path / "x"
    big = np.arange(3, dtype=">f4" if sys.byteorder == "little" else "<f4")
    given = {
        "t": cr.tensor([1.0]),
        "scalar": 2,
        "cut": np.eye(4)[::2, 1:].T,
        "big": big,
    }
    cr.save(given, str(path))
    state = cr.load(path)
    assert state["scalar"] == 2
    assert type(state["scalar"]) is int
    np.testing.assert_array_equal(state["cut"], np.eye(4)[::2, 1:].T)
    np.testing.assert_array_equal(state["big"], [0, 1, 2])
    cr.save({}, path)
    assert cr.load(path) == {}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (nn.Linear(1, 1), "model.state_dict()"),
        ({"model": nn.Linear(1, 1)}, "Linear"),
        ({"x": {"y": [0, object()]}}, "'x.y.1'"),
        ({(1, 2): [1.0]}, "keys"),
        ({b"x": 1.0}, "keys"),
        ({"x": 1j}, "complex"),
        ({"x": np.array(1j)}, "ndarray"),
        ({"x": {1, 2}}, "set"),
        ({"x": np.array(["a"])}, "ndarray"),
    ],
)
def test_what_does_not(tmp_path: Path, state: object, words: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        cr.save(state, tmp_path / "x")  # type: ignore[arg-type]
    assert words in str(caught.value)
    assert not list(tmp_path.iterdir())


LEAVES: list[Any] = [
    *(None, True, False, 0, -3, 2**80, 0.1, -0.0, float("inf"), float("nan"), "", "é"),
    *("__array__", np.float32(0.5), np.arange(3), np.zeros((2, 0), np.int8), [], {}),
    *((), np.array(True), np.float64(np.nan), cr.tensor([1.0, 2.0])),
]
KEYS: list[Any] = [
    *("a", "a.b", "b", "0", "", "__array__", "__tuple__", "__items__", "nest"),
    *(0, 1, -2, 1.5, True, None),
]


def nest(draw: random.Random, depth: int = 0) -> Any:
    """Dictionaries, lists and tuples in each other."""
    kind = draw.choice("dlt") if depth == 0 else draw.choice("dltxxxx"[depth:])
    if kind == "x" or depth > 4:
        return draw.choice(LEAVES)
    inner = [nest(draw, depth + 1) for _ in range(draw.randrange(4))]
    if kind == "d":
        return dict(zip(draw.sample(KEYS, len(inner)), inner))
    return inner if kind == "l" else tuple(inner)


def alike(a: Any, b: Any) -> bool:
    """Whether ``b`` is what ``a`` comes back as."""
    if isinstance(a, dict):
        same = {(type(k), k) for k in a} == {(type(k), k) for k in b}
        return same and all(alike(a[k], b[k]) for k in a)  # arrays alone are sorted
    if isinstance(a, list | tuple):
        return type(a) is type(b) and all(map(alike, a, b)) and len(a) == len(b)
    if isinstance(a, np.ndarray | np.generic | cr.Tensor):
        a = np.asarray(a)
        same = a.dtype == b.dtype and a.shape == b.shape
        return same and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    return type(a) is type(b) and repr(a) == repr(b)


def check_nests(seeds: range, path: Path) -> None:
    for seed in seeds:
        given = nest(random.Random(seed))
        cr.save(given, path)
        assert alike(given, cr.load(path)), given
        file = io.BytesIO()
        cr.save(given, file)
        assert file.getvalue() == path.read_bytes()
        file.seek(0)
        assert alike(given, cr.load(file))


def test_nests_come_back(tmp_path: Path) -> None:
    check_nests(range(120), tmp_path / "x")


@pytest.mark.slow
def test_nests_come_back_at_length(tmp_path: Path) -> None:
    check_nests(range(120, 3_000), tmp_path / "x")


def test_nests_that_never_end(tmp_path: Path) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ArgumentError, match="itself in itself"):
        cr.save(endless, tmp_path / "x")


def test_nests_that_were_altered(tmp_path: Path) -> None:
    """Whatever the header says of a nest: a result, or a clear error."""
    from safetensors.numpy import save_file

    arrays = {"a": np.ones(2)}
    for text in (
        *("", "[", "3", "[]", '{"__array__": "b"}', '{"__array__": 1}', "[" * 100_000),
        *('{"__items__": [1]}', '{"__items__": 3}', '{"__items__": [[[], 1]]}'),
        *('{"__items__": [[1, 2, 3]]}', '[{"__array__": "a"}, {"__array__": "a"}]'),
        *('{"__tuple__": 3}', '{"__tuple__": {"__array__": "a"}}'),
    ):
        save_file(arrays, tmp_path / "x", {"nest": text})
        with pytest.raises(CheckpointError):
            cr.load(tmp_path / "x")
    save_file(arrays, tmp_path / "x", {"nest": '{"__tuple__": [{"__array__": "a"}]}'})
    np.testing.assert_array_equal(cr.load(tmp_path / "x")[0], np.ones(2))


class Slow(io.RawIOBase):
    """Takes seven bytes at a time, as a file without a buffer may."""

    def __init__(self) -> None:
        self.taken = bytearray()

    def write(self, content: Any) -> int:
        self.taken += content[:7]
        return min(7, len(content))


def test_open_files(tmp_path: Path) -> None:
    state, slow, plain = {"x": np.arange(5.0), "n": 3}, Slow(), io.BytesIO()
    cr.save(state, plain)
    cr.save(state, slow)
    assert bytes(slow.taken) == plain.getvalue()
    with open(tmp_path / "x", "wb") as file:
        cr.save(state, file)
    with open(tmp_path / "x", "rb") as file:
        assert alike(state, cr.load(file))
    with gzip.open(tmp_path / "y", "wb") as file:
        cr.save(state, file)
    with gzip.open(tmp_path / "y", "rb") as file:
        assert alike(state, cr.load(file))
    with pytest.raises(CheckpointError, match="seek"):
        cr.load(plain)  # which stands at its end
    with pytest.raises(ArgumentError, match="not open for bytes"):
        cr.save(state, io.StringIO())
    with pytest.raises(ArgumentError, match="not open for bytes"):
        cr.load(io.StringIO("text"))
    with open(tmp_path / "x", "rb") as file, pytest.raises(ArgumentError, match="wb"):
        cr.save(state, file)
    with open(tmp_path / "x", "ab") as file, pytest.raises(ArgumentError, match="rb"):
        cr.load(file)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_an_open_file_on_a_full_disk() -> None:
    with (
        pytest.raises(SaveError, match="cannot be written"),
        open("/dev/full", "wb", 0) as file,
    ):
        cr.save({"x": np.ones(5)}, file)


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    with pytest.raises(SaveError, match="cannot be written"):
        cr.save({"x": 1.0}, tmp_path / "no" / "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(SaveError, match="no regular file"):
        cr.save({"x": 1.0}, tmp_path / "folder")


def test_an_exception_of_a_signal_handler_is_none_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr("os.fsync", late)
    with pytest.raises(TimeoutError):
        cr.save({"x": 1.0}, tmp_path / "x")
    assert not list(tmp_path.iterdir())


def written(content: bytes, path: Path) -> Path:
    path.write_bytes(content)
    return path


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    cr.save({"x": np.arange(100.0)}, path)
    whole = path.read_bytes()
    header = json.dumps({"__metadata__": {"chainrule": "{}"}}).encode()
    checkpoint = len(header).to_bytes(8, "little") + header
    for content, words in (
        (b"", "begins with b''"),
        (whole[:-1], "damaged"),
        (whole[:20], "begins with"),
        (b"PK\x03\x04" + bytes(100), "a pickle"),
        (pickle.dumps({"x": 1}), "a pickle"),
        (checkpoint, "cr.Trainer.load(path)"),
        ((2).to_bytes(8, "little") + b"[]", "damaged"),
        ((2**63).to_bytes(8, "little"), "damaged"),
    ):
        with pytest.raises(CheckpointError) as caught:
            cr.load(written(content, path))
        assert words in str(caught.value), content[:30]
    with pytest.raises(CheckpointError, match="No such file"):
        cr.load(tmp_path / "missing")
    with pytest.raises(CheckpointError, match="no regular file"):
        cr.load(tmp_path)
