"""Feature hierarchy: edges, textures, shapes and objects in a CNN's layers (1.4).

    28×28 → conv 5×5, 8 maps → pool → conv 5×5, 16 maps → pool → conv 3×3, 32 maps → 10
    a unit sees:       5×5                     14×14                   24×24      28×28

The network is trained on digits and their labels alone. Four views of its layers:

    Kernels of layer 1. A slope, W ≈ a + b·x + c·y, finds edges; a ridge,
    W ≈ a + d·x² + e·xy + f·y², strokes. The table says how much of each kernel the two
    explain (of noise 8 % and 12 %).

    Feature maps: where each kernel finds in an image what it responds to.

    Activation maximisation: the input that excites a unit most, by gradient ascent on
    the pixels, with derivatives of the same network with respect to its input,

        x ← clip(x + η ∂/∂x [z(x)/s − λ/2 Σ x² − μ/2 Σ (x − its neighbours)²], 0, 1)

    s is the standard deviation of z over the test images. λ removes ink that does not
    excite the unit and μ smooths: without them the images cannot be read.

    Nearest patches: the pieces of test images that excite a unit most.

The last table shows how classes separate from layer to layer: the share of test images
whose nearest class mean is their own, and of a map's best patches the share of the most
frequent digit.

Source: Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks";
Erhan, Bengio, Courville & Vincent 2009, "Visualizing higher-layer features of a deep
network"; Simonyan, Vedaldi & Zisserman 2014.

    chainrule train hierarchy
    python -m chainrule.recipes.hierarchy
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, viz
from chainrule.recipes import Experiment, Reference, by_batches
from chainrule.recipes.datasets.classes import first_of_each_class
from chainrule.recipes.evaluation.class_means import nearest_mean_accuracy
from chainrule.recipes.evaluation.kernels import edges_and_strokes
from chainrule.recipes.evaluation.patches import receptive_field, strongest_patches
from chainrule.recipes.pictures import convolutions
from chainrule.text import _, padded, say, tr, translated

SUMMARY = _(
    "edges, textures, shapes: what the layers of a small CNN have learned to see"
)
SECONDS = 40
REFERENCES = [
    Reference("accuracy", at_least=0.985, source=_("the recipe mnist's own bar")),
    Reference("gain", at_least=0.1, source=_("its own bar: pixels to layer 3")),
]
EPOCHS, BATCH_SIZE, LR = 4, 64, 3e-3
ASCENT_STEPS, PENALTY = 150, 0.75  # λ = μ = PENALTY / r
#: The layers by name: where in the network their z ends, and what the next layer gets.
LAYERS = {
    _("layer 1: edges"): (2, 4),
    _("layer 2: textures"): (5, 7),
    _("layer 3: shapes"): (8, 10),
    _("scores: objects"): (11, 11),
}


def network() -> nn.Sequential:
    """Return a CNN without padding, so that units see only pixels."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)),
        nn.Conv2d(1, 8, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 4, 10),
    )


def train(experiment: Experiment) -> cr.Trainer:
    """Train the feature-hierarchy CNN on labelled digits."""
    rows, epochs = (15_000, 3) if experiment.quick else (60_000, EPOCHS)
    cr.manual_seed(experiment.seed)
    trainer = cr.Trainer(
        network(),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.AdamW(lr=optim.OneCycleLR(LR), weight_decay=0.1),
        seed=experiment.seed,
        **experiment.engine_options,
    )
    budget = {"epochs": epochs, "batch_size": BATCH_SIZE}
    data = cr.data.mnist()[0].take(rows)
    return experiment.fit("network", trainer, data, **budget, progress=False)


def print_kernels(kernels: np.ndarray) -> None:
    """Print which kernels of a CNN's first layer find edges, and which strokes."""
    say("Layer 1: how much of each kernel is a slope (edge) or a ridge (stroke).\n")
    shares = edges_and_strokes(kernels)
    rows = zip(shares.edge, shares.stroke, shares.degrees)
    for number, (edge, stroke, degrees) in enumerate(rows, 1):
        slope = edge > stroke
        word = tr("edge {degrees:.0f}°", degrees=degrees) if slope else tr("stroke")
        print(f"  {number}  {edge:4.0%} {stroke:4.0%}  {word}")


