"""Activations: the nonlinear f in a = f(z) (2.7), as modules without parameters.

All are stable: neither value nor derivative overflows or is NaN for z = ±10⁴.
"""

from __future__ import annotations

from numbers import Integral
from typing import Any

from chainrule.errors import ArgumentError, warn
from chainrule.nn import functional
from chainrule.nn.arguments import finite
from chainrule.nn.module import Module
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor


class ReLU(Module):
    """f(z) = max(0, z), f′(0) = 0 by declaration (2.7)."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.relu(x)


class LeakyReLU(Module):
    """f(z) = max(0.01 z, z), f′(0) = 0.01 by declaration (2.7; Maas et al. 2013).

    Args:
        negative_slope: the slope for z ≤ 0.

    >>> import chainrule as cr
    >>> cr.nn.LeakyReLU()(cr.tensor([-2.0, 3.0]))
    tensor([-0.02,  3.  ])
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = finite("LeakyReLU", "negative_slope", negative_slope)

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.leaky_relu(x, self.negative_slope)

    def settings(self) -> dict[str, Any]:
        """The slope."""
        return {"negative_slope": self.negative_slope}


class Sigmoid(Module):
    """f(z) = 1 / (1 + e⁻ᶻ), f′ = f(1 − f) (2.7)."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.sigmoid(x)


class Tanh(Module):
    """f(z) = tanh z, f′ = 1 − f² (2.7)."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.tanh(x)


class GELU(Module):
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

    def __init__(self, approximate: str = "none") -> None:
        functional.gelu_form(approximate)  # refuses what it does not know
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.gelu(x, self.approximate)

    def settings(self) -> dict[str, Any]:
        """How it is computed."""
        return {"approximate": self.approximate}


class SiLU(Module):
    """f(z) = z σ(z), f′ = σ(z) + z σ(z)(1 − σ(z)) (Elfwing, Uchibe & Doya 2018)."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.silu(x)


class Softplus(Module):
    """f(z) = ln(1 + eᶻ), a smooth ReLU, f′ = σ(z) (Dugas et al. 2001)."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.softplus(x)


class ELU(Module):
    """f(z) = z where z > 0, else α(eᶻ − 1) (Clevert, Unterthiner & Hochreiter 2016).

    f′ is 1 or αeᶻ, and α at 0 by declaration.

    Args:
        alpha: α; f tends to −α.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = finite("ELU", "alpha", alpha)

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.elu(x, self.alpha)

    def settings(self) -> dict[str, Any]:
        """The α."""
        return {"alpha": self.alpha}


class SELU(Module):
    """f(z) = λ elu(z, α) with λ ≈ 1.0507, α ≈ 1.6733 (Klambauer et al. 2017).

    Weights that start with ``init.lecun_normal_`` keep mean 0 and variance 1 of the
    activations from layer to layer.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.selu(x)


class Step(Module):
    """f(z) = 1 where z ≥ 0, else 0: the perceptron's threshold (Rosenblatt 1958).

    f′ = 0 everywhere by declaration, so gradient descent learns nothing through it;
    :class:`~chainrule.nn.Perceptron` has a rule of its own.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.step(x)


def whole_dim(layer: str, dim: Any) -> int:
    """``dim`` as an integer; anything else is refused."""
    if not isinstance(dim, Integral) or isinstance(dim, bool):
        raise ArgumentError(
            f"{layer} works along one axis.",
            expected="an integer, such as dim=-1 for the last one",
            got=f"dim={dim!r:.80}",
        )
    return int(dim)


class Softmax(Module):
    """ŷᵢ = e^zᵢ / Σⱼ e^zⱼ: scores to probabilities (3.2.3).

    Args:
        dim: along which the probabilities sum to 1.
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = whole_dim(type(self).__name__, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Along ``dim``."""
        _of_several("Softmax", x, self.dim, "1", "nn.Sigmoid()")
        return functional.softmax(x, self.dim)

    def settings(self) -> dict[str, Any]:
        """The axis."""
        return {"dim": self.dim}


class LogSoftmax(Module):
    """zᵢ − ln Σⱼ e^zⱼ: the logarithm of softmax, without underflow.

    Args:
        dim: along which the probabilities sum to 1.
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = whole_dim(type(self).__name__, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Along ``dim``."""
        _of_several("LogSoftmax", x, self.dim, "0", "nn.BCEWithLogitsLoss()")
        return functional.log_softmax(x, self.dim)

    def settings(self) -> dict[str, Any]:
        """The axis."""
        return {"dim": self.dim}


def _of_several(kind: str, x: Tensor, dim: int, value: str, other: str) -> None:
    """Warn of a softmax over a single number, which says nothing."""
    if -x.ndim <= dim < x.ndim and x.shape[dim] == 1:
        warn(
            f"{functional.place(kind)} of one output is always {value}: nothing can "
            "be learnt.",
            expected="at least 2 outputs",
            got=f"shape {show(x.shape)} along axis {dim}",
            fix=f"one output a class, or {other} for one output; without both for a "
            "regression",
        )
