"""Baselines, importance and mistakes against scikit-learn and tables that are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sk
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.inspection import permutation_importance

import chainrule as cr
from chainrule import metrics, nn, optim
from chainrule.data import Dataset
from chainrule.metrics import evaluation


def trained(data: Dataset, loss: Any, outputs: int, **options: Any) -> cr.Trainer:
    cr.manual_seed(0)
    width = data.x.shape[1]
    layers = [nn.Linear(width, 16), nn.Tanh(), nn.Linear(16, outputs)]
    trainer = cr.Trainer(
        nn.Sequential(*layers, *options.pop("last", ())),
        loss=loss,
        optimizer=optim.Adam(lr=0.02),
        engine="numpy",
        **options,
    )
    trainer.fit(data, epochs=40, progress=False)
    return trainer


def classes(count: int = 3, rows: int = 200) -> Dataset:
    """The first column tells most, the second a little, the third nothing."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 3)).astype(np.float32)
    score = 2 * x[:, 0] + 0.7 * x[:, 1] + 0.1 * rng.normal(size=rows)
    cuts = np.quantile(score, np.linspace(0, 1, count + 1)[1:-1] ** 2)
    return Dataset(
        x,
        np.searchsorted(cuts, score),
        classes=count,
        feature_names=["much", "little", "none"],
        format={"kind": "csv", "features": ["much", "little", "none"]},
    )


def quantities(outputs: int = 1) -> Dataset:
    data = classes()
    x = data.x[:]
    y = x @ np.array([[3.0, 1.0, 0.0], [0.0, 9.0, 0.0]]).T[:, :outputs] + 50
    return Dataset(
        x,
        y.astype(np.float32),
        feature_names=data.feature_names,
        format=data.format,
    )


# -- baselines -------------------------------------------------------------------------


def found(trainer: cr.Trainer, data: Dataset) -> evaluation.Baseline:
    outputs = trainer.predict(data)
    measured = evaluation.metrics_for(trainer, data, outputs)
    made = evaluation.baseline(trainer, data, outputs, measured)
    assert made is not None
    return made


@pytest.mark.parametrize("count", [2, 3, 5])
def test_of_classes(count: int) -> None:
    data = classes(count)
    made = found(trained(data, nn.CrossEntropyLoss(), count), data)
    dummy = DummyClassifier(strategy="prior").fit(data.x[:], data.y)
    said, shares = dummy.predict(data.x[:]), dummy.predict_proba(data.x[:])
    average = "binary" if count == 2 else "macro"
    assert made.says == said[0]
    assert made.share == pytest.approx((data.y == said[0]).mean())
    assert made.values == {
        "loss": pytest.approx(sk.log_loss(data.y, shares), rel=1e-6),
        "accuracy": pytest.approx(sk.accuracy_score(data.y, said)),
        "balanced_accuracy": pytest.approx(1 / count),
        "f1": pytest.approx(sk.f1_score(data.y, said, average=average)),
        "roc_auc": 0.5,
    }
    # Whatever the network gives: probabilities, or one output.
    loss = nn.CrossEntropyLoss(from_logits=False)
    again = found(trained(data, loss, count, last=[nn.Softmax()]), data)
    assert again.values == {k: pytest.approx(v) for k, v in made.values.items()}


