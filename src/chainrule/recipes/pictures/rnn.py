"""Pictures of the recipe ``rnn``: an LSTM's gates, and digits read row by row."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.recipes.evaluation.lstm import Steps
from chainrule.text import tr
from chainrule.text.numbers import number
from chainrule.viz.seen import seen


def _of_gates(run: Steps, x: np.ndarray, unit: int) -> str:
    marks = np.flatnonzero(x[:, 1] > 0) + 1
    return tr(
        "The marks stand at the steps {marks}. The memory c of unit {unit} is {before}"
        " before the first one and {after} at the end.",
        marks=", ".join(map(str, marks)),
        unit=unit,
        before=number(float(run.c[max(int(marks[0]) - 2, 0), unit]), 3),
        after=number(float(run.c[-1, unit]), 3),
    )


@seen(_of_gates)
def gates(figure: Any, run: Steps, x: np.ndarray, unit: int) -> None:
    """Draw a sequence, and an LSTM's gates and memories over time.

    Args:
        figure: what to draw into.
        run: gates and memories on the sequence.
        x: (T, 2), numbers and marks.
        unit: the number of the unit at the bottom.
    """
    numbers, *maps, one = axes = figure.subplots(
        5, 1, sharex=True, height_ratios=[1, 2, 2, 2, 1.5]
    )
    numbers.bar(np.arange(len(x)), x[:, 0], color="#a9b4c0")
    numbers.bar(np.arange(len(x)), x[:, 0] * x[:, 1], color="#c2570c")
    numbers.set(ylabel=tr("numbers"))
    order, bound = np.argsort(run.c[-1]), float(np.abs(run.c).max())
    shown = (
        (tr("input gates"), run.i, {"vmin": 0, "vmax": 1, "cmap": "viridis"}),
        (tr("forget gates"), run.f, {"vmin": 0, "vmax": 1}),
        (tr("memories c"), run.c, {"vmin": -bound, "vmax": bound, "cmap": "RdBu_r"}),
    )
    for part, (label, values, scale) in zip(maps, shown):
        drawn = part.imshow(values[:, order].T, aspect="auto", **scale)
        part.grid(visible=False)
        part.set(ylabel=label, yticks=[])
        figure.colorbar(drawn, ax=part)
    for name, line in (("i", "-"), ("f", "--"), ("c", "-.")):
        one.plot(getattr(run, name)[:, unit], line, label=name)
    one.set(xlabel=tr("step"), ylabel=tr("unit {unit}", unit=unit))
    one.legend(ncols=1, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    one.xaxis.get_major_locator().set_params(integer=True)
    for part in (axes[0], axes[-1]):  # as wide as those that have a scale
        figure.colorbar(drawn, ax=part).ax.set_visible(False)


def _of_reading(pixels: np.ndarray, probabilities: np.ndarray) -> str:
    told = []
    for shares in probabilities:
        answers = shares.argmax(1)
        others = np.flatnonzero(answers != answers[-1])
        row = int(others[-1]) + 2 if len(others) else 1
        told.append(tr("{digit} from row {row} on", digit=int(answers[-1]), row=row))
    return tr("What it ends with, and since when: {told}.", told=", ".join(told))


@seen(_of_reading)
def reading(figure: Any, pixels: np.ndarray, probabilities: np.ndarray) -> None:
    """Draw digits (n, 784), with the probability of each class after each row."""
    axes = figure.subplots(1, 2 * len(pixels))
    for i, (digit, shares) in enumerate(zip(pixels, probabilities)):
        image, classes = axes[2 * i], axes[2 * i + 1]
        image.imshow(digit.reshape(28, 28), cmap="gray_r", aspect="auto")
        drawn = classes.imshow(shares, cmap="viridis", vmin=0, vmax=1, aspect="auto")
        image.set(xticks=[], yticks=[])
        classes.set(xticks=range(10), yticks=[])
        for part in (image, classes):
            part.grid(visible=False)
            part.tick_params(labelsize=6, length=0)
    figure.colorbar(drawn, ax=axes)
