"""A measure of a generator's variety: the classes that its samples cover."""

from __future__ import annotations

from typing import Any

import numpy as np


def mode_coverage(probabilities: np.ndarray) -> dict[str, Any]:
    """Return generated samples' shares by class, and the classifier's confidence.

    Args:
        probabilities: of the classes for each sample, (n, classes).

    Returns:
        ``shares`` of the classes; ``classes``, how many have a share of 1 % at least;
        ``kl``, KL(shares ‖ uniform) = Σ p ln(p · classes) in nats, 0 where all
        are as frequent; ``confidence``, the mean of the largest probability.

    >>> mode_coverage(np.array([[0.9, 0.1], [0.7, 0.3]]))["shares"]
    [1.0, 0.0]
    """
    classes = probabilities.shape[1]
    labels = probabilities.argmax(1)
    shares = np.bincount(labels, minlength=classes) / len(probabilities)
    present = shares[shares > 0]
    return {
        "shares": shares.tolist(),
        "classes": int((shares >= 0.01).sum()),
        "kl": float((present * np.log(classes * present)).sum()),
        "confidence": float(probabilities.max(1).mean()),
    }
