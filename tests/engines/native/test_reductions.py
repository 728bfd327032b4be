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


def compared(x: np.ndarray[Any, Any], axis: int, name: str, threads: int) -> None:
    def run(value: cr.Tensor) -> cr.Tensor:
        function = getattr(cr, name)
        if name == "amax":
            return function(value, dim=axis)
        return function(value, axis=axis, dtype=value.dtype)

    made = cr.compile(run, engine="native", threads=threads)(cr.tensor(x)).numpy()
    np.testing.assert_array_equal(made, one_after_another(x, axis, name))


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("columns", [1, 3, 4, 8, 16, 37, 64, 130, 333])
def test_columns(name: str, dtype: str, threads: int, columns: int) -> None:
    compared(numbers((23, columns), dtype), 0, name, threads)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rows", [1, ROWS - 1, ROWS, 3 * ROWS + 2])
def test_rows(name: str, dtype: str, threads: int, rows: int) -> None:
    compared(numbers((rows, 41), dtype), 1, name, threads)
    compared(numbers((2, rows, LANES_FROM - 1), dtype), 2, name, threads)


@pytest.mark.parametrize("at", [0, 3, 40])
def test_nan_wins_in_each_line(at: int) -> None:
    x = numbers((2 * ROWS + 1, 41), "float32")
    x[::3, at] = np.nan
    made = cr.compile(lambda v: cr.amax(v, dim=1), engine="native")(cr.tensor(x))
    np.testing.assert_array_equal(made.numpy(), x.max(1))
