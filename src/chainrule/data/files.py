"""What all readers of files need: the file itself, memory, and errors that name it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from chainrule.data.checks import shortened
from chainrule.data.column import Column
from chainrule.errors import ArgumentError, ChainruleError, DataError, nearest

#: Deflate, which gzip and NPZ use, makes nothing more than 1032 times smaller.
DEFLATE = 1032
BLOCK = 1 << 20


class Features(NamedTuple):
    """Rows to predict: features without targets.

    Attributes:
        x: the features, a `Column`.
        names: what to call each row: its line in a table, its file among images.
    """

    x: Column
    names: tuple[str, ...]


def checked_path(path: Any, what: str, *, folder: bool = False) -> Path:
    """The path of a file (or folder) that is there.

    Raises:
        ArgumentError: what is no path.
        DataError: nothing there, or something of another kind.
    """
    if not isinstance(path, str | os.PathLike):
        raise ArgumentError(
            f"The path of {what} is not a path.",
            expected="a text or a pathlib.Path",
            got=shortened(repr(path)),
            fix="such as 'data/train.csv'",
        )
    found = Path(os.fsdecode(os.fspath(path)))
    kind = "a folder" if folder else "a file"
    try:
        right = found.is_dir() if folder else found.is_file()
        there = right or found.exists()
        parent = found.parent
        close = nearest(found.name, os.listdir(parent)) if not there else None
    except (OSError, ValueError):
        right, there, close = False, False, None
    if not right:
        problem = f"something that is not {kind}" if there else "nothing there"
        hint = f"did you mean '{close}'? " if close else ""
        raise DataError(
            f"There is no {what} '{shortened(str(found), 200)}'.",
            expected=f"{kind} that can be read",
            got=problem,
            fix=f"{hint}paths count from {os.getcwd()}",
        )
    return found


@contextmanager
def reading(path: Path, what: str, fix: str) -> Iterator[None]:
    """Whatever goes wrong in the block is an error of the file, and names it.

    Args:
        path: the file.
        what: what it should be, such as "an NPZ file".
        fix: what to do about it.
    """
    try:
        yield
    except ChainruleError:
        raise
    except MemoryError as error:
        raise DataError(
            f"'{path}' does not fit into memory.",
            expected="content that fits",
            got="no memory left",
            fix="stream it: cr.data.Stream",
        ) from error
    except Exception as error:
        raise damaged(
            path, what, shortened(f"{type(error).__name__}: {error}", 200), fix
        ) from error


def damaged(path: Path, what: str, got: str, fix: str) -> DataError:
    """The error for a file whose content is not what it should be."""
    return DataError(
        f"'{path}' cannot be read as {what}.", expected=what, got=got, fix=fix
    )


def memory() -> int:
    """Bytes that data may take: half of the machine's memory, or 8 GiB if unknown."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return 8 << 30


def check_memory(path: Path | str, size: int, fix: str) -> None:
    """Refuse content of ``size`` bytes before it takes the machine down."""
    if size > (limit := memory()):
        raise DataError(
            f"'{path}' is too large for this machine's memory.",
            expected=f"at most {limit / 2**30:.1f} GiB, half of what there is",
            got=f"{size / 2**30:.1f} GiB",
            fix=fix,
        )


def check_promise(path: Path, size: int, packed: int, what: str, fix: str) -> None:
    """Refuse a header that promises more than its compressed bytes can hold."""
    if size > DEFLATE * packed + BLOCK:
        raise damaged(
            path,
            what,
            f"a header that promises {size:,} bytes, in {packed:,} compressed ones",
            fix,
        )
    check_memory(path, size, "unpack it into smaller files, or cr.data.Stream")


def fill(stream: IO[bytes], count: int, dtype: np.dtype) -> np.ndarray | None:
    """``count`` numbers from a stream, a block at a time; None where it ends early."""
    array = np.empty(count, dtype)
    room = array.view(np.uint8)
    done = 0
    while done < len(room):
        got = stream.read(min(BLOCK, len(room) - done))
        if not got:
            return None
        room[done : done + len(got)] = np.frombuffer(got, np.uint8)
        done += len(got)
    return array
