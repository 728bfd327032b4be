"""How a row of the tables is held against PyTorch: values, first and second derivative.

With y = f(x, θ), a random cotangent c and random directions d:

    s = ⟨c, y⟩,   g = ∂s/∂(x, θ),   h = ∂⟨d, g⟩/∂(x, θ).

All of y, g and h agree to 1e-10 in float64 and to 1e-5 in float32, relative to the
largest number of the array where that is above 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

import chainrule as cr
from chainrule import nn

TOLERANCES = {"float64": 1e-10, "float32": 1e-5}


@dataclass
class Row:
    """One thing that both have.

    Attributes:
        name: of the row.
        ours: a function, or a module, which is copied to PyTorch's by its state.
        theirs: the same of PyTorch.
        inputs: arrays; floats are in turn in each dtype.
        wrt: the positions of those that derivatives are taken of; None for all floats.
        seconds: whether PyTorch has a second derivative.
        firsts: whether it has a first one.
        traced: whether a compiled function can do it: no shape depends on numbers.
        narrow: whether float32 is compared too; where numbers cancel it is rounding.
    """

    name: str
    ours: Any
    theirs: Any
    inputs: tuple[np.ndarray[Any, Any], ...]
    wrt: Sequence[int] | None = None
    seconds: bool = True
    firsts: bool = True
    traced: bool = True
    narrow: bool = True

    def positions(self) -> list[int]:
        if self.wrt is not None:
            return list(self.wrt)
        return [i for i, a in enumerate(self.inputs) if a.dtype.kind == "f"]


def in_dtype(arrays: Any, dtype: str) -> list[np.ndarray[Any, Any]]:
    return [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]


def drawn(rng: Any, arrays: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
    return [rng.normal(size=tuple(a.shape)) for a in arrays]


def several(made: Any) -> list[Any]:
    """The tensors in what a function gives, also in tuples within it."""
    if not isinstance(made, tuple | list):
        return [made]
    return [t for item in made for t in several(item)]


def function_of(row: Row, dtype: str, module: Any, values: Any) -> tuple[Any, Any]:
    """The row as a function of what derivatives are taken of, and ⟨c, y⟩ of it.

    The second one is made when the shapes of y are known, which c has.
    """
    at = row.positions()
    named = list(dict(module.named_parameters())) if module is not None else []

    def output(*free: Any) -> list[Any]:
        given = list(values)
        for i, t in zip(at, free):
            given[i] = t
        if module is None:
            return several(row.ours(*given))
        params = dict(zip(named, free[len(at) :]))
        return several(nn.functional_call(module, params, tuple(given)))

    def along(results: Any) -> Any:
        c = drawn(np.random.default_rng(5), results)
        return lambda *free: total(output(*free), c, dtype)

    return output, along


def total(tensors: Any, weights: Any, dtype: str) -> Any:
    """Σ ⟨w, t⟩ over the floats."""
    parts = [
        (t * w.astype(t.dtype.name)).sum().astype(dtype)
        for t, w in zip(tensors, weights)
        if t.dtype.is_float
    ]
    return sum(parts, cr.tensor(0.0, dtype=dtype))


def ours_of(row: Row, dtype: str, module: Any) -> dict[str, list[Any]]:
    arrays = in_dtype(row.inputs, dtype)
    parameters = [] if module is None else list(module.parameters())
    free = [arrays[i] for i in row.positions()] + [p.numpy() for p in parameters]
    points = list(map(cr.tensor, free))
    state = None if module is None else module.state_dict()
    output, along = function_of(row, dtype, module, list(map(cr.tensor, arrays)))
    y = output(*points)
    after = None if module is None else module.state_dict()
    if state is not None:
        module.load_state_dict(state)
    if not free:
        return {"y": [t.detach().numpy() for t in y]}
    rng = np.random.default_rng(5)
    drawn(rng, y)  # the cotangent is drawn before the directions
    d, every = drawn(rng, free), tuple(range(len(free)))
    first = cr.grad(along(y), every)
    second = cr.grad(lambda *a: total(first(*a), d, dtype), every)
    made = {"y": y}
    if row.firsts:
        made["g"] = [*first(*points)]
    if row.firsts and row.seconds:
        made["h"] = [*second(*points)]
    found = {k: [t.detach().numpy() for t in v] for k, v in made.items()}
    return found | {"state": list((after or {}).values())}


def theirs_of(row: Row, dtype: str, module: Any) -> dict[str, list[Any]]:
    values = [torch.tensor(a) for a in in_dtype(row.inputs, dtype)]
    free = [values[i].requires_grad_() for i in row.positions()]
    if module is not None:
        free += list(module.parameters())
    rng = np.random.default_rng(5)
    y = several(row.theirs(*values) if module is None else module(*values))
    if not free:
        return {"y": [t.detach().numpy() for t in y]}
    c, d = drawn(rng, y), drawn(rng, free)

    def grads(tensors: Any, weights: Any) -> list[Any]:
        parts = [
            (t * torch.tensor(w).to(t.dtype)).sum().to(getattr(torch, dtype))
            for t, w in zip(tensors, weights)
            if t.requires_grad
        ]
        zeros = [torch.zeros_like(t) for t in free]
        if not parts:
            return zeros
        made = torch.autograd.grad(
            sum(parts), free, create_graph=True, allow_unused=True
        )
        return [z if g is None else g for z, g in zip(zeros, made)]

    made = {"y": y}
    if row.firsts:
        made["g"] = grads(y, c)
    if row.firsts and row.seconds:
        made["h"] = grads(made["g"], d)
    made |= {"state": [] if module is None else list(module.state_dict().values())}
    # Of a sum with nothing PyTorch makes tensors that have no numbers of their own.
    return {k: [t.detach().clone().numpy() for t in v] for k, v in made.items()}


def copied(row: Row, dtype: str) -> tuple[Any, Any]:
    """Both modules with the same random parameters; None of functions."""
    if not isinstance(row.theirs, torch.nn.Module):
        return None, None
    ours, theirs = row.ours.to(dtype), row.theirs.to(getattr(torch, dtype))
    rng = np.random.default_rng(3)
    state = {
        k: rng.uniform(0.25, 1.0, v.shape).astype(v.dtype) if v.dtype.kind == "f" else v
        for k, v in ours.state_dict().items()
    }
    ours.load_state_dict(state)
    theirs.load_state_dict({k: torch.tensor(v) for k, v in state.items()})
    return ours, theirs


def grouped(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return rows by what stands before the arguments in their names."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.name.partition("(")[0], []).append(row)
    return groups


def compare_all(rows: Sequence[Row], dtypes: Sequence[str] = (*TOLERANCES,)) -> None:
    """Compare each row in each dtype, and name the row in an error."""
    for row in rows:
        for dtype in dtypes if row.narrow else ["float64"]:
            try:
                compare(row, dtype)
            except Exception as error:
                error.add_note(f"the row was {row.name} in {dtype}")
                raise


def compare(row: Row, dtype: str) -> None:
    """Refuse a difference."""
    ours, theirs = copied(row, dtype)
    wanted, made = theirs_of(row, dtype, theirs), ours_of(row, dtype, ours)
    for key, arrays in wanted.items():
        assert len(made[key]) == len(arrays), key
        for i, (got, right) in enumerate(zip(made[key], arrays)):
            assert got.shape == right.shape, (key, i)
            assert got.dtype == right.dtype, (key, i)
            assert agree(got, right, dtype), (key, i, got, right)


def agree(got: Any, right: Any, dtype: str) -> bool:
    """Whether numbers are those; integers, NaN and infinities exactly."""
    if right.dtype.kind != "f":
        return np.array_equal(got, right)
    finite = np.isfinite(right)
    if not np.array_equal(got[~finite], right[~finite], equal_nan=True):
        return False
    got, right = got[finite], right[finite]
    scale = max(1.0, np.abs(right).max(initial=0.0))
    off = np.abs(got - right).max(initial=0.0) / scale
    narrow = "float32" in (dtype, right.dtype.name)
    return bool(off <= TOLERANCES["float32" if narrow else "float64"])


def compare_compiled(rows: Sequence[Row], engine: str, firsts: bool = True) -> None:
    """Values and first derivatives of many rows in one program, in float64."""
    rows = [replace(row, seconds=False) for row in rows if row.traced]
    both = [copied(row, "float64") for row in rows]

    def everything(given: Any) -> Any:
        made = []
        for row, (module, _), values in zip(rows, both, given):
            at = row.positions()
            named = dict(module.named_parameters()) if module is not None else {}
            free = [*[values[i] for i in at], *named.values()]
            y, along = function_of(row, "float64", module, values)
            results, slopes = y(*free), []
            if firsts and row.firsts and free:
                slopes = cr.grad(along(results), tuple(range(len(free))))(*free)
            made.append([results, [*slopes]])
        return made

    results = cr.compile(everything, engine=engine)(
        [[cr.tensor(a) for a in in_dtype(row.inputs, "float64")] for row in rows]
    )
    for row, (_, theirs), (y, g) in zip(rows, both, results):
        wanted = theirs_of(row, "float64", theirs)
        for key, arrays in (("y", y), ("g", g)):
            right_ones = wanted.get(key, []) if arrays else []
            for got, right in zip(arrays, right_ones, strict=True):
                got = got.detach().numpy()
                assert got.shape == right.shape, (row.name, key)
                assert got.dtype == right.dtype, (row.name, key)
                assert agree(got, right, "float64"), (row.name, key, got, right)


def grid(**options: Sequence[Any]) -> list[dict[str, Any]]:
    """One dictionary with the first of each, and one for each other choice.

    >>> grid(a=[1, 2], b=[3, 4])
    [{'a': 1, 'b': 3}, {'a': 2, 'b': 3}, {'a': 1, 'b': 4}]
    """
    first = {name: values[0] for name, values in options.items()}
    others = [{**first, n: v} for n, values in options.items() for v in values[1:]]
    return [first, *others]


def label(name: str, options: dict[str, Any]) -> str:
    return f"{name}({', '.join(f'{k}={v}' for k, v in options.items())})"
