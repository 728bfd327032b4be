"""A library that multiplies matrices wrongly is refused, whoever multiplies first."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import EngineError
from chainrule.primitives.blas import check_blas, library

right = np.matmul

#: Kernels that are wrong somewhere, each for the products that it is for.
WRONG: dict[str, Callable[[Any, Any], bool]] = {
    "float32": lambda x, y: x.dtype == np.float32,
    "float64": lambda x, y: x.dtype == np.float64,
    "long sums": lambda x, y: x.shape[-1] > 16,
    "a vector": lambda x, y: y.shape[-1] == 1 and x.shape[-1] > 1,
    "a turned matrix": lambda x, y: not x.flags.c_contiguous,
    "another turned matrix": lambda x, y: not y.flags.c_contiguous,
    "the rest of a tile": lambda x, y: x.shape[0] % 16 not in (0, 1, 2),
    "many columns": lambda x, y: y.shape[-1] > 32,
}


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    """As in a process that has multiplied nothing yet."""
    check_blas.cache_clear()
    yield
    check_blas.cache_clear()


def broken(where: Callable[[Any, Any], bool]) -> Callable[..., Any]:
    def matmul(x: Any, y: Any, *args: Any, **kwargs: Any) -> Any:
        made = right(x, y, *args, **kwargs)
        if made.dtype.kind == "f" and where(x, y):
            made.flat[-1] += 1
        return made

    return matmul


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_kernel_is_found(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_blas()
    check_blas.cache_clear()
    monkeypatch.setattr(np, "matmul", broken(WRONG[kind]))
    with pytest.raises(EngineError, match="multiplies matrices wrongly") as caught:
        check_blas()
    assert library() in str(caught.value)


MULTIPLY = {
    "eager": lambda x: x @ x,
    "a convolution": lambda x: cr.nn.functional.conv2d(x[None, None], x[None, None]),
    "compiled": lambda x: cr.compile(lambda x: x.tanh(), engine="numpy")(x),
    "a derivative": lambda x: cr.grad(lambda x: (x @ x).sum())(x),
}


@pytest.mark.parametrize("way", MULTIPLY)
def test_whoever_multiplies_is_told(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x = cr.ones(3, 3)
    with monkeypatch.context() as patched:
        patched.setattr(np, "matmul", broken(lambda x, y: x.shape[-1] == 9))
        for _ in range(2):  # again, if the first was caught
            with pytest.raises(EngineError, match="OPENBLAS_CORETYPE"):
                MULTIPLY[way](x)
    MULTIPLY[way](x)


def test_an_exception_of_the_check_is_nobodys_warning(monkeypatch: Any) -> None:
    def noisy(x: Any, y: Any, *args: Any) -> Any:
        np.float32(0) / np.float32(0)
        return right(x, y, *args)

    monkeypatch.setattr(np, "matmul", noisy)
    assert (cr.ones(2, 2) @ cr.ones(2, 2)).tolist() == [[2, 2], [2, 2]]


def test_an_import_multiplies_nothing() -> None:
    code = (
        "import chainrule; from chainrule.primitives.blas import check_blas as c; "
        "print(c.cache_info().misses); chainrule.ones(2, 2) @ chainrule.ones(2, 2); "
        "print(c.cache_info().misses)"
    )
    made = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert made.stdout.split() == ["0", "1"]
