"""What ``model.picture`` takes and refuses, and what stands in files and pages."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.diagrams import Diagram, svg
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.text import parse
from tests.diagrams.networks import NETWORKS, Variational

EVIL = "<script>alert(1)</script>&\x1b[31m\"'"


def small() -> nn.Sequential:
    cr.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))


def large() -> nn.Sequential:
    cr.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 30), nn.ReLU(), nn.Linear(30, 2))


def whole(text: str) -> Any:
    """An SVG element that is well formed, and loads and runs nothing."""
    element = ElementTree.fromstring(text)
    for each in element.iter():
        tag = each.tag.rpartition("}")[2]
        assert tag not in ("script", "a", "foreignObject", "use", "link")
        for name, value in each.attrib.items():
            assert not name.startswith("on")
            assert "href" not in name or value.startswith("data:image/png;base64,")
    return element


# -- what it is given ------------------------------------------------------------------


def test_shapes_and_rows() -> None:
    model = large()
    rows = np.ones((5, 2), np.float32)
    given = (2, (2,), rows, cr.tensor(rows), [[1.0, 1.0]], cr.data.Dataset(rows, rows))
    pictures = [model.picture(data) for data in given]
    assert len({str(picture) for picture in pictures}) == 1
    assert str(model.picture()) == str(pictures[0])
    thumbnails = [sum(len(b.thumbnails) for b in p.boxes) for p in pictures]
    assert thumbnails == [0, 0, 2, 2, 2, 2]


def test_numbers_are_those_of_the_first_sample() -> None:
    model = large()
    rows = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
    picture = model.picture(rows)
    (box,) = [b for b in picture.boxes if b.name == "2"]
    shown = [float(text) for text in box.details[-1].split(", ")]
    np.testing.assert_allclose(shown, model(rows).numpy()[0], rtol=5e-3)
    assert model.training


def test_several_inputs_by_name() -> None:
    model, data = NETWORKS["two-inputs"]()
    titles = [b.title for b in model.picture(data).boxes if b.kind == "input"]
    assert titles == ["left", "right"]
    outputs = [b.title for b in NETWORKS["gan"]()[0].picture({"z": 3, "x": 6}).boxes]
    assert {"fake", "real"} <= {*outputs}
    filled = model.picture({"left": np.ones((1, 3)), "right": np.ones((1, 5))})
    assert any(b.thumbnails for b in filled.boxes if b.kind == "input")


class Both(nn.Module):
    """Two inputs in order; a result and a list of others, as attention weights are."""

    def forward(self, a: cr.Tensor, b: cr.Tensor) -> tuple[cr.Tensor, list[cr.Tensor]]:
        return a + b, [a * b, a - b]


def test_several_inputs_in_order_and_a_list_of_outputs() -> None:
    x = np.ones((1, 12), np.float32)
    data = cr.data.Dataset((x, 2 * x), np.zeros(1, np.float32))
    boxes = Both().picture(data).boxes
    titles = [b.title for b in boxes if b.kind == "input"]
    assert titles == ["x₁", "x₂"]
    titles = [b.title for b in boxes if b.kind == "output"]
    assert titles == ["output 1", "output 2.1", "output 2.2"]


def test_the_caption_says_how_boxes_and_colours_are_read() -> None:
    bare = svg.caption(large().picture(2))
    assert bare == [
        "Sequential",
        "An arrow has the shape of what one sample gives there.",
    ]
    filled = svg.caption(large().picture(np.ones((1, 2))))
    assert "red is positive, blue negative" in filled[1]
    assert "Lines are weights." in svg.caption(small().picture(2))[1]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: nn.Sequential(nn.Conv2d(1, 1, 3)).picture(), ArgumentError, "given"),
        (
            lambda: nn.Sequential(nn.LazyLinear(out_features=2)).picture(),
            ArgumentError,
            "given",
        ),
        (lambda: small().picture("x"), ArgumentError, "model.picture needs to know"),
        (lambda: small().picture((2,), depth=-1), ArgumentError, "depth is how deep"),
        (
            lambda: cast(Any, small()).picture((2,), depth=1.5),
            ArgumentError,
            "depth is how deep",
        ),
        (lambda: small().picture((3,)), ShapeError, "Linear '0'"),
        (lambda: small().picture((2,)).save("x.png"), ArgumentError, "SVG"),
    ],
)
def test_refusals(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


class ByNumber(nn.Module):
    """Adds a sample of the batch to all of them."""

    def __init__(self, row: int) -> None:
        self.layer, self.row = nn.Linear(3, 2), row

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.layer(x) + x[self.row, :2]


@pytest.mark.parametrize(("row", "least"), [(1, 2), (-3, 3)])
def test_a_network_that_reads_a_sample_by_its_number(row: int, least: int) -> None:
    model = ByNumber(row)
    rows = np.arange(3.0 * least, dtype=np.float32).reshape(least, 3)
    element = whole(model.picture(rows).to_svg())
    assert "x" in "".join(element.itertext())
    expected = f"at least {least} along axis 0\\n  got: +{least - 1} sample"
    with pytest.raises(ArgumentError, match=f"by its number(?s:.)*{expected}"):
        model.picture(rows[1:])
    assert len(model.picture((3,)).boxes) > 2


def test_nothing_is_left_in_the_model() -> None:
    drawing = Variational(), np.ones((1, 4))
    layers = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    for model, rows in ((layers, np.ones((4, 2))), drawing):
        unchanged(model, rows)


def unchanged(model: nn.Module, rows: np.ndarray) -> None:
    before = {k: np.array(v) for k, v in model.state_dict().items()}
    cr.manual_seed(3)
    expected = cr.rand(3).numpy()
    cr.manual_seed(3)
    model.picture(rows)
    np.testing.assert_array_equal(cr.rand(3).numpy(), expected)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


# -- pages and files -------------------------------------------------------------------


def test_an_element_is_safe_and_says_what_it_shows() -> None:
    for picture in (small().picture(), small().picture([[0.5, 1.0]])):
        element = whole(picture.to_svg())
        assert element.get("role") == "img"
        assert "Linear, ReLU, Linear" in element.get("aria-label")
        assert element[0].tag == "title"


def test_arrows_are_told_in_words() -> None:
    element = whole(large().picture().to_svg())
    assert element[1].tag == "desc"
    assert element[1].text == (
        "x → Linear (2); Linear → ReLU (30); ReLU → Linear (30); Linear → ŷ (2)"
    )
    titles = [e.text for e in element.iter("title")]
    assert {
        "x → Linear (2)",
        "Linear\n0\n90 parameters\n0.weight (30, 2)\n0.bias (30)",
    } <= {*titles}


def test_what_people_wrote_is_escaped() -> None:

    def forward(m: Any, x: cr.Tensor) -> dict[str, cr.Tensor]:
        return {EVIL: m.f(x), "other": x * 2}

    from tests.diagrams.networks import Function

    kind = type(EVIL, (Function,), {})
    picture = kind(forward, f=nn.Linear(2, 2)).picture((2,))
    text = picture.to_svg()
    whole(text)
    page = picture._repr_html_()
    assert "<script" not in page
    assert "\x1b" not in page
    assert "&lt;script&gt;" in page
    mermaid = picture.to_mermaid()
    assert "<script" not in mermaid
    assert "\x1b" not in mermaid
    assert mermaid.count('"') == 2 * len(re.findall(r'(?<!")"[^"]+"', mermaid))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38, 0.0])
def test_numbers_that_are_none(value: float) -> None:
    for model in (small(), large()):
        for p in model.parameters():
            p.copy_(cr.full(p.shape, value))
        text = model.picture([[value, 1.0]])._repr_html_()
        assert '="nan"' not in text
        assert '"inf' not in text


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_dtypes(dtype: str) -> None:
    for model in (small(), large()):
        model.to(getattr(cr, dtype))
        picture = model.picture([[0.5, 1.0]])
        assert "Linear" in picture._repr_html_()
        assert (picture.units is None) is (model[0].out_features > 16)


def test_files(tmp_path: Path) -> None:
    picture = large().picture()
    path = picture.save(tmp_path / "new" / "network.svg")
    text = path.read_text(encoding="utf-8")
    assert whole(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert "prefers-color-scheme:dark" in text
    saved = picture.save(str(tmp_path / "network.mmd"))
    assert saved.read_text(encoding="utf-8") == picture.to_mermaid()


def test_without_the_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units and Mermaid need none; other pictures say what to install."""
    monkeypatch.setitem(sys.modules, "graphlay", None)
    assert "<line" in small().picture().to_svg()
    picture = large().picture()
    assert "-->" in picture.to_mermaid()
    with pytest.raises(ArgumentError, match="needs graphlay") as caught:
        picture.to_svg()
    assert "chainrule[plot]" in str(caught.value)
    page = picture._repr_html_()
    assert "chainrule[plot]" in page
    assert "<svg" not in page
    explained = cr.explain(large(), [0.5, 1.0], 1, nn.CrossEntropyLoss()).to_html()
    assert "chainrule[plot]" in explained


