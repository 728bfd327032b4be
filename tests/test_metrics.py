"""Metrics against scikit-learn and exact arithmetic, however the data are cut."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sk

import chainrule as cr
from chainrule import errors, metrics, nn, optim
from chainrule.metrics import Metric, named
from tests.training.conftest import pixels, small_network


class Echo(nn.Module):
    """The output is the input: metrics of given predictions."""

    def __init__(self, dtype: str = "float32") -> None:
        self.unused = nn.Linear(1, 1, dtype=dtype)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return x


def evaluator(chosen: Any, loss: Any = None, **options: Any) -> cr.Trainer:
    dtype = options.pop("dtype", "float32")
    return cr.Trainer(
        Echo(dtype),
        loss=loss or nn.CrossEntropyLoss(),
        optimizer=optim.SGD(lr=0.1),
        metrics=chosen,
        **options,
    )


def scores_with_ties(rows: int = 90, classes: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Scores of few different values, so that many are equal."""
    rng = np.random.default_rng(3)
    x = rng.integers(0, 4, (rows, classes)).astype(np.float32)
    return x, rng.integers(0, classes, rows)


# -- classes -------------------------------------------------------------------------


def test_of_classes(engine: str) -> None:
    x, y = scores_with_ties()
    chosen = ["accuracy", "top1", "top3", "top7", "confusion_matrix"]
    trainer = evaluator(chosen, engine=engine)
    measured = trainer.evaluate((x, y), 90)
    for size in (1, 7, 1000):
        other = trainer.evaluate((x, y), size)
        assert (other.pop("confusion_matrix") == measured["confusion_matrix"]).all()
        assert other == pytest.approx({k: measured[k] for k in other}, rel=1e-6)
    decided = x.argmax(1)
    assert measured["accuracy"] == sk.accuracy_score(y, decided) == measured["top1"]
    assert measured["top7"] == 1.0
    # Of equal scores the lower class counts as larger.
    best = np.argsort(-x, axis=1, kind="stable")[:, :3]
    assert measured["top3"] == (best == y[:, None]).any(1).mean()
    matrix = measured["confusion_matrix"]
    assert matrix.dtype == np.int64
    assert (matrix == sk.confusion_matrix(y, decided, labels=range(7))).all()
    assert list(measured) == ["loss", *chosen]


@pytest.mark.parametrize("targets", ["one-hot", "soft", "int one-hot"])
def test_targets_that_are_shares(targets: str) -> None:
    x, y = scores_with_ties()
    rows = np.eye(7, dtype=np.float32)[y]
    loss: Any = nn.CrossEntropyLoss()
    if targets == "soft":
        rows = 0.9 * rows + 0.1 / 7
    if targets == "int one-hot":
        rows, loss = rows.astype(np.int32), lambda p, t: p.mean()
    chosen = ["accuracy", "top3", "confusion_matrix"]
    measured = evaluator(chosen, loss, engine="numpy").evaluate((x, rows))
    plain = evaluator(chosen, engine="numpy").evaluate((x, y))
    assert measured["accuracy"] == plain["accuracy"]
    assert measured["top3"] == plain["top3"]
    assert (measured["confusion_matrix"] == plain["confusion_matrix"]).all()


@pytest.mark.parametrize(
    ("name", "bad"),
    [("accuracy", np.nan), ("top1", np.inf), ("roc_auc", -np.inf), ("f1", np.nan)],
)
def test_a_score_that_is_not_a_number_decides_for_nothing(
    engine: str, name: str, bad: float
) -> None:
    """NaN would have been taken for class 0: every row that is not finite is named."""
    x, y = scores_with_ties()
    x[[3, 77], 2] = bad
    wanted = r"2 of 90 rows(.|\n)*row 3, 77"
    with pytest.raises(errors.NonFiniteError, match=wanted):
        metrics.measure(name, cr.tensor(x), cr.tensor(y))
    # Data with NaN are refused before; here the network makes it.
    x[[3, 77], 2] = 7
    trainer = evaluator([name], engine=engine)
    trainer.model.forward = lambda x: cr.where(x == 7.0, bad, x)
    with pytest.raises(errors.NonFiniteError, match=wanted):
        trainer.evaluate((x, y), 10)
    for output in (None, "classes", "probabilities"):
        with pytest.raises(errors.NonFiniteError, match=wanted):
            trainer.predict(x, output, batch_size=10)


