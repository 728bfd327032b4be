"""The numbers and links in an explanation's page: every path that it holds is true."""

from __future__ import annotations

import copy
import json
import math
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule import nn
from chainrule.explanation import Explanation, example, interactive
from chainrule.explanation.interactive.entries import Entries, entries_of
from chainrule.explanation.interactive.packing import packed
from chainrule.graph.node import Value
from tests.explanation.models import LAYERS, LOSSES, Words, around, linear, truth
from tests.explanation.random_models import drawn
from tests.explanation.sheet import Sheet, unpacked

CE = nn.CrossEntropyLoss()
#: A millionth of float32's rounding, of the sum of sizes of what is added up.
CLOSE = 1e-6 * float(np.finfo(np.float32).eps)
#: Names of the layers that stand for a kind each.
KINDS = [
    *("ReLU", "Conv2d", "ConvTranspose2d", "groups, stride, InstanceNorm2d", "RNN"),
    *("GRU", "LSTM", "MultiheadAttention", "TransformerEncoderLayer True"),
    *("BatchNorm1d", "Residual", "Tied", "Own", "MaxPool2d, windows that overlap"),
]


@dataclass
class Case:
    """A step: what is explained, in float64 and in float32."""

    model: nn.Module
    x: Any
    y: Any
    loss: Any

    @cached_property
    def explained(self) -> Explanation:
        return cr.explain(self.model, self.x, self.y, self.loss)

    def rounding(self, symbol: str) -> float:
        """What float32 makes of the derivatives by a value: the largest difference."""
        single = cr.explain(
            copy.deepcopy(self.model).float(), self.x, self.y, self.loss
        )
        ours, exact = single[symbol].grad, self.explained.exact[symbol].grad
        assert ours is not None
        assert exact is not None
        return float(np.abs(ours - exact).max())


def case(name: str, rng: np.random.Generator) -> Case:
    if name == "embedding":
        return Case(Words(), [[0, 3, 3], [5, 1, 0]], [0, 1], CE)
    if name == "autoencoder":
        model = nn.Sequential(*linear(5, 2), nn.Tanh(), *linear(2, 5))
        x = rng.normal(size=(3, 5))
        return Case(model, x, x, nn.MSELoss())
    if name == "float32":
        x = rng.normal(size=(4, 3)).astype(np.float32)
        model = copy.deepcopy(around(nn.GELU())).float()
        return Case(model, x, [0, 1, 1, 0], CE)
    model, shape = LAYERS[name]
    # Of two samples batch normalisation makes ±1, whatever they are: nothing is left.
    n = 5 if name == "BatchNorm1d" else 2
    return Case(model, rng.normal(size=(n, *shape)), [0, 1, 1, 0, 1][:n], CE)


def valued(e: Explanation, made: Entries) -> list[tuple[Value, int]]:
    """The values with a derivative, and their places among those of the page."""
    run, names = e.exact.run, e.exact.names
    pairs = [(v, made.symbols.get(names.of[v].text())) for v in names.of]
    return [
        (v, entry.id)
        for v, entry in pairs
        if entry is not None
        and v in run.cotangents
        and v is not run.loss
        and run.arrays[v].size == np.prod(made.data["values"][entry.id]["shape"])
    ]


def faults(step: Case, times: int, rng: np.random.Generator) -> list[str]:
    """What is wrong with the paths of some numbers of a page."""
    made = entries_of(step.explained)
    assert made.left_out == []
    sheet = Sheet(json.loads(json.dumps(made.data)))
    return faults_of(step, made, sheet, times, rng)


def faults_of(
    step: Case, made: Entries, sheet: Sheet, times: int, rng: np.random.Generator
) -> list[str]:
    e = step.explained
    run, found = e.exact.run, list[str]()
    values = valued(e, made)
    for _ in range(times):
        value, v = values[int(rng.integers(len(values)))]
        k = int(rng.integers(run.arrays[value].size))
        name = f"{sheet.values[v]['symbol']}[{k}]"
        wanted = float(run.arrays[run.cotangents[value]].reshape(-1)[k])
        products = sheet.products(v, k)
        # Where parts cancel within a derivative, the parts tell its rounding.
        size = sum(map(abs, products)) + abs(wanted) + _parts(sheet, v, k)
        off, symbol = abs(sum(products) - wanted), sheet.values[v]["symbol"]
        if off > CLOSE * size and off > 1e-6 * step.rounding(symbol):
            found.append(f"∂ℒ/∂{name} = {sum(products)}, not {wanted}")
        place = tuple(map(int, np.unravel_index(k, run.arrays[value].shape)))
        if value.node is None:
            continue
        edges: dict[Any, float] = {}
        for edge in e.trace.edges(value, place):
            for index, d in zip(edge.indices, edge.derivative):
                edges[edge.parent, tuple(map(int, index))] = float(d)
        ours = {_named(sheet, t.v, t.k): t.d for t in sheet.near(v, k, 0)}
        most = max(map(abs, edges.values()), default=0.0)
        for key in edges.keys() | ours.keys():
            if key not in edges and key[0] in ("x", "y"):
                continue  # the graph has no derivatives by what is given
            if abs(edges.get(key, 0.0) - ours.get(key, 0.0)) > 1e-9 * most:
                found.append(f"∂{name}/∂{key}: {ours.get(key)}, not {edges.get(key)}")
    return found