# -- large networks --------------------------------------------------------------------


class Blocks(nn.Module):
    """Many blocks, none of which is like another."""

    def __init__(self, many: int) -> None:
        self.blocks = nn.ModuleList(
            [
                nn.Sequential(nn.Linear(4, k), nn.ReLU(), nn.Linear(k, 4))
                for k in range(1, many + 1)
            ]
        )

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        for block in self.blocks:
            x = x + block(x)
        return x


def test_large_networks_are_closed_and_that_is_said() -> None:
    opened = Blocks(20).picture((4,))
    assert len(opened.boxes) == 20 * 4 + 2
    assert not opened.notes
    closed = Blocks(40).picture((4,))
    assert len(closed.boxes) == 40 * 2 + 2
    assert closed.notes == ["Modules deeper than level 0 are one box each."]
    assert len(Blocks(40).picture((4,), depth=1).boxes) == 40 * 4 + 2
    flat = nn.Sequential(*[nn.Linear(20, 20) for __ in range(100)]).picture()
    assert len(flat.boxes) == 102  # where nothing is closed, nothing is said
    assert not flat.notes


@pytest.mark.parametrize("many", [60, 220])
def test_pages_are_bounded(many: int) -> None:
    picture = Blocks(many).picture(np.ones((1, 4)))
    page = picture._repr_html_()
    assert len(page) < 300_000
    if len(picture.boxes) > 400:
        assert "too many boxes" in page
        with pytest.raises(ArgumentError, match="too many boxes"):
            picture.to_svg()


