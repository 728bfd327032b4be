"""A generative adversarial network that draws digits from noise.

Two networks against each other (1.5). The generator G makes images of noise, the
discriminator D says how likely an image is a real one:

    D:  min  −ln D(x) − ln(1 − D(G(z)))        x a digit, z ~ U(−1, 1)
    G:  min  −ln D(G(z))

G gets to know digits only through ∂D/∂x: the chain rule goes through the critic into
what it criticises. Both are moved in one compiled step, by an optimiser each.

What to look at, in this order:

    1   A judge, trained on labels (the recipe ``mnist``), which the game never sees. It
        says what is drawn, and so whether all ten digits are, and equally often.
    2   The game. The same noise, drawn as G learns; the losses, which do not fall: an
        equilibrium is no minimum. At D = ½ they would be 2 ln 2 and ln 2. G goes round
        it and round it, so a mean of its weights follows, and draws better than G:

            W̄ ← W̄ + (1 − β) (W − W̄),   β = 0.9998

    3   What has come of it: samples beside the training images that are nearest to
        them (it does not copy), the judge's counts, and the likelihood of test images
        under a mixture of Gaussians around samples, as the paper measured it:

            ln p(x) = ln 1/n Σᵢ N(x; G(zᵢ), σ² I),   n = 10,000, σ by validation images

        It is a coarse yardstick (Theis et al. 2016): it likes what is smooth, and the
        training images themselves come to 243 nats and no more. The paper reports 225
        ± 2. Of the last G's own samples it sees the specks, which the mean has not.

G has batch normalisation, D dropout, and both Adam (Radford et al. 2016); in the paper
D's units were maxout, G had 1,200 of them a layer, and SGD with momentum moved both.
Learning rate, dropout, β and the end were chosen, as σ is, on the last 10,000 training
images, which the game does not use.

Source: Goodfellow et al. 2014, "Generative adversarial nets"; the mean: Yazıcı et al.
2019, "The unusual effectiveness of averaging in GAN training".

    chainrule train gan
    python -m chainrule.recipes.gan
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, viz
from chainrule.recipes import Experiment, Reference, mnist, shuffled
from chainrule.text import _, say

SUMMARY = _(
    "digits from noise: two networks, two optimisers, one program; a judge counts"
)
SECONDS = 800
REFERENCES = [
    Reference("made.digits", at_least=10, source=_("all digits are drawn")),
    Reference("made.parzen", at_least=225, source=_("Goodfellow et al. 2014")),
    Reference(
        "made.lost", at_most=0.03, source=_("own bar; 0 where all are as frequent")
    ),
]
NOISE, BATCH_SIZE, BETAS = 100, 100, (0.5, 0.999)
#: Epochs after which the same noise is drawn.
SHOWN = (1, 2, 5, 10, 20, 30, 40, 60)
#: Validation images, and the deviations σ that they choose from.
VALIDATION, SIGMAS = 1000, np.geomspace(0.1, 0.4, 25)


@dataclass(frozen=True)
class Settings:
    """Sizes and hyperparameters."""

    generator: tuple[int, ...] = (256, 512)
    discriminator: tuple[int, ...] = (512, 256)
    lr: float = 5e-4
    beta: float = 0.9998  # of the mean: what G was within some 5,000 steps
    epochs: int = 60
    samples: int = 10_000  # that are judged
    digits: int = 50_000  # to learn from


FULL = Settings()
QUICK = Settings((128, 256), (256, 128), 1e-3, 0.995, 20, 1000, 12_000)

# -- 2: the game -----------------------------------------------------------------------


def generator(sizes: tuple[int, ...]) -> nn.Sequential:
    """Return the generator G: from noise to images, −1 to 1."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip((NOISE, *sizes), sizes):
        layers += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs)]
        layers.append(nn.LeakyReLU(0.2))
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 784), nn.Tanh())


def discriminator(sizes: tuple[int, ...]) -> nn.Sequential:
    """Return the discriminator D: from an image to a score."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip((784, *sizes), sizes):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2), nn.Dropout(0.3)]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 1))


class GAN(nn.Module):
    """Generator, discriminator, and the mean of the generator's weights."""

    def __init__(self, s: Settings) -> None:
        self.generator = generator(s.generator)
        self.discriminator = discriminator(s.discriminator)
        self.mean = generator(s.generator).requires_grad_(False)
        self.mean.load_state_dict(self.generator.state_dict())

    def update_mean(self, beta: float) -> None:
        """Move the mean towards G's weights, batch norm's statistics included."""
        pairs = zip(self.mean.named_tensors(), self.generator.named_tensors())
        for (__, mean), (name, now) in pairs:
            if not name.endswith("num_batches_tracked"):
                mean.copy_(mean + (1 - beta) * (now.detach() - mean))


