"""Every primitive and composite in bfloat16: computed in float32, and rounded once.

What rounds here is written with float64 alone, so it knows neither the references'
conversion (ml_dtypes) nor that of machine code (bits). Nothing here knows a primitive:
one that refuses bfloat16 stands in ``REFUSED`` with the reason.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from chainrule.composites.composite import Composite
from chainrule.engines import load_engine
from chainrule.errors import DTypeError
from chainrule.graph.apply import rounded, single
from chainrule.graph.emit import trace
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Value
from chainrule.graph.primitive import REFERENCES, Primitive, registered
from chainrule.graph.types import NUMPY_DTYPES, ArrayType, DType
from chainrule.graph.verify import verify
from tests.conformance.cases import (
    Array,
    Example,
    examples_of,
    is_long,
)
from tests.conformance.test_engines import (
    ENGINES,
    joined,
    program_of,
    runs_as_code,
    with_derivatives,
)

NARROW = DType.bfloat16
#: What has no meaning in bfloat16 by way of float32.
REFUSED = {"nextafter": "the next number of bfloat16 is another one than float32's"}
#: Examples of a primitive, the largest; the other types have them all.
EXAMPLES = 3


def nearest(x: Array) -> Array:
    """The bfloat16 next to each float32, the even one of two, as float32."""
    with np.errstate(invalid="ignore"):  # of a NaN that signals
        wide = np.asarray(x, np.float64)
    some = np.isfinite(wide) & (wide != 0)
    exponent = np.floor(np.log2(np.abs(wide), out=np.zeros_like(wide), where=some))
    unit = np.exp2(np.maximum(exponent, -126) - 7)
    made = np.where(some, np.rint(wide / unit) * unit, wide)
    largest = (2 - 2.0**-7) * 2.0**127
    made = np.where(np.abs(made) > largest, np.copysign(np.inf, made), made)
    return made.astype(np.float32)


def narrow_examples(primitive: Primitive) -> list[Example]:
    found = [
        e
        for e in examples_of(primitive, (NARROW,))
        if any(t.dtype is NARROW for t in e.types)
    ]
    found.sort(key=lambda e: -sum(math.prod(t.shape) for t in e.types))
    return found[:EXAMPLES]


def draw(example: Example, rng: np.random.Generator) -> list[Array]:
    """Numbers that float32 takes, rounded."""
    plain = Example(example.primitive, example.case, DType.float32)
    return [
        array.astype(t.dtype.numpy) for array, t in zip(plain.draw(rng), example.types)
    ]


def wide(array: Array) -> Array:
    """A bfloat16 as the float32 that it is the upper half of."""
    if array.dtype.name != "bfloat16":
        return array
    return (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


PRIMITIVES = [
    pytest.param(p, id=p.name)
    for p in registered().values()
    if narrow_examples(p) and p.name not in REFUSED and not is_long(p)
]


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_computes_in_float32_and_rounds_once(
    primitive: Primitive, rng: np.random.Generator
) -> None:
    for example in narrow_examples(primitive):
        arrays = draw(example, rng)
        attrs = {
            k: single(a) if isinstance(a, DType) and not primitive.moves else a
            for k, a in example.attrs.items()
        }
        with np.errstate(all="ignore"):
            made = REFERENCES[primitive](*map(wide, arrays), **attrs)
        wanted = made if isinstance(made, tuple) else (made,)
        got = example.apply(*map(Value, arrays))
        for value, want, expected in zip(got, wanted, example.out_types, strict=True):
            assert value.dtype is expected.dtype, example
            want = np.asarray(want)
            if expected.dtype is NARROW:
                want = nearest(wide(want))
            np.testing.assert_array_equal(wide(value.array), want, str(example))


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_engines_round_as_the_reference(
    primitive: Primitive, rng: np.random.Generator
) -> None:
    """Values and derivatives; where float32 differs in its last places, by one unit."""
    mine = narrow_examples(primitive)
    composite = isinstance(primitive, Composite)
    graphs = [
        with_derivatives(e, e.types, order=1 - (composite and i > 0))
        for i, e in enumerate(mine)
    ]
    arrays, wanted = list[Array](), list[Array]()
    for example, graph in zip(mine, graphs):
        verify(graph)
        drawn = draw(example, rng)
        for v in graph.inputs[len(drawn) :]:
            drawn.append(np.asarray(rng.uniform(-1, 1, v.shape), v.dtype.numpy))
        wanted += evaluate(graph, drawn)
        arrays += drawn
    whole = joined(graphs)
    names = {v.name or "": a for v, a in zip(whole.inputs, arrays)}
    for engine in ENGINES if runs_as_code(mine[0]) else ENGINES[:1]:
        executable = load_engine(engine, program_of(whole), threads=2)
        got = executable.run("main", names, steps=1, sizes={})
        for (array,), want in zip(got, wanted, strict=True):
            assert_rounded_alike(array, want, f"{engine}: {primitive.name}")


def assert_rounded_alike(got: Array, want: Array, what: str) -> None:
    assert (got.shape, got.dtype) == (want.shape, want.dtype), what
    if want.dtype.name != "bfloat16":
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5, err_msg=what)
        return
    a, b = wide(got), wide(want)
    units = np.abs(got.view(np.int16).astype(int) - want.view(np.int16).astype(int))
    other = (a != b) & ~(np.isnan(a) & np.isnan(b))
    assert np.all(units[other] <= 1), what
    assert np.sum(other) <= 1 + a.size // 100, what


def test_a_wrong_rounding_is_found(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the native engine: the upper half as it stands, which rounds towards zero."""
    if "native" not in ENGINES:
        pytest.skip("no native engine here")
    from chainrule.engines.native.loops import kernels
    from chainrule.engines.native.math import scalar

    def cut(b: Any, x: Any) -> Any:
        bits = b.bitcast(x, scalar.I32)
        return b.trunc(b.lshr(bits, scalar.I32(16)), scalar.I16)

    monkeypatch.setattr(kernels, "_known", {})  # what is compiled already is right
    monkeypatch.setattr(scalar, "_rounded", cut)
    with pytest.raises(AssertionError, match="native: mul"):
        test_engines_round_as_the_reference(registered()["mul"], rng)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    primitive = registered()[name]
    (example, *_) = narrow_examples(primitive)
    with pytest.raises(DTypeError, match="bfloat16"):
        trace(example.apply, example.types)


