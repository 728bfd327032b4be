"""Every primitive and composite on the XLA engine, as on the other engines.

Integers, truth values and random bits are equal; floats are within the tolerances of
``tests/conformance``.
"""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.graph.primitive import Primitive
from tests.conformance import test_dtypes, test_engines
from tests.conformance.cases import Example
from tests.conformance.test_dtypes import KINDS, PRIMITIVES
from tests.conformance.test_engines import (
    batches,
    full_order,
    order_of,
    runs_as_code,
)


@pytest.mark.parametrize("mine", batches(order_of))
def test_xla_agrees_with_the_references(
    mine: list[tuple[Example, int]], rng: np.random.Generator
) -> None:
    if not runs_as_code(mine[0][0]):
        mine = [(example, 0) for example, __ in mine[:1]]
    test_engines.check(mine, rng, ["xla"])


@pytest.mark.slow
@pytest.mark.parametrize("mine", batches(full_order))
def test_xla_agrees_in_all_examples(
    mine: list[tuple[Example, int]], rng: np.random.Generator
) -> None:
    test_engines.check(mine, rng, ["xla"])


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_each_kind_of_type(primitive: Primitive, rng: np.random.Generator) -> None:
    test_dtypes.check(primitive, KINDS, rng, ["xla"])
