"""What an engine has stored stays there until somebody reads it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.compilation.program import CompiledProgram
from chainrule.compilation.tracing import Input, trace_entry
from chainrule.errors import ArgumentError
from chainrule.graph.types import ArrayType, DType
from chainrule.training import BatchSource, Loop, RunState, StepInputs, compile_program
from tests.engines.device import traffic

X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


def double(x: cr.Tensor) -> cr.Tensor:
    return x * 2 + 1


def test_a_result_is_the_next_calls_input(engine: str) -> None:
    """Calls on one engine pass results on; another engine, and NumPy, fetch them."""
    f = cr.compile(double, engine=engine)
    y = f(f(f(cr.tensor(X))))
    assert traffic.fetched == 0
    assert y.shape == (6, 4)
    assert y.dtype is cr.float32
    other = cr.compile(double, engine="numpy")
    wanted = np.float32(8) * X + 7
    np.testing.assert_allclose(other(y).numpy(), 2 * wanted + 1, rtol=1e-5)
    np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-5)
    np.testing.assert_allclose((y + 1).numpy(), wanted + 1, rtol=1e-5)


def test_a_result_is_fetched_once(device: str) -> None:
    y = cr.compile(double, engine=device)(cr.tensor(X))
    y.numpy()
    assert traffic.fetched == X.nbytes
    y.numpy()
    y.sum().item()
    assert traffic.fetched == X.nbytes


def test_a_result_is_not_changed_in_place_behind_the_engine(engine: str) -> None:
    f = cr.compile(double, engine=engine)
    y = f(cr.tensor(X))
    kept = y.numpy()
    y[0, 0] = 100.0
    y += 1
    assert kept[0, 0] != 100.0
    np.testing.assert_allclose(f(y).numpy()[0, 0], 203.0)


def test_nothing_is_written_into_a_buffer(engine: str) -> None:
    """On no engine: in the memory of one it would stay, of another get lost."""
    traced = trace_entry(
        "double", double, [Input("x", ArrayType((6, 4), DType.float32))]
    )
    made = CompiledProgram([traced], engine=engine)
    buffer: Any = made.put("double", "x", X)
    for change in (
        lambda: buffer.__iadd__(1),
        lambda: np.add(X, X, out=buffer),
        lambda: buffer.fill(0),
        lambda: buffer.sort(),
        lambda: buffer[0].fill(0),
        lambda: buffer.T.__setitem__(0, 0),
    ):
        with pytest.raises((ArgumentError, ValueError), match=r"in place|read-only"):
            change()
    np.testing.assert_array_equal(buffer, X)
    np.testing.assert_array_equal((buffer + 1) * buffer, (X + 1) * X)
    np.testing.assert_array_equal(made.run("double", {"x": buffer}), 2 * X + 1)


def test_views_of_a_result(engine: str) -> None:
    f = cr.compile(double, engine=engine)
    y = f(cr.tensor(X))
    same, rows, turned = y.detach(), y[1:3], y.T
    np.testing.assert_array_equal(same.numpy(), 2 * X + 1)
    y.mul_(0)
    for view in (same, rows, turned):
        assert not view.numpy().any()
    np.testing.assert_array_equal(f(rows).numpy(), np.ones((2, 4)))


def test_detach_and_copy_stay_in_the_engine(device: str) -> None:
    f = cr.compile(double, engine=device)
    y, target = f(cr.tensor(X)), cr.tensor(np.zeros_like(X))
    with cr.no_grad():
        target.copy_(y.detach())
    f(target)
    assert traffic.fetched == 0
    np.testing.assert_array_equal(target.numpy(), 2 * X + 1)


def test_derivatives_of_results(engine: str) -> None:
    """Two compiled calls and an eager one between a leaf and a loss."""
    f = cr.compile(lambda x: (x * x).sin(), engine=engine)
    x = cr.tensor(X, requires_grad=True)
    (f(f(x)) * 3).sum().backward()
    z = X.astype(np.float64)
    s = np.sin(z * z)
    wanted = 3 * np.cos(s * s) * 2 * s * np.cos(z * z) * 2 * z
    np.testing.assert_allclose(x.grad.numpy(), wanted, rtol=1e-4, atol=1e-5)


def test_a_derivatives_residuals_stay_in_the_engine(device: str) -> None:
    f = cr.compile(lambda x: (x * x).sin(), engine=device)
    x = cr.tensor(X, requires_grad=True)
    loss = f(f(x))
    traffic.clear()
    loss.backward(cr.ones(6, 4))
    # The cotangent between the two is added up by eager code.
    assert traffic.fetched <= 2 * X.nbytes


def training(engine: str) -> tuple[nn.Sequential, Any]:
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    optimizer = optim.Adam(model.parameters(), lr=0.05)

    @cr.compile(engine=engine)
    def step(x: cr.Tensor) -> cr.Tensor:
        loss = model(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return model, step


def test_state_that_is_read_and_written_between_runs(engine: str) -> None:
    """Also by a result that the engine has: it goes where it is, without the host."""
    model, step = training(engine)
    wanted_model, wanted_step = training("numpy")
    for _ in range(3):
        step(X), wanted_step(X)
    scale = cr.compile(lambda w: w * 0.5, engine=engine)
    for m, s in ((model, step), (wanted_model, wanted_step)):
        with cr.no_grad():
            m[0].weight.copy_(scale(m[0].weight))
            m[2].bias.add_(1)
        s(X)
    for a, b in zip(model.parameters(), wanted_model.parameters()):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)


def test_nothing_but_the_loss_is_fetched(device: str) -> None:
    _, step = training(device)
    losses = [step(X) for _ in range(10)]
    assert traffic.fetched == 0
    assert losses[9].item() < losses[0].item()
    assert traffic.fetched == 2 * 4


class Batches(BatchSource):
    """The same batch 100 times: one step at a time, or up to ten."""

    def __init__(self, steps: int | None) -> None:
        self.steps = steps

    def take(self, state: RunState, most: int) -> StepInputs | None:
        if state.step >= 100:
            return None
        if self.steps is None:
            return StepInputs({"x": X}, None)
        return StepInputs({"x": np.stack([X] * self.steps)}, self.steps)


@pytest.mark.parametrize("steps", [None, 10])
def test_a_loop_fetches_what_it_records(device: str, steps: int | None) -> None:
    cr.manual_seed(0)
    model = nn.Linear(4, 3)
    optimizer = optim.Adam(model.parameters(), lr=0.05)

    def train(x: cr.Tensor) -> dict[str, cr.Tensor]:
        z = model(x)
        loss = z.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss, "outputs": z}

    program = compile_program(
        {"train": train}, {"x": "f32[6,4]"}, each=["x"], engine=device
    )
    loop = Loop(program, "train", Batches(steps), finite=["loss"])
    traffic.clear()
    history = loop.run(epochs=1)
    assert traffic.fetched == 100 * 4
    assert len(history.steps["loss"]) == 100
    assert traffic.finite > 0  # weights are looked at where they lie


def test_a_trainer_on_a_device(device: str) -> None:
    """Its results are those of the engine behind it, and its snapshots stay there."""
    train, test = cr.data.mnist()

    def trained(engine: str) -> cr.Trainer:
        cr.manual_seed(0)
        model = nn.Sequential(nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 10))
        trainer = cr.Trainer(
            model,
            loss=nn.CrossEntropyLoss(),
            optimizer=optim.Adam(lr=1e-3),
            engine=engine,
        )
        trainer.fit(train[:512], epochs=2, batch_size=32)
        return trainer

    one, other = trained("numpy"), trained(device)
    recorded = other.history.steps
    assert set(recorded) >= {"loss"}
    assert traffic.fetched == 4 * sum(map(len, recorded.values()))
    assert [row["train_loss"] for row in one.history.epochs] == [
        row["train_loss"] for row in other.history.epochs
    ]
    assert one.evaluate(test[:300]) == other.evaluate(test[:300])
    np.testing.assert_array_equal(
        one.predict(test.x[:70], batch_size=32),
        other.predict(test.x[:70], batch_size=32),
    )
