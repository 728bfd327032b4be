"""One writer a directory: a run holds the directory of its checkpoints.

The lock is the system's, on a file beside the checkpoint: it ends with the process,
however that ends, and a child process does not have it.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chainrule.disk import make_directory, refusals
from chainrule.errors import ArgumentError, warn
from chainrule.training.checkpoint import FILE

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

LOCK = ".lock"
#: Directories that this process holds, which locks of a process do not tell apart.
_held: set[tuple[int, int]] = set()


class Files:
    """The checkpoints of one run: those that it has itself read or written.

    Attributes:
        last: where the last one is, or None.
    """

    def __init__(self) -> None:
        self.last: str | None = None
        self._known: set[Any] = set()

    def note(self, path: Path) -> None:
        """Remember a checkpoint that was read or written."""
        self.last = str(path)
        self._known.add(_version(path))

    def has(self, path: Path) -> bool:
        """Whether the file there is one of them, and still as it was."""
        found = _version(path)
        return found is not None and found in self._known


def _version(path: Path) -> tuple[int, int, int, int] | None:
    """What tells this version of a file from a later one; None without a file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


@contextlib.contextmanager
def hold(path: Path, files: Files) -> Iterator[Path]:
    """Within the block a run has the directory of its checkpoints for itself.

    Args:
        path: the directory; it is made where there is none.
        files: the checkpoints of the run.

    Yields:
        The file of its checkpoint.

    Raises:
        ArgumentError: the directory holds another run's checkpoint, or one that has
            gone on since; another run holds it now.
        SaveError: it cannot be made.
    """
    made, file = not path.exists(), path / FILE
    try:
        make_directory(path)
        with _locked(path):
            if os.path.lexists(file) and not files.has(file):
                raise ArgumentError(
                    "The directory already holds a run.",
                    expected="an empty or new directory, or the checkpoint that this "
                    "run wrote or was loaded from",
                    got=f"{file}, of another run or later",
                    fix="choose another directory, or go on with that run: "
                    f"Trainer.load({str(path)!r}).resume(train), or --resume {path}",
                )
            for left in path.glob(f".{FILE}.*.tmp"):  # by a kill
                left.unlink(missing_ok=True)
            yield file
    finally:
        if made:
            with contextlib.suppress(OSError):
                path.rmdir()  # where nothing was written


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    found, place = os.stat(path), path / LOCK
    key = found.st_dev, found.st_ino
    if key in _held:
        raise _taken(path, "another run of this process")
    handle = -1
    try:
        while handle < 0:
            handle = _opened(place)
            if not _take(handle):
                owner = os.read(handle, 200).decode(errors="replace").strip()
                raise _taken(path, owner or "another process")
            if not _same(handle, place):  # the one before has taken its file away
                os.close(handle)
                handle = -1
        _held.add(key)
        os.truncate(handle, 0)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield
    finally:
        if key in _held:
            with contextlib.suppress(OSError):
                place.unlink()
        if handle >= 0:
            os.close(handle)
        _held.discard(key)


def _opened(place: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    with refusals(
        "The directory for the run cannot be locked.",
        expected=f"the right to write {place}",
        fix="choose another directory",
    ):
        return os.open(place, flags, 0o666)


def _taken(path: Path, owner: str) -> ArgumentError:
    return ArgumentError(
        "Another run writes its checkpoints into this directory.",
        expected=f"no other run on {path}",
        got=owner,
        fix="choose another directory, or wait until that run has ended",
    )


def _same(handle: int, place: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(handle), os.stat(place))
    return False


def _take(handle: int) -> bool:
    """Take the lock; False where another process has it."""
    try:
        if fcntl is not None:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            windows: Any = msvcrt
            windows.locking(handle, windows.LK_NBLCK, 1)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        warn(
            "This file system has no locks: keep to one run a directory.",
            expected="a file system that can lock files",
            got=error.strerror or str(error),
            fix="a local directory",
        )
    return True
