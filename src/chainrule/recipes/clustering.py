"""Clustering of digits without labels: pixels, codes, refined codes (1.5).

An autoencoder squeezes an image x to ten numbers z = f(x) and makes the image of them
again. What it is shown is turned, moved and scaled at random, what it has to make is
the image as it was: so z comes to say what is drawn, and not where. Then clusters are
sought among the codes, by k-means and by a mixture of Gaussians, as among the pixels.
Finally f itself is refined towards clusters (DEC, Xie et al. 2016, with augmentation as
Guo et al. 2018): with a centre μⱼ for each,

    qᵢⱼ ∝ 1 / (1 + ‖zᵢ − μⱼ‖²)    how much i belongs to j (Student's t, one degree)
    pᵢⱼ ∝ qᵢⱼ² / Σᵢ qᵢⱼ           the same, sharpened, with all clusters alike
    ℒ = KL(P ‖ Q)                 P of the images, Q of the images turned and moved

What to look at, in this order:

    1   Accuracy (the ten heaps named so that most fits, by the Hungarian method) and
        mutual information, for images and for others that were never seen. Labels are
        used to name and to count, for nothing else.
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
from chainrule import nn, optim, viz
from chainrule.recipes import Experiment, Reference
from chainrule.text import _, say

SUMMARY = _(
    "digits without labels: k-means and mixtures on pixels and on learned codes"
)
SECONDS = 500
REFERENCES = [
    Reference("gain", at_least=0.1, source=_("codes ahead of pixels, both by k-means")),
    Reference(
        "codes.k-means.accuracy", at_least=0.65, source=_("pixels: 0.50 to 0.55")
    ),
    Reference(
        "refined.accuracy", at_least=0.843, source=_("DEC, Xie et al. 2016: 0.843")
    ),
]
CLUSTERS, IMAGES, COMPONENTS = 10, 20_000, 32
WIDTHS = (784, 500, 250, 10)
EPOCHS, BATCH_SIZE, LR = 40, 250, 3e-3
ROUNDS, FINE = 20, 1e-3
Found = dict[str, float]


# -- counting --------------------------------------------------------------------------


def matched(clusters: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the accuracy with clusters matched to classes, and the matching.

    Names are different; all ways of giving them are compared (Kuhn 1955).
    """
    from scipy.optimize import linear_sum_assignment

    counts = np.zeros((CLUSTERS, CLUSTERS), int)
    np.add.at(counts, (clusters, labels), 1)
    rows, names = linear_sum_assignment(-counts)
    return float(counts[rows, names].sum() / len(labels)), names


def scored(experiment: Experiment, clusters: Any, labels: np.ndarray) -> Found:
    """Return the accuracy and the normalised mutual information of clusters."""
    metrics = experiment.package("sklearn.metrics", "chainrule[sklearn]")
    shared = metrics.normalized_mutual_info_score(labels, clusters)
    return {"accuracy": matched(np.asarray(clusters), labels)[0], "nmi": float(shared)}


def cluster(experiment: Experiment, x: np.ndarray, asked: np.ndarray) -> dict[str, Any]:
    """Cluster x by both methods; return clusters, those of ``asked``, and centres."""
    means = experiment.package("sklearn.cluster", "chainrule[sklearn]")
    mixture = experiment.package("sklearn.mixture", "chainrule[sklearn]")
    seed = {"random_state": experiment.seed % 2**32}
    found = {}
    kmeans = means.KMeans(CLUSTERS, n_init=3, **seed).fit(x)
    gaussians = mixture.GaussianMixture(CLUSTERS, reg_covar=1e-3, **seed).fit(x)
    for name, model in (("k-means", kmeans), ("mixture", gaussians)):
        found[name] = {"train": model.predict(x), "test": model.predict(asked)}
    return {**found, "centres": kmeans.cluster_centers_}


# -- the autoencoder -------------------------------------------------------------------


