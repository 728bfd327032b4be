"""Mode coverage against its formula."""

from __future__ import annotations

import math

import numpy as np
import pytest

from chainrule.recipes.evaluation.mode_coverage import mode_coverage


def test_shares_and_their_divergence() -> None:
    rows = np.full((200, 10), 0.02)
    rows[np.arange(200), np.repeat([3, 8], [150, 50])] = 0.82
    row = mode_coverage(rows)
    assert row["shares"] == [0, 0, 0, 0.75, 0, 0, 0, 0, 0.25, 0]
    assert row["classes"] == 2
    assert row["confidence"] == pytest.approx(0.82)
    entropy = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert row["kl"] == pytest.approx(math.log(10) - entropy)
