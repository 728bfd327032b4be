"""What can be explained, what is refused, and that the check can fail."""

import dataclasses
import re
import subprocess
import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError, ChainruleError, ShapeError
from chainrule.explanation import example
from chainrule.explanation.typeset import equation, matrix, spelled
from chainrule.regions.losses import cross_entropy
from chainrule.tensor import wrap
from tests.explanation.networks import (
    MSE,
    NETWORKS,
    Flatten,
    OwnLayer,
    Tied,
    linear,
    rng,
)


def gradients(model, x, y, loss):
    """∂ℒ/∂parameter by central differences of the loss, element by element."""
    found = {}
    for name, p in model.named_parameters():
        kept, made = p.numpy().copy(), np.zeros(p.shape)
        for i in np.ndindex(*p.shape):
            ends = []
            for step in (1e-6, -1e-6):
                moved = kept.copy()
                moved[i] += step
                p.copy_(cr.tensor(moved))
                ends.append(float(loss(model(cr.tensor(x)), cr.tensor(y))))
            made[i] = (ends[0] - ends[1]) / 2e-6
        p.copy_(cr.tensor(kept))
        found[name] = made
    return found


@pytest.mark.parametrize(
    "name", [n for n in NETWORKS if n not in ("dropout", "wide softmax")]
)
def test_gradients_are_those_of_difference_quotients(name):
    model = NETWORKS[name]
    x, y = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    e = cr.explain(model, x, y, MSE)
    expected = gradients(model, x, y, MSE)
    for layer in e.layers:
        np.testing.assert_allclose(layer.dW, expected[layer.weight_name], atol=1e-8)
        if layer.db is not None:
            np.testing.assert_allclose(
                layer.db[:, 0], expected[layer.bias_name], atol=1e-8
            )


@pytest.mark.parametrize("name", NETWORKS)
def test_the_check_agrees_and_the_page_is_complete(name):
    model = NETWORKS[name]
    e = cr.explain(model, rng.normal(size=(4, 3)), rng.normal(size=(4, 2)), MSE)
    check = e.check()
    assert check.ok, check.errors
    assert check.kinks == 0
    page = str(e)
    assert str(check)[:20] in page
    for layer in e.layers:
        assert layer.weight_name in page
        for text in layer.texts.values():
            assert "□" not in text
            assert not re.search(r"[\\{}]", text)


def test_a_nested_network_is_numbered_as_the_book_counts():
    e = cr.explain(NETWORKS["nested"], rng.normal(size=(4, 3)), np.ones((4, 2)), MSE)
    assert [(k.l, k.name, k.weight_name, k.bias_name) for k in e.layers] == [
        (1, "0.0", "0.0.weight", "0.0.bias"),
        (2, "1.0", "1.0.weight", "1.0.bias"),
    ]
    assert e.layer(1) is e.layer("0.0") is e.layer("0.0.weight")
    assert e.layer(1).texts["a"] == "a⁽¹⁾ = tanh z⁽¹⁾"
    assert e.layer(1).texts["delta"] == "δ⁽¹⁾ = ((W⁽²⁾)ᵀ δ⁽²⁾) ⊙ (1 − (a⁽¹⁾)²)"
    assert e.layer(2).texts["delta"] == "δ⁽²⁾ = ∇_ŷ ℒ = (ŷ − y)/n"
    assert "module 0.1" in e.layer(1).path


def test_what_comes_before_the_first_layer_is_a0():
    e = cr.explain(OwnLayer(), rng.normal(size=(4, 3)), np.ones((4, 2)), MSE)
    assert e.texts["input"] == "a⁽⁰⁾ = 2x − 1"
    np.testing.assert_allclose(e.layer(1).input, 2 * e.x - 1)


def test_images_are_flattened_to_columns():
    cr.manual_seed(0)
    model = nn.Sequential(Flatten(), nn.Linear(6, 2))
    x = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    e = cr.explain(model, x, [0, 1, 0, 1], nn.CrossEntropyLoss())
    np.testing.assert_array_equal(e.x, x.reshape(4, 6).T)
    assert e.check().ok


