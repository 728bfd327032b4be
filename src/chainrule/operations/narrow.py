"""Tensor functions of bfloat16: computed in float32, and the result rounded once.

A declared function may consist of many primitives. Rounding after each of them would
lose digits that PyTorch's functions keep, so the operands are converted to float32,
the whole function is computed, and what it gives is rounded to bfloat16.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from chainrule.graph.apply import rounded, widened
from chainrule.graph.node import Value
from chainrule.graph.types import DType
from chainrule.operations.op import Op
from chainrule.operations.operands import TensorBase, is_number

P = ParamSpec("P")
R = TypeVar("R")

NARROW = DType.bfloat16

#: The families whose functions compute. The others move elements, compare or create.
COMPUTING = frozenset(
    (
        *("arithmetic", "combinations", "decompositions", "distances", "elementwise"),
        *("fourier", "linear_systems", "norms", "polynomials", "products"),
        *("quantiles", "reductions", "scans", "signals", "special", "statistics"),
        "vectors",
    )
)


def is_wide(item: Op) -> bool:
    """Return whether a declared function of bfloat16 is computed in float32."""
    return item.family in COMPUTING if item.wide is None else item.wide


def has_narrow(args: Iterable[Any]) -> bool:
    """Return whether a tensor of bfloat16 is among the arguments of a call."""
    for x in args:
        if isinstance(x, TensorBase):
            if x._value.dtype is NARROW:
                return True
        elif type(x) is Value:
            if x.dtype is NARROW:
                return True
        elif type(x) is tuple and has_narrow(x):
            return True
    return False


def wide(x: Any) -> Any:
    """Return an argument with bfloat16 as float32, also in tuples and the like."""
    if isinstance(x, Value):
        return widened(x)
    if isinstance(x, TensorBase):
        return x._new(widened(x.value)) if x.dtype is NARROW else x
    if isinstance(x, tuple | list) and not hasattr(x, "_fields"):
        return type(x)(map(wide, x))
    if isinstance(x, dict):
        return {name: wide(item) for name, item in x.items()}
    return x


def computed(
    item: Op, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Any
) -> Any:
    """Call a declared function with bfloat16 as float32, and round what it gives.

    Args:
        item: the declared function.
        function: what is called: takes the arguments as they are passed here.
        args, kwargs: of the call, with bfloat16 among them.

    Returns:
        The result. It is rounded unless a dtype is asked for, or another operand is of
        a wider floating dtype, in which the result then is.
    """
    result = function(*map(wide, args), **{k: wide(x) for k, x in kwargs.items()})
    named = dict(zip(item.positional, args)) | kwargs
    if named.get("dtype") is not None or _has_wider((*args, *kwargs.values())):
        return result
    return _rounded(result)


def in_single(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function of tensors: bfloat16 in float32, and its results rounded.

    Where another operand has another floating dtype the function decides what is meant.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Any:
        given = (*args, *kwargs.values())
        if not has_narrow(given) or _has_wider(given):
            return function(*args, **kwargs)
        named: Any = {k: wide(x) for k, x in kwargs.items()}
        inner: Any = function
        return _rounded(inner(*map(wide, args), **named))

    return call


def from_single(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function of tensors: it is given bfloat16 as float32."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Any:
        named: Any = {k: wide(x) for k, x in kwargs.items()}
        inner: Any = function
        return inner(*map(wide, args), **named)

    return call


def _has_wider(args: Iterable[Any]) -> bool:
    """Return whether an operand is of another floating dtype than bfloat16."""
    for x in args:
        if isinstance(x, tuple | list):
            if _has_wider(x):
                return True
            continue
        kind = getattr(x, "dtype", None)
        if kind is None or is_number(x) or getattr(x, "_weak", None) is not None:
            continue
        if getattr(kind, "name", "") in ("float32", "float64"):
            return True
    return False


def _rounded(result: Any) -> Any:
    if isinstance(result, TensorBase):
        return result._new(_rounded(result.value))
    if isinstance(result, Value):
        single = result.dtype is DType.float32
        return rounded(result, NARROW) if single else result
    if isinstance(result, tuple | list):
        parts = [_rounded(part) for part in result]
        kind = type(result)
        return kind(*parts) if hasattr(kind, "_fields") else kind(parts)  # type: ignore[arg-type]
    return result
