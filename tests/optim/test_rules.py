"""Update rules: the formula that each region declares is what it computes."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.engines.schedule.maps import is_elementwise
from chainrule.errors import ArgumentError
from chainrule.graph.build import tracing
from chainrule.graph.node import Value
from chainrule.graph.primitive import REFERENCES, as_tuple
from chainrule.notation.arithmetic import Quantity, steps
from chainrule.notation.functions import symbol
from chainrule.regions import updates
from chainrule.regions.region import Region
from tests.conformance.cases import examples

REGIONS = [made for made in vars(updates).values() if isinstance(made, Region)]
#: Its formula stands for any rule.
GENERIC = updates.adjusted_update


def results(rule: Region, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """What a declared formula comes to: the new moments, and the result last."""
    symbols = [symbol(letter) for letter in "ABCDEFGHIJKLMN"[: len(inputs)]]
    assert rule.formula is not None
    return steps(rule.formula(*symbols), dict(zip(symbols, map(Quantity, inputs))))


@pytest.mark.parametrize("flag", [0.0, 1.0])
@pytest.mark.parametrize("rule", [r for r in REGIONS if r is not GENERIC])
def test_the_formula_is_what_is_computed(rule: Region, flag: float) -> None:
    rng = np.random.default_rng(2)
    example = next(e for e in examples() if e.primitive is rule)
    arrays = [a.astype(np.float64) for a in example.draw(rng)]
    if rule is updates.radam_update:
        arrays[-1] = np.asarray(flag)
    made = REFERENCES[rule](*arrays)
    made = made if isinstance(made, tuple) else (made,)
    *named, wanted = results(rule, arrays)
    np.testing.assert_allclose(made[0], wanted, rtol=1e-13)
    rest = iter(named)  # the new moments in their order; there may be more steps
    for moment in made[1:]:
        assert any(np.allclose(moment, w, rtol=1e-13, atol=0) for w in rest)


def numbers(*arrays) -> list[Value]:
    return [Value(np.asarray(a, np.float64)) for a in arrays]


def test_what_stands_in_front_of_a_rule() -> None:
    """2θ − η (3g + 0.5θ), each of them alone, and all of them together."""
    p, g, lr, s, penalty, keep = numbers([1.0, -2.0], [4.0, 1.0], 0.1, 3.0, 0.5, 2.0)
    given = {"scale": s, "penalty": penalty, "keep": keep}
    usual = {"scale": 1.0, "penalty": 0.0, "keep": 1.0}
    for by in ("scale", "penalty", "keep", "scale penalty", "scale penalty keep"):
        more = [given[name] for name in by.split()]
        made = GENERIC(p, g, lr, *more, rule="sgd_update", by=by).array
        a, b, c = (
            float(given[k].array) if k in by else usual[k] for k in updates.ADJUSTMENTS
        )
        wanted = c * p.array - 0.1 * (a * g.array + b * p.array)
        np.testing.assert_allclose(made, wanted, rtol=1e-15)
    with pytest.raises(ArgumentError, match="no such adjustment"):
        GENERIC(p, g, lr, s, rule="sgd_update", by="scales")


def test_an_update_is_one_loop() -> None:
    """Whatever stands in front of it: so say the engines."""
    for rule in (r for r in REGIONS if r.name.endswith("_update") and r is not GENERIC):
        values = [Value(None, t.shape, t.dtype) for t in first(rule).types]
        numbers = [Value(None, (), values[0].dtype) for _ in range(3)]
        with tracing():
            plain = as_tuple(rule(*values))
            attrs = {"rule": rule.name, "by": "scale penalty keep"}
            whole = as_tuple(GENERIC(*values, *numbers, **attrs))
        assert is_elementwise(plain[0].node), rule.name
        assert is_elementwise(whole[0].node), rule.name


def first(rule: Region):
    return next(e for e in examples() if e.primitive is rule and e.types[0].shape)


def test_a_centred_mean_square_does_not_turn_negative() -> None:
    """v − m² where rounding leaves less than nothing: the step is finite."""
    p, g, v, m = numbers([0.0] * 3, [0.1] * 3, [0.01] * 3, [0.1000000001] * 3)
    made = updates.rmsprop_centered_update(p, g, v, m, *numbers(0.9, 0.1, 0.01, 1e-8))
    assert np.isfinite(made[0].array).all()
