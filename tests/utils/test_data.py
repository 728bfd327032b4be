"""Data sets, samplers and loaders as in PyTorch."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError, ChainruleError, DataError
from chainrule.utils import data
from chainrule.utils.data import DataLoader


class Squares(data.Dataset[tuple[int, float]]):
    """Pairs of numbers; what goes wrong is asked for."""

    def __init__(self, count: int = 7, wrong: str = "") -> None:
        self.count, self.wrong = count, wrong

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> tuple[int, float]:
        if self.wrong == "error" and i == 4:
            raise KeyError("no such picture")
        if self.wrong == "exit" and i == 4:
            os._exit(3)
        if self.wrong == "slow" and i == 4:
            time.sleep(30)
        return i, float(i * i)


class Counting(data.IterableDataset[int]):
    """0 … n − 1, divided among the processes of a loader."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        info = data.get_worker_info()
        first, step = (info.id, info.num_workers) if info else (0, 1)
        return iter(range(first, self.count, step))


def lists(loader: Any) -> list[Any]:
    def plain(item: Any) -> Any:
        if isinstance(item, cr.Tensor):
            return item.tolist()
        if isinstance(item, tuple | list):
            return [plain(part) for part in item]
        return item

    return [plain(batch) for batch in loader]


# -- data sets -------------------------------------------------------------------------


def test_data_sets_are_joined_cut_and_split() -> None:
    both = Squares(3) + Squares(2)
    assert isinstance(both, data.ConcatDataset)
    assert [both[i][0] for i in range(5)] == [0, 1, 2, 0, 1]
    assert both[-1] == (1, 1.0)
    with pytest.raises(IndexError):
        both[5]
    part = data.Subset(both, [4, 0])
    assert [part[0][0], part[1][0], len(part)] == [1, 0, 2]
    side = data.StackDataset(x=Squares(3), y=range(3))
    assert side[2] == {"x": (2, 4.0), "y": 2}
    assert data.StackDataset(range(2), range(2))[1] == (1, 1)
    chained = Counting(2) + Counting(3)
    assert list(chained) == [0, 1, 0, 1, 2]
    assert len(chained) == 5
    rows = data.TensorDataset(cr.arange(4), cr.arange(8).reshape(4, 2))
    assert [t.tolist() for t in rows[1]] == [1, [2, 3]]
    assert len(rows) == 4

    def split(seed: int) -> list[list[int]]:
        g = cr.Generator().manual_seed(seed)
        return [
            list(map(part.__getitem__, range(len(part))))
            for part in data.random_split(range(11), [0.5, 0.3, 0.2], generator=g)
        ]

    parts = split(0)
    assert [len(p) for p in parts] == [6, 3, 2]
    assert sorted(itertools.chain(*parts)) == list(range(11))
    assert split(0) == parts != split(1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: data.TensorDataset(), "takes tensors"),
        (lambda: data.TensorDataset(np.ones(2)), r"cr\.tensor\(array\)"),
        (lambda: data.TensorDataset(cr.ones(2), cr.ones(3)), "as many rows"),
        (lambda: data.TensorDataset(cr.tensor(1.0)), "as many rows"),
        (lambda: data.StackDataset(range(2), range(3)), "one length"),
        (lambda: data.ConcatDataset([]), "one at least"),
        (lambda: data.ConcatDataset([Counting(2)]), "ChainDataset"),
        (lambda: data.random_split(range(4), [2, 3]), "with the sum 4"),
        (lambda: data.random_split(range(4), [-1, 5]), "with the sum 4"),
        (lambda: data.Dataset()[0], "__getitem__"),
        (lambda: iter(data.IterableDataset()), "__iter__"),
        (lambda: iter(data.Sampler()), "__iter__"),
        (lambda: DataLoader(range(4), 0), "batch_size"),
        (lambda: DataLoader(range(4), num_workers=-1), "num_workers"),
        (lambda: DataLoader(range(4), shuffle=True, sampler=[0]), "shuffle has no"),
        (lambda: DataLoader(range(4), 2, batch_sampler=[[0]]), "batch_sampler has no"),
        (lambda: DataLoader(Counting(4), shuffle=True), "an IterableDataset"),
        (lambda: DataLoader(range(4), None, drop_last=True), "batch_size=None"),
    ],
)
def test_what_cannot_be_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        make()


# -- samplers --------------------------------------------------------------------------


def test_samplers_draw_what_they_say() -> None:
    cr.manual_seed(0)
    order = list(data.RandomSampler(range(20)))
    assert sorted(order) == list(range(20)) != order
    assert len(list(data.RandomSampler(range(4), num_samples=10))) == 10
    twice = list(data.RandomSampler(range(3), replacement=True, num_samples=50))
    assert set(twice) == {0, 1, 2}
    assert sorted(data.SubsetRandomSampler([5, 7, 9])) == [5, 7, 9]
    weighted = list(data.WeightedRandomSampler([0.0, 1.0, 3.0], 400))
    assert 0 not in weighted
    assert 0.6 < weighted.count(2) / 400 < 0.9
    once = data.WeightedRandomSampler([1.0, 1.0, 0.0], 2, replacement=False)
    assert sorted(once) == [0, 1]
    batches = data.BatchSampler(range(5), 2, drop_last=True)
    assert (list(batches), len(batches)) == ([[0, 1], [2, 3]], 2)