def test_weights_that_are_no_numbers_are_named(engine: str) -> None:
    trainer = cr.Trainer(
        small_network(),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.SGD(lr=0.1),
        engine=engine,
    )
    data = pixels()
    weight = dict(trainer.model.named_parameters())["0.weight"]
    weight.copy_(cr.tensor(np.full(weight.shape, np.nan, "f4")))
    for ask in (trainer.evaluate, trainer.predict):
        with pytest.raises(errors.NonFiniteError, match=r"weights 0\.weight hold"):
            ask(data)


BINARY: list[tuple[Any, Any, list[float]]] = [
    # the loss, the numbers of "no" and "yes" in the targets, outputs at the threshold
    (nn.BCEWithLogitsLoss(), (0, 1), [-2.0, -0.0, 0.0, 0.3]),
    (nn.BCELoss(), (0, 1), [0.2, 0.49, 0.5, 0.7]),
    (nn.HingeLoss(), (-1, 1), [-2.0, -0.1, 0.0, 0.3]),
    (nn.PerceptronLoss(), (0, 1), [-2.0, -0.1, 0.0, 0.3]),
    (nn.MSELoss(), (0, 1), [0.2, 0.49, 0.5, 0.7]),
]


@pytest.mark.parametrize(("loss", "labels", "outputs"), BINARY)
@pytest.mark.parametrize("column", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_a_single_output(
    loss: Any, labels: Any, outputs: list[float], column: bool, dtype: str
) -> None:
    """Outputs: no, no, yes, yes (−0.0 is 0); truth: no, yes, no, yes."""
    if isinstance(loss, nn.BCEWithLogitsLoss):
        outputs = [-2.0, -0.1, 0.0, 0.3]
    x, y = np.array(outputs, np.float32), np.array([labels[i] for i in (0, 1, 0, 1)])
    if column:
        x, y = x[:, None], y[:, None]
    trainer = evaluator(["accuracy", "confusion_matrix"], loss, engine="numpy")
    measured = trainer.evaluate((x, y.astype(dtype)))
    assert measured["accuracy"] == 0.5
    assert measured["confusion_matrix"].tolist() == [[1, 1], [1, 1]]
    x[1] = x[3]
    assert trainer.evaluate((x, y.astype(dtype)))["accuracy"] == 0.75


def test_thresholds() -> None:
    outputs, truth = cr.tensor([0.0, 0.4, 1.0]), cr.tensor([0, 1, 1])
    assert metrics.measure(metrics.Accuracy(), outputs, truth) == pytest.approx(2 / 3)
    assert metrics.measure(metrics.Accuracy(0.3), outputs, truth) == 1.0
    own = metrics.Accuracy(0.3)
    left = own.for_loss(nn.BCELoss()).settings()
    assert left == {"threshold": 0.3}, "a threshold that was given stays"
    assert repr(own) == "Accuracy(threshold=0.3)"
    assert metrics.Accuracy().for_loss(nn.HingeLoss()).threshold == 0.0


def test_several_binary_outputs_are_a_decision_each(engine: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 5)).astype(np.float32)
    y = rng.integers(0, 2, (40, 5)).astype(np.float32)
    trainer = evaluator(None, nn.BCEWithLogitsLoss(), engine=engine)
    assert trainer.evaluate((x, y), 7)["accuracy"] == ((x >= 0) == y).mean()
    chosen = evaluator("confusion_matrix", nn.BCEWithLogitsLoss(), engine=engine)
    matrix = chosen.evaluate((x, y), 7)["confusion_matrix"]
    assert (matrix == sk.confusion_matrix(y.ravel(), x.ravel() >= 0)).all()


@pytest.mark.parametrize("name", ["accuracy", "top2", "confusion_matrix"])
def test_targets_that_do_not_fit(name: str) -> None:
    trainer = evaluator([name], lambda p, t: p.mean(), engine="numpy")
    with pytest.raises(errors.ShapeError) as error:
        trainer.evaluate((np.zeros((4, 3), "f4"), np.zeros((4, 2), "f4")))
    assert "cannot compare" in str(error.value)
    assert "(N, 2)" in str(error.value)


