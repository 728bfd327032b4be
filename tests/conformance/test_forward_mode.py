"""Forward mode beside reverse mode: ⟨u, ∂y/∂x · ẋ⟩ = ⟨uᵀ ∂y/∂x, ẋ⟩, each primitive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.autograd import Function, once_differentiable
from chainrule.errors import ArgumentError, GradientError, ShapeError
from chainrule.graph.emit import trace
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Value
from chainrule.graph.types import DType
from chainrule.transforms.forward_mode import tangents
from tests.conformance.cases import Example, all_cases, every
from tests.conformance.derivatives import (
    differentiable,
    in_float64,
    inner,
    is_float,
    random_like,
    vjp,
)


def is_due(example: Example) -> bool:
    return differentiable(example) and in_float64(example)


def pushed(example: Example, values: Sequence[Value], along: Sequence[Value]) -> Any:
    """The outputs' derivatives along the directions; zeros where there are none."""
    outputs = example.apply(*values)
    seeds = {v: t for v, t in zip(values, along) if v.dtype.is_float}
    known = tangents(outputs, seeds)
    return [known.get(y) for y in outputs]


@every(all_cases(only=is_due))
def test_forward_mode_is_the_transpose_of_reverse_mode(
    example: Example, rng: np.random.Generator
) -> None:
    xs = example.draw(rng)
    ys = example.reference(xs)
    directions, us = random_like(xs, rng), random_like(ys, rng)
    values = [Value(np.asarray(x), tracked=is_float(x)) for x in xs]
    along = [Value(np.asarray(t)) for t in directions]
    eager = [None if t is None else t.array for t in pushed(example, values, along)]

    def function(*parts: Value) -> list[Value]:
        made = pushed(example, parts[: len(xs)], parts[len(xs) :])
        return [t for t in made if t is not None]

    types = [v.type for v in (*values, *along)]
    traced = evaluate(trace(function, types, tracked=True), [*xs, *directions])
    for got, later in zip([t for t in eager if t is not None], traced, strict=True):
        np.testing.assert_allclose(got, later, rtol=1e-12, atol=1e-12)

    pulled = vjp(example, xs, us)
    left, size = inner(eager, us)
    right, other = inner(pulled, directions)
    narrow = any(t.dtype is DType.float32 for t in example.out_types)
    assert abs(left - right) <= (1e-6 if narrow else 1e-9) * max(size, other, 1)


# -- jvp -------------------------------------------------------------------------------


class Cubed(cr.autograd.Function):
    """x³, with a derivative of its own that needs numbers, not types alone."""

    @staticmethod
    def forward(ctx: Any, x: cr.Tensor) -> cr.Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, g: cr.Tensor) -> cr.Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * g


FUNCTIONS: dict[str, Callable[[cr.Tensor], cr.Tensor]] = {
    "a layer": lambda x: cr.nn.functional.gelu(x * W).softmax(0),
    "a loop": lambda x: cr.scan(lambda c, e: (c * e + W.sum(), c), x.sum(), x)[1],
    "a branch": lambda x: cr.cond(x.sum() > 0, lambda x: x.exp() * W, cr.sin, x),
    "a checkpoint": lambda x: cr.checkpoint(lambda x: (x * W).tanh() * x, x),
    "a user's function": lambda x: Cubed.apply(x) * W,
    "a derivative": lambda x: cr.grad(lambda x: (x**3 * W).sum())(x),
    "another direction": lambda x: cr.jvp(lambda x: x**3 * W, [x], [x.sin()])[1],
}
X = cr.tensor([0.3, -0.7, 1.2], dtype="float64")
T = cr.tensor([1.0, -2.0, 0.5], dtype="float64")
W = cr.tensor([0.6, 1.1, -0.4], dtype="float64", requires_grad=True)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_directions_of_functions(name: str) -> None:
    """Beside the Jacobian, eager and compiled, and its derivative to x, t and W."""
    function = FUNCTIONS[name]

    def along(x: cr.Tensor, t: cr.Tensor) -> Any:
        return cr.jvp(function, [x], [t])

    expected = cr.jacobian(function)(X) @ T
    for run in (along, cr.compile(along)):
        y, slope = run(X, T)
        np.testing.assert_allclose(y.detach(), function(X).detach(), rtol=1e-12)
        np.testing.assert_allclose(slope.detach(), expected.detach(), rtol=1e-12)

    def total(x: cr.Tensor, t: cr.Tensor) -> cr.Tensor:
        return (along(x, t)[1] ** 2).sum()

    def by_rows(x: cr.Tensor, t: cr.Tensor) -> cr.Tensor:
        return ((cr.jacobian(function)(x) @ t) ** 2).sum()

    for got, want in zip(
        cr.grad(total, (0, 1))(X, T), cr.grad(by_rows, (0, 1))(X, T), strict=True
    ):
        np.testing.assert_allclose(got.detach(), want.detach(), rtol=1e-10)
    slopes = [cr.gradients(f(X, T), [W])[0] for f in (total, by_rows)]
    np.testing.assert_allclose(slopes[0], slopes[1], rtol=1e-10)


def test_a_result_without_derivative_has_none_along_a_direction() -> None:
    outputs, slopes = cr.jvp(lambda x: (x.argmax(), x.detach(), x * 2), [X], [T])
    assert [s.tolist() for s in slopes] == [0, [0, 0, 0], (T * 2).tolist()]
    assert not any(t.requires_grad for t in (*outputs, *slopes))


def test_directions_fit_the_arguments() -> None:
    with pytest.raises(ArgumentError, match="structure"):
        cr.jvp(lambda pair: pair[0] * pair[1], [(X, X)], [X])
    with pytest.raises(ShapeError, match="direction"):
        cr.jvp(cr.sin, [X], [T[:2]])
    with pytest.raises(ArgumentError, match="each argument"):
        cr.jvp(cr.sin, [X], [])


def test_a_function_with_a_derivative_of_its_own() -> None:
    """A backward that is not recorded is an error, not a direction of zeros."""

    class Square(Function):
        @staticmethod
        def forward(ctx: Any, x: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
            ctx.save_for_backward(x)
            return x * x, x.sign()

        @staticmethod
        def backward(ctx: Any, g: cr.Tensor, h: cr.Tensor) -> cr.Tensor:
            (x,) = ctx.saved_tensors
            return 2 * g * x + cr.zeros_like(h)

    class Once(Square):
        backward = staticmethod(once_differentiable(Square.backward))

    class ByNumPy(Square):
        @staticmethod
        def backward(ctx: Any, g: cr.Tensor, h: cr.Tensor) -> cr.Tensor:
            (x,) = ctx.saved_tensors
            return cr.tensor(2 * g.detach().numpy()) * x

    def along(function: Any, x: cr.Tensor) -> Any:
        return cr.jvp(lambda x: function.apply(x * 3), [x], [T])[1]

    for run in (along, cr.compile(along)):
        slope, zero = run(Square, X)
        np.testing.assert_allclose(slope, 18 * X * T, rtol=1e-12)
        assert not zero.any()
        with pytest.raises(GradientError, match="once_differentiable"):
            run(Once, X)
    with pytest.raises(GradientError, match="recorded"):
        along(ByNumPy, X)
