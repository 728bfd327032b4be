"""Files as ``torch.save`` writes them, right and evil ones, made without PyTorch."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import CheckpointError

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


@dataclass(frozen=True)
class Name:
    """A name in a pickle."""

    module: str
    name: str


@dataclass(frozen=True)
class Call:
    """A call in a pickle."""

    function: Name
    args: tuple[Any, ...]


@dataclass(frozen=True)
class Reference:
    """A reference to what is stored elsewhere."""

    to: Any


@dataclass(frozen=True)
class Code:
    """Instructions of a pickle, as they are."""

    bytes: bytes


def instructions(item: Any) -> bytes:
    """The instructions that make an item."""
    match item:
        case Code(code):
            return code
        case Name(module, name):
            return f"c{module}\n{name}\n".encode()
        case Call(function, args):
            return instructions(function) + instructions(args) + b"R"
        case Reference(to):
            return instructions(to) + b"Q"
        case None:
            return b"N"
        case bool():
            return b"\x88" if item else b"\x89"
        case int():
            size = (item.bit_length() + 8) // 8
            return b"\x8a" + bytes([size]) + item.to_bytes(size, "little", signed=True)
        case float():
            return b"G" + struct.pack(">d", item)
        case str():
            text = item.encode()
            return b"X" + len(text).to_bytes(4, "little") + text
        case tuple():
            return b"(" + b"".join(map(instructions, item)) + b"t"
        case list():
            return b"](" + b"".join(map(instructions, item)) + b"e"
        case dict():
            pairs = [part for pair in item.items() for part in pair]
            return b"}(" + b"".join(map(instructions, pairs)) + b"u"
    raise TypeError(item)


def pickled(item: Any) -> bytes:
    """A pickle of protocol 2."""
    return b"\x80\x02" + instructions(item) + b"."


#: The storages of PyTorch by the code of NumPy.
KINDS = {
    "f8": "Double",
    "f4": "Float",
    "f2": "Half",
    "i8": "Long",
    "i4": "Int",
    "i2": "Short",
    "i1": "Char",
    "u1": "Byte",
    "b1": "Bool",
}


def tensor(
    key: str, held: int, shape: Any, strides: Any = None, *, offset: Any = 0,
    kind: str = "f4", legacy: bool = False,
) -> Call:  # fmt: skip
    """A tensor that is a view of a storage."""
    if strides is None:
        strides, step = [], 1
        for n in reversed(shape):
            strides.insert(0, step)
            step *= n
    storage = Name("torch", f"{KINDS[kind]}Storage")
    last = (None,) * legacy
    to = Reference(("storage", storage, key, "cpu", held, *last))
    hooks = Call(Name("collections", "OrderedDict"), ())
    args = (to, offset, tuple(shape), tuple(strides), False, hooks)
    return Call(Name("torch._utils", "_rebuild_tensor_v2"), args)


def zipped(
    nest: Any, storages: dict[str, bytes], *, packed: bool = False, root: str = "m",
    more: dict[str, bytes] | None = None,
) -> bytes:  # fmt: skip
    """A file since PyTorch 1.6."""
    file = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(f"{root}/data.pkl", pickled(nest))
        archive.writestr(f"{root}/version", b"3\n")
        for key, content in storages.items():
            archive.writestr(f"{root}/data/{key}", content)
        for name, content in (more or {}).items():
            archive.writestr(name, content)
    return file.getvalue()


def legacy(nest: Any, storages: dict[str, bytes], width: int = 4) -> bytes:
    """A file before PyTorch 1.6."""
    system = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {}}
    parts = [pickled(part) for part in (MAGIC, PROTOCOL, system, nest, [*storages])]
    for content in storages.values():
        parts += [(len(content) // width).to_bytes(8, "little"), content]
    return b"".join(parts)


ROW = np.arange(6, dtype=np.float32)


def right(*, old: bool = False) -> bytes:
    """A checkpoint with a state_dict of two tensors that share a storage, and more."""
    like: Any = {"legacy": old}
    weight = tensor("0", 6, (2, 3), **like)
    turned = tensor("0", 6, (3, 2), (1, 3), **like)
    counts = tensor("1", 2, (2,), **like)
    nest = {
        "state_dict": {"module.weight": weight, "module.turned": turned},
        "ema": {"module.counts": counts},
        "epoch": 3,
        "args": Call(Name("argparse", "Namespace"), ()),
    }
    storages = {"0": ROW.tobytes(), "1": ROW[:2].tobytes()}
    return (legacy if old else zipped)(nest, storages)


#: The files of both formats of ``torch.save``.
FORMATS: dict[str, Callable[..., bytes]] = {
    "zip": zipped,
    "legacy": legacy,
}


def load(content: bytes, **options: Any) -> Any:
    """Read a file's bytes."""
    return cr.load_torch(io.BytesIO(content), **options)


def refused(content: bytes, *words: str, **options: Any) -> CheckpointError:
    """Return the error of a file that is refused, which has these words."""
    with pytest.raises(CheckpointError) as caught:
        load(content, **options)
    for word in words:
        assert word in str(caught.value), str(caught.value)
    return caught.value
