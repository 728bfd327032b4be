"""Checkpoint files: tensors in safetensors format, with a JSON document in the header.

The JSON document lies in the safetensors header, beside a SHA-256 of the document and
of every tensor. A file is replaced at once: whenever the power fails, it is the old one
or the new one. Nothing is executed on reading, and everything is verified before
anything is used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from chainrule.errors import ArgumentError, CheckpointError, SaveError
from chainrule.graph.node import Array
from chainrule.interop.serialization import digest, read_arrays
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.util.atomic_files import (
    called,
    is_open,
    of_the_system,
    replace,
    write_open,
)
from chainrule.util.processes import is_writer

#: The place of a checkpoint: a path, or an open file.
Place = Path | BinaryIO
#: The format that this version writes and reads.
VERSION = 1
#: The file that a training run keeps up to date in its directory.
FILE = "last.ckpt"
#: How deep a document may be.
DEPTH = 100


def write(
    path: Place,
    document: Mapping[str, Any],
    tensors: Mapping[str, Array],
    written: Callable[[os.stat_result], None] | None = None,
) -> None:
    """Write a checkpoint file; replace an existing file atomically.

    Args:
        path: of the file, or an open file.
        document: what is no array.
        tensors: the arrays.
        written: of a path, as for :func:`disk.replace`.

    Raises:
        SaveError: no space, no permission, no such directory, or something in the
            document that JSON does not have; an older checkpoint at ``path`` stays as
            it was.

    Of several processes the first writes.
    """
    if not is_writer():
        return
    from safetensors.numpy import save

    text = _text(document)
    whole = {name: np.array(array, order="C") for name, array in tensors.items()}
    texts = {"chainrule": text, "version": str(VERSION)}
    texts["sha256"] = digest(text, whole)
    content = save(whole, metadata=texts)
    if isinstance(path, Path):
        replace(path, content, "checkpoint", written)
    else:
        write_open(path, content, "checkpoint")


def _text(document: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(document, ensure_ascii=False, sort_keys=True)
        text.encode()
        if _depth(document) > DEPTH:
            raise ValueError(_("more than {DEPTH} values in each other", DEPTH=DEPTH))
    except (TypeError, ValueError, RecursionError) as error:
        raise SaveError(
            _("A checkpoint cannot hold what it shall remember."),
            expected=_(
                "notes and states of callbacks that JSON has: "
                "dictionaries with texts as keys, lists, texts, numbers, "
                "at most {DEPTH} in each other",
                DEPTH=DEPTH,
            ),
            got=str(error)[:200],
            fix=_("keep numbers instead of objects: float(x), x.tolist(), str(path)"),
        ) from error
    return text


def _depth(value: Any) -> int:
    """Return the nesting depth of a checkpoint's dictionaries and lists."""
    inner = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list | tuple):
        return 0
    return 1 + max(map(_depth, inner), default=0)


def locate(path: Any) -> Any:
    """Return the checkpoint at a path: a file, open or not, or one in a directory."""
    if is_open(path):
        return path
    place = Path(path)
    return place / FILE if place.is_dir() else place


def read(path: Place) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read and verify a checkpoint; return its document and tensors.

    Raises:
        CheckpointError: no such file, no checkpoint, truncated, altered, or of another
            version of the format.
    """
    try:
        texts, tensors = read_arrays(path, _check_texts)
    except ArgumentError:
        raise  # of a file that is not open for bytes
    except OSError as error:
        of_the_system(error)
        raise CheckpointError(
            _("The checkpoint cannot be read."),
            expected=_("a checkpoint at {path}", path=called(path)),
            got=error.strerror or str(error),
            fix=_(
                "give the path that trainer.save wrote to, or the directory of "
                "a run with a {FILE} in it",
                FILE=FILE,
            ),
        ) from error
    except ValueError as error:
        expected = _("a safetensors file written by trainer.save, with whole tensors")
        raise _damaged(path, expected, str(error)) from error
    version, signature = texts.get("version"), texts.get("sha256")
    text: str = texts["chainrule"]
    if version != str(VERSION):
        raise CheckpointError(
            _("The checkpoint has another version of the format."),
            expected=_("version {VERSION}", VERSION=VERSION),
            got=_(
                "version {version!r:.20} in {path}", version=version, path=called(path)
            ),
            fix=_("read it with the version of Chainrule that wrote it, or update"),
        )
    actual = digest(text, tensors)
    if signature != actual:
        expected = _("content with the SHA-256 {signature!r:.70}", signature=signature)
        raise _damaged(path, expected, _("{found}: the file was altered", found=actual))
    return _document(path, text), tensors


def _check_texts(texts: Mapping[str, Any]) -> None:
    """Refuse a safetensors header that does not belong to a checkpoint."""
    text = texts.get("chainrule") if isinstance(texts, dict) else None
    if not isinstance(text, str):
        raise ValueError(_("a header that says {texts!r:.80}", texts=texts))
    text.encode()


def _document(path: Place, text: str) -> dict[str, Any]:
    """Parse a checkpoint's JSON text; refuse deep nesting and broken Unicode."""
    from pydantic_core import from_json

    try:
        document = from_json(text)
        if not isinstance(document, dict):
            raise ValueError(_("no object"))
    except ValueError as error:
        raise _damaged(path, _("a JSON document"), str(error)[:200]) from error
    return document


def _damaged(path: Place, expected: str, got: str) -> CheckpointError:
    return CheckpointError(
        _("{path} is damaged, or no checkpoint of Chainrule.", path=called(path)),
        expected=expected,
        got=got,
        fix=_("use an older checkpoint; nothing was loaded"),
    )


def strange(path: Place, expected: str, got: str) -> CheckpointError:
    """Return the error for a file that is no checkpoint of a training run."""
    return CheckpointError(
        _("{path} holds no checkpoint of a run.", path=called(path)),
        expected=expected,
        got=got[:80],
        fix=_("use a file that save() wrote"),
    )


def misfit(
    arrays: Mapping[str, Array], tensors: Mapping[str, Tensor]
) -> tuple[str, str] | None:
    """Describe the first array of a checkpoint that does not fit the model's tensors.

    Args:
        arrays: of a checkpoint.
        tensors: that they are for, by the same names.

    Returns:
        What is wanted and what is there; None where all of them fit.
    """
    for name, t in tensors.items():
        want = _(
            "{name} of {dtype_name}{shape}",
            name=name,
            dtype_name=t.dtype.name,
            shape=show(t.shape),
        )
        if name not in arrays:
            return want, _("no {name}", name=name)
        array = arrays[name]
        if array.shape != t.shape or array.dtype != t.dtype.numpy:
            return want, f"{array.dtype}{show(array.shape)}"
    unknown = sorted(arrays.keys() - tensors.keys())
    return (_("no {unknown}", unknown=unknown[0]), unknown[0]) if unknown else None
