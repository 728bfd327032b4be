"""Safe file access: only regular files are opened, and they are written atomically.

Whatever a file says is data, from whomever it comes. So there is one way to open a file
for reading, :func:`open_file`, and one way from a path that stands in a file to a place
on the disk, :func:`inside`.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from chainrule.errors import ArgumentError, SaveError
from chainrule.text import _, ngettext

if TYPE_CHECKING:
    from pathlib import Path

#: Bytes that are copied at a time.
_BLOCK = 1 << 20
#: What is no regular file, by the type in its mode.
_KINDS = {
    stat.S_IFDIR: _("a folder"),
    stat.S_IFIFO: _("a pipe"),
    stat.S_IFSOCK: _("a socket"),
    stat.S_IFCHR: _("a device"),
    stat.S_IFBLK: _("a device"),
}


def open_file(path: str | os.PathLike[str], at_most: int | None = None) -> BinaryIO:
    """Open a regular file to read its bytes.

    A pipe that nobody writes to does not block, and a device is never read.

    Args:
        path: of the file; a link to one will do.
        at_most: how many bytes it may hold.

    Raises:
        OSError: no such file, or none that may be read; ``strerror`` says why.
    """
    handle = open_regular(path, os.O_RDONLY)
    file = os.fdopen(handle, "rb")
    size = os.fstat(handle).st_size
    if at_most is not None and size > at_most:
        file.close()
        raise _too_large(f"{size:,}", at_most)
    return file


def open_regular(path: str | os.PathLike[str], flags: int) -> int:
    """Return the descriptor of a regular file, possibly created, without blocking.

    Raises:
        OSError: there is none, or something else.
    """
    for name in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY"):
        flags |= getattr(os, name, 0)
    try:
        handle = os.open(path, flags, 0o666)
    except ValueError as error:  # a NUL, or half a character
        raise OSError(errno.EINVAL, _("no path: {error}", error=error)) from error
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return handle
    os.close(handle)
    kind = _KINDS.get(stat.S_IFMT(mode), "something else")
    raise OSError(errno.EINVAL, _("{kind}, and no regular file", kind=kind))


def is_open(place: Any) -> bool:
    """Return whether an object is an open or file-like object, and no path."""
    return hasattr(place, "read") or hasattr(place, "write")


def called(place: Any) -> str:
    """Return the name of a path or an open file for error messages."""
    if not is_open(place):
        return os.fspath(place)
    name = getattr(place, "name", None)
    return (
        name
        if isinstance(name, str)
        else _("an open {kind}", kind=type(place).__name__)
    )


def read_open(file: Any, most: int = -1) -> bytes:
    """Read the bytes of an open file from its position, at most ``most``.

    Raises:
        ArgumentError: it gives text, or cannot be read.
        OSError: the system refuses.
    """
    try:
        content = file.read(most)
    except (AttributeError, io.UnsupportedOperation) as error:
        raise _no_binary_file(file, "rb", str(error)) from error
    if not isinstance(content, bytes | bytearray | memoryview):
        raise _no_binary_file(
            file, "rb", _("read() gives {kind}", kind=type(content).__name__)
        )
    return bytes(content)


def _no_binary_file(file: Any, mode: str, got: str) -> ArgumentError:
    return ArgumentError(
        _("{file} is not open for bytes.", file=called(file)),
        expected=_(
            "a path, or a file of bytes: open(path, {mode!r}), io.BytesIO()", mode=mode
        ),
        got=got[:80],
        fix=f"open(path, {mode!r})",
    )


def write_open(file: Any, content: bytes, what: str) -> None:
    """Write bytes to an open file, at its position.

    Raises:
        ArgumentError: it takes text, or cannot be written.
        SaveError: the system refuses.
    """
    with refusals(
        _("The {what} cannot be written.", what=what),
        expected=ngettext(
            "a place for {n:,} byte in {file}",
            "a place for {n:,} bytes in {file}",
            n=len(content),
            file=called(file),
        ),
        fix=_("free some space, or write to another file"),
    ):
        try:
            taken = file.write(content)
            while taken and taken < len(content):  # a file without a buffer of its own
                content = content[taken:]
                taken = file.write(content)
        except (AttributeError, TypeError, io.UnsupportedOperation) as error:
            raise _no_binary_file(file, "wb", str(error)) from error


def read_file(path: str | os.PathLike[str], at_most: int) -> bytes:
    """Return all bytes of a regular file of at most ``at_most`` bytes.

    Raises:
        OSError: as :func:`open_file`; some files hold more than they say.
    """
    with open_file(path, at_most) as file:
        content = file.read(at_most + 1)
    if len(content) > at_most:
        raise _too_large("more", at_most)
    return content


def _too_large(size: str, at_most: int) -> OSError:
    return OSError(
        errno.EFBIG,
        _("{size} bytes, where {at_most:,} are the most", size=size, at_most=at_most),
    )


def inside(folder: Path, name: str, what: str, called: str | None = None) -> Path:
    """Return a relative path joined to a folder; refuse paths outside of the folder.

    Args:
        folder: what the path counts from.
        name: the path as it stands in the file.
        what: how messages call it, such as "The path of a log".
        called: how messages call the folder; by default as it is written.

    Raises:
        ArgumentError: an absolute path, one with a drive or with ``..``, one that leads
            outside by a link, or none at all.

    >>> from pathlib import Path
    >>> inside(Path("runs"), "logs/epochs.csv", "The path of a log").as_posix()
    'runs/logs/epochs.csv'
    """
    from pathlib import PureWindowsPath

    there = PureWindowsPath(name)  # which knows both slashes, and drives
    place, reason = folder / name, None
    if there.anchor:
        reason = _("an absolute path")
    elif ".." in there.parts:
        reason = _("a path with ..")
    elif not is_inside(folder, place):
        reason = _("which a link leads outside")
    if reason is not None:
        raise ArgumentError(
            _("{what} leads outside of its directory.", what=what),
            expected=_(
                "a path within {folder}, such as 'name' or 'folder/name'",
                folder=called or folder,
            ),
            got=_("{given!r}, {reason}", given=name[:200], reason=reason),
            fix=_("give a path that is relative and has no .."),
        )
    return place


def is_inside(folder: Path, place: Path) -> bool:
    """Return whether a path lies within a folder after following all links."""
    try:
        root, real = os.path.realpath(folder), os.path.realpath(place)
        return os.path.commonpath([root, real]) == root
    except (OSError, ValueError):  # no path at all, or one on another drive
        return False


def of_the_system(error: OSError) -> None:
    """Raise an OSError again if a signal handler raised it, as TimeoutError.

    What the system refuses has a number.
    """
    if error.errno is None:
        raise error


@contextlib.contextmanager
def ignoring() -> Iterator[None]:
    """Ignore errors of the operating system within a block."""
    try:
        yield
    except OSError as error:
        of_the_system(error)


@contextlib.contextmanager
def refusals(what: str, expected: str, fix: str) -> Iterator[None]:
    """Convert errors of the file system within a block to a SaveError."""
    try:
        yield
    except OSError as error:
        of_the_system(error)
        got = error.strerror or str(error)
        raise SaveError(what, expected=expected, got=got, fix=fix) from error


def _writes() -> bool:
    """Return whether this process writes: of several that run a program, the first."""
    from chainrule.util.processes import is_writer  # which few programs need

    return is_writer()


def replace(
    path: Path,
    content: bytes | IO[bytes],
    what: str,
    written: Callable[[os.stat_result], None] | None = None,
) -> None:
    """Write a file atomically: the whole content or no change.

    It is written under another name, forced to the disk and then put in its place at
    once: whenever the power fails, the file is the old one or the new one.

    Args:
        path: where to.
        content: all of it, or a file that holds it.
        what: how messages call it.
        written: told of the file that will be in place, just before it is.

    Raises:
        SaveError: where the file system refuses.

    Of several processes that run one program the first writes; so do all functions
    here that change files.
    """
    if not _writes():
        return
    beside = path.with_name(f".{path.name[:200]}.{os.urandom(8).hex()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL  # no other's file, and no link
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    source = io.BytesIO(content) if isinstance(content, bytes) else content
    size = source.seek(0, os.SEEK_END)
    source.seek(0)
    with refusals(
        _("The {what} cannot be written.", what=what),
        expected=ngettext(
            "a place for {n:,} byte at {path}",
            "a place for {n:,} bytes at {path}",
            n=size,
            path=path,
        ),
        fix=_(
            "free some space, or write to another directory; what was there "
            "before is unharmed"
        ),
    ):
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, _("no regular file is there"))
        try:
            with open(os.open(beside, flags, 0o666), "wb") as file:
                while block := source.read(_BLOCK):
                    file.write(block)
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


def append(path: Path, content: bytes, what: str, *, new: bool = False) -> None:
    """Append to a file; with ``new``, discard its previous content.

    Raises:
        SaveError: the file system refuses, or what is there is no regular file.
    """
    if not _writes():
        return
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if new else os.O_APPEND)
    with (
        refusals(
            _("The {what} cannot be written.", what=what),
            expected=_("a file at {path}", path=path),
            fix=_("free some space, or choose another path"),
        ),
        os.fdopen(open_regular(path, flags), "wb") as file,
    ):
        file.write(content)


def sweep(path: Path) -> None:
    """Delete temporary files that killed runs left beside a file.

    A link is taken away itself, and what cannot be is left: a directory, say.
    """
    import glob

    if not _writes():
        return
    for left in path.parent.glob(f".{glob.escape(path.name[:200])}.*.tmp"):
        with ignoring():
            left.unlink()


def _sync_directory(path: Path) -> None:
    """Flush a directory's entries to the disk, where directories can be opened."""
    if os.name == "posix":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def make_directory(path: Path) -> None:
    """Create a directory and all its parents.

    Raises:
        SaveError: where the file system refuses.
    """
    if not _writes():
        return
    with refusals(
        _("The directory for the run cannot be made."),
        expected=_("a directory at {path}, or the right to make it", path=path),
        fix=_("choose another place, such as --out /tmp/run on the command line"),
    ):
        path.mkdir(parents=True, exist_ok=True)
