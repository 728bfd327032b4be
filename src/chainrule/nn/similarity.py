"""Similarities and distances of vectors, and products of two inputs."""

from __future__ import annotations

import math
from typing import Any

from chainrule.errors import ShapeError
from chainrule.functions import broadcast_arrays, where
from chainrule.nn.affine import parameter, same_dtype
from chainrule.nn.arguments import (
    Count,
    flag,
    floating,
    integer,
    layer_name,
    number,
    positive_integers,
)
from chainrule.nn.module import Module, Parameter
from chainrule.nn.normalization import normalize
from chainrule.nn.parameter import drawn
from chainrule.operations.arguments import axis_of
from chainrule.operations.narrow import in_single, wide
from chainrule.primitives.rules import show
from chainrule.random import uniform
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _

__all__ = [
    "Bilinear",
    "CosineSimilarity",
    "PairwiseDistance",
    "bilinear",
    "cosine_similarity",
    "pairwise_distance",
    "pdist",
]


class CosineSimilarity(Module):
    """x₁ · x₂/(max(‖x₁‖, ε) max(‖x₂‖, ε)) along an axis.

    Args:
        dim: the axis of the vectors.
        eps: ε.

    >>> import chainrule as cr
    >>> cr.nn.CosineSimilarity()(cr.tensor([[1.0, 0.0]]), cr.tensor([[1.0, 1.0]]))
    tensor([0.70710677])
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        self.dim = integer("CosineSimilarity", "dim", dim)
        self.eps = number("CosineSimilarity", "eps", eps)

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Return the cosine of the angle between vectors."""
        return cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """‖x₁ − x₂ + ε‖ₚ along the last axis.

    Args:
        p: of the norm.
        eps: ε, which keeps the derivative finite where x₁ = x₂.
        keepdim: whether the last axis is kept, with length 1.

    >>> import chainrule as cr
    >>> cr.nn.PairwiseDistance(eps=0)(cr.tensor([[3.0, 4.0]]), cr.zeros(1, 2))
    tensor([5.])
    """

    def __init__(
        self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
    ) -> None:
        kind = "PairwiseDistance"
        self.p = _order(kind, p)
        self.eps = number(kind, "eps", eps)
        self.keepdim = flag(kind, "keepdim", keepdim)

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Return the distances between vectors."""
        return pairwise_distance(x1, x2, self.p, self.eps, self.keepdim)


def _order(kind: str, p: Any) -> float:
    """Check the p of a norm, which may be infinite."""
    infinite = isinstance(p, float) and abs(p) == math.inf
    return p if infinite else number(kind, "p", p)


class Bilinear(Module):
    """y = x₁ᵀ A x₂ + b, with a matrix A for each output.

    Args:
        in1_features: the number of numbers n of x₁.
        in2_features: the number of numbers m of x₂.
        out_features: the number of outputs o.
        bias: whether there is a b.
        dtype: of the parameters.

    Shapes:
        ``weight`` (o, n, m), ``bias`` (o,), both from U(−1/√n, 1/√n) as PyTorch's;
        inputs (…, n) and (…, m), output (…, o).

    >>> import chainrule as cr
    >>> cr.nn.Bilinear(2, 3, 4)(cr.zeros(5, 2), cr.zeros(5, 3)).shape
    (5, 4)
    """

    weight: Parameter
    #: None where the layer has none.
    bias: Parameter | Any

    def __init__(
        self,
        in1_features: Count,
        in2_features: Count,
        out_features: Count,
        bias: bool = True,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        sizes = {"in1_features": in1_features, "in2_features": in2_features}
        n, m, o = positive_integers("Bilinear", **sizes, out_features=out_features)
        self.in1_features, self.in2_features, self.out_features = n, m, o
        bound = 1 / math.sqrt(n)
        floats = floating("Bilinear", dtype, device)
        draw = {"low": -bound, "high": bound, "dtype": floats}
        self.weight = drawn(uniform, o, n, m, **draw)
        biased = flag("Bilinear", "bias", bias)
        self.bias = drawn(uniform, o, **draw) if biased else None

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Return the bilinear form of two inputs."""
        return bilinear(x1, x2, self.weight, self.bias)


@in_single
def bilinear(x1: Any, x2: Any, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute x₁ᵀ A x₂ + b as :class:`Bilinear`, with weight (o, n, m) and bias (o,).

    >>> bilinear([1.0, 2.0], [3.0], Tensor([[[1.0], [10.0]]]))
    tensor([63.])
    """
    x1, x2, weight = as_tensor(x1), as_tensor(x2), as_tensor(weight)
    sizes = (x1.shape[-1:], x2.shape[-1:])
    if (
        weight.ndim != 3
        or sizes != (weight.shape[1:2], weight.shape[2:])
        or (x1.shape[:-1] != x2.shape[:-1])
    ):
        raise ShapeError(
            _("{place} multiplies two inputs.", place=layer_name("Bilinear")),
            expected=_("x1 (…, n), x2 (…, m) and a weight (o, n, m)"),
            got=f"{show(x1.shape)}, {show(x2.shape)}, {show(weight.shape)}",
        )
    x1, x2 = same_dtype("Bilinear", x1, weight), same_dtype("Bilinear", x2, weight)
    outputs, n, m = weight.shape
    pairs = (x1.unsqueeze(-1) * x2.unsqueeze(-2)).reshape(*x1.shape[:-1], n * m)
    y = pairs @ weight.reshape(outputs, n * m).T
    bias = parameter("Bilinear", "bias", bias, (outputs,), weight)
    return y if bias is None else y + bias


@in_single
def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Compute the cosine similarity x₁ · x₂/(max(‖x₁‖, ε) max(‖x₂‖, ε)) along ``dim``.

    >>> cosine_similarity([[1.0, 0.0]], [[1.0, 1.0]])
    tensor([0.70710677])
    """
    a, b = broadcast_arrays(wide(x1), wide(x2))
    dim = integer("cosine_similarity", "dim", dim)
    if not a.ndim:
        axis_of((1,), dim)
        a, b, dim = a.reshape(1), b.reshape(1), 0
    return (normalize(a, 2.0, dim, eps) * normalize(b, 2.0, dim, eps)).sum(dim)


@in_single
def pairwise_distance(
    x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """Compute the pairwise distance ‖x₁ − x₂ + ε‖ₚ along the last axis."""
    kind = "pairwise_distance"
    p, eps = _order(kind, p), number(kind, "eps", eps)
    keepdim = flag(kind, "keepdim", keepdim)
    return (as_tensor(x1) - x2 + eps).norm(p, -1, keepdim)


def pdist(x: Any, p: float = 2.0) -> Tensor:
    """Compute the distances ‖xᵢ − xⱼ‖ₚ of all pairs of rows i < j.

    The derivative is 0 where two rows are equal.

    >>> pdist([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    tensor([5.       , 1.       , 4.2426405])
    """
    x = as_tensor(x)
    if x.ndim != 2:
        raise ShapeError(
            _("pdist compares the rows of a matrix."),
            expected="(n, d)",
            got=show(x.shape),
        )
    n = int(x.shape[0])
    first = [i for i in range(n) for __ in range(i + 1, n)]
    second = [j for i in range(n) for j in range(i + 1, n)]
    gap = x.index_select(0, as_tensor(first, dtype="int64"))
    gap = gap - x.index_select(0, as_tensor(second, dtype="int64"))
    same = (gap == 0).all(-1, keepdim=True)
    return where(same.squeeze(-1), 0.0, where(same, 1.0, gap).norm(p, -1))
