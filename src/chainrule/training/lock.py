"""One writer a directory: a run holds the directory of its checkpoints.

The lock is the system's, on a file beside the checkpoint: it ends with the process,
however that ends, and a child process does not have it.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from chainrule.disk import (
    ignoring,
    make_directory,
    of_the_system,
    open_regular,
    sweep,
)
from chainrule.errors import ArgumentError, SaveError, warn
from chainrule.training.checkpoint import FILE

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

LOCK = ".lock"
#: Directories that this process holds, which locks of a process do not tell apart, and
#: by what; a child that is forked holds none.
_held: dict[tuple[int, int], RunDirectory] = {}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_held.clear)


class Files:
    """The checkpoints of one run: those that it has itself read or written.

    Attributes:
        last: where the last one is, or None.
    """

    def __init__(self) -> None:
        self.last: str | None = None
        self._known: set[tuple[int, int, int, int]] = set()

    def note(self, path: Path) -> None:
        """Remember a checkpoint that was read or written."""
        self.last = str(path)
        self.add(os.stat(path))

    def add(self, found: os.stat_result) -> None:
        """Remember a file by what tells it from a later one, under whatever name."""
        self._known.add(_version(found))

    def has(self, path: Path) -> bool:
        """Whether the file there is one of them, and still as it was."""
        with ignoring():
            return _version(os.stat(path)) in self._known
        return False


def _version(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


class RunDirectory:
    """The directory of a run's checkpoints, held within the block.

    Args:
        path: the directory; it is made where there is none.
        files: the checkpoints of the run.

    Raises:
        ArgumentError: the directory holds another run's checkpoint, or one that has
            gone on since; another run holds it now.
        SaveError: it cannot be made.
    """

    def __init__(self, path: Path, files: Files) -> None:
        self.path, self.files = path, files
        self.file = path / FILE
        self._made, self._handle = False, -1
        self._key = (0, 0)

    def _check(self) -> None:
        if os.path.lexists(self.file) and not self.files.has(self.file):
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
        try:
            self._made = not self.path.exists()
            self._take()
            self._check()
            sweep(self.file)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: Any) -> None:
        own = _held.get(self._key) is self  # and no child's
        try:
            if own and self._handle >= 0:
                with ignoring():
                    (self.path / LOCK).unlink()
        finally:
            handle, self._handle = self._handle, -1  # a number that may be another's
            if handle >= 0:
                os.close(handle)
            if own:
                del _held[self._key]
        if own and self._made:
            with ignoring():
                self.path.rmdir()  # where nothing was written

    def mine(self) -> Path:
        """The file of the checkpoint, for the process that holds the directory.

        Raises:
            ArgumentError: it is held by the process that this one was forked from.
        """
        if _held.get(self._key) is not self:
            raise self._taken("the process that this one was forked from")
        return self.file

    def _take(self) -> None:
        place = self.path / LOCK
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        while True:
            make_directory(self.path)
            try:
                self._reserve(os.stat(self.path))
                handle = open_regular(place, flags)
            except OSError as error:
                of_the_system(error)
                if not self.path.exists():  # whoever made it has taken it away again
                    continue
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
            if _same(os.fstat(handle), place):
                break
            os.close(handle)
        self._handle = handle
        os.truncate(handle, 0)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())

    def _reserve(self, found: os.stat_result) -> None:
        """Hold the directory within this process, where it is another than before."""
        key = found.st_dev, found.st_ino
        if _held.get(self._key) is self and key != self._key:
            del _held[self._key]
        self._key = key
        other = _held.setdefault(key, self)
        if other is not self and other.files is self.files:
            other.__exit__()  # of this very run: an exception cut short its end
            other = _held.setdefault(key, self)
        if other is not self:
            raise self._taken("another run of this process")

    def _taken(self, owner: str) -> ArgumentError:
        return ArgumentError(
            "Another run writes its checkpoints into this directory.",
            expected=f"no other run on {self.path}",
            got=owner,
            fix="choose another directory, or wait until that run has ended",
        )


def _same(found: os.stat_result, place: Path) -> bool:
    with ignoring():
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
    except OSError as error:
        of_the_system(error)
        if isinstance(error, BlockingIOError | PermissionError):
            return False
        warn(
            "This file system has no locks: keep to one run a directory.",
            expected="a file system that can lock files",
            got=error.strerror or str(error),
            fix="a local directory",
        )
    return True
