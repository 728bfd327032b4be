"""Elementwise primitives of the graph: arithmetic, comparisons, functions like exp.

Each declaration holds everything about its operation. Derivative rules read
``(g, y, inputs…)``: g is ∂ℒ/∂y, and the result is ∂ℒ/∂input.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import notation as write
from chainrule.errors import DTypeError
from chainrule.graph.declare import declare
from chainrule.graph.node import Array, Value
from chainrule.graph.primitive import Case
from chainrule.graph.types import ArrayType, DType, dtype_of
from chainrule.primitives import error_function
from chainrule.primitives.movement import full_like
from chainrule.primitives.rules import elementwise, examples, same
from chainrule.text import _

_ANY = (-math.inf, math.inf)


def _where_positive(condition: Value, g: Value) -> Value:
    return where(condition, g, full_like(g, 0.0))


def _where_not(condition: Value, g: Value) -> Value:
    return where(condition, full_like(g, 0.0), g)


add = elementwise(
    np.add,
    lambda g, y, a, b: g,
    lambda g, y, a, b: g,
    only=None,
    formula=lambda a, b: a + b,
    linear=True,
)

sub = elementwise(
    np.subtract,
    lambda g, y, a, b: g,
    lambda g, y, a, b: neg(g),
    name="sub",
    only="numbers",
    formula=lambda a, b: a - b,
    linear=True,
)

mul = elementwise(
    np.multiply,
    lambda g, y, a, b: mul(g, b),
    lambda g, y, a, b: mul(a, g),
    name="mul",
    only=None,
    formula=lambda a, b: a * b,
)

div = elementwise(
    np.divide,
    lambda g, y, a, b: div(g, b),
    lambda g, y, a, b: neg(div(mul(g, y), b)),
    name="div",
    formula=lambda a, b: a / b,
    domain=(_ANY, (0.0, math.inf)),
)

neg = elementwise(
    np.negative,
    lambda g, y, x: neg(g),
    name="neg",
    only="numbers",
    formula=lambda x: -x,
    linear=True,
)

exp = elementwise(np.exp, lambda g, y, x: mul(g, y), formula=lambda x: write.exp(x))

log = elementwise(
    np.log,
    lambda g, y, x: div(g, x),
    formula=lambda x: write.ln(x),
    domain=((0.0, math.inf),),
)

log1p = elementwise(
    np.log1p,
    lambda g, y, x: div(g, add(full_like(x, 1.0), x)),
    formula=lambda x: write.ln(1 + x),
    domain=((-1.0, math.inf),),
)

expm1 = elementwise(
    np.expm1,
    lambda g, y, x: mul(g, exp(x)),
    formula=lambda x: write.exp(x) - 1,
)

tanh = elementwise(
    np.tanh,
    lambda g, y, x: mul(g, sub(full_like(y, 1.0), mul(y, y))),
    formula=lambda x: write.tanh(x),
)


def _sigmoid(x: Array) -> Array:
    e = np.exp(np.copysign(x, -1.0))
    return np.where(x < 0.0, e, 1.0) / (e + 1.0)


sigmoid = elementwise(
    _sigmoid,
    lambda g, y, x: mul(g, mul(y, sub(full_like(y, 1.0), y))),
    name="sigmoid",
    inputs=1,
    formula=lambda x: write.sigmoid(x),
    source="textbook 2.7; σ(x) = 1/(1+e⁻ˣ), with e^(−|x|) so that nothing overflows",
)


def _gauss(x: Value) -> Value:
    """Return the derivative of the error function: erf′(x) = 2/√π e^(−x²)."""
    return mul(full_like(x, 2 / math.sqrt(math.pi)), exp(neg(mul(x, x))))


erf = elementwise(
    error_function.erf,
    lambda g, y, x: mul(g, _gauss(x)),
    inputs=1,
    formula=lambda x: write.prefixed("erf", x),
    source="Abramowitz & Stegun, Handbook of Mathematical Functions, 7.1.1",
)

erfc = elementwise(
    error_function.erfc,
    lambda g, y, x: neg(mul(g, _gauss(x))),
    inputs=1,
    formula=lambda x: write.prefixed("erfc", x),
    source="Abramowitz & Stegun, Handbook of Mathematical Functions, 7.1.2",
    cases=(*examples(1), Case(("f[31]",), ranges=((-9.0, 9.0),))),
)

sqrt = elementwise(
    np.sqrt,
    lambda g, y, x: div(mul(g, full_like(y, 0.5)), y),
    formula=lambda x: write.root(x),
    domain=((0.0, math.inf),),
)

abs_ = elementwise(
    np.abs,
    lambda g, y, x: mul(g, sign(x)),
    name="abs",
    only=None,
    formula=lambda x: write.absolute(x),
    kinks=_("x = 0, where the derivative is taken as 0"),
)

sign = elementwise(
    np.sign,
    lambda g, y, x: full_like(x, 0.0),
    only="numbers",
    formula=lambda x: write.prefixed("sign", x),
    kinks=_("x = 0, where the derivative is taken as 0"),
)

maximum = elementwise(
    np.maximum,
    lambda g, y, a, b: _where_positive(less(b, a), g),
    lambda g, y, a, b: _where_not(less(b, a), g),
    only=None,
    formula=lambda a, b: write.apply("max", a, b),
    source="Glorot, Bordes & Bengio 2011 (ReLU); subgradient by declaration",
    kinks=_("a = b, where the whole derivative goes to b: so ReLU′(0) = 0"),
)

minimum = elementwise(
    np.minimum,
    lambda g, y, a, b: _where_positive(less(a, b), g),
    lambda g, y, a, b: _where_not(less(a, b), g),
    only=None,
    formula=lambda a, b: write.apply("min", a, b),
    source="smaller of two, NaN where one is; subgradient by declaration",
    kinks=_("a = b, where the whole derivative goes to b"),
)

_BRACKET: Any = {"only": None, "result": DType.bool, "source": "Iverson bracket"}
less = elementwise(
    np.less,
    formula=lambda a, b: write.bracket(write.less(a, b)),
    **_BRACKET,
)
equal = elementwise(
    np.equal,
    formula=lambda a, b: write.bracket(write.equals(a, b)),
    **_BRACKET,
)


def _where_rule(condition: ArrayType, a: ArrayType, b: ArrayType) -> ArrayType:
    if condition.dtype is not DType.bool:
        raise DTypeError(
            _("where selects by truth values."),
            expected="bool",
            got=condition.dtype.name,
            fix=_("compare first, for example less(a, b)"),
        )
    same("where", 2)(a, ArrayType(condition.shape, a.dtype))
    return same("where", 2)(a, b)


@declare(
    rule=_where_rule,
    vjp=(
        None,
        lambda g, y, c, a, b: _where_positive(c, g),
        lambda g, y, c, a, b: _where_not(c, g),
    ),
    formula=lambda condition, a, b: write.choice(a, condition, b),
    moves=True,
    source="selection by a condition",
    elementwise=True,
    cases=tuple(
        Case((f"bool[{s}]", f"f[{s}]", f"f[{s}]")) for s in ("", "0", "7", "2,3")
    ),
)
def where(condition: Array, a: Array, b: Array) -> Array:
    if a.size < 1 << 14 or a.itemsize not in (4, 8):
        return np.where(condition, a, b)
    # NumPy takes a branch for each element, which processors guess wrongly. This gives
    # the bits of a where the condition is 1, and else those of b.
    bits = f"i{a.itemsize}"
    y = b.view(bits)
    if not (any(b.strides) or y.flat[0]):  # a derivative's zeros: in one pass
        return (a.view(bits) * condition).view(a.dtype)
    selected = a.view(bits) ^ y
    selected *= condition
    selected ^= y
    return selected.view(a.dtype)


isnan = elementwise(
    np.isnan,
    result=DType.bool,
    formula=lambda x: write.apply("isnan", x),
    source="IEEE 754-2019, 5.7.2",
)


def _convert_vjp(g: Value, y: Value, x: Value, dtype: DType) -> Value:
    return convert(g, dtype=x.dtype)


def _convert_rule(x: ArrayType, *, dtype: DType) -> ArrayType:
    return ArrayType(x.shape, dtype)


@declare(
    rule=_convert_rule,
    vjp=(_convert_vjp,),
    shown=lambda x, dtype: write.apply(dtype.name, x),
    moves=True,
    source=(
        "IEEE 754-2019, 5.4; from floats to integers towards zero, what is out of"
        " range to the nearest end of it, NaN to 0; from and to bfloat16 by float32"
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
def convert(x: Array, *, dtype: DType) -> Array:
    if DType.bfloat16 in (dtype, dtype_of(x)):  # by way of float32, as processors do
        with np.errstate(invalid="ignore", over="ignore"):
            x = x.astype(np.float32)
    if x.dtype.kind != "f" or not dtype.is_integer:
        with np.errstate(invalid="ignore", over="ignore"):
            return x.astype(dtype.numpy)
    # Processors differ about numbers out of range: here they become the nearest
    # number in range, and NaN 0.
    limits, number = np.iinfo(dtype.numpy), dtype.numpy.type
    with np.errstate(invalid="ignore"):
        result = np.asarray(x.astype(dtype.numpy))
        np.copyto(result, number(limits.min), where=x <= float(limits.min))
        np.copyto(result, number(limits.max), where=x >= float(limits.max + 1))
        np.copyto(result, number(0), where=x != x)
    return result


floor = elementwise(
    np.floor,
    lambda g, y, x: full_like(x, 0.0),
    formula=lambda x: write.floor(x),
    source="largest integer not above",
    kinks=_("integers, where the derivative is taken as 0"),
)

round_ = elementwise(
    np.rint,
    lambda g, y, x: full_like(x, 0.0),
    name="round",
    formula=lambda x: write.prefixed("round", x),
    source="nearest integer, the even one of two (IEEE 754-2019, 5.9)",
    kinks=_("halves, where the derivative is taken as 0"),
)

copysign = elementwise(
    np.copysign,
    lambda g, y, x, s: mul(g, mul(sign(x), copysign(full_like(s, 1.0), s))),
    lambda g, y, x, s: full_like(s, 0.0),
    formula=lambda x, s: write.absolute(x) * write.prefixed("sign", s),
    source="IEEE 754-2019, 5.5.1: the sign of −0 counts",
    kinks=_("x = 0 and s = 0, where the derivatives are taken as 0"),
)


def _nextafter_rule(x: ArrayType, to: ArrayType) -> ArrayType:
    if x.dtype is DType.bfloat16:  # whose next number is not float32's
        raise DTypeError(
            _("nextafter is not defined for bfloat16."),
            expected="float32 or float64",
            got=x.dtype.name,
            fix=_("convert first: x.astype('{remedy}')", remedy="float32"),
        )
    return same("nextafter", 2, "floats")(x, to)


nextafter = elementwise(
    np.nextafter,
    lambda g, y, x, to: g,
    lambda g, y, x, to: full_like(to, 0.0),
    rule=_nextafter_rule,
    formula=lambda x, to: write.apply("nextafter", x, to),
    source="C99, 7.12.11.3: the next number on the way to another",
    kinks=_("x = y; the derivative is that of x"),
)


def _pow(x: Array, p: Array) -> Array:
    if x.dtype.kind in "fu":
        return np.power(x, p)
    # NumPy refuses negative exponents of integers; here they round towards zero.
    powers = np.power(x, np.maximum(p, 0))
    odd = np.where(p & 1, x, 1)
    return np.where(p < 0, np.where(np.abs(x) == 1, odd, 0), powers).astype(x.dtype)


def _pow_x(g: Value, y: Value, x: Value, p: Value) -> Value:
    """Return the derivative of the power xᵖ to its base x: p x^(p−1).

    The exponent 0 in place of −1 makes p = 0 give 0, at x = 0 and for NaN too.
    """
    zero = full_like(p, 0.0)
    q = sub(p, full_like(p, 1.0))
    some = less(full_like(x, 0.0), abs_(x))
    q = where(equal(p, zero), where(some, q, zero), q)
    return mul(g, mul(p, pow_(x, q)))


def _pow_p(g: Value, y: Value, x: Value, p: Value) -> Value:
    """Return the derivative of the power xᵖ to its exponent p: xᵖ ln x.

    Where x = 0 and p ≥ 0 it is 0: the logarithm is that of 1.
    """
    one, zero = full_like(x, 1.0), full_like(x, 0.0)
    base = where(equal(x, zero), where(less(p, zero), x, one), x)
    return mul(g, mul(y, log(base)))


pow_ = elementwise(
    _pow,
    _pow_x,
    _pow_p,
    name="pow",
    inputs=2,
    only="numbers",
    formula=lambda x, p: x**p,
    source="C99, F.9.4.4; integers wrap, and a negative exponent of theirs rounds"
    " towards zero (0 at 0)",
    domain=((0.0, math.inf), _ANY),
    cases=(*examples(2), Case(("f[6]", "f[6]"), ranges=((0.5, 30.0), (-3.0, 5.0)))),
)
