"""A run of a network that the command line has opened: what a session is made from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import chainrule as cr
from chainrule import nn
from chainrule.data import Dataset
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.context import no_grad
from chainrule.lab.characters import loss_of
from chainrule.lab.models import Opened, Target, given, gives_probabilities
from chainrule.lab.steps import of_one
from chainrule.nn.traced import called
from chainrule.runs import RunFile, Session, building
from chainrule.runs.source import Parts
from chainrule.tensor import tensor
from chainrule.text import _
from chainrule.training import Trainer

#: Keys of ``[training]`` that say how a Trainer of the file is run.
OF_THE_RUN = ("epochs", "batch_size", "drop_last")


@dataclass(frozen=True)
class FromFile:
    """A network of a file of one's own, with data and the settings of a page.

    Attributes:
        target: the file.
        settings: data, loss, optimiser and training, as a run file; its layers stand
            for the network of the file, and are not built.
        own_data: whether the data are those that the file gives.
        said: what the page has said, as it gets it back.
    """

    target: Target
    settings: RunFile
    own_data: bool
    said: dict[str, Any] = field(repr=False)
    #: The part of the data that is looked at after each epoch.
    validation_part: ClassVar[str] = "validation"

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.target.said

    @cached_property
    def opened(self) -> Opened:
        """Return the contents of the file, with the initial weights of the seed."""
        cr.manual_seed(self.settings.settings.training.seed)
        sizes = {k: v for k, v in self.said["model"].items() if k != "file"}
        opened = self.target.load(sizes)
        if opened.trainer is not None:
            self._check_settings()
        return opened

    def _check_settings(self) -> None:
        """Refuse settings that a Trainer of the file has itself."""
        given = [n for n in ("loss", "optimizer", "schedule") if self.said.get(n)]
        given += [n for n in self.said.get("training", {}) if n not in OF_THE_RUN]
        if given:
            raise ArgumentError(
                _("The Trainer of {name} says this itself.", name=self.name),
                expected=", ".join(OF_THE_RUN),
                got=", ".join(given),
                fix=_("change it in the file"),
            )

    def note(self) -> dict[str, Any]:
        """Return what a checkpoint says of the run: it is that of a program."""
        return {}

    def parts(self) -> Parts:
        """Load the data.

        Raises:
            ArgumentError: the file gives none.
        """
        if not self.own_data:
            return self.settings.parts()
        parts = self.opened.parts
        if parts is None:
            raise ArgumentError(
                _("{name} gives no data.", name=self.name),
                expected=_("a variable train or data: a Dataset, or a pair (x, y)"),
                fix=_("choose other data"),
            )
        return parts

    def trainer(self, parts: Parts) -> Trainer:
        """Return the Trainer of the file, or one of its network.

        Raises:
            ChainruleError: data or a loss that do not fit the network.
        """
        settings, opened = self.settings.settings, self.opened
        if opened.trainer is not None:
            _check_alone(opened.fitted(parts.train), parts.train)
            self.fit_options(parts.train)
            return opened.trainer
        model = opened.fitted(parts.train)
        _check_alone(model, parts.train)
        with self.settings.as_problems():
            loss = self._loss(model, parts.train)
            made = building.assembled(settings, model, loss)
        self._check_loss(made, parts.for_loss(loss).train)
        self.fit_options(parts.train)
        return made

    def _loss(self, model: nn.Module, train: Dataset) -> Any:
        """Return the loss that the page says, or the one that data and outputs ask."""
        settings = self.settings.settings
        if settings.loss.build() is None and (loss := loss_of(train)) is not None:
            return loss
        one = settings.loss.build() is None and train.classes == 2
        if one and _answers(model, train) == 1:
            return nn.BCEWithLogitsLoss() if _any_number(model) else nn.BCELoss()
        likely = gives_probabilities(model, train)
        return building.loss_for(settings, train, probabilities=likely)

    def _check_loss(self, trainer: Trainer, train: Dataset) -> None:
        """Refuse targets that the loss does not take beside the network's output."""
        one = train.rows(range(min(len(train), 2)))
        count, classes = _answers(trainer.model, train), train.classes
        try:
            with no_grad():
                output = called(trainer.model.eval(), given(trainer.model, one.x))
                trainer.loss(output, tensor(one.y))
            fits = classes is None or count >= classes
            why = _("answers: {n}, classes: {classes}", n=count, classes=classes)
        except cr.ChainruleError as error:
            fits, why = False, f"{error.what} {error.got or ''}".strip()
        finally:
            trainer.model.train()
        if not fits:
            raise ArgumentError(
                _("The targets do not fit the network of {name}.", name=self.name),
                expected=_(
                    "targets that {loss} takes beside its output",
                    loss=type(trainer.loss).__name__,
                ),
                got=why,
                fix=_("choose another loss, or other data"),
            )

    def fit_options(self, train: Dataset) -> dict[str, Any]:
        """Return epochs and batch size, for ``Trainer.fit``."""
        return self.settings.fit_options(train)

    def callbacks(self, directory: Path) -> list[Any]:
        """Return no callbacks: a page says none."""
        return []

    def begun(self, out: Path) -> Session:
        """Return the session, which goes on where the Trainer of the file stands."""
        session = Session.begin(self, out)  # pyright: ignore[reportArgumentType]
        steps = session.trainer.optimizer.steps
        session.begun = steps if steps else None
        return session

    def restored(self, out: Path) -> Session:
        """Return the session at its last checkpoint.

        Raises:
            CheckpointError: it does not fit the file any more.
        """
        session = self.begun(out)
        fresh = session.trainer
        session.trainer = Trainer.load(out, model=fresh.model, loss=fresh.loss)
        session.begun = session.trainer.optimizer.steps
        return session


def _check_alone(model: nn.Module, train: Dataset) -> None:
    """Refuse a network that does not answer a sample by itself: the lab asks so.

    Raises:
        ChainruleError: it.
    """
    try:
        _answers(model, train)
    except ShapeError as error:
        raise of_one(error) from error


def _answers(model: nn.Module, train: Dataset) -> int:
    """Return how many numbers a network gives for a sample."""
    training = model.training
    with no_grad():
        output = called(model.eval(), given(model, train.rows([0]).x))
    model.train(training)
    return math.prod(output.shape)


def _any_number(model: nn.Module) -> bool:
    """Return whether nothing bounds a network's output to probabilities."""
    *__, last = model.modules()
    return "Sigmoid" not in repr(last).partition("(")[0]
