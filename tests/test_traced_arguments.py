"""What a compiled function is called with, gives back, and makes while it is traced."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError, GradientError, GraphError

X = cr.tensor([1.0, 2.0, 3.0])

# -- arguments and what the function finds outside -------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_an_argument_is_not_changed_in_place(engine: str, dtype: str) -> None:
    def add(x: cr.Tensor) -> cr.Tensor:
        x += 1
        return x

    def put(x: cr.Tensor) -> cr.Tensor:
        x[0] = 1
        return x

    def row(x: cr.Tensor) -> cr.Tensor:
        part = x[1:]
        part *= 2
        return x

    def copy(x: cr.Tensor) -> cr.Tensor:
        with cr.no_grad():
            return x.copy_(x * 2)

    for function in (add, put, row, copy):
        for given in (cr.tensor([1, 2], dtype=dtype), np.array([1, 2], dtype)):
            with pytest.raises(ArgumentError, match="changes its argument 'x'"):
                cr.compile(function, engine=engine)(given)
        own = cr.compile(lambda x, f=function: f(x.clone()), engine=engine)
        given = cr.tensor([1, 2], dtype=dtype)
        assert own(given).tolist() == function(given.clone()).tolist()


def test_the_gradient_of_an_argument_is_not_left_out(engine: str) -> None:
    w, v = nn.Parameter(cr.tensor([1.0, 2.0])), nn.Parameter(cr.tensor(3.0))
    optimizer = optim.SGD([w, v], lr=0.1)

    def step(w: cr.Tensor, x: cr.Tensor) -> cr.Tensor:
        optimizer.zero_grad()
        loss = (w * x * v).sum()
        loss.backward()
        return loss

    run = cr.compile(step, engine=engine)
    with pytest.raises(GradientError, match="comes to its argument 'w'"):
        run(w, X[:2])
    run(w.detach(), X[:2])
    assert v.grad is not None
    for given in (w, w * 2):
        with pytest.raises(GradientError, match="comes to its argument 'w'"):
            run(given, X[:2])


def test_an_argument_that_is_made_a_leaf_keeps_its_name(engine: str) -> None:
    def step(first: cr.Tensor) -> cr.Tensor:
        first.requires_grad_()
        loss = (first * first).sum()
        loss.backward()
        return loss

    def change(first: cr.Tensor) -> cr.Tensor:
        first.requires_grad_()
        first += 1
        return first

    with pytest.raises(GradientError, match="comes to its argument 'first'"):
        cr.compile(step, engine=engine)(X)
    with pytest.raises((ArgumentError, GradientError), match=r"'first'|leaf"):
        cr.compile(change, engine=engine)(X)


def test_a_tensor_is_passed_or_changed(engine: str) -> None:
    state = cr.tensor([1.0, 2.0])

    def step(x: cr.Tensor) -> cr.Tensor:
        state.add_(1.0)
        return state + x

    run = cr.compile(step, engine=engine)
    assert run(cr.tensor([0.0, 0.0])).tolist() == [2.0, 3.0]
    with pytest.raises(ArgumentError, match="called with the same one"):
        run(state)
    assert run(state.clone()).tolist() == [5.0, 7.0]


def test_what_is_traced_without_derivatives_is_traced_again(engine: str) -> None:
    """Evaluation first, training afterwards, and the other way round."""
    w = nn.Parameter(cr.tensor(2.0))
    for first in (False, True):
        run = cr.compile(lambda x: (x * w).sum(), engine=engine)
        for recorded in (first, not first, first):
            if recorded:
                w.grad = None
                (run(X) + w).backward()
                assert w.grad.item() == 7.0
            else:
                with cr.no_grad():
                    assert not run(X).requires_grad


# -- numbers and sizes -----------------------------------------------------------------

X64 = cr.tensor([1.0, 2.0, 3.0], dtype="float64")
MASK = cr.tensor([True, False, True])


def _assigned(x: cr.Tensor, a: Any) -> cr.Tensor:
    z = x * 1
    z[0] = a
    z[1:] *= a
    return z.add_(a)


def _renamed(x: cr.Tensor, a: Any) -> cr.Tensor:
    b = a
    b += 1
    b *= 2
    return x * b - a


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    "function",
    [
        lambda x, a: x * a,
        lambda x, a: (1 - a) * x + -a / 3 + abs(a) * a**2 + 2**a + a % 0.03,
        lambda x, a: cr.where(MASK, x, a),
        lambda x, a: cr.maximum(a, x.clip(a, 2 * a)),
        lambda x, a: x.masked_fill(MASK, a),
        lambda x, a: cr.full_like(x, a),
        lambda x, a: x.lerp(x * 2, a),
        lambda x, a: a**x + x**a + x // a + cr.atan2(x, a),
        lambda x, a: (x < a * 10) | (a * 10 == x) | (x * 0 + a > 0.2),
        lambda x, a: cr.scan(lambda c, t: (c * a + t, c * a), x[0], x)[1],
        lambda x, a: cr.grad(lambda z: (z * a).sum())(x),
        lambda x, a: cr.arange(3) * a,
        lambda x, a: x * cr.exp(a),
        lambda x, a: x * cr.tensor(a) + cr.as_tensor(a) + cr.tensor(a, dtype="float64"),
        _assigned,
        _renamed,
    ],
)
def test_a_float_follows_the_tensor_beside_it(engine: str, function: Any) -> None:
    run = cr.compile(function, engine=engine)
    for x in (X64, X):
        for a in (0.1, 1 / 3, np.float64(0.7)):
            got, wanted = run(x, a), function(x, a)
            assert got.dtype is wanted.dtype
            tolerance = 1e-14 if got.dtype is cr.float64 else 1e-6
            np.testing.assert_allclose(got.numpy(), wanted.numpy(), tolerance)


def test_a_float_that_is_needed_as_a_number(engine: str) -> None:
    def drop(p: float, x: cr.Tensor) -> cr.Tensor:
        return nn.functional.leaky_relu(x, p)

    with pytest.raises(ArgumentError, match=r"functools\.partial"):
        cr.compile(drop, engine=engine)(0.1, X)
    made = cr.compile(functools.partial(drop, 0.1), engine=engine)(-X)
    assert made.tolist() == drop(0.1, -X).tolist()


def test_texts_and_keys_of_sizes_have_the_number(engine: str) -> None:
    def function(x: cr.Tensor) -> dict[Any, cr.Tensor]:
        n = x.shape[0]
        return {f"of {n}": x, str(n) + "!": x, n: x, (n, "a"): x * float(np.sqrt(n))}

    run = cr.compile(function, engine=engine)
    for n in (3, 2, 4, 2):
        x = cr.ones(n)
        got, wanted = run(x), function(x)
        assert list(got) == list(wanted)
        np.testing.assert_allclose(got[n, "a"].numpy(), wanted[n, "a"].numpy())
    sizes = cr.compile(lambda x: (x.shape, x.sum()), engine=engine)
    assert [sizes(cr.ones(n, 2))[0][0].item() for n in (3, 2, 4)] == [3, 2, 4]


@pytest.mark.parametrize("made", ["text", cr.float32, iter([1.0])])
def test_what_no_graph_computes_is_not_returned(engine: str, made: Any) -> None:
    with pytest.raises(ArgumentError, match="returns something that a graph"):
        cr.compile(lambda x: (x, made), engine=engine)(X)


# -- what is made while tracing --------------------------------------------------------


def _leaf(x: cr.Tensor) -> Any:
    q = cr.ones(3, requires_grad=True)
    for _ in range(2):
        (x * q * q).sum().backward()
        assert q.grad is not None
        with cr.no_grad():
            q -= 0.1 * q.grad
        q.grad = None
    (q * q).sum().backward()
    return q, q.grad


def _optimised(x: cr.Tensor) -> Any:
    q = nn.Parameter(x * 0 + 1)
    optimizer = optim.SGD([q], lr=0.1, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        (x * q * q).sum().backward()
        optimizer.step()
    return q, q.is_leaf


def _module(x: cr.Tensor) -> Any:
    layer = nn.Linear(3, 2)
    (layer(x) ** 2).sum().backward()
    return layer.weight, layer.weight.grad, cr.tensor(x).requires_grad


@pytest.mark.parametrize("function", [_leaf, _optimised, _module])
def test_leaves_that_are_made_while_tracing(engine: str, function: Any) -> None:
    run = cr.compile(function, engine=engine)
    for x in (X, 2 * X):
        seen: list[Any] = []
        for f in (run, function):
            cr.manual_seed(3)
            seen.append([np.asarray(cr.as_tensor(t).detach()) for t in f(x)])
        for got, wanted in zip(*seen):
            np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


# -- what is said of mistakes ----------------------------------------------------------


def test_values_that_escape_from_a_loop_are_refused(engine: str) -> None:
    def kept(x: cr.Tensor) -> cr.Tensor:
        seen: list[cr.Tensor] = []
        cr.scan(lambda c, t: (seen.append(c), (c + t, c))[1], cr.tensor(0.0), x)
        return seen[0] * 2

    def branch(x: cr.Tensor) -> cr.Tensor:
        seen: list[cr.Tensor] = []
        cr.cond(x.sum() > 0, lambda v: (seen.append(v * 2), v)[1], lambda v: v, x)
        return seen[0]

    for function in (kept, branch):
        with pytest.raises(GraphError, match="from within a loop or a branch"):
            cr.compile(function, engine=engine)(X)
        with pytest.raises(cr.ChainruleError):
            function(X).tolist()


def test_numpy_is_not_traced(engine: str) -> None:
    for function in (np.sin, np.sum, lambda x: cr.tensor([x[0], x[1]])):
        with pytest.raises(cr.ChainruleError, match=r"cr\.stack|cr\.sin"):
            cr.compile(lambda x, f=function: f(x), engine=engine)(X)


def test_what_is_compiled_is_a_function() -> None:
    with pytest.raises(ArgumentError, match=r"cr\.compile\(f\)\(x\)"):
        cr.compile(X.sum())  # type: ignore[arg-type]


def test_requires_grad_is_set_as_an_attribute() -> None:
    w = cr.tensor([1.0, 2.0])
    w.requires_grad = True
    (w * w).sum().backward()
    assert w.grad is not None
    assert w.grad.tolist() == [2.0, 4.0]
    w.requires_grad = False
    assert not (w * w).requires_grad


def test_a_module_has_no_other_device() -> None:
    assert nn.Linear(1, 1).to("cpu").weight.dtype is cr.float32
    with pytest.raises(ArgumentError, match="no device 'cuda'"):
        nn.Linear(1, 1).to("cuda")
