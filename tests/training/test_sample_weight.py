"""Weights of samples: Σ w ℓ / Σ w, in training and in evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn, optim

from .conftest import Make, pixels, raising, same, small_network
from .test_data_adapter import stream_of

ROWS = 50


def weights() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4, ROWS).astype(np.float64)


def losses(model: nn.Module, data: cr.data.Dataset) -> np.ndarray:
    scores = model(cr.tensor(data.x[...])).numpy().astype(np.float64)
    shifted = scores - scores.max(1, keepdims=True)
    log = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return -log[np.arange(len(data)), data.y]


@pytest.mark.parametrize("batch_size", [50, 16])
def test_evaluation(make: Make, engine: str, batch_size: int) -> None:
    """Whatever the batches; and unlike the plain mean, which is measured as well."""
    trainer, data, w = make(engine=engine), pixels(ROWS), weights()
    each = losses(trainer.model, data)
    got = trainer.evaluate(data, batch_size, sample_weight=w)
    # float32 sums of 50 losses: a few parts in 10⁷.
    assert got["loss"] == pytest.approx((each @ w) / w.sum(), rel=1e-6)
    plain = trainer.evaluate(data, batch_size)
    assert plain["loss"] == pytest.approx(each.mean(), rel=1e-6)
    assert plain["accuracy"] == got["accuracy"]


def test_whole_weights_are_copies_of_rows(make: Make, engine: str) -> None:
    """A row of weight 3 trains as three rows of weight 1 do."""
    data, w = pixels(ROWS), weights()
    many = np.repeat(np.arange(ROWS), w.astype(int))
    repeated = cr.data.Dataset(data.x.stored[many], data.y[many], scale=1 / 255)
    one = make(engine=engine, optimizer=optim.SGD(lr=0.5))
    other = make(engine=engine, optimizer=optim.SGD(lr=0.5))
    options: Any = {"epochs": 5, "batch_size": None, "progress": False}
    history = one.fit(data, sample_weight=w, **options)
    expected = other.fit(repeated, **options)
    for a, b in zip(one.model.parameters(), other.model.parameters()):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-6)
    for mine, theirs in zip(history.epochs, expected.epochs):
        assert mine["train_loss"] == pytest.approx(theirs["train_loss"], rel=1e-5)


def test_the_mean_of_an_epoch_weighs_its_batches(make: Make) -> None:
    data, w = pixels(ROWS), weights()
    trainer = make(optimizer=optim.SGD(lr=1e-30))
    history = trainer.fit(
        data, epochs=1, batch_size=16, sample_weight=w, progress=False
    )
    each = losses(small_network(), data)
    assert history.epochs[0]["train_loss"] == pytest.approx(each @ w / w.sum())


@pytest.mark.usefixtures("single_steps")
def test_resumed_with_the_same_weights(make: Make, tmp_path: Any) -> None:
    from .conftest import StopAt

    data, w = pixels(ROWS), weights()
    whole, part = make(), make()
    options: Any = {"sample_weight": w, "progress": False}
    whole.fit(data, epochs=2, batch_size=16, **options)
    part.fit(data, epochs=2, batch_size=16, callbacks=StopAt(3), **options)
    part.save(tmp_path / "part.ckpt")
    loaded = cr.Trainer.load(tmp_path / "part.ckpt")
    for other in (None, w[::-1]):
        with pytest.raises(errors.ArgumentError, match="CRC-32"):
            loaded.resume(data, sample_weight=other, progress=False)
    loaded.resume(data, **options)
    assert same(loaded.model, whole.model)


def test_a_loss_of_ones_own(make: Make) -> None:
    def loss(scores: cr.Tensor, labels: cr.Tensor, sample_weight: Any = None) -> Any:
        each = (scores * scores).sum(1)
        if sample_weight is None:
            return each.mean()
        return (each * sample_weight).sum() / sample_weight.sum()

    data, w = pixels(ROWS), weights()
    trainer = make(loss=loss, optimizer=optim.SGD(lr=0.01))
    each = (trainer.model(cr.tensor(data.x[...])).numpy() ** 2).sum(1)
    got = trainer.evaluate(data, 16, sample_weight=w)
    assert got["loss"] == pytest.approx(each @ w / w.sum(), rel=1e-5)
    trainer.fit(data, epochs=1, sample_weight=w, progress=False)
    with pytest.raises(errors.ArgumentError, match="takes no weights"):
        make(loss=lambda p, y: p.mean()).fit(data, epochs=1, sample_weight=w)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (np.ones(ROWS - 1), "shape (49,)"),
        (np.ones((ROWS, 1)), "shape (50, 1)"),
        (-np.ones(ROWS), "numbers from -1 to -1"),
        (np.zeros(ROWS), "numbers from 0 to 0"),
        (np.zeros(ROWS, bool), "numbers from 0 to 0"),
        (np.full(ROWS, np.nan), "numbers from nan"),
        (np.full(ROWS, 1e300), "numbers from 1e+300"),
        ({"a": np.ones(ROWS)}, "dict: a"),
    ],
)
def test_what_is_no_weight(make: Make, given: Any, part: str) -> None:
    trainer, data = make(), pixels(ROWS)
    for call in (
        lambda: trainer.fit(data, epochs=1, sample_weight=given),
        lambda: trainer.evaluate(data, sample_weight=given),
    ):
        with raising(errors.ArgumentError, part, "finite numbers ≥ 0"):
            call()
    assert trainer.plan is None


def test_a_stream_has_none(make: Make) -> None:
    with pytest.raises(errors.ArgumentError, match="stream's rows have no weights"):
        make().fit(stream_of(pixels(ROWS)), epochs=1, sample_weight=weights())
