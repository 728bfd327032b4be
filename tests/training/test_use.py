"""Evaluation, prediction, and the kinds of data and models that a Trainer takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.compilation.program import CompiledProgram
from chainrule.errors import ArgumentError
from chainrule.training import programs

from .conftest import Make, pixels, same, small_network


def softmax_loss(scores: np.ndarray, labels: np.ndarray) -> float:
    scores = scores.astype(np.float64)
    top = scores.max(1, keepdims=True)
    logs = np.log(np.exp(scores - top).sum(1)) + top[:, 0]
    return float((logs - scores[np.arange(len(labels)), labels]).mean())


def forward(model: nn.Module, x: np.ndarray) -> np.ndarray:
    w = {k: v.astype(np.float64) for k, v in model.state_dict().items()}
    hidden = np.maximum(x.astype(np.float64) @ w["0.weight"].T + w["0.bias"], 0)
    last = max(w)[0]
    return hidden @ w[f"{last}.weight"].T + w[f"{last}.bias"]


def test_evaluate_is_exact_over_partial_batches(
    make: Make, data: cr.data.Dataset, engine: str
) -> None:
    trainer = make(engine=engine, dropout=0.5)  # off in evaluation
    scores = forward(trainer.model, data.x[...])
    loss = pytest.approx(softmax_loss(scores, data.y), rel=1e-6)
    for batch_size in (7, 50, 1000):
        measured = trainer.evaluate(data, batch_size)
        assert measured["accuracy"] == (scores.argmax(1) == data.y).mean()
        assert measured["loss"] == loss


@pytest.mark.parametrize("kind", ["dataset", "column", "array", "list", "tensor"])
def test_predict_takes_what_there_is(
    make: Make, data: cr.data.Dataset, kind: str
) -> None:
    trainer = make()
    x: Any = {
        "dataset": data,
        "column": data.x,
        "array": data.x[...],
        "list": data.x[...].tolist(),
        "tensor": cr.tensor(data.x[...]),
    }[kind]
    made = trainer.predict(x, batch_size=16)
    assert isinstance(made, np.ndarray)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, forward(trainer.model, data.x[...]), rtol=1e-4)


def test_predict_of_nothing_and_of_one(make: Make, data: cr.data.Dataset) -> None:
    trainer = make()
    assert trainer.predict(np.zeros((0, 6), np.float32)).shape == (0, 3)
    assert trainer.predict(data.x[:1]).shape == (1, 3)


def test_eager_and_engine_share_the_weights(
    make: Make, data: cr.data.Dataset, engine: str
) -> None:
    """Reading fetches from the engine, writing is sent to it, in any order."""
    trainer = make(engine=engine)
    trainer.fit(data, epochs=1, batch_size=8, progress=False)
    x = data.x[:4]
    eager = trainer.model(cr.tensor(x)).numpy()
    np.testing.assert_allclose(trainer.predict(x), eager, rtol=1e-4, atol=1e-6)
    trainer.model[0].weight.copy_(np.zeros((8, 6), np.float32))
    eager = trainer.model(cr.tensor(x)).numpy()
    np.testing.assert_allclose(trainer.predict(x), eager, rtol=1e-4, atol=1e-6)


def test_other_data_in_between_does_no_harm(make: Make, data: cr.data.Dataset) -> None:
    """Programs for other targets and sizes take turns over one state."""
    disturbed, plain = (make(optimizer=optim.Adam()) for _ in range(2))
    floats = cr.data.Dataset(data.x[...], data.y, classes=3)
    more = pixels(64, seed=2)
    for trainer in (disturbed, plain):
        trainer.fit(data, epochs=1, batch_size=8, progress=False)
        if trainer is disturbed:
            before = trainer.evaluate(data)
            assert trainer.evaluate(floats) == before
            trainer.evaluate(more)
            with pytest.raises(cr.ChainruleError):
                trainer.evaluate((np.zeros((3, 5), np.float32), np.zeros(3, int)))
            assert trainer.evaluate(data) == before
        trainer.fit(more, epochs=1, batch_size=8, progress=False)
        trainer.fit(data, epochs=1, batch_size=8, progress=False)
    assert same(disturbed.model, plain.model)


def test_regression_has_no_accuracy(make: Make) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 6)).astype(np.float32)
    y = (x @ rng.normal(size=(6, 1))).astype(np.float32)
    cr.manual_seed(0)
    trainer = make(
        model=nn.Linear(6, 1),
        loss=nn.MSELoss(),
        optimizer=optim.Adam(lr=0.1),
    )
    history = trainer.fit((x, y), epochs=60, batch_size=8, validation=(x, y))
    assert list(trainer.evaluate((x, y))) == ["loss", "r2", "mae"]
    assert "validation_accuracy" not in history.epochs[-1]
    assert history.epochs[-1]["validation_loss"] < 1e-3
    assert history.epochs[-1]["validation_r2"] > 0.99


def test_loss_of_ones_own(make: Make, data: cr.data.Dataset) -> None:
    weights = cr.tensor(np.array([1.0, 2.0, 3.0], np.float32))

    def loss(scores: cr.Tensor, labels: cr.Tensor) -> cr.Tensor:
        return -(scores.log_softmax(1) * weights).mean()

    trainer = make(loss=loss)
    trainer.fit(data, epochs=1, batch_size=8, progress=False)
    assert set(trainer.evaluate(data)) == {"loss", "accuracy"}


def test_large_tensors_of_the_loss_stay_apart(make: Make) -> None:
    """Training and evaluation may each use large constants of their own."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 6)).astype(np.float32)
    y = rng.normal(size=(8, 30)).astype(np.float32)
    cr.manual_seed(0)
    model = nn.Linear(6, 30)

    def loss(prediction: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
        scale = 1.0 if model.training else 100.0
        error = (prediction - target) * cr.tensor(np.full(30, scale, np.float32))
        return (error * error).mean()

    trainer = make(model=model, loss=loss, optimizer=optim.SGD(lr=1e-9))
    history = trainer.fit((x, y), epochs=1, batch_size=8, validation=(x, y))
    row = history.epochs[0]
    assert row["validation_loss"] == pytest.approx(1e4 * row["train_loss"], rel=1e-4)


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    ("stored", "scale"),
    [
        ("float64", None),
        ("float64", 0.5),
        ("float16", None),
        ("int16", 0.01),
        ("bool", None),
        ("int64", None),
        ("uint32", 0.001),
    ],
)
def test_kinds_of_data(make: Make, stored: str, scale: float | None) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2 if stored == "bool" else 100, (20, 6)).astype(stored)
    y = rng.integers(0, 3, 20)
    data = cr.data.Dataset(np.asfortranarray(x), y, scale=scale, classes=3)
    trainer, reference = make(), make()
    trainer.fit(data, epochs=1, batch_size=6, validation=data, progress=False)
    as_float32 = cr.data.Dataset(data.x[...].astype(np.float32), y, classes=3)
    reference.fit(as_float32, epochs=1, batch_size=6, progress=False)
    assert same(trainer.model, reference.model)
    assert trainer.predict(data).dtype == np.float32


