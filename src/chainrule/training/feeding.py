"""Rows of a data set as a network takes them, outside of a Trainer's own programs."""

from __future__ import annotations

from chainrule.data.column import Column
from chainrule.graph.node import Array
from chainrule.graph.types import as_dtype
from chainrule.nn import Module
from chainrule.nn.first_use import input_dtype


def fed(model: Module, x: Column) -> Array:
    """Return features as a model takes them: indices stay integers.

    >>> import numpy as np
    >>> from chainrule import nn
    >>> tokens = Column(np.array([[2, 0]], np.int32))
    >>> fed(nn.Embedding(3, 4), tokens).dtype, fed(nn.Linear(2, 1), tokens).dtype
    (dtype('int32'), dtype('float32'))
    """
    if x.scale is None and x.stored.dtype.kind in "iu":
        dtype = input_dtype(model, x.shape[1:], as_dtype(x.stored.dtype))
        if dtype.is_integer:
            return x.stored.astype(dtype.numpy)
    return x[:]
