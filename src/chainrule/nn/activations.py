"""Activations: the nonlinear f in a = f(z) (2.7), as modules without parameters.

All are stable: neither value nor derivative overflows or is NaN for z = ±10⁴.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np

from chainrule.errors import warn
from chainrule.graph.build import held
from chainrule.nn import functional
from chainrule.nn.arguments import (
    Count,
    counts,
    floating,
    integer,
    number,
    option,
    ordered,
    place,
)
from chainrule.nn.functional.activations import gelu_form
from chainrule.nn.module import Module, Parameter
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor
from chainrule.text import _


class Activation(Module):
    """Base class of activation layers: functions of x and of their ``options``."""

    function: ClassVar[Callable[..., Tensor]]
    options: ClassVar[tuple[str, ...]] = ()

    def forward(self, x: Tensor) -> Tensor:
        """Compute the activation f(x), element by element or along an axis."""
        given = [getattr(self, name) for name in self.options]
        return type(self).function(x, *given)

    def _number(self, name: str, given: Any) -> float:
        function = type(self).function.__name__
        return option(function, name, given, type(self).__name__)


class ReLU(Activation):
    """f(z) = max(0, z), f′(0) = 0 by declaration (2.7)."""

    function = staticmethod(functional.relu)


class LeakyReLU(Activation):
    """f(z) = max(0.01 z, z), f′(0) = 0.01 by declaration (2.7; Maas et al. 2013).

    Args:
        negative_slope: the slope for z ≤ 0.

    >>> import chainrule as cr
    >>> cr.nn.LeakyReLU()(cr.tensor([-2.0, 3.0]))
    tensor([-0.02,  3.  ])
    """

    function = staticmethod(functional.leaky_relu)
    options = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = self._number("negative_slope", negative_slope)


class Sigmoid(Activation):
    """f(z) = 1 / (1 + e⁻ᶻ), f′ = f(1 − f) (2.7)."""

    function = staticmethod(functional.sigmoid)


class Tanh(Activation):
    """f(z) = tanh z, f′ = 1 − f² (2.7)."""

    function = staticmethod(functional.tanh)


class GELU(Activation):
    """f(z) = z Φ(z), f′ = Φ(z) + z φ(z) (2.7; Hendrycks & Gimpel 2016).

    Φ is the distribution function of the normal distribution, φ its density. The range
    is [−0.170, ∞): there is a minimum at z ≈ −0.752.

    Args:
        approximate: ``"none"``, or ``"tanh"`` for
            ½z (1 + tanh(√(2/π) (z + 0.044715 z³))).

    >>> import chainrule as cr
    >>> cr.nn.GELU()(cr.tensor([1.0])), cr.nn.GELU("tanh")(cr.tensor([1.0]))
    (tensor([0.8413447]), tensor([0.841192]))
    """

    function = staticmethod(functional.gelu)
    options = ("approximate",)

    def __init__(self, approximate: Literal["none", "tanh"] = "none") -> None:
        gelu_form(approximate)  # refuses what it does not know
        self.approximate = approximate


class SiLU(Activation):
    """f(z) = z σ(z), f′ = σ(z) + z σ(z)(1 − σ(z)) (Elfwing, Uchibe & Doya 2018)."""

    function = staticmethod(functional.silu)


class Softplus(Activation):
    """f(z) = ln(1 + e^(βz))/β, a smooth ReLU, f′ = σ(βz) (Dugas et al. 2001).

    Args:
        beta: β > 0; the larger, the nearer to ReLU.
    """

    function = staticmethod(functional.softplus)
    options = ("beta",)

    def __init__(self, beta: float = 1.0) -> None:
        self.beta = self._number("beta", beta)


class ELU(Activation):
    """f(z) = z where z > 0, else α(eᶻ − 1) (Clevert, Unterthiner & Hochreiter 2016).

    f′ is 1 or αeᶻ, and α at 0 by declaration.

    Args:
        alpha: α; f tends to −α.
    """

    function = staticmethod(functional.elu)
    options = ("alpha",)

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = self._number("alpha", alpha)


class SELU(Activation):
    """f(z) = λ elu(z, α) with λ ≈ 1.0507, α ≈ 1.6733 (Klambauer et al. 2017).

    Weights that start with ``init.lecun_normal_`` keep mean 0 and variance 1 of the
    activations from layer to layer.
    """

    function = staticmethod(functional.selu)


class Heaviside(Activation):
    """f(z) = 1 where z ≥ 0, else 0: the perceptron's threshold (Rosenblatt 1958).

    f′ = 0 everywhere by declaration, so gradient descent learns nothing through it;
    :class:`~chainrule.nn.Perceptron` has a rule of its own.
    """

    function = staticmethod(functional.heaviside)


class Hardtanh(Activation):
    """f(z) = z within [min_val, max_val], and constant beyond.

    Args:
        min_val: the smallest value.
        max_val: the largest one.
    """

    function = staticmethod(functional.hardtanh)
    options = ("min_val", "max_val")

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        kind = type(self).__name__
        self.min_val, self.max_val = ordered(kind, min_val, max_val)


class ReLU6(Activation):
    """f(z) = min(max(0, z), 6)."""

    function = staticmethod(functional.relu6)


class Hardsigmoid(Activation):
    """f(z) = min(max(0, z + 3), 6)/6, σ by straight lines."""

    function = staticmethod(functional.hardsigmoid)


class Hardswish(Activation):
    """f(z) = z min(max(0, z + 3), 6)/6 (Howard et al. 2019)."""

    function = staticmethod(functional.hardswish)


class Hardshrink(Activation):
    """f(z) = z where |z| > λ, else 0.

    Args:
        lambd: λ ≥ 0.
    """

    function = staticmethod(functional.hardshrink)
    options = ("lambd",)

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = self._number("lambd", lambd)


class Softshrink(Hardshrink):
    """f(z) = z ∓ λ where ±z > λ, else 0.

    Args:
        lambd: λ ≥ 0.
    """

    function = staticmethod(functional.softshrink)


class Tanhshrink(Activation):
    """f(z) = z − tanh z."""

    function = staticmethod(functional.tanhshrink)


class Threshold(Activation):
    """f(z) = z where z > threshold, else ``value``.

    Args:
        threshold: above which z passes.
        value: what stands for the rest.
    """

    function = staticmethod(functional.threshold)
    options = ("threshold", "value")

    def __init__(self, threshold: float, value: float) -> None:
        self.threshold = self._number("threshold", threshold)
        self.value = self._number("value", value)


class Mish(Activation):
    """f(z) = z tanh(ln(1 + eᶻ)) (Misra 2019)."""

    function = staticmethod(functional.mish)


class Softsign(Activation):
    """f(z) = z/(1 + |z|)."""

    function = staticmethod(functional.softsign)


class LogSigmoid(Activation):
    """f(z) = ln σ(z), without underflow."""

    function = staticmethod(functional.logsigmoid)


class CELU(ELU):
    """f(z) = z where z > 0, else α(e^(z/α) − 1) (Barron 2017).

    Args:
        alpha: α > 0; f tends to −α, and f′ is continuous.
    """

    function = staticmethod(functional.celu)


class PReLU(Module):
    """f(z) = z where z > 0, else a z, with a learnt (He et al. 2015).

    Args:
        num_parameters: 1, or one for each channel, the second axis.
        init: what a (``weight``) starts at.
        dtype: of a.
    """

    def __init__(
        self, num_parameters: Count = 1, init: float = 0.25, *, dtype: str = "float32"
    ) -> None:
        (n,) = counts("PReLU", num_parameters=num_parameters)
        start = number("PReLU", "init", init)
        self.weight = Parameter(np.full(n, held(start, floating("PReLU", dtype))))

    def forward(self, x: Tensor) -> Tensor:
        """Compute f(x) with one slope, or with one slope per channel."""
        return functional.prelu(x, self.weight)


class _AlongAxis(Activation):
    """Base class of activations along one axis."""

    options = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        self.dim = integer(type(self).__name__, "dim", dim)


class GLU(_AlongAxis):
    """a σ(b), where a and b are the halves of z along an axis (Dauphin et al. 2017).

    Args:
        dim: the axis, which becomes half as long.
    """

    function = staticmethod(functional.glu)


class Softmax(_AlongAxis):
    """ŷᵢ = e^zᵢ / Σⱼ e^zⱼ: scores to probabilities (3.2.3).

    Args:
        dim: along which the probabilities sum to 1.
    """

    function = staticmethod(functional.softmax)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the softmax of x along ``dim``."""
        _of_several("Softmax", x, self.dim, "1", "nn.Sigmoid()")
        return super().forward(x)


class LogSoftmax(_AlongAxis):
    """zᵢ − ln Σⱼ e^zⱼ: the logarithm of softmax, without underflow.

    Args:
        dim: along which the probabilities sum to 1.
    """

    function = staticmethod(functional.log_softmax)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logarithm of the softmax of x along ``dim``."""
        _of_several("LogSoftmax", x, self.dim, "0", "nn.BCEWithLogitsLoss()")
        return super().forward(x)


class Softmin(_AlongAxis):
    """Softmax of −z: the smallest number gets the largest share.

    Args:
        dim: along which the shares sum to 1.
    """

    function = staticmethod(functional.softmin)


def _of_several(kind: str, x: Tensor, dim: int, value: str, other: str) -> None:
    """Warn of a softmax over a single number, which is constant."""
    if -x.ndim <= dim < x.ndim and x.shape[dim] == 1:
        warn(
            _(
                "{kind} of one output is always {value}: nothing can be learnt.",
                kind=place(kind),
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
