"""Declared formulas as an explanation writes them, where samples are columns."""

from __future__ import annotations

import numpy as np

from chainrule.explanation.plain import declared, letters
from chainrule.graph.emit import emit, tracing
from chainrule.graph.node import Value
from chainrule.graph.types import DType, SymbolicDim
from chainrule.notation.arithmetic import COLUMNS, Quantity, steps
from chainrule.notation.expressions import Computed, Expr, Listing
from chainrule.notation.functions import symbol
from chainrule.notation.tidy import tidy
from tests.conformance.cases import Example, all_cases, every


def is_due(example: Example) -> bool:
    # One is of one precision, the other of matrices, which are no columns.
    name = example.primitive.name
    return example.dtype != DType.float32 and name not in ("nextafter", "dot_general")


@every(all_cases(only=is_due))
def test_a_formula_comes_to_what_is_computed(
    example: Example, rng: np.random.Generator
) -> None:
    arrays = example.draw(rng)
    with tracing():
        values = [Value(None, a.shape, t.dtype) for a, t in zip(arrays, example.types)]
        node = emit(example.primitive, tuple(values), example.attrs)[0].node
    inputs: list[Expr] = [symbol(f"Q{i}") for i in range(len(arrays))]
    made = declared(node, inputs, 1)
    wanted = example.reference(arrays)
    if isinstance(made, Computed) and len(wanted) > 1:
        return  # of several results an explanation shows each on its own
    numbers = {e: Quantity(a, COLUMNS) for e, a in zip(inputs, arrays)}
    near = 1e-6 if wanted[0].dtype == np.float32 else 1e-11
    for e in (made, tidy(made)):
        *named, last = steps(e, numbers)
        found = np.broadcast_to(last, wanted[0].shape)
        np.testing.assert_allclose(found, wanted[0], rtol=near, atol=1e-300)
        assert len(wanted) == 1 or isinstance(e, Listing)
        for moment in wanted[1:]:
            close = [a for a in named if a.shape == moment.shape]
            assert any(np.allclose(a, moment, rtol=1e-12, atol=0) for a in close)


def test_letters_of_axes() -> None:
    n = SymbolicDim("N")
    assert letters(Value(None, (n, 3), DType.float32)) == "si"
    assert letters(Value(None, (n, 3, 4, 5), DType.float32)) == "scpq"
    assert letters(Value(None, (3, 4), DType.float32)) == "ij"
