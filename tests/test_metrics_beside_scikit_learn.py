"""Precision, recall, F₁, average precision, log loss, Brier score beside scikit-learn.

On random scores with ties, and on what degenerates: one class alone, classes that are
absent, no samples, labels that are ignored.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sk

import chainrule as cr
from chainrule import errors, metrics, nn, optim
from chainrule.metrics import measure
from tests.test_metrics import evaluator

KINDS = {
    metrics.F1: sk.f1_score,
    metrics.Precision: sk.precision_score,
    metrics.Recall: sk.recall_score,
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """scikit-learn warns where a metric is not defined."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def drawn(seed: int, classes: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and probabilities of few different values, so that many are equal."""
    rng = np.random.default_rng(seed)
    z = rng.integers(1, 5, (n, classes)).astype(np.float64)
    return rng.integers(0, classes, n), z / z.sum(1, keepdims=True)


def cases(classes: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for seed in range(4):
        yield drawn(seed, classes)
    y, p = drawn(9, classes)
    yield y * 0, p  # one class alone
    yield np.full_like(y, classes - 1), p
    yield np.minimum(y, classes - 2), p  # an absent class
    yield y, np.full_like(p, 1 / classes)  # all scores are equal
    yield y[:1], p[:1]


@pytest.mark.one_in(3)
@pytest.mark.parametrize("average", ["binary", "macro", "micro", "weighted"])
@pytest.mark.parametrize("kind", KINDS)
def test_averages_over_classes(kind: Any, average: str) -> None:
    for classes in (2, 4):
        for y, p in cases(classes):
            if average == "binary" and classes > 2:
                with pytest.raises(errors.ArgumentError, match="binary"):
                    measure(kind(average), p, y)
                continue
            wanted = KINDS[kind](y, p.argmax(1), average=average, zero_division=0)
            assert measure(kind(average), p, y) == pytest.approx(wanted, abs=1e-12)
            one = measure(kind(), p, y)
            usual = "binary" if classes == 2 else "macro"
            assert one == measure(kind(usual), p, y)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
def test_average_precision(average: str) -> None:
    for classes in (2, 3, 5):
        for y, p in cases(classes):
            own = metrics.AveragePrecision(average)
            truth = (np.arange(classes) == y[:, None]).astype(int)
            if classes == 2:
                truth, p = truth[:, 1:], p[:, 1:]
                made = measure(own, p[:, 0], y)
            else:
                made = measure(own, p, y)
            there = truth.any(0)
            if not there.any():
                assert math.isnan(made)
                continue
            if average != "micro":  # absent classes have none: scikit-learn counts 0
                truth, p = truth[:, there], p[:, there]
            wanted = sk.average_precision_score(truth, p, average=average)
            assert made == pytest.approx(wanted, abs=1e-12)


def test_scores_rank_as_their_probabilities() -> None:
    y, __ = drawn(3, 3)
    p = np.random.default_rng(3).dirichlet([1.0] * 3, len(y))  # none are equal
    for kind in (metrics.AveragePrecision, metrics.LogLoss, metrics.BrierScore):
        scores, shares = kind(from_logits=True), kind(from_logits=False)
        assert measure(scores, np.log(p), y) == pytest.approx(measure(shares, p, y))
        one, two = measure(scores, np.log(p[:, :2]), y % 2), p[:, :2]
        two = two / two.sum(1, keepdims=True)
        assert one == pytest.approx(measure(shares, two, y % 2))
        if kind is not metrics.AveragePrecision:
            z = np.log(two[:, 1] / two[:, 0])
            assert one == pytest.approx(measure(scores, z, y % 2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_loss_and_brier_score(dtype: Any) -> None:
    for classes in (2, 3):
        for y, p in cases(classes):
            q = p.astype(dtype)
            labels = np.arange(classes)
            loss = sk.log_loss(y, q, labels=labels)
            brier = sk.brier_score_loss(y, q, labels=labels)
            one_hot = (labels == y[:, None]).astype(np.float32)
            for truth in (y, one_hot):
                assert measure("log_loss", q, truth) == pytest.approx(loss, rel=1e-6)
                made = measure("brier_score", q, truth)
                assert made == pytest.approx(brier, rel=1e-6)
            if classes == 2:
                assert measure("log_loss", q[:, 1], y) == pytest.approx(loss, rel=1e-5)
                made = measure("brier_score", q[:, 1:], y[:, None])
                assert made == pytest.approx(brier, rel=1e-5)


def test_a_sure_mistake_costs_what_scikit_learn_says() -> None:
    for dtype in (np.float32, np.float64):
        p = np.array([[0.0, 1.0], [0.5, 0.5]], dtype)
        wanted = sk.log_loss([0, 1], p, labels=[0, 1])
        assert measure("log_loss", p, [0, 1]) == pytest.approx(wanted, rel=1e-6)
    z = np.array([[0.0, 200.0]], np.float32)  # a score is not cut off
    assert measure(metrics.LogLoss(from_logits=True), z, [0]) == pytest.approx(200.0)


def test_what_is_no_probability_is_refused() -> None:
    for name in ("log_loss", "brier_score"):
        for bad in ([[0.5, 0.6]], [[1.5, -0.5]], [1.5]):
            with pytest.raises(errors.ArgumentError, match="probabilities"):
                measure(name, bad, [1])
        for loss in (nn.HingeLoss(), nn.MultiMarginLoss()):
            with pytest.raises(errors.ArgumentError, match="other scores"):
                metrics.named.metric(name).for_loss(loss)


def test_no_samples() -> None:
    none = np.zeros((0, 3), np.float32), np.zeros(0, np.int32)
    for name in ("f1", "precision", "recall", "average_precision", "log_loss"):
        assert math.isnan(measure(name, *none)), name
    assert math.isnan(measure("brier_score", *none))


@pytest.mark.parametrize(
    "loss", [nn.CrossEntropyLoss(ignore_index=-1), nn.BCEWithLogitsLoss()], ids=repr
)
def test_in_a_trainer_with_a_ragged_end(loss: Any, engine: str) -> None:
    """The loss says what outputs are; ignored labels count nowhere."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(53, 4)).astype("f4"), rng.integers(0, 3, 53)
    binary = isinstance(loss, nn.BCEWithLogitsLoss)
    names = ["precision", "recall", "f1", "average_precision", "log_loss"]
    names += ["brier_score"]
    cr.manual_seed(0)
    trainer = cr.Trainer(
        nn.Linear(4, 1 if binary else 3),
        loss=loss,
        optimizer=optim.SGD(lr=0.1),
        metrics=names,
        engine=engine,
    )
    z = trainer.predict(x).astype(np.float64)
    if binary:
        y = (y > 0).astype(np.float32)[:, None]
        p = 1 / (1 + np.exp(-z[:, 0]))
        truth, decided, average = y[:, 0], z[:, 0] >= 0, "binary"
        ranked = sk.average_precision_score(truth, p)
        measured = trainer.evaluate((x, y), batch_size=10)
    else:
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        y[:5] = -1
        measured = trainer.evaluate((x, y), batch_size=10)
        truth, p, decided, average = y[5:], p[5:], z[5:].argmax(1), "macro"
        one_hot = (np.arange(3) == truth[:, None]).astype(int)
        ranked = sk.average_precision_score(one_hot, p)
    wanted = {
        "precision": sk.precision_score(truth, decided, average=average),
        "recall": sk.recall_score(truth, decided, average=average),
        "f1": sk.f1_score(truth, decided, average=average),
        "average_precision": ranked,
        "log_loss": sk.log_loss(truth, p),
        "brier_score": sk.brier_score_loss(truth, p),
    }
    for name, value in wanted.items():
        assert measured[name] == pytest.approx(value, rel=1e-6), name


# -- functions as metrics ----------------------------------------------------------


def distance(output: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
    return (output - target).abs()


def test_a_function_is_a_mean_over_all_samples(engine: str) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(23, 4)).astype("f4"), rng.normal(size=(23, 2)).astype("f4")
    functions = {
        "each": distance,
        "rows": lambda o, t: distance(o, t).sum(1),
        "batch": lambda o, t: distance(o, t).mean(),
        "close": lambda o, t: distance(o, t) < 1.0,
    }
    trainer = cr.Trainer(
        nn.Linear(4, 2),
        loss=nn.MSELoss(),
        optimizer=optim.SGD(lr=0.1),
        metrics=functions,
        engine=engine,
    )
    error = np.abs(trainer.predict(x) - y)
    measured = trainer.evaluate((x, y), batch_size=10)
    assert measured["each"] == pytest.approx(error.mean(), rel=1e-6)
    assert measured["rows"] == pytest.approx(error.sum(1).mean(), rel=1e-6)
    assert measured["batch"] == pytest.approx(error.mean(), rel=1e-6)
    assert measured["close"] == (error < 1).mean()


def test_functions_as_metrics_have_names_and_give_tensors() -> None:
    def trainer(metrics: Any) -> cr.Trainer:
        return cr.Trainer(
            nn.Linear(1, 1),
            loss=nn.MSELoss(),
            optimizer=optim.SGD(lr=0.1),
            metrics=metrics,
            engine="numpy",
        )

    data = [[1.0], [2.0]], [[2.0], [3.0]]
    assert list(trainer([distance, "r2"]).evaluate(data)) == ["loss", "distance", "r2"]
    assert list(trainer(distance).evaluate(data)) == ["loss", "distance"]
    with pytest.raises(errors.ArgumentError, match="without a name"):
        trainer([lambda o, t: o])
    with pytest.raises(errors.ArgumentError, match="gives no tensor"):
        trainer({"one": lambda o, t: 1.0}).evaluate(data)
    with pytest.raises(errors.ArgumentError, match="name of its own"):
        trainer({"loss": distance})
    stop = cr.training.EarlyStopping("validation_distance")
    with pytest.raises(errors.ArgumentError, match="whether more"):
        trainer([distance]).fit(
            data,
            epochs=1,
            batch_size=2,
            validation=data,
            callbacks=stop,
            progress=False,
        )
    stop = cr.training.EarlyStopping("validation_distance", mode="min")
    made = trainer([distance]).fit(
        data, epochs=2, batch_size=2, validation=data, callbacks=stop, progress=False
    )
    assert "validation_distance" in made.epochs[0]


@pytest.mark.parametrize("label", [-100, 0, 2])
def test_labels_that_the_loss_ignores(label: int, engine: str) -> None:
    """No metric counts them, also where the label is that of a class."""
    rng = np.random.default_rng(1)
    z, y = rng.normal(size=(61, 4)).astype("f4"), rng.integers(0, 4, 61)
    y[:9] = label
    names = ["accuracy", "top2", "balanced_accuracy", "f1", "log_loss", "roc_auc"]
    names += ["average_precision", "brier_score"]
    loss = nn.CrossEntropyLoss(ignore_index=label)
    trainer = evaluator(names, loss, engine=engine)
    measured = trainer.evaluate((z, y), batch_size=8)
    left = y != label
    rest = evaluator(names, nn.CrossEntropyLoss(), engine=engine)
    wanted = rest.evaluate((z[left], y[left]))
    assert measured == {k: pytest.approx(v, rel=1e-6) for k, v in wanted.items()}
    assert measured["accuracy"] == (z.argmax(1) == y)[left].mean()
    nothing = trainer.evaluate((z[:3], np.full(3, label)))
    assert np.isnan([nothing["accuracy"], nothing["top2"]]).all()
