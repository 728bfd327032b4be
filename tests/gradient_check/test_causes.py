"""Why a derivative and a quotient differ, each cause planted on purpose."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import GradientError
from chainrule.graph.primitive import lookup
from chainrule.primitives.elementwise import mul
from chainrule.primitives.movement import full_like
from tests.conformance.cases import replaced
from tests.gradient_check.faults import applied, crooked, dug, turned, unruled


def flawed(function, *args, **options):
    return cr.check_gradients(function, *args, raises=False, **options)


def only_row(function, *args):
    (row,) = flawed(function, *args).rows
    return row


# -- wrong rules -----------------------------------------------------------------------


def too_steep(g, y, x):
    return mul(mul(g, y), full_like(y, 1.1))


def test_the_node_with_a_wrong_rule_is_found_in_a_network():
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Softplus(), nn.Linear(4, 2), nn.Tanh())
    x, y = np.ones((2, 3)), np.zeros((2, 2))
    tanh = lookup("tanh")
    with replaced(tanh, vjp=(lambda g, y, x: g,)):
        report = flawed(model, x, y, nn.MSELoss())
    (rule,) = report.rules
    assert (rule.kind, rule.primitive, rule.input, rule.scope) == (
        "rule",
        "tanh",
        0,
        "3",
    )
    assert rule.source.startswith("test_causes.py:")
    assert report.counts() == {"rule": len(report.rows)}
    assert {row.why for row in report.rows} == {rule}


def test_only_what_lies_before_a_wrong_rule_is_wrong():
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))
    with replaced(lookup("tanh"), vjp=(lambda g, y, x: g,)):
        report = flawed(model, np.ones((1, 2)))
    kinds = {row.name: row.kind for row in report.rows}
    assert kinds["0.weight"] == kinds["0.bias"] == kinds["x"] == "rule"
    assert kinds["2.weight"] == kinds["2.bias"] == "agrees"


def test_which_input_of_a_product_it_is():
    dot = lookup("dot_general")
    from chainrule.graph.primitive import DERIVATIVES

    right = DERIVATIVES[dot]

    def wrong(gs, ys, inputs, needed, **attrs):
        first, second = right(gs, ys, inputs, needed, **attrs)
        return [first, None if second is None else mul(second, full_like(second, 2.0))]

    w = np.arange(6.0).reshape(3, 2)
    with replaced(dot, joint_vjp=wrong):
        report = flawed(lambda x, w: x @ w, np.ones((2, 3)), w)
    (rule,) = report.rules
    assert (rule.primitive, rule.input) == ("dot_general", 1)
    assert rule.derivative == pytest.approx(2 * rule.quotient, rel=1e-9)
    assert {row.kind for row in report.of("x")} == {"agrees"}
    assert {row.kind for row in report.of("w")} == {"rule"}


def test_a_wrong_rule_within_a_composite_is_named_with_it():
    with replaced(lookup("sigmoid"), vjp=(lambda g, y, x: g,)):
        report = flawed(nn.functional.silu, [0.5, -1.0])
    (rule,) = report.rules
    assert (rule.primitive, rule.within) == ("sigmoid", ("silu",))
    assert "within silu" in str(rule)


def test_a_rule_of_a_composite_of_its_own_is_the_composites():
    gelu_tanh = lookup("gelu_tanh")
    with replaced(gelu_tanh, vjp=(too_steep,)):
        report = flawed(lambda x: nn.functional.gelu(x, approximate="tanh"), [0.5])
    (rule,) = report.rules
    assert (rule.primitive, rule.within) == ("gelu_tanh", ())


@pytest.mark.parametrize("reverse", [False, True])
def test_a_wrong_rule_within_a_loop_is_found(reverse):
    def function(x, start):
        def step(carry, item):
            new = (carry + item).tanh()
            return new, new

        return cr.scan(step, start, x, reverse=reverse)[1]

    with replaced(lookup("tanh"), vjp=(lambda g, y, x: g,)):
        report = flawed(function, np.ones((4, 2)), np.zeros(2))
    (rule,) = report.rules
    assert (rule.primitive, rule.within) == ("tanh", ("scan",))


def test_a_wrong_rule_within_a_branch_is_found():
    def function(x):
        return cr.cond(x.sum() > 0, lambda x: x.exp(), lambda x: x * 2.0, x)

    with replaced(lookup("exp"), vjp=(too_steep,)):
        report = flawed(function, [0.5, 1.0])
    (rule,) = report.rules
    assert (rule.primitive, rule.within) == ("exp", ("cond",))


def test_a_wrong_rule_is_found_where_its_slope_is_too_small_to_be_seen():
    def function(x):
        return (1e-30 * x.tanh()).sum() + 5.0

    with replaced(lookup("tanh"), vjp=(lambda g, y, x: g,)):
        report = flawed(function, [0.5])
    assert report.counts() == {"agrees": 1}
    assert not report.ok
    assert [rule.primitive for rule in report.rules] == ["tanh"]
    assert "WRONG: the rule of tanh" in str(report)


def test_a_wrong_rule_is_found_beside_kinks_of_the_same_node():
    """ReLU at 0 has a kink; its rule is wrong everywhere else."""
    wrong = (lambda g, y, a, b: mul(g, full_like(g, 2.0)), None)
    with replaced(lookup("maximum"), vjp=wrong):
        report = flawed(lambda x: x.relu(), [0.0, 1.0, -1.0])
    assert [rule.primitive for rule in report.rules] == ["maximum"]


def test_a_wrong_rule_is_found_at_ties_of_a_maximum():
    """A rule may share the slope among equal numbers, but not give more than all."""
    right = lookup("reduce_max")
    cr.check_gradients(lambda x: x.amax(), [1.0, 1.0])

    def wrong(g, y, x, axes):
        return full_like(x, 3.0)

    with replaced(right, vjp=(wrong,)):
        report = flawed(lambda x: x.amax(), [1.0, 1.0])
    assert [rule.primitive for rule in report.rules] == ["reduce_max"]


def test_a_rule_that_gives_nothing_is_wrong():
    with replaced(lookup("neg"), vjp=(None,)):
        report = flawed(lambda x: (-x).sum(), [1.0])
    assert report.rules[0].derivative == 0


def test_a_rule_that_cannot_be_run_is_wrong():
    report = flawed(lambda x: applied(turned, x).sum(), np.ones((2, 3)))
    (rule,) = report.rules
    assert rule.primitive == "turned"
    assert "(3, 2) ≠ (2, 3)" in str(rule)

    def breaks(g, y, x):
        raise IndexError("no such thing")

    with replaced(lookup("sin"), vjp=(breaks,)):
        report = flawed(lambda x: x.sin(), [1.0])
        assert report.rows == ()
        assert not report.ok
        assert "the rule of sin fails: no such thing" in str(report)
        with pytest.raises(GradientError, match="the rule of sin fails"):
            cr.check_gradients(lambda x: x.sin(), [1.0])


# -- kinks -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "at", "primitive", "index"),
    [
        (lambda x: x.relu(), [0.0, 1.0], "maximum", (0,)),
        (lambda x: x.abs().sum(), [2.0, 0.0], "abs", (1,)),
        (lambda x: (x - 1.0).relu() ** 2 + x.abs(), [[3.0, 0.0]], "abs", (0, 1)),
        (lambda x: nn.functional.leaky_relu(x), [0.0], "leaky_relu", (0,)),
        (lambda x: nn.functional.selu(x), [0.0], "selu", (0,)),
        (lambda x: x.amax(dim=1), [[1.0, 2.0], [3.0, 3.0]], "reduce_max", (1,)),
        (lambda x: cr.minimum(x, 2.0), [2.0], "minimum", (0,)),
        (lambda x: nn.functional.max_pool1d(x, 2), [[[1.0, 1.0]]], "window_max", None),
    ],
)
def test_a_kink_is_named_with_its_element(function, at, primitive, index):
    report = cr.check_gradients(function, at)
    assert report.ok
    kinked = [row for row in report.rows if row.kind == "kink"]
    assert kinked
    for row in kinked:
        assert row.why.kind == "kink"
        assert row.why.primitive == primitive
        assert row.why.declared == lookup(primitive).kinks
        assert row.why.source.startswith("test_causes.py:")
        assert index is None or row.why.index == index


def test_elu_has_no_kink():
    assert only_row(nn.functional.elu, [0.0]).kind == "agrees"


def test_the_first_node_that_bends_is_named_and_not_those_behind_it():
    row = only_row(lambda x: ((x * 2.0 - 1.0).relu().exp() * 3.0).sin().sum(), [0.5])
    assert (row.kind, row.why.primitive) == ("kink", "maximum")
    assert row.why.values == (0.0, 0.0)


def test_what_is_only_curved_is_not_named():
    """3x² is flat at 0, as |x| is not."""
    row = only_row(lambda x: (3.0 * x * x).exp() + x.abs(), [0.0])
    assert (row.kind, row.why.primitive) == ("kink", "abs")


def test_a_jump_and_the_end_of_a_domain_are_told_from_kinks():
    assert only_row(lambda x: x.floor(), [2.0]).kind == "jump"
    assert only_row(lambda x: x.round(), [2.5]).kind == "jump"
    assert only_row(lambda x: x.sign(), [0.0]).kind == "jump"
    row = only_row(lambda x: x.sqrt(), [0.0])
    assert (row.kind, row.why.primitive) == ("edge", "sqrt")
    assert np.isinf(row.derivative)


def test_a_choice_that_flips_is_named():
    row = only_row(lambda x: cr.where(x > 1.0, x * x, x).sum(), [1.0])
    assert (row.kind, row.why.primitive) == ("kink", "where")
    assert "because what it chooses by changes" in str(row.why)


def test_kinks_that_cancel_are_told_from_wrong_rules():
    """max(x, 0) − max(−x, 0) = x, whose declared slopes at 0 add up to 0."""
    report = cr.check_gradients(lambda x: (x.relu() - (-x).relu()).sum(), [0.0])
    (row,) = report.rows
    assert row.kind == "cancelled"
    assert (row.derivative, row.quotient) == (0.0, pytest.approx(1.0))
    assert row.why.primitive == "maximum"


def test_a_kink_in_a_loop_is_named():
    def function(x):
        def step(carry, item):
            new = (carry + item).relu()
            return new, new

        return cr.scan(step, cr.zeros(1, dtype="float64"), x)[1].sum()

    report = cr.check_gradients(function, [[1.0], [-1.0], [2.0]])
    kinked = [row for row in report.rows if row.kind == "kink"]
    assert {(row.why.primitive, row.why.within) for row in kinked} == {
        ("maximum", ("scan",))
    }


def test_a_kink_nearby_is_no_kink_here():
    for distance in (1e-2, 1e-4, 1e-6):
        row = only_row(lambda x: x.relu() ** 2 + 3 * x.relu(), [distance])
        assert row.kind == "agrees", distance


# -- precision -------------------------------------------------------------------------


def test_float32_within_is_named_with_the_first_node():
    def function(x):
        h = x.sin().astype("float32")
        return (h * h).exp().sum()

    report = cr.check_gradients(function, [0.3, 0.8])
    assert report.counts() == {"precision": 2}
    row = report.rows[0]
    assert (row.why.primitive, row.why.detail) == ("convert", "float32")
    assert 1e-7 < row.known < 1e-2
    assert "computes in float32" in str(report)


def test_cancellation_is_named_with_its_size():
    row = only_row(lambda x: ((x + 1e12) - 1e12).sum(), [0.3])
    assert (row.kind, row.why.primitive, row.why.detail) == ("precision", "add", "1e12")


def test_a_wrong_rule_is_told_from_precision_even_in_float32():
    def function(x):
        return applied(crooked, x.astype("float32").sin()).sum() * 10.0

    report = flawed(function, [0.3])
    assert [rule.primitive for rule in report.rules] == ["crooked"]
    assert report.rows[0].kind == "rule"


def test_small_derivatives_beside_large_ones_are_no_matter_of_precision():
    """Keys of attention have a bias that changes nothing: its derivative is 1e-17."""
    cr.manual_seed(0)
    layer = nn.MultiheadAttention(4, 2, batch_first=True)
    x = np.random.default_rng(0).standard_normal((1, 3, 4))
    report = cr.check_gradients(lambda x: layer(x, x, x)[0], x)
    assert report.counts() == {"agrees": len(report.rows)}
    assert report.worst.error < 1e-6


# -- what is hidden --------------------------------------------------------------------


def test_detach_and_no_grad_are_named_with_their_line():
    def function(x):
        with cr.no_grad():
            scale = (x * x).sum()
        return (x * scale).sum()

    for f in (function, lambda x: (x.detach() * x).sum()):
        report = flawed(f, [1.0, 2.0])
        assert {row.kind for row in report.rows} == {"cut"}
        assert report.rows[0].why.source.startswith("test_causes.py:")
        assert "no_grad()" in str(report)


def test_a_harmless_detach_is_right():
    def shifted(x):
        return (x - x.amax().detach()).exp().sum() * x.amax().detach().exp()

    report = flawed(lambda x: shifted(x).log(), [1.0, 2.0])
    assert {row.kind for row in report.rows} == {"cut"} or report.ok
    stable = cr.check_gradients(
        lambda x: ((x - x.amax().detach()).exp().sum()).log() + x.amax().detach(),
        [1.0, 2.0],
    )
    assert stable.counts() == {"agrees": 2}


def test_of_two_ends_the_guilty_one_is_named():
    def function(x):
        top = x.amax().detach()
        safe = (x - top).exp().sum().log() + top
        return safe + (x.detach() * x).sum()

    report = flawed(function, [1.0, 2.0])
    assert {row.kind for row in report.rows} == {"cut"}
    sources = {row.why.source for row in report.rows}
    line = function.__code__.co_firstlineno + 3
    assert sources == {f"test_causes.py:{line}"}


def test_each_row_has_a_cause_of_its_own():
    def function(x, w):
        return (x * x.detach()).sum() + applied(crooked, w).sum()

    report = flawed(function, [1.0], [2.0])
    assert {row.name: row.kind for row in report.rows} == {"x": "cut", "w": "rule"}


def test_a_primitive_without_a_rule_is_named():
    report = flawed(lambda x: applied(unruled, x).sum(), [1.0, 2.0])
    assert {row.why.primitive for row in report.rows} == {"unruled"}
    assert "has no derivative rule" in str(report)


def test_what_numpy_computes_is_hidden():
    def function(x):
        return (cr.tensor(np.sin(x.detach().numpy())) * x).sum()

    report = flawed(function, [0.3])
    assert not report.traced
    assert [row.kind for row in report.rows] == ["cut"]
    with pytest.raises(GradientError, match=r"numpy\(\)"):
        cr.check_gradients(function, [0.3])


def test_a_rule_that_makes_nan_is_named():
    report = flawed(lambda x: applied(dug, x).sum(), [-1.0, 4.0])
    assert [row.kind for row in report.rows] == ["nonfinite", "agrees"]
    assert report.rows[0].why.primitive == "dug"
    report = flawed(lambda x: cr.where(x > 0, x.sqrt(), 0.0).sum(), [-1.0, 4.0])
    assert [row.kind for row in report.rows] == ["nonfinite", "agrees"]
    assert report.rows[0].why.primitive == "sqrt"
