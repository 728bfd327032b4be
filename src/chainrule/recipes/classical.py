"""Handcrafted features and learned features, compared on digits (1.2, 1.4).

The classifiers of the second wave, a decision tree, k nearest neighbours, a support
vector machine and a random forest, get the pixels, and then the histograms of
oriented gradients that people designed for pictures (Dalal and Triggs 2005):

    g = (∂I/∂x, ∂I/∂y),  |g| is counted at the angle of g, cell by cell, in 9 bins of
    20°;  the cells of each block of 2 × 2 become v / √(‖v‖² + ε²), cut off at 0.2 and
    scaled once more.

A network of convolutions gets the pixels alone and makes features of its own. All of
them learn from the same images and are tested on the same others:

    digits   scikit-learn's 1,797 images of 8 × 8, in scikit-learn's five folds
    MNIST    5,000 images of the training set, 2,000 of the test set, 28 × 28

What to look at, in this order:

    1   What HOG sees: a star for each cell, with a ray along each edge that it finds.
    2   The table. On 28 × 28 pixels HOG brings every method forward: what was designed
        does the work. On 8 × 8 it has too little to count, and harms. The network gets
        pixels both times, and finds what it needs.
    3   The first filters that it has learned: edges too.
    4   What the best of them confuses.

Settings were fixed beforehand; nothing was chosen by the test images.

    pip install 'chainrule[sklearn]'
    chainrule train classical
    python -m chainrule.recipes.classical
"""

from __future__ import annotations

from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes import Experiment, Reference
from chainrule.recipes.evaluation import hog
from chainrule.recipes.pictures import classical as pictures
from chainrule.text import _, ngettext, padded, say, tr
from chainrule.viz import gallery

SUMMARY = _("tree, kNN, SVM, forest on pixels and on HOG, beside a network that learns")
SECONDS = 30
SVM, BEST = _("scikit-learn, SVC(gamma=.001)"), _("the best of the others, HOG, SVM")
REFERENCES = [
    Reference("digits.pixels.SVM", at_least=0.96, source="scikit-learn, SVC() 0.963"),
    Reference("digits.network", at_least=0.972, source=SVM),
    Reference("mnist.network", at_least=0.975, source=BEST),
]
METHODS = (_("tree"), "kNN", "SVM", _("forest"))
TRAIN, TEST = 5000, 2000
EPOCHS, BATCH_SIZE, LR = 20, 32, 4e-3


def classify(x: Any, y: Any, x_test: Any, seed: int) -> dict[str, Any]:
    """Return the test predictions of scikit-learn's classifiers by name."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC
    from sklearn.tree import DecisionTreeClassifier

    classifiers = (
        DecisionTreeClassifier(random_state=seed),
        KNeighborsClassifier(3),
        SVC(C=10),
        RandomForestClassifier(200, random_state=seed),
    )
    fitted = [classifier.fit(x, y) for classifier in classifiers]
    return {name: f.predict(x_test).tolist() for name, f in zip(METHODS, fitted)}


def network(side: int) -> nn.Module:
    """Return a small convolutional network for images of side × side pixels.

    side² pixels → 16 and 32 filters of 3 × 3 → 64 → 10 scores.

    Larger images are halved before the second filters, too.
    """
    large = side > 16
    left = side // 4 if large else side // 2
    return nn.Sequential(
        nn.RandomCrop(side, padding=2 if large else 1),
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        *([nn.MaxPool2d(2)] if large else []),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * left * left, 64),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(64, 10),
    )


def trainer(experiment: Experiment, side: int) -> cr.Trainer:
    """Return a Trainer of a convolutional network for images of side × side pixels."""
    cr.manual_seed(experiment.seed)
    return cr.Trainer(
        network(side),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.AdamW(lr=optim.OneCycleLR(LR), weight_decay=0.05),
        metrics=(),
        seed=experiment.seed,
        **experiment.engine_options,
    )


#: Images (n, h, w) from 0 to 1, labels, and the training and test rows of each fold.
Task = tuple[np.ndarray, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]


def digits(quick: bool = False) -> Task:
    """Return scikit-learn's 8 × 8 digits, with the folds of ``cross_val_score``."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import StratifiedKFold

    data: Any = load_digits()
    folds = list(StratifiedKFold(5).split(data.data, data.target))
    return data.images / 16, data.target, folds[:1] if quick else folds


