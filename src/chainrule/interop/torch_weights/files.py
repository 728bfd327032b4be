"""Formats of files with PyTorch weights, each as a nest of tensors and their numbers.

    zip          since PyTorch 1.6: ``data.pkl``, and a member for each storage
    before 1.6   five pickles one after another, then the storages
    safetensors  a header in JSON, then the numbers
    shards       ``*.index.json``: which file of the same folder has which tensor

Members of zip files are stored as they are, never packed, so that no file asks for more
memory than it has bytes; a packed one is refused. Names in files are keys alone: none
is opened, but for shards, which lie in the folder of their index.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from chainrule.graph.node import Array
from chainrule.interop.safetensors_files import (
    HEADER,
    FileTensor,
    bytes_of,
    tensors_of,
)
from chainrule.interop.torch_weights.pickles import LONGEST, Machine, unpickled
from chainrule.interop.torch_weights.tensors import (
    DTYPES,
    Order,
    Storage,
    StoredTensor,
    numbers,
    unread,
)
from chainrule.interop.weights import Archive, UnreadableError
from chainrule.text import _, ngettext
from chainrule.util.atomic_files import inside, is_open, open_file, read_file, read_open

#: The first number of a file of ``torch.save`` before PyTorch 1.6, and the second.
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001

#: The names of dtypes in safetensors, with PyTorch's.
_SAFETENSORS = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}


@dataclass
class Content:
    """The contents of a file: a nest of tensors, read when they are asked for.

    Attributes:
        nest: dictionaries and lists of tensors, numbers and texts.
        array_of: returns the numbers of one of its tensors.
        dtype_of: returns PyTorch's name of a tensor's dtype.
    """

    nest: Any
    array_of: Callable[[Any], Array]
    dtype_of: Callable[[Any], str]


class _Lines:
    """The numbers of storages, each read once.

    Args:
        read: returns the bytes of a storage.
        order: of the bytes of a number.
    """

    def __init__(self, read: Callable[[Storage], bytes], order: Order) -> None:
        self.read = read
        self.order: Order = order
        self.lines: dict[tuple[str, str], Array] = {}

    def array_of(self, tensor: StoredTensor) -> Array:
        """Return a tensor's numbers; tensors of one storage share them."""
        place = tensor.storage.key, tensor.dtype
        if place not in self.lines:
            content = self.read(tensor.storage)
            self.lines[place] = numbers(content, tensor.dtype, self.order)
        return tensor.of(self.lines[place])


@contextmanager
def opened(path: str | os.PathLike[str] | BinaryIO) -> Iterator[Content]:
    """Open a file of PyTorch weights, or an index of shards.

    Raises:
        ArgumentError: an open file that does not give bytes; a shard outside.
        OSError: no such file, or no regular one.
        UnreadableError: none of the formats, or a damaged file; it says what is there.
    """
    if not is_open(path) and os.fspath(path).endswith(".index.json"):  # type: ignore[arg-type]
        yield _shards(path)  # type: ignore[arg-type]
        return
    with io.BytesIO(read_open(path)) if is_open(path) else open_file(path) as file:  # type: ignore[arg-type]
        yield _content(file)


