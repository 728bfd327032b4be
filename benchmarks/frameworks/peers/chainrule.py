"""Chainrule: the program that a Trainer runs, and a compiled model.

A step includes what a Trainer's does: the batch is gathered from the samples as they
are stored, and pixels are scaled. The variant is the engine.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.compilation.program import CompiledProgram
from chainrule.engines import capabilities, resolve_engine
from chainrule.training.data_adapter import DatasetAdapter
from chainrule.training.entries import Entries
from frameworks.workloads import Job, Layers


class Residual(nn.Module):
    """``body(x) + shortcut(x)``."""

    def __init__(self, body: Layers, shortcut: Layers) -> None:
        self.body, self.shortcut = build(body), build(shortcut)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """The sum."""
        return self.body(x) + self.shortcut(x)


class Positions(nn.Embedding):
    """A learnt row for each place of a sequence."""

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """Each place with its row."""
        return x + self.weight


class Block(nn.TransformerEncoderLayer):
    """A transformer's block, which looks back only."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(
            *(width, heads, 4 * width, 0.0, "gelu"), batch_first=True, norm_first=True
        )

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """The sequence with what it looked at."""
        return super().forward(x, is_causal=True)


class LSTM(nn.LSTM):
    """What it gives at the last step."""

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """(N, m)."""
        return super().forward(x)[0][:, -1]


class GRU(nn.GRU):
    """What it gives at the last step."""

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """(N, m)."""
        return super().forward(x)[0][:, -1]


OWN = {
    "Residual": Residual,
    "Positions": Positions,
    "Block": Block,
    "LSTM": functools.partial(LSTM, batch_first=True),
    "GRU": functools.partial(GRU, batch_first=True),
}


def build(layers: Layers) -> nn.Sequential:
    """The network."""
    makers = [OWN.get(kind) or getattr(nn, kind) for kind, *_ in layers]
    return nn.Sequential(*[make(*layer[1:]) for make, layer in zip(makers, layers)])


def _network(job: Job) -> nn.Sequential:
    model = build(job.work.layers)
    model.load_state_dict(job.weights)
    return model


def _options(variant: str, threads: int | None) -> dict[str, Any]:
    """The engine, and its threads where it takes a number; XLA's are the process's."""
    engine = resolve_engine(variant or "native")
    return {
        "engine": engine,
        "threads": threads if capabilities(engine).threads else None,
    }


class Training:
    """The entry point ``train`` of a Trainer, with its data in the engine's memory."""

    def __init__(self, job: Job, variant: str, threads: int | None) -> None:
        work, model = job.work, _network(job)
        loss = nn.BCEWithLogitsLoss() if work.classes == 1 else nn.CrossEntropyLoss()
        optimizer = getattr(optim, work.optimizer)(
            lr=1e-3, weight_decay=work.weight_decay, clip_norm=work.clip_norm
        )
        optimizer.attach_parameters(dict(model.named_parameters()))
        self.parameters = sum(p.size for p in model.parameters())

        def cost(scores: cr.Tensor, truth: cr.Tensor) -> cr.Tensor:
            flat = scores.reshape(-1) if work.classes == 1 else scores
            return loss(flat, truth.reshape(-1))

        entries = Entries.of(model, cost, optimizer)
        scale = 1 / 255 if job.x.dtype == np.uint8 else None
        data = cr.data.Dataset(job.x, job.y, scale=scale)
        self.x, self.y = data.x.stored, data.y
        adapter = DatasetAdapter(data, seed=0)
        self.program = CompiledProgram(
            [entries.train(adapter.step, entries.dtypes(adapter.kinds))],
            **_options(variant, threads),
        )
        self.x = self.program.put("train", "x", self.x)
        self.y = self.program.put("train", "y", self.y)

    def run(self, order: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """A step on each batch; the losses, fetched, and so the steps are done."""
        inputs = {"x": self.x, "y": self.y, "index": order}
        return np.asarray(self.program.run("train", inputs, steps=len(order))["loss"])


class Inference:
    """A compiled model."""

    def __init__(self, job: Job, variant: str, threads: int | None) -> None:
        model = _network(job).eval()
        self.parameters = sum(p.size for p in model.parameters())
        self.call = cr.compile(model, **_options(variant, threads))

    def __call__(self, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The scores of a batch."""
        with cr.no_grad():
            return self.call(x).numpy()
