"""scikit-learn's linear text classifiers as baselines, and their measures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.recipes.datasets.labelled_texts import Texts
from chainrule.text import _

#: The measures, and what is printed for them.
MEASURES = {"roc_auc": "ROC AUC", "f1": "F1", "accuracy": _("accuracy")}


def measures(
    labels: np.ndarray, scores: np.ndarray, decisions: np.ndarray
) -> list[float]:
    """Return a binary classifier's ROC AUC, F1 and accuracy.

    Args:
        labels: 0 or 1.
        scores: any numbers; the larger, the more likely is 1.
        decisions: 0 or 1, or Boolean.
    """
    from sklearn import metrics

    auc, f1 = metrics.roc_auc_score(labels, scores), metrics.f1_score(labels, decisions)
    return [float(auc), float(f1), float(np.mean(decisions == labels))]


def linear_models(
    tokenize: Callable[[str], list[str]], train: Texts, test: Texts
) -> dict[str, list[float]]:
    """Fit linear text classifiers on TF-IDF; return their measures on test texts.

    Naive Bayes, logistic regression and linear support vectors, with settings that suit
    texts.

    Args:
        tokenize: splits a text into its words.
        train, test: the texts.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.svm import LinearSVC

    models: dict[str, Any] = {
        _("naive Bayes"): MultinomialNB(alpha=0.1),
        _("logistic"): LogisticRegression(C=10, max_iter=1000),
        _("linear SVM"): LinearSVC(C=1, random_state=0),
    }
    tfidf = TfidfVectorizer(
        sublinear_tf=True,
        tokenizer=tokenize,
        token_pattern=None,  # pyright: ignore[reportArgumentType]
        lowercase=False,
    )
    x, x_test = tfidf.fit_transform(train.texts), tfidf.transform(test.texts)
    results = {}
    for name, model in models.items():
        model.fit(x, train.y)
        if hasattr(model, "decision_function"):
            scores = model.decision_function(x_test)
        else:
            scores = model.predict_log_proba(x_test) @ [-1, 1]
        results[name] = measures(test.y, scores, model.predict(x_test))
    return results
