"""Autoencoders: codes of thirty numbers and of two for digits (1.5).

Nobody says what an image is; the network is asked for the image itself. What must pass
through a narrow layer, the code, has to leave out what can be guessed:

    x (784) → 1000 → 500 → 250 → code → 250 → 500 → 1000 → x̂ (784)
    minimised: ‖x − x̂‖², summed over the pixels from 0 to 1, mean over the images

What to look at, in this order:

    1   Principal components: the best code that a linear network can find, without
        training, by the eigenvectors of the pixels' covariance.
    2   The deep network with as many numbers: a fifth of the error. Hinton and
        Salakhutdinov, who report 13.87 and 3.00 on these test images, needed Boltzmann
        machines, layer by layer, to find where to begin; SiLU, initial weights of He's
        size and AdamW begin anywhere. (Theirs were logistic units around a linear code,
        3 million weights like ours, fine-tuned by conjugate gradients. The recipe
        ``dbn`` does the pre-training.)
    3   Codes of two numbers, as maps: digits that look alike lie side by side.
    4   A code that one can draw from. The variational autoencoder's is a distribution,
        N(μ, σ²) for each image, and what it minimises bounds −ln p(x) from above:

            −ELBO = E[−ln p(x|z)] + KL(N(μ, σ²) ‖ N(0, 1)),   z = μ + σ ε,  ε ~ N(0, 1)

        The noise ε comes from outside, so that the chain rule has a way through z.
        Decoded noise is a digit that nobody wrote; a walk through the plane meets
        nearly all of them.

Settings were chosen on the last 10,000 training images. Grey pixels stand in the
likelihood as if they were shares of black ones, as is usual; strictly it is a bound for
black and white images only.

Sources: Hinton & Salakhutdinov 2006, "Reducing the dimensionality of data with neural
networks"; Kingma & Welling 2014, "Auto-encoding variational Bayes".

    chainrule train autoencoder
    python -m chainrule.recipes.autoencoder
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, viz
from chainrule.recipes import Experiment, Reference, shuffled
from chainrule.text import _, say

SUMMARY = _(
    "digits through a bottleneck: PCA, deep codes of 30 and 2, a variational one"
)
SECONDS = 660
REFERENCES = [
    Reference("codes.30.network", at_most=3.0, source=_("Hinton & Salakhutdinov 2006")),
    Reference("variational.20.bound", at_most=105.0, source="pytorch/examples, VAE"),
]
SIZES, QUICK_SIZES = (1000, 500, 250), (256, 128)
#: By the numbers of the code; the variational ones have a hidden layer of their own.
EPOCHS, LATENT_EPOCHS = {30: 40, 2: 12}, {20: 30, 2: 12}
BATCH_SIZE, LR, DECAY = 100, 1e-3, 0.2
HIDDEN = 400
#: Where it is quick.
IMAGES, QUICK_EPOCHS, QUICK_LR, QUICK_HIDDEN = 8000, 15, 3e-3, 64

# -- 1: principal components -----------------------------------------------------------


class Components:
    """Principal components: x̂ = mean + (x − mean) V Vᵀ, with k eigenvectors V."""

    def __init__(self, x: np.ndarray, k: int) -> None:
        self.mean = x.mean(0)
        centred = x - self.mean
        __, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        self.vectors = vectors[:, ::-1][:, :k].astype(np.float32)

    def codes(self, x: np.ndarray) -> np.ndarray:
        """Return the codes of images by principal components, (n, k)."""
        return (x - self.mean) @ self.vectors

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the reconstruction of images from their codes."""
        return self.mean + self.codes(x) @ self.vectors.T


def squared_error(x: np.ndarray, rebuilt: np.ndarray) -> float:
    """Return the mean over images of ‖x − x̂‖², summed over pixels."""
    return float(np.square(x - rebuilt, dtype=np.float64).sum(1).mean())


# -- 2 and 3: deep codes ---------------------------------------------------------------