def test_a_model_in_float64(make: Make, data: cr.data.Dataset) -> None:
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 3, dtype="float64"))
    trainer = make(model=model)
    trainer.fit(data, epochs=1, batch_size=8, validation=data, progress=False)
    assert trainer.predict(data).dtype == np.float64
    assert model.state_dict()["0.weight"].dtype == np.float64


def test_an_optimiser_for_some_of_the_parameters(
    make: Make, data: cr.data.Dataset
) -> None:
    model = small_network()
    before = model.state_dict()
    last = optim.SGD(model[2].parameters(), lr=0.1, momentum=0.5)
    trainer = make(model=model, optimizer=last)
    assert list(last.params) == ["2.weight", "2.bias"]
    trainer.fit(data, epochs=1, batch_size=8, progress=False)
    after = model.state_dict()
    changed = {k for k in before if (before[k] != after[k]).any()}
    assert changed == {"2.weight", "2.bias"}


def test_features_without_targets(make: Make, data: cr.data.Dataset) -> None:
    """What ``data.read`` gives for a file without the target's column."""
    trainer = make()
    rows = cr.data.Features(data.x, tuple(map(str, range(len(data)))))
    assert trainer.predict(rows).tobytes() == trainer.predict(data).tobytes()


# -- losses that do not count each sample once ----------------------------------------


