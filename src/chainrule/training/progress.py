"""Progress on standard error: a bar in a terminal, else one line an epoch."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chainrule.training.callbacks import Callback

if TYPE_CHECKING:
    from chainrule.training.trainer import Trainer


def display() -> Callback:
    """What suits standard error."""
    return Bar() if sys.stderr.isatty() else Lines()


def epoch_line(row: Mapping[str, Any], epochs: int) -> str:
    """One epoch as text.

    >>> epoch_line({"epoch": 2, "train_loss": 0.25, "lr": 1e-3, "seconds": 1.5}, 10)
    'epoch  2/10  train loss 0.2500  lr 0.001  1.5 s'
    """
    width = len(str(epochs))
    parts = [
        f"epoch {row['epoch']:{width}d}/{epochs}",
        f"train loss {row['train_loss']:.4f}",
    ]
    if "validation_loss" in row:
        parts.append(f"validation loss {row['validation_loss']:.4f}")
    if "validation_accuracy" in row:
        parts.append(f"accuracy {row['validation_accuracy']:.2%}")
    parts += [f"lr {row['lr']:.3g}", f"{row['seconds']:.1f} s"]
    return "  ".join(parts)


class Lines(Callback):
    """One line on standard error after each epoch."""

    def on_epoch(self, trainer: Trainer) -> None:
        """Print it."""
        assert trainer.plan is not None
        line = epoch_line(trainer.history.epochs[-1], trainer.plan.end)
        print(line, file=sys.stderr, flush=True)


class Bar(Callback):
    """A bar over the steps of the run, with a line for each finished epoch."""

    def __init__(self) -> None:
        self.progress: Any = None
        self.task: Any = None

    def on_start(self, trainer: Trainer) -> None:
        """Draw the bar."""
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        assert trainer.plan is not None
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        total = trainer.plan.epochs * trainer.plan.steps_per_epoch
        self.task = self.progress.add_task("", total=total)
        self.progress.start()
        self.on_chunk(trainer)

    def on_chunk(self, trainer: Trainer) -> None:
        """Move it."""
        plan = trainer.plan
        assert plan is not None
        done = (trainer.epoch - plan.first) * plan.steps_per_epoch + trainer.step
        epoch = min(trainer.epoch + 1, plan.end)
        text = f"epoch {epoch}/{plan.end}"
        if len(trainer.history):
            text += f"  loss {trainer.history.recent():.4f}"
        self.progress.update(self.task, completed=done, description=text)

    def on_epoch(self, trainer: Trainer) -> None:
        """Print the epoch's line above it."""
        assert trainer.plan is not None
        line = epoch_line(trainer.history.epochs[-1], trainer.plan.end)
        self.progress.console.print(line, highlight=False, markup=False)
        self.on_chunk(trainer)

    def on_end(self, trainer: Trainer) -> None:
        """Take it away."""
        self.progress.stop()
