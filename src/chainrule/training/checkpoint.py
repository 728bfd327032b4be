"""Checkpoint files: safetensors for the numbers, JSON for the rest, in one file.

The JSON document lies in the safetensors header, beside a SHA-256 of the document and
of every tensor. A file is written under another name, forced to the disk and then put
in its place at once: whenever the power fails, the file is the old one or the new one.
Nothing is executed on reading, and everything is verified before anything is used.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.errors import CheckpointError, SaveError
from chainrule.graph.node import Array

#: The format that this version writes and reads.
VERSION = 1
#: The file that a training run keeps up to date in its directory.
FILE = "last.ckpt"
#: What says that a file is still the one that was read or written.
Identity = tuple[int, int, int, int]
#: The longest header in bytes, the limit of safetensors; how deep a document may be.
HEADER, DEPTH = 100_000_000, 100


def write(
    path: Path,
    document: Mapping[str, Any],
    tensors: Mapping[str, Array],
    known: set[Identity] | None = None,
) -> None:
    """Write a checkpoint, atomically.

    Args:
        path: where to.
        document: what JSON has.
        tensors: the numbers.
        known: gets the new file's identity before it is in its place: an exception at
            any moment leaves no checkpoint there that its own run does not know.

    Raises:
        SaveError: no space, no permission, no such directory, or something in the
            document that JSON does not have; an older checkpoint at ``path`` stays as
            it was.
    """
    from safetensors.numpy import save

    text = _text(document)
    whole = {name: np.array(array, order="C") for name, array in tensors.items()}
    header = {
        "chainrule": text,
        "version": str(VERSION),
        "sha256": _digest(text, whole),
    }
    replace(path, save(whole, metadata=header), "checkpoint", known)


def _text(document: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(document, ensure_ascii=False, sort_keys=True)
        text.encode()
        if depth(document) > DEPTH:
            raise ValueError(f"more than {DEPTH} values in each other")
    except (TypeError, ValueError, RecursionError) as error:
        raise SaveError(
            "A checkpoint cannot hold what it shall remember.",
            expected="notes and states of callbacks that JSON has: dictionaries with "
            f"texts as keys, lists, texts, numbers, at most {DEPTH} in each other",
            got=str(error)[:200],
            fix="keep numbers instead of objects: float(x), x.tolist(), str(path)",
        ) from error
    return text


def depth(document: Any) -> int:
    """How many dictionaries and lists lie in each other, without recursion.

    >>> depth(1), depth([]), depth({"a": [{}, 2]})
    (0, 1, 3)
    """
    level, found = [document], 0
    while level := [item for item in level if isinstance(item, dict | list)]:
        found += 1
        level = [
            inner
            for item in level
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
    return found


def identity(found: os.stat_result) -> Identity:
    """What tells this version of a file from a later one; it outlives a new name."""
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def of_the_system(error: OSError) -> None:
    """Let an exception go on that some signal handler has raised: a TimeoutError."""
    if error.errno is None:
        raise error


@contextlib.contextmanager
def ignoring() -> Iterator[None]:
    """Within the block it is no matter what the system refuses."""
    try:
        yield
    except OSError as error:
        of_the_system(error)


def replace(
    path: Path, content: bytes, what: str, known: set[Identity] | None = None
) -> None:
    """Put ``content`` at ``path``, wholly or not at all; ``known`` gets its identity.

    Raises:
        SaveError: where the file system refuses.
    """
    name = f".{path.name[:200]}.{secrets.token_hex(8)}.tmp"
    beside = path.with_name(name)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL  # no other's file, and no link
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "no regular file is there")
        try:
            with open(os.open(beside, flags, 0o666), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                if known is not None:
                    known.add(identity(os.fstat(file.fileno())))
            os.replace(beside, path)
        except BaseException:
            with ignoring():
                beside.unlink(missing_ok=True)
            raise
        _sync_directory(path.parent)
    except OSError as error:
        of_the_system(error)
        raise SaveError(
            f"The {what} cannot be written.",
            expected=f"a place for {len(content):,} bytes at {path}",
            got=f"{error.strerror or error} ({path.parent})",
            fix="free some space, or write to another directory; what was there "
            "before is unharmed",
        ) from error


def sweep(path: Path) -> None:
    """Take away what runs that were killed have left beside ``path``.

    A link is taken away itself, and what cannot be is left: a directory, say.
    """
    for left in path.parent.glob(f".{glob.escape(path.name[:200])}.*.tmp"):
        with ignoring():
            left.unlink()


def make_directory(path: Path) -> None:
    """Make a directory with all that leads to it.

    Raises:
        SaveError: where the file system refuses.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        of_the_system(error)
        raise SaveError(
            "The directory for the run cannot be made.",
            expected=f"a directory at {path}, or the right to make it",
            got=error.strerror or str(error),
            fix="choose another place, such as --out /tmp/run on the command line",
        ) from error


