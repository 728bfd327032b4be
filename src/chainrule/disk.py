"""Files that are written wholly or not at all, and directories for them."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING

from chainrule.errors import SaveError

if TYPE_CHECKING:
    from pathlib import Path


def of_the_system(error: OSError) -> None:
    """Let an exception go on that some signal handler has raised: a TimeoutError.

    What the system refuses has a number.
    """
    if error.errno is None:
        raise error


@contextlib.contextmanager
def ignoring() -> Iterator[None]:
    """Within the block it is no matter what the system refuses."""
    try:
        yield
    except OSError as error:
        of_the_system(error)


@contextlib.contextmanager
def refusals(what: str, expected: str, fix: str) -> Iterator[None]:
    """Within the block what the file system refuses becomes a SaveError."""
    try:
        yield
    except OSError as error:
        of_the_system(error)
        got = error.strerror or str(error)
        raise SaveError(what, expected=expected, got=got, fix=fix) from error


def replace(
    path: Path,
    content: bytes | IO[bytes],
    what: str,
    written: Callable[[os.stat_result], None] | None = None,
) -> None:
    """Put ``content`` at ``path``, wholly or not at all.

    It is written under another name, forced to the disk and then put in its place at
    once: whenever the power fails, the file is the old one or the new one.

    Args:
        path: where to.
        content: all of it, or a file that holds it.
        what: how messages call it.
        written: told of the file that will be in place, just before it is.

    Raises:
        SaveError: where the file system refuses.
    """
    beside = path.with_name(f".{path.name[:200]}.{os.urandom(8).hex()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL  # no other's file, and no link
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    source = io.BytesIO(content) if isinstance(content, bytes) else content
    size = source.seek(0, os.SEEK_END)
    source.seek(0)
    with refusals(
        f"The {what} cannot be written.",
        expected=f"a place for {size:,} bytes at {path}",
        fix="free some space, or write to another directory; what was there "
        "before is unharmed",
    ):
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "no regular file is there")
        try:
            with open(os.open(beside, flags, 0o666), "wb") as file:
                shutil.copyfileobj(source, file)
                file.flush()
                os.fsync(file.fileno())
                if written is not None:
                    written(os.fstat(file.fileno()))
            os.replace(beside, path)
        except BaseException:
            with ignoring():
                beside.unlink(missing_ok=True)
            raise
        _sync_directory(path.parent)


def sweep(path: Path) -> None:
    """Take away what runs that were killed have left beside ``path``.

    A link is taken away itself, and what cannot be is left: a directory, say.
    """
    import glob

    for left in path.parent.glob(f".{glob.escape(path.name[:200])}.*.tmp"):
        with ignoring():
            left.unlink()


def _sync_directory(path: Path) -> None:
    """Force the new name itself to the disk, where directories can be opened."""
    if os.name == "posix":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def make_directory(path: Path) -> None:
    """Make a directory with all that leads to it.

    Raises:
        SaveError: where the file system refuses.
    """
    with refusals(
        "The directory for the run cannot be made.",
        expected=f"a directory at {path}, or the right to make it",
        fix="choose another place, such as --out /tmp/run on the command line",
    ):
        path.mkdir(parents=True, exist_ok=True)
