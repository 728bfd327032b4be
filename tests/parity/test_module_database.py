"""Every layer that both have, on PyTorch's own samples: values and derivatives.

A sample is right or refused by an error of ours. The fast tests take some of the
layers; the slow ones all of them, compiled too.
"""

from __future__ import annotations

import pytest

from tests.parity.module_database import ModuleCheck, offered

pytestmark = pytest.mark.parity
#: Layers in one slow test, and more than there are layers.
SEVERAL, MOST = 8, 120

#: Where ours is another result, by the reason.
DIFFERENT = {
    "values [0.] for [nan]": "the mean of labels that are all ignored is 0 here",
}


def wrong(names: list[str], compiled: int) -> list[str]:
    """What is wrong or crashed in the samples of these layers."""
    reports = [ModuleCheck(name, compiled).run() for name in names]
    found = [f"{r.name} {text}" for r in reports for text in (*r.wrong, *r.crashed)]
    return [
        text
        for text in found
        if not ("ignore_index_mean" in text and any(d in text for d in DIFFERENT))
    ]


def test_some_layers_are_right_or_refused() -> None:
    names = sorted(offered())
    assert 110 <= len(names) <= MOST
    assert not (found := wrong(names[::20], 0)), "\n".join(found[:40])


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, MOST, SEVERAL))
def test_all_layers_are_right_or_refused(first: int) -> None:
    found = wrong(sorted(offered())[first : first + SEVERAL], 1)
    assert not found, "\n".join(found[:40])
