"""The numbers of a clinic: of a run by epoch and layer, of weights, data, outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from chainrule.book.experiments.descent import on_purpose
from chainrule.data import Dataset
from chainrule.doctor.setup import PROBES, Setup
from chainrule.errors import NonFiniteError
from chainrule.training import History, Trainer

#: Rows whose outputs are shown.
SHOWN = 3


def trained(setup: Setup) -> History:
    """Train a copy; return its history, as far as its loss is a number."""
    trainer = Trainer(
        setup.model,
        loss=setup.loss,
        optimizer=setup.optimizer,
        metrics=["accuracy"],
        probes=PROBES,
        engine=setup.engine,
        seed=setup.seed,
    )
    with on_purpose(), suppress(NonFiniteError):
        trainer.fit(
            setup.train,
            epochs=setup.epochs,
            batch_size=setup.batch_size,
            validation=setup.held_out,
            progress=False,
        )
    return trainer.history


def numbers_of(history: History) -> dict[str, Any]:
    """Return the numbers of a run: losses by epoch and step, probes by layer."""
    steps = history.steps

    def of(kind: str, at: int) -> dict[str, float]:
        head = f"{kind}/"
        return {
            name.removeprefix(head): float(values[at])
            for name, values in steps.items()
            if name.startswith(head) and len(values)
        }

    def both(kind: str, keep: Callable[[str], bool] = bool) -> list[dict[str, Any]]:
        last = of(kind, -1)
        return [
            {"layer": name, "first": first, "last": last[name]}
            for name, first in of(kind, 0).items()
            if keep(name)
        ]

    return {
        "epochs": [
            {
                "train_loss": row["train_loss"],
                "validation_loss": row.get("validation_loss", math.nan),
                "accuracy": row.get("validation_accuracy", math.nan),
            }
            for row in history.epochs
        ],
        "losses": np.asarray(steps["loss"], np.float64).tolist(),
        "gradients": both("grad_norm", lambda name: name.endswith("weight")),
        "activations": both("activation_std"),
        "dead": of("dead", -1),
        "updates": both("update_ratio", lambda name: name.endswith("weight")),
    }


def weights_of(own: Sequence[tuple[str, Any]], updates: Any) -> list[dict[str, Any]]:
    moved = {row["layer"]: row["first"] for row in updates}
    return [
        {
            "layer": name,
            "std": float(w.std()),
            "least": float(w.min()),
            "greatest": float(w.max()),
            "update": moved.get(name, math.nan),
        }
        for name, w in own
        if w.ndim > 1
    ]


def data_of(train: Dataset) -> dict[str, Any]:
    x = np.asarray(train.x[:], np.float64)
    return {
        "rows": len(train),
        "columns": x.shape[1],
        "least": float(x.min()),
        "greatest": float(x.max()),
        "mean": float(x.mean()),
        "std": float(x.std()),
        "classes": np.bincount(train.y).tolist(),
    }


def outputs_of(trainer: Trainer, train: Dataset) -> list[list[float]]:
    return np.asarray(trainer.predict(train.take(SHOWN)), np.float64).tolist()