def _content(file: BinaryIO) -> Content:
    """Read an open file of weights, in the format that its first bytes say."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(16)
    file.seek(0)
    if start.startswith(b"PK\3\4"):
        return _zipped(file, size)
    # First: the length of its header may begin with the byte of a pickle.
    if start[8:9] == b"{" and 8 < int.from_bytes(start[:8], "little") + 8 <= size:
        return _safetensors(file)
    if start.startswith(b"\x80"):
        return _legacy(file, size)
    fix = "" if start else _("file.seek(0) first, where it was just written")
    raise UnreadableError(_("a file that begins with {start!r}", start=start), fix)


# -- since PyTorch 1.6 -----------------------------------------------------------------


def _zipped(file: BinaryIO, size: int) -> Content:
    """Read a zip file of ``torch.save``."""
    archive = Archive(file, size)
    members, read = archive.members, archive.read
    pickles = [name for name in members if f"/{name}".endswith("/data.pkl")]
    if len(pickles) != 1:
        raise UnreadableError(
            _("a zip file with {n} members data.pkl, not one", n=len(pickles))
        )
    root = pickles[0].removesuffix("data.pkl")
    if f"{root}constants.pkl" in members:
        raise UnreadableError(
            _("a TorchScript program"),
            "torch.save(torch.jit.load(path).state_dict(), …)",
        )
    order = read(f"{root}byteorder") if f"{root}byteorder" in members else b"little"
    if order not in (b"little", b"big"):
        raise UnreadableError(_("bytes in the order {order!r:.40}", order=order))
    if members[pickles[0]].file_size > LONGEST:
        raise UnreadableError(_("a pickle of more than {most:,} bytes", most=LONGEST))
    program, machine = read(pickles[0]), Machine()
    nest = unpickled(io.BytesIO(program), len(program), machine)

    def storage(item: Storage) -> bytes:
        content = read(f"{root}data/{item.key}")
        if len(content) != item.nbytes:
            raise UnreadableError(
                ngettext(
                    "a storage of {n:,} byte, of which there are {found:,}",
                    "a storage of {n:,} bytes, of which there are {found:,}",
                    n=item.nbytes,
                    found=len(content),
                )
            )
        return content

    lines = _Lines(storage, "<" if order == b"little" else ">")
    return Content(nest, lines.array_of, _dtype_of)


def _dtype_of(tensor: StoredTensor) -> str:
    return tensor.dtype


# -- before PyTorch 1.6 ----------------------------------------------------------------


def _legacy(file: BinaryIO, size: int) -> Content:
    """Read a file of ``torch.save`` before PyTorch 1.6."""

    def pickle(machine: Machine) -> Any:
        return unpickled(file, size - file.tell(), machine)

    try:
        magic = pickle(Machine())
    except UnreadableError as error:
        text = _("a pickle that torch.save did not write: {error}", error=error.what)
        raise UnreadableError(text, error.fix) from error
    if type(magic) is not int or magic != _MAGIC:
        raise UnreadableError(_("a pickle that torch.save did not write"))
    if pickle(Machine()) != _PROTOCOL:
        raise UnreadableError(
            _("a file of another protocol than {known}", known=_PROTOCOL)
        )
    system, machine = pickle(Machine()), Machine()
    if not isinstance(system, dict) or system.get("little_endian") not in (True, False):
        raise UnreadableError(_("a file that does not say how its bytes are ordered"))
    nest, keys = pickle(machine), pickle(Machine())
    if not isinstance(keys, list) or not all(type(key) is str for key in keys):
        raise UnreadableError(_("a file without a list of its storages"))
    if sorted(keys) != sorted(machine.storages):
        raise UnreadableError(_("a list of storages that are not those of the tensors"))
    places: dict[str, int] = {}
    order = "little" if system["little_endian"] else "big"
    for key in keys:
        held, item = int.from_bytes(file.read(8), order), machine.storages[key]
        places[key] = file.tell()
        if held != item.size or item.nbytes > size - places[key]:
            raise UnreadableError(
                ngettext(
                    "a storage of {n:,} number, where the file has {found:,}",
                    "a storage of {n:,} numbers, where the file has {found:,}",
                    n=item.size,
                    found=held,
                )
            )
        file.seek(item.nbytes, os.SEEK_CUR)

    def read(item: Storage) -> bytes:
        file.seek(places[item.key])
        return file.read(item.nbytes)

    lines = _Lines(read, "<" if order == "little" else ">")
    return Content(nest, lines.array_of, _dtype_of)


# -- safetensors -----------------------------------------------------------------------


def _safetensors(file: BinaryIO) -> Content:
    """Read a safetensors file of weights."""

    def check(texts: Mapping[str, Any]) -> None:
        if "chainrule" in texts:
            raise UnreadableError(_("a Trainer's checkpoint"), "cr.Trainer.load(path)")

    __, found = tensors_of(file, check)

    def dtype_of(tensor: FileTensor) -> str:
        if tensor.dtype not in _SAFETENSORS:
            raise unread(tensor.dtype)
        return _SAFETENSORS[tensor.dtype]

    def array_of(tensor: FileTensor) -> Array:
        line = numbers(bytes_of(file, tensor), dtype_of(tensor))
        return line.reshape(tensor.shape)

    nest = {name: found[name] for name in sorted(found)}
    return Content(nest, array_of, dtype_of)


# -- shards ----------------------------------------------------------------------------


def _shards(path: str | os.PathLike[str]) -> Content:
    """Return the tensors of an index of shards, each from its file."""
    from pathlib import Path

    place = Path(path)
    try:
        index = json.loads(read_file(place, HEADER))
        files = index["weight_map"]
        named = {name: files[name] for name in files if type(files[name]) is str}
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableError(_("an index without a weight_map")) from error
    if len(named) < len(files) or not named:
        raise UnreadableError(_("an index whose weight_map is no table of files"))
    folder, arrays = place.parent, {}
    dtypes: dict[str, str] = {}
    for shard in dict.fromkeys(named.values()):
        here = inside(folder, shard, _("The path of a shard"))
        if shard.endswith(".index.json"):
            raise UnreadableError(_("an index that names an index"))
        with opened(here) as content:
            held = content.nest if isinstance(content.nest, dict) else {}
            for name in [name for name, file in named.items() if file == shard]:
                if not is_tensor(held.get(name)):
                    raise UnreadableError(
                        _("{shard!r:.80} without {name!r:.80}", shard=shard, name=name)
                    )
                dtypes[name] = content.dtype_of(held[name])
                arrays[name] = content.array_of(held[name])
    nest = {name: Loaded(arrays[name], dtypes[name]) for name in named}
    return Content(nest, lambda t: t.array, lambda t: t.dtype)


@dataclass(eq=False, frozen=True)
class Loaded:
    """A tensor of a shard, with its numbers and PyTorch's name of its dtype."""

    array: Array
    dtype: str


def is_tensor(item: Any) -> bool:
    """Return whether an item of a nest is a tensor of one of the formats."""
    return isinstance(item, StoredTensor | FileTensor | Loaded)


def widened(dtype: str) -> bool:
    """Return whether the numbers of a dtype are of another one when they are read."""
    return DTYPES[dtype].read != dtype
