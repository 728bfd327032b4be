"""Checkpoints with something wrong in them: the reader's fuzz tests load them.

``wrong(dice)`` takes a right one and changes its bytes, its header, its tensors or its
document. Most are signed again afterwards: a checkpoint's SHA-256 guards against damage
and not against its author, and behind it lies the reader that is to be tested.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np

from .dice import Dice
from .documents import VALUES, WORDS, mangle, mutate, text_of
from .seeds import COUNT, Arrays, Seed, digest, seed, sign

SIZES = (0, 1, 7, 8, 2**16, 2**31, 2**32, 100_000_000, 2**63 - 1, 2**63, 2**64 - 1)
DTYPES = (
    "F64", "F32", "F16", "BF16", "F8_E4M3", "F4", "I64", "U64", "I32", "U32", "I16",
    "U8", "I8", "BOOL", "C64", "O", "", 5, None,
)  # fmt: skip
DIMENSIONS = (0, 1, 2, 3, -1, 2**31, 2**32, 2**63, 2**64 - 1, 2**64, 1.5, None)


def origin(dice: Dice) -> Seed:
    """The right checkpoint that ``wrong`` with the same dice starts from."""
    return seed(dice.pick(COUNT))


def wrong(dice: Dice) -> bytes:
    """The bytes of a checkpoint with something wrong in it (or nothing, seldom)."""
    right = origin(dice)
    ways = (*(_document,) * 8, _tensors, _tensors, _header, _text, _bytes)
    return dice.of(ways)(right, dice)


def _signed(text: str, tensors: Arrays) -> bytes:
    """Signed; characters that no file can hold become question marks."""
    return sign(text.encode("utf-8", "replace").decode(), tensors)


def _document(right: Seed, dice: Dice) -> bytes:
    """Another document."""
    return _signed(text_of(mutate(right.document, dice)), right.tensors)


def _text(right: Seed, dice: Dice) -> bytes:
    """A text that is no document."""
    return _signed(mangle(text_of(right.document), dice), right.tensors)


# -- tensors -------------------------------------------------------------------------


def _tensors(right: Seed, dice: Dice) -> bytes:
    """Other tensors."""
    tensors = dict(right.tensors)
    for _ in range(dice.of((1, 1, 2, 3))):
        name = dice.of(sorted(tensors) or ["x"])
        array = tensors.pop(name, np.zeros(3))
        kind = dice.pick(6)
        if kind == 1:
            name = _another_name(name, dice)
        elif kind == 2:
            tensors[_another_name(name, dice)] = array
        elif kind > 2:
            array = _another_array(array, kind, dice)
        if kind:
            tensors[name] = array
    return _signed(text_of(right.document), tensors)


def _another_name(name: str, dice: Dice) -> str:
    parts = name.split("/")
    parts[dice.pick(len(parts))] = dice.of(("", "x", "callback", "history", "a/b", "0"))
    return "/".join(parts[dice.pick(2) * dice.pick(len(parts)) :])


def _another_array(array: np.ndarray, kind: int, dice: Dice) -> np.ndarray:
    """Of another dtype, of another shape, or with other numbers."""
    if kind == 3:
        dtype = dice.of(("f8", "f4", "f2", "i8", "i4", "u1", "?", "c8"))
        with np.errstate(all="ignore"):
            return np.nan_to_num(array.real).astype(dtype)
    if kind == 4:
        shapes = ((-1,), (1, -1), (-1, 1), (*array.shape, 1), array.shape[::-1])
        return array.reshape(dice.of(shapes)) if dice.pick(2) else array.reshape(-1)[1:]
    value = dice.of((np.nan, np.inf, -1.0, 0.0, 1e30))
    with np.errstate(over="ignore"):
        return np.full_like(array, value) if array.dtype.kind == "f" else array


# -- the file format -----------------------------------------------------------------


def _header(right: Seed, dice: Dice) -> bytes:
    """Another safetensors header; signed again where it can be read."""
    header, body = split(right.content)
    for _ in range(dice.of((1, 1, 2))):
        name = dice.of(sorted(header))
        _change_entry(header, name, dice)
    made = joined(header, body)
    return made if dice.pick(2) else _signed_again(made)


def split(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and what is behind it."""
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def joined(header: Any, body: bytes) -> bytes:
    """A file of the safetensors format."""
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def _change_entry(header: dict[str, Any], name: str, dice: Dice) -> None:
    """Change one entry of a header: a tensor's place, type or shape, or the texts."""
    entry, kind = header[name], dice.pick(5)
    offsets = entry.get("data_offsets")
    if kind == 0 and "dtype" in entry:
        entry["dtype"] = dice.of(DTYPES)
    elif kind == 1 and "shape" in entry:
        entry["shape"] = [dice.of(DIMENSIONS) for _ in range(dice.of((1, 2, 3, 70)))]
    elif kind == 2 and isinstance(offsets, list) and len(offsets) == 2:
        start, end = offsets
        moves = ([0, end], [start, f"{end}"], [end, start], [-1, end], [0, 0])
        entry["data_offsets"] = dice.of((*moves, [0, 2**64 - 1], [start], [end, 2**63]))
    elif kind == 3:
        header[dice.of((*WORDS, "model/0.weight", ""))] = copy.deepcopy(entry)
    else:
        key = dice.of(sorted(entry) or ["x"])
        entry[key] = copy.deepcopy(dice.of(VALUES))


def _signed_again(content: bytes) -> bytes:
    """With the right digest, where a reader gets so far."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    header, body = split(content)
    texts = header.get("__metadata__")
    try:
        texts["sha256"] = digest(texts["chainrule"], load(content))
    except (SafetensorError, ArithmeticError, LookupError, TypeError, ValueError):
        return content
    except AttributeError:
        return content
    return joined(header, body)


def _bytes(right: Seed, dice: Dice) -> bytes:
    """Other bytes."""
    content, kind = bytearray(right.content), dice.pick(6)
    if kind == 0:
        for _ in range(1 + dice.pick(8)):
            content[dice.pick(len(content))] ^= 1 << dice.pick(8)
    elif kind == 1:
        del content[dice.pick(len(content)) :]
    elif kind == 2:
        content[:8] = dice.of((*SIZES, len(content))).to_bytes(8, "little")
    elif kind == 3:
        size = int.from_bytes(content[:8], "little")
        other = origin(dice).content
        content[8 + size :] = other[8 + int.from_bytes(other[:8], "little") :]
    elif kind == 4:
        start, length = dice.pick(len(content)), dice.pick(64)
        piece = content[start : start + length]
        content[dice.pick(len(content)) : dice.pick(len(content))] = piece
    else:
        return dice.rest()
    return bytes(content)