def _named(sheet: Sheet, v: int, k: int) -> tuple[str, tuple[int, ...]]:
    shape = sheet.values[v]["shape"]
    index = np.unravel_index(k, shape) if shape else ()
    return sheet.values[v]["symbol"], tuple(map(int, index))


def _parts(sheet: Sheet, v: int, k: int) -> float:
    """Σ |∂ℒ/∂c| |parts of ∂c/∂v[k]|, over all ways to values that have a symbol."""
    total, waiting = 0.0, [(v, k, 1.0)]
    while waiting:
        v, k, size = waiting.pop()
        for t in sheet.ways[1][v, k]:
            part = size * abs(t.d)
            if "symbol" in sheet.values[t.v]:
                total += part * abs(sheet.slope(t.v, t.k))
            elif part:
                waiting.append((t.v, t.k, part))
    return total


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", [*KINDS, "embedding", "autoencoder", "float32"])
def test_paths_of_random_numbers(name: str) -> None:
    rng = np.random.default_rng(1)
    assert faults(case(name, rng), 20, rng) == []


@pytest.mark.one_in(7)
@pytest.mark.parametrize(("name", "loss", "kind"), LOSSES)
def test_paths_of_losses(name: str, loss: Any, kind: str) -> None:
    rng = np.random.default_rng(2)
    ends = [nn.Softmax(dim=1)] if "of shares" in kind else []
    model, x = nn.Sequential(around(nn.Tanh()), *ends), rng.normal(size=(3, 3))
    assert faults(Case(model, x, truth(kind, 3, rng), loss), 20, rng) == [], name


@pytest.mark.one_in(8)
@pytest.mark.parametrize("seed", range(24))
def test_paths_of_random_models(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert faults(Case(*drawn(seed)), 20, rng) == []


@pytest.mark.parametrize("opened", ["softmax", "all"])
def test_opened_composites(opened: str) -> None:
    layer = nn.TransformerEncoderLayer(
        4, 2, 8, batch_first=True, dropout=0.0, dtype="float64"
    )
    model = nn.Sequential(layer, nn.Flatten(), nn.Linear(12, 2, dtype="float64"))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, 4))
    step = Case(model, x, [0, 1], CE)
    step.explained = cr.explain(model, x, [0, 1], CE, composites=[opened])
    assert faults(step, 12, rng) == []


def test_the_derivative_by_what_is_given() -> None:
    """The graph of a step has none by x; the links have, as a gradient of it has."""
    rng = np.random.default_rng(0)
    model, x = around(nn.Tanh()), rng.normal(size=(2, 3))
    made = entries_of(cr.explain(model, x, [0, 1], CE))
    sheet, v = Sheet(made.data), made.symbols["x"].id
    wanted = cr.grad(lambda t: CE(model(t), cr.tensor([0, 1])))(cr.tensor(x)).numpy()
    ours = [sum(sheet.products(v, k)) for k in range(x.size)]
    np.testing.assert_allclose(ours, wanted.reshape(-1), rtol=1e-12)


class Detaching(nn.Module):
    """A sum, one of whose parts no derivative goes through."""

    def __init__(self) -> None:
        self.a, self.out = linear(3, 3, 2)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        h = self.a(x).tanh()
        with cr.no_grad():
            still = h * 2
        return self.out(h * h.detach() + still)


