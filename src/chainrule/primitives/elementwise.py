"""Primitives that work element by element.

Each declaration holds everything about its operation. Derivative rules read
``(g, y, inputs…)``: g is ∂ℒ/∂y, and the result is ∂ℒ/∂input.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.errors import DTypeError
from chainrule.graph.build import declare
from chainrule.graph.node import Array, Value
from chainrule.graph.primitive import Case
from chainrule.graph.types import ArrayType, DType
from chainrule.primitives import error_function
from chainrule.primitives.movement import full_like
from chainrule.primitives.rules import same

_CALCULUS = "Abramowitz & Stegun, Handbook of Mathematical Functions, ch. 3–4"
_ANY = (-math.inf, math.inf)
_UNARY = tuple(Case((f"f[{s}]",)) for s in ("", "0", "1", "7", "2,3", "5,1,4", "1031"))
_BINARY = tuple(Case(c.inputs * 2) for c in _UNARY)


def _where_positive(condition: Value, g: Value) -> Value:
    return where(condition, g, full_like(g, 0.0))


def _where_not(condition: Value, g: Value) -> Value:
    return where(condition, full_like(g, 0.0), g)


add = declare(
    "add",
    rule=same("add", 2),
    reference=np.add,
    vjp=(lambda g, y, a, b: g, lambda g, y, a, b: g),
    formula="{0} + {1}",
    source=_CALCULUS,
    linear=True,
    elementwise=True,
    cases=_BINARY,
)

sub = declare(
    "sub",
    rule=same("sub", 2, numbers=True),
    reference=np.subtract,
    vjp=(lambda g, y, a, b: g, lambda g, y, a, b: neg(g)),
    formula="{0} - {1}",
    source=_CALCULUS,
    linear=True,
    elementwise=True,
    cases=_BINARY,
)

mul = declare(
    "mul",
    rule=same("mul", 2),
    reference=np.multiply,
    vjp=(lambda g, y, a, b: mul(g, b), lambda g, y, a, b: mul(a, g)),
    formula=r"{0} \odot {1}",
    source=_CALCULUS,
    elementwise=True,
    cases=_BINARY,
)

div = declare(
    "div",
    rule=same("div", 2, floating=True),
    reference=np.divide,
    vjp=(lambda g, y, a, b: div(g, b), lambda g, y, a, b: neg(div(mul(g, y), b))),
    formula=r"{0} / {1}",
    source=_CALCULUS,
    domain=(_ANY, (0.0, math.inf)),
    elementwise=True,
    cases=_BINARY,
)

neg = declare(
    "neg",
    rule=same("neg", 1, numbers=True),
    reference=np.negative,
    vjp=(lambda g, y, x: neg(g),),
    formula="-{0}",
    source=_CALCULUS,
    linear=True,
    elementwise=True,
    cases=_UNARY,
)

exp = declare(
    "exp",
    rule=same("exp", 1, floating=True),
    reference=np.exp,
    vjp=(lambda g, y, x: mul(g, y),),
    formula="e^{{{0}}}",
    source=_CALCULUS,
    elementwise=True,
    cases=_UNARY,
)

log = declare(
    "log",
    rule=same("log", 1, floating=True),
    reference=np.log,
    vjp=(lambda g, y, x: div(g, x),),
    formula=r"\ln {0}",
    source=_CALCULUS,
    domain=((0.0, math.inf),),
    elementwise=True,
    cases=_UNARY,
)

log1p = declare(
    "log1p",
    rule=same("log1p", 1, floating=True),
    reference=np.log1p,
    vjp=(lambda g, y, x: div(g, add(full_like(x, 1.0), x)),),
    formula=r"\ln(1 + {0})",
    source=_CALCULUS,
    domain=((-1.0, math.inf),),
    elementwise=True,
    cases=_UNARY,
)

expm1 = declare(
    "expm1",
    rule=same("expm1", 1, floating=True),
    reference=np.expm1,
    vjp=(lambda g, y, x: mul(g, exp(x)),),
    formula="(e^{{{0}}} - 1)",
    source=_CALCULUS,
    elementwise=True,
    cases=_UNARY,
)

tanh = declare(
    "tanh",
    rule=same("tanh", 1, floating=True),
    reference=np.tanh,
    vjp=(lambda g, y, x: mul(g, sub(full_like(y, 1.0), mul(y, y))),),
    formula=r"\tanh {0}",
    source=_CALCULUS,
    elementwise=True,
    cases=_UNARY,
)


def _gauss(x: Value) -> Value:
    """erf′(x) = 2/√π e^(−x²)."""
    return mul(full_like(x, 2 / math.sqrt(math.pi)), exp(neg(mul(x, x))))


erf = declare(
    "erf",
    rule=same("erf", 1, floating=True),
    reference=error_function.erf,
    vjp=(lambda g, y, x: mul(g, _gauss(x)),),
    formula=r"\operatorname{{erf}} {0}",
    source="Abramowitz & Stegun, Handbook of Mathematical Functions, 7.1.1",
    elementwise=True,
    cases=_UNARY,
)

sqrt = declare(
    "sqrt",
    rule=same("sqrt", 1, floating=True),
    reference=np.sqrt,
    vjp=(lambda g, y, x: div(mul(g, full_like(y, 0.5)), y),),
    formula=r"\sqrt{{{0}}}",
    source=_CALCULUS,
    domain=((0.0, math.inf),),
    elementwise=True,
    cases=_UNARY,
)

abs_ = declare(
    "abs",
    rule=same("abs", 1),
    reference=np.abs,
    vjp=(lambda g, y, x: mul(g, sign(x)),),
    formula="|{0}|",
    source=_CALCULUS,
    kinks="x = 0, where the derivative is taken as 0",
    elementwise=True,
    cases=_UNARY,
)

sign = declare(
    "sign",
    rule=same("sign", 1, numbers=True),
    reference=np.sign,
    vjp=(lambda g, y, x: full_like(x, 0.0),),
    formula=r"\operatorname{{sign}} {0}",
    source=_CALCULUS,
    kinks="x = 0, where the derivative is taken as 0",
    elementwise=True,
    cases=_UNARY,
)

maximum = declare(
    "maximum",
    rule=same("maximum", 2),
    reference=np.maximum,
    vjp=(
        lambda g, y, a, b: _where_positive(less(b, a), g),
        lambda g, y, a, b: _where_not(less(b, a), g),
    ),
    formula=r"\max({0}, {1})",
    source="Glorot, Bordes & Bengio 2011 (ReLU); subgradient by declaration",
    kinks="a = b, where the whole derivative goes to b: so ReLU′(0) = 0",
    elementwise=True,
    cases=_BINARY,
)

minimum = declare(
    "minimum",
    rule=same("minimum", 2),
    reference=np.minimum,
    vjp=(
        lambda g, y, a, b: _where_positive(less(a, b), g),
        lambda g, y, a, b: _where_not(less(a, b), g),
    ),
    formula=r"\min({0}, {1})",
    source="smaller of two, NaN where one is; subgradient by declaration",
    kinks="a = b, where the whole derivative goes to b",
    elementwise=True,
    cases=_BINARY,
)

less = declare(
    "less",
    rule=same("less", 2, result=DType.bool),
    reference=np.less,
    formula="[{0} < {1}]",
    source="Iverson bracket",
    elementwise=True,
    cases=_BINARY,
)

equal = declare(
    "equal",
    rule=same("equal", 2, result=DType.bool),
    reference=np.equal,
    formula="[{0} = {1}]",
    source="Iverson bracket",
    elementwise=True,
    cases=_BINARY,
)


def _where_rule(condition: ArrayType, a: ArrayType, b: ArrayType) -> ArrayType:
    if condition.dtype is not DType.bool:
        raise DTypeError(
            "where selects by truth values.",
            expected="bool",
            got=condition.dtype.name,
            fix="compare first, for example less(a, b)",
        )
    same("where", 2)(a, ArrayType(condition.shape, a.dtype))
    return same("where", 2)(a, b)


where = declare(
    "where",
    rule=_where_rule,
    reference=np.where,
    vjp=(
        None,
        lambda g, y, c, a, b: _where_positive(c, g),
        lambda g, y, c, a, b: _where_not(c, g),
    ),
    formula=r"{1} \text{{ if }} {0} \text{{ else }} {2}",
    source="selection by a condition",
    elementwise=True,
    cases=tuple(
        Case((f"bool[{s}]", f"f[{s}]", f"f[{s}]")) for s in ("", "0", "7", "2,3")
    ),
)


isnan = declare(
    "isnan",
    rule=same("isnan", 1, floating=True, result=DType.bool),
    reference=np.isnan,
    formula=r"\operatorname{{isnan}}({0})",
    source="IEEE 754-2019, 5.7.2",
    elementwise=True,
    cases=_UNARY,
)


def _convert_rule(x: ArrayType, *, dtype: DType) -> ArrayType:
    return ArrayType(x.shape, dtype)


def _convert(x: Array, *, dtype: DType) -> Array:
    if x.dtype.kind != "f" or not dtype.is_integer:
        with np.errstate(invalid="ignore", over="ignore"):
            return x.astype(dtype.numpy)
    # Processors differ about numbers out of range: here they become the nearest
    # number in range, and NaN 0.
    limits = np.iinfo(dtype.numpy)
    with np.errstate(invalid="ignore"):
        made = x.astype(dtype.numpy)
        low, high = x <= float(limits.min), x >= float(limits.max + 1)
        odd = low | high | (x != x)
        if odd.any():
            ends = np.where(low, limits.min, np.where(high, limits.max, 0))
            made = np.where(odd, ends.astype(dtype.numpy), made)
    return made


convert = declare(
    "convert",
    rule=_convert_rule,
    reference=_convert,
    vjp=(lambda g, y, x, dtype: convert(g, dtype=x.dtype),),
    formula="{0}",
    source=(
        "IEEE 754-2019, 5.4; from floats to integers towards zero, what is out of"
        " range to the nearest end of it, NaN to 0"
    ),
    linear=True,
    elementwise=True,
    cases=(
        Case(("f[3,2]",), {"dtype": DType.float64}),
        Case(("f[7]",), {"dtype": DType.float32}),
        Case(("u8[2,5]",), {"dtype": DType.float32}),
        Case(("bool[4]",), {"dtype": DType.float64}),
        Case(("i32[4]",), {"dtype": DType.int64}),
        Case(("u32[6]",), {"dtype": DType.float32}),
        Case(("f[5]",), {"dtype": DType.int32}),
        Case(("f[5]",), {"dtype": DType.uint8}),
        Case(("f[5]",), {"dtype": DType.uint64}),
        Case(("i16[5]",), {"dtype": DType.int8}),
        Case(("u64[5]",), {"dtype": DType.float32}),
        Case(("u16[5]",), {"dtype": DType.bool}),
    ),
)


floor = declare(
    "floor",
    rule=same("floor", 1, floating=True),
    reference=np.floor,
    vjp=(lambda g, y, x: full_like(x, 0.0),),
    formula=r"\lfloor {0} \rfloor",
    source="largest integer not above",
    kinks="integers, where the derivative is taken as 0",
    elementwise=True,
    cases=_UNARY,
)

round_ = declare(
    "round",
    rule=same("round", 1, floating=True),
    reference=np.rint,
    vjp=(lambda g, y, x: full_like(x, 0.0),),
    formula=r"\operatorname{{round}} {0}",
    source="nearest integer, the even one of two (IEEE 754-2019, 5.9)",
    kinks="halves, where the derivative is taken as 0",
    elementwise=True,
    cases=_UNARY,
)

copysign = declare(
    "copysign",
    rule=same("copysign", 2, floating=True),
    reference=np.copysign,
    vjp=(
        lambda g, y, x, s: mul(g, mul(sign(x), copysign(full_like(s, 1.0), s))),
        lambda g, y, x, s: full_like(s, 0.0),
    ),
    formula=r"|{0}| \operatorname{{sign}} {1}",
    source="IEEE 754-2019, 5.5.1: the sign of −0 counts",
    kinks="x = 0 and s = 0, where the derivatives are taken as 0",
    elementwise=True,
    cases=_BINARY,
)

nextafter = declare(
    "nextafter",
    rule=same("nextafter", 2, floating=True),
    reference=np.nextafter,
    vjp=(lambda g, y, x, to: g, lambda g, y, x, to: full_like(to, 0.0)),
    formula=r"\operatorname{{nextafter}}({0}, {1})",
    source="C99, 7.12.11.3: the next number on the way to another",
    kinks="x = y; the derivative is that of x",
    elementwise=True,
    cases=_BINARY,
)


def _pow(x: Array, p: Array) -> Array:
    if x.dtype.kind == "f":
        return np.power(x, p)
    if x.dtype.kind == "u":
        return np.power(x, p)
    # NumPy refuses negative exponents of integers; here they round towards zero.
    made = np.power(x, np.maximum(p, 0))
    odd = np.where(p & 1, x, 1)
    return np.where(p < 0, np.where(np.abs(x) == 1, odd, 0), made).astype(x.dtype)


def _pow_x(g: Value, y: Value, x: Value, p: Value) -> Value:
    """p x^(p−1); the exponent 0 in place of −1 makes p = 0 give 0 at every x."""
    one, zero = full_like(p, 1.0), full_like(p, 0.0)
    q = where(equal(p, zero), zero, sub(p, one))
    return mul(g, mul(p, pow_(x, q)))


def _pow_p(g: Value, y: Value, x: Value, p: Value) -> Value:
    """x^p ln x; where x = 0 and p ≥ 0 the logarithm of 1 makes it 0."""
    one, zero = full_like(x, 1.0), full_like(x, 0.0)
    base = where(equal(x, zero), where(less(p, zero), x, one), x)
    return mul(g, mul(y, log(base)))


pow_ = declare(
    "pow",
    rule=same("pow", 2, numbers=True),
    reference=_pow,
    vjp=(_pow_x, _pow_p),
    formula="{0}^{{{1}}}",
    source=(
        "C99, F.9.4.4; integers wrap, and a negative exponent of theirs rounds"
        " towards zero (0 at 0)"
    ),
    domain=((0.0, math.inf), _ANY),
    elementwise=True,
    cases=(*_BINARY, Case(("f[6]", "f[6]"), ranges=((0.5, 30.0), (-3.0, 5.0)))),
)


def greater(a: Value, b: Value) -> Any:
    """[a > b], which is [b < a]."""
    return less(b, a)
