"""Handcrafted features and learned features, compared on digits (1.2, 1.4).

The classifiers of the second wave, a decision tree, k nearest neighbours, a support
vector machine and a random forest, are given the pixels, and then the histograms of
oriented gradients that people designed for pictures (Dalal and Triggs 2005):

    g = (∂I/∂x, ∂I/∂y),  |g| is counted at the angle of g, cell by cell, in 9 bins of
    20°;  the cells of each block of 2 × 2 become v / √(‖v‖² + ε²), cut off at 0.2 and
    scaled once more.

A network of convolutions gets the pixels alone and makes features of its own. All of
them learn from the same images and are asked about the same others:

    digits   scikit-learn's 1,797 images of 8 × 8, in scikit-learn's five folds
    MNIST    5,000 images of the training set, 2,000 of the test set, 28 × 28

What to look at, in this order:

    1   What HOG sees: a star for each cell, with a ray along each edge that it finds.
    2   The table. On 28 × 28 pixels HOG brings every method forward: what was designed
        does the work. On 8 × 8 it has too little to count, and harms. The network gets
        pixels both times, and finds what it needs.
    3   The first filters that it has learned: edges too.
    4   What the best of them confuses.

Settings were fixed beforehand; nothing was chosen by what is asked about.

    pip install 'chainrule[sklearn]'
    chainrule train classical
    python -m chainrule.recipes.classical
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, viz
from chainrule.recipes import Experiment, Reference
from chainrule.text import _, say, tr

SUMMARY = _("tree, kNN, SVM, forest on pixels and on HOG, beside a network that learns")
SECONDS = 30
REFERENCES = [
    Reference("digits.pixels.SVM", at_least=0.96, source="scikit-learn, SVC() 0.963"),
    Reference(
        "digits.network", at_least=0.972, source=_("scikit-learn, SVC(gamma=.001)")
    ),
    Reference(
        "mnist.network", at_least=0.975, source=_("the best of the others, HOG, SVM")
    ),
]
TRAIN, TEST, FOLDS, BINS = 5000, 2000, 5, 9
EPOCHS, BATCH_SIZE, LR = 20, 32, 4e-3


# -- features by hand ------------------------------------------------------------------


def gradients(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return |g| and the bin of its unsigned angle (0 … 8) for images (n, h, w)."""
    down, across = np.zeros_like(images), np.zeros_like(images)
    down[:, 1:-1] = images[:, 2:] - images[:, :-2]
    across[:, :, 1:-1] = images[:, :, 2:] - images[:, :, :-2]
    angle = np.rad2deg(np.arctan2(down, across)) % 180
    return np.hypot(down, across), np.minimum(angle // (180 / BINS), BINS - 1).astype(
        int
    )


def cells(images: np.ndarray, side: int) -> np.ndarray:
    """Return the mean |g| in each cell and direction, (n, rows, columns, 9)."""
    size, bins = gradients(images.astype(float))
    n, height, width = images.shape
    rows, columns = height // side, width // side
    shape = n, rows, side, columns, side
    each = [np.where(bins == k, size, 0).reshape(shape) for k in range(BINS)]
    return np.stack([one.mean((2, 4)) for one in each], axis=-1)


def hog(images: np.ndarray, side: int) -> np.ndarray:
    """Return histograms of oriented gradients (HOG), (n, features).

    Args:
        images: (n, h, w).
        side: of a cell, in pixels; a block is 2 × 2 cells.
    """
    found = cells(images, side)
    rows, columns = found.shape[1] - 1, found.shape[2] - 1
    corners = [found[:, i:, j:][:, :rows, :columns] for i in (0, 1) for j in (0, 1)]
    blocks = scaled(np.minimum(scaled(np.concatenate(corners, axis=-1)), 0.2))
    return blocks.reshape(len(images), -1)


def scaled(v: np.ndarray) -> np.ndarray:
    """Return v / √(‖v‖² + ε²) along the last axis."""
    return v / np.sqrt((v**2).sum(-1, keepdims=True) + 1e-5**2)


# -- classifiers -----------------------------------------------------------------------


def machines(experiment: Experiment) -> dict[str, Callable[[], Any]]:
    """Return classical classifiers of scikit-learn, with settings that suit digits."""

    def part(name: str) -> Any:
        return experiment.package(f"sklearn.{name}", "chainrule[sklearn]")

    trees, forests = part("tree"), part("ensemble")
    how = {"random_state": experiment.seed % 2**32}
    return {
        "tree": lambda: trees.DecisionTreeClassifier(**how),
        "kNN": lambda: part("neighbors").KNeighborsClassifier(3),
        "SVM": lambda: part("svm").SVC(C=10),
        "forest": lambda: forests.RandomForestClassifier(200, **how),
    }


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


