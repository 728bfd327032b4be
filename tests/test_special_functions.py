"""Special functions against 40 digits, on both engines, with their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

import chainrule as cr
from tests.ways import ENGINES

RNG = np.random.default_rng(0)
#: Relative to the number, or to 1 where it passes through 0 (all but the first rows).
TOLERANCE = 1e-12
NEAR = np.concatenate([RNG.uniform(0.01, 3, 60), RNG.uniform(3, 40, 20)])
FAR = 10.0 ** RNG.uniform(-8, 12, 20)
BELOW = -RNG.uniform(0.1, 20, 30)
WIDE = RNG.uniform(-45, 45, 60)


def log_gamma(x: Any) -> Any:
    return mp.re(mp.loggamma(x))


def zeta(s: int) -> Callable[[Any], Any]:
    """ζ(s, x), for x < 0 too."""

    def exact(x: Any) -> Any:
        return (-1) ** s * mp.polygamma(s - 1, x) / mp.factorial(s - 1)

    return exact


def erfcx(x: Any) -> Any:
    return mp.exp(x * x) * mp.erfc(x)


def quantile(p: Any) -> Any:
    start = -mp.sqrt(-2 * mp.log(p)) if p < 0.01 else mp.sqrt(2) * mp.erfinv(2 * p - 1)
    return mp.findroot(lambda x: mp.log(mp.ncdf(x)) - mp.log(p), start)


ROWS: dict[str, tuple[Any, Any, np.ndarray[Any, Any]]] = {
    "lgamma": (cr.lgamma, log_gamma, np.concatenate([NEAR, FAR, BELOW])),
    "lgamma near 1 and 2": (
        cr.lgamma,
        log_gamma,
        np.concatenate([1 + RNG.uniform(-1e-6, 1e-6, 9), 2 + np.array([1e-12, -1e-5])]),
    ),
    "digamma": (cr.digamma, mp.digamma, np.concatenate([NEAR, FAR, BELOW])),
    "polygamma": (
        lambda x: cr.polygamma(3, x),
        lambda x: mp.polygamma(3, x),
        np.concatenate([NEAR, BELOW]),
    ),
    "zeta": (lambda x: cr.special.zeta(2.0, x), zeta(2), np.concatenate([NEAR, BELOW])),
    "erfcx": (cr.special.erfcx, erfcx, RNG.uniform(-26, 30, 60)),
    "erfinv": (
        cr.erfinv,
        mp.erfinv,
        np.concatenate([RNG.uniform(-1, 1, 40), FAR[FAR < 0.1], 1 - FAR[FAR < 0.1]]),
    ),
    "ndtri": (
        cr.special.ndtri,
        quantile,
        np.concatenate([RNG.uniform(0, 1, 40), 10.0 ** RNG.uniform(-200, -5, 10)]),
    ),
    "log_ndtr": (
        cr.special.log_ndtr,
        lambda x: mp.log(mp.ncdf(x)) if x < 0 else mp.log1p(-mp.ncdf(-x)),
        RNG.uniform(-60, 30, 60),
    ),
    "i0": (cr.i0, lambda x: mp.besseli(0, x), WIDE),
    "i1": (cr.special.i1, lambda x: mp.besseli(1, x), WIDE),
    "i0e": (cr.special.i0e, lambda x: mp.besseli(0, x) * mp.exp(-abs(x)), WIDE),
    "i1e": (cr.special.i1e, lambda x: mp.besseli(1, x) * mp.exp(-abs(x)), WIDE),
    "k0": (cr.special.modified_bessel_k0, lambda x: mp.besselk(0, x), NEAR),
    "k1": (cr.special.modified_bessel_k1, lambda x: mp.besselk(1, x), NEAR),
    "sinc": (cr.sinc, lambda x: mp.sincpi(x), RNG.uniform(-3, 3, 60)),
}


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    "engine", ["numpy", pytest.param("native", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", ROWS)
def test_a_special_function_is_exact(name: str, engine: str) -> None:
    function, exact, points = ROWS[name]
    x = cr.tensor(points)
    with mp.workdps(40):
        wanted = [exact(mpf(float(p))) for p in points]
        for dtype, bound in (("float64", TOLERANCE), ("float32", 1e-6)):
            narrow = x.astype(dtype)
            if dtype == "float32":
                points = narrow.double().numpy()
                wanted = [exact(mpf(float(p))) if abs(p) < 1 else None for p in points]
            got = cr.compile(function, engine=engine)(narrow).numpy()
            for w, g, p in zip(wanted, got, points, strict=True):
                if w is not None and 1e-37 < abs(w) < 1e37:
                    assert abs(mpf(float(g)) - w) <= bound * abs(w), (p, g)


@pytest.mark.parametrize("name", ["lgamma", "erfinv", "log_ndtr", "i0", "i1e", "sinc"])
def test_its_derivatives_are_exact(name: str) -> None:
    function, exact, points = ROWS[name]
    some = points[np.abs(points) < 0.9][:6] if name != "log_ndtr" else points[:6]

    def slope(x: Any) -> Any:
        return cr.grad(lambda t: function(t).sum())(x)

    def curvature(x: Any) -> Any:
        return cr.grad(lambda t: slope(t).sum())(x)

    x = cr.tensor(some)
    with mp.workdps(40):
        for order, derivative in ((1, slope), (2, curvature)):
            for p, got in zip(some, derivative(x).tolist(), strict=True):
                wanted = mp.diff(exact, mpf(float(p)), order)
                assert abs(got - wanted) <= 1e-11 * max(1, abs(wanted)), (p, order)


WAVES = {
    "bessel_j0": lambda x: mp.besselj(0, x),
    "bessel_j1": lambda x: mp.besselj(1, x),
    "bessel_y0": lambda x: mp.bessely(0, x),
    "bessel_y1": lambda x: mp.bessely(1, x),
}


@pytest.mark.parametrize("name", WAVES)
@pytest.mark.parametrize(
    "engine", ["numpy", pytest.param("native", marks=pytest.mark.slow)]
)
def test_waves_are_exact_beside_their_size(name: str, engine: str) -> None:
    points = np.concatenate([NEAR, [24.9999, 25.0001, 300.0]])
    run = cr.compile(getattr(cr.special, name), engine=engine)
    for p, got in zip(points, run(cr.tensor(points)).tolist(), strict=True):
        wanted = WAVES[name](mpf(float(p)))
        assert abs(got - wanted) <= 2e-14 * max(1, abs(wanted)), p


def test_a_frexp_is_exact_beyond_normal_numbers() -> None:
    x = np.array([5e-324, 1e-310, 1.7e308, 0.49999999999999994, 0.9999999999999999])
    mantissa, exponent = cr.frexp(x)
    assert (mantissa.numpy() == np.frexp(x)[0]).all()
    assert exponent.tolist() == np.frexp(x)[1].tolist()


def test_divisors_of_all_integers() -> None:
    a, b = RNG.integers(-(2**62), 2**62, 50), RNG.integers(-60, 60, 50)
    for dtype in ("int64", "int32", "uint8", "int8"):
        x, y = a.astype(dtype), b.astype(dtype)
        for engine in ENGINES:
            got = cr.compile(cr.gcd, engine=engine)(cr.tensor(x), cr.tensor(y))
            assert (got.numpy() == np.gcd(x, y)).all()
    assert cr.lcm(cr.tensor([4, 0]), cr.tensor([-6, 5])).tolist() == [12, 0]


def test_polynomials_of_a_degree_or_of_many() -> None:
    x = cr.tensor([0.3, -0.7, 2.0], dtype="float64")
    for name, exact in (
        ("chebyshev_polynomial_t", mp.chebyt),
        ("chebyshev_polynomial_u", mp.chebyu),
        ("hermite_polynomial_h", mp.hermite),
        ("laguerre_polynomial_l", lambda n, x: mp.laguerre(n, 0, x)),
        ("legendre_polynomial_p", mp.legendre),
    ):
        function = getattr(cr.special, name)
        several = function(x, cr.tensor([0, 1, 5])).tolist()
        for n, p, got in zip([0, 1, 5], x.tolist(), several, strict=True):
            wanted = float(exact(n, p))
            assert got == pytest.approx(wanted, rel=1e-13)
            assert function(p, n).item() == pytest.approx(wanted, rel=1e-6)
        assert cr.compile(lambda x, f=function: f(x, 5))(x)[2].item() == got
        assert function(x, -1).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda x: cr.frac(x.long()), "frac is defined for floating-point values"),
        (lambda x: cr.frexp(x.long()), "frexp is defined for floating-point values"),
        (lambda x: cr.gcd(x, x), "gcd is defined for integers"),
        (lambda x: cr.fill(x, x), "fill takes one number"),
        (lambda x: cr.polygamma(-1, x), "n must be a whole number"),
        (lambda x: x.mvlgamma(0), "p must be a whole number"),
        (lambda x: cr.special.legendre_polynomial_p(x, 2000), "n must be"),
        (lambda x: cr.cdist(x, x), "Distances are those between rows"),
        (lambda x: cr.cdist(x[None], x[None, :1]), "Distances are those between rows"),
        (lambda x: cr.cdist(x[None], x[None], -1), "p must be a"),
        (lambda x: cr.pdist(x), "pdist takes the rows of one matrix"),
        (lambda x: cr.addmv(x[:1, None], x[None], x), "broadcast to it"),
        (
            lambda x: cr.addr(x.long(), x.long(), x.long(), alpha=0.5),
            "scaled by integers",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any, says: str) -> None:
    with pytest.raises(cr.ChainruleError, match=says):
        call(cr.tensor([1.0, 2.0, 3.0]))
