"""Feature hierarchy: edges, textures, shapes and objects in a CNN's layers (1.4).

    28×28 → conv 5×5, 8 maps → pool → conv 5×5, 16 maps → pool → conv 3×3, 32 maps → 10
    a unit sees:       5×5                     14×14                   24×24      28×28

Nobody tells the layers what to find: they are trained on digits and their names alone.
Four ways to look at what came of it, a layer at a time:

    The kernels of layer 1. A slope, W ≈ a + b·x + c·y, finds edges; a ridge,
    W ≈ a + d·x² + e·xy + f·y², strokes. The table says how much of each kernel the two
    explain (of noise 8 % and 12 %).

    Feature maps: where each kernel finds in an image what it looks for.

    Activation maximisation: the input that excites a unit most, by gradient ascent on
    the pixels, with derivatives of the same network with respect to its input,

        x ← clip(x + η ∂/∂x [z(x)/s − λ/2 Σ x² − μ/2 Σ (x − its neighbours)²], 0, 1)

    s is the standard deviation of z over the test images. λ keeps paper clean where ink
    is of no use and μ joins neighbours: without them come images that excite and that
    nobody can read; both are drawn.

    Nearest patches: the pieces of test images that excite a unit most. Which piece a
    unit sees follows from the sizes: r ← r + (k − 1)·j, j ← j·s for each layer with
    windows k in steps of s; unit i sees the pixels i·j … i·j + r − 1.

The last table tells how the digits come apart from layer to layer: the share of test
images whose nearest class mean is that of their own class, and of the best patches of a
map how many are of one digit.

Source: Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks";
Erhan, Bengio, Courville & Vincent 2009, "Visualizing higher-layer features of a deep
network"; Simonyan, Vedaldi & Zisserman 2014.

    chainrule train hierarchy
    python -m chainrule.recipes.hierarchy
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, viz
from chainrule.recipes import Experiment, Reference
from chainrule.text import _, say, tr

SUMMARY = _(
    "edges, textures, shapes: what the layers of a small CNN have learned to see"
)
SECONDS = 40
REFERENCES = [
    Reference("accuracy", at_least=0.985, source=_("the recipe mnist's own bar")),
    Reference("gain", at_least=0.1, source=_("its own bar: pixels to layer 3")),
]
#: Of each layer: maps, kernel, and the pooling behind it (0: none).
LAYERS = ((8, 5, 2), (16, 5, 2), (32, 3, 0))
NAMES = ("layer 1: edges", "layer 2: textures", "layer 3: shapes", "scores: objects")
EPOCHS, BATCH_SIZE, LR = 4, 64, 3e-3
ASCENT, PLAIN = 150, 0.75  # steps; λ = μ = PLAIN / r
BEST = 9  # patches of a map


class Network(nn.Module):
    """A convolutional network without padding, so that units see only pixels."""

    def __init__(self) -> None:
        channels = (1, *(maps for maps, __, __ in LAYERS))
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels[i], maps, kernel)
            for i, (maps, kernel, __) in enumerate(LAYERS)
        )
        self.scores = nn.Linear(LAYERS[-1][0] * 4, 10)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """Return the class scores of rows of 784 pixels."""
        return self.seen(x.reshape(-1, 1, 28, 28), len(LAYERS))

    def seen(self, images: cr.Tensor, layer: int) -> cr.Tensor:
        """Return z of a layer before ReLU, counted from 0; at the end the scores."""
        a = images
        for i, convolution in enumerate(self.convolutions):
            z = convolution(a)
            if i == layer:
                return z
            a = self.pooled(z, i)
        return self.scores(a.flatten(1))

    def pooled(self, z: cr.Tensor, layer: int) -> cr.Tensor:
        """Return the output of a layer: ReLU and pooling of z."""
        window = LAYERS[layer][2]
        return nn.functional.max_pool2d(z.relu(), window) if window else z.relu()


def field(layer: int) -> tuple[int, int]:
    """Return a unit's receptive-field side r, and the step j to the next unit."""
    side, step = 1, 1
    for i, (__, kernel, window) in enumerate(LAYERS):
        side += (kernel - 1) * step
        if i == layer:
            return side, step
        side, step = side + max(window - 1, 0) * step, step * max(window, 1)
    return 28, 28