def layers(sizes: tuple[int, ...]) -> nn.Sequential:
    """Return linear layers with ReLU between them."""
    made: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        made += [nn.Linear(inputs, outputs, init="kaiming_normal"), nn.ReLU()]
    return nn.Sequential(*made[:-1])


def shaken() -> nn.Sequential:
    """Return layers that, in training, randomly rotate, shift and scale images."""
    change = nn.RandomAffine(15, translate=(0.08, 0.08), scale=(0.9, 1.1))
    return nn.Sequential(nn.Unflatten(1, (1, 28, 28)), change, nn.Flatten())


def autoencoder(experiment: Experiment, x: np.ndarray) -> nn.Sequential:
    """Train an autoencoder from augmented images to the original images."""
    cr.manual_seed(experiment.seed)
    model = nn.Sequential(shaken(), layers(WIDTHS), layers(WIDTHS[::-1]))
    trainer = cr.Trainer(
        model,
        loss=nn.MSELoss(),
        optimizer=optim.Adam(lr=optim.OneCycleLR(LR)),
        metrics=(),
        seed=experiment.seed,
        **experiment.engine_options,
    )
    how = {"epochs": 3 if experiment.quick else EPOCHS, "batch_size": BATCH_SIZE}
    experiment.fit("autoencoder", trainer, (x, x), progress=False, **how)
    return model.eval()


def outputs(model: nn.Module, x: np.ndarray) -> np.ndarray:
    """Return a model's outputs for many rows, in batches."""
    parts = (model(cr.tensor(x[i : i + 1000])) for i in range(0, len(x), 1000))
    return np.concatenate([part.numpy() for part in parts])


# -- refining --------------------------------------------------------------------------


class Clusters(nn.Module):
    """A network from images to q, the soft assignment to clusters.

    Args:
        encoder: makes codes of rows of pixels.
        scale: takes the codes' mean and deviation away.
        centres: (clusters, code).
    """

    def __init__(self, encoder: nn.Module, scale: nn.Module, centres: Any) -> None:
        self.shaken, self.encoder, self.scale = shaken(), encoder, scale
        self.centres = nn.Parameter(np.asarray(centres, np.float32))

    def codes(self, x: cr.Tensor) -> cr.Tensor:
        """Return the codes z, scaled to unit variance."""
        return self.scale(self.encoder(self.shaken(x)))

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        """Return q, the soft assignment of samples to clusters."""
        apart = self.codes(x).unsqueeze(1) - self.centres
        near = 1 / (1 + apart.square().sum(dim=2))
        return near / near.sum(dim=1, keepdim=True)


def sharpened(q: np.ndarray) -> np.ndarray:
    """Return the target distribution P of Q: pᵢⱼ ∝ qᵢⱼ² / Σᵢ qᵢⱼ, rows sum to 1."""
    p = q**2 / q.sum(0)
    return p / p.sum(1, keepdims=True)


def refine(experiment: Experiment, model: Clusters, x: np.ndarray) -> list[np.ndarray]:
    """Train towards P, recomputed each round; return the clusters of each round."""
    told = []
    for i in range(2 if experiment.quick else ROUNDS):
        q = outputs(model.eval(), x).astype(float)
        told.append(q.argmax(1))
        trainer = cr.Trainer(
            model.train(),
            loss=nn.KLDivLoss(),
            optimizer=optim.Adam(lr=FINE),
            metrics=(),
            seed=(experiment.seed + i) % 2**64,
            **experiment.engine_options,
        )
        p = sharpened(q).astype(np.float32)
        how = {"epochs": 1, "batch_size": BATCH_SIZE, "progress": False}
        experiment.fit(f"refined-{i}", trainer, (x, p), **how)
    told.append(outputs(model.eval(), x).argmax(1))
    return told


# -- pictures --------------------------------------------------------------------------


def plane(codes: np.ndarray) -> np.ndarray:
    """Return codes projected to the plane of their largest variance."""
    middle = codes - codes.mean(0)
    return middle @ np.linalg.svd(middle, full_matrices=False)[2][:2].T


