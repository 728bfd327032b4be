"""Calls of every function of the array API standard 2024.12 that Chainrule has.

A call is arguments and keywords, with NumPy arrays where tensors go. They are drawn
from every dtype that the standard allows for the function, from shapes (0-d, empty,
several axes), and from what floats can be: ±0, ±∞, NaN.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

FLOATS = ("float32", "float64")
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
INTEGERS = SIGNED + UNSIGNED
NUMBERS = INTEGERS + FLOATS
EVERY = ("bool", *NUMBERS)

SHAPES: tuple[tuple[int, ...], ...] = ((), (0,), (7,), (2, 3), (2, 0, 3), (3, 1, 4))
PAIRS = (((), ()), ((5,), (5,)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((0,), (1,)))

SPECIAL = (-2.5, -1.0, -0.5, -0.0, 0.0, 0.3, 0.5, 1.0, 1.5, 2.5, 7.0, -7.0)
ODD = (np.inf, -np.inf, np.nan)


@dataclass
class Call:
    """One call of a function."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)


#: Functions by name, and their calls.
CALLS: dict[str, list[Call]] = {}
#: How far floats may be apart, in units of the last place of the dtype; 0 for what
#: moves, compares or rounds. Engines have their own exponentials and sines, and sums go
#: in their own order.
UNITS: dict[str, float] = {}


def draw(dtype: str, shape: tuple[int, ...], seed: int = 0, odd: bool = True) -> Any:
    """An array of the dtype with what is special about it."""
    rng = np.random.default_rng([seed, *shape])
    count = int(np.prod(shape))
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype in INTEGERS:
        low, high = (0, 9) if dtype in UNSIGNED else (-5, 6)
        return rng.integers(low, high, shape).astype(dtype)
    values = rng.permutation(SPECIAL + ODD if odd else SPECIAL)
    return np.resize(values, count).reshape(shape).astype(dtype)


def calls(
    names: str, made: Callable[[], Iterator[Call]] | list[Call], units: float = 0
) -> None:
    for name in names.split():
        UNITS[name] = units
        CALLS.setdefault(name, []).extend(made if isinstance(made, list) else made())


def unary(dtypes: tuple[str, ...], odd: bool = True) -> list[Call]:
    return [Call((draw(d, s, 1, odd),)) for d in dtypes for s in SHAPES]


def binary(dtypes: tuple[str, ...], odd: bool = True, second: Any = None) -> list[Call]:
    """Two operands of one dtype in pairs of shapes, and of two dtypes of one kind."""
    second = second or (lambda x: x)
    made = [
        Call((draw(d, a, 1, odd), second(draw(d, b, 2, odd))))
        for d in dtypes
        for a, b in PAIRS
    ]
    for a, b in itertools.permutations(dtypes, 2):
        kinds = {np.dtype(x).kind for x in (a, b)}
        if kinds <= {"i", "u"} or kinds == {"f"}:
            if {"uint64"} < {a, b} and kinds == {"i", "u"}:
                continue  # undefined by the standard
            made.append(Call((draw(a, (6,), 3, odd), second(draw(b, (6,), 4, odd)))))
    number = {"b": True, "i": 2, "u": 2, "f": 1.5}
    for d in dtypes:
        x = draw(d, (4,), 5, odd)
        n = number[np.dtype(d).kind]
        made += [Call((x, n)), Call((n, second(x)))]
    return made


def nonzero(x: Any) -> Any:
    if not hasattr(x, "dtype"):
        return x
    made = np.where(x == 0, x.dtype.type(3), x) if x.dtype.kind in "iu" else x
    return np.asarray(made, x.dtype)


def small(x: Any) -> Any:
    if not hasattr(x, "dtype"):
        return x
    made = np.abs(x) % x.dtype.type(4) if x.dtype.kind in "iu" else x
    return np.asarray(made, x.dtype)


# -- element by element ---------------------------------------------------------------

calls("abs negative positive sign square", unary(NUMBERS))
calls("ceil floor round trunc", unary(NUMBERS))
calls("isfinite isinf isnan", unary(NUMBERS))
calls("signbit", unary(FLOATS))
calls("sqrt reciprocal", unary(FLOATS), 1)
calls("exp expm1 log log1p log2 log10", unary(FLOATS), 4)
calls("sin cos tan asin acos atan", unary(FLOATS), 8)
calls("sinh cosh tanh asinh acosh atanh", unary(FLOATS), 8)
calls("bitwise_invert", unary(("bool", *INTEGERS)))
calls("logical_not", unary(("bool",)))

