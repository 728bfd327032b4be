"""A disk cache of machine code, which saves compiling in later processes.

An entry is a file whose name is a digest of all that its content depends on. It is
code, and whoever can write it can do what the user can: so nothing is read from a
folder or a file that others may write to or own, and a content is used only where its
checksum says that it is whole and belongs to its name. Whatever is missing, torn or
altered is compiled again and written anew.

``CHAINRULE_CACHE=0`` turns it off, a path is another place for it.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import stat
import time
from collections.abc import Generator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from chainrule import errors
from chainrule.text import _
from chainrule.util.atomic_files import of_the_system

#: What turns the cache off, or names its place.
VARIABLE = "CHAINRULE_CACHE"
#: Bytes that all entries take at most, and one of them.
AT_MOST, ENTRY_AT_MOST = 256 << 20, 64 << 20
#: What a file takes on the disk at least.
_BLOCK = 4096
#: Files that are being written; older ones were left behind by a process that died.
_ABANDONED = 3600.0
_SUFFIX = ".code"
_ENTRY = re.compile(r"[0-9a-f]{64}\.code")
_UNFINISHED = re.compile(r"\.[0-9a-f]{64}\.code\.[0-9a-f]{16}")
#: What others would need to change a file or what stands in a folder.
_OTHERS = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class _File:
    """A file in the machine code cache: an entry, or a leftover of one."""

    name: str
    used: float
    size: int

    @property
    def entry(self) -> bool:
        return bool(_ENTRY.fullmatch(self.name))


class CodeCache:
    """A disk cache of machine code in one folder; system errors are ignored.

    Args:
        folder: made, for the user alone, if it is missing.
        at_most: bytes of all entries; those that were used least recently go.
    """

    def __init__(self, folder: Path, at_most: int = AT_MOST) -> None:
        self.folder, self.at_most = folder, at_most
        self._size: int | None = None

    def get(self, key: str) -> bytes | None:
        """Return the machine code stored under a key, or None if missing or damaged."""
        with _without_refusals(), self._opened() as at:
            name = key + _SUFFIX
            handle = self._open(name, os.O_RDONLY, at)
            with os.fdopen(handle, "rb") as file:
                about = os.fstat(handle)
                if not stat.S_ISREG(about.st_mode) or _danger(about):
                    return None
                data = file.read(ENTRY_AT_MOST)
            checksum, content = data[:32], data[32:]
            if checksum != _checksum(key, content):
                return None
            with _without_refusals():  # where it may only be read
                os.utime(self._place(name, at), dir_fd=at)
            return content
        return None

    def put(self, key: str, content: bytes) -> None:
        """Store machine code in the cache, atomically in place of an old entry."""
        if len(content) + 32 > ENTRY_AT_MOST:
            return
        with _without_refusals(), self._opened(make=True) as at:
            name = key + _SUFFIX
            beside = f".{name}.{os.urandom(8).hex()}"
            # Nothing is forced to the disk: a checksum tells what a crash has torn.
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
                with os.fdopen(self._open(beside, flags, at), "wb") as file:
                    file.write(_checksum(key, content) + content)
                os.replace(
                    self._place(beside, at),
                    self._place(name, at),
                    src_dir_fd=at,
                    dst_dir_fd=at,
                )
            except BaseException:
                with _without_refusals():
                    os.unlink(self._place(beside, at), dir_fd=at)
                raise
            self._bound(len(content), at)

    def entries(self) -> list[_File]:
        """Return the files of all entries in the machine code cache."""
        with _without_refusals(), self._opened() as at:
            return [file for file in self._files(at) if file.entry]
        return []

    def clear(self) -> int:
        """Remove all entries of the machine code cache; return their number."""
        removed = 0
        with _without_refusals(), self._opened() as at:
            for file in self._files(at):
                removed += self._remove(file, at) and file.entry
        self._size = None
        return removed

    # -- the folder --------------------------------------------------------------------

    @contextlib.contextmanager
    def _opened(self, *, make: bool = False) -> Generator[int | None]:
        """Open the machine code cache's folder after checking that it is safe.

        Where the system does not open folders (Windows) it is the user's own by its
        place.

        Raises:
            OSError: there is none, or none that may be used.
        """
        if make:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name != "posix":
            yield None
            return
        at = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            about = os.fstat(at)
            danger = _danger(about)
            if not stat.S_ISDIR(about.st_mode):
                danger = _("which is no folder")
            if danger is not None:
                _warn_of(self.folder, danger)
                raise OSError(errno.EPERM, danger)
            yield at
        finally:
            os.close(at)

    def _place(self, name: str, at: int | None) -> str:
        return name if at is not None else str(self.folder / name)

    def _open(self, name: str, flags: int, at: int | None) -> int:
        for more in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
            flags |= getattr(os, more, 0)
        return os.open(self._place(name, at), flags, 0o600, dir_fd=at)

    def _files(self, at: int | None) -> list[_File]:
        """Return the files in the folder that belong to the machine code cache."""
        files: list[_File] = []
        with os.scandir(self.folder if at is None else at) as items:
            for item in items:
                name = item.name
                if _ENTRY.fullmatch(name) or _UNFINISHED.fullmatch(name):
                    with _without_refusals():  # another process may have removed it
                        about = item.stat(follow_symlinks=False)
                        size = max(about.st_size, _BLOCK)
                        files.append(_File(name, about.st_mtime, size))
        return files

    def _remove(self, file: _File, at: int | None) -> bool:
        with _without_refusals():
            os.unlink(self._place(file.name, at), dir_fd=at)
            return True
        return False

    def _bound(self, written: int, at: int | None) -> None:
        """Remove the machine code cache's oldest entries if it is too large."""
        if self._size is not None:
            self._size += max(written, _BLOCK)
            if self._size <= self.at_most:
                return
        files = sorted(self._files(at), key=lambda file: file.used)
        total = sum(file.size for file in files)
        now = time.time()
        # A quarter is made free at once, so that not every entry costs a look at all.
        aim = total if total <= self.at_most else self.at_most * 3 // 4
        for file in files:
            abandoned = not file.entry and now - file.used > _ABANDONED
            if (abandoned or total > aim) and self._remove(file, at):
                total -= file.size
        self._size = total


