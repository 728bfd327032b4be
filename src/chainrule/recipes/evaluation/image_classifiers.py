"""Image classifiers of scikit-learn as baselines: on pixels, on gradients (HOG)."""

from __future__ import annotations

import numpy as np

from chainrule.recipes.evaluation import hog
from chainrule.text import _


def image_classifier_accuracies(
    x: np.ndarray, y: np.ndarray, test_x: np.ndarray, test_y: np.ndarray, *, seed: int
) -> dict[str, float]:
    """Return test accuracies of scikit-learn's image classifiers, as baselines.

    Args:
        x, y: images (n, channels, h, w) and classes (n,) to fit to.
        test_x, test_y: those to test with.
        seed: of the forest.
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import RidgeClassifier
    from sklearn.svm import SVC

    pixels = [images.reshape(len(images), -1) for images in (x, test_x)]
    side = x.shape[3] // 7
    gradients = [hog.histograms(images.mean(1), side) for images in (x, test_x)]
    forest = RandomForestClassifier(300, random_state=seed % 2**32)
    fits = {
        _("pixels, linear"): (RidgeClassifier(alpha=1e3), pixels),
        _("pixels, SVM"): (SVC(C=10), pixels),
        _("pixels, forest"): (forest, pixels),
        "HOG, SVM": (SVC(C=10), gradients),
    }
    return {
        name: float(classifier.fit(rows, y).score(test_rows, test_y))
        for name, (classifier, (rows, test_rows)) in fits.items()
    }
