"""Autoencoders: codes of thirty numbers and of two for digits (1.5).

The network is trained without labels, to return the image itself. The code, a narrow
layer, has to leave out what can be guessed:

    x (784) → 1000 → 500 → 250 → code → 250 → 500 → 1000 → x̂ (784)
    minimised: ‖x − x̂‖², summed over the pixels from 0 to 1, mean over the images

What to look at, in this order:

    1   Principal components: the best linear code, by the eigenvectors of the pixels'
        covariance.
    2   The deep network with as many numbers: a fifth of the error. Hinton and
        Salakhutdinov, who report 13.87 and 3.00 on these test images, needed Boltzmann
        machines, layer by layer, to find where to begin (the recipe ``dbn``); SiLU,
        initial weights of He's size and AdamW begin anywhere.
    3   Codes of two numbers, as maps: digits that look alike lie side by side.
    4   A code to sample from. The variational autoencoder's is a distribution,
        N(μ, σ²) for each image, and what it minimises bounds −ln p(x) from above:

            −ELBO = E[−ln p(x|z)] + KL(N(μ, σ²) ‖ N(0, 1)),   z = μ + σ ε,  ε ~ N(0, 1)

        The noise ε comes from outside, so that the chain rule has a way through z.
        Decoded noise is a digit that nobody wrote.

Settings were chosen on the last 10,000 training images. Grey pixels count as shares of
black ones, as is usual; strictly the bound is for black and white images.

Sources: Hinton & Salakhutdinov 2006, "Reducing the dimensionality of data with neural
networks"; Kingma & Welling 2014, "Auto-encoding variational Bayes".

    chainrule train autoencoder
    python -m chainrule.recipes.autoencoder
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, viz
from chainrule.recipes import Experiment, Reference, by_batches, shuffled
from chainrule.recipes.datasets.classes import first_of_each_class
from chainrule.recipes.evaluation.pca import PrincipalComponents, squared_error
from chainrule.recipes.pictures.autoencoder import code_maps
from chainrule.text import _, ngettext, say

SUMMARY = _(
    "digits through a bottleneck: PCA, deep codes of 30 and 2, a variational one"
)
SECONDS = 660
REFERENCES = [
    Reference("codes.30.network", at_most=3.0, source=_("Hinton & Salakhutdinov 2006")),
    Reference("variational.20.bound", at_most=105.0, source="pytorch/examples, VAE"),
]
BATCH_SIZE, WEIGHT_DECAY = 100, 0.2


@dataclass(frozen=True)
class Settings:
    """The layer sizes and training budgets of the autoencoder recipe."""

    sizes: tuple[int, ...] = (1000, 500, 250)
    hidden: int = 400  # of the variational autoencoder
    lr: float = 1e-3
    epochs: tuple[int, int] = (40, 12)  # for codes of 30 and of 2 numbers
    variational_epochs: tuple[int, int] = (30, 12)  # of 20 and of 2
    images: int = 60_000
    test_images: int = 10_000


FULL = Settings()
QUICK = Settings((256, 128), 64, 3e-3, (15, 15), (15, 15), 8000, 500)


def chain(*sizes: int) -> nn.Sequential:
    """Return linear layers of given sizes with SiLU between them, He-initialised."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        linear = nn.Linear(inputs, outputs)
        nn.init.kaiming_normal_(linear.weight)
        layers += [linear, nn.SiLU()]
    return nn.Sequential(*layers[:-1])


class Autoencoder(nn.Module):
    """An autoencoder: an encoder and a mirrored decoder with a final sigmoid."""

    def __init__(self, *sizes: int) -> None:
        self.encoder = chain(*sizes)
        self.decoder = nn.Sequential(chain(*sizes[::-1]), nn.Sigmoid())

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.decoder(self.encoder(x))


def deep_trainer(experiment: Experiment, code: int, s: Settings) -> cr.Trainer:
    """Return a Trainer for an autoencoder; the target is the image itself."""
    cr.manual_seed(experiment.seed)
    return cr.Trainer(
        Autoencoder(784, *s.sizes, code),
        loss=nn.MSELoss(),
        optimizer=optim.AdamW(lr=optim.OneCycleLR(s.lr), weight_decay=WEIGHT_DECAY),
        metrics=(),
        seed=experiment.seed,
        **experiment.engine_options,
    )


