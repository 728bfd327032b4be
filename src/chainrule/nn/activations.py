"""Activations: the nonlinear f in a = f(z) (2.7), as layers and as functions.

All are stable: neither value nor derivative overflows or is NaN for z = ±10⁴.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from chainrule.composites import activations
from chainrule.errors import ArgumentError, ShapeError, nearest
from chainrule.functions import maximum, where
from chainrule.graph.apply import checked_constant
from chainrule.nn.affine import floats
from chainrule.nn.arguments import (
    Count,
    flag,
    floating,
    number,
    positive_integers,
)
from chainrule.nn.function import as_function
from chainrule.nn.module import Module, Parameter
from chainrule.operations.narrow import NARROW, in_single
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "Heaviside",
    "LeakyReLU",
    "LogSigmoid",
    "Mish",
    "PReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
    "celu",
    "elu",
    "gelu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "heaviside",
    "leaky_relu",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
]


class Activation(Module):
    """Base class of activation layers: a subclass defines the function f."""

    def forward(self, x: Any) -> Tensor:
        """Compute an activation layer's f(x), per element or along an axis."""
        x = x if isinstance(x, Tensor) else as_tensor(x)
        return in_single(self.f)(x) if x.dtype is NARROW else self.f(x)

    def f(self, z: Tensor) -> Tensor:
        """Compute the activation function of a layer; each subclass defines it."""
        raise NotImplementedError


class InPlace(Activation):
    """Base class of activation layers that can change their input in place.

    Args:
        inplace: whether x itself becomes f(x). A leaf whose derivative is recorded is
            refused, as of every change in place.
    """

    inplace: bool

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = flag(type(self).__name__, "inplace", inplace)

    def forward(self, x: Any) -> Tensor:
        """Compute an activation layer's f(x), in x itself where that is asked for."""
        return put(x, super().forward(x), self.inplace)


def put(x: Any, y: Tensor, inplace: bool) -> Tensor:
    """Return a layer's output y; with ``inplace`` in its input, which is changed."""
    if not inplace or not isinstance(x, Tensor) or x is y:
        return y
    return x._become(y.value, "inplace=True")


class ReLU(InPlace):
    """f(z) = max(0, z), f′(0) = 0 by declaration (2.7).

    Args:
        inplace: whether the input itself is changed.

    >>> import chainrule as cr
    >>> x = cr.tensor([-1.0, 2.0])
    >>> cr.nn.ReLU(inplace=True)(x) is x, x
    (True, tensor([0., 2.]))
    """

    def f(self, z: Tensor) -> Tensor:
        return z.relu()


class LeakyReLU(InPlace):
    """f(z) = max(0.01 z, z), f′(0) = 0.01 by declaration (2.7; Maas et al. 2013).

    Args:
        negative_slope: the slope for z ≤ 0.
        inplace: whether the input itself is changed.

    >>> import chainrule as cr
    >>> cr.nn.LeakyReLU()(cr.tensor([-2.0, 3.0]))
    tensor([-0.02,  3.  ])
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = number("LeakyReLU", "negative_slope", negative_slope)

    def f(self, z: Tensor) -> Tensor:
        return wrap(activations.leaky_relu(z.value, alpha=self.negative_slope))


class Sigmoid(Activation):
    """f(z) = 1 / (1 + e⁻ᶻ), f′ = f(1 − f) (2.7)."""

    def f(self, z: Tensor) -> Tensor:
        return z.sigmoid()


class Tanh(Activation):
    """f(z) = tanh z, f′ = 1 − f² (2.7)."""

    def f(self, z: Tensor) -> Tensor:
        return z.tanh()


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
    >>> cr.nn.functional.gelu([-1.0, 0.0, 1.0])
    tensor([-0.15865526,  0.        ,  0.8413447 ])
    """

    def __init__(self, approximate: Literal["none", "tanh"] = "none") -> None:
        if not isinstance(approximate, str) or approximate not in ("none", "tanh"):
            near = nearest(str(approximate), ("none", "tanh"))
            raise ArgumentError(
                _("GELU is computed exactly, or approximated by tanh."),
                expected=_("approximate='none' or 'tanh'"),
                got=repr(approximate),
                fix=_("did you mean {near!r}?", near=near)
                if near
                else "approximate='none'",
            )
        self.approximate = approximate

    def f(self, z: Tensor) -> Tensor:
        exact = self.approximate == "none"
        return wrap((activations.gelu if exact else activations.gelu_tanh)(z.value))


class SiLU(InPlace):
    """f(z) = z σ(z), f′ = σ(z) + z σ(z)(1 − σ(z)) (Elfwing, Uchibe & Doya 2018).

    It is called swish, too.

    Args:
        inplace: whether the input itself is changed.
    """

    def f(self, z: Tensor) -> Tensor:
        return wrap(activations.silu(z.value))


