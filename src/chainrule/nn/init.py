"""Weight initialisation: functions that fill a parameter in place, as in PyTorch.

A layer keeps the size of what passes through it if the variance of its weights is
right: 1/fan_in forwards, 1/fan_out backwards, times the square of a *gain* for what the
activation takes away. For W of shape (out, in, …) fan_in is in · …, fan_out is out · ….

    xavier    Var W = gain² · 2/(fan_in + fan_out)   Glorot & Bengio 2010: tanh, σ
    kaiming   Var W = gain² / fan                    He et al. 2015: ReLU and its kin
    lecun     Var W = 1/fan_in                       LeCun et al. 1998: SELU

A uniform distribution of variance s² reaches from −√3 s to √3 s. Random numbers come
from the framework's generator, so ``chainrule.manual_seed`` decides them.

>>> import chainrule as cr
>>> layer = cr.nn.Linear(784, 128)
>>> cr.nn.init.kaiming_normal_(layer.weight).shape
(128, 784)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from chainrule.errors import ArgumentError, ShapeError, nearest, unknown_name
from chainrule.graph.apply import checked_constant
from chainrule.graph.context import no_grad
from chainrule.graph.node import Array
from chainrule.nn.uninitialized import has_numbers, is_skipping
from chainrule.primitives.error_function import erfc
from chainrule.primitives.rules import show
from chainrule.random import randn, uniform
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.util.blocks import settled

__all__ = [
    "calculate_gain",
    "constant_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "lecun_normal_",
    "lecun_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

#: The activations that a gain is known for.
Nonlinearity = Literal[
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "sigmoid",
    "tanh",
    "relu",
    "selu",
    "leaky_relu",
]
_GAINS = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv3d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 3 / 4,
}


def calculate_gain(nonlinearity: Nonlinearity, param: float | None = None) -> float:
    """Return the recommended gain of initial weights before an activation.

    1 for linear, convolutions and sigmoid, 5/3 for tanh, √2 for relu, √(2/(1 + a²)) for
    leaky_relu of slope a = ``param`` (0.01), ¾ for selu, as PyTorch has them.

    Raises:
        ArgumentError: an unknown name; the nearest known one is named.

    >>> calculate_gain("relu"), calculate_gain("leaky_relu", 1.0)
    (1.4142135623730951, 1.0)
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else float(param)
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        known = [*_GAINS, "leaky_relu"]
        raise ArgumentError(
            _("No gain is known for {nonlinearity!r}.", nonlinearity=nonlinearity),
            expected=_("one of {known}", known=", ".join(known)),
            got=repr(nonlinearity),
            fix=_meant(nonlinearity, known),
        )
    return _GAINS[nonlinearity]


def _meant(name: str, known: list[str]) -> str:
    near = nearest(name, known)
    return (
        _("did you mean {near!r}?", near=near)
        if near
        else _("for example {known!r}", known=known[0])
    )


def fans(tensor: Tensor) -> tuple[int, int]:
    """Return fan_in and fan_out, for initialisation of weights of shape (out, in, …).

    >>> fans(Tensor(np.zeros((4, 3, 5, 5))))
    (75, 100)
    """
    if tensor.ndim < 2:
        raise ShapeError(
            _("fan_in and fan_out are those of a matrix of weights."),
            expected=_("shape (out, in, …)"),
            got=show(tensor.shape),
            fix=_("nn.init.zeros_ for a bias"),
        )
    outputs, inputs, *window = (int(d) for d in tensor.shape)
    area = math.prod(window)
    return inputs * area, outputs * area


@settled
def _fill(tensor: Tensor, draw: Callable[[], Tensor | Array]) -> Tensor:
    """Fill a tensor; within ``nn.no_init()`` what has no numbers stays as it is."""
    if is_skipping() and not has_numbers(tensor):
        return tensor
    with no_grad():
        return tensor.copy_(draw())


