"""A generative adversarial network that draws digits from noise.

Two networks against each other (1.5). The generator G makes images of noise, the
discriminator D says how likely an image is a real one:

    D:  min  −ln D(x) − ln(1 − D(G(z)))        x a digit, z ~ U(−1, 1)
    G:  min  −ln D(G(z))

G learns of digits through ∂D/∂x alone: the chain rule goes through the critic into what
it criticises. Both are moved in one compiled step, by an optimiser each.

What to look at, in this order:

    1   A judge, trained on labels (the recipe ``mnist``), which the game never sees. It
        reads what is drawn: whether all ten digits are, and equally often.
    2   The game. The same noise, drawn as G learns; the losses, which do not fall: an
        equilibrium is no minimum. At D = ½ they would be 2 ln 2 and ln 2. G moves round
        it, so a mean of its weights follows, and draws better than G:

            W̄ ← W̄ + (1 − β) (W − W̄),   β = 0.9998

    3   Samples beside the training images that are nearest to them (G does not copy),
        the judge's counts, and the Parzen likelihood of test images, as the paper
        measured it. It is a coarse yardstick (Theis et al. 2016): it prefers what is
        smooth, and the training images themselves come to 243 nats. The paper reports
        225 ± 2.

G has batch normalisation, D dropout, and both Adam (Radford et al. 2016). Settings were
chosen on the last 10,000 training images, which the game does not use.

Source: Goodfellow et al. 2014, "Generative adversarial nets"; the mean: Yazıcı et al.
2019, "The unusual effectiveness of averaging in GAN training".

    chainrule train gan
    python -m chainrule.recipes.gan
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, viz
from chainrule.recipes import Experiment, Reference, by_batches, mnist, shuffled
from chainrule.recipes.evaluation.mode_coverage import mode_coverage
from chainrule.recipes.evaluation.parzen import likelihood, squared_distances
from chainrule.text import _, ngettext, padded, say, translated

SUMMARY = _(
    "digits from noise: two networks, two optimisers, one program; a judge counts"
)
SECONDS = 800
REFERENCES = [
    Reference("averaged.classes", at_least=10, source=_("all digits are drawn")),
    Reference("averaged.parzen", at_least=225, source=_("Goodfellow et al. 2014")),
    Reference(
        "averaged.kl", at_most=0.03, source=_("own bar; 0 where all are as frequent")
    ),
]
NOISE, BATCH_SIZE, BETAS = 100, 100, (0.5, 0.999)
#: Epochs after which the same noise is drawn.
SHOWN = (1, 2, 5, 10, 20, 30, 40, 60)


@dataclass(frozen=True)
class Settings:
    """The layer sizes and hyperparameters of the GAN recipe."""

    generator: tuple[int, ...] = (256, 512)
    discriminator: tuple[int, ...] = (512, 256)
    lr: float = 5e-4
    beta: float = 0.9998  # of the mean: what G was within some 5,000 steps
    epochs: int = 60
    samples: int = 10_000  # that are judged
    digits: int = 50_000  # to learn from
    validation: int = 1000
    test: int = 10_000


FULL = Settings()
QUICK = Settings((128, 256), (256, 128), 1e-3, 0.995, 20, 1000, 12_000, 500, 500)


def generator(sizes: tuple[int, ...]) -> nn.Sequential:
    """Return a GAN's generator G: from noise to images, −1 to 1."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise((NOISE, *sizes)):
        layers += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs)]
        layers.append(nn.LeakyReLU(0.2))
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 784), nn.Tanh())


def discriminator(sizes: tuple[int, ...]) -> nn.Sequential:
    """Return a GAN's discriminator D: from an image to a score."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise((784, *sizes)):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2), nn.Dropout(0.3)]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 1))


class GAN(nn.Module):
    """A GAN: generator, discriminator, and the running mean of G's weights."""

    def __init__(self, s: Settings) -> None:
        self.generator = generator(s.generator)
        self.discriminator = discriminator(s.discriminator)
        self.mean = generator(s.generator).requires_grad_(False)
        self.mean.load_state_dict(self.generator.state_dict())

    def update_mean(self, beta: float) -> None:
        """Update the running mean of the generator's weights and statistics."""
        pairs = zip(self.mean.named_tensors(), self.generator.named_tensors())
        for (__, mean), (name, now) in pairs:
            if not name.endswith("num_batches_tracked"):
                mean.copy_(mean + (1 - beta) * (now.detach() - mean))


def adversarial_loss(scores: cr.Tensor, real: bool) -> cr.Tensor:
    """Return the mean GAN loss ln(1 + e^∓s) of a discriminator's scores s."""
    return nn.functional.softplus(-scores if real else scores).mean()


