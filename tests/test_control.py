"""Loops and branches in the graph: the same numbers as Python's own, everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError, GraphError, ShapeError
from tests.ways import WAYS

ways = pytest.mark.parametrize("way", WAYS)

W = cr.tensor(
    np.random.default_rng(0).normal(size=(3, 3)) / 2, dtype="float64"
).requires_grad_()
H0 = cr.tensor(np.zeros((2, 3)))


def run(function: Any, way: str) -> Any:
    return function if way == "eager" else cr.compile(function, engine=way)


def looped(xs: cr.Tensor, h: cr.Tensor, reverse: bool = False) -> cr.Tensor:
    def step(h: cr.Tensor, x: cr.Tensor) -> tuple[cr.Tensor, dict[str, cr.Tensor]]:
        h = (h @ W.T + x).tanh()
        return h, {"h": h, "square": h * h}

    h, made = cr.scan(step, h, xs, reverse=reverse)
    return made["square"].sum() + (made["h"] * h).sum()


def unrolled(xs: cr.Tensor, h: cr.Tensor, reverse: bool = False) -> cr.Tensor:
    hs = []
    steps = range(int(xs.shape[0]))
    for t in reversed(steps) if reverse else steps:
        h = (h @ W.T + xs[t]).tanh()
        hs.append(h)
    total = (hs[0] * hs[0]).sum() + (hs[0] * h).sum()
    for other in hs[1:]:
        total = total + (other * other).sum() + (other * h).sum()
    return total


@ways
def test_modules_and_tensors_from_outside_within_a_body(way: str) -> None:
    drop, w = nn.Dropout(0.5), cr.tensor([1.0, 2.0])
    f = run(lambda x: cr.scan(lambda c, t: (drop(c + t * w), c), x[0], x)[0], way)
    x = cr.ones(4, 2)
    drop.eval()
    assert f(x).tolist() == [5.0, 9.0]
    w.copy_(cr.zeros(2))
    assert f(x).tolist() == [1.0, 1.0]
    drop.train()
    with pytest.raises(GraphError, match="random number"):
        f(x)


#: Each way in one direction, in the other one in the slow tests: derivatives go back.
DIRECTIONS = [
    pytest.param(way, reverse, marks=[pytest.mark.slow] * (reverse is (way == "eager")))
    for way in WAYS
    for reverse in (False, True)
]


@pytest.mark.parametrize(("way", "reverse"), DIRECTIONS)
def test_a_loop_is_its_steps(way: str, reverse: bool) -> None:
    """Value, first and second derivative; sequences of any length by one program."""
    value = run(lambda xs, h: looped(xs, h, reverse), way)
    slope = run(cr.grad(lambda xs, h: looped(xs, h, reverse)), way)
    curve = run(
        cr.grad(lambda h, xs: cr.grad(lambda k: looped(xs, k, reverse))(h).sum()), way
    )
    wanted_curve = cr.grad(
        lambda h, xs: cr.grad(lambda k: unrolled(xs, k, reverse))(h).sum()
    )
    rng = np.random.default_rng(1)
    for length in (4, 1, 7):
        xs = cr.tensor(rng.normal(size=(length, 2, 3)))
        W.grad = None
        value(xs, H0).backward()
        got, W.grad = W.grad, None
        made = unrolled(xs, H0, reverse)
        made.backward()
        assert got is not None
        np.testing.assert_allclose(got.numpy(), W.grad.numpy(), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(
            value(xs, H0).detach().numpy(), made.detach().numpy(), rtol=1e-12
        )
        wanted = cr.grad(lambda xs, h: unrolled(xs, h, reverse))(xs, H0)
        np.testing.assert_allclose(
            slope(xs, H0).detach().numpy(),
            wanted.detach().numpy(),
            rtol=1e-9,
            atol=1e-12,
        )
        np.testing.assert_allclose(
            curve(H0, xs).detach().numpy(),
            wanted_curve(H0, xs).detach().numpy(),
            rtol=1e-8,
            atol=1e-10,
        )
    if way != "eager":
        assert len(value.programs) <= 3


@ways
def test_only_the_branch_taken_has_a_say(way: str) -> None:
    """sqrt of a negative number is not computed, nor is its derivative."""

    def f(x: cr.Tensor) -> cr.Tensor:
        made = cr.cond(
            x.sum() > 0,
            lambda x: (x.sqrt() * W[0, 0]).sum(),
            lambda x: (x * x).sum(),
            x,
        )
        return made * 2

    value, slope = run(f, way), run(cr.grad(f), way)
    w = float(W.detach()[0, 0])
    x = np.array([1.0, 4.0])
    assert value(cr.tensor(x)).item() == pytest.approx(6 * w)
    np.testing.assert_allclose(slope(cr.tensor(x)).detach(), w / np.sqrt(x))
    np.testing.assert_allclose(slope(cr.tensor(-x)).detach(), -4 * x)


@ways
def test_a_bounded_loop_stops_by_itself(way: str) -> None:
    def f(x: cr.Tensor) -> cr.Tensor:
        return cr.while_loop(lambda s: s < 100.0, lambda s: s * x, x, max_steps=9)

    x = cr.tensor(3.0, dtype="float64")
    assert run(f, way)(x).item() == 243.0  # x⁵
    assert run(cr.grad(f), way)(x).item() == 405.0  # 5 x⁴
    assert run(f, way)(cr.tensor(1.5)).item() == pytest.approx(1.5**10)  # the bound


@ways
def test_loops_within_loops(way: str) -> None:
    def f(xs: cr.Tensor) -> cr.Tensor:
        def outer(c: cr.Tensor, row: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
            total, parts = cr.scan(lambda s, x: (s * x + c, s), c, row)
            return total, parts.sum()

        last, sums = cr.scan(outer, cr.tensor(1.0, dtype="float64"), xs)
        return last + sums.sum()

    def plain(xs: cr.Tensor) -> cr.Tensor:
        c, total = cr.tensor(1.0, dtype="float64"), 0.0
        for i in range(3):
            s = c
            for j in range(2):
                total = total + s
                s = s * xs[i, j] + c
            c = s
        return c + total

    xs = cr.tensor(np.random.default_rng(2).normal(size=(3, 2)))
    assert run(f, way)(xs).item() == pytest.approx(plain(xs).item(), rel=1e-12)
    np.testing.assert_allclose(
        run(cr.grad(f), way)(xs).numpy(), cr.grad(plain)(xs).numpy(), rtol=1e-10
    )


@ways
def test_mistakes_are_refused(way: str) -> None:
    x = cr.tensor([1.0, 2.0])
    state = cr.tensor(0.0)

    def changes(c: cr.Tensor, x: cr.Tensor) -> Any:
        state.copy_(c)
        return c + x, None

    for wrong, error in (
        (lambda x: cr.scan(lambda c, x: (c + x, c), cr.tensor([0.0, 0.0]), x), None),
        (lambda x: cr.scan(lambda c, x: (c.astype("int32"), c), 0.0, x), ShapeError),
        (lambda x: cr.scan(lambda c, x: c, 0.0, x), ArgumentError),
        (lambda x: cr.scan(lambda c, x: (c, x), 0.0), ArgumentError),
        (lambda x: cr.scan(lambda c, y: (c, y), 0.0, (x, x[:1])), ShapeError),
        (lambda x: cr.scan(changes, 0.0, x), GraphError),
        (lambda x: cr.cond(x > 0, lambda x: x, lambda x: x, x), ShapeError),
        (lambda x: cr.cond(True, lambda x: x, lambda x: x[0], x), ShapeError),
        (lambda x: cr.cond(True, lambda x: (x, x), lambda x: x, x), ArgumentError),
    ):
        if error is None:
            run(wrong, way)(x)
        else:
            with pytest.raises(error):
                run(wrong, way)(x)


def test_a_body_sees_what_a_compiled_function_left(engine: str) -> None:
    """The numbers of w are in the engine still when a body first asks for them."""
    w, x = cr.tensor(1.0, requires_grad=True), cr.tensor(2.0)
    grow = cr.compile(lambda: w.copy_(w.detach() * 3.0), engine=engine)
    bodies = {
        "scan": lambda: cr.scan(lambda c, x: (c + w * x, None), 0.0, x[None])[0],
        "cond": lambda: cr.cond(x > 0, lambda x: x * w, lambda x: x, x),
        "while": lambda: cr.while_loop(
            lambda c: c < 1, lambda c: c + w * 2, 0.0, max_steps=3
        ),
    }
    for power, body in enumerate(bodies.values(), 1):
        grow()
        assert body().item() == 2 * 3**power
