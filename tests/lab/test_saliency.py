"""What of a sample the loss depends on, against differences in float64."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from tests.lab.runs import Asked, circles
from tests.lab.test_models import Opening

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


RNG = np.random.default_rng(5)


def table(folder: Path, *, answer: str) -> dict[str, Any]:
    """A table with quantities of different sizes, and a column of categories."""
    lines = ["size,rooms,city,y"]
    for i in range(60):
        size, rooms = RNG.normal(100, 30), int(RNG.integers(1, 6))
        y = f"{3 * size + 10 * rooms:.2f}"
        if answer == "class":
            y = "yes" if size > 100 else "no"
        lines.append(f"{size:.2f},{rooms},{('north', 'south', 'east')[i % 3]},{y}")
    folder.mkdir(exist_ok=True)
    (folder / "data-houses.csv").write_text("\n".join(lines) + "\n")
    return {"source": "data-houses.csv", "target": "y"}


FIRST, TANH = {"class": "Linear", "out_features": 5}, {"class": "Tanh"}
ONE = {"class": "Linear", "out_features": 1}
PICTURE = {"class": "Unflatten", "dim": 1, "unflattened_size": [1, 28, 28]}
CONVOLVED = {"class": "Conv2d", "out_channels": 2, "kernel_size": 5}
POOLED = {"class": "AvgPool2d", "kernel_size": 6}
KINDS: dict[str, tuple[str, list[Any], dict[str, Any]]] = {
    "quantities of a table": ("quantity", [FIRST, TANH, ONE], {}),
    "classes of a table": ("class", [FIRST, TANH, "Linear"], {}),
    "one output for two classes": (
        "class",
        [FIRST, TANH, ONE],
        {"loss": {"class": "BCEWithLogitsLoss"}},
    ),
    "a normalised layer": ("circles", [FIRST, "LayerNorm", "GELU", "Linear"], {}),
    "two dropouts": (
        "circles",
        [FIRST, {"class": "Dropout", "p": 0.4}, TANH, "Dropout", "Linear"],
        {},
    ),
    "a convolution": ("mnist", [PICTURE, CONVOLVED, POOLED, "Flatten", "Linear"], {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_of_networks_of_every_kind(tmp_path: Path, kind: str) -> None:
    answer, layers, more = KINDS[kind]
    run: dict[str, Any] = {**circles(), "model": {"layers": layers}, **more}
    if answer == "mnist":
        run["data"] = {"source": "mnist", "limit": 60}
    elif answer != "circles":
        run["data"] = table(tmp_path, answer=answer)
    lab = Asked(tmp_path, run)
    lab.ask("step", steps=3)
    shown(lab, 4)
    told = asked(lab)
    session = lab.worker.session
    one = session.parts.train.rows([4])
    wanted = differences(session.trainer, np.asarray(one.x), np.asarray(one.y))
    (item,) = told["items"]
    got = told["arrays"][item["array"]]
    largest = float(wanted.max())
    assert largest > 0
    np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-5 * largest)
    if item["kind"] == "columns":  # the largest first, with the sample's own numbers
        places = [c["place"] for c in item["columns"]]
        assert places == sorted(places, key=lambda i: -got[i])
        values = [c["value"] for c in item["columns"]]
        np.testing.assert_array_equal(values, np.asarray(one.x)[0][places])


SEVERAL = """
import numpy as np
import chainrule as cr
from chainrule import nn

class Net(nn.Module):
    def __init__(self):
        self.e, self.p, self.c = nn.Embedding(9, 4), nn.Embedding(5, 4), nn.Linear(4, 2)

    def forward(self, t):
        places = self.p(cr.tensor(np.arange(5)[None]))
        large = self.p((t > 3).astype("int64"))
        first, again = self.e(t) * 3 + places, self.e(t.clip(1, 7))
        return self.c((first.tanh() * again * large).sum(1))

draw = np.random.default_rng(0)
t = draw.integers(0, 9, size=(40, 5)).astype(np.int32)
train = t, (t[:, 0] > 4).astype(np.int64)
"""


def test_of_tokens_it_is_that_of_their_own_rows(tmp_path: Path) -> None:
    """Not of the rows of places, and of all where tokens are looked up twice."""
    own = tmp_path / "own_tokens.py"
    own.write_text(SEVERAL)
    lab = Opening(tmp_path, str(own))
    lab.ask("step", steps=3)
    shown(lab, 0)
    told = asked(lab)
    (item,) = told["items"]
    session = lab.worker.session
    one = session.parts.train.rows([0])
    t, y = np.asarray(one.x).astype(int)[0], int(np.asarray(one.y)[0])
    state = {
        name: array.numpy().astype(np.float64)
        for name, array in session.trainer.model.named_tensors()
    }
    e, p = state["e.weight"], state["p.weight"]
    large = p[(t > 3).astype(int)]

    def loss(first: np.ndarray, again: np.ndarray) -> float:
        h = (np.tanh(first * 3 + p) * again * large).sum(0)
        logits = state["c.weight"] @ h + state["c.bias"]
        return float(np.log(np.exp(logits).sum()) - logits[y])

    rows = np.stack([e[t], e[t.clip(1, 7)]])
    found = np.zeros(rows.shape)
    for index in np.ndindex(*rows.shape):
        step = np.zeros(rows.shape)
        step[index] = 1e-6
        found[index] = (loss(*(rows + step)) - loss(*(rows - step))) / 2e-6
    wanted = np.sqrt((found**2).sum((0, 2)))
    np.testing.assert_allclose(told["arrays"][item["array"]], wanted, rtol=1e-4)
    assert item["tokens"] == [str(i) for i in t]
