"""baselines: scikit-learn's classifiers, fitted to what they are given."""

from __future__ import annotations

import numpy as np

from chainrule.recipes.evaluation import baselines

from ..runs import need

need("sklearn")


def test_every_classifier_learns_and_is_tested_on_other_rows() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    x = rng.standard_normal((300, 6)) + 3 * y[:, None]
    split = x[:200], y[:200], x[200:], y[200:]
    found = baselines.accuracies(baselines.feature_classifiers(), split)
    assert len(found) == 4
    assert min(found.values()) > 0.95
    wrong = x[:200], y[:200], x[200:], 1 - y[200:]
    turned = baselines.accuracies(baselines.feature_classifiers(), wrong)
    assert all(turned[name] == 1 - found[name] for name in found)