def compare(
    experiment: Experiment, x: np.ndarray, test: cr.data.Dataset, s: Settings
) -> dict[str, Any]:
    """Compare principal components and autoencoders at code sizes of 30 and 2."""
    say("   numbers    PCA   network   ‖x − x̂‖² on test images\n")
    test_x, rows = test.x[:], first_of_each_class(test.y)
    images, results = {_("test digit"): test_x[rows]}, {}
    for code, epochs in zip((30, 2), s.epochs):
        components = PrincipalComponents(x, code)
        trainer: Any = deep_trainer(experiment, code, s)
        budget = {"epochs": epochs, "batch_size": BATCH_SIZE}
        trainer = experiment.fit(f"code-{code}", trainer, (x, x), **budget)
        linear, deep = components.predict(test_x), np.asarray(trainer.predict(test_x))
        pca, network = squared_error(test_x, linear), squared_error(test_x, deep)
        print(f"   {code:7} {pca:6.2f}   {network:7.2f}")
        images[_("PCA {n}", n=code)] = linear[rows]
        images[_("network {n}", n=code)] = deep[rows]
        results[str(code)] = {"pca": pca, "network": network}
    title, size = _("Digits out of codes of 30 and of 2 numbers"), (7.0, 4.0)
    experiment.draw("reconstructed", viz.gallery.rows, images, title=title, size=size)
    codes = by_batches(trainer.model.encoder, test_x)
    maps = {_("PCA"): components.codes(test_x), _("network"): codes}
    title, size = _("Two numbers a digit, read off its pixels alone"), (9.0, 4.2)
    experiment.draw("map", code_maps, maps, test.y, title=title, size=size)
    return results


class Variational(nn.Module):
    """A variational autoencoder: 784 → hidden → (μ, ln σ²) → z → hidden → 784.

    The 784 scores are ln p/(1 − p) of the pixels.
    """

    def __init__(self, hidden: int, code: int) -> None:
        self.encoder = nn.Sequential(
            nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, 2 * code)
        )
        self.decoder = nn.Sequential(
            nn.Linear(code, hidden), nn.ReLU(), nn.Linear(hidden, 784)
        )

    def terms(self, x: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
        """Return a variational autoencoder's two loss terms: −ln p(x|z) and KL.

        One z is drawn for each image.
        """
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        z = mean + (0.5 * log_variance).exp() * cr.randn_like(mean)
        reconstruction = nn.functional.binary_cross_entropy_with_logits(
            self.decoder(z), x, reduction="none"
        )
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
        return reconstruction.sum(1).mean(), kl.sum(1).mean()

    def sample(self, z: np.ndarray) -> np.ndarray:
        """Return the images that a variational autoencoder generates from codes."""
        return by_batches(lambda z: self.decoder(z).sigmoid(), z.astype(np.float32))


def variational(
    experiment: Experiment, x: np.ndarray, test: np.ndarray, code: int, epochs: int
) -> tuple[Variational, list[float]]:
    """Train a variational autoencoder; return it, and its loss terms on test images."""
    s = QUICK if experiment.quick else FULL
    cr.manual_seed(experiment.seed)
    model = Variational(s.hidden, code)
    steps = epochs * (len(x) // BATCH_SIZE)
    schedule = optim.OneCycleLR(s.lr, total_steps=steps)
    adam = optim.Adam(model.parameters(), lr=schedule)

    @experiment.compile
    def train(x: cr.Tensor) -> cr.Tensor:
        reconstruction, kl = model.terms(x)
        loss = reconstruction + kl
        model.zero_grad()
        loss.backward()
        adam.step()
        return loss

    for epoch in experiment.steps(f"vae-{code}", epochs, model=model, adam=adam):
        for rows in shuffled(len(x), BATCH_SIZE, experiment.seed, epoch):
            train(x[rows])

    cr.manual_seed(experiment.seed)  # of the ε of the measurement
    measure = experiment.compile(cr.no_grad()(model.terms))
    parts = [measure(test[i : i + 500]) for i in range(0, len(test), 500)]
    terms = np.mean([[term.item() for term in part] for part in parts], axis=0)
    return model, terms.tolist()


def run(experiment: Experiment) -> dict[str, Any]:
    """Train autoencoders of digits, compare their codes, and generate images.

    Args:
        experiment: the seed of initial weights, orders and noise.
    """
    s = QUICK if experiment.quick else FULL
    train, test = cr.data.mnist()
    x, test = train.x[: s.images], test.take(s.test_images)
    say(
        ngettext(
            "1 to 3  Codes of {n} digit\n", "1 to 3  Codes of {n} digits\n", n=len(x)
        )
    )
    codes = compare(experiment, x, test, s)
    say("\n4  Variational: nats a test image\n")
    say("   numbers   −ln p(x|z)       KL    −ELBO\n")
    results = {}
    for code, epochs in zip((20, 2), s.variational_epochs):
        model, terms = variational(experiment, x, test.x[:], code, epochs)
        row = [*terms, sum(terms)]
        print("   {:7} {:14.2f} {:8.2f} {:8.2f}".format(code, *row))
        results[str(code)] = dict(zip(("reconstruction", "kl", "bound"), row))
        if code == 20:
            z = np.random.default_rng(experiment.seed).standard_normal((50, code))
            decoded = model.sample(z)
    title = _("Decoded noise: {n} numbers of N(0, 1) each", n=20)
    experiment.draw("samples", viz.gallery.images, decoded, title=title)
    quantiles = [NormalDist().inv_cdf((i + 0.5) / 20) for i in range(20)]
    z = np.array([[across, -up] for up in quantiles for across in quantiles])
    plane = model.sample(z).reshape(20, 20, 28, 28)
    title = _("A walk through the plane of two numbers")
    experiment.draw("plane", viz.gallery.mosaics, [plane], title=title, size=(6, 6))
    return {"codes": codes, "variational": results}


if __name__ == "__main__":
    run(Experiment("autoencoder"))
