"""``cr.save`` and ``cr.load``: what comes back, what is refused."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

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
    assert state["scalar"].shape == ()
    np.testing.assert_array_equal(state["cut"], np.eye(4)[::2, 1:].T)
    np.testing.assert_array_equal(state["big"], [0, 1, 2])
    cr.save({}, path)
    assert cr.load(path) == {}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (nn.Linear(1, 1), "model.state_dict()"),
        ({"model": {"w": 1.0}}, "'model': dict"),
        ({"model": nn.Linear(1, 1)}, "'model': Linear"),
        ({1: [1.0]}, "1: list"),
        ({"x": "text"}, "'x': str"),
        ({"x": None}, "NoneType"),
        ({"x": [1, [2]]}, "list"),
        ({"x": 1j}, "complex"),
    ],
)
def test_what_does_not(tmp_path: Path, state: object, words: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        cr.save(state, tmp_path / "x")  # type: ignore[arg-type]
    assert words in str(caught.value)
    assert not list(tmp_path.iterdir())


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
