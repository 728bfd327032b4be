"""Several batches make up an update: as one batch so many times as large."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn, optim
from chainrule.training import Callback

from .conftest import Make, pixels, raising, same, small_network, without_time
from .test_data_adapter import stream_of

ROWS = 50
#: Eight rows an update, in batches of two and as one; 50 = 6 · 8 + 2.
SMALL: dict[str, Any] = {"batch_size": 2, "accumulate_grad_batches": 4}
LARGE: dict[str, Any] = {"batch_size": 8}


class StopAtStep(Callback):
    """Ends a run after some number of steps; see ``single_steps``."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_chunk(self, trainer: cr.Trainer) -> None:
        if trainer.state.updates == self.steps:
            trainer.stop()


def close(a: cr.Trainer, b: cr.Trainer, rtol: float = 2e-4) -> None:
    for left, right in zip(a.model.parameters(), b.model.parameters(), strict=True):
        np.testing.assert_allclose(left.numpy(), right.numpy(), rtol=rtol, atol=2e-6)


def own(output: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
    return nn.functional.cross_entropy(output, target)


SUMS = nn.CrossEntropyLoss(reduction="sum")
WEIGHTS = nn.CrossEntropyLoss(weight=[1.0, 4.0, 0.5], ignore_index=2)


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    ("loss", "engine"),
    [
        (nn.CrossEntropyLoss(), "numpy"),
        (WEIGHTS, "numpy"),
        (WEIGHTS, "native"),
        (SUMS, "numpy"),
        (own, "numpy"),
    ],
    indirect=["engine"],
    ids=["mean", "weights", "weights", "sum", "own"],
)
def test_as_one_large_batch(make: Make, engine: str, loss: Any) -> None:
    """A ragged end, clipping, momentum and a schedule that ends with the run."""
    made: list[cr.Trainer] = []
    for options in (SMALL, LARGE):
        rate = optim.OneCycleLR(0.01 if loss is own else 0.02)
        sgd = optim.SGD(lr=rate, momentum=0.9, clip_norm=0.5, weight_decay=0.01)
        trainer = make(engine=engine, loss=loss, optimizer=sgd)
        trainer.fit(pixels(ROWS), epochs=3, progress=False, **options)
        made.append(trainer)
    close(*made)
    assert [t.optimizer.steps for t in made] == [21, 21]
    assert [t.state.updates for t in made] == [75, 21]
    for mine, theirs in zip(made[0].history.epochs, made[1].history.epochs):
        assert mine["lr"] == theirs["lr"]


def test_the_first_loss_is_that_of_all_batches(make: Make) -> None:
    """In an epoch of one update the weights are those of the start throughout."""
    data = pixels(ROWS)
    trainer = make()
    wanted = trainer.evaluate(data)["loss"]
    options: Any = {"batch_size": 7, "accumulate_grad_batches": 8}
    row = trainer.fit(data, epochs=1, progress=False, **options).epochs[0]
    assert row["train_loss"] == pytest.approx(wanted, rel=1e-6)
    assert len(trainer.history.steps["loss"]) == 8
    norms = trainer.history.steps["grad_norm/0.weight"]
    assert np.isnan(norms[:7]).all(), "the gradient is there at the update"
    assert np.isfinite(norms[7])


def test_with_weights_of_rows_and_of_classes(make: Make) -> None:
    w = np.random.default_rng(0).integers(0, 4, ROWS).astype(np.float64)
    made = [make(optimizer=optim.SGD(lr=0.05)) for _ in range(2)]
    for trainer, options in zip(made, (SMALL, LARGE)):
        trainer.fit(
            pixels(ROWS),
            epochs=2,
            progress=False,
            sample_weight=w,
            class_weight={0: 3.0, 2: 0.5},
            **options,
        )
    close(*made)


def test_a_batch_without_weight_changes_nothing(make: Make) -> None:
    data, w = pixels(8), np.zeros(8)
    w[3] = 1.0
    made = [make(optimizer=optim.SGD(lr=0.5)) for _ in range(2)]
    for trainer, options in zip(made, (SMALL, LARGE)):
        trainer.fit(data, epochs=2, progress=False, sample_weight=w, **options)
    close(*made)


def test_what_is_left_out(make: Make) -> None:
    """``drop_last`` leaves out the update that is smaller, as of one large batch."""
    made = [make(optimizer=optim.SGD(lr=0.05)) for _ in range(2)]
    for trainer, options in zip(made, (SMALL, LARGE)):
        trainer.fit(pixels(ROWS), epochs=2, drop_last=True, progress=False, **options)
    close(*made)
    assert made[0].optimizer.steps == 12
    with raising(errors.ArgumentError, "No update", "accumulate_grad_batches=30"):
        made[0].fit(
            pixels(ROWS),
            epochs=1,
            batch_size=2,
            drop_last=True,
            accumulate_grad_batches=30,
        )


