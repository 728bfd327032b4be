"""A snapshot at the end of an epoch: where a callback may change weights there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.data import Dataset
from chainrule.training import Callback, LambdaCallback
from chainrule.training.loop import Loop


class OfEpochs(Callback):
    def on_epoch(self, trainer: Any) -> None:
        pass


class OfTheEnd(Callback):
    def on_finish(self, trainer: Any) -> None:
        pass


class OfChunks(Callback):
    def on_chunk(self, trainer: Any) -> None:
        pass


def snapshots(monkeypatch: pytest.MonkeyPatch, callback: Callback) -> int:
    count, usual = [], Loop._take_snapshot

    def counted(self: Loop) -> None:
        count.append(1)
        usual(self)

    monkeypatch.setattr(Loop, "_take_snapshot", counted)
    monkeypatch.setattr(Loop, "_cheap", lambda self, seconds: False)
    x = np.zeros((8, 1), np.float32)
    trainer = cr.Trainer(
        nn.Linear(1, 1),
        loss=nn.MSELoss(),
        optimizer=cr.optim.SGD(lr=0.1),
        engine="numpy",
    )
    data = Dataset(x, x)
    trainer.fit(data, epochs=5, batch_size=4, callbacks=[callback], progress=False)
    return len(count)


def test_only_what_hears_of_epochs_costs_a_snapshot_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    least = snapshots(monkeypatch, OfChunks())
    monkeypatch.undo()
    for callback in (OfEpochs(), OfTheEnd(), LambdaCallback(on_epoch=lambda t: None)):
        assert snapshots(monkeypatch, callback) == least + 5
        monkeypatch.undo()
