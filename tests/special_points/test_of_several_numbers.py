"""Derivatives of order 0 … 4 along lines through special points, against exact ones."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest
from mpmath import mpf

import chainrule as cr
from chainrule.tensor import Tensor
from tests.special_points.lines import ALL, DIRECTIONS, TWO, Lines, Point
from tests.special_points.oracle import derivatives, rounded
from tests.special_points.test_of_one_number import slope_of
from tests.ways import WAYS

ORDERS = 4


def along(lines: Lines, dtype: str) -> tuple[Tensor, Tensor]:
    """Every point with every direction."""
    directions = DIRECTIONS[len(lines.points[0])]
    x = [p for p in lines.points for _ in directions]
    v = [d for _ in lines.points for d in directions]
    return cr.tensor(x, dtype=dtype), cr.tensor(v, dtype=dtype)


def taken(lines: Lines, x: Tensor, v: Tensor, orders: int) -> list[Tensor]:
    """d/dt at t = 0 of f(x + t v), of orders 0 … ``orders``."""

    def function(t: Tensor) -> Tensor:
        return lines.call(x + t.reshape(-1, 1) * v)

    t = cr.zeros((x.shape[0],), dtype=x.dtype)
    made = [function(t)]
    for _ in range(orders):
        function = slope_of(function)
        made.append(function(t))
    return made


@functools.cache
def exact(index: int, point: Point, direction: Point) -> tuple[list[Any], list[Any]]:
    piece = ALL[index].exact(point)
    x, v = list(map(mpf, point)), list(map(mpf, direction))

    def function(t: Any) -> Any:
        return piece([a + t * b for a, b in zip(x, v)])

    return derivatives(function, 0.0, ORDERS + 1, False)


def wrong(index: int, dtype: str, point: Point, got: list[list[float]]) -> list[str]:
    """What is further from the exact derivatives than rounding explains."""
    lines, limits, made = ALL[index], np.finfo(dtype), []
    directions = DIRECTIONS[len(point)]
    special = lines.at.get(point)
    if special is not None:
        want = [([*map(mpf, special), mpf(0)], [mpf(0)] * 6) for _ in directions]
    else:
        want = [exact(index, point, d) for d in directions]
    reach = max(map(abs, point))
    for k in range(len(got[0])):
        size = max(abs(w[k]) + reach * abs(w[k + 1]) for w, _ in want)
        unit = lines.unit * max(1.0, reach) if k == 0 else lines.unit
        for numbers, direction, (w, noise) in zip(got, directions, want):
            allowed = 32 * 4**k * float(limits.eps) * (size + unit)
            allowed += 16 * float(limits.tiny) + noise[k]
            nearest, number = rounded(w[k], np.dtype(dtype).type), numbers[k]
            if math.isfinite(nearest):
                right = math.isfinite(number) and abs(mpf(number) - w[k]) <= allowed
            else:
                right = number == nearest
            if dtype == "float32" and reach > 1e19:
                right |= not (math.isfinite(number) and math.isfinite(numbers[0]))
            if not right:
                made.append(
                    f"{lines} of order {k} at {point} along {direction}: {number!r},"
                    f" exactly {float(w[k])!r}"
                )
    return made


def check(dtype: str, engine: str | None = None) -> None:
    given = [along(lines, dtype) for lines in ALL]

    def everything(*xs: Any) -> list[list[Tensor]]:
        return [taken(lines, x, v, ORDERS) for lines, (x, v) in zip(ALL, xs)]

    run = everything if engine is None else cr.compile(everything, engine=engine)
    with np.errstate(all="ignore"):
        found = [[t.numpy() for t in made] for made in run(*given)]
    faults: list[str] = []
    for index, (lines, arrays) in enumerate(zip(ALL, found, strict=True)):
        many = len(DIRECTIONS[len(lines.points[0])])
        for i, point in enumerate(lines.points):
            rows = range(i * many, (i + 1) * many)
            got = [[float(a[row]) for a in arrays] for row in rows]
            faults += wrong(index, dtype, point, got)
    assert not faults, "\n".join(faults)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_eager() -> None:
    check("float64")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("way", WAYS)
def test_every_way(way: str, dtype: str) -> None:
    check(dtype, None if way == "eager" else way)


def test_mixed_derivatives_are_symmetric() -> None:
    """∂²f/∂x∂y = ∂²f/∂y∂x, at y = 0 of x**y too."""
    for lines in TWO:
        x, y = cr.tensor(lines.points, dtype="float64").T

        def f(x: Tensor, y: Tensor) -> Tensor:
            return lines.call(cr.stack([x, y], 1)).sum()  # noqa: B023

        def mixed(first: int) -> np.ndarray:
            inner = cr.grad(f, first)
            return cr.grad(lambda *p: inner(*p).sum(), 1 - first)(x, y).numpy()  # noqa: B023

        a, b = mixed(0), mixed(1)
        np.testing.assert_allclose(a, b, 1e-12, 1e-15, err_msg=str(lines))