# -- time ------------------------------------------------------------------------------


@pytest.mark.one_in(4, first=1)
@pytest.mark.parametrize("name", ["gan", "lstm", "gpt-4", "scan"])
def test_shares_of_time(name: str) -> None:
    pytest.importorskip("llvmlite", reason="needs llvmlite")
    model, data = NETWORKS[name]()
    picture = model.picture(data, time=True)
    boxes = [text for box in picture.boxes for text in box.details]
    texts = [*boxes, *(frame.title for frame in picture.frames)]
    found = [re.search(r"[<>]?([\d.]+)% of the time", text) for text in texts]
    shares = [float(match[1]) for match in found if match]
    layers = sum(b.kind == "layer" for b in picture.boxes)
    assert sum("of the time" in text for text in boxes) == layers
    rest = re.search(r"; [<>]?([\d.]+)% of it between", picture.notes[-1])
    assert rest
    assert abs(sum(shares) + float(rest[1]) - 100) < 0.06 * (len(shares) + 1)
    titles = " ".join(frame.title for frame in picture.frames)
    assert ("its own steps" in titles) is (name in ("lstm", "gpt-4"))


# -- graphs ----------------------------------------------------------------------------


def test_a_graph_has_every_operation() -> None:
    model = small()
    optimizer = cr.optim.SGD(model.parameters(), lr=0.1)

    @cr.compile
    def step(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    graph = step.graph(cr.ones(4, 2), cr.ones(4, 2))
    diagram = graph.diagram()
    constants = _constants(graph)
    boxes = {node: b for b in diagram.boxes for node in b.nodes}
    assert {*boxes} == {node for node in graph.nodes if node not in constants}
    expected = {
        (boxes[v.node], boxes[node])
        for node in boxes
        for v in node.inputs
        if v.node in boxes
    }
    ends = ("input", "output")
    shown = {
        (a.source, a.target)
        for a in diagram.arrows
        if a.source.kind not in ends and a.target.kind not in ends
    }
    assert shown == expected
    titles = {f.title for f in diagram.frames}
    assert {"backward", "update", "0 · Linear"} <= titles
    assert graph.to_svg().count("<polyline") == len(diagram.arrows)
    assert "<pre>" in graph._repr_html_()


def test_a_graph_shows_one_step_of_its_loops() -> None:
    model = nn.LSTM(3, 2, batch_first=True)
    x = cr.ones(1, 4, 3)
    step = cr.compile(lambda x: cr.grad(lambda x: model(x)[0].sum())(x))
    graph = step.graph(x)
    diagram = graph.diagram()
    loops = [n for n in graph.nodes if n.primitive.name == "scan"]
    steps = [f.title for f in diagram.frames if f.title.startswith("one step")]
    assert steps == ["one step, t = 1 … 4", "one step, t = 4 … 1"]
    for loop in loops:
        inner = [b for b in diagram.boxes if b.frame and b.frame.key is loop]
        drawn = {node for b in inner if b.kind == "operation" for node in b.nodes}
        assert drawn == {*loop.attrs["body"].nodes} - _constants(loop.attrs["body"])
        states = [b for b in inner if b.title.startswith("state")]
        assert len(states) == loop.attrs["carries"]
        for box in states:
            assert any(
                a.target is box and a.kind == "next step" for a in diagram.arrows
            )


def _constants(graph: Any) -> set[Any]:
    found: set[Any] = set()
    for node in graph.nodes:
        if all(v.node in found for v in node.inputs):
            found.add(node)
    return found


def test_a_graph_that_was_read_from_text() -> None:
    model, __ = NETWORKS["gpt-1"]()
    step = cr.compile(lambda x: model(x))
    graph = step.graph(cr.tensor([[1, 2, 3]]))
    again = parse(str(graph)).diagram()
    first: Diagram = graph.diagram()
    assert [b.title for b in again.boxes] == [b.title for b in first.boxes]
    assert len(again.arrows) == len(first.arrows)
    assert {f.title.split(" · ")[0] for f in again.frames} >= {
        "blocks.0",
        "blocks.0.up",
    }


def test_a_graph_that_nobody_could_read() -> None:
    def long(x: cr.Tensor) -> cr.Tensor:
        for __ in range(700):
            x = (x * 1.5).tanh()
        return x

    graph = cr.compile(long, engine="numpy").graph(cr.ones(2))
    with pytest.raises(ArgumentError, match="too many boxes"):
        graph.to_svg()
    page = graph._repr_html_()
    assert "too many boxes" in page
    assert "<pre>" in page
