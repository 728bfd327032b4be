"""Types, flags and declarations of every primitive against what it computes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from chainrule.composites.composite import Composite
from chainrule.errors import ArgumentError, ChainruleError
from chainrule.graph.emit import trace
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Value
from chainrule.graph.primitive import REFERENCES, Primitive, registered
from chainrule.graph.types import ArrayType, DType, type_of
from tests.conformance.cases import (
    Array,
    Example,
    all_cases,
    every,
    every_primitive,
    examples,
    examples_of,
    is_long,
    materialise,
    with_batch,
)

#: float32 against float64: relative to the largest element of the result.
FLOAT32_TOLERANCE = 1e-5
#: Linearity, of float32 and float64 alike: relative to the largest element too, or to
#: what was added up for one.
LINEAR_TOLERANCE = 2e-6


def check_types(example: Example, arrays: Sequence[Array]) -> None:
    """The reference gives what the rule says, and leaves its inputs alone."""
    before = [a.copy() for a in arrays]
    made = example.reference(arrays)
    assert tuple(type_of(np.asarray(a)) for a in made) == example.out_types
    for a, kept in zip(arrays, before):
        np.testing.assert_array_equal(
            a, kept, err_msg="the reference wrote to an input"
        )


@every(all_cases())
def test_rule_gives_the_type_that_the_reference_computes(
    example: Example, rng: np.random.Generator
) -> None:
    for ties in (False, True):
        check_types(example, example.draw(rng, ties=ties))


@every(all_cases())
def test_traced_is_eager(example: Example, rng: np.random.Generator) -> None:
    graph = trace(example.apply, example.types)
    assert tuple(v.type for v in graph.outputs) == example.out_types
    arrays = example.draw(rng, ties=bool(rng.integers(2)))
    eager = example.apply(*map(Value, arrays))
    for traced, value in zip(evaluate(graph, arrays), eager, strict=True):
        np.testing.assert_array_equal(traced, value.array)


def batchable() -> list[Any]:
    """Examples that their rule also takes with N for the first size of an input."""
    found: list[Any] = []
    for example in examples((DType.float32,)):
        n = next((t.shape[0] for t in example.types if t.shape), 0)
        if not n:
            continue
        types, attrs = with_batch(example, int(n))
        # A tuple that begins with n may be a shape or not: N in it is a guess, which
        # a rule may refuse in any way; for N in the inputs alone only in ours.
        for variant, refusal in (
            (example.attrs, ChainruleError),
            (attrs, (ChainruleError, TypeError)),
        ):
            try:
                example.primitive.output_types(types, variant)
            except refusal:
                continue
            found.append(pytest.param(example, types, variant, id=str(example)))
            break
    return found


BATCHABLE = batchable()
#: Before other tests add primitives of their own.
ELEMENTWISE = {p.name for p in registered().values() if p.elementwise}


@every(BATCHABLE)
def test_symbolic_batch_is_the_batch(
    example: Example,
    types: list[ArrayType],
    attrs: dict[str, Any],
    rng: np.random.Generator,
) -> None:
    """Traced over N once, run with the case's own size: the same numbers."""
    graph = trace(example.primitive, types, attrs=attrs)
    assert graph.symbolic
    arrays = example.draw(rng)
    for got, want in zip(evaluate(graph, arrays), example.reference(arrays)):
        np.testing.assert_array_equal(got, want)


def test_most_primitives_take_a_symbolic_batch() -> None:
    """Elementwise ones, and most others that have inputs with axes, work for any N."""
    taken = {param.values[0].primitive.name for param in BATCHABLE}
    with_axes = {e.primitive.name for e in examples() if any(t.shape for t in e.types)}
    assert taken >= ELEMENTWISE
    assert len(taken) >= 0.8 * len(with_axes)


#: One of each kind, and both widths of what programs have most.
DTYPES = (
    *(DType.bool, DType.uint8, DType.int32, DType.int64),
    *(DType.float32, DType.float64),
)


