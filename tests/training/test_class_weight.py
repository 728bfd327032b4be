"""Weights of classes: those of the rows that belong to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

import chainrule as cr
from chainrule import errors, nn, optim

from .conftest import Make, pixels, raising, same

OPTIONS: dict[str, Any] = {"epochs": 2, "batch_size": 16, "progress": False}
WEIGHTS = {0: 3.0, 2: 0.5}


def sgd(make: Make, **options: Any) -> cr.Trainer:
    return make(optimizer=optim.SGD(lr=0.2), **options)


def test_as_weights_of_rows(make: Make, engine: str) -> None:
    data = pixels()
    rows = np.array([3.0, 1.0, 0.5])[data.y]
    own = np.random.default_rng(0).uniform(0.5, 2, len(data)).astype(np.float32)
    made = [sgd(make, engine=engine) for _ in range(4)]
    made[0].fit(data, class_weight=WEIGHTS, **OPTIONS)
    made[1].fit(data, sample_weight=rows, **OPTIONS)
    made[2].fit(data, class_weight=WEIGHTS, sample_weight=own, **OPTIONS)
    made[3].fit(data, sample_weight=rows.astype(np.float32) * own, **OPTIONS)
    assert same(made[0].model, made[1].model)
    assert same(made[2].model, made[3].model)
    assert not same(made[0].model, made[2].model)


def test_as_weights_in_the_loss(make: Make) -> None:
    data = pixels()
    made = sgd(make), sgd(make, loss=nn.CrossEntropyLoss(weight=[3.0, 1.0, 0.5]))
    history = made[0].fit(data, class_weight=WEIGHTS, **OPTIONS)
    wanted = made[1].fit(data, **OPTIONS)
    for a, b in zip(made[0].model.parameters(), made[1].model.parameters()):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-7)
    for a, b in zip(history.epochs, wanted.epochs):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-6)


def test_balanced_as_in_scikit_learn(make: Make) -> None:
    data = pixels()
    weights = compute_class_weight("balanced", classes=np.arange(3), y=data.y)
    made = sgd(make), sgd(make)
    made[0].fit(data, class_weight="balanced", **OPTIONS)
    made[1].fit(data, class_weight=dict(enumerate(weights)), **OPTIONS)
    assert same(made[0].model, made[1].model)


def test_ignored_labels_do_not_count(make: Make) -> None:
    """Neither in the loss, nor in how often a class occurs; they need no weight."""
    data = pixels()
    y = data.y.copy()
    y[::3] = -1
    ignoring = nn.CrossEntropyLoss(ignore_index=-1)
    left = cr.data.Dataset(data.x, y)
    kept = y >= 0
    weights = compute_class_weight("balanced", classes=np.arange(3), y=y[kept])
    made = [sgd(make, loss=ignoring) for _ in range(3)]
    one = {"epochs": 3, "batch_size": None, "progress": False}
    made[0].fit(left, class_weight="balanced", **one)
    made[1].fit(left, class_weight=dict(enumerate(weights)), **one)
    made[2].fit(data.rows(kept), class_weight="balanced", **one)
    assert same(made[0].model, made[1].model)
    weight = made[0].history.steps["loss_weight"][0]
    assert weight == pytest.approx(kept.sum()), "of those that count 1 on average"
    for a, b in zip(made[0].model.parameters(), made[2].model.parameters()):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-6)


def test_names_of_classes_and_streams(make: Make) -> None:
    data = pixels()
    named = cr.data.Dataset(data.x, data.y, class_names=("a", "b", "c"))

    def stream() -> cr.data.Stream:
        rows = data.x.stored, data.y
        return cr.data.Stream(lambda: zip(*rows), scale=1 / 255, classes=3)

    made = [sgd(make) for _ in range(4)]
    made[0].fit(data, class_weight=WEIGHTS, **OPTIONS)
    made[1].fit(named, class_weight={"a": 3.0, "c": 0.5}, **OPTIONS)
    assert same(made[0].model, made[1].model)
    made[2].fit(stream(), class_weight=WEIGHTS, **OPTIONS)
    made[3].fit(stream(), **OPTIONS)
    assert not same(made[2].model, made[3].model)
    weights = made[2].history.steps["loss_weight"]
    assert weights[:4].sum() == np.array([3.0, 1.0, 0.5])[data.y].sum()


@pytest.mark.parametrize("low", [0, -1])
def test_two_classes_as_numbers(make: Make, low: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 6)), rng.integers(0, 2, (20, 1)).astype(np.float32)
    rows = np.where(y[:, 0] > 0, 4.0, 1.0)
    y[y == 0] = low
    loss = nn.HingeLoss() if low else nn.BCEWithLogitsLoss()
    cr.manual_seed(0)
    weights = nn.Linear(6, 1).state_dict()
    made: list[cr.Trainer] = []
    for options in ({"class_weight": {1: 4.0}}, {"sample_weight": rows}):
        model = nn.Linear(6, 1)
        model.load_state_dict(weights)
        trainer = sgd(make, model=model, loss=loss)
        trainer.fit((x.astype("f4"), y), **OPTIONS, **options)
        made.append(trainer)
    assert same(made[0].model, made[1].model)


def test_labels_of_positions_and_rows_of_one(make: Make) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 6)).astype("f4"), rng.integers(0, 3, 20)
    one_hot = np.eye(3, dtype=np.float32)[y]
    made = sgd(make), sgd(make)
    made[0].fit((x, y), class_weight=WEIGHTS, **OPTIONS)
    made[1].fit((x, one_hot), class_weight=WEIGHTS, **OPTIONS)
    for a, b in zip(made[0].model.parameters(), made[1].model.parameters()):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-7)
    places = rng.integers(0, 3, (20, 2))
    places[0] = -1

    def network() -> nn.Module:
        cr.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 6), nn.Unflatten(1, (3, 2)))

    losses = [
        nn.CrossEntropyLoss(ignore_index=-1),
        nn.CrossEntropyLoss(ignore_index=-1, weight=[3.0, 1.0, 0.5]),
    ]
    two = [sgd(make, model=network(), loss=loss) for loss in losses]
    two[0].fit((x, places), class_weight=WEIGHTS, **OPTIONS)
    two[1].fit((x, places), **OPTIONS)
    for a, b in zip(two[0].model.parameters(), two[1].model.parameters()):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-7)


def test_a_resumed_run_needs_them(make: Make) -> None:
    trainer, data = sgd(make), pixels()
    trainer.fit(data, class_weight=WEIGHTS, **OPTIONS)
    for other in (None, {0: 2.0}):
        with raising(errors.ArgumentError, "resumes exactly"):
            trainer.resume(data, epochs=3, class_weight=other)
    trainer.resume(data, epochs=3, class_weight=WEIGHTS, progress=False)
    whole = sgd(make)
    whole.fit(data, class_weight=WEIGHTS, **{**OPTIONS, "epochs": 3})
    assert same(trainer.model, whole.model)


def plain(output: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
    return (output - target).mean()


@pytest.mark.parametrize(
    ("options", "given", "part"),
    [
        ({}, {3: 1.0}, "not there"),
        ({}, {"a": 1.0}, "not there"),
        ({}, {True: 1.0}, "not there"),
        ({}, {0: -1.0}, "class_weight[0]"),
        ({}, {0: float("nan")}, "class_weight[0]"),
        ({}, {}, "how much the rows"),
        ({}, [1.0, 2.0, 3.0], "how much the rows"),
        ({}, "heavy", "how much the rows"),
        ({}, {0: 0.0, 1: 0.0, 2: 0}, "No row counts"),
        ({"loss": plain}, {0: 1.0}, "takes no weights"),
    ],
)
def test_what_is_refused(make: Make, options: Any, given: Any, part: str) -> None:
    with raising(errors.ArgumentError, part, fix=False):
        make(**options).fit(pixels(), class_weight=given, **OPTIONS)


def test_targets_that_are_no_labels(make: Make) -> None:
    data = pixels()
    quantities = cr.data.Dataset(data.x, data.y * 0.5)
    with raising(errors.ArgumentError, "labels of classes", "sample_weight"):
        make(loss=nn.MSELoss()).fit(quantities, class_weight={0: 2.0}, **OPTIONS)
    several = np.eye(3, dtype=np.float32)[data.y]
    with raising(errors.ArgumentError, "labels of classes"):
        loss = nn.BCEWithLogitsLoss()
        make(loss=loss).fit((data.x, several), class_weight={0: 2.0}, **OPTIONS)
    both = np.random.default_rng(0).integers(0, 2, (len(data), 3))
    samples = cr.data.Stream(lambda: zip(data.x[...], both))
    for given in (cr.data.Dataset(data.x, both), samples):
        with raising(errors.ArgumentError, "labels of classes", "sample_weight"):
            loss = nn.BCEWithLogitsLoss()
            make(loss=loss).fit(given, class_weight={1: 2.0}, **OPTIONS)
    with raising(errors.ArgumentError, "several targets", "weight=[…]"):
        losses = nn.CrossEntropyLoss(), nn.CrossEntropyLoss()
        both = cr.data.Dataset(data.x, (data.y, data.y))
        make(loss=losses).fit(both, class_weight={0: 2.0}, **OPTIONS)
    stream = cr.data.Stream(lambda: zip(data.x[...], data.y))
    with raising(errors.ArgumentError, "shows at its end"):
        make().fit(stream, class_weight="balanced", **OPTIONS)


@pytest.mark.parametrize("labels", [(0, 1), (-1, 1)])
def test_a_part_of_the_data_without_one_of_two_classes(
    make: Make, labels: tuple[int, int]
) -> None:
    """As a fold of a cross-validation may be."""
    x, y = pixels().x[...], np.full((len(pixels()), 1), labels[1], np.float32)
    loss = nn.BCEWithLogitsLoss() if labels[0] == 0 else nn.HingeLoss()
    made: list[cr.Trainer] = []
    for _ in range(2):
        cr.manual_seed(0)
        made.append(sgd(make, model=nn.Linear(6, 1), loss=loss))
    made[0].fit((x, y), class_weight={labels[0]: 1.0, labels[1]: 2.0}, **OPTIONS)
    made[1].fit((x, y), **OPTIONS)
    assert same(made[0].model, made[1].model)
    with raising(errors.ArgumentError, "not there"):
        made[0].fit((x, y), class_weight={2: 2.0}, **OPTIONS)