class Softplus(Activation):
    """f(z) = ln(1 + e^(βz))/β, a smooth ReLU, f′ = σ(βz) (Dugas et al. 2001).

    Args:
        beta: β > 0; the larger, the nearer to ReLU.
        threshold: where βz is larger, f is z itself. From 20 on that would change less
            than 3·10⁻⁹, and is not done.
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta = number("Softplus", "beta", beta, above=0)
        self.threshold = number("Softplus", "threshold", threshold)

    def f(self, z: Tensor) -> Tensor:
        scaled = z if self.beta == 1 else z * self.beta
        y = wrap(activations.softplus(scaled.value))
        y = y if self.beta == 1 else y / self.beta
        return y if self.threshold >= 20 else where(scaled > self.threshold, z, y)


class ELU(InPlace):
    """f(z) = z where z > 0, else α(eᶻ − 1) (Clevert, Unterthiner & Hochreiter 2016).

    f′ is 1 or αeᶻ, and α at 0 by declaration.

    Args:
        alpha: α; f tends to −α.
        inplace: whether the input itself is changed.
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = number("ELU", "alpha", alpha)

    def f(self, z: Tensor) -> Tensor:
        return wrap(activations.elu(z.value, alpha=self.alpha))


class SELU(InPlace):
    """f(z) = λ elu(z, α) with λ ≈ 1.0507, α ≈ 1.6733 (Klambauer et al. 2017).

    Weights that start with ``init.lecun_normal_`` keep mean 0 and variance 1 of the
    activations from layer to layer.

    Args:
        inplace: whether the input itself is changed.
    """

    def f(self, z: Tensor) -> Tensor:
        return wrap(activations.selu(z.value))


class Heaviside(Activation):
    """f(z) = 1 where z ≥ 0, else 0: the perceptron's threshold (Rosenblatt 1958).

    f′ = 0 everywhere by declaration, so gradient descent learns nothing through it;
    :class:`~chainrule.nn.Perceptron` has a rule of its own.
    """

    def f(self, z: Tensor) -> Tensor:
        return wrap(activations.heaviside(z.value))


def _clip(z: Tensor, low: float, high: float) -> Tensor:
    """Limit z to [low, high] for activations; the derivative at both ends is 0."""
    if z.dtype.is_integer:
        low, high = int(low), int(high)
    return maximum(-maximum(-z, -high), low)


class Hardtanh(InPlace):
    """f(z) = z within [min_val, max_val], and constant beyond.

    f′ is 0 at both ends and beyond.

    Args:
        min_val: the smallest value.
        max_val: the largest one.
        inplace: whether the input itself is changed.

    >>> import chainrule as cr
    >>> cr.nn.Hardtanh()(cr.tensor([-2.0, 0.5, 3.0]))
    tensor([-1. ,  0.5,  1. ])
    """

    def __init__(
        self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
    ) -> None:
        super().__init__(inplace)
        self.min_val = number("Hardtanh", "min_val", min_val)
        self.max_val = number("Hardtanh", "max_val", max_val, least=self.min_val)

    def f(self, z: Tensor) -> Tensor:
        return _clip(z, self.min_val, self.max_val)


class ReLU6(InPlace):
    """f(z) = min(max(0, z), 6).

    Args:
        inplace: whether the input itself is changed.
    """

    def f(self, z: Tensor) -> Tensor:
        return _clip(z, 0.0, 6.0)


class Hardsigmoid(InPlace):
    """f(z) = min(max(0, z + 3), 6)/6, σ by straight lines.

    Args:
        inplace: whether the input itself is changed.
    """

    def f(self, z: Tensor) -> Tensor:
        return _clip(z + 3.0, 0.0, 6.0) / 6.0


class Hardswish(InPlace):
    """f(z) = z min(max(0, z + 3), 6)/6, SiLU without an exponential.

    Howard et al. 2019, "Searching for MobileNetV3".

    Args:
        inplace: whether the input itself is changed.
    """

    def f(self, z: Tensor) -> Tensor:
        return z * (_clip(z + 3.0, 0.0, 6.0) / 6.0)


class _Shrink(Activation):
    """Base class of activations that are 0 where |z| ≤ λ."""

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = number(type(self).__name__, "lambd", lambd, least=0)


class Hardshrink(_Shrink):
    """f(z) = z where |z| > λ, else 0.

    Args:
        lambd: λ ≥ 0.
    """

    def f(self, z: Tensor) -> Tensor:
        return where(abs(z) <= self.lambd, 0.0, z)  # NaN stays


