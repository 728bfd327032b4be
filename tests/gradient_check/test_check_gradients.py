"""What can be checked, what is refused, and that nothing is changed by it."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import (
    ArgumentError,
    ChainruleError,
    DTypeError,
    GradientError,
    NonFiniteError,
    ShapeError,
)
from chainrule.text.languages import language
from tests.gradient_check.faults import applied, crooked
from tests.mistakes import explained


def names(report):
    return [part.name for part in report.parts]


# -- what is checked -------------------------------------------------------------------


def test_every_entry_has_its_derivative():
    """∂/∂x Σ x² y = 2xy and x², entry by entry."""
    x, y = np.array([[1.0, 2.0], [-3.0, 0.5]]), np.array([0.25, -1.0])
    report = cr.check_gradients(lambda x, y: (x * x * y).sum(), x, y)
    assert report.complete
    assert report.scalar
    found = {(row.name, row.index): row.derivative for row in report.rows}
    for index in np.ndindex(2, 2):
        assert found["x", index] == 2 * x[index] * y[index[1]]
    for k in range(2):
        assert found["y", (k,)] == (x[:, k] ** 2).sum()
    assert all(abs(r.derivative - r.quotient) < 1e-10 for r in report.rows)


def test_numbers_lists_arrays_tensors_and_nests():
    def function(a, b, c, d):
        return a * b.sum() + (c @ d["w"][0]).sum() + d["s"]

    w = cr.tensor([1.0, 2.0])
    args = (0.5, [1.0, 2.0], np.ones((2, 2), np.float32), {"w": (w,), "s": 2.0})
    report = cr.check_gradients(function, *args)
    assert names(report) == ["a", "b", "c", "d['w'][0]", "d['s']"]
    assert report.rows[0].entry == "a"
    assert report.rows[1].entry == "b[0]"
    assert w.dtype is cr.float32


def test_integers_are_passed_on_and_not_checked():
    def function(x, i, count):
        assert count == 2
        return x[i].exp().sum() * count

    report = cr.check_gradients(function, [0.1, 0.2, 0.3], [0, 2], 2)
    assert names(report) == ["x"]
    assert [row.derivative for row in report.rows][1] == 0


def test_several_results_and_those_without_derivatives():
    def function(x):
        return x.sin(), {"above": x > 0.2, "square": [x**2, x.argmax()]}

    report = cr.check_gradients(function, [0.1, 0.4])
    assert report.counts() == {"agrees": 2}
    assert not report.scalar
    assert "random weights" in str(report)


def test_a_result_that_depends_on_nothing():
    report = cr.check_gradients(lambda x: cr.tensor([1.0, 2.0]) * 2, [0.3])
    assert [(r.derivative, r.quotient) for r in report.rows] == [(0.0, 0.0)]


def test_an_argument_without_elements():
    report = cr.check_gradients(lambda x: x.sum(), np.ones((0, 3)))
    assert report.ok
    assert report.rows == ()
    assert "Nothing is wrong" in str(report)


def test_a_model_with_its_data_and_loss():
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    report = cr.check_gradients(model, np.ones((2, 3)), [0, 1], nn.CrossEntropyLoss())
    assert names(report) == ["x", "0.weight", "0.bias", "2.weight", "2.bias"]
    assert report.function == "CrossEntropyLoss(Sequential(x), y)"
    assert report.ok
    expected = cr.grad(
        lambda m: nn.CrossEntropyLoss()(
            m(cr.tensor(np.ones((2, 3)))), cr.tensor([0, 1])
        )
    )(model.double())
    for name, gradient in expected.items():
        found = [row.derivative for row in report.of(name)]
        np.testing.assert_allclose(found, gradient.numpy().ravel(), atol=1e-8)


def test_a_model_alone_as_an_argument_and_from_outside():
    cr.manual_seed(0)
    model, x = nn.Linear(2, 2), [[0.5, -1.0]]
    inputs = cr.tensor(x)
    assert names(cr.check_gradients(model, x)) == ["x", "weight", "bias"]
    report = cr.check_gradients(lambda m, x: m(x).sum(), model, x)
    assert names(report) == ["x", "weight", "bias"]
    report = cr.check_gradients(lambda: model(inputs).tanh().sum())
    assert names(report) == ["weight", "bias"]
    w = cr.tensor([0.5], requires_grad=True)
    assert names(cr.check_gradients(lambda: (w * w).sum())) == ["w"]


def test_two_models_are_told_apart():
    first, second = nn.Linear(2, 2), nn.Linear(2, 1)
    report = cr.check_gradients(lambda x: second(first(x).tanh()), [[0.5, 1.0]])
    assert set(names(report)) == {
        *("x", "first.weight", "first.bias", "second.weight", "second.bias")
    }


def test_frozen_parameters_are_not_checked():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    model[0].requires_grad_(False)
    assert names(cr.check_gradients(model, [[1.0, 2.0]])) == [
        *("x", "1.weight", "1.bias")
    ]


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2)),
        lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)),
        lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.GELU()),
        lambda: nn.Sequential(
            nn.Unflatten(1, (1, 3)), nn.Conv1d(1, 2, 2), nn.Flatten()
        ),
    ],
)
def test_layers_in_training(make):
    cr.manual_seed(1)
    model = make()
    x = np.random.default_rng(3).standard_normal((5, 3))
    report = cr.check_gradients(model, x)
    assert report.counts() == {"agrees": len(report.rows)}


def test_a_recurrent_network():
    cr.manual_seed(1)
    cells = nn.LSTM(2, 3, batch_first=True)
    x = np.random.default_rng(3).standard_normal((2, 4, 2))
    report = cr.check_gradients(lambda x: cells(x)[0], x)
    assert report.counts() == {"agrees": len(report.rows)}


def test_of_many_entries_a_sample_and_directions():
    x = np.random.default_rng(0).standard_normal((40, 25))
    report = cr.check_gradients(
        lambda x, b: (x.sin() + b).sum(), x, [1.0, 2.0] + [0.0] * 23, entries=45
    )
    parts = {part.name: part for part in report.parts}
    assert (parts["b"].entries, parts["b"].directions) == (22, 3)
    assert (parts["x"].entries, parts["x"].directions) == (23, 3)
    assert not report.complete
    assert len(report.rows) == 45 + 6
    assert report.ok
    assert "Not every entry was checked" in str(report)
    assert len({row.index for row in report.of("x") if row.index}) == 23
    again = cr.check_gradients(
        lambda x, b: (x.sin() + b).sum(), x, [1.0, 2.0] + [0.0] * 23, entries=45
    )
    assert [r.index for r in again.rows] == [r.index for r in report.rows]
    other = cr.check_gradients(lambda x: x.sin().sum(), x, entries=22, seed=1)
    assert [r.index for r in other.rows] != [r.index for r in report.of("x")]


def test_directions_find_what_a_sample_misses():
    """One entry of a thousand has a wrong slope."""

    def function(x):
        return x[:777].sin().sum() + applied(crooked, x[777:778]).sum() * 30.0

    report = cr.check_gradients(function, np.zeros(1000), entries=5, raises=False)
    wrong = [row for row in report.rows if row.kind == "rule"]
    assert wrong
    assert all(row.index is None for row in wrong)
    assert "along a random direction" in wrong[0].entry


# -- functions that look at numbers ----------------------------------------------------


def test_a_function_that_looks_at_numbers_is_called():
    def function(x):
        return x.sin().sum() if x.sum() > 0 else x.cos().sum()

    report = cr.check_gradients(function, [0.3, 0.5])
    assert not report.traced
    assert report.counts() == {"agrees": 2}
    assert "looks at numbers" in str(report)


def test_its_choice_may_be_a_kink_or_a_jump():
    def kinked(x):
        return x.sum() if x.sum() > 1.0 else 2.0 * x.sum() - 1.0

    def jumps(x):
        return x.sum() if x.sum() > 1.0 else 2.0 * x.sum()

    for function, kind in ((kinked, "kink"), (jumps, "jump")):
        report = cr.check_gradients(function, [0.25, 0.75])
        assert report.counts() == {kind: 2}


def test_a_module_that_looks_at_numbers_is_checked_and_left_as_it_was():
    cr.manual_seed(0)
    layer = nn.BatchNorm1d(2)

    def function(m, x):
        assert x.sum().item() != 7
        return m(x).sin()

    x = np.random.default_rng(0).standard_normal((4, 2))
    before = layer.state_dict()
    report = cr.check_gradients(function, layer, x)
    assert not report.traced
    assert names(report) == ["x", "weight", "bias"]
    assert report.counts() == {"agrees": len(report.rows)}
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
        assert array.dtype == before[name].dtype


def test_what_it_keeps_between_calls_is_put_back():
    class Counts(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter([2.0])
            self.seen = cr.zeros(1)

        def forward(self, x):
            self.seen.copy_(self.seen + 1.0)
            return x * self.weight * self.seen

    counts = Counts()
    report = cr.check_gradients(
        lambda m, x: m(x).sum() if x.sum() > 0 else x.sum(), counts, [3.0]
    )
    assert not report.traced
    assert {row.name: row.derivative for row in report.rows} == {"x": 2, "weight": 3}
    assert counts.seen.tolist() == [0.0]


def test_a_wrong_rule_is_found_in_it_too():
    def function(x):
        return applied(crooked, x).sum() if x.sum() > 0 else x.sum()

    report = cr.check_gradients(function, [0.3], raises=False)
    assert [rule.primitive for rule in report.rules] == ["crooked"]
    assert [row.kind for row in report.rows] == ["rule"]


# -- random draws ----------------------------------------------------------------------


def test_draws_are_the_same_for_every_quotient():
    cr.manual_seed(0)
    before = cr.uniform(2).numpy()
    cr.manual_seed(0)
    report = cr.check_gradients(lambda x: (x * cr.randn(3)).sum(), [1.0, 2.0, 3.0])
    assert report.ok
    np.testing.assert_array_equal(cr.uniform(2).numpy(), before)
    again = cr.check_gradients(lambda x: (x * cr.randn(3)).sum(), [1.0, 2.0, 3.0])
    other = cr.check_gradients(
        lambda x: (x * cr.randn(3)).sum(), [1.0, 2.0, 3.0], seed=1
    )
    mine, same, differs = (
        [row.derivative for row in r.rows] for r in (report, again, other)
    )
    assert mine == same
    assert mine != differs


def test_draws_of_a_function_that_looks_at_numbers():
    def function(x):
        return x.sum() * cr.uniform(()) if x.sum() > 0 else x.sum()

    assert cr.check_gradients(function, [1.0]).ok


# -- nothing is changed ----------------------------------------------------------------


def test_nothing_is_changed():
    cr.manual_seed(3)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    weight = model[0].weight
    weight.grad = cr.tensor(np.ones((4, 3), np.float32))
    state, data = model.state_dict(), cr.tensor(np.ones((4, 3), np.float32))
    run = cr.compile(lambda x: model.eval()(x).sum(), engine="numpy")
    value = run(data).item()
    model.train()

    def loss(p, y):
        return ((p - y) ** 2).mean() + (model[0].weight ** 2).sum()

    report = cr.check_gradients(model, data, np.zeros((4, 4), np.float32), loss)
    assert report.ok
    assert model[0].weight is weight
    assert (weight.grad.numpy() == 1).all()
    assert model.training
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
        assert array.dtype == state[name].dtype
    assert model[1].__dict__["dtype"] is cr.float32
    assert run(data).item() == value


def test_nothing_is_changed_by_an_error_either():
    model = nn.Linear(2, 2)

    def breaks(m, x):
        m(x)
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        cr.check_gradients(breaks, model, [[1.0, 2.0]])
    assert model.weight.dtype is cr.float32


def test_a_loss_that_uses_the_model_again_is_checked_with_it():
    """The penalty's part of ∂ℒ/∂W, 2W, is not missed."""
    model = nn.Linear(1, 1, bias=False, dtype="float64")
    model.load_state_dict({"weight": [[3.0]]})

    def loss(p, y):
        return (p - y).sum() + (model.weight**2).sum()

    report = cr.check_gradients(model, [[2.0]], [[0.0]], loss)
    assert [row.derivative for row in report.of("weight")] == [2.0 + 6.0]


