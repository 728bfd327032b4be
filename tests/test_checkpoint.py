"""Recomputed functions beside the functions themselves: numbers, state and memory."""

from __future__ import annotations

import copy
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError, GraphError
from chainrule.utils.checkpoint import checkpoint, checkpoint_sequential
from tests.ways import WAYS

BLOCKS = 6
x = cr.tensor(np.random.default_rng(0).normal(size=(32, 16)).astype(np.float32))


def network() -> nn.Sequential:
    """Blocks with random numbers and with averages that each call changes."""
    cr.manual_seed(0)

    def block() -> nn.Module:
        return nn.Sequential(
            *(nn.Linear(16, 16), nn.BatchNorm1d(16), nn.GELU(), nn.Dropout(0.3))
        )

    return nn.Sequential(*[block() for _ in range(BLOCKS)])


def plain(net: nn.Sequential, x: cr.Tensor) -> cr.Tensor:
    for block in net:
        x = block(x)
    return (x**2).mean()


def each_block(net: nn.Sequential, x: cr.Tensor) -> cr.Tensor:
    for block in net:
        x = cr.checkpoint(block, x)
    return (x**2).mean()


def segments(net: nn.Sequential, x: cr.Tensor) -> cr.Tensor:
    return (checkpoint_sequential(net, 4, x, use_reentrant=False) ** 2).mean()