# -- plain distributions --------------------------------------------------------------


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Initialise a tensor in place with numbers from U(a, b)."""
    shape = tuple(map(int, tensor.shape))
    return _fill(tensor, lambda: uniform(*shape, low=a, high=b, dtype=tensor.dtype))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Initialise a tensor in place with numbers from N(mean, std²)."""
    if std < 0:
        raise ArgumentError(
            _("A standard deviation is not negative."),
            expected="std ≥ 0",
            got=repr(std),
        )
    shape = tuple(map(int, tensor.shape))
    return _fill(tensor, lambda: randn(*shape, mean=mean, std=std, dtype=tensor.dtype))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Initialise a tensor in place with the number ``val``."""
    value = checked_constant(val, tensor.dtype)
    return _fill(tensor, lambda: np.full(tensor.shape, value))


def zeros_(tensor: Tensor) -> Tensor:
    """Initialise a tensor in place with 0, as usual for biases."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Initialise a tensor in place with 1."""
    return constant_(tensor, 1.0)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
) -> Tensor:
    """Initialise a tensor in place from N(mean, std²), truncated to [a, b].

    By the inverse of the distribution function: with u uniform, Φ⁻¹(Φ(α) + u(Φ(β) −
    Φ(α))), where α = (a − mean)/std and β = (b − mean)/std.

    Raises:
        ArgumentError: an empty interval, or one so far out that nothing falls into it.

    >>> bool((abs(trunc_normal_(Tensor(np.zeros(100)), b=0.5).numpy()) <= 2).all())
    True
    """
    if not (a < b and std > 0):
        raise ArgumentError(
            _("trunc_normal_ draws from an interval."),
            expected=_("a < b and std > 0"),
            got=f"a={a}, b={b}, std={std}",
        )
    low, high = (a - mean) / std, (b - mean) / std
    # The distribution function is exact to 1e-16 near 0: so far out, use its symmetry.
    mirrored = low > 0
    low, high = (-high, -low) if mirrored else (low, high)
    start, end = (float(_distribution(np.array(x))) for x in (low, high))
    if end - start < 1e-12:
        raise ArgumentError(
            _("trunc_normal_ finds nothing between a and b."),
            expected=_("an interval within 7 standard deviations of the mean"),
            got=f"a={a}, b={b}, mean={mean}, std={std}",
        )
    shape = tuple(map(int, tensor.shape))

    def drawn() -> Array:
        u = uniform(*shape, dtype="float64").numpy() + 2.0**-25  # within (0, 1)
        unit = _quantile(start + u * (end - start))
        return np.clip((-unit if mirrored else unit) * std + mean, a, b)

    return _fill(tensor, drawn)


def _distribution(x: Array) -> Array:
    """Compute the normal distribution function Φ(x) = ½ erfc(−x/√2)."""
    return 0.5 * erfc(-x * math.sqrt(0.5))


def _quantile(p: Array) -> Array:
    """Compute the normal quantile Φ⁻¹(p) for 0 < p < 1.

    Abramowitz & Stegun 26.2.23, good to 4.5e-4, and two steps of Halley's method, each
    of which makes the error about its third power.
    """
    tail = np.minimum(p, 1 - p)
    t = np.sqrt(-2 * np.log(tail))
    top = 2.515517 + t * (0.802853 + t * 0.010328)
    bottom = 1 + t * (1.432788 + t * (0.189269 + t * 0.001308))
    x = top / bottom - t  # in the lower tail
    for __ in range(2):
        density = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
        off = (_distribution(x) - tail) / density
        x = x - off / (1 + 0.5 * x * off)
    return np.where(p < 0.5, x, -x)


# -- by the size of the layer ---------------------------------------------------------


def _spread_uniform(tensor: Tensor, std: float) -> Tensor:
    bound = math.sqrt(3) * std
    return uniform_(tensor, -bound, bound)


def _xavier(tensor: Tensor, gain: float) -> float:
    return gain * math.sqrt(2 / sum(fans(tensor)))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Initialise from U(−b, b), b = g√(6/(fan_in + fan_out)) (Glorot & Bengio 2010)."""
    return _spread_uniform(tensor, _xavier(tensor, gain))


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Initialise from N(0, s²), s = g√(2/(fan_in + fan_out)) (Glorot & Bengio 2010)."""
    return normal_(tensor, 0.0, _xavier(tensor, gain))


