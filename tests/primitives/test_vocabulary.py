"""What the vocabulary promises where conformance does not look: ends and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.autodiff import vjp
from chainrule.engines import load_engine
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.emit import trace
from chainrule.graph.node import Value
from chainrule.graph.primitive import REFERENCES
from chainrule.graph.types import ArrayType, DType, SymbolicDim, type_of
from chainrule.primitives.conv import conv
from chainrule.primitives.elementwise import (
    abs_,
    convert,
    copysign,
    floor,
    maximum,
    minimum,
    nextafter,
    pow_,
    round_,
    sign,
)
from chainrule.primitives.indexing import (
    dynamic_slice,
    dynamic_update_slice,
    gather,
    put_rows,
    scatter_add,
    scatter_add_along,
    take,
)
from chainrule.primitives.integers import (
    floor_divide,
    remainder,
    shift_left,
    shift_right,
)
from chainrule.primitives.matmul import dot, dot_general
from chainrule.primitives.random import random_bits
from chainrule.primitives.reduce import argmax, argmin, cumprod, reduce_max, reduce_prod
from chainrule.primitives.sorting import argsort
from chainrule.primitives.trigonometry import atan2
from chainrule.primitives.windows import window_argmax, window_max
from tests.conformance.test_engines import ENGINES, program_of

INF, NAN = np.inf, np.nan


def slopes(function: Any, *arrays: Any) -> list[np.ndarray]:
    """The derivatives of the sum of the results."""
    values = tuple(Value(np.asarray(a, np.float64), tracked=True) for a in arrays)
    y = function(*values)
    g = Value(np.ones(y.shape))
    back = vjp(function, values, [g], [True] * len(values), {})
    return [v.array for v in back if v is not None and v.array is not None]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_slopes_of_powers_at_the_ends() -> None:
    x = [0.0, 0.0, 0.0, 0.0, -0.0, -0.0, NAN, NAN, INF, 2.0, -2.0]
    p = [3.0, 1.0, 0.5, 0.0, 2.0, 0.5, 0.0, 1.0, 0.5, 3.0, 3.0]
    by_x, by_p = slopes(pow_, x, p)
    want = [0, 1, INF, 0, 0, INF, 0, 1, 0, 12, 12]
    np.testing.assert_array_equal(by_x, want)
    with np.errstate(all="ignore"):
        want = [0, 0, 0, 0, 0, 0, NAN, NAN, INF, 8 * np.log(2), NAN]
    np.testing.assert_allclose(by_p, want)


def test_second_slopes_of_powers_at_zero() -> None:
    def first(x: Value, p: Value) -> Value:
        (back, *_) = vjp(
            pow_, (x, p), [Value(np.ones(x.shape), tracked=True)], [True, False], {}
        )
        return back

    x, p = [0.0, 0.0, 0.0, 0.0], [3.0, 2.0, 1.0, 0.0]
    np.testing.assert_array_equal(slopes(first, x, p)[0], [0, 2, 0, 0])


@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_slopes_of_products_with_zeros(zeros: int, rng: np.random.Generator) -> None:
    x = rng.uniform(0.5, 2, (3, 4))
    x[1, :zeros] = 0
    others = np.array(
        [[np.prod(np.delete(x.ravel(), 4 * i + j)) for j in range(4)] for i in range(3)]
    )
    (got,) = slopes(lambda v: reduce_prod(v, axes=(0, 1)), x)
    np.testing.assert_allclose(got, others, rtol=1e-12)
    (got,) = slopes(lambda v: cumprod(v, axis=1, reverse=False), x)
    want = np.zeros_like(x)
    for i in range(4):
        for j in range(i, 4):
            keep = [k for k in range(j + 1) if k != i]
            want[:, i] += x[:, keep].prod(axis=1)
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_the_angle_has_slopes_without_overflow() -> None:
    y, x = [0.0, 1e200, 3.0, 1.0], [0.0, 1e200, -4.0, INF]
    by_y, by_x = slopes(atan2, y, x)
    np.testing.assert_allclose(by_y, [0, 5e-201, -0.16, 0], rtol=1e-12)
    np.testing.assert_allclose(by_x, [0, -5e-201, -0.12, 0], rtol=1e-12)


def on_engines(function: Any, *arrays: Any) -> list[np.ndarray]:
    """The first result of eager code and of each engine."""
    given = [np.asarray(a) for a in arrays]
    graph = trace(function, [type_of(a) for a in given], name="main")
    made = [function(*map(Value, given)).array]
    names = {v.name or "": a for v, a in zip(graph.inputs, given)}
    for engine in ENGINES:
        run = load_engine(engine, program_of(graph), threads=2).run
        made.append(run("main", names, steps=1, sizes={})[0][0])
    return made


#: What is declared where a derivative does not exist: function, inputs, slopes.
KINKS = {
    "reduce_max": (lambda x: reduce_max(x, axes=(0,)), [[1, 3, 3]], [[0, 0.5, 0.5]]),
    "reduce_max, all": (lambda x: reduce_max(x, axes=(0,)), [[2, 2]], [[0.5, 0.5]]),
    "maximum": (maximum, [[2.0], [2.0]], [[0], [1]]),
    "minimum": (minimum, [[2.0], [2.0]], [[0], [1]]),
    "abs": (abs_, [[0.0, -0.0]], [[0, 0]]),
    "sign": (sign, [[0.0]], [[0]]),
    "floor": (floor, [[2.0]], [[0]]),
    "round": (round_, [[0.5, 1.5]], [[0, 0]]),
    "copysign": (copysign, [[0.0], [-1.0]], [[0], [0]]),
    "nextafter": (nextafter, [[1.0], [1.0]], [[1], [0]]),
    "floor_divide": (floor_divide, [[4.0], [2.0]], [[0], [0]]),
    "remainder": (remainder, [[4.0, -4.0], [2.0, 2.0]], [[1, 1], [-2, 2]]),
}


@pytest.mark.parametrize(("function", "xs", "wanted"), KINKS.values(), ids=KINKS)
def test_slopes_at_kinks_are_those_declared(function, xs, wanted) -> None:
    made = slopes(function, *(np.asarray(x, np.float64) for x in xs))
    for got, want in zip(made, wanted, strict=True):
        np.testing.assert_array_equal(got, want)


def test_products_add_up_in_the_dtype_that_they_name() -> None:
    """1e8 + 1 − 1e8 is 1 in float64 and 0 in float32, on each of up to 64 lanes."""
    x = np.repeat(np.array([[1e8, 1, -1e8]], np.float32), 64, axis=1)
    ones = np.ones_like(x)
    wide = {"accumulate": DType.float64}

    def product(a: Value, b: Value) -> Any:
        return dot_general(a, b, dims="ni,oi->no", **wide)

    def convolution(a: Value, b: Value) -> Any:
        one = (1,)
        attrs = {"strides": one, "padding": ((0, 0),)}
        attrs |= {"lhs_dilation": one, "rhs_dilation": one}
        return conv(a, b, dims="nc0,oc0->no0", **attrs, **wide)

    for got in on_engines(product, x, ones):
        np.testing.assert_array_equal(got, [[64]])
    for got in on_engines(convolution, x[..., None], ones[..., None]):
        np.testing.assert_array_equal(got, [[[64]]])


def test_floats_become_the_nearest_integer_in_range() -> None:
    x = np.array([-1.5, -1e30, 1e30, INF, -INF, NAN, 255.9, 256.0, -0.9])
    for got in on_engines(lambda v: convert(v, dtype=DType.uint8), x):
        np.testing.assert_array_equal(got, [0, 0, 255, 255, 0, 0, 255, 255, 0])
    high = np.iinfo(np.int64).max
    x = np.array([9.3e18, -9.3e18, 2.0**62, NAN])
    for got in on_engines(lambda v: convert(v, dtype=DType.int64), x):
        np.testing.assert_array_equal(got, [high, -high - 1, 2**62, 0])


def test_negative_powers_of_integers_round_towards_zero() -> None:
    x = np.array([2, -2, 1, -1, -1, 0, 7], np.int32)
    p = np.array([-1, -3, -5, -4, -3, -1, 30], np.int32)
    want = [0, 0, 1, 1, -1, 0, np.int32(7**30 % 2**32 - 2**32 * (7**30 % 2**32 >> 31))]
    for got in on_engines(pow_, x, p):
        np.testing.assert_array_equal(got, want)


def test_shifts_by_bits_that_do_not_exist_push_all_out() -> None:
    x = np.array([-5, -5, 5, 5], np.int16)
    n = np.array([16, -1, 16, -1], np.int16)
    for got in on_engines(shift_right, x, n):
        np.testing.assert_array_equal(got, [-1, -1, 0, 0])
    for got in on_engines(shift_left, x, n):
        np.testing.assert_array_equal(got, [0, 0, 0, 0])


REFUSED = {
    "take": (take, [np.ones((3, 2)), np.array([0, 3])]),
    "take, negative": (take, [np.ones((3, 2)), np.array([2, -1])]),
    "put_rows": (put_rows, [np.ones(3), np.array([-1]), np.ones(1)]),
    "scatter_add": (scatter_add, [np.ones(3), np.array([-1]), np.ones(1)]),
    "gather": (lambda x, i: gather(x, i, axis=0), [np.ones(3), np.array([0, 3])]),
    "gather, negative": (
        lambda x, i: gather(x, i, axis=1),
        [np.ones((2, 3)), np.array([[0], [-1]])],
    ),
    "scatter_add_along": (
        lambda x, i, u: scatter_add_along(x, i, u, axis=0),
        [np.ones(3), np.array([3]), np.ones(1)],
    ),
    "dynamic_slice": (
        lambda x, i: dynamic_slice(x, i, sizes=(2,)),
        [np.ones(5), np.array(4)],
    ),
    "dynamic_update_slice": (
        lambda x, u, i: dynamic_update_slice(x, u, i),
        [np.ones(5), np.ones(2), np.array(-1)],
    ),
    "an index above all int64": (
        lambda x, i: gather(x, i, axis=0),
        [np.ones(3), np.array([2**63 + 1], np.uint64)],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_outside_is_refused_on_every_engine(name: str) -> None:
    function, arrays = REFUSED[name]
    with pytest.raises(ArgumentError):
        function(*map(Value, arrays))
    graph = trace(function, [type_of(a) for a in arrays], name="main")
    names = {v.name or "": a for v, a in zip(graph.inputs, arrays)}
    for engine in ENGINES:
        executable = load_engine(engine, program_of(graph), threads=2)
        with pytest.raises(ArgumentError):
            executable.run("main", names, steps=1, sizes={})


def test_the_first_of_equal_extremes_wins_and_nan_is_one() -> None:
    x = [[2.0, 7, 7, 1, 1], [0, -0.0, 0, -0.0, 0], [1, NAN, INF, NAN, -INF]]
    for got in on_engines(lambda v: argmax(v, axis=1), np.array(x)):
        np.testing.assert_array_equal(got, [1, 0, 1])
    for got in on_engines(lambda v: argmin(v, axis=1), np.array(x)):
        np.testing.assert_array_equal(got, [3, 0, 1])
    for got in on_engines(lambda v: argmax(v, axis=0), np.array(x).T.copy()):
        np.testing.assert_array_equal(got, [1, 0, 1])


def test_sorting_keeps_the_order_of_equals_and_takes_nan_as_largest() -> None:
    x = np.array([2.0, NAN, 1.0, 2.0, -0.0, 0.0, NAN, INF])
    for got in on_engines(lambda v: argsort(v, axis=0, descending=False), x):
        np.testing.assert_array_equal(got, [4, 5, 2, 0, 3, 7, 1, 6])
    for got in on_engines(lambda v: argsort(v, axis=0, descending=True), x):
        np.testing.assert_array_equal(got, [1, 6, 7, 0, 3, 2, 4, 5])


WINDOW: dict[str, Any] = {
    "axes": (0,),
    "window": (3,),
    "strides": (2,),
    "padding": ((1, 1),),
    "dilation": (1,),
}


def test_the_first_of_the_largest_wins_a_window() -> None:
    x = np.array([-3.0, -3.0, -5.0, NAN, NAN, -7.0])
    for got in on_engines(lambda v: window_argmax(v, **WINDOW), x):
        np.testing.assert_array_equal(got, [0, 3, 3])
    (back,) = slopes(lambda v: window_max(v, **WINDOW), [1.0, 1.0, 1.0, 0.0, 2.0])
    np.testing.assert_array_equal(back, [1, 1, 0, 0, 1])


def test_a_window_of_padding_alone_is_refused() -> None:
    x = Value(np.ones(2))
    with pytest.raises(ArgumentError, match="padding alone"):
        window_max(x, **WINDOW | {"padding": ((3, 0),)})


def test_more_random_numbers_than_can_be_counted_are_refused() -> None:
    key, step = ArrayType((2,), DType.uint32), ArrayType((), DType.uint32)
    rule, refusal = random_bits.rule, pytest.raises(ShapeError, match="32 bits")
    with refusal:
        rule(key, step, shape=(2**20, 2**13), stream="")
    graph = trace(
        lambda k, s: random_bits(k, s, shape=(SymbolicDim("N"), 2**20), stream=""),
        [key, step],
    )
    arrays = {"x0": np.zeros(2, np.uint32), "x1": np.zeros((), np.uint32)}
    for engine in ENGINES:
        executable = load_engine(engine, program_of(graph), threads=1)
        # The NumPy engine asks for the memory first, which may not be there.
        with pytest.raises((ShapeError, MemoryError)):
            executable.run("main", arrays, steps=1, sizes={"N": 2**13})
    with refusal:
        REFERENCES[random_bits](*arrays.values(), shape=(2**33,), stream="")


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("dims", "left", "right"),
    [
        ("bhqd,bhkd->bhqk", (2, 3, 5, 4), (2, 3, 7, 4)),
        ("bhqk,bhkd->bhqd", (2, 3, 5, 7), (2, 3, 7, 4)),
        ("bqhd,bkhd->bhqk", (9, 5, 3, 4), (9, 7, 3, 4)),
        ("nti,oi->nto", (3, 5, 4), (6, 4)),
        ("nti,nto->oi", (3, 5, 4), (3, 5, 6)),
        ("tin,tno->io", (3, 5, 4), (3, 4, 6)),
        ("abx,bay->xy", (3, 5, 4), (5, 3, 6)),
        ("bi,bio->bo", (4, 5), (4, 5, 6)),
        ("a,b->ab", (3,), (4,)),
        ("ab,cd->acbd", (3, 2), (4, 5)),
    ],
)
def test_products_of_many_letters(
    dims: str, left: tuple[int, ...], right: tuple[int, ...], rng: np.random.Generator
) -> None:
    """Against einsum, in floats and integers, read straight and turned."""
    for dtype in (np.float32, np.int16):
        x, y = (rng.integers(-9, 9, s).astype(dtype) for s in (left, right))
        want = np.einsum(dims, x.astype(np.int64), y.astype(np.int64))
        for got in on_engines(lambda a, b: dot(a, b, dims), x, y):
            np.testing.assert_array_equal(got, want.astype(dtype))
