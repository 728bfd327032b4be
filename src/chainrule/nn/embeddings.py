"""Embedding: rows of a table by index, and one-hot vectors."""

from __future__ import annotations

from typing import Any, Self

from chainrule.composites.embedding import lookup
from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.functions import ones, where, zeros
from chainrule.graph.context import context, no_grad
from chainrule.graph.types import DType
from chainrule.nn.arguments import (
    Count,
    flag,
    floating,
    integer,
    layer_name,
    number,
    positive_integers,
)
from chainrule.nn.losses.checks import check_labels, checked
from chainrule.nn.module import Module, Parameter
from chainrule.nn.parameter import drawn
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
        max_norm: the largest norm of a row; longer ones are scaled, in place, whenever
            they are read. None for no limit.
        norm_type: the p of this norm.
        scale_grad_by_freq: whether the gradient of a row is divided by how often a
            batch names it.
        sparse: whether the gradient is of the rows that were looked up, and nothing is
            made for others: for large tables. ``optim.SparseAdam``, ``SGD`` and
            ``Adagrad`` take it, and their step uses it up: ``.grad`` is None after it.
        dtype: of the table.

    Shapes:
        ``weight`` (V, d), from N(0, 1) as PyTorch's; input: integers 0 … V−1 of any
        shape (…), output (…, d).

    >>> import chainrule as cr
    >>> cr.nn.Embedding(10, 4)(cr.tensor([[1, 2, 1]])).shape
    (1, 3, 4)
    """

    def __init__(
        self,
        num_embeddings: Count,
        embedding_dim: Count,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self._set(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type)
        self._set_gradient(scale_grad_by_freq, sparse)
        self.weight = self._drawn(floating("Embedding", dtype, device))

    def _set(self, rows: Any, width: Any, padding: Any, most: Any, norm: Any) -> None:
        """Check the sizes of an embedding and the limit of its rows; store them."""
        kind = type(self).__name__
        self.num_embeddings, self.embedding_dim = positive_integers(
            kind, num_embeddings=rows, embedding_dim=width
        )
        self.padding_idx = padding
        if padding is not None:
            self.padding_idx = _padding_row(padding, self.num_embeddings)
        self.max_norm = most if most is None else number(kind, "max_norm", most)
        self.norm_type = number(kind, "norm_type", norm)

    def _set_gradient(self, scale_grad_by_freq: Any, sparse: Any) -> None:
        """Check how an embedding's gradient is made."""
        kind = type(self).__name__
        wanted = flag(kind, "scale_grad_by_freq", scale_grad_by_freq)
        self.scale_grad_by_freq = wanted
        self.sparse = flag(kind, "sparse", sparse)
        _check_sparse(kind, self.sparse, wanted)

    def _drawn(self, dtype: DType) -> Parameter:
        """Draw an embedding's table from N(0, 1), with a padding row of zeros."""

        def rows(*shape: int, dtype: DType) -> Any:
            table = randn(*shape, dtype=dtype)
            if self.padding_idx is None:
                return table
            table[self.padding_idx] = 0
            return table

        return drawn(rows, self.num_embeddings, self.embedding_dim, dtype=dtype)

    @classmethod
    def from_pretrained(
        cls, embeddings: Any, freeze: bool = True, **options: Any
    ) -> Self:
        """Return an embedding with a given table (V, d).

        Args:
            embeddings: the table, which is copied.
            freeze: whether it is not trained.
            options: of the constructor: ``padding_idx``, ``max_norm``, …

        >>> from chainrule import nn
        >>> nn.Embedding.from_pretrained([[1.0, 2.0], [3.0, 4.0]])([1])
        tensor([[3., 4.]])
        """
        table = as_tensor(embeddings)
        _check_table(cls.__name__, table)
        rows, width = (int(n) for n in table.shape)
        made = cls(rows, width, **options, dtype=table.dtype)
        made.weight.data.copy_(table)
        made.weight.requires_grad_(not flag(cls.__name__, "freeze", freeze))
        return made

    def forward(self, x: Tensor) -> Tensor:
        """Return the rows of the embedding table at the indices ``x``."""
        limit = (self.max_norm, self.norm_type)
        return embedding(
            x,
            self.weight,
            self.padding_idx,
            *limit,
            self.scale_grad_by_freq,
            self.sparse,
        )


