"""Division with a remainder, bits and shifts, element by element.

What processors disagree about is defined: an integer divided by zero gives 0 and leaves
0, the smallest integer divided by −1 is itself, and a shift by no number of bits that
the type has (or a negative one) pushes all of them out.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.graph.build import declare
from chainrule.graph.primitive import Case
from chainrule.graph.types import ArrayType
from chainrule.primitives.elementwise import mul, neg
from chainrule.primitives.movement import full_like
from chainrule.primitives.rules import need_integer, same

_SIZES = ("", "0", "7", "2,3", "131")
_NUMBERS = tuple(Case((f"f[{s}]",) * 2) for s in _SIZES)
_ANY = (-math.inf, math.inf)

floor_divide = declare(
    "floor_divide",
    rule=same("floor_divide", 2, numbers=True),
    reference=np.floor_divide,
    vjp=(lambda g, y, a, b: full_like(a, 0.0), lambda g, y, a, b: full_like(b, 0.0)),
    formula=r"\lfloor {0} / {1} \rfloor",
    source="Knuth, The Art of Computer Programming, vol. 1, 1.2.4; 0 by zero",
    domain=(_ANY, (0.0, math.inf)),
    kinks="whole quotients, where the derivatives are taken as 0",
    elementwise=True,
    cases=(*_NUMBERS, Case(("i32[40]", "i32[40]"), ranges=((-9, 9), (1, 5)))),
)

remainder = declare(
    "remainder",
    rule=same("remainder", 2, numbers=True),
    reference=np.remainder,
    vjp=(lambda g, y, a, b: g, lambda g, y, a, b: neg(mul(g, floor_divide(a, b)))),
    formula=r"\operatorname{{remainder}}({0}, {1})",
    source=(
        "Knuth, The Art of Computer Programming, vol. 1, 1.2.4:"
        " the sign is the divisor's; 0 by zero for integers"
    ),
    domain=(_ANY, (0.0, math.inf)),
    kinks="whole quotients, where the derivatives are those from above",
    elementwise=True,
    cases=(*_NUMBERS, Case(("i32[40]", "i32[40]"), ranges=((-9, 9), (1, 5)))),
)


def _bits(count: int) -> tuple[Case, ...]:
    shapes = ("bool[7]", "bool[]", "i32[2,3]", "u8[131]", "i64[0]")
    return tuple(Case((shape,) * count) for shape in shapes)


bitwise_and = declare(
    "bitwise_and",
    rule=same("bitwise_and", 2, bits=True),
    reference=np.bitwise_and,
    formula=r"\operatorname{{and}}({0}, {1})",
    source="bit by bit; truth values are one bit",
    elementwise=True,
    cases=_bits(2),
)

bitwise_or = declare(
    "bitwise_or",
    rule=same("bitwise_or", 2, bits=True),
    reference=np.bitwise_or,
    formula=r"\operatorname{{or}}({0}, {1})",
    source="bit by bit; truth values are one bit",
    elementwise=True,
    cases=_bits(2),
)

bitwise_xor = declare(
    "bitwise_xor",
    rule=same("bitwise_xor", 2, bits=True),
    reference=np.bitwise_xor,
    formula=r"\operatorname{{xor}}({0}, {1})",
    source="bit by bit; truth values are one bit",
    elementwise=True,
    cases=_bits(2),
)

bitwise_not = declare(
    "bitwise_not",
    rule=same("bitwise_not", 1, bits=True),
    reference=np.bitwise_not,
    formula=r"\operatorname{{not}}({0})",
    source="bit by bit; truth values are one bit",
    elementwise=True,
    cases=_bits(1),
)


def _shift_rule(name: str) -> Any:
    alike = same(name, 2)

    def rule(*types: ArrayType) -> ArrayType:
        made = alike(*types)
        need_integer(name, "operands", made.dtype)
        return made

    return rule


_SHIFTS = (
    Case(("u32[5]", "u32[5]"), ranges=(None, (0, 32))),
    Case(("u8[2,3]", "u8[2,3]"), ranges=(None, (0, 12))),
    Case(("i32[9]", "i32[9]"), ranges=(None, (-3, 40))),
    Case(("i64[]", "i64[]"), ranges=(None, (0, 64))),
    Case(("i16[0]", "i16[0]")),
)

shift_left = declare(
    "shift_left",
    rule=_shift_rule("shift_left"),
    reference=np.left_shift,
    formula="{0} 2^{{{1}}}",
    source="multiplication by a power of two, modulo the type's range",
    elementwise=True,
    cases=_SHIFTS,
)

shift_right = declare(
    "shift_right",
    rule=_shift_rule("shift_right"),
    reference=np.right_shift,
    formula=r"\lfloor {0} / 2^{{{1}}} \rfloor",
    source="floor of the quotient by a power of two",
    elementwise=True,
    cases=_SHIFTS,
)
