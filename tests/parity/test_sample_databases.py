"""Every function that both have, on PyTorch's own samples: values and derivatives.

A sample is right, or refused by an error of ours for a reason that is written down. The
fast tests take some of the names; the slow ones all of them.
"""

from __future__ import annotations

import pytest

from tests.parity.sample_databases import Check, offered

pytestmark = pytest.mark.parity
#: More than there are names.
MOST = 600
#: Names in one slow test, and samples of each of their variants that are compiled.
SEVERAL, COMPILED = 10, 3

#: Where ours is another result, by the reason.
DIFFERENT = {
    "multinomial": "all classes without replacement come in an order that is drawn",
}


def wrong(names: list[str], compiled: int) -> list[str]:
    """What is wrong, crashed, or refused without a reason in samples of these names."""
    found = []
    for name in names:
        if name in DIFFERENT:
            continue
        report = Check(name, compiled).run()
        every = (*report.wrong, *report.crashed, *report.unexplained())
        found += [f"{name} {text}" for text in every]
    return found


def test_many_names_are_offered() -> None:
    assert 490 <= len(list(offered())) <= MOST


def test_some_names_are_right_or_refused() -> None:
    assert not (found := wrong(sorted(offered())[::60], 1)), "\n".join(found[:40])


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, MOST, SEVERAL))
def test_all_names_are_right_or_refused(first: int) -> None:
    found = wrong(sorted(offered())[first : first + SEVERAL], COMPILED)
    assert not found, "\n".join(found[:40])
