"""A comparison of hand-written gradient descent with the same by a Trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes.experiment import Experiment
from chainrule.text import _, ngettext, say

#: Weights count as equal that differ by at most this share of the largest in its array.
EQUAL = 1e-12
#: Rounding stays below that in so many steps; each step carries on what others left.
MANY = 30_000


def compare_with_trainer(
    experiment: Experiment,
    model: nn.Module,
    loss: nn.Module,
    samples: cr.data.Dataset,
    *,
    lr: float,
    initial: Mapping[str, np.ndarray],
    weights: Mapping[str, np.ndarray],
    losses: Sequence[float],
) -> dict[str, Any]:
    """Repeat a hand-written gradient descent with a Trainer; compare the weights.

    The model gets the weights that were computed by hand.

    Args:
        experiment: the seed of the order of the samples, and the engine.
        model: of the shape of the weights.
        loss: the loss.
        samples: what was learned from, in the order of a Trainer.
        lr: η.
        initial, weights: before and after the training by hand, by the names of
            parameters.
        losses: the mean loss of each epoch.

    Returns:
        The size of the training; ``first_loss`` and ``last_loss`` by hand and
        ``trainer_loss``; ``difference``, the largest of the weights, each as a share of
        the largest in its array; whether they are ``equal`` up to rounding.
    """
    model.load_state_dict(initial)
    options = {"seed": experiment.seed, **experiment.engine_options}
    trainer = cr.Trainer(model, loss=loss, optimizer=optim.SGD(lr=lr), **options)
    trainer.fit(samples, epochs=len(losses), batch_size=1, progress=False)
    trained = model.state_dict()
    model.load_state_dict(weights)
    difference = max(
        float(abs(array - trained[name]).max() / abs(array).max())
        for name, array in weights.items()
    )
    results = {
        "samples": len(samples),
        "learning_rate": lr,
        "epochs": len(losses),
        "steps": len(samples) * len(losses),
        "first_loss": float(losses[0]),
        "last_loss": float(losses[-1]),
        "trainer_loss": float(trainer.history.epochs[-1]["train_loss"]),
        "engine": trainer.engine,
        "difference": difference,
        "equal": difference <= EQUAL,
    }
    say(
        "  samples: {samples:,}, η = {learning_rate:g}, steps: {steps:,}, epochs: "
        "{epochs:,}\n  mean loss: {first_loss:.3g} in the first epoch, {last_loss:.3g} "
        "in the last\n  the Trainer's weights: {verdict}, off by {difference:.1e} "
        "(engine {engine})",
        verdict=_("equal up to rounding") if results["equal"] else _("NOT EQUAL"),
        **results,
    )
    if not results["equal"] and results["steps"] > MANY:
        say(
            ngettext(
                "  (In {n:,} step rounding alone can come to that: each step builds on "
                "the last.)",
                "  (In {n:,} steps rounding alone can come to that: each step builds "
                "on the last.)",
                n=results["steps"],
            )
        )
    return results
