"""Activations along one axis: softmax, its relatives, and gated linear units."""

from __future__ import annotations

from typing import Any

from chainrule.errors import ShapeError, warn
from chainrule.nn.activations import Activation
from chainrule.nn.arguments import integer, layer_name
from chainrule.nn.function import as_function
from chainrule.operations.arguments import axis_of
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _

__all__ = [
    "GLU",
    "LogSoftmax",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "glu",
    "log_softmax",
    "softmax",
    "softmin",
]


class _AlongAxis(Activation):
    """Base class of activation layers along one axis, such as softmax."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = integer(type(self).__name__, "dim", dim)


class GLU(_AlongAxis):
    """a σ(b), where a and b are the halves of z along an axis (Dauphin et al. 2017).

    Args:
        dim: the axis, which becomes half as long.

    >>> import chainrule as cr
    >>> cr.nn.GLU()(cr.tensor([[2.0, 4.0, 0.0, 0.0]]))
    tensor([[1., 2.]])
    """

    def f(self, z: Tensor) -> Tensor:
        axis = axis_of(z.shape, self.dim)
        size = z.shape[axis]
        if not isinstance(size, int) or size % 2:
            raise ShapeError(
                _("glu splits an axis into halves."),
                expected=_("an even number along axis {dim}", dim=self.dim),
                got=show(z.shape),
            )
        before = (slice(None),) * axis
        a, b = z[(*before, slice(size // 2))], z[(*before, slice(size // 2, size))]
        return a * b.sigmoid()


class Softmax(_AlongAxis):
    """ŷᵢ = e^zᵢ / Σⱼ e^zⱼ: scores to probabilities (3.2.3).

    Args:
        dim: the axis along which the probabilities sum to 1.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Compute the softmax of x along ``dim``."""
        _warn_of_one("Softmax", x, self.dim, "1", "nn.Sigmoid()")
        return super().forward(x)

    def f(self, z: Tensor) -> Tensor:
        return softmax(z, self.dim)


class Softmax2d(Activation):
    """:class:`Softmax` over the channels of images, (N, C, H, W) or (C, H, W)."""

    def f(self, z: Tensor) -> Tensor:
        if z.ndim not in (3, 4):
            raise ShapeError(
                _("Softmax2d takes images."),
                expected="(N, C, H, W), (C, H, W)",
                got=show(z.shape),
            )
        return z.softmax(-3)


class LogSoftmax(_AlongAxis):
    """zᵢ − ln Σⱼ e^zⱼ: the logarithm of softmax, without underflow.

    Args:
        dim: the axis along which the probabilities sum to 1.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logarithm of the softmax of x along ``dim``."""
        _warn_of_one("LogSoftmax", x, self.dim, "0", "nn.BCEWithLogitsLoss()")
        return super().forward(x)

    def f(self, z: Tensor) -> Tensor:
        return log_softmax(z, self.dim)


class Softmin(_AlongAxis):
    """Softmax of −z: the smallest number gets the largest share.

    Args:
        dim: the axis along which the shares sum to 1.
    """

    def f(self, z: Tensor) -> Tensor:
        return softmax(-z, self.dim)


def softmax(input: Any, dim: int = -1, *, dtype: Any = None) -> Tensor:
    """Compute :class:`Softmax` of a tensor, without its warning of a single score."""
    return as_tensor(input).softmax(dim, dtype=dtype)


def log_softmax(input: Any, dim: int = -1, *, dtype: Any = None) -> Tensor:
    """Compute :class:`LogSoftmax` of a tensor, without a warning of a single score."""
    return as_tensor(input).log_softmax(dim, dtype=dtype)


def softmin(input: Any, dim: int = -1, *, dtype: Any = None) -> Tensor:
    """Compute :class:`Softmin` of a tensor, as a softmax of −z."""
    return softmax(-as_tensor(input), dim, dtype=dtype)


def _warn_of_one(kind: str, x: Tensor, dim: int, value: str, other: str) -> None:
    """Warn of a softmax layer over a single number, whose output is constant."""
    if -x.ndim <= dim < x.ndim and x.shape[dim] == 1:
        warn(
            _(
                "{kind} of one output is always {value}: nothing can be learnt.",
                kind=layer_name(kind),
                value=value,
            ),
            expected=_("at least 2 outputs"),
            got=_("shape {shape} along axis {dim}", shape=show(x.shape), dim=dim),
            fix=_(
                "one output a class, or {other} for one output; without both "
                "for a regression",
                other=other,
            ),
        )


glu = as_function(GLU, "glu")
