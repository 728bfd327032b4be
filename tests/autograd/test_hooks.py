"""Hooks of tensors and modules, and retained gradients."""

from __future__ import annotations

import copy
import gc
import weakref
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import GradientError, ShapeError
from tests.ways import ENGINES, WAYS


def test_a_hook_sees_and_replaces_the_gradient_of_any_tensor() -> None:
    x = cr.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    seen: list[Any] = []
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.register_hook(lambda g: 10 * g)
    handle = x.register_hook(lambda g: -g)
    (y * 3).sum().backward()
    assert seen == [[3.0, 3.0]]
    assert x.grad is not None
    assert x.grad.tolist() == [-60.0, -120.0]
    handle.remove()
    handle.remove()
    x.grad = None
    (x * x).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0]


def test_a_hook_waits_for_the_whole_gradient() -> None:
    seen: list[float] = []
    x = cr.tensor(2.0, requires_grad=True)
    y = x * 1
    x.register_hook(lambda g: seen.append(g.item()))
    y.register_hook(lambda g: seen.append(g.item()))
    (x * 3 + y * 4 + y * y).backward()
    assert seen == [8.0, 11.0]


def test_hooks_of_derivatives_that_are_asked_for() -> None:
    x = cr.tensor(2.0, requires_grad=True)
    with x.register_hook(lambda g: 2 * g):
        assert cr.autograd.grad(x * x, x)[0].item() == 8.0
        assert cr.gradients(x * x, x)[0].item() == 8.0
    assert cr.autograd.grad(x * x, x)[0].item() == 4.0


def test_a_second_derivative_goes_through_a_hook() -> None:
    x = cr.tensor(2.0, requires_grad=True)
    y = x * 1
    y.register_hook(lambda g: g * g)
    (g,) = cr.autograd.grad(y * y * y, x, create_graph=True)
    assert g.item() == 144.0  # (3 · 2²)²
    (h,) = cr.autograd.grad(g, x)
    assert h.item() == 288.0**2  # of 9 x⁴, and through the hook once more, as PyTorch


@pytest.mark.parametrize("engine", ENGINES)
def test_a_compiled_step_calls_the_hooks_of_parameters(engine: str) -> None:
    w = nn.Parameter([1.0, 2.0])

    @cr.compile(engine=engine)
    def step() -> cr.Tensor:
        loss = (w * w).sum()
        loss.backward()
        return loss

    def gradient() -> list[float]:
        w.grad = None
        step()
        assert w.grad is not None
        return w.grad.tolist()

    assert gradient() == [2.0, 4.0]
    handle = w.register_hook(lambda g: g.clip(max=3.0))
    assert gradient() == [2.0, 3.0]
    handle.remove()
    assert gradient() == [2.0, 4.0]


def test_retained_gradients_of_what_is_computed() -> None:
    x = cr.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    y.retain_grad()
    x.retain_grad()
    (2 * y).sum().backward(retain_graph=True)
    (2 * y).sum().backward()
    assert y.grad is not None
    assert y.grad.tolist() == [4.0, 4.0]


def test_hooks_keep_nothing_alive() -> None:
    def hooked() -> tuple[Any, Any]:
        y = cr.ones(2, requires_grad=True) * 2
        y.retain_grad()
        y.register_hook(lambda g: y * g)
        return weakref.ref(y), weakref.ref(y.value)

    there = hooked()
    gc.collect()
    assert [r() for r in there] == [None, None]


def test_hooks_that_cannot_be_are_refused() -> None:
    with pytest.raises(GradientError, match="requires_grad_"):
        cr.ones(2).register_hook(print)
    x = cr.ones(2, requires_grad=True)
    x.register_hook(lambda g: g.sum())
    with pytest.raises(ShapeError, match="A hook returns"):
        (x * x).sum().backward()

    def within(x: cr.Tensor) -> cr.Tensor:
        y = x * x
        y.register_hook(print)
        return y.sum()

    with pytest.raises(GradientError, match="probes of a Trainer"):
        cr.compile(within)(x)


# -- of modules ------------------------------------------------------------------------


def test_forward_hooks_see_and_replace_arguments_and_results() -> None:
    layer = nn.Linear(2, 3)
    x, seen = cr.ones(4, 2), []
    plain = layer(x).numpy()
    before = layer.register_forward_pre_hook(lambda m, args: (2 * args[0],))
    after = layer.register_forward_hook(lambda m, args, y: seen.append(y.shape))
    layer.register_forward_hook(lambda m, args, y: y - layer.bias)
    np.testing.assert_allclose(layer(x).numpy(), 2 * (plain - layer.bias.numpy()), 1e-5)
    assert seen == [(4, 3)]
    before.remove()
    after.remove()
    np.testing.assert_allclose(layer(x).numpy(), plain - layer.bias.numpy(), 1e-5)
    assert len(seen) == 1


def test_forward_hooks_with_keywords_and_in_front() -> None:
    class Scale(nn.Module):
        def forward(self, x: cr.Tensor, *, by: float = 1.0) -> cr.Tensor:
            return x * by

    layer, order = Scale(), []
    layer.register_forward_hook(lambda m, a, y: order.append("second"))
    layer.register_forward_hook(lambda m, a, y: order.append("first"), prepend=True)
    layer.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {"by": kwargs["by"] + 1}), with_kwargs=True
    )
    layer.register_forward_hook(
        lambda m, args, kwargs, y: y + kwargs["by"], with_kwargs=True
    )
    assert layer(cr.ones(1), by=2.0).tolist() == [6.0]
    assert order == ["first", "second"]


@pytest.mark.parametrize("engine", WAYS)
def test_backward_hooks_see_and_replace_gradients(engine: str) -> None:
    layer = nn.Linear(2, 3)
    x = cr.ones(4, 2, requires_grad=True)
    shapes: list[Any] = []

    def note(module: Any, grad_input: Any, grad_output: Any) -> Any:
        shapes.append((grad_input[0].shape, grad_output[0].shape))
        return (5 * grad_input[0],)

    layer.register_full_backward_hook(note)
    layer.register_full_backward_pre_hook(lambda m, gs: (2 * gs[0],))
    run = layer if engine == "eager" else cr.compile(layer, engine=engine)
    run(x).sum().backward()
    assert x.grad is not None
    assert layer.weight.grad is not None
    wanted = 10 * layer.weight.numpy().sum(0)
    np.testing.assert_allclose(x.grad.numpy(), np.tile(wanted, (4, 1)), 1e-5)
    np.testing.assert_allclose(layer.weight.grad.numpy(), np.full((3, 2), 8.0))
    assert ((4, 2), (4, 3)) in shapes


def test_compiled_modules_follow_their_hooks() -> None:
    layer, x = nn.Linear(2, 3), cr.ones(4, 2)
    compiled = cr.compile(layer)
    plain = compiled(x).numpy()
    handle = layer.register_forward_hook(lambda m, args, y: 3 * y)
    np.testing.assert_allclose(compiled(x).numpy(), 3 * plain, 1e-6)
    handle.remove()
    np.testing.assert_allclose(compiled(x).numpy(), plain)


def test_copies_have_the_hooks_and_states_do_not() -> None:
    layer = nn.Linear(1, 1)
    layer.register_forward_hook(lambda m, args, y: 0 * y)
    again = copy.deepcopy(layer)
    assert again(cr.ones(1, 1)).item() == 0.0
    assert set(layer.state_dict()) == {"weight", "bias"}
    assert repr(layer) == repr(nn.Linear(1, 1))
