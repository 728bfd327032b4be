"""Progress display of a run: a bar in a terminal or notebook, or lines of text."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from html import escape
from typing import Any, TextIO, cast

from chainrule.errors import visible
from chainrule.text import tr
from chainrule.text.numbers import number
from chainrule.text.safe_stderr import Outlet
from chainrule.training.callbacks import Callback
from chainrule.training.history import called, shown


def display() -> Callback:
    """Return the progress-display callback for a notebook, a terminal, or a file."""
    if in_notebook():
        return Notebook()
    return Bar() if Outlet().isatty() else Lines()


def in_notebook() -> bool:
    """Return whether the code runs in the kernel of a notebook."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    kinds = type(shell).__mro__  # Colab's is a class of its own on it
    return any(kind.__name__ == "ZMQInteractiveShell" for kind in kinds)


def standing(trainer: Any) -> tuple[int, int | None, str]:
    """Return a run's steps done and in total, and its text for the progress bar."""
    plan = trainer.plan
    assert plan is not None
    # A stream's length is unknown until its first end; then it may still vary.
    each, epochs = plan.steps_per_epoch or 0, trainer.epoch - plan.first
    text = tr(
        "epoch {epoch}/{epochs}",
        epoch=min(trainer.epoch + 1, plan.end),
        epochs=plan.end,
    )
    if len(trainer.history):
        text += tr("  loss {loss}", loss=number(trainer.history.recent()))
    return epochs * each + trainer.step, plan.total_steps, text


def epoch_line(
    row: Mapping[str, Any], epochs: int, validation: str = "validation"
) -> str:
    """Format a row of the history, an epoch's results, as one line of text.

    >>> epoch_line({"epoch": 2, "train_loss": 0.25, "validation_loss": 0.5,
    ...             "validation_r2": 0.875, "lr": 1e-3, "seconds": 1.5}, 10, "test")
    'epoch  2/10  train loss 0.25  test loss 0.5  r2 0.875  lr 0.001  1.5 s'
    """
    width = len(str(epochs))
    parts = [
        tr("epoch {epoch}/{epochs}", epoch=f"{row['epoch']:{width}d}", epochs=epochs),
        f"{called('train_loss')} {shown('train_loss', row['train_loss'])}",
    ]
    for key, value in row.items():
        kind, _, name = key.partition("_")
        if kind == "validation":
            what = called(name)
            if name == "loss":
                what = tr("{part} {name}", part=called(validation), name=what)
            parts.append(f"{what} {shown(key, value)}")
    parts.append(f"{called('lr')} {shown('lr', row['lr'])}")
    parts.append(tr("{seconds} s", seconds=shown("seconds", row["seconds"])))
    return "  ".join(parts)


def _last_line(trainer: Any) -> str:
    assert trainer.plan is not None
    history = trainer.history
    line = epoch_line(history.epochs[-1], trainer.plan.end, history.validation_name)
    return visible(line)  # names of data sets and metrics may be anybody's


class Lines(Callback):
    """A callback that prints one line to standard error after each epoch."""

    def __init__(self) -> None:
        self.outlet = Outlet()

    def on_epoch(self, trainer: Any) -> None:
        self.outlet.write(_last_line(trainer) + "\n")


class Bar(Callback):
    """A callback that shows a progress bar, and a line for each finished epoch."""

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
            TextColumn(tr("steps")),
            TimeRemainingColumn(),
            console=Console(file=cast(TextIO, Outlet())),
            transient=True,
        )
        self.task = self.progress.add_task("", total=trainer.plan.total_steps)
        self.progress.start()
        self.on_chunk(trainer)

    def on_chunk(self, trainer: Any) -> None:
        done, total, text = standing(trainer)
        self.progress.update(self.task, completed=done, total=total, description=text)

    def on_epoch(self, trainer: Any) -> None:
        console = self.progress.console
        console.print(_last_line(trainer), highlight=False, markup=False)
        self.on_chunk(trainer)

    def on_end(self, trainer: Any) -> None:
        self.progress.stop()


class Notebook(Callback):
    """A callback that shows a progress bar in a notebook, and the last epoch.

    The bar is a widget where ipywidgets is installed (the extra ``notebook``), else
    HTML that is replaced; at the end of the run it is HTML, which stays when the
    notebook is saved. However short epochs are, it changes ten times a second at most.
    """

    #: Seconds between two changes of the bar.
    PAUSE = 0.1

    def __init__(self) -> None:
        self.handle: Any = None
        self.widget: Any = None
        self.line, self.drawn = "", 0.0

    def on_start(self, trainer: Any) -> None:
        from IPython.core.display import HTML
        from IPython.display import display

        self.html = HTML
        self.widget = self._widget()
        shown = HTML(self._page(trainer)) if self.widget is None else self.widget
        self.handle = display(shown, display_id=True)
        self._draw(trainer)

    def on_chunk(self, trainer: Any) -> None:
        if time.monotonic() - self.drawn >= self.PAUSE:
            self._draw(trainer)

    def on_epoch(self, trainer: Any) -> None:
        self.line = _last_line(trainer)
        self.on_chunk(trainer)

    def on_end(self, trainer: Any) -> None:
        if self.handle is not None:
            self.handle.update(self.html(self._page(trainer, ended=True)))
        if self.widget is not None:
            self._close()

    def _widget(self) -> Any:
        """Return a bar with two lines of text as a widget; None without ipywidgets."""
        try:
            import ipywidgets
        except ImportError:
            return None
        bar = ipywidgets.IntProgress(layout={"width": "20em"})
        row = ipywidgets.HBox([bar, ipywidgets.HTML()])
        return ipywidgets.VBox([row, ipywidgets.HTML()])

    def _close(self) -> None:
        """Close the widgets, which the kernel would keep."""
        row, line = self.widget.children
        for part in (*row.children, row, line, self.widget):
            part.close()

    def _draw(self, trainer: Any) -> None:
        self.drawn = time.monotonic()
        if self.widget is None:
            self.handle.update(self.html(self._page(trainer)))
            return
        done, total, text = standing(trainer)
        row, line = self.widget.children
        bar, label = row.children
        bar.max, bar.value = total or max(done, 1), done
        label.value, line.value = escape(text), self._line()

    def _page(self, trainer: Any, *, ended: bool = False) -> str:
        done, total, text = standing(trainer)
        total = total or (ended and max(done, 1))  # else it would move for ever
        most = f' max="{total}"' if total else ""
        value = f' value="{done}"' if total else ""
        bar = f'<progress style="width:20em"{most}{value}></progress>'
        return f"{bar} {escape(text)}<br>{self._line()}"

    def _line(self) -> str:
        """Return the last epoch as HTML, whose numbers are two spaces apart."""
        return f'<code style="white-space:pre-wrap">{escape(self.line)}</code>'
