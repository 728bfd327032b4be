"""Every primitive and composite on the XLA engine, as on the other engines.

Integers, truth values and random bits are equal; floats are within the tolerances of
``tests/conformance``.
"""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.graph.primitive import Primitive
from chainrule.graph.types import NUMPY_DTYPES, DType
from tests.conformance import test_bfloat16, test_dtypes, test_engines
from tests.conformance.cases import Example
from tests.conformance.test_dtypes import KINDS, PRIMITIVES
from tests.conformance.test_engines import (
    batches,
    full_order,
    order_of,
    runs_as_code,
)
from tests.engines import test_long_sums


@pytest.mark.one_in(3)
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


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", test_long_sums.SUMS)
def test_roundings_of_long_sums(name: str, rng: np.random.Generator) -> None:
    test_long_sums.check("xla", name, rng)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_each_kind_of_type(primitive: Primitive, rng: np.random.Generator) -> None:
    test_dtypes.check(primitive, KINDS, rng, ["xla"])


@pytest.mark.one_in(8)
@pytest.mark.parametrize("primitive", test_bfloat16.PRIMITIVES)
def test_roundings_to_bfloat16(primitive: Primitive, rng: np.random.Generator) -> None:
    if test_engines.runs_as_code(test_bfloat16.narrow_examples(primitive)[0]):
        test_bfloat16.check_rounding(primitive, rng, ["xla"])


def test_every_kind_of_float32_is_rounded_to_nearest_even() -> None:
    test_bfloat16.check_every_kind("xla")


@pytest.mark.one_in(3)
@pytest.mark.parametrize("dtype", NUMPY_DTYPES, ids=lambda d: d.name)
def test_bfloat16_from_and_to_every_type(
    dtype: DType, rng: np.random.Generator
) -> None:
    test_bfloat16.check_conversion(dtype, rng, ["xla"])