def _sync_directory(path: Path) -> None:
    """Force the new name itself to the disk, where directories can be opened."""
    if os.name == "posix":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def locate(path: str | os.PathLike[str]) -> Path:
    """The checkpoint that ``path`` means: a file, or the directory of a run."""
    found = Path(path)
    return found / FILE if found.is_dir() else found


def read(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """The document and the tensors of a checkpoint, verified.

    Raises:
        CheckpointError: no such file, no checkpoint, truncated, altered, or of another
            version of the format.
    """
    metadata, content = _content(path)
    text = metadata["chainrule"]
    if metadata.get("version") != str(VERSION):
        raise CheckpointError(
            "The checkpoint has another version of the format.",
            expected=f"version {VERSION}",
            got=f"version {metadata.get('version')!r:.20} in {path}",
            fix="read it with the version of Chainrule that wrote it, or update",
        )
    tensors = _tensors(path, content)
    if metadata.get("sha256") != (found := _digest(text, tensors)):
        raise _damaged(
            path,
            f"content with the SHA-256 {metadata.get('sha256')!r:.70}",
            f"{found}: the file was altered",
        )
    return _document(path, text), tensors


def _content(path: Path) -> tuple[dict[str, str], bytes]:
    """The metadata and all bytes; what does not begin right is not read to its end."""
    try:
        # Opening a pipe waits, and a device has no end.
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "no regular file")
        with open(path, "rb") as file:
            start = file.read(8)
            size = int.from_bytes(start, "little")
            start += file.read(min(size, HEADER, found.st_size))
            metadata = _metadata(path, start, size)
            file.seek(0)
            return metadata, file.read()
    except (OSError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        if isinstance(error, OSError):
            of_the_system(error)
        raise CheckpointError(
            "The checkpoint cannot be read.",
            expected=f"a checkpoint at {path}",
            got=getattr(error, "strerror", None) or str(error),
            fix="give the path that trainer.save wrote to, or the directory of a run "
            f"with a {FILE} in it",
        ) from error


def _metadata(path: Path, start: bytes, size: int) -> dict[str, str]:
    """The texts in a safetensors header that is of a checkpoint."""
    try:
        if len(start) != 8 + size:
            raise ValueError("truncated")
        metadata = json.loads(start[8:].decode())["__metadata__"]
        if not all(isinstance(item, str) for item in metadata.values()):
            raise TypeError("metadata are texts")
        metadata["chainrule"].encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(
            path,
            "a safetensors file written by trainer.save",
            f"a file that begins with {start[:12]!r}",
        ) from error
    return metadata


def _tensors(path: Path, content: bytes) -> dict[str, Array]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(content)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        got = f"{str(error)[:200]}: truncated?"
        raise _damaged(path, "whole tensors", got) from error


def _document(path: Path, text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
        if not isinstance(document, dict) or depth(document) > DEPTH:
            raise ValueError(f"no object of at most {DEPTH} values in each other")
        if re.search(r"\\u[dD][89a-fA-F]", text):  # half a character, maybe
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "a JSON document", str(error)[:200]) from error
    return document


def _damaged(path: Path, expected: str, got: str) -> CheckpointError:
    return CheckpointError(
        f"{path} is damaged, or no checkpoint of Chainrule.",
        expected=expected,
        got=got,
        fix="use an older checkpoint; nothing was loaded",
    )


def _digest(text: str, tensors: Mapping[str, Array]) -> str:
    """SHA-256 of the document, and of each tensor's name, type and bytes."""
    sha = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array = tensors[name]
        sha.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()
