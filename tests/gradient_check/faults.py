"""Faults to plant in functions, each a throw-away primitive or an honest mistake."""

from __future__ import annotations

from typing import Any

import numpy as np

import chainrule as cr
from chainrule.graph.declare import declare
from chainrule.graph.node import Value
from chainrule.primitives.elementwise import mul
from chainrule.primitives.movement import full_like
from chainrule.primitives.rules import same
from chainrule.tensor import wrap

#: What the rule of ``crooked`` gives is so many times what it should be.
TOO_MUCH = 1.01


def _steep(number: float) -> Any:
    return lambda g, y, x: mul(g, full_like(x, 3.0 * number))


#: y = 3x, with a rule that is a hundredth too steep.
@declare(rule=same("crooked", 1), vjp=(_steep(TOO_MUCH),), internal=True)
def crooked(x: np.ndarray) -> np.ndarray:
    return 3.0 * x


def _sign(x: Value) -> Value:
    return wrap(x).sign().value


#: y = |x|, which declares its kink.
@declare(
    rule=same("folded", 1),
    vjp=(lambda g, y, x: mul(g, _sign(x)),),
    kinks="x = 0, where the derivative is taken as 0",
    elementwise=True,
    internal=True,
)
def folded(x: np.ndarray) -> np.ndarray:
    return np.abs(x)


#: y = xᵀ: its rule gives a cotangent of the wrong shape.
@declare(
    rule=lambda x: type(x)(x.shape[::-1], x.dtype),
    vjp=(lambda g, y, x: g,),
    internal=True,
)
def turned(x: np.ndarray) -> np.ndarray:
    return x.T


#: y = x², without a rule.
@declare(rule=same("unruled", 1), internal=True)
def unruled(x: np.ndarray) -> np.ndarray:
    return x * x


#: √x, and 0 for x ≤ 0: its rule divides by 0 there.
@declare(
    rule=same("dug", 1),
    vjp=(lambda g, y, x: (wrap(g) * 0.5 / wrap(y)).value,),
    elementwise=True,
    internal=True,
)
def dug(x: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(x, 0.0))


def applied(primitive: Any, x: cr.Tensor) -> cr.Tensor:
    """A primitive applied to a tensor."""
    return wrap(primitive(x.value))
