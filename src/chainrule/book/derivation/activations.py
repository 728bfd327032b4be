r"""Activation functions as formulas: definitions, and derivatives step by step.

Each derivative is worked out from the definition and given in terms of a = f(z) where
that is shorter: σ′ = a (1 − a).

>>> from chainrule.notation.expressions import Atom
>>> z, a = Atom("z"), Atom("a")
>>> for side in ACTIVATIONS["tanh"].derived(z, a):
...     print(side)
((e^z + e^(−z))² − (e^z − e^(−z))²)/(e^z + e^(−z))²
1 − (tanh z)²
1 − a²
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from chainrule.explanation.signs import PARTIAL, PRIME
from chainrule.notation import functions as f
from chainrule.notation.arithmetic import MATRIX
from chainrule.notation.expressions import (
    PREFIX,
    Array,
    Atom,
    Call,
    Computed,
    Expr,
    Fence,
    Number,
    Prefix,
    Quotient,
    Script,
)
from chainrule.text import _, tr

IDENTITY, SOFTMAX = "identity", "softmax"
#: The slope of leaky ReLU below 0, as in the table of 2.7.
LEAK = 0.01


class Derivative(Quotient):
    """A printed derivative ∂top/∂bottom, without parentheses in a product: η ∂ℒ/∂W."""

    level: ClassVar[int] = PREFIX


@dataclass(frozen=True)
class Activation:
    """An activation function as formulas: its definition and its derivative.

    Attributes:
        name: what a network's description calls it.
        head: how it is written.
        of: f(z).
        meaning: f(z) written out; None where ``of`` does that.
        derived: f′(z), one way after the other; the last one is the shortest.
        slope: f′(z) from z alone.
        why: the sentence that goes with ``derived``.
        module: the class of ``chainrule.nn``, with which arguments.
        others: further names.
    """

    name: str
    head: Expr
    of: Callable[[Expr], Expr]
    meaning: Callable[[Expr], Expr] | None
    derived: Callable[[Expr, Expr], tuple[Expr, ...]]
    slope: Callable[[Expr], Expr]
    why: Callable[[], str]
    module: str
    others: tuple[str, ...] = ()

    def shortest(self, z: Expr, a: Expr) -> Expr:
        """Return the shortest formula of an activation function's derivative f′(z)."""
        return self.derived(z, a)[-1]


def prime(head: Expr, z: Expr) -> Expr:
    """Return the symbol f′(z) for the derivative of an activation function f."""
    below = head.below if isinstance(head, Script) else None
    base = head.base if isinstance(head, Script) else head
    return Call(Script(base, PRIME, below), (z,))


def partial(top: Expr, bottom: Expr) -> Expr:
    """Return the partial derivative ∂top/∂bottom as an expression."""
    above, below = (Prefix(PARTIAL, e, "tight") for e in (top, bottom))
    return Derivative(above, below, bar=True)


def _sigmoid_derived(z: Expr, a: Expr) -> tuple[Expr, ...]:
    e, s = f.exp(-z), f.sigmoid(z)
    return f.fraction(e, (1 + e) ** 2), s * (1 - s), a * (1 - a)


def _tanh_of(z: Expr) -> Expr:
    return f.fraction(f.exp(z) - f.exp(-z), f.exp(z) + f.exp(-z))


def _tanh_derived(z: Expr, a: Expr) -> tuple[Expr, ...]:
    top, bottom = f.exp(z) - f.exp(-z), f.exp(z) + f.exp(-z)
    whole = f.fraction(bottom**2 - top**2, bottom**2)
    return whole, 1 - f.tanh(z) ** 2, 1 - a**2


def _above_zero(z: Expr) -> Expr:
    return f.bracket(f.greater(z, 0))


def _leaky_slope(z: Expr) -> Expr:
    return f.choice(1, f.greater(z, 0), LEAK)


def _gelu_slope(z: Expr) -> Expr:
    return f.apply("Φ", z) + z * f.apply("φ", z)


# -- softmax, which is no function of single elements ----------------------------------


def jacobian(a: Expr) -> Expr:
    """Return the formula of softmax's Jacobian J = diag(a) − a aᵀ, for each sample."""
    shown = f.apply("diag", a) - a @ a.T
    return Computed(shown, (a,), _jacobians, ("jacobian",), MATRIX)


def _jacobians(a: Array) -> Array:
    return a[..., None] * (np.eye(a.shape[-1]) - a[..., None, :])


