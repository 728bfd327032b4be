"""Random shapes, axes, dtypes and numbers, against ``array-api-strict``."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import chainrule as cr
from tests.array_api.cases import EVERY, FLOATS, INTEGERS, NUMBERS, UNITS, UNSIGNED

xp = pytest.importorskip("array_api_strict", reason="pip install -e '.[test]'")

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
BITS = ("bool", *INTEGERS)
#: Functions of each element, by the dtypes that they take.
OF_ONE = {
    **dict.fromkeys(("abs", "negative", "sign", "square"), NUMBERS),
    **dict.fromkeys(("floor", "ceil", "round", "trunc", "isnan", "isinf"), NUMBERS),
    **dict.fromkeys(("sqrt", "exp", "log1p", "tanh", "atan", "sin", "expm1"), FLOATS),
    **dict.fromkeys(("asinh", "acos", "asin", "cosh", "log2", "reciprocal"), FLOATS),
    "bitwise_invert": BITS,
    "logical_not": ("bool",),
}
OF_TWO = {
    **dict.fromkeys(("add", "subtract", "multiply", "maximum", "minimum"), NUMBERS),
    **dict.fromkeys(("less", "less_equal", "greater", "greater_equal"), NUMBERS),
    **dict.fromkeys(("equal", "not_equal"), EVERY),
    **dict.fromkeys(("divide", "atan2", "hypot", "copysign", "logaddexp"), FLOATS),
    **dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor"), BITS),
    **dict.fromkeys(("logical_and", "logical_or", "logical_xor"), ("bool",)),
}
REDUCING = {
    **dict.fromkeys(("sum", "prod", "max", "min"), NUMBERS),
    **dict.fromkeys(("all", "any", "count_nonzero"), EVERY),
    **dict.fromkeys(("mean", "var", "std"), FLOATS),
}
ALONG = {
    **dict.fromkeys(("sort", "argsort", "argmax", "argmin"), NUMBERS),
    **dict.fromkeys(("cumulative_sum", "cumulative_prod", "diff"), NUMBERS),
    **dict.fromkeys(("flip", "unstack", "expand_dims"), EVERY),
}


def numbers(dtype: str) -> Any:
    """Elements of a dtype: all integers, floats of moderate size and odd ones."""
    if dtype == "bool":
        return st.booleans()
    if dtype in INTEGERS:
        info = np.iinfo(dtype)
        small = st.integers(0 if dtype in UNSIGNED else -9, 9)
        return small | st.integers(int(info.min), int(info.max))
    width = 32 if dtype == "float32" else 64
    plain = st.floats(-8, 8, width=width, allow_subnormal=False)
    return plain | st.sampled_from([0.0, -0.0, np.inf, -np.inf, np.nan])


def array(data: Any, dtype: str, shape: tuple[int, ...], odd: bool = True) -> Any:
    elements = numbers(dtype)
    if not odd and dtype in FLOATS:
        width = 32 if dtype == "float32" else 64
        elements = st.floats(-8, 8, width=width, allow_subnormal=False)
    return data.draw(hnp.arrays(dtype, shape, elements=elements))


def check(name: str, arrays: list[Any], **kwargs: Any) -> None:
    """Both refuse, or both give the same."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            wanted = getattr(xp, name)(*map(xp.asarray, arrays), **kwargs)
        except (ValueError, IndexError):
            with pytest.raises(cr.ChainruleError):
                getattr(cr, name)(*map(cr.asarray, arrays), **kwargs)
            return
        made = getattr(cr, name)(*map(cr.asarray, arrays), **kwargs)
    several = isinstance(wanted, tuple | list)
    for got, right in zip(
        made if several else [made], wanted if several else [wanted], strict=True
    ):
        a, b = got.numpy(), np.asarray(right)
        assert a.shape == b.shape
        assert a.dtype == b.dtype or name in ("count_nonzero",)
        units = UNITS[name] * float(np.finfo(b.dtype).eps) if b.dtype.kind == "f" else 0
        np.testing.assert_allclose(a, b, rtol=8 * units, atol=64 * units)


def some_axes(data: Any, rank: int) -> Any:
    """None, an axis, or several; sometimes one that does not exist."""
    if not rank:
        return data.draw(st.sampled_from([None, ()]))
    one = st.integers(-rank - 1, rank)
    some = st.lists(st.integers(0, rank - 1), unique=True, max_size=rank).map(tuple)
    return data.draw(st.none() | one | some)