def ascent(experiment: Experiment, layers: nn.Module, deviations: np.ndarray) -> Any:
    """Compile a step of gradient ascent on the input image of each feature map.

    An input of the size that one unit sees gives one unit of each map. Input c is moved
    up the gradient of map c.
    """
    inverse = np.diag(1 / deviations).astype(np.float32)

    def objective(x: cr.Tensor, λ: cr.Tensor, μ: cr.Tensor) -> cr.Tensor:
        z = layers(x).flatten(1)
        down, right = x[:, :, 1:] - x[:, :, :-1], x[..., 1:] - x[..., :-1]
        rough = (down * down).sum() + (right * right).sum()
        return (z * inverse).sum() - λ / 2 * (x * x).sum() - μ / 2 * rough

    def step(x: cr.Tensor, λ: cr.Tensor, μ: cr.Tensor) -> cr.Tensor:
        η = 1 / (λ + 8 * μ + 1)  # the penalties' second derivative is below 1/η
        return (x + η * cr.grad(objective)(x, λ, μ)).clip(0, 1)

    return experiment.compile(step)


def show_layer(
    experiment: Experiment, model: nn.Sequential, name: str, test: cr.data.Dataset
) -> tuple[int, float, Callable[[], None]]:
    """Find what excites a CNN layer's maps.

    Returns:
        the receptive field, the purity of the patches, and what draws them.
    """
    images = test.x[:].reshape(-1, 1, 28, 28)
    layers = model[1 : LAYERS[name][0]]
    side, step = receptive_field(layers, 28)
    patches = strongest_patches(experiment.compile(layers), images, side, step)
    maps = len(patches.images)

    climb = ascent(experiment, layers, patches.deviations)
    inputs = []
    for penalty in (0.0, PENALTY / side):
        x, penalty = cr.full((maps, 1, side, side), 0.1), cr.tensor(penalty)
        for __ in range(40 if experiment.quick else ASCENT_STEPS):
            x = climb(x, penalty, penalty)
        inputs.append(x.numpy())

    rows = [list(row) for row in np.concatenate([*inputs, patches.cut(images)], 1)]
    title = _(
        "{NAMES}, a row a unit: ascent without and with λ, μ; then the nearest patches",
        NAMES=name,
    )
    blocks = [rows[:8], rows[8:16]] if maps > 10 else [rows]
    size = (3.7 * len(blocks), 0.4 * len(blocks[0]))
    picture = name.partition(":")[0].replace(" ", "-")
    drawn = partial(
        experiment.draw, picture, viz.gallery.mosaics, blocks, title=title, size=size
    )
    counts = [np.bincount(test.y[chosen]).max() for chosen in patches.images]
    return side, float(np.mean(counts) / patches.images.shape[1]), drawn


def run(experiment: Experiment) -> dict[str, Any]:
    """Train a CNN on digits, and visualise the features of its layers.

    Args:
        experiment: the seed of the initial weights and of the order of samples.
    """
    rows = 1000 if experiment.quick else 10_000
    known, test = (part.take(rows) for part in cr.data.mnist())
    trainer = train(experiment)
    model: Any = trainer.model
    accuracy = trainer.evaluate(test)["accuracy"]
    say("The network reads {accuracy:.2%} of the test digits.\n", accuracy=accuracy)
    print_kernels(model[1].weight.numpy()[:, 0])
    four = test.x[:][first_of_each_class(test.y)[4]]
    convolutions.draw_features(experiment, model, four)

    say("\nHow the digits come apart:\n")
    say("                     a unit sees   nearest mean   patches of one digit")
    accuracies = [nearest_mean_accuracy(known.x[:], known.y, test.x[:], test.y)]
    print(f"  {padded(tr('pixels'), 17)}      1 × 1       {accuracies[0]:8.1%}")
    layers, pictures = [], []
    for name, (__, end) in LAYERS.items():
        features = experiment.compile(nn.Sequential(*model[:end], nn.Flatten()))
        x, test_x = (by_batches(features, part.x[:]) for part in (known, test))
        accuracies.append(nearest_mean_accuracy(x, known.y, test_x, test.y))
        side, purity, drawn = show_layer(experiment, model, name, test)
        pictures.append(drawn)
        layers.append({"receptive_field": side, "purity": purity})
        row = padded(translated(name), 17) + f"{f'{side} × {side}':>12}"
        print(f"  {row}       {accuracies[-1]:8.1%}   {purity:13.0%}")
    for draw in pictures:  # behind the table, which they would cut in pieces
        draw()
    gain = accuracies[3] - accuracies[0]
    scores = {"accuracy": accuracy, "gain": gain, "nearest_mean": accuracies}
    return {**scores, "layers": layers}


if __name__ == "__main__":
    run(Experiment("hierarchy"))
