"""One writer a directory: a run holds the directory of its checkpoints.

The lock is the system's, on a file beside the checkpoint: it ends with the process,
however that ends, and a child process does not have it.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Any

from chainrule.errors import ArgumentError, SaveError, warn
from chainrule.training import checkpoint

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

LOCK = ".lock"
#: What says that a file is still the one that was read or written.
Identity = tuple[int, int, int, int]
#: Directories that this process holds, which locks of a process do not tell apart.
_held: set[tuple[int, int]] = set()


def identity(path: str | os.PathLike[str]) -> Identity | None:
    """What tells this version of a file from a later one; None without a file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


class RunDirectory:
    """The directory of a run's checkpoints, held within the block.

    Args:
        path: the directory; it is made where there is none.
        known: the checkpoints that the run itself has read or written.

    Raises:
        ArgumentError: the directory holds another run's checkpoint, or one that has
            gone on since; another run holds it now.
        SaveError: it cannot be made.
    """

    def __init__(self, path: Path, known: set[Identity]) -> None:
        self.path, self.known = path, known
        self.file = path / checkpoint.FILE
        self._depth, self._made = 0, False
        self._handle = -1
        self._key = (0, 0)

    def _check(self) -> None:
        if os.path.lexists(self.file) and identity(self.file) not in self.known:
            raise ArgumentError(
                "The directory already holds a run.",
                expected="an empty or new directory, or the checkpoint that this run "
                "wrote or was loaded from",
                got=f"{self.file}, of another run or later",
                fix="choose another directory, or go on with that run: "
                f"Trainer.load({str(self.path)!r}).resume(train), or --resume "
                f"{self.path}",
            )

    def __enter__(self) -> RunDirectory:
        self._depth += 1
        if self._depth > 1:
            return self
        try:
            self._made = not self.path.exists()
            checkpoint.make_directory(self.path)
            self._take()
            self._check()
            for left in self.path.glob(f".{checkpoint.FILE}.*.tmp"):  # by a kill
                left.unlink(missing_ok=True)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: Any) -> None:
        self._depth -= 1
        if self._depth:
            return
        if self._handle >= 0:
            with contextlib.suppress(OSError):
                (self.path / LOCK).unlink()
            os.close(self._handle)
            self._handle = -1
            _held.discard(self._key)
        if self._made:
            with contextlib.suppress(OSError):
                self.path.rmdir()  # where nothing was written

    def _take(self) -> None:
        found = os.stat(self.path)
        self._key = (found.st_dev, found.st_ino)
        if self._key in _held:
            raise self._taken("another run of this process")
        place = self.path / LOCK
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        while True:
            try:
                handle = os.open(place, flags, 0o666)
            except OSError as error:
                checkpoint.of_the_system(error)
                raise SaveError(
                    "The directory for the run cannot be locked.",
                    expected=f"the right to write {place}",
                    got=error.strerror or str(error),
                    fix="choose another directory",
                ) from error
            if not _locked(handle):
                owner = os.read(handle, 200).decode(errors="replace").strip()
                os.close(handle)
                raise self._taken(owner or "another process")
            # The one before may have taken its file away in the meantime.
            if identity(place) is not None and _same(os.fstat(handle), place):
                break
            os.close(handle)
        self._handle = handle
        _held.add(self._key)
        os.truncate(handle, 0)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())

    def _taken(self, owner: str) -> ArgumentError:
        return ArgumentError(
            "Another run writes its checkpoints into this directory.",
            expected=f"no other run on {self.path}",
            got=owner,
            fix="choose another directory, or wait until that run has ended",
        )


def _same(found: os.stat_result, place: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(found, os.stat(place))
    return False


def _locked(handle: int) -> bool:
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
