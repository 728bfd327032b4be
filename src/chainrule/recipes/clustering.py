"""Clustering of digits without labels: pixels, codes, refined codes (1.5).

An autoencoder compresses an image x to ten numbers z = f(x) and decodes them to the
image again. Its input is rotated, shifted and scaled at random, its target is the image
as it was: so z comes to say what is drawn, and not where. Then k-means and a mixture of
Gaussians cluster the codes, as they do the pixels. Finally f itself is refined towards
clusters (DEC, Xie et al. 2016, with augmentation as Guo et al. 2018): with a centre μⱼ
for each,

    qᵢⱼ ∝ 1 / (1 + ‖zᵢ − μⱼ‖²)    how much i belongs to j (Student's t, one degree)
    pᵢⱼ ∝ qᵢⱼ² / Σᵢ qᵢⱼ           the same, sharpened, with clusters of like sizes
    ℒ = KL(P ‖ Q)                 P of the images, Q of the augmented images

What to look at, in this order:

    1   Accuracy (the ten clusters matched to classes by the Hungarian method) and
        mutual information, for the training images and for test images. Labels are
        used to measure, for nothing else.
    2   Centres: of pixels they are blurs of several digits, of codes they are digits.
    3   The codes as a map, before and after.

    pip install 'chainrule[sklearn]'
    chainrule train clustering
    python -m chainrule.recipes.clustering
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes import Experiment, Reference
from chainrule.recipes.evaluation import clustering as measures
from chainrule.recipes.pictures import clustering as maps
from chainrule.text import _, joined, ngettext, padded, say, translated
from chainrule.viz import gallery

SUMMARY = _(
    "digits without labels: k-means and mixtures on pixels and on learned codes"
)
SECONDS = 500
PIXELS, DEC = _("pixels: 0.50 to 0.55"), _("DEC, Xie et al. 2016: 0.843")
REFERENCES = [
    Reference("gain", at_least=0.1, source=_("codes ahead of pixels, both by k-means")),
    Reference("codes.k-means.accuracy", at_least=0.65, source=PIXELS),
    Reference("refined.accuracy", at_least=0.843, source=DEC),
]
CLUSTERS, IMAGES, COMPONENTS = 10, 20_000, 32
WIDTHS = (784, 500, 250, 10)
EPOCHS, BATCH_SIZE, LR = 40, 250, 3e-3
ROUNDS, FINE = 20, 1e-3
QUICK = {"images": 10_000, "epochs": 30, "rounds": 2}


def layers(sizes: tuple[int, ...]) -> nn.Sequential:
    """Return a network of linear layers of given widths with ReLU between them."""
    parts: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        parts += [nn.Linear(inputs, outputs, init="kaiming_normal"), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


def augmentation() -> nn.Sequential:
    """Return augmentation layers that randomly rotate, shift and scale images."""
    affine = nn.RandomAffine(15, translate=(0.08, 0.08), scale=(0.9, 1.1))
    return nn.Sequential(nn.Unflatten(1, (1, 28, 28)), affine, nn.Flatten())


def trainer(
    experiment: Experiment, model: nn.Module, loss: nn.Module, lr: Any, seed: int
) -> cr.Trainer:
    """Return a Trainer with Adam for training without labels, hence without metrics."""
    options = {"metrics": (), "seed": seed % 2**64, **experiment.engine_options}
    return cr.Trainer(model, loss=loss, optimizer=optim.Adam(lr=lr), **options)


def autoencoder(experiment: Experiment, x: np.ndarray) -> nn.Sequential:
    """Train an autoencoder from augmented images to the original images."""
    cr.manual_seed(experiment.seed)
    model = nn.Sequential(augmentation(), layers(WIDTHS), layers(WIDTHS[::-1]))
    lr = optim.OneCycleLR(LR)
    epochs = QUICK["epochs"] if experiment.quick else EPOCHS
    run = trainer(experiment, model, nn.MSELoss(), lr, experiment.seed)
    budget = {"epochs": epochs, "batch_size": BATCH_SIZE, "progress": False}
    experiment.fit("autoencoder", run, (x, x), **budget)
    return model.eval()


def outputs(model: nn.Module, x: np.ndarray) -> np.ndarray:
    """Return a model's outputs for many rows, in batches."""
    parts = (model(cr.tensor(x[i : i + 1000])) for i in range(0, len(x), 1000))
    return np.concatenate([part.numpy() for part in parts])


class ClusterNetwork(nn.Module):
    """A network for clustering: from images to soft cluster assignments q.

    Args:
        encoder: from rows of pixels to codes of unit variance.
        centres: (clusters, code).
    """

    def __init__(self, encoder: nn.Module, centres: Any) -> None:
        self.shaken, self.encoder = augmentation(), encoder
        self.centres = nn.Parameter(np.asarray(centres, np.float32))

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """Return soft cluster assignments qᵢⱼ ∝ 1 / (1 + ‖zᵢ − μⱼ‖²); rows sum to 1."""
        codes = self.encoder(self.shaken(x))
        distances = (codes.unsqueeze(1) - self.centres).square().sum(dim=2)
        q = 1 / (1 + distances)
        return q / q.sum(dim=1, keepdim=True)