# -- the report ------------------------------------------------------------------------


def test_an_error_has_the_report():
    with pytest.raises(GradientError) as caught:
        cr.check_gradients(lambda x: applied(crooked, x).sum(), [0.5, 0.25])
    error = caught.value
    assert error.report.counts() == {"rule": 2}
    assert "with respect to x[" in error.what
    assert error.expected == "3 (difference quotients)"
    assert error.got == "3.03 (derivative rules)"
    assert "the rule of crooked for its input 0" in error.what
    assert "vjp=" in error.fix


def test_the_worst_is_the_first_to_look_at():
    def function(x):
        return x[0] * x[0].detach() + x[1].abs() + x[2].sin()

    report = cr.check_gradients(function, [1.0, 0.0, 1.0], raises=False)
    assert [row.kind for row in report.rows] == ["cut", "kink", "agrees"]
    assert report.worst is report.rows[0]
    assert not report.ok
    fine = cr.check_gradients(lambda x: x[1].abs() + x[2].sin(), [1.0, 0.0, 1.0])
    assert fine.ok
    assert fine.worst.kind == "agrees"
    assert cr.check_gradients(cr.Tensor.abs, [0.0]).worst.kind == "kink"


def test_json_has_no_nan():
    import json

    def function(x):
        return cr.where(x > 0, x.sqrt(), 0.0).sum() + x[2].abs()

    report = cr.check_gradients(function, [-1.0, 4.0, 0.0], raises=False)
    made = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert made["ok"] is False
    assert made["worst"]["why"]["primitive"] == "sqrt"
    assert made["worst"]["derivative"] is None
    assert len(made["rows"]) == 3
    assert made["parts"][0]["name"] == "x"
    assert len(made["worst"]["quotients"]["steps"]) == 12


