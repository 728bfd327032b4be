"""What is measured: a network, its data, batch and optimiser, declared once for all.

A network is a sequence of layers by the names that ``chainrule.nn`` and ``torch.nn``
share, with their arguments. ``LSTM`` and ``GRU`` give their output at the last step.
Three more each peer builds from what it has:

    Residual(body, shortcut)   body(x) + shortcut(x)
    Positions(T, n)            x + a learnt row for each place of the sequence
    Block(n, heads)            a transformer's: norms first, causal, GELU, 4n units
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.text import tr

Layers = tuple[tuple[Any, ...], ...]
#: Steps whose losses must agree before anything is timed.
CHECKED = 5
#: Samples at the end of MNIST that are its test set.
TEST = 10_000


@dataclass(frozen=True)
class Workload:
    """One row of the table.

    Attributes:
        title: gives it in words, in the language in use.
        layers: the network.
        shape: of one sample.
        batch: samples in a step, or in a call.
        turn: steps, or calls, that are timed at a time.
        data: digits (MNIST), numbers (random ones) or text (random characters).
        classes: that a cross-entropy chooses from; 1: a binary one from a logit.
        kind: training, inference, or process (a command, start to end).
        optimizer: Adam or AdamW (weight decay 0.01).
        clip_norm: of all gradients together, before each update.
        bars: peer (or "fastest") → ratio that we mean to reach.
        most: rounds, however many are asked for.
        group, x: the plot that it belongs to, and where on its axis.
    """

    title: Callable[[], str]
    layers: Layers
    shape: tuple[int, ...] = (784,)
    batch: int = 32
    turn: int = 400
    data: str = "digits"
    classes: int = 10
    kind: str = "training"
    optimizer: str = "Adam"
    clip_norm: float | None = None
    bars: tuple[tuple[str, float], ...] = ()
    most: int = 1000
    group: str = ""
    x: int = 0

    @property
    def weight_decay(self) -> float:
        """AdamW's."""
        return 0.01 if self.optimizer == "AdamW" else 0.0

    @property
    def kinds(self) -> set[str]:
        """The names of its layers."""
        return _kinds(self.layers)

    def without_dropout(self) -> Workload:
        """The same with nothing left to chance, whose losses can be compared."""
        idle = tuple(
            ("Identity",) if layer[0] == "Dropout" else layer for layer in self.layers
        )
        return replace(self, layers=idle)


def _kinds(layers: Layers) -> set[str]:
    inner = [part for layer in layers if layer[0] == "Residual" for part in layer[1:]]
    return {layer[0] for layer in layers}.union(*map(_kinds, inner))


def dense(*widths: int) -> Layers:
    """Linear layers with ReLU between them."""
    layers: list[tuple[Any, ...]] = []
    for inputs, outputs in pairwise(widths):
        layers += [("Linear", inputs, outputs), ("ReLU",)]
    return tuple(layers[:-1])


def residual(inputs: int, outputs: int) -> Layers:
    """Two convolutions beside a shortcut; half the size where the channels change."""
    stride = 1 if inputs == outputs else 2
    body = (
        ("Conv2d", inputs, outputs, 3, stride, 1),
        ("BatchNorm2d", outputs),
        ("ReLU",),
        ("Conv2d", outputs, outputs, 3, 1, 1),
        ("BatchNorm2d", outputs),
    )
    shortcut: Layers = ()
    if stride == 2:
        shortcut = ("Conv2d", inputs, outputs, 1, 2, 0), ("BatchNorm2d", outputs)
    return ("Residual", body, shortcut), ("ReLU",)


def _turn(layers: Layers, batch: int) -> int:
    """Steps of a dense network that take about a tenth of a second, 4 to 400."""
    weights = sum(layer[1] * layer[2] for layer in layers if layer[0] == "Linear")
    return int(np.clip(8e9 / (6 * batch * weights), 4, 400))


