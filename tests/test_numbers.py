"""Numbers at the edges: powers, statistics, truth, scalars, warnings, data."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, DTypeError, GradientError, ShapeError
from tests.ways import WAYS

ways = pytest.mark.parametrize("way", WAYS)


def run(function: Any, way: str) -> Any:
    return function if way == "eager" else cr.compile(function, engine=way)


# -- powers ---------------------------------------------------------------------------


@ways
def test_powers_and_their_derivatives_at_the_edges(way: str) -> None:
    x = np.array([0.0, 2.0, -3.0, np.inf, -np.inf, np.nan])
    for p in (0, 1, 2, 3, 4, 7, 2.5, -1, -2, np.inf, -np.inf):
        with np.errstate(all="ignore"):
            got = run(lambda t, p=p: t**p, way)(cr.tensor(x)).numpy()
            np.testing.assert_allclose(got, x**p, rtol=1e-14)
    for p, wanted in ((0, 0.0), (1, 1.0), (2, 0.0), (3, 0.0), (4, 0.0), (2.5, 0.0)):
        slope = run(cr.grad(lambda t, p=p: (t**p).sum()), way)
        assert slope(cr.tensor([0.0])).tolist() == [wanted]
    assert run(cr.grad(lambda t: (t**0).sum()), way)(cr.tensor(x)).tolist() == [0.0] * 6


def test_powers_in_float32_are_exact_to_the_last_place() -> None:
    x = np.linspace(0.1, 20, 997, dtype=np.float32)
    for p in (2.25, 4, 7, -3, 0.125):  # which float32 has
        wanted = x.astype(np.float64) ** p
        got = (cr.tensor(x) ** p).numpy()
        assert np.max(np.abs(got / wanted - 1)) < 2.0**-22


def test_exponents_of_any_kind() -> None:
    x = cr.tensor([1.0, 2.0, 3.0])
    two = np.float32(2)
    assert (x**two).dtype is (x ** np.int64(2)).dtype is cr.float32
    assert (2.0**x).tolist() == [2.0, 4.0, 8.0]
    assert (2**x).dtype is cr.float32
    assert (x ** cr.tensor([2, 1, 0])).tolist() == [1.0, 2.0, 1.0]
    assert (cr.tensor([2, 3]) ** 2).tolist() == [4, 9]
    assert (cr.tensor([2.0, 4.0]) ** -1).tolist() == [0.5, 0.25]
    for x in (cr.tensor([2, 4]), cr.tensor([True])):
        with pytest.raises(ArgumentError, match="negative power"):
            x**-2
    cr.check_gradients(lambda a, b: a**b, [0.5, 2.0], [1.5, -2.0])
    cr.check_gradients(lambda a: 2.0**a, [0.5, -1.0])


def test_both_ends_of_a_line_are_exact() -> None:
    a, b = cr.tensor([1e8, 1.0]), cr.tensor([1.0, 1e8])
    assert cr.lerp(a, b, 0.0).tolist() == a.tolist()
    assert cr.lerp(a, b, 1.0).tolist() == b.tolist()


# -- scalars, arrays, truth -----------------------------------------------------------


def test_numpys_scalars_and_arrays_beside_tensors() -> None:
    w = cr.tensor([1.0, 2.0], requires_grad=True)
    array = np.array([3.0, 4.0], np.float32)
    for made in (array * w, w * array, np.float64(3.0) * w, np.float32(3.0) * w):
        assert isinstance(made, cr.Tensor)
        assert made.dtype is cr.float32
    (array * w + array / w).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), [3 - 3, 4 - 1], rtol=1e-6)
    assert (np.arange(2) @ cr.tensor([1, 2])).item() == 2
    assert (array > cr.tensor([3.5, 3.5])).tolist() == [False, True]
    for lost in (np.sin, np.sum, np.mean, lambda t: np.concatenate([t, t])):
        with pytest.raises(GradientError, match="NumPy does not remember"):
            lost(w)
    assert np.sum(w.detach()) == 3.0


@ways
def test_truth_values_are_added_and_multiplied_as_numpy_does(
    way: str,
) -> None:
    a, b = np.array([True, True, False, False]), np.array([True, False, True, False])
    f = run(lambda x, y: (x + y, x * y, x & y, x | y, x ^ y, ~x, x == y, x != y), way)
    wanted = (a | b, a & b, a & b, a | b, a ^ b, ~a, a == b, a != b)
    for got, w in zip(f(cr.tensor(a), cr.tensor(b)), wanted, strict=True):
        assert got.dtype is cr.bool
        np.testing.assert_array_equal(got.numpy(), w)
    for refused in (lambda: cr.tensor(a) - cr.tensor(b), lambda: -cr.tensor(a)):
        with pytest.raises(DTypeError, match="truth values"):
            refused()


def test_many_numbers_have_no_truth() -> None:
    x = cr.tensor([1.0, 2.0])
    with pytest.raises(ShapeError, match=r"neither true nor false(.|\n)*any"):
        0 < x < 3  # noqa: B015
    assert 0 < cr.tensor([1.0]) < 3
    assert x != None  # noqa: E711
    assert x != "x"


@pytest.mark.parametrize("read", [float, int, bool, lambda x: x.item(), repr, list])
def test_numbers_are_not_read_while_tracing(read: Any) -> None:
    def peek(x: Any) -> Any:
        read(x.sum())
        return x

    if read is repr:
        cr.compile(peek, engine="numpy")(np.ones(2))
        return
    with pytest.raises((ArgumentError, ShapeError)):
        cr.compile(peek, engine="numpy")(np.ones(2))


# -- derivatives ----------------------------------------------------------------------


@ways
def test_functions_and_derivatives_where_a_part_of_them_overflows(
    way: str,
) -> None:
    far = [-1e30, -800.0, 800.0, 1e30]
    for name, wanted in (("asinh", 0.0), ("tanh", 0.0), ("sigmoid", 0.0)):
        slope = run(cr.grad(lambda x, n=name: getattr(x, n)().sum()), way)
        got = slope(cr.tensor(far, dtype="float64")).numpy()
        np.testing.assert_allclose(got, wanted, atol=2e-3)
    x = cr.tensor([0.0, 1e200, -1e200], dtype="float64")
    y = cr.tensor([0.0, 1e200, 0.0], dtype="float64")
    value, slope = run(cr.value_and_grad(lambda a, b: a.hypot(b).sum()), way)(x, y)
    assert np.isfinite(float(value.detach()))
    np.testing.assert_allclose(slope.numpy()[1:], [0.5**0.5, -1.0], rtol=1e-12)
    zero = run(cr.grad(lambda a: a.norm()), way)(cr.zeros(3))
    assert zero.tolist() == [0.0, 0.0, 0.0]


# -- data, in place -------------------------------------------------------------------


def test_data_is_the_numbers_themselves() -> None:
    w = cr.tensor([1.0, 2.0], requires_grad=True)
    assert not w.data.requires_grad
    w.data -= 0.5
    w.data.mul_(2.0)
    w.data[0] = 7.0
    assert w.tolist() == [7.0, 3.0]
    w.data = cr.tensor([0.0, 1.0])
    w.data.zero_()
    assert w.tolist() == [0.0, 0.0]
    assert w.requires_grad
    assert w.is_leaf


def test_in_place_changes_the_object_and_no_other() -> None:
    w = cr.tensor([1.0, 2.0], requires_grad=True)
    x = w * 2.0
    alias, other = x, x + 0.0
    x += 1.0
    x.mul_(3.0)
    assert alias is x
    assert other.tolist() == [2.0, 4.0]
    x.sum().backward()
    assert w.grad.tolist() == [6.0, 6.0]
    n = cr.tensor([1, 2])
    with pytest.raises(DTypeError, match="keeps the dtype"):
        n += 0.5
    with pytest.raises(ShapeError, match="keeps the shape"):
        n += cr.zeros((2, 2), dtype="int64")
    with cr.no_grad(), pytest.raises(GradientError, match="no_grad"):
        x += 1.0


def test_in_place_while_compiled(engine: str) -> None:
    total = cr.zeros(2)

    def f(x: Any) -> Any:
        nonlocal total
        y = x * 2.0
        y += 1.0
        y[0] -= 3.0
        total += y
        return y

    run = cr.compile(f, engine=engine)
    assert run(cr.tensor([1.0, 2.0])).tolist() == [0.0, 5.0]
    run(cr.tensor([1.0, 2.0]))
    assert total.tolist() == [0.0, 10.0]


# -- warnings, sizes ------------------------------------------------------------------


def test_warnings_are_of_the_users_line() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        cr.tensor([1.0]) / 0.0
        line = inspect.currentframe().f_lineno - 1
    assert str(seen[0].message) == "divide by zero encountered in div"
    assert (seen[0].filename, seen[0].lineno) == (__file__, line)
    with warnings.catch_warnings(), np.errstate(divide="ignore"):
        warnings.simplefilter("error")
        assert (cr.tensor([1.0]) / 0.0).tolist() == [np.inf]
    with np.errstate(over="raise"), pytest.raises(FloatingPointError, match="overflow"):
        cr.tensor([1000.0]).exp()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cr.tensor([-1000.0]).exp()  # underflow is no news


def test_sizes_are_counts_and_answer_as_pytorchs() -> None:
    x = cr.zeros(2, 3)
    assert x.size == 6 == x.size + 0
    assert x.size() == (2, 3)
    assert x.size(0) == x.size(dim=-2) == 2
    assert (x.numel(), x.dim(), x.ndim, len(x), x.nbytes) == (6, 2, 2, 2, 24)

    def f(x: Any) -> Any:
        return x.reshape(x.size(0), -1) / x.size(1), cr.arange(x.shape[0])

    run = cr.compile(f, engine="numpy", shapes={"x": ("N", 4)})
    for n in (3, 5):
        y, count = run(np.ones((n, 4), np.float32))
        assert y.shape == (n, 4)
        assert count.tolist() == list(range(n))
    assert len(run.programs) == 1


def test_results_are_tensors_and_no_parameters() -> None:
    p = cr.nn.Parameter(cr.tensor([1.0, -2.0]))
    for made in (p.abs(), +p, p[0], p.view(2, 1), p.data, p.clone(), p**1):
        assert type(made) is not cr.nn.Parameter
        assert made is not p


def test_a_result_never_shares_what_is_tracked() -> None:
    x = cr.tensor([1.0, 2.0])
    for y in (x**1, x.positive(), x.roll(0), x.tile(1), cr.zeros(2), x.clip()):
        y.requires_grad_()
        assert not x.requires_grad
    assert not cr.zeros(2).requires_grad