@contextlib.contextmanager
def _without_refusals() -> Generator[None]:
    """Return a context manager that ignores the cache's operating system errors."""
    try:
        yield
    except OSError as error:
        of_the_system(error)


def _danger(about: os.stat_result) -> str | None:
    """Return why a cache file or folder is not safe to use, or None if it is."""
    if os.name != "posix":
        return None
    if about.st_uid != os.geteuid():
        return _("which belongs to user {st_uid}", st_uid=about.st_uid)
    if about.st_mode & _OTHERS:
        return _(
            "which others may write to (mode {st_mode:03o})",
            st_mode=stat.S_IMODE(about.st_mode),
        )
    return None


def _checksum(key: str, content: bytes) -> bytes:
    return sha256(key.encode() + content).digest()


@functools.lru_cache(maxsize=16)
def _warn_of(folder: Path, got: str) -> None:
    """Warn once that a machine code cache's folder is not used, and why."""
    errors.warn(
        _("The cache of machine code is not used; programs are compiled anew."),
        expected=_("a folder of yours that only you may write to"),
        got=_("{folder}, {got}", folder=errors.visible(str(folder)), got=got),
        fix=_(
            "chmod 700 that folder, or set {VARIABLE} to another one (0 for none)",
            VARIABLE=VARIABLE,
        ),
    )


# -- which folder ----------------------------------------------------------------------


def code_cache() -> CodeCache | None:
    """Return this process' machine code cache, or None if it is switched off."""
    return _at(os.environ.get(VARIABLE, ""))


@functools.lru_cache(maxsize=16)
def _at(text: str) -> CodeCache | None:
    if text == "0":
        return None
    if text:
        return CodeCache(Path(text).expanduser().absolute())
    import platformdirs

    place = platformdirs.user_cache_path("chainrule", appauthor=False)
    return CodeCache(place / "code")
