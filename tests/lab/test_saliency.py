"""What of a sample the loss depends on, against differences in float64."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from tests.lab.runs import Asked, circles

NORMALISED = [
    {"class": "Linear", "out_features": 6},
    {"class": "BatchNorm1d"},
    {"class": "Tanh"},
    {"class": "Dropout", "p": 0.5},
    {"class": "Linear"},
]


#: The step in training mode, which is shown beside it, normalises one sample.
ONE_SAMPLE = pytest.mark.filterwarnings("ignore:BatchNorm")


def asked(lab: Asked, **content: Any) -> dict[str, Any]:
    number = lab.ask("saliency", lang="en")
    lab.run()
    return lab.answer(number)


def shown(lab: Asked, row: int, part: str = "train") -> None:
    lab.ask("sample", row=row, part=part, lang="en")


def differences(trainer: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """|∂ℒ/∂x| of one sample: the network in float64, in evaluation mode."""
    model = copy.deepcopy(trainer.model).to("float64").eval()
    x = x.astype(np.float64)

    def loss(at: np.ndarray) -> float:
        with cr.no_grad():
            return trainer.loss(model(cr.tensor(at)), cr.tensor(y)).item()

    found = np.zeros(x.shape)
    for index in np.ndindex(*x.shape):
        step = np.zeros(x.shape)
        step[index] = 1e-5
        found[index] = (loss(x + step) - loss(x - step)) / 2e-5
    return np.abs(found)[0]


@ONE_SAMPLE
@pytest.mark.parametrize("row", [0, 17])
def test_it_is_the_derivative_in_evaluation_mode(tmp_path: Path, row: int) -> None:
    """Dropout draws nothing, and batch normalisation takes its running statistics."""
    run = {**circles(), "model": {"layers": NORMALISED}}
    lab = Asked(tmp_path, run)
    lab.ask("step", steps=7)
    shown(lab, row)
    told = asked(lab)
    session = lab.worker.session
    one = session.parts.train.rows([row])
    wanted = differences(session.trainer, np.asarray(one.x), np.asarray(one.y))
    (item,) = told["items"]
    assert item["kind"] in ("columns", "numbers")
    got = told["arrays"][item["array"]]
    np.testing.assert_allclose(got, wanted, rtol=2e-4, atol=1e-6)
    assert not np.allclose(wanted, 0)
    # Asked again it is the same: nothing is drawn.
    np.testing.assert_array_equal(asked(lab)["arrays"][item["array"]], got)


@ONE_SAMPLE
def test_a_number_of_it_has_a_path(tmp_path: Path) -> None:
    run = {**circles(), "model": {"layers": NORMALISED}}
    lab = Asked(tmp_path, run)
    lab.ask("step", steps=7)
    shown(lab, 3)
    told = asked(lab)
    (item,) = told["items"]
    number = lab.ask(
        "element", name=item["name"], index=[0, 1], evaluated=True, lang="en"
    )
    lab.run()
    path = lab.answer(number)
    assert abs(path["gradient"]) == pytest.approx(
        float(told["arrays"][item["array"]][1]), rel=1e-4
    )
    first = path["steps"][0]
    assert first["symbol"] == "x"
    assert len(first["terms"]) + first["more"] == 6  # units of the first layer


def test_it_is_of_the_weights_that_are_looked_at(tmp_path: Path) -> None:
    lab = Asked(tmp_path)
    shown(lab, 0)
    first = asked(lab)["arrays"]["saliency0"]
    lab.ask("step", steps=9)
    shown(lab, 0)
    later = asked(lab)["arrays"]["saliency0"]
    lab.ask("look", step=0)
    shown(lab, 0)
    again = asked(lab)["arrays"]["saliency0"]
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, later)


def test_a_picture_has_the_shape_of_the_sample(tmp_path: Path) -> None:
    run = {
        "data": {"source": "mnist", "limit": 60},
        "model": {
            "layers": [
                {"class": "Unflatten", "dim": 1, "unflattened_size": [1, 28, 28]},
                {"class": "Conv2d", "out_channels": 2, "kernel_size": 5},
                "ReLU",
                "Flatten",
                {"class": "Linear"},
            ]
        },
        "training": {"epochs": 1, "batch_size": 30, "engine": "numpy"},
    }
    lab = Asked(tmp_path, run)
    shown(lab, 5)
    told = asked(lab)
    (item,) = told["items"]
    x: Any = lab.worker.session.parts.train.x
    assert item["kind"] == "numbers"
    assert told["arrays"][item["array"]].shape == tuple(x.shape[1:])
    one = lab.worker.session.parts.train.rows([5])
    model = copy.deepcopy(lab.worker.session.trainer.model).eval()
    t = cr.tensor(np.asarray(one.x), requires_grad=True)
    lab.worker.session.trainer.loss(model(t), cr.tensor(np.asarray(one.y))).backward()
    np.testing.assert_allclose(
        told["arrays"][item["array"]], np.abs(t.grad.numpy())[0], rtol=1e-4, atol=1e-7
    )


def test_without_a_sample_it_is_refused(tmp_path: Path) -> None:
    lab = Asked(tmp_path)
    assert "No sample" in asked(lab)["error"]["what"]["en"]