TEXT = """\
derivatives of crooked_sum and difference quotients, in float64
with respect to  shape  entries    checked  largest error  wrong
x                (2,)         2  every one        9.9e-03      2

WRONG: 2 of 2 derivatives. The worst:
  x[0]: derivative 3.03, quotient 3, error 9.9e-03
  a wrong rule: quotients of several ε agree with each other, and not with the \
derivative
"""


def crooked_sum(x):
    return applied(crooked, x).sum()


def test_the_report_as_text():
    report = cr.check_gradients(crooked_sum, [0.5, 0.25], raises=False)
    with language("en"):
        assert str(report).startswith(TEXT)
        assert "6.2e-02         3  -3.0e-02" in str(report)
        assert repr(report).endswith("something is WRONG>")
    with language("zh"):
        chinese = str(report)
        assert "規則錯誤" in chinese
        assert "crooked 對第 0 個輸入的導數規則是錯的" in chinese
        assert not any(word in chinese for word in ("rule", "quotient", "wrong"))


def test_the_report_as_html():
    page = cr.check_gradients(lambda x: x.abs().sum(), [0.0, 2.0])._repr_html_()
    assert page.count("<table>") == 2
    assert (
        "<p>x[0]: derivative 0; quotients -1 from the left, 1 from the right</p>"
        in page
    )
    assert "<p><b>Right: 1 of 2" in page