def _kaiming(tensor: Tensor, a: float, mode: str, nonlinearity: Nonlinearity) -> float:
    sizes = dict(zip(("fan_in", "fan_out"), fans(tensor)))
    if mode not in sizes:
        raise ArgumentError(
            _("He's initialisation counts what comes in or what goes out."),
            expected=_("mode='fan_in' or 'fan_out'"),
            got=repr(mode),
            fix=_meant(mode, list(sizes)),
        )
    return calculate_gain(nonlinearity, a) / math.sqrt(sizes[mode])


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: Literal["fan_in", "fan_out"] = "fan_in",
    nonlinearity: Nonlinearity = "leaky_relu",
) -> Tensor:
    """Initialise weights from U(−b, b), b = gain · √(3/fan) (He et al. 2015), for ReLU.

    Args:
        tensor: what to fill.
        a: the slope of a leaky ReLU for z < 0; 0 is ReLU.
        mode: ``"fan_in"`` keeps sizes forwards, ``"fan_out"`` backwards.
        nonlinearity: whose gain, see :func:`calculate_gain`.
    """
    return _spread_uniform(tensor, _kaiming(tensor, a, mode, nonlinearity))


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: Literal["fan_in", "fan_out"] = "fan_in",
    nonlinearity: Nonlinearity = "leaky_relu",
) -> Tensor:
    """Initialise weights from N(0, s²), s = gain/√fan (He et al. 2015), for ReLU."""
    return normal_(tensor, 0.0, _kaiming(tensor, a, mode, nonlinearity))


def lecun_uniform_(tensor: Tensor) -> Tensor:
    """Initialise weights from U(−b, b), b = √(3/fan_in) (LeCun, Bottou et al. 1998)."""
    return _spread_uniform(tensor, 1 / math.sqrt(fans(tensor)[0]))


def lecun_normal_(tensor: Tensor) -> Tensor:
    """Initialise weights from N(0, 1/fan_in) (LeCun et al. 1998), as SELU requires."""
    return normal_(tensor, 0.0, 1 / math.sqrt(fans(tensor)[0]))


def orthogonal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Initialise weights as a matrix of orthonormal rows or columns, times ``gain``.

    Q of the QR decomposition of normal numbers, each column with the sign of R's
    diagonal, so that every orthogonal matrix is as likely as any other (Saxe,
    McClelland & Ganguli 2014; Mezzadri 2007). Axes behind the first count as one.

    >>> w = orthogonal_(Tensor(np.zeros((2, 3)))).numpy()
    >>> bool(np.allclose(w @ w.T, np.eye(2), atol=1e-6))
    True
    """
    fans(tensor)  # refuses what is no matrix
    rows, *rest = (int(d) for d in tensor.shape)
    columns = math.prod(rest)

    def drawn() -> Array:
        tall = randn(max(rows, columns), min(rows, columns), dtype="float64").numpy()
        q, r = np.linalg.qr(tall)
        q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
        matrix = q if rows >= columns else q.T
        return (gain * matrix).reshape(tensor.shape)

    return _fill(tensor, drawn)


# -- by name --------------------------------------------------------------------------

#: What a layer's ``init=`` takes: the functions that need nothing but the weights.
BY_NAME: dict[str, Callable[[Any], Tensor]] = {
    "xavier_uniform": xavier_uniform_,
    "xavier_normal": xavier_normal_,
    "kaiming_uniform": kaiming_uniform_,
    "kaiming_normal": kaiming_normal_,
    "lecun_uniform": lecun_uniform_,
    "lecun_normal": lecun_normal_,
    "orthogonal": orthogonal_,
    "zeros": zeros_,
    "ones": ones_,
}


def by_name(name: str) -> Callable[[Any], Tensor]:
    """Return the weight initialisation named ``init=name``; ``"he_…"`` is Kaiming's.

    Raises:
        ArgumentError: an unknown name; the nearest known one is named.

    >>> by_name("he_normal") is kaiming_normal_
    True
    """
    plain = str(name).removesuffix("_").replace("he_", "kaiming_")
    plain = plain.replace("glorot_", "xavier_")
    if plain not in BY_NAME:
        known = list(BY_NAME)
        raise ArgumentError(
            _("No initialisation is called {name!r}.", name=name),
            expected=_("one of {known}", known=", ".join(known)),
            got=repr(name),
            fix=_meant(str(name), known),
        )
    return BY_NAME[plain]


if not TYPE_CHECKING:  # type checkers know the names

    def __getattr__(name: str) -> Any:
        """Raise an error for an unknown name of the module; suggest another."""
        raise unknown_name(__name__, name, __all__)