def perturbed(types: Sequence[ArrayType]) -> Iterator[list[ArrayType]]:
    """The types with one thing changed: a length, a rank, a dtype, or every dtype."""
    for d in DTYPES:
        yield [ArrayType(t.shape, d) for t in types]
    for i, t in enumerate(types):
        changes = [
            ArrayType((*t.shape[:j], t.shape[j] + 1, *t.shape[j + 1 :]), t.dtype)  # type: ignore[operator]
            for j in range(len(t.shape))
        ]
        changes.append(ArrayType((1, *t.shape), t.dtype))
        if t.shape:
            changes.append(ArrayType(t.shape[1:], t.dtype))
        changes += [ArrayType(t.shape, d) for d in DTYPES if d is not t.dtype]
        for change in changes:
            yield [*types[:i], change, *types[i + 1 :]]


@every(all_cases((DType.float32,)))
def test_wrong_inputs_are_refused_or_computed(
    example: Example, rng: np.random.Generator
) -> None:
    """A rule refuses what its reference cannot do, and says what it expected."""
    primitive = example.primitive
    refusals: list[ChainruleError] = []
    for types in perturbed(example.types):
        try:
            promised = primitive.output_types(types, example.attrs)
        except ChainruleError as error:
            refusals.append(error)
            continue
        arrays = materialise(primitive, example.case, None, rng, types=types)
        try:
            made = example.reference(arrays)
        except ArgumentError:
            continue  # an index that fits the old shape: a matter of numbers, not types
        got = tuple(type_of(np.asarray(a)) for a in made)
        assert got == promised, f"{', '.join(map(str, types))}"
    for error in refusals:
        assert error.expected, f"{error} does not say what was expected"
        assert error.got, f"{error} does not say what came"
    if len(example.types) >= 2:
        assert refusals, f"{primitive.name} accepts any combination of inputs"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_eager_refuses_what_tracing_refuses() -> None:
    rng, accepted = np.random.default_rng(0), set[str]()
    for example in examples((DType.float32,), lambda e: not is_long(e.primitive)):
        primitive = example.primitive
        for types in perturbed(example.types):
            try:
                primitive.output_types(types, example.attrs)
            except ChainruleError as error:
                arrays = materialise(primitive, example.case, None, rng, types=types)
                try:
                    example.apply(*map(Value, arrays))
                except ChainruleError as refused:
                    if refused.what == error.what:
                        continue
                accepted.add(primitive.name)
    assert not accepted


@every_primitive
def test_wrong_number_of_inputs_is_refused(primitive: Primitive) -> None:
    """Or computed, by a primitive that takes any number."""
    example = examples_of(primitive)[0]
    for types in (example.types[:-1], [*example.types, ArrayType((3,), DType.float32)]):
        if types == example.types:
            continue
        try:
            promised = primitive.output_types(types, example.attrs)
        except (ChainruleError, TypeError):
            continue
        arrays = [np.zeros(t.shape, t.dtype.numpy) for t in types]  # type: ignore[arg-type]
        made = example.reference(arrays)
        assert tuple(map(type_of, made)) == promised


@every(all_cases((DType.float32,), lambda e: e.dtype is not None))
def test_float32_is_close_to_float64(
    example: Example, rng: np.random.Generator
) -> None:
    arrays = example.draw(rng)
    wide = [a.astype(np.float64) if a.dtype == np.float32 else a for a in arrays]
    for got, want in zip(example.reference(arrays), example.reference(wide)):
        if got.dtype.kind == "f":
            atol = FLOAT32_TOLERANCE * max(1.0, float(np.max(np.abs(want), initial=0)))
            np.testing.assert_allclose(got, want, rtol=0, atol=atol)
        else:
            np.testing.assert_array_equal(got, want)


