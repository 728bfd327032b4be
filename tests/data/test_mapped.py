"""Mapped files larger than memory: read block by block, with the bits of an array."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.data import Column, Dataset
from chainrule.data.memory import on_disk, overlaps, release
from chainrule.errors import NonFiniteError

from .resuming import check_resumed, small_blocks

__all__ = ["small_blocks"]

ROWS = 43
DRAW = np.random.default_rng(0)
X, Y = DRAW.normal(size=(ROWS, 2)).astype("f4"), DRAW.normal(size=(ROWS, 1))


def mapped(path: Path, array: np.ndarray, mode: str = "r") -> np.ndarray:
    array.tofile(path)
    return np.memmap(path, array.dtype, mode, shape=array.shape)


def fitted(x: Any, y: Any, **options: Any) -> tuple[bytes, bytes]:
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5), nn.Linear(4, 1))
    adam, loss = optim.Adam(lr=0.01), nn.MSELoss()
    trainer = cr.Trainer(model, loss=loss, optimizer=adam, engine="numpy")
    history = trainer.fit(Dataset(x, y), epochs=3, progress=False, **options)
    weights = b"".join(p.numpy().tobytes() for p in model.parameters())
    return history.steps["loss"].tobytes(), weights


@pytest.mark.one_in(3)
@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 4},
        {"batch_size": None},
        {"batch_size": 4, "drop_last": True, "accumulate_grad_batches": 2},
        {"batch_size": 3, "sample_weight": np.arange(1.0, ROWS + 1)},
    ],
)
def test_a_file_trains_as_an_array_does(tmp_path: Path, options: Any) -> None:
    expected = fitted(X, Y, **options)
    assert fitted(mapped(tmp_path / "x", X), Y, **options) == expected
    both = mapped(tmp_path / "x", X, "r+"), mapped(tmp_path / "y", Y)
    assert fitted(*both, **options) == expected
    assert fitted(Column(both[0][:]), both[1], **options) == expected
    scaled = Column(mapped(tmp_path / "z", X * 2), 0.5)
    assert fitted(scaled, Y, **options) == expected


@pytest.mark.usefixtures("small_blocks")
def test_a_run_on_a_file_goes_on_bit_for_bit(tmp_path: Path) -> None:
    data = Dataset(mapped(tmp_path / "x", X), Y.astype("f4"))
    check_resumed(lambda: data, tmp_path, (1, 2, 5, 11, 13))


@pytest.mark.usefixtures("small_blocks")
def test_other_files_are_refused(tmp_path: Path) -> None:
    trainer = cr.Trainer(
        nn.Linear(2, 1), loss=nn.MSELoss(), optimizer=optim.SGD(lr=0.1)
    )
    data = Dataset(mapped(tmp_path / "x", X), Y)
    trainer.fit(data, epochs=1, batch_size=4, progress=False)
    other = Dataset(mapped(tmp_path / "z", X + 1), Y)
    with pytest.raises(cr.errors.ArgumentError):
        trainer.resume(other, epochs=2, progress=False)
    trainer.resume(data, epochs=2, progress=False)


@pytest.mark.usefixtures("small_blocks")
def test_numbers_that_are_not_finite_are_found_when_they_are_read(
    tmp_path: Path,
) -> None:
    x = X.copy()
    x[17, 1] = np.nan
    data = Dataset(mapped(tmp_path / "x", x), Y)
    trainer = cr.Trainer(
        nn.Linear(2, 1), loss=nn.MSELoss(), optimizer=optim.SGD(lr=0.1)
    )
    with pytest.raises(NonFiniteError, match=r"x holds .* row 17, column 1"):
        trainer.fit(data, epochs=1, batch_size=4, progress=False)
    for call in (trainer.evaluate, trainer.predict):
        with pytest.raises(NonFiniteError, match=r"x holds .* row 17, column 1"):
            call(data, batch_size=4)
    named = Dataset(data.x.stored, Y, feature_names=["a", "b"])
    for copy in (
        lambda: data.split(0.5),
        lambda: data.rows([3, 17]),
        lambda: named.like(Dataset(X, Y, feature_names=["b", "a"])),
    ):  # nobody looks at what is in memory again
        with pytest.raises(NonFiniteError, match="row 17, column"):
            copy()
    y = np.where(np.arange(ROWS)[:, None] == 17, np.nan, Y)
    with pytest.raises(NonFiniteError, match=r"y holds .* row 17, column 0"):
        trainer.evaluate((X, mapped(tmp_path / "y", y)), batch_size=4)


def test_what_is_a_mapped_file(tmp_path: Path) -> None:
    file = mapped(tmp_path / "x", X, "c")
    file[0] = 5.0
    for part in (file, np.asarray(file), file[3:], file.T, np.asarray(file)[::2]):
        assert on_disk(part)
        release(part)
    file.flags.writeable = False
    windows = np.lib.stride_tricks.sliding_window_view(file, 3, axis=0)  # read-only
    for part in (file, windows):
        release(part)
        assert (np.asarray(file[0]) == 5).all()  # changes of a copy are kept
    np.save(tmp_path / "x.npy", X)
    assert on_disk(np.load(tmp_path / "x.npy", mmap_mode="r"))
    assert not on_disk(X)
    assert not overlaps(X[::-2])
    assert overlaps(np.broadcast_to(X, (2, *X.shape)))


#: A limit of the memory that the process may ask for, and what it trains on.
PROGRAM = """
import resource, sys
import numpy as np
import chainrule as cr
from chainrule import nn, optim

def field(name):
    for line in open("/proc/self/status"):
        if line.startswith(name):
            return int(line.split()[1]) << 10

rows, width = 1 << 21, 64
x = np.memmap(sys.argv[1], np.uint8, "r", shape=(rows, width))
y = np.zeros(rows, np.int32)
model = nn.Sequential(nn.Linear(width, 2))
trainer = cr.Trainer(model, loss=nn.CrossEntropyLoss(), optimizer=optim.SGD(lr=0.1))
resource.setrlimit(resource.RLIMIT_DATA, (field("VmData") + (100 << 20),) * 2)
before = field("RssAnon")
data = cr.data.Dataset(x, y, scale=1 / 255, classes=2)
trainer.fit(data, epochs=2, batch_size=8192, progress=False)
assert trainer.evaluate(data, batch_size=8192)["loss"] < 0.5
assert field("RssAnon") - before < 80 << 20, field("RssAnon") - before
try:
    x.copy()
except MemoryError:
    print("larger than memory")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_file_larger_than_memory(tmp_path: Path) -> None:
    with open(tmp_path / "x", "wb") as file:
        file.truncate(1 << 27)  # 128 MiB of zeros that take no room
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "x")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "larger than memory\n", done.stderr
