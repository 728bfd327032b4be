"""Loaders of PyTorch as a Trainer's data: no copy, their order, exact resuming."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import chainrule as cr
from chainrule import nn, optim
from chainrule.data.adapter import as_data
from chainrule.data.loaders import as_pair
from chainrule.errors import ChainruleError, DataError
from tests.data.resuming import BATCH, check_resumed, cut, small_blocks, weights

pytestmark = pytest.mark.parity
__all__ = ["small_blocks"]

ROWS = 43
DRAW = torch.Generator().manual_seed(0)
X, Y = torch.randn(ROWS, 2, generator=DRAW), torch.randn(ROWS, 1, generator=DRAW)
ROWS_OF = TensorDataset(X, Y)


class Noisy(Dataset[Any]):
    """Samples that are changed at random, as augmented images are."""

    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, i: int) -> Any:
        return X[i] + torch.randn(2) / 10, Y[i]


class InTurn(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(zip(X, Y))


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


LOADERS: dict[str, Callable[[], Any]] = {
    "in order": lambda: DataLoader(ROWS_OF, BATCH),
    "shuffled": lambda: DataLoader(ROWS_OF, BATCH, shuffle=True),
    "odd batches": lambda: DataLoader(ROWS_OF, 5, shuffle=True),
    "single samples": lambda: DataLoader(ROWS_OF, None),
    "a generator": lambda: DataLoader(ROWS_OF, BATCH, shuffle=True, generator=seeded()),
    "noise": lambda: DataLoader(Noisy(), BATCH, shuffle=True),
    "in turn": lambda: DataLoader(InTurn(), BATCH),
    "weighted": lambda: DataLoader(
        ROWS_OF,
        BATCH,
        sampler=torch.utils.data.WeightedRandomSampler(
            [*range(1, 44)], ROWS, generator=seeded()
        ),
    ),
}


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("kind", LOADERS)
def test_a_run_goes_on_bit_for_bit(kind: str, tmp_path: Path) -> None:
    def make() -> Any:
        torch.manual_seed(int(np.random.default_rng().integers(1 << 30)))  # no matter
        return as_data(LOADERS[kind]())

    check_resumed(make, tmp_path, (1, 5, 11, 14))


@pytest.mark.slow
@pytest.mark.usefixtures("small_blocks")
def test_processes_of_a_loader(tmp_path: Path) -> None:
    loader = DataLoader(Noisy(), BATCH, shuffle=True, num_workers=2)
    check_resumed(lambda: as_data(loader), tmp_path, (5, 14))


@pytest.mark.usefixtures("small_blocks")
def test_a_sampler_that_draws_from_elsewhere_is_refused(tmp_path: Path) -> None:
    class Odd(torch.utils.data.Sampler[int]):
        def __iter__(self) -> Iterator[int]:
            return iter(np.random.default_rng().permutation(ROWS).tolist())

        def __len__(self) -> int:
            return ROWS

    def make() -> Any:
        return as_data(DataLoader(ROWS_OF, BATCH, sampler=Odd()))

    trained = cut(make, tmp_path, 7, 2)
    before = weights(trained)
    with pytest.raises(DataError, match="does not give the rows"):
        trained.resume(make(), progress=False)
    assert weights(trained) == before


def test_the_loader_shuffles_and_says_the_batch_size() -> None:
    data = TensorDataset(torch.arange(12.0)[:, None], torch.arange(12) % 3)
    loader = DataLoader(data, 6, shuffle=True, generator=seeded())
    stream = as_data(loader)
    passes = [np.concatenate([x for x, __ in stream.blocks(5)]) for __ in range(2)]
    seen = [rows[:, 0].tolist() for rows in passes]
    assert seen[0] != seen[1]
    assert sorted(seen[0]) == sorted(seen[1]) == [*range(12)]
    model = nn.Linear(1, 3)
    trainer = cr.Trainer(
        model, loss=nn.CrossEntropyLoss(), optimizer=optim.SGD(lr=0.01)
    )
    history = trainer.fit(loader, epochs=2, validation=loader, progress=False)
    with pytest.raises(ChainruleError, match="rows of features"):
        trainer.predict(loader)  # in an order that nobody would know
    assert len(history.steps["loss"]) == 4
    assert trainer.plan is not None
    assert trainer.plan.batch_size == 6


def test_the_order_of_pytorch_itself_is_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    for __ in as_data(DataLoader(Noisy(), BATCH, shuffle=True)).blocks(8):
        pass
    assert torch.equal(torch.rand(3), expected)


def test_no_copy_of_a_batch() -> None:
    x = torch.zeros(3, 2)
    a, (b, c) = as_pair([x, [x, {"k": x}]])
    for array in (a, b, c["k"]):
        assert np.shares_memory(array, x.numpy())
    with_grad = torch.zeros(2, requires_grad=True)
    half = as_pair([with_grad, torch.ones(2, dtype=torch.bfloat16)])
    assert half[1].dtype == np.float32


def test_several_inputs() -> None:
    class Pairs(Dataset[Any]):
        def __len__(self) -> int:
            return 8

        def __getitem__(self, i: int) -> Any:
            return {"a": X[i], "b": X[i, :1]}, Y[i]

    class Net(nn.Module):
        def __init__(self) -> None:
            self.fc = nn.Linear(3, 1)

        def forward(self, a: Any, b: Any) -> Any:
            return self.fc(cr.cat([a, b], 1))

    trainer = cr.Trainer(Net(), loss=nn.MSELoss(), optimizer=optim.SGD(lr=0.01))
    trainer.fit(DataLoader(Pairs(), 4), epochs=1, progress=False)
    assert trainer.finished


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (TensorDataset(X), "loader of pairs"),
        (TensorDataset(X, Y, Y), "loader of pairs"),
        ([{"x": X[0], "y": Y[0]}] * 4, r"(?s)loader of pairs.*dict: x, y"),
        ([("text", 1)] * 4, "does not hold real numbers"),
        ([(X[0] * np.nan, Y[0])] * 4, "not a finite number"),
    ],
)
def test_loaders_of_something_else(data: Any, text: str) -> None:
    trainer = cr.Trainer(
        nn.Linear(2, 1), loss=nn.MSELoss(), optimizer=optim.SGD(lr=0.1)
    )
    with pytest.raises(ChainruleError, match=text):
        trainer.fit(DataLoader(data, 2), epochs=1, progress=False)
