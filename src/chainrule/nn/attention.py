"""Attention layers: multi-head attention, and causal self-attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.functions import concat, pad, zeros
from chainrule.graph.types import DType
from chainrule.nn import init as initialisers
from chainrule.nn.affine import Linear, linear, same_dtype
from chainrule.nn.arguments import (
    Count,
    flag,
    floating,
    layer_name,
    number,
    positive_integers,
)
from chainrule.nn.cache import KVCache
from chainrule.nn.dot_product_attention import attend, causal, mask_of, need_keys
from chainrule.nn.module import Module, Parameter
from chainrule.nn.parameter import drawn
from chainrule.nn.positions import RotaryPositions
from chainrule.primitives.rules import show
from chainrule.random import randn, uniform
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _

__all__ = ["CausalSelfAttention", "MultiheadAttention"]


def check_heads(kind: str, **arguments: int) -> None:
    """Refuse an embedding width that the number of heads does not divide."""
    (width, size), (heads, count) = arguments.items()
    if size % count:
        raise ArgumentError(
            _("{kind} divides {width} among its heads.", kind=kind, width=width),
            expected=_("{width} a multiple of {heads}", width=width, heads=heads),
            got=f"{width}={size}, {heads}={count}",
        )


class _Heads(Module):
    """Base class of multi-head attention layers: parameters and projections.

    The arguments and the shapes are those of :class:`MultiheadAttention`.
    """

    def __init__(
        self,
        embed_dim: Count,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        kind = type(self).__name__
        self.embed_dim, self.num_heads, self.kdim, self.vdim = positive_integers(
            kind,
            embed_dim=embed_dim,
            num_heads=num_heads,
            kdim=embed_dim if kdim is None else kdim,
            vdim=embed_dim if vdim is None else vdim,
        )
        check_heads(kind, embed_dim=self.embed_dim, num_heads=self.num_heads)
        self.dropout = number(kind, "dropout", dropout, least=0, below=1)
        self.batch_first = flag(kind, "batch_first", batch_first)
        floats, width = floating(kind, dtype, device), self.embed_dim
        shapes = {"in_proj_weight": (3 * width, width)}
        if (self.kdim, self.vdim) != (width, width):
            inputs = {"q": width, "k": self.kdim, "v": self.vdim}
            shapes = {f"{c}_proj_weight": (width, n) for c, n in inputs.items()}
        for name, shape in shapes.items():
            bound = math.sqrt(6 / sum(shape))
            limits = {"low": -bound, "high": bound, "dtype": floats}
            setattr(self, name, drawn(uniform, *shape, **limits))
        biased = flag(kind, "bias", bias)
        empty = np.zeros(3 * width, floats.numpy)
        self.in_proj_bias = Parameter(empty) if biased else None
        self.add_zero_attn = flag(kind, "add_zero_attn", add_zero_attn)
        self.bias_k = self.bias_v = None
        if flag(kind, "add_bias_kv", add_bias_kv):
            row = {"std": math.sqrt(1 / width), "dtype": floats}
            self.bias_k = drawn(randn, 1, 1, width, **row)
            self.bias_v = drawn(randn, 1, 1, width, **row)
        self.out_proj = Linear(width, width, biased, dtype=floats.name)
        if self.out_proj.bias is not None:
            initialisers.zeros_(self.out_proj.bias)

    def _check(self, q: Tensor, k: Tensor, v: Tensor) -> None:
        """Refuse queries, keys and values of shapes that attention does not take."""
        widths = (self.embed_dim, self.kdim, self.vdim)
        batch = 0 if self.batch_first else 1
        right = (
            q.ndim in (2, 3)
            and q.ndim == k.ndim == v.ndim
            and tuple(t.shape[-1] for t in (q, k, v)) == widths
            and k.shape[:-1] == v.shape[:-1]
            and (q.ndim == 2 or q.shape[batch] == k.shape[batch])
        )
        if right:
            return
        lead = ("N, L", "N, S") if self.batch_first else ("L, N", "S, N")
        raise ShapeError(
            _(
                "{name} compares queries with keys.",
                name=layer_name(type(self).__name__),
            ),
            expected=_(
                "query ({lead}, {widths}), key ({lead1}, {widths1}), "
                "value ({lead1}, {widths2}); all without N for one "
                "sequence",
                lead=lead[0],
                widths=widths[0],
                lead1=lead[1],
                widths1=widths[1],
                widths2=widths[2],
            ),
            got=f"{show(q.shape)}, {show(k.shape)}, {show(v.shape)}",
        )

    def _projected(
        self, q: Tensor, k: Tensor, v: Tensor, same: bool
    ) -> Sequence[Tensor]:
        """Project queries, keys and values for all heads, at once if possible."""
        weight, bias = self.__dict__.get("in_proj_weight"), self.in_proj_bias
        if weight is not None and same:
            return linear(
                same_dtype(type(self).__name__, q, weight), weight, bias
            ).chunk(3, dim=-1)
        names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
        weights = (
            [getattr(self, name) for name in names]
            if weight is None
            else weight.chunk(3, dim=0)
        )
        biases = [None] * 3 if bias is None else bias.chunk(3, dim=0)
        return [
            linear(same_dtype(type(self).__name__, t, w, name), w, b)
            for name, t, w, b in zip(
                ("query", "key", "value"), (q, k, v), weights, biases
            )
        ]

    def _heads(self, x: Tensor) -> Tensor:
        """Split a sequence into attention heads: (N, L, E) to (N, H, L, d)."""
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)

    def _attended(self, heads: Sequence[Tensor], masks: Sequence[Tensor]) -> Any:
        """Compute the attention output, (N, L, E), and each head's weights."""
        dropped = self.dropout if self.training else 0.0
        y, weights = attend(heads[0], heads[1], heads[2], tuple(masks), dropped)
        return self.out_proj(y.transpose(1, 2).flatten(2)), weights


