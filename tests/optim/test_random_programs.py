"""Random programs over optimisers are the same eagerly, cut, and in plain NumPy."""

from __future__ import annotations

import pytest

from tests.optim.programs import draw, failure
from tests.ways import ENGINES


def run(seeds: range) -> None:
    for seed in seeds:
        program = draw(seed, ENGINES)
        wrong = failure(program)
        if wrong is not None:
            pytest.fail(f"{program}\n\n{wrong}")


@pytest.mark.one_in(3)
@pytest.mark.parametrize("part", range(3))
def test_programs_are_the_same_however_they_are_cut(part: int) -> None:
    run(range(2 * part, 2 * part + 2))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
def test_many_programs_are_the_same_however_they_are_cut(part: int) -> None:
    run(range(1000 + 10 * part, 1010 + 10 * part))
