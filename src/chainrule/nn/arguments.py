"""What layers and losses are made with, checked in one place."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from chainrule.errors import ArgumentError, DTypeError
from chainrule.graph.types import DType, as_dtype


def counts(kind: str, **given: Any) -> tuple[int, ...]:
    """Sizes as Python integers ≥ 1; NumPy's integers will do.

    >>> counts("Linear", in_features=784, out_features=10)
    (784, 10)
    """
    for name, n in given.items():
        if not isinstance(n, Integral) or isinstance(n, bool) or n < 1:
            raise ArgumentError(
                f"{kind} needs a positive {name}.",
                expected="an integer ≥ 1",
                got=f"{n!r:.80}",
            )
    return tuple(map(int, given.values()))


def finite(kind: str, name: str, given: Any, *, least: float | None = None) -> float:
    """A finite number as a float, of at least ``least``."""
    number = _number(given)
    if not math.isfinite(number) or (least is not None and number < least):
        raise ArgumentError(
            f"{kind} needs a finite {name}.",
            expected=f"a number {name}" + ("" if least is None else f" ≥ {least:g}"),
            got=f"{given!r:.80}",
        )
    return number


def positive(kind: str, name: str, given: Any) -> float:
    """A finite number > 0 as a float."""
    number = _number(given)
    if not 0 < number < math.inf:
        raise ArgumentError(
            f"{kind} needs a positive {name}.",
            expected=f"a finite number {name} > 0",
            got=f"{given!r:.80}",
            fix=f"{name}=1.0",
        )
    return number


def drop_probability(p: Any) -> float:
    """The share that dropout drops, as a float."""
    number = _number(p)
    if not 0 <= number < 1:
        raise ArgumentError(
            "Dropout needs a probability.", expected="0 ≤ p < 1", got=f"{p!r:.80}"
        )
    return number


def _number(given: Any) -> float:
    """A real number as a float; NaN, which no range has in it, for anything else."""
    real = isinstance(given, Real) and not isinstance(given, bool)
    return float(given) if real else math.nan


def floating(kind: str, dtype: Any) -> DType:
    """The dtype of a layer's numbers, which have derivatives.

    Raises:
        DTypeError: integers, or a type that is not known.
    """
    made = as_dtype(dtype)
    if not made.is_float:
        raise DTypeError(
            f"{kind} computes with floating-point numbers.",
            expected="dtype='float32' or 'float64'",
            got=made.name,
        )
    return made


def dtype_setting(dtype: Any) -> dict[str, str]:
    """The dtype as an argument, where it is not float32."""
    name = as_dtype(dtype).name
    return {} if name == "float32" else {"dtype": name}
