"""References that know nothing of a run, and what is wrong with its rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.data import Dataset
from chainrule.doctor import (
    Case,
    Change,
    Diagnosis,
    draws,
    evidence,
    examples,
    reference,
)
from chainrule.doctor import standard as networks
from chainrule.doctor.rebuilding import shallower
from chainrule.doctor.setup import run
from chainrule.doctor.space import combined

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng


def spheres(n: int = 700, inputs: int = 6) -> tuple[Array, Array]:
    """Return rows in many dimensions, where neighbours say little."""
    x = RNG(0).normal(size=(n, inputs)).astype(np.float32)
    return x, (np.abs(x).sum(1) > 0.8 * inputs).astype(np.int32)


def hills(n: int = 500) -> tuple[Array, Array]:
    x = RNG(0).normal(size=(n, 4)).astype(np.float32)
    y = np.sin(2 * x[:, :1]) + x[:, 1:2] ** 2
    return x, y.astype(np.float32)


def halves(x: Array, y: Array, of: float = 0.7) -> tuple[Dataset, Dataset]:
    cut = int(len(x) * of)
    classes = 2 if y.dtype.kind == "i" else None
    return tuple(
        Dataset(x[s], y[s], classes=classes) for s in (slice(cut), slice(cut, None))
    )  # type: ignore[return-value]


def network(inputs: int, outputs: int) -> nn.Sequential:
    return examples.mlp(inputs, outputs, width=32)


def diagnosed(x: Array, y: Array, *, of: float = 0.7, **given: Any) -> Diagnosis:
    train, held = halves(x, y, of)
    loss = nn.CrossEntropyLoss() if y.dtype.kind == "i" else nn.MSELoss()
    outputs = 2 if y.dtype.kind == "i" else 1
    model = given.pop("model", None) or network(x.shape[1], outputs)
    trainer, data, more = examples.example(model, train, loss=loss, **given)
    return cr.diagnose(trainer, data, validation=held, **more)


def sick(found: Diagnosis) -> list[str]:
    return [f.code for f in found.findings if f.severity == "sick"]


# -- labels ----------------------------------------------------------------------------


def spoilt(y: Array, how: str, of: float = 0.7) -> Array:
    """Return targets whose training rows are spoilt."""
    cut, made = int(len(y) * of), y.copy()
    if how == "shuffled":
        made[:cut] = RNG(1).permutation(y[:cut])
    elif how == "half":
        some = RNG(1).permutation(cut)[: int(0.7 * cut)]
        made[some] = RNG(2).permutation(y[some])
    elif how == "other sign":
        made[:cut] = -y[:cut] if y.dtype.kind == "f" else 1 - y[:cut]
    elif how == "few":
        some = RNG(1).permutation(cut)[: int(0.1 * cut)]
        made[some] = RNG(2).permutation(y[some])
    return made


@pytest.mark.one_in(3)
@pytest.mark.parametrize("how", ["shuffled", "half", "other sign"])
@pytest.mark.parametrize("rows", [spheres, hills])
def test_labels_are_wrong_where_held_out_rows_know_better(rows: Any, how: str) -> None:
    x, y = rows()
    assert sick(diagnosed(x, spoilt(y, how))) == ["wrong-labels"]


@pytest.mark.one_in(2)
@pytest.mark.parametrize("how", ["none", "few"])
@pytest.mark.parametrize("rows", [spheres, hills])
def test_labels_are_right_where_they_teach_as_much(rows: Any, how: str) -> None:
    x, y = rows()
    assert sick(diagnosed(x, spoilt(y, how))) == []


@pytest.mark.slow
def test_a_bad_network_is_no_proof_of_wrong_targets() -> None:
    """A score below that of a constant answer, and held-out rows that know nothing."""
    x = RNG(0).normal(size=(200, 4)).astype(np.float32)
    y = RNG(1).normal(size=(200, 1)).astype(np.float32)
    found = diagnosed(x, y, lr=0.05, epochs=100)
    assert found.case is not None
    assert found.case.score is not None
    assert found.case.score < -0.05
    assert "wrong-labels" not in [f.code for f in found.findings]


def test_of_words_their_counts_are_asked() -> None:
    words = RNG(0).integers(0, 40, (600, 8))
    y = (np.isin(words, range(10)).sum(1) > 1.9).astype(np.int32)
    y[:420] = RNG(1).permutation(y[:420])
    train, held = halves(words.astype(np.int32), y)
    model = nn.Sequential(nn.Embedding(40, 8), nn.Flatten(), examples.mlp(64, 2))
    trainer, data, given = examples.example(model, train, epochs=10)
    assert "wrong-labels" in sick(cr.diagnose(trainer, data, validation=held, **given))


# -- rows ------------------------------------------------------------------------------


def test_few_rows_are_told_from_wrong_ones() -> None:
    x, y = hills(600)
    assert sick(diagnosed(x, y, of=20 / 600))[:1] == ["too-few-rows"]
    wrong = spoilt(y, "shuffled", 60 / 600)
    assert "wrong-labels" in sick(diagnosed(x, wrong, of=60 / 600))


def arms(rows: int, classes: int, seed: int) -> tuple[Any, Any, dict[str, Any]]:
    """Return a run on spirals, of a few rows, and 450 held-out ones."""
    made = cr.data.spiral(700, classes=classes, turns=1.5, seed=seed)
    order = RNG(100 * seed + rows).permutation(len(made))
    model = network(2, classes)
    train, held = made.rows(order[:rows]), made.rows(order[rows : rows + 450])
    return examples.example(model, train, validation=held, epochs=60)


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("rows", "classes", "seed"), [(40, 2, 0), (40, 3, 0), (60, 3, 1)]
)
def test_right_labels_of_few_rows_are_not_called_wrong(
    rows: int, classes: int, seed: int
) -> None:
    """As many of the held-out rows, drawn several times, teach no more."""
    trainer, data, given = arms(rows, classes, seed)
    found = cr.diagnose(trainer, data, **given)
    assert "wrong-labels" not in [f.code for f in found.findings], str(found)
    assert "too-few-rows" in sick(found)


def test_what_more_rows_would_teach_is_not_lost() -> None:
    """Pictures each brought to its own range, and few of them: it is usual."""
    drawn = RNG(0)
    x = drawn.uniform(0, 0.5, (550, 36)).astype(np.float32)
    y = drawn.integers(0, 6, 550).astype(np.int32)
    x[np.arange(550), 6 * y + drawn.integers(0, 6, 550)] += 1.0
    x -= x.min(1, keepdims=True)
    x /= x.max(1, keepdims=True)
    train, held = (
        Dataset(x[s], y[s], classes=6) for s in (slice(100), slice(100, None))
    )
    trainer, data, given = examples.example(network(36, 6), train, epochs=60)
    found = cr.diagnose(trainer, data, validation=held, **given)
    assert sick(found) == [], str(found)


@pytest.mark.slow
def test_a_class_that_is_not_trained_on_is_a_risk_where_it_is_rare() -> None:
    x, y = spheres()
    y = np.where((np.arange(len(y)) > 490) & (np.arange(len(y)) % 50 == 0), 2, y)
    y = y.astype(np.int32)
    train, held = (
        Dataset(x[s], y[s], classes=3) for s in (slice(490), slice(490, None))
    )
    trainer, data, given = examples.example(network(6, 3), train)
    found = cr.diagnose(trainer, data, validation=held, **given)
    assert ("class-not-trained-on", "risk") in [
        (f.code, f.severity) for f in found.findings
    ]


@pytest.mark.slow
def test_noise_in_the_training_rows_alone() -> None:
    x, y = spheres()
    x[:490] += RNG(3).normal(0, 4, x[:490].shape).astype(np.float32)
    assert sick(diagnosed(x, y)) == ["inputs-differ"]


@pytest.mark.one_in(2, first=1)
@pytest.mark.parametrize("lost", [0.3, 0.8])
def test_columns_that_are_lost(lost: float) -> None:
    x, y = spheres(inputs=10)
    x[:, : int(10 * lost)] = 0
    assert ("constant-columns" in sick(diagnosed(x, y))) == (lost > 0.5)


def test_an_l1_penalty_that_is_too_strong() -> None:
    x, y = spheres()
    found = diagnosed(x, y, optimizer=optim.Adam(lr=0.01, l1_penalty=0.05))
    assert sick(found)[:1] == ["over-regularised"]
    assert found.findings[0].evidence["l1_penalty"] == 0.05


# -- a standard network ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "rows"), [("classes", spheres), ("quantities", hills)]
)
def test_a_standard_network_learns(task: str, rows: Any) -> None:
    x, y = rows()
    y = np.eye(2)[y] if task == "classes" else y.astype(np.float64)
    x = x.astype(np.float64)
    said = networks.answers(task, x[:490], y[:490], x[490:], "numpy", {})
    assert said is not None
    score = reference.agreement(task, said, y[490:])
    assert score is not None
    assert score > 0.8
    again = networks.answers(task, x[:490], y[:490], x[490:], "numpy", {})
    assert again is not None
    assert np.array_equal(said, again)


def test_a_run_that_nothing_cures_is_sick_far_behind_a_standard_network() -> None:
    """A layer of its own hides all columns but one."""

    class First(nn.Module):
        def __init__(self) -> None:
            self.inner = network(1, 2)

        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return self.inner(x[:, :1])

    x, y = spheres()
    found = diagnosed(x, y, model=First())
    assert sick(found) == ["does-not-learn"]
    assert found.findings[0].component == "architecture"


# -- several faults, and chance --------------------------------------------------------


def test_what_is_suspected_is_tried_with_what_is_usual() -> None:
    """A ReLU behind the scores, and a rate that kills: neither change helps alone."""
    x, y = spheres()
    made = network(6, 2).append(nn.ReLU())
    found = diagnosed(x, y, model=made, optimizer=optim.Adam(lr=1.0))
    assert found.case is not None
    assert sick(found)
    first = combined(found.case)[0]
    assert len(first.parts) > 1
    assert any("Identity" in part.after for part in first.parts)


def test_other_weights_of_any_deviation() -> None:
    trainer, data, given = examples.example(examples.mlp(8, 2, width=24))
    for p in trainer.model.parameters():
        if p.ndim > 1:
            nn.init.normal_(p, 0.0, 3.0)
    made = Case(trainer, data, **given)
    change = draws.other_draw(made.setup)
    assert change is not None
    other = made.prepared(change, seed=1).model
    for p, q in zip(trainer.model.parameters(), other.parameters(), strict=True):
        if p.ndim > 1:
            assert not np.array_equal(p.numpy(), q.numpy())
            assert p.numpy().std() == pytest.approx(q.numpy().std(), rel=1e-5)


def test_trained_weights_are_kept() -> None:
    x, y = spheres()
    train, __ = halves(x, y)
    trainer, data, given = examples.example(network(6, 2), train, lr=0.02)
    for p in trainer.model.parameters():
        if p.ndim > 1:
            nn.init.normal_(p, 0.0, 0.05)
    assert draws.other_draw(Case(trainer, data, **given).setup) is not None
    trainer.fit(train, epochs=30, batch_size=32, progress=False)
    model = trainer.model
    fresh, data, given = examples.example(model, train)
    assert draws.other_draw(Case(fresh, data, **given).setup) is None


def test_a_gain_near_the_threshold_has_other_weights_in_each_seed() -> None:
    trainer, data, given = examples.example(epochs=3)
    made = Case(trainer, data, **given)
    firsts: list[float] = []

    def scored(setup: Any) -> float:
        if setup.batch_size == 7:
            firsts.append(float(next(setup.model.parameters()).numpy().flat[0]))
        return 0.5 if setup.batch_size == 7 else 0.4

    def apply(setup: Any) -> None:
        setup.batch_size = 7

    made.run_scored = scored  # type: ignore[method-assign]
    made.score = 0.4
    nothing = Change("a change", "a", "b", apply)
    found = made.compare(nothing)
    assert found is not None
    assert len(found.after) >= evidence.SEEDS
    assert len(set(firsts)) == len(found.after)


def test_a_long_row_of_layers_is_made_shorter() -> None:
    trainer, data, given = examples.example(examples.mlp(width=12, depth=9))
    made = Case(trainer, data, **given)
    change = shallower(made.setup)
    assert change is not None
    setup = made.prepared(change)
    assert sum(type(m) is nn.Linear for m in setup.model.modules()) == 3
    assert run(setup).error is None
    trainer, data, given = examples.example(examples.mlp(depth=3))
    assert shallower(Case(trainer, data, **given).setup) is None
