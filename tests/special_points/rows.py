"""Functions of one number, each with its exact form and what is said about it.

The exact form is that of the smooth piece at a point. At a kink it is the piece that
the convention takes; ``at`` holds what is infinite there, or a convention of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mpmath import mp, mpf

import chainrule as cr
import chainrule.nn.functional as F
from chainrule.tensor import Tensor
from tests.special_points.oracle import Function

INF = math.inf
HALF_PI = math.pi / 2


@dataclass(frozen=True)
class Row:
    """A function and its exact form.

    Attributes:
        names: what is tested: public functions.
        call: of a tensor.
        exact: the smooth piece at a point, a function of multiprecision numbers.
        domain: where the function is defined, ends included.
        singular: whether it is not analytic at 0.
        unit: an absolute error of so many units in the last place is allowed; why is
            said in docs/reference/derivatives.md.
        far: beyond this size NaN is accepted: a square or a cube overflows.
        at: what the orders 0 … 4 are at points where the exact form is not asked.
    """

    names: str
    call: Callable[[Tensor], Tensor]
    exact: Callable[[Any], Function]
    domain: tuple[float, float] = (-INF, INF)
    singular: bool = False
    unit: float = 0.0
    far: float = INF
    at: dict[float, Sequence[float]] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.names.replace(" ", "-")


def smooth(function: Function) -> Callable[[Any], Function]:
    """The same piece everywhere."""
    return lambda point: function


def pieces(*parts: Any) -> Callable[[Any], Function]:
    """Pieces and the places between them, in turn; a place belongs to the left."""

    def exact(point: Any) -> Function:
        for piece, end in zip(parts[::2], parts[1::2]):
            if point <= end:
                return piece
        return parts[-1]

    return exact


def pieces_right(*parts: Any) -> Callable[[Any], Function]:
    """The same where a place belongs to the right."""

    def exact(point: Any) -> Function:
        for piece, end in zip(parts[::2], parts[1::2]):
            if point < end:
                return piece
        return parts[-1]

    return exact


def constant(number: Any) -> Function:
    return lambda x: mpf(number)


def line(slope: Any, start: Any = 0) -> Function:
    return lambda x: slope * x + start


def step(function: Function) -> Callable[[Any], Function]:
    """What is constant around a point."""
    return lambda point: constant(function(mpf(point)))


#: Functions of steps, whose derivatives are 0 everywhere.
STEPS: dict[str, Function] = {
    "ceil": mp.ceil,
    "floor": mp.floor,
    "round": mp.nint,
    "trunc": lambda x: mp.sign(x) * mp.floor(abs(x)),
    "sign": mp.sign,
}
STEPS["fix"] = STEPS["trunc"]


def erfc(x: Any) -> Any:
    """Also so far out that mpmath's series give up."""
    if abs(x) > 1e7:
        return mpf(0) if x > 0 else mpf(2)
    return mp.erfc(x)


def erf(x: Any) -> Any:
    """From the complement where it is near ±1."""
    return 1 - erfc(x) if x > 1 else erfc(-x) - 1 if x < -1 else mp.erf(x)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x)) if x > 0 else mp.exp(x) / (1 + mp.exp(x))


def softplus(x: Any) -> Any:
    """From the nearer end, so that nothing cancels."""
    return mp.log1p(mp.exp(x)) if x < 0 else x + mp.log1p(mp.exp(-x))


def gelu(x: Any) -> Any:
    return x * erfc(-x / mp.sqrt(2)) / 2


def gelu_tanh(x: Any) -> Any:
    root = mpf(math.sqrt(2 / math.pi))
    return x * sigmoid(2 * root * (x + mpf(0.044715) * x**3))


def like(number: float) -> Callable[[Tensor], Tensor]:
    return lambda x: cr.full(x.shape, number, dtype=x.dtype)


def loss(function: Any, target: float, **options: Any) -> Callable[[Tensor], Tensor]:
    """A loss of a prediction for a target that stays."""
    options["reduction"] = "none"
    return lambda x: function(x, like(target)(x), **options)


def _of_probability(point: Any) -> Function:
    """−ln ŷ, with the derivative that a ŷ of 10⁻¹² has where it is smaller."""
    if point > 1e-12:
        return lambda x: -mp.log(x)
    return line(mpf(-1e12), min(-mp.log(point), 100) + mpf(1e12) * point)