calls("add subtract multiply maximum minimum", binary(NUMBERS))
calls("less less_equal greater greater_equal", binary(NUMBERS))
calls("equal not_equal", binary(EVERY))
calls("divide", binary(FLOATS), 1)
calls("floor_divide remainder", binary(NUMBERS, odd=False, second=nonzero), 1)
calls("pow", binary(NUMBERS, second=small), 8)
calls("atan2 hypot logaddexp", binary(FLOATS), 8)
calls("copysign nextafter", binary(FLOATS))
calls("bitwise_and bitwise_or bitwise_xor", binary(("bool", *INTEGERS)))
calls("bitwise_left_shift bitwise_right_shift", binary(INTEGERS, second=small))
calls("logical_and logical_or logical_xor", binary(("bool",)))


def _clips() -> Iterator[Call]:
    for d in NUMBERS:
        x = draw(d, (2, 3))
        low, high = (1, 3) if d in INTEGERS else (-0.5, 1.5)
        for kwargs in ({}, {"min": low}, {"max": high}, {"min": low, "max": high}):
            yield Call((x,), kwargs)
        yield Call((x,), {"min": draw(d, (3,), 1, False), "max": 9})


calls("clip", _clips)


def _wheres() -> Iterator[Call]:
    for d in EVERY:
        for a, b in PAIRS:
            yield Call((draw("bool", a), draw(d, a, 1), draw(d, b, 2)))


calls("where", _wheres)


# -- reductions -----------------------------------------------------------------------

AXES: tuple[tuple[tuple[int, ...], Any], ...] = (
    ((), None),
    ((0,), 0),
    ((7,), None),
    ((7,), -1),
    ((2, 3), 0),
    ((2, 3), (0, 1)),
    ((2, 3, 4), (0, 2)),
    ((2, 3, 4), ()),
    ((2, 0, 3), 1),
)


def reductions(
    dtypes: tuple[str, ...],
    empty: bool,
    odd: bool = True,
    tuples: bool = True,
    **extra: Any,
) -> list[Call]:
    return [
        Call((draw(d, shape, 1, odd),), {"axis": axis, "keepdims": keep, **extra})
        for d in dtypes
        for shape, axis in AXES
        for keep in (False, True)
        if (empty or 0 not in shape) and (tuples or not isinstance(axis, tuple))
    ]


calls("sum", reductions(NUMBERS, True, odd=False), 4)
calls("prod", reductions(NUMBERS, True, odd=False), 8)
calls("mean", reductions(FLOATS, False), 4)
calls("var std", reductions(FLOATS, False, odd=False), 16)
calls(
    "var std",
    [Call((draw("float64", (5,), 1, False),), {"correction": c}) for c in (1, 2.5)],
    16,
)
calls(
    "sum prod",
    [Call((draw("int8", (5,)),), {"dtype": np.dtype(d)}) for d in NUMBERS],
    8,
)
calls("max min", reductions(NUMBERS, False))
calls("all any", reductions(EVERY, True))
calls("count_nonzero", reductions(EVERY, True))
calls("argmax argmin", reductions(NUMBERS, False, odd=True, tuples=False))


def _running() -> Iterator[Call]:
    for d in NUMBERS:
        for shape, axis in (((5,), None), ((2, 3), 0), ((2, 3), -1), ((0,), 0)):
            for initial in (False, True):
                kwargs = {"axis": axis, "include_initial": initial}
                yield Call((draw(d, shape, 2, False),), kwargs)
        yield Call((draw("int8", (5,), 2),), {"dtype": np.dtype(d)})


calls("cumulative_sum cumulative_prod", _running, 8)


def _differences() -> Iterator[Call]:
    for d in NUMBERS:
        x, edge = draw(d, (2, 5), 1, False), draw(d, (2, 1), 2, False)
        yield Call((x,))
        yield Call((x,), {"n": 2, "axis": 1})
        yield Call((x,), {"axis": 0, "n": 0})
        yield Call((x,), {"prepend": edge, "append": edge})


calls("diff", _differences)


# -- order ----------------------------------------------------------------------------


def _orders() -> Iterator[Call]:
    for d in NUMBERS:
        for shape, axis in (((9,), -1), ((4, 5), 0), ((2, 3, 4), 1), ((0,), 0)):
            for descending in (False, True):
                kwargs = {"axis": axis, "descending": descending}
                yield Call((draw(d, shape, 3, odd=not descending),), kwargs)


calls("sort argsort", _orders)


def _searches() -> Iterator[Call]:
    for d in NUMBERS:
        line = draw(d, (9,), 1, False)
        wanted = draw(d, (2, 4), 2, False)
        for side in ("left", "right"):
            yield Call((np.sort(line), wanted), {"side": side})
            yield Call((line, wanted), {"side": side, "sorter": np.argsort(line)})
        yield Call((np.sort(line)[:0], wanted))


calls("searchsorted", _searches)
calls("nonzero", [Call((draw(d, s),)) for d in EVERY for s in SHAPES if s])
calls("unique_all unique_counts unique_inverse unique_values", unary(EVERY))


# -- shapes ---------------------------------------------------------------------------


def on(shape: tuple[int, ...], *args: Any, **kwargs: Any) -> list[Call]:
    return [Call((draw(d, shape, 1), *args), kwargs) for d in EVERY]