def learn(
    experiment: Experiment, stage: str, x: np.ndarray, y: np.ndarray
) -> cr.Trainer:
    """Train a network on images (n, h, w) from 0 to 1."""
    cr.manual_seed(experiment.seed)
    trainer = cr.Trainer(
        network(x.shape[1]),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.AdamW(lr=optim.OneCycleLR(LR), weight_decay=0.05),
        metrics=(),
        seed=experiment.seed,
        **experiment.engine_options,
    )
    train = cr.data.Dataset(x[:, None].astype(np.float32), y, classes=10)
    epochs = 3 if experiment.quick else EPOCHS
    how = {"epochs": epochs, "batch_size": BATCH_SIZE, "progress": False}
    return experiment.fit(stage, trainer, train, **how)


def said_by(trainer: cr.Trainer, x: np.ndarray) -> list[int]:
    """Return the classes that a network predicts."""
    return trainer.predict(x[:, None].astype(np.float32)).argmax(1).tolist()


def said_by_machines(
    experiment: Experiment, x: Any, y: Any, asked: Any
) -> dict[str, list[int]]:
    """Return the classes that scikit-learn's classifiers predict after fitting."""
    made = machines(experiment).items()
    return {name: make().fit(x, y).predict(asked).tolist() for name, make in made}


# -- data and folds --------------------------------------------------------------------

#: Images, labels, and which are asked about: (rest, held) for each fold.
Task = tuple[np.ndarray, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]


def digits(experiment: Experiment) -> Task:
    """Return scikit-learn's 8 × 8 digits with stratified folds in order.

    As ``cross_val_score`` makes them.
    """
    data: Any = experiment.package(
        "sklearn.datasets", "chainrule[sklearn]"
    ).load_digits()
    folds = experiment.package("sklearn.model_selection", "chainrule[sklearn]")
    x, y = data.images / 16, data.target
    parts = list(folds.StratifiedKFold(FOLDS).split(x.reshape(len(x), -1), y))
    return x, y, parts[:1] if experiment.quick else parts


def mnist(experiment: Experiment) -> Task:
    """Return the first images of MNIST's training and test sets, 28 × 28."""
    sizes = (600, 300) if experiment.quick else (TRAIN, TEST)
    parts = [part.take(n) for part, n in zip(cr.data.mnist(), sizes)]
    x = np.concatenate([part.x[:].reshape(-1, 28, 28) for part in parts])
    rows = np.arange(len(x))
    fold = rows[: sizes[0]], rows[sizes[0] :]
    return x, np.concatenate([part.y for part in parts]), [fold]


def compare(experiment: Experiment, name: str, task: Task) -> dict[str, Any]:
    """Compare every method on one data set; show the best one's confusions."""
    x, y, folds = task
    side = x.shape[1] // 4  # of a cell: four by four of them
    given = {"pixels": x.reshape(len(x), -1), "HOG": hog(x, side)}
    right: dict[str, list[float]] = {}
    said: dict[str, list[int]] = {}

    def note(method: str, found: list[int], held: np.ndarray) -> None:
        right.setdefault(method, []).append(float(np.mean(found == y[held])))
        said.setdefault(method, []).extend(found)

    for i, (rest, held) in enumerate(folds):
        for kind, features in given.items():
            parts = experiment, features[rest], y[rest], features[held]
            found = experiment.cached(f"{name}-{i}-{kind}", said_by_machines, *parts)
            for method, classes in found.items():
                note(f"{kind} {method}", classes, held)
        trainer = learn(experiment, f"{name}-{i}", x[rest], y[rest])
        note("network", said_by(trainer, x[held]), held)
    scores = {method: float(np.mean(each)) for method, each in right.items()}
    put(name, x, folds, scores, {kind: f.shape[1] for kind, f in given.items()})
    best = max(scores, key=lambda name: scores[name])
    truth = np.concatenate([y[held] for __, held in folds])
    confused = np.zeros((10, 10), int)
    np.add.at(confused, (truth, np.asarray(said[best])), 1)
    draw(experiment, name, x, side, trainer, best, confused)
    pairs = confused - np.diag(np.diag(confused))
    i, j = (int(n) for n in np.unravel_index(pairs.argmax(), pairs.shape))
    say(
        "   best: {best}; most often it takes a {i} for a {j} ({pairs} times)\n",
        best=best,
        i=i,
        j=j,
        pairs=pairs[i, j],
    )
    told: dict[str, Any] = {kind: {} for kind in given}
    for method, score in scores.items():
        kind, __, machine = method.partition(" ")
        told |= {"network": score} if not machine else {}
        if machine:
            told[kind][machine] = score
    return {**told, "best": best, "confusion": confused.tolist()}


