"""Pictures against graphs: every arrow is a path of the graph, every path an arrow."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.diagrams import Diagram
from chainrule.diagrams.parts import NEXT_BLOCK, NEXT_STEP, VALUE
from chainrule.diagrams.reading import Reader
from chainrule.graph.graph import Graph
from chainrule.nn.picture import network
from chainrule.nn.picture.view import NetworkView
from chainrule.text.numbers import number
from tests.diagrams.networks import NETWORKS, Gpt
from tests.diagrams.reading import Flow, pairs

#: Layers whose inside is drawn.
OPENED = nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell


@dataclass
class Drawn:
    """A network, its picture, the graph that it is of, and the calls of its layers."""

    model: nn.Module
    picture: Diagram
    graph: Graph
    calls: Counter[str] = field(default_factory=Counter[str])


def drawn(name: str, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Drawn:
    cr.manual_seed(0)
    model, data = NETWORKS[name]()
    graphs: list[Graph] = []
    calls: Counter[str] = Counter()
    trace, call = network.traced_forward, nn.Module.__call__

    def noting(module: Any, *args: Any, **kwargs: Any) -> Any:
        result = call(module, *args, **kwargs)
        own = type(module).__module__.startswith("chainrule.")
        leaf = own and not isinstance(module, OPENED) and not [*module.children()]
        passes = isinstance(module, nn.Dropout)  # which does nothing in a prediction
        calls[type(module).__name__] += leaf and not passes
        return result

    def traced(*args: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(nn.Module, "__call__", noting)
            made = trace(*args)
        entry = made[1].entry
        graph = entry.graph
        graphs.append(Graph("", graph.inputs, graph.outputs[: entry.outputs]))
        return made

    monkeypatch.setattr(network, "traced_forward", traced)
    picture = model.picture(data, **options)
    return Drawn(model, picture, graphs[-1], calls)


def disagreement(it: Drawn) -> set[Any]:
    """What a picture shows and the graph has not, or the other way round."""
    flow = Flow(it.graph, it.picture)
    by_value, by_state = flow.joined()
    # A block that is drawn once is joined with itself where the next one begins.
    own = {(a, b) for a, b in pairs(it.picture, [NEXT_BLOCK]) if a is b}
    shown = pairs(it.picture, [VALUE, NEXT_BLOCK])
    return (
        flow.without_box()
        | (shown ^ (by_value | own))
        | (pairs(it.picture, [NEXT_STEP]) ^ by_state)
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_arrows_are_the_paths_of_the_graph(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(NETWORKS) >= 30
    it = drawn(name, monkeypatch)
    assert it.picture.arrows
    assert not disagreement(it)


@pytest.mark.parametrize("depth", [0, 1])
@pytest.mark.parametrize("name", ["resnet", "gpt-4", "gan", "translator", "lstm"])
def test_closed_modules_too(
    name: str, depth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = drawn(name, monkeypatch, depth=depth)
    assert not disagreement(it)
    opened = drawn(name, monkeypatch).picture
    assert len(it.picture.boxes) < len(opened.boxes) + depth


@pytest.mark.one_in(4)
@pytest.mark.parametrize("name", NETWORKS)
def test_each_call_of_a_layer_is_a_box(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = drawn(name, monkeypatch, depth=99)
    boxes: Counter[str] = Counter()
    for box in it.picture.boxes:
        if box.kind == "layer":
            frames = box.frame.all_outer() if box.frame else []
            boxes[box.title] += int(np.prod([frame.times for frame in frames]))
    assert boxes == +it.calls
    if not any(frame.times > 1 for frame in it.picture.frames):
        total = sum(p.size for p in it.model.parameters())
        assert sum(box.parameters for box in it.picture.boxes) == total


def _hide_sums(patch: pytest.MonkeyPatch) -> None:
    hidden = NetworkView.hidden
    patch.setattr(
        NetworkView,
        "hidden",
        lambda self, node: node.primitive.name == "add" or hidden(self, node),
    )


def _forget_views(patch: pytest.MonkeyPatch) -> None:
    through = Reader._through

    def forgetting(self: Reader, node: Any) -> None:
        through(self, node)
        for value in node.outputs:
            self.origins[value] = self.origins[value][:-1]

    patch.setattr(Reader, "_through", forgetting)


def _chain_boxes(patch: pytest.MonkeyPatch) -> None:
    """Arrows as in a picture of columns: from each box to the next one."""
    read = Reader.read

    def chained(self: Reader, *args: Any) -> Diagram:
        made = read(self, *args)
        for arrow, source, target in zip(made.arrows, made.boxes, made.boxes[1:]):
            arrow.source, arrow.target = source, target
        return made

    patch.setattr(Reader, "read", chained)


@pytest.mark.parametrize("fault", [_hide_sums, _forget_views, _chain_boxes])
def test_a_wrong_picture_is_found(fault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fault(monkeypatch)
    assert disagreement(drawn("gpt-1", monkeypatch))


def test_each_missing_or_foreign_arrow_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    it = drawn("unet", monkeypatch)
    arrows = it.picture.arrows
    for i, arrow in enumerate(arrows):
        it.picture.arrows = [a for a in arrows if a is not arrow]
        assert disagreement(it)
        other = arrows[i - 1].target
        it.picture.arrows = arrows
        if (arrow.source, other) not in pairs(it.picture, [VALUE]):
            it.picture.arrows = [*arrows, type(arrow)(arrow.source, other)]
            assert disagreement(it)


# -- names -----------------------------------------------------------------------------


def titles(picture: Diagram) -> list[str]:
    return [box.title_line() for box in picture.boxes]


def test_gates_have_their_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    lstm = drawn("lstm", monkeypatch).picture
    assert {"iₜ = σ(x)", "fₜ = σ(x)", "gₜ = tanh x", "oₜ = σ(x)"} <= {*titles(lstm)}
    symbols = {box.symbol: box for box in lstm.boxes if box.symbol}
    joined = {
        (a.source.symbol or a.source.title, a.target.symbol or a.target.title)
        for a in lstm.arrows
    }
    assert {*symbols} == {"iₜ", "fₜ", "gₜ", "oₜ", "cₜ", "hₜ"}
    assert ("cₜ", "cₜ₋₁") in joined
    assert ("hₜ", "hₜ₋₁") in joined
    gru = drawn("gru", monkeypatch).picture
    assert {b.symbol for b in gru.boxes if b.symbol} == {"rₜ", "zₜ", "nₜ", "hₜ"}
    cells = drawn("cells", monkeypatch).picture
    assert not disagreement(drawn("cells", monkeypatch))
    assert sum(b.title == "σ(x)" for b in cells.boxes) == 9


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_gates_are_those_of_the_weights(kind: Any) -> None:
    """Gate k is the k-th share of the rows of the weights, in PyTorch's order."""
    letters = {nn.LSTM: "ifgo", nn.GRU: "rzn"}[kind]
    layer = kind(3, 2, batch_first=True)
    x = np.random.default_rng(0).normal(size=(1, 1, 3)).astype(np.float32)
    shown = layer.picture(x)
    wi, bi = layer.weight_ih_l0.numpy(), layer.bias_ih_l0.numpy()
    bh = layer.bias_hh_l0.numpy()
    z = wi @ x[0, 0] + bi + bh
    for k, letter in enumerate(letters):
        part = z[2 * k : 2 * k + 2]
        if letter == "n":
            r = 1 / (1 + np.exp(-z[:2]))
            part = (wi @ x[0, 0] + bi)[4:] + r * bh[4:]
        value = np.tanh(part) if letter in "gn" else 1 / (1 + np.exp(-part))
        (box,) = [b for b in shown.boxes if b.symbol == f"{letter}ₜ"]
        numbers = [float(t) for t in box.details[-1].split(", ")]
        np.testing.assert_allclose(numbers, value, rtol=5e-3)


