"""Update rules: the papers' steps, and as composites what stands in front, one loop.

That each formula is what is computed, the conformance tests hold for every composite.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import optim
from chainrule.engines.schedule.maps import is_elementwise
from chainrule.errors import ShapeError
from chainrule.graph.emit import tracing
from chainrule.graph.node import Value
from chainrule.graph.primitive import REFERENCES, as_tuple, registered
from chainrule.graph.types import DType
from chainrule.notation.arithmetic import Quantity, steps
from chainrule.notation.functions import symbol
from tests.optim.oracle import Group, Oracle
from tests.optim.test_optimizers import Signs

KINDS = [
    kind
    for kind in optim.OPTIMIZERS.values()
    if "composite" in vars(kind) and kind.rows_alone != "only"  # test_rows.py
]
SGD, RMSPROP = optim.SGD.composite, optim.RMSprop.composite


def numbers(*arrays) -> list[Value]:
    return [Value(np.asarray(a, np.float64)) for a in arrays]


FORMS = [(kind, dict(o)) for kind in KINDS for o in kind.variants]


@pytest.mark.parametrize(("kind", "options"), FORMS)
def test_steps_are_those_of_the_papers(kind: Any, options: dict[str, Any]) -> None:
    """Eight steps of each form of each rule against the formulas in plain NumPy."""
    rng = np.random.default_rng(0)
    w = cr.tensor(rng.normal(size=(2, 3)), requires_grad=True)
    optimizer = kind([("w", w)], lr=0.1, weight_decay=0.01, **options)
    schedule = {"name": "Schedule", "lr": 0.1}
    group = Group(["w"], dict(optimizer.param_groups[0].options), schedule)
    oracle = Oracle(kind.__name__, [group], {"clip_value": None, "clip_norm": None})
    params = {"w": w.numpy().copy()}
    for _ in range(8):
        g = rng.normal(size=(2, 3))
        w.grad = cr.tensor(g)
        optimizer.step()
        oracle.step(params, {"w": g})
        np.testing.assert_allclose(w.numpy(), params["w"], rtol=1e-9)
    for name, wanted in oracle.state["w"].items():
        np.testing.assert_allclose(optimizer.state["w"][name].numpy(), wanted, 1e-9)


@pytest.mark.parametrize("flag", [0.0, 1.0])
def test_both_branches_of_radam_are_its_formula(flag: float) -> None:
    rule, rng = optim.RAdam.composite, np.random.default_rng(2)
    case = rule.examples()[0]
    arrays = [rng.uniform(0.1, 1.0, (3, 4)) for _ in range(4)]
    scalars = [np.asarray(x) for x in (0.9, 0.1, 0.99, 0.01, 0.1, 1e-3, flag)]
    symbols = [symbol(letter) for letter in "ABCDEFGHIJK"]
    assert rule.formula is not None
    written = rule.formula(*symbols, **case.attrs)
    held = dict(zip(symbols, map(Quantity, [*arrays, *scalars])))
    *_, wanted = steps(written, held)
    made = REFERENCES[rule](*arrays, *scalars, **case.attrs)
    np.testing.assert_allclose(made[0], wanted, rtol=1e-13)


@pytest.mark.parametrize("by", ["scale", "penalty", "keep", "scale penalty keep"])
def test_what_stands_in_front_of_a_rule(by: str) -> None:
    """2θ − η (3g + 0.5θ), each of them alone, and all of them together."""
    p, g, lr, s, penalty, keep = numbers([1.0, -2.0], [4.0, 1.0], 0.1, 3.0, 0.5, 2.0)
    front = {"scale": s, "penalty": penalty, "keep": keep}
    made = SGD(p, g, lr, *[front[k] for k in by.split()], scalars=f"lr {by}").array
    usual = {"scale": 1.0, "penalty": 0.0, "keep": 1.0}
    a, b, c = (float(front[k].array) if k in by else usual[k] for k in usual)
    wanted = c * p.array - 0.1 * (a * g.array + b * p.array)
    np.testing.assert_allclose(made, wanted, rtol=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_an_update_is_one_loop(kind: type[optim.RuleOptimizer]) -> None:
    """Whatever stands in front of it: so say the engines."""
    for case in kind.composite.examples():
        values = [
            Value(None, (3,) if t != "f[]" else (), DType.float32) for t in case.inputs
        ]
        with tracing():
            made = as_tuple(kind.composite(*values, **case.attrs))
        assert is_elementwise(made[0].node), case


def test_a_centred_mean_square_does_not_turn_negative() -> None:
    """v − m² where rounding leaves less than nothing: the step is finite."""
    p, g, v, m = numbers([0.0] * 3, [0.1] * 3, [0.01] * 3, [0.1000000001] * 3)
    names = {"moments": "v m", "scalars": "alpha rest lr eps"}
    made = RMSPROP(p, g, v, m, *numbers(0.9, 0.1, 0.01, 1e-8), **names)
    assert np.isfinite(made[0].array).all()


def test_arrays_do_not_broadcast() -> None:
    with pytest.raises(ShapeError, match="one shape"):
        SGD(*numbers([1.0], [1.0, 2.0], 0.1), scalars="lr")


def test_a_rule_of_ones_own_is_no_part_of_the_vocabulary() -> None:
    """A class may be defined again, as in a notebook."""
    assert Signs.composite.name == "signs_update"
    assert "signs_update" not in registered()
