"""A program of the tests: data of each kind, of which each process reads its own rows.

    python tests/xla/rows.py DIRECTORY [KIND …]

It runs alone or under ``chainrule launch``; the first process prints the losses of each
kind as JSON, and how many rows each process has read, of those that there are.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.engines import resolve_engine
from chainrule.training import Batches, Loop, compile_program
from chainrule.util import processes
from chainrule.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    RandomSampler,
    Sampler,
    default_collate,
)

#: 101 rows in batches of 8: the last one has 5, which two and four do not divide.
ROWS, SIZE, EPOCHS = 101, 8, 2
RNG = np.random.default_rng(3)
X = np.random.default_rng(0).normal(size=(ROWS, 12))
Y = np.arange(ROWS) % 3


class Samples(Dataset[Any]):
    """Samples by number, which counts those that are asked for."""

    def __init__(self, x: Any = X, y: Any = Y) -> None:
        self.x, self.y, self.read = x, y, 0

    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, index: Any) -> Any:
        self.read += 1
        return self.x[index], int(self.y[index])


class Noisy(Samples):
    """Samples that draw noise as they are read."""

    def __getitem__(self, index: Any) -> Any:
        x, y = super().__getitem__(index)
        return x + RNG.normal(size=x.shape), y


class Nested(Samples):
    """Samples of two inputs."""

    def __getitem__(self, index: Any) -> Any:
        x, y = super().__getitem__(index)
        return {"a": x[:5], "b": x[5:]}, y


class Epochs(Samples):
    """Samples that noise is added to by the epoch and the index."""

    epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __getitem__(self, index: Any) -> Any:
        x, y = super().__getitem__(index)
        return x + np.random.default_rng([self.epoch, index]).normal(size=x.shape), y


class Turned(Sampler[int]):
    """An order that depends on how often it was begun, and on its own draws."""

    def __init__(self) -> None:
        self.passes, self.rng = 0, np.random.default_rng(5)

    def __iter__(self) -> Iterator[int]:
        self.passes += 1
        return iter(np.roll(self.rng.permutation(ROWS), self.passes).tolist())


class Halves(nn.Module):
    """A network of two inputs."""

    def __init__(self) -> None:
        self.network = network()

    def forward(self, a: cr.Tensor, b: cr.Tensor) -> cr.Tensor:
        return self.network(cr.cat([a, b], 1))


class Counted(np.ndarray):
    """An array that counts the rows which are taken of it."""

    read = 0

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, np.ndarray):
            Counted.read += key.size
        return super().__getitem__(key)


def network() -> nn.Sequential:
    """Return a network with batch statistics and dropout."""
    cr.manual_seed(0)
    return nn.Sequential(
        nn.Linear(12, 16, bias=False),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(16, 3),
    ).to("float64")


def fitted(data: Any, loss: Any = None, **options: Any) -> dict[str, Any]:
    """Return what a Trainer computes on data."""
    trainer = cr.Trainer(
        network(),
        loss=loss or nn.CrossEntropyLoss(),
        optimizer=optim.Adam(lr=1e-2, clip_norm=1.0),
        metrics=["accuracy"],
        engine="xla",
    )
    options = {"batch_size": SIZE, "epochs": EPOCHS, "progress": False, **options}
    trainer.fit(data, **options)
    losses = trainer.history.steps["loss"].tolist()
    return {"losses": losses, "evaluated": trainer.evaluate((X, Y))["loss"]}


def memory(directory: Path) -> dict[str, Any]:
    """Return the losses on arrays in memory: with weights, and by several batches."""
    weights = np.linspace(0.5, 2, ROWS)
    balanced: dict[str, Any] = {"class_weight": "balanced"}
    one = fitted((X, Y), sample_weight=weights, **balanced)
    more = fitted((X, Y), accumulate_grad_batches=2)
    return {**one, "losses": one["losses"] + more["losses"]}


def mapped(directory: Path) -> dict[str, Any]:
    """Return the losses on a mapped file."""
    file = directory / f"x{processes.index()}.npy"
    np.save(file, X)
    return fitted((np.load(file, mmap_mode="r"), Y))


def stream(directory: Path) -> dict[str, Any]:
    """Return the losses on a stream of samples, which each process goes through."""

    def samples() -> Iterator[Any]:
        return zip(X, Y.astype(np.int32))

    return fitted(cr.data.Stream(samples, classes=3))


def labels(directory: Path) -> dict[str, Any]:
    """Return the losses of a function, whose labels are looked at in the step."""

    def samples() -> Iterator[Any]:
        return zip(X, Y)

    def loss(scores: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        return nn.functional.cross_entropy(scores, y)

    return fitted(cr.data.Stream(samples), loss)


def read_by(make: Callable[[Samples], Any], kind: Any = Samples) -> dict[str, Any]:
    """Return the losses on samples by number, and how many each process reads."""
    samples = kind()
    made = fitted(make(samples))
    return {**made, "read": samples.read}


def loader(directory: Path) -> dict[str, Any]:
    """Return the losses on a loader that shuffles."""
    return read_by(lambda samples: DataLoader(samples, batch_size=SIZE, shuffle=True))


def batched(directory: Path) -> dict[str, Any]:
    """Return the losses on a loader of batches of another size than the Trainer's."""
    cr.manual_seed(1)
    sampler = BatchSampler(RandomSampler(range(ROWS)), 6, drop_last=False)
    return read_by(lambda samples: DataLoader(samples, batch_sampler=sampler))


