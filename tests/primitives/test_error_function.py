"""erf of the references against 40 digits, and where it is exact."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from chainrule.primitives.error_function import erf

#: Units in the last place, as the module's docstring says.
LIMIT = 1.5


def samples() -> np.ndarray:
    rng = np.random.default_rng(0)
    parts = [rng.uniform(0, 1, 1500), rng.uniform(1, 6.2, 1500)]
    parts += [np.exp2(rng.uniform(-1000, 0, 500)), rng.uniform(0.9, 1.2, 500)]
    return np.concatenate(parts)


def test_error_in_units_of_the_last_place():
    x = samples()
    got = erf(x)
    with mpmath.workdps(40):
        for value, mine in zip(x.tolist(), got.tolist()):
            exact = mpmath.erf(value)
            unit = mpmath.mpf(2) ** (math.frexp(float(exact))[1] - 53)
            assert abs(mine - exact) / unit <= LIMIT, value


def test_it_is_odd_and_ends_at_one():
    x = samples()
    np.testing.assert_array_equal(erf(-x), -erf(x))
    ends = np.array([0.0, -0.0, 6.0, -7.0, 1e4, -1e300, math.inf, -math.inf, math.nan])
    wanted = np.array([0.0, -0.0, 1, -1, 1, -1, 1, -1, math.nan])
    np.testing.assert_array_equal(erf(ends), wanted)
    np.testing.assert_array_equal(np.signbit(erf(ends[:2])), [False, True])


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (2, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shapes_and_dtypes_are_kept(shape, dtype):
    x = np.full(shape, 0.5, dtype)
    assert erf(x).shape == shape
    assert erf(x).dtype == dtype
    np.testing.assert_allclose(erf(x), math.erf(0.5), rtol=1e-7)


def test_float32_is_the_float64_rounded_once():
    x = samples().astype(np.float32)
    np.testing.assert_array_equal(erf(x), erf(x.astype(np.float64)).astype(np.float32))
