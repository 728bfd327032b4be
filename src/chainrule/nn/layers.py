"""Layers: an affine map, and the activations."""

from __future__ import annotations

import math
from typing import Any

from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.graph.build import context
from chainrule.nn.module import Module, Parameter
from chainrule.primitives.matmul import dot
from chainrule.primitives.rules import show
from chainrule.random import bits, uniform
from chainrule.tensor import Tensor, as_tensor, where, wrap


class Linear(Module):
    """A layer of neurons before its activation: z = W x + b (2.2.2).

    On a batch, whose samples are rows, that is Z = X Wᵀ + b.

    Args:
        in_features: the number of inputs n.
        out_features: the number of neurons m.
        bias: whether there is a b.
        dtype: of the parameters.

    Shapes:
        ``weight`` (m, n), ``bias`` (m,); input (…, n), output (…, m).

    Both start from U(−1/√n, 1/√n), as PyTorch's do (LeCun et al. 2012, "Efficient
    BackProp", up to a factor).

    >>> import chainrule as cr
    >>> cr.nn.Linear(784, 128)(cr.tensor([[0.0] * 784])).shape
    (1, 128)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: str = "float32",
    ) -> None:
        for name, n in (("in_features", in_features), ("out_features", out_features)):
            if not isinstance(n, int) or n < 1:
                raise ArgumentError(
                    f"Linear needs a positive {name}.",
                    expected="an integer ≥ 1",
                    got=repr(n),
                )
        self.in_features, self.out_features = in_features, out_features
        bound = 1 / math.sqrt(in_features)
        draw = {"low": -bound, "high": bound, "dtype": dtype}
        self.weight = Parameter(uniform(out_features, in_features, **draw))
        self.bias = Parameter(uniform(out_features, **draw)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Z = X Wᵀ + b."""
        x = as_tensor(x)
        where_ = f"Linear {context.scope!r}" if context.scope else "Linear"
        if not x.shape or x.shape[-1] != self.in_features:
            raise ShapeError(
                f"{where_} cannot multiply its input.",
                expected=f"a last axis of {self.in_features}",
                got=show(x.shape),
                fix=f"feed rows of {self.in_features} numbers, or build "
                f"nn.Linear({x.shape[-1] if x.shape else '…'}, {self.out_features})",
            )
        if x.dtype is not self.weight.dtype:
            if x.dtype.is_float:
                raise DTypeError(
                    f"{where_} and its input have different dtypes.",
                    expected=self.weight.dtype.name,
                    got=x.dtype.name,
                    fix=f"x.astype('{self.weight.dtype.name}')",
                )
            x = x.astype(self.weight.dtype)
        rows = x if x.ndim == 2 else x.reshape(-1, self.in_features)
        z = wrap(dot(rows.value, self.weight.value, "ni,oi->no"))
        if self.bias is not None:
            z = z + self.bias
        return z if x.ndim == 2 else z.reshape(*x.shape[:-1], self.out_features)

    def settings(self) -> dict[str, Any]:
        """Sizes, and the dtype where it is not float32."""
        sizes = {"in_features": self.in_features, "out_features": self.out_features}
        kind = self.weight.dtype.name
        dtype = {} if kind == "float32" else {"dtype": kind}
        return {**sizes, "bias": self.bias is not None, **dtype}


class ReLU(Module):
    """f(z) = max(0, z), f′(0) = 0 by declaration (2.7)."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return as_tensor(x).relu()


class Sigmoid(Module):
    """f(z) = 1 / (1 + e⁻ᶻ), f′ = f(1 − f) (2.7)."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return as_tensor(x).sigmoid()


class Tanh(Module):
    """f(z) = tanh z, f′ = 1 − f² (2.7)."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return as_tensor(x).tanh()


class Softmax(Module):
    """ŷᵢ = e^zᵢ / Σⱼ e^zⱼ: scores to probabilities (3.2.3).

    Args:
        axis: along which the probabilities sum to 1.
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        """Along ``axis``."""
        return as_tensor(x).softmax(self.axis)

    def settings(self) -> dict[str, Any]:
        """The axis."""
        return {"axis": self.axis}


class Dropout(Module):
    """In training, zero each element with probability p and scale the rest by 1/(1−p).

    Srivastava et al. 2014, "inverted" so that prediction changes nothing.

    Args:
        p: the probability of dropping, 0 ≤ p < 1.
    """

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p < 1:
            raise ArgumentError(
                "Dropout needs a probability.", expected="0 ≤ p < 1", got=repr(p)
            )
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Masked and scaled in training, unchanged otherwise."""
        x = as_tensor(x)
        if not self.training or self.p == 0:
            return x
        kept = bits(x.shape) < round((1 - self.p) * 2**32)
        return where(kept, x * (1 / (1 - self.p)), 0.0)

    def settings(self) -> dict[str, Any]:
        """The probability."""
        return {"p": self.p}
