"""Positional encodings: sinusoidal, rotary and learnt.

Sequences are (…, L, d): the position is the axis before the last.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import DTypeError, ShapeError
from chainrule.functions import stack
from chainrule.graph.types import Dim, DType
from chainrule.nn.affine import same_dtype
from chainrule.nn.arguments import (
    Count,
    floating,
    layer_name,
    number,
    positive_integers,
)
from chainrule.nn.embeddings import embedding
from chainrule.nn.losses.checks import check_capacity, checked
from chainrule.nn.module import Module
from chainrule.nn.parameter import drawn
from chainrule.operations.narrow import in_single
from chainrule.primitives.creation import iota
from chainrule.primitives.rules import show
from chainrule.random import randn
from chainrule.tensor import Tensor, as_tensor, count_of, tensor, wrap
from chainrule.text import _
from chainrule.util import validation

__all__ = ["LearnedPositions", "RotaryPositions", "SinusoidalPositions"]

#: Where a sequence begins: a number, or a counter.
Start = int | Tensor


def _positions(kind: str, x: Tensor, start: Start, even: bool = False) -> Tensor:
    """Return the positions start, start + 1, … of a sequence's elements: int64 (L,)."""
    width = x.shape[-1] if x.ndim > 1 else None
    if width is None or (even and (not isinstance(width, int) or width % 2)):
        raise ShapeError(
            _("{place} takes sequences of pairs of numbers.", place=layer_name(kind))
            if even
            else _("{place} takes sequences.", place=layer_name(kind)),
            expected=_("(…, L, d) with an even d") if even else "(…, L, d)",
            got=show(x.shape),
        )
    start = _start(kind, start)
    return wrap(iota(shape=(x.shape[-2],), axis=0, dtype=DType.int64)) + start


def _start(kind: str, start: Start) -> Start:
    """Check a sequence's start position: an integer ≥ 0, or a tensor of one integer."""
    if not isinstance(start, Tensor):
        return validation.count("start", start)
    if not start.dtype.is_integer or start.shape != ():
        raise DTypeError(
            _("{kind} begins at one position.", kind=layer_name(kind)),
            expected=_("start as an integer, or a tensor of one"),
            got=f"{start.dtype.name} {show(start.shape)}",
        )
    return start


def within(kind: str, start: Start, length: Dim, room: int, fix: str) -> Tensor:
    """Return a start position after a check that a sequence fits into the capacity."""
    count = count_of(length, DType.int64)
    end = count + _start(kind, start)
    end = checked(end, lambda n: check_capacity(layer_name(kind), n, room, fix))
    return end - count


class _Waves(Module):
    """Base class of positional encodings by angles p / base^(2i/d) of position p."""

    def __init__(self, base: float = 10000.0) -> None:
        self.base = number(type(self).__name__, "base", base, above=1)

    def _cos_sin(self, x: Tensor, start: Start) -> tuple[Tensor, Tensor]:
        """Return the cosines and sines of the positional encoding's angles."""
        kind = type(self).__name__
        if not x.dtype.is_float:
            raise DTypeError(
                _("{kind} takes vectors.", kind=layer_name(kind)),
                expected="floats",
                got=x.dtype.name,
            )
        positions, width = _positions(kind, x, start, even=True), int(x.shape[-1])
        speeds = self.base ** (-np.arange(0, width, 2) / width)
        angles = positions.astype("float64").unsqueeze(-1) * tensor(speeds)
        return angles.cos().astype(x.dtype), angles.sin().astype(x.dtype)


class SinusoidalPositions(_Waves):
    """Sinusoidal positional encoding, added to a sequence.

        P(p, 2i) = sin(p / base^(2i/d)),   P(p, 2i+1) = cos(p / base^(2i/d))

    Vaswani et al. 2017, "Attention is all you need", 3.5.

    Args:
        base: the approximate ratio of the longest to the shortest wavelength.

    Shapes:
        (…, L, d) with an even d, and the same.

    >>> import chainrule as cr
    >>> cr.nn.SinusoidalPositions()(cr.zeros(2, 2))
    tensor([[0.        , 1.        ],
            [0.84147096, 0.5403023 ]])
    """

    @in_single
    def forward(self, x: Tensor, start: Start = 0) -> Tensor:
        """Add sinusoidal positional encodings to x, from position ``start`` on."""
        x = as_tensor(x)
        cos, sin = self._cos_sin(x, start)
        return x + stack([sin, cos], -1).flatten(-2)


class RotaryPositions(_Waves):
    """Rotary positional encoding: pairs of numbers rotated by angles of the position.

        (x₂ᵢ, x₂ᵢ₊₁) ← (x₂ᵢ cos θ − x₂ᵢ₊₁ sin θ,  x₂ᵢ sin θ + x₂ᵢ₊₁ cos θ),
        θ = p / base^(2i/d)

    of queries and keys, whose product then depends on their distance.

    Su et al. 2021, "RoFormer: enhanced transformer with rotary position embedding".

    Args:
        base: the approximate ratio of the fastest to the slowest rotation.

    Shapes:
        (…, L, d) with an even d, and the same; for heads (N, H, L, d).

    >>> import chainrule as cr
    >>> cr.nn.RotaryPositions()(cr.tensor([[1.0, 0.0], [1.0, 0.0]]))
    tensor([[1.        , 0.        ],
            [0.5403023 , 0.84147096]])
    """

    @in_single
    def forward(self, x: Tensor, start: Start = 0) -> Tensor:
        """Rotate pairs of x by angles of their positions, from ``start`` on (RoPE)."""
        x = as_tensor(x)
        cos, sin = self._cos_sin(x, start)
        pairs = x.unflatten(-1, (-1, 2))
        a, b = pairs[..., 0], pairs[..., 1]
        return stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)


class LearnedPositions(Module):
    """Learnt positional encoding: one row of a table added to each position.

    Gehring et al. 2017, "Convolutional sequence to sequence learning".

    Args:
        num_positions: the largest length of a sequence.
        embedding_dim: the width of each position, d.
        dtype: of the table.

    Shapes:
        ``weight`` (num_positions, d), from N(0, 0.02²) as GPT's; (…, L, d), and the
        same.

    >>> import chainrule as cr
    >>> cr.nn.LearnedPositions(10, 4)(cr.zeros(3, 5, 4)).shape
    (3, 5, 4)
    """

    def __init__(
        self,
        num_positions: Count,
        embedding_dim: Count,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        kind = "LearnedPositions"
        self.num_positions, self.embedding_dim = shape = positive_integers(
            kind, num_positions=num_positions, embedding_dim=embedding_dim
        )
        floats = floating(kind, dtype, device)
        self.weight = drawn(randn, *shape, std=0.02, dtype=floats)

    def forward(self, x: Tensor, start: Start = 0) -> Tensor:
        """Add learnt positional encodings to x, from position ``start`` on."""
        kind, x = "LearnedPositions", as_tensor(x)
        if x.ndim < 2 or x.shape[-1] != self.embedding_dim:
            raise ShapeError(
                _("{kind} takes sequences.", kind=layer_name(kind)),
                expected=f"(…, L, {self.embedding_dim})",
                got=show(x.shape),
            )
        fix = _("a larger num_positions")
        start = within(kind, start, x.shape[-2], self.num_positions, fix)
        rows = embedding(_positions(kind, x, start), self.weight)
        return same_dtype(kind, x, self.weight) + rows
