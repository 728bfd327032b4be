"""What a run's file describes, built: its data, its loss, its network, its Trainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError, ChainruleError, warn
from chainrule.nn import output_semantics
from chainrule.optim import SGD
from chainrule.runs import factory, network, source, targets
from chainrule.runs.factory import ProblemError
from chainrule.runs.file import RunFile
from chainrule.runs.problems import Problem
from chainrule.runs.source import Parts
from chainrule.training import Trainer
from chainrule.training.probes import Probes

#: Samples a step where the file is silent.
USUAL_BATCH = 32
#: Losses whose gradient grows with the scale of the targets.
SQUARES = (nn.MSELoss, nn.HalfMSELoss, nn.HalfSquaredErrorLoss)
#: No plain gradient descent is stable much above it, for targets of deviation 1.
LARGEST_RATE = 0.5


def build(run: RunFile) -> tuple[Parts, Trainer]:
    """The data of a run, and a Trainer that has not trained yet.

    Raises:
        RunFileError: whatever does not fit together.
    """
    parts = source.load(run)
    settings = run["training"]
    try:
        loss = _loss(run, parts.train)
        parts = parts.for_loss(loss)
        cr.manual_seed(settings["seed"])
        transform = run["data"]["target_transform"] or "none"
        outputs = source.outputs(parts.train)
        model = network.build(run["model"], parts.train, outputs, transform)
        loss = targets.loss_for(loss, model[-1])
        _check_names(run, model)
        trainer = Trainer(
            model,
            loss=loss,
            optimizer=factory.optimizer(run["optimizer"], run["schedule"]),
            metrics=settings["metrics"],
            probes=settings["probes"] or (),
            engine=settings["engine"],
            seed=settings["seed"],
            threads=settings["threads"],
        )
    except ProblemError as error:
        raise run.error(error.problem) from error
    except ChainruleError as error:
        raise run.blame(error) from error
    _warn_of_scale(trainer, model[-1], run["optimizer"]["options"])
    return parts, trainer


def _warn_of_scale(
    trainer: Trainer, last: nn.Module, options: Mapping[str, Any]
) -> None:
    """Warn of SGD on targets of a large scale.

    With ŷ = s z + m the gradient of a squared error with respect to z grows with s²:
    for the layers before it the rate is as if it were s² times as large.
    """
    plain = isinstance(trainer.optimizer, SGD) and isinstance(trainer.loss, SQUARES)
    clipped = any(options.get(key) for key in ("clip_norm", "clip_value"))
    if not isinstance(last, nn.Unstandardize) or not plain or clipped:
        return
    rate, scale = abs(trainer.optimizer.schedule.lr), float(last.std.numpy().max())
    if rate * scale**2 > LARGEST_RATE:
        warn(
            "SGD will hardly stand targets of this scale: the gradients of a squared "
            "error grow with the square of the deviation.",
            expected=f"a rate of about {0.01 / scale**2:.1g}, which is 0.01 for "
            "targets of deviation 1",
            got=f"lr = {rate:g} and a deviation of {scale:.3g}, as if lr were "
            f"{rate * scale**2:.3g}",
            fix=f'class = "Adam" in [optimizer], or lr = {0.01 / scale**2:.1g}',
        )


def _check_names(run: RunFile, model: nn.Module) -> None:
    """Patterns must fit something in the network: of probes, and of parameters."""
    try:
        Probes(run["training"]["probes"] or (), model)
    except ChainruleError as error:
        raise run.blame(error, "training", "probes") from error
    if run["optimizer"]["groups"]:
        try:
            with factory.on_trial():
                tried = factory.optimizer(run["optimizer"], run["schedule"])
                tried.attach_parameters(dict(model.named_parameters()))
        except ChainruleError as error:
            raise run.blame(error, "optimizer", "groups") from error


def _loss(run: RunFile, train: cr.data.Dataset) -> Any:
    """The loss of the file, or the usual one for such data."""
    settings = run["loss"]
    layers = run["model"]["layers"]
    if settings["class"] is None:
        if train.classes is None:
            return nn.MSELoss()
        # The book's network ends in Softmax: probabilities, not scores.
        return nn.CrossEntropyLoss(from_logits=layers[-1]["class"] != "Softmax")
    loss, name = factory.loss(settings), settings["class"]
    if output_semantics.is_regression(loss) and train.classes is not None:
        raise ProblemError(
            source.problem_of_loss(name, f"the target names {train.classes} classes")
        )
    if output_semantics.is_classification(loss) and train.classes is None:
        raise ProblemError(source.problem_of_loss(name, "the target is a quantity"))
    if isinstance(loss, nn.KLDivLoss) and train.classes is not None:
        raise ProblemError(
            source.problem_of_loss(name, "it compares probabilities, not classes")
        )
    if isinstance(loss, source.BINARY) and (train.classes or 2) != 2:
        raise ProblemError(
            source.problem_of_loss(name, f"there are {train.classes} classes")
        )
    return loss


def batch_size(run: RunFile, train: cr.data.Dataset) -> int:
    """Samples a step.

    Raises:
        RunFileError: more than there are.
        ArgumentError: the same, of ``--batch-size``.
    """
    given, rows = run["training"]["batch_size"], len(train)
    if given is None or given == "all":
        return min(USUAL_BATCH, rows) if given is None else rows
    if given > rows:
        if "batch_size" in run.options:
            raise ArgumentError(
                "--batch-size: a batch cannot be larger than the training data.",
                expected=f"1 to {rows}",
                got=f"--batch-size {given}",
                fix=f"--batch-size {rows} makes every step see all samples",
            )
        raise run.error(
            Problem(
                ("training", "batch_size"),
                "a batch cannot be larger than the training data.",
                expected=f"1 to {rows}",
                got=str(given),
                fix='batch_size = "all" makes every step see all samples',
            )
        )
    return given