def test_a_weight_that_is_used_twice_gets_both_contributions():
    e = cr.explain(Tied(), rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), MSE)
    one, two = e.layers
    assert one.texts["dW"] == "∂ℒ/∂W⁽¹⁾ = δ⁽²⁾ (a⁽¹⁾)ᵀ + δ⁽¹⁾ xᵀ"
    np.testing.assert_allclose(one.dW, one.delta @ e.x.T + two.delta @ one.a.T)
    assert e.check().ok


def test_a_kink_is_left_out_of_the_check_and_reported():
    model = nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU(), nn.Linear(3, 1))
    e = cr.explain(model, np.zeros((2, 2)), np.ones((2, 1)), MSE)
    assert e.check().ok
    assert e.check().kinks == 6
    assert "6 elements of z at a kink of f left out" in " ".join(str(e).split())


def test_a_loss_that_ignores_the_network():
    model = nn.Sequential(nn.Linear(2, 1))
    e = cr.explain(model, np.ones((2, 2)), np.ones((2, 1)), lambda p, y: (y * y).mean())
    assert e.layer(1).texts["delta"] == "δ⁽¹⁾ = 0"
    assert not e.layer(1).dW.any()
    model = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())
    e = cr.explain(model, np.ones((2, 2)), np.ones((2, 1)), lambda p, y: (y * y).mean())
    (gradient,) = (a for s, a in e.numbers.items() if str(s) == "∇_ŷ ℒ")
    assert not gradient.any()
    assert not e.equations["loss"].remark


def test_frozen_parameters_are_explained_too():
    model = nn.Sequential(*linear(3, 2))
    x, y = rng.normal(size=(4, 3)), np.ones((4, 2))
    before = cr.explain(model, x, y, MSE).layer(1).dW
    for p in model.parameters():
        p.requires_grad_(False)
    with cr.no_grad():
        np.testing.assert_array_equal(cr.explain(model, x, y, MSE).layer(1).dW, before)


def test_notes_on_mistakes():
    x, y = rng.normal(size=(4, 3)), rng.normal(size=4)
    model = nn.Sequential(*linear(3, 2), nn.Softmax())

    def from_scores(scores, labels):
        return wrap(cross_entropy(scores.value, labels.value)).mean()

    (note,) = cr.explain(model, x, [0, 1, 0, 1], from_scores).notes
    assert "Softmax stands in front of a cross-entropy" in note
    with pytest.raises(ArgumentError, match="softmax, which does not belong"):
        cr.explain(model, x, [0, 1, 0, 1], nn.CrossEntropyLoss())
    model = nn.Sequential(*linear(3, 1))
    (note,) = cr.explain(model, x, y, lambda p, t: abs(p - t).sum()).notes
    assert "y.reshape(-1, 1)" in note


# -- nothing is changed ----------------------------------------------------------------


def test_explaining_changes_nothing():
    cr.manual_seed(3)
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))
    model[0].weight.grad = cr.tensor(np.ones((4, 3), np.float32))
    state = model.state_dict()
    expected = cr.uniform(3).numpy()
    cr.manual_seed(3)
    nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))
    cr.explain(model, rng.normal(size=(4, 3)), np.ones((4, 2)), MSE)
    np.testing.assert_array_equal(cr.uniform(3).numpy(), expected)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
    assert (model[0].weight.grad.numpy() == 1).all()
    assert model[2].weight.grad is None


# -- the check can fail ----------------------------------------------------------------


@pytest.mark.parametrize("part", ["W", "b", "z", "a", "delta", "dW", "db"])
@pytest.mark.parametrize("number", [1, 2])
def test_a_wrong_number_is_found(part, number):
    e = example()
    layer = e.layer(number)
    wrong = getattr(layer, part).copy()
    wrong.flat[0] += 1e-4 * np.abs(wrong).max()
    changed = dataclasses.replace(layer, **{part: wrong})
    layers = [changed if k is layer else k for k in e.layers]
    if part == "a" and number == 1:  # the next layer shows the same numbers
        layers[1] = dataclasses.replace(layers[1], input=wrong)
    broken = dataclasses.replace(e, layers=tuple(layers))
    check = broken.check()
    assert not check.ok
    assert check.error > 1e-5
    assert "THE NUMBERS DISAGREE" in broken.text()