def training_step(experiment: Experiment, gan: GAN, s: Settings) -> tuple[Any, Any]:
    """Return a GAN's optimisers by name, and a compiled training step."""
    adam_g = optim.Adam(gan.generator.parameters(), lr=s.lr, betas=BETAS)
    adam_d = optim.Adam(gan.discriminator.parameters(), lr=s.lr, betas=BETAS)

    @experiment.compile
    def train(x: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
        fake = gan.generator(cr.uniform(BATCH_SIZE, NOISE, low=-1.0))
        # D learns; G's images are constants for it.
        d_loss = adversarial_loss(gan.discriminator(2 * x - 1), True)
        d_loss = d_loss + adversarial_loss(gan.discriminator(fake.detach()), False)
        d_loss.backward()
        adam_d.step()
        gan.zero_grad()
        # G learns from the D that has learned; nothing moves D.
        g_loss = adversarial_loss(gan.discriminator(fake), True)
        g_loss.backward()
        adam_g.step()
        gan.zero_grad()  # gradients that nobody asks for are not computed
        gan.update_mean(s.beta)
        return d_loss, g_loss

    return {"adam_g": adam_g, "adam_d": adam_d}, train


def generate(
    experiment: Experiment, network: nn.Module, count: int, seed: int
) -> np.ndarray:
    """Return images, 0 to 1, that a GAN's generator draws from the seed's noise."""
    z = np.random.default_rng([seed, count]).uniform(-1, 1, (count, NOISE))
    network.eval()  # by the running mean and variance: an image has no neighbours
    images = by_batches(experiment.compile(network), z.astype(np.float32), count)
    network.train()
    return (images + 1) / 2


def play(experiment: Experiment, x: np.ndarray, s: Settings) -> GAN:
    """Train a GAN, generator against discriminator; return the networks."""
    say("2  The game: mean losses of an epoch\n\n   epoch       D       G")
    cr.manual_seed(experiment.seed)
    gan = GAN(s)
    optimizers, train = training_step(experiment, gan, s)
    growth: dict[str, np.ndarray] = {}
    state = {"gan": gan, **optimizers, "growth": growth}
    for epoch in experiment.steps("game", s.epochs, **state):
        batches = shuffled(len(x), BATCH_SIZE, experiment.seed, epoch)
        losses = [[loss.item() for loss in train(x[rows])] for rows in batches]
        if epoch < 2 or epoch % 5 == 4:
            d_loss, g_loss = np.mean(losses, axis=0)
            print(f"   {epoch + 1:5} {d_loss:7.3f} {g_loss:7.3f}")
        if epoch + 1 in SHOWN:
            growth[str(epoch + 1)] = generate(experiment, gan.generator, 10, 0)
    title, size = _("The same noise, as G learns"), (7.0, 4.5)
    rows = {_("epoch {epoch}", epoch=epoch): group for epoch, group in growth.items()}
    experiment.draw("growth", viz.gallery.rows, rows, title=title, size=size)
    return gan


def train_judge(experiment: Experiment, train: Any) -> cr.Trainer:
    """Train a digit classifier that will read the GAN's generated images."""
    seed = experiment.seed
    trainer = mnist.trainer(mnist.network(seed), seed=seed, **experiment.engine_options)
    budget = {"epochs": mnist.EPOCHS, "batch_size": mnist.BATCH_SIZE}
    return experiment.fit("judge", trainer, train, **budget)


def run(experiment: Experiment) -> dict[str, Any]:
    """Train a GAN on digits, and measure its images by a classifier.

    Args:
        experiment: the seed of initial weights, orders, dropout and noise.
    """
    s = QUICK if experiment.quick else FULL
    data, test = cr.data.mnist()
    train, test = data[: s.digits], test.take(s.test)
    x, validation = train.x[:], data.x[50_000 : 50_000 + s.validation]
    judge = train_judge(experiment, train)
    say(
        "1  The judge reads {accuracy:.2%} of the test images as what they are.\n",
        accuracy=judge.evaluate(test)["accuracy"],
    )
    gan = play(experiment, x, s)
    noise = s.samples, experiment.seed + 1
    last = generate(experiment, gan.generator, *noise)
    mean = generate(experiment, gan.mean, *noise)
    title, size = _("A hundred samples, not chosen"), (7.0, 7.0)
    experiment.draw("samples", viz.gallery.images, mean[:100], title=title, size=size)
    nearest = x[squared_distances(mean[:10], x).argmin(1)]
    rows = {
        _("last G"): last[:10],
        _("mean of G"): mean[:10],
        _("nearest image"): nearest,
    }
    title = _("Samples, and the training images nearest to those of the mean")
    experiment.draw("nearest", viz.gallery.rows, rows, title=title, size=(7.0, 2.6))

    say(
        ngettext(
            "\n3  {n} sample, and as many digits\n",
            "\n3  {n} samples, and as many digits\n",
            n=s.samples,
        )
    )
    say("             digits   KL of shares    sure       ln p(test)       σ")
    results: dict[str, Any] = {}
    compared = {_("last"): last, _("averaged"): mean, _("real"): x[: s.samples]}
    for name, images in compared.items():
        judged = test.x[:] if name == "real" else images
        row = mode_coverage(judge.predict(judged, output="probabilities"))
        row |= likelihood(images, validation, test.x[:])
        judgement = f"{row['classes']:7} {row['kl']:14.4f}"
        density = f"{row['parzen']:9.1f} ± {row['error']:.1f} {row['sigma']:7.3f}"
        row_name = padded(translated(name), 8)
        print(f"   {row_name}{judgement} {row['confidence']:7.1%} {density}")
        results[name] = row
    return results


if __name__ == "__main__":
    run(Experiment("gan"))
