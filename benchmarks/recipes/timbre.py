"""``timbre`` beside PyTorch, and scikit-learn's best for quality: the same tones.

    python benchmarks/recipes/timbre.py --seeds 3

Of scikit-learn's classifiers (SVM, forests, neighbours, logistic regression, its own
network) the SVM named most tones of seed 0 rightly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytorch
from sklearn.svm import SVC
from turns import Run, Trial, arguments, compare, fitted

from chainrule.recipes import timbre
from chainrule.recipes.datasets.tones import tones


def data(trial: Trial) -> tuple[Any, Any, Any, Any]:
    """Spectrograms and instruments, to learn from and to ask about."""
    counts = (80, 40) if trial.quick else (300, 100)
    x, y = tones([trial.seed, 1], counts[0])
    asked, truth = tones([trial.seed, 2], counts[1])
    return timbre.spectrograms(x), y, timbre.spectrograms(asked), truth


def ours(trial: Trial) -> Run:
    """The recipe's Trainer."""
    x, y, asked, truth = data(trial)
    trainer = timbre.learn(trial, "instruments", x, y)
    yield from trial.epochs()
    return {"accuracy": float(np.mean(trainer.predict(asked).argmax(1) == truth))}


def theirs(trial: Trial) -> Run:
    """PyTorch's side."""
    x, y, asked, truth = data(trial)
    pytorch.prepare(trial)
    layers = timbre.learn(trial, "instruments", x, y).model.children()
    model = pytorch.twin(*layers)
    how: Any = {"lr": timbre.LR, "weight_decay": 0.1, **trial.budget}
    yield from pytorch.epochs(model, x, y, **how)
    return pytorch.accuracy(model, asked, truth)


if __name__ == "__main__":
    sides = {"Chainrule": ours, "PyTorch": theirs}
    sides["SVM"] = fitted(lambda _: SVC(C=10), data)
    compare(arguments(__doc__), "timbre", "instruments by their spectrograms", sides)
