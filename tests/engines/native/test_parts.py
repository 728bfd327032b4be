"""A run of many steps goes in parts, each with another number of threads."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import chainrule as cr
from chainrule import nn, optim
from chainrule.compilation.program import CompiledProgram
from chainrule.engines.native.runtime import executable
from chainrule.training.data_adapter import DatasetAdapter
from chainrule.training.entries import Entries

STEPS, BATCH = 23, 8


class Scripted:
    """A choice that follows a script, and keeps what it has given."""

    alone = 0

    def __init__(self, script: Iterable[tuple[int, int]]) -> None:
        self.script, self.given = iter(script), list[tuple[int, int]]()

    def take(self, steps: int) -> tuple[int, int]:
        """The next number of threads and part, as far as there are steps."""
        number, some = next(self.script)
        self.given.append((number, min(some, steps)))
        return self.given[-1]

    def note(self, number: int, steps: int, seconds: float) -> None:
        """It was run as asked."""
        assert (number, steps) == self.given[-1]
        assert seconds > 0


def trained(monkeypatch: pytest.MonkeyPatch, script: Any) -> list[np.ndarray]:
    """What steps with dropout and probes give, and the weights that they leave."""
    choice = Scripted(script)
    monkeypatch.setattr(executable, "ThreadChoice", lambda asked: choice)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 300)).astype("f4")
    y = rng.integers(0, 3, 40).astype(np.int32)
    cr.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(300, 70), nn.BatchNorm1d(70), nn.ReLU(), nn.Dropout(0.3)
    )
    model.append(nn.Linear(70, 3))
    optimizer = optim.Adam(lr=optim.OneCycleLR(0.01))
    optimizer.attach_parameters(dict(model.named_parameters()))
    optimizer.bind_schedules(STEPS)
    probes = ("grad_norm/*", "dead/*")
    entries = Entries.of(model, nn.CrossEntropyLoss(), optimizer, probes)
    adapter = DatasetAdapter(cr.data.Dataset(x, y), seed=0)
    step = entries.train(adapter.step, entries.dtypes(adapter.kinds))
    program = CompiledProgram([step], engine="native")
    order = rng.integers(0, 40, (STEPS, BATCH), dtype=np.int32)
    made = program.run("train", {"x": x, "y": y, "index": order}, steps=STEPS)
    assert sum(some for _, some in choice.given) == STEPS
    return [*made.values(), *[t.numpy() for t in program.tensors.values()]]


@pytest.mark.one_in(4, first=2)
@pytest.mark.parametrize(
    "parts", [[1], [2, 3], [1, 5, 17], [22, 1]], ids=lambda p: "-".join(map(str, p))
)
def test_parts_are_the_whole(monkeypatch: pytest.MonkeyPatch, parts: list[int]) -> None:
    whole = trained(monkeypatch, [(1, STEPS)])
    numbers = itertools.cycle([1, 2, 3])
    made = trained(monkeypatch, zip(numbers, itertools.cycle(parts)))
    assert len(whole) == len(made) > 10
    for a, b in zip(whole, made):
        np.testing.assert_array_equal(a, b)
    losses = whole[0]
    assert len(losses) == STEPS == len(set(losses.tolist())), "no step is another's"
