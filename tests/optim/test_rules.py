"""Update rules: the formula that each region declares is what it computes."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.explain import notation
from chainrule.explain.reading import template
from chainrule.graph.node import Value
from chainrule.graph.primitive import REFERENCES, registered
from chainrule.graph.types import ArrayType, DType
from chainrule.regions import updates
from tests.conformance.cases import examples

RULES = [rule for rule in vars(updates).values() if isinstance(rule, updates.Rule)]
FORMS = [form for rule in RULES for form in rule.forms.values()]
CLIPPING = [updates.sum_of_squares, updates.clip_factor, updates.clip_value]


def value(e: notation.Expr, inputs, known) -> np.ndarray:
    """What a declared formula comes to, in float64."""

    def of(part: notation.Expr) -> np.ndarray:
        return value(part, inputs, known)

    if isinstance(e, notation.Slot):
        return inputs[e.index]
    if isinstance(e, notation.Number):
        return np.float64(e.value)
    if isinstance(e, notation.Atom):
        return known[e.text()]
    if isinstance(e, notation.Sum):
        return sum(sign * of(term) for sign, term in e.terms)
    if isinstance(e, notation.Product):
        return np.prod(np.broadcast_arrays(*map(of, e.factors)), axis=0)
    if isinstance(e, notation.Quotient):
        return of(e.top) / of(e.bottom)
    if isinstance(e, notation.Script):
        return of(e.base) ** of(e.above)
    if isinstance(e, notation.Fence):
        inner = of(e.inner)
        return np.sqrt(inner) if e.left.text().startswith("√") else inner
    head = e.head.text()
    if isinstance(e, notation.Prefix):
        return {"∑": np.sum}[head](of(e.argument))
    assert isinstance(e, notation.Call), e
    return {"max": np.maximum, "min": np.minimum}[head](*map(of, e.arguments))


def results(formula: str, inputs) -> dict[str, np.ndarray]:
    """The named parts of a formula in order, and the last one under ``""``."""
    e = template(formula)
    known: dict[str, np.ndarray] = {}
    for item in e.items if isinstance(e, notation.Listing) else [e]:
        name, right = "", item
        if isinstance(item, notation.Relation):
            left, right = item.items
            name = left.text()
        known[name] = value(right, inputs, known)
    return known


@pytest.mark.parametrize("form", [*FORMS, *CLIPPING], ids=lambda form: form.name)
def test_the_formula_is_what_is_computed(form) -> None:
    rng = np.random.default_rng(2)
    example = next(e for e in examples() if e.primitive is form)
    arrays = [a.astype(np.float64) for a in example.draw(rng)]
    made = REFERENCES[form](*arrays)
    made = made if isinstance(made, tuple) else (made,)
    wanted = results(form.formula, arrays)
    assert len(wanted) == len(made)
    np.testing.assert_allclose(made[0], wanted.pop(""), rtol=1e-13)
    for moment in made[1:]:  # the formula may name them in another order
        assert any(np.allclose(moment, w, rtol=1e-13, atol=0) for w in wanted.values())


def test_every_form_is_a_region_of_its_own() -> None:
    names = [form.name for form in FORMS]
    assert len(set(names)) == len(names)
    assert set(names) <= set(registered())
    assert updates.sgd_update.forms[True, True].name == "sgd_update_scaled_l2"
    assert set(updates.adamw_update.forms) == {(False, False), (True, False)}


def test_an_update_does_nothing_for_options_that_are_off() -> None:
    """Each option adds its own product, and the penalty its sum; nothing else."""
    array, number = ArrayType((3,), DType.float64), ArrayType((), DType.float64)
    for (scaled, decayed), form in updates.sgd_update.forms.items():
        types = [array, array] + [number] * (1 + scaled + decayed)
        nodes = [n.primitive.name for n in form.body(types).nodes]
        assert nodes.count("mul") == 1 + scaled + decayed
        assert nodes.count("add") == decayed


def test_a_centred_mean_square_does_not_turn_negative() -> None:
    """v − m² where rounding leaves less than nothing: the step is finite."""
    g = Value(np.full(3, 0.1))
    v, m = Value(np.full(3, 0.01)), Value(np.full(3, 0.1000000001))
    numbers = [Value(np.float64(n)) for n in (0.9, 0.1, 0.01, 1e-8)]
    made = updates.rmsprop_centered_update(Value(np.zeros(3)), g, v, m, *numbers)
    assert np.isfinite(made[0].array).all()
