"""Sums, products and maxima along axes: bit for bit in the order that is promised."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engines.native.loops.reductions import LANES_FROM, ROWS

OPERATIONS = {
    "sum": (np.add, 0),
    "prod": (np.multiply, 1),
    "amax": (np.maximum, None),
}
DTYPES = ["float32", "float64", "int32", "uint8"]


def numbers(shape: tuple[int, ...], dtype: str) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(len(shape))
    if dtype.startswith("float"):
        return rng.standard_normal(shape).astype(dtype)
    return rng.integers(0, 4, shape).astype(dtype)


def one_after_another(x: np.ndarray[Any, Any], axis: int, name: str) -> Any:
    """The reduction, element after element."""
    combine, unit = OPERATIONS[name]
    lines = np.moveaxis(x, axis, 0)
    made = lines[0] if unit is None else np.full_like(lines[0], unit)
    for line in lines if unit is not None else lines[1:]:
        made = combine(made, line)
    return made


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
                one_after_another(x, axis, name),
                err_msg=f"{name} of {x.shape} along {axis}",
            )


@pytest.mark.one_in(3)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_columns(dtype: str, threads: int) -> None:
    widths = (1, 3, 4, 8, 16, 37, 64, 130, 333)
    arrays = [numbers((23, columns), dtype) for columns in widths]
    compared(arrays, [0] * len(arrays), threads)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threads", [1, 2])
def test_rows(dtype: str, threads: int) -> None:
    heights = (1, ROWS - 1, ROWS, 3 * ROWS + 2)
    flat = [numbers((rows, 41), dtype) for rows in heights]
    deep = [numbers((2, rows, LANES_FROM - 1), dtype) for rows in heights]
    compared(flat + deep, [1] * len(flat) + [2] * len(deep), threads)


@pytest.mark.parametrize("at", [0, 3, 40])
def test_nan_wins_in_each_line(at: int) -> None:
    x = numbers((2 * ROWS + 1, 41), "float32")
    x[::3, at] = np.nan
    made = cr.compile(lambda v: cr.amax(v, dim=1), engine="native")(cr.tensor(x))
    np.testing.assert_array_equal(made.numpy(), x.max(1))
