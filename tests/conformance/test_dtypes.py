"""Every primitive in every element type that its rule admits, at the ends of the types.

Eager code, the NumPy engine and the native engine must agree: where truth values are
added, integers wrap or are divided by zero, zeros have a sign, numbers are infinite or
none, and where there are no elements at all. The variants of one primitive are outputs
of one program, since starting a compiler takes longer than what it compiles. One type
of each kind is always tested, all types and their pairs with the slow tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from chainrule.composites.composite import Composite
from chainrule.engines import load_engine
from chainrule.errors import ChainruleError
from chainrule.graph.emit import trace
from chainrule.graph.node import Value
from chainrule.graph.primitive import REFERENCES, Primitive, registered
from chainrule.graph.types import NUMPY_DTYPES, ArrayType, DType
from tests.conformance.cases import Array, Case, Example, parse_type
from tests.conformance.test_engines import ENGINES, program_of, threads_on

#: Elementary functions are within a few units in the last place of NumPy's.
TOLERANCE = {np.dtype("float32"): 1e-6, np.dtype("float64"): 4e-15}
#: Cases of a primitive that is not elementwise, so many of them: what their attributes
#: change is tested in floats, on all of them.
CASES = 2
#: Truth values, integers that wrap at 0, integers with a sign, floats.
KINDS = (DType.bool, DType.uint8, DType.int64, DType.float32)


def ends(dtype: DType) -> list[Any]:
    """Numbers at the ends of a type and in the middle; no denormal ones."""
    if dtype is DType.bool:
        return [False, True]
    if dtype.is_integer:
        limits = np.iinfo(dtype.numpy)
        some = [0, 1, 2, 7, 31, limits.max, limits.max - 1, limits.min]
        return some if dtype.kind == "uint" else [*some, -1, -2, -7, limits.min + 1]
    limits = np.finfo(dtype.numpy)
    some = [0.0, 0.5, 1.0, 1.5, 2.5, 3.0, 300.7, 1e19, limits.max, np.inf]
    return [*some, *(-s for s in some), float(limits.tiny), np.nan]


def within(dtype: DType) -> list[Any]:
    """What sums in any order agree about: no number so large that it overflows."""
    if not dtype.is_float:
        return ends(dtype)
    return [0.0, -0.0, 0.5, 1.0, -1.0, 2.5, -3.0, np.inf, np.nan]


@dataclass(frozen=True)
class Variant:
    """One application: types and attributes that the rule admits."""

    example: Example
    types: tuple[ArrayType, ...]
    attrs: dict[str, Any]

    def draw(self, rng: np.random.Generator) -> list[Array]:
        """All pairs (triples) of numbers for what is elementwise, else some."""
        example, made = self.example, list[Array]()
        spread = example.primitive.elementwise and self.types[0].shape == (0,)
        if spread:
            choices = [ends(t.dtype) for t in self.types]
            grid = np.indices([len(c) for c in choices]).reshape(len(choices), -1)
            return [
                np.array(c, t.dtype.numpy)[i]
                for c, t, i in zip(choices, self.types, grid)
            ]
        for i, t in enumerate(self.types):
            shape = tuple(map(int, t.shape))
            bounds = example.case.ranges[i : i + 1]
            if bounds and bounds[0] and not t.dtype.is_float:
                array = rng.integers(*map(int, bounds[0]), shape)
            else:
                array = rng.choice(np.array(within(t.dtype), t.dtype.numpy), shape)
            made.append(np.asarray(array, t.dtype.numpy))
        return made


def variants(primitive: Primitive, dtypes: Sequence[DType]) -> list[Variant]:
    """The primitive's cases in these types; what is elementwise on a line and 0-d."""
    cases = primitive.examples()
    if primitive.elementwise:
        first = cases[0]
        names = [text.split("[")[0] for text in first.inputs]
        cases = tuple(
            Case(tuple(f"{name}[{size}]" for name in names), case.attrs)
            for case in (cases if first.attrs else cases[:1])
            for size in ("0", "", "2,0")
        )
        if dtypes is KINDS:  # a number and nothing are such for any type
            cases = cases[:3] + cases[3::3]
    else:
        cases = cases[:CASES]
    found: dict[str, Variant] = {}
    for case in cases:
        for types, attrs in changed(case, dtypes):
            try:
                primitive.output_types(types, attrs)
            except (ChainruleError, TypeError, ValueError):
                continue
            example = Example(primitive, case, None)
            variant = Variant(example, tuple(types), attrs)
            found[f"{list(map(str, types))}{attrs}"] = variant
    return list(found.values())


