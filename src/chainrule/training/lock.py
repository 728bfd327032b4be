"""The lock on a run's checkpoint directory, which allows one writing process.

The lock is the system's, on a file beside the checkpoint: it ends with the process,
however that ends, and a child process does not have it. The library ``filelock`` locks
alike, but does not say who holds a lock, leaves its file behind, and falls back on a
file that outlives a killed process where the file system has no locks.
"""

from __future__ import annotations

import os
import socket
import weakref
from pathlib import Path
from typing import Any

from chainrule.errors import ArgumentError, SaveError, warn
from chainrule.text import _
from chainrule.training.checkpoint import FILE
from chainrule.util.atomic_files import (
    ignoring,
    is_open,
    make_directory,
    of_the_system,
    open_regular,
    refusals,
    sweep,
)
from chainrule.util.processes import is_writer, most

try:
    import fcntl
except ImportError:  # Windows, and WebAssembly
    fcntl = None
try:
    import msvcrt
except ImportError:  # all but Windows
    msvcrt = None

LOCK = ".lock"
#: What a child that is forked lets go, or it would hold them longer than its parent.
_open_directories: weakref.WeakSet[RunDirectory] = weakref.WeakSet()


def _forked() -> None:
    for directory in _open_directories:
        directory.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class Files:
    """The checkpoint files that a run has read or written, by identity and version.

    Attributes:
        last: where the last one is, or None.
        directory: that the run holds, or an exception kept it from letting go.
    """

    def __init__(self) -> None:
        self.last: str | None = None
        self.directory: RunDirectory | None = None
        self._known: set[tuple[int, int, int, int]] = set()

    def note(self, place: Any) -> None:
        """Remember a run's checkpoint that was read or written at a path."""
        if not is_open(place):
            self.last = str(place)
            if is_writer():
                self.add(os.stat(place))

    def add(self, status: os.stat_result) -> None:
        """Remember a checkpoint file's identity and version, whatever its name."""
        self._known.add(_version(status))

    def has(self, path: Path) -> bool:
        """Return whether the file at a path is a known checkpoint, unchanged."""
        with ignoring():
            return _version(os.stat(path)) in self._known
        return False


def _version(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


class RunDirectory:
    """A context manager that locks the directory of a run's checkpoints.

    Of several processes the first locks it, and all are refused where that is.

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
        self.file, self.lock = path / FILE, path / LOCK
        self._created = self._locked = False
        self._handle = -1

    def __enter__(self) -> RunDirectory:
        refused: BaseException | None = None
        if is_writer():
            try:
                self._enter()
            except (ArgumentError, SaveError) as error:
                refused = error
        if any(most(refused is not None)):
            raise refused or ArgumentError(
                _("The first process could not take the directory of the run."),
                expected=_("a directory that it may write: {path}", path=self.path),
                got=_("a refusal, which it tells"),
            )
        return self

    def _enter(self) -> None:
        before, self.files.directory = self.files.directory, self
        if before is not None:
            before.__exit__()  # of this very run: an exception cut short its end
        try:
            self._created = not self.path.exists()
            self._take()
            if os.path.lexists(self.file) and not self.files.has(self.file):
                raise ArgumentError(
                    _("The directory already holds a run."),
                    expected=_(
                        "an empty or new directory, or the checkpoint "
                        "that this run wrote or was loaded from"
                    ),
                    got=_("{file}, of another run or later", file=self.file),
                    fix=_(
                        "choose another directory, or go on with that run: "
                        "Trainer.load({path!r}).resume(train), or --resume "
                        "{own_path}",
                        path=str(self.path),
                        own_path=self.path,
                    ),
                )
            sweep(self.file)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *error: Any) -> None:
        mine, self._locked = self._locked and self._handle >= 0, False
        try:
            if mine:
                with ignoring():
                    self.lock.unlink()
        finally:
            self.close()
        if mine and self._created:
            with ignoring():
                self.path.rmdir()  # where nothing was written

    def close(self) -> None:
        """Release the lock on a run's directory; the lock file remains."""
        handle, self._handle = self._handle, -1  # a number that may be another's
        if handle >= 0:
            os.close(handle)

    def mine(self) -> Path:
        """Return the run's checkpoint path; refuse in a process without the lock.

        Raises:
            ArgumentError: it is held by the process that this one was forked from.
        """
        if self._handle < 0 and is_writer():
            raise self._taken(_("the process that this one was forked from"))
        return self.file

    def _take(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        _open_directories.add(self)
        # The one before may have taken its file away in the meantime, or all of it.
        while not (self._locked and _same(self._handle, self.lock)):
            self.close()
            make_directory(self.path)
            try:
                self._handle = open_regular(self.lock, flags)
            except OSError as error:
                of_the_system(error)
                if not self.path.exists():
                    continue
                raise SaveError(
                    _("The directory for the run cannot be locked."),
                    expected=_("the right to write {lock}", lock=self.lock),
                    got=error.strerror or str(error),
                    fix=_("choose another directory"),
                ) from error
            self._locked = _locked(self._handle)
            if not self._locked:
                owner = os.read(self._handle, 200).decode(errors="replace").strip()
                raise self._taken(owner or _("another process"))
        with refusals(
            _("The directory for the run cannot be locked."),
            expected=_("a place for the lock {lock}", lock=self.lock),
            fix=_("free some space, or choose another directory"),
        ):
            os.truncate(self._handle, 0)
            os.write(self._handle, f"{_this_process()}\n".encode())

    def _taken(self, owner: str) -> ArgumentError:
        same = owner == _this_process()
        return ArgumentError(
            _("Another run writes its checkpoints into this directory."),
            expected=_("no other run on {path}", path=self.path),
            got=_("another run of this process") if same else owner,
            fix=_("choose another directory, or wait until that run has ended"),
        )


def _this_process() -> str:
    return _(
        "process {getpid} on {gethostname}",
        getpid=os.getpid(),
        gethostname=socket.gethostname(),
    )


def _same(handle: int, place: Path) -> bool:
    with ignoring():
        return os.path.samestat(os.fstat(handle), os.stat(place))
    return False


def _locked(handle: int) -> bool:
    """Try to lock a run's lock file; return False if another process holds it."""
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        elif msvcrt is not None:
            windows: Any = msvcrt
            windows.locking(handle, windows.LK_NBLCK, 1)
        # Where there is neither, in WebAssembly, a file is of one program alone.
    except OSError as error:
        of_the_system(error)
        if isinstance(error, BlockingIOError | PermissionError):
            return False
        warn(
            _("This file system has no locks: keep to one run a directory."),
            expected=_("a file system that can lock files"),
            got=error.strerror or str(error),
            fix=_("a local directory"),
        )
    return True
