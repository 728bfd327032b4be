"""Every function of the array API standard, against ``array-api-strict``.

Eagerly every call; compiled some calls of each function, and all of them with the
slow tests. What a primitive computes in each dtype is a matter of ``conformance``.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from typing import Any

import array_api_strict as xp
import numpy as np
import pytest

import chainrule as cr
from tests.array_api.cases import CALLS, UNITS, Call
from tests.ways import ENGINES

#: What the standard lists and Chainrule does not have, with the reason.
LEFT_OUT = {
    "complex64": "there are no complex numbers",
    "complex128": "there are no complex numbers",
    "conj": "there are no complex numbers",
    "imag": "there are no complex numbers",
    "real": "there are no complex numbers",
}
#: Functions whose shapes depend on numbers: they are refused while tracing.
EAGER_ALONE = {
    "nonzero",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
}
#: Calls that have no tensors, or whose arguments become numbers.
TESTED_BELOW = {
    *("arange", "asarray", "empty", "empty_like", "eye", "from_dlpack", "full"),
    *("full_like", "linspace", "ones", "ones_like", "zeros", "zeros_like"),
    *("can_cast", "finfo", "iinfo", "isdtype", "result_type"),
}


@pytest.fixture(autouse=True)
def _standard() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        xp.set_array_api_strict_flags(api_version="2024.12")
        yield
        xp.reset_array_api_strict_flags()


def to(namespace: Any, item: Any) -> Any:
    """Arrays in a nest as arrays of a library."""
    if isinstance(item, np.ndarray):
        return namespace.asarray(item)
    if isinstance(item, np.dtype):
        return getattr(namespace, item.name)
    if isinstance(item, list):
        return [to(namespace, part) for part in item]
    return item


@functools.cache
def wanted_of(name: str) -> list[list[Any]]:
    """Return the results of all calls of a function by array-api-strict."""
    return [call(xp, name, case) for case in CALLS[name]]


def call(namespace: Any, name: str, case: Call) -> list[Any]:
    args = [to(namespace, a) for a in case.args]
    kwargs = {k: to(namespace, v) for k, v in case.kwargs.items()}
    made = getattr(namespace, name)(*args, **kwargs)
    return list(made) if isinstance(made, tuple | list) else [made]


def told(name: str, case: Call) -> str:
    shown = [
        f"{a.dtype}{list(a.shape)}" if isinstance(a, np.ndarray) else repr(a)
        for a in case.args
    ]
    return f"{name}({', '.join(shown)}, {case.kwargs})"


def compare(got: Any, wanted: Any, name: str, case: Call) -> None:
    got, wanted = np.asarray(got.detach().numpy()), np.asarray(wanted)
    assert got.shape == wanted.shape, told(name, case)
    if name == "searchsorted" or name == "count_nonzero":
        assert got.dtype == np.int64
    else:
        assert got.dtype == wanted.dtype, told(name, case)
    if wanted.dtype.kind == "f" and UNITS[name]:
        unit = float(np.finfo(wanted.dtype).eps)
        np.testing.assert_allclose(
            got,
            wanted,
            rtol=UNITS[name] * unit,
            atol=UNITS[name] * unit,
            err_msg=told(name, case),
        )
    else:
        np.testing.assert_array_equal(got, wanted, err_msg=told(name, case))


@pytest.mark.parametrize("name", CALLS)
def test_eager(name: str) -> None:
    for case, wanted in zip(CALLS[name], wanted_of(name), strict=True):
        for a, b in zip(call(cr.array_api, name, case), wanted, strict=True):
            compare(a, b, name, case)


def arrays_of(item: Any) -> list[Any]:
    if isinstance(item, np.ndarray):
        return [item]
    if isinstance(item, list):
        return [a for part in item for a in arrays_of(part)]
    return []


def filled_in(item: Any, tensors: Iterator[Any]) -> Any:
    if isinstance(item, np.ndarray):
        return next(tensors)
    if isinstance(item, np.dtype):
        return item.name
    if isinstance(item, list):
        return [filled_in(part, tensors) for part in item]
    return item


TRACED = [name for name in CALLS if name not in EAGER_ALONE]
#: Compiling starts slowly: so many functions are one program, with so many calls each.
FUNCTIONS, CHOSEN = 10, {"numpy": 4, "native": 2}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("start", range(0, len(TRACED), FUNCTIONS))
def test_compiled(start: int, engine: str) -> None:
    """Calls that are far apart: other dtypes, other shapes."""
    chosen: list[tuple[str, int]] = []
    for name in TRACED[start : start + FUNCTIONS]:
        places = traceable(name)
        step = -(-len(places) // CHOSEN[engine])
        chosen += [(name, i) for i in places[len(name) % step :: step]]
    compile_all(chosen, engine)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", TRACED)
def test_compiled_whole(name: str, engine: str) -> None:
    compile_all([(name, i) for i in traceable(name)], engine)


def traceable(name: str) -> list[int]:
    """Return the places of the calls whose shapes do not depend on numbers."""
    many = name == "repeat"
    return [
        i
        for i, case in enumerate(CALLS[name])
        if not many or not arrays_of([*case.args])[1:]
    ]


def compile_all(places: list[tuple[str, int]], engine: str) -> None:
    """Compile calls of functions as one program and compare their results."""
    cases = [(name, CALLS[name][i]) for name, i in places]
    inputs = [a for _, c in cases for a in arrays_of([*c.args, *c.kwargs.values()])]

    def all_calls(given: list[Any]) -> list[Any]:
        tensors = iter(given)
        made: list[Any] = []
        for name, case in cases:
            args = [filled_in(a, tensors) for a in case.args]
            kwargs = {k: filled_in(v, tensors) for k, v in case.kwargs.items()}
            result = getattr(cr.array_api, name)(*args, **kwargs)
            made.append(list(result) if isinstance(result, tuple | list) else [result])
        return made

    results = cr.compile(all_calls, engine=engine)(inputs)
    for (name, i), got in zip(places, results, strict=True):
        for a, b in zip(got, wanted_of(name)[i], strict=True):
            compare(a, b, name, CALLS[name][i])


@pytest.mark.parametrize("name", sorted(EAGER_ALONE))
def test_shapes_that_depend_on_numbers_are_refused_while_tracing(name: str) -> None:
    with pytest.raises(cr.ChainruleError, match="known only at the run"):
        cr.compile(lambda x: getattr(cr.array_api, name)(x), engine="numpy")(
            np.ones(3, np.float32)
        )


def test_every_function_of_the_standard_is_there() -> None:
    skip = {"ArrayAPIStrictFlags", "Device", "ModuleType", "broadcast_shapes", "isin"}
    names = {n for n in dir(xp) if not n.startswith("_")} - skip - set(LEFT_OUT)
    names = {n for n in names if "array_api_strict_flags" not in n}
    assert not {n for n in names if not hasattr(cr.array_api, n)}
    functions = {n for n in names if callable(getattr(xp, n))}
    functions -= {d.name for d in cr.dtype}
    assert functions <= set(CALLS) | TESTED_BELOW
    assert not [n for n in LEFT_OUT if n in cr.array_api.__all__]
