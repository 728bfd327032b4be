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
from collections.abc import Mapping
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim, viz
from chainrule.recipes import Experiment, Reference, mnist
from chainrule.text import _, say
from chainrule.training import Batches, Callback, Loop, compile_program

SUMMARY = _(
    "digits from noise: two networks, two optimisers, one program; a judge counts"
)
REFERENCES = [
    Reference("made.digits", at_least=10, source=_("all digits are drawn")),
    Reference("made.parzen", at_least=225, source=_("Goodfellow et al. 2014")),
    Reference(
        "made.lost", at_most=0.03, source=_("own bar; 0 where all are as frequent")
    ),
]
NOISE, BATCH_SIZE, BETAS = 100, 100, (0.5, 0.999)
LR, QUICK_LR = 5e-4, 1e-3
#: β of the mean: it holds what G was within some 5,000 steps, ten epochs.
KEPT, QUICK_KEPT = 0.9998, 0.99
SIZES, QUICK_SIZES = ((256, 512), (512, 256)), ((64, 128), (128, 64))
EPOCHS, QUICK_EPOCHS = 60, 10
#: How many samples are judged, and what so many validation images choose σ among.
MADE, QUICK_MADE = 10_000, 1000
VALIDATION, SIGMAS = 1000, np.geomspace(0.1, 0.4, 25)

# -- 2: the game -----------------------------------------------------------------------


def drawing(sizes: tuple[int, ...]) -> nn.Sequential:
    """Return the generator G: from noise to images, −1 to 1."""
    made: list[nn.Module] = []
    for inputs, outputs in zip((NOISE, *sizes), sizes):
        made += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs)]
        made.append(nn.LeakyReLU(0.2))
    return nn.Sequential(*made, nn.Linear(sizes[-1], 784), nn.Tanh())


def judging(sizes: tuple[int, ...]) -> nn.Sequential:
    """Return the discriminator D: from an image to a score."""
    made: list[nn.Module] = []
    for inputs, outputs in zip((784, *sizes), sizes):
        made += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2), nn.Dropout(0.3)]
    return nn.Sequential(*made, nn.Linear(sizes[-1], 1))


class Game(nn.Module):
    """All networks of the GAN in one module, for unique tensor names."""

    def __init__(self, generator: tuple[int, ...], discriminator: tuple[int, ...]):
        self.generator = drawing(generator)
        self.discriminator = judging(discriminator)
        self.mean = drawing(generator).requires_grad_(False)
        self.mean.load_state_dict(self.generator.state_dict())

    def follow(self, kept: float) -> None:
        """Move the weight average towards G, batch norm's statistics included."""
        pairs = zip(self.mean.named_tensors(), self.generator.named_tensors())
        for (__, mean), (name, now) in pairs:
            if not name.endswith("num_batches_tracked"):
                mean.copy_(mean + (1 - kept) * (now.detach() - mean))


def noise(count: int) -> cr.Tensor:
    """Draw uniform noise z for the generator."""
    return cr.uniform(count, NOISE, low=-1.0)


def versus(scores: cr.Tensor, real: bool) -> cr.Tensor:
    """Return the mean loss ln(1 + e^∓s): −ln of the correct answer's probability."""
    return nn.functional.softplus(-scores if real else scores).mean()


def game_loop(experiment: Experiment, x: np.ndarray) -> tuple[Game, Loop]:
    """Return untrained generator and discriminator, and their training loop."""
    cr.manual_seed(experiment.seed)
    game = Game(*(QUICK_SIZES if experiment.quick else SIZES))
    lr, kept = (QUICK_LR, QUICK_KEPT) if experiment.quick else (LR, KEPT)
    for_g, for_d = (
        optim.Adam(network.parameters(), lr=lr, betas=BETAS)
        for network in (game.generator, game.discriminator)
    )

    def play(x: cr.Tensor) -> Any:
        made = game.generator(noise(BATCH_SIZE))
        # D learns; what G has made is a constant for it.
        d_loss = versus(game.discriminator(2 * x - 1), True)
        d_loss = d_loss + versus(game.discriminator(made.detach()), False)
        d_loss.backward()
        for_d.step()
        game.zero_grad()
        # G learns from the D that has learned; nothing moves D.
        g_loss = versus(game.discriminator(made), True)
        g_loss.backward()
        for_g.step()
        game.zero_grad()  # gradients that nobody asks for are not computed
        game.follow(kept)
        return {"loss": d_loss, "generator": g_loss}

    def draw(z: cr.Tensor) -> Any:
        game.eval()  # by the running mean and variance: an image has no neighbours
        drawn = {"last": game.generator(z), "mean": game.mean(z)}
        game.train()
        return {name: (images + 1) / 2 for name, images in drawn.items()}

    program = compile_program(
        {"play": play, "draw": draw},
        {"x": f"f32[{BATCH_SIZE},784]", "z": f"f32[N,{NOISE}]"},
        model=game,
        optimizers=[for_g, for_d],
        each=["x"],
        **experiment.engine_options,
    )
    source = Batches({"x": x}, BATCH_SIZE, experiment.seed)
    watched = ("loss", "generator")
    return game, Loop(program, "play", source, observers=[Growth()], finite=watched)


