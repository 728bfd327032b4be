"""Right checkpoints to start from: small networks at different points of their runs."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.training import Callback, EarlyStopping, saving

Arrays = dict[str, np.ndarray]
Parts = dict[str, Any]


@dataclass(frozen=True)
class Seed:
    """A right checkpoint.

    Attributes:
        document, tensors: what it holds.
        content: its bytes.
        data: what it was trained on.
        parts: makes the model, the loss and the optimiser anew.
    """

    document: dict[str, Any]
    tensors: Arrays
    content: bytes
    data: cr.data.Dataset
    parts: Callable[[], Parts]


class Stop(Callback):
    """End the run after some number of updates."""

    def __init__(self, updates: int) -> None:
        self.updates = updates

    def on_chunk(self, trainer: cr.Trainer) -> None:
        if trainer.optimizer.steps >= self.updates:
            trainer.stop()


def digest(text: str, tensors: Arrays) -> str:
    """The SHA-256 of a document and its tensors, as the format has it."""
    sha = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array = tensors[name]
        sha.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def sign(text: str, tensors: Arrays) -> bytes:
    """The bytes of a checkpoint with this document, these tensors, the right digest."""
    from safetensors.numpy import save

    whole = {name: np.array(array, order="C") for name, array in tensors.items()}
    sha = digest(text, whole)
    return save(whole, metadata={"chainrule": text, "version": "1", "sha256": sha})


def _labels() -> cr.data.Dataset:
    x = np.random.default_rng(0).normal(size=(24, 4)).astype(np.float32)
    return cr.data.Dataset(x, x[:, :3].argmax(1).astype(np.int32), classes=3)


def _quantities() -> cr.data.Dataset:
    x = np.random.default_rng(1).normal(size=(24, 4)).astype(np.float32)
    return cr.data.Dataset(x, x @ np.ones((4, 1), np.float32) * 5 + 2)


# -- networks ------------------------------------------------------------------------


def _untrained() -> Parts:
    embedding = nn.Sequential(nn.Embedding(6, 2), nn.Flatten(), nn.Linear(8, 3))
    return {
        "model": embedding,
        "loss": nn.CrossEntropyLoss(),
        "optimizer": optim.Adam(lr=0.01),
    }


def _classifier() -> Parts:
    inner = nn.Sequential(nn.Linear(4, 5, init="kaiming_normal"), nn.ReLU())
    inner[0].bias.requires_grad_(False)
    return {
        "model": nn.Sequential(inner, nn.Dropout(0.1), nn.Linear(5, 3)),
        "loss": nn.CrossEntropyLoss(weight=[1.0, 2.0, 1.0], label_smoothing=0.1),
        "optimizer": optim.AdamW(lr=optim.OneCycleLR(0.05), clip_norm=1.0),
        "metrics": ["accuracy", "top2", "confusion_matrix"],
        "probes": ["activation_mean/*", "lr"],
        "seed": 7,
    }


def _regression() -> Parts:
    data = _quantities()
    cosine = optim.LinearWarmup(optim.CosineAnnealingLR(0.1), steps=2)
    return {
        "model": nn.Sequential(
            nn.Standardize.of(data.x[...]),
            nn.Linear(4, 5),
            nn.BatchNorm1d(5),
            nn.GELU("tanh"),
            nn.Linear(5, 1),
            nn.Unstandardize.of(data.y),
        ),
        "loss": nn.HuberLoss(delta=2.0),
        "optimizer": optim.SGD(
            [{"params": "*.bias", "weight_decay": 0.0, "lr": 0.01}, {"params": "*"}],
            lr=cosine,
            momentum=0.9,
            nesterov=True,
            weight_decay=0.1,
        ),
    }


def _normalised() -> Parts:
    plateau = optim.ReduceLROnPlateau(0.1, "train_loss", patience=1)
    return {
        "model": nn.Sequential(
            nn.LayerNorm(4), nn.ELU(0.5), nn.Linear(4, 3, bias=False), nn.Softmax()
        ),
        "loss": nn.CrossEntropyLoss(from_logits=False),
        "optimizer": optim.RMSprop(lr=plateau, momentum=0.5, centered=True),
    }


def _averaged() -> Parts:
    return {
        "model": nn.Sequential(nn.Linear(4, 3)),
        "loss": nn.CrossEntropyLoss(),
        "optimizer": optim.Adam(lr=0.01),
        "metrics": ["f1", "log_loss"],
        "ema_decay": 0.75,
    }


# -- runs ----------------------------------------------------------------------------


def _fit(trainer: cr.Trainer, data: cr.data.Dataset, **options: Any) -> None:
    trainer.fit(data, batch_size=8, progress=False, **options)


def _leave(trainer: cr.Trainer, data: cr.data.Dataset) -> None:
    """Not trained."""


def _finish(trainer: cr.Trainer, data: cr.data.Dataset) -> None:
    trainer.notes = {"who": "me", "list": [1, 2.5, None, "η"]}
    _fit(trainer, data, epochs=2, validation=data)


def _end(trainer: cr.Trainer, data: cr.data.Dataset) -> None:
    _fit(trainer, data, epochs=2, drop_last=True)


def _interrupt(trainer: cr.Trainer, data: cr.data.Dataset) -> None:
    """Within the second epoch, with a callback that remembers weights."""
    calls = [EarlyStopping("train_loss", patience=3), Stop(4)]
    _fit(trainer, data, epochs=3, callbacks=calls)
    assert trainer.plan is not None
    names: Any = {"class_names": ("a", "b", "c"), "format": {"kind": "csv"}}
    trainer.state.plan = replace(trainer.plan, **names)


def _accumulate(trainer: cr.Trainer, data: cr.data.Dataset) -> None:
    """Within an update of the second epoch."""
    stop = Stop(3)
    _fit(trainer, data, epochs=2, callbacks=[stop], accumulate_grad_batches=2)
    assert trainer.state.updates > 3


_CASES = (
    (_untrained, _leave, _labels),
    (_classifier, _finish, _labels),
    (_regression, _end, _quantities),
    (_normalised, _interrupt, _labels),
    (_averaged, _accumulate, _labels),
)
COUNT = len(_CASES)


@functools.cache
def seed(number: int) -> Seed:
    """One of the right checkpoints, 0 … COUNT − 1."""
    parts, run, made = _CASES[number]
    data = made()
    cr.manual_seed(number)
    trainer = cr.Trainer(**parts(), engine="numpy")
    run(trainer, data)
    document, tensors = saving.pack(trainer)
    text = json.dumps(document, ensure_ascii=False, sort_keys=True)
    content = sign(text, tensors)
    return Seed(json.loads(text), tensors, content, data, parts)
