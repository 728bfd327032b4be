"""Streams: trained on as from memory, in two blocks of memory, resumed exactly."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn, optim, random
from chainrule.data import adapter
from chainrule.graph.primitive import REFERENCES
from chainrule.primitives.random import random_bits, seed_key
from chainrule.random.generator import StepStream
from chainrule.training import Callback, data_adapter
from chainrule.utils import data as loading

from .conftest import Make, StopAt, pixels, raising, same, small_network, without_time

Rows = Iterator[tuple[Any, Any]]


def stream_of(data: cr.data.Dataset, **options: Any) -> cr.data.Stream:
    """The rows of a data set one by one."""

    def make() -> Rows:
        return zip(data.x.stored, data.y)

    options.setdefault("scale", data.x.scale)
    return cr.data.Stream(make, classes=data.classes, **options)


@pytest.fixture
def blocks_of_sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 16 rows of ``pixels`` (6 bytes and a label of 4) in batches of 8."""
    monkeypatch.setattr(data_adapter, "BLOCK_BYTES", 16 * 10 + 9)


def fitted(make: Make, data: Any, **options: Any) -> cr.Trainer:
    options = {"epochs": 3, "batch_size": 8, "progress": False, **options}
    trainer = make(optimizer=optim.Adam(lr=0.01), dropout=0.3)
    trainer.fit(data, **options)
    return trainer


def test_one_block_is_a_data_set(make: Make, engine: str) -> None:
    data = pixels(51)
    made = []
    for source in (data, stream_of(data)):
        trainer = make(engine=engine, optimizer=optim.Adam(lr=0.01), dropout=0.3)
        trainer.fit(source, epochs=2, batch_size=8, validation=source, progress=False)
        made.append(trainer)
    assert same(made[0].model, made[1].model)
    assert without_time(made[0].history.epochs) == without_time(made[1].history.epochs)
    assert made[0].evaluate(data) == made[1].evaluate(stream_of(data))


