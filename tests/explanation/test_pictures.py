"""The picture of an explained network: its numbers are those of the explanation."""

from __future__ import annotations

import base64
import re
import zlib

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.diagrams.units import Units
from chainrule.explanation import Explanation
from chainrule.explanation.pictures import network
from chainrule.graph.graph import Graph
from tests.diagrams.reading import Flow, pairs
from tests.explanation.models import LAYERS, D, linear, some_layers
from tests.explanation.random_models import drawn

CE = nn.CrossEntropyLoss()


class Branches(nn.Module):
    """Two ways beside each other, added."""

    def __init__(self) -> None:
        self.a, self.b, self.c = linear(3, 3, 3, 2)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.c(self.a(x).tanh() + self.b(2 * x).relu())


class Turned(nn.Module):
    """x W and x Wᵀ of square matrices."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.v, self.w = (nn.Parameter(rng.normal(size=(3, 3))) for _ in range(2))
        self.out = nn.Linear(3, 2, **D)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.out((x @ self.v.T).tanh() @ self.w)


class Crossed(nn.Module):
    """Neurons that change their places, or are multiplied once more."""

    def __init__(self) -> None:
        self.a, self.b, self.c = linear(3, 3, 3, 2)
        self.fixed = cr.tensor(np.arange(9.0).reshape(3, 3))

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        h = self.a(x).flip(1)
        return self.c(self.b(h) @ self.fixed)


class Mixed(nn.Module):
    """A normalisation between, which reads all units of a sample."""

    def __init__(self) -> None:
        self.a, self.c = linear(3, 3, 2)
        self.norm = nn.LayerNorm(3, **D)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.c(self.norm(self.a(x)))


#: Networks with the rows of samples, and the sizes of columns of units where these
#: are drawn one by one.
OWN: dict[str, tuple[nn.Module, tuple[int, ...], tuple[int, ...] | None]] = {
    "chain": (nn.Sequential(*linear(3, 4, 2)), (3,), (3, 4, 2)),
    "activations": (
        nn.Sequential(nn.Linear(3, 4, **D), nn.GELU(), nn.Linear(4, 2, **D)),
        (3,),
        (3, 4, 2),
    ),
    "turned": (Turned(), (3,), (3, 3, 3, 2)),
    "softmax": (nn.Sequential(*linear(3, 4, 2), nn.Softmax(dim=1)), (3,), (3, 4, 2)),
    "branches": (Branches(), (3,), None),
    "crossed": (Crossed(), (3,), None),
    "mixed": (Mixed(), (3,), None),
    "wide": (nn.Sequential(*linear(3, 40, 2)), (3,), None),
    "sequence": (nn.Sequential(*linear(3, 4, 2), nn.Flatten()), (1, 3), None),
}


def explained(name: str) -> tuple[Explanation, Units | None]:
    model, shape, __ = OWN[name]
    x = np.random.default_rng(0).normal(size=(2, *shape))
    loss = nn.CrossEntropyLoss(from_logits=name != "softmax")
    e = cr.explain(model, x, [0, 1], loss)
    return e, network(e).units


@pytest.mark.parametrize("name", OWN)
def test_units_are_drawn_only_where_lines_are_true(name: str) -> None:
    __, units = explained(name)
    sizes = None if units is None else tuple(c.size for c in units.columns)
    assert sizes == OWN[name][2]


@pytest.mark.parametrize("name", [name for name in OWN if OWN[name][2]])
def test_a_line_is_a_derivative(name: str) -> None:
    """Of z by what stands in the column before; and numbers are a, rings δ."""
    e, units = explained(name)
    assert units is not None
    assert len(e.layers) == len(units.columns) - 1
    np.testing.assert_array_equal(units.columns[0].numbers, e.layer(1).input[:, 0])
    for k, column in enumerate(units.columns[1:], 1):
        layer, named = e.layer(k), e.names.layers[k - 1]
        assert column.weights is not None
        np.testing.assert_array_equal(column.errors, layer.delta[:, 0])
        left = units.columns[k - 1].numbers
        assert left is not None
        biases = 0 if column.biases is None else column.biases
        z = column.weights @ left + biases
        np.testing.assert_allclose(z, layer.z[:, 0], rtol=1e-12)
        for r in range(column.size):
            edges = e.trace.edges(named.z, (0, r))
            found = [d for d in edges if d.derivative.shape == (len(left),)]
            ours = [d for d in found if np.allclose(d.derivative, column.weights[r])]
            assert ours, (column.weights[r], [d.derivative for d in edges])


def test_the_last_column_is_the_prediction() -> None:
    e, units = explained("softmax")
    assert units is not None
    (shown,) = e.run.predictions
    np.testing.assert_array_equal(units.columns[-1].numbers, e.run.arrays[shown][0])
    assert units.columns[-1].symbol == "ŷ"


@pytest.mark.one_in(4, first=3)
@pytest.mark.parametrize("name", some_layers())
def test_layers(name: str) -> None:
    model, shape = LAYERS[name]
    x = np.random.default_rng(0).normal(size=(2, *shape))
    arrows_hold(cr.explain(model, x, [0, 1], CE))


@pytest.mark.one_in(8)
@pytest.mark.parametrize("seed", range(24))
def test_random_models(seed: int) -> None:
    model, x, y, loss = drawn(seed)
    arrows_hold(cr.explain(model, x, y, loss))


@pytest.mark.parametrize("opened", ["softmax", "all"])
def test_opened_composites(opened: str) -> None:
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, dropout=0.0, **D)
    model = nn.Sequential(layer, nn.Flatten(), nn.Linear(12, 2, **D))
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    arrows_hold(cr.explain(model, x, [0, 1], CE, composites=[opened]))


def arrows_hold(e: Explanation) -> None:
    picture = network(e)
    graph = Graph("network", e.run.graph.inputs, e.run.predictions)
    flow = Flow(graph, picture)
    assert not flow.without_box()
    by_value, __ = flow.joined()
    assert pairs(picture, ["value", "next block"]) == by_value


def test_pages_have_the_picture() -> None:
    e, __ = explained("chain")
    page = e.to_html()
    assert page.count("<line ") == 3 * 4 + 4 * 2
    assert page.count("<figure ") == 1
    assert "Rings are δ" in page


def test_boxes_show_numbers_and_derivatives() -> None:
    cr.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3, **D), nn.Flatten(), nn.Linear(8, 2, **D))
    x = np.random.default_rng(0).normal(size=(2, 1, 4, 4))
    e = cr.explain(model, x, [0, 1], CE)
    picture = network(e)
    conv = next(b for b in picture.boxes if b.title == "Conv2d")
    value, error = conv.thumbnails
    assert error.about.startswith("∂ℒ/∂· 2 × 2 × 2 numbers")
    z = e.run.arrays[conv.value][0]
    assert f"{z.min():.3g}" in value.about
    rows = pixels(value.address)
    # Blue is negative, red positive: the first map's numbers, as they lie.
    signs = np.sign(rows[:2, :2, 0].astype(int) - rows[:2, :2, 2])
    np.testing.assert_array_equal(signs, np.sign(z[0]))
    assert e.to_html().count("<image") == sum(len(b.thumbnails) for b in picture.boxes)


def pixels(address: str) -> np.ndarray:
    """The pixels of a PNG of ours in an address."""
    data = base64.b64decode(address.partition(",")[2])
    width, height = (int.from_bytes(data[i : i + 4], "big") for i in (16, 20))
    chunk = re.search(rb"IDAT(.*)....IEND", data, re.S)
    assert chunk
    raw = np.frombuffer(zlib.decompress(chunk[1][:-4]), np.uint8)
    return raw.reshape(height, 1 + 3 * width)[:, 1:].reshape(height, width, 3)