def test_a_wrong_derivative_rule_is_found(monkeypatch):
    from chainrule.graph.primitive import DERIVATIVES, lookup

    sigmoid = lookup("sigmoid")
    right = DERIVATIVES[sigmoid]

    def wrong(gs, ys, inputs, needed):
        (g,) = right(gs, ys, inputs, needed)
        from chainrule.primitives.elementwise import add

        return (add(g, g),)

    with monkeypatch.context() as patch:
        patch.setitem(DERIVATIVES, sigmoid, wrong)
        check = example().check()
    assert not check.ok
    assert check.errors["δ⁽²⁾"] == pytest.approx(0.5, rel=1e-6)
    assert check.errors["δ⁽¹⁾"] == pytest.approx(0.5, rel=1e-6)
    assert example().check().ok


def test_numbers_that_are_not_finite_are_not_checked():
    model = nn.Sequential(*linear(2, 1))
    e = cr.explain(model, [[np.nan, 1.0]], [[1.0]], MSE)
    assert not e.check().ok
    assert str(e).splitlines()[-1].startswith("not checked: z⁽¹⁾")


# -- the page --------------------------------------------------------------------------


def test_one_layer_alone():
    e = cr.explain(
        NETWORKS["nested"], np.ones((1, 3)), np.ones((1, 2)), MSE, layer="1.0.weight"
    )
    page = e.text(80)
    assert "layer 2 of 2" in page
    assert "layer 1 of 2" not in page
    assert "Note to the book: Algorithm 1" in page
    assert len(e.layers) == 2


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_page_keeps_to_its_width(width):
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(50, 20), nn.ReLU(), nn.Linear(20, 6), nn.ReLU())
    x, y = rng.normal(size=(6, 50)), rng.normal(size=(6, 6))
    e = cr.explain(model, x, y, MSE)
    assert max(map(len, e.text(width).splitlines())) <= width


def test_show_uses_colours_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    e = example()
    e.show()
    out = capsys.readouterr().out
    assert "\x1b[" in out
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
    assert [s.rstrip() for s in plain.splitlines()] == e.text(100).splitlines()


def test_short_forms():
    e = example()
    assert repr(e) == "<explanation of 2 layers, ℒ = 0.09891: print it>"
    assert repr(e.layer(1)) == "<layer 1, 0.weight: 2 → 2>"
    assert str(e.layer(2)).splitlines()[0] == "z⁽²⁾ = W⁽²⁾ a⁽¹⁾ + b⁽²⁾"


def test_numbers_are_spelled_as_exactly_as_they_need():
    assert spelled(np.array([[1.0, 2.0]])) == [["1", "2"]]
    assert spelled(np.array([[0.1, 0.25]], np.float32)) == [["0.10", "0.25"]]
    assert spelled(np.array([[0.0, 1e-9, 1 / 3]])) == [["0", "0.0000", "0.3333"]]
    assert spelled(np.array([[1.5e-7, 0.0]])) == [["1.50e-07", "0"]]
    assert spelled(np.array([[np.nan, np.inf]])) == [["nan", "inf"]]
    assert matrix(np.array([[-2.5]])) == ["-2.5"]
    assert equation([np.array([[2.0]]), " ", np.array([[-3.0]])]) == ["2 (-3)"]


def test_the_package_can_be_called_whichever_is_imported_first():
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


# -- one sample ------------------------------------------------------------------------


def test_one_sample_may_come_without_its_batch_axis():
    model = nn.Sequential(*linear(3, 2))
    row = [0.1, 0.2, 0.3]
    a = cr.explain(model, row, [1.0, 0.0], MSE)
    b = cr.explain(model, [row], [[1.0, 0.0]], MSE)
    np.testing.assert_array_equal(a.layer(1).dW, b.layer(1).dW)
    c = cr.explain(model, row, 1, nn.CrossEntropyLoss())
    d = cr.explain(model, [row], [1], nn.CrossEntropyLoss())
    np.testing.assert_array_equal(c.layer(1).dW, d.layer(1).dW)
    assert a.layer(1).texts["db"] == "∂ℒ/∂b⁽¹⁾ = δ⁽¹⁾"
    e = cr.explain(model, row, [[1.0, 0.0]], MSE)
    np.testing.assert_array_equal(a.layer(1).dW, e.layer(1).dW)


