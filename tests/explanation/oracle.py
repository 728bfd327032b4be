"""The book's networks worked out on plain lists: forward, backward, update.

Nothing here knows Chainrule or NumPy's arithmetic. Forward is 3.2.2,

    z⁽ˡ⁾ = W⁽ˡ⁾ a⁽ˡ⁻¹⁾ + b⁽ˡ⁾,   a⁽ˡ⁾ = f(z⁽ˡ⁾),   a⁽⁰⁾ = x,   ŷ = a⁽ᴸ⁾;

backward 3.4.2, 3.5 and 3.7, where f may mix elements (softmax), so that its Jacobian J
stands in the place of f′,

    δ⁽ᴸ⁾ = Jᵀ ∇_ŷ ℒ,   δ⁽ˡ⁾ = Jᵀ (W⁽ˡ⁺¹⁾)ᵀ δ⁽ˡ⁺¹⁾,
    ∂ℒ/∂W⁽ˡ⁾ = Σ δ⁽ˡ⁾ (a⁽ˡ⁻¹⁾)ᵀ,   ∂ℒ/∂b⁽ˡ⁾ = Σ δ⁽ˡ⁾   (sums over the batch);

and Algorithm 1, W⁽ˡ⁾ ← W⁽ˡ⁾ − η ∂ℒ/∂W⁽ˡ⁾, b⁽ˡ⁾ ← b⁽ˡ⁾ − η ∂ℒ/∂b⁽ˡ⁾. The loss of a batch
is the mean of its samples' losses, or their sum; δ is the derivative of that loss.

Numbers are fractions, and exact, where layers are linear or ReLU and the loss is a
square; otherwise they have 50 digits. A float counts as what it is (0.1 is not ⅒), a
text as what it says (``"0.1"`` is).

>>> step = work([Layer([[2, -1]], [1], "linear")], x=[[3, 4]], y=[["0.5"]], rate="0.1")
>>> step.z[1], step.delta[1], step.loss
([[Fraction(3, 1)]], [[Fraction(5, 2)]], Fraction(25, 8))
>>> step.dW[1], step.db[1]
([[Fraction(15, 2), Fraction(10, 1)]], [Fraction(5, 2)])
>>> step.updated[0].W
[[Fraction(5, 4), Fraction(-2, 1)]]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np

#: A context of its own: other tests may compute with other numbers of digits.
DIGITS = mpmath.mp.clone()
DIGITS.dps = 50

Vector = list[Any]
Matrix = list[Vector]


@dataclass(frozen=True)
class Layer:
    """One layer: W with a row for each neuron, b, and the name of f."""

    W: Matrix
    b: Vector
    f: str


@dataclass(frozen=True)
class Step:
    """Every number of one step of Algorithm 1.

    Attributes:
        z, a, delta: of layer l at index l, a vector for each sample; a[0] is x.
        dW, db: of layer l at index l, in the shapes of W and b.
        loss: of the batch.
        updated: the layers after the update, the first one at index 0.
    """

    z: list[Matrix]
    a: list[Matrix]
    delta: list[Matrix]
    dW: list[Matrix]  # noqa: N815 - the book's name
    db: list[Vector]
    loss: Any
    updated: list[Layer]

    @property
    def prediction(self) -> Matrix:
        """ŷ of each sample."""
        return self.a[-1]


def work(
    layers: Sequence[Layer],
    x: Matrix,
    y: Matrix,
    loss: str = "half square",
    *,
    reduction: str = "mean",
    rate: Any = 0,
) -> Step:
    """One step of Algorithm 1.

    Args:
        layers: the network.
        x: a vector of features for each sample.
        y: the truth for each sample: what ŷ should be. For the cross-entropy the
            probabilities of the classes, such as ``[0, 1, 0]``.
        loss: of one sample, ``"half square"``, ½ Σ (ŷ − y)² (3.7), or ``"cross
            entropy"``, −Σ y ln ŷ (3.3).
        reduction: ``"mean"`` or ``"sum"`` over the batch.
        rate: η.
    """
    exact = all(layer.f in RATIONAL for layer in layers) and loss == "half square"
    layers, x, y, rate = (numbers(item, exact) for item in (layers, x, y, rate))
    n, depth = len(x), len(layers)
    share = {"mean": _number(Fraction(1, n), exact), "sum": 1}[reduction]
    value, slope = LOSSES[loss]

    z: list[Matrix] = [[]]
    a: list[Matrix] = [x]
    for layer in layers:
        z.append([_plus(apply(layer.W, v), layer.b) for v in a[-1]])
        a.append([FUNCTIONS[layer.f].value(v) for v in z[-1]])

    arriving = [[share * g for g in slope(p, t)] for p, t in zip(a[-1], y)]
    delta: list[Matrix] = [[]] * (depth + 1)
    for k in range(depth, 0, -1):
        layer = layers[k - 1]
        pulled = zip(z[k], arriving, strict=True)
        delta[k] = [FUNCTIONS[layer.f].pull(v, g) for v, g in pulled]
        arriving = [apply(transposed(layer.W), d) for d in delta[k]]

    dW: list[Matrix] = [[]]
    db: list[Vector] = [[]]
    for k in range(1, depth + 1):
        outer = [[[d * v for v in p] for d in ds] for ds, p in zip(delta[k], a[k - 1])]
        dW.append(_sum(outer))
        db.append(_sum(delta[k]))
    updated = [
        Layer(_less(layer.W, rate, dW[k]), _less(layer.b, rate, db[k]), layer.f)
        for k, layer in enumerate(layers, 1)
    ]
    losses = [share * value(p, t) for p, t in zip(a[-1], y, strict=True)]
    return Step(z, a, delta, dW, db, _total(losses), updated)


def descend(layers: Sequence[Layer], *data: Any, **options: Any) -> Iterator[Step]:
    """Algorithm 1, step after step with the same batch: see :func:`work`."""
    while True:
        step = work(layers, *data, **options)
        yield step
        layers = step.updated


# -- activation functions --------------------------------------------------------------


class Elementwise:
    """f and f′ of one number."""

    def __init__(self, f: Any, slope: Any) -> None:
        self.f, self.slope = f, slope

    def value(self, z: Vector) -> Vector:
        return [self.f(v) for v in z]

    def pull(self, z: Vector, g: Vector) -> Vector:
        """Jᵀ g, which is g ⊙ f′(z)."""
        return [d * self.slope(v) for d, v in zip(g, z, strict=True)]


class Softmax:
    """eᶻⁱ / Σ eᶻʲ, whose Jacobian is full: ∂ŷⱼ/∂zᵢ = ŷⱼ ([i = j] − ŷᵢ)."""

    def value(self, z: Vector) -> Vector:
        powers = [DIGITS.exp(v) for v in z]
        return [p / _total(powers) for p in powers]

    def pull(self, z: Vector, g: Vector) -> Vector:
        p = self.value(z)
        return [
            _total([g[j] * p[j] * ((i == j) - p[i]) for j in range(len(p))])
            for i in range(len(p))
        ]


def _sigmoid(v: Any) -> Any:
    return 1 / (1 + DIGITS.exp(-v))


def _tanh(v: Any) -> Any:
    up, down = DIGITS.exp(v), DIGITS.exp(-v)
    return (up - down) / (up + down)


FUNCTIONS: dict[str, Any] = {
    "linear": Elementwise(lambda v: v, lambda v: 1),
    "relu": Elementwise(lambda v: max(v, 0 * v), lambda v: int(v > 0)),
    "sigmoid": Elementwise(_sigmoid, lambda v: _sigmoid(v) * (1 - _sigmoid(v))),
    "tanh": Elementwise(_tanh, lambda v: 1 - _tanh(v) ** 2),
    "softmax": Softmax(),
}
#: Those that make fractions of fractions.
RATIONAL = ("linear", "relu")

#: Name → the loss of a sample and ∇_ŷ of it, from the prediction and the truth.
LOSSES: dict[str, tuple[Any, Any]] = {
    "half square": (
        lambda p, y: _total([(u - v) ** 2 for u, v in zip(p, y, strict=True)]) / 2,
        lambda p, y: [u - v for u, v in zip(p, y, strict=True)],
    ),
    "cross entropy": (
        lambda p, y: -_total([v * DIGITS.log(u) for u, v in zip(p, y, strict=True)]),
        lambda p, y: [-v / u for u, v in zip(p, y, strict=True)],
    ),
}


# -- arithmetic on lists ---------------------------------------------------------------


def _number(item: Any, exact: bool) -> Any:
    """A fraction, or 50 digits of it."""
    if isinstance(item, DIGITS.mpf):
        return item
    fraction = Fraction(item)
    if exact:
        return fraction
    return DIGITS.mpf(fraction.numerator) / fraction.denominator


def numbers(item: Any, exact: bool) -> Any:
    """The numbers in lists and in layers as fractions, or with 50 digits."""
    if isinstance(item, Layer):
        return Layer(numbers(item.W, exact), numbers(item.b, exact), item.f)
    if isinstance(item, list | tuple):
        return [numbers(part, exact) for part in item]
    return _number(item, exact)


def _total(terms: Vector) -> Any:
    return sum(terms[1:], terms[0])


def apply(W: Matrix, v: Vector) -> Vector:
    """W v."""
    return [_total([w * u for w, u in zip(row, v, strict=True)]) for row in W]


def transposed(W: Matrix) -> Matrix:
    """Wᵀ; of vectors for each sample, a column for each sample."""
    return [list(column) for column in zip(*W, strict=True)]


def _plus(u: Any, v: Any) -> Any:
    if isinstance(u, list):
        return [_plus(p, q) for p, q in zip(u, v, strict=True)]
    return u + v


def _sum(parts: list[Any]) -> Any:
    """The sum of vectors, or of matrices."""
    total = parts[0]
    for part in parts[1:]:
        total = _plus(total, part)
    return total


def _less(theta: Any, rate: Any, gradient: Any) -> Any:
    """θ − η ∂ℒ/∂θ."""
    if isinstance(theta, list):
        pairs = zip(theta, gradient, strict=True)
        return [_less(t, rate, g) for t, g in pairs]
    return theta - rate * gradient


# -- held against it -------------------------------------------------------------------


def close(found: Any, expected: Any, tolerance: float = 1e-12) -> None:
    """Doubles within a tolerance of these numbers, relative to the largest of them."""
    array, wanted = np.asarray(found, np.float64), np.array(expected, object)
    assert array.shape == wanted.shape, (array.shape, wanted.shape)
    exact = [_fraction(e) for e in wanted.flat]
    allowed = Fraction(tolerance) * max(map(abs, exact), default=Fraction(0))
    for double, e in zip(array.flat, exact):
        off = abs(Fraction(float(double)) - e)
        assert off <= allowed, f"{float(double)!r}, not {float(e)!r}"


def _fraction(item: Any) -> Fraction:
    """A fraction, or 50 digits, as exactly that fraction."""
    if not isinstance(item, DIGITS.mpf):
        return Fraction(item)
    sign, mantissa, exponent, _ = item._mpf_
    return (-1) ** sign * Fraction(int(mantissa)) * Fraction(2) ** exponent
