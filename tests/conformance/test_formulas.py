"""Declared formulas: what is written is what is computed, for every case."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.graph.primitive import registered
from chainrule.graph.types import DType
from chainrule.notation.arithmetic import Quantity, results, steps
from chainrule.notation.expressions import (
    Expr,
    Listing,
    axis_letters,
)
from chainrule.notation.functions import symbol
from tests.conformance.cases import Array, Example, all_cases, every

PRIMITIVES = [pytest.param(p, id=p.name) for p in registered().values()]
#: Relative to the number itself, or to the largest of the result.
TOLERANCE = 1e-12
#: Inputs look different from everything that formulas name themselves.
NAMES = "ABDEFGHJKLMNOPQR"


def inputs_of(example: Example) -> list[Expr]:
    """A symbol for each input, with a letter for each of its axes."""
    return [
        symbol(NAMES[i], index=axis_letters(len(t.shape)))
        for i, t in enumerate(example.types)
    ]


def formula_of(example: Example) -> Expr:
    formula = example.primitive.formula
    assert formula is not None
    return formula(*inputs_of(example), **example.attrs)


def worked_out(example: Example, arrays: list[Array]) -> list[Array]:
    """What the formula comes to: its results in the order of the outputs."""
    numbers = dict(zip(inputs_of(example), map(Quantity, arrays)))
    e = formula_of(example)
    if not isinstance(e, Listing):
        return list(results(e, numbers))
    *named, last = steps(e, numbers)
    return [last, *named]


def check_formula(example: Example, arrays: list[Array]) -> None:
    wanted, found = example.reference(arrays), iter(worked_out(example, arrays))
    for want in wanted:
        # A listing may have steps of its own between the results.
        assert any(is_close(got, want) for got in found), formula_of(example).text()


def is_close(got: Array, want: Array) -> bool:
    """Axes that were summed over are left in what is written, with length 1."""
    if got.size == want.size:
        got = got.reshape(want.shape)
    try:
        got, wide = np.broadcast_to(got, want.shape), want.astype(np.float64)
    except ValueError:
        return False
    largest = float(np.max(np.abs(wide[np.isfinite(wide)]), initial=0))
    return np.allclose(got, wide, TOLERANCE, TOLERANCE * largest, equal_nan=True)


def is_double(example: Example) -> bool:
    """Some cases name their type themselves: those in float32 are another test's."""
    return DType.float32 not in {t.dtype for t in example.types}


@every(all_cases((DType.float64,), is_double))
def test_the_formula_is_what_is_computed(
    example: Example, rng: np.random.Generator
) -> None:
    check_formula(example, example.draw(rng))