def working(directory: Path) -> dict[str, Any]:
    """Return the losses on a loader with processes of its own."""
    with_two: dict[str, Any] = {"num_workers": 2, "multiprocessing_context": "spawn"}
    return fitted(DataLoader(Samples(), batch_size=SIZE, shuffle=True, **with_two))


def sequence(directory: Path) -> dict[str, Any]:
    """Return the losses on a stream of a sequence."""
    return read_by(lambda samples: cr.data.Stream(samples, classes=3))


def turned(directory: Path) -> dict[str, Any]:
    """Return the losses in an order of a sampler's own, without short batches."""
    options: dict[str, Any] = {"batch_size": SIZE, "drop_last": True}
    return read_by(lambda samples: DataLoader(samples, sampler=Turned(), **options))


def epochs(directory: Path) -> dict[str, Any]:
    """Return the losses on a data set itself, which is told the epoch."""
    return read_by(lambda samples: samples, Epochs)


def nested(directory: Path) -> dict[str, Any]:
    """Return the losses on samples of two inputs."""
    samples = Nested()
    trainer = cr.Trainer(
        Halves(),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.Adam(lr=1e-2),
        engine="xla",
    )
    loader = DataLoader(samples, batch_size=SIZE, shuffle=True)
    trainer.fit(loader, batch_size=SIZE, epochs=EPOCHS, progress=False)
    losses = trainer.history.steps["loss"].tolist()
    return {"losses": losses, "read": samples.read}


def collated(directory: Path) -> dict[str, Any]:
    """Return the losses on batches that a function of one's own makes."""

    def mixed(samples: Any) -> Any:
        x, y = default_collate(samples)
        return (x + x.flip(0)) / 2, y

    return read_by(lambda s: DataLoader(s, batch_size=SIZE, collate_fn=mixed))


def drawn(directory: Path) -> dict[str, Any]:
    """Return the losses on samples that draw: each process reads all of them."""
    return read_by(lambda samples: DataLoader(samples, batch_size=SIZE), Noisy)


def words(directory: Path) -> dict[str, Any]:
    """Return the losses of an embedding, whose indices are looked at first."""
    cr.manual_seed(0)
    model = nn.Sequential(nn.Embedding(20, 4), nn.Flatten(), nn.Linear(48, 3))
    x = np.random.default_rng(0).integers(0, 20, (ROWS, 12)).astype(np.int32)
    samples = Samples(x, Y.astype(np.int32))
    trainer = cr.Trainer(
        model.to("float64"),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.Adam(lr=1e-2),
        engine="xla",
    )
    trainer.fit(DataLoader(samples, batch_size=SIZE), epochs=EPOCHS, progress=False)
    losses = trainer.history.steps["loss"].tolist()
    return {"losses": losses, "read": samples.read}


def batches(directory: Path) -> dict[str, Any]:
    """Return the losses of a loop over batches, and how many rows it reads."""
    model, adam = network(), optim.Adam(lr=1e-2)

    def train(x: cr.Tensor, y: cr.Tensor) -> dict[str, cr.Tensor]:
        loss = nn.CrossEntropyLoss()(model(x), y)
        model.zero_grad()
        loss.backward()
        adam.step()
        return {"loss": loss}

    program = compile_program(
        {"train": train},
        {"x": "f64[N,12]", "y": "i64[N]"},
        model=model,
        optimizers=[adam],
        each=["x", "y"],
        engine="xla",
    )
    source = Batches({"x": X, "y": Y}, SIZE)
    source.rows["x"] = X.view(Counted)
    history = Loop(program, "train", source).run(epochs=EPOCHS)
    return {
        "losses": history.steps_of("train")["loss"].tolist(),
        "read": Counted.read,
    }


KINDS: dict[str, Callable[[Path], dict[str, Any]]] = {
    f.__name__: f
    for f in (
        *(memory, mapped, stream, labels, batches),
        *(loader, batched, working, sequence, drawn, words),
        *(turned, epochs, nested, collated),
    )
}


def main() -> None:
    """Print what was computed."""
    directory, *kinds = sys.argv[1:]
    resolve_engine("xla")
    made = {kind: KINDS[kind](Path(directory)) for kind in kinds or KINDS}
    if processes.is_writer():
        print(json.dumps(made))


if __name__ == "__main__":
    main()
