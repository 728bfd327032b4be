"""erf and erfc of the references against 40 digits, and where they are exact."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from chainrule.primitives.error_function import erf, erfc

#: Units in the last place, as the module's docstring says.
LIMITS = {erf: 1.5, erfc: 4.2}


def samples() -> np.ndarray:
    rng = np.random.default_rng(0)
    parts = [rng.uniform(0, 1, 1500), rng.uniform(1, 6.2, 1500)]
    parts += [np.exp2(rng.uniform(-1000, 0, 500)), rng.uniform(0.9, 1.2, 500)]
    return np.concatenate(parts)


@pytest.mark.parametrize("function", LIMITS)
def test_error_in_units_of_the_last_place(function):
    x = samples()
    if function is erfc:
        x = np.concatenate([x, -x[::4], np.linspace(6, 26.5, 1500)])
    with mpmath.workdps(40):
        for value, mine in zip(x.tolist(), function(x).tolist()):
            exact = getattr(mpmath, function.__name__)(value)
            unit = mpmath.mpf(2) ** (math.frexp(float(exact))[1] - 53)
            assert abs(mine - exact) / unit <= LIMITS[function], value


def test_erfc_goes_from_two_to_zero():
    ends = np.array([0.0, -0.0, -7.0, 27.3, 30.0, 1e300, math.inf, -math.inf, math.nan])
    wanted = np.array([1.0, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 2.0, math.nan])
    np.testing.assert_array_equal(erfc(ends), wanted)


def test_it_is_odd_and_ends_at_one():
    x = samples()
    np.testing.assert_array_equal(erf(-x), -erf(x))
    ends = np.array([0.0, -0.0, 6.0, -7.0, 1e4, -1e300, math.inf, -math.inf, math.nan])
    wanted = np.array([0.0, -0.0, 1, -1, 1, -1, 1, -1, math.nan])
    np.testing.assert_array_equal(erf(ends), wanted)
    np.testing.assert_array_equal(np.signbit(erf(ends[:2])), [False, True])


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (2, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", LIMITS)
def test_shapes_and_dtypes_are_kept(function, shape, dtype):
    x = np.full(shape, 0.75, dtype)
    made = function(x)
    assert made.shape == shape
    assert made.dtype == dtype
    wanted = getattr(math, function.__name__)(0.75)
    np.testing.assert_allclose(made, wanted, rtol=1e-7)


@pytest.mark.parametrize("function", LIMITS)
def test_float32_is_the_float64_rounded_once(function):
    x = samples().astype(np.float32)
    wide = function(x.astype(np.float64)).astype(np.float32)
    np.testing.assert_array_equal(function(x), wide)