# -- bad input -------------------------------------------------------------------------

GOOD = nn.Sequential(nn.Linear(3, 2))
XS, YS = np.ones((4, 3), np.float32), np.ones((4, 2), np.float32)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ((nn.Sequential(nn.ReLU()), XS, XS, MSE), ArgumentError, "no layer of neurons"),
        ((GOOD, XS, None, MSE), ArgumentError, "explain needs y"),
        ((GOOD, XS, YS), ArgumentError, "explain needs loss"),
        ((GOOD, None, YS, MSE), ArgumentError, "explain needs x"),
        ((GOOD, XS, YS, "mse"), ArgumentError, "function of prediction and truth"),
        ((len, XS, YS, MSE), ArgumentError, "explain needs a model"),
        ((GOOD, XS[:, :2], YS, MSE), ShapeError, "Linear '0' cannot multiply"),
        ((GOOD, XS, YS[:, :1], MSE), ShapeError, "element by element"),
        ((GOOD, XS, YS[:3], MSE), ShapeError, "a truth y for each sample"),
        ((GOOD, XS[:0], YS[:0], MSE), ShapeError, "a truth y for each sample"),
        ((GOOD, 1.0, YS, MSE), ShapeError, "a single number"),
        ((GOOD, XS, YS, lambda p, t: p - t), ShapeError, "must be one number"),
        ((GOOD, XS, YS, lambda p, t: 1.0), ShapeError, "must be one number"),
        ((GOOD, XS, [0, 1, 2, 0], nn.CrossEntropyLoss()), ArgumentError, "3|2 classes"),
        ((GOOD, [[1, 2], [3]], YS, MSE), ArgumentError, "do not make a tensor"),
        ((GOOD, XS, YS, MSE, 2), ArgumentError, "There is no layer 2"),
        (
            (GOOD, XS, YS, lambda p, t: (p - t).sum() / len(range(p.shape[0]))),
            ShapeError,
            "one number of samples alone",
        ),
    ],
)
def test_bad_input_is_refused_with_a_message(arguments, kind, message):
    with pytest.raises(kind, match=message) as caught:
        cr.explain(*arguments)
    assert isinstance(caught.value, ChainruleError)
    assert "expected:" in str(caught.value)


def test_kernels_are_named_and_loops_are_refused():
    x, y = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    (a,), (b,) = linear(3, 8), linear(4, 2)
    kernels = nn.Conv2d(1, 2, 2, stride=(1, 2), dtype="float64")
    image = nn.Unflatten(1, (1, 2, 4))
    model = nn.Sequential(a, image, kernels, nn.Flatten(), nn.Tanh(), b)
    e, expected = cr.explain(model, x, y, MSE), gradients(model, x, y, MSE)
    for layer in e.layers:
        np.testing.assert_allclose(layer.dW, expected[layer.weight_name], atol=1e-8)
    assert [layer.name for layer in e.layers] == ["0", "5"]
    assert any("2.weight" in note for note in e.notes)
    assert "(2.weight ∗ z⁽¹⁾) ↓ (1, 2) + 2.bias" in e.layer(1).texts["a"]

    larger = nn.ConvTranspose2d(1, 2, 2, stride=2, groups=1, dtype="float64")
    (a,), (b,) = linear(3, 4), linear(32, 2)
    image = nn.Unflatten(1, (1, 2, 2))
    model = nn.Sequential(a, image, larger, nn.Flatten(), nn.Tanh(), b)
    e, expected = cr.explain(model, x, y, MSE), gradients(model, x, y, MSE)
    for layer in e.layers:
        np.testing.assert_allclose(layer.dW, expected[layer.weight_name], atol=1e-8)
    assert any("transposed convolutions (2.weight)" in note for note in e.notes)

    class Read(nn.Module):
        def __init__(self):
            self.cells, self.scores = nn.GRU(1, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, x):
            return self.scores(self.cells(x.unsqueeze(2))[1][0])

    with pytest.raises(ArgumentError, match=r"(?s)has a loop.*scan in cells"):
        cr.explain(Read(), x.astype("float32"), y.astype("float32"), MSE)
