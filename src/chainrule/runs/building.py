"""What a run's file describes, built: its data, its loss, its network, its Trainer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import chainrule as cr
from chainrule import nn
from chainrule.data import Dataset
from chainrule.errors import ArgumentError, warn
from chainrule.nn import output_semantics
from chainrule.optim import SGD
from chainrule.runs import network, schema, source, targets
from chainrule.runs.file import OPTIONS, RunFile, flag, parse
from chainrule.runs.problems import Problem, ProblemError
from chainrule.runs.source import Parts
from chainrule.training import Trainer
from chainrule.training.probes import Probes

#: Samples a step where the file is silent.
USUAL_BATCH = 32
#: Losses whose gradient grows with the scale of the targets.
SQUARES = (nn.MSELoss, nn.HalfMSELoss, nn.HalfSquaredErrorLoss)
#: No plain gradient descent is stable much above it, for targets of deviation 1.
LARGEST_RATE = 0.5


@dataclass(frozen=True)
class FromFile:
    """A file as the origin of a run."""

    run: RunFile
    #: The part of the data that is looked at after each epoch.
    watched: ClassVar[str] = "validation"

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.run.name

    @property
    def directory(self) -> Path | None:
        """Where it wants its results."""
        given = self.run.settings.output.directory
        if given is None:
            return None
        with self.run.blamed():
            return schema.within(self.run.folder, given, ("output", "directory"))

    @property
    def text(self) -> str:
        """The file, and the command that it was given to, for the run's directory."""
        words = [f"{flag(option)} {v}" for option, v in self.run.options.items()]
        head = " ".join(["# chainrule train", self.run.name, *words])
        return f"{head}\n{self.run.text}"

    def setting(self, option: str) -> Any:
        """What the run has for an option of the command line."""
        section, key = OPTIONS[option]
        return getattr(getattr(self.run.settings, section), key)

    def with_options(self, **options: Any) -> FromFile:
        """The same file with other options of the command line."""
        run = self.run
        given = {**run.options, **options}
        made = parse(run.text, name=run.name, folder=run.folder, options=given)
        return FromFile(replace(made, within=run.within))

    def note(self) -> dict[str, Any]:
        """What checkpoints keep of it."""
        run = self.run
        return {
            "run": {
                "name": run.name,
                "folder": str(run.folder.resolve()),
                "text": run.text,
                "options": dict(run.options),
            }
        }

    # -- the run -----------------------------------------------------------------------

    def parts(self) -> Parts:
        """Its data."""
        return source.load(self.run)

    def file_of(self, part: str) -> Path | None:
        """The file that ``validation`` or ``test`` comes from, or None."""
        given = getattr(self.run.settings.data, part, None)
        given = given if isinstance(given, str) else self.run.settings.data.source
        path = self.run.path(given) if isinstance(given, str) else None
        return path if path is not None and path.is_file() else None

    def trainer(self, parts: Parts) -> Trainer:
        """A Trainer that has not trained yet.

        Raises:
            RunFileError: whatever does not fit together.
        """
        settings = self.run.settings
        training = settings.training
        with self.run.blamed():
            loss = _loss(settings, parts.train)
            train = parts.for_loss(loss).train
            cr.manual_seed(training.seed)
            transform = getattr(settings.data, "target_transform", "none")
            outputs = source.outputs(train)
            model = network.build(settings.model, train, outputs, transform)
            loss = targets.loss_for(loss, model[-1])
            self._check_names(model)
            trainer = Trainer(
                model,
                loss=loss,
                optimizer=settings.optimizer.build(settings.schedule),
                metrics=training.metrics,
                probes=training.probes,
                engine=training.engine,
                seed=training.seed,
                threads=training.threads,
            )
        self.fitting(train)  # refuses a batch that is too large
        _warn_of_scale(trainer, model[-1], settings.optimizer)
        return trainer

    def fitting(self, train: Dataset) -> dict[str, Any]:
        """How long, and in what batches, a Trainer is fitted to the data."""
        training = self.run.settings.training
        return {
            "epochs": training.epochs,
            "batch_size": batch_size(self.run, train),
            "drop_last": training.drop_last,
        }

    def callbacks(self, directory: Path) -> list[Any]:
        """Its callbacks, whose files lie in ``directory``."""
        given = enumerate(self.run.settings.callbacks)
        with self.run.blamed():
            return [callback.build(i, directory) for i, callback in given]

    def _check_names(self, model: nn.Module) -> None:
        """Patterns must fit something in the network: of probes, and of parameters."""
        settings, run = self.run.settings, self.run
        with run.blamed("training", "probes"):
            Probes(settings.training.probes, model)
        with run.blamed("optimizer", "groups"), schema.on_trial():
            tried = settings.optimizer.build(settings.schedule)
            tried.attach_parameters(dict(model.named_parameters()))


