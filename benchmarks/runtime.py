"""What surrounds the arithmetic costs: a busy core, probes, the Trainer around a step.

    python benchmarks/runtime.py                # all three
    python benchmarks/runtime.py busy probes    # some

``busy``    a step while another process keeps one core busy, with the number of threads
            that the engine chooses, over the same with one thread.
``probes``  a step with the norms of gradients and weights and the share of dead units
            of each layer as outputs, over one without them.
``fit``     five epochs of ``Trainer.fit``, begun and ended, over as many steps of the
            compiled step alone.

The textbook's network (784-128-64-10), Adam, images as bytes, batches of 32 and 128.
Both sides take turns; printed are the ratio of the medians, that of the shortest turns,
and µs a step. On a machine that does other work look at the shortest turns.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from ours import network

import chainrule as cr
from chainrule import nn, optim
from chainrule.compilation.program import CompiledProgram
from chainrule.training.data_adapter import DatasetAdapter
from chainrule.training.entries import Entries

ROWS = 16_384
TURN = 0.1  # seconds, about
EPOCHS = 5
PROBES = "grad_norm/*", "dead/*", "weight_norm/*"
SPIN = "while True: pass"

Turn = Callable[[], object]


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, size=(ROWS, 784), dtype=np.uint8)
    return x, rng.integers(0, 10, size=ROWS).astype(np.int32)


def step(
    probes: tuple[str, ...] = (), threads: int | None = None
) -> Callable[[np.ndarray], Any]:
    """The compiled step of a Trainer: batches' rows → what it returns."""
    x, y = data()
    model, optimizer = network(), optim.Adam(lr=1e-3)
    optimizer.attach_parameters(dict(model.named_parameters()))
    entries = Entries.of(model, nn.CrossEntropyLoss(), optimizer, probes)
    adapter = DatasetAdapter(cr.data.Dataset(x, y, scale=1 / 255), seed=0)
    traced = entries.train(adapter.step, entries.dtypes(adapter.kinds))
    program = CompiledProgram([traced], engine="native", threads=threads)

    def run(order: np.ndarray) -> Any:
        inputs = {"x": x, "y": y, "index": order}
        return program.run("train", inputs, steps=len(order))

    return run


def batches(steps: int, batch: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.integers(ROWS, size=(steps, batch), dtype=np.int32)


def in_turns(one: Turn, other: Turn, rounds: int, steps: int) -> dict[str, float]:
    """The first over the second."""
    for _ in range(3):
        one(), other()
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        one()
        between = time.perf_counter()
        other()
        times.append((between - begun, time.perf_counter() - between))
    mine, theirs = np.array(times).T / steps * 1e6
    return {
        "ratio": float(np.median(mine) / np.median(theirs)),
        "of shortest": float(mine.min() / theirs.min()),
        "µs": float(np.median(mine)),
        "over µs": float(np.median(theirs)),
        "shortest µs": float(mine.min()),
    }


@contextmanager
def busy_core() -> Iterator[None]:
    """Another process computes all the time."""
    other = subprocess.Popen([sys.executable, "-c", SPIN])
    try:
        yield
    finally:
        other.kill()
        other.wait()


def of_step(one: Any, other: Any, batch: int, rounds: int) -> dict[str, float]:
    steps = max(1, int(TURN / (5e-6 * batch)))
    order = batches(steps, batch)
    return in_turns(lambda: one(order), lambda: other(order), rounds, steps)


def busy(batch: int, rounds: int) -> dict[str, float]:
    chosen, alone = step(), step(threads=1)
    with busy_core():
        return of_step(chosen, alone, batch, rounds)


def probes(batch: int, rounds: int) -> dict[str, float]:
    return of_step(step(PROBES, threads=1), step(threads=1), batch, rounds)


def fit(batch: int, rounds: int) -> dict[str, float]:
    x, y = data()
    trainer = cr.Trainer(
        network(),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.Adam(lr=1e-3),
        engine="native",
        threads=1,
    )
    rows = cr.data.Dataset(cr.data.Column(x, 1 / 255), y)
    bare, steps = step(threads=1), ROWS // batch
    order = batches(steps, batch)

    def run() -> None:
        trainer.fit(rows, epochs=EPOCHS, batch_size=batch, progress=False)

    def same() -> None:
        for _ in range(EPOCHS):
            bare(order)

    return in_turns(run, same, max(3, rounds // EPOCHS), steps * EPOCHS)


MEASURES = {"busy": busy, "probes": probes, "fit": fit}
BATCHES = 32, 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="busy, probes, fit; all by default")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if unknown := set(args.names) - set(MEASURES):
        parser.error(f"no {sorted(unknown)}; there are {', '.join(MEASURES)}")
    made = {
        f"{name}, B={batch}": MEASURES[name](batch, args.rounds)
        for name in args.names or MEASURES
        for batch in BATCHES
    }
    if args.json:
        print(json.dumps(made))
        return
    for title, row in made.items():
        print(f"{title:16}" + "".join(f"{k} {v:8.2f}   " for k, v in row.items()))


if __name__ == "__main__":
    main()
