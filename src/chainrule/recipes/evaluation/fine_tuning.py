"""Fine-tuning of a sigmoid network, from pretrained and from random weights."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes.datasets.classes import first_of_each_class
from chainrule.recipes.experiment import Experiment

#: Of each hidden layer: weights (outputs, inputs) and biases (outputs,).
Features = Sequence[tuple[np.ndarray, np.ndarray]]


def sigmoid_classifier(
    sizes: Sequence[int],
    features: Features = (),
    *,
    dropout: tuple[float, float] = (0.1, 0.3),
) -> nn.Sequential:
    """Return a classifier with sigmoid layers, with pretrained weights if given.

    Args:
        sizes: inputs, hidden units layer by layer, classes.
        features: the first layers' weights and biases; the others get Glorot's.
        dropout: of the inputs and of hidden units.
    """
    linear = [nn.Linear(*widths) for widths in itertools.pairwise(sizes)]
    for layer in linear:
        nn.init.xavier_uniform_(layer.weight)
    for layer, (weight, bias) in zip(linear, features):
        layer.load_state_dict({"weight": weight, "bias": bias})
    layers: list[nn.Module] = [nn.Dropout(dropout[0])]
    for layer in linear[:-1]:
        layers += [layer, nn.Sigmoid(), nn.Dropout(dropout[1])]
    return nn.Sequential(*layers, linear[-1])


def fine_tuning_errors(
    experiment: Experiment,
    train: cr.data.Dataset,
    test: cr.data.Dataset,
    features: Features,
    labels: int,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
) -> dict[str, float]:
    """Return a classifier's test errors after training from two initialisations.

    Both networks have the same sizes and the same budget: AdamW, one cycle.

    Args:
        experiment: trains each network as a stage, ``LABELS-random`` and
            ``LABELS-pretrained``.
        train, test: digits and labels.
        features: pretrained hidden layers, the lowest first.
        labels: the training digits that have labels, as many of each class; or all.
        epochs, batch_size, lr: the budget, and the peak of the learning rate.

    Returns:
        the errors of the start ``random`` and of the start ``pretrained``.
    """
    if labels < len(train):
        rows = first_of_each_class(train.y, labels // 10)
        train = train.rows(np.sort(rows))
    inputs = features[0][0].shape[1]
    sizes = (inputs, *(len(bias) for __, bias in features), 10)
    starts: dict[str, Features] = {"random": (), "pretrained": features}
    errors = {}
    for start, weights in starts.items():
        cr.manual_seed(experiment.seed)
        trainer = cr.Trainer(
            sigmoid_classifier(sizes, weights),
            loss=nn.CrossEntropyLoss(),
            optimizer=optim.AdamW(lr=optim.OneCycleLR(lr), weight_decay=0.01),
            seed=experiment.seed,
            **experiment.engine_options,
        )
        budget = {"epochs": epochs, "batch_size": batch_size}
        trainer = experiment.fit(f"{labels}-{start}", trainer, train, **budget)
        errors[start] = 1 - trainer.evaluate(test)["accuracy"]
    return errors
