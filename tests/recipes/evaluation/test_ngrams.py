"""N-gram models against counting by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from chainrule.recipes.evaluation import ngrams

SEQUENCES = [[0, 1, 3, 3, 1, 0], [0, 3, 1, 3, 0], [2]]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_counts_by_hand(n: int) -> None:
    expected = Counter(
        tuple(row[i : i + n]) for row in SEQUENCES for i in range(len(row) - n + 1)
    )
    table = ngrams.counts(SEQUENCES, n, 4)
    assert table.shape == (4,) * n
    assert {k: int(v) for k, v in np.ndenumerate(table) if v} == expected
    p = ngrams.smoothed(table, 0.5)
    assert p.sum(-1) == pytest.approx(1)
    costs = [-np.log(p[k]) for k, count in expected.items() for _ in range(count)]
    assert ngrams.cross_entropy(p, table) == pytest.approx(np.mean(costs))


def test_no_sequence() -> None:
    assert ngrams.counts([], 2, 3).tolist() == [[0] * 3] * 3


def test_alpha_is_chosen_by_the_validation_part() -> None:
    parts = {"train": SEQUENCES, "validation": [[1, 2, 3]], "test": [[3, 3, 1]]}
    alphas = (0.01, 0.1, 1.0, 10.0)
    figures = ngrams.evaluate(parts, 2, 4, alphas)
    tables = {name: ngrams.counts(rows, 2, 4) for name, rows in parts.items()}
    costs = {
        alpha: {
            name: ngrams.cross_entropy(ngrams.smoothed(tables["train"], alpha), table)
            for name, table in tables.items()
        }
        for alpha in alphas
    }
    assert figures.pop("alpha") == 10.0
    assert figures == costs[10.0]
    assert min(cost["validation"] for cost in costs.values()) == figures["validation"]
    assert min(cost["test"] for cost in costs.values()) < figures["test"]
