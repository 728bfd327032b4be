"""Whatever crosses the border between eager, traced and compiled code is right.

Each test is of a kind of crossing; what cannot be right is refused with a clear error.
"""

from __future__ import annotations

import collections
import contextlib
import copy
import types
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError, GradientError

X = cr.tensor([1.0, 2.0, 3.0])


def close(got: Any, wanted: Any) -> None:
    if isinstance(got, cr.Tensor):
        got = got.numpy()
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-7)


# -- derivatives -----------------------------------------------------------------------


@pytest.mark.parametrize("x", [3, 3.0, cr.tensor(3.0)])
def test_a_gradient_depends_on_parameters_inside(x: Any) -> None:
    w = cr.tensor(2.0, requires_grad=True)
    (cr.grad(lambda x: w * x * x)(x) + w).backward()
    close(w.grad, 7.0)  # d/dw (2 w x + w)


def test_the_boundary_term_of_a_physics_informed_net_trains() -> None:
    """∂u/∂x at the boundary is part of the loss: its derivative reaches the weights."""
    model = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))
    slope = cr.grad(lambda x: model(x).sum())(cr.tensor([[0.5]]))
    (slope * slope).sum().backward()
    eps = 1e-3
    w = model[0].weight
    assert w.grad is not None
    mine = w.grad.numpy()[0, 0]

    def loss() -> float:
        s = cr.grad(lambda x: model(x).sum())(cr.tensor([[0.5]]))
        return float((s * s).sum().detach())

    step = np.zeros((4, 1), np.float32)
    step[0, 0] = eps
    with cr.no_grad():
        w.copy_(w + step)
        above = loss()
        w.copy_(w - 2 * step)
        below = loss()
    assert mine == pytest.approx((above - below) / (2 * eps), rel=2e-2, abs=1e-3)


def test_a_pull_back_made_under_no_grad_remembers_nothing() -> None:
    w = cr.tensor(2.0, requires_grad=True)
    for remembers in (True, False):
        with contextlib.nullcontext() if remembers else cr.no_grad():
            y, back = cr.vjp(lambda x: w * x, cr.tensor(3.0))
        (slope,) = back(cr.tensor(1.0))
        assert y.requires_grad is slope.requires_grad is remembers
        assert slope.item() == 2.0


def test_results_of_a_compiled_function_carry_derivatives(engine: str) -> None:
    g = cr.compile(lambda x: (x * x).sum(), engine=engine)
    w = cr.tensor([1.0, 2.0], requires_grad=True)
    (g(3 * w) + w.sum()).backward()
    close(w.grad, [19.0, 37.0])
    close(cr.grad(g)(cr.tensor([1.0, -2.0])), [2.0, -4.0])
    close(cr.grad(lambda x: cr.grad(g)(x).sum())(cr.tensor([1.0])), [2.0])


def test_a_compiled_model_trains_by_eager_code(engine: str) -> None:
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    run = cr.compile(model, engine=engine)
    x = cr.uniform(5, 3)
    (run(x) ** 2).sum().backward()
    compiled = [p.grad.numpy().copy() for p in model.parameters()]
    model.zero_grad()
    (model(x) ** 2).sum().backward()
    for p, g in zip(model.parameters(), compiled):
        close(g, p.grad.numpy())


def test_what_is_detached_inside_stays_detached(engine: str) -> None:
    g = cr.compile(lambda x: x * (x * 2).detach(), engine=engine)
    x = cr.tensor(3.0, requires_grad=True)
    g(x).backward()
    close(x.grad, 6.0)


def test_several_outputs_and_only_some_of_them_used(engine: str) -> None:
    g = cr.compile(lambda x, y: {"a": x * y, "b": [y.exp(), x.sum()]}, engine=engine)
    x = cr.tensor([2.0, 3.0], requires_grad=True)
    y = cr.tensor([0.0, 1.0], requires_grad=True)
    made = g(x, y)
    (made["b"][0].sum() + made["b"][1]).backward()
    close(x.grad, [1.0, 1.0])
    close(y.grad, np.exp([0.0, 1.0]))


def test_changed_weights_do_not_change_a_derivative_that_is_due(engine: str) -> None:
    w = cr.tensor(2.0, requires_grad=True)
    g = cr.compile(lambda x: w * w * x, engine=engine)
    made = g(cr.tensor(3.0))
    with cr.no_grad():
        w.copy_(cr.tensor(100.0))
    made.backward()
    close(w.grad, 12.0)


def test_a_step_that_ran_backward_cannot_be_gone_through_again(engine: str) -> None:
    w = cr.tensor(2.0, requires_grad=True)

    def step(x: cr.Tensor) -> cr.Tensor:
        loss = w * w * x
        loss.backward()
        return loss

    made = cr.compile(step, engine=engine)(cr.tensor(3.0))
    with pytest.raises(GradientError, match="second time"):
        made.backward()