class Padded(Words):
    """Words of which the first one is padding, whose row is not trained."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(6, 4, padding_idx=0, dtype="float64")


@pytest.mark.parametrize("name", ["detached", "padded"])
def test_no_path_leads_through_what_is_detached(name: str) -> None:
    rng = np.random.default_rng(0)
    step = Case(Detaching(), rng.normal(size=(2, 3)), [0, 1], CE)
    if name == "padded":
        step = Case(Padded(), [[0, 3, 3], [5, 0, 0]], [0, 1], CE)
    assert faults(step, 40, rng) == []
    run = step.explained.exact.run
    for parameter, path in run.tensors.items():
        wanted = run.arrays[run.cotangents[parameter]]
        for place in np.ndindex(*wanted.shape):
            found = step.explained.element(path, place).gradient
            assert found == pytest.approx(wanted[place], rel=1e-12, abs=1e-15)


def test_a_wrong_number_is_found() -> None:
    """The checks above see a derivative that is a little off, and a link too few."""
    rng = np.random.default_rng(0)
    step = case("ReLU", rng)
    made = entries_of(step.explained)
    wrong = copy.deepcopy(made.data)
    link = next(k for k in wrong["links"] if k["kind"] == "into" and "d" in k)
    link["d"] = (unpacked(link["d"]) * (1 + 1e-9)).tolist()
    assert faults_of(step, made, Sheet(wrong), 40, rng)
    fewer = made.data | {"links": made.data["links"][1:]}
    assert faults_of(step, made, Sheet(fewer), 40, rng)


def test_composites_that_are_too_large_are_opened() -> None:
    """Of a wide normalisation no matrix of derivatives is kept; its parts are."""
    rng = np.random.default_rng(0)
    wide = nn.Sequential(
        nn.Linear(3, 80, dtype="float64"),
        nn.LayerNorm(80, dtype="float64"),
        nn.Softmax(dim=1),
        nn.Linear(80, 2, dtype="float64"),
    )
    step = Case(wide, rng.normal(size=(2, 3)), [0, 1], CE)
    assert faults(step, 10, rng) == []
    links = entries_of(step.explained).data["links"]
    listed = [len(unpacked(k["d"])) for k in links if k["kind"] == "listed"]
    assert max(listed, default=0) < 2 * 80 * 80 / 8


def test_what_is_left_out_is_said() -> None:
    """A page that may not be large holds what is near the loss, and nothing false."""
    rng = np.random.default_rng(0)
    e = case("TransformerEncoderLayer True", rng).explained
    whole = entries_of(e)
    size = len(json.dumps(whole.data))
    for share in (0.0, 0.2, 0.5, 0.8):
        made = entries_of(e, int(size * share))
        assert made.left_out
        sheet = Sheet(made.data)
        run = e.exact.run
        for value, v in valued(e, made):
            if v not in made.whole:
                continue
            k = int(rng.integers(run.arrays[value].size))
            wanted = float(run.arrays[run.cotangents[value]].reshape(-1)[k])
            total = sum(sheet.products(v, k))
            near = CLOSE * (abs(wanted) + _parts(sheet, v, k))
            assert abs(total - wanted) <= near, (share, sheet.values[v]["symbol"])
    assert whole.left_out == []
    chain = [i for i, v in enumerate(whole.data["values"]) if not v.get("beside")]
    assert whole.whole == {*chain}


def test_too_many_derivatives_of_a_loop_are_left_out() -> None:
    """A loop has no body of single numbers, and so many derivatives are not listed."""
    cr.manual_seed(0)
    lstm = nn.LSTM(3, 40, batch_first=True)

    class Last(nn.Module):
        def __init__(self) -> None:
            self.inner, self.out = lstm, nn.Linear(40, 2)

        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return self.out(self.inner(x)[0].mean(dim=1))

    x = np.random.default_rng(0).normal(size=(4, 10, 3)).astype(np.float32)
    made = entries_of(cr.explain(Last(), x, [0, 1, 0, 1], CE))
    assert made.left_out
    assert "z⁽¹⁾" in made.symbols
    assert any(link["kind"] == "left" for link in made.data["links"])


floats = st.floats(width=64) | st.integers(-300, 300).map(float)


@settings(max_examples=100, deadline=None)
@given(st.lists(floats, max_size=80), st.integers(1, 3))
def test_packed_numbers_are_exact(numbers: list[float], times: int) -> None:
    array = np.array(numbers * times, np.float64)
    again = unpacked(json.loads(json.dumps(packed(array)))).astype(np.float64)
    np.testing.assert_array_equal(again, array)
    np.testing.assert_array_equal(np.signbit(again), np.signbit(array))


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool, np.float32])
def test_packed_numbers_of_other_types(dtype: Any) -> None:
    array = (np.arange(60) % 7).astype(dtype)
    assert unpacked(json.loads(json.dumps(packed(array)))).tolist() == array.tolist()


# -- the same in JavaScript ------------------------------------------------------------

SCRIPT = """
import { readFileSync } from "node:fs";
import { Entries } from %r;
const { data, asked } = JSON.parse(readFileSync(0, "utf8"));
const entries = new Entries(data);
const number = (x) => (Number.isFinite(x) ? x : null);
console.log(JSON.stringify(asked.map(([v, k]) => ({
  path: entries.path(v, k).steps,
  down: entries.down(v, k).terms,
  value: number(entries.number(v, k)),
  slope: entries.slope(v, k),
}))));
"""


def in_javascript(data: dict[str, Any], asked: list[tuple[int, int]]) -> list[Any]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not here")
    file = Path(interactive.__file__).with_name("entries.js").as_uri()
    done = subprocess.run(
        [node, "--input-type=module", "-e", SCRIPT % file],
        input=json.dumps({"data": data, "asked": asked}),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.one_in(3, first=1)
@pytest.mark.parametrize("name", [*KINDS, "embedding", "autoencoder", "float32"])
def test_the_page_adds_up_alike(name: str) -> None:
    """The page's own script finds the terms that a plain reader of its data finds."""
    rng = np.random.default_rng(3)
    e = case(name, rng).explained
    made = entries_of(e)
    sheet = Sheet(made.data)
    shown = [v for v, value in enumerate(sheet.values) if "symbol" in value]
    asked = [(v, int(rng.integers(sheet.size(v)))) for v in rng.choice(shown, 20)]
    asked = [(int(v), k) for v, k in asked]
    for (v, k), found in zip(asked, in_javascript(made.data, asked), strict=True):
        assert found["value"] == pytest.approx(float(sheet.numbers(v)[k]), rel=0)
        first = found["path"][0]
        assert (first["v"], first["k"]) == (v, k)
        for terms, way in ((found["down"], 0), (first["terms"], 1)):
            if v == sheet.loss and way:
                continue
            ours = {(t.v, t.k): t.d for t in sheet.near(v, k, way)}
            theirs = {(t["v"], t["k"]): t["d"] for t in terms}
            some = [key for key in ours if way and sheet.slope(*key) * ours[key]]
            wanted = {key: ours[key] for key in some} if some else ours
            most = max(map(abs, ours.values()), default=0.0)
            for key in wanted.keys() | theirs.keys():
                off = abs(wanted.get(key, 0.0) - theirs.get(key, 0.0))
                assert off <= 1e-12 * most, (sheet.values[v]["symbol"], k, key)
        for step in found["path"]:
            adds_up(step)


