"""Files of Keras: HDF5 files of variables, alone or in a zip file with a description.

HDF5 can do more than a list of arrays: links to other files, numbers in other files,
filters that unpack, sizes that nothing was stored for. All of these are refused, so
that no file asks for more memory than it has bytes.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.graph.node import Array
from chainrule.interop.weights import Archive, UnreadableError
from chainrule.text import _, ngettext
from chainrule.util.atomic_files import is_open, open_file, read_open

#: Objects within each other, and in all.
_DEPTH, _MOST = 64, 1_000_000
#: What ``h5py`` raises for a damaged file; a signal handler's own errors are others.
_DAMAGED = (KeyError, ValueError, RuntimeError, TypeError, OverflowError, OSError)


class Content(NamedTuple):
    """The contents of a file of Keras.

    Attributes:
        arrays: the variables by their paths, in the order that people count in.
        config: the description of the model, if it is there.
    """

    arrays: dict[str, Array]
    config: dict[str, Any] | None


def read(source: str | os.PathLike[str] | BinaryIO) -> Content:
    """Read a file of Keras, which is at a path or open for bytes.

    Raises:
        ArgumentError: ``h5py`` is missing; an open file that does not give bytes.
        OSError: no such file, or no regular one.
        UnreadableError: none of the formats, or a damaged file.
    """
    _package()
    if is_open(source):
        content = read_open(source)
    else:
        with open_file(source) as file:  # type: ignore[arg-type]
            content = file.read()
    if content.startswith(b"\x89HDF\r\n\x1a\n"):
        return Content(_variables(content), None)
    if not content.startswith(b"PK\3\4"):
        raise UnreadableError(
            _("a file that begins with {start!r}", start=content[:16])
        )
    archive = Archive(io.BytesIO(content), len(content))
    if "model.weights.h5" not in archive.members:
        raise UnreadableError(
            _("a zip file without 'model.weights.h5'"),
            _("model.save('model.keras') of Keras 3, in one file"),
        )
    text = archive.read("config.json")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(_("a config.json that is none")) from error
    variables = _variables(archive.read("model.weights.h5"))
    return Content(variables, config if isinstance(config, dict) else None)


def _package() -> Any:
    """Import ``h5py``, or raise an error with the command to install it."""
    try:
        import h5py
    except ModuleNotFoundError:
        raise ArgumentError(
            _("Files of Keras are read with the package h5py."),
            expected=_("{module} installed", module="h5py"),
            got=_("no module {module}", module="h5py"),
            fix=_("pip install {words}", words="'chainrule[keras]'"),
        ) from None
    return h5py


def counted(path: str) -> list[Any]:
    """Return a key that sorts paths by their numbers: 2 comes before 10."""
    return [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", path)]


def _variables(content: bytes) -> dict[str, Array]:
    """Return the variables in an HDF5 file."""
    h5py, left = _package(), len(content)
    arrays: dict[str, Array] = {}
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            for path, dataset in _datasets(h5py, file):
                array = _array(h5py, dataset, path, left)
                left -= array.nbytes
                arrays[path] = array
    except UnreadableError:
        raise
    except _DAMAGED as error:
        raise UnreadableError(
            _("a damaged HDF5 file: {error}", error=str(error)[:200])
        ) from error
    return {path: arrays[path] for path in sorted(arrays, key=counted)}


def _datasets(h5py: Any, file: Any) -> Iterator[tuple[str, Any]]:
    """Yield the datasets of an HDF5 file, each object once."""
    stack: list[tuple[str, Any, int]] = [("", file, 0)]
    seen: set[Any] = {h5py.h5o.get_info(file.id).addr}
    while stack:
        path, group, depth = stack.pop()
        for name in group:
            inner = f"{path}/{name}" if path else name
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise UnreadableError(_("a link at {path!r:.80}", path=inner))
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise UnreadableError(_("two names of {path!r:.80}", path=inner))
            seen.add(address)
            if isinstance(item, h5py.Dataset):
                yield inner, item
            elif isinstance(item, h5py.Group) and depth < _DEPTH and len(seen) < _MOST:
                stack.append((inner, item, depth + 1))
            else:
                raise UnreadableError(_("no variables at {path!r:.80}", path=inner))


def _array(h5py: Any, dataset: Any, path: str, left: int) -> Array:
    """Return the numbers of a dataset that takes no more than so many bytes."""
    how, dtype, shape = dataset.id.get_create_plist(), dataset.dtype, dataset.shape
    whole = how.get_layout() in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT)
    if not whole or how.get_nfilters() or how.get_external_count():
        raise UnreadableError(
            _("a packed variable at {path!r:.80}, or one in another file", path=path)
        )
    brain = dtype.itemsize == 2 and dataset.attrs.get("dtype") == "bfloat16"
    if not (brain or (dtype.kind in "biuf" and dtype.itemsize <= 8)):
        raise UnreadableError(
            _(
                "no numbers at {path!r:.80}, but {dtype:.40}",
                path=path,
                dtype=str(dtype),
            )
        )
    if shape is None or len(shape) > 32:
        raise UnreadableError(_("no array at {path!r:.80}", path=path))
    wanted = math.prod(map(int, shape)) * dtype.itemsize
    if wanted > left or dataset.id.get_storage_size() != wanted:
        raise UnreadableError(
            ngettext(
                "a variable of {n:,} byte at {path!r:.80}, of which there are "
                "{found:,}",
                "a variable of {n:,} bytes at {path!r:.80}, of which there are "
                "{found:,}",
                n=wanted,
                path=path,
                found=min(left, dataset.id.get_storage_size()),
            )
        )
    array = np.array(dataset[()])
    if brain:  # the upper half of a float32
        bits = array.view(np.uint16).astype(np.uint32) << np.uint32(16)
        array = bits.view(np.float32).reshape(shape)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return array.astype(np.float32) if array.dtype == np.float16 else array
