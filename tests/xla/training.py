"""A program of the tests: a run with a checkpoint, begun or gone on with.

    python tests/xla/training.py DIRECTORY ENGINE EPOCHS [KILL] [--loader]

The process of the number KILL ends itself, as ``kill -9`` would, after some steps of
the third epoch. ``--loader`` reads the samples one by one, in an order that a loader
draws. The first process prints the losses as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.engines import resolve_engine
from chainrule.training import Callback
from chainrule.util import processes
from chainrule.utils.data import DataLoader


class Killed(Callback):
    """Ends one process in the third epoch."""

    def __init__(self, number: int) -> None:
        self.number = number

    def on_chunk(self, trainer: cr.Trainer) -> None:
        """End this process, without a word."""
        if trainer.epoch == 2 and processes.index() == self.number:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Begin or resume the run."""
    directory, engine, epochs, *kill = (a for a in sys.argv[1:] if a[:2] != "--")
    options: dict[str, Any] = {"progress": False, "checkpoint": directory}
    on: Any = engine
    resolve_engine(engine)
    x = np.random.default_rng(0).normal(size=(96, 20))
    y = np.random.default_rng(1).integers(0, 4, len(x))
    data: Any = (x, y)
    if "--loader" in sys.argv:
        data = DataLoader([*zip(x, y)], batch_size=8, shuffle=True)
    if (Path(directory) / "last.ckpt").exists():
        trainer = cr.Trainer.load(directory, engine=on)
        trainer.resume(data, epochs=int(epochs), **options)
    else:
        cr.manual_seed(0)
        model = nn.Sequential(
            nn.Linear(20, 16),
            nn.LayerNorm(16),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(16, 4),
        )
        trainer = cr.Trainer(
            model.to("float64"),
            loss=nn.CrossEntropyLoss(),
            optimizer=optim.Adam(lr=1e-2),
            engine=on,
        )
        callbacks = [Killed(int(kill[0]))] if kill else []
        trainer.fit(
            data, epochs=int(epochs), batch_size=8, callbacks=callbacks, **options
        )
    if processes.is_writer():
        losses = trainer.history.steps["loss"].tolist()
        where = {"epoch": trainer.epoch, "updates": trainer.state.updates}
        print(json.dumps({"losses": losses, **where}))


if __name__ == "__main__":
    main()
