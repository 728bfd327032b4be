"""Networks that a page asks for, and a training process within the test's own."""

from __future__ import annotations

import io
import queue
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.lab import protocol
from chainrule.lab.state import Stage
from chainrule.lab.worker import Worker

DENSE = [{"class": "Linear", "out_features": 4}, {"class": "Tanh"}, {"class": "Linear"}]


def circles(**training: Any) -> dict[str, Any]:
    """A small network on points of a plane: 5 steps an epoch."""
    return {
        "data": {"source": "circles", "samples": 100, "noise": 0.1},
        "model": {"layers": DENSE},
        "optimizer": {"class": "Adam", "lr": 0.05},
        "training": {"epochs": 4, "batch_size": 16, "engine": "numpy", **training},
    }


class Asked:
    """A worker to which a test speaks as the server does."""

    def __init__(self, folder: Path, run: dict[str, Any] | None = None) -> None:
        self.folder, self.inbox, self.out = folder, queue.Queue(), io.BytesIO()
        self.worker = Worker(self.inbox, self.out)
        self.number = 0
        self.begin(run=circles() if run is None else run)

    def begin(self, **first: Any) -> None:
        out = str(self.folder / "1")
        self.worker.begin({"folder": str(self.folder), "out": out, **first})

    def ask(self, type: str, **content: Any) -> int:
        self.number += 1
        self.inbox.put({"type": type, "id": self.number, **content})
        return self.number

    def run(self) -> None:
        """Let it do what it was asked, one after the other; training ends at a rest."""
        worker, usual = self.worker, self.worker._rest

        def rest() -> None:
            usual()
            self.inbox.put(None)

        worker._rest = rest
        asked = []
        while not self.inbox.empty():
            asked.append(self.inbox.get())
        for message in asked:
            worker.answer(message)
            if worker.stage is Stage.TRAINING or worker._steps_left():
                worker._train()
            while not self.inbox.empty():
                self.inbox.get()
            worker.ending = False
        worker._rest = usual
        worker.save()

    def messages(self) -> list[dict[str, Any]]:
        """All that it has said, arrays in ``arrays``."""
        pipe, said = io.BytesIO(self.out.getvalue()), []
        while (message := protocol.read_framed(pipe)) is not None:
            head = protocol.head_of(*message)
            if message[0] == protocol.BINARY:
                head["arrays"] = protocol.unpacked(message[1])
            said.append(head)
        return said

    def last(self, type: str) -> dict[str, Any]:
        return [m for m in self.messages() if m["type"] == type][-1]

    def answer(self, id: int) -> dict[str, Any]:
        (found,) = (m for m in self.messages() if m.get("id") == id)
        return found


def weights(trainer: Any) -> dict[str, np.ndarray]:
    """Return the arrays of a trainer's model."""
    return {k: np.array(v) for k, v in trainer.model.state_dict().items()}


def same(one: Any, other: Any) -> None:
    """Assert that two trainers have the same weights, bit by bit."""
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name])
