"""Progress on standard error: a bar in a terminal, else one line an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TextIO, cast

from chainrule.errors import visible
from chainrule.formatting import number
from chainrule.outlet import Outlet
from chainrule.training.callbacks import Callback
from chainrule.training.history import shown


def display() -> Callback:
    """What suits standard error."""
    return Bar() if Outlet().isatty() else Lines()


def epoch_line(
    row: Mapping[str, Any], epochs: int, validation: str = "validation"
) -> str:
    """One epoch as text.

    >>> epoch_line({"epoch": 2, "train_loss": 0.25, "validation_loss": 0.5,
    ...             "validation_r2": 0.875, "lr": 1e-3, "seconds": 1.5}, 10, "test")
    'epoch  2/10  train loss 0.25  test loss 0.5  r2 0.875  lr 0.001  1.5 s'
    """
    width = len(str(epochs))
    parts = [
        f"epoch {row['epoch']:{width}d}/{epochs}",
        f"train loss {shown('train_loss', row['train_loss'])}",
    ]
    for key, value in row.items():
        kind, _, name = key.partition("_")
        if kind == "validation":
            called = f"{validation} loss" if name == "loss" else name.replace("_", " ")
            parts.append(f"{called} {shown(key, value)}")
    parts += [f"lr {shown('lr', row['lr'])}", f"{shown('seconds', row['seconds'])} s"]
    return "  ".join(parts)


def _last_line(trainer: Any) -> str:
    assert trainer.plan is not None
    history = trainer.history
    line = epoch_line(history.epochs[-1], trainer.plan.end, history.validation_name)
    return visible(line)  # names of data sets and metrics may be anybody's


class Lines(Callback):
    """One line on standard error after each epoch."""

    def __init__(self) -> None:
        self.outlet = Outlet()

    def on_epoch(self, trainer: Any) -> None:
        self.outlet.write(_last_line(trainer) + "\n")


class Bar(Callback):
    """A bar over the steps of the run, with a line for each finished epoch."""

    def __init__(self) -> None:
        self.progress: Any = None
        self.task: Any = None

    def on_start(self, trainer: Any) -> None:
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
            console=Console(file=cast(TextIO, Outlet())),
            transient=True,
        )
        self.task = self.progress.add_task("", total=trainer.plan.total_steps)
        self.progress.start()
        self.on_chunk(trainer)

    def on_chunk(self, trainer: Any) -> None:
        plan = trainer.plan
        assert plan is not None
        # A stream's length is unknown until its first end; then it may still vary.
        each, epochs = plan.steps_per_epoch or 0, trainer.epoch - plan.first
        done = epochs * each + trainer.step
        epoch = min(trainer.epoch + 1, plan.end)
        text = f"epoch {epoch}/{plan.end}"
        if len(trainer.history):
            text += f"  loss {number(trainer.history.recent())}"
        total = plan.total_steps
        self.progress.update(self.task, completed=done, total=total, description=text)

    def on_epoch(self, trainer: Any) -> None:
        console = self.progress.console
        console.print(_last_line(trainer), highlight=False, markup=False)
        self.on_chunk(trainer)

    def on_end(self, trainer: Any) -> None:
        self.progress.stop()