def put(
    name: str, x: Any, folds: Any, scores: dict[str, float], sizes: dict[str, int]
) -> None:
    """Print the table of accuracies, methods by kinds of input."""
    rest, held = (len(part) for part in folds[0])
    times = f", in {len(folds)} folds" if len(folds) > 1 else ""
    say(
        "{name}, {shape} × {shape2}: {rest:,} to learn from, {held:,} "
        "asked about{times}\n",
        name=name,
        shape=x.shape[1],
        shape2=x.shape[2],
        rest=rest,
        held=held,
        times=times,
    )
    print(f"   {'':9}" + "".join(f"{f'{k} ({n})':>14}" for k, n in sizes.items()))
    for machine in ("tree", "kNN", "SVM", "forest"):
        cells = "".join(f"{scores[f'{kind} {machine}']:14.1%}" for kind in sizes)
        print(f"   {machine:9}{cells}")
    print(f"   {tr('network'):9}{scores['network']:14.1%}\n")


# -- pictures --------------------------------------------------------------------------


def draw(
    experiment: Experiment,
    name: str,
    x: np.ndarray,
    side: int,
    trainer: cr.Trainer,
    best: str,
    confused: np.ndarray,
) -> None:
    """Draw HOG features, the learned filters, and the best method's confusions."""
    title, size = f"{name}: pixels, and what HOG makes of them", (7.0, 3.0)
    experiment.draw(f"{name}-hog", stars, x[:6], side, title=title, size=size)
    filters = next(iter(trainer.model.parameters())).numpy()[:, 0]
    how = {
        "title": _("{name}: the first filters learned", name=name),
        "columns": 8,
        "signed": True,
    }
    experiment.draw(
        f"{name}-filters", viz.gallery.images, filters, size=(7.0, 2.0), **how
    )
    numbers = [str(i) for i in range(10)]
    axes: dict[str, Any] = {
        "rows": numbers,
        "columns": numbers,
        "across": _("read"),
        "up": _("true"),
    }
    axes["numbers"] = ".0f"
    off = confused - np.diag(np.diag(confused))
    title = f"{name}: what the best ({best}) takes for what"
    experiment.draw(f"{name}-confusion", viz.gallery.heat, off, title=title, **axes)


def stars(figure: Any, images: np.ndarray, side: int) -> None:
    """Draw images, and below them their HOG cells as stars of edge directions."""
    found = cells(images, side)
    found = found / found.max(axis=(1, 2, 3), keepdims=True)
    places = figure.subplots(2, len(images))
    for column, (image, histograms) in enumerate(zip(images, found)):
        above, below = places[:, column]
        above.imshow(image, cmap="gray", interpolation="nearest")
        below.set(xlim=(0, image.shape[1]), ylim=(image.shape[0], 0), aspect="equal")
        below.set_facecolor("black")
        for (i, j, k), share in np.ndenumerate(histograms):
            # An edge is at right angles to its gradient; rows count downwards.
            angle = np.deg2rad((k + 0.5) * 180 / BINS + 90)
            at = np.array([(j + 0.5) * side, (i + 0.5) * side])
            ray = share * side / 2 * np.array([np.cos(angle), np.sin(angle)])
            ends = np.array([at - ray, at + ray]).T
            below.plot(*ends, color="white", linewidth=1.4, alpha=float(share))
        for axes in (above, below):
            axes.grid(visible=False)
            axes.set(xticks=[], yticks=[])


# -- the whole -------------------------------------------------------------------------


def run(experiment: Experiment) -> dict[str, Any]:
    """Compare features and methods on both data sets.

    Args:
        experiment: the seed of trees, of initial weights and of order.
    """
    tasks = {"digits": digits(experiment), "mnist": mnist(experiment)}
    return {name: compare(experiment, name, task) for name, task in tasks.items()}


if __name__ == "__main__":
    run(Experiment("classical"))
