"""F₁, balanced accuracy and ROC AUC by the conventions of scikit-learn."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import chainrule as cr
from chainrule import errors, metrics, nn
from tests.test_metrics import evaluator, scores_with_ties

CHOSEN = ["f1", "balanced_accuracy", "roc_auc"]


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z.astype(np.float64) - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def expected(y: np.ndarray, z: np.ndarray) -> list[float]:
    """What scikit-learn says about class scores z; rounding is to break no ties."""
    p, decided, binary = softmax(z).round(13), z.argmax(1), z.shape[1] == 2
    return [
        sk.f1_score(y, decided, average="binary" if binary else "macro"),
        sk.balanced_accuracy_score(y, decided),
        sk.roc_auc_score(y, p[:, 1] if binary else p, multi_class="ovr"),
    ]


@functools.cache
def scored(load: Any) -> tuple[np.ndarray, np.ndarray]:
    """Scores of real data by a weak classifier, and the classes."""
    x, y = load(return_X_y=True)
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=1e-3)).fit(x, y)
    return fitted.decision_function(x).astype(np.float32), y


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("load", "size"), [(load_breast_cancer, 7), (load_wine, 7), (load_digits, 1000)]
)
def test_of_real_data(engine: str, load: Any, size: int) -> None:
    z, y = scored(load)
    if z.ndim == 1:  # of two classes scikit-learn gives one score
        single = evaluator(CHOSEN, nn.BCEWithLogitsLoss(), engine=engine)
        made = single.evaluate((z[:, None], y.astype("f4")[:, None]), size)
        z = np.stack([0 * z, z], axis=1)
        np.testing.assert_allclose([made[k] for k in CHOSEN], expected(y, z), 1e-12)
    made = evaluator(CHOSEN, engine=engine).evaluate((z, y), size)
    np.testing.assert_allclose([made[k] for k in CHOSEN], expected(y, z), 1e-12)
    assert min(expected(y, z)) < 0.99, "a test that perfection would pass proves little"
    p = softmax(z)
    loss = nn.CrossEntropyLoss(from_logits=False)
    made = evaluator("roc_auc", loss, engine=engine).evaluate((p, y), size)
    assert made["roc_auc"] == pytest.approx(expected(y, z)[2], abs=1e-6)
    unsaid = metrics.measure("roc_auc", cr.tensor(p), cr.tensor(y))
    assert unsaid == pytest.approx(expected(y, z)[2], rel=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_ties(classes: int) -> None:
    z, y = scores_with_ties(classes=classes)
    made = evaluator(CHOSEN, engine="numpy").evaluate((z, y), 11)
    np.testing.assert_allclose([made[k] for k in CHOSEN], expected(y, z), 1e-12)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=30),
    st.integers(1, 30),
)
def test_of_two_classes(rows: list[tuple[int, bool]], cut: int) -> None:
    z = np.array([score for score, _ in rows], np.float32)
    y = np.array([label for _, label in rows], np.int64)
    assert metrics.measure(metrics.F1(threshold=0.0), z, y) == pytest.approx(
        sk.f1_score(y, z >= 0, zero_division=0.0)  # pyright: ignore[reportArgumentType]
    )
    area = metrics.ROCAUC().for_loss(nn.BCEWithLogitsLoss())
    parts = [slice(0, cut), slice(cut, None)] if cut < len(z) else [slice(None)]
    batches = [
        {k: t.numpy() for k, t in area.batch(cr.tensor(z[p]), cr.tensor(y[p])).items()}
        for p in parts
    ]
    made = area.value(batches, np.array([len(z[p]) for p in parts]))
    if y.min() == y.max():
        assert math.isnan(made), "one class has nothing to be compared with"
    else:
        assert made == pytest.approx(sk.roc_auc_score(y, z), rel=1e-12)


def test_classes_that_are_absent() -> None:
    """F₁ is over classes that occur, recall over those that are true, as in sklearn."""
    z, y = scores_with_ties(classes=7)
    z[:, 6] = -1  # never decided for
    there = y < 4
    z, y = z[there], y[there]
    made = evaluator(CHOSEN, engine="numpy").evaluate((z, y))
    decided = z.argmax(1)
    assert set(decided) - set(y), "classes that are decided for and not true"
    assert made["f1"] == pytest.approx(sk.f1_score(y, decided, average="macro"))
    recall = sk.recall_score(y, decided, labels=range(4), average="macro")
    assert made["balanced_accuracy"] == pytest.approx(recall)
    p = softmax(z).round(13)
    areas = [sk.roc_auc_score(y == c, p[:, c]) for c in range(4)]
    assert made["roc_auc"] == pytest.approx(np.mean(areas))


def test_probabilities_that_have_run_into_one() -> None:
    """Scores far apart: as probabilities in float32 or 64 they would all be equal."""
    z = np.array([[0, 50], [0, 60], [0, 70], [0, 80]], np.float32)
    y = np.array([0, 0, 1, 1])
    assert metrics.measure("roc_auc", z, y) == 1.0
    three = np.hstack([z, z[:, :1]])
    assert metrics.measure("roc_auc", three, y) == 1.0


@pytest.mark.parametrize(
    ("loss", "labels"), [(nn.HingeLoss(), (-1, 1)), (nn.BCELoss(), (0, 1))]
)
def test_losses_of_one_output(loss: Any, labels: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    p = rng.random((60, 1), np.float32)
    truth = (rng.random(60) < 0.3 + 0.4 * p[:, 0]).astype(int)
    y = np.array(labels, np.float32)[truth][:, None]
    made = evaluator(CHOSEN, loss, engine="numpy").evaluate((p, y), 7)
    decided = p[:, 0] >= loss.decides_from
    wanted = [
        sk.f1_score(truth, decided),
        sk.balanced_accuracy_score(truth, decided),
        sk.roc_auc_score(truth, p[:, 0]),
    ]
    np.testing.assert_allclose([made[k] for k in CHOSEN], wanted, 1e-12)


def test_several_binary_outputs() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(40, 5)).astype(np.float32)
    y = (rng.random((40, 5)) < 0.5).astype(np.float32)
    made = evaluator(CHOSEN, nn.BCEWithLogitsLoss(), engine="numpy").evaluate((z, y), 7)
    assert made["f1"] == pytest.approx(sk.f1_score(y, z >= 0, average="micro"))
    assert made["roc_auc"] == pytest.approx(sk.roc_auc_score(y, z, average="macro"))


def test_averages() -> None:
    z, y = scores_with_ties(classes=2)
    macro = sk.f1_score(y, z.argmax(1), average="macro")
    assert metrics.measure(metrics.F1("macro"), z, y) == pytest.approx(macro)
    z, y = scores_with_ties(classes=3)
    with pytest.raises(errors.ArgumentError, match="class 1 of two"):
        metrics.measure(metrics.F1("binary"), z, y)
    with pytest.raises(errors.ArgumentError, match="no such choice"):
        metrics.F1("samples")
    with pytest.raises(errors.ArgumentError, match="from_logits"):
        metrics.ROCAUC("yes")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CHOSEN)
def test_quantities_have_no_classes(name: str) -> None:
    x = np.arange(6, dtype=np.float32)[:, None]
    with pytest.raises(errors.ArgumentError, match="counts decisions"):
        evaluator([name], nn.MSELoss(), engine="numpy").evaluate((x, x))
