"""What ``fit(…, doctor=True)`` costs: the textbook's network and the CNN of the recipe.

    python benchmarks/doctor_live.py            # both, native engine
    python benchmarks/doctor_live.py mlp --engine numpy --rounds 15

Each round trains the same network with and without watching, in turns whose order
changes, on synthetic images in the format of MNIST; compiled programs are those of a
first, untimed run. Processor time, one thread: the median of the rounds' ratios, with
the 10th and 90th percentile.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from contextlib import redirect_stderr
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes.cnn import network

ROWS = {"mlp": 60_000, "cnn": 4_000}
EPOCHS = 2


def mlp() -> nn.Sequential:
    """The textbook's network (3.2.3)."""
    return nn.Sequential(
        nn.Linear(784, 128),
        nn.ReLU(),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def images(n: int) -> cr.data.Dataset:
    """Noise with a bright row and column, by the class."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, n)
    x = rng.integers(0, 100, (n, 28, 28))
    x[np.arange(n), 4 + 2 * y] += 100
    return cr.data.Dataset(
        x.reshape(n, 784).astype(np.uint8), y, scale=1 / 255, classes=10
    )


def trainer(kind: str, engine: Any) -> cr.Trainer:
    cr.manual_seed(0)
    return cr.Trainer(
        mlp() if kind == "mlp" else network(),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.Adam(lr=1e-3),
        engine=engine,
        threads=1,
    )


def seconds(made: cr.Trainer, data: Any, doctor: bool) -> float:
    begun = time.process_time()
    with redirect_stderr(io.StringIO()):
        made.fit(data, epochs=EPOCHS, batch_size=64, progress=False, doctor=doctor)
    return time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[*ROWS, []])
    parser.add_argument("--engine", default="native")
    parser.add_argument("--rounds", type=int, default=11)
    given = parser.parse_args()
    for kind in given.kinds or ROWS:
        data = images(ROWS[kind])
        made = {d: trainer(kind, given.engine) for d in (False, True)}
        for doctor, one in made.items():
            seconds(one, data, doctor)
        ratios: list[float] = []
        plain: list[float] = []
        for i in range(given.rounds):
            order = (False, True) if i % 2 else (True, False)
            times = {d: seconds(made[d], data, d) for d in order}
            ratios.append(times[True] / times[False])
            plain.append(times[False])
        low, high = np.percentile(ratios, [10, 90])
        print(
            f"{kind}, {given.engine}: watching costs "
            f"{100 * (np.median(ratios) - 1):+.1f} % [{100 * (low - 1):+.1f}, "
            f"{100 * (high - 1):+.1f}] of {np.median(plain):.2f} s",
            file=sys.stdout,
        )


if __name__ == "__main__":
    main()
