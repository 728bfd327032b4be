"""A case as a Trainer and rows: the sick program, or its healthy twin."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import own
import pictures
import rows
import series
import tables

import chainrule as cr
from chainrule import nn, optim

HERE = Path(__file__).parent
#: The sets of cases, by name: a file each.
SETS = {"first": "cases.toml", "second": "second.toml"}
#: What a case holds, as its program reads it.
PARTS = ("data", "model", "init", "loss", "optimizer", "batch", "epochs")
#: What draws rows.
ROWS = {**vars(rows), **vars(tables), **vars(series), **vars(pictures)}


@dataclass(frozen=True)
class Program:
    """One program: expressions that name its parts, and its numbers."""

    case: str
    data: str
    model: str
    init: str
    loss: str
    optimizer: str
    batch: int
    epochs: int

    def rows(self) -> rows.Parts:
        """Draw its training rows and its held-out rows."""
        return _value(self.data, ROWS)

    def trainer(self, seed: int) -> cr.Trainer:
        """Build it, with weights drawn by a seed."""
        cr.manual_seed(seed)
        layers = _value(f"[{self.model}]", {**vars(nn), **own.NAMES})
        model = nn.Sequential(*layers)
        if self.init:
            kind, _, number = self.init.rstrip(")").partition("(")
            drawn(model, kind, float(number or 0), seed)
        loss = _value(self.loss, {**vars(nn), **own.NAMES})
        optimizer = _value(self.optimizer, vars(optim))
        return cr.Trainer(model, loss=loss, optimizer=optimizer, seed=seed)


def _value(expression: str, names: Mapping[str, Any]) -> Any:
    return eval(expression, dict(names))


def drawn(model: nn.Module, kind: str, size: float, seed: int) -> None:
    """Set initial weights as the program says: uniform, normal, zeros; biases 0."""
    rng = np.random.default_rng(seed)
    draw = {
        "uniform": lambda s: rng.uniform(-size, size, s),
        "normal": lambda s: rng.normal(0, size, s),
        "zeros": np.zeros,
    }[kind]
    for _, weights in model.named_parameters():
        shape = tuple(weights.shape)
        new = draw(shape) if len(shape) > 1 else np.zeros(shape)
        weights.copy_(cr.tensor(new.astype(np.float32)))


def cases(chosen: str = "first") -> dict[str, dict[str, Any]]:
    """Read the cases of a set by name."""
    made = tomllib.loads((HERE / SETS[chosen]).read_text(encoding="utf-8"))["case"]
    return {case["name"]: case for case in made}


def program(case: dict[str, Any], *, healthy: bool) -> Program:
    """Return a case's program, or its twin with the fix applied."""
    parts = {key: case.get(key, "") for key in PARTS}
    if healthy:
        parts |= case["healthy"]
    return Program(case["name"], **parts)


def right_targets(case: dict[str, Any], *, healthy: bool) -> Any:
    """Return the right targets of the rows that a program holds out.

    They are those of its twin, which has the same rows, or, where a case says that it
    has rows of its own, its own.
    """
    mine = healthy or not case.get("own_rows", False)
    return program(case, healthy=mine).rows()[1][1]


# -- scores ----------------------------------------------------------------------------


def score(made: cr.Trainer, held: tuple[Any, Any], truth: Any) -> float:
    """Return accuracy for classes, R² for quantities, of held-out rows.

    Args:
        made: a trained Trainer.
        held: held-out rows as the program has them.
        truth: their targets as the healthy twin has them, which are right.
    """
    outputs = np.asarray(made.predict(held[0]), np.float64)
    if is_quantity(truth):
        mine = np.asarray(held[1], np.float64)
        if outputs.size != mine.size:
            return -1.0
        off = ((outputs.reshape(mine.shape) - mine) ** 2).sum()
        return max(-1.0, 1 - float(off / ((mine - mine.mean(0)) ** 2).sum()))
    known = classes(truth)
    if outputs.ndim > 1 and outputs.shape[-1] > 1 and known.ndim == 1:
        said = outputs.argmax(-1)
    else:
        cut = 0.0 if isinstance(made.loss, nn.BCEWithLogitsLoss) else 0.5
        said = (outputs >= cut).astype(int).reshape(known.shape)
    return float((said == known).mean())


def is_quantity(truth: Any) -> bool:
    """Return whether targets are quantities, not classes."""
    y = np.asarray(truth)
    return y.dtype.kind == "f" and not np.isin(y, (0, 1)).all()


def classes(truth: Any) -> Any:
    """Return the class of each row; of several labels a row, each."""
    y = np.asarray(truth)
    if y.ndim == 2 and y.shape[1] == 1:
        return y[:, 0].astype(int)
    one_hot = y.ndim == 2 and (y.sum(1) == 1).all()
    return y.argmax(1) if one_hot else y.astype(int)


def constant(train: Any, truth: Any) -> float:
    """Return the score of the best constant answer."""
    if is_quantity(truth):
        return 0.0
    known, seen = classes(truth), classes(train)
    if known.ndim == 2:
        return float((known == (seen.mean(0) >= 0.5)).mean())
    values, counts = np.unique(seen, return_counts=True)
    return float((known == values[counts.argmax()]).mean())