def test_top_k_of_one_output() -> None:
    with pytest.raises(errors.ShapeError, match="one score a class"):
        metrics.measure("top2", cr.tensor([[0.5]]), cr.tensor([1]))


# -- quantities ----------------------------------------------------------------------


@pytest.mark.parametrize("outputs", [(), (1,), (3,), (2, 2)])
def test_of_quantities(engine: str, outputs: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=(50, *outputs)).astype(np.float32)
    x = (y + 0.3 * rng.normal(size=y.shape)).astype(np.float32)
    chosen = ["r2", "mae", "mse", "rmse"]
    loss = (lambda p, t: p.mean()) if len(outputs) > 1 else nn.MSELoss()
    trainer = evaluator(chosen, loss, engine=engine)
    a, b = (z.astype(np.float64).reshape(50, -1) for z in (y, x))
    expected = [
        sk.r2_score(a, b),
        sk.mean_absolute_error(a, b),
        sk.mean_squared_error(a, b),
        sk.mean_squared_error(a, b) ** 0.5,
    ]
    for size in (1, 7, 100):
        measured = trainer.evaluate((x, y), size)
        np.testing.assert_allclose([measured[k] for k in chosen], expected, rtol=1e-12)


@pytest.mark.parametrize(("mean", "dtype"), [(1e8, "float64"), (2.0**23, "float32")])
def test_r2_does_not_cancel(engine: str, mean: float, dtype: str) -> None:
    """Σy² − (Σy)²/n would leave no digit of the variance; here it is exact."""
    rng = np.random.default_rng(1)
    y = (mean + rng.integers(-3, 4, 40)).astype(dtype)
    x = (y + rng.integers(-1, 2, 40)).astype(dtype)
    trainer = evaluator(["r2"], nn.MSELoss(), engine=engine, dtype=dtype)
    exact, predicted = ([Fraction(float(v)) for v in a] for a in (y, x))
    middle = sum(exact) / len(exact)
    residual = sum((a - b) ** 2 for a, b in zip(exact, predicted))
    truth = float(1 - residual / sum((a - middle) ** 2 for a in exact))
    for size in (3, 40):
        r2 = trainer.evaluate((x, y), size)["r2"]
        assert r2 == pytest.approx(truth, rel=1e-9)


@pytest.mark.parametrize("guess", [2.0, 3.0])
def test_r2_of_targets_that_are_all_equal(guess: float) -> None:
    y = np.full((6, 2), 2.0)
    x = y.copy()
    x[:, 1] = guess
    made = metrics.measure("r2", cr.tensor(x), cr.tensor(y))
    assert made == sk.r2_score(y, x)


def test_column_and_line_belong_together() -> None:
    x, y = cr.tensor([[1.0], [2.0]]), cr.tensor([1.0, 4.0])
    assert metrics.measure("mae", x, y) == 1.0
    with pytest.raises(errors.ShapeError, match="one by one"):
        metrics.measure("mae", x, cr.tensor([1.0, 2.0, 3.0]))


# -- which ---------------------------------------------------------------------------

FLOATS = np.ones((6, 2), np.float32)
DEFAULTS: list[tuple[Any, np.ndarray, list[str]]] = [
    (nn.CrossEntropyLoss(), np.zeros(6, int), ["accuracy"]),
    (nn.CrossEntropyLoss(), FLOATS / 2, ["accuracy"]),
    (nn.BCEWithLogitsLoss(), FLOATS, ["accuracy"]),
    (nn.MultiMarginLoss(), np.zeros(6, int), ["accuracy"]),
    (lambda p, t: p.mean(), np.zeros(6, int), ["accuracy"]),
    (nn.MSELoss(), FLOATS, ["r2", "mae"]),
    (nn.HuberLoss(), FLOATS, ["r2", "mae"]),
    (lambda p, t: p.mean(), FLOATS, ["r2", "mae"]),
    (lambda p, t: p.mean(), FLOATS[:, :1], []),
    (nn.KLDivergence(), FLOATS / 2, []),
]


