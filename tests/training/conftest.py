from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.training import Callback, loop


def pixels(rows: int = 50, seed: int = 0) -> cr.data.Dataset:
    """A small problem of three classes, stored as bytes."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (rows, 6)).astype(np.uint8)
    y = (x[:, :3].astype(int)).argmax(1)
    return cr.data.Dataset(x, y, scale=1 / 255, classes=3, name="pixels")


@pytest.fixture
def data() -> cr.data.Dataset:
    return pixels()


def small_network(*, dropout: float = 0.0, seed: int = 0) -> nn.Sequential:
    cr.manual_seed(seed)
    layers: list[nn.Module] = [nn.Linear(6, 8), nn.ReLU()]
    if dropout:
        layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(8, 3))


Make = Callable[..., cr.Trainer]


@pytest.fixture
def make() -> Make:
    """A Trainer of a small classifier."""

    def made(
        *,
        engine: str = "numpy",
        dropout: float = 0.0,
        model: nn.Module | None = None,
        **options: Any,
    ) -> cr.Trainer:
        options.setdefault("loss", nn.CrossEntropyLoss())
        options.setdefault("optimizer", optim.AdamW(lr=optim.OneCycleLR(0.05)))
        chosen = model or small_network(dropout=dropout)
        return cr.Trainer(chosen, engine=engine, **options)

    return made


@contextmanager
def raising(
    kind: type[Exception], *parts: str, fix: bool = True
) -> Iterator[pytest.ExceptionInfo[Any]]:
    """Within the block comes an error that says all of this, and what to do."""
    with pytest.raises(kind) as error:
        yield error
    for part in (*parts, "expected:", "got:", *["fix:"] * fix):
        assert part in str(error.value)


@pytest.fixture
def single_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every chunk is one step, so that there is a pause after each."""
    monkeypatch.setattr(loop, "CHUNK", 0.0)


@pytest.fixture
def long_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks grow eightfold up to an epoch, however slow the machine is."""
    monkeypatch.setattr(loop, "CHUNK", 1e9)


def same(a: nn.Module, b: nn.Module) -> bool:
    """Whether two models hold the same bits."""
    left, right = a.state_dict(), b.state_dict()
    return left.keys() == right.keys() and all(
        left[k].tobytes() == right[k].tobytes() for k in left
    )


def without_time(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a history but for how long each epoch took."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


class StopAt(Callback):
    """Ends a run after some number of updates; see ``single_steps``."""

    def __init__(self, updates: int) -> None:
        self.updates = updates

    def on_chunk(self, trainer: cr.Trainer) -> None:
        if trainer.optimizer.steps == self.updates:
            self.act(trainer)

    def act(self, trainer: cr.Trainer) -> None:
        trainer.stop()


class CtrlC(StopAt):
    """Ctrl-C after some number of updates."""

    def act(self, trainer: cr.Trainer) -> None:
        signal.raise_signal(signal.SIGINT)
