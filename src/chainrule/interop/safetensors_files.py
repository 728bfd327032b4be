"""Safetensors files: their header, checked, and the numbers of each tensor.

A file is the length of its header in eight bytes, the header in JSON, and the numbers,
one tensor behind another. Each tensor is read into memory of its own, once: no file
asks for more than it has bytes, and none stays open or mapped, so that whoever writes
to it later changes no numbers here.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from chainrule.graph.node import Array
from chainrule.graph.types import DType
from chainrule.text import _, ngettext

#: The longest header that safetensors has, in bytes.
HEADER = 100_000_000

#: The dtypes of safetensors that NumPy has, with NumPy's codes; BF16 is read too.
CODES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "<i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "<u1",
    "C64": "<c8",
    "BOOL": "?",
}
#: The bits of a number in those that it has not.
_BITS = {
    "BF16": 16,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "F4": 4,
}


@dataclass(eq=False, frozen=True)
class FileTensor:
    """A tensor of a file: its dtype, its shape, and the place of its bytes.

    Attributes:
        dtype: the name that safetensors has for it.
        shape: its sizes.
        start: the place of the first byte in the file.
        nbytes: how many there are.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    nbytes: int


def header_of(file: BinaryIO) -> dict[str, Any]:
    """Return the header of an open safetensors file, from its start.

    Raises:
        ValueError: there is none; it says what is there.
    """
    whole = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(8)
    size = int.from_bytes(start, "little")
    header = file.read(size) if size <= min(HEADER, whole) else b""
    try:
        table = json.loads(header)
        table.get("__metadata__")
        return table
    except (ValueError, AttributeError, RecursionError) as error:
        pickled = _("a pickle, ") * start.startswith((b"PK", b"\x80"))
        got = _(
            "{pickled}a file that begins with {header!r}",
            pickled=pickled,
            header=start + header[:4],
        )
        raise ValueError(got) from error


def tensors_of(
    file: BinaryIO, check: Callable[[Mapping[str, Any]], Any]
) -> tuple[dict[str, Any], dict[str, FileTensor]]:
    """Return the metadata of an open file, and its tensors by name.

    Args:
        file: the file; its tensors cover all of it.
        check: refuses metadata, by a ValueError, before the tensors are looked at.

    Raises:
        ValueError: no safetensors file, or a damaged one; it says what is there.
    """
    table = header_of(file)
    texts = table.pop("__metadata__", None)
    texts = {} if texts is None else texts
    if not isinstance(texts, dict) or not all(type(t) is str for t in texts.values()):
        raise _damaged(_("metadata that are no texts"))
    check(texts)
    first = file.tell()
    size = file.seek(0, os.SEEK_END) - first
    found = {name: _tensor(name, table[name], first) for name in table}
    end = first
    # An empty one lies before the one that begins at the same place.
    for name in sorted(found, key=lambda name: (found[name].start, found[name].nbytes)):
        if found[name].start != end:
            raise _damaged(_("{name!r:.80} does not begin where it should", name=name))
        end += found[name].nbytes
    if end != first + size:
        text = ngettext(
            "{n:,} byte of numbers, not {wanted:,}",
            "{n:,} bytes of numbers, not {wanted:,}",
            n=size,
            wanted=end - first,
        )
        raise _damaged(text)
    return texts, found


def _tensor(name: str, entry: Any, first: int) -> FileTensor:
    """Return a tensor of a header, whose bytes are as many as its shape asks for."""
    entry = entry if isinstance(entry, dict) else {}
    dtype, shape, places = map(entry.get, ("dtype", "shape", "data_offsets"))
    if not _are_counts(shape) or not _are_counts(places) or len(places) != 2:
        raise _damaged(_("{name!r:.80} without a shape and a place", name=name))
    if not isinstance(dtype, str) or dtype not in CODES.keys() | _BITS.keys():
        raise _damaged(_("the dtype {dtype!r:.40}", dtype=dtype))
    bits = _BITS.get(dtype) or 8 * np.dtype(CODES[dtype]).itemsize
    start, end = places
    if 8 * (end - start) != bits * math.prod(shape):
        text = ngettext(
            "{name!r:.80} with {n:,} byte for the shape {shape!s:.80}",
            "{name!r:.80} with {n:,} bytes for the shape {shape!s:.80}",
            n=end - start,
            name=name,
            shape=tuple(shape),
        )
        raise _damaged(text)
    return FileTensor(dtype, tuple(shape), first + start, end - start)


def _are_counts(numbers: Any) -> bool:
    """Return whether these are whole numbers that a file may count with."""
    return isinstance(numbers, list) and all(
        type(n) is int and 0 <= n < 1 << 63 for n in numbers
    )


def bytes_of(file: BinaryIO, tensor: FileTensor) -> Array:
    """Return the bytes of a tensor as a new array.

    Raises:
        ValueError: the file has become shorter.
    """
    content = np.empty(tensor.nbytes, np.uint8)
    file.seek(tensor.start)
    left: Any = content.data
    while left:
        count = file.readinto(left)  # type: ignore[attr-defined]
        if not count:
            raise _damaged(_("the end of the file"))
        left = left[count:]
    return content


def read(file: BinaryIO, tensor: FileTensor) -> Array:
    """Return the numbers of a tensor as a new array.

    Raises:
        ValueError: a dtype or a shape that NumPy has not; a file that became shorter.
    """
    if tensor.dtype == "BF16":
        bits = bytes_of(file, tensor).view("<u2").astype(np.uint16, copy=False)
        return bits.view(DType.bfloat16.numpy).reshape(tensor.shape)
    if tensor.dtype not in CODES:
        raise ValueError(
            _("numbers of the dtype {dtype}, which NumPy has not", dtype=tensor.dtype)
        )
    content = bytes_of(file, tensor)
    if tensor.dtype == "BOOL":  # any byte may stand for true
        content = content != 0
    array = content.view(np.dtype(CODES[tensor.dtype])).reshape(tensor.shape)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _damaged(error: str) -> ValueError:
    return ValueError(_("no whole tensors: {error}; truncated?", error=error))
