"""Attention: scaled products with caches and masks, rotations, linear recurrences."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import functions as fn
from chainrule.errors import ArgumentError
from chainrule.interop.onnx.reader.operators.elementwise import as_constant
from chainrule.interop.onnx.reader.operators.types import dtype_of
from chainrule.interop.onnx.reader.table import operator
from chainrule.tensor import Tensor, tensor
from chainrule.text import _
from chainrule.transforms.control import scan


def _heads(x: Tensor, count: int | None) -> Tensor:
    """Return (N, T, heads·d) as (N, heads, T, d); four axes stay as they are."""
    if x.ndim == 4:
        return x
    if not count or x.shape[-1] % count:
        raise ArgumentError(
            _("Attention of three axes has a number of heads."),
            expected=_("a divisor of {n}", n=x.shape[-1]),
            got=str(count),
        )
    n, steps, width = x.shape
    return fn.permute(fn.reshape(x, (n, steps, count, width // count)), (0, 2, 1, 3))


@operator("Attention", since=23)
def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    past_key: Tensor | None = None,
    past_value: Tensor | None = None,
    lengths: Tensor | None = None,
    *,
    is_causal: int = 0,
    kv_num_heads: int | None = None,
    left_window_size: int = -1,
    q_num_heads: int | None = None,
    qk_matmul_output_mode: int = 0,
    right_window_size: int = -1,
    scale: float | None = None,
    softcap: float = 0.0,
    softmax_precision: int | None = None,
) -> tuple[Tensor, ...]:
    """softmax(Q Kᵀ·scale + bias) V; keys, values, and scores are further outputs.

    A query of which no key is left gives 0. With a cache, queries follow its keys;
    ``lengths`` says how many keys of each sample there are.
    """
    flat = q.ndim == 3
    q, k, v = _heads(q, q_num_heads), _heads(k, kv_num_heads), _heads(v, kv_num_heads)
    if past_key is not None and past_value is not None:
        k, v = fn.concat([past_key, k], dim=2), fn.concat([past_value, v], dim=2)
    keys, values = k, v
    if q.shape[1] != k.shape[1]:
        groups = q.shape[1] // k.shape[1]
        k = fn.repeat_interleave(k, groups, dim=1)
        v = fn.repeat_interleave(v, groups, dim=1)
    factor = math.sqrt(1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    scores = fn.matmul(q * factor, fn.matrix_transpose(k) * factor)
    shown = scores
    if softcap > 0:
        scores = fn.tanh(scores / softcap) * softcap
        shown = scores if qk_matmul_output_mode == 1 else shown
        if qk_matmul_output_mode == 0:
            shown = scores
    bias = _bias(
        q,
        k,
        mask,
        offset=0 if past_key is None else past_key.shape[2],
        lengths=lengths,
        causal=bool(is_causal),
        left=left_window_size,
        right=right_window_size,
    )
    if bias is not None:
        scores = scores + bias
    if qk_matmul_output_mode == 2:
        shown = scores
    if softmax_precision is not None and dtype_of(softmax_precision) != q.dtype.name:
        scores = scores.astype(dtype_of(softmax_precision))
    if bias is None:
        shares = fn.softmax(scores, dim=-1)
    else:
        empty = fn.amax(bias, dim=-1, keepdim=True) == -math.inf
        safe = fn.where(empty, fn.zeros_like(scores), scores)
        shares = fn.softmax(safe, dim=-1)
        shares = fn.where(empty, fn.zeros_like(shares), shares)
    if qk_matmul_output_mode == 3:
        shown = shares.astype(q.dtype)
    y = fn.matmul(shares.astype(q.dtype), v)
    if flat:
        n, heads, steps, width = y.shape
        y = fn.reshape(fn.permute(y, (0, 2, 1, 3)), (n, steps, heads * width))
    return y, keys, values, shown


def _bias(
    q: Tensor,
    k: Tensor,
    mask: Tensor | None,
    *,
    offset: Any,
    lengths: Tensor | None,
    causal: bool,
    left: int,
    right: int,
) -> Tensor | None:
    """Return the bias of attention scores: −∞ where a query does not see a key."""
    queries, keys = q.shape[2], k.shape[2]
    zero, never = as_constant(0.0, q), as_constant(-math.inf, q)
    parts: list[Tensor] = []
    if mask is not None:
        short = keys - mask.shape[-1]
        if mask.dtype.name == "bool":
            mask = fn.where(mask, zero, never)
        if short > 0:
            mask = fn.pad(mask, (0, short), value=-math.inf)
        parts.append(mask)
    at = tensor(np.arange(queries)[:, None])
    key = tensor(np.arange(keys))
    if lengths is None:
        at = at + offset
    else:
        count = fn.reshape(lengths.astype("int64"), (-1, 1, 1, 1))
        at = at + (count - queries)
        parts.append(fn.where(key < count, zero, never))
    if causal:
        parts.append(fn.where(key <= at, zero, never))
    if left >= 0:
        parts.append(fn.where(at - key <= left, zero, never))
    if right >= 0:
        parts.append(fn.where(key - at <= right, zero, never))
    if not parts:
        return None
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


@operator("RotaryEmbedding", since=23)
def rotary_embedding(
    x: Tensor,
    cos: Tensor,
    sin: Tensor,
    positions: Tensor | None = None,
    *,
    interleaved: int = 0,
    num_heads: int = 0,
    rotary_embedding_dim: int = 0,
) -> Tensor:
    """Pairs of elements rotated by an angle that grows with their position."""
    heads = _heads(x, num_heads)
    rows = fn.permute(heads, (0, 2, 1, 3))  # (N, T, heads, d)
    width = rotary_embedding_dim or rows.shape[-1]
    turned, rest = rows[..., :width], rows[..., width:]
    if positions is not None:
        cos, sin = cos[positions], sin[positions]
    cos, sin = fn.unsqueeze(cos, 2), fn.unsqueeze(sin, 2)
    if interleaved:
        a, b = turned[..., 0::2], turned[..., 1::2]
    else:
        a, b = turned[..., : width // 2], turned[..., width // 2 :]
    pair = [a * cos - b * sin, a * sin + b * cos]
    if interleaved:
        turned = fn.reshape(fn.stack(pair, dim=-1), tuple(turned.shape))
    else:
        turned = fn.concat(pair, dim=-1)
    y = fn.concat([turned, rest], dim=-1)
    if x.ndim == 3:
        return fn.reshape(y, tuple(x.shape))
    return fn.permute(y, (0, 2, 1, 3))


@operator("LinearAttention", since=27)
def linear_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    past: Tensor | None = None,
    decay: Tensor | None = None,
    beta: Tensor | None = None,
    *,
    chunk_size: int = 64,
    kv_num_heads: int,
    q_num_heads: int,
    scale: float = 0.0,
    update_rule: str = "gated_delta",
) -> tuple[Tensor, Tensor]:
    """oₜ = scale·qₜᵀ Sₜ, where S is a sum of kₜ ⊗ vₜ that decays, or is corrected."""
    dtype = q.dtype
    rules = ("linear", "gated", "delta", "gated_delta")
    gates, corrects = "gated" in update_rule, "delta" in update_rule
    if (
        update_rule not in rules
        or gates == (decay is None)
        or corrects == (beta is None)
    ):
        raise ArgumentError(
            _("LinearAttention has the inputs that its rule needs."),
            expected=", ".join(rules),
            got=f"{update_rule!r:.40}",
        )
    qs, ks = _steps(q, q_num_heads), _steps(k, kv_num_heads)
    vs = _steps(v, kv_num_heads)
    width, group = ks.shape[-1], q_num_heads // kv_num_heads
    factor = scale or 1 / math.sqrt(width)
    n = q.shape[0]
    start = fn.zeros((n, kv_num_heads, width, vs.shape[-1]), dtype=ks.dtype)
    if past is not None:
        start = past.astype(ks.dtype)
    sequences: dict[str, Tensor] = {"q": qs, "k": ks, "v": vs}
    if decay is not None:
        sequences["decay"] = fn.exp(_steps(decay, kv_num_heads))
    if beta is not None:
        per_head = kv_num_heads if beta.shape[-1] == kv_num_heads else 1
        sequences["beta"] = _steps(beta, per_head)

    def step(state: Tensor, at: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        key, value = at["k"], at["v"]
        if "decay" in at:
            state = state * fn.unsqueeze(at["decay"], -1)
        if "beta" in at:
            found = fn.squeeze(fn.matmul(fn.unsqueeze(key, -2), state), -2)
            value = at["beta"] * (value - found)
        state = state + fn.unsqueeze(key, -1) * fn.unsqueeze(value, -2)
        read = state if group == 1 else fn.repeat_interleave(state, group, dim=1)
        return state, fn.squeeze(fn.matmul(fn.unsqueeze(at["q"], -2), read), -2)

    last, y = scan(step, start, sequences)
    y = fn.permute(y * factor, (1, 0, 2, 3))  # (N, T, heads, d)
    y = fn.reshape(y, (n, q.shape[1], -1))
    return y.astype(dtype), last.astype(dtype if past is None else past.dtype)


def _steps(x: Tensor, heads: int) -> Tensor:
    """Return (N, T, heads·d) as (T, N, heads, d), the order of a loop."""
    n, steps, width = x.shape
    return fn.permute(fn.reshape(x, (n, steps, heads, width // heads)), (1, 0, 2, 3))
