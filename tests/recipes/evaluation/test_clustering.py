"""clustering: the best matching of all, mutual information by its definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from chainrule.recipes.evaluation import clustering

from ..runs import need

need("sklearn")


def test_the_best_matching_of_all() -> None:
    """Four clusters: all 24 ways of matching them are tried."""
    rng = np.random.default_rng(0)
    for _ in range(5):
        clusters, labels = rng.integers(0, 4, (2, 40))
        best = max(
            float(np.mean(np.array(classes)[clusters] == labels))
            for classes in itertools.permutations(range(4))
        )
        found, classes = clustering.matched(clusters, labels)
        assert found == pytest.approx(best)
        assert np.mean(classes[clusters] == labels) == pytest.approx(best)


def test_mutual_information_by_its_definition() -> None:
    clusters, labels = np.random.default_rng(1).integers(0, 3, (2, 60))
    p = np.zeros((3, 3))
    np.add.at(p, (clusters, labels), 1 / 60)
    rows, columns = p.sum(1), p.sum(0)
    shared = (p * np.log(p / np.outer(rows, columns))).sum()
    entropies = -(rows * np.log(rows)).sum() - (columns * np.log(columns)).sum()
    found = clustering.scores(clusters.tolist(), labels)
    assert found["nmi"] == pytest.approx(2 * shared / entropies)
    assert found["accuracy"] == clustering.matched(clusters, labels)[0]
    assert clustering.scores((labels + 1) % 3, labels) == {"accuracy": 1, "nmi": 1}


def test_both_methods_separate_what_is_far_apart() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, 90)
    x = rng.standard_normal((90, 2)) + 20 * labels[:, None]
    found = clustering.cluster(x[:60], x[60:], 3, 0)
    for method in ("k-means", "mixture"):
        train, test = found[method]
        assert clustering.matched(train, labels[:60])[0] == 1
        assert clustering.matched(test, labels[60:])[0] == 1
    assert sorted(found["centres"].mean(1)) == pytest.approx([0, 20, 40], abs=1)
