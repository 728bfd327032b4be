"""What an explanation says of itself: right numbers pass, wrong ones never.

The networks are those of every kind in float32, the last ones so sure of themselves
that ℒ is rounding: there no tolerance tells a wrong formula from a right one, and
float64 does.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.explanation import Explanation
from chainrule.explanation.checking import difference
from chainrule.explanation.equations import Equation
from chainrule.explanation.meant import meant
from chainrule.explanation.rounding import roundings
from chainrule.graph.emit import trace
from chainrule.graph.interpret import evaluate_all
from chainrule.graph.types import DType
from chainrule.notation.expressions import Computed, Expr, Number, Product
from tests.conformance.cases import Example, all_cases, every
from tests.explanation.models import LAYERS, LOSSES, linear, some_layers, truth
from tests.explanation.random_models import drawn

CE = nn.CrossEntropyLoss()
FEW = 1 + 1e-3


def explained(model: nn.Module, x: Any, y: Any, loss: Any, *optimizer: Any) -> Any:
    """In float32, whatever the numbers are in."""
    floats = [
        np.asarray(a, "f4") if np.asarray(a).dtype.kind == "f" else a for a in (x, y)
    ]
    return cr.explain(copy.deepcopy(model).float(), *floats, loss, *optimizer)


def sure(scale: float = 160.0, *optimizer: Any) -> Explanation:
    """A classifier whose probability of the truth is 1 but for a few roundings."""
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    x = np.random.default_rng(0).normal(size=(1, 4)).astype("f4")
    weight = model[2].weight
    weight.copy_(weight.numpy() * scale)
    labels = model(cr.tensor(x)).numpy().argmax(1)
    return cr.explain(model, x, labels, CE, *optimizer)


def test_a_sure_network_is_right() -> None:
    e = sure()
    z = e.exact.layer(2).z[:, 0]
    p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
    assert 0 < 1 - p.max() < 1e-3
    known = -np.log1p(-(p.sum() - p.max()))
    assert abs(e.loss - e.exact.loss) > 1e-4 * e.exact.loss, "float32 has cancelled"
    assert e.exact.loss == pytest.approx(known, rel=1e-9)
    assert e.check().ok, str(e.check())


def a_layer(name: str, scale: float, *optimizer: Any) -> None:
    model, shape = LAYERS[name]
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, *shape)) * scale, rng.integers(0, 2, 2)
    check = explained(model, x, y, CE, *optimizer).check()
    assert check.ok, str(check)
    assert check.roundings
    assert check.errors


@pytest.mark.one_in(4)
@pytest.mark.parametrize("name", some_layers())
def test_layers(name: str) -> None:
    a_layer(name, 30)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.01, 1, 30])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_with_updates(name: str, scale: float) -> None:
    a_layer(name, scale, optim.Adam(lr=0.01))


@pytest.mark.one_in(2, first=1)
@pytest.mark.parametrize("scale", [30])
@pytest.mark.parametrize(("name", "loss", "kind"), LOSSES)
def test_losses(name: str, loss: Any, kind: str, scale: float) -> None:
    rng = np.random.default_rng(0)
    ends = [nn.Softmax()] if kind == "shares of shares" else []
    model = nn.Sequential(*linear(3, 2), *ends)
    x = rng.normal(size=(2, 3)) * scale
    check = explained(model, x, truth(kind, 2, rng), loss).check()
    assert check.ok, str(check)


def random_models(seed: int) -> None:
    model, x, y, loss = drawn(seed)
    for scale in (1, 20):
        with np.errstate(over="ignore", invalid="ignore"):  # an exp of 20 times as much
            check = explained(model, x * scale, y, loss).check()
        assert check.ok, f"{scale}: {check}"


@pytest.mark.one_in(4)
@pytest.mark.parametrize("seed", range(8))
def test_random_models(seed: int) -> None:
    random_models(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1100))
def test_many_random_models(seed: int) -> None:
    random_models(seed)


# -- faults ----------------------------------------------------------------------------


def factor(side: Expr) -> Expr:
    return Product("scale", (Number(FEW), side))


def planted(e: Explanation) -> Explanation:
    """The explanation with a wrong factor at every right side."""

    def wrong(each: Equation) -> Equation:
        return replace(each, sides=(each.name, *map(factor, each.sides[1:])))

    def others(equations: tuple[Equation, ...]) -> tuple[Equation, ...]:
        return tuple(map(wrong, equations))

    sections = []
    for s in e.sections:
        lines = {k: others(getattr(s, k)) for k in ("forward", "backward", "update")}
        sections.append(replace(s, **lines))
    made = replace(e, sections=tuple(sections))
    made.__dict__["exact"] = e.exact
    return made


@pytest.mark.parametrize("scale", [1.0, 160.0])
def test_a_wrong_factor_is_found_in_any_formula(scale: float) -> None:
    e = sure(scale, optim.Adam(lr=0.01))
    assert e.check().ok
    check = planted(e).check()
    assert "DISAGREE" in str(check)
    seen = 0
    for each in e.equations():
        known = e.exact.numbers.get(each.name)
        if known is not None and np.any(known.array):
            label = f"{each.name.text()} = "
            found = {k: v for k, v in check.errors.items() if k.startswith(label)}
            assert found
            assert all(v > 9e-4 for v in found.values()), found
            seen += 1
    assert seen > 20


def test_a_wrong_number_is_found_wherever_it_stands() -> None:
    e = sure()
    seen = 0
    given = {e.names.of[v] for v in (*e.run.tensors, *e.run.x) if v in e.names.of}
    for name, quantity in e.numbers.items():
        array = quantity.array
        if array.dtype.kind != "f" or name in given or not np.any(array):
            continue
        at = np.unravel_index(np.abs(array).argmax(), array.shape)
        if name not in {q.name for q in e.equations()}:
            continue
        kept = array[at]
        array.flags.writeable = True
        array[at] *= FEW
        assert not e.check().ok, name.text()
        array[at] = kept
        seen += 1
    assert e.check().ok
    assert seen > 8


#: Random bits have no exact numbers; the cosine of a share of a turn is that of an
#: angle which is rounded first, and stands in large draws alone.
INEXACT = ("random_bits", "cos_turn")


@pytest.mark.one_in(2)
@every(all_cases((DType.float32,), lambda e: e.primitive.name not in INEXACT))
def test_every_operation_is_right_to_its_rounding(
    example: Example, rng: np.random.Generator
) -> None:
    """Right results pass, and one that is off by a hundredth never does."""
    graph = trace(lambda *v: example.apply(*v), example.types, name="one")
    arrays = evaluate_all(graph, example.draw(rng))
    for value, share in roundings(graph, arrays, 1):
        assert share <= 1, (value.node, share)
    for out in graph.outputs:
        array = arrays[out]
        if array.dtype != np.float32 or out.node is None or not np.any(array):
            continue
        if not np.isfinite(array).all():
            continue
        at = np.unravel_index(np.abs(array).argmax(), array.shape)
        wrong = np.array(array)
        wrong[at] *= 1.01
        found = dict(roundings(graph, arrays | {out: wrong}, 1))
        assert found[out] > 1, example


#: Operations in whose results all may cancel, or which amplify what is rounded.
SENSITIVE = ("fft", "rfft", "irfft", "solve", "solve_triangular")


@every(all_cases((DType.float32,), lambda e: e.primitive.name in SENSITIVE))
def test_what_amplifies_rounding_is_right_for_any_draw(
    example: Example, rng: np.random.Generator
) -> None:
    graph = trace(lambda *v: example.apply(*v), example.types, name="one")
    for __ in range(20):
        arrays = evaluate_all(graph, example.draw(rng))
        for value, share in roundings(graph, arrays, 1):
            assert share <= 1, (value.node, share)


def test_constants_are_what_a_program_says() -> None:
    for value in (0.9, 0.05, 0.1 / 3, 1 / 3, 2 / 7, 1e-5, 0.01, 1.5, -0.25, 1 / 3000):
        short = float(np.float32(value))
        assert meant(short, DType.float32) == pytest.approx(value, rel=1e-15)
        assert meant(short, DType.float64) == short
    rng = np.random.default_rng(0)
    for value in rng.normal(size=200).astype("f4"):
        assert np.float32(meant(float(value), DType.float32)) == value


def test_the_parameters_stand_in_their_own_order() -> None:
    """Not in that of their addresses: the same page twice."""
    model, shape = LAYERS["LayerNorm"]
    x = np.ones((1, *shape))
    made = [cr.explain(copy.deepcopy(model), x, [1], CE) for _ in range(6)]
    assert len({"\n".join(q.text() for q in e.equations()) for e in made}) == 1


def test_rounding_excuses_no_wrong_sign() -> None:
    e = sure()
    for each in e.equations():
        known = e.exact.numbers.get(each.name)
        if known is not None and np.any(known.array):
            side = each.sides[-1]
            assert difference(-side, e.exact.numbers, known.array) > 1


def test_a_formula_that_is_kept_is_of_its_own_node() -> None:
    """Formulas are kept by what they say; two loops that say the same are two."""
    model, shape = LAYERS["GRU"]
    rng = np.random.default_rng(0)
    keys: set[Any] = set()
    for _ in range(3):
        e = explained(model, rng.normal(size=(1, *shape)), [1], CE)
        for step in (e, e.exact):
            for each in step.equations():
                for side in each.sides[1:]:
                    if isinstance(side, Computed) and isinstance(side.key, tuple):
                        assert not any(isinstance(part, int) for part in side.key[1:])
                        keys.add(side.key)
    assert len(keys) > 6