class MultiheadAttention(_Heads):
    """Multi-head attention: attentions in parallel, each in a subspace of its own.

        Q = X_q W_qᵀ + b_q,   K = X_k W_kᵀ + b_k,   V = X_v W_vᵀ + b_v
        Y = [head₁ … head_H] W_outᵀ + b_out,   head = softmax(Q Kᵀ/√d) V

    where each head takes d = E/H columns of Q, K and V.

    Vaswani et al. 2017, "Attention is all you need", 3.2.2.

    Args:
        embed_dim: the width of a query and of an output, E, a multiple of num_heads.
        num_heads: the number of heads, H.
        dropout: the probability of dropping a weight in training.
        bias: whether products have a b.
        add_bias_kv: whether a learnt key and value (1, 1, E), ``bias_k`` and
            ``bias_v``, stand behind those of each sequence.
        add_zero_attn: whether a key and value of zeros stand behind them.
        kdim: the width of a key; E by default.
        vdim: the width of a value; E by default.
        batch_first: whether sequences are (N, L, E); else (L, N, E).
        dtype: of the parameters.

    Shapes:
        ``in_proj_weight`` (3E, E), of queries, keys and values; where kdim or vdim is
        not E, ``q_proj_weight`` (E, E), ``k_proj_weight`` (E, kdim), ``v_proj_weight``
        (E, vdim); ``in_proj_bias`` (3E,); ``out_proj.weight`` (E, E),
        ``out_proj.bias`` (E,). As in PyTorch the first start by Xavier's rule, the
        biases from 0.

    >>> import chainrule as cr
    >>> attention = cr.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = cr.zeros(3, 5, 8)
    >>> y, weights = attention(x, x, x)
    >>> y.shape, weights.shape
    ((3, 5, 8), (3, 5, 5))
    """

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Compute the attention output Y, and the attention weights.

        Masks are PyTorch's, in which **true masks a key** (in
        ``scaled_dot_product_attention`` it allows it); numbers are added to the scores.
        A query without any allowed key gets b_out, and weights 0.

        Args:
            query: (L, N, E); (N, L, E) for ``batch_first``; (L, E) for one sequence.
            key: (S, N, kdim), in the same order.
            value: (S, N, vdim), in the same order.
            key_padding_mask: (N, S), or (S,) for one sequence: keys that are padding.
            need_weights: whether the weights are given, else None.
            attn_mask: (L, S), or (N·num_heads, L, S).
            average_attn_weights: whether the weights are means over the heads,
                (N, L, S); else (N, H, L, S).
            is_causal: whether query i attends to keys 0 … i alone; no mask is needed.
        """
        same = query is key is value
        q = as_tensor(query)
        k, v = (q, q) if same else (as_tensor(key), as_tensor(value))
        single = q.ndim == 2
        self._check(q, k, v)
        need_keys("MultiheadAttention", k, -2 if self.batch_first or single else 0)
        wanted = flag("MultiheadAttention", "need_weights", need_weights)
        averaged = flag(
            "MultiheadAttention", "average_attn_weights", average_attn_weights
        )
        if single:
            q, k, v = (t.unsqueeze(0) for t in (q, k, v))
        elif not self.batch_first:
            q, k, v = (t.transpose(0, 1) for t in (q, k, v))
        masks = self._masks(q, k, key_padding_mask, attn_mask)
        if flag("MultiheadAttention", "is_causal", is_causal):
            masks = (*masks, causal((q.shape[1], k.shape[1])))
        heads = [self._heads(t) for t in self._projected(q, k, v, same)]
        y, weights = self._attended(*self._with_more_keys(heads, masks))
        if wanted and averaged:
            weights = weights.mean(1)
        if single:
            y, weights = y.squeeze(0), weights.squeeze(0)
        elif not self.batch_first:
            y = y.transpose(0, 1)
        return y, weights if wanted else None

    def _with_more_keys(
        self, heads: list[Tensor], masks: tuple[Tensor, ...]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Append the learnt key and value, and those of zeros, that all queries see."""
        (q, *both), more = heads, int(self.add_zero_attn)
        n, h, __, width = q.shape
        if self.bias_k is not None and self.bias_v is not None:
            rows = [b.expand(n, 1, h * width) for b in (self.bias_k, self.bias_v)]
            both = [concat([t, self._heads(row)], axis=2) for t, row in zip(both, rows)]
        if self.add_zero_attn:
            empty = zeros((n, h, 1, width), dtype=q.dtype)
            both = [concat([t, empty], axis=2) for t in both]
        more += self.bias_k is not None
        seen = [pad(m, (0, more), value=float(m.dtype is DType.bool)) for m in masks]
        return [q, *both], seen if more else list(masks)

    def _masks(
        self, q: Tensor, k: Tensor, padding: Any, mask: Any
    ) -> tuple[Tensor, ...]:
        """Combine an attention layer's masks to (N, H, L, S), true for visible keys."""
        n, length, keys = q.shape[0], q.shape[1], k.shape[1]
        masks: list[Tensor] = []
        if padding is not None:
            t = _mask("key_padding_mask", padding)
            t = t.unsqueeze(0) if t.ndim == 1 else t
            _need("key_padding_mask", t, [(n, keys)])
            masks.append(t.reshape(n, 1, 1, keys))
        if mask is not None:
            t, several = _mask("attn_mask", mask), n * self.num_heads
            _need("attn_mask", t, [(length, keys), (several, length, keys)])
            if t.ndim == 3:
                t = t.reshape(n, self.num_heads, length, keys)
            masks.append(t)
        return tuple(masks)


