"""Embedding: rows of a table by index, and one-hot vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import DTypeError, ShapeError
from chainrule.functions import where
from chainrule.graph.context import context
from chainrule.nn.arguments import (
    Count,
    floating,
    integer,
    layer_name,
    positive_integers,
)
from chainrule.nn.losses.checks import check_labels, checked
from chainrule.nn.module import Module, Parameter
from chainrule.primitives.indexing import check_indices, one_hot_mask, take
from chainrule.primitives.rules import show
from chainrule.random import randn
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _
from chainrule.util.validation import whole

__all__ = ["Embedding", "embedding", "one_hot"]


class Embedding(Module):
    """A table with one row of d numbers for each of V indices: a⁽⁰⁾ = row x of W.

    The same as a ``Linear`` without bias on one-hot inputs, without the zeros. Only the
    rows that a batch names have a gradient; a row named twice gets the sum.

    Args:
        num_embeddings: the number of rows, V.
        embedding_dim: the width of a row, d.
        padding_idx: the number of a row that starts at 0 and is not trained, such as
            that of a filler word; −1 is the last.
        dtype: of the table.

    Shapes:
        ``weight`` (V, d), from N(0, 1) as PyTorch's; input: integers 0 … V−1 of any
        shape (…), output (…, d).

    >>> import chainrule as cr
    >>> cr.nn.Embedding(10, 4)(cr.Tensor([[1, 2, 1]])).shape
    (1, 3, 4)
    """

    def __init__(
        self,
        num_embeddings: Count,
        embedding_dim: Count,
        padding_idx: int | None = None,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self.num_embeddings, self.embedding_dim = shape = positive_integers(
            "Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim
        )
        self.padding_idx = padding_idx
        if padding_idx is not None:
            self.padding_idx = _padding_row(padding_idx, shape[0])
        drawn = randn(*shape, dtype=floating("Embedding", dtype, device))
        if self.padding_idx is not None:
            table = np.array(drawn.numpy())
            table[self.padding_idx] = 0
            drawn = table
        self.weight = Parameter(drawn)

    def forward(self, x: Tensor) -> Tensor:
        """Return the rows of the embedding table at the indices ``x``."""
        return embedding(x, self.weight, self.padding_idx)


def embedding(indices: Any, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Return rows of a table ``weight`` (V, d) by index, as :class:`Embedding` does.

    Raises:
        ShapeError: a weight that is no table.
        DTypeError: ``indices`` are not integers.
        ArgumentError: an index outside 0 … V−1, a padding_idx outside −V … V−1.

    >>> embedding([2, 0], Tensor([[1.0], [2.0], [3.0]]))
    tensor([[3.],
            [1.]])
    """
    indices, weight = as_tensor(indices), as_tensor(weight)
    if weight.ndim != 2:
        raise ShapeError(
            _("{place} takes rows of a table.", place=layer_name("Embedding")),
            expected=_("a weight of shape (V, d)"),
            got=show(weight.shape),
        )
    if not indices.dtype.is_integer:
        raise DTypeError(
            _("{place} takes the numbers of rows.", place=layer_name("Embedding")),
            expected=_("integers"),
            got=indices.dtype.name,
            fix=_("x.astype('int64'), or nn.Linear for numbers that are measurements"),
        )
    if context.trace is None:
        check_indices(layer_name("Embedding"), indices.numpy(), int(weight.shape[0]))
    rows = wrap(take(weight.value, indices.value))
    if padding_idx is None:
        return rows
    row = _padding_row(padding_idx, int(weight.shape[0]))
    padding = (indices == row).unsqueeze(-1)
    return where(padding, rows.detach(), rows)


def _padding_row(padding_idx: Any, rows: int) -> int:
    """Return the index of an embedding's padding row, which is not trained."""
    what = _("Embedding has no row for this {name}.")
    row = whole("padding_idx", padding_idx, least=-rows, most=rows - 1, what=what)
    return row % rows


def one_hot(x: Any, num_classes: int = -1) -> Tensor:
    """Return the one-hot vectors of class indices, int64 (…, C).

    Args:
        x: integers 0 … C−1, of any shape (…).
        num_classes: C; −1 for the largest class and one.

    >>> one_hot([0, 2], 3)
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    x = as_tensor(x)
    if not x.dtype.is_integer:
        raise DTypeError(
            _("one_hot takes class indices."), expected=_("integers"), got=x.dtype.name
        )
    if num_classes == -1:
        num_classes = int(x.numpy().max(initial=0)) + 1
    num_classes = integer("one_hot", "num_classes", num_classes, least=1)
    x = checked(x, lambda a: check_labels(a, num_classes))
    return wrap(one_hot_mask(x.value, num_classes)).astype("int64")