ROOTS = {0.0: (0.0, INF, -INF, INF, -INF)}
POSITIVE: Any = {"domain": (0.0, INF), "singular": True}
ZERO = (0.0, 0.0, 0.0, 0.0, 0.0)
SELU_ALPHA, SELU_SCALE = mpf(1.6732632423543772), mpf(1.0507009873554805)

ELEMENTARY = [
    Row("cr.exp", cr.exp, smooth(mp.exp)),
    Row("cr.exp2", cr.exp2, smooth(lambda x: mpf(2) ** x)),
    Row("cr.expm1", cr.expm1, smooth(mp.expm1)),
    Row(
        "cr.log",
        cr.log,
        smooth(mp.log),
        at={0.0: (-INF, INF, -INF, INF, -INF)},
        **POSITIVE,
    ),
    Row(
        "cr.log2",
        cr.log2,
        smooth(lambda x: mp.log(x) / mp.log(2)),
        at={0.0: (-INF, INF, -INF, INF, -INF)},
        **POSITIVE,
    ),
    Row(
        "cr.log10",
        cr.log10,
        smooth(lambda x: mp.log(x) / mp.log(10)),
        at={0.0: (-INF, INF, -INF, INF, -INF)},
        **POSITIVE,
    ),
    Row(
        "cr.log1p",
        cr.log1p,
        smooth(mp.log1p),
        domain=(-1.0, INF),
        at={-1.0: (-INF, INF, -INF, INF, -INF)},
    ),
    Row("cr.sqrt", cr.sqrt, smooth(mp.sqrt), at=ROOTS, **POSITIVE),
    Row(
        "cr.rsqrt",
        cr.rsqrt,
        smooth(lambda x: 1 / mp.sqrt(x)),
        at={0.0: (INF, -INF, INF, -INF, INF)},
        **POSITIVE,
    ),
    Row(
        "cr.reciprocal",
        cr.reciprocal,
        smooth(lambda x: 1 / x),
        singular=True,
        at={0.0: (INF, -INF, INF, -INF, INF)},
    ),
    Row("cr.square", cr.square, smooth(lambda x: x * x)),
    Row("cr.sin", cr.sin, smooth(mp.sin)),
    Row("cr.cos", cr.cos, smooth(mp.cos)),
    Row("cr.tan", cr.tan, smooth(mp.tan)),
    Row(
        "cr.asin cr.arcsin",
        cr.asin,
        smooth(mp.asin),
        domain=(-1.0, 1.0),
        at={1.0: (HALF_PI, INF, INF, INF, INF), -1.0: (-HALF_PI, INF, -INF, INF, -INF)},
    ),
    Row(
        "cr.acos cr.arccos",
        cr.acos,
        smooth(mp.acos),
        domain=(-1.0, 1.0),
        at={1.0: (0.0, -INF, -INF, -INF, -INF), -1.0: (math.pi, -INF, INF, -INF, INF)},
    ),
    Row("cr.atan cr.arctan", cr.atan, smooth(mp.atan)),
    Row("cr.sinh", cr.sinh, smooth(mp.sinh)),
    Row("cr.cosh", cr.cosh, smooth(mp.cosh)),
    Row("cr.tanh", cr.tanh, smooth(mp.tanh), unit=1),
    Row("cr.asinh cr.arcsinh", cr.asinh, smooth(mp.asinh)),
    Row(
        "cr.acosh cr.arccosh",
        cr.acosh,
        smooth(mp.acosh),
        domain=(1.0, INF),
        at={1.0: (0.0, INF, -INF, math.nan, math.nan)},
    ),
    Row(
        "cr.atanh cr.arctanh",
        cr.atanh,
        smooth(mp.atanh),
        domain=(-1.0, 1.0),
        unit=1,
        at={1.0: (INF, INF, INF, INF, INF), -1.0: (-INF, INF, -INF, INF, -INF)},
    ),
    Row("cr.erf", cr.erf, smooth(erf), far=1e19),
    Row("cr.erfc", cr.erfc, smooth(erfc), far=1e19),
    Row("cr.abs cr.absolute", cr.abs, pieces(line(-1), 0, line(1)), at={0.0: ZERO}),
    Row("cr.relu F.relu", cr.relu, pieces(constant(0), 0, line(1))),
    Row("cr.neg cr.negative", cr.neg, smooth(line(-1))),
    Row("cr.positive", cr.positive, smooth(line(1))),
    Row(
        "cr.clip cr.clamp",
        lambda x: cr.clip(x, -1.0, 1.0),
        lambda x: line(1) if abs(x) <= 1 else constant(math.copysign(1, x)),
    ),
    Row(
        "cr.masked_fill cr.where",
        lambda x: cr.where(x > 1.0, x * x, 0.0),
        pieces(constant(0), 1, lambda x: x * x),
    ),
    Row("cr.nan_to_num", cr.nan_to_num, smooth(line(1))),
    Row("cr.sigmoid F.sigmoid", cr.sigmoid, smooth(sigmoid), unit=1),
    *(Row(f"cr.{name}", getattr(cr, name), step(of)) for name, of in STEPS.items()),
]