def train(experiment: Experiment) -> cr.Trainer:
    """Train the network on labelled digits."""
    rows = 15_000 if experiment.quick else 60_000
    cr.manual_seed(experiment.seed)
    trainer = cr.Trainer(
        Network(),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.AdamW(lr=optim.OneCycleLR(LR), weight_decay=0.1),
        seed=experiment.seed,
        **experiment.engine_options,
    )
    data, epochs = cr.data.mnist()[0].take(rows), 3 if experiment.quick else EPOCHS
    how: Any = {"epochs": epochs, "batch_size": BATCH_SIZE, "progress": False}
    return experiment.fit("network", trainer, data, **how)


# -- layer 1 ---------------------------------------------------------------------------


def edges(kernels: np.ndarray) -> list[dict[str, float]]:
    """Return the shares of slope and ridge in each kernel, and the slope's direction.

    The direction is counted from the right, upwards positive. Shares are those of the
    squares about the kernel's mean; slopes and ridges are orthogonal.
    """
    side = kernels.shape[-1]
    down, right = (axis.ravel() - (side - 1) / 2 for axis in np.indices((side, side)))
    ridges = np.stack([right**2, right * down, down**2], 1)
    ridges, __ = np.linalg.qr(ridges - ridges.mean(0))
    slopes = np.stack([right, down], 1) / np.linalg.norm(right)
    found = []
    for kernel in kernels.reshape(len(kernels), -1):
        apart = kernel - kernel.mean()
        slope, ridge, whole = apart @ slopes, apart @ ridges, apart @ apart
        found.append(
            {
                "degrees": float(np.degrees(np.arctan2(-slope[1], slope[0]))),
                "edge": float(slope @ slope / whole),
                "stroke": float(ridge @ ridge / whole),
            }
        )
    return found


def show_kernels(experiment: Experiment, model: Network) -> list[dict[str, float]]:
    """Draw the kernels of layer 1 and say which find edges, and which strokes."""
    kernels = model.state_dict()["convolutions.0.weight"][:, 0]
    found = edges(kernels)
    say("Layer 1: how much of each kernel is a slope (edge) or a ridge (stroke).\n")
    for i, kernel in enumerate(found):
        edge, stroke = kernel["edge"], kernel["stroke"]
        word = f"edge {kernel['degrees']:.0f}°" if edge > stroke else "stroke"
        bars = f"{'█' * round(20 * edge):20} {'▒' * round(20 * stroke):20}"
        print(f"  {i + 1}  {edge:4.0%} {stroke:4.0%}  {bars}  {word}")
    experiment.draw(
        "kernels",
        viz.gallery.images,
        kernels,
        titles=[f"{k['edge']:.0%}, {k['stroke']:.0%}" for k in found],
        columns=8,
        signed=True,
        size=(7.0, 1.3),
        title=_(
            "the kernels of layer 1 (red: ink excites, blue: ink inhibits); "
            "how much of them is a slope and a ridge"
        ),
    )
    return found


# -- where, and what excites -----------------------------------------------------------


Look = Callable[[np.ndarray], np.ndarray]


def look_at(experiment: Experiment, model: Network, layer: int) -> Look:
    """Return a compiled function: images (n, 1, h, w) → z of a layer."""
    look = experiment.compile(lambda images: model.seen(images, layer))
    return lambda images: look(images).numpy()