def try_one(data: Any) -> None:
    name = data.draw(st.sampled_from(sorted(OF_ONE)))
    dtype = data.draw(st.sampled_from(OF_ONE[name]))
    check(name, [array(data, dtype, data.draw(SHAPES))])


def try_two(data: Any) -> None:
    name = data.draw(st.sampled_from(sorted(OF_TWO)))
    first = data.draw(st.sampled_from(OF_TWO[name]))
    kind = np.dtype(first).kind
    fit = [d for d in OF_TWO[name] if np.dtype(d).kind == kind]
    second = data.draw(st.sampled_from(fit))
    shapes = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0))
    a, b = (array(data, d, s) for d, s in zip((first, second), shapes.input_shapes))
    check(name, [a, b])


def try_reducing(data: Any) -> None:
    name = data.draw(st.sampled_from(sorted(REDUCING)))
    dtype = data.draw(st.sampled_from(REDUCING[name]))
    exact = name in ("max", "min", "all", "any", "count_nonzero")
    x = array(data, dtype, data.draw(SHAPES), odd=exact)
    axis, keep = some_axes(data, x.ndim), data.draw(st.booleans())
    if name in ("mean", "var", "std") and _nothing(x.shape, axis):
        return  # NaN, of which the standard does not speak
    check(name, [x], axis=axis, keepdims=keep)


def _nothing(shape: tuple[int, ...], axis: Any) -> bool:
    try:
        return np.ones(shape).size == 0 or np.sum(np.ones(shape), axis=axis).size == 0
    except ValueError:
        return False


def try_along(data: Any) -> None:
    name = data.draw(st.sampled_from(sorted(ALONG)))
    dtype = data.draw(st.sampled_from(ALONG[name]))
    shape = data.draw(SHAPES)
    exact = "cumulative" not in name and name != "diff"
    x = array(data, dtype, shape, odd=exact)
    if not x.ndim and name != "expand_dims":
        return  # there is no axis
    more: dict[str, Any] = {"axis": data.draw(st.integers(-x.ndim - 1, x.ndim))}
    if name in ("sort", "argsort"):
        if np.isnan(x).any():
            return  # where NaN goes is left open
        more["descending"] = data.draw(st.booleans())
    if name == "diff":
        more["n"] = data.draw(st.integers(1, 3))
    if "cumulative" in name:
        more["include_initial"] = data.draw(st.booleans())
    if name in ("argmax", "argmin"):
        more["keepdims"] = data.draw(st.booleans())
    check(name, [x], **more)


def try_shapes(data: Any) -> None:
    """What moves elements, with arguments that are drawn too."""
    dtype = data.draw(st.sampled_from(EVERY))
    shape = data.draw(SHAPES)
    x, rank = array(data, dtype, shape), len(shape)
    order = data.draw(st.permutations(range(rank)))
    check("permute_dims", [x], axes=tuple(order))
    check("broadcast_to", [x], shape=(data.draw(st.integers(0, 3)), *shape))
    check("reshape", [x], shape=tuple(data.draw(st.permutations(shape))))
    check("reshape", [x], shape=(-1,))
    check("flip", [x], axis=some_axes(data, rank))
    if rank:
        axis = data.draw(st.integers(0, rank - 1))
        check("squeeze", [x], axis=axis)
        check("roll", [x], shift=data.draw(st.integers(-9, 9)), axis=axis)
    if rank > 1:
        check("matrix_transpose", [x])
        check("tril", [x], k=data.draw(st.integers(-4, 4)))
        check("triu", [x], k=data.draw(st.integers(-4, 4)))


KINDS = (try_one, try_two, try_reducing, try_along, try_shapes)


@settings(deadline=None, max_examples=60)
@given(st.data())
@pytest.mark.parametrize("kind", KINDS, ids=lambda f: f.__name__)
def test_random_calls(kind: Any, data: Any) -> None:
    kind(data)


@pytest.mark.slow
@settings(deadline=None, max_examples=3000)
@given(st.data())
@pytest.mark.parametrize("kind", KINDS, ids=lambda f: f.__name__)
def test_many_random_calls(kind: Any, data: Any) -> None:
    kind(data)