def test_a_parameter_that_a_step_has_changed_is_a_parameter_still(engine: str) -> None:
    """Two steps in one compiled function, as eagerly; from outside it is refused."""

    def make(compiled: bool) -> Any:
        w = cr.tensor([1.0, -2.0], requires_grad=True)
        optimizer = optim.SGD([w], lr=0.1)

        def twice(x: cr.Tensor) -> cr.Tensor:
            for _ in range(2):
                optimizer.zero_grad()
                (w * w * x).sum().backward()
                optimizer.step()
            slope = cr.grad(lambda x: (w * x * x).sum())(x)  # a derivative of w's too
            (slope * slope).sum().backward()
            return (w * x).sum()

        run = cr.compile(twice, engine=engine) if compiled else twice
        return run(X[:2]), w

    (mine, v), (wanted, w) = make(True), make(False)
    close(mine.detach(), wanted.detach().numpy())
    close(v.detach(), w.detach().numpy())
    close(v.grad, w.grad.numpy())
    with pytest.raises(GradientError, match="has changed a parameter"):
        mine.backward()


def test_only_what_a_derivative_went_over_is_let_go(engine: str) -> None:
    """A step that trains one network on the detached output of another."""
    v = cr.tensor(2.0, requires_grad=True)
    w = cr.tensor(3.0, requires_grad=True)

    @cr.compile(engine=engine)
    def step(x: cr.Tensor) -> cr.Tensor:
        made = v * x
        (w * made.detach()).backward()
        assert w.grad is not None
        return made * w.grad

    step(cr.tensor(5.0)).backward()
    close(w.grad, 10.0)
    close(v.grad, 50.0)


def test_what_a_function_writes_outside_carries_derivatives(engine: str) -> None:
    """As eagerly: the derivative of a copy, and of a change in place, goes on."""

    def make(compiled: bool) -> list[cr.Tensor]:
        w = cr.tensor(2.0, requires_grad=True)
        kept, rows = cr.tensor(0.0), cr.tensor([1.0, 1.0])

        def f(x: cr.Tensor) -> cr.Tensor:
            kept.copy_(w * x)
            rows[0] = kept * 2
            y = x * 1
            y.copy_(w * 7)
            return x * w + y

        run = cr.compile(f, engine=engine) if compiled else f
        seen = []
        for k in (3.0, 4.0):
            y = run(cr.tensor(k))
            (kept * kept + y + rows.sum()).backward()
            assert w.grad is not None
            seen += [w.grad, kept.detach(), rows.detach()]
            rows.copy_(cr.tensor([1.0, 1.0]))
        return seen

    for mine, wanted in zip(make(True), make(False)):
        close(mine, wanted.numpy())


def test_losses_of_tensors_from_outside(engine: str) -> None:
    target, labels = cr.tensor([0.0, 1.0, 1.0]), cr.tensor([2])

    def f(x: cr.Tensor) -> tuple[cr.Tensor, ...]:
        y = nn.functional.binary_cross_entropy_with_logits(x, target)
        z = nn.functional.cross_entropy(x.reshape(1, 3), labels)
        return y, z, nn.functional.mse_loss(target, target * x)

    run = cr.compile(f, engine=engine)
    for got, wanted in zip(run(X), f(X)):
        close(got, wanted.numpy())
    labels.copy_(cr.tensor([3]))
    with pytest.raises(ArgumentError, match="label is outside"):
        run(X)


def test_gradients_of_a_compiled_step_are_those_of_an_eager_one(engine: str) -> None:
    """They are left in .grad, added to what is there, and cleared where asked for."""

    def make(compiled: bool, clear: bool) -> tuple[list[float], cr.Tensor]:
        w = cr.tensor([1.0, 2.0], requires_grad=True)

        def step(x: cr.Tensor) -> None:
            if clear:
                w.grad = None
            (w * x).sum().backward()

        run = cr.compile(step, engine=engine) if compiled else step
        w.grad = cr.tensor([10.0, 10.0])
        kept, seen = w.grad, []
        for k in range(3):
            run(cr.tensor([1.0, k]))
            assert w.grad is not None
            seen += w.grad.tolist()
            if k == 0:
                kept = w.grad
        return [*seen, *kept.tolist()], w

    for clear in (False, True):
        close(make(True, clear)[0], make(False, clear)[0])