def check_linear(example: Example, rng: np.random.Generator) -> None:
    """f(αx + βy) = αf(x) + βf(y) in the floating inputs taken together."""
    xs, ys = example.draw(rng), example.draw(rng)
    a, b = 0.75, -1.5
    mixed = [
        (a * x + b * y).astype(x.dtype) if x.dtype.kind == "f" else x
        for x, y in zip(xs, ys)
    ]
    ys = [y if x.dtype.kind == "f" else x for x, y in zip(xs, ys)]
    results = map(example.reference, (mixed, xs, ys))
    for of_mixed, of_x, of_y in zip(*results, strict=True):
        want = a * of_x + b * of_y
        # What a sum loses is relative to what it adds up, not to what is left of it.
        added = sum(float(np.abs(x).sum()) for x in xs if x.dtype.kind == "f")
        scale = max(
            1.0, float(np.max(np.abs(want), initial=0)), added / (want.size or 1)
        )
        atol = LINEAR_TOLERANCE * scale
        np.testing.assert_allclose(of_mixed, want, rtol=0, atol=atol)


@every(
    all_cases(
        only=lambda e: (
            e.primitive.linear
            and all(t.dtype.is_float for t in (*e.types, *e.out_types))
        )
    ),
)
def test_linear_is_linear(example: Example, rng: np.random.Generator) -> None:
    check_linear(example, rng)


def check_elementwise(example: Example, rng: np.random.Generator) -> None:
    """Changing element j of the inputs changes element j of the result alone."""
    arrays = example.draw(rng)
    before = example.reference(arrays)
    shape = example.types[0].shape
    for t in (*example.types, *example.out_types):
        assert t.shape == shape
    if not arrays[0].size:
        return
    j = int(rng.integers(arrays[0].size))
    others = np.arange(arrays[0].size) != j
    fresh = example.draw(rng)
    for array, new in zip(arrays, fresh):
        array.flat[j] = new.flat[j]
    for old, new in zip(before, example.reference(arrays), strict=True):
        np.testing.assert_array_equal(old.ravel()[others], new.ravel()[others])


@every(all_cases(only=lambda e: e.primitive.elementwise))
def test_elementwise_is_elementwise(example: Example, rng: np.random.Generator) -> None:
    check_elementwise(example, rng)


@every_primitive
def test_declaration_is_complete(primitive: Primitive) -> None:
    assert primitive.source
    assert primitive.examples()
    assert primitive.formula is not None
    if isinstance(primitive, Composite):
        assert primitive.function is not None
        assert primitive.function.__doc__


@every_primitive
def test_cases_cover_sizes(primitive: Primitive) -> None:
    """Each case's types fit its own attributes, and no case is there twice."""
    mine = examples_of(primitive)
    assert all(e.out_types for e in mine)
    assert len({str(e) for e in mine}) == len(mine)


def first(name: str, dtype: DType = DType.float64) -> Example:
    """The first example of a primitive that has at least two elements to work on."""
    return next(
        e
        for e in examples((dtype,))
        if e.primitive.name == name and all(np.prod(t.shape) > 1 for t in e.types)
    )


def test_a_wrong_flag_is_found(rng: np.random.Generator) -> None:
    with pytest.raises(AssertionError):
        check_linear(first("exp"), rng)
    with pytest.raises(AssertionError):
        check_elementwise(first("softmax"), rng)
    with pytest.raises(AssertionError):
        check_elementwise(first("reduce_sum"), rng)


def test_a_wrong_rule_or_reference_is_found(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = first("tanh", DType.float32)
    arrays = example.draw(rng)
    faults = (lambda x: np.tanh(x).astype(float), lambda x: np.tanh(x, out=x))
    for fault in faults:
        monkeypatch.setitem(REFERENCES, example.primitive, fault)
        with pytest.raises(AssertionError):
            check_types(example, arrays)
    monkeypatch.undo()
    check_types(example, arrays)