def _warn_of_scale(
    trainer: Trainer, last: nn.Module, settings: schema.Optimizer
) -> None:
    """Warn of SGD on targets of a large scale.

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
            "SGD will hardly stand targets of this scale: the gradients of a squared "
            "error grow with the square of the deviation.",
            expected=f"a rate of about {0.01 / scale**2:.1g}, which is 0.01 for "
            "targets of deviation 1",
            got=f"lr = {rate:g} and a deviation of {scale:.3g}, as if lr were "
            f"{rate * scale**2:.3g}",
            fix=f'class = "Adam" in [optimizer], or lr = {0.01 / scale**2:.1g}',
        )


def _loss(settings: schema.Run, train: Dataset) -> Any:
    """The loss of the file, or the usual one for such data."""
    loss, name = settings.loss.build(), settings.loss.name
    if loss is None:
        if train.classes is None:
            return nn.MSELoss()
        # The book's network ends in Softmax: probabilities, not scores.
        last = settings.model.layers[-1].name
        return nn.CrossEntropyLoss(from_logits=last != "Softmax")
    why = None
    if train.classes is None:
        if output_semantics.is_classification(loss):
            why = "the target is a quantity"
    elif output_semantics.is_regression(loss):
        why = f"the target names {train.classes} classes"
    elif isinstance(loss, nn.KLDivLoss):
        why = "it compares probabilities, not classes"
    elif isinstance(loss, source.BINARY) and train.classes != 2:
        why = f"there are {train.classes} classes"
    if why is None:
        return loss
    usual = "the usual loss for classes is CrossEntropyLoss"
    if train.classes is None:
        usual = 'or say task = "classification" in [data]'
    raise ProblemError(
        Problem(
            ("loss", "class"),
            f"{name} does not fit the data: {why}.",
            expected="MSELoss, L1Loss, HuberLoss … for a quantity; CrossEntropyLoss "
            "for classes; BCEWithLogitsLoss, HingeLoss … for two classes",
            got=f'"{name}"',
            fix=f"leave [loss] away: {usual}",
        )
    )


def batch_size(run: RunFile, train: Dataset) -> int:
    """Samples a step.

    Raises:
        RunFileError: more than there are.
        ArgumentError: the same, of ``--batch-size``.
    """
    given, rows = run.settings.training.batch_size, len(train)
    if given is None or given == "all":
        return min(USUAL_BATCH, rows) if given is None else rows
    if given <= rows:
        return given
    what = "a batch cannot be larger than the training data."
    if "batch_size" in run.options:
        raise ArgumentError(
            f"--batch-size: {what}",
            expected=f"1 to {rows}",
            got=f"--batch-size {given}",
            fix=f"--batch-size {rows} makes every step see all samples",
        )
    fix = 'batch_size = "all" makes every step see all samples'
    where = ("training", "batch_size")
    raise run.error(Problem(where, what, f"1 to {rows}", str(given), fix))
