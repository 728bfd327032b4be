"""A derivative is never lost because a tensor came where a number is taken.

Every number that a public function takes is given as a tensor that requires gradients:
by signature, with no list of functions. The function refuses it, or its result has the
derivative that differences say; while a function is compiled, too.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
import chainrule.nn.functional as F
from tests.nn.test_pairs import INPUTS, NEEDED
from tests.rows import failures

_rows = np.linspace(0.1, 0.9, 12).reshape(3, 4)
_both_signs = np.linspace(-2.0, 2.0, 24).reshape(4, 6)
_square, _line = np.linspace(0.2, 0.7, 9).reshape(3, 3), np.linspace(0.2, 0.7, 4)
_places = cr.tensor([[0, 1, 2, 0]])

#: Numbers that have no default, or one that hides the derivative, by their names.
NUMBERS = {
    **dict.fromkeys(("start", "fill_value", "value", "number", "src", "std"), 0.5),
    **dict.fromkeys(("end", "other", "x2", "threshold", "correction", "scale"), 0.4),
    **dict.fromkeys(("min", "weight", "margin", "momentum", "step"), 0.3),
    **dict.fromkeys(("low", "mean", "eps", "nan", "rtol", "atol"), 0.1),
    **dict.fromkeys(("max", "high", "alpha", "beta", "posinf"), 0.7),
    **dict.fromkeys(("stop", "exponent"), 2.0),
    "neginf": -1.0,
    "p": 2.5,
}
#: What a function cannot do without, in front of the number.
BEFORE: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(FREE := ("arange", "bernoulli", "eye", "linspace", "normal"), ()),
    **dict.fromkeys(TRIANGLES := ("tril_indices", "triu_indices"), (2, 3)),
    "logspace": (),
    **dict.fromkeys(DRAWN := ("rand", "randint", "randn", "uniform"), ()),
    **dict.fromkeys(("full", "new_full"), ((2, 3),)),
    **dict.fromkeys(
        JOINED := ("cat", "concat", "concatenate", "stack"), ([_rows] * 2,)
    ),
    **dict.fromkeys(("index_add", "index_copy"), (0, _places[0, :3], _rows)),
    **dict.fromkeys(("cummax", "cummin", "unbind_copy"), (0,)),
    **dict.fromkeys(("quantile", "nanquantile"), (0.5,)),
    **dict.fromkeys(("scatter_reduce", "scatter_reduce_"), (0, _places)),
    **dict.fromkeys(("index_fill", "index_fill_"), (0, _places[0, :3])),
    **dict.fromkeys(("split_copy", "tensor_split"), (2,)),
    **dict.fromkeys(("split_with_sizes", "split_with_sizes_copy"), ([1, 2],)),
    **dict.fromkeys(("kthvalue", "tensor_split", "histogram"), (2,)),
    **dict.fromkeys(("unfold", "unfold_copy"), (0, 2, 1)),
    **dict.fromkeys(("inner", "kron"), (_rows,)),
    "bucketize": (_line,),
    "cross": (_rows,),
    "diagonal_scatter": (_line[:3],),
    "masked_scatter": (_rows > 0.5, _rows),
    "select_scatter": (_line, 0, 1),
    "slice_scatter": (_rows[:1],),
    "narrow_copy": (0,),
    **dict.fromkeys(("bmm", "dot", "mv", "outer", "tensordot", "vecdot"), (_line,)),
    "addmm": (_square, _square[:, [0, 1, 2, 0]]),
    "chunk": (2,),
    "gather": (0, _places),
    "lerp": (2 * _rows,),
    "masked_fill": (_rows > 0.5,),
    "masked_fill_": (_rows > 0.5,),
    "narrow": (0,),
    "one_hot": (np.array([0, 1]),),
    "pad": ((1, 1),),
    "scatter": (0, _places),
    "scatter_": (0, _places),
    "scatter_add": (0, _places),
    "searchsorted": (_line,),
    "scaled_dot_product_attention": (_rows, _rows),
    "split": (2,),
    "take_along_axis": (_places,),
    "topk": (2,),
    "trace": (_square,),
    "where": (_rows > 0.5, _rows),
}
#: Other arguments that must be there.
WITH: dict[str, dict[str, Any]] = {
    "linspace": {"start": 0.0, "end": 1.0, "steps": 4},
    "logspace": {"start": 0.0, "end": 1.0, "steps": 4},
    "arange": {"start": 0.1, "end": 2.0},
    "renorm": {"p": 2.0, "dim": 0, "maxnorm": 0.5},
    "slice_scatter": {"dim": 0, "start": 0, "end": 1},
    "narrow_copy": {"start": 0, "length": 2},
    "randint": {"low": 0, "high": 9},
    "narrow": {"start": 0, "length": 2},
    "one_hot": {"num_classes": 3},
    "threshold": {"threshold": 0.5, "value": 0.0},
}
LAST = ("logspace", "full", "where")
#: Other names of numbers.
ALIASES = {"stop": "end", "num": "steps"}
#: Operands, which are tensors, and what draws or checks with numbers.
OPERANDS = {"x1", "condition", "entries", "directions", "tolerance", "seed", "argnums"}


def numbers_of(function: Callable[..., Any]) -> list[str]:
    """The arguments that are numbers: by their defaults or their names."""
    return [
        p.name
        for p in inspect.signature(function).parameters.values()
        if p.name not in OPERANDS
        and (type(p.default) in (int, float) or p.name in NUMBERS)
        and p.kind is not p.VAR_POSITIONAL
    ]


def offered() -> Iterator[tuple[str, Callable[..., Any]]]:
    for prefix, namespace in (("cr", cr), ("F", F)):
        for name in namespace.__all__:
            if inspect.isfunction(function := getattr(namespace, name)):
                yield f"{prefix}.{name}", function
    for name in dir(cr.Tensor):
        function = getattr(cr.Tensor, name)
        like = name.endswith("_as")  # takes a tensor for its shape or its dtype
        if not (name.startswith("_") or like) and inspect.isfunction(function):
            yield f"x.{name}", function


CASES = [(n, f, number) for n, f in offered() for number in numbers_of(f)]


def call(name: str, function: Any, number: str) -> tuple[Callable[[Any], Any], Any]:
    """The function of its one number, and where to take the derivative."""
    prefix, short = name.split(".")
    parameters = inspect.signature(function).parameters
    known = INPUTS.get(short, (_both_signs,)) if prefix == "F" else None
    if known is None:
        before = BEFORE.get(short, ())
        alone = short in (*FREE, *DRAWN, *JOINED, *TRIANGLES, *LAST)
        known = before if alone else (_rows, *before)
    elif short in BEFORE:
        known = (_rows, *BEFORE[short])
    needed = {k: v for k, v in NEEDED.get(short, {}).items() if k in parameters}
    fixed = {**needed, **WITH.get(short, {})}
    by_place = parameters[number].kind is inspect.Parameter.POSITIONAL_ONLY

    def run(value: Any) -> Any:
        same = number, ALIASES.get(number)
        more = {k: v for k, v in fixed.items() if k not in same}
        inputs = [cr.tensor(i) if isinstance(i, np.ndarray) else i for i in known]
        inputs = [i.clone() if isinstance(i, cr.Tensor) else i for i in inputs]
        cr.manual_seed(0)
        if by_place:
            return function(*inputs, value, **more)
        return function(*inputs, **more, **{number: value})

    default = parameters[number].default
    at = NUMBERS.get(number, default)
    return run, fixed.get(number, at) if type(default) is not int else at


def floats(made: Any) -> list[cr.Tensor]:
    several = made if isinstance(made, tuple | list) else [made]
    kept = [m for m in several if isinstance(m, cr.Tensor) and m.dtype.is_float]
    return kept


def total(made: Any) -> Any:
    """A sum in which no element counts as another."""
    parts = [m.double().reshape(-1) for m in floats(made)]
    return sum((m * np.cos(np.arange(m.size) + i)).sum() for i, m in enumerate(parts))


def test_numbers_are_found() -> None:
    """Most of the calls work with the number itself, or nothing would be tried."""
    worked = 0
    for name, function, number in CASES:
        run, at = call(name, function, number)
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            try:
                run(at)
            except (cr.ChainruleError, TypeError):
                continue
        worked += 1
    assert len(CASES) > 280
    assert worked > 0.65 * len(CASES)


def test_a_number_keeps_its_derivative_or_is_refused() -> None:
    assert not failures(keeps_or_refuses, ((f"{c[0]}-{c[2]}", c) for c in CASES))


def keeps_or_refuses(name: str, function: Any, number: str) -> None:
    run, at = call(name, function, number)
    with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
        try:
            made = run(at)
        except (cr.ChainruleError, TypeError):
            return
        if not floats(made):
            return
        h = 1e-3
        try:
            low, high = (total(run(at + d)) for d in (-h, h))
            wanted = (high - low).item() / (2 * h)
        except (cr.ChainruleError, TypeError):
            wanted = None  # a whole number
        x = cr.tensor(float(at), dtype="float64")
        slope = cr.grad(lambda a: total(run(a)) + 0 * a)
        for how in (slope, cr.compile(slope, engine="numpy")):
            try:
                got = how(x).item()
            except cr.ChainruleError:
                continue
            assert wanted is not None, "a derivative by a whole number"
            assert got == pytest.approx(wanted, rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_from_a_tensor_to_a_float(dtype: str) -> None:
    start = cr.tensor(1.0, dtype=dtype, requires_grad=True)
    made = cr.linspace(start, 3.0, 3)
    made.sum().backward()
    assert made.tolist() == [1.0, 2.0, 3.0]
    assert start.grad.item() == 1.5