def embedding(
    input: Any,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Return rows of a table ``weight`` (V, d) by index, as :class:`Embedding` does.

    Raises:
        ShapeError: a weight that is no table.
        DTypeError: ``indices`` are not integers.
        ArgumentError: an index outside 0 … V−1, a padding_idx outside −V … V−1; sparse
            gradients that are scaled.

    >>> embedding([2, 0], Tensor([[1.0], [2.0], [3.0]]))
    tensor([[3.],
            [1.]])
    """
    input, weight = as_tensor(input), as_tensor(weight)
    _check_table("Embedding", weight)
    scaled = flag("Embedding", "scale_grad_by_freq", scale_grad_by_freq)
    _check_sparse("Embedding", flag("Embedding", "sparse", sparse), scaled)
    if not input.dtype.is_integer:
        raise DTypeError(
            _("{place} takes the numbers of rows.", place=layer_name("Embedding")),
            expected=_("integers"),
            got=input.dtype.name,
            fix=_("x.astype('int64'), or nn.Linear for numbers that are measurements"),
        )
    count = int(weight.shape[0])
    if context.trace is None:
        check_indices(layer_name("Embedding"), input.numpy(), count)
    norm_type = number("Embedding", "norm_type", norm_type)
    if max_norm is not None:
        most = number("Embedding", "max_norm", max_norm)
        _limit_rows(weight, _times_of(input, weight) > 0, most, norm_type)
    if sparse:
        row = -1 if padding_idx is None else _padding_row(padding_idx, count)
        return wrap(lookup(weight.value, input.value, padding=row))
    rows = wrap(take(weight.value, input.value))
    if scaled:
        times = _times_of(input, weight)[input].unsqueeze(-1)
        share = (rows - rows.detach()) / times
        rows = rows.detach() + share
    if padding_idx is None:
        return rows
    row = _padding_row(padding_idx, count)
    padding = (input == row).unsqueeze(-1)
    return where(padding, rows.detach(), rows)


def _check_table(kind: str, weight: Tensor) -> None:
    """Refuse an embedding's weight that is no table of rows."""
    if weight.ndim != 2:
        raise ShapeError(
            _("{place} takes rows of a table.", place=layer_name(kind)),
            expected=_("a weight of shape (V, d)"),
            got=show(weight.shape),
        )


def _check_sparse(kind: str, sparse: bool, scaled: bool) -> None:
    """Refuse sparse gradients of an embedding that are scaled, as PyTorch does."""
    if sparse and scaled:
        raise ArgumentError(
            _("{kind} does not scale a gradient of rows.", kind=layer_name(kind)),
            expected=_("scale_grad_by_freq=True or sparse=True"),
            got=_("both"),
        )


def _times_of(indices: Tensor, weight: Tensor) -> Tensor:
    """Return how often indices name each row of a table."""
    flat = indices.flatten().astype("int64")
    times = zeros(int(weight.shape[0]), dtype=weight.dtype)
    return times.index_add(0, flat, ones(flat.shape, dtype=weight.dtype))


def _limit_rows(weight: Tensor, used: Tensor, most: float, p: float) -> None:
    """Scale the rows of a table that are used to a norm of at most ``most``, in place.

    As in PyTorch, by most/(norm + 10⁻⁷), before they are read.
    """
    with no_grad():
        norms = weight.norm(p, 1)
        factor = where(used & (norms > most), most / (norms + 1e-7), 1.0)
        weight.copy_(weight * factor.unsqueeze(1))


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
