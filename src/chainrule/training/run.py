"""One run of a Trainer: epochs, callbacks and checkpoints around the loop of steps.

The Trainer has checked everything before; :mod:`.loop` makes the steps of an epoch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.data import Dataset, Stream
from chainrule.training.callbacks import Callback
from chainrule.training.interrupt import Interrupt
from chainrule.training.loop import Loop

if TYPE_CHECKING:
    from chainrule.training.trainer import Trainer


class Run:
    """What ``fit`` and ``resume`` do once everything has been checked.

    Args:
        trainer: whose run it is.
        loop: the epochs of steps.
        validation: data to evaluate after each epoch, or None.
        callbacks: in the order in which they are called.
        directory: where checkpoints go, or None.
        every: seconds between checkpoints within an epoch.
    """

    def __init__(
        self,
        trainer: Trainer,
        loop: Loop,
        validation: Dataset | Stream | None,
        callbacks: Sequence[Callback],
        directory: Path | None,
        every: float,
    ) -> None:
        self.trainer, self.loop, self.validation = trainer, loop, validation
        self.callbacks, self.directory, self.every = callbacks, directory, every

    def go(self) -> None:
        """To the end of the run, or to where it is stopped.

        Raises:
            KeyboardInterrupt: Ctrl-C, once the step is finished and saved.
        """
        trainer = self.trainer
        with ExitStack() as stack:
            for callback in self.callbacks:
                stack.callback(callback.on_end, trainer)
                callback.on_start(trainer)
            interrupt = stack.enter_context(Interrupt())
            self._save()
            while not (trainer.finished or trainer.stopping or interrupt.pending):
                self._epoch(interrupt)
            if interrupt.pending:
                raise KeyboardInterrupt

    def _epoch(self, interrupt: Interrupt) -> None:
        """The rest of an epoch and what follows it, or up to a stop."""
        trainer, saved = self.trainer, time.monotonic()
        with closing(self.loop.epoch()) as chunks:
            for _ in chunks:
                for callback in self.callbacks:
                    callback.on_chunk(trainer)
                if trainer.stopping or interrupt.pending:
                    break
                if time.monotonic() > saved + self.every:
                    self._save()
                    saved = time.monotonic()
        if self.loop.ended and not interrupt.pending:
            self._finish_epoch()
            for callback in self.callbacks:
                callback.on_epoch(trainer)
            if trainer.finished or trainer.stopping:
                for callback in self.callbacks:
                    callback.on_finish(trainer)
        self._save()

    def _finish_epoch(self) -> None:
        """Write the epoch's row and move on to the next."""
        trainer, plan = self.trainer, self.loop.plan
        optimizer, rows = trainer.optimizer, self.loop.feed.epoch_rows
        row: dict[str, Any] = {
            "epoch": trainer.epoch + 1,
            "train_loss": self._train_loss(plan.sizes(rows)),
        }
        if self.validation is not None:
            measured = trainer.evaluate(self.validation)
            row |= {
                f"validation_{key}": value
                for key, value in measured.items()
                if isinstance(value, int | float)
            }
        row["lr"] = optimizer.schedule(optimizer.steps - 1)
        row["seconds"] = trainer.seconds
        trainer.history.epochs.append(row)
        optimizer.observe(row)
        if plan.rows != rows:  # a stream's length shows at its end
            self.loop.plan = trainer.plan = replace(plan, rows=rows)
        trainer.epoch, trainer.step, trainer.seconds = trainer.epoch + 1, 0, 0.0

    def _train_loss(self, sizes: np.ndarray) -> float:
        """The mean loss over the samples of the epoch, or Σ ℓ / Σ w."""
        trainer, n = self.trainer, len(sizes)
        steps = trainer.history.steps
        losses = steps["loss"][-n:].astype(np.float64)
        if "loss_weight" not in steps:
            return float(losses @ sizes / sizes.sum())
        weights = steps["loss_weight"][-n:].astype(np.float64)
        summed = getattr(trainer.loss, "reduction", "mean") == "sum"
        total = losses.sum() if summed else losses @ weights
        return float(total / (weights.sum() or 1.0))

    def _save(self) -> None:
        if self.directory is not None:
            self.trainer.save_run(self.directory)