def target_distribution(q: np.ndarray) -> np.ndarray:
    """Return the sharpened cluster assignments P of Q: pᵢⱼ ∝ qᵢⱼ² / Σᵢ qᵢⱼ."""
    p = q**2 / q.sum(0)
    return p / p.sum(1, keepdims=True)


def rounds_of(experiment: Experiment) -> int:
    """Return the number of rounds in which clusters are refined."""
    return QUICK["rounds"] if experiment.quick else ROUNDS


def one_round(
    experiment: Experiment, model: ClusterNetwork, x: np.ndarray, i: int
) -> np.ndarray:
    """Train towards the sharpened targets of round i; return the clusters before."""
    q = outputs(model.eval(), x).astype(float)
    p = target_distribution(q).astype(np.float32)
    seed, loss = experiment.seed + i, nn.KLDivergence()
    run = trainer(experiment, model.train(), loss, FINE, seed)
    budget = {"epochs": 1, "batch_size": BATCH_SIZE, "progress": False}
    experiment.fit(f"refined-{i}", run, (x, p), **budget)
    return q.argmax(1)


def refine(
    experiment: Experiment, model: ClusterNetwork, x: np.ndarray
) -> list[np.ndarray]:
    """Refine clusters by training towards sharpened targets P; return each round's."""
    rounds = range(rounds_of(experiment))
    clusters = [one_round(experiment, model, x, i) for i in rounds]
    return [*clusters, outputs(model.eval(), x).argmax(1)]


def show(name: str, clusters: Any, labels: list[np.ndarray]) -> dict[str, Any]:
    """Print and return the scores of clusters of training and test images."""
    train, test = (measures.scores(c, y) for c, y in zip(clusters, labels))
    accuracies = f"{train['accuracy']:10.1%}{test['accuracy']:12.1%}"
    print(f"   {padded(translated(name), 26)}{accuracies}{train['nmi']:14.3f}")
    return {**train, "test": test["accuracy"]}


def run(experiment: Experiment) -> dict[str, Any]:
    """Cluster digits without labels: by pixels, by codes, and by refined codes.

    Args:
        experiment: the seed of initial weights, of order and draws, of k-means.
    """
    pca = experiment.package("sklearn.decomposition", "chainrule[sklearn]").PCA
    count = QUICK["images"] if experiment.quick else IMAGES
    parts = [part.take(min(count, len(part))) for part in cr.data.mnist()]
    images = [part.x[:].reshape(len(part), -1) for part in parts]
    x, labels = images[0], [part.y for part in parts]
    say(
        ngettext(
            "{n:,} image, without its label\n",
            "{n:,} images, without their labels\n",
            n=len(x),
        )
    )
    say("                              accuracy   of others   information")
    components = pca(COMPONENTS, random_state=0).fit(x)
    model = autoencoder(experiment, x)
    scale = nn.Standardize.of(outputs(model[1], x))
    encoder = nn.Sequential(model[1], scale)
    pixels = [components.transform(part) for part in images]
    codes = [outputs(encoder, part) for part in images]
    result: dict[str, Any] = {"images": len(x), "pixels": {}, "codes": {}}
    centres = {}
    for name, rows in ((_("pixels"), pixels), (_("codes"), codes)):
        seed = experiment.seed % 2**32
        found = experiment.cached(name, measures.cluster, *rows, CLUSTERS, seed)
        centres[name] = np.array(found["centres"])
        for method in ("k-means", _("mixture")):
            result[name][method] = show(
                joined(", ", [name, method]), found[method], labels
            )
    network = ClusterNetwork(encoder, centres["codes"])
    rounds = refine(experiment, network, x)
    clusters = [rounds[-1], outputs(network, images[1]).argmax(1)]
    result["refined"] = show(_("refined"), clusters, labels)
    accuracies = [measures.matched(q, labels[0])[0] for q in rounds]
    result["refined"]["rounds"] = accuracies
    for name, title, rows in (
        ("first", _("First codes of images, in the plane of most variance"), codes[0]),
        (
            "refined",
            _("Refined codes of images, in the plane of most variance"),
            outputs(encoder, x),
        ),
    ):
        drawn, size = (rows, labels[0]), (7.0, 5.0)
        experiment.draw(f"map-{name}", maps.codes, *drawn, title=title, size=size)
    unscaled = centres["codes"] * scale.std.numpy() + scale.mean.numpy()
    pictures = [
        components.inverse_transform(centres["pixels"]),
        outputs(model[2], unscaled.astype(np.float32)),
        [x[clusters[0] == k].mean(0) for k in range(CLUSTERS)],
    ]
    title = _("Centres: of pixels, of codes, and the mean of each refined cluster")
    rows = np.concatenate(pictures)
    experiment.draw("centres", gallery.images, rows, title=title, size=(7.0, 2.4))
    accuracy = {k: result[k]["k-means"]["accuracy"] for k in ("pixels", "codes")}
    return {**result, "gain": accuracy["codes"] - accuracy["pixels"]}


if __name__ == "__main__":
    run(Experiment("clustering"))