def trained(loss_of: Callable[..., cr.Tensor], engine: str) -> list[np.ndarray]:
    """Loss, gradients, averages and the next random numbers after two steps."""
    net = network()
    optimizer = cr.optim.SGD(net.parameters(), lr=0.1)

    def step(x: cr.Tensor) -> cr.Tensor:
        loss = loss_of(net, x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    run = step if engine == "eager" else cr.compile(step, engine=engine)
    losses = [run(x).numpy() for _ in range(2)]
    gradients = [p.grad.numpy() for p in net.parameters() if p.grad is not None]
    state = [np.asarray(v) for v in net.state_dict().values()]
    return [*losses, *gradients, *state, cr.rand(3).numpy()]


@pytest.mark.parametrize("engine", WAYS)
@pytest.mark.parametrize("loss_of", [each_block, segments])
def test_training_is_the_same(loss_of: Any, engine: str) -> None:
    expected, got = trained(plain, engine), trained(loss_of, engine)
    for want, array in zip(expected, got, strict=True):
        if engine == "eager":
            np.testing.assert_array_equal(array, want)
        else:  # sums may be taken in another order
            np.testing.assert_allclose(array, want, rtol=1e-4, atol=1e-6)


def test_what_goes_in_and_out_may_be_nested_and_of_any_kind() -> None:
    weight = cr.tensor(3.0, requires_grad=True)

    def function(a: Any, pair: Any, *, times: int, name: str) -> Any:
        u, (v, nothing) = pair
        assert nothing is None
        assert name == "n"
        hidden = (a * u).tanh() * weight
        return {"y": hidden * times, "i": v + 1, "name": name, "d": hidden.detach()}

    def leaves() -> list[cr.Tensor]:
        return [cr.tensor(value, requires_grad=True) for value in (0.5, -2.0)]

    results: list[Any] = []
    for call in (checkpoint, lambda f, *args, **kwargs: f(*args, **kwargs)):
        a, u = leaves()
        out = call(function, a, [u, (cr.tensor(4), None)], times=2, name="n")
        assert out["i"].item() == 5
        assert out["name"] == "n"
        assert not out["d"].requires_grad
        assert not out["i"].requires_grad
        gradients = cr.gradients(out["y"], [a, u, weight])
        results.append([g.item() for g in gradients] + [out["d"].item()])
    assert results[0] == results[1]


def test_second_derivatives_and_samples() -> None:
    def plain(x: cr.Tensor) -> cr.Tensor:
        return (x.sin() * x).exp().sum()

    def recomputed(x: cr.Tensor) -> cr.Tensor:
        return cr.checkpoint(plain, x)

    point = cr.tensor([0.3, -1.2, 2.0], dtype="float64")
    for derive in (cr.hessian, cr.jacobian):
        np.testing.assert_allclose(derive(recomputed)(point), derive(plain)(point))
    many = cr.stack([point, point * 2])
    each = cr.vmap(cr.grad(recomputed))(many)
    np.testing.assert_allclose(each, cr.vmap(cr.grad(plain))(many))


def test_without_derivatives_the_function_is_called_itself() -> None:
    calls: list[Any] = []
    with cr.no_grad():
        cr.checkpoint(lambda x: calls.append(type(x.numpy())), x)
    assert calls == [np.ndarray]


def test_fewer_values_are_kept() -> None:
    def peak(loss_of: Callable[..., cr.Tensor]) -> float:
        net, data = network().eval(), cr.randn(512, 16)
        for _ in range(2):
            tracemalloc.start()
            loss_of(net, data).backward()
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return most / data.numpy().nbytes

    assert peak(each_block) < peak(plain) / 2


def test_a_program_computes_the_inside_twice() -> None:
    def products(loss_of: Callable[..., cr.Tensor]) -> int:
        net = network().eval()
        step = cr.compile(lambda x: cr.grad(lambda x: loss_of(net, x))(x))
        return str(step.graph(x)).count("dot_general")

    # A block: one forwards, one backwards; and again forwards, and for its weights.
    assert products(plain) == 2 * BLOCKS
    assert products(each_block) == 4 * BLOCKS


def test_what_a_checkpointed_function_may_not_do() -> None:
    weight = cr.tensor(1.0, requires_grad=True)
    found: list[cr.Tensor] = []

    def backward(x: cr.Tensor) -> cr.Tensor:
        (x * weight).sum().backward()
        return x

    def changing(x: cr.Tensor) -> cr.Tensor:
        with cr.no_grad():
            weight.copy_(x.sum())
        return x

    def keeping(x: cr.Tensor) -> cr.Tensor:
        found.append(x * 2)
        return x

    for function in (backward, changing):
        with pytest.raises(GraphError, match="body"):
            cr.checkpoint(function, x)
    cr.checkpoint(keeping, x)
    with pytest.raises(GraphError):
        found[0] + 1
    assert weight.item() == 1
    assert weight.grad is None
    for count in (0, 7, 1.5):
        with pytest.raises(ArgumentError):
            checkpoint_sequential([cr.sin, cr.cos], count, x)


@pytest.mark.parametrize("randomness", ["same", "different"])
def test_random_numbers_of_samples(randomness: Any) -> None:
    """What vmap draws, eager and compiled, is what it draws without checkpoints."""

    def noisy(x: cr.Tensor) -> cr.Tensor:
        return nn.functional.dropout(x * cr.rand(16), 0.5).sin()

    def recomputed(x: cr.Tensor) -> cr.Tensor:
        return cr.checkpoint(lambda x: cr.checkpoint(noisy, x) + cr.rand(16), x)

    def plain(x: cr.Tensor) -> cr.Tensor:
        return noisy(x) + cr.rand(16)

    found: list[cr.Tensor] = []
    for function in (recomputed, plain):
        every = cr.vmap(function, randomness=randomness)
        for run in (every, cr.compile(every)):
            cr.manual_seed(4)
            point = x.clone().requires_grad_()
            y = run(point)
            y.sum().backward()
            assert bool((y[0] - y[1]).any())
            found += [y.detach(), point.grad]
    for i in range(4):
        np.testing.assert_allclose(found[i], found[i + 4], rtol=1e-6, atol=1e-7)


def changing(z: cr.Tensor, buffer: cr.Tensor) -> cr.Tensor:
    buffer.add_(z[0])
    buffer[1:].mul_(2)
    return (z * buffer).sum()


def of_an_argument(call: Any, z: cr.Tensor, buffer: cr.Tensor) -> cr.Tensor:
    return call(changing, z, buffer)


def of_an_argument_that_is_captured(
    call: Any, z: cr.Tensor, buffer: cr.Tensor
) -> cr.Tensor:
    return call(lambda z, b: changing(z, b) * buffer.sum(), z, buffer)


def of_a_view(call: Any, z: cr.Tensor, buffer: cr.Tensor) -> cr.Tensor:
    view = buffer[:2]
    return call(changing, z[:2], view) + view.sum()


def of_a_computed_tensor(call: Any, z: cr.Tensor, buffer: cr.Tensor) -> cr.Tensor:
    own = z * buffer
    return call(lambda z: changing(z, own).sin(), z) + own.sum()


def of_two_calls(call: Any, z: cr.Tensor, buffer: cr.Tensor) -> cr.Tensor:
    own = buffer * 1

    def outer(z: cr.Tensor) -> cr.Tensor:
        return call(changing, z, own) + call(changing, z, own)

    return call(outer, z) + own.sum()


CHANGES = (
    *(of_an_argument, of_an_argument_that_is_captured, of_a_view),
    *(of_a_computed_tensor, of_two_calls),
)


@pytest.mark.parametrize("function", CHANGES)
@pytest.mark.parametrize("compiled", [False, True])
def test_tensors_are_changed_once(function: Any, compiled: bool) -> None:
    """Arguments, those that are captured, and those of a trace around the function."""
    found: list[Any] = []
    for call in (cr.checkpoint, lambda f, *args: f(*args)):
        z = cr.tensor([0.5, -2.0, 1.5], requires_grad=True)
        buffer = cr.tensor([1.0, 2.0, 3.0])

        def run(z: cr.Tensor, call: Any = call, buffer: Any = buffer) -> cr.Tensor:
            return function(call, z, buffer)

        y = (cr.compile(run) if compiled else run)(z)
        y.backward()
        found.append((y.item(), z.grad, buffer.detach()))
    for got, want in zip(*found, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)


def test_a_traced_tensor_is_as_before_where_the_function_fails() -> None:
    @cr.compile
    def run(z: cr.Tensor) -> cr.Tensor:
        own = z * 2

        def failing(z: cr.Tensor) -> cr.Tensor:
            own.mul_(z)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            cr.checkpoint(failing, z)
        return own

    assert run(cr.tensor([1.0, 3.0])).tolist() == [2, 6]


def test_an_error_leaves_state_as_it_was() -> None:
    net = network()
    before = copy.deepcopy(net.state_dict())

    def failing(x: cr.Tensor) -> cr.Tensor:
        net(x)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cr.checkpoint(failing, x)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