TEXTBOOK = dense(784, 128, 64, 10)
LENET: Layers = (
    *(("Conv2d", 1, 6, 5, 1, 2), ("ReLU",), ("MaxPool2d", 2)),
    *(("Conv2d", 6, 16, 5, 1, 0), ("ReLU",), ("MaxPool2d", 2), ("Flatten",)),
    *dense(400, 120, 84, 10),
)
CNN: Layers = (
    *(("Conv2d", 1, 32, 3, 1, 0), ("ReLU",), ("Conv2d", 32, 64, 3, 1, 0), ("ReLU",)),
    *(("MaxPool2d", 2), ("Flatten",)),
    *dense(9216, 128, 10),
)
RESNET: Layers = (
    *(("Conv2d", 3, 16, 3, 1, 1), ("BatchNorm2d", 16), ("ReLU",)),
    *residual(16, 16),
    *residual(16, 32),
    *residual(32, 64),
    *(("AvgPool2d", 8), ("Flatten",), ("Linear", 64, 10)),
)
NORMED: Layers = (
    *(("Linear", 784, 128), ("BatchNorm1d", 128), ("GELU",), ("Dropout", 0.2)),
    *(("Linear", 128, 64), ("BatchNorm1d", 64), ("GELU",), ("Dropout", 0.2)),
    ("Linear", 64, 10),
)
GPT: Layers = (
    ("Embedding", 65, 128),
    ("Positions", 64, 128),
    *(("Block", 128, 4),) * 4,
    *(("LayerNorm", 128), ("Flatten", 0, 1), ("Linear", 128, 65)),
)


def _textbook(batch: int, bar: float | None = None, group: str = "") -> Workload:
    return Workload(
        lambda: tr(
            "the textbook's network (784-128-64-10), Adam, B={batch}", batch=batch
        ),
        TEXTBOOK,
        batch=batch,
        turn=_turn(TEXTBOOK, batch),
        bars=_fastest(bar) if bar else (),
        group=group,
        x=batch,
    )


def _wide(width: int) -> Workload:
    layers = dense(784, width, width, 10)
    turn = _turn(layers, 128)
    return Workload(
        lambda: tr("784-{n}-{n}-10, Adam, B={batch}", n=width, batch=128),
        layers,
        batch=128,
        turn=turn,
        group="width",
        x=width,
    )


def _recurrent(kind: str) -> Workload:
    layers: Layers = ((kind, 28, 128), ("Linear", 128, 10))
    return Workload(
        lambda: tr("{kind}, 28 steps of 28, hidden 128, Adam, B=64", kind=kind),
        layers,
        (28, 28),
        batch=64,
        turn=16,
        bars=_fastest(2.0),
    )


def _fastest(bar: float) -> tuple[tuple[str, float], ...]:
    return (("fastest", bar),)


