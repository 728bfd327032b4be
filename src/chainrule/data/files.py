"""Common parts of the readers of data files: paths, memory limits, errors."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from chainrule.data.checks import shortened
from chainrule.errors import ArgumentError, ChainruleError, DataError, nearest
from chainrule.text import _
from chainrule.util.atomic_files import open_file

#: The most classes without a label in the data.
UNSEEN = 1000


def checked_path(path: Any, what: str, *, folder: bool = False) -> Path:
    """Return the path of an existing data file or folder, or raise an error.

    Raises:
        ArgumentError: a value that is no path.
        DataError: nothing there, or a file instead of a folder, or the reverse.
    """
    if not isinstance(path, str | os.PathLike):
        raise ArgumentError(
            _("The path of {what} is not a path.", what=what),
            expected=_("a text or a pathlib.Path"),
            got=shortened(repr(path)),
            fix=_("such as 'data/train.csv'"),
        )
    resolved = Path(os.fsdecode(os.fspath(path)))
    kind = _("a folder") if folder else _("a file")
    try:
        right = resolved.is_dir() if folder else resolved.is_file()
        exists = right or resolved.exists()
        siblings = () if exists else os.listdir(resolved.parent)
    except (OSError, ValueError):
        right, exists, siblings = False, False, ()
    if not right:
        raise DataError(
            _(
                "There is no {what} '{found}'.",
                what=what,
                found=shortened(str(resolved), 200),
            ),
            expected=_("{kind} that can be read", kind=kind),
            got=_("something that is not {kind}", kind=kind)
            if exists
            else _("nothing there"),
            fix=meant(
                resolved.name, siblings, _("paths count from {here}", here=os.getcwd())
            ),
        )
    return resolved


@contextmanager
def reading(path: Path, what: str, fix: str) -> Iterator[None]:
    """Turn any error while a data file is read into a DataError that names the file.

    Args:
        path: the file.
        what: the expected kind of file, such as "an NPZ file".
        fix: the remedy.
    """
    try:
        yield
    except ChainruleError:
        raise
    except MemoryError as error:
        raise DataError(
            _("'{path}' does not fit into memory.", path=path),
            expected=_("content that fits"),
            got=_("no memory left"),
            fix=_("stream it: cr.data.Stream"),
        ) from error
    except Exception as error:
        got = shortened(f"{type(error).__name__}: {error}", 200)
        raise damaged(path, what, got, fix) from error


@contextmanager
def opened(path: Path, what: str, fix: str) -> Iterator[BinaryIO]:
    """Open a data file for reading; errors in the block name the file."""
    with reading(path, what, fix), open_file(path) as file:
        yield file


def damaged(path: Path, what: str, got: str, fix: str) -> DataError:
    """Return the error for a data file whose content is not of the expected kind."""
    return DataError(
        _("'{path}' cannot be read as {what}.", path=path, what=what),
        expected=what,
        got=got,
        fix=fix,
    )


def classes_of(y: np.ndarray, path: Path) -> int:
    """Return the number of classes in a data file: the largest label + 1, at least 2.

    Raises:
        DataError: most of them never come up; every one would cost a row of weights.
    """
    count, distinct = max(int(y.max()) + 1, 2), len(np.unique(y))
    if count > 2 * distinct + UNSEEN:
        raise DataError(
            _("The labels of '{path}' have gaps.", path=path),
            expected=_(
                "labels from 0 on, without gaps; different ones: {found:,}",
                found=distinct,
            ),
            got=_("a label {made:,}", made=count - 1),
            fix=_("number them: numpy.unique(y, return_inverse=True)[1]; or name them"),
        )
    return count


def meant(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return an error's fix, which names a known name similar to a misspelt one."""
    close = nearest(name, known)
    if not close:
        return otherwise
    return _("did you mean '{close}'? {otherwise}", close=close, otherwise=otherwise)


#: Linux's files of the free memory, and of a container's limit and usage.
FREE, CONTAINER = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def memory() -> int:
    """Return the memory limit for data in bytes: half of the memory, or the free part.

    What is free is asked of Linux, in a container too; 8 GiB where nothing is known.
    """
    try:
        half = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        half = 8 << 30
    limits = [half]
    with suppress(OSError, ValueError, KeyError):
        limits.append(1024 * _numbers_in(FREE)["MemAvailable:"])
    with suppress(OSError, ValueError, KeyError):
        most = int((CONTAINER / "memory.max").read_text("ascii"))  # or "max"
        taken = int((CONTAINER / "memory.current").read_text("ascii"))
        files = _numbers_in(CONTAINER / "memory.stat")["inactive_file"]  # given back
        limits.append(max(0, most - taken + files))
    return min(limits)


def _numbers_in(file: Path) -> dict[str, int]:
    """Read lines ``name number …`` of a system file on memory into a dictionary."""
    rows = (line.split() for line in file.read_text("ascii").splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) > 1}


def check_memory(path: Path | str, size: int, fix: str) -> None:
    """Refuse a data file whose content of ``size`` bytes exceeds the memory."""
    if size > (limit := memory()):
        raise DataError(
            _("'{path}' is too large for this machine's memory.", path=path),
            expected=_(
                "at most {limit:.1f} GiB, half of what there is or what is free",
                limit=limit / 2**30,
            ),
            got=f"{size / 2**30:.1f} GiB",
            fix=fix,
        )
