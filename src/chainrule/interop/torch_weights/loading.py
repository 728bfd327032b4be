"""``cr.load_torch``: PyTorch weights from files, or from PyTorch itself, as arrays."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from chainrule.errors import ArgumentError, CheckpointError
from chainrule.graph.node import Array
from chainrule.graph.types import numeric
from chainrule.interop.torch_weights.checkpoints import state_dict_of
from chainrule.interop.torch_weights.files import is_tensor, opened, widened
from chainrule.interop.weights import UnreadableError, Weights
from chainrule.text import _
from chainrule.util.atomic_files import called, is_open, of_the_system
from chainrule.util.dlpack import from_dlpack
from chainrule.util.keywords import strict


@strict
def load_torch(
    source: str | os.PathLike[str] | BinaryIO | Mapping[str, Any],
    *,
    key: str | None = None,
) -> Weights:
    """Load PyTorch weights as arrays by name, without running anything.

    Args:
        source: a file of ``torch.save`` (``.pt``, ``.pth``, ``.bin``, of any version
            since 0.4), a safetensors file, or the ``*.index.json`` of several such
            files; a file that is open for bytes; or a ``state_dict`` of PyTorch.
        key: where the weights stand in what was saved, such as ``"ema"``. Without it
            what was saved has under a usual name such as ``"state_dict"`` or
            ``"model"`` is taken, else what was saved itself if it has tensors.

    Returns:
        Read-only arrays by name. Their ``notes`` say what was taken, and what was left
        out: the ``module.`` of ``DataParallel`` before every name. ``float16`` becomes
        float32, in which it is exact.

    A file of PyTorch is a pickle, which might run anything. Here numbers, texts, nests
    and tensors are all that is made of it; whatever else it would call is refused.
    Memory is bounded by some times the size of the file; a pickle of many steps is
    refused.

    Raises:
        ArgumentError: a source that is none of these.
        CheckpointError: no such file, a damaged one, one that holds a program or a
            whole model, or several dictionaries of tensors of which ``key`` names none.

    >>> import chainrule as cr, io
    >>> model, file = cr.nn.Linear(2, 1), io.BytesIO()
    >>> cr.save(model.state_dict(), file)
    >>> _ = file.seek(0)
    >>> weights = cr.load_torch(file)
    >>> weights
    Weights: 2 arrays, 3 numbers
    >>> model.load_state_dict(weights)
    IncompatibleKeys(missing_keys=[], unexpected_keys=[])
    """
    if isinstance(source, Mapping):
        return _of_mapping(source, key)
    if not is_open(source) and not isinstance(source, str | os.PathLike):
        raise ArgumentError(
            _("cr.load_torch reads weights."),
            expected=_("a path, an open file, or a state_dict of PyTorch"),
            got=type(source).__name__,
            fix="cr.load_torch(torch_model.state_dict())",
        )
    try:
        with opened(source) as content:
            tensors, notes = state_dict_of(content.nest, key, is_tensor)
            dtypes = {content.dtype_of(tensor) for tensor in tensors.values()}
            arrays = {name: content.array_of(t) for name, t in tensors.items()}
    except OSError as error:
        of_the_system(error)
        raise CheckpointError(
            _("The file of weights cannot be read."),
            expected=_("a file of PyTorch weights at {path}", path=called(source)),
            got=error.strerror or str(error),
        ) from error
    except ArgumentError:
        raise  # of a file that is not open for bytes, or of a shard's path
    except ValueError as error:
        raise CheckpointError(
            _("{path} has no weights that can be read.", path=called(source)),
            expected=_(
                "a state_dict as torch.save or safetensors writes it, alone or in a "
                "checkpoint"
            ),
            got=error.what if isinstance(error, UnreadableError) else str(error)[:200],
            fix=error.fix
            if isinstance(error, UnreadableError)
            else _("use another copy"),
        ) from error
    notes += [_("{dtype} as float32", dtype=d) for d in sorted(filter(widened, dtypes))]
    return Weights(arrays, tuple(notes))


def _of_mapping(source: Mapping[str, Any], key: str | None) -> Weights:
    """Return the arrays of tensors that are in memory, of PyTorch or of others."""
    try:
        tensors, notes = state_dict_of(source, key, _is_array)
    except UnreadableError as error:
        raise ArgumentError(
            _("cr.load_torch found no tensors by name."),
            expected=_("a state_dict of PyTorch, alone or in a checkpoint"),
            got=error.what,
            fix="cr.load_torch(torch_model.state_dict())",
        ) from error
    arrays, halves = {}, set[str]()
    for name, item in tensors.items():
        array, dtype = _array_of(item, name)
        arrays[name] = array
        halves |= {dtype} & {"float16"}
    notes += [_("{dtype} as float32", dtype=dtype) for dtype in sorted(halves)]
    return Weights(arrays, tuple(notes))


def _is_array(item: Any) -> bool:
    return hasattr(item, "__array__") and hasattr(item, "shape")


def _array_of(item: Any, name: str) -> tuple[Array, str]:
    """Return a tensor in memory as a read-only array, and the name of its dtype."""
    dtype = getattr(item.dtype, "name", None) or str(item.dtype).removeprefix("torch.")
    try:
        if hasattr(item, "detach"):  # PyTorch's, or one of ours
            item = item.detach().cpu()
            item = from_dlpack(item) if dtype == "bfloat16" else item.numpy()
        array = np.array(item)
    except (TypeError, RuntimeError, ValueError):  # no dense numbers, or on no device
        array = np.array(None)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    if not numeric(array):
        raise ArgumentError(
            _("{name!r:.80} has no numbers that can be read.", name=name),
            expected=_("a dense tensor of floats, integers or truth values"),
            got=dtype,
        )
    array.flags.writeable = False
    return array, dtype
