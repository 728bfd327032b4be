"""Networks of recipes on digits: autoencoder, dbn, gan, clustering and others."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.recipes import (
    autoencoder,
    classical,
    clustering,
    dbn,
    gan,
    hierarchy,
)
from chainrule.recipes.datasets.classes import first_of_each_class
from chainrule.recipes.evaluation.fine_tuning import fine_tuning_errors
from chainrule.recipes.networks.declared import network
from chainrule.recipes.networks.inspection import Applied, Inspection, Subject

# -- classifiers -----------------------------------------------------------------------


@network("hierarchy", "network")
def hierarchy_network(inspection: Inspection) -> Subject:
    """The convolutional network whose features are looked at."""
    hierarchy.train(inspection)
    return inspection.trained_subject()


def _classical(inspection: Inspection, name: str) -> Subject:
    """The convolutional network beside the handcrafted features, of the first fold."""
    images, y, folds = getattr(classical, name)(inspection.quick)
    x, rows = images[:, None].astype(np.float32), folds[0][0]
    budget = {"epochs": classical.EPOCHS, "batch_size": classical.BATCH_SIZE}
    trainer = classical.trainer(inspection, images.shape[1])
    inspection.fit(f"{name}-0", trainer, (x[rows], y[rows]), **budget)
    return inspection.trained_subject()


network("classical", "digits")(partial(_classical, name="digits"))
network("classical", "mnist")(partial(_classical, name="mnist"))

# -- autoencoders ----------------------------------------------------------------------


def _autoencoder(inspection: Inspection, code: int) -> Subject:
    """The deep autoencoder with a code of so many numbers."""
    s = autoencoder.QUICK if inspection.quick else autoencoder.FULL
    x = cr.data.mnist()[0].x[: s.images]
    epochs = s.epochs[(30, 2).index(code)]
    budget = {"epochs": epochs, "batch_size": autoencoder.BATCH_SIZE}
    trainer = autoencoder.deep_trainer(inspection, code, s)
    inspection.fit(f"code-{code}", trainer, (x, x), **budget)
    return inspection.trained_subject()


def _variational(inspection: Inspection, code: int) -> Subject:
    """The variational autoencoder with a code of so many numbers: its bound."""
    s = autoencoder.QUICK if inspection.quick else autoencoder.FULL
    train, test = cr.data.mnist()
    x, few = train.x[: s.images], test.x[:500]
    epochs = s.variational_epochs[(20, 2).index(code)]
    model, __ = autoencoder.variational(inspection, x, few, code, epochs)
    bound = Applied(model.terms, vae=model)
    return Subject(bound, x, x, lambda terms, y: sum(terms), inspection.optimizer())


for _code in (30, 2):
    network("autoencoder", f"code-{_code}")(partial(_autoencoder, code=_code))
for _code in (20, 2):
    network("autoencoder", f"vae-{_code}")(partial(_variational, code=_code))


@network("clustering", "autoencoder")
def clustering_autoencoder(inspection: Inspection) -> Subject:
    """The autoencoder from images that are shaken to the images as they were."""
    clustering.autoencoder(inspection, _images(inspection)[0])
    return inspection.trained_subject()


@network("clustering", "clusters")
def cluster_network(inspection: Inspection) -> Subject:
    """The encoder with its centres, towards sharpened assignments: KL(P ‖ Q).

    Before it has learned its centres are the codes of ten images, one a class.
    """
    x, y = _images(inspection)
    model = clustering.autoencoder(inspection, x)
    scale = cr.nn.Standardize.of(clustering.outputs(model[1], x))
    encoder = cr.nn.Sequential(model[1], scale)
    centres = clustering.outputs(encoder, x[first_of_each_class(y)])
    model = clustering.ClusterNetwork(encoder, centres)
    last = inspection.trained is not None
    number = clustering.rounds_of(inspection) - 1 if last else 0
    clustering.one_round(inspection, model, x, number)
    return inspection.trained_subject()


def _images(inspection: Inspection) -> tuple[np.ndarray, np.ndarray]:
    quick = clustering.QUICK["images"]
    data = cr.data.mnist()[0].take(quick if inspection.quick else clustering.IMAGES)
    return data.x[:].reshape(len(data), -1), data.y


# -- Boltzmann machines ----------------------------------------------------------------


def _machine(inspection: Inspection, level: int) -> tuple[Any, np.ndarray]:
    """Return the Boltzmann machine of a level, and what it is given."""
    s = dbn.QUICK if inspection.quick else dbn.FULL
    data = cr.data.mnist()[0]
    rows = (data.take(5000) if inspection.quick else data).x[:]
    machine: Any = None
    for k in range(1, level + 1):
        rows = rows if machine is None else dbn.by_batches(machine.hidden, rows, 1000)
        machine, __ = dbn.learn(inspection, rows, s.sizes[k - 1], s.epochs, k)
    return machine, rows


def _divergence(inspection: Inspection, level: int) -> Subject:
    """The Boltzmann machine of a level: contrastive divergence, F(v) − F(v′)."""
    machine, rows = _machine(inspection, level)
    free_energies = Applied(lambda v: machine.divergence(v)[0], machine=machine)
    loss = lambda difference, y: difference  # noqa: E731
    return Subject(free_energies, rows, rows, loss, inspection.optimizer())


for _level in (1, 2, 3):
    network("dbn", f"machine-{_level}")(partial(_divergence, level=_level))


@network("dbn", "fine-tuned")
def fine_tuned(inspection: Inspection) -> Subject:
    """The stack of machines with ten scores on top, by back-propagation."""
    s, (train, test) = dbn.QUICK if inspection.quick else dbn.FULL, cr.data.mnist()
    train = train.take(5000) if inspection.quick else train
    layers, inputs = [], 784
    cr.manual_seed(inspection.seed)
    for hidden in s.sizes:
        machine = dbn.Boltzmann(inputs, hidden)
        layers.append((machine.weight.numpy(), machine.hidden_bias.numpy()))
        inputs = hidden
    labels, epochs, batch_size = s.budgets[0]
    options = {"epochs": epochs, "batch_size": batch_size, "lr": s.fine_tuning_lr}
    fine_tuning_errors(inspection, train, test.take(10), layers, labels, **options)
    return inspection.trained_subject()


# -- the game --------------------------------------------------------------------------


def _game(inspection: Inspection) -> tuple[gan.GAN, np.ndarray]:
    s = gan.QUICK if inspection.quick else gan.FULL
    x = cr.data.mnist()[0].x[: s.digits]
    return gan.play(inspection, x, s), x


@network("gan", "generator")
def generator(inspection: Inspection) -> Subject:
    """G through D: −ln D(G(z)), which moves G alone."""
    game, __ = _game(inspection)
    rng = np.random.default_rng(inspection.seed)
    z = rng.uniform(-1, 1, (gan.BATCH_SIZE, gan.NOISE)).astype(np.float32)
    parts = {"generator": game.generator, "discriminator": game.discriminator}
    model = Applied(lambda z: game.discriminator(game.generator(z)), **parts)
    y = np.ones((len(z), 1), np.float32)
    loss = lambda scores, y: gan.adversarial_loss(scores, True)  # noqa: E731
    return Subject(model, z, y, loss, inspection.optimizer("adam_g"))


@network("gan", "discriminator")
def discriminator(inspection: Inspection) -> Subject:
    """D of digits and of G's images: −ln D(x) − ln(1 − D(G(z)))."""
    game, x = _game(inspection)
    real = 2 * x[: gan.BATCH_SIZE] - 1
    made = gan.generate(inspection, game.generator, len(real), inspection.seed)
    fake = (2 * made - 1).astype(np.float32)
    model = Applied(lambda *x: tuple(map(game.discriminator, x)), D=game.discriminator)

    def loss(scores: Any, y: Any) -> Any:
        real, fake = scores
        return gan.adversarial_loss(real, True) + gan.adversarial_loss(fake, False)

    y = np.ones((len(real), 1), np.float32)
    return Subject(model, (real, fake), y, loss, inspection.optimizer("adam_d"))


@network("gan", "judge")
def judge(inspection: Inspection) -> Subject:
    """The classifier that reads what is drawn."""
    s = gan.QUICK if inspection.quick else gan.FULL
    gan.train_judge(inspection, cr.data.mnist()[0][: s.digits])
    return inspection.trained_subject()