def many(shapes: Any, **kwargs: Any) -> list[Call]:
    return [
        Call(([draw(d, s, i) for i, s in enumerate(shapes)],), kwargs) for d in EVERY
    ]


calls(
    "reshape",
    on((2, 6), (3, 4)) + on((6,), (2, -1)) + on((), (1, 1)) + on((0, 3), (3, 0)),
)
calls(
    "broadcast_to",
    on((3,), (2, 3)) + on((), (2, 2)) + on((2, 1), (4, 2, 3)) + on((0,), (2, 0)),
)
calls("expand_dims", on((2, 3), axis=0) + on((2, 3), axis=-1) + on((), axis=0))
calls("squeeze", on((1, 3, 1), 0) + on((1, 3, 1), (0, 2)) + on((3, 1), -1))
calls("permute_dims", on((2, 3, 4), (2, 0, 1)) + on((), ()))
calls("matrix_transpose", on((2, 3)) + on((2, 0, 3)))
calls("moveaxis", on((2, 3, 4), 0, 2) + on((2, 3, 4), (0, 1), (-1, 0)))
calls("flip", on((2, 3)) + on((2, 3), axis=1) + on((2, 3, 4), axis=(0, -1)) + on(()))
calls(
    "roll",
    on((5,), 2)
    + on((0, 3), 1, axis=0)
    + on((2, 3), 4)
    + on((2, 3), -1, axis=1)
    + on((2, 3), (1, 2), axis=(0, 1)),
)
calls("tile", on((2, 3), (2,)) + on((2, 3), (2, 1, 2)) + on((), (3,)) + on((3,), (0,)))
calls(
    "repeat",
    on((2, 3), 2) + on((2, 3), 3, axis=1) + on((3,), np.array([1, 0, 2]), axis=0),
)
calls("unstack", on((2, 3)) + on((2, 3), axis=1) + on((0, 2)))
calls(
    "concat",
    many([(2, 3), (1, 3)])
    + many([(2, 3), (2, 1)], axis=1)
    + many([(2,), (1, 2)], axis=None),
)
calls("concat", [Call(([draw("int8", (2,)), draw("int32", (3,))],))])
calls(
    "stack",
    many([(2, 3)] * 3)
    + many([(2, 3)] * 2, axis=1)
    + many([()], axis=0)
    + many([(2,)] * 2, axis=-1),
)
calls(
    "tril triu", [c for k in (-1, 0, 2) for c in on((3, 4), k=k) + on((2, 3, 3), k=k)]
)
calls(
    "broadcast_arrays",
    [Call((draw("float32", (2, 1)), draw("int8", (3,)), draw("bool", ())))],
)
calls(
    "meshgrid",
    [
        Call((draw("float32", (3,)), draw("float32", (2,))), {"indexing": i})
        for i in ("xy", "ij")
    ],
)
calls(
    "take",
    on((4, 3), np.array([0, 3, 3]), axis=0)
    + on((4, 3), np.array([2, 0]), axis=-1)
    + on((5,), np.array([], np.int64)),
)
calls(
    "take_along_axis",
    on((4, 3), np.array([[0, 3, 1], [2, 2, 2]]), axis=0)
    + on((4, 3), np.array([[0], [1], [2], [0]]), axis=1)
    + on((4, 3), np.array([[1, 0]]), axis=-1),
)
calls(
    "astype",
    [
        Call((draw(a, (6,), 1, False), np.dtype(b)))
        for a in EVERY
        for b in EVERY
        if not (a in FLOATS and b in UNSIGNED)
    ],
)


# -- products -------------------------------------------------------------------------

MATMUL = (
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (5, 3, 2)),
    ((5, 2, 3), (3, 2)),
    ((2, 3), (5, 3, 4)),
    ((4, 1, 2, 3), (5, 3, 2)),
    ((1, 2, 3), (5, 3, 2)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 3)),
    ((3,), (2, 3, 4)),
    ((2, 4, 3), (3,)),
)


def products(shapes: Any, dtypes: Any = NUMBERS, **kwargs: Any) -> list[Call]:
    return [
        Call((draw(d, a, 1, False), draw(d, b, 2, False)), kwargs)
        for d in dtypes
        for a, b in shapes
    ]


calls("matmul", products(MATMUL), 8)
calls(
    "vecdot",
    products((((3,), (3,)), ((2, 3), (3,)), ((4, 1, 3), (2, 3))))
    + products((((3, 2), (3, 2)),), axis=-2),
    8,
)
calls(
    "tensordot",
    [
        c
        for axes in (0, 1, 2, ((0,), (1,)), ((0, 1), (1, 0)))
        for c in products(
            (((2, 2), (2, 2)), ((3, 2, 2), (2, 2, 3)))
            if axes in (1, 0) or axes == 2
            else (((2, 2), (2, 2)),),
            axes=axes,
        )
    ],
    8,
)
