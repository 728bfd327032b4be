"""Training does what a loop written by hand does, on every engine."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim, random
from chainrule.primitives.random import seed_key
from chainrule.random.generator import StepStream
from chainrule.training import Callback, loop
from tests.ways import ENGINES

from .conftest import Make, pixels, same, small_network


def by_hand(
    model: nn.Module,
    data: cr.data.Dataset,
    optimizer: optim.RuleOptimizer,
    *,
    epochs: int,
    batch_size: int,
    seed: int = 0,
    compiled: bool = False,
) -> np.ndarray:
    """The loop that one writes without a Trainer; returns the losses."""
    loss_function, key = nn.CrossEntropyLoss(), cr.tensor(seed_key(seed))

    def step(x: cr.Tensor, y: cr.Tensor, number: cr.Tensor) -> cr.Tensor:
        with random.stream(StepStream(key, number)):
            loss = loss_function(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    run = cr.compile(step, engine="numpy") if compiled else step
    losses: list[float] = []
    per_epoch = -(-len(data) // batch_size)
    optimizer.schedule.bind(epochs * per_epoch)
    for epoch in range(epochs):
        order = random.permutation(len(data), seed, epoch)
        for start in range(0, len(data), batch_size):
            rows = order[start : start + batch_size]
            x = data.x.stored[rows].astype(np.float32) * np.float32(data.x.scale)
            number = cr.tensor(np.uint32(len(losses)))
            loss = run(cr.tensor(x), cr.tensor(data.y[rows]), number)
            losses.append(loss.item())
    return np.array(losses, np.float32)


OPTIMIZERS = {
    "sgd": lambda: optim.SGD(lr=0.1),
    "momentum": lambda: optim.SGD(lr=0.1, momentum=0.9),
    "adam": lambda: optim.Adam(lr=0.01),
    "one cycle": lambda: optim.AdamW(lr=optim.OneCycleLR(0.05), weight_decay=0.1),
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("kind", "dropout"), [*((kind, 0.0) for kind in OPTIMIZERS), ("adam", 0.3)]
)
def test_the_same_as_a_loop_by_hand(
    make: Make, data: cr.data.Dataset, kind: str, dropout: float, compiled: bool
) -> None:
    """Bit for bit on the same engine; eager products may round in another order."""
    plain = small_network(dropout=dropout)
    optimizer = OPTIMIZERS[kind]()
    optimizer.attach_parameters(plain.named_parameters())
    losses = by_hand(
        plain, data, optimizer, epochs=3, batch_size=8, seed=5, compiled=compiled
    )
    trainer = make(optimizer=OPTIMIZERS[kind](), dropout=dropout, seed=5)
    history = trainer.fit(data, epochs=3, batch_size=8, progress=False)
    if compiled:
        assert history.steps["loss"].tobytes() == losses.tobytes()
        assert same(trainer.model, plain)
    else:
        np.testing.assert_allclose(history.steps["loss"], losses, rtol=2e-5)


def test_an_engine_learns(make: Make, engine: str) -> None:
    data = pixels(300)
    trainer = make(engine=engine, dropout=0.1)
    history = trainer.fit(data, epochs=30, batch_size=32, validation=data)
    assert trainer.engine == engine
    assert history.epochs[-1]["validation_accuracy"] > 0.9


def test_how_long_chunks_are_changes_nothing(
    make: Make, data: cr.data.Dataset, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for seconds in (0.0, 1e9):
        monkeypatch.setattr(loop, "CHUNK", seconds)
        trainer = make(engine=engine, dropout=0.3)
        trainer.fit(data, epochs=2, batch_size=8, progress=False)
        made.append(trainer)
    assert same(made[0].model, made[1].model)
    for name, values in made[0].history.steps.items():
        assert values.tobytes() == made[1].history.steps[name].tobytes()


def test_threads_change_nothing(make: Make) -> None:
    pytest.importorskip("llvmlite", reason="the native engine needs llvmlite")
    data = pixels(200)
    made = []
    for threads in (1, 2):
        trainer = make(engine="native", threads=threads, dropout=0.3)
        trainer.fit(data, epochs=2, batch_size=32, progress=False)
        made.append(trainer.model)
    assert same(*made)


def test_seeds_decide_the_order_and_dropout(make: Make, data: cr.data.Dataset) -> None:
    losses = []
    for seed in (0, 0, 1):
        trainer = make(seed=seed)
        trainer.fit(data, epochs=1, batch_size=8, progress=False)
        losses.append(trainer.history.steps["loss"].tolist())
    assert losses[0] == losses[1] != losses[2]


def test_train_loss_is_the_mean_over_samples(make: Make, data: cr.data.Dataset) -> None:
    trainer = make()
    history = trainer.fit(data, epochs=2, batch_size=8, progress=False)
    losses = history.steps["loss"].astype(np.float64)
    for row, part in zip(history.epochs, (losses[:7], losses[7:])):
        expected = (part[:6].sum() * 8 + part[6] * 2) / 50
        assert row["train_loss"] == pytest.approx(expected, rel=1e-12)
    assert [row["epoch"] for row in history.epochs] == [1, 2]
    assert history.epochs[0]["lr"] == trainer.optimizer.schedule(6)


def test_the_state_of_the_model_outside_is_left_alone(
    make: Make, data: cr.data.Dataset
) -> None:
    trainer = make(dropout=0.2)
    model = trainer.model
    model[2].training = False
    stale = cr.tensor(np.full((8, 6), 7.0, np.float32))
    model[0].weight.grad = stale
    trainer.fit(data, epochs=1, batch_size=8, validation=data, progress=False)
    assert model[0].training
    assert not model[2].training
    assert model[0].weight.grad is stale
    assert model[0].bias.grad is None


def test_old_gradients_move_nothing(make: Make, data: cr.data.Dataset) -> None:
    """A parameter that the loss does not depend on stays, whatever its ``.grad``."""
    model = small_network()
    model.unused = nn.Linear(2, 2)
    model.forward = lambda x: model[2](model[1](model[0](x)))
    model.unused.weight.grad = cr.tensor(np.ones((2, 2), np.float32))
    before = model.state_dict()["unused.weight"]
    trainer = make(model=model, optimizer=optim.SGD(lr=0.1))
    trainer.fit(data, epochs=1, batch_size=8, progress=False)
    assert (model.state_dict()["unused.weight"] == before).all()
    assert "grad_norm/unused.weight" not in trainer.history.steps


@pytest.mark.parametrize("rows", [48, 50])
def test_what_is_left_can_be_left_out(make: Make, rows: int) -> None:
    data = pixels(rows)
    trainer = make(optimizer=optim.SGD(lr=0.1))
    history = trainer.fit(data, epochs=2, batch_size=8, drop_last=True, progress=False)
    assert len(history) == 12
    losses = history.steps["loss"].astype(np.float64)
    assert history.epochs[0]["train_loss"] == pytest.approx(losses[:6].mean())
    assert trainer.plan is not None
    assert trainer.plan.steps_per_epoch == 6
    assert trainer.finished


def test_schedules_by_epochs_and_on_a_plateau(
    make: Make, data: cr.data.Dataset
) -> None:
    steps = make(optimizer=optim.SGD(lr=optim.StepLR(0.1, step_size=2)))
    rows = steps.fit(data, epochs=5, batch_size=8, progress=False).epochs
    assert [row["lr"] for row in rows] == pytest.approx([0.1, 0.1, 0.01, 0.01, 1e-3])
    plateau = optim.ReduceLROnPlateau(1e-9, "train_loss", patience=0, eps=0.0)
    still = make(optimizer=optim.SGD(lr=plateau))
    rows = still.fit(data, epochs=3, batch_size=8, progress=False).epochs
    # The loss does not move: from the second epoch on each one reduces the rate.
    assert [row["lr"] for row in rows] == pytest.approx([1e-9, 1e-9, 1e-10])


def test_a_second_fit_goes_on(make: Make, data: cr.data.Dataset) -> None:
    twice, once = make(optimizer=optim.Adam()), make(optimizer=optim.Adam())
    for _ in range(2):
        history = twice.fit(data, epochs=2, batch_size=16, progress=False)
    once.fit(data, epochs=4, batch_size=16, progress=False)
    assert same(twice.model, once.model)
    assert [row["epoch"] for row in history.epochs] == [1, 2, 3, 4]


@pytest.mark.usefixtures("single_steps")
def test_time_spent_elsewhere_does_not_count(make: Make, data: cr.data.Dataset) -> None:
    import time

    class Slow(Callback):
        def on_chunk(self, trainer: cr.Trainer) -> None:
            time.sleep(0.01)

        on_epoch = on_chunk

    trainer = make()
    started = time.perf_counter()
    trainer.fit(data, epochs=2, batch_size=10, callbacks=[Slow()], progress=False)
    whole = time.perf_counter() - started
    assert whole > 12 * 0.01
    assert 0 < trainer.seconds_training < whole - 12 * 0.01 - trainer.seconds_compile
    assert trainer.seconds_compile > 0
    assert trainer.seconds_training == pytest.approx(
        sum(row["seconds"] for row in trainer.history.epochs)
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_frozen_and_trained_again_between_two_runs(engine: str) -> None:
    if engine == "native":
        pytest.importorskip("llvmlite", reason="llvmlite has no wheel here")
    data = cr.data.moons(64, seed=0)
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2))
    trainer = cr.Trainer(
        model, loss=nn.CrossEntropyLoss(), optimizer=optim.Adam(), engine=engine
    )

    def moves() -> list[bool]:
        before = model.state_dict()
        trainer.fit(data, epochs=1, batch_size=16, progress=False)
        after = model.state_dict()
        return [bool((before[n] != after[n]).any()) for n in before]

    assert moves() == [True] * 4
    for p in model[0].parameters():
        p.requires_grad_(False)
    assert moves() == [False, False, True, True]
    model.eval()
    program = trainer._programs.training
    assert moves() == [False, False, True, True]
    assert trainer._programs.training is program, "not compiled anew without a reason"
    for p in model[0].parameters():
        p.requires_grad_()
    assert moves() == [True] * 4


def test_a_compiled_step_sees_what_is_frozen() -> None:
    layer = nn.Linear(2, 1)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)

    @cr.compile(engine="numpy")
    def step(x: cr.Tensor) -> cr.Tensor:
        optimizer.zero_grad()
        loss = layer(x).mean()
        loss.backward()
        optimizer.step()
        return loss

    step(np.ones((3, 2), np.float32))
    weight, bias = layer.weight.numpy().copy(), layer.bias.numpy().copy()
    layer.weight.requires_grad_(False)
    step(np.ones((3, 2), np.float32))
    np.testing.assert_array_equal(layer.weight.numpy(), weight)
    assert (layer.bias.numpy() != bias).all()