def _power(p: float, at: Sequence[float], **more: Any) -> Row:
    return Row(
        "cr.pow", lambda x: x**p, smooth(lambda x: x ** mpf(p)), at={0.0: at}, **more
    )


POWERS = [
    Row(
        "cr.pow",
        lambda x: x**3,
        smooth(lambda x: x**3),
        singular=True,
        at={0.0: (0.0, 0.0, 0.0, 6.0, 0.0)},
    ),
    Row(
        "cr.pow",
        lambda x: x**4,
        smooth(lambda x: x**4),
        singular=True,
        at={0.0: (0.0, 0.0, 0.0, 0.0, 24.0)},
    ),
    _power(0.5, (0.0, INF, -INF, INF, -INF), **POSITIVE),
    _power(1.5, (0.0, 0.0, INF, -INF, INF), **POSITIVE),
    _power(2.5, (0.0, 0.0, 0.0, INF, -INF), **POSITIVE),
    _power(-0.5, (INF, -INF, INF, -INF, INF), **POSITIVE),
    Row(
        "cr.pow",
        lambda x: x**-2,
        smooth(lambda x: 1 / x**2),
        singular=True,
        at={0.0: (INF, -INF, INF, -INF, INF)},
    ),
    Row("cr.pow", lambda x: 2.0**x, smooth(lambda x: mpf(2) ** x)),
    Row("cr.pow", lambda x: 0.5**x, smooth(lambda x: mpf(2) ** -x)),
]

ACTIVATIONS = [
    Row("F.tanh", F.tanh, smooth(mp.tanh), unit=1),
    Row("F.softplus", F.softplus, smooth(softplus), unit=1),
    Row(
        "F.softplus",
        lambda x: F.softplus(x, 2.0),
        smooth(lambda x: softplus(2 * x) / 2),
        unit=1,
        far=1e38,
    ),
    Row("F.logsigmoid", F.logsigmoid, smooth(lambda x: -softplus(-x)), unit=1),
    Row("F.gelu", F.gelu, smooth(gelu), far=1e19),
    Row("F.gelu", lambda x: F.gelu(x, "tanh"), smooth(gelu_tanh), unit=1, far=1e8),
    Row("F.silu", F.silu, smooth(lambda x: x * sigmoid(x)), unit=1),
    Row("F.mish", F.mish, smooth(lambda x: x * mp.tanh(softplus(x))), unit=1, far=1e38),
    Row(
        "F.softsign",
        F.softsign,
        pieces(lambda x: x / (1 - x), 0, lambda x: x / (1 + x)),
        at={0.0: (0.0, 1.0, 0.0, 0.0, 0.0)},
    ),
    Row("F.tanhshrink", F.tanhshrink, smooth(lambda x: x - mp.tanh(x)), unit=1),
    Row("F.elu", F.elu, pieces(mp.expm1, 0, line(1))),
    Row(
        "F.elu", lambda x: F.elu(x, 0.5), pieces(lambda x: mp.expm1(x) / 2, 0, line(1))
    ),
    Row(
        "F.celu",
        lambda x: F.celu(x, 2.0),
        pieces(lambda x: 2 * mp.expm1(x / 2), 0, line(1)),
    ),
    Row(
        "F.selu",
        F.selu,
        pieces(lambda x: SELU_SCALE * SELU_ALPHA * mp.expm1(x), 0, line(SELU_SCALE)),
    ),
    Row("F.leaky_relu", F.leaky_relu, pieces(line(mpf(0.01)), 0, line(1))),
    Row(
        "F.prelu",
        lambda x: F.prelu(x, cr.full((1,), 0.25, dtype=x.dtype)),
        pieces(line(mpf(0.25)), 0, line(1)),
    ),
    Row("F.heaviside", F.heaviside, pieces_right(constant(0), 0, constant(1))),
    Row(
        "F.hardtanh",
        F.hardtanh,
        lambda x: line(1) if abs(x) < 1 else constant(math.copysign(1, x)),
    ),
    Row(
        "F.relu6",
        F.relu6,
        lambda x: line(1) if 0 < x < 6 else constant(6 if x > 0 else 0),
    ),
    Row(
        "F.hardsigmoid",
        F.hardsigmoid,
        lambda x: (
            line(mpf(1) / 6, mpf(1) / 2) if -3 < x < 3 else constant(1 if x > 0 else 0)
        ),
        unit=1,
    ),
    Row(
        "F.hardswish",
        F.hardswish,
        lambda x: (
            (lambda t: t * (t + 3) / 6) if -3 < x < 3 else line(1 if x > 0 else 0)
        ),
        unit=1,
    ),
    Row(
        "F.hardshrink", F.hardshrink, lambda x: line(1) if abs(x) > 0.5 else constant(0)
    ),
    Row(
        "F.softshrink",
        F.softshrink,
        lambda x: line(1, -math.copysign(0.5, x)) if abs(x) > 0.5 else constant(0),
    ),
    Row(
        "F.threshold",
        lambda x: F.threshold(x, 1.0, 0.5),
        pieces(constant(0.5), 1, line(1)),
    ),
]

