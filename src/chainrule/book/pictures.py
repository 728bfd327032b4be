"""Pictures of a textbook's activation and loss functions, with derivatives.

The values and the derivatives are the framework's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError
from chainrule.text import _, tr
from chainrule.util import atomic_files
from chainrule.viz import drawing, gallery

Function = Callable[[Any], Any]


def activations(figure: Any) -> None:
    """Draw the textbook's activation functions, each with its derivative."""
    functions: dict[str, tuple[Function, str]] = {
        "Sigmoid": (nn.Sigmoid(), "(0, 1)"),
        "Tanh": (nn.Tanh(), "(−1, 1)"),
        "ReLU": (nn.ReLU(), "[0, ∞)"),
        "Leaky ReLU": (nn.LeakyReLU(), "(−∞, ∞)"),
        "GELU": (nn.GELU(), "[−0.170, ∞)"),
    }
    places = figure.subplots(2, 3).reshape(-1)
    x = np.linspace(-4, 4, 321)
    for i, (axes, (name, (function, range_))) in enumerate(
        zip(places, functions.items())
    ):
        value, slope = curve(function, x)
        both(axes, x, value, slope, "f(x)", "f′(x)")
        axes.set(title=f"{name}: {range_}", xlabel="x", ylim=(-1.3, 2.2))
        places[-1].plot(
            x, slope, color=drawing.PAPER.lines[i], linestyle=dashes(i), label=name
        )
    places[-1].set(title=tr("the derivatives f′(x)"), xlabel="x", ylim=(-0.3, 1.7))
    places[-1].legend(fontsize=7)


def losses(figure: Any) -> None:
    """Draw the textbook's loss functions of one output, each with its derivative."""
    p = 0.7
    log = cr.tensor([[p, 1 - p]], dtype="float64")
    panels: Sequence[tuple[str, str, Any, Function]] = (
        ("MSE, y = 0", "ŷ", np.linspace(-2, 2, 161), _squared),
        (tr("cross-entropy, y = 1"), "ŷ", np.linspace(0.02, 1, 161), _entropy),
        ("Hinge, y = 1", "ŷ", np.linspace(-2, 3, 161), _hinge),
        (
            f"KL, p = ({p}, {1 - p:.1f})",
            "q₁",
            np.linspace(0.02, 0.98, 161),
            lambda q: (log * (log / cr.stack([q, 1 - q], 1)).log()).sum(1),
        ),
    )
    places = figure.subplots(2, 2).reshape(-1)
    for axes, (name, across, x, function) in zip(places, panels):
        value, slope = curve(function, x)
        both(axes, x, value, slope, "ℒ", f"∂ℒ/∂{across}")
        axes.set(title=name, xlabel=across, ylim=(-4, 4))


def _squared(prediction: Any) -> Any:
    return nn.MSELoss(reduction="none")(prediction, prediction.detach() * 0.0)


def _entropy(prediction: Any) -> Any:
    return -prediction.log()


def _hinge(prediction: Any) -> Any:
    truth = prediction.detach() * 0.0 + 1.0
    return nn.HingeLoss(reduction="none")(prediction, truth)


def curve(function: Function, x: Any) -> tuple[Any, Any]:
    """Return the values and derivatives of a function of one number at places x."""
    at = cr.tensor(x)
    slope = cr.grad(lambda t: function(t).sum())(at)
    return function(at).numpy(), slope.numpy()


def both(axes: Any, x: Any, value: Any, slope: Any, first: str, second: str) -> None:
    """Draw a function and its derivative on axes, with gaps where that jumps."""
    slope = np.where(np.abs(np.diff(slope, prepend=slope[0])) > 0.5, np.nan, slope)
    for i, (line, name) in enumerate(((value, first), (slope, second))):
        axes.plot(
            x, line, color=drawing.PAPER.lines[i], linestyle=dashes(i), label=name
        )
    axes.legend(fontsize=7)


def dashes(i: int) -> Any:
    return (0, drawing.DASHES[i] or None)


#: Section → what draws its table, and the size in inches.
PICTURES: dict[str, tuple[Callable[[Any], None], tuple[float, float]]] = {
    "2.5.1": (losses, (7.5, 5.5)),
    "2.7": (activations, (10.0, 5.5)),
}


def save(sections: Sequence[str], folder: str | Path) -> list[Path]:
    """Draw pictures of textbook sections into a folder, as ``book-2.7.png``.

    Raises:
        ArgumentError: none of them has one, or matplotlib is not installed.
        SaveError: the folder cannot be written.
    """
    chosen = [section for section in PICTURES if section in sections]
    if not chosen:
        raise ArgumentError(
            _("There is no picture of this section."),
            expected=_("one of {sections}", sections=", ".join(PICTURES)),
            got=", ".join(dict.fromkeys(sections)) or "–",
            fix=_("chainrule book 2.7 --out {folder}", folder=folder),
        )
    pictures, what = {}, _("picture")
    for section in chosen:
        draw, size = PICTURES[section]
        with drawing.legible(what):
            pictures[section] = gallery.picture(draw, size=size, what=what)
    written = []
    atomic_files.make_directory(Path(folder))
    for section, picture in pictures.items():
        written.append(Path(folder) / f"book-{section}.png")
        atomic_files.replace(written[-1], picture, what)
    return written
