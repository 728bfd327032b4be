"""Assertions: what torch.testing accepts or refuses, chainrule.testing does too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import chainrule as cr
from chainrule.errors import ArgumentError, CallError

pytestmark = pytest.mark.parity
NAN = float("nan")

#: Two nests of arrays and numbers, and options; within and beyond each tolerance.
CASES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    **{
        f"{dtype} {factor}": (np.array([2.0], dtype), np.array([2 + far], dtype), {})
        for dtype, far_at_most in (("float32", 1.26e-5), ("float64", 3e-7))
        for factor in (0.9, 1.1, -0.9, -1.1)
        for far in (far_at_most * factor,)
    },
    "numbers near": (0.5, 0.5 + 1e-7, {}),
    "numbers far": (0.5, 0.5 + 2e-7, {}),
    "integers": (np.array([1, 2]), np.array([1, 2]), {}),
    "other integers": (np.array([1, 2]), np.array([1, 3]), {}),
    "truth": (np.array([True]), np.array([False]), {}),
    "own": (np.array([1.0]), np.array([1.05]), {"rtol": 0.1, "atol": 0.0}),
    "own, 0": (np.array([1.0]), np.array([1.0 + 1e-9]), {"rtol": 0.0, "atol": 0.0}),
    "nan": (np.array([NAN]), np.array([NAN]), {}),
    "equal nan": (np.array([NAN]), np.array([NAN]), {"equal_nan": True}),
    "infinite": (np.array([np.inf]), np.array([-np.inf]), {}),
    "shape": (np.ones(2), np.ones((1, 2)), {}),
    "dtype": (np.ones(2), np.ones(2, "f4"), {}),
    "any dtype": (np.ones(2), np.ones(2, "f4"), {"check_dtype": False}),
    "the larger": (np.ones(2), np.full(2, 1 + 9e-6, "f4"), {"check_dtype": False}),
    "list": ([np.ones(2), 1.0], (np.ones(2), 1.0), {}),
    "longer list": ([np.ones(2), 1.0], [np.ones(2)], {}),
    "dictionary": ({"a": np.ones(2)}, {"a": np.ones(2)}, {}),
    "other keys": ({"a": np.ones(2)}, {"b": np.ones(2)}, {}),
    "nest": ({"a": [np.ones(2)]}, {"a": [np.zeros(2)]}, {}),
}


def accepts(check: Any, nests: list[Any], to_tensor: Any, **how: Any) -> bool:
    def made(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: made(part) for key, part in item.items()}
        if isinstance(item, list | tuple):
            return type(item)(map(made, item))
        return to_tensor(item) if isinstance(item, np.ndarray) else item

    try:
        check(*map(made, nests), **how)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_is_that_of_pytorch(name: str) -> None:
    *nests, how = CASES[name]
    theirs = accepts(torch.testing.assert_close, nests, torch.tensor, **how)
    assert accepts(cr.testing.assert_close, nests, cr.tensor, **how) == theirs


def test_a_message_stands_in_front_of_the_differences() -> None:
    for x, y in ((1.0, 2.0), (1.0, 1), (cr.ones(2), cr.ones(3)), ([1.0], [])):
        with pytest.raises(AssertionError, match="a run of its own"):
            cr.testing.assert_close(x, y, msg="a run of its own")


def test_half_of_the_tolerances_is_refused() -> None:
    with pytest.raises(ArgumentError, match="both tolerances"):
        cr.testing.assert_close(1.0, 1.0, rtol=0.1)
    with pytest.raises(CallError, match="no argument 'tolerance'"):
        cr.testing.assert_close(1.0, 1.0, tolerance=1.0)  # type: ignore[call-arg]
