"""What objects show of themselves in a notebook: escaped, bounded, of one piece."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.html import views
from chainrule.training import History

EVIL = "<script>alert(1)</script>&\x1b[31m"


class Page(HTMLParser):
    """The tags, attributes and text of a view; which tags are open at the end."""

    EMPTY = ("img", "br")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.given: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.given += attrs
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.given += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data


def shown(item: Any) -> Page:
    """The view of an object, which loads nothing, runs nothing, and is bounded."""
    text = item._repr_html_()
    page = Page(text)
    assert not page.open
    assert not {"script", "link", "iframe", "object", "embed"} & {*page.tags}
    for name, value in page.given:
        assert not name.startswith("on"), name
        if name in ("src", "href"):
            assert str(value).startswith("data:image/png;base64,")
    assert "url(" not in text
    assert "http" not in text.replace("http://www.w3.org/", "")
    assert len(text) < 600_000
    assert "\x1b" not in text
    # Ink and paper are those of what is around.
    style = "".join(re.findall("<style>.*?</style>", text, re.DOTALL))
    assert not re.search(r"body\{|[{;]color:#(000|1b|444|666|fff)", style)
    return page


def history(epochs: int = 3, name: str = "validation") -> History:
    made = History()
    made.validation_name = name
    for i in range(1, epochs + 1):
        row = {"epoch": i, "train_loss": 1 / i, "validation_loss": 2 / i}
        made.epochs.append({**row, "lr": 0.1, "seconds": 1.0})
    return made


def network() -> nn.Sequential:
    cr.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


def test_images_with_their_labels() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (40, 8, 8)).astype(np.uint8)
    names = [EVIL, "cat"]
    data = cr.data.Dataset(x, np.arange(40) % 2, scale=1 / 255, class_names=names)
    page = shown(data)
    assert page.tags.count("img") == 16
    assert page.text.count("cat") == 8
    assert "alert(1)" in page.text


def test_the_head_of_a_table() -> None:
    names = [EVIL, *(f"column {i}" for i in range(29))]
    rows = np.arange(300.0).reshape(10, 30)
    page = shown(cr.data.Dataset(rows, rows[:, 0] + 0.5, feature_names=names))
    assert page.text.index("target") < page.text.index("alert(1)")
    assert "… 4 more rows, 19 more columns" in page.text
    assert page.tags.count("td") == 6 * views.COLUMNS
    small = shown(cr.data.Dataset(rows[:2, :3], rows[:2, 0]))
    assert "more" not in small.text
    assert small.text.index("x2") < small.text.index("target")


@pytest.mark.parametrize(
    "data",
    [
        lambda: cr.data.Dataset({"a": [[1.0]], "b": [[2.0]]}, {"c": [1.0]}),
        lambda: cr.data.Dataset(np.zeros((3, 2, 2, 2), "f4"), np.zeros((3, 2), "f4")),
        lambda: cr.data.Dataset(np.zeros((3, 2)), np.zeros((3, 5))),
    ],
)
def test_other_data(data: Callable[[], cr.data.Dataset]) -> None:
    made = data()
    assert made.name in shown(made).text


def test_a_network_is_the_table_of_its_layers() -> None:
    page = shown(network())
    assert "Linear(in_features=4, out_features=3)" in page.text
    assert "weight (3, 4), bias (3,)" in page.text
    assert "23 parameters" in page.text
    frozen = network()
    frozen[0].requires_grad_(False)
    assert "8 of them trained" in shown(frozen).text
    deep = nn.Sequential(*(nn.ReLU() for __ in range(500)))
    assert "… 480 more rows" in shown(deep).text


def test_a_network_that_knows_its_size_has_its_picture() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    page = shown(model)
    assert page.tags.count("line") == 2 * 3 + 3
    assert "svg" not in shown(nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU())).tags


def test_code_of_others_is_not_run_for_a_view() -> None:
    class Loud(nn.Sequential):
        def forward(self, *args: Any) -> Any:
            raise RuntimeError("this was run")

    page = shown(nn.Sequential(nn.Linear(2, 3), Loud(nn.ReLU())))
    assert "svg" not in page.tags


def test_a_layer_of_many_numbers_is_bounded() -> None:
    cr.manual_seed(0)
    deep = shown(nn.LSTM(256, 256, num_layers=5))
    assert "weight_ih_l4 (1024, 256) float32" in deep.text
    many = nn.ParameterList([cr.rand(256, 256) for __ in range(50)])
    assert "… 30 more rows" in shown(many).text
    long = cr.data.Dataset([[1.0]], [1.0], name="x" * 10**6)
    assert len(long._repr_html_()) < 10_000


def test_the_rows_of_a_network_add_up_to_its_parameters() -> None:
    shared = nn.Linear(3, 3)
    made = (
        (nn.MultiheadAttention(8, 2), ["216", "72"]),
        (nn.Sequential(shared, shared), ["12", "0"]),
    )
    for network, counts in made:
        page = network._repr_html_()
        assert re.findall(r"<td>([0-9,]*)</td></tr>", page) == counts
        assert f"{sum(map(int, counts))} parameters" in shown(network).text


def test_a_layer_is_its_numbers() -> None:
    layer = network()[0]
    page = shown(layer)
    for value in layer.bias.numpy():
        assert f"{value:.4f}" in page.text
    large = shown(nn.Linear(300, 300))
    assert large.tags.count("img") == 2
    assert "300 × 300" in large.text
    assert "known at the first call" in shown(nn.LazyLinear(3)).text
    assert "known at the first call" in shown(nn.Sequential(nn.LazyLinear(3))).text


def test_a_history_is_its_curve_and_its_last_epochs() -> None:
    page = shown(history(name=EVIL))
    assert page.tags.count("polyline") == 2
    assert "alert(1)" in page.text
    long = shown(history(1000))
    assert "the last 20 of 1000 epochs" in long.text
    assert long.tags.count("tr") == 21
    broken = history(4)
    broken.epochs[1]["train_loss"] = float("nan")
    assert shown(broken).tags.count("polyline") == 3
    for made in (History(), history(1)):
        assert shown(made).tags.count("polyline") == 0


def test_a_chart_is_where_the_numbers_are() -> None:
    y = np.array([1.0, 10.0, 100.0])
    svg = views.chart({"y": y}, np.array([1.0, 2.0, 3.0]), across="x", up="y")
    (points,) = re.findall('points="([^"]+)"', svg)
    places = [tuple(map(float, p.split(","))) for p in points.split()]
    assert [x for x, __ in places] == [62, 272, 482]
    assert [y for __, y in places] == [192, 102, 12], "its axis is logarithmic"
    linear = views.chart({"y": -y}, np.arange(3.0), across="x", up="y")
    assert 'points="62.0,12.0 272.0,28.4 482.0,192.0"' in linear


def test_a_chart_of_many_points_has_their_extremes() -> None:
    y = np.linspace(1.0, 2.0, 5000)
    y[1234], y[2345], y[3456] = 9.0, 0.5, np.nan
    svg = views.chart({"y": y}, np.arange(5000.0), across="x", up="y")
    lines = [line.split() for line in re.findall('points="([^"]+)"', svg)]
    assert len(lines) == 2
    heights = [float(p.partition(",")[2]) for line in lines for p in line]
    assert (min(heights), max(heights)) == (12, 192)
    assert len(heights) < 1000


def test_a_point_between_gaps_is_seen() -> None:
    y = np.array([1.0, np.nan, 2.0, np.nan, 3.0])
    svg = views.chart({"y": y}, np.arange(5.0), across="x", up="y")
    lines = [line.split() for line in re.findall('points="([^"]+)"', svg)]
    assert [len(line) for line in lines] == [2, 2, 2]
    assert all(first == last for first, last in lines)
    assert 'stroke-linecap="round"' in svg


def test_of_much_only_what_is_shown_is_spelled(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []

    def counted(value: Any) -> str:
        said.append(value)
        return "1"

    monkeypatch.setattr("chainrule.data.view.number", counted)
    wide = cr.data.Dataset(np.zeros((9, 20_000), "f4"), np.zeros((9, 20_000), "f4"))
    assert "more columns" in shown(wide).text
    assert len(said) <= 2 * 6 * views.COLUMNS
    said.clear()
    spell = lambda key, value: counted(value)  # noqa: E731
    monkeypatch.setattr("chainrule.training.history.shown", spell)
    assert "of 5000 epochs" in shown(history(5000)).text
    assert len(said) == 5 * views.ROWS


@pytest.mark.parametrize("shape", [(5, 0, 3), (0, 3, 3), (3, 3, 0), (0, 50), (0,)])
def test_a_tensor_without_numbers(shape: tuple[int, ...]) -> None:
    assert "float32" in shown(cr.zeros(*shape)).text


def test_numbers_that_are_none_stand_in_tables_and_pictures() -> None:
    broken = cr.tensor([np.nan, np.inf, -np.inf, 1e30, 1e-30, 0.0])
    page = shown(broken)
    assert page.text.endswith("naninf-inf1.00e+301.00e-300")
    for end in (1.7e308, np.inf):  # whose range is infinite
        assert "from " in shown(cr.tensor(np.array([-end, end] * 100))).text


@pytest.mark.parametrize("shape", [(2, 3), (30, 40)])
def test_a_tensor_is_laid_out_as_a_layers_numbers_are(shape: tuple[int, int]) -> None:
    """Its picture, histogram and facts are beside each other by a style."""
    page = shown(cr.ones(*shape))
    assert ("class", "cr-view") in page.given
    assert "style" in page.tags


def test_no_weight_is_white_on_white() -> None:
    """Lines of a network are seen on any paper; the strongest best."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 1))
    for p, numbers in zip(model.parameters(), ([[1.0, -1e-9], [0.5, 0]], [0, 0])):
        p.copy_(cr.tensor(numbers))
    page = cr.explain(model, [0.5, 1.0], [1.0], loss=nn.MSELoss())._repr_html_()
    lines = re.findall(r"<line [^>]*>", page)
    assert len(lines) == 6
    seen: list[tuple[float, float]] = []
    for line in lines:
        assert re.search(r'stroke="#(b2182b|2166ac)"', line), line
        made = [
            re.search(rf'stroke-{k}="([\d.]+)"', line) for k in ("opacity", "width")
        ]
        seen.append(tuple(float(m[1]) for m in made if m))  # type: ignore[arg-type]
    assert min(opacity for opacity, __ in seen) > 0.3
    assert max(seen) == (1.0, 2.5)


