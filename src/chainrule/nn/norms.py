"""Lengths of vectors, with the derivatives that people expect at 0."""

from __future__ import annotations

from typing import Any

from chainrule.functions.elementwise import where
from chainrule.tensor import Tensor


def norm(x: Tensor, p: float, dim: Any, keepdim: bool = False) -> Tensor:
    """(Σ |xᵢ|ᵖ)^(1/p) along ``dim``; the derivative of a vector of zeros is 0."""
    if p == 1:
        return abs(x).sum(dim, keepdim)
    powers = x * x if p == 2 else abs(x) ** p
    total = powers.sum(dim, keepdim)
    some = total > 0.0
    root = where(some, total, 1.0)
    root = root.sqrt() if p == 2 else root ** (1 / p)
    return where(some, root, 0.0)
