"""``cr.save`` and ``cr.load``: nests of arrays as safetensors files.

Nothing is executed on reading, unlike with pickles. The files are those of the
safetensors library, so PyTorch and others read and write them too.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from chainrule.errors import ArgumentError, CheckpointError
from chainrule.graph.node import Array
from chainrule.graph.types import is_narrow, numeric
from chainrule.interop.safetensors_files import read, tensors_of
from chainrule.operations.device import check_device
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.util.atomic_files import (
    called,
    is_open,
    of_the_system,
    open_file,
    read_open,
    replace,
    write_open,
)
from chainrule.util.keywords import strict

#: The metadata key of the JSON of a nest, in which references replace its arrays.
_NEST = "nest"
#: JSON keys that mark an array's reference, a dictionary's items and a tuple.
_ARRAY, _ITEMS, _TUPLE = "__array__", "__items__", "__tuple__"
#: The greatest depth of a nest.
_DEPTH = 100


@strict
def save(
    state: Mapping[str, Any] | Sequence[Any], path: str | os.PathLike[str] | BinaryIO
) -> None:
    """Save a nest of arrays, such as a ``state_dict``, as a file, wholly or not at all.

    Args:
        state: dictionaries, lists and tuples in each other, of arrays, tensors,
            numbers, texts, truth values and None. Arrays by name alone make a file as
            the safetensors library does; what else there is goes into its header.
        path: of the file, whose usual ending is ``.safetensors``; or a file that is
            open for bytes.

    Raises:
        ArgumentError: something else in the nest, with its place.
        SaveError: the file system refuses; what was there before stays.

    >>> import chainrule as cr, io
    >>> model, file = cr.nn.Linear(2, 1), io.BytesIO()
    >>> cr.save({"model": model.state_dict(), "epoch": 3, "lr": [0.1, None]}, file)
    >>> _ = file.seek(0)
    >>> state = cr.load(file)
    >>> state["epoch"], state["lr"], model.load_state_dict(state["model"])
    (3, [0.1, None], IncompatibleKeys(missing_keys=[], unexpected_keys=[]))
    """
    if not isinstance(state, Mapping | list | tuple):
        raise ArgumentError(
            _("cr.save writes arrays by name."),
            expected=_("a dictionary, such as model.state_dict(), or a list"),
            got=type(state).__name__,
            fix=_("cr.save(model.state_dict(), path); trainer.save(path) for a run"),
        )
    from safetensors.numpy import save as packed

    arrays: dict[str, Array] = {}
    tree = _without_arrays(state, "", arrays, 0)
    texts = None
    if tree != {name: {_ARRAY: name} for name in arrays}:
        texts = {_NEST: json.dumps(tree)}
    content = packed(arrays, metadata=texts)
    if is_open(path):
        write_open(path, content, _("file of weights"))
        return
    from pathlib import Path

    replace(Path(path), content, _("file of weights"))  # type: ignore[arg-type]


def _without_arrays(item: Any, name: str, arrays: dict[str, Array], depth: int) -> Any:
    """Convert a nest of arrays to JSON for a file: references replace arrays."""
    if depth > _DEPTH:
        raise _refused(
            name,
            _("more than {DEPTH} in each other, or itself in itself", DEPTH=_DEPTH),
        )
    if item is None or isinstance(item, bool | str):
        return item
    if type(item) in (int, float):
        return item
    if isinstance(item, Mapping):
        parts = [
            [key, _without_arrays(value, _joined(name, key), arrays, depth + 1)]
            for key, value in item.items()
        ]
        plain = all(isinstance(key, str) for key, __ in parts)
        if plain and not {_ARRAY, _ITEMS, _TUPLE} & item.keys():
            return dict(parts)
        if not all(type(key) in (str, int, float, bool, type(None)) for key in item):
            raise _refused(name, _("keys that are no texts and no numbers"))
        return {_ITEMS: parts}
    if isinstance(item, list | tuple):
        parts = [
            _without_arrays(value, _joined(name, i), arrays, depth + 1)
            for i, value in enumerate(item)
        ]
        return parts if isinstance(item, list) else {_TUPLE: parts}
    array = item.numpy() if isinstance(item, Tensor) else item
    array = np.asarray(array) if hasattr(array, "__array__") else None
    if array is None or not numeric(array):
        raise _refused(name, type(item).__name__)
    while name in arrays:
        name += "'"
    native = array.dtype if is_narrow(array) else array.dtype.newbyteorder("=")
    arrays[name] = np.array(array, dtype=native, order="C")
    return {_ARRAY: name}


def _joined(name: str, key: Any) -> str:
    return f"{name}.{key}" if name else str(key)


def _refused(name: str, got: str) -> ArgumentError:
    return ArgumentError(
        _("cr.save cannot write {name!r:.80}.", name=name),
        expected=_(
            "arrays, tensors, numbers, texts, truth values and None, in "
            "dictionaries and lists"
        ),
        got=got,
        fix=_("module.state_dict() for a module; numbers instead of other objects"),
    )


def _with_arrays(item: Any, arrays: dict[str, Array]) -> Any:
    """Restore the arrays of a loaded nest in place of its references.

    The inverse of :func:`_without_arrays`.

    Raises:
        ValueError: an array that is not there, or something else that is no nest.
    """
    if isinstance(item, list):
        return [_with_arrays(value, arrays) for value in item]
    if not isinstance(item, dict):
        return item
    if item.keys() == {_ARRAY}:
        name = item[_ARRAY]
        if isinstance(name, str) and name in arrays:
            return arrays.pop(name)
    if item.keys() == {_TUPLE} and isinstance(item[_TUPLE], list):
        return tuple(_with_arrays(value, arrays) for value in item[_TUPLE])
    if item.keys() == {_ITEMS}:
        pairs = [(key, value) for key, value in item[_ITEMS]]
        return {key: _with_arrays(value, arrays) for key, value in pairs}
    if not item.keys().isdisjoint((_ARRAY, _ITEMS, _TUPLE)):
        raise ValueError(_("a nest with {item!r:.80}", item=item))
    return {key: _with_arrays(value, arrays) for key, value in item.items()}


@strict
def load(
    path: str | os.PathLike[str] | BinaryIO,
    map_location: Any = None,
    *,
    weights_only: bool = True,
) -> Any:
    """Load the nest of arrays of :func:`save`, or the arrays of a safetensors file.

    Args:
        path: of the file; or a file that is open for bytes, at its position.
        map_location: the CPU, by its name or as a device.
        weights_only: True: files hold no code.

    Raises:
        ArgumentError: another device, or code asked for.
        CheckpointError: no such file, a damaged one, or one of another kind: pickles
            are never opened.
    """
    check_device(map_location)
    if not weights_only:
        raise ArgumentError(
            _("cr.load reads arrays, and no other objects of Python."),
            expected="weights_only=True",
            got=f"weights_only={weights_only!r:.40}",
            fix=_("arrays alone: cr.save(model.state_dict(), path)"),
        )
    try:
        texts, arrays = read_arrays(path, _no_checkpoint)
        return arrays if _NEST not in texts else _nest(texts[_NEST], arrays)
    except ArgumentError:
        raise  # of a file that is not open for bytes
    except OSError as error:
        of_the_system(error)
        raise CheckpointError(
            _("The file of weights cannot be read."),
            expected=_("a safetensors file at {path}", path=called(path)),
            got=error.strerror or str(error),
        ) from error
    except ValueError as error:
        got, fix = str(error), _("use another copy")
        if got.startswith("a pickle"):
            fix = _("cr.load_torch(path) for weights of PyTorch, which runs nothing")
        if "checkpoint" in got:
            fix = "cr.Trainer.load(path)"
        if got == _("a program"):
            fix = "cr.load_program(path)"
        if is_open(path) and got.endswith("b''"):
            fix = _("file.seek(0) first, where it was just written")
        raise CheckpointError(
            _("{path} is damaged, or no file of weights.", path=called(path)),
            expected=_("a safetensors file, as cr.save writes it"),
            got=got,
            fix=fix,
        ) from error


def _nest(text: str, arrays: dict[str, Array]) -> Any:
    try:
        nest = _with_arrays(json.loads(text), arrays)
    except (RecursionError, TypeError) as error:
        raise ValueError(_("no nest: {error}", error=str(error)[:80])) from error
    if arrays:
        raise ValueError(
            _("an array {arrays!r:.80} that its nest does not have", arrays=min(arrays))
        )
    return nest


def _no_checkpoint(texts: Mapping[str, Any]) -> None:
    if "chainrule" in texts:
        raise ValueError(_("a Trainer's checkpoint"))
    if "chainrule_program" in texts:
        raise ValueError(_("a program"))


def read_arrays(
    path: str | os.PathLike[str] | BinaryIO, check: Callable[[Mapping[str, Any]], Any]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the metadata of a safetensors file, and its arrays by name.

    Args:
        path: of the file, or an open one.
        check: refuses texts, by a ValueError, before the file is read to its end.

    Raises:
        OSError: no such file, or no regular one.
        ValueError: no safetensors file, or a damaged one; it says what is there.
    """
    if is_open(path):
        opened: Any = io.BytesIO(read_open(path))
    else:
        opened = open_file(path)  # type: ignore[arg-type]
    with opened as file:
        texts, tensors = tensors_of(file, check)
        return texts, {name: read(file, tensors[name]) for name in sorted(tensors)}


def digest(text: str, arrays: Mapping[str, Array]) -> str:
    """Compute the SHA-256 of a file's document and arrays."""
    sha = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        sha.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        plain: Any = np.ascontiguousarray(array)
        sha.update(plain.view(np.uint16) if is_narrow(plain) else plain.data)
    return sha.hexdigest()
