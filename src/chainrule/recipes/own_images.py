"""Image classification for a folder of your own images, one folder for each class.

    photos/cat/1.jpg, photos/cat/2.jpg, photos/dog/1.jpg, …

    pip install --no-deps animal-shape-mnist
    pip install 'chainrule[images,sklearn]'
    chainrule train own-images --data photos
    chainrule train own-images
    python -m chainrule.recipes.own_images

Without a folder the images are shapes of ten animals, 300 different ones of each, from
the package animal-shape-mnist.

A few hundred images are few for a network that makes its features itself (1.4). It
helps to show it each of them in many ways: mirrored, turned, moved, scaled, with a
rectangle erased. The layers that do so stand in front of the network,

    x ↦ erase(turn(flip(x))),   z = network(x),   ℒ = −ln softmax(z)ᵧ

draw anew at every step, and pass images on unchanged in evaluation.

What to look at, in this order:

    1   The same images, as the network is shown them.
    2   The table, over several splits: beside scikit-learn on pixels and on HOG.
    3   The curves: without augmentation the training loss falls to nothing, and the
        accuracy on other images stands still.
    4   Which class is taken for which.

Settings were fixed beforehand; nothing is chosen by the images tested with.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, viz
from chainrule.recipes import Experiment, Reference
from chainrule.recipes.datasets.animal_shapes import write_shapes
from chainrule.recipes.datasets.classes import first_of_each_class
from chainrule.recipes.datasets.image_folders import read_images
from chainrule.recipes.evaluation.image_classifiers import image_classifier_accuracies
from chainrule.text import _, ngettext, padded, say, tr

SUMMARY = _("your own folder of images, with augmentation, beside scikit-learn's best")
SECONDS = 140
REFERENCES = [
    Reference(
        "network.mean", at_least=0.72, source=_("linear, on three times the images")
    ),
    Reference(
        "gain.rival", at_least=0.0, source=_("scikit-learn's best on HOG or pixels")
    ),
    Reference("gain.augmentation", at_least=0.0, source=_("the same network without")),
]
IMAGES, SPLITS = 300, 3  # of a class in the example
EPOCHS, BATCH_SIZE, LR, WEIGHT_DECAY = 40, 32, 4e-3, 0.05
QUICK_EPOCHS = 15
PLAIN, AUGMENTED = _("network"), _("network, augmented")


def images(experiment: Experiment, data: str | None) -> cr.data.Dataset:
    """Load the user's folder of images in colour, or example images in grey."""
    if data is not None:
        return read_images(data, size=(48, 48), mode="RGB")
    experiment.package("PIL.Image", "chainrule[images]")
    package = experiment.folder(
        "animal_shape_mnist.benchmarker", "--no-deps animal-shape-mnist"
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = (experiment.out or Path(temporary)) / "images"
        write_shapes(package, folder, 40 if experiment.quick else IMAGES)
        return read_images(folder, mode="L")


def augmentation() -> nn.Sequential:
    """Return image augmentation layers, active while the network trains."""
    return nn.Sequential(
        nn.RandomHorizontalFlip(),
        nn.RandomAffine(12, translate=(0.1, 0.1), scale=(0.85, 1.15)),
        nn.RandomErasing(0.3, scale=(0.02, 0.15)),
    )


def network(shape: tuple[int, ...], classes: int, *, augmented: bool) -> nn.Module:
    """Return a CNN image classifier with three convolutions and a hidden layer."""
    channels, height, width = shape
    layers: list[nn.Module] = [augmentation()] if augmented else []
    pools = [2, 2, 2 if min(height, width) > 32 else 1]
    for outputs, pool in zip((16, 32, 64), pools):
        layers.append(nn.Conv2d(channels, outputs, 3, padding=1, bias=False))
        layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
        layers += [nn.MaxPool2d(pool)] if pool > 1 else []
        channels, height, width = outputs, height // pool, width // pool
    layers += [nn.Flatten(), nn.Dropout(0.5)]
    layers += [nn.Linear(channels * height * width, 64), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(64, classes))


def learn(
    experiment: Experiment, stage: str, train: Any, test: Any, augmented: bool
) -> cr.Trainer:
    """Train an image classifier with or without augmentation; test each epoch."""
    cr.manual_seed(experiment.seed)
    trainer = cr.Trainer(
        network(train.x.shape[1:], train.classes, augmented=augmented),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.AdamW(lr=optim.OneCycleLR(LR), weight_decay=WEIGHT_DECAY),
        seed=experiment.seed,
        **experiment.engine_options,
    )
    epochs = QUICK_EPOCHS if experiment.quick else EPOCHS
    batch_size = min(BATCH_SIZE, len(train))
    budget = {"epochs": epochs, "batch_size": batch_size, "progress": False}
    options = {"validation": test, "validation_name": "others", **budget}
    return experiment.fit(stage, trainer, train, **options)


def draw(experiment: Experiment, data: Any, curves: Any, confusion: np.ndarray) -> None:
    """Draw augmented images, the learning curves and the confusion matrix."""
    cr.manual_seed(experiment.seed)
    rows = first_of_each_class(data.y)[:6]
    shown = np.repeat(np.stack([data.x[i] for i in rows]), 8, axis=0)
    changed = np.array(augmentation()(cr.tensor(shown)).numpy())
    changed[::8] = shown[::8]  # the first of each row, as it is
    title = _("as they are (left), and as the network is shown them")
    experiment.draw("augmented", viz.gallery.images, changed, columns=8, title=title)
    titles = {
        "train_loss": _("loss on what is learned from"),
        "validation_accuracy": _("accuracy on other images"),
    }
    for column, title in titles.items():
        lines = {name: [row[column] for row in rows] for name, rows in curves.items()}
        experiment.draw(
            column, viz.gallery.lines, lines, title=title, across=_("epoch")
        )
    names = data.class_names
    axes = {"rows": names, "columns": names, "across": _("read"), "up": _("true")}
    axes |= {"numbers": "d" if len(names) <= 20 else "", "size": (7.0, 5.0)}
    title = _("what is taken for what, all splits")
    experiment.draw("confusion", viz.gallery.heat, confusion, title=title, **axes)


def run(experiment: Experiment, *, data: str | None = None) -> dict[str, Any]:
    """Train and test a classifier on the images of a folder.

    Args:
        experiment: the seed of the first split, of initial weights, order and draws.
        data: a folder with a folder of images for each class; None for the example.

    Raises:
        ArgumentError: Pillow, scikit-learn or the example's package is not installed.
        DataError: no such folder, too few images, or a file that is none.
    """
    experiment.package("sklearn", "chainrule[sklearn]")
    dataset = images(experiment, data)
    counts = np.bincount(dataset.y)
    say(
        "{images} of {kinds}, {each} of each\n",
        each=_("{low} to {high}", low=counts.min(), high=counts.max())
        if counts.min() < counts.max()
        else str(counts.min()),
        images=ngettext("{n} image", "{n} images", n=len(dataset)),
        kinds=ngettext("{n} kind", "{n} kinds", n=len(counts)),
    )
    rows: list[dict[str, float]] = []
    curves: dict[str, Any] = {}
    confusion = np.zeros((len(counts), len(counts)), int)
    for i in range(1 if experiment.quick else SPLITS):
        seed = (experiment.seed + i) % 2**64
        train, test = dataset.split(0.8, seed=seed, stratify=True)
        x = train.x[:], train.y, test.x[:], test.y
        rivals = experiment.cached(
            f"rivals-{i}", image_classifier_accuracies, *x, seed=experiment.seed
        )
        row = dict(rivals)
        for name, stage in ((PLAIN, f"plain-{i}"), (AUGMENTED, f"augmented-{i}")):
            trainer = learn(experiment, stage, train, test, name == AUGMENTED)
            curves[name] = trainer.history.epochs
            predicted = trainer.predict(test.x[:]).argmax(1)
            row[name] = float(np.mean(predicted == test.y))
        np.add.at(confusion, (test.y, predicted), 1)
        rows.append(row)
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    say("                                   mean    of each split")
    for name, mean in means.items():
        splits = "  ".join(f"{row[name]:.1%}" for row in rows)
        print(f"   {padded(tr(name), 28)}{mean:7.1%}    {splits}")
    draw(experiment, dataset, curves, confusion)
    rival, network = max(rivals, key=lambda name: means[name]), means[AUGMENTED]
    gain = {"rival": network - means[rival], "augmentation": network - means[PLAIN]}
    found: dict[str, float] = {"mean": network}
    if rows[1:]:
        found["spread"] = float(np.std([row[AUGMENTED] for row in rows], ddof=1))
    results: dict[str, Any] = {"network": found, "means": means}
    results |= {"rival": rival, "gain": gain, "images": len(dataset)}
    return {**results, "confusion": confusion.tolist()}


if __name__ == "__main__":
    run(Experiment("own-images"))
