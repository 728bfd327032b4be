"""Optimisers whose parameters get another dtype: before the first step, or later."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import DTypeError
from chainrule.training import compile_program
from tests.ways import ENGINES, WAYS

KINDS: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.9, "clip_norm": 1.0},
    "Adam": {"amsgrad": True},
    "AdamW": {"weight_decay": 0.1},
    "RMSprop": {"momentum": 0.9, "centered": True},
    "Adagrad": {"initial_accumulator_value": 0.1},
    "Adadelta": {},
    "Adamax": {},
    "NAdam": {},
    "RAdam": {},
    "LBFGS": {},
}
X = np.random.default_rng(0).normal(size=(6, 3))
CHANGES = [
    ("float32", "float64"),
    ("float64", "float32"),
    ("float64", "bfloat16"),
    ("bfloat16", "float64"),
]


def test_all_optimisers_are_here() -> None:
    every = {k for k in optim.__all__ if isinstance(getattr(optim, k), type)}
    rules = {k for k in every if issubclass(getattr(optim, k), optim.RuleOptimizer)}
    assert rules - {"RuleOptimizer", "SparseAdam"} == set(KINDS)  # its own test below


def network(dtype: str) -> nn.Sequential:
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    return model.to(dtype)


def stepping(model: nn.Module, optimizer: Any, way: Any) -> Any:
    """Return a function of x that makes a step and returns the loss."""

    def step(x: cr.Tensor) -> cr.Tensor:
        optimizer.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        if not isinstance(optimizer, optim.LBFGS):
            optimizer.step()
        return loss

    if isinstance(optimizer, optim.LBFGS):
        return lambda x: optimizer.step(lambda: step(x))
    return step if way == "eager" else cr.compile(step, engine=way)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("before", "after"), CHANGES)
@pytest.mark.parametrize("kind", KINDS)
def test_before_the_first_step(kind: str, before: str, after: str, way: Any) -> None:
    """To the bit what an optimiser does that was made behind the conversion."""
    made = []
    for late in (False, True):
        model = network(before)
        if late:
            model.to(after)
        optimizer = getattr(optim, kind)(model.parameters(), lr=0.1, **KINDS[kind])
        model.to(after)
        step = stepping(model, optimizer, way)
        x = cr.tensor(X).to(after)
        losses = [step(x).item() for __ in range(3)]
        made.append((losses, [p.tolist() for p in model.parameters()]))
    assert made[0] == made[1]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("before", "after"), CHANGES)
@pytest.mark.parametrize("kind", KINDS)
def test_between_two_steps(kind: str, before: str, after: str, way: Any) -> None:
    """What was gathered goes along: as an optimiser that loads it does."""
    made = []
    for loaded in (False, True):
        model = network(before)
        optimizer = getattr(optim, kind)(model.parameters(), lr=0.1, **KINDS[kind])
        step, x = stepping(model, optimizer, way), cr.tensor(X).to(before)
        for __ in range(3):
            step(x)
        state = optimizer.state_dict()
        model.to(after)
        if loaded:
            optimizer = getattr(optim, kind)(model.parameters(), lr=0.1, **KINDS[kind])
            optimizer.load_state_dict(state)
            step = stepping(model, optimizer, way)
        x = cr.tensor(X).to(after)
        losses = [step(x).item() for __ in range(3)]
        made.append((losses, [p.tolist() for p in model.parameters()]))
    assert made[0] == made[1]


@pytest.mark.parametrize("way", WAYS)
def test_of_rows_alone(way: Any) -> None:
    made = []
    for late in (False, True):
        cr.manual_seed(0)
        table = nn.Embedding(5, 2, sparse=True)
        if late:
            table.double()
        optimizer = optim.SparseAdam(table.parameters(), lr=0.1)
        step = stepping(table.double(), optimizer, way)
        i = cr.tensor([1, 3, 3])
        made.append([step(i).item() for __ in range(3)])
    assert made[0] == made[1]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("when", ["in front of the Trainer", "behind it"])
def test_a_trainer(when: str, engine: Any) -> None:
    made = []
    for moment in ("in front of the optimiser", when):
        model = network("float32")
        if moment == "in front of the optimiser":
            model.double()
        optimizer = optim.AdamW(model.parameters(), lr=0.05)
        if moment == "in front of the Trainer":
            model.double()
        trainer = cr.Trainer(
            model, loss=nn.MSELoss(), optimizer=optimizer, engine=engine
        )
        model.double()
        trainer.fit((X, X[:, :2]), epochs=3, batch_size=2, progress=False)
        made.append(trainer.history.steps["loss"].tolist())
        assert trainer.optimizer.state["0.weight"]["m"].dtype.name == "float64"
    assert made[0] == made[1]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_trainer_between_two_calls(engine: Any) -> None:
    """Its rows are those of the new dtype: in ``fit``, ``evaluate`` and ``predict``."""
    model = network("float32")
    trainer = cr.Trainer(
        model, loss=nn.MSELoss(), optimizer=optim.AdamW(lr=0.05), engine=engine
    )
    data: Any = (X, X[:, :2])
    trainer.fit(data, epochs=1, batch_size=2, progress=False)
    assert trainer.predict(X).dtype == np.float32
    assert trainer.evaluate(data)
    model.double()
    wanted = model(cr.tensor(X))
    np.testing.assert_allclose(trainer.predict(X), wanted.numpy(), rtol=1e-12)
    loss = ((wanted - cr.tensor(X[:, :2])) ** 2).mean().item()
    assert trainer.evaluate(data)["loss"] == pytest.approx(loss, rel=1e-12)
    trainer.fit(data, epochs=3, batch_size=2, progress=False)
    assert trainer.optimizer.state["0.weight"]["m"].dtype.name == "float64"
    assert trainer.evaluate(data)["loss"] < loss


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("late", [False, True])
def test_what_else_a_trainer_keeps_for_a_parameter(late: bool, engine: Any) -> None:
    """Averages of weights, and sums of gradients of several batches."""
    model = network("float32")
    trainer = cr.Trainer(
        model,
        loss=nn.MSELoss(),
        optimizer=optim.SGD(lr=0.05),
        ema_decay=0.9,
        engine=engine,
    )
    data: Any = (X, X[:, :2])
    options: Any = {"batch_size": 2, "accumulate_grad_batches": 3, "progress": False}
    if late:
        trainer.fit(data, epochs=1, **options)
    model.double()
    trainer.fit(data, epochs=4, **options)
    assert trainer.average is not None
    states = trainer.average.state | trainer.accumulator.state
    assert {t.dtype.name for t in states.values()} == {"float64", "int32"}
    with trainer.average.in_place():
        wanted = model(cr.tensor(X)).numpy()
    np.testing.assert_allclose(trainer.predict(X), wanted, rtol=1e-12)
    if not late:
        other = network("float32").double()
        again = cr.Trainer(
            other,
            loss=nn.MSELoss(),
            optimizer=optim.SGD(lr=0.05),
            ema_decay=0.9,
            engine=engine,
        )
        again.fit(data, epochs=4, **options)
        assert again.evaluate(data) == trainer.evaluate(data)


def test_a_program() -> None:
    model = network("float32")
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    model.double()

    def train(x: cr.Tensor) -> dict[str, cr.Tensor]:
        loss = (model(x) ** 2).mean()
        model.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss}

    program = compile_program(
        {"train": train}, {"x": "f64[N,3]"}, model=model, optimizers=[optimizer]
    )
    first, last = [program.run("train", {"x": X})["loss"].item() for __ in range(2)]
    assert last < first


def test_the_state_is_that_of_the_parameters() -> None:
    """It may be looked at before a step, and held."""
    model = network("float32")
    optimizer = optim.Adam(model.parameters())
    held = optimizer.state["param0"]["m"]
    model.double()
    assert optimizer.state["param0"]["m"] is held
    assert held.dtype.name == "float64"
    assert optimizer.state_dict()["state"]["param0"]["v"].dtype == np.float64


def test_numbers_that_the_new_dtype_cannot_hold() -> None:
    """They are refused: an infinite moment would let its parameter stand still."""
    w = nn.Linear(1, 1).double()
    optimizer = optim.Adam(w.parameters())
    w.weight.grad = cr.tensor([[1e30]], dtype="float64")
    optimizer.step()
    w.float()
    w.weight.grad = cr.tensor([[1.0]])
    before = w.weight.item()
    for __ in range(2):
        with pytest.raises(DTypeError, match=r"param0\.v is too large"):
            optimizer.step()
    assert w.weight.item() == before
    assert optimizer.steps == 1
