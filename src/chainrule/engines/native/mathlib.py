"""exp, log, tanh and erf as straight lines of LLVM IR.

Each function appends instructions to a builder and returns the value. There are
no branches, no tables and no calls into libm, only arithmetic, comparisons with
selects, integer shifts, and the intrinsics ``fma``, ``fabs`` and ``copysign``, so
LLVM's loop vectoriser turns a loop that contains them into vector code. ``float``
and ``double`` work, and so do vectors of them (``<16 x float>``), for code that
names its lanes itself.

**The bits do not depend on the lane.** What is fused is an explicit ``fma``, and no
fast-math flag is set, so nothing is left to contract or to reassociate: a vector
body, its scalar remainder and a target of another vector width give the same bits.

**Fused multiply-add must exist in the hardware** (x86-64-v3, every AArch64). On a
target without it LLVM turns each ``fma`` into a call to the C library's: the same
bits, not vectorised, and 15 to 50 times slower.

**Denormals count as ±0**, as everywhere in the native engine: ``log`` of a denormal
is -inf whether or not the processor flushes, and where the result of ``exp`` is
denormal it is either that number or 0, as the processor is set.

The polynomials are weighted minimax fits, made with 50 digits. The lowest
coefficient was rounded to the format and the others fitted again, one after the
other, so that they make up for the rounding. Errors are in units in the last place
(ulp) from the exact result; 0.5 is perfect. They are the largest found, on every
normal ``float``, and for ``double`` on millions of points against 80-bit arithmetic
(erf: 340,000 points against 40 digits).

>>> from llvmlite import ir
>>> module = ir.Module()
>>> signature = ir.FunctionType(ir.FloatType(), [ir.FloatType()])
>>> function = ir.Function(module, signature, "f")
>>> builder = ir.IRBuilder(function.append_basic_block())
>>> _ = builder.ret(tanh(builder, function.args[0]))
"""

from dataclasses import dataclass

from llvmlite import ir

from chainrule.errors import DTypeError


@dataclass(frozen=True)
class _Format:
    """A floating-point format and the numbers that the functions need in it.

    Coefficients stand with the highest power first, as Horner's rule takes them.
    """

    suffix: str
    """Name of the type in an intrinsic's name."""
    width: int
    mantissa: int
    """Bits of the mantissa that are stored."""
    bias: int
    """What the stored exponent adds to the exponent."""
    ln2: tuple[float, float]
    """ln 2 as a number with so few bits that its product with an exponent is exact,
    and the rest."""
    sqrt_half: int
    """The bits of √½."""
    exp_range: tuple[float, float]
    """Below, exp is 0 even as a denormal; above, it overflows."""
    expm1: tuple[float, ...]
    """(eʳ - 1 - r) / r² for |r| ≤ ln 2 / 2, by powers of r."""
    atanh: tuple[float, ...]
    """(2 atanh s - 2 s) / s³ for |s| ≤ (√2 - 1) / (√2 + 1), by powers of s²."""
    tanh_one: float
    """From here on tanh rounds to 1."""
    erf_one: float
    """From here on erf rounds to 1."""
    erf: tuple[float, ...]
    """erf x / x - 1 for |x| ≤ 1, by powers of x²."""
    log_erfc: tuple[float, ...]
    """ln(1 - erf x) for 1 ≤ x ≤ erf_one, by powers of x - 1."""


_FLOAT = _Format(
    suffix="f32",
    width=32,
    mantissa=23,
    bias=127,
    ln2=(0.693145751953125, 1.428606765330187e-06),
    sqrt_half=0x3F3504F3,
    exp_range=(-104.0, 89.0),
    expm1=(
        0.001386994612403214,
        0.008366251364350319,
        0.04166744276881218,
        0.1666654646396637,
        0.4999999701976776,
    ),
    atanh=(0.298706978559494, 0.3997758626937866, 0.6666677594184875),
    tanh_one=10.0,
    erf_one=3.95,
    erf=(
        7.823579653631896e-05,
        -0.0008001626702025533,
        0.005187452305108309,
        -0.02685343287885189,
        0.11283579468727112,
        -0.3761262595653534,
        0.12837916612625122,
    ),
    log_erfc=(
        0.00011130962229799479,
        -0.0015545113710686564,
        0.009540782310068607,
        -0.041306402534246445,
        -0.8431636095046997,
        -2.638963222503662,
        -1.8496055603027344,
    ),
)