def weighted(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> Any:
    """Σ w ℓ and Σ w in float64."""
    z = scores.astype(np.float64)
    top = z.max(1, keepdims=True)
    logs = np.log(np.exp(z - top).sum(1)) + top[:, 0]
    w = weights[labels]
    return float(w @ (logs - z[np.arange(len(labels)), labels])), float(w.sum())


WEIGHTS = np.array([0.1, 3.0, 20.0])


def test_evaluation_of_a_weighted_loss_is_exact(
    make: Make, data: cr.data.Dataset, engine: str
) -> None:
    """Means of batches would depend on how the rows are cut, by several per cent."""
    trainer = make(engine=engine, loss=nn.CrossEntropyLoss(weight=WEIGHTS))
    scores = forward(trainer.model, data.x[...])
    total, weight = weighted(scores, data.y, WEIGHTS)
    for size in (1, 7, 50):
        loss = trainer.evaluate(data, size)["loss"]
        assert loss == pytest.approx(total / weight, rel=1e-6)


@pytest.mark.parametrize("kind", ["weighted", "sum", "weighted sum", "mean"])
def test_the_train_loss_of_an_epoch(make: Make, engine: str, kind: str) -> None:
    """With a rate of 0 it is the loss over the whole data set, for any reduction."""
    data = pixels(50)
    options: dict[str, Any] = {}
    if "weighted" in kind:
        options["weight"] = WEIGHTS
    if "sum" in kind:
        options["reduction"] = "sum"
    loss = nn.CrossEntropyLoss(**options)
    trainer = make(engine=engine, loss=loss, optimizer=optim.SGD(lr=1e-30))
    weights = WEIGHTS if "weighted" in kind else np.ones(3)
    total, weight = weighted(forward(trainer.model, data.x[...]), data.y, weights)
    history = trainer.fit(data, epochs=2, batch_size=8, validation=data, progress=False)
    for row in history.epochs:
        assert row["train_loss"] == pytest.approx(total / weight, rel=1e-6)
        assert row["validation_loss"] == pytest.approx(total / weight, rel=1e-6)
    assert ("loss_weight" in history.steps) == (kind != "mean")
    if "sum" in kind:
        assert history.steps["loss"][:7].sum() == pytest.approx(total, rel=1e-5)


def test_sums_over_several_outputs(make: Make) -> None:
    """The mean of ``reduction="sum"`` is over elements, as the loss's own mean."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 21, 6)).astype(np.float32)
    losses = {}
    for reduction in ("sum", "mean"):
        cr.manual_seed(0)
        trainer = make(
            model=nn.Linear(6, 6),
            loss=nn.MSELoss(reduction=reduction),
            optimizer=optim.SGD(lr=1e-30),
        )
        history = trainer.fit((x, y), epochs=1, batch_size=8, progress=False)
        losses[reduction] = history.epochs[0]["train_loss"]
        assert trainer.evaluate((x, y), 4)["loss"] == pytest.approx(
            losses[reduction], rel=1e-6
        )
    assert losses["sum"] == pytest.approx(losses["mean"], rel=1e-6)


def test_a_loss_class_of_ones_own(make: Make, data: cr.data.Dataset) -> None:
    class Fourth(nn.Loss):
        def pointwise(self, prediction: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
            return (prediction - target) ** 4

        def weights(self, prediction: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
            return target * target + prediction * 0.0

    cr.manual_seed(0)
    trainer = make(model=nn.Linear(6, 1), loss=Fourth(), optimizer=optim.SGD(lr=1e-30))
    x, y = data.x[...], data.y[:, None].astype(np.float32)
    p = trainer.predict(x).astype(np.float64)
    expected = ((p - y) ** 4).sum() / (y.astype(np.float64) ** 2).sum()
    history = trainer.fit((x, y), epochs=1, batch_size=8, progress=False)
    assert history.epochs[0]["train_loss"] == pytest.approx(expected, rel=1e-5)
    assert trainer.evaluate((x, y), 7)["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["int64", "uint8", "float32"])
def test_indices_reach_an_embedding_as_they_are(engine: str, kind: str) -> None:
    """Integers beyond float32's 2²⁴ would not survive a way over floats."""
    rows = np.random.default_rng(0).integers(0, 10, (200, 3))
    y = (rows.sum(1) > 13).astype(np.int64)
    cr.manual_seed(0)
    model = nn.Sequential(
        nn.Embedding(10, 4), nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 2)
    )
    trainer = cr.Trainer(
        model,
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.Adam(lr=0.02),
        engine=engine,
    )
    x = rows.astype(kind)
    trainer.fit((x, y), epochs=30, progress=False)
    assert trainer.evaluate((x, y))["accuracy"] > 0.95
    model.eval()
    eager = model(cr.tensor(rows)).numpy()
    np.testing.assert_allclose(trainer.predict(x), eager, rtol=1e-4, atol=1e-5)
    with pytest.raises(ArgumentError, match="row that does not exist"):
        trainer.predict(x + 5)


@pytest.mark.parametrize(("width", "rows"), [(4, 150), (64, 64), (4096, 32)])
def test_large_networks_take_fewer_rows_at_a_time(
    monkeypatch: pytest.MonkeyPatch, width: int, rows: int
) -> None:
    monkeypatch.setattr(programs, "LARGEST", 1 << 12)
    model = nn.Sequential(nn.Linear(2, width), nn.Linear(width, 2))
    trainer = cr.Trainer(
        model, loss=nn.CrossEntropyLoss(), optimizer=optim.SGD(lr=0.1), engine="numpy"
    )
    x = np.random.default_rng(0).normal(size=(150, 2)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int32)
    taken: list[int] = []
    run = CompiledProgram.run

    def noted(self: CompiledProgram, entry: str, inputs: Any) -> Any:
        taken.append(len(inputs["x"]))
        return run(self, entry, inputs)

    monkeypatch.setattr(CompiledProgram, "run", noted)
    found = trainer.evaluate((x, y)), trainer.predict(x)
    whole, rest = divmod(150, rows)
    assert taken == [*[rows] * whole, *([rest] if rest else [])] * 2
    np.testing.assert_allclose(
        found[1], trainer.predict(x, batch_size=150), rtol=1e-4, atol=1e-6
    )
    assert found[0]["loss"] == pytest.approx(trainer.evaluate((x, y), 150)["loss"])


@pytest.mark.parametrize("model", [nn.Flatten(), nn.Sequential(nn.Dropout(0.5))])
def test_a_network_that_computes_nothing_predicts(model: nn.Module) -> None:
    trainer = cr.Trainer(
        model, loss=nn.MSELoss(), optimizer=optim.SGD(lr=0.1), engine="numpy"
    )
    x = np.ones((3, 2), np.float32)
    np.testing.assert_array_equal(trainer.predict(x), x)
