"""Classifiers of scikit-learn, fitted to the same rows as networks, as baselines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.text import _

#: Rows and classes to fit to, rows and classes to test with.
Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def feature_classifiers() -> dict[str, Any]:
    """Return scikit-learn classifiers by name, set up for standardised features."""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    return {
        _("nearest neighbours"): KNeighborsClassifier(5),
        _("logistic"): LogisticRegression(C=0.1, max_iter=2000),
        _("support vectors"): SVC(C=10),
        _("extra trees"): ExtraTreesClassifier(300, random_state=0),
    }


def accuracies(classifiers: Mapping[str, Any], split: Split) -> dict[str, float]:
    """Fit each classifier, and return its accuracy on the test rows.

    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> x, y = np.array([[0.0], [1.0]]), np.array([0, 1])
    >>> accuracies({"nearest": KNeighborsClassifier(1)}, (x, y, x + 0.1, y))
    {'nearest': 1.0}
    """
    x, y, x_test, y_test = split
    return {
        name: float(classifier.fit(x, y).score(x_test, y_test))
        for name, classifier in classifiers.items()
    }
