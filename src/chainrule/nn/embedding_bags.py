"""Bags of embeddings: the sum, mean or maximum of several rows of a table."""

from __future__ import annotations

import math
from typing import Any, Literal

from chainrule.errors import ArgumentError, ShapeError
from chainrule.functions import arange, where, zeros
from chainrule.nn.arguments import Count, flag, floating, is_known, layer_name
from chainrule.nn.embeddings import Embedding, embedding
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _
from chainrule.util.validation import choice

__all__ = ["EmbeddingBag", "embedding_bag"]


#: What becomes of the rows of a bag.
BagMode = Literal["mean", "sum", "max"]


class EmbeddingBag(Embedding):
    """The sum, mean or maximum of the embeddings of each bag of indices.

    A bag without any gives 0. The derivative of a maximum goes to the first of equals.

    Args:
        num_embeddings, embedding_dim: see :class:`Embedding`.
        max_norm, norm_type, scale_grad_by_freq, sparse: see :class:`Embedding`.
        mode: ``"mean"``, ``"sum"`` or ``"max"``.
        include_last_offset: whether offsets end with the number of indices.
        padding_idx: the number of a row that does not count, and is not trained.
        dtype: of the table.

    Shapes:
        ``weight`` (V, d); input: integers (B, N), a bag a row; or (N,) with offsets
        (B,), where each bag begins. Output (B, d).

    >>> import chainrule as cr
    >>> bags = cr.nn.EmbeddingBag.from_pretrained([[1.0], [2.0], [4.0]], mode="sum")
    >>> bags(cr.tensor([0, 1, 2, 2]), cr.tensor([0, 2]))
    tensor([[3.],
            [8.]])
    """

    def __init__(
        self,
        num_embeddings: Count,
        embedding_dim: Count,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: BagMode = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self._set(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type)
        self._set_gradient(scale_grad_by_freq, sparse)
        self.mode: BagMode = _mode(mode, self.scale_grad_by_freq, None)
        self.include_last_offset = flag(
            "EmbeddingBag", "include_last_offset", include_last_offset
        )
        self.weight = self._drawn(floating("EmbeddingBag", dtype, device))

    def forward(
        self, x: Tensor, offsets: Any = None, per_sample_weights: Any = None
    ) -> Tensor:
        """Return the sum, mean or maximum of each bag's rows.

        Args:
            x: the indices of rows.
            offsets: where each bag begins, for indices (N,).
            per_sample_weights: factors of the rows, as the indices; for sums alone.
        """
        return embedding_bag(
            x,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            self.sparse,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )


def embedding_bag(
    indices: Any,
    weight: Tensor,
    offsets: Any = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: BagMode = "mean",
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Return the sum, mean or maximum of bags of rows, as :class:`EmbeddingBag` does.

    >>> embedding_bag([[0, 2]], Tensor([[1.0], [2.0], [4.0]]))
    tensor([[2.5]])
    """
    x, weight = as_tensor(indices), as_tensor(weight)
    mode = _mode(mode, scale_grad_by_freq, per_sample_weights)
    last = flag("EmbeddingBag", "include_last_offset", include_last_offset)
    if x.ndim not in (1, 2) or (offsets is None) != (x.ndim == 2):
        raise ShapeError(
            _("{kind} takes bags of indices.", kind=layer_name("EmbeddingBag")),
            expected=_("indices (B, N), or (N,) and offsets (B,)"),
            got=_(
                "{shape}, offsets {given}",
                shape=show(x.shape),
                given="=None" if offsets is None else "",
            ),
        )
    limits = (max_norm, norm_type, scale_grad_by_freq, sparse)
    rows = embedding(x, weight, padding_idx, *limits)
    if per_sample_weights is not None:
        factors = as_tensor(per_sample_weights)
        if factors.shape != x.shape:
            raise ShapeError(
                _("A bag of embeddings has a factor for each index."),
                expected=show(x.shape),
                got=show(factors.shape),
            )
        rows = rows * factors.astype(rows.dtype).unsqueeze(-1)
    within = x == x if padding_idx is None else x != padding_idx % weight.shape[0]
    within, bags, count = within.unsqueeze(-1), None, x.shape[0]
    if x.ndim == 1:
        bags, count = _bags(x, offsets, last)
        if mode == "max":  # every bag looks at all indices
            of = bags == arange(count).unsqueeze(1)
            within, rows = of.unsqueeze(-1) & within, rows.unsqueeze(0)
    if mode == "max":
        best = where(within, rows, -math.inf).argmax(1, keepdim=True)
        rows = rows.expand(within.shape[0], *rows.shape[1:])
        return where(within.any(1), rows.take_along_dim(best, 1).squeeze(1), 0.0)
    parts = where(within, rows, 0.0), within.astype(rows.dtype)
    if bags is None:
        total, times = (part.sum(1) for part in parts)
    else:
        total, times = (
            zeros((count, part.shape[1]), dtype=rows.dtype).index_add(0, bags, part)
            for part in parts
        )
    return total if mode == "sum" else total / times.clamp(min=1)


def _mode(mode: Any, by_frequency: Any, factors: Any) -> BagMode:
    """Check an embedding bag's mode, and what it does not go together with."""
    mode = choice("mean", "sum", "max")("mode", mode)
    if mode == "max" and flag("EmbeddingBag", "scale_grad_by_freq", by_frequency):
        other = "scale_grad_by_freq=True"
    elif mode != "sum" and factors is not None:
        other = "per_sample_weights"
    else:
        return mode
    raise ArgumentError(
        _("EmbeddingBag does not combine these."),
        expected=_("mode='sum'"),
        got=f"mode={mode!r}, {other}",
    )


def _bags(x: Tensor, offsets: Any, last: bool) -> tuple[Tensor, int]:
    """Return the bag of each index, and the number of bags."""
    start, rule = as_tensor(offsets), _("EmbeddingBag begins a bag at each offset.")
    if start.ndim != 1 or not start.dtype.is_integer or start.shape[0] < last:
        raise ShapeError(
            rule,
            expected=_("integers of shape (B,)"),
            got=f"{start.dtype.name} {show(start.shape)}",
        )
    if is_known(start) and start.size:
        known, size = start.numpy(), int(x.shape[0])
        if known[0] or (known[1:] < known[:-1]).any() or known[-1] > size:
            raise ArgumentError(
                rule,
                expected=_("offsets from 0 on that do not fall, up to {n}", n=size),
                got=f"{known!r:.60}",
            )
    start = start.astype("int64")
    start = start[:-1] if last else start  # the last bag goes to the end, as in PyTorch
    if not start.shape[0] and x.shape[0]:
        raise ShapeError(rule, expected=_("an offset"), got=show(start.shape))
    begun = arange(x.shape[0]) >= start.unsqueeze(1)
    return begun.sum(0).astype("int64") - 1, int(start.shape[0])