def chain(*sizes: int) -> nn.Sequential:
    """Return linear layers with SiLU between them, with He's initial weights."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        linear = nn.Linear(inputs, outputs)
        nn.init.kaiming_normal_(linear.weight)
        layers += [linear, nn.SiLU()]
    return nn.Sequential(*layers[:-1])


class Autoencoder(nn.Module):
    """An encoder and a mirrored decoder, whose last layer is a sigmoid."""

    def __init__(self, *sizes: int) -> None:
        self.encoder = chain(*sizes)
        self.decoder = nn.Sequential(chain(*sizes[::-1]), nn.Sigmoid())

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.decoder(self.encoder(x))


def deep_trainer(experiment: Experiment, code: int) -> cr.Trainer:
    """Return a Trainer for an autoencoder; the target is the image itself."""
    cr.manual_seed(experiment.seed)
    lr = optim.OneCycleLR(QUICK_LR if experiment.quick else LR)
    return cr.Trainer(
        Autoencoder(784, *(QUICK_SIZES if experiment.quick else SIZES), code),
        loss=nn.MSELoss(),
        optimizer=optim.AdamW(lr=lr, weight_decay=DECAY),
        metrics=(),
        seed=experiment.seed,
        **experiment.engine_options,
    )


def deep_code(experiment: Experiment, train: np.ndarray, code: int) -> cr.Trainer:
    """Train an autoencoder with a given code size; return its Trainer."""
    samples = cr.data.Dataset(train, train, name="digits")
    epochs = QUICK_EPOCHS if experiment.quick else EPOCHS[code]
    how = {"epochs": epochs, "batch_size": BATCH_SIZE}
    return experiment.fit(
        f"code-{code}", deep_trainer(experiment, code), samples, **how
    )


def codes_of(model: Any, x: np.ndarray) -> np.ndarray:
    """Return the codes of images by an autoencoder's encoder."""
    with cr.no_grad():
        return model.encoder(cr.tensor(x)).numpy()


def compare(
    experiment: Experiment, train: np.ndarray, test: cr.data.Dataset
) -> dict[str, Any]:
    """Compare principal components and autoencoders at code sizes of 30 and 2."""
    x, y = test.x[:], np.asarray(test.y)
    found: dict[str, Any] = {}
    say("   numbers    PCA   network   ‖x − x̂‖² on test images\n")
    for code in EPOCHS:
        components = Components(train, code)
        trainer = deep_code(experiment, train, code)
        rebuilt = components.predict(x), np.asarray(trainer.predict(x))
        errors = [squared_error(x, image) for image in rebuilt]
        found[str(code)] = dict(zip(("pca", "network"), errors))
        print(f"   {code:7} {errors[0]:6.2f}   {errors[1]:7.2f}")
        shown = [int(np.flatnonzero(y == digit)[0]) for digit in range(10)]
        experiment.draw(
            f"rebuilt-{code}",
            viz.gallery.rows,
            {
                _("test digit"): x[shown],
                "network": rebuilt[1][shown],
                "PCA": rebuilt[0][shown],
            },
            title=_(
                "Out of {code} numbers: {errors:.2f}, PCA {errors0:.2f}",
                code=code,
                errors=errors[1],
                errors0=errors[0],
            ),
            size=(7.0, 2.5),
        )
        if code == 2:
            maps = {"PCA": components.codes(x), "network": codes_of(trainer.model, x)}
            title = "Two numbers a digit, read off its pixels alone"
            experiment.draw("map", draw_maps, maps, y, title=title, size=(9.0, 4.2))
    return found


# -- 4: a code to draw from ------------------------------------------------------------