def _mask(name: str, value: Any) -> Tensor:
    """Convert an attention mask: numbers stay, truth values (hidden) are inverted."""
    what = _(
        "{name} says where not to look, or what is added to the scores.", name=name
    )
    mask = mask_of(name, value, what)
    return mask if mask.dtype.is_float else ~mask


def _need(name: str, mask: Tensor, shapes: list[Any]) -> None:
    if mask.shape not in shapes:
        raise ShapeError(
            _("{name} is for other sequences.", name=name),
            expected=" or ".join(show(shape) for shape in shapes),
            got=show(mask.shape),
        )


class CausalSelfAttention(_Heads):
    """Causal self-attention: each position attends to itself and to those before it.

    The same as a :class:`MultiheadAttention` of ``(x, x, x, is_causal=True)``, with its
    weights. A :class:`KVCache` makes the next positions cost no more than themselves.

    Vaswani et al. 2017, "Attention is all you need"; the layer of GPT (Radford et al.
    2018).

    Args:
        embed_dim: the width of each position, E, a multiple of num_heads.
        num_heads: the number of heads, H.
        dropout: the probability of dropping a weight in training.
        bias: whether products have a b.
        rotary: whether queries and keys are rotated by :class:`RotaryPositions`.
        dtype: of the parameters.

    Shapes:
        (N, L, E) or (L, E), and the same.

    >>> import chainrule as cr
    >>> attention, x = cr.nn.CausalSelfAttention(8, 2), cr.randn(1, 5, 8)
    >>> cache = cr.nn.KVCache(1, 2, 16, 4)
    >>> made = [attention(x[:, i : i + 1], cache) for i in range(5)]
    >>> bool((cr.cat(made, 1) - attention(x)).abs().max() < 1e-6)
    True
    """

    def __init__(
        self,
        embed_dim: Count,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        *,
        rotary: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            embed_dim,
            num_heads,
            dropout,
            bias,
            batch_first=True,
            device=device,
            dtype=dtype,
        )
        self.rotary = None
        if flag("CausalSelfAttention", "rotary", rotary):
            if self.embed_dim // self.num_heads % 2:
                raise ArgumentError(
                    _("CausalSelfAttention turns pairs of numbers."),
                    expected=_("embed_dim / num_heads even, or rotary=False"),
                    got=f"embed_dim={embed_dim}, num_heads={num_heads}",
                )
            self.rotary = RotaryPositions()

    def forward(self, x: Tensor, cache: KVCache | None = None) -> Tensor:
        """Compute causal self-attention for a sequence, or for its next positions.

        Args:
            x: the sequence, or the positions that follow those in the cache.
            cache: the keys and values of earlier positions; these are appended.
        """
        x = as_tensor(x)
        self._check(x, x, x)
        if cache is None:
            need_keys("CausalSelfAttention", x, -2)
        single = x.ndim == 2
        x = x.unsqueeze(0) if single else x
        q, k, v = (self._heads(t) for t in self._projected(x, x, x, True))
        start = 0 if cache is None else cache.length + 0  # it goes on with the keys
        if self.rotary is not None:
            q, k = self.rotary(q, start), self.rotary(k, start)
        if cache is not None:
            k, v = cache(k, v)
        looks = causal((q.shape[2], k.shape[2]), start)
        y, __ = self._attended((q, k, v), (looks,))
        return y.squeeze(0) if single else y
