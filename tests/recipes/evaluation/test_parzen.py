"""The Parzen likelihood against sums by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from chainrule.recipes.evaluation.parzen import likelihood, log_densities


def test_log_densities_by_hand(rng: np.random.Generator) -> None:
    x, centres = rng.random((260, 7)), rng.random((30, 7))
    sigmas = np.array([0.1, 0.5])
    densities = log_densities(x, centres, sigmas)
    assert densities.shape == (260, 2)
    for i in (0, 249, 250, 259):
        for j, s in enumerate(sigmas):
            total = 0.0
            for centre in centres:
                square = sum((a - b) ** 2 for a, b in zip(x[i], centre))
                total += math.exp(-square / (2 * s**2)) / (2 * math.pi * s**2) ** 3.5
            assert densities[i, j] == pytest.approx(math.log(total / 30), rel=1e-9)


def test_far_from_all_samples_it_is_still_a_number() -> None:
    row = log_densities(np.ones((1, 784)), np.zeros((2, 784)), np.array([0.1]))[0]
    assert row == pytest.approx([-784 / 0.02 - 392 * math.log(2 * math.pi * 0.01)])


def test_sigma_is_chosen_by_validation_rows(rng: np.random.Generator) -> None:
    """Samples of N(0, σ²): around one centre the best σ is the deviation."""
    validation, test = (s * rng.standard_normal((400, 50)) for s in (0.2, 0.35))
    row = likelihood(np.zeros((1, 50)), validation, test)
    assert row["sigma"] == pytest.approx(0.2, rel=0.04)
    ln = -np.square(test).sum(1) / (2 * row["sigma"] ** 2)
    ln -= 25 * np.log(2 * np.pi * row["sigma"] ** 2)
    assert row["parzen"] == pytest.approx(ln.mean())
    assert row["error"] == pytest.approx(ln.std(ddof=1) / 20)
