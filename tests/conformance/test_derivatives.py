"""Every derivative rule, first and second order, against finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule.autodiff import vjp as vjp_of
from chainrule.composites.composite import Composite
from chainrule.graph.emit import trace
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Value
from chainrule.graph.primitive import DERIVATIVES, Primitive, registered
from chainrule.graph.types import ArrayType, DType, type_of
from chainrule.primitives.elementwise import div, mul, neg, sub
from chainrule.primitives.matmul import dot
from chainrule.primitives.movement import full_like
from tests.conformance.cases import Example, all_cases, every, examples, replaced
from tests.conformance.derivatives import (
    check_first_order,
    check_second_order,
    cotangent_function,
    differentiable,
    in_float64,
    is_float,
    random_like,
    vjp,
)
from tests.conformance.test_rules import BATCHABLE


def is_due(example: Example) -> bool:
    return differentiable(example) and in_float64(example)


DUE = all_cases(only=is_due)


def test_whatever_maps_floats_to_floats_has_a_derivative() -> None:
    missing = {
        e.primitive.name
        for e in examples()
        if differentiable(e) and e.primitive not in DERIVATIVES
    }
    assert not missing


@every(DUE)
def test_first_order(example: Example, rng: np.random.Generator) -> None:
    check_first_order(example, rng)


@every(DUE)
def test_second_order(example: Example, rng: np.random.Generator) -> None:
    check_second_order(example, rng)


@every(all_cases(only=differentiable))
def test_a_cotangent_has_the_type_of_its_value(
    example: Example, rng: np.random.Generator
) -> None:
    xs = example.draw(rng)
    for x, g in zip(xs, vjp(example, xs, random_like(example.reference(xs), rng))):
        if is_float(x):
            assert g is None or type_of(g) == type_of(x)
        else:
            assert g is None


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # ties: singular matrices
@every(all_cases(only=differentiable))
def test_traced_derivative_is_the_eager_one(
    example: Example, rng: np.random.Generator
) -> None:
    floats = [t for t in example.out_types if t.dtype.is_float]
    graph = trace(cotangent_function(example), [*example.types, *floats], tracked=True)
    xs = example.draw(rng, ties=bool(rng.integers(2)))
    ys = example.reference(xs)
    us = random_like(ys, rng)
    gs = [np.asarray(u, y.dtype) for u, y in zip(us, ys) if is_float(y)]
    eager = [g for g in vjp(example, xs, us) if g is not None]
    for got, want in zip(evaluate(graph, [*xs, *gs]), eager, strict=True):
        np.testing.assert_array_equal(got, want)


@every([param for param in BATCHABLE if differentiable(param.values[0])])
def test_derivative_over_a_symbolic_batch(
    example: Example,
    types: list[ArrayType],
    attrs: dict[str, Any],
    rng: np.random.Generator,
) -> None:
    """The derivative traced over N, run with the case's own size: the same numbers."""
    symbolic = Example(
        example.primitive, type(example.case)(example.case.inputs, attrs), example.dtype
    )
    outs = example.primitive.output_types(types, attrs)
    floats = [t for t in outs if t.dtype.is_float]
    graph = trace(cotangent_function(symbolic), [*types, *floats], tracked=True)
    xs = example.draw(rng)
    us = random_like(example.reference(xs), rng)
    gs = [np.asarray(u, t.dtype.numpy) for u, t in zip(us, outs) if t.dtype.is_float]
    eager = [g for g in vjp(example, xs, us) if g is not None]
    for got, want in zip(evaluate(graph, [*xs, *gs]), eager, strict=True):
        np.testing.assert_array_equal(got, want)


@every(
    all_cases(
        only=lambda e: (
            isinstance(e.primitive, Composite) and e.primitive.own_vjp and is_due(e)
        )
    ),
)
def test_own_derivative_of_a_composite_is_that_of_its_body(
    example: Example, rng: np.random.Generator
) -> None:
    composite = example.primitive
    assert isinstance(composite, Composite)
    assert composite.function is not None
    xs = example.draw(rng)
    inputs = tuple(Value(x, tracked=is_float(x)) for x in xs)
    needed = tuple(map(is_float, xs))
    outputs = example.apply(*inputs)
    gs = tuple(Value(u) for u in random_like([y.array for y in outputs], rng))
    own = DERIVATIVES[composite](gs, outputs, inputs, needed, **example.attrs)
    body = vjp_of(composite.function, inputs, gs, needed, example.attrs)
    for mine, theirs, need in zip(own, body, needed, strict=True):
        assert (mine is not None) == (theirs is not None) == need
        if mine is not None and theirs is not None:
            np.testing.assert_allclose(mine.array, theirs.array, rtol=1e-9, atol=1e-12)