def test_methods_partials_and_compiled_functions():
    class Model:
        def loss(self, x):
            return x.sin().sum()

    power = functools.partial(lambda p, x: (x**p).sum(), 3)
    compiled = cr.compile(lambda x: x.tanh().sum(), engine="numpy")
    for function in (Model().loss, power, compiled, cr.Tensor.exp):
        assert cr.check_gradients(function, [0.5, 0.25]).ok


# -- refused ---------------------------------------------------------------------------

frozen = nn.Linear(1, 1)
frozen.requires_grad_(False)
check = cr.check_gradients
noise = np.random.default_rng(0)

test_mistakes_are_explained = explained(
    {
        ArgumentError: {
            "check(3, [1.0])": "needs a function",
            "check(lambda x: x.sum(), [1, 2])": "nothing to differentiate.*such as 1.0",
            "check(lambda: cr.tensor(1.0))": "nothing to differentiate",
            "check(lambda: frozen(cr.tensor([[1.0]])))": "nothing to differentiate",
            "check(lambda x: x.sum(), [1.0], entries=0)": "entries",
            "check(lambda x: x.sum(), [1.0], directions=-1)": "directions",
            "check(lambda x: x.sum(), [1.0], tolerance=0)": "tolerance",
            "check(lambda x: x.sum(), [1.0], seed=-1)": "seed",
            "check(lambda x: x.sum(), [[1.0], [1.0, 2.0]])": "do not make a tensor",
            "check(lambda x: x * noise.random() if x > 0 else x, 1.0)": "each time",
        },
        GradientError: {
            "check(lambda x: x.long(), [1.0])": "nothing that has a derivative.*int64",
            "check(lambda x: x > 0, [1.0])": "nothing that has a derivative.*bool",
            "check(lambda x: 'text', [1.0])": "nothing that has a derivative.*str",
            "check(lambda x: None, [1.0])": "nothing that has a derivative.*None",
        },
        NonFiniteError: {
            "check(lambda x: x.sum(), [1.0, np.nan])": r"x\[1\] = nan",
            "check(lambda x: x.sum(), [np.inf])": r"x\[0\] = inf",
            "check(lambda x: x.log().sum(), [0.0, 1.0])": "log",
            "check(lambda x: (x - 1.0).sqrt().sum(), [0.0])": "sqrt",
        },
        ShapeError: {"check(lambda x: x.reshape(7), [1.0])": "cannot take the shape"},
        DTypeError: {"check(lambda x: x.sum(), np.array([1j]))": "complex"},
    },
    globals(),
)


def test_parameters_that_are_not_finite_are_refused():
    model = nn.Linear(1, 1)
    model.weight.copy_(cr.tensor([[np.nan]]))
    with pytest.raises(NonFiniteError, match=r"weight\[0, 0\] = nan"):
        cr.check_gradients(model, [[1.0]])


def test_a_function_that_fails_says_so_itself():
    model = nn.Linear(3, 2)
    with pytest.raises(ShapeError, match="cannot multiply its input"):
        cr.check_gradients(model, np.ones((1, 2)))
    with pytest.raises(ChainruleError, match="classes"):
        cr.check_gradients(model, np.ones((1, 3)), [5], nn.CrossEntropyLoss())
