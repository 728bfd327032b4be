"""Every formula that is declared comes to what is computed, and can be written."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from chainrule.explanation.writer import declared, letters
from chainrule.graph.build import record, tracing
from chainrule.graph.node import Value
from chainrule.graph.primitive import registered
from chainrule.graph.types import DType, SymbolicDim
from chainrule.notation.arithmetic import COLUMNS, Quantity, computed
from chainrule.notation.expressions import (
    Atom,
    Computed,
    Expr,
    Listing,
    Relation,
    Spread,
    rebuilt,
)
from chainrule.notation.tidy import tidy
from chainrule.regions import normalization
from tests.conformance.cases import Example, all_cases, examples

#: Told by what is written, not by the reference that is held against it.
WRITTEN = [
    name
    for name, p in registered().items()
    if p.elementwise or name.endswith(("_update", "norm", "entropy", "softmax"))
    if name not in ("convert", "shift_left", "shift_right")
]


def names_of(example: Example) -> list[Atom]:
    return [Atom(f"Q_{i}", f"Q{i}") for i in range(len(example.case.inputs))]


def formula_of(example: Example, arrays: list[Any]) -> tuple[Expr, Any]:
    """The formula of an example, and its node."""
    with tracing():
        values = [Value(None, a.shape, t.dtype) for a, t in zip(arrays, example.types)]
        made = record(example.primitive, tuple(values), example.attrs)
    node = made[0].node
    inputs: list[Expr] = list(names_of(example))
    if example.primitive in (normalization.layer_norm, normalization.batch_norm):
        axes, rank = node.attrs["axes"], arrays[0].ndim
        if example.primitive is normalization.batch_norm:
            axes = tuple(a for a in range(rank) if a not in axes)
        inputs[1:] = [Spread(e, None, None, axes, rank) for e in inputs[1:]]
    return declared(node, inputs, 1), node


def worked_out(e: Expr, numbers: dict[Expr, Quantity]) -> list[np.ndarray]:
    """What it comes to; named steps first, the result last."""
    found = []
    for item in e.items if isinstance(e, Listing) else (e,):
        named = isinstance(item, Relation) and isinstance(e, Listing)
        name, side = item.items if named else (item, item)
        found.append(computed(side, numbers))
        numbers[name] = Quantity(found[-1], COLUMNS)
    return found


@pytest.mark.parametrize(
    "example",
    all_cases(only=lambda e: e.dtype is not DType.float32),
)
def test_a_formula_comes_to_what_is_computed(
    example: Example, rng: np.random.Generator
) -> None:
    arrays = example.draw(rng)
    if example.primitive.name == "nextafter":
        pytest.skip("says nothing in another precision")
    made, node = formula_of(example, arrays)
    if isinstance(made, Computed) and example.primitive.name in WRITTEN:
        pytest.fail(f"{made} does not say how it is computed")
    numbers = {n: Quantity(a, COLUMNS) for n, a in zip(names_of(example), arrays)}
    wanted = example.reference(arrays)
    if len(node.outputs) > 1 and not isinstance(made, Listing):
        return  # of several results the explanation shows each on its own
    with np.errstate(all="ignore"):
        for e in (made, tidy(made)):
            found = worked_out(e, dict(numbers))
            shown = np.broadcast_to(found[-1], wanted[0].shape)
            near = 1e-6 if wanted[0].dtype == np.float32 else 1e-11
            np.testing.assert_allclose(shown, wanted[0], rtol=near, atol=1e-300)
            for moment in wanted[1:]:
                close = [a for a in found if a.shape == moment.shape]
                assert any(np.allclose(a, moment, rtol=1e-12, atol=0) for a in close)


@pytest.mark.parametrize("name", sorted(registered()))
def test_a_formula_can_be_written(name: str) -> None:
    example = next(e for e in examples() if e.primitive is registered()[name])
    made, _ = formula_of(example, example.draw(np.random.default_rng(0)))
    text, latex = made.text(), made.latex()
    assert text.strip()
    assert not re.search(r"[\\{}□]", text)
    assert latex.count("{") == latex.count("}")
    assert not re.search(r"[^\x00-\x7f]", latex)
    # A condition is not written; x stands within J.
    if name not in ("require", "normalised_pullback"):
        assert {n.text() for n in names_of(example)} <= set(re.findall(r"Q\d+", text))


def test_every_part_is_rebuilt() -> None:
    """``rebuilt`` reaches each symbol of each formula, and changes nothing else."""
    first = {e.primitive: e for e in reversed(list(examples()))}
    for example in first.values():
        arrays = example.draw(np.random.default_rng(0))
        made, _ = formula_of(example, arrays)
        seen: list[Expr] = []

        def visit(e: Expr, seen: list[Expr] = seen) -> Expr:
            seen.append(e)
            return rebuilt(e, visit)

        assert visit(made) == made
        named = {n for n in names_of(example) if n.text() in made.text()}
        assert named <= {e for e in seen if isinstance(e, Atom)}


def test_letters_of_axes() -> None:
    n = SymbolicDim("N")
    assert letters(Value(None, (n, 3), DType.float32)) == "si"
    assert letters(Value(None, (n, 3, 4, 5), DType.float32)) == "scpq"
    assert letters(Value(None, (3, 4), DType.float32)) == "ij"