class Softshrink(_Shrink):
    """f(z) = z ∓ λ where ±z > λ, else 0.

    Args:
        lambd: λ ≥ 0.
    """

    def f(self, z: Tensor) -> Tensor:
        return (z - self.lambd).relu() - (-z - self.lambd).relu()


class Tanhshrink(Activation):
    """f(z) = z − tanh z."""

    def f(self, z: Tensor) -> Tensor:
        return z - z.tanh()


class Threshold(InPlace):
    """f(z) = z where z > threshold, else ``value``.

    Args:
        threshold: the limit above which z is unchanged.
        value: the output for other z.
        inplace: whether the input itself is changed.
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.threshold = number("Threshold", "threshold", threshold)
        self.value = number("Threshold", "value", value)

    def f(self, z: Tensor) -> Tensor:
        limit, value = self.threshold, self.value
        if z.dtype.is_integer:
            limit, value = int(limit), int(value)
        return where(z <= limit, value, z)  # NaN stays


class Mish(InPlace):
    """f(z) = z tanh(ln(1 + eᶻ)) (Misra 2019).

    Args:
        inplace: whether the input itself is changed.
    """

    def f(self, z: Tensor) -> Tensor:
        return z * wrap(activations.softplus(z.value)).tanh()


class Softsign(Activation):
    """f(z) = z/(1 + |z|)."""

    def f(self, z: Tensor) -> Tensor:
        return wrap(activations.softsign(floats(z).value))


class LogSigmoid(Activation):
    """f(z) = ln σ(z), without underflow."""

    def f(self, z: Tensor) -> Tensor:
        return -wrap(activations.softplus((-z).value))


class CELU(InPlace):
    """f(z) = z where z > 0, else α(e^(z/α) − 1) (Barron 2017).

    Args:
        alpha: α > 0; f tends to −α, and f′ is continuous.
        inplace: whether the input itself is changed.
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = number("CELU", "alpha", alpha, above=0)

    def f(self, z: Tensor) -> Tensor:
        return wrap(activations.elu((z / self.alpha).value, alpha=1.0)) * self.alpha


class PReLU(Module):
    """f(z) = z where z > 0, else a z, with a learnt (He et al. 2015).

    Args:
        num_parameters: 1, or one for each channel, the second axis.
        init: the initial value of a (``weight``).
        dtype: of a.
    """

    def __init__(
        self,
        num_parameters: Count = 1,
        init: float = 0.25,
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        (n,) = positive_integers("PReLU", num_parameters=num_parameters)
        start = number("PReLU", "init", init)
        self.weight = Parameter(
            np.full(n, checked_constant(start, floating("PReLU", dtype, device)))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Compute the PReLU of x with one learnt slope, or with one per channel."""
        return prelu(x, self.weight)


def prelu(input: Any, weight: Tensor) -> Tensor:
    """Compute PReLU: x where x > 0, else a x, with one slope a or one per channel.

    Args:
        input: (N, C, …), or of any shape where there is one number.
        weight: a, (1,) or (C,).
    """
    input, weight = as_tensor(input), as_tensor(weight)
    if weight.size != 1:
        if input.ndim < 2 or weight.shape != input.shape[1:2]:
            raise ShapeError(
                _("prelu takes one slope, or one for each channel."),
                expected=_(
                    "weight of shape {value}", value=show(input.shape[1:2] or (1,))
                ),
                got=show(weight.shape),
            )
        weight = weight.reshape(-1, *[1] * (input.ndim - 2))
    else:
        weight = weight.reshape(())
    return where(input > 0.0, input, weight * input)


celu = as_function(CELU, "celu")
elu = as_function(ELU, "elu")
gelu = as_function(GELU, "gelu")
hardshrink = as_function(Hardshrink, "hardshrink")
hardsigmoid = as_function(Hardsigmoid, "hardsigmoid")
hardswish = as_function(Hardswish, "hardswish")
hardtanh = as_function(Hardtanh, "hardtanh")
heaviside = as_function(Heaviside, "heaviside")
leaky_relu = as_function(LeakyReLU, "leaky_relu")
logsigmoid = as_function(LogSigmoid, "logsigmoid")
mish = as_function(Mish, "mish")
relu = as_function(ReLU, "relu")
relu6 = as_function(ReLU6, "relu6")
selu = as_function(SELU, "selu")
sigmoid = as_function(Sigmoid, "sigmoid")
silu = as_function(SiLU, "silu")
softplus = as_function(Softplus, "softplus")
softshrink = as_function(Softshrink, "softshrink")
softsign = as_function(Softsign, "softsign")
tanh = as_function(Tanh, "tanh")
tanhshrink = as_function(Tanhshrink, "tanhshrink")
threshold = as_function(Threshold, "threshold")