def draw(
    experiment: Experiment, name: str, codes: np.ndarray, labels: np.ndarray
) -> None:
    """Draw a map of codes, with the true labels, unknown in training, as digits."""
    few = slice(0, 1000)
    title = f"{name} codes of 1,000 images, in the plane of most variance"
    how = {"title": title, "size": (7.0, 5.0)}
    experiment.draw(
        f"map-{name}", viz.gallery.points, plane(codes)[few], labels[few], **how
    )


def put(name: str, train: Found, test: Found) -> None:
    """Print a line of the table of results."""
    numbers = (train["accuracy"], test["accuracy"], train["nmi"])
    print(f"   {name:26}{numbers[0]:10.1%}{numbers[1]:12.1%}{numbers[2]:14.3f}")


# -- the whole -------------------------------------------------------------------------


def run(experiment: Experiment) -> dict[str, Any]:
    """Cluster pixels, codes and refined codes.

    Args:
        experiment: the seed of initial weights, of order and draws, of k-means.
    """
    decomposition = experiment.package("sklearn.decomposition", "chainrule[sklearn]")
    count = 1500 if experiment.quick else IMAGES
    parts = [part.take(min(count, len(part))) for part in cr.data.mnist()]
    (x, labels), (asked, truth) = ((p.x[:].reshape(len(p), -1), p.y) for p in parts)
    say(
        "{x:,} images, without their labels; {asked:,} others asked about\n",
        x=len(x),
        asked=len(asked),
    )
    say("                              accuracy   of others   information")
    told: dict[str, Any] = {}

    def count_up(what: str, found: dict[str, Any]) -> np.ndarray:
        told[what] = {}
        for name in ("k-means", "mixture"):
            each = {k: scored(experiment, found[name][k], y) for k, y in sides.items()}
            told[what][name] = {**each["train"], "test": each["test"]["accuracy"]}
            put(f"{what}, {name}", each["train"], each["test"])
        return np.asarray(found["centres"])

    sides = {"train": labels, "test": truth}
    pca = decomposition.PCA(COMPONENTS, whiten=False, random_state=0).fit(x)
    parts = pca.transform(x), pca.transform(asked)
    centres = count_up(
        "pixels", experiment.cached("pixels", cluster, experiment, *parts)
    )
    model = autoencoder(experiment, x)
    scale = nn.Standardize.of(outputs(model[1], x))
    codes = [outputs(nn.Sequential(model[1], scale), rows) for rows in (x, asked)]
    middles = count_up("codes", experiment.cached("codes", cluster, experiment, *codes))
    made = middles * scale.std.numpy() + scale.mean.numpy()
    pictures = [pca.inverse_transform(centres), outputs(model[2], made.astype("f4"))]
    rounds = refine(experiment, clusters := Clusters(model[1], scale, middles), x)
    steps = [matched(found, labels)[0] for found in rounds]
    last = rounds[-1], outputs(clusters, asked).argmax(1)
    each = [scored(experiment, found, y) for found, y in zip(last, sides.values())]
    put("refined", *each)
    say("\n   refined, accuracy before and every fifth round:", end=" ")
    print("  ".join(f"{s:.1%}" for s in steps[::5]), "\n")
    pictures.append(np.stack([x[rounds[-1] == k].mean(0) for k in range(CLUSTERS)]))
    title = "centres: of pixels, of codes, and the mean of each refined cluster"
    size, how = (7.0, 2.4), {"columns": CLUSTERS}
    rows = np.concatenate(pictures)
    experiment.draw("centres", viz.gallery.images, rows, title=title, size=size, **how)
    draw(experiment, "first", codes[0], labels)
    draw(
        experiment,
        "refined",
        outputs(nn.Sequential(clusters.encoder, scale), x),
        labels,
    )
    refined = {**each[0], "test": each[1]["accuracy"], "rounds": steps}
    ahead = told["codes"]["k-means"]["accuracy"] - told["pixels"]["k-means"]["accuracy"]
    return {"images": len(x), **told, "gain": ahead, "refined": refined}


if __name__ == "__main__":
    run(Experiment("clustering"))
