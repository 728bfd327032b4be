"""L-BFGS without PyTorch: a quadratic that it must solve, state, messages."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError, GradientError, NonFiniteError
from tests.mistakes import explained

#: Eigenvalues from 1 to 100.
A = np.diag([1.0, 3.0, 10.0, 100.0]) + 0.5
B = np.array([1.0, -2.0, 3.0, 4.0])


def problem(**options):
    """½ xᵀAx − bᵀx in two parameters; its minimum is where Ax = b."""
    parts = [cr.tensor(np.zeros(n), requires_grad=True) for n in (1, 3)]
    optimizer = optim.LBFGS(parts, **options)

    def closure():
        optimizer.zero_grad()
        x = joined(parts)
        loss = (x * (cr.tensor(A) @ x)).sum() / 2 - (cr.tensor(B) * x).sum()
        loss.backward()
        return loss

    return parts, optimizer, closure


def joined(parts):
    left, right = np.eye(4)[:, :1], np.eye(4)[:, 1:]
    return cr.tensor(left) @ parts[0] + cr.tensor(right) @ parts[1]


@pytest.mark.parametrize(
    "options", [{"line_search_fn": "strong_wolfe"}, {"lr": 0.5, "max_iter": 100}]
)
def test_a_quadratic_is_solved(options) -> None:
    parts, optimizer, closure = problem(tolerance_change=0.0, **options)
    first = optimizer.step(closure)
    assert first.item() == 0.0, "the loss before the step"
    optimizer.step(closure)
    found = np.concatenate([p.numpy() for p in parts])
    # It ends where no element of the gradient is above 10⁻⁷; A's least eigenvalue > 1.
    np.testing.assert_allclose(found, np.linalg.solve(A, B), rtol=0, atol=2e-7)
    assert optimizer.steps == 2


def test_so_many_pairs_are_kept() -> None:
    _, optimizer, closure = problem(history_size=2, max_iter=6)
    optimizer.step(closure)
    assert optimizer.memory["counts"][1] == 6
    assert optimizer.memory["s"].shape == optimizer.memory["y"].shape == (2, 4)


def test_another_one_goes_on_bit_for_bit() -> None:
    parts, optimizer, closure = problem(max_iter=3)
    optimizer.step(closure)
    kept, weights = optimizer.state_dict(), [p.numpy().copy() for p in parts]
    wanted = [optimizer.step(closure).item() for _ in range(3)]
    parts, optimizer, closure = problem(max_iter=3)
    for p, w in zip(parts, weights, strict=True):
        p.copy_(cr.tensor(w))
    optimizer.load_state_dict(kept)
    assert [optimizer.step(closure).item() for _ in range(3)] == wanted


@pytest.mark.parametrize("options", [{}, {"line_search_fn": "strong_wolfe"}])
def test_an_interrupted_step_changes_nothing(options) -> None:
    parts, optimizer, closure = problem(**options)
    optimizer.step(closure)
    before, weights = optimizer.state_dict(), [p.numpy().copy() for p in parts]
    calls = iter(range(3))

    def interrupted():
        if next(calls) == 2:
            raise KeyboardInterrupt
        return closure() + 1.0

    parts[0].copy_(parts[0] + 1.0)
    weights[0] += 1.0
    with pytest.raises(KeyboardInterrupt):
        optimizer.step(interrupted)
    np.testing.assert_equal(optimizer.state_dict(), before)
    np.testing.assert_equal([p.numpy() for p in parts], weights)


@pytest.mark.parametrize(
    "memory",
    [None, 3, {"s": []}, {"s": [[1.0]], "y": [], "d": [], "g": [], "counts": [0] * 3}],
)
def test_a_memory_that_does_not_fit_is_refused(memory) -> None:
    _, optimizer, closure = problem(max_iter=3)
    optimizer.step(closure)
    before = optimizer.state_dict()
    with pytest.raises(ArgumentError, match="memory in the state_dict"):
        optimizer.load_state_dict(before | {"steps": 7, "memory": memory})
    np.testing.assert_equal(optimizer.state_dict(), before)


def test_the_closure_may_call_a_compiled_function() -> None:
    w = cr.tensor([3.0], requires_grad=True)
    optimizer = optim.LBFGS([w], line_search_fn="strong_wolfe")

    @cr.compile(engine="numpy")
    def gradient():
        w.grad = None
        loss = ((w - 1.0) ** 2).sum()
        loss.backward()
        return loss, w.grad

    def closure():
        loss, w.grad = gradient()
        return loss

    optimizer.step(closure)
    assert w.item() == pytest.approx(1.0, abs=1e-6)


def compiled() -> None:
    _, optimizer, closure = problem()
    cr.compile(lambda x: optimizer.step(closure) * x, engine="numpy")(cr.tensor(1.0))


def trained() -> None:
    trainer = cr.Trainer(
        nn.Linear(2, 1), loss=nn.MSELoss(), optimizer=optim.LBFGS(), engine="numpy"
    )
    x = np.ones((4, 2), np.float32)
    trainer.fit((x, x[:, :1]), epochs=1, batch_size=4, progress=False)


def infinite() -> None:
    w = cr.tensor([np.inf], requires_grad=True)

    def closure():
        loss = w.sum()
        loss.backward()
        return loss

    optim.LBFGS([w]).step(closure)


#: What is written, by its error, and words of the message.
MISTAKES = {
    ArgumentError: {
        "compiled()": "cannot be part of a compiled step",
        "trained()": r"optim\.Adam",
        "problem()[1].step()": "no closure",
        "optim.LBFGS([{'params': '*'}])": "one group",
        "optim.LBFGS(line_search_fn='wolfe')": "strong_wolfe",
        "optim.LBFGS(max_iter=0)": "max_iter ≥ 1",
        "optim.LBFGS(max_eval=0)": "max_eval ≥ 1",
        "optim.LBFGS(history_size=1.5)": "history_size",
        "optim.LBFGS(tolerance_grad=-1)": "tolerance_grad ≥ 0",
    },
    NonFiniteError: {
        "infinite()": "not finite where LBFGS begins",
    },
    GradientError: {
        "problem()[1].step(lambda: 1.0)": "no gradients",
        "optim.LBFGS().step(lambda: 1.0)": "no parameters",
    },
}
test_mistakes_are_explained = explained(MISTAKES, globals())
