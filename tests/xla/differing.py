"""A program of the tests: two processes that differ in what is asked for.

    chainrule launch -n 2 -- tests/xla/differing.py WHAT

WHAT is weights, data, model, inputs, samples, order, or failing: then the second
process cannot read one of its samples.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.engines import resolve_engine
from chainrule.util import processes
from chainrule.utils.data import DataLoader


class Failing:
    """Samples, of which the second process cannot read one of its own."""

    def __init__(self, samples: list[Any]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Any:
        if processes.index() == 1 and index > 3:
            raise OSError("the disk is gone")
        return self.samples[index]


def main() -> None:
    """Train a network; the second process has another seed, data or activation."""
    what = sys.argv[1]
    resolve_engine("xla")
    other = processes.index() == 1
    if what == "inputs":
        double = cr.compile(lambda x: x * 2, engine="xla")
        double(cr.ones(4) * (1.0 + other))
        return
    cr.manual_seed(int(other and what == "weights"))
    f = nn.Tanh() if other and what == "model" else nn.ReLU()
    model = nn.Sequential(nn.Linear(8, 4), f, nn.Linear(4, 2))
    x = np.random.default_rng(0).normal(size=(16, 8)).astype(np.float32)
    x[3] += other and what == "data"
    x[0] += other and what == "samples"
    data: Any = (x, np.arange(16) % 2)
    if what in ("samples", "order"):
        order = [0, *range(15, 0, -1)] if other and what == "order" else range(16)
        data = DataLoader([*zip(*data)], batch_size=4, sampler=order)
    if what == "failing":
        data = DataLoader(Failing([*zip(*data)]), batch_size=4)
    trainer = cr.Trainer(
        model, loss=nn.CrossEntropyLoss(), optimizer=optim.SGD(lr=0.1), engine="xla"
    )
    trainer.fit(data, epochs=1, batch_size=4, progress=False)


if __name__ == "__main__":
    main()
