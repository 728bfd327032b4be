"""A run that is refused leaves the state as it was, on every engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ChainruleError
from chainrule.nn import functional as F


@pytest.mark.parametrize("norm", [False, True])
def test_a_label_out_of_range(engine: str, norm: bool) -> None:
    cr.manual_seed(0)
    middle = [nn.BatchNorm1d(8)] if norm else []
    model = nn.Sequential(nn.Linear(4, 8), *middle, nn.ReLU(), nn.Linear(8, 3))
    optimizer = optim.Adam(model.parameters(), lr=0.1)

    @cr.compile(engine=engine)
    def step(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    x = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    step(x, np.array([0, 1, 2, 0, 1, 2]))
    before = _states(model, optimizer)
    with pytest.raises(ChainruleError):
        step(x, np.array([0, 1, 7, 0, 1, 2]))
    _same(before, _states(model, optimizer))
    step(x, np.array([0, 1, 2, 0, 1, 2]))
    assert not np.array_equal(before["0.weight"], _states(model, optimizer)["0.weight"])


def test_a_word_out_of_range(engine: str) -> None:
    table = nn.Embedding(5, 3)
    optimizer = optim.SGD(table.parameters(), lr=0.1)

    @cr.compile(engine=engine)
    def step(words: cr.Tensor) -> cr.Tensor:
        loss = table(words).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    step(np.array([0, 1]))
    before = _states(table, optimizer)
    with pytest.raises(ChainruleError):
        step(np.array([0, 5]))
    _same(before, _states(table, optimizer))


def test_state_between_two_refusals(engine: str) -> None:
    """Words are looked up, statistics move, and only then a label is wrong."""
    cr.manual_seed(0)
    table, norm, out = nn.Embedding(5, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)

    @cr.compile(engine=engine)
    def step(words: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        return F.cross_entropy(out(norm(table(words))), y)

    words = np.array([0, 4, 2])
    step(words, np.array([0, 1, 0]))
    before = {k: np.array(v) for k, v in norm.state_dict().items()}
    for wrong in ((words, [0, 2, 0]), (words + 1, [0, 1, 0])):
        with pytest.raises(ChainruleError):
            step(*map(np.array, wrong))
        _same(before, {k: np.array(v) for k, v in norm.state_dict().items()})


def test_a_full_cache(engine: str) -> None:
    caches = [nn.KVCache(1, 2, 4, 3) for _ in range(3)]

    @cr.compile(engine=engine)
    def step(x: cr.Tensor) -> cr.Tensor:
        total = x.sum()
        for cache in caches:
            keys, values = cache(x, x * 2)
            total = total + keys.sum() * values.sum()
        return total

    x = np.ones((1, 2, 3, 3), np.float32)
    step(x)
    before = [b.numpy().copy() for c in caches for b in c.buffers()]
    with pytest.raises(ChainruleError):
        step(x + 1)
    for old, new in zip(before, [b.numpy() for c in caches for b in c.buffers()]):
        np.testing.assert_array_equal(old, new)


class Ring(nn.Module):
    """Numbers written one after the other, and a count of them."""

    def __init__(self) -> None:
        self.register_buffer("held", np.zeros(4, np.float32))
        self.register_buffer("count", np.int64(0))

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        self.count.copy_(self.count + 1)
        old = self.held[self.count]
        self.held[self.count] = x
        return old


def test_a_counter_that_runs_out(engine: str) -> None:
    ring = Ring()
    put = cr.compile(lambda x: ring(x), engine=engine)
    for i in range(3):
        put(np.float32(i + 1))
    before = ring.held.numpy().copy()
    with pytest.raises(ChainruleError):
        put(np.float32(9))
    np.testing.assert_array_equal(ring.held.numpy(), before)
    assert ring.count.item() == 3


def test_within_a_loop(engine: str) -> None:
    table, seen = cr.tensor(np.arange(4.0, dtype=np.float32)), nn.Module()
    seen.register_buffer("total", np.float32(0))
    seen.register_buffer("steps", np.int64(0))

    @cr.compile(engine=engine)
    def walk(places: cr.Tensor) -> cr.Tensor:
        seen.steps.copy_(seen.steps + 1)

        def one(carry: cr.Tensor, place: cr.Tensor) -> Any:
            carry = carry + table[place]
            return carry, carry

        total, every = cr.scan(one, seen.total, places)
        seen.total.copy_(total)
        return every

    walk(np.array([1, 2]))
    with pytest.raises(ChainruleError):
        walk(np.array([1, 4]))
    assert (seen.total.item(), seen.steps.item()) == (3.0, 1)


def _states(module: nn.Module, optimizer: Any) -> dict[str, Any]:
    found = {k: np.array(v) for k, v in module.state_dict().items()}
    for i, slots in optimizer.state_dict()["state"].items():
        for name, value in slots.items():
            found[f"{i}.{name}"] = np.array(value)
    return found


def _same(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name], err_msg=name)
