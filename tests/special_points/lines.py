"""Functions of several numbers, along lines through special points.

The derivatives of t ↦ f(x + t v) in enough directions v are all there are: five
directions are enough for the fourth order of two numbers.
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
from tests.special_points.rows import ZERO, softplus

Point = tuple[float, ...]


@dataclass(frozen=True)
class Lines:
    """A function of the rows of a matrix, its exact form, and where to look at it.

    Attributes:
        names: what is tested: public functions.
        call: of a tensor (m, n), giving (m,).
        exact: the smooth piece at a point, a function of a list of numbers.
        points: of n numbers each.
        at: orders 0 … 4, in every direction, where the exact form is not asked.
        unit: as for a row of one number.
    """

    names: str
    call: Callable[[Tensor], Tensor]
    exact: Callable[[Any], Function]
    points: Sequence[Point]
    at: dict[Point, Sequence[float]] = field(default_factory=dict)
    unit: float = 1.0

    def __str__(self) -> str:
        return self.names.replace(" ", "-")


def smooth(function: Function) -> Callable[[Any], Function]:
    return lambda point: function


def two(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: function(x[:, 0], x[:, 1])


_ONE = (0.0, 2.0**-17, -0.5, 1.0, -100.0, 1e5)
PAIRS = [(a, b) for a in _ONE for b in _ONE]
FEW = [(a, b) for a in _ONE[:4] for b in (*_ONE[:4], -100.0)]
NOT_ZERO = [(a, b) for a, b in PAIRS if b]
POWERS = [
    (a, b) for a in (2.0**-17, 0.5, 1.0, 20.0) for b in (0.0, 0.5, 1.0, 2.0, -1.0, -2.5)
]
ORIGIN = (0.0, 0.0)


def _atan2(point: Any) -> Function:
    """The angle, on the half-axis too, where it jumps."""
    y, x = point
    if abs(x) >= abs(y):
        turn = 0 if x > 0 else mp.pi if y >= 0 else -mp.pi
        return lambda p: mp.atan(p[0] / p[1]) + turn
    return lambda p: (mp.pi / 2 if y > 0 else -mp.pi / 2) - mp.atan(p[1] / p[0])


def _logaddexp(p: Any) -> Any:
    a, b = p
    return softplus(b - a) + a if a > b else softplus(a - b) + b


def _larger(point: Any) -> Function:
    return (lambda p: p[0]) if point[0] > point[1] else (lambda p: p[1])


def _smaller(point: Any) -> Function:
    return (lambda p: p[0]) if point[0] < point[1] else (lambda p: p[1])


def _copysign(point: Any) -> Function:
    x, s = point
    sign = (0 if x == 0 else math.copysign(1, x)) * math.copysign(1, s)
    return lambda p: sign * p[0]


def _remainder(point: Any) -> Function:
    n = mp.floor(point[0] / mpf(point[1]))
    return lambda p: p[0] - n * p[1]


def _huber(point: Any) -> Function:
    e = point[0] - point[1]
    if abs(e) < 1:
        return lambda p: (p[0] - p[1]) ** 2 / 2
    return lambda p: math.copysign(1, e) * (p[0] - p[1]) - mpf(1) / 2


def _lerp(p: Any) -> Any:
    return p[0] + (p[1] - p[0]) / 4


TWO = [
    Lines("cr.add", two(cr.add), smooth(lambda p: p[0] + p[1]), FEW),
    Lines("cr.sub cr.subtract", two(cr.sub), smooth(lambda p: p[0] - p[1]), FEW),
    Lines("cr.mul cr.multiply", two(cr.mul), smooth(lambda p: p[0] * p[1]), FEW),
    Lines(
        "cr.div cr.divide cr.true_divide",
        two(cr.div),
        smooth(lambda p: p[0] / p[1]),
        NOT_ZERO,
    ),
    Lines(
        "cr.atan2 cr.arctan2", two(cr.atan2), _atan2, [p for p in PAIRS if p != ORIGIN]
    ),
    Lines(
        "cr.hypot",
        two(cr.hypot),
        smooth(lambda p: mp.sqrt(p[0] ** 2 + p[1] ** 2)),
        [*PAIRS, (2.0**66, 2.0**66)],
        at={ORIGIN: ZERO},
        unit=0,
    ),
    Lines("cr.logaddexp", two(cr.logaddexp), smooth(_logaddexp), PAIRS),
    Lines("cr.maximum", two(cr.maximum), _larger, FEW),
    Lines("cr.minimum", two(cr.minimum), _smaller, FEW),
    Lines("cr.pow", two(cr.pow), smooth(lambda p: p[0] ** p[1]), POWERS),
    Lines(
        "cr.copysign",
        two(cr.copysign),
        _copysign,
        NOT_ZERO,
        at={(0.0, s): ZERO for s in _ONE},
    ),
    Lines(
        "cr.remainder",
        two(cr.remainder),
        _remainder,
        [(a, b) for a, b in FEW if b and a % b],
    ),
    Lines(
        "cr.floor_divide",
        two(cr.floor_divide),
        lambda point: lambda p: mp.floor(point[0] / mpf(point[1])),
        [(a, b) for a, b in FEW if b and a % b],
    ),
    Lines("cr.lerp", two(lambda a, b: cr.lerp(a, b, 0.25)), smooth(_lerp), FEW),
    Lines(
        "F.huber_loss",
        two(lambda a, b: F.huber_loss(a, b, reduction="none")),
        _huber,
        FEW,
    ),
    Lines(
        "F.gaussian_nll_loss",
        two(
            lambda a, b: F.gaussian_nll_loss(
                a, cr.zeros(a.shape, dtype=a.dtype), b, reduction="none"
            )
        ),
        smooth(lambda p: (mp.log(p[1]) + p[0] ** 2 / p[1]) / 2),
        [(a, b) for a, b in PAIRS if b > 0],
    ),
]

VECTORS = [
    (0.0, 0.0, 0.0),
    (1.0, 1.0, 1.0),
    (0.0, 2.0, 1.0),
    (0.5, -1.0, 2.0),
    (1e5, 1e5, 1e5),
    (20.0, -20.0, 0.0),
    (100.0, -100.0, 0.0),
    (2.0**-17, 2.0**-16, -(2.0**-17)),
    (1e5, -3.0, 2.0),
    (2.0, 2.0, -1.0),
    (1.0, 0.0, 0.0),
]
#: Their squares overflow in float32, where what is not finite will do.
HUGE = [(2.0**66, 0.0, 2.0**66), (2.0**66, 1.0, -3.0)]
LEVEL = (3.0, 3.0, 3.0)
NOTHING = (0.0, 0.0, 0.0)
SPREAD = [v for v in VECTORS if len(set(v)) > 1]
FULL = [v for v in VECTORS if all(v)]
#: The fourth derivative's powers stay within float32.
NORMAL = [v for v in FULL if max(map(abs, v)) > 1e-3]


def _mean(p: Any) -> Any:
    return sum(p) / len(p)


def _variance(p: Any, correction: int) -> Any:
    return sum((a - _mean(p)) ** 2 for a in p) / (len(p) - correction)


def _logsumexp(p: Any) -> Any:
    m = max(p)
    return m + mp.log(sum(mp.exp(a - m) for a in p))


def _norm(order: float) -> Callable[[Any], Function]:
    """On the piece of the signs at a point; 0 gives nothing where |x| is not smooth."""

    def exact(point: Any) -> Function:
        signs = [0 if a == 0 else math.copysign(1, a) for a in point]

        def norm(p: Any) -> Any:
            powers = [(s * a) ** mpf(order) for s, a in zip(signs, p) if s]
            return sum(powers) ** (1 / mpf(order))

        return norm

    return exact


def _length(p: Any) -> Any:
    return mp.sqrt(sum(a * a for a in p))


def _extreme(sign: int) -> Callable[[Any], Function]:
    """Ties share the derivative."""

    def exact(point: Any) -> Function:
        best = max(sign * a for a in point)
        winners = [i for i, a in enumerate(point) if sign * a == best]
        return lambda p: sum(p[i] for i in winners) / len(winners)

    return exact


def _normalize(point: Any) -> Function:
    if not any(point):
        return lambda p: p[0] / mpf(1e-12)
    return lambda p: p[0] / _length(p)


def _cosine(point: Any) -> Function:
    if not any(point):
        return lambda p: (p[0] + p[1] + p[2]) / mpf(1e-8) / mp.sqrt(3)
    return lambda p: (p[0] + p[1] + p[2]) / _length(p) / mp.sqrt(3)


def _layer_norm(p: Any) -> Any:
    return (p[0] - _mean(p)) / mp.sqrt(_variance(p, 0) + mpf(1e-5))


def _rms_norm(p: Any) -> Any:
    return p[0] / mp.sqrt(sum(a * a for a in p) / 3 + mpf(1e-5))


def _labels(x: Tensor) -> Tensor:
    return cr.zeros((x.shape[0],), dtype="int64")


def _targets(x: Tensor) -> Tensor:
    return cr.full(x.shape, 1.0, dtype=x.dtype) * cr.tensor(
        [0.5, 0.25, 0.25], dtype=x.dtype
    )


def _cross(p: Any) -> Any:
    return _logsumexp(p) - p[0] / 2 - p[1] / 4 - p[2] / 4


SEVERAL = [
    Lines("cr.sum", lambda x: cr.sum(x, axis=1), smooth(sum), VECTORS),
    Lines("cr.mean", lambda x: cr.mean(x, axis=1), smooth(_mean), VECTORS),
    Lines(
        "cr.prod",
        lambda x: cr.prod(x, axis=1),
        smooth(lambda p: p[0] * p[1] * p[2]),
        VECTORS,
    ),
    Lines(
        "cr.cumprod cr.cumulative_prod",
        lambda x: cr.cumprod(x, 1)[:, 1],
        smooth(lambda p: p[0] * p[1]),
        VECTORS,
    ),
    Lines(
        "cr.cumsum cr.cumulative_sum",
        lambda x: cr.cumsum(x, 1)[:, 1],
        smooth(lambda p: p[0] + p[1]),
        VECTORS,
    ),
    Lines("cr.amax cr.max", lambda x: cr.amax(x, 1), _extreme(1), VECTORS),
    Lines("cr.amin cr.min", lambda x: cr.amin(x, 1), _extreme(-1), VECTORS),
    Lines("cr.logsumexp", lambda x: cr.logsumexp(x, 1), smooth(_logsumexp), VECTORS),
    Lines(
        "cr.softmax F.softmax",
        lambda x: cr.softmax(x, 1)[:, 0],
        smooth(lambda p: mp.exp(p[0] - _logsumexp(p))),
        VECTORS,
    ),
    Lines(
        "F.softmin",
        lambda x: F.softmin(x, 1)[:, 0],
        smooth(lambda p: mp.exp(-p[0] - _logsumexp([-a for a in p]))),
        VECTORS,
    ),
    Lines(
        "cr.log_softmax F.log_softmax",
        lambda x: cr.log_softmax(x, 1)[:, 0],
        smooth(lambda p: p[0] - _logsumexp(p)),
        VECTORS,
    ),
    Lines(
        "cr.norm",
        lambda x: cr.norm(x, 2, 1),
        smooth(_length),
        [*VECTORS, *HUGE],
        at={NOTHING: ZERO},
    ),
    Lines(
        "cr.norm",
        lambda x: cr.norm(x, 1, 1),
        _norm(1),
        [v for v in VECTORS if any(v)],
        at={NOTHING: ZERO},
    ),
    Lines(
        "cr.norm",
        lambda x: cr.norm(x, 3, 1),
        _norm(3),
        [*NORMAL, NOTHING],
        at={NOTHING: ZERO},
    ),
    Lines(
        "cr.norm",
        lambda x: cr.norm(x, 1.5, 1),
        _norm(1.5),
        VECTORS,
        at={NOTHING: ZERO},
    ),
    Lines(
        "F.pairwise_distance",
        lambda x: F.pairwise_distance(x, cr.zeros(x.shape, dtype=x.dtype), eps=0.0),
        smooth(_length),
        VECTORS,
        at={NOTHING: ZERO},
    ),
    Lines(
        "cr.var",
        lambda x: cr.var(x, 1),
        smooth(lambda p: _variance(p, 1)),
        VECTORS,
    ),
    Lines(
        "cr.std",
        lambda x: x.std(1),
        smooth(lambda p: mp.sqrt(_variance(p, 1))),
        [*SPREAD, LEVEL],
        at={LEVEL: ZERO},
    ),
    Lines("F.normalize", lambda x: F.normalize(x)[:, 0], _normalize, [*VECTORS, *HUGE]),
    Lines(
        "F.cosine_similarity",
        lambda x: F.cosine_similarity(x, cr.ones(x.shape, dtype=x.dtype)),
        _cosine,
        [*VECTORS, *HUGE],
    ),
    Lines(
        "F.layer_norm", lambda x: F.layer_norm(x, 3)[:, 0], smooth(_layer_norm), VECTORS
    ),
    Lines(
        "F.rms_norm",
        lambda x: F.rms_norm(x, 3, eps=1e-5)[:, 0],
        smooth(_rms_norm),
        VECTORS,
    ),
    Lines(
        "F.cross_entropy",
        lambda x: F.cross_entropy(x, _labels(x), reduction="none"),
        smooth(lambda p: _logsumexp(p) - p[0]),
        VECTORS,
    ),
    Lines(
        "F.cross_entropy",
        lambda x: F.cross_entropy(x, _targets(x), reduction="none"),
        smooth(_cross),
        VECTORS,
    ),
    Lines(
        "F.nll_loss",
        lambda x: F.nll_loss(x.log_softmax(1), _labels(x), reduction="none"),
        smooth(lambda p: _logsumexp(p) - p[0]),
        VECTORS,
    ),
    Lines(
        "F.kl_div",
        lambda x: F.kl_div(x.log_softmax(1), _targets(x), reduction="none").sum(1),
        smooth(lambda p: _cross(p) - mp.log(2) * 3 / 2),
        VECTORS,
    ),
    Lines(
        "F.kl_divergence",
        lambda x: F.kl_divergence(x.softmax(1), _targets(x), reduction="none"),
        smooth(lambda p: _cross(p) - mp.log(2) * 3 / 2),
        [v for v in VECTORS if max(map(abs, v)) < 50],
    ),
]

ALL = [*TWO, *SEVERAL]
DIRECTIONS = {
    2: ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, -1.0), (1.0, 2.0)),
    3: ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (1.0, 1.0, 1.0), (1.0, -1.0, 2.0)),
}
