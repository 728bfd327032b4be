"""A run to be attacked, and a look at all that lies around it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chainrule.training import checkpoint
from tests.cli.conftest import chainrule, pictures

__all__ = ["chainrule", "pictures"]

TABLE = "a,b,kind\n" + "".join(
    f"{i % 7},{i % 5},{'no' if i % 2 else 'yes'}\n" for i in range(40)
)
RUN = """
[data]
source = "table.csv"
target = "kind"
validation = 0
test = 0.25

[model]
layers = ["Linear"]

[training]
epochs = 2
engine = "numpy"
"""


def tree(folder: Path) -> dict[str, str]:
    """What lies in a folder and below it, links not followed."""
    found: dict[str, str] = {}
    for place in sorted(folder.rglob("*")):
        if place.is_symlink():
            found[str(place)] = os.readlink(place)
        elif place.is_file():
            found[str(place)] = hashlib.sha256(place.read_bytes()).hexdigest()
        else:
            found[str(place)] = "no file"
    return found


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table and a run's file, where the command runs."""
    place = tmp_path / "project"
    place.mkdir()
    (place / "table.csv").write_text(TABLE)
    (place / "run.toml").write_text(RUN)
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def nothing_outside(tmp_path: Path) -> Callable[[Path], Any]:
    """Within the block nothing changes but below one folder."""

    @contextmanager
    def watched(allowed: Path) -> Iterator[None]:
        before = tree(tmp_path)
        yield
        after = tree(tmp_path)
        inside = f"{allowed}{os.sep}"
        changed = {
            k for k in before.keys() | after.keys() if before.get(k) != after.get(k)
        }
        assert {k for k in changed if not f"{k}{os.sep}".startswith(inside)} == set()

    return watched


def forged(place: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """A run's checkpoint with another document, signed as any program can sign it."""
    document, tensors = checkpoint.read(place / checkpoint.FILE)
    change(document)
    checkpoint.write(place / checkpoint.FILE, document, tensors)


def unfinished(document: dict[str, Any]) -> None:
    """As if an epoch were left."""
    document["plan"]["epochs"] += 1
    document["notes"]["run"]["options"]["epochs"] = 3
