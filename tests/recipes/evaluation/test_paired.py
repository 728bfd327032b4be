"""paired: spreads and conclusions."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.recipes.evaluation import paired


@pytest.mark.parametrize(
    ("mean", "std", "text"),
    [
        (0.05, 0.02, "the network is better"),
        (-0.05, 0.02, "the linear model is better"),
        (0.05, 0.10, "cannot be told apart"),
        (-0.01, 0.02, "cannot be told apart"),
        (0.0, 0.0, "cannot be told apart"),
        (0.5, None, "cannot be told apart"),
    ],
)
def test_the_verdict(mean: float, std: float | None, text: str) -> None:
    assert text in paired.verdict({"mean": mean, "std": std}, 5)


def test_one_split_has_no_spread() -> None:
    found = paired.spread(np.array([0.5]))
    assert found == {"mean": 0.5, "std": None}


def test_the_difference_is_that_of_the_pairs() -> None:
    scores = [
        {"network": {"r2": 0.5}, "linear": {"r2": 0.4}},
        {"network": {"r2": 0.3}, "linear": {"r2": 0.1}},
    ]
    found = paired.spreads(scores, "r2")
    assert found["network"]["mean"] == pytest.approx(0.4)
    assert found["linear"]["mean"] == pytest.approx(0.25)
    assert found["difference"]["mean"] == pytest.approx(0.15)
    assert found["difference"]["std"] == pytest.approx(0.1 / np.sqrt(2))