@pytest.mark.parametrize(("loss", "y", "names"), DEFAULTS)
def test_what_is_measured_unasked(loss: Any, y: np.ndarray, names: list[str]) -> None:
    x = np.full((6, 2), 0.5, np.float32)
    measured = evaluator(None, loss, engine="numpy").evaluate((x, y))
    assert list(measured) == ["loss", *names]
    assert list(evaluator((), loss, engine="numpy").evaluate((x, y))) == ["loss"]


class Largest(Metric):
    name = "largest"

    def batch(self, prediction: cr.Tensor, target: cr.Tensor) -> dict[str, cr.Tensor]:
        return {"max": prediction.max()}

    def value(self, batches: Any, counts: np.ndarray) -> Any:
        assert counts.dtype == np.float64
        return np.max([b["max"] for b in batches])


def test_a_metric_of_ones_own(engine: str) -> None:
    x, y = scores_with_ties()
    x[77, 2] = 9.5
    trainer = evaluator([Largest(), "accuracy"], engine=engine)
    measured = trainer.evaluate((x, y), 20)
    assert measured["largest"] == 9.5
    assert isinstance(measured["largest"], float), "a plain number, as JSON has it"


def test_history_keeps_single_numbers() -> None:
    trainer = cr.Trainer(
        small_network(),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.SGD(lr=0.1),
        metrics=["confusion_matrix", "top2"],
        engine="numpy",
    )
    data = pixels()
    history = trainer.fit(data, epochs=1, validation=data, progress=False)
    keys = ["epoch", "train_loss", "validation_loss", "validation_top2", "lr"]
    assert list(history.epochs[0]) == [*keys, "seconds"]


class Given(Metric):
    name = "given"

    def __init__(self, number: Any, mode: str = "max") -> None:
        self.number, self.mode = number, mode

    def batch(self, prediction: cr.Tensor, target: cr.Tensor) -> dict[str, cr.Tensor]:
        return {"nothing": prediction.sum()}

    def value(self, batches: Any, counts: np.ndarray) -> Any:
        return self.number


@pytest.mark.parametrize(
    "value",
    [0.5, np.float32(0.5), np.array(0.5), Fraction(1, 2), cr.tensor(0.5)],
    ids=str,
)
def test_kinds_of_numbers(value: Any) -> None:
    made = evaluator([Given(value)], engine="numpy").evaluate(scores_with_ties())
    assert made["given"] == 0.5
    assert type(made["given"]) is float


@pytest.mark.parametrize("value", [None, "0.5", [1, 2], np.ones(3), 1j, np.array(1j)])
def test_values_that_are_no_numbers(value: Any) -> None:
    chosen = Given(value)
    with pytest.raises(errors.ArgumentError) as error:
        evaluator([chosen], engine="numpy").evaluate(scores_with_ties())
    for part in ("Given.value must give one number", "scalar = False", "fix:"):
        assert part in str(error.value)
    chosen.scalar = False
    made = evaluator([chosen], engine="numpy").evaluate(scores_with_ties())
    assert made["given"] is value


def test_modes() -> None:
    with pytest.raises(errors.ArgumentError) as error:
        evaluator([Given(1.0, "maximum")], engine="numpy")
    for part in ("Given.mode", "'maximum'", "'max'"):
        assert part in str(error.value)


