"""``cr.save`` and ``cr.load``: arrays by name, as safetensors files.

Nothing is executed on reading, unlike with pickles. The files are those of the
safetensors library, so PyTorch and others read and write them too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chainrule.disk import of_the_system, open_file, replace
from chainrule.errors import ArgumentError, CheckpointError
from chainrule.graph.node import Array
from chainrule.tensor import Tensor

#: The longest header that safetensors has, in bytes.
_HEADER = 100_000_000


def save(state: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write arrays by name, such as a ``state_dict``, wholly or not at all.

    Args:
        state: arrays or tensors by name.
        path: of the file; ``.safetensors`` is the usual ending.

    Raises:
        ArgumentError: something else than numbers under a name.
        SaveError: the file system refuses; what was there before stays.

    >>> import chainrule as cr, pathlib, tempfile
    >>> model, path = cr.nn.Linear(2, 1), pathlib.Path(tempfile.mkdtemp(), "model.st")
    >>> cr.save(model.state_dict(), path)
    >>> model.load_state_dict(cr.load(path))
    IncompatibleKeys(missing_keys=[], unexpected_keys=[])
    """
    if not isinstance(state, Mapping):
        raise ArgumentError(
            "cr.save writes arrays by name.",
            expected="a dictionary, such as model.state_dict()",
            got=type(state).__name__,
            fix="cr.save(model.state_dict(), path); trainer.save(path) for a run",
        )
    arrays = {name: _array(name, item) for name, item in state.items()}
    from pathlib import Path

    from safetensors.numpy import save as packed

    replace(Path(path), packed(arrays), "file of weights")


def _array(name: Any, item: Any) -> Array:
    right = isinstance(name, str) and not isinstance(item, str | Mapping)
    try:
        array = item.numpy() if isinstance(item, Tensor) else np.asarray(item)
    except (TypeError, ValueError):
        array = np.array(None)
    if not right or array.dtype.kind not in "biuf":
        raise ArgumentError(
            f"cr.save cannot write {name!r:.80}.",
            expected="arrays or tensors of numbers, by names that are texts",
            got=f"{name!r:.80}: {type(item).__name__}",
            fix="cr.save({'model.' + k: v for k, v in model.state_dict().items()}, "
            "path) for a dictionary in another",
        )
    return np.array(array, dtype=array.dtype.newbyteorder("="), order="C")


def load(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Read the arrays of a safetensors file by name.

    Raises:
        CheckpointError: no such file, a damaged one, or one of another kind: pickles
            are never opened.
    """
    try:
        return read_arrays(path, _no_checkpoint)[1]
    except OSError as error:
        of_the_system(error)
        raise CheckpointError(
            "The file of weights cannot be read.",
            expected=f"a safetensors file at {os.fspath(path)}",
            got=error.strerror or str(error),
        ) from error
    except ValueError as error:
        got, fix = str(error), "use another copy"
        if got.startswith("a pickle"):
            arrays = "{k: v.numpy() for k, v in state.items()}"
            fix = f"where it was made: safetensors.numpy.save_file({arrays}, …)"
        if "checkpoint" in got:
            fix = "cr.Trainer.load(path)"
        raise CheckpointError(
            f"{os.fspath(path)} is damaged, or no file of weights.",
            expected="a safetensors file, as cr.save writes it",
            got=got,
            fix=fix,
        ) from error


def _no_checkpoint(texts: Mapping[str, Any]) -> None:
    if "chainrule" in texts:
        raise ValueError("a Trainer's checkpoint")


def read_arrays(
    path: str | os.PathLike[str], check: Callable[[Mapping[str, Any]], Any]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """The texts in the header of a safetensors file, and its arrays by name.

    Args:
        path: of the file.
        check: refuses texts, by a ValueError, before the file is read to its end.

    Raises:
        OSError: no such file, or no regular one.
        ValueError: no safetensors file, or a damaged one; it says what is there.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as unpacked

    with open_file(path) as file:
        start = file.read(8)
        size = int.from_bytes(start, "little")
        whole = os.fstat(file.fileno()).st_size
        header = file.read(size) if size <= min(_HEADER, whole) else b""
        try:
            texts = json.loads(header).get("__metadata__") or {}
        except (ValueError, AttributeError, RecursionError) as error:
            pickled = "a pickle, " * start.startswith((b"PK", b"\x80"))
            got = f"{pickled}a file that begins with {start + header[:4]!r}"
            raise ValueError(got) from error
        check(texts)
        file.seek(0)
        content = file.read()
    try:
        return texts, dict(sorted(unpacked(content).items()))
    except (SafetensorError, KeyError, TypeError, OverflowError, ValueError) as error:
        raise ValueError(f"no whole tensors: {str(error)[:200]}; truncated?") from error