def adds_up(step: dict[str, Any]) -> None:
    """The numbers that are written come to the number that is written, exactly."""
    products = [t["g"] * t["d"] for t in step["terms"]]
    shown, rest = products[:4], products[4:]
    total = 0.0
    for i, product in enumerate(shown):
        total = product if i == 0 else total + product
    if rest:
        assert step["rest"] == pytest.approx(sum(rest), rel=1e-12, abs=1e-300)
        total += step["rest"]
    if step["terms"]:
        assert step["gradient"] == total


class Root(nn.Module):
    """Roots of 0, whose derivative is infinite, of what is masked before."""

    def __init__(self, masks: bool) -> None:
        self.a, self.b = linear(2, 3)[0], linear(3, 2)[0]
        self.masks = masks

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        z = self.a(x)
        h = z.square() * cr.tensor([1.0, 0.0, 1.0], dtype="float64")
        return self.b((h if self.masks else z.relu()).sqrt())


@pytest.mark.parametrize("masks", [True, False])
def test_zero_times_nan_is_what_the_step_computed(masks: bool) -> None:
    """A mask multiplies (0 · ∞ is NaN), a ReLU selects: 0 comes back through it."""
    cr.manual_seed(0)
    model = Root(masks)
    with cr.no_grad():
        model.a.bias.copy_(cr.tensor([5.0, -9.0, 5.0], dtype="float64"))
    e = cr.explain(model, [[1.0, 0.0]], [0], CE)  # x₂ = 0: 0 · NaN in ∂ℒ/∂W too
    made = entries_of(e)
    for name, symbol in (("a.weight", "W⁽¹⁾"), ("a.bias", "b⁽¹⁾"), ("z1", "z⁽¹⁾")):
        wanted = e[name].grad
        assert wanted is not None
        assert np.isnan(wanted).any() == masks
        v = made.symbols[symbol].id
        asked = [(v, k) for k in range(wanted.size)]
        for (__, k), found in zip(asked, in_javascript(made.data, asked)):
            shown = found["path"][0]["gradient"]  # JSON has no NaN
            ours = float(wanted.reshape(-1)[k])
            assert (shown is None) == math.isnan(ours)
            assert shown is None or shown == pytest.approx(ours, rel=1e-9)
            place = tuple(map(int, np.unravel_index(k, wanted.shape)))
            path = e.element(name, place).gradient
            assert path == pytest.approx(ours, rel=1e-9, nan_ok=True)


def test_the_page_of_the_example_adds_up_alike() -> None:
    made = entries_of(example())
    z = made.symbols["z⁽²⁾"].id
    (found,) = in_javascript(made.data, [(z, 0)])
    path = example().element("z2", (0, 0))
    assert found["path"][0]["gradient"] == pytest.approx(path.gradient, rel=1e-15)
    assert [s["v"] for s in found["path"]] == [z, made.symbols["ŷ"].id]
