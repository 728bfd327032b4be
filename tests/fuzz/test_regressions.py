"""What the searches have found, one by one, so that it does not come back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import chainrule as cr
from chainrule import data, errors, nn, optim
from chainrule.metrics import Accuracy
from chainrule.training import EarlyStopping


def test_a_table_without_a_target(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,y\n1,2\n")
    for read in (
        lambda: data.read_csv(path, target=None),
        lambda: data.Stream.from_csv(path, target=None),
    ):
        with pytest.raises(errors.ArgumentError, match="No column is named") as error:
            read()
        assert "target=False" in str(error.value)


@pytest.mark.parametrize("mode", [[], {}, ["L"], None, 5])
def test_modes_of_images_that_are_none(tmp_path: Path, mode: Any) -> None:
    (tmp_path / "a").mkdir()
    Image.new("L", (3, 2)).save(tmp_path / "a" / "1.png")
    with pytest.raises(errors.ArgumentError, match="no such choice"):
        data.read(tmp_path, format={"kind": "images", "mode": mode}, target=False)


@pytest.mark.parametrize("axis", ["x", {}, -1.0, True, None])
@pytest.mark.parametrize("layer", [nn.Softmax, nn.LogSoftmax])
def test_axes_that_are_none(layer: Any, axis: Any) -> None:
    with pytest.raises(errors.ArgumentError, match="needs a whole dim"):
        layer(dim=axis)
    with pytest.raises(errors.ArgumentError, match="needs a whole start_dim"):
        nn.Flatten(axis)


def test_class_weights_whose_sum_is_infinite() -> None:
    """The loss is no number then, and NumPy does not speak of it."""
    loss = nn.CrossEntropyLoss(weight=[3e38, 3e38])
    trainer = cr.Trainer(nn.Linear(2, 2), loss=loss, optimizer=optim.SGD(lr=0.1))
    measured = trainer.evaluate(data.Dataset(np.ones((4, 2), "f4"), [0, 1, 0, 1]))
    assert np.isnan(measured["loss"])


def test_an_eps_that_the_dtype_cannot_hold() -> None:
    """NumPy warned of an overflow, and all outputs were 0."""
    layer = nn.LayerNorm(3, eps=1e300)
    with pytest.raises(errors.ArgumentError, match=r"1e\+300"):
        layer(cr.tensor([[1.0, 2.0, 3.0]]))


@pytest.mark.parametrize("threshold", ["0.5", {}, float("nan"), True])
def test_thresholds_that_are_none(threshold: Any) -> None:
    with pytest.raises(errors.ArgumentError, match="threshold must be a finite number"):
        Accuracy(threshold)


@pytest.mark.parametrize(
    "state",
    [{"best": "low"}, {"best": 1.0, "best_epoch": "x"}, {"waited": -1}, {"stopped": 3}],
)
def test_states_of_callbacks_that_are_none(state: dict[str, Any]) -> None:
    with pytest.raises(errors.CheckpointError, match="cannot go on from"):
        EarlyStopping("train_loss").load_state(state)


def test_a_state_of_a_schedule_with_something_missing() -> None:
    settings = {"name": "CosineAnnealingLR", "lr": 0.1}
    half = {**settings, "state": {"mark": [0, 0, 3], "total_steps": 4}}
    with pytest.raises(errors.ArgumentError, match="cannot go on from this state"):
        optim.build_schedule(half)


def test_a_rate_beyond_float32() -> None:
    """It is infinite there: that is said, and no warning of NumPy's."""
    xor = cr.data.xor()
    model = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(errors.NonFiniteError):
        cr.Trainer(
            model,
            loss=nn.CrossEntropyLoss(),
            optimizer=optim.SGD(lr=1e300),
            engine="numpy",
        ).fit(xor, epochs=3, batch_size=4, progress=False)
    assert np.isfinite(model[0].weight.numpy()).all()
