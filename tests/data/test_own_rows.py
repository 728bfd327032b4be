"""Reading of some samples alone, as each of several processes does."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from itertools import chain, count
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.data.checksums import digest, digests
from chainrule.errors import DataError
from chainrule.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    default_collate,
    get_worker_info,
)

ROWS, BLOCK = 23, 8
RNG = np.random.default_rng(0)
OURS = cr.Generator(1)


class Samples(Dataset[Any]):
    """Samples that note which of them were read."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, index: Any) -> Any:
        self.read.append(int(index))
        return np.array([index, -index], np.float32), int(index)


class Counting(Sampler[int]):
    """An order of one's own, which another pass changes."""

    def __init__(self) -> None:
        self.passes, self.rng = 0, np.random.default_rng(5)

    def __iter__(self) -> Any:
        self.passes += 1
        return iter(np.roll(self.rng.permutation(ROWS), self.passes).tolist())


def every_third(number: int, count: int) -> np.ndarray:
    return np.arange(number % 2, count, 3)


def order_of(stream: cr.data.Stream) -> list[int]:
    stream.start_epoch(5, 1)
    return [int(i) for x, __ in stream.blocks(ROWS) for i in x[:, 0]]


MAKERS: dict[str, Callable[[Samples], Any]] = {
    "sequence": lambda s: cr.data.Stream(s),
    "loader": lambda s: DataLoader(s, batch_size=5, shuffle=True).to_data(),
    "last left out": lambda s: DataLoader(s, 5, drop_last=True).to_data(),
    "generator": lambda s: DataLoader(
        s, batch_size=3, shuffle=True, generator=cr.Generator(3)
    ).to_data(),
    "batches": lambda s: DataLoader(
        s, batch_sampler=BatchSampler(RandomSampler(s), 4, drop_last=False)
    ).to_data(),
    "order of one's own": lambda s: DataLoader(s, 4, sampler=Counting()).to_data(),
    "data set": lambda s: s.to_data(),
    "single": lambda s: DataLoader(s, batch_size=None, shuffle=True).to_data(),
}


def test_pytorch_that_draws_is_seen_and_pytorch_that_is_loaded_is_not() -> None:
    torch = pytest.importorskip("torch", reason="needs torch: pip install it")

    class Drawing(Samples):
        def __getitem__(self, index: int) -> Any:
            torch.rand(1)
            return super().__getitem__(index)

    assert MAKERS["sequence"](Samples()).reads_alone()
    drawing = MAKERS["sequence"](Drawing())
    assert drawing.row.shape == (2,)
    before = torch.get_rng_state()
    assert not drawing.reads_alone()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("number", [0, 2])
@pytest.mark.parametrize("kind", MAKERS)
def test_those_that_are_wanted(kind: str, number: int) -> None:
    """They are those of the whole pass, and no other is read."""
    samples = Samples()
    stream = MAKERS[kind](samples)
    assert stream.row.shape == (2,)  # which is read once, in any order
    assert stream.reads_alone()
    other = MAKERS[kind](Samples())
    assert other.row.shape == (2,)
    whole = order_of(other)
    samples.read.clear()
    stream.start_epoch(5, 1)
    found: list[int] = []
    wanted: list[int] = []
    for i, ((x, y), numbers, where, sums) in enumerate(
        stream.own_rows(BLOCK, number, every_third), number
    ):
        block = whole[i * BLOCK : (i + 1) * BLOCK]
        assert list(map(int, numbers)) == block
        assert where.tolist() == every_third(i, len(block)).tolist()
        rows = np.array(block, np.float32)
        both = np.stack([rows, 0 - rows], 1), np.array(block).astype(y.dtype)
        assert sums.tolist() == digests(both, np.arange(len(block)))[where].tolist()
        found += y.tolist()
        wanted += [block[j] for j in where]
        assert x[:, 0].tolist() == y.tolist()
    assert found == wanted
    assert samples.read == wanted


def test_checksums_do_not_depend_on_the_order_of_names() -> None:
    a, b = np.arange(3.0), np.arange(4.0, 7.0)
    assert digest(({"a": a, "b": b}, a)) == digest(({"b": b, "a": a}, a))
    assert digest(({"a": a, "b": b}, a)) != digest(({"a": b, "b": a}, a))


