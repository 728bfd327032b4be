"""A condition within a graph is seen to be broken, on every engine."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError
from chainrule.primitives.checks import require_all
from chainrule.primitives.elementwise import less
from chainrule.primitives.movement import full_like
from chainrule.tensor import Tensor, wrap
from tests.ways import WAYS


def below(x: Tensor, limit: float) -> Tensor:
    v = x.value
    condition = less(v, full_like(v, limit))
    answers = {"expected": f"x < {limit}", "got": "more", "fix": "look at x"}
    return wrap(require_all(v, condition, f"x reaches {limit}.", **answers))


def twice(x: Tensor) -> Tensor:
    return below(below(x, 2.0), 1.0) * 2


@pytest.mark.parametrize("engine", WAYS)
def test_the_first_condition_that_fails_is_the_error(engine: str) -> None:
    run = twice if engine == "eager" else cr.compile(twice, engine=engine)
    good, bad, worse = np.ones((3, 5000)) / 2, np.ones((3, 5000)) / 2, np.ones(3) * 3
    bad[1, 4321] = 1.0
    np.testing.assert_array_equal(run(cr.tensor(good)).numpy(), 1.0)
    for wrong, limit in ((bad, 1.0), (worse, 2.0)):
        with pytest.raises(ArgumentError, match=f"x reaches {limit}") as error:
            run(cr.tensor(wrong))
        assert (error.value.got, error.value.fix) == ("more", "look at x")
    np.testing.assert_array_equal(run(cr.tensor(good)).numpy(), 1.0)
    assert run(cr.tensor(np.zeros((0, 2)))).shape == (0, 2)


def test_derivatives_pass_through() -> None:
    slope = cr.grad(lambda x: below(x * x, 4.0).sum())
    np.testing.assert_array_equal(slope(cr.tensor([1.0, -1.5])).numpy(), [2.0, -3.0])