def excited(look: Look, layer: int, images: np.ndarray) -> dict[str, Any]:
    """Find the patches that excite each map most, one an image, and z's deviations.

    Returns:
        by map lists of (image, row, column) of pixels and of z; the deviations.
    """
    side, step = field(layer)
    values, places, squares, sums, count = [], [], 0.0, 0.0, 0
    for part in np.split(images, len(images) // 500):
        z = look(part).astype(np.float64)
        z = z.reshape(*z.shape[:2], -1)
        values.append(z.max(2))
        places.append(z.argmax(2))
        sums, squares = sums + z.sum((0, 2)), squares + (z**2).sum((0, 2))
        count += len(z) * z.shape[2]
    best, where = np.concatenate(values), np.concatenate(places)
    width = (28 - side) // step + 1
    order = np.argsort(-best, axis=0, kind="stable")[:BEST].T
    patches = [
        [(i, where[i, c] // width * step, where[i, c] % width * step) for i in chosen]
        for c, chosen in enumerate(order)
    ]
    heights = [best[chosen, c] for c, chosen in enumerate(order)]
    return {
        "patches": patches,
        "heights": heights,
        "deviation": np.sqrt(squares / count - (sums / count) ** 2),
    }


def climber(experiment: Experiment, model: Network, layer: int, scale: Any) -> Any:
    """Return a compiled step of gradient ascent (x, λ, μ) → x on each map's z/s.

    An input of the size that one unit sees gives one unit of each map. Input c is moved
    up the gradient of map c.
    """
    inverse = np.diag(1 / np.asarray(scale)).astype(np.float32)

    def worth(x: cr.Tensor, small: cr.Tensor, smooth: cr.Tensor) -> cr.Tensor:
        z = model.seen(x, layer).flatten(1)
        down, right = x[:, :, 1:] - x[:, :, :-1], x[..., 1:] - x[..., :-1]
        rough = (down * down).sum() + (right * right).sum()
        return (z * inverse).sum() - small / 2 * (x * x).sum() - smooth / 2 * rough

    def climb(x: cr.Tensor, small: cr.Tensor, smooth: cr.Tensor) -> cr.Tensor:
        rate = 1 / (small + 8 * smooth + 1)  # what is subtracted bends less than that
        return (x + rate * cr.grad(worth)(x, small, smooth)).clip(0, 1)

    return experiment.compile(climb)


def maximised(climb: Any, layer: int, maps: int, steps: int) -> dict[str, np.ndarray]:
    """Compute the inputs (maps, r, r) of maximal activation, regularised and not."""
    side, made = field(layer)[0], {}
    for name, plain in (("readable", PLAIN / side), ("bare", 0.0)):
        x, plain = cr.full((maps, 1, side, side), 0.1), cr.tensor(plain)
        for __ in range(steps):
            x = climb(x, plain, plain)
        made[name] = x.numpy()[:, 0]
    return made


def show_layer(
    experiment: Experiment,
    model: Network,
    layer: int,
    look: Look,
    test: cr.data.Dataset,
) -> dict[str, Any]:
    """Show the inputs that excite a layer's maps: by ascent, and in test images."""
    images = test.x[:].reshape(-1, 1, 28, 28)
    side, number = field(layer)[0], layer + 1
    found = experiment.cached(f"excited-{number}", excited, look, layer, images)
    maps = len(found["patches"])
    climb = climber(experiment, model, layer, found["deviation"])
    how = (climb, layer, maps, 40 if experiment.quick else ASCENT)
    made = experiment.cached(f"maximised-{number}", maximised, *how)
    made = {name: np.array(x, np.float32) for name, x in made.items()}
    patches = [
        [images[i, 0, top : top + side, left : left + side] for i, top, left in places]
        for places in found["patches"]
    ]
    shown = [[made["bare"][c], made["readable"][c], *patches[c]] for c in range(maps)]
    experiment.draw(
        f"layer-{number}",
        viz.gallery.mosaics,
        [shown[:8], shown[8:16]] if maps > 10 else [shown],
        title=_(
            "{NAMES}: ascent without and with λ, μ; then the nearest patches",
            NAMES=NAMES[layer],
        ),
        size=(7.4, 2.7) if maps > 10 else (4.2, 0.38 * maps),
    )
    z = look(made["readable"][:, None])
    z = np.diagonal(z.reshape(maps, maps))
    best = np.array([heights[0] for heights in found["heights"]])
    purity = [
        np.bincount(test.y[[i for i, __, __ in places]]).max() / len(places)
        for places in found["patches"]
    ]
    return {
        "sees": side,
        "beyond": float((z > best).mean()),
        "purity": float(np.mean(purity)),
        "heights": best.tolist(),
    }


# -- feature maps ----------------------------------------------------------------------


def show_maps(experiment: Experiment, looks: list[Look], test: cr.data.Dataset) -> None:
    """Draw the activations of each map for three digits, a picture for each layer."""
    chosen = [int(np.flatnonzero(test.y == digit)[0]) for digit in (4, 7, 8)]
    images = test.x[:][chosen].reshape(-1, 1, 28, 28)
    for layer, (count, __, __) in enumerate(LAYERS):
        a = np.maximum(looks[layer](images), 0)
        a = a / a.max((0, 2, 3), keepdims=True).clip(1e-9)
        experiment.draw(
            f"maps-{layer + 1}",
            viz.gallery.mosaics,
            [[[image[0]] for image in images], [list(maps[:16]) for maps in a]],
            colours="magma",
            title=_(
                "feature maps of {NAMES} ({min_count} of {count})",
                NAMES=NAMES[layer],
                min_count=min(count, 16),
                count=count,
            ),
            size=(7.4, 1.9 if count == 8 else 1.3),
        )


# -- how classes come apart ------------------------------------------------------------


def apart(
    experiment: Experiment,
    model: Network,
    train: cr.data.Dataset,
    test: cr.data.Dataset,
) -> list[float]:
    """Return the nearest-class-mean accuracy on pixels and on each layer's features.

    The means are those of training images.
    """

    def features(images: cr.Tensor) -> tuple[cr.Tensor, ...]:
        made, a = [images.flatten(1)], images
        for i, convolution in enumerate(model.convolutions):
            a = model.pooled(convolution(a), i)
            made.append(a.flatten(1))
        return (*made, model.scores(made[-1]))

    look, levels = experiment.compile(features), len(LAYERS) + 2

    def each(data: cr.data.Dataset) -> list[np.ndarray]:
        parts = np.split(data.x[:].reshape(-1, 1, 28, 28), len(data) // 500)
        made = [look(cr.tensor(part)) for part in parts]
        return [np.concatenate([m[k].numpy() for m in made]) for k in range(levels)]

    shares = []
    for known, new in zip(each(train), each(test)):
        means = np.stack([known[train.y == digit].mean(0) for digit in range(10)])
        nearest = (new @ means.T - (means**2).sum(1) / 2).argmax(1)
        shares.append(float((nearest == test.y).mean()))
    return shares


def run(experiment: Experiment) -> dict[str, Any]:
    """Train the network, and visualise its layers.

    Args:
        experiment: the seed of the initial weights and of the order of samples.
    """
    count = 1000 if experiment.quick else 10000
    known, test = (part.take(count) for part in cr.data.mnist())
    trainer = train(experiment)
    model: Any = trainer.model
    accuracy = trainer.evaluate(test)["accuracy"]
    say("The network reads {accuracy:.2%} of the test digits.\n", accuracy=accuracy)
    kernels = show_kernels(experiment, model)
    looks = [look_at(experiment, model, i) for i in range(len(NAMES))]
    show_maps(experiment, looks, test)
    layers = [
        show_layer(experiment, model, i, look, test) for i, look in enumerate(looks)
    ]
    shares = experiment.cached("apart", apart, experiment, model, known, test)
    say("\nHow the digits come apart:\n")
    say("                     a unit sees   nearest mean   patches of one digit")
    print(f"  {tr('pixels'):17}      1 × 1       {shares[0]:8.1%}")
    for name, share, layer in zip(NAMES, shares[1:], layers):
        sees = f"{layer['sees']} × {layer['sees']}"
        print(f"  {name:17}{sees:>12}       {share:8.1%}   {layer['purity']:13.0%}")
    experiment.draw(
        "apart",
        viz.gallery.bars,
        dict(zip(("pixels", *NAMES), shares)),
        across=_("test digits nearest to their own class's mean"),
        title=_("the digits come apart from layer to layer"),
        size=(7.0, 2.4),
    )
    told = {"accuracy": accuracy, "gain": shares[3] - shares[0], "apart": shares}
    return told | {"kernels": kernels, "layers": layers}


if __name__ == "__main__":
    run(Experiment("hierarchy"))
