"""Reading of some samples alone, as each of several processes does."""

from __future__ import annotations

import random
from collections.abc import Callable
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
    default_collate,
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
    "single": lambda s: DataLoader(s, batch_size=None, shuffle=True).to_data(),
}


def test_pytorch_that_draws_is_seen_and_pytorch_that_is_loaded_is_not() -> None:
    torch = pytest.importorskip("torch", reason="needs torch: pip install it")

    class Drawing(Samples):
        def __getitem__(self, index: int) -> Any:
            torch.rand(1)
            return super().__getitem__(index)

    before = torch.get_rng_state()
    assert MAKERS["sequence"](Samples()).reads_alone()
    assert not MAKERS["sequence"](Drawing()).reads_alone()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("number", [0, 2])
@pytest.mark.parametrize("kind", MAKERS)
def test_those_that_are_wanted(kind: str, number: int) -> None:
    """They are those of the whole pass, and no other is read."""
    samples = Samples()
    stream = MAKERS[kind](samples)
    assert stream.row.shape == (2,)  # which is read once, in any order
    before = stream.draws()
    whole = order_of(stream)
    stream.load_draws(before)
    assert stream.reads_alone()
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

    states = random.getstate(), RNG.bit_generator.state, OURS.state()
    assert not stream(0).reads_alone()
    now = random.getstate(), RNG.bit_generator.state, OURS.state()
    assert repr(now) == repr(states)
    late = stream(10)
    assert late.reads_alone()
    with pytest.raises(DataError, match="draw random numbers"):
        list(late.own_rows(BLOCK, 0, every_third))


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
