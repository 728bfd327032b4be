"""A program of the tests: weights that are divided over two processes are read.

    chainrule launch -n 2 -- tests/xla/reading.py all|one|ends DIRECTORY

``all`` processes read, save and load them; ``one`` reads them alone while the other
goes on training, or ``ends``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.engines import resolve_engine
from chainrule.util import processes


def main() -> None:
    """Train a network whose weights are divided, and read it."""
    what, directory = sys.argv[1:]
    resolve_engine("xla")
    over: dict[str, Any] = {
        "mesh": {"model": 2},
        "sharding": {"0.weight": ("model", None)},
    }
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    x = np.random.default_rng(0).normal(size=(16, 8)).astype(np.float32)
    data, file = (x, np.arange(16) % 2), Path(directory) / "run.ckpt"
    trainer = cr.Trainer(
        model,
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.Adam(lr=0.1),
        engine="xla",
        **over,
    )
    options: dict[str, Any] = {"epochs": 1, "batch_size": 4, "progress": False}
    trainer.fit(data, **options)
    if what == "one" and processes.index() == 1:
        trainer.fit(data, **options)
    if what == "all" or processes.index() == 0:
        stored: Any = model[0].weight
        read = {"numpy": stored.numpy().sum().item()}
        read["state_dict"] = np.asarray(model.state_dict()["0.weight"]).sum().item()
        trainer.save(file)
        processes.most(0.0)  # until it is written
        again: Any = cr.Trainer.load(file, engine="xla").model
        read["loaded"] = again[0].weight.numpy().sum().item()
        if processes.is_writer():
            print(json.dumps(read))


if __name__ == "__main__":
    main()
