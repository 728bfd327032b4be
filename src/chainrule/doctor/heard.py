"""Which outputs and targets a loss takes part in, found by calling it.

A loss that is the same whatever target stands beside an output cannot teach which
target belongs to which row. One whose derivative by an output is always 0 teaches that
output nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.doctor.network import SIGMOID, SOFTMAX, TANH
from chainrule.graph.node import Array
from chainrule.nn import functional
from chainrule.tensor import Tensor, tensor

#: Rows that are asked about; draws of outputs, and orders of the targets.
ROWS, DRAWS = 64, 3
#: Losses that differ by a smaller share are the same but for rounding.
SAME = 1e-5
#: What makes answers of numbers, by the operation that a network ends in.
ENDS: dict[str, Callable[[Tensor], Tensor]] = {
    SOFTMAX: lambda scores: scores.softmax(-1),
    "log_softmax": lambda scores: functional.log_softmax(scores, -1),
    SIGMOID: lambda scores: scores.sigmoid(),
    TANH: lambda scores: scores.tanh(),
}


@dataclass(frozen=True)
class Heard:
    """The parts of outputs and targets that a loss depends on.

    Attributes:
        pairs: whether the loss depends on which target stands beside which output.
        deaf_columns: the share of output columns by which it has no derivative.
        deaf_rows: the share of rows by whose outputs it has none.
        losses: one with the targets as they are, and one in another order of them.
    """

    pairs: bool
    deaf_columns: float
    deaf_rows: float
    losses: tuple[float, float]


def heard(
    loss: Callable[..., Any],
    y: Array,
    shape: tuple[Any, ...],
    end: Callable[[Any], Any] | None = None,
) -> Heard | None:
    """Return what a loss takes part of; None: it takes no outputs of this shape.

    Args:
        loss: is called as ``loss(outputs, targets)``.
        y: the targets of some rows, as the loss gets them.
        shape: of the outputs, behind the axis of the rows.
        end: what makes answers of numbers, such as a softmax that the network ends in.
    """
    y = np.asarray(y[:ROWS])
    flat = y.reshape(len(y), -1)
    if not all(isinstance(size, int) for size in shape) or not y.size:
        return None
    if (flat == flat[:1]).all():
        return None  # one target alone is beside each output, in any order
    draw = np.random.default_rng(0)
    floats = y.dtype.kind == "f"
    spread = float(y.std()) if floats and np.isfinite(y).all() else 1.0
    middle = float(y.mean()) if floats and end is None else 0.0
    reached = np.zeros((len(y), *shape), bool)
    pairs, losses = False, (0.0, 0.0)
    for _ in range(DRAWS):
        numbers = middle + (spread or 1.0) * draw.normal(size=(len(y), *shape))
        own = _loss(loss, numbers, y, end)
        if own is None:
            return None
        value, slopes = own
        reached |= slopes != 0
        for _ in range(DRAWS):
            order = draw.permutation(len(y))
            other = _loss(loss, numbers, y[order], end)
            if other is None:
                return None
            losses = value, other[0]
            pairs |= abs(other[0] - value) > SAME * max(abs(value), abs(other[0]))
    by_row = reached.reshape(len(y), -1)
    by_column = np.moveaxis(reached, 1, -1) if len(shape) > 1 else reached
    columns = by_column.reshape(-1, by_column.shape[-1] if shape else 1)
    return Heard(
        pairs,
        1 - float(columns.any(0).mean()),
        1 - float(by_row.any(1).mean()),
        losses,
    )


def _loss(
    loss: Any, numbers: Array, y: Array, end: Callable[[Any], Any] | None
) -> tuple[float, Array] | None:
    """Return a loss and its derivatives by the outputs; None: it gives no numbers."""
    try:
        with np.errstate(all="ignore"):
            outputs = tensor(numbers.astype(np.float32)).requires_grad_()
            found = loss(outputs if end is None else end(outputs), tensor(y))
            value = float(found.item())
            slopes = np.zeros(numbers.shape)
            if found.requires_grad:
                found.backward()
                if outputs.grad is not None:
                    slopes = outputs.grad.numpy()
    except Exception:  # noqa: BLE001 - of the user's loss
        return None
    if not np.isfinite(value) or not np.isfinite(slopes).all():
        return None
    return value, slopes
