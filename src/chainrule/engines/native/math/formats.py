"""Constants of the generated elementary functions for float and double.

The polynomials are weighted minimax fits, made with 50 digits. The lowest
coefficient was rounded to the format and the others fitted again, one after the
other, so that they make up for the rounding.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """A float format with the constants to generate exp, log, … for it.

    Coefficients stand with the highest power first, as Horner's rule takes them.
    """

    suffix: str
    """The name of the type in an LLVM intrinsic's name."""
    width: int
    mantissa: int
    """The number of stored bits of the mantissa."""
    bias: int
    """The exponent bias: stored exponent minus exponent."""
    ln2: tuple[float, float]
    """The number ln 2 as a sum of two floats.

    The first has so few bits that its product with an exponent is exact.
    """
    sqrt_half: int
    """The bits of √½ as an integer."""
    exp_range: tuple[float, float]
    """The range of x for ``exp``: below it eˣ is 0, above it infinite."""
    expm1_least: float
    """The limit of x below which expm1 rounds to −1."""
    expm1: tuple[float, ...]
    """The polynomial (eʳ - 1 - r) / r² for |r| ≤ ln 2 / 2, by powers of r."""
    atanh: tuple[float, ...]
    """The polynomial (2 atanh s - 2 s) / s³, by powers of s².

    It is fitted for |s| ≤ (√2 - 1) / (√2 + 1).
    """
    tanh_one: float
    """The limit of x from which tanh rounds to 1."""
    exp_zero: float
    """The limit of x from which e^-x is 0, also where it could be denormal."""
    erf_one: float
    """The limit of x from which erf rounds to 1."""
    erf: tuple[float, ...]
    """The polynomial erf x / x - 1 for |x| ≤ 1, by powers of x²."""
    log_erfc: tuple[float, ...]
    """The polynomial ln(1 - erf x) for 1 ≤ x ≤ erf_one, by powers of x - 1."""
    erfc_zero: float
    """The limit of x from which erfc is 0, also where it could be denormal."""
    erfc_shift: float
    """The constant K of q = 1 / (x + K), the variable of the fit of erfc."""
    erfc_middle: float
    """The centre of q in the polynomial ``log_erfcx``."""
    erfc_slope: tuple[float, float]
    """The slope of ln(e^(x²) erfc x) by ln q, approximately, by powers of q."""
    log_erfcx: tuple[float, ...]
    """The polynomial ln(e^(x²) erfc x / q), by powers of q - erfc_middle.

    It is fitted for 0 ≤ x ≤ erfc_zero.
    """


FLOAT = Format(
    suffix="f32",
    width=32,
    mantissa=23,
    bias=127,
    ln2=(0.693145751953125, 1.428606765330187e-06),
    sqrt_half=0x3F3504F3,
    exp_range=(-104.0, 89.0),
    expm1_least=-18.0,
    expm1=(
        0.001386994612403214,
        0.008366251364350319,
        0.04166744276881218,
        0.1666654646396637,
        0.4999999701976776,
    ),
    atanh=(0.298706978559494, 0.3997758626937866, 0.6666677594184875),
    tanh_one=10.0,
    exp_zero=88.0,
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
    erfc_zero=9.36,
    erfc_shift=1.25,
    erfc_middle=0.35,
    erfc_slope=(0.3, 1.17),
    log_erfcx=(
        -3.295745611190796,
        7.4893598556518555,
        -5.737315654754639,
        0.13515491783618927,
        2.7741658687591553,
        -1.7931218147277832,
        -0.2484133392572403,
        1.1010022163391113,
        -0.49390047788619995,
        -0.6411826610565186,
        1.1155575513839722,
        -0.13798289000988007,
    ),
)


DOUBLE = Format(
    suffix="f64",
    width=64,
    mantissa=52,
    bias=1023,
    ln2=(0.6931471805601177, -1.7239444525614835e-13),
    sqrt_half=0x3FE6A09E667F3BCD,
    exp_range=(-746.0, 710.0),
    expm1_least=-38.0,
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
    exp_zero=709.0,
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
    erfc_zero=26.62,
    erfc_shift=2.0,
    erfc_middle=0.25,
    erfc_slope=(2.514, 1.0),
    log_erfcx=(
        4674756.150494744,
        -5491070.317546049,
        762945.9944949799,
        1956539.3001976945,
        -1110531.533303857,
        -127465.67734584249,
        341780.8295311665,
        -90341.37050565188,
        -50475.73177738701,
        36875.04783515121,
        140.57853595793458,
        -8105.806525334601,
        2130.571725543859,
        1197.9471473156227,
        -731.082655547089,
        -98.28870010153247,
        176.6008866107652,
        -9.584431705498844,
        -38.433792213220535,
        7.204591841493721,
        9.03673708314893,
        -2.527408477771679,
        -3.001319054796375,
        0.7574929094704503,
        2.6905728959106274,
        0.021353096503253045,
    ),
)