_DOUBLE = _Format(
    suffix="f64",
    width=64,
    mantissa=52,
    bias=1023,
    ln2=(0.6931471805601177, -1.7239444525614835e-13),
    sqrt_half=0x3FE6A09E667F3BCD,
    exp_range=(-746.0, 710.0),
    expm1=(
        2.506919048391028e-08,
        2.762623402036e-07,
        2.7557358958739944e-06,
        2.4801504679538664e-05,
        0.00019841269773082697,
        0.0013888888932193776,
        0.00833333333336488,
        0.04166666666657407,
        0.16666666666666627,
        0.5000000000000006,
    ),
    atanh=(
        0.14796669341736332,
        0.1531397405869426,
        0.18183567549979807,
        0.22222198505080473,
        0.2857142874313415,
        0.39999999999410774,
        0.6666666666666735,
    ),
    tanh_one=20.0,
    erf_one=5.95,
    erf=(
        -7.723728707326202e-10,
        1.3679309066510897e-08,
        -1.6198509015344186e-07,
        1.6446038894028105e-06,
        -1.4924616681474245e-05,
        0.00012055288155937939,
        -0.0008548325729745614,
        0.0052239776014687085,
        -0.026866170642465787,
        0.11283791670939436,
        -0.37612638903183376,
        0.12837916709551256,
    ),
    log_erfc=(
        -4.923778046275793e-12,
        1.206334884140152e-10,
        -1.3321693267695767e-09,
        8.59637424017332e-09,
        -3.369689063104632e-08,
        5.885505473236072e-08,
        2.0313134086798794e-07,
        -2.1294846969892164e-06,
        9.66873299612038e-06,
        -2.7196879193794667e-05,
        2.6295120589699923e-05,
        0.00023731693136498698,
        -0.0019779013576765696,
        0.01003382520605188,
        -0.041561098028256624,
        -0.8431072563592042,
        -2.638967514234782,
        -1.8496055099332482,
    ),
)


