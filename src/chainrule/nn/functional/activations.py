"""Activation functions, element by element or along an axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.errors import ArgumentError, ShapeError, nearest
from chainrule.functions import maximum, where
from chainrule.graph.node import Value
from chainrule.nn.arguments import option, ordered
from chainrule.operations.arguments import axis_of
from chainrule.primitives.rules import show
from chainrule.regions import activations
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _


def relu(x: Any) -> Tensor:
    """Compute max(x, 0), with derivative 0 at 0 (2.7)."""
    return as_tensor(x).relu()


def sigmoid(x: Any) -> Tensor:
    """Compute the logistic sigmoid 1 / (1 + e⁻ˣ) (2.7)."""
    return as_tensor(x).sigmoid()


def tanh(x: Any) -> Tensor:
    """Compute the hyperbolic tangent (2.7)."""
    return as_tensor(x).tanh()


def softmax(x: Any, dim: int = -1) -> Tensor:
    """Compute the softmax e^xᵢ / Σⱼ e^xⱼ along ``dim`` (3.2.3)."""
    return as_tensor(x).softmax(dim)


def log_softmax(x: Any, dim: int = -1) -> Tensor:
    """Compute the logarithm of the softmax along ``dim``, without underflow."""
    return as_tensor(x).log_softmax(dim)


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Tensor:
    """Compute x where x > 0, else ``negative_slope`` · x, also the slope at 0 (2.7)."""
    slope = option("leaky_relu", "negative_slope", negative_slope)
    return wrap(activations.leaky_relu(as_tensor(x).value, alpha=slope))


def gelu(x: Any, approximate: str = "none") -> Tensor:
    """Compute GELU, x Φ(x) (2.7), or with ``"tanh"`` its approximation by tanh.

    >>> gelu([-1.0, 0.0, 1.0])
    tensor([-0.15865526,  0.        ,  0.8413447 ])
    """
    return wrap(gelu_form(approximate)(as_tensor(x).value))


def gelu_form(approximate: str) -> Callable[[Value], Value]:
    """Return the region that computes GELU exactly or approximately.

    Raises:
        ArgumentError: an unknown name.
    """
    forms = {"none": activations.gelu, "tanh": activations.gelu_tanh}
    if not isinstance(approximate, str) or approximate not in forms:
        near = nearest(str(approximate), forms)
        raise ArgumentError(
            _("GELU is computed exactly, or approximated by tanh."),
            expected=_("approximate='none' or 'tanh'"),
            got=repr(approximate),
            fix=_("did you mean {near!r}?", near=near)
            if near
            else "approximate='none'",
        )
    return forms[approximate]


def silu(x: Any) -> Tensor:
    """Compute SiLU (swish), x σ(x)."""
    return wrap(activations.silu(as_tensor(x).value))


def softplus(x: Any, beta: float = 1.0) -> Tensor:
    """Compute ln(1 + e^(βx))/β, a smooth ReLU, with derivative σ(βx)."""
    beta = option("softplus", "beta", beta)
    if beta == 1:
        return wrap(activations.softplus(as_tensor(x).value))
    return wrap(activations.softplus((as_tensor(x) * beta).value)) / beta


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """Compute ELU: x where x > 0, else α(eˣ − 1)."""
    alpha = option("elu", "alpha", alpha)
    return wrap(activations.elu(as_tensor(x).value, alpha=alpha))


def selu(x: Any) -> Tensor:
    """Compute SELU, λ · elu(x, α), whose λ and α preserve mean 0 and variance 1."""
    return wrap(activations.selu(as_tensor(x).value))


def heaviside(x: Any) -> Tensor:
    """Compute the Heaviside step: 1 where x ≥ 0, else 0; its derivative is 0."""
    return wrap(activations.heaviside(as_tensor(x).value))


def clip(x: Any, low: float, high: float) -> Tensor:
    """Limit x to [low, high]; the derivative at both ends is 0."""
    return maximum(-maximum(-as_tensor(x), -high), low)


def hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """Limit x to [min_val, max_val], with derivative 0 at both ends and beyond.

    >>> hardtanh([-2.0, 0.5, 3.0])
    tensor([-1. ,  0.5,  1. ])
    """
    return clip(x, *ordered("hardtanh", min_val, max_val))


def relu6(x: Any) -> Tensor:
    """Compute ReLU6, min(max(x, 0), 6)."""
    return clip(x, 0.0, 6.0)


def hardsigmoid(x: Any) -> Tensor:
    """Compute relu6(x + 3)/6, a piecewise linear sigmoid."""
    return relu6(as_tensor(x) + 3.0) / 6.0


def hardswish(x: Any) -> Tensor:
    """Compute x relu6(x + 3)/6, SiLU without an exponential (Howard et al. 2019)."""
    x = as_tensor(x)
    return x * hardsigmoid(x)


def hardshrink(x: Any, lambd: float = 0.5) -> Tensor:
    """Compute x where |x| > λ, else 0."""
    x, lambd = as_tensor(x), option("hardshrink", "lambd", lambd)
    return where(abs(x) <= lambd, 0.0, x)  # NaN stays


def softshrink(x: Any, lambd: float = 0.5) -> Tensor:
    """Move x towards 0 by λ; return 0 where |x| ≤ λ."""
    x, lambd = as_tensor(x), option("softshrink", "lambd", lambd)
    return (x - lambd).relu() - (-x - lambd).relu()


def tanhshrink(x: Any) -> Tensor:
    """Compute x − tanh x."""
    x = as_tensor(x)
    return x - x.tanh()


def threshold(x: Any, threshold: float, value: float) -> Tensor:
    """Compute x where x > threshold, else ``value``."""
    x, value = as_tensor(x), option("threshold", "value", value)
    limit = option("threshold", "threshold", threshold)
    return where(x <= limit, value, x)  # NaN stays


def mish(x: Any) -> Tensor:
    """Compute Mish, x tanh(ln(1 + eˣ)) (Misra 2019)."""
    x = as_tensor(x)
    return x * softplus(x).tanh()


def softsign(x: Any) -> Tensor:
    """Compute softsign, x/(1 + |x|)."""
    return wrap(activations.softsign(as_tensor(x).value))


def logsigmoid(x: Any) -> Tensor:
    """Compute ln σ(x), without underflow."""
    return -softplus(-as_tensor(x))


def celu(x: Any, alpha: float = 1.0) -> Tensor:
    """Compute CELU: x where x > 0, else α(e^(x/α) − 1) (Barron 2017)."""
    alpha = option("celu", "alpha", alpha)
    return elu(as_tensor(x) / alpha, 1.0) * alpha


def softmin(x: Any, dim: int = -1) -> Tensor:
    """Compute the softmax of −x: the smallest number gets the largest share."""
    return softmax(-as_tensor(x), dim)


def glu(x: Any, dim: int = -1) -> Tensor:
    """Compute the gated linear unit a σ(b) of the halves a, b of x along ``dim``.

    >>> glu([[2.0, 4.0, 0.0, 0.0]])
    tensor([[1., 2.]])
    """
    x = as_tensor(x)
    axis = axis_of(x.shape, dim)
    size = x.shape[axis]
    if not isinstance(size, int) or size % 2:
        raise ShapeError(
            _("glu splits an axis into halves."),
            expected=_("an even number along axis {dim}", dim=dim),
            got=show(x.shape),
        )
    lead = (slice(None),) * axis
    a, b = x[(*lead, slice(0, size // 2))], x[(*lead, slice(size // 2, size))]
    return a * b.sigmoid()


def prelu(x: Any, weight: Tensor) -> Tensor:
    """Compute x where x > 0, else a x, with learnt slopes a: one, or one per channel.

    He et al. 2015, "Delving deep into rectifiers".

    Args:
        x: (N, C, …), or of any shape where there is one number.
        weight: a, (1,) or (C,).
    """
    x, weight = as_tensor(x), as_tensor(weight)
    if weight.size != 1:
        if x.ndim < 2 or weight.shape != x.shape[1:2]:
            raise ShapeError(
                _("prelu takes one slope, or one for each channel."),
                expected=_("weight of shape {value}", value=show(x.shape[1:2] or (1,))),
                got=show(weight.shape),
            )
        weight = weight.reshape(-1, *[1] * (x.ndim - 2))
    else:
        weight = weight.reshape(())
    return where(x > 0.0, x, weight * x)
