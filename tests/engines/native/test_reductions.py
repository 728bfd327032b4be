"""Sums, products and maxima along axes: bit for bit in the order that is promised."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engines.native.loops.lines import (
    CHAIN,
    FEW,
    FEW_FROM,
    LANES,
    LANES_FROM,
    ROWS,
    lanes_for,
)

OPERATIONS = {"sum": (np.add, 0), "prod": (np.multiply, 1), "amax": (np.maximum, 0)}
DTYPES = ["float32", "float64", "int32", "uint8"]


def numbers(shape: tuple[int, ...], dtype: str) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(len(shape))
    if dtype.startswith("float"):
        return rng.standard_normal(shape).astype(dtype)
    return rng.integers(0, 4, shape).astype(dtype)


def in_order(x: np.ndarray[Any, Any], axis: int, name: str) -> Any:
    """The reduction, in the order that a line of this length and place has."""
    combine, unit = OPERATIONS[name]
    lines = np.moveaxis(x, axis, 0)
    neighbours = x.strides[axis] == x.itemsize or x.shape[-1] == 1
    lanes = lanes_for(len(lines), neighbours=neighbours) if neighbours else 1
    unit = x.min() if name == "amax" else unit
    made = np.full((lanes, *lines.shape[1:]), unit, x.dtype)
    none = made.copy()

    def chain(rows: np.ndarray[Any, Any], span: int) -> np.ndarray[Any, Any]:
        made = none.copy()
        for start in range(0, len(rows), span * lanes):
            some = rows[start : start + span * lanes]
            if span > 1:
                some = chain(some, span // CHAIN)
            made[: len(some)] = combine(made[: len(some)], some)
        return made

    rounded = name == "sum" and x.dtype.kind == "f"
    made = chain(lines, CHAIN**2 if rounded else 1)
    while len(made) > 1:
        half = len(made) // 2
        made = combine(made[:half], made[half:])
    return made[0]


def compared(arrays: list[np.ndarray[Any, Any]], axes: list[int], threads: int) -> None:
    """Reduce each array along its axis in every way, in one program."""

    def run(values: list[cr.Tensor]) -> list[list[cr.Tensor]]:
        return [
            [
                cr.sum(value, axis=axis, dtype=value.dtype),
                cr.prod(value, axis=axis, dtype=value.dtype),
                cr.amax(value, dim=axis),
            ]
            for value, axis in zip(values, axes)
        ]

    given = [cr.tensor(x) for x in arrays]
    made = cr.compile(run, engine="native", threads=threads)(given)
    for x, axis, results in zip(arrays, axes, made, strict=True):
        for name, result in zip(OPERATIONS, results, strict=True):
            np.testing.assert_array_equal(
                result.numpy(),
                in_order(x, axis, name),
                err_msg=f"{name} of {x.shape} along {axis}",
            )


@pytest.mark.one_in(3)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_columns(dtype: str, threads: int) -> None:
    widths = (1, 3, 4, 8, 16, 37, 64, 130, 333)
    arrays = [near_one((23, columns), dtype) for columns in widths]
    compared(arrays, [0] * len(arrays), threads)


LENGTHS = (
    *(1, 3, FEW_FROM - 1, FEW_FROM, FEW_FROM + 1, FEW - 1, FEW, FEW + 1, 3 * FEW + 5),
    *(LANES_FROM - 1, LANES_FROM, LANES_FROM + 1, 5 * LANES, 5 * LANES + 37),
)


def near_one(shape: tuple[int, ...], dtype: str) -> np.ndarray[Any, Any]:
    """Numbers whose products stay what can be represented."""
    x = numbers(shape, dtype)
    return 1 + x / 10 if dtype.startswith("float") else x


@pytest.mark.one_in(3)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threads", [1, 2])
def test_rows(dtype: str, threads: int) -> None:
    heights = (1, ROWS - 1, ROWS, 3 * ROWS + 2, 3 * FEW + 5)
    flat = [near_one((rows, 41), dtype) for rows in heights]
    deep = [near_one((2, rows, 19), dtype) for rows in heights]
    compared(flat + deep, [1] * len(flat) + [2] * len(deep), threads)


@pytest.mark.parametrize("threads", [1, 2])
def test_long_sums_are_sums_of_sums(threads: int) -> None:
    """Their roundings do not grow with every term."""
    counts = (CHAIN, CHAIN + 1, 2 * CHAIN + 5, CHAIN**2, CHAIN**2 + CHAIN + 1, 20_000)
    columns = [near_one((n, 5), "float32") for n in counts]
    rows = [near_one((3, n * LANES // 4), "float32") for n in counts]
    arrays, axes = columns + rows, [0] * len(counts) + [1] * len(counts)

    def run(values: list[cr.Tensor]) -> list[cr.Tensor]:
        return [value.sum(axis) for value, axis in zip(values, axes)]

    given = [cr.tensor(x) for x in arrays]
    for x, axis, made in zip(
        arrays, axes, cr.compile(run, engine="native", threads=threads)(given)
    ):
        np.testing.assert_array_equal(made.numpy(), in_order(x, axis, "sum"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_each_length(dtype: str) -> None:
    arrays = [near_one((19, length), dtype) for length in LENGTHS]
    compared(arrays, [1] * len(arrays), 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threads", [1, 2])
def test_columns_of_many_matrices(dtype: str, threads: int) -> None:
    arrays = [near_one((7, 12, columns), dtype) for columns in (2, 16, 37, 130)]
    compared(arrays, [1] * len(arrays), threads)


def test_lengths_that_vary_have_the_order_of_fixed_ones() -> None:
    def run(x: cr.Tensor) -> Any:
        return x.sum(1), x.sum(0), x.prod(1), x.amax(1), x @ x[0]

    varying = cr.compile(run, engine="native", shapes={"x": ("N", "T")})
    for length in LENGTHS[1:]:  # one column is a line itself
        x = cr.tensor(near_one((37, length), "float32"))
        fixed = cr.compile(run, engine="native")
        for mine, other in zip(varying(x), fixed(x), strict=True):
            np.testing.assert_array_equal(mine.numpy(), other.numpy(), f"{length}")
    assert len(varying.programs) == 1


def test_lines_over_several_axes() -> None:
    x = numbers((3, 4, 5, 33), "float64")

    def run(x: cr.Tensor) -> Any:
        return x.sum((0, 3)), x.sum((0, 2)), x.sum((0, 1)), x.amax((1, 3))

    wanted = x.sum((0, 3)), x.sum((0, 2)), x.sum((0, 1)), x.max((1, 3))
    for threads in (1, 2, 3):
        made = cr.compile(run, engine="native", threads=threads)(cr.tensor(x))
        for one, two in zip(made, wanted, strict=True):
            np.testing.assert_allclose(one.numpy(), two, atol=1e-13)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("step", [2, 3, -1])
def test_lines_with_gaps(length: int, step: int) -> None:
    x = numbers((9, 3 * length), "float64")

    def run(x: cr.Tensor) -> Any:
        part = x[:, ::step] if step > 0 else x.flip(1)
        return part.sum(1), part.amax(1), part.prod(1)

    part = x[:, ::step]
    wanted = part.sum(1), part.max(1), part.prod(1)
    for mine, other in zip(cr.compile(run, engine="native")(cr.tensor(x)), wanted):
        np.testing.assert_allclose(mine.numpy(), other, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kind", ["any", "all"])
def test_truth_of_each_line(kind: str) -> None:
    rng = np.random.default_rng(0)
    for shape in [(21, n) for n in LENGTHS] + [(3, 21, 5), (3, 5, 130)]:
        x = rng.random(shape) < (0.02 if kind == "any" else 0.98)
        for axis in range(len(shape)):
            run = cr.compile(
                lambda v, axis=axis: getattr(v, kind)(axis), engine="native"
            )
            wanted = getattr(x, kind)(axis)
            np.testing.assert_array_equal(run(cr.tensor(x)).numpy(), wanted)


@pytest.mark.parametrize("at", [0, 3, 40])
def test_nan_wins_in_each_line(at: int) -> None:
    x = numbers((2 * ROWS + 1, 41), "float32")
    x[::3, at] = np.nan
    made = cr.compile(lambda v: cr.amax(v, dim=1), engine="native")(cr.tensor(x))
    np.testing.assert_array_equal(made.numpy(), x.max(1))


@pytest.mark.parametrize("engine", ["native", "numpy"])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_sum_of_a_number_that_is_the_same_everywhere(
    engine: Any, threads: int
) -> None:
    def run(x: cr.Tensor) -> Any:
        wide = x.sum().expand(64, 96)
        return wide.sum(), (wide * 2 + 1).sum(), wide.mean(), wide.sum(1)

    x = cr.tensor([1.0, 2.0, 0.5])
    made = cr.compile(run, engine=engine, threads=threads)(x)
    wanted = [3.5 * 6144, 8 * 6144, 3.5, np.full(64, 3.5 * 96)]
    for one, two in zip(made, wanted, strict=True):
        np.testing.assert_array_equal(one.numpy(), np.float32(two))