class Targets(metrics.Mean):
    name = "targets"

    def items(self, prediction: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
        return target if target.dtype.is_float else target > 2


@pytest.mark.parametrize("size", [7, 1000])
def test_a_mean_of_ones_own(engine: str, size: int) -> None:
    """Sums that float32 would round, and shares of truth values."""
    x = np.ones((1000, 1), np.float32)
    y = (2.0**24 + 2 * np.arange(1000)).astype(np.float32)[:, None]
    trainer = evaluator([Targets()], nn.MSELoss(), engine=engine)
    made = trainer.evaluate((x, y), size)["targets"]
    assert made == pytest.approx(y.astype(np.float64).mean(), rel=1e-15)
    share = trainer.evaluate((x, np.arange(1000)[:, None] % 4), size)["targets"]
    assert share == 0.25


def test_a_mean_without_items() -> None:
    with pytest.raises(errors.ArgumentError, match=r"Mean has no items\(\)"):
        metrics.measure(metrics.Mean(), cr.tensor([1.0]), cr.tensor([1.0]))


class Nothing(Metric):
    name = "nothing"


class Numbers(Metric):
    name = "numbers"

    def batch(self, prediction: cr.Tensor, target: cr.Tensor) -> Any:
        return prediction.sum()


@pytest.mark.parametrize(
    ("chosen", "parts"),
    [
        ("acuracy", ("No metric is called 'acuracy'", "did you mean 'accuracy'?")),
        (["r2", "top0"], ("No metric is called 'top0'", "'top5'")),
        ([metrics.Accuracy], ("the class Accuracy", "Accuracy(…) with parentheses")),
        (metrics.Accuracy, ("the class Accuracy", "Accuracy(…) with parentheses")),
        ([3], ("another kind", "metrics=['accuracy']")),
        (7, ("another kind", "metrics=['accuracy']")),
        (["mae", "mae"], ("a name of its own", "'mae', 'mae'")),
        ([Metric()], ("a name of its own", "another name")),
    ],
)
def test_what_is_no_metric(chosen: Any, parts: tuple[str, ...]) -> None:
    with pytest.raises(errors.ArgumentError) as error:
        evaluator(chosen, engine="numpy")
    for part in (*parts, "expected:", "got:", "fix:"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("chosen", "part"),
    [(Nothing(), "Nothing has no batch()"), (Numbers(), "must give tensors by name")],
)
def test_metrics_that_are_not_whole(chosen: Metric, part: str) -> None:
    with pytest.raises(errors.ArgumentError) as error:
        evaluator(chosen, engine="numpy").evaluate(scores_with_ties())
    assert part in str(error.value)
    with pytest.raises(errors.ArgumentError, match="no value"):
        chosen.value([], np.zeros(0))


def test_top_k_counts_classes() -> None:
    for k in (0, -1, 2.5, True, "3"):
        with pytest.raises(errors.ArgumentError, match="k must be a whole number"):
            metrics.TopK(k)  # type: ignore[arg-type]


def test_descriptions_come_back() -> None:
    for made in (
        metrics.Accuracy(0.25),
        metrics.TopK(3),
        metrics.ConfusionMatrix(),
        metrics.F1("macro", threshold=0.5),
        metrics.BalancedAccuracy(),
        metrics.ROCAUC(from_logits=True),
        metrics.R2(),
        metrics.MAE(),
        metrics.MSE(),
        metrics.RMSE(),
    ):
        described = named.spec(made)
        assert described is not None
        again = named.build(described)
        assert (type(again), repr(again)) == (type(made), repr(made))
        assert again.name == made.name
    assert named.spec(Largest()) is None


def test_names_of_ones_own(engine: str) -> None:
    """Two averages of one metric, and a name that the program itself uses."""
    chosen = {
        "finite": lambda output, target: output,
        "of_all": metrics.Precision("macro"),
        "counted": metrics.Precision("micro"),
        "loss_of_rows": "log_loss",
        "ranked": metrics.ROCAUC(),
    }
    trainer = evaluator(chosen, nn.BCEWithLogitsLoss(), engine=engine)
    z = np.array([[2.0], [1.0], [-1.0], [3.0]], np.float32)
    y = np.array([[0.0], [1.0], [0.0], [1.0]], np.float32)
    made = trainer.evaluate((z, y), 3)
    assert list(made)[1:] == list(chosen)
    assert made["finite"] == 1.25
    assert made["of_all"] == pytest.approx((1 + 2 / 3) / 2)
    assert made["counted"] == 0.75
    assert made["loss_of_rows"] == pytest.approx(made["loss"])
    described = [named.spec(m) for m in (trainer.metrics or ())[1:]]
    again = [named.build(d).name for d in described if d is not None]
    assert again == list(chosen)[1:]


def test_a_name_of_an_instance_stays() -> None:
    for made in (metrics.F1("macro"), metrics.Accuracy(), metrics.AveragePrecision()):
        made.name = "own"
        assert made.for_loss(nn.BCEWithLogitsLoss()).name == "own"
