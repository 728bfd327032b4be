"""Measures of clusters beside labels that the clustering did not see."""

from __future__ import annotations

from typing import Any

import numpy as np


def matched(clusters: Any, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Match clusters to classes, one to one, so that most samples agree (Kuhn 1955).

    Args:
        clusters: (n,), numbers of clusters from 0.
        labels: (n,), numbers of classes from 0.

    Returns:
        the accuracy of the matching, and the class of each cluster.
    """
    from scipy.optimize import linear_sum_assignment

    clusters = np.asarray(clusters)
    count = int(max(clusters.max(), labels.max())) + 1
    counts = np.zeros((count, count), int)
    np.add.at(counts, (clusters, labels), 1)
    rows, classes = linear_sum_assignment(-counts)
    return float(counts[rows, classes].sum() / len(labels)), classes


def scores(clusters: Any, labels: np.ndarray) -> dict[str, float]:
    """Return the accuracy, see :func:`matched`, and the normalised mutual information.

    Formula:
        nmi = 2 I(clusters; labels) / (H(clusters) + H(labels))
    """
    from sklearn.metrics import normalized_mutual_info_score

    shared = normalized_mutual_info_score(labels, clusters)
    return {"accuracy": matched(clusters, labels)[0], "nmi": float(shared)}