@pytest.mark.parametrize(
    ("loss", "last", "labels"),
    [
        (nn.BCEWithLogitsLoss(), [], (0, 1)),
        (nn.BCELoss(), [nn.Sigmoid()], (0, 1)),
        (nn.HingeLoss(), [], (-1, 1)),
        (nn.PerceptronLoss(), [], (0, 1)),
        (nn.MSELoss(), [], (0, 1)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_of_one_output(loss: Any, last: list[Any], labels: tuple[int, int]) -> None:
    two = classes(2)
    y = np.array(labels, np.float32)[two.y][:, None]
    data = Dataset(two.x, y)
    made = found(trained(data, loss, 1, last=last), data)
    common = max(two.y.mean(), 1 - two.y.mean())
    if isinstance(loss, nn.MSELoss):
        assert made.values["r2"] == 0
        return
    assert made.values["accuracy"] == pytest.approx(common)
    assert made.says == int(two.y.mean() >= 0.5)
    assert made.values["roc_auc"] == 0.5
    if isinstance(loss, nn.BCELoss | nn.BCEWithLogitsLoss):
        p = two.y.mean()
        entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p))
        assert made.values["loss"] == pytest.approx(entropy, rel=1e-5)
    else:
        assert "loss" not in made.values, "no one knows its best constant"


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("loss", "logarithms"),
    [
        (nn.KLDivLoss(), False),
        (nn.KLDivLoss(reduction="batchmean"), False),
        (nn.KLDivLoss(log_target=True), True),
        (nn.KLDivergence(), False),
        (nn.PoissonNLLLoss(), False),
        (nn.PoissonNLLLoss(log_input=False), False),
        (nn.MSELoss(), False),
    ],
    ids=repr,
)
def test_no_constant_outputs_are_better(loss: Any, logarithms: bool) -> None:
    x = classes().x[:]
    shares = np.random.default_rng(0).dirichlet([1, 2, 3], len(x)).astype("f4")
    last = [nn.Softmax()]
    if isinstance(loss, nn.KLDivLoss):
        last = [nn.LogSoftmax()]
    data = Dataset(x, np.log(shares) if logarithms else shares)
    made = found(trained(data, loss, 3, last=last), data)
    mean = shares.mean(0)
    others = [mean, *(mean + 0.02 * (np.eye(3)[i] - np.eye(3)[i - 1]) for i in (0, 1))]
    if isinstance(loss, nn.KLDivLoss) or getattr(loss, "log_input", False):
        others = [np.log(other) for other in others]
    rows = [np.broadcast_to(row, shares.shape).astype("f4") for row in others]
    best, *worse = [evaluation.loss_of(loss, row, data.y[:]) for row in rows]
    assert made.values["loss"] == pytest.approx(best, rel=1e-5)
    assert all(best < other for other in worse)


@pytest.mark.parametrize("outputs", [1, 2])
def test_of_quantities(outputs: int) -> None:
    data = quantities(outputs)
    made = found(trained(data, nn.MSELoss(), outputs), data)
    said = DummyRegressor().fit(data.x[:], data.y).predict(data.x[:])
    said = np.asarray(said).reshape(data.y.shape)
    np.testing.assert_allclose(made.says, said[0], rtol=1e-6)
    assert made.values == {
        "loss": pytest.approx(sk.mean_squared_error(data.y, said), rel=1e-5),
        "r2": 0.0,
        "mae": pytest.approx(sk.mean_absolute_error(data.y, said), rel=1e-5),
    }


# -- importance ------------------------------------------------------------------------


class Model(BaseEstimator):
    """A Trainer as scikit-learn sees it."""

    def __init__(self, trainer: cr.Trainer | None = None) -> None:
        self.trainer = trainer

    def fit(self, x: Any, y: Any) -> Model:
        return self

    def score(self, x: np.ndarray, y: np.ndarray) -> float:
        assert self.trainer is not None
        return sk.r2_score(y, self.trainer.predict(x))


def test_as_scikit_learn() -> None:
    data = quantities()
    last = [nn.Unstandardize.of(data.y)]
    trainer = trained(data, nn.MSELoss(), 1, metrics=["r2"], last=last)
    made = evaluation.permutation_importance(trainer, data, metrics.R2(), repeats=60)
    theirs: Any = permutation_importance(
        Model(trainer), data.x[:], data.y, n_repeats=60, random_state=0
    )
    assert [item.column for item in made] == ["much", "little", "none"]
    for item, mean, std in zip(
        made, theirs.importances_mean, theirs.importances_std, strict=True
    ):
        assert item.mean == pytest.approx(mean, abs=4 * std / 60**0.5 + 1e-3)
    assert made[0].mean > 1 > 0.05 > abs(made[2].mean)


def test_columns_are_shuffled_whole() -> None:
    """A category whose 0/1 features went apart would be told from nothing else."""
    rng = np.random.default_rng(0)
    city = rng.integers(0, 3, 300)
    x = np.column_stack([np.eye(3)[city], rng.normal(size=300)]).astype("f4")
    names = ["city=a", "city=b", "city=c=d", "size"]
    data = Dataset(
        x,
        city,
        classes=3,
        feature_names=names,
        format={"kind": "csv", "features": ["city", "size"]},
    )
    assert evaluation.columns_of(data) == {"city": [0, 1, 2], "size": [3]}
    trainer = trained(data, nn.CrossEntropyLoss(), 3)
    seen: list[np.ndarray] = []
    predict = trainer.predict

    def watched(x: Any, *args: Any) -> Any:
        seen.append(np.asarray(x))
        return predict(x, *args)

    trainer.predict = watched  # type: ignore[method-assign]
    made = evaluation.permutation_importance(trainer, data, metrics.Accuracy())
    assert [item.column for item in made] == ["city", "size"]
    assert made[0].mean == pytest.approx(2 / 3, abs=0.1)
    assert all((table[:, :3].sum(1) == 1).all() for table in seen)
    trainer.predict = predict  # type: ignore[method-assign]
    for seed, same in ((0, True), (1, False)):
        other = evaluation.permutation_importance(
            trainer, data, metrics.Accuracy(), seed=seed
        )
        assert (other == made) is same


