"""Derivatives of order 0 … 4 at special points, against exact ones."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from mpmath import mpf

import chainrule as cr
from chainrule.tensor import Tensor
from tests.special_points.oracle import derivatives, rounded
from tests.special_points.rows import ROWS, Row
from tests.ways import ENGINES

ORDERS = 4
#: Points of either sign, in float32 too: zero, tiny, kinks, saturation, the last eˣ.
SIZES = (0.0, 2.0**-66, 2.0**-17, 0.5, 1.0, 2.0, 3.0, 6.0, 20.0, 88.5, 100.0, 709.5)
#: Far away.
FAR = (1e5, 2.0**66)
#: Machine code for all of the rows takes its time.
SLOW_NATIVE = [
    pytest.param(e, marks=[pytest.mark.slow] if e == "native" else []) for e in ENGINES
]
#: Sines are worked out exactly up to here.
TURNS = 1e6


def points(row: Row, dtype: str) -> list[float]:
    limits = np.finfo(dtype)
    sizes = (*SIZES, *FAR, 16 * float(limits.tiny), 1 - 64 * float(limits.eps))
    low, high = row.domain
    made = {s * sign for s in sizes for sign in (1, -1)}
    turns = any(
        name in row.names for name in ("sin ", "cos ", "tan ")
    ) or row.names in (
        "cr.sin",
        "cr.cos",
        "cr.tan",
    )
    return sorted(
        x for x in made if low <= x <= high and not (turns and abs(x) > TURNS)
    )


def taken(row: Row, x: Tensor, orders: int) -> list[Tensor]:
    """f, f′, f″ …, element by element."""
    function, made = row.call, [row.call(x)]
    for _ in range(orders):
        function = slope_of(function)
        made.append(function(x))
    return made


def slope_of(function: Any) -> Any:
    return cr.grad(lambda t: function(t).sum())


@functools.cache
def exact(index: int, x: float) -> tuple[list[Any], list[Any]]:
    """The orders 0 … 5 of a row; the last for what rounding x does."""
    row = ROWS[index]
    return derivatives(row.exact(x), x, ORDERS + 1, row.singular)


def _said(special: Sequence[float]) -> tuple[list[Any], list[Any]]:
    """What a row says itself, in which rounding x plays no part."""
    return [*map(mpf, special), mpf(0)], [mpf(0)] * (ORDERS + 1)


def wrong(index: int, dtype: str, x: float, got: list[float]) -> list[str]:
    """What is further from the exact derivatives than rounding explains."""
    row, limits = ROWS[index], np.finfo(dtype)
    made: list[str] = []
    special = row.at.get(x)
    want, noise = exact(index, x) if special is None else _said(special)
    for k, number in enumerate(got):
        error = abs(mpf(number) - want[k])
        size = abs(want[k]) + (0 if special else abs(mpf(x) * want[k + 1]))
        unit = row.unit * max(1.0, abs(x)) if k == 0 else row.unit
        allowed = 16 * 4**k * float(limits.eps) * (size + unit)
        allowed += 16 * float(limits.tiny) + noise[k]
        nearest = rounded(want[k], np.dtype(dtype).type)
        if math.isinf(nearest) or math.isnan(nearest):
            right = number == nearest or (math.isnan(number) and math.isnan(nearest))
        else:
            right = error <= allowed
        if not right and not (abs(x) >= row.far and not math.isfinite(number)):
            made.append(
                f"{row} of order {k} at {x!r}: {number!r}, exactly {float(want[k])!r}"
            )
    return made


def check(dtype: str, found: list[list[np.ndarray]]) -> None:
    faults: list[str] = []
    for index, (row, arrays) in enumerate(zip(ROWS, found, strict=True)):
        for i, x in enumerate(points(row, dtype)):
            faults += wrong(index, dtype, x, [float(a[i]) for a in arrays])
    assert not faults, "\n".join(faults)


def everything(dtype: str, orders: int, engine: str | None) -> list[list[np.ndarray]]:
    given = [cr.tensor(points(row, dtype), dtype=dtype) for row in ROWS]

    def all_of_them(*xs: Tensor) -> list[list[Tensor]]:
        return [taken(row, x, orders) for row, x in zip(ROWS, xs)]

    run = all_of_them if engine is None else cr.compile(all_of_them, engine=engine)
    with np.errstate(all="ignore"):
        return [[t.numpy() for t in made] for made in run(*given)]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_eager() -> None:
    """In float32, whose ends lie elsewhere, up to order 2; all with the slow tests."""
    for dtype, orders in (("float64", ORDERS), ("float32", 2)):
        check(dtype, everything(dtype, orders, None))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("engine", SLOW_NATIVE)
def test_engines_give_the_eager_numbers(engine: str) -> None:
    """First derivatives; those of higher order are slow to compile."""
    eager, compiled = (everything("float64", 1, way) for way in (None, engine))
    for row, here, there in zip(ROWS, eager, compiled, strict=True):
        for a, b in zip(here, there, strict=True):
            least = max(row.unit * 1e-15, 1e-300)
            np.testing.assert_allclose(b, a, 1e-13, least, err_msg=str(row))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("engine", [None, *ENGINES])
def test_engines(engine: str | None, dtype: str) -> None:
    check(dtype, everything(dtype, ORDERS, engine))