def adversarial_loss(scores: cr.Tensor, real: bool) -> cr.Tensor:
    """Return the mean loss ln(1 + e^∓s): −ln of the correct answer's probability."""
    return nn.functional.softplus(-scores if real else scores).mean()


def adam(network: nn.Module, s: Settings) -> optim.Adam:
    """Return the optimiser of one of the two."""
    return optim.Adam(network.parameters(), lr=s.lr, betas=BETAS)


def training_step(
    experiment: Experiment,
    gan: GAN,
    adam_g: optim.Adam,
    adam_d: optim.Adam,
    beta: float,
) -> Any:
    """Compile a step of both networks: from digits to the two losses."""

    @experiment.compile
    def train(x: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
        fake = gan.generator(cr.uniform(BATCH_SIZE, NOISE, low=-1.0))
        # D learns; what G has made is a constant for it.
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
        gan.update_mean(beta)
        return d_loss, g_loss

    return train


def generated(
    experiment: Experiment, network: nn.Module, count: int, seed: int
) -> np.ndarray:
    """Return images, 0 to 1, that a generator draws from the seed's noise."""
    z = np.random.default_rng([seed, count]).uniform(-1, 1, (count, NOISE))
    network.eval()  # by the running mean and variance: an image has no neighbours
    with cr.no_grad():
        images = experiment.compile(network)(z.astype(np.float32))
    network.train()
    return (images.numpy() + 1) / 2


def play(experiment: Experiment, x: np.ndarray, s: Settings) -> GAN:
    """Play the game from its beginning to its end; return the networks."""
    say("2  The game: mean losses of an epoch\n\n   epoch       D       G")
    cr.manual_seed(experiment.seed)
    gan = GAN(s)
    adam_g, adam_d = adam(gan.generator, s), adam(gan.discriminator, s)
    train = training_step(experiment, gan, adam_g, adam_d, s.beta)
    losses: list[list[float]] = []
    growth: dict[str, np.ndarray] = {}
    state: dict[str, Any] = {"gan": gan, "adam_g": adam_g, "adam_d": adam_d}
    for epoch in experiment.steps("game", s.epochs, **state, losses=losses, g=growth):
        batches = shuffled(len(x), BATCH_SIZE, experiment.seed, epoch)
        both = [[loss.item() for loss in train(x[rows])] for rows in batches]
        d_loss, g_loss = np.mean(both, axis=0).tolist()
        losses.append([d_loss, g_loss])
        if epoch < 2 or epoch % 5 == 4:
            print(f"   {epoch + 1:5} {d_loss:7.3f} {g_loss:7.3f}")
        if epoch + 1 in SHOWN:
            images = generated(experiment, gan.generator, 10, seed=0)
            growth[f"epoch {epoch + 1}"] = images
    experiment.draw(
        "losses",
        viz.gallery.lines,
        dict(zip("DG", np.transpose(losses))),
        across=_("epoch"),
        title="The losses of the two: no descent, a balance",
    )
    experiment.draw(
        "growth",
        viz.gallery.rows,
        growth,
        title="The same noise, as G learns",
        size=(7.0, 4.5),
    )
    return gan


# -- 3: what has come of it ------------------------------------------------------------


def squared_distances(x: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return ‖xᵢ − oⱼ‖² = ‖xᵢ‖² − 2 xᵢ·oⱼ + ‖oⱼ‖², (n, m)."""
    mine, theirs = (np.square(rows, dtype=np.float64).sum(1) for rows in (x, others))
    return np.maximum(mine[:, None] - 2.0 * (x @ others.T) + theirs, 0)


def parzen(x: np.ndarray, centres: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
    """Return the Parzen estimate ln p(x) for each image and σ, (images, σ)."""
    found = []
    for first in range(0, len(x), 250):
        squares = squared_distances(x[first : first + 250], centres)
        nearest = squares.min(1, keepdims=True)
        for_sigma = [
            np.log(np.exp((nearest - squares) / (2 * s * s)).mean(1))
            - nearest[:, 0] / (2 * s * s)
            - x.shape[1] / 2 * math.log(2 * math.pi * s * s)
            for s in sigmas
        ]
        found.append(np.stack(for_sigma, 1))
    return np.concatenate(found)


def counted(trainer: cr.Trainer, images: np.ndarray) -> dict[str, Any]:
    """Return the classifier's view of images: shares of digits, and confidence.

    ``lost`` is KL(shares ‖ 1/10) = Σ p ln 10 p, in nats: 0 where all are as frequent.
    """
    read = trainer.predict(images, output="probabilities")
    shares = np.bincount(read.argmax(1), minlength=10) / len(images)
    some = shares[shares > 0]
    return {
        "shares": shares.tolist(),
        "digits": int((shares >= 0.01).sum()),
        "lost": float((some * np.log(10 * some)).sum()),
        "confidence": float(read.max(1).mean()),
    }


def likelihood(
    made: np.ndarray, validation: np.ndarray, test: np.ndarray
) -> dict[str, float]:
    """Return mean ln p of test images, with σ selected on validation images."""
    sigma = SIGMAS[parzen(validation, made, SIGMAS).mean(0).argmax()]
    found = parzen(test, made, sigma[None])[:, 0]
    error = found.std(ddof=1) / math.sqrt(len(found))
    return {"sigma": float(sigma), "parzen": float(found.mean()), "error": float(error)}


def compare(
    experiment: Experiment,
    judge: cr.Trainer,
    made: dict[str, np.ndarray],
    sets: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> dict[str, Any]:
    """Compare generated samples with real digits, by classifier and likelihood."""
    train, validation, test = sets
    found: dict[str, Any] = {}
    count = len(made["mean"])
    say("\n3  {count} samples, and as many digits\n", count=count)
    say("             digits   KL of shares    sure       ln p(test)       σ")
    some = validation[:VALIDATION]
    for name, read, centres in (
        ("last", made["last"], made["last"]),
        ("made", made["mean"], made["mean"]),
        ("real", test, train[:count]),
    ):
        told = counted(judge, read)
        told |= experiment.cached(f"likelihood-{name}", likelihood, centres, some, test)
        found[name] = told
        told_of = f"{told['digits']:10} {told['lost']:14.4f} {told['confidence']:7.1%}"
        likely = f"{told['parzen']:9.1f} ± {told['error']:.1f} {told['sigma']:7.3f}"
        print(f"   {name:5}{told_of} {likely}")
    return found


# -- the lesson ------------------------------------------------------------------------


def judge_of(
    experiment: Experiment, train: cr.data.Dataset, test: cr.data.Dataset
) -> cr.Trainer:
    """Train the classifier that rates generated images."""
    seed = experiment.seed
    trainer = mnist.trainer(mnist.network(seed), seed=seed, **experiment.engine_options)
    trainer = experiment.fit(
        "judge", trainer, train, epochs=mnist.EPOCHS, batch_size=mnist.BATCH_SIZE
    )
    accuracy = trainer.evaluate(test)["accuracy"]
    say(
        "1  The judge reads {accuracy:.2%} of the test images as what they are.\n",
        accuracy=accuracy,
    )
    return trainer


def run(experiment: Experiment) -> dict[str, Any]:
    """Train a judge, play, and count.

    Args:
        experiment: the seed of initial weights, orders, dropout and noise.
    """
    s = QUICK if experiment.quick else FULL
    data, test = cr.data.mnist()
    train, validation = data[: s.digits], data[50_000:]
    if experiment.quick:
        validation, test = validation.take(500), test.take(500)
    judge = judge_of(experiment, train, test)
    x = train.x[:]
    gan = play(experiment, x, s)
    samples = {
        name: generated(experiment, network, s.samples, experiment.seed + 1)
        for name, network in (("last", gan.generator), ("mean", gan.mean))
    }
    shown = samples["mean"][:100]
    title = "A hundred samples, not chosen"
    experiment.draw("samples", viz.gallery.images, shown, title=title, size=(7, 7))
    nearest = x[squared_distances(shown[:10], x).argmin(1)]
    rows = {"last": samples["last"][:10], "made": shown[:10], "nearest": nearest}
    title = "Samples, and the training images that are nearest to them"
    experiment.draw("nearest", viz.gallery.rows, rows, title=title, size=(7.0, 2.6))
    found = compare(experiment, judge, samples, (x, validation.x[:], test.x[:]))
    shares = {str(digit): share for digit, share in enumerate(found["made"]["shares"])}
    experiment.draw(
        "shares", viz.gallery.bars, shares, title=_("Which digits it draws")
    )
    return {"seed": experiment.seed, **found}


if __name__ == "__main__":
    run(Experiment("gan"))
