"""An optimiser's moments: made for a parameter, and converted when that has been."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.errors import DTypeError
from chainrule.graph.apply import single
from chainrule.graph.context import within
from chainrule.graph.node import Array
from chainrule.tensor import Tensor, tensor
from chainrule.text import _


def new_moment(p: Tensor, value: float) -> Tensor:
    """Return a moment of a parameter, each element of which is ``value``."""
    kind = single(p.dtype).numpy  # in bfloat16 0.999 m would be m
    return tensor(np.full(p.shape, value, kind))


def convert_moments(moments: Mapping[str, Tensor], p: Tensor, initial: float) -> None:
    """Convert a parameter's moments, in place, where it has got another dtype.

    So ``model.to("float64")`` may come before the first step or between two of them:
    what has been gathered goes along, as the parameter's own numbers do. Where nothing
    has been, the moment is that of a new optimiser.

    Raises:
        DTypeError: numbers that the new dtype cannot hold.

    >>> from chainrule import nn, optim
    >>> model = nn.Linear(2, 1)
    >>> optimizer = optim.Adam(model.parameters())
    >>> _ = model.to("float64")
    >>> optimizer.state["param0"]["m"].dtype
    chainrule.float64
    """
    kind = single(p.dtype).numpy
    for name, t in moments.items():
        if t.dtype.numpy == kind:
            continue
        with within("trace", None):  # as if it had been done before the trace
            old = t.numpy()
            new = converted(t.name or name, old, kind)
            if (old == np.full((), initial, old.dtype)).all():
                new = np.full(p.shape, initial, kind)  # 0.1, not that of float32
            t._leave()
            t._replace(new)
            t.version += 1


def converted(name: str, array: Array, dtype: np.dtype[Any]) -> Array:
    """Return what an optimiser has gathered in another dtype.

    Raises:
        DTypeError: numbers that the dtype cannot hold.
    """
    try:
        with np.errstate(over="raise"):
            return array.astype(dtype, copy=False)
    except FloatingPointError:
        got = {"dtype": array.dtype, "max": abs(array).max()}
        raise DTypeError(
            _("{moment} of an optimiser is too large.", moment=name),
            expected=_("numbers that {name} can hold", name=dtype),
            got=_("{dtype} up to {max:g}", **got),
            fix=_("a new optimiser after the model was converted"),
        ) from None