def by_jacobian(name: Expr, a: Expr, g: Expr) -> Expr:
    """Return the formula Jᵀ g: a gradient g through a softmax with Jacobian J."""
    return Computed(name.T @ g, (a, g), _turned_times, ("softmax",))


def _turned_times(a: Array, g: Array) -> Array:
    return np.einsum("...ij,...i->...j", _jacobians(a), g)


def _softmax_derived(z: Expr, a: Expr) -> tuple[Expr, ...]:
    """Return softmax's derivative ∂aᵢ/∂zⱼ as a formula for display only."""
    del z
    i, j = Atom("i"), Atom("j")
    same = Fence(Atom("["), f.equals(i, j), Atom("]"))
    return (f.scale(Script(a, below=i), same - Script(a, below=j)),)


def _no_slope(z: Expr) -> Expr:
    raise ArithmeticError(
        _("softmax has no slope at {z}: its derivative is a matrix", z=z)
    )


def _table() -> tuple[Activation, ...]:
    return (
        Activation(
            IDENTITY,
            f.named("identity"),
            lambda z: z,
            None,
            lambda z, a: (Number(1),),
            lambda z: Number(1),
            lambda: tr("Nothing is applied to z, and so f′ = 1."),
            "Identity",
            ("linear", "none"),
        ),
        Activation(
            "sigmoid",
            f.named("σ"),
            f.sigmoid,
            lambda z: f.fraction(1, 1 + f.exp(-z)),
            _sigmoid_derived,
            lambda z: f.sigmoid(z) * (1 - f.sigmoid(z)),
            lambda: tr(
                "By the rule for quotients; e^(−z)/(1 + e^(−z)) is 1 − σ(z). After the"
                " forward pass a = σ(z) is known, so nothing has to be exponentiated"
                " again."
            ),
            "Sigmoid",
            ("σ", "logistic"),
        ),
        Activation(
            "tanh",
            f.named("tanh"),
            f.tanh,
            _tanh_of,
            _tanh_derived,
            lambda z: 1 - f.tanh(z) ** 2,
            lambda: tr(
                "By the rule for quotients: the derivative of e^z − e^(−z) is"
                " e^z + e^(−z), and the other way round."
            ),
            "Tanh",
        ),
        Activation(
            "relu",
            f.named("ReLU"),
            lambda z: f.apply("max", z, 0),
            None,
            lambda z, a: (_above_zero(z),),
            _above_zero,
            lambda: tr(
                "The slope is 1 where z > 0 and 0 where z < 0. At z = 0 there is none;"
                " 0 is taken by convention. [z > 0] is 1 where it holds, else 0."
            ),
            "ReLU",
        ),
        Activation(
            "leakyrelu",
            f.named("LeakyReLU"),
            lambda z: f.choice(z, f.greater(z, 0), f.scale(Number(LEAK), z)),
            None,
            lambda z, a: (_leaky_slope(z),),
            _leaky_slope,
            lambda: tr(
                "The slope is 1 where z > 0 and {leak} where z < 0, and {leak} at z = 0"
                " by convention: the error never vanishes altogether.",
                leak=LEAK,
            ),
            "LeakyReLU",
            ("leaky_relu", "lrelu", "leaky"),
        ),
        Activation(
            "gelu",
            f.named("GELU"),
            lambda z: z * f.apply("Φ", z),
            None,
            lambda z, a: (_gelu_slope(z),),
            _gelu_slope,
            lambda: tr(
                "By the rule for products. Φ is the distribution function of the"
                " standard normal distribution, and its derivative φ is the density"
                " e^(−z²/2)/√(2π)."
            ),
            "GELU",
        ),
        Activation(
            SOFTMAX,
            f.named("softmax"),
            lambda z: f.softmax(z, -1),
            None,
            _softmax_derived,
            _no_slope,
            lambda: tr(
                "Every aᵢ depends on every zⱼ, so the derivative is a matrix J and no"
                " slope: ∂aᵢ/∂zᵢ = aᵢ (1 − aᵢ), and ∂aᵢ/∂zⱼ = −aᵢ aⱼ where j ≠ i."
            ),
            "Softmax",
        ),
    )


#: By name.
ACTIVATIONS: dict[str, Activation] = {row.name: row for row in _table()}
#: Every name, and which function it means.
NAMES: dict[str, str] = {
    name: row.name for row in ACTIVATIONS.values() for name in (row.name, *row.others)
}
