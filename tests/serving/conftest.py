"""Runs to serve: a table with gaps, texts and dates, and images as bytes."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim

KINDS = ("oak", "elm", "fir")


def trees(path: Path, rows: int = 60) -> list[dict[str, str]]:
    """Write a table of trees; nothing in it is regular."""
    draw = np.random.default_rng(0)
    made: list[dict[str, str]] = []
    for i in range(rows):
        minutes = np.timedelta64(int(draw.integers(0, 14_000_000)), "m")
        day = np.datetime64("1996-02-20T00:10") + minutes
        made.append(
            {
                "age": "" if i % 7 == 3 else f"{draw.uniform(1, 90):.2f}",
                "kind": "" if i % 11 == 5 else KINDS[int(draw.integers(3))],
                "planted": "" if i % 13 == 4 else str(day.astype("datetime64[m]")),
                "tall": ("yes", "no")[int(draw.integers(2))],
            }
        )
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(made[0]))
        table.writeheader()
        table.writerows(made)
    return made


def trained(run: Path, data: Any, *layers: nn.Module, loss: Any = None) -> cr.Trainer:
    """A run of one epoch in a directory."""
    cr.manual_seed(0)
    loss = loss or nn.CrossEntropyLoss()
    model = nn.Sequential(*layers)
    trainer = cr.Trainer(
        model, optimizer=optim.Adam(lr=0.01), loss=loss, engine="numpy"
    )
    trainer.fit(data, epochs=1, batch_size=8, progress=False)
    run.mkdir(exist_ok=True)
    trainer.save(run / "last.ckpt")
    return trainer


def of_trees(folder: Path, **options: Any) -> cr.Trainer:
    trees(folder / "trees.csv")
    data = cr.data.read_csv(folder / "trees.csv", target="tall", **options)
    width = data.x.shape[1]
    first = nn.Standardize.of(data.x)
    return trained(
        folder / "run", data, first, nn.Linear(width, 8), nn.ReLU(), nn.Linear(8, 2)
    )


@pytest.fixture(scope="session")
def forest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``trees.csv``, its run in ``run`` and ``program.safetensors``."""
    from chainrule.runs import exporting

    folder = tmp_path_factory.mktemp("forest")
    of_trees(folder)
    exporting.save(folder / "run", folder / "program.safetensors")
    return folder
