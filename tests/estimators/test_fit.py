"""What the estimators learn, and what their parameters change."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris, make_regression
from sklearn.exceptions import (
    ConvergenceWarning,
    DataConversionWarning,
    NotFittedError,
)

import chainrule as cr
from chainrule import errors, nn, optim
from chainrule.errors import ArgumentError, ShapeError
from chainrule.sklearn import (
    ChainruleClassifier,
    ChainruleRegressor,
    ChainruleTransformer,
)
from tests.ways import ENGINES

IRIS = load_iris(return_X_y=True)


def small(**options: Any) -> ChainruleClassifier:
    return ChainruleClassifier(
        **{"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0} | options
    )


def weights_of(model: Any) -> list[np.ndarray]:
    return [p.numpy() for p in model.trainer_.model.parameters()]


def same(a: Any, b: Any) -> bool:
    return all(np.array_equal(p, q) for p, q in zip(weights_of(a), weights_of(b)))


def test_probabilities_and_decisions_agree() -> None:
    X, y = IRIS
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = ChainruleClassifier(random_state=0).fit(X, names)
    assert model.score(X, names) > 0.95
    probabilities = model.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    np.testing.assert_allclose(np.log(probabilities), model.predict_log_proba(X))
    assert (model.classes_[probabilities.argmax(1)] == model.predict(X)).all()
    two = model.fit(X[y < 2], names[y < 2])
    scores = two.decision_function(X)
    np.testing.assert_allclose(two.predict_proba(X)[:, 1], 1 / (1 + np.exp(-scores)))


def test_a_seed_repeats_a_fit_and_another_does_not() -> None:
    assert same(small().fit(*IRIS), small().fit(*IRIS))
    assert not same(small().fit(*IRIS), small(random_state=1).fit(*IRIS))
    state = cr.rand(3)
    cr.manual_seed(5)
    first = cr.rand(3)
    cr.manual_seed(5)
    small().fit(*IRIS)  # draws from a generator of its own
    assert (first == cr.rand(3)).all()
    assert state.shape == (3,)


def test_several_labels_a_row() -> None:
    X, y = IRIS
    labels = np.stack([y == 0, y != 1, X[:, 0] > 6], axis=1).astype(int)
    model = ChainruleClassifier(random_state=0).fit(X, labels)
    assert (model.predict(X) == labels).mean() > 0.95
    assert model.predict_proba(X).shape == labels.shape
    assert model.classes_.tolist() == [0, 1, 2]


@pytest.mark.parametrize("targets", [1, 3])
def test_quantities_of_any_unit(targets: int) -> None:
    X, y = make_regression(200, 5, n_targets=targets, random_state=0)
    model = ChainruleRegressor(random_state=0).fit(X, y)
    moved = ChainruleRegressor(random_state=0).fit(X, 1e6 + 1e3 * y)
    np.testing.assert_allclose(moved.predict(X), 1e6 + 1e3 * model.predict(X))
    assert model.score(X, y) > 0.9
    assert model.predict(X).shape == y.shape


def test_a_weight_is_a_number_of_copies() -> None:
    """Of a whole batch a row of weight 2 is two rows, and one of 0 is none."""
    X, y = IRIS[0][:30], IRIS[0][:30, 0] * 2
    counts = np.arange(30) % 3
    options: dict[str, Any] = {"batch_size": 100, "max_iter": 5, "random_state": 0}
    a = ChainruleRegressor(**options).fit(X, y, counts)
    b = ChainruleRegressor(**options).fit(X.repeat(counts, 0), y.repeat(counts))
    np.testing.assert_allclose(a.predict(X), b.predict(X), rtol=1e-9)


def test_class_weights_are_weights_of_rows() -> None:
    X, y = IRIS
    of_rows = np.array([1.0, 5.0, 2.0])[y]
    a = small(class_weight={1: 5.0, 2: 2.0}).fit(X, y)
    assert same(a, small().fit(X, y, of_rows))
    assert not same(a, small().fit(X, y))
    both = small(class_weight={1: 5.0}).fit(X, y, of_rows)
    assert same(both, small().fit(X, y, of_rows * np.array([1.0, 5.0, 1.0])[y]))


def test_balanced_classes_count_weights_as_copies() -> None:
    X, y = IRIS
    several = np.stack([y == 1, X[:, 0] > 6], axis=1).astype(int)
    counts = np.random.default_rng(0).integers(0, 4, len(y)) * (1 + y)
    options: dict[str, Any] = {"class_weight": "balanced", "batch_size": 1000}
    options |= {"solver": "sgd", "learning_rate": "constant", "tol": 0}
    for targets in (y, y == 1, several):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            weighted = small(**options, alpha=0).fit(X, targets, counts)
            copies = small(**options, alpha=0).fit(
                np.repeat(X, counts, 0), np.repeat(targets, counts, 0)
            )
        for a, b in zip(weights_of(weighted), weights_of(copies)):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("zero", ["sample_weight", "class_weight"])
def test_nothing_is_learnt_of_rows_without_weight(zero: str) -> None:
    X, y = IRIS
    strange = X.copy()
    strange[100:, 1] = np.nan  # a gap, and large numbers, of the third class alone
    strange[100:, 2] = 1e9
    weights = (y < 2) * 1.0 if zero == "sample_weight" else None
    classes = {2: 0} if zero == "class_weight" else None
    model = small(class_weight=classes).fit(strange, y, weights)
    for a, b in zip(weights_of(model), weights_of(small().fit(X[:100], y[:100]))):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert model._features.gaps.size == 0


def test_weights_of_classes_that_cannot_be() -> None:
    for weight in (-1, np.nan, np.inf):
        with pytest.raises(ArgumentError, match="class_weight"):
            small(class_weight={0: weight}).fit(*IRIS)
    with pytest.raises(ArgumentError, match="no row counts"):
        small(class_weight={0: 0, 1: 0, 2: 0}).fit(*IRIS)
    with pytest.raises(ArgumentError, match="balanced"):  # of a part of the rows
        small(class_weight="balanced").partial_fit(*IRIS, classes=[0, 1, 2])


@pytest.mark.parametrize("part", [False, True])
def test_a_fit_that_failed_leaves_the_last_one(
    part: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = IRIS
    model = small().fit(X, y)
    before = dict(vars(model))

    def interrupted(*args: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cr.Trainer, "fit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            # Two classes, whose network would have one output.
            model.partial_fit(X, y) if part else model.fit(X[:, :3], y == 1)
    with pytest.raises(ArgumentError, match="one class"):
        model.fit(X[:, :2], 0 * y)
    assert vars(model) == before
    np.testing.assert_array_equal(model.predict(X), small().fit(X, y).predict(X))
    with monkeypatch.context() as patch:
        patch.setattr(cr.Trainer, "fit", interrupted)
        new = small()
        with pytest.raises(KeyboardInterrupt):
            new.fit(X, y)
    with pytest.raises(NotFittedError):
        new.predict(X)


def test_the_same_classes_of_several_labels_again() -> None:
    X, y = IRIS
    labels = np.stack([y == 0, y == 1, y == 2], axis=1).astype(int)
    model = small()
    for _ in range(2):
        model.partial_fit(X, labels, classes=np.unique(labels))
    assert model.classes_.tolist() == [0, 1, 2]


def test_alpha_is_the_penalty_of_the_loss() -> None:
    """One step of plain descent: W ← W − η (g + αW/n), as with MLPClassifier."""
    X, y = IRIS
    options = {"batch_size": 150, "max_iter": 1, "learning_rate": "constant"}

    def after(alpha: float) -> list[np.ndarray]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = small(solver="sgd", alpha=alpha, **options).fit(X, y)
        return weights_of(model)

    with_, without = after(15.0), after(0.0)
    one = small(solver=optim.SGD(lr=1e-30), max_iter=1).fit(X, y)
    start = weights_of(one)
    rate = 0.01 * 1.9  # the first step of Nesterov's momentum 0.9
    for a, b, w in zip(with_, without, start, strict=True):
        decay = rate * 15.0 / 150 * w if w.ndim == 2 else 0 * w
        np.testing.assert_allclose(b - a, decay, atol=1e-12)


def test_partial_fit_goes_on() -> None:
    X, y = IRIS
    model = small(hidden_layer_sizes=(16,), learning_rate_init=0.02)
    for epoch in range(10):
        for part in range(3):  # each with rows of all classes
            rows = slice(part, None, 3)
            model.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
        if epoch == 0:
            first = model.score(X, y)
    assert model.score(X, y) > max(first, 0.9)
    assert model.n_iter_ == 30
    with pytest.raises(ArgumentError, match="classes are not those"):
        model.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ArgumentError, match="must know all classes"):
        small().partial_fit(X, y)
    few = small().partial_fit(X[:50], y[:50], classes=[0, 1, 2])  # of one class
    assert few.predict_proba(X).shape == (150, 3)


def test_warm_start_begins_with_the_weights_that_there_are() -> None:
    cold, warm = small(), small(warm_start=True)
    for model in (cold, warm):
        model.fit(*IRIS).fit(*IRIS)
    assert warm.loss_curve_[0] < cold.loss_curve_[0]
    with pytest.raises(ArgumentError, match="other classes"):
        warm.fit(IRIS[0], IRIS[1] + 1)


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    "options",
    [
        {"hidden_layer_sizes": (9,)},
        {"activation": "tanh"},
        {"standardize": False},
        {"module": nn.Linear(4, 3)},
    ],
    ids=str,
)
def test_the_network_that_goes_on_is_the_one_that_was_asked_for(
    options: dict[str, Any],
) -> None:
    """Else the new parameter would have no effect, in silence."""
    model = small(warm_start=True).partial_fit(*IRIS, classes=[0, 1, 2])
    again = clone(model)
    again.set_params(**options).fit(*IRIS)
    with pytest.raises(ArgumentError, match="another"):
        model.set_params(**options).partial_fit(*IRIS)
    model.set_params(**{name: getattr(small(), name) for name in options})
    model.set_params(hidden_layer_sizes=[8], alpha=0.1, max_iter=1).fit(*IRIS)
    model.set_params(**options)
    for go_on in (model.fit, model.partial_fit):
        with pytest.raises(ArgumentError, match=f"another {next(iter(options))}"):
            go_on(*IRIS)
    model.set_params(warm_start=False).fit(*IRIS)


def test_codes_keep_their_size_until_the_next_fit() -> None:
    X, _ = IRIS
    model = ChainruleTransformer(2, (8,), max_iter=1, random_state=0).fit(X)
    model.set_params(n_components=3).set_output(transform="pandas")
    codes: Any = model.transform(X)
    assert codes.shape == (150, 2)
    assert len(model.get_feature_names_out()) == 2
    assert model.inverse_transform(codes).shape == X.shape
    assert model.fit(X).transform(X).shape == (150, 3)


def test_early_stopping_keeps_the_best_epoch() -> None:
    X, y = IRIS
    noise = np.random.default_rng(0).integers(0, 3, 150)
    model = ChainruleClassifier(
        early_stopping=True, n_iter_no_change=3, max_iter=200, random_state=0
    ).fit(X, noise)
    assert model.n_iter_ < 100
    assert model.best_validation_score_ == max(model.validation_scores_ or [])
    assert len(model.validation_scores_ or []) == model.n_iter_
    for kind in (ChainruleRegressor, ChainruleTransformer):
        other = kind(early_stopping=True, max_iter=3, random_state=0).fit(X, X[:, 0])
        assert len(other.validation_scores_ or []) == 3
    with pytest.raises(ArgumentError, match="no validation rows"):
        small(early_stopping=True).partial_fit(X, y, classes=[0, 1, 2])


def test_a_constant_rate_stops_by_the_training_loss() -> None:
    X, y = IRIS
    options: dict[str, Any] = {"learning_rate": "constant", "tol": 0.5}
    model = small(max_iter=100, n_iter_no_change=2, **options).fit(X, y)
    assert model.n_iter_ < 20
    with pytest.warns(ConvergenceWarning, match="max_iter=3"):
        small(learning_rate="adaptive").fit(X, y)


def test_networks_of_ones_own() -> None:
    X, y = IRIS
    sizes: list[tuple[int, int]] = []

    def build(inputs: int, outputs: int) -> nn.Module:
        sizes.append((inputs, outputs))
        return nn.Sequential(nn.Linear(inputs, 12), nn.GELU(), nn.Linear(12, outputs))

    model = small(module=build, max_iter=60).fit(X, y)
    assert model.score(X, y) > 0.9
    small(module=build).fit(X, y == 0)
    assert sizes == [(4, 3), (4, 1)]
    network = nn.Linear(4, 3)
    before = network.weight.numpy()
    model = small(module=network).fit(X, y)
    assert (network.weight.numpy() == before).all()  # the estimator trains a copy
    regressor = ChainruleRegressor(module=build, random_state=0).fit(X, X[:, 0])
    assert regressor.score(X, X[:, 0]) > 0.9


@pytest.mark.parametrize("more", [-1, 1])
def test_a_network_with_other_outputs_is_refused(more: int) -> None:
    """Of four scores for three classes one would be of none."""
    X, y = IRIS
    for estimator, targets in (
        (ChainruleClassifier, y),
        (ChainruleClassifier, np.stack([y == 0, y == 1], axis=1)),
        (ChainruleRegressor, X[:, :2]),
    ):
        model = estimator(
            module=lambda inputs, outputs: nn.Linear(inputs, outputs + more)
        )
        with pytest.raises(ShapeError, match="outputs that the targets need"):
            model.fit(X, targets)
    with pytest.raises(ShapeError, match="outputs that the targets need"):
        small(module=lambda inputs, outputs: nn.LSTM(inputs, outputs)).fit(X, y)


def test_further_rows_have_as_many_targets() -> None:
    X, _ = IRIS
    model = ChainruleRegressor((8,), random_state=0).partial_fit(X, X[:, :2])
    with pytest.raises(ShapeError, match="other targets"):
        model.partial_fit(X, X[:, :3])


def test_optimisers_of_ones_own() -> None:
    solver = optim.AdamW(lr=optim.OneCycleLR(0.05), weight_decay=0.1)
    model = ChainruleClassifier(solver=solver, random_state=0)
    assert model.fit(*IRIS).score(*IRIS) > 0.9
    assert model.fit(*IRIS).score(*IRIS) > 0.9  # the parameter is as it was
    assert solver.steps == 0


def test_codes_say_most_of_a_row() -> None:
    X, __ = IRIS
    model = ChainruleTransformer(2, max_iter=40, random_state=0).fit(X)
    codes = model.transform(X)
    assert codes.shape == (150, 2)
    assert codes.dtype == np.float64
    lost = ((model.inverse_transform(codes) - X) ** 2).sum() / X.var(0).sum() / 150
    assert lost < 0.1
    assert model.get_feature_names_out().tolist() == [
        "chainruletransformer0",
        "chainruletransformer1",
    ]


def test_a_column_of_labels_is_taken_with_a_warning() -> None:
    X, y = IRIS
    with pytest.warns(DataConversionWarning):
        model = small().fit(X, y[:, None])
    assert model.predict(X).shape == (150,)


@pytest.mark.slow
def test_both_engines_agree() -> None:
    X, y = IRIS
    a, b = (small(engine=engine).fit(X, y) for engine in ENGINES)
    np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(X), rtol=1e-6)


def test_float32_stays_float32() -> None:
    X, y = IRIS
    model = small().fit(X.astype(np.float32), y)
    assert {w.dtype for w in weights_of(model)} == {np.dtype(np.float32)}
    assert {w.dtype for w in weights_of(small().fit(X, y))} == {np.dtype(np.float64)}


def test_columns_of_zeros_and_ones_stay_as_they_are() -> None:
    X = np.column_stack([IRIS[0], IRIS[1] == 0])
    first = small().fit(X, IRIS[1]).trainer_.model[0]
    np.testing.assert_allclose(first.mean.numpy(), [*IRIS[0].mean(0), 0])
    np.testing.assert_allclose(first.std.numpy(), [*IRIS[0].std(0), 1])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes"),
        ({"activation": "rleu"}, "activation"),
        ({"solver": "lbfgs"}, "solver"),
        ({"alpha": -1}, "alpha"),
        ({"batch_size": 0}, "batch_size"),
        ({"learning_rate": "invscaling"}, "learning_rate"),
        ({"learning_rate_init": 0}, "learning_rate_init"),
        ({"max_iter": 0}, "max_iter"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"module": nn.Linear}, "module"),
        ({"module": lambda inputs, outputs: None}, "module"),
        ({"engine": "gpu"}, "engine"),
    ],
)
def test_parameters_that_cannot_be(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ArgumentError, match=named):
        small(**options).fit(*IRIS)


def test_targets_that_cannot_be() -> None:
    X, y = IRIS
    with pytest.raises(ArgumentError, match="one class"):
        small().fit(X, y * 0)
    with pytest.raises(ArgumentError, match="one class"):
        small().fit(X, y, (y == 0) * 1.0)
    with pytest.raises(ArgumentError, match="negative"):
        small().fit(X, y, y - 1.0)
    with pytest.raises(ArgumentError, match="Several targets of several classes"):
        small().fit(X, np.stack([y, y], axis=1))
    with pytest.raises(ValueError, match="contains NaN"):
        ChainruleRegressor().fit(X, np.full(150, np.nan))


def test_devices_are_those_of_the_engine_xla() -> None:
    with pytest.raises(errors.EngineError, match="runs on one device"):
        small(engine="native", devices=2).fit(*IRIS)
    with pytest.raises(ArgumentError, match='or "all"'):
        small(devices="many").fit(*IRIS)
    assert small(devices=2).get_params()["devices"] == 2