@pytest.mark.parametrize("shape", [(), (3,), (2, 5)])
@pytest.mark.parametrize("dtype", ["f4", "f8", "u1", "?", "i8"])
def test_checksums_add_up(shape: tuple[int, ...], dtype: str) -> None:
    """Of parts in any order; another place or value makes another sum."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (300, *shape)).astype(dtype)
    y = rng.normal(size=300)
    order = rng.permutation(300)
    parts = [digests((x[p], y[p]), p) for p in np.array_split(order, 4)]
    assert sum(int(p.sum(dtype=np.uint64)) for p in parts) % 2**64 == digest((x, y))
    swapped = np.array([1, 0, *range(2, 300)])
    assert digest((x[swapped], y[swapped])) != digest((x, y))
    assert digest((x, np.nextafter(y, 1))) != digest((x, y))


DRAWS: dict[str, Callable[[], Any]] = {
    "random": random.random,
    "numpy": lambda: np.random.rand(),  # noqa: NPY002
    "numpy's generator": RNG.random,
    "ours": lambda: cr.rand(()),
    "our generator": lambda: cr.rand((), generator=OURS),
    "the system": random.SystemRandom().random,
    "without a seed": np.random.default_rng,
}


class Drawn(Samples):
    """Samples that draw, from one on."""

    def __init__(self, draw: Callable[[], Any], first: int) -> None:
        super().__init__()
        self.draw, self.first = draw, first

    def __getitem__(self, index: Any) -> Any:
        if index >= self.first:
            self.draw()
        return super().__getitem__(index)


@pytest.mark.parametrize("kind", DRAWS)
@pytest.mark.parametrize("loaded", [False, True])
def test_samples_that_draw(kind: str, loaded: bool) -> None:
    """All are read; and where only later ones draw, that is said."""

    def stream(first: int) -> Any:
        samples = Drawn(DRAWS[kind], first)
        return DataLoader(samples, 4).to_data() if loaded else cr.data.Stream(samples)

    early = stream(0)
    assert early.row.shape == (2,)  # which draws, in one process too
    states = random.getstate(), RNG.bit_generator.state, OURS.state()
    assert not early.reads_alone()
    now = random.getstate(), RNG.bit_generator.state, OURS.state()
    assert repr(now) == repr(states)
    late = stream(10)
    assert late.reads_alone()
    with pytest.raises(DataError, match="draw random numbers"):
        list(late.own_rows(BLOCK, 0, every_third))


class Nested(Samples):
    """Samples of several inputs, of other shapes, and several targets."""

    def __getitem__(self, index: Any) -> Any:
        x = np.full(3, index, np.float32), np.full((2, 2), -index, np.float32)
        return x, {"b": index, "a": float(index)}


@pytest.mark.parametrize("size", [4, None])
def test_nested_samples(size: int | None) -> None:
    stream: Any = DataLoader(Nested(), size, shuffle=True).to_data()
    assert stream.reads_alone()
    for ((x0, x1), y), numbers, where, __ in stream.own_rows(BLOCK, 0, every_third):
        rows = [numbers[i] for i in where]
        assert x0[:, 0].tolist() == rows
        assert x1[:, 1, 1].tolist() == [-i for i in rows]
        assert y["a"].tolist() == y["b"].tolist() == rows


class Changing(Samples):
    """Samples that depend on what nobody can put back."""

    def __init__(self, change: Callable[[], Any]) -> None:
        super().__init__()
        self.change = change

    def __getitem__(self, index: Any) -> Any:
        return np.array([self.change()]), int(index)


@pytest.mark.parametrize(
    "change",
    [
        count().__next__,
        lambda: int.from_bytes(os.urandom(4), "little"),
        lambda: random.Random().random(),
        time.perf_counter,
    ],
)
@pytest.mark.parametrize("loaded", [False, True])
def test_samples_that_change(change: Callable[[], Any], loaded: bool) -> None:
    """By a counter, entropy or a clock: all processes read all of them."""
    samples = Changing(change)
    stream: Any = (DataLoader(samples, 4) if loaded else samples).to_data()
    assert not stream.reads_alone()


class ByIndices(Samples):
    """Samples that a data set gives together."""

    def __init__(self, left_out: int) -> None:
        super().__init__()
        self.left_out = left_out

    def __getitems__(self, indices: list[int]) -> Any:
        return [self[i] for i in indices if i != self.left_out]


def test_samples_that_are_missing() -> None:
    stream: Any = DataLoader(ByIndices(9), 4).to_data()
    with pytest.raises(DataError, match="another number of samples") as caught:
        list(stream.own_rows(BLOCK, 0, every_third))
    assert "at sample 9" in str(caught.value)
    assert len(list(DataLoader(ByIndices(-1), 4).to_data().blocks(BLOCK))) == 3


class Failing(Samples):
    """Samples of which one fails."""

    def __init__(self, error: type[Exception]) -> None:
        super().__init__()
        self.error = error

    def __getitem__(self, index: Any) -> Any:
        if index == 15:
            raise self.error("no such file")
        return super().__getitem__(index)


@pytest.mark.parametrize("error", [OSError, DataError, StopIteration])
@pytest.mark.parametrize("loaded", [False, True])
def test_samples_that_fail(error: type[Exception], loaded: bool) -> None:
    """The number of the first sample of the request, in the pass, and no silence."""
    samples = Failing(error)
    loader = DataLoader(samples, batch_size=None)
    stream: Any = loader.to_data() if loaded else cr.data.Stream(samples)
    for read in (
        lambda: list(stream.own_rows(BLOCK, 0, every_third)),
        lambda: list(stream.blocks(BLOCK)),
    ):
        with pytest.raises(DataError) as caught:
            read()
        assert "sample 15" in str(caught.value).lower()
        assert "StopIteration" in str(caught.value) or error is not StopIteration


def test_a_pass_that_has_become_shorter() -> None:
    stream: Any = cr.data.Stream(Samples())
    assert stream.reads_alone()
    with pytest.raises(DataError, match="fewer samples than before"):
        list(stream.own_rows(BLOCK, 4, every_third))


def test_a_loader_whose_passes_are_its_own() -> None:
    class Backwards(DataLoader):
        def __iter__(self) -> Any:
            return iter([*super().__iter__()][::-1])

    stream: Any = Backwards(Samples(), 4).to_data()
    assert not stream.reads_alone()
    assert order_of(stream)[:4] == [20, 21, 22, 16]


def test_what_a_pass_draws_from_is_not_kept() -> None:
    """A generator that only the pass has cannot be restored in another run."""
    stream: Any = DataLoader(Samples(), 4, shuffle=True).to_data()
    stream.start_epoch(0, 0)
    blocks = stream.blocks(4)
    next(blocks)
    assert stream.draws() == {}
    blocks.close()


class Epochs(Samples):
    """Samples that depend on the epoch."""

    epoch = -1

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __getitem__(self, index: Any) -> Any:
        return np.array([index, self.epoch], np.float32), int(index)


@pytest.mark.parametrize("workers", [0, 1])
def test_data_sets_and_samplers_are_told_the_epoch(workers: int) -> None:
    class Turned(Sampler[int]):
        def set_epoch(self, epoch: int) -> None:
            self.epoch = epoch

        def __iter__(self) -> Any:
            return iter(np.roll(range(ROWS), self.epoch).tolist())

    options: dict[str, Any] = {"num_workers": workers}
    if workers:
        options |= {"multiprocessing_context": "fork", "persistent_workers": True}
    sampler = Turned()
    stream: Any = DataLoader(Epochs(), 4, sampler=sampler, **options).to_data()
    for epoch in (1, 2):
        stream.start_epoch(0, epoch)
        [(x, __)] = stream.blocks(ROWS)
        assert x[:, 0].tolist() == np.roll(range(ROWS), epoch).tolist()
        assert set(x[:, 1]) == {epoch}
    plain: Any = Epochs().to_data()
    plain.start_epoch(0, 3)
    [(x, __)] = plain.blocks(ROWS)
    assert set(x[:, 1]) == {3}


class InWorkers(Samples):
    """Samples that a loader's processes alone can read."""

    def __getitem__(self, index: Any) -> Any:
        assert get_worker_info() is not None
        return super().__getitem__(index)