def test_matrices_keep_the_margins_that_they_have() -> None:
    """A notebook gives tables margins, which lift a matrix off its name."""
    from chainrule.explanation.html import STYLE

    (rule,) = re.findall(r"\.cr table\{(.*?)\}", STYLE, re.DOTALL)
    assert "margin:0" in rule.split(";")


def test_explanations_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = np.ones((1, 4), "f4"), [1]
    made = cr.explain(network(), x, y, loss=nn.CrossEntropyLoss())
    page = shown(made)
    assert "math" in page.tags
    assert "more parts" not in page.text
    monkeypatch.setattr("chainrule.explanation.document.NOTEBOOK", 3000)
    short = shown(made)
    assert re.search(r"… \d+ more parts: save to_html\(\)", short.text)
    assert len(short.text) < len(page.text) / 2
    assert "more parts" not in made.to_html()


@pytest.mark.slow
def test_experiments() -> None:
    from chainrule.book import experiments

    page = shown(experiments.run("symmetry", quick=True))
    assert "symmetry" in page.text
    assert "table" in page.tags


def test_summaries_and_trainers() -> None:
    assert "(N, 2)" in shown(cr.summary(network(), 4)).text
    assert "2 FLOPs" not in shown(cr.summary(network(), 4)).text
    assert not hasattr(optim.SGD(), "_repr_html_")