@pytest.mark.parametrize("name", ["gpt-1", "encoder-layer", "own-attention"])
def test_attention_has_its_letters(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = drawn(name, monkeypatch).picture
    box = {b.symbol or b.title.split(" · ")[0]: b for b in picture.boxes}
    joined = pairs(picture, [VALUE])
    assert (box["Q"], box["Q Kᵀ"]) in joined
    assert (box["K"], box["Q Kᵀ"]) in joined
    assert (box["V"], box["A V"]) in joined
    assert (box["Q"], box["A V"]) not in joined
    heads = "A = softmax" + (", 2 heads" if name != "own-attention" else "")
    assert heads in titles(picture)


def many_blocks() -> nn.ModuleList:
    model = NETWORKS["gpt-12"]()[0]
    assert isinstance(model, Gpt)
    return model.blocks


def test_random_numbers_have_a_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ε ⊙ x" in titles(drawn("variational", monkeypatch).picture)


def test_alike_blocks_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    many = drawn("gpt-12", monkeypatch).picture
    (frame,) = [f for f in many.frames if f.times > 1]
    assert (frame.times, frame.title) == (12, "blocks.0 … blocks.11 · Block")
    total = sum(p.size for p in many_blocks().parameters())
    assert f"{total:,} parameters together" in many.notes[0]
    assert len(many.boxes) == len(drawn("gpt-1", monkeypatch).picture.boxes)
    assert len(many.to_svg()) < 60_000


def test_unlike_blocks_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of another width, one that is read again, one that reads something else."""

    class Around(nn.Module):
        def __init__(self, case: str) -> None:
            widths = [8, 8, 8, 8]
            if case == "width":
                widths[2] = 6
            self.case = case
            self.blocks = nn.ModuleList(
                [
                    nn.Sequential(nn.Linear(8, w), nn.ReLU(), nn.Linear(w, 8))
                    for w in widths
                ]
            )

        def forward(self, x: cr.Tensor) -> cr.Tensor:
            known = [x]
            for i, block in enumerate(self.blocks):
                h = known[-1]
                known.append(block(h + x if self.case == "reads" and i == 2 else h))
            return known[-1] + (known[2] if self.case == "read" else 0 * known[0])

    def folded(case: str) -> list[int]:
        return [f.times for f in Around(case).picture((8,)).frames if f.times > 1]

    assert folded("none") == [4]
    assert folded("width") == folded("reads") == folded("read") == []


@pytest.mark.parametrize(
    "other",
    [
        lambda: nn.LeakyReLU(0.2),
        lambda: nn.GELU(),
        lambda: nn.LayerNorm(8, eps=1e-3),
        lambda: Times(0.123457),
        lambda: Times(-1.0),
    ],
)
def test_blocks_that_compute_something_else_are_not(other: Any) -> None:
    """Their boxes may have the same titles and shapes."""
    usual: dict[type, Any] = {
        nn.LeakyReLU: lambda: nn.LeakyReLU(0.1),
        nn.GELU: lambda: nn.GELU(approximate="tanh"),
        nn.LayerNorm: lambda: nn.LayerNorm(8),
        Times: lambda: Times(0.123456),
    }
    between = [usual[type(other())] for __ in range(4)]

    def folded() -> list[int]:
        blocks = [nn.Sequential(nn.Linear(8, 8), make()) for make in between]
        picture = nn.Sequential(*blocks).picture((8,))
        return [f.times for f in picture.frames if f.times > 1]

    assert folded() == [4]
    between[1] = other
    assert folded() == []


class Times(nn.Module):
    """A number of times the input, an operation of no layer."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return x * self.factor


# -- what is drawn ---------------------------------------------------------------------


def shapes(svg: str) -> Iterator[Any]:
    yield from ElementTree.fromstring(svg).iter()


def rectangles(svg: str) -> list[tuple[float, float, float, float]]:
    """The boxes of a drawing: left, top, right, bottom; those in groups are boxes."""
    found = []
    for group in shapes(svg):
        for rect in group.findall("rect") if group.tag == "g" else ():
            x, y, w, h = (float(rect.get(k)) for k in ("x", "y", "width", "height"))
            found.append((x, y, x + w, y + h))
    return found


def on_edge(point: tuple[float, float], r: tuple[float, ...]) -> bool:
    x, y = point
    across = r[0] - 0.2 <= x <= r[2] + 0.2 and min(abs(y - r[1]), abs(y - r[3])) < 0.2
    along = r[1] - 0.2 <= y <= r[3] + 0.2 and min(abs(x - r[0]), abs(x - r[2])) < 0.2
    return across or along


def crosses(a: tuple[float, float], b: tuple[float, float], r: Any) -> bool:
    """Whether an upright or level line goes through the inside of a box."""
    left, right = sorted((a[0], b[0]))
    top, bottom = sorted((a[1], b[1]))
    inside = left < r[2] - 1 and right > r[0] + 1
    return inside and top < r[3] - 1 and bottom > r[1] + 1


@pytest.mark.one_in(4)
@pytest.mark.parametrize("name", NETWORKS)
def test_lines_join_the_boxes_of_their_arrows(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = drawn(name, monkeypatch).picture
    picture.units = None
    svg = picture.to_svg()
    places = dict(zip(picture.boxes, rectangles(svg), strict=True))
    lines = [e for e in shapes(svg) if e.tag == "polyline"]
    assert len(lines) == len(picture.arrows)
    for arrow, line in zip(picture.arrows, lines):
        numbers = map(float, re.findall(r"[-\d.]+", line.get("points")))
        points = list(zip(numbers, numbers))
        assert on_edge(points[0], places[arrow.source])
        assert on_edge(points[-1], places[arrow.target])
        others = [p for b, p in places.items() if b not in (arrow.source, arrow.target)]
        for a, b in pairwise(points):
            assert not any(crosses(a, b, other) for other in others)
    for one in picture.boxes:
        for other in picture.boxes:
            a, b = places[one], places[other]
            apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
            assert one is other or apart


@pytest.mark.one_in(8)
@pytest.mark.parametrize("name", NETWORKS)
def test_mermaid_has_the_same_arrows(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = drawn(name, monkeypatch).picture
    text = picture.to_mermaid()
    found = Counter(re.findall(r"^  (n\d+) -\.?->.* (n\d+)$", text, re.M))
    names = {box: f"n{i}" for i, box in enumerate(picture.boxes)}
    assert found == Counter((names[a.source], names[a.target]) for a in picture.arrows)
    assert len(re.findall(r"^ +subgraph", text, re.M)) == len(picture.frames)
    assert len(re.findall(r"^ +end$", text, re.M)) == len(picture.frames)


def test_a_picture_of_numbers_shows_those_of_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    it = drawn("iris", monkeypatch)
    x = np.asarray(NETWORKS["iris"]()[1])
    state = {k: np.asarray(t) for k, t in it.model.state_dict().items()}
    hidden = np.maximum(state["0.weight"] @ x[0] + state["0.bias"], 0)
    scores = state["2.weight"] @ hidden + state["2.bias"]
    chances = np.exp(scores) / np.exp(scores).sum()
    assert it.picture.units is not None
    columns = it.picture.units.columns
    for column, numbers in zip(columns, (x[0], hidden, chances), strict=True):
        assert column.numbers is not None
        np.testing.assert_allclose(column.numbers, numbers, rtol=1e-5)
    for column, layer in zip(columns[1:], ("0", "2")):
        np.testing.assert_array_equal(column.weights, state[f"{layer}.weight"])
        np.testing.assert_array_equal(column.biases, state[f"{layer}.bias"])
    svg = it.picture.to_svg()
    assert svg.count("<line") == 4 * 8 + 8 * 3
    for r, c in ((0, 0), (7, 3)):
        weight = number(float(state["0.weight"][r, c]))
        assert f"<title>w[{r}, {c}] = {weight}</title>" in svg
