"""Targets that stand among the inputs, and such as may."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import nn
from chainrule.data import Dataset
from chainrule.doctor import Case, Finding, examples
from chainrule.doctor.symptoms.target_among_inputs import target_among_inputs

DRAW = np.random.default_rng(0)
#: Features of 200 rows, one of 0 and 1 among them, and words.
X = DRAW.normal(size=(200, 5)).astype(np.float32)
X[:, 4] = DRAW.integers(0, 2, 200)
WORDS = DRAW.integers(0, 12, (200, 6))
NOISE = DRAW.normal(size=200).astype(np.float32)


def found(x: Any, y: Any, **more: Any) -> Finding | None:
    """Return what this symptom alone says of rows."""
    names = [f"c{k}" for k in range(np.asarray(x).shape[-1])]
    rows = Dataset(x, y, feature_names=names if np.ndim(x) == 2 else None)
    width = int(np.prod(np.shape(x)[1:]))
    model = nn.Sequential(nn.Flatten(), nn.Linear(width, 12))
    trainer, data, given = examples.example(model, rows, **more)
    return target_among_inputs.look(Case(trainer, data, **given))


#: Features and targets, and the column that is the target.
COPIED: dict[str, tuple[Any, Any, str]] = {
    "quantity": (X, X[:, 1], "c1"),
    "column of quantities": (X, X[:, 1:2], "c1"),
    "in another unit": (X, 1000 - 2.54 * X[:, 2], "c2"),
    "words": (WORDS, WORDS[:, 5], "c5"),
    "of two classes": (X, X[:, 4:], "c4"),
    "label": (X, X[:, 4].astype(np.int32), "c4"),
    "one-hot": (
        WORDS.astype(np.float32),
        np.eye(12, dtype=np.float32)[WORDS[:, 3]],
        "c3",
    ),
    "sequence": (np.stack([X, X[::-1]], 2), X[:, 3], "6"),
}


@pytest.mark.parametrize("name", COPIED)
def test_a_target_among_the_inputs_is_named(name: str) -> None:
    x, y, column = COPIED[name]
    said = found(x, y)
    assert said is not None
    assert (said.severity, said.component) == ("risk", "data")
    assert said.where.endswith(f"columns {column}")
    assert said.evidence["columns_that_are_the_target"] == 1


#: Features and targets that have not the same numbers, or may have.
OWN: dict[str, tuple[Any, Any]] = {
    "noise": (X, X[:, 1] + 1e-3 * NOISE),
    "in all rows but one": (X, np.where(np.arange(200) == 7, 9, X[:, 1])),
    "sum": (X, X[:, 1] + X[:, 2]),
    "line of the only column": (X[:, :1], 2 * X[:, :1] - 1),
    "line of all columns": (np.stack([X[:, 0], X[:, 0] - 1], 1), X[:, :1] + 1),
    "autoencoder": (X, X),
    "steps of a sequence": (X[:, :-1], X[:, 1:]),
    "sign": (X, (X[:, 0] > 0).astype(np.int32)),
    "constant": (X, 0 * X[:, 0] + 3),
    "a few of one class": (
        np.concatenate([X, (np.arange(200) % 50 == 0)[:, None]], 1).astype(np.float32),
        (np.arange(200) % 50 == 0).astype(np.int32),
    ),
    "four rows": (X[:4], X[:4, 1]),
}


@pytest.mark.parametrize("name", OWN)
def test_of_other_targets_nothing_is_said(name: str) -> None:
    assert found(*OWN[name]) is None


def test_held_out_rows_have_to_show_it_as_well() -> None:
    assert found(X, X[:, 1], validation=(X, X[:, 1])) is not None
    assert found(X, X[:, 1], validation=(X, NOISE)) is None
    assert found(X, X[:, 1], validation=(X[:9], X[:9, 1] * 0)) is None