def mnist(quick: bool = False) -> Task:
    """Return the first images of MNIST's training and test sets, 28 × 28."""
    train, test = (600, 300) if quick else (TRAIN, TEST)
    parts = [part.take(n) for part, n in zip(cr.data.mnist(), (train, test))]
    x = np.concatenate([part.x[:].reshape(-1, 28, 28) for part in parts])
    rows = np.arange(train + test)
    return x, np.concatenate([p.y for p in parts]), [(rows[:train], rows[train:])]


def compare(experiment: Experiment, name: str, task: Task) -> dict[str, Any]:
    """Compare every classifier on one data set; show the best one's confusions."""
    x, y, folds = task
    side, seed = x.shape[1] // 4, experiment.seed % 2**32  # four by four cells
    inputs = {"pixels": x.reshape(len(x), -1), "HOG": hog.histograms(x, side)}
    images = x[:, None].astype(np.float32)
    epochs = 3 if experiment.quick else EPOCHS
    budget = {"epochs": epochs, "batch_size": BATCH_SIZE, "progress": False}
    predicted: dict[str, list[int]] = {}
    for fold, (train, test) in enumerate(folds):
        for features, rows in inputs.items():
            parts = rows[train], y[train], rows[test], seed
            found = experiment.cached(f"{name}-{fold}-{features}", classify, *parts)
            for method, classes in found.items():
                predicted.setdefault(f"{features} {method}", []).extend(classes)
        data, fresh = (images[train], y[train]), trainer(experiment, x.shape[1])
        trained = experiment.fit(f"{name}-{fold}", fresh, data, **budget)
        classes = trained.predict(images[test]).argmax(1)
        predicted.setdefault("network", []).extend(classes.tolist())
    truth = y[np.concatenate([test for __, test in folds])]
    scores = {k: float(np.mean(truth == v)) for k, v in predicted.items()}
    table = {k: {m: scores[f"{k} {m}"] for m in METHODS} for k in inputs}
    say(
        ngettext(
            "{name}, {n:,} test image\n",
            "{name}, {n:,} test images\n",
            n=len(truth),
            name=name,
        )
    )
    say("                    pixels           HOG")
    for method in METHODS:
        row = table["pixels"][method], table["HOG"][method]
        print(f"   {padded(tr(method), 9)}{row[0]:14.1%}{row[1]:14.1%}")
    print(f"   {padded(tr('network'), 9)}{scores['network']:14.1%}\n")

    best = max(scores, key=lambda method: scores[method])
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (truth, np.asarray(predicted[best])), 1)
    errors = confusion - np.diag(np.diag(confusion))
    title = _("{name}: pixels, and their histograms of oriented gradients", name=name)
    drawn = x[:6], hog.cells(x[:6], side)
    experiment.draw(f"{name}-hog", pictures.stars, *drawn, title=title, size=(7.0, 3.0))
    title = _("{name}: the first filters learned", name=name)
    filters = next(iter(trained.model.parameters())).numpy()[:, 0]
    look = {"columns": 8, "signed": True, "size": (7.0, 2.0)}
    experiment.draw(f"{name}-filters", gallery.images, filters, title=title, **look)
    title = _("{name}: errors of the best method ({best})", name=name, best=best)
    axes: Any = {"across": _("read"), "up": _("true"), "numbers": "d"}
    experiment.draw(f"{name}-confusion", gallery.heat, errors, title=title, **axes)
    result = {**table, "network": scores["network"], "best": best}
    return {**result, "confusion": confusion.tolist()}


def run(experiment: Experiment) -> dict[str, Any]:
    """Compare handcrafted features and classifiers with a CNN on two digit sets.

    Args:
        experiment: the seed of trees, of initial weights and of order.
    """
    experiment.package("sklearn", "chainrule[sklearn]")
    tasks = {"digits": digits(experiment.quick), "mnist": mnist(experiment.quick)}
    return {name: compare(experiment, name, task) for name, task in tasks.items()}


if __name__ == "__main__":
    run(Experiment("classical"))
