"""Several processes as one run, without an engine: what they agree on, who writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import EngineError
from chainrule.tracking import JSONLines
from chainrule.training import CSVLogger
from chainrule.util import atomic_files, processes


class Told:
    """Processes of which one is real; what the others say is made of what it says."""

    def __init__(self, index: int, other: Callable[[bytes], bytes]) -> None:
        self.index, self.count, self._other = index, 2, other

    def gather(self, content: bytes) -> list[bytes]:
        """Return what both say, in order: for the same purpose, which comes first."""
        purpose, said = content[: processes._WHAT], content[processes._WHAT :]
        rows = [purpose + self._other(said).ljust(len(said), b"\0"), content]
        return rows if self.index else rows[::-1]


@pytest.fixture
def join() -> Iterator[Any]:
    """Join two processes as one of them; after the test this one is alone."""

    def joined(index: int, other: Callable[[bytes], bytes] = lambda said: said) -> None:
        processes.join(Told(index, other))

    yield joined
    processes._groups.clear()
    processes._parted.clear()


def test_alone() -> None:
    assert (processes.index(), processes.count()) == (0, 1)
    assert processes.is_writer()
    assert processes.most(3, 0.5) == (3, 0.5)
    processes.require_same({"data": "1"}, "…")


def test_the_largest_of_all(join: Any) -> None:
    import struct

    join(1, lambda said: struct.pack("<dd", 7.0, -1.0))
    assert processes.most(2, 5) == (7.0, 5.0)
    assert not processes.is_writer()


def test_what_the_first_has_found_counts(join: Any) -> None:
    join(1, lambda said: b"\0" * 8)
    assert not processes.is_there(True)
    join(0, lambda said: b"\0" * 8)
    assert processes.is_there(True)


def test_a_difference_is_named(join: Any) -> None:
    said: list[bytes] = []

    def other(content: bytes) -> bytes:
        said.append(content)
        if len(said) == 1:  # the digest
            return b"\0" * len(content)
        return content.replace(b"old", b"new")

    join(1, other)
    parts = {"the data 'x'": "same", "the data 'y'": "old"}
    with pytest.raises(EngineError, match="differ in the data 'y'") as error:
        processes.require_same(parts, "look")
    assert "process 0: new; process 1: old" in str(error.value)


def test_the_same_is_let_pass(join: Any) -> None:
    join(1)
    processes.require_same({"the data": "1"}, "…")


def test_functions_that_write(join: Any, tmp_path: Path) -> None:
    join(1)
    atomic_files.make_directory(tmp_path / "made")
    atomic_files.replace(tmp_path / "file", b"1", "file")
    atomic_files.append(tmp_path / "log", b"1", "log")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("index", [0, 1])
def test_the_first_alone_writes(
    join: Any, tmp_path: Path, index: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Checkpoints, logs, trackers and progress of a Trainer."""
    join(index)
    cr.manual_seed(0)
    trainer = cr.Trainer(
        nn.Linear(2, 2),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.SGD(lr=0.1),
        engine="numpy",
    )
    data = np.eye(2, dtype=np.float32), np.arange(2)
    logs = [CSVLogger(tmp_path / "log.csv"), JSONLines(tmp_path / "log.jsonl")]
    place = tmp_path / "run"
    trainer.fit(data, epochs=1, batch_size=1, checkpoint=place, callbacks=logs)
    trainer.save(tmp_path / "end.ckpt")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == (set() if index else {"run", "log.csv", "log.jsonl", "end.ckpt"})
    assert ("epoch 1/1" in capsys.readouterr().err) is (index == 0)
    assert trainer.epoch == 1


@pytest.mark.parametrize("index", [0, 1])
def test_all_are_refused_a_directory(join: Any, tmp_path: Path, index: int) -> None:
    """Where the first may not have it, the others do not begin either."""
    import struct

    trainer = cr.Trainer(
        nn.Linear(1, 1), loss=nn.MSELoss(), optimizer=optim.SGD(), engine="numpy"
    )
    (tmp_path / "last.ckpt").write_bytes(b"of another run")
    data = [[1.0]], [[2.0]]
    join(index, (lambda said: struct.pack("<d", 1.0)) if index else (lambda said: said))
    wanted = "first process could not take" if index else "already holds a run"
    with pytest.raises(cr.errors.ArgumentError, match=wanted):
        trainer.fit(data, epochs=1, batch_size=1, checkpoint=tmp_path, progress=False)
