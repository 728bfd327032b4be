"""An optimiser's moments: made for a parameter, and converted when that has been.

So is what else a Trainer keeps for a parameter.
"""

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
    for name, t in moments.items():
        convert(t, p, t.name or name, initial)


def convert(t: Tensor, p: Tensor, name: str, initial: float | None = None) -> None:
    """Convert what belongs to a parameter, in place, to the parameter's dtype.

    Args:
        t: a moment, an average, a sum of gradients.
        p: the parameter.
        name: of ``t``, for the error.
        initial: what ``t`` began with; it is this to the last bit as long as it has
            not been changed.

    Raises:
        DTypeError: numbers that the dtype cannot hold.
    """
    kind = single(p.dtype).numpy
    if t.dtype.numpy == kind:
        return
    with within("trace", None):  # as if it had been done before the trace
        old = t.numpy()
        new = converted(name, old, kind)
        if initial is not None and (old == np.full((), initial, old.dtype)).all():
            new = np.full(p.shape, initial, kind)  # 0.1, not that of float32
        t._leave()
        t._replace(new)
        t.version += 1


def converted(name: str, array: Array, dtype: np.dtype[Any]) -> Array:
    """Return what has been gathered for parameters in another dtype.

    Raises:
        DTypeError: numbers that the dtype cannot hold.
    """
    try:
        with np.errstate(over="raise"):
            return array.astype(dtype, copy=False)
    except FloatingPointError:
        got = {"dtype": array.dtype, "max": abs(array).max()}
        raise DTypeError(
            _("{name} is too large for the dtype of its parameter.", name=name),
            expected=_("numbers that {name} can hold", name=dtype),
            got=_("{dtype} up to {max:g}", **got),
            fix=_("a new optimiser, or Trainer, after the model was converted"),
        ) from None
