"""Random programs of changes in place beside PyTorch: the same, or refused.

Views of views, ``.data``, ``.grad``, chunks, orders, loops over parts, initialisation,
``no_grad``, derivatives and optimiser steps, eagerly and as compiled functions.
"""

from __future__ import annotations

import pytest

from tests.parity.in_place_machine import (
    compiled,
    drawn,
    shrunk,
    wrong_with,
)

pytestmark = pytest.mark.parity


def run(seeds: range, share: float) -> None:
    """Run programs, of which at most such a share may be refused at the end."""
    refused = 0
    for seed in seeds:
        made = drawn(seed)
        refused += made.refused is not None
        if made.wrong is not None:
            short = shrunk(made.program)
            text = "\n".join(short)
            pytest.fail(f"seed {seed}\n{text}\n\n{wrong_with(short) or made.wrong}")
    assert refused <= share * len(seeds)


def run_compiled(seeds: range, engine: str, share: float) -> None:
    refused = 0
    for seed in seeds:
        program = drawn(seed).program
        made = compiled(program, seed % len(program), engine) if program else None
        if made is None:
            continue
        refused += made.refused is not None
        if made.wrong is not None:
            text = "\n".join(program)
            pytest.fail(
                f"seed {seed}, cut at {seed % len(program)}\n{text}\n{made.wrong}"
            )
    assert refused <= share * len(seeds)


def test_programs_are_those_of_pytorch_or_refused() -> None:
    run(range(40), 0.35)


def test_compiled_programs_are_those_of_pytorch_or_refused(engine: str) -> None:
    run_compiled(range(50, 60), engine, 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(5))
def test_many_programs_are_those_of_pytorch_or_refused(part: int) -> None:
    run(range(1000 + 500 * part, 1500 + 500 * part), 0.25)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_many_compiled_programs_are_those_of_pytorch(part: int, engine: str) -> None:
    run_compiled(range(20_000 + 100 * part, 20_100 + 100 * part), engine, 0.35)