def changed(
    case: Case, dtypes: Sequence[DType]
) -> Iterator[tuple[list[ArrayType], dict[str, Any]]]:
    """Other element types for what the case leaves open, or all alike, or an index."""
    named = [k for k, item in case.attrs.items() if isinstance(item, DType)]
    others = [case.attrs | dict.fromkeys(named, d) for d in dtypes] if named else []
    attributes = [case.attrs, *others]
    choices: list[list[ArrayType]] = [
        [parse_type(t, d) for t in case.inputs] for d in dtypes
    ]
    plain = [parse_type(t, DType.float32) for t in case.inputs]
    if len({t.split("[")[0] for t in case.inputs}) == 1:
        choices += [[ArrayType(t.shape, d) for t in plain] for d in dtypes]
    for i, t in enumerate(plain):
        if t.dtype.is_integer:  # an index
            alike = [ArrayType(t.shape, d) for d in dtypes if d.is_integer]
            choices += [[*plain[:i], a, *plain[i + 1 :]] for a in alike]
    for types in choices:
        for attrs in attributes:
            yield types, attrs


def flushed(array: Array) -> Array:
    """Denormal numbers as zeros."""
    tiny = np.finfo(array.dtype).tiny
    return np.where(np.abs(array) < tiny, np.copysign(0, array), array)


def assert_same(got: Array, want: Array, what: str, *, signs: bool) -> None:
    assert (got.shape, got.dtype) == (want.shape, want.dtype), what
    if want.dtype.kind != "f":
        np.testing.assert_array_equal(got, want, err_msg=what)
        return
    got, want = flushed(got), flushed(want)
    rtol = TOLERANCE[want.dtype]
    finite = np.abs(want[np.isfinite(want)])
    atol = 0.0 if signs else rtol * float(np.max(finite, initial=0))
    np.testing.assert_allclose(got, want, rtol=rtol, atol=atol, err_msg=what)
    if signs:
        some = ~np.isnan(want)
        np.testing.assert_array_equal(
            np.signbit(got)[some], np.signbit(want)[some], err_msg=what
        )


PRIMITIVES = [
    pytest.param(p, id=p.name)
    for p in registered().values()
    if not isinstance(p, Composite) and p.examples()
]


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_each_kind_of_type_on_every_engine(
    primitive: Primitive, rng: np.random.Generator
) -> None:
    check(primitive, KINDS, rng)


@pytest.mark.slow
@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_every_type_on_every_engine(
    primitive: Primitive, rng: np.random.Generator
) -> None:
    check(primitive, NUMPY_DTYPES, rng)


def check(
    primitive: Primitive,
    dtypes: Sequence[DType],
    rng: np.random.Generator,
    engines: Sequence[str] = ENGINES,
) -> None:
    chosen, arrays, wanted = list[Variant](), list[list[Array]](), list[Any]()
    for variant in variants(primitive, dtypes):
        drawn = variant.draw(rng)
        with np.errstate(all="ignore"):
            made = REFERENCES[primitive](*drawn, **variant.attrs)
        made = made if isinstance(made, tuple) else (made,)
        wanted += [(variant, np.asarray(array)) for array in made]
        chosen.append(variant)
        arrays.append(drawn)
    assert chosen

    def function(*values: Value) -> list[Value]:
        rest, outputs = list(values), list[Value]()
        for variant, drawn in zip(chosen, arrays):
            mine = [rest.pop(0) for _ in drawn]
            example = Example(
                primitive, Case(variant.example.case.inputs, variant.attrs), None
            )
            outputs += example.apply(*mine)
        return outputs

    flat = [array for drawn in arrays for array in drawn]
    types = [ArrayType(a.shape, DType[a.dtype.name]) for a in flat]
    program = program_of(trace(function, types, name="main"))
    names = {
        v.name or "": a for v, a in zip(program.entries["main"].graph.inputs, flat)
    }
    for engine in engines:
        executable = load_engine(engine, program, threads=threads_on(engine, 1))
        got = executable.run("main", names, steps=1, sizes={})
        for (variant, want), row in zip(wanted, got, strict=True):
            (mine,) = np.asarray(row)
            what = f"{engine}: {primitive.name} of {list(map(str, variant.types))}"
            what += f" {variant.attrs}"
            signs = primitive.elementwise or primitive.view
            assert_same(mine, want, what, signs=signs)
