"""Checkpoint files: safetensors for the numbers, JSON for the rest, in one file.

The JSON document lies in the safetensors header, beside a SHA-256 of the document and
of every tensor. A file is written under another name, forced to the disk and then put
in its place at once: whenever the power fails, the file is the old one or the new one.
Nothing is executed on reading, and everything is verified before anything is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.errors import CheckpointError, SaveError
from chainrule.graph.node import Array

#: The format that this version writes and reads.
VERSION = 1
#: The file that a training run keeps up to date in its directory.
FILE = "last.ckpt"


def write(
    path: Path, document: Mapping[str, Any], tensors: Mapping[str, Array]
) -> None:
    """Write a checkpoint, atomically.

    Raises:
        SaveError: no space, no permission, no such directory; an older checkpoint at
            ``path`` stays as it was.
    """
    from safetensors.numpy import save

    whole = {name: np.array(array, order="C") for name, array in tensors.items()}
    text = json.dumps(document, ensure_ascii=False, sort_keys=True)
    header = {
        "chainrule": text,
        "version": str(VERSION),
        "sha256": _digest(text, whole),
    }
    replace(path, save(whole, metadata=header), "checkpoint")


def replace(path: Path, content: bytes, what: str) -> None:
    """Put ``content`` at ``path``, wholly or not at all.

    Raises:
        SaveError: where the file system refuses.
    """
    beside = path.with_name(f".{path.name}.tmp")
    try:
        try:
            with open(beside, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except OSError:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            raise
        _sync_directory(path.parent)
    except OSError as error:
        raise SaveError(
            f"The {what} cannot be written.",
            expected=f"a place for {len(content):,} bytes at {path}",
            got=f"{error.strerror or error} ({path.parent})",
            fix="free some space, or write to another directory; what was there "
            "before is unharmed",
        ) from error


def make_directory(path: Path) -> None:
    """Make a directory with all that leads to it.

    Raises:
        SaveError: where the file system refuses.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
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
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            "The checkpoint cannot be read.",
            expected=f"a checkpoint at {path}",
            got=error.strerror or str(error),
            fix="give the path that trainer.save wrote to, or the directory of a run "
            f"with a {FILE} in it",
        ) from error
    header, tensors = _parse(path, content)
    text = header.get("chainrule", "")
    if header.get("version") != str(VERSION):
        raise CheckpointError(
            "The checkpoint has another version of the format.",
            expected=f"version {VERSION}",
            got=f"version {header.get('version')!r:.20} in {path}",
            fix="read it with the version of Chainrule that wrote it, or update",
        )
    if header.get("sha256") != (found := _digest(text, tensors)):
        raise _damaged(
            path,
            f"content with the SHA-256 {header.get('sha256')!r:.70}",
            f"{found}: the file was altered",
        )
    return json.loads(text), tensors


def _parse(path: Path, content: bytes) -> tuple[dict[str, str], dict[str, Array]]:
    """The safetensors header's metadata, and the tensors."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    size = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8 : 8 + size])
        metadata = header["__metadata__"]
        if not isinstance(metadata, dict) or "chainrule" not in metadata:
            raise KeyError("chainrule")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(
            path,
            "a safetensors file written by trainer.save",
            f"{len(content):,} bytes that begin with {content[:12]!r}",
        ) from error
    try:
        return metadata, load(content)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, "whole tensors", f"{error}: truncated?") from error


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
        array = np.array(tensors[name], order="C")
        sha.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()
