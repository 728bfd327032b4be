"""The learning curve as a picture, where matplotlib is installed."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.training.checkpoint import replace
from chainrule.training.history import History


def can_plot() -> bool:
    """Whether matplotlib (the extra ``plot``) is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def save_curve(history: History, path: str | Path, *, title: str = "") -> None:
    """Losses and, for classification, the accuracy over the epochs, as a PNG file.

    Args:
        history: of a run with at least one finished epoch.
        path: where to write.
        title: above the picture.

    Raises:
        ArgumentError: nothing to draw, or no matplotlib.
        SaveError: the file cannot be written.
    """
    if not history.epochs or not can_plot():
        raise ArgumentError(
            "There is no learning curve to draw.",
            expected="a finished epoch, and matplotlib",
            got=f"{len(history.epochs)} epochs, matplotlib: {can_plot()}",
            fix="pip install 'chainrule[plot]'",
        )
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = history.epochs
    accurate = "validation_accuracy" in rows[-1]
    figure = Figure(figsize=(10 if accurate else 5.5, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2 if accurate else 1, squeeze=False)[0]
    epochs = np.array([row["epoch"] for row in rows])
    axes[0].plot(epochs, [r["train_loss"] for r in rows], "o-", label="training")
    if "validation_loss" in rows[-1]:
        values = [r.get("validation_loss", np.nan) for r in rows]
        axes[0].plot(epochs, values, "s-", label="validation")
    axes[0].set(xlabel="epoch", ylabel="loss", yscale="log")
    axes[0].legend()
    if accurate:
        values = [100 * r.get("validation_accuracy", np.nan) for r in rows]
        axes[1].plot(epochs, values, "s-", color="tab:green")
        axes[1].set(xlabel="epoch", ylabel="validation accuracy in %")
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.xaxis.get_major_locator().set_params(integer=True)
    figure.suptitle(title)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    replace(Path(path), picture.getvalue(), "learning curve")