WORKLOADS: dict[str, Workload] = {
    "textbook-32": _textbook(32, 3.2),
    "textbook-128": _textbook(128, 2.4),
    "textbook-512": _textbook(512, 2.0),
    "normed": Workload(
        lambda: tr(
            "the same with BatchNorm, dropout 0.2, GELU, norm clipping, AdamW, B=64"
        ),
        NORMED,
        batch=64,
        turn=200,
        optimizer="AdamW",
        clip_norm=1.0,
        bars=_fastest(2.5),
    ),
    "deep": Workload(
        lambda: tr("20 layers of 64, ReLU, Adam, B=32"),
        dense(*[64] * 21, 10),
        (64,),
        data="numbers",
        bars=_fastest(2.5),
    ),
    "tabular": Workload(
        lambda: tr("a table: 30-64-32-1, binary cross-entropy, Adam, B=32"),
        dense(30, 64, 32, 1),
        (30,),
        turn=2000,
        data="numbers",
        classes=1,
        bars=_fastest(2.5),
    ),
    "large": Workload(
        lambda: tr("784-{n}-{n}-10, Adam, B={batch}", n=2048, batch=256),
        dense(784, 2048, 2048, 10),
        batch=256,
        turn=4,
        bars=_fastest(1.2),
    ),
    "lenet": Workload(
        lambda: tr("LeNet-5 (6, 16 channels), Adam, B=64"),
        LENET,
        (1, 28, 28),
        batch=64,
        turn=40,
        bars=_fastest(2.0),
    ),
    "cnn": Workload(
        lambda: tr("MNIST CNN (32, 64 channels, 3×3, 9216-128-10), Adam, B=64"),
        CNN,
        (1, 28, 28),
        batch=64,
        turn=8,
        bars=_fastest(1.3),
    ),
    "resnet": Workload(
        lambda: tr("ResNet of 8 layers (16, 32, 64 channels) on 32×32×3, Adam, B=64"),
        RESNET,
        (3, 32, 32),
        batch=64,
        turn=8,
        data="numbers",
        bars=_fastest(1.2),
    ),
    "gpt": Workload(
        lambda: tr("character GPT: 4 layers, 4 heads, 128 wide, block 64, AdamW, B=12"),
        GPT,
        (64,),
        batch=12,
        turn=8,
        data="text",
        classes=65,
        optimizer="AdamW",
        bars=_fastest(1.4),
    ),
    "lstm": _recurrent("LSTM"),
    "gru": _recurrent("GRU"),
    "inference": Workload(
        lambda: tr("inference of the textbook's network, array to array, B=1"),
        TEXTBOOK,
        batch=1,
        turn=3000,
        kind="inference",
        bars=(("torch", 3.0), ("onnxruntime", 1.0)),
    ),
    "process": Workload(
        lambda: tr("chainrule train mnist (10 epochs, B=32), from start to end"),
        TEXTBOOK,
        kind="process",
        optimizer="AdamW",
        turn=10,
        most=5,
        bars=_fastest(4.0),
    ),
}
#: Rows of a plot: time against width and against batch.
GROUPS: dict[str, dict[str, Workload]] = {
    "width": {f"width-{n}": _wide(n) for n in (64, 256, 1024, 4096)},
    "batch": {f"batch-{n}": _textbook(n, group="batch") for n in (1, 8, 64, 512, 4096)},
}
ALL = WORKLOADS | {name: w for group in GROUPS.values() for name, w in group.items()}


@dataclass(frozen=True)
class Job:
    """A workload with its numbers, the same for all peers.

    Attributes:
        work: the workload.
        x, y: all samples, as they are stored.
        weights: the initial ones, a ``state_dict``.
    """

    work: Workload
    x: np.ndarray[Any, Any]
    y: np.ndarray[Any, Any]
    weights: dict[str, np.ndarray[Any, Any]]

    @classmethod
    def load(cls, folder: Path, name: str) -> Job:
        """What :func:`save` has written."""
        with np.load(folder / "weights.npz") as held:
            weights = dict(held)
        x, y = np.load(folder / "x.npy"), np.load(folder / "y.npy")
        return cls(ALL[name], x, y, weights)

    @property
    def features(self) -> np.ndarray[Any, Any]:
        """Samples as a network reads them: float32, pixels from 0 to 1; or integers."""
        if self.x.dtype == np.uint8:
            return self.x * np.float32(1 / 255)
        return self.x

    def order(self, turn: int) -> np.ndarray[Any, Any]:
        """The rows of a turn's batches, (steps, batch); other ones each turn."""
        size = self.work.turn, self.work.batch
        rng = np.random.default_rng([7, turn])
        return rng.integers(len(self.x), size=size, dtype=np.int32)


def save(folder: Path, work: Workload, weights: dict[str, Any], digits: Any) -> None:
    """Write a workload's numbers, for each peer's process to load.

    Args:
        digits: gives MNIST's images and labels.
    """
    rng = np.random.default_rng(0)
    if work.data == "digits":
        x, y = digits()
        x = x.reshape(len(x), *work.shape)
    elif work.data == "text":
        text = rng.integers(work.classes, size=(2000, work.shape[0] + 1))
        x, y = text[:, :-1].astype(np.int32), text[:, 1:].astype(np.int32)
    else:
        x = rng.standard_normal((8192, *work.shape), dtype=np.float32)
        y = rng.integers(max(work.classes, 2), size=len(x)).astype(np.int32)
        y = y.astype(np.float32) if work.classes == 1 else y
    np.save(folder / "x.npy", np.ascontiguousarray(x))
    np.save(folder / "y.npy", y)
    np.savez(folder / "weights.npz", **weights)