@pytest.mark.usefixtures("blocks_of_sixteen")
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("rows", [48, 51])
def test_blocks_by_hand(make: Make, rows: int, drop_last: bool) -> None:
    """Each block is shuffled by a stream of its own, the last one may be short."""
    data = pixels(rows)
    trainer = fitted(make, stream_of(data), drop_last=drop_last)
    plain = small_network(dropout=0.3)
    adam = optim.Adam(plain.parameters(), lr=0.01)
    key = cr.tensor(np.asarray(seed_key(0)))
    losses: list[float] = []
    for epoch in range(3):
        for block in range(-(-rows // 16)):
            n = min(16, rows - 16 * block)
            order = random.permutation(n, 0, epoch)
            if block:
                bits = REFERENCES[random_bits](
                    seed_key(0),
                    np.uint32(epoch),
                    shape=(n,),
                    stream=f"shuffle#{block}",
                )
                order = np.argsort(bits, kind="stable")
            assert sorted(order) == list(range(n))
            for start in range(0, n, 8):
                index = 16 * block + order[start : start + 8]
                if drop_last and len(index) < 8:
                    continue
                number = cr.tensor(np.uint32(len(losses)))
                with random.stream(StepStream(key, number)):
                    x, y = cr.tensor(data.x[index]), cr.tensor(data.y[index])
                    loss = nn.CrossEntropyLoss()(plain(x), y)
                adam.zero_grad()
                loss.backward()
                adam.step()
                losses.append(loss.item())
    got = trainer.history.steps["loss"]
    np.testing.assert_allclose(got, losses, rtol=2e-5)
    plan = trainer.plan
    assert plan is not None
    assert (plan.rows, plan.block, plan.steps_per_epoch) == (rows, 16, len(got) // 3)


@pytest.mark.one_in(2)
@pytest.mark.usefixtures("blocks_of_sixteen", "single_steps")
@pytest.mark.parametrize(
    ("rows", "at"), [(48, 1), (48, 2), (48, 6), (51, 3), (51, 7), (51, 9), (51, 21)]
)
def test_resumed_anywhere(make: Make, tmp_path: Path, at: int, rows: int) -> None:
    """Blocks end after steps 2, 4, 6; an epoch has 6 or 7 of them."""
    data = pixels(rows)
    whole = fitted(make, stream_of(data), validation=data)
    options = {"validation": data, "checkpoint": tmp_path}
    fitted(make, stream_of(data), callbacks=[StopAt(at)], **options)
    loaded = cr.Trainer.load(tmp_path)
    assert loaded.optimizer.steps == min(at, whole.optimizer.steps)
    loaded.resume(stream_of(data), progress=False, **options)
    assert loaded.finished
    assert same(loaded.model, whole.model)
    assert without_time(loaded.history.epochs) == without_time(whole.history.epochs)
    assert (
        loaded.history.steps["loss"].tobytes() == whole.history.steps["loss"].tobytes()
    )


def test_the_size_of_blocks_is_part_of_a_run(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pixels(48)
    monkeypatch.setattr(data_adapter, "BLOCK_BYTES", 165)
    whole = fitted(make, stream_of(data))
    monkeypatch.setattr("chainrule.training.loop.CHUNK", 0.0)
    fitted(make, stream_of(data), callbacks=[StopAt(3)], checkpoint=tmp_path)
    monkeypatch.setattr(data_adapter, "BLOCK_BYTES", 1 << 20)
    loaded = cr.Trainer.load(tmp_path)
    loaded.resume(stream_of(data), progress=False)
    assert same(loaded.model, whole.model)


@pytest.mark.parametrize(
    ("columns", "batch_size", "rows"),
    [(4, 100, 16_300), (1 << 20, 3, 6), (4, 20_000, 20_000)],
)
def test_how_long_blocks_are(columns: int, batch_size: int, rows: int) -> None:
    """A slow source does not keep the first step waiting for 32 MB."""
    row = np.zeros(columns, np.float32)
    stream = cr.data.Stream(lambda: iter([(row, 0)]))
    adapter = data_adapter.adapter_of(stream, batch_size, seed=0)
    assert adapter.block_rows == rows
    assert adapter.step.kinds.types["x"].shape == (rows, columns)


class Counted:
    """A source that knows how many of its rows are alive."""

    def __init__(self, rows: int) -> None:
        self.rows, self.alive, self.most = rows, 0, 0
        self.lock = threading.Lock()

    def _gone(self) -> None:
        with self.lock:
            self.alive -= 1

    def __call__(self) -> Rows:
        rng = np.random.default_rng(0)
        for _ in range(self.rows):
            x = rng.normal(size=250).astype(np.float32)
            weakref.finalize(x, self._gone)
            with self.lock:
                self.alive += 1
                self.most = max(self.most, self.alive)
            yield x, np.float32(0)
            del x


def test_only_two_blocks_are_in_memory(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """9,000 rows of 1 kB go by; no more than the blocks at work are held."""
    import tracemalloc

    monkeypatch.setattr(data_adapter, "BLOCK_BYTES", 1000 * 1004)
    source = Counted(9_000)
    cr.manual_seed(0)
    trainer = make(
        model=nn.Sequential(nn.Linear(250, 1), nn.Flatten(0)),
        loss=nn.MSELoss(),
        optimizer=optim.SGD(lr=1e-4),
    )
    stream = cr.data.Stream(source)
    few = cr.data.Stream(Counted(2_000))  # as many as a block and one that follows it
    trainer.fit(few, epochs=1, batch_size=500, progress=False)
    gc.collect()
    tracemalloc.start()
    trainer.fit(stream, epochs=1, batch_size=500, validation=stream, progress=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(trainer.history) == 4 + 18
    assert source.most <= 2100, "rows that were alive at once"
    assert peak < 6e6, "of 9 MB"


def test_a_run_that_stops_ends_the_thread(make: Make) -> None:
    before = threading.active_count()
    stream = stream_of(pixels(200))

    class Stop(Callback):
        def on_chunk(self, trainer: cr.Trainer) -> None:
            trainer.stop()

    trainer = make(optimizer=optim.SGD(lr=0.1))
    trainer.fit(stream, epochs=1, batch_size=4, callbacks=[Stop()], progress=False)
    assert threading.active_count() == before


@pytest.mark.usefixtures("blocks_of_sixteen")
def test_lengths_may_vary(make: Make) -> None:
    lengths = iter([20, 20, 33, 9])  # the first one is a look at the types

    def source() -> Rows:
        data = pixels(next(lengths))
        return zip(data.x.stored, data.y)

    trainer = make(optimizer=optim.SGD(lr=0.1))
    stream = cr.data.Stream(source, scale=1 / 255)
    trainer.fit(stream, epochs=3, batch_size=8, progress=False)
    assert len(trainer.history) == 3 + 5 + 2


@pytest.mark.usefixtures("blocks_of_sixteen", "long_chunks")
def test_a_loss_that_is_not_finite_in_a_later_block(make: Make, engine: str) -> None:
    data = pixels(60)
    x = data.x[...]
    x[45] = 1e25
    bad = cr.data.Dataset(x, data.y)

    def loss(scores: cr.Tensor, labels: cr.Tensor) -> cr.Tensor:
        return (scores * scores).mean() * 1e-12

    trainer = make(engine=engine, loss=loss, optimizer=optim.SGD(lr=1e-30))
    with pytest.raises(errors.NonFiniteError) as error:
        trainer.fit(stream_of(bad), epochs=1, batch_size=4, progress=False)
    step = trainer.step
    assert f"at step {step + 1} (epoch 1)" in str(error.value)
    assert 9 <= step <= 11, "row 45 is in one of the batches on rows 36 to 47"
    assert all(np.isfinite(w).all() for w in trainer.model.state_dict().values())


# -- what cannot be ------------------------------------------------------------------


def refused(call: Callable[[], Any], kind: type[Exception], *parts: str) -> None:
    with raising(kind, *parts):
        call()


def test_a_schedule_that_needs_the_length(make: Make) -> None:
    data = pixels(48)
    trainer = make()  # OneCycleLR
    refused(
        lambda: trainer.fit(stream_of(data), epochs=1, batch_size=8),
        errors.ArgumentError,
        "How long a stream is shows at its end, and OneCycleLR needs it",
        "total_steps",
    )
    assert trainer.plan is None
    assert same(trainer.model, small_network())
    counted = make(optimizer=optim.SGD(lr=optim.StepLR(0.1, step_size=1)))
    refused(
        lambda: counted.fit(stream_of(data), epochs=1, batch_size=8),
        errors.ArgumentError,
        "StepLR needs it",
        "steps_per_epoch",
    )
    known = make(optimizer=optim.SGD(lr=optim.OneCycleLR(0.1, total_steps=12)))
    known.fit(stream_of(data), epochs=2, batch_size=8, progress=False)
    assert len(known.history) == 12


def test_batches_that_a_stream_has_not(make: Make) -> None:
    stream = stream_of(pixels(5))
    trainer = make(optimizer=optim.SGD(lr=0.1))
    refused(
        lambda: trainer.fit(stream, epochs=1, batch_size=None),
        errors.ArgumentError,
        "batch_size=None",
    )
    refused(
        lambda: trainer.fit(stream, epochs=1, batch_size=8, progress=False),
        errors.ArgumentError,
        "ended too early",
        "5 rows",
        "at least a batch of 8",
    )
    assert same(trainer.model, small_network())


def test_targets_are_looked_at_block_by_block(make: Make) -> None:
    data = pixels(50)
    y = data.y.copy()
    y[44] = 7
    wrong = cr.data.Dataset(data.x, y)
    trainer = make(optimizer=optim.SGD(lr=0.1))
    for call in (
        lambda: trainer.fit(stream_of(wrong), epochs=1, progress=False),
        lambda: trainer.evaluate(stream_of(wrong)),
    ):
        refused(call, errors.ArgumentError, "outside the classes", "7")


def test_resume_on_another_kind_of_data(make: Make) -> None:
    data = pixels(48)
    trainer = fitted(make, stream_of(data))
    refused(lambda: trainer.resume(data), errors.ArgumentError, "a stream", "data set")
    other = stream_of(data, scale=0.5)
    refused(lambda: trainer.resume(other), errors.ArgumentError, "CRC-32")
    memory = fitted(make, data)
    refused(
        lambda: memory.resume(stream_of(data)),
        errors.ArgumentError,
        "expected: a data set",
    )


def test_a_shorter_stream_than_the_run_has_seen(make: Make) -> None:
    data = pixels(48)
    trainer = make(optimizer=optim.SGD(lr=0.1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chainrule.training.loop.CHUNK", 0.0)
        patch.setattr(data_adapter, "BLOCK_BYTES", 165)
        stop = [StopAt(5)]
        trainer.fit(
            stream_of(data), epochs=1, batch_size=8, callbacks=stop, progress=False
        )
    short = stream_of(data.take(10))
    refused(
        lambda: trainer.resume(short, progress=False),
        errors.ArgumentError,
        "ended too early",
        "10 rows",
    )


# -- the other uses of a stream -------------------------------------------------------


def test_row_numbers_beyond_those_of_float32() -> None:
    x = np.array([[2**24 + 1], [3]])
    for data in (cr.data.Column(x), cr.data.Stream(lambda: zip(x, [0, 1]))):
        (made, _), *rest = adapter.batches(data, 10, {"x": cr.int32})
        assert made["x"].tolist() == x.tolist()
        assert made["x"].dtype == np.int32
        assert not rest


def test_predict_and_evaluate(make: Make, engine: str) -> None:
    data = pixels(50)
    trainer = make(engine=engine)
    made = trainer.predict(stream_of(data), batch_size=16)
    assert made.tobytes() == trainer.predict(data, batch_size=16).tobytes()
    assert trainer.evaluate(stream_of(data), 16) == trainer.evaluate(data, 16)


class Numbered(loading.Dataset[Any]):
    """Rows that are their number."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, i: Any) -> tuple[np.ndarray, np.ndarray]:
        return np.full(1, i, np.float32), np.full(1, i, np.float32)


class StopWithin(Callback):
    def on_chunk(self, trainer: cr.Trainer) -> None:
        if trainer.state.updates == 14:
            trainer.stop()


@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize("sampler", [None, loading.SubsetRandomSampler(range(10))])
def test_a_shuffled_loader_goes_on_with_the_rows_that_are_left(sampler: Any) -> None:
    options: Any = {"sampler": sampler} if sampler else {"shuffle": True}
    orders: list[np.ndarray] = []
    for cut in (False, True):
        loader = loading.DataLoader(Numbered(), batch_size=1, **options)
        trainer = cr.Trainer(
            nn.Linear(1, 1),
            loss=lambda output, target: (target + 0 * output).mean(),
            optimizer=optim.SGD(lr=1e-9),
            metrics=(),
            engine="numpy",
        )
        stops = [StopWithin()] if cut else []
        trainer.fit(loader, epochs=3, callbacks=stops, progress=False)
        if cut:
            assert (trainer.epoch, trainer.step) == (1, 4)
            trainer.resume(loader, progress=False)
        orders.append(trainer.history.steps["loss"].reshape(3, 10))
    np.testing.assert_array_equal(*orders)
    assert (np.sort(orders[1]) == np.arange(10)).all(), "each row once an epoch"
    assert (orders[1][0] != orders[1][1]).any()
