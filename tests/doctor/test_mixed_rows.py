"""Rows of a batch: networks that mix them, and such as only look like it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.data import Dataset
from chainrule.doctor import Case, Finding, examples
from chainrule.doctor.symptoms.rows_mixed import rows_mixed


def found(model: nn.Module, rows: Dataset) -> Finding | None:
    """Return what this symptom alone says of a network."""
    trainer, data, more = examples.example(model, rows, epochs=15)
    return rows_mixed.look(Case(trainer, data, **more))


def sequences(steps: int = 6) -> Dataset:
    """Return sequences of which the first step tells the class."""
    x = np.random.default_rng(0).normal(size=(300, steps, 4)).astype(np.float32)
    return Dataset(x, (x[:, 0, 0] > x[:, 0, 1]).astype(np.int32), classes=2)


class Own(nn.Module):
    """A network around a function of its hidden numbers."""

    def __init__(self, between: Callable[[cr.Tensor], cr.Tensor]) -> None:
        self.first, self.last = nn.Linear(2, 16), nn.Linear(16, 2)
        self.between = between

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.last(self.between(self.first(x).relu()))


class Steps(nn.Module):
    """A recurrent layer that wants the steps first, and what it has at the last one."""

    def __init__(self, *, swapped: bool) -> None:
        self.cell, self.last = nn.GRU(4, 16), nn.Linear(16, 2)
        self.swapped = swapped

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        rows, steps, columns = x.shape
        turned = x.transpose(0, 1) if self.swapped else x.reshape(steps, rows, columns)
        outputs, _state = self.cell(turned)
        return self.last(outputs[-1])


class Attention(nn.Module):
    """Attention among the steps of a row, or among the rows."""

    def __init__(self, *, batch_first: bool) -> None:
        self.inner = nn.TransformerEncoderLayer(4, 2, 16, 0.0, batch_first=batch_first)
        self.last = nn.Linear(24, 2)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.last(self.inner(x).reshape(-1, 24))


#: Networks that mix rows, with their rows and whether that costs learning.
MIXED: dict[str, tuple[Callable[[], nn.Module], Callable[[], Dataset], str]] = {
    "viewed": (lambda: Steps(swapped=False), sequences, "sick"),
    "mean over rows": (
        lambda: Own(lambda h: h.mean(0, keepdims=True) + 0 * h),
        examples.moons,
        "sick",
    ),
    "shifted": (lambda: Own(lambda h: cr.roll(h, 1, 0)), examples.moons, "sick"),
    "attention": (lambda: Attention(batch_first=False), sequences, "risk"),
    "less the mean": (
        lambda: Own(lambda h: h - 0.1 * h.mean(0, keepdims=True)),
        examples.moons,
        "risk",
    ),
    "no running statistics": (
        lambda: nn.Sequential(
            nn.Linear(2, 16),
            nn.BatchNorm1d(16, track_running_stats=False),
            nn.ReLU(),
            nn.Linear(16, 2),
        ),
        examples.moons,
        "risk",
    ),
}


@pytest.mark.parametrize("name", MIXED)
def test_a_network_that_mixes_rows_is_named(name: str) -> None:
    model, rows, severity = MIXED[name]
    said = found(examples.drawn(model), rows())
    assert said is not None
    assert (said.severity, said.component) == (severity, "architecture")
    changes = [said.evidence[f"change_by_{by}"] for by in ("other_rows", "order")]
    assert max(changes) > 1e-3


class Remembering(nn.Module):
    """A network that counts its calls, and adds the count."""

    def __init__(self) -> None:
        self.inner, self.calls = examples.mlp(), [0]

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        self.calls[0] += 1
        return self.inner(x) + 0.01 * self.calls[0]


def deep(depth: int = 40) -> nn.Module:
    """Return a network that multiplies every rounding, layer by layer."""
    model = examples.mlp(depth=depth, act=nn.Tanh)
    for weights in model.parameters():
        if weights.ndim > 1:
            weights.copy_(weights * 12)
    return model


#: Networks that leave rows apart, or of which nobody knows.
APART: dict[str, tuple[Callable[[], nn.Module], Callable[[], Dataset]]] = {
    "batch norm": (
        lambda: nn.Sequential(
            nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2)
        ),
        examples.moons,
    ),
    "swapped": (lambda: Steps(swapped=True), sequences),
    "as many steps as rows that are asked": (
        lambda: Steps(swapped=True),
        lambda: sequences(7),
    ),
    "attention": (lambda: Attention(batch_first=True), sequences),
    "random": (lambda: Own(lambda h: h + cr.randn(*h.shape)), examples.moons),
    "remembering": (Remembering, examples.moons),
    "deep": (deep, examples.moons),
    "of so many rows alone": (
        lambda: Own(lambda h: cr.roll(h, 1, 0).reshape(32, 16)),
        lambda: examples.moons(320),
    ),
    "equal rows": (
        lambda: Own(lambda h: cr.roll(h, 1, 0)),
        lambda: Dataset(np.ones((60, 2), np.float32), np.arange(60) % 2, classes=2),
    ),
}


@pytest.mark.parametrize("name", APART)
def test_of_rows_that_stay_apart_nothing_is_said(name: str) -> None:
    model, rows = APART[name]
    assert found(examples.drawn(model), rows()) is None


class Flipped(nn.Module):
    """The rows in another order."""

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return cr.flip(x, 0)


def test_a_rate_that_cures_leaves_a_risk() -> None:
    """Where something else is sick, who else is asked may be of no consequence."""
    model, rows, _severity = MIXED["no running statistics"]
    trainer, data, more = examples.example(examples.drawn(model), rows(), lr=1e-6)
    diagnosis = cr.diagnose(trainer, data, **more)
    assert diagnosis.findings[0].code == "learning-rate-too-small", str(diagnosis)
    said = {f.code: f.severity for f in diagnosis.findings}
    assert said["rows-mixed"] == "risk"


def test_the_module_that_mixes_is_named() -> None:
    layers = nn.Linear(2, 16), Flipped(), nn.ReLU(), nn.Linear(16, 2)
    said = found(nn.Sequential(*layers), examples.moons())
    assert said is not None
    assert said.evidence["first_seen_in"] == "1"


def test_asking_is_paid_for() -> None:
    """And not done where the budget is spent."""
    trainer, data, more = examples.example()
    case = Case(trainer, data, **more)
    assert case.trial.error is None
    before = case.budget.spent
    assert rows_mixed.rule(case) is None
    assert case.budget.spent > before
    assert "rows" not in case.not_examined
    case.budget.spent = case.budget.seconds
    assert rows_mixed.rule(case) is None
    assert "rows" in case.not_examined
