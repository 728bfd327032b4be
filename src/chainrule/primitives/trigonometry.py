"""Primitives on angles in radians: sine, cosine and the angle of a point (atan2)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import notation as write
from chainrule.graph.declare import declare
from chainrule.graph.node import Array, Value
from chainrule.graph.primitive import Case
from chainrule.primitives.elementwise import (
    abs_,
    add,
    div,
    equal,
    less,
    mul,
    neg,
    round_,
    sub,
    where,
)
from chainrule.primitives.movement import full_like
from chainrule.primitives.rules import elementwise, examples, same
from chainrule.text import _

_ANGLE: Any = {
    "source": "Abramowitz & Stegun, Handbook of Mathematical Functions, 4.3–4.4",
    "cases": (*examples(1), Case(("f[31]",), ranges=((-1e4, 1e4),))),
}
sin = elementwise(
    np.sin,
    lambda g, y, x: mul(g, cos(x)),
    formula=lambda x: write.prefixed("sin", x),
    **_ANGLE,
)
cos = elementwise(
    np.cos,
    lambda g, y, x: neg(mul(g, sin(x))),
    formula=lambda x: write.prefixed("cos", x),
    **_ANGLE,
)


def _turned(v: Value) -> Value:
    whole = less(full_like(v, 1.0), abs_(v))
    return mul(full_like(v, 2 * math.pi), where(whole, sub(v, round_(v)), v))


@declare(
    rule=same("cos_turn", 1, only="floats"),
    vjp=(lambda g, y, v: neg(mul(g, mul(full_like(v, 2 * math.pi), sin(_turned(v))))),),
    formula=lambda v: write.prefixed("cos", 2 * write.PI * v),
    source="Box & Muller 1958: the cosine of a share of a turn",
    elementwise=True,
    cases=examples(1),
)
def cos_turn(v: Array) -> Array:
    share = np.where(np.abs(v) > 1, v - np.rint(v), v)  # of whole turns nothing is left
    return np.cos(v.dtype.type(2 * math.pi) * share)


def _partials(y: Value, x: Value) -> tuple[Value, Value]:
    """Return the derivatives of atan2, x/(x² + y²) and y/(x² + y²), without overflow.

    With t the smaller of the two by the larger, d = larger + t · smaller divides both.
    """
    zero, one = full_like(x, 0.0), full_like(x, 1.0)
    swap = less(abs_(x), abs_(y))
    large, small = where(swap, y, x), where(swap, x, y)
    origin = equal(large, zero)
    large = where(origin, one, large)
    t = div(small, large)
    unit = where(origin, zero, one)
    d = add(large, mul(small, t))
    return div(where(swap, t, unit), d), div(where(swap, unit, t), d)


atan2 = elementwise(
    np.arctan2,
    lambda g, angle, y, x: mul(g, _partials(y, x)[0]),
    lambda g, angle, y, x: neg(mul(g, _partials(y, x)[1])),
    name="atan2",
    formula=lambda y, x: write.apply("atan2", y, x),
    source="C99, F.9.1.4: the angle of the point (x, y), from −π to π",
    kinks=_(
        "the half-axis y = 0, x < 0, where the angle jumps; the origin, where the "
        "derivatives are taken as 0"
    ),
)
