"""What explain takes, leaves alone, and refuses; how it is found and shown."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.composites.losses import cross_entropy
from chainrule.errors import ArgumentError, ChainruleError, NonFiniteError, ShapeError
from chainrule.explanation import example
from chainrule.explanation.checking import difference
from chainrule.explanation.typeset import equation, matrix
from chainrule.graph.primitive import BODIES
from chainrule.html.arrays import spelled
from chainrule.tensor import wrap
from chainrule.text.languages import language
from tests.explanation.models import D, Own, Tied, around, linear

CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()
X, Y = np.random.default_rng(0).normal(size=(6, 3)), np.array([0, 1, 1, 0, 1, 0])

SLOPES = {
    nn.Tanh(): "1 − (a⁽¹⁾)²",
    nn.LeakyReLU(): "1 if z⁽¹⁾ > 0 else 0.01",
    nn.GELU(): "Φ(z⁽¹⁾) + z⁽¹⁾ ⊙ φ(z⁽¹⁾)",
    nn.SiLU(): "σ(z⁽¹⁾) + z⁽¹⁾ ⊙ σ(z⁽¹⁾) ⊙ (1 − σ(z⁽¹⁾))",
    nn.Softplus(): "σ(z⁽¹⁾)",
}


@pytest.mark.parametrize("activation", SLOPES, ids=repr)
def test_slopes_of_activations(activation: nn.Module) -> None:
    e = cr.explain(around(activation), X, Y, CE)
    assert e.layer(1).texts["slope"] == f"f′(z⁽¹⁾) = {SLOPES[activation]}"
    book = "δ⁽¹⁾ = ((W⁽²⁾)ᵀ δ⁽²⁾) ⊙ f′(z⁽¹⁾)"
    assert e.layer(1).texts["delta"].startswith(book)


def test_what_has_no_slope() -> None:
    """Softmax mixes its inputs: no f′ is claimed."""
    e = cr.explain(around(nn.Softmax()), X, Y, CE)
    assert "slope" not in e.layer(1).texts
    assert "f′" not in e.layer(1).texts["delta"]


def test_a_nested_network_is_numbered_as_the_book_counts() -> None:
    a, b = linear(3, 4, 2)
    model = nn.Sequential(nn.Sequential(a, nn.Tanh()), nn.Sequential(b))
    e = cr.explain(model, X, np.ones((6, 2)), MSE)
    assert [(k.l, k.name, k.weight_name, k.bias_name) for k in e.layers] == [
        (1, "0.0", "0.0.weight", "0.0.bias"),
        (2, "1.0", "1.0.weight", "1.0.bias"),
    ]
    assert e.layer(1) is e.layer("0.0") is e.layer("0.0.weight")


def test_what_comes_before_the_first_layer() -> None:
    e = cr.explain(Own(), X, np.ones((6, 2)), MSE)
    assert e.texts["input"] == "a⁽⁰⁾ = (2x − 1) ⊙ scale"
    assert e.check().ok


def test_a_weight_that_is_used_twice_gets_both_contributions() -> None:
    y = np.random.default_rng(1).normal(size=(6, 2))
    e = cr.explain(Tied(), X, y, MSE)
    assert e.layer(1).texts["dW"] == "∂ℒ/∂W⁽¹⁾ = δ⁽²⁾ (a⁽¹⁾)ᵀ + δ⁽¹⁾ xᵀ"


def test_a_loss_that_ignores_the_network() -> None:
    def loss(p: Any, y: Any) -> Any:
        return (y * y).mean()

    e = cr.explain(
        nn.Sequential(nn.Linear(2, 1)), np.ones((2, 2)), [[1.0], [1.0]], loss
    )
    assert e.layer(1).texts["delta"] == "δ⁽¹⁾ = 0"
    assert not e.layer(1).dW.any()
    with pytest.raises(ArgumentError, match="does not depend"):
        e.element("0.weight", (0, 0))


def test_frozen_parameters_are_explained_too() -> None:
    model = nn.Sequential(*linear(3, 2))
    before = cr.explain(model, X, Y, CE).layer(1).dW
    for p in model.parameters():
        p.requires_grad_(False)
    with cr.no_grad():
        np.testing.assert_array_equal(cr.explain(model, X, Y, CE).layer(1).dW, before)


def test_several_inputs_and_several_outputs() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            self.a, self.b = nn.Linear(3, 2, **D), nn.Linear(2, 2, **D)

        def forward(self, x: Any, z: Any) -> Any:
            made = self.a(x).tanh() + self.b(z)
            return made, made.square().sum()

    def loss(p: Any, y: Any) -> Any:
        return CE(p[0], y) + 0.1 * p[1]

    e = cr.explain(Two(), (X, X[:, :2]), Y, loss)
    assert e.check().ok
    assert "x₂" in e.layer(2).texts["z"]


# -- nothing is changed --------------------------------------------------------------


def test_explaining_changes_nothing() -> None:
    cr.manual_seed(3)
    model = nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2)
    )
    optimizer = optim.Adam(model.parameters())
    model[0].weight.grad = cr.tensor(np.ones((4, 3), np.float32))
    state = model.state_dict()
    cr.manual_seed(3)
    expected = cr.uniform(3).numpy()
    cr.manual_seed(3)
    cr.explain(model, X, Y, CE, optimizer)
    np.testing.assert_array_equal(cr.uniform(3).numpy(), expected)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
    np.testing.assert_array_equal(model[0].weight.grad.numpy(), 1)
    assert model[3].weight.grad is None
    assert optimizer.steps == 0


# -- finding -------------------------------------------------------------------------


def test_a_gradient_is_one_line_away() -> None:
    e = example()
    for name in ("z⁽¹⁾", "z1", "0"):
        assert e[name].grad is not None
    np.testing.assert_array_equal(e["0.weight"].grad, e.layer(1).dW)
    np.testing.assert_array_equal(e["z1"].grad.T, e.layer(1).delta)
    assert e["1"].symbol == "a⁽¹⁾"


def test_edges_of_a_number() -> None:
    """z = W a + b: ∂z/∂W is a, ∂z/∂a is W, and the rest is the chain rule."""
    e = example()
    edges = {edge.parent: edge for edge in e.trace.edges("z2", (0, 0))}
    np.testing.assert_allclose(edges["W⁽²⁾"].derivative, e.layer(1).a[:, 0])
    np.testing.assert_allclose(edges["a⁽¹⁾"].derivative, [0.5, -0.6])
    share = e.layer(2).delta[0, 0] * np.array([0.5, -0.6])
    np.testing.assert_allclose(edges["a⁽¹⁾"].contribution, share)


def test_a_path_is_written_to_the_last_digit() -> None:
    text = str(example().element("0.weight", (1, 0)))
    gradient = example()["0.weight"].grad[1, 0]
    assert text.splitlines()[0] == "W⁽¹⁾[1, 0] = -0.2   (0.weight)"
    assert text.splitlines()[-1].endswith(repr(float(gradient)))


def test_one_layer_alone() -> None:
    model = around(nn.Tanh())
    page = str(cr.explain(model, X, Y, CE, layer="2.weight"))
    assert "layer 2 of 2" in page
    assert "layer 1 of 2" not in page


# -- how it is shown -----------------------------------------------------------------


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_page_keeps_to_its_width(width: int) -> None:
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(50, 20), nn.ReLU(), nn.Linear(20, 6), nn.ReLU())
    rng = np.random.default_rng(0)
    e = cr.explain(model, rng.normal(size=(6, 50)), rng.normal(size=(6, 6)), MSE)
    assert max(map(len, e.text(width).splitlines())) <= width


def test_show_uses_colours_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    example().show()
    out = capsys.readouterr().out
    assert "\x1b[" in out
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
    assert [s.rstrip() for s in plain.splitlines()] == example().text(100).splitlines()


def test_short_forms() -> None:
    e = example()
    assert repr(e) == "<explanation of 2 layers, ℒ = 0.09891: print it>"
    assert repr(e.layer(1)) == "<layer 1, 0.weight: 2 → 2>"
    assert str(e.layer(2)).splitlines()[0] == "z⁽²⁾ = W⁽²⁾ a⁽¹⁾ + b⁽²⁾"


def test_in_chinese() -> None:
    with language("zh"):
        e = example()
    page = e.text(80)
    assert page.startswith("網絡 2 → 2 → 1")
    words = re.findall(r"[a-zA-Z]{3,}", page)
    assert set(words) <= {"weight", "bias"}


def test_numbers_are_spelled_as_exactly_as_they_need() -> None:
    assert spelled(np.array([[1.0, 2.0]])) == [["1", "2"]]
    assert spelled(np.array([[0.1, 0.25]], np.float32)) == [["0.10", "0.25"]]
    assert spelled(np.array([[0.0, 1e-9, 1 / 3]])) == [["0", "0.0000", "0.3333"]]
    assert spelled(np.array([[1.5e-7, 0.0]])) == [["1.50e-07", "0"]]
    assert spelled(np.array([[np.nan, np.inf]])) == [["nan", "inf"]]
    assert matrix(np.array([[-2.5]])) == ["-2.5"]
    assert equation([np.array([[2.0]]), " ", np.array([[-3.0]])]) == ["2 (-3)"]


def test_the_package_can_be_called_whichever_is_imported_first() -> None:
    code = (
        "import chainrule as cr, chainrule.explanation\n"
        "from chainrule import explain\n"
        "from chainrule.explanation import explain as function\n"
        "m = cr.nn.Sequential(cr.nn.Linear(1, 1))\n"
        "for f in (cr.explain, explain, function):\n"
        "    print(f(m, [1.0], [1.0], cr.nn.MSELoss()).n)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "1", "1"]


# -- what comes in, and what is refused ----------------------------------------------


def test_one_sample_may_come_without_its_batch_axis() -> None:
    model = nn.Sequential(*linear(3, 2))
    one = cr.explain(model, [1.0, 2.0, 3.0], 1, CE)
    same = cr.explain(model, [[1.0, 2.0, 3.0]], [1], CE)
    np.testing.assert_array_equal(one.layer(1).dW, same.layer(1).dW)
    assert one.n == 1


def test_notes_on_mistakes() -> None:
    model = nn.Sequential(*linear(3, 2), nn.Softmax())

    def from_scores(scores: Any, labels: Any) -> Any:
        return wrap(cross_entropy(scores.value, labels.value)).mean()

    (note,) = cr.explain(model, X, Y, from_scores).notes
    assert "Softmax stands in front of a cross-entropy" in note
    model = nn.Sequential(*linear(3, 1))
    y = np.random.default_rng(0).normal(size=6)
    (note,) = cr.explain(model, X, y, lambda p, t: abs(p - t).sum()).notes
    assert "y.reshape(-1, 1)" in note


MODEL = nn.Sequential(nn.Linear(3, 2, **D))
NAN = np.array([[1.0, np.nan, 2.0]])


@pytest.mark.parametrize("lang", ["en", "zh-TW"])
@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (("model", X, Y, CE), ArgumentError),
        ((MODEL, None, Y, CE), ArgumentError),
        ((MODEL, X), ArgumentError),
        ((MODEL, X, Y), ArgumentError),
        ((MODEL, X, Y, 3), ArgumentError),
        ((MODEL, 1.0, Y, CE), ShapeError),
        ((MODEL, X, Y[:2], CE), ShapeError),
        ((MODEL, X[:0], Y[:0], CE), ShapeError),
        ((MODEL, X[:, :2], Y, CE), ShapeError),
        ((MODEL, X, Y, lambda p, t: p), ShapeError),
        ((MODEL, NAN, [1], CE), NonFiniteError),
        ((MODEL, X, np.full((6, 2), np.inf), MSE), NonFiniteError),
        ((MODEL, X, Y + 5, CE), ChainruleError),
    ],
)
def test_bad_input_is_refused(lang: str, arguments: Any, kind: type) -> None:
    with language(lang), pytest.raises(kind) as caught:
        cr.explain(*arguments)
    with language(lang):
        shown = caught.value.translated()
    assert bool(re.search(r"[\u4e00-\u9fff]", shown)) == (lang == "zh-TW")


@pytest.mark.parametrize("lang", ["en", "zh-TW"])
def test_what_is_not_there(lang: str) -> None:
    e = example()
    with language(lang):
        for wrong in (3, "0.wieght"):
            with pytest.raises(ArgumentError, match="weight"):
                e.layer(wrong)
        with pytest.raises(ArgumentError, match=r"0\.weight"):
            _ = e["0.wieght"]
        for index in ((0,), (5, 0), "a", (0.5, 0)):
            with pytest.raises(ArgumentError, match=r"\(2, 2\)"):
                e.element("0.weight", index)


def test_attention_has_its_letters() -> None:
    model = nn.Sequential(nn.TransformerEncoderLayer(4, 2, 4, batch_first=True))
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    explanation = cr.explain(model, x, x, nn.MSELoss())
    text = explanation.text()
    for letter in "QKV":
        assert f"\n  {letter}⁽¹⁾ = " in text
        assert f"∂ℒ/∂{letter}⁽¹⁾ = " in text
    assert explanation.check().ok


def test_a_maximum_hands_its_error_back() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.Flatten(), *linear(8, 2)[:1]
    )
    text = str(cr.explain(model.double(), np.ones((2, 1, 6, 6)), [0, 1], CE))
    assert "δ⁽¹⁾ = J_maxᵀ (∂ℒ/∂a⁽¹⁾)" in text
    assert "J_maxᵀ, hands each error" in text
    assert "+=" not in text


class Turned(nn.Module):
    """Images that are turned before or behind the pooling."""

    def __init__(self, first: bool) -> None:
        self.first, self.pool = first, nn.MaxPool2d(2)
        self.a, self.b = nn.Linear(16, 16, **D), nn.Linear(4, 2, **D)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        h = self.a(x).reshape(-1, 1, 4, 4)
        h = self.pool(h.mT) if self.first else self.pool(h).mT
        return self.b(h.reshape(-1, 4))


@pytest.mark.parametrize("first", [True, False])
def test_turns_beside_a_maximum_are_shown(first: bool) -> None:
    e = cr.explain(
        Turned(first), np.random.default_rng(0).normal(size=(2, 16)), [0, 1], CE
    )
    assert e.check().ok
    delta = e.layer(1).texts["delta"]
    assert "J_maxᵀ" in delta
    assert ("permute" in delta) == first


def test_an_opened_composite_is_differentiated_opened() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 3))
    given = model, [[0.3, -0.2, 0.9]], [1], nn.CrossEntropyLoss()
    closed, opened = cr.explain(*given), cr.explain(*given, composites=["all"])
    assert "erfc" not in closed.text()
    assert "½ erfc(−0.7071068 z⁽¹⁾) + " in opened.text()  # f′, of the body

    assert opened.check().ok
    for name in ("0.weight", "0.bias", "2.weight", "2.bias"):
        np.testing.assert_allclose(
            opened[name].grad, closed[name].grad, rtol=1e-5, atol=1e-7
        )


def test_composites_within_composites_are_opened() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 2))
    given = model, [[0.3, -0.2, 0.9]], [1], nn.CrossEntropyLoss()

    def composites(*names: str) -> set[str]:
        nodes = cr.explain(*given, composites=names).run.graph.nodes
        forward = [n for n in nodes if n.role == "forward" and n.primitive in BODIES]
        return {n.primitive.name for n in forward}

    assert "normal_distribution" in composites("gelu")
    assert "normal_distribution" not in composites("gelu", "normal_distribution")
    assert composites("all") == set()
    with pytest.raises(ArgumentError, match="no composite 'elu'"):
        composites("elu")


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_loss_that_overflows_is_refused() -> None:
    """In float32 (10²⁰)² is infinite, and a difference of infinities is nothing."""
    model = nn.Sequential(nn.Linear(1, 1, bias=False))
    model.load_state_dict({"0.weight": [[1e20]]})
    with pytest.raises(NonFiniteError, match=r"ℒ = inf \(float32\)"):
        cr.explain(model, [1.0], [0.0], MSE)
    model = nn.Sequential(nn.Linear(1, 1, bias=False, dtype="float64"))
    model.load_state_dict({"0.weight": [[1e20]]})
    assert cr.explain(model, [1.0], [0.0], MSE).check().ok


def test_rounding_excuses_no_wrong_formula() -> None:
    model = nn.Sequential(nn.Linear(2, 1))
    model.load_state_dict({"0.weight": [[1e-3, 1e-3]], "0.bias": [0.0]})
    x, y = [[1200.0, 800.0]], [[1.999]]
    explanation = cr.explain(model, x, y, nn.HalfSquaredErrorLoss())
    numbers, seen = explanation.numbers, 0
    for each in explanation.equations():
        for side in each.sides[1:] if each.name in numbers else ():
            shown = numbers[each.name].array
            assert difference(side, numbers, shown) < 1e-4
            assert difference(-side, numbers, shown) > 1
            seen += 1
    assert seen > 5


def test_groups_have_rates_of_their_own() -> None:
    model = around(nn.Tanh()).double()
    own = {"params": ["2.*"], "lr": 0.5, "betas": (0.8, 0.99)}
    optimizer = optim.AdamW([{"params": ["0.*"]}, own], lr=0.1)
    e = cr.explain(model, X, Y, CE, optimizer=optimizer)
    first, second = (section.update for section in e.sections if section.update)
    assert "η_(t, 1)" in first[2].text()
    assert "η_(t, 2)" in second[2].text()
    assert "β_(1, 2) m_W⁽²⁾ + (1 − β_(1, 2))" in second[0].text()
    assert e.check().ok
    assert not optimizer.params


def test_an_update_of_all_the_parameters() -> None:
    model = around(nn.Tanh())
    shown = [
        cr.explain(model, X, Y, CE, optimizer=made)
        for made in (optim.Adam(lr=0.1), optim.Adam(model.parameters(), lr=0.1))
    ]
    assert str(shown[0]) == str(shown[1])


def test_a_frozen_parameter_stays() -> None:
    model = around(nn.Tanh())
    held = dict(model.named_parameters())
    held["0.weight"].requires_grad = False
    for optimizer in (optim.Adam(lr=0.1), optim.SGD(model.parameters(), lr=0.1)):
        e = cr.explain(model, X, Y, CE, optimizer=optimizer)
        shown = {
            q.name.text() for s in e.sections for q in s.update if q.key == "update"
        }
        assert shown == {"(b⁽¹⁾)′", "(W⁽²⁾)′", "(b⁽²⁾)′"}
        assert e.layer(1).dW.any()
    assert not held["0.weight"].requires_grad


@pytest.mark.parametrize("kind", ["constant index", "label that is left out"])
def test_whole_numbers_in_formulas(kind: str) -> None:
    """Formulas with an index are checked with numbers; one of no class is left out."""

    class Chosen(nn.Module):
        def __init__(self) -> None:
            self.a, self.out = nn.Linear(3, 5), nn.Linear(3, 2)

        def forward(self, x: cr.Tensor) -> cr.Tensor:
            h = self.a(x)
            return self.out(h[:, [0, 0, 2]] if kind == "constant index" else h[:, :3])

    y = [0, 1] if kind == "constant index" else [0, -100]
    x = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    e = cr.explain(Chosen(), x, y, nn.CrossEntropyLoss(ignore_index=-100))
    assert e.check().ok
