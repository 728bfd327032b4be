"""Functions with a derivative of their own: eager, compiled, differentiated again."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.autograd import Function, once_differentiable
from chainrule.errors import ArgumentError, ChainruleError, GradientError, ShapeError
from tests.ways import ENGINES


class Exp(Function):
    """Ten times the derivative of exp, so that it is seen which one is taken."""

    @staticmethod
    def forward(ctx: Any, x: cr.Tensor) -> cr.Tensor:
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: cr.Tensor) -> cr.Tensor:
        (y,) = ctx.saved_tensors
        return 10 * g * y


class CubeAndDouble(Function):
    """Two results; ``forward`` without ctx."""

    @staticmethod
    def forward(x: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
        return x**3, x * 2

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        (x,) = inputs
        ctx.save_for_backward(x, None, output[1] / 2)

    @staticmethod
    def backward(ctx: Any, g: cr.Tensor, h: cr.Tensor) -> cr.Tensor:
        x, nothing, again = ctx.saved_tensors
        assert nothing is None
        return 3 * x * again * g + 2 * h


class Scaled(Function):
    """A number among the arguments, and an integer tensor."""

    @staticmethod
    def forward(ctx: Any, x: cr.Tensor, scale: float, index: cr.Tensor) -> cr.Tensor:
        ctx.scale, ctx.index = scale, index.shape
        return x[index] * scale

    @staticmethod
    def backward(ctx: Any, g: cr.Tensor) -> Any:
        assert ctx.needs_input_grad == (True, False, False)
        return (g * ctx.scale).flip(0), None, None


FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], Any]] = {
    "saved result": (
        lambda x: Exp.apply(x).sum(),
        lambda x: 10 * np.exp(x),
        lambda x: 100 * np.exp(x),
    ),
    "two results": (
        lambda x: CubeAndDouble.apply(x)[0].sum() + CubeAndDouble.apply(x)[1].sum(),
        lambda x: 3 * x * x + 2,
        None,
    ),
    "one of two": (
        lambda x: CubeAndDouble.apply(x * x)[1].sum(),
        lambda x: 4 * x,
        lambda x: 4 + 0 * x,
    ),
    "of another": (
        lambda x: Exp.apply(Exp.apply(x) * 0.1).sum(),
        lambda x: 10 * np.exp(0.1 * np.exp(x)) * np.exp(x),
        None,
    ),
}


@pytest.mark.parametrize("case", FUNCTIONS)
def test_its_derivative_is_taken_everywhere(case: str) -> None:
    function, slope, bend = FUNCTIONS[case]
    numbers = np.array([0.5, -1.0, 2.0])
    x = cr.tensor(numbers, requires_grad=True)

    def derivatives(run: Callable[[Any], Any]) -> tuple[Any, Any]:
        (g,) = cr.autograd.grad(run(x), x, create_graph=True)
        (h,) = cr.autograd.grad(g.sum(), x, allow_unused=True, materialize_grads=True)
        return g.detach().numpy(), h.detach().numpy()

    eager = derivatives(function)
    np.testing.assert_allclose(eager[0], slope(numbers), rtol=1e-12)
    if bend is not None:
        np.testing.assert_allclose(eager[1], bend(numbers), rtol=1e-12)
    for engine in ENGINES:
        outside = derivatives(cr.compile(function, engine=engine))
        np.testing.assert_allclose(outside, eager, rtol=1e-12)
        inside = cr.compile(cr.grad(function), engine=engine)(cr.tensor(numbers))
        np.testing.assert_allclose(inside.numpy(), eager[0], rtol=1e-12)


def test_arguments_that_are_no_tensors_or_have_no_derivative() -> None:
    x = cr.tensor([1.0, 2.0], requires_grad=True)
    index = cr.tensor([1, 0])

    def loss(x: cr.Tensor) -> cr.Tensor:
        return (Scaled.apply(x, 3.0, index) * cr.tensor([1.0, 10.0])).sum()

    for run in (loss, cr.compile(loss, engine="native")):
        x.grad = None
        run(x).backward()
        assert x.grad is not None
        assert x.grad.tolist() == [30.0, 3.0]


def test_without_a_derivative_it_is_the_function_alone() -> None:
    assert not Exp.apply(cr.ones(2)).requires_grad
    x = cr.ones(2, requires_grad=True)
    with cr.no_grad():
        assert not Exp.apply(x).requires_grad
    assert not Exp.apply(x.detach()).requires_grad


def test_results_without_a_derivative_and_unused_ones() -> None:
    seen: list[Any] = []

    class Sorted(Function):
        @staticmethod
        def forward(ctx: Any, x: cr.Tensor) -> Any:
            ctx.set_materialize_grads(False)
            numbers, order = x.sort()
            rank = order.double()
            ctx.mark_non_differentiable(rank)
            return numbers, rank

        @staticmethod
        def backward(ctx: Any, g: Any, nothing: Any) -> Any:
            seen.append(nothing)
            return g

    x = cr.tensor([2.0, 1.0], requires_grad=True)
    numbers, rank = Sorted.apply(x)
    assert numbers.requires_grad
    assert not rank.requires_grad
    numbers.sum().backward()
    assert seen == [None]


def test_what_is_once_differentiable_has_no_second_derivative() -> None:
    class Once(Function):
        @staticmethod
        def forward(ctx: Any, x: cr.Tensor) -> cr.Tensor:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx: Any, g: cr.Tensor) -> cr.Tensor:
            return 2 * ctx.saved_tensors[0] * g

    x = cr.tensor(3.0, requires_grad=True)
    (g,) = cr.autograd.grad(Once.apply(x), x, create_graph=True)
    assert g.item() == 6.0
    with pytest.raises(GradientError, match="once_differentiable"):
        g.backward()

    inside: dict[str, Any] = {
        "a checkpoint": lambda x: cr.checkpoint(Once.apply, x),
        "a loop": lambda x: cr.scan(lambda c, __: (Once.apply(c), None), x, length=1)[
            0
        ],
        "a branch": lambda x: cr.cond(x > 0, Once.apply, cr.sin, x),
    }
    for function in inside.values():
        assert cr.grad(function)(x).item() == 6.0
        with pytest.raises(GradientError, match="once_differentiable"):
            cr.grad(cr.grad(function))(x)
        with pytest.raises(GradientError, match="once_differentiable"):
            cr.jvp(function, [x], [cr.tensor(1.0)])


class Loose(Function):
    """What it returns is set by the tests."""

    results: Any = None
    gradients: Any = None

    @classmethod
    def forward(cls, ctx: Any, x: cr.Tensor) -> Any:  # type: ignore[override]
        return x * 2 if cls.results is None else cls.results

    @classmethod
    def backward(cls, ctx: Any, g: Any) -> Any:  # type: ignore[override]
        return cls.gradients


@pytest.mark.parametrize(
    ("results", "gradients", "error", "words"),
    [
        (3.0, None, ArgumentError, "Loose.forward returns tensors"),
        (None, (cr.ones(2), cr.ones(2)), GradientError, "a gradient for each argument"),
        (None, cr.ones(3), ShapeError, "gradient of another shape"),
        (None, 2.0, ShapeError, "gradient of another shape"),
    ],
)
def test_what_does_not_fit_is_refused(
    results: Any,
    gradients: Any,
    error: type[ChainruleError],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Loose, "results", results)
    monkeypatch.setattr(Loose, "gradients", gradients)
    x = cr.ones(2, requires_grad=True)
    with pytest.raises(error, match=words):
        Loose.apply(x).sum().backward()


def test_parts_that_are_missing_or_refused() -> None:
    class Nothing(Function):
        pass

    class Dirty(Function):
        @staticmethod
        def forward(ctx: Any, x: cr.Tensor) -> cr.Tensor:
            ctx.mark_dirty(x)
            return x

    x = cr.ones(2, requires_grad=True)
    with pytest.raises(ArgumentError, match="no forward"):
        Nothing.apply(x)
    with pytest.raises(ArgumentError, match="does not change its arguments"):
        Dirty.apply(x)


def test_the_gradient_check_compares_it_with_its_forward() -> None:
    x = cr.tensor([0.5, 1.5])
    cr.check_gradients(lambda x: CubeAndDouble.apply(x)[0].sum(), x)
    with pytest.raises(ChainruleError, match=r"the rule of Exp\.backward"):
        cr.check_gradients(lambda x: Exp.apply(x).sum(), x)


def test_a_call_frees_what_it_saved() -> None:
    x = cr.ones(3, requires_grad=True)
    y = Exp.apply(x)
    saved = weakref.ref(y)
    y.sum().backward()
    del y
    gc.collect()
    assert saved() is None


def test_in_a_network_that_a_trainer_trains() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.first, self.last = nn.Linear(2, 4), nn.Linear(4, 1)

        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return self.last(CubeAndDouble.apply(self.first(x))[1])

    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 2)).astype("float32")
    y = (x @ [[1.0], [-2.0]]).astype("float32")
    cr.manual_seed(0)
    adam = cr.optim.Adam(lr=0.05)
    trainer = cr.Trainer(Net(), loss=nn.MSELoss(), optimizer=adam, seed=0)
    trainer.fit((x, y), epochs=60, batch_size=16, progress=False)
    assert trainer.evaluate((x, y))["loss"] < 1e-3
