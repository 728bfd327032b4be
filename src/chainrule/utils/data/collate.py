"""Batches of samples: tensors are stacked, nests keep their form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.functions import stack
from chainrule.tensor import Tensor, tensor
from chainrule.text import _


def default_collate(batch: Sequence[Any]) -> Any:
    """Return the batch of some samples.

    Tensors and arrays are stacked; numbers become a tensor (floats in float64, as in
    PyTorch); texts stay a list. Dictionaries and tuples become dictionaries and lists
    of batches.

    Args:
        batch: samples of one form.

    Raises:
        ArgumentError: samples of other forms, shapes or types.

    >>> default_collate([(1, "a"), (2, "b")])
    [tensor([1, 2]), ['a', 'b']]
    """
    first = batch[0]
    if isinstance(first, Tensor):
        if any(t.shape != first.shape for t in batch):
            raise ArgumentError(
                _("The samples of a batch have one shape."),
                expected=str(first.shape),
                got=", ".join(sorted({str(t.shape) for t in batch}))[:80],
                fix=_("collate_fn=… that pads them, such as nn.utils.rnn.pad_sequence"),
            )
        return stack(list(batch))
    if isinstance(first, np.ndarray | np.generic):
        return default_collate([tensor(item) for item in batch])
    if isinstance(first, bool | int | float):
        kind = "float64" if isinstance(first, float) else None
        return tensor(list(batch), dtype=kind)
    if isinstance(first, str | bytes):
        return list(batch)
    if isinstance(first, Mapping):
        return {key: default_collate([item[key] for item in batch]) for key in first}
    if isinstance(first, tuple | list):
        if len({len(item) for item in batch}) > 1:
            raise ArgumentError(
                _("The samples of a batch have as many parts."),
                expected=str(len(first)),
                got=", ".join(sorted({str(len(item)) for item in batch})),
            )
        parts = [default_collate(list(column)) for column in zip(*batch)]
        named = hasattr(first, "_fields")
        return type(first)(*parts) if named else parts
    raise ArgumentError(
        _("A batch cannot be made of these samples."),
        expected=_("tensors, arrays, numbers, texts; tuples or dictionaries of them"),
        got=type(first).__name__,
        fix="DataLoader(…, collate_fn=…)",
    )


def default_convert(sample: Any) -> Any:
    """Return a sample with its arrays as tensors, where there are no batches."""
    if isinstance(sample, np.ndarray | np.generic):
        return tensor(sample)
    if isinstance(sample, Mapping):
        return {key: default_convert(item) for key, item in sample.items()}
    if isinstance(sample, tuple | list):
        parts = [default_convert(item) for item in sample]
        return type(sample)(*parts) if hasattr(sample, "_fields") else parts
    return sample


Collate = Callable[[Any], Any]