class _Emitter:
    """A builder together with the format of the value it works on."""

    def __init__(self, b: ir.IRBuilder, x: ir.Value) -> None:
        self.b = b
        self.type = x.type
        self.lanes = x.type.count if isinstance(x.type, ir.VectorType) else 0
        element = x.type.element if self.lanes else x.type
        if isinstance(element, ir.FloatType):
            self.format = _FLOAT
        elif isinstance(element, ir.DoubleType):
            self.format = _DOUBLE
        else:
            raise DTypeError(
                "An elementary function cannot be emitted for this type.",
                expected="float, double or a vector of them",
                got=str(x.type),
                fix="convert the value first, for example with builder.fpext",
            )
        whole = ir.IntType(self.format.width)
        self.int_type = ir.VectorType(whole, self.lanes) if self.lanes else whole

    def const(self, value: float) -> ir.Constant:
        """The number in every lane."""
        return ir.Constant(self.type, [value] * self.lanes if self.lanes else value)

    def whole(self, value: int) -> ir.Constant:
        """The integer in every lane, as wide as the format."""
        lanes = [value] * self.lanes
        return ir.Constant(self.int_type, lanes if self.lanes else value)

    def bits(self, x: ir.Value) -> ir.Value:
        """The number's bits as an integer."""
        return self.b.bitcast(x, self.int_type)

    def number(self, bits: ir.Value) -> ir.Value:
        """The number with these bits."""
        return self.b.bitcast(bits, self.type)

    def intrinsic(self, name: str, *args: ir.Value) -> ir.Value:
        """Call an LLVM intrinsic whose arguments and result have the value's type.

        llvmlite's own ``declare_intrinsic`` does not name vectors.
        """
        lanes = f"v{self.lanes}" if self.lanes else ""
        name = f"llvm.{name}.{lanes}{self.format.suffix}"
        function = self.b.module.globals.get(name)
        if function is None:
            signature = ir.FunctionType(self.type, [self.type] * len(args))
            function = ir.Function(self.b.module, signature, name)
        return self.b.call(function, args)

    def fma(self, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
        """x · y + z, rounded once."""
        return self.intrinsic("fma", x, y, z)

    def below(self, x: ir.Value, limit: float) -> ir.Value:
        """min(x, limit), where NaN stays NaN."""
        bound = self.const(limit)
        return self.b.select(self.b.fcmp_ordered(">", x, bound), bound, x)

    def above(self, x: ir.Value, limit: float) -> ir.Value:
        """max(x, limit), where NaN stays NaN."""
        bound = self.const(limit)
        return self.b.select(self.b.fcmp_ordered("<", x, bound), bound, x)

    def horner(self, x: ir.Value, coefficients: tuple[float, ...]) -> ir.Value:
        """The polynomial in x, highest power first, one fma a coefficient."""
        total = self.const(coefficients[0])
        for coefficient in coefficients[1:]:
            total = self.fma(total, x, self.const(coefficient))
        return total

    def expm1(self, x: ir.Value, offset: int) -> tuple[ir.Value, ir.Value]:
        """eʳ - 1 and the integer n + offset, where x = n ln 2 + r.

        n is x / ln 2 rounded to nearest: adding 1.5 · 2^mantissa pushes the fraction
        out of the mantissa and leaves n in its low bits, without a conversion that
        vectors may not have. Above the low bits stands a constant that a shift into
        the exponent drops. With the product n · ln2[0] exact (Cody and Waite), r is
        rounded once.
        """
        b, number = self.b, self.format
        shift = self.const(1.5 * 2.0**number.mantissa + offset)
        shifted = self.fma(x, self.const(1.4426950408889634), shift)
        n = b.fsub(shifted, shift)
        r = self.fma(n, self.const(-number.ln2[0]), x)
        r = self.fma(n, self.const(-number.ln2[1]), r)
        tail = self.horner(r, number.expm1)
        return self.fma(b.fmul(r, r), tail, r), self.bits(shifted)

    def power(self, biased: ir.Value) -> ir.Value:
        """2 to the power (biased - bias): the integer moved into the exponent."""
        return self.number(self.b.shl(biased, self.whole(self.format.mantissa)))


def exp(b: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """Emit eˣ.

    x = n ln 2 + r with |r| ≤ ln 2 / 2, a polynomial for eʳ - 1, and 2ⁿ multiplied on
    in two halves, so that n = 128 (1024) overflows and small n go through the
    denormals, both by the multiplication's own rules.

    Error: 1.04 ulp in float, 1.01 ulp in double. exp(±0) = 1, exp(-inf) = 0, exp(inf)
    = inf, NaN stays NaN; inf above 88.72 (709.78), 0 below -103.97 (-745.13), and
    where denormals flush below -87.34 (-708.40).

    Args:
        b: the builder to append to.
        x: a float, a double or a vector of them.

    Returns:
        a value of x's type.

    Raises:
        DTypeError: x has another type.
    """
    e = _Emitter(b, x)
    low, high = e.format.exp_range
    x = e.above(e.below(x, high), low)
    fraction, n = e.expm1(x, offset=2 * e.format.bias)
    half = b.lshr(n, e.whole(1))
    y = b.fmul(b.fadd(fraction, e.const(1.0)), e.power(half))
    return b.fmul(y, e.power(b.sub(n, half)))


def log(b: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """Emit ln x.

    x = 2ᵏ m with √½ ≤ m < √2, read off the bits. With f = m - 1 (exact) and
    s = f / (2 + f), ln m = 2 atanh s = f - f²/2 + s (f²/2 + s² P(s²)): written so, all
    but f is small and its rounding hardly counts. k ln 2 is added in two parts, the
    larger of them exact.

    Error: 0.84 ulp in float, 0.83 ulp in double. log(±0) = -inf, and so for denormals;
    log(x < 0) = NaN, log(inf) = inf, NaN stays NaN.

    Args:
        b: the builder to append to.
        x: a float, a double or a vector of them.

    Returns:
        a value of x's type.

    Raises:
        DTypeError: x has another type.
    """
    e = _Emitter(b, x)
    number = e.format
    one = number.bias << number.mantissa
    # Counted from √½, the exponent field holds k + bias and the rest is m's distance.
    field = b.add(e.bits(x), e.whole(one - number.sqrt_half))
    exponent = b.lshr(field, e.whole(number.mantissa))
    rest = b.and_(field, e.whole((1 << number.mantissa) - 1))
    f = b.fsub(e.number(b.add(rest, e.whole(number.sqrt_half))), e.const(1.0))
    # As the low bits of 2^mantissa the integer is a float without a conversion.
    base = 2.0**number.mantissa
    field = b.or_(exponent, e.bits(e.const(base)))
    k = b.fsub(e.number(field), e.const(base + number.bias))

    s = b.fdiv(f, b.fadd(f, e.const(2.0)))
    z = b.fmul(s, s)
    half = b.fmul(b.fmul(f, e.const(0.5)), f)
    small = e.fma(z, e.horner(z, number.atanh), half)
    small = e.fma(s, small, b.fmul(k, e.const(number.ln2[1])))
    y = b.fsub(f, b.fsub(half, small))
    y = e.fma(k, e.const(number.ln2[0]), y)

    inf = e.const(float("inf"))
    zero = b.fcmp_ordered("<", x, e.const(2.0 ** (1 - number.bias)))
    y = b.select(zero, e.const(float("-inf")), y)
    y = b.select(b.fcmp_ordered("<", x, inf), y, x)
    smallest = e.const(-(2.0 ** (1 - number.bias)))
    return b.select(b.fcmp_ordered("<=", x, smallest), e.const(float("nan")), y)


def tanh(b: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """Emit tanh x.

    With E = e^(-2|x|) - 1, put together as 2ⁿ (eʳ - 1) + (2ⁿ - 1) so that small x lose
    nothing, -tanh |x| = E / (E + 2). What the sum and the quotient lost in rounding is
    known exactly and put back, with 1 / (E + 2) = (1 + tanh |x|) / 2. The sign is
    copied, so the function is exactly odd; from 9.02 (19.07) on it is exactly ±1.

    Error: 1.97 ulp in float, 2.15 ulp in double. tanh(±0) = ±0, tanh(±inf) = ±1, NaN
    stays NaN.

    Args:
        b: the builder to append to.
        x: a float, a double or a vector of them.

    Returns:
        a value of x's type.

    Raises:
        DTypeError: x has another type.
    """
    e = _Emitter(b, x)
    size = e.below(e.intrinsic("fabs", x), e.format.tanh_one)
    fraction, n = e.expm1(b.fmul(size, e.const(-2.0)), offset=e.format.bias)
    power = e.power(n)
    top = e.fma(fraction, power, b.fsub(power, e.const(1.0)))
    bottom = b.fadd(top, e.const(2.0))
    lost = b.fsub(top, b.fsub(bottom, e.const(2.0)))
    y = b.fdiv(top, bottom)
    minus = b.fneg(y)
    rest = e.fma(minus, lost, e.fma(minus, bottom, top))
    y = e.fma(rest, e.fma(y, e.const(-0.5), e.const(0.5)), y)
    return e.intrinsic("copysign", y, x)


def erf(b: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """Emit the error function, erf x = 2/√π ∫₀ˣ e^(-t²) dt.

    For |x| < 1: |x| + |x| P(x²). Above: 1 - exp(Q(|x| - 1)) with Q fitted to
    ln(1 - erf); its error counts only as far as 1 - erf ≤ 0.16 reaches. Both are
    computed and one selected. The sign is copied, so the function is exactly odd;
    from 3.84 (5.87) on the result is exactly 1.

    Error: 1.00 ulp in float, 0.97 ulp in double. erf(±0) = ±0, erf(±inf) = ±1, NaN
    stays NaN.

    Args:
        b: the builder to append to.
        x: a float, a double or a vector of them.

    Returns:
        a value of x's type.

    Raises:
        DTypeError: x has another type.
    """
    e = _Emitter(b, x)
    one = e.const(1.0)
    size = e.below(e.intrinsic("fabs", x), e.format.erf_one)
    small = e.fma(size, e.horner(b.fmul(size, size), e.format.erf), size)
    logarithm = e.horner(b.fsub(size, one), e.format.log_erfc)
    fraction, n = e.expm1(logarithm, offset=e.format.bias)
    power = e.power(n)
    large = e.fma(b.fneg(fraction), power, b.fsub(one, power))
    y = b.select(b.fcmp_ordered("<", size, one), small, large)
    return e.intrinsic("copysign", y, x)
