"""Callbacks: what runs between the chunks of a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chainrule.training.trainer import Trainer


class Callback:
    """Base of what a training run calls between its chunks of steps.

    Weights, ``trainer.history`` and the position are up to date whenever a method is
    called; :meth:`Trainer.stop` ends the run. Time spent here does not count as
    training.

    >>> from chainrule.training import Callback
    >>> class StopWhenGood(Callback):
    ...     def on_epoch(self, trainer):
    ...         if trainer.history.epochs[-1]["validation_accuracy"] > 0.98:
    ...             trainer.stop()
    """

    def on_start(self, trainer: Trainer) -> None:
        """Before the first step of a run."""

    def on_chunk(self, trainer: Trainer) -> None:
        """After each chunk of steps, about every 50 ms."""

    def on_epoch(self, trainer: Trainer) -> None:
        """After each epoch, its validation and its checkpoint."""

    def on_end(self, trainer: Trainer) -> None:
        """After the run, also where it was interrupted or failed."""
