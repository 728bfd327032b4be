"""Clustering by scikit-learn, and measures of its agreement with true labels."""

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
    """Return the accuracy and the normalised mutual information of clusters.

    Formula:
        nmi = 2 I(clusters; labels) / (H(clusters) + H(labels))
    """
    from sklearn.metrics import normalized_mutual_info_score

    shared = normalized_mutual_info_score(labels, clusters)
    return {"accuracy": matched(clusters, labels)[0], "nmi": float(shared)}


def cluster(x: np.ndarray, x_test: np.ndarray, count: int, seed: int) -> dict[str, Any]:
    """Cluster vectors by k-means and by a mixture of Gaussians, as baselines.

    Args:
        x: vectors (n, d) to fit to.
        x_test: vectors to assign to the same clusters.
        count: the number of clusters.
        seed: of the initial centres.

    Returns:
        ``"k-means"`` and ``"mixture"``, the clusters of x and of x_test; ``"centres"``,
        those of k-means.
    """
    from sklearn.cluster import KMeans
    from sklearn.mixture import GaussianMixture

    options: Any = {"n_init": 3, "random_state": seed}
    means = KMeans(count, **options).fit(x)
    mixture = GaussianMixture(count, reg_covar=1e-3, random_state=seed).fit(x)
    return {
        "k-means": [means.predict(x), means.predict(x_test)],
        "mixture": [mixture.predict(x), mixture.predict(x_test)],
        "centres": means.cluster_centers_,
    }