@pytest.mark.parametrize("persistent", [False, True])
def test_a_loaders_processes_read(persistent: bool) -> None:
    """The trial is theirs too, and the order is that of one process."""

    def made() -> Any:
        return DataLoader(
            InWorkers(),
            4,
            shuffle=True,
            num_workers=2,
            multiprocessing_context="fork",
            persistent_workers=persistent,
            generator=cr.Generator(3),
        ).to_data()

    alone, whole = made(), made()
    assert alone.reads_alone()
    assert whole.row.shape == (2,)
    order = [int(i) for x, __ in whole.blocks(ROWS) for i in x[:, 0]]
    found = [n for __, n, *__ in alone.own_rows(BLOCK, 0, every_third)]
    assert [*chain(*found)] == order


class Passing(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter([(np.zeros(2), 0)] * 4)


@pytest.mark.parametrize(
    "make",
    [
        lambda: DataLoader(Passing(), 2).to_data(),
        lambda: DataLoader(Samples(), 2, collate_fn=lambda b: default_collate(b)),
        lambda: cr.data.Stream(lambda: iter([(np.zeros(2), 0)] * 4)),
        lambda: cr.data.Stream([(np.zeros((3, 2)), np.zeros(3))], batched=True),
    ],
)
def test_what_is_read_by_all(make: Callable[[], Any]) -> None:
    """Samples without numbers, batches, and what mixes the samples of a batch."""
    made = make()
    stream: Any = made.to_data() if isinstance(made, DataLoader) else made
    assert not stream.reads_alone()
