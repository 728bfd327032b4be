"""Construction of a Trainer from a run file: loss, network, optimiser."""

from __future__ import annotations

from typing import Any

import chainrule as cr
from chainrule import nn
from chainrule.data import Dataset
from chainrule.errors import warn
from chainrule.nn import output_semantics
from chainrule.nn.losses.base import ElementwiseLoss
from chainrule.nn.targets import TransformedTarget
from chainrule.optim import SGD
from chainrule.runs import network, schema, source
from chainrule.runs.problems import Problem, at
from chainrule.runs.source import Parts
from chainrule.text import _, ngettext
from chainrule.training import Trainer
from chainrule.training.probes import Probes

#: Losses whose gradient grows with the scale of the targets.
SQUARES = (nn.MSELoss, nn.HalfMSELoss, nn.HalfSquaredErrorLoss)
#: No plain gradient descent is stable much above it, for targets of deviation 1.
LARGEST_RATE = 0.5


def trainer(settings: schema.Run, parts: Parts) -> Trainer:
    """Build the untrained Trainer that a run file describes.

    Raises:
        ChainruleError: whatever does not fit together; a Problem where its place is
            known.
    """
    last = settings.model.layers[-1].name
    loss = loss_for(settings, parts.train, probabilities=last == "Softmax")
    train = parts.for_loss(loss).train
    cr.manual_seed(settings.training.seed)
    model = network.build(settings, train, source.outputs(train))
    result = assembled(settings, model, _for_targets(loss, model[-1]))
    _warn_of_scale(result, model[-1], settings.optimizer)
    return result


def assembled(settings: schema.Run, model: nn.Module, loss: Any) -> Trainer:
    """Return the Trainer of a network and a loss, with the settings of a run file."""
    training = settings.training
    _check_names(settings, model)
    return Trainer(
        model,
        loss=loss,
        optimizer=settings.optimizer.scheduled(settings.schedule),
        metrics=training.metrics,
        probes=training.probes,
        engine=training.engine,
        seed=training.seed,
        threads=training.threads,
        devices=training.devices,
        precision=training.precision,
    )


def _check_names(settings: schema.Run, model: nn.Module) -> None:
    """Check that patterns of probes and parameter groups match names in the network."""
    with at("training", "probes"):
        Probes(settings.training.probes, model)
    with at("optimizer", "groups"), schema.on_trial():
        tried = settings.optimizer.scheduled(settings.schedule)
        tried.attach_parameters(dict(model.named_parameters()))


def _warn_of_scale(
    trainer: Trainer, last: nn.Module, settings: schema.Optimizer
) -> None:
    """Warn of plain SGD in a run file whose regression targets have a large scale.

    With ŷ = s z + m the gradient of a squared error with respect to z grows with s²:
    for the layers before it the rate is as if it were s² times as large.
    """
    plain = isinstance(trainer.optimizer, SGD) and isinstance(trainer.loss, SQUARES)
    clipped = {"clip_norm", "clip_value"} & settings.options.keys()
    if not isinstance(last, nn.Unstandardize) or not plain or clipped:
        return
    rate, scale = abs(trainer.optimizer.schedule.lr), float(last.std.numpy().max())
    if rate * scale**2 > LARGEST_RATE:
        warn(
            _(
                "SGD will hardly stand targets of this scale: the gradients of a "
                "squared error grow with the square of the deviation."
            ),
            expected=_(
                "a rate of about {scale:.1g}, which is 0.01 for targets of deviation 1",
                scale=0.01 / scale**2,
            ),
            got=_(
                "lr = {rate:g} and a deviation of {scale:.3g}, as if lr were "
                "{rate_scale:.3g}",
                rate=rate,
                scale=scale,
                rate_scale=rate * scale**2,
            ),
            fix=_(
                'class = "Adam" in [optimizer], or lr = {scale:.1g}',
                scale=0.01 / scale**2,
            ),
        )


# -- the loss --------------------------------------------------------------------------


def loss_for(settings: schema.Run, train: Dataset, *, probabilities: bool) -> Any:
    """Return the loss of the run file, or the default loss for the data.

    Args:
        settings: of the run.
        train: its training data.
        probabilities: whether the network gives probabilities of classes, not scores.

    Raises:
        Problem: a loss that does not fit the data.
    """
    loss, classes = settings.loss.build(), train.classes
    if loss is None and classes is None:
        return nn.MSELoss()
    if loss is None:
        # The book's network ends in Softmax: probabilities, not scores.
        return nn.CrossEntropyLoss(from_logits=not probabilities)
    why, usual = None, _("the usual loss for classes is CrossEntropyLoss")
    if classes is None:
        usual = _('or say task = "classification" in [data]')
        if output_semantics.is_classification(loss):
            why = _("the target is a quantity")
    elif output_semantics.is_regression(loss):
        why = ngettext(
            "the target names {n} class", "the target names {n} classes", n=classes
        )
    elif isinstance(loss, nn.KLDivergence | nn.KLDivLoss):
        why = _("it compares probabilities, not classes")
    elif isinstance(loss, source.BINARY) and classes != 2:
        why = ngettext("there is {n} class", "there are {n} classes", n=classes)
    if why is None:
        return loss
    raise Problem(
        ("loss", "class"),
        _("{name} does not fit the data: {why}.", name=settings.loss.name, why=why),
        expected=_(
            "MSELoss, L1Loss, HuberLoss … for a quantity; CrossEntropyLoss "
            "for classes; BCEWithLogitsLoss, HingeLoss … for two classes"
        ),
        got=f'"{settings.loss.name}"',
        fix=_("leave [loss] away: {usual}", usual=usual),
    )


def _for_targets(loss: Any, last: nn.Module) -> Any:
    """Return a run's loss for a network whose last layer transforms the targets.

    Several targets count alike, each by its own spread: in one sum of errors, those of
    the largest numbers would be all that is learnt.
    """
    if not isinstance(last, TransformedTarget):
        return loss
    if isinstance(last, nn.Unstandardize):
        several = last.num_features > 1 and isinstance(loss, ElementwiseLoss)
        return nn.TransformedTargetLoss(loss, last) if several else loss
    with at("data", "target_transform"):
        return nn.TransformedTargetLoss(loss, last)
