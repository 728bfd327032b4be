"""Primitives on integer arrays: division with remainder, bit operations, shifts.

What processors disagree about is defined: an integer divided by zero gives 0 and leaves
0, the smallest integer divided by −1 is itself, and a shift by no number of bits that
the type has (or a negative one) pushes all of them out.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule import notation as write
from chainrule.graph.declare import Operation
from chainrule.graph.primitive import Case, Formula
from chainrule.primitives.elementwise import mul, neg
from chainrule.primitives.movement import full_like
from chainrule.primitives.rules import elementwise, examples
from chainrule.text import _

_NOT_ZERO = ((-math.inf, math.inf), (0.0, math.inf))
_QUOTIENTS = (*examples(2), Case(("i32[40]", "i32[40]"), ranges=((-9, 9), (1, 5))))

floor_divide = elementwise(
    np.floor_divide,
    lambda g, y, a, b: full_like(a, 0.0),
    lambda g, y, a, b: full_like(b, 0.0),
    only="numbers",
    formula=lambda a, b: write.floor(a / b),
    source="Knuth, The Art of Computer Programming, vol. 1, 1.2.4; 0 by zero",
    domain=_NOT_ZERO,
    kinks=_("whole quotients, where the derivatives are taken as 0"),
    cases=_QUOTIENTS,
)

remainder = elementwise(
    np.remainder,
    lambda g, y, a, b: g,
    lambda g, y, a, b: neg(mul(g, floor_divide(a, b))),
    only="numbers",
    formula=lambda a, b: write.operated("mod", a, b),
    source="Knuth, The Art of Computer Programming, vol. 1, 1.2.4:"
    " the sign is the divisor's; 0 by zero for integers",
    domain=_NOT_ZERO,
    kinks=_("whole quotients, where the derivatives are those from above"),
    cases=_QUOTIENTS,
)

gcd = elementwise(
    np.gcd,
    only="integers",
    shown=lambda a, b: write.apply("gcd", a, b),
    source="Euclid, Elements VII.2; 0 of two zeros",
    cases=tuple(Case((t, t)) for t in ("i32[40]", "u8[2,3]", "i64[]", "i8[300]")),
)


def _bitwise(reference: np.ufunc, shown: Formula) -> Operation:
    shapes = ("bool[7]", "bool[]", "i32[2,3]", "u8[131]", "i64[0]")
    return elementwise(
        reference,
        name=reference.__name__.replace("invert", "bitwise_not"),
        only="bits",
        shown=shown,
        source="bit by bit; truth values are one bit",
        cases=tuple(Case((shape,) * reference.nin) for shape in shapes),
    )


bitwise_and = _bitwise(np.bitwise_and, lambda a, b: write.operated("and", a, b))
bitwise_or = _bitwise(np.bitwise_or, lambda a, b: write.operated("or", a, b))
bitwise_xor = _bitwise(np.bitwise_xor, lambda a, b: write.operated("xor", a, b))
bitwise_not = _bitwise(np.bitwise_not, lambda x: write.negated(x))


_SHIFTS = (
    Case(("u32[5]", "u32[5]"), ranges=(None, (0, 32))),
    Case(("u8[2,3]", "u8[2,3]"), ranges=(None, (0, 12))),
    Case(("i32[9]", "i32[9]"), ranges=(None, (-3, 40))),
    Case(("i64[]", "i64[]"), ranges=(None, (0, 64))),
    Case(("i16[0]", "i16[0]")),
)

shift_left = elementwise(
    np.left_shift,
    name="shift_left",
    only="integers",
    shown=lambda x, n: write.scale(x, write.as_expr(2) ** n),
    source="multiplication by a power of two, modulo the type's range",
    cases=_SHIFTS,
)

shift_right = elementwise(
    np.right_shift,
    name="shift_right",
    only="integers",
    shown=lambda x, n: write.floor(x / write.as_expr(2) ** n),
    source="floor of the quotient by a power of two",
    cases=_SHIFTS,
)