def numbers() -> Array:
    """Float32 numbers at which rounding is hard: ties, carries, the ends, NaN."""
    bits = np.arange(0, 2**16, 7, dtype=np.uint32) << 16
    low = np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
    return (bits[:, None] | low).view(np.float32).ravel()


@pytest.mark.parametrize("engine", ENGINES)
def test_every_kind_of_float32_is_rounded_to_nearest_even(engine: str) -> None:
    x = numbers()
    graph = trace(
        lambda v: (rounded(v, NARROW), rounded(rounded(v, NARROW), DType.float64)),
        [ArrayType(x.shape, DType.float32)],
        name="main",
    )
    executable = load_engine(engine, program_of(graph), threads=1)
    (made,), (back,) = executable.run("main", {"x0": x}, steps=1, sizes={})
    np.testing.assert_array_equal(flushed(wide(made)), flushed(nearest(x)))
    np.testing.assert_array_equal(flushed(back), flushed(nearest(x)))
    zeros = x == 0
    np.testing.assert_array_equal(np.signbit(back)[zeros], np.signbit(x)[zeros])


def flushed(x: Array) -> Array:
    """Denormal numbers as 0: machine code computes so."""
    return np.where(np.abs(x) < np.finfo(np.float32).tiny, 0, x)


@pytest.mark.parametrize("dtype", NUMPY_DTYPES, ids=lambda d: d.name)
def test_conversion_from_and_to_every_type(
    dtype: DType, rng: np.random.Generator
) -> None:
    """By way of float32; bits and ends of the types included."""
    if dtype.is_float:
        with np.errstate(invalid="ignore"):
            x = numbers().astype(dtype.numpy)
    else:
        x = rng.integers(0, 256, (100, dtype.itemsize), np.uint8)
        x = (x % 2).astype(bool) if dtype is DType.bool else x.view(dtype.numpy)
        x = x.ravel()
    with np.errstate(all="ignore"):
        narrow = nearest(x.astype(np.float32))

    def function(v: Value, w: Value) -> tuple[Value, Value]:
        return rounded(v, NARROW), rounded(w, dtype)

    types = [ArrayType(x.shape, dtype), ArrayType(narrow.shape, NARROW)]
    graph = trace(function, types, name="main")
    arrays = [x, narrow.astype(NARROW.numpy)]
    to, back = evaluate(graph, arrays)
    np.testing.assert_array_equal(wide(to), narrow)
    convert = REFERENCES[registered()["convert"]]
    np.testing.assert_array_equal(back, convert(narrow, dtype=dtype))
    for engine in ENGINES:
        executable = load_engine(engine, program_of(graph), threads=1)
        names = {v.name or "": a for v, a in zip(graph.inputs, arrays)}
        (made,), (again,) = executable.run("main", names, steps=1, sizes={})
        np.testing.assert_array_equal(flushed(wide(made)), flushed(narrow))
        if dtype.is_float:
            again, back = flushed(again), flushed(back)
        np.testing.assert_array_equal(again, back, engine)