def test_of_a_stream(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block is whole updates."""
    monkeypatch.setattr("chainrule.training.data_adapter.BLOCK_BYTES", 400)
    made = [make(optimizer=optim.SGD(lr=0.05)) for _ in range(2)]
    for trainer, options in zip(made, (SMALL, LARGE)):
        trainer.fit(stream_of(pixels(ROWS)), epochs=2, progress=False, **options)
        assert trainer.plan is not None
        assert trainer.plan.block is not None
        assert trainer.plan.block % 8 == 0
        assert trainer.plan.block < ROWS
    close(*made)


@pytest.mark.one_in(2)
@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize("stop", [1, 27])
def test_cut_within_an_update(make: Make, tmp_path: Path, stop: int) -> None:
    """It goes on bit for bit: with dropout, averages and gradients half added up."""

    def trainer() -> cr.Trainer:
        return make(dropout=0.3, ema_decay=0.5)

    options: Any = {"epochs": 3, "progress": False, **SMALL}
    whole = trainer()
    history = whole.fit(pixels(ROWS), **options)
    cut = trainer()
    cut.fit(pixels(ROWS), callbacks=StopAtStep(stop), checkpoint=tmp_path, **options)
    assert cut.state.updates == stop
    loaded = cr.Trainer.load(tmp_path)
    assert loaded.optimizer.steps == cut.optimizer.steps < stop
    for t in (cut, loaded):
        resumed = t.resume(pixels(ROWS), progress=False)
        assert same(t.model, whole.model)
        assert same(t.averaged_model, whole.averaged_model)
        assert without_time(resumed.epochs) == without_time(history.epochs)


@pytest.mark.usefixtures("single_steps")
def test_a_new_run_forgets_what_was_added_up(make: Make) -> None:
    made = make(optimizer=optim.SGD(lr=0.05)), make(optimizer=optim.SGD(lr=0.05))
    options: Any = {"epochs": 1, "progress": False, **SMALL}
    made[0].fit(pixels(ROWS), callbacks=StopAtStep(3), **options)
    assert made[0].optimizer.steps == 0
    for t, seed in zip(made, (0, 0)):
        t.state.epoch = seed  # the order of the rows depends on the epoch
        t.state.step = 0
        t.fit(pixels(ROWS), **options)
    assert same(made[0].model, made[1].model)


def test_draws_differ_within_an_update(make: Make) -> None:
    """Each batch has dropout of its own."""
    data = cr.data.Dataset(np.ones((8, 6), np.float32), np.zeros(8, np.int32))
    trainer = make(dropout=0.5)
    trainer.fit(data, epochs=2, progress=False, **SMALL)
    assert len(set(trainer.history.steps["loss"].tolist())) == 8


@pytest.mark.parametrize("count", [0, -1, 2.5, "two", None])
def test_what_is_refused(make: Make, count: Any) -> None:
    with raising(errors.ArgumentError, "accumulate_grad_batches", fix=False):
        make().fit(pixels(ROWS), epochs=1, accumulate_grad_batches=count)


class Twice(nn.Module):
    def __init__(self) -> None:
        self.inner = small_network()

    def forward(self, x: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
        z = self.inner(x)
        return z, z * 2


def test_losses_that_weigh_a_batch_differently(make: Make) -> None:
    """Of several means over rows the sum is right; of others it is refused."""
    data = pixels(ROWS)
    both = cr.data.Dataset(data.x, (data.y, data.y))
    plain = nn.CrossEntropyLoss()

    def trainer(second: nn.Loss) -> cr.Trainer:
        sgd = optim.SGD(lr=0.05)
        return make(model=Twice(), loss=(plain, second), optimizer=sgd)

    made = trainer(plain), trainer(plain)
    for t, options in zip(made, (SMALL, LARGE)):
        t.fit(both, epochs=2, progress=False, **options)
    close(*made)
    for other in (
        nn.CrossEntropyLoss(ignore_index=2),
        nn.CrossEntropyLoss(weight=[1, 2, 3]),
    ):
        with raising(errors.ArgumentError, "differently", "loss[1]"):
            trainer(other).fit(both, epochs=1, progress=False, **SMALL)


def test_a_stream_shorter_than_an_update(make: Make) -> None:
    """Epochs without an update are refused, as those of data in memory are."""
    trainer = make(optimizer=optim.SGD(lr=0.1))
    options: dict[str, Any] = {
        "epochs": 2,
        "drop_last": True,
        "progress": False,
        **SMALL,
    }
    with raising(errors.ArgumentError, "ended too early", "8 rows", "7 rows"):
        trainer.fit(stream_of(pixels(7)), **options)
    assert not trainer.optimizer.steps
    trainer.fit(stream_of(pixels(7)), **options | {"drop_last": False})
    assert trainer.optimizer.steps == 2