# Faults planted on purpose: the checks above must see each of them.


def detached(value: Value) -> Value:
    """The same numbers, cut off from how they were computed."""
    assert value.array is not None
    return Value(value.array)


def exp_too_steep(g: Value, y: Value, x: Value) -> Any:
    return mul(mul(g, y), full_like(y, 1.01))


def exp_right_but_a_dead_end(g: Value, y: Value, x: Value) -> Any:
    return mul(g, detached(y))


def tanh_wrong_sign(g: Value, y: Value, x: Value) -> Any:
    return neg(mul(g, sub(full_like(y, 1.0), mul(y, y))))


def log_of_the_result(g: Value, y: Value, x: Value) -> Any:
    return div(g, y)


def dot_rhs_transposed(
    g: Value, y: Value, a: Value, b: Value, dims: str, accumulate: DType
) -> Any:
    return dot(a, g, "mk,kn->mn")


def rule(*functions: Callable[..., Any] | None) -> dict[str, Any]:
    return {"vjp": functions}


def softmax_as_if_elementwise(
    gs: Any, ys: Any, inputs: Any, needed: Any, *, axis: int
) -> Any:
    (g,), (y,) = gs, ys
    return (mul(g, mul(y, sub(full_like(y, 1.0), y))),)


SQUARE = Example(
    registered()["dot_general"],
    type(registered()["dot_general"].examples()[0])(
        ("f[3,3]", "f[3,3]"), {"dims": "mk,kn->mn", "accumulate": DType.float64}
    ),
    DType.float64,
)


def tried_on(primitive: Primitive) -> list[Example]:
    """The primitive's examples that have elements, in float64."""
    found = [
        e for e in examples((DType.float64,)) if e.primitive is primitive and is_due(e)
    ]
    return [e for e in found if not e.empty]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("exp", rule(exp_too_steep)),
        ("tanh", rule(tanh_wrong_sign)),
        ("log", rule(log_of_the_result)),
        ("reduce_sum", rule(lambda g, y, x, axes: full_like(x, 1.0))),
        ("neg", rule(None)),
        ("softmax", {"joint_vjp": softmax_as_if_elementwise}),
    ],
)
def test_a_wrong_derivative_is_found(
    name: str, fault: dict[str, Any], rng: np.random.Generator
) -> None:
    """In every example of the primitive, by the differences of first order."""
    primitive = registered()[name]
    for example in tried_on(primitive):
        if name == "softmax" and example.types[0].shape == (1, 1):
            continue  # one class: softmax is 1 and either derivative is 0
        check_first_order(example, rng)
        with replaced(primitive, **fault), pytest.raises(AssertionError, match="rule"):
            check_first_order(example, rng)


def test_a_transposed_derivative_is_found(rng: np.random.Generator) -> None:
    primitive = SQUARE.primitive
    fault = (lambda g, y, a, b, dims, accumulate: dot(g, b, "mn,kn->mk"),)
    fault += (dot_rhs_transposed,)
    check_first_order(SQUARE, rng)
    with replaced(primitive, vjp=fault), pytest.raises(AssertionError, match="rule"):
        check_first_order(SQUARE, rng)


def test_a_derivative_that_cannot_be_differentiated_is_found(
    rng: np.random.Generator,
) -> None:
    """Right numbers in first order, but nothing behind them for the second."""
    primitive = registered()["exp"]
    for example in tried_on(primitive):
        with replaced(primitive, vjp=(exp_right_but_a_dead_end,)):
            check_first_order(example, rng)
            with pytest.raises(AssertionError, match="rule"):
                check_second_order(example, rng)


def test_an_undeclared_kink_is_found() -> None:
    """Where no kink is declared, no point is skipped."""
    primitive = registered()["maximum"]
    example = max(tried_on(primitive), key=lambda e: e.types[0].shape)
    assert example.types[0].shape == (1031,)

    def everywhere() -> None:
        for seed in range(50):
            check_first_order(example, np.random.default_rng(seed))

    everywhere()
    with replaced(primitive, kinks=""), pytest.raises(AssertionError, match="rule"):
        everywhere()