LOSSES = [
    Row(
        "F.binary_cross_entropy_with_logits",
        loss(F.binary_cross_entropy_with_logits, 1.0),
        smooth(lambda x: softplus(-x)),
        unit=1,
    ),
    Row(
        "F.binary_cross_entropy_with_logits",
        loss(F.binary_cross_entropy_with_logits, 0.25),
        smooth(lambda x: softplus(x) - x / 4),
        unit=1,
    ),
    Row(
        "F.soft_margin_loss",
        loss(F.soft_margin_loss, 1.0),
        smooth(lambda x: softplus(-x)),
        unit=1,
    ),
    Row(
        "F.multilabel_soft_margin_loss",
        lambda x: F.multilabel_soft_margin_loss(
            x.reshape(-1, 1), like(1.0)(x.reshape(-1, 1)), reduction="none"
        ),
        smooth(lambda x: softplus(-x)),
        unit=1,
    ),
    Row(
        "F.poisson_nll_loss",
        loss(F.poisson_nll_loss, 3.0),
        smooth(lambda x: mp.exp(x) - 3 * x),
        far=1e38,
    ),
    Row(
        "F.poisson_nll_loss",
        loss(F.poisson_nll_loss, 3.0, log_input=False, eps=0.0),
        smooth(lambda x: x - 3 * mp.log(x)),
        at={0.0: (INF, -INF, INF, -INF, INF)},
        **POSITIVE,
    ),
    Row(
        "F.binary_cross_entropy",
        loss(F.binary_cross_entropy, 1.0),
        _of_probability,
        domain=(0.0, 1.0),
        singular=True,
        unit=1,
        at={0.0: (100.0, -1e12, 0.0, 0.0, 0.0)},
    ),
    Row("F.mse_loss", loss(F.mse_loss, 1.0), smooth(lambda x: (x - 1) ** 2), unit=1),
    Row(
        "F.l1_loss",
        loss(F.l1_loss, 1.0),
        pieces(line(-1, 1), 1, line(1, -1)),
        at={1.0: ZERO},
        unit=1,
    ),
    Row(
        "F.huber_loss",
        loss(F.huber_loss, 0.0),
        lambda x: (
            (lambda t: t * t / 2) if abs(x) < 1 else line(math.copysign(1, x), -0.5)
        ),
    ),
    Row(
        "F.smooth_l1_loss",
        loss(F.smooth_l1_loss, 0.0, beta=0.5),
        lambda x: (
            (lambda t: t * t) if abs(x) < 0.5 else line(math.copysign(1, x), -0.25)
        ),
    ),
    Row(
        "F.hinge_loss",
        loss(F.hinge_loss, 1.0),
        pieces_right(line(-1, 1), 1, constant(0)),
        unit=1,
    ),
    Row(
        "F.perceptron_loss",
        loss(F.perceptron_loss, 1.0),
        pieces_right(line(-1), 0, constant(0)),
    ),
    Row(
        "F.hinge_embedding_loss",
        loss(F.hinge_embedding_loss, -1.0),
        pieces_right(line(-1, 1), 1, constant(0)),
        unit=1,
    ),
]

ROWS = [*ELEMENTARY, *POWERS, *ACTIVATIONS, *LOSSES]
