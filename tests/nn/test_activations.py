"""Activations by hand, at their kinks, and far out on every engine."""

from __future__ import annotations

import functools
import math

import mpmath
import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError, DTypeError
from chainrule.nn import functional
from tests.ways import EXTREME

FAR = 1e4
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def phi(z):
    """Φ, the distribution function of the normal distribution."""
    return mpmath.erfc(-z / mpmath.sqrt(2)) / 2


def tanh_gelu(z):
    inner = mpmath.sqrt(2 / mpmath.pi) * (z + mpmath.mpf("0.044715") * z**3)
    return z / 2 * (1 + mpmath.tanh(inner))


#: Each activation with its definition, in any number of digits.
DEFINITIONS = {
    "ReLU": (nn.ReLU(), lambda z: max(z, 0)),
    "LeakyReLU": (nn.LeakyReLU(), lambda z: max(mpmath.mpf(0.01) * z, z)),
    "Sigmoid": (nn.Sigmoid(), lambda z: 1 / (1 + mpmath.exp(-z))),
    "Tanh": (nn.Tanh(), mpmath.tanh),
    "GELU": (nn.GELU(), lambda z: z * phi(z)),
    "GELU tanh": (nn.GELU("tanh"), tanh_gelu),
    "SiLU": (nn.SiLU(), lambda z: z / (1 + mpmath.exp(-z))),
    "Softplus": (nn.Softplus(), lambda z: mpmath.log(1 + mpmath.exp(z))),
    "ELU": (nn.ELU(0.5), lambda z: z if z > 0 else 0.5 * mpmath.expm1(z)),
    "SELU": (
        nn.SELU(),
        lambda z: SELU_SCALE * (z if z > 0 else SELU_ALPHA * mpmath.expm1(z)),
    ),
    "Heaviside": (nn.Heaviside(), lambda z: 1 if z >= 0 else 0),
}

#: Value and derivative at −10⁴, 0 and 10⁴; the derivatives at 0 are by declaration.
BY_HAND = {
    "ReLU": ([0, 0, FAR], [0, 0, 1]),
    "LeakyReLU": ([-100, 0, FAR], [0.01, 0.01, 1]),
    "Sigmoid": ([0, 0.5, 1], [0, 0.25, 0]),
    "Tanh": ([-1, 0, 1], [0, 1, 0]),
    "GELU": ([0, 0, FAR], [0, 0.5, 1]),
    "GELU tanh": ([0, 0, FAR], [0, 0.5, 1]),
    "SiLU": ([0, 0, FAR], [0, 0.5, 1]),
    "Softplus": ([0, math.log(2), FAR], [0, 0.5, 1]),
    "ELU": ([-0.5, 0, FAR], [0, 0.5, 1]),
    "SELU": (
        [-SELU_SCALE * SELU_ALPHA, 0, SELU_SCALE * FAR],
        [0, SELU_SCALE * SELU_ALPHA, SELU_SCALE],
    ),
    "Heaviside": ([0, 1, 1], [0, 0, 0]),
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_definitions_with_thirty_digits(name):
    module, definition = DEFINITIONS[name]
    z = np.concatenate([np.linspace(-6, 6, 41), [-30.0, 30.0, 1e-9, -1e-9]])
    with mpmath.workdps(30):
        wanted = np.array([float(definition(mpmath.mpf(v))) for v in z.tolist()])
    # 1 + tanh cancels for z < 0: exact to the digits of z, not of itself.
    atol = 1e-15 if name == "GELU tanh" else 0
    made = module(cr.tensor(z)).numpy()
    np.testing.assert_allclose(
        made, wanted, rtol=1e-14 if name != "GELU" else 3e-13, atol=atol
    )


@functools.cache
def left_tail(name, dtype):
    """Points, and values and slopes there with sixty digits."""
    definition = DEFINITIONS[name][1]
    z = np.linspace(-12 if name == "GELU" else -80, -1, 67).astype(dtype)
    with mpmath.workdps(60):
        points = [mpmath.mpf(v) for v in z.tolist()]
        wanted = [float(definition(p)) for p in points]
        return z, wanted, [float(mpmath.diff(definition, p)) for p in points]


@pytest.mark.parametrize(("engine", "dtype"), EXTREME)
@pytest.mark.parametrize("name", ["GELU", "Sigmoid", "SiLU", "Softplus", "ELU"])
def test_left_tails_are_right_relative_to_themselves(name, dtype, engine):
    """Where the value is 1e-30, its digits count, and those of its derivative."""
    module = DEFINITIONS[name][0]
    z, wanted, slopes = left_tail(name, dtype)

    def both(t):
        return module(t), cr.grad(lambda u: module(u).sum())(t)

    run = both if engine == "eager" else cr.compile(both, engine=engine)
    # e^(−z²/2) makes of an error of its argument z² times that of the result.
    eps = np.finfo(dtype).eps
    rtol = (4 + z.astype(float) ** 2 if name == "GELU" else 4 + np.abs(z)) * eps
    for made, exact in zip(run(cr.tensor(z)), (wanted, slopes)):
        np.testing.assert_array_less(np.abs(made.numpy() / exact - 1), rtol)


@pytest.mark.parametrize(("engine", "dtype"), EXTREME)
@pytest.mark.parametrize("name", BY_HAND)
def test_far_out_and_at_zero(name, dtype, engine):
    """Neither value nor gradient overflows, on any engine; warnings are errors here."""
    module = DEFINITIONS[name][0]

    def both(z):
        return module(z), cr.grad(lambda t: module(t).sum())(z)

    run = both if engine == "eager" else cr.compile(both, engine=engine)
    value, slope = run(cr.tensor([-FAR, 0.0, FAR], dtype=dtype))
    eps = np.finfo(dtype).eps
    wanted_value, wanted_slope = BY_HAND[name]
    np.testing.assert_allclose(value.numpy(), wanted_value, rtol=4 * eps, atol=eps)
    np.testing.assert_allclose(slope.numpy(), wanted_slope, rtol=4 * eps, atol=eps)
    assert value.dtype.name == slope.dtype.name == dtype


def test_kinks_are_flagged_in_gradient_checks():
    for f in (functional.leaky_relu, functional.elu, functional.selu):
        wanted = f is not functional.elu  # with α = 1 it is smooth
        (row,) = cr.check_gradients(f, [0.0]).rows
        assert (row.kind == "kink") == wanted


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
def test_the_axis_is_the_last_one_unasked(name):
    function, z = (
        getattr(functional, name),
        np.random.default_rng(0).normal(size=(2, 3, 4)),
    )
    np.testing.assert_array_equal(function(z).numpy(), function(z, 2).numpy())


def test_integers_are_refused_where_they_make_no_sense():
    with pytest.raises(DTypeError, match="floating-point"):
        nn.GELU()(cr.tensor([1, 2]))
    assert nn.ReLU()(cr.tensor([-1, 2])).tolist() == [0, 2]


def test_an_unknown_form_of_gelu_is_named():
    with pytest.raises(ArgumentError, match=r"'none' or 'tanh'[\s\S]*'tan'[\s\S]*tanh"):
        nn.GELU("tan")
    with pytest.raises(ArgumentError, match="'none' or 'tanh'"):
        functional.gelu([1.0], approximate=1)