class Variational(nn.Module):
    """A variational autoencoder: 784 → hidden → (μ, ln σ²) → z → hidden → 784.

    The 784 scores are ln p/(1 − p) of the pixels.
    """

    def __init__(self, hidden: int, code: int) -> None:
        self.code = code
        self.encoder = nn.Sequential(
            nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, 2 * code)
        )
        self.decoder = nn.Sequential(
            nn.Linear(code, hidden), nn.ReLU(), nn.Linear(hidden, 784)
        )

    def terms(self, x: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
        """Return −ln p(x|z) and KL of the negative ELBO, in nats, averaged over images.

        One z is drawn for each image.
        """
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        z = mean + (0.5 * log_variance).exp() * cr.randn_like(mean)
        scores = self.decoder(z)
        drawn = nn.functional.binary_cross_entropy_with_logits(
            scores, x, reduction="none"
        )
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
        return drawn.sum(1).mean(), kl.sum(1).mean()

    def draw(self, z: np.ndarray) -> np.ndarray:
        """Return the images that the decoder generates from codes."""
        with cr.no_grad():
            return self.decoder(cr.tensor(z.astype(np.float32))).sigmoid().numpy()


def training_step(experiment: Experiment, model: Variational, adam: optim.Adam) -> Any:
    """Compile a step of training: from images to −ELBO."""

    @experiment.compile
    def train(x: cr.Tensor) -> cr.Tensor:
        reconstruction, kl = model.terms(x)
        loss = reconstruction + kl
        model.zero_grad()
        loss.backward()
        adam.step()
        return loss

    return train


def variational(
    experiment: Experiment, images: np.ndarray, test: cr.data.Dataset, code: int
) -> dict[str, float]:
    """Train a variational autoencoder, measure its test bound, draw samples."""
    seed = experiment.seed
    cr.manual_seed(seed)
    model = Variational(QUICK_HIDDEN if experiment.quick else HIDDEN, code)
    epochs = QUICK_EPOCHS if experiment.quick else LATENT_EPOCHS[code]
    steps = epochs * (len(images) // BATCH_SIZE)
    lr = optim.OneCycleLR(QUICK_LR if experiment.quick else LR, total_steps=steps)
    adam = optim.Adam(model.parameters(), lr=lr)
    train = training_step(experiment, model, adam)
    state = {"model": model, "adam": adam}
    for epoch in experiment.steps(f"variational-{code}", epochs, **state):
        for rows in shuffled(len(images), BATCH_SIZE, seed, epoch):
            train(images[rows])

    cr.manual_seed(experiment.seed)  # of the ε that it is measured with
    measure = experiment.compile(cr.no_grad()(model.terms))
    parts = [measure(test.x[i : i + 500]) for i in range(0, len(test), 500)]
    means = np.array([[term.item() for term in part] for part in parts]).mean(0)
    drawn, kl = means.tolist()
    print(f"   {code:7} {drawn:14.2f} {kl:8.2f} {drawn + kl:8.2f}")
    if code == 2:
        steps = np.array([NormalDist().inv_cdf((i + 0.5) / 20) for i in range(20)])
        plane = np.array([[across, -up] for up in steps for across in steps])
        title = "A walk through the plane of two numbers"
        experiment.draw(
            "plane", draw_plane, model.draw(plane), title=title, size=(6, 6)
        )
    else:
        noise = np.random.default_rng(experiment.seed).standard_normal((50, code))
        title = f"Decoded noise: {code} numbers of N(0, 1) each"
        experiment.draw("samples", viz.gallery.images, model.draw(noise), title=title)
    return {"drawn": drawn, "kl": kl, "bound": drawn + kl}


# -- drawing ---------------------------------------------------------------------------


def draw_maps(figure: Any, maps: Mapping[str, np.ndarray], labels: np.ndarray) -> None:
    """Draw maps of two thousand two-dimensional codes, without outliers."""
    for part, (name, codes) in zip(figure.subfigures(1, len(maps)), maps.items()):
        some = codes[:2000]
        low, high = np.percentile(some, [3, 97], axis=0)
        inside = ((low <= some) & (some <= high)).all(1)
        viz.gallery.points(part, some[inside], labels[:2000][inside])
        part.suptitle(name)


def draw_plane(figure: Any, images: np.ndarray) -> None:
    """Draw the images of a square grid of codes, without gaps."""
    side = round(len(images) ** 0.5)
    tiles = images.reshape(side, side, 28, 28).transpose(0, 2, 1, 3)
    axes = figure.subplots()
    axes.imshow(tiles.reshape(side * 28, side * 28), cmap="gray")
    axes.set_axis_off()


# -- the lesson ------------------------------------------------------------------------


def run(experiment: Experiment) -> dict[str, Any]:
    """Compare codes, and generate images from codes.

    Args:
        experiment: the seed of initial weights, orders and noise.
    """
    train, test = cr.data.mnist()
    if experiment.quick:
        train, test = train.take(IMAGES), test.take(500)
    x = train.x[:]
    say("1 to 3  Codes of {x} digits\n", x=len(x))
    codes = compare(experiment, x, test)
    say("\n4  Variational: nats a test image\n")
    say("   numbers   −ln p(x|z)       KL    −ELBO\n")
    found = {
        str(code): variational(experiment, x, test, code) for code in LATENT_EPOCHS
    }
    return {"seed": experiment.seed, "codes": codes, "variational": found}


if __name__ == "__main__":
    run(Experiment("autoencoder"))
