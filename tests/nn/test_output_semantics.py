"""``predict(output=…)``: what outputs mean under the loss of their training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn, optim
from chainrule.nn import output_semantics
from tests.training.conftest import pixels


def trainer(last: nn.Module | None, loss: Any, outputs: int = 3) -> cr.Trainer:
    cr.manual_seed(0)
    layers = [nn.Linear(6, outputs)] + ([last] if last else [])
    return cr.Trainer(
        nn.Sequential(*layers), loss=loss, optimizer=optim.SGD(lr=0.1), engine="numpy"
    )


def scores(t: cr.Trainer, x: np.ndarray) -> np.ndarray:
    state = {k: v.astype(np.float64) for k, v in t.model.state_dict().items()}
    return x.astype(np.float64) @ state["0.weight"].T + state["0.bias"]


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


X = pixels(20).x[...]


@pytest.mark.parametrize(
    ("last", "loss"),
    [
        (None, nn.CrossEntropyLoss()),
        (nn.Softmax(), nn.CrossEntropyLoss(from_logits=False)),
        (nn.Softmax(), nn.MSELoss()),
        (nn.Softmax(), nn.KLDivergence()),
        (nn.LogSoftmax(), nn.CrossEntropyLoss()),
    ],
)
def test_of_several_classes(last: nn.Module | None, loss: Any) -> None:
    t = trainer(last, loss)
    z = scores(t, X)
    raw = t.predict(X)
    p = t.predict(X, output="probabilities")
    np.testing.assert_allclose(p, softmax(z), rtol=1e-5)
    assert p.dtype == np.float32
    logits = t.predict(X, output="logits")
    np.testing.assert_allclose(softmax(logits.astype(float)), softmax(z), rtol=1e-5)
    if last is None:
        assert (logits == raw).all()
    classes = t.predict(X, output="classes", batch_size=7)
    assert classes.shape == (20,)
    assert classes.dtype == np.int32
    assert (classes == z.argmax(1)).all()


@pytest.mark.parametrize(
    ("last", "loss"),
    [
        (None, nn.BCEWithLogitsLoss()),
        (nn.Sigmoid(), nn.BCELoss()),
        (nn.Sigmoid(), nn.MSELoss()),
    ],
)
@pytest.mark.parametrize("outputs", [1, 3])
def test_of_yes_and_no(last: nn.Module | None, loss: Any, outputs: int) -> None:
    t = trainer(last, loss, outputs)
    z = scores(t, X)
    p = t.predict(X, "probabilities")
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-z)), rtol=1e-5)
    np.testing.assert_allclose(t.predict(X, "logits"), z, rtol=1e-4, atol=1e-6)
    classes = t.predict(X, "classes")
    if outputs == 1:
        assert (classes == (z[:, 0] >= 0)).all()
    elif isinstance(loss, nn.MSELoss):  # one-hot targets: the largest wins
        assert (classes == z.argmax(1)).all()
    else:
        assert (classes == (z >= 0)).all()


def test_of_margins() -> None:
    t = trainer(None, nn.HingeLoss(), 1)
    sign = np.where(scores(t, X)[:, 0] >= 0, 1, -1)
    assert (t.predict(X, "classes") == sign).all()
    several = trainer(None, nn.MultiMarginLoss())
    assert (several.predict(X, "classes") == scores(several, X).argmax(1)).all()
    for name in ("probabilities", "logits"):
        with pytest.raises(errors.ArgumentError) as error:
            several.predict(X, name)
        for part in (f"have no {name}", "MultiMarginLoss", "output='classes'"):
            assert part in str(error.value)


def test_of_quantities() -> None:
    for outputs in (1, 3):
        t = trainer(None, nn.MSELoss(), outputs)
        for name in ("probabilities", "logits", "classes"):
            with pytest.raises(errors.ArgumentError) as error:
                t.predict(X, name)
            assert "MSELoss" in str(error.value)
            assert "predict(x) gives the outputs as they are" in str(error.value)


def test_of_a_loss_of_ones_own() -> None:
    def my_loss(prediction: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
        return prediction.mean()

    t = trainer(None, my_loss)
    assert (t.predict(X, "classes") == scores(t, X).argmax(1)).all()
    with pytest.raises(errors.ArgumentError, match="my_loss"):
        t.predict(X, "probabilities")
    with pytest.raises(errors.ArgumentError, match="my_loss"):
        trainer(None, my_loss, 1).predict(X, "classes")
    ends = trainer(nn.Softmax(), my_loss)
    np.testing.assert_allclose(
        ends.predict(X, "probabilities"), softmax(scores(ends, X)), rtol=1e-5
    )


def test_a_loss_of_ones_own_says_what_it_means() -> None:
    class Cubed(nn.Loss):
        quantities = True

        def pointwise(self, prediction: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
            return (prediction - target).abs() ** 3

    class Signed(Cubed):
        quantities, decides_from = False, 0.25

    t = trainer(None, Signed(), 1)
    assert (t.predict(X, "classes") == (scores(t, X)[:, 0] >= 0.25)).all()
    y = X.sum(axis=1, keepdims=True)
    assert list(trainer(None, Cubed(), 1).evaluate((X, y))) == ["loss", "r2", "mae"]
    assert list(t.evaluate((X, y > 2))) == ["loss", "accuracy"]


def test_certainty_has_infinite_logits() -> None:
    t = trainer(nn.Softmax(), nn.CrossEntropyLoss(from_logits=False))
    t.model[0].bias.copy_(np.array([0.0, 0.0, 1e4], np.float32))
    assert (t.predict(X, "logits")[:, :2] == -np.inf).all()


def test_names_of_classes(tmp_path: Path) -> None:
    data = pixels(40)
    named = cr.data.Dataset(
        data.x,
        data.y,
        class_names=("ape", "bee", "cat"),
        format={"kind": "npz", "x": "x", "y": "y"},
    )
    t = trainer(None, nn.CrossEntropyLoss())
    assert t.class_names is t.format is None
    t.fit(named, epochs=1, progress=False)
    classes = t.predict(named, "classes")
    decided = t.predict(named).argmax(1)
    assert classes.tolist() == [("ape", "bee", "cat")[i] for i in decided]
    t.save(tmp_path / "run.ckpt")
    loaded = cr.Trainer.load(tmp_path / "run.ckpt")
    assert loaded.class_names == ("ape", "bee", "cat")
    assert loaded.format == {"kind": "npz", "x": "x", "y": "y"}
    assert (loaded.predict(named, "classes") == classes).all()
    empty = np.zeros((0, 6), np.float32)
    assert loaded.predict(empty, "classes").shape == (0,)
    t.fit(data, epochs=1, progress=False)
    assert t.class_names is t.format is None, "the last data had none"
    assert t.predict(data, "classes").dtype == np.int32


def test_more_outputs_than_names() -> None:
    data = pixels(40)
    two = cr.data.Dataset(data.x, data.y % 2, class_names=("even", "odd"))
    t = trainer(None, nn.CrossEntropyLoss())
    t.fit(two, epochs=1, progress=False)
    t.model[0].bias.copy_(np.array([0.0, 0.0, 1e4], np.float32))
    assert set(t.predict(X, "classes").tolist()) == {"2"}


def test_names_of_outputs_are_checked_before_anything_runs() -> None:
    t = trainer(None, nn.CrossEntropyLoss())
    for name, near in (("probabilites", "probabilities"), ("class", "classes")):
        with pytest.raises(errors.ArgumentError) as error:
            t.predict("no data at all", name)
        assert f"did you mean {near!r}?" in str(error.value)
    with pytest.raises(errors.ArgumentError, match="no output 3"):
        t.predict(X, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("places", [(), (3,), (4,), (2, 3)])
def test_classes_lie_where_the_loss_has_them(places: tuple[int, ...]) -> None:
    """Scores of several places of a sample are (N, C, …), as the loss takes them."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(5, 4, *places)).astype(np.float32)
    y = rng.integers(0, 4, (5, *places))
    model, loss = nn.Identity(), nn.CrossEntropyLoss()
    given: Any = {"model": model, "loss": loss, "class_names": None}
    p = output_semantics.translate(z, "probabilities", **given)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-6)
    true = np.take_along_axis(p, y[:, None], 1)
    np.testing.assert_allclose(-np.log(true).mean(), loss(z, y).item(), rtol=1e-5)
    classes = output_semantics.translate(z, "classes", **given)
    np.testing.assert_array_equal(classes, z.argmax(1))
    found = output_semantics.meanings(cr.tensor(z), model, loss)
    np.testing.assert_array_equal(found["probabilities"].numpy(), p)
    np.testing.assert_array_equal(found["classes"].numpy(), classes)