class Growth(Callback):
    """A callback that stores generated images of the same noise at some epochs."""

    EPOCHS = (1, 2, 5, 10, 20, 30, 40, 60)

    def __init__(self) -> None:
        self.images: dict[str, np.ndarray] = {}

    def on_epoch(self, trainer: Loop) -> None:
        """Store generated images after some of the epochs."""
        epoch = trainer.state.epoch
        if epoch in self.EPOCHS:
            self.images[str(epoch)] = drawn(trainer, 10, seed=0)["last"]

    def state(self) -> dict[str, Any]:
        """Return the stored images by epoch."""
        return dict(self.images)

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the stored images by epoch."""
        self.images = dict(state)


def drawn(loop: Loop, count: int, seed: int) -> dict[str, np.ndarray]:
    """Return the images that G and its weight average generate from the same noise."""
    z = np.random.default_rng([seed, count]).uniform(-1, 1, (count, NOISE))
    return loop.program.run("draw", {"z": z.astype(np.float32)})


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


# -- the whole -------------------------------------------------------------------------


def judge_of(
    experiment: Experiment, train: cr.data.Dataset, test: cr.data.Dataset
) -> cr.Trainer:
    """Train the classifier that rates generated images."""
    trainer = mnist.trainer(
        mnist.network(experiment.seed),
        seed=experiment.seed,
        **experiment.engine_options,
    )
    how = {"epochs": mnist.EPOCHS, "batch_size": mnist.BATCH_SIZE}
    trainer = experiment.fit("judge", trainer, train, **how)
    accuracy = trainer.evaluate(test)["accuracy"]
    say(
        "1  The judge reads {accuracy:.2%} of the test images as what they are.\n",
        accuracy=accuracy,
    )
    return trainer


def played(experiment: Experiment, x: np.ndarray) -> Loop:
    """Train the GAN from start to end; return its loop."""
    say("2  The game: mean losses of an epoch\n\n   epoch       D       G")
    __, loop = game_loop(experiment, x)
    loop = experiment.loop(
        "game", loop, epochs=QUICK_EPOCHS if experiment.quick else EPOCHS
    )
    rows = loop.history.epochs
    for row in rows[:2] + rows[4::5]:
        losses = f"{row['play_loss']:7.3f} {row['play_generator']:7.3f}"
        print(f"   {row['epoch']:5} {losses}")
    names = (("D", "play_loss"), ("G", "play_generator"))
    curves = {name: [row[column] for row in rows] for name, column in names}
    title = "The losses of the two: no descent, a balance"
    experiment.draw("losses", viz.gallery.lines, curves, across=_("epoch"), title=title)
    images = loop.observers[0].images
    growth = {f"epoch {n}": images[n] for n in sorted(images, key=int)}
    title = "The same noise, as G learns"
    experiment.draw("growth", viz.gallery.rows, growth, title=title, size=(7.0, 4.5))
    return loop


def run(experiment: Experiment) -> dict[str, Any]:
    """Train a judge, play, and count.

    Args:
        experiment: the seed is that of initial weights, orders, dropout and noise.
    """
    data, test = cr.data.mnist()
    train, validation = data[:50_000], data[50_000:]
    if experiment.quick:
        parts = (train, 4000), (validation, 500), (test, 500)
        train, validation, test = (part.take(count) for part, count in parts)
    judge = judge_of(experiment, train, test)
    x = train.x[:]
    loop = played(experiment, x)
    made = drawn(
        loop, QUICK_MADE if experiment.quick else MADE, seed=experiment.seed + 1
    )
    shown = made["mean"][:100]
    title = "A hundred samples, not chosen"
    experiment.draw("samples", viz.gallery.images, shown, title=title, size=(7, 7))
    nearest = x[squared_distances(shown[:10], x).argmin(1)]
    pairs = {"last": made["last"][:10], "made": shown[:10], "nearest": nearest}
    title = "Samples, and the training images that are nearest to them"
    experiment.draw("nearest", viz.gallery.rows, pairs, title=title, size=(7.0, 2.6))
    found = compare(experiment, judge, made, (x, validation.x[:], test.x[:]))
    shares = {str(digit): share for digit, share in enumerate(found["made"]["shares"])}
    experiment.draw(
        "shares", viz.gallery.bars, shares, title=_("Which digits it draws")
    )
    return {"seed": experiment.seed, **found}


if __name__ == "__main__":
    run(Experiment("gan"))
