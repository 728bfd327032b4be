"""Attention: means of values, weighted by the similarity of queries and keys."""

from __future__ import annotations

import math
from typing import Any

from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.functions import where
from chainrule.graph.context import context
from chainrule.graph.types import DType, Shape, size_of
from chainrule.nn.arguments import flag, layer_name
from chainrule.nn.regularization import dropout
from chainrule.operations.operands import broadcast_shapes
from chainrule.primitives.creation import iota
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _
from chainrule.util.bounded import Bounded

__all__ = ["scaled_dot_product_attention"]


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Compute the attention softmax(Q Kᵀ · scale) V.

    Vaswani et al. 2017, "Attention is all you need".

    Args:
        query: Q, (…, L, E).
        key: K, (…, S, E).
        value: V, (…, S, D).
        attn_mask: truth values (…, L, S), true where a query may attend to a key; or
            numbers that are added to the scores, −∞ where it may not. A query without
            any allowed key gets 0.
        dropout_p: the probability of dropping a weight, also in prediction: pass 0.
        is_causal: whether query i attends to keys 0 … i alone.
        scale: of the scores; 1/√E by default.
        enable_gqa: whether several heads of Q, axis −3, share a head of K and V, as
            many each (Ainslie et al. 2023).

    Returns:
        (…, L, D).

    Raises:
        ShapeError: sizes that do not go together, no key at all (S = 0), no numbers in
            a query (E = 0).
        DTypeError: a mask of integers, in which 0 and 1 may mean either.
        ArgumentError: a mask besides ``is_causal``.

    >>> q = as_tensor([[1.0, 0.0]])
    >>> k, v = as_tensor([[1.0, 0.0], [0.0, 1.0]]), as_tensor([[1.0], [3.0]])
    >>> scaled_dot_product_attention(q, k, v, scale=0.0)
    tensor([[2.]])
    """
    q, k, v = as_tensor(query), as_tensor(key), as_tensor(value)
    if (
        min(q.ndim, k.ndim, v.ndim) < 2
        or q.shape[-1] != k.shape[-1]
        or k.shape[-2] != v.shape[-2]
        or q.shape[-1] == 0
    ):
        raise ShapeError(
            _("Attention compares queries with keys."),
            expected=_("query (…, L, E), key (…, S, E), value (…, S, D), E at least 1"),
            got=f"{show(q.shape)}, {show(k.shape)}, {show(v.shape)}",
        )
    need_keys("Attention", k, -2)
    if flag("attention", "enable_gqa", enable_gqa):
        k, v = (_shared(t, q) for t in (k, v))
    if flag("attention", "is_causal", is_causal):
        if attn_mask is not None:
            raise ArgumentError(
                _("Attention is causal, or takes a mask."),
                expected=_("is_causal=True or attn_mask"),
                got="both",
            )
        attn_mask = causal((q.shape[-2], k.shape[-2]))
    masks: tuple[Tensor, ...] = ()
    if attn_mask is not None:
        what = _("attn_mask says where to look, or what is added to the scores.")
        masks = (mask_of("attn_mask", attn_mask, what),)
    return attend(q, k, v, masks, dropout_p, scale)[0]


def _shared(heads: Tensor, q: Tensor) -> Tensor:
    """Repeat the heads of keys or values for the queries that share them."""
    given = (q.shape[-3:-2], heads.shape[-3:-2])
    sizes = [n for n, *__ in given if isinstance(n, int) and n]
    if len(sizes) < 2 or sizes[0] % sizes[1]:
        raise ShapeError(
            _("Heads of queries share those of keys and values."),
            expected=_("query (…, H, L, E), key and value (…, G, S, …), H = n · G"),
            got=f"{show(q.shape)}, {show(heads.shape)}",
        )
    return heads.repeat_interleave(sizes[0] // sizes[1], -3)


#: Causal masks of eager calls before, of up to so many elements. Nobody changes them.
_masks: Bounded[Shape, Tensor] = Bounded(16)
_KEPT = 1 << 20


def causal(shape: Shape, start: Tensor | int = 0) -> Tensor:
    """Return a causal mask (L, S): query i may attend to keys 0 … start + i."""
    whole = context.trace is None and isinstance(start, int) and start == 0
    if whole and (known := _masks.get(shape)) is not None:
        return known
    rows, columns = (wrap(iota(shape=shape, axis=a, dtype=DType.int32)) for a in (0, 1))
    mask = columns <= rows + start
    if whole and size_of(shape) <= _KEPT:
        _masks[shape] = mask
    return mask


def mask_of(name: str, value: Any, what: str) -> Tensor:
    """Check an attention mask: truth values, or numbers that are added to the scores.

    Raises:
        DTypeError: integers. ``what`` says which mask it is.
    """
    mask = as_tensor(value)
    if mask.dtype.is_float or mask.dtype is DType.bool:
        return mask
    raise DTypeError(
        what,
        expected=_("truth values, or floats"),
        got=mask.dtype.name,
        fix=f"{name}.astype('bool')",
    )


def need_keys(kind: str, keys: Tensor, axis: int) -> None:
    """Refuse attention to a sequence of keys of length 0."""
    if keys.shape[axis] == 0:
        raise ShapeError(
            _("{kind} has no mean of a sequence without steps.", kind=layer_name(kind)),
            expected=_("at least one step to look at"),
            got=show(keys.shape),
        )


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    masks: tuple[Tensor, ...],
    dropout_p: float,
    scale: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Compute the output and weights (…, L, S) of attention under several masks.

    Raises:
        ShapeError: a mask that does not broadcast to the weights.
    """
    if scale is None:
        scale = 1 / math.sqrt(int(q.shape[-1]))
    scores = (q * scale) @ k.transpose(-2, -1)
    allowed: Tensor | None = None
    for mask in masks:
        _check_mask(mask, scores.shape)
        looks = mask != -math.inf if mask.dtype.is_float else mask
        if mask.dtype.is_float:
            scores = scores + mask.astype(scores.dtype)
        allowed = looks if allowed is None else allowed & looks
    if allowed is not None:
        scores = where(allowed, scores, float(scores.dtype.limits.min) / 2)
    weights = scores.softmax(-1)
    if allowed is not None:
        weights = where(allowed, weights, 0.0)
    weights = dropout(weights, dropout_p)
    return weights @ v, weights


def _check_mask(mask: Tensor, shape: Shape) -> None:
    try:
        right = broadcast_shapes(mask.shape, shape) == shape
    except ShapeError:
        right = False
    if not right:
        raise ShapeError(
            _("A mask of attention says which query looks at which key."),
            expected=_("a shape that broadcasts to {shape}", shape=show(shape)),
            got=show(mask.shape),
        )