@pytest.mark.parametrize("clear", [False, True])
def test_a_gradient_that_nobody_has_asked_for_is_there_all_the_same(
    engine: str, clear: bool
) -> None:
    """Later, after it was put back, in another program, and in a copy."""
    w = cr.tensor([1.0, 2.0], requires_grad=True)

    def step(x: cr.Tensor) -> None:
        if clear:
            w.grad = None
        (w * x).sum().backward()

    run = cr.compile(step, engine=engine)
    w.grad = cr.tensor([0.0, 0.0])
    for k in (1.0, 2.0, 3.0):
        run(cr.tensor([1.0, k]))
    total = [1.0, 3.0] if clear else [3.0, 6.0]
    close(cr.compile(lambda: w.grad * 1.0, engine=engine)(), total)
    old = w.grad
    run(cr.tensor([1.0, 4.0]))
    w.grad = old  # what is added to is the same tensor
    run(cr.tensor([1.0, 5.0]))
    total = [1.0, 5.0] if clear else [5.0, 15.0]
    close(copy.deepcopy(w).grad, total)
    close(w.grad, total)
    close(old, [1.0, 3.0] if clear else total)


def test_an_optimiser_step_alone_sees_the_newest_gradients(engine: str) -> None:
    w = cr.tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=0.5)
    update = cr.compile(optimizer.step, engine=engine)
    wanted = 1.0
    for k in (1.0, 2.0, 3.0):
        optimizer.zero_grad()
        (w * k).sum().backward()
        update()
        wanted -= 0.5 * k
        close(w.detach(), [wanted])
    optimizer.zero_grad()
    with pytest.raises(GradientError, match="no gradients"):
        update()


def test_numpy_does_not_lose_a_derivative() -> None:
    x = cr.tensor([0.5], requires_grad=True)
    for lose in (np.sin, np.asarray, np.sum, np.array):
        with pytest.raises(GradientError, match="does not remember"):
            lose(x * 2)
    close(np.sin(x.detach()), np.sin([0.5]))
    with pytest.raises(ValueError, match="read-only"):
        x.numpy()[0] = 3


# -- what a trace captures -------------------------------------------------------------


def test_replaced_parameters_and_layers_are_seen(engine: str) -> None:
    model = nn.Sequential(nn.Linear(3, 2))
    run = cr.compile(model, engine=engine)
    close(run(X.reshape(1, 3)).detach(), model(X.reshape(1, 3)).detach().numpy())
    model[0].weight = nn.Parameter(np.ones((2, 3), np.float32))
    close(run(X.reshape(1, 3)).detach(), model(X.reshape(1, 3)).detach().numpy())
    setattr(model, "0", nn.Linear(3, 2))
    close(run(X.reshape(1, 3)).detach(), model(X.reshape(1, 3)).detach().numpy())


def test_tensors_from_outside_that_index_are_state(engine: str) -> None:
    index = cr.tensor([0, 2])
    mask = cr.tensor([True, False, True])
    run = cr.compile(lambda x: (x[index], cr.where(mask, x, 0.0)), engine=engine)
    picked, chosen = run(X)
    close(picked, [1.0, 3.0])
    close(chosen, [1.0, 0.0, 3.0])
    index.copy_(cr.tensor([1, 1]))
    mask.copy_(cr.tensor([False, True, False]))
    picked, chosen = run(X)
    close(picked, [2.0, 2.0])
    close(chosen, [0.0, 2.0, 0.0])


@pytest.mark.parametrize(
    "read", [float, lambda t: t.item(), bool, lambda t: t.numpy(), lambda t: t.tolist()]
)
def test_reading_a_tensor_from_outside_is_refused(engine: str, read: Any) -> None:
    outside = cr.tensor(2.0)
    with pytest.raises(ArgumentError, match="read while a function is traced"):
        cr.compile(lambda x: x * float(np.sum(read(outside))), engine=engine)(X)


def test_changes_outside_while_traced_are_refused(engine: str) -> None:
    losses: list[Any] = []
    count = 0
    box = types.SimpleNamespace(n=0)

    def appends(x: cr.Tensor) -> cr.Tensor:
        losses.append(x.sum())
        return x

    def counts(x: cr.Tensor) -> cr.Tensor:
        nonlocal count
        count += 1
        return x

    def writes(x: cr.Tensor) -> cr.Tensor:
        box.n = box.n + 1
        return x

    for function, name in ((appends, "losses"), (counts, "count"), (writes, "box.n")):
        with pytest.raises(ArgumentError, match=f"changes '{name}'"):
            cr.compile(function, engine=engine)(X)


def test_a_value_that_escapes_a_trace_is_refused(engine: str) -> None:
    box = types.SimpleNamespace()

    def escapes(x: cr.Tensor) -> cr.Tensor:
        setattr(box, "h" + "idden", x * 2)
        return x

    with pytest.raises(ArgumentError, match=r"changes 'box\.hidden'"):
        cr.compile(escapes, engine=engine)(X)
    with pytest.raises(Exception, match="traced"):
        box.hidden + 1
    with pytest.raises(Exception, match="traced"):
        box.hidden.numpy()


