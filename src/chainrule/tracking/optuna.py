"""Pruning of Optuna's trials: a search ends those early that are behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from chainrule.errors import ArgumentError
from chainrule.text import _
from chainrule.tracking.tracker import need
from chainrule.training import Callback
from chainrule.training.checks import monitored
from chainrule.util import validation
from chainrule.util.keywords import strict


@runtime_checkable
class Trial(Protocol):
    """The part of a trial of Optuna's that is used."""

    def report(self, value: float, step: int) -> None:
        """Give the trial its number as of an epoch."""

    def should_prune(self) -> bool:
        """Return whether the trial shall end."""
        ...


@strict
class OptunaPruning(Callback):
    """End the run where Optuna finds its trial not worth going on with.

    After each epoch the trial gets the number (``trial.report``) and is asked
    (``trial.should_prune``). Where it shall end, the run ends as by ``trainer.stop()``:
    weights, history and checkpoint are whole, and the Trainer can go on; then ``fit``
    raises ``optuna.TrialPruned``, which the study expects.

    Args:
        trial: of ``optuna``, as the objective got it.
        monitor: the number, a key of the history's rows. The study's direction must be
            that of the number.

    Raises:
        ArgumentError: Optuna is not installed; the history has no such number, or the
            study another direction, or several.

    >>> import optuna
    >>> from chainrule.tracking import OptunaPruning
    >>> study = optuna.create_study(direction="minimize")
    >>> prune = OptunaPruning(study.ask(), "validation_loss")
    """

    def __init__(self, trial: Trial, monitor: str = "validation_loss") -> None:
        need("optuna")
        self.trial = validation.instance(
            "trial", trial, Trial, _("the trial that objective(trial) gets")
        )
        self.monitor = validation.text("monitor", monitor)
        self.pruned = False

    def check(self, columns: Mapping[str, str | None]) -> None:
        """Refuse to report a number that the run's history will not contain."""
        monitored(type(self).__name__, self.monitor, columns)
        study, better = getattr(self.trial, "study", None), columns[self.monitor]
        if study is None:  # of fixed settings, say
            return
        directions = [direction.name.lower() for direction in study.directions]
        wanted = {"max": "maximize", "min": "minimize"}.get(better or "", directions[0])
        if directions != [wanted]:
            raise ArgumentError(
                _("The study has another direction than {name!r}.", name=self.monitor),
                expected=f"direction={wanted!r}",
                got=", ".join(directions),
                fix=f"optuna.create_study(direction={wanted!r})",
            )

    def on_start(self, trainer: Any) -> None:
        """Begin anew: the trial has not been pruned."""
        self.pruned = False

    def on_epoch(self, trainer: Any) -> None:
        """Report the epoch's number to Optuna; stop where the trial shall be pruned."""
        row = trainer.history.epochs[-1]
        self.trial.report(float(row[self.monitor]), row["epoch"])
        if self.trial.should_prune():
            self.pruned = True
            trainer.stop()

    def on_end(self, trainer: Any) -> None:
        """Tell Optuna's study, once the run has ended, that the trial was pruned."""
        if self.pruned:
            import optuna

            row = trainer.history.epochs[-1]
            raise optuna.TrialPruned(
                f"epoch {row['epoch']}: {self.monitor} {row[self.monitor]:.6g}"
            )