# -- loaders ---------------------------------------------------------------------------


def test_batches_have_pytorchs_forms() -> None:
    loader = DataLoader(Squares(5), batch_size=2)
    assert lists(loader) == [
        [[0, 1], [0.0, 1.0]],
        [[2, 3], [4.0, 9.0]],
        [[4], [16.0]],
    ]
    assert len(loader) == 3
    first = next(iter(loader))
    assert [t.dtype for t in first] == [cr.int64, cr.float64]
    assert len(lists(DataLoader(Squares(5), 2, drop_last=True))) == 2
    named = [{"x": np.float32([i, i]), "name": str(i)} for i in range(2)]
    (batch,) = DataLoader(named, 2)
    assert batch["x"].dtype is cr.float32
    assert (batch["x"].tolist(), batch["name"]) == ([[0, 0], [1, 1]], ["0", "1"])
    assert lists(DataLoader(Squares(2), None)) == [[0, 0.0], [1, 1.0]]
    assert lists(DataLoader(range(4), sampler=[3, 1])) == [[3], [1]]
    assert lists(DataLoader(range(4), batch_sampler=[[3, 1], [0]])) == [[3, 1], [0]]
    assert lists(DataLoader(range(4), 2, collate_fn=sum)) == [1, 5]
    assert lists(DataLoader(Counting(5), 2)) == [[0, 1], [2, 3], [4]]
    assert len(DataLoader(Counting(5), 2)) == 3


def test_rows_of_tensors_are_batches_as_samples_would_be() -> None:
    x, y = cr.rand(7, 3), cr.arange(7)
    g = [cr.Generator().manual_seed(1) for __ in range(2)]
    fast = DataLoader(data.TensorDataset(x, y), 3, shuffle=True, generator=g[0])
    pairs = [(x[i], y[i]) for i in range(7)]
    slow = DataLoader(pairs, 3, shuffle=True, generator=g[1])
    assert lists(fast) == lists(slow)
    assert lists(fast) != lists(fast)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([cr.ones(2), cr.ones(3)], "pad_sequence"),
        ([(1, 2), (1,)], "as many parts"),
        ([object(), object()], "collate_fn"),
    ],
)
def test_samples_that_make_no_batch_are_refused(samples: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        list(DataLoader(samples, 2))


# -- processes -------------------------------------------------------------------------


@pytest.mark.one_in(2)
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_make_the_same_batches(method: str) -> None:
    options = {"num_workers": 2, "multiprocessing_context": method}
    assert lists(DataLoader(Squares(9), 2, **options)) == lists(
        DataLoader(Squares(9), 2)
    )
    found = lists(DataLoader(Counting(7), 2, persistent_workers=True, **options))
    assert sorted(itertools.chain(*found)) == list(range(7))


def test_processes_stay_and_stop() -> None:
    loader = DataLoader(Squares(8), 1, num_workers=2, persistent_workers=True)
    early = iter(loader)
    assert next(early)[0].tolist() == [0]
    early.close()  # what was made ahead does not come in the next pass
    assert [b[0] for b in lists(loader)] == [[i] for i in range(8)]


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ("error", KeyError, "no such picture"),
        ("exit", DataError, "exit code 3"),
        ("slow", DataError, "takes too long"),
    ],
)
def test_what_goes_wrong_in_a_process_is_told(
    wrong: str, error: Any, words: str
) -> None:
    timeout = 1 if wrong == "slow" else 60
    loader = DataLoader(Squares(8, wrong), 1, num_workers=1, timeout=timeout)
    with pytest.raises(error, match=words):
        list(loader)


def test_a_data_set_that_cannot_be_sent_is_refused() -> None:
    class Local(Squares):
        pass

    loader = DataLoader(Local(), num_workers=1, multiprocessing_context="spawn")
    with pytest.raises(ArgumentError, match="num_workers=0"):
        list(loader)


# -- a Trainer -------------------------------------------------------------------------


def trained(source: Any, **options: Any) -> list[Any]:
    cr.manual_seed(0)
    model = nn.Linear(2, 1)
    trainer = cr.Trainer(model, loss=nn.MSELoss(), optimizer=optim.SGD(lr=0.1), seed=3)
    trainer.fit(source, epochs=3, progress=False, **options)
    return [p.tolist() for p in model.parameters()]


def test_a_trainer_takes_a_loader() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 2)).astype("float32")
    y = (x @ [[1.0], [2.0]]).astype("float32")
    rows = data.TensorDataset(cr.tensor(x), cr.tensor(y))
    plain = trained((x, y), batch_size=8)
    assert trained(DataLoader(rows, batch_size=8, shuffle=True)) == plain
    pairs = [(x[i], y[i]) for i in range(20)]
    loader = DataLoader(pairs, batch_size=8)
    assert trained(loader) == trained(cr.data.Stream(lambda: pairs), batch_size=8)
    with pytest.raises(ArgumentError, match="how large a batch is"):
        trained(loader, batch_size=5)
    with pytest.raises(ChainruleError, match="loader of pairs"):
        trained(DataLoader(x, batch_size=8))
