"""The network of ``classical`` beside PyTorch and scikit-learn: same images and split.

    python benchmarks/recipes/classical.py mnist --seeds 3
    python benchmarks/recipes/classical.py digits --seeds 3     # a seed is a fold

PyTorch trains the same network of convolutions, on digits shifted alike. scikit-learn
has none: its ``MLPClassifier`` is a dense network on the same pixels, with the solver
that was fastest at its best quality, for as many epochs. Its SVM, on pixels and on the
recipe's HOG, stands for quality.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytorch
import torch
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC
from turns import Data, Run, Side, Trial, arguments, compare, epochs, fitted

from chainrule.recipes import classical
from chainrule.recipes.evaluation.hog import histograms


def pixels(name: str) -> Data:
    """Images (n, h, w) and labels of the seed's fold."""

    def data(trial: Trial) -> tuple[Any, Any, Any, Any]:
        x, y, folds = getattr(classical, name)(trial.quick)
        train, test = folds[trial.seed % len(folds)]
        x = x.astype(np.float32)
        return x[train], y[train], x[test], y[test]

    return data


def hog(name: str) -> Data:
    """The same, as histograms of oriented gradients."""

    def data(trial: Trial) -> tuple[Any, Any, Any, Any]:
        x, y, asked, truth = pixels(name)(trial)
        side = x.shape[1] // 4
        return histograms(x, side), y, histograms(asked, side), truth

    return data


def budget(trial: Trial) -> dict[str, int]:
    """Epochs and images of a batch."""
    passes = 3 if trial.quick else classical.EPOCHS
    return {"epochs": passes, "batch_size": classical.BATCH_SIZE}


def ours(name: str) -> Side:
    """The recipe's Trainer."""

    def side(trial: Trial) -> Run:
        x, y, asked, truth = pixels(name)(trial)
        trainer = classical.trainer(trial, x.shape[1])
        yield from epochs(trainer, (x[:, None], y), **budget(trial))
        scores = trainer.predict(asked[:, None])
        return {"accuracy": float(np.mean(scores.argmax(1) == truth))}

    return side


def theirs(name: str) -> Side:
    """PyTorch's side."""

    def side(trial: Trial) -> Run:
        x, y, asked, truth = pixels(name)(trial)
        pytorch.prepare(trial)
        crop, *layers = classical.trainer(trial, x.shape[1]).model.children()
        model, border = pytorch.twin(*layers), crop.padding
        how: Any = {"lr": classical.LR, "weight_decay": 0.05, **budget(trial)}
        how["changed"] = lambda rows: shifted(rows, border)
        yield from pytorch.epochs(model, x[:, None], y, **how)
        return pytorch.accuracy(model, asked[:, None], truth)

    return side


def shifted(x: torch.Tensor, border: int) -> torch.Tensor:
    """Up to so many pixels each way."""
    n, _, side, _ = x.shape
    moved = torch.randint(0, 2 * border + 1, (2, n, 1)) + torch.arange(side)
    rows, columns = moved[0][:, :, None], moved[1][:, None]
    padded = torch.nn.functional.pad(x, (border,) * 4)[:, 0]
    return padded[torch.arange(n)[:, None, None], rows, columns][:, None]


def dense(name: str) -> Side:
    """scikit-learn's network, with momentum; Adam and L-BFGS took longer for less."""

    def side(trial: Trial) -> Run:
        x, y, asked, truth = pixels(name)(trial)
        model = MLPClassifier(
            (256,),
            solver="sgd",
            learning_rate_init=0.1,
            batch_size=classical.BATCH_SIZE,
            random_state=trial.seed,
        )
        rows, new = x.reshape(len(x), -1), asked.reshape(len(asked), -1)
        yield
        for _ in range(budget(trial)["epochs"]):
            model.partial_fit(rows, y, classes=range(10))
            yield
        return {"accuracy": float(model.score(new, truth))}

    return side


def svm(trial: Trial) -> SVC:
    """The recipe's."""
    return SVC(C=10)


if __name__ == "__main__":
    given = arguments(__doc__, collection={"choices": ["mnist", "digits"]})
    name = given.collection
    sides = {"Chainrule": ours(name), "PyTorch": theirs(name)}
    sides["MLPClassifier"] = dense(name)
    sides |= {"SVM": fitted(svm, pixels(name)), "SVM on HOG": fitted(svm, hog(name))}
    compare(given, "classical", f"digits read from pixels, {name}", sides)
