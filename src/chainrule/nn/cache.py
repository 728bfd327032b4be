"""A cache of attention keys and values, for generation token by token."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import ShapeError
from chainrule.graph.types import DType
from chainrule.nn.affine import same_dtype
from chainrule.nn.arguments import Count, floating, layer_name, positive_integers
from chainrule.nn.module import Module
from chainrule.nn.positions import within
from chainrule.operations.operands import full
from chainrule.primitives.indexing import dynamic_update_slice
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor, count_of, wrap
from chainrule.text import _

__all__ = ["KVCache"]


class KVCache(Module):
    """Keys and values of the positions so far, of one layer of attention.

    It is state of a fixed size: a compiled function that generates tokens is traced
    once. Its tensors are no part of a ``state_dict``.

    Pope et al. 2022, "Efficiently scaling transformer inference".

    Args:
        batch_size: the number of sequences, N.
        num_heads: H of the attention.
        max_seq_len: the largest number of positions, S.
        head_dim: the width of a key of a head, d = E/H.
        dtype: of keys and values, that of the attention.

    Attributes:
        keys, values: (N, H, S, d).
        length: the number of positions stored, int64 ().

    Raises:
        ArgumentError: it is full.

    >>> import chainrule as cr
    >>> cache = cr.nn.KVCache(1, 2, 16, 4)
    >>> keys, values = cache(cr.ones(1, 2, 3, 4), cr.ones(1, 2, 3, 4))
    >>> keys.shape, cache.length.item(), cache.reset().length.item()
    ((1, 2, 16, 4), 3, 0)
    """

    keys: Tensor
    values: Tensor
    length: Tensor

    def __init__(
        self,
        batch_size: Count,
        num_heads: Count,
        max_seq_len: Count,
        head_dim: Count,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        shape = positive_integers(
            "KVCache",
            batch_size=batch_size,
            num_heads=num_heads,
            max_seq_len=max_seq_len,
            head_dim=head_dim,
        )
        numpy_dtype = floating("KVCache", dtype, device).numpy
        for name in ("keys", "values"):
            self.register_buffer(name, np.zeros(shape, numpy_dtype), persistent=False)
        self.register_buffer("length", np.int64(0), persistent=False)

    def forward(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store the next attention keys and values; return all so far, (N, H, S, d).

        Args:
            key, value: of the next positions, (N, H, L, d).
        """
        n, heads, most, width = self.keys.shape
        inputs = [as_tensor(key), as_tensor(value)]
        length = inputs[0].shape[2] if inputs[0].ndim == 4 else None
        if length is None or any(t.shape != (n, heads, length, width) for t in inputs):
            raise ShapeError(
                _("{place} is for other keys and values.", place=layer_name("KVCache")),
                expected=_(
                    "({n}, {heads}, L, {width}), both", n=n, heads=heads, width=width
                ),
                got=" and ".join(show(t.shape) for t in inputs),
            )
        fix = _("a larger max_seq_len, or cache.reset() for another sequence")
        start = within("KVCache", self.length, length, int(most), fix)
        zero = full(0, DType.int64, ())
        corner = (zero, zero, start.value, zero)
        updated: list[Tensor] = []
        for buffer, t in zip((self.keys, self.values), inputs):
            t = same_dtype("KVCache", t, buffer)
            updated.append(wrap(dynamic_update_slice(buffer.value, t.value, *corner)))
            buffer.copy_(updated[-1].detach())
        self.length.copy_(start + count_of(length, DType.int64))
        return updated[0], updated[1]

    def reset(self) -> KVCache:
        """Empty the cache of attention keys and values, for another sequence."""
        self.length.copy_(0)
        return self
