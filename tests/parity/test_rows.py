"""Sparse gradients of embeddings beside PyTorch's: SparseAdam, SGD, Adagrad."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch

import chainrule as cr
from chainrule import nn, optim
from tests.ways import WAYS

pytestmark = pytest.mark.parity
torch.sparse.check_sparse_tensor_invariants.disable()  # or it warns at first

V, D, STEPS = 20, 5, 12
CASES: list[tuple[str, dict[str, Any]]] = [
    ("SparseAdam", {"lr": 0.1}),
    ("SparseAdam", {"lr": 0.1, "betas": (0.5, 0.9), "eps": 0.1, "maximize": True}),
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "maximize": True}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.5}),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("padding", [None, 3])
@pytest.mark.parametrize(("kind", "options"), CASES)
def test_streams_of_indices(
    way: Any, kind: str, options: dict[str, Any], padding: int | None
) -> None:
    """Duplicates, empty batches, two tables: losses and weights agree."""
    rng = np.random.default_rng(0)
    start = rng.standard_normal((V, D))
    mine = nn.Embedding.from_pretrained(
        start, freeze=False, sparse=True, padding_idx=padding
    )
    theirs = torch.nn.Embedding.from_pretrained(
        torch.tensor(start), freeze=False, sparse=True, padding_idx=padding
    )
    optimizer = getattr(optim, kind)(mine.parameters(), **options)
    other = getattr(torch.optim, kind)(theirs.parameters(), **options)

    def step(rows: Any, target: Any) -> Any:
        optimizer.zero_grad()
        loss = ((mine(rows) - target) ** 2).sum()
        loss.backward()
        optimizer.step()
        return loss

    run = step if way == "eager" else cr.compile(step, engine=way, threads=1)
    for k in range(STEPS):
        n = (8, 3, 0, 25)[k % 4]
        rows, target = rng.integers(0, V, (n, 2)), rng.standard_normal((n, 2, D))
        loss = run(cr.tensor(rows), cr.tensor(target))
        other.zero_grad()
        wanted = ((theirs(torch.tensor(rows)) - torch.tensor(target)) ** 2).sum()
        wanted.backward()
        other.step()
        assert loss.item() == pytest.approx(wanted.item(), rel=1e-12)
    found, weight = mine.weight.detach().numpy(), theirs.weight.detach().numpy()
    assert found == pytest.approx(weight, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("paddings", [(3, 5), (None, 3), (3, None), (3, 3)], ids=str)
@pytest.mark.parametrize("kind", ["SparseAdam", "SGD", "Adagrad"])
def test_one_table_with_the_paddings_of_two_modules(
    way: Any, kind: str, paddings: tuple[int | None, int | None]
) -> None:
    """A row is trained by the lookups to which it is no padding."""
    rng = np.random.default_rng(1)
    start = rng.standard_normal((8, D))
    mine, theirs = (
        [make(start, freeze=False, sparse=True, padding_idx=p) for p in paddings]
        for make in (
            nn.Embedding.from_pretrained,
            lambda a, **o: torch.nn.Embedding.from_pretrained(torch.tensor(a), **o),
        )
    )
    for pair in (mine, theirs):
        pair[1].weight = pair[0].weight
    optimizer = getattr(optim, kind)(mine[0].parameters(), lr=0.1)
    other = getattr(torch.optim, kind)(theirs[0].parameters(), lr=0.1)

    def step(rows: Any, more: Any) -> Any:
        optimizer.zero_grad()
        loss = (mine[0](rows) ** 2).sum() + (mine[1](more) * 2).sum()
        loss.backward()
        optimizer.step()
        return loss

    run = step if way == "eager" else cr.compile(step, engine=way, threads=1)
    for k in range(STEPS):
        rows, more = (rng.integers(0, 8, (3, n)) for n in ((1, 3), (2, 1))[k % 2])
        loss = run(cr.tensor(rows), cr.tensor(more))
        other.zero_grad()
        first, second = (m(torch.tensor(i)) for m, i in zip(theirs, (rows, more)))
        wanted = (first**2).sum() + (second * 2).sum()
        wanted.backward()
        other.step()
        assert loss.item() == pytest.approx(wanted.item(), rel=1e-12)
    found, weight = (m[0].weight.detach().numpy() for m in (mine, theirs))
    assert found == pytest.approx(weight, rel=1e-12, abs=1e-12)


def test_every_argument_of_theirs_is_ours() -> None:
    ours, theirs = (
        inspect.signature(kind.__init__).parameters
        for kind in (optim.SparseAdam, torch.optim.SparseAdam)
    )
    assert set(theirs) - {"self", "params"} <= set(ours)
    for name in ("lr", "betas", "eps", "maximize"):
        assert ours[name].default == theirs[name].default