@pytest.mark.parametrize(
    ("names", "format", "wanted"),
    [
        (
            ["day", "day weekday", "day is missing", "day off"],
            {"columns": [{"name": "day"}, {"name": "day off"}]},
            {"day": [0, 1, 2], "day off": [3]},
        ),
        (["a", "b"], None, {"a": [0], "b": [1]}),
        (None, None, {}),
    ],
)
def test_which_features_are_one_column(names: Any, format: Any, wanted: Any) -> None:
    width = len(names or "ab")
    data = Dataset(np.zeros((2, width)), [0, 1], feature_names=names, format=format)
    assert evaluation.columns_of(data) == wanted


def test_it_is_bounded() -> None:
    """Of pictures, of very wide tables and of one row nothing is ranked."""
    data = quantities()
    trainer = trained(data, nn.MSELoss(), 1)
    rank = evaluation.permutation_importance
    assert rank(trainer, Dataset(data.x, data.y), metrics.R2()) == []
    assert rank(trainer, data[:1], metrics.MAE()) == []
    wide = Dataset(
        np.zeros((3, 501)), [0.0] * 3, feature_names=[f"c{i}" for i in range(501)]
    )
    assert rank(trainer, wide, metrics.MAE()) == []
    rows: list[int] = []
    predict = trainer.predict

    def counted(x: Any) -> Any:
        rows.append(len(x))
        return predict(x)

    trainer.predict = counted  # type: ignore[method-assign]
    rank(trainer, data, metrics.MAE(), rows=70, repeats=3)
    assert rows == [70, 210, 210, 210]


# -- mistakes --------------------------------------------------------------------------


def test_mistakes_of_classes() -> None:
    data = classes()
    y = data.y.copy()
    trainer = trained(data, nn.CrossEntropyLoss(), 3)
    surest = trainer.predict(data, "probabilities").max(1).argsort()[::-1][:3]
    y[surest] = (y[surest] + 1) % 3
    wrong = Dataset(data.x, y, classes=3)
    outputs = trainer.predict(wrong)
    made = evaluation.mistakes(trainer, wrong, outputs, 3)
    assert {item.row for item in made} == set(surest.tolist())
    for item in made:
        assert (item.truth, item.predicted) == (y[item.row], outputs[item.row].argmax())
        own = outputs[item.row].astype(np.float64)
        cost = np.log(np.exp(own).sum()) - own[item.truth]
        assert item.cost == pytest.approx(cost, rel=1e-5)
    assert [item.cost for item in made] == sorted([i.cost for i in made], reverse=True)


def test_mistakes_of_quantities() -> None:
    """The second target has a hundred times the unit: it does not hide the first."""
    data = quantities(2)
    y = data.y * np.array([1, 100], np.float32)
    trainer = trained(
        Dataset(data.x, y), nn.MSELoss(), 2, last=[nn.Unstandardize.of(y)]
    )
    y[7, 0] -= 40
    y[9, 1] += 2000
    wrong = Dataset(data.x, y)
    made = evaluation.mistakes(trainer, wrong, trainer.predict(wrong), 2)
    assert [item.row for item in made] == [7, 9]
    assert made[0].cost == pytest.approx(40, abs=5)
    assert made[1].cost == pytest.approx(-2000, abs=300)
    assert made[0].truth == y[7].tolist()


def test_rows_in_words() -> None:
    data = Dataset(
        [[0, 1, 2.5, 0], [1, 0, 1e-3, 1]],
        [0, 1],
        feature_names=["a=no", "a=yes=no", "n", "n is missing"],
        format={"features": ["a", "n"]},
    )
    assert evaluation.cells_of(data, 0) == {"a": "yes=no", "n": "2.5"}
    assert evaluation.cells_of(data, 1) == {"a": "no", "n": "0.001"}