def test_the_seed_reaches_compiled_functions(engine: str) -> None:
    run = cr.compile(lambda x: nn.functional.dropout(x, 0.5, True), engine=engine)
    x = cr.tensor(np.ones(64, np.float32))
    runs = []
    for seed in (1, 2, 1):
        cr.manual_seed(seed)
        runs.append((run(x).numpy(), run(x).numpy()))
    assert (runs[0][0] == runs[2][0]).all()
    assert (runs[0][1] == runs[2][1]).all()
    assert (runs[0][0] != runs[1][0]).any()
    assert (runs[0][0] != runs[0][1]).any()


# -- arguments -------------------------------------------------------------------------

Pair = collections.namedtuple("Pair", ["left", "right"])


def test_static_arguments_and_containers(engine: str) -> None:
    def f(pair: Pair, flag: bool, axis: int, name: str, rest: dict, none: None) -> Any:
        x = pair.left if flag else pair.right
        made = x.sum(axis)
        return Pair(made * rest["k"][0], {"name": made, "again": [none]})

    run = cr.compile(f, engine=engine)
    a, b = cr.tensor([[1.0, 2.0], [3.0, 4.0]]), cr.tensor([[5.0, 6.0]])
    for flag in (True, False, True):
        for axis in (0, 1):
            got = run(Pair(a, b), flag, axis, "x", {"k": (0.5,)}, None)
            wanted = f(Pair(a, b), flag, axis, "x", {"k": (0.5,)}, None)
            assert type(got) is Pair
            close(got.left, wanted.left.numpy())
            close(got.right["name"], wanted.right["name"].numpy())
            assert got.right["again"] == [None]
    assert len(run.programs) == 4
    close(run(Pair(a, b), True, 0, "x", {"k": (2.5,)}, None).left, [10.0, 15.0])
    assert len(run.programs) == 4


def test_one_program_serves_all_sizes(engine: str) -> None:
    run = cr.compile(lambda x, y: ((x - y) ** 2).mean(), engine=engine)
    for n in (5, 3, 8, 1, 2, 100):
        x, y = np.arange(2.0 * n).reshape(n, 2), np.ones((n, 2))
        close(run(x.astype("f4"), y.astype("f4")), ((x - y) ** 2).mean())
    assert len(run.programs) <= 3  # the first size, all others, and 1, which broadcasts
    named = cr.compile(
        lambda x: (x * 2).sum(1), engine=engine, shapes={"x": ("N", None)}
    )
    for n in (5, 3, 8):
        close(named(np.ones((n, 2), "f4")), 4 * np.ones(n))
    assert len(named.programs) == 1


def test_code_that_needs_the_size_gets_it(engine: str) -> None:
    def f(x: cr.Tensor) -> cr.Tensor:
        total = x[0] * 0
        for i in range(x.shape[0]):
            total = total + x[i] * i
        return total

    def g(x: cr.Tensor) -> cr.Tensor:
        return x * 10 if x.shape[0] > 4 else x

    one, two = cr.compile(f, engine=engine), cr.compile(g, engine=engine)
    for n in (3, 2, 6, 5, 4):
        x = np.arange(float(n)).astype("f4")
        close(one(x), (x * np.arange(n)).sum())
        close(two(x), x * 10 if n > 4 else x)


def test_compiled_functions_call_each_other(engine: str) -> None:
    inner = cr.compile(lambda x: x * 2, engine=engine)
    outer = cr.compile(lambda x: inner(x) + 1, engine=engine)
    close(outer(X), X.numpy() * 2 + 1)


def test_a_function_that_changes_with_integers_is_warned_of(engine: str) -> None:
    run = cr.compile(lambda x, k: x * k, engine=engine)
    for k in range(7):
        close(run(X, k), X.numpy() * k)
    with pytest.warns(UserWarning, match="the argument .k. is another"):
        run(X, 7)


def test_sizes_are_numbers_to_compute_with(engine: str) -> None:
    def f(x: cr.Tensor) -> list[cr.Tensor]:
        n = x.shape[0]
        return [x.sum() / n, x * n, n * x.sum(), x - n, (x == 0).sum() + n, n / x]

    run = cr.compile(f, engine=engine, shapes={"x": ("N",)})
    for n in (3, 5):
        x = np.arange(1.0, n + 1).astype("f4")
        for got, wanted in zip(run(x), f(cr.tensor(x))):
            assert got.dtype is wanted.dtype
            close(got, wanted.numpy())
