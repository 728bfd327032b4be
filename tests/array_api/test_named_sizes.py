"""The functions of the standard where the first axis has a name, N, instead of a size.

Each call is traced over N and evaluated at the size that it had, which must give what
eager code gives. What is refused stands in the table below, with the reason.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.emit import trace
from chainrule.graph.interpret import evaluate
from chainrule.graph.types import ArrayType, SymbolicDim, as_dtype
from chainrule.tensor import wrap
from tests.array_api.cases import CALLS, Call
from tests.array_api.test_standard import (
    EAGER_ALONE,
    arrays_of,
    compare,
    filled_in,
)

#: Functions that refuse some of the calls over N, with the reason.
REFUSED = {
    "concat": "a sum of N and a number, or of N and N, has no name",
    "cumulative_prod": "include_initial makes the axis one longer, which has no name",
    "cumulative_sum": "include_initial makes the axis one longer, which has no name",
    "matmul": "N and a number along an axis of both do not agree",
    "repeat": "a number for each element: the length depends on them",
    "searchsorted": "how often it halves depends on the length of the line",
    "tensordot": "N and a number along an axis of both do not agree",
    "unstack": "the number of tensors depends on the length",
}
#: The ones that take a shape of numbers, which are not those of N.
OF_SHAPES = {"reshape", "broadcast_to"}


def over_n(case: Call) -> tuple[int, list[Any]] | None:
    """The size that is called N, and the arrays of a call."""
    arrays = arrays_of([*case.args, *case.kwargs.values()])
    first = next((a.shape[0] for a in arrays if a.ndim and a.shape[0] > 1), None)
    dtypes = {a.dtype.name for a in arrays}
    wanted = {"float32", "int32", "bool", "int64"}
    return (first, arrays) if first and dtypes <= wanted else None


def test_named_sizes() -> None:
    refused: set[str] = set()
    done = 0
    for name, cases in CALLS.items():
        if name in EAGER_ALONE | OF_SHAPES:
            continue
        made = [attempt(name, case) for case in cases]
        outcomes = {m for m in made if m is not None}
        done += made.count(True)
        if False in outcomes:
            refused.add(name)
    assert refused == set(REFUSED)
    assert done > 1000


def attempt(name: str, case: Call) -> bool | None:
    """Whether a call over N works; None where there is no N in it."""
    found = over_n(case)
    if found is None:
        return None
    n, arrays = found
    types = [
        ArrayType(
            tuple(
                [
                    SymbolicDim("N") if i == 0 and d == n else d
                    for i, d in enumerate(a.shape)
                ]
            ),
            as_dtype(a.dtype),
        )
        for a in arrays
    ]

    def function(*values: Any) -> Any:
        tensors = iter(map(wrap, values))
        args = [filled_in(a, tensors) for a in case.args]
        kwargs = {k: filled_in(v, tensors) for k, v in case.kwargs.items()}
        result = getattr(cr.array_api, name)(*args, **kwargs)
        several = [*result] if isinstance(result, tuple | list) else [result]
        return [t.value for t in several]

    try:
        graph = trace(function, types)
    except (ShapeError, ArgumentError):
        return False
    tensors = iter(map(cr.asarray, arrays))
    args = [filled_in(a, tensors) for a in case.args]
    kwargs = {k: filled_in(v, tensors) for k, v in case.kwargs.items()}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        wanted = getattr(cr.array_api, name)(*args, **kwargs)
        several = [*wanted] if isinstance(wanted, tuple | list) else [wanted]
        for a, b in zip(evaluate(graph, arrays), several, strict=True):
            np.testing.assert_array_equal(a, b.numpy(), err_msg=f"{name} {case}")
    return True


def of_two_rows(most: int) -> list[tuple[str, Call]]:
    """Calls that work over N, with N = 2: so many of each function."""
    made = []
    for name, cases in CALLS.items():
        if name in EAGER_ALONE | OF_SHAPES:
            continue
        fit = [c for c in cases if (found := over_n(c)) and found[0] == 2]
        fit = [c for c in fit[-2 * most :] if attempt(name, c)]
        made += [(name, case) for case in fit[-most:]]
    return made


def with_rows(array: np.ndarray, n: int) -> np.ndarray:
    """An array with n rows where it has two."""
    if not array.ndim or array.shape[0] != 2:
        return array
    return np.resize(array, (n, *array.shape[1:]))


@pytest.mark.slow
def test_named_sizes_on_engines(engine: str) -> None:
    """One program of calls of nearly all functions, traced once, for any N."""
    chosen = of_two_rows(3 if engine == "numpy" else 1)
    assert len({name for name, _ in chosen}) > 90

    def every(given: list[Any]) -> list[Any]:
        tensors, made = iter(given), []
        for name, case in chosen:
            args = [filled_in(a, tensors) for a in case.args]
            kwargs = {k: filled_in(v, tensors) for k, v in case.kwargs.items()}
            result = getattr(cr.array_api, name)(*args, **kwargs)
            made.append([*result] if isinstance(result, tuple | list) else [result])
        return made

    run = cr.compile(every, engine=engine)
    for n in (2, 7, 5):
        arrays = [
            with_rows(a, n)
            for _, case in chosen
            for a in arrays_of([*case.args, *case.kwargs.values()])
        ]
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            wanted = every([cr.asarray(a) for a in arrays])
            results = run(arrays)
        for (name, case), got, right in zip(chosen, results, wanted, strict=True):
            for a, b in zip(got, right, strict=True):
                compare(a, b.numpy(), name, case)
    assert len(run.programs) == 2, "one for numbers, and one for names"


def test_shapes_with_named_sizes() -> None:
    run = cr.compile(
        lambda x: (
            x.reshape(-1),
            x.reshape(x.shape[0], 2, 2),
            x[:, None].expand(-1, 3, -1),
        ),
        engine="numpy",
        shapes={"x": ("N", 4)},
    )
    for n in (3, 5):
        x = np.arange(4.0 * n, dtype=np.float32).reshape(n, 4)
        flat, square, wide = run(x)
        np.testing.assert_array_equal(flat.numpy(), x.reshape(-1))
        np.testing.assert_array_equal(square.numpy(), x.reshape(n, 2, 2))
        np.testing.assert_array_equal(wide.numpy(), x[:, None].repeat(3, 1))
    with pytest.raises(ShapeError):
        cr.compile(lambda x: cr.concat([x, x]), engine="numpy", shapes={"x": ("N",)})(
            np.ones(3)
        )
